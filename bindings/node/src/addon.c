/* The module: its classes, and what is common to them. */
#include "bindings/node/src/addon.h"

#include "bindings/node/src/value.h"
#include "bindings/node/src/watch.h"

#include <stdlib.h>

#define METHODS_MAX 20

static void (*class_release(enum addon_class class))(void *handle)
{
    /* The functions of the library free objects of their own types: called through void *, as
     * every finalizer of the addon's is. */
    switch (class) {
    case CLASS_CLIENT: return (void (*)(void *))library.client_free;
    case CLASS_POOL: return (void (*)(void *))library.pool_free;
    case CLASS_STREAM: return (void (*)(void *))library.stream_free;
    case CLASS_LITE3_STREAM: return (void (*)(void *))library.lite3_stream_free;
    case N_CLASSES: break;
    }
    return NULL;
}

/* Calls ----------------------------------------------------------------------------------------*/

bool call_read(napi_env env, napi_callback_info info, const char *name, struct call *out_call)
{
    size_t n_args = sizeof(out_call->args) / sizeof(out_call->args[0]);
    void *addon = NULL;
    void *box = NULL;

    *out_call = (struct call){.env = env};
    if (napi_get_cb_info(env, info, &n_args, out_call->args, &out_call->self, NULL) != napi_ok ||
        napi_get_instance_data(env, &addon) != napi_ok || addon == NULL)
        return false;
    napi_unwrap(env, out_call->self, &box);
    out_call->addon = addon;
    out_call->box = box;
    out_call->handle = out_call->box != NULL ? out_call->box->handle : NULL;
    if (name == NULL || out_call->handle != NULL)
        return true;
    error_usage(env, name);
    return false;
}

/* Boxes ----------------------------------------------------------------------------------------*/

static void box_empty(struct box *box)
{
    void *handle = box->handle;

    watch_close(box->watch);
    box->watch = NULL;
    box->handle = NULL;
    if (handle != NULL)
        class_release(box->class)(handle);
}

static void box_finalize(napi_env env, void *data, void *hint)
{
    (void)env;
    (void)hint;
    box_empty(data);
    free(data);
}

napi_value box_construct(napi_env env, napi_callback_info info)
{
    struct call call;
    napi_value target = NULL;

    if (!call_read(env, info, NULL, &call))
        return NULL;
    napi_get_new_target(env, info, &target);
    if (target == NULL) {
        napi_throw_type_error(env, NULL, "a class must be called with new");
        return NULL;
    }
    struct box *box = calloc(1, sizeof(*box));
    if (box == NULL || napi_wrap(env, call.self, box, box_finalize, NULL, NULL) != napi_ok) {
        free(box);
        napi_throw_error(env, NULL, "the object could not be made");
        return NULL;
    }
    return call.self;
}

void box_fill(struct box *box, enum addon_class class, void *handle)
{
    box->class = class;
    box->handle = handle;
}

napi_value box_new(struct call *call, enum addon_class class, void *handle)
{
    napi_value constructor;
    napi_value object = NULL;
    void *box = NULL;

    if (napi_get_reference_value(call->env, call->addon->classes[class], &constructor) == napi_ok &&
        napi_new_instance(call->env, constructor, 0, NULL, &object) == napi_ok &&
        napi_unwrap(call->env, object, &box) == napi_ok) {
        box_fill(box, class, handle);
        return object;
    }
    class_release(class)(handle);
    return NULL;
}

napi_value box_close(napi_env env, napi_callback_info info)
{
    struct call call;

    if (call_read(env, info, NULL, &call) && call.box != NULL)
        box_empty(call.box);
    return NULL;
}

/* Classes --------------------------------------------------------------------------------------*/

bool class_define(napi_env env, napi_value exports, enum addon_class class, const char *name,
    napi_callback constructor, const struct method *methods, size_t n_methods)
{
    napi_property_descriptor properties[METHODS_MAX];
    size_t n_properties = 0;
    void *addon = NULL;
    napi_value object;

    for (size_t i = 0; i < n_methods; i++)
        if (methods[i].exists)
            properties[n_properties++] = (napi_property_descriptor){
                .utf8name = methods[i].name,
                .method = methods[i].function,
                .attributes = napi_default_method,
            };
    return napi_get_instance_data(env, &addon) == napi_ok &&
           napi_define_class(env, name, NAPI_AUTO_LENGTH, constructor, NULL, n_properties,
               properties, &object) == napi_ok &&
           napi_create_reference(env, object, 1, &((struct addon *)addon)->classes[class]) ==
               napi_ok &&
           value_set(env, exports, name, object);
}

/* The module -----------------------------------------------------------------------------------*/

static void reference_delete(napi_env env, napi_ref reference)
{
    if (reference != NULL)
        napi_delete_reference(env, reference);
}

static void addon_finalize(napi_env env, void *data, void *hint)
{
    struct addon *addon = data;

    (void)hint;
    for (size_t i = 0; i < N_CLASSES; i++)
        reference_delete(env, addon->classes[i]);
    reference_delete(env, addon->receipt);
    reference_delete(env, addon->slab);
    reference_delete(env, addon->buffer);
    reference_delete(env, addon->buffer_from);
    free(addon->scratch);
    free(addon);
}

static bool receipt_define(napi_env env, napi_value exports, struct addon *addon)
{
    napi_value buffer;
    napi_value array;
    void *words = NULL;

    if (napi_create_arraybuffer(env, 2 * sizeof(uint64_t), &words, &buffer) != napi_ok ||
        napi_create_typedarray(env, napi_biguint64_array, 2, buffer, 0, &array) != napi_ok ||
        napi_create_reference(env, buffer, 1, &addon->receipt) != napi_ok)
        return false;
    addon->receipt_words = words;
    return value_set(env, exports, "receipt", array);
}

/* Keeps Buffer.from(), before anybody replaces it. */
static bool buffer_keep(napi_env env, struct addon *addon)
{
    napi_value global;
    napi_value buffer;
    napi_value from;

    return napi_get_global(env, &global) == napi_ok &&
           napi_get_named_property(env, global, "Buffer", &buffer) == napi_ok &&
           napi_get_named_property(env, buffer, "from", &from) == napi_ok &&
           napi_create_reference(env, buffer, 1, &addon->buffer) == napi_ok &&
           napi_create_reference(env, from, 1, &addon->buffer_from) == napi_ok;
}

static napi_value addon_install_guard(napi_env env, napi_callback_info info)
{
    plsm_error_t *error = NULL;

    (void)info;
    if (library.guard_install == NULL)
        return error_usage(
            env, "this libplasmite has no plsm_guard_install: a newer one is needed");
    return library.guard_install(&error) < 0 ? error_throw(env, error) : NULL;
}

static bool guard_define(napi_env env, napi_value exports)
{
    napi_value function;

    return napi_create_function(env, "installGuard", NAPI_AUTO_LENGTH, addon_install_guard, NULL,
               &function) == napi_ok &&
           value_set(env, exports, "installGuard", function);
}

/* The two names that Node looks for. */
NAPI_MODULE_EXPORT int32_t node_api_module_get_api_version_v1(void);
NAPI_MODULE_EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports);

int32_t node_api_module_get_api_version_v1(void)
{
    return NAPI_VERSION;
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
    const char *problem;

    if (!library_load(&problem)) {
        napi_throw_error(env, NULL, problem);
        return NULL;
    }
    struct addon *addon = calloc(1, sizeof(*addon));
    if (addon == NULL || napi_set_instance_data(env, addon, addon_finalize, NULL) != napi_ok) {
        free(addon);
        napi_throw_error(env, NULL, "out of memory");
        return NULL;
    }
    if (!buffer_keep(env, addon) || !receipt_define(env, exports, addon) ||
        !client_define(env, exports) || !pool_define(env, exports) ||
        !stream_define(env, exports) || !lite3_stream_define(env, exports) ||
        !guard_define(env, exports) || !constants_define(env, exports))
        return NULL;
    return exports;
}
