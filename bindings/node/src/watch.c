/* The handle of libuv outlives its stream by a turn of the loop, and must be gone before the loop
 * is: hence it is an allocation of its own, and a hook closes it when the environment ends. */
#include "bindings/node/src/watch.h"

#include "bindings/node/src/value.h"

#include <stdlib.h>
#include <uv.h>

struct watch {
    uv_poll_t poll;
    napi_env env;
    napi_async_context context;
    napi_ref function; /* while something waits */
    napi_async_cleanup_hook_handle hook;
    struct watch **owner; /* where the stream keeps its pointer to this */
};

/* Takes the function out: it is called once at most. */
static napi_value watch_take(struct watch *watch)
{
    napi_value function = NULL;

    if (watch->function == NULL)
        return NULL;
    napi_get_reference_value(watch->env, watch->function, &function);
    napi_delete_reference(watch->env, watch->function);
    watch->function = NULL;
    return function;
}

/* The function may close the stream, and with it the watch: nothing of it is used afterwards. */
static void watch_call(napi_env env, struct watch *watch)
{
    napi_async_context context = watch->context;
    napi_value function = watch_take(watch);
    napi_value global;
    napi_value error;

    if (function == NULL || napi_get_global(env, &global) != napi_ok)
        return;
    if (napi_make_callback(env, context, global, function, 0, NULL, NULL) ==
            napi_pending_exception &&
        napi_get_and_clear_last_exception(env, &error) == napi_ok)
        napi_fatal_exception(env, error);
}

static void watch_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    napi_handle_scope scope;

    (void)status; /* whatever it was, the stream is looked at */
    (void)events;
    napi_env env = watch->env;
    uv_poll_stop(poll);
    if (napi_open_handle_scope(env, &scope) != napi_ok)
        return;
    watch_call(env, watch);
    napi_close_handle_scope(env, scope);
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;

    napi_remove_async_cleanup_hook(watch->hook);
    free(watch);
}

void watch_close(struct watch *watch)
{
    if (watch == NULL)
        return;
    *watch->owner = NULL;
    if (watch->function != NULL)
        napi_delete_reference(watch->env, watch->function);
    watch->function = NULL;
    napi_async_destroy(watch->env, watch->context);
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
}

/* The environment ends, and waits until watch_closed has removed the hook. */
static void watch_cleanup(napi_async_cleanup_hook_handle hook, void *data)
{
    struct watch *watch = data;

    (void)hook;
    if (!uv_is_closing((uv_handle_t *)&watch->poll))
        watch_close(watch);
}

static bool watch_fail(napi_env env, const char *message)
{
    napi_throw_error(env, NULL, message);
    return false;
}

static bool watch_new(napi_env env, int fd, struct watch **out_watch)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    uv_loop_t *loop;
    napi_value name = value_text(env, "plasmite:stream");

    if (watch == NULL || name == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok ||
        uv_poll_init(loop, &watch->poll, fd) != 0) {
        free(watch);
        return watch_fail(env, "the stream cannot be waited for");
    }
    watch->poll.data = watch;
    watch->env = env;
    watch->owner = out_watch;
    napi_add_async_cleanup_hook(env, watch_cleanup, watch, &watch->hook);
    napi_async_init(env, NULL, name, &watch->context);
    *out_watch = watch;
    return true;
}

bool watch_start(napi_env env, int fd, napi_value function, struct watch **in_out_watch)
{
    napi_valuetype type;

    if (napi_typeof(env, function, &type) != napi_ok || type != napi_function)
        return error_argument(env, "callback", "a function");
    if (*in_out_watch == NULL && !watch_new(env, fd, in_out_watch))
        return false;
    struct watch *watch = *in_out_watch;
    watch_take(watch);
    if (napi_create_reference(env, function, 1, &watch->function) != napi_ok ||
        uv_poll_start(&watch->poll, UV_READABLE, watch_ready) != 0)
        return watch_fail(env, "the stream cannot be waited for");
    return true;
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL)
        return;
    uv_poll_stop(&watch->poll);
    if (watch->function != NULL)
        napi_delete_reference(watch->env, watch->function);
    watch->function = NULL;
}
