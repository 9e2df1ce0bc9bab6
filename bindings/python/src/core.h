/* plasmite._core: the classes of Python over the functions of libplasmite.
 *
 * The library is not linked: it is found and opened when the package is imported (library.c), so
 * that one build of this module serves every libplasmite. Functions that came after the first
 * twenty may be missing; what needs them raises a Usage error then.
 *
 * Rules of all files here:
 *   - Whatever may wait or touch a file runs without the GIL.
 *   - A native handle is freed by the last one who uses it (struct handle), so that close() in
 *     one thread is harmless to a call in another.
 *   - int functions return -1 with a Python exception set; the GIL is held unless said otherwise. */
#ifndef CORE_H
#define CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "plasmite.h"

#include <stdbool.h>

/* library.c: the functions of libplasmite ------------------------------------------------------*/

/* X(name, needed): plsm_NAME, and whether the module is of no use without it. */
#define LIBRARY_FUNCTIONS(X)                                                                       \
    X(error_free, true)                                                                            \
    X(buf_free, true)                                                                              \
    X(client_new, true)                                                                            \
    X(client_free, true)                                                                           \
    X(pool_create, true)                                                                           \
    X(pool_open, true)                                                                             \
    X(pool_free, true)                                                                             \
    X(pool_append_json, true)                                                                      \
    X(pool_get_json, true)                                                                         \
    X(stream_open_ex, true)                                                                        \
    X(stream_next, true)                                                                           \
    X(stream_free, true)                                                                           \
    X(pool_append_lite3, false)                                                                    \
    X(pool_get_lite3, false)                                                                       \
    X(lite3_frame_free, false)                                                                     \
    X(lite3_stream_open_ex, false)                                                                 \
    X(lite3_stream_next, false)                                                                    \
    X(lite3_stream_free, false)                                                                    \
    X(lite3_stream_base, false)                                                                    \
    X(version, false)                                                                              \
    X(build_version, false)                                                                        \
    X(error_hint, false)                                                                           \
    X(pool_open_ex, false)                                                                         \
    X(pool_path, false)                                                                            \
    X(pool_list, false)                                                                            \
    X(pool_delete, false)                                                                          \
    X(pool_info, false)                                                                            \
    X(pool_verify, false)                                                                          \
    X(pool_flush, false)                                                                           \
    X(pool_append_batch, false)                                                                    \
    X(pool_append_json_seq, false)                                                                 \
    X(stream_seek_last, false)                                                                     \
    X(stream_seek_time, false)                                                                     \
    X(stream_require_tags, false)                                                                  \
    X(stream_filter, false)                                                                        \
    X(stream_idle_timeout, false)                                                                  \
    X(stream_wait, false)                                                                          \
    X(stream_fd, false)                                                                            \
    X(stream_cancel, false)                                                                        \
    X(stream_next_view, false)                                                                     \
    X(stream_view_valid, false)                                                                    \
    X(stream_position, false)                                                                      \
    X(stream_dropped, false)                                                                       \
    X(stream_skip_damage, false)                                                                   \
    X(guard_install, false)

struct library {
#define LIBRARY_MEMBER(name, needed) __typeof__(&plsm_##name) name;
    LIBRARY_FUNCTIONS(LIBRARY_MEMBER)
#undef LIBRARY_MEMBER
};

/* All NULL until library_load(). */
extern struct library library;

/* load(path) of the module: OSError where the file is no libplasmite. */
PyObject *library_load(PyObject *module, PyObject *path);

/* version() of the module: what the library calls itself, or None. */
PyObject *library_version(PyObject *module, PyObject *ignored);

/* install_guard() of the module. */
PyObject *library_install_guard(PyObject *module, PyObject *ignored);

/* 0; -1 with a Usage error that says which function the library lacks. */
#define library_needs(function) (library.function != NULL ? 0 : library_lacks("plsm_" #function))
int library_lacks(const char *function);

/* error.c --------------------------------------------------------------------------------------*/

/* set_error_factory(f) of the module: f(kind, message, path, seq, offset, hint) makes the
 * exception that is raised. */
PyObject *error_set_factory(PyObject *module, PyObject *factory);

/* Raises what the library reported, and frees it. Returns -1. */
int error_raise(plsm_error_t *err);

/* Raises kind Usage as the base class, as closed handles do. Returns -1. */
int error_raise_closed(const char *what);

/* Raises an error of our own. Returns -1. */
int error_raise_text(plsm_error_kind_t kind, const char *message);

/* convert.c: arguments and results -------------------------------------------------------------*/

/* Puts the arguments of a METH_FASTCALL | METH_KEYWORDS method into out[], in the order of names
 * (ended by NULL); those left out become NULL. */
int convert_arguments(const char *method, PyObject *const *args, Py_ssize_t n_args,
    PyObject *keywords, const char *const *names, int n_needed, PyObject **out);

/* TypeError, or ValueError where it is negative or too large. */
int convert_u64(PyObject *value, const char *name, uint64_t *out);

/* The same; None or NULL (left out) leaves *out alone and sets *out_has to 0. */
int convert_optional_u64(PyObject *value, const char *name, uint64_t *out, uint32_t *out_has);

int convert_u32(PyObject *value, const char *name, uint32_t *out);

/* `payload` as immutable bytes, a new reference: what others may change meanwhile is copied. */
int convert_payload(PyObject *payload, PyObject **out);

/* Tags as the library takes them. */
#define TAGS_INLINE 8
struct tags {
    const char **data; /* NULL: none */
    size_t len;
    PyObject *sequence; /* keeps the strings alive */
    const char *inline_data[TAGS_INLINE];
};

/* tags: NULL, None, or an iterable of str. Released with tags_fini() in any case. */
int tags_init(struct tags *tags, PyObject *source);
void tags_fini(struct tags *tags);

/* (seq, timestamp_ns, flags, payload) of a frame, which is freed. */
PyObject *convert_frame(plsm_lite3_frame_t *frame);

/* The bytes of a buffer, which is freed. */
PyObject *convert_buffer(plsm_buf_t *buffer);

/* encode.c -------------------------------------------------------------------------------------*/

/* JSON text, on the caller's stack as long as it is short. */
struct text {
    char *data;
    size_t len, capacity;
    char inline_data[512];
};

/* What json.dumps(value) says, in other words at most: compact, and UTF-8 as it is. Values of the
 * plain types are written here, all others by json.dumps(). Released with text_fini(). */
int text_encode(struct text *text, PyObject *value);
void text_fini(struct text *text);

/* append.c: methods of Pool --------------------------------------------------------------------*/

PyObject *pool_append_json(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pool_append_bytes(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pool_append_value(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pool_append_lite3(
    PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pool_append_list(PyObject *self, PyObject *const *args, Py_ssize_t n_args);

/* handle.c -------------------------------------------------------------------------------------*/

/* A native handle, and how many hold it. The GIL guards the count. */
struct handle {
    void *native;
    void (*free)(void *native);
    int n_users;
};

/* Takes the native handle over; where memory is short it is freed, and NULL returned. */
struct handle *handle_new(void *native, void (*free)(void *native));
struct handle *handle_ref(struct handle *handle);
void handle_unref(struct handle *handle); /* NULL: nothing */

/* The types -----------------------------------------------------------------------------------*/

/* What Client, Pool and the streams begin with. */
struct object {
    PyObject_HEAD struct handle *handle; /* NULL: closed, or never opened */
};

/* A new reference to the handle of an object; NULL with the error `plasmite: WHAT is closed`. */
struct handle *object_use(PyObject *self, const char *what);
PyObject *object_close(PyObject *self, PyObject *ignored);
PyObject *object_closed(PyObject *self, void *ignored);
PyObject *object_enter(PyObject *self, PyObject *ignored);
PyObject *object_exit(PyObject *self, PyObject *const *args, Py_ssize_t n_args);
void object_dealloc(PyObject *self);

extern PyTypeObject *client_type, *pool_type, *stream_type, *lite3_stream_type, *view_type;

int client_add(PyObject *module);
int pool_add(PyObject *module);
int stream_add(PyObject *module);
int view_add(PyObject *module);

/* Makes a type, adds it to the module, and remembers it. base: NULL for none. */
int type_add(PyObject *module, PyType_Spec *spec, PyTypeObject *base, PyTypeObject **out_type);

/* What stream.next_view() gives: a message in place. */
PyObject *view_new(struct handle *stream, const plsm_view_t *view);

#endif
