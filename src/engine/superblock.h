/* The superblock: what a pool is and how it is divided, written once. */
#ifndef ENGINE_SUPERBLOCK_H
#define ENGINE_SUPERBLOCK_H

#include "engine/format.h"
#include "engine/pool.h"

/* Divides a file of the wanted size. Usage if it is too small, or if the index would take more
 * than half. */
int superblock_make(const struct pool_create_options *options, struct superblock *out_superblock,
    plsm_error_t **err);

/* Reads and checks the superblock of an open file. Corrupt, Usage (another format), Io; without
 * path. */
int superblock_read(int fd, struct superblock *out_superblock, plsm_error_t **err);

/* Whether these bytes are the superblock of a pool of this format, whole and possible. */
bool superblock_is_sound(const struct superblock *superblock);

/* The checksum it should have. */
uint32_t superblock_crc(const struct superblock *superblock);

/* How many index slots are in use, one for each block of the ring. */
uint64_t superblock_blocks(const struct superblock *superblock);

/* The start value of this pool's header checksums. */
uint32_t superblock_seed(const struct superblock *superblock);

#endif
