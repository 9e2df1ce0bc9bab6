/* Repair: whatever was damaged, afterwards the pool is sound, every message whose bytes are
 * whole is there unchanged, and no seq is given out again. */
#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/recover.h"

#include <dirent.h>
#include <sys/file.h>
#include <sys/mount.h>

#define POOL_BYTES 16384
#define N_MODEL    300

static uint8_t image[POOL_BYTES]; /* of a sound pool whose ring has wrapped */
static char pool_file[256];
static struct {
    char data[80];
    char tags[16];
    uint64_t time_ns;
    uint64_t offset; /* in the file; 0: overwritten */
    uint64_t end;
} model[N_MODEL]; /* by seq - 1 */
static uint64_t model_oldest;

static void make_message(size_t i)
{
    snprintf(model[i].data, sizeof(model[i].data), "{\"n\":%zu,\"pad\":\"%.*s\"}", i, (int)(i % 47),
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    snprintf(model[i].tags, sizeof(model[i].tags), "%s", i % 3 == 0 ? "[\"tag\"]" : "");
    model[i].time_ns = (i + 1) * NS_PER_SECOND;
}

static void read_file(const char *path, uint8_t *bytes, size_t len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, len, 0), (ssize_t)len);
    close(fd);
}

static void put_file(const uint8_t *bytes, size_t len)
{
    unlink(pool_file);
    const int fd = open(pool_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
    close(fd);
}

static void make_image_with(uint64_t index_capacity, uint64_t first_pos)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    if (pool_file[0] == '\0')
        test_folder_in_memory();
    snprintf(pool_file, sizeof(pool_file), "%s", test_path("repair.plasmite"));
    struct pool *pool = test_pool_with("repair.plasmite",
        (struct pool_create_options){
            .size_bytes = POOL_BYTES, .index_capacity = index_capacity, .first_pos = first_pos});
    for (size_t i = 0; i < N_MODEL; i++) {
        struct appended appended;
        make_message(i);
        const struct message message = {.data = view_str(model[i].data),
            .tags = view_str(model[i].tags),
            .time_ns = model[i].time_ns};
        check_ok(pool_append(pool, &message, 1, &appended, &test_error));
        model[i].offset = 0;
    }
    cursor_oldest(&cursor, pool);
    model_oldest = 0;
    while (cursor_next(&cursor, &frame, &gap, &test_error) == CURSOR_FRAME) {
        if (model_oldest == 0)
            model_oldest = frame.seq;
        model[frame.seq - 1].offset = pool_file_offset(pool, frame.pos);
        model[frame.seq - 1].end = model[frame.seq - 1].offset + sizeof(struct frame_header) +
                                   frame.tags.len + frame.data.len;
    }
    assert_true(model_oldest > 1 && model_oldest < N_MODEL - 20);
    pool_close(pool);
    read_file(pool_file, image, sizeof(image));
}

static void make_image(void)
{
    make_image_with(POOL_INDEX_DEFAULT, 0);
}

/* Removes what stands in the test's folder beside the pool; counts the copies aside. */
static size_t sweep(void)
{
    size_t n_copies = 0;
    char path[600];
    DIR *folder = opendir(test_folder);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.' && strstr(entry->d_name, ".tmp") == NULL)
            continue;
        if (strstr(pool_file, entry->d_name) != NULL)
            continue;
        if (strstr(entry->d_name, ".before-repair-") == NULL)
            fail_msg("%s was left behind", entry->d_name);
        n_copies++;
        snprintf(path, sizeof(path), "%s/%s", test_folder, entry->d_name);
        assert_int_equal(unlink(path), 0);
    }
    closedir(folder);
    return n_copies;
}

static bool message_is_whole(const uint8_t *bytes, size_t len, size_t i)
{
    return model[i].offset != 0 && model[i].end <= len &&
           memcmp(bytes + model[i].offset, image + model[i].offset,
               model[i].end - model[i].offset) == 0;
}

static void check_sound(struct pool *pool, size_t what)
{
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    if (report.n_issues > 0)
        fail_msg("case %zu: %s at %llu", what, report.issues[0].message,
            (unsigned long long)report.issues[0].offset);
}

/* Everything whole is there, by fetch and by cursor; what is there is right; gaps are told. */
static uint64_t check_messages(struct pool *pool, const uint8_t *bytes, size_t len, size_t what)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t n_read = 0;

    for (size_t i = 0; i < N_MODEL; i++) {
        const int r = pool_get(pool, i + 1, &frame, &test_error);
        if (r < 0 || (r == POOL_MISSING && message_is_whole(bytes, len, i)))
            fail_msg("case %zu: seq %zu is gone", what, i + 1);
        if (r == POOL_MISSING)
            continue;
        assert_true(view_equal(frame.data, view_str(model[i].data)));
        assert_true(view_equal(frame.tags, view_str(model[i].tags)));
        assert_int_equal(frame.time_ns, model[i].time_ns);
        assert_int_equal(frame.seq, i + 1);
        n_read++;
    }
    cursor_oldest(&cursor, pool);
    uint64_t n_walked = 0;
    uint64_t next_seq = 0;
    for (;;) {
        const int r = cursor_next(&cursor, &frame, &gap, &test_error);
        if (r == CURSOR_EMPTY)
            break;
        assert_true(r == CURSOR_FRAME || r == CURSOR_GAP);
        if (r == CURSOR_GAP) {
            assert_int_equal(gap.first_seq, next_seq);
            next_seq = gap.next_seq;
            continue;
        }
        assert_true(next_seq == 0 || frame.seq == next_seq);
        next_seq = frame.seq + 1;
        n_walked++;
    }
    assert_int_equal(n_walked, n_read);
    return n_read;
}

/* The pool goes on: what is appended has a new seq, and is read; a whole lap over the holes. */
static void check_goes_on(struct pool *pool, uint64_t least_seq, size_t what)
{
    struct frame frame;
    const uint64_t seq = test_append(pool, "{\"after\":\"the repair\"}");
    if (seq < least_seq)
        fail_msg("case %zu: seq %llu is given out again", what, (unsigned long long)seq);
    assert_int_equal(pool_get(pool, seq, &frame, &test_error), POOL_OK);
    check_sound(pool, what);
    for (int i = 0; i < 300; i++)
        test_append(pool, "{\"some\":\"more messages, so that the ring is filled again\"}");
    check_sound(pool, what);
}

/* Returns what pool_repair does; after success everything else is checked. */
static int repair(const uint8_t *bytes, size_t len, uint64_t least_seq, size_t what)
{
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    static uint8_t copy[POOL_BYTES];
    struct stat status;

    put_file(bytes, len);
    alarm(20);
    const int r = pool_repair(pool_file, NULL, &repaired, &test_error);
    alarm(0);
    if (r != POOL_OK) {
        plsm_error_free(test_error);
        test_error = NULL;
        assert_int_equal(sweep(), 0);
        assert_int_equal(stat(pool_file, &status), 0);
        assert_int_equal(status.st_size, len);
        return r;
    }
    assert_int_equal(stat(repaired.copy_path, &status), 0);
    assert_int_equal(status.st_size, len);
    assert_int_equal(status.st_mode & 0777, 0600);
    read_file(repaired.copy_path, copy, len);
    assert_memory_equal(copy, bytes, len);
    assert_int_equal(stat(pool_file, &status), 0);
    assert_int_equal(status.st_size, POOL_BYTES);

    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
    check_sound(pool, what);
    assert_int_equal(check_messages(pool, bytes, len, what), repaired.n_kept);
    check_goes_on(pool, least_seq, what);
    assert_int_equal(sweep(), 1);
    return r;
}

/* One more than the newest message whose bytes are whole. */
static uint64_t whole_next_seq(const uint8_t *bytes, size_t len)
{
    for (size_t i = N_MODEL; i > 0; i--)
        if (message_is_whole(bytes, len, i - 1))
            return i + 1;
    return 1;
}

static void must_repair(const uint8_t *bytes, size_t len, uint64_t least_seq, size_t what)
{
    const int r = repair(bytes, len, least_seq, what);
    if (r != POOL_OK)
        fail_msg("case %zu: %d", what, r);
}

static void test_repair_leaves_a_healthy_pool_alone(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    assert_int_equal(repair(image, POOL_BYTES, 0, 0), POOL_HEALTHY);
    read_file(pool_file, bytes, sizeof(bytes));
    assert_memory_equal(bytes, image, sizeof(bytes));
}

static void test_repair_of_any_damaged_message_keeps_all_others(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    for (size_t i = model_oldest - 1; i < N_MODEL; i++) {
        for (int where = 0; where < 3; where++) {
            memcpy(bytes, image, sizeof(bytes));
            const uint64_t at = where == 0   ? model[i].offset + 8
                                : where == 1 ? model[i].offset + 24
                                             : model[i].end - 1;
            bytes[at] ^= 0x41;
            must_repair(bytes, sizeof(bytes), N_MODEL + 1, i);
        }
    }
}

static void test_repair_counts_what_is_kept_and_lost(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    make_image();
    for (size_t first = model_oldest - 1; first < N_MODEL - 3; first += 9) {
        memcpy(bytes, image, sizeof(bytes));
        for (size_t i = first; i < first + 3; i++)
            bytes[model[i].end - 1] ^= 1;
        put_file(bytes, sizeof(bytes));
        check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
        assert_int_equal(repaired.n_lost, 3);
        assert_in_range(repaired.n_kept, N_MODEL - model_oldest + 1 - 3,
            N_MODEL - model_oldest + 1); /* messages already given up may appear again */
        assert_int_equal(repaired.newest_seq, N_MODEL);
        pool_repaired_fini(&repaired);
        sweep();
    }
}

static void test_repair_of_any_flipped_bit_of_the_superblock(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image_with(100, 0); /* not the default index */
    for (size_t bit = 0; bit < sizeof(struct superblock) * 8; bit++) {
        memcpy(bytes, image, sizeof(bytes));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        must_repair(bytes, sizeof(bytes), N_MODEL + 1, bit);
    }
}

static void test_repair_of_a_lost_superblock(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    for (size_t from = 0; from < sizeof(struct superblock); from += 8) {
        for (size_t len = 2; len <= sizeof(struct superblock) - from; len += 6) {
            memcpy(bytes, image, sizeof(bytes));
            memset(bytes + from, 0x5a, len);
            must_repair(bytes, sizeof(bytes), N_MODEL + 1, from * 1000 + len);
        }
    }
    make_image_with(100, 0); /* sizes that nobody could guess, in sound fields */
    memcpy(bytes, image, sizeof(bytes));
    memset(bytes + offsetof(struct superblock, uuid), 0, 16);
    must_repair(bytes, sizeof(bytes), N_MODEL + 1, 0);
    memset(bytes, 0, sizeof(struct superblock)); /* and gone with them */
    assert_int_equal(repair(bytes, sizeof(bytes), 0, 0), -1);
}

static void check_lost_page(const uint8_t *bytes, size_t at, size_t size)
{
    /* with the page of the control words nothing but the messages is left to tell the next seq */
    const uint64_t least_seq =
        size == 4096 && at == 0 ? whole_next_seq(bytes, POOL_BYTES) : N_MODEL + 1;
    const int r = repair(bytes, POOL_BYTES, least_seq, at);
    if (r == POOL_OK)
        return;
    /* much of the page behind the first words is only for those who are at work */
    if (r != POOL_HEALTHY || at < 1024 || at >= FORMAT_HEADER_SIZE)
        fail_msg("page at %zu: %d", at, r);
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
    assert_int_equal(check_messages(pool, bytes, POOL_BYTES, at), N_MODEL - model_oldest + 1);
}

static void test_repair_of_any_lost_page(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    static const uint64_t first_positions[] = {
        0, UINT64_C(1) << 31, UINT64_C(1) << 37, UINT64_C(1) << 53, UINT64_C(1) << 62};
    for (size_t p = 0; p < sizeof(first_positions) / sizeof(first_positions[0]); p++) {
        make_image_with(POOL_INDEX_DEFAULT, first_positions[p]);
        for (size_t size = 512; size <= 4096; size *= 8) {
            for (size_t at = 0; at < POOL_BYTES; at += size) {
                for (int value = 0; value < 256; value += 255) {
                    memcpy(bytes, image, sizeof(bytes));
                    memset(bytes + at, value, size);
                    check_lost_page(bytes, at, size);
                }
            }
        }
    }
}

static void test_repair_of_control_words_and_index_lost_together(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    static const uint64_t first_positions[] = {0, UINT64_C(1) << 37, UINT64_C(1) << 40};
    static const uint64_t capacities[] = {POOL_INDEX_DEFAULT, 0, 33};
    for (size_t i = 0; i < 9; i++) {
        make_image_with(capacities[i / 3], first_positions[i % 3]);
        memcpy(bytes, image, sizeof(bytes));
        struct superblock superblock;
        memcpy(&superblock, image, sizeof(superblock));
        memset(bytes + FORMAT_CONTROL_OFFSET, 0, superblock.ring_offset - FORMAT_CONTROL_OFFSET);
        must_repair(bytes, sizeof(bytes), N_MODEL + 1, i);
        /* and the newest messages with them: the index is all that knew of them */
        memcpy(bytes + FORMAT_HEADER_SIZE, image + FORMAT_HEADER_SIZE,
            superblock.ring_offset - FORMAT_HEADER_SIZE);
        bytes[model[N_MODEL - 1].end - 1] ^= 1;
        bytes[model[N_MODEL - 2].end - 1] ^= 1;
        must_repair(
            bytes, sizeof(bytes), superblock.index_capacity > 100 ? N_MODEL + 1 : N_MODEL - 1, i);
    }
}

static void test_repair_of_any_control_word(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image();
    static const size_t fields[] = {offsetof(struct control, tail),
        offsetof(struct control, commits[0].end_pos), offsetof(struct control, commits[0].next_seq),
        offsetof(struct control, commits[1].end_pos), offsetof(struct control, commits[1].time_ns),
        offsetof(struct control, commit_checks), offsetof(struct control, head),
        offsetof(struct control, durable)};
    size_t n_repaired = 0;
    for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        for (size_t bit = 0; bit < 64; bit++) {
            memcpy(bytes, image, sizeof(bytes));
            bytes[FORMAT_CONTROL_OFFSET + fields[f] + bit / 8] ^= (uint8_t)(1u << bit % 8);
            const int r = repair(bytes, sizeof(bytes), N_MODEL + 1, f * 100 + bit);
            assert_true(r == POOL_OK || r == POOL_HEALTHY);
            n_repaired += r == POOL_OK;
        }
    }
    assert_true(n_repaired > 300);
}

/* The page of the control words, and those of the ring, of different moments. */
static void test_repair_of_control_words_of_long_ago(void **state)
{
    (void)state;
    static uint8_t early[POOL_BYTES], bytes[POOL_BYTES];
    for (int n_early = 10; n_early < 2000; n_early += 330) {
        make_image();
        memcpy(early, image, sizeof(early));
        put_file(image, sizeof(image));
        struct pool *pool = test_open(pool_file, POOL_WRITE);
        for (int i = 0; i < n_early; i++)
            test_append(pool, "{\"later\":\"messages that go over everything before\"}");
        pool_close(pool);
        read_file(pool_file, bytes, sizeof(bytes));
        memcpy(bytes, early, FORMAT_HEADER_SIZE);
        put_file(bytes, sizeof(bytes));
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        const int r = pool_repair(pool_file, NULL, &repaired, &test_error);
        assert_int_equal(r, POOL_OK);
        assert_int_equal(repaired.newest_seq, N_MODEL + n_early);
        pool = test_open(pool_file, POOL_WRITE);
        check_sound(pool, (size_t)n_early);
        assert_int_equal(test_append(pool, "{}"), N_MODEL + n_early + 1);
        pool_close(pool);
        sweep();
    }
}

static void test_repair_of_files_cut_short(void **state)
{
    (void)state;
    struct superblock superblock;
    make_image();
    memcpy(&superblock, image, sizeof(superblock));
    for (size_t len = 0; len < POOL_BYTES; len += len < 200 ? 1 : 97) {
        if (len <= superblock.ring_offset)
            assert_int_equal(repair(image, len, 0, len), -1);
        else
            must_repair(image, len, N_MODEL + 1, len);
    }
}

static void test_repair_twice_keeps_the_holes(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    for (size_t i = model_oldest + 2; i < N_MODEL; i += 7) {
        bytes[model[i].end - 1] ^= 1;
        put_file(bytes, sizeof(bytes));
        check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
        assert_int_equal(repaired.n_lost, 1);
        pool_repaired_fini(&repaired);
        read_file(pool_file, bytes, sizeof(bytes));
        struct pool *pool = test_open(pool_file, POOL_WRITE);
        check_sound(pool, i);
        check_messages(pool, bytes, sizeof(bytes), i);
        pool_close(pool);
        sweep();
    }
    check_messages(test_open(pool_file, POOL_READ), bytes, sizeof(bytes), 0);
    /* a power loss: the scan goes over the holes */
    bytes[FORMAT_CONTROL_OFFSET + offsetof(struct control, boot_id)] ^= 1;
    put_file(bytes, sizeof(bytes));
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
    assert_false(recover_is_needed(pool));
    check_messages(pool, bytes, sizeof(bytes), 1);
    check_goes_on(pool, N_MODEL + 1, 1);
}

static void check_untouched(const uint8_t *bytes, size_t len, plsm_error_kind_t kind)
{
    static uint8_t after[POOL_BYTES];
    struct pool_repaired repaired;
    put_file(bytes, len);
    check_fails(pool_repair(pool_file, NULL, &repaired, &test_error), kind);
    read_file(pool_file, after, len);
    assert_memory_equal(after, bytes, len);
    assert_int_equal(sweep(), 0);
}

static void test_repair_refuses_what_it_cannot_know(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct pool_repaired repaired;
    make_image();
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_CORRUPT);
    memset(bytes, 0, sizeof(bytes));
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_CORRUPT);
    memcpy(bytes, image, sizeof(struct superblock)); /* a superblock alone */
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_CORRUPT);
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, "PLSM\3", 5);
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_USAGE);
    struct superblock superblock;
    memcpy(bytes, image, sizeof(bytes)); /* a later version */
    memcpy(&superblock, bytes, sizeof(superblock));
    superblock.version++;
    superblock.crc = crc32c(0, &superblock, offsetof(struct superblock, crc));
    memcpy(bytes, &superblock, sizeof(superblock));
    check_untouched(bytes, sizeof(bytes), PLSM_ERROR_USAGE);
    check_fails(
        pool_repair(test_path("missing"), NULL, &repaired, &test_error), PLSM_ERROR_NOT_FOUND);
    check_fails(pool_repair(test_folder, NULL, &repaired, &test_error), PLSM_ERROR_IO);
}

static void test_repair_waits_for_nobody(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct pool_repaired repaired;
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 1].end - 1] ^= 1;
    put_file(bytes, sizeof(bytes));
    struct pool *writer = test_open(pool_file, POOL_WRITE);
    assert_int_equal(pool_repair(pool_file, NULL, &repaired, &test_error), POOL_BUSY);
    pool_close(writer);
    const int fd = open(pool_file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(pool_repair(pool_file, NULL, &repaired, &test_error), POOL_BUSY);
    close(fd);
    assert_int_equal(sweep(), 0);
    check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
    pool_repaired_fini(&repaired);
    sweep();
}

/* A follower of the damaged file learns that it is gone; a writer that waited finds the new one. */
static void open_and_append(const struct child_side *side)
{
    struct pool *pool = NULL;
    struct appended appended;
    const struct message message = test_message("{\"from\":\"who waited\"}");
    child_must(child_listen(side) == 'o');
    child_say(side, 'o');
    child_must(pool_open(pool_file, POOL_WRITE, NULL, &pool, &test_error) == POOL_OK);
    child_must(pool_append(pool, &message, 1, &appended, &test_error) == POOL_OK);
    child_must(pool_check_file(pool, &test_error) == POOL_OK);
    pool_close(pool);
}

static void start_opener(void *context, uint64_t done, uint64_t total)
{
    const struct child *opener = context;
    (void)total;
    if (done > 0)
        return;
    child_tell(opener, 'o');
    child_expect(opener, 'o');
}

static void test_repair_under_a_waiting_writer_and_a_follower(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct pool_repaired repaired;
    struct cursor cursor;
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 9].end - 1] ^= 1;
    put_file(bytes, sizeof(bytes));

    scoped(pool_close) struct pool *reader = test_open(pool_file, POOL_READ);
    cursor_newest(&cursor, reader);
    struct child opener = child_start(open_and_append, NULL);
    const struct pool_progress progress = {start_opener, &opener};
    check_ok(pool_repair(pool_file, &progress, &repaired, &test_error));
    pool_repaired_fini(&repaired);
    child_join(&opener);
    assert_int_equal(
        follow_wait(&cursor, clock_deadline_ns(CHILD_PATIENCE_MS), &test_error), FOLLOW_DELETED);
    scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_READ);
    struct frame frame;
    assert_int_equal(pool_get(pool, N_MODEL + 1, &frame, &test_error), POOL_OK);
    sweep();
}

/* A death at each step that is told of. */
struct death {
    int at;
};

static void die(void *context, uint64_t done, uint64_t total)
{
    struct death *death = context;
    (void)done;
    (void)total;
    if (death->at-- == 0)
        raise(SIGKILL);
}

static void repair_and_die(const struct child_side *side)
{
    struct death death = {*(const int *)side->arg};
    const struct pool_progress progress = {die, &death};
    struct pool_repaired repaired;
    child_must(pool_repair(pool_file, &progress, &repaired, &test_error) == POOL_OK);
    child_say(side, 'd');
}

static void test_repair_killed_at_any_step_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES], after[POOL_BYTES];
    bool done = false;
    bool seen_old = false;
    make_image();
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 5].end - 1] ^= 1;
    for (int at = 0; !done; at++) {
        assert_true(at < 100);
        put_file(bytes, sizeof(bytes));
        struct child child = child_start(repair_and_die, &at);
        child_wait_dead(&child);
        done = child_speaks(&child, 0);
        assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
        child_close(&child);
        read_file(pool_file, after, sizeof(after));
        if (memcmp(after, bytes, sizeof(after)) == 0) {
            seen_old = true;
        } else {
            scoped(pool_close) struct pool *pool = test_open(pool_file, POOL_WRITE);
            check_sound(pool, (size_t)at);
            check_messages(pool, bytes, sizeof(bytes), (size_t)at);
        }
        sweep();
    }
    assert_true(seen_old);
}

/* The real thing, for whoever may mount: a file system on which the pool just fits. */
static void test_repair_on_a_full_disk_changes_nothing(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES], after[POOL_BYTES];
    char folder[100];
    make_image();
    snprintf(folder, sizeof(folder), "%.*s", (int)sizeof(folder) - 1, test_path("full"));
    assert_int_equal(mkdir(folder, 0700), 0);
    memcpy(bytes, image, sizeof(bytes));
    bytes[model[N_MODEL - 5].end - 1] ^= 1;
    for (unsigned kib = 16; kib <= 48; kib += 16) {
        char options[32];
        struct pool_repaired repaired;
        snprintf(options, sizeof(options), "size=%uk,mode=700", kib);
        if (mount("none", folder, "tmpfs", 0, options) != 0) {
            rmdir(folder);
            skip();
        }
        char kept[sizeof(pool_file)];
        memcpy(kept, pool_file, sizeof(kept));
        snprintf(pool_file, sizeof(pool_file), "%s/pool", folder);
        put_file(bytes, sizeof(bytes));
        const int r = pool_repair(pool_file, NULL, &repaired, &test_error);
        const int kind = test_error != NULL ? test_error->kind : 0;
        const bool hinted = test_error != NULL && error_hint_of(test_error) != NULL;
        read_file(pool_file, after, sizeof(after));
        size_t n_entries = 0;
        DIR *listing = opendir(folder);
        while (readdir(listing) != NULL)
            n_entries++;
        closedir(listing);
        assert_int_equal(umount(folder), 0);
        memcpy(pool_file, kept, sizeof(kept));
        if (kib == 48) {
            assert_int_equal(r, POOL_OK);
            assert_int_equal(n_entries, 4);
            pool_repaired_fini(&repaired);
            continue;
        }
        assert_int_equal(r, -1);
        assert_int_equal(kind, PLSM_ERROR_IO);
        assert_true(hinted);
        assert_int_equal(n_entries, 3);
        assert_memory_equal(after, bytes, sizeof(bytes));
        plsm_error_free(test_error);
        test_error = NULL;
    }
    rmdir(folder);
}

TESTS(test_repair_leaves_a_healthy_pool_alone, test_repair_of_any_damaged_message_keeps_all_others,
    test_repair_counts_what_is_kept_and_lost, test_repair_of_any_flipped_bit_of_the_superblock,
    test_repair_of_a_lost_superblock, test_repair_of_any_lost_page,
    test_repair_of_control_words_and_index_lost_together, test_repair_of_any_control_word,
    test_repair_of_control_words_of_long_ago, test_repair_of_files_cut_short,
    test_repair_twice_keeps_the_holes, test_repair_refuses_what_it_cannot_know,
    test_repair_waits_for_nobody, test_repair_under_a_waiting_writer_and_a_follower,
    test_repair_killed_at_any_step_leaves_the_old_or_the_new,
    test_repair_on_a_full_disk_changes_nothing)
