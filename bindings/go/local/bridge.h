/* What Go calls: the functions of plasmite.h, shaped so that one call into C does all of one
 * operation, and so that no memory of Go that holds pointers is ever handed over. */
#ifndef PLASMITE_GO_BRIDGE_H
#define PLASMITE_GO_BRIDGE_H

#include <plasmite.h>
#include <stddef.h>
#include <stdint.h>

/* The status of a call that brought nothing, because its patience was over. */
enum { BRIDGE_NOT_YET = 2 };

/* How long a call waits for a message, in milliseconds; or for as long as the stream does. */
enum { BRIDGE_FOR_GOOD = -1 };

/* What came of a call. Bytes were copied to where the caller has room for them; where they did
 * not fit, rest holds them, to be freed with bridge_free. */
struct bridge_result {
    int status;
    plsm_error_t *err; /* if status is -1 */
    size_t len;        /* of the bytes that were given */
    size_t n_messages;
    uint64_t number; /* a seq */
    plsm_buf_t rest;
};

/* Functions that libraries of level 0.8 lack. Each is called only if it is there. */
#pragma weak plsm_error_hint
#pragma weak plsm_guard_install
#pragma weak plsm_lite3_stream_base
#pragma weak plsm_pool_append_batch
#pragma weak plsm_pool_delete
#pragma weak plsm_pool_flush
#pragma weak plsm_pool_info
#pragma weak plsm_pool_list
#pragma weak plsm_pool_open_ex
#pragma weak plsm_pool_path
#pragma weak plsm_pool_verify
#pragma weak plsm_stream_cancel
#pragma weak plsm_stream_fd
#pragma weak plsm_stream_filter
#pragma weak plsm_stream_next_batch
#pragma weak plsm_stream_require_tags
#pragma weak plsm_stream_seek_last
#pragma weak plsm_stream_seek_time
#pragma weak plsm_stream_wait
#pragma weak plsm_version
enum bridge_addition {
    BRIDGE_APPEND_BATCH,
    BRIDGE_CANCEL,
    BRIDGE_DELETE,
    BRIDGE_FD,
    BRIDGE_FILTER,
    BRIDGE_FLUSH,
    BRIDGE_GUARD,
    BRIDGE_INFO,
    BRIDGE_LIST,
    BRIDGE_LITE3_BASE,
    BRIDGE_NEXT_BATCH,
    BRIDGE_OPEN_EX,
    BRIDGE_PATH,
    BRIDGE_REQUIRE_TAGS,
    BRIDGE_SEEK_LAST,
    BRIDGE_SEEK_TIME,
    BRIDGE_VERIFY,
    BRIDGE_VERSION,
    BRIDGE_WAIT,
};
int bridge_has(enum bridge_addition addition);

void bridge_free(plsm_buf_t rest);
const char *bridge_hint(const plsm_error_t *err); /* "" where there is none */

/* tags: n_tags texts, each ended by a NUL byte. The message goes to out. */
struct bridge_result bridge_append(plsm_pool_t *pool, const uint8_t *json, size_t json_len,
    const char *tags, size_t n_tags, uint32_t durability, uint8_t *out, size_t room);

/* texts: n messages one behind the other; lens: their lengths; tag_counts: how many of tags
 * belong to each (NULL: none has any); times_ns: NULL, or as in plsm_input_t. number: first seq. */
struct bridge_result bridge_append_batch(plsm_pool_t *pool, const uint8_t *texts,
    const size_t *lens, size_t n, const char *tags, const uint32_t *tag_counts,
    const uint64_t *times_ns, uint32_t durability);

struct bridge_result bridge_get(plsm_pool_t *pool, uint64_t seq, uint8_t *out, size_t room);

/* These three wait for patience_ms, which is BRIDGE_FOR_GOOD where the library has no
 * plsm_stream_wait. */
struct bridge_result bridge_next(plsm_stream_t *stream, int patience_ms, uint8_t *out, size_t room);

/* Several messages, each ended by a newline. */
struct bridge_result bridge_next_batch(
    plsm_stream_t *stream, int patience_ms, size_t max_messages, uint8_t *out, size_t room);

int bridge_next_lite3(plsm_lite3_stream_t *stream, int patience_ms, plsm_lite3_frame_t *out_frame,
    plsm_error_t **err);

/* A descriptor of the caller's own, to be closed by it, that is as readable as that of
 * plsm_stream_fd; -1 if there is none to be had. */
int bridge_descriptor(plsm_stream_t *stream);

/* err: NULL if that went well. */
plsm_error_t *bridge_require_tags(plsm_stream_t *stream, const char *tags, size_t n_tags);

#endif
