/* Flushing: many callers, one fdatasync.
 *
 * Who finds the flush lock free becomes the leader: it notes the tail, syncs the file, and says
 * how far everything is durable. The others sleep on the lock word and look at that when they
 * wake. The lock only saves work: a leader that is dead, or stopped for longer than the busy
 * timeout, is not waited for, and two leaders at once do no harm, because what they publish only
 * grows. */
#include "engine/flush.h"

#include "engine/lease.h"
#include "os/file.h"
#include "os/futex.h"

#include <errno.h>

static int flush_failed(const struct pool *pool, int errnum, plsm_error_t **err)
{
    if (errnum != 0)
        error_io(err, errnum, "failed to flush the pool file");
    else
        error_set(err, PLSM_ERROR_IO, "an earlier flush of this pool failed");
    error_hint(err,
        "What was not flushed before may be lost in a power cut. The pool flushes again "
        "once all its users have closed it.");
    return error_at_path(err, pool->path);
}

/* Moves a position forward, never back: leaders may finish in any order. */
static void flush_raise(_Atomic(uint64_t) *position, uint64_t value)
{
    uint64_t current = atomic_load_explicit(position, memory_order_relaxed);
    while (current < value && !atomic_compare_exchange_weak_explicit(position, &current, value,
                                  memory_order_release, memory_order_relaxed))
        continue;
}

/* Notes what this flush will cover. Under the writer's lock, so that an append that began
 * before has ended, and one that begins later sees the target: see append_needs_sync(). To
 * confirm is to carry to the disk what is durable, and no more: a new target would itself have to
 * be confirmed a lap later, and so on for ever. */
static int flush_begin(struct pool *pool, bool confirm, uint64_t *out_target, uint64_t *out_durable)
{
    struct control *control = pool->control;
    if (lock_take(pool, &control->lock) != POOL_OK)
        return POOL_BUSY;
    *out_target = atomic_load_explicit(&control->tail, memory_order_relaxed);
    *out_durable = atomic_load_explicit(&control->durable, memory_order_relaxed);
    if (confirm &&
        atomic_load_explicit(&control->flush_target, memory_order_relaxed) == *out_durable)
        *out_target = *out_durable;
    flush_raise(&control->flush_target, *out_target);
    lock_release(&control->lock);
    return POOL_OK;
}

static int flush_sync(struct pool *pool)
{
    struct control *control = pool->control;
    if (atomic_load_explicit(&control->name_durable, memory_order_relaxed) != 0)
        return file_sync(pool->fd);
    if (file_sync_with_name(pool->fd, pool->path) < 0)
        return -1;
    atomic_store_explicit(&control->name_durable, 1, memory_order_relaxed);
    return 0;
}

/* One flush. POOL_OK, POOL_BUSY or -1. */
static int flush_lead(struct pool *pool, bool confirm, plsm_error_t **err)
{
    struct control *control = pool->control;
    uint64_t target = 0;
    uint64_t durable = 0;

    if (flush_begin(pool, confirm, &target, &durable) != POOL_OK)
        return POOL_BUSY;
    const int errnum = flush_sync(pool) < 0 ? errno : 0;
    if (errnum !=
        0) /* the kernel may have dropped the pages, and would call the next try a success */
        atomic_store_explicit(&control->flush_failed, 1, memory_order_release);
    const bool failed = atomic_load_explicit(&control->flush_failed, memory_order_acquire) != 0;
    if (errnum != 0 || (failed && !confirm))
        return flush_failed(pool, errnum, err);
    /* also after a failure: taking the lock has made the page with these words dirty again */
    flush_raise(&control->durable_known, durable);
    if (!failed)
        flush_raise(&control->durable, target);
    return POOL_OK;
}

/* Leads, or waits for who leads, until durable reaches end_pos. */
static int flush_reach(struct pool *pool, uint64_t end_pos, plsm_error_t **err)
{
    struct control *control = pool->control;
    const struct lock_goal goal = {&control->durable, end_pos};
    const bool confirm = end_pos == UINT64_MAX;

    if (!confirm && atomic_load_explicit(&control->flush_failed, memory_order_acquire) != 0)
        return flush_failed(pool, 0, err);
    const int leased = lease_take(pool, err);
    if (leased != POOL_OK)
        return leased;
    const int taken = lock_take_unless(pool, &control->flush_lock, &goal);
    if (taken == LOCK_NEEDLESS)
        return POOL_OK;
    const int r = flush_lead(pool, confirm, err);
    /* all who wait look at once: most of them are done, the first of the others leads */
    if (taken == POOL_OK &&
        (atomic_exchange_explicit(&control->flush_lock, 0, memory_order_seq_cst) &
            FORMAT_LOCK_WAITERS) != 0)
        futex_wake_all(&control->flush_lock);
    return r;
}

int flush_confirm(struct pool *pool, plsm_error_t **err)
{
    return flush_reach(pool, UINT64_MAX, err);
}

bool flush_words_sound(const struct pool *pool)
{
    const struct control *control = pool->control;
    /* acquire: each before the next, which is never below it and only grows */
    const uint64_t known = atomic_load_explicit(&control->durable_known, memory_order_acquire);
    const uint64_t durable = atomic_load_explicit(&control->durable, memory_order_acquire);
    const uint64_t target = atomic_load_explicit(&control->flush_target, memory_order_acquire);
    const uint64_t tail = atomic_load_explicit(&control->tail, memory_order_relaxed);
    return known <= durable && durable <= target && target <= tail;
}

int pool_flush_to(struct pool *pool, uint64_t end_pos, plsm_error_t **err)
{
    if (pool->mode != POOL_WRITE)
        return error_set(err, PLSM_ERROR_USAGE, "the pool is open for reading only");
    if (!flush_words_sound(pool))
        return pool_corrupt(
            pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
    const uint64_t tail = atomic_load_explicit(&pool->control->tail, memory_order_relaxed);
    return flush_reach(pool, end_pos < tail ? end_pos : tail, err);
}

int pool_flush(struct pool *pool, plsm_error_t **err)
{
    return pool_flush_to(pool, UINT64_MAX, err);
}
