/* Bitmaps of 256 bits in an AVX2 register: bit i says something about byte i of a block.
 *
 * A register is four lanes of 64 bits. What has to cross from lane to lane - shifts, sums - is done
 * lane by lane first; the few bits that cross are gathered in a small integer, settled there, and
 * put back as lanes from a table. What crosses the end of the block is the `carry`: 0 or 1, for
 * the first bit of the next block. */
#ifndef JSON_SCAN_X86_BITS_H
#define JSON_SCAN_X86_BITS_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))

typedef __m256i bits;

#define BLOCK 256 /* bytes, one a bit */

/* A set bit for each lane, as that lane's full bits. */
#define BITS_LANES(m)                                                                              \
    {                                                                                              \
        -(uint64_t)((m)&1), -(uint64_t)((m) >> 1 & 1), -(uint64_t)((m) >> 2 & 1),                  \
            -(uint64_t)((m) >> 3 & 1)                                                              \
    }
static const uint64_t bits_lanes[16][4] __attribute__((aligned(32))) = {BITS_LANES(0),
    BITS_LANES(1), BITS_LANES(2), BITS_LANES(3), BITS_LANES(4), BITS_LANES(5), BITS_LANES(6),
    BITS_LANES(7), BITS_LANES(8), BITS_LANES(9), BITS_LANES(10), BITS_LANES(11), BITS_LANES(12),
    BITS_LANES(13), BITS_LANES(14), BITS_LANES(15)};

AVX2 static inline bits bits_and(bits a, bits b)
{
    return _mm256_and_si256(a, b);
}
AVX2 static inline bits bits_or(bits a, bits b)
{
    return _mm256_or_si256(a, b);
}
AVX2 static inline bits bits_xor(bits a, bits b)
{
    return _mm256_xor_si256(a, b);
}
AVX2 static inline bits bits_but(bits a, bits b)
{
    return _mm256_andnot_si256(b, a);
}
AVX2 static inline bits bits_not(bits a)
{
    return bits_xor(a, _mm256_set1_epi8(-1));
}
AVX2 static inline bool bits_any(bits a)
{
    return _mm256_testz_si256(a, a) == 0;
}

/* The bits of a that are also set in b: is there one? */
AVX2 static inline bool bits_meet(bits a, bits b)
{
    return _mm256_testz_si256(a, b) == 0;
}

AVX2 static inline bits bits_load(const uint64_t words[static 4])
{
    return _mm256_set_epi64x(
        (long long)words[3], (long long)words[2], (long long)words[1], (long long)words[0]);
}

AVX2 static inline void bits_store(uint64_t words[static 4], bits a)
{
    _mm256_storeu_si256((__m256i *)(void *)words, a);
}

/* The top bit of each lane. */
AVX2 static inline unsigned bits_tops(bits a)
{
    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(a));
}

AVX2 static inline bits bits_of_lanes(unsigned lanes)
{
    return _mm256_load_si256((const __m256i *)(const void *)bits_lanes[lanes & 15]);
}

/* Each lane's lower neighbour; the lowest gets the top lane of `before`. */
AVX2 static inline bits bits_lanes_below(bits a, bits before)
{
    return _mm256_alignr_epi8(a, _mm256_permute2x128_si256(before, a, 0x21), 8);
}

/* The bits n places behind those of a, whose lanes below are given. */
#define BITS_SHIFT(a, lanes_below, n)                                                              \
    bits_or(_mm256_slli_epi64(a, n), _mm256_srli_epi64(lanes_below, 64 - (n)))

/* The bits right behind those of a; `before` are the last block's. */
AVX2 static inline bits bits_next(bits a, bits before)
{
    return BITS_SHIFT(a, bits_lanes_below(a, before), 1);
}

/* Adds to each lane's sum the carries that come into it: bit i of `in` for lane i, bit 4 for the
 * next block. A lane that is full hands its carry on. */
AVX2 static inline bits bits_settle(bits sum, unsigned in, unsigned *carry)
{
    const unsigned full = bits_tops(_mm256_cmpeq_epi64(sum, _mm256_set1_epi8(-1)));
    const unsigned moved = in + full;
    *carry = moved >> 4;
    return _mm256_sub_epi64(sum, bits_of_lanes(moved ^ full));
}

/* From each bit of `begins` on over the bits of `run` that follow without a gap, `begins` itself
 * among them: the first bit behind. */
AVX2 static inline bits bits_run_end(bits begins, bits run, unsigned *carry)
{
    const bits sum = _mm256_add_epi64(begins, run);
    const unsigned out = bits_tops(bits_but(run, sum));
    return bits_but(bits_settle(sum, out << 1 | *carry, carry), run);
}

/* The first bits that are not filler, on from those right behind a and from `begins`. */
AVX2 static inline bits bits_behind(bits a, bits begins, bits filler, unsigned *carry)
{
    const bits sum = _mm256_add_epi64(bits_or(_mm256_slli_epi64(a, 1), begins), filler);
    const unsigned out = bits_tops(bits_or(a, bits_but(filler, sum)));
    return bits_but(bits_settle(sum, out << 1 | *carry, carry), filler);
}

/* The same where there is no filler. */
AVX2 static inline bits bits_right_behind(bits a, bits begins, unsigned *carry)
{
    const unsigned in = bits_tops(a) << 1 | *carry;
    *carry = in >> 4;
    const bits behind = bits_or(_mm256_slli_epi64(a, 1), begins);
    return _mm256_sub_epi64(behind, bits_of_lanes(in));
}

/* From each odd bit of a on, itself included, up to the next one. *inside: 31 if the last block
 * ended inside, or 0. */
AVX2 static inline bits bits_toggle(bits a, unsigned *inside)
{
    a = bits_xor(a, _mm256_slli_epi64(a, 1));
    a = bits_xor(a, _mm256_slli_epi64(a, 2));
    a = bits_xor(a, _mm256_slli_epi64(a, 4));
    a = bits_xor(a, _mm256_slli_epi64(a, 8));
    a = bits_xor(a, _mm256_slli_epi64(a, 16));
    a = bits_xor(a, _mm256_slli_epi64(a, 32));
    unsigned tops = bits_tops(a);
    tops ^= tops << 1;
    tops ^= tops << 2;
    const unsigned lanes = (tops << 1) ^ *inside;
    *inside = -(lanes >> 4 & 1) & 31;
    return bits_xor(a, bits_of_lanes(lanes));
}

#endif
