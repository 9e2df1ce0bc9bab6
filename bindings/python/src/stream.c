/* The types Stream and Lite3Stream: opening and closing them. */
#include "stream.h"

#include <pthread.h>

PyTypeObject *stream_type, *lite3_stream_type;

/* Counts forks: a call that was under way in the parent is not in the child. */
static unsigned fork_count = 1;

static void count_fork(void)
{
    fork_count++;
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

int stream_open_native(
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

static int stream_start(struct stream *self, struct handle *pool)
{
    if (self->is_lite3 && library_needs(lite3_stream_open_ex) < 0)
        return -1;
    if (window_needed(self->is_lite3))
        return window_start(self, pool);
    return stream_open_native(self, pool, &self->options);
}

static int convert_options(PyObject *const *values, plsm_stream_options_t *to)
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
    self->is_lite3 = PyObject_TypeCheck(object, lite3_stream_type) != 0;
    int r = convert_options(args + 1, &self->options);
    if (r == 0)
        r = stream_start(self, pool);
    handle_unref(pool);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* Use and end ----------------------------------------------------------------------------------*/

int stream_enter(struct stream *self)
{
    if (self->base.handle == NULL)
        return error_raise_closed("stream");
    if (self->busy == fork_count)
        return error_raise_text(PLSM_ERROR_USAGE, "another thread is taking from this stream");
    self->busy = fork_count;
    Py_INCREF((PyObject *)self); /* the caller's reference may go while the GIL is free */
    return 0;
}

void stream_leave(struct stream *self)
{
    self->busy = 0;
    Py_DECREF((PyObject *)self);
}

static PyObject *stream_close(PyObject *object, PyObject *ignored)
{
    struct stream *self = (struct stream *)object;
    struct handle *handle = self->base.handle;
    if (handle != NULL && self->pool == NULL && library.stream_cancel != NULL)
        library.stream_cancel(stream_native(self, handle)); /* whoever waits in it returns */
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

/* The types -----------------------------------------------------------------------------------*/

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

/* Of both kinds. */
static PyMethodDef any_methods[] = {
    {"_open", FAST(stream_open), METH_FASTCALL, NULL},
    {"_next", stream_next, METH_NOARGS, NULL},
    {"_try_next", stream_try_next, METH_NOARGS, NULL},
    {"_seek_last", settle_last, METH_O, NULL},
    {"_seek_time", settle_time, METH_O, NULL},
    {"_idle_timeout", settle_idle_timeout, METH_O, NULL},
    {"_require_tags", settle_tags, METH_O, NULL},
    {"_filter", settle_filter, METH_O, NULL},
    {"skip_damage", settle_skip_damage, METH_NOARGS,
        "skip_damage($self)\n--\n\nAfter CorruptError: goes on with what is intact."},
    {"fileno", settle_fileno, METH_NOARGS,
        "fileno($self)\n--\n\nReadable when there may be a message; the stream's own."},
    {"close", stream_close, METH_NOARGS, "close($self)\n--\n\nEnds it, from any thread."},
    {"__enter__", object_enter, METH_NOARGS, NULL},
    {"__exit__", FAST(object_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef any_attributes[] = {
    {"closed", object_closed, NULL, "Whether it was closed.", NULL},
    {"position", settle_position, NULL, "The since_seq with which another would go on.", NULL},
    {"dropped", settle_dropped, NULL, "How many messages writers overwrote before.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot any_slots[] = {
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_methods, any_methods},
    {Py_tp_getset, any_attributes},
    {0, NULL},
};

static PyType_Spec any_spec = {
    .name = "plasmite._core.AnyStream",
    .basicsize = sizeof(struct stream),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = any_slots,
};

static PyMethodDef stream_methods[] = {
    {"next_json", stream_next, METH_NOARGS,
        "next_json($self)\n--\n\nThe next message as JSON bytes; None at the end."},
    {"try_next", stream_try_next, METH_NOARGS,
        "try_next($self)\n--\n\nAs next_json(), but False at once where that would wait."},
    {"next_view", stream_next_view, METH_NOARGS,
        "next_view($self)\n--\n\nThe next message in place; None at the end."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot stream_slots[] = {
    {Py_tp_methods, stream_methods},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, stream_iter_next},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "plasmite._core.Stream",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = stream_slots,
};

static PyType_Slot lite3_stream_slots[] = {
    {0, NULL},
};

static PyType_Spec lite3_stream_spec = {
    .name = "plasmite._core.Lite3Stream",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = lite3_stream_slots,
};

int stream_add(PyObject *module)
{
    static PyTypeObject *any_type;
    pthread_atfork(NULL, NULL, count_fork);
    if (type_add(module, &any_spec, NULL, &any_type) < 0 ||
        type_add(module, &stream_spec, any_type, &stream_type) < 0)
        return -1;
    return type_add(module, &lite3_stream_spec, any_type, &lite3_stream_type);
}
