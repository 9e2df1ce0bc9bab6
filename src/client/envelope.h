/* A message as everybody outside sees it: seq, time, meta, data, in this order, by copying.
 *
 *     {"seq":7,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":["a"]},"data":{"k":1}}
 */
#ifndef CLIENT_ENVELOPE_H
#define CLIENT_ENVELOPE_H

#include "base/buf.h"
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

enum {
    ENVELOPE_LOST = 1, /* the message was overwritten meanwhile */
};

/* The slow halves of envelope_json. The first does not ask whether the frame is still valid. */
int envelope_render(struct frame *frame, struct buf *text, plsm_error_t **err);
int envelope_json_slow(
    const struct pool *pool, struct frame *frame, struct buf *text, plsm_error_t **err);

/* Makes the data of a message JSON text, which filters and the functions above need: a message
 * that is stored as Lite3 is written into *text, which is borrowed by the frame from then on; one
 * that is JSON stays where it is. 0, ENVELOPE_LOST, or -1: Corrupt (path, seq), Internal. */
static inline int envelope_json(
    const struct pool *pool, struct frame *frame, struct buf *text, plsm_error_t **err)
{
    return __builtin_expect(frame->encoding == ENCODING_JSON, 1)
               ? 0
               : envelope_json_slow(pool, frame, text, err);
}

#endif
