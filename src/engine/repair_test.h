/* Support for the tests of repair: one pool whose ring has wrapped, what is in it, and what must be
 * true of whatever a repair makes of its damaged bytes. */
#ifndef ENGINE_REPAIR_TEST_H
#define ENGINE_REPAIR_TEST_H

#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"

#include <dirent.h>

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

static inline void make_message(size_t i)
{
    snprintf(model[i].data, sizeof(model[i].data), "{\"n\":%zu,\"pad\":\"%.*s\"}", i, (int)(i % 47),
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    snprintf(model[i].tags, sizeof(model[i].tags), "%s", i % 3 == 0 ? "[\"tag\"]" : "");
    model[i].time_ns = (i + 1) * NS_PER_SECOND;
}

static inline void read_file(const char *path, uint8_t *bytes, size_t len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, len, 0), (ssize_t)len);
    close(fd);
}

static inline void put_file(const uint8_t *bytes, size_t len)
{
    unlink(pool_file);
    const int fd = open(pool_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, 0), (ssize_t)len);
    close(fd);
}

static inline void make_image_with(uint64_t index_capacity, uint64_t first_pos)
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

static inline void make_image(void)
{
    make_image_with(POOL_INDEX_DEFAULT, 0);
}

/* Removes what stands in the test's folder beside the pool; counts the copies aside. */
static inline size_t sweep(void)
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

static inline bool message_is_whole(const uint8_t *bytes, size_t len, size_t i)
{
    return model[i].offset != 0 && model[i].end <= len &&
           memcmp(bytes + model[i].offset, image + model[i].offset,
               model[i].end - model[i].offset) == 0;
}

static inline void check_sound(struct pool *pool, size_t what)
{
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    if (report.n_issues > 0)
        fail_msg("case %zu: %s at %llu", what, report.issues[0].message,
            (unsigned long long)report.issues[0].offset);
}

/* Everything whole is there, by fetch and by cursor; what is there is right; gaps are told. */
static inline uint64_t check_messages(
    struct pool *pool, const uint8_t *bytes, size_t len, size_t what)
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
static inline void check_goes_on(struct pool *pool, uint64_t least_seq, size_t what)
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
static inline int repair(const uint8_t *bytes, size_t len, uint64_t least_seq, size_t what)
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
static inline uint64_t whole_next_seq(const uint8_t *bytes, size_t len)
{
    for (size_t i = N_MODEL; i > 0; i--)
        if (message_is_whole(bytes, len, i - 1))
            return i + 1;
    return 1;
}

static inline void must_repair(const uint8_t *bytes, size_t len, uint64_t least_seq, size_t what)
{
    const int r = repair(bytes, len, least_seq, what);
    if (r != POOL_OK)
        fail_msg("case %zu: %d", what, r);
}

#endif
