#include "base/clock.h"
#include "base/test.h"

static void check_format(uint64_t time_ns, const char *expected)
{
    char text[CLOCK_TEXT_MAX + 1];
    const size_t len = clock_format(time_ns, text);
    text[len] = '\0';
    assert_string_equal(text, expected);
    uint64_t back = 0;
    assert_true(clock_parse(text, len, &back));
    assert_int_equal(back, time_ns);
}

static void test_clock_formats_and_parses_back(void **state)
{
    (void)state;
    check_format(0, "1970-01-01T00:00:00Z");
    check_format(1, "1970-01-01T00:00:00.000000001Z");
    check_format(UINT64_C(951782400) * NS_PER_SECOND, "2000-02-29T00:00:00Z");
    check_format(UINT64_C(1709251199) * NS_PER_SECOND + 600000000, "2024-02-29T23:59:59.6Z");
    check_format(UINT64_C(4107542400) * NS_PER_SECOND, "2100-03-01T00:00:00Z");
    check_format(UINT64_C(1764158077) * NS_PER_SECOND + 296548290, "2025-11-26T11:54:37.29654829Z");
    check_format(UINT64_C(1764158077) * NS_PER_SECOND + 100000000, "2025-11-26T11:54:37.1Z");
    check_format(UINT64_C(1764158077) * NS_PER_SECOND + 20304, "2025-11-26T11:54:37.000020304Z");
    check_format(UINT64_C(1764158076) * NS_PER_SECOND + 100, "2025-11-26T11:54:36.0000001Z");
    check_format(UINT64_MAX, "2554-07-21T23:34:33.709551615Z");
}

static uint64_t parse(const char *text)
{
    uint64_t time_ns = 0;
    assert_true(clock_parse(text, strlen(text), &time_ns));
    return time_ns;
}

static void test_clock_parses_offsets_and_fractions(void **state)
{
    (void)state;
    assert_int_equal(parse("2026-01-01T01:30:00+01:30"), parse("2026-01-01T00:00:00Z"));
    assert_int_equal(parse("2025-12-31T20:00:00-04:00"), parse("2026-01-01T00:00:00z"));
    assert_int_equal(
        parse("2026-01-01t00:00:00.1234567899Z"), parse("2026-01-01T00:00:00Z") + 123456789);
    assert_int_equal(parse("1969-12-31T23:59:59Z"), 0);
    assert_int_equal(parse("0001-01-01T00:00:00Z"), 0);
    assert_int_equal(parse("2554-01-01T00:00:00Z"), UINT64_C(18429292800000000000));
    assert_true(parse("2999-01-01T00:00:00Z") == UINT64_MAX);
    assert_true(parse("9999-12-31T23:59:59.999Z") == UINT64_MAX);
}

static void test_clock_refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "2026", "2026-01-01", "2026-01-01T00:00:00",
        "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z",
        "2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00Zx", "10000-01-01T00:00:00Z",
        "2026-1-01T00:00:00Z", " 2026-01-01T00:00:00Z"};
    uint64_t time_ns = 42;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (clock_parse(bad[i], strlen(bad[i]), &time_ns))
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(time_ns, 42);
}

TESTS(test_clock_formats_and_parses_back, test_clock_parses_offsets_and_fractions,
    test_clock_refuses_what_is_no_time)
