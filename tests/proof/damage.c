#include "damage.h"

#include "base/clock.h"
#include "engine/handle.h"
#include "proof.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#define TOLD_MAX 40 /* wrong answers that are told one by one */
#define LATE_S   1
#define STUCK_S  30 /* then it has no end */
#define TRIES    3

char damage_path[80];
static char damage_folder[64];
static char damage_label[160];
static uint64_t n_wrong;
static uint64_t n_hangs;
static uint64_t n_late;
static unsigned n_tests;
static volatile sig_atomic_t late;

static int damage_remove(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
    (void)status;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void damage_clean(void)
{
    nftw(damage_folder, damage_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* Says what was tried, without anything that a handler must not call. */
static void damage_last_words(const char *what)
{
    (void)!write(STDERR_FILENO, what, strlen(what));
    (void)!write(STDERR_FILENO, damage_label, strlen(damage_label));
    (void)!write(STDERR_FILENO, "\n", 1);
}

static void damage_on_alarm(int signal)
{
    (void)signal;
    if (late) {
        damage_last_words("# no end: ");
        _exit(98);
    }
    late = 1;
    alarm(STUCK_S);
}

static void damage_on_crash(int signal)
{
    damage_last_words("# died: ");
    raise(signal); /* the handler was there for once */
}

void damage_start(void)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    struct sigaction action = {.sa_handler = damage_on_alarm, .sa_flags = SA_RESTART};

    setvbuf(stdout, NULL, _IOLBF, 0);
    must(sigaction(SIGALRM, &action, NULL) == 0);
    action = (struct sigaction){.sa_handler = damage_on_crash, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++)
        must(sigaction(crashes[i], &action, NULL) == 0);
    proof_folder(damage_folder);
    must(atexit(damage_clean) == 0);
    snprintf(damage_path, sizeof(damage_path), "%s/pool", damage_folder);
}

uint64_t damage_n_wrong(void)
{
    return n_wrong + n_hangs;
}

void damage_end(const char *what, uint64_t n_cases)
{
    static uint64_t before;
    printf("%sok %u - %s: %llu cases\n", damage_n_wrong() > before ? "not " : "", ++n_tests, what,
        (unsigned long long)n_cases);
    before = damage_n_wrong();
}

void damage_case(const struct scene *scene, const char *format, ...)
{
    va_list args;
    const int n = snprintf(damage_label, sizeof(damage_label), "%s: ", scene->name);
    va_start(args, format);
    vsnprintf(damage_label + n, sizeof(damage_label) - (size_t)n, format, args);
    va_end(args);
}

static void damage_label_in_use(void)
{
    const size_t len = strlen(damage_label);
    snprintf(damage_label + len, sizeof(damage_label) - len, ", in use");
}

void damage_wrong(const char *format, ...)
{
    va_list args;
    if (n_wrong++ >= TOLD_MAX)
        return;
    fprintf(stderr, "# %s: ", damage_label);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void damage_put(const uint8_t *bytes)
{
    const int fd = open(damage_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(pwrite(fd, bytes, DAMAGE_BYTES, 0) == (ssize_t)DAMAGE_BYTES);
    close(fd);
}

void damage_try(void (*run)(void *context), void *context)
{
    for (int i = 0; i < TRIES; i++) {
        late = 0;
        alarm(LATE_S);
        run(context);
        alarm(0);
        if (!late)
            return;
        n_late++;
    }
    n_hangs++;
    damage_wrong("takes longer than %d s", LATE_S);
}

/* What was appended after the damage. */
struct later {
    uint64_t first_seqs[DAMAGE_LATER];
    uint64_t n_messages[DAMAGE_LATER];
    size_t n;
};

static char later_text[2048];

static bool later_has(const struct later *later, uint64_t seq)
{
    for (size_t i = 0; i < later->n; i++)
        if (seq - later->first_seqs[i] < later->n_messages[i])
            return true;
    return false;
}

static bool is_written(const struct frame *frame, const struct written *written)
{
    return view_equal(frame->data, written->data) && view_equal(frame->tags, written->tags) &&
           frame->time_ns == written->time_ns && frame->encoding == ENCODING_JSON;
}

/* The one thing that must never be: a message that nobody appended. Where damage took back the
 * next seq there are two with one seq. */
static void check_message(
    const struct scene *scene, const struct later *later, const struct frame *frame)
{
    const bool in_scene = frame->seq < DAMAGE_SEQS && scene->messages[frame->seq].data.len > 0;
    const bool is_later = later != NULL && later_has(later, frame->seq);

    if (in_scene && is_written(frame, &scene->messages[frame->seq]))
        return;
    if (is_later && frame->tags.len == 0 && view_equal(frame->data, view_str(later_text)))
        return;
    damage_wrong("message %llu %s", (unsigned long long)frame->seq,
        in_scene || is_later ? "is wrong" : "was never appended");
}

/* Frees an error, which must say that the file is bad. Returns whether it blames the control
 * words. */
static bool drop_error(plsm_error_t **err, const char *where)
{
    const bool is_flush = strcmp(where, "pool_flush") == 0; /* says Io where a sync has failed */
    bool control = false;
    if (*err == NULL) {
        damage_wrong("%s failed without an error", where);
        return false;
    }
    if ((*err)->kind != PLSM_ERROR_CORRUPT && !(is_flush && (*err)->kind == PLSM_ERROR_IO))
        damage_wrong("%s failed with kind %d: %s", where, (int)(*err)->kind, (*err)->message);
    control = (*err)->offset < FORMAT_HEADER_SIZE;
    plsm_error_free(*err);
    *err = NULL;
    return control;
}

/* Reads on to the newest message, stepping over damage. */
static void read_on(const struct scene *scene, const struct later *later, struct cursor *cursor,
    struct found *found)
{
    plsm_error_t *err = NULL;
    struct frame frame;
    struct gap gap;
    uint64_t last_seq = 0;

    for (int steps = 0; steps < 20000; steps++) {
        const int r = cursor_next(cursor, &frame, &gap, &err);
        if (r == CURSOR_EMPTY)
            return;
        if (r == CURSOR_GAP)
            continue;
        if (r == CURSOR_FRAME) {
            check_message(scene, later, &frame);
            if (frame.seq <= last_seq)
                damage_wrong("seq %llu is not above %llu", (unsigned long long)frame.seq,
                    (unsigned long long)last_seq);
            last_seq = frame.seq;
            if (frame.seq < DAMAGE_SEQS)
                found->seen[frame.seq / 64] |= UINT64_C(1) << frame.seq % 64;
            continue;
        }
        if (drop_error(&err, "cursor_next")) {
            found->n_control++;
            if (found->n_control > 3)
                return; /* there is no way past bad control words */
        } else {
            found->n_frames++;
        }
        cursor_skip_damage(cursor, &gap);
    }
    damage_wrong("reading does not end");
}

static void read_all(
    const struct scene *scene, const struct later *later, struct pool *pool, struct found *found)
{
    struct cursor cursor;
    cursor_oldest(&cursor, pool);
    read_on(scene, later, &cursor, found);
}

static void get_each(
    const struct scene *scene, const struct later *later, struct pool *pool, struct found *found)
{
    plsm_error_t *err = NULL;
    struct frame frame;

    for (size_t i = 0; i < scene->n_frames; i++) {
        const uint64_t seq = scene->frames[i].seq;
        if (!scene->frames[i].is_message)
            continue;
        const int r = pool_get(pool, seq, &frame, &err);
        if (r == -1) {
            drop_error(&err, "pool_get");
            found->n_get_refused++;
        } else if (r == POOL_OK) {
            if (frame.seq != seq)
                damage_wrong("asked for message %llu, got %llu", (unsigned long long)seq,
                    (unsigned long long)frame.seq);
            check_message(scene, later, &frame);
        } else {
            found->n_get_missing++;
        }
    }
}

/* By seq and by time; what is found there is read on. */
static void seek_some(const struct scene *scene, struct pool *pool, struct found *found)
{
    plsm_error_t *err = NULL;
    struct cursor cursor;
    struct found again = {0};

    for (unsigned i = 1; i < 4; i++) {
        const uint64_t seq = scene->frames[scene->n_frames * i / 4].seq;
        if (cursor_seek_seq(&cursor, pool, seq, &err) < 0)
            found->n_control += drop_error(&err, "cursor_seek_seq");
        else if (i == 3)
            read_on(scene, NULL, &cursor, &again);
        if (cursor_seek_time(&cursor, pool, scene->messages[seq].time_ns, &err) < 0)
            found->n_control += drop_error(&err, "cursor_seek_time");
        else if (i == 2)
            read_on(scene, NULL, &cursor, &again);
    }
}

static void count_missing(const struct scene *scene, struct found *found)
{
    found->n_missing = 0;
    for (size_t i = 0; i < scene->n_frames; i++)
        found->n_missing += scene->frames[i].is_message && !seen_has(found, scene->frames[i].seq);
}

static int damage_open(enum pool_mode mode, struct pool **out_pool)
{
    static const struct pool_open_options options = {.busy_timeout_ms = 2000, .spin_turns = 0};
    plsm_error_t *err = NULL;
    const int r = pool_open(damage_path, mode, &options, out_pool, &err);
    if (r == -1)
        drop_error(&err, "pool_open");
    else if (r != POOL_OK)
        damage_wrong("pool_open gave %d", r);
    return r;
}

void damage_read(const struct scene *scene, struct found *found)
{
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    struct pool_info info;
    struct cursor cursor;

    memset(found, 0, sizeof(*found));
    found->n_missing = (unsigned)scene->n_messages;
    if (damage_open(POOL_READ, &pool) != POOL_OK) {
        found->refused = true;
        return;
    }
    if (pool_info(pool, &info, &err) < 0 && drop_error(&err, "pool_info"))
        found->n_control++;
    if (pool_verify(pool, &found->report, &err) < 0)
        found->n_control += drop_error(&err, "pool_verify");
    read_all(scene, NULL, pool, found);
    count_missing(scene, found);
    get_each(scene, NULL, pool, found);
    seek_some(scene, pool, found);
    cursor_newest(&cursor, pool);
    if (follow_wait(&cursor, 1, &err) < 0) /* a deadline long past: it looks, and does not sleep */
        drop_error(&err, "follow_wait");
}

/* Appends one or more messages. POOL_OK, or -1 where the pool refused. */
static int append_later(struct pool *pool, struct later *later, size_t n)
{
    plsm_error_t *err = NULL;
    struct message messages[16];
    struct appended appended;

    for (size_t i = 0; i < n; i++)
        messages[i] = (struct message){.data = view_str(later_text)};
    const int r = pool_append(pool, messages, n, &appended, &err);
    if (r == -1) {
        drop_error(&err, "pool_append");
        return -1;
    }
    if (r != POOL_OK) {
        damage_wrong("pool_append gave %d", r);
        return -1;
    }
    must(later->n < DAMAGE_LATER);
    later->first_seqs[later->n] = appended.first_seq;
    later->n_messages[later->n++] = n;
    return POOL_OK;
}

/* The follower, who was at the end, gets the message that was appended, or is told of damage. */
static void check_follower(const struct scene *scene, const struct later *later,
    struct cursor *follower, struct found *found)
{
    plsm_error_t *err = NULL;
    struct frame frame;
    struct gap gap;
    int r = follow_wait(follower, clock_deadline_ns(500), &err);

    if (r == FOLLOW_READY) {
        do
            r = cursor_next(follower, &frame, &gap, &err);
        while (r == CURSOR_GAP);
        if (r == CURSOR_FRAME) {
            check_message(scene, later, &frame);
            return;
        }
    }
    if (r == -1)
        found->n_control += drop_error(&err, "following");
    else
        found->follow_missed = true;
}

/* More than a lap: then nothing is left of the damage but in the control words. */
static int append_lap(struct pool *pool, struct later *later)
{
    const struct message message = {.data = view_str(later_text)};
    const uint64_t lap = pool_ring_size(pool) / message_footprint(&message) + 2;
    for (uint64_t n = 0; n < lap; n += 4)
        if (append_later(pool, later, 4) != POOL_OK)
            return -1;
    return POOL_OK;
}

static void write_on(const struct scene *scene, struct pool *reader, struct pool *writer,
    struct cursor *follower, struct found *found)
{
    plsm_error_t *err = NULL;
    struct later later = {.n = 0};
    struct pool_report report;
    struct found after = {0};

    if (append_later(writer, &later, 1) != POOL_OK) {
        found->write_refused = true;
        return;
    }
    check_follower(scene, &later, follower, found);
    get_each(scene, &later, reader, &after);
    read_all(scene, &later, writer, &after);
    if (append_lap(writer, &later) != POOL_OK) {
        found->write_refused = true;
        return;
    }
    if (pool_flush(writer, &err) < 0) {
        drop_error(&err, "pool_flush");
        found->flush_refused = true;
    }
    after = (struct found){0};
    read_all(scene, &later, reader, &after);
    read_on(scene, &later, follower, &after);
    if (pool_verify(writer, &report, &err) < 0)
        drop_error(&err, "pool_verify");
    else if (report.n_issues > 0 && !found->flush_refused)
        damage_wrong("a lap later it is still damaged at %llu: %s",
            (unsigned long long)report.issues[0].offset, report.issues[0].message);
}

void damage_write(const struct scene *scene, struct found *found,
    void (*patch)(const void *context), const void *context)
{
    scoped(pool_close) struct pool *reader = NULL;
    scoped(pool_close) struct pool *writer = NULL;
    struct cursor follower;
    struct cursor middle = {0};
    struct found before = {0};

    if (later_text[0] == '\0')
        snprintf(later_text, sizeof(later_text), "{\"later\":\"%01500d\"}", 0);
    if (damage_open(POOL_READ, &reader) != POOL_OK || damage_open(POOL_WRITE, &writer) != POOL_OK) {
        found->write_refused = true;
        return;
    }
    cursor_newest(&follower, reader);
    if (patch != NULL) {
        plsm_error_t *err = NULL;
        const uint64_t seq = scene->frames[scene->n_frames / 2].seq;
        must(cursor_seek_seq(&middle, reader, seq, &err) == 0);
        damage_label_in_use();
        patch(context);
        read_on(scene, NULL, &middle, &before);
    }
    write_on(scene, reader, writer, &follower, found);
}

int damage_repair(const struct scene *scene, struct found *found)
{
    struct pool_repaired repaired = {0};
    plsm_error_t *err = NULL;

    memset(found, 0, sizeof(*found));
    const int r = pool_repair(damage_path, NULL, &repaired, &err);
    if (r == -1)
        drop_error(&err, "pool_repair");
    if (r != POOL_OK)
        return r;
    unlink(repaired.copy_path);
    damage_read(scene, found);
    if (found->refused || found->n_control > 0 || found->n_frames > 0 || found->n_get_refused > 0)
        damage_wrong("a repaired pool is still damaged for its readers");
    if (found->report.n_issues > 0)
        damage_wrong("a repaired pool is still damaged: %s", found->report.issues[0].message);
    if (found->report.n_messages != repaired.n_kept)
        damage_wrong("a repair said %llu messages, there are %llu",
            (unsigned long long)repaired.n_kept, (unsigned long long)found->report.n_messages);
    pool_repaired_fini(&repaired);
    return r;
}
