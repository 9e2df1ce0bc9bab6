/* Repair: whatever was damaged, afterwards the pool is sound, every message whose bytes are
 * whole is there unchanged, and no seq is given out again. */
#include "engine/repair_test.h"

#include "engine/recover.h"

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

/* Without an index nothing but the frames says what there was. */
static void test_repair_without_an_index(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    make_image_with(0, 0);
    for (size_t i = model_oldest - 1; i < N_MODEL; i++) {
        memcpy(bytes, image, sizeof(bytes));
        bytes[model[i].offset + 12] ^= 1; /* in the header */
        must_repair(bytes, sizeof(bytes), whole_next_seq(bytes, sizeof(bytes)), i);
    }
    memcpy(bytes, image, sizeof(bytes));
    memset(bytes + sizeof(struct superblock), 0, FORMAT_HEADER_SIZE - sizeof(struct superblock));
    must_repair(bytes, sizeof(bytes), N_MODEL + 1, N_MODEL);
}

static void forge(uint8_t *bytes, size_t i, uint64_t seq, uint64_t time_ns)
{
    struct superblock superblock;
    struct frame_header header;
    memcpy(&superblock, bytes, sizeof(superblock));
    memcpy(&header, bytes + model[i].offset, sizeof(header));
    uint64_t pos = model[i].offset - superblock.ring_offset;
    const uint32_t seed = crc32c(0, superblock.uuid, sizeof(superblock.uuid));
    while (frame_header_crc(seed, pos, &header) != header.crc) {
        pos += superblock.ring_size;
        assert_true(pos < 100 * superblock.ring_size);
    }
    header.seq = seq;
    header.time_ns = time_ns;
    header.crc = frame_header_crc(seed, pos, &header);
    memcpy(bytes + model[i].offset, &header, sizeof(header));
}

/* Frames whose checksums are right, and that no writer of this pool has published there. */
static void test_repair_keeps_no_frame_that_does_not_fit(void **state)
{
    (void)state;
    static const uint64_t seqs[] = {0, 1, N_MODEL - 10, UINT64_MAX, UINT64_MAX - 1};
    static uint8_t bytes[POOL_BYTES];
    make_image();
    const size_t i = N_MODEL - 5;
    for (size_t n = 0; n < sizeof(seqs) / sizeof(*seqs); n++) {
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        memcpy(bytes, image, sizeof(bytes));
        forge(bytes, i, seqs[n], model[i].time_ns);
        put_file(bytes, sizeof(bytes));
        check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
        assert_int_equal(repaired.n_kept, N_MODEL - model_oldest);
        assert_int_equal(repaired.n_lost, 1);
        assert_int_equal(repaired.newest_seq, N_MODEL);
        sweep();
    }
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    memcpy(bytes, image, sizeof(bytes));
    forge(bytes, i, i + 1, model[i - 1].time_ns - 1); /* before the message before */
    put_file(bytes, sizeof(bytes));
    check_ok(pool_repair(pool_file, NULL, &repaired, &test_error));
    assert_int_equal(repaired.n_lost, 1);
    sweep();
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
    assert_int_equal(recover_is_needed(pool, &test_error), 0);
    check_messages(pool, bytes, sizeof(bytes), 1);
    check_goes_on(pool, N_MODEL + 1, 1);
}

/* Several damages at once, of any kind: refused, or repaired as always. */
static void test_repair_of_random_damage(void **state)
{
    (void)state;
    static uint8_t bytes[POOL_BYTES];
    struct rng rng = rng_seeded("repair");
    size_t n_repaired = 0;
    for (size_t round = 0; round < 200; round++) {
        if (round % 40 == 0)
            make_image_with(round % 80 == 0 ? POOL_INDEX_DEFAULT : rng_below(&rng, 300),
                rng_next(&rng) >> (7 + rng_below(&rng, 56)));
        memcpy(bytes, image, sizeof(bytes));
        const uint64_t n_damages = 1 + rng_below(&rng, 5);
        for (uint64_t i = 0; i < n_damages; i++) {
            const size_t at = rng_below(&rng, rng_below(&rng, 3) == 0 ? 4096 : sizeof(bytes));
            const size_t most = sizeof(bytes) - at < 600 ? sizeof(bytes) - at : 600;
            memset(bytes + at, (int)rng_below(&rng, 256), 1 + rng_below(&rng, most));
        }
        const size_t len = rng_below(&rng, 4) == 0 ? 12000 + rng_below(&rng, 4000) : sizeof(bytes);
        const int r = repair(bytes, len, whole_next_seq(bytes, len), round);
        n_repaired += r == POOL_OK;
    }
    print_message("# repaired %zu of 200\n", n_repaired);
    assert_true(n_repaired > 100);
}

TESTS(test_repair_of_any_damaged_message_keeps_all_others, test_repair_without_an_index,
    test_repair_keeps_no_frame_that_does_not_fit, test_repair_counts_what_is_kept_and_lost,
    test_repair_of_any_flipped_bit_of_the_superblock, test_repair_of_a_lost_superblock,
    test_repair_of_any_lost_page, test_repair_of_control_words_and_index_lost_together,
    test_repair_of_any_control_word, test_repair_of_control_words_of_long_ago,
    test_repair_of_files_cut_short, test_repair_twice_keeps_the_holes, test_repair_of_random_damage)
