/* Bad bytes: whatever stands in the file, no crash, no hang, no out-of-bounds access, no wrong
 * message. All in one process, so that a crash of any case fails the test. */
#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/superblock.h"

#define POOL_BYTES 8192
#define N_MODEL    200

static uint8_t image[POOL_BYTES]; /* of a sound pool */
static char pool_file[256];
static char model[N_MODEL][64]; /* by seq - 1 */
static uint64_t model_oldest;
static uint64_t model_next;
static uint64_t n_corrupt; /* cases in which damage was reported */

/* Makes a pool whose ring has wrapped and keeps its bytes. */
static void make_image(void)
{
    struct pool_info info;
    if (pool_file[0] != '\0')
        return;
    snprintf(pool_file, sizeof(pool_file), "%s", test_path("corrupt"));
    struct pool *pool = test_pool("corrupt", POOL_BYTES);
    for (size_t i = 0; i < N_MODEL; i++) {
        snprintf(model[i], sizeof(model[i]), "{\"n\":%zu,\"pad\":\"%.*s\"}", i, (int)(i % 37),
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
        test_append(pool, model[i]);
        if (i == N_MODEL / 2)
            check_ok(pool_flush(pool, &test_error));
    }
    check_ok(pool_info(pool, &info, &test_error));
    model_oldest = info.oldest_seq;
    model_next = info.next_seq;
    pool_close(pool);
    const int fd = open(pool_file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, image, sizeof(image), 0), sizeof(image));
    close(fd);
}

static void put_image(const uint8_t *bytes, size_t len)
{
    const int fd = open(pool_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    close(fd);
}

/* Any failure is fine as long as it says that the file is bad. */
static void drop_error(const char *where, size_t what)
{
    assert_non_null(test_error);
    if (test_error->kind != PLSM_ERROR_CORRUPT && test_error->kind != PLSM_ERROR_USAGE)
        fail_msg("case %zu: %s failed with kind %d: %s", what, where, (int)test_error->kind,
            test_error->message);
    plsm_error_free(test_error);
    test_error = NULL;
    n_corrupt++;
}

static void check_message(const struct frame *frame, size_t what)
{
    if (frame->seq < 1 || frame->seq >= model_next)
        fail_msg("case %zu: seq %llu was never appended", what, (unsigned long long)frame->seq);
    if (!view_equal(frame->data, view_str(model[frame->seq - 1])))
        fail_msg("case %zu: seq %llu is wrong", what, (unsigned long long)frame->seq);
}

struct seen {
    uint64_t n_messages;
    uint64_t n_errors;
};

/* Reads from the oldest to the newest, stepping over damage. */
static struct seen read_all(struct pool *pool, size_t what)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    struct seen seen = {0};
    uint64_t last_seq = 0;

    cursor_oldest(&cursor, pool);
    for (int steps = 0;; steps++) {
        assert_true(steps < 5000);
        const int r = cursor_next(&cursor, &frame, &gap, &test_error);
        if (r == CURSOR_EMPTY)
            return seen;
        if (r == -1) {
            const bool control = test_error->offset < FORMAT_HEADER_SIZE;
            drop_error("cursor_next", what);
            seen.n_errors++;
            if (control && seen.n_errors > 2)
                return seen; /* no way on past bad control words */
            cursor_skip_damage(&cursor, &gap);
        } else if (r == CURSOR_FRAME) {
            check_message(&frame, what);
            assert_true(frame.seq > last_seq);
            last_seq = frame.seq;
            seen.n_messages++;
        }
    }
}

static void get_some(struct pool *pool, size_t what)
{
    struct frame frame;
    struct cursor cursor;
    for (uint64_t seq = model_oldest - 1; seq <= model_next; seq += 7) {
        const int r = pool_get(pool, seq, &frame, &test_error);
        if (r == -1)
            drop_error("pool_get", what);
        else if (r == POOL_OK)
            check_message(&frame, what);
    }
    if (cursor_seek_seq(&cursor, pool, model_next - 5, &test_error) < 0)
        drop_error("cursor_seek_seq", what);
    if (cursor_seek_time(&cursor, pool, 1, &test_error) < 0)
        drop_error("cursor_seek_time", what);
    if (cursor_seek_time(&cursor, pool, clock_wall_ns() / 2 + 1, &test_error) < 0)
        drop_error("cursor_seek_time", what);
}

/* Once with the clock's now as deadline: looks, and does not sleep. */
static void follow_once(struct pool *pool, size_t what)
{
    struct cursor cursor;
    cursor_newest(&cursor, pool);
    if (follow_wait(&cursor, 1, &test_error) < 0)
        drop_error("follow_wait", what);
}

/* Reading with a read-only handle. Returns whether anything was found wrong. */
static bool exercise_reader(size_t what)
{
    static const struct pool_open_options options = {.busy_timeout_ms = 20};
    scoped(pool_close) struct pool *pool = NULL;
    struct pool_report report;
    struct pool_info info;

    if (pool_open(pool_file, POOL_READ, &options, &pool, &test_error) < 0) {
        drop_error("pool_open", what);
        return true;
    }
    if (pool_info(pool, &info, &test_error) < 0)
        drop_error("pool_info", what);
    check_ok(pool_verify(pool, &report, &test_error));
    const struct seen seen = read_all(pool, what);
    get_some(pool, what);
    follow_once(pool, what);
    if (seen.n_errors > 0 && report.n_issues == 0)
        fail_msg("case %zu: a reader met damage that verify does not report", what);
    return report.n_issues > 0 || seen.n_messages == model_next - model_oldest;
}

/* Appending with a handle of its own; then the new message must be readable. */
static void exercise_writer(size_t what)
{
    static const struct pool_open_options options = {.busy_timeout_ms = 20};
    scoped(pool_close) struct pool *pool = NULL;
    struct appended appended;
    struct frame frame;
    struct pool_report report;
    const struct message message = test_message("{\"appended\":\"after the damage\"}");

    const int opened = pool_open(pool_file, POOL_WRITE, &options, &pool, &test_error);
    if (opened != POOL_OK) {
        if (opened < 0)
            drop_error("pool_open", what);
        return;
    }
    for (int i = 0; i < 3; i++) {
        const int r = pool_append(pool, &message, 1, &appended, &test_error);
        if (r == POOL_BUSY) /* the damaged word may name our own lease */
            return;
        if (r < 0) {
            drop_error("pool_append", what);
            return;
        }
        if (pool_get(pool, appended.first_seq, &frame, &test_error) == POOL_OK &&
            view_equal(frame.data, message.data))
            continue;
        plsm_error_free(test_error);
        test_error = NULL;
        check_ok(pool_verify(pool, &report, &test_error)); /* a damaged next seq, perhaps */
        if (report.n_issues == 0)
            fail_msg("case %zu: what was appended cannot be read, and verify is content", what);
    }
}

/* Some states that bad bytes make are also those that a writer leaves who dies before he moves
 * tail, or after he moved head: nobody can tell them apart, and they are sound. */
static bool like_a_dead_writers(const uint8_t *bytes)
{
    struct control before, after;
    memcpy(&before, image + FORMAT_CONTROL_OFFSET, sizeof(before));
    memcpy(&after, bytes + FORMAT_CONTROL_OFFSET, sizeof(after));
    return after.head > before.head ||
           (after.tail != before.tail &&
               (after.tail == after.commits[0].end_pos || after.tail == after.commits[1].end_pos));
}

static size_t case_number; /* for who is interrupted by the alarm */

static void on_alarm(int signal)
{
    (void)signal;
    static const char text[] = "# hangs: see case_number\n";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    abort();
}

static void exercise(const uint8_t *bytes, size_t len, size_t what, bool must_be_noticed)
{
    case_number = what;
    const struct sigaction action = {.sa_handler = on_alarm};
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    put_image(bytes, len);
    alarm(20);
    const bool noticed = exercise_reader(what);
    put_image(bytes, len);
    exercise_writer(what);
    alarm(0);
    if (must_be_noticed && !noticed && !like_a_dead_writers(bytes))
        fail_msg("case %zu: a message is missing and verify reports nothing", what);
}

static void test_corrupt_any_flipped_bit_does_no_harm(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    n_corrupt = 0;
    const size_t witnesses = FORMAT_CONTROL_OFFSET + offsetof(struct control, reserved);
    for (size_t bit = 0; bit < POOL_BYTES * 8; bit++) {
        if (bit / 8 >= witnesses && bit / 8 < FORMAT_HEADER_SIZE && bit % 8 != bit / 8 % 8)
            continue; /* much of the same, and nothing of it is a message's */
        memcpy(bytes, image, sizeof(bytes));
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        exercise(bytes, sizeof(bytes), bit, true);
    }
    print_message("# damage reported %llu times\n", (unsigned long long)n_corrupt);
    assert_true(n_corrupt > 0);
}

static void test_corrupt_blocks_zeroed_filled_or_moved_do_no_harm(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    for (size_t block = 0; block < POOL_BYTES; block += 512) {
        memcpy(bytes, image, sizeof(bytes));
        memset(bytes + block, 0, 512);
        exercise(bytes, sizeof(bytes), block, true);
        memset(bytes + block, 0xff, 512);
        exercise(bytes, sizeof(bytes), block, true);
        for (size_t other = 0; other < POOL_BYTES; other += 512) {
            memcpy(bytes, image, sizeof(bytes));
            memcpy(bytes + block, image + other, 512);
            exercise(bytes, sizeof(bytes), block, block != other);
        }
    }
}

/* A control word, by its offset in the control page and its width. */
struct word {
    const char *name;
    size_t offset;
    size_t width;
};

#define WORD(field)                                                                                \
    {                                                                                              \
#field, FORMAT_CONTROL_OFFSET + offsetof(struct control, field),                           \
            sizeof(((struct control *)NULL)->field)                                                \
    }

static const struct word words[] = {WORD(tail), WORD(commits[0].end_pos), WORD(commits[0].next_seq),
    WORD(commits[0].time_ns), WORD(commits[1].end_pos), WORD(commits[1].next_seq),
    WORD(commits[1].time_ns), WORD(head), WORD(n_damaged), WORD(lock), WORD(wake), WORD(sleepers),
    WORD(durable), WORD(durable_known), WORD(flush_target), WORD(flush_lock), WORD(flush_failed),
    WORD(name_durable), WORD(boot_id[0])};

static void test_corrupt_hostile_control_words_are_never_followed(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    uint64_t tail, head;
    make_image();
    memcpy(&tail, image + words[0].offset, sizeof(tail));
    memcpy(&head, image + FORMAT_CONTROL_OFFSET + offsetof(struct control, head), sizeof(head));
    const uint64_t values[] = {0, 1, 31, 32, UINT64_MAX, UINT64_MAX - 31, UINT64_C(1) << 63,
        UINT64_C(1) << 40, tail, tail + 1, tail + 32, tail - 32, tail + POOL_BYTES,
        tail + (1u << 20), head, head - 32, head + 32, head + 1, UINT32_MAX, 0x80000000u};

    for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            for (int lost_boot = 0; lost_boot < 2; lost_boot++) {
                memcpy(bytes, image, sizeof(bytes));
                memcpy(bytes + words[w].offset, &values[v], words[w].width);
                bytes[FORMAT_CONTROL_OFFSET + offsetof(struct control, boot_id)] ^=
                    (uint8_t)lost_boot;
                exercise(bytes, sizeof(bytes), w * 1000 + v * 10 + (size_t)lost_boot, false);
            }
        }
    }
}

static void test_corrupt_control_words_damaged_in_use_do_not_hang_a_reader(void **state)
{
    (void)state;
    make_image();
    for (int shift = 5; shift < 64; shift++) {
        struct cursor cursor;
        struct frame frame;
        struct gap gap;
        put_image(image, sizeof(image));
        scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
        cursor_oldest(&cursor, pool);
        assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
        alarm(20);
        atomic_fetch_add(&pool->control->tail, UINT64_C(1) << shift);
        int n_errors = 0;
        for (int i = 0; i < 1000 && n_errors < 3; i++) {
            const int r = cursor_next(&cursor, &frame, &gap, &test_error);
            if (r == CURSOR_EMPTY)
                break;
            if (r == CURSOR_FRAME)
                check_message(&frame, (size_t)shift);
            if (r != -1)
                continue;
            drop_error("cursor_next", (size_t)shift);
            cursor_skip_damage(&cursor, &gap);
            n_errors++;
        }
        assert_true(n_errors > 0);
        alarm(0);
    }
}

/* Where the frame of each retained message begins in the image, by seq; returns the oldest seq. */
static uint64_t find_offsets(size_t offsets[static N_MODEL + 1])
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    put_image(image, sizeof(image));
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_READ);
    cursor_oldest(&cursor, pool);
    while (cursor_next(&cursor, &frame, &gap, &test_error) == CURSOR_FRAME)
        offsets[frame.seq] = (size_t)pool_file_offset(pool, frame.pos);
    return model_oldest;
}

static void test_corrupt_message_does_not_keep_others_from_being_found(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    static size_t offsets[N_MODEL + 1];
    make_image();
    const uint64_t oldest = find_offsets(offsets);
    for (uint64_t bad = oldest; bad < model_next; bad++) {
        struct frame frame;
        memcpy(bytes, image, sizeof(bytes));
        bytes[offsets[bad] + offsetof(struct frame_header, seq)] ^= 1;
        put_image(bytes, sizeof(bytes));
        scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_READ);
        for (uint64_t seq = oldest; seq < model_next; seq++) {
            if (seq == bad) {
                check_fails(pool_get(pool, seq, &frame, &test_error), PLSM_ERROR_CORRUPT);
                continue;
            }
            check_ok(pool_get(pool, seq, &frame, &test_error));
            assert_int_equal(frame.seq, seq);
            check_message(&frame, (size_t)bad);
        }
    }
}

static void test_corrupt_words_on_durability_are_told_by_verify_and_flush(void **state)
{
    (void)state;
    static const size_t offsets[] = {offsetof(struct control, durable_known),
        offsetof(struct control, durable), offsetof(struct control, flush_target)};
    static uint8_t bytes[POOL_BYTES];
    make_image();
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        struct pool_report report;
        memcpy(bytes, image, sizeof(bytes));
        bytes[FORMAT_CONTROL_OFFSET + offsets[i] + 7] ^= 1;
        put_image(bytes, sizeof(bytes));
        scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
        check_ok(pool_verify(pool, &report, &test_error));
        assert_int_equal(report.n_issues, 1);
        assert_string_equal(report.issues[0].code, "control");
        check_fails(pool_flush(pool, &test_error), PLSM_ERROR_CORRUPT);
    }
}

static void test_corrupt_short_files_are_refused_at_open(void **state)
{
    (void)state;
    make_image();
    for (size_t len = 0; len < POOL_BYTES; len += len < 1024 ? 1 : 61) {
        struct pool *pool = NULL;
        put_image(image, len);
        check_fails(pool_open(pool_file, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT);
        check_fails(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT);
    }
    put_image(image, POOL_BYTES);
    assert_int_equal(truncate(pool_file, POOL_BYTES + 4096), 0); /* a longer one is as good */
    pool_close(test_open(pool_file, POOL_WRITE));
}

static void open_both_fails(const char *path, plsm_error_kind_t kind)
{
    for (int mode = 0; mode < 2; mode++) {
        struct pool *pool = NULL;
        alarm(5); /* a FIFO must not make it wait */
        if (pool_open(path, mode == 0 ? POOL_READ : POOL_WRITE, NULL, &pool, &test_error) != -1)
            fail_msg("%s was opened", path);
        alarm(0);
        assert_non_null(test_error);
        if ((plsm_error_kind_t)test_error->kind != kind)
            fail_msg("%s: kind %d, %s", path, (int)test_error->kind, test_error->message);
        assert_string_equal(test_error->path, path);
        plsm_error_free(test_error);
        test_error = NULL;
    }
}

static void test_corrupt_what_is_no_pool_is_refused_by_its_kind(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    char path[300];

    snprintf(path, sizeof(path), "%s", test_path("folder"));
    assert_int_equal(mkdir(path, 0700), 0);
    open_both_fails(path, PLSM_ERROR_IO);
    snprintf(path, sizeof(path), "%s", test_path("fifo"));
    assert_int_equal(mkfifo(path, 0600), 0);
    open_both_fails(path, PLSM_ERROR_IO);
    snprintf(path, sizeof(path), "%s", test_path("loop"));
    assert_int_equal(symlink(path, path), 0);
    open_both_fails(path, PLSM_ERROR_IO);
    open_both_fails(test_path("missing"), PLSM_ERROR_NOT_FOUND);
    open_both_fails("/dev/null", PLSM_ERROR_IO);

    put_image(bytes, 0);
    open_both_fails(pool_file, PLSM_ERROR_CORRUPT);
    put_image(bytes, sizeof(bytes)); /* zeros */
    open_both_fails(pool_file, PLSM_ERROR_CORRUPT);
    memset(bytes, 'x', sizeof(bytes));
    put_image(bytes, sizeof(bytes));
    open_both_fails(pool_file, PLSM_ERROR_CORRUPT);
    memcpy(bytes, image, sizeof(bytes)); /* a later version, with a sound checksum */
    struct superblock superblock;
    memcpy(&superblock, bytes, sizeof(superblock));
    superblock.version++;
    superblock.crc = crc32c(0, &superblock, offsetof(struct superblock, crc));
    memcpy(bytes, &superblock, sizeof(superblock));
    put_image(bytes, sizeof(bytes));
    open_both_fails(pool_file, PLSM_ERROR_USAGE);
}

static void test_corrupt_impossible_sizes_are_refused(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    static const uint64_t values[] = {0, 1, 32, 1024, 4096, 8192, UINT64_C(1) << 32,
        UINT64_C(1) << 45, UINT64_C(1) << 63, UINT64_MAX};
    static const size_t fields[] = {offsetof(struct superblock, file_size),
        offsetof(struct superblock, index_offset), offsetof(struct superblock, index_capacity),
        offsetof(struct superblock, ring_offset), offsetof(struct superblock, ring_size),
        offsetof(struct superblock, first_pos), offsetof(struct superblock, first_seq)};
    make_image();
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            memcpy(bytes, image, sizeof(bytes));
            memcpy(bytes + fields[f], &values[v], sizeof(values[v]));
            const uint32_t crc = crc32c(0, bytes, offsetof(struct superblock, crc));
            memcpy(bytes + offsetof(struct superblock, crc), &crc, sizeof(crc));
            exercise(bytes, sizeof(bytes), f * 100 + v, false);
        }
    }
}

TESTS(test_corrupt_any_flipped_bit_does_no_harm,
    test_corrupt_blocks_zeroed_filled_or_moved_do_no_harm,
    test_corrupt_hostile_control_words_are_never_followed,
    test_corrupt_control_words_damaged_in_use_do_not_hang_a_reader,
    test_corrupt_message_does_not_keep_others_from_being_found,
    test_corrupt_words_on_durability_are_told_by_verify_and_flush,
    test_corrupt_short_files_are_refused_at_open,
    test_corrupt_what_is_no_pool_is_refused_by_its_kind, test_corrupt_impossible_sizes_are_refused)
