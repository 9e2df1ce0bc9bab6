#include "cli/open.h"

#include "cli/report.h"
#include "cli/similar.h"

#include <stdio.h>

static int open_hint_path(plsm_error_t **err)
{
    return report_hint(
        err, "The path was not found. Check it, or use a pool name: names are looked up in --dir.");
}

const char *open_similar(const struct ref *ref, char out[static OPEN_SIMILAR_MAX])
{
    struct similar similar;
    out[0] = '\0';
    if (ref->kind == REF_NAME)
        similar_pools(&similar, ref->path);
    if (ref->kind == REF_NAME && similar.best[0] != '\0')
        snprintf(out, OPEN_SIMILAR_MAX, "Did you mean '%s'? ", similar.best);
    return out;
}

int open_hint_create(const struct context *context, const struct ref *ref, plsm_error_t **err)
{
    if (err == NULL || *err == NULL || (*err)->kind != PLSM_ERROR_NOT_FOUND)
        return -1;
    if (ref->kind == REF_PATH)
        return open_hint_path(err);
    char similar[OPEN_SIMILAR_MAX];
    return report_hint(err,
        "%sCreate it with `plasmite pool create %s`%s, or list what there is: "
        "`plasmite pool list`.",
        open_similar(ref, similar), ref->text, context->dir == NULL ? "" : " (and the same --dir)");
}

int open_hint_create_flag(const struct context *context, const struct ref *ref, const char *command,
    const char *exact, plsm_error_t **err)
{
    if (err == NULL || *err == NULL || (*err)->kind != PLSM_ERROR_NOT_FOUND)
        return -1;
    const char *dir = context->dir == NULL ? "" : " (and the same --dir)";
    char similar[OPEN_SIMILAR_MAX];
    if (ref->kind == REF_PATH)
        return report_hint(err,
            "The path was not found. Add --create to make a pool there (`plasmite %s <pool> "
            "--create`), or use a pool name: names are looked up in --dir.",
            command);
    if (exact == NULL)
        return report_hint(err,
            "%sThere is no such pool. Add --create to make it: `plasmite %s <pool> --create`%s.",
            open_similar(ref, similar), command, dir);
    return report_hint(err, "%sThere is no such pool. Add --create to make it; exact command: %s%s",
        open_similar(ref, similar), exact, dir);
}
