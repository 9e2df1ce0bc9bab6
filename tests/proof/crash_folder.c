/* Pools that are created or repaired. Other processes see of that only what stands in the folder,
 * and only a system call changes it: so the child is stopped at each of them. */
#include "tests/proof/crash.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_POOL_BYTES 16384
#define NAMES_MAX         8

/* A folder's files. */
struct folder {
    size_t n;
    struct {
        char name[64];
        size_t size;
        uint8_t bytes[FOLDER_POOL_BYTES];
    } files[NAMES_MAX];
};

static struct folder now;
static struct folder last;
static uint8_t damaged[FOLDER_POOL_BYTES];

static void folder_path(char *path, size_t size, const char *folder, const char *name)
{
    snprintf(path, size, "%s/%s/%s", crash_folder, folder, name);
}

static int name_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void folder_read(const char *name, struct folder *out_folder)
{
    char path[256];
    struct dirent *entry;

    memset(out_folder, 0, sizeof(*out_folder));
    folder_path(path, sizeof(path), name, ".");
    DIR *dir = opendir(path);
    if (dir == NULL)
        crash_die("%s: %s", path, strerror(errno));
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (out_folder->n == NAMES_MAX || strlen(entry->d_name) >= sizeof(now.files[0].name))
            crash_die("%s: too much in it", path);
        snprintf(out_folder->files[out_folder->n++].name, sizeof(now.files[0].name), "%.63s",
            entry->d_name);
    }
    closedir(dir);
    qsort(out_folder->files, out_folder->n, sizeof(out_folder->files[0]), name_compare);
    for (size_t i = 0; i < out_folder->n; i++) {
        folder_path(path, sizeof(path), name, out_folder->files[i].name);
        out_folder->files[i].size =
            crash_file_read(path, out_folder->files[i].bytes, FOLDER_POOL_BYTES);
    }
}

/* Makes the folder hold these files and no others. */
static void folder_write(const char *name, const struct folder *folder)
{
    static struct folder old;
    char path[256];

    folder_path(path, sizeof(path), name, "");
    mkdir(path, 0700);
    folder_read(name, &old);
    for (size_t i = 0; i < old.n; i++) {
        folder_path(path, sizeof(path), name, old.files[i].name);
        unlink(path);
    }
    for (size_t i = 0; folder != NULL && i < folder->n; i++) {
        folder_path(path, sizeof(path), name, folder->files[i].name);
        crash_file_write(path, folder->files[i].bytes, folder->files[i].size);
    }
}

/* -1: not there. */
static int folder_find(const struct folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->n; i++)
        if (strcmp(folder->files[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool folder_is_damaged(size_t i)
{
    return now.files[i].size == sizeof(damaged) &&
           memcmp(now.files[i].bytes, damaged, sizeof(damaged)) == 0;
}

/* Opens the pool of a copy of the folder. */
static void folder_check_pool(const char *what, uint64_t step, bool acked)
{
    static struct job job;
    char path[256];

    folder_path(path, sizeof(path), "copy", "pool");
    job = (struct job){.acked = acked, .lap = true};
    check_pool(path, WAY_WAIT, &job);
    if (job.failure[0] != '\0')
        crash_wrong("%s, stop %llu: %s", what, (unsigned long long)step, job.failure);
}

static void create_check(const char *what, uint64_t step, bool acked)
{
    char path[256];
    plsm_error_t *err = NULL;

    folder_path(path, sizeof(path), "copy", "pool");
    for (size_t i = 0; i < now.n; i++)
        if (strcmp(now.files[i].name, "pool") != 0 && now.files[i].name[0] != '.')
            crash_wrong(
                "%s, stop %llu: left %s", what, (unsigned long long)step, now.files[i].name);
    if (folder_find(&now, "pool") < 0) {
        if (acked)
            crash_wrong("%s: created, and not there", what);
        else if (pool_create(path, &(struct pool_create_options){.size_bytes = FOLDER_POOL_BYTES},
                     &err) != POOL_OK)
            crash_wrong("%s, stop %llu: cannot be created any more: %s", what,
                (unsigned long long)step, err->message);
    }
    folder_check_pool(what, step, acked);
}

/* The damaged file or the mended one, and nothing lost. */
static void repair_check(const char *what, uint64_t step, bool acked)
{
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    const int pool = folder_find(&now, "pool");
    char path[256];
    bool kept = false;
    plsm_error_t *err = NULL;

    for (size_t i = 0; i < now.n; i++) {
        if (strncmp(now.files[i].name, "pool.before-repair-", 19) != 0)
            continue;
        kept = folder_is_damaged(i);
        if (!kept)
            crash_wrong(
                "%s, stop %llu: a copy is not what was damaged", what, (unsigned long long)step);
    }
    if (pool < 0) {
        crash_wrong("%s, stop %llu: there is no pool", what, (unsigned long long)step);
        return;
    }
    folder_path(path, sizeof(path), "copy", "pool");
    if (!folder_is_damaged((size_t)pool) && !kept)
        crash_wrong("%s, stop %llu: the damaged file is lost", what, (unsigned long long)step);
    if (folder_is_damaged((size_t)pool)) {
        if (acked)
            crash_wrong("%s: repaired, and still damaged", what);
        if (pool_repair(path, NULL, &repaired, &err) != POOL_OK)
            crash_wrong("%s, stop %llu: cannot be repaired any more: %s", what,
                (unsigned long long)step, err != NULL ? err->message : "busy");
    }
    folder_check_pool(what, step, acked);
}

static void create_child(const void *arg)
{
    plsm_error_t *err = NULL;
    trace_stop();
    if (pool_create(arg, &(struct pool_create_options){.size_bytes = FOLDER_POOL_BYTES}, &err) !=
        POOL_OK)
        crash_die("create: %s", err->message);
    atomic_store(&crash_shared->acked, true);
}

static void repair_child(const void *arg)
{
    struct pool_repaired repaired;
    plsm_error_t *err = NULL;
    trace_stop();
    if (pool_repair(arg, NULL, &repaired, &err) != POOL_OK)
        crash_die("repair: %s", err != NULL ? err->message : "nothing to do");
    atomic_store(&crash_shared->acked, true);
}

static uint64_t folder_run(const char *what, void (*child)(const void *arg),
    void (*check)(const char *what, uint64_t step, bool acked))
{
    char path[256];
    uint64_t n_states = 0;

    folder_path(path, sizeof(path), "live", "pool");
    memset(&last, 0xff, sizeof(last));
    crash_shared->flushes = false;
    atomic_store(&crash_shared->acked, false);
    atomic_store(&crash_shared->lease, 1);
    const pid_t pid = trace_start(child, path);
    bool ended = false;
    for (uint64_t step = 0; !ended; step++) {
        ended = step > 0 && !trace_syscall(pid);
        const bool acked = atomic_load(&crash_shared->acked);
        folder_read("live", &now);
        if (memcmp(&now, &last, sizeof(now)) == 0 && !ended)
            continue;
        n_states += memcmp(&now, &last, sizeof(now)) != 0;
        last = now;
        folder_write("copy", &now);
        check(what, step, acked);
    }
    return n_states;
}

uint64_t folder_create(bool unnamed)
{
    crash_shared->before = crash_shared->after = (struct listing){.first_seq = 1, .next_seq = 1};
    folder_write("live", NULL);
    crash_refuse_unnamed(!unnamed);
    const uint64_t n =
        folder_run(unnamed ? "create" : "create under another name", create_child, create_check);
    crash_refuse_unnamed(false);
    return n;
}

/* Damage after which every message can be saved. */
static void folder_damage(struct rng *rng)
{
    switch (rng_below(rng, 3)) {
    case 0: damaged[rng_below(rng, sizeof(struct superblock))] ^= 0x10; break;
    case 1: memset(damaged + FORMAT_CONTROL_OFFSET, 0x5a, 64); break;
    default: memset(damaged + FORMAT_HEADER_SIZE, 0x33, 256); break;
    }
}

uint64_t folder_repair(bool unnamed, uint64_t seed)
{
    char path[256];
    char failure[FAILURE_MAX] = "";
    struct rng rng = {seed};
    plsm_error_t *err = NULL;

    folder_write("live", NULL);
    folder_path(path, sizeof(path), "live", "pool");
    {
        struct pool_create_options options = {
            .size_bytes = FOLDER_POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
        scoped(pool_close) struct pool *pool = NULL;
        if (pool_create(path, &options, &err) != 0 ||
            pool_open(path, POOL_WRITE, NULL, &pool, &err) != POOL_OK)
            crash_die("%s: %s", path, err->message);
        for (uint64_t n = 20 + rng_below(&rng, 200); n > 0; n--) {
            uint8_t text[200];
            memset(text, (int)('a' + n % 26), sizeof(text));
            const struct message message = {.data = view_of(text, 1 + rng_below(&rng, 200))};
            struct appended appended;
            if (pool_append(pool, &message, 1, &appended, &err) != POOL_OK)
                crash_die("append: %s", err->message);
        }
        if (!listing_read(pool, &crash_shared->before, failure))
            crash_die("%s", failure);
        crash_shared->after = crash_shared->before;
    }
    crash_file_read(path, damaged, sizeof(damaged));
    folder_damage(&rng);
    crash_file_write(path, damaged, sizeof(damaged));
    crash_refuse_unnamed(!unnamed);
    const uint64_t n =
        folder_run(unnamed ? "repair" : "repair under another name", repair_child, repair_check);
    crash_refuse_unnamed(false);
    return n;
}
