/* One run of feed: what the options said, and the batch on its way into the pool. */
#ifndef CLI_FEED_H
#define CLI_FEED_H

#include "base/buf.h"
#include "cli/context.h"
#include "cli/ingest.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "client/ref.h"
#include "engine/pool.h"

#include <pthread.h>

struct feed {
    const struct context *context;
    struct ref ref;
    struct pool *pool;
    uint64_t ring_size;
    uint64_t create_size;
    uint32_t retries;
    uint64_t retry_delay_ms;
    bool flush; /* durability */
    bool skip;  /* bad records */
    bool whole; /* prints messages instead of receipts, as `poke` did */
    bool mute;  /* half of duplex: no receipts, and no advice about options that duplex lacks */
    pthread_mutex_t *gate; /* held, but for the time in which input is waited for; or NULL */
    struct buf tags;
    struct out out;
    struct progress progress;

    struct message *messages; /* the batch; LIMIT_BATCH_MESSAGES of them */
    size_t n_messages;
    uint64_t batch_bytes; /* of ring */
    uint64_t n_ok;
    uint64_t n_failed;
};

void feed_fini(struct feed *feed);

static inline void feed_fini_scoped(struct feed *feed)
{
    feed_fini(feed);
}

/* One message, a JSON object in compact form. */
int feed_message(struct feed *feed, struct view data, plsm_error_t **err);

/* One JSON object, from the command line. */
int feed_argument(struct feed *feed, const char *data, plsm_error_t **err);

/* All records of a stream. path: of the file, NULL for stdin. Returns the exit code, or -1. */
int feed_stream(
    struct feed *feed, int fd, enum ingest_mode mode, const char *path, plsm_error_t **err);

/* Nothing was given: Usage. */
int feed_no_input(const struct feed *feed, plsm_error_t **err);

/* A pool that was deleted while its input was waited for takes messages that nobody would ever
 * find: NotFound. 0 if it is still there. */
int feed_check_pool(struct feed *feed, plsm_error_t **err);

/* Around every wait for input. Behind the open gate the program may end, and with it all that
 * feed is: until the gate is closed again only the reader's own things are touched. */
static inline pthread_mutex_t *feed_gate_open(struct feed *feed)
{
    pthread_mutex_t *gate = feed->gate;
    if (gate != NULL)
        pthread_mutex_unlock(gate);
    return gate;
}

static inline void feed_gate_close(pthread_mutex_t *gate)
{
    if (gate != NULL)
        pthread_mutex_lock(gate);
}

/* Attempts at one step. */
struct feed_retry {
    uint32_t n_attempts; /* that failed */
    uint64_t waited_ms;
};

/* After a failure: waits and returns true if it was transient and an attempt is left; *err is
 * freed then. Otherwise the error says how often was tried. */
bool feed_try_again(const struct feed *feed, struct feed_retry *retry, plsm_error_t **err);

/* Appends the batch and prints its receipts into feed->out. */
int feed_append(struct feed *feed, plsm_error_t **err);

#endif
