#include "tests/proof/power_check.h"

#include "engine/format.h"
#include "os/process.h"

#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>

struct appends appends;

struct view check_text(char *buffer, uint32_t mark, uint32_t len)
{
    const size_t n = (size_t)snprintf(buffer, RECORD_BYTES_MAX, "{\"mark\":%u}", mark);
    for (size_t i = n; i < len; i++)
        buffer[i] = (char)('a' + (mark + i) % 26);
    return view_of(buffer, len > n ? len : n);
}

__attribute__((format(printf, 1, 2))) static bool wrong(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("power: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return false;
}

static bool failed(const char *what, int result, plsm_error_t *err)
{
    return wrong("%s gave %d: %s", what, result, err != NULL ? err->message : "no error");
}

void check_reboot(uint8_t *image)
{
    uint8_t *const boot_id = image + FORMAT_CONTROL_OFFSET + offsetof(struct control, boot_id);
    uint8_t present[16];
    process_boot_id(present);
    if (memcmp(boot_id, present, sizeof(present)) == 0)
        boot_id[0] ^= 0x55;
}

static void put_image(const char *path, const uint8_t *image)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    must(fd >= 0);
    must(pwrite(fd, image, record.n_bytes, 0) == (ssize_t)record.n_bytes);
    must(close(fd) == 0);
}

static bool check_message(const struct frame *frame, const struct demand *demand)
{
    static char buffer[RECORD_BYTES_MAX];
    if (demand->repaired && frame->seq >= demand->flushed)
        return true; /* found behind a tail that nobody knows: of an earlier life, perhaps */
    if (frame->seq < appends.first_seq || frame->seq >= demand->visible)
        return wrong("seq %" PRIu64 " was never appended", frame->seq);
    const size_t i = frame->seq - appends.first_seq;
    const struct view text = check_text(buffer, appends.messages[i].mark, appends.messages[i].len);
    if (!view_equal(frame->data, text) || frame->tags.len != 0)
        return wrong("seq %" PRIu64 " is %.*s, not %.*s", frame->seq,
            (int)(frame->data.len < 32 ? frame->data.len : 32), (const char *)frame->data.data,
            (int)(text.len < 32 ? text.len : 32), buffer);
    return true;
}

/* Reads everything, which must be one run without a gap; but a repair may also find messages behind
 * one that is lost. */
static bool check_run(struct pool *pool, const struct demand *demand, struct found *found)
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    plsm_error_t *err = NULL;

    cursor_oldest(&cursor, pool);
    for (;;) {
        const int r = cursor_next(&cursor, &frame, &gap, &err);
        if (r == CURSOR_EMPTY)
            return true;
        if (r == CURSOR_GAP && demand->repaired &&
            (gap.first_seq >= demand->flushed || gap.next_seq <= demand->oldest)) {
            found->next_seq = gap.next_seq;
            continue;
        }
        if (r == CURSOR_GAP)
            return wrong("gap %" PRIu64 " to %" PRIu64, gap.first_seq, gap.next_seq);
        if (r != CURSOR_FRAME)
            return failed("cursor_next", r, err);
        if (!check_message(&frame, demand))
            return false;
        if (found->first_seq == 0)
            found->first_seq = frame.seq;
        else if (frame.seq != found->next_seq)
            return wrong("seq %" PRIu64 " follows %" PRIu64, frame.seq, found->next_seq - 1);
        found->next_seq = frame.seq + 1;
    }
}

static bool check_demand(const struct demand *demand, const struct found *found)
{
    if (demand->oldest >= demand->flushed)
        return true;
    if (found->first_seq != 0 && found->first_seq <= demand->oldest &&
        found->next_seq >= demand->flushed)
        return true;
    return wrong("seqs %" PRIu64 " to %" PRIu64 " were flushed and retained; %" PRIu64
                 " to %" PRIu64 " are there",
        demand->oldest, demand->flushed - 1, found->first_seq, found->next_seq - 1);
}

static bool check_clean(struct pool *pool)
{
    struct pool_report report;
    plsm_error_t *err = NULL;
    const int r = pool_verify(pool, &report, &err);
    if (r != POOL_OK)
        return failed("pool_verify", r, err);
    if (report.n_issues == 0)
        return true;
    return wrong("verify: %s: %s at %" PRIu64, report.issues[0].code, report.issues[0].message,
        report.issues[0].offset);
}

/* The pool goes on: some appends, the first of which tells the next seq. */
static bool check_appends(struct pool *pool, const struct demand *demand, struct found *found)
{
    static const char text[] = "{\"after\":\"the loss\"}";
    const struct message message = {.data = {(const uint8_t *)text, sizeof(text) - 1}};
    plsm_error_t *err = NULL;
    struct appended appended;
    struct frame frame;

    for (uint64_t i = 0; i < 4; i++) {
        const int r = pool_append(pool, &message, 1, &appended, &err);
        if (r != POOL_OK)
            return failed("pool_append", r, err);
        if (i == 0 && found->first_seq != 0 && appended.first_seq != found->next_seq)
            return wrong("seq %" PRIu64 " was appended behind %" PRIu64, appended.first_seq,
                found->next_seq - 1);
        if (i == 0)
            found->next_seq = appended.first_seq;
        if (appended.first_seq != found->next_seq + i || appended.first_seq < demand->flushed)
            return wrong("seq %" PRIu64 " was appended, %" PRIu64 " had been flushed",
                appended.first_seq, demand->flushed - 1);
    }
    const int r = pool_get(pool, appended.first_seq, &frame, &err);
    if (r != POOL_OK)
        return failed("pool_get", r, err);
    return view_equal(frame.data, message.data) || wrong("what was appended is not there");
}

static bool check_open(
    const char *path, const struct demand *demand, struct pool **out_pool, struct found *found)
{
    const struct pool_open_options options = {.busy_timeout_ms = 0}; /* nobody else uses it */
    plsm_error_t *err = NULL;
    const int r = pool_open(path, POOL_WRITE, &options, out_pool, &err);
    if (r == POOL_OK)
        return true;
    found->corrupt = r == -1 && err->kind == PLSM_ERROR_CORRUPT && demand->may_be_corrupt;
    if (!found->corrupt)
        failed("pool_open", r, err);
    plsm_error_free(err);
    return false;
}

static bool check_pool(struct pool *pool, const struct demand *demand, struct found *found)
{
    return check_run(pool, demand, found) && check_demand(demand, found) && check_clean(pool) &&
           check_appends(pool, demand, found) && check_clean(pool);
}

static void remove_copies(const char *path)
{
    char pattern[256];
    glob_t names;
    snprintf(pattern, sizeof(pattern), "%s.before-repair-*", path);
    if (glob(pattern, 0, NULL, &names) == 0)
        for (size_t i = 0; i < names.gl_pathc; i++)
            unlink(names.gl_pathv[i]);
    globfree(&names);
}

/* Of a pool that says it is damaged everything that is asked for must still be there for a
 * repair to find; but one that has lost power before may hold more than one past, and nothing says
 * which of them was the last. */
static bool check_repair(const char *path, const struct demand *demand, struct found *found)
{
    scoped(pool_repaired_fini) struct pool_repaired repaired = {0};
    scoped(pool_close) struct pool *pool = NULL;
    struct found whole = {.corrupt = false};
    struct demand strict = *demand;
    plsm_error_t *err = NULL;

    strict.may_be_corrupt = false;
    strict.repaired = true;
    const int r = pool_repair(path, NULL, &repaired, &err);
    remove_copies(path);
    if (r != POOL_OK)
        return failed("pool_repair", r, err);
    if (!check_open(path, &strict, &pool, &whole))
        return false;
    if (!demand->first_life)
        return true;
    found->repaired = check_run(pool, &strict, &whole) && check_demand(&strict, &whole);
    return found->repaired;
}

bool check_image(
    const char *path, const uint8_t *image, const struct demand *demand, struct found *out_found)
{
    scoped(pool_close) struct pool *pool = NULL;
    *out_found = (struct found){.corrupt = false};
    put_image(path, image);
    if (check_open(path, demand, &pool, out_found))
        return check_pool(pool, demand, out_found);
    if (!out_found->corrupt)
        return false;
    return demand->oldest >= demand->flushed || check_repair(path, demand, out_found);
}
