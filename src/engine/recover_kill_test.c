/* Recoveries that are killed. A child opens a pool after a power loss and is single-stepped; each
 * time it has changed the control words, the file is what kill -9 would have left. Whoever opens a
 * copy of that finds all messages. (tests/proof/crash.c does the same to every call.) */
#include "engine/child_test.h"
#include "engine/handle.h"

#include <sys/mman.h>
#include <sys/ptrace.h>

#define POOL_BYTES 8192
#define STEPS_MAX  2000000 /* a hundred times what it takes */

static char pool_file[256];
static char copy_file[256];

/* A pool as the machine's next start finds it. lost: the newest message did not reach the disk. */
static void make_pool(unsigned n_messages, bool lost)
{
    struct pool *pool = test_pool("recovered", POOL_BYTES);
    uint64_t last = 0;
    for (unsigned i = 0; i < n_messages; i++) {
        last = pool->control->tail;
        test_append(pool, "{\"a\":\"message\"}");
    }
    if (lost)
        pool->ring[last] ^= 1;
    pool->control->boot_id[0] ^= 1;
    pool_close(pool);
}

static pid_t start_recovery(void)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct pool *pool = NULL;
        alarm(60);
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(77);
        raise(SIGSTOP);
        _exit(pool_open(pool_file, POOL_WRITE, NULL, &pool, NULL) == POOL_OK ? 0 : 1);
    }
    return pid;
}

/* The state is what the child had left, had it been killed now. */
static void check_state(const uint8_t *bytes, unsigned n_messages, unsigned step)
{
    const struct pool_open_options once = {.busy_timeout_ms = 0};
    struct pool *pool = NULL;
    struct pool_report report;
    const int fd = open(copy_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(pwrite(fd, bytes, POOL_BYTES, 0), POOL_BYTES);
    close(fd);
    const int r = pool_open(copy_file, POOL_WRITE, &once, &pool, &test_error);
    if (r != POOL_OK)
        fail_msg("killed after %u steps, opening gives %d: %s", step, r,
            test_error != NULL ? test_error->message : "no error");
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    assert_int_equal(report.n_messages, n_messages);
    assert_int_equal(test_append(pool, "{}"), n_messages + 1);
    pool_close(pool);
}

/* Returns the child's status when it has ended, and how many states there were. */
static int step_through(pid_t pid, const uint8_t *file, unsigned n_messages, unsigned *n_states)
{
    static uint8_t seen[FORMAT_HEADER_SIZE];
    int status = 0;

    memcpy(seen, file, sizeof(seen));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (unsigned step = 0; WIFSTOPPED(status); step++) {
        assert_true(step < STEPS_MAX);
        if (memcmp(seen, file, sizeof(seen)) != 0) {
            memcpy(seen, file, sizeof(seen));
            check_state(file, n_messages, step);
            (*n_states)++;
        }
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            return 77 << 8;
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    return status;
}

/* False: nobody can be stepped here. */
static bool check_kills(unsigned n_messages, bool lost)
{
    unsigned n_states = 0;
    make_pool(n_messages, lost);
    const int fd = open(pool_file, O_RDONLY | O_CLOEXEC);
    uint8_t *file = mmap(NULL, POOL_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(file != MAP_FAILED);
    close(fd);
    const int status = step_through(start_recovery(), file, n_messages - lost, &n_states);
    munmap(file, POOL_BYTES);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    print_message("# %u states of a recovery\n", n_states);
    assert_true(n_states > 5);
    return true;
}

/* With either commit record in force, and with a tail that moves back or stays. */
static void test_recover_killed_at_any_step_can_be_repeated(void **state)
{
    (void)state;
    snprintf(pool_file, sizeof(pool_file), "%s", test_path("recovered"));
    snprintf(copy_file, sizeof(copy_file), "%s", test_path("copy"));
    for (unsigned i = 0; i < 4; i++)
        if (!check_kills(2 + i % 2, i / 2 == 1))
            skip();
}

TESTS(test_recover_killed_at_any_step_can_be_repeated)
