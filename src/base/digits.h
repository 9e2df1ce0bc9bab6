/* Decimal digits without printf. */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Digits of the largest uint64_t. */
#define DIGITS_MAX 20

extern const char digits_pairs[201];

/* Writes value to out, which has room for DIGITS_MAX bytes; returns the length. No NUL. */
static inline size_t digits_put(uint8_t *out, uint64_t value)
{
    uint8_t text[DIGITS_MAX];
    size_t at = DIGITS_MAX;
    while (value >= 100) {
        at -= 2;
        memcpy(text + at, digits_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(text + at, digits_pairs + value * 2, 2);
    } else {
        text[--at] = (uint8_t)('0' + value);
    }
    memcpy(out, text + at, DIGITS_MAX - at);
    return DIGITS_MAX - at;
}

#endif
