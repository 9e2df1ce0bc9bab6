/* Plasmite: persistent JSON message pools that are just files.
 *
 * The public C ABI. Rules that hold for every function:
 *
 *   Return values  0 = done, -1 = failed; *_stream_next: 1 = a message, 0 = ended, -1 = failed.
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
typedef struct plsm_lite3_stream plsm_lite3_stream_t;

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

/* Lite3 ----------------------------------------------------------------------------------------*/

/* Messages in a binary form that is read in place, without parsing. One payload is a whole
 * message, {"meta":{"tags":[...]},"data":{...}}; seq and time belong to the frame. Every message
 * can be read in both forms, however it was appended. */
typedef struct plsm_lite3_frame {
    uint64_t seq;
    uint64_t timestamp_ns; /* since 1970, UTC */
    uint32_t flags;        /* 0 */
    plsm_buf_t payload;    /* aligned for everything */
} plsm_lite3_frame_t;

/* Frees the payload by the pointer in the struct, and zeroes the struct. */
PLSM_API void plsm_lite3_frame_free(plsm_lite3_frame_t *frame);

/* Appends a payload, which is checked in all its parts and kept byte for byte.
 *
 * Errors: Corrupt (not a message, or not sound: the text says where), and otherwise those of
 * plsm_pool_append_json. */
PLSM_API int plsm_pool_append_lite3(plsm_pool_t *pool, const uint8_t *payload, size_t payload_len,
    uint32_t durability, uint64_t *out_seq, plsm_error_t **out_err);

/* Gives one message. One that was appended as JSON is encoded: of keys that come twice the last one
 * counts, numbers become 64-bit integers or doubles.
 * Errors: NotFound with the seq, Corrupt, and Usage with the seq for a message that Lite3 cannot
 * hold (nested deeper than 32 levels, a number beyond all doubles). */
PLSM_API int plsm_pool_get_lite3(
    plsm_pool_t *pool, uint64_t seq, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err);

/* Streams of the same, opened as those above. plsm_lite3_stream_next returns 1, 0 or -1 like
 * plsm_stream_next; after a message that Lite3 cannot hold (-1, Usage with its seq), it goes on
 * with the next one. */
PLSM_API int plsm_lite3_stream_open(plsm_pool_t *pool, uint64_t since_seq, uint32_t has_since,
    uint64_t max_messages, uint32_t has_max, uint64_t timeout_ms, uint32_t has_timeout,
    plsm_lite3_stream_t **out_stream, plsm_error_t **out_err);

PLSM_API int plsm_lite3_stream_open_ex(plsm_pool_t *pool, const plsm_stream_options_t *options,
    plsm_lite3_stream_t **out_stream, plsm_error_t **out_err);

PLSM_API int plsm_lite3_stream_next(
    plsm_lite3_stream_t *stream, plsm_lite3_frame_t *out_frame, plsm_error_t **out_err);

PLSM_API void plsm_lite3_stream_free(plsm_lite3_stream_t *stream);

/* Additions ------------------------------------------------------------------------------------*/

/* What follows is not part of the interface of 0.8.0. A program that has to run with any library of
 * that interface looks these names up (dlsym) before it uses them. */

/* Counts the additions: 1 with all that are declared here. */
PLSM_API uint32_t plsm_abi_version(void);

/* Of the library itself, "0.1.0". Static. */
PLSM_API const char *plsm_build_version(void);

/* "NotFound" and so on; "Internal" for a number that is none. Static. */
PLSM_API const char *plsm_error_kind_name(int32_t kind);

typedef enum plsm_create {
    PLSM_OPEN_EXISTING = 0,
    PLSM_OPEN_OR_CREATE = 1, /* whoever else may do so at the same time */
    PLSM_CREATE_NEW = 2      /* AlreadyExists if there is one */
} plsm_create_t;

/* A has_ field that is not 0 makes the value it names count. */
typedef struct plsm_open_options {
    uint32_t struct_size;    /* sizeof(plsm_open_options_t) */
    uint32_t create;         /* plsm_create_t */
    uint64_t size_bytes;     /* of a pool that is made; 0: 1 MiB */
    uint64_t index_capacity; /* its slots of 16 bytes; without it: one for each 256 bytes */
    uint32_t has_index_capacity;
    uint32_t has_busy_timeout;
    uint32_t busy_timeout_ms; /* patience of an append; without it: 5000 */
    uint32_t read_only;       /* needs no permission to write; appends are Usage errors */
} plsm_open_options_t;

/* plsm_pool_open and plsm_pool_create, with all that can be chosen. Errors: as theirs. */
PLSM_API int plsm_pool_open_ex(plsm_client_t *client, const char *pool_ref,
    const plsm_open_options_t *options, plsm_pool_t **out_pool, plsm_error_t **out_err);

/* Where names are looked up, and the file of a pool. Valid as long as the handle. */
PLSM_API const char *plsm_client_pool_dir(const plsm_client_t *client);
PLSM_API const char *plsm_pool_path(const plsm_pool_t *pool);

/* The names of the pools in the client's directory, sorted by bytes, each with a NUL behind it.
 * No directory: no names. Errors: Permission, Io. */
PLSM_API int plsm_pool_list(plsm_client_t *client, plsm_buf_t *out_names, plsm_error_t **out_err);

/* Removes the pool's name. Whoever has it open keeps it. Errors: NotFound, Permission, Io. */
PLSM_API int plsm_pool_delete(plsm_client_t *client, const char *pool_ref, plsm_error_t **out_err);

/* A pool at one moment. Set struct_size; fields beyond it are not written. */
typedef struct plsm_pool_info {
    uint32_t struct_size; /* sizeof(plsm_pool_info_t) */
    uint32_t reserved;
    uint64_t file_size;
    uint64_t ring_offset;
    uint64_t ring_size;
    uint64_t index_capacity;
    uint64_t used_bytes; /* of the ring, by the messages it has */
    uint64_t n_messages;
    uint64_t oldest_seq; /* these four are 0 if n_messages is 0 */
    uint64_t newest_seq;
    uint64_t oldest_time_ns;
    uint64_t newest_time_ns;
    uint64_t next_seq;
    uint64_t created_ns;
} plsm_pool_info_t;

/* Errors: Usage (struct_size), Corrupt. */
PLSM_API int plsm_pool_info(plsm_pool_t *pool, plsm_pool_info_t *info, plsm_error_t **out_err);

/* Checks the whole pool and changes nothing; it stays usable meanwhile. The report is JSON:
 *     {"healthy":false,"messages":12,"last_good_seq":8,"issue_count":1,
 *      "issues":[{"code":"frame","message":"...","offset":4096,"seq":9}]}
 * offset: byte of the file; seq: null if unknown; at most 16 issues are described. Damage is no
 * error of the call. Errors: what keeps it from looking. */
PLSM_API int plsm_pool_verify(plsm_pool_t *pool, plsm_buf_t *out_report, plsm_error_t **out_err);

/* plsm_pool_append_json without the message: only its seq and its time in nanoseconds since 1970,
 * either of which may be NULL. */
PLSM_API int plsm_pool_append_json_seq(plsm_pool_t *pool, const uint8_t *json, size_t json_len,
    const char **tags, size_t tags_len, uint32_t durability, uint64_t *out_seq,
    uint64_t *out_time_ns, plsm_error_t **out_err);

/* Where a stream begins, instead of where it was opened: before the newest n messages (0: only
 * what is appended from now on); before the first message of that time or a later one. */
PLSM_API int plsm_stream_seek_last(
    plsm_stream_t *stream, uint64_t n_messages, plsm_error_t **out_err);
PLSM_API int plsm_stream_seek_time(plsm_stream_t *stream, uint64_t time_ns, plsm_error_t **out_err);

/* What a stream delivers: only messages that have all these tags, and for which every expression
 * of jq is true. Calls add to each other. The count of the stream's options is of messages
 * delivered; gaps are seen whatever is wanted. Simple expressions cost about 0.1 us a message,
 * others load libjq. Errors: Usage (an invalid expression; in plsm_stream_next: one that gives no
 * boolean), Internal (libjq is not there). */
PLSM_API int plsm_stream_require_tags(
    plsm_stream_t *stream, const char **tags, size_t tags_len, plsm_error_t **out_err);
PLSM_API int plsm_stream_filter(
    plsm_stream_t *stream, const char *expression, plsm_error_t **out_err);

/* Ends the stream when no message was delivered for so long. */
PLSM_API int plsm_stream_idle_timeout(
    plsm_stream_t *stream, uint64_t timeout_ms, plsm_error_t **out_err);

/* Waits until plsm_stream_next would not: 1. 0: nothing came within timeout_ms (0: it only looks),
 * or a signal handler ran in this thread. -1: stream is NULL. */
PLSM_API int plsm_stream_wait(plsm_stream_t *stream, uint64_t timeout_ms, plsm_error_t **out_err);

/* A descriptor for event loops: readable when there may be something to take. Then call
 *     while (plsm_stream_wait(stream, 0, NULL) == 1 && plsm_stream_next(...) == 1) ...
 * and it is silent again when plsm_stream_wait has given 0. It belongs to the stream: neither read
 * nor close it. It does not tell of the stream's timeouts. One thread of the library serves all
 * descriptors of the process; it begins with the first and ends with the last. Not inherited by
 * children of fork. Errors: Io. */
PLSM_API int plsm_stream_fd(plsm_stream_t *stream, int *out_fd, plsm_error_t **out_err);

/* Ends the stream, from any thread: a call that waits returns 0 at once, and so does every further
 * one. The stream is still to be freed, after that call returned. */
PLSM_API void plsm_stream_cancel(plsm_stream_t *stream);

/* Takes what there is, up to max_messages or about 1 MiB: the messages as plsm_stream_next gives
 * them, each with a line feed behind it. Waits for the first one. out_n_messages may be NULL.
 * Returns 1, 0, -1 as plsm_stream_next. */
PLSM_API int plsm_stream_next_batch(plsm_stream_t *stream, size_t max_messages,
    plsm_buf_t *out_lines, size_t *out_n_messages, plsm_error_t **out_err);

/* A message in place, in the pool's mapping: writers may overwrite it at any time. */
typedef struct plsm_view {
    uint64_t seq;
    uint64_t time_ns;    /* since 1970, UTC */
    const uint8_t *tags; /* compact JSON array of strings */
    size_t tags_len;     /* 0: no tags */
    const uint8_t *data; /* compact JSON object, or a Lite3 payload */
    size_t data_len;
    uint64_t position; /* of the frame: for plsm_stream_view_valid */
    uint32_t is_lite3;
    uint32_t reserved;
} plsm_view_t;

/* The next message without a copy. Use it, then ask plsm_stream_view_valid: 1 says that all that
 * was read before was sound; 0, that writers were faster and the message is lost. The bytes stay
 * mapped as long as the stream. Returns 1, 0, -1 as plsm_stream_next. */
PLSM_API int plsm_stream_next_view(
    plsm_stream_t *stream, plsm_view_t *out_view, plsm_error_t **out_err);
PLSM_API int plsm_stream_view_valid(const plsm_stream_t *stream, const plsm_view_t *view);

/* The since_seq with which another stream goes on where this one is; 0: it began with the oldest
 * message and has not taken any. */
PLSM_API uint64_t plsm_stream_position(const plsm_stream_t *stream);

/* A stream of Lite3 messages, for the functions of this section: to wait, to cancel, to filter. The
 * same stream, not another one: it is freed with plsm_lite3_stream_free. NULL for NULL. */
PLSM_API plsm_stream_t *plsm_lite3_stream_base(plsm_lite3_stream_t *stream);

/* How many messages were overwritten before the stream came to them. */
PLSM_API uint64_t plsm_stream_dropped(const plsm_stream_t *stream);

/* After Corrupt: goes on with the next message that is intact. Calls of plsm_stream_next give the
 * same error until then. */
PLSM_API int plsm_stream_skip_damage(plsm_stream_t *stream, plsm_error_t **out_err);

/* Lets the process survive pool files that somebody cuts off while they are open: whoever touches
 * a page that is gone is answered Corrupt (Io, where the disk failed), in place of dying by SIGBUS.
 * For the whole process and all its pools, also those that are open already; up to 4096 mappings,
 * of which a pool has one, and a stream or a read-only pool two. Inherited by children of fork.
 *
 * It installs a handler of SIGBUS. Faults elsewhere, and signals that somebody sent, go on to the
 * handler that was there before. What is installed afterwards takes its place, until this is called
 * again: so call it after the program and its runtime have installed theirs. Where it is in place,
 * a call does nothing. The library stays in memory then, whoever unloads it. Errors: Io. */
PLSM_API int plsm_guard_install(plsm_error_t **out_err);

#ifdef __cplusplus
}
#endif

#endif
