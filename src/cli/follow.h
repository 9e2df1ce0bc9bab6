/* One run of follow: what the options said, and where it is. */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "base/buf.h"
#include "base/clock.h"
#include "cli/context.h"
#include "cli/drops.h"
#include "cli/out.h"
#include "cli/select.h"
#include "client/envelope.h"
#include "client/ref.h"
#include "engine/pool.h"
#include "os/watch.h"

#include <stdatomic.h>

#define EXIT_TIMEOUT 124

struct follow {
    const struct context *context;
    struct ref ref;
    struct pool *pool;
    struct cursor cursor;
    struct select select;
    struct envelope envelope;
    struct out out;
    struct drops drops;
    struct watch watch;  /* while the pool is waited for */
    struct buf data;     /* of the message, where it is not stored as JSON */
    struct buf document; /* the message, where it cannot be copied to the output */
    struct buf shown;    /* and as it is printed */

    bool jsonl;
    bool one;
    bool create;
    bool await_pool; /* wait for a pool that does not exist yet */
    bool from_start; /* it came into being while we waited: nothing of it is old */
    bool has_since;
    bool has_replay;
    uint64_t since_ns;
    uint64_t tail;
    double speed; /* of the replay; 0: no waiting */
    uint64_t timeout_ms;
    bool has_timeout;
    const char *timeout_text;
    uint64_t deadline_ns;
    const atomic_bool *stop; /* another thread ends the live part by it; or NULL */
    uint64_t n_skip; /* matches still to let pass before the one to print (--tail N --one) */
};

void follow_init(struct follow *follow, const struct context *context);
void follow_fini(struct follow *follow);

static inline void follow_fini_scoped(struct follow *follow)
{
    follow_fini(follow);
}

/* Whether all that is wanted lies in the future: then there is nothing to wait for. */
static inline bool follow_begins_later(const struct follow *follow)
{
    return follow->has_since && follow->since_ns > clock_wall_ns();
}

enum {
    FOLLOW_GO_ON = 0, /* what follows is live */
    FOLLOW_DONE = 1,  /* everything that was wanted is printed */
};

/* Prints one message. 1: printed; 0: it was overwritten meanwhile, and is counted as lost; -1. */
int follow_print(struct follow *follow, struct frame *frame, plsm_error_t **err);

/* Places the cursor and prints what history is asked for. FOLLOW_GO_ON, FOLLOW_DONE or -1. */
int follow_history(struct follow *follow, plsm_error_t **err);

/* Prints the backlog with its timing and ends. 0 or -1. */
int follow_replay(struct follow *follow, plsm_error_t **err);

/* Prints messages as they come. Returns the exit code, or -1. Ends with 0 after --one, and after
 * *stop: then what was appended before that is printed. */
int follow_live(struct follow *follow, plsm_error_t **err);

/* Says what was lost and writes what is buffered, at the end. code: so far, or -1 with *err, and
 * so is the result. What was printed before an error stays printed; the first error counts. */
int follow_finish(struct follow *follow, int code, plsm_error_t **err);

/* Re-arms the timeout. */
void follow_arm(struct follow *follow);

#endif
