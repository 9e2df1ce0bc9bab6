/* A block of 256 bytes as bit planes: a bitmap of all its bytes' lowest bits, one of the next ones,
 * and so on. From these, a few operations find a character in all 256 places at once.
 *
 * After Cameron, Herdy and Lin, "High performance XML parsing using parallel bit stream
 * technology", CASCON 2008. */
#ifndef JSON_SCAN_X86_PLANES_H
#define JSON_SCAN_X86_PLANES_H

#include "json/scan_x86_bits.h"

/* Swaps the bits of a under mask << n with the bits of b under mask. */
#define PLANES_SWAP(a, b, n, mask)                                                                 \
    do {                                                                                           \
        const bits swap_ = bits_and(bits_xor(_mm256_srli_epi16(a, n), b), _mm256_set1_epi8(mask)); \
        b = bits_xor(b, swap_);                                                                    \
        a = bits_xor(a, _mm256_slli_epi16(swap_, n));                                              \
    } while (0)

/* Turns 8 registers, byte by byte, as 8 x 8 bits. */
AVX2 static inline void planes_turn(bits p[static 8])
{
    PLANES_SWAP(p[0], p[4], 4, 0x0f);
    PLANES_SWAP(p[1], p[5], 4, 0x0f);
    PLANES_SWAP(p[2], p[6], 4, 0x0f);
    PLANES_SWAP(p[3], p[7], 4, 0x0f);
    PLANES_SWAP(p[0], p[2], 2, 0x33);
    PLANES_SWAP(p[1], p[3], 2, 0x33);
    PLANES_SWAP(p[4], p[6], 2, 0x33);
    PLANES_SWAP(p[5], p[7], 2, 0x33);
    PLANES_SWAP(p[0], p[1], 1, 0x55);
    PLANES_SWAP(p[2], p[3], 1, 0x55);
    PLANES_SWAP(p[4], p[5], 1, 0x55);
    PLANES_SWAP(p[6], p[7], 1, 0x55);
}

AVX2 static inline __m128i bytes_load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* 16 bytes, and the 16 bytes half a block further, with the bytes of the two 8-byte groups of each
 * in turns. */
AVX2 static inline bits planes_load(const uint8_t *at)
{
    const bits both = _mm256_inserti128_si256(
        _mm256_castsi128_si256(bytes_load(at)), bytes_load(at + BLOCK / 2), 1);
    const __m256i turns = _mm256_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15, 0,
        8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
    return _mm256_shuffle_epi8(both, turns);
}

/* The bit planes of a block: bit i of p[k] is bit k of byte i. */
AVX2 static inline void planes_make(const uint8_t *block, bits p[static 8])
{
    /* byte j of p[k] is to be byte 8 * j + k of the block: 16-bit pairs, turned as 8 x 8 */
    const bits a0 = planes_load(block), a1 = planes_load(block + 16);
    const bits a2 = planes_load(block + 32), a3 = planes_load(block + 48);
    const bits a4 = planes_load(block + 64), a5 = planes_load(block + 80);
    const bits a6 = planes_load(block + 96), a7 = planes_load(block + 112);
    const bits b0 = _mm256_unpacklo_epi16(a0, a1), b1 = _mm256_unpackhi_epi16(a0, a1);
    const bits b2 = _mm256_unpacklo_epi16(a2, a3), b3 = _mm256_unpackhi_epi16(a2, a3);
    const bits b4 = _mm256_unpacklo_epi16(a4, a5), b5 = _mm256_unpackhi_epi16(a4, a5);
    const bits b6 = _mm256_unpacklo_epi16(a6, a7), b7 = _mm256_unpackhi_epi16(a6, a7);
    const bits c0 = _mm256_unpacklo_epi32(b0, b2), c1 = _mm256_unpackhi_epi32(b0, b2);
    const bits c2 = _mm256_unpacklo_epi32(b1, b3), c3 = _mm256_unpackhi_epi32(b1, b3);
    const bits c4 = _mm256_unpacklo_epi32(b4, b6), c5 = _mm256_unpackhi_epi32(b4, b6);
    const bits c6 = _mm256_unpacklo_epi32(b5, b7), c7 = _mm256_unpackhi_epi32(b5, b7);
    p[0] = _mm256_unpacklo_epi64(c0, c4), p[1] = _mm256_unpackhi_epi64(c0, c4);
    p[2] = _mm256_unpacklo_epi64(c1, c5), p[3] = _mm256_unpackhi_epi64(c1, c5);
    p[4] = _mm256_unpacklo_epi64(c2, c6), p[5] = _mm256_unpackhi_epi64(c2, c6);
    p[6] = _mm256_unpacklo_epi64(c3, c7), p[7] = _mm256_unpackhi_epi64(c3, c7);
    planes_turn(p);
}

/* Half bytes: the lower one by its upper and its lower two bits, the upper one as it is needed. */
struct halves {
    bits u0, u1, u2, u3; /* lower half, upper bits 00, 01, 10, 11 */
    bits l0, l1, l2, l3; /* lower half, lower bits */
};

AVX2 static inline struct halves planes_halves(const bits p[static 8])
{
    return (struct halves){
        .u0 = bits_not(bits_or(p[3], p[2])),
        .u1 = bits_but(p[2], p[3]),
        .u2 = bits_but(p[3], p[2]),
        .u3 = bits_and(p[3], p[2]),
        .l0 = bits_not(bits_or(p[1], p[0])),
        .l1 = bits_but(p[0], p[1]),
        .l2 = bits_but(p[1], p[0]),
        .l3 = bits_and(p[1], p[0]),
    };
}

#endif
