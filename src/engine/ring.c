/* The control words of the ring: what they mean together, and what is wrong when they do not. */
#include "engine/frame.h"
#include "engine/handle.h"

#include <sys/stat.h>

/* Writers that may come between before a peek gives up: each takes longer than a peek. */
#define PEEK_TRIES 1000

bool ring_commit_load(const struct pool *pool, uint64_t tail, struct ring_state *out_state)
{
    const struct control *control = pool->control;

    for (unsigned i = 0; i < 2; i++) {
        const struct commit_record *commit = &control->commits[i];
        if (atomic_load_explicit(&commit->end_pos, memory_order_relaxed) != tail)
            continue;
        out_state->head = atomic_load_explicit(&control->head, memory_order_relaxed);
        out_state->tail = tail;
        out_state->next_seq = atomic_load_explicit(&commit->next_seq, memory_order_relaxed);
        out_state->time_ns = atomic_load_explicit(&commit->time_ns, memory_order_relaxed);
        out_state->commit = i;
        return out_state->next_seq <= FORMAT_NUMBER_MAX &&
               commit_check(tail, out_state->next_seq, out_state->time_ns) ==
                   atomic_load_explicit(&control->commit_checks[i], memory_order_relaxed);
    }
    return false;
}

static bool ring_state_read(const struct pool *pool, uint64_t tail, struct ring_state *out_state)
{
    return ring_commit_load(pool, tail, out_state) && ring_words_valid(pool, out_state->head, tail);
}

bool ring_state_load(const struct pool *pool, struct ring_state *out_state)
{
    return ring_state_read(
        pool, atomic_load_explicit(&pool->control->tail, memory_order_relaxed), out_state);
}

bool ring_state_peek(const struct pool *pool, struct ring_state *out_state)
{
    for (int i = 0; i < PEEK_TRIES; i++) {
        /* acquire: the record behind the tail; pairs with the release in append_publish() */
        const uint64_t tail = atomic_load_explicit(&pool->control->tail, memory_order_acquire);
        const bool valid = ring_state_read(pool, tail, out_state);
        /* acquire: the tail is read again after the words it stands for */
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&pool->control->tail, memory_order_relaxed) == tail)
            return valid; /* the record of the tail in force is never written to */
    }
    return false;
}

uint64_t pool_file_offset(const struct pool *pool, uint64_t pos)
{
    return pool->superblock.ring_offset + pos % pool->ring_size;
}

/* The guard has put zeros in the place of a page: the file was cut short, or it was not and the
 * file system could not give the page, or take what was written to it. */
static bool ring_page_refused(const struct pool *pool)
{
    struct stat status;
    return atomic_load_explicit(&pool->truncated, memory_order_relaxed) &&
           fstat(pool->fd, &status) == 0 && (uint64_t)status.st_size >= pool->superblock.file_size;
}

int pool_corrupt(
    const struct pool *pool, uint64_t file_offset, plsm_error_t **err, const char *what)
{
    if (ring_page_refused(pool)) {
        error_set(err, PLSM_ERROR_IO, "the file system gave no page of the pool file");
        error_hint(err, "The disk is failing, or it is full and of a kind that writes every change "
                        "to a new place, as btrfs does. Open the pool again once there is room.");
        return error_at_path(err, pool->path);
    }
    error_set(err, PLSM_ERROR_CORRUPT, "%s", what);
    error_at_offset(err, file_offset);
    return error_at_path(err, pool->path);
}
