/* Many threads on one handle, and streams that are woken. Also runs under ThreadSanitizer. */
#include "abi/abi_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { N_WRITERS = 4, N_APPENDS = 500, N_MESSAGES = N_WRITERS * N_APPENDS };

struct writer {
    plsm_pool_t *pool;
    pthread_t thread;
    uint64_t seqs[N_APPENDS];
    bool failed;
};

/* No assertion outside the main thread: cmocka cannot leave a test from there. */
static void *writer_run(void *argument)
{
    struct writer *writer = argument;
    for (size_t i = 0; i < N_APPENDS && !writer->failed; i++) {
        plsm_buf_t message = {0};
        const char *json = "{\"text\":\"from a thread\"}";
        unsigned long long seq = 0;
        writer->failed = plsm_pool_append_json(writer->pool, (const uint8_t *)json, strlen(json),
                             NULL, 0, PLSM_FAST, &message, NULL) != 0 ||
                         message.len < 40 ||
                         sscanf((const char *)message.data, "{\"seq\":%llu,", &seq) != 1;
        writer->seqs[i] = seq;
        plsm_buf_free(&message);
    }
    return NULL;
}

static void test_threads_share_a_handle_and_no_seq(void **state)
{
    (void)state;
    static struct writer writers[N_WRITERS];
    static bool seen[N_MESSAGES + 1];
    plsm_pool_t *pool = test_pool("shared", 1 << 20);
    plsm_stream_t *stream = NULL;

    check_ok(plsm_stream_open(pool, 1, 1, N_MESSAGES, 1, 60000, 1, &stream, &test_error));
    for (size_t i = 0; i < N_WRITERS; i++) {
        writers[i].pool = pool;
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_run, &writers[i]), 0);
    }
    for (uint64_t seq = 1; seq <= N_MESSAGES; seq++) { /* read while they write */
        plsm_buf_t message = {0};
        assert_int_equal(plsm_stream_next(stream, &message, &test_error), 1);
        assert_int_equal(test_seq(&message), seq);
        plsm_buf_free(&message);
    }
    for (size_t i = 0; i < N_WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_false(writers[i].failed);
        for (size_t n = 0; n < N_APPENDS; n++) {
            const uint64_t seq = writers[i].seqs[n];
            assert_true(seq >= 1 && seq <= N_MESSAGES);
            assert_false(seen[seq]);
            seen[seq] = true;
            assert_true(n == 0 || seq > writers[i].seqs[n - 1]);
        }
    }
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

/* Opens and reads streams on a handle that others append to. */
static void *opener_run(void *argument)
{
    struct writer *writer = argument;
    for (size_t i = 0; i < 50 && !writer->failed; i++) {
        plsm_stream_t *stream = NULL;
        plsm_buf_t message = {0};
        writer->failed = plsm_stream_open(writer->pool, 1, 1, 1, 1, 60000, 1, &stream, NULL) != 0 ||
                         plsm_stream_next(stream, &message, NULL) != 1;
        plsm_buf_free(&message);
        plsm_stream_free(stream);
        writer->failed = writer->failed || plsm_pool_get_json(writer->pool, 1, &message, NULL) != 0;
        plsm_buf_free(&message);
    }
    return NULL;
}

static void test_streams_open_while_others_append(void **state)
{
    (void)state;
    static struct writer writer, opener;
    plsm_pool_t *pool = test_pool("opened", 1 << 20);
    writer.pool = opener.pool = pool;
    assert_int_equal(pthread_create(&writer.thread, NULL, writer_run, &writer), 0);
    assert_int_equal(pthread_create(&opener.thread, NULL, opener_run, &opener), 0);
    pthread_join(writer.thread, NULL);
    pthread_join(opener.thread, NULL);
    assert_false(writer.failed);
    assert_false(opener.failed);
    plsm_pool_free(pool);
}

/* A follower that waits, and when it was woken. */
struct sleeper {
    plsm_stream_t *stream;
    pthread_t thread;
    atomic_int n_received;
    _Atomic(uint64_t) woken_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *sleeper_run(void *argument)
{
    struct sleeper *sleeper = argument;
    plsm_buf_t message;
    while (plsm_stream_next(sleeper->stream, &message, NULL) == 1) {
        atomic_store(&sleeper->woken_ns, now_ns());
        plsm_buf_free(&message);
        atomic_fetch_add(&sleeper->n_received, 1);
    }
    return NULL;
}

/* Waits until a follower sleeps in the kernel, by the state in /proc; gives up after a while. */
static void wait_until_asleep(int n_received, struct sleeper *sleeper)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    const uint64_t deadline_ns = now_ns() + 10000000000u;
    while (atomic_load(&sleeper->n_received) < n_received && now_ns() < deadline_ns)
        nanosleep(&pause, NULL);
    assert_int_equal(atomic_load(&sleeper->n_received), n_received);
    nanosleep(&pause, NULL); /* long enough to fall asleep; if not, the test is only easier */
}

/* Woken at once: the best of several wake-ups takes no whole millisecond, whatever else the
 * machine does; a follower that polls or sleeps through windows has no such luck. */
static void check_woken_at_once(plsm_stream_options_t options)
{
    enum { N_TRIES = 20 };
    struct sleeper sleeper = {0};
    uint64_t best_ns = UINT64_MAX;
    plsm_pool_t *pool = test_pool("woken", 1 << 20);

    options.struct_size = sizeof(options);
    options.max_messages = N_TRIES;
    options.has_max = 1;
    check_ok(plsm_stream_open_ex(pool, &options, &sleeper.stream, &test_error));
    assert_int_equal(pthread_create(&sleeper.thread, NULL, sleeper_run, &sleeper), 0);
    for (int i = 0; i < N_TRIES; i++) {
        wait_until_asleep(i, &sleeper);
        const uint64_t appended_ns = now_ns();
        test_append(pool, 1);
        while (atomic_load(&sleeper.n_received) == i)
            sched_yield();
        const uint64_t woken_ns = atomic_load(&sleeper.woken_ns);
        const uint64_t took_ns = woken_ns > appended_ns ? woken_ns - appended_ns : 0;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    pthread_join(sleeper.thread, NULL);
    assert_true(best_ns < 1000000);
    plsm_stream_free(sleeper.stream);
    plsm_pool_free(pool);
}

static void test_thread_that_waits_is_woken_at_once(void **state)
{
    (void)state;
    check_woken_at_once((plsm_stream_options_t){0});
    check_woken_at_once((plsm_stream_options_t){.gap_policy = PLSM_GAP_ERROR});
    check_woken_at_once((plsm_stream_options_t){.timeout_ms = 60000, .has_timeout = 1});
    check_woken_at_once((plsm_stream_options_t){.since_seq = 1, .has_since = 1});
}

static void *next_run(void *argument)
{
    plsm_buf_t message = {0};
    plsm_stream_t *stream = argument;
    const int r = plsm_stream_next(stream, &message, NULL);
    const bool right = r == 1 && message.len > 0;
    plsm_buf_free(&message);
    return right ? stream : NULL;
}

static void test_stream_may_move_between_threads(void **state)
{
    (void)state;
    plsm_pool_t *pool = test_pool("moving", 0);
    plsm_stream_t *stream = NULL;
    check_ok(plsm_stream_open(pool, 1, 1, 0, 0, 60000, 1, &stream, &test_error));
    for (uint64_t n = 1; n <= 10; n++) {
        pthread_t thread;
        void *result = NULL;
        assert_int_equal(pthread_create(&thread, NULL, next_run, stream), 0);
        test_append(pool, n);
        pthread_join(thread, &result);
        assert_ptr_equal(result, stream);
    }
    plsm_stream_free(stream);
    plsm_pool_free(pool);
}

TESTS(test_threads_share_a_handle_and_no_seq, test_streams_open_while_others_append,
    test_thread_that_waits_is_woken_at_once, test_stream_may_move_between_threads)
