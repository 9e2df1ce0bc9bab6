/* Payloads that nobody wrote on purpose, and those that somebody did. */
#include "base/limits.h"
#include "json/json.h"
#include "json/lite3_test.h"

/* A copy that ends where its memory ends, so that reading beyond it is seen. */
static struct view exact(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    return view_of(copy, len);
}

static void exact_free(struct view payload)
{
    free((void *)(uintptr_t)payload.data);
}

static void check_json(const struct buf *text)
{
    uint8_t *compact = malloc(text->len + JSON_SLACK);
    size_t len;
    assert_non_null(compact);
    assert_true(json_compact(text->data, text->len, compact, &len, NULL));
    assert_int_equal(len, text->len);
    free(compact);
}

/* Looks at a payload in all ways. What is accepted is read as JSON; whether it was. */
static bool look(struct view bytes)
{
    const struct view payload = exact(bytes.data, bytes.len);
    struct lite3_fault fault = {0};
    struct buf tags = {0}, data = {0};

    const int r = lite3_check(payload, &fault);
    const int tags_r = lite3_message_tags(payload, &tags, &fault);
    const int data_r = lite3_message_data(payload, &data, &fault);
    if (r == LITE3_OK) {
        assert_int_equal(tags_r, LITE3_OK);
        assert_int_equal(data_r, LITE3_OK);
    } else {
        assert_int_equal(r, LITE3_FAULT);
        assert_non_null(fault.problem);
        assert_true(fault.offset <= UINT32_MAX);
    }
    if (tags_r == LITE3_OK)
        check_json(&tags);
    if (data_r == LITE3_OK)
        check_json(&data);
    else
        assert_int_equal(data.len, 0);
    buf_fini(&tags);
    buf_fini(&data);
    exact_free(payload);
    return r == LITE3_OK;
}

static struct buf varied(void)
{
    return lite3_of("[\"alpha\",\"b\"]",
        "{\"list\":[0,1,2,3,4,5,6,7,8],\"o\":{\"n\":null,\"t\":true},\"f\":1.5,\"Aa\":1,\"B@\":2,"
        "\"text\":\"with \\u00e9\"}");
}

static void test_every_byte_changed(void **state)
{
    (void)state;
    struct buf payload = varied();
    size_t n_refused = 0;
    for (size_t i = 0; i < payload.len; i++) {
        const uint8_t byte = payload.data[i];
        for (unsigned change = 1; change < 256; change = change < 8 ? change + 1 : change * 2 + 1) {
            payload.data[i] = (uint8_t)(byte ^ change);
            n_refused += !look(buf_view(&payload));
        }
        payload.data[i] = byte;
    }
    assert_true(n_refused > payload.len); /* what is left are values, and what is not used */
    assert_true(look(buf_view(&payload)));
    buf_fini(&payload);
}

static void test_cut_at_every_length(void **state)
{
    (void)state;
    struct buf payload = varied();
    for (size_t len = 0; len < payload.len; len++)
        assert_false(look(view_of(payload.data, len)));
    assert_false(look((struct view){NULL, 0}));
    buf_append_str(&payload, "behind");
    assert_true(look(buf_view(&payload)));
    buf_fini(&payload);
}

static void test_words_replaced_by_offsets(void **state)
{
    (void)state;
    struct buf payload = varied();
    for (size_t at = 0; at + 4 <= payload.len; at += 4) {
        uint32_t word;
        memcpy(&word, payload.data + at, 4);
        for (uint32_t to = 0; to < payload.len + 96; to += to < payload.len ? 4 : 95) {
            memcpy(payload.data + at, &to, 4);
            look(buf_view(&payload));
        }
        memcpy(payload.data + at, &word, 4);
    }
    buf_fini(&payload);
}

static struct lite3_node *node_at(const struct buf *payload, size_t at)
{
    void *node = payload->data + at;
    return node;
}

static void expect_fault(const struct buf *payload, const char *problem)
{
    struct lite3_fault fault = {0};
    assert_int_equal(lite3_check(buf_view(payload), &fault), LITE3_FAULT);
    if (strstr(fault.problem, problem) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fault.problem, problem);
}

/* The first node of data; that of its only element, {"a":[...]}. */
static size_t data_at(const struct buf *payload)
{
    struct lite3_value value;
    assert_true(lite3_find(buf_view(payload), 0, "data", &value));
    return value.at;
}

static size_t list_at(const struct buf *payload)
{
    struct lite3_value value;
    assert_true(lite3_find(buf_view(payload), data_at(payload), "a", &value));
    return value.at;
}

/* Sevens of sevens of sevens: a few hundred bytes that would be gigabytes of JSON. */
static void test_parts_used_twice_are_refused(void **state)
{
    (void)state;
    struct buf payload = lite3_of("", "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}");
    size_t at = list_at(&payload);
    while (payload.data[node_at(&payload, at)->kv[0]] == LITE3_ARRAY) {
        struct lite3_node *node = node_at(&payload, at);
        node->size_kc = 7 << 6 | 7;
        for (unsigned i = 1; i < LITE3_NODE_KEYS; i++) {
            node->hash[i] = i;
            node->kv[i] = node->kv[0];
        }
        at = node->kv[0];
    }
    expect_fault(&payload, "overlap");
    assert_false(look(buf_view(&payload)));
    buf_fini(&payload);
}

static void test_circles_are_refused(void **state)
{
    (void)state;
    struct buf payload = lite3_of("", "{\"a\":[[1]]}");
    struct lite3_node *list = node_at(&payload, list_at(&payload));
    list->kv[0] = (uint32_t)list_at(&payload); /* a list that is its own element */
    expect_fault(&payload, "overlap");
    buf_fini(&payload);

    payload = lite3_of("", "{\"a\":[0,1,2,3,4,5,6,7]}");
    list = node_at(&payload, list_at(&payload));
    list->child[1] = list->child[0];
    expect_fault(&payload, "wrong order");
    list->child[1] = (uint32_t)list_at(&payload);
    expect_fault(&payload, "wrong order");
    buf_fini(&payload);
}

/* Where members are looked for, before anything was checked. */
static void test_circles_of_the_root_are_refused(void **state)
{
    (void)state;
    struct buf payload = lite3_of_document("{}");
    const uint32_t at = (uint32_t)payload.len;
    const struct lite3_node node = {.gen_type = LITE3_OBJECT, .child = {at}};
    assert_int_equal(at % 4, 0);
    buf_append(&payload, &node, sizeof(node));
    node_at(&payload, 0)->child[0] = at;
    expect_fault(&payload, "meta is not object");
    buf_fini(&payload);
}

static void test_trees_that_are_none(void **state)
{
    (void)state;
    struct buf payload = lite3_of("", "{\"a\":[0,1,2,3,4,5,6,7]}");
    const size_t at = list_at(&payload);
    const struct lite3_node list = *node_at(&payload, at);
    struct lite3_node *node = node_at(&payload, at);

    node->child[1] = 0;
    expect_fault(&payload, "a part of its children");
    *node = list;
    node->child[0] = 0;
    expect_fault(&payload, "a part of its children");
    *node = list;
    node->child[0] += 2;
    expect_fault(&payload, "not inside");
    *node = list;
    node->child[0] = UINT32_MAX - 3;
    expect_fault(&payload, "not inside");
    *node = list;
    node->size_kc += 1 << 6;
    expect_fault(&payload, "number of entries");
    *node = list;
    node->hash[0] = 2;
    expect_fault(&payload, "wrong order"); /* the child before it ends with 2 */
    *node = list;
    node_at(&payload, list.child[1])->gen_type = LITE3_OBJECT;
    expect_fault(&payload, "another type");
    node_at(&payload, list.child[1])->gen_type = LITE3_ARRAY;
    node_at(&payload, list.child[1])->hash[3] = 9;
    expect_fault(&payload, "lacks an element");
    buf_fini(&payload);
}

/* Nodes with one child and no keys, one below the other. */
static void test_trees_that_are_too_high(void **state)
{
    (void)state;
    for (unsigned height = LITE3_HEIGHT_MAX; height <= LITE3_HEIGHT_MAX + 1; height++) {
        struct buf payload = lite3_of("", "{\"a\":[]}");
        size_t at = list_at(&payload);
        for (unsigned i = 0; i < height; i++) {
            const struct lite3_node empty = {.gen_type = LITE3_ARRAY};
            buf_append(&payload, "\0\0\0", (4 - payload.len % 4) % 4);
            node_at(&payload, at)->child[0] = (uint32_t)payload.len;
            at = payload.len;
            buf_append(&payload, &empty, sizeof(empty));
        }
        if (height > LITE3_HEIGHT_MAX)
            expect_fault(&payload, "too high");
        else
            assert_true(look(buf_view(&payload)));
        buf_fini(&payload);
    }
}

/* {"a":VALUE}, with the value's bytes changed at this offset. */
static void expect_value_fault(
    const char *data, size_t offset, const char *bytes, size_t len, const char *problem)
{
    struct buf payload = lite3_of("", data);
    struct lite3_value value;
    assert_true(lite3_find(buf_view(&payload), data_at(&payload), "a", &value));
    memcpy(payload.data + value.at + offset, bytes, len);
    expect_fault(&payload, problem);
    assert_false(look(buf_view(&payload)));
    buf_fini(&payload);
}

static void test_values_that_are_none(void **state)
{
    (void)state;
    expect_value_fault("{\"a\":true}", 1, "\2", 1, "neither true nor false");
    expect_value_fault("{\"a\":1.5}", 1, "\0\0\0\0\0\0\xf0\x7f", 8, "not finite");
    expect_value_fault("{\"a\":1.5}", 1, "\1\0\0\0\0\0\xf0\xff", 8, "not finite");
    expect_value_fault("{\"a\":1}", 0, "\x08", 1, "unknown type");
    expect_value_fault("{\"a\":\"xyz\"}", 1, "\0", 1, "does not end");
    expect_value_fault("{\"a\":\"xyz\"}", 1, "\3", 1, "does not end");
    expect_value_fault("{\"a\":\"xyz\"}", 1, "\5", 1, "beyond the payload");
    expect_value_fault("{\"a\":\"xyz\"}", 1, "\xff\xff\xff\xff", 4, "beyond the payload");
    expect_value_fault("{\"a\":\"xyz\"}", 8, "!", 1, "does not end");
    expect_value_fault("{\"a\":\"xyz\"}", 5, "\xc3", 1, "not UTF-8");
    expect_value_fault("{\"a\":null}", 0, "\2", 1, "beyond the payload");
    /* before the value: tag, key, zero byte */
    expect_value_fault("{\"ab\":1,\"a\":1}", (size_t)-2, "b", 1, "hash");
    expect_value_fault("{\"a\":1}", (size_t)-1, "!", 1, "does not end");
    expect_value_fault("{\"a\":1}", (size_t)-3, "\3", 1, "does not end");
    expect_value_fault("{\"a\":1}", (size_t)-3, "\1", 1, "does not end");
}

/* A key of one byte that is no character, under the hash it has. */
static void test_keys_that_are_not_utf8(void **state)
{
    (void)state;
    struct buf payload = lite3_of("", "{\"a\":1}");
    struct lite3_value value;
    assert_true(lite3_find(buf_view(&payload), data_at(&payload), "a", &value));
    payload.data[value.at - 2] = 0xff;
    node_at(&payload, data_at(&payload))->hash[0] = lite3_hash(view_str("\xff"));
    expect_fault(&payload, "key is not UTF-8");
    buf_fini(&payload);
}

/* Of the tag, which says how long it is, the first byte is the last one there is. */
static void test_keys_whose_tag_is_cut(void **state)
{
    (void)state;
    struct buf payload = lite3_of("", "{\"a\":\"xyz\"}");
    for (uint8_t tag = 1; tag < 4; tag++) {
        node_at(&payload, data_at(&payload))->kv[0] = (uint32_t)payload.len - 1;
        payload.data[payload.len - 1] = tag;
        expect_fault(&payload, "beyond the payload");
    }
    buf_fini(&payload);
}

static void test_shapes_of_a_message(void **state)
{
    (void)state;
    static const struct {
        const char *document;
        const char *problem;
    } shapes[] = {
        {"[1]", "root is not object"},
        {"{}", "meta is not object"},
        {"{\"meta\":[],\"data\":{}}", "meta is not object"},
        {"{\"meta\":{\"tags\":[]}}", "data is not object"},
        {"{\"meta\":{\"tags\":[]},\"data\":[]}", "data is not object"},
        {"{\"meta\":{},\"data\":{}}", "meta.tags must be array"},
        {"{\"meta\":{\"tags\":{}},\"data\":{}}", "meta.tags must be array"},
        {"{\"meta\":{\"tags\":[\"a\",1]},\"data\":{}}", "meta.tags must be string array"},
        {"{\"meta\":{\"tags\":[[]]},\"data\":{}}", "meta.tags must be string array"},
    };
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct buf payload = lite3_of_document(shapes[i].document);
        expect_fault(&payload, shapes[i].problem);
        buf_fini(&payload);
    }
    struct buf payload = lite3_of_document(
        "{\"meta\":{\"tags\":[\"a\"],\"x\":[{}]},\"data\":{\"b\":1},\"more\":{\"y\":null}}");
    expect_message(buf_view(&payload), "[\"a\"]", "{\"b\":1}");
    buf_fini(&payload);
}

/* As deep as our JSON is, and one deeper: on no stack of the processor's. */
static void test_nesting_of_payloads_is_bounded(void **state)
{
    (void)state;
    for (unsigned depth = LIMIT_JSON_DEPTH; depth <= LIMIT_JSON_DEPTH + 1; depth++) {
        struct buf payload = lite3_of("", "{}");
        struct lite3_fault fault;
        struct lite3_tree tree = {&payload, &fault};
        const struct lite3_bytes array = {.head = {LITE3_ARRAY}, .head_len = 1, .n_zeros = 95};
        const struct view name = view_str("a");
        size_t at = data_at(&payload);
        for (unsigned i = 1; i < depth; i++)
            assert_int_equal(lite3_tree_add(&tree, at, i == 1 ? &name : NULL, &array, &at), 0);
        if (depth > LIMIT_JSON_DEPTH)
            expect_fault(&payload, "too deeply");
        else
            assert_true(look(buf_view(&payload)));
        buf_fini(&payload);
    }
}

static void test_bytes_become_base64(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (uint32_t len = 0; len <= 6; len++) {
        struct buf payload = lite3_of("", "{}");
        struct lite3_fault fault;
        struct lite3_tree tree = {&payload, &fault};
        const struct lite3_bytes bytes = {
            .head = {LITE3_BYTES, (uint8_t)len}, .head_len = 5, .content = view_of("foobar", len)};
        const struct view name = view_str("b");
        char expected[32];
        size_t at;
        assert_int_equal(lite3_tree_add(&tree, data_at(&payload), &name, &bytes, &at), 0);
        snprintf(expected, sizeof(expected), "{\"b\":\"%s\"}", texts[len]);
        expect_message(buf_view(&payload), "[]", expected);
        buf_fini(&payload);
    }
}

TESTS(test_every_byte_changed, test_cut_at_every_length, test_words_replaced_by_offsets,
    test_parts_used_twice_are_refused, test_circles_are_refused,
    test_circles_of_the_root_are_refused, test_trees_that_are_none, test_trees_that_are_too_high,
    test_values_that_are_none, test_keys_that_are_not_utf8, test_keys_whose_tag_is_cut,
    test_shapes_of_a_message, test_nesting_of_payloads_is_bounded, test_bytes_become_base64)
