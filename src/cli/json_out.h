/* Whole JSON documents on stdout: pretty on a terminal or with --color always, else compact. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include "cli/context.h"
#include "cli/text.h"

/* Writes the compact document in text, with a line end. */
int json_out_document(const struct context *context, const struct text *text, plsm_error_t **err);

/* Whether documents of this run are pretty, and so cannot be printed by copying. */
static inline bool json_out_is_pretty(const struct context *context)
{
    return context->stdout_tty || context->color_always;
}

#endif
