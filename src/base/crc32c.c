#include "base/crc32c.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u /* 0x1EDC6F41, bits reversed */

/* Slicing-by-4 tables (Kounavis and Berry, "A systematic approach to building high performance
 * software-based CRC generators", 2005), made at first use. Threads that race here write the
 * same values. */
static uint32_t crc32c_table[4][256];
static atomic_bool crc32c_table_ready;

static void crc32c_table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        crc32c_table[0][i] = crc;
    }
    for (int slice = 1; slice < 4; slice++) {
        for (uint32_t i = 0; i < 256; i++) {
            const uint32_t crc = crc32c_table[slice - 1][i];
            crc32c_table[slice][i] = (crc >> 8) ^ crc32c_table[0][crc & 0xff];
        }
    }
    /* release: the tables before the flag; pairs with the acquire in crc32c_portable() */
    atomic_store_explicit(&crc32c_table_ready, true, memory_order_release);
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len)
{
    /* acquire: the tables behind the flag; pairs with the release in crc32c_table_make() */
    if (!atomic_load_explicit(&crc32c_table_ready, memory_order_acquire))
        crc32c_table_make();

    const uint8_t *at = data;
    crc = ~crc;
    for (; len >= 4; len -= 4, at += 4) {
        uint32_t word;
        memcpy(&word, at, 4);
        crc ^= word;
        crc = crc32c_table[3][crc & 0xff] ^ crc32c_table[2][(crc >> 8) & 0xff] ^
              crc32c_table[1][(crc >> 16) & 0xff] ^ crc32c_table[0][crc >> 24];
    }
    for (; len > 0; len--)
        crc = (crc >> 8) ^ crc32c_table[0][(crc ^ *at++) & 0xff];
    return ~crc;
}

uint32_t crc32c_undo(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    while (len-- > 0) {
        /* the polynomial's top bit tells the steps that had added it */
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x80000000u) != 0 ? (crc ^ CRC32C_POLYNOMIAL) << 1 | 1u : crc << 1;
        crc ^= bytes[len];
    }
    return ~crc;
}

static uint32_t crc32c_choose(uint32_t crc, const void *data, size_t len);

/* The variant in use; the first call replaces itself by the best one. */
static _Atomic(crc32c_function *) crc32c_chosen = crc32c_choose;

static uint32_t crc32c_choose(uint32_t crc, const void *data, size_t len)
{
    crc32c_function *best = crc32c_accelerated();
    if (best == NULL)
        best = crc32c_portable;
    /* relaxed: a pointer to code; what the code needs was published by its own flag */
    atomic_store_explicit(&crc32c_chosen, best, memory_order_relaxed);
    return best(crc, data, len);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
    return atomic_load_explicit(&crc32c_chosen, memory_order_relaxed)(crc, data, len);
}
