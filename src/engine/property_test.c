/* Random operations on a pool against a plain model: an array of all messages ever appended. */
#include "engine/pool_test.h"

#include "base/limits.h"
#include "engine/format.h"

#define MESSAGES_MAX 30000

struct model_message {
    uint64_t time_ns;
    uint32_t len;
    uint8_t first;
};

static struct model_message model[MESSAGES_MAX + 1]; /* by seq */
static uint64_t model_next;

static uint8_t bytes_of(uint64_t seq, uint32_t i)
{
    return (uint8_t)(seq * 31 + i);
}

static void check_frame(const struct frame *frame)
{
    assert_in_range(frame->seq, 1, model_next - 1);
    const struct model_message *expected = &model[frame->seq];
    assert_int_equal(frame->time_ns, expected->time_ns);
    assert_int_equal(frame->data.len, expected->len);
    for (uint32_t i = 0; i < expected->len; i++) {
        if (frame->data.data[i] != bytes_of(frame->seq, i))
            fail_msg("seq %llu differs at byte %u", (unsigned long long)frame->seq, i);
    }
}

static uint32_t random_len(struct rng *rng, uint64_t ring_size)
{
    switch (rng_below(rng, 12)) {
    case 0: return 0;
    case 1: return (uint32_t)rng_below(rng, ring_size / 2);
    case 2: return (uint32_t)rng_below(rng, ring_size - 31);
    default: return (uint32_t)rng_below(rng, 400);
    }
}

/* Appends up to n messages that fit together; returns false when the model is full. */
static bool append_both(struct pool *pool, struct rng *rng, size_t n)
{
    static uint8_t bytes[1 << 20];
    struct message messages[16];
    struct appended appended;
    uint64_t footprint = 0, largest = 0;
    size_t used = 0, count = 0;

    if (model_next + n > MESSAGES_MAX)
        return false;
    for (; count < n; count++) {
        const uint32_t len = random_len(rng, pool_ring_size(pool));
        const struct message message = {.data = view_of(bytes + used, len)};
        const uint64_t length = message_footprint(&message);
        largest = length > largest ? length : largest;
        if (used + len > sizeof(bytes) ||
            (count > 0 && footprint + length + largest > pool_ring_size(pool)))
            break;
        for (uint32_t i = 0; i < len; i++)
            bytes[used + i] = bytes_of(model_next + count, i);
        messages[count] = message;
        model[model_next + count].len = len;
        used += len;
        footprint += length;
    }
    check_ok(pool_append(pool, messages, count, &appended, &test_error));
    assert_int_equal(appended.first_seq, model_next);
    for (size_t i = 0; i < count; i++)
        model[model_next + i].time_ns = appended.time_ns;
    model_next += count;
    return true;
}

static void check_get(struct pool *pool, struct rng *rng, const struct pool_info *info)
{
    struct frame frame;
    const uint64_t seq = rng_below(rng, model_next + 3);
    const int r = pool_get(pool, seq, &frame, &test_error);
    if (seq >= info->oldest_seq && seq < model_next && info->n_messages > 0) {
        check_ok(r);
        assert_int_equal(frame.seq, seq);
        check_frame(&frame);
    } else {
        assert_int_equal(r, POOL_MISSING);
    }
}

static void check_seek_time(struct pool *pool, struct rng *rng, const struct pool_info *info)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    if (info->n_messages == 0)
        return;
    const uint64_t seq = info->oldest_seq + rng_below(rng, info->n_messages);
    const uint64_t time_ns = model[seq].time_ns + rng_below(rng, 2);
    uint64_t expected = info->oldest_seq;
    while (expected < model_next && model[expected].time_ns < time_ns)
        expected++;
    check_ok(cursor_seek_time(&cursor, pool, time_ns, &test_error));
    const int r = cursor_next(&cursor, &frame, &gap, &test_error);
    if (expected == model_next) {
        assert_int_equal(r, CURSOR_EMPTY);
    } else {
        assert_int_equal(r, CURSOR_FRAME);
        assert_int_equal(frame.seq, expected);
    }
}

/* Drains a cursor that keeps its place between calls. */
static void check_drain(struct cursor *cursor, uint64_t *expected, uint64_t max)
{
    struct frame frame;
    struct gap gap;
    for (uint64_t i = 0; i < max; i++) {
        const int r = cursor_next(cursor, &frame, &gap, &test_error);
        if (r == CURSOR_EMPTY) {
            assert_int_equal(*expected, model_next);
            return;
        }
        if (r == CURSOR_GAP) {
            assert_int_equal(gap.first_seq, *expected);
            assert_true(gap.next_seq > gap.first_seq);
            *expected = gap.next_seq;
            continue;
        }
        assert_int_equal(r, CURSOR_FRAME);
        assert_int_equal(frame.seq, *expected);
        check_frame(&frame);
        (*expected)++;
    }
}

static void run_once(struct rng *rng, struct pool_create_options options)
{
    struct pool *pool = test_pool_with("property", options);
    struct pool *reader = test_open(test_path("property"), POOL_READ);
    struct cursor cursor;
    struct pool_info info;
    struct pool_report report;
    uint64_t expected = 1;
    bool more = true;

    model_next = 1;
    cursor_oldest(&cursor, reader);
    cursor.expected_seq = 1;
    for (int step = 0; step < 3000 && more; step++) {
        switch (rng_below(rng, 8)) {
        case 0: more = append_both(pool, rng, 1 + rng_below(rng, 16)); break;
        case 1: check_drain(&cursor, &expected, rng_below(rng, 100)); break;
        case 2:
            check_ok(pool_info(reader, &info, &test_error));
            assert_int_equal(info.next_seq, model_next);
            check_seek_time(reader, rng, &info);
            break;
        case 3:
            if (rng_below(rng, 20) == 0) {
                pool_close(pool);
                pool = test_open(test_path("property"), POOL_WRITE);
            }
            check_ok(pool_verify(pool, &report, &test_error));
            if (report.n_issues > 0)
                fail_msg("%s", report.issues[0].message);
            break;
        case 4:
            check_ok(pool_info(pool, &info, &test_error));
            for (int i = 0; i < 10; i++)
                check_get(pool, rng, &info);
            break;
        default: more = append_both(pool, rng, 1); break;
        }
    }
    check_ok(pool_info(pool, &info, &test_error));
    for (uint64_t seq = 0; seq < model_next + 2; seq++)
        check_get(reader, rng, &info);
    pool_close(reader);
    pool_close(pool);
}

static void test_property_pool_equals_model(void **state)
{
    (void)state;
    struct rng rng = rng_seeded("property_pool_equals_model");
    for (int run = 0; run < 20; run++) {
        struct pool_create_options options = {
            .size_bytes = 8192 + rng_below(&rng, run % 2 == 0 ? 60000 : 400000),
            .index_capacity = POOL_INDEX_DEFAULT,
        };
        if (run % 3 == 1)
            options.index_capacity = rng_below(&rng, 100);
        run_once(&rng, options);
    }
}

TESTS(test_property_pool_equals_model)
