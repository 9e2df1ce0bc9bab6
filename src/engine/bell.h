/* Bells: descriptors for event loops, readable when a pool has news for somebody.
 *
 * Appends make no system call unless a follower sleeps, and then wake a futex, which poll() and
 * its kin cannot wait for. So one thread of this process, the listener, sleeps on the wake words
 * of all pools that somebody has hung a bell on, and sets the descriptors of those with news. It
 * starts with the first bell and ends with the last.
 *
 * Bells do not live on in a child of fork(): there they never ring. */
#ifndef ENGINE_BELL_H
#define ENGINE_BELL_H

#include "base/error.h"
#include "engine/pool.h"

struct bell;

/* Hangs a bell that rings when the pool has more than what lies before pos. The pool must stay
 * open as long as the bell. -1: Io (no descriptor, no thread), Internal (memory). */
int bell_new(struct pool *pool, uint64_t pos, struct bell **out_bell, plsm_error_t **err);

/* Accepts NULL. */
void bell_free(struct bell *bell);

/* Readable while the bell rings. Belongs to the bell. */
int bell_fd(const struct bell *bell);

/* Rings at once. From any thread. */
void bell_ring(struct bell *bell);

/* Silences the bell until there is more than what lies before pos, also if that was so already.
 * It rings, too, when the pool's file is no longer what it was, once if it was deleted. */
void bell_arm(struct bell *bell, uint64_t pos);

#endif
