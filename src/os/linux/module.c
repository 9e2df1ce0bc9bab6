#include "os/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Cuts a path behind its last slash; false if it has none. */
static bool path_keep_dir(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL)
        return false;
    slash[1] = 0;
    return true;
}

static bool program_dir(char out[static PATH_MAX])
{
    const ssize_t len = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (len < 0)
        return false;
    out[len] = 0;
    return path_keep_dir(out);
}

static bool library_dir(char out[static PATH_MAX])
{
    Dl_info info;

    if (dladdr((const void *)&os_module_open, &info) == 0 || info.dli_fname == NULL ||
        strlen(info.dli_fname) >= PATH_MAX)
        return false;
    memcpy(out, info.dli_fname, strlen(info.dli_fname) + 1);
    return path_keep_dir(out);
}

/* Opens dir + below + name.so. Where there is such a file and it does not load, that is the
 * problem to tell of, rather than the places that have none. */
static void *module_try(
    const char *dir, const char *below, const char *name, char *out_problem, size_t problem_size)
{
    char path[PATH_MAX + 64];

    const int len = snprintf(path, sizeof(path), "%s%s%s.so", dir, below, name);
    if (len < 0 || (size_t)len >= sizeof(path) || access(path, F_OK) != 0)
        return NULL;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *problem = module == NULL ? dlerror() : NULL;
    if (problem != NULL && out_problem[0] == 0)
        snprintf(out_problem, problem_size, "%s", problem);
    return module;
}

void *os_module_open(
    const char *name, const char *module_dir, char *out_problem, size_t problem_size)
{
    char dir[PATH_MAX];
    void *module = NULL;

    out_problem[0] = 0;
    if (program_dir(dir)) {
        module = module_try(dir, "", name, out_problem, problem_size);
        if (module == NULL)
            module = module_try(dir, "../lib/plasmite/", name, out_problem, problem_size);
    }
    if (module == NULL && library_dir(dir)) {
        module = module_try(dir, "", name, out_problem, problem_size);
        if (module == NULL)
            module = module_try(dir, "plasmite/", name, out_problem, problem_size);
    }
    if (module == NULL)
        module = module_try(module_dir, "/", name, out_problem, problem_size);
    if (module == NULL && out_problem[0] == 0)
        snprintf(out_problem, problem_size, "%s.so is neither beside the program nor in %s", name,
            module_dir);
    return module;
}

void os_module_stay(void)
{
    Dl_info info;

    if (dladdr((const void *)&os_module_open, &info) == 0 || info.dli_fname == NULL)
        return;
    void *self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
    if (self != NULL)
        dlclose(self);
}

static bool program_try(
    const char *dir, const char *below, const char *name, char *out_path, size_t path_size)
{
    const int len = snprintf(out_path, path_size, "%s%s%s", dir, below, name);

    return len >= 0 && (size_t)len < path_size && access(out_path, X_OK) == 0;
}

bool os_module_program(const char *name, const char *module_dir, char *out_path, size_t path_size)
{
    char dir[PATH_MAX];

    if (program_dir(dir) && (program_try(dir, "", name, out_path, path_size) ||
                                program_try(dir, "../lib/plasmite/", name, out_path, path_size)))
        return true;
    if (library_dir(dir) && (program_try(dir, "", name, out_path, path_size) ||
                                program_try(dir, "plasmite/", name, out_path, path_size)))
        return true;
    return program_try(module_dir, "/", name, out_path, path_size);
}

void *os_module_symbol(void *module, const char *name)
{
    return dlsym(module, name);
}
