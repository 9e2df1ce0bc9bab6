/* Waking followers, within this folder. Waiting is public: see follow_wait() in engine/pool.h. */
#ifndef ENGINE_FOLLOW_H
#define ENGINE_FOLLOW_H

#include "engine/handle.h"
#include "os/barrier.h"

void follow_wake_sleepers(struct pool *pool);

/* Wakes whoever sleeps. Call it after lock_release(), whose exchange stands between the tail
 * that was published and the look at sleepers; a follower does the reverse: it says that it
 * sleeps, and then looks at the tail once more. One of the two sees the other. */
static inline void follow_wake(struct pool *pool)
{
    barrier_after_rmw();
    if (__builtin_expect(
            atomic_load_explicit(&pool->control->sleepers, memory_order_relaxed) != 0, 0))
        follow_wake_sleepers(pool);
}

#endif
