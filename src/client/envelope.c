#include "client/envelope.h"

#include "base/digits.h"
#include "json/lite3.h"

#include <string.h>

/* Copies a string constant, without its NUL, and moves on. */
#define PUT(at, text) ((at) = (uint8_t *)mempcpy((at), (text), sizeof(text) - 1))

static uint8_t *envelope_head(struct envelope *envelope, const struct frame *frame, uint8_t *at)
{
    if (frame->time_ns != envelope->time_ns || envelope->time_len == 0) {
        envelope->time_ns = frame->time_ns;
        envelope->time_len = clock_format(frame->time_ns, envelope->time);
    }
    PUT(at, "{\"seq\":");
    at += digits_put(at, frame->seq);
    PUT(at, ",\"time\":\"");
    at = mempcpy(at, envelope->time, envelope->time_len);
    if (envelope->descrips)
        PUT(at, "\",\"meta\":{\"descrips\":");
    else
        PUT(at, "\",\"meta\":{\"tags\":");
    if (frame->tags.len > 0)
        at = mempcpy(at, frame->tags.data, frame->tags.len);
    else
        PUT(at, "[]");
    PUT(at, "},\"data\":");
    return at;
}

size_t envelope_put(struct envelope *envelope, const struct frame *frame, uint8_t *out)
{
    uint8_t *at = out;

    if (!envelope->data_only)
        at = envelope_head(envelope, frame, at);
    if (frame->data.len > 0)
        at = mempcpy(at, frame->data.data, frame->data.len);
    if (!envelope->data_only)
        PUT(at, "}");
    return (size_t)(at - out);
}

int envelope_render(struct frame *frame, struct buf *text, plsm_error_t **err)
{
    struct lite3_fault fault;

    text->len = 0;
    switch (lite3_message_data(frame->data, text, &fault)) {
    case LITE3_OK: break;
    case LITE3_FAULT:
        error_set(err, PLSM_ERROR_CORRUPT, "the message is no sound Lite3: %s", fault.problem);
        return error_at_seq(err, frame->seq);
    default: return error_oom(err);
    }
    frame->data = buf_view(text);
    frame->encoding = ENCODING_JSON;
    return 0;
}

int envelope_json_slow(
    const struct pool *pool, struct frame *frame, struct buf *text, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *failed = NULL;

    if (envelope_render(frame, text, &failed) == 0)
        return 0;
    if (!frame_still_valid(pool, frame))
        return ENVELOPE_LOST; /* an error about torn bytes */
    error_at_path(&failed, pool_path(pool));
    if (err != NULL) {
        *err = failed;
        failed = NULL;
    }
    return -1;
}
