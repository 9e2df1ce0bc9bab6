/* Descriptors: 0 is one like any other, where a program has closed its standard input; and handles
 * that were closed leave nothing behind. */
#include "engine/child_test.h"
#include "engine/handle.h"
#include "engine/lease.h"
#include "os/file.h"
#include "os/guard.h"
#include "os/process.h"

static int kept = -1;

static void close_stdin(void)
{
    kept = dup(STDIN_FILENO);
    assert_true(kept > 0);
    assert_int_equal(close(STDIN_FILENO), 0);
}

static void restore_stdin(void)
{
    assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(close(kept), 0);
}

static bool stdin_is_free(void)
{
    return fcntl(STDIN_FILENO, F_GETFD) == -1;
}

/* Every call that opens something gets 0, and gives it back. */
static void test_descriptor_zero_is_as_good_as_any(void **state)
{
    (void)state;
    const struct pool_create_options options = {.size_bytes = 65536};
    struct pool *pool = NULL;
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("zero"));

    close_stdin();
    const int created = pool_create(path, &options, &test_error);
    const bool free_after_create = stdin_is_free();
    const int opened = pool_open(path, POOL_WRITE, NULL, &pool, &test_error);
    const int fd = pool != NULL ? pool->fd : -1;
    pool_close(pool);
    const bool free_after_close = stdin_is_free();
    restore_stdin();
    check_ok(created);
    check_ok(opened);
    assert_int_equal(fd, 0);
    assert_true(free_after_create);
    assert_true(free_after_close);

    pool = test_open(path, POOL_WRITE);
    test_append(pool, "{}");
    close_stdin(); /* the first flush opens the folder */
    const int flushed = pool_flush(pool, &test_error);
    const bool free_after_flush = stdin_is_free();
    restore_stdin();
    check_ok(flushed);
    assert_true(free_after_flush);
    pool->ring[sizeof(struct frame_header)] ^= 1;
    pool_close(pool);

    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    close_stdin();
    const int mended = pool_repair(path, NULL, &repaired, &test_error);
    const bool free_after_repair = stdin_is_free();
    restore_stdin();
    check_ok(mended);
    assert_int_equal(repaired.n_lost, 1);
    assert_true(free_after_repair);
}

/* A reader that may announce its sleep in the file does so: it is woken, and need not look. */
static void test_descriptor_zero_of_a_reader_lets_it_be_woken(void **state)
{
    (void)state;
    struct pool *reader = NULL;
    pool_close(test_pool("woken", 65536));
    close_stdin();
    const int opened = pool_open(test_path("woken"), POOL_READ, NULL, &reader, &test_error);
    const int fd = reader != NULL ? reader->fd : -1;
    const bool can_wake = reader != NULL && reader->can_wake;
    pool_close(reader);
    restore_stdin();
    check_ok(opened);
    assert_int_equal(fd, 0);
    assert_true(can_wake);
}

/* The first lease there is, in its first generation: a word of 1 is held like any other. */
static void test_descriptor_of_the_first_lease_holds_the_lock(void **state)
{
    (void)state;
    const struct message message = test_message("{}");
    const struct pool_open_options options = {.busy_timeout_ms = 30};
    struct process_witness witness;
    struct appended appended;
    struct pool *pool = NULL;
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("first"));
    pool_close(test_pool("first", 65536));
    const int fd = file_open(path, true);
    assert_true(fd >= 0);
    assert_int_equal(file_lease_try(fd, 1), FILE_OK);
    check_ok(pool_open(path, POOL_WRITE, &options, &pool, &test_error));
    assert_int_not_equal(lease_number(pool->lease), 1);
    struct witness_slot *slot = &pool->control->witnesses[0];
    process_witness(&witness);
    slot->pid = witness.pid;
    slot->namespace = witness.namespace;
    slot->since_ns = witness.since_ns;
    atomic_store(&pool->control->lock, 1);
    assert_int_equal(pool_append(pool, &message, 1, &appended, &test_error), POOL_BUSY);
    assert_int_equal(atomic_load(&pool->control->lock) & ~FORMAT_LOCK_WAITERS, 1);
    file_close(fd); /* its owner ends */
    assert_int_equal(test_append(pool, "{}"), 1);
    pool_close(pool);
}

/* So many files were open before, one after the other, that nothing is left of any of them if
 * something is left of each: a file that shrinks is still noticed. */
static void test_descriptor_of_closed_handles_leaves_the_guard(void **state)
{
    (void)state;
    char path[256];
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    assert_int_equal(guard_install(), 0);
    snprintf(path, sizeof(path), "%s", test_path("guarded"));
    pool_close(test_pool("guarded", 65536));
    for (int i = 0; i < 1500; i++) { /* of 4096 mappings that are guarded */
        pool_close(test_open(path, POOL_WRITE));
        pool_close(test_open(path, POOL_READ));
    }
    struct pool *writer = test_open(path, POOL_WRITE);
    for (int i = 0; i < 500; i++)
        test_append(writer, "{\"some\":\"message of a usual size, sixty bytes or more\"}");
    struct pool *reader = test_open(path, POOL_READ);
    cursor_oldest(&cursor, reader);
    assert_int_equal(truncate(path, 8192), 0);
    int r;
    while ((r = cursor_next(&cursor, &frame, &gap, &test_error)) == CURSOR_FRAME || r == CURSOR_GAP)
        continue;
    check_fails(r, PLSM_ERROR_CORRUPT);
    pool_close(reader);
    pool_close(writer);
}

TESTS(test_descriptor_zero_is_as_good_as_any, test_descriptor_zero_of_a_reader_lets_it_be_woken,
    test_descriptor_of_the_first_lease_holds_the_lock,
    test_descriptor_of_closed_handles_leaves_the_guard)
