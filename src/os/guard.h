/* A guard against files that shrink while they are mapped.
 *
 * Touching a mapped page that the file no longer has raises SIGBUS, which would kill the
 * process. A program that installs the guard reads zeros there instead, and the mapping is
 * marked: the engine then answers Corrupt. Libraries never install it: the handler is the
 * program's to decide. Ranges are registered by the engine in any case. */
#ifndef OS_GUARD_H
#define OS_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Installs the handler for the whole process. 0, or -1 with errno. */
int guard_install(void);

/* Registers a mapping; *hit becomes true when a page of it was missing. Beyond the number of
 * ranges that can be kept the mapping just stays unguarded. */
void guard_add(void *start, size_t len, atomic_bool *hit);
void guard_remove(void *start);

#endif
