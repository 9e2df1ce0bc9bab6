/* Single-stepping: one instruction, then a look at the mapped file. */
#include "os/map.h"
#include "tests/proof/crash.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* No call that is stepped comes near it. Where atomic operations are loops that an exception makes
 * repeat, single steps never end. */
#define STEPS_MAX 1000000

/* Broken promises after which more of them say nothing new. */
#define WRONG_MAX 20

#define LINE 64

/* Hashes of all states of this run: open addressing. */
#define SEEN_MAX (UINT64_C(1) << 22)
static uint64_t seen[SEEN_MAX];
static uint64_t n_seen;

/* What the workers saw as the next seq, state by state: a message that a reader could see must not
 * be gone one instruction later. */
#define RESULTS_MAX (UINT64_C(1) << 20)
static struct {
    uint64_t step;
    uint64_t next_seq;
} results[RESULTS_MAX];
static size_t n_results;

static const struct scene *current;

/* Zeros where the kernel does not tell: before Linux 5.3. */
static struct __ptrace_syscall_info trace_info(pid_t pid)
{
    struct __ptrace_syscall_info info = {0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
        info = (struct __ptrace_syscall_info){0};
    return info;
}

pid_t trace_start(void (*run)(const void *arg), const void *arg)
{
    const pid_t pid = crash_fork();
    int status = 0;

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(77);
        run(arg);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid)
        crash_die("waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        crash_skip("ptrace is not permitted here");
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGSTOP)
        crash_die("the child did not begin, status %#x", (unsigned)status);
    if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) < 0)
        crash_skip("ptrace does not do here what it should");
    const uint32_t arch = trace_info(pid).arch;
    if (arch != 0 && arch != AUDIT_ARCH_X86_64 && arch != AUDIT_ARCH_AARCH64)
        crash_skip("only tried on x86-64 and arm64");
    return pid;
}

void trace_stop(void)
{
    syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), SIGSTOP);
}

/* Waits for the next stop. Signals that are not ptrace's own would be faults of the engine. */
static bool trace_wait(pid_t pid)
{
    int status = 0;
    if (waitpid(pid, &status, __WALL) != pid)
        crash_die("waitpid: %s", strerror(errno));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return false;
    if (!WIFSTOPPED(status) || (WSTOPSIG(status) & 0x7f) != SIGTRAP)
        crash_die("%s: the stepped child ended with status %#x",
            current != NULL ? current->name : "a call", (unsigned)status);
    return true;
}

bool trace_step(pid_t pid)
{
    if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0)
        crash_skip("single steps are not permitted here");
    return trace_wait(pid);
}

bool trace_syscall(pid_t pid)
{
    if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0)
        crash_skip("ptrace is not permitted here");
    return trace_wait(pid);
}

uintptr_t trace_pc(pid_t pid)
{
    return (uintptr_t)trace_info(pid).instruction_pointer;
}

void trace_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        continue;
}

/* A child that was forked has everything at the same addresses. */
void trace_symbol(uintptr_t pc, char *text, size_t size)
{
    Dl_info info;
    void *address = NULL;
    memcpy(&address, &pc, sizeof(address));
    if (dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        snprintf(text, size, "%#llx", (unsigned long long)pc);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(text, size, "%s+%#llx", slash != NULL ? slash + 1 : info.dli_fname,
        (unsigned long long)(pc - (uintptr_t)info.dli_fbase));
}

static uint64_t line_hash(const uint8_t *line, uint64_t number)
{
    uint64_t words[LINE / 8];
    uint64_t hash = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(words, line, sizeof(words));
    for (size_t i = 0; i < LINE / 8; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0xff51afd7ed558ccd);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Takes over the lines that differ, and returns what that adds to the sum of their hashes. */
static uint64_t shadow_update(uint8_t *shadow, const uint8_t *map, size_t size)
{
    uint64_t change = 0;
    for (size_t at = 0; at < size; at += LINE) {
        if (memcmp(shadow + at, map + at, LINE) == 0)
            continue;
        change -= line_hash(shadow + at, at);
        memcpy(shadow + at, map + at, LINE);
        change += line_hash(shadow + at, at);
    }
    return change;
}

/* Whether the state was not seen before. */
static bool seen_add(uint64_t hash)
{
    hash += hash == 0;
    for (uint64_t i = hash % SEEN_MAX;; i = (i + 1) % SEEN_MAX) {
        if (seen[i] == hash)
            return false;
        if (seen[i] != 0)
            continue;
        if (++n_seen > SEEN_MAX / 2)
            crash_die("too many states");
        seen[i] = hash;
        return true;
    }
}

void step_done(const struct job *job)
{
    char where[128];
    if (job->failure[0] == '\0') {
        if (n_results < RESULTS_MAX) {
            results[n_results].step = job->step;
            results[n_results++].next_seq = job->next_seq;
        }
        return;
    }
    trace_symbol(job->pc, where, sizeof(where));
    crash_wrong("%s, round %u, step %llu, before %s%s: %s", current->name, current->round,
        (unsigned long long)job->step, where, job->acked ? ", acknowledged" : "", job->failure);
    if (atomic_load(&crash_shared->n_wrong) >= WRONG_MAX)
        crash_die("%d promises broken: that is enough", WRONG_MAX);
}

static int results_compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void results_check(void)
{
    qsort(results, n_results, sizeof(results[0]), results_compare);
    for (size_t i = 1; i < n_results; i++)
        if (results[i].next_seq < results[i - 1].next_seq)
            crash_wrong("%s, round %u, step %llu: seq %llu was to be seen and is gone",
                current->name, current->round, (unsigned long long)results[i].step,
                (unsigned long long)results[i].next_seq);
    n_results = 0;
}

/* The stepped pool as this process sees it. */
struct watched {
    uint8_t *map;
    uint8_t *shadow;
    size_t size;
    uint64_t hash;
};

static unsigned step_ways(bool all_ways, bool locked, uint64_t n)
{
    if (!locked)
        return n % 2 == 0 ? WAY_WAIT : WAY_SAME;
    if (all_ways)
        return WAY_ALL;
    return n % 16 == 0 ? WAY_WAIT : n % 2 == 0 ? WAY_ONCE : WAY_SAME;
}

static bool watched_locked(const struct watched *file)
{
    const struct control *control =
        (const struct control *)(const void *)(file->shadow + FORMAT_CONTROL_OFFSET);
    return atomic_load_explicit(&control->lock, memory_order_relaxed) != 0 ||
           atomic_load_explicit(&control->flush_lock, memory_order_relaxed) != 0;
}

static void step_post(const struct watched *file, pid_t pid, uint64_t step, bool acked,
    bool all_ways, const struct step_counts *counts)
{
    struct job *job = workers_job();

    job->step = step;
    job->pc = trace_pc(pid);
    job->acked = acked;
    job->lap = counts->n_states % 16 == 0;
    job->ways = step_ways(all_ways, watched_locked(file), counts->n_states);
    job->size = file->size;
    memcpy(job->bytes, file->shadow, file->size);
    workers_post(job);
}

static void step_child(const void *arg)
{
    struct scene scene = *(const struct scene *)arg;
    crash_pretend_lease(scene.lease);
    scene_act(&scene, trace_stop);
    trace_stop();
}

static void step_through(
    const struct scene *scene, struct watched *file, bool all_ways, struct step_counts *counts)
{
    atomic_store(&crash_shared->acked, false);
    const pid_t pid = trace_start(step_child, scene);
    bool acked = false;

    file->hash = 0;
    memset(file->shadow, 0, file->size);
    for (size_t at = 0; at < file->size; at += LINE)
        file->hash += line_hash(file->shadow + at, at);
    for (uint64_t step = 0; !acked; step++) {
        if (step > 0 && !trace_step(pid))
            crash_die("%s: the child ended too early", scene->name);
        counts->n_steps += step > 0;
        acked = atomic_load_explicit(&crash_shared->acked, memory_order_relaxed);
        if (step > STEPS_MAX)
            crash_skip("single steps do not get through a call on this machine");
        const bool changed = memcmp(file->shadow, file->map, file->size) != 0;
        if (changed)
            file->hash += shadow_update(file->shadow, file->map, file->size);
        const bool is_new = changed && seen_add(file->hash);
        counts->n_states += is_new;
        counts->n_locked += is_new && watched_locked(file);
        if (is_new || acked)
            step_post(file, pid, step, acked, all_ways, counts);
    }
    trace_kill(pid);
}

void step_scene(struct scene *scene, bool all_ways, struct step_counts *counts)
{
    static uint8_t shadow[STATE_BYTES_MAX];
    const int fd = open(scene->path, O_RDWR | O_CLOEXEC);
    struct watched file = {.shadow = shadow, .size = scene->size};

    if (fd < 0)
        crash_die("%s: %s", scene->path, strerror(errno));
    file.map = map_file(fd, file.size, true);
    if (file.map == NULL)
        crash_die("mmap: %s", strerror(errno));
    current = scene;
    step_through(scene, &file, all_ways, counts);
    workers_drain();
    results_check();
    map_free(file.map, file.size);
    close(fd);
}
