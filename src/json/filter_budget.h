/* Filters that somebody else has written: each match, and the compilation, ends within a budget
 * of time and memory, whatever the expression is and whatever the message holds.
 *
 * Expressions whose cost is known to be small are matched in this process. All others run in a
 * process of their own for each filter (plasmite-filter, a small program beside jq.so), which is
 * started with the first message and killed when a budget is used up: libjq can neither be told
 * to stop inside its functions nor survive being out of memory. docs/design/0008-filter-budget.md
 * says why it is done so.
 *
 * Callers that trust the expression (the command line on local pools) use json/filter.h, which
 * costs less. */
#ifndef JSON_FILTER_BUDGET_H
#define JSON_FILTER_BUDGET_H

#include "json/filter.h"

#include <sys/types.h>

/* What one match, or the compilation, may take. */
struct filter_budget {
    uint32_t time_ms;      /* of CPU; four times as much of real time, for a busy machine */
    uint64_t memory_bytes; /* all of the process's address space; it needs about 16 MiB itself */
};

/* 250 ms and 64 MiB. The CPU time leaves room for ending the process. */
extern const struct filter_budget filter_budget_default;

struct budgeted_filter;

/* Compiles an expression.
 *
 * Errors: those of filter_new; Usage "filter is too expensive" if that alone takes too much (its
 * cause says what of). About 1 us for a simple one, 40 ms for others. */
int budgeted_filter_new(const char *expression, const struct filter_budget *budget,
    struct budgeted_filter **out_filter, plsm_error_t **err);

/* Accepts NULL. */
void budgeted_filter_free(struct budgeted_filter *filter);
SCOPED_DEFINE(struct budgeted_filter *, budgeted_filter_free)

/* FILTER_MATCH, FILTER_NO_MATCH or -1: the errors of filter_match, and Usage "filter is too
 * expensive". After that one the filter may be used again: the next message starts a new process,
 * for 40 ms. Costs 17 to 45 us more than filter_match, and waits for the answer. */
int budgeted_filter_match(
    struct budgeted_filter *filter, const struct filter_message *message, plsm_error_t **err);

/* The process that matches now; 0 while there is none. */
pid_t budgeted_filter_pid(const struct budgeted_filter *filter);

#endif
