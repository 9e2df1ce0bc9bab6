#include "json/filter.h"

#include "base/clock.h"
#include "base/limits.h"
#include "json/filter_jq.h"
#include "json/filter_native.h"

#include <stdlib.h>

struct filter {
    char *expression;
    struct native *native; /* NULL: the program */
    const struct jq_module *module;
    struct jq_program *program;
};

/* Checks the expression and, if that is wanted, reads it as a simple one. */
static int filter_begin(
    const char *expression, bool native, struct filter **out_filter, plsm_error_t **err)
{
    scoped(filter_free) struct filter *filter = NULL;

    if (strlen(expression) > LIMIT_RECORD_BYTES)
        return error_set(
            err, PLSM_ERROR_USAGE, "filter expression is longer than %u bytes", LIMIT_RECORD_BYTES);
    if (filter_check(expression, err) < 0)
        return -1;
    filter = calloc(1, sizeof(*filter));
    if (filter == NULL)
        return error_oom(err);
    filter->expression = strdup(expression);
    if (filter->expression == NULL ||
        (native && native_new(view_str(expression), &filter->native) < 0))
        return error_oom(err);
    *out_filter = filter;
    filter = NULL;
    return 0;
}

static int filter_make(
    const char *expression, bool native, struct filter **out_filter, plsm_error_t **err)
{
    scoped(filter_free) struct filter *filter = NULL;

    if (filter_begin(expression, native, &filter, err) < 0)
        return -1;
    if (filter->native == NULL &&
        filter_jq_compile(expression, &filter->module, &filter->program, err) < 0)
        return -1;
    *out_filter = filter;
    filter = NULL;
    return 0;
}

int filter_new_bounded(const char *expression, struct filter **out_filter, plsm_error_t **err)
{
    scoped(filter_free) struct filter *filter = NULL;

    if (filter_begin(expression, true, &filter, err) < 0)
        return -1;
    *out_filter = NULL;
    if (filter->native != NULL && native_is_bounded(filter->native)) {
        *out_filter = filter;
        filter = NULL;
    }
    return 0;
}

int filter_new(const char *expression, struct filter **out_filter, plsm_error_t **err)
{
    return filter_make(expression, true, out_filter, err);
}

int filter_new_jq(const char *expression, struct filter **out_filter, plsm_error_t **err)
{
    return filter_make(expression, false, out_filter, err);
}

void filter_free(struct filter *filter)
{
    if (filter == NULL)
        return;
    native_free(filter->native);
    if (filter->program != NULL)
        filter->module->free(filter->program);
    free(filter->expression);
    free(filter);
}

bool filter_is_native(const struct filter *filter)
{
    return filter->native != NULL;
}

void filter_interrupt(struct filter *filter)
{
    if (filter->program != NULL)
        filter->module->interrupt(filter->program);
}

static int filter_not_boolean(const struct filter *filter, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "filter expression must yield booleans");
    return error_hint(err, "'%s' yields something else; compare it: '(%s) == ...'",
        filter->expression, filter->expression);
}

static int filter_match_jq(
    struct filter *filter, const struct filter_message *message, plsm_error_t **err)
{
    char time[CLOCK_TEXT_MAX];
    const struct jq_message jq_message = {
        .seq = message->seq,
        .time = view_of(time, clock_format(message->time_ns, time)),
        .tags = message->tags,
        .data = message->data,
    };

    switch (filter->module->match(filter->program, &jq_message)) {
    case JQ_MATCH: return FILTER_MATCH;
    case JQ_NO_MATCH: return FILTER_NO_MATCH;
    case JQ_INTERRUPTED: return FILTER_INTERRUPTED;
    default: return filter_not_boolean(filter, err);
    }
}

int filter_match(struct filter *filter, const struct filter_message *message, plsm_error_t **err)
{
    if (filter->native == NULL)
        return filter_match_jq(filter, message, err);
    switch (native_match(filter->native, message)) {
    case NATIVE_MATCH: return FILTER_MATCH;
    case NATIVE_NO_MATCH: return FILTER_NO_MATCH;
    case NATIVE_OUT_OF_MEMORY: return error_oom(err);
    default: return filter_not_boolean(filter, err);
    }
}
