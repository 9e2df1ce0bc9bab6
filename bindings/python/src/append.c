/* Appending to a Pool: values, JSON, Lite3, one or many. */
#include "core.h"

/* What an append is given. */
struct input {
    PyObject *payload; /* bytes; or NULL: */
    struct text text;  /* the value in JSON */
    struct tags tags;
    uint32_t durability;
};

static const uint8_t *input_json(const struct input *input, size_t *out_len)
{
    if (input->payload == NULL) {
        *out_len = input->text.len;
        return (const uint8_t *)input->text.data;
    }
    *out_len = (size_t)PyBytes_Size(input->payload);
    return (const uint8_t *)PyBytes_AsString(input->payload);
}

static int input_init_json(struct input *input, PyObject *source, bool encode)
{
    if (encode)
        return text_encode(&input->text, source);
    return convert_payload(source, &input->payload);
}

/* Released with input_fini() in any case. */
static int input_init(
    struct input *input, PyObject *source, bool encode, PyObject *tags, PyObject *durability)
{
    input->payload = NULL;
    input->text.data = input->text.inline_data;
    input->tags.data = NULL;
    input->tags.sequence = NULL;
    input->durability = PLSM_FAST;
    if (input_init_json(input, source, encode) < 0 || tags_init(&input->tags, tags) < 0)
        return -1;
    return durability != NULL ? convert_u32(durability, "durability", &input->durability) : 0;
}

static void input_fini(struct input *input)
{
    Py_XDECREF(input->payload);
    text_fini(&input->text);
    tags_fini(&input->tags);
}

/* The message as it was stored. */
static PyObject *append_message(struct handle *pool, struct input *input)
{
    size_t len;
    const uint8_t *json = input_json(input, &len);
    plsm_buf_t message = {NULL, 0};
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.pool_append_json(pool->native, json, len, input->tags.data, input->tags.len,
        input->durability, &message, &err);
    PyEval_RestoreThread(gil);
    if (r == 0)
        return convert_buffer(&message);
    error_raise(err);
    return NULL;
}

/* Its seq alone. */
static PyObject *append_seq(struct handle *pool, struct input *input)
{
    if (library_needs(pool_append_json_seq) < 0)
        return NULL;
    size_t len;
    const uint8_t *json = input_json(input, &len);
    uint64_t seq = 0;
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.pool_append_json_seq(pool->native, json, len, input->tags.data, input->tags.len,
        input->durability, &seq, NULL, &err);
    PyEval_RestoreThread(gil);
    if (r == 0)
        return PyLong_FromUnsignedLongLong(seq);
    error_raise(err);
    return NULL;
}

/* What the methods that append one message have in common. */
struct append {
    const char *name;
    const char *first; /* name of the first argument */
    int n_needed;
    bool encode; /* the first argument is a value, not JSON */
    PyObject *(*append)(struct handle *pool, struct input *input);
};

static PyObject *pool_append(PyObject *self, PyObject *const *args, Py_ssize_t n_args,
    PyObject *keywords, const struct append *append)
{
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    const char *const names[] = {append->first, "tags", "durability", NULL};
    PyObject *values[3], *result = NULL;
    if (convert_arguments(append->name, args, n_args, keywords, names, append->n_needed, values) ==
        0) {
        struct input input;
        if (input_init(&input, values[0], append->encode, values[1], values[2]) == 0)
            result = append->append(pool, &input);
        input_fini(&input);
    }
    handle_unref(pool);
    return result;
}

PyObject *pool_append_json(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords)
{
    static const struct append append = {"append_json", "payload", 3, false, append_message};
    return pool_append(self, args, n_args, keywords, &append);
}

PyObject *pool_append_bytes(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords)
{
    static const struct append append = {"append_bytes", "payload", 1, false, append_seq};
    return pool_append(self, args, n_args, keywords, &append);
}

PyObject *pool_append_value(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords)
{
    static const struct append append = {"append", "value", 1, true, append_message};
    return pool_append(self, args, n_args, keywords, &append);
}

static PyObject *append_lite3(struct handle *pool, PyObject *payload, uint32_t durability)
{
    if (library_needs(pool_append_lite3) < 0)
        return NULL;
    const uint8_t *bytes = (const uint8_t *)PyBytes_AsString(payload);
    const size_t len = (size_t)PyBytes_Size(payload);
    uint64_t seq = 0;
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.pool_append_lite3(pool->native, bytes, len, durability, &seq, &err);
    PyEval_RestoreThread(gil);
    if (r == 0)
        return PyLong_FromUnsignedLongLong(seq);
    error_raise(err);
    return NULL;
}

PyObject *pool_append_lite3(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords)
{
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    static const char *const names[] = {"payload", "durability", NULL};
    PyObject *values[2], *payload = NULL, *result = NULL;
    uint32_t durability;
    if (convert_arguments("append_lite3", args, n_args, keywords, names, 2, values) == 0 &&
        convert_payload(values[0], &payload) == 0) {
        if (convert_u32(values[1], "durability", &durability) == 0)
            result = append_lite3(pool, payload, durability);
        Py_DECREF(payload);
    }
    handle_unref(pool);
    return result;
}

/* Appends several at once; all share the tags and the durability. */
static PyObject *append_batch(struct handle *pool, struct input *inputs, size_t n_inputs)
{
    plsm_input_t *batch = PyMem_Calloc(n_inputs, sizeof(*batch));
    if (batch == NULL)
        return PyErr_NoMemory();
    for (size_t i = 0; i < n_inputs; i++) {
        batch[i].json = input_json(&inputs[i], &batch[i].json_len);
        batch[i].tags = inputs[0].tags.data;
        batch[i].tags_len = inputs[0].tags.len;
    }
    uint64_t seq = 0;
    plsm_error_t *err = NULL;
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    r = library.pool_append_batch(pool->native, batch, n_inputs, inputs[0].durability, &seq, &err);
    PyEval_RestoreThread(gil);
    PyMem_Free(batch);
    if (r == 0)
        return PyLong_FromUnsignedLongLong(seq);
    error_raise(err);
    return NULL;
}

/* (values: list, tags, durability) -> the first seq. A value that is bytes is JSON already. */
static PyObject *append_list(
    struct handle *pool, PyObject *list, PyObject *tags, PyObject *durability)
{
    const size_t len = (size_t)PyList_Size(list);
    struct input *inputs = len > 0 ? PyMem_Calloc(len, sizeof(*inputs)) : NULL;
    if (inputs == NULL)
        return len > 0 ? PyErr_NoMemory() : PyErr_Format(PyExc_ValueError, "values is empty");
    PyObject *result = NULL;
    size_t n_inputs = 0;
    bool sound = true;
    while (sound && n_inputs < len) {
        PyObject *value = PyList_GetItem(list, (Py_ssize_t)n_inputs);
        struct input *input = &inputs[n_inputs++];
        sound = value != NULL && input_init(input, value, !PyBytes_Check(value),
                                     n_inputs == 1 ? tags : NULL, durability) == 0;
    }
    if (sound)
        result = append_batch(pool, inputs, len);
    for (size_t i = 0; i < n_inputs; i++)
        input_fini(&inputs[i]);
    PyMem_Free(inputs);
    return result;
}

PyObject *pool_append_list(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    struct handle *pool = object_use(self, "pool");
    if (pool == NULL)
        return NULL;
    PyObject *result = NULL;
    if (n_args != 3 || !PyList_CheckExact(args[0]))
        PyErr_SetString(PyExc_TypeError, "wrong arguments");
    else if (library_needs(pool_append_batch) == 0)
        result = append_list(pool, args[0], args[1], args[2]);
    handle_unref(pool);
    return result;
}
