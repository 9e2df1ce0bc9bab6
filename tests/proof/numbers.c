/* Numbers that grow: pools whose seqs, positions, wake words, lease numbers and generations cross
 * 2^31, 2^32, 2^53 and 2^63, compared with a model all the way. */
#include "base/clock.h"
#include "engine/handle.h"
#include "engine/lease.h"
#include "os/file.h"
#include "tests/proof/proof.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>

#define POOL_BYTES   32768
#define VERIFY_EVERY 20000
#define LEASE_OFFSET ((off_t)1 << 62)

static struct {
    char folder[64];
    char path[96];
    struct rng rng;
    uint64_t n_operations;
    int n_cases;
    bool brief;
} proof;

static void passed(const char *what, uint64_t edge)
{
    printf("ok %d - %s %llu\n", ++proof.n_cases, what, (unsigned long long)edge);
}

static struct view text_of(uint64_t seq, char out_text[static 128])
{
    const int len = snprintf(out_text, 128, "{\"n\":%llu,\"pad\":\"%0*u\"}",
        (unsigned long long)seq, (int)(seq * 7 % 61) + 1, 0u);
    return view_of(out_text, (size_t)len);
}

static bool is_message(const struct frame *frame, uint64_t seq)
{
    char text[128];
    return frame->seq == seq && view_equal(frame->data, text_of(seq, text));
}

static struct pool *make_pool(uint64_t first_seq, uint64_t first_pos)
{
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES,
        .index_capacity = POOL_INDEX_DEFAULT,
        .first_seq = first_seq,
        .first_pos = first_pos,
    };
    struct pool *pool = NULL;
    unlink(proof.path);
    must(pool_create(proof.path, &options, NULL) == 0);
    must(pool_open(proof.path, POOL_WRITE, NULL, &pool, NULL) == POOL_OK);
    return pool;
}

/* The model: all messages in order, of which the newest ones are retained. */
struct model {
    struct pool *pool;
    struct cursor cursor; /* of a reader that misses nothing */
    uint64_t first_seq;
    uint64_t next_seq;
    uint64_t bytes; /* of all frames so far */
};

static void model_append(struct model *model)
{
    struct message messages[4];
    struct appended appended;
    struct frame frame;
    struct gap gap;
    char texts[4][128];
    const unsigned n = 1 + (unsigned)rng_below(&proof.rng, 4);

    for (unsigned i = 0; i < n; i++) {
        messages[i] = (struct message){.data = text_of(model->next_seq + i, texts[i])};
        model->bytes += message_footprint(&messages[i]);
    }
    must(pool_append(model->pool, messages, n, &appended, NULL) == POOL_OK);
    must(appended.first_seq == model->next_seq && appended.n_messages == n);
    for (unsigned i = 0; i < n; i++) {
        must(cursor_next(&model->cursor, &frame, &gap, NULL) == CURSOR_FRAME);
        must(is_message(&frame, model->next_seq + i));
    }
    must(cursor_next(&model->cursor, &frame, &gap, NULL) == CURSOR_EMPTY);
    model->next_seq += n;
}

/* Finds a message that is retained, and none of those that are not. */
static void model_get(const struct model *model)
{
    struct pool_info info;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    must(pool_info(model->pool, &info, NULL) == POOL_OK);
    must(info.next_seq == model->next_seq && info.newest_seq == model->next_seq - 1);
    must(info.oldest_seq >= model->first_seq && info.oldest_seq <= info.newest_seq);
    must(info.n_messages == info.next_seq - info.oldest_seq);
    const uint64_t seq = info.oldest_seq + rng_below(&proof.rng, info.n_messages);
    must(pool_get(model->pool, seq, &frame, NULL) == POOL_OK && is_message(&frame, seq));
    must(cursor_seek_seq(&cursor, model->pool, seq, NULL) == 0);
    must(cursor_next(&cursor, &frame, &gap, NULL) == CURSOR_FRAME && is_message(&frame, seq));
    must(pool_get(model->pool, info.oldest_seq - 1, &frame, NULL) == POOL_MISSING);
    must(pool_get(model->pool, info.next_seq, &frame, NULL) == POOL_MISSING);
    if (model->bytes > 2 * info.ring_size) /* a ring that is full stays nearly full */
        must(info.used_bytes > info.ring_size / 2);
}

static void model_verify(const struct model *model)
{
    struct pool_report report;
    must(pool_verify(model->pool, &report, NULL) == POOL_OK && report.n_issues == 0);
}

/* Appends and looks n times, from what the pool was created with. */
static void model_run(struct pool *pool, uint64_t first_seq, uint64_t n)
{
    struct model model = {.pool = pool, .first_seq = first_seq, .next_seq = first_seq};
    cursor_oldest(&model.cursor, pool);
    for (uint64_t i = 0; i < n; i++) {
        model_append(&model);
        model_get(&model);
        if (i % 1024 == 0) {
            must(pool_flush(pool, NULL) == POOL_OK);
        }
        if (i % VERIFY_EVERY == 0 || i + 1 == n)
            model_verify(&model);
    }
    proof.n_operations += 2 * n;
}

static void test_seqs(uint64_t edge, uint64_t n)
{
    const uint64_t first_seq = edge - n * 5 / 4; /* 2.5 messages an operation */
    struct pool *pool = make_pool(first_seq, 0);
    struct pool_info info;
    model_run(pool, first_seq, n);
    must(pool_info(pool, &info, NULL) == POOL_OK && info.next_seq > edge);
    pool_close(pool);
    passed("seqs across", edge);
}

static void test_positions(uint64_t edge, uint64_t n)
{
    struct pool *pool = make_pool(0, edge - n * 140);
    const uint64_t start = pool->control->tail;
    must(start < edge);
    model_run(pool, 1, n);
    must(pool->control->tail > edge);
    pool_close(pool);
    passed("positions across", edge);
}

/* Wake words: two threads that wake each other, one message each way, across the edge ------------*/

struct player {
    const char *path;
    uint64_t n;
    bool begins;
};

/* Waits for the next message of the other; 20 s are far more than it ever takes. */
static void player_wait(struct cursor *cursor, uint64_t seq)
{
    struct frame frame;
    struct gap gap;
    int r;
    while ((r = cursor_next(cursor, &frame, &gap, NULL)) == CURSOR_EMPTY) {
        must(follow_wait(cursor, clock_deadline_ns(20000), NULL) == FOLLOW_READY);
    }
    must(r == CURSOR_FRAME && frame.seq == seq);
}

static void *player_run(void *arg)
{
    const struct player *player = arg;
    const struct pool_open_options no_spin = {.busy_timeout_ms = 20000, .spin_turns = 0};
    struct pool *pool = NULL;
    struct cursor cursor;
    struct appended appended;
    char text[128];

    must(pool_open(player->path, POOL_WRITE, &no_spin, &pool, NULL) == POOL_OK);
    cursor_oldest(&cursor, pool);
    for (uint64_t seq = 1; seq <= player->n; seq++) {
        if ((seq % 2 == 1) == player->begins) {
            const struct message message = {.data = text_of(seq, text)};
            must(pool_append(pool, &message, 1, &appended, NULL) == POOL_OK);
            must(appended.first_seq == seq);
        }
        player_wait(&cursor, seq);
    }
    pool_close(pool);
    return NULL;
}

static void test_wake_words(uint64_t edge, uint64_t n)
{
    struct pool *pool = make_pool(0, 0);
    struct player players[2] = {{proof.path, n, true}, {proof.path, n, false}};
    pthread_t threads[2];

    const uint32_t start = (uint32_t)edge - (uint32_t)(n / 8);
    atomic_store(&pool->control->wake, start);
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, player_run, &players[i]) == 0);
    for (int i = 0; i < 2; i++)
        must(pthread_join(threads[i], NULL) == 0);
    /* the word has moved on by the wake-ups; far enough to have crossed the edge */
    must(atomic_load(&pool->control->wake) - start > n / 8);
    pool_close(pool);
    proof.n_operations += 2 * n;
    passed("wake words across", edge);
}

/* Leases ----------------------------------------------------------------------------------------*/

static void hold_leases(int fd, uint32_t first, uint32_t last)
{
    struct flock lock = {
        .l_type = F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = LEASE_OFFSET + (off_t)first,
        .l_len = (off_t)last - (off_t)first + 1,
    };
    if (first <= last)
        must(fcntl(fd, F_OFD_SETLK, &lock) == 0);
}

/* A handle whose lease has this number: all that would be preferred are held by somebody else. */
static struct pool *open_with_lease(uint32_t number, int *out_fd)
{
    struct pool *pool = NULL;
    *out_fd = open(proof.path, O_RDWR | O_CLOEXEC);
    must(*out_fd >= 0);
    hold_leases(*out_fd, 1, number - 1);
    hold_leases(*out_fd, number + 1, FORMAT_WITNESSES);
    must(pool_open(proof.path, POOL_WRITE, NULL, &pool, NULL) == POOL_OK);
    must(lease_number(pool->lease) == number);
    return pool;
}

struct rival {
    struct pool *pool;
    uint64_t n;
};

static void *rival_run(void *arg)
{
    const struct rival *rival = arg;
    const struct message message = {.data = view_str("{\"a\":1}")};
    struct appended appended;
    for (uint64_t i = 0; i < rival->n; i++)
        must(pool_append(rival->pool, &message, 1, &appended, NULL) == POOL_OK);
    return NULL;
}

/* Two handles with these lease words append against each other; then one more takes the lock over
 * from a dead owner whose word has the same generation. */
static void rivals_run(struct pool *one, struct pool *other, uint64_t n)
{
    struct rival rivals[2] = {{one, n}, {other, n}};
    const struct message message = {.data = view_str("{\"a\":1}")};
    struct appended appended;
    struct pool_info info;
    pthread_t threads[2];

    must(pool_info(one, &info, NULL) == POOL_OK);
    const uint64_t next_seq = info.next_seq;
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, rival_run, &rivals[i]) == 0);
    for (int i = 0; i < 2; i++)
        must(pthread_join(threads[i], NULL) == 0);
    must(pool_info(one, &info, NULL) == POOL_OK && info.next_seq == next_seq + 2 * n);

    const uint32_t dead = (one->lease & ~(uint32_t)FORMAT_LEASE_MAX) | 20000;
    atomic_store(&one->control->lock, dead);
    const uint64_t from_ns = clock_monotonic_ns();
    must(pool_append(other, &message, 1, &appended, NULL) == POOL_OK);
    must(clock_monotonic_ns() - from_ns < 2 * NS_PER_SECOND);
    must(appended.first_seq == next_seq + 2 * n);
    proof.n_operations += 2 * n;
}

static void test_leases(uint64_t n)
{
    static const uint32_t numbers[] = {
        1, 2, FORMAT_WITNESSES, FORMAT_WITNESSES + 1, 255, 256, 16383, 16384, FORMAT_LEASE_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        pool_close(make_pool(0, 0));
        int held;
        struct pool *pool = open_with_lease(numbers[i], &held);
        struct pool *other = NULL;
        if (numbers[i] == FORMAT_LEASE_MAX) { /* none is left */
            plsm_error_t *err = NULL;
            must(pool_open(proof.path, POOL_WRITE, NULL, &other, &err) == -1);
            must(err->kind == PLSM_ERROR_IO);
            plsm_error_free(err);
            file_close(held);
            held = -1;
        }
        must(pool_open(proof.path, POOL_WRITE, NULL, &other, NULL) == POOL_OK);
        rivals_run(pool, other, n);
        pool_close(pool);
        pool_close(other);
        file_close(held);
        passed("lease", numbers[i]);
    }
}

static void test_generations(uint64_t n)
{
    static const uint32_t generations[] = {0, 1, 0x7fff, 0x8000, 0xffff};
    for (size_t i = 0; i < sizeof(generations) / sizeof(*generations); i++) {
        struct pool *pool = make_pool(0, 0);
        struct pool *other = NULL;
        must(pool_open(proof.path, POOL_WRITE, NULL, &other, NULL) == POOL_OK);
        pool->lease = lease_number(pool->lease) | generations[i] << FORMAT_LEASE_BITS;
        other->lease = lease_number(other->lease) | generations[i] << FORMAT_LEASE_BITS;
        rivals_run(pool, other, n);
        pool_close(pool);
        pool_close(other);
        passed("generation", generations[i]);
    }
}

int main(int argc, char **argv)
{
    static const unsigned bits[] = {31, 32, 53, 63};
    proof.brief = argc < 2 || strcmp(argv[1], "long") != 0;
    const uint64_t n = proof.brief ? 30000 : 1000000;
    const char *seed = getenv("PLSM_SEED");
    proof.rng.state = seed != NULL ? strtoull(seed, NULL, 10) : clock_wall_ns();
    printf("# PLSM_SEED=%llu\n", (unsigned long long)proof.rng.state);
    setvbuf(stdout, NULL, _IOLBF, 0);
    proof_folder(proof.folder);
    snprintf(proof.path, sizeof(proof.path), "%s/pool.plasmite", proof.folder);

    for (int i = 0; i < 4; i++)
        test_seqs(UINT64_C(1) << bits[i], n);
    for (int i = 0; i < 4; i++)
        test_positions(UINT64_C(1) << bits[i], n);
    for (int i = 0; i < 2; i++)
        test_wake_words(UINT64_C(1) << bits[i], n);
    test_leases(n / 10);
    test_generations(n / 10);

    unlink(proof.path);
    rmdir(proof.folder);
    printf("1..%d\n", proof.n_cases);
    printf("# proof: numbers: %d edges crossed with %llu operations each way: %llu operations, 0 "
           "wrong\n",
        proof.n_cases, (unsigned long long)n, (unsigned long long)proof.n_operations);
    return 0;
}
