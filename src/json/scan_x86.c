/* The scanner for CPUs with AVX2: JSON's grammar on blocks of 256 bytes, as arithmetic on bitmaps.
 *
 * A block is turned by 8 bits, so that there is a bitmap of all its bytes' lowest bits, and so on;
 * from these come bitmaps of quotes, blanks, digits. Nearly all rules of JSON are about
 * neighbours: what may stand right behind what. "Behind X, over blanks" is one addition: a bit set
 * just behind each X, plus the bits of the blanks, carries through each run of blanks and comes
 * out at the first byte that is none. With it:
 *
 *   - ',' ':' and closing brackets stand behind a value; values do not;
 *   - what stands behind '{', or behind ',' in an object, is a string or '}';
 *   - among the signs "{}[]:," alone, the one behind '{', or behind ',' in an object, is ':' (or
 *     the '}' of "{}"), and ':' stands nowhere else;
 *   - '.' stands behind the digits that begin a number, which are found like blanks.
 *
 * Whether a byte lies in an object or in an array needs a stack, but only brackets change it: they
 * are walked one by one (scan_x86_walk.c), as are escapes, exponents and empty brackets; all other
 * bytes are done at once. A branch that cannot be predicted costs as much as 60 operations.
 *
 * What goes over from block to block is in struct blocks. The text must begin and end with a
 * bracket: so it is over when its depth comes back to zero, and every word, number or escape in it
 * has bytes behind it. All else, and every refusal, is scan_portable()'s. */
#include "json/scan_x86.h"

#include "base/limits.h"
#include "json/scan_x86_planes.h"

#include <assert.h>
#include <string.h>

/* What the bytes of one block are; all but quote, backslash and control only outside of strings. */
struct block {
    bits quote;
    bits in_string; /* from each opening quote on, without the closing one */
    bits control;
    bits blank;
    bits open;
    bits close;
    bits comma;
    bits colon;
    bits digit;
    bits zero;
    bits minus;
    bits dot;
    bits in_object;
};

/* Finds what is escaped, where it is no backslash: the byte behind a run of backslashes that begins
 * at an even place and ends at an odd one, or the other way round. False if it is none of those
 * that may be. */
AVX2 static __attribute__((noinline)) bool block_escapes(
    struct blocks *s, const bits p[static 8], bits backslash, const uint8_t *at, bits *out_escaped)
{
    const bits even = _mm256_set1_epi8(0x55);
    const bits none = _mm256_setzero_si256();
    const bits behind = bits_right_behind(backslash, none, &s->behind_backslash);
    const bits begins = bits_but(backslash, behind);
    const bits from_even = bits_run_end(bits_and(begins, even), backslash, &s->behind_even);
    const bits from_odd = bits_run_end(bits_but(begins, even), backslash, &s->behind_odd);
    const bits escaped = bits_or(bits_but(from_even, even), bits_and(from_odd, even));

    const struct halves h = planes_halves(p);
    const bits high_67 = bits_but(bits_and(p[6], p[5]), p[7]);
    const bits high_2 = bits_but(bits_but(p[5], bits_or(p[6], p[7])), p[4]);
    const bits u = bits_and(bits_and(high_67, p[4]), bits_and(h.u1, h.l1));
    const bits bfn = bits_but(bits_and(h.l2, bits_not(h.u2)), p[4]); /* 62, 66, 6E */
    const bits rt = bits_and(p[4], bits_or(bits_and(h.u0, h.l2), bits_and(h.u1, h.l0)));
    const bits signs = bits_or(bits_and(h.u0, h.l2), bits_and(h.u3, h.l3)); /* '"' and '/' */
    bits known = bits_or(bits_and(high_67, bits_or(bfn, rt)), bits_and(high_2, signs));
    known = bits_or(known, u);
    *out_escaped = escaped;
    if (bits_meet(escaped, u) && !scan_x86_unicode(s, bits_and(escaped, u), at))
        return false;
    return !bits_any(bits_but(escaped, known));
}

/* Finds what the bytes are. p[7] (beyond ASCII) is looked at elsewhere. */
AVX2 static inline bool block_classify(
    struct blocks *s, struct block *b, const bits p[static 8], const uint8_t *at)
{
    const struct halves h = planes_halves(p);
    const bits low_c = bits_and(h.u3, h.l0);
    const bits low_d = bits_and(h.u3, h.l1);

    /* the high half byte: 0 or 1, 2, 3, and 5 or 7 */
    const bits high = bits_or(p[7], p[6]);
    const bits high_01 = bits_not(bits_or(high, p[5]));
    const bits high_23 = bits_but(p[5], high);
    bits high_2 = bits_but(high_23, p[4]);
    bits high_3 = bits_and(high_23, p[4]);
    bits high_57 = bits_but(bits_and(p[6], p[4]), p[7]);

    const bits backslash = bits_and(bits_but(high_57, p[5]), low_c);
    b->quote = bits_and(high_2, bits_and(h.u0, h.l2));
    if (bits_any(backslash) || (s->behind_even | s->behind_odd) != 0) {
        bits escaped;
        if (!block_escapes(s, p, backslash, at, &escaped))
            return false;
        b->quote = bits_but(b->quote, escaped);
    }
    b->in_string = bits_toggle(b->quote, &s->in_string);
    b->control = high_01;

    const bits string = bits_or(b->in_string, b->quote);
    high_2 = bits_but(high_2, string);
    high_3 = bits_but(high_3, string);
    high_57 = bits_but(high_57, string);
    const bits high_0 = bits_but(bits_but(high_01, p[4]), string);

    const bits u2_l12 = bits_and(h.u2, bits_or(h.l1, h.l2)); /* 9 (tab) and A (LF) */
    b->blank =
        bits_or(bits_and(high_2, bits_and(h.u0, h.l0)), bits_and(high_0, bits_or(u2_l12, low_d)));
    b->open = bits_and(high_57, bits_and(h.u2, h.l3));
    b->close = bits_and(high_57, low_d);
    b->comma = bits_and(high_2, low_c);
    b->colon = bits_and(high_3, bits_and(h.u2, h.l2));
    b->digit = bits_but(high_3, bits_and(p[3], bits_or(p[2], p[1])));
    b->zero = bits_and(high_3, bits_and(h.u0, h.l0));
    b->minus = bits_and(high_2, low_d);
    b->dot = bits_and(high_2, bits_and(h.u3, h.l2));
    return true;
}

/* The rules about neighbours. `begins` are the first bytes of numbers and words, `behind` the ones
 * right behind them. `blanks`: there are blanks. */
AVX2 static inline bool block_neighbours(struct blocks *s, const struct block *b, bits begins,
    bits behind, bool blanks, const uint8_t *at)
{
    const bits string = bits_and(b->quote, b->in_string);
    const bits value_end = bits_or(bits_but(b->quote, b->in_string), b->close);
    const bits before_key = bits_and(bits_or(b->open, b->comma), b->in_object);
    const bits signs = bits_or(bits_or(b->open, b->close), bits_or(b->comma, b->colon));
    const bits none = _mm256_setzero_si256();

    bits behind_value;
    bits key_place;
    if (blanks) {
        behind_value = bits_behind(value_end, behind, b->blank, &s->behind_value);
        key_place = bits_behind(before_key, none, b->blank, &s->behind_key_place);
    } else {
        behind_value = bits_right_behind(value_end, behind, &s->behind_value);
        key_place = bits_right_behind(before_key, none, &s->behind_key_place);
    }
    const bits key_sign = bits_behind(before_key, none, bits_not(signs), &s->behind_key_sign);

    const bits empty = bits_but(b->close, behind_value);
    bits wrong = bits_but(bits_or(b->comma, b->colon), behind_value);
    wrong = bits_or(wrong, bits_and(bits_or(bits_or(string, begins), b->open), behind_value));
    wrong = bits_or(wrong, bits_but(key_place, bits_or(string, b->close)));
    wrong = bits_or(wrong, bits_xor(bits_but(key_sign, empty), b->colon));
    wrong = bits_or(wrong, bits_but(b->control, b->blank));
    if (bits_any(empty) && !scan_x86_empty(s, empty, at))
        return false;
    return !bits_any(wrong);
}

/* Numbers. `scalar` are the bytes of numbers and words, `begins` their first ones; `words` the
 * first ones of words. Whether words are right is not asked here. */
AVX2 static inline bool block_numbers(struct blocks *s, const struct block *b, bits scalar,
    bits begins, bits words, const uint8_t *at)
{
    const bits minus = bits_and(begins, b->minus);
    const bits behind_minus = bits_next(minus, s->minus);
    const bits integer = bits_or(bits_and(begins, b->digit), behind_minus);
    const bits integer_end = bits_run_end(integer, b->digit, &s->behind_integer);
    const bits dot = bits_and(b->dot, integer_end);
    const bits behind_dot = bits_next(dot, s->dot);
    const bits zero = bits_and(b->zero, integer);
    bits wrong = bits_but(bits_or(behind_minus, behind_dot), b->digit);
    wrong = bits_or(wrong, bits_and(bits_next(zero, s->zero), b->digit));

    /* what is left are words' letters, and exponents' letters and signs; each run of them begins
     * with a word's first letter, or an exponent's */
    const bits odd = bits_but(scalar, bits_or(b->digit, bits_or(minus, dot)));
    const bits letters = bits_but(bits_but(odd, bits_next(odd, s->odd)), words);
    s->minus = minus;
    s->dot = dot;
    s->zero = zero;
    s->odd = odd;
    if (bits_any(letters) && !scan_x86_exponents(letters, at))
        return false;
    return !bits_any(wrong);
}

/* Whether the block is UTF-8. Only pieces of 32 bytes with bytes beyond ASCII, and what stands
 * behind these, are looked at. */
AVX2 static inline bool block_utf8_ok(
    struct blocks *s, bits beyond_ascii, const uint8_t *block, const uint8_t *at)
{
    const unsigned open_end = s->beyond_ascii;
    s->beyond_ascii = bits_tops(beyond_ascii) >> 3;
    if (!bits_any(beyond_ascii) && open_end == 0)
        return true;
    static const uint8_t none[32];
    const __m256i ascii = _mm256_cmpeq_epi32(beyond_ascii, _mm256_setzero_si256());
    const unsigned pieces = ~(unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(ascii)) & 0xff;
    return scan_x86_utf8(
        block, (pieces | pieces << 1 | open_end) & 0xff, at == s->text ? none : at - 32);
}

/* Judges one block. `at` is its place in the text, of which more may be seen; `block` its bytes,
 * padded with blanks. Sets the bytes to keep; *blanks: whether there are others before the
 * padding. */
AVX2 static inline bool block_check(struct blocks *s, const uint8_t *block, const uint8_t *at,
    size_t n_padding, uint64_t out_keep[static 4], bool *out_blanks)
{
    bits p[8];
    struct block b;
    planes_make(block, p);
    if (!block_utf8_ok(s, p[7], block, at))
        return false;
    if (!block_classify(s, &b, p, at))
        return false;
    bits_store(out_keep, bits_not(b.blank));
    size_t n_keep = 0;
    for (int i = 0; i < 4; i++)
        n_keep += (size_t)__builtin_popcountll(out_keep[i]);
    *out_blanks = n_keep + n_padding != BLOCK;

    const bits signs = bits_or(bits_or(b.open, b.close), bits_or(b.comma, b.colon));
    const bits other = bits_or(bits_or(b.in_string, b.quote), bits_or(b.blank, signs));
    const bits scalar = bits_not(other);
    const bits behind_scalar = bits_next(scalar, s->scalar);
    const bits begins = bits_but(scalar, behind_scalar);
    const bits words = bits_but(begins, bits_or(b.digit, b.minus));
    s->scalar = scalar;
    return (!bits_any(words) || scan_x86_words(s, words, at)) &&
           scan_x86_brackets(s, bits_or(b.open, b.close), at, &b.in_object) &&
           block_neighbours(s, &b, begins, bits_but(behind_scalar, scalar), *out_blanks, at) &&
           block_numbers(s, &b, scalar, begins, words, at);
}

/* The shuffle that moves the bytes to keep to the front: the places of the bits set in m, the
 * lowest first. Step k prepends k if bit k is set. */
#define KEEP_STEP(m, k, behind)                                                                    \
    (((uint64_t)(behind) << (8 * ((m) >> (k)&1))) | ((uint64_t)((m) >> (k)&1) * (k)))
#define KEEP_1(m)                                                                                  \
    KEEP_STEP(m, 0,                                                                                \
        KEEP_STEP(m, 1,                                                                            \
            KEEP_STEP(m, 2,                                                                        \
                KEEP_STEP(m, 3,                                                                    \
                    KEEP_STEP(m, 4, KEEP_STEP(m, 5, KEEP_STEP(m, 6, KEEP_STEP(m, 7, 0))))))))
#define KEEP_4(m)  KEEP_1(m), KEEP_1((m) + 1), KEEP_1((m) + 2), KEEP_1((m) + 3)
#define KEEP_16(m) KEEP_4(m), KEEP_4((m) + 4), KEEP_4((m) + 8), KEEP_4((m) + 12)
#define KEEP_64(m) KEEP_16(m), KEEP_16((m) + 16), KEEP_16((m) + 32), KEEP_16((m) + 48)
static const uint64_t scan_keep[256] = {KEEP_64(0), KEEP_64(64), KEEP_64(128), KEEP_64(192)};

/* Stores n bytes as they are, and up to 31 more. */
AVX2 static inline uint8_t *scan_store(const uint8_t *block, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i += 32)
        _mm256_storeu_si256((__m256i *)(void *)(out + i),
            _mm256_loadu_si256((const __m256i *)(const void *)(block + i)));
    return out + n;
}

/* Stores those of 8 bytes that are to be kept. Writes 8 bytes in any case. */
AVX2 static inline uint8_t *scan_store_8(const uint8_t *at, unsigned keep, uint8_t *out)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)at);
    const __m128i places = _mm_loadl_epi64((const __m128i *)(const void *)&scan_keep[keep]);
    _mm_storel_epi64((__m128i *)(void *)out, _mm_shuffle_epi8(bytes, places));
    return out + __builtin_popcount(keep);
}

/* Stores those of n bytes that are to be kept (whole 32 bytes are looked at); up to 8 bytes behind
 * them are written, too. Returns the end of what is kept. */
AVX2 static inline uint8_t *scan_store_kept(
    const uint8_t *block, size_t n, const uint64_t keep[static 4], uint8_t *out)
{
    for (size_t i = 0; i < n; i += 32) {
        const uint32_t bits32 = (uint32_t)(keep[i / 64] >> (i % 64));
        if (bits32 == UINT32_MAX) { /* most likely in a string */
            out = scan_store(block + i, 32, out);
            continue;
        }
        out = scan_store_8(block + i, bits32 & 0xff, out);
        out = scan_store_8(block + i + 8, bits32 >> 8 & 0xff, out);
        out = scan_store_8(block + i + 16, bits32 >> 16 & 0xff, out);
        out = scan_store_8(block + i + 24, bits32 >> 24, out);
    }
    return out;
}

/* All but the arrays, field by field: gcc makes a slow string instruction of a memset here. */
AVX2 static inline void blocks_init(struct blocks *s, const uint8_t *text, const uint8_t *end)
{
    s->text = text;
    s->end = end;
    s->escape_ok = text;
    s->in_string = 0;
    s->behind_value = 0;
    s->behind_key_place = 0;
    s->behind_key_sign = 0;
    s->behind_integer = 0;
    s->behind_backslash = 0;
    s->behind_even = 0;
    s->behind_odd = 0;
    s->beyond_ascii = 0;
    s->scalar = _mm256_setzero_si256();
    s->odd = s->scalar;
    s->minus = s->scalar;
    s->dot = s->scalar;
    s->zero = s->scalar;
    s->depth = 0;
    s->top = 1;
}

/* The last n bytes of the text, and blanks; at least 16 bytes end at at + n. Written by whole
 * stores of 16 bytes, so that each can be forwarded to the load that reads it again. */
AVX2 static inline const uint8_t *block_pad(
    uint8_t block[static BLOCK], const uint8_t *at, size_t n)
{
    static const int8_t places[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1, -1,
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    const __m128i blanks = _mm_set1_epi8(' ');
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm_store_si128((__m128i *)(void *)(block + i), bytes_load(at + i));
    const __m128i moved = bytes_load((const uint8_t *)places + 16 - (n - i));
    const __m128i rest = _mm_shuffle_epi8(bytes_load(at + n - 16), moved);
    _mm_store_si128((__m128i *)(void *)(block + i), _mm_blendv_epi8(rest, blanks, moved));
    for (i += 16; i < BLOCK; i += 16)
        _mm_store_si128((__m128i *)(void *)(block + i), blanks);
    return block;
}

AVX2 static bool scan_avx2(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len)
{
    const uint8_t *const out_begin = out;
    const uint8_t *end = text + len;
    while (text < end && scan_is_blank(*text))
        text++;
    while (text < end && scan_is_blank(end[-1]))
        end--;
    if (end - text < SCAN_FAST_MIN || (*text != '{' && *text != '[') ||
        (end[-1] != '}' && end[-1] != ']'))
        return false;

    struct blocks s;
    blocks_init(&s, text, end);
    uint8_t tail[BLOCK] __attribute__((aligned(32)));
    uint64_t keep[4];
    bool blanks;
    for (const uint8_t *at = text; at < end; at += BLOCK) {
        size_t n = (size_t)(end - at);
        const uint8_t *block = at;
        if (n < BLOCK) {
            block = block_pad(tail, at, n);
        } else {
            n = BLOCK;
        }
        if (!block_check(&s, block, at, BLOCK - n, keep, &blanks))
            return false;
        out = blanks ? scan_store_kept(block, n, keep, out) : scan_store(block, n, out);
    }
    *out_len = (size_t)(out - out_begin);
    return s.depth == 0 && s.in_string == 0;
}

scan_function *scan_accelerated(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt"))
        return scan_avx2;
    return NULL;
}
