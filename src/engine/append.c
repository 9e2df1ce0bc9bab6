/* Appending: lock, make room, write, publish.
 *
 *   head moves before a byte of what it gives up is overwritten;
 *   the commit record that does not count yet is filled;
 *   tail moves, by one 8-byte store: now the messages exist, all at once.
 *
 * A writer that dies at any instruction leaves the ring whole: what it wrote beyond the tail is
 * nothing, and the record it was filling belongs to no tail. */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/flush.h"
#include "engine/follow.h"
#include "engine/frame.h"
#include "engine/index.h"
#include "engine/lease.h"
#include "os/map.h"

#include <assert.h>

#define EVICT_AHEAD 2048
#define WARM_STEP   (UINT64_C(1) << 20)
#define WARM_MARGIN (UINT64_C(1) << 16)

enum {
    APPEND_DONE = 0,
    APPEND_UNSYNCED = 1, /* a sync must come first: see append_needs_sync() */
    APPEND_CORRUPT = -1, /* the control words do not fit each other */
};

/* What is known of a batch before the lock is taken. */
struct batch {
    const struct message *messages;
    size_t n_messages;
    uint64_t length; /* of all frames */
    uint64_t now_ns;
    uint32_t body_crcs[LIMIT_BATCH_MESSAGES];
};

uint64_t message_footprint(const struct message *message)
{
    return frame_round(sizeof(struct frame_header) + message->tags.len + message->data.len);
}

uint64_t pool_ring_size(const struct pool *pool)
{
    return pool->ring_size;
}

static int append_too_large(
    const struct pool *pool, uint64_t length, size_t n_messages, plsm_error_t **err)
{
    error_set(err, PLSM_ERROR_USAGE, "payload exceeds ring capacity");
    error_at_path(err, pool->path);
    if (n_messages == 1)
        return error_hint(err,
            "The message needs %llu bytes and the ring holds %llu; create the pool "
            "with a larger --size.",
            (unsigned long long)length, (unsigned long long)pool->ring_size);
    return error_hint(err,
        "The batch of %zu messages needs up to %llu bytes and the ring holds %llu.", n_messages,
        (unsigned long long)length, (unsigned long long)pool->ring_size);
}

static int append_prepare(const struct pool *pool, const struct message *messages,
    size_t n_messages, struct batch *batch, plsm_error_t **err)
{
    uint64_t largest = 0;

    if (pool->mode != POOL_WRITE)
        return error_set(err, PLSM_ERROR_USAGE, "the pool is open for reading only");
    if (n_messages == 0 || n_messages > LIMIT_BATCH_MESSAGES)
        return error_set(
            err, PLSM_ERROR_USAGE, "a batch has 1 to %d messages", LIMIT_BATCH_MESSAGES);

    batch->messages = messages;
    batch->n_messages = n_messages;
    batch->length = 0;
    batch->now_ns = clock_wall_ns();
    for (size_t i = 0; i < n_messages; i++) {
        const struct message *message = &messages[i];
        if (message->tags.len > LIMIT_TAGS_BYTES)
            return error_set(err, PLSM_ERROR_USAGE, "tags exceed %u bytes", LIMIT_TAGS_BYTES);
        const uint64_t length = message_footprint(message);
        if (message->data.len > LIMIT_MESSAGE_BYTES || length > pool->ring_size)
            return append_too_large(pool, length, 1, err);
        batch->length += length;
        largest = length > largest ? length : largest;
        batch->body_crcs[i] = frame_body_crc(message->tags, message->data);
    }
    /* a batch may cross the ring's end once, and loses less than its largest frame there */
    if (n_messages > 1 && batch->length + largest > pool->ring_size)
        return append_too_large(pool, batch->length + largest, n_messages, err);
    return 0;
}

/* The frame at head is damaged, so its length cannot be trusted: goes on at the next intact one.
 * What lies between is lost; readers see the gap in the seqs. */
static uint64_t append_skip_damage(struct pool *pool, uint64_t head, uint64_t tail)
{
    struct frame_header header;
    atomic_fetch_add_explicit(&pool->control->n_damaged, 1, memory_order_relaxed);
    return index_next_intact(pool, head, tail, &header);
}

/* Length of the frame at pos if the frame behind it, or what comes next at the tail, has the seq
 * that must follow; 0 if not. A damaged length leads to a place where that 64-bit number does
 * not stand, so the checksum, 6 ns, can be spared here. */
static uint64_t append_linked_length(
    const struct pool *pool, const struct ring_state *state, uint64_t pos, uint64_t *lap_start)
{
    struct frame_header header;
    struct frame_header next = {.seq = state->next_seq};
    uint64_t offset = ring_offset_of(pool->ring_size, lap_start, pos);

    frame_copy(&header, pool->ring + offset, sizeof(header));
    const uint64_t length = frame_length(&header);
    /* these lines are evicted, and then written, a moment later: 20 ns less a frame */
    for (uint64_t ahead = 0; ahead < length && ahead < 512; ahead += 64)
        __builtin_prefetch(pool->ring + offset + EVICT_AHEAD + ahead, 1);
    if (length > pool->ring_size - offset || length > state->tail - pos)
        return 0;
    if (length != state->tail - pos) {
        offset = offset + length == pool->ring_size ? 0 : offset + length;
        frame_copy(&next, pool->ring + offset, sizeof(next));
    }
    return next.seq == header.seq + (header.type == FRAME_MESSAGE) ? length : 0;
}

/* Whether a whole frame stands at pos. Its header alone may be that of one that control words of
 * another time let new messages overwrite: then its length would lead into them. */
__attribute__((cold)) static bool append_is_intact(
    const struct pool *pool, uint64_t pos, uint64_t tail, struct frame_header *out_header)
{
    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    return index_read_header(pool, pos, tail, out_header) &&
           frame_body_valid(
               pool->ring + ring_offset_of(pool->ring_size, &lap_start, pos), out_header);
}

/* Moves head until the ring has room up to end. */
static void append_evict(struct pool *pool, struct ring_state *state, uint64_t end)
{
    uint64_t head = state->head;
    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    struct frame_header header;

    if (end - head <= pool->ring_size)
        return;
    while (end - head > pool->ring_size) {
        assert(head < state->tail);
        const uint64_t length = append_linked_length(pool, state, head, &lap_start);
        if (__builtin_expect(length != 0, 1))
            head += length;
        else if (append_is_intact(pool, head, state->tail, &header))
            head += frame_length(&header); /* the damage is in the next one */
        else
            head = append_skip_damage(pool, head, state->tail);
    }
    state->head = head;
    atomic_store_explicit(&pool->control->head, head, memory_order_relaxed);
    /* release: head before the bytes that are written next; pairs with the acquire fence in
     * cursor_head_passed(), which looks at head after it read the bytes */
    atomic_thread_fence(memory_order_release);
}

/* Makes everything up to end visible. */
static void append_publish(struct pool *pool, struct ring_state *state, uint64_t end)
{
    struct control *control = pool->control;
    const unsigned i = !state->commit;
    struct commit_record *commit = &control->commits[i];

    assert(end > state->tail);
    assert(end - state->head <= pool->ring_size);

    atomic_store_explicit(&commit->next_seq, state->next_seq, memory_order_relaxed);
    atomic_store_explicit(&commit->time_ns, state->time_ns, memory_order_relaxed);
    atomic_store_explicit(&control->commit_checks[i],
        commit_check(end, state->next_seq, state->time_ns), memory_order_relaxed);
    /* release: a record that says end_pos is complete */
    atomic_store_explicit(&commit->end_pos, end, memory_order_release);
    /* release: frames, index and record before the tail that covers them; pairs with the
     * acquire in cursor_next() and ring_state_peek() */
    atomic_store_explicit(&control->tail, end, memory_order_release);
    state->tail = end;
    state->commit = i;
}

/* Fills what is left at the ring's end. */
static void append_pad(
    struct pool *pool, struct ring_state *state, uint64_t pos, uint64_t offset, uint64_t next_seq)
{
    const uint64_t length = pool->ring_size - offset;
    append_evict(pool, state, pos + length);
    struct frame_header header = {
        .seq = next_seq,
        .time_ns = state->time_ns,
        .data_len = (uint32_t)(length - sizeof(header)),
        .type = FRAME_PAD,
    };
    frame_write(pool->ring + offset, pos, pool->seed, &header, view_of("", 0), view_of("", 0));
    index_put(pool, pos, offset, length, next_seq);
}

/* Writes the frames from tail on, each in the room that was just made for it, and returns where
 * they end. Making room for the whole batch at once would wait for memory twice. */
static uint64_t append_write(
    struct pool *pool, const struct batch *batch, struct ring_state *state, uint64_t *lap_start)
{
    uint64_t pos = state->tail;
    uint64_t seq = state->next_seq;

    for (size_t i = 0; i < batch->n_messages; i++) {
        const struct message *message = &batch->messages[i];
        const uint64_t length = message_footprint(message);
        uint64_t offset = ring_offset_of(pool->ring_size, lap_start, pos);
        if (length > pool->ring_size - offset) {
            append_pad(pool, state, pos, offset, seq);
            pos += pool->ring_size - offset;
            offset = 0;
            *lap_start = pos;
        }
        const uint64_t time_ns = message->time_ns != 0 ? message->time_ns : batch->now_ns;
        if (time_ns > state->time_ns)
            state->time_ns = time_ns;
        struct frame_header header = {
            .body_crc = batch->body_crcs[i],
            .seq = seq,
            .time_ns = state->time_ns,
            .data_len = (uint32_t)message->data.len,
            .tags_len = (uint16_t)message->tags.len,
            .type = FRAME_MESSAGE,
            .encoding = (uint8_t)message->encoding,
        };
        append_evict(pool, state, pos + length);
        frame_write(pool->ring + offset, pos, pool->seed, &header, message->tags, message->data);
        index_put(pool, pos, offset, length, seq);
        pos += length;
        seq++;
    }
    state->next_seq = seq;
    return pos;
}

/* Where the batch will end: its length and the pad before the frame that does not fit. */
static uint64_t append_end(
    const struct pool *pool, const struct batch *batch, uint64_t tail, uint64_t offset)
{
    if (batch->length <= pool->ring_size - offset)
        return tail + batch->length;

    uint64_t at = offset;
    for (size_t i = 0; i < batch->n_messages; i++) {
        const uint64_t length = message_footprint(&batch->messages[i]);
        if (at + length > pool->ring_size)
            return tail + batch->length + (pool->ring_size - at);
        at += length;
    }
    return tail + batch->length;
}

/* A lap over messages that were flushed must not begin while the disk does not know that they
 * were: after a power loss recovery could not tell overwritten from lost (docs/design/0001). Where
 * a sync has failed nothing new becomes durable, but what was durable before still counts. */
static bool append_needs_sync(const struct pool *pool, uint64_t end)
{
    const struct control *control = pool->control;
    const uint64_t known = atomic_load_explicit(&control->durable_known, memory_order_relaxed);
    if (__builtin_expect(
            atomic_load_explicit(&control->flush_target, memory_order_relaxed) == known, 1) ||
        known >= end || end - known <= pool->ring_size)
        return false;
    return atomic_load_explicit(&control->flush_failed, memory_order_relaxed) == 0 ||
           atomic_load_explicit(&control->durable, memory_order_relaxed) != known;
}

/* All that happens under the lock. */
static int append_locked(
    struct pool *pool, const struct batch *batch, struct appended *out_appended)
{
    struct ring_state state;
    if (!ring_state_load(pool, &state))
        return APPEND_CORRUPT;

    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, state.tail);
    uint64_t end = append_end(pool, batch, state.tail, offset);
    if (append_needs_sync(pool, end)) {
        out_appended->end_pos = state.tail;
        return APPEND_UNSYNCED;
    }

    if (end - state.tail > pool->ring_size) {
        /* one message so long that pad and frame do not fit together: the pad goes first, alone,
         * and is given up again for the frame */
        const uint64_t pad_end = state.tail + (pool->ring_size - offset);
        append_pad(pool, &state, state.tail, offset, state.next_seq);
        append_publish(pool, &state, pad_end);
    }
    const uint64_t first_seq = state.next_seq;
    const uint64_t written = append_write(pool, batch, &state, &lap_start);
    assert(written == end);
    append_publish(pool, &state, written);

    atomic_store_explicit(&pool->lap_start, lap_start, memory_order_relaxed);
    *out_appended = (struct appended){first_seq, batch->n_messages, state.time_ns, written};
    return APPEND_DONE;
}

/* The first store to a page costs up to 2 ms, so a handle that lives longer than one append
 * makes the pages ahead ready, in steps, outside the lock. */
static void append_warm(struct pool *pool, uint64_t end)
{
    const uint64_t warm_pos = atomic_load_explicit(&pool->warm_pos, memory_order_relaxed);
    if (__builtin_expect(warm_pos >= end + WARM_MARGIN && warm_pos != 0, 1))
        return;
    if (warm_pos == 0) { /* the first append: perhaps the only one */
        atomic_store_explicit(&pool->warm_pos, 1, memory_order_relaxed);
        return;
    }
    if (pool->ring_size <= 4 * WARM_STEP) {
        atomic_store_explicit(&pool->warm_pos, UINT64_MAX, memory_order_relaxed);
        map_warm(pool->ring, pool->ring_size);
        return;
    }
    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    const uint64_t from = warm_pos > end ? warm_pos : end;
    const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, from);
    const uint64_t to_end = pool->ring_size - offset;
    const uint64_t step = to_end < WARM_STEP ? to_end : WARM_STEP;
    atomic_store_explicit(&pool->warm_pos, from + step, memory_order_relaxed);
    map_warm(pool->ring + offset, step);
}

static int append_try(struct pool *pool, const struct batch *batch, struct appended *out_appended,
    int *out_done, plsm_error_t **err)
{
    const int leased = lease_take(pool, err);
    if (leased != POOL_OK)
        return leased;
    if (lock_take(pool, &pool->control->lock) != POOL_OK)
        return POOL_BUSY;
    *out_done = append_locked(pool, batch, out_appended);
    lock_release(&pool->control->lock);
    return POOL_OK;
}

int pool_append(struct pool *pool, const struct message *messages, size_t n_messages,
    struct appended *out_appended, plsm_error_t **err)
{
    struct batch batch;
    struct appended appended = {0};
    int done = APPEND_UNSYNCED;
    int n_vain = 0; /* syncs after which the tail was where it had been */

    if (append_prepare(pool, messages, n_messages, &batch, err) < 0)
        return -1;
    for (int n_syncs = 0; done == APPEND_UNSYNCED; n_syncs++) {
        const uint64_t tail = appended.end_pos;
        if (n_vain > 2) /* one sync carries the last flush to the disk, a second one the first */
            return pool_corrupt(
                pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
        const int confirmed = n_syncs > 0 ? flush_confirm(pool, err) : POOL_OK;
        if (confirmed != POOL_OK)
            return confirmed;
        const int r = append_try(pool, &batch, &appended, &done, err);
        if (r != POOL_OK)
            return r;
        /* others may have gone round and flushed meanwhile: then it is not in vain */
        n_vain = appended.end_pos == tail ? n_vain + 1 : 0;
    }
    if (done == APPEND_CORRUPT)
        return pool_corrupt(
            pool, FORMAT_CONTROL_OFFSET, err, "control words contradict each other");
    follow_wake(pool); /* after unlock: a woken reader never meets our lock */
    append_warm(pool, appended.end_pos);
    if (__builtin_expect(atomic_load_explicit(&pool->truncated, memory_order_relaxed), 0))
        return pool_corrupt(pool, 0, err, "the file was truncated while in use");
    *out_appended = appended;
    return POOL_OK;
}
