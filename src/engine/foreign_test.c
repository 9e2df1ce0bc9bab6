/* Files of which a part is another pool's, or of another time: a copy that was made while the pool
 * was in use, a file system that mixed up two files. Each part alone is as it should be. */
#include "engine/child_test.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/recover.h"
#include "engine/superblock.h"

/* The control words are of a time before a long message, in whose midst the tail stands: new ones
 * overwrite its body, and its header is still intact when room must be made where it begins. */
static void test_foreign_control_words_cost_no_new_message(void **state)
{
    (void)state;
    static char text[2048];
    scoped(pool_close) struct pool *pool = test_pool("foreign-words", 16384);
    struct frame frame;
    struct appended appended = {0};

    memset(text, 'a', sizeof(text) - sizeof(struct frame_header) - 1);
    test_append(pool, text);
    recover_set(pool, &(struct run){.start = 0, .end = 1024, .next_seq = 2, .time_ns = 1});

    /* none of them begins where the long message would end */
    const struct message message = {.data = view_of(text, 96 - sizeof(struct frame_header))};
    while (appended.end_pos <= pool_ring_size(pool))
        check_ok(pool_append(pool, &message, 1, &appended, &test_error));
    assert_int_equal(pool->control->n_damaged, 1);
    check_ok(pool_get(pool, 2, &frame, &test_error));
    assert_int_equal(frame.pos, 1024);
}

/* The superblock of another pool with files of the same size, whose checksums are right for this
 * ring, too, if it lay laps away. */
static struct superblock make_alike(const struct superblock *original)
{
    struct superblock alike = *original;
    uint32_t difference;
    do {
        for (size_t i = 0; i < sizeof(alike.uuid) && ++alike.uuid[i] == 0; i++)
            continue;
        difference = superblock_seed(&alike) ^ superblock_seed(original);
    } while (difference == 0 || difference * FORMAT_FRAME_ALIGN % original->ring_size != 0);
    alike.crc = superblock_crc(&alike);
    return alike;
}

static void test_foreign_superblock_gives_out_no_messages_of_the_other(void **state)
{
    (void)state;
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    char path[256];
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    snprintf(path, sizeof(path), "%s", test_path("foreign-superblock"));
    struct pool *pool = test_pool_with("foreign-superblock",
        (struct pool_create_options){.size_bytes = 4096 + 8192, .index_capacity = 0});
    assert_int_equal(pool_ring_size(pool), 8192);
    for (int i = 0; i < 20; i++)
        test_append(pool, "{\"the\":\"other's\"}");
    const struct superblock alike = make_alike(&pool->superblock);
    memcpy(pool->map, &alike, sizeof(alike));
    pool_close(pool);

    if (pool_repair(path, NULL, &repaired, &test_error) == POOL_OK)
        assert_int_equal(repaired.n_kept, 0);
    plsm_error_free(test_error);
    test_error = NULL;
    pool = test_open(path, POOL_READ);
    cursor_oldest(&cursor, pool);
    for (int r = CURSOR_GAP; r != CURSOR_EMPTY && r != -1;) {
        r = cursor_next(&cursor, &frame, &gap, &test_error);
        assert_int_not_equal(r, CURSOR_FRAME);
    }
    plsm_error_free(test_error);
    test_error = NULL;
    pool_close(pool);
}

TESTS(test_foreign_control_words_cost_no_new_message,
    test_foreign_superblock_gives_out_no_messages_of_the_other)
