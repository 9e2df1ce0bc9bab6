/* What users write for times, sizes and durations: read as the C library's calendar and wide
 * arithmetic would read it; and times as they are shown, which read back as the same. The first
 * eight bytes of an input are a time, all of it is text. */
#include "client/value.h"

#include "base/clock.h"
#include "base/scoped.h"
#include "tests/fuzz/check.h"

#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 256 };

/* The text ends outside of the string: clock_parse() is given a length. */
static bool parse_exact(const char *text, size_t len, uint64_t *out_time_ns)
{
    const struct view copy = bytes_copy(view_of(text, len));
    const bool parsed = clock_parse((const char *)copy.data, len, out_time_ns);
    bytes_free(copy);
    return parsed;
}

static void check_shown(uint64_t time_ns)
{
    char text[CLOCK_TEXT_MAX], expected[CLOCK_TEXT_MAX];
    const time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
    struct tm date;
    uint64_t again = 0;

    const size_t len = clock_format(time_ns, text);
    check(len >= 20 && len <= sizeof(text) && text[len - 1] == 'Z');
    check(parse_exact(text, len, &again));
    check(again == time_ns || time_ns / NS_PER_SECOND >= UINT64_MAX / NS_PER_SECOND);
    check(gmtime_r(&seconds, &date) != NULL);
    check(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &date) == 19);
    check(memcmp(text, expected, 19) == 0);
}

static int digits(const char *text, int n)
{
    int number = 0;
    for (int i = 0; i < n; i++) {
        check(text[i] >= '0' && text[i] <= '9');
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

/* RFC 3339 has its fields at fixed places, up to the fraction. */
static void check_parsed(const char *text, size_t len, uint64_t time_ns)
{
    struct tm date = {.tm_year = digits(text, 4) - 1900,
        .tm_mon = digits(text + 5, 2) - 1,
        .tm_mday = digits(text + 8, 2),
        .tm_hour = digits(text + 11, 2),
        .tm_min = digits(text + 14, 2),
        .tm_sec = digits(text + 17, 2)};
    const struct tm given = date;
    const char *zone = text + len;
    long long fraction = 0, unit = 100000000;

    check(len >= 20);
    while (zone > text + 19 && strchr("Zz+-", *--zone) == NULL)
        continue;
    for (const char *at = text + 20; at < zone; at++, unit /= 10)
        fraction += digits(at, 1) * unit;
    long long seconds = timegm(&date);
    check(given.tm_sec == 60 || (given.tm_mday == date.tm_mday && given.tm_mon == date.tm_mon));
    if (*zone == '+' || *zone == '-')
        seconds -=
            (*zone == '-' ? -1LL : 1LL) * (digits(zone + 1, 2) * 60 + digits(zone + 4, 2)) * 60;
    const __int128 expected = (__int128)seconds * 1000000000 + fraction;
    if (seconds < 0)
        check(time_ns == 0);
    else if (expected <= UINT64_MAX - NS_PER_SECOND)
        check(time_ns == (uint64_t)expected);
    else
        check(time_ns >= UINT64_MAX - 2 * NS_PER_SECOND);
}

static void check_time(const char *text, size_t len)
{
    uint64_t time_ns = 0;
    if (!parse_exact(text, len, &time_ns))
        return;
    check_parsed(text, len, time_ns);
    check_shown(time_ns);
}

/* A number and what follows it; false: too large for 128 bits less a little. */
static bool take_number(const char **text, __int128 *out_number)
{
    *out_number = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        if (*out_number > (__int128)1 << 100)
            return false;
        *out_number = *out_number * 10 + (**text - '0');
    }
    return true;
}

static void check_refused(int r, plsm_error_t *error)
{
    check((r < 0) == (error != NULL));
    if (error == NULL)
        return;
    check(error->kind == PLSM_ERROR_USAGE && error->message[0] != '\0');
    check(error_hint_of(error) != NULL);
    plsm_error_free(error);
}

static void check_size(const char *text)
{
    plsm_error_t *error = NULL;
    uint64_t bytes = 0;
    __int128 number = 0;

    const int r = value_size(text, &bytes, &error);
    check_refused(r, error);
    if (r < 0)
        return;
    text += strspn(text, " \t\n\v\f\r");
    check(*text >= '0' && *text <= '9' && take_number(&text, &number));
    const char *unit = *text == '\0' ? "" : strchr("kKmMgG", *text);
    check(unit != NULL || strspn(text, " \t\n\v\f\r") == strlen(text));
    if (unit != NULL && *unit != '\0')
        number <<= strchr("kK", *unit) != NULL ? 10 : strchr("mM", *unit) != NULL ? 20 : 30;
    check(number == bytes);
}

static void check_duration(const char *text)
{
    plsm_error_t *error = NULL;
    uint64_t ms = 0;
    __int128 number = 0;

    const int r = value_duration(text, &ms, &error);
    check_refused(r, error);
    if (r < 0)
        return;
    check(*text >= '0' && *text <= '9' && take_number(&text, &number));
    number *= strcmp(text, "ms") == 0  ? 1
              : strcmp(text, "s") == 0 ? 1000
              : strcmp(text, "m") == 0 ? 60000
                                       : 3600000;
    check(number == ms);
    check(strcmp(text, "ms") == 0 || (strlen(text) == 1 && strchr("smh", *text) != NULL));
}

static void check_since(const char *text, uint64_t now_ns)
{
    plsm_error_t *error = NULL;
    uint64_t time_ns = 0;

    const int r = value_since(text, now_ns, &time_ns, &error);
    check_refused(r, error);
    if (r == 0 && strchr(text, '-') == NULL)
        check(time_ns <= now_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view input = view_of(data, size);

    if (size > TEXT_MAX)
        return 0;
    char *text = bytes_string(input);
    const uint64_t time_ns = input_number(&input, sizeof(time_ns));
    check_shown(time_ns);
    if (size > 0)
        check_time((const char *)data, size);
    check_size(text);
    check_duration(text);
    check_since(text, time_ns);
    free(text);
    return 0;
}
