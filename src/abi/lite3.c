/* Messages as Lite3: stored byte for byte as they come, made of JSON where they were stored so. */
#include "abi/abi.h"

#include "base/limits.h"
#include "json/lite3.h"

#include <stdlib.h>

/* What is wrong with a payload that somebody wants to append. */
static int lite3_refuse(const struct lite3_fault *fault, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_CORRUPT, "%s", fault->problem);
    return error_hint(err, "At byte %zu of the payload.", fault->offset);
}

/* Checks a payload. Its tags, for the pool to find messages by, go to *tags. */
static int lite3_read(struct view payload, struct buf *tags, plsm_error_t **err)
{
    struct lite3_fault fault;

    int r = lite3_check(payload, &fault);
    if (r == LITE3_OK)
        r = lite3_message_tags(payload, tags, &fault);
    if (r == LITE3_FAULT)
        return lite3_refuse(&fault, err);
    if (r < 0)
        return error_oom(err);
    if (tags->len > LIMIT_TAGS_BYTES)
        return error_set(err, PLSM_ERROR_USAGE, "tags exceed %u bytes", LIMIT_TAGS_BYTES);
    return 0;
}

int plsm_pool_append_lite3(plsm_pool_t *pool, const uint8_t *payload, size_t payload_len,
    uint32_t durability, uint64_t *out_seq, plsm_error_t **out_err)
{
    scoped(buf_fini) struct buf tags = {0};
    struct appended appended;

    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (out_seq == NULL)
        return abi_null(out_err, "out_seq");
    if (payload == NULL)
        return abi_null(out_err, "lite3_bytes");
    if (durability != PLSM_FAST && durability != PLSM_FLUSH)
        return error_set(out_err, PLSM_ERROR_USAGE, "invalid durability");
    if (lite3_read(view_of(payload, payload_len), &tags, out_err) < 0)
        return -1;
    const struct message message = {
        .tags = tags.len > 2 ? buf_view(&tags) : view_of(NULL, 0), /* "[]" is nothing */
        .data = view_of(payload, payload_len),
        .encoding = ENCODING_LITE3,
    };
    if (abi_append(pool, &message, 1, durability, &appended, out_err) < 0)
        return -1;
    *out_seq = appended.first_seq;
    return 0;
}

/* A JSON message that Lite3 cannot hold. */
static int lite3_unfit(
    const struct frame *frame, const struct lite3_fault *fault, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "the message cannot be given as Lite3: %s", fault->problem);
    error_hint(err, "Read it as JSON.");
    return error_at_seq(err, frame->seq);
}

/* Encodes a copy: members are sorted, which texts that change meanwhile would not stand. */
static int lite3_make(
    const struct pool *pool, const struct frame *frame, struct buf *payload, plsm_error_t **err)
{
    scoped(buf_fini) struct buf copy = {0};
    const size_t tags_len = frame->tags.len;
    struct lite3_fault fault;

    if (buf_append(&copy, frame->tags.data, tags_len) < 0 ||
        buf_append(&copy, frame->data.data, frame->data.len) < 0)
        return error_oom(err);
    if (!frame_still_valid(pool, frame))
        return ABI_LOST;
    const struct view tags = view_of(copy.data, tags_len);
    const struct view data = view_of(copy.data + tags_len, copy.len - tags_len);
    const int r = lite3_from_json(tags, data, payload, &fault);
    if (r == LITE3_FAULT)
        return lite3_unfit(frame, &fault, err);
    return r < 0 ? error_oom(err) : 0;
}

static int lite3_payload(
    const struct pool *pool, const struct frame *frame, struct buf *payload, plsm_error_t **err)
{
    if (frame->encoding == ENCODING_JSON)
        return lite3_make(pool, frame, payload, err);
    if (buf_append(payload, frame->data.data, frame->data.len) < 0)
        return error_oom(err);
    return frame_still_valid(pool, frame) ? 0 : ABI_LOST;
}

/* An abi_take for a plsm_lite3_frame_t. */
static int lite3_take(
    const struct pool *pool, const struct frame *frame, void *out, plsm_error_t **err)
{
    struct buf payload = {0};

    const int r = lite3_payload(pool, frame, &payload, err);
    if (r != 0) {
        buf_fini(&payload);
        return r;
    }
    *(plsm_lite3_frame_t *)out = (plsm_lite3_frame_t){
        .seq = frame->seq,
        .timestamp_ns = frame->time_ns,
        .payload = {payload.data, payload.len},
    };
    return 0;
}

int plsm_pool_get_lite3(
    plsm_pool_t *pool, uint64_t seq, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err)
{
    if (pool == NULL)
        return abi_null(out_err, "pool");
    if (out_frame == NULL)
        return abi_null(out_err, "out_frame");
    return abi_get(pool, seq, lite3_take, out_frame, out_err);
}

void plsm_lite3_frame_free(plsm_lite3_frame_t *frame)
{
    if (frame == NULL)
        return;
    free(frame->payload.data);
    *frame = (plsm_lite3_frame_t){0};
}

/* Such a stream is the other kind under another name, so that compilers keep them apart. */
plsm_stream_t *plsm_lite3_stream_base(plsm_lite3_stream_t *stream)
{
    return (plsm_stream_t *)stream;
}

int plsm_lite3_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options,
    plsm_lite3_stream_t **out_stream, plsm_error_t **out_err)
{
    plsm_stream_t *stream = NULL;

    if (plsm_stream_open_ex(pool, options, out_stream == NULL ? NULL : &stream, out_err) < 0 ||
        out_stream == NULL) /* for which it failed */
        return -1;
    *out_stream = (plsm_lite3_stream_t *)stream;
    return 0;
}

int plsm_lite3_stream_open(plsm_pool_t *pool, uint64_t since_seq, uint32_t has_since,
    uint64_t max_messages, uint32_t has_max, uint64_t timeout_ms, uint32_t has_timeout,
    plsm_lite3_stream_t **out_stream, plsm_error_t **out_err)
{
    plsm_stream_t *stream = NULL;

    if (plsm_stream_open(pool, since_seq, has_since, max_messages, has_max, timeout_ms, has_timeout,
            out_stream == NULL ? NULL : &stream, out_err) < 0 ||
        out_stream == NULL) /* for which it failed */
        return -1;
    *out_stream = (plsm_lite3_stream_t *)stream;
    return 0;
}

int plsm_lite3_stream_next(
    plsm_lite3_stream_t *stream, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (out_frame == NULL)
        return abi_null(out_err, "out_frame");
    return abi_stream_next(plsm_lite3_stream_base(stream), lite3_take, out_frame, out_err);
}

void plsm_lite3_stream_free(plsm_lite3_stream_t *stream)
{
    plsm_stream_free(plsm_lite3_stream_base(stream));
}
