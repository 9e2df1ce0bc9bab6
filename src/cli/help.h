/* Help texts, made from the command tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/args.h"
#include "cli/text.h"

/* -h (and what a command without its arguments prints), or --help. The program itself has one
 * text for both. */
void help_render(const struct command *command, bool full, struct text *text);

#endif
