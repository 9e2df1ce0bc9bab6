/* What the parts of the scanner for x86 share. scan_x86.c has the idea. */
#ifndef JSON_SCAN_X86_H
#define JSON_SCAN_X86_H

#include "base/limits.h"
#include "json/scan.h"
#include "json/scan_x86_bits.h"

/* What goes over from block to block. */
struct blocks {
    const uint8_t *text;
    const uint8_t *end;
    const uint8_t *escape_ok; /* escapes before this place are checked already */

    unsigned in_string;    /* 31 or 0, as bits_toggle() keeps it */
    unsigned behind_value; /* carries: 1 or 0, for the next block's first byte */
    unsigned behind_key_place;
    unsigned behind_key_sign;
    unsigned behind_integer;
    unsigned behind_backslash;
    unsigned behind_even; /* runs of backslashes from an even place on */
    unsigned behind_odd;
    unsigned beyond_ascii; /* the last block's last byte */

    bits scalar; /* bitmaps of the last block */
    bits odd;
    bits minus;
    bits dot;
    bits zero;

    size_t depth;
    uint64_t top; /* the innermost levels, the last one in bit 0: set in an object */
    uint64_t levels[LIMIT_JSON_DEPTH / 64];
};

/* What is walked one by one. `at` is the block's place in the text, of which more is looked at where
 * something reaches over the block's end. */

/* Each of these bytes, the letters of "\\uXXXX", must begin four digits; surrogates must pair. */
AVX2 bool scan_x86_unicode(struct blocks *s, bits letters, const uint8_t *at);

/* Sets the bytes that lie in an object: an opening bracket lies in what it opens, a closing one in
 * what is around it. False if a bracket does not fit. */
AVX2 bool scan_x86_brackets(
    struct blocks *s, bits brackets, const uint8_t *at, bits *out_in_object);

/* At each of these places must be true, false or null, and nothing that goes on with it. */
AVX2 bool scan_x86_words(const struct blocks *s, bits words, const uint8_t *at);

/* Each of these closing brackets must stand right behind an opening one: in [] or {}. */
AVX2 bool scan_x86_empty(const struct blocks *s, bits empty, const uint8_t *at);

/* Each of these bytes, which stand in numbers, must be an exponent's letter, digits before it and
 * behind it. */
AVX2 bool scan_x86_exponents(bits letters, const uint8_t *at);

/* Whether those 32-byte pieces of the block whose bits are set in `pieces` are UTF-8, after what
 * stands before them; `before` are the 32 bytes before the block. */
AVX2 bool scan_x86_utf8(const uint8_t *block, unsigned pieces, const uint8_t before[static 32]);

#endif
