/* Waking followers, within this folder. Waiting is public: see follow_wait() in engine/pool.h. */
#ifndef ENGINE_FOLLOW_H
#define ENGINE_FOLLOW_H

#include "base/clock.h"
#include "engine/handle.h"
#include "os/barrier.h"

/* How late a deleted file, or a waker that died, is noticed. */
#define FOLLOW_SLICE_NS (125 * NS_PER_MS)

/* Whether there is more than what lies before pos. */
bool follow_has_news(const struct pool *pool, uint64_t pos);

/* Says that somebody is about to sleep, where that can be said, and returns the value of the wake
 * word to sleep on. Whoever calls it looks for news afterwards, and sleeps only if there is none. */
uint32_t follow_announce(struct pool *pool);

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
