/* Looking at everything, changing nothing: what `doctor` reports and what tests assert after
 * every step. */
#include "engine/cursor.h"
#include "engine/flush.h"
#include "engine/frame.h"
#include "engine/index.h"
#include "engine/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct verify {
    struct pool *pool;
    struct pool_report *report;
    struct ring_state state;
    uint64_t pos;
    uint64_t expected_seq; /* 0: any */
    uint64_t time_ns;
    uint64_t last_block_checked; /* + 1; 0: none yet */
    struct progress progress;
};

__attribute__((format(printf, 5, 6))) static void verify_issue(
    struct verify *verify, const char *code, uint64_t offset, uint64_t seq, const char *format, ...)
{
    struct pool_report *report = verify->report;
    const size_t i = report->n_issues++;

    if (i == 0)
        report->last_good_seq = report->newest_seq;
    if (i >= POOL_ISSUES_MAX)
        return;
    report->issues[i] = (struct pool_issue){.code = code, .offset = offset, .seq = seq};
    va_list args;
    va_start(args, format);
    vsnprintf(report->issues[i].message, sizeof(report->issues[i].message), format, args);
    va_end(args);
}

/* Whether seq is that of the frame behind this one. */
static bool verify_names_next(
    const struct verify *verify, const struct frame_header *header, uint64_t seq)
{
    const uint64_t expected = header->seq + (header->type == FRAME_MESSAGE);
    struct frame_header next;
    return seq == expected || (index_read_header(verify->pool, verify->pos + frame_length(header),
                                   verify->state.tail, &next) &&
                                  next.seq == seq && frame_follows(&next, expected));
}

/* The slots of the blocks in which the frame at pos is the first to start, or that it covers. */
static void verify_slots(struct verify *verify, const struct frame_header *header)
{
    struct pool *pool = verify->pool;
    uint64_t lap_start = 0;
    const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, verify->pos);
    const uint64_t last = (offset + frame_length(header) - 1) >> pool->block_shift;
    uint64_t block = offset >> pool->block_shift;

    /* what starts first in the oldest block may be gone already; a block seen before has its
     * first frame behind it */
    if (verify->last_block_checked == 0 || verify->last_block_checked == block + 1)
        block++;
    for (; block <= last; block++) {
        const struct index_slot *slot = &pool->index[block];
        const uint64_t pos = atomic_load_explicit(&slot->pos, memory_order_relaxed);
        const uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        /* where the frame ends within the block, the next one is the first to start there; its
         * writer may stand between the two stores, or have died there */
        const bool later = block == last &&
                           (pos == verify->pos + frame_length(header) || pos == verify->pos) &&
                           verify_names_next(verify, header, seq);
        /* the newest message may end in the block where the oldest one begins */
        const bool lapped = (pos >= verify->state.tail || seq >= verify->state.next_seq) &&
                            cursor_head_passed(pool, verify->state.head);
        if ((pos != verify->pos || seq != header->seq) && !later && !lapped &&
            !cursor_head_passed(pool, verify->pos))
            verify_issue(verify, "index", pool->superblock.index_offset + block * FORMAT_SLOT_SIZE,
                header->seq, "index slot %llu does not name the message it should",
                (unsigned long long)block);
    }
    verify->last_block_checked = last + 1;
}

static void verify_frame(struct verify *verify, const struct frame_header *header)
{
    struct pool_report *report = verify->report;
    const uint64_t offset = pool_file_offset(verify->pool, verify->pos);

    if (verify->expected_seq != 0 && !frame_follows(header, verify->expected_seq))
        verify_issue(verify, "frame", offset, header->seq, "seq %llu follows seq %llu",
            (unsigned long long)header->seq, (unsigned long long)verify->expected_seq - 1);
    if (header->time_ns < verify->time_ns)
        verify_issue(verify, "frame", offset, header->seq, "its time is before the message before");
    verify->time_ns = header->time_ns;
    verify->expected_seq = header->seq + (header->type == FRAME_MESSAGE);
    if (header->type != FRAME_MESSAGE)
        return;
    if (report->n_messages++ == 0)
        report->oldest_seq = header->seq;
    report->newest_seq = header->seq;
}

/* One step. False: the frame is bad. */
static bool verify_step(struct verify *verify)
{
    struct pool *pool = verify->pool;
    struct frame_header header;
    uint64_t lap_start = 0;

    if (!index_read_header(pool, verify->pos, verify->state.tail, &header))
        return false;
    const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, verify->pos);
    if (!frame_body_valid(pool->ring + offset, &header))
        return false;
    verify_frame(verify, &header);
    if (pool->n_blocks > 0)
        verify_slots(verify, &header);
    verify->pos += frame_length(&header);
    return true;
}

/* Writers overtook the walk: goes on at the oldest message there is now. */
static bool verify_catch_up(struct verify *verify)
{
    struct ring_state state;
    if (!ring_state_peek(verify->pool, &state))
        return false;
    verify->pos = state.head;
    if (verify->pos > verify->state.tail)
        verify->pos = verify->state.tail;
    verify->expected_seq = 0;
    verify->last_block_checked = 0;
    verify->report->n_messages = 0;
    return true;
}

/* Walks from head to tail. */
static int verify_frames(struct verify *verify, plsm_error_t **err)
{
    struct pool *pool = verify->pool;
    const uint64_t head = verify->state.head;
    struct frame_header header;

    progress_start(&verify->progress, verify->state.tail - head);
    verify->pos = head;
    while (verify->pos < verify->state.tail) {
        progress_reach(&verify->progress, verify->pos - head);
        if (verify_step(verify))
            continue;
        if (cursor_head_passed(pool, verify->pos)) {
            if (!verify_catch_up(verify))
                return pool_corrupt(
                    pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
            continue;
        }
        verify_issue(verify, "frame", pool_file_offset(pool, verify->pos), verify->expected_seq,
            "damaged message");
        verify->pos = index_next_intact(pool, verify->pos, verify->state.tail, &header);
        verify->expected_seq = 0; /* the gap is the damage's, already reported */
        verify->last_block_checked = 0;
    }
    progress_finish(&verify->progress);
    return 0;
}

int pool_verify_telling(struct pool *pool, const struct pool_progress *progress,
    struct pool_report *out_report, plsm_error_t **err)
{
    struct verify verify = {.pool = pool, .report = out_report, .progress = {.to = progress}};

    memset(out_report, 0, sizeof(*out_report));
    if (!ring_state_peek(pool, &verify.state)) {
        verify_issue(
            &verify, "control", FORMAT_CONTROL_OFFSET, 0, "control words contradict each other");
        return 0;
    }
    if (!flush_words_sound(pool))
        verify_issue(&verify, "control", FORMAT_CONTROL_OFFSET + offsetof(struct control, durable),
            0, "the words that say what is durable contradict each other");
    if (atomic_load_explicit(&pool->control->flush_failed, memory_order_relaxed) != 0)
        verify_issue(&verify, "control", FORMAT_CONTROL_OFFSET, 0,
            "a sync failed: nothing becomes durable until all programs have closed the pool");
    if (verify_frames(&verify, err) < 0)
        return -1;
    if (verify.expected_seq != 0 && verify.expected_seq != verify.state.next_seq)
        verify_issue(&verify, "control", FORMAT_CONTROL_OFFSET, verify.expected_seq,
            "the next seq should be %llu, not %llu", (unsigned long long)verify.expected_seq,
            (unsigned long long)verify.state.next_seq);
    if (out_report->n_issues == 0)
        out_report->last_good_seq = out_report->newest_seq;
    return 0;
}

int pool_verify(struct pool *pool, struct pool_report *out_report, plsm_error_t **err)
{
    return pool_verify_telling(pool, NULL, out_report, err);
}
