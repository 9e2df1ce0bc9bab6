/* Appending: what is refused, in which order, and what is stored. */
#include "abi/abi_test.h"

static plsm_pool_t *pool;

#define FLUSH_FAILED_OFFSET 1052 /* docs/format.md */

static int open_pool(void **state)
{
    (void)state;
    pool = test_pool("append", 65536);
    return 0;
}

static int close_pool(void **state)
{
    (void)state;
    plsm_pool_free(pool);
    return 0;
}

/* Appends with tags; {NULL} is no tag. */
static int append(const char *json, const char **tags, size_t tags_len, uint32_t durability,
    plsm_buf_t *out_message)
{
    return plsm_pool_append_json(pool, (const uint8_t *)json, strlen(json), tags, tags_len,
        durability, out_message, &test_error);
}

/* The message without its seq and time. */
static void check_message(plsm_buf_t *message, const char *expected)
{
    const char *meta = memmem(message->data, message->len, "\"meta\"", 6);
    assert_non_null(meta);
    const size_t len = message->len - (size_t)((const uint8_t *)meta - message->data);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(meta, expected, len);
    plsm_buf_free(message);
}

static void test_what_is_not_json_is_refused(void **state)
{
    (void)state;
    const char *const bad[] = {"", " ", "{", "{\"a\":1,}", "\xef\xbb\xbf{}", "{\"a\":NaN}",
        "{\"a\":\"\\ud800\"}", "{} {}", "{'a':1}", "nul"};
    plsm_buf_t message = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_fails(append(bad[i], NULL, 0, PLSM_FAST, &message), PLSM_ERROR_USAGE, "invalid json");
    check_fails(append("{\"a\":\"\xff\"}", NULL, 0, PLSM_FAST, &message), PLSM_ERROR_USAGE,
        "invalid json utf-8");
    check_fails(
        append("[\xc3(", NULL, 0, PLSM_FAST, &message), PLSM_ERROR_USAGE, "invalid json utf-8");
    assert_null(message.data);
}

static void test_invalid_json_comes_with_its_place(void **state)
{
    (void)state;
    plsm_buf_t message;
    assert_int_equal(append("{\n \"a\": tru }", NULL, 0, PLSM_FAST, &message), -1);
    const char *hint = plsm_error_hint(test_error);
    assert_non_null(hint);
    assert_non_null(strstr(hint, "Line 2, column"));
    check_error(PLSM_ERROR_USAGE, "invalid json");
}

static void test_nesting_ends_at_1024(void **state)
{
    (void)state;
    char json[6 * 1025 + 8];
    plsm_buf_t message = {0};

    for (size_t depth = 1024; depth <= 1025; depth++) {
        char *at = json;
        for (size_t i = 0; i + 1 < depth; i++)
            at = mempcpy(at, "{\"a\":", 5);
        at = mempcpy(at, "{}", 2);
        memset(at, '}', depth - 1);
        at[depth - 1] = '\0';
        if (depth == 1024) {
            check_ok(append(json, NULL, 0, PLSM_FAST, &message));
            plsm_buf_free(&message);
        } else {
            check_fails(
                append(json, NULL, 0, PLSM_FAST, &message), PLSM_ERROR_USAGE, "invalid json");
        }
    }
}

static void test_checks_come_in_order(void **state)
{
    (void)state;
    const char *null_tag[] = {"a", NULL};
    const char *bad_tag[] = {"a", "\xff"};
    plsm_buf_t message;

    check_fails(plsm_pool_append_json(NULL, NULL, 0, null_tag, 2, 9, NULL, &test_error),
        PLSM_ERROR_USAGE, "pool is null");
    check_fails(plsm_pool_append_json(pool, NULL, 0, null_tag, 2, 9, NULL, &test_error),
        PLSM_ERROR_USAGE, "json_bytes is null");
    check_fails(append("[", null_tag, 2, 9, NULL), PLSM_ERROR_USAGE, "invalid json");
    check_fails(append("[]", null_tag, 2, 9, NULL), PLSM_ERROR_USAGE, "tags contains null");
    check_fails(append("[]", bad_tag, 2, 9, NULL), PLSM_ERROR_USAGE, "tags invalid UTF-8");
    check_fails(append("[]", bad_tag, 1, 9, NULL), PLSM_ERROR_USAGE, "invalid durability");
    check_fails(append("[]", NULL, 7, 2, NULL), PLSM_ERROR_USAGE, "invalid durability");
    check_fails(append("[]", NULL, 0, 1, NULL), PLSM_ERROR_USAGE, "data must be object");
    check_fails(append("\"{}\"", NULL, 0, 1, NULL), PLSM_ERROR_USAGE, "data must be object");
    check_fails(append("{}", NULL, 0, 1, NULL), PLSM_ERROR_USAGE, "out_message is null");
    check_fails(plsm_pool_get_json(pool, 1, &message, &test_error), PLSM_ERROR_NOT_FOUND,
        "message not found"); /* nothing of all this was stored */
}

static void test_data_is_kept_as_written_but_compact(void **state)
{
    (void)state;
    plsm_buf_t message;
    check_ok(
        append(" { \"b\" : 1E5 , \"a\" : [ -0 , 18446744073709551616 ] ,\n\"b\":\"\\u0041 \" } ",
            NULL, 0, PLSM_FAST, &message));
    check_message(&message,
        "\"meta\":{\"tags\":[]},\"data\":{\"b\":1E5,\"a\":[-0,18446744073709551616],"
        "\"b\":\"\\u0041 \"}}");
}

static void test_message_begins_with_seq_and_time(void **state)
{
    (void)state;
    plsm_buf_t message;
    unsigned long long seq;
    unsigned year;
    int end = 0;
    check_ok(append("{}", NULL, 0, PLSM_FAST, &message));
    char text[128] = {0};
    memcpy(text, message.data, message.len < 127 ? message.len : 127);
    assert_int_equal(
        sscanf(text, "{\"seq\":%llu,\"time\":\"%4u-%*2u-%*2uT%*2u:%*2u:%*[0-9.]Z\",\"meta\":%n",
            &seq, &year, &end),
        2);
    assert_true(end > 0 && seq == 1 && year >= 2024);
    plsm_buf_free(&message);
}

static void test_tags_are_kept_in_order(void **state)
{
    (void)state;
    const char *tags[] = {"b", "", "a", "b", "quote\" back\\ tab\t \x01 \x7f \xc3\xa9"};
    plsm_buf_t message;
    check_ok(append("{}", tags, 5, PLSM_FAST, &message));
    check_message(&message,
        "\"meta\":{\"tags\":[\"b\",\"\",\"a\",\"b\",\"quote\\\" back\\\\ tab\\t \\u0001 \x7f "
        "\xc3\xa9\"]},\"data\":{}}");
    check_ok(append("{}", tags, 0, PLSM_FAST, &message));
    check_message(&message, "\"meta\":{\"tags\":[]},\"data\":{}}");
    check_ok(append("{}", NULL, 5, PLSM_FAST, &message));
    check_message(&message, "\"meta\":{\"tags\":[]},\"data\":{}}");
}

static void test_tags_have_a_limit(void **state)
{
    (void)state;
    static char longest[65533];
    const char *tags[] = {longest, "more"};
    plsm_buf_t message;
    plsm_pool_t *small = pool;

    pool = test_pool("tags", 1 << 20);
    memset(longest, 'x', sizeof(longest) - 1);
    check_fails(
        append("{}", tags, 2, PLSM_FAST, &message), PLSM_ERROR_USAGE, "tags exceed 65535 bytes");
    longest[65531] = '\0'; /* with brackets and quotes: 65535 */
    check_ok(append("{}", tags, 1, PLSM_FAST, &message));
    plsm_buf_free(&message);
    plsm_pool_free(pool);
    pool = small;
}

static void test_message_larger_than_the_ring_is_refused(void **state)
{
    (void)state;
    static char json[70000];
    plsm_buf_t message;
    memset(json, 'x', sizeof(json) - 1);
    memcpy(json, "{\"a\":\"", 6);
    memcpy(json + sizeof(json) - 3, "\"}", 3);
    check_fails(append(json, NULL, 0, PLSM_FAST, &message), PLSM_ERROR_USAGE,
        "payload exceeds ring capacity");
    check_fails(
        append(json, NULL, 0, PLSM_FAST, NULL), PLSM_ERROR_USAGE, "payload exceeds ring capacity");
    for (int i = 0; i < 20; i++) { /* several of 4 KiB fit */
        memset(json, 'y', 4096);
        memcpy(json, "{\"a\":\"", 6);
        memcpy(json + 4094, "\"}", 3);
        check_ok(append(json, NULL, 0, PLSM_FAST, &message));
        plsm_buf_free(&message);
    }
}

static void test_flush_gives_a_message_too(void **state)
{
    (void)state;
    plsm_buf_t message;
    check_ok(append("{\"a\":1}", NULL, 0, PLSM_FLUSH, &message));
    assert_int_equal(test_seq(&message), 1);
    check_message(&message, "\"meta\":{\"tags\":[]},\"data\":{\"a\":1}}");
}

static void test_batch_is_stored_in_order_and_at_once(void **state)
{
    (void)state;
    const char *tags[] = {"x", "y"};
    const plsm_input_t inputs[] = {
        {(const uint8_t *)"{\"n\": 1}", 8, NULL, 0, 0},
        {(const uint8_t *)"{\"n\": 2}", 8, tags, 2, 0},
        {(const uint8_t *)"{\"n\": 3}", 8, tags, 1, 0},
    };
    const char *const expected[] = {"\"meta\":{\"tags\":[]},\"data\":{\"n\":1}}",
        "\"meta\":{\"tags\":[\"x\",\"y\"]},\"data\":{\"n\":2}}",
        "\"meta\":{\"tags\":[\"x\"]},\"data\":{\"n\":3}}"};
    uint64_t first_seq = 0;

    test_append(pool, 0);
    check_ok(plsm_pool_append_batch(pool, inputs, 3, PLSM_FLUSH, &first_seq, &test_error));
    assert_int_equal(first_seq, 2);
    for (uint64_t i = 0; i < 3; i++) {
        plsm_buf_t message;
        check_ok(plsm_pool_get_json(pool, first_seq + i, &message, &test_error));
        check_message(&message, expected[i]);
    }
    check_ok(plsm_pool_append_batch(pool, inputs, 1, PLSM_FAST, NULL, &test_error));
}

static void test_batch_with_one_bad_input_stores_nothing(void **state)
{
    (void)state;
    plsm_input_t inputs[3] = {
        {(const uint8_t *)"{}", 2, NULL, 0, 0},
        {(const uint8_t *)"{}", 2, NULL, 0, 0},
        {(const uint8_t *)"[]", 2, NULL, 0, 0},
    };
    uint64_t seq = 77;
    plsm_buf_t message;

    check_fails(plsm_pool_append_batch(pool, inputs, 3, 0, &seq, &test_error), PLSM_ERROR_USAGE,
        "inputs[2]: data must be object");
    inputs[1].json = NULL;
    check_fails(plsm_pool_append_batch(pool, inputs, 3, 0, &seq, &test_error), PLSM_ERROR_USAGE,
        "inputs[1]: json_bytes is null");
    check_fails(plsm_pool_append_batch(pool, inputs, 0, 0, &seq, &test_error), PLSM_ERROR_USAGE,
        "a batch has 1 to 4096 messages, not 0");
    check_fails(plsm_pool_append_batch(pool, inputs, 4097, 0, &seq, &test_error), PLSM_ERROR_USAGE,
        "a batch has 1 to 4096 messages, not 4097");
    check_fails(plsm_pool_append_batch(pool, NULL, 1, 0, &seq, &test_error), PLSM_ERROR_USAGE,
        "inputs is null");
    check_fails(plsm_pool_append_batch(NULL, NULL, 1, 0, &seq, &test_error), PLSM_ERROR_USAGE,
        "pool is null");
    assert_int_equal(seq, 77);
    check_fails(plsm_pool_get_json(pool, 1, &message, &test_error), PLSM_ERROR_NOT_FOUND,
        "message not found");
}

static void test_batch_may_carry_times(void **state)
{
    (void)state;
    const plsm_input_t inputs[] = {
        {(const uint8_t *)"{}", 2, NULL, 0, 1000000000},
        {(const uint8_t *)"{}", 2, NULL, 0, 1500000000},
    };
    const char *expected =
        "{\"seq\":2,\"time\":\"1970-01-01T00:00:01.5Z\",\"meta\":{\"tags\":[]},\"data\":{}}";
    plsm_buf_t message;
    check_ok(plsm_pool_append_batch(pool, inputs, 2, PLSM_FAST, NULL, &test_error));
    check_ok(plsm_pool_get_json(pool, 2, &message, &test_error));
    assert_int_equal(message.len, strlen(expected));
    assert_memory_equal(message.data, expected, message.len);
    plsm_buf_free(&message);
}

/* Whoever is told of it must not append again. */
static void test_what_is_not_flushed_is_stored(void **state)
{
    (void)state;
    const uint32_t failed = 1;
    plsm_buf_t message;
    uint64_t seq = 0;
    const int fd = open(test_path("append"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    check_ok(plsm_pool_append_json_seq(
        pool, (const uint8_t *)"{}", 2, NULL, 0, PLSM_FLUSH, &seq, NULL, &test_error));
    assert_int_equal(pwrite(fd, &failed, sizeof(failed), FLUSH_FAILED_OFFSET), sizeof(failed));
    close(fd);

    assert_int_equal(append("{\"n\":2}", NULL, 0, PLSM_FLUSH, &message), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_IO);
    assert_true(test_error->has_seq);
    assert_int_equal(test_error->seq, 2);
    assert_non_null(strstr(plsm_error_hint(test_error), "is stored"));
    plsm_error_free(test_error);
    test_error = NULL;
    check_ok(plsm_pool_get_json(pool, 2, &message, &test_error));
    plsm_buf_free(&message);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, open_pool, close_pool)
    const struct CMUnitTest tests[] = {
        EACH(test_what_is_not_json_is_refused),
        EACH(test_invalid_json_comes_with_its_place),
        EACH(test_nesting_ends_at_1024),
        EACH(test_checks_come_in_order),
        EACH(test_data_is_kept_as_written_but_compact),
        EACH(test_message_begins_with_seq_and_time),
        EACH(test_tags_are_kept_in_order),
        EACH(test_tags_have_a_limit),
        EACH(test_message_larger_than_the_ring_is_refused),
        EACH(test_flush_gives_a_message_too),
        EACH(test_what_is_not_flushed_is_stored),
        EACH(test_batch_is_stored_in_order_and_at_once),
        EACH(test_batch_with_one_bad_input_stores_nothing),
        EACH(test_batch_may_carry_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
