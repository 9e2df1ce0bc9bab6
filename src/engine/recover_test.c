/* Power losses, simulated. The kernel may have written any page of a dirty mapping at any
 * moment since the last sync, and a disk tears a page between sectors. So the file after a power
 * loss is a mixture: each page, or each sector, in any of the versions it has had since the
 * last sync that ended; and one that is changed while it is written is torn between cache lines.
 * A workload runs while its file is recorded step by step; then mixtures
 * are drawn, opened as after a reboot, and held against what was appended and flushed. */
#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"

#include <sys/resource.h>
#include <sys/syscall.h>

#define POOL_BYTES   32768
#define VERSIONS_MAX 64
#define MESSAGES_MAX 20000

static char pool_file[256];
static char image_file[256];

/* What was appended, by seq - 1. */
static struct {
    uint32_t len;
    uint32_t mark; /* tells messages apart that had the same seq, before and after a loss */
} model[MESSAGES_MAX];
static uint64_t model_next; /* the next seq */
static uint64_t flushed;    /* messages before it survive */

/* The file in the versions it had since the last sync; the first is what that sync wrote. */
static _Alignas(128) uint8_t versions[VERSIONS_MAX][POOL_BYTES];
static size_t n_versions;
static int recording = -1; /* descriptor of the recorded file */

/* The durable position that each sync carried to the disk. */
static uint64_t durable_synced[4];
static size_t n_synced;

static const struct control *control_in(const uint8_t *bytes)
{
    return (const struct control *)(const void *)(bytes + FORMAT_CONTROL_OFFSET);
}

static void record(bool synced)
{
    if (recording < 0)
        return;
    if (synced)
        n_versions = 0;
    assert_true(n_versions < VERSIONS_MAX);
    assert_int_equal(pread(recording, versions[n_versions], POOL_BYTES, 0), POOL_BYTES);
    n_versions++;
    if (synced)
        durable_synced[n_synced++ % 4] = control_in(versions[0])->durable;
}

static struct pool *watcher; /* who looks at the pool while it is recovered */
static size_t n_watched;

static void watch(void)
{
    struct pool_report report;
    if (watcher == NULL)
        return;
    check_ok(pool_verify(watcher, &report, &test_error));
    for (size_t i = 0; i < report.n_issues; i++)
        if (strstr(report.issues[i].message, "a sync failed") == NULL)
            fail_msg("verify, amid a recovery: %s", report.issues[i].message);
    n_watched++;
}

/* The C library's, replaced for this program: nothing needs to reach a disk here, but the moment
 * counts. */
int fdatasync(int fd)
{
    (void)fd;
    watch();
    record(true);
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    record(true);
    return 0;
}

static size_t message_text(char *text, uint64_t seq)
{
    const size_t len = model[seq - 1].len;
    const int n = snprintf(text, POOL_BYTES, "{\"seq\":%llu,\"mark\":%u}", (unsigned long long)seq,
        model[seq - 1].mark);
    for (size_t i = (size_t)n; i < len; i++)
        text[i] = (char)('a' + (seq + i) % 26);
    return len > (size_t)n ? len : (size_t)n;
}

static char texts[8][POOL_BYTES];

static void append_some(struct pool *pool, struct rng *rng, size_t n)
{
    struct message messages[8];
    struct appended appended;
    static uint32_t mark;
    for (size_t i = 0; i < n; i++) {
        const uint64_t seq = model_next + i;
        assert_true(seq <= MESSAGES_MAX);
        model[seq - 1].mark = ++mark;
        model[seq - 1].len = (uint32_t)rng_below(rng, rng_below(rng, 8) == 0 ? 2500 : 300);
        messages[i] = (struct message){.data = view_of(texts[i], message_text(texts[i], seq))};
    }
    check_ok(pool_append(pool, messages, n, &appended, &test_error));
    assert_int_equal(appended.first_seq, model_next);
    model_next += n;
    record(false);
}

/* What the workload does next. Some never flush, some always do, some lap the ring in between. */
struct habits {
    uint64_t flush_every; /* messages, on average; 0: never */
    uint64_t batch_max;
};

static void work(struct pool *pool, struct rng *rng, const struct habits *habits, size_t n_steps)
{
    for (size_t i = 0; i < n_steps && n_versions + 2 < VERSIONS_MAX; i++) {
        append_some(pool, rng, 1 + rng_below(rng, habits->batch_max));
        if (habits->flush_every != 0 && rng_below(rng, habits->flush_every) == 0) {
            check_ok(pool_flush(pool, &test_error));
            flushed = model_next;
            record(false);
        }
    }
}

/* Draws a mixture in units of so many bytes; ages says how: 0 any version, 1 mostly the last,
 * 2 mostly the first, 3 the first or the last. */
static void draw_image(struct rng *rng, uint8_t *image, size_t unit)
{
    const uint64_t ages = rng_below(rng, 4);
    for (size_t offset = 0; offset < POOL_BYTES; offset += unit) {
        size_t version = (size_t)rng_below(rng, n_versions);
        const uint64_t dice = rng_below(rng, 10);
        if (ages == 3)
            version = dice < 5 ? 0 : n_versions - 1;
        else if (ages != 0 && dice < 8)
            version = ages == 1 ? n_versions - 1 : 0;
        memcpy(image + offset, versions[version] + offset, unit);
    }
    image[FORMAT_CONTROL_OFFSET + offsetof(struct control, boot_id)] ^= 0x55; /* a reboot */
    /* a lock may be held in any of the versions; its owner is dead now */
}

static void put_file(const char *path, const uint8_t *bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, POOL_BYTES, 0), POOL_BYTES);
    close(fd);
}

static void check_message(const struct frame *frame)
{
    static char text[POOL_BYTES];
    if (frame->seq >= model_next)
        fail_msg("seq %llu was never appended", (unsigned long long)frame->seq);
    const size_t len = message_text(text, frame->seq);
    if (!view_equal(frame->data, view_of(text, len)))
        fail_msg("seq %llu is wrong", (unsigned long long)frame->seq);
}

/* Reads everything: must be one run without a gap. Returns the seqs. */
static void check_run(struct pool *pool, uint64_t *out_first, uint64_t *out_next)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t expected = 0;

    *out_first = 0;
    cursor_oldest(&cursor, pool);
    for (;;) {
        const int r = cursor_next(&cursor, &frame, &gap, &test_error);
        if (r == CURSOR_EMPTY)
            break;
        if (r == CURSOR_GAP)
            fail_msg("gap %llu to %llu", (unsigned long long)gap.first_seq,
                (unsigned long long)gap.next_seq);
        if (r != CURSOR_FRAME)
            check_ok(r);
        check_message(&frame);
        if (expected != 0)
            assert_int_equal(frame.seq, expected);
        else
            *out_first = frame.seq;
        expected = frame.seq + 1;
    }
    *out_next = expected;
}

static void check_clean(struct pool *pool)
{
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    if (report.n_issues > 0)
        fail_msg("verify: %s: %s at %llu", report.issues[0].code, report.issues[0].message,
            (unsigned long long)report.issues[0].offset);
}

/* What the pool retained when the power went: those of its messages that were flushed must be
 * there again. Then it must go on working. */
static void check_image(const uint8_t *image, uint64_t oldest_retained)
{
    uint64_t first = 0, next = 0;
    put_file(image_file, image);
    scoped(pool_close) struct pool *pool = test_open(image_file, POOL_WRITE);
    check_run(pool, &first, &next);
    if (oldest_retained < flushed) {
        if (first == 0 || first > oldest_retained || next < flushed)
            fail_msg("seqs %llu to %llu were flushed and retained; %llu to %llu are there",
                (unsigned long long)oldest_retained, (unsigned long long)flushed - 1,
                (unsigned long long)first, (unsigned long long)next - 1);
    }
    check_clean(pool);
    const uint64_t seq = test_append(pool, "{\"after\":\"the loss\"}");
    if (next != 0)
        assert_int_equal(seq, next);
    assert_true(seq >= flushed);
    for (int i = 0; i < 3; i++)
        test_append(pool, "{\"after\":\"the loss\"}");
    check_clean(pool);
    struct frame frame;
    check_ok(pool_get(pool, seq, &frame, &test_error));
}

static void simulate(
    struct rng *rng, const struct habits *habits, uint64_t *n_images, uint64_t until)
{
    static uint8_t image[POOL_BYTES];
    struct pool_info info;

    unlink(pool_file);
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    check_ok(pool_create(pool_file, &options, &test_error));
    recording = open(pool_file, O_RDONLY | O_CLOEXEC);
    assert_true(recording >= 0);
    model_next = flushed = 1;
    record(true);
    struct pool *pool = test_open(pool_file, POOL_WRITE);
    for (int round = 0; round < 12 && clock_monotonic_ns() < until; round++) {
        work(pool, rng, habits, 1 + rng_below(rng, 40));
        check_ok(pool_info(pool, &info, &test_error));
        const int held = recording;
        recording = -1; /* what recovery syncs is another file */
        for (int i = 0; i < 60; i++) {
            draw_image(rng, image, (size_t)4096 >> 3 * rng_below(rng, 3)); /* 4096, 512 or 64 */
            check_image(image, info.oldest_seq);
            (*n_images)++;
        }
        recording = held;
        if (n_versions + 8 > VERSIONS_MAX) { /* the kernel got round to writing everything */
            memcpy(versions[0], versions[n_versions - 1], POOL_BYTES);
            n_versions = 1;
        }
    }
    pool_close(pool);
    close(recording);
    recording = -1;
}

static void run_habits(const char *name, const struct habits *habits)
{
    struct rng rng = rng_seeded(name);
    uint64_t n_images = 0;
    snprintf(pool_file, sizeof(pool_file), "%s", test_path("recorded"));
    snprintf(image_file, sizeof(image_file), "%s", test_path("image"));
    const uint64_t until = clock_deadline_ns(3000);
    while (clock_monotonic_ns() < until)
        simulate(&rng, habits, &n_images, until);
    print_message("# %s: %llu images\n", name, (unsigned long long)n_images);
}

static void test_recover_flushing_every_append(void **state)
{
    (void)state;
    run_habits("flush_each", &(struct habits){.flush_every = 1, .batch_max = 2});
}

static void test_recover_flushing_now_and_then(void **state)
{
    (void)state;
    run_habits("flush_some", &(struct habits){.flush_every = 8, .batch_max = 4});
}

static void test_recover_flushing_rarely_and_lapping_the_ring(void **state)
{
    (void)state;
    run_habits("flush_rarely", &(struct habits){.flush_every = 50, .batch_max = 8});
}

static void test_recover_never_flushing(void **state)
{
    (void)state;
    run_habits("flush_never", &(struct habits){.flush_every = 0, .batch_max = 8});
}

/* Appends a message of a moment that all messages share, as they do while the clock is behind. */
static uint64_t append_timed(struct pool *pool, const char *data)
{
    const struct message message = {.data = view_str(data), .time_ns = 1};
    struct appended appended;
    check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    return appended.end_pos;
}

static void get_file(const char *path, uint8_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, POOL_BYTES, 0), POOL_BYTES);
    close(fd);
}

static void reboot_file(const char *path, uint8_t *bytes)
{
    bytes[FORMAT_CONTROL_OFFSET + offsetof(struct control, boot_id)] ^= 0x55;
    put_file(path, bytes);
}

/* The first loss takes the second message, and the third with it; the second loss takes the third
 * of the new ones, in whose place the disk has what recovery left there. */
static void test_recover_gives_up_what_it_does_not_keep_for_ever(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    static uint8_t recovered[POOL_BYTES];
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("for-ever"));
    struct pool *pool = test_pool("for-ever", POOL_BYTES);
    const uint64_t second = append_timed(pool, "{\"a\":1}");
    const uint64_t third = append_timed(pool, "{\"a\":2}");
    const uint64_t end = append_timed(pool, "{\"a\":3}");
    const size_t offset = (size_t)pool_file_offset(pool, 0);
    pool_close(pool);

    get_file(path, bytes);
    bytes[offset + second] ^= 1;
    reboot_file(path, bytes);
    pool = test_open(path, POOL_WRITE);
    get_file(path, recovered);
    assert_int_equal(append_timed(pool, "{\"b\":2}"), third);
    assert_int_equal(append_timed(pool, "{\"b\":3}"), end);
    pool_close(pool);

    get_file(path, bytes);
    memcpy(bytes + offset + third, recovered + offset + third, (size_t)(end - third));
    reboot_file(path, bytes);
    pool = test_open(path, POOL_WRITE);
    struct frame frame;
    check_ok(pool_get(pool, 2, &frame, &test_error));
    assert_true(view_equal(frame.data, view_str("{\"b\":2}")));
    assert_int_equal(pool_get(pool, 3, &frame, &test_error), POOL_MISSING);
    pool_close(pool);
}

/* Else head passes what the disk knows to be durable, and after the next loss the longest run is
 * kept, not this one. But not before the tail is there: in a recovery after a failed sync the disk
 * may know a tail far behind, and a position beyond that is damage. */
static void test_recover_lets_the_disk_know_what_it_made_durable(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("durable"));
    struct pool *pool = test_pool("durable", POOL_BYTES);
    const uint64_t durable = append_timed(pool, "{\"a\":1}");
    check_ok(pool_flush(pool, &test_error));
    const uint64_t tail = append_timed(pool, "{\"a\":2}");
    pool_close(pool);
    get_file(path, bytes);
    reboot_file(path, bytes);

    recording = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(recording >= 0);
    n_synced = 0;
    pool = test_open(path, POOL_WRITE);
    close(recording);
    recording = -1;
    assert_int_equal(n_synced, 2);
    assert_int_equal(durable_synced[0], durable);
    assert_int_equal(durable_synced[1], tail);
    assert_int_equal(pool->control->durable_known, tail);
    pool_close(pool);
}

/* Who opened the pool before it, or while it was going on, finds nothing that contradicts itself. */
static void check_watched(bool failed_sync)
{
    char path[256];
    snprintf(path, sizeof(path), "%s", test_path("watched"));
    struct pool *pool = test_pool("watched", POOL_BYTES);
    append_timed(pool, "{\"a\":1}");
    check_ok(pool_flush(pool, &test_error));
    const uint64_t last = append_timed(pool, "{\"a\":2}");
    append_timed(pool, "{\"a\":3}");
    watcher = test_open(path, POOL_READ);
    atomic_store(&pool->control->flush_target, pool->control->tail); /* of a sync that failed */
    if (failed_sync) {
        atomic_store(&pool->control->flush_failed, 1);
    } else {
        pool->ring[last] ^= 1; /* or that the power cut short */
        pool->control->boot_id[0] ^= 0x55;
    }
    pool_close(pool);

    n_watched = 0;
    pool = test_open(path, POOL_WRITE);
    assert_int_equal(n_watched, 2);
    watch();
    assert_int_equal(pool->control->flush_failed, 0);
    assert_int_equal(pool->control->flush_target, pool->control->tail);
    pool_close(watcher);
    watcher = NULL;
    pool_close(pool);
}

static void test_recover_alarms_nobody_who_looks(void **state)
{
    (void)state;
    check_watched(true);
    check_watched(false);
}

/* One that found none for another would scan and rewrite a pool that others are using. */
static void test_recover_nothing_when_the_boot_id_cannot_be_read(void **state)
{
    (void)state;
    uint8_t boot_id[16];
    char path[256];
    struct rlimit limit;
    struct pool *other = NULL;
    snprintf(path, sizeof(path), "%s", test_path("boot-id"));
    scoped(pool_close) struct pool *pool = test_pool("boot-id", POOL_BYTES);
    test_append(pool, "{}");
    memcpy(boot_id, pool->control->boot_id, sizeof(boot_id));

    /* one more descriptor may be open: the pool's */
    const int free_fd = dup(0);
    assert_int_equal(close(free_fd), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit one_more = {(rlim_t)free_fd + 1, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &one_more), 0);
    const int written = pool_open(path, POOL_WRITE, NULL, &other, &test_error);
    plsm_error_t *refused = test_error;
    test_error = NULL;
    const int read = pool_open(path, POOL_READ, NULL, &other, &test_error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);

    check_fails(read, PLSM_ERROR_IO);
    test_error = refused;
    check_fails(written, PLSM_ERROR_IO);
    assert_memory_equal(boot_id, pool->control->boot_id, sizeof(boot_id));
    pool_close(test_open(path, POOL_WRITE));
}

TESTS(test_recover_flushing_every_append, test_recover_flushing_now_and_then,
    test_recover_flushing_rarely_and_lapping_the_ring, test_recover_never_flushing,
    test_recover_gives_up_what_it_does_not_keep_for_ever,
    test_recover_lets_the_disk_know_what_it_made_durable, test_recover_alarms_nobody_who_looks,
    test_recover_nothing_when_the_boot_id_cannot_be_read)
