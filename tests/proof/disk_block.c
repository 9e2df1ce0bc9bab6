/* The disk itself. A pool is written to an ext4 on a loop device; what the device holds at a moment
 * is what a power loss would leave, with nothing of it simulated: neither the order in which the
 * kernel writes pages, nor the file system's journal, nor the file's name. */
#include "engine/handle.h"
#include "tests/proof/disk.h"
#include "tests/proof/proof.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define POOL_BYTES 262144
#define NO_EXT4    "no ext4 on a loop device can be made here"

static struct {
    char folder[64];
    char disk[128];      /* what the loop device stands on */
    char copy[128];      /* what is left of it */
    char mounted[128];   /* where the disk is mounted */
    char remounted[128]; /* where the copy is */
    char path[192];      /* of the pool */
    char left_path[192];
} scene;

static bool make_disk(void)
{
    char command[1024];
    snprintf(command, sizeof(command),
        "truncate -s 8M %s && mkfs.ext4 -q -F %s && mkdir %s %s && mount -o loop %s %s", scene.disk,
        scene.disk, scene.mounted, scene.remounted, scene.disk, scene.mounted);
    return disk_command(command);
}

static bool wrong(const char *what, const plsm_error_t *err)
{
    fprintf(stderr, "disk: %s: %s\n", what, err != NULL ? err->message : strerror(errno));
    return false;
}

/* Appends, flushes now and then, and lets the kernel write some pages of its own accord. */
static bool write_some(struct rng *rng, uint64_t *out_flushed, uint64_t *out_oldest)
{
    static uint8_t text[2000];
    scoped(pool_close) struct pool *pool = NULL;
    struct appended appended;
    struct pool_info info;
    plsm_error_t *err = NULL;

    memset(text, 'x', sizeof(text));
    must(pool_open(scene.path, POOL_WRITE, NULL, &pool, &err) == POOL_OK);
    for (uint64_t n = 20 + rng_below(rng, 200); n > 0; n--) {
        const struct message message = {.data = {text, 1 + rng_below(rng, sizeof(text))}};
        if (pool_append(pool, &message, 1, &appended, &err) != POOL_OK)
            return wrong("append", err);
        if (rng_below(rng, 16) == 0)
            must(sync_file_range(pool->fd, (off_t)rng_below(rng, POOL_BYTES), 16384,
                     SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER) == 0);
        if (rng_below(rng, 16) != 0)
            continue;
        if (pool_flush(pool, &err) != POOL_OK)
            return wrong("flush", err);
        *out_flushed = appended.first_seq + 1;
    }
    must(pool_info(pool, &info, &err) == POOL_OK);
    *out_oldest = info.oldest_seq;
    return true;
}

static bool check_left(uint64_t oldest, uint64_t flushed)
{
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    struct pool_report report;
    struct frame frame;

    if (oldest >= flushed && access(scene.left_path, F_OK) != 0)
        return true; /* nothing was flushed, not even the name */
    const int fd = open(scene.left_path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return wrong("the pool has lost its name", NULL);
    static const uint8_t other_boot[16] = {1};
    must(pwrite(fd, other_boot, sizeof(other_boot),
             FORMAT_CONTROL_OFFSET + offsetof(struct control, boot_id)) == sizeof(other_boot));
    close(fd);
    if (pool_open(scene.left_path, POOL_WRITE, NULL, &pool, &err) != POOL_OK)
        return oldest >= flushed || wrong("what is left does not open", err);
    must(pool_verify(pool, &report, &err) == POOL_OK);
    for (uint64_t seq = oldest; seq < flushed; seq++)
        if (pool_get(pool, seq, &frame, &err) != POOL_OK)
            return wrong("a flushed message is missing", err);
    return report.n_issues == 0 || wrong("what is left is not whole", NULL);
}

static bool lose_power(uint64_t oldest, uint64_t flushed)
{
    char command[1024];
    snprintf(command, sizeof(command), "cp --sparse=always %s %s && mount -o loop %s %s",
        scene.disk, scene.copy, scene.copy, scene.remounted);
    if (!disk_command(command))
        return wrong("the copy cannot be mounted", NULL);
    const bool held = check_left(oldest, flushed);
    snprintf(command, sizeof(command), "umount %s && rm %s", scene.remounted, scene.copy);
    return disk_command(command) && held;
}

static bool lose_power_often(uint64_t n_losses, struct rng *rng)
{
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    plsm_error_t *err = NULL;
    uint64_t flushed = 0, oldest = 0;
    bool held = true;

    for (uint64_t i = 0; i < n_losses && held; i++) {
        if (i % 4 == 0) { /* so that names are new, too */
            unlink(scene.path);
            must(pool_create(scene.path, &options, &err) == 0);
            flushed = 1;
        }
        held = write_some(rng, &flushed, &oldest) && lose_power(oldest, flushed);
    }
    return held;
}

static void scene_set(void)
{
    proof_folder(scene.folder);
    snprintf(scene.disk, sizeof(scene.disk), "%s/disk", scene.folder);
    snprintf(scene.copy, sizeof(scene.copy), "%s/copy", scene.folder);
    snprintf(scene.mounted, sizeof(scene.mounted), "%s/mounted", scene.folder);
    snprintf(scene.remounted, sizeof(scene.remounted), "%s/remounted", scene.folder);
    snprintf(scene.path, sizeof(scene.path), "%s/pool", scene.mounted);
    snprintf(scene.left_path, sizeof(scene.left_path), "%s/pool", scene.remounted);
}

bool disk_block(unsigned *number, uint64_t n_losses, uint64_t seed, bool can_mount)
{
    static const char name[] = "what a real block device holds has all that was flushed";
    struct rng rng = {seed};
    char command[1024];
    bool held = true;

    if (!can_mount)
        return disk_case(number, name, true, DISK_NEEDS_ROOT);
    scene_set();
    const bool made = make_disk();
    if (made)
        held = lose_power_often(n_losses, &rng);
    snprintf(command, sizeof(command), "umount %s; umount %s; rm -f %s %s; rmdir %s %s %s",
        scene.remounted, scene.mounted, scene.disk, scene.copy, scene.mounted, scene.remounted,
        scene.folder);
    disk_command(command);
    printf("# %" PRIu64 " copies of a block device\n", made ? n_losses : 0);
    return disk_case(number, name, held, made ? NULL : NO_EXT4);
}
