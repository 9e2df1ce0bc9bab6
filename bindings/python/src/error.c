/* Errors of the library as exceptions. The classes are Python's (plasmite/_errors.py). */
#include "core.h"

#include <string.h>

static PyObject *error_factory;

PyObject *error_set_factory(PyObject *module, PyObject *factory)
{
    (void)module;
    Py_INCREF(factory);
    Py_XDECREF(error_factory);
    error_factory = factory;
    Py_RETURN_NONE;
}

static PyObject *none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

static PyObject *error_text(const char *text)
{
    return text != NULL ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace") : none();
}

static PyObject *error_path(const char *path)
{
    return path != NULL ? PyUnicode_DecodeFSDefault(path) : none();
}

static PyObject *error_number(uint64_t number, bool has)
{
    return has ? PyLong_FromUnsignedLongLong(number) : none();
}

/* The arguments of the factory; NULL where memory is short. */
static PyObject *error_arguments(const plsm_error_t *err)
{
    const char *hint = library.error_hint != NULL ? library.error_hint(err) : NULL;
    return Py_BuildValue("(iNNNNN)", (int)err->kind, error_text(err->message),
        error_path(err->path), error_number(err->seq, err->has_seq != 0),
        error_number(err->offset, err->has_offset != 0), error_text(hint));
}

static int error_raise_arguments(PyObject *arguments)
{
    if (arguments == NULL)
        return -1;
    PyObject *error = NULL;
    if (error_factory != NULL)
        error = PyObject_CallObject(error_factory, arguments);
    else
        PyErr_SetString(PyExc_RuntimeError, "plasmite._core is used without its package");
    Py_DECREF(arguments);
    if (error == NULL)
        return -1;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return -1;
}

int error_raise(plsm_error_t *err)
{
    if (err == NULL)
        return error_raise_text(PLSM_ERROR_INTERNAL, "");
    PyObject *arguments = error_arguments(err);
    library.error_free(err);
    return error_raise_arguments(arguments);
}

int error_raise_text(plsm_error_kind_t kind, const char *message)
{
    return error_raise_arguments(
        Py_BuildValue("(isOOOO)", (int)kind, message, Py_None, Py_None, Py_None, Py_None));
}

int error_raise_closed(const char *what)
{
    PyObject *message = PyUnicode_FromFormat("plasmite: %s is closed", what);
    if (message == NULL)
        return -1;
    /* None instead of a kind: Usage, but of the base class. */
    return error_raise_arguments(
        Py_BuildValue("(ONOOOO)", Py_None, message, Py_None, Py_None, Py_None, Py_None));
}
