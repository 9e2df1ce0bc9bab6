/* Repair among other programs: who may be there meanwhile, and what is left when it cannot end. */
#include "engine/repair_test.h"

#include <sys/file.h>
#include <sys/mount.h>

static void test_repair_leaves_a_healthy_pool_alone(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    assert_int_equal(repair(image, POOL_BYTES, 0, 0), POOL_HEALTHY);
    read_file(pool_file, bytes, sizeof(bytes));
    assert_memory_equal(bytes, image, sizeof(bytes));
}

static void check_untouched(const uint8_t *bytes, size_t len, plsm_error_kind_t kind)
{
    static uint8_t after[POOL_BYTES];
    struct pool_repaired repaired;
    put_file(bytes, len);
    check_fails(pool_repair(pool_file, NULL, &repaired, &test_error), kind);
    read_file(pool_file, after, len);
    assert_memory_equal(after, bytes, len);
    assert_int_equal(sweep(), 0);
}

static void test_repair_refuses_what_it_cannot_know(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct pool_repaired repaired;
    make_image();
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_CORRUPT);
    memset(bytes, 0, sizeof(bytes));
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_CORRUPT);
    memcpy(bytes, image, sizeof(struct superblock)); /* a superblock alone */
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_CORRUPT);
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, "PLSM\3", 5);
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_USAGE);
    struct superblock superblock;
    memcpy(bytes, image, sizeof(bytes)); /* a later version */
    memcpy(&superblock, bytes, sizeof(superblock));
    superblock.version++;
    superblock.crc = crc32c(0, &superblock, offsetof(struct superblock, crc));
    memcpy(bytes, &superblock, sizeof(superblock));
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_USAGE);
    check_fails(
        pool_repair(test_path("missing"), NULL, &repaired, &test_error), PLSM_ERROR_NOT_FOUND);
    check_fails(pool_repair(test_folder, NULL, &repaired, &test_error), PLSM_ERROR_IO);
}

static void test_repair_waits_for_nobody(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct pool_repaired repaired;
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 1].end - 1] ^= 1;
    put_file(bytes, sizeof(bytes));
    struct pool *writer = test_open(pool_file, POOL_WRITE);
    assert_int_equal(pool_repair(pool_file, NULL, &repaired, &test_error), POOL_BUSY);
    pool_close(writer);
    const int fd = open(pool_file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(pool_repair(pool_file, NULL, &repaired, &test_error), POOL_BUSY);
    close(fd);
    assert_int_equal(sweep(), 0);
    check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
    pool_repaired_fini(&repaired);
    sweep();
}

/* A follower of the damaged file learns that it is gone; a writer that waited finds the new one. */
static void open_and_append(const struct child_side *side)
{
    struct pool *pool = NULL;
    struct appended appended;
    const struct message message = test_message("{\"from\":\"who waited\"}");
    child_must(child_listen(side) == 'o');
    child_say(side, 'o');
    child_must(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error) == POOL_OK);
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
    child_must(pool_check_file(pool, &test_error) == POOL_OK);
    pool_close(pool);
}

static void start_opener(void *context, uint64_t done, uint64_t total)
{
    const struct child *opener = context;
    (void)total;
    if (done > 0)
        return;
    child_tell(opener, 'o');
    child_expect(opener, 'o');
}

static void test_repair_under_a_waiting_writer_and_a_follower(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct pool_repaired repaired;
    struct cursor cursor;
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 9].end - 1] ^= 1;
    put_file(bytes, sizeof(bytes));

    scoped(pool_close) struct pool *reader = test_open(pool_file, POOL_READ);
    cursor_newest(&cursor, reader);
    struct child opener = child_start(open_and_append, NULL);
    const struct pool_progress progress = {start_opener, &opener};
    check_ok(pool_repair(pool_file, &progress, &repaired, &test_error));
    pool_repaired_fini(&repaired);
    child_join(&opener);
    assert_int_equal(
        follow_wait(&cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error), FOLLOW_DELETED);
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_READ);
    struct frame frame;
    assert_int_equal(pool_get(pool, N_MODEL + 1, &frame, &test_error), POOL_OK);
    sweep();
}

/* A death at each step that is told of. */
struct death {
    int at;
};

static void die(void *context, uint64_t done, uint64_t total)
{
    struct death *death = context;
    (void)done;
    (void)total;
    if (death->at-- == 0)
        raise(SIGKILL);
}

static void repair_and_die(const struct child_side *side)
{
    struct death death = {*(const int *)side->arg};
    const struct pool_progress progress = {die, &death};
    struct pool_repaired repaired;
    child_must(pool_repair(pool_file, &progress, &repaired, &test_error) == POOL_OK);
    child_say(side, 'd');
}

static void test_repair_killed_at_any_step_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES], after[POOL_BYTES];
    bool done = false;
    bool seen_old = false;
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 5].end - 1] ^= 1;
    for (int at = 0; !done; at++) {
        assert_true(at < 100);
        put_file(bytes, sizeof(bytes));
        struct child child = child_start(repair_and_die, &at);
        child_wait_dead(&child);
        done = child_speaks(&child, 0);
        assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
        child_close(&child);
        read_file(pool_file, after, sizeof(after));
        if (memcmp(after, bytes, sizeof(after)) == 0) {
            seen_old = true;
        } else {
            scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
            check_sound(pool, (size_t)at);
            check_messages(pool, bytes, sizeof(bytes), (size_t)at);
        }
        sweep();
    }
    assert_true(seen_old);
}

static void test_repair_after_a_failed_sync(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[FORMAT_CONTROL_OFFSET + offsetof(struct control, flush_failed)] = 1;
    must_repair(bytes, sizeof(bytes), N_MODEL + 1, 0);
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
    check_ok(pool_flush(pool, &test_error));
}

/* The real thing, for whoever may mount: a file system on which the pool just fits. */
static void test_repair_on_a_full_disk_changes_nothing(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES], after[POOL_BYTES];
    char folder[100];
    make_image();
    snprintf(folder, sizeof(folder), "%.*s", (int)sizeof(folder) - 1, test_path("full"));
    assert_int_equal(mkdir(folder, 0700), 0);
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 5].end - 1] ^= 1;
    for (unsigned kib = 16; kib <= 48; kib += 16) {
        char options[32];
        struct pool_repaired repaired;
        snprintf(options, sizeof(options), "size=%uk,mode=700", kib);
        if (mount("none", folder, "tmpfs", 0, options) != 0) {
            rmdir(folder);
            skip();
        }
        char kept[sizeof(pool_file)];
        memcpy(kept, pool_file, sizeof(kept));
        snprintf(pool_file, sizeof(pool_file), "%s/pool", folder);
        put_file(bytes, sizeof(bytes));
        const int r = pool_repair(pool_file, NULL, &repaired, &test_error);
        const int kind = test_error != NULL ? test_error->kind : 0;
        const bool hinted = test_error != NULL && error_hint_of(test_error) != NULL;
        read_file(pool_file, after, sizeof(after));
        size_t n_entries = 0;
        DIR *listing = opendir(folder);
        while (readdir(listing) != NULL)
            n_entries++;
        closedir(listing);
        assert_int_equal(umount(folder), 0);
        memcpy(pool_file, kept, sizeof(kept));
        if (kib == 48) {
            assert_int_equal(r, POOL_OK);
            assert_int_equal(n_entries, 4);
            pool_repaired_fini(&repaired);
            continue;
        }
        assert_int_equal(r, -1);
        assert_int_equal(kind, PLSM_ERROR_IO);
        assert_true(hinted);
        assert_int_equal(n_entries, 3);
        assert_memory_equal(after, bytes, sizeof(bytes));
        plsm_error_free(test_error);
        test_error = NULL;
    }
    rmdir(folder);
}

/* The record says that more was given out than the ring holds: a pad at the end says so, and where
 * there is no room for it the oldest message goes. */
static void test_repair_of_a_full_ring_makes_room_for_what_it_has_to_say(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    struct pool *pool = test_pool_with(
        "full-ring", (struct pool_create_options){.size_bytes = 8192, .index_capacity = 0});
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("full-ring"));
    const uint64_t n_held = pool_ring_size(pool) / 64;
    for (uint64_t i = 0; i < n_held + 10; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    struct control *control = pool->control;
    assert_int_equal(control->tail - control->head, pool_ring_size(pool));
    for (int i = 0; i < 2; i++) {
        struct commit_record *record = &control->commits[i];
        record->next_seq += 5;
        control->commit_checks[i] =
            commit_check(record->end_pos, record->next_seq, record->time_ns);
    }
    pool_close(pool);

    check_ok(pool_repair(path, NULL, &repaired, &test_error));
    assert_int_equal(repaired.n_kept, n_held - 1);
    assert_int_equal(repaired.oldest_seq, 12);
    assert_int_equal(repaired.newest_seq, n_held + 10);
    assert_int_equal(repaired.n_lost, 6); /* the oldest, and the five that nobody has seen */
    pool = test_open(path, POOL_WRITE);
    check_sound(pool, 0);
    assert_int_equal(test_append(pool, "{}"), n_held + 16);
    pool_close(pool);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(repaired.copy_path), 0);
}

/* Nothing was ever in it: any division of the file into index and ring will do. */
static void test_repair_of_an_unused_pool_without_a_superblock(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    char path[256];
    uint8_t zeros[sizeof(struct superblock)] = {0};
    pool_close(test_pool("unused", 65536));
    snprintf(path, sizeof(path), "%s", test_path("unused"));
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
    check_ok(pool_repair(path, NULL, &repaired, &test_error));
    assert_int_equal(repaired.n_kept, 0);
    struct pool *pool = test_open(path, POOL_WRITE);
    check_sound(pool, 0);
    assert_int_equal(test_append(pool, "{}"), 1);
    pool_close(pool);
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(repaired.copy_path), 0);
}

/* Somebody has taken the names of the next minute for his copies. */
static void test_repair_finds_another_name_for_its_copy(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    static uint8_t bytes[POOL_BYTES];
    const time_t now = (time_t)(clock_wall_ns() / NS_PER_SECOND);
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 1].end - 1] ^= 1;
    put_file(bytes, sizeof(bytes));
    for (time_t at = now; at < now + 60; at++) {
        char name[400];
        char stamp[32];
        struct tm utc;
        assert_non_null(gmtime_r(&at, &utc));
        strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
        snprintf(name, sizeof(name), "%s.before-repair-%s", pool_file, stamp);
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
    assert_string_equal(repaired.copy_path + strlen(repaired.copy_path) - 3, "Z-1");
    assert_int_equal(sweep(), 61);
}

TESTS(test_repair_leaves_a_healthy_pool_alone, test_repair_refuses_what_it_cannot_know,
    test_repair_waits_for_nobody, test_repair_under_a_waiting_writer_and_a_follower,
    test_repair_killed_at_any_step_leaves_the_old_or_the_new, test_repair_after_a_failed_sync,
    test_repair_on_a_full_disk_changes_nothing,
    test_repair_of_a_full_ring_makes_room_for_what_it_has_to_say,
    test_repair_of_an_unused_pool_without_a_superblock, test_repair_finds_another_name_for_its_copy)
