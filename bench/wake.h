/* One process sends small messages at a steady pace, another waits for them; how long does each
 * take to arrive? Several ways of sending take turns, 25 messages each, within the same two
 * processes: so they meet the same scheduler, and their ratio means something on a busy machine.
 *
 * The moment of sending lies in memory that both share, so a message carries only its number. */
#ifndef BENCH_WAKE_H
#define BENCH_WAKE_H

#include <stdbool.h>
#include <stdint.h>

struct transport {
    const char *name; /* of the results: NAME_p50, ... */
    void *state;
    /* Called in the process that uses it, before the first message; either may be NULL. */
    void (*open_sender)(void *state);
    void (*open_receiver)(void *state);
    void (*send)(void *state, uint64_t n);
    /* Blocks or spins; returns the message's number. Each transport counts its own from 0. */
    uint64_t (*receive)(void *state);
};

#define WAKE_BYTES 16

/* Sends n messages through each transport and reports all their latencies. With pinned, the two
 * processes stay on two different cores, if there are two: one that polls would otherwise often
 * share its core with the sender, and show how long the scheduler lets it wait. */
void wake_measure(
    struct transport *transports, uint32_t n_transports, uint64_t n_each, bool pinned);

/* Numbers as messages of WAKE_BYTES bytes, which are JSON: {"n":1000000007}. */
void wake_encode(uint64_t n, char out[static WAKE_BYTES]);
uint64_t wake_decode(const char *text);

/* The floors: a word in shared memory with a futex, or polled; and a pipe. */
struct transport wake_futex(void);
struct transport wake_word(void);
struct transport wake_pipe(void);

#endif
