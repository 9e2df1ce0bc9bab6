/* Telling how far a long operation is, now and then. */
#ifndef ENGINE_PROGRESS_H
#define ENGINE_PROGRESS_H

#include "engine/pool.h"

#define PROGRESS_STEP (UINT64_C(1) << 20)

struct progress {
    const struct pool_progress *to; /* NULL: nobody wants to know */
    uint64_t total;
    uint64_t next; /* done bytes at which to tell again */
};

static inline void progress_tell(struct progress *progress, uint64_t done)
{
    progress->next = done + PROGRESS_STEP;
    if (progress->to != NULL)
        progress->to->tell(progress->to->context, done, progress->total);
}

static inline void progress_start(struct progress *progress, uint64_t total)
{
    progress->total = total;
    progress_tell(progress, 0);
}

static inline void progress_reach(struct progress *progress, uint64_t done)
{
    if (__builtin_expect(done >= progress->next, 0))
        progress_tell(progress, done < progress->total ? done : progress->total);
}

static inline void progress_finish(struct progress *progress)
{
    progress_tell(progress, progress->total);
}

#endif
