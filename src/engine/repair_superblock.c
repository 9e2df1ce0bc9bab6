/* Finding out how a file was divided whose superblock is damaged.
 *
 * One wrong bit the checksum finds. Otherwise sizes are tried, and the messages vote: each that
 * proves itself, and whose position is known, says what the pool's seed must have been. */
#include "engine/frame.h"
#include "engine/repair.h"
#include "engine/superblock.h"

#include <assert.h>
#include <sys/stat.h>

static bool superblock_fix_bit(struct superblock *superblock)
{
    uint8_t *bytes = (uint8_t *)superblock;

    for (size_t bit = 0; bit < sizeof(*superblock) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (superblock_is_sound(superblock))
            return true;
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return false;
}

/* Seeds that samples speak for; the most frequent one is found by comparing all with all. */
struct votes {
    uint32_t seeds[REPAIR_SAMPLES];
    size_t n;
};

/* Counts how many votes the most frequent seed has. */
static size_t votes_count(const struct votes *votes, uint32_t *out_seed)
{
    size_t best = 0;
    for (size_t i = 0; i < votes->n; i++) {
        size_t n = 0;
        for (size_t j = i; j < votes->n; j++)
            n += votes->seeds[j] == votes->seeds[i];
        if (n > best) {
            best = n;
            *out_seed = votes->seeds[i];
        }
    }
    return best;
}

/* The largest position before end that lies at this offset of the ring. False: there is none. */
static bool position_before(uint64_t end, uint64_t offset, uint64_t ring_size, uint64_t *out_pos)
{
    const uint64_t end_offset = end % ring_size;
    const uint64_t back =
        end_offset > offset ? end_offset - offset : end_offset + (ring_size - offset);
    *out_pos = end - back;
    return back <= end;
}

/* How well a division of the file fits what is in it: how many messages agree on a seed. */
static size_t superblock_try(
    const struct image *image, const struct superblock *superblock, uint32_t *out_seed)
{
    const struct control *control =
        (const struct control *)(const void *)(image->bytes + FORMAT_CONTROL_OFFSET);
    const struct index_slot *index =
        (const struct index_slot *)(const void *)(image->bytes + superblock->index_offset);
    struct sample samples[REPAIR_SAMPLES];
    struct votes votes = {.n = 0};
    struct ring_state state;

    if (image->size <= superblock->ring_offset)
        return 0;
    const size_t n = repair_sample(image->bytes + superblock->ring_offset, superblock->ring_size,
        image->size - superblock->ring_offset, samples);
    const bool recorded = repair_record(control, &state);
    for (size_t i = 0; i < n; i++) {
        uint64_t pos = 0;
        if (repair_indexed(index, superblock, &samples[i], &pos) ||
            (recorded &&
                position_before(state.tail, samples[i].offset, superblock->ring_size, &pos)))
            votes.seeds[votes.n++] = samples[i].key ^ repair_fold(pos);
    }
    const size_t best = votes_count(&votes, out_seed);
    return 2 * best > votes.n ? best : 0; /* a wrong division may meet messages, too */
}

/* Makes the identity one whose checksum is the seed: its last four bytes follow from that. */
static void superblock_set_seed(struct superblock *superblock, uint32_t seed)
{
    static const uint8_t zeros[4];
    const uint32_t before = crc32c(0, superblock->uuid, 12);
    const uint32_t wanted = crc32c_undo(seed, zeros, sizeof(zeros));
    const uint32_t last = ~before ^ ~wanted; /* a CRC takes four bytes in by adding them */

    memcpy(superblock->uuid + 12, &last, sizeof(last));
    assert(superblock_seed(superblock) == seed);
}

static bool all_zero(const uint8_t *bytes, uint64_t len)
{
    for (uint64_t i = 0; i < len; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* A pool in which nothing ever was: any division will do. */
static bool superblock_of_unused(const struct image *image, struct superblock *out_superblock)
{
    const struct control *control =
        (const struct control *)(const void *)(image->bytes + FORMAT_CONTROL_OFFSET);
    const struct pool_create_options options = {
        .size_bytes = image->size, .index_capacity = POOL_INDEX_DEFAULT};
    struct ring_state state;

    return repair_record(control, &state) &&
           all_zero(image->bytes + FORMAT_HEADER_SIZE, image->size - FORMAT_HEADER_SIZE) &&
           superblock_make(&options, out_superblock, NULL) == 0;
}

/* Tries all sizes that something speaks for. */
static bool superblock_rebuild(
    const struct image *image, const struct superblock *damaged, struct superblock *out_superblock)
{
    const uint64_t sizes[] = {image->size, damaged->file_size};
    const uint64_t capacities[] = {POOL_INDEX_DEFAULT, damaged->index_capacity,
        damaged->ring_offset > FORMAT_HEADER_SIZE
            ? (damaged->ring_offset - FORMAT_HEADER_SIZE) / FORMAT_SLOT_SIZE
            : 0};
    size_t best = 0;
    uint32_t best_seed = 0;

    for (size_t i = 0; i < 6; i++) {
        const struct pool_create_options options = {
            .size_bytes = sizes[i / 3], .index_capacity = capacities[i % 3]};
        struct superblock superblock;
        uint32_t seed = 0;
        if (options.size_bytes == 0 || superblock_make(&options, &superblock, NULL) < 0)
            continue;
        const size_t n = superblock_try(image, &superblock, &seed);
        if (n > best) {
            best = n;
            best_seed = seed;
            *out_superblock = superblock;
        }
    }
    if (best == 0)
        return superblock_of_unused(image, out_superblock);
    if (superblock_seed(damaged) == best_seed)
        memcpy(out_superblock->uuid, damaged->uuid, sizeof(damaged->uuid));
    else
        superblock_set_seed(out_superblock, best_seed);
    out_superblock->crc = superblock_crc(out_superblock);
    return true;
}

int repair_superblock(
    int fd, const struct image *image, struct superblock *out_superblock, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *failed = NULL;
    struct superblock damaged;

    if (superblock_read(fd, out_superblock, &failed) == 0)
        return 0;
    if (failed->kind == PLSM_ERROR_CORRUPT && image->size >= FORMAT_HEADER_SIZE) {
        memcpy(&damaged, image->bytes, sizeof(damaged));
        if (superblock_is_sound(&damaged) || superblock_fix_bit(&damaged)) {
            *out_superblock = damaged;
            return 0;
        }
        if (superblock_rebuild(image, &damaged, out_superblock))
            return 0;
        return error_set(
            err, PLSM_ERROR_CORRUPT, "nothing in the file tells that and how it was a pool");
    }
    if (err != NULL) {
        *err = failed;
        failed = NULL;
    }
    return -1;
}
