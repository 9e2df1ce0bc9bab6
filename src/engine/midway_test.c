/* What changes while a pool is looked at or repaired: the reports on the way (pool_progress) are
 * the moments at which the file is cut, overtaken, or spoilt. */
#include "engine/repair_test.h"

#include <sys/stat.h>

struct moment {
    unsigned n_told;
    unsigned when; /* the report at which it happens */
    struct pool *pool;
};

static void damaged_image(uint8_t bytes[POOL_BYTES])
{
    make_image();
    memcpy(bytes, image, POOL_BYTES);
    bytes[model[N_MODEL - 1].end - 1] ^= 1;
}

/* A writer comes round while the walk stands still, and then the words make no sense any more. */
static void overtake_and_spoil(void *context, uint64_t done, uint64_t total)
{
    struct moment *moment = context;
    (void)done, (void)total;
    if (moment->n_told++ != moment->when)
        return;
    for (int i = 0; i < 400; i++)
        test_append(moment->pool, "{\"some\":\"messages, so that the whole ring is new\"}");
    atomic_fetch_xor(&moment->pool->control->tail, UINT64_C(1) << 40);
}

static void test_midway_verify_tells_words_that_contradict_each_other(void **state)
{
    (void)state;
    make_image();
    put_file(image, sizeof(image));
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
    struct moment moment = {.pool = pool};
    const struct pool_progress progress = {.tell = overtake_and_spoil, .context = &moment};
    struct pool_report report;
    assert_int_equal(pool_verify_telling(pool, &progress, &report, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
    plsm_error_free(test_error);
    test_error = NULL;
}

static void cut_off(void *context, uint64_t done, uint64_t total)
{
    struct moment *moment = context;
    (void)done, (void)total;
    if (moment->n_told++ == moment->when)
        assert_int_equal(truncate(pool_file, 4096), 0);
}

/* Whenever that happens: an error and nothing left behind, or all of it was read before. */
static void test_midway_repair_survives_a_file_that_is_cut_off(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    damaged_image(bytes);
    unsigned n_told, n_refused = 0, when = 0;
    do {
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        struct moment moment = {.when = when};
        const struct pool_progress progress = {.tell = cut_off, .context = &moment};
        put_file(bytes, sizeof(bytes));
        const int r = pool_repair(pool_file, &progress, &repaired, &test_error);
        n_told = moment.n_told;
        assert_true(r == POOL_OK || r == -1);
        if (r == -1) {
            n_refused++;
            assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
            assert_string_equal(test_error->message, "the file was truncated while in use");
            plsm_error_free(test_error);
            test_error = NULL;
        }
        assert_int_equal(sweep(), r == POOL_OK ? 1 : 0);
    } while (++when <= n_told);
    assert_true(n_refused >= 2); /* while it is copied to be mended, and while it is set aside */
}

static void test_midway_repair_refuses_what_is_no_file(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    char path[300];
    make_image();
    snprintf(path, sizeof(path), "%s/fifo", test_folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(pool_repair(path, NULL, &repaired, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_IO);
    plsm_error_free(test_error);
    test_error = NULL;
    assert_int_equal(unlink(path), 0);
}

/* May write to the pool, and cannot give a new file to the pool's owner. */
static void repair_as_another(const struct child_side *side)
{
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    (void)side;
    child_must(setgid(65534) == 0);
    child_must(setuid(65534) == 0);
    child_must(pool_repair(pool_file, NULL, &repaired, &test_error) == -1);
    child_must(test_error->kind == PLSM_ERROR_PERMISSION);
}

static void test_midway_repair_keeps_the_owner_or_fails(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    static uint8_t bytes[POOL_BYTES];
    static uint8_t now[POOL_BYTES];
    struct stat status;
    if (geteuid() != 0)
        skip();
    damaged_image(bytes);
    put_file(bytes, sizeof(bytes));
    assert_int_equal(chmod(test_folder, 0777), 0);
    assert_int_equal(chmod(pool_file, 0666), 0);
    struct child child = child_start(repair_as_another, NULL);
    child_join(&child);
    read_file(pool_file, now, sizeof(now));
    assert_memory_equal(now, bytes, sizeof(now));
    assert_int_equal(sweep(), 0);

    assert_int_equal(chown(pool_file, 65534, 65534), 0);
    check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
    assert_int_equal(stat(pool_file, &status), 0);
    assert_int_equal(status.st_uid, 65534);
    assert_int_equal(status.st_gid, 65534);
    assert_int_equal(sweep(), 1);
}

/* Somebody has taken a thousand names for each second. */
static void test_midway_repair_has_no_name_left_for_its_copy(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    static uint8_t bytes[POOL_BYTES];
    enum { N_SECONDS = 10, N_NAMES = 1000 };
    damaged_image(bytes);
    put_file(bytes, sizeof(bytes));
    const time_t now = (time_t)(clock_wall_ns() / NS_PER_SECOND);
    for (int i = 0; i < N_SECONDS * N_NAMES; i++) {
        const time_t at = now + i / N_NAMES;
        char name[400], stamp[32], number[16] = "";
        struct tm utc;
        assert_non_null(gmtime_r(&at, &utc));
        strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
        if (i % N_NAMES > 0)
            snprintf(number, sizeof(number), "-%d", i % N_NAMES);
        snprintf(name, sizeof(name), "%s.before-repair-%s%s", pool_file, stamp, number);
        assert_int_equal(symlink("taken", name), 0);
    }
    assert_int_equal(pool_repair(pool_file, NULL, &repaired, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_ALREADY_EXISTS);
    plsm_error_free(test_error);
    test_error = NULL;
    assert_int_equal(sweep(), N_SECONDS * N_NAMES);
}

/* A name that leads nowhere is one, too: our look does not see it, the link does. */
static void test_midway_create_does_not_take_a_name_away(void **state)
{
    (void)state;
    char path[300];
    make_image();
    snprintf(path, sizeof(path), "%s/nowhere", test_folder);
    assert_int_equal(symlink("not-there", path), 0);
    assert_int_equal(pool_create(path, NULL, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_ALREADY_EXISTS);
    plsm_error_free(test_error);
    test_error = NULL;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sweep(), 0);
}

TESTS(test_midway_verify_tells_words_that_contradict_each_other,
    test_midway_repair_survives_a_file_that_is_cut_off, test_midway_repair_refuses_what_is_no_file,
    test_midway_repair_keeps_the_owner_or_fails, test_midway_repair_has_no_name_left_for_its_copy,
    test_midway_create_does_not_take_a_name_away)
