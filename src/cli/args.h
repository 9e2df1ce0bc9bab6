/* The command line: one table a command, and the parser that reads argv by it.
 *
 * A table names every option, argument, conflict and sentence of help of its command; the
 * parser (args.c), the help texts (help.c), the completions and the manual have no other
 * source. The parser knows no command; it only borrows argv, which outlives everything. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value must look like. Everything beyond that is checked by the command. */
enum arg_kind {
    ARG_FLAG = 0, /* takes no value */
    ARG_TEXT,
    ARG_CHOICE, /* one of option.choices */
    ARG_U32,
    ARG_U64,
    ARG_REAL, /* a decimal floating-point number */
};

struct option {
    const char *name;  /* without dashes */
    const char *alias; /* an older spelling that help does not show, or NULL */
    char letter;       /* '\0': none */
    bool repeatable;
    bool hidden; /* from help */
    enum arg_kind kind;
    const char *value;          /* "TAIL": the placeholder in help and messages */
    const char *const *choices; /* ends with NULL */
    const char *fallback;       /* the default as help shows it, or NULL */
    const char *heading;        /* the group in help; NULL: "Options" */
    const char *summary;        /* one line, for -h */
    const char *details;        /* for --help; NULL: the summary */
};

struct positional {
    const char *value; /* as shown: "<POOL>", "[DATA]", "<NAMES>..." */
    bool required;
    bool many; /* takes all that follow; the last one only */
    enum arg_kind kind;
    const char *const *choices;
    const char *summary;
};

/* The options of the program itself. --help belongs to every command. */
enum {
    ARG_GLOBAL_DIR,
    ARG_GLOBAL_COLOR,
    ARG_GLOBAL_HELP,
    ARG_GLOBAL_VERSION,
    N_ARG_GLOBALS,
};
extern const struct option args_globals[N_ARG_GLOBALS];

/* Two options that exclude each other; ARG_POSITIONAL(i) stands for the i-th positional. The
 * message names them in this order. */
struct conflict {
    uint8_t option;
    uint8_t other;
};

#define ARG_POSITIONAL(i)   (0x80u | (i))
#define ARG_OPTIONS_MAX     24
#define ARG_POSITIONALS_MAX 2
#define ARG_CONFLICTS_MAX   2

struct context;
struct args;

struct command {
    const char *name;     /* "create" */
    const char *path;     /* "pool create": the words that lead here; "" for the program itself */
    const char *alias;    /* an older spelling that help does not show, or NULL */
    const char *summary;  /* one line */
    const char *about;    /* the paragraph of --help; NULL: the summary */
    const char *usage;    /* what follows the path in the usage line; NULL: made from the table */
    const char *notes;    /* the tail of -h and of --help, with its line ends */
    const char *examples; /* what --help adds at the very end */
    const char *missing_hint; /* for "required arguments were not provided"; NULL: the usual */
    const struct option *options;
    size_t n_options;
    const struct positional *positionals;
    size_t n_positionals;
    const struct conflict *conflicts;
    size_t n_conflicts;
    const struct command *const *children; /* ends with NULL; NULL: none */
    bool help_when_empty;                  /* nothing after the name: help on stderr, exit 2 */
    bool takes_rest;                       /* what follows "--" goes to args.rest, unread */
    bool own_globals;                      /* --dir means its own option, not the global one */

    /* Returns the exit code, or -1 with *err, which the caller reports. */
    int (*run)(struct context *context, const struct args *args, plsm_error_t **err);
};

/* One option or positional as given. */
struct arg {
    uint32_t count;   /* how often; for flags, 0 or 1 */
    const char *text; /* of the last */
    uint64_t number;  /* ARG_U32, ARG_U64 */
    double real;      /* ARG_REAL */
};

/* A value of a repeatable option or of the positional that takes many, in order. */
struct arg_item {
    uint8_t id; /* option index, or ARG_POSITIONAL(i) */
    const char *text;
};

struct args {
    const struct command *command;
    const char *spelling; /* the name by which the command was called */
    struct arg options[ARG_OPTIONS_MAX];
    struct arg positionals[ARG_POSITIONALS_MAX];
    struct arg_item *items;
    size_t n_items;
    char **rest; /* behind "--", where the command takes it */
    size_t n_rest;
    bool has_rest;
    struct arg dir; /* the global options */
    struct arg color;
};

enum {
    ARGS_RUN = 0,
    ARGS_HELP_LONG = 1,
    ARGS_HELP_SHORT = 2,
    ARGS_HELP_MISSING = 3, /* nothing was given where something is needed: help on stderr */
    ARGS_VERSION = 4,
};

/* Reads argv (argv[0] is skipped) by the tree under root. Except on -1 and before the first
 * command word, out_args->command says whose arguments, or whose help, it is.
 * -1: a Usage error, with the hint that says which help to read. args_fini() in every case. */
int args_parse(
    const struct command *root, int argc, char **argv, struct args *out_args, plsm_error_t **err);

void args_fini(struct args *args);

static inline void args_fini_scoped(struct args *args)
{
    args_fini(args);
}

static inline bool args_has(const struct args *args, size_t option)
{
    return args->options[option].count > 0;
}

/* The value, or fallback where the option was not given. */
static inline const char *args_text(const struct args *args, size_t option, const char *fallback)
{
    return args_has(args, option) ? args->options[option].text : fallback;
}

static inline uint64_t args_number(const struct args *args, size_t option, uint64_t fallback)
{
    return args_has(args, option) ? args->options[option].number : fallback;
}

/* Steps through the values with this id: start with *at = 0; NULL when there are no more. */
const char *args_next(const struct args *args, uint8_t id, size_t *at);

/* A Usage error with its hint: what a command says of arguments that do not go together. */
int args_refuse(plsm_error_t **err, const char *message, const char *hint);

/* "plasmite pool create", without the blank where the path is empty. At most ARG_PATH_MAX bytes
 * with the NUL. */
#define ARG_PATH_MAX 64
void args_command_path(const struct command *command, char out[static ARG_PATH_MAX]);

#endif
