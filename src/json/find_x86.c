/* With AVX2: blocks of 64 bytes become bitmaps, one for each kind of sign that matters. Quotes
 * that are not escaped say which bytes lie in strings, the brackets outside of those say how deep
 * each byte lies, and the quotes that begin a string with the name's first letter are the few
 * places to look at: a string with ':' behind it is a key, and at depth 1 it is one of ours. */
#include "json/find.h"

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt,pclmul")))

#define BLOCK 64

/* What goes over from block to block. */
struct scan {
    uint64_t in_string;  /* all bits or none */
    uint64_t escaped;    /* 1: the next byte is */
    uint64_t depth;      /* brackets open, modulo 2^64 where text is damaged */
    uint64_t backslash;  /* not 0: there was one */
    const uint8_t *last; /* the opening quote of the last key that was found; NULL: none */
};

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

AVX2 static inline uint64_t bytes_equal(struct bytes v, uint8_t byte)
{
    const __m256i all = _mm256_set1_epi8((char)byte);
    const uint32_t low = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v.low, all));
    const uint32_t high = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v.high, all));
    return low | (uint64_t)high << 32;
}

/* The only bit by which [] and {} differ, set. */
AVX2 static inline struct bytes bytes_fold(struct bytes v)
{
    const __m256i bit = _mm256_set1_epi8(0x20);
    return (struct bytes){_mm256_or_si256(v.low, bit), _mm256_or_si256(v.high, bit)};
}

/* From each odd set bit on, up to the next one. */
AVX2 static inline uint64_t bits_toggle(uint64_t bits)
{
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)bits), _mm_set1_epi8((char)0xff), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* The bytes that a backslash before them escapes. */
static inline uint64_t bits_escaped(uint64_t backslash, uint64_t *carry)
{
    uint64_t escaped = *carry;

    *carry = 0;
    backslash &= ~escaped;
    while (backslash != 0) {
        const uint64_t bit = backslash & -backslash;
        escaped |= bit << 1;
        *carry = bit >> 63;
        backslash &= ~(bit | bit << 1);
    }
    return escaped;
}

static inline bool key_is_at(const uint8_t *quote, const uint8_t *end, struct view name)
{
    return (size_t)(end - quote) > name.len + 3 && quote[name.len + 1] == '"' &&
           quote[name.len + 2] == ':' && memcmp(quote + 1, name.data, name.len) == 0;
}

AVX2 static inline uint64_t bits_count(uint64_t bits)
{
    return (uint64_t)__builtin_popcountll(bits);
}

/* Looks at the bytes at `at`. They lie in `block`, behind n_seen bytes that were looked at
 * before; 64 bytes and one more can be read there. Inlined, so that what goes over and the bytes
 * to compare with stay in registers. */
AVX2 static inline __attribute__((always_inline)) struct scan scan_block(struct scan scan,
    const uint8_t *block, unsigned n_seen, const uint8_t *at, const uint8_t *end, struct view name,
    uint8_t first)
{
    const struct bytes v = bytes_load(block);
    const struct bytes folded = bytes_fold(v);
    const uint64_t backslash = bytes_equal(v, '\\') >> n_seen;
    uint64_t quote = bytes_equal(v, '"') >> n_seen;

    if ((backslash | scan.escaped) != 0) {
        scan.backslash |= backslash;
        quote &= ~bits_escaped(backslash, &scan.escaped);
    }
    const uint64_t in_string = bits_toggle(quote) ^ scan.in_string;
    const uint64_t open = bytes_equal(folded, '{') >> n_seen & ~in_string;
    const uint64_t close = bytes_equal(folded, '}') >> n_seen & ~in_string;
    uint64_t keys = quote & in_string & bytes_equal(bytes_load(block + 1), first) >> n_seen;

    for (; keys != 0; keys &= keys - 1) {
        const uint8_t *const string = at + __builtin_ctzll(keys);
        const uint64_t before = _blsmsk_u64(keys);
        const uint64_t depth = scan.depth + bits_count(open & before) - bits_count(close & before);
        if (depth == 1 && key_is_at(string, end, name))
            scan.last = string;
    }
    scan.in_string = -(in_string >> 63);
    scan.depth += bits_count(open) - bits_count(close);
    return scan;
}

AVX2 static struct scan scan_small_object(struct view object, struct view name)
{
    const uint8_t *const end = object.data + object.len;
    uint8_t copy[BLOCK + 1] = {0};

    memcpy(copy, object.data, object.len);
    return scan_block((struct scan){0}, copy, 0, object.data, end, name, name.data[0]);
}

AVX2 static struct scan scan_object(struct view object, struct view name)
{
    const uint8_t *at = object.data;
    const uint8_t *const end = object.data + object.len;
    const uint8_t *const last = end - BLOCK - 1; /* its last byte is a bracket and begins no key */
    const uint8_t first = name.data[0];
    struct scan scan = {0};

    for (; at < last; at += BLOCK)
        scan = scan_block(scan, at, 0, at, end, name, first);
    return scan_block(scan, last, (unsigned)(at - last), at, end, name, first);
}

/* Whether a text with backslashes may spell the name in another way. */
static bool name_has_spellings(struct view object, struct view name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] == '"' || name.data[i] == '\\' ||
            name.data[i] == '/')
            return true;
    }
    return memmem(object.data, object.len, "\\u", 2) != NULL;
}

int find_accelerated(struct view object, struct view name, const uint8_t **out_value)
{
    if (name.len == 0 || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("pclmul"))
        return FIND_ASK;
    const struct scan scan =
        object.len > BLOCK ? scan_object(object, name) : scan_small_object(object, name);
    if (scan.backslash != 0 && name_has_spellings(object, name))
        return FIND_ASK;
    if (scan.last == NULL)
        return FIND_NONE;
    *out_value = scan.last + name.len + 3;
    return FIND_ONE;
}
