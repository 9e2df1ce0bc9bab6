/* "The exact command": a command line as it should have been given, for hints. */
#ifndef CLI_EXACT_H
#define CLI_EXACT_H

#include "cli/args.h"
#include "cli/text.h"

/* "plasmite NAME POOL --create": how these command lines begin. */
void exact_create(struct text *text, const struct args *args, const char *pool);

/* A blank and the token; quoted as a JSON string unless it is plain. */
void exact_token(struct text *text, const char *token);

/* "--name", if the flag was given; "--name VALUE" for each time an option was. */
void exact_option(struct text *text, const struct args *args, size_t option);

/* The text as a C string. NULL: out of memory. */
const char *exact_finish(struct text *text);

#endif
