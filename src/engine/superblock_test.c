/* How a file is divided, at the exact edges. */
#include "engine/superblock.h"

#include "base/limits.h"
#include "engine/pool_test.h"

/* A file whose ring has this many bytes behind so many slots. */
static struct superblock divide(uint64_t ring_size, uint64_t slots)
{
    struct superblock superblock;
    const struct pool_create_options options = {
        .size_bytes = FORMAT_HEADER_SIZE + slots * FORMAT_SLOT_SIZE + ring_size,
        .index_capacity = slots};

    check_ok(superblock_make(&options, &superblock, &test_error));
    assert_int_equal(superblock.ring_size, ring_size);
    assert_true(superblock_is_sound(&superblock));
    return superblock;
}

/* Blocks are as small as the slots allow: where a ring has just as many as there are slots, the
 * smallest ones will do. */
static void test_superblock_uses_all_slots(void **state)
{
    (void)state;
    static const struct {
        uint64_t ring_size, slots, blocks;
        uint32_t shift;
    } rows[] = {{4096, 128, 128, 5}, {4096 + 32, 128, 65, 6}, {4096 - 32, 128, 127, 5},
        {8192, 128, 128, 6}, {8192 + 32, 128, 65, 7}, {1 << 20, 1 << 15, 1 << 15, 5},
        {1 << 20, (1 << 15) - 1, 1 << 14, 6}, {1024, 1, 1, 10}, {1024 + 32, 1, 1, 11},
        {1024, 2, 2, 9}, {4096, 0, 0, 5}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct superblock superblock = divide(rows[i].ring_size, rows[i].slots);
        if (superblock.block_shift != rows[i].shift)
            fail_msg("case %zu: shift %u", i, superblock.block_shift);
        assert_int_equal(superblock_blocks(&superblock), rows[i].blocks);
    }
}

static bool sound_with_shift(struct superblock superblock, uint32_t shift)
{
    superblock.block_shift = shift;
    superblock.crc = superblock_crc(&superblock);
    return superblock_is_sound(&superblock);
}

/* An index of one slot has one block; one of none has none, whatever the size of a block. */
static void test_superblock_names_no_slot_beyond_the_index(void **state)
{
    (void)state;
    assert_true(sound_with_shift(divide(1024, 1), 10));
    assert_false(sound_with_shift(divide(1024, 1), 9));
    assert_true(sound_with_shift(divide(4096, 128), 5));
    assert_false(sound_with_shift(divide(4096 + 32, 128), 5));
    assert_true(sound_with_shift(divide(4096, 0), 5));
    assert_false(sound_with_shift(divide(4096, 0), 4));
    assert_true(sound_with_shift(divide(4096, 0), 63));
    assert_false(sound_with_shift(divide(4096, 0), 64));
}

static void expect_usage(uint64_t size_bytes, uint64_t slots, const char *message, const char *hint)
{
    struct superblock superblock;
    const struct pool_create_options options = {.size_bytes = size_bytes, .index_capacity = slots};

    assert_int_equal(superblock_make(&options, &superblock, &test_error), -1);
    assert_int_equal(test_error->kind, PLSM_ERROR_USAGE);
    assert_string_equal(test_error->message, message);
    if (hint == NULL)
        assert_null(error_hint_of(test_error));
    else
        assert_string_equal(error_hint_of(test_error), hint);
    plsm_error_free(test_error);
    test_error = NULL;
}

/* One byte or one slot beyond each limit is told with what would do. */
static void test_superblock_tells_which_sizes_would_do(void **state)
{
    (void)state;
    expect_usage(FORMAT_HEADER_SIZE + 10 * FORMAT_SLOT_SIZE + FORMAT_RING_MIN - 1, 10,
        "file_size must exceed header and index size",
        "5280 bytes are the least for this index; the default is 1M.");
    divide(FORMAT_RING_MIN, 10);
    expect_usage(65536, 2049,
        "index capacity 2049 would take more than half of the pool's 65536 bytes",
        "Use --index-capacity 2048 or less, or a larger --size.");
    const struct pool_create_options half = {.size_bytes = 65536, .index_capacity = 2048};
    const struct pool_create_options largest = {.size_bytes = LIMIT_POOL_BYTES_MAX};
    struct superblock superblock;
    check_ok(superblock_make(&half, &superblock, &test_error));
    check_ok(superblock_make(&largest, &superblock, &test_error));
    char message[100];
    snprintf(message, sizeof(message), "file_size must be at most %llu bytes",
        (unsigned long long)LIMIT_POOL_BYTES_MAX);
    expect_usage(LIMIT_POOL_BYTES_MAX + 1, 0, message, NULL);
}

TESTS(test_superblock_uses_all_slots, test_superblock_names_no_slot_beyond_the_index,
    test_superblock_tells_which_sizes_would_do)
