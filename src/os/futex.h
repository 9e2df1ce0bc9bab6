/* Sleeping on a 32-bit word that several processes map. A port supplies these functions. */
#ifndef OS_FUTEX_H
#define OS_FUTEX_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    FUTEX_WOKEN = 0, /* or the word had another value, or for no reason at all */
    FUTEX_TIMED_OUT = 1,
    FUTEX_SIGNAL = 2, /* a signal handler ran */
};

/* Sleeps while *word == expected, at most timeout_ns. The mapping may be read-only. */
int futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);

void futex_wake_one(_Atomic(uint32_t) *word);
void futex_wake_all(_Atomic(uint32_t) *word);

#endif
