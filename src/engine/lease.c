#include "engine/lease.h"

#include "base/clock.h"
#include "os/file.h"
#include "os/futex.h"
#include "os/process.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK_SPINS    100              /* a lock is held for well under a microsecond */
#define LOCK_CHECK_NS (10 * NS_PER_MS) /* after which a waiter asks whether the owner lives */
#define FLOCK_POLL_NS (2 * NS_PER_MS)

bool lease_is_dead(struct pool *pool, uint32_t owner)
{
    const uint32_t own = atomic_load_explicit(&pool->lease, memory_order_relaxed);
    const uint32_t lease = lease_number(owner);

    /* acquire: the witness after the lock word that names its owner; pairs with the fence in
     * lease_take_locked() */
    atomic_thread_fence(memory_order_acquire);
    if (owner == own)
        return false; /* another thread of this handle */
    if (lease == 0 || lease == lease_number(own))
        return true; /* nobody's number, or ours in the life of another */
    const int held = file_lease_held(pool->fd, lease);
    if (held != 1)
        return held == 0;
    if (lease > FORMAT_WITNESSES)
        return false;
    struct witness_slot *slot = &pool->control->witnesses[lease - 1];
    const struct process_witness witness = {
        .pid = atomic_load_explicit(&slot->pid, memory_order_relaxed),
        .namespace = atomic_load_explicit(&slot->namespace, memory_order_relaxed),
        .since_ns = atomic_load_explicit(&slot->since_ns, memory_order_relaxed),
    };
    return process_is_gone(&witness);
}

/* The word free, or its owner dead: takes it. mark is what waiting left to say. */
static bool lock_seize(struct pool *pool, _Atomic(uint32_t) *word, uint32_t value, uint32_t mark)
{
    const uint32_t lease = atomic_load_explicit(&pool->lease, memory_order_relaxed);
    return atomic_compare_exchange_strong_explicit(
        word, &value, lease | mark, memory_order_acquire, memory_order_relaxed);
}

static bool lock_spin(struct pool *pool, _Atomic(uint32_t) *word)
{
    if (process_cpus() == 1)
        return false;
    for (int i = 0; i < LOCK_SPINS; i++) {
        process_pause();
        if (atomic_load_explicit(word, memory_order_relaxed) == 0 && lock_seize(pool, word, 0, 0))
            return true;
    }
    return false;
}

static bool lock_goal_reached(const struct lock_goal *goal)
{
    /* acquire: what the one who reached it had done; pairs with the release in flush_raise() */
    return goal != NULL && atomic_load_explicit(goal->word, memory_order_acquire) >= goal->value;
}

int lock_take_unless(struct pool *pool, _Atomic(uint32_t) *word, const struct lock_goal *goal)
{
    /* a lock with a goal is held for a whole sync: no use in spinning */
    if (goal == NULL && lock_spin(pool, word))
        return POOL_OK;

    const uint64_t deadline_ns = clock_deadline_ns(pool->busy_timeout_ms);
    bool ask = pool->busy_timeout_ms == 0; /* one try must still see a dead owner */
    bool slept = false;
    for (;;) {
        if (lock_goal_reached(goal))
            return LOCK_NEEDLESS;
        uint32_t value = atomic_load_explicit(word, memory_order_relaxed);
        const uint32_t owner = value & ~FORMAT_LOCK_WAITERS;
        if (owner == 0 || (ask && lease_is_dead(pool, owner))) {
            /* others may sleep beside us, so whoever slept takes the word with the mark set */
            if (lock_seize(pool, word, value, value == 0 && !slept ? 0 : FORMAT_LOCK_WAITERS))
                return POOL_OK;
            continue;
        }
        const uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= deadline_ns)
            return POOL_BUSY;
        if ((value & FORMAT_LOCK_WAITERS) == 0 &&
            !atomic_compare_exchange_strong_explicit(word, &value, value | FORMAT_LOCK_WAITERS,
                memory_order_relaxed, memory_order_relaxed))
            continue;
        const uint64_t left_ns = deadline_ns - now_ns;
        slept = true;
        ask = futex_wait(word, owner | FORMAT_LOCK_WAITERS,
                  left_ns < LOCK_CHECK_NS ? left_ns : LOCK_CHECK_NS) == FUTEX_TIMED_OUT;
    }
}

void lock_wake(_Atomic(uint32_t) *word)
{
    futex_wake_one(word);
}

/* A word that names the lease we were just given: its owner died inside. */
static void lease_free_inherited(_Atomic(uint32_t) *word, uint32_t lease)
{
    uint32_t value = atomic_load_explicit(word, memory_order_relaxed);
    if (lease_number(value) == lease && atomic_compare_exchange_strong_explicit(word, &value, 0,
                                            memory_order_acq_rel, memory_order_relaxed))
        futex_wake_all(word);
}

static int lease_share_file(struct pool *pool, plsm_error_t **err)
{
    const uint64_t deadline_ns = clock_deadline_ns(pool->busy_timeout_ms);
    for (;;) {
        const int r = file_share_try(pool->fd);
        if (r == FILE_OK)
            return POOL_OK;
        if (r < 0) {
            error_io(err, errno, "failed to lock the pool file");
            return error_at_path(err, pool->path);
        }
        if (clock_monotonic_ns() >= deadline_ns)
            return POOL_BUSY;
        const struct timespec pause = {.tv_nsec = (long)FLOCK_POLL_NS};
        nanosleep(&pause, NULL); /* flock cannot wait with a limit */
    }
}

/* Finds a free lease, the ones with a witness first. 0: none. */
static uint32_t lease_find(struct pool *pool)
{
    const uint32_t first = (uint32_t)getpid() % FORMAT_WITNESSES;
    for (uint32_t i = 0; i < FORMAT_LEASE_MAX; i++) {
        const uint32_t lease = i < FORMAT_WITNESSES ? 1 + (first + i) % FORMAT_WITNESSES : i + 1;
        const int r = file_lease_try(pool->fd, lease);
        if (r == FILE_OK)
            return lease;
        if (r < 0)
            return 0;
    }
    errno = EAGAIN;
    return 0;
}

static int lease_take_locked(struct pool *pool, plsm_error_t **err)
{
    if (atomic_load_explicit(&pool->lease, memory_order_relaxed) != 0)
        return POOL_OK;
    if (pool->fd < 0) {
        error_set(err, PLSM_ERROR_IO, "the pool could not be reopened after fork");
        return error_at_path(err, pool->path);
    }
    const int shared = lease_share_file(pool, err);
    if (shared != POOL_OK)
        return shared;
    const uint32_t lease = lease_find(pool);
    if (lease == 0) {
        error_io(err, errno, "failed to take a lease on the pool");
        return error_at_path(err, pool->path);
    }

    if (lease <= FORMAT_WITNESSES) {
        struct process_witness witness;
        process_witness(&witness);
        struct witness_slot *slot = &pool->control->witnesses[lease - 1];
        atomic_store_explicit(&slot->pid, 0, memory_order_relaxed);
        atomic_store_explicit(&slot->namespace, witness.namespace, memory_order_relaxed);
        atomic_store_explicit(&slot->since_ns, witness.since_ns, memory_order_relaxed);
        atomic_store_explicit(&slot->pid, witness.pid, memory_order_relaxed);
    }
    /* release: the witness before any lock word that names us; pairs with the fence in
     * lease_is_dead() */
    atomic_thread_fence(memory_order_release);
    lease_free_inherited(&pool->control->lock, lease);
    lease_free_inherited(&pool->control->flush_lock, lease);
    const uint64_t draw = clock_monotonic_ns() * UINT64_C(0x9e3779b97f4a7c15);
    const uint32_t generation = (uint32_t)(draw >> 48) << FORMAT_LEASE_BITS & ~FORMAT_LOCK_WAITERS;
    atomic_store_explicit(&pool->lease, lease | generation, memory_order_relaxed);
    return POOL_OK;
}

int lease_take_slow(struct pool *pool, plsm_error_t **err)
{
    pthread_mutex_lock(&pool->lease_mutex);
    const int r = lease_take_locked(pool, err);
    pthread_mutex_unlock(&pool->lease_mutex);
    return r;
}

/* fork(): a child shares its parent's file descriptions and so its leases. The child's handles
 * get descriptions of their own, and take a lease when they first write. */

static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pool *registry;

static void registry_before_fork(void)
{
    pthread_mutex_lock(&registry_mutex);
    for (struct pool *pool = registry; pool != NULL; pool = pool->registry_next)
        pthread_mutex_lock(&pool->lease_mutex);
}

static void registry_unlock(void)
{
    for (struct pool *pool = registry; pool != NULL; pool = pool->registry_next)
        pthread_mutex_unlock(&pool->lease_mutex);
    pthread_mutex_unlock(&registry_mutex);
}

static void registry_in_child(void)
{
    for (struct pool *pool = registry; pool != NULL; pool = pool->registry_next) {
        const int fd = file_reopen(pool->fd, pool->mode == POOL_WRITE);
        file_close(pool->fd);
        pool->fd = fd;
        atomic_store_explicit(&pool->lease, 0, memory_order_relaxed);
    }
    registry_unlock();
}

static void registry_watch_forks(void)
{
    pthread_atfork(registry_before_fork, registry_unlock, registry_in_child);
}

void lease_register(struct pool *pool)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, registry_watch_forks);
    pthread_mutex_lock(&registry_mutex);
    pool->registry_next = registry;
    pool->registry_link = &registry;
    if (registry != NULL)
        registry->registry_link = &pool->registry_next;
    registry = pool;
    pthread_mutex_unlock(&registry_mutex);
}

void lease_unregister(struct pool *pool)
{
    if (pool->registry_link == NULL)
        return;
    pthread_mutex_lock(&registry_mutex);
    *pool->registry_link = pool->registry_next;
    if (pool->registry_next != NULL)
        pool->registry_next->registry_link = pool->registry_link;
    pthread_mutex_unlock(&registry_mutex);
}
