/* Opening a local pool for a command: the advice that its users need. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "base/error.h"
#include "cli/args.h"
#include "cli/context.h"
#include "client/open.h"
#include "client/ref.h"

/* "Did you mean 'chat'? ", with the blank, where a pool of that name lies where this one was looked
 * for; else nothing. Returns out. */
#define OPEN_SIMILAR_MAX 96
const char *open_similar(const struct ref *ref, char out[static OPEN_SIMILAR_MAX]);

/* Hints for a pool that is not there, where the error has none: "pool create" for commands that
 * only read one pool. */
int open_hint_create(const struct context *context, const struct ref *ref, plsm_error_t **err);

/* The same for commands that have --create: with the command as it should have been given
 * (exact, a C string), or, where that is NULL, in general words. */
int open_hint_create_flag(const struct context *context, const struct ref *ref, const char *command,
    const char *exact, plsm_error_t **err);

#endif
