/* JSON numbers as doubles and integers.
 *
 * Most numbers have at most 19 digits and a small power of ten: they are exact as a product or
 * a quotient of two doubles (both below 2^53 or a power of ten up to 10^22), so one rounding
 * gives the nearest double. The rest goes to strtod in the C locale, from a copy on the stack. */
#include "json/span.h"

#include <float.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Digits beyond these cannot change the nearest double, except by not being zero: the longest
 * decimal that lies exactly between two doubles has 767. */
#define DIGITS_MAX 800

/* Powers of ten beyond this are zero or infinite whatever digits precede them, within what a
 * message can hold. */
#define EXPONENT_MAX INT64_C(100000000000)

struct decimal {
    bool negative;
    uint64_t head;       /* the first 19 significant digits */
    size_t n_digits;     /* significant ones, leading zeros not counted */
    int64_t exponent;    /* of the last digit */
    struct view integer; /* digits before the point, as written */
    struct view fraction;
};

static const uint8_t *digits_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static void decimal_take(struct decimal *decimal, struct view digits)
{
    for (size_t i = 0; i < digits.len; i++) {
        const uint8_t digit = (uint8_t)(digits.data[i] - '0');
        if (decimal->n_digits == 0 && digit == 0)
            continue;
        if (decimal->n_digits < 19)
            decimal->head = decimal->head * 10 + digit;
        decimal->n_digits++;
    }
}

/* Reads "e+10" behind the digits. */
static const uint8_t *decimal_exponent(
    const uint8_t *at, const uint8_t *end, struct decimal *decimal)
{
    int64_t exponent = 0;

    at++;
    const bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    const uint8_t *const stop = digits_end(at, end);
    if (stop == at)
        return NULL;
    for (; at < stop; at++) {
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (*at - '0');
    }
    decimal->exponent += negative ? -exponent : exponent;
    return stop;
}

static bool decimal_read(struct view number, struct decimal *decimal)
{
    const uint8_t *at = number.data;
    const uint8_t *const end = at + number.len;

    *decimal = (struct decimal){0};
    if (at < end && *at == '-') {
        decimal->negative = true;
        at++;
    }
    const uint8_t *stop = digits_end(at, end);
    if (stop == at)
        return false;
    decimal->integer = view_of(at, (size_t)(stop - at));
    decimal_take(decimal, decimal->integer);
    at = stop;
    if (at < end && *at == '.') {
        at++;
        stop = digits_end(at, end);
        decimal->fraction = view_of(at, (size_t)(stop - at));
        decimal_take(decimal, decimal->fraction);
        decimal->exponent = -(int64_t)decimal->fraction.len;
        at = stop;
    }
    if (at < end && (*at | 0x20) == 'e')
        at = decimal_exponent(at, end, decimal);
    return at == end;
}

/* Copies at most DIGITS_MAX significant digits; returns how many were left out. */
static size_t decimal_digits(const struct decimal *decimal, char *out, size_t *out_len)
{
    const struct view parts[] = {decimal->integer, decimal->fraction};
    size_t len = 0, n_left_out = 0;
    bool sticky = false;

    for (size_t part = 0; part < 2; part++) {
        for (size_t i = 0; i < parts[part].len; i++) {
            const char digit = (char)parts[part].data[i];
            if (len == 0 && digit == '0')
                continue;
            if (len < DIGITS_MAX) {
                out[len++] = digit;
            } else {
                n_left_out++;
                sticky = sticky || digit != '0';
            }
        }
    }
    if (sticky)
        out[len - 1] = '1'; /* the 800th digit itself cannot matter, only that there is more */
    *out_len = len;
    return n_left_out;
}

static double decimal_strtod(const struct decimal *decimal)
{
    char text[DIGITS_MAX + 32];
    size_t len;

    const size_t n_left_out = decimal_digits(decimal, text, &len);
    const long long exponent = (long long)decimal->exponent + (long long)n_left_out;
    snprintf(text + len, sizeof(text) - len, "e%lld", exponent);
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c_locale == (locale_t)0)
        return strtod(text, NULL); /* there is no point in text: the locale hardly matters */
    const double value = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    return value;
}

static bool decimal_is_exact(const struct decimal *decimal)
{
    return FLT_EVAL_METHOD == 0 && decimal->n_digits <= 19 && decimal->head <= UINT64_C(1) << 53 &&
           decimal->exponent >= -22 && decimal->exponent <= 22;
}

bool json_double(struct view number, double *out_value)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal decimal;
    double value;

    if (!decimal_read(number, &decimal))
        return false;
    if (decimal.n_digits == 0)
        value = 0;
    else if (!decimal_is_exact(&decimal))
        value = decimal_strtod(&decimal);
    else if (decimal.exponent < 0)
        value = (double)decimal.head / powers[-decimal.exponent];
    else
        value = (double)decimal.head * powers[decimal.exponent];
    *out_value = decimal.negative ? -value : value;
    return true;
}

bool json_u64(struct view number, uint64_t *out_value)
{
    uint64_t value = 0;

    if (number.len == 0)
        return false;
    for (size_t i = 0; i < number.len; i++) {
        if (number.data[i] < '0' || number.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(number.data[i] - '0'), &value))
            return false;
    }
    *out_value = value;
    return true;
}

bool json_i64(struct view number, int64_t *out_value)
{
    const bool negative = number.len > 0 && number.data[0] == '-';
    uint64_t magnitude;

    if (!json_u64(view_of(number.data + negative, number.len - negative), &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *out_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
