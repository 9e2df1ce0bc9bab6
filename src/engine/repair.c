/* A repair seen from outside: a copy is mended, the damaged file copied aside, and the mended
 * one takes its place. Until that last step the damaged file is only read. */
#include "engine/repair.h"

#include "base/clock.h"
#include "engine/frame.h"
#include "engine/superblock.h"
#include "os/file.h"
#include "os/guard.h"
#include "os/map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_STEP  (UINT64_C(1) << 20)
#define COPIES_MAX 1000 /* names tried for the copy aside within one second */

/* The damaged file, and what stands for it meanwhile. */
struct repair {
    char *path; /* without symbolic links */
    int fd;
    struct stat status;
    void *map; /* all of the file, read-only */
    atomic_bool truncated;
    struct superblock superblock;
    struct pool *work; /* the copy that is mended; owns its descriptor */
    char *temporary;   /* its name, where it needs one */
    struct progress progress;
};

void pool_repaired_fini(struct pool_repaired *repaired)
{
    free(repaired->copy_path);
    *repaired = (struct pool_repaired){0};
}

static void repair_fini_scoped(struct repair *repair)
{
    pool_close(repair->work);
    file_discard(repair->temporary);
    free(repair->temporary);
    if (repair->map != NULL)
        guard_remove(repair->map);
    map_free(repair->map, (size_t)repair->status.st_size);
    file_close(repair->fd); /* ends the lock */
    free(repair->path);
}

static void repair_free(char *string)
{
    free(string);
}
SCOPED_DEFINE(char *, repair_free)

/* Keeps everybody else out. Writers share the lock and hold leases; whoever opens the file from
 * now on waits, and then sees that it has no name any more. */
static int repair_lock(struct repair *repair, plsm_error_t **err)
{
    const int locked = file_exclude_try(repair->fd);
    if (locked < 0)
        return error_io(err, errno, "failed to lock the pool file");
    if (locked == FILE_LOCKED || file_lease_any(repair->fd, FORMAT_LEASE_MAX) != 0)
        return POOL_BUSY;
    /* somebody else's repair may have ended between our open and our lock */
    return file_is_at(repair->fd, repair->path) == 1 ? POOL_OK : POOL_BUSY;
}

/* Opens and locks the file. POOL_OK, POOL_BUSY or -1. */
static int repair_open(struct repair *repair, const char *path, plsm_error_t **err)
{
    repair->path = realpath(path, NULL);
    if (repair->path == NULL)
        return errno == ENOMEM ? error_oom(err) : pool_open_failed(errno, err);
    repair->fd = file_open(repair->path, true);
    if (repair->fd < 0)
        return pool_open_failed(errno, err);
    const int locked = repair_lock(repair, err);
    if (locked != POOL_OK)
        return locked;
    if (fstat(repair->fd, &repair->status) < 0)
        return error_io(err, errno, "failed to look at the pool file");
    if (!S_ISREG(repair->status.st_mode))
        return error_set(err, PLSM_ERROR_IO, "not a regular file");
    return POOL_OK;
}

/* Verifies under the lock. A machine that died is no damage: whoever opens the pool recovers it. */
static int repair_check(const struct repair *repair, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *unsound = NULL;
    scoped(pool_close) struct pool *pool = NULL;
    struct superblock superblock;
    struct pool_report report;

    if (superblock_read(repair->fd, &superblock, &unsound) < 0) {
        if (unsound == NULL || unsound->kind != PLSM_ERROR_IO)
            return POOL_OK; /* its kind is looked at later */
        if (err != NULL) {
            *err = unsound;
            unsound = NULL;
        }
        return -1; /* nobody could look: that is no reason to repair */
    }
    scoped(file_close) int fd = fcntl(repair->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return error_io(err, errno, "failed to open the pool file");
    if (pool_adopt(fd, POOL_READ, &superblock, repair->path, &pool, err) < 0)
        return -1;
    fd = -1; /* the pool owns it now */
    if (pool_verify(pool, &report, err) < 0)
        return -1;
    return report.n_issues == 0 ? POOL_HEALTHY : POOL_OK;
}

/* Reads the file's division from a mapping of what there is. */
static int repair_look(struct repair *repair, plsm_error_t **err)
{
    struct image image = {.size = (uint64_t)repair->status.st_size};
    if (image.size > 0) {
        repair->map = map_file(repair->fd, image.size, false);
        if (repair->map == NULL)
            return error_io(err, errno, "failed to map pool file");
        guard_add(repair->map, image.size, &repair->truncated);
        image.bytes = repair->map;
    }
    if (repair_superblock(repair->fd, &image, &repair->superblock, err) < 0)
        return -1;
    if (image.size <= repair->superblock.ring_offset)
        return error_set(err, PLSM_ERROR_CORRUPT, "the file was truncated before its messages");
    return 0;
}

/* Copies the first len bytes. */
static int repair_copy(struct repair *repair, int to, uint64_t len, uint64_t base)
{
    const uint8_t *bytes = repair->map;

    for (uint64_t done = 0; done < len;) {
        const uint64_t step = len - done < COPY_STEP ? len - done : COPY_STEP;
        progress_reach(&repair->progress, base + done);
        const ssize_t n = pwrite(to, bytes + done, step, (off_t)done);
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (uint64_t)n : 0;
    }
    return 0;
}

static int repair_copy_failed(plsm_error_t **err)
{
    if (errno == EFAULT) /* the kernel reads no mapping behind the end of its file */
        return error_set(err, PLSM_ERROR_CORRUPT, "the file was truncated while in use");
    return error_io(err, errno, "failed to copy the pool");
}

/* A new file beside the pool, of this size, with the pool's owner. */
static int repair_create(const struct repair *repair, const char *path, mode_t mode, uint64_t size,
    char **out_temporary, plsm_error_t **err)
{
    scoped(file_close) int fd = file_create_unnamed(path, mode, out_temporary);
    if (fd < 0)
        return error_errno(err, errno, "failed to create a file beside the pool");
    const struct stat *old = &repair->status;
    struct stat new;
    if (fstat(fd, &new) < 0)
        return error_io(err, errno, "failed to look at the new file");
    if ((new.st_uid != old->st_uid || new.st_gid != old->st_gid) &&
        fchown(fd, old->st_uid, old->st_gid) < 0)
        return error_errno(err, errno, "failed to give the new file the pool's owner");
    if (size > 0 && file_allocate(fd, size) < 0) {
        error_io(err, errno, "no room for a copy of the pool");
        return error_hint(err,
            "A repair needs %llu bytes free beside the pool. Nothing was changed.",
            (unsigned long long)repair->superblock.file_size + (unsigned long long)old->st_size);
    }
    const int made = fd;
    fd = -1; /* the caller owns it now */
    return made;
}

/* Copies the file to one without a name, and mends that. */
static int repair_mend(
    struct repair *repair, struct pool_repaired *out_repaired, plsm_error_t **err)
{
    const uint64_t size = repair->superblock.file_size;
    const uint64_t present = (uint64_t)repair->status.st_size;
    struct pool_report report;

    scoped(file_close) int fd = repair_create(
        repair, repair->path, repair->status.st_mode & 0777, size, &repair->temporary, err);
    if (fd < 0)
        return -1;
    if (repair_copy(repair, fd, size < present ? size : present, 0) < 0)
        return repair_copy_failed(err);
    if (pool_adopt(fd, POOL_WRITE, &repair->superblock, repair->path, &repair->work, err) < 0)
        return -1;
    fd = -1; /* the pool owns it now */
    progress_tell(&repair->progress, size);
    if (repair_ring(repair->work, &repair->progress, size, out_repaired, err) < 0)
        return -1;
    if (atomic_load_explicit(&repair->truncated, memory_order_relaxed))
        return error_set(err, PLSM_ERROR_CORRUPT, "the file was truncated while in use");
    if (pool_verify(repair->work, &report, err) < 0)
        return -1;
    if (report.n_issues > 0)
        return error_set(err, PLSM_ERROR_CORRUPT, "cannot be repaired: %s would remain",
            report.issues[0].message);
    if (file_sync(repair->work->fd) < 0)
        return error_io(err, errno, "failed to flush the new file");
    return 0;
}

/* "PATH.before-repair-20260102T030405Z", with a number behind it if that is taken. */
static char *repair_copy_name(const char *path, uint64_t now_ns, int number)
{
    const time_t seconds = (time_t)(now_ns / NS_PER_SECOND);
    struct tm utc;
    char stamp[32] = "";
    char *name = NULL;

    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
    const int n = number == 0 ? asprintf(&name, "%s.before-repair-%s", path, stamp)
                              : asprintf(&name, "%s.before-repair-%s-%d", path, stamp, number);
    return n < 0 ? NULL : name;
}

/* Gives the copy a name that nobody has, and brings that to the disk. */
static int repair_copy_publish(
    const struct repair *repair, int fd, const char *temporary, char **out_path, plsm_error_t **err)
{
    const uint64_t now_ns = clock_wall_ns();

    for (int i = 0; i < COPIES_MAX; i++) {
        scoped(repair_free) char *name = repair_copy_name(repair->path, now_ns, i);
        if (name == NULL)
            return error_oom(err);
        if (file_publish(fd, name, temporary) < 0) {
            if (errno == EEXIST)
                continue;
            return error_errno(err, errno, "failed to name the copy of the pool");
        }
        if (file_sync_with_name(fd, name) < 0) {
            const int errnum = errno;
            unlink(name);
            return error_io(err, errnum, "failed to flush the copy of the pool");
        }
        *out_path = name;
        name = NULL; /* the caller owns it now */
        return 0;
    }
    return error_set(err, PLSM_ERROR_ALREADY_EXISTS, "too many copies of the pool");
}

static int repair_copy_aside(struct repair *repair, char **out_path, plsm_error_t **err)
{
    scoped(repair_free) char *temporary = NULL;
    const uint64_t size = (uint64_t)repair->status.st_size;
    const uint64_t base = repair->superblock.file_size + repair->superblock.ring_size;

    scoped(file_close) int fd = repair_create(repair, repair->path, 0600, size, &temporary, err);
    if (fd < 0)
        return -1;
    int r = 0;
    progress_tell(&repair->progress, base);
    if (repair_copy(repair, fd, size, base) < 0)
        r = repair_copy_failed(err);
    else
        r = repair_copy_publish(repair, fd, temporary, out_path, err);
    if (r < 0)
        file_discard(temporary);
    return r;
}

/* Puts the mended file in the damaged one's place. */
static int repair_replace(struct repair *repair, const char *copy_path, plsm_error_t **err)
{
    if (atomic_load_explicit(&repair->truncated, memory_order_relaxed)) {
        unlink(copy_path);
        return error_set(err, PLSM_ERROR_CORRUPT, "the file was truncated while in use");
    }
    progress_tell(&repair->progress, repair->progress.total);
    if (file_replace(repair->work->fd, repair->path, repair->temporary) < 0) {
        const int errnum = errno;
        unlink(copy_path);
        return error_errno(err, errnum, "failed to put the repaired pool in place");
    }
    free(repair->temporary);
    repair->temporary = NULL; /* it has the pool's name now */
    if (file_sync_with_name(repair->work->fd, repair->path) < 0)
        return error_io(err, errno, "failed to flush the repaired pool");
    progress_finish(&repair->progress);
    return 0;
}

static int repair_run(
    struct repair *repair, const char *path, struct pool_repaired *repaired, plsm_error_t **err)
{
    const int opened = repair_open(repair, path, err);
    if (opened != POOL_OK)
        return opened;
    const int checked = repair_check(repair, err);
    if (checked != POOL_OK)
        return checked;
    if (repair_look(repair, err) < 0)
        return -1;
    progress_start(&repair->progress, repair->superblock.file_size + repair->superblock.ring_size +
                                          (uint64_t)repair->status.st_size);
    if (repair_mend(repair, repaired, err) < 0)
        return -1;
    if (repair_copy_aside(repair, &repaired->copy_path, err) < 0)
        return -1;
    return repair_replace(repair, repaired->copy_path, err);
}

int pool_repair(const char *path, const struct pool_progress *progress,
    struct pool_repaired *out_repaired, plsm_error_t **err)
{
    scoped(repair_fini) struct repair repair = {.fd = -1, .progress = {.to = progress}};
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};

    const int r = repair_run(&repair, path, &repaired, err);
    if (r < 0)
        return error_at_path(err, path);
    if (r == POOL_OK) {
        *out_repaired = repaired;
        repaired = (struct pool_repaired){0}; /* the caller owns it now */
    }
    return r;
}
