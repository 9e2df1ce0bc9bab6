/* The kill storm: writers append as fast as they can while one of them is killed every few
 * milliseconds and replaced; followers read everything.
 *
 *     storm [WRITERS FOLLOWERS SECONDS [KILL_EVERY_MS [POOL_BYTES]]]     (8 8 60 50 64M)
 *
 * A writer tells the supervisor what it appended only after pool_append() returned. At the end
 * every message told of must have been seen by every follower, once, in order and whole, unless
 * the follower was overtaken and said so; seqs must have no hole; and after no kill may the others
 * have waited long. Prints its counts, and a verdict in TAP; ends with 1 if any of that fails. */
#include "base/clock.h"
#include "base/crc32c.h"
#include "engine/handle.h"
#include "engine/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS_MAX   32
#define FOLLOWERS_MAX 32
#define LIVES_MAX     20000 /* writers, counting each replacement */
#define SEQS_MAX      (UINT64_C(1) << 30)
#define BATCH_MAX     8
#define TEXT_MAX      2048
#define STALL_NS      (200 * NS_PER_MS)

/* What a writer tells after an append; written whole, for it is short. */
struct receipt {
    uint32_t life;
    uint32_t n_messages;
    uint64_t first_count; /* of this writer's messages, from 1 */
    uint64_t first_seq;
    uint64_t time_ns; /* monotonic, when pool_append() had returned */
};

/* What a follower saw of one writer. */
struct seen {
    uint32_t last_count;
    uint32_t n_messages;
    uint64_t gaps_at; /* how many gaps there had been at its last message */
};

struct follower {
    uint64_t n_messages;
    uint64_t n_lost;
    uint64_t n_gaps;
    uint64_t lag_max_ns;
    uint64_t lags[64]; /* by the logarithm of the nanoseconds */
    struct seen seen[LIVES_MAX];
};

/* Lies in memory that all share. */
struct shared {
    atomic_bool stop;
    _Atomic(uint64_t) final_seq; /* what the followers must reach; 0: not known yet */
    _Atomic(uint32_t) leases[LIVES_MAX];
    struct follower followers[FOLLOWERS_MAX];
};

struct storm {
    unsigned n_writers;
    unsigned n_followers;
    unsigned seconds;
    unsigned kill_every_ms;
    uint64_t pool_bytes;
    char path[128];
    struct shared *shared;
    int pipe[2];
    pid_t writer_pids[WRITERS_MAX];
    uint32_t writer_lives[WRITERS_MAX];
    uint32_t n_lives;
    pid_t follower_pids[FOLLOWERS_MAX];
    uint64_t random;

    uint64_t acked_counts[LIVES_MAX]; /* the last count acknowledged */
    uint64_t acked_times[LIVES_MAX];
    uint8_t *acked_seqs; /* a bit for each */
    uint64_t n_acked;
    uint64_t n_receipts;
    uint64_t n_kills;
    uint64_t n_kills_inside; /* while it held a lock */
    uint64_t killed_ns;      /* 0: somebody has appended since */
    uint64_t takeover_max_ns;
    uint64_t takeovers_late;
    uint64_t pause_max_ns; /* between two appends of one writer */
    uint64_t pauses[64];
    uint64_t n_errors;
};

static struct storm storm;

/* A number's place among the powers of two. */
static unsigned log2_of(uint64_t ns)
{
    return ns == 0 ? 0 : 63 - (unsigned)__builtin_clzll(ns);
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;
    storm.n_errors++;
    va_start(args, format);
    fputs("storm: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static void die(const char *what, const plsm_error_t *err)
{
    fprintf(stderr, "storm: %s: %s\n", what, err != NULL ? err->message : strerror(errno));
    _exit(2);
}

static struct pool *open_pool(enum pool_mode mode)
{
    plsm_error_t *err = NULL;
    struct pool *pool = NULL;
    if (pool_open(storm.path, mode, NULL, &pool, &err) != POOL_OK)
        die("open", err);
    return pool;
}

/* {"w":LIFE,"n":COUNT,"h":CHECKSUM,"p":"..."}: the checksum is of life, count and the rest. */
static size_t text_make(char *text, uint32_t life, uint64_t count, uint64_t random)
{
    char rest[TEXT_MAX];
    const size_t rest_len = random % 16 == 0 ? random / 16 % 1800 : random / 16 % 200;
    memset(rest, 'a' + (int)(count % 26), rest_len);
    rest[rest_len] = '\0';
    uint32_t hash = crc32c(life, &count, sizeof(count));
    hash = crc32c(hash, rest, rest_len);
    const int len = snprintf(text, TEXT_MAX, "{\"w\":%u,\"n\":%llu,\"h\":%u,\"p\":\"%s\"}", life,
        (unsigned long long)count, hash, rest);
    return (size_t)len;
}

static bool text_read(struct view data, uint32_t *out_life, uint64_t *out_count)
{
    char text[TEXT_MAX];
    unsigned long long count = 0;
    unsigned hash = 0;
    int rest_at = 0;

    if (data.len < 2 || data.len >= sizeof(text))
        return false;
    memcpy(text, data.data, data.len);
    text[data.len] = '\0';
    if (sscanf(text, "{\"w\":%u,\"n\":%llu,\"h\":%u,\"p\":\"%n", out_life, &count, &hash,
            &rest_at) != 3 ||
        rest_at == 0 || data.len < (size_t)rest_at + 2)
        return false;
    *out_count = count;
    uint32_t expected = crc32c(*out_life, out_count, sizeof(*out_count));
    expected = crc32c(expected, text + rest_at, data.len - (size_t)rest_at - 2);
    return expected == hash && *out_life < LIVES_MAX;
}

/* A writer's life. Ends when told, or by SIGKILL. */
static void writer_run(uint32_t life)
{
    static char texts[BATCH_MAX][TEXT_MAX];
    struct message messages[BATCH_MAX];
    uint64_t random = life * UINT64_C(7919) + 1;
    uint64_t count = 1;
    struct pool *pool = open_pool(POOL_WRITE);

    atomic_store(&storm.shared->leases[life], pool->lease);
    while (!atomic_load_explicit(&storm.shared->stop, memory_order_relaxed)) {
        plsm_error_t *err = NULL;
        struct appended appended;
        const uint64_t dice = random_next(&random);
        const size_t n = dice % 4 == 0 ? 1 + dice / 4 % BATCH_MAX : 1;
        for (size_t i = 0; i < n; i++)
            messages[i] = (struct message){
                .data =
                    view_of(texts[i], text_make(texts[i], life, count + i, random_next(&random)))};
        const int r = pool_append(pool, messages, n, &appended, &err);
        if (r != POOL_OK)
            die(r == POOL_BUSY ? "append: busy" : "append", err);
        const struct receipt receipt = {
            life, (uint32_t)n, count, appended.first_seq, clock_monotonic_ns()};
        if (write(storm.pipe[1], &receipt, sizeof(receipt)) != sizeof(receipt))
            die("receipt", NULL);
        count += n;
        if (dice / 64 % 4096 == 0 && pool_flush_to(pool, appended.end_pos, &err) != POOL_OK)
            die("flush", err);
    }
    pool_close(pool);
}

static void follower_take(
    struct follower *follower, const struct pool *pool, const struct frame *frame)
{
    static uint8_t copy[TEXT_MAX];
    uint32_t life = 0;
    uint64_t count = 0;

    if (frame->data.len > sizeof(copy)) {
        wrong("seq %llu is too long", (unsigned long long)frame->seq);
        return;
    }
    memcpy(copy, frame->data.data, frame->data.len);
    const size_t len = frame->data.len;
    if (!frame_still_valid(pool, frame)) { /* overwritten while copied: lost, and known to be */
        follower->n_lost++;
        follower->n_gaps++;
        return;
    }
    if (!text_read(view_of(copy, len), &life, &count)) {
        wrong("seq %llu is damaged", (unsigned long long)frame->seq);
        return;
    }
    struct seen *seen = &follower->seen[life];
    if (count != seen->last_count + 1u &&
        (count <= seen->last_count || seen->gaps_at == follower->n_gaps))
        wrong("seq %llu: message %llu of writer %u after its message %u",
            (unsigned long long)frame->seq, (unsigned long long)count, life, seen->last_count);
    seen->last_count = (uint32_t)count;
    seen->gaps_at = follower->n_gaps;
    seen->n_messages++;
    follower->n_messages++;
    const uint64_t now_ns = clock_wall_ns();
    const uint64_t lag_ns = now_ns > frame->time_ns ? now_ns - frame->time_ns : 0;
    follower->lags[log2_of(lag_ns)]++;
    if (lag_ns > follower->lag_max_ns)
        follower->lag_max_ns = lag_ns;
}

static void follower_run(unsigned number)
{
    struct follower *follower = &storm.shared->followers[number];
    struct pool *pool = open_pool(POOL_READ);
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t next_seq = 1;
    plsm_error_t *err = NULL;

    cursor_oldest(&cursor, pool);
    cursor.expected_seq = 1;
    for (;;) {
        switch (cursor_next(&cursor, &frame, &gap, &err)) {
        case CURSOR_FRAME:
            if (frame.seq != next_seq)
                wrong("seq %llu after %llu", (unsigned long long)frame.seq,
                    (unsigned long long)next_seq - 1);
            next_seq = frame.seq + 1;
            follower_take(follower, pool, &frame);
            break;
        case CURSOR_GAP:
            if (gap.first_seq != next_seq || gap.next_seq <= gap.first_seq)
                wrong("a gap that does not fit");
            follower->n_gaps++;
            follower->n_lost += gap.next_seq - gap.first_seq;
            next_seq = gap.next_seq;
            break;
        case CURSOR_EMPTY:
            if (atomic_load(&storm.shared->final_seq) == next_seq)
                return;
            if (follow_wait(&cursor, clock_deadline_ns(100), &err) < 0)
                die("follow", err);
            break;
        default: die("read", err);
        }
    }
}

static pid_t start_process(void)
{
    const pid_t pid = fork();
    if (pid < 0)
        die("fork", NULL);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setpriority(PRIO_PROCESS, 0, 0);
    }
    return pid;
}

static void start_writer(unsigned slot)
{
    if (storm.n_lives == LIVES_MAX)
        die("too many lives", NULL);
    const uint32_t life = storm.n_lives++;
    storm.writer_lives[slot] = life;
    storm.writer_pids[slot] = start_process();
    if (storm.writer_pids[slot] == 0) {
        close(storm.pipe[0]);
        writer_run(life);
        _exit(0);
    }
}

static void start_follower(unsigned number)
{
    storm.follower_pids[number] = start_process();
    if (storm.follower_pids[number] == 0) {
        close(storm.pipe[0]);
        close(storm.pipe[1]);
        follower_run(number);
        _exit(storm.n_errors > 0);
    }
}

static void take_receipt(const struct receipt *receipt)
{
    const uint32_t life = receipt->life;
    storm.n_receipts++;
    storm.n_acked += receipt->n_messages;
    if (receipt->first_count != storm.acked_counts[life] + 1)
        wrong("writer %u tells of message %llu after %llu", life,
            (unsigned long long)receipt->first_count, (unsigned long long)storm.acked_counts[life]);
    storm.acked_counts[life] = receipt->first_count + receipt->n_messages - 1;
    for (uint64_t seq = receipt->first_seq; seq < receipt->first_seq + receipt->n_messages; seq++) {
        uint8_t *byte = &storm.acked_seqs[seq / 8 % (SEQS_MAX / 8)];
        if ((*byte & (1u << (seq % 8))) != 0)
            wrong("seq %llu was given twice", (unsigned long long)seq);
        *byte |= (uint8_t)(1u << (seq % 8));
    }
    if (storm.killed_ns != 0 && receipt->time_ns > storm.killed_ns) {
        const uint64_t took_ns = receipt->time_ns - storm.killed_ns;
        storm.killed_ns = 0;
        storm.takeovers_late += took_ns > STALL_NS;
        if (took_ns > storm.takeover_max_ns)
            storm.takeover_max_ns = took_ns;
    }
    if (storm.acked_times[life] != 0) {
        const uint64_t pause_ns = receipt->time_ns - storm.acked_times[life];
        storm.pauses[log2_of(pause_ns)]++;
        if (pause_ns > storm.pause_max_ns)
            storm.pause_max_ns = pause_ns;
    }
    storm.acked_times[life] = receipt->time_ns;
}

/* Takes receipts until the moment, or, without one, until no writer is left. */
static void take_receipts(uint64_t until_ns)
{
    static struct receipt receipts[1024];
    for (;;) {
        const uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= until_ns)
            return;
        const uint64_t left_ms =
            until_ns == DEADLINE_NEVER ? 1000 : (until_ns - now_ns) / NS_PER_MS;
        struct pollfd wait = {.fd = storm.pipe[0], .events = POLLIN};
        if (poll(&wait, 1, (int)left_ms) <= 0)
            continue;
        const ssize_t n = read(storm.pipe[0], receipts, sizeof(receipts));
        if (n == 0)
            return;
        if (n < 0 || n % (ssize_t)sizeof(receipts[0]) != 0)
            die("receipts", NULL);
        for (size_t i = 0; i < (size_t)n / sizeof(receipts[0]); i++)
            take_receipt(&receipts[i]);
    }
}

/* Every other time the one who is inside the lock, if that can be seen within a moment: he will
 * have left in most cases, but not if he was not running. */
static unsigned choose_victim(const struct pool *looker)
{
    const uint64_t dice = random_next(&storm.random);
    for (int look = 0; look < 20000 && dice % 2 == 0; look++) {
        const uint32_t owner = atomic_load(&looker->control->lock) & ~FORMAT_LOCK_WAITERS;
        for (unsigned slot = 0; slot < storm.n_writers && owner != 0; slot++) {
            if (atomic_load(&storm.shared->leases[storm.writer_lives[slot]]) == owner)
                return slot;
        }
    }
    return (unsigned)(dice / 2 % storm.n_writers);
}

static void kill_one(const struct pool *looker)
{
    const unsigned slot = choose_victim(looker);
    const uint32_t lease = atomic_load(&storm.shared->leases[storm.writer_lives[slot]]);
    int status = 0;

    storm.killed_ns = clock_monotonic_ns();
    kill(storm.writer_pids[slot], SIGKILL);
    waitpid(storm.writer_pids[slot], &status, 0);
    /* nobody takes a lock over within the first milliseconds */
    if (lease != 0 && (atomic_load(&looker->control->lock) & ~FORMAT_LOCK_WAITERS) == lease)
        storm.n_kills_inside++;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        wrong("a writer ended by itself, status %#x", (unsigned)status);
    storm.n_kills++;
    start_writer(slot);
}

static void check_ends(const pid_t *pids, unsigned n, const char *who)
{
    for (unsigned i = 0; i < n; i++) {
        int status = 0;
        waitpid(pids[i], &status, 0);
        if (status != 0)
            wrong("%s %u ended with status %#x", who, i, (unsigned)status);
    }
}

/* A follower that lost nothing saw of each writer all it told of, and at most one append more. */
static void check_follower(unsigned number, uint64_t n_messages)
{
    const struct follower *follower = &storm.shared->followers[number];
    uint64_t n_seen = 0;

    for (uint32_t life = 0; life < storm.n_lives; life++) {
        const struct seen *seen = &follower->seen[life];
        const uint64_t acked = storm.acked_counts[life];
        n_seen += seen->n_messages;
        if (seen->last_count > acked + BATCH_MAX)
            wrong("follower %u saw more of writer %u than it wrote", number, life);
        if (follower->n_gaps == 0 &&
            (seen->n_messages != seen->last_count || seen->last_count < acked))
            wrong("follower %u saw %u messages of writer %u, up to %u; acknowledged are %llu",
                number, seen->n_messages, life, seen->last_count, (unsigned long long)acked);
    }
    if (n_seen + follower->n_lost != n_messages)
        wrong("follower %u saw %llu messages and lost %llu of %llu", number,
            (unsigned long long)n_seen, (unsigned long long)follower->n_lost,
            (unsigned long long)n_messages);
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* The upper bound of the power of two below which 99.9% lie. */
static uint64_t p999(const uint64_t *counts)
{
    uint64_t total = 0, sum = 0;
    for (unsigned i = 0; i < 64; i++)
        total += counts[i];
    for (unsigned i = 0; i < 63; i++) {
        sum += counts[i];
        if ((double)sum >= 0.999 * (double)total)
            return UINT64_C(2) << i;
    }
    return UINT64_MAX;
}

static void report(uint64_t n_messages)
{
    printf("# %u writers, %u followers, %u s: %llu messages, %llu acknowledged in %llu receipts\n",
        storm.n_writers, storm.n_followers, storm.seconds, (unsigned long long)n_messages,
        (unsigned long long)storm.n_acked, (unsigned long long)storm.n_receipts);
    printf(
        "# %llu kills, %llu of them inside the lock; append by anyone after a kill: at most %.1f ms"
        ", %llu over 200 ms\n",
        (unsigned long long)storm.n_kills, (unsigned long long)storm.n_kills_inside,
        ms(storm.takeover_max_ns), (unsigned long long)storm.takeovers_late);
    printf("# between two appends of one writer: p99.9 under %.1f ms, max %.1f ms\n",
        ms(p999(storm.pauses)), ms(storm.pause_max_ns));
    for (unsigned i = 0; i < storm.n_followers; i++) {
        const struct follower *follower = &storm.shared->followers[i];
        printf(
            "# follower %u: %llu seen, %llu lost in %llu gaps, lag p99.9 under %.1f ms, max %.1f "
            "ms\n",
            i, (unsigned long long)follower->n_messages, (unsigned long long)follower->n_lost,
            (unsigned long long)follower->n_gaps, ms(p999(follower->lags)),
            ms(follower->lag_max_ns));
    }
}

static void finish(struct pool *looker)
{
    struct pool_info info;
    struct pool_report verified;
    plsm_error_t *err = NULL;

    atomic_store(&storm.shared->stop, true);
    close(storm.pipe[1]);
    take_receipts(DEADLINE_NEVER);
    check_ends(storm.writer_pids, storm.n_writers, "writer");
    if (pool_info(looker, &info, &err) != POOL_OK)
        die("info", err);
    atomic_store(&storm.shared->final_seq, info.next_seq);
    check_ends(storm.follower_pids, storm.n_followers, "follower");

    const uint64_t n_messages = info.next_seq - 1;
    if (n_messages < storm.n_acked || n_messages > storm.n_acked + storm.n_kills * BATCH_MAX)
        wrong("%llu messages, %llu acknowledged", (unsigned long long)n_messages,
            (unsigned long long)storm.n_acked);
    for (unsigned i = 0; i < storm.n_followers; i++)
        check_follower(i, n_messages);
    if (pool_verify(looker, &verified, &err) != POOL_OK)
        die("verify", err);
    if (verified.n_issues > 0)
        wrong("verify: %s at %llu", verified.issues[0].message,
            (unsigned long long)verified.issues[0].offset);
    /* a machine with fewer processors than runners has pauses of its own */
    if (storm.takeovers_late > 1 + storm.n_kills / 100 || storm.takeover_max_ns > 5 * STALL_NS)
        wrong("%llu kills stalled everybody for over 200 ms",
            (unsigned long long)storm.takeovers_late);
    report(n_messages);
}

static void setup(void)
{
    const struct pool_create_options options = {
        .size_bytes = storm.pool_bytes, .index_capacity = POOL_INDEX_DEFAULT};
    plsm_error_t *err = NULL;

    snprintf(storm.path, sizeof(storm.path), "/tmp/plasmite-storm-%d.plasmite", (int)getpid());
    unlink(storm.path);
    if (pool_create(storm.path, &options, &err) != 0)
        die("create", err);
    storm.shared = mmap(
        NULL, sizeof(*storm.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    storm.acked_seqs = mmap(NULL, SEQS_MAX / 8, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (storm.shared == MAP_FAILED || storm.acked_seqs == MAP_FAILED ||
        pipe2(storm.pipe, O_CLOEXEC) != 0)
        die("setup", NULL);
    storm.random = clock_wall_ns();
}

int main(int argc, char **argv)
{
    const unsigned long defaults[] = {8, 8, 60, 50, 64u << 20};
    unsigned long numbers[5];
    for (int i = 0; i < 5; i++)
        numbers[i] = argc > i + 1 ? strtoul(argv[i + 1], NULL, 10) : defaults[i];
    storm.n_writers = (unsigned)numbers[0];
    storm.n_followers = (unsigned)numbers[1];
    storm.seconds = (unsigned)numbers[2];
    storm.kill_every_ms = (unsigned)numbers[3];
    storm.pool_bytes = numbers[4];
    if (storm.n_writers < 1 || storm.n_writers > WRITERS_MAX || storm.n_followers > FOLLOWERS_MAX ||
        storm.kill_every_ms == 0) {
        fputs("usage: storm [WRITERS FOLLOWERS SECONDS [KILL_EVERY_MS [POOL_BYTES]]]\n", stderr);
        return 2;
    }

    setup();
    for (unsigned i = 0; i < storm.n_followers; i++)
        start_follower(i);
    for (unsigned i = 0; i < storm.n_writers; i++)
        start_writer(i);
    /* no handle is open in this process before it forks: children need no repair */
    struct pool *looker = open_pool(POOL_READ);
    (void)setpriority(PRIO_PROCESS, 0, -10); /* so that it keeps the beat; children give it back */
    const uint64_t end_ns = clock_deadline_ns(storm.seconds * 1000ull);
    for (uint64_t next_ns = clock_monotonic_ns(); clock_monotonic_ns() < end_ns;) {
        next_ns += storm.kill_every_ms * NS_PER_MS;
        take_receipts(next_ns);
        kill_one(looker);
    }
    finish(looker);
    pool_close(looker);
    unlink(storm.path);
    /* the verdict as a test's output: Test Anything Protocol */
    printf("1..1\n%s 1 - storm\n", storm.n_errors == 0 ? "ok" : "not ok");
    return storm.n_errors > 0;
}
