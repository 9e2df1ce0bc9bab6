/* What a terminal can show. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Characters in a line; 80 where nobody says. */
size_t terminal_columns(int fd);

/* Whether the user's locale says that characters beyond ASCII are shown. No locale is loaded. */
bool terminal_is_utf8(void);

#endif
