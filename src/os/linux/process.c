#include "os/process.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads a small file of /proc into text, NUL-terminated. Returns the length or -1. */
static ssize_t process_read_file(const char *path, char *text, size_t size)
{
    int fd;
    do
        fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -1;
    size_t len = 0;
    ssize_t n;
    do {
        n = read(fd, text + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    } while (n > 0 || (n < 0 && errno == EINTR));
    const int errnum = errno;
    close(fd);
    errno = errnum;
    text[len] = '\0';
    return n < 0 ? -1 : (ssize_t)len;
}

static int process_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int process_boot_id(uint8_t out_id[static 16])
{
    char text[64];
    size_t n_digits = 0;

    memset(out_id, 0, 16);
    if (process_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text)) < 0)
        return errno == ENOENT || errno == EACCES ? 0 : -1;
    for (const char *at = text; *at != '\0' && n_digits < 32; at++) {
        const int digit = process_hex_digit(*at);
        if (digit < 0)
            continue;
        out_id[n_digits / 2] = (uint8_t)(out_id[n_digits / 2] << 4 | digit);
        n_digits++;
    }
    return 0;
}

static uint64_t process_boottime_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static uint32_t process_namespace(void)
{
    struct stat status;
    if (stat("/proc/self/ns/pid", &status) != 0)
        return 0;
    return (uint32_t)status.st_ino;
}

void process_witness(struct process_witness *out_witness)
{
    out_witness->pid = (uint32_t)getpid();
    out_witness->namespace = process_namespace();
    out_witness->since_ns = process_boottime_ns();
}

/* The n-th field of a line of /proc/PID/stat, counted from 1 as proc(5) does; NULL: none. */
static const char *process_stat_field(const char *text, int n)
{
    const char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at != NULL && field < n; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? at + 1 : NULL;
}

/* When the process began, since boot; UINT64_MAX if it cannot be told. */
static uint64_t process_started_ns(const char *stat_text)
{
    const char *ticks = process_stat_field(stat_text, 22);
    const long ticks_per_second = sysconf(_SC_CLK_TCK);
    if (ticks == NULL || ticks_per_second <= 0)
        return UINT64_MAX;
    return strtoull(ticks, NULL, 10) * (NS_PER_SECOND / (uint64_t)ticks_per_second);
}

/* A process that ended and was not asked for its status yet. One whose first thread alone has
 * ended looks the same but for the number of threads. */
static bool process_is_zombie(const char *stat_text)
{
    const char *process_state = process_stat_field(stat_text, 3);
    const char *n_threads = process_stat_field(stat_text, 20);
    return process_state != NULL && n_threads != NULL &&
           (*process_state == 'Z' || *process_state == 'X') && strtoul(n_threads, NULL, 10) <= 1;
}

bool process_is_gone(const struct process_witness *witness)
{
    if (witness->pid == 0 || witness->namespace == 0 || witness->namespace != process_namespace())
        return false;
    if (kill((pid_t)witness->pid, 0) < 0)
        return errno == ESRCH;
    char path[64];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%u/stat", witness->pid);
    if (process_read_file(path, text, sizeof(text)) < 0)
        return false;
    if (process_is_zombie(text))
        return true;
    const uint64_t started_ns = process_started_ns(text);
    /* start times are rounded down to a tick, so "later" is certain only by a whole tick */
    return started_ns != UINT64_MAX && started_ns > witness->since_ns + 20 * NS_PER_MS;
}

unsigned process_cpus(void)
{
    static atomic_uint cached;
    unsigned n = atomic_load_explicit(&cached, memory_order_relaxed);
    if (n != 0)
        return n;

    cpu_set_t set;
    n = 1;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        n = (unsigned)CPU_COUNT(&set);
    atomic_store_explicit(&cached, n, memory_order_relaxed);
    return n;
}
