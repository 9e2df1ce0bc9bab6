/* Taking messages from a stream: one, many at once, in place, or only waiting for them. */
#include "abi/stream.h"

#include "base/clock.h"
#include "client/envelope.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (1u << 20) /* a batch is not made larger, so that it stays in the cache */

static bool stream_is_over(plsm_stream_t *stream)
{
    if (stream->n_left == 0 ||
        (stream->deadline_ns != DEADLINE_NEVER && clock_monotonic_ns() >= stream->deadline_ns) ||
        atomic_load_explicit(&stream->cancelled, memory_order_relaxed))
        stream->ended = true;
    return stream->ended;
}

static uint64_t earlier(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns < b_ns ? a_ns : b_ns;
}

/* Writers overtook the stream: an error, or nothing that this stream cares for. */
static int stream_gap(plsm_stream_t *stream, const struct gap *gap, plsm_error_t **err)
{
    if (stream->before.pos >= stream->dropped_at_pos) {
        stream->dropped_at_pos = stream->before.pos + 1;
        stream->n_dropped += gap->next_seq - gap->first_seq;
    }
    if (!stream->gap_is_error)
        return 0;
    stream->gap_failed = true;
    error_set(err, PLSM_ERROR_RETENTION_GAP,
        "messages %llu-%llu are no longer retained; the next available message is %llu",
        (unsigned long long)gap->first_seq, (unsigned long long)gap->next_seq - 1,
        (unsigned long long)gap->next_seq);
    error_hint(err, "Go on with the next available message, or read more often, or from a larger "
                    "pool.");
    return error_at_seq(err, gap->first_seq);
}

/* Whether the wait is over: STREAM_FRAME if it is not. */
static int stream_time(plsm_stream_t *stream, uint64_t until_ns)
{
    const uint64_t own_ns = earlier(stream->deadline_ns, stream->idle_until_ns);
    const uint64_t now_ns = earlier(own_ns, until_ns) == DEADLINE_NEVER ? 0 : clock_monotonic_ns();

    if (own_ns != DEADLINE_NEVER && now_ns >= own_ns) {
        stream->ended = true;
        return STREAM_ENDED;
    }
    return until_ns != DEADLINE_NEVER && now_ns >= until_ns ? STREAM_NOT_YET : STREAM_FRAME;
}

/* Waits for something to read. A deleted pool is waited for like any other: whoever has it open
 * may still append. STREAM_FRAME: look again. */
static int stream_sleep(plsm_stream_t *stream, uint64_t until_ns, plsm_error_t **err)
{
    const uint64_t own_ns = earlier(stream->deadline_ns, stream->idle_until_ns);
    const int r = stream_time(stream, until_ns);

    if (r != STREAM_FRAME)
        return r;
    switch (
        follow_wait_unless(&stream->cursor, &stream->cancelled, earlier(own_ns, until_ns), err)) {
    case FOLLOW_TIMEOUT: return stream_time(stream, until_ns);
    case FOLLOW_STOPPED: stream->ended = true; return STREAM_ENDED;
    case FOLLOW_SIGNAL: return until_ns == DEADLINE_NEVER ? STREAM_FRAME : STREAM_NOT_YET;
    case -1: return -1;
    default: return STREAM_FRAME;
    }
}

/* One look at the pool. STREAM_FRAME: *out_frame, wanted or not. */
static int stream_look(
    plsm_stream_t *stream, uint64_t until_ns, struct frame *out_frame, plsm_error_t **err)
{
    for (;;) {
        struct gap gap;
        stream->before = stream->cursor;
        switch (cursor_next(&stream->cursor, out_frame, &gap, err)) {
        case CURSOR_FRAME: return STREAM_FRAME;
        case CURSOR_GAP:
            if (stream_gap(stream, &gap, err) < 0)
                return -1;
            break;
        case CURSOR_EMPTY: {
            const int r = stream_sleep(stream, until_ns, err);
            if (r != STREAM_FRAME)
                return r;
            break;
        }
        default: return error_at_path(err, pool_path(stream->pool));
        }
    }
}

int stream_take(
    plsm_stream_t *stream, uint64_t until_ns, struct frame *out_frame, plsm_error_t **err)
{
    stream->gap_failed = false;
    if (stream_is_over(stream))
        return STREAM_ENDED;
    if (stream->file_is_broken) {
        stream->before = stream->cursor;
        if (pool_check_file(stream->pool, err) < 0)
            return -1;
        stream->file_is_broken = false;
    }
    if (stream->has_pending) {
        stream->has_pending = false;
        *out_frame = stream->pending;
        return STREAM_FRAME;
    }
    if (select_all(&stream->select))
        return stream_look(stream, until_ns, out_frame, err);

    struct cursor newest;
    cursor_newest(&newest, stream->pool);
    for (;;) {
        int r = stream_look(stream, until_ns, out_frame, err);
        if (r != STREAM_FRAME)
            return r;
        r = select_match(&stream->select, out_frame, err);
        if (!frame_still_valid(stream->pool, out_frame)) {
            if (r < 0 && err != NULL) {
                plsm_error_free(*err);
                *err = NULL;
            }
            stream_step_back(stream);
        } else if (r != 0) {
            return r < 0 ? r : STREAM_FRAME;
        } else {
            stream->position = out_frame->seq + 1;
        }
        /* who wants nothing of what there is ends in time nevertheless, and who wants nothing of
         * what comes waits no longer for that, however fast it comes */
        if (stream_is_over(stream))
            return STREAM_ENDED;
        if (stream->cursor.pos >= newest.pos && (r = stream_time(stream, until_ns)) != STREAM_FRAME)
            return r;
    }
}

void stream_step_back(plsm_stream_t *stream)
{
    stream->cursor = stream->before;
}

void stream_taken(plsm_stream_t *stream, const struct frame *frame)
{
    stream->position = frame->seq + 1;
    if (stream->n_left != UINT64_MAX)
        stream->n_left--;
    if (stream->idle_ns != DEADLINE_NEVER)
        stream->idle_until_ns = clock_monotonic_ns() + stream->idle_ns;
}

int stream_failed(plsm_stream_t *stream)
{
    if (stream->gap_failed)
        stream->ended = true;
    return -1;
}

int abi_stream_next(plsm_stream_t *stream, abi_take *take, void *out, plsm_error_t **err)
{
    struct frame frame;
    int r;

    for (;;) {
        r = stream_take(stream, DEADLINE_NEVER, &frame, err);
        if (r < 0)
            return stream_failed(stream);
        if (r == STREAM_ENDED)
            return 0;
        r = take(stream->pool, &frame, out, err);
        if (r != ABI_LOST)
            break;
        stream_step_back(stream); /* overwritten under our hands: it belongs to the gap */
    }
    if (r < 0) { /* nothing was delivered; the next call goes on behind it */
        stream->position = frame.seq + 1;
        return -1;
    }
    stream_taken(stream, &frame);
    return 1;
}

int plsm_stream_next(plsm_stream_t *stream, plsm_buf_t *out_message, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (out_message == NULL)
        return abi_null(out_err, "out_message");
    return abi_stream_next(stream, abi_copy, out_message, out_err);
}

int plsm_stream_wait(plsm_stream_t *stream, uint64_t timeout_ms, plsm_error_t **out_err)
{
    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (stream->has_pending)
        return 1;

    const uint64_t until_ns = timeout_ms == 0 ? 0 : clock_deadline_ns(timeout_ms);
    const int r = stream_take(stream, until_ns, &stream->pending, NULL);
    if (r < 0)
        stream_step_back(stream); /* plsm_stream_next will say what it is */
    stream->has_pending = r == STREAM_FRAME;
    if (r != STREAM_NOT_YET)
        return 1;
    if (stream->bell != NULL) {
        /* a wait in plsm_stream_next looks at the file now and then; nobody else does here */
        stream->file_is_broken = pool_check_file(stream->pool, NULL) < 0;
        bell_arm(stream->bell, stream->cursor.pos);
        /* what rang for the end was silenced just now, if it came after the look above */
        if (atomic_load(&stream->cancelled))
            return 1;
    }
    return stream->file_is_broken;
}

struct batch {
    struct buf lines;
    struct buf data; /* of a message that is not stored as JSON */
    struct envelope envelope;
};

static void batch_fini_scoped(struct batch *batch)
{
    buf_fini(&batch->lines);
    buf_fini(&batch->data);
}

/* Adds a message's line. 0; ABI_LOST: it was overwritten meanwhile; -1: Internal, Corrupt. */
static int batch_add(
    struct batch *batch, const struct pool *pool, struct frame *frame, plsm_error_t **err)
{
    struct buf *lines = &batch->lines;
    const int r = envelope_json(pool, frame, &batch->data, err);

    if (r != 0)
        return r == ENVELOPE_LOST ? ABI_LOST : -1;
    if (buf_reserve(lines, envelope_size(frame) + 1) < 0)
        return error_oom(err);
    const size_t len = envelope_put(&batch->envelope, frame, lines->data + lines->len);
    if (!frame_still_valid(pool, frame))
        return ABI_LOST;
    lines->data[lines->len + len] = '\n';
    lines->len += len + 1;
    return 0;
}

int plsm_stream_next_batch(plsm_stream_t *stream, size_t max_messages, plsm_buf_t *out_lines,
    size_t *out_n_messages, plsm_error_t **out_err)
{
    scoped(batch_fini) struct batch batch = {0};
    size_t n_messages = 0;

    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (out_lines == NULL)
        return abi_null(out_err, "out_lines");
    while (n_messages < max_messages && batch.lines.len < BATCH_BYTES) {
        const bool is_first = n_messages == 0;
        struct frame frame;
        int r =
            stream_take(stream, is_first ? DEADLINE_NEVER : 0, &frame, is_first ? out_err : NULL);
        if (r == STREAM_FRAME) {
            r = batch_add(&batch, stream->pool, &frame, is_first ? out_err : NULL);
            if (r == 0) {
                stream_taken(stream, &frame);
                n_messages++;
                continue;
            }
            if (r > 0 || !is_first)
                stream_step_back(stream);
            if (r > 0)
                continue;
        } else if (r < 0 && !is_first) {
            stream_step_back(stream); /* the next call says what it is */
        }
        if (r < 0 && is_first)
            return stream_failed(stream);
        break;
    }
    if (n_messages == 0)
        return 0;
    *out_lines = (plsm_buf_t){batch.lines.data, batch.lines.len};
    batch.lines = (struct buf){0};
    if (out_n_messages != NULL)
        *out_n_messages = n_messages;
    return 1;
}

int plsm_stream_next_view(plsm_stream_t *stream, plsm_view_t *out_view, plsm_error_t **out_err)
{
    struct frame frame;

    if (stream == NULL)
        return abi_null(out_err, "stream");
    if (out_view == NULL)
        return abi_null(out_err, "out_view");
    const int r = stream_take(stream, DEADLINE_NEVER, &frame, out_err);
    if (r < 0)
        return stream_failed(stream);
    if (r == STREAM_ENDED)
        return 0;
    stream_taken(stream, &frame);
    *out_view = (plsm_view_t){
        .seq = frame.seq,
        .time_ns = frame.time_ns,
        .tags = frame.tags.data,
        .tags_len = frame.tags.len,
        .data = frame.data.data,
        .data_len = frame.data.len,
        .position = frame.pos,
        .is_lite3 = frame.encoding == ENCODING_LITE3,
    };
    return 1;
}

int plsm_stream_view_valid(const plsm_stream_t *stream, const plsm_view_t *view)
{
    if (stream == NULL || view == NULL)
        return 0;
    const struct frame frame = {.seq = view->seq, .pos = view->position};
    return frame_still_valid(stream->pool, &frame);
}

int plsm_stream_skip_damage(plsm_stream_t *stream, plsm_error_t **out_err)
{
    struct gap gap = {0};

    if (stream == NULL)
        return abi_null(out_err, "stream");
    cursor_skip_damage(&stream->cursor, &gap);
    if (gap.next_seq > gap.first_seq) {
        stream->n_dropped += gap.next_seq - gap.first_seq;
        stream->position = gap.next_seq;
    }
    return 0;
}
