/* Names that appear: told of at once, wherever they were missing; found without being told, too. */
#include "os/watch.h"

#include "base/clock.h"
#include "base/test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/plasmite-watch-XXXXXX";

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void make_file(const char *name)
{
    const int fd = open(at(name), O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const made[] = {"file", "other", "a/b/file", "a/b", "a", "moved", "."};
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        remove(at(made[i]));
    return rmdir(folder) == 0 || access(folder, F_OK) != 0 ? 0 : 1;
}

static void test_watch_tells_of_what_appears_after_arming(void **state)
{
    (void)state;
    scoped(watch_close) struct watch watch;
    watch_open(&watch);
    watch_arm(&watch, at("file"));
    assert_true(watch.armed);
    make_file("file"); /* before the wait begins */
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
    watch_arm(&watch, at("moved"));
    assert_int_equal(watch_wait(&watch, clock_deadline_ns(1)), WATCH_TIMEOUT); /* old news */
    make_file("other");
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
    char from[256];
    snprintf(from, sizeof(from), "%s", at("other"));
    assert_int_equal(rename(from, at("moved")), 0);
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
}

static void test_watch_climbs_to_what_exists(void **state)
{
    (void)state;
    scoped(watch_close) struct watch watch;
    watch_open(&watch);
    watch_arm(&watch, at("a/b/file"));
    assert_true(watch.armed);
    assert_int_equal(mkdir(at("a"), 0700), 0);
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
    watch_arm(&watch, at("a/b/file"));
    assert_int_equal(mkdir(at("a/b"), 0700), 0);
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
    watch_arm(&watch, at("a/b/file"));
    make_file("a/b/file");
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
}

/* A folder that goes is told of: the next arming climbs again. */
static void test_watch_tells_of_a_folder_that_goes(void **state)
{
    (void)state;
    scoped(watch_close) struct watch watch;
    watch_open(&watch);
    assert_int_equal(mkdir(at("a"), 0700), 0);
    watch_arm(&watch, at("a/file"));
    assert_int_equal(rmdir(at("a")), 0);
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
    watch_arm(&watch, at("a/file"));
    assert_true(watch.armed);
    assert_int_equal(mkdir(at("a"), 0700), 0);
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_EVENT);
}

static void test_watch_understands_every_path(void **state)
{
    (void)state;
    scoped(watch_close) struct watch watch;
    char long_path[8192];
    static const char *const paths[] = {"x", "./x", "x/", "no/such/x", "no//such//x", "../x",
        "/no-such-x", "//no-such-x", "/no-such/a/b/c", "/tmp/../no-such"};
    watch_open(&watch);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        watch_arm(&watch, paths[i]);
        assert_true(watch.armed);
    }
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    static const char *const odd[] = {"", "/", "///", "/dev/null/x/y"};
    for (size_t i = 0; i <= sizeof(odd) / sizeof(odd[0]); i++) {
        watch_arm(&watch, i < sizeof(odd) / sizeof(odd[0]) ? odd[i] : long_path);
        assert_false(watch.armed);
    }
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_LOOK);
}

static void test_watch_without_notification_looks_again(void **state)
{
    (void)state;
    scoped(watch_close) struct watch watch;
    struct rlimit limit, none = {0};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    watch_open(&watch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(watch.fd, -1);
    watch_arm(&watch, at("file"));
    assert_false(watch.armed);
    assert_int_equal(watch_wait(&watch, DEADLINE_NEVER), WATCH_LOOK);
    assert_int_equal(watch_wait(&watch, 1), WATCH_TIMEOUT);
    const uint64_t deadline_ns = clock_deadline_ns(12);
    while (watch_wait(&watch, deadline_ns) == WATCH_LOOK)
        ;
    assert_true(clock_monotonic_ns() >= deadline_ns);
}

#define N_ROUNDS 200

static atomic_uint round_asked;

/* Makes both folders and the file, as often as it is asked to. */
static void *creator(void *arg)
{
    (void)arg;
    char a[256], b[256], file[256];
    snprintf(a, sizeof(a), "%s", at("a"));
    snprintf(b, sizeof(b), "%s", at("a/b"));
    snprintf(file, sizeof(file), "%s", at("a/b/file"));
    for (unsigned i = 1; i <= N_ROUNDS; i++) {
        while (atomic_load(&round_asked) < i)
            sched_yield();
        if (mkdir(a, 0700) != 0 || mkdir(b, 0700) != 0)
            abort();
        const int fd = open(file, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0)
            abort();
        close(fd);
    }
    return NULL;
}

/* Whatever the moment at which things appear, none is slept through. Where one is, the wait ends
 * by itself after half a second; the machine's own pauses are as long at times. */
static void test_watch_misses_nothing(void **state)
{
    (void)state;
    scoped(watch_close) struct watch watch;
    pthread_t thread;
    unsigned n_unasked = 0;
    char file[256];
    watch_open(&watch);
    assert_int_equal(pthread_create(&thread, NULL, creator, NULL), 0);
    snprintf(file, sizeof(file), "%s", at("a/b/file"));
    for (unsigned i = 1; i <= N_ROUNDS; i++) {
        watch_arm(&watch, file);
        atomic_store(&round_asked, i);
        while (access(file, F_OK) != 0) {
            n_unasked += watch_wait(&watch, DEADLINE_NEVER) == WATCH_LOOK;
            watch_arm(&watch, file);
        }
        remove(file);
        remove(at("a/b"));
        remove(at("a"));
    }
    pthread_join(thread, NULL);
    print_message("# looked %u times unasked\n", n_unasked);
    assert_in_range(n_unasked, 0, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_watch_tells_of_what_appears_after_arming, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch_climbs_to_what_exists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch_tells_of_a_folder_that_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch_understands_every_path, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watch_misses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_watch_without_notification_looks_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
