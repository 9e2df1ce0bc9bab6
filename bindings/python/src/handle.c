/* Native handles with a count of users, and the objects that hold one. */
#include "core.h"

struct handle *handle_new(void *native, void (*free)(void *native))
{
    struct handle *handle = PyMem_Malloc(sizeof(*handle));
    if (handle == NULL) {
        free(native);
        PyErr_NoMemory();
        return NULL;
    }
    *handle = (struct handle){.native = native, .free = free, .n_users = 1};
    return handle;
}

struct handle *handle_ref(struct handle *handle)
{
    handle->n_users++;
    return handle;
}

void handle_unref(struct handle *handle)
{
    if (handle == NULL || --handle->n_users > 0)
        return;
    handle->free(handle->native);
    PyMem_Free(handle);
}

struct handle *object_use(PyObject *self, const char *what)
{
    struct handle *handle = ((struct object *)self)->handle;
    if (handle == NULL) {
        error_raise_closed(what);
        return NULL;
    }
    return handle_ref(handle);
}

PyObject *object_close(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    struct object *object = (struct object *)self;
    struct handle *handle = object->handle;
    object->handle = NULL;
    handle_unref(handle);
    Py_RETURN_NONE;
}

PyObject *object_closed(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyBool_FromLong(((struct object *)self)->handle == NULL);
}

PyObject *object_enter(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    Py_INCREF(self);
    return self;
}

PyObject *object_exit(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    (void)args;
    (void)n_args;
    return PyObject_CallMethod(self, "close", NULL);
}

void object_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    handle_unref(((struct object *)self)->handle);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

int type_add(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **out_type)
{
    PyObject *type = PyType_FromSpecWithBases(spec, (PyObject *)base);
    if (type == NULL)
        return -1;
    *out_type = (PyTypeObject *)type;
    return PyModule_AddType(module, *out_type);
}
