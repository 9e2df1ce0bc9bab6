/* Doubles as text: the fewest digits that read back as the same value.
 *
 * Digits come from printf, which rounds correctly, with as many of them as needed. A decimal of
 * up to 15 digits survives the way through a double, so if 15 digits read back, they are the
 * shortest once their trailing zeros are gone; only subnormal numbers carry fewer than that and
 * are tried from one digit on. Nothing here is fast: doubles of our own are few. */
#include "json/span.h"
#include "json/write.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct digits {
    char text[20]; /* d ddd...: the point belongs behind the first */
    int len;
    int exponent; /* of the first digit */
};

/* Rounds value, positive and finite, to this many digits. printf writes the point of the locale,
 * of whatever length: everything but digits is passed over. */
static void digits_round(double value, int len, struct digits *digits)
{
    char text[64];

    snprintf(text, sizeof(text), "%.*e", len - 1, value);
    const char *at = text;
    for (digits->len = 0; digits->len < len; at++) {
        if (*at >= '0' && *at <= '9')
            digits->text[digits->len++] = *at;
    }
    while (*at != 'e')
        at++;
    digits->exponent = (int)strtol(at + 1, NULL, 10);
}

static bool digits_are(const struct digits *digits, double value)
{
    char text[64];
    double back;

    const int len = snprintf(text, sizeof(text), "%.*se%d", digits->len, digits->text,
        digits->exponent - (digits->len - 1));
    return json_double(view_of(text, (size_t)len), &back) && back == value;
}

/* Adds one to the last digit, unless it is a nine. */
static bool digits_increment(struct digits *digits)
{
    if (digits->text[digits->len - 1] == '9')
        return false;
    digits->text[digits->len - 1]++;
    return true;
}

/* The neighbours of a power of two are not equally far: the nearest decimal may lie beyond the
 * nearer one's half way, while the next decimal on the other side still reads back. */
static bool digits_try(double value, int len, struct digits *digits)
{
    digits_round(value, len, digits);
    if (digits_are(digits, value))
        return true;
    return digits_increment(digits) && digits_are(digits, value);
}

static void digits_shortest(double value, struct digits *digits)
{
    int len = value < DBL_MIN ? 1 : 15;

    while (len < 17 && !digits_try(value, len, digits))
        len++;
    if (len == 17)
        digits_round(value, 17, digits);
    while (digits->len > 1 && digits->text[digits->len - 1] == '0')
        digits->len--;
}

static size_t text_put(char *out, size_t at, const char *text, size_t len)
{
    memcpy(out + at, text, len);
    return at + len;
}

static size_t text_zeros(char *out, size_t at, int n)
{
    for (; n > 0; n--)
        out[at++] = '0';
    return at;
}

/* 0.00012, 1200.0, 12.5 */
static size_t format_fixed(const struct digits *digits, char *out, size_t at)
{
    const int n_integer = digits->exponent + 1;

    if (n_integer <= 0) {
        at = text_put(out, at, "0.", 2);
        at = text_zeros(out, at, -n_integer);
        return text_put(out, at, digits->text, (size_t)digits->len);
    }
    if (n_integer >= digits->len) {
        at = text_put(out, at, digits->text, (size_t)digits->len);
        at = text_zeros(out, at, n_integer - digits->len);
        return text_put(out, at, ".0", 2);
    }
    at = text_put(out, at, digits->text, (size_t)n_integer);
    at = text_put(out, at, ".", 1);
    return text_put(out, at, digits->text + n_integer, (size_t)(digits->len - n_integer));
}

/* 1e+16, 1.5e-7 */
static size_t format_scientific(const struct digits *digits, char *out, size_t at)
{
    char exponent[8];

    at = text_put(out, at, digits->text, 1);
    if (digits->len > 1) {
        at = text_put(out, at, ".", 1);
        at = text_put(out, at, digits->text + 1, (size_t)digits->len - 1);
    }
    const int len = snprintf(exponent, sizeof(exponent), "e%+d", digits->exponent);
    return text_put(out, at, exponent, (size_t)len);
}

size_t json_format_double(double value, char out[static JSON_DOUBLE_MAX])
{
    struct digits digits;
    size_t at = 0;

    if (signbit(value)) {
        out[at++] = '-';
        value = -value;
    }
    if (value == 0)
        return text_put(out, at, "0.0", 3);
    digits_shortest(value, &digits);
    if (digits.exponent >= -5 && digits.exponent < 16)
        return format_fixed(&digits, out, at);
    return format_scientific(&digits, out, at);
}
