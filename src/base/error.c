#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The public struct and what stands behind it. */
struct error {
    plsm_error_t public;
    char *hint;
    char *cause;
    int errnum;
    const char *file; /* where it was made, for a debugger */
    int line;
};

/* Used when there is no memory for a real one; never freed, never changed. */
static char error_oom_message[] = "out of memory";
static struct error error_static_oom = {
    .public = {.kind = PLSM_ERROR_INTERNAL, .message = error_oom_message},
};

static struct error *error_of(plsm_error_t **err)
{
    if (err == NULL || *err == NULL || *err == &error_static_oom.public)
        return NULL;
    return (struct error *)*err;
}

__attribute__((format(printf, 1, 0))) static char *error_format(const char *format, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        return NULL;
    return text;
}

void error_make(plsm_error_t **err, plsm_error_kind_t kind, int errnum, const char *file, int line,
    const char *format, ...)
{
    if (err == NULL)
        return;

    struct error *error = calloc(1, sizeof(*error));
    va_list args;
    va_start(args, format);
    char *message = error == NULL ? NULL : error_format(format, args);
    va_end(args);
    if (message == NULL) {
        free(error);
        *err = &error_static_oom.public;
        return;
    }

    error->public.kind = (int32_t)kind;
    error->public.message = message;
    error->errnum = errnum;
    error->file = file;
    error->line = line;
    *err = &error->public;
    if (errnum != 0)
        error_cause(err, "%s (os error %d)", strerrordesc_np(errnum), errnum);
}

plsm_error_kind_t error_kind_of(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR: return PLSM_ERROR_NOT_FOUND;
    case EEXIST: return PLSM_ERROR_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS: return PLSM_ERROR_PERMISSION;
    default: return PLSM_ERROR_IO;
    }
}

int error_at_path(plsm_error_t **err, const char *path)
{
    struct error *error = error_of(err);
    if (error != NULL && error->public.path == NULL)
        error->public.path = strdup(path); /* without memory the error just lacks its path */
    return -1;
}

int error_at_seq(plsm_error_t **err, uint64_t seq)
{
    struct error *error = error_of(err);
    if (error != NULL) {
        error->public.seq = seq;
        error->public.has_seq = 1;
    }
    return -1;
}

int error_at_offset(plsm_error_t **err, uint64_t offset)
{
    struct error *error = error_of(err);
    if (error != NULL) {
        error->public.offset = offset;
        error->public.has_offset = 1;
    }
    return -1;
}

int error_hint(plsm_error_t **err, const char *format, ...)
{
    struct error *error = error_of(err);
    if (error == NULL)
        return -1;
    va_list args;
    va_start(args, format);
    free(error->hint);
    error->hint = error_format(format, args);
    va_end(args);
    return -1;
}

int error_cause(plsm_error_t **err, const char *format, ...)
{
    struct error *error = error_of(err);
    if (error == NULL)
        return -1;
    va_list args;
    va_start(args, format);
    free(error->cause);
    error->cause = error_format(format, args);
    va_end(args);
    return -1;
}

const char *error_hint_of(const plsm_error_t *err)
{
    return err == NULL ? NULL : ((const struct error *)err)->hint;
}

const char *error_cause_of(const plsm_error_t *err)
{
    return err == NULL ? NULL : ((const struct error *)err)->cause;
}

int error_errno_of(const plsm_error_t *err)
{
    return err == NULL ? 0 : ((const struct error *)err)->errnum;
}

const char *error_kind_name(plsm_error_kind_t kind)
{
    switch (kind) {
    case PLSM_ERROR_INTERNAL: return "Internal";
    case PLSM_ERROR_USAGE: return "Usage";
    case PLSM_ERROR_NOT_FOUND: return "NotFound";
    case PLSM_ERROR_ALREADY_EXISTS: return "AlreadyExists";
    case PLSM_ERROR_BUSY: return "Busy";
    case PLSM_ERROR_PERMISSION: return "Permission";
    case PLSM_ERROR_CORRUPT: return "Corrupt";
    case PLSM_ERROR_IO: return "Io";
    case PLSM_ERROR_RETENTION_GAP: return "RetentionGap";
    }
    return "Internal";
}

void plsm_error_free(plsm_error_t *err)
{
    struct error *error = error_of(&err);
    if (error == NULL)
        return;
    free(error->public.message);
    free(error->public.path);
    free(error->hint);
    free(error->cause);
    free(error);
}
