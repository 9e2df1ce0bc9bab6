/* The scanner for CPUs with AVX2: bytes become bitmaps, scan_block.h judges them, and what is left
 * after the blanks is stored.
 *
 * Which bytes lie in strings: the exclusive or of all bits below each bit of the quotes' bitmap,
 * which is a carry-less multiplication by all ones (Langdale and Lemire, "Parsing gigabytes of
 * JSON per second", VLDB Journal 28, 2019).
 * UTF-8: three table look-ups by half bytes find every fault within two bytes (Keiser and Lemire,
 * "Validating UTF-8 in less than one instruction per byte", Software: Practice and Experience
 * 51, 2021). */
#include "json/scan_block.h"

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul")))

/* The places of the bits that are set in m, one a byte, the lowest first: what a shuffle needs to
 * move the bytes to keep to the front. Step k prepends k if bit k is set. */
#define KEEP_STEP(m, k, behind) \
    (((uint64_t)(behind) << (8 * ((m) >> (k)&1))) | ((uint64_t)((m) >> (k)&1) * (k)))
#define KEEP_1(m)                                                                                  \
    KEEP_STEP(m, 0, KEEP_STEP(m, 1, KEEP_STEP(m, 2, KEEP_STEP(m, 3, \
        KEEP_STEP(m, 4, KEEP_STEP(m, 5, KEEP_STEP(m, 6, KEEP_STEP(m, 7, 0))))))))
#define KEEP_4(m)  KEEP_1(m), KEEP_1((m) + 1), KEEP_1((m) + 2), KEEP_1((m) + 3)
#define KEEP_16(m) KEEP_4(m), KEEP_4((m) + 4), KEEP_4((m) + 8), KEEP_4((m) + 12)
#define KEEP_64(m) KEEP_16(m), KEEP_16((m) + 16), KEEP_16((m) + 32), KEEP_16((m) + 48)
static const uint64_t scan_keep[256] = {KEEP_64(0), KEEP_64(64), KEEP_64(128), KEEP_64(192)};

/* A block's bytes. */
struct bytes {
    __m256i low;
    __m256i high;
};

AVX2 static inline struct bytes bytes_load(const uint8_t *at)
{
    return (struct bytes){_mm256_loadu_si256((const __m256i *)(const void *)at),
        _mm256_loadu_si256((const __m256i *)(const void *)(at + 32))};
}

/* The top bit of each byte. */
AVX2 static inline uint64_t bytes_bits(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) |
        (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

AVX2 static inline uint64_t bytes_equal(struct bytes v, char byte)
{
    const __m256i all = _mm256_set1_epi8(byte);
    return bytes_bits(_mm256_cmpeq_epi8(v.low, all), _mm256_cmpeq_epi8(v.high, all));
}

AVX2 static inline uint64_t bytes_at_most(struct bytes v, char byte)
{
    const __m256i all = _mm256_set1_epi8(byte);
    return bytes_bits(_mm256_cmpeq_epi8(_mm256_min_epu8(v.low, all), v.low),
        _mm256_cmpeq_epi8(_mm256_min_epu8(v.high, all), v.high));
}

/* A table of 16 bytes, for both halves of a vector. */
#define TWICE(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    _mm256_setr_epi8(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, a, b, c, d, e, f, g, h, i, j, \
        k, l, m, n, o, p)

AVX2 static inline __m256i lookup(const __m256i table, __m256i index)
{
    return _mm256_shuffle_epi8(table, index);
}

/* A blank is found by its low half byte: the table holds the blank that ends in it. */
AVX2 static inline uint64_t bytes_blank(struct bytes v)
{
    const __m256i blanks =
        TWICE(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0);
    return bytes_bits(_mm256_cmpeq_epi8(lookup(blanks, v.low), v.low),
        _mm256_cmpeq_epi8(lookup(blanks, v.high), v.high));
}

AVX2 static inline struct block bytes_classify(struct bytes v)
{
    const __m256i bit = _mm256_set1_epi8(0x20); /* the only one by which [] and {} differ */
    const struct bytes folded = {_mm256_or_si256(v.low, bit), _mm256_or_si256(v.high, bit)};
    const __m256i zero = _mm256_set1_epi8('0');
    const struct bytes digits = {_mm256_sub_epi8(v.low, zero), _mm256_sub_epi8(v.high, zero)};
    return (struct block){
        .quote = bytes_equal(v, '"'),
        .backslash = bytes_equal(v, '\\'),
        .blank = bytes_blank(v),
        .control = bytes_at_most(v, 0x1f),
        .open = bytes_equal(folded, '{'),
        .close = bytes_equal(folded, '}'),
        .comma = bytes_equal(v, ','),
        .colon = bytes_equal(v, ':'),
        .digit = bytes_at_most(digits, 9),
        .zero = bytes_equal(v, '0'),
        .minus = bytes_equal(v, '-'),
        .dot = bytes_equal(v, '.'),
    };
}

/* From each odd set bit on, up to the next one. */
AVX2 static inline uint64_t bits_toggle(uint64_t bits)
{
    const __m128i product = _mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)bits), _mm_set1_epi8((char)0xff), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* The bytes that stand n places before each byte of v. */
#define BYTES_BEFORE(n, v, before) \
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
    UTF8_PAIR = 128,      /* two continuations: a fault unless the byte before them says otherwise */
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
    const __m256i third = _mm256_subs_epu8(BYTES_BEFORE(2, v, before), _mm256_set1_epi8(0xe0 - 0x80));
    const __m256i fourth =
        _mm256_subs_epu8(BYTES_BEFORE(3, v, before), _mm256_set1_epi8(0xf0 - 0x80));
    const __m256i must = _mm256_and_si256(
        _mm256_or_si256(third, fourth), _mm256_set1_epi8((char)UTF8_PAIR));
    return _mm256_xor_si256(must, pairs);
}

AVX2 static __attribute__((noinline)) bool utf8_ok(struct bytes v, __m256i before)
{
    const __m256i faults =
        _mm256_or_si256(utf8_faults(v.low, before), utf8_faults(v.high, v.low));
    return _mm256_testz_si256(faults, faults) != 0;
}

/* Stores the bytes to keep, up to 64 bytes; what lies behind them is undefined. */
AVX2 static inline uint8_t *bytes_store(
    struct bytes v, uint64_t keep, const uint8_t *block, uint8_t *out)
{
    if ((keep & (keep + 1)) == 0) { /* blanks at the end alone, or none */
        _mm256_storeu_si256((__m256i *)(void *)out, v.low);
        _mm256_storeu_si256((__m256i *)(void *)(out + 32), v.high);
        return out + __builtin_popcountll(keep);
    }
    for (int i = 0; i < 64; i += 8) {
        const uint64_t mask = keep >> i & 0xff;
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(block + i));
        const __m128i places = _mm_loadl_epi64((const __m128i *)(const void *)&scan_keep[mask]);
        _mm_storel_epi64((__m128i *)(void *)out, _mm_shuffle_epi8(bytes, places));
        out += __builtin_popcountll(mask);
    }
    return out;
}

/* Judges one block. `at` is its place in the text, of which more may be seen; v its bytes, padded
 * with blanks. Sets the bytes to keep. */
AVX2 static inline bool scan_block(
    struct blocks *s, struct bytes v, const uint8_t *at, uint64_t *out_keep)
{
    struct block b = bytes_classify(v);
    uint64_t escaped = 0;
    if ((b.backslash | s->escaped) != 0) {
        escaped = block_escapes(s, b.backslash, at);
        if (escaped == BLOCK_FAILED)
            return false;
    }
    const uint64_t quote = b.quote & ~escaped;
    const uint64_t in_string = bits_toggle(quote) ^ s->in_string;
    s->in_string = -(in_string >> 63);

    uint64_t ends;
    uint64_t odd;
    uint64_t wrong = block_check(s, &b, quote, in_string, at, &ends, &odd);
    if (wrong != 0)
        return false;
    if ((odd | s->behind_exponent | s->behind_exponent_sign) != 0) {
        const struct bytes folded = {_mm256_or_si256(v.low, _mm256_set1_epi8(0x20)),
            _mm256_or_si256(v.high, _mm256_set1_epi8(0x20))};
        wrong = block_exponents(s, &b, ends, odd, bytes_equal(folded, 'e'), bytes_equal(v, '+'));
    }
    *out_keep = ~b.blank;
    return wrong == 0;
}

static bool scan_all_blank(const uint8_t *at, const uint8_t *end)
{
    while (at < end && scan_is_blank(*at))
        at++;
    return at == end;
}

AVX2 static bool scan_avx2(const uint8_t *text, size_t len, uint8_t *out, size_t *out_len)
{
    const uint8_t *at = text;
    const uint8_t *const end = text + len;
    const uint8_t *const out_begin = out;
    while (at < end && scan_is_blank(*at))
        at++;
    if (at == end || (*at != '{' && *at != '['))
        return false;

    struct blocks s;
    memset(&s, 0, offsetof(struct blocks, levels));
    s.end = end;
    s.escape_ok = at;
    __m256i before = _mm256_setzero_si256();
    bool ascii = true; /* the last block was */
    uint8_t tail[64];

    for (; at < end; at += 64) {
        const uint8_t *block = at;
        if (end - at < 64) {
            memset(tail, ' ', sizeof(tail));
            memcpy(tail, at, (size_t)(end - at));
            block = tail;
        }
        const struct bytes v = bytes_load(block);
        uint64_t keep;
        if (!scan_block(&s, v, at, &keep))
            return false;
        const bool ascii_now = _mm256_testz_si256(
                                   _mm256_or_si256(v.low, v.high), _mm256_set1_epi8((char)0x80)) != 0;
        if (!(ascii & ascii_now) && !utf8_ok(v, before))
            return false;
        ascii = ascii_now;
        before = v.high;
        out = bytes_store(v, keep, block, out);
        if (s.depth == 0) {
            *out_len = (size_t)(out - out_begin);
            return end - at <= 64 || scan_all_blank(at + 64, end);
        }
    }
    return false;
}

scan_function *scan_accelerated(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
        __builtin_cpu_supports("pclmul"))
        return scan_avx2;
    return NULL;
}
