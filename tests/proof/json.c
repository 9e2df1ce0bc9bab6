/* What is JSON and what is not, asked of both scanners, of json_compact() and of the program.
 *
 * The cases of json_list.c, each as it is, behind blanks that shift it against the blocks of the
 * fast scanner, and cut off anywhere; then texts that are large beyond reason, with the memory and
 * the time that they take.
 *
 *     json quick     large texts of a tenth
 *     json long      all of it */
#include "json.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/pool.h"
#include "json/scan.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHIFTS        131 /* more than a block of the fast scanner */
#define ARGUMENTS_MAX 16
#define POOL_BYTES    (2u << 20)
#define MEMORY_BYTES  (6u << 20) /* that feed may map: the pool, a record, and it compact */

static unsigned n_results, n_failures;
static uint64_t n_scans, n_fed;

static void require(int r)
{
    if (r < 0)
        abort();
}

static void check(bool held, const char *what, struct view text)
{
    if (held)
        return;
    n_failures++;
    printf("# %s: ", what);
    for (size_t i = 0; i < text.len && i < 100; i++)
        printf(text.data[i] >= ' ' && text.data[i] < 127 ? "%c" : "\\x%02x", text.data[i]);
    printf("\n");
    fflush(stdout);
}

static void result(const char *name, unsigned failures_before)
{
    printf("%sok %u %s\n", n_failures == failures_before ? "" : "not ", ++n_results, name);
    fflush(stdout);
}

static bool case_is_json(const struct json_case *json)
{
    return json->verdict == PASS || json->verdict == TAKEN;
}

static void case_text(const struct json_case *json, size_t blanks, struct buf *out)
{
    out->len = 0;
    for (size_t i = 0; i < blanks; i++)
        require(buf_append(out, " ", 1));
    if (!json->whole)
        require(buf_append_str(out, "{\"k\":"));
    require(buf_append(out, json->text, json->len));
    if (!json->whole)
        require(buf_append_str(out, "}"));
}

/* --- the scanners --- */

struct room {
    uint8_t *text; /* of exactly the text's size, so that reading beyond it is seen */
    uint8_t *out[3];
    size_t out_len[3];
    bool taken[3];
};

static void room_make(struct room *room, struct view text)
{
    room->text = malloc(text.len > 0 ? text.len : 1);
    if (room->text == NULL)
        abort();
    memcpy(room->text, text.data, text.len);
    for (int i = 0; i < 3; i++) {
        room->out[i] = calloc(1, text.len + JSON_SLACK);
        if (room->out[i] == NULL)
            abort();
    }
}

static void room_free(struct room *room)
{
    free(room->text);
    for (int i = 0; i < 3; i++)
        free(room->out[i]);
}

/* Whether all scanners say the same of a text; *out_taken is what they say. */
static bool scan_all(struct view text, bool *out_taken)
{
    scan_function *const fast = scan_accelerated();
    struct room room = {0};
    struct scan_fault fault = {0};
    struct json_error error = {0};

    room_make(&room, text);
    room.taken[0] = scan_portable(room.text, text.len, room.out[0], &room.out_len[0], &fault);
    room.taken[1] = json_compact(room.text, text.len, room.out[1], &room.out_len[1], &error);
    bool same = room.taken[0] == room.taken[1];
    same = same && (!room.taken[0] || view_equal(view_of(room.out[0], room.out_len[0]),
                                          view_of(room.out[1], room.out_len[1])));
    same = same && (room.taken[0] || (fault.offset <= text.len && error.offset <= text.len &&
                                         error.line > 0 && error.column > 0 && error.problem));
    /* The fast one may hand over what it does not know, but takes nothing that is no JSON. */
    room.taken[2] = fast != NULL && fast(room.text, text.len, room.out[2], &room.out_len[2]);
    if (room.taken[2])
        same = same && room.taken[0] &&
               view_equal(
                   view_of(room.out[0], room.out_len[0]), view_of(room.out[2], room.out_len[2]));
    *out_taken = room.taken[0];
    room_free(&room);
    n_scans++;
    return same;
}

static void case_scan(const struct json_case *json, struct buf *text)
{
    bool taken;

    for (size_t blanks = 0; blanks < SHIFTS; blanks++) {
        case_text(json, blanks, text);
        const bool same = scan_all(buf_view(text), &taken);
        check(same, "the scanners differ", buf_view(text));
        check(taken == case_is_json(json), taken ? "was taken" : "was refused", buf_view(text));
        if (!same || taken != case_is_json(json))
            return;
    }
    /* Cut off, an object is none. What stands around it may go. */
    case_text(json, 0, text);
    for (size_t len = 0; len < text->len && case_is_json(json) && !json->whole; len++) {
        check(scan_all(view_of(text->data, len), &taken) && !taken, "cut off",
            view_of(text->data, len));
    }
}

static void scan_cases(void)
{
    const unsigned before = n_failures;
    struct buf text = {0};

    for (size_t i = 0; i < n_json_cases; i++)
        case_scan(&json_cases[i], &text);
    buf_fini(&text);
    result("both scanners take and refuse what they should", before);
    if (scan_accelerated() == NULL)
        printf("# this CPU has no fast scanner\n");
}

/* --- the program --- */

static char program[PATH_MAX]; /* build/plasmite, from build/tests/proof/ */
static char dir[] = "/tmp/plasmite-json-XXXXXX";
static char pool_file[64];

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

/* Runs the program with a text as its input; returns its exit code, or 128 + its signal. */
static int program_run(const char *const argv[], struct view input, struct rusage *out_usage)
{
    char *copy[ARGUMENTS_MAX] = {NULL};
    const int memory = memfd_create("input", 0);
    int status = 0;

    if (memory < 0 || write(memory, input.data, input.len) != (ssize_t)input.len)
        abort();
    lseek(memory, 0, SEEK_SET);
    const pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit memory_limit = {MEMORY_BYTES, MEMORY_BYTES};
        const int null = open("/dev/null", O_WRONLY);
        setrlimit(RLIMIT_DATA, &memory_limit);
        dup2(memory, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        for (size_t i = 0; i + 1 < ARGUMENTS_MAX && argv[i] != NULL; i++)
            copy[i] = strdup(argv[i]);
        execv(program, copy);
        _exit(127);
    }
    close(memory);
    if (wait4(pid, &status, 0, out_usage) != pid)
        abort();
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int feed(struct view input, struct rusage *out_usage)
{
    const char *const argv[] = {
        program, "--dir", dir, "feed", "p", "--in", "json", "--errors", "stop", NULL};

    n_fed++;
    return program_run(argv, input, out_usage);
}

static uint64_t newest_is(struct pool *pool, struct buf *out_data)
{
    struct pool_info info;
    struct frame frame;

    require(pool_info(pool, &info, NULL));
    out_data->len = 0;
    if (pool_get(pool, info.next_seq - 1, &frame, NULL) == POOL_OK)
        require(buf_append(out_data, frame.data.data, frame.data.len));
    return info.next_seq - 1;
}

/* What is JSON and an object is stored, compact; all else leaves the pool as it was. */
static void case_feed(struct pool *pool, const struct json_case *json, struct buf *text)
{
    scoped(buf_fini) struct buf stored = {0};
    scoped(buf_fini) struct buf compact = {0};
    struct rusage usage;
    size_t len = 0;

    const size_t mark = json->verdict == MARKED ? 3 : 0;
    case_text(json, 0, text);
    const uint64_t before = newest_is(pool, &stored);
    const int code = feed(buf_view(text), &usage);
    const uint64_t after = newest_is(pool, &stored);
    if (!case_is_json(json) && json->verdict != MARKED) {
        check(code == 2 && after == before, "the program took", buf_view(text));
        return;
    }
    require(buf_reserve(&compact, text->len + JSON_SLACK));
    const bool taken = json_compact(text->data + mark, text->len - mark, compact.data, &len, NULL);
    check(taken && code == 0 && after == before + 1 &&
              view_equal(buf_view(&stored), view_of(compact.data, len)),
        "the program did not store", buf_view(text));
}

static void feed_cases(void)
{
    scoped(pool_close) struct pool *pool = NULL;
    const struct pool_create_options options = {.size_bytes = 1 << 20};
    const unsigned before = n_failures;
    struct buf text = {0};

    if (!program_find() || mkdtemp(dir) == NULL)
        abort();
    snprintf(pool_file, sizeof(pool_file), "%s/p.plasmite", dir);
    require(pool_create(pool_file, &options, NULL));
    require(pool_open(pool_file, POOL_READ, NULL, &pool, NULL));
    for (size_t i = 0; i < n_json_cases; i++)
        case_feed(pool, &json_cases[i], &text);
    buf_fini(&text);
    result("the program stores and refuses what it should", before);
}

/* --- texts that are large beyond reason --- */

enum bomb_kind { NO_JSON, JSON, JSON_TOO_LARGE };

struct bomb {
    const char *name;
    const char *head, *unit, *tail; /* head, unit many times, tail */
    size_t n;
    enum bomb_kind kind;
};

#define MILLION 1000000

static const struct bomb bombs[] = {
    {"opened arrays", "", "[", "", 10 * MILLION, NO_JSON},
    {"opened arrays in an object", "{\"a\":", "[", "", 10 * MILLION, NO_JSON},
    {"opened objects", "", "{\"a\":", "", 2 * MILLION, NO_JSON},
    {"closed arrays", "", "]", "", 10 * MILLION, NO_JSON},
    {"commas", "{\"a\":[1", ",", "]}", 10 * MILLION, NO_JSON},
    {"colons", "{\"a\"", ":", "1}", 10 * MILLION, NO_JSON},
    {"quotes", "{", "\"", "}", 10 * MILLION, NO_JSON},
    {"a string without end", "{\"a\":\"", "x", "", 10 * MILLION, NO_JSON},
    {"backslashes without end", "{\"a\":\"", "\\", "", 10 * MILLION, NO_JSON},
    {"blanks", "", " ", "", 10 * MILLION, NO_JSON},
    {"NULs", "", "\0", "", 10 * MILLION, NO_JSON},
    {"minus signs", "{\"a\":", "-", "1}", 10 * MILLION, NO_JSON},
    {"a number and a letter", "{\"a\":", "7", "x}", MILLION, NO_JSON},
    {"half an escape at the end", "{\"a\":\"", "\\u00e9", "\\u00\"}", 150000, NO_JSON},
    {"a surrogate alone at the end", "{\"a\":\"", "\\ud83d\\ude00", "\\ud83d\"}", 80000, NO_JSON},
    {"broken UTF-8 at the end", "{\"a\":\"", "\xe2\x82\xac", "\xe2\x82\"}", 300000, NO_JSON},
    {"a large number", "{\"a\":", "7", "}", MILLION, JSON},
    {"a large exponent", "{\"a\":1e", "7", "}", MILLION, JSON},
    {"a long fraction", "{\"a\":0.", "7", "}", MILLION, JSON},
    {"a long string", "{\"a\":\"", "x", "\"}", MILLION, JSON},
    {"many escapes", "{\"a\":\"", "\\u00e9", "\"}", 150000, JSON},
    {"many elements", "{\"a\":[1", ",1", "]}", 400000, JSON},
    {"many empty arrays", "{\"a\":[1", ",[]", "]}", 300000, JSON},
    {"many members", "{\"a\":1", ",\"bcde\":1", "}", 100000, JSON},
    {"equal members beyond the limit", "{\"a\":1", ",\"a\":1", "}", MILLION, JSON_TOO_LARGE},
    {"blanks around an object", "{}", " ", "", 900000, JSON},
};

static void bomb_make(const struct bomb *bomb, size_t part, struct buf *out)
{
    const size_t unit_len = bomb->unit[0] == 0 ? 1 : strlen(bomb->unit);

    out->len = 0;
    require(buf_append_str(out, bomb->head));
    for (size_t i = 0; i < bomb->n / part; i++)
        require(buf_append(out, bomb->unit, unit_len));
    require(buf_append_str(out, bomb->tail));
}

static void bomb_try(const struct bomb *bomb, size_t part)
{
    struct buf text = {0};
    struct rusage usage;
    bool taken;

    bomb_make(bomb, part, &text);
    check(scan_all(buf_view(&text), &taken) && taken == (bomb->kind != NO_JSON), bomb->name,
        view_of(text.data, 40));
    uint8_t *out = malloc(text.len + JSON_SLACK);
    size_t out_len;
    if (out == NULL)
        abort();
    memset(out, 0, text.len + JSON_SLACK); /* so that its pages are there */
    const uint64_t begin = clock_monotonic_ns();
    taken = json_compact(text.data, text.len, out, &out_len, NULL);
    const uint64_t scan_ns = clock_monotonic_ns() - begin;
    free(out);
    const int code = feed(buf_view(&text), &usage);
    const uint64_t feed_ns =
        (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_SECOND +
        (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
    const bool stored = bomb->kind == JSON || (bomb->kind == JSON_TOO_LARGE && part > 1 &&
                                                  text.len <= LIMIT_RECORD_BYTES);
    check(code == (stored ? 0 : 2), stored ? "was not stored" : "was not refused",
        view_str(bomb->name));
    printf("# %-32s %9zu bytes: %-7s scanned in %7.3f ms; fed with exit %d in %6.1f ms of CPU\n",
        bomb->name, text.len, taken ? "taken," : "no JSON", (double)scan_ns / 1e6, code,
        (double)feed_ns / 1e6);
    buf_fini(&text);
}

static void bombs_try(bool quick)
{
    const unsigned before = n_failures;
    const struct pool_create_options options = {.size_bytes = POOL_BYTES};

    unlink(pool_file);
    require(pool_create(pool_file, &options, NULL));
    for (size_t i = 0; i < sizeof(bombs) / sizeof(*bombs); i++)
        bomb_try(&bombs[i], quick ? 10 : 1);
    result("large texts are stored or refused, in little memory", before);
}

int main(int argc, char **argv)
{
    const bool quick = argc < 2 || strcmp(argv[1], "long") != 0;

    printf("TAP version 13\n");
    scan_cases();
    feed_cases();
    bombs_try(quick);
    unlink(pool_file);
    rmdir(dir);
    printf("1..%u\n", n_results);
    printf("# proof: JSON: %zu cases (%" PRIu64 " scans, %" PRIu64 " fed), %zu large texts, %u "
           "failures\n",
        n_json_cases, n_scans, n_fed, sizeof(bombs) / sizeof(*bombs), n_failures);
    return n_failures == 0 ? 0 : 1;
}
