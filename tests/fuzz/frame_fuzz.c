/* Frames as readers meet them: what a writer wrote is read as it was; what was changed afterwards is
 * never taken for a message; and where checksums are right but the words are not, nobody reads
 * outside the ring, goes back, or walks for ever.
 *
 * An input is a script: two bytes of options, a position, then steps that append, change bytes,
 * change hints, or forge headers and control words with their checksums made right. */
#include "tests/fuzz/frame_ring.h"

#include "engine/pool.h"
#include "tests/fuzz/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    OPTION_INDEX = 1,
    OPTION_UNRECOVERED = 2,
    OPTION_LATE = 4, /* positions and seqs near the largest there may be */
    STEPS_MAX = 200,
    SEEN_MAX = RING_SIZE_MAX / (int)sizeof(struct frame_header),
};

struct seen {
    uint64_t seqs[SEEN_MAX];
    size_t n;
};

/* Gives the header of a frame other words, and the checksums they should have there. */
static void forge_header(struct ring *ring, struct view *input)
{
    if (ring->n_evicted == ring->n_frames)
        return;
    const size_t n = ring->n_frames - ring->n_evicted;
    const struct written *frame = &ring->frames[ring->n_evicted + input_u8(input) % n];
    struct frame_header header = frame->header;
    const uint8_t fields = input_u8(input);
    uint8_t *at = ring_at(ring, frame->pos);

    if ((fields & 1) != 0)
        header.seq += (uint64_t)(int64_t)(int8_t)input_u8(input);
    if ((fields & 2) != 0)
        header.seq = input_number(input, 8);
    if ((fields & 4) != 0)
        header.time_ns = input_number(input, 8);
    if ((fields & 8) != 0)
        header.data_len = (uint32_t)input_number(input, 4);
    if ((fields & 16) != 0)
        header.data_len += input_u8(input) - 128u;
    if ((fields & 32) != 0)
        header.tags_len = (uint16_t)input_number(input, 2);
    if ((fields & 64) != 0)
        header.type = input_u8(input);
    if ((fields & 128) != 0)
        header.encoding = input_u8(input);
    const uint64_t body_len = (uint64_t)header.tags_len + header.data_len;
    const uint64_t room = (uint64_t)(ring->pool.ring + ring->pool.ring_size - at) - sizeof(header);
    if (body_len <= room)
        header.body_crc = crc32c(0, at + sizeof(header), body_len);
    header.crc = frame_header_crc(ring->pool.seed, frame->pos, &header);
    memcpy(at, &header, sizeof(header));
    ring->forged = true;
}

static void forge_control(struct ring *ring, struct view *input)
{
    struct control *control = ring->pool.control;
    const uint8_t words = input_u8(input);
    const uint64_t word = (words & 128) != 0 ? input_number(input, 8)
                                             : (uint64_t)(int64_t)(int16_t)input_number(input, 2);

    if ((words & 1) != 0)
        control->head += word;
    if ((words & 2) != 0)
        control->tail += word;
    if ((words & 4) != 0)
        control->commits[0].end_pos = control->tail;
    if ((words & 8) != 0)
        control->commits[0].next_seq += word;
    if ((words & 16) != 0)
        control->commits[0].time_ns = word;
    if ((words & 32) != 0)
        control->durable = word;
    if ((words & 64) == 0)
        control->commit_checks[0] = commit_check(
            control->commits[0].end_pos, control->commits[0].next_seq, control->commits[0].time_ns);
    ring->forged = true;
}

static void change_index(struct ring *ring, struct view *input)
{
    const uint64_t block = input_u8(input);
    const uint64_t seq = input_number(input, 8), pos = input_number(input, 8);

    if (ring->pool.n_blocks == 0)
        return;
    struct index_slot *slot = &ring->pool.index[block % ring->pool.n_blocks];
    slot->seq = seq;
    slot->pos = pos;
    ring->index_changed = true;
}

static void change_bytes(struct ring *ring, struct view *input)
{
    const uint64_t offset = input_number(input, 2);
    const uint8_t len = input_u8(input);
    ring_patch(ring, offset, input_bytes(input, len % 65));
}

static void append(struct ring *ring, uint8_t step, struct view *input)
{
    const uint8_t tags_len = (step & 8) != 0 ? input_u8(input) : 0;
    const uint32_t data_len =
        (step & 16) != 0 ? (uint32_t)input_number(input, 2) % RING_SIZE_MAX : input_u8(input);
    ring_message(ring, tags_len, data_len, step >> 5);
}

/* Writes first, then does harm: a writer would not go on in a ring like that. */
static void play(struct ring *ring, struct view *input)
{
    uint8_t step = 0;
    int n = 0;

    for (; input->len > 0 && n < STEPS_MAX; n++) {
        step = input_u8(input);
        if ((step & 7) < 4)
            append(ring, step, input);
        else if ((step & 7) == 4)
            ring_hole(ring, (uint64_t)(step >> 3) + 1);
        else
            break;
    }
    ring_publish(ring);
    for (; n < STEPS_MAX; n++) {
        switch (step & 7) {
        case 5: change_bytes(ring, input); break;
        case 6: change_index(ring, input); break;
        case 7:
            if ((step & 8) != 0)
                forge_control(ring, input);
            else
                forge_header(ring, input);
            break;
        default: break;
        }
        if (input->len == 0)
            break;
        step = input_u8(input);
    }
}

static const struct written *find_written(const struct ring *ring, uint64_t seq)
{
    for (size_t i = ring->n_evicted; i < ring->n_frames; i++) {
        const struct written *frame = &ring->frames[i];
        if (frame->header.type == FRAME_MESSAGE && frame->header.seq == seq)
            return frame;
    }
    return NULL;
}

/* A frame that a reader was shown. */
static void check_frame(const struct ring *ring, const struct frame *frame)
{
    const uint8_t *const start = ring->pool.ring, *const end = start + ring->pool.ring_size;

    check(frame->tags.data >= start && frame->tags.data <= end);
    check(frame->tags.len <= (size_t)(end - frame->tags.data));
    check(frame->data.data == frame->tags.data + frame->tags.len);
    check(frame->data.len <= (size_t)(end - frame->data.data));
    (void)crc32c(0, frame->tags.data, frame->tags.len + frame->data.len);
    if (ring->forged)
        return;
    const struct written *written = find_written(ring, frame->seq);
    check(written != NULL && written->pos == frame->pos && !written->touched);
    check(written->header.time_ns == frame->time_ns);
    check(written->header.tags_len == frame->tags.len);
    check(written->header.data_len == frame->data.len);
    check(ring_content_is(frame->seq, frame->tags, frame->data));
}

/* Goes on to the next message, over gaps and damage. False: there is none. */
static bool next_frame(struct cursor *cursor, struct frame *out_frame)
{
    plsm_error_t *error = NULL;
    struct gap gap;

    for (int i = 0; i <= 4 * SEEN_MAX; i++) {
        const int r = cursor_next(cursor, out_frame, &gap, &error);
        if (r == CURSOR_FRAME || r == CURSOR_EMPTY)
            return r == CURSOR_FRAME;
        if (r == CURSOR_GAP) {
            check(gap.first_seq < gap.next_seq);
            continue;
        }
        check(error != NULL && error->kind == PLSM_ERROR_CORRUPT);
        plsm_error_free(error);
        error = NULL;
        const uint64_t pos = cursor->pos;
        cursor_skip_damage(cursor, &gap);
        check(gap.first_seq <= gap.next_seq);
        if (cursor->pos == pos)
            return false; /* damaged control words: there is no way round them */
    }
    check(false);
    return false;
}

static void walk(struct ring *ring, struct cursor *cursor, struct seen *seen)
{
    struct frame frame;

    seen->n = 0;
    while (next_frame(cursor, &frame)) {
        check(seen->n < SEEN_MAX);
        check(seen->n == 0 || seen->seqs[seen->n - 1] < frame.seq);
        seen->seqs[seen->n++] = frame.seq;
        check_frame(ring, &frame);
    }
}

/* Nothing that is intact is passed over, and what is asked for by seq is found. */
static void check_all_seen(struct ring *ring, const struct seen *seen)
{
    struct frame frame;
    size_t n = 0;

    for (size_t i = ring->n_evicted; i < ring->n_frames; i++) {
        const struct written *written = &ring->frames[i];
        if (written->header.type != FRAME_MESSAGE || written->touched)
            continue;
        check(n < seen->n && seen->seqs[n] == written->header.seq);
        check(pool_get(&ring->pool, seen->seqs[n], &frame, NULL) == POOL_OK);
        check(frame.seq == seen->seqs[n]);
        check_frame(ring, &frame);
        n++;
    }
    check(n == seen->n);
}

static bool is_whole(const struct ring *ring)
{
    bool whole = !ring->forged;
    for (size_t i = ring->n_evicted; i < ring->n_frames; i++)
        whole = whole && !ring->frames[i].touched;
    return whole;
}

static void check_report(struct ring *ring, const struct seen *seen)
{
    struct pool_report report;

    const int r = pool_verify(&ring->pool, &report, NULL);
    if (ring->forged)
        return;
    check(r == 0 && report.n_messages == seen->n);
    if (is_whole(ring))
        check((report.n_issues == 0) || ring->index_changed);
    else
        check(report.n_issues > 0);
}

/* Any seq, any time: what is found is what a look at every message would find. */
static void check_search(struct ring *ring, const struct seen *seen, uint64_t seq, uint64_t time_ns)
{
    struct frame frame;
    struct cursor cursor;
    struct seen found;
    size_t i = 0;

    const int r = pool_get(&ring->pool, seq, &frame, NULL);
    if (r == POOL_OK) {
        check(frame.seq == seq);
        check_frame(ring, &frame);
    }
    if (cursor_seek_seq(&cursor, &ring->pool, seq, NULL) == 0)
        walk(ring, &cursor, &found);
    if (is_whole(ring)) {
        check((r == POOL_OK) == (find_written(ring, seq) != NULL));
        while (i < seen->n && seen->seqs[i] < seq)
            i++;
        check(found.n == seen->n - i);
        check(found.n == 0 || found.seqs[0] == seen->seqs[i]);
    }
    if (cursor_seek_time(&cursor, &ring->pool, time_ns, NULL) == 0)
        walk(ring, &cursor, &found);
    if (!is_whole(ring))
        return;
    for (i = 0; i < seen->n; i++) {
        const struct written *written = find_written(ring, seen->seqs[i]);
        check(written != NULL);
        if (written->header.time_ns >= time_ns)
            break;
    }
    check(found.n == seen->n - i);
    check(found.n == 0 || found.seqs[0] == seen->seqs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view input = view_of(data, size);
    struct ring ring;
    struct cursor cursor;
    struct seen seen;

    const uint8_t options = input_u8(&input);
    const uint8_t search = input_u8(&input);
    const uint64_t late = (options & OPTION_LATE) != 0 ? FORMAT_NUMBER_MAX - (1u << 30) : 0;
    const uint64_t first_pos = (late + input_u8(&input) * (uint64_t)FORMAT_FRAME_ALIGN) &
                               ~(uint64_t)(FORMAT_FRAME_ALIGN - 1);
    const uint64_t first_seq = 1 + (late == 0 ? 0 : FORMAT_NUMBER_MAX - (1u << 20));

    ring_init(&ring, UINT64_C(1024) << ((options >> 3) % 3), (options & OPTION_INDEX) != 0,
        first_pos, first_seq);
    ring.pool.unrecovered = (options & OPTION_UNRECOVERED) != 0;
    play(&ring, &input);
    cursor_oldest(&cursor, &ring.pool);
    walk(&ring, &cursor, &seen);
    if (!ring.forged)
        check_all_seen(&ring, &seen);
    check_report(&ring, &seen);
    check_search(&ring, &seen, first_seq + search, 1 + search);
    ring_fini(&ring);
    return 0;
}
