/* Whether a crashed pool keeps what was promised. */
#include "base/crc32c.h"
#include "tests/proof/crash.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool failed(
    char failure[static FAILURE_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(failure, FAILURE_MAX, format, args);
    va_end(args);
    return false;
}

static bool failed_by(char failure[static FAILURE_MAX], const char *what, plsm_error_t *err)
{
    failed(failure, "%s: %s", what, err != NULL ? err->message : "busy");
    plsm_error_free(err);
    return false;
}

static uint32_t message_crc(struct view tags, struct view data)
{
    return crc32c(crc32c(0x5eed, tags.data, tags.len), data.data, data.len);
}

/* Whether the index leads to the frame that the cursor showed. */
static bool listing_check_get(
    struct pool *pool, const struct frame *frame, char failure[static FAILURE_MAX])
{
    struct frame found;
    plsm_error_t *err = NULL;
    const int r = pool_get(pool, frame->seq, &found, &err);
    if (r < 0)
        return failed_by(failure, "get", err);
    if (r != POOL_OK || found.pos != frame->pos || found.seq != frame->seq)
        return failed(failure, "seq %llu is there and cannot be got by its seq",
            (unsigned long long)frame->seq);
    return true;
}

static bool listing_add(struct pool *pool, struct listing *listing, const struct frame *frame,
    char failure[static FAILURE_MAX])
{
    if (listing->next_seq == 0)
        listing->first_seq = listing->next_seq = frame->seq;
    /* those that are damaged are known to be missing */
    while (crash_shared->damaged_end != 0 && listing->next_seq < frame->seq &&
           listing->next_seq - listing->first_seq < LISTING_MAX)
        listing->crcs[listing->next_seq++ - listing->first_seq] = 0;
    if (frame->seq != listing->next_seq)
        return failed(failure, "seq %llu after seq %llu", (unsigned long long)frame->seq,
            (unsigned long long)listing->next_seq - 1);
    if (frame->seq - listing->first_seq >= LISTING_MAX)
        return failed(failure, "too many messages");
    const struct message message = {.tags = frame->tags, .data = frame->data};

    listing->crcs[frame->seq - listing->first_seq] = message_crc(frame->tags, frame->data);
    listing->starts[frame->seq - listing->first_seq] = frame->pos;
    listing->end = frame->pos + message_footprint(&message);
    listing->next_seq++;
    return listing_check_get(pool, frame, failure);
}

static bool damage_is_there(const struct pool *pool)
{
    return atomic_load(&pool->control->head) < crash_shared->damaged_end;
}

/* The next message, behind the damage that is known of. */
static int listing_next(struct pool *pool, struct cursor *cursor, struct frame *out_frame,
    struct gap *out_gap, plsm_error_t **err)
{
    for (int n_steps = 0;; n_steps++) {
        const int r = cursor_next(cursor, out_frame, out_gap, err);
        if (n_steps > 4 || crash_shared->damaged_end == 0 ||
            !(r == CURSOR_GAP || (r == -1 && damage_is_there(pool))))
            return r;
        if (r == CURSOR_GAP)
            continue;
        plsm_error_free(*err);
        *err = NULL;
        cursor_skip_damage(cursor, out_gap);
    }
}

bool listing_read(struct pool *pool, struct listing *out_listing, char failure[static FAILURE_MAX])
{
    struct cursor cursor;
    struct frame frame;
    struct gap gap;
    struct pool_info info;
    plsm_error_t *err = NULL;
    int r = CURSOR_FRAME;

    out_listing->first_seq = out_listing->next_seq = 0;
    cursor_oldest(&cursor, pool);
    while (r == CURSOR_FRAME) {
        r = listing_next(pool, &cursor, &frame, &gap, &err);
        if (r == CURSOR_FRAME && !listing_add(pool, out_listing, &frame, failure))
            return false;
    }
    if (r == CURSOR_GAP)
        return failed(failure, "a gap of seqs %llu to %llu", (unsigned long long)gap.first_seq,
            (unsigned long long)gap.next_seq);
    if (r != CURSOR_EMPTY)
        return failed_by(failure, "read", err);
    if (pool_info(pool, &info, &err) != POOL_OK) {
        if (!damage_is_there(pool))
            return failed_by(failure, "info", err);
        plsm_error_free(err); /* the oldest one is damaged */
        return true;
    }
    if (out_listing->next_seq == 0)
        out_listing->first_seq = out_listing->next_seq = info.next_seq;
    if (out_listing->next_seq != info.next_seq)
        return failed(failure, "the last message has seq %llu, and the next would get %llu",
            (unsigned long long)out_listing->next_seq - 1, (unsigned long long)info.next_seq);
    return true;
}

static bool listing_is_of(const struct listing *listing, uint64_t seq, const struct listing *known)
{
    return seq >= known->first_seq && seq < known->next_seq &&
           listing->crcs[seq - listing->first_seq] == known->crcs[seq - known->first_seq];
}

bool listing_allowed(const struct listing *listing, const struct listing *before,
    const struct listing *after, bool acked, char failure[static FAILURE_MAX])
{
    const uint64_t next = listing->next_seq;
    /* what the whole call gives up may be gone already, and nothing else */
    const uint64_t must_begin = after->first_seq < next ? after->first_seq : next;

    if (next != after->next_seq && (acked || next != before->next_seq))
        return failed(failure, "messages up to seq %llu; there were %llu before the call, %llu %s",
            (unsigned long long)next - 1, (unsigned long long)before->next_seq - 1,
            (unsigned long long)after->next_seq - 1, acked ? "acknowledged" : "with it");
    if (listing->first_seq > must_begin || listing->first_seq < before->first_seq)
        return failed(failure, "begins with seq %llu; before the call with %llu, after it %llu",
            (unsigned long long)listing->first_seq, (unsigned long long)before->first_seq,
            (unsigned long long)after->first_seq);
    for (uint64_t seq = listing->first_seq; seq < next; seq++)
        if (!listing_is_of(listing, seq, seq < before->next_seq ? before : after))
            return failed(failure, "seq %llu is not what was appended", (unsigned long long)seq);
    return true;
}

static bool check_clean(struct pool *pool, char failure[static FAILURE_MAX])
{
    struct pool_report report;
    plsm_error_t *err = NULL;
    if (pool_verify(pool, &report, &err) != POOL_OK)
        return failed_by(failure, "verify", err);
    const bool known = report.n_issues == 1 && strcmp(report.issues[0].code, "frame") == 0 &&
                       damage_is_there(pool);
    if (report.n_issues > 0 && !known)
        return failed(failure, "verify: %s: %s at %llu", report.issues[0].code,
            report.issues[0].message, (unsigned long long)report.issues[0].offset);
    return true;
}

/* Appends, and finds it behind what was there. */
static bool check_append(
    struct pool *pool, struct listing *listing, size_t len, char failure[static FAILURE_MAX])
{
    static struct listing now;
    static uint8_t text[STATE_BYTES_MAX];
    const uint64_t seq = listing->next_seq;
    struct appended appended;
    plsm_error_t *err = NULL;

    memset(text, 'a' + (int)(seq % 26), len);
    const struct message message = {.data = view_of(text, len)};
    if (pool_append(pool, &message, 1, &appended, &err) != POOL_OK)
        return failed_by(failure, "append", err);
    if (appended.first_seq != seq)
        return failed(failure, "the next message got seq %llu, not %llu",
            (unsigned long long)appended.first_seq, (unsigned long long)seq);
    if (!listing_read(pool, &now, failure))
        return false;
    if (now.first_seq < listing->first_seq || now.first_seq > seq || now.next_seq != seq + 1 ||
        now.crcs[seq - now.first_seq] != message_crc(message.tags, message.data))
        return failed(failure, "what was appended next is not there");
    for (uint64_t old = now.first_seq; old < seq; old++)
        if (!listing_is_of(&now, old, listing))
            return failed(failure, "the next append changed seq %llu", (unsigned long long)old);
    *listing = now;
    return true;
}

static void check_time(struct job *job, uint64_t took_ns, uint64_t noise_ns)
{
    struct crash_shared *shared = crash_shared;
    uint64_t worst_ns = atomic_load(&shared->took_ns);

    if (took_ns > job->took_ns)
        job->took_ns = took_ns;
    if (took_ns > TAKEOVER_NS)
        atomic_fetch_add(&shared->n_late, 1);
    while (
        took_ns > worst_ns && !atomic_compare_exchange_weak(&shared->took_ns, &worst_ns, took_ns))
        continue;
    job->late = took_ns > TAKEOVER_MAX_NS && took_ns > TAKEOVER_NS + noise_ns;
}

/* What lies behind head and was not damaged can be read. */
static bool check_first(
    struct pool *pool, const struct listing *listing, char failure[static FAILURE_MAX])
{
    const struct listing *before = &crash_shared->before;
    const uint64_t seq = listing->first_seq - 1;

    if (seq < before->first_seq || seq >= before->next_seq ||
        before->crcs[seq - before->first_seq] == 0 ||
        before->starts[seq - before->first_seq] < atomic_load(&pool->control->head))
        return true;
    return failed(failure, "seq %llu lies behind head and cannot be read", (unsigned long long)seq);
}

/* A reader comes first, who may not be helped by anything that a writer mends. */
static bool check_reader(const char *path, struct job *job, struct listing *out_listing)
{
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    if (pool_open(path, POOL_READ, NULL, &pool, &err) != POOL_OK)
        return failed_by(job->failure, "open for reading", err);
    return listing_read(pool, out_listing, job->failure) && check_clean(pool, job->failure) &&
           check_first(pool, out_listing, job->failure) &&
           listing_allowed(
               out_listing, &crash_shared->before, &crash_shared->after, job->acked, job->failure);
}

/* Another one appends while the handle that was given the dead one's lease is idle: it must not be
 * taken for the dead one's locks being held by somebody alive. */
static bool check_bystander(
    const char *path, uint32_t dead, struct job *job, struct listing *listing)
{
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;

    crash_pretend_lease(dead % FORMAT_WITNESSES + 1);
    if (pool_open(path, POOL_WRITE, NULL, &pool, &err) != POOL_OK)
        return failed_by(job->failure, "open beside the heir", err);
    return check_append(pool, listing, 40, job->failure);
}

static bool check_writer(const char *path, unsigned way, struct job *job, struct listing *listing)
{
    struct pool_open_options options = POOL_OPEN_DEFAULTS;
    scoped(pool_close) struct pool *pool = NULL;
    plsm_error_t *err = NULL;
    static struct listing opened;

    const uint32_t dead = atomic_load(&crash_shared->lease);
    if (way == WAY_ONCE)
        options.busy_timeout_ms = 0;
    crash_pretend_lease(way == WAY_SAME ? dead : dead % FORMAT_WITNESSES + 1);
    const uint64_t noise_sum_ns = atomic_load(&crash_shared->noise_sum_ns);
    const uint64_t start_ns = clock_monotonic_ns();
    if (pool_open(path, POOL_WRITE, &options, &pool, &err) != POOL_OK)
        return failed_by(job->failure, "open", err);
    if (way == WAY_SAME && !check_bystander(path, dead, job, listing))
        return false;
    if (!check_append(pool, listing, 20, job->failure))
        return false;
    check_time(job, clock_monotonic_ns() - start_ns,
        atomic_load(&crash_shared->noise_sum_ns) - noise_sum_ns);
    if (!check_clean(pool, job->failure))
        return false;
    /* once around, over whatever the dead one left behind the tail and in the index */
    const uint64_t ring_size = pool_ring_size(pool);
    for (uint64_t done = 0; job->lap && done < ring_size + ring_size / 4; done += ring_size / 11)
        if (!check_append(pool, listing, (size_t)(ring_size / 11), job->failure))
            return false;
    if (pool_flush(pool, &err) != POOL_OK)
        return failed_by(job->failure, "flush", err);
    if (atomic_load(&pool->control->lock) != 0 || atomic_load(&pool->control->flush_lock) != 0)
        return failed(job->failure, "a lock is still held");
    return listing_read(pool, &opened, job->failure) && check_clean(pool, job->failure);
}

void check_pool(const char *path, unsigned way, struct job *job)
{
    static struct listing listing;

    atomic_fetch_add_explicit(&crash_shared->n_checked, 1, memory_order_relaxed);
    if (!check_reader(path, job, &listing))
        return;
    job->next_seq = listing.next_seq;
    check_writer(path, way, job, &listing);
}
