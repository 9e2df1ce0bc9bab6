/* The floor beneath durable appends: threads append 256 bytes to a file and wait until it is on
 * the disk, one of them calling fdatasync for all that are waiting (group commit). */
#ifndef BENCH_GROUP_H
#define BENCH_GROUP_H

#include <stdint.h>

struct group;

/* Makes the file, all its blocks written and synced. */
struct group *group_new(const char *path);

/* Runs n threads for a while; returns how many records became durable. */
uint64_t group_run(struct group *group, uint32_t n_threads, uint64_t duration_ns);

/* Runs work in n threads and sums what they return. */
typedef uint64_t thread_work(void *state, uint32_t thread, uint64_t deadline_ns);
uint64_t threads_run(uint32_t n_threads, thread_work *work, void *state, uint64_t duration_ns);

#endif
