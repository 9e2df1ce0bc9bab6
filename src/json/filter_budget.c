#include "json/filter_budget.h"

#include "base/clock.h"
#include "base/limits.h"
#include "os/helper.h"
#include "json/filter_wire.h"
#include "json/jq_module.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Longer expressions are not looked at in this process, beyond their tokens. */
#define BUDGET_SIMPLE_MAX 4096

/* How long a process whose stream is broken may take to end by itself. */
#define BUDGET_END_NS (200 * NS_PER_MS)

const struct filter_budget filter_budget_default = {
    .time_ms = 220, .memory_bytes = UINT64_C(64) << 20};

struct budgeted_filter {
    struct filter_budget budget;
    char *expression;
    struct filter *bounded; /* NULL: the helper */
    struct helper helper;   /* pid 0: not started, or ended */
};

/* --- when it ends before its answer --- */

static int budget_spent(const struct budgeted_filter *filter, plsm_error_t **err, const char *cause)
{
    error_set(err, PLSM_ERROR_USAGE, "filter is too expensive");
    error_cause(err, "%s", cause);
    return error_hint(err, "%s; use a simpler filter than '%s'", cause, filter->expression);
}

static int budget_time_spent(const struct budgeted_filter *filter, plsm_error_t **err)
{
    char cause[96];

    snprintf(cause, sizeof(cause), "it took more than %u ms", filter->budget.time_ms);
    return budget_spent(filter, err, cause);
}

/* libjq aborts without memory, where it does not use what it was not given; and it runs into the
 * end of its stack on values nested too deep. */
static int budget_memory_spent(const struct budgeted_filter *filter, plsm_error_t **err, int signo)
{
    char cause[128];
    const unsigned long long mib = filter->budget.memory_bytes >> 20;

    if (signo == 0 || signo == SIGABRT || signo == SIGSEGV || signo == SIGBUS)
        snprintf(cause, sizeof(cause), "it needed more than %llu MiB", mib);
    else
        snprintf(cause, sizeof(cause), "jq gave up on it (signal %d)", signo);
    return budget_spent(filter, err, cause);
}

/* Ends the helper because of `r`, what a transfer said, and says so. */
static int budget_end(struct budgeted_filter *filter, int r, plsm_error_t **err)
{
    const int errnum = errno;
    const int signo = helper_stop(&filter->helper, r == HELPER_GONE ? BUDGET_END_NS : 0);

    if (r < 0)
        return error_errno(err, errnum, "cannot talk to the filter's process");
    if (r == HELPER_LATE || signo == SIGPROF)
        return budget_time_spent(filter, err);
    return budget_memory_spent(filter, err, signo);
}

/* --- talking to it --- */

/* The error that an answer brings: texts, each with its NUL. */
static int answer_error(const struct wire_answer *answer, char *text, plsm_error_t **err)
{
    const char *parts[3] = {"", "", ""};
    size_t at = 0;

    for (size_t i = 0; i < 3 && at < answer->text_len; i++) {
        parts[i] = text + at;
        at += strlen(text + at) + 1;
    }
    error_set(err, (plsm_error_kind_t)answer->kind, "%s", parts[0]);
    if (parts[1][0] != 0)
        error_cause(err, "%s", parts[1]);
    if (parts[2][0] != 0)
        error_hint(err, "%s", parts[2]);
    return -1;
}

static int answer_take(struct budgeted_filter *filter, uint64_t deadline_ns, plsm_error_t **err)
{
    struct wire_answer answer;

    int r = helper_receive(&filter->helper, &answer, sizeof(answer), deadline_ns);
    if (r != HELPER_OK)
        return budget_end(filter, r, err);
    if (answer.result >= 0)
        return answer.result;
    if (answer.text_len > WIRE_TEXT_MAX)
        return budget_end(filter, HELPER_GONE, err);
    char *text = calloc(1, (size_t)answer.text_len + 1);
    if (text == NULL) {
        helper_stop(&filter->helper, 0);
        return error_oom(err);
    }
    r = helper_receive(&filter->helper, text, answer.text_len, deadline_ns);
    const int result =
        r == HELPER_OK ? answer_error(&answer, text, err) : budget_end(filter, r, err);
    free(text);
    return result;
}

static uint64_t budget_deadline(const struct budgeted_filter *filter)
{
    return clock_deadline_ns(4 * (uint64_t)filter->budget.time_ms);
}

/* Starts the helper and has it compile the expression. */
static int budget_begin(struct budgeted_filter *filter, plsm_error_t **err)
{
    const struct wire_start start = {
        .version = WIRE_VERSION,
        .time_ms = filter->budget.time_ms,
        .memory_bytes = filter->budget.memory_bytes,
        .expression_len = (uint32_t)strlen(filter->expression),
    };

    if (helper_start(WIRE_PROGRAM, jq_module_dir, &filter->helper) < 0) {
        const int errnum = errno;
        error_set(err, PLSM_ERROR_INTERNAL, "this filter needs a process, which cannot be started");
        error_hint(err, "install %s, or use a simple filter instead of '%s'", WIRE_PROGRAM,
            filter->expression);
        return error_cause(err, "%s: %s", WIRE_PROGRAM, strerror(errnum));
    }
    const uint64_t deadline_ns = budget_deadline(filter);
    int r = helper_send(&filter->helper, &start, sizeof(start), deadline_ns);
    if (r == HELPER_OK)
        r = helper_send(&filter->helper, filter->expression, start.expression_len, deadline_ns);
    if (r != HELPER_OK)
        return budget_end(filter, r, err);
    if (answer_take(filter, deadline_ns, err) < 0) {
        helper_stop(&filter->helper, 0);
        return -1;
    }
    return 0;
}

static int budget_ask(
    struct budgeted_filter *filter, const struct filter_message *message, plsm_error_t **err)
{
    const struct wire_message header = {
        .seq = message->seq,
        .time_ns = message->time_ns,
        .tags_len = message->tags.len,
        .data_len = message->data.len,
    };
    const uint64_t deadline_ns = budget_deadline(filter);

    int r = helper_send(&filter->helper, &header, sizeof(header), deadline_ns);
    if (r == HELPER_OK)
        r = helper_send(&filter->helper, message->tags.data, message->tags.len, deadline_ns);
    if (r == HELPER_OK)
        r = helper_send(&filter->helper, message->data.data, message->data.len, deadline_ns);
    return r == HELPER_OK ? answer_take(filter, deadline_ns, err) : budget_end(filter, r, err);
}

/* --- the filter --- */

int budgeted_filter_new(const char *expression, const struct filter_budget *budget,
    struct budgeted_filter **out_filter, plsm_error_t **err)
{
    scoped(budgeted_filter_free) struct budgeted_filter *filter = NULL;
    const size_t len = strlen(expression);

    if (len > LIMIT_RECORD_BYTES)
        return error_set(
            err, PLSM_ERROR_USAGE, "filter expression is longer than %u bytes", LIMIT_RECORD_BYTES);
    filter = calloc(1, sizeof(*filter));
    if (filter == NULL)
        return error_oom(err);
    filter->budget = *budget;
    filter->helper.fd = -1;
    filter->expression = strdup(expression);
    if (filter->expression == NULL)
        return error_oom(err); /* cppcheck-suppress memleak ; released by scope */
    if (len <= BUDGET_SIMPLE_MAX && filter_new_bounded(expression, &filter->bounded, err) < 0)
        return -1;
    if (filter->bounded == NULL && budget_begin(filter, err) < 0)
        return -1;
    *out_filter = filter;
    filter = NULL;
    return 0;
}

void budgeted_filter_free(struct budgeted_filter *filter)
{
    if (filter == NULL)
        return;
    helper_stop(&filter->helper, 0);
    filter_free(filter->bounded);
    free(filter->expression);
    free(filter);
}

int budgeted_filter_match(
    struct budgeted_filter *filter, const struct filter_message *message, plsm_error_t **err)
{
    if (filter->bounded != NULL)
        return filter_match(filter->bounded, message, err);
    if (filter->helper.pid == 0 && budget_begin(filter, err) < 0)
        return -1;
    return budget_ask(filter, message, err);
}

pid_t budgeted_filter_pid(const struct budgeted_filter *filter)
{
    return filter->helper.pid;
}
