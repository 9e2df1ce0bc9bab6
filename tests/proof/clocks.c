/* Clocks that lie: the wall clock steps back and forth, stands still, shows 0 and repeats a second,
 * while messages are appended. Times in the pool never fall, a search by time finds what a look at
 * every message finds, and waiting takes as long as it should. */
#include "base/clock.h"
#include "engine/lease.h"
#include "engine/pool.h"
#include "tests/proof/proof.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

#define POOL_BYTES 65536
#define YEAR_NS    (365 * UINT64_C(86400) * NS_PER_SECOND)

/* What CLOCK_REALTIME shows; the other clocks are the kernel's. */
static struct {
    bool lies;
    uint64_t wall_ns;
} lie;

int lying_clock(clockid_t id, struct timespec *out_now) __asm__("clock_gettime")
    __attribute__((visibility("default"), used));
int lying_clock(clockid_t id, struct timespec *out_now)
{
    static int (*next)(clockid_t, struct timespec *);
    if (next == NULL) {
        void *found = dlsym(RTLD_NEXT, "clock_gettime");
        must(found != NULL);
        memcpy(&next, &found, sizeof(next));
    }
    if (id != CLOCK_REALTIME || !lie.lies)
        return next(id, out_now);
    out_now->tv_sec = (time_t)(lie.wall_ns / NS_PER_SECOND);
    out_now->tv_nsec = (long)(lie.wall_ns % NS_PER_SECOND);
    return 0;
}

static struct {
    char path[96];
    char folder[64];
    struct rng rng;
    struct pool *pool;
    uint64_t n_appends;
    uint64_t n_searches;
    int n_cases;
} proof;

/* What the clock shows next. */
enum habit {
    HABIT_STEADY,
    HABIT_BACK,    /* an hour back, now and then */
    HABIT_FORWARD, /* ten years forward, now and then, and later back */
    HABIT_JITTER,
    HABIT_ZERO,
    HABIT_LEAP,   /* each second twice */
    HABIT_FROZEN, /* many messages have the same time */
    HABIT_WILD,   /* anything that 64 bits can say */
    N_HABITS,
};

static const char *const habit_names[N_HABITS] = {"steady", "an hour back", "ten years forward",
    "jitter", "zero", "leap seconds", "frozen", "wild"};

static void tick(enum habit habit)
{
    const uint64_t start_ns = 1767225600 * NS_PER_SECOND; /* 2026 */
    struct rng *rng = &proof.rng;
    const bool rarely = rng_below(rng, 50) == 0;

    lie.wall_ns += rng_below(rng, NS_PER_MS);
    switch (habit) {
    case HABIT_BACK: lie.wall_ns -= rarely ? 3600 * NS_PER_SECOND : 0; break;
    case HABIT_FORWARD:
        if (rarely)
            lie.wall_ns = lie.wall_ns < start_ns + 5 * YEAR_NS ? lie.wall_ns + 10 * YEAR_NS
                                                               : lie.wall_ns - 10 * YEAR_NS;
        break;
    case HABIT_JITTER: lie.wall_ns += rng_below(rng, NS_PER_SECOND) - NS_PER_SECOND / 2; break;
    case HABIT_ZERO: lie.wall_ns = rarely ? 0 : lie.wall_ns; break;
    case HABIT_LEAP: lie.wall_ns -= rarely ? NS_PER_SECOND : 0; break;
    case HABIT_FROZEN: lie.wall_ns = rarely ? lie.wall_ns : start_ns; break;
    case HABIT_WILD:
        if (rarely) /* seconds are signed */
            lie.wall_ns = rng_next(rng) >> rng_below(rng, 40);
        break;
    case HABIT_STEADY:
    case N_HABITS: break;
    }
}

static void append(void)
{
    static const char *const texts[] = {"{}", "{\"a\":1}",
        "{\"a\":\"0123456789012345678901234567\"}",
        "{\"b\":[0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7]}"};
    struct message messages[3];
    struct appended appended;
    const size_t n = 1 + rng_below(&proof.rng, 3);
    for (size_t i = 0; i < n; i++)
        messages[i] = (struct message){
            .data = view_str(texts[rng_below(&proof.rng, 4)]),
            /* some bring a time of their own, as imported ones do */
            .time_ns = rng_below(&proof.rng, 20) == 0 ? lie.wall_ns / 2 + 1 : 0,
        };
    must(pool_append(proof.pool, messages, n, &appended, NULL) == POOL_OK);
    proof.n_appends += n;
}

/* All retained times; they never fall. */
static size_t read_times(uint64_t *times, uint64_t *out_first_seq)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    size_t n = 0;

    cursor_oldest(&cursor, proof.pool);
    while (cursor_next(&cursor, &frame, &gap, NULL) == CURSOR_FRAME) {
        must(n < POOL_BYTES / 32);
        if (n == 0)
            *out_first_seq = frame.seq;
        must(frame.seq == *out_first_seq + n);
        must(n == 0 || frame.time_ns >= times[n - 1]);
        times[n++] = frame.time_ns;
    }
    return n;
}

/* The search finds the first message that is not before the time. */
static void search(const uint64_t *times, size_t n, uint64_t first_seq, uint64_t since_ns)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    size_t expected = 0;

    while (expected < n && times[expected] < since_ns)
        expected++;
    must(cursor_seek_time(&cursor, proof.pool, since_ns, NULL) == 0);
    const int r = cursor_next(&cursor, &frame, &gap, NULL);
    if (expected == n)
        must(r == CURSOR_EMPTY);
    else
        must(r == CURSOR_FRAME && frame.seq == first_seq + expected);
    proof.n_searches++;
}

static void search_some(unsigned n_searches)
{
    static uint64_t times[POOL_BYTES / 32];
    uint64_t first_seq = 0;
    const size_t n = read_times(times, &first_seq);

    must(n > 0);
    search(times, n, first_seq, 0);
    search(times, n, first_seq, UINT64_MAX);
    for (unsigned i = 0; i < n_searches; i++) {
        const uint64_t at = times[rng_below(&proof.rng, n)];
        const uint64_t near = at + rng_below(&proof.rng, 3) - 1; /* just before, at, just behind */
        search(times, n, first_seq, near);
        search(times, n, first_seq, times[0] + rng_below(&proof.rng, times[n - 1] - times[0] + 2));
    }
}

/* A wait of 30 ms takes that long, whatever the wall clock does meanwhile. */
static void wait_a_little(enum habit habit)
{
    struct cursor cursor;
    struct timespec from, to;

    cursor_newest(&cursor, proof.pool);
    must(clock_gettime(CLOCK_MONOTONIC, &from) == 0);
    tick(habit);
    must(follow_wait(&cursor, clock_deadline_ns(30), NULL) == FOLLOW_TIMEOUT);
    must(clock_gettime(CLOCK_MONOTONIC, &to) == 0);
    const int64_t took_ns =
        (to.tv_sec - from.tv_sec) * (int64_t)NS_PER_SECOND + to.tv_nsec - from.tv_nsec;
    must(took_ns >= 30 * (int64_t)NS_PER_MS && took_ns < 20 * (int64_t)NS_PER_SECOND);
}

/* So does the wait for a lock that a living writer holds. */
static void wait_for_lock(void)
{
    const struct pool_open_options options = {.busy_timeout_ms = 30};
    const struct message message = {.data = view_str("{}")};
    struct appended appended;
    struct pool *other = NULL;
    struct timespec from, to;

    must(pool_open(proof.path, POOL_WRITE, &options, &other, NULL) == POOL_OK);
    must(lock_take(proof.pool, &proof.pool->control->lock) == POOL_OK);
    must(clock_gettime(CLOCK_MONOTONIC, &from) == 0);
    must(pool_append(other, &message, 1, &appended, NULL) == POOL_BUSY);
    must(clock_gettime(CLOCK_MONOTONIC, &to) == 0);
    lock_release(&proof.pool->control->lock);
    const int64_t took_ns =
        (to.tv_sec - from.tv_sec) * (int64_t)NS_PER_SECOND + to.tv_nsec - from.tv_nsec;
    must(took_ns >= 30 * (int64_t)NS_PER_MS && took_ns < 20 * (int64_t)NS_PER_SECOND);
    pool_close(other);
}

static void try_habit(enum habit habit, unsigned n_rounds)
{
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES, .index_capacity = habit % 2 == 0 ? POOL_INDEX_DEFAULT : 64};

    lie.lies = true;
    lie.wall_ns = 1767225600 * NS_PER_SECOND;
    unlink(proof.path);
    must(pool_create(proof.path, &options, NULL) == 0);
    must(pool_open(proof.path, POOL_WRITE, NULL, &proof.pool, NULL) == POOL_OK);
    for (unsigned i = 0; i < n_rounds; i++) {
        const uint64_t n = 1 + rng_below(&proof.rng, 200);
        for (uint64_t k = 0; k < n; k++) {
            tick(habit);
            append();
        }
        search_some(8);
    }
    wait_a_little(habit);
    wait_for_lock();
    pool_close(proof.pool);
    lie.lies = false;
    printf("ok %d - %s\n", ++proof.n_cases, habit_names[habit]);
}

int main(int argc, char **argv)
{
    const bool brief = argc < 2 || strcmp(argv[1], "long") != 0;
    const char *seed = getenv("PLSM_SEED");
    proof.rng.state = seed != NULL ? strtoull(seed, NULL, 10) : clock_wall_ns();
    printf("# PLSM_SEED=%llu\n", (unsigned long long)proof.rng.state);
    setvbuf(stdout, NULL, _IOLBF, 0);
    proof_folder(proof.folder);
    snprintf(proof.path, sizeof(proof.path), "%s/pool.plasmite", proof.folder);
    for (int habit = 0; habit < N_HABITS; habit++)
        try_habit((enum habit)habit, brief ? 80 : 8000);
    unlink(proof.path);
    rmdir(proof.folder);
    printf("1..%d\n", proof.n_cases);
    printf("# proof: clocks: %d habits of a clock, %llu messages, %llu searches by time equal to a "
           "look at every message, 0 times that fell\n",
        proof.n_cases, (unsigned long long)proof.n_appends, (unsigned long long)proof.n_searches);
    return 0;
}
