#include "client/envelope.h"

#include "base/test.h"
#include "client/digits.h"

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

TESTS(test_envelope_has_seq_time_meta_data, test_envelope_shows_data_alone_or_older_names,
    test_envelope_fits_its_room, test_digits_are_those_of_printf)
