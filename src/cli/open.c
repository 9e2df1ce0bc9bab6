#include "cli/open.h"

#include "cli/report.h"
#include "cli/similar.h"

#include <stdio.h>

int open_busy(const char *path, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_BUSY, "pool is busy");
    return error_at_path(err, path);
}

int open_pool(const char *path, enum pool_mode mode, const struct pool_open_options *options,
    struct pool **out_pool, plsm_error_t **err)
{
    const int r = pool_open(path, mode, options, out_pool, err);
    return r == POOL_BUSY ? open_busy(path, err) : r;
}

int open_or_create(const char *path, uint64_t size_bytes, const struct pool_open_options *options,
    enum pool_mode mode, struct pool **out_pool, plsm_error_t **err)
{
    const struct pool_create_options create = {
        .size_bytes = size_bytes, .index_capacity = POOL_INDEX_DEFAULT};
    scoped(plsm_error_free) plsm_error_t *missing = NULL;
    scoped(plsm_error_free) plsm_error_t *exists = NULL;

    const int r = pool_open(path, mode, options, out_pool, &missing);
    if (r == POOL_BUSY)
        return open_busy(path, err);
    if (r == POOL_OK)
        return POOL_OK;
    if (missing->kind != PLSM_ERROR_NOT_FOUND) {
        if (err != NULL) {
            *err = missing;
            missing = NULL;
        }
        return -1;
    }
    if (ref_make_parents(path, err) < 0)
        return -1;
    if (pool_create(path, &create, &exists) < 0 && exists->kind != PLSM_ERROR_ALREADY_EXISTS) {
        if (err != NULL) {
            *err = exists;
            exists = NULL;
        }
        return -1;
    }
    return open_pool(path, mode, options, out_pool, err);
}

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
