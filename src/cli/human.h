/* Quantities and paths as people read them. */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H

#include "cli/context.h"
#include "cli/text.h"

/* "512", "64K", "1.5M", "3G". */
void human_bytes(struct text *text, uint64_t bytes);

/* "5s ago", "3m ago", ... "2w ago": at least a second. */
void human_age(struct text *text, uint64_t age_ns);

/* "1 204 331". */
void human_count(struct text *text, uint64_t number);

/* Steps of a thousand: "312 MB", "1.5 kB", "3.0 M/s", "0.05/s". */
void human_si(struct text *text, double number, const char *unit);

/* "0.4 s", "12 s", "3 m 05 s", "2 h 10 m". */
void human_seconds(struct text *text, double seconds);

/* A path inside the pool directory is shown relative to it, any other by its last part. */
const char *human_short_path(const char *path, const char *directory);

/* A directory: "./x/" under the current one, "~/x/" under home, else as given. */
void human_directory(struct text *text, const char *directory);

#endif
