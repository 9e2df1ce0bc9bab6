#include "engine/superblock.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Pools made before this format begin with this, and with their version in 32 bits. */
#define UPSTREAM_MAGIC   "PLSM"
#define UPSTREAM_VERSION 3u /* the one that pool import reads */

uint32_t superblock_crc(const struct superblock *superblock)
{
    return crc32c(0, superblock, offsetof(struct superblock, crc));
}

uint64_t superblock_blocks(const struct superblock *superblock)
{
    if (superblock->index_capacity == 0)
        return 0;
    return ((superblock->ring_size - 1) >> superblock->block_shift) + 1;
}

uint32_t superblock_seed(const struct superblock *superblock)
{
    return crc32c(0, superblock->uuid, sizeof(superblock->uuid));
}

/* One slot for each 256 bytes of file, as far as a ring of useful size remains. */
static uint64_t superblock_default_slots(uint64_t size)
{
    const uint64_t wanted = size / 256;
    const uint64_t least = FORMAT_HEADER_SIZE + FORMAT_RING_MIN;
    const uint64_t fitting = size > least ? (size - least) / FORMAT_SLOT_SIZE : 0;
    return wanted < fitting ? wanted : fitting;
}

/* The smallest blocks of which the index can name all. */
static uint32_t superblock_block_shift(uint64_t ring_size, uint64_t capacity)
{
    uint32_t shift = 5;
    while (capacity > 0 && ((ring_size - 1) >> shift) + 1 > capacity)
        shift++;
    return shift;
}

static int superblock_check_sizes(uint64_t size, uint64_t slots, plsm_error_t **err)
{
    if (size > LIMIT_POOL_BYTES_MAX)
        return error_set(err, PLSM_ERROR_USAGE, "file_size must be at most %llu bytes",
            (unsigned long long)LIMIT_POOL_BYTES_MAX);
    if (slots > size / 2 / FORMAT_SLOT_SIZE) {
        error_set(err, PLSM_ERROR_USAGE,
            "index capacity %llu would take more than half of the pool's %llu bytes",
            (unsigned long long)slots, (unsigned long long)size);
        return error_hint(err, "Use --index-capacity %llu or less, or a larger --size.",
            (unsigned long long)(size / 2 / FORMAT_SLOT_SIZE));
    }
    const uint64_t least = FORMAT_HEADER_SIZE + slots * FORMAT_SLOT_SIZE + FORMAT_RING_MIN;
    if (size < least) {
        error_set(err, PLSM_ERROR_USAGE, "file_size must exceed header and index size");
        return error_hint(err, "%llu bytes are the least for this index; the default is 1M.",
            (unsigned long long)least);
    }
    return 0;
}

int superblock_make(const struct pool_create_options *options, struct superblock *out_superblock,
    plsm_error_t **err)
{
    const uint64_t size = options->size_bytes != 0 ? options->size_bytes : POOL_SIZE_DEFAULT;
    const uint64_t slots = options->index_capacity != POOL_INDEX_DEFAULT
                               ? options->index_capacity
                               : superblock_default_slots(size);

    if (superblock_check_sizes(size, slots, err) < 0)
        return -1;
    struct superblock superblock = {
        .magic = FORMAT_MAGIC_BYTES,
        .version = FORMAT_VERSION,
        .header_size = FORMAT_HEADER_SIZE,
        .file_size = size,
        .index_offset = FORMAT_HEADER_SIZE,
        .index_capacity = slots,
        .ring_offset = FORMAT_HEADER_SIZE + slots * FORMAT_SLOT_SIZE,
        .created_ns = clock_wall_ns(),
        .first_seq = options->first_seq != 0 ? options->first_seq : 1,
    };
    superblock.ring_size = (size - superblock.ring_offset) & ~(uint64_t)(FORMAT_FRAME_ALIGN - 1);
    superblock.block_shift = superblock_block_shift(superblock.ring_size, slots);
    const uint64_t laps = options->first_pos / superblock.ring_size +
                          (options->first_pos % superblock.ring_size != 0);
    superblock.first_pos = laps * superblock.ring_size;
    if (getrandom(superblock.uuid, sizeof(superblock.uuid), 0) != sizeof(superblock.uuid))
        return error_io(err, errno, "failed to draw a random pool identity");
    superblock.crc = superblock_crc(&superblock);
    *out_superblock = superblock;
    return 0;
}

static bool superblock_consistent(const struct superblock *superblock)
{
    const struct superblock *sb = superblock;
    if (sb->header_size != FORMAT_HEADER_SIZE || sb->index_offset != FORMAT_HEADER_SIZE ||
        sb->file_size > LIMIT_POOL_BYTES_MAX ||
        sb->index_capacity > sb->file_size / FORMAT_SLOT_SIZE ||
        sb->ring_offset != FORMAT_HEADER_SIZE + sb->index_capacity * FORMAT_SLOT_SIZE)
        return false;
    if (sb->ring_size < FORMAT_RING_MIN || sb->ring_size % FORMAT_FRAME_ALIGN != 0 ||
        sb->ring_size > sb->file_size || sb->ring_offset > sb->file_size - sb->ring_size)
        return false;
    return sb->block_shift >= 5 && sb->block_shift < 64 &&
           (sb->index_capacity == 0 || superblock_blocks(sb) <= sb->index_capacity);
}

bool superblock_is_sound(const struct superblock *superblock)
{
    return memcmp(superblock->magic, FORMAT_MAGIC, sizeof(superblock->magic)) == 0 &&
           superblock->version == FORMAT_VERSION && superblock->crc == superblock_crc(superblock) &&
           superblock_consistent(superblock);
}

/* What the file has of its first len bytes: less than len only where it ends. -1 with errno. */
static ssize_t superblock_read_bytes(int fd, void *data, size_t len)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t n = pread(fd, (uint8_t *)data + done, len - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

/* A pool of an older Plasmite: its version follows its magic. */
static int superblock_upstream(const struct superblock *superblock, plsm_error_t **err)
{
    uint32_t version;

    memcpy(&version, superblock->magic + 4, sizeof(version));
    error_set(err, PLSM_ERROR_USAGE, "unsupported pool format version %u (supported: %u)", version,
        FORMAT_VERSION);
    if (version != UPSTREAM_VERSION)
        return error_hint(err, "Neither can `plasmite pool import` read it: that takes version %u.",
            UPSTREAM_VERSION);
    return error_hint(err, "This pool was made by Plasmite 0.8 or older; `plasmite pool import "
                           "OLD NEW` reads it into a new one.");
}

int superblock_read(int fd, struct superblock *out_superblock, plsm_error_t **err)
{
    struct superblock superblock = {0};
    struct stat status;

    if (fstat(fd, &status) < 0)
        return error_io(err, errno, "failed to look at the pool file");
    if (!S_ISREG(status.st_mode))
        return error_set(err, PLSM_ERROR_IO, "not a regular file");
    const ssize_t len = superblock_read_bytes(fd, &superblock, sizeof(superblock));
    if (len < 0)
        return error_io(err, errno, "failed to read the pool file");

    if (len >= 8 && memcmp(&superblock, UPSTREAM_MAGIC, 4) == 0)
        return superblock_upstream(&superblock, err);
    if (len < (ssize_t)sizeof(superblock) || status.st_size < (off_t)FORMAT_HEADER_SIZE)
        return error_set(err, PLSM_ERROR_CORRUPT, "the file is too short to be a pool");
    if (memcmp(superblock.magic, FORMAT_MAGIC, sizeof(superblock.magic)) != 0)
        return error_set(err, PLSM_ERROR_CORRUPT, "not a pool file");
    if (superblock.crc != superblock_crc(&superblock))
        return error_set(err, PLSM_ERROR_CORRUPT, "damaged superblock");
    if (superblock.version != FORMAT_VERSION)
        return error_set(err, PLSM_ERROR_USAGE,
            "unsupported pool format version %u (supported: %u)", superblock.version,
            FORMAT_VERSION);
    if (!superblock_consistent(&superblock))
        return error_set(err, PLSM_ERROR_CORRUPT, "impossible sizes in the superblock");
    if ((uint64_t)status.st_size < superblock.file_size)
        return error_set(err, PLSM_ERROR_CORRUPT,
            "the file was truncated: it has %llu of %llu bytes", (unsigned long long)status.st_size,
            (unsigned long long)superblock.file_size);
    *out_superblock = superblock;
    return 0;
}
