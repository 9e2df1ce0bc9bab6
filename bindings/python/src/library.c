/* Opens libplasmite and keeps the addresses of its functions, once in a process. */
#include "core.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

struct library library;

static const struct entry {
    const char *name;
    size_t offset;
    bool needed;
} entries[] = {
#define LIBRARY_ENTRY(name, needed) {"plsm_" #name, offsetof(struct library, name), needed},
    LIBRARY_FUNCTIONS(LIBRARY_ENTRY)
#undef LIBRARY_ENTRY
};

/* NULL, or the name of a needed function that is not there. */
static const char *load_functions(void *shared, struct library *out)
{
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        void *address = dlsym(shared, entries[i].name);
        if (address == NULL && entries[i].needed)
            return entries[i].name;
        memcpy((char *)out + entries[i].offset, &address, sizeof(address));
    }
    return NULL;
}

PyObject *library_load(PyObject *module, PyObject *path)
{
    (void)module;
    PyObject *encoded = NULL;
    if (PyUnicode_FSConverter(path, &encoded) == 0)
        return NULL;

    const char *name = PyBytes_AsString(encoded);
    struct library found;
    memset(&found, 0, sizeof(found));
    /* It stays open: its functions may run until the process ends. */
    void *shared = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    const char *missing = shared != NULL ? load_functions(shared, &found) : NULL;
    if (shared == NULL)
        PyErr_Format(PyExc_OSError, "%s", dlerror());
    else if (missing != NULL)
        PyErr_Format(PyExc_OSError, "%s: no libplasmite: %s is missing", name, missing);
    Py_DECREF(encoded);
    if (PyErr_Occurred() != NULL)
        return NULL;
    library = found;
    Py_RETURN_NONE;
}

PyObject *library_version(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    if (library.version == NULL)
        Py_RETURN_NONE;
    return PyUnicode_FromString(library.version());
}

PyObject *library_install_guard(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    plsm_error_t *err = NULL;
    if (library_needs(guard_install) < 0)
        return NULL;
    if (library.guard_install(&err) == 0)
        Py_RETURN_NONE;
    error_raise(err);
    return NULL;
}

int library_lacks(const char *function)
{
    char message[128];
    PyOS_snprintf(
        message, sizeof(message), "this libplasmite has no %s: a newer one is needed", function);
    return error_raise_text(PLSM_ERROR_USAGE, message);
}
