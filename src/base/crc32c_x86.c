/* CRC32C with the SSE4.2 instruction.
 *
 * The instruction takes 3 cycles but a new one starts each cycle, so a run of 3k words is split
 * into three lanes of k words that are summed side by side; the lanes are joined by multiplying
 * the first two with x^(bits behind them) modulo the polynomial, by PCLMULQDQ. Method: Gopal et
 * al., "Fast CRC computation for iSCSI polynomial using CRC32 instruction", Intel, 2011.
 *
 * In the reflected representation used here a carry-less product of two 32-bit values stands
 * for a*b*x, and the CRC instruction of a 64-bit word multiplies by x^32: the factor for n words
 * is therefore x^(64n - 33). */
#include "base/crc32c.h"

#include <immintrin.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define LANE_WORDS_MAX 85

static uint32_t crc32c_factor[2 * LANE_WORDS_MAX + 1];
static atomic_bool crc32c_factor_ready;

static void crc32c_factor_make(void)
{
    uint32_t factor = 1; /* x^31, for one word */
    for (int n_words = 1; n_words <= 2 * LANE_WORDS_MAX; n_words++) {
        crc32c_factor[n_words] = factor;
        for (int bit = 0; bit < 64; bit++)
            factor = (factor >> 1) ^ (factor & 1 ? 0x82f63b78u : 0);
    }
    /* release: the factors before the flag; pairs with the acquire in crc32c_sse42() */
    atomic_store_explicit(&crc32c_factor_ready, true, memory_order_release);
}

static inline uint64_t crc32c_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t crc32c_multiply(
    uint64_t crc, uint32_t factor)
{
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi32_si128((int)factor), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_sse42(
    uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t sum = ~crc;

    while (len >= 72) {
        if (!atomic_load_explicit(&crc32c_factor_ready, memory_order_acquire))
            crc32c_factor_make();
        const size_t n_words = len / 24 < LANE_WORDS_MAX ? len / 24 : LANE_WORDS_MAX;
        uint64_t second = 0;
        uint64_t third = 0;
        const uint8_t *end = at + 8 * n_words;
        for (; at < end; at += 8) {
            sum = _mm_crc32_u64(sum, crc32c_word(at));
            second = _mm_crc32_u64(second, crc32c_word(at + 8 * n_words));
            third = _mm_crc32_u64(third, crc32c_word(at + 16 * n_words));
        }
        at += 16 * n_words;
        len -= 24 * n_words;
        sum = third ^ _mm_crc32_u64(0, crc32c_multiply(sum, crc32c_factor[2 * n_words]) ^
                                           crc32c_multiply(second, crc32c_factor[n_words]));
    }
    for (; len >= 8; len -= 8, at += 8)
        sum = _mm_crc32_u64(sum, crc32c_word(at));
    for (; len > 0; len--)
        sum = _mm_crc32_u8((uint32_t)sum, *at++);
    return ~(uint32_t)sum;
}

crc32c_function *crc32c_accelerated(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return crc32c_sse42;
    return NULL;
}
