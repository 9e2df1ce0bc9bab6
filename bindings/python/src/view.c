/* View: a message in place, in the pool's own memory.
 *
 * The bytes may be overwritten by writers at any time: use them, then ask valid(). They stay
 * mapped as long as the view, or a memoryview of it, lives, also when the stream was closed. */
#include "core.h"

#include <string.h>

#if PY_VERSION_HEX < 0x030B0000 && defined(Py_LIMITED_API)
#error "Python 3.10 has no buffers in its limited API: build without Py_LIMITED_API"
#endif

PyTypeObject *view_type;

struct view_object {
    PyObject_HEAD struct handle *stream;
    plsm_view_t view;
};

PyObject *view_new(struct handle *stream, const plsm_view_t *view)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(view_type, Py_tp_alloc);
    PyObject *self = allocate(view_type, 0);
    if (self == NULL)
        return NULL;
    ((struct view_object *)self)->stream = handle_ref(stream);
    ((struct view_object *)self)->view = *view;
    return self;
}

static int view_get_buffer(PyObject *self, Py_buffer *buffer, int flags)
{
    const plsm_view_t *view = &((struct view_object *)self)->view;
    void *data; /* without the const, which the buffer has as a flag */
    memcpy(&data, &view->data, sizeof(data));
    return PyBuffer_FillInfo(buffer, self, data, (Py_ssize_t)view->data_len, 1, flags);
}

/* Made by streams alone. */
static PyObject *view_refuse(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args;
    (void)keywords;
    return PyErr_Format(PyExc_TypeError, "%R comes from Stream.next_view()", type);
}

static PyObject *view_valid(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    const struct view_object *object = (struct view_object *)self;
    return PyBool_FromLong(library.stream_view_valid(object->stream->native, &object->view) == 1);
}

static PyObject *view_seq(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyLong_FromUnsignedLongLong(((struct view_object *)self)->view.seq);
}

static PyObject *view_time_ns(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyLong_FromUnsignedLongLong(((struct view_object *)self)->view.time_ns);
}

static PyObject *view_tags_json(PyObject *self, void *ignored)
{
    (void)ignored;
    const plsm_view_t *view = &((struct view_object *)self)->view;
    if (view->tags_len == 0)
        return PyBytes_FromString("[]");
    return PyBytes_FromStringAndSize((const char *)view->tags, (Py_ssize_t)view->tags_len);
}

static PyObject *view_is_lite3(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyBool_FromLong(((struct view_object *)self)->view.is_lite3 != 0);
}

static PyObject *view_data(PyObject *self, void *ignored)
{
    (void)ignored;
    return PyMemoryView_FromObject(self);
}

static void view_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    handle_unref(((struct view_object *)self)->stream);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef view_methods[] = {
    {"valid", view_valid, METH_NOARGS,
        "valid($self)\n--\n\nWhether all that was read of it until now was sound."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef view_attributes[] = {
    {"seq", view_seq, NULL, NULL, NULL},
    {"time_ns", view_time_ns, NULL, "Since 1970, UTC.", NULL},
    {"tags_json", view_tags_json, NULL, "The tags, a copy: a JSON array.", NULL},
    {"is_lite3", view_is_lite3, NULL, "Whether data is a Lite3 payload, not JSON.", NULL},
    {"data", view_data, NULL, "The payload: a memoryview, not a copy.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot view_slots[] = {
    {Py_tp_new, view_refuse},
    {Py_tp_dealloc, view_dealloc},
    {Py_tp_methods, view_methods},
    {Py_tp_getset, view_attributes},
    {Py_bf_getbuffer, view_get_buffer},
    {0, NULL},
};

static PyType_Spec view_spec = {
    .name = "plasmite._core.View",
    .basicsize = sizeof(struct view_object),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = view_slots,
};

int view_add(PyObject *module)
{
    return type_add(module, &view_spec, NULL, &view_type);
}
