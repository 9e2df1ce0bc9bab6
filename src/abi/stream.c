/* Streams: opening them, saying what is wanted, closing them. */
#include "abi/stream.h"

#include "base/clock.h"
#include "client/open.h"
#include "json/write.h"

#include <stdlib.h>
#include <string.h>

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
    stream->idle_ns = DEADLINE_NEVER;
    stream->idle_until_ns = DEADLINE_NEVER;
    stream->gap_is_error = options->gap_policy == PLSM_GAP_ERROR;
    if (options->has_since == 0) {
        cursor_oldest(&stream->cursor, stream->pool);
        return 0;
    }
    stream->position = options->since_seq > 0 ? options->since_seq : 1; /* the first there is */
    if (cursor_seek_seq(&stream->cursor, stream->pool, stream->position, err) < 0)
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
    if (open_pool(pool_path(pool->pool), POOL_READ, NULL, &stream->pool, out_err) < 0 ||
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
    bell_free(stream->bell);
    for (size_t i = 0; i < stream->select.n_tags; i++)
        free(stream->tags[i]);
    free(stream->tags);
    select_fini(&stream->select);
    pool_close(stream->pool);
    free(stream);
}

/* A cursor was put elsewhere: the seq that it stands before. */
static int stream_moved(plsm_stream_t *stream, plsm_error_t **err)
{
    struct cursor probe = stream->cursor;
    struct pool_info info;
    struct frame frame;
    struct gap gap;

    stream->has_pending = false;
    if (cursor_next(&probe, &frame, &gap, NULL) == CURSOR_FRAME) {
        stream->position = frame.seq;
        return 0;
    }
    if (pool_info(stream->pool, &info, err) < 0)
        return -1;
    stream->position = info.next_seq;
    return 0;
}

int plsm_stream_seek_last(plsm_stream_t *stream, uint64_t n_messages, plsm_error_t **out_err)
{
    struct pool_info info;

    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (n_messages == 0) {
        cursor_newest(&stream->cursor, stream->pool);
        return stream_moved(stream, out_err);
    }
    if (pool_info(stream->pool, &info, out_err) < 0)
        return -1;
    if (n_messages >= info.n_messages)
        cursor_oldest(&stream->cursor, stream->pool);
    else if (cursor_seek_seq(&stream->cursor, stream->pool, info.next_seq - n_messages, out_err) <
             0)
        return error_at_path(out_err, pool_path(stream->pool));
    return stream_moved(stream, out_err);
}

int plsm_stream_seek_time(plsm_stream_t *stream, uint64_t time_ns, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (cursor_seek_time(&stream->cursor, stream->pool, time_ns, out_err) < 0)
        return error_at_path(out_err, pool_path(stream->pool));
    return stream_moved(stream, out_err);
}

static int stream_add_tag(plsm_stream_t *stream, const char *tag)
{
    struct select *select = &stream->select;
    const size_t n = select->n_tags;

    const char **wanted = reallocarray(select->tags, n + 1, sizeof(*wanted));
    if (wanted == NULL)
        return -1;
    select->tags = wanted;
    char **owned = reallocarray(stream->tags, n + 1, sizeof(*owned));
    if (owned == NULL)
        return -1;
    stream->tags = owned;
    owned[n] = strdup(tag);
    if (owned[n] == NULL)
        return -1;
    wanted[n] = owned[n];
    select->n_tags++;
    return 0;
}

int plsm_stream_require_tags(
    plsm_stream_t *stream, const char **tags, size_t tags_len, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    for (size_t i = 0; tags != NULL && i < tags_len; i++) {
        if (tags[i] == NULL)
            return error_set(out_err, PLSM_ERROR_USAGE, "tags contains null");
        if (!json_is_utf8(view_str(tags[i])))
            return error_set(out_err, PLSM_ERROR_USAGE, "tags invalid UTF-8");
    }
    for (size_t i = 0; tags != NULL && i < tags_len; i++)
        if (stream_add_tag(stream, tags[i]) < 0)
            return error_oom(out_err);
    return 0;
}

int plsm_stream_filter(plsm_stream_t *stream, const char *expression, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (expression == NULL)
        return abi_null(out_err, "expression");
    struct select *select = &stream->select;
    struct filter **all =
        reallocarray(select->filters, select->n_filters + 1, sizeof(struct filter *));
    if (all == NULL)
        return error_oom(out_err);
    select->filters = all;
    if (filter_new(expression, &all[select->n_filters], out_err) < 0)
        return -1;
    select->n_filters++;
    return 0;
}

int plsm_stream_idle_timeout(plsm_stream_t *stream, uint64_t timeout_ms, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    stream->idle_ns = timeout_ms > UINT64_MAX / NS_PER_MS ? DEADLINE_NEVER : timeout_ms * NS_PER_MS;
    stream->idle_until_ns = clock_deadline_ns(timeout_ms);
    return 0;
}

int plsm_stream_fd(plsm_stream_t *stream, int *out_fd, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (out_fd == NULL)
        return abi_null(out_err, "out_fd");
    if (stream->bell == NULL &&
        bell_new(stream->pool, stream->cursor.pos, &stream->bell, out_err) < 0)
        return -1;
    if (stream->has_pending || stream->ended || stream->n_left == 0)
        bell_ring(stream->bell); /* what is to be taken is not behind the cursor */
    *out_fd = bell_fd(stream->bell);
    return 0;
}

void plsm_stream_cancel(plsm_stream_t *stream)
{
    if (stream == NULL)
        return;
    atomic_store(&stream->cancelled, true);
    follow_interrupt(stream->pool);
    if (stream->bell != NULL)
        bell_ring(stream->bell);
}

uint64_t plsm_stream_position(const plsm_stream_t *stream)
{
    return stream == NULL ? 0 : stream->position;
}

uint64_t plsm_stream_dropped(const plsm_stream_t *stream)
{
    return stream == NULL ? 0 : stream->n_dropped;
}
