/* Filters: jq expressions that say of each message whether it is wanted.
 *
 * The expression sees the whole envelope, {"seq":..,"time":..,"meta":{"tags":[..]},"data":{..}}.
 * A message matches if the outputs of the expression are booleans, at least one of them true,
 * and no error is raised anywhere among them.
 *
 * Simple predicates (paths, comparisons, and/or/not, any, contains, ...) are compiled to a
 * matcher of our own that reads the message's bytes in place; everything else is given to libjq,
 * in a module that is loaded when the first such filter is made. Both give the same answer;
 * docs/design/0003-filters.md says what is simple and why. */
#ifndef JSON_FILTER_H
#define JSON_FILTER_H

#include "base/error.h"
#include "base/scoped.h"
#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

/* A compiled expression. For one thread at a time. */
struct filter;

/* What a filter looks at; borrowed for the call. */
struct filter_message {
    uint64_t seq;
    uint64_t time_ns;
    struct view tags; /* compact JSON array of strings; empty: no tags */
    struct view data; /* compact JSON */
};

enum {
    FILTER_NO_MATCH = 0,
    FILTER_MATCH = 1,
    FILTER_INTERRUPTED = 2, /* by filter_interrupt */
};

/* Compiles an expression.
 *
 * Errors: Usage "invalid filter expression" (syntax, an unknown function, a function that
 * filters do not have: the cause says what, the hint quotes the expression and, where it is
 * known, the place); Internal (the jq module is needed and cannot be loaded).
 * About 1 us for a simple one; libjq takes 20-40 ms. */
int filter_new(const char *expression, struct filter **out_filter, plsm_error_t **err);

/* Accepts NULL. */
void filter_free(struct filter *filter);
SCOPED_DEFINE(struct filter *, filter_free)

/* FILTER_MATCH, FILTER_NO_MATCH, FILTER_INTERRUPTED, or -1: Usage (an output is no boolean), Internal (memory).
 * A simple filter allocates nothing once it has seen a few messages. */
int filter_match(struct filter *filter, const struct filter_message *message, plsm_error_t **err);

/* Ends a match that runs now (in another thread, or below this signal handler) or the next one
 * with FILTER_INTERRUPTED: jq has loops, and a filter may hold one that does not end. A simple
 * filter always ends by itself and is not interrupted. Safe in signal handlers. */
void filter_interrupt(struct filter *filter);

/* Whether the expression is simple: matched without libjq. */
bool filter_is_native(const struct filter *filter);

/* Makes it only if it is simple and takes time in proportion to the message, whatever that holds;
 * else *out_filter is NULL. Loads nothing. Errors: those of filter_new that need no libjq. */
int filter_new_bounded(const char *expression, struct filter **out_filter, plsm_error_t **err);

/* Like filter_new, but never simple: for the tests that compare both. */
int filter_new_jq(const char *expression, struct filter **out_filter, plsm_error_t **err);

#endif
