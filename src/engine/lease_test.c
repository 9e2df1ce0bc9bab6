/* Writers that die, stop, fork or lie while they hold the pool. */
#include "engine/lease.h"

#include "engine/child_test.h"
#include "os/file.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/syscall.h>

#define TAKE_OVER_MS 2000 /* promised are 200; the machine may be busy */

static char pool_file[256]; /* of the running test, for its children and threads */

static void set_pool_file(const char *name)
{
    snprintf(pool_file, sizeof(pool_file), "%s", test_path(name));
}

static struct pool *child_open(void)
{
    struct pool *pool = NULL;
    child_must(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error) == 0);
    return pool;
}

static void child_append(struct pool *pool, const char *data)
{
    const struct message message = test_message(data);
    struct appended appended;
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
}

static struct pool *start(const char *name)
{
    set_pool_file(name);
    return test_pool(name, 65536);
}

/* Dies, or stops, while it holds both locks. */
static void hold_locks(const struct child_side *side)
{
    struct pool *pool = child_open();
    child_must(lock_take(pool, &pool->control->lock) == POOL_OK);
    child_must(lock_take(pool, &pool->control->flush_lock) == POOL_OK);
    child_say(side, 'h');
    child_listen(side);
    lock_release(&pool->control->flush_lock);
    lock_release(&pool->control->lock);
    child_say(side, 'r');
    child_listen(side);
}

static void check_taken_over(struct pool *pool)
{
    const uint64_t from_ns = clock_monotonic_ns();
    test_append(pool, "{\"after\":\"death\"}");
    check_ok(pool_flush(pool, &test_error));
    const uint64_t took_ms = test_elapsed_ms(from_ns);
    print_message("# taken over after %llu ms\n", (unsigned long long)took_ms);
    assert_in_range(took_ms, 0, TAKE_OVER_MS);
    assert_int_equal(pool->control->lock, 0);
    assert_int_equal(pool->control->flush_lock, 0);
}

static void test_lease_locks_of_a_killed_writer_are_taken_over(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = start("killed");
    for (int round = 0; round < 3; round++) {
        struct child child = child_start(hold_locks, NULL);
        child_expect(&child, 'h');
        assert_int_not_equal(pool->control->lock, 0);
        kill(child.pid, SIGKILL);
        child_wait_dead(&child); /* a zombie: its parent may never look */
        check_taken_over(pool);
        child_kill(&child);
    }
}

static void test_lease_one_try_also_sees_a_dead_owner(void **state)
{
    (void)state;
    pool_close(start("one-try"));
    scoped(pool_close) struct pool *pool = test_open_patient(pool_file, 0);
    struct child child = child_start(hold_locks, NULL);
    child_expect(&child, 'h');
    const struct message message = test_message("{}");
    struct appended appended;
    assert_int_equal(pool_append(pool, &message, 1, &appended, &test_error), POOL_BUSY);
    child_kill(&child);
    check_taken_over(pool);
}

/* Holds every lease but one for as long as the descriptor is open. */
static int occupy_leases_except(uint32_t spared)
{
    const int fd = file_open(pool_file, true);
    assert_true(fd >= 0);
    for (uint32_t lease = 1; lease <= FORMAT_LEASE_MAX; lease++) {
        if (lease != spared)
            assert_true(file_lease_try(fd, lease) >= 0);
    }
    return fd;
}

static void test_lease_number_of_a_dead_owner_does_not_revive_it(void **state)
{
    (void)state;
    pool_close(start("inherited"));
    struct child child = child_start(hold_locks, NULL);
    child_expect(&child, 'h');
    struct pool *looker = test_open(pool_file, POOL_READ);
    const uint32_t dead = looker->control->lock;
    pool_close(looker);
    child_kill(&child);

    scoped(file_close) int others = occupy_leases_except(lease_number(dead));
    assert_true(others >= 0);
    scoped(pool_close) struct pool *heir = test_open_patient(pool_file, 0);
    assert_int_equal(lease_number(heir->lease), lease_number(dead));
    check_taken_over(heir);
}

static void test_lease_none_left_is_an_error_not_a_hang(void **state)
{
    (void)state;
    pool_close(start("exhausted"));
    scoped(file_close) int others = occupy_leases_except(0);
    assert_true(others >= 0);
    struct pool *pool = NULL;
    check_fails(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error), PLSM_ERROR_IO);
}

static void test_lease_stopped_owner_is_alive(void **state)
{
    (void)state;
    pool_close(start("stopped"));
    scoped(pool_close) struct pool *pool = test_open_patient(pool_file, 300);
    struct child child = child_start(hold_locks, NULL);
    child_expect(&child, 'h');
    kill(child.pid, SIGSTOP);
    child_wait_stopped(&child);

    const uint32_t owner = pool->control->lock;
    const struct message message = test_message("{}");
    struct appended appended;
    const uint64_t from_ns = clock_monotonic_ns();
    assert_int_equal(pool_append(pool, &message, 1, &appended, &test_error), POOL_BUSY);
    assert_true(test_elapsed_ms(from_ns) >= 300);
    assert_int_equal(pool->control->lock & ~FORMAT_LOCK_WAITERS, owner);

    kill(child.pid, SIGCONT);
    child_tell(&child, 'g');
    child_expect(&child, 'r');
    assert_int_equal(test_append(pool, "{}"), 1);
    check_ok(pool_flush(pool, &test_error));
    child_tell(&child, 'g');
    child_join(&child);
}

/* Holds the locks, and has a child of its own, made behind the C library's back, that keeps the
 * leases' descriptor open. */
static void hold_locks_and_clone(const struct child_side *side)
{
    struct pool *pool = child_open();
    child_must(lock_take(pool, &pool->control->lock) == POOL_OK);
    child_must(lock_take(pool, &pool->control->flush_lock) == POOL_OK);
    const pid_t clone = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    if (clone == 0) {
        alarm(60);
        for (;;)
            pause();
    }
    child_must(clone > 0);
    child_must(write(side->out, &clone, sizeof(clone)) == sizeof(clone));
    child_say(side, 'h');
    pause();
}

static void check_dead_owner_with_a_clone(const char *name, bool reaped)
{
    scoped(pool_close) struct pool *pool = start(name);
    struct child child = child_start(hold_locks_and_clone, NULL);
    pid_t clone = 0;
    assert_true(child_speaks(&child, CHILD_PATIENCE_MS));
    assert_int_equal(read(child.from, &clone, sizeof(clone)), sizeof(clone));
    child_expect(&child, 'h');
    assert_int_equal(file_lease_held(pool->fd, lease_number(pool->control->lock)), 1);
    kill(child.pid, SIGKILL);
    if (reaped)
        assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    else
        child_wait_dead(&child);
    assert_int_equal(file_lease_held(pool->fd, lease_number(pool->control->lock)), 1);
    check_taken_over(pool);
    kill(clone, SIGKILL);
    if (!reaped)
        assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    child_close(&child);
}

static void test_lease_kept_by_a_raw_clone_does_not_keep_the_owner_alive(void **state)
{
    (void)state;
    check_dead_owner_with_a_clone("clone", true);
}

static void test_lease_kept_by_a_raw_clone_of_an_unreaped_owner_is_taken_over(void **state)
{
    (void)state;
    check_dead_owner_with_a_clone("zombie", false);
}

static void append_numbered(struct pool *pool, const char *who, int n)
{
    char data[64];
    for (int i = 0; i < n; i++) {
        snprintf(data, sizeof(data), "{\"who\":\"%s\",\"n\":%d}", who, i);
        child_append(pool, data);
    }
}

/* Counts a writer's messages in the pool, which must stand in their order. */
static int count_numbered(struct pool *pool, const char *who)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    char expected[64];
    int n = 0;
    uint64_t seq = 0;

    cursor_oldest(&cursor, pool);
    while (cursor_next(&cursor, &frame, &gap, &test_error) == CURSOR_FRAME) {
        assert_int_equal(frame.seq, ++seq);
        snprintf(expected, sizeof(expected), "{\"who\":\"%s\",\"n\":%d}", who, n);
        n += view_equal(frame.data, view_str(expected));
    }
    return n;
}

static struct pool *inherited;

static void append_with_inherited(const struct child_side *side)
{
    child_say(side, 's');
    append_numbered(inherited, side->arg, 1000);
}

static void test_lease_inherited_handle_works_in_the_child(void **state)
{
    (void)state;
    set_pool_file("fork");
    inherited = test_pool("fork", 1 << 20);
    const uint32_t lease = inherited->lease;
    struct child children[3];
    static const char *const names[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        children[i] = child_start(append_with_inherited, names[i]);
        child_expect(&children[i], 's');
    }
    append_numbered(inherited, "parent", 1000);
    for (int i = 0; i < 3; i++)
        child_join(&children[i]);
    assert_int_equal(inherited->lease, lease);
    assert_int_equal(count_numbered(inherited, "parent"), 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(count_numbered(inherited, names[i]), 1000);
    pool_close(inherited);
}

static void hold_inherited(const struct child_side *side)
{
    child_append(inherited, "{}");
    child_must(lock_take(inherited, &inherited->control->lock) == POOL_OK);
    child_must(lock_take(inherited, &inherited->control->flush_lock) == POOL_OK);
    child_say(side, 'h');
    pause();
}

static void test_lease_forked_child_that_dies_inside_is_taken_over(void **state)
{
    (void)state;
    inherited = start("forked-dead");
    struct child child = child_start(hold_inherited, NULL);
    child_expect(&child, 'h');
    assert_int_not_equal(inherited->control->lock, inherited->lease);
    child_kill(&child);
    check_taken_over(inherited);
    pool_close(inherited);
}

static atomic_bool stop_threads;

static void *append_until_stopped(void *arg)
{
    struct pool *pool = arg;
    while (!atomic_load(&stop_threads))
        child_append(pool, "{\"who\":\"thread\"}");
    return NULL;
}

static void append_few(const struct child_side *side)
{
    alarm(10); /* a deadlock ends the child by signal, which the parent reports */
    append_numbered(inherited, side->arg, 3);
    pool_close(child_open());
}

static void test_lease_fork_amid_appending_threads(void **state)
{
    (void)state;
    inherited = start("fork-threads");
    struct pool *counter = test_open(pool_file, POOL_READ);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    pthread_t threads[3];
    int n_found = 0;

    cursor_newest(&cursor, counter);
    atomic_store(&stop_threads, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, append_until_stopped, inherited), 0);
    const uint64_t deadline_ns = clock_deadline_ns(4000);
    for (int i = 0; i < 300 && clock_monotonic_ns() < deadline_ns; i++) {
        struct child child = child_start(append_few, "child");
        child_join(&child);
    }
    atomic_store(&stop_threads, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    int r;
    while ((r = cursor_next(&cursor, &frame, &gap, &test_error)) != CURSOR_EMPTY) {
        assert_int_not_equal(r, -1);
        n_found++;
    }
    assert_true(n_found > 0);
    struct pool_report report;
    check_ok(pool_verify(counter, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    pool_close(counter);
    pool_close(inherited);
}

static void *open_until_stopped(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop_threads))
        pool_close(child_open());
    return NULL;
}

static void open_and_append(const struct child_side *side)
{
    (void)side;
    alarm(10);
    struct pool *pool = child_open();
    child_append(pool, "{}");
    pool_close(pool);
}

static void test_lease_fork_amid_opening_threads(void **state)
{
    (void)state;
    pool_close(start("fork-opening"));
    pthread_t threads[2];
    atomic_store(&stop_threads, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_until_stopped, NULL), 0);
    const uint64_t deadline_ns = clock_deadline_ns(4000);
    for (int i = 0; i < 1000 && clock_monotonic_ns() < deadline_ns; i++) {
        struct child child = child_start(open_and_append, NULL);
        child_join(&child);
    }
    atomic_store(&stop_threads, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void open_patiently(const struct child_side *side)
{
    struct pool_open_options options = POOL_OPEN_DEFAULTS;
    struct pool *pool = NULL;
    options.busy_timeout_ms = CHILD_PATIENCE_MS;
    child_say(side, 's');
    child_must(pool_open(pool_file, POOL_WRITE, &options, &pool, &test_error) == 0);
    child_append(pool, "{}");
    child_say(side, 'o');
}

static void test_lease_foreign_flock_makes_writers_wait(void **state)
{
    (void)state;
    pool_close(start("flock"));
    scoped(file_close) int fd = file_open(pool_file, true);
    assert_int_equal(flock(fd, LOCK_EX), 0);

    struct pool_open_options options = POOL_OPEN_DEFAULTS;
    struct pool *pool = NULL;
    options.busy_timeout_ms = 200;
    const uint64_t from_ns = clock_monotonic_ns();
    assert_int_equal(pool_open(pool_file, POOL_WRITE, &options, &pool, &test_error), POOL_BUSY);
    assert_true(test_elapsed_ms(from_ns) >= 200);
    assert_null(pool);
    pool_close(test_open(pool_file, POOL_READ)); /* readers do not care */

    struct child child = child_start(open_patiently, NULL);
    child_expect(&child, 's');
    assert_false(child_speaks(&child, 50));
    assert_int_equal(flock(fd, LOCK_UN), 0);
    child_expect(&child, 'o');
    child_join(&child);

    scoped(pool_close) struct pool *writer = test_open(pool_file, POOL_WRITE);
    assert_non_null(writer);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1); /* and whoever asks sees a writer */
}

static void test_lease_garbage_in_a_lock_word_is_nobody(void **state)
{
    (void)state;
    static const uint32_t words[] = {FORMAT_LOCK_WAITERS, 1, FORMAT_WITNESSES, FORMAT_WITNESSES + 1,
        FORMAT_LEASE_MAX, FORMAT_LEASE_MAX + 1, 0x7fffffff, UINT32_MAX, 0x12345678,
        1 | FORMAT_LOCK_WAITERS};
    scoped(pool_close) struct pool *pool = start("garbage");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i] == (pool->lease & ~FORMAT_LOCK_WAITERS))
            continue;
        atomic_store(&pool->control->lock, words[i]);
        atomic_store(&pool->control->flush_lock, words[i]);
        check_taken_over(pool);
    }
}

/* Who takes a word over does not know whether others sleep on it, and keeps the mark that says so;
 * who finds it free sets none. */
static void test_lease_taken_over_word_still_says_that_others_sleep(void **state)
{
    (void)state;
    pool_close(start("mark"));
    scoped(pool_close) struct pool *pool = test_open_patient(pool_file, 0);
    _Atomic(uint32_t) *word = &pool->control->flush_lock;
    const uint32_t dead = FORMAT_LEASE_MAX - 1;
    const struct lock_goal far = {&pool->control->durable, UINT64_MAX};

    assert_int_equal(lock_take_unless(pool, word, &far), POOL_OK);
    assert_int_equal(*word, pool->lease);
    atomic_store(word, dead | FORMAT_LOCK_WAITERS);
    assert_int_equal(lock_take_unless(pool, word, &far), POOL_OK);
    assert_int_equal(*word, pool->lease | FORMAT_LOCK_WAITERS);
    atomic_store(word, dead);
    assert_int_equal(lock_take_unless(pool, word, &far), POOL_OK);
    assert_int_equal(*word, pool->lease | FORMAT_LOCK_WAITERS);
    atomic_store(word, FORMAT_LOCK_WAITERS);
    assert_int_equal(lock_take_unless(pool, word, &far), POOL_OK);
    assert_int_equal(*word, pool->lease | FORMAT_LOCK_WAITERS);

    const struct lock_goal reached = {&pool->control->durable, 0};
    assert_int_equal(lock_take_unless(pool, word, &reached), LOCK_NEEDLESS);
    assert_int_equal(lock_take_unless(pool, word, &far), POOL_BUSY); /* a thread of this handle */
    atomic_store(word, 0);
}

/* More writers than there are witnesses: the kernel's lock alone says who lives. */
static void test_lease_beyond_the_witnesses_is_as_good(void **state)
{
    (void)state;
    pool_close(start("many"));
    const int fd = occupy_leases_except(FORMAT_LEASE_MAX);
    struct pool *pool = test_open_patient(pool_file, 30);
    const struct message message = test_message("{}");
    struct appended appended;

    assert_int_equal(pool->lease & FORMAT_LEASE_MAX, FORMAT_LEASE_MAX);
    test_append(pool, "{}");
    atomic_store(&pool->control->lock, FORMAT_WITNESSES + 1); /* alive, and slow */
    assert_int_equal(pool_append(pool, &message, 1, &appended, &test_error), POOL_BUSY);
    close(fd); /* and now dead */
    check_taken_over(pool);
    pool_close(pool);
}

/* A machine went down; the first who opens the pool finds another at work on it. */
static void test_lease_recovery_waits_for_the_lock(void **state)
{
    (void)state;
    const struct pool_open_options patience = {.busy_timeout_ms = 30};
    struct pool *other = NULL;
    struct pool *pool = start("recovery");
    test_append(pool, "{}");
    pool->control->boot_id[0] ^= 1;
    atomic_store(&pool->control->lock, pool->lease);
    assert_int_equal(pool_open(pool_file, POOL_WRITE, &patience, &other, &test_error), POOL_BUSY);
    atomic_store(&pool->control->lock, 0);
    check_ok(pool_open(pool_file, POOL_WRITE, &patience, &other, &test_error));
    assert_int_equal(test_append(other, "{}"), 2);
    pool_close(other);
    pool_close(pool);
}

TESTS(test_lease_locks_of_a_killed_writer_are_taken_over, test_lease_one_try_also_sees_a_dead_owner,
    test_lease_number_of_a_dead_owner_does_not_revive_it,
    test_lease_none_left_is_an_error_not_a_hang, test_lease_stopped_owner_is_alive,
    test_lease_kept_by_a_raw_clone_does_not_keep_the_owner_alive,
    test_lease_kept_by_a_raw_clone_of_an_unreaped_owner_is_taken_over,
    test_lease_inherited_handle_works_in_the_child,
    test_lease_forked_child_that_dies_inside_is_taken_over, test_lease_fork_amid_appending_threads,
    test_lease_fork_amid_opening_threads, test_lease_foreign_flock_makes_writers_wait,
    test_lease_garbage_in_a_lock_word_is_nobody,
    test_lease_taken_over_word_still_says_that_others_sleep,
    test_lease_beyond_the_witnesses_is_as_good, test_lease_recovery_waits_for_the_lock)
