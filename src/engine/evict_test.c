/* Room for new messages where old ones are damaged: no more is given up than must be. */
#include "engine/frame.h"
#include "engine/handle.h"
#include "engine/pool_test.h"

#define FRAME_LEN 64

static void set_length(struct frame_header *header)
{
    header->data_len = UINT32_MAX - 99;
}
static void add_length(struct frame_header *header)
{
    header->data_len += FORMAT_FRAME_ALIGN;
}
static void add_two_lengths(struct frame_header *header)
{
    header->data_len += FRAME_LEN;
}
static void cut_length(struct frame_header *header)
{
    header->data_len = 0;
}
static void add_tags(struct frame_header *header)
{
    header->tags_len ^= 0x8000;
}
static void change_seq(struct frame_header *header)
{
    header->seq ^= 1;
}
static void change_type(struct frame_header *header)
{
    header->type = 0;
}
static void change_crc(struct frame_header *header)
{
    header->crc ^= 1;
}
static void erase(struct frame_header *header)
{
    memset(header, 0, sizeof(*header));
}
static void fill(struct frame_header *header)
{
    memset(header, 0xff, sizeof(*header));
}

static void (*const damages[])(struct frame_header *header) = {set_length, add_length,
    add_two_lengths, cut_length, add_tags, change_seq, change_type, change_crc, erase, fill};

/* Wherever in the ring a header is damaged, however: each message that comes takes the room of the
 * one that is oldest, damaged or not. */
static void test_evict_gives_up_one_damaged_message_alone(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool_with(
        "evict", (struct pool_create_options){.size_bytes = 8192, .index_capacity = 0});
    const uint64_t ring_size = pool_ring_size(pool);
    const struct control *control = pool->control;
    for (uint64_t i = 0; i < ring_size / FRAME_LEN + 7; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    assert_int_equal(control->tail - control->head, ring_size);

    for (size_t kind = 0; kind < sizeof(damages) / sizeof(*damages); kind++) {
        for (uint64_t ahead = 0; ahead < ring_size; ahead += FRAME_LEN) {
            uint8_t *at = pool->ring + (control->head + ahead) % ring_size;
            struct frame_header header;
            memcpy(&header, at, sizeof(header));
            damages[kind](&header);
            memcpy(at, &header, sizeof(header));
            for (uint64_t i = 0; i <= ahead / FRAME_LEN; i++) {
                test_append(pool, "{\"takes\":\"64 bytes\"}");
                if (control->tail - control->head != ring_size)
                    fail_msg("damage %zu, %llu ahead: %llu bytes are left", kind,
                        (unsigned long long)ahead,
                        (unsigned long long)(control->tail - control->head));
            }
        }
    }
    struct pool_report report;
    check_ok(pool_verify(pool, &report, &test_error));
    assert_int_equal(report.n_issues, 0);
    assert_int_equal(report.n_messages, ring_size / FRAME_LEN);
}

/* Several in a row are given up together, with what is counted as one damage. */
static void test_evict_gives_up_neighbours_together(void **state)
{
    (void)state;
    scoped(pool_close) struct pool *pool = test_pool_with(
        "neighbours", (struct pool_create_options){.size_bytes = 8192, .index_capacity = 0});
    const uint64_t ring_size = pool_ring_size(pool);
    const struct control *control = pool->control;
    for (uint64_t i = 0; i < ring_size / FRAME_LEN; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    memset(pool->ring + FRAME_LEN, 0xee, 3 * FRAME_LEN);
    assert_int_equal(control->n_damaged, 0);
    test_append(pool, "{\"takes\":\"64 bytes\"}");
    assert_int_equal(control->head, FRAME_LEN);
    assert_int_equal(control->n_damaged, 0);
    test_append(pool, "{\"takes\":\"64 bytes\"}");
    assert_int_equal(control->head, 4 * FRAME_LEN);
    assert_int_equal(control->n_damaged, 1);
    for (int i = 0; i < 3; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    assert_int_equal(control->head, 5 * FRAME_LEN);
    assert_int_equal(control->n_damaged, 1);

    /* all that there is */
    memset(pool->ring, 0xee, ring_size);
    test_append(pool, "{\"takes\":\"64 bytes\"}");
    assert_int_equal(control->head, control->tail - FRAME_LEN);
    assert_int_equal(control->n_damaged, 2);
}

TESTS(test_evict_gives_up_one_damaged_message_alone, test_evict_gives_up_neighbours_together)
