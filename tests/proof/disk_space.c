/* Disks that are full or may not be written to, and limits on the size of files. File systems of
 * our own are mounted for it, in a mount namespace that ends with us. */
#include "engine/handle.h"
#include "tests/proof/disk.h"
#include "tests/proof/proof.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define N_CREATES 100
#define N_APPENDS 1000
#define FILLER    "filler"

static struct {
    const char *plasmite;
    char folder[64];  /* where file systems are mounted */
    char path[128];   /* of a pool there */
    char output[256]; /* what the program said */
} scene;

/* Files besides what fills the disk; those with temporary names count, too. */
static int count_files(void)
{
    int n = 0;
    DIR *dir = opendir(scene.folder);
    must(dir != NULL);
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
             strcmp(entry->d_name, "lost+found") != 0 && strcmp(entry->d_name, FILLER) != 0;
    closedir(dir);
    return n;
}

static bool wrong(const char *what, const plsm_error_t *err)
{
    fprintf(stderr, "disk: %s: %s\n", what, err != NULL ? err->message : strerror(errno));
    return false;
}

/* Runs the program with these words; returns its exit code, or -1 if a signal ended it. */
static int run_plasmite(const char *const words[], uint64_t file_size_limit)
{
    int ends[2];
    int status = 0;
    must(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        const struct rlimit limit = {file_size_limit, file_size_limit};
        char *argv[12] = {strdup("plasmite"), strdup("--dir"), scene.folder};
        for (size_t i = 0; words[i] != NULL; i++)
            argv[3 + i] = strdup(words[i]);
        must(dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2);
        must(file_size_limit == 0 || setrlimit(RLIMIT_FSIZE, &limit) == 0);
        alarm(30);
        execv(scene.plasmite, argv);
        _exit(127);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len<sizeof(scene.output) - 1; len += n> 0 ? (size_t)n : 0)
        n = read(ends[0], scene.output + len, sizeof(scene.output) - 1 - len);
    scene.output[len] = '\0';
    close(ends[0]);
    must(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool check_code(int code, int expected, const char *what)
{
    if (code == expected)
        return true;
    fprintf(stderr, "disk: plasmite %s ended with %d, not %d: %s\n", what, code, expected,
        scene.output);
    return false;
}

static bool create_fails(uint64_t size_bytes)
{
    const struct pool_create_options options = {
        .size_bytes = size_bytes, .index_capacity = POOL_INDEX_DEFAULT};
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    if (pool_create(scene.path, &options, &err) == 0)
        return wrong("a pool was created where it has no room", NULL);
    if (err->kind != PLSM_ERROR_IO || err->path == NULL)
        return wrong("creating a pool without room", err);
    return count_files() == 0 || wrong("a file was left behind", NULL);
}

/* Until not one byte more can be written. */
static void fill_disk(void)
{
    static const uint8_t block[65536];
    char path[128];
    snprintf(path, sizeof(path), "%s/" FILLER, scene.folder);
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0);
    for (size_t len = sizeof(block); len > 0; len /= 2)
        while (write(fd, block, len) > 0)
            continue;
    must(errno == ENOSPC || errno == EDQUOT);
    must(fsync(fd) == 0 || errno == ENOSPC || errno == EDQUOT);
    close(fd);
}

/* A pool is created where it has no room, by the library and by the program. */
static bool creates_fail(void)
{
    static const char *const create[] = {"pool", "create", "pool", "--size", "1M", NULL};
    bool held = true;
    fill_disk();
    for (int i = 0; i < N_CREATES && held; i++)
        held = create_fails((UINT64_C(1) << 20) + 4096u * (uint64_t)i);
    held = held && check_code(run_plasmite(create, 0), PLSM_ERROR_IO, "pool create");
    return held && count_files() == 0;
}

static bool append_and_flush(struct pool *pool, int n)
{
    static char text[1200];
    plsm_error_t *err = NULL;
    struct appended appended;
    if (text[0] == 0) {
        memset(text, ' ', sizeof(text));
        text[0] = '{';
        text[sizeof(text) - 1] = '}';
    }
    for (int i = 0; i < n; i++) {
        const struct message message = {.data = {(const uint8_t *)text, sizeof(text)}};
        if (pool_append(pool, &message, 1, &appended, &err) != POOL_OK)
            return wrong("append on a full disk", err);
        if (i % 10 == 0 && pool_flush(pool, &err) != POOL_OK)
            return wrong("flush on a full disk", err);
    }
    return true;
}

/* A pool that exists goes on where nothing else can be written any more. */
static bool appends_succeed(void)
{
    static const char *const feed[] = {"feed", "pool", "{\"a\":1}", NULL};
    static const char *const flush[] = {"feed", "pool", "{\"a\":1}", "--durability", "flush", NULL};
    const struct pool_create_options options = {
        .size_bytes = 512 << 10, .index_capacity = POOL_INDEX_DEFAULT};
    scoped(pool_close) struct pool *pool = NULL;
    struct pool_report report;
    plsm_error_t *err = NULL;

    if (pool_create(scene.path, &options, &err) < 0)
        return wrong("create", err);
    fill_disk();
    if (pool_open(scene.path, POOL_WRITE, NULL, &pool, &err) != POOL_OK)
        return wrong("open", err);
    if (!append_and_flush(pool, N_APPENDS))
        return false;
    must(pool_verify(pool, &report, &err) == POOL_OK);
    return report.n_issues == 0 && check_code(run_plasmite(feed, 0), 0, "feed") &&
           check_code(run_plasmite(flush, 0), 0, "feed --durability flush");
}

/* The limit raises a signal that kills. */
static bool limits_are_errors(void)
{
    static const char *const create[] = {"pool", "create", "pool", "--size", "1M", NULL};
    static const char *const feed[] = {
        "feed", "pool", "{\"a\":1}", "--create", "--create-size", "1M", NULL};
    int status = 0;
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) { /* with the signal as it is by default */
        const struct rlimit limit = {65536, 65536};
        must(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        _exit(create_fails(UINT64_C(1) << 20) ? 0 : 1);
    }
    must(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        fprintf(
            stderr, "disk: creating a pool beyond the limit ended with %#x\n", (unsigned)status);
    return status == 0 && check_code(run_plasmite(create, 65536), PLSM_ERROR_IO, "pool create") &&
           check_code(run_plasmite(feed, 65536), PLSM_ERROR_IO, "feed --create") &&
           count_files() == 0;
}

/* Appends to a pool larger than the limit write through the mapping, which has none. */
static bool appends_beyond_limit_succeed(void)
{
    static const char *const feed[] = {"feed", "pool", "{\"a\":1}", "--durability", "flush", NULL};
    const struct pool_create_options options = {
        .size_bytes = 1 << 20, .index_capacity = POOL_INDEX_DEFAULT};
    plsm_error_t *err = NULL;
    if (pool_create(scene.path, &options, &err) < 0)
        return wrong("create", err);
    const bool held = check_code(run_plasmite(feed, 4096), 0, "feed");
    unlink(scene.path);
    return held;
}

/* What was written stays readable; what would write says why it cannot. */
static bool read_only_is_readable(void)
{
    static const char *const feed[] = {"feed", "pool", "{\"a\":1}", NULL};
    static const char *const create[] = {"pool", "create", "other", NULL};
    static const char *const fetch[] = {"fetch", "pool", "1", NULL};
    static const char *const follow[] = {"follow", "pool", "--tail", "1", "--one", NULL};
    static const char *const wait[] = {"follow", "pool", "--timeout", "100ms", NULL};
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    scoped(pool_close) struct pool *pool = NULL;
    const struct pool_create_options options = {
        .size_bytes = 512 << 10, .index_capacity = POOL_INDEX_DEFAULT};

    if (pool_create(scene.path, &options, &err) < 0)
        return wrong("create", err);
    if (!check_code(run_plasmite(feed, 0), 0, "feed"))
        return false;
    must(mount(NULL, scene.folder, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    const int code = run_plasmite(wait, 0);
    if (!check_code(run_plasmite(fetch, 0), 0, "fetch") ||
        !check_code(run_plasmite(follow, 0), 0, "follow") ||
        !check_code(run_plasmite(feed, 0), PLSM_ERROR_PERMISSION, "feed") ||
        !check_code(run_plasmite(create, 0), PLSM_ERROR_PERMISSION, "pool create") || code < 0)
        return false;
    if (pool_open(scene.path, POOL_WRITE, NULL, &pool, &err) != -1)
        return wrong("opened for writing", NULL);
    return err->kind == PLSM_ERROR_PERMISSION || wrong("opening for writing", err);
}

/* Where the file system has no page for a write into the mapping: by a hole in the file here, always
 * on ones that write every change to a new place. Whoever appends is told so, nothing is
 * acknowledged that is not there, and the pool goes on when there is room again. */
static bool refused_pages_are_errors(void)
{
    static const char *const feed[] = {"feed", "pool", "{\"a\":1}", NULL};
    static const char *const create[] = {"pool", "create", "pool", "--size", "64K", NULL};
    char path[128];

    if (!check_code(run_plasmite(create, 0), 0, "pool create") ||
        !check_code(run_plasmite(feed, 0), 0, "feed"))
        return false;
    const int fd = open(scene.path, O_RDWR | O_CLOEXEC);
    must(fd >= 0); /* all but the header */
    must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 61440) == 0);
    close(fd);
    fill_disk();
    if (!check_code(run_plasmite(feed, 0), PLSM_ERROR_IO, "feed without pages"))
        return false;
    snprintf(path, sizeof(path), "%s/" FILLER, scene.folder);
    must(unlink(path) == 0);
    return check_code(run_plasmite(feed, 0), 0, "feed with room again");
}

/* File systems ---------------------------------------------------------------------------------- */

static const char *mount_nothing(void)
{
    return NULL;
}

static const char *mount_memory(void)
{
    return mount("plasmite", scene.folder, "tmpfs", 0, "size=1m") == 0 ? NULL
                                                                       : "tmpfs cannot be mounted";
}

/* An ext4 of 16 MiB in a file, through a loop device; without blocks that are kept for root. */
static const char *mount_ext4(void)
{
    char command[512];
    snprintf(command, sizeof(command),
        "f=%s.ext4; truncate -s 16M $f && mkfs.ext4 -q -m 0 -F $f && "
        "mount -o loop $f %s; r=$?; rm -f $f; exit $r",
        scene.folder, scene.folder);
    return disk_command(command) ? NULL : "no ext4 on a loop device can be made here";
}

/* Root may exceed quotas, so the case goes on as somebody else. */
static const char *mount_quota(void)
{
    if (mount("plasmite", scene.folder, "tmpfs", 0,
            "size=4m,mode=777,usrquota,usrquota_block_hardlimit=256k") != 0)
        return "this kernel has no quotas on tmpfs";
    return NULL;
}

/* The same on a disk, whose quotas are kept by the file system itself. */
static const char *mount_quota_ext4(void)
{
    char command[512];
    snprintf(command, sizeof(command),
        "f=%s.ext4; truncate -s 16M $f && mkfs.ext4 -q -m 0 -O quota -E quotatype=usrquota -F $f "
        "&& "
        "mount -o loop,usrquota $f %s && chmod 777 %s && "
        "setquota -u 65534 0 256 0 0 %s; r=$?; rm -f $f; exit $r",
        scene.folder, scene.folder, scene.folder, scene.folder);
    if (disk_command(command))
        return NULL;
    (void)umount2(scene.folder, MNT_DETACH); /* where setquota alone is missing */
    return "this kernel has no quotas on ext4, or there is no setquota";
}

/* Pools that exist go on, and none is created, when nothing more may be written. */
static bool quota_scene(void)
{
    const struct pool_create_options options = {
        .size_bytes = 128 << 10, .index_capacity = POOL_INDEX_DEFAULT};
    scoped(pool_close) struct pool *pool = NULL;
    char path[128];
    plsm_error_t *err = NULL;

    for (int i = 0; i < N_CREATES; i++)
        if (!create_fails(UINT64_C(1) << 20))
            return false;
    snprintf(path, sizeof(path), "%s/" FILLER ".plasmite", scene.folder);
    if (pool_create(path, &options, &err) < 0)
        return wrong("create within the quota", err);
    fill_disk();
    if (pool_open(path, POOL_WRITE, NULL, &pool, &err) != POOL_OK)
        return wrong("open", err);
    const bool held = append_and_flush(pool, N_APPENDS);
    unlink(path);
    fill_disk(); /* the room of the name that is gone is still taken */
    return held && create_fails(128 << 10);
}

static bool quotas_are_errors(void)
{
    int status = 0;
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        must(setgid(65534) == 0 && setuid(65534) == 0);
        _exit(quota_scene() ? 0 : 1);
    }
    must(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

static const struct disk_trial {
    const char *name;
    const char *(*mount)(void);
    bool (*run)(void);
} trials[] = {
    {"a full disk gets no pool, and no file: tmpfs", mount_memory, creates_fail},
    {"a full disk gets no pool, and no file: ext4", mount_ext4, creates_fail},
    {"a pool goes on when its disk is full: tmpfs", mount_memory, appends_succeed},
    {"a pool goes on when its disk is full: ext4", mount_ext4, appends_succeed},
    {"a quota is as a full disk: tmpfs", mount_quota, quotas_are_errors},
    {"a quota is as a full disk: ext4", mount_quota_ext4, quotas_are_errors},
    {"a pool beyond the limit of file sizes is an error", mount_nothing, limits_are_errors},
    {"a pool goes on beyond the limit of file sizes", mount_nothing, appends_beyond_limit_succeed},
    {"a page that the disk has no room for is an error", mount_memory, refused_pages_are_errors},
    {"a disk that is read-only can be read", mount_memory, read_only_is_readable},
};

static bool run_trial(unsigned *number, const struct disk_trial *trial, bool can_mount)
{
    const bool mounts = trial->mount != mount_nothing;
    const char *reason = mounts && !can_mount ? DISK_NEEDS_ROOT : trial->mount();
    if (reason != NULL)
        return disk_case(number, trial->name, true, reason);
    bool held = trial->run();
    if (mounts && umount2(scene.folder, 0) != 0)
        held = wrong("umount", NULL);
    unlink(scene.path);
    return disk_case(number, trial->name, held, NULL);
}

bool disk_space(unsigned *number, const char *plasmite, bool can_mount)
{
    bool held = true;
    scene.plasmite = plasmite;
    proof_folder(scene.folder);
    snprintf(scene.path, sizeof(scene.path), "%s/pool.plasmite", scene.folder);
    for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++)
        held = run_trial(number, &trials[i], can_mount) && held;
    rmdir(scene.folder);
    return held;
}
