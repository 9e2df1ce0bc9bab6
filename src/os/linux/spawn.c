#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child may write ahead of us. Pages of a pipe are taken only while they hold something. */
#define SPAWN_PIPE_BYTES 262144

static const int spawn_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGPIPE};
#define N_SIGNALS (sizeof(spawn_signals) / sizeof(spawn_signals[0]))

/* The handler's: whom to hand signals to, and where to say that one came. */
static volatile sig_atomic_t handler_pid;
static volatile sig_atomic_t handler_fd = -1;

/* The terminal sent it, because of a key, to the whole foreground group: the child got it too.
 * A hang-up is another matter: the system tells only the leader of the session, and that may be
 * this process. */
static bool handler_child_has_it(int signo, const siginfo_t *info)
{
    return info->si_code == SI_KERNEL && (signo == SIGINT || signo == SIGQUIT);
}

static void handler_run(int signo, siginfo_t *info, void *context)
{
    const int saved = errno;
    const uint8_t byte = (uint8_t)signo;
    (void)context;
    if (signo != SIGCHLD && handler_pid > 0 && !handler_child_has_it(signo, info))
        kill((pid_t)handler_pid, signo);
    while (write((int)handler_fd, &byte, 1) < 0 && errno == EINTR)
        ;
    errno = saved;
}

static void spawn_block(sigset_t *out_before)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaddset(&set, spawn_signals[i]);
    sigprocmask(SIG_BLOCK, &set, out_before);
}

/* Installs the handlers; *before gets what stood there. */
static void spawn_handle(struct sigaction before[static N_SIGNALS])
{
    for (size_t i = 0; i < N_SIGNALS; i++) {
        const int signo = spawn_signals[i];
        struct sigaction action = {.sa_flags = SA_RESTART | SA_SIGINFO};
        sigemptyset(&action.sa_mask);
        action.sa_sigaction = handler_run;
        if (signo == SIGPIPE) {
            action.sa_flags = 0;
            action.sa_handler = SIG_IGN;
        }
        sigaction(signo, NULL, &before[i]);
        if (before[i].sa_handler != SIG_IGN || signo == SIGCHLD)
            sigaction(signo, &action, NULL);
    }
}

static void spawn_restore(const struct sigaction before[static N_SIGNALS])
{
    for (size_t i = 0; i < N_SIGNALS; i++)
        sigaction(spawn_signals[i], &before[i], NULL);
}

/* Handlers end with exec, but signals that we ignore would stay ignored. Returns an errno. */
static int spawn_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, fallback;
    sigemptyset(&none);
    sigemptyset(&fallback);
    sigaddset(&fallback, SIGPIPE);
    sigaddset(&fallback, SIGXFSZ);
    int r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(attributes, &fallback);
    if (r == 0)
        r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return r;
}

/* A script without "#!". Returns an errno. */
static int spawn_script(char *const argv[], const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, pid_t *out_pid)
{
    static char shell[] = "/bin/sh";
    size_t n = 0;
    while (argv[n] != NULL)
        n++;
    char **script = calloc(n + 2, sizeof(*script));
    if (script == NULL)
        return ENOMEM;
    script[0] = shell;
    memcpy(script + 1, argv, n * sizeof(*argv));
    const int r = posix_spawn(out_pid, shell, actions, attributes, script, environ);
    free(script);
    return r;
}

/* Returns an errno. */
static int spawn_program(char *const argv[], int stdout_fd, int stderr_fd, pid_t *out_pid)
{
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
    r = posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
    if (r == 0)
        r = spawn_attributes(&attributes);
    if (r == 0)
        r = posix_spawnp(out_pid, argv[0], &actions, &attributes, argv, environ);
    if (r == ENOEXEC && strchr(argv[0], '/') != NULL)
        r = spawn_script(argv, &actions, &attributes, out_pid);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

/* Three pipes: stdout, stderr, events. None of them, or all. */
static int spawn_pipes(int fds[static 6])
{
    for (int i = 0; i < 6; i += 2) {
        if (pipe2(fds + i, i == 4 ? O_CLOEXEC | O_NONBLOCK : O_CLOEXEC) == 0)
            continue;
        const int errnum = errno;
        while (i > 0)
            close(fds[--i]);
        errno = errnum;
        return -1;
    }
    for (int i = 0; i < 4; i += 2)
        fcntl(fds[i], F_SETPIPE_SZ, SPAWN_PIPE_BYTES); /* refused: it stays as it is */
    return 0;
}

int spawn_start(char *const argv[], struct spawn *out_spawn)
{
    struct sigaction before[N_SIGNALS];
    sigset_t mask;
    pid_t pid = 0;
    int fds[6];

    if (spawn_pipes(fds) < 0)
        return -1;
    /* blocked until the handler knows the child, so that no signal is lost between the two */
    spawn_block(&mask);
    handler_fd = fds[5];
    spawn_handle(before);
    const int errnum = spawn_program(argv, fds[1], fds[3], &pid);
    if (errnum == 0)
        handler_pid = pid;
    else
        spawn_restore(before);
    sigprocmask(SIG_SETMASK, &mask, NULL);

    close(fds[1]);
    close(fds[3]);
    if (errnum != 0) {
        close(fds[0]);
        close(fds[2]);
        close(fds[4]);
        close(fds[5]);
        errno = errnum;
        return -1;
    }
    *out_spawn = (struct spawn){pid, fds[0], fds[2], fds[4]};
    return 0;
}

int spawn_event(const struct spawn *spawn)
{
    uint8_t byte;
    ssize_t n;
    do
        n = read(spawn->event_fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? byte : 0;
}

bool spawn_ended(const struct spawn *spawn)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)spawn->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0
               ? errno == ECHILD
               : info.si_pid != 0;
}

void spawn_kill(const struct spawn *spawn, int signo)
{
    kill(spawn->pid, signo); /* not reaped yet: the number is still its own */
}

int spawn_reap(struct spawn *spawn, int *out_status)
{
    siginfo_t info;
    /* It is waited for without being reaped, so that the handler may use its number to the end. */
    while (waitid(P_PID, (id_t)spawn->pid, &info, WEXITED | WNOWAIT) < 0)
        if (errno != EINTR)
            return -1;
    handler_pid = 0;
    while (waitpid(spawn->pid, out_status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return 0;
}
