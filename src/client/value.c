#include "client/value.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define BLANKS " \t\n\v\f\r"

/* Text without the blanks around it. */
struct trimmed {
    const char *text;
    size_t len;
};

static struct trimmed value_trim(const char *text)
{
    text += strspn(text, BLANKS);
    size_t len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
        len--;
    return (struct trimmed){text, len};
}

/* Reads leading digits; *out_used is how many there are. false: they do not fit 64 bits. */
static bool value_digits(struct trimmed text, uint64_t *out_number, size_t *out_used)
{
    uint64_t number = 0;
    size_t i = 0;
    for (; i < text.len && text.text[i] >= '0' && text.text[i] <= '9'; i++)
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.text[i] - '0'), &number))
            return false;
    *out_number = number;
    *out_used = i;
    return true;
}

static int value_size_error(const char *message, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "%s", message);
    return error_hint(err, "Use bytes or a suffix K, M or G, for example 64K, 8M or 1G.");
}

int value_size(const char *text, uint64_t *out_bytes, plsm_error_t **err)
{
    const struct trimmed size = value_trim(text);
    uint64_t number = 0;
    size_t used = 0;
    uint64_t unit = 1;

    if (!value_digits(size, &number, &used))
        return value_size_error("size overflow", err);
    if (used == 0)
        return value_size_error("invalid size", err);
    if (size.len - used > 1)
        return value_size_error("invalid size suffix", err);
    if (size.len - used == 1) {
        switch (size.text[used]) {
        case 'k':
        case 'K': unit = UINT64_C(1) << 10; break;
        case 'm':
        case 'M': unit = UINT64_C(1) << 20; break;
        case 'g':
        case 'G': unit = UINT64_C(1) << 30; break;
        default: return value_size_error("invalid size suffix", err);
        }
    }
    if (__builtin_mul_overflow(number, unit, out_bytes))
        return value_size_error("size overflow", err);
    return 0;
}

static int value_duration_error(plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "invalid duration");
    return error_hint(err, "Use a number with a unit: 500ms, 5s, 10m or 1h.");
}

int value_duration(const char *text, uint64_t *out_ms, plsm_error_t **err)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    uint64_t number = 0;
    size_t used = 0;

    if (!value_digits((struct trimmed){text, strlen(text)}, &number, &used) || used == 0)
        return value_duration_error(err);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(text + used, units[i].name) == 0)
            return __builtin_mul_overflow(number, units[i].ms, out_ms) ? value_duration_error(err)
                                                                       : 0;
    return value_duration_error(err);
}

static uint64_t value_since_unit_s(char letter)
{
    switch (letter) {
    case 's':
    case 'S': return 1;
    case 'm':
    case 'M': return 60;
    case 'h':
    case 'H': return 3600;
    case 'd':
    case 'D': return 86400;
    default: return 0;
    }
}

int value_since(const char *text, uint64_t now_ns, uint64_t *out_time_ns, plsm_error_t **err)
{
    const struct trimmed since = value_trim(text);
    uint64_t number = 0;
    size_t used = 0;
    const bool fits = value_digits(since, &number, &used);

    if (fits && used > 0 && used + 1 == since.len && value_since_unit_s(since.text[used]) != 0) {
        uint64_t ns = 0;
        const bool overflow =
            __builtin_mul_overflow(number, value_since_unit_s(since.text[used]), &ns) ||
            __builtin_mul_overflow(ns, NS_PER_SECOND, &ns);
        *out_time_ns = overflow || ns > now_ns ? 0 : now_ns - ns;
        return 0;
    }
    if (clock_parse(since.text, since.len, out_time_ns))
        return 0;
    error_set(err, PLSM_ERROR_USAGE, "invalid --since value");
    return error_hint(
        err, "Use a time before now such as 10m, 2h or 7d, or RFC 3339: 2026-01-02T03:04:05Z.");
}
