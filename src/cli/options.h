/* Options that several commands which append have in common. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/buf.h"
#include "cli/args.h"

/* --durability: whether it says "flush". -1: Usage. */
int options_durability(const char *text, bool *out_flush, plsm_error_t **err);

/* --tag: the values as the compact array that is stored; nothing is appended for no tags.
 * -1: Usage, or out of memory. */
int options_tags(const struct args *args, size_t option, struct buf *out_tags, plsm_error_t **err);

/* --create-size, which needs --create; *out_bytes stays as it is where it was not given.
 * -1: Usage. */
int options_create_size(const struct args *args, size_t create_size, size_t create,
    uint64_t *out_bytes, plsm_error_t **err);

#endif
