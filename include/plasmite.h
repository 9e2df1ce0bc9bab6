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

/* "0.8.0": the level of this interface. Static. */
PLSM_API const char *plsm_version(void);

PLSM_API void plsm_error_free(plsm_error_t *err);

/* What the user may do about it; NULL where there is no advice. Valid as long as the error. */
PLSM_API const char *plsm_error_hint(const plsm_error_t *err);

/* Frees the bytes by the pointer in the struct, and zeroes the struct. */
PLSM_API void plsm_buf_free(plsm_buf_t *buf);

#ifdef __cplusplus
}
#endif

#endif
