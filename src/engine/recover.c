#include "engine/recover.h"

#include "engine/flush.h"
#include "engine/frame.h"
#include "engine/index.h"
#include "engine/lease.h"
#include "os/file.h"
#include "os/process.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* A boot id that cannot be read is an error: taken for another one, every opener would scan a pool
 * that others are using. */
static int recover_boot_id(const struct pool *pool, uint8_t out_id[static 16], plsm_error_t **err)
{
    if (process_boot_id(out_id) == 0)
        return 0;
    error_io(err, errno, "failed to read the machine's boot id");
    return error_at_path(err, pool->path);
}

static bool recover_boot_differs(const struct pool *pool, const uint8_t boot_id[static 16])
{
    return memcmp(boot_id, pool->control->boot_id, sizeof(pool->control->boot_id)) != 0;
}

int recover_is_needed(struct pool *pool, plsm_error_t **err)
{
    uint8_t boot_id[16];
    if (recover_boot_id(pool, boot_id, err) < 0)
        return -1;
    if (recover_boot_differs(pool, boot_id))
        return RECOVER_NEEDED;
    if (atomic_load_explicit(&pool->control->flush_failed, memory_order_acquire) != 0 &&
        file_lease_any(pool->fd, FORMAT_LEASE_MAX) == 0)
        return RECOVER_NEEDED;
    return 0;
}

/* Extends a run from its end up to the tail. Within a run seqs rise by one, or jump at a hole, and
 * times never fall, nor do they pass those of the tail's record: what a dead writer left behind
 * breaks one of these rules even where it happens to keep the others. */
static void recover_extend(const struct pool *pool, struct run *run, const struct ring_state *state)
{
    struct frame_header header;
    uint64_t lap_start = 0;

    while (run->end < state->tail && index_read_header(pool, run->end, state->tail, &header)) {
        const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, run->end);
        const uint64_t next_seq = header.seq + (header.type == FRAME_MESSAGE);
        if (!frame_body_valid(pool->ring + offset, &header) || next_seq > state->next_seq ||
            header.time_ns > state->time_ns)
            return;
        if (run->next_seq != 0 &&
            (!frame_follows(&header, run->next_seq) || header.time_ns < run->time_ns))
            return;
        run->next_seq = next_seq;
        run->time_ns = header.time_ns;
        run->end += frame_length(&header);
    }
}

static bool recover_better(const struct run *run, const struct run *best, uint64_t durable)
{
    const bool holds = run->start <= durable && durable <= run->end;
    const bool best_holds = best->start <= durable && durable <= best->end && best->next_seq != 0;
    if (holds != best_holds)
        return holds;
    return run->end - run->start > best->end - best->start;
}

/* Finds the run to keep between head and tail. One that ends before durable is none: the hole
 * behind it is a later lap's, so its messages had been given up, and going on from it would give
 * seqs that were flushed to others. */
static struct run recover_find(
    const struct pool *pool, const struct ring_state *state, uint64_t durable)
{
    const uint64_t tail = state->tail;
    struct run best = {.start = tail, .end = tail};
    struct frame_header header;
    uint64_t pos = state->head;

    while (pos < tail) {
        struct run run = {.start = pos, .end = pos};
        recover_extend(pool, &run, state);
        if (run.end > run.start && run.end >= durable && recover_better(&run, &best, durable))
            best = run;
        if (run.end >= tail)
            break;
        /* a frame that was refused for its seq or time may begin the next run */
        pos = run.end > run.start && index_read_header(pool, run.end, tail, &header)
                  ? run.end
                  : index_next_intact(pool, run.end, tail, &header);
    }
    return best;
}

void recover_rebuild_index(struct pool *pool, const struct run *run)
{
    struct frame_header header;
    uint64_t lap_start = 0;

    for (uint64_t i = 0; i < pool->n_blocks; i++) {
        atomic_store_explicit(&pool->index[i].pos, UINT64_MAX, memory_order_relaxed);
        atomic_store_explicit(&pool->index[i].seq, 0, memory_order_relaxed);
    }
    for (uint64_t pos = run->start; pos < run->end; pos += frame_length(&header)) {
        if (!index_read_header(pool, pos, run->end, &header))
            return; /* it was intact a moment ago: the file is changing under us */
        const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, pos);
        index_put(pool, pos, offset, frame_length(&header), header.seq);
    }
}

/* After a failed sync the kernel may hold pages that it believes are written: touches every page
 * so that the next sync writes all of them again. */
static void recover_touch_pages(struct pool *pool)
{
    for (size_t offset = 0; offset < pool->map_len; offset += 4096) {
        _Atomic(uint8_t) *byte = (_Atomic(uint8_t) *)(pool->map + offset);
        atomic_fetch_or_explicit(byte, 0, memory_order_relaxed);
    }
}

static void recover_zero(uint8_t *start, uint64_t len)
{
    static const uint8_t zeros[4096];
    while (len > 0) {
        const size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
        if (memcmp(start, zeros, n) != 0) /* else the disk would be given it for nothing */
            frame_copy(start, zeros, n);
        start += n;
        len -= n;
    }
}

/* Makes nothing of all that is not in the run: messages that are lost, because one before them is,
 * or because they belong to laps that the tail on the disk did not know. When new messages reach
 * the place where an intact one of these stands, it would seem to follow them, after the next
 * power loss. */
static void recover_wipe(struct pool *pool, const struct run *run)
{
    struct frame_header header;
    uint64_t lap_start = 0;
    uint64_t length;

    for (uint64_t pos = run->start; pos < run->end; pos += length) {
        if (!index_read_header(pool, pos, run->end, &header))
            return; /* it was intact a moment ago: the file is changing under us */
        length = frame_length(&header);
        if (header.type == FRAME_PAD) /* what it covers is what was there before */
            recover_zero(
                pool->ring + ring_offset_of(pool->ring_size, &lap_start, pos) + sizeof(header),
                length - sizeof(header));
    }
    const uint64_t unused = pool->ring_size - (run->end - run->start);
    const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, run->end);
    const uint64_t to_end = pool->ring_size - offset;
    const uint64_t behind = unused < to_end ? unused : to_end;
    recover_zero(pool->ring + offset, behind);
    recover_zero(pool->ring, unused - behind);
}

/* As an append publishes: the record that is not in force is filled, then head moves, then tail.
 * Whoever dies in between leaves words that fit each other, and the next opener begins anew. */
void recover_set(struct pool *pool, const struct run *run)
{
    struct control *control = pool->control;
    const uint64_t tail = atomic_load_explicit(&control->tail, memory_order_relaxed);
    const unsigned old =
        atomic_load_explicit(&control->commits[0].end_pos, memory_order_relaxed) == tail ? 0 : 1;
    const unsigned i = !old;
    struct commit_record *commit = &control->commits[i];

    atomic_store_explicit(&commit->next_seq, run->next_seq, memory_order_relaxed);
    atomic_store_explicit(&commit->time_ns, run->time_ns, memory_order_relaxed);
    atomic_store_explicit(&control->commit_checks[i],
        commit_check(run->end, run->next_seq, run->time_ns), memory_order_relaxed);
    /* release, all four: in this order, even if nothing follows */
    atomic_store_explicit(&commit->end_pos, run->end, memory_order_release);
    atomic_store_explicit(&control->head, run->start, memory_order_release);
    atomic_store_explicit(&control->tail, run->end, memory_order_release);
    /* where tail has not moved, both records name it until now */
    atomic_store_explicit(&control->commits[old].end_pos, UINT64_MAX, memory_order_release);
}

/* The words as the disk has them. head stands on another line of the cache than tail and the
 * records, and may be of another moment: where it does not fit, anything within a ring may be. */
static bool recover_load(const struct pool *pool, struct ring_state *out_state)
{
    const uint64_t tail = atomic_load_explicit(&pool->control->tail, memory_order_relaxed);

    if (tail % FORMAT_FRAME_ALIGN != 0 || !ring_commit_load(pool, tail, out_state))
        return false;
    if (!ring_words_valid(pool, out_state->head, tail))
        out_state->head = tail > pool->ring_size ? tail - pool->ring_size : 0;
    return true;
}

/* One that fails leaves pages that the next one would not write: they must be touched before. */
static int recover_sync(struct pool *pool, plsm_error_t **err)
{
    if (file_sync(pool->fd) == 0)
        return 0;
    error_io(err, errno, "failed to flush the pool file");
    atomic_store_explicit(&pool->control->flush_failed, 1, memory_order_release);
    return error_at_path(err, pool->path);
}

static int recover_locked(struct pool *pool, const uint8_t boot_id[static 16], plsm_error_t **err)
{
    struct control *control = pool->control;
    struct ring_state state;

    if (!recover_load(pool, &state))
        return pool_corrupt(
            pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
    uint64_t durable = atomic_load_explicit(&control->durable, memory_order_relaxed);
    if (durable > state.tail) /* damaged: it says nothing */
        durable = state.head;
    /* also where durable is the tail: the ring may be of a later moment than these words, when
     * fast appends had lapped over what they speak of */
    struct run run = recover_find(pool, &state, durable);
    if (run.next_seq == 0) { /* nothing is left: seq and time go on all the same */
        run.next_seq = state.next_seq;
        run.time_ns = state.time_ns;
    }
    recover_wipe(pool, &run);
    /* before tail moves back, and before durable moves on: it lies between them for all who look */
    atomic_store_explicit(&control->flush_target, run.end, memory_order_relaxed);
    recover_set(pool, &run);
    recover_rebuild_index(pool, &run);
    state.tail = run.end;
    if (atomic_load_explicit(&control->flush_failed, memory_order_relaxed) != 0)
        recover_touch_pages(pool);
    /* twice, so that the disk knows the durable position before anything is appended: head may have
     * passed the one it knew. The second sync carries one page */
    if (recover_sync(pool, err) < 0)
        return -1;
    atomic_store_explicit(&control->durable, state.tail, memory_order_relaxed);
    if (recover_sync(pool, err) < 0)
        return -1;
    atomic_store_explicit(&control->durable_known, state.tail, memory_order_relaxed);
    atomic_store_explicit(&control->flush_failed, 0, memory_order_release);
    memcpy(control->boot_id, boot_id, sizeof(control->boot_id));
    return 0;
}

int recover_run(struct pool *pool, plsm_error_t **err)
{
    assert(pool->mode == POOL_WRITE);
    const bool poisoned =
        atomic_load_explicit(&pool->control->flush_failed, memory_order_acquire) != 0;

    uint8_t boot_id[16];
    if (recover_boot_id(pool, boot_id, err) < 0)
        return -1;
    const int leased = lease_take(pool, err);
    if (leased != POOL_OK)
        return leased;
    if (lock_take(pool, &pool->control->lock) != POOL_OK)
        return POOL_BUSY;
    int r = POOL_OK;
    if (recover_boot_differs(pool, boot_id) ||
        (poisoned && atomic_load_explicit(&pool->control->flush_failed, memory_order_acquire) != 0))
        r = recover_locked(pool, boot_id, err);
    lock_release(&pool->control->lock);
    return r;
}
