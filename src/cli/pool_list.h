/* The pools of a directory. */
#ifndef CLI_POOL_LIST_H
#define CLI_POOL_LIST_H

#include "engine/pool.h"

struct listed {
    char *path;
    char *name; /* the file's name without its suffix */
    struct pool_info info;
    uint64_t mtime_ns;   /* 0: unknown */
    plsm_error_t *error; /* not NULL: the pool could not be read; info is not filled */
};

struct listing {
    char *directory;
    struct listed *pools; /* sorted by name */
    size_t n_pools;
    size_t n_errors;
};

/* Looks at every *.plasmite file. A directory that does not exist is empty, unless it must
 * exist. -1: the directory cannot be read: NotFound, Io. */
int listing_read(struct listing *listing, const char *dir, bool must_exist, plsm_error_t **err);
void listing_fini(struct listing *listing);

static inline void listing_fini_scoped(struct listing *listing)
{
    listing_fini(listing);
}

#endif
