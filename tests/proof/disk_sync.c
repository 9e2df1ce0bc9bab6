/* fdatasync and fsync fail once, as they do after a lost write: the kernel forgets the pages and
 * the next call succeeds. Nobody may be told that a message is durable which is not. */
#include "base/clock.h"
#include "engine/handle.h"
#include "tests/proof/disk.h"
#include "tests/proof/proof.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FLUSHERS_MAX 8
#define ROUNDS       3
#define GATHER_TURNS 50 /* how long the sync that fails waits for more to wait for it */

/* In memory that all share. */
struct shared {
    _Atomic(uint32_t) n_calls;   /* of syncs */
    _Atomic(uint32_t) n_waiting; /* flushers that have called */
    uint32_t fail_at;            /* the call that fails, from 1; 0: none */
    int fail_with;
    _Atomic(bool) failed;
    _Atomic(uint64_t) safe; /* what the syncs before that carried to the disk */

    _Atomic(uint64_t) n_messages, n_true, n_io, n_false, n_others;
};

static struct shared *shared;

/* One flusher: a thread with a handle of its own, or one that it shares. */
struct flusher {
    struct pool *pool;
    pthread_t thread;
};

static struct {
    char path[128];
    unsigned n_flushers;
} scene;

static uint64_t file_tail(int fd)
{
    uint64_t tail = 0;
    must(pread(fd, &tail, sizeof(tail), FORMAT_CONTROL_OFFSET + offsetof(struct control, tail)) ==
         sizeof(tail));
    return tail;
}

/* The C library's, replaced for this program. */
static int sync_in_our_place(int fd)
{
    struct stat status;
    const uint32_t call = atomic_fetch_add(&shared->n_calls, 1) + 1;
    must(fstat(fd, &status) == 0);
    const uint64_t tail = S_ISREG(status.st_mode) ? file_tail(fd) : 0;

    sched_yield(); /* others may append or queue up */
    if (call == shared->fail_at) {
        for (int i = 0; i < GATHER_TURNS && shared->n_waiting < scene.n_flushers; i++)
            sched_yield();
        atomic_store(&shared->failed, true);
        errno = shared->fail_with;
        return -1;
    }
    uint64_t safe = shared->safe;
    while (
        tail > safe && !shared->failed && !atomic_compare_exchange_weak(&shared->safe, &safe, tail))
        continue;
    return 0;
}

int fdatasync(int fd)
{
    return shared == NULL ? (int)syscall(SYS_fdatasync, fd) : sync_in_our_place(fd);
}

int fsync(int fd)
{
    return shared == NULL ? (int)syscall(SYS_fsync, fd) : sync_in_our_place(fd);
}

static void flush_once(struct pool *pool)
{
    static const char text[] = "{\"to\":\"the disk\"}";
    const struct message message = {.data = {(const uint8_t *)text, sizeof(text) - 1}};
    struct appended appended;
    plsm_error_t *err = NULL;

    must(pool_append(pool, &message, 1, &appended, &err) == POOL_OK);
    atomic_fetch_add(&shared->n_messages, 1);
    atomic_fetch_add(&shared->n_waiting, 1);
    const int r = pool_flush_to(pool, appended.end_pos, &err);
    if (r == POOL_OK && appended.end_pos <= shared->safe)
        atomic_fetch_add(&shared->n_true, 1);
    else if (r == POOL_OK)
        atomic_fetch_add(&shared->n_false, 1);
    else if (r == -1 && err != NULL && err->kind == PLSM_ERROR_IO && shared->failed)
        atomic_fetch_add(&shared->n_io, 1);
    else
        atomic_fetch_add(&shared->n_others, 1);
    plsm_error_free(err);
}

static void *flusher_run(void *arg)
{
    const struct flusher *flusher = arg;
    for (int i = 0; i < ROUNDS; i++)
        flush_once(flusher->pool);
    return NULL;
}

static struct pool *open_pool(void)
{
    struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    if (pool_open(scene.path, POOL_WRITE, NULL, &pool, &err) != POOL_OK)
        fprintf(stderr, "disk: open: %s\n", err != NULL ? err->message : "busy");
    must(pool != NULL);
    return pool;
}

/* Threads, with one handle or one each. */
static void flush_in_threads(unsigned n_threads, bool share)
{
    struct flusher flushers[FLUSHERS_MAX];
    for (unsigned i = 0; i < n_threads; i++)
        flushers[i].pool = share && i > 0 ? flushers[0].pool : open_pool();
    for (unsigned i = 0; i < n_threads; i++)
        must(pthread_create(&flushers[i].thread, NULL, flusher_run, &flushers[i]) == 0);
    for (unsigned i = 0; i < n_threads; i++)
        must(pthread_join(flushers[i].thread, NULL) == 0);
    for (unsigned i = 0; i < n_threads; i++)
        if (!share || i == 0)
            pool_close(flushers[i].pool);
}

/* Processes. All have the pool open before the first one flushes: so none of them is the one that
 * may begin anew. */
static void flush_in_processes(unsigned n_processes)
{
    pid_t pids[FLUSHERS_MAX];
    struct pool *pool = open_pool(); /* held open until the last has ended */
    for (unsigned i = 0; i < n_processes; i++) {
        pids[i] = fork();
        must(pids[i] >= 0);
        if (pids[i] != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        flush_in_threads(1, true);
        _exit(0);
    }
    for (unsigned i = 0; i < n_processes; i++) {
        int status = 0;
        must(waitpid(pids[i], &status, 0) == pids[i]);
        if (status != 0)
            atomic_fetch_add(&shared->n_others, 1);
    }
    pool_close(pool);
}

/* With everybody gone, the pool is whole again, and flushes. */
static bool check_afterwards(void)
{
    struct pool_report report;
    plsm_error_t *err = NULL;
    const uint64_t n_io = shared->n_io;

    shared->fail_at = 0;
    shared->failed = false;
    scoped(pool_close) struct pool *pool = open_pool();
    must(pool_verify(pool, &report, &err) == POOL_OK);
    const bool whole = report.n_issues == 0 && report.n_messages == shared->n_messages;
    flush_once(pool);
    if (whole && shared->n_io == n_io && shared->n_false == 0 && shared->n_others == 0)
        return true;
    fprintf(stderr,
        "disk: %u flushers: %" PRIu64 " of %" PRIu64 " messages, %zu issues; %" PRIu64
        " false, %" PRIu64 " other answers\n",
        scene.n_flushers, report.n_messages, shared->n_messages - 1, report.n_issues,
        shared->n_false, shared->n_others);
    return false;
}

static bool run_once(struct rng *rng)
{
    static const int errnos[] = {EIO, ENOSPC, EDQUOT};
    const struct pool_create_options options = {
        .size_bytes = 65536, .index_capacity = POOL_INDEX_DEFAULT};
    plsm_error_t *err = NULL;

    unlink(scene.path);
    must(pool_create(scene.path, &options, &err) == 0);
    memset(shared, 0, sizeof(*shared));
    scene.n_flushers = 1 + (unsigned)rng_below(rng, FLUSHERS_MAX);
    shared->fail_at = 1 + (uint32_t)rng_below(rng, 4);
    shared->fail_with = errnos[rng_below(rng, 3)];
    switch (rng_below(rng, 3)) {
    case 0: flush_in_threads(scene.n_flushers, true); break;
    case 1: flush_in_threads(scene.n_flushers, false); break;
    default: flush_in_processes(scene.n_flushers); break;
    }
    return check_afterwards();
}

bool disk_sync_errors(unsigned *number, uint64_t n_runs, uint64_t seed)
{
    struct rng rng = {seed};
    char folder[64];
    uint64_t n_failed = 0, n_io = 0, n_true = 0;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED);
    proof_folder(folder);
    snprintf(scene.path, sizeof(scene.path), "%s/pool", folder);
    for (uint64_t i = 0; i < n_runs && n_failed < 10; i++) {
        n_failed += !run_once(&rng);
        n_io += shared->n_io;
        n_true += shared->n_true;
    }
    munmap(shared, sizeof(*shared));
    shared = NULL; /* from here on syncs are real */
    unlink(scene.path);
    rmdir(folder);
    printf("# %" PRIu64 " runs with a failing sync: %" PRIu64 " flushes were done, %" PRIu64
           " ended with Io, %" PRIu64 " runs were wrong\n",
        n_runs, n_true, n_io, n_failed);
    return disk_case(
        number, "a failed sync is never called a success", n_failed == 0 && n_io > 0, NULL);
}
