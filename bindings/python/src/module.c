/* plasmite._core. */
#include "core.h"

static PyMethodDef functions[] = {
    {"load", library_load, METH_O, NULL},
    {"version", library_version, METH_NOARGS, NULL},
    {"install_guard", library_install_guard, METH_NOARGS,
        "install_guard($module)\n--\n\n"
        "Lets the process survive pool files that are cut off while they are open."},
    {"set_error_factory", error_set_factory, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "plasmite._core",
    .m_doc = "libplasmite's functions as classes; plasmite has them for use.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__core(void); /* what Python looks for */
PyMODINIT_FUNC PyInit__core(void)
{
    PyObject *module = PyModule_Create(&module_definition);
    if (module == NULL)
        return NULL;
    if (client_add(module) == 0 && pool_add(module) == 0 && stream_add(module) == 0 &&
        view_add(module) == 0)
        return module;
    Py_DECREF(module);
    return NULL;
}
