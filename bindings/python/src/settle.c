/* What a stream begins with and what it delivers, to be said before the first message is taken;
 * its descriptor; what it tells about itself. */
#include "stream.h"

#include <string.h>

/* The library can do this for streams of this kind, and nobody else uses this one: 0, and to be
 * followed by settle_leave(). */
static int settle_enter(PyObject *object, bool has_function, const char *function)
{
    struct stream *self = (struct stream *)object;
    if (!has_function)
        return library_lacks(function);
    if (self->is_lite3 && library_needs(lite3_stream_base) < 0)
        return -1;
    return stream_enter(self);
}

#define SETTLE_ENTER(object, function)                                                             \
    settle_enter(object, library.function != NULL, "plsm_" #function)

/* None, or NULL where r says that the library failed. */
static PyObject *settle_leave(PyObject *object, int r, plsm_error_t *err)
{
    stream_leave((struct stream *)object);
    if (r != 0) {
        error_raise(err);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A function of the library, and what it takes beside the stream. */
typedef int settle_function(plsm_stream_t *stream, const void *argument, plsm_error_t **err);

/* Behind settle_enter(). Without the GIL: it may take a while, and close() may come. */
static PyObject *settle(PyObject *object, settle_function *function, const void *argument)
{
    const struct stream *self = (struct stream *)object;
    struct handle *handle = handle_ref(self->base.handle);
    plsm_stream_t *stream = stream_native(self, handle);
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = function(stream, argument, &err);
    PyEval_RestoreThread(gil);
    handle_unref(handle);
    return settle_leave(object, r, err);
}

static int call_seek_last(plsm_stream_t *stream, const void *n_messages, plsm_error_t **err)
{
    return library.stream_seek_last(stream, *(const uint64_t *)n_messages, err);
}

PyObject *settle_last(PyObject *self, PyObject *value)
{
    uint64_t n_messages;
    if (convert_u64(value, "last", &n_messages) < 0 || SETTLE_ENTER(self, stream_seek_last) < 0)
        return NULL;
    return settle(self, call_seek_last, &n_messages);
}

static int call_seek_time(plsm_stream_t *stream, const void *time_ns, plsm_error_t **err)
{
    return library.stream_seek_time(stream, *(const uint64_t *)time_ns, err);
}

PyObject *settle_time(PyObject *self, PyObject *value)
{
    uint64_t time_ns;
    if (convert_u64(value, "since_time", &time_ns) < 0 || SETTLE_ENTER(self, stream_seek_time) < 0)
        return NULL;
    return settle(self, call_seek_time, &time_ns);
}

static int call_idle_timeout(plsm_stream_t *stream, const void *timeout_ms, plsm_error_t **err)
{
    return library.stream_idle_timeout(stream, *(const uint64_t *)timeout_ms, err);
}

PyObject *settle_idle_timeout(PyObject *self, PyObject *value)
{
    uint64_t timeout_ms;
    if (convert_u64(value, "idle_timeout_ms", &timeout_ms) < 0 ||
        SETTLE_ENTER(self, stream_idle_timeout) < 0)
        return NULL;
    return settle(self, call_idle_timeout, &timeout_ms);
}

static int call_require_tags(plsm_stream_t *stream, const void *argument, plsm_error_t **err)
{
    const struct tags *tags = argument;
    return library.stream_require_tags(stream, tags->data, tags->len, err);
}

PyObject *settle_tags(PyObject *self, PyObject *value)
{
    struct tags tags;
    PyObject *result = NULL;
    if (tags_init(&tags, value) == 0 && SETTLE_ENTER(self, stream_require_tags) == 0)
        result = settle(self, call_require_tags, &tags);
    tags_fini(&tags);
    return result;
}

static int call_filter(plsm_stream_t *stream, const void *expression, plsm_error_t **err)
{
    return library.stream_filter(stream, expression, err);
}

PyObject *settle_filter(PyObject *self, PyObject *value)
{
    Py_ssize_t len;
    const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &len) : NULL;
    if (text == NULL) {
        if (PyErr_Occurred() == NULL)
            PyErr_SetString(PyExc_TypeError, "where must be strings");
        return NULL;
    }
    if (strlen(text) != (size_t)len)
        return PyErr_Format(PyExc_ValueError, "where must not contain NUL");
    if (SETTLE_ENTER(self, stream_filter) < 0)
        return NULL;
    return settle(self, call_filter, text);
}

static int call_skip_damage(plsm_stream_t *stream, const void *nothing, plsm_error_t **err)
{
    (void)nothing;
    return library.stream_skip_damage(stream, err);
}

PyObject *settle_skip_damage(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (SETTLE_ENTER(self, stream_skip_damage) < 0)
        return NULL;
    return settle(self, call_skip_damage, NULL);
}

PyObject *settle_fileno(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (SETTLE_ENTER(self, stream_fd) < 0)
        return NULL;
    const struct stream *stream = (struct stream *)self;
    int fd = -1;
    plsm_error_t *err = NULL;
    const int r = library.stream_fd(stream_native(stream, stream->base.handle), &fd, &err);
    PyObject *none = settle_leave(self, r, err);
    if (none == NULL)
        return NULL;
    Py_DECREF(none);
    return PyLong_FromLong(fd);
}

/* Asking is for every thread. */
static PyObject *ask(
    PyObject *self, const char *function, uint64_t (*get)(const plsm_stream_t *stream))
{
    const struct stream *stream = (struct stream *)self;
    if (stream->base.handle == NULL)
        return error_raise_closed("stream"), NULL;
    if (get == NULL)
        return library_lacks(function), NULL;
    if (stream->is_lite3 && library_needs(lite3_stream_base) < 0)
        return NULL;
    return PyLong_FromUnsignedLongLong(get(stream_native(stream, stream->base.handle)));
}

PyObject *settle_position(PyObject *self, void *ignored)
{
    (void)ignored;
    return ask(self, "plsm_stream_position", library.stream_position);
}

PyObject *settle_dropped(PyObject *self, void *ignored)
{
    (void)ignored;
    return ask(self, "plsm_stream_dropped", library.stream_dropped);
}
