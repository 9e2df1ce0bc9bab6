/* Support for tests with several processes: children that a test talks to through pipes, so that
 * it waits for what they say and never for time to pass. */
#ifndef ENGINE_CHILD_TEST_H
#define ENGINE_CHILD_TEST_H

#include "engine/pool_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

/* How long a fact may take before the test gives up: far more than it ever should. */
#define CHILD_PATIENCE_MS 20000

/* For children: cmocka's assertions would jump into the parent's list of tests. */
#define child_must(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: in a child: %s\n", __FILE__, __LINE__, #condition);            \
            if (test_error != NULL)                                                                \
                fprintf(stderr, "  %s\n", test_error->message);                                    \
            _exit(99);                                                                             \
        }                                                                                          \
    } while (0)

struct child {
    pid_t pid;
    int to;   /* what is written here the child reads from in */
    int from; /* what the child writes to out */
};

/* The child's ends; arg is what the test handed over. */
struct child_side {
    int in;
    int out;
    const void *arg;
};

/* Runs the function in a child, which ends with status 0 when the function returns. It dies with
 * its parent, and by SIGALRM if it hangs. */
static inline struct child child_start(void (*run)(const struct child_side *side), const void *arg)
{
    int to[2];
    int from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        close(to[1]);
        close(from[0]);
        const struct child_side side = {to[0], from[1], arg};
        run(&side);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    return (struct child){pid, to[1], from[0]};
}

static inline void child_say(const struct child_side *side, char word)
{
    child_must(write(side->out, &word, 1) == 1);
}

static inline char child_listen(const struct child_side *side)
{
    char word = 0;
    child_must(read(side->in, &word, 1) == 1);
    return word;
}

static inline void child_tell(const struct child *child, char word)
{
    assert_int_equal(write(child->to, &word, 1), 1);
}

/* Whether the child says something within this time. */
static inline bool child_speaks(const struct child *child, int timeout_ms)
{
    struct pollfd wait = {.fd = child->from, .events = POLLIN};
    return poll(&wait, 1, timeout_ms) == 1 && (wait.revents & POLLIN) != 0;
}

static inline void child_expect(const struct child *child, char word)
{
    char said = 0;
    if (!child_speaks(child, CHILD_PATIENCE_MS))
        fail_msg("the child did not say '%c'", word);
    assert_int_equal(read(child->from, &said, 1), 1);
    assert_int_equal(said, word);
}

static inline void child_close(struct child *child)
{
    close(child->to);
    close(child->from);
}

/* Waits until the child is dead, without reaping it. */
static inline void child_wait_dead(const struct child *child)
{
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT), 0);
}

static inline void child_wait_stopped(const struct child *child)
{
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child->pid, &info, WSTOPPED), 0);
}

/* Waits for the child to end by itself, with success. */
static inline void child_join(struct child *child)
{
    int status = 0;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a child ended with status %#x", (unsigned)status);
    child_close(child);
}

static inline void child_kill(struct child *child)
{
    kill(child->pid, SIGKILL);
    assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
    child_close(child);
}

static inline struct pool *test_open_patient(const char *path, uint32_t busy_timeout_ms)
{
    struct pool_open_options options = POOL_OPEN_DEFAULTS;
    struct pool *pool = NULL;
    options.busy_timeout_ms = busy_timeout_ms;
    check_ok(pool_open(path, POOL_WRITE, &options, &pool, &test_error));
    return pool;
}

static inline uint64_t test_elapsed_ms(uint64_t since_ns)
{
    return (clock_monotonic_ns() - since_ns) / NS_PER_MS;
}

#endif
