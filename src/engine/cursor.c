/* Reading: no lock, no system call, nothing written.
 *
 * A cursor walks from frame to frame up to the tail it last saw. A frame whose checksums are
 * right is what its writer wrote, whatever has happened since. One whose checksums are wrong was
 * either overwritten while it was read, and then head has passed it, or it is damaged: head is
 * looked at before damage is reported. */
#include "engine/cursor.h"

#include "engine/frame.h"
#include "engine/index.h"

#include <assert.h>

bool cursor_head_passed(const struct pool *pool, uint64_t pos)
{
    /* acquire: head is loaded after the bytes at pos were; pairs with the fence in
     * append_evict(), where head is stored before they are overwritten */
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&pool->control->head, memory_order_relaxed) > pos;
}

/* What was read may have been the zeros that the guard puts in the place of missing pages. They
 * stay: a frame that is intact now was so before. */
static bool cursor_still_intact(const struct pool *pool, uint64_t pos)
{
    struct frame_header header;
    return index_read_header(pool, pos, pos + pool->ring_size, &header) &&
           frame_body_valid(pool->ring + pos % pool->ring_size, &header);
}

bool frame_still_valid(const struct pool *pool, const struct frame *frame)
{
    if (cursor_head_passed(pool, frame->pos))
        return false;
    return __builtin_expect(!atomic_load_explicit(&pool->truncated, memory_order_relaxed), 1) ||
           cursor_still_intact(pool, frame->pos);
}

static uint64_t cursor_tail(const struct pool *pool)
{
    /* acquire: the frames before the tail; pairs with the release in append_publish() */
    return atomic_load_explicit(&pool->control->tail, memory_order_acquire);
}

static int cursor_bad_control(const struct pool *pool, plsm_error_t **err)
{
    return pool_corrupt(pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
}

void cursor_oldest(struct cursor *cursor, struct pool *pool)
{
    struct ring_state state;
    *cursor = (struct cursor){.pool = pool};
    if (ring_state_peek(pool, &state))
        cursor->pos = cursor->tail = state.head;
}

void cursor_newest(struct cursor *cursor, struct pool *pool)
{
    struct ring_state state;
    *cursor = (struct cursor){.pool = pool};
    if (ring_state_peek(pool, &state)) {
        cursor->pos = cursor->tail = state.tail;
        cursor->expected_seq = state.next_seq;
    }
}

/* Damage on the way is not the seek's to report: the cursor is put where next will meet it. */
static void cursor_place(struct cursor *cursor, struct pool *pool, int found, uint64_t pos)
{
    if (found == FIND_BEFORE) {
        cursor_oldest(cursor, pool);
        return;
    }
    *cursor = (struct cursor){.pool = pool, .pos = pos, .tail = pos};
}

int cursor_seek_seq(struct cursor *cursor, struct pool *pool, uint64_t seq, plsm_error_t **err)
{
    struct place place;
    if (seq == 0)
        seq = 1;
    const int found = index_find_seq(pool, seq, &place);
    if (found == FIND_NOWHERE)
        return cursor_bad_control(pool, err);
    cursor_place(cursor, pool, found, place.pos);
    cursor->expected_seq = seq;
    return 0;
}

int cursor_seek_time(struct cursor *cursor, struct pool *pool, uint64_t time_ns, plsm_error_t **err)
{
    struct place place;
    const int found = index_find_time(pool, time_ns, &place);
    if (found == FIND_NOWHERE)
        return cursor_bad_control(pool, err);
    cursor_place(cursor, pool, found, place.pos);
    return 0;
}

static void cursor_fill(
    const uint8_t *start, uint64_t pos, const struct frame_header *header, struct frame *out_frame)
{
    out_frame->seq = header->seq;
    out_frame->pos = pos;
    out_frame->time_ns = header->time_ns;
    out_frame->tags = view_of(start + sizeof(*header), header->tags_len);
    out_frame->data = view_of(start + sizeof(*header) + header->tags_len, header->data_len);
    out_frame->encoding = header->encoding == ENCODING_LITE3 ? ENCODING_LITE3 : ENCODING_JSON;
}

/* Goes on at the oldest message. Its seq tells what was lost; with nothing retained, the seq
 * that comes next does. CURSOR_GAP, CURSOR_EMPTY for "look again", or -1. */
static int cursor_catch_up(struct cursor *cursor, struct gap *out_gap, plsm_error_t **err)
{
    struct pool *pool = cursor->pool;
    struct ring_state state;
    struct frame_header header;
    uint64_t next_seq = 0;

    while (next_seq == 0) {
        if (!ring_state_peek(pool, &state))
            return cursor_bad_control(pool, err);
        cursor->pos = state.head;
        cursor->tail = state.tail;
        if (state.head == state.tail)
            next_seq = state.next_seq;
        else if (index_read_header(pool, state.head, state.tail, &header))
            next_seq = header.seq;
        else if (!cursor_head_passed(pool, state.head))
            return CURSOR_EMPTY; /* the oldest message is damaged: the next look reports it */
    }
    const uint64_t expected = cursor->expected_seq;
    cursor->expected_seq = next_seq;
    if (expected == 0 || next_seq <= expected)
        return CURSOR_EMPTY;
    *out_gap = (struct gap){expected, next_seq};
    return CURSOR_GAP;
}

static int cursor_damaged(const struct cursor *cursor, plsm_error_t **err)
{
    const struct pool *pool = cursor->pool;
    pool_corrupt(pool, pool_file_offset(pool, cursor->pos), err,
        atomic_load_explicit(&pool->truncated, memory_order_relaxed)
            ? "the file was truncated while in use"
            : "damaged message");
    if (cursor->expected_seq != 0)
        error_at_seq(err, cursor->expected_seq);
    return -1;
}

/* The frame at the cursor cannot be read: overtaken, or damaged. CURSOR_GAP, CURSOR_EMPTY for
 * "look again", or -1. */
static int cursor_trouble(struct cursor *cursor, struct gap *out_gap, plsm_error_t **err)
{
    struct pool *pool = cursor->pool;
    struct ring_state state;

    if (cursor_head_passed(pool, cursor->pos))
        return cursor_catch_up(cursor, out_gap, err);
    if (!ring_state_peek(pool, &state))
        return cursor_bad_control(pool, err);
    if (cursor->pos > state.tail) { /* a repair took messages back */
        cursor->pos = cursor->tail = state.tail;
        return CURSOR_EMPTY;
    }
    if (!pool->unrecovered)
        return cursor_damaged(cursor, err);
    const uint64_t expected = cursor->expected_seq;
    cursor_skip_damage(cursor, out_gap);
    return expected != 0 && out_gap->next_seq > expected ? CURSOR_GAP : CURSOR_EMPTY;
}

/* Looks at the tail again: CURSOR_FRAME if there is something new, CURSOR_EMPTY, or -1. */
static int cursor_refill(struct cursor *cursor, plsm_error_t **err)
{
    const uint64_t tail = cursor_tail(cursor->pool);
    if (tail % FORMAT_FRAME_ALIGN != 0) /* a reader walks in whole steps, or out of the ring */
        return cursor_bad_control(cursor->pool, err);
    cursor->tail = tail;
    return tail == cursor->pos ? CURSOR_EMPTY : CURSOR_FRAME;
}

int cursor_next(
    struct cursor *cursor, struct frame *out_frame, struct gap *out_gap, plsm_error_t **err)
{
    struct pool *pool = cursor->pool;
    struct frame_header header;

    for (;;) {
        if (cursor->pos == cursor->tail) {
            const int r = cursor_refill(cursor, err);
            if (r != CURSOR_FRAME)
                return r;
        }
        uint64_t lap_start = cursor->lap_start;
        const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, cursor->pos);
        cursor->lap_start = lap_start;
        const uint8_t *start = pool->ring + offset;
        const uint64_t to_end = pool->ring_size - offset;
        const uint64_t to_tail = cursor->tail - cursor->pos;

        frame_copy(&header, start, sizeof(header));
        if (__builtin_expect(!frame_header_valid(pool->seed, cursor->pos,
                                 to_end < to_tail ? to_end : to_tail, &header) ||
                                 !frame_body_valid(start, &header),
                0)) {
            const int r = cursor_trouble(cursor, out_gap, err);
            if (r != CURSOR_EMPTY)
                return r;
            continue;
        }
        if (header.type == FRAME_PAD || header.seq < cursor->expected_seq) {
            cursor->pos += frame_length(&header);
            continue;
        }
        if (__builtin_expect(header.seq > cursor->expected_seq && cursor->expected_seq != 0, 0)) {
            *out_gap = (struct gap){cursor->expected_seq, header.seq};
            cursor->expected_seq = header.seq;
            return CURSOR_GAP;
        }
        cursor_fill(start, cursor->pos, &header, out_frame);
        cursor->expected_seq = header.seq + 1;
        cursor->pos += frame_length(&header);
        return CURSOR_FRAME;
    }
}

void cursor_skip_damage(struct cursor *cursor, struct gap *out_gap)
{
    struct pool *pool = cursor->pool;
    struct ring_state state;
    struct frame_header header = {0};

    *out_gap = (struct gap){cursor->expected_seq, cursor->expected_seq};
    if (!ring_state_peek(pool, &state))
        return; /* nobody knows where the messages are: the next look reports it */
    if (cursor->pos < state.head || cursor->pos > state.tail) {
        cursor->pos = cursor->tail = state.head;
        return;
    }
    cursor->pos = index_next_intact(pool, cursor->pos, state.tail, &header);
    cursor->tail = state.tail;
    const uint64_t next_seq = cursor->pos == state.tail ? state.next_seq : header.seq;
    /* a reader never goes back, even where the control words do */
    out_gap->next_seq = next_seq > cursor->expected_seq ? next_seq : cursor->expected_seq;
    cursor->expected_seq = out_gap->next_seq;
}

int pool_get(struct pool *pool, uint64_t seq, struct frame *out_frame, plsm_error_t **err)
{
    struct place place;

    if (seq == 0)
        return POOL_MISSING;
    const int found = index_find_seq(pool, seq, &place);
    if (found == FIND_BEFORE || found == FIND_AFTER)
        return POOL_MISSING;
    if (found == FIND_NOWHERE)
        return cursor_bad_control(pool, err);
    if (found == FIND_DAMAGED) {
        pool_corrupt(pool, pool_file_offset(pool, place.pos), err, "damaged message");
        return error_at_seq(err, seq);
    }
    if (place.seq != seq)
        return POOL_MISSING; /* lost to damage */

    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    const uint8_t *start = pool->ring + ring_offset_of(pool->ring_size, &lap_start, place.pos);
    if (frame_body_valid(start, &place.header)) {
        cursor_fill(start, place.pos, &place.header, out_frame);
        return POOL_OK;
    }
    if (cursor_head_passed(pool, place.pos))
        return POOL_MISSING;
    pool_corrupt(pool, pool_file_offset(pool, place.pos), err, "damaged message");
    return error_at_seq(err, seq);
}
