/* How far long work has come: one line on stderr, rewritten in place.
 *
 *     feeding: 1 204 331 messages, 312 of 700 MB, 3.0 M/s, 12 s left
 *
 * Only where stderr is a terminal and the work takes longer than two seconds. At the end one line
 * stays, if any was ever shown:
 *
 *     fed 1 204 331 messages, 312 MB, 4.1 s, 294 k/s
 *
 * The line is erased before anything else is written there: report.c does so by the progress that
 * the context names. Steps are meant to be batches: each reads the clock once. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_DELAY_NS UINT64_C(2000000000)

/* Between two drawings. */
#define PROGRESS_INTERVAL_NS UINT64_C(200000000)

/* In what words it is told; static text. */
struct progress_words {
    const char *doing; /* "feeding" */
    const char *done;  /* "fed" */
    const char *noun;  /* "message": one of what is counted; NULL: only bytes are */
    bool by_bytes;     /* the pace that matters is that of bytes */
};

/* The zero state is one that shows nothing. */
struct progress {
    const struct progress_words *words;
    uint64_t total_bytes; /* 0: unknown */
    uint64_t start_ns;
    uint64_t due_ns; /* when it is drawn next */
    uint64_t n_done;
    uint64_t bytes_done;
    size_t width; /* of the line on the screen; 0: there is none */
    bool shown;   /* ever */
};

/* Begins now, to be shown or not: the caller knows whether stderr is a terminal, whether stdout is
 * one too on which lines appear meanwhile, and what --progress says. total_bytes 0: unknown. */
void progress_start(
    struct progress *progress, bool show, const struct progress_words *words, uint64_t total_bytes);

/* Bytes that are left to read, where the descriptor is a file; else 0. */
uint64_t progress_file_bytes(int fd);

/* How far it is now; both numbers only grow. */
void progress_step(struct progress *progress, uint64_t n_done, uint64_t bytes_done);

/* Erases the line; the next step may draw it again. Accepts NULL. */
void progress_hide(struct progress *progress);

/* The end: the line that stays. What was read counts as done. */
void progress_finish(struct progress *progress, uint64_t n_done);

/* The values of --progress. */
extern const char *const progress_choices[];

/* For tests: the two lines, at this time; the first at most `columns` long. */
void progress_put_line(
    const struct progress *progress, uint64_t now_ns, size_t columns, struct text *text);
void progress_put_end(const struct progress *progress, uint64_t now_ns, struct text *text);

/* For tests: a step at this time. */
void progress_step_at(
    struct progress *progress, uint64_t n_done, uint64_t bytes_done, uint64_t now_ns);

#endif
