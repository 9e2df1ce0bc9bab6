/* What a stream begins with and what it delivers, to be said before the first message is taken;
 * its descriptor; what it tells about itself. */
#include "stream.h"

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

/* A function of the library that takes one number. */
typedef int settle_number_function(plsm_stream_t *stream, uint64_t number, plsm_error_t **err);

/* Between settle_enter() and settle_leave(), without the GIL: close() may come meanwhile. */
static int settle_number(
    PyObject *object, uint64_t number, settle_number_function *set, plsm_error_t **err)
{
    struct stream *self = (struct stream *)object;
    struct handle *handle = handle_ref(self->base.handle);
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = set(stream_native(self, handle), number, err);
    PyEval_RestoreThread(gil);
    handle_unref(handle);
    return r;
}

/* Defines a setter with one number: NAME, the function of the library, what Python calls it. */
#define SETTLE_NUMBER(name, function, argument)                                                    \
    PyObject *name(PyObject *self, PyObject *value)                                                \
    {                                                                                              \
        uint64_t number;                                                                           \
        plsm_error_t *err = NULL;                                                                  \
        if (convert_u64(value, argument, &number) < 0 || SETTLE_ENTER(self, function) < 0)         \
            return NULL;                                                                           \
        const int r = settle_number(self, number, library.function, &err);                         \
        return settle_leave(self, r, err);                                                         \
    }

SETTLE_NUMBER(settle_last, stream_seek_last, "last")
SETTLE_NUMBER(settle_time, stream_seek_time, "since_time")
SETTLE_NUMBER(settle_idle_timeout, stream_idle_timeout, "idle_timeout_ms")

PyObject *settle_tags(PyObject *self, PyObject *value)
{
    struct tags tags;
    PyObject *result = NULL;
    if (tags_init(&tags, value) == 0 && SETTLE_ENTER(self, stream_require_tags) == 0) {
        const struct stream *stream = (struct stream *)self;
        plsm_error_t *err = NULL;
        const int r = library.stream_require_tags(
            stream_native(stream, stream->base.handle), tags.data, tags.len, &err);
        result = settle_leave(self, r, err);
    }
    tags_fini(&tags);
    return result;
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
    if (SETTLE_ENTER(self, stream_filter) < 0)
        return NULL;
    const struct stream *stream = (struct stream *)self;
    struct handle *handle = handle_ref(stream->base.handle);
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.stream_filter(stream_native(stream, handle), text, &err); /* may start libjq */
    PyEval_RestoreThread(gil);
    handle_unref(handle);
    return settle_leave(self, r, err);
}

PyObject *settle_skip_damage(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    if (SETTLE_ENTER(self, stream_skip_damage) < 0)
        return NULL;
    const struct stream *stream = (struct stream *)self;
    struct handle *handle = handle_ref(stream->base.handle);
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.stream_skip_damage(stream_native(stream, handle), &err);
    PyEval_RestoreThread(gil);
    handle_unref(handle);
    return settle_leave(self, r, err);
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
