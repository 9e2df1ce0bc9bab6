/* CRC32C with the instruction of ARMv8-A's CRC extension. */
#include "base/crc32c.h"

#include <arm_acle.h>
#include <string.h>
#include <sys/auxv.h>

#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif

__attribute__((target("+crc"))) static uint32_t crc32c_armv8(
    uint32_t crc, const void *data, size_t len)
{
    const uint8_t *at = data;
    crc = ~crc;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __crc32cd(crc, word);
    }
    for (; len > 0; len--)
        crc = __crc32cb(crc, *at++);
    return ~crc;
}

crc32c_function *crc32c_accelerated(void)
{
    return getauxval(AT_HWCAP) & HWCAP_CRC32 ? crc32c_armv8 : NULL;
}
