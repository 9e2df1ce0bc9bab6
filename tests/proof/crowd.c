/* Crowds: a thousand followers, 64 writers, ten thousand opens and closes, forks amid appends, a
 * storm of signals, and a pool that is deleted and made anew under its follower.
 *
 * Sleeps on futexes last up to a minute here (the build lets futex_wait() go through a function of
 * this file), so that a lost wake-up is no delay of a few milliseconds but a failure. */
#include "base/clock.h"
#include "engine/handle.h"
#include "engine/lease.h"
#include "os/futex.h"
#include "tests/proof/proof.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define PATIENCE_MS 40000 /* how long a fact may take; a lost wake-up takes longer */
#define SLEEP_NS    (60 * NS_PER_SECOND)
#define WRITERS     64

static struct {
    char folder[64];
    char path[96];
    bool brief;
    bool short_sleeps; /* where waiting for nothing is what is tried */
    int n_cases;
} proof;

int __real_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);
int __wrap_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);
int __wrap_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns)
{
    return __real_futex_wait(word, expected, proof.short_sleeps ? timeout_ns : SLEEP_NS);
}

static void passed(const char *what, unsigned long long n)
{
    printf("ok %d - %s: %llu\n", ++proof.n_cases, what, n);
}

static uint64_t count(uint64_t brief, uint64_t full)
{
    return proof.brief ? brief : full;
}

static void make_pool(uint64_t size_bytes)
{
    const struct pool_create_options options = {
        .size_bytes = size_bytes, .index_capacity = POOL_INDEX_DEFAULT};
    unlink(proof.path);
    must(pool_create(proof.path, &options, NULL) == 0);
}

static struct pool *open_pool(enum pool_mode mode)
{
    const struct pool_open_options options = {.busy_timeout_ms = PATIENCE_MS, .spin_turns = 0};
    struct pool *pool = NULL;
    must(pool_open(proof.path, mode, &options, &pool, NULL) == POOL_OK);
    return pool;
}

static uint64_t append(struct pool *pool, unsigned who, uint64_t n)
{
    char text[64];
    struct appended appended;
    snprintf(text, sizeof(text), "{\"who\":%u,\"n\":%llu}", who, (unsigned long long)n);
    const struct message message = {.data = view_str(text)};
    must(pool_append(pool, &message, 1, &appended, NULL) == POOL_OK);
    return appended.first_seq;
}

static void verify(uint64_t n_expected)
{
    struct pool *pool = open_pool(POOL_READ);
    struct pool_report report;
    struct pool_info info;
    must(pool_verify(pool, &report, NULL) == POOL_OK && report.n_issues == 0);
    must(pool_info(pool, &info, NULL) == POOL_OK);
    must(info.next_seq == n_expected + 1);
    pool_close(pool);
}

static pid_t start(void (*run)(unsigned number), unsigned number)
{
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run(number);
    _exit(0);
}

static void join(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        int status;
        must(waitpid(-1, &status, 0) > 0);
        must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

/* Shared by all processes of a case. */
struct board {
    _Atomic(uint64_t) n_seen;
    uint64_t n_messages;
};
static struct board *board;

static void wait_until(const _Atomic(uint64_t) *word, uint64_t value)
{
    const uint64_t deadline_ns = clock_deadline_ns(PATIENCE_MS);
    while (atomic_load(word) < value) {
        must(clock_monotonic_ns() < deadline_ns);
        usleep(100);
    }
}

/* Followers: each message is seen by all, who sleep meanwhile, before the next one comes. ---------*/

static void follower_run(unsigned number)
{
    struct pool *pool = open_pool(number % 2 == 0 ? POOL_READ : POOL_WRITE);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    cursor_oldest(&cursor, pool);
    for (uint64_t seq = 1; seq <= board->n_messages; seq++) {
        int r;
        while ((r = cursor_next(&cursor, &frame, &gap, NULL)) == CURSOR_EMPTY) {
            const uint64_t deadline_ns = clock_deadline_ns(PATIENCE_MS);
            must(follow_wait(&cursor, deadline_ns, NULL) == FOLLOW_READY);
            must(clock_monotonic_ns() < deadline_ns);
        }
        must(r == CURSOR_FRAME && frame.seq == seq);
        atomic_fetch_add(&board->n_seen, 1);
    }
    pool_close(pool);
}

static void test_followers(void)
{
    const unsigned n = (unsigned)count(200, 1000);
    make_pool(1 << 20);
    *board = (struct board){.n_messages = count(40, 1000)};
    for (unsigned i = 0; i < n; i++)
        start(follower_run, i);
    struct pool *pool = open_pool(POOL_WRITE);
    for (uint64_t seq = 1; seq <= board->n_messages; seq++) {
        append(pool, 0, seq);
        wait_until(&board->n_seen, seq * n);
    }
    join(n);
    pool_close(pool);
    verify(board->n_messages);
    passed("messages seen by all of many followers, none late", board->n_messages * n);
}

/* Writers: all acknowledged, gapless, each one's in its own order. ---------------------------------*/

static void writer_run(unsigned number)
{
    struct pool *pool = open_pool(POOL_WRITE);
    uint64_t last = 0;
    for (uint64_t i = 0; i < board->n_messages; i++) {
        const uint64_t seq = append(pool, number, i);
        must(seq > last);
        last = seq;
        if (i % 1000 == 999)
            must(pool_flush(pool, NULL) == POOL_OK);
    }
    pool_close(pool);
}

static void test_writers(void)
{
    uint64_t next[WRITERS] = {0};
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t seq = 0;

    make_pool(count(16, 256) << 20);
    *board = (struct board){.n_messages = count(1000, 20000)};
    for (unsigned i = 0; i < WRITERS; i++)
        start(writer_run, i);
    join(WRITERS);
    verify(WRITERS * board->n_messages);
    struct pool *pool = open_pool(POOL_READ);
    cursor_oldest(&cursor, pool);
    while (cursor_next(&cursor, &frame, &gap, NULL) == CURSOR_FRAME) {
        char text[64];
        unsigned who = 0;
        unsigned long long n = 0;
        must(frame.seq == ++seq && frame.data.len < sizeof(text));
        memcpy(text, frame.data.data, frame.data.len);
        text[frame.data.len] = '\0';
        must(sscanf(text, "{\"who\":%u,\"n\":%llu}", &who, &n) == 2);
        must(who < WRITERS && n == next[who]);
        next[who]++;
    }
    must(seq == WRITERS * board->n_messages);
    pool_close(pool);
    passed("messages of 64 writers, gapless and in order", seq);
}

/* Opening and closing leaves nothing. --------------------------------------------------------------*/

struct holdings {
    size_t n_descriptors;
    size_t n_maps;
    size_t n_bytes;
};

static size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    size_t n = 0;
    must(file != NULL);
    for (int c; (c = fgetc(file)) != EOF;)
        n += c == '\n';
    must(fclose(file) == 0);
    return n;
}

static struct holdings count_holdings(void)
{
    struct holdings holdings = {0};
    DIR *dir = opendir("/proc/self/fd");
    must(dir != NULL);
    while (readdir(dir) != NULL)
        holdings.n_descriptors++;
    must(closedir(dir) == 0);
    holdings.n_maps = count_lines("/proc/self/maps");
#if !defined(__SANITIZE_ADDRESS__)
    holdings.n_bytes = mallinfo2().uordblks;
#endif
    return holdings;
}

static void open_and_close(uint64_t n)
{
    struct frame frame;
    for (uint64_t i = 0; i < n; i++) {
        struct pool *pool = open_pool(i % 2 == 0 ? POOL_READ : POOL_WRITE);
        if (i % 2 == 0)
            must(pool_get(pool, 1, &frame, NULL) == POOL_OK);
        else if (i % 64 == 1)
            append(pool, 1, i);
        pool_close(pool);
    }
}

static void test_opens(void)
{
    const uint64_t n = count(10000, 200000);
    make_pool(8 << 20);
    struct pool *pool = open_pool(POOL_WRITE);
    append(pool, 0, 0);
    pool_close(pool);
    open_and_close(100);
    const struct holdings before = count_holdings();
    open_and_close(n);
    const struct holdings after = count_holdings();
    must(after.n_descriptors == before.n_descriptors);
    must(after.n_maps == before.n_maps);
    must(after.n_bytes == before.n_bytes);
    passed("opens and closes, nothing left over", n);
}

/* Forks amid appends: the child uses the inherited handle and one of its own. ------------------------*/

static struct {
    struct pool *pool;
    atomic_bool stop;
    _Atomic(uint64_t) n_acked;
} storm;

static void *storm_append(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; !atomic_load(&storm.stop); i++) {
        append(storm.pool, 1, i);
        atomic_fetch_add(&storm.n_acked, 1);
    }
    return NULL;
}

static void forked(unsigned number)
{
    alarm(60);
    if (number % 3 != 0)
        append(storm.pool, 2, number);
    struct pool *own = open_pool(POOL_WRITE);
    append(own, 3, number);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    cursor_oldest(&cursor, storm.pool);
    must(cursor_next(&cursor, &frame, &gap, NULL) != -1);
    pool_close(own);
    if (number % 2 == 0)
        pool_close(storm.pool);
    else if (number % 5 == 0) /* dies inside: the others must not take it for themselves */
        must(append(storm.pool, 2, 0) > 0 &&
             lock_take(storm.pool, &storm.pool->control->lock) == POOL_OK);
}

static void test_forks(void)
{
    const unsigned n = (unsigned)count(300, 10000);
    pthread_t threads[4];
    uint64_t n_children = 0;

    proof.short_sleeps = true; /* a child that ends without its lease is found by asking */
    make_pool(1 << 20);
    storm.pool = open_pool(POOL_WRITE);
    atomic_store(&storm.stop, false);
    for (int i = 0; i < 4; i++)
        must(pthread_create(&threads[i], NULL, storm_append, NULL) == 0);
    for (unsigned i = 0; i < n; i++) {
        start(forked, i);
        n_children += 1;
        n_children += i % 3 != 0 ? 1 : 0;
        n_children += i % 2 != 0 && i % 5 == 0 ? 1 : 0;
        if (i % 8 == 7)
            join(8);
    }
    join(n % 8);
    atomic_store(&storm.stop, true);
    for (int i = 0; i < 4; i++)
        must(pthread_join(threads[i], NULL) == 0);
    pool_close(storm.pool);
    verify(atomic_load(&storm.n_acked) + n_children);
    proof.short_sleeps = false;
    passed("forks amid appends", n);
}

/* A storm of signals at a follower, a writer and a flusher. -------------------------------------------*/

static struct {
    struct pool *pool;
    atomic_bool done[3];
    uint64_t n_messages;
    _Atomic(uint64_t) n_signals;
    _Atomic(uint64_t) n_interrupted;
} rain;

static void on_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&rain.n_signals, 1);
}

static void *rain_write(void *arg)
{
    (void)arg;
    for (uint64_t i = 1; i <= rain.n_messages; i++)
        must(append(rain.pool, 0, i) == i);
    atomic_store(&rain.done[0], true);
    return NULL;
}

static void *rain_flush(void *arg)
{
    (void)arg;
    while (!atomic_load(&rain.done[0]))
        must(pool_flush(rain.pool, NULL) == POOL_OK);
    must(pool_flush(rain.pool, NULL) == POOL_OK);
    must(atomic_load(&rain.pool->control->durable) == atomic_load(&rain.pool->control->tail));
    atomic_store(&rain.done[1], true);
    return NULL;
}

static void *rain_follow(void *arg)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t seq = 0;

    (void)arg;
    cursor_oldest(&cursor, rain.pool);
    while (seq < rain.n_messages) {
        const int r = cursor_next(&cursor, &frame, &gap, NULL);
        if (r == CURSOR_FRAME) {
            must(frame.seq == ++seq);
            continue;
        }
        must(r == CURSOR_EMPTY);
        const int waited = follow_wait(&cursor, clock_deadline_ns(PATIENCE_MS), NULL);
        must(waited == FOLLOW_READY || waited == FOLLOW_SIGNAL);
        if (waited == FOLLOW_SIGNAL)
            atomic_fetch_add(&rain.n_interrupted, 1);
    }
    /* now that nothing comes any more each signal ends a wait, and the deadline is kept */
    for (int i = 0; i < 50; i++) {
        const int waited = follow_wait(&cursor, clock_deadline_ns(PATIENCE_MS), NULL);
        must(waited == FOLLOW_SIGNAL);
        atomic_fetch_add(&rain.n_interrupted, 1);
    }
    atomic_store(&rain.done[2], true);
    return NULL;
}

static void test_signals(void)
{
    static void *(*const runs[])(void *) = {rain_write, rain_flush, rain_follow};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART */
    pthread_t threads[3];

    must(sigaction(SIGUSR1, &action, NULL) == 0);
    make_pool(count(16, 256) << 20);
    rain.pool = open_pool(POOL_WRITE);
    rain.n_messages = count(100000, 2000000);
    for (int i = 0; i < 3; i++)
        must(pthread_create(&threads[i], NULL, runs[i], NULL) == 0);
    bool all = false;
    while (!all) {
        all = true;
        for (int i = 0; i < 3; i++) {
            if (atomic_load(&rain.done[i]))
                continue;
            all = false;
            must(pthread_kill(threads[i], SIGUSR1) == 0);
        }
        usleep(20);
    }
    for (int i = 0; i < 3; i++)
        must(pthread_join(threads[i], NULL) == 0);
    pool_close(rain.pool);
    verify(rain.n_messages);
    must(atomic_load(&rain.n_interrupted) >= 50);
    passed("signals at a writer, a flusher and a follower, nothing lost",
        atomic_load(&rain.n_signals));
}

/* A pool deleted and made anew under a follower. ------------------------------------------------------*/

/* How long the follower did not know. */
static uint64_t delete_and_create(bool read_only)
{
    struct pool *pool = open_pool(POOL_WRITE);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    append(pool, 0, 1);
    struct pool *follower = open_pool(read_only ? POOL_READ : POOL_WRITE);
    cursor_newest(&cursor, follower);
    must(unlink(proof.path) == 0);
    const uint64_t from_ns = clock_monotonic_ns();
    must(follow_wait(&cursor, clock_deadline_ns(PATIENCE_MS), NULL) == FOLLOW_DELETED);
    const uint64_t took_ns = clock_monotonic_ns() - from_ns;
    pool_close(follower);
    pool_close(pool);

    make_pool(65536);
    follower = open_pool(POOL_READ);
    pool = open_pool(POOL_WRITE);
    cursor_oldest(&cursor, follower);
    must(append(pool, 0, 2) == 1);
    must(follow_wait(&cursor, clock_deadline_ns(PATIENCE_MS), NULL) == FOLLOW_READY);
    must(cursor_next(&cursor, &frame, &gap, NULL) == CURSOR_FRAME && frame.seq == 1);
    pool_close(follower);
    pool_close(pool);
    return took_ns;
}

static void test_deleted(void)
{
    const unsigned n = (unsigned)count(8, 200);
    unsigned n_in_time = 0;

    proof.short_sleeps = true;
    make_pool(65536);
    for (unsigned i = 0; i < n; i++)
        n_in_time += delete_and_create(i % 2 == 0) <= 250 * NS_PER_MS ? 1 : 0;
    proof.short_sleeps = false;
    must(n_in_time >= n / 2); /* the others waited for a processor */
    passed("pools deleted and made anew under a follower", n);
    printf("# in %u of %u cases the follower knew within 250 ms\n", n_in_time, n);
}

int main(int argc, char **argv)
{
    static void (*const tests[])(void) = {
        test_opens, test_followers, test_writers, test_forks, test_signals, test_deleted};
    proof.brief = argc < 2 || strcmp(argv[1], "long") != 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    proof_folder(proof.folder);
    snprintf(proof.path, sizeof(proof.path), "%s/pool.plasmite", proof.folder);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(board != MAP_FAILED);
    printf("1..%d\n", (int)(sizeof(tests) / sizeof(*tests)));
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
        tests[i]();
    unlink(proof.path);
    rmdir(proof.folder);
    printf("# proof: crowd: %llu opens, %llu followers x %llu messages, 64 writers x %llu, %llu "
           "forks, "
           "%llu signals, %llu pools made anew: nothing lost, nothing left over\n",
        (unsigned long long)count(10000, 200000), (unsigned long long)count(200, 1000),
        (unsigned long long)count(40, 1000), (unsigned long long)count(1000, 20000),
        (unsigned long long)count(300, 10000), (unsigned long long)atomic_load(&rain.n_signals),
        (unsigned long long)count(8, 200));
    return 0;
}
