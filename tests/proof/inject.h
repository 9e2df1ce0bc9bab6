/* Calls that fail on purpose: inject.c stands before libc and makes the n-th call of a kind fail.
 *
 * Linked into a program it is steered by the variable `inject`; preloaded into another one
 * (LD_PRELOAD) by a file that holds a struct inject, named by PLSM_INJECT, which the steering
 * program maps. What libc and the modules allocate goes through it, too. */
#ifndef PROOF_INJECT_H
#define PROOF_INJECT_H

#include <stdatomic.h>
#include <stdint.h>

enum inject_call {
    INJECT_NOTHING,
    INJECT_MEMORY, /* malloc, calloc, realloc and all that is made of them */
    INJECT_MMAP,
    INJECT_OPEN,
    INJECT_READ,
    INJECT_PREAD,
    INJECT_WRITE, /* also send; not to stderr, where errors are told */
    INJECT_PWRITE,
    INJECT_STAT,
    INJECT_FCNTL,
    INJECT_FLOCK,
    INJECT_ALLOCATE, /* posix_fallocate */
    INJECT_NAME,     /* link, linkat, rename, mkdir, fchmod */
    INJECT_UNLINK,
    INJECT_SYNC,
    INJECT_FUTEX, /* waiting, and what else goes through syscall() */
    INJECT_POLL,  /* poll, ppoll, nanosleep, waitid */
    INJECT_WATCH, /* inotify_* */
    INJECT_START, /* pipe2, eventfd, posix_spawnp, pthread_create */
    INJECT_LOOK,  /* access, opendir, readdir, readlink, getcwd, fstatfs, getrandom */
    N_INJECT_CALLS,
};

#define INJECT_SHORT (-1) /* in the place of an errno: one byte is read or written */

struct inject {
    _Atomic(int32_t) call;   /* enum inject_call */
    _Atomic(int32_t) errnum; /* what the call fails with */
    _Atomic(int32_t) sticky; /* not only the n-th but every one from there on */
    _Atomic(int64_t) nth;    /* from 1 */
    _Atomic(int64_t) n_calls;
    _Atomic(int64_t) n_failed;
    _Atomic(int64_t) n_live; /* allocations that were not freed */
};

extern struct inject *inject;

static inline void inject_arm(enum inject_call call, int errnum, int64_t nth, int sticky)
{
    atomic_store(&inject->errnum, errnum);
    atomic_store(&inject->sticky, sticky);
    atomic_store(&inject->nth, nth);
    atomic_store(&inject->n_calls, 0);
    atomic_store(&inject->n_failed, 0);
    atomic_store(&inject->call, (int)call);
}

static inline void inject_disarm(void)
{
    atomic_store(&inject->call, INJECT_NOTHING);
}

/* A kind of call, and with what it may fail. */
struct inject_kind {
    const char *name;
    int errnums[8]; /* until 0 */
};

extern const struct inject_kind inject_kinds[N_INJECT_CALLS];

#endif
