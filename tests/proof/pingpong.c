/* Lost wake-ups: two processes hand a message to each other, and every time the other one may just
 * be about to sleep.
 *
 *     proof_pingpong quick|long [ROUND_TRIPS [SECONDS]]
 *
 * In the program a sleep ends by itself after an eighth of a second, which would hide a wake-up
 * that was lost. Here futex_wait() goes through a function of this file, and sleeps last until
 * somebody ends them; one that runs into its limit with a message waiting is a failure. */
#include "base/clock.h"
#include "engine/handle.h"
#include "os/futex.h"
#include "os/process.h"
#include "tests/proof/proof.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define SLEEP_NS (2 * NS_PER_SECOND)
#define LATE_NS  (250 * NS_PER_MS)

/* How the two of a block meet. */
enum meeting {
    MEET_ONE_CPU, /* each sleeps and the other runs in its place */
    MEET_ASLEEP,  /* on two processors; nobody looks twice before sleeping */
    MEET_RACE,    /* one never sleeps, and answers just when the other goes to sleep */
    MEET_SPIN,    /* as programs do: looks for a while, then sleeps */
    N_MEETINGS,
};

/* How long a block of each takes. Where others want the processors, too, those that need two at
 * once get little done in theirs. */
static const uint64_t block_ms[N_MEETINGS] = {10000, 1000, 1000, 1000};
#define BRIEFER 20 /* in the quick form */

/* Shared by both players and the one who counts. */
static struct board {
    _Atomic(uint64_t) n_sleeps;
    _Atomic(uint64_t) n_awake; /* messages for which nobody had to sleep */
    _Atomic(uint64_t) n_late;
    _Atomic(uint64_t) n_lost;
    _Atomic(uint64_t) late_max_ns;
    _Atomic(uint64_t) block_late_ns;
    _Atomic(uint64_t) block_starved_ns; /* ready to run, but not running */
    _Atomic(uint64_t) last_seq;         /* of the block; player 0 says so before it sends it */
} * board;

static struct {
    char folder[64];
    char path[96];
    enum meeting meeting;
    uint64_t block;
    uint64_t end_ns;   /* of the block */
    uint64_t n_sleeps; /* of this process */
    bool lost;
} play;

int __real_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);
int __wrap_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns);
int __wrap_futex_wait(const _Atomic(uint32_t) *word, uint32_t expected, uint64_t timeout_ns)
{
    (void)timeout_ns;
    const int r = __real_futex_wait(word, expected, SLEEP_NS);
    play.n_sleeps++;
    play.lost = r == FUTEX_TIMED_OUT;
    return r;
}

static struct pool *open_pool(void)
{
    struct pool_open_options options = POOL_OPEN_DEFAULTS;
    struct pool *pool = NULL;
    if (play.meeting != MEET_SPIN)
        options.spin_turns = 0;
    must(pool_open(play.path, POOL_WRITE, &options, &pool, NULL) == POOL_OK);
    return pool;
}

/* The two on one processor, or on one each. */
static void choose_cpu(unsigned number)
{
    cpu_set_t all, one;
    const unsigned n = process_cpus();
    unsigned left = (unsigned)((play.block + (play.meeting == MEET_ONE_CPU ? 0 : number)) % n);

    must(sched_getaffinity(0, sizeof(all), &all) == 0);
    CPU_ZERO(&one);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all) && left-- == 0) {
            CPU_SET(cpu, &one);
            must(sched_setaffinity(0, sizeof(one), &one) == 0);
            return;
        }
    }
}

static void count_lag(const struct frame *frame)
{
    const uint64_t now_ns = clock_wall_ns();
    const uint64_t lag_ns = now_ns > frame->time_ns ? now_ns - frame->time_ns : 0;
    if (lag_ns > LATE_NS) {
        atomic_fetch_add(&board->n_late, 1);
        atomic_fetch_add(&board->block_late_ns, lag_ns);
    }
    if (lag_ns > atomic_load_explicit(&board->late_max_ns, memory_order_relaxed))
        atomic_store(&board->late_max_ns, lag_ns);
    if (lag_ns > LATE_NS && play.lost)
        atomic_fetch_add(&board->n_lost, 1);
}

/* How long this process was ready to run and did not, since it began. */
static uint64_t starved_ns(void)
{
    unsigned long long ns = 0;
    FILE *file = fopen("/proc/self/schedstat", "re");
    if (file == NULL)
        return 0; /* the kernel does not say: then nobody is excused */
    if (fscanf(file, "%*u %llu", &ns) != 1)
        ns = 0;
    must(fclose(file) == 0);
    return ns;
}

static void append(struct pool *pool, uint64_t seq)
{
    static const struct message message = {.data = {(const uint8_t *)"{}", 2}};
    struct appended appended;
    must(pool_append(pool, &message, 1, &appended, NULL) == POOL_OK);
    must(appended.first_seq == seq);
}

/* Takes what the other one sent; a wakeful one never sleeps for it. */
static void await(struct cursor *cursor, uint64_t seq, bool wakeful)
{
    struct frame frame;
    struct gap gap;
    int r;

    play.lost = false;
    while ((r = cursor_next(cursor, &frame, &gap, NULL)) == CURSOR_EMPTY) {
        if (!wakeful)
            must(follow_wait(cursor, DEADLINE_NEVER, NULL) == FOLLOW_READY);
    }
    must(r == CURSOR_FRAME && frame.seq == seq);
    count_lag(&frame);
}

static void player_run(unsigned number)
{
    const bool wakeful =
        play.meeting == MEET_RACE && process_cpus() > 1 && number == play.block / N_MEETINGS % 2;
    struct rng rng = {clock_wall_ns()};
    uint64_t n_awake = 0;
    struct cursor cursor;

    choose_cpu(number);
    struct pool *pool = open_pool();
    cursor_oldest(&cursor, pool);
    for (uint64_t seq = 1; seq <= atomic_load(&board->last_seq); seq++) {
        if (seq % 2 == number) {
            if (number == 0 && clock_monotonic_ns() > play.end_ns)
                atomic_store(&board->last_seq, seq);
            for (uint64_t turns = wakeful ? rng_below(&rng, 64) : 0; turns > 0; turns--)
                process_pause();
            append(pool, seq);
            await(&cursor, seq, true); /* its own */
            continue;
        }
        const uint64_t n_sleeps = play.n_sleeps;
        await(&cursor, seq, wakeful);
        n_awake += n_sleeps == play.n_sleeps;
    }
    pool_close(pool);
    atomic_fetch_add(&board->n_sleeps, play.n_sleeps);
    atomic_fetch_add(&board->n_awake, n_awake);
    atomic_fetch_add(&board->block_starved_ns, starved_ns());
}

static pid_t start(unsigned number)
{
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    player_run(number);
    _exit(0);
}

/* Round trips made. */
static uint64_t play_block(uint64_t block_length_ms)
{
    const struct pool_create_options options = {
        .size_bytes = 65536, .index_capacity = POOL_INDEX_DEFAULT};
    play.end_ns = clock_deadline_ns(block_length_ms);
    atomic_store(&board->last_seq, UINT64_MAX);
    atomic_store(&board->block_late_ns, 0);
    atomic_store(&board->block_starved_ns, 0);
    unlink(play.path);
    must(pool_create(play.path, &options, NULL) == 0);
    start(0);
    start(1);
    for (int i = 0; i < 2; i++) {
        int status = 0;
        must(wait(&status) > 0);
        must(status == 0);
    }
    return atomic_load(&board->last_seq) / 2;
}

static unsigned long long load(const _Atomic(uint64_t) *word)
{
    return atomic_load(word);
}

int main(int argc, char **argv)
{
    const bool brief = argc < 2 || strcmp(argv[1], "long") != 0;
    const uint64_t n_wanted =
        argc > 2 ? strtoull(argv[2], NULL, 10) : (brief ? 40000 : UINT64_C(100000000));
    const uint64_t deadline_ns =
        argc > 3 ? clock_deadline_ns(strtoull(argv[3], NULL, 10) * 1000) : DEADLINE_NEVER;
    const uint64_t begun_ns = clock_monotonic_ns();
    uint64_t n_trips = 0;
    uint64_t n_slow_blocks = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    proof_folder(play.folder);
    snprintf(play.path, sizeof(play.path), "%s/pool.plasmite", play.folder);
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(board != MAP_FAILED);
    while (n_trips < n_wanted && clock_monotonic_ns() < deadline_ns && load(&board->n_lost) == 0) {
        play.meeting = (enum meeting)(play.block % N_MEETINGS);
        n_trips += play_block(block_ms[play.meeting] / (brief ? BRIEFER : 1));
        /* who was woken, but found no processor for so long, is the machine's doing */
        n_slow_blocks += load(&board->block_late_ns) > load(&board->block_starved_ns);
        if (!brief && play.meeting == N_MEETINGS - 1)
            printf("# %llu round trips\n", (unsigned long long)n_trips);
        play.block++;
    }
    unlink(play.path);
    rmdir(play.folder);

    const bool ok =
        load(&board->n_lost) == 0 && n_slow_blocks == 0 && load(&board->n_sleeps) >= n_trips / 4;
    printf("1..1\n%s 1 - every message woke the one who waited\n", ok ? "ok" : "not ok");
    printf("# proof: pingpong: %llu round trips in %llu s, %llu sleeps, %llu messages that came "
           "before one, %llu wake-ups lost, %llu later than 250 ms (latest %llu ms), of these not "
           "for want of a processor: %s\n",
        (unsigned long long)n_trips,
        (unsigned long long)((clock_monotonic_ns() - begun_ns) / NS_PER_SECOND),
        load(&board->n_sleeps), load(&board->n_awake), load(&board->n_lost), load(&board->n_late),
        load(&board->late_max_ns) / (unsigned long long)NS_PER_MS,
        n_slow_blocks == 0 ? "none" : "some");
    return ok ? 0 : 1;
}
