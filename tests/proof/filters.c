/* Filters that are meant to do harm.
 *
 * Within a budget each of filters_list.c must end in time, in little memory and with an answer or
 * an error, while a harmless filter beside it goes on. In the program of the command line, which
 * trusts its user, each must be ended by a signal at once.
 *
 *     filters quick     a sample; PLSM_SEED= repeats it
 *     filters long      all of them, and expressions made by chance for PLSM_SECONDS (60) */
#include "filters.h"

#include "base/buf.h"
#include "base/clock.h"
#include "json/filter_budget.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUICK_BUDGETED 45
#define QUICK_TOLD     20
#define TEXT_LEN       65536
#define MEMBERS        3000
#define NESTED         1000

/* 250 ms are promised to who has a processor to himself: of CPU time, to compile, to match and to
 * end. How long it takes by the clock depends on others, too. */
#define CPU_MS        600
#define LATE_NS       (3000 * NS_PER_MS)
#define PROMISED_NS   (250 * NS_PER_MS)
#define MEMORY_KIB    65536
#define TOLD_LATE_NS  (2000 * NS_PER_MS)
#define BUSY_MS       150 /* CPU time that says: it is in the filter */
#define CLI_MEMORY    (UINT64_C(1) << 30)
#define ARGUMENT_MAX  120000 /* of one argument, on Linux */
#define ARGUMENTS_MAX 16
#define DEADLINE_S    60

static unsigned n_cases, n_failures;
static uint64_t seed, rng_state;

static uint64_t rng_next(void)
{
    rng_state = rng_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return rng_state >> 33;
}

static void check(bool held, const char *what, const char *expression)
{
    if (held)
        return;
    n_failures++;
    printf("# %s: %.200s\n", what, expression);
    fflush(stdout);
}

static void result(const char *name, unsigned failures_before)
{
    printf("%sok %u %s\n", n_failures == failures_before ? "" : "not ", ++n_cases, name);
    fflush(stdout);
}

/* --- the message --- */

static struct buf data;

static void data_add(int r)
{
    if (r < 0)
        abort();
}

static void data_make(void)
{
    data_add(buf_append_str(&data, "{\"s\":\""));
    for (int i = 0; i < TEXT_LEN; i++)
        data_add(buf_append_str(&data, i == TEXT_LEN - 1 ? "b" : "a"));
    data_add(buf_append_str(&data, "\",\"l\":[0"));
    for (int i = 1; i < MEMBERS; i++)
        data_add(buf_appendf(&data, ",%d", i));
    data_add(buf_append_str(&data, "],\"o\":{\"k\":0"));
    for (int i = 1; i < MEMBERS; i++)
        data_add(buf_appendf(&data, ",\"k%d\":%d", i, i));
    data_add(buf_append_str(&data, "},\"deep\":"));
    for (int i = 0; i < NESTED; i++)
        data_add(buf_append_str(&data, "["));
    for (int i = 0; i < NESTED; i++)
        data_add(buf_append_str(&data, "]"));
    data_add(buf_append_str(&data, "}"));
}

/* --- within a budget --- */

struct counts {
    unsigned n_tried, n_answered, n_refused, n_dear, n_late;
    uint64_t slowest_ns, most_cpu_ms;
};

/* What processes that were ended took of the CPU. */
static uint64_t children_cpu_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* Compiles and matches once; the time is of whichever of the two takes longer. */
static int budgeted_try(const char *expression, plsm_error_t **err, uint64_t *out_ns)
{
    scoped(budgeted_filter_free) struct budgeted_filter *filter = NULL;
    const struct filter_message message = {
        .seq = 1, .tags = view_str("[\"a\"]"), .data = buf_view(&data)};

    const uint64_t begin = clock_monotonic_ns();
    int r = budgeted_filter_new(expression, &filter_budget_default, &filter, err);
    const uint64_t compiled = clock_monotonic_ns();
    if (r == 0)
        r = budgeted_filter_match(filter, &message, err);
    const uint64_t matched = clock_monotonic_ns();
    *out_ns = compiled - begin > matched - compiled ? compiled - begin : matched - compiled;
    return r;
}

static void budgeted_one(const struct hostile_filter *hostile, struct counts *counts)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    const char *const expression = hostile->expression;
    const uint64_t cpu_before = children_cpu_ms();
    uint64_t ns;

    const int r = budgeted_try(expression, &err, &ns);
    const uint64_t cpu = children_cpu_ms() - cpu_before;
    if (cpu > counts->most_cpu_ms)
        counts->most_cpu_ms = cpu;
    const bool dear = r < 0 && strcmp(err->message, "filter is too expensive") == 0;
    counts->n_tried++;
    counts->n_answered += r >= 0;
    counts->n_dear += dear;
    counts->n_refused += r < 0 && !dear;
    counts->n_late += ns > PROMISED_NS;
    if (ns > counts->slowest_ns)
        counts->slowest_ns = ns;
    check(cpu < CPU_MS, "took more of the CPU than it may", expression);
    check(ns < LATE_NS, "took three seconds", expression);
    check(r >= 0 || err->kind == PLSM_ERROR_USAGE, "is not the user's fault", expression);
    if (r < 0 && err->kind != PLSM_ERROR_USAGE)
        printf("# %s: %s\n", err->message, error_cause_of(err));
    check(hostile->kind != ENDLESS || dear, "ended, but is without end", expression);
    if (hostile->kind == ENDLESS && !dear)
        printf("#   %d: %s %s\n", r, err == NULL ? "" : err->message,
            err == NULL || error_cause_of(err) == NULL ? "" : error_cause_of(err));
}

/* For those of no harm, which are not to suffer from a busy machine. */
static const struct filter_budget ample = {.time_ms = 10000, .memory_bytes = UINT64_C(64) << 20};

/* One that is of no harm, in a process that lives beside the hostile ones. */
static void harmless_check(struct budgeted_filter *harmless, const char *expression)
{
    scoped(plsm_error_free) plsm_error_t *err = NULL;
    const struct filter_message message = {.seq = 1, .data = view_str("{\"n\":41}")};
    const pid_t pid = budgeted_filter_pid(harmless);
    const int r = budgeted_filter_match(harmless, &message, &err);

    check(r == FILTER_MATCH && budgeted_filter_pid(harmless) == pid, "harmed another", expression);
}

static size_t pick(bool quick, size_t i)
{
    return quick ? (size_t)rng_next() % n_hostile_filters : i;
}

static void budgeted_all(bool quick, struct counts *counts)
{
    scoped(budgeted_filter_free) struct budgeted_filter *harmless = NULL;
    struct rusage usage;
    const unsigned before = n_failures;
    const size_t n = quick ? QUICK_BUDGETED : n_hostile_filters;

    if (budgeted_filter_new("[.data.n] == [41]", &ample, &harmless, NULL) < 0)
        abort();
    for (size_t i = 0; i < n; i++) {
        const struct hostile_filter *const hostile = &hostile_filters[pick(quick, i)];
        budgeted_one(hostile, counts);
        harmless_check(harmless, hostile->expression);
    }
    result("each ends within its budget, and harms no other", before);

    getrusage(RUSAGE_CHILDREN, &usage);
    check(usage.ru_maxrss <= MEMORY_KIB, "memory", "more than 64 MiB were used");
    result("none took more than 64 MiB", before);
    printf(
        "# %u tried: %u answered, %u refused, %u too expensive; %u beyond 250 ms, slowest %" PRIu64
        " ms, at most %" PRIu64 " ms of CPU and %ld KiB\n",
        counts->n_tried, counts->n_answered, counts->n_refused, counts->n_dear, counts->n_late,
        counts->slowest_ns / NS_PER_MS, counts->most_cpu_ms, usage.ru_maxrss);
}

/* --- expressions by chance --- */

static const char *const words[] = {".", ".data", ".data.s", ".data.l", ".data.o", ".data.deep",
    ".meta.tags", ".[]", "..", "1", "0", "-1", "1e9", "1e18", "\"a\"", "[]", "{}", "null", "true",
    "nan", "infinite", "empty", "error", "recurse", "repeat(", "range(", "limit(", "first(",
    "last(", "until(", "while(", "reduce ", "foreach ", " as $x ", "$x", "(", ")", "[", "]", "{",
    "}", "|", ",", ";", ":", "+", "-", "*", "/", "%", "==", "<", "and ", "or ", "not", "//", "?",
    "|=", "+=", "=", "if ", " then ", " else ", " end", "try ", " catch ", "label $l |", "break $l",
    "def f: ", "def g(h): ", "f", "g(", "h", "test(", "match(", "gsub(", "splits(", "scan(",
    "tojson", "fromjson", "tostring", "tonumber", "explode", "implode", "sort", "unique",
    "group_by(", "add", "any(", "all(", "paths", "path(", "getpath(", "setpath(", "delpaths(",
    "to_entries", "with_entries(", "flatten", "combinations", "transpose", "tostream",
    "fromstream(", "walk(", "join(", "split(", "indices(", "contains(", "inside(", "@base64",
    "@base64d", "@sh", "@csv", "@uri", "mktime", "gmtime", "strftime(", "todate", "ascii_downcase",
    "ltrimstr(", "min_by(", "length", "keys", "has(", "del(", "input", "splits(", "env", "isempty(",
    "error(", "getpath(", "nth(", "\"\\(", "\\(.)\"", "[0]", "[-1:]", "[1e9]", ".a", "?//"};

/* Half of them are put together so that brackets close and operators have sides. */
static void grow(struct buf *text, int depth);

static void grow_call(struct buf *text, int depth, const char *name, int n_arguments)
{
    data_add(buf_append_str(text, name));
    for (int i = 0; i < n_arguments; i++) {
        data_add(buf_append_str(text, i == 0 ? "(" : "; "));
        grow(text, depth - 1);
    }
    if (n_arguments > 0)
        data_add(buf_append_str(text, ")"));
}

static void grow(struct buf *text, int depth)
{
    static const char *const leaves[] = {".", ".data", ".data.s", ".data.l", ".data.o",
        ".data.deep", "..", ".[]?", "1", "0", "-1", "1e9", "1e18", "\"a\"", "[]", "{}", "null",
        "true", "nan", "infinite", "empty", "error", "recurse", "length", "keys", "add", "tojson",
        "fromjson", "tostring", "tonumber", "explode", "implode", "sort", "unique", "reverse",
        "flatten", "paths", "combinations", "transpose", "tostream", "to_entries", "from_entries",
        "floor", "sqrt", "not", "type", "ascii_downcase", "@base64", "@base64d", "@sh", "@csv",
        "@uri", "@json", "mktime", "gmtime", "todate", "any", "all", "min", "max", "first", "last",
        "$x", "(\"(a*)*c\")"};
    static const char *const calls[] = {"repeat", "recurse", "first", "last", "map", "select",
        "with_entries", "path", "del", "walk", "sort_by", "group_by", "isempty", "any", "all",
        "error", "map_values", "fromstream", "paths", "range", "test", "scan", "splits", "split",
        "join", "contains", "inside", "indices", "ltrimstr", "has", "getpath", "delpaths",
        "flatten", "combinations", "startswith", "strftime", "f", "g"};
    static const char *const doubles[] = {"until", "while", "limit", "range", "setpath", "sub",
        "gsub", "recurse", "nth", "any", "all", "test", "match", "splits", "pow"};
    static const char *const operators[] = {" | ", ", ", " + ", " - ", " * ", " / ", " % ",
        " == ", " < ", " and ", " or ", " // ", " |= ", " += ", " = "};
    const uint64_t kind = depth <= 0 ? 0 : rng_next() % 12;

#define ANY_OF(array) (array[rng_next() % (sizeof(array) / sizeof(*(array)))])
    switch (kind) {
    case 0:
    case 1: data_add(buf_append_str(text, ANY_OF(leaves))); return;
    case 2: grow_call(text, depth, ANY_OF(calls), 1); return;
    case 3: grow_call(text, depth, ANY_OF(doubles), 2); return;
    case 4: data_add(buf_append_str(text, "reduce ")); break;
    case 5: data_add(buf_append_str(text, "[")); break;
    case 6: data_add(buf_append_str(text, "try ")); break;
    case 7: data_add(buf_append_str(text, "def f: ")); break;
    default: data_add(buf_append_str(text, "(")); break;
    }
    grow(text, depth - 1);
    switch (kind) {
    case 4:
        data_add(buf_append_str(text, " as $x (. ; "));
        grow(text, depth - 1);
        data_add(buf_append_str(text, ")"));
        return;
    case 5: data_add(buf_append_str(text, "]")); return;
    case 6: return;
    case 7: data_add(buf_append_str(text, "; ")); break;
    default: data_add(buf_append_str(text, ANY_OF(operators))); break;
    }
    grow(text, depth - 1);
    if (kind > 7)
        data_add(buf_append_str(text, ")"));
}

static void fuzz(struct counts *counts, unsigned seconds)
{
    scoped(budgeted_filter_free) struct budgeted_filter *harmless = NULL;
    const uint64_t end = clock_monotonic_ns() + seconds * NS_PER_SECOND;
    const unsigned before = n_failures;
    struct buf text = {0};

    if (budgeted_filter_new("[.data.n] == [41]", &ample, &harmless, NULL) < 0)
        abort();
    while (clock_monotonic_ns() < end) {
        text.len = 0;
        if (rng_next() % 4 != 0) {
            grow(&text, 5);
        } else {
            for (uint64_t i = 1 + rng_next() % 12; i > 0; i--)
                data_add(buf_append_str(&text, ANY_OF(words)));
        }
        data_add(buf_append(&text, "", 1));
        const struct hostile_filter hostile = {ANY, (const char *)text.data};
        budgeted_one(&hostile, counts);
        harmless_check(harmless, hostile.expression);
    }
    buf_fini(&text);
    result("expressions made by chance end, too", before);
    printf("# by chance: %u tried: %u answered, %u refused, %u too expensive; %u beyond 250 ms, "
           "slowest %" PRIu64 " ms, at most %" PRIu64 " ms of CPU\n",
        counts->n_tried, counts->n_answered, counts->n_refused, counts->n_dear, counts->n_late,
        counts->slowest_ns / NS_PER_MS, counts->most_cpu_ms);
}

/* --- the command line --- */

static char program[PATH_MAX]; /* build/plasmite, from build/tests/proof/ */
static char dir[] = "/tmp/plasmite-filters-XXXXXX";

static bool program_find(void)
{
    const ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (len < 0)
        return false;
    program[len] = 0;
    for (int i = 0; i < 3; i++)
        *strrchr(program, '/') = 0;
    strncat(program, "/plasmite", sizeof(program) - strlen(program) - 1);
    return access(program, X_OK) == 0;
}

static pid_t program_start(const char *const argv[], int stdin_fd)
{
    char *copy[ARGUMENTS_MAX] = {NULL};
    const pid_t pid = fork();

    if (pid != 0)
        return pid;
    const struct rlimit memory = {CLI_MEMORY, CLI_MEMORY}, none = {0, 0};
    const int null = open("/dev/null", O_RDWR);
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CORE, &none);
    dup2(stdin_fd < 0 ? null : stdin_fd, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    for (size_t i = 0; i + 1 < ARGUMENTS_MAX && argv[i] != NULL; i++)
        copy[i] = strdup(argv[i]);
    execv(program, copy);
    _exit(127);
}

static bool pool_make(void)
{
    const char *const argv[] = {program, "--dir", dir, "feed", "p", "--create", NULL};
    int status = -1;
    FILE *file = NULL;

    if (mkdtemp(dir) == NULL || (file = tmpfile()) == NULL)
        return false;
    if (fwrite(data.data, 1, data.len, file) == data.len && fflush(file) == 0) {
        rewind(file);
        waitpid(program_start(argv, fileno(file)), &status, 0);
    }
    fclose(file);
    return status == 0;
}

static void pool_remove(void)
{
    const char *const argv[] = {program, "--dir", dir, "pool", "delete", "p", NULL};

    waitpid(program_start(argv, -1), NULL, 0);
    rmdir(dir);
}

/* What the process has used of the CPU; it is ours and not yet reaped. */
static uint64_t cpu_ms(pid_t pid)
{
    char path[64], text[1024];
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY);
    const ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    close(fd);
    text[len > 0 ? len : 0] = 0;
    const char *const rest = strrchr(text, ')');
    if (rest == NULL || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                            &user, &system) != 2)
        return 0;
    return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

static void pause_briefly(void)
{
    const struct timespec moment = {.tv_nsec = 2000000};

    nanosleep(&moment, NULL);
}

static bool ended_by(pid_t pid, uint64_t deadline_ns, int *out_status)
{
    while (waitpid(pid, out_status, WNOHANG) == 0) {
        if (clock_monotonic_ns() > deadline_ns)
            return false;
        pause_briefly();
    }
    return true;
}

static unsigned n_told, n_told_ended, n_told_skipped;
static uint64_t told_slowest_ns;

/* By itself, by the signal, or by libjq that has no memory left. */
static bool told_end_is_right(const struct hostile_filter *hostile, int status, int signo)
{
    const int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    if (by != 0 && by != signo && by != SIGABRT)
        printf("# signal %d\n", by);
    return by == 0 || by == signo || by == SIGABRT || (hostile->kind == DEADLY && by == SIGSEGV);
}

/* Ends by itself, or is busy, is told to end, and does so as the signal does by default. */
static void told_one(const struct hostile_filter *hostile, int signo)
{
    const char *const expression = hostile->expression;
    const char *const argv[] = {program, "--dir", dir, "follow", "p", "--tail", "1", "--timeout",
        "1ms", "--where", expression, NULL};
    int status = 0;

    if (strlen(expression) > ARGUMENT_MAX) {
        n_told_skipped++;
        return;
    }
    const uint64_t deadline = clock_monotonic_ns() + DEADLINE_S * NS_PER_SECOND;
    const pid_t pid = program_start(argv, -1);
    while (cpu_ms(pid) < BUSY_MS) {
        if (waitpid(pid, &status, WNOHANG) != 0 || clock_monotonic_ns() > deadline) {
            check(told_end_is_right(hostile, status, SIGABRT), "died in the program", expression);
            n_told_ended++;
            return;
        }
        pause_briefly();
    }
    const uint64_t begin = clock_monotonic_ns();
    kill(pid, signo);
    if (!ended_by(pid, begin + TOLD_LATE_NS, &status)) {
        check(false, "does not end by a signal", expression);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        return;
    }
    const uint64_t ns = clock_monotonic_ns() - begin;
    if (ns > told_slowest_ns)
        told_slowest_ns = ns;
    n_told++;
    /* It may have ended by itself, or without memory, in the moment before. */
    check(told_end_is_right(hostile, status, signo), "does not end as by default", expression);
}

static void told_all(bool quick)
{
    const unsigned before = n_failures;
    const size_t n = quick ? QUICK_TOLD : n_hostile_filters;

    if (!program_find() || !pool_make()) {
        check(false, "the program is needed", program);
    } else {
        for (size_t i = 0; i < n; i++)
            told_one(&hostile_filters[pick(quick, i)], i % 2 == 0 ? SIGINT : SIGTERM);
        pool_remove();
    }
    result("the program is ended by SIGINT and SIGTERM", before);
    printf("# %u were busy and told to end, slowest %" PRIu64 " ms; %u had ended; %u too long\n",
        n_told, told_slowest_ns / NS_PER_MS, n_told_ended, n_told_skipped);
}

static bool has_module(void)
{
    scoped(filter_free) struct filter *filter = NULL;
    return filter_new_jq("true", &filter, NULL) == 0;
}

int main(int argc, char **argv)
{
    const bool quick = argc < 2 || strcmp(argv[1], "long") != 0;
    const char *const given = getenv("PLSM_SEED"), *const seconds = getenv("PLSM_SECONDS");
    struct counts listed = {0}, chance = {0};

    seed = given != NULL ? strtoull(given, NULL, 10) : clock_wall_ns() % 1000000007;
    rng_state = seed;
    printf("TAP version 13\n# PLSM_SEED=%" PRIu64 "\n", seed);
    if (!has_module()) {
        printf("1..0 # SKIP libjq is not installed\n");
        return 0;
    }
    data_make();
    budgeted_all(quick, &listed);
    told_all(quick);
    if (!quick)
        fuzz(&chance, seconds != NULL ? (unsigned)strtoul(seconds, NULL, 10) : 60);
    printf("1..%u\n", n_cases);
    printf("# proof: filters: %u hostile and %u random ones within a budget (%u too expensive, "
           "at most %" PRIu64 " ms of CPU for both steps), %u told to end, %u failures\n",
        listed.n_tried, chance.n_tried, listed.n_dear + chance.n_dear,
        listed.most_cpu_ms > chance.most_cpu_ms ? listed.most_cpu_ms : chance.most_cpu_ms, n_told,
        n_failures);
    buf_fini(&data);
    return n_failures == 0 ? 0 : 1;
}
