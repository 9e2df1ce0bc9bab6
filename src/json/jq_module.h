/* What the jq module offers: libjq behind one table of functions.
 *
 * The module (jq.so) is opened by filter_jq.c when the first filter needs it. It is built for
 * this very version of the program; the number at the front is there to refuse a left-over. */
#ifndef JSON_JQ_MODULE_H
#define JSON_JQ_MODULE_H

#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JQ_MODULE_VERSION 1
#define JQ_MODULE_SYMBOL  "plasmite_jq_module"

enum {
    JQ_NO_MATCH = 0,
    JQ_MATCH = 1,
    JQ_NOT_BOOLEAN = 2,
    JQ_INTERRUPTED = 3,
};

struct jq_message {
    uint64_t seq;
    struct view time; /* RFC 3339 */
    struct view tags; /* compact JSON array; empty: no tags */
    struct view data;
};

struct jq_program;

/* The folder the module is meant to be installed in. */
extern const char jq_module_dir[];

struct jq_module {
    uint32_t version;

    /* Compiles an expression; NULL: out_problem has libjq's first message, cut to one line.
     * with_descrips: meta gets the tags under their old name as well. */
    struct jq_program *(*compile)(
        const char *expression, bool with_descrips, char *out_problem, size_t problem_size);
    int (*match)(struct jq_program *program, const struct jq_message *message);

    /* From a signal handler or another thread: a match that runs now, or the next one, ends
     * with JQ_INTERRUPTED. */
    void (*interrupt)(struct jq_program *program);
    void (*free)(struct jq_program *program);
};

#endif
