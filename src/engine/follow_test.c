/* Followers: woken by other processes, by signals, by deletion; never left asleep. */
#include "engine/child_test.h"
#include "engine/handle.h"

#define N_FOLLOWERS 8
#define N_ROUNDS    200000

static char pool_file[256];

static struct pool *start(const char *name)
{
    snprintf(pool_file, sizeof(pool_file), "%s", test_path(name));
    return test_pool(name, 65536);
}

/* Takes the next message; sleeps until there is one. */
static uint64_t child_next(struct cursor *cursor)
{
    struct frame frame;
    struct gap gap;
    for (;;) {
        const int r = cursor_next(cursor, &frame, &gap, &test_error);
        if (r == CURSOR_FRAME)
            return frame.seq;
        child_must(r == CURSOR_EMPTY);
        child_must(
            follow_wait(cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error) == FOLLOW_READY);
    }
}

static struct pool *child_open(enum pool_mode mode)
{
    struct pool *pool = NULL;
    child_must(pool_open(pool_file, mode, NULL, &pool, &test_error) == POOL_OK);
    return pool;
}

/* Says 'g' for each message it gets. */
static void follow_and_say(const struct child_side *side)
{
    struct cursor cursor;
    cursor_oldest(&cursor, child_open(POOL_READ));
    child_say(side, 's');
    for (int i = 0; i < 20; i++) {
        child_next(&cursor);
        child_say(side, 'g');
    }
}

static void test_follow_every_follower_is_woken_by_every_append(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("many");
    struct child children[N_FOLLOWERS];
    for (int i = 0; i < N_FOLLOWERS; i++) {
        children[i] = child_start(follow_and_say, NULL);
        child_expect(&children[i], 's');
    }
    for (int message = 0; message < 20; message++) {
        test_append(pool, "{}");
        for (int i = 0; i < N_FOLLOWERS; i++)
            child_expect(&children[i], 'g');
    }
    for (int i = 0; i < N_FOLLOWERS; i++)
        child_join(&children[i]);
}

static void test_follow_deadline_ends_the_wait(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("deadline");
    struct cursor cursor;
    cursor_newest(&cursor, pool);
    assert_int_equal(follow_wait(&cursor, 1, &test_error), FOLLOW_TIMEOUT);
    static const uint64_t timeouts_ms[] = {0, 1, 30, 300};
    for (size_t i = 0; i < 4; i++) {
        const uint64_t from_ns = clock_monotonic_ns();
        assert_int_equal(
            follow_wait(&cursor, clock_deadline_ns(timeouts_ms[i]), &test_error), FOLLOW_TIMEOUT);
        assert_true(test_elapsed_ms(from_ns) >= timeouts_ms[i]);
    }
    test_append(pool, "{}");
    assert_int_equal(follow_wait(&cursor, 1, &test_error), FOLLOW_READY);
}

static void on_signal(int signal)
{
    (void)signal;
}

static void follow_until_signal(const struct child_side *side)
{
    const struct sigaction action = {.sa_handler = on_signal};
    struct cursor cursor;
    cursor_newest(&cursor, child_open(POOL_READ));
    child_must(sigaction(SIGUSR1, &action, NULL) == 0);
    child_say(side, 's');
    child_must(follow_wait(&cursor, DEADLINE_NEVER, &test_error) == FOLLOW_SIGNAL);
    child_say(side, 'w');
}

static void test_follow_signal_ends_the_wait(void **state)
{
    (void)state;
    pool_close(start("signal"));
    struct child child = child_start(follow_until_signal, NULL);
    child_expect(&child, 's');
    do /* the first ones may come before it sleeps */
        kill(child.pid, SIGUSR1);
    while (!child_speaks(&child, 20));
    child_expect(&child, 'w');
    child_join(&child);
}

static void follow_until_deleted(const struct child_side *side)
{
    struct cursor cursor;
    cursor_oldest(&cursor, child_open(POOL_READ));
    child_say(side, 's');
    child_next(&cursor);
    const int r = follow_wait(&cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error);
    child_must(r == FOLLOW_DELETED);
    child_say(side, 'd');
}

static void test_follow_deletion_ends_the_wait_after_what_was_appended(void **state)
{
    (void)state;
    struct pool *pool = start("deleted");
    struct child child = child_start(follow_until_deleted, NULL);
    child_expect(&child, 's');
    test_append(pool, "{\"last\":true}");
    pool_close(pool);
    const uint64_t from_ns = clock_monotonic_ns();
    assert_int_equal(unlink(pool_file), 0);
    child_expect(&child, 'd');
    assert_in_range(test_elapsed_ms(from_ns), 0, 2500); /* ten times what is promised */
    child_join(&child);
}

/* As a user who may read the file and not write it. */
static void follow_read_only(const struct child_side *side)
{
    struct cursor cursor;
    child_must(setgid(65534) == 0);
    child_must(setuid(65534) == 0);
    struct pool *pool = child_open(POOL_READ);
    struct pool *refused = NULL;
    child_must(!pool->can_wake);
    child_must(pool_open(pool_file, POOL_WRITE, NULL, &refused, &test_error) == -1);
    child_must(test_error->kind == PLSM_ERROR_PERMISSION);
    cursor_oldest(&cursor, pool);
    child_say(side, 's');
    for (int i = 0; i < 20; i++) {
        child_next(&cursor);
        child_say(side, 'g');
    }
    child_must(follow_wait(&cursor, clock_deadline_ns(10), &test_error) == FOLLOW_TIMEOUT);
}

static void test_follow_read_only_file_is_polled(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip(); /* only root may become somebody else */
    scoped(pool_close) struct pool *pool = start("read-only");
    assert_int_equal(chmod(test_folder, 0755), 0);
    assert_int_equal(chmod(pool_file, 0644), 0);
    struct child child = child_start(follow_read_only, NULL);
    child_expect(&child, 's');
    for (int i = 0; i < 20; i++) {
        test_append(pool, "{}");
        child_expect(&child, 'g');
    }
    child_join(&child);
}

/* Answers each message of the other side with one of its own. */
static void answer(const struct child_side *side)
{
    struct pool *pool = child_open(POOL_WRITE);
    const struct message message = test_message("{\"pong\":1}");
    struct appended appended;
    struct cursor cursor;
    cursor_oldest(&cursor, pool);
    child_say(side, 's');
    for (uint64_t seq = 1; seq <= 2 * N_ROUNDS; seq += 2) {
        child_must(child_next(&cursor) == seq);
        child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
        child_must(child_next(&cursor) == seq + 1);
    }
}

/* A lost wake-up would last a slice of 250 ms; the machine's own pauses are as long at times, so
 * only several of them in a row of rounds tell. */
static void test_follow_ping_pong_loses_no_wake_up(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("ping-pong");
    struct child child = child_start(answer, NULL);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t worst_ns = 0, n_late = 0, n_rounds = 0;
    const uint64_t deadline_ns = clock_deadline_ns(10000);

    cursor_oldest(&cursor, pool);
    child_expect(&child, 's');
    for (uint64_t seq = 1; seq <= 2 * N_ROUNDS && clock_monotonic_ns() < deadline_ns; seq += 2) {
        const uint64_t from_ns = clock_monotonic_ns();
        assert_int_equal(test_append(pool, "{\"ping\":1}"), seq);
        for (uint64_t n = 0; n < 2;) {
            const int r = cursor_next(&cursor, &frame, &gap, &test_error);
            n += r == CURSOR_FRAME;
            if (r == CURSOR_EMPTY)
                assert_int_equal(
                    follow_wait(&cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error),
                    FOLLOW_READY);
        }
        const uint64_t took_ns = clock_monotonic_ns() - from_ns;
        worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
        n_late += took_ns >= 240 * NS_PER_MS;
        n_rounds++;
    }
    print_message("# %llu rounds, the longest took %.1f ms\n", (unsigned long long)n_rounds,
        (double)worst_ns / 1e6);
    child_kill(&child);
    assert_true(n_late <= 2);
}

TESTS(test_follow_every_follower_is_woken_by_every_append, test_follow_deadline_ends_the_wait,
    test_follow_signal_ends_the_wait, test_follow_deletion_ends_the_wait_after_what_was_appended,
    test_follow_read_only_file_is_polled, test_follow_ping_pong_loses_no_wake_up)
