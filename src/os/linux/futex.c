#include "os/futex.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns)
{
    const struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
        .tv_nsec = (long)(timeout_ns % NS_PER_SECOND),
    };
    if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0) == 0)
        return FUTEX_WOKEN;
    switch (errno) {
    case ETIMEDOUT: return FUTEX_TIMED_OUT;
    case EINTR: return FUTEX_SIGNAL;
    default: return FUTEX_WOKEN; /* EAGAIN: the word has changed already */
    }
}

/* As in linux/futex.h since 5.16, which may be newer than the headers. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct futex_waiter {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

#define FUTEX_WAITER_32_BITS 2u
#define FUTEX_POLL_NS        (5 * NS_PER_MS)

int futex_wait_any(const struct futex_word *words, size_t n_words, uint64_t timeout_ns)
{
    struct futex_waiter waiters[FUTEX_WORDS_MAX];
    assert(n_words >= 1 && n_words <= FUTEX_WORDS_MAX);

    for (size_t i = 0; i < n_words; i++)
        waiters[i] = (struct futex_waiter){
            .value = words[i].expected,
            .address = (uint64_t)(uintptr_t)words[i].word,
            .flags = FUTEX_WAITER_32_BITS,
        };
    const uint64_t until_ns = clock_monotonic_ns() + timeout_ns;
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_SECOND),
        .tv_nsec = (long)(until_ns % NS_PER_SECOND),
    };
    if (syscall(SYS_futex_waitv, waiters, n_words, 0, &until, CLOCK_MONOTONIC) >= 0)
        return FUTEX_WOKEN;
    switch (errno) {
    case ETIMEDOUT: return FUTEX_TIMED_OUT;
    case EINTR: return FUTEX_SIGNAL;
    case EAGAIN: return FUTEX_WOKEN; /* a word has changed already */
    case EFAULT: return FUTEX_GONE;
    default: /* ENOSYS; EPERM in some sandboxes; ENOMEM */
        return futex_wait(words[0].word, words[0].expected,
            timeout_ns < FUTEX_POLL_NS ? timeout_ns : FUTEX_POLL_NS);
    }
}

void futex_wake_one(_Atomic(uint32_t) *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void futex_wake_all(_Atomic(uint32_t) *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
