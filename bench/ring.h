/* The floor beneath every append and read: the same bytes moved in memory, with the checksum, by
 * the plainest code that could do it, and nothing else: no seq, no eviction, no recovery.
 *
 * A record is 288 bytes for 256 of payload, as a frame is. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include "base/view.h"

#include <stdint.h>

struct ring;

/* In memory that forked children share, all pages present. */
struct ring *ring_new(void);

/* Lock (one compare and swap, then spinning with yields), copy, checksum, publish, unlock. */
void ring_append(struct ring *ring, const struct view *payloads, uint32_t n_payloads);

/* Fills the ring with one lap of records and returns how many there are. */
uint64_t ring_fill(struct ring *ring);

/* Checksums record i and copies its payload (256 bytes) to out, unless out is NULL. */
void ring_read(const struct ring *ring, uint64_t i, uint8_t *out);

/* The same, found through an index of slots that is as large as the pool's own. */
void ring_fetch(const struct ring *ring, uint64_t i, uint8_t *out);

#endif
