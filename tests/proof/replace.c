/* Files that are cut, lengthened, renamed over or deleted and made anew, before they are opened and
 * while four readers and two writers use them, half of them the shipped programs: nobody dies by a
 * signal, all that must end do so within a moment and say why, and other pools are served on.
 *
 *     replace quick|long
 *
 * Nobody is asked to notice within less than 250 ms; only what takes longer than 500 ms three
 * times in a row counts as late, because other programs want the machine, too. */
#include "base/clock.h"
#include "engine/pool.h"
#include "os/guard.h"
#include "proof.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POOL_BYTES  65536
#define STEP        512
#define LATE_NS     (500 * NS_PER_MS)
#define PATIENCE_NS (20 * NS_PER_SECOND)
#define TRIES       3
#define ACTORS      6
#define LATENCIES   65536
#define EXIT_WRONG  99 /* of a child of ours: something else went wrong */

/* What is done to a file. */
enum deed {
    CUT,
    LENGTHEN,
    RENAME_OVER,
    REMAKE, /* unlink and create */
    N_DEEDS,
};

static const char *const deed_names[N_DEEDS] = {"cut", "lengthen", "rename over", "remake"};

struct actor {
    const char *name;
    pid_t pid;
    int in;  /* -1: it takes nothing */
    int out; /* what it did, in any form; -1: it has ended */
    uint64_t n_bytes;
    uint64_t ended_ns;
    int status;
};

static char folder[64];
static char program[4096];
static char used_path[80];
static char other_path[80];
static char spare_path[80];
static struct actor other; /* uses another pool from first to last */
static uint64_t latencies[LATENCIES];
static size_t n_latencies;
static uint64_t n_wrong;
static uint64_t n_signals;
static uint64_t n_noise;
static uint64_t n_ended;

__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
    va_list args;
    if (n_wrong++ > 40)
        return;
    fputs("# ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void pool_fill(const char *path, unsigned n)
{
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    struct pool *pool = NULL;
    struct appended appended;

    must(pool_create(path, &options, NULL) == 0);
    must(pool_open(path, POOL_WRITE, NULL, &pool, NULL) == POOL_OK);
    for (unsigned i = 0; i < n; i++) {
        const struct message message = {.data = view_str("{\"n\":1,\"text\":\"of a usual size\"}")};
        must(pool_append(pool, &message, 1, &appended, NULL) == POOL_OK);
    }
    pool_close(pool);
}

static void pool_make_anew(const char *path, unsigned n)
{
    unlink(path);
    pool_fill(path, n);
}

static void deed_do(enum deed deed, uint64_t len)
{
    switch (deed) {
    case CUT:
    case LENGTHEN: must(truncate(used_path, (off_t)len) == 0); break;
    case RENAME_OVER: must(rename(spare_path, used_path) == 0); break;
    case REMAKE:
    case N_DEEDS:
    default: pool_make_anew(used_path, 10); break;
    }
}

/* Our own readers and writers --------------------------------------------------------------------*/

/* What a child works with. It tells by a byte that it got on, and by its exit code, which is the
 * kind of the error, why it ended. */
struct work {
    int out;
    struct pool *pool;
    struct pool *other; /* must be served on */
    plsm_error_t *err;
    uint64_t n;
};

static void work_tell(struct work *work)
{
    if (work->n++ % 16 == 0)
        must(write(work->out, "+", 1) == 1);
}

static void work_pause(long us)
{
    const struct timespec pause = {.tv_nsec = us * 1000};
    nanosleep(&pause, NULL);
}

/* Ends the child; the other pool must be as good as ever. */
static void work_end(struct work *work, int kind)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    struct appended appended;
    const struct message message = {.data = view_str("{\"still\":\"served\"}")};

    cursor_oldest(&cursor, work->other);
    must(cursor_next(&cursor, &frame, &gap, NULL) == CURSOR_FRAME);
    must(pool_append(work->other, &message, 1, &appended, NULL) == POOL_OK);
    _exit(kind);
}

static void work_failed(struct work *work)
{
    must(work->err != NULL);
    work_end(work, work->err->kind);
}

static void work_check(struct work *work)
{
    const int r = pool_check_file(work->pool, &work->err);
    if (r == POOL_DELETED)
        work_end(work, PLSM_ERROR_NOT_FOUND);
    if (r < 0)
        work_failed(work);
}

static void work_follow(struct work *work)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    cursor_oldest(&cursor, work->pool);
    for (;;) {
        int r = cursor_next(&cursor, &frame, &gap, &work->err);
        if (r == CURSOR_FRAME)
            work_tell(work);
        if (r == CURSOR_EMPTY) {
            r = follow_wait(&cursor, DEADLINE_NEVER, &work->err);
            if (r == FOLLOW_DELETED)
                work_end(work, PLSM_ERROR_NOT_FOUND);
        }
        if (r < 0)
            work_failed(work);
    }
}

/* Reads everything again and again, in every way. */
static void work_scan(struct work *work)
{
    struct pool_info info;
    struct pool_report report;
    struct frame frame;
    struct gap gap;
    struct cursor cursor;

    for (;;) {
        if (pool_info(work->pool, &info, &work->err) < 0 ||
            pool_verify(work->pool, &report, &work->err) < 0 ||
            pool_get(work->pool, info.newest_seq, &frame, &work->err) < 0)
            work_failed(work);
        cursor_oldest(&cursor, work->pool);
        for (int i = 0; i < 100; i++)
            if (cursor_next(&cursor, &frame, &gap, &work->err) < 0)
                work_failed(work);
        work_tell(work);
        work_check(work);
        work_pause(1000);
    }
}

static void work_append(struct work *work)
{
    const struct message messages[3] = {{.data = view_str("{\"a\":1}")},
        {.data = view_str("{\"b\":\"somewhat longer than that\"}")}, {.data = view_str("{}")}};
    struct appended appended;

    for (unsigned i = 0;; i++) {
        if (pool_append(work->pool, messages, 3, &appended, &work->err) < 0 ||
            (i % 16 == 0 && pool_flush(work->pool, &work->err) < 0))
            work_failed(work);
        work_tell(work);
        if (i % 16 == 0)
            work_check(work);
        work_pause(500);
    }
}

/* On the other pool, from first to last: ends well when it is told to. */
static void work_other(struct work *work)
{
    const struct message message = {.data = view_str("{\"other\":\"pool\"}")};
    struct appended appended;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    uint64_t seen = 0;

    cursor_newest(&cursor, work->other);
    while (getppid() != 1 && write(work->out, "+", 1) == 1) {
        must(pool_append(work->other, &message, 1, &appended, &work->err) == POOL_OK);
        for (;;) { /* others append, too */
            const int r = cursor_next(&cursor, &frame, &gap, &work->err);
            if (r != CURSOR_FRAME)
                fprintf(stderr, "# the other pool: %d after seq %llu: %s\n", r,
                    (unsigned long long)seen, work->err != NULL ? work->err->message : "no error");
            must(r == CURSOR_FRAME);
            must(seen == 0 || frame.seq == seen + 1);
            seen = frame.seq;
            if (seen >= appended.first_seq)
                break;
        }
        work_pause(1000);
    }
    _exit(0);
}

static void child_run(int out, enum pool_mode mode, void (*run)(struct work *work))
{
    struct work work = {.out = out};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(guard_install() == 0);
    must(pool_open(other_path, POOL_WRITE, NULL, &work.other, NULL) == POOL_OK);
    must(pool_open(used_path, mode, NULL, &work.pool, NULL) == POOL_OK);
    run(&work);
    _exit(EXIT_WRONG);
}

static void actor_start_child(
    struct actor *actor, const char *name, enum pool_mode mode, void (*run)(struct work *work))
{
    int out[2];
    must(pipe2(out, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        close(out[0]);
        child_run(out[1], mode, run);
    }
    close(out[1]);
    *actor = (struct actor){.name = name, .pid = pid, .in = -1, .out = out[0]};
}

/* The shipped program ----------------------------------------------------------------------------*/

/* Its last argument is followed by NULL. */
static void actor_start_program(struct actor *actor, const char *name, const char *const *arguments)
{
    int in[2];
    int out[2];
    must(pipe2(in, O_CLOEXEC) == 0);
    must(pipe2(out, O_CLOEXEC) == 0);
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        must(dup2(in[0], STDIN_FILENO) >= 0 && dup2(out[1], STDOUT_FILENO) >= 0);
        must(getenv("PLSM_TELL") != NULL || dup2(null, STDERR_FILENO) >= 0);
        execv(program, (char *const *)(uintptr_t)arguments);
        _exit(EXIT_WRONG);
    }
    close(in[0]);
    close(out[1]);
    must(fcntl(in[1], F_SETFL, O_NONBLOCK) == 0);
    *actor = (struct actor){.name = name, .pid = pid, .in = in[1], .out = out[0]};
}

/* Watching them ----------------------------------------------------------------------------------*/

static void actor_ended(struct actor *actor)
{
    actor->ended_ns = clock_monotonic_ns();
    close(actor->out);
    actor->out = -1;
    if (actor->in >= 0)
        close(actor->in);
    must(waitpid(actor->pid, &actor->status, 0) == actor->pid);
    n_ended++;
    if (WIFSIGNALED(actor->status)) {
        n_signals++;
        wrong("%s died by signal %d", actor->name, WTERMSIG(actor->status));
    }
}

/* One look at all of them; those that take input get a line. */
static void actors_look(struct actor *actors, size_t n)
{
    static const char line[] = "{\"fed\":\"by the program\"}\n";
    struct pollfd polls[ACTORS];
    char bytes[65536];

    for (size_t i = 0; i < n; i++) {
        polls[i] = (struct pollfd){.fd = actors[i].out, .events = POLLIN};
        if (actors[i].out >= 0 && actors[i].in >= 0)
            (void)!write(actors[i].in, line, sizeof(line) - 1);
    }
    (void)poll(polls, n, 1);
    for (size_t i = 0; i < n; i++) {
        if (actors[i].out < 0 || polls[i].revents == 0)
            continue;
        const ssize_t len = read(actors[i].out, bytes, sizeof(bytes));
        if (len == 0)
            actor_ended(&actors[i]);
        else if (len > 0)
            actors[i].n_bytes += (uint64_t)len;
    }
}

/* Waits until each has done something more, or has ended. */
static void actors_get_on(struct actor *actors, size_t n)
{
    uint64_t before[ACTORS];
    const uint64_t deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
    size_t left = n;

    for (size_t i = 0; i < n; i++)
        before[i] = actors[i].n_bytes;
    while (left > 0 && clock_monotonic_ns() < deadline_ns) {
        actors_look(actors, n);
        left = 0;
        for (size_t i = 0; i < n; i++)
            left += actors[i].out >= 0 && actors[i].n_bytes == before[i];
    }
    for (size_t i = 0; i < n && left > 0; i++)
        if (actors[i].out >= 0 && actors[i].n_bytes == before[i])
            wrong("%s does not get on", actors[i].name);
}

/* Waits until all have ended, and checks their exit codes. Returns the longest time it took one. */
static uint64_t actors_end(
    struct actor *actors, size_t n, uint64_t since_ns, int code, const char *what)
{
    uint64_t longest_ns = 0;
    size_t left = n;

    while (left > 0 && clock_monotonic_ns() - since_ns < PATIENCE_NS) {
        actors_look(actors, n);
        left = 0;
        for (size_t i = 0; i < n; i++)
            left += actors[i].out >= 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct actor *actor = &actors[i];
        if (actor->out >= 0) {
            wrong("%s: %s does not end", what, actor->name);
            kill(actor->pid, SIGKILL);
            must(waitpid(actor->pid, &actor->status, 0) == actor->pid);
            close(actor->out);
            continue;
        }
        if (WIFEXITED(actor->status) && WEXITSTATUS(actor->status) != code)
            wrong("%s: %s ended with %d, not %d", what, actor->name, WEXITSTATUS(actor->status),
                code);
        const uint64_t took_ns = actor->ended_ns > since_ns ? actor->ended_ns - since_ns : 0;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        if (n_latencies < LATENCIES)
            latencies[n_latencies++] = took_ns;
    }
    return longest_ns;
}

/* Runs a case again if it was late. */
static void case_try(uint64_t (*run)(enum deed deed, uint64_t len), enum deed deed, uint64_t len)
{
    for (int i = 0; i < TRIES; i++) {
        const uint64_t took_ns = run(deed, len);
        if (took_ns <= LATE_NS)
            return;
        n_noise++;
    }
    wrong("%s to %llu: noticed late, three times", deed_names[deed], (unsigned long long)len);
}

static void actors_start(struct actor actors[static ACTORS])
{
    const char *const follow[] = {program, "follow", used_path, "--jsonl", NULL};
    const char *const where[] = {
        program, "follow", used_path, "--jsonl", "--tail", "5", "--where", ".data.a == 1", NULL};
    const char *const feed[] = {program, "feed", used_path, NULL};

    actor_start_child(&actors[0], "a follower", POOL_READ, work_follow);
    actor_start_child(&actors[1], "a scanner", POOL_READ, work_scan);
    actor_start_child(&actors[2], "a writer", POOL_WRITE, work_append);
    actor_start_program(&actors[3], "plasmite follow", follow);
    actor_start_program(&actors[4], "plasmite follow --where", where);
    actor_start_program(&actors[5], "plasmite feed", feed);
}

/* Something is done to a file that six processes use. */
static uint64_t case_in_use(enum deed deed, uint64_t len)
{
    struct actor actors[ACTORS];
    char what[64];

    snprintf(what, sizeof(what), "%s to %llu", deed_names[deed], (unsigned long long)len);
    pool_make_anew(used_path, 500);
    pool_make_anew(spare_path, 10);
    actors_start(actors);
    actors_get_on(actors, ACTORS);
    uint64_t since_ns = clock_monotonic_ns();
    deed_do(deed, len);
    if (deed == LENGTHEN) { /* that harms nobody; then it is deleted */
        actors_get_on(actors, ACTORS);
        for (size_t i = 0; i < ACTORS; i++)
            if (actors[i].out < 0)
                wrong("%s: %s ended", what, actors[i].name);
        since_ns = clock_monotonic_ns();
        must(unlink(used_path) == 0);
    }
    return actors_end(
        actors, ACTORS, since_ns, deed == CUT ? PLSM_ERROR_CORRUPT : PLSM_ERROR_NOT_FOUND, what);
}

static void open_here(enum pool_mode mode, int code, const char *what)
{
    plsm_error_t *err = NULL;
    struct pool *pool = NULL;
    const int r = pool_open(used_path, mode, NULL, &pool, &err);
    if (r != (code == 0 ? POOL_OK : -1) || (r == -1 && err->kind != code))
        wrong("%s: opening gave %d, %s", what, r, err != NULL ? err->message : "no error");
    plsm_error_free(err);
    pool_close(pool);
}

/* Something was done before anybody opens the file. */
static uint64_t case_before_open(enum deed deed, uint64_t len)
{
    const char *const commands[][6] = {{program, "feed", used_path, "{}", NULL},
        {program, "follow", used_path, "--tail", "1", NULL}, {program, "doctor", used_path, NULL},
        {program, "pool", "info", used_path, NULL}};
    const size_t n = sizeof(commands) / sizeof(commands[0]);
    const int code = deed == CUT ? PLSM_ERROR_CORRUPT : 0;
    struct actor actors[ACTORS];
    char what[64];

    snprintf(what, sizeof(what), "%s to %llu before", deed_names[deed], (unsigned long long)len);
    pool_make_anew(used_path, 500);
    pool_make_anew(spare_path, 10);
    deed_do(deed, len);
    open_here(POOL_READ, code, what);
    open_here(POOL_WRITE, code, what);
    size_t n_started = 0;
    const uint64_t since_ns = clock_monotonic_ns();
    for (size_t i = 0; i < n; i++)
        if (code != 0 || i != 1) /* a follower of a sound pool has no end */
            actor_start_program(&actors[n_started++], commands[i][1], commands[i]);
    return actors_end(actors, n_started, since_ns, code, what);
}

static uint64_t cases_run(
    uint64_t (*run)(enum deed deed, uint64_t len), const uint64_t counts[N_DEEDS])
{
    uint64_t n = 0;
    for (int deed = 0; deed < N_DEEDS; deed++) {
        const uint64_t lengths = POOL_BYTES / STEP;
        for (uint64_t i = 0; i < counts[deed]; i++, n++) {
            const uint64_t step = i * lengths / counts[deed] % lengths;
            const uint64_t len = deed == LENGTHEN ? POOL_BYTES + (1 + step) * STEP : step * STEP;
            case_try(run, (enum deed)deed, len);
            actors_get_on(&other, 1); /* it is served, and what it says is taken */
        }
    }
    return n;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void latencies_print(uint64_t n_cases)
{
    qsort(latencies, n_latencies, sizeof(latencies[0]), compare);
    must(n_latencies > 0);
    printf("# proof: replace: %llu cases, %llu processes ended, %llu by a signal, told within "
           "p50 %.1f ms, p99 %.1f ms, max %.1f ms, %llu wrong\n",
        (unsigned long long)n_cases, (unsigned long long)n_ended, (unsigned long long)n_signals,
        (double)latencies[n_latencies / 2] / 1e6, (double)latencies[n_latencies * 99 / 100] / 1e6,
        (double)latencies[n_latencies - 1] / 1e6, (unsigned long long)n_wrong);
}

static void clean(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void start(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    must(sigaction(SIGPIPE, &ignore, NULL) == 0);
    proof_folder(folder);
    snprintf(used_path, sizeof(used_path), "%s/pool", folder);
    snprintf(other_path, sizeof(other_path), "%s/other", folder);
    snprintf(spare_path, sizeof(spare_path), "%s/spare", folder);
    pool_fill(other_path, 10);

    /* beside the folder tests/proof of the build this is part of */
    char self[sizeof(program) - 16];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    must(len > 0);
    self[len] = '\0';
    for (int i = 0; i < 3; i++)
        *strrchr(self, '/') = '\0';
    snprintf(program, sizeof(program), "%s/plasmite", self);
    must(access(program, X_OK) == 0);
}

int main(int argc, char **argv)
{
    static const uint64_t quick_counts[2][N_DEEDS] = {{16, 4, 2, 2}, {12, 4, 4, 4}};
    static const uint64_t long_counts[2][N_DEEDS] = {{128, 128, 8, 8}, {1024, 256, 224, 224}};
    const bool quick = argc > 1 && strcmp(argv[1], "quick") == 0;
    const uint64_t(*counts)[N_DEEDS] = quick ? quick_counts : long_counts;

    start();
    pool_make_anew(used_path, 10);
    actor_start_child(&other, "the other pool's user", POOL_READ, work_other);
    actors_get_on(&other, 1);
    const uint64_t n_before = cases_run(case_before_open, counts[0]);
    printf("%sok 1 - before it is opened: %llu cases\n", n_wrong > 0 ? "not " : "",
        (unsigned long long)n_before);
    uint64_t wrong_before = n_wrong;
    const uint64_t n_in_use = cases_run(case_in_use, counts[1]);
    printf("%sok 2 - under 4 readers and 2 writers: %llu cases\n",
        n_wrong > wrong_before ? "not " : "", (unsigned long long)n_in_use);

    wrong_before = n_wrong;
    actors_get_on(&other, 1);
    close(other.out); /* its next word goes nowhere: it ends */
    must(waitpid(other.pid, &other.status, 0) == other.pid);
    if (!WIFEXITED(other.status) || WEXITSTATUS(other.status) != 0)
        wrong("the other pool's user ended with status %#x", (unsigned)other.status);
    printf(
        "%sok 3 - other pools are served meanwhile\n1..3\n", n_wrong > wrong_before ? "not " : "");
    printf("# %llu cases were repeated because they took longer than 500 ms\n",
        (unsigned long long)n_noise);
    latencies_print(n_before + n_in_use);
    clean();
    return n_wrong == 0 ? 0 : 1;
}
