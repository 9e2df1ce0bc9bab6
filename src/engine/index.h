/* The index: from a seq or a time to a position, without reading what lies between.
 *
 * One slot for each block of the ring. Slots are hints: every answer taken from one is checked
 * against the frame it names, so a stale or damaged slot costs a longer walk, never a wrong
 * answer. */
#ifndef ENGINE_INDEX_H
#define ENGINE_INDEX_H

#include "engine/frame.h"
#include "engine/handle.h"

/* Notes a frame of length bytes at pos, offset bytes into the ring. The lock is held, and the
 * frame is not published yet. */
static inline void index_put(
    struct pool *pool, uint64_t pos, uint64_t offset, uint64_t length, uint64_t seq)
{
    if (pool->n_blocks == 0)
        return;
    const uint64_t block_mask = (UINT64_C(1) << pool->block_shift) - 1;
    uint64_t block = offset >> pool->block_shift;
    const uint64_t last = (offset + length - 1) >> pool->block_shift;

    /* a slot that names a frame of this lap, before this one, in this block, stays */
    const uint64_t first_pos = atomic_load_explicit(&pool->index[block].pos, memory_order_relaxed);
    if (first_pos >= pos - (offset & block_mask) && first_pos < pos)
        block++;
    for (; block <= last; block++) {
        atomic_store_explicit(&pool->index[block].seq, seq, memory_order_relaxed);
        atomic_store_explicit(&pool->index[block].pos, pos, memory_order_relaxed);
    }
}

/* A place in the ring known to be the start of a frame. */
struct place {
    uint64_t pos;
    uint64_t seq;
    uint64_t time_ns;
    struct frame_header header; /* as read there; only where a frame was found */
};

enum {
    FIND_FOUND = 0,
    FIND_BEFORE = 1,  /* older than what is retained */
    FIND_AFTER = 2,   /* newer than the newest; the place is the tail */
    FIND_DAMAGED = 3, /* what is sought may be the bad frame at the place, or one behind it */
    FIND_NOWHERE = 4, /* the control words contradict each other */
};

/* Finds the first frame whose seq is at least seq, or whose time is at least time_ns. */
int index_find_seq(struct pool *pool, uint64_t seq, struct place *out_place);
int index_find_time(struct pool *pool, uint64_t time_ns, struct place *out_place);

/* Reads and checks the header of the frame at pos, which must lie before limit. */
bool index_read_header(
    const struct pool *pool, uint64_t pos, uint64_t limit, struct frame_header *out_header);

/* The next intact frame after pos and before limit, as the index knows it, or by trying every
 * possible start where it knows none; limit if there is none. */
uint64_t index_next_intact(
    const struct pool *pool, uint64_t pos, uint64_t limit, struct frame_header *out_header);

#endif
