/* Every bit of a small pool flipped, one at a time: nobody crashes, hangs or reads a wrong message;
 * what is damaged is told by readers and by verify alike; a repair keeps all the rest.
 *
 *     flips quick|long [STRIDE]     STRIDE: only each such bit (long: 1)
 *
 * What readers must say depends on what the byte is. Those that are not told of are hints, which
 * nothing is believed for:
 *
 *   index         an answer taken from a slot is checked against the frame: verify tells, readers heal
 *   the record    that is not in force: the next append fills it anew
 *   lock words    a word that names no living owner is taken over
 *   wake,         a follower sleeps an eighth of a second too long at worst, or a writer makes one
 *   sleepers      system call in vain
 *   durable,      verify and flush tell if they contradict each other or the tail; else a flush syncs
 *   known, target once more, or trusts a sync that did not happen: nothing but the disk could tell
 *   flush_failed, a recovery scans the pool, or a folder is synced twice
 *   name_durable,
 *   boot id
 *   witnesses     only asked about an owner whose lease the kernel still holds
 *
 * Two words have values that are sound, but not the ones that were there: head further on, at the
 * beginning of another frame, is what a writer leaves who made room and died; tail at the end of
 * the record that is not in force is what one leaves who died before he moved it. Both lose
 * messages and say nothing wrong; they are counted. */
#include "damage.h"
#include "proof.h"

#include <stddef.h>

enum what {
    DEAD, /* belongs to nobody */
    SUPERBLOCK,
    COMMIT, /* tail, and the record in force */
    HEAD,
    HINT,
    DURABLE,
    INDEX,
    FRAME,
    N_WHATS,
};

static const char *const what_names[N_WHATS] = {
    "dead", "superblock", "commit", "head", "hint", "durable", "index", "frame"};

#define AT(field) (FORMAT_CONTROL_OFFSET + offsetof(struct control, field))

static struct scene *scene;
static uint8_t map[DAMAGE_BYTES];         /* enum what of each byte */
static uint16_t map_frames[DAMAGE_BYTES]; /* of a frame's: which */
static uint8_t bytes[DAMAGE_BYTES];       /* what is put */
static uint64_t n_flips[N_WHATS];
static uint64_t n_told[N_WHATS];     /* by readers */
static uint64_t n_verified[N_WHATS]; /* told by verify */
static uint64_t n_sound_heads;
static uint64_t n_sound_tails;
static uint64_t n_repairs;

static uint64_t word_at(const uint8_t *image, size_t offset)
{
    uint64_t word;
    memcpy(&word, image + offset, sizeof(word));
    return word;
}

static void map_set(size_t offset, size_t len, enum what what)
{
    memset(map + offset, (int)what, len);
}

static unsigned record_in_force(const uint8_t *image)
{
    return word_at(image, AT(commits[0].end_pos)) == word_at(image, AT(tail)) ? 0 : 1;
}

static void map_control(void)
{
    const unsigned i = record_in_force(scene->image);
    map_set(AT(tail), sizeof(uint64_t), COMMIT);
    map_set(AT(commits), 2 * sizeof(struct commit_record), HINT);
    map_set(AT(commit_checks), 2 * sizeof(uint32_t), HINT);
    map_set(AT(commits) + i * sizeof(struct commit_record), sizeof(struct commit_record), COMMIT);
    map_set(AT(commit_checks) + i * sizeof(uint32_t), sizeof(uint32_t), COMMIT);
    map_set(AT(head), sizeof(uint64_t), HEAD);
    map_set(AT(n_damaged), sizeof(uint64_t), HINT);
    map_set(AT(lock), sizeof(uint32_t), HINT);
    map_set(AT(wake), 2 * sizeof(uint32_t), HINT);
    map_set(AT(durable), 3 * sizeof(uint64_t), DURABLE);
    map_set(AT(flush_lock), 3 * sizeof(uint32_t), HINT);
    map_set(AT(boot_id), 16, HINT);
    map_set(AT(witnesses), FORMAT_WITNESSES * sizeof(struct witness_slot), HINT);
}

static void map_make(void)
{
    struct superblock superblock;

    memcpy(&superblock, scene->image, sizeof(superblock));
    memset(map, DEAD, sizeof(map));
    map_set(0, sizeof(superblock), SUPERBLOCK);
    map_control();
    map_set(FORMAT_HEADER_SIZE, superblock.index_capacity * FORMAT_SLOT_SIZE, INDEX);
    for (size_t i = 0; i < scene->n_frames; i++) {
        const struct standing *frame = &scene->frames[i];
        map_set(frame->offset, frame->length, FRAME);
        for (size_t at = 0; at < frame->length; at++)
            map_frames[frame->offset + at] = (uint16_t)i;
    }
}

/* What the superblock says, and nothing else, is damaged: nobody opens the pool. */
static void check_superblock(const struct found *found)
{
    if (!found->refused)
        damage_wrong("a damaged superblock was opened");
}

/* How many messages stand before a position. */
static size_t messages_before(uint64_t pos, bool *out_is_start)
{
    size_t n = 0;
    *out_is_start = pos == word_at(scene->image, AT(tail));
    for (size_t i = 0; i < scene->n_frames; i++) {
        *out_is_start |= scene->frames[i].pos == pos;
        n += scene->frames[i].is_message && scene->frames[i].pos < pos;
    }
    return n;
}

static void check_untold(const struct found *found, size_t n_missing)
{
    if (found->n_control + found->n_frames + found->n_get_refused > 0)
        damage_wrong("readers tell of damage where there is none");
    if (found->n_missing != n_missing)
        damage_wrong("%u messages are missing, not %zu", found->n_missing, n_missing);
}

static void check_head(const struct found *found)
{
    const uint64_t head = word_at(bytes, AT(head));
    const uint64_t tail = word_at(bytes, AT(tail));
    bool is_start = false;
    const size_t n_before = messages_before(head, &is_start);

    if (head > word_at(scene->image, AT(head)) && head <= tail && is_start) {
        n_sound_heads++;
        check_untold(&(struct found){.n_missing = found->n_missing}, n_before);
    } else if (found->n_control + found->n_frames == 0) {
        damage_wrong("a wrong head is not told");
    }
}

static void check_commit(const struct found *found)
{
    const size_t other =
        AT(commits) + !record_in_force(scene->image) * sizeof(struct commit_record);
    if (word_at(bytes, AT(tail)) != word_at(scene->image, AT(tail)) &&
        word_at(bytes, AT(tail)) == word_at(bytes, other))
        n_sound_tails++;
    else if (found->n_control == 0)
        damage_wrong("a damaged commit record is not told");
}

/* The one message is told, and all others are read. */
static void check_frame(const struct found *found, const struct standing *frame)
{
    const unsigned n = frame->is_message;
    if (found->n_control > 0 || found->n_frames != 1)
        damage_wrong("a damaged frame is told %u times", found->n_frames);
    if (found->n_missing != n || (n == 1 && seen_has(found, frame->seq)))
        damage_wrong("%u messages are missing for one damaged frame", found->n_missing);
    if (found->n_get_missing > 0 || found->n_get_refused != n)
        damage_wrong("asked for by seq, %u messages are refused and %u missing",
            found->n_get_refused, found->n_get_missing);
}

/* Whether what readers say fits what was damaged. */
static void check_told(const struct found *found, enum what what, const struct standing *frame)
{
    switch (what) {
    case SUPERBLOCK: check_superblock(found); break;
    case COMMIT: check_commit(found); break;
    case HEAD: check_head(found); break;
    case FRAME: check_frame(found, frame); break;
    case DEAD:
    case HINT:
    case DURABLE:
    case INDEX:
    case N_WHATS:
    default: check_untold(found, 0); break;
    }
}

/* verify and readers agree; verify also tells what readers need not know. */
static void check_verified(const struct found *found, enum what what, bool told)
{
    const struct pool_report *report = &found->report;
    const bool verified = found->refused || report->n_issues > 0;
    const bool unsound = word_at(bytes, AT(durable_known)) > word_at(bytes, AT(durable)) ||
                         word_at(bytes, AT(durable)) > word_at(bytes, AT(flush_target)) ||
                         word_at(bytes, AT(flush_target)) > word_at(bytes, AT(tail));

    if (told && !verified)
        damage_wrong("readers tell of damage, verify does not");
    if (verified && !told && what != INDEX && !(what == DURABLE && unsound))
        damage_wrong("verify tells of damage, readers do not: %s", report->issues[0].message);
    if (what == DURABLE && unsound != (report->n_issues > 0))
        damage_wrong("words on what is durable are %s", unsound ? "not told" : "told when sound");
    n_flips[what]++;
    n_told[what] += told;
    n_verified[what] += verified;
}

/* After a repair all is there that the flip did not touch. */
static void check_repair(
    bool verified, enum what what, const struct standing *frame, const struct found *before)
{
    struct found after;
    damage_put(bytes);
    const int r = damage_repair(scene, &after);
    if (r == -1) {
        damage_wrong("the repair failed");
        return;
    }
    const bool failed = memcmp(bytes + AT(flush_failed), scene->image + AT(flush_failed), 4) != 0;
    if ((r == POOL_HEALTHY) == verified && !failed) /* a reader's opening recovers from that */
        damage_wrong("repair and verify disagree");
    if (r == POOL_HEALTHY)
        return;
    n_repairs++;
    const unsigned n = what == FRAME && frame->is_message;
    for (size_t i = 0; i < scene->n_frames; i++) {
        const struct standing *other = &scene->frames[i];
        if (other->is_message && other != frame && !seen_has(&after, other->seq) &&
            (what != HEAD || seen_has(before, other->seq)))
            damage_wrong("message %llu is gone after a repair", (unsigned long long)other->seq);
    }
    if (what != HEAD && after.n_missing > n)
        damage_wrong("%u messages are missing after a repair", after.n_missing);
}

static void flip_run(void *context)
{
    const size_t bit = *(const size_t *)context;
    const enum what what = (enum what)map[bit / 8];
    const struct standing *frame =
        what == FRAME ? &scene->frames[map_frames[bit / 8]] : &scene->frames[0];
    struct found found;

    damage_case(scene, "bit %zu (byte %zu, %s)", bit, bit / 8, what_names[what]);
    memcpy(bytes, scene->image, sizeof(bytes));
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);

    damage_put(bytes);
    damage_read(scene, &found);
    const bool told = found.refused || found.n_control + found.n_frames > 0;
    const bool verified = found.refused || found.report.n_issues > 0;
    check_told(&found, what, frame);
    check_verified(&found, what, told);
    check_repair(verified, what, what == FRAME ? frame : NULL, &found);
    damage_put(bytes);
    damage_write(scene, &found, NULL, NULL);
    if (found.write_refused && what != SUPERBLOCK && what != COMMIT && what != HEAD && !verified)
        damage_wrong("the pool cannot be appended to any more, and verify finds it sound");
    if (found.follow_missed)
        damage_wrong("what was appended does not reach a follower");
    if (what == DURABLE && found.flush_refused && !verified)
        damage_wrong("flush tells of damage, verify does not");
}

static bool is_header_bit(size_t bit)
{
    return bit / 8 < AT(witnesses);
}

/* All bits, or each stride-th one and all of the header. */
static void flip_scene(size_t stride, bool header)
{
    uint64_t n = 0;
    map_make();
    for (size_t bit = 0; bit < DAMAGE_BYTES * 8; bit++) {
        if (bit % stride != n % stride && !(header && is_header_bit(bit)))
            continue;
        if (bit % stride == stride - 1)
            n = n * 5 + 1; /* another one of each group */
        damage_try(flip_run, &bit);
    }
}

static void flips_print(void)
{
    uint64_t total = 0;
    for (int i = 0; i < N_WHATS; i++) {
        printf("# %-10s %9llu flips, told by readers %9llu, by verify %9llu\n", what_names[i],
            (unsigned long long)n_flips[i], (unsigned long long)n_told[i],
            (unsigned long long)n_verified[i]);
        total += n_flips[i];
    }
    printf(
        "# proof: flips: %llu bits flipped, %llu told by readers and verify alike, %llu repairs, "
        "%llu sound heads and %llu sound tails, %llu wrong\n",
        (unsigned long long)total,
        (unsigned long long)(n_told[SUPERBLOCK] + n_told[COMMIT] + n_told[HEAD] + n_told[FRAME]),
        (unsigned long long)n_repairs, (unsigned long long)n_sound_heads,
        (unsigned long long)n_sound_tails, (unsigned long long)damage_n_wrong());
}

int main(int argc, char **argv)
{
    struct scene *(*const make[])(uint64_t seed) = {
        scene_wrapped, scene_batches, scene_long, scene_mended, scene_young, scene_unindexed};
    const bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    const size_t stride = argc > 2 ? strtoul(argv[2], NULL, 10) : quick ? 997 : 1;
    const char *text = getenv("PLSM_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;

    must(stride > 0);
    damage_start();
    printf("# flips: PLSM_SEED=%llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
        uint64_t before = 0;
        uint64_t after = 0;
        scene = make[i](seed + i);
        for (int what = 0; what < N_WHATS; what++)
            before += n_flips[what];
        flip_scene(stride, i == 0);
        for (int what = 0; what < N_WHATS; what++)
            after += n_flips[what];
        damage_end(scene->name, after - before);
        scene_free(scene);
    }
    printf("1..%zu\n", sizeof(make) / sizeof(make[0]));
    flips_print();
    return damage_n_wrong() == 0 ? 0 : 1;
}
