/* Python values as JSON text, compact and in UTF-8.
 *
 * Written here: None, bool, int, float, str, list, tuple and dict with keys of str, all of exactly
 * these types. Anything else in the value (subclasses, other keys, NaN, lone surrogates, nesting
 * without end) makes the whole value a matter of json.dumps(), which has the rules for it. */
#include "core.h"

#include <math.h>
#include <string.h>

#define DEPTH_MAX 500 /* deeper ones are json.dumps()'s, which knows Python's own limit */

/* What encode_* functions return: -1 with an exception, or */
enum { ENCODED, FOREIGN };

static int encode_value(struct text *text, PyObject *value, int depth);

/* Room for n more bytes. */
static int text_reserve(struct text *text, size_t n)
{
    if (text->capacity - text->len >= n)
        return 0;
    size_t capacity = text->capacity * 2;
    if (capacity - text->len < n)
        capacity = text->len + n;
    char *old = text->data != text->inline_data ? text->data : NULL;
    char *data = PyMem_Realloc(old, capacity);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (old == NULL)
        memcpy(data, text->inline_data, text->len);
    text->data = data;
    text->capacity = capacity;
    return 0;
}

static int text_put(struct text *text, const char *bytes, size_t len)
{
    if (text_reserve(text, len) < 0)
        return -1;
    memcpy(text->data + text->len, bytes, len);
    text->len += len;
    return ENCODED;
}

/* The escape of a character that cannot stand for itself; out has room for 6 bytes. */
static size_t escape(unsigned char c, char *out)
{
    static const char hex[] = "0123456789abcdef";
    static const char controls[] = "\b\t\n\f\r\"\\", names[] = "btnfr\"\\";
    const char *known = c != 0 ? strchr(controls, c) : NULL;
    out[0] = '\\';
    if (known != NULL) {
        out[1] = names[known - controls];
        return 2;
    }
    memcpy(out + 1, "u00", 3);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static int encode_string(struct text *text, PyObject *value)
{
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(value, &size);
    if (bytes == NULL) {
        PyErr_Clear(); /* a lone surrogate */
        return FOREIGN;
    }
    const size_t len = (size_t)size;
    if (text_reserve(text, 6 * len + 2) < 0)
        return -1;
    char *out = text->data + text->len;
    *out++ = '"';
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        if (c < 0x20 || c == '"' || c == '\\')
            out += escape(c, out);
        else
            *out++ = (char)c;
    }
    *out++ = '"';
    text->len = (size_t)(out - text->data);
    return ENCODED;
}

static int encode_long_int(struct text *text, PyObject *value)
{
    PyObject *string = PyObject_Str(value);
    if (string == NULL)
        return -1;
    Py_ssize_t len;
    const char *digits = PyUnicode_AsUTF8AndSize(string, &len);
    const int r = digits != NULL ? text_put(text, digits, (size_t)len) : -1;
    Py_DECREF(string);
    return r;
}

static int encode_int(struct text *text, PyObject *value)
{
    int overflow;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0)
        return encode_long_int(text, value);
    char digits[24];
    char *end = digits + sizeof(digits), *begin = end;
    unsigned long long rest =
        number < 0 ? 0ULL - (unsigned long long)number : (unsigned long long)number;
    do
        *--begin = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0)
        *--begin = '-';
    return text_put(text, begin, (size_t)(end - begin));
}

static int encode_float(struct text *text, PyObject *value)
{
    const double number = PyFloat_AsDouble(value);
    if (!isfinite(number))
        return FOREIGN;
    char *digits = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
    if (digits == NULL)
        return -1;
    const int r = text_put(text, digits, strlen(digits));
    PyMem_Free(digits);
    return r;
}

static int encode_list(struct text *text, PyObject *value, int depth)
{
    const bool is_list = PyList_CheckExact(value);
    const Py_ssize_t len = is_list ? PyList_Size(value) : PyTuple_Size(value);
    int r = text_put(text, "[", 1);
    for (Py_ssize_t i = 0; i < len && r == ENCODED; i++) {
        if (i > 0)
            r = text_put(text, ",", 1);
        if (r == ENCODED)
            r = encode_value(
                text, is_list ? PyList_GetItem(value, i) : PyTuple_GetItem(value, i), depth);
    }
    return r == ENCODED ? text_put(text, "]", 1) : r;
}

static int encode_dict(struct text *text, PyObject *value, int depth)
{
    PyObject *key, *item;
    Py_ssize_t position = 0;
    bool first = true;
    int r = text_put(text, "{", 1);
    while (r == ENCODED && PyDict_Next(value, &position, &key, &item)) {
        if (!PyUnicode_CheckExact(key))
            return FOREIGN;
        if (!first)
            r = text_put(text, ",", 1);
        first = false;
        if (r == ENCODED)
            r = encode_string(text, key);
        if (r == ENCODED)
            r = text_put(text, ":", 1);
        if (r == ENCODED)
            r = encode_value(text, item, depth);
    }
    return r == ENCODED ? text_put(text, "}", 1) : r;
}

static int encode_value(struct text *text, PyObject *value, int depth)
{
    if (PyUnicode_CheckExact(value))
        return encode_string(text, value);
    if (PyLong_CheckExact(value))
        return encode_int(text, value);
    if (value == Py_None)
        return text_put(text, "null", 4);
    if (value == Py_True)
        return text_put(text, "true", 4);
    if (value == Py_False)
        return text_put(text, "false", 5);
    if (PyFloat_CheckExact(value))
        return encode_float(text, value);
    if (depth == DEPTH_MAX)
        return FOREIGN;
    if (PyDict_CheckExact(value))
        return encode_dict(text, value, depth + 1);
    if (PyList_CheckExact(value) || PyTuple_CheckExact(value))
        return encode_list(text, value, depth + 1);
    return FOREIGN;
}

/* The text of json.dumps(value). */
static int encode_foreign(struct text *text, PyObject *value)
{
    PyObject *json = PyImport_ImportModule("json");
    if (json == NULL)
        return -1;
    PyObject *string = PyObject_CallMethod(json, "dumps", "O", value);
    Py_DECREF(json);
    if (string == NULL)
        return -1;
    Py_ssize_t len;
    const char *data = PyUnicode_AsUTF8AndSize(string, &len);
    text->len = 0;
    const int r = data != NULL ? text_put(text, data, (size_t)len) : -1;
    Py_DECREF(string);
    return r;
}

int text_encode(struct text *text, PyObject *value)
{
    text->data = text->inline_data;
    text->len = 0;
    text->capacity = sizeof(text->inline_data);
    const int r = encode_value(text, value, 0);
    return r == FOREIGN ? encode_foreign(text, value) : r;
}

void text_fini(struct text *text)
{
    if (text->data != text->inline_data)
        PyMem_Free(text->data);
}
