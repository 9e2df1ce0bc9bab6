/* What disks and file systems do to pages, and what a mad process may write into the control words:
 * nobody crashes, hangs or reads a wrong message; what readers tell verify tells; a repair keeps
 * all that could be read.
 *
 *     pages quick|long [STRIDE]     STRIDE: only each such pair of control words (long: 1)
 *
 * Pages are zeroed, filled, doubled, swapped, replaced by what they were earlier and by those of
 * another pool, each alone and then two or three at once by chance. Control words are set to
 * hostile values, each alone and each pair, with the records' checks as they were and made right.
 * Each case is tried on a closed pool, and under the hands of a reader and a writer. */
#include "base/crc32c.h"
#include "damage.h"
#include "proof.h"

#include <stddef.h>

#define PAGE      ((size_t)4096)
#define PAGES     (DAMAGE_BYTES / PAGE)
#define AT(field) (FORMAT_CONTROL_OFFSET + offsetof(struct control, field))

enum change {
    ZERO,
    FILL,
    DOUBLE,
    SWAP,
    EARLIER,
    OTHER,
    N_CHANGES,
};

static const char *const change_names[N_CHANGES] = {
    "zeroed", "filled", "doubled", "swapped", "earlier", "another pool's"};

/* One page, and what becomes of it. */
struct blow {
    enum change change;
    size_t page;
    size_t from; /* the other page, or the earlier image */
};

static struct scene *scene;
static struct scene *other; /* of the same shape */
static uint8_t bytes[DAMAGE_BYTES];
static uint64_t n_cases;
static uint64_t n_told;
static uint64_t
    n_silent; /* of which nobody noticed anything, because nothing that counts changed */
static uint64_t n_repaired;
static uint64_t n_lost_cause; /* that no repair can mend */
static uint64_t n_pages;
static uint64_t n_words;

static struct superblock stranger; /* of a pool without messages */
static const struct scene stranger_scene = {.name = "stranger"};

/* Whose messages the file holds now, if any. */
static const struct scene *owner(void)
{
    const uint8_t *uuid = bytes + offsetof(struct superblock, uuid);
    if (memcmp(uuid, stranger.uuid, sizeof(stranger.uuid)) == 0)
        return &stranger_scene;
    return memcmp(uuid, other->image + offsetof(struct superblock, uuid), 16) == 0 ? other : scene;
}

/* Whether whoever opens the file first scans it, as after a power loss or a failed sync: then verify,
 * which a reader calls, meets a sound pool, and repair, which looks at the file, may not. */
static bool is_recovered(void)
{
    return memcmp(bytes + AT(boot_id), scene->image + AT(boot_id), 16) != 0 ||
           memcmp(bytes + AT(flush_failed), scene->image + AT(flush_failed), 4) != 0;
}

/* What could be read of the messages that the sound pool had is there after the repair; but the
 * oldest may have had to make room for the pad that says that seqs are missing at the end. */
static void check_kept(const struct found *before, const struct found *after)
{
    const struct scene *whose = owner();
    size_t n_gone = 0;

    for (size_t i = 0; i < whose->n_frames; i++) {
        const struct standing *frame = &whose->frames[i];
        if (!frame->is_message || !seen_has(before, frame->seq) || seen_has(after, frame->seq))
            continue;
        if (++n_gone > 1 || frame->seq > after->report.oldest_seq)
            damage_wrong("message %llu is gone after a repair", (unsigned long long)frame->seq);
    }
}

static void check_repair(const struct found *before)
{
    struct found after;
    const struct scene *whose = owner();

    damage_put(bytes);
    const int r = damage_repair(whose, &after);
    if (!is_recovered() &&
        (r == POOL_HEALTHY) != (!before->refused && before->report.n_issues == 0))
        damage_wrong("repair and verify disagree (%d)", r);
    n_lost_cause += r == -1;
    if (r == -1 && !before->refused && before->report.n_messages > 0)
        damage_wrong(
            "a repair gives up %llu messages", (unsigned long long)before->report.n_messages);
    if (r != POOL_OK)
        return;
    n_repaired++;
    check_kept(before, &after);
}

static void bytes_put(const void *context)
{
    damage_put(context);
}

/* What the file holds now is tried in every way. */
static void bytes_run(void *context)
{
    struct found found;

    (void)context;
    damage_put(bytes);
    damage_read(owner(), &found);
    const bool told = found.refused || found.n_control + found.n_frames + found.n_get_refused > 0;
    if (told && !found.refused && found.report.n_issues == 0)
        damage_wrong("readers tell of damage, verify does not");
    if (!told && found.report.n_issues == 0)
        n_silent++;
    n_told += told;
    check_repair(&found);
    damage_put(bytes);
    damage_write(owner(), &found, NULL, NULL);
    damage_put(scene->image);
    damage_write(scene, &found, bytes_put, bytes);
}

static void bytes_try(void)
{
    n_cases++;
    damage_try(bytes_run, NULL);
}

static void blow_do(const struct blow *blow)
{
    uint8_t *page = bytes + blow->page * PAGE;
    const size_t from = blow->from * PAGE;
    uint8_t kept[PAGE];

    switch (blow->change) {
    case ZERO: memset(page, 0, PAGE); break;
    case FILL: memset(page, 0xff, PAGE); break;
    case DOUBLE: memmove(page, bytes + from, PAGE); break;
    case SWAP:
        memcpy(kept, page, PAGE);
        memmove(page, bytes + from, PAGE);
        memcpy(bytes + from, kept, PAGE);
        break;
    case EARLIER:
        memcpy(page, scene->earlier[blow->from % DAMAGE_IMAGES] + blow->page * PAGE, PAGE);
        break;
    case OTHER:
    case N_CHANGES:
    default: memcpy(page, other->image + from, PAGE); break;
    }
}

static void blows_try(const struct blow *blows, size_t n)
{
    char text[128] = "";
    size_t len = 0;

    memcpy(bytes, scene->image, sizeof(bytes));
    for (size_t i = 0; i < n; i++) {
        blow_do(&blows[i]);
        len += (size_t)snprintf(text + len, sizeof(text) - len, " page %zu %s (%zu)", blows[i].page,
            change_names[blows[i].change], blows[i].from);
    }
    damage_case(scene, "%s", text + 1);
    bytes_try();
    n_pages++;
}

/* How many others a page can be exchanged with. */
static size_t change_sources(enum change change)
{
    return change == ZERO || change == FILL ? 1 : change == EARLIER ? DAMAGE_IMAGES : PAGES;
}

static void pages_single(size_t stride)
{
    size_t n = 0;
    for (int change = 0; change < N_CHANGES; change++)
        for (size_t page = 0; page < PAGES; page++)
            for (size_t from = 0; from < change_sources((enum change)change); from++)
                if (n++ % stride == 0)
                    blows_try(&(struct blow){(enum change)change, page, from}, 1);
}

static void pages_together(struct rng *rng, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct blow blows[3];
        const size_t n = 2 + (size_t)rng_below(rng, 2);
        for (size_t k = 0; k < n; k++) {
            const enum change change = (enum change)rng_below(rng, N_CHANGES);
            blows[k] = (struct blow){change, (size_t)rng_below(rng, PAGES),
                (size_t)rng_below(rng, change_sources(change))};
        }
        blows_try(blows, n);
    }
}

/* The superblock becomes that of another pool in which every frame would be right, only later by
 * thousands of laps: seed and position enter a checksum alike. */
static void stranger_try(void)
{
    static const uint8_t zeros[4];

    memcpy(&stranger, scene->image, sizeof(stranger));
    const uint32_t laps = (uint32_t)(stranger.ring_size / FORMAT_FRAME_ALIGN) << 12;
    const uint32_t seed = crc32c(0, stranger.uuid, sizeof(stranger.uuid)) ^ laps;
    const uint32_t last = ~crc32c(0, stranger.uuid, 12) ^ ~crc32c_undo(seed, zeros, sizeof(zeros));
    memcpy(stranger.uuid + 12, &last, sizeof(last));
    must(crc32c(0, stranger.uuid, sizeof(stranger.uuid)) == seed);
    stranger.crc = crc32c(0, &stranger, offsetof(struct superblock, crc));

    memcpy(bytes, scene->image, sizeof(bytes));
    memcpy(bytes, &stranger, sizeof(stranger));
    damage_case(scene, "superblock of a stranger");
    bytes_try();
    n_pages++;
}

/* A control word, by its offset in the file and its width. */
struct word {
    size_t offset;
    size_t width;
    const char *name;
};

#define WORD(field)                                                                                \
    {                                                                                              \
        AT(field), sizeof(((struct control *)NULL)->field), #field                                 \
    }

static const struct word words[] = {WORD(tail), WORD(commits[0].end_pos), WORD(commits[0].next_seq),
    WORD(commits[0].time_ns), WORD(commits[1].end_pos), WORD(commits[1].next_seq),
    WORD(commits[1].time_ns), WORD(commit_checks[0]), WORD(commit_checks[1]), WORD(head),
    WORD(n_damaged), WORD(lock), WORD(wake), WORD(sleepers), WORD(durable), WORD(durable_known),
    WORD(flush_target), WORD(flush_lock), WORD(flush_failed), WORD(name_durable), WORD(boot_id),
    WORD(witnesses[0]), {AT(tail), 0, "tail and its record's end"}};

#define WORDS  (sizeof(words) / sizeof(words[0]))
#define VALUES 14

static uint64_t word_at(size_t offset)
{
    uint64_t word;
    memcpy(&word, scene->image + offset, sizeof(word));
    return word;
}

static uint64_t hostile_value(size_t i)
{
    const uint64_t tail = word_at(AT(tail));
    const uint64_t head = word_at(AT(head));
    const uint64_t values[VALUES] = {0, 1, UINT64_MAX, UINT64_MAX - 31, UINT64_C(1) << 63,
        UINT64_C(1) << 40, UINT32_MAX, tail + 1, tail + 32, tail - 32, tail + DAMAGE_BYTES, head,
        head + 16, head - 32};
    return values[i];
}

static void word_set(const struct word *word, uint64_t value)
{
    if (word->width > 0) {
        const size_t width = word->width < sizeof(value) ? word->width : sizeof(value);
        memcpy(bytes + word->offset, &value, width);
        return;
    }
    const unsigned i = word_at(AT(commits[0].end_pos)) == word_at(AT(tail)) ? 0 : 1;
    memcpy(bytes + AT(tail), &value, sizeof(value));
    memcpy(bytes + AT(commits) + i * sizeof(struct commit_record), &value, sizeof(value));
}

/* Makes the records' checks right, as a mad writer would. */
static void words_seal(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uint64_t record[3];
        memcpy(record, bytes + AT(commits) + i * sizeof(record), sizeof(record));
        const uint32_t check = commit_check(record[0], record[1], record[2]);
        memcpy(bytes + AT(commit_checks) + i * sizeof(check), &check, sizeof(check));
    }
}

/* Two words with two values, or one word where both are the same. */
static void words_try(size_t a, size_t b, size_t value_a, size_t value_b, bool seal)
{
    memcpy(bytes, scene->image, sizeof(bytes));
    word_set(&words[a], hostile_value(value_a));
    if (a != b)
        word_set(&words[b], hostile_value(value_b));
    if (seal)
        words_seal();
    damage_case(scene, "%s = value %zu, %s = value %zu%s", words[a].name, value_a, words[b].name,
        value_b, seal ? ", sealed" : "");
    bytes_try();
    n_words++;
}

static void words_all(size_t stride)
{
    size_t n = 0;
    for (size_t a = 0; a < WORDS; a++)
        for (size_t b = a; b < WORDS; b++)
            for (size_t i = 0; i < VALUES * (a == b ? 1 : VALUES); i++)
                for (int seal = 0; seal < 2; seal++)
                    if (n++ % (a == b ? 1 + stride / 20 : stride) == 0)
                        words_try(a, b, i % VALUES, i / VALUES, seal == 1);
}

int main(int argc, char **argv)
{
    struct scene *(*const make[])(uint64_t seed) = {
        scene_wrapped, scene_batches, scene_long, scene_mended, scene_young, scene_unindexed};
    const size_t n_scenes = sizeof(make) / sizeof(make[0]);
    const bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    const size_t stride = argc > 2 ? strtoul(argv[2], NULL, 10) : quick ? 997 : 1;
    const char *text = getenv("PLSM_SEED");
    struct rng rng = {text != NULL ? strtoull(text, NULL, 10) : 1};

    must(stride > 0);
    damage_start();
    printf("# pages: PLSM_SEED=%llu\n", (unsigned long long)rng.state);
    for (size_t i = 0; i < n_scenes; i++) {
        char what[64];
        uint64_t before = n_cases;
        other = make[i](rng.state + i + 1000);
        scene = make[i](rng.state + i);
        stranger_try();
        pages_single(quick ? 7 : 1);
        pages_together(&rng, quick ? 100 : 2000);
        snprintf(what, sizeof(what), "%s: pages", scene->name);
        damage_end(what, n_cases - before);
        before = n_cases;
        words_all(stride * (i == 0 ? 1 : 5));
        snprintf(what, sizeof(what), "%s: control words", scene->name);
        damage_end(what, n_cases - before);
        scene_free(scene);
        scene_free(other);
    }
    printf("1..%zu\n", 2 * n_scenes);
    printf("# proof: pages: %llu combinations of pages and %llu of control words, each closed and "
           "in use, %llu told by readers, %llu without effect, %llu repaired, %llu beyond repair, "
           "%llu wrong\n",
        (unsigned long long)n_pages, (unsigned long long)n_words, (unsigned long long)n_told,
        (unsigned long long)n_silent, (unsigned long long)n_repaired,
        (unsigned long long)n_lost_cause, (unsigned long long)damage_n_wrong());
    return damage_n_wrong() == 0 ? 0 : 1;
}
