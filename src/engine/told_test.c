/* What users are told, to the letter: each number in its place. */
#include "base/limits.h"
#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/superblock.h"

#include <sys/resource.h>

static char path[256];

static struct pool *start(const char *name, uint64_t size_bytes)
{
    snprintf(path, sizeof(path), "%s", test_path(name));
    return test_pool_with(
        name, (struct pool_create_options){.size_bytes = size_bytes, .index_capacity = 0});
}

__attribute__((format(printf, 4, 5))) static void expect_told(
    int result, plsm_error_kind_t kind, const char *message, const char *hint, ...)
{
    char expected[400];
    va_list args;
    va_start(args, hint);
    vsnprintf(expected, sizeof(expected), hint, args);
    va_end(args);
    assert_int_equal(result, -1);
    assert_int_equal(test_error->kind, kind);
    assert_string_equal(test_error->message, message);
    if (expected[0] == '\0')
        assert_null(error_hint_of(test_error));
    else
        assert_string_equal(error_hint_of(test_error), expected);
    if (test_error->path != NULL)
        assert_string_equal(test_error->path, path);
    plsm_error_free(test_error);
    test_error = NULL;
}

static void test_told_what_an_append_may_be(void **state)
{
    (void)state;
    static char bytes[LIMIT_TAGS_BYTES + 1];
    static struct message messages[LIMIT_BATCH_MESSAGES + 1];
    struct appended appended;
    struct pool *pool = start("append", 8192);
    const unsigned long long ring = pool_ring_size(pool);
    char text[100];

    snprintf(text, sizeof(text), "a batch has 1 to %d messages", LIMIT_BATCH_MESSAGES);
    expect_told(
        pool_append(pool, messages, 0, &appended, &test_error), PLSM_ERROR_USAGE, text, "%s", "");
    expect_told(pool_append(pool, messages, LIMIT_BATCH_MESSAGES + 1, &appended, &test_error),
        PLSM_ERROR_USAGE, text, "%s", "");
    messages[0] = (struct message){.data = view_str("{}"), .tags = view_of(bytes, sizeof(bytes))};
    snprintf(text, sizeof(text), "tags exceed %u bytes", LIMIT_TAGS_BYTES);
    expect_told(
        pool_append(pool, messages, 1, &appended, &test_error), PLSM_ERROR_USAGE, text, "%s", "");
    messages[0] = (struct message){.data = view_of(bytes, ring - 31)};
    expect_told(pool_append(pool, messages, 1, &appended, &test_error), PLSM_ERROR_USAGE,
        "payload exceeds ring capacity",
        "The message needs %llu bytes and the ring holds %llu; create the pool with a larger "
        "--size.",
        ring + 32, ring);
    messages[0] = messages[1] = (struct message){.data = view_of(bytes, ring / 2 - 32)};
    expect_told(pool_append(pool, messages, 2, &appended, &test_error), PLSM_ERROR_USAGE,
        "payload exceeds ring capacity",
        "The batch of 2 messages needs up to %llu bytes and the ring holds %llu.", ring * 3 / 2,
        ring);
    pool_close(pool);

    pool = test_open(path, POOL_READ);
    expect_told(pool_append(pool, messages, 1, &appended, &test_error), PLSM_ERROR_USAGE,
        "the pool is open for reading only", "%s", "");
    pool_close(pool);
}

static void put(off_t offset, const void *bytes, size_t len)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, offset), (ssize_t)len);
    close(fd);
}

#define OF_NO_USE "Neither can `plasmite pool import` read it: that takes version 3."

static void test_told_why_a_file_is_not_opened(void **state)
{
    (void)state;
    struct pool *pool = start("open", 8192);
    struct superblock superblock = pool->superblock;
    char text[100];
    pool_close(pool);

    superblock.version += 2;
    superblock.crc = superblock_crc(&superblock);
    put(0, &superblock, sizeof(superblock));
    snprintf(text, sizeof(text), "unsupported pool format version %u (supported: %u)",
        FORMAT_VERSION + 2, FORMAT_VERSION);
    expect_told(
        pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_USAGE, text, "%s", "");
    static const struct {
        const char *bytes;
        const char *version;
        const char *hint;
    } upstream[] = {
        {"PLSM\3\0\0\0", "3",
            "This pool was made by Plasmite 0.8 or older; `plasmite pool import OLD NEW` reads it "
            "into a new one."},
        {"PLSM\0\0\0\0", "0", OF_NO_USE},
        {"PLSM\4\0\0\0", "4", OF_NO_USE},
        {"PLSM\x0f\x27\0\0", "9999", OF_NO_USE},
        {"PLSM\xff\xff\xff\xff", "4294967295", OF_NO_USE},
    };
    for (size_t i = 0; i < sizeof(upstream) / sizeof(*upstream); i++) {
        put(0, upstream[i].bytes, 8);
        snprintf(text, sizeof(text), "unsupported pool format version %s (supported: %u)",
            upstream[i].version, FORMAT_VERSION);
        expect_told(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_USAGE, text,
            "%s", upstream[i].hint);
    }

    static const char *const others[] = {"QLSM\3\0", "PLSN\3\0"};
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        put(0, others[i], 6);
        expect_told(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT,
            "not a pool file", "%s", "");
    }

    pool_close(start("open", 8192));
    assert_int_equal(truncate(path, 8191), 0);
    expect_told(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT,
        "the file was truncated: it has 8191 of 8192 bytes", "%s", "");
    assert_int_equal(truncate(path, FORMAT_HEADER_SIZE), 0);
    expect_told(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT,
        "the file was truncated: it has 4096 of 8192 bytes", "%s", "");
    for (off_t len = FORMAT_HEADER_SIZE - 1; len >= 0; len -= 91) {
        assert_int_equal(truncate(path, len), 0);
        expect_told(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_CORRUPT,
            "the file is too short to be a pool", "%s", "");
    }
    assert_int_equal(unlink(path), 0);
    expect_told(pool_open(path, POOL_READ, NULL, &pool, &test_error), PLSM_ERROR_NOT_FOUND,
        "not found", "%s", "");
}

/* The third message of five is damaged: where it is, and which one. */
static void test_told_where_the_damage_is(void **state)
{
    (void)state;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    scoped(pool_close) struct pool *pool = start("damage", 8192);
    for (int i = 0; i < 5; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    pool->ring[2 * 64 + 40] ^= 1;
    const uint64_t offset = pool->superblock.ring_offset + 2 * 64;

    cursor_oldest(&cursor, pool);
    for (int i = 0; i < 2; i++)
        assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    for (int i = 0; i < 2; i++) {
        const int r = i == 0 ? cursor_next(&cursor, &frame, &gap, &test_error)
                             : pool_get(pool, 3, &frame, &test_error);
        assert_int_equal(r, -1);
        assert_int_equal(test_error->offset, offset);
        assert_int_equal(test_error->seq, 3);
        assert_true(test_error->has_offset && test_error->has_seq);
        expect_told(r, PLSM_ERROR_CORRUPT, "damaged message", "%s", "");
    }
    cursor_skip_damage(&cursor, &gap);
    assert_int_equal(gap.first_seq, 3);
    assert_int_equal(gap.next_seq, 4);
    assert_int_equal(cursor_next(&cursor, &frame, &gap, &test_error), CURSOR_FRAME);
    assert_int_equal(frame.seq, 4);
}

/* Room for one more file of the pool's size: the message says what is needed for both. */
static void test_told_what_room_a_repair_needs(void **state)
{
    (void)state;
    struct rlimit before;
    struct pool_repaired repaired;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction old;
    struct pool *pool = start("room", 65536);
    test_append(pool, "{\"takes\":\"64 bytes\"}");
    pool->ring[40] ^= 1;
    pool_close(pool);
    assert_int_equal(truncate(path, 60000), 0);

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit small = {65535, before.rlim_max};
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const int r = pool_repair(path, NULL, &repaired, &test_error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &old, NULL), 0);
    expect_told(r, PLSM_ERROR_IO, "no room for a copy of the pool",
        "A repair needs %d bytes free beside the pool. Nothing was changed.", 65536 + 60000);
}

TESTS(test_told_what_an_append_may_be, test_told_why_a_file_is_not_opened,
    test_told_where_the_damage_is, test_told_what_room_a_repair_needs)
