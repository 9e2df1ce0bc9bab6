/* Which messages a reader wants: with all of its tags, not its own, and through all of its filters,
 * in this order. */
#ifndef CLIENT_SELECT_H
#define CLIENT_SELECT_H

#include "base/buf.h"
#include "engine/pool.h"
#include "json/filter.h"

struct select {
    bool others_only;  /* nothing whose .data.from is this */
    struct view from;  /* borrowed */
    const char **tags; /* borrowed strings */
    size_t n_tags;
    struct filter **filters;
    size_t n_filters;
    struct buf data; /* of a message that is not stored as JSON */
};

/* Frees the filters, and the arrays, which are malloc's. */
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

/* 1: wanted, 0: not, or -1: Usage (a filter gave no boolean), Corrupt (no sound Lite3). The frame may be overwritten
 * meanwhile: the answer counts if frame_still_valid() afterwards. */
int select_match(struct select *select, const struct frame *frame, plsm_error_t **err);

#endif
