/* JSON's grammar on blocks of 64 bytes, as arithmetic on bitmaps: bit i of a word says something
 * about byte i of the block. What turns bytes into bitmaps is the CPU's part (scan_x86.c).
 *
 * Nearly all rules of JSON are about neighbours: what may stand right behind what. "Behind X,
 * over blanks" is one addition: a bit set just behind each X, plus the bits of the blanks,
 * carries through each run of blanks and comes out at the first byte that is none. With it:
 *
 *   - ',' ':' and closing brackets stand behind a value (a closing one behind an opening one, too);
 *     values do not stand behind a value;
 *   - what stands behind '{', or behind ',' in an object, is a string or '}';
 *   - among the signs "{}[]:," alone, the one behind '{', or behind ',' in an object, is ':'
 *     (or the '}' of "{}"), and ':' stands nowhere else.
 *
 * Whether a byte lies in an object or in an array needs a stack, but only brackets change it: they
 * are walked one by one, all other bytes of the block are done at once. Digits work like blanks:
 * an addition finds the end of a number's digits. Words and escapes are walked, too.
 *
 * A block knows only where it stands, so what the last block leaves behind is carried in
 * struct blocks, mostly as single bits for the first byte of the next one.
 *
 * The text must begin with a bracket: such a text is over when its depth comes back to zero, and
 * every word, number or escape in it has bytes behind it. */
#ifndef JSON_SCAN_BLOCK_H
#define JSON_SCAN_BLOCK_H

#include "base/limits.h"
#include "json/scan.h"

#include <string.h>

/* What the bytes of one block are, whether in strings or not. */
struct block {
    uint64_t quote;
    uint64_t backslash;
    uint64_t blank;
    uint64_t control; /* bytes below 0x20, blanks among them included */
    uint64_t open;
    uint64_t close;
    uint64_t comma;
    uint64_t colon;
    uint64_t digit;
    uint64_t zero;
    uint64_t minus;
    uint64_t dot;
};

/* What goes over from block to block. Carries are 0 or 1: a bit for the next block's first byte. */
struct blocks {
    const uint8_t *end;       /* of the text */
    const uint8_t *escape_ok; /* escapes before this place are checked already */
    uint64_t in_string;       /* all bits, or none */
    uint64_t in_object;       /* all bits, or none */
    uint64_t words;           /* the bytes in which a word goes on */

    uint64_t escaped;
    uint64_t scalar;
    uint64_t behind_value;
    uint64_t behind_open;
    uint64_t behind_key_place;
    uint64_t behind_key_sign;
    uint64_t behind_minus;
    uint64_t behind_integer;
    uint64_t behind_zero;
    uint64_t behind_dot;
    uint64_t behind_fraction;
    uint64_t behind_exponent;
    uint64_t behind_exponent_sign;

    size_t depth;
    uint64_t top; /* the innermost levels, the last one in bit 0: set in an object */
    uint64_t levels[LIMIT_JSON_DEPTH / 64];
};

#define BLOCK_FAILED UINT64_MAX

/* The first bytes behind `tokens` that are not filler. */
static inline uint64_t block_behind(uint64_t tokens, uint64_t filler, uint64_t *carry)
{
    const uint64_t begin = tokens << 1 | *carry;
    const uint64_t sum = begin + filler;
    *carry = tokens >> 63 | (sum < begin);
    return sum & ~filler;
}

/* The bytes right behind `tokens`. */
static inline uint64_t block_next(uint64_t tokens, uint64_t *carry)
{
    const uint64_t next = tokens << 1 | *carry;
    *carry = tokens >> 63;
    return next;
}

/* Whether the escape at this backslash is one; it may reach into the next blocks. */
static inline bool block_escape_ok(struct blocks *s, const uint8_t *at)
{
    if (at < s->escape_ok)
        return true;
    if (s->end - at < 2)
        return false;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't': return true;
    case 'u': break;
    default: return false;
    }
    const size_t len = scan_unicode_escape(at, s->end);
    s->escape_ok = at + len; /* the second half of a surrogate pair is not looked at alone */
    return len > 0;
}

/* The bytes behind a backslash; BLOCK_FAILED if one of them must not be escaped. */
static inline uint64_t block_escapes(struct blocks *s, uint64_t backslash, const uint8_t *at)
{
    uint64_t escaped = s->escaped;
    s->escaped = 0;
    backslash &= ~escaped;
    while (backslash != 0) {
        const int index = __builtin_ctzll(backslash);
        const uint64_t bit = UINT64_C(1) << index;
        if (!block_escape_ok(s, at + index))
            return BLOCK_FAILED;
        escaped |= bit << 1;
        s->escaped = bit >> 63;
        backslash &= ~(bit | bit << 1);
    }
    return escaped;
}

static inline bool block_push(struct blocks *s, uint64_t object)
{
    if (s->depth == LIMIT_JSON_DEPTH)
        return false;
    if (s->depth % 64 == 0 && s->depth > 0)
        s->levels[s->depth / 64 - 1] = s->top;
    s->depth++;
    s->top = s->top << 1 | object;
    return true;
}

static inline void block_pop(struct blocks *s)
{
    s->depth--;
    s->top >>= 1;
    if (s->depth % 64 == 0 && s->depth > 0)
        s->top = s->levels[s->depth / 64 - 1];
}

/* Walks the brackets. Sets the bytes that lie in an object (an opening bracket lies in what it
 * opens, a closing one in what is around it), and the bytes behind the last bracket of the text.
 * Returns false if a bracket does not fit. */
static inline bool block_brackets(struct blocks *s, const struct block *b, const uint8_t *at,
    uint64_t *out_in_object, uint64_t *out_rest)
{
    uint64_t in_object = s->in_object;
    uint64_t rest = 0;
    for (uint64_t left = b->open | b->close; left != 0; left &= left - 1) {
        const uint64_t bit = left & -left;
        const uint64_t object = at[__builtin_ctzll(left)] >> 5 & 1; /* '{' and '}', not '[' and ']' */
        if ((b->open & bit) != 0) {
            if (!block_push(s, object))
                return false;
        } else {
            if (s->depth == 0 || (s->top & 1) != object)
                return false;
            block_pop(s);
            if (s->depth == 0)
                rest |= -bit ^ bit;
        }
        in_object ^= (in_object ^ -(s->top & 1)) & -bit;
    }
    s->in_object = -(in_object >> 63);
    *out_in_object = in_object;
    *out_rest = rest;
    return true;
}

static inline uint32_t block_load4(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, 4);
    return word;
}

/* The length of the word at `at`, or 0 if it is not true, false or null, or goes on. A word has a
 * byte behind it: at least the bracket that ends the text. */
static inline unsigned block_word(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 5)
        return 0;
    const uint32_t word = block_load4(at);
    unsigned len = 0;
    if (word == block_load4((const uint8_t *)"true") || word == block_load4((const uint8_t *)"null"))
        len = 4;
    else if (word == block_load4((const uint8_t *)"fals") && at[4] == 'e' &&
        end - at > 5)
        len = 5;
    const uint8_t next = at[len];
    return next == ',' || next == '}' || next == ']' || scan_is_blank(next) ? len : 0;
}

/* Walks the words that begin at `begins`. Returns the bytes that belong to words;
 * BLOCK_FAILED if one is unknown. */
static inline uint64_t block_words(struct blocks *s, uint64_t begins, const uint8_t *at)
{
    uint64_t words = s->words;
    s->words = 0;
    for (; begins != 0; begins &= begins - 1) {
        const int index = __builtin_ctzll(begins);
        const unsigned len = block_word(at + index, s->end);
        if (len == 0)
            return BLOCK_FAILED;
        const uint64_t bytes = (UINT64_C(1) << len) - 1;
        words |= bytes << index;
        s->words = bytes >> 1 >> (63 - index);
    }
    return words;
}

/* The first bytes behind the runs of digits that begin at `begins`. */
static inline uint64_t block_digits(uint64_t begins, uint64_t digit, uint64_t *carry)
{
    const uint64_t begin = begins | *carry;
    const uint64_t sum = begin + digit;
    *carry = sum < begin;
    return sum & ~digit;
}

/* Numbers without exponents. `scalar` are all bytes of numbers and words, `begins` their first
 * ones. Sets the bytes behind the digits of integers and fractions, and the bytes that are left
 * unexplained: part of an exponent, or wrong. Returns what is wrong for sure. */
static inline uint64_t block_numbers(struct blocks *s, const struct block *b, uint64_t scalar,
    uint64_t begins, uint64_t *out_ends, uint64_t *out_odd)
{
    const uint64_t minus = begins & b->minus;
    const uint64_t integer = (begins & b->digit) | block_next(minus, &s->behind_minus);
    const uint64_t integer_end = block_digits(integer, b->digit, &s->behind_integer);
    const uint64_t dot = b->dot & integer_end;
    const uint64_t fraction = block_next(dot, &s->behind_dot);
    const uint64_t fraction_end = block_digits(fraction, b->digit, &s->behind_fraction);
    const uint64_t behind_zero = block_next(integer & b->zero, &s->behind_zero);

    *out_ends = integer_end | fraction_end;
    *out_odd = scalar & ~(b->digit | minus | dot);
    return ((integer | fraction) & ~b->digit) | (behind_zero & b->digit);
}

/* Exponents are rare, so their bitmaps are made only here. `ends` are the bytes behind the digits
 * of an integer or a fraction; `odd` the bytes of numbers not explained yet. Returns what is
 * wrong. */
static inline uint64_t block_exponents(struct blocks *s, const struct block *b, uint64_t ends,
    uint64_t odd, uint64_t exponent, uint64_t plus)
{
    const uint64_t begin = exponent & ends;
    const uint64_t next = block_next(begin, &s->behind_exponent);
    const uint64_t sign = next & (plus | b->minus);
    const uint64_t digits = (next & ~sign) | block_next(sign, &s->behind_exponent_sign);
    return (odd & ~(begin | sign)) | (digits & ~b->digit);
}

/* The rules about neighbours. `string` are the first bytes of strings, `value_end` the last ones
 * of values, `begins` the first ones of numbers and words. Returns what is wrong. */
static inline uint64_t block_neighbours(struct blocks *s, const struct block *b, uint64_t string,
    uint64_t value_end, uint64_t begins, uint64_t in_object)
{
    const uint64_t signs = b->open | b->close | b->comma | b->colon;
    const uint64_t before_key = (b->open | b->comma) & in_object;

    const uint64_t behind_value = block_behind(value_end, b->blank, &s->behind_value);
    const uint64_t behind_open = block_behind(b->open, b->blank, &s->behind_open);
    const uint64_t key_place = block_behind(before_key, b->blank, &s->behind_key_place);
    const uint64_t key_sign = block_behind(before_key, ~signs, &s->behind_key_sign);

    const uint64_t empty = b->close & behind_open; /* the second bracket of [] and {} */
    uint64_t wrong = (b->close | b->comma | b->colon) & ~behind_value & ~empty;
    wrong |= (string | begins | b->open) & behind_value;
    wrong |= key_place & ~(string | b->close);
    wrong |= (key_sign & ~empty) ^ b->colon;
    return wrong;
}

/* Everything but strings' insides, exponents and UTF-8. The bitmaps of *b (but for quotes and
 * backslashes) are cut down to what lies outside of strings. `quote` are the real quotes,
 * `in_string` the bytes from each opening quote on, without the closing one. */
static inline uint64_t block_check(struct blocks *s, struct block *b, uint64_t quote,
    uint64_t in_string, const uint8_t *at, uint64_t *out_ends, uint64_t *out_odd)
{
    const uint64_t outside = ~(in_string | quote);
    b->blank &= outside;
    b->open &= outside;
    b->close &= outside;
    b->comma &= outside;
    b->colon &= outside;
    b->digit &= outside;
    b->minus &= outside;
    b->dot &= outside;

    const uint64_t signs = b->open | b->close | b->comma | b->colon;
    const uint64_t all = outside & ~(b->blank | signs); /* numbers and words */
    const uint64_t begins = all & ~block_next(all, &s->scalar);

    const uint64_t words = block_words(s, begins & ~(b->digit | b->minus), at);
    uint64_t in_object;
    uint64_t rest;
    if (words == BLOCK_FAILED || !block_brackets(s, b, at, &in_object, &rest))
        return BLOCK_FAILED;

    const uint64_t value_end = (quote & ~in_string) | b->close | (all & ~(all >> 1));
    uint64_t wrong = b->control & ~b->blank;
    wrong |= rest & ~b->blank;
    wrong |= block_neighbours(s, b, quote & in_string, value_end, begins, in_object);
    wrong |= block_numbers(s, b, all & ~words, begins, out_ends, out_odd);
    return wrong;
}

#endif
