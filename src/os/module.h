/* Modules: shared objects of ours that are loaded while the program runs.
 *
 * They carry the well-kept libraries that few commands need (libjq), so that every other command
 * starts with libc alone. A module is opened once and stays: what it brings with it may have
 * registered functions for the end of a thread or of the process.
 *
 * What a port must supply: the functions below. */
#ifndef OS_MODULE_H
#define OS_MODULE_H

#include <stdbool.h>
#include <stddef.h>

/* Opens the module `name` ("jq"). Looked for, in this order: in the folder of the running
 * program (a build tree), in ../lib/plasmite/ from there (an installed program), in the folder
 * of the library this code is part of and in plasmite/ below it, and in module_dir (where it was
 * meant to be installed).
 * NULL: out_problem says why, in the words of the system where it has some. */
void *os_module_open(
    const char *name, const char *module_dir, char *out_problem, size_t problem_size);

/* Keeps the library that this code is part of in memory for good, whoever unloads it: for what the
 * system may call at any time. Nothing where it is part of a program. */
void os_module_stay(void);

/* The address of a symbol; NULL if the module has none of this name. */
void *os_module_symbol(void *module, const char *name);

/* The path of a program that is installed among the modules: the first one in the places above
 * that may be run. False if there is none. */
bool os_module_program(const char *name, const char *module_dir, char *out_path, size_t path_size);

#endif
