/* Crash at every step: what the parts of this proof share.
 *
 * A child does one thing to a pool and is single-stepped through it. After each instruction that
 * changed the mapped file, the file is a state that kill -9 could have left. The state is copied
 * (crash_step.c), and workers (crash_workers.c) open the copy, read it, write to it, and hold it
 * against what must be there (crash_check.c). What the children do is in crash_scene.c; what happens to whole folders,
 * when pools are created and repaired, in crash_folder.c; crash_live.c kills for real, among living
 * writers and a reader. */
#ifndef PROOF_CRASH_H
#define PROOF_CRASH_H

#include "base/clock.h"
#include "engine/handle.h"
#include "engine/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATE_BYTES_MAX 65536
#define LISTING_MAX     2048 /* messages; the smallest takes 64 bytes of ring */
#define JOBS            48
#define WORKERS_MAX     16
#define FAILURE_MAX     400

/* Waiting for a dead one's lock. The machine's own pauses come on top of it. */
#define TAKEOVER_NS     (200 * NS_PER_MS)
#define TAKEOVER_MAX_NS (500 * NS_PER_MS)

struct rng {
    uint64_t state;
};

static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}

/* The messages of a pool. */
struct listing {
    uint64_t first_seq; /* of the oldest; next_seq if there is none */
    uint64_t next_seq;
    uint32_t crcs[LISTING_MAX];   /* of tags and data; 0: damaged */
    uint64_t starts[LISTING_MAX]; /* positions */
    uint64_t end;                 /* of the newest message */
};

/* How the next writer comes to a crashed pool. */
enum {
    WAY_ONCE = 1, /* with another lease than the dead, and the patience for one look */
    WAY_SAME = 2, /* with the very lease number of the dead */
    WAY_WAIT = 4, /* with another lease, and the default patience: 10 ms until it asks */
    WAY_ALL = WAY_ONCE | WAY_SAME | WAY_WAIT,
};

/* A state on its way to a worker, and what came of it. */
struct job {
    uint64_t step;
    uintptr_t pc;  /* of the instruction that was not executed any more */
    bool acked;    /* the call had returned */
    bool lap;      /* append a whole lap to the copy */
    unsigned ways; /* to try, one after the other */
    size_t size;
    uint64_t next_seq; /* seen by the worker */
    uint64_t took_ns;  /* the slowest opening and append */
    bool late;         /* the last one, later than the machine's pauses explain */
    char failure[FAILURE_MAX];
    uint8_t bytes[STATE_BYTES_MAX];
};

/* Lies in memory that all processes share. */
struct crash_shared {
    struct listing before; /* the call that is stepped */
    struct listing after;
    bool flushes;                   /* the call makes everything durable */
    uint64_t damaged_end;           /* where a damaged frame ends; 0: there is none */
    atomic_bool acked;              /* the call has returned */
    _Atomic(uint32_t) lease;        /* the stepped child's */
    _Atomic(uint64_t) noise_ns;     /* the machine's longest pause so far */
    _Atomic(uint64_t) noise_sum_ns; /* all its pauses */
    _Atomic(uint64_t) took_ns;      /* the slowest opening and append of all */
    _Atomic(uint64_t) n_late;       /* those over TAKEOVER_NS */
    _Atomic(uint64_t) n_checked;    /* openings */
    _Atomic(uint64_t) n_wrong;
    _Atomic(uint8_t) working[WORKERS_MAX]; /* which job each has */
    struct job jobs[JOBS];
};

extern struct crash_shared *crash_shared;
extern char crash_folder[64];

/* Ends the program: the machine, not the pool, does not do what it must. */
__attribute__((noreturn, format(printf, 1, 2))) void crash_die(const char *format, ...);

/* Ends it as skipped. */
__attribute__((noreturn)) void crash_skip(const char *reason);

/* Counts a broken promise and prints it. */
__attribute__((format(printf, 1, 2))) void crash_wrong(const char *format, ...);

/* A child that ends with this process. */
pid_t crash_fork(void);

/* For children that are not stepped: on all processors. */
void crash_roam(void);

/* Which lease number the next handle that takes one is given, where it is free. */
void crash_pretend_lease(uint32_t lease);

/* Whether files without a name are refused, as by some file systems. */
void crash_refuse_unnamed(bool refused);

void crash_file_write(const char *path, const uint8_t *bytes, size_t len);
size_t crash_file_read(const char *path, uint8_t *bytes, size_t max);

/* crash_scene.c: something to do to a pool. */
#define SCENE_MESSAGES_MAX 16

struct scene {
    const char *name;
    unsigned round;
    struct rng rng;
    char path[96]; /* of the pool that is used */
    uint64_t size;
    bool open_inside; /* opening is part of what is stepped */
    bool reader;      /* read and wait, no more */
    bool flush;
    bool recovers;        /* the listing before cannot be read without recovering */
    uint64_t damaged_end; /* of a frame that the call has to step over; 0: none */
    uint32_t lease;       /* which the child is given */
    size_t n_messages;    /* to append at once */
    struct message messages[SCENE_MESSAGES_MAX];
};

struct shape {
    const char *name;
    void (*prepare)(struct scene *scene);
};

extern const struct shape crash_shapes[];
extern const size_t crash_n_shapes;

/* Makes the pool and says what is to be done. */
void scene_prepare(struct scene *scene, const struct shape *shape, unsigned round, uint64_t seed,
    const char *path);

/* Does it; begin is called when all that is not to be stepped is done. Sets crash_shared->acked. */
void scene_act(struct scene *scene, void (*begin)(void));

/* crash_check.c
 *
 * Reads all messages; each must also be found by its seq. */
bool listing_read(struct pool *pool, struct listing *out_listing, char failure[static FAILURE_MAX]);

/* Whether a state's messages are those that must be there. */
bool listing_allowed(const struct listing *listing, const struct listing *before,
    const struct listing *after, bool acked, char failure[static FAILURE_MAX]);

/* Opens the pool in a way, as the first after the crash: everything must be as said. */
void check_pool(const char *path, unsigned way, struct job *job);

/* crash_workers.c: processes that check states. workers_job() gives an empty job, workers_post() hands it over filled;
 * then is called with each that is done, from within workers_job() and workers_drain(). */
void workers_start(unsigned n, void (*then)(const struct job *job));
struct job *workers_job(void);
void workers_post(struct job *job);
void workers_drain(void);
void workers_stop(void);

/* crash_step.c */
struct step_counts {
    uint64_t n_steps;
    uint64_t n_states; /* distinct ones */
    uint64_t n_locked; /* with a lock held by the dead */
};

/* A traced child that runs the function until it stops itself by trace_stop(). */
pid_t trace_start(void (*run)(const void *arg), const void *arg);
void trace_stop(void);
/* One instruction, or one system call. False: the child has ended. */
bool trace_step(pid_t pid);
bool trace_syscall(pid_t pid);
uintptr_t trace_pc(pid_t pid);
void trace_kill(pid_t pid);
/* Writes "module+0xoffset". */
void trace_symbol(uintptr_t pc, char *text, size_t size);

/* Steps a child through the scene and has every new state checked. */
void step_scene(struct scene *scene, bool all_ways, struct step_counts *counts);
void step_done(const struct job *job);

/* crash_folder.c: pools that are created and repaired. Counts distinct states of the folder. */
uint64_t folder_create(bool unnamed);
uint64_t folder_repair(bool unnamed, uint64_t seed);

/* crash_live.c */
struct live_counts {
    uint64_t n_kills;
    uint64_t n_inside; /* while the victim held the writer's lock */
    uint64_t n_acked;
    uint64_t n_messages;
    uint64_t p99_ns; /* waits of the living, after kills */
    uint64_t max_ns;
};
void live_run(unsigned n_kills, uint64_t seed, struct live_counts *counts);

#endif
