#include "os/helper.h"

#include "base/clock.h"
#include "os/module.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- starting --- */

/* Signals that are ignored stay so behind exec: those that end the helper must not be. Returns an
 * errno. */
static int helper_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &all);
    if (r == 0)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return r;
}

static int helper_files(posix_spawn_file_actions_t *actions, int fd)
{
    int r = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (r == 0)
        r = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    return r;
}

/* Returns an errno. */
static int helper_spawn(char *path, int fd, pid_t *out_pid)
{
    char *const argv[] = {path, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;

    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return r;
    r = posix_spawnattr_init(&attributes);
    if (r != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return r;
    }
    r = helper_files(&actions, fd);
    if (r == 0)
        r = helper_attributes(&attributes);
    if (r == 0)
        r = posix_spawn(out_pid, path, &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

/* The helper's end must not be one of the three that it is copied to or stands beside: a program
 * may have been started with these closed. */
static int helper_pair(int fds[static 2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (fds[i] > STDERR_FILENO)
            continue;
        const int high = fcntl(fds[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        const int errnum = errno;
        if (high < 0) {
            close(fds[0]);
            close(fds[1]);
            errno = errnum;
            return -1;
        }
        close(fds[i]);
        fds[i] = high;
    }
    return 0;
}

int helper_start(const char *name, const char *module_dir, struct helper *out_helper)
{
    char path[PATH_MAX];
    pid_t pid = 0;
    int fds[2];

    if (!os_module_program(name, module_dir, path, sizeof(path))) {
        errno = ENOENT;
        return -1;
    }
    if (helper_pair(fds) < 0)
        return -1;
    const int errnum = helper_spawn(path, fds[1], &pid);
    close(fds[1]);
    if (errnum != 0) {
        close(fds[0]);
        errno = errnum;
        return -1;
    }
    *out_helper = (struct helper){.pid = pid, .fd = fds[0]};
    return 0;
}

/* --- talking --- */

/* Waits until the stream is ready for events, or broken. */
static int helper_wait(const struct helper *helper, short events, uint64_t deadline_ns)
{
    struct pollfd poll_fd = {.fd = helper->fd, .events = events};

    for (;;) {
        const uint64_t now = clock_monotonic_ns();
        if (now >= deadline_ns)
            return HELPER_LATE;
        const uint64_t left = deadline_ns - now;
        const struct timespec timeout = {
            .tv_sec = (time_t)(left / NS_PER_SECOND), .tv_nsec = (long)(left % NS_PER_SECOND)};
        const int r = ppoll(&poll_fd, 1, &timeout, NULL);
        if (r > 0)
            return HELPER_OK;
        if (r < 0 && errno != EINTR)
            return -1;
    }
}

/* What a transfer that moved nothing means. */
static int helper_problem(ssize_t n)
{
    if (n == 0 || errno == EPIPE || errno == ECONNRESET)
        return HELPER_GONE;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? HELPER_OK : -1;
}

int helper_send(const struct helper *helper, const void *bytes, size_t len, uint64_t deadline_ns)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        const ssize_t n = send(helper->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
            continue;
        }
        int r = helper_problem(n);
        if (r == HELPER_OK)
            r = helper_wait(helper, POLLOUT, deadline_ns);
        if (r != HELPER_OK)
            return r;
    }
    return HELPER_OK;
}

int helper_receive(const struct helper *helper, void *out, size_t len, uint64_t deadline_ns)
{
    uint8_t *at = out;

    while (len > 0) {
        int r = helper_wait(helper, POLLIN, deadline_ns);
        if (r != HELPER_OK)
            return r;
        const ssize_t n = recv(helper->fd, at, len, MSG_DONTWAIT);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
            continue;
        }
        r = helper_problem(n);
        if (r != HELPER_OK)
            return r;
    }
    return HELPER_OK;
}

/* --- ending --- */

static bool helper_reap(pid_t pid, int options, int *out_status)
{
    for (;;) {
        const pid_t r = waitpid(pid, out_status, options);
        if (r == pid)
            return true;
        if (r == 0)
            return false;
        if (errno != EINTR) { /* somebody else has reaped it: how it ended is not known */
            *out_status = 0;
            return true;
        }
    }
}

/* A process that is killed closes its stream before it can be reaped. Where the kernel cannot
 * tell of its end (before Linux 5.3), it is not waited for. */
static void helper_wait_for_end(const struct helper *helper, uint64_t wait_ns)
{
    const int fd = (int)syscall(SYS_pidfd_open, helper->pid, 0);
    const struct helper end = {.pid = helper->pid, .fd = fd};

    if (fd < 0)
        return;
    helper_wait(&end, POLLIN, clock_monotonic_ns() + wait_ns);
    close(fd);
}

int helper_stop(struct helper *helper, uint64_t wait_ns)
{
    int status = 0;

    if (helper->pid <= 0)
        return 0;
    close(helper->fd);
    if (wait_ns > 0)
        helper_wait_for_end(helper, wait_ns);
    if (!helper_reap(helper->pid, WNOHANG, &status)) {
        kill(helper->pid, SIGKILL);
        helper_reap(helper->pid, 0, &status);
    }
    *helper = (struct helper){.fd = -1};
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* --- for the helper itself --- */

void helper_limit_memory(uint64_t size_bytes)
{
    const struct rlimit none = {0, 0};
    const struct rlimit limit = {size_bytes, size_bytes};

    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    setrlimit(RLIMIT_AS, &limit); /* sanitizers reserve terabytes of it */
#else
    (void)limit;
#endif
}

void helper_limit_cpu(uint32_t time_ms)
{
    const struct itimerval timer = {
        .it_value = {.tv_sec = time_ms / 1000, .tv_usec = (suseconds_t)(time_ms % 1000) * 1000}};

    setitimer(ITIMER_PROF, &timer, NULL);
}
