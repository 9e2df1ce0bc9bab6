#include "bindings/node/src/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAFE_INTEGER_MAX 9007199254740991.0 /* 2^53 - 1 */

/* What a call may leave in the scratch memory; more is freed when the next call comes. */
#define SCRATCH_KEPT_BYTES ((size_t)1 << 20)
#define SCRATCH_MIN_BYTES  ((size_t)4096)

/* Small Buffers are made in slabs: one Buffer that is kept holds on to no more than this. */
#define SLAB_BYTES      ((size_t)16384)
#define SLAB_BUFFER_MAX ((size_t)2048)

static bool out_of_memory(napi_env env)
{
    napi_throw_error(env, NULL, "out of memory");
    return false;
}

bool value_is_nothing(napi_env env, napi_value value)
{
    napi_valuetype type;

    return napi_typeof(env, value, &type) == napi_ok &&
           (type == napi_undefined || type == napi_null);
}

bool value_string(napi_env env, napi_value value, const char *name, char **out_text)
{
    size_t length;

    if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok)
        return error_argument(env, name, "a string");
    char *text = malloc(length + 1);
    if (text == NULL)
        return out_of_memory(env);
    napi_get_value_string_utf8(env, value, text, length + 1, &length);
    if (memchr(text, '\0', length) != NULL) {
        free(text);
        return error_argument(env, name, "a string without NUL characters");
    }
    *out_text = text;
    return true;
}

static bool negative(napi_env env, const char *name)
{
    return error_argument(env, name, "non-negative");
}

static bool bigint_u64(napi_env env, napi_value value, const char *name, uint64_t *out_number)
{
    int sign;
    size_t n_words = 1;
    uint64_t word = 0;

    if (napi_get_value_bigint_words(env, value, &sign, &n_words, &word) != napi_ok)
        return error_argument(env, name, "a bigint of 64 bits");
    if (sign != 0 && (word != 0 || n_words > 1))
        return negative(env, name);
    if (n_words > 1)
        return error_argument(env, name, "a bigint of 64 bits");
    *out_number = word;
    return true;
}

bool value_u64(napi_env env, napi_value value, const char *name, uint64_t *out_number)
{
    napi_valuetype type;
    double number;

    if (napi_typeof(env, value, &type) == napi_ok && type == napi_bigint)
        return bigint_u64(env, value, name, out_number);
    if (napi_get_value_double(env, value, &number) != napi_ok)
        return error_argument(env, name, "a number or bigint");
    if (number < 0)
        return negative(env, name);
    if (!(number <= SAFE_INTEGER_MAX) || number != floor(number))
        return error_argument(env, name, "a safe integer");
    *out_number = (uint64_t)number;
    return true;
}

bool value_optional_u64(
    napi_env env, napi_value value, const char *name, uint64_t *out_number, bool *out_there)
{
    *out_there = !value_is_nothing(env, value);
    *out_number = 0;
    return !*out_there || value_u64(env, value, name, out_number);
}

bool value_durability(napi_env env, napi_value value, uint32_t *out_durability)
{
    double number = 0;

    if (!value_is_nothing(env, value) &&
        (napi_get_value_double(env, value, &number) != napi_ok || !(number >= 0) ||
            number > UINT32_MAX || number != floor(number)))
        return error_argument(env, "durability", "Durability.Fast or Durability.Flush");
    *out_durability = (uint32_t)number;
    return true;
}

/* Makes room in the scratch memory; what was there is lost. */
static bool scratch_reserve(struct addon *addon, napi_env env, size_t size)
{
    if (addon->scratch_capacity >= size &&
        (addon->scratch_capacity <= SCRATCH_KEPT_BYTES || size > SCRATCH_KEPT_BYTES))
        return true;
    const size_t capacity = size < SCRATCH_MIN_BYTES ? SCRATCH_MIN_BYTES : size;
    free(addon->scratch);
    addon->scratch = malloc(capacity);
    addon->scratch_capacity = addon->scratch != NULL ? capacity : 0;
    return addon->scratch != NULL || out_of_memory(env);
}

/* A string's bytes, mostly in one call: it is only measured when it may not have fitted. */
static bool string_bytes(
    struct addon *addon, napi_env env, napi_value value, struct bytes *out_bytes)
{
    const size_t longest_character = 4;
    size_t length = 0;

    if (!scratch_reserve(addon, env, SCRATCH_MIN_BYTES))
        return false;
    napi_get_value_string_utf8(env, value, addon->scratch, addon->scratch_capacity, &length);
    if (length + longest_character >= addon->scratch_capacity) {
        napi_get_value_string_utf8(env, value, NULL, 0, &length);
        if (!scratch_reserve(addon, env, length + 1 + longest_character))
            return false;
        napi_get_value_string_utf8(env, value, addon->scratch, addon->scratch_capacity, &length);
    }
    *out_bytes = (struct bytes){(const uint8_t *)addon->scratch, length};
    return true;
}

/* Memory that other threads share is copied: the library reads its input more than once. */
static bool shared_bytes(
    struct addon *addon, napi_env env, napi_value buffer, struct bytes *in_out_bytes)
{
    bool is_own = false;

    napi_is_arraybuffer(env, buffer, &is_own);
    if (is_own || in_out_bytes->len == 0)
        return true;
    if (!scratch_reserve(addon, env, in_out_bytes->len))
        return false;
    memcpy(addon->scratch, in_out_bytes->data, in_out_bytes->len);
    in_out_bytes->data = (const uint8_t *)addon->scratch;
    return true;
}

bool value_bytes(
    struct addon *addon, napi_env env, napi_value value, const char *name, struct bytes *out_bytes)
{
    bool is_array = false;
    napi_typedarray_type element;
    napi_value buffer;
    void *data = NULL;
    size_t len = 0;

    napi_is_typedarray(env, value, &is_array);
    if (!is_array ||
        napi_get_typedarray_info(env, value, &element, &len, &data, &buffer, NULL) != napi_ok ||
        (element != napi_uint8_array && element != napi_uint8_clamped_array))
        return error_argument(env, name, "a Buffer");
    *out_bytes = (struct bytes){data != NULL ? data : (const uint8_t *)"", data != NULL ? len : 0};
    return shared_bytes(addon, env, buffer, out_bytes);
}

bool value_json(
    struct addon *addon, napi_env env, napi_value value, const char *name, struct bytes *out_bytes)
{
    napi_valuetype type;

    if (napi_typeof(env, value, &type) == napi_ok && type == napi_string)
        return string_bytes(addon, env, value, out_bytes);
    return value_bytes(addon, env, value, name, out_bytes);
}

/* The size of the strings of an array, with their ends. */
static bool strings_size(
    napi_env env, napi_value array, uint32_t n, const char *name, size_t *out_size)
{
    *out_size = 0;
    for (uint32_t i = 0; i < n; i++) {
        napi_value item;
        size_t length;
        if (napi_get_element(env, array, i, &item) != napi_ok)
            return false;
        if (napi_get_value_string_utf8(env, item, NULL, 0, &length) != napi_ok)
            return error_argument(env, name, "an array of strings");
        *out_size += length + 1;
    }
    return true;
}

/* Copies them; a getter may have made them other ones meanwhile, so nothing is believed. */
static bool strings_copy(napi_env env, napi_value array, uint32_t n, const char *name,
    struct strings *strings, size_t size)
{
    char *text = (char *)(strings->items + n);

    for (uint32_t i = 0; i < n; i++) {
        napi_value item;
        size_t length;
        if (napi_get_element(env, array, i, &item) != napi_ok)
            return false;
        if (size == 0 || napi_get_value_string_utf8(env, item, text, size, &length) != napi_ok)
            return error_argument(env, name, "an array of strings");
        if (memchr(text, '\0', length) != NULL)
            return error_argument(env, name, "strings without NUL characters");
        strings->items[i] = text;
        text += length + 1;
        size -= length + 1;
    }
    strings->len = n;
    return true;
}

bool value_strings(napi_env env, napi_value value, const char *name, struct strings *out_strings)
{
    bool is_array = false;
    uint32_t n = 0;
    size_t size;

    *out_strings = (struct strings){0};
    if (value_is_nothing(env, value))
        return true;
    napi_is_array(env, value, &is_array);
    if (!is_array || napi_get_array_length(env, value, &n) != napi_ok)
        return error_argument(env, name, "an array of strings");
    if (n == 0)
        return true;
    if (!strings_size(env, value, n, name, &size))
        return false;
    out_strings->memory = malloc(n * sizeof(char *) + size);
    if (out_strings->memory == NULL)
        return out_of_memory(env);
    out_strings->items = (const char **)out_strings->memory;
    if (strings_copy(env, value, n, name, out_strings, size))
        return true;
    free(out_strings->memory);
    *out_strings = (struct strings){0};
    return false;
}

napi_value value_undefined(napi_env env)
{
    napi_value value = NULL;

    napi_get_undefined(env, &value);
    return value;
}

napi_value value_null(napi_env env)
{
    napi_value value = NULL;

    napi_get_null(env, &value);
    return value;
}

napi_value value_bigint(napi_env env, uint64_t number)
{
    napi_value value = NULL;

    napi_create_bigint_uint64(env, number, &value);
    return value;
}

napi_value value_text(napi_env env, const char *text)
{
    napi_value value = NULL;

    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
    return value;
}

/* Room for len bytes in the slab, or in a new one. NULL: it cannot be had. */
static uint8_t *slab_room(struct addon *addon, napi_env env, size_t len, napi_value *out_slab)
{
    void *data = NULL;
    size_t size = 0;

    if (addon->slab != NULL) {
        napi_get_reference_value(env, addon->slab, out_slab);
        napi_get_arraybuffer_info(env, *out_slab, &data, &size);
        if (size >= addon->slab_used + len) /* 0 if somebody has given it away */
            return (uint8_t *)data + addon->slab_used;
        napi_delete_reference(env, addon->slab);
        addon->slab = NULL;
    }
    if (napi_create_arraybuffer(env, SLAB_BYTES, &data, out_slab) != napi_ok ||
        napi_create_reference(env, *out_slab, 1, &addon->slab) != napi_ok)
        return NULL;
    addon->slab_used = 0;
    return data;
}

/* Buffer.from(slab, offset, length). */
static napi_value slab_buffer(
    struct addon *addon, napi_env env, napi_value slab, size_t offset, size_t len)
{
    napi_value buffer;
    napi_value from;
    napi_value args[3] = {slab};
    napi_value result = NULL;

    if (napi_get_reference_value(env, addon->buffer, &buffer) == napi_ok &&
        napi_get_reference_value(env, addon->buffer_from, &from) == napi_ok &&
        napi_create_uint32(env, (uint32_t)offset, &args[1]) == napi_ok &&
        napi_create_uint32(env, (uint32_t)len, &args[2]) == napi_ok)
        napi_call_function(env, buffer, from, 3, args, &result);
    return result;
}

static napi_value small_buffer(struct addon *addon, napi_env env, const plsm_buf_t *buf)
{
    napi_value slab = NULL;
    uint8_t *room = slab_room(addon, env, buf->len, &slab);

    if (room == NULL)
        return NULL;
    memcpy(room, buf->data, buf->len);
    const size_t offset = addon->slab_used;
    addon->slab_used += (buf->len + 7) & ~(size_t)7;
    return slab_buffer(addon, env, slab, offset, buf->len);
}

napi_value value_take(struct addon *addon, napi_env env, plsm_buf_t *buf)
{
    napi_value value = NULL;

    if (buf->len > 0 && buf->len <= SLAB_BUFFER_MAX)
        value = small_buffer(addon, env, buf);
    else if (napi_create_buffer_copy(env, buf->len, buf->data, NULL, &value) != napi_ok)
        value = NULL;
    library.buf_free(buf);
    return value;
}

napi_value value_frame(struct addon *addon, napi_env env, plsm_lite3_frame_t *frame)
{
    napi_value object;
    napi_value flags;

    const uint64_t seq = frame->seq;
    const uint64_t time_ns = frame->timestamp_ns;
    const uint32_t frame_flags = frame->flags;
    napi_value payload = value_take(addon, env, &frame->payload);
    library.lite3_frame_free(frame);
    if (napi_create_object(env, &object) == napi_ok &&
        napi_create_uint32(env, frame_flags, &flags) == napi_ok &&
        value_set(env, object, "seq", value_bigint(env, seq)) &&
        value_set(env, object, "timestampNs", value_bigint(env, time_ns)) &&
        value_set(env, object, "flags", flags) && value_set(env, object, "payload", payload))
        return object;
    return NULL;
}

bool value_set(napi_env env, napi_value object, const char *name, napi_value value)
{
    return value != NULL && napi_set_named_property(env, object, name, value) == napi_ok;
}
