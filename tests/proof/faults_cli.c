/* Every allocation and every system call of the program fails in turn: each command is run with
 * inject.c preloaded, its first call of a kind failing, then its second, and so on until nothing
 * fails any more. Every time:
 *   it ends by itself, with the exit code and the output it always has, or with the exit code of a
 *   kind of error and one line of JSON on stderr that says so; where memory is out for good, the
 *   exit code alone must do;
 *   no file is left over, what was receipted is there, and another process appends at once. */
#include "client/import_file.h"
#include "engine/handle.h"
#include "tests/proof/inject.h"
#include "tests/proof/proof.h"
#include "json/lite3.h"

#include <dirent.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POOL_BYTES   32768
#define N_MESSAGES   40
#define RUN_LIMIT    10 /* seconds */
#define ARGS_MAX     16
#define OUTPUT_MAX   65536
#define TOLD_MAX     12
#define EXIT_TIMEOUT 124
#define EXIT_SIGPIPE 141

struct command {
    const char *name;
    const char *args;      /* words, separated by '|' where they hold blanks */
    const char *input;     /* of stdin; NULL: nothing */
    bool damaged;          /* the pool is */
    bool errors_on_stdout; /* of single items */
    bool libjq;            /* which ends the process where memory is out */
    const char *makes;     /* a file that may be there afterwards */
};

/* The pool p has N_MESSAGES messages {"n":SEQ}. */
static const struct command commands[] = {
    {"pool create", "pool|create|new|--size|16K", NULL, false, false, false, "new.plasmite"},
    {"pool info", "pool|info|p", NULL, false, false, false, NULL},
    {"pool info --json", "pool|info|p|--json", NULL, false, false, false, NULL},
    {"pool list", "pool|list", NULL, false, true, false, NULL},
    {"pool list --json", "pool|list|--json", NULL, false, true, false, NULL},
    {"pool delete", "pool|delete|p", NULL, false, true, false, NULL},
    {"pool import", "pool|import|./old|new", NULL, false, false, false, "new.plasmite"},
    {"feed DATA", "feed|p|{\"n\":41}|--tag|a", NULL, false, false, false, NULL},
    {"feed --durability flush", "feed|p|{\"n\":41}|--durability|flush", NULL, false, false, false,
        NULL},
    {"feed lines", "feed|p", "{\"n\":41}\n{\"n\":42}\n{\"n\":43}\n", false, false, false, NULL},
    {"feed values", "feed|p|--in|jq", "{\"n\":41}{\"n\":\n42}", false, false, false, NULL},
    {"feed --create", "feed|new|{\"n\":1}|--create|--create-size|16K", NULL, false, false, false,
        "new.plasmite"},
    {"fetch", "fetch|p|20", NULL, false, false, false, NULL},
    {"follow --tail --one", "follow|p|--tail|5|--one", NULL, false, false, false, NULL},
    {"follow --tail", "follow|p|--tail|5|--timeout|0ms|--jsonl", NULL, false, false, false, NULL},
    {"follow --where", "follow|p|--tail|9|--timeout|0ms|--where|.data.n>35", NULL, false, false,
        false, NULL},
    {"follow --where, by libjq", "follow|p|--tail|9|--timeout|0ms|--where|.data.n as $n \\| $n>35",
        NULL, false, false, true, NULL},
    {"follow --since", "follow|p|--since|2020-01-01T00:00:00Z|--timeout|0ms", NULL, false, false,
        false, NULL},
    {"follow, nothing there", "follow|none|--one|--timeout|20ms", NULL, false, false, false, NULL},
    {"duplex", "duplex|p|--me|a|--tail|2", "{\"n\":41}\n{\"n\":42}\n", false, false, false, NULL},
    {"tap", "tap|p|--|echo|one", NULL, false, false, false, NULL},
    {"doctor", "doctor|p", NULL, false, true, false, NULL},
    {"doctor --all --json", "doctor|--all|--json", NULL, false, true, false, NULL},
    {"doctor --repair", "doctor|p|--repair", NULL, true, true, false, "p.plasmite.before-repair-"},
    {"version", "version", NULL, false, false, false, NULL},
    {"completion", "completion|bash", NULL, false, false, false, NULL},
    {"help", "follow|--help", NULL, false, false, false, NULL},
};
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static struct {
    char folder[64];
    char pools[80];
    char pool[96];
    char program[256];
    char preload[300];
    char steering[300];
    uint8_t sound[POOL_BYTES];
    uint8_t damaged[POOL_BYTES];
    uint64_t n_runs;
    uint64_t n_errors;
    uint64_t n_harmless;
    uint64_t n_wrong;
    uint64_t n_libjq; /* ends by signal inside libjq */
    unsigned n_told;
    bool brief;
    char label[160];
} proof;

/* How a run ended. */
struct ending {
    int status;
    char out[OUTPUT_MAX];
    char err[OUTPUT_MAX];
    bool failed; /* a call did */
};

struct inject *inject; /* in a file that the programs map, too */

static struct ending reference, now;

static void wrong(const char *what)
{
    proof.n_wrong++;
    if (proof.n_told++ < TOLD_MAX)
        printf("# %s: %s; exit status %#x, stderr: %.300s\n", proof.label, what,
            (unsigned)now.status, now.err);
}

/* The stage ---------------------------------------------------------------------------------*/

static const char *file_in_folder(const char *name)
{
    static char path[2][128];
    static unsigned turn;
    turn ^= 1;
    snprintf(path[turn], sizeof(path[turn]), "%s/%s", proof.folder, name);
    return path[turn];
}

static void write_file(const char *path, const void *data, size_t len)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && pwrite(fd, data, len, 0) == (ssize_t)len && close(fd) == 0);
}

static void read_text(const char *path, char text[static OUTPUT_MAX])
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    must(fd >= 0);
    const ssize_t len = read(fd, text, OUTPUT_MAX - 1);
    must(len >= 0);
    text[len] = '\0';
    close(fd);
}

static void clear_pools(const char *makes, bool check)
{
    DIR *dir = opendir(proof.pools);
    must(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (check && strcmp(name, "p.plasmite") != 0 &&
            (makes == NULL || strncmp(name, makes, strlen(makes)) != 0))
            wrong("a file is left over");
        must(unlinkat(dirfd(dir), name, 0) == 0);
    }
    closedir(dir);
}

static void make_pool(void)
{
    const struct pool_create_options options = {
        .size_bytes = POOL_BYTES, .index_capacity = POOL_INDEX_DEFAULT};
    struct pool *pool = NULL;
    struct appended appended;
    struct frame frame;
    char text[32];

    must(pool_create(proof.pool, &options, NULL) == 0);
    must(pool_open(proof.pool, POOL_WRITE, NULL, &pool, NULL) == 0);
    for (int i = 1; i <= N_MESSAGES; i++) {
        snprintf(text, sizeof(text), "{\"n\":%d}", i);
        const struct message message = {.data = view_str(text)};
        must(pool_append(pool, &message, 1, &appended, NULL) == 0);
    }
    memcpy(proof.sound, pool->map, POOL_BYTES);
    memcpy(proof.damaged, pool->map, POOL_BYTES);
    must(pool_get(pool, 20, &frame, NULL) == 0);
    proof.damaged[frame.data.data - pool->map + 2] ^= 4;
    pool_close(pool);
}

/* A pool of the older format with three messages, for the import. */
static void make_old_pool(void)
{
    enum { RING_AT = 4096, RING_BYTES = 4096 };
    struct import_header header = {
        .magic = "PLSM",
        .version = 3,
        .little_endian = 1,
        .file_size = RING_AT + RING_BYTES,
        .index_offset = RING_AT,
        .ring_offset = RING_AT,
        .ring_size = RING_BYTES,
        .oldest_seq = 1,
        .newest_seq = 3,
    };
    static uint8_t file[RING_AT + RING_BYTES];
    struct lite3_fault fault;

    for (uint64_t seq = 1; seq <= header.newest_seq; seq++) {
        scoped(buf_fini) struct buf payload = {0};
        uint8_t *frame = file + RING_AT + header.head;
        must(lite3_from_json(view_str("[\"a\"]"), view_str("{\"n\":[1]}"), &payload, &fault) == 0);
        const uint32_t words[] = {
            2, 0, 64, (uint32_t)seq, 0, 1, 0, (uint32_t)payload.len, ~(uint32_t)payload.len};
        memcpy(frame, "FRM1", 4);
        memcpy(frame + 4, words, sizeof(words));
        memcpy(frame + 64, payload.data, payload.len);
        memcpy(frame + 64 + payload.len, "PLSMCMIT", 8);
        header.head += (64 + payload.len + 8 + 7) & ~(uint64_t)7;
    }
    memcpy(file, &header, sizeof(header));
    write_file(file_in_folder("old"), file, sizeof(file));
}

/* Running ---------------------------------------------------------------------------------------*/

/* Splits at '|', which stands for itself behind a backslash. */
static void split_args(char *text, const char *argv[static ARGS_MAX], int argc)
{
    char *to = text;
    argv[argc++] = text;
    for (char *at = text; *at != '\0'; at++) {
        if (*at == '|') {
            *to++ = '\0';
            argv[argc++] = to;
            must(argc < ARGS_MAX - 1);
            continue;
        }
        at += *at == '\\' && at[1] == '|';
        *to++ = *at;
    }
    *to = '\0';
    argv[argc] = NULL;
}

static void redirect(int fd, const char *name, int flags)
{
    const int opened = open(file_in_folder(name), flags, 0600);
    must(opened >= 0 && dup2(opened, fd) == fd);
    close(opened);
}

/* The child's part. The alarm outlives exec: what hangs is killed. */
static void become(const char **argv)
{
    static char path[] = "PATH=/usr/bin:/bin", home[] = "HOME=/nonexistent", zone[] = "TZ=UTC";
    char *const environment[] = {path, home, zone, proof.preload, proof.steering, NULL};
    union {
        const char **words;
        char *const *argv;
    } given = {argv};

    must(chdir(proof.folder) == 0);
    redirect(STDIN_FILENO, "in", O_RDONLY);
    redirect(STDOUT_FILENO, "out", O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, "err", O_WRONLY | O_CREAT | O_TRUNC);
    alarm(RUN_LIMIT);
    execve(proof.program, given.argv, environment);
    _exit(99);
}

static void run(const struct command *command)
{
    const char *argv[ARGS_MAX] = {"plasmite", "--dir", proof.pools};
    char args[256];

    snprintf(args, sizeof(args), "%s", command->args);
    split_args(args, argv, 3);
    write_file(file_in_folder("in"), command->input != NULL ? command->input : "",
        command->input != NULL ? strlen(command->input) : 0);
    const pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0)
        become(argv);
    must(waitpid(pid, &now.status, 0) == pid);
    now.failed = atomic_load(&inject->n_failed) > 0;
    inject_disarm();
    read_text(file_in_folder("out"), now.out);
    read_text(file_in_folder("err"), now.err);
    proof.n_runs++;
}

/* Checks ------------------------------------------------------------------------------------*/

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* Whether a line of stderr is the error that belongs to the exit code. */
static bool tells_error(const char *text, int code)
{
    char start[64];
    snprintf(start, sizeof(start), "\"kind\":\"%s\"", error_kind_name((plsm_error_kind_t)code));
    return strstr(text, "{\"error\":{") != NULL && strstr(text, start) != NULL;
}

static void check_ending(
    const struct command *command, enum inject_call call, int errnum, bool sticky)
{
    const int code = WIFEXITED(now.status) ? WEXITSTATUS(now.status) : -1;

    if (now.status == reference.status) {
        proof.n_harmless += now.failed;
        /* tap goes on where nobody takes what it passes on, and says so, unless its reader left */
        if (!(call == INJECT_WRITE && errnum == EPIPE) &&
            count_lines(now.out) != count_lines(reference.out) &&
            strstr(now.err, "\"notice\"") == NULL && strstr(now.out, "ERR") == NULL)
            wrong("the output is another one, and no error told");
        return;
    }
    proof.n_errors++;
    if (!now.failed)
        wrong("an error, but nothing failed");
    else if (command->libjq && call == INJECT_MEMORY && (WIFSIGNALED(now.status) || code == 127))
        proof.n_libjq++;
    else if (!WIFEXITED(now.status) || code == 99)
        wrong("it was killed, or did not end");
    else if (call == INJECT_WRITE && errnum == EPIPE && code == EXIT_SIGPIPE)
        return;
    else if (errnum == EINTR || errnum == INJECT_SHORT)
        wrong("an interruption became an error");
    else if (code < PLSM_ERROR_INTERNAL || code > PLSM_ERROR_RETENTION_GAP)
        wrong("no exit code of ours");
    else if (!tells_error(now.err, code) && !(sticky && call == INJECT_MEMORY) &&
             !(command->errors_on_stdout &&
                 (strstr(now.out, "error") != NULL || count_lines(now.out) > 0)))
        wrong("the error is not told");
}

static void check_pool(const struct command *command)
{
    const struct pool_open_options at_once = {.busy_timeout_ms = 0};
    const struct message message = {.data = view_str("{}")};
    scoped(pool_close) struct pool *pool = NULL;
    struct appended appended;
    struct pool_report report;

    if (strstr(command->name, "delete") != NULL && access(proof.pool, F_OK) != 0)
        return;
    if (pool_open(proof.pool, POOL_WRITE, &at_once, &pool, NULL) != POOL_OK ||
        pool_append(pool, &message, 1, &appended, NULL) != POOL_OK) {
        wrong("another process cannot append at once");
        return;
    }
    if (pool_verify(pool, &report, NULL) != 0 || (report.n_issues > 0 && !command->damaged))
        wrong("the pool does not verify");
    const uint64_t n_new = appended.first_seq - N_MESSAGES - 1;
    if (strncmp(command->args, "feed|p", 6) == 0 && n_new < count_lines(now.out))
        wrong("a receipted message is lost");
    if (strncmp(command->args, "feed|p", 6) == 0 && n_new > count_lines(reference.out))
        wrong("a message is there twice");
}

/* One run with this call failing. False: it did not happen. */
static bool attempt(
    const struct command *command, enum inject_call call, int errnum, int64_t nth, bool sticky)
{
    snprintf(proof.label, sizeof(proof.label), "%s, %s %lld%s, %s", command->name,
        inject_kinds[call].name != NULL ? inject_kinds[call].name : "nothing", (long long)nth,
        sticky ? " and on" : "", errnum >= 0 ? strerrorname_np(errnum) : "short");
    write_file(proof.pool, command->damaged ? proof.damaged : proof.sound, POOL_BYTES);
    inject_arm(call, errnum, nth, sticky);
    run(command);
    if (call == INJECT_NOTHING)
        reference = now;
    check_ending(command, call, errnum, sticky);
    check_pool(command);
    clear_pools(command->makes, call != INJECT_UNLINK);
    return now.failed;
}

/* In the brief form calls are skipped, more and more. False: there are none of this kind. */
static bool play_failing(
    const struct command *command, enum inject_call call, int errnum, bool sticky)
{
    int64_t nth = 1;
    while (attempt(command, call, errnum, nth, sticky))
        nth += proof.brief ? 1 + nth / (command->libjq ? 1 : 4) : 1 + nth / 100;
    return nth > 1;
}

static void play(const struct command *command, int number)
{
    const uint64_t before = proof.n_wrong;

    proof.n_told = 0;
    (void)attempt(command, INJECT_NOTHING, 0, 0, false);
    for (int call = 1; call < N_INJECT_CALLS; call++) {
        const int *errnums = inject_kinds[call].errnums;
        bool calls = true;
        for (int i = 0; errnums[i] != 0 && calls && (i < 3 || !proof.brief); i++) {
            calls = play_failing(command, (enum inject_call)call, errnums[i], false);
            if (calls && errnums[i] != EINTR && errnums[i] != EAGAIN &&
                (call == INJECT_MEMORY || !proof.brief))
                play_failing(command, (enum inject_call)call, errnums[i], true);
        }
    }
    printf("%s %d - %s\n", proof.n_wrong == before ? "ok" : "not ok", number, command->name);
}

static void setup(void)
{
    char self[256] = "";
    must(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    const char *folder = dirname(self); /* build/tests/proof */
    snprintf(proof.program, sizeof(proof.program), "%.200s/../../plasmite", folder);
    snprintf(proof.preload, sizeof(proof.preload), "LD_PRELOAD=%.200s/libinject.so", folder);
    proof_folder(proof.folder);
    snprintf(proof.pools, sizeof(proof.pools), "%s/pools", proof.folder);
    snprintf(proof.pool, sizeof(proof.pool), "%s/p.plasmite", proof.pools);
    snprintf(proof.steering, sizeof(proof.steering), "PLSM_INJECT=%s/inject", proof.folder);
    must(mkdir(proof.pools, 0700) == 0);
    const int fd = open(file_in_folder("inject"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0 && ftruncate(fd, sizeof(*inject)) == 0);
    inject = mmap(NULL, sizeof(*inject), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(inject != MAP_FAILED);
    close(fd);
    make_pool();
    make_old_pool();
}

static void teardown(void)
{
    static const char *const names[] = {"in", "out", "err", "inject", "old"};
    clear_pools(NULL, false);
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(file_in_folder(names[i]));
    rmdir(proof.pools);
    rmdir(proof.folder);
}

int main(int argc, char **argv)
{
    proof.brief = argc < 2 || strcmp(argv[1], "long") != 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    setup();
    printf("1..%d\n", (int)N_COMMANDS);
    for (unsigned i = 0; i < N_COMMANDS; i++)
        if (argc < 3 || strstr(commands[i].name, argv[2]) != NULL)
            play(&commands[i], (int)i + 1);
    teardown();
    printf("# proof: faults_cli: %d commands run %llu times with one failing call, or all from one "
           "on: %llu clean errors, %llu without effect, %llu wrong\n",
        (int)N_COMMANDS, (unsigned long long)proof.n_runs, (unsigned long long)proof.n_errors,
        (unsigned long long)proof.n_harmless, (unsigned long long)proof.n_wrong);
    return proof.n_wrong > 0;
}
