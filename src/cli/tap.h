/* One run of tap: a program, its output on the way into the pool and on to our own streams. */
#ifndef CLI_TAP_H
#define CLI_TAP_H

#include "base/buf.h"
#include "cli/context.h"
#include "cli/tap_lines.h"
#include "client/ref.h"
#include "engine/pool.h"
#include "os/sink.h"
#include "os/spawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAP_STDOUT, TAP_STDERR, N_TAP_STREAMS };

/* One of the program's two streams. What was read is stored, then passed on; before all of it is,
 * nothing more is read. */
struct tap_stream {
    int fd; /* -1: its end was reached */
    struct lines lines;
    uint8_t *block;
    size_t held; /* bytes at the front of the block that are not used yet */
    size_t len;  /* bytes in the block */
    size_t passed;
    bool passing; /* somebody wants to see it */
    bool terminal;
    struct sink sink;
};

struct tap {
    const struct context *context;
    struct ref ref;
    struct pool *pool;
    bool flush; /* durability */
    bool quiet;
    struct buf tags;
    char **argv; /* the program's */
    size_t n_argv;

    struct spawn child;
    uint64_t started_ns;
    struct tap_stream streams[N_TAP_STREAMS];
    bool ended;        /* the child has */
    bool stop;         /* nothing more is waited for */
    bool mid_line;     /* the terminal's cursor stands behind unfinished output */
    plsm_error_t *err; /* why capture ended early; the child is being ended then */
    uint64_t kill_ns;  /* when it is ended by force; 0: that was done, or is not needed */
};

/* Starts the program, captures and passes on its output, and waits for its end. Returns the exit
 * code, or -1. */
int tap_program(struct tap *tap, plsm_error_t **err);

/* The first message, ready before the program is. -1: Usage where the ring does not take it. */
int tap_prepare_start(const struct tap *tap, struct buf *out_data, plsm_error_t **err);

/* Appends messages and, if that was asked for, makes them durable. */
int tap_append(void *tap, const struct message *messages, size_t n_messages, plsm_error_t **err);

/* Appends one about the program itself. */
int tap_append_lifecycle(struct tap *tap, struct view data, plsm_error_t **err);
int tap_append_exit(struct tap *tap, int status, plsm_error_t **err);

/* What a terminal is told at the beginning and at the end. */
void tap_say_start(const struct tap *tap);
void tap_say_end(const struct tap *tap, int status);

#endif
