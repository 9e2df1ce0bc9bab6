/* Where following begins: behind the newest message, at a time, or N messages back.
 *
 * The last N messages that a filter lets pass are searched from the newest backwards, in runs
 * that grow, so that `--tail 10` does not read a pool of gigabytes. */
#include "cli/follow.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The first run of messages that is searched; each further one is larger. */
#define SEARCH_RUN_FIRST  256
#define SEARCH_RUN_GROWTH 4

/* Seqs in descending order. */
struct found {
    uint64_t *seqs;
    size_t n;
    size_t capacity;
};

static void found_fini_scoped(struct found *found)
{
    free(found->seqs);
}

static int found_add(struct found *found, uint64_t seq, plsm_error_t **err)
{
    if (found->n == found->capacity) {
        const size_t capacity = found->capacity == 0 ? 64 : found->capacity * 2;
        uint64_t *seqs = reallocarray(found->seqs, capacity, sizeof(*seqs));
        if (seqs == NULL)
            return error_oom(err);
        found->seqs = seqs;
        found->capacity = capacity;
    }
    found->seqs[found->n++] = seq;
    return 0;
}

static void found_reverse(struct found *found, size_t from)
{
    for (size_t i = from, j = found->n; i + 1 < j; i++) {
        j--;
        const uint64_t seq = found->seqs[i];
        found->seqs[i] = found->seqs[j];
        found->seqs[j] = seq;
    }
}

/* Whether history wants this message. What was overwritten meanwhile is history no more. */
static int history_wants(struct follow *follow, const struct frame *frame, plsm_error_t **err)
{
    scoped(plsm_error_free) plsm_error_t *failed = NULL;
    const int r = select_match(&follow->select, frame, &failed);
    if (!frame_still_valid(follow->pool, frame))
        return 0;
    if (r < 0 && err != NULL) {
        *err = failed;
        failed = NULL;
    }
    return r;
}

/* Adds the wanted messages with seqs from .. end - 1, the newest first. */
static int history_search_run(
    struct follow *follow, uint64_t from, uint64_t end, struct found *found, plsm_error_t **err)
{
    const size_t start = found->n;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    if (cursor_seek_seq(&cursor, follow->pool, from, err) < 0)
        return -1;
    for (;;) {
        const int r = cursor_next(&cursor, &frame, &gap, err);
        if (r < 0)
            return -1;
        if (r == CURSOR_EMPTY)
            break;
        if (r == CURSOR_GAP)
            continue;
        if (frame.seq >= end)
            break;
        const int wanted = history_wants(follow, &frame, err);
        if (wanted < 0 || (wanted == 1 && found_add(found, frame.seq, err) < 0))
            return -1;
    }
    found_reverse(found, start);
    return 0;
}

/* The newest `limit` wanted messages before seq end. */
static int history_search(struct follow *follow, const struct pool_info *info, uint64_t limit,
    struct found *found, plsm_error_t **err)
{
    uint64_t end = info->newest_seq + 1;
    uint64_t run = SEARCH_RUN_FIRST;

    if (info->n_messages == 0)
        return 0;
    while (end > info->oldest_seq && found->n < limit) {
        const uint64_t from = end - info->oldest_seq > run ? end - run : info->oldest_seq;
        if (history_search_run(follow, from, end, found, err) < 0)
            return -1;
        end = from;
        run *= SEARCH_RUN_GROWTH;
    }
    if (found->n > limit)
        found->n = (size_t)limit;
    return 0;
}

/* Prints a message that was found. 1: printed; 0: it is gone by now, which is told; -1. */
static int history_print(struct follow *follow, uint64_t seq, plsm_error_t **err)
{
    struct frame frame;
    const int r = pool_get(follow->pool, seq, &frame, err);
    if (r == POOL_MISSING) {
        drops_add(&follow->drops, (struct gap){seq, seq + 1});
        return 0;
    }
    return r < 0 ? -1 : follow_print(follow, &frame, err);
}

/* --tail N --one: the newest message, once there are N; the live part waits for the others. */
static int history_one(struct follow *follow, const struct found *found, plsm_error_t **err)
{
    if (found->n < follow->tail) {
        follow->n_skip = follow->tail - found->n - 1;
        return FOLLOW_GO_ON;
    }
    const int r = history_print(follow, found->seqs[0], err);
    return r == 1 ? FOLLOW_DONE : r;
}

/* --tail N. Without filters and --one the live part prints them: it only has to begin there. */
static int history_tail(struct follow *follow, plsm_error_t **err)
{
    scoped(found_fini) struct found found = {0};
    struct pool_info info;

    if (pool_info(follow->pool, &info, err) < 0)
        return -1;
    if (select_all(&follow->select) && !follow->one) {
        const uint64_t n = info.n_messages < follow->tail ? info.n_messages : follow->tail;
        return cursor_seek_seq(&follow->cursor, follow->pool, info.next_seq - n, err);
    }
    if (cursor_seek_seq(&follow->cursor, follow->pool, info.next_seq, err) < 0 ||
        history_search(follow, &info, follow->tail, &found, err) < 0)
        return -1;
    if (follow->one)
        return history_one(follow, &found, err);
    for (size_t i = found.n; i > 0; i--)
        if (history_print(follow, found.seqs[i - 1], err) < 0)
            return -1;
    if (found.n > 0)
        follow_arm(follow);
    return FOLLOW_GO_ON;
}

int follow_history(struct follow *follow, plsm_error_t **err)
{
    if (follow->from_start && follow->tail == 0 && !follow->has_since)
        cursor_oldest(&follow->cursor, follow->pool);
    else if (follow->has_since)
        return cursor_seek_time(&follow->cursor, follow->pool, follow->since_ns, err);
    else if (follow->tail > 0)
        return history_tail(follow, err);
    else
        cursor_newest(&follow->cursor, follow->pool);
    return FOLLOW_GO_ON;
}

/* The backlog for a replay, newest first. */
static int replay_search(struct follow *follow, struct found *found, plsm_error_t **err)
{
    struct pool_info info;
    struct cursor cursor;
    struct frame frame;
    struct gap gap;

    if (pool_info(follow->pool, &info, err) < 0)
        return -1;
    if (!follow->has_since)
        return history_search(follow, &info, follow->tail, found, err);
    if (cursor_seek_time(&cursor, follow->pool, follow->since_ns, err) < 0)
        return -1;
    const int r = cursor_next(&cursor, &frame, &gap, err);
    if (r == CURSOR_EMPTY)
        return 0;
    if (r < 0)
        return -1;
    const uint64_t first = r == CURSOR_GAP ? gap.next_seq : frame.seq;
    if (first >= info.next_seq)
        return 0;
    return history_search_run(follow, first, info.next_seq, found, err);
}

static void replay_sleep(double ns)
{
    const double seconds = ns / (double)NS_PER_SECOND;
    struct timespec left;

    if (!(seconds > 0))
        return;
    left.tv_sec = seconds > 1e9 ? (time_t)1000000000 : (time_t)seconds;
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    if (left.tv_nsec > 999999999L || left.tv_nsec < 0)
        left.tv_nsec = 999999999L;
    while (nanosleep(&left, &left) != 0)
        ; /* a signal handler ran: sleep the rest */
}

/* One message after its pause. 1: printed, 0: gone by now, -1. */
static int replay_print(
    struct follow *follow, uint64_t seq, uint64_t *previous_ns, plsm_error_t **err)
{
    struct frame frame;
    const int r = pool_get(follow->pool, seq, &frame, err);
    if (r != POOL_OK)
        return r == POOL_MISSING ? 0 : -1;
    if (follow->speed > 0 && *previous_ns != 0 && frame.time_ns > *previous_ns) {
        if (out_flush(&follow->out, err) < 0)
            return -1;
        replay_sleep((double)(frame.time_ns - *previous_ns) / follow->speed);
    }
    *previous_ns = frame.time_ns;
    return follow_print(follow, &frame, err);
}

int follow_replay(struct follow *follow, plsm_error_t **err)
{
    scoped(found_fini) struct found found = {0};
    uint64_t previous_ns = 0;

    follow->drops.quiet = true; /* a replay is of what there is */
    if (replay_search(follow, &found, err) < 0)
        return -1;
    for (size_t i = found.n; i > 0; i--) {
        const int r = replay_print(follow, found.seqs[i - 1], &previous_ns, err);
        if (r < 0)
            return -1;
        if (r == 1 && follow->one)
            return 0;
    }
    return 0;
}
