/* A guard against files that shrink while they are mapped.
 *
 * Touching a mapped page that the file no longer has raises SIGBUS, which would kill the
 * process. A program that installs the guard reads zeros there instead, and the mapping is
 * marked: the engine then answers Corrupt. The handler is the program's to decide, so the library
 * installs it only when it is asked to. Ranges are registered by the engine in any case. */
#ifndef OS_GUARD_H
#define OS_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Installs the handler for the whole process, where it is not yet. Faults that are no range's, and
 * signals that somebody sent, go to whatever stood there before, as if there were no guard. What is
 * installed afterwards stands in its place, until this is called again. 0, or -1 with errno
 * (ENOSPC: for the ninth time there is another handler). */
int guard_install(void);

/* Registers a mapping; *hit becomes true when a page of it was missing. Beyond the number of
 * ranges that can be kept (4096; a pool takes one, one that only reads two) the mapping just stays
 * unguarded. */
void guard_add(void *start, size_t len, atomic_bool *hit);
void guard_remove(void *start);

#endif
