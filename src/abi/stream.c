/* Streams: a cursor of their own over a pool of their own. */
#include "abi/abi.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

struct plsm_stream {
    struct pool *pool;
    struct cursor cursor;
    uint64_t n_left;      /* messages still to deliver; UINT64_MAX: no end */
    uint64_t deadline_ns; /* counted from opening */
    bool gap_is_error;
    bool ended;
};

static int stream_check(const plsm_stream_options_t *options, plsm_error_t **err)
{
    if (options == NULL)
        return error_set(err, PLSM_ERROR_USAGE, "stream options are null");
    if (options->struct_size < sizeof(*options))
        return error_set(err, PLSM_ERROR_USAGE,
            "stream options are too small: got %u bytes, need at least %zu", options->struct_size,
            sizeof(*options));
    if (options->reserved != 0)
        return error_set(err, PLSM_ERROR_USAGE, "stream options reserved field must be zero");
    if (options->gap_policy > PLSM_GAP_ERROR)
        return error_set(err, PLSM_ERROR_USAGE, "invalid gap policy");
    return 0;
}

static int stream_start(
    plsm_stream_t *stream, const plsm_stream_options_t *options, plsm_error_t **err)
{
    stream->n_left = options->has_max != 0 ? options->max_messages : UINT64_MAX;
    stream->deadline_ns =
        options->has_timeout != 0 ? clock_deadline_ns(options->timeout_ms) : DEADLINE_NEVER;
    stream->gap_is_error = options->gap_policy == PLSM_GAP_ERROR;
    if (options->has_since == 0) {
        cursor_oldest(&stream->cursor, stream->pool);
        return 0;
    }
    const uint64_t since = options->since_seq > 0 ? options->since_seq : 1; /* the first there is */
    if (cursor_seek_seq(&stream->cursor, stream->pool, since, err) < 0)
        return error_at_path(err, pool_path(stream->pool));
    return 0;
}

int plsm_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options,
    plsm_stream_t **out_stream, plsm_error_t **out_err)
{
    if (stream_check(options, out_err) < 0)
        return -1;
    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (out_stream == NULL)
        return abi_null(out_err, "out_stream");

    plsm_stream_t *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return error_oom(out_err);
    if (abi_pool_open(pool_path(pool->pool), POOL_READ, &stream->pool, out_err) < 0 ||
        stream_start(stream, options, out_err) < 0) {
        plsm_stream_free(stream);
        return -1;
    }
    *out_stream = stream;
    return 0;
}

int plsm_stream_open(plsm_pool_t *pool, uint64_t since_seq, uint32_t has_since,
    uint64_t max_messages, uint32_t has_max, uint64_t timeout_ms, uint32_t has_timeout,
    plsm_stream_t **out_stream, plsm_error_t **out_err)
{
    const plsm_stream_options_t options = {
        .struct_size = sizeof(options),
        .gap_policy = PLSM_GAP_CONTINUE,
        .since_seq = since_seq,
        .max_messages = max_messages,
        .timeout_ms = timeout_ms,
        .has_since = has_since,
        .has_max = has_max,
        .has_timeout = has_timeout,
    };
    return plsm_stream_open_ex(pool, &options, out_stream, out_err);
}

void plsm_stream_free(plsm_stream_t *stream)
{
    if (stream == NULL)
        return;
    pool_close(stream->pool);
    free(stream);
}

/* Writers overtook the stream: an error, or nothing that this stream cares for. */
static int stream_gap(plsm_stream_t *stream, const struct gap *gap, plsm_error_t **err)
{
    if (!stream->gap_is_error)
        return 0;
    stream->ended = true;
    error_set(err, PLSM_ERROR_RETENTION_GAP,
        "messages %llu-%llu are no longer retained; the next available message is %llu",
        (unsigned long long)gap->first_seq, (unsigned long long)gap->next_seq - 1,
        (unsigned long long)gap->next_seq);
    error_hint(err, "Go on with the next available message, or read more often, or from a larger "
                    "pool.");
    return error_at_seq(err, gap->first_seq);
}

/* Waits for something to read: 1, or 0 when the time is over. A deleted pool is waited for like
 * any other: whoever has it open may still append. */
static int stream_wait(plsm_stream_t *stream, plsm_error_t **err)
{
    const int r = follow_wait(&stream->cursor, stream->deadline_ns, err);
    return r < 0 ? -1 : r != FOLLOW_TIMEOUT;
}

/* One look at the pool. 1: delivered; 0: look again; -1. */
static int stream_step(plsm_stream_t *stream, plsm_buf_t *out_message, plsm_error_t **err)
{
    const struct cursor before = stream->cursor;
    struct frame frame;
    struct gap gap;

    switch (cursor_next(&stream->cursor, &frame, &gap, err)) {
    case CURSOR_FRAME: {
        const int r = abi_copy(stream->pool, &frame, out_message, err);
        if (r > 0)
            stream->cursor = before; /* overwritten under our hands: it belongs to the gap */
        return r < 0 ? -1 : r == 0;
    }
    case CURSOR_GAP: return stream_gap(stream, &gap, err);
    case CURSOR_EMPTY: {
        const int r = stream_wait(stream, err);
        stream->ended = r == 0;
        return r < 0 ? -1 : 0;
    }
    default: return error_at_path(err, pool_path(stream->pool));
    }
}

int plsm_stream_next(plsm_stream_t *stream, plsm_buf_t *out_message, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (out_message == NULL)
        return abi_null(out_err, "out_message");
    if (stream->n_left == 0 ||
        (stream->deadline_ns != DEADLINE_NEVER && clock_monotonic_ns() >= stream->deadline_ns))
        stream->ended = true;
    while (!stream->ended) {
        const int r = stream_step(stream, out_message, out_err);
        if (r == 1 && stream->n_left != UINT64_MAX)
            stream->n_left--;
        if (r != 0)
            return r;
    }
    return 0;
}
