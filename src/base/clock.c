#include "base/clock.h"

#include "base/digits.h"

#include <ctype.h>
#include <string.h>

#define SECONDS_PER_DAY 86400

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;
    if (clock_gettime(id, &now) != 0 || now.tv_sec < 0)
        return 0;
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_deadline_ns(uint64_t timeout_ms)
{
    const uint64_t now_ns = clock_monotonic_ns();
    if (timeout_ms > (DEADLINE_NEVER - now_ns) / NS_PER_MS)
        return DEADLINE_NEVER;
    return now_ns + timeout_ms * NS_PER_MS;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back: Howard
 * Hinnant's "chrono-compatible low-level date algorithms" (days_from_civil, civil_from_days),
 * for years that are not negative. */
static int64_t clock_days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    const int64_t era = year / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void clock_date_of(int64_t days, unsigned *out_year, unsigned *out_month, unsigned *out_day)
{
    days += 719468;
    const int64_t era = days / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted_month = (5 * day_of_year + 2) / 153;

    *out_day = (unsigned)(day_of_year - (153 * shifted_month + 2) / 5 + 1);
    *out_month = (unsigned)(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
    *out_year = (unsigned)(year_of_era + era * 400 + (*out_month <= 2));
}

/* Writes a number below 100 in two digits, and returns where it ends. */
static char *clock_put_pair(char *out, uint64_t value)
{
    return mempcpy(out, digits_pairs + value * 2, 2);
}

#define SECOND_LEN 20 /* "2026-01-02T03:04:05." */

/* Writes the text of a whole second, with the point behind it. */
static void clock_put_second(char out[static SECOND_LEN], uint64_t seconds)
{
    const uint64_t second_of_day = seconds % SECONDS_PER_DAY;
    unsigned year = 0, month = 0, day = 0;

    clock_date_of((int64_t)(seconds / SECONDS_PER_DAY), &year, &month, &day);
    out = clock_put_pair(out, year / 100); /* 64 bits of ns end in 2554: four digits */
    out = clock_put_pair(out, year % 100);
    *out++ = '-';
    out = clock_put_pair(out, month);
    *out++ = '-';
    out = clock_put_pair(out, day);
    *out++ = 'T';
    out = clock_put_pair(out, second_of_day / 3600);
    *out++ = ':';
    out = clock_put_pair(out, second_of_day / 60 % 60);
    *out++ = ':';
    out = clock_put_pair(out, second_of_day % 60);
    *out = '.';
}

size_t clock_format(uint64_t time_ns, char out[static CLOCK_TEXT_MAX])
{
    static _Thread_local struct {
        uint64_t next_second; /* the one after that of the text; 0 while there is none */
        char text[SECOND_LEN];
    } cache;

    const uint64_t seconds = time_ns / NS_PER_SECOND;
    const uint32_t fraction = (uint32_t)(time_ns % NS_PER_SECOND);
    const uint32_t high = fraction / 10000; /* 5 digits, 4 are below */
    const uint32_t low = fraction % 10000;

    if (cache.next_second != seconds + 1) {
        clock_put_second(cache.text, seconds);
        cache.next_second = seconds + 1;
    }
    memcpy(out, cache.text, SECOND_LEN);
    out[SECOND_LEN] = (char)('0' + high / 10000);
    clock_put_pair(out + SECOND_LEN + 1, high / 100 % 100);
    clock_put_pair(out + SECOND_LEN + 3, high % 100);
    clock_put_pair(out + SECOND_LEN + 5, low / 100);
    clock_put_pair(out + SECOND_LEN + 7, low % 100);

    size_t len = SECOND_LEN + 9;
    while (out[len - 1] == '0' && len > SECOND_LEN)
        len--;
    if (len == SECOND_LEN)
        len--; /* nor is there a point */
    out[len++] = 'Z';
    return len;
}

/* Reads exactly n_digits decimal digits at *offset and moves it behind them. */
static bool clock_take(
    const char *text, size_t len, size_t *offset, int n_digits, int64_t *out_value)
{
    int64_t value = 0;
    for (int i = 0; i < n_digits; i++) {
        if (*offset >= len || !isdigit((unsigned char)text[*offset]))
            return false;
        value = value * 10 + (text[(*offset)++] - '0');
    }
    *out_value = value;
    return true;
}

static bool clock_take_char(const char *text, size_t len, size_t *offset, const char *allowed)
{
    if (*offset >= len || strchr(allowed, text[*offset]) == NULL || text[*offset] == '\0')
        return false;
    (*offset)++;
    return true;
}

static int64_t clock_days_in_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* Reads ".123": any number of digits, those after the ninth are dropped. */
static bool clock_take_fraction(const char *text, size_t len, size_t *offset, int64_t *out_ns)
{
    int64_t ns = 0;
    int64_t unit = (int64_t)NS_PER_SECOND / 10;
    if (*offset >= len || !isdigit((unsigned char)text[*offset]))
        return false;
    while (*offset < len && isdigit((unsigned char)text[*offset])) {
        ns += (text[(*offset)++] - '0') * unit;
        unit /= 10;
    }
    *out_ns = ns;
    return true;
}

/* Reads "Z" or "+01:30" and gives the offset from UTC in seconds. */
static bool clock_take_zone(const char *text, size_t len, size_t *offset, int64_t *out_seconds)
{
    int64_t hours = 0, minutes = 0;

    *out_seconds = 0;
    if (clock_take_char(text, len, offset, "Zz"))
        return true;
    if (!clock_take_char(text, len, offset, "+-"))
        return false;
    const int64_t sign = text[*offset - 1] == '-' ? -1 : 1;
    if (!clock_take(text, len, offset, 2, &hours) || !clock_take_char(text, len, offset, ":") ||
        !clock_take(text, len, offset, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *out_seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool clock_parse(const char *text, size_t len, uint64_t *out_time_ns)
{
    int64_t year, month, day, hour, minute, second, zone, fraction_ns = 0;
    size_t at = 0;

    if (!clock_take(text, len, &at, 4, &year) || !clock_take_char(text, len, &at, "-") ||
        !clock_take(text, len, &at, 2, &month) || !clock_take_char(text, len, &at, "-") ||
        !clock_take(text, len, &at, 2, &day) || !clock_take_char(text, len, &at, "Tt ") ||
        !clock_take(text, len, &at, 2, &hour) || !clock_take_char(text, len, &at, ":") ||
        !clock_take(text, len, &at, 2, &minute) || !clock_take_char(text, len, &at, ":") ||
        !clock_take(text, len, &at, 2, &second))
        return false;
    if (clock_take_char(text, len, &at, ".") && !clock_take_fraction(text, len, &at, &fraction_ns))
        return false;
    if (!clock_take_zone(text, len, &at, &zone) || at != len)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > clock_days_in_month(year, month) || hour > 23 ||
        minute > 59 || second > 60) /* 60: a leap second, counted as the next minute's first */
        return false;

    const int64_t seconds = clock_days_of(year, month, day) * SECONDS_PER_DAY + hour * 3600 +
                            minute * 60 + second - zone;
    if (seconds < 0) {
        *out_time_ns = 0;
        return true;
    }
    if ((uint64_t)seconds > UINT64_MAX / NS_PER_SECOND - 1) {
        *out_time_ns = UINT64_MAX;
        return true;
    }
    *out_time_ns = (uint64_t)seconds * NS_PER_SECOND + (uint64_t)fraction_ns;
    return true;
}
