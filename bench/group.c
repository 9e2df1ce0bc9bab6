#include "bench/group.h"

#include "bench/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORD_BYTES 256u
#define FILE_BYTES   (UINT64_C(16) << 20)

struct group {
    int fd;
    pthread_mutex_t leader;
    _Atomic uint64_t appended; /* records */
    _Atomic uint64_t written;
    _Atomic uint64_t durable;
    _Atomic uint32_t generation; /* futex word: one more with each sync */
};

struct group *group_new(const char *path)
{
    struct group *group = calloc(1, sizeof(*group));
    static uint8_t block[1 << 20];

    bench_check(group, "out of memory");
    pthread_mutex_init(&group->leader, NULL);
    memset(block, 'x', sizeof(block));
    group->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bench_check(group->fd >= 0, "%s: %s", path, strerror(errno));
    for (uint64_t at = 0; at < FILE_BYTES; at += sizeof(block))
        write_all(group->fd, block, sizeof(block));
    bench_check(fdatasync(group->fd) == 0, "fdatasync: %s", strerror(errno));
    return group;
}

/* The leader unlocks before it wakes: who found the lock taken then sees a new generation. */
static void group_lead(struct group *group, uint64_t n)
{
    if (atomic_load(&group->durable) < n) {
        const uint64_t covered = atomic_load(&group->written);
        bench_check(fdatasync(group->fd) == 0, "fdatasync: %s", strerror(errno));
        atomic_store(&group->durable, covered);
    }
    pthread_mutex_unlock(&group->leader);
    atomic_fetch_add(&group->generation, 1);
    syscall(SYS_futex, &group->generation, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* Whoever finds no leader becomes one; the others sleep until the next sync is done. */
static void group_wait_durable(struct group *group, uint64_t n)
{
    while (atomic_load(&group->durable) < n) {
        const uint32_t generation = atomic_load(&group->generation);
        if (pthread_mutex_trylock(&group->leader) == 0) {
            group_lead(group, n);
            continue;
        }
        if (atomic_load(&group->durable) < n)
            syscall(SYS_futex, &group->generation, FUTEX_WAIT_PRIVATE, generation, NULL, NULL, 0);
    }
}

static uint64_t group_thread(void *state, uint32_t thread, uint64_t deadline_ns)
{
    struct group *group = state;
    uint8_t record[RECORD_BYTES];
    uint64_t n = 0;

    memset(record, (int)thread, sizeof(record));
    do {
        const uint64_t i = atomic_fetch_add(&group->appended, 1);
        const uint64_t at = i * RECORD_BYTES % FILE_BYTES;
        bench_check(pwrite(group->fd, record, sizeof(record), (off_t)at) == sizeof(record),
            "pwrite: %s", strerror(errno));
        /* A floor: it counts what is written, and does not mind gaps below. */
        const uint64_t mine = atomic_fetch_add(&group->written, 1) + 1;
        group_wait_durable(group, mine);
        n++;
    } while (now_ns() < deadline_ns);
    return n;
}

uint64_t group_run(struct group *group, uint32_t n_threads, uint64_t duration_ns)
{
    return threads_run(n_threads, group_thread, group, duration_ns);
}

/* ---- threads ------------------------------------------------------------------------------- */

struct thread {
    pthread_t id;
    uint32_t number;
    thread_work *work;
    void *state;
    uint64_t deadline_ns;
    uint64_t n;
};

static void *thread_main(void *argument)
{
    struct thread *thread = argument;

    thread->n = thread->work(thread->state, thread->number, thread->deadline_ns);
    return NULL;
}

uint64_t threads_run(uint32_t n_threads, thread_work *work, void *state, uint64_t duration_ns)
{
    const uint64_t deadline = now_ns() + duration_ns;
    struct thread threads[64];
    uint64_t n = 0;

    bench_check(n_threads <= 64, "%u threads", n_threads);
    for (uint32_t i = 0; i < n_threads; i++) {
        threads[i] =
            (struct thread){.number = i, .work = work, .state = state, .deadline_ns = deadline};
        bench_check(pthread_create(&threads[i].id, NULL, thread_main, &threads[i]) == 0,
            "cannot start a thread");
    }
    for (uint32_t i = 0; i < n_threads; i++) {
        bench_check(pthread_join(threads[i].id, NULL) == 0, "pthread_join");
        n += threads[i].n;
    }
    return n;
}
