/* Power losses at every store.
 *
 *     power quick | long [IMAGES]
 *
 * A workload runs while every store into its pool is recorded, together with the syncs
 * (power_record.h). Then the power goes at moments of that record, also in the midst of an append,
 * a flush or a recovery; for each moment, files are drawn that the disk may hold (power_disk.h),
 * opened as after a reboot and held against what was appended and flushed (power_check.h). One of
 * these files is where the next life of the pool begins, so that recoveries are interrupted, too,
 * and what they made is lost again.
 *
 * PLSM_SEED= repeats the chain of lives that a failure names. */
#include "base/clock.h"
#include "engine/frame.h"
#include "engine/handle.h"
#include "tests/proof/power_check.h"
#include "tests/proof/power_disk.h"
#include "tests/proof/power_life.h"

#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define LIVES_MAX    6
#define MOMENTS_MAX  50
#define WORKERS_MAX  64
#define QUICK_IMAGES 16000
#define LONG_IMAGES  1000000
#define QUICK_MS     8000
#define BIG_BYTES    (UINT64_C(64) << 20)
#define BIG_GOAL_US  UINT64_C(100000)

/* What the workers tell; in memory that all share. */
struct counts {
    _Atomic(uint64_t) images, corrupt, corrupt_repaired, demanding, lives, stores, syncs, failed;
    _Atomic(uint64_t) of_habits[N_HABITS];
};

static struct counts *counts;

static struct {
    uint64_t seed; /* of the chain */
    char image_path[128];
    size_t n_moments; /* of a life at which the power goes */
    size_t n_images;  /* at each */
} plan;

/* Losses ---------------------------------------------------------------------------------------- */

/* The life as far as it was lived at a moment. */
struct moment {
    bool opened;
    uint64_t flushed;
};

static void moment_advance(struct moment *moment, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (record.log[i].kind == RECORD_FLUSHED && record.log[i].value > moment->flushed)
            moment->flushed = record.log[i].value;
        moment->opened |= record.log[i].kind == RECORD_OPENED;
    }
}

/* What must be there if the power goes now: what was flushed and is not evicted. */
static struct demand demand_at(const struct disk *disk, const struct moment *moment)
{
    const uint8_t *bytes = (const uint8_t *)disk->live;
    struct control control;
    struct superblock superblock;
    struct frame_header header;
    struct demand demand = {.oldest = chain.oldest,
        .flushed = moment->flushed,
        .visible = chain.next,
        .may_be_corrupt = chain.fresh && disk->since[0] == 0,
        .first_life = chain.n_lives == 0};

    memcpy(&superblock, bytes, sizeof(superblock));
    memcpy(&control, bytes + FORMAT_CONTROL_OFFSET, sizeof(control));
    if (!moment->opened)
        return demand;
    demand.visible = appends.next_seq;
    for (size_t i = 0; i < 2; i++)
        if (control.commits[i].end_pos == control.tail)
            demand.visible = control.commits[i].next_seq;
    if (control.head == control.tail) {
        demand.oldest = demand.visible;
        return demand;
    }
    memcpy(&header, bytes + superblock.ring_offset + control.head % superblock.ring_size,
        sizeof(header));
    if (header.seq > demand.oldest)
        demand.oldest = header.seq;
    return demand;
}

static void report_failure(const struct draw *draw, size_t at)
{
    fprintf(stderr,
        "power: %s, life %u, entry %zu of %zu, drawn by mode %u in units of 2^%u and 2^%u bytes: "
        "PLSM_SEED=%" PRIu64 " (%zu moments)\n",
        chain.habits->name, chain.n_lives, at, record.n_log, draw->mode, draw->header_shift,
        draw->ring_shift, plan.seed, plan.n_moments);
    counts->failed++;
}

/* An image with which the pool's life can go on. */
struct heir {
    bool exists;
    uint8_t bytes[RECORD_BYTES_MAX];
    struct found found;
    uint64_t flushed;
};

static void lose_power(const struct disk *disk, struct demand demand, struct heir *heir)
{
    static uint8_t image[RECORD_BYTES_MAX];
    const struct draw draw = disk_draw(disk, &chain.rng, image);
    struct found found;

    check_reboot(image);
    demand.may_be_corrupt |= draw.header_shift < 6;
    counts->images++;
    counts->of_habits[chain.habits - all_habits]++;
    counts->demanding += demand.oldest < demand.flushed;
    if (!check_image(plan.image_path, image, &demand, &found)) {
        report_failure(&draw, disk->at);
        return;
    }
    counts->corrupt += found.corrupt;
    counts->corrupt_repaired += found.repaired;
    if (found.corrupt)
        return;
    heir->exists = true;
    heir->found = found;
    heir->flushed = demand.flushed;
    memcpy(heir->bytes, image, record.n_bytes);
}

static int compare_sizes(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a;
    const size_t y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* The power goes at some moments of the life that is recorded. */
static void lose_power_often(struct heir *heir)
{
    static struct disk disk;
    size_t moments[MOMENTS_MAX] = {0};
    struct moment moment = {.opened = false, .flushed = chain.flushed};

    for (size_t i = 0; i < plan.n_moments; i++)
        moments[i] = chain.n_created + rng_below(&chain.rng, record.n_log + 1 - chain.n_created);
    qsort(moments, plan.n_moments, sizeof(moments[0]), compare_sizes);
    disk_start(&disk, chain.fresh ? chain_nothing : chain.bytes);
    for (size_t i = 0; i < plan.n_moments; i++) {
        moment_advance(&moment, disk.at, moments[i]);
        disk_advance(&disk, moments[i]);
        const struct demand demand = demand_at(&disk, &moment);
        for (size_t n = 0; n < plan.n_images; n++)
            lose_power(&disk, demand, heir);
    }
}

static void run_chain(uint64_t seed)
{
    static struct heir heir;
    plan.seed = seed;
    chain.rng = (struct rng){seed};
    chain.habits = &all_habits[seed % N_HABITS]; /* seeds follow each other: all have their turn */
    chain_create();
    unlink(plan.image_path); /* that of the chain before had another size */
    for (; chain.n_lives < LIVES_MAX; chain.n_lives++) {
        const bool lived = chain_live();
        counts->lives++;
        counts->stores += record.n_log;
        counts->syncs += record.n_syncs;
        if (!lived) {
            report_failure(&(struct draw){.mode = 0}, 0);
            return;
        }
        heir.exists = false;
        lose_power_often(&heir);
        if (!heir.exists)
            return;
        memcpy(chain.bytes, heir.bytes, record.n_bytes);
        chain.fresh = false;
        chain.oldest = heir.found.first_seq != 0 ? heir.found.first_seq : heir.found.next_seq;
        chain.flushed = heir.flushed;
        appends.next_seq = heir.found.next_seq;
    }
}

/* Workers --------------------------------------------------------------------------------------- */

static const char *failed_seed(void)
{
    return getenv("PLSM_SEED");
}

struct run {
    char folder[64];
    uint64_t seed;
    uint64_t n_images;
    uint64_t until_ns;
    unsigned n_workers;
    bool quick;
};

static void work_off(const struct run *run, unsigned worker)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(chain.path, sizeof(chain.path), "%s/pool-%u", run->folder, worker);
    snprintf(plan.image_path, sizeof(plan.image_path), "%s/image-%u", run->folder, worker);
    plan.n_moments = run->quick ? 15 : MOMENTS_MAX;
    plan.n_images = run->quick ? 6 : 20;
    uint64_t seed = run->seed + worker;
    do {
        run_chain(seed);
        seed += run->n_workers;
    } while (counts->images < run->n_images && counts->failed < 20 &&
             clock_monotonic_ns() < run->until_ns && failed_seed() == NULL);
    unlink(chain.path);
    unlink(plan.image_path);
}

static bool run_workers(const struct run *run)
{
    pid_t pids[WORKERS_MAX];
    bool good = true;
    for (unsigned i = 0; i < run->n_workers; i++) {
        pids[i] = fork();
        must(pids[i] >= 0);
        if (pids[i] == 0) {
            work_off(run, i);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < run->n_workers; i++) {
        int status = 0;
        must(waitpid(pids[i], &status, 0) == pids[i]);
        if (status != 0)
            fprintf(stderr, "power: a worker ended with status %#x\n", (unsigned)status);
        good = good && status == 0;
    }
    return good && counts->failed == 0;
}

static uint64_t busy_ns(void)
{
    struct timespec time;
    must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

/* How long a pool full of small messages takes to open after a loss of power: time of the
 * processor, without that of the disk. */
static uint64_t time_big_recovery(const struct run *run)
{
    static const char text[] = "{\"is\":\"a message\"}";
    static uint8_t filler[256];
    char path[128];
    plsm_error_t *err = NULL;
    uint64_t best_ns = UINT64_MAX;
    const struct pool_create_options options = {
        .size_bytes = BIG_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    const struct message message = {.data = {filler, sizeof(filler)}};
    struct appended appended;

    memset(filler, ' ', sizeof(filler));
    memcpy(filler, text, sizeof(text) - 1);
    snprintf(path, sizeof(path), "%s/big", run->folder);
    must(pool_create(path, &options, &err) == 0);
    struct pool *pool = chain_open(path);
    must(pool != NULL);
    for (uint64_t end = 0; end < pool_ring_size(pool) + 4096; end = appended.end_pos)
        must(pool_append(pool, &message, 1, &appended, &err) == POOL_OK);
    for (int i = 0; i < 5; i++) {
        pool->control->boot_id[0] ^= 0x55;
        pool_close(pool);
        const uint64_t started_ns = busy_ns();
        pool = chain_open(path);
        must(pool != NULL);
        const uint64_t took_ns = busy_ns() - started_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    pool_close(pool);
    unlink(path);
    return best_ns / 1000;
}

static void print_counts(const struct run *run, uint64_t took_ns, uint64_t recovery_us)
{
    for (size_t i = 0; i < N_HABITS; i++)
        printf("# %s: %" PRIu64 " images\n", all_habits[i].name, counts->of_habits[i]);
    printf("# %" PRIu64 " images a second on %u processors\n",
        counts->images * NS_PER_SECOND / took_ns, run->n_workers);
    printf("# proof: power: %" PRIu64 " images of %" PRIu64 " lives (%" PRIu64 " stores, %" PRIu64
           " syncs), %" PRIu64 " with flushed messages in them; %" PRIu64 " broken; %" PRIu64
           " say Corrupt, all torn inside a cache line or never synced, %" PRIu64
           " of them by the first loss and with flushed messages, all repaired; recovery of 64 "
           "MiB: %" PRIu64 ".%" PRIu64 " ms\n",
        counts->images, counts->lives, counts->stores, counts->syncs, counts->demanding,
        counts->failed, counts->corrupt, counts->corrupt_repaired, recovery_us / 1000,
        recovery_us % 1000 / 100);
}

/* memcpy() must not use instructions that store more than a line: the processor would stop after
 * each of their bytes. */
static void be_steppable(char **argv)
{
    static const char name[] = "GLIBC_TUNABLES";
    if (getenv(name) != NULL)
        return;
    must(setenv(name,
             "glibc.cpu.x86_rep_movsb_threshold=1073741824:"
             "glibc.cpu.x86_rep_stosb_threshold=1073741824",
             1) == 0);
    execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    const bool quick = argc < 2 || strcmp(argv[1], "long") != 0;
    const long n_processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct run run = {
        .quick = quick,
        .seed = failed_seed() != NULL ? strtoull(failed_seed(), NULL, 10) : clock_wall_ns(),
        .n_images = quick ? QUICK_IMAGES : LONG_IMAGES,
        .until_ns = quick ? clock_deadline_ns(QUICK_MS) : DEADLINE_NEVER,
        .n_workers = n_processors < 1 ? 1 : (unsigned)n_processors,
    };

    be_steppable(argv);
    if (argc > 2)
        run.n_images = strtoull(argv[2], NULL, 10);
    if (failed_seed() != NULL || run.n_workers > WORKERS_MAX)
        run.n_workers = failed_seed() != NULL ? 1 : WORKERS_MAX;
    counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(counts != MAP_FAILED);
    proof_folder(run.folder);
    printf("1..2\n# power: PLSM_SEED=%" PRIu64 "\n", run.seed);
    fflush(stdout);

    const uint64_t started_ns = clock_monotonic_ns();
    const bool held = run_workers(&run);
    const uint64_t took_ns = clock_monotonic_ns() - started_ns;
    printf("%sok 1 - what was flushed survives every power loss\n", held ? "" : "not ");
    const uint64_t recovery_us = time_big_recovery(&run);
    /* beside others a processor is slower */
    const bool soon = recovery_us < (quick ? 10 : 1) * BIG_GOAL_US;
    printf("%sok 2 - a pool of 64 MiB recovers soon\n", soon ? "" : "not ");
    rmdir(run.folder);
    print_counts(&run, took_ns, recovery_us);
    return held && soon ? 0 : 1;
}
