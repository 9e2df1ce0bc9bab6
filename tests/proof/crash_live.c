/* Kills for real: a child is stepped to some instruction of a call and killed there, while two
 * writers and a reader live on the same pool. Writers stay so near to the reader that it is never
 * overtaken: then every message must be seen. */
#include "tests/proof/crash.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIVE_POOL_BYTES  65536
#define LIVE_WRITERS     2
#define LIVE_KILLS_MAX   4000
#define LIVES_MAX        (LIVE_WRITERS + LIVE_KILLS_MAX)
#define LIVE_BATCH_MAX   4
#define LIVE_TEXT_MAX    400
#define LIVE_WINDOW      16 /* messages a writer may be ahead of the reader */
#define LIVE_PATIENCE_MS 30000

struct live {
    atomic_bool stop;
    _Atomic(uint64_t) final_seq; /* what the reader must reach; 0: not known yet */
    _Atomic(uint64_t) read_seq;  /* the reader's next */
    _Atomic(uint64_t) killed_ns;
    _Atomic(uint32_t) n_kills;
    _Atomic(uint32_t) victim_lease; /* as in lock words */
    atomic_bool victim_done;
    _Atomic(uint64_t) n_appends[LIVE_WRITERS];
    _Atomic(uint64_t) acked[LIVES_MAX]; /* messages of each life */
    _Atomic(uint64_t) seen[LIVES_MAX];
    uint64_t waits_ns[LIVE_KILLS_MAX][LIVE_WRITERS];
};

struct payload {
    uint32_t life;
    uint32_t len;
    uint64_t count;
    uint8_t bytes[LIVE_TEXT_MAX];
};

static struct live *live;
static char live_path[96];

static struct pool *live_open(enum pool_mode mode)
{
    struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    if (pool_open(live_path, mode, NULL, &pool, &err) != POOL_OK)
        crash_die("%s: %s", live_path, err != NULL ? err->message : "busy");
    return pool;
}

/* What a life appends as its message number count, from 1. */
static size_t payload_make(struct payload *payload, uint32_t life, uint64_t count)
{
    struct rng rng = {life * UINT64_C(1000003) + count};
    payload->life = life;
    payload->count = count;
    payload->len = (uint32_t)rng_below(&rng, LIVE_TEXT_MAX);
    for (uint32_t i = 0; i < payload->len; i++)
        payload->bytes[i] = (uint8_t)(life + (uint64_t)i * 7 + count * 31);
    return offsetof(struct payload, bytes) + payload->len;
}

static void live_append(struct pool *pool, uint32_t life, size_t n)
{
    struct payload payloads[LIVE_BATCH_MAX];
    struct message messages[LIVE_BATCH_MAX];
    struct appended appended;
    plsm_error_t *err = NULL;
    const uint64_t count = atomic_load(&live->acked[life]);

    for (size_t i = 0; i < n; i++)
        messages[i] = (struct message){.data = view_of((const uint8_t *)&payloads[i],
                                           payload_make(&payloads[i], life, count + 1 + i))};
    const int r = pool_append(pool, messages, n, &appended, &err);
    if (r != POOL_OK)
        crash_die("append of %u: %s", life, err != NULL ? err->message : "busy");
    atomic_store(&live->acked[life], count + n);
}

/* The reader must be near. */
static void live_wait_for_reader(struct pool *pool)
{
    struct pool_info info;
    plsm_error_t *err = NULL;
    for (;;) {
        if (pool_info(pool, &info, &err) != POOL_OK)
            crash_die("info: %s", err->message);
        if (info.next_seq < atomic_load(&live->read_seq) + LIVE_WINDOW || atomic_load(&live->stop))
            return;
        const struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
    }
}

static void live_writer(uint32_t number)
{
    struct pool *pool = live_open(POOL_WRITE);
    struct rng rng = {number};

    while (!atomic_load(&live->stop)) {
        live_wait_for_reader(pool);
        const uint64_t start_ns = clock_monotonic_ns();
        live_append(pool, number, 1 + (size_t)(rng_below(&rng, 4) == 0 ? rng_below(&rng, 4) : 0));
        const uint64_t end_ns = clock_monotonic_ns();
        const uint64_t killed_ns = atomic_load(&live->killed_ns);
        const uint32_t kill = atomic_load(&live->n_kills);
        if (kill > 0 && end_ns > killed_ns) {
            const uint64_t wait_ns = end_ns - (start_ns > killed_ns ? start_ns : killed_ns);
            if (wait_ns > live->waits_ns[kill - 1][number])
                live->waits_ns[kill - 1][number] = wait_ns;
        }
        atomic_fetch_add(&live->n_appends[number], 1);
    }
    pool_close(pool);
    _exit(0);
}

static void live_take(const struct pool *pool, const struct frame *frame)
{
    struct payload got;
    struct payload expected;

    memset(&got, 0, sizeof(got));
    memcpy(&got, frame->data.data, frame->data.len < sizeof(got) ? frame->data.len : sizeof(got));
    if (!frame_still_valid(pool, frame)) {
        crash_wrong("the reader was overtaken at seq %llu", (unsigned long long)frame->seq);
        return;
    }
    if (got.life >= LIVES_MAX || payload_make(&expected, got.life, got.count) != frame->data.len ||
        memcmp(&expected, &got, frame->data.len) != 0)
        crash_wrong("seq %llu is torn", (unsigned long long)frame->seq);
    else if (got.count != atomic_load(&live->seen[got.life]) + 1)
        crash_wrong("seq %llu: message %llu of writer %u after its message %llu",
            (unsigned long long)frame->seq, (unsigned long long)got.count, got.life,
            (unsigned long long)atomic_load(&live->seen[got.life]));
    else
        atomic_store(&live->seen[got.life], got.count);
}

static void live_reader(void)
{
    struct pool *pool = live_open(POOL_READ);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    plsm_error_t *err = NULL;
    uint64_t next_seq = 1;

    cursor_oldest(&cursor, pool);
    cursor.expected_seq = 1;
    while (atomic_load(&live->final_seq) != next_seq) {
        const int r = cursor_next(&cursor, &frame, &gap, &err);
        if (r == CURSOR_EMPTY) {
            if (follow_wait(&cursor, clock_deadline_ns(100), &err) < 0)
                crash_die("follow: %s", err->message);
            continue;
        }
        if (r < 0)
            crash_die("read: %s", err->message);
        const uint64_t seq = r == CURSOR_FRAME ? frame.seq : gap.first_seq;
        if (r == CURSOR_GAP || seq != next_seq)
            crash_wrong("the reader got seq %llu after seq %llu%s", (unsigned long long)seq,
                (unsigned long long)next_seq - 1, r == CURSOR_GAP ? ", a gap" : "");
        if (r == CURSOR_FRAME)
            live_take(pool, &frame);
        next_seq = r == CURSOR_FRAME ? seq + 1 : gap.next_seq;
        atomic_store(&live->read_seq, next_seq);
    }
    _exit(0);
}

/* What one who will be killed does. */
struct victim {
    uint32_t life;
    unsigned kind;
};

enum {
    VICTIM_APPENDS,
    VICTIM_BATCHES,
    VICTIM_FLUSHES,
    VICTIM_OPENS,
    VICTIM_FOLLOWS,
    VICTIM_KINDS,
};

static void victim_run(const void *arg)
{
    const struct victim *victim = arg;
    struct pool *pool = live_open(POOL_WRITE);
    struct cursor cursor;
    plsm_error_t *err = NULL;

    live_wait_for_reader(pool);
    live_append(pool, victim->life, 1);
    cursor_newest(&cursor, pool);
    atomic_store(&live->victim_lease, atomic_load(&pool->lease));
    trace_stop();
    if (victim->kind == VICTIM_OPENS) {
        pool_close(pool);
        pool = live_open(POOL_WRITE);
        atomic_store(&live->victim_lease, atomic_load(&pool->lease));
    }
    if (victim->kind == VICTIM_FOLLOWS) {
        if (follow_wait(&cursor, clock_deadline_ns(1), &err) < 0)
            crash_die("follow: %s", err->message);
    } else if (victim->kind == VICTIM_BATCHES) {
        live_append(pool, victim->life, LIVE_BATCH_MAX);
    } else {
        live_append(pool, victim->life, 1);
    }
    if (victim->kind == VICTIM_FLUSHES && pool_flush(pool, &err) != POOL_OK)
        crash_die("flush: %s", err != NULL ? err->message : "busy");
    atomic_store(&live->victim_done, true);
    trace_stop();
}

static bool victim_is_inside(const struct pool *looker)
{
    return (atomic_load(&looker->control->lock) & ~FORMAT_LOCK_WAITERS) ==
           atomic_load(&live->victim_lease);
}

/* Steps to where it is to die: anywhere, or some way from where the lock was taken. True: inside. */
static bool victim_lead(pid_t pid, const struct pool *looker, struct rng *rng)
{
    const bool inside = rng_below(rng, 3) != 0;
    uint64_t n_left = rng_below(rng, inside ? 500 : 3000);
    bool entered = !inside;

    while (!atomic_load(&live->victim_done)) {
        entered = entered || victim_is_inside(looker);
        if (entered && n_left-- == 0)
            break;
        if (!trace_step(pid))
            crash_die("a victim ended by itself");
    }
    return victim_is_inside(looker);
}

/* Waits until both writers have gone on. */
static void living_go_on(uint32_t kill, const pid_t *pids)
{
    const uint64_t deadline_ns = clock_deadline_ns(LIVE_PATIENCE_MS);
    uint64_t since[LIVE_WRITERS];

    for (unsigned i = 0; i < LIVE_WRITERS; i++)
        since[i] = atomic_load(&live->n_appends[i]);
    for (unsigned i = 0; i < LIVE_WRITERS; i++) {
        while (atomic_load(&live->n_appends[i]) < since[i] + 2) {
            const struct timespec pause = {.tv_nsec = 500000};
            int status = 0;
            if (waitpid(pids[i], &status, WNOHANG) != 0)
                crash_die("a writer ended with status %#x", (unsigned)status);
            if (clock_monotonic_ns() > deadline_ns)
                crash_die("writer %u stands still after kill %u", i, kill);
            nanosleep(&pause, NULL);
        }
    }
}

static void live_kill(
    uint32_t number, const struct pool *looker, struct rng *rng, struct live_counts *counts)
{
    const struct victim victim = {LIVE_WRITERS + number, (unsigned)rng_below(rng, VICTIM_KINDS)};

    atomic_store(&live->victim_done, false);
    const pid_t pid = trace_start(victim_run, &victim);
    counts->n_inside += victim_lead(pid, looker, rng);
    atomic_store(&live->killed_ns, clock_monotonic_ns());
    atomic_store(&live->n_kills, number + 1);
    trace_kill(pid);
    counts->n_kills++;
}

static int wait_compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void live_judge_waits(struct live_counts *counts)
{
    const uint64_t noise_ns = atomic_load(&crash_shared->noise_ns);
    const size_t n = (size_t)counts->n_kills * LIVE_WRITERS;
    uint64_t *waits = &live->waits_ns[0][0];

    if (n == 0)
        return;
    qsort(waits, n, sizeof(waits[0]), wait_compare);
    counts->p99_ns = waits[n * 99 / 100];
    counts->max_ns = waits[n - 1];
    /* a busy machine may let one wait for long; a lock that nobody frees lets all wait */
    const uint64_t late_ns = waits[n - 1 - n / 500];
    if (late_ns > TAKEOVER_MAX_NS && late_ns > TAKEOVER_NS + noise_ns)
        crash_wrong(
            "writers waited %llu ms after kills", (unsigned long long)(late_ns / NS_PER_MS));
}

static void live_judge(struct pool *looker, struct live_counts *counts)
{
    struct pool_report report;
    plsm_error_t *err = NULL;

    for (uint32_t life = 0; life < LIVE_WRITERS + counts->n_kills; life++) {
        const uint64_t acked = atomic_load(&live->acked[life]);
        const uint64_t seen = atomic_load(&live->seen[life]);
        counts->n_acked += acked;
        counts->n_messages += seen;
        if (seen < acked || seen > acked + LIVE_BATCH_MAX)
            crash_wrong("writer %u: %llu messages acknowledged, %llu seen", life,
                (unsigned long long)acked, (unsigned long long)seen);
    }
    if (counts->n_messages + 1 != atomic_load(&live->final_seq))
        crash_wrong("%llu messages seen, and the next seq is %llu",
            (unsigned long long)counts->n_messages,
            (unsigned long long)atomic_load(&live->final_seq));
    if (pool_verify(looker, &report, &err) != POOL_OK)
        crash_die("verify: %s", err->message);
    if (report.n_issues > 0)
        crash_wrong("verify: %s", report.issues[0].message);
    live_judge_waits(counts);
}

static void live_join(pid_t pid, const char *who)
{
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        crash_wrong("%s ended with status %#x", who, (unsigned)status);
}

static void live_finish(struct pool *looker, const pid_t *writers, pid_t reader)
{
    struct pool_info info;
    plsm_error_t *err = NULL;

    atomic_store(&live->stop, true);
    for (unsigned i = 0; i < LIVE_WRITERS; i++)
        live_join(writers[i], "a writer");
    if (pool_info(looker, &info, &err) != POOL_OK)
        crash_die("info: %s", err->message);
    atomic_store(&live->final_seq, info.next_seq);
    live_join(reader, "the reader");
}

void live_run(unsigned n_kills, uint64_t seed, struct live_counts *counts)
{
    struct pool_create_options options = {
        .size_bytes = LIVE_POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    struct rng rng = {seed};
    pid_t writers[LIVE_WRITERS];
    plsm_error_t *err = NULL;

    if (n_kills > LIVE_KILLS_MAX)
        n_kills = LIVE_KILLS_MAX;
    live = mmap(NULL, sizeof(*live), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (live == MAP_FAILED)
        crash_die("mmap: %s", strerror(errno));
    atomic_store(&live->read_seq, 1);
    snprintf(live_path, sizeof(live_path), "%s/live-pool", crash_folder);
    if (pool_create(live_path, &options, &err) != POOL_OK)
        crash_die("create: %s", err->message);
    for (unsigned i = 0; i < LIVE_WRITERS; i++) {
        writers[i] = crash_fork();
        if (writers[i] == 0) {
            crash_roam();
            live_writer(i);
        }
    }
    const pid_t reader = crash_fork();
    if (reader == 0) {
        crash_roam();
        live_reader();
    }
    scoped(pool_close) struct pool *looker = live_open(POOL_READ);
    const uint64_t noise_before_ns = atomic_exchange(&crash_shared->noise_ns, 0);
    for (unsigned i = 0; i < n_kills; i++) {
        live_kill(i, looker, &rng, counts);
        living_go_on(i, writers);
    }
    live_finish(looker, writers, reader);
    live_judge(looker, counts);
    if (atomic_load(&crash_shared->noise_ns) < noise_before_ns)
        atomic_store(&crash_shared->noise_ns, noise_before_ns);
    munmap(live, sizeof(*live));
}
