/* Mending a damaged pool file, within this folder: pool_repair() and its parts.
 *
 * repair.c copies, locks and replaces; repair_superblock.c finds out how the file is divided and
 * what its checksums are seeded with; repair_ring.c finds the messages and makes everything
 * else anew. docs/design/0006-repair.md has the rules. */
#ifndef ENGINE_REPAIR_H
#define ENGINE_REPAIR_H

#include "engine/handle.h"
#include "engine/progress.h"

/* What there is of a pool's file. */
struct image {
    const uint8_t *bytes;
    uint64_t size;
};

#define REPAIR_SAMPLES 64

/* A message that proves itself: its body has the checksum of its own that its header holds. */
struct sample {
    uint64_t offset; /* in the ring */
    uint64_t seq;
    uint32_t key; /* seed ^ position, as frame_header_crc() folds it */
};

/* The number that a position adds to a key. */
uint32_t repair_fold(uint64_t pos);

/* Takes samples from all parts of a ring, of which the file has present bytes. */
size_t repair_sample(const uint8_t *ring, uint64_t ring_size, uint64_t present,
    struct sample samples[static REPAIR_SAMPLES]);

/* The position that the index has for a sample. False: none. */
bool repair_indexed(const struct index_slot *index, const struct superblock *superblock,
    const struct sample *sample, uint64_t *out_pos);

/* How far a message with this seq can lie: it and each before it take a ring and a pad at most. */
uint64_t repair_pos_max(const struct superblock *superblock, uint64_t seq);

/* A commit record whose check is right; the one with the larger end, if both are. False: none. */
bool repair_record(const struct control *control, struct ring_state *out_state);

/* The superblock the file has, or had. -1: Corrupt (nobody can tell), Usage, Io; without path. */
int repair_superblock(
    int fd, const struct image *image, struct superblock *out_superblock, plsm_error_t **err);

/* Mends ring, control words and index of a file that nobody else knows of, and fills
 * *out_repaired but for the path. -1: Corrupt, without path. */
int repair_ring(struct pool *pool, struct progress *progress, uint64_t progress_base,
    struct pool_repaired *out_repaired, plsm_error_t **err);

#endif
