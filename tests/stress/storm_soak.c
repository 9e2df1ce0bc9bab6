/* The soak: round after round with other options. One writer and one reader live through all of
 * them, each with a new pool, and must hold no more after the last than after the first. */
#include "tests/stress/storm.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

static struct elder {
    pid_t pid;
    int to;
    int from;
} elders[HISTORY_SLOTS];

static uint64_t count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;
    must(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    must(closedir(dir) == 0);
    return n;
}

/* Memory of its own; mapped files are shared. */
static uint64_t count_memory_kib(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    must(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtoull(line + 8, NULL, 10);
    must(fclose(file) == 0);
    return kib;
}

static void note_holdings(struct holdings *holdings)
{
    holdings->n_descriptors = count_descriptors();
    holdings->memory_kib = count_memory_kib();
    if (holdings->n_rounds++ == 0) {
        holdings->n_descriptors_first = holdings->n_descriptors;
        holdings->memory_first_kib = holdings->memory_kib;
    }
}

static void elder_run(unsigned slot, int in, int out)
{
    uint32_t life;
    while (read(in, &life, sizeof(life)) == sizeof(life)) {
        if (slot == 0)
            writer_run(slot, life);
        else
            reader_run(slot, life, 1);
        note_holdings(&shared->elders[slot]);
        must(write(out, &life, sizeof(life)) == sizeof(life));
    }
}

static void elder_start(unsigned slot)
{
    int to[2];
    int from[2];
    must(pipe2(to, O_CLOEXEC) == 0);
    must(pipe2(from, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(to[1]);
        close(from[0]);
        elder_run(slot, to[0], from[1]);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    elders[slot] = (struct elder){pid, to[1], from[0]};
}

pid_t elder_pid(unsigned slot)
{
    return elders[slot].pid;
}

void elder_begin(unsigned slot, uint32_t life)
{
    must(write(elders[slot].to, &life, sizeof(life)) == sizeof(life));
}

void elder_wait(unsigned slot)
{
    uint32_t life = 0;
    if (read(elders[slot].from, &life, sizeof(life)) != sizeof(life))
        die("an elder ended", NULL);
}

void elders_start(void)
{
    elder_start(0);
    elder_start(reader_slot(0));
}

void elders_end(void)
{
    for (unsigned slot = 0; slot < HISTORY_SLOTS; slot++) {
        const struct holdings *held = &shared->elders[slot];
        if (elders[slot].pid == 0)
            continue;
        close(elders[slot].to);
        close(elders[slot].from);
        printf("# %s through %llu rounds: %+lld KiB, %+lld descriptors\n",
            slot == 0 ? "writer" : "reader", (unsigned long long)held->n_rounds,
            (long long)(held->memory_kib - held->memory_first_kib),
            (long long)(held->n_descriptors - held->n_descriptors_first));
        if (held->memory_kib > held->memory_first_kib + 1024)
            wrong("memory grew");
        if (held->n_descriptors != held->n_descriptors_first)
            wrong("descriptors were left over");
    }
}

static void choose_options(struct options *options)
{
    static const uint64_t pools[] = {65536, 65536, 1 << 18, 1 << 20, 8 << 20, 64 << 20};
    static const uint64_t kills[] = {0, 5, 20, 20, 100};
    static const uint64_t flushes[] = {0, 0, 4096, 64, 1};
    options->writers = 1 + rng_below(&storm_rng, 6);
    options->readers = 1 + rng_below(&storm_rng, 5);
    options->pool = pools[rng_below(&storm_rng, sizeof(pools) / sizeof(*pools))];
    options->kill_ms = kills[rng_below(&storm_rng, sizeof(kills) / sizeof(*kills))];
    options->flush = flushes[rng_below(&storm_rng, sizeof(flushes) / sizeof(*flushes))];
    options->text = rng_below(&storm_rng, 200);
    options->batch = 1 + rng_below(&storm_rng, options->pool < 1 << 20 ? 8 : BATCH_MAX);
    options->pace = 0;
}

void soak_run(void)
{
    struct options *options = &shared->options;
    const uint64_t end_ns = clock_deadline_ns(options->soak * 1000);
    const uint64_t length = options->round;

    while (clock_monotonic_ns() < end_ns && tally.n_errors + tally.counts.n_all_faults == 0) {
        const uint64_t left = (end_ns - clock_monotonic_ns()) / NS_PER_SECOND + 1;
        choose_options(options);
        options->seconds = left < length ? left : length;
        printf("# %llu writers, %llu readers, pool %llu, batches of %llu, text %llu, a flush in "
               "%llu, a kill in %llu ms\n",
            (unsigned long long)options->writers, (unsigned long long)options->readers,
            (unsigned long long)options->pool, (unsigned long long)options->batch,
            (unsigned long long)options->text, (unsigned long long)options->flush,
            (unsigned long long)options->kill_ms);
        round_run();
    }
}
