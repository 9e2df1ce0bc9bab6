/* One program that runs on behalf of this one: its output comes in two pipes, and signals that
 * are meant for it are handed on.
 *
 * For programs alone, and for one child at a time: signal handlers belong to the whole process.
 * A port supplies these functions. */
#ifndef OS_SPAWN_H
#define OS_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

struct spawn {
    pid_t pid;
    int stdout_fd; /* the reading ends of its pipes; the holder closes them */
    int stderr_fd;
    int event_fd; /* readable when spawn_event() has something to say */
};

/* Starts argv (which ends with NULL), found as the shell finds it, with our stdin and its output
 * in pipes. A file that is executable but of no format the system knows is given to /bin/sh, as
 * execvp() does.
 *
 * From then on SIGINT, SIGTERM, SIGHUP and SIGQUIT are handed on to it as soon as they arrive,
 * whatever this process is waiting for; the child itself begins with no signal blocked, and with
 * SIGPIPE at its default. A signal that was ignored before stays ignored, by both: that is how
 * nohup and shells' background jobs are meant. Those that the terminal's keys send go to the
 * whole foreground group, hence to the child too, and are not sent to it again. SIGPIPE is
 * ignored by us.
 *
 * 0, or -1 with errno: nothing was started then and everything is as before. */
int spawn_start(char *const argv[], struct spawn *out_spawn);

/* The number of a signal that arrived: one of the four, or SIGCHLD (ask spawn_ended()); 0 when
 * there is no more. In the order of their arrival. Never waits. */
int spawn_event(const struct spawn *spawn);

/* Whether it has ended. It is not reaped by that. */
bool spawn_ended(const struct spawn *spawn);

/* Sends it a signal; of no effect if it has ended. */
void spawn_kill(const struct spawn *spawn, int signo);

/* Waits for its end and reaps it; signals go on being handed on meanwhile. *out_status is as from
 * waitpid(). 0, or -1 with errno. */
int spawn_reap(struct spawn *spawn, int *out_status);

#endif
