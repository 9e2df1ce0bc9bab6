/* Errors: one object, made where the failure is known, passed up unchanged.
 *
 * How functions fail, everywhere in this code:
 *
 *   0          done
 *   positive   a named outcome of this function (POOL_BUSY): the caller handles it
 *   -1         failed; *err is set; the caller passes it up or frees it with a reason
 *
 * err may be NULL: the caller does not care why. On the way up, error_at() and error_hint() may
 * add what is known there; nobody makes a second error over a first one.
 * Memory is allocated only on failure; if even that fails, a static "out of memory" error is
 * used, which plsm_error_free accepts.
 *
 * Kinds are the nine of the public ABI; each is also the exit code of the programs. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/scoped.h"
#include "plasmite.h"

#include <stdbool.h>
#include <stdint.h>

SCOPED_DEFINE(plsm_error_t *, plsm_error_free)

/* What failing functions return, where the compiler can see it. */
static inline int error_result(void)
{
    return -1;
}

/* Makes an error and is -1, so that `return error_set(...)` reads as one step. */
#define error_set(err, kind, ...)                                                                  \
    (error_make(err, kind, 0, __FILE__, __LINE__, __VA_ARGS__), error_result())

/* The same for a failed system call: the kind follows from errnum (ENOENT: NotFound, EACCES:
 * Permission, EEXIST: AlreadyExists, ..., else Io), and its text becomes the error's cause. */
#define error_errno(err, errnum, ...)                                                              \
    (error_make(err, error_kind_of(errnum), errnum, __FILE__, __LINE__, __VA_ARGS__),              \
        error_result())

/* Io, whatever errnum says, with its text as the cause. */
#define error_io(err, errnum, ...)                                                                 \
    (error_make(err, PLSM_ERROR_IO, errnum, __FILE__, __LINE__, __VA_ARGS__), error_result())

/* Out of memory: Internal. */
#define error_oom(err) error_set(err, PLSM_ERROR_INTERNAL, "out of memory")

void error_make(plsm_error_t **err, plsm_error_kind_t kind, int errnum, const char *file, int line,
    const char *format, ...) __attribute__((format(printf, 6, 7), cold));

plsm_error_kind_t error_kind_of(int errnum);

/* Adds context to a present error (where *err is not NULL) and returns -1. error_at_path keeps a
 * path that is already there; error_hint replaces the hint. */
int error_at_path(plsm_error_t **err, const char *path);
int error_at_seq(plsm_error_t **err, uint64_t seq);
int error_at_offset(plsm_error_t **err, uint64_t offset);
int error_hint(plsm_error_t **err, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Sets the cause: the text of what lies beneath, e.g. a parser's position (an errno sets its own). */
int error_cause(plsm_error_t **err, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* What the public struct does not show; NULL or 0 where unknown. Valid as long as the error. */
const char *error_hint_of(const plsm_error_t *err);
const char *error_cause_of(const plsm_error_t *err);
int error_errno_of(const plsm_error_t *err);

/* "NotFound", as written in JSON errors. */
const char *error_kind_name(plsm_error_kind_t kind);

#endif
