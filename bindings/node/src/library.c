#include "bindings/node/src/library.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct library library;

/* A reference, without which the linker would leave out a library that is called by table alone. */
__attribute__((used)) static void (*const library_link)(plsm_error_t *) = plsm_error_free;

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static char library_problem[PATH_MAX + 256];

/* The library that the environment names, or the one this addon is linked against. It is never
 * closed: its functions are called until the process ends. */
static void *library_open(void)
{
    const char *folder = getenv("PLASMITE_LIB_DIR");
    char path[PATH_MAX];

    if (folder != NULL && folder[0] != '\0') {
        const int length = snprintf(path, sizeof(path), "%s/" LIBRARY_FILE, folder);
        if (length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0)
            return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    }
    return dlopen(LIBRARY_FILE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

/* Sets a pointer to a function; ISO C has no conversion from an object's pointer. */
static bool library_find(void *handle, const char *name, void *out_function)
{
    void *symbol = dlsym(handle, name);
    memcpy(out_function, &symbol, sizeof(symbol));
    return symbol != NULL;
}

static void library_fill(void)
{
    void *handle = library_open();
    if (handle == NULL) {
        snprintf(library_problem, sizeof(library_problem), LIBRARY_FILE ": %s", dlerror());
        return;
    }
#define LIBRARY_NEED(name)                                                                         \
    if (!library_find(handle, "plsm_" #name, &library.name)) {                                     \
        snprintf(library_problem, sizeof(library_problem), LIBRARY_FILE " has no plsm_" #name);    \
        return;                                                                                    \
    }
#define LIBRARY_TRY(name) library_find(handle, "plsm_" #name, &library.name);
    LIBRARY_REQUIRED(LIBRARY_NEED)
    LIBRARY_OPTIONAL(LIBRARY_TRY)
}

bool library_load(const char **out_problem)
{
    pthread_once(&library_once, library_fill);
    *out_problem = library_problem;
    return library_problem[0] == '\0';
}
