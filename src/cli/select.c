#include "cli/select.h"

#include <stdlib.h>

static size_t select_count(const struct args *args, size_t option)
{
    return args->options[option].count;
}

int select_init(
    struct select *select, const struct args *args, size_t tag, size_t where, plsm_error_t **err)
{
    const char *value;
    size_t at = 0;

    select->tags = calloc(select_count(args, tag) + 1, sizeof(*select->tags));
    select->filters = calloc(select_count(args, where) + 1, sizeof(struct filter *));
    if (select->tags == NULL || select->filters == NULL)
        return error_oom(err);
    while ((value = args_next(args, (uint8_t)tag, &at)) != NULL)
        select->tags[select->n_tags++] = value;
    at = 0;
    while ((value = args_next(args, (uint8_t)where, &at)) != NULL) {
        if (filter_new(value, &select->filters[select->n_filters], err) < 0)
            return -1;
        select->n_filters++;
    }
    return 0;
}
