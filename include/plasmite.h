/* Plasmite: persistent JSON message pools that are just files.
 *
 * The public C ABI. Rules that hold for every function:
 *
 *   Return values  0 = done, -1 = failed; plsm_stream_next: 1 = a message, 0 = ended, -1 = failed.
 *   Errors         out_err may be NULL. On failure *out_err is a new error, to be freed with
 *                  plsm_error_free; on success it is not touched.
 *   Ownership      what *_new, *_create and *_open return is freed once with the matching *_free,
 *                  in any order. Every *_free accepts NULL. Outputs are written only on success.
 *   Threads        client and pool handles may be used from any number of threads at once;
 *                  a stream by one thread at a time.
 *   fork           a child may use inherited handles: they reopen themselves.
 */
#ifndef PLASMITE_H
#define PLASMITE_H

#include <stddef.h>
#include <stdint.h>

/* What the shared library shows. */
#if defined(__GNUC__)
#define PLSM_API __attribute__((visibility("default")))
#else
#define PLSM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of error; the same numbers are the exit codes of the command line. */
typedef enum plsm_error_kind {
    PLSM_ERROR_INTERNAL = 1,
    PLSM_ERROR_USAGE = 2,
    PLSM_ERROR_NOT_FOUND = 3,
    PLSM_ERROR_ALREADY_EXISTS = 4,
    PLSM_ERROR_BUSY = 5,
    PLSM_ERROR_PERMISSION = 6,
    PLSM_ERROR_CORRUPT = 7,
    PLSM_ERROR_IO = 8,
    PLSM_ERROR_RETENTION_GAP = 9
} plsm_error_kind_t;

/* What went wrong. message is never NULL; path is NULL where there is none; seq and offset
 * count only where their has_ byte is 1. Strings are UTF-8 and belong to the error. */
typedef struct plsm_error {
    int32_t kind;
    char *message;
    char *path;
    uint64_t seq;
    uint64_t offset;
    uint8_t has_seq;
    uint8_t has_offset;
} plsm_error_t;

/* Bytes handed to the caller; free them with plsm_buf_free. */
typedef struct plsm_buf {
    uint8_t *data;
    size_t len;
} plsm_buf_t;

typedef struct plsm_client plsm_client_t;
typedef struct plsm_pool plsm_pool_t;
typedef struct plsm_stream plsm_stream_t;

/* The library itself ---------------------------------------------------------------------------*/

/* "0.8.0": the level of this interface. Static. */
PLSM_API const char *plsm_version(void);

PLSM_API void plsm_error_free(plsm_error_t *err);

/* What the user may do about it; NULL where there is no advice. Valid as long as the error. */
PLSM_API const char *plsm_error_hint(const plsm_error_t *err);

/* Frees the bytes by the pointer in the struct, and zeroes the struct. */
PLSM_API void plsm_buf_free(plsm_buf_t *buf);

/* Clients --------------------------------------------------------------------------------------*/

/* A client knows the directory in which pools are looked up by name: pool_dir; "" is the working
 * directory, NULL is $HOME/.plasmite/pools. Touches no file: the directory need not exist.
 * Errors: Usage. */
PLSM_API int plsm_client_new(
    const char *pool_dir, plsm_client_t **out_client, plsm_error_t **out_err);

PLSM_API void plsm_client_free(plsm_client_t *client);

/* Pools ----------------------------------------------------------------------------------------*/

/* Creates a pool and opens it.
 *
 * pool_ref: with a '/' it is a path, taken as it is; else a name, which means the file
 * NAME.plasmite in the client's directory. size_bytes is the size of the file, for good;
 * 0 is 1 MiB. Missing directories are made, the file is private to the user.
 * Errors: AlreadyExists, Usage (reference, size), Permission, Io; with the path. */
PLSM_API int plsm_pool_create(plsm_client_t *client, const char *pool_ref, uint64_t size_bytes,
    plsm_pool_t **out_pool, plsm_error_t **out_err);

/* Opens a pool for reading and appending. It does not depend on the client any more.
 * Errors: NotFound, Corrupt, Permission, Busy, Io, Usage (reference, or a pool of another
 * format); with the path. */
PLSM_API int plsm_pool_open(
    plsm_client_t *client, const char *pool_ref, plsm_pool_t **out_pool, plsm_error_t **out_err);

/* Closes the handle. No other thread may be using it; its streams live on. */
PLSM_API void plsm_pool_free(plsm_pool_t *pool);

/* What an append promises: PLSM_FAST survives the death of any process; PLSM_FLUSH survives a
 * power loss as well, and returns only then. */
#define PLSM_FAST  0u
#define PLSM_FLUSH 1u

/* Appends one message. json is one JSON object, compacted but otherwise kept as it is; tags are
 * NUL-terminated UTF-8 strings, kept in order (tags NULL: none).
 *
 * *out_message is the message as stored, the bytes that plsm_pool_get_json gives:
 *     {"seq":1,"time":"2026-01-02T03:04:05.6Z","meta":{"tags":["a"]},"data":{"k":1}}
 * Errors: Usage (arguments, JSON, a message larger than the pool's ring), Busy, Corrupt, Io. An
 * Io error that has a seq says: the message is stored, but was not flushed. */
PLSM_API int plsm_pool_append_json(plsm_pool_t *pool, const uint8_t *json, size_t json_len,
    const char **tags, size_t tags_len, uint32_t durability, plsm_buf_t *out_message,
    plsm_error_t **out_err);

/* One message of a batch; fields as the arguments of plsm_pool_append_json. */
typedef struct plsm_input {
    const uint8_t *json;
    size_t json_len;
    const char **tags;
    size_t tags_len;
    uint64_t time_ns; /* since 1970, UTC; 0: now. Never goes below that of the message before */
} plsm_input_t;

/* Appends 1 to 4096 messages: all of them, at once for every reader, or none. They get the seqs
 * *out_first_seq, *out_first_seq + 1 and so on. out_first_seq may be NULL.
 * Errors as above; where one message is to blame, the text says which ("inputs[3]: ..."). */
PLSM_API int plsm_pool_append_batch(plsm_pool_t *pool, const plsm_input_t *inputs,
    size_t inputs_len, uint32_t durability, uint64_t *out_first_seq, plsm_error_t **out_err);

/* Returns when everything appended so far, by whomever, survives a power loss.
 * Errors: Io. */
PLSM_API int plsm_pool_flush(plsm_pool_t *pool, plsm_error_t **out_err);

/* Gives one message. Errors: NotFound with the seq (overwritten, or not yet written), Corrupt. */
PLSM_API int plsm_pool_get_json(
    plsm_pool_t *pool, uint64_t seq, plsm_buf_t *out_message, plsm_error_t **out_err);

/* Streams --------------------------------------------------------------------------------------*/

/* What a stream does about messages that were overwritten before it came to them. */
typedef enum plsm_gap_policy {
    PLSM_GAP_CONTINUE = 0, /* go on with the oldest message there is */
    PLSM_GAP_ERROR = 1     /* fail with RetentionGap, once, and end */
} plsm_gap_policy_t;

/* A has_ field that is not 0 makes the value beside it count. */
typedef struct plsm_stream_options {
    uint32_t struct_size; /* sizeof(plsm_stream_options_t) */
    uint32_t gap_policy;
    uint64_t since_seq;    /* begin with this seq; without it: with the oldest message */
    uint64_t max_messages; /* end after so many */
    uint64_t timeout_ms;   /* end so long after opening, whatever was delivered */
    uint32_t has_since;
    uint32_t has_max;
    uint32_t has_timeout;
    uint32_t reserved; /* 0 */
} plsm_stream_options_t;

/* Opens a stream of the messages of a pool, which is opened anew by its path.
 * Errors: Usage (arguments), and those of plsm_pool_open. */
PLSM_API int plsm_stream_open(plsm_pool_t *pool, uint64_t since_seq, uint32_t has_since,
    uint64_t max_messages, uint32_t has_max, uint64_t timeout_ms, uint32_t has_timeout,
    plsm_stream_t **out_stream, plsm_error_t **out_err);

PLSM_API int plsm_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options,
    plsm_stream_t **out_stream, plsm_error_t **out_err);

/* Gives the next message, and waits for it where there is none yet: an append wakes it at once.
 *
 * Returns 1: *out_message is the message.
 *         0: the stream ended, by its count or its time; every further call returns 0.
 *        -1: RetentionGap (seq: the first one that is lost; the stream has ended), Corrupt, Io. */
PLSM_API int plsm_stream_next(
    plsm_stream_t *stream, plsm_buf_t *out_message, plsm_error_t **out_err);

PLSM_API void plsm_stream_free(plsm_stream_t *stream);

#ifdef __cplusplus
}
#endif

#endif
