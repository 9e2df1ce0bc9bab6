/* The directory in which the pools of a run lie. */
#include "tests/conformance/run.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define OPEN_FOLDERS 16

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

/* Whether the name leads to a folder below: everything in it will be deleted. */
static bool is_below(const char *name)
{
    while (true) {
        const size_t len = strcspn(name, "/");
        if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && memcmp(name, "..", 2) == 0))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
}

/* Makes the folder, and those above it from `from` on. */
static int folders_make(struct run *run, char *path, size_t from)
{
    for (char *at = path + from;; at++) {
        const char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return unmet(run, "cannot make %s: %s", path, strerror(errno));
        *at = end;
        if (end == '\0')
            return 0;
    }
}

int workdir_make(struct run *run, const char *name)
{
    if (!is_below(name))
        return unmet(run, "workdir has to lie below the manifest's folder: %s", name);
    if (asprintf(&run->workdir, "%s/%s", run->folder, name) < 0) {
        run->workdir = NULL;
        return unmet(run, "out of memory");
    }
    if (nftw(run->workdir, entry_remove, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) != 0 &&
        errno != ENOENT)
        return unmet(run, "cannot delete %s: %s", run->workdir, strerror(errno));
    return folders_make(run, run->workdir, strlen(run->folder) + 1);
}
