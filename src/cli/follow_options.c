#include "cli/follow_options.h"

#include "cli/exact.h"
#include "cli/open.h"
#include "client/value.h"

#include <string.h>

const char *const follow_formats[] = {"pretty", "jsonl", NULL};

int follow_set_format(
    struct follow *follow, const struct args *args, const char *fallback, plsm_error_t **err)
{
    if (args_has(args, OPT_JSONL) && args_has(args, OPT_FORMAT))
        return args_refuse(
            err, "conflicting output options", "Use either --format jsonl or --jsonl, not both.");
    follow->jsonl =
        args_has(args, OPT_JSONL) || strcmp(args_text(args, OPT_FORMAT, fallback), "jsonl") == 0;
    return 0;
}

int follow_set_range(struct follow *follow, const struct args *args, plsm_error_t **err)
{
    follow->create = args_has(args, OPT_CREATE);
    follow->tail = args_number(args, OPT_TAIL, 0);
    follow->has_since = args_has(args, OPT_SINCE);
    if (follow->has_since &&
        value_since(args_text(args, OPT_SINCE, NULL), clock_wall_ns(), &follow->since_ns, err) < 0)
        return -1;
    follow->has_timeout = args_has(args, OPT_TIMEOUT);
    follow->timeout_text = args_text(args, OPT_TIMEOUT, NULL);
    if (follow->has_timeout && value_duration(follow->timeout_text, &follow->timeout_ms, err) < 0)
        return -1;
    return 0;
}

int follow_hint_missing(const struct follow *follow, const struct args *args, const uint8_t *order,
    size_t n, plsm_error_t **err)
{
    scoped(text_fini) struct text exact = {0};

    exact_create(&exact, args, follow->ref.text);
    for (size_t i = 0; i < n; i++)
        exact_option(&exact, args, order[i]);
    return open_hint_create_flag(
        follow->context, &follow->ref, args->command->path, exact_finish(&exact), err);
}
