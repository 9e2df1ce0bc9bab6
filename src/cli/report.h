/* What is said on stderr: errors, notices and the plain lines of a terminal.
 * Not a terminal: one line of compact JSON each. A terminal: text for people. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "base/error.h"
#include "cli/context.h"
#include "cli/text.h"

/* Prints the error, frees it and returns the exit code that its kind stands for. */
int report_error(const struct context *context, plsm_error_t *err);

/* The members of an error object, as a whole: {"kind":...,"message":...}. */
void report_error_json(struct text *text, const plsm_error_t *err);

/* Prints a notice. kind: "drop"; cmd: "follow"; pool: as the user wrote it; details: a JSON
 * object. Failures to write are ignored: nobody is left to be told. */
void report_notice(const struct context *context, const char *kind, const char *cmd,
    const char *pool, const char *message, struct view details);

/* A line for a terminal, with a coloured label where that is wanted: "warning: ...". */
void report_line(const struct context *context, const char *label, const char *message);

/* The hint becomes this one if the error has none. */
int report_hint(plsm_error_t **err, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

#endif
