/* A helper: a program of ours that runs beside this process, does what it is told over one
 * stream, and may be killed at any moment. Unlike spawn.h it touches no signal handler, so a
 * library or a server may have any number of them.
 *
 * A port supplies these functions. */
#ifndef OS_HELPER_H
#define OS_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct helper {
    pid_t pid; /* 0: there is none */
    int fd;    /* our end of the stream; the helper has the other one as its stdin */
};

enum {
    HELPER_OK = 0,
    HELPER_LATE = 1, /* the deadline passed */
    HELPER_GONE = 2, /* it has closed its end: as a rule, it has ended */
};

/* Starts `name`, looked for where modules are (os/module.h), with an empty environment, every
 * signal at its default, and /dev/null as its output. 0, or -1 with errno (ENOENT: there is no
 * such program). */
int helper_start(const char *name, const char *module_dir, struct helper *out_helper);

/* All of the bytes, before a moment of clock_monotonic_ns(): HELPER_OK, HELPER_LATE, HELPER_GONE,
 * or -1 with errno. */
int helper_send(const struct helper *helper, const void *bytes, size_t len, uint64_t deadline_ns);
int helper_receive(const struct helper *helper, void *out, size_t len, uint64_t deadline_ns);

/* Kills it if it still runs, reaps it and closes the stream. Returns how it ended: the number of
 * the signal, or 0 for an exit of its own. Of a helper that had ended that is its own signal.
 * wait_ns: how long it is given to end by itself before it is killed. Accepts one that is none. */
int helper_stop(struct helper *helper, uint64_t wait_ns);

/* For the helper itself: what it may take from now on. Memory is all the address space of the
 * process; CPU time is what it uses from this call to the next, 0 for no limit. Beyond it the
 * process ends: by its allocations that fail, and by SIGPROF. */
void helper_limit_memory(uint64_t size_bytes);
void helper_limit_cpu(uint32_t time_ms);

#endif
