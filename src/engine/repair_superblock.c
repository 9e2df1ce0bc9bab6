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

/* What one sample says the seed must be, if it lies at this position. */
struct vote {
    uint32_t seed;
    uint64_t pos;
    uint64_t seq;
};

/* The vote that most others agree with. There is at least one. */
static struct vote votes_best(const struct vote *votes, size_t n_votes)
{
    size_t best = 0;
    size_t n_best = 0;
    for (size_t i = 0; i < n_votes; i++) {
        size_t n = 0;
        for (size_t j = i; j < n_votes; j++)
            n += votes[j].seed == votes[i].seed;
        if (n > n_best) {
            n_best = n;
            best = i;
        }
    }
    return votes[best];
}

/* How many samples have this seed and lie about as far as the vote's. */
static size_t vote_count(
    const struct vote *vote, const struct sample *samples, size_t n_samples, uint64_t ring_size)
{
    const uint64_t lap_start = vote->pos - vote->pos % ring_size;
    size_t n = 0;

    for (size_t i = 0; i < n_samples; i++) {
        const uint32_t fold = samples[i].key ^ vote->seed;
        const uint64_t pos = lap_start + samples[i].offset;
        n += fold == repair_fold(pos) || fold == repair_fold(pos + ring_size) ||
             (pos >= ring_size && fold == repair_fold(pos - ring_size));
    }
    return n;
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
    const struct image *image, const struct superblock *superblock, struct vote *out_vote)
{
    const struct control *control =
        (const struct control *)(const void *)(image->bytes + FORMAT_CONTROL_OFFSET);
    const struct index_slot *index =
        (const struct index_slot *)(const void *)(image->bytes + superblock->index_offset);
    struct sample samples[REPAIR_SAMPLES];
    struct vote votes[REPAIR_SAMPLES];
    size_t n_votes = 0;
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
            votes[n_votes++] =
                (struct vote){samples[i].key ^ repair_fold(pos), pos, samples[i].seq};
    }
    if (n_votes == 0)
        return 0;
    *out_vote = votes_best(votes, n_votes);
    /* in a wrong division a part of the messages may agree by chance, hardly all */
    const size_t n_agreeing = vote_count(out_vote, samples, n, superblock->ring_size);
    return n_agreeing * 8 >= n * 7 ? n_agreeing : 0;
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

/* Where the pool began is forgotten. From 0, mostly; but the next repair must not think that a
 * message of this seq cannot lie at this position, nor those that will follow it. */
static void superblock_set_first_pos(struct superblock *superblock, uint64_t pos, uint64_t seq)
{
    if (pos > repair_pos_max(superblock, seq))
        superblock->first_pos = pos - pos % superblock->ring_size;
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

    if (!repair_record(control, &state) ||
        !all_zero(image->bytes + FORMAT_HEADER_SIZE, image->size - FORMAT_HEADER_SIZE) ||
        superblock_make(&options, out_superblock, NULL) < 0)
        return false;
    superblock_set_first_pos(out_superblock, state.tail, state.next_seq);
    out_superblock->crc = superblock_crc(out_superblock);
    return true;
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
    struct vote best_vote = {0};

    for (size_t i = 0; i < 6; i++) {
        const struct pool_create_options options = {
            .size_bytes = sizes[i / 3], .index_capacity = capacities[i % 3]};
        struct superblock superblock;
        struct vote vote;
        if (options.size_bytes == 0 || superblock_make(&options, &superblock, NULL) < 0)
            continue;
        const size_t n = superblock_try(image, &superblock, &vote);
        if (n > best) {
            best = n;
            best_vote = vote;
            *out_superblock = superblock;
        }
    }
    if (best == 0)
        return superblock_of_unused(image, out_superblock);
    superblock_set_first_pos(out_superblock, best_vote.pos, best_vote.seq);
    if (superblock_seed(damaged) == best_vote.seed)
        memcpy(out_superblock->uuid, damaged->uuid, sizeof(damaged->uuid));
    else
        superblock_set_seed(out_superblock, best_vote.seed);
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
