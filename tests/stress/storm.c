/* The storm: writers append as fast as they can, readers read everything, and whoever of them is
 * killed or stopped, nothing that was acknowledged is lost and nobody waits for long.
 *
 *     storm [NAME=NUMBER...]
 *
 * writers, readers, pool, batch, text, flush and pace say what is done; kill_ms how often somebody
 * is killed (kill -9, also inside the lock) or stopped for a while; kills, messages and seconds
 * when it ends; soak and round make it go on with other options each time (see storm.h).
 *
 * Every worker tells its story, and a judge (history.h) who knows nothing of pools looks for
 * broken promises in it. Prints what happened, and a verdict in TAP; ends with 1 if anything was
 * wrong. */
#include "tests/stress/storm.h"

#include <sys/mman.h>

#define TAKEOVER_P99_MS 200u /* what the design promises */
#define TAKEOVER_MAX_MS 500u

struct shared *shared;

typedef unsigned long long ull;

static const struct option {
    const char *name;
    size_t offset;
    uint64_t least;
    uint64_t most;
} options[] = {
    {"writers", offsetof(struct options, writers), 1, WORKERS_MAX},
    {"readers", offsetof(struct options, readers), 1, WORKERS_MAX},
    {"kill_ms", offsetof(struct options, kill_ms), 0, 60000},
    {"kills", offsetof(struct options, kills), 0, UINT32_MAX},
    {"messages", offsetof(struct options, messages), 0, UINT64_MAX},
    {"seconds", offsetof(struct options, seconds), 0, UINT32_MAX},
    {"pool", offsetof(struct options, pool), 65536, UINT64_C(1) << 26},
    {"batch", offsetof(struct options, batch), 1, BATCH_MAX},
    {"text", offsetof(struct options, text), 0, 200},
    {"flush", offsetof(struct options, flush), 0, UINT32_MAX},
    {"pace", offsetof(struct options, pace), 0, HISTORY_SEQS / 4},
    {"soak", offsetof(struct options, soak), 0, UINT32_MAX},
    {"round", offsetof(struct options, round), 1, UINT32_MAX},
};

static bool read_option(const char *text, struct options *out)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        const size_t len = strlen(options[i].name);
        if (strncmp(text, options[i].name, len) != 0 || text[len] != '=')
            continue;
        const uint64_t value = strtoull(text + len + 1, NULL, 10);
        memcpy((uint8_t *)out + options[i].offset, &value, sizeof(value));
        return value >= options[i].least && value <= options[i].most;
    }
    return false;
}

static uint64_t n_takeovers(const struct takeovers *takeovers, unsigned from_ms)
{
    uint64_t n = 0;
    for (unsigned ms = from_ms; ms < BUCKETS; ms++)
        n += atomic_load(&takeovers->n[ms]);
    return n;
}

/* The milliseconds within which so many of a hundred were over. */
static unsigned percentile(const struct takeovers *takeovers, unsigned percent)
{
    const uint64_t total = n_takeovers(takeovers, 0);
    uint64_t sum = 0;
    for (unsigned ms = 0; ms < BUCKETS; ms++) {
        sum += atomic_load(&takeovers->n[ms]);
        if (sum * 100 >= total * percent)
            return ms + 1;
    }
    return BUCKETS;
}

/* A machine with fewer processors than workers has pauses of its own: a few of many may be late. */
static void check_takeovers(const char *what, const struct takeovers *takeovers)
{
    const uint64_t n = n_takeovers(takeovers, 0);
    const uint64_t n_late = n_takeovers(takeovers, TAKEOVER_MAX_MS);
    printf("# next append by anyone after %s: %llu times, p50 %u ms, p99 %u ms, max %llu ms, %llu "
           "over %u ms\n",
        what, (ull)n, percentile(takeovers, 50), percentile(takeovers, 99),
        (ull)(atomic_load(&takeovers->max_ns) / NS_PER_MS), (ull)n_late, TAKEOVER_MAX_MS);
    if (n >= 100 && percentile(takeovers, 99) > TAKEOVER_P99_MS)
        wrong("take-overs are late");
    if (n_late > 1 + n / 5000)
        wrong("%llu take-overs are very late", (ull)n_late);
}

static void report(uint64_t took_ns)
{
    const struct history_counts *counts = &tally.counts;
    for (int i = 0; i < N_FAULTS; i++) {
        if (counts->n_faults[i] > 0)
            wrong("%llu times: %s", (ull)counts->n_faults[i], fault_name((enum fault)i));
    }
    printf("# %llu messages, %llu acknowledged by %llu appends, %llu of the dead seen, %llu of "
           "the dead overwritten unseen; %llu flushes\n",
        (ull)tally.n_messages, (ull)counts->n_acked, (ull)counts->n_appends, (ull)counts->n_orphans,
        (ull)counts->n_unseen, (ull)counts->n_flushes);
    printf(
        "# readers saw %llu, were told of %llu lost in %llu gaps, found nothing new %llu times\n",
        (ull)counts->n_seen, (ull)counts->n_lost, (ull)counts->n_gaps, (ull)counts->n_empty);
    printf("# kills: %llu of writers, %llu of them inside the lock, %llu while flushing; pauses: "
           "%llu, %llu of them inside the lock\n",
        (ull)tally.n_writer_kills, (ull)tally.n_owner_kills, (ull)tally.n_flusher_kills,
        (ull)tally.n_pauses, (ull)tally.n_owner_pauses);
    if (tally.n_kills > 0) {
        check_takeovers("a writer was killed", &shared->takeovers[KILL_ANY]);
        check_takeovers("it was killed inside the lock", &shared->takeovers[KILL_OWNER]);
    }
    printf("1..1\n%s 1 - storm\n", tally.n_errors == 0 ? "ok" : "not ok");
    const char *name = shared->options.kill_ms == 0 ? "order" : "storm";
    printf("# proof: %s: %llu messages in %llu s, seen %llu times, %llu faults",
        shared->options.soak > 0 ? "soak" : name, (ull)tally.n_messages,
        (ull)(took_ns / NS_PER_SECOND), (ull)counts->n_seen, (ull)counts->n_all_faults);
    if (tally.n_owner_kills > 0)
        printf("; %llu kills, %llu inside the lock, then p99 %u ms, max %llu ms until somebody "
               "appended; %llu pauses, %llu inside",
            (ull)tally.n_kills, (ull)tally.n_owner_kills,
            percentile(&shared->takeovers[KILL_OWNER], 99),
            (ull)(atomic_load(&shared->takeovers[KILL_OWNER].max_ns) / NS_PER_MS),
            (ull)tally.n_pauses, (ull)tally.n_owner_pauses);
    putchar('\n');
}

static void setup(void)
{
    const char *seed = getenv("PLSM_SEED");
    char folder[64];

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("setup", NULL);
    proof_folder(folder);
    snprintf(shared->path, sizeof(shared->path), "%s/pool.plasmite", folder);
    storm_rng.state = seed != NULL ? strtoull(seed, NULL, 10) : clock_wall_ns();
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("# PLSM_SEED=%llu\n", (ull)storm_rng.state);
}

int main(int argc, char **argv)
{
    struct options wanted = {.writers = 4,
        .readers = 4,
        .kill_ms = 20,
        .pool = 65536,
        .batch = 8,
        .text = 200,
        .flush = 4096,
        .round = 60};
    for (int i = 1; i < argc; i++) {
        if (!read_option(argv[i], &wanted)) {
            fputs("usage: storm [NAME=NUMBER...]\n", stderr);
            return 2;
        }
    }
    if (wanted.kills == 0 && wanted.messages == 0 && wanted.seconds == 0)
        wanted.seconds = 60;
    const uint64_t begun_ns = clock_monotonic_ns();
    setup();
    shared->options = wanted;
    if (wanted.soak > 0) {
        elders_start();
        soak_run();
        elders_end();
    } else {
        round_run();
    }
    report(clock_monotonic_ns() - begun_ns);
    *strrchr(shared->path, '/') = '\0';
    rmdir(shared->path);
    return tally.n_errors > 0;
}
