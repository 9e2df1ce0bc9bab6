/* Windows: how a stream waits with a library that has no plsm_stream_wait, or no
 * plsm_lite3_stream_base for a Lite3 stream.
 *
 * The native stream is opened with a time limit, a window, and opened again behind the last
 * message when the window is over: between two windows signals are looked at, and whether the
 * stream was closed. What was asked for is kept in the options, and becomes less with each
 * message. */
#include "stream.h"

#include <string.h>
#include <time.h>

#define WINDOW_MS 100u

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool window_needed(bool is_lite3)
{
    return library.stream_wait == NULL || (is_lite3 && library.lite3_stream_base == NULL);
}

/* The time limit of the next window. */
static uint64_t window_ms(const struct stream *self)
{
    if (self->deadline_ns == 0)
        return WINDOW_MS;
    const uint64_t now = now_ns();
    const uint64_t left = self->deadline_ns > now ? self->deadline_ns - now : 0;
    return left / 1000000u < WINDOW_MS ? (left + 999999u) / 1000000u : WINDOW_MS;
}

static int window_open(struct stream *self)
{
    plsm_stream_options_t options = self->options;
    options.has_timeout = 1;
    options.timeout_ms = window_ms(self);
    return stream_open_native(self, self->pool, &options);
}

int window_start(struct stream *self, struct handle *pool)
{
    const uint64_t limit_ms = self->options.timeout_ms;
    if (self->options.has_timeout != 0 && limit_ms < UINT64_MAX / 2000000u)
        self->deadline_ns = now_ns() + limit_ms * 1000000u;
    self->options.has_timeout = 0;
    self->pool = handle_ref(pool);
    return window_open(self);
}

int window_take(void *native, struct item *item, plsm_error_t **err)
{
    const int r = item->form == FORM_LITE3 ? library.lite3_stream_next(native, &item->frame, err)
                                           : library.stream_next(native, &item->json, err);
    return r > 0 ? STEP_ITEM : r < 0 ? -1 : STEP_NOTHING;
}

/* The number behind {"seq": of a message; 0 if it does not begin so. */
static uint64_t message_seq(const plsm_buf_t *message)
{
    static const char begin[] = "{\"seq\":";
    uint64_t seq = 0;
    size_t at = sizeof(begin) - 1;
    if (message->len < at || memcmp(message->data, begin, at) != 0)
        return 0;
    for (; at < message->len && message->data[at] >= '0' && message->data[at] <= '9'; at++)
        seq = seq * 10 + (uint64_t)(message->data[at] - '0');
    return seq;
}

static void window_advance(struct stream *self, uint64_t seq)
{
    if (seq == 0)
        return;
    self->options.since_seq = seq + 1;
    self->options.has_since = 1;
}

/* The window is over: the stream is at its end, or goes on in another one. */
static int window_renew(struct stream *self)
{
    const bool all = self->options.has_max != 0 && self->options.max_messages == 0;
    const bool late = self->deadline_ns != 0 && now_ns() >= self->deadline_ns;
    if (all || late)
        return STEP_END;
    return window_open(self) < 0 ? -1 : STEP_NOTHING;
}

int window_took(struct stream *self, int step, const struct item *item, const plsm_error_t *err)
{
    if (step == STEP_NOTHING && self->base.handle != NULL)
        return window_renew(self);
    if (step == STEP_ITEM) {
        const bool is_frame = item->form == FORM_LITE3;
        window_advance(self, is_frame ? item->frame.seq : message_seq(&item->json));
        if (self->options.has_max != 0)
            self->options.max_messages--;
    }
    /* A message that Lite3 cannot hold is an error, and is passed over. */
    if (step < 0 && err != NULL && err->kind == PLSM_ERROR_USAGE && err->has_seq != 0)
        window_advance(self, err->seq);
    return step;
}
