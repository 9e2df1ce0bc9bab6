/* Kill -9 at every step.
 *
 *     proof_crash quick
 *     proof_crash long [STATES [KILLS]]
 *     proof_crash one NUMBER ROUND         one shape of scene; PLSM_SEED= repeats a run
 *
 * Everything lies in memory (/dev/shm), and fdatasync does nothing: what a dead machine leaves
 * behind is another proof's. */
#include "tests/proof/crash.h"

#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUICK_STATES 3000
#define QUICK_KILLS  50
#define LONG_STATES  120000
#define LONG_KILLS   1000
#define NOISE_NS     (2 * NS_PER_MS)

struct crash_shared *crash_shared;
char crash_folder[64];

static pid_t owner;
static pid_t noise_pid;
static uint32_t pretended_lease;
static bool unnamed_refused;
static unsigned n_cases;
static cpu_set_t all_cpus;

/* The C library's, replaced for this program. Who takes a lease asks once to choose its number, and
 * then once more for the witness, which must be told the truth. */
pid_t getpid(void)
{
    const uint32_t lease = pretended_lease;
    pretended_lease = 0;
    return lease != 0 ? (pid_t)(lease - 1 + FORMAT_WITNESSES) : (pid_t)syscall(SYS_getpid);
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

int fsync(int fd)
{
    (void)fd;
    return 0;
}

/* Asked before a file without a name is relied on. */
int access(const char *path, int mode)
{
    if (unnamed_refused && strcmp(path, "/proc/self/fd") == 0) {
        errno = ENOENT;
        return -1;
    }
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

void crash_pretend_lease(uint32_t lease)
{
    pretended_lease = lease;
}

void crash_refuse_unnamed(bool refused)
{
    unnamed_refused = refused;
}

void crash_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("crash: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    if (syscall(SYS_getpid) != owner)
        _exit(2);
    printf("Bail out!\n");
    exit(2);
}

void crash_skip(const char *reason)
{
    printf("1..0 # SKIP %s\n", reason);
    exit(0);
}

void crash_wrong(const char *format, ...)
{
    va_list args;
    if (atomic_fetch_add(&crash_shared->n_wrong, 1) >= 50)
        return;
    va_start(args, format);
    fputs("crash: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

pid_t crash_fork(void)
{
    fflush(stdout);
    const pid_t pid = fork();
    if (pid < 0)
        crash_die("fork: %s", strerror(errno));
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

void crash_file_write(const char *path, const uint8_t *bytes, size_t len)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len || ftruncate(fd, (off_t)len) < 0)
        crash_die("%s: %s", path, strerror(errno));
    close(fd);
}

size_t crash_file_read(const char *path, uint8_t *bytes, size_t max)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? pread(fd, bytes, max, 0) : -1;
    if (n < 0)
        crash_die("%s: %s", path, strerror(errno));
    close(fd);
    return (size_t)n;
}

static int folder_remove(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void clean_up(void)
{
    if (syscall(SYS_getpid) != owner)
        return;
    if (noise_pid > 0)
        kill(noise_pid, SIGKILL);
    nftw(crash_folder, folder_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* Measures how long this machine lets anybody wait. */
static void noise_run(void)
{
    for (;;) {
        const uint64_t start_ns = clock_monotonic_ns();
        const struct timespec pause = {.tv_nsec = (long)NOISE_NS};
        nanosleep(&pause, NULL);
        const uint64_t took_ns = clock_monotonic_ns() - start_ns;
        if (took_ns <= NOISE_NS)
            continue;
        atomic_fetch_add(&crash_shared->noise_sum_ns, took_ns - NOISE_NS);
        if (took_ns - NOISE_NS > atomic_load(&crash_shared->noise_ns))
            atomic_store(&crash_shared->noise_ns, took_ns - NOISE_NS);
    }
}

/* A stepped child and its tracer take turns, which is fastest on one processor. */
static void stay_on_one_cpu(void)
{
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof(all_cpus), &all_cpus) < 0)
        return;
    for (size_t cpu = CPU_SETSIZE - 1; cpu > 0; cpu--) {
        if (!CPU_ISSET(cpu, &all_cpus))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}

void crash_roam(void)
{
    sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
}

static void set_up(bool quick)
{
    owner = (pid_t)syscall(SYS_getpid);
    snprintf(crash_folder, sizeof(crash_folder), "%s/plasmite-crash-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(crash_folder) == NULL)
        crash_die("%s: %s", crash_folder, strerror(errno));
    atexit(clean_up);
    crash_shared = mmap(
        NULL, sizeof(*crash_shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crash_shared == MAP_FAILED)
        crash_die("mmap: %s", strerror(errno));
    noise_pid = crash_fork();
    if (noise_pid == 0)
        noise_run();
    workers_start(quick ? 4 : 12, step_done);
}

static void nothing(void) {}

static void listing_of(const char *path, struct listing *out_listing, const char *what)
{
    char failure[FAILURE_MAX] = "";
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    if (pool_open(path, POOL_READ, NULL, &pool, &err) != POOL_OK)
        crash_die("%s: %s", what, err->message);
    if (!listing_read(pool, out_listing, failure))
        crash_die("%s: %s", what, failure);
}

/* Does the scene on a copy, without stepping, to know what comes of it. */
static void rehearse(const struct scene *scene, bool append, struct listing *out_listing)
{
    static uint8_t bytes[STATE_BYTES_MAX];
    struct scene copy = *scene;

    crash_file_read(scene->path, bytes, scene->size);
    snprintf(copy.path, sizeof(copy.path), "%s/rehearsal", crash_folder);
    crash_file_write(copy.path, bytes, scene->size);
    if (!append)
        copy.n_messages = 0;
    crash_pretend_lease(scene->lease);
    scene_act(&copy, nothing);
    listing_of(copy.path, out_listing, scene->name);
}

/* The call gives up no message that it has room for. What it gives up when it is killed is held
 * against this, so a call that gave up all of them would be right. */
static void check_kept(const struct scene *scene)
{
    const struct listing *before = &crash_shared->before;
    const struct listing *after = &crash_shared->after;
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;

    if (pool_open(scene->path, POOL_READ, NULL, &pool, &err) != POOL_OK)
        crash_die("%s: %s", scene->name, err->message);
    for (uint64_t seq = before->first_seq; seq < before->next_seq; seq++)
        if (before->crcs[seq - before->first_seq] != 0 && seq < after->first_seq &&
            before->starts[seq - before->first_seq] + pool_ring_size(pool) >= after->end)
            crash_wrong("%s, round %u: seq %llu was given up for nothing", scene->name,
                scene->round, (unsigned long long)seq);
}

static void run_scene(const struct shape *shape, unsigned round, uint64_t seed, bool all_ways,
    struct step_counts *counts)
{
    struct scene scene;
    char path[96];

    snprintf(path, sizeof(path), "%s/stepped", crash_folder);
    scene_prepare(&scene, shape, round, seed, path);
    crash_shared->damaged_end = scene.damaged_end;
    if (scene.recovers)
        rehearse(&scene, false, &crash_shared->before);
    else
        listing_of(scene.path, &crash_shared->before, scene.name);
    rehearse(&scene, true, &crash_shared->after);
    if (!scene.recovers)
        check_kept(&scene);
    crash_shared->flushes = scene.flush;
    step_scene(&scene, all_ways, counts);
}

__attribute__((format(printf, 2, 3))) static void tap(uint64_t n_wrong, const char *format, ...)
{
    va_list args;
    printf("%s %u - ", atomic_load(&crash_shared->n_wrong) == n_wrong ? "ok" : "not ok", ++n_cases);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

/* All shapes, round after round, until there are enough states. */
static void run_states(uint64_t target, bool all_ways, uint64_t seed, struct step_counts *total)
{
    struct step_counts counts[32] = {0};
    uint64_t n_wrong[32] = {0};

    for (unsigned round = 0; total->n_states < target || round == 0; round++) {
        *total = (struct step_counts){0};
        for (size_t i = 0; i < crash_n_shapes; i++) {
            const uint64_t wrong_before = atomic_load(&crash_shared->n_wrong);
            run_scene(&crash_shapes[i], round, seed, all_ways, &counts[i]);
            n_wrong[i] += atomic_load(&crash_shared->n_wrong) - wrong_before;
            total->n_steps += counts[i].n_steps;
            total->n_states += counts[i].n_states;
            total->n_locked += counts[i].n_locked;
        }
    }
    const uint64_t all_wrong = atomic_load(&crash_shared->n_wrong);
    for (size_t i = 0; i < crash_n_shapes; i++)
        tap(all_wrong - n_wrong[i], "%s: %llu steps, %llu states, %llu of them locked",
            crash_shapes[i].name, (unsigned long long)counts[i].n_steps,
            (unsigned long long)counts[i].n_states, (unsigned long long)counts[i].n_locked);
}

static uint64_t run_folders(unsigned n_rounds, uint64_t seed)
{
    uint64_t n_states = 0;
    uint64_t n_wrong = atomic_load(&crash_shared->n_wrong);

    n_states += folder_create(true);
    n_states += folder_create(false);
    tap(n_wrong, "create: %llu states of the folder", (unsigned long long)n_states);
    n_wrong = atomic_load(&crash_shared->n_wrong);
    uint64_t n_repairs = 0;
    for (unsigned i = 0; i < n_rounds; i++)
        n_repairs += folder_repair(i % 2 == 0, seed + i);
    tap(n_wrong, "repair: %llu states of the folder", (unsigned long long)n_repairs);
    return n_states + n_repairs;
}

static void run_all(uint64_t n_states, unsigned n_kills, bool quick, uint64_t seed)
{
    struct step_counts total = {0};
    struct live_counts live = {0};
    const struct crash_shared *shared = crash_shared;

    run_states(n_states, !quick, seed, &total);
    total.n_states += run_folders(quick ? 6 : 100, seed);
    workers_stop();
    const uint64_t n_wrong = atomic_load(&shared->n_wrong);
    live_run(n_kills, seed, &live);
    tap(n_wrong, "kills among the living: %llu, %llu of them inside the lock",
        (unsigned long long)live.n_kills, (unsigned long long)live.n_inside);
    printf("1..%u\n", n_cases);
    printf("# opened and appended after a crash within %.1f ms, %llu times in over 200 ms; the "
           "machine pauses up to %.1f ms\n",
        (double)atomic_load(&shared->took_ns) / 1e6,
        (unsigned long long)atomic_load(&shared->n_late),
        (double)atomic_load(&shared->noise_ns) / 1e6);
    printf("# the living waited after a kill: p99 %.1f ms, max %.1f ms\n",
        (double)live.p99_ns / 1e6, (double)live.max_ns / 1e6);
    printf(
        "# proof: crash at every step: %llu instructions, %llu distinct states (%llu with a lock "
        "held), opened %llu times; %llu kills among the living (%llu inside the lock), %llu "
        "messages acknowledged; %llu wrong\n",
        (unsigned long long)total.n_steps, (unsigned long long)total.n_states,
        (unsigned long long)total.n_locked, (unsigned long long)atomic_load(&shared->n_checked),
        (unsigned long long)live.n_kills, (unsigned long long)live.n_inside,
        (unsigned long long)live.n_acked, (unsigned long long)atomic_load(&shared->n_wrong));
}

static unsigned long long number_of(int argc, char **argv, int i, unsigned long long otherwise)
{
    return i < argc ? strtoull(argv[i], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    const char *text = getenv("PLSM_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : clock_wall_ns();
    const bool quick = argc < 2 || strcmp(argv[1], "quick") == 0;
    const bool one = argc == 4 && strcmp(argv[1], "one") == 0;

    process_cpus(); /* before it becomes one: whoever waits for a lock spins first */
    set_up(quick);
    stay_on_one_cpu();
    printf("# PLSM_SEED=%llu\n", (unsigned long long)seed);
    if (one) {
        const size_t shape = (size_t)number_of(argc, argv, 2, 0) % crash_n_shapes;
        struct step_counts counts = {0};
        run_scene(&crash_shapes[shape], (unsigned)number_of(argc, argv, 3, 0), seed, true, &counts);
        tap(0, "%s: %llu steps, %llu states", crash_shapes[shape].name,
            (unsigned long long)counts.n_steps, (unsigned long long)counts.n_states);
        printf("1..1\n");
        workers_stop();
    } else {
        run_all(number_of(argc, argv, 2, quick ? QUICK_STATES : LONG_STATES),
            (unsigned)number_of(argc, argv, 3, quick ? QUICK_KILLS : LONG_KILLS), quick, seed);
    }
    return atomic_load(&crash_shared->n_wrong) > 0;
}
