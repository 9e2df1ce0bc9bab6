/* inotify. */
#include "os/watch.h"

#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* How often we look without being told: where nobody tells, and where things may appear that
 * inotify does not see (behind a symbolic link, by another machine, in a folder mounted later). */
#define WATCH_POLL_NS  (5 * NS_PER_MS)
#define WATCH_SLICE_NS (500 * NS_PER_MS)

/* Folders that come and go while they are climbed: after so many turns we poll for a moment. */
#define WATCH_TURNS 16

#define WATCH_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

void watch_open(struct watch *watch)
{
    *watch = (struct watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
}

void watch_close(struct watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    *watch = (struct watch){.fd = -1};
}

/* How much of a path names the folder it lies in: 0 for the present one, or len where there is
 * none above. */
static size_t watch_parent(const char *path, size_t len)
{
    size_t at = len;
    while (at > 0 && path[at - 1] == '/')
        at--;
    if (at == 0)
        return len;
    while (at > 0 && path[at - 1] != '/')
        at--;
    while (at > 1 && path[at - 1] == '/')
        at--;
    return at;
}

static bool watch_is_there(const char *path, size_t len)
{
    char name[PATH_MAX];
    memcpy(name, path, len);
    name[len] = '\0';
    return access(name, F_OK) == 0;
}

/* Watches the folder that the first len bytes of path name. -1 with errno. */
static int watch_add(const struct watch *watch, const char *path, size_t len)
{
    char folder[PATH_MAX] = ".";
    if (len > 0) {
        memcpy(folder, path, len);
        folder[len] = '\0';
    }
    return inotify_add_watch(watch->fd, folder, WATCH_EVENTS);
}

/* Watches the nearest folder above path that exists. Returns how much of path names what is
 * missing in it, 0 if nothing can be watched. */
static size_t watch_climb(const struct watch *watch, const char *path, size_t len)
{
    while (len > 0) {
        const size_t parent = watch_parent(path, len);
        if (parent == len)
            return 0;
        if (watch_add(watch, path, parent) >= 0)
            return len;
        if (errno != ENOENT)
            return 0;
        len = parent;
    }
    return 0;
}

void watch_arm(struct watch *watch, const char *path)
{
    const size_t len = strlen(path);

    watch->armed = false;
    if (watch->fd < 0 || len >= PATH_MAX)
        return;
    for (int turn = 0; turn < WATCH_TURNS; turn++) {
        const size_t missing = watch_climb(watch, path, len);
        if (missing == 0)
            return;
        /* a folder that was made before its parent was watched is one that nobody tells of */
        if (missing < len && watch_is_there(path, missing))
            continue;
        watch->armed = true;
        return;
    }
}

/* What happened is of no interest, only that it did. */
static void watch_drain(const struct watch *watch)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(watch->fd, events, sizeof(events)) > 0)
        ;
}

int watch_wait(struct watch *watch, uint64_t deadline_ns)
{
    const uint64_t now_ns = clock_monotonic_ns();
    if (now_ns >= deadline_ns)
        return WATCH_TIMEOUT;

    const uint64_t left_ns = deadline_ns - now_ns;
    const uint64_t slice_ns = watch->armed ? WATCH_SLICE_NS : WATCH_POLL_NS;
    const uint64_t wait_ns = left_ns < slice_ns ? left_ns : slice_ns;
    const struct timespec timeout = {
        .tv_sec = (time_t)(wait_ns / NS_PER_SECOND), .tv_nsec = (long)(wait_ns % NS_PER_SECOND)};
    struct pollfd file = {.fd = watch->fd, .events = POLLIN};
    if (ppoll(&file, watch->armed ? 1 : 0, &timeout, NULL) <= 0)
        return wait_ns == left_ns && clock_monotonic_ns() >= deadline_ns ? WATCH_TIMEOUT
                                                                         : WATCH_LOOK;
    watch_drain(watch);
    return WATCH_EVENT;
}
