/* Waiting for the next message: spin a little where cores are free, then sleep on a futex. */
#include "engine/follow.h"

#include "base/clock.h"
#include "engine/cursor.h"
#include "os/futex.h"
#include "os/process.h"

#include <errno.h>
#include <sys/stat.h>

#define FOLLOW_POLL_MIN_NS (NS_PER_MS / 4) /* a read-only follower cannot announce itself */
#define FOLLOW_POLL_MAX_NS (5 * NS_PER_MS)

void follow_wake_sleepers(struct pool *pool)
{
    struct control *control = pool->control;
    /* whoever sleeps after this says so again, so the next appends need not wake anybody */
    atomic_store_explicit(&control->sleepers, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&control->wake, 1, memory_order_seq_cst);
    futex_wake_all(&control->wake);
}

void follow_interrupt(struct pool *pool)
{
    if (pool->can_wake) /* else nobody here sleeps for long: the waits are slices of polling */
        follow_wake_sleepers(pool);
}

bool follow_has_news(const struct pool *pool, uint64_t pos)
{
    /* acquire: pairs with the release in append_publish() */
    return atomic_load_explicit(&pool->control->tail, memory_order_acquire) != pos;
}

uint32_t follow_announce(struct pool *pool)
{
    struct control *control = pool->control;

    const uint32_t wake = atomic_load_explicit(&control->wake, memory_order_seq_cst);
    if (pool->can_wake) {
        (void)atomic_exchange_explicit(&control->sleepers, 1, memory_order_seq_cst);
        barrier_after_rmw();
    }
    return wake;
}

static bool follow_is_stopped(const atomic_bool *stop)
{
    return stop != NULL && atomic_load_explicit(stop, memory_order_seq_cst);
}

/* Looks again for a few microseconds: a sleep and a wake cost more. Pointless on one core. */
static bool follow_spin(const struct cursor *cursor, unsigned n_turns)
{
    for (unsigned i = 0; i < n_turns; i++) {
        if (follow_has_news(cursor->pool, cursor->pos))
            return true;
        process_pause();
    }
    return false;
}

/* One sleep of at most timeout_ns. The order of announcing and looking is the mirror of
 * follow_wake(). That of stop is simpler: it is set before the wake word moves, so whoever read
 * the word's new value sees it, and whoever did not does not sleep. */
static int follow_sleep(const struct cursor *cursor, const atomic_bool *stop, uint64_t timeout_ns)
{
    const uint32_t wake = follow_announce(cursor->pool);
    if (follow_has_news(cursor->pool, cursor->pos) || follow_is_stopped(stop))
        return FUTEX_WOKEN;
    return futex_wait(&cursor->pool->control->wake, wake, timeout_ns);
}

int pool_check_file(struct pool *pool, plsm_error_t **err)
{
    struct stat status;
    if (fstat(pool->fd, &status) < 0) {
        error_io(err, errno, "failed to look at the pool file");
        return error_at_path(err, pool->path);
    }
    if ((uint64_t)status.st_size < pool->map_len ||
        atomic_load_explicit(&pool->truncated, memory_order_relaxed))
        return pool_corrupt(
            pool, (uint64_t)status.st_size, err, "the file was truncated while in use");
    return status.st_nlink == 0 ? POOL_DELETED : POOL_OK;
}

int follow_wait(struct cursor *cursor, uint64_t deadline_ns, plsm_error_t **err)
{
    return follow_wait_unless(cursor, NULL, deadline_ns, err);
}

int follow_wait_unless(
    struct cursor *cursor, const atomic_bool *stop, uint64_t deadline_ns, plsm_error_t **err)
{
    struct pool *pool = cursor->pool;
    uint64_t slice_ns = pool->can_wake ? FOLLOW_SLICE_NS : FOLLOW_POLL_MIN_NS;
    uint64_t checked_ns = clock_monotonic_ns();

    if (follow_spin(cursor, process_cpus() > 1 ? pool->spin_turns : 0))
        return FOLLOW_READY;
    for (;;) {
        if (follow_has_news(cursor->pool, cursor->pos))
            return FOLLOW_READY;
        if (follow_is_stopped(stop))
            return FOLLOW_STOPPED;
        const uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= deadline_ns)
            return FOLLOW_TIMEOUT;
        if (now_ns - checked_ns >= FOLLOW_SLICE_NS) {
            const int r = pool_check_file(pool, err);
            if (r != POOL_OK)
                return r < 0 ? -1 : FOLLOW_DELETED;
            checked_ns = now_ns;
        }
        const uint64_t left_ns = deadline_ns - now_ns;
        if (follow_sleep(cursor, stop, left_ns < slice_ns ? left_ns : slice_ns) == FUTEX_SIGNAL)
            return follow_has_news(cursor->pool, cursor->pos) ? FOLLOW_READY : FOLLOW_SIGNAL;
        if (!pool->can_wake && slice_ns < FOLLOW_POLL_MAX_NS)
            slice_ns *= 2;
    }
}
