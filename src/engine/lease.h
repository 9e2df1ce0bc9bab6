/* Leases and the two locks made of them.
 *
 * A lock word in the file holds the lease word of its owner, 0 while free, and a bit that says
 * somebody sleeps on it. A lease is a byte of the file that the kernel keeps locked for an open
 * file description, so it ends with its process however that ends; a second witness (process
 * number and a moment of its life) covers the case that a child inherited the description.
 * Whoever has waited 10 ms asks whether the owner still lives and takes the word over if not.
 * A stopped owner lives: then waiting ends in POOL_BUSY. */
#ifndef ENGINE_LEASE_H
#define ENGINE_LEASE_H

#include "engine/handle.h"

/* A lock word names its owner by lease number and generation: bits 0-14 and 15-30. The generation
 * is drawn when the lease is taken, so that who finds a dead owner and takes its word over cannot
 * hit a living one that was given the number meanwhile. */
static inline uint32_t lease_number(uint32_t word)
{
    return word & FORMAT_LEASE_MAX;
}

/* Takes a lease for the handle, and the shared flock that every writer holds. Waits for a
 * foreign exclusive flock. POOL_OK, POOL_BUSY or -1. */
int lease_take_slow(struct pool *pool, plsm_error_t **err);

static inline int lease_take(struct pool *pool, plsm_error_t **err)
{
    if (__builtin_expect(atomic_load_explicit(&pool->lease, memory_order_relaxed) != 0, 1))
        return POOL_OK;
    return lease_take_slow(pool, err);
}

/* A word that makes the lock needless once it has reached a value. */
struct lock_goal {
    const _Atomic(uint64_t) *word;
    uint64_t value;
};

#define LOCK_NEEDLESS 2

/* Takes a lock word unless, before or while waiting, the goal is reached: then LOCK_NEEDLESS.
 * goal may be NULL. */
int lock_take_unless(struct pool *pool, _Atomic(uint32_t) *word, const struct lock_goal *goal);

/* Takes a lock word, waiting up to the handle's busy timeout: POOL_OK or POOL_BUSY. The handle
 * has a lease. */
static inline int lock_take(struct pool *pool, _Atomic(uint32_t) *word)
{
    uint32_t free_word = 0;
    const uint32_t lease = atomic_load_explicit(&pool->lease, memory_order_relaxed);
    /* acquire: all that the previous owner wrote; pairs with the exchange in lock_release() */
    if (__builtin_expect(atomic_compare_exchange_strong_explicit(
                             word, &free_word, lease, memory_order_acquire, memory_order_relaxed),
            1))
        return POOL_OK;
    return lock_take_unless(pool, word, NULL);
}

void lock_wake(_Atomic(uint32_t) *word);

static inline void lock_release(_Atomic(uint32_t) *word)
{
    /* sequentially consistent: releases what was written to the next owner, and is the barrier
     * between publishing the tail and looking for sleepers (see follow_wake()) */
    if (__builtin_expect(
            (atomic_exchange_explicit(word, 0, memory_order_seq_cst) & FORMAT_LOCK_WAITERS) != 0,
            0))
        lock_wake(word);
}

/* Whether the owner named by a lock word has ended. */
bool lease_is_dead(struct pool *pool, uint32_t owner);

/* Handles that fork() must know of. */
void lease_register(struct pool *pool);
void lease_unregister(struct pool *pool);

#endif
