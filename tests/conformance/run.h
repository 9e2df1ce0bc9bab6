/* plasmite-conformance: runs a manifest of conformance/ through the public C interface.
 *
 *     plasmite-conformance <path/to/manifest.json>
 *
 * Silent and 0 when everything is as expected; else 1, and the step that was not on stderr.
 *
 * Functions return 0, or -1 for one of two failures: an operation of the library failed
 * (run->failure has its error, which a step may expect), or something is not as the manifest says
 * (run->reason has the words, and the run ends). */
#ifndef CONFORMANCE_RUN_H
#define CONFORMANCE_RUN_H

#include "base/buf.h"
#include "base/scoped.h"
#include "base/view.h"
#include "plasmite.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct run {
    char *folder;  /* the manifest's, absolute */
    char *workdir; /* where the pools are */
    plsm_client_t *client;
    plsm_error_t *failure;
    struct buf reason;
};

struct step {
    struct view input;  /* an object */
    struct view expect; /* an object */
    const char *pool;   /* NULL: none is named */
};

/* Says why the run ends; -1. */
int unmet(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Deletes the working directory and makes it anew; name is the manifest's word for it. */
int workdir_make(struct run *run, const char *name);

/* Operations that are more than a call; the others are in ops.c. */
int op_spawn_poke(struct run *run, const struct step *step);
int op_retention_gap(struct run *run, const struct step *step);

/* Runs one operation by its name. */
int op_run(struct run *run, const char *name, const struct step *step);

SCOPED_DEFINE(plsm_pool_t *, plsm_pool_free)
SCOPED_DEFINE(plsm_stream_t *, plsm_stream_free)
SCOPED_DEFINE(plsm_error_t *, plsm_error_free)

static inline void plsm_buf_free_scoped(plsm_buf_t *buf)
{
    plsm_buf_free(buf);
}

static inline void text_free(char *text)
{
    free(text);
}
SCOPED_DEFINE(char *, text_free)

#endif
