/* Whole JSON documents on stdout: pretty on a terminal or with --color always, else compact. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include "cli/context.h"
#include "cli/text.h"

/* Whether documents of this run are pretty, and so cannot be printed by copying. */
static inline bool json_out_is_pretty(const struct context *context)
{
    return context->stdout_tty || context->color_always;
}

/* Appends the compact document to out as stdout is to have it, with a line end. On a terminal
 * the control characters that JSON lets pass (text_control) are escaped; the document stays the
 * same one. -1: out of memory. */
int json_out_render(
    const struct context *context, struct view document, bool pretty, struct buf *out);

/* Writes the compact document in text. */
int json_out_document(const struct context *context, const struct text *text, plsm_error_t **err);

#endif
