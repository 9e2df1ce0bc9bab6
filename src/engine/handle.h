/* What a pool handle holds: private to this folder. */
#ifndef ENGINE_HANDLE_H
#define ENGINE_HANDLE_H

#include "engine/format.h"
#include "engine/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pool {
    /* read on every operation, written at open */
    struct control *control;
    struct index_slot *index;
    uint8_t *ring;
    uint64_t ring_size;
    uint32_t seed; /* of header checksums: stands for the pool's identity */
    uint32_t block_shift;
    uint64_t n_blocks; /* slots in use; 0: no index */
    enum pool_mode mode;
    bool can_wake;    /* the control words are mapped writable: a follower may announce itself */
    bool unrecovered; /* a dead machine's pool that we may not repair: only intact frames count */

    _Atomic(uint32_t) lease;     /* our lease word; 0: not taken yet */
    _Atomic(uint64_t) lap_start; /* position of ring offset 0 in the lap last used; a hint */
    _Atomic(uint64_t) warm_pos;  /* pages before it were made ready for writing */
    atomic_bool truncated;       /* the file shrank under the mapping, or has no page for it */

    /* the rest is for opening, waiting and failing */
    char *path;
    char *temporary; /* the name of a file that is not published yet, where it needs one */
    int fd;
    uint8_t *map; /* the whole file */
    size_t map_len;
    void *control_map; /* the header once more, writable, where map is not; else NULL */
    uint32_t busy_timeout_ms;
    uint32_t spin_turns;
    struct superblock superblock;
    pthread_mutex_t lease_mutex; /* one thread takes the lease */
    struct pool *registry_next;  /* open handles of this process, for fork */
    struct pool **registry_link;
};

/* The ring's state between two appends, read under the lock or checked to be whole. */
struct ring_state {
    uint64_t head;
    uint64_t tail;
    uint64_t next_seq;
    uint64_t time_ns; /* of the last message */
    unsigned commit;  /* which record is in force */
};

/* Offset in the ring of a position; *lap_start is a hint that the caller keeps. Divides only
 * when the position is more than a lap away from it. */
static inline uint64_t ring_offset_of(uint64_t ring_size, uint64_t *lap_start, uint64_t pos)
{
    assert(ring_size > 0);
    uint64_t offset = pos - *lap_start;
    if (__builtin_expect(offset >= ring_size, 0)) {
        offset -= ring_size;
        if (offset >= ring_size)
            offset = pos % ring_size;
        *lap_start = pos - offset;
    }
    return offset;
}

/* The state, if its words fit each other; false: the control page is damaged. Call it with the
 * lock held; ring_state_peek tries without, and gives up after many writers got in between. */
bool ring_state_load(const struct pool *pool, struct ring_state *out_state);
bool ring_state_peek(const struct pool *pool, struct ring_state *out_state);

/* The part of it that the commit record for this tail holds; head as it stands, unchecked. */
bool ring_commit_load(const struct pool *pool, uint64_t tail, struct ring_state *out_state);

/* Whether head and tail may be those of this ring at all. */
static inline bool ring_words_valid(const struct pool *pool, uint64_t head, uint64_t tail)
{
    return ((head | tail) & (FORMAT_FRAME_ALIGN - 1)) == 0 && head <= tail &&
           tail - head <= pool->ring_size && tail <= FORMAT_NUMBER_MAX;
}

/* A handle for a file that is open already, has the size its superblock says, and that nobody else
 * uses: without a lease, and without recovery. The descriptor becomes the handle's. path is for
 * errors. */
int pool_adopt(int fd, enum pool_mode mode, const struct superblock *superblock, const char *path,
    struct pool **out_pool, plsm_error_t **err);

/* Why a pool file could not be opened. */
int pool_open_failed(int errnum, plsm_error_t **err);

/* Byte of the file at which a position lies, for errors. */
uint64_t pool_file_offset(const struct pool *pool, uint64_t pos);

/* Corrupt, with path and offset; Io where the words were only not to be had. */
int pool_corrupt(
    const struct pool *pool, uint64_t file_offset, plsm_error_t **err, const char *what);

#endif
