#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Lease n is the byte at this offset plus n. */
#define LEASE_OFFSET ((off_t)1 << 62)

static int file_flags(bool writable)
{
    /* O_NONBLOCK matters only for a FIFO that lies where a pool was expected */
    return (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
}

/* open(), which a signal may interrupt on file systems that wait for something. */
static int file_open_retry(const char *path, int flags, mode_t mode)
{
    int fd = -1;
    do
        fd = open(path, flags, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int file_open(const char *path, bool writable)
{
    return file_open_retry(path, file_flags(writable), 0);
}

int file_reopen(int fd, bool writable)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return file_open(path, writable);
}

void file_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The folder part of path, to be freed. */
static char *file_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    if (slash == path)
        return strdup("/");
    return strndup(path, (size_t)(slash - path));
}

static void file_free(char *string)
{
    free(string);
}
SCOPED_DEFINE(char *, file_free)

/* A name that is hardly taken, in the folder of path; to be freed. */
static char *file_temporary_name(const char *path)
{
    scoped(file_free) char *folder = file_folder(path);
    uint64_t random = 0;
    char *name = NULL;
    if (folder == NULL || getrandom(&random, sizeof(random), 0) != sizeof(random) ||
        asprintf(&name, "%s/.plasmite-%016llx.tmp", folder, (unsigned long long)random) < 0)
        return NULL;
    return name;
}

static int file_create_temporary(const char *path, mode_t mode, char **out_temporary)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        char *name = file_temporary_name(path);
        if (name == NULL)
            return -1;
        const int fd =
            file_open_retry(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd >= 0) {
            *out_temporary = name;
            return fd;
        }
        free(name);
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

int file_create_unnamed(const char *path, mode_t mode, char **out_temporary)
{
    scoped(file_free) char *folder = file_folder(path);
    *out_temporary = NULL;
    if (folder == NULL)
        return -1;

    const int fd = file_open_retry(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
    if (fd >= 0 && fchmod(fd, mode) == 0 && access("/proc/self/fd", X_OK) == 0)
        return fd;
    const int errnum = errno;
    file_close(fd);
    /* EISDIR is what kernels before 3.11 say */
    if (fd < 0 && errnum != EOPNOTSUPP && errnum != EISDIR && errnum != EINVAL) {
        errno = errnum;
        return -1;
    }
    return file_create_temporary(path, mode, out_temporary);
}

int file_publish(int fd, const char *path, const char *temporary)
{
    if (temporary != NULL) {
        if (link(temporary, path) < 0)
            return -1;
        (void)unlink(temporary); /* a second name may stay: the file is where it should be */
        return 0;
    }
    char self[64];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

int file_replace(int fd, const char *path, const char *temporary)
{
    if (temporary != NULL)
        return rename(temporary, path);
    /* a file without a name can only get one that is free */
    for (int attempt = 0; attempt < 100; attempt++) {
        scoped(file_free) char *name = file_temporary_name(path);
        if (name == NULL)
            return -1;
        if (file_publish(fd, name, NULL) < 0) {
            if (errno != EEXIST)
                return -1;
            continue;
        }
        if (rename(name, path) == 0)
            return 0;
        const int errnum = errno;
        unlink(name);
        errno = errnum;
        return -1;
    }
    return -1;
}

void file_discard(const char *temporary)
{
    if (temporary != NULL)
        unlink(temporary);
}

int file_allocate(int fd, uint64_t size)
{
    struct rlimit limit;
    if (size > INT64_MAX || (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                                limit.rlim_cur != RLIM_INFINITY && size > limit.rlim_cur)) {
        errno = EFBIG; /* the limit would raise a signal that ends the process */
        return -1;
    }
    int errnum;
    do
        errnum = posix_fallocate(fd, 0, (off_t)size);
    while (errnum == EINTR);
    errno = errnum;
    return errnum == 0 ? 0 : -1;
}

int file_sync(int fd)
{
    int r;
    do
        r = fdatasync(fd);
    while (r < 0 && errno == EINTR);
    return r;
}

static int file_sync_all(int fd)
{
    int r;
    do
        r = fsync(fd);
    while (r < 0 && errno == EINTR);
    return r;
}

/* The folder in which the file has the name path; -1 where that cannot be opened or is another
 * folder by now (the path is relative and the process has moved, it is a symbolic link, or the
 * file was renamed). */
static int file_open_folder(int fd, const char *path)
{
    scoped(file_free) char *folder = file_folder(path);
    scoped(file_close) int folder_fd = -1;
    const char *slash = strrchr(path, '/');
    struct stat file, named;

    if (folder == NULL)
        return -1;
    folder_fd = file_open_retry(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (folder_fd < 0 || fstat(fd, &file) < 0 ||
        fstatat(folder_fd, slash == NULL ? path : slash + 1, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
        file.st_dev != named.st_dev || file.st_ino != named.st_ino)
        return -1;
    const int found = folder_fd;
    folder_fd = -1; /* the caller owns it now */
    return found;
}

int file_sync_with_name(int fd, const char *path)
{
    /* before the sync: what fails here says nothing about the disk */
    scoped(file_close) int folder_fd = file_open_folder(fd, path);
    if (file_sync_all(fd) < 0)
        return -1;
    if (folder_fd >= 0 && file_sync_all(folder_fd) == 0)
        return 0;
    if (folder_fd >= 0 && errno != EINVAL) /* EINVAL: the file system cannot sync folders */
        return -1;
    int r;
    do
        r = syncfs(fd);
    while (r < 0 && errno == EINTR);
    return r;
}

static int file_flock_try(int fd, int operation)
{
    int r;
    do
        r = flock(fd, operation | LOCK_NB);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return FILE_OK;
    return errno == EWOULDBLOCK ? FILE_LOCKED : -1;
}

int file_share_try(int fd)
{
    return file_flock_try(fd, LOCK_SH);
}

int file_exclude_try(int fd)
{
    return file_flock_try(fd, LOCK_EX);
}

int file_is_at(int fd, const char *path)
{
    struct stat opened, named;
    if (fstat(fd, &opened) < 0)
        return -1;
    if (stat(path, &named) < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
    return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static struct flock file_lease_lock(uint32_t lease)
{
    return (struct flock){
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = LEASE_OFFSET + (off_t)lease,
        .l_len = 1,
    };
}

static int file_lock_control(int fd, int command, struct flock *lock)
{
    int r;
    do
        r = fcntl(fd, command, lock);
    while (r < 0 && errno == EINTR);
    return r;
}

int file_lease_try(int fd, uint32_t lease)
{
    struct flock lock = file_lease_lock(lease);
    if (file_lock_control(fd, F_OFD_SETLK, &lock) == 0)
        return FILE_OK;
    return errno == EAGAIN || errno == EACCES ? FILE_LOCKED : -1;
}

int file_lease_held(int fd, uint32_t lease)
{
    struct flock lock = file_lease_lock(lease);
    if (file_lock_control(fd, F_OFD_GETLK, &lock) < 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

int file_lease_any(int fd, uint32_t last)
{
    struct flock lock = file_lease_lock(1);
    lock.l_len = (off_t)last;
    if (file_lock_control(fd, F_OFD_GETLK, &lock) < 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

bool file_is_remote(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    switch ((unsigned long)fs.f_type) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case 0xff534d42: /* CIFS */
    case 0xfe534d42: /* SMB2 */
    case V9FS_MAGIC:
    case CODA_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case CEPH_SUPER_MAGIC: return true;
    default: return false;
    }
}
