/* Stream and Lite3Stream: reading in order. */
#include "bindings/node/src/addon.h"

#include "bindings/node/src/value.h"
#include "bindings/node/src/watch.h"

#include <stdlib.h>

#define STREAM "stream is null"

/* The stream of a call, which JavaScript may have closed since the call was read. Messages of both
 * forms are waited for and selected alike. */
static plsm_stream_t *stream_of(const struct call *call)
{
    void *handle = call->box->handle;

    return call->box->class == CLASS_LITE3_STREAM ? library.lite3_stream_base(handle) : handle;
}

/* Waits, and with it the whole thread; null when the stream has ended. */
static napi_value stream_next_json(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_buf_t message = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call))
        return NULL;
    switch (library.stream_next(call.handle, &message, &error)) {
    case 1: return value_take(call.addon, env, &message);
    case 0: return value_null(env);
    default: return error_throw(env, error);
    }
}

/* Where it starts, and what it lets through ----------------------------------------------------*/

static napi_value stream_seek_last(napi_env env, napi_callback_info info)
{
    struct call call;
    uint64_t n_messages;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call) || !value_u64(env, call.args[0], "last", &n_messages))
        return NULL;
    if (library.stream_seek_last(stream_of(&call), n_messages, &error) != 0)
        return error_throw(env, error);
    return value_undefined(env);
}

static napi_value stream_seek_time(napi_env env, napi_callback_info info)
{
    struct call call;
    uint64_t time_ns;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call) ||
        !value_u64(env, call.args[0], "sinceTime", &time_ns))
        return NULL;
    if (library.stream_seek_time(stream_of(&call), time_ns, &error) != 0)
        return error_throw(env, error);
    return value_undefined(env);
}

static napi_value stream_require_tags(napi_env env, napi_callback_info info)
{
    struct call call;
    struct strings tags;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call) || !value_strings(env, call.args[0], "tags", &tags))
        return NULL;
    const int r = library.stream_require_tags(stream_of(&call), tags.items, tags.len, &error);
    free(tags.memory);
    return r == 0 ? value_undefined(env) : error_throw(env, error);
}

static napi_value stream_filter(napi_env env, napi_callback_info info)
{
    struct call call;
    char *expression;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call) ||
        !value_string(env, call.args[0], "where", &expression))
        return NULL;
    const int r = library.stream_filter(stream_of(&call), expression, &error);
    free(expression);
    return r == 0 ? value_undefined(env) : error_throw(env, error);
}

/* Without waiting ------------------------------------------------------------------------------*/

/* take(n): up to n messages that are there, a line each in one Buffer; undefined: none yet; null:
 * the stream has ended. */
static napi_value stream_take(napi_env env, napi_callback_info info)
{
    struct call call;
    uint64_t n_messages;
    plsm_buf_t lines = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call) ||
        !value_u64(env, call.args[0], "maxMessages", &n_messages))
        return NULL;
    switch (library.stream_wait(stream_of(&call), 0, &error)) {
    case 0: return value_undefined(env);
    case 1: break;
    default: return error_throw(env, error);
    }
    switch (library.stream_next_batch(call.handle, n_messages, &lines, NULL, &error)) {
    case 1: return value_take(call.addon, env, &lines);
    case 0: return value_null(env);
    default: return error_throw(env, error);
    }
}

/* watch(callback): calls it once, when take() is worth another try. */
static napi_value stream_watch(napi_env env, napi_callback_info info)
{
    struct call call;
    int fd = -1;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call))
        return NULL;
    if (library.stream_fd(stream_of(&call), &fd, &error) != 0)
        return error_throw(env, error);
    return watch_start(env, fd, call.args[0], &call.box->watch) ? value_undefined(env) : NULL;
}

static napi_value stream_unwatch(napi_env env, napi_callback_info info)
{
    struct call call;

    if (call_read(env, info, NULL, &call) && call.box != NULL)
        watch_stop(call.box->watch);
    return NULL;
}

static napi_value stream_position(napi_env env, napi_callback_info info)
{
    struct call call;

    if (!call_read(env, info, STREAM, &call))
        return NULL;
    return value_bigint(env, library.stream_position(stream_of(&call)));
}

static napi_value stream_dropped(napi_env env, napi_callback_info info)
{
    struct call call;

    if (!call_read(env, info, STREAM, &call))
        return NULL;
    return value_bigint(env, library.stream_dropped(stream_of(&call)));
}

static bool can_poll(void)
{
    return library.stream_fd != NULL && library.stream_wait != NULL;
}

bool stream_define(napi_env env, napi_value exports)
{
    const bool can_wait = can_poll() && library.stream_next_batch != NULL;
    const struct method methods[] = {
        {"nextJson", stream_next_json, true},
        {"seekLast", stream_seek_last, library.stream_seek_last != NULL},
        {"seekTime", stream_seek_time, library.stream_seek_time != NULL},
        {"requireTags", stream_require_tags, library.stream_require_tags != NULL},
        {"filter", stream_filter, library.stream_filter != NULL},
        {"take", stream_take, can_wait},
        {"watch", stream_watch, can_wait},
        {"unwatch", stream_unwatch, can_wait},
        {"position", stream_position, library.stream_position != NULL},
        {"dropped", stream_dropped, library.stream_dropped != NULL},
        {"close", box_close, true},
    };

    return class_define(env, exports, CLASS_STREAM, "Stream", box_construct, methods,
        sizeof(methods) / sizeof(methods[0]));
}

/* Lite3 ----------------------------------------------------------------------------------------*/

static napi_value lite3_stream_next(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_lite3_frame_t frame = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, STREAM, &call))
        return NULL;
    switch (library.lite3_stream_next(call.handle, &frame, &error)) {
    case 1: return value_frame(call.addon, env, &frame);
    case 0: return value_null(env);
    default: return error_throw(env, error);
    }
}

/* take(): the next message, if it is there; undefined: none yet; null: the stream has ended. */
static napi_value lite3_stream_take(napi_env env, napi_callback_info info)
{
    struct call call;

    if (!call_read(env, info, STREAM, &call))
        return NULL;
    if (library.stream_wait(stream_of(&call), 0, NULL) == 0)
        return value_undefined(env);
    return lite3_stream_next(env, info);
}

bool lite3_stream_define(napi_env env, napi_value exports)
{
    const bool has_base = library.lite3_stream_base != NULL;
    const bool can_wait = has_base && can_poll();
    const struct method methods[] = {
        {"next", lite3_stream_next, library.lite3_stream_next != NULL},
        {"seekLast", stream_seek_last, has_base && library.stream_seek_last != NULL},
        {"seekTime", stream_seek_time, has_base && library.stream_seek_time != NULL},
        {"requireTags", stream_require_tags, has_base && library.stream_require_tags != NULL},
        {"filter", stream_filter, has_base && library.stream_filter != NULL},
        {"take", lite3_stream_take, can_wait},
        {"watch", stream_watch, can_wait},
        {"unwatch", stream_unwatch, can_wait},
        {"position", stream_position, has_base && library.stream_position != NULL},
        {"dropped", stream_dropped, has_base && library.stream_dropped != NULL},
        {"close", box_close, true},
    };

    return class_define(env, exports, CLASS_LITE3_STREAM, "Lite3Stream", box_construct, methods,
        sizeof(methods) / sizeof(methods[0]));
}
