#include "client/value.h"

#include "base/clock.h"
#include "base/test.h"

typedef int value_parser(const char *text, uint64_t *out, plsm_error_t **err);

static void check_value(value_parser *parse, const char *text, uint64_t expected)
{
    uint64_t value = 0;
    assert_int_equal(parse(text, &value, NULL), 0);
    assert_true(value == expected);
}

static void check_refused(value_parser *parse, const char *text, const char *message)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    uint64_t value = 0;
    assert_int_equal(parse(text, &value, &err), -1);
    assert_int_equal(err->kind, PLSM_ERROR_USAGE);
    assert_string_equal(err->message, message);
    assert_non_null(error_hint_of(err));
}

static void test_sizes(void **state)
{
    (void)state;
    check_value(value_size, "4096", 4096);
    check_value(value_size, "64K", 65536);
    check_value(value_size, " 8m ", 8u << 20);
    check_value(value_size, "3G", UINT64_C(3) << 30);
    check_refused(value_size, "", "invalid size");
    check_refused(value_size, "K", "invalid size");
    check_refused(value_size, "-1", "invalid size");
    check_refused(value_size, "1KiB", "invalid size suffix");
    check_refused(value_size, "1MB", "invalid size suffix");
    check_refused(value_size, "1T", "invalid size suffix");
    check_refused(value_size, "99999999999999999999", "size overflow");
    check_refused(value_size, "18446744073709551615G", "size overflow");
}

static void test_durations(void **state)
{
    (void)state;
    check_value(value_duration, "0ms", 0);
    check_value(value_duration, "250ms", 250);
    check_value(value_duration, "5s", 5000);
    check_value(value_duration, "10m", 600000);
    check_value(value_duration, "2h", 7200000);
    static const char *const bad[] = {
        "", "5", "s", "5S", "5 s", " 5s", "-5s", "1.5s", "5d", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_refused(value_duration, bad[i], "invalid duration");
}

static int parse_since(const char *text, uint64_t *out, plsm_error_t **err)
{
    return value_since(text, 1000 * NS_PER_SECOND, out, err);
}

static void test_moments(void **state)
{
    (void)state;
    check_value(parse_since, "10s", 990 * NS_PER_SECOND);
    check_value(parse_since, " 10M ", 400 * NS_PER_SECOND);
    check_value(parse_since, "1h", 0);
    check_value(parse_since, "99999999999999d", 0);
    check_value(parse_since, "1970-01-01T00:00:10.5Z", 10 * NS_PER_SECOND + 500000000);
    check_value(parse_since, "1970-01-01T01:00:10+01:00", 10 * NS_PER_SECOND);
    check_value(parse_since, "1960-01-01T00:00:00Z", 0);
    static const char *const bad[] = {"", "10", "10ms", "yesterday", "2026-01-02", "10s5", "-5m"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_refused(parse_since, bad[i], "invalid --since value");
}

TESTS(test_sizes, test_durations, test_moments)
