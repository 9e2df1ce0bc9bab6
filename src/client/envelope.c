#include "client/envelope.h"

#include "client/digits.h"

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

int envelope_check(const struct frame *frame, plsm_error_t **err)
{
    if (frame->encoding == ENCODING_JSON)
        return 0;
    error_set(err, PLSM_ERROR_USAGE, "the message holds Lite3 data, not JSON text");
    error_hint(err, "This version reads JSON messages only.");
    return error_at_seq(err, frame->seq);
}
