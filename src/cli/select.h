/* The options --tag and --where as a selection. */
#ifndef CLI_SELECT_H
#define CLI_SELECT_H

#include "cli/args.h"
#include "client/select.h"

/* Takes the values of the two options; compiles the filters. -1: Usage. */
int select_init(
    struct select *select, const struct args *args, size_t tag, size_t where, plsm_error_t **err);

#endif
