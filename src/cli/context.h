/* What every command is handed: the global options and what the streams are. */
#ifndef CLI_CONTEXT_H
#define CLI_CONTEXT_H

#include <stdbool.h>

struct progress;

struct context {
    const char *dir; /* --dir as given, or NULL */
    bool stdout_tty;
    bool stderr_tty;
    bool color;        /* colour on stdout */
    bool color_always; /* --color always: JSON goes out pretty even into a pipe */
    bool stderr_color;
    struct progress *progress; /* a line that what is said on stderr must erase first, or NULL */
};

#endif
