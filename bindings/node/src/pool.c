/* Pool: appending and looking up. */
#include "bindings/node/src/addon.h"

#include "bindings/node/src/value.h"

#include <stdlib.h>

#define POOL "pool is null"

/* What an append takes. The tags are read first: their array may have getters, which are code of
 * the caller's that closes the pool, or gives the bytes away. */
struct append {
    struct call call;
    struct strings tags;
    struct bytes payload;
    uint32_t durability;
};

static bool append_read(napi_env env, napi_callback_info info, struct append *append)
{
    struct call *call = &append->call;

    if (!call_read(env, info, POOL, call) ||
        !value_strings(env, call->args[1], "tags", &append->tags))
        return false;
    call->handle = call->box->handle;
    if (value_durability(env, call->args[2], &append->durability) &&
        value_json(call->addon, env, call->args[0], "payload", &append->payload))
        return true;
    free(append->tags.memory);
    return false;
}

static napi_value pool_append_json(napi_env env, napi_callback_info info)
{
    struct append append;
    plsm_buf_t message = {0};
    plsm_error_t *error = NULL;

    if (!append_read(env, info, &append))
        return NULL;
    const int r =
        library.pool_append_json(append.call.handle, append.payload.data, append.payload.len,
            append.tags.items, append.tags.len, append.durability, &message, &error);
    free(append.tags.memory);
    return r == 0 ? value_take(append.call.addon, env, &message) : error_throw(env, error);
}

/* Where the array still has its memory: it may have been given to another thread. */
static bool receipt_usable(const struct call *call)
{
    napi_value buffer;
    bool detached = true;

    return napi_get_reference_value(call->env, call->addon->receipt, &buffer) == napi_ok &&
           napi_is_detached_arraybuffer(call->env, buffer, &detached) == napi_ok && !detached;
}

/* As appendJson, but the seq and the time are put into the module's receipt: nothing is made. */
static napi_value pool_append_receipt(napi_env env, napi_callback_info info)
{
    struct append append;
    uint64_t seq;
    uint64_t time_ns;
    plsm_error_t *error = NULL;

    if (!append_read(env, info, &append))
        return NULL;
    const int r =
        library.pool_append_json_seq(append.call.handle, append.payload.data, append.payload.len,
            append.tags.items, append.tags.len, append.durability, &seq, &time_ns, &error);
    free(append.tags.memory);
    if (r != 0)
        return error_throw(env, error);
    if (receipt_usable(&append.call)) {
        append.call.addon->receipt_words[0] = seq;
        append.call.addon->receipt_words[1] = time_ns;
    }
    return NULL;
}

static napi_value pool_append_lite3(napi_env env, napi_callback_info info)
{
    struct call call;
    struct bytes payload;
    uint32_t durability;
    uint64_t seq;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call) || !value_durability(env, call.args[1], &durability) ||
        !value_bytes(call.addon, env, call.args[0], "payload", &payload))
        return NULL;
    if (library.pool_append_lite3(
            call.handle, payload.data, payload.len, durability, &seq, &error) != 0)
        return error_throw(env, error);
    return value_bigint(env, seq);
}

/* Batches --------------------------------------------------------------------------------------*/

/* appendLines(text, tags, durability): each line is a message; they become visible at once. */
static size_t lines_count(const struct bytes *text)
{
    size_t n = 0;

    for (size_t i = 0; i < text->len; i++)
        n += text->data[i] == '\n';
    return n;
}

static void lines_split(const struct append *append, plsm_input_t *inputs, size_t n)
{
    const uint8_t *at = append->payload.data;

    for (size_t i = 0; i < n; i++) {
        const uint8_t *end = at;
        while (*end != '\n')
            end++;
        inputs[i] = (plsm_input_t){
            .json = at,
            .json_len = (size_t)(end - at),
            .tags = append->tags.items,
            .tags_len = append->tags.len,
        };
        at = end + 1;
    }
}

static napi_value pool_append_lines(napi_env env, napi_callback_info info)
{
    struct append append;
    uint64_t first_seq = 0;
    plsm_error_t *error = NULL;
    int r = -1;

    if (!append_read(env, info, &append))
        return NULL;
    const size_t n = lines_count(&append.payload);
    plsm_input_t *inputs = calloc(n + 1, sizeof(*inputs));
    if (inputs != NULL) {
        lines_split(&append, inputs, n);
        r = library.pool_append_batch(
            append.call.handle, inputs, n, append.durability, &first_seq, &error);
    }
    free(inputs);
    free(append.tags.memory);
    return r == 0 ? value_bigint(env, first_seq) : error_throw(env, error);
}

/* Looking up -----------------------------------------------------------------------------------*/

static napi_value pool_get_json(napi_env env, napi_callback_info info)
{
    struct call call;
    uint64_t seq;
    plsm_buf_t message = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call) || !value_u64(env, call.args[0], "seq", &seq))
        return NULL;
    if (library.pool_get_json(call.handle, seq, &message, &error) != 0)
        return error_throw(env, error);
    return value_take(call.addon, env, &message);
}

static napi_value pool_get_lite3(napi_env env, napi_callback_info info)
{
    struct call call;
    uint64_t seq;
    plsm_lite3_frame_t frame = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call) || !value_u64(env, call.args[0], "seq", &seq))
        return NULL;
    if (library.pool_get_lite3(call.handle, seq, &frame, &error) != 0)
        return error_throw(env, error);
    return value_frame(call.addon, env, &frame);
}

/* Streams --------------------------------------------------------------------------------------*/

static bool stream_options(struct call *call, plsm_stream_options_t *options)
{
    bool has_since;
    bool has_max;
    bool has_timeout;
    bool gap_is_error = false;

    *options = (plsm_stream_options_t){.struct_size = sizeof(*options)};
    if (!value_optional_u64(
            call->env, call->args[0], "sinceSeq", &options->since_seq, &has_since) ||
        !value_optional_u64(
            call->env, call->args[1], "maxMessages", &options->max_messages, &has_max) ||
        !value_optional_u64(
            call->env, call->args[2], "timeoutMs", &options->timeout_ms, &has_timeout))
        return false;
    if (!value_is_nothing(call->env, call->args[3]) &&
        napi_get_value_bool(call->env, call->args[3], &gap_is_error) != napi_ok)
        return error_argument(call->env, "errorOnGap", "a boolean");
    options->gap_policy = gap_is_error ? PLSM_GAP_ERROR : PLSM_GAP_CONTINUE;
    options->has_since = has_since;
    options->has_max = has_max;
    options->has_timeout = has_timeout;
    return true;
}

static napi_value pool_open_stream(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_stream_options_t options;
    plsm_stream_t *stream;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call) || !stream_options(&call, &options))
        return NULL;
    if (library.stream_open_ex(call.handle, &options, &stream, &error) != 0)
        return error_throw(env, error);
    return box_new(&call, CLASS_STREAM, stream);
}

static napi_value pool_open_lite3_stream(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_stream_options_t options;
    plsm_lite3_stream_t *stream;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call) || !stream_options(&call, &options))
        return NULL;
    if (library.lite3_stream_open_ex(call.handle, &options, &stream, &error) != 0)
        return error_throw(env, error);
    return box_new(&call, CLASS_LITE3_STREAM, stream);
}

/* The file -------------------------------------------------------------------------------------*/

static napi_value pool_path(napi_env env, napi_callback_info info)
{
    struct call call;

    if (!call_read(env, info, POOL, &call))
        return NULL;
    return value_text(env, library.pool_path(call.handle));
}

static napi_value pool_flush(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call))
        return NULL;
    if (library.pool_flush(call.handle, &error) != 0)
        return error_throw(env, error);
    return value_undefined(env);
}

static napi_value pool_info(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_pool_info_t facts = {.struct_size = sizeof(facts)};
    plsm_error_t *error = NULL;
    napi_value object;

    if (!call_read(env, info, POOL, &call))
        return NULL;
    if (library.pool_info(call.handle, &facts, &error) != 0)
        return error_throw(env, error);
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"fileSize", facts.file_size},
        {"ringOffset", facts.ring_offset},
        {"ringSize", facts.ring_size},
        {"indexCapacity", facts.index_capacity},
        {"usedBytes", facts.used_bytes},
        {"messages", facts.n_messages},
        {"oldestSeq", facts.oldest_seq},
        {"newestSeq", facts.newest_seq},
        {"oldestTimeNs", facts.oldest_time_ns},
        {"newestTimeNs", facts.newest_time_ns},
        {"nextSeq", facts.next_seq},
        {"createdNs", facts.created_ns},
    };
    if (napi_create_object(env, &object) != napi_ok)
        return NULL;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!value_set(env, object, fields[i].name, value_bigint(env, fields[i].value)))
            return NULL;
    return object;
}

static napi_value pool_verify(napi_env env, napi_callback_info info)
{
    struct call call;
    plsm_buf_t report = {0};
    plsm_error_t *error = NULL;

    if (!call_read(env, info, POOL, &call))
        return NULL;
    if (library.pool_verify(call.handle, &report, &error) != 0)
        return error_throw(env, error);
    return value_take(call.addon, env, &report);
}

bool pool_define(napi_env env, napi_value exports)
{
    const struct method methods[] = {
        {"appendJson", pool_append_json, true},
        {"appendReceipt", pool_append_receipt, library.pool_append_json_seq != NULL},
        {"appendLines", pool_append_lines, library.pool_append_batch != NULL},
        {"appendLite3", pool_append_lite3, library.pool_append_lite3 != NULL},
        {"getJson", pool_get_json, true},
        {"getLite3", pool_get_lite3, library.pool_get_lite3 != NULL},
        {"openStream", pool_open_stream, true},
        {"openLite3Stream", pool_open_lite3_stream, library.lite3_stream_open_ex != NULL},
        {"path", pool_path, library.pool_path != NULL},
        {"flush", pool_flush, library.pool_flush != NULL},
        {"info", pool_info, library.pool_info != NULL},
        {"verify", pool_verify, library.pool_verify != NULL},
        {"close", box_close, true},
    };

    return class_define(env, exports, CLASS_POOL, "Pool", box_construct, methods,
        sizeof(methods) / sizeof(methods[0]));
}
