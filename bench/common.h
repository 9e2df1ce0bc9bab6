/* What the operations that use our own pools share. Those of bench_pool measure them through the
 * engine, as a program that links the library does; those of bench_cli run the command line. Each
 * is one file. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include "bench/bench.h"
#include "engine/pool.h"

/* Ends the program with the error's text unless result is 0. */
void bench_ok(int result, plsm_error_t *err, const char *what);

/* A new pool of bench_pool_bytes() in dir=, and the same pool opened again. */
struct pool *bench_pool_create(const char *name);
struct pool *bench_pool_open(const char *name, enum pool_mode mode);
void bench_pool_remove(const char *name);

/* Appends one lap and more of payloads, so that every page is present and every append evicts.
 * Returns how many messages. */
uint64_t bench_pool_warm(struct pool *pool, const struct payloads *payloads);

/* Reads all that is retained: seqs without a hole up to the last of n_appended, data as the
 * writers (0 .. n_writers-1) wrote it, in each one's order. */
void bench_pool_verify(struct pool *pool, size_t size, uint32_t n_writers, uint64_t n_appended);

/* A pool that is only read: made and filled once, then opened again by later runs.
 * Its message with seq s is payload s - 1. */
struct pool *bench_pool_filled(const char *name, size_t size);

void bench_append(void);
void bench_append_latency(void);
void bench_cursor(void);
void bench_fetch(void);
void bench_wake(void);
void bench_spin(void);
void bench_flush(void);
void bench_compact(void);

void bench_feed_jsonl(void);
void bench_follow_jsonl(void);
void bench_feed_follow(void);
void bench_oneshot(void);
void bench_tap_lines(void);

#endif
