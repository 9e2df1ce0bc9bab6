/* Messages to Lite3 and back: byte for byte where the bytes are known, else by what they say. */
#include "json/lite3_test.h"

/* The CRC-32 of zip and png: what the known payloads were published with. */
static uint32_t crc32_of(struct view bytes)
{
    uint32_t crc = ~UINT32_C(0);
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

static const char v1[] = "000:060200005f91957ccc919a7c0000000000000000000000000000000000000000 "
                         "020:8200000032010000620000000000000000000000000000000000000000000000 "
                         "060:0000146d6574610006010000d4559e7c00000000000000000000000000000000 "
                         "080:000000000000000041000000ca00000000000000000000000000000000000000 "
                         "0c0:0000000000000000000014746167730007000000000000000000000000000000 "
                         "120:0000000000000000000000000000000000001464617461000600000000000000 ";

static const char v2[] = "000:060200005f91957ccc919a7c0000000000000000000000000000000000000000 "
                         "020:820000003e010000620000000000000000000000000000000000000000000000 "
                         "060:0000146d6574610006010000d4559e7c00000000000000000000000000000000 "
                         "080:000000000000000041000000ca00000000000000000000000000000000000000 "
                         "0c0:0000000000000000000014746167730007010000000000000000000000000000 "
                         "0e0:0000000000000000000000000000000041000000300100000000000000000000 "
                         "120:000000000000000000000000000000000506000000616c706861000000001464 "
                         "140:617461000605000007b602000bb602000eb6020013b6020018b6020000000000 "
                         "160:0000000045010000a4010000a9010000b5010000c1010000c501000000000000 "
                         "1a0:00000000086200010108660003000000000000f83f08690002feffffffffffff "
                         "1c0:ff086e00000873000503000000686900 ";

static const char v3[] = "000:0708000003000000000000000000000000000000000000000000000000000000 "
                         "020:010200007b000000000000000000000000000000000000000000000000000000 "
                         "040:a000000000010000000000000000000000000000000000000000000000000000 "
                         "060:0200000000000000000201000000000000000202000000000000000203000000 "
                         "080:0000000002040000000000000002050000000000000002060000000000000000 "
                         "0a0:0708000000000000010000000200000000000000000000000000000000000000 "
                         "0c0:0300000060000000690000007200000000000000000000000000000000000000 "
                         "100:0700000004000000050000000600000007000000000000000000000000000000 "
                         "120:04000000840000008d0000009600000060010000000000000000000000000000 "
                         "160:020700000000000000 ";

/* Lines of OFFSET:BYTES, both hexadecimal; what no line says is zero. */
static void expect_bytes(struct view payload, const char *lines, size_t len, uint32_t crc)
{
    uint8_t *expected = calloc(1, len);

    assert_non_null(expected);
    while (*lines != '\0') {
        char *at;
        size_t offset = strtoul(lines, &at, 16);
        unsigned byte;
        for (at++; sscanf(at, "%2x", &byte) == 1 && *at != ' '; at += 2) {
            assert_true(offset < len);
            expected[offset++] = (uint8_t)byte;
        }
        lines = at + 1;
    }
    assert_int_equal(payload.len, len);
    assert_memory_equal(payload.data, expected, len);
    assert_int_equal(crc32_of(payload), crc);
    free(expected);
}

static void test_the_smallest_message(void **state)
{
    (void)state;
    struct buf payload = lite3_of("", "{}");
    expect_bytes(buf_view(&payload), v1, 408, 0x440b6f50);
    expect_message(buf_view(&payload), "[]", "{}");
    buf_fini(&payload);
}

static void test_every_kind_of_value(void **state)
{
    (void)state;
    struct buf payload =
        lite3_of("[\"alpha\"]", "{\"s\":\"hi\",\"n\":null,\"i\":-2,\"f\":1.5,\"b\":true}");
    expect_bytes(buf_view(&payload), v2, 464, 0x2a9b6f69);
    expect_message(buf_view(&payload), "[\"alpha\"]",
        "{\"b\":true,\"f\":1.5,\"i\":-2,\"n\":null,\"s\":\"hi\"}");
    buf_fini(&payload);
}

static void test_a_first_node_is_split(void **state)
{
    (void)state;
    struct buf payload = lite3_of_document("[0,1,2,3,4,5,6,7]");
    expect_bytes(buf_view(&payload), v3, 361, 0xd01a04e6);
    buf_fini(&payload);
}

static void test_a_string_as_long_as_a_node_is_aligned(void **state)
{
    (void)state;
    char json[128];
    snprintf(json, sizeof(json), "{\"k\":\"%090d\"}", 0);
    memset(json + 6, 'x', 90);
    struct buf payload = lite3_of_document(json);
    const uint8_t *at = payload.data + 0x60;
    assert_int_equal(payload.len, 196);
    assert_memory_equal(at, "\0\x08k\0\x05\x5b\0\0\0xxxx", 13);
    assert_int_equal(crc32_of(buf_view(&payload)), 0xe9f13a4a);
    buf_fini(&payload);
}

static void test_inner_nodes_are_split(void **state)
{
    (void)state;
    struct buf data = {0};
    buf_append_str(&data, "{");
    for (int i = 39; i >= 0; i--) /* the order of the text is not that of the payload */
        buf_appendf(&data, "\"k%02d\":%d%s", i, i, i == 0 ? "}" : ",");
    buf_append(&data, "", 1);
    struct buf payload = lite3_of("[]", (const char *)data.data);
    assert_int_equal(payload.len, 2126);
    assert_int_equal(crc32_of(buf_view(&payload)), 0x28dfaf40);
    buf_fini(&payload);
    buf_fini(&data);
}

static void expect_data(const char *data, const char *expected)
{
    struct buf payload = lite3_of("[\"\",\"a \\\"b\\u00e9\"]", data);
    expect_message(buf_view(&payload), "[\"\",\"a \\\"b\xc3\xa9\"]", expected);
    buf_fini(&payload);
}

static void test_numbers(void **state)
{
    (void)state;
    expect_data("{\"a\":[0,-1,9223372036854775807,-9223372036854775808]}",
        "{\"a\":[0,-1,9223372036854775807,-9223372036854775808]}");
    expect_data("{\"a\":[9223372036854775808,-9223372036854775809,18446744073709551615]}",
        "{\"a\":[9.223372036854776e+18,-9.223372036854776e+18,1.8446744073709552e+19]}");
    expect_data("{\"a\":[1e2,-0,-0.0,0.00001,1e-6,5e-324,1e16,1000000000000000.0]}",
        "{\"a\":[100.0,-0.0,-0.0,0.00001,1e-6,5e-324,1e+16,1000000000000000.0]}");
}

static void test_of_equal_names_the_last_counts(void **state)
{
    (void)state;
    expect_data("{\"a\":1,\"b\":2,\"\\u0061\":3,\"b\":{\"c\":4,\"c\":5},\"a\":[]}",
        "{\"a\":[],\"b\":{\"c\":5}}");
}

static void test_strings_and_keys(void **state)
{
    (void)state;
    expect_data("{\"\":\"\",\"\\u0000\":\"a\\u0000b\"}", "{\"\":\"\",\"\\u0000\":\"a\\u0000b\"}");
    expect_data("{\"\\ud83d\\ude00\":\"\\n\\/\\u007f\\u001F\"}",
        "{\"\xf0\x9f\x98\x80\":\"\\n/\x7f\\u001f\"}");
}

/* "Aa" and "B@" have the same hash: 33 times one is the other's difference. */
static void test_keys_of_one_hash(void **state)
{
    (void)state;
    assert_int_equal(lite3_hash(view_str("Aa")), lite3_hash(view_str("B@")));
    expect_data("{\"Aa\":1,\"B@\":2,\"AaAa\":3,\"AaB@\":4,\"B@Aa\":5,\"B@B@\":6}",
        "{\"Aa\":1,\"B@\":2,\"AaAa\":3,\"AaB@\":4,\"B@Aa\":5,\"B@B@\":6}");
}

/* The eighth key splits the node, whose middle key, of the same hash, goes to the node above. */
static void test_keys_of_one_hash_in_two_nodes(void **state)
{
    (void)state;
    expect_data("{\"A0\":0,\"A1\":1,\"A2\":2,\"Aa\":3,\"Ab\":4,\"Ac\":5,\"Ad\":6,\"B@\":7}",
        "{\"A0\":0,\"A1\":1,\"A2\":2,\"Aa\":3,\"Ab\":4,\"Ac\":5,\"Ad\":6,\"B@\":7}");
}

/* So many that the root of the message has nodes below it. */
static void test_messages_with_many_other_members(void **state)
{
    (void)state;
    struct buf document = {0};
    buf_append_str(&document, "{\"data\":{\"k\":1},\"meta\":{\"tags\":[\"t\"]}");
    for (unsigned i = 0; i < 200; i++)
        buf_appendf(&document, ",\"other %u\":%u", i, i);
    buf_append(&document, "}", 2);
    struct buf payload = lite3_of_document((const char *)document.data);
    struct lite3_node root;
    struct lite3_value value;
    assert_true(lite3_read_node(buf_view(&payload), 0, &root));
    assert_false(lite3_is_leaf(&root));
    expect_message(buf_view(&payload), "[\"t\"]", "{\"k\":1}");
    for (unsigned i = 0; i <= LITE3_NODE_KEYS; i++) /* where no node can be */
        root.child[i] = 2;
    memcpy(payload.data, &root, sizeof(root));
    assert_false(lite3_find(buf_view(&payload), 0, "meta", &value) &&
                 lite3_find(buf_view(&payload), 0, "data", &value));
    buf_fini(&payload);
    buf_fini(&document);
}

/* Keys of eight letters whose pairs are exchanged: 256 of one hash. */
static int encode_colliding(size_t n_keys, struct buf *payload, struct lite3_fault *fault)
{
    struct buf data = {0};
    buf_append_str(&data, "{");
    for (unsigned i = 0; i < n_keys; i++) {
        buf_append_str(&data, i == 0 ? "\"" : ",\"");
        for (unsigned bit = 0; bit < 8; bit++)
            buf_append_str(&data, i >> bit & 1 ? "B@" : "Aa");
        buf_appendf(&data, "\":%u", i);
    }
    buf_append_str(&data, "}");
    const int r = lite3_from_json(view_str(""), buf_view(&data), payload, fault);
    buf_fini(&data);
    return r;
}

static void test_too_many_keys_of_one_hash_are_refused(void **state)
{
    (void)state;
    struct lite3_fault fault = {0};
    struct buf payload = {0};
    assert_int_equal(encode_colliding(128, &payload, &fault), LITE3_OK);
    assert_int_equal(lite3_check(buf_view(&payload), &fault), LITE3_OK);
    struct lite3_value data, value;
    assert_true(lite3_find(buf_view(&payload), 0, "data", &data));
    assert_true(lite3_find(buf_view(&payload), data.at, "B@B@B@B@B@B@B@Aa", &value));
    assert_int_equal(value.bits, 127);
    /* of the same hash, too, and not among them */
    assert_false(lite3_find(buf_view(&payload), data.at, "B@B@B@B@B@B@B@B@", &value));
    payload.len = 0;
    assert_int_equal(encode_colliding(129, &payload, &fault), LITE3_FAULT);
    assert_non_null(strstr(fault.problem, "hash"));
    buf_fini(&payload);
}

static int encode_nested(unsigned depth, struct buf *payload, struct lite3_fault *fault)
{
    struct buf data = {0};
    buf_append_str(&data, "{\"a\":");
    for (unsigned i = 1; i < depth; i++)
        buf_append_str(&data, i % 2 == 0 ? "{\"a\":" : "[");
    buf_append_str(&data, "1");
    for (unsigned i = depth - 1; i > 0; i--)
        buf_append_str(&data, i % 2 == 0 ? "}" : "]");
    buf_append_str(&data, "}");
    const int r = lite3_from_json(view_str(""), buf_view(&data), payload, fault);
    buf_fini(&data);
    return r;
}

static void test_nesting_ends_at_32_levels(void **state)
{
    (void)state;
    struct lite3_fault fault = {0};
    struct buf payload = {0};
    assert_int_equal(encode_nested(31, &payload, &fault), LITE3_OK); /* in the message: 32 */
    assert_int_equal(lite3_check(buf_view(&payload), &fault), LITE3_OK);
    payload.len = 0;
    assert_int_equal(encode_nested(32, &payload, &fault), LITE3_FAULT);
    assert_non_null(strstr(fault.problem, "32 levels"));
    buf_fini(&payload);
}

static void expect_unfit(const char *tags, const char *data, const char *problem)
{
    struct lite3_fault fault = {0};
    struct buf payload = {0};
    assert_int_equal(
        lite3_from_json(view_str(tags), view_str(data), &payload, &fault), LITE3_FAULT);
    assert_non_null(strstr(fault.problem, problem));
    buf_fini(&payload);
}

static void test_what_cannot_be_said_is_refused(void **state)
{
    (void)state;
    expect_unfit("", "{\"a\":1e999}", "larger than Lite3");
    expect_unfit("", "[]", "damaged");
    expect_unfit("{}", "{}", "damaged");
    expect_unfit("", "{\"a\":[1,]}", "damaged");
    expect_unfit("", "{\"a\":1,}", "damaged");
    expect_unfit("", "{\"a\":-}", "damaged");
    expect_unfit("[1", "{}", "damaged");
    expect_unfit("", "", "damaged");
    expect_unfit("", "{\"a\":x}", "damaged");
    expect_unfit("", "{\"a\":[x]}", "damaged");
    struct lite3_fault fault = {0};
    struct buf payload = {0};
    assert_int_equal(lite3_encode(view_str("7"), &payload, &fault), LITE3_FAULT);
    assert_non_null(strstr(fault.problem, "damaged"));
}

static void test_long_arrays_and_long_keys(void **state)
{
    (void)state;
    struct buf data = {0};
    buf_append_str(&data, "{\"a\":[0");
    for (int i = 1; i < 5000; i++)
        buf_appendf(&data, ",%d", i);
    buf_append_str(&data, "]");
    for (int len = 1; len < 40000; len = len < 80 ? len + 1 : len * 3 / 2)
        buf_appendf(&data, ",\"k%0*d\":%d", len, 0, len);
    buf_append(&data, "}", 2);
    struct buf payload = lite3_of("", (const char *)data.data);
    struct lite3_fault fault = {0};
    struct buf text = {0};
    assert_int_equal(lite3_check(buf_view(&payload), &fault), LITE3_OK);
    assert_int_equal(lite3_message_data(buf_view(&payload), &text, &fault), LITE3_OK);
    assert_int_equal(text.len, data.len - 1); /* the same members in another order */
    buf_fini(&payload);
    /* and once more, from the other order */
    buf_append(&text, "", 1);
    payload = lite3_of("", (const char *)text.data);
    expect_message(buf_view(&payload), "[]", (const char *)text.data);
    buf_fini(&payload);
    buf_fini(&text);
    buf_fini(&data);
}

TESTS(test_the_smallest_message, test_every_kind_of_value, test_a_first_node_is_split,
    test_a_string_as_long_as_a_node_is_aligned, test_inner_nodes_are_split, test_numbers,
    test_of_equal_names_the_last_counts, test_strings_and_keys, test_keys_of_one_hash,
    test_keys_of_one_hash_in_two_nodes, test_messages_with_many_other_members,
    test_too_many_keys_of_one_hash_are_refused, test_nesting_ends_at_32_levels,
    test_what_cannot_be_said_is_refused, test_long_arrays_and_long_keys)
