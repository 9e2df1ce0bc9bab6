/* What may fail, and with what. */
#include "tests/proof/inject.h"

#include <errno.h>

const struct inject_kind inject_kinds[N_INJECT_CALLS] = {
    [INJECT_MEMORY] = {"memory", {ENOMEM}},
    [INJECT_MMAP] = {"mmap", {ENOMEM, EACCES, ENODEV}},
    [INJECT_OPEN] = {"open", {EINTR, EMFILE, ENFILE, ENOMEM, EACCES, EIO, ENOSPC}},
    [INJECT_READ] = {"read", {EINTR, INJECT_SHORT, EIO, ENOMEM}},
    [INJECT_PREAD] = {"pread", {EINTR, INJECT_SHORT, EIO, ENOMEM}},
    [INJECT_WRITE] = {"write", {EINTR, INJECT_SHORT, EIO, ENOSPC, EDQUOT, EPIPE}},
    [INJECT_PWRITE] = {"pwrite", {EINTR, INJECT_SHORT, EIO, ENOSPC, EDQUOT, EFBIG}},
    [INJECT_STAT] = {"stat", {EIO, ENOMEM, EACCES}},
    [INJECT_FCNTL] = {"fcntl", {EINTR, ENOLCK, EMFILE, ENOMEM}},
    [INJECT_FLOCK] = {"flock", {EINTR, ENOLCK, EIO}},
    [INJECT_ALLOCATE] = {"fallocate", {EINTR, ENOSPC, EDQUOT, EIO, EFBIG}},
    [INJECT_NAME] = {"name", {ENOSPC, EDQUOT, EIO, EACCES, EROFS}},
    [INJECT_UNLINK] = {"unlink", {EIO, EACCES}},
    [INJECT_SYNC] = {"sync", {EINTR, EIO, ENOSPC, EDQUOT}},
    [INJECT_FUTEX] = {"futex", {EINTR, EAGAIN, ENOMEM, ENOSYS}},
    [INJECT_POLL] = {"poll", {EINTR, ENOMEM}},
    [INJECT_WATCH] = {"watch", {EMFILE, ENOSPC, ENOMEM}},
    [INJECT_START] = {"start", {EAGAIN, ENOMEM, EMFILE}},
    [INJECT_LOOK] = {"look", {EIO, ENOMEM, EACCES}},
};
