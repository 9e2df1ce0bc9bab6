/* Taking messages from streams, and waiting for them. */
#include "stream.h"

#define SLICE_MS 250u /* of a wait: a signal that another thread got is seen this late */

static int item_take(void *native, struct item *item, plsm_error_t **err)
{
    switch (item->form) {
    case FORM_LITE3: return library.lite3_stream_next(native, &item->frame, err);
    case FORM_VIEW: return library.stream_next_view(native, &item->view, err);
    case FORM_JSON:
    default: return library.stream_next(native, &item->json, err);
    }
}

/* Waits in plsm_stream_wait; without the GIL. */
static int wait_take(
    plsm_stream_t *stream, void *native, uint64_t wait_ms, struct item *item, plsm_error_t **err)
{
    int r = library.stream_wait(stream, wait_ms, err);
    if (r == 0)
        return STEP_NOTHING;
    if (r > 0)
        r = item_take(native, item, err);
    return r > 0 ? STEP_ITEM : r < 0 ? -1 : STEP_END;
}

/* One slice or window of waiting. */
static int take_step(struct stream *self, uint64_t wait_ms, struct item *item)
{
    struct handle *handle = handle_ref(self->base.handle);
    plsm_error_t *err = NULL;
    const bool windows = self->pool != NULL;
    plsm_stream_t *stream = windows ? NULL : stream_native(self, handle);
    int r;
    PyThreadState *const gil = PyEval_SaveThread();
    if (windows)
        r = window_take(handle->native, item, &err);
    else
        r = wait_take(stream, handle->native, wait_ms, item, &err);
    PyEval_RestoreThread(gil);
    if (r == STEP_ITEM)
        item->handle = handle;
    else
        handle_unref(handle);
    const int step = windows ? window_took(self, r, item, err) : r;
    if (r >= 0)
        return step;
    self->ended = err != NULL && err->kind == PLSM_ERROR_RETENTION_GAP;
    return error_raise(err);
}

/* STEP_ITEM, STEP_END; -1. Closed meanwhile: STEP_END. */
static int take_wait(struct stream *self, struct item *item)
{
    while (!self->ended && self->base.handle != NULL) {
        const int r = take_step(self, SLICE_MS, item);
        if (r == STEP_ITEM || r < 0)
            return r;
        if (r == STEP_END)
            self->ended = true;
        else if (PyErr_CheckSignals() < 0)
            return -1;
    }
    return STEP_END;
}

/* The message as an object. */
static PyObject *item_object(struct item *item)
{
    PyObject *object;
    if (item->form == FORM_VIEW)
        object = view_new(item->handle, &item->view);
    else if (item->form == FORM_LITE3)
        object = convert_frame(&item->frame);
    else
        object = convert_buffer(&item->json);
    handle_unref(item->handle);
    return object;
}

/* What a step has come to, as an object. */
static PyObject *step_object(int step, struct item *item)
{
    if (step < 0)
        return NULL;
    if (step == STEP_ITEM)
        return item_object(item);
    PyObject *object = step == STEP_END ? Py_None : Py_False;
    Py_INCREF(object);
    return object;
}

/* The form in which messages of the stream are given. */
static enum form stream_form(const struct stream *self)
{
    return self->is_lite3 ? FORM_LITE3 : FORM_JSON;
}

static PyObject *take_next(struct stream *self, enum form form)
{
    if (stream_enter(self) < 0)
        return NULL;
    struct item item = {0};
    item.form = form;
    PyObject *result = step_object(take_wait(self, &item), &item);
    stream_leave(self);
    return result;
}

PyObject *stream_next(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    struct stream *self = (struct stream *)object;
    return take_next(self, stream_form(self));
}

PyObject *stream_iter_next(PyObject *object)
{
    PyObject *result = stream_next(object, NULL);
    if (result != Py_None)
        return result;
    Py_DECREF(result);
    return NULL; /* the end of an iterator */
}

PyObject *stream_next_view(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    if (library_needs(stream_wait) < 0 || library_needs(stream_next_view) < 0)
        return NULL;
    return take_next((struct stream *)object, FORM_VIEW);
}

PyObject *stream_try_next(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    struct stream *self = (struct stream *)object;
    if (stream_enter(self) < 0)
        return NULL;
    PyObject *result = NULL;
    struct item item = {0};
    item.form = stream_form(self);
    if (self->pool != NULL) {
        library_lacks(self->is_lite3 ? "plsm_lite3_stream_base" : "plsm_stream_wait");
    } else {
        const int r = self->ended ? STEP_END : take_step(self, 0, &item);
        self->ended = self->ended || r == STEP_END;
        result = step_object(r, &item);
    }
    stream_leave(self);
    return result;
}
