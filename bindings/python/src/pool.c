/* Pool: its type, reading by number, and what it tells about itself. */
#include "core.h"

PyTypeObject *pool_type;

static PyObject *pool_get_json(PyObject *self, PyObject *seq_object)
{
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    PyObject *result = NULL;
    uint64_t seq;
    if (convert_u64(seq_object, "seq", &seq) == 0) {
        plsm_buf_t message = {NULL, 0};
        plsm_error_t *err = NULL;
        int r;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_get_json(pool->native, seq, &message, &err);
        PyEval_RestoreThread(gil);
        if (r == 0)
            result = convert_buffer(&message);
        else
            error_raise(err);
    }
    handle_unref(pool);
    return result;
}

static PyObject *pool_get_lite3(PyObject *self, PyObject *seq_object)
{
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    PyObject *result = NULL;
    uint64_t seq;
    if (convert_u64(seq_object, "seq", &seq) == 0 && library_needs(pool_get_lite3) == 0) {
        plsm_lite3_frame_t frame;
        plsm_error_t *err = NULL;
        int r;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_get_lite3(pool->native, seq, &frame, &err);
        PyEval_RestoreThread(gil);
        if (r == 0)
            result = convert_frame(&frame);
        else
            error_raise(err);
    }
    handle_unref(pool);
    return result;
}

static PyObject *pool_flush(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    int r = library_needs(pool_flush);
    if (r == 0) {
        plsm_error_t *err = NULL;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_flush(pool->native, &err);
        PyEval_RestoreThread(gil);
        if (r != 0)
            error_raise(err);
    }
    handle_unref(pool);
    if (r != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *convert_info(const plsm_pool_info_t *info)
{
    const unsigned long long numbers[] = {info->file_size, info->ring_offset, info->ring_size,
        info->index_capacity, info->used_bytes, info->n_messages, info->oldest_seq,
        info->newest_seq, info->oldest_time_ns, info->newest_time_ns, info->next_seq,
        info->created_ns};
    const Py_ssize_t len = sizeof(numbers) / sizeof(numbers[0]);
    PyObject *result = PyTuple_New(len);
    for (Py_ssize_t i = 0; result != NULL && i < len; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(numbers[i]);
        if (number == NULL || PyTuple_SetItem(result, i, number) < 0)
            Py_CLEAR(result);
    }
    return result;
}

static PyObject *pool_info(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    PyObject *result = NULL;
    if (library_needs(pool_info) == 0) {
        plsm_pool_info_t info = {.struct_size = sizeof(info)};
        plsm_error_t *err = NULL;
        int r;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_info(pool->native, &info, &err);
        PyEval_RestoreThread(gil);
        if (r == 0)
            result = convert_info(&info);
        else
            error_raise(err);
    }
    handle_unref(pool);
    return result;
}

static PyObject *pool_verify(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    PyObject *result = NULL;
    if (library_needs(pool_verify) == 0) {
        plsm_buf_t report = {NULL, 0};
        plsm_error_t *err = NULL;
        int r;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_verify(pool->native, &report, &err);
        PyEval_RestoreThread(gil);
        if (r == 0)
            result = convert_buffer(&report);
        else
            error_raise(err);
    }
    handle_unref(pool);
    return result;
}

static PyObject *pool_path(PyObject *self, void *ignored)
{
    (void)ignored;
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    PyObject *path = NULL;
    if (library_needs(pool_path) == 0)
        path = PyUnicode_DecodeFSDefault(library.pool_path(pool->native));
    handle_unref(pool);
    return path;
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))
#define WITH_KEYWORDS  (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef pool_methods[] = {
    {"append_json", FAST(pool_append_json), WITH_KEYWORDS,
        "append_json($self, payload, tags, durability)\n--\n\n"
        "Appends JSON bytes; returns the message as stored, in JSON."},
    {"append_bytes", FAST(pool_append_bytes), WITH_KEYWORDS,
        "append_bytes($self, payload, tags=None, durability=0)\n--\n\n"
        "Appends JSON bytes; returns the seq alone: the fastest way."},
    {"_append", FAST(pool_append_value), WITH_KEYWORDS, NULL},
    {"_append_list", FAST(pool_append_list), METH_FASTCALL, NULL},
    {"append_lite3", FAST(pool_append_lite3), WITH_KEYWORDS,
        "append_lite3($self, payload, durability)\n--\n\n"
        "Appends a Lite3 payload, which is checked; returns the seq."},
    {"get_json", pool_get_json, METH_O, "get_json($self, seq)\n--\n\nOne message, as JSON bytes."},
    {"_get_lite3", pool_get_lite3, METH_O, NULL},
    {"flush", pool_flush, METH_NOARGS,
        "flush($self)\n--\n\nReturns when all appended so far survives a power loss."},
    {"_info", pool_info, METH_NOARGS, NULL},
    {"_verify", pool_verify, METH_NOARGS, NULL},
    {"close", object_close, METH_NOARGS, "close($self)\n--\n\nCloses it; its streams go on."},
    {"__enter__", object_enter, METH_NOARGS, NULL},
    {"__exit__", FAST(object_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef pool_attributes[] = {
    {"closed", object_closed, NULL, "Whether it was closed.", NULL},
    {"path", pool_path, NULL, "The pool's file.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot pool_slots[] = {
    {Py_tp_dealloc, object_dealloc},
    {Py_tp_methods, pool_methods},
    {Py_tp_getset, pool_attributes},
    {0, NULL},
};

static PyType_Spec pool_spec = {
    .name = "plasmite._core.Pool",
    .basicsize = sizeof(struct object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = pool_slots,
};

int pool_add(PyObject *module)
{
    return type_add(module, &pool_spec, NULL, &pool_type);
}
