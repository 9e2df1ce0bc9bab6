#include "os/futex.h"

#include "base/clock.h"

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

void futex_wake_one(_Atomic(uint32_t) *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void futex_wake_all(_Atomic(uint32_t) *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
