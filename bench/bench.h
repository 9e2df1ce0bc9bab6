/* What every benchmark program shares: arguments, results, payloads, samples, worker processes.
 *
 * A benchmark program measures one thing once:
 *
 *     bench_pool append json=1 writers=4 ms=200 dir=/tmp/x
 *
 * runs the operation "append" and prints one JSON object with what it measured. bench/run.py
 * calls the programs round by round, interleaved, and makes the table. Whatever an operation
 * moves it also checks; wrong data, like every other failure, ends the program with a message
 * and exit code 1, so that no figure of a broken run is ever shown. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A program lists its operations; bench.c has main(). The list ends with a NULL name. */
struct bench_op {
    const char *name;
    void (*run)(void);
};
extern const struct bench_op bench_ops[];

/* Ends the program with a message. */
#define bench_fail(...) bench_die(__FILE__, __LINE__, __VA_ARGS__)
#define bench_check(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            bench_fail(__VA_ARGS__);                                                               \
    } while (0)
void bench_die(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4), cold));

/* The argument name=value of the command line. arg_need ends the program where it is missing. */
const char *arg_text(const char *name, const char *fallback);
const char *arg_need(const char *name);
uint64_t arg_number(const char *name, uint64_t fallback);

/* dir=, joined with a file name; the caller frees it. */
char *bench_path(const char *name);

/* How long to measure: ms=. */
uint64_t bench_duration_ns(void);

/* Adds one value to the result. */
void report(const char *name, double value);
void report_rate(const char *name, uint64_t n, uint64_t elapsed_ns);

uint64_t now_ns(void); /* monotonic, the same in every process of the machine */
void sleep_until_ns(uint64_t moment_ns);

void write_all(int fd, const void *data, size_t len);
void *map_shared(size_t size_bytes); /* zeroed, shared with forked children, populated */

/* Size of the pools, pool_mib=64, and how many messages a store that is only read has,
 * messages=200000: a multiple of PAYLOAD_VARIANTS that fits the pool. */
uint64_t bench_pool_bytes(void);
uint64_t bench_messages(void);

/* ---- payloads ------------------------------------------------------------------------------ */

/* Message number i of a writer is text[i % PAYLOAD_VARIANTS]: cheap to produce, yet a message
 * that is lost, doubled or out of place shows, because its neighbours differ. Each is one
 * compact JSON object of exactly `size` bytes. */
#define PAYLOAD_VARIANTS 64u
#define PAYLOAD_MAX      4096u

/* They lie side by side: 64 of 256 bytes fit the first-level cache, as what a program has just
 * made would. */
struct payloads {
    size_t size;
    size_t stride; /* size, rounded up to whole cache lines */
    uint8_t *text;
};

struct payloads *payloads_new(size_t size, uint32_t writer);

static inline struct view payload_at(const struct payloads *payloads, uint64_t i)
{
    return view_of(payloads->text + i % PAYLOAD_VARIANTS * payloads->stride, payloads->size);
}

/* The same objects as people's programs print them, with a blank after each comma and colon. */
struct payloads *payloads_new_spaced(size_t size, uint32_t writer);

/* Follows a log in which the messages of several writers are mixed: each writer's own messages
 * must come in their order. The first one seen of a writer may be any (older ones are evicted). */
#define PAYLOAD_WRITERS 16u

struct payload_check {
    struct payloads *payloads[PAYLOAD_WRITERS];
    uint64_t next[PAYLOAD_WRITERS];
    bool started[PAYLOAD_WRITERS];
    uint64_t n_seen;
};

void payload_check_init(struct payload_check *check, size_t size, uint32_t n_writers);
void payload_check_next(struct payload_check *check, struct view data);

/* ---- samples ------------------------------------------------------------------------------- */

/* Latencies in nanoseconds. Adding never allocates; what does not fit is not kept. */
struct samples {
    uint32_t *values_ns;
    size_t n;
    size_t capacity;
};

void samples_init(struct samples *samples, size_t capacity);

static inline void samples_add(struct samples *samples, uint64_t value_ns)
{
    if (samples->n < samples->capacity)
        samples->values_ns[samples->n++] = value_ns > UINT32_MAX ? UINT32_MAX : (uint32_t)value_ns;
}

/* Sorts. The share is 0.5 for the median. */
double samples_share_ns(struct samples *samples, double share);

/* Adds PREFIX_p50, PREFIX_p99, PREFIX_p999 and PREFIX_max in microseconds. */
void report_samples(const char *prefix, struct samples *samples);

/* ---- workers ------------------------------------------------------------------------------- */

/* Runs n child processes. Each calls prepare (opens what it needs, warms up), then all start
 * work together; work runs until deadline_ns and returns how many messages it moved.
 * Returns the sum, and the time from the start to when the last one was done. */
struct workers {
    uint32_t n;
    uint64_t duration_ns;
    void *(*prepare)(uint32_t worker);
    uint64_t (*work)(void *state, uint32_t worker, uint64_t deadline_ns);
    void (*finish)(void *state); /* after the clock was stopped; may be NULL */
};

uint64_t workers_run(const struct workers *workers, uint64_t *out_elapsed_ns);

/* ---- child processes ----------------------------------------------------------------------- */

/* Starts argv[0]; -1 for a descriptor stands for /dev/null. stderr is inherited. */
pid_t spawn(const char *const *argv, int stdin_fd, int stdout_fd);

/* Waits for the end; returns the exit code, or 128 + the signal. */
int spawn_wait(pid_t pid);

void pipe_open(int out_fds[2]); /* close-on-exec */

#endif
