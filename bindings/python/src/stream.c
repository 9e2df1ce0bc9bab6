/* Stream and Lite3Stream: following a pool.
 *
 * A wait must end early when a signal handler of Python has to run, and when another thread
 * closes the stream. Where the library has plsm_stream_wait, waits are slices of it. Without it
 * (an older library, and Lite3 streams) the native stream is opened with a time limit, a window,
 * and opened again behind the last message when the window is over; what was asked for is kept
 * here and becomes less with each message.
 *
 * One thread at a time: a second one that asks for a message gets an error, as with generators.
 * close() alone is for everybody. */
#include "core.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define SLICE_MS  250u /* of a wait: a signal that another thread got is seen this late */
#define WINDOW_MS 100u

PyTypeObject *stream_type, *lite3_stream_type;

struct stream {
    struct object base;            /* the native stream */
    struct handle *pool;           /* for the next window; NULL: there are no windows */
    plsm_stream_options_t options; /* what is left of what was asked for; without the time */
    uint64_t deadline_ns;          /* with windows; 0: none */
    unsigned busy;                 /* a thread of this process (fork_count + 1) takes a message */
    bool is_lite3;
    bool ended;  /* for good */
    bool closed; /* by close(), maybe while a call is under way */
};

/* A message of either kind. */
struct item {
    plsm_buf_t json;
    plsm_lite3_frame_t frame;
};

enum step { STEP_END, STEP_ITEM, STEP_NOTHING }; /* or -1, with a native error */

/* Counts forks: a call that was under way in the parent is not in the child. */
static unsigned fork_count = 1;

static void count_fork(void)
{
    fork_count++;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void free_stream(void *native)
{
    library.stream_free(native);
}

static void free_lite3_stream(void *native)
{
    library.lite3_stream_free(native);
}

/* Opening --------------------------------------------------------------------------------------*/

static bool deadline_passed(const struct stream *self)
{
    return self->deadline_ns != 0 && now_ns() >= self->deadline_ns;
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

/* Opens the native stream, in place of the one before. */
static int stream_open_native(
    struct stream *self, struct handle *pool, const plsm_stream_options_t *options)
{
    void *native = NULL;
    plsm_error_t *err = NULL;
    const bool is_lite3 = self->is_lite3;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    if (is_lite3)
        r = library.lite3_stream_open_ex(
            pool->native, options, (plsm_lite3_stream_t **)&native, &err);
    else
        r = library.stream_open_ex(pool->native, options, (plsm_stream_t **)&native, &err);
    PyEval_RestoreThread(gil);
    if (r != 0)
        return error_raise(err);
    struct handle *handle = handle_new(native, is_lite3 ? free_lite3_stream : free_stream);
    if (handle == NULL)
        return -1;
    if (self->closed) { /* while it was opened */
        handle_unref(handle);
        return 0;
    }
    handle_unref(self->base.handle);
    self->base.handle = handle;
    return 0;
}

static int stream_open_window(struct stream *self)
{
    plsm_stream_options_t options = self->options;
    options.has_timeout = 1;
    options.timeout_ms = window_ms(self);
    return stream_open_native(self, self->pool, &options);
}

static int stream_start(struct stream *self, struct handle *pool)
{
    if (self->is_lite3 && library_needs(lite3_stream_open_ex) < 0)
        return -1;
    if (!self->is_lite3 && library.stream_wait != NULL)
        return stream_open_native(self, pool, &self->options);

    const uint64_t limit_ms = self->options.timeout_ms;
    if (self->options.has_timeout != 0 && limit_ms < UINT64_MAX / 2000000u)
        self->deadline_ns = now_ns() + limit_ms * 1000000u;
    self->options.has_timeout = 0;
    self->pool = handle_ref(pool);
    return stream_open_window(self);
}

static int convert_options(PyObject **values, plsm_stream_options_t *to)
{
    to->struct_size = sizeof(*to);
    if (convert_optional_u64(values[0], "since_seq", &to->since_seq, &to->has_since) < 0)
        return -1;
    if (convert_optional_u64(values[1], "max_messages", &to->max_messages, &to->has_max) < 0)
        return -1;
    if (convert_optional_u64(values[2], "timeout_ms", &to->timeout_ms, &to->has_timeout) < 0)
        return -1;
    if (!PyBool_Check(values[3])) {
        PyErr_SetString(PyExc_TypeError, "error_on_gap must be a bool");
        return -1;
    }
    to->gap_policy = values[3] == Py_True ? PLSM_GAP_ERROR : PLSM_GAP_CONTINUE;
    return 0;
}

/* _open(pool, since_seq, max_messages, timeout_ms, error_on_gap) of a new stream. */
static PyObject *stream_open(PyObject *object, PyObject *const *args, Py_ssize_t n_args)
{
    struct stream *self = (struct stream *)object;
    if (n_args != 5 || !PyObject_TypeCheck(args[0], pool_type) || self->base.handle != NULL) {
        PyErr_SetString(PyExc_TypeError, "wrong arguments");
        return NULL;
    }
    struct handle *pool = object_use(args[0], "pool");
    if (pool == NULL)
        return NULL;
    PyObject *values[] = {args[1], args[2], args[3], args[4]};
    self->is_lite3 = PyObject_TypeCheck(object, lite3_stream_type) != 0;
    int r = convert_options(values, &self->options);
    if (r == 0)
        r = stream_start(self, pool);
    handle_unref(pool);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Taking ---------------------------------------------------------------------------------------*/

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

/* Takes from the present window; without the GIL. */
static int window_take(void *native, bool is_lite3, struct item *item, plsm_error_t **err)
{
    const int r = is_lite3 ? library.lite3_stream_next(native, &item->frame, err)
                           : library.stream_next(native, &item->json, err);
    return r > 0 ? STEP_ITEM : r < 0 ? -1 : STEP_NOTHING;
}

/* Without the GIL. */
static int wait_take(void *native, uint64_t wait_ms, struct item *item, plsm_error_t **err)
{
    int r = library.stream_wait(native, wait_ms, err);
    if (r == 0)
        return STEP_NOTHING;
    if (r > 0)
        r = library.stream_next(native, &item->json, err);
    return r > 0 ? STEP_ITEM : r < 0 ? -1 : STEP_END;
}

/* The window gave a message: the next one begins behind it. */
static void window_advance(struct stream *self, const struct item *item)
{
    const uint64_t seq = self->is_lite3 ? item->frame.seq : message_seq(&item->json);
    if (seq > 0) {
        self->options.since_seq = seq + 1;
        self->options.has_since = 1;
    }
    if (self->options.has_max != 0)
        self->options.max_messages--;
}

/* The window gave an error. A message that Lite3 cannot hold is one, and is passed over. */
static void window_fail(struct stream *self, const plsm_error_t *err)
{
    if (err->kind == PLSM_ERROR_USAGE && err->has_seq != 0) {
        self->options.since_seq = err->seq + 1;
        self->options.has_since = 1;
    }
}

/* The window gave nothing: the stream is at its end, or goes on in another one. */
static int window_renew(struct stream *self)
{
    const bool all = self->options.has_max != 0 && self->options.max_messages == 0;
    if (all || deadline_passed(self))
        return STEP_END;
    return stream_open_window(self) < 0 ? -1 : STEP_NOTHING;
}

/* One slice or window of waiting. */
static int stream_step(struct stream *self, uint64_t wait_ms, struct item *item)
{
    struct handle *handle = handle_ref(self->base.handle);
    plsm_error_t *err = NULL;
    const bool windows = self->pool != NULL, is_lite3 = self->is_lite3;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    if (windows)
        r = window_take(handle->native, is_lite3, item, &err);
    else
        r = wait_take(handle->native, wait_ms, item, &err);
    PyEval_RestoreThread(gil);
    handle_unref(handle);
    if (r < 0) {
        self->ended = err != NULL && err->kind == PLSM_ERROR_RETENTION_GAP;
        if (windows && err != NULL)
            window_fail(self, err);
        return error_raise(err);
    }
    if (windows && r == STEP_ITEM)
        window_advance(self, item);
    if (windows && r == STEP_NOTHING && self->base.handle != NULL)
        return window_renew(self);
    return r;
}

/* STEP_ITEM, STEP_END; -1. Closed meanwhile: STEP_END. */
static int stream_wait_for(struct stream *self, struct item *item)
{
    while (!self->ended && self->base.handle != NULL) {
        const int r = stream_step(self, SLICE_MS, item);
        if (r == STEP_ITEM || r < 0)
            return r;
        if (r == STEP_END)
            self->ended = true;
        else if (PyErr_CheckSignals() < 0)
            return -1;
    }
    return STEP_END;
}

/* Before a call that takes from the stream; followed by stream_leave(). */
static int stream_enter(struct stream *self)
{
    if (self->base.handle == NULL)
        return error_raise_closed("stream");
    if (self->busy == fork_count)
        return error_raise_text(PLSM_ERROR_USAGE, "another thread is taking from this stream");
    self->busy = fork_count;
    Py_INCREF((PyObject *)self); /* the caller's reference may go while the GIL is free */
    return 0;
}

static void stream_leave(struct stream *self)
{
    self->busy = 0;
    Py_DECREF((PyObject *)self);
}

static PyObject *item_object(const struct stream *self, struct item *item)
{
    return self->is_lite3 ? convert_frame(&item->frame) : convert_buffer(&item->json);
}

/* The next message; Py_None at the end. */
static PyObject *stream_next(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    struct stream *self = (struct stream *)object;
    if (stream_enter(self) < 0)
        return NULL;
    struct item item;
    const int r = stream_wait_for(self, &item);
    PyObject *result = NULL;
    if (r == STEP_ITEM) {
        result = item_object(self, &item);
    } else if (r == STEP_END) {
        Py_INCREF(Py_None);
        result = Py_None;
    }
    stream_leave(self);
    return result;
}

static PyObject *stream_iter_next(PyObject *object)
{
    PyObject *result = stream_next(object, NULL);
    if (result != Py_None)
        return result;
    Py_DECREF(result);
    return NULL; /* the end of an iterator */
}

/* The next message if it is there: None at the end, False while there is nothing. */
static PyObject *stream_try_next(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    struct stream *self = (struct stream *)object;
    if (self->pool != NULL)
        return library_lacks("plsm_stream_wait"), NULL;
    if (stream_enter(self) < 0)
        return NULL;
    struct item item;
    const int r = self->ended ? STEP_END : stream_step(self, 0, &item);
    PyObject *result = NULL;
    if (r == STEP_ITEM)
        result = item_object(self, &item);
    else if (r >= 0)
        result = r == STEP_END ? Py_None : Py_False;
    if (r != STEP_ITEM)
        Py_XINCREF(result);
    self->ended = self->ended || r == STEP_END;
    stream_leave(self);
    return result;
}

static PyObject *stream_next_view(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    struct stream *self = (struct stream *)object;
    if (library_needs(stream_next_view) < 0 || stream_enter(self) < 0)
        return NULL;
    PyObject *result = NULL;
    int r = STEP_NOTHING;
    while (r == STEP_NOTHING && self->base.handle != NULL) {
        struct handle *handle = handle_ref(self->base.handle);
        plsm_view_t view = {0};
        plsm_error_t *err = NULL;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.stream_wait(handle->native, SLICE_MS, &err);
        if (r > 0)
            r = library.stream_next_view(handle->native, &view, &err);
        else if (r == 0)
            r = STEP_NOTHING;
        PyEval_RestoreThread(gil);
        if (r < 0)
            error_raise(err);
        else if (r == STEP_ITEM)
            result = view_new(handle, &view);
        handle_unref(handle);
        if (r == STEP_NOTHING && PyErr_CheckSignals() < 0)
            r = -1;
    }
    stream_leave(self);
    if (r < 0 || result != NULL)
        return result;
    Py_RETURN_NONE;
}

static PyObject *stream_close(PyObject *object, PyObject *ignored)
{
    struct stream *self = (struct stream *)object;
    struct handle *handle = self->base.handle;
    if (handle != NULL && self->pool == NULL && library.stream_cancel != NULL)
        library.stream_cancel(handle->native); /* whoever waits in it returns */
    self->closed = true;
    object_close(object, ignored);
    if (self->busy != fork_count) {
        struct handle *pool = self->pool;
        self->pool = NULL;
        handle_unref(pool);
    }
    Py_RETURN_NONE;
}

static void stream_dealloc(PyObject *object)
{
    handle_unref(((struct stream *)object)->pool);
    object_dealloc(object);
}

/* Setting up and asking ------------------------------------------------------------------------*/

static PyObject *stream_done(struct handle *handle, int r, plsm_error_t *err)
{
    handle_unref(handle);
    if (r != 0) {
        error_raise(err);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A setter of the library with one number. */
typedef int set_number(plsm_stream_t *stream, uint64_t number, plsm_error_t **err);

static PyObject *stream_set(PyObject *self, PyObject *value, const char *name, set_number *set)
{
    uint64_t number;
    if (convert_u64(value, name, &number) < 0)
        return NULL;
    struct handle *handle = object_use(self, "stream");
    if (handle == NULL)
        return NULL;
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = set(handle->native, number, &err);
    PyEval_RestoreThread(gil);
    return stream_done(handle, r, err);
}

static PyObject *stream_seek_last(PyObject *self, PyObject *value)
{
    if (library_needs(stream_seek_last) < 0)
        return NULL;
    return stream_set(self, value, "last", library.stream_seek_last);
}

static PyObject *stream_seek_time(PyObject *self, PyObject *value)
{
    if (library_needs(stream_seek_time) < 0)
        return NULL;
    return stream_set(self, value, "since_time", library.stream_seek_time);
}

static PyObject *stream_idle_timeout(PyObject *self, PyObject *value)
{
    if (library_needs(stream_idle_timeout) < 0)
        return NULL;
    return stream_set(self, value, "idle_timeout_ms", library.stream_idle_timeout);
}

static PyObject *stream_require_tags(PyObject *self, PyObject *value)
{
    struct handle *handle =
        library_needs(stream_require_tags) == 0 ? object_use(self, "stream") : NULL;
    if (handle == NULL)
        return NULL;
    struct tags tags;
    plsm_error_t *err = NULL;
    if (tags_init(&tags, value) < 0) {
        tags_fini(&tags);
        handle_unref(handle);
        return NULL;
    }
    const int r = library.stream_require_tags(handle->native, tags.data, tags.len, &err);
    tags_fini(&tags);
    return stream_done(handle, r, err);
}

static PyObject *stream_filter(PyObject *self, PyObject *value)
{
    if (library_needs(stream_filter) < 0)
        return NULL;
    Py_ssize_t len;
    const char *text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &len) : NULL;
    if (text == NULL) {
        if (PyErr_Occurred() == NULL)
            PyErr_SetString(PyExc_TypeError, "where must be strings");
        return NULL;
    }
    struct handle *handle = object_use(self, "stream");
    if (handle == NULL)
        return NULL;
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.stream_filter(handle->native, text, &err); /* may start libjq */
    PyEval_RestoreThread(gil);
    return stream_done(handle, r, err);
}

static PyObject *stream_fileno(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    struct handle *handle = library_needs(stream_fd) == 0 ? object_use(self, "stream") : NULL;
    if (handle == NULL)
        return NULL;
    int fd = -1;
    plsm_error_t *err = NULL;
    const int r = library.stream_fd(handle->native, &fd, &err);
    handle_unref(handle);
    if (r == 0)
        return PyLong_FromLong(fd);
    error_raise(err);
    return NULL;
}

static PyObject *stream_number(
    PyObject *self, const char *function, uint64_t (*get)(const plsm_stream_t *stream))
{
    struct handle *handle = object_use(self, "stream");
    if (handle == NULL)
        return NULL;
    PyObject *number = NULL;
    if (get == NULL)
        library_lacks(function);
    else
        number = PyLong_FromUnsignedLongLong(get(handle->native));
    handle_unref(handle);
    return number;
}

static PyObject *stream_position(PyObject *self, void *ignored)
{
    (void)ignored;
    return stream_number(self, "plsm_stream_position", library.stream_position);
}

static PyObject *stream_dropped(PyObject *self, void *ignored)
{
    (void)ignored;
    return stream_number(self, "plsm_stream_dropped", library.stream_dropped);
}

/* The types -----------------------------------------------------------------------------------*/

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef stream_methods[] = {
    {"_open", FAST(stream_open), METH_FASTCALL, NULL},
    {"next_json", stream_next, METH_NOARGS,
        "next_json($self)\n--\n\nThe next message as JSON bytes; None at the end."},
    {"try_next", stream_try_next, METH_NOARGS,
        "try_next($self)\n--\n\nAs next_json(), but False at once where that would wait."},
    {"next_view", stream_next_view, METH_NOARGS,
        "next_view($self)\n--\n\nThe next message in place; None at the end."},
    {"fileno", stream_fileno, METH_NOARGS,
        "fileno($self)\n--\n\nReadable when there may be a message; the stream's own."},
    {"_seek_last", stream_seek_last, METH_O, NULL},
    {"_seek_time", stream_seek_time, METH_O, NULL},
    {"_idle_timeout", stream_idle_timeout, METH_O, NULL},
    {"_require_tags", stream_require_tags, METH_O, NULL},
    {"_filter", stream_filter, METH_O, NULL},
    {"close", stream_close, METH_NOARGS, "close($self)\n--\n\nEnds it, from any thread."},
    {"__enter__", object_enter, METH_NOARGS, NULL},
    {"__exit__", FAST(object_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef stream_attributes[] = {
    {"closed", object_closed, NULL, "Whether it was closed.", NULL},
    {"position", stream_position, NULL, "The since_seq with which another would go on.", NULL},
    {"dropped", stream_dropped, NULL, "How many messages writers overwrote before.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_attributes},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, stream_iter_next},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "plasmite._core.Stream",
    .basicsize = sizeof(struct stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = stream_slots,
};

static PyMethodDef lite3_stream_methods[] = {
    {"_open", FAST(stream_open), METH_FASTCALL, NULL},
    {"_next", stream_next, METH_NOARGS, NULL},
    {"close", stream_close, METH_NOARGS, "close($self)\n--\n\nEnds it, from any thread."},
    {"__enter__", object_enter, METH_NOARGS, NULL},
    {"__exit__", FAST(object_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lite3_stream_attributes[] = {
    {"closed", object_closed, NULL, "Whether it was closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot lite3_stream_slots[] = {
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_methods, lite3_stream_methods},
    {Py_tp_getset, lite3_stream_attributes},
    {0, NULL},
};

static PyType_Spec lite3_stream_spec = {
    .name = "plasmite._core.Lite3Stream",
    .basicsize = sizeof(struct stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = lite3_stream_slots,
};

int stream_add(PyObject *module)
{
    pthread_atfork(NULL, NULL, count_fork);
    if (type_add(module, &stream_spec, &stream_type) < 0)
        return -1;
    return type_add(module, &lite3_stream_spec, &lite3_stream_type);
}
