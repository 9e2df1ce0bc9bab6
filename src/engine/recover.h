/* After a power loss: which of the bytes in the file are messages, and which came too late.
 *
 * The kernel writes pages to the disk in any order, so what the control page says and what the
 * ring holds may be of different moments. What is certain: everything before `durable` was on
 * the disk, except where writers have overwritten it since; and no writer began to do that while
 * the disk did not know `durable` (append_needs_sync). So the run of intact frames that holds the
 * durable position is the one to keep. */
#ifndef ENGINE_RECOVER_H
#define ENGINE_RECOVER_H

#include "engine/handle.h"

enum {
    RECOVER_NEEDED = 1,
};

/* Whether the pool was last used before the machine's present start, or a sync failed and
 * nobody holds it open any more: RECOVER_NEEDED, or 0. -1: nobody can tell (Io). */
int recover_is_needed(struct pool *pool, plsm_error_t **err);

/* Scans and repairs under the lock, unless somebody else just did. Needs POOL_WRITE.
 * POOL_OK, POOL_BUSY or -1. Cost: reads the retained messages once. */
int recover_run(struct pool *pool, plsm_error_t **err);

/* Frames that follow each other: start <= position < end. */
struct run {
    uint64_t start;
    uint64_t end;
    uint64_t next_seq; /* 0: the run is empty */
    uint64_t time_ns;
};

/* Makes the run the pool's messages: head, tail and the commit records; and the index. The lock
 * is held, or nobody else knows of the file. */
void recover_set(struct pool *pool, const struct run *run);
void recover_rebuild_index(struct pool *pool, const struct run *run);

#endif
