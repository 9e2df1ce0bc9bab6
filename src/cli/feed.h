/* One run of feed: what the options said, and the batch on its way into the pool. */
#ifndef CLI_FEED_H
#define CLI_FEED_H

#include "base/buf.h"
#include "cli/context.h"
#include "cli/ingest.h"
#include "cli/out.h"
#include "client/ref.h"
#include "engine/pool.h"

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
    struct buf tags;
    struct out out;

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

/* One JSON object, from the command line. */
int feed_argument(struct feed *feed, const char *data, plsm_error_t **err);

/* All records of a stream. path: of the file, NULL for stdin. Returns the exit code, or -1. */
int feed_stream(
    struct feed *feed, int fd, enum ingest_mode mode, const char *path, plsm_error_t **err);

/* Nothing was given: Usage. */
int feed_no_input(plsm_error_t **err);

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
