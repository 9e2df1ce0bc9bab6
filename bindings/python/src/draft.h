/* Draft of what plasmite.h is going to have. */
#ifndef DRAFT_H
#define DRAFT_H
#include "plasmite.h"
typedef struct plsm_lite3_stream plsm_lite3_stream_t;
typedef struct plsm_lite3_frame { uint64_t seq, timestamp_ns; uint32_t flags; plsm_buf_t payload; } plsm_lite3_frame_t;
PLSM_API int plsm_pool_append_lite3(plsm_pool_t *pool, const uint8_t *payload, size_t len, uint32_t durability, uint64_t *out_seq, plsm_error_t **out_err);
PLSM_API int plsm_pool_get_lite3(plsm_pool_t *pool, uint64_t seq, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err);
PLSM_API int plsm_lite3_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options, plsm_lite3_stream_t **out_stream, plsm_error_t **out_err);
PLSM_API int plsm_lite3_stream_next(plsm_lite3_stream_t *stream, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err);
PLSM_API void plsm_lite3_stream_free(plsm_lite3_stream_t *stream);
PLSM_API void plsm_lite3_frame_free(plsm_lite3_frame_t *frame);
/* DRAFT of our additions to include/plasmite.h (the lead implements them in branch abi, landing on main around 21:15 UTC).
 * Bindings look each of them up at load time (dlsym / weak), and work without, as far as the contract's 20 functions allow. */

PLSM_API uint32_t plsm_abi_version(void);          /* counts additions; 1 with all those below */
PLSM_API const char *plsm_build_version(void);     /* "0.1.0" */
PLSM_API const char *plsm_error_kind_name(int32_t kind); /* "NotFound"; "Internal" for unknown ones */

typedef enum plsm_create { PLSM_OPEN_EXISTING = 0, PLSM_OPEN_OR_CREATE = 1, PLSM_CREATE_NEW = 2 } plsm_create_t;
typedef struct plsm_open_options { /* 40 bytes */
    uint32_t struct_size;
    uint32_t create;             /* plsm_create_t */
    uint64_t size_bytes;         /* of a pool that is made; 0: 1 MiB */
    uint64_t index_capacity;     /* slots */
    uint32_t has_index_capacity; /* 0: one slot for each 256 bytes */
    uint32_t has_busy_timeout;   /* 0: 5000 ms */
    uint32_t busy_timeout_ms;
    uint32_t read_only;          /* appends and flushes are Usage errors */
} plsm_open_options_t;
PLSM_API int plsm_pool_open_ex(plsm_client_t *client, const char *pool_ref, const plsm_open_options_t *options,
    plsm_pool_t **out_pool, plsm_error_t **out_err); /* open-or-create survives the race between two */

PLSM_API const char *plsm_client_pool_dir(const plsm_client_t *client); /* valid as long as the client */
PLSM_API const char *plsm_pool_path(const plsm_pool_t *pool);
/* Names (without .plasmite) of the pools in the client's directory, sorted, each ended by a NUL byte, in one buffer. */
PLSM_API int plsm_pool_list(plsm_client_t *client, plsm_buf_t *out_names, plsm_error_t **out_err);
PLSM_API int plsm_pool_delete(plsm_client_t *client, const char *pool_ref, plsm_error_t **out_err);

typedef struct plsm_pool_info { /* 104 bytes; the caller sets struct_size */
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t file_size, ring_offset, ring_size, index_capacity, used_bytes, n_messages;
    uint64_t oldest_seq, newest_seq, oldest_time_ns, newest_time_ns; /* 0 if n_messages is 0 */
    uint64_t next_seq, created_ns;
} plsm_pool_info_t;
PLSM_API int plsm_pool_info(plsm_pool_t *pool, plsm_pool_info_t *info, plsm_error_t **out_err);
/* Checks everything; the report as JSON: {"healthy":true,"messages":N,"issues":[{"code","message","offset","seq"}...]} */
PLSM_API int plsm_pool_verify(plsm_pool_t *pool, plsm_buf_t *out_report, plsm_error_t **out_err);
/* plsm_pool_append_json without the message: only its seq and time (either out may be NULL). */
PLSM_API int plsm_pool_append_json_seq(plsm_pool_t *pool, const uint8_t *json, size_t json_len, const char **tags,
    size_t tags_len, uint32_t durability, uint64_t *out_seq, uint64_t *out_time_ns, plsm_error_t **out_err);
/* plsm_pool_append_batch(pool, plsm_input_t[], n, durability, out_first_seq, err) and plsm_pool_flush exist already. */

/* Streams: setters, called before the first message is taken. */
PLSM_API int plsm_stream_seek_last(plsm_stream_t *stream, uint64_t n_messages, plsm_error_t **out_err); /* the newest n; 0: only what comes */
PLSM_API int plsm_stream_seek_time(plsm_stream_t *stream, uint64_t time_ns, plsm_error_t **out_err); /* the first at or after it */
PLSM_API int plsm_stream_require_tags(plsm_stream_t *stream, const char **tags, size_t tags_len, plsm_error_t **out_err); /* all of them; max counts what matches; a gap is seen nevertheless */
PLSM_API int plsm_stream_filter(plsm_stream_t *stream, const char *expression, plsm_error_t **out_err); /* jq, as --where; several must all match */
PLSM_API int plsm_stream_idle_timeout(plsm_stream_t *stream, uint64_t timeout_ms, plsm_error_t **out_err); /* ends after so long without a message */

/* 1: plsm_stream_next will not wait now (a message, the end or an error); 0: nothing yet: timeout_ms passed (0: only looks),
 * or a signal handler ran in this thread; -1. */
PLSM_API int plsm_stream_wait(plsm_stream_t *stream, uint64_t timeout_ms, plsm_error_t **out_err);
/* A descriptor for poll, epoll, libuv, asyncio: readable when there may be something to take. It belongs to the stream (never read
 * or close it). On readable: call plsm_stream_next_batch_now / plsm_stream_wait(stream, 0) + next until nothing is left; the call that
 * finds nothing makes it unreadable again. One thread of the library serves all descriptors of a process; it starts with the first. */
PLSM_API int plsm_stream_fd(plsm_stream_t *stream, int *out_fd, plsm_error_t **out_err);
/* Ends the stream from any thread: a waiting call returns 0, and every further one. */
PLSM_API void plsm_stream_cancel(plsm_stream_t *stream);
/* Takes up to max_messages that are there (waits for the first one as plsm_stream_next does): their JSON, each followed by '\n',
 * in one buffer. 1, 0, -1 as plsm_stream_next. out_n_messages may be NULL. */
PLSM_API int plsm_stream_next_batch(plsm_stream_t *stream, size_t max_messages, plsm_buf_t *out_lines, size_t *out_n_messages,
    plsm_error_t **out_err);

typedef struct plsm_view { /* a message in place: may be overwritten by writers at any time */
    uint64_t seq, time_ns;
    const uint8_t *tags; size_t tags_len; /* compact JSON array; empty: no tags */
    const uint8_t *data; size_t data_len; /* compact JSON object, or a Lite3 payload if is_lite3 */
    uint64_t position; uint32_t is_lite3, reserved;
} plsm_view_t;
/* The next message without copying it. Use the bytes, then ask plsm_stream_view_valid: 1 = all that was read was sound. 1, 0, -1. */
PLSM_API int plsm_stream_next_view(plsm_stream_t *stream, plsm_view_t *out_view, plsm_error_t **out_err);
PLSM_API int plsm_stream_view_valid(const plsm_stream_t *stream, const plsm_view_t *view);
PLSM_API uint64_t plsm_stream_position(const plsm_stream_t *stream); /* since_seq with which another stream would go on from here */
PLSM_API uint64_t plsm_stream_dropped(const plsm_stream_t *stream);  /* messages lost to writers so far */
#endif
