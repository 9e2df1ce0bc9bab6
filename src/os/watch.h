/* Waiting for a name to appear in the file system.
 *
 *     watch_open(&watch);
 *     for (;;) {
 *         watch_arm(&watch, path);
 *         look for the file, and go if it is there
 *         watch_wait(&watch, deadline_ns);
 *     }
 *
 * Whatever appears after watch_arm() ends the wait, so nothing is missed between the look and
 * the wait. Not even the folder has to exist: then its nearest ancestor is watched, and the next
 * watch_arm() goes on from what appeared there.
 *
 * A port supplies these functions. Where the system tells of nothing (no such service, a limit
 * reached, a folder that may not be read), the wait is a short sleep. */
#ifndef OS_WATCH_H
#define OS_WATCH_H

#include "base/scoped.h"

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;
    bool armed; /* somebody tells us */
};

enum {
    WATCH_EVENT = 0,   /* something appeared, or went, where it matters: look */
    WATCH_LOOK = 1,    /* nothing was said; look nevertheless */
    WATCH_TIMEOUT = 2, /* the deadline passed */
};

void watch_open(struct watch *watch);
void watch_close(struct watch *watch);

static inline void watch_close_scoped(struct watch *watch)
{
    watch_close(watch);
}

void watch_arm(struct watch *watch, const char *path);

/* Waits, until deadline_ns (monotonic) at the latest. A signal handler ends it with WATCH_LOOK. */
int watch_wait(struct watch *watch, uint64_t deadline_ns);

#endif
