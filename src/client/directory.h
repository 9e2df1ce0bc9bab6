/* The pools of a directory. */
#ifndef CLIENT_DIRECTORY_H
#define CLIENT_DIRECTORY_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>

/* Appends the names of the pools in a directory (files NAME.plasmite) to names, in byte order,
 * each with a NUL behind it. -1: NotFound (no such directory, if it must exist), Permission, Io, with
 * its path. */
int directory_names(const char *directory, bool must_exist, struct buf *names, plsm_error_t **err);

#endif
