#include "tests/proof/power_record.h"

#include "tests/proof/proof.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define MAPPINGS_MAX 8
#define TRAP_FLAG    0x100 /* of the processor: stop after one instruction */

struct mapping {
    uint8_t *start;
    size_t len;
};

struct open_page {
    uint8_t *start;
    uint32_t page;
};

struct record record;

static struct mapping mappings[MAPPINGS_MAX];
static size_t n_mappings;
static struct open_page open_pages[4]; /* the instruction in progress may write to them */
static size_t n_open_pages;
static dev_t recorded_dev;
static ino_t recorded_ino;
static bool recording;
static uint64_t wall_ns, wall_step_ns;

void record_note(enum record_kind kind, uint32_t at, uint64_t value)
{
    if (!recording)
        return;
    must(record.n_log < RECORD_LOG_MAX);
    record.log[record.n_log++] = (struct record_entry){kind, at, value};
}

/* Notes the words of a page that are not as they were. */
static void note_page(const uint8_t *start, uint32_t page)
{
    const size_t first = (size_t)page * RECORD_PAGE / 8;
    bool changed = false;
    for (size_t i = 0; i < RECORD_PAGE / 8; i++) {
        uint64_t word;
        memcpy(&word, start + i * 8, 8);
        if (word == record.words[first + i])
            continue;
        record.words[first + i] = word;
        record_note(RECORD_STORE, (uint32_t)(first + i), word);
        changed = true;
    }
    if (!changed)
        record_note(RECORD_TOUCH, page, 0);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    uint8_t *const at = info->si_addr;
    uint8_t *const page = at - (uintptr_t)at % RECORD_PAGE;
    for (size_t i = 0; i < n_mappings; i++) {
        if (page < mappings[i].start || page >= mappings[i].start + mappings[i].len)
            continue;
        must(n_open_pages < sizeof(open_pages) / sizeof(open_pages[0]));
        must(mprotect(page, RECORD_PAGE, PROT_READ | PROT_WRITE) == 0);
        open_pages[n_open_pages++] =
            (struct open_page){page, (uint32_t)((size_t)(page - mappings[i].start) / RECORD_PAGE)};
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
        return;
    }
    const struct sigaction fallback = {.sa_handler = SIG_DFL};
    sigaction(number, &fallback, NULL); /* none of ours: it happens again, and kills */
}

static void on_step(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    for (size_t i = 0; i < n_open_pages; i++) {
        note_page(open_pages[i].start, open_pages[i].page);
        must(mprotect(open_pages[i].start, RECORD_PAGE, PROT_READ) == 0);
    }
    n_open_pages = 0;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

static void catch_stores(void)
{
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    must(sigaction(SIGSEGV, &fault, NULL) == 0);
    must(sigaction(SIGTRAP, &step, NULL) == 0);
}

void record_start(const char *path, const uint8_t *bytes, size_t n_bytes)
{
    struct stat status;
    if (record.log == NULL) {
        record.log = calloc(RECORD_LOG_MAX, sizeof(*record.log));
        must(record.log != NULL);
        catch_stores();
    }
    must(n_bytes <= RECORD_BYTES_MAX && n_bytes % RECORD_PAGE == 0);
    must(stat(path, &status) == 0);
    recorded_dev = status.st_dev;
    recorded_ino = status.st_ino;
    memcpy(record.words, bytes, n_bytes);
    record.n_bytes = n_bytes;
    record.n_log = record.n_syncs = 0;
    record.depth = 0;
    recording = true;
}

void record_stop(void)
{
    must(n_mappings == 0);
    recording = false;
    record.in_sync = NULL;
}

void record_bytes(const uint8_t *bytes)
{
    for (size_t i = 0; i < record.n_bytes / 8; i++) {
        uint64_t word;
        memcpy(&word, bytes + i * 8, 8);
        if (word != record.words[i])
            record_note(RECORD_STORE, (uint32_t)i, word);
        record.words[i] = word;
    }
}

static bool is_recorded(int fd)
{
    struct stat status;
    return recording && fd >= 0 && fstat(fd, &status) == 0 && status.st_dev == recorded_dev &&
           status.st_ino == recorded_ino;
}

/* From here on: the C library's, replaced for this program. */

void *mmap(void *start, size_t len, int protection, int flags, int fd, off_t offset)
{
    const bool watched = (protection & PROT_WRITE) != 0 && is_recorded(fd);
    if (watched)
        protection &= ~PROT_WRITE;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): what the system call gives is an address */
    void *map = (void *)syscall(SYS_mmap, start, len, protection, flags, fd, offset);
    if (watched && map != MAP_FAILED) {
        must(n_mappings < MAPPINGS_MAX && offset == 0);
        mappings[n_mappings++] = (struct mapping){map, len};
    }
    return map;
}

int munmap(void *start, size_t len)
{
    for (size_t i = 0; i < n_mappings; i++)
        if (mappings[i].start == start)
            mappings[i--] = mappings[--n_mappings];
    return (int)syscall(SYS_munmap, start, len);
}

static int sync_recorded(int fd)
{
    if (!is_recorded(fd))
        return 0;
    const uint32_t number = record.n_syncs++;
    record_note(RECORD_SYNC, number, 0);
    record.depth++;
    const bool good = record.in_sync == NULL || record.in_sync(record.depth);
    record.depth--;
    record_note(good ? RECORD_SYNC_DONE : RECORD_SYNC_FAILED, number, 0);
    errno = EIO;
    return good ? 0 : -1;
}

int fdatasync(int fd)
{
    return sync_recorded(fd);
}

int fsync(int fd)
{
    return sync_recorded(fd);
}

void record_clock(uint64_t now_ns, uint64_t step_ns)
{
    wall_ns = now_ns;
    wall_step_ns = step_ns;
}

uint64_t record_clock_now(void)
{
    return wall_ns;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    if (id != CLOCK_REALTIME || wall_ns == 0)
        return (int)syscall(SYS_clock_gettime, id, now);
    wall_ns += wall_step_ns;
    now->tv_sec = (time_t)(wall_ns / 1000000000);
    now->tv_nsec = (long)(wall_ns % 1000000000);
    return 0;
}
