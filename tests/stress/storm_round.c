/* A round: one pool, its workers, and the supervisor who kills, stops and replaces them. */
#include "tests/stress/storm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PATIENCE_MS 60000 /* for anything to happen at all */
#define KEEN        (-10) /* priority of who must not wait */

struct tally tally;
struct rng storm_rng;

static struct {
    const struct control *control; /* of the pool; seen without a handle, which fork() would copy */
    pid_t pids[HISTORY_SLOTS];     /* 0: nobody has this slot */
    uint32_t lives[HISTORY_SLOTS];
    uint32_t n_lives;
    pid_t judge;
    int priority; /* of all but the supervisor */
} crew;

typedef unsigned long long ull;

__attribute__((format(printf, 1, 2))) void wrong(const char *format, ...)
{
    va_list args;
    tally.n_errors++;
    va_start(args, format);
    fputs("storm: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

static bool is_writer(unsigned slot)
{
    return slot < shared->options.writers;
}

static pid_t start_process(void)
{
    const pid_t pid = fork();
    if (pid < 0)
        die("fork", NULL);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setpriority(PRIO_PROCESS, 0, crew.priority);
    }
    return pid;
}

/* Starts the next life of a slot. A reader goes on where the one before was seen last, or, one in
 * eight, begins at the oldest message. */
static void start_worker(unsigned slot)
{
    const uint32_t life = ++crew.n_lives;
    uint64_t from_seq = 0;
    if (!is_writer(slot)) {
        from_seq = story_reached(slot);
        if (from_seq > 1 && rng_below(&storm_rng, 8) == 0)
            from_seq = HISTORY_ANY;
    }
    atomic_store(&shared->leases[slot], 0);
    crew.lives[slot] = life;
    story_tell(
        slot, &(struct record){
                  .kind = RECORD_START, .life = life, .writer = is_writer(slot), .seq = from_seq});
    crew.pids[slot] = elder_pid(slot);
    if (crew.pids[slot] != 0) {
        elder_begin(slot, life);
        return;
    }
    crew.pids[slot] = start_process();
    if (crew.pids[slot] == 0) {
        if (is_writer(slot))
            writer_run(slot, life);
        else
            reader_run(slot, life, from_seq);
        _exit(0);
    }
}

static void tell_end(unsigned slot)
{
    story_tell(slot, &(struct record){.kind = RECORD_END, .life = crew.lives[slot]});
}

static unsigned choose_any(void)
{
    const struct options *options = &shared->options;
    const unsigned i = (unsigned)rng_below(&storm_rng, options->writers + options->readers);
    return i < options->writers ? i : reader_slot(i - (unsigned)options->writers);
}

static uint32_t owner_of(const _Atomic(uint32_t) *word)
{
    return atomic_load(word) & ~FORMAT_LOCK_WAITERS;
}

static bool owns(unsigned slot, const _Atomic(uint32_t) *word)
{
    const uint32_t lease = atomic_load(&shared->leases[slot]);
    return lease != 0 && owner_of(word) == lease;
}

/* Every other time the one who is inside the lock, if that can be seen within a moment: he will
 * have left in most cases, but not if he was not running. */
static unsigned choose_victim(bool inside)
{
    for (int look = 0; look < 20000 && inside; look++) {
        const uint32_t owner = owner_of(&crew.control->lock);
        for (unsigned slot = 0; slot < shared->options.writers && owner != 0; slot++) {
            if (atomic_load(&shared->leases[slot]) == owner)
                return slot;
        }
    }
    return choose_any();
}

/* A worker must end as it was told to, and nobody waits for ever. */
static void await_end(unsigned slot, bool killed)
{
    const uint64_t deadline_ns = clock_deadline_ns(PATIENCE_MS);
    int status = 0;
    while (waitpid(crew.pids[slot], &status, killed ? 0 : WNOHANG) == 0) {
        if (clock_monotonic_ns() > deadline_ns) {
            wrong("slot %u does not end", slot);
            kill(crew.pids[slot], SIGKILL);
            killed = true;
        }
        usleep(1000);
    }
    if (killed ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status != 0)
        wrong("slot %u ended with status %#x", slot, (unsigned)status);
}

static void kill_worker(unsigned slot)
{
    const uint64_t now_ns = clock_monotonic_ns();
    uint64_t none = 0;
    if (elder_pid(slot) != 0)
        return;
    if (is_writer(slot))
        atomic_compare_exchange_strong(&shared->takeovers[KILL_ANY].killed_ns, &none, now_ns);
    kill(crew.pids[slot], SIGKILL);
    (void)setpriority(PRIO_PROCESS, (id_t)crew.pids[slot], KEEN); /* it has nothing to do but end */
    await_end(slot, true);
    /* nobody takes a lock over within the first milliseconds */
    if (owns(slot, &crew.control->lock)) {
        atomic_store(&shared->takeovers[KILL_OWNER].killed_ns, now_ns);
        tally.n_owner_kills++;
    }
    tally.n_flusher_kills += owns(slot, &crew.control->flush_lock);
    if (++tally.n_kills % 10000 == 0)
        printf("# %llu kills\n", (ull)tally.n_kills);
    tally.n_writer_kills += is_writer(slot);
    tell_end(slot);
    start_worker(slot);
}

/* Stops somebody, the owner of the lock if that succeeds within some attempts. */
static unsigned stop_worker(bool *out_inside)
{
    const bool inside = rng_below(&storm_rng, 4) > 0;
    for (int attempt = 1;; attempt++) {
        const unsigned slot = choose_victim(inside);
        siginfo_t info;
        kill(crew.pids[slot], SIGSTOP);
        if (waitid(P_PID, (id_t)crew.pids[slot], &info, WSTOPPED | WEXITED | WNOWAIT) != 0 ||
            info.si_code != CLD_STOPPED) {
            await_end(slot, true); /* by itself, which is wrong: somebody else takes its place */
            tell_end(slot);
            start_worker(slot);
        }
        *out_inside = owns(slot, &crew.control->lock);
        if (*out_inside || !inside || attempt == 50)
            return slot;
        kill(crew.pids[slot], SIGCONT);
    }
}

/* A stopped owner keeps the lock, however long others wait for it. */
static void pause_one(void)
{
    bool inside;
    for (int i = 0; i < N_KILLS; i++) {
        if (atomic_load(&shared->takeovers[i].killed_ns) != 0)
            return; /* a pause would be counted as theirs */
    }
    const unsigned slot = stop_worker(&inside);
    const uint64_t tail = atomic_load(&crew.control->tail);
    /* longer than waiters wait before they ask whether the owner lives */
    usleep(
        (useconds_t)(inside ? 15000 + rng_below(&storm_rng, 50000) : rng_below(&storm_rng, 20000)));
    if (inside && (!owns(slot, &crew.control->lock) || atomic_load(&crew.control->tail) != tail))
        wrong("a stopped owner was robbed of the lock");
    tally.n_pauses++;
    tally.n_owner_pauses += inside;
    if (rng_below(&storm_rng, 4) == 0)
        kill_worker(slot);
    kill(crew.pids[slot], SIGCONT);
}

static void start_round(void)
{
    const struct options *options = &shared->options;
    const struct pool_create_options create = {
        .size_bytes = options->pool, .index_capacity = POOL_INDEX_DEFAULT};
    plsm_error_t *err = NULL;

    unlink(shared->path);
    if (pool_create(shared->path, &create, &err) != 0)
        die("create", err);
    const int fd = open(shared->path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    const uint8_t *map = mmap(NULL, FORMAT_HEADER_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    must(map != MAP_FAILED);
    close(fd);
    crew.control = (const struct control *)(const void *)(map + FORMAT_CONTROL_OFFSET);
    crew.n_lives = 0;

    atomic_store(&shared->stop, false);
    atomic_store(&shared->told, false);
    atomic_store(&shared->final_seq, 0);
    atomic_store(&shared->acked_seq, 0);
    for (unsigned slot = 0; slot < HISTORY_SLOTS; slot++) {
        atomic_store(&shared->positions[slot], 0);
        atomic_store(&shared->stories[slot].head, 0);
        atomic_store(&shared->stories[slot].tail, 0);
        crew.pids[slot] = 0;
    }
    crew.judge = start_process();
    if (crew.judge == 0) {
        (void)setpriority(PRIO_PROCESS, 0, KEEN); /* workers wait for one who does not listen */
        judge_run();
        _exit(0);
    }
    for (unsigned i = 0; i < options->readers; i++)
        start_worker(reader_slot(i));
    for (unsigned i = 0; i < options->writers; i++)
        start_worker(i);
}

static bool is_over(uint64_t end_ns, uint64_t kills_before)
{
    const struct options *options = &shared->options;
    static uint64_t seen_seq, seen_ns;
    const uint64_t now_ns = clock_monotonic_ns();
    const uint64_t seq = atomic_load(&shared->acked_seq);
    if (seq != seen_seq || seen_ns == 0) {
        seen_seq = seq;
        seen_ns = now_ns;
    } else if (now_ns - seen_ns > PATIENCE_MS * NS_PER_MS) {
        wrong("nobody has appended for %u s", PATIENCE_MS / 1000);
        return true;
    }
    return tally.n_errors > 20 || now_ns >= end_ns ||
           (options->messages != 0 && seq >= options->messages) ||
           (options->kills != 0 && tally.n_kills - kills_before >= options->kills);
}

static void end_workers(bool writers)
{
    for (unsigned slot = 0; slot < HISTORY_SLOTS; slot++) {
        if (crew.pids[slot] == 0 || is_writer(slot) != writers)
            continue;
        if (elder_pid(slot) != 0)
            elder_wait(slot);
        else
            await_end(slot, false);
        tell_end(slot);
    }
}

static void add_counts(void)
{
    const struct history_counts *round = &shared->counts;
    tally.counts.n_acked += round->n_acked;
    tally.counts.n_appends += round->n_appends;
    tally.counts.n_orphans += round->n_orphans;
    tally.counts.n_unseen += round->n_unseen;
    tally.counts.n_seen += round->n_seen;
    tally.counts.n_lost += round->n_lost;
    tally.counts.n_gaps += round->n_gaps;
    tally.counts.n_flushes += round->n_flushes;
    tally.counts.n_empty += round->n_empty;
    tally.counts.n_all_faults += round->n_all_faults;
    for (int i = 0; i < N_FAULTS; i++)
        tally.counts.n_faults[i] += round->n_faults[i];
}

static void end_round(void)
{
    struct pool_report report;
    struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    int status = 0;

    atomic_store(&shared->stop, true);
    end_workers(true);
    const uint64_t next_seq = crew.control->commits[0].next_seq > crew.control->commits[1].next_seq
                                  ? crew.control->commits[0].next_seq
                                  : crew.control->commits[1].next_seq;
    atomic_store(&shared->final_seq, next_seq);
    end_workers(false);
    atomic_store(&shared->told, true);
    waitpid(crew.judge, &status, 0);
    if (status != 0)
        wrong("the judge ended with status %#x", (unsigned)status);
    add_counts();
    tally.n_messages += next_seq - 1;

    if (pool_open(shared->path, POOL_READ, NULL, &pool, &err) != POOL_OK ||
        pool_verify(pool, &report, &err) != POOL_OK)
        die("verify", err);
    if (report.n_issues > 0)
        wrong("verify: %s at %llu", report.issues[0].message, (ull)report.issues[0].offset);
    pool_close(pool);
    unlink(shared->path);
    const uintptr_t map = (uintptr_t)crew.control - FORMAT_CONTROL_OFFSET;
    munmap((void *)map, FORMAT_HEADER_SIZE); // NOLINT(performance-no-int-to-ptr): read-only
}

void round_run(void)
{
    const struct options *options = &shared->options;
    const uint64_t kills_before = tally.n_kills;
    const uint64_t end_ns =
        options->seconds == 0 ? DEADLINE_NEVER : clock_deadline_ns(options->seconds * 1000);

    crew.priority = getpriority(PRIO_PROCESS, 0);
    start_round();
    /* so that it keeps the beat; where that is not permitted there are fewer kills */
    (void)setpriority(PRIO_PROCESS, 0, KEEN);
    while (!is_over(end_ns, kills_before)) {
        usleep(options->kill_ms == 0
                   ? 10000
                   : (useconds_t)(1000 + rng_below(&storm_rng, options->kill_ms * 1000 - 999)));
        if (options->kill_ms == 0)
            continue;
        if (rng_below(&storm_rng, 8) == 0)
            pause_one();
        else
            kill_worker(choose_victim(rng_below(&storm_rng, 2) == 0));
    }
    (void)setpriority(PRIO_PROCESS, 0, crew.priority);
    end_round();
}
