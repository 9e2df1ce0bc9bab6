/* Sleeping on a 32-bit word that several processes map. A port supplies these functions. */
#ifndef OS_FUTEX_H
#define OS_FUTEX_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FUTEX_WOKEN = 0, /* or the word had another value, or for no reason at all */
    FUTEX_TIMED_OUT = 1,
    FUTEX_SIGNAL = 2, /* a signal handler ran */
    FUTEX_GONE = 3, /* of futex_wait_any(): there is no page any more where one of the words was */
};

/* Sleeps while *word == expected, at most timeout_ns. The mapping may be read-only. */
int futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);

/* A word to wait on, and the value that it is thought to have. */
struct futex_word {
    const _Atomic(uint32_t) *word;
    uint32_t expected;
};

#define FUTEX_WORDS_MAX 128

/* Sleeps while each of 1 .. FUTEX_WORDS_MAX words has its value, at most timeout_ns. Where the
 * kernel cannot wait on several (Linux before 5.16), it sleeps on the first one for 5 ms at most:
 * look at the others then. */
int futex_wait_any(const struct futex_word *words, size_t n_words, uint64_t timeout_ns);

void futex_wake_one(_Atomic(uint32_t) *word);
void futex_wake_all(_Atomic(uint32_t) *word);

#endif
