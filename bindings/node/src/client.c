/* Client: where pools are found. */
#include "bindings/node/src/addon.h"

#include "bindings/node/src/value.h"

#include <stdlib.h>
#include <string.h>

#define CLIENT "client is null"

static napi_value client_construct(napi_env env, napi_callback_info info)
{
    struct call call;
    char *folder;
    plsm_client_t *client;
    plsm_error_t *error = NULL;
    void *box = NULL;

    if (box_construct(env, info) == NULL || !call_read(env, info, NULL, &call) ||
        !value_string(env, call.args[0], "poolDir", &folder))
        return NULL;
    const int r = library.client_new(folder, &client, &error);
    free(folder);
    if (r != 0)
        return error_throw(env, error);
    if (napi_unwrap(env, call.self, &box) != napi_ok) {
        library.client_free(client);
        return NULL;
    }
    box_fill(box, CLASS_CLIENT, client);
    return call.self;
}

static napi_value client_create_pool(napi_env env, napi_callback_info info)
{
    struct call call;
    char *ref;
    uint64_t size_bytes;
    bool has_size;
    plsm_pool_t *pool;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, CLIENT, &call) ||
        !value_optional_u64(env, call.args[1], "sizeBytes", &size_bytes, &has_size) ||
        !value_string(env, call.args[0], "poolRef", &ref))
        return NULL;
    const int r = library.pool_create(call.handle, ref, size_bytes, &pool, &error);
    free(ref);
    return r == 0 ? box_new(&call, CLASS_POOL, pool) : error_throw(env, error);
}

static napi_value client_open_pool(napi_env env, napi_callback_info info)
{
    struct call call;
    char *ref;
    plsm_pool_t *pool;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, CLIENT, &call) || !value_string(env, call.args[0], "poolRef", &ref))
        return NULL;
    const int r = library.pool_open(call.handle, ref, &pool, &error);
    free(ref);
    return r == 0 ? box_new(&call, CLASS_POOL, pool) : error_throw(env, error);
}

/* openWith(ref, create, sizeBytes, readOnly): create 0 never, 1 if it is missing, 2 always. */
static napi_value client_open_with(napi_env env, napi_callback_info info)
{
    struct call call;
    char *ref;
    uint64_t create;
    uint64_t size_bytes;
    bool has_size;
    bool read_only = false;
    plsm_pool_t *pool;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, CLIENT, &call) || !value_u64(env, call.args[1], "create", &create) ||
        !value_optional_u64(env, call.args[2], "sizeBytes", &size_bytes, &has_size) ||
        !value_string(env, call.args[0], "poolRef", &ref))
        return NULL;
    napi_get_value_bool(env, call.args[3], &read_only);
    const plsm_open_options_t options = {
        .struct_size = sizeof(options),
        .create = create <= UINT32_MAX ? (uint32_t)create : UINT32_MAX,
        .size_bytes = size_bytes,
        .read_only = read_only,
    };
    const int r = library.pool_open_ex(call.handle, ref, &options, &pool, &error);
    free(ref);
    return r == 0 ? box_new(&call, CLASS_POOL, pool) : error_throw(env, error);
}

static napi_value client_pool_dir(napi_env env, napi_callback_info info)
{
    struct call call;

    if (!call_read(env, info, CLIENT, &call))
        return NULL;
    return value_text(env, library.client_pool_dir(call.handle));
}

/* Names, each ended by a NUL, as an array of strings. */
static napi_value names_array(napi_env env, const plsm_buf_t *names)
{
    napi_value array;
    uint32_t n = 0;

    if (napi_create_array(env, &array) != napi_ok)
        return NULL;
    for (size_t at = 0; at < names->len;) {
        const char *name = (const char *)names->data + at;
        napi_value text = value_text(env, name);
        if (text == NULL || napi_set_element(env, array, n++, text) != napi_ok)
            return NULL;
        at += strlen(name) + 1;
    }
    return array;
}

static napi_value client_list_pools(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_buf_t names = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, CLIENT, &call))
        return NULL;
    if (library.pool_list(call.handle, &names, &error) != 0)
        return error_throw(env, error);
    napi_value array = names_array(env, &names);
    library.buf_free(&names);
    return array;
}

static napi_value client_delete_pool(napi_env env, napi_callback_info info)
{
    struct call call;
    char *ref;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, CLIENT, &call) || !value_string(env, call.args[0], "poolRef", &ref))
        return NULL;
    const int r = library.pool_delete(call.handle, ref, &error);
    free(ref);
    return r == 0 ? value_undefined(env) : error_throw(env, error);
}

bool client_define(napi_env env, napi_value exports)
{
    const struct method methods[] = {
        {"createPool", client_create_pool, true},
        {"openPool", client_open_pool, true},
        {"openWith", client_open_with, library.pool_open_ex != NULL},
        {"poolDir", client_pool_dir, library.client_pool_dir != NULL},
        {"listPools", client_list_pools, library.pool_list != NULL},
        {"deletePool", client_delete_pool, library.pool_delete != NULL},
        {"close", box_close, true},
    };

    return class_define(env, exports, CLASS_CLIENT, "Client", client_construct, methods,
        sizeof(methods) / sizeof(methods[0]));
}
