#include "client/envelope.h"

#include "base/digits.h"
#include "base/test.h"
#include "engine/pool_test.h"
#include "json/lite3.h"

static void check_text(struct envelope envelope, struct frame frame, const char *expected)
{
    uint8_t out[512];
    assert_true(envelope_size(&frame) <= sizeof(out));
    const size_t len = envelope_put(&envelope, &frame, out);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

static const struct frame plain = {
    .seq = 7, .time_ns = 1767323045600000000, .data = {(const uint8_t *)"{\"k\":1}", 7}};

static void test_envelope_has_seq_time_meta_data(void **state)
{
    (void)state;
    struct frame tagged = plain;
    tagged.tags = view_str("[\"a\",\"a\"]");
    check_text((struct envelope){0}, plain,
        "{\"seq\":7,\"time\":\"2026-01-02T03:04:05.6Z\",\"meta\":{\"tags\":[]},\"data\":{\"k\":1}"
        "}");
    check_text((struct envelope){0}, tagged,
        "{\"seq\":7,\"time\":\"2026-01-02T03:04:05.6Z\",\"meta\":{\"tags\":[\"a\",\"a\"]},"
        "\"data\":{\"k\":1}}");
}

static void test_envelope_shows_data_alone_or_older_names(void **state)
{
    (void)state;
    check_text((struct envelope){.data_only = true}, plain, "{\"k\":1}");
    check_text((struct envelope){.descrips = true}, plain,
        "{\"seq\":7,\"time\":\"2026-01-02T03:04:05.6Z\",\"meta\":{\"descrips\":[]},"
        "\"data\":{\"k\":1}}");
}

static void test_envelope_fits_its_room(void **state)
{
    (void)state;
    const struct frame longest = {.seq = UINT64_MAX, .time_ns = UINT64_MAX};
    struct envelope envelope = {.descrips = true};
    uint8_t out[ENVELOPE_ROOM];
    assert_true(envelope_put(&envelope, &longest, out) <= sizeof(out));
}

static void test_digits_are_those_of_printf(void **state)
{
    (void)state;
    for (uint64_t value = 0, step = 0; step < 300; step++) {
        char expected[32];
        uint8_t out[DIGITS_MAX];
        snprintf(expected, sizeof(expected), "%llu", (unsigned long long)value);
        assert_int_equal(digits_put(out, value), strlen(expected));
        assert_memory_equal(out, expected, strlen(expected));
        value = step < 150 ? value + 1 : value * 3 + step;
    }
}

static void test_envelope_shows_lite3_as_json(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("lite3", 65536);
    scoped(buf_fini) struct buf payload = {0};
    scoped(buf_fini) struct buf text = {0};
    struct lite3_fault fault;
    struct appended appended;
    struct frame frame;

    assert_int_equal(
        lite3_from_json(view_str("[\"a\"]"), view_str("{\"k\":[1.50]}"), &payload, &fault), 0);
    const struct message messages[] = {
        {.tags = view_str("[\"a\"]"), .data = buf_view(&payload), .encoding = ENCODING_LITE3},
        {.data = view_str("{\"k\":2}")},
        {.data = view_of(payload.data, 200), .encoding = ENCODING_LITE3},
    };
    check_ok(pool_append(pool, messages, 3, &appended, &test_error));

    check_ok(pool_get(pool, 1, &frame, &test_error));
    check_ok(envelope_json(pool, &frame, &text, &test_error));
    check_text((struct envelope){.data_only = true}, frame, "{\"k\":[1.5]}");
    check_ok(pool_get(pool, 2, &frame, &test_error));
    const struct view stored = frame.data;
    check_ok(envelope_json(pool, &frame, &text, &test_error));
    assert_ptr_equal(frame.data.data, stored.data); /* JSON stays where it is */

    check_ok(pool_get(pool, 3, &frame, &test_error));
    assert_int_equal(envelope_json(pool, &frame, &text, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
    assert_int_equal(test_error->seq, 3);
    assert_non_null(strstr(test_error->path, "lite3"));
    plsm_error_free(test_error);
    test_error = NULL;
}

/* What is read while it is overwritten may be anything: that is no damage. */
static void test_envelope_knows_what_was_overwritten(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool("lost", 8192);
    scoped(buf_fini) struct buf text = {0};
    const struct message message = {.data = view_str("gone"), .encoding = ENCODING_LITE3};
    struct appended appended;
    struct frame frame;

    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    check_ok(pool_get(pool, 1, &frame, &test_error));
    for (int i = 0; i < 500; i++)
        test_append(pool, "{\"n\":1}");
    assert_int_equal(envelope_json(pool, &frame, &text, &test_error), ENVELOPE_LOST);
    assert_null(test_error);
}

TESTS(test_envelope_has_seq_time_meta_data, test_envelope_shows_data_alone_or_older_names,
    test_envelope_fits_its_room, test_digits_are_those_of_printf, test_envelope_shows_lite3_as_json,
    test_envelope_knows_what_was_overwritten)
