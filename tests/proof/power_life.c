#include "tests/proof/power_life.h"

#include "base/clock.h"
#include "engine/frame.h"
#include "tests/proof/power_check.h"

#include <fcntl.h>

#define LIFE_LOG_MAX 12000 /* entries after which a life ends */
#define BATCH_MAX    8
#define DEPTH_MAX    3 /* of syncs that appends made while another one ran */
#define CLOCK_START  (UINT64_C(1800000000) * NS_PER_SECOND)

const struct habits all_habits[N_HABITS] = {
    {"fast", 0, 1, 300, false, 0},
    {"flush_each", 1, 1, 300, false, 0},
    {"flush_sometimes", 8, 3, 300, false, 0},
    {"flush_rarely", 50, 8, 300, false, 0},
    {"batches", 4, 8, 700, false, 0},
    {"tiny", 10, 4, 12, false, 0},
    {"whole_ring", 3, 1, 0, false, 0},
    {"two_handles", 3, 3, 300, true, 0},
    {"two_handles_tiny", 5, 2, 12, true, 0},
    {"failing_syncs", 3, 2, 300, true, 4},
};

struct chain chain;
const uint8_t chain_nothing[RECORD_BYTES_MAX];

struct pool *chain_open(const char *path)
{
    struct pool_open_options options = POOL_OPEN_DEFAULTS;
    struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    options.busy_timeout_ms = 0; /* only what is in our way ourselves could be waited for */
    if (pool_open(path, POOL_WRITE, &options, &pool, &err) != POOL_OK) {
        fprintf(stderr, "power: open: %s\n", err != NULL ? err->message : "busy");
        return NULL;
    }
    return pool;
}

static uint32_t draw_len(void)
{
    const uint64_t dice = rng_below(&chain.rng, 10);
    const uint32_t most = (uint32_t)(chain.ring_size - sizeof(struct frame_header));
    if (chain.habits->len_max == 0)
        return dice < 4 ? most : dice < 7 ? most / 2 : (uint32_t)rng_below(&chain.rng, most);
    if (dice == 0 && chain.habits->len_max > 100)
        return (uint32_t)rng_below(&chain.rng, chain.ring_size / 10);
    return (uint32_t)rng_below(&chain.rng, chain.habits->len_max);
}

static void append_some(struct pool *pool)
{
    static char all_texts[DEPTH_MAX][BATCH_MAX]
                         [RECORD_BYTES_MAX]; /* one append may be in another */
    char(*const texts)[RECORD_BYTES_MAX] = all_texts[record.depth];
    struct message messages[BATCH_MAX] = {0};
    uint32_t lens[BATCH_MAX];
    struct appended appended;
    plsm_error_t *err = NULL;
    const size_t n = 1 + rng_below(&chain.rng, chain.habits->batch_max);
    const uint32_t mark = appends.n_marks;

    appends.n_marks += (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        lens[i] = draw_len();
        messages[i].data = check_text(texts[i], mark + (uint32_t)i, lens[i]);
    }
    if (pool_append(pool, messages, n, &appended, &err) != POOL_OK) {
        must(err != NULL && err->kind == PLSM_ERROR_IO && chain.habits->fail_one != 0);
        plsm_error_free(err);
        return;
    }
    must(appended.first_seq == appends.next_seq);
    must(appends.next_seq + n - appends.first_seq < CHECK_MESSAGES_MAX);
    for (size_t i = 0; i < n; i++) {
        const size_t at = (size_t)(appends.next_seq++ - appends.first_seq);
        appends.messages[at].mark = mark + (uint32_t)i;
        appends.messages[at].len = lens[i];
    }
}

static void flush(struct pool *pool)
{
    plsm_error_t *err = NULL;
    const uint64_t promised = appends.next_seq;
    if (pool_flush(pool, &err) == POOL_OK) {
        chain.promised = promised;
        record_note(RECORD_FLUSHED, 0, promised);
        return;
    }
    must(err != NULL && err->kind == PLSM_ERROR_IO && chain.habits->fail_one != 0);
    plsm_error_free(err);
}

/* While one handle syncs, the other one goes on; it may even lead a sync of its own. What opens a
 * pool would be in vain if its sync failed. */
static bool work_in_sync(int depth)
{
    const bool good =
        chain.habits->fail_one == 0 || rng_below(&chain.rng, chain.habits->fail_one) != 0;
    if (chain.pools[0] == NULL)
        return true;
    if (depth > 1 || chain.pools[1] == NULL)
        return good;
    for (uint64_t n = rng_below(&chain.rng, 4); n > 0; n--)
        append_some(chain.pools[1]);
    if (rng_below(&chain.rng, 4) == 0)
        flush(chain.pools[1]);
    return good;
}

static void work(struct pool *pool, struct pool *other, uint64_t n_steps)
{
    chain.pools[0] = pool;
    chain.pools[1] = other;
    for (uint64_t i = 0; i < n_steps && record.n_log < LIFE_LOG_MAX; i++) {
        struct pool *used = chain.pools[other != NULL ? rng_below(&chain.rng, 2) : 0];
        append_some(used);
        if (chain.habits->flush_every != 0 && rng_below(&chain.rng, chain.habits->flush_every) == 0)
            flush(rng_below(&chain.rng, 2) == 0 ? used : pool);
    }
    chain.pools[0] = chain.pools[1] = NULL;
}

/* Lives ----------------------------------------------------------------------------------------- */

static void read_file(const char *path, uint8_t *bytes)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && pread(fd, bytes, record.n_bytes, 0) == (ssize_t)record.n_bytes);
    close(fd);
}

static void write_file(const char *path, const uint8_t *bytes)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    must(fd >= 0 && pwrite(fd, bytes, record.n_bytes, 0) == (ssize_t)record.n_bytes);
    close(fd);
}

/* Clocks that stand, run, or are set back by each loss of power. */
static void chain_clock(bool first)
{
    static const uint64_t steps_ns[] = {0, 1000, 1000000};
    if (first) {
        chain.clock_step_ns = steps_ns[rng_below(&chain.rng, 3)];
        chain.clock_back = rng_below(&chain.rng, 2) == 0;
    }
    if (first || chain.clock_back)
        record_clock(CLOCK_START, chain.clock_step_ns);
}

static void chain_options(struct pool_create_options *options)
{
    static const uint64_t firsts[] = {1, 1, 1, UINT64_MAX >> 32, UINT64_C(1) << 53};
    *options = (struct pool_create_options){
        .size_bytes = UINT64_C(16384) << rng_below(&chain.rng, 3),
        .index_capacity =
            rng_below(&chain.rng, 4) == 0 ? rng_below(&chain.rng, 100) : POOL_INDEX_DEFAULT,
        .first_seq = firsts[rng_below(&chain.rng, 5)],
        .first_pos = firsts[rng_below(&chain.rng, 5)] - 1,
    };
}

void chain_create(void)
{
    plsm_error_t *err = NULL;
    struct pool_create_options options;
    struct pool_info info;

    chain_clock(true);
    chain_options(&options);
    unlink(chain.path);
    must(pool_create(chain.path, &options, &err) == 0);
    record.n_bytes = options.size_bytes;
    appends.first_seq = appends.next_seq = chain.promised = options.first_seq;
    appends.n_marks = 0;
    chain.n_lives = 0;

    struct pool *pool = chain_open(chain.path);
    must(pool != NULL);
    chain.ring_size = pool_ring_size(pool);
    chain.fresh = rng_below(&chain.rng, 8) == 0;
    if (!chain.fresh)
        work(pool, NULL, rng_below(&chain.rng, 300));
    must(pool_info(pool, &info, &err) == POOL_OK);
    chain.oldest = info.n_messages > 0 ? info.oldest_seq : info.next_seq;
    chain.flushed = chain.promised;
    pool_close(pool);
    read_file(chain.path, chain.bytes);
}

/* Opens the pool, works, and closes it. false: it could not be opened. */
static bool live_once(void)
{
    const uint32_t n_syncs = record.n_syncs;
    struct pool *pool = chain_open(chain.path);
    if (pool == NULL)
        return false;
    if (record.n_syncs != n_syncs) /* it was recovered: what was found is on the disk */
        record_note(RECORD_FLUSHED, 0, appends.next_seq);
    record_note(RECORD_OPENED, 0, 0);
    struct pool *other = chain.habits->two_handles ? chain_open(chain.path) : NULL;
    must(!chain.habits->two_handles || other != NULL);
    work(pool, other, rng_below(&chain.rng, 60));
    pool_close(other);
    pool_close(pool);
    return true;
}

bool chain_live(void)
{
    if (chain.n_lives > 0)
        chain_clock(false);
    chain.next = appends.next_seq;
    write_file(chain.path, chain.bytes);
    record_start(chain.path, chain.fresh ? chain_nothing : chain.bytes, record.n_bytes);
    if (chain.fresh)
        record_bytes(chain.bytes);
    chain.n_created = record.n_log;
    record.in_sync = work_in_sync;
    bool opened = live_once();
    if (opened && chain.habits->fail_one != 0) /* closed by all and reopened it is whole again */
        opened = live_once();
    record_stop();
    return opened;
}
