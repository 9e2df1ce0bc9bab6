/* Which messages a reader wants: not its own, with all of its tags, and through all of its
 * filters, in this order. */
#ifndef CLIENT_SELECT_H
#define CLIENT_SELECT_H

#include "engine/pool.h"
#include "json/filter.h"

struct select {
    bool others_only;  /* nothing whose .data.from is this */
    struct view from;  /* borrowed */
    const char **tags; /* borrowed strings */
    size_t n_tags;
    struct filter **filters;
    size_t n_filters;
};

/* Frees the filters and both arrays, which are malloc's. */
void select_fini(struct select *select);

static inline void select_fini_scoped(struct select *select)
{
    select_fini(select);
}

/* Whether everything is wanted. */
static inline bool select_all(const struct select *select)
{
    return !select->others_only && select->n_tags == 0 && select->n_filters == 0;
}

/* 1: wanted, 0: not, or -1: Usage (a filter gave no boolean). The frame may be overwritten
 * meanwhile: the answer counts if frame_still_valid() afterwards. */
int select_match(struct select *select, const struct frame *frame, plsm_error_t **err);

#endif
