/* Client: the directory in which pools are looked up. */
#include "core.h"

#include <string.h>

PyTypeObject *client_type;

static void free_client(void *native)
{
    library.client_free(native);
}

static void free_pool(void *native)
{
    library.pool_free(native);
}

/* A new reference to the reference as bytes, NUL-terminated; NULL with an exception. */
static PyObject *pool_ref_bytes(PyObject *pool_ref)
{
    PyObject *bytes = NULL;
    if (PyUnicode_FSConverter(pool_ref, &bytes) == 0)
        return NULL;
    if (PyBytes_Size(bytes) > 0)
        return bytes;
    PyErr_SetString(PyExc_ValueError, "pool_ref is required");
    Py_DECREF(bytes);
    return NULL;
}

static PyObject *client_open(PyObject *self, PyObject *pool_dir)
{
    PyObject *bytes = NULL;
    if (PyUnicode_FSConverter(pool_dir, &bytes) == 0)
        return NULL;
    plsm_client_t *client = NULL;
    plsm_error_t *err = NULL;
    const int r = library.client_new(PyBytes_AsString(bytes), &client, &err);
    Py_DECREF(bytes);
    if (r != 0) {
        error_raise(err);
        return NULL;
    }
    object_close(self, NULL);
    ((struct object *)self)->handle = handle_new(client, free_client);
    if (((struct object *)self)->handle == NULL)
        return NULL;
    Py_RETURN_NONE;
}

/* How a pool is wanted. */
struct request {
    bool create; /* a new one; else one that is there */
    bool has_options;
    plsm_open_options_t options;
};

/* Without the GIL. What the first library could do goes by its functions. */
static int request_open(plsm_client_t *client, const char *ref, const struct request *request,
    plsm_pool_t **out_pool, plsm_error_t **err)
{
    if (request->has_options)
        return library.pool_open_ex(client, ref, &request->options, out_pool, err);
    if (request->create)
        return library.pool_create(client, ref, request->options.size_bytes, out_pool, err);
    return library.pool_open(client, ref, out_pool, err);
}

static int open_into(
    PyObject *pool, struct handle *client, PyObject *pool_ref, const struct request *request)
{
    PyObject *bytes = pool_ref_bytes(pool_ref);
    if (bytes == NULL)
        return -1;
    const char *ref = PyBytes_AsString(bytes);
    plsm_pool_t *native = NULL;
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = request_open(client->native, ref, request, &native, &err);
    PyEval_RestoreThread(gil);
    Py_DECREF(bytes);
    if (r != 0)
        return error_raise(err);
    object_close(pool, NULL);
    ((struct object *)pool)->handle = handle_new(native, free_pool);
    return ((struct object *)pool)->handle != NULL ? 0 : -1;
}

/* create, size_bytes, index_capacity, busy_timeout_ms, read_only; all but the first two may be
 * None. */
static int convert_request(PyObject *const *values, struct request *to)
{
    plsm_open_options_t *options = &to->options;
    uint64_t busy_ms = 0;
    to->create = values[0] == Py_True;
    options->struct_size = sizeof(*options);
    options->create = to->create ? PLSM_CREATE_NEW : PLSM_OPEN_EXISTING;
    options->read_only = values[4] == Py_True;
    if (convert_u64(values[1], "size_bytes", &options->size_bytes) < 0 ||
        convert_optional_u64(values[2], "index_capacity", &options->index_capacity,
            &options->has_index_capacity) < 0 ||
        convert_optional_u64(values[3], "busy_timeout_ms", &busy_ms, &options->has_busy_timeout) <
            0)
        return -1;
    options->busy_timeout_ms = busy_ms < UINT32_MAX ? (uint32_t)busy_ms : UINT32_MAX;
    to->has_options = options->read_only != 0 || options->has_index_capacity != 0 ||
                      options->has_busy_timeout != 0;
    return to->has_options ? library_needs(pool_open_ex) : 0;
}

/* _open_pool(pool, pool_ref, ...): opens into a Pool that is closed. */
static PyObject *client_open_pool(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    struct handle *client = object_use(self, "client");
    if (client == NULL)
        return NULL;
    struct request request = {.create = false};
    int r = -1;
    if (n_args != 7 || !PyObject_TypeCheck(args[0], pool_type) || !PyBool_Check(args[2]))
        PyErr_SetString(PyExc_TypeError, "wrong arguments");
    else if (!PyBool_Check(args[6]))
        PyErr_SetString(PyExc_TypeError, "read_only must be a bool");
    else if (convert_request(args + 2, &request) == 0)
        r = open_into(args[0], client, args[1], &request);
    handle_unref(client);
    if (r < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* A list of the names in a buffer, each ended by NUL. */
static PyObject *names_list(const plsm_buf_t *names)
{
    PyObject *list = PyList_New(0);
    const char *name = (const char *)names->data, *end = name + names->len;
    for (; list != NULL && name < end; name += strlen(name) + 1) {
        PyObject *string = PyUnicode_DecodeFSDefault(name);
        if (string == NULL || PyList_Append(list, string) < 0)
            Py_CLEAR(list);
        Py_XDECREF(string);
    }
    return list;
}

static PyObject *client_list_pools(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    struct handle *client = object_use(self, "client");
    if (client == NULL)
        return NULL;
    PyObject *list = NULL;
    if (library_needs(pool_list) == 0) {
        plsm_buf_t names = {NULL, 0};
        plsm_error_t *err = NULL;
        int r;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_list(client->native, &names, &err);
        PyEval_RestoreThread(gil);
        if (r == 0)
            list = names_list(&names);
        else
            error_raise(err);
        library.buf_free(&names);
    }
    handle_unref(client);
    return list;
}

static PyObject *client_delete_pool(PyObject *self, PyObject *pool_ref)
{
    struct handle *client = object_use(self, "client");
    if (client == NULL)
        return NULL;
    PyObject *bytes = library_needs(pool_delete) == 0 ? pool_ref_bytes(pool_ref) : NULL;
    int r = -1;
    if (bytes != NULL) {
        plsm_error_t *err = NULL;
        PyThreadState *const gil = PyEval_SaveThread();
        r = library.pool_delete(client->native, PyBytes_AsString(bytes), &err);
        PyEval_RestoreThread(gil);
        Py_DECREF(bytes);
        if (r != 0)
            error_raise(err);
    }
    handle_unref(client);
    if (r != 0)
        return NULL;
    Py_RETURN_NONE;
}

#define FAST(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef client_methods[] = {
    {"_open", client_open, METH_O, NULL},
    {"_open_pool", FAST(client_open_pool), METH_FASTCALL, NULL},
    {"list_pools", client_list_pools, METH_NOARGS,
        "list_pools($self)\n--\n\nThe names of the pools in the client's directory, sorted."},
    {"delete_pool", client_delete_pool, METH_O,
        "delete_pool($self, pool_ref)\n--\n\nDeletes a pool's file; who has it open keeps it."},
    {"close", object_close, METH_NOARGS, "close($self)\n--\n\nCloses it; pools stay open."},
    {"__enter__", object_enter, METH_NOARGS, NULL},
    {"__exit__", FAST(object_exit), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef client_attributes[] = {
    {"closed", object_closed, NULL, "Whether it was closed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_dealloc, object_dealloc},
    {Py_tp_methods, client_methods},
    {Py_tp_getset, client_attributes},
    {0, NULL},
};

static PyType_Spec client_spec = {
    .name = "plasmite._core.Client",
    .basicsize = sizeof(struct object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = client_slots,
};

int client_add(PyObject *module)
{
    return type_add(module, &client_spec, NULL, &client_type);
}
