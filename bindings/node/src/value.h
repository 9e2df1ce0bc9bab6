/* Values of JavaScript made from those of C, and read into them.
 *
 * What reads returns false when the value is of the wrong kind; an exception of JavaScript is
 * pending then. What makes returns NULL with an exception pending. */
#ifndef BINDINGS_NODE_SRC_VALUE_H
#define BINDINGS_NODE_SRC_VALUE_H

#include "bindings/node/src/addon.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string of the caller's, ended by NUL; free() it. One with a NUL inside is refused. */
bool value_string(napi_env env, napi_value value, const char *name, char **out_text);

/* Not negative: a safe integer, or a bigint of 64 bits. */
bool value_u64(napi_env env, napi_value value, const char *name, uint64_t *out_number);

/* The same, where undefined and null mean that there is none. */
bool value_optional_u64(
    napi_env env, napi_value value, const char *name, uint64_t *out_number, bool *out_there);

/* 0, 1, or whatever number it is for the library to refuse; nothing is 0. */
bool value_durability(napi_env env, napi_value value, uint32_t *out_durability);

/* Bytes for the length of the call. */
struct bytes {
    const uint8_t *data;
    size_t len;
};

/* Those of a Uint8Array, in place where no other thread can change them. */
bool value_bytes(
    struct addon *addon, napi_env env, napi_value value, const char *name, struct bytes *out_bytes);

/* The same, or a string's, which then lie in the addon's scratch memory. */
bool value_json(
    struct addon *addon, napi_env env, napi_value value, const char *name, struct bytes *out_bytes);

/* An array of strings, or nothing; one allocation, to be freed. */
struct strings {
    const char **items;
    size_t len;
    void *memory;
};

bool value_strings(napi_env env, napi_value value, const char *name, struct strings *out_strings);

bool value_is_nothing(napi_env env, napi_value value);

napi_value value_undefined(napi_env env);
napi_value value_null(napi_env env);
napi_value value_bigint(napi_env env, uint64_t number);
napi_value value_text(napi_env env, const char *text);

/* Makes a Buffer of the bytes and frees them. Small ones share memory, as those of Buffer.from()
 * do: making memory of its own for each costs as much as appending a message. */
napi_value value_take(struct addon *addon, napi_env env, plsm_buf_t *buf);

/* Makes an object of a frame's fields, and frees the frame. */
napi_value value_frame(struct addon *addon, napi_env env, plsm_lite3_frame_t *frame);

bool value_set(napi_env env, napi_value object, const char *name, napi_value value);

#endif
