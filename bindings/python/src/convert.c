/* Arguments of Python as the library takes them. */
#include "core.h"

#include <limits.h>
#include <string.h>

/* The place of a keyword among the names, or -1. */
static int argument_place(PyObject *keyword, const char *const *names)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(keyword, names[i]) == 0)
            return i;
    }
    return -1;
}

static int arguments_by_keyword(const char *method, PyObject *const *values, PyObject *keywords,
    const char *const *names, PyObject **out)
{
    const Py_ssize_t n_keywords = PyTuple_Size(keywords);
    for (Py_ssize_t i = 0; i < n_keywords; i++) {
        PyObject *keyword = PyTuple_GetItem(keywords, i);
        const int place = argument_place(keyword, names);
        if (place < 0) {
            PyErr_Format(
                PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", method, keyword);
            return -1;
        }
        if (out[place] != NULL) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", method,
                names[place]);
            return -1;
        }
        out[place] = values[i];
    }
    return 0;
}

int convert_arguments(const char *method, PyObject *const *args, Py_ssize_t n_args,
    PyObject *keywords, const char *const *names, int n_needed, PyObject **out)
{
    int n_names = 0;
    for (; names[n_names] != NULL; n_names++)
        out[n_names] = n_names < n_args ? args[n_names] : NULL;
    if (n_args > n_names) {
        PyErr_Format(
            PyExc_TypeError, "%s() takes %d arguments but %zd were given", method, n_names, n_args);
        return -1;
    }
    if (keywords != NULL && arguments_by_keyword(method, args + n_args, keywords, names, out) < 0)
        return -1;
    for (int i = 0; i < n_needed; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%s'", method, names[i]);
            return -1;
        }
    }
    return 0;
}

int convert_u64(PyObject *value, const char *name, uint64_t *out)
{
    if (!PyLong_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an integer", name);
        return -1;
    }
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow < 0 || (overflow == 0 && number < 0)) {
        PyErr_Format(PyExc_ValueError, "%s must be non-negative", name);
        return -1;
    }
    if (overflow == 0) {
        *out = (uint64_t)number;
        return 0;
    }
    const unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (PyErr_Occurred() != NULL) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s must be less than 2**64", name);
        return -1;
    }
    *out = large;
    return 0;
}

int convert_optional_u64(PyObject *value, const char *name, uint64_t *out, uint32_t *out_has)
{
    *out_has = value != NULL && value != Py_None;
    return *out_has ? convert_u64(value, name, out) : 0;
}

int convert_u32(PyObject *value, const char *name, uint32_t *out)
{
    uint64_t number;
    if (convert_u64(value, name, &number) < 0)
        return -1;
    if (number > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "%s must be less than 2**32", name);
        return -1;
    }
    *out = (uint32_t)number;
    return 0;
}

int convert_payload(PyObject *payload, PyObject **out)
{
    if (PyBytes_Check(payload)) {
        Py_INCREF(payload);
        *out = payload;
    } else if (PyByteArray_Check(payload) || PyObject_TypeCheck(payload, &PyMemoryView_Type)) {
        *out = PyBytes_FromObject(payload);
        if (*out == NULL)
            return -1;
    } else {
        PyErr_SetString(PyExc_TypeError, "payload must be bytes-like");
        return -1;
    }
    if (PyBytes_Size(*out) > 0)
        return 0;
    Py_DECREF(*out);
    PyErr_SetString(PyExc_ValueError, "payload is required");
    return -1;
}

/* A tag as the library takes it; NULL with an exception. */
static const char *tag_text(PyObject *tag)
{
    if (!PyUnicode_Check(tag)) {
        PyErr_SetString(PyExc_TypeError, "tags must be strings");
        return NULL;
    }
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(tag, &len);
    if (text != NULL && strlen(text) != (size_t)len) {
        PyErr_SetString(PyExc_ValueError, "tags must not contain NUL");
        return NULL;
    }
    return text;
}

int tags_init(struct tags *tags, PyObject *source)
{
    tags->data = NULL;
    tags->len = 0;
    tags->sequence = NULL;
    if (source == NULL || source == Py_None)
        return 0;
    if (PyUnicode_Check(source)) {
        PyErr_SetString(PyExc_TypeError, "tags must be an iterable of strings, not one string");
        return -1;
    }
    tags->sequence = PySequence_Tuple(source);
    if (tags->sequence == NULL)
        return -1;

    const Py_ssize_t len = PyTuple_Size(tags->sequence);
    if (len == 0)
        return 0;
    tags->data = tags->inline_data;
    if (len > TAGS_INLINE)
        tags->data = PyMem_Calloc((size_t)len, sizeof(*tags->data));
    if (tags->data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    tags->len = (size_t)len;
    for (Py_ssize_t i = 0; i < len; i++) {
        tags->data[i] = tag_text(PyTuple_GetItem(tags->sequence, i));
        if (tags->data[i] == NULL)
            return -1;
    }
    return 0;
}

void tags_fini(struct tags *tags)
{
    if (tags->data != tags->inline_data)
        PyMem_Free(tags->data);
    Py_XDECREF(tags->sequence);
}

PyObject *convert_buffer(plsm_buf_t *buffer)
{
    PyObject *bytes =
        PyBytes_FromStringAndSize((const char *)buffer->data, (Py_ssize_t)buffer->len);
    library.buf_free(buffer);
    return bytes;
}

PyObject *convert_frame(plsm_lite3_frame_t *frame)
{
    PyObject *result = Py_BuildValue("(KKIy#)", (unsigned long long)frame->seq,
        (unsigned long long)frame->timestamp_ns, (unsigned)frame->flags,
        (const char *)frame->payload.data, (Py_ssize_t)frame->payload.len);
    library.lite3_frame_free(frame);
    return result;
}
