/* Errors of the library as errors of JavaScript.
 *
 * The text has everything in it, because that is what other wrappers of this addon read:
 *     plasmite error: kind=NotFound; message=not found; path=/x/y.plasmite
 * The same facts are properties as well, exact where a text has a semicolon in it. */
#include "bindings/node/src/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
    [PLSM_ERROR_INTERNAL] = "Internal",
    [PLSM_ERROR_USAGE] = "Usage",
    [PLSM_ERROR_NOT_FOUND] = "NotFound",
    [PLSM_ERROR_ALREADY_EXISTS] = "AlreadyExists",
    [PLSM_ERROR_BUSY] = "Busy",
    [PLSM_ERROR_PERMISSION] = "Permission",
    [PLSM_ERROR_CORRUPT] = "Corrupt",
    [PLSM_ERROR_IO] = "Io",
    [PLSM_ERROR_RETENTION_GAP] = "RetentionGap",
};

static const char *const kind_messages[] = {
    [PLSM_ERROR_INTERNAL] = "internal error",
    [PLSM_ERROR_USAGE] = "usage error",
    [PLSM_ERROR_NOT_FOUND] = "not found",
    [PLSM_ERROR_ALREADY_EXISTS] = "already exists",
    [PLSM_ERROR_BUSY] = "busy",
    [PLSM_ERROR_PERMISSION] = "permission denied",
    [PLSM_ERROR_CORRUPT] = "corrupt",
    [PLSM_ERROR_IO] = "io error",
    [PLSM_ERROR_RETENTION_GAP] = "retention gap",
};

static int known_kind(int32_t kind)
{
    return kind >= PLSM_ERROR_INTERNAL && kind <= PLSM_ERROR_RETENTION_GAP ? kind
                                                                           : PLSM_ERROR_INTERNAL;
}

static const char *error_message(const plsm_error_t *error)
{
    if (error->message != NULL && error->message[0] != '\0')
        return error->message;
    return kind_messages[known_kind(error->kind)];
}

/* The text with everything in it; to be freed. */
static char *error_text(const plsm_error_t *error)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    fprintf(out, "plasmite error: kind=%s; message=%s", kind_names[known_kind(error->kind)],
        error_message(error));
    if (error->path != NULL)
        fprintf(out, "; path=%s", error->path);
    if (error->has_seq)
        fprintf(out, "; seq=%" PRIu64, error->seq);
    if (error->has_offset)
        fprintf(out, "; offset=%" PRIu64, error->offset);
    return fclose(out) == 0 ? text : NULL;
}

static void error_properties(
    napi_env env, napi_value object, const plsm_error_t *error, const char *hint)
{
    napi_value kind;

    if (napi_create_int32(env, known_kind(error->kind), &kind) == napi_ok)
        value_set(env, object, "kind", kind);
    value_set(env, object, "detail", value_text(env, error_message(error)));
    if (error->path != NULL)
        value_set(env, object, "path", value_text(env, error->path));
    if (error->has_seq)
        value_set(env, object, "seq", value_bigint(env, error->seq));
    if (error->has_offset)
        value_set(env, object, "offset", value_bigint(env, error->offset));
    if (hint != NULL)
        value_set(env, object, "hint", value_text(env, hint));
}

static void error_raise(napi_env env, const plsm_error_t *error, const char *hint)
{
    char *text = error_text(error);
    napi_value message = value_text(env, text != NULL ? text : "plasmite error: kind=Internal");
    napi_value object;

    free(text);
    if (message == NULL || napi_create_error(env, NULL, message, &object) != napi_ok)
        return;
    error_properties(env, object, error, hint);
    napi_throw(env, object);
}

napi_value error_throw(napi_env env, plsm_error_t *error)
{
    const plsm_error_t unknown = {.kind = PLSM_ERROR_INTERNAL};

    if (error == NULL)
        error_raise(env, &unknown, NULL);
    else
        error_raise(env, error, library.error_hint != NULL ? library.error_hint(error) : NULL);
    library.error_free(error);
    return NULL;
}

napi_value error_usage(napi_env env, const char *message)
{
    char text[128];

    snprintf(text, sizeof(text), "%s", message);
    error_raise(env, &(plsm_error_t){.kind = PLSM_ERROR_USAGE, .message = text}, NULL);
    return NULL;
}

bool error_argument(napi_env env, const char *name, const char *expectation)
{
    char text[128];

    snprintf(text, sizeof(text), "%s must be %s", name, expectation);
    napi_throw_type_error(env, NULL, text);
    return false;
}

static bool constant(napi_env env, napi_value object, const char *name, int number)
{
    napi_value value;

    return napi_create_int32(env, number, &value) == napi_ok && value_set(env, object, name, value);
}

bool constants_define(napi_env env, napi_value exports)
{
    napi_value durability;
    napi_value kinds;

    if (napi_create_object(env, &durability) != napi_ok ||
        napi_create_object(env, &kinds) != napi_ok)
        return false;
    if (!constant(env, durability, "Fast", PLSM_FAST) ||
        !constant(env, durability, "Flush", PLSM_FLUSH))
        return false;
    for (int kind = PLSM_ERROR_INTERNAL; kind <= PLSM_ERROR_RETENTION_GAP; kind++)
        if (!constant(env, kinds, kind_names[kind], kind))
            return false;
    return napi_object_freeze(env, durability) == napi_ok &&
           napi_object_freeze(env, kinds) == napi_ok &&
           value_set(env, exports, "Durability", durability) &&
           value_set(env, exports, "ErrorKind", kinds);
}
