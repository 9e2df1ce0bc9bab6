/* The options that `follow` and `duplex` share. They stand first in both tables, so that their
 * indices are the same in both. */
#ifndef CLI_FOLLOW_OPTIONS_H
#define CLI_FOLLOW_OPTIONS_H

#include "cli/args.h"
#include "cli/follow.h"

enum {
    OPT_CREATE,
    OPT_TAIL,
    OPT_JSONL,
    OPT_TIMEOUT,
    OPT_FORMAT,
    OPT_SINCE,
    N_FOLLOW_OPTIONS,
};

extern const char *const follow_formats[];

#define FOLLOW_OPTIONS                                                                             \
    [OPT_CREATE] = {.name = "create", .summary = "Create the local pool if it does not exist"},    \
    [OPT_TAIL] = {.name = "tail",                                                                  \
        .letter = 'n',                                                                             \
        .kind = ARG_U64,                                                                           \
        .value = "TAIL",                                                                           \
        .fallback = "0",                                                                           \
        .summary = "Print the last TAIL matching messages first"},                                 \
    [OPT_JSONL] = {.name = "jsonl", .summary = "One message a line, same as --format jsonl"},      \
    [OPT_TIMEOUT] = {.name = "timeout",                                                            \
        .kind = ARG_TEXT,                                                                          \
        .value = "TIMEOUT",                                                                        \
        .summary = "Exit 124 when nothing is printed for so long: 5s",                             \
        .details = "Exit 124 when nothing is printed for so long, e.g. 500ms, 5s, 10m."},          \
    [OPT_FORMAT] = {.name = "format",                                                              \
        .kind = ARG_CHOICE,                                                                        \
        .value = "FORMAT",                                                                         \
        .fallback = "pretty",                                                                      \
        .choices = follow_formats,                                                                 \
        .summary = "Layout of messages"},                                                          \
    [OPT_SINCE] = {.name = "since",                                                                \
        .kind = ARG_TEXT,                                                                          \
        .value = "SINCE",                                                                          \
        .summary = "Print messages since then first: 10m, 7d, RFC 3339",                           \
        .details = "Print messages from SINCE on first: 10m, 2h, 7d (ago), or RFC 3339."}

/* Read these options into follow, in the order in which their errors are reported: the layout
 * (fallback: that of a command given neither --jsonl nor --format), then the rest. -1: Usage. */
int follow_set_format(
    struct follow *follow, const struct args *args, const char *fallback, plsm_error_t **err);
int follow_set_range(struct follow *follow, const struct args *args, plsm_error_t **err);

/* Adds the hint to the error about a pool that is missing: the command as it should have been
 * given, with the n options of `order` that were. Returns -1. */
int follow_hint_missing(const struct follow *follow, const struct args *args, const uint8_t *order,
    size_t n, plsm_error_t **err);

#endif
