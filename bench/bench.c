#include "bench/bench.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- arguments and results ----------------------------------------------------------------- */

static int n_args;
static char **args;

#define RESULTS_MAX 64

static struct {
    char name[48];
    double value;
} results[RESULTS_MAX];
static size_t n_results;

void bench_die(const char *file, int line, const char *format, ...)
{
    va_list list;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

const char *arg_text(const char *name, const char *fallback)
{
    const size_t len = strlen(name);

    for (int i = 0; i < n_args; i++)
        if (strncmp(args[i], name, len) == 0 && args[i][len] == '=')
            return args[i] + len + 1;
    return fallback;
}

const char *arg_need(const char *name)
{
    const char *text = arg_text(name, NULL);

    bench_check(text, "the argument %s=... is missing", name);
    return text;
}

uint64_t arg_number(const char *name, uint64_t fallback)
{
    const char *text = arg_text(name, NULL);
    char *end = NULL;

    if (!text)
        return fallback;
    const uint64_t value = strtoull(text, &end, 10);
    bench_check(end != text && *end == '\0', "%s=%s is not a number", name, text);
    return value;
}

char *bench_path(const char *name)
{
    char *path = NULL;

    bench_check(asprintf(&path, "%s/%s", arg_need("dir"), name) > 0, "out of memory");
    return path;
}

uint64_t bench_duration_ns(void)
{
    return arg_number("ms", 200) * UINT64_C(1000000);
}

uint64_t bench_pool_bytes(void)
{
    return arg_number("pool_mib", 64) << 20;
}

uint64_t bench_messages(void)
{
    const uint64_t n = arg_number("messages", 200000);

    bench_check(n > 0 && n % PAYLOAD_VARIANTS == 0, "messages=%llu: not a multiple of %u",
        (unsigned long long)n, PAYLOAD_VARIANTS);
    return n;
}

void report(const char *name, double value)
{
    bench_check(n_results < RESULTS_MAX, "too many results");
    snprintf(results[n_results].name, sizeof(results[0].name), "%s", name);
    results[n_results].value = value;
    n_results++;
}

void report_rate(const char *name, uint64_t n, uint64_t elapsed_ns)
{
    bench_check(n > 0 && elapsed_ns > 0, "%s: nothing was measured", name);
    report(name, (double)n * 1e9 / (double)elapsed_ns);
}

int main(int argc, char **argv)
{
    const struct bench_op *op = bench_ops;

    bench_check(argc >= 2, "usage: %s OPERATION [NAME=VALUE...]", argv[0]);
    n_args = argc - 2;
    args = argv + 2;
    while (op->name && strcmp(op->name, argv[1]) != 0)
        op++;
    bench_check(op->name, "%s has no operation %s", argv[0], argv[1]);
    op->run();

    for (size_t i = 0; i < n_results; i++)
        printf("%s\"%s\":%.9g", i ? "," : "{", results[i].name, results[i].value);
    puts(n_results ? "}" : "{}");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- small things -------------------------------------------------------------------------- */

uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

void sleep_until_ns(uint64_t moment_ns)
{
    const struct timespec t = {
        .tv_sec = (time_t)(moment_ns / UINT64_C(1000000000)),
        .tv_nsec = (long)(moment_ns % UINT64_C(1000000000)),
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

void write_all(int fd, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        const ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        bench_check(n > 0, "write: %s", strerror(errno));
        at += n;
        len -= (size_t)n;
    }
}

void *map_shared(size_t size_bytes)
{
    void *memory = mmap(
        NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    bench_check(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

/* ---- payloads ------------------------------------------------------------------------------ */

/* About half of the short messages get something that is not plain ASCII out of this. */
static const char filler[] =
    "payment accepted after the second attempt, the ledger of the warehouse was updated and the "
    "courier told; caf\xc3\xa9 na\xc3\xafve \\\"quoted\\\" C:\\\\temp\\n, next step in 250 ms. "
    "Nothing else is waiting in this queue; the next delivery leaves at nine from the north gate, "
    "and whoever signs for it gets the invoice with the usual discount of three per cent. ";

/* Fills what is left of a message with text, never cutting an escape or a character in two. */
static size_t payload_fill(uint8_t *out, size_t room, uint32_t i)
{
    size_t n = 0;

    while (n < room) {
        const uint8_t *at = (const uint8_t *)filler + (7 * (size_t)i + n) % (sizeof(filler) - 1);
        size_t unit = *at == '\\' ? 2 : 1;
        while ((at[unit] & 0xc0) == 0x80)
            unit++;
        /* The start may lie within an escape or a character, and the end may leave no room. */
        if ((*at & 0xc0) == 0x80 || *at == '"' || n + unit > room) {
            out[n++] = '.';
            continue;
        }
        memcpy(out + n, at, unit);
        n += unit;
    }
    return n;
}

/* One object of exactly `size` bytes. */
static void payload_object(char *out, size_t size, uint32_t writer, uint32_t i, const char *blank)
{
    char text[PAYLOAD_MAX];
    const int n = snprintf(text, sizeof(text),
        "{\"id\":%s%u,%s\"writer\":%s%u,%s\"level\":%s\"%s\",%s\"ok\":%strue,"
        "%s\"ratio\":%s-0.%u25,"
        "%s\"user\":%s{\"name\":%s\"Ann Lee\",%s\"roles\":%s[\"ops\",%s\"dev\"]},"
        "%s\"msg\":%s\"",
        blank, 1000 + i, blank, blank, writer, blank, blank,
        i == PAYLOAD_VARIANTS - 1 ? "error" : "info", blank, blank, blank, blank, i, blank, blank,
        blank, blank, blank, blank, blank, blank);

    bench_check(n > 0 && (size_t)n + 2 < size, "no payload of %zu bytes", size);
    memcpy(out, text, (size_t)n);
    const size_t room = size - (size_t)n - 2;
    const size_t end = (size_t)n + payload_fill((uint8_t *)out + n, room, i);
    out[end] = '"';
    out[end + 1] = '}';
}

/* A list of such objects, again of exactly `size` bytes. */
static void payload_list(char *out, size_t size, uint32_t writer, uint32_t i, const char *blank)
{
    size_t at = (size_t)snprintf(out, size, "{\"list\":%s[", blank);

    while (size - at > 512 + 16) {
        payload_object(out + at, 256, writer, i, blank);
        at += 256;
        at += (size_t)snprintf(out + at, size - at, ",%s", blank);
    }
    payload_object(out + at, size - at - 2, writer, i, blank);
    out[size - 2] = ']';
    out[size - 1] = '}';
}

static void payload_make(char *out, size_t size, uint32_t writer, uint32_t i, const char *blank)
{
    if (size >= 1024)
        payload_list(out, size, writer, i, blank);
    else if (size >= 128)
        payload_object(out, size, writer, i, blank);
    else /* a number with as many digits as it takes */
        snprintf(out, PAYLOAD_MAX, "{\"n\":1%0*u}", (int)size - 7, writer * PAYLOAD_VARIANTS + i);
}

static struct payloads *payloads_make(size_t size, uint32_t writer, const char *blank)
{
    struct payloads *payloads = calloc(1, sizeof(*payloads));
    char text[PAYLOAD_MAX];

    bench_check(payloads, "out of memory");
    bench_check(size >= 12 && size <= PAYLOAD_MAX, "no payload of %zu bytes", size);
    payloads->size = size;
    payloads->stride = (size + 63) / 64 * 64;
    payloads->text = aligned_alloc(64, PAYLOAD_VARIANTS * payloads->stride);
    bench_check(payloads->text, "out of memory");
    for (uint32_t i = 0; i < PAYLOAD_VARIANTS; i++) {
        payload_make(text, size, writer, i, blank);
        memcpy(payloads->text + i * payloads->stride, text, size);
    }
    return payloads;
}

struct payloads *payloads_new(size_t size, uint32_t writer)
{
    return payloads_make(size, writer, "");
}

struct payloads *payloads_new_spaced(size_t size, uint32_t writer)
{
    return payloads_make(size, writer, " ");
}

void payload_check_init(struct payload_check *check, size_t size, uint32_t n_writers)
{
    bench_check(n_writers <= PAYLOAD_WRITERS, "%u writers are too many to check", n_writers);
    memset(check, 0, sizeof(*check));
    for (uint32_t i = 0; i < n_writers; i++)
        check->payloads[i] = payloads_new(size, i);
}

/* Which message of a writer this is: the number is looked for where it is expected first. */
static bool payload_is(const struct payloads *payloads, uint64_t i, struct view data)
{
    return view_equal(payload_at(payloads, i), data);
}

void payload_check_next(struct payload_check *check, struct view data)
{
    for (uint32_t w = 0; w < PAYLOAD_WRITERS && check->payloads[w]; w++) {
        if (check->started[w]) {
            if (!payload_is(check->payloads[w], check->next[w], data))
                continue;
            check->next[w]++;
            check->n_seen++;
            return;
        }
        for (uint64_t i = 0; i < PAYLOAD_VARIANTS; i++) {
            if (!payload_is(check->payloads[w], i, data))
                continue;
            check->started[w] = true;
            check->next[w] = i + 1;
            check->n_seen++;
            return;
        }
    }
    bench_fail("message %llu is not the next of any writer: %.*s",
        (unsigned long long)check->n_seen, (int)(data.len > 80 ? 80 : data.len),
        (const char *)data.data);
}

/* ---- samples ------------------------------------------------------------------------------- */

void samples_init(struct samples *samples, size_t capacity)
{
    samples->n = 0;
    samples->capacity = capacity;
    samples->values_ns = malloc(capacity * sizeof(uint32_t));
    bench_check(samples->values_ns, "out of memory");
    memset(samples->values_ns, 1, capacity * sizeof(uint32_t)); /* touched before it is timed */
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

double samples_share_ns(struct samples *samples, double share)
{
    bench_check(samples->n > 0, "no samples");
    qsort(samples->values_ns, samples->n, sizeof(uint32_t), compare_u32);
    size_t rank = (size_t)((double)samples->n * share);
    if (rank >= samples->n)
        rank = samples->n - 1;
    return (double)samples->values_ns[rank];
}

void report_samples(const char *prefix, struct samples *samples)
{
    static const struct {
        const char *name;
        double share;
    } shares[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};

    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
        char name[48];
        snprintf(name, sizeof(name), "%s_%s", prefix, shares[i].name);
        report(name, samples_share_ns(samples, shares[i].share) / 1e3);
    }
}

/* ---- workers ------------------------------------------------------------------------------- */

struct board {
    _Atomic uint32_t n_ready;
    _Atomic uint64_t start_ns; /* 0: not yet */
    struct {
        _Alignas(64) uint64_t n;
        uint64_t end_ns;
    } worker[64];
};

static void worker_main(const struct workers *workers, struct board *board, uint32_t i)
{
    void *state = workers->prepare(i);

    atomic_fetch_add(&board->n_ready, 1);
    while (atomic_load(&board->start_ns) == 0)
        usleep(50);
    const uint64_t start = atomic_load(&board->start_ns);
    sleep_until_ns(start);
    board->worker[i].n = workers->work(state, i, start + workers->duration_ns);
    board->worker[i].end_ns = now_ns();
    if (workers->finish)
        workers->finish(state);
    _exit(0);
}

uint64_t workers_run(const struct workers *workers, uint64_t *out_elapsed_ns)
{
    struct board *board = map_shared(sizeof(*board));
    pid_t pids[64];
    uint64_t n = 0;
    uint64_t end = 0;

    bench_check(workers->n > 0 && workers->n <= 64, "%u workers", workers->n);
    for (uint32_t i = 0; i < workers->n; i++) {
        pids[i] = fork();
        bench_check(pids[i] >= 0, "fork: %s", strerror(errno));
        if (pids[i] == 0)
            worker_main(workers, board, i);
    }
    while (atomic_load(&board->n_ready) < workers->n) {
        const pid_t dead = waitpid(-1, NULL, WNOHANG);
        bench_check(dead <= 0, "a worker process ended early");
        usleep(200);
    }
    const uint64_t start = now_ns() + 1000000;
    atomic_store(&board->start_ns, start);
    for (uint32_t i = 0; i < workers->n; i++) {
        bench_check(spawn_wait(pids[i]) == 0, "worker %u failed", i);
        n += board->worker[i].n;
        end = board->worker[i].end_ns > end ? board->worker[i].end_ns : end;
    }
    *out_elapsed_ns = end - start;
    munmap(board, sizeof(*board));
    return n;
}

/* ---- child processes ----------------------------------------------------------------------- */

pid_t spawn(const char *const *argv, int stdin_fd, int stdout_fd)
{
    posix_spawn_file_actions_t actions;
    pid_t pid = -1;

    posix_spawn_file_actions_init(&actions);
    if (stdin_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, stdin_fd, 0);
    else
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (stdout_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, stdout_fd, 1);
    else
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    /* posix_spawn takes its strings as not const, and changes none of them. */
    char **argv_of_spawn = NULL;
    memcpy(&argv_of_spawn, &argv, sizeof(argv_of_spawn));
    const int r = posix_spawnp(&pid, argv[0], &actions, NULL, argv_of_spawn, environ);
    posix_spawn_file_actions_destroy(&actions);
    bench_check(r == 0, "cannot start %s: %s", argv[0], strerror(r));
    return pid;
}

int spawn_wait(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        bench_check(errno == EINTR, "waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void pipe_open(int out_fds[2])
{
    bench_check(pipe2(out_fds, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
}
