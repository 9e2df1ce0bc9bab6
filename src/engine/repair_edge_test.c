/* Repairs at their limits: the first lap, the first bytes of a ring, files that are no multiple of
 * anything, remains that are nobody's. */
#include "engine/repair_test.h"

#include "engine/superblock.h"

#define SMALL_BYTES 8192

static char path[256];

/* A pool of n messages of 64 bytes, in its first lap if they fit. */
static struct pool *make_pool(const char *name, uint64_t size_bytes, uint64_t slots, int n)
{
    snprintf(path, sizeof(path), "%s", test_path(name));
    struct pool *pool = test_pool_with(
        name, (struct pool_create_options){.size_bytes = size_bytes, .index_capacity = slots});
    for (int i = 0; i < n; i++)
        test_append(pool, "{\"takes\":\"64 bytes\"}");
    return pool;
}

static void lose_control(struct pool *pool)
{
    memset(pool->control, 0, sizeof(*pool->control));
}

static void expect_kept(const char *name, uint64_t n_kept, uint64_t next_seq)
{
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    check_ok(pool_repair(path, NULL, &repaired, &test_error));
    if (repaired.n_kept != n_kept)
        fail_msg("%s: %llu kept", name, (unsigned long long)repaired.n_kept);
    assert_int_equal(repaired.oldest_seq, n_kept == 0 ? 0 : next_seq - n_kept);
    assert_int_equal(repaired.newest_seq, n_kept == 0 ? 0 : next_seq - 1);
    scoped(pool_close) struct pool *pool = test_open(path, POOL_WRITE);
    check_sound(pool, 0);
    assert_int_equal(test_append(pool, "{}"), next_seq);
    assert_int_equal(unlink(repaired.copy_path), 0);
}

static void expect_refused(const char *message)
{
    struct pool_repaired repaired = {0};
    if (pool_repair(path, NULL, &repaired, &test_error) != -1)
        fail_msg("repaired: %llu kept", (unsigned long long)repaired.n_kept);
    assert_int_equal(test_error->kind, PLSM_ERROR_CORRUPT);
    assert_string_equal(test_error->message, message);
    plsm_error_free(test_error);
    test_error = NULL;
}

/* Control words lost while the ring was in its first lap, or had just begun the next one. */
static void test_repair_of_the_first_laps(void **state)
{
    (void)state;
    static const uint64_t capacities[] = {0, 100};
    for (size_t i = 0; i < 2; i++) {
        struct pool *pool = make_pool("first-lap", SMALL_BYTES, capacities[i], 3);
        const int n_held = (int)(pool_ring_size(pool) / 64);
        lose_control(pool);
        pool_close(pool);
        expect_kept("lap 0", 3, 4);

        pool = make_pool("first-lap", SMALL_BYTES, capacities[i], n_held);
        lose_control(pool);
        pool_close(pool);
        expect_kept("a whole lap", (uint64_t)n_held, (uint64_t)n_held + 1);

        pool = make_pool("first-lap", SMALL_BYTES, capacities[i], n_held + 1);
        lose_control(pool);
        pool_close(pool);
        expect_kept("lap 1", (uint64_t)n_held, (uint64_t)n_held + 2);
    }
}

/* Control words of before the newest lap began, and no index that would know better. */
static void test_repair_finds_the_lap_after_the_words(void **state)
{
    (void)state;
    static uint8_t words[FORMAT_HEADER_SIZE];
    for (int n_before = 20; n_before < 64; n_before += 20) {
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        struct pool *pool = make_pool("old-words", SMALL_BYTES, 0, n_before);
        const int n_held = (int)(pool_ring_size(pool) / 64);
        memcpy(words, pool->map, sizeof(words));
        while (test_append(pool, "{\"takes\":\"64 bytes\"}") < (uint64_t)n_held + 10)
            continue;
        memcpy(pool->map, words, sizeof(words));
        pool_close(pool);
        check_ok(pool_repair(path, NULL, &repaired, &test_error));
        assert_int_equal(repaired.newest_seq, n_held + 10);
        assert_int_equal(repaired.n_kept, n_held);
        assert_int_equal(unlink(repaired.copy_path), 0);
    }
}

/* The index knows where the messages lie, and there they have not the checksums that this pool's
 * would have: most are another's, whatever stands among them by chance. */
static void test_repair_of_another_pools_messages(void **state)
{
    (void)state;
    struct pool *other = make_pool("others", SMALL_BYTES, 100, 30);
    struct pool *pool = make_pool("among-others", SMALL_BYTES, 100, 30);
    assert_int_equal(pool_ring_size(pool), pool_ring_size(other));
    memcpy(pool->ring + 10 * 64, other->ring + 10 * 64, 20 * 64);
    memcpy(pool->index, other->index, (size_t)pool->n_blocks * FORMAT_SLOT_SIZE);
    lose_control(pool);
    pool_close(pool);
    pool_close(other);
    expect_refused("nothing in the pool is intact");

    /* where most are its own, they are kept */
    other = make_pool("others", SMALL_BYTES, 100, 30);
    pool = make_pool("among-others", SMALL_BYTES, 100, 30);
    memcpy(pool->ring + 20 * 64, other->ring + 20 * 64, 10 * 64);
    lose_control(pool);
    pool_close(pool);
    pool_close(other);
    struct pool_repaired repaired = {0};
    check_ok(pool_repair(path, NULL, &repaired, &test_error));
    assert_int_equal(repaired.n_kept, 20);
    assert_int_equal(repaired.newest_seq, 20);
    assert_int_equal(unlink(repaired.copy_path), 0);
    pool_repaired_fini(&repaired);
}

/* Of two intact records the newer one counts, whichever of them that is. */
static void test_repair_learns_the_next_seq_from_the_newer_record(void **state)
{
    (void)state;
    for (int n = 3; n <= 6; n++) {
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        struct pool *pool = make_pool("records", SMALL_BYTES, 0, n);
        pool->ring[(n - 1) * 64 + 40] ^= 1;
        atomic_store(&pool->control->tail, 0);
        pool_close(pool);
        check_ok(pool_repair(path, NULL, &repaired, &test_error));
        assert_int_equal(repaired.n_kept, n - 1);
        assert_int_equal(repaired.n_lost, 1);
        assert_int_equal(repaired.oldest_seq, 1);
        pool = test_open(path, POOL_WRITE);
        check_sound(pool, 0);
        assert_int_equal(test_append(pool, "{}"), n + 1);
        pool_close(pool);
        assert_int_equal(unlink(repaired.copy_path), 0);
    }
}

/* A message of one byte proves itself like any other, in whichever encoding it is. */
static void test_repair_of_the_shortest_messages(void **state)
{
    (void)state;
    struct message message = test_message("7");
    struct appended appended;
    for (int lite3 = 0; lite3 < 2; lite3++) {
        struct pool *pool = make_pool("short", SMALL_BYTES, 0, 0);
        message.encoding = lite3 ? ENCODING_LITE3 : ENCODING_JSON;
        for (int i = 0; i < 40; i++)
            check_ok(pool_append(pool, &message, 1, &appended, &test_error));
        lose_control(pool);
        pool_close(pool);
        expect_kept(lite3 ? "lite3" : "one byte each", 40, 41);
    }
}

/* The newest messages are damaged, and no record tells how far the pool had come: the index does,
 * and no seq is given out again. */
static void test_repair_learns_the_next_seq_from_the_index(void **state)
{
    (void)state;
    for (int n_damaged = 1; n_damaged <= 3; n_damaged++) {
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        struct pool *pool = make_pool("indexed", SMALL_BYTES, 128, 10);
        assert_int_equal(pool->block_shift, 5); /* each message has a slot of its own */
        for (int i = 0; i < n_damaged; i++)
            pool->ring[(9 - i) * 64 + 40] ^= 1;
        lose_control(pool);
        pool_close(pool);
        check_ok(pool_repair(path, NULL, &repaired, &test_error));
        assert_int_equal(repaired.n_kept, 10 - n_damaged);
        assert_int_equal(repaired.n_lost, n_damaged);
        assert_int_equal(repaired.newest_seq, 10 - n_damaged);
        pool = test_open(path, POOL_WRITE);
        check_sound(pool, 0);
        assert_int_equal(test_append(pool, "{}"), 11);
        pool_close(pool);
        assert_int_equal(unlink(repaired.copy_path), 0);
    }
}

/* One byte is left over behind the last step of a copy, or one is missing for it. */
static void test_repair_of_files_of_odd_sizes(void **state)
{
    (void)state;
    for (int64_t odd = -1; odd <= 1; odd++) {
        struct stat status;
        struct pool *pool = make_pool("odd", (UINT64_C(1) << 20) + (uint64_t)odd, 100, 5);
        pool->ring[2 * 64 + 40] ^= 1;
        pool_close(pool);
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        alarm(60);
        check_ok(pool_repair(path, NULL, &repaired, &test_error));
        alarm(0);
        assert_int_equal(repaired.n_kept, 4);
        assert_int_equal(repaired.n_lost, 1);
        assert_int_equal(stat(repaired.copy_path, &status), 0);
        assert_int_equal(status.st_size, (1 << 20) + odd);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, (1 << 20) + odd);
        assert_int_equal(unlink(repaired.copy_path), 0);
    }
}

/* So little of the ring is there that its parts have no bytes. */
static void test_repair_of_a_ring_of_a_few_bytes(void **state)
{
    (void)state;
    struct pool *pool = make_pool("few", SMALL_BYTES, 100, 30);
    const uint64_t ring_offset = pool->superblock.ring_offset;
    pool->map[offsetof(struct superblock, uuid)] ^= 0x33;
    pool_close(pool);
    for (off_t len = 63; len > 0; len -= 2) {
        assert_int_equal(truncate(path, (off_t)ring_offset + len), 0);
        alarm(20);
        expect_refused("nothing in the file tells that and how it was a pool");
        alarm(0);
    }
}

/* The pool's identity is lost, and some slots of the index speak of another lap: what most of the
 * messages say counts, wherever in the ring they stand. */
static void test_repair_believes_what_most_messages_say(void **state)
{
    (void)state;
    for (uint64_t from = 0; from < 30; from += 6) {
        struct pool *pool = make_pool("votes", SMALL_BYTES, 100, 30);
        for (uint64_t i = from; i < from + 3; i++) { /* each in a way of its own */
            struct index_slot *slot = &pool->index[2 * i];
            assert_int_equal(slot->seq, i + 1);
            slot->pos += (i - from + 1) * pool_ring_size(pool);
        }
        memset(pool->map + offsetof(struct superblock, uuid), 0x77, 16);
        lose_control(pool);
        pool_close(pool);
        expect_kept("votes", 30, 31);
    }
}

/* Without a superblock only a pool that was never used may be made an empty one. */
static void test_repair_takes_no_remains_for_an_unused_pool(void **state)
{
    (void)state;
    struct pool *pool = make_pool("remains", SMALL_BYTES, 0, 1);
    memset(pool->map, 0, sizeof(struct superblock));
    pool->ring[40] ^= 1;
    pool_close(pool);
    expect_refused("nothing in the file tells that and how it was a pool");
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t zeros[64] = {0};
    assert_int_equal(pwrite(fd, zeros, sizeof(zeros), FORMAT_HEADER_SIZE), sizeof(zeros));
    static const off_t places[] = {FORMAT_HEADER_SIZE, SMALL_BYTES - 1}; /* each byte counts */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pwrite(fd, "x", 1, places[i]), 1);
        expect_refused("nothing in the file tells that and how it was a pool");
        assert_int_equal(pwrite(fd, zeros, 1, places[i]), 1);
    }
    close(fd);
    expect_kept("unused", 0, 2);
}

static void close_stdin(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
    uint64_t *from = context;
    (void)total_bytes;
    if (done_bytes < *from)
        return;
    close(STDIN_FILENO);
    *from = UINT64_MAX; /* once */
}

/* A program that closes its standard input meanwhile: 0 is a descriptor like any other. */
static void test_repair_with_descriptor_zero(void **state)
{
    (void)state;
    const int kept = dup(STDIN_FILENO);
    assert_true(kept > 0);
    for (uint64_t from = 0; from < 2; from++) {
        uint64_t at = from == 0 ? 0 : SMALL_BYTES; /* at once, or before the copy aside */
        const struct pool_progress progress = {close_stdin, &at};
        scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
        struct pool *pool = make_pool("zero", SMALL_BYTES, 0, 5);
        pool->ring[64 + 40] ^= 1;
        pool_close(pool);
        const int r = pool_repair(path, &progress, &repaired, &test_error);
        assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
        check_ok(r);
        assert_int_equal(repaired.n_kept, 4);
        assert_int_equal(unlink(repaired.copy_path), 0);
    }
    close(kept);
}

static void lose_superblock(struct pool *pool)
{
    memset(pool->map, 0, sizeof(struct superblock));
}

static void lose_control_and_index(struct pool *pool)
{
    lose_control(pool);
    memset(pool->index, 0, (size_t)pool->n_blocks * FORMAT_SLOT_SIZE);
}

/* First the superblock is lost, and later all else that knows at which positions the messages lie,
 * which are far from those that a pool of so few messages would have had from 0 on. */
static void test_repair_of_far_positions_after_a_lost_superblock(void **state)
{
    (void)state;
    static const int n_held[] = {0, 1, 30};
    for (int shift = 0; shift <= 64; shift += 8) {
        const uint64_t first_pos =
            shift < 64 ? UINT64_C(1) << shift : FORMAT_NUMBER_MAX - SMALL_BYTES * 4;
        for (size_t i = 0; i < 3; i++) {
            snprintf(path, sizeof(path), "%s", test_path("far"));
            struct pool *pool =
                test_pool_with("far", (struct pool_create_options){.size_bytes = SMALL_BYTES,
                                          .index_capacity = POOL_INDEX_DEFAULT,
                                          .first_pos = first_pos});
            for (int n = 0; n < n_held[i]; n++)
                test_append(pool, "{\"takes\":\"64 bytes\"}");
            lose_superblock(pool);
            pool_close(pool);
            const uint64_t n_kept = (uint64_t)n_held[i];
            expect_kept("without its superblock", n_kept, n_kept + 1); /* appends one */
            pool = test_open(path, POOL_WRITE);
            lose_control_and_index(pool);
            pool_close(pool);
            expect_kept("without its words", n_kept + 1, n_kept + 2);
        }
    }
}

TESTS(test_repair_of_the_first_laps, test_repair_finds_the_lap_after_the_words,
    test_repair_of_another_pools_messages, test_repair_learns_the_next_seq_from_the_newer_record,
    test_repair_of_the_shortest_messages, test_repair_learns_the_next_seq_from_the_index,
    test_repair_of_files_of_odd_sizes, test_repair_of_a_ring_of_a_few_bytes,
    test_repair_believes_what_most_messages_say, test_repair_takes_no_remains_for_an_unused_pool,
    test_repair_with_descriptor_zero, test_repair_of_far_positions_after_a_lost_superblock)
