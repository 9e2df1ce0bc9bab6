/* doctor: what was found in each pool, and what was done about it. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/context.h"
#include "cli/progress.h"
#include "cli/text.h"
#include "engine/pool.h"

/* One pool's state. What cannot even be opened as a pool has its error instead of a report. */
struct checkup {
    const char *shown;    /* the name, for people */
    const char *pool_ref; /* as typed; the path for --all */
    const char *path;
    struct pool_report report;
    plsm_error_t *error;
    bool is_repaired;
    struct pool_repaired repaired; /* if it is */
    plsm_error_t *refused;         /* why a repair did not help; NULL if none was tried */
};

struct doctor {
    struct context *context;
    struct checkup *pools;
    size_t n_pools;
    size_t n_corrupt; /* those that are so in the end */
    size_t n_repaired;
    struct progress progress;
    struct progress_words words; /* of the progress */
    uint64_t bytes_before;       /* of what was done */
    uint64_t bytes_now;          /* of what is being done */
    bool repair;                 /* asked for */
    bool all;
};

/* Whether there was damage; it may be repaired by now. */
static inline bool checkup_is_damaged(const struct checkup *checkup)
{
    return checkup->error != NULL || checkup->report.n_issues > 0;
}

static inline bool checkup_is_corrupt(const struct checkup *checkup)
{
    return checkup_is_damaged(checkup) && !checkup->is_repaired;
}

/* The whole answer as compact JSON; as a line a pool; as people read it. */
void doctor_show_json(const struct doctor *doctor, struct text *text);
void doctor_show_lines(const struct doctor *doctor, struct text *text);
void doctor_show_people(const struct doctor *doctor, struct text *text);

/* What to do about a corrupt pool, as a sentence. */
void doctor_advice(const struct checkup *checkup, struct text *text);

#endif
