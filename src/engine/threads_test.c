/* Many threads on one handle: short, so that it also runs under the thread sanitizer. */
#include "engine/child_test.h"
#include "engine/format.h"

#include <pthread.h>
#include <sched.h>

#define N_THREADS 8

static struct pool *shared_pool;
static struct pool *shared_reader;
static atomic_bool stop;
static atomic_uint n_failures;
static _Atomic(uint64_t) n_appended;

/* Threads cannot use cmocka's assertions. */
#define thread_must(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,                     \
                err != NULL ? err->message : "");                                                  \
            atomic_fetch_add(&n_failures, 1);                                                      \
            atomic_store(&stop, true);                                                             \
        }                                                                                          \
    } while (0)

static void run_threads(void *(*const *functions)(void *), size_t n, uint64_t run_ms)
{
    pthread_t threads[N_THREADS];
    atomic_store(&stop, false);
    atomic_store(&n_failures, 0);
    atomic_store(&n_appended, 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, functions[i], (void *)(uintptr_t)i), 0);
    const uint64_t deadline_ns = clock_deadline_ns(run_ms);
    while (clock_monotonic_ns() < deadline_ns && !atomic_load(&stop))
        poll(NULL, 0, 10);
    atomic_store(&stop, true);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&n_failures), 0);
    assert_true(atomic_load(&n_appended) > 0);
}

static void append_numbered(uintptr_t thread, uint64_t n, uint64_t *out_end_pos)
{
    plsm_error_t *err = NULL;
    char data[256];
    struct appended appended = {0};
    const int pad = (int)(n * 31 % 150);
    snprintf(data, sizeof(data), "{\"t\":%u,\"n\":%llu,\"pad\":\"%*s\"}", (unsigned)thread,
        (unsigned long long)n, pad, "");
    const struct message message = test_message(data);
    thread_must(pool_append(shared_pool, &message, 1, &appended, &err) == POOL_OK);
    *out_end_pos = appended.end_pos;
    atomic_fetch_add(&n_appended, 1);
}

static void *appender(void *arg)
{
    uint64_t end_pos = 0;
    for (uint64_t n = 1; !atomic_load(&stop); n++)
        append_numbered((uintptr_t)arg, n, &end_pos);
    return NULL;
}

static void *flusher(void *arg)
{
    plsm_error_t *err = NULL;
    uint64_t end_pos = 0;
    for (uint64_t n = 1; !atomic_load(&stop); n++) {
        append_numbered((uintptr_t)arg, n, &end_pos);
        thread_must(pool_flush_to(shared_pool, end_pos, &err) == POOL_OK);
    }
    return NULL;
}

/* Follows, and checks that seqs and each thread's numbers only rise. */
static void *follower(void *arg)
{
    struct pool *pool = (uintptr_t)arg % 2 == 0 ? shared_pool : shared_reader;
    unsigned long long last[N_THREADS] = {0};
    plsm_error_t *err = NULL;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t next_seq = 0;

    cursor_oldest(&cursor, pool);
    while (!atomic_load(&stop)) {
        const int r = cursor_next(&cursor, &frame, &gap, &err);
        thread_must(r >= 0);
        if (r == CURSOR_GAP)
            next_seq = gap.next_seq;
        if (r == CURSOR_EMPTY)
            thread_must(follow_wait(&cursor, clock_deadline_ns(20), &err) >= 0);
        if (r != CURSOR_FRAME)
            continue;
        char text[300] = "";
        unsigned thread = 0;
        unsigned long long n = 0;
        thread_must(next_seq == 0 || frame.seq == next_seq);
        next_seq = frame.seq + 1;
        if (frame.data.len >= sizeof(text))
            continue; /* overwritten already, views and all */
        memcpy(text, frame.data.data, frame.data.len);
        if (!frame_still_valid(pool, &frame))
            continue;
        thread_must(sscanf(text, "{\"t\":%u,\"n\":%llu", &thread, &n) == 2 && thread < N_THREADS);
        thread_must(n > last[thread]);
        last[thread] = n;
    }
    return NULL;
}

static void *fetcher(void *arg)
{
    (void)arg;
    plsm_error_t *err = NULL;
    struct pool_info info;
    struct pool_report report;
    struct frame frame;
    for (uint64_t n = 0; !atomic_load(&stop); n++) {
        thread_must(pool_info(shared_pool, &info, &err) == POOL_OK);
        if (info.n_messages > 0) {
            const int r =
                pool_get(shared_pool, info.oldest_seq + n % info.n_messages, &frame, &err);
            thread_must(r == POOL_OK || r == POOL_MISSING);
        }
        if (n % 64 == 0) {
            thread_must(pool_verify(shared_reader, &report, &err) == 0);
            if (report.n_issues > 0)
                fprintf(stderr, "verify: %s\n", report.issues[0].message);
            thread_must(report.n_issues == 0);
        }
    }
    return NULL;
}

static void start(const char *name, uint64_t size_bytes)
{
    shared_pool = test_pool(name, size_bytes);
    shared_reader = test_open(test_path(name), POOL_READ);
}

static void finish(void)
{
    struct pool_info info;
    struct pool_report report;
    check_ok(pool_info(shared_pool, &info, &test_error));
    assert_int_equal(info.next_seq - 1, atomic_load(&n_appended));
    check_ok(pool_verify(shared_pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    print_message("# %llu messages\n", (unsigned long long)atomic_load(&n_appended));
    pool_close(shared_reader);
    pool_close(shared_pool);
}

static void test_threads_append_read_follow_and_flush_on_one_handle(void **state)
{
    (void)state;
    static void *(*const functions[N_THREADS])(void *) = {
        appender, appender, appender, flusher, follower, follower, fetcher, fetcher};
    start("mixed", 1 << 20);
    run_threads(functions, N_THREADS, 1500);
    finish();
}

static void test_threads_lapping_a_small_ring(void **state)
{
    (void)state;
    static void *(*const functions[N_THREADS])(void *) = {
        appender, appender, appender, appender, follower, follower, follower, fetcher};
    start("lapping", 16384);
    run_threads(functions, N_THREADS, 1500);
    finish();
}

static void test_threads_flushing_amid_laps_of_a_small_ring(void **state)
{
    (void)state;
    static void *(*const functions[N_THREADS])(void *) = {
        appender, appender, appender, appender, flusher, flusher, flusher, follower};
    start("flushing", 16384);
    run_threads(functions, N_THREADS, 2000);
    finish();
}

/* A thread that waits until it is told to stop, and again, as often as it is asked to. */
#define N_STOPS 2000
static atomic_uint n_stopped;

static void *stopped(void *arg)
{
    (void)arg;
    plsm_error_t *err = NULL;
    struct cursor cursor;
    cursor_newest(&cursor, shared_pool);
    for (unsigned i = 1; i <= N_STOPS; i++) {
        thread_must(follow_wait_unless(&cursor, &stop, DEADLINE_NEVER, &err) == FOLLOW_STOPPED);
        atomic_store(&stop, false);
        atomic_store(&n_stopped, i);
    }
    return NULL;
}

/* A lost wake-up would last until the sleeper looks up by itself, after 125 ms; the machine's own
 * pauses are as long at times. */
static void test_threads_that_wait_are_stopped_at_once(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned n_late = 0;
    start("stopped", 16384);
    atomic_store(&stop, false);
    atomic_store(&n_failures, 0);
    assert_int_equal(pthread_create(&thread, NULL, stopped, NULL), 0);
    for (unsigned i = 1; i <= N_STOPS; i++) {
        const uint64_t from_ns = clock_monotonic_ns();
        if (i % 16 == 0)
            poll(NULL, 0, 1); /* let it fall asleep; else it is met on its way there */
        atomic_store(&stop, true);
        follow_interrupt(shared_pool);
        while (atomic_load(&n_stopped) < i)
            sched_yield();
        n_late += test_elapsed_ms(from_ns) >= 100;
    }
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&n_failures), 0);
    assert_in_range(n_late, 0, 20);
    follow_interrupt(shared_reader); /* whatever the handle may do, it harms nothing */
    pool_close(shared_reader);
    pool_close(shared_pool);
}

TESTS(test_threads_append_read_follow_and_flush_on_one_handle, test_threads_lapping_a_small_ring,
    test_threads_flushing_amid_laps_of_a_small_ring, test_threads_that_wait_are_stopped_at_once)
