/* A message as everybody outside sees it: seq, time, meta, data, in this order, by copying.
 *
 *     {"seq":7,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":["a"]},"data":{"k":1}}
 */
#ifndef CLIENT_ENVELOPE_H
#define CLIENT_ENVELOPE_H

#include "base/clock.h"
#include "engine/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How messages are written, and the time that was written last: one batch shares it, so its text
 * is made once. The zero state is the usual form. For one thread at a time. */
struct envelope {
    bool data_only;
    bool descrips; /* the older name of tags, as the older commands print it */
    uint64_t time_ns;
    size_t time_len;
    char time[CLOCK_TEXT_MAX];
};

/* Room that everything but tags and data may take. */
#define ENVELOPE_ROOM 160

static inline size_t envelope_size(const struct frame *frame)
{
    return ENVELOPE_ROOM + frame->tags.len + frame->data.len;
}

/* Writes the message, without a line end, to out, which has envelope_size() bytes; returns the
 * length. The bytes are sound if frame_still_valid() says so afterwards. */
size_t envelope_put(struct envelope *envelope, const struct frame *frame, uint8_t *out);

/* Whether the message's data is JSON text, as the functions here need: 0, or -1 (Usage, seq). */
int envelope_check(const struct frame *frame, plsm_error_t **err);

#endif
