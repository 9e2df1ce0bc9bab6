/* UTF-8, 32 bytes at once: three table look-ups by half bytes find every fault that two neighbours
 * show (Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte", Software:
 * Practice and Experience 51, 2021). */
#include "json/scan_x86.h"

/* A table of 16 bytes, for both halves of a vector. */
#define TWICE(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)                                      \
    _mm256_setr_epi8(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h, i, j, \
        k, l, m, n, o, p)

AVX2 static inline __m256i lookup(const __m256i table, __m256i index)
{
    return _mm256_shuffle_epi8(table, index);
}

/* The bytes that stand n places before each byte of v. */
#define BYTES_BEFORE(n, v, before)                                                                 \
    _mm256_alignr_epi8(v, _mm256_permute2x128_si256(before, v, 0x21), 16 - (n))

/* Faults that two neighbouring bytes show; a bit each. A fault is there if the first byte's high
 * half, its low half and the second byte's high half all allow it. */
enum {
    UTF8_SHORT = 1,       /* a first byte without its continuation */
    UTF8_LONG = 2,        /* ASCII with a continuation */
    UTF8_OVERLONG_3 = 4,  /* E0 80..9F */
    UTF8_BEYOND = 8,      /* F4 90.., F5.. */
    UTF8_SURROGATE = 16,  /* ED A0..BF */
    UTF8_OVERLONG_2 = 32, /* C0, C1 */
    UTF8_EDGE_4 = 64,     /* F0 80..8F, F5.. 80..8F */
    UTF8_PAIR = 128, /* two continuations: a fault unless the byte before them says otherwise */
};
#define UTF8_ANY (UTF8_SHORT | UTF8_LONG | UTF8_PAIR) /* low half of the first byte: no matter */

AVX2 static inline __m256i utf8_pairs(__m256i first, __m256i second)
{
    const __m256i half = _mm256_set1_epi8(0x0f);
    const __m256i first_high = TWICE(UTF8_LONG, UTF8_LONG, UTF8_LONG, UTF8_LONG, UTF8_LONG,
        UTF8_LONG, UTF8_LONG, UTF8_LONG, (char)UTF8_PAIR, (char)UTF8_PAIR, (char)UTF8_PAIR,
        (char)UTF8_PAIR, UTF8_SHORT | UTF8_OVERLONG_2, UTF8_SHORT,
        UTF8_SHORT | UTF8_OVERLONG_3 | UTF8_SURROGATE, UTF8_SHORT | UTF8_BEYOND | UTF8_EDGE_4);
    const __m256i first_low = TWICE(
        (char)(UTF8_ANY | UTF8_OVERLONG_3 | UTF8_OVERLONG_2 | UTF8_EDGE_4),
        (char)(UTF8_ANY | UTF8_OVERLONG_2), (char)UTF8_ANY, (char)UTF8_ANY,
        (char)(UTF8_ANY | UTF8_BEYOND), (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4),
        (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4), (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4),
        (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4), (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4),
        (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4), (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4),
        (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4),
        (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4 | UTF8_SURROGATE),
        (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4), (char)(UTF8_ANY | UTF8_BEYOND | UTF8_EDGE_4));
    const __m256i second_high = TWICE(UTF8_SHORT, UTF8_SHORT, UTF8_SHORT, UTF8_SHORT, UTF8_SHORT,
        UTF8_SHORT, UTF8_SHORT, UTF8_SHORT,
        (char)(UTF8_LONG | UTF8_OVERLONG_2 | UTF8_PAIR | UTF8_OVERLONG_3 | UTF8_EDGE_4),
        (char)(UTF8_LONG | UTF8_OVERLONG_2 | UTF8_PAIR | UTF8_OVERLONG_3 | UTF8_BEYOND),
        (char)(UTF8_LONG | UTF8_OVERLONG_2 | UTF8_PAIR | UTF8_SURROGATE | UTF8_BEYOND),
        (char)(UTF8_LONG | UTF8_OVERLONG_2 | UTF8_PAIR | UTF8_SURROGATE | UTF8_BEYOND), UTF8_SHORT,
        UTF8_SHORT, UTF8_SHORT, UTF8_SHORT);
    const __m256i a = lookup(first_high, _mm256_and_si256(_mm256_srli_epi16(first, 4), half));
    const __m256i b = lookup(first_low, _mm256_and_si256(first, half));
    const __m256i c = lookup(second_high, _mm256_and_si256(_mm256_srli_epi16(second, 4), half));
    return _mm256_and_si256(_mm256_and_si256(a, b), c);
}

/* Non-zero bytes where v, which follows `before`, is not UTF-8. */
AVX2 static inline __m256i utf8_faults(__m256i v, __m256i before)
{
    const __m256i pairs = utf8_pairs(BYTES_BEFORE(1, v, before), v);
    /* a byte is a second or third continuation if E0.. stands two or F0.. three places before;
       there, and only there, two continuations in a row must be */
    const __m256i third =
        _mm256_subs_epu8(BYTES_BEFORE(2, v, before), _mm256_set1_epi8(0xe0 - 0x80));
    const __m256i fourth =
        _mm256_subs_epu8(BYTES_BEFORE(3, v, before), _mm256_set1_epi8(0xf0 - 0x80));
    const __m256i must =
        _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)UTF8_PAIR));
    return _mm256_xor_si256(must, pairs);
}

AVX2 static inline __m256i utf8_load(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

AVX2 bool scan_x86_utf8(const uint8_t *block, unsigned pieces, const uint8_t before[static 32])
{
    __m256i faults = _mm256_setzero_si256();
    for (; pieces != 0; pieces &= pieces - 1) {
        const uint8_t *at = block + (size_t)32 * (unsigned)__builtin_ctz(pieces);
        const __m256i last = utf8_load(at == block ? before : at - 32);
        faults = _mm256_or_si256(faults, utf8_faults(utf8_load(at), last));
    }
    return _mm256_testz_si256(faults, faults) != 0;
}
