/* Messages that a follower lost to the writers, and telling the user so: at most one notice a
 * second, with everything since the last one in it. */
#ifndef CLI_DROPS_H
#define CLI_DROPS_H

#include "cli/context.h"
#include "client/ref.h"
#include "engine/pool.h"

#include <stdbool.h>
#include <stdint.h>

struct drops {
    const struct context *context;
    const struct ref *ref;
    bool quiet;
    uint64_t n_pending; /* lost and not yet told */
    uint64_t first_seq; /* of them */
    uint64_t next_seq;  /* the first one behind them */
    uint64_t due_ns;    /* monotonic: no notice before this; 0: at once */
};

/* Takes note, and tells if a notice is due. */
void drops_add(struct drops *drops, struct gap gap);

/* Tells what is pending, if that is due, or in any case. */
void drops_tell(struct drops *drops, bool now);

/* When drops_tell() has something to do: monotonic, DEADLINE_NEVER for nothing. */
uint64_t drops_deadline(const struct drops *drops);

#endif
