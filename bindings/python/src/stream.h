/* AnyStream, and its two kinds Stream and Lite3Stream: what their files share.
 *
 *   stream.c  the types; opening and closing
 *   take.c    taking messages, and waiting for them
 *   window.c  how that is done with a library that cannot wait as we want
 *   settle.c  what a stream begins with and delivers, and what it tells about itself
 *
 * A wait must end when a signal handler of Python has to run, and at once when another thread
 * closes the stream: plsm_stream_wait in slices, plsm_stream_cancel.
 *
 * One thread at a time: a second one that asks for a message gets an error, as with generators.
 * close() alone is for everybody. */
#ifndef STREAM_H
#define STREAM_H

#include "core.h"

struct stream {
    struct object base;            /* the native stream */
    struct handle *pool;           /* for the next window; NULL: there are no windows */
    plsm_stream_options_t options; /* as asked for; with windows: what is left of it */
    uint64_t deadline_ns;          /* with windows; 0: none */
    unsigned busy;                 /* a thread of this process (stream_forks) uses it */
    bool is_lite3;
    bool ended;  /* for good */
    bool closed; /* by close(), maybe while a call is under way */
};

/* stream.c -------------------------------------------------------------------------------------*/

/* The stream that plsm_stream_* take, of either kind. */
static inline plsm_stream_t *stream_native(const struct stream *self, const struct handle *handle)
{
    return self->is_lite3 ? library.lite3_stream_base(handle->native) : handle->native;
}

/* Opens the native stream, in place of the one before. */
int stream_open_native(
    struct stream *self, struct handle *pool, const plsm_stream_options_t *options);

/* Around each call that uses the stream, but close(): fails where it is closed, or used by another
 * thread. */
int stream_enter(struct stream *self);
void stream_leave(struct stream *self);

/* take.c ---------------------------------------------------------------------------------------*/

/* A message, in one of the forms in which it can be taken. */
enum form { FORM_JSON, FORM_LITE3, FORM_VIEW };

struct item {
    enum form form;
    struct handle *handle; /* of the stream, held */
    union {
        plsm_buf_t json;
        plsm_lite3_frame_t frame;
        plsm_view_t view;
    };
};

enum step { STEP_END, STEP_ITEM, STEP_NOTHING }; /* or -1, with an error */

/* The methods: the next message; None at the end. try: False where it would have to wait. */
PyObject *stream_next(PyObject *self, PyObject *ignored);
PyObject *stream_iter_next(PyObject *self);
PyObject *stream_try_next(PyObject *self, PyObject *ignored);
PyObject *stream_next_view(PyObject *self, PyObject *ignored);

/* window.c -------------------------------------------------------------------------------------*/

/* Whether streams of this kind need windows. */
bool window_needed(bool is_lite3);

/* Opens the first window. */
int window_start(struct stream *self, struct handle *pool);

/* Takes from the present window; without the GIL. */
int window_take(void *native, struct item *item, plsm_error_t **err);

/* What that gave: the next window begins behind it; err is NULL but for failures. The GIL is held.
 * Returns the step that it is for the stream. */
int window_took(struct stream *self, int step, const struct item *item, const plsm_error_t *err);

/* settle.c -------------------------------------------------------------------------------------*/

/* Methods and attributes. */
PyObject *settle_last(PyObject *self, PyObject *n_messages);
PyObject *settle_time(PyObject *self, PyObject *time_ns);
PyObject *settle_idle_timeout(PyObject *self, PyObject *timeout_ms);
PyObject *settle_tags(PyObject *self, PyObject *tags);
PyObject *settle_filter(PyObject *self, PyObject *expression);
PyObject *settle_skip_damage(PyObject *self, PyObject *ignored);
PyObject *settle_fileno(PyObject *self, PyObject *ignored);
PyObject *settle_position(PyObject *self, void *ignored);
PyObject *settle_dropped(PyObject *self, void *ignored);

#endif
