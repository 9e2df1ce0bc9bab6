/* Files as pools need them: opened safely, fully allocated, synced, and locked in two ways.
 *
 * A port supplies these functions. Those that return int give 0 or a positive outcome named
 * here, or -1 with errno set: the callers know what the failure means to their users. */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/scoped.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    FILE_OK = 0,
    FILE_LOCKED = 1, /* somebody else holds it */
};

/* Opens a file for reading, or reading and writing. Never waits (a FIFO), never becomes a
 * controlling terminal, is closed by exec. Returns the descriptor or -1. */
int file_open(const char *path, bool writable);

/* Another open file description of the same file, although its name may be gone. */
int file_reopen(int fd, bool writable);

/* Accepts -1. */
void file_close(int fd);
SCOPED_DEFINE(int, file_close)

/* A new file in the folder of path, without a name yet; file_publish gives it the name path, and
 * fails with EEXIST if that is taken. Where the file system has no nameless files a temporary
 * name is used, written to *out_temporary (to be freed; NULL otherwise): file_publish replaces
 * it, file_discard removes it. */
int file_create_unnamed(const char *path, mode_t mode, char **out_temporary);
int file_publish(int fd, const char *path, const char *temporary);
void file_discard(const char *temporary);

/* The same where path may be taken: the new file takes the place of what is there, in one step. */
int file_replace(int fd, const char *path, const char *temporary);

/* Reserves blocks for all size bytes, so that later writes through a mapping cannot fail. */
int file_allocate(int fd, uint64_t size);

/* Data, and the metadata needed to find it, are on stable storage when this returns 0. */
int file_sync(int fd);

/* The same for everything about the file, and for its name in its folder. Where that folder is
 * not to be found or opened, the whole file system is synced, which may take long. */
int file_sync_with_name(int fd, const char *path);

/* The whole file, shared with others who share: FILE_OK, FILE_LOCKED or -1. Never waits. */
int file_share_try(int fd);

/* The whole file, for nobody else who shares it: FILE_OK, FILE_LOCKED or -1. Never waits. */
int file_exclude_try(int fd);

/* Whether path leads to the open file: 1, 0 or -1. */
int file_is_at(int fd, const char *path);

/* Leases: byte-range locks far behind the end of the file, one byte for each lease number from
 * 1. They belong to the open file description and vanish with it, however its process ends. */
int file_lease_try(int fd, uint32_t lease);

/* Whether another open file description holds the lease: 1, 0 or -1. */
int file_lease_held(int fd, uint32_t lease);

/* Whether another open file description holds any of the leases 1 .. last: 1, 0 or -1. */
int file_lease_any(int fd, uint32_t last);

/* Whether the file lies on storage that other machines may write to (NFS, SMB, 9p, ...). */
bool file_is_remote(int fd);

#endif
