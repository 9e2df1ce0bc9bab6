/* CRC32C (Castagnoli polynomial 0x1EDC6F41, reflected, as in RFC 3720): the checksum of frames
 * and of the superblock.
 *
 * crc32c(crc, data, len) continues crc over len bytes; start with 0, or with any 32-bit seed.
 * crc32c(crc32c(0, a), b) == crc32c(0, a followed by b). Uses the CPU's instruction where there
 * is one, chosen once at first use; about 12 ns for 256 bytes with it. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The crc from which data led to this one: crc32c_undo(crc32c(crc, data, len), data, len) == crc.
 * Slow; for finding out what a checksum was seeded with. */
uint32_t crc32c_undo(uint32_t crc, const void *data, size_t len);

/* The variants, for the tests that compare them; crc32c() is the one to call. */
typedef uint32_t crc32c_function(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t len);
crc32c_function *crc32c_accelerated(void); /* NULL where the CPU has none */

#endif
