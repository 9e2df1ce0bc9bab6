#include "tests/fuzz/frame_ring.h"

#include "engine/index.h"
#include "tests/fuzz/check.h"

enum { BLOCK_SHIFT = 8 };

static uint8_t content_byte(uint64_t seq, size_t i)
{
    return (uint8_t)(seq * 31 + i * 7);
}

static void content_fill(uint8_t *out, uint64_t seq, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = content_byte(seq, from + i);
}

bool ring_content_is(uint64_t seq, struct view tags, struct view data)
{
    bool same = true;
    for (size_t i = 0; i < tags.len; i++)
        same = same && tags.data[i] == content_byte(seq, i);
    for (size_t i = 0; i < data.len; i++)
        same = same && data.data[i] == content_byte(seq, tags.len + i);
    return same;
}

void ring_init(
    struct ring *ring, uint64_t ring_size, bool has_index, uint64_t first_pos, uint64_t first_seq)
{
    static char path[] = "ring";
    struct pool *pool = &ring->pool;

    *ring = (struct ring){.tail = first_pos, .next_seq = first_seq, .time_ns = 1};
    pool->control = aligned_alloc(_Alignof(struct control), sizeof(struct control));
    pool->ring = malloc(ring_size);
    check(pool->control != NULL && pool->ring != NULL);
    memset(pool->control, 0, sizeof(*pool->control));
    memset(pool->ring, 0, ring_size);
    pool->ring_size = ring_size;
    pool->seed = 0x5eed5eedu;
    pool->block_shift = BLOCK_SHIFT;
    pool->path = path;
    pool->superblock.ring_offset = FORMAT_HEADER_SIZE;
    if (!has_index)
        return;
    pool->n_blocks = ring_size >> BLOCK_SHIFT;
    pool->index = calloc(pool->n_blocks, sizeof(*pool->index));
    check(pool->index != NULL);
    for (uint64_t i = 0; i < pool->n_blocks; i++)
        pool->index[i].pos = UINT64_MAX;
}

void ring_fini(struct ring *ring)
{
    free(ring->pool.control);
    free(ring->pool.ring);
    free(ring->pool.index);
}

uint8_t *ring_at(struct ring *ring, uint64_t pos)
{
    return ring->pool.ring + pos % ring->pool.ring_size;
}

static uint64_t ring_head(const struct ring *ring)
{
    return ring->n_evicted == ring->n_frames ? ring->tail : ring->frames[ring->n_evicted].pos;
}

static void ring_write(struct ring *ring, struct frame_header header, uint64_t length)
{
    uint8_t body[RING_SIZE_MAX];
    struct pool *pool = &ring->pool;
    const struct view tags = view_of(body, header.tags_len);
    const struct view data =
        view_of(body + tags.len, header.type == FRAME_PAD ? 0 : header.data_len);

    check(length <= pool->ring_size && ring->n_frames < RING_FRAMES_MAX);
    while (ring->tail + length - ring_head(ring) > pool->ring_size)
        ring->n_evicted++;
    content_fill(body, header.seq, 0, tags.len + data.len);
    header.body_crc = header.type == FRAME_PAD ? 0 : frame_body_crc(tags, data);
    frame_write(ring_at(ring, ring->tail), ring->tail, pool->seed, &header, tags, data);
    index_put(pool, ring->tail, ring->tail % pool->ring_size, length, header.seq);
    ring->frames[ring->n_frames++] =
        (struct written){.pos = ring->tail, .length = length, .header = header};
    ring->tail += length;
}

/* A frame never wraps: a pad takes what is left of the lap. */
static void ring_make_room(struct ring *ring, uint64_t length)
{
    const uint64_t to_end = ring->pool.ring_size - ring->tail % ring->pool.ring_size;
    if (length <= to_end)
        return;
    const struct frame_header pad = {.seq = ring->next_seq,
        .time_ns = ring->time_ns,
        .data_len = (uint32_t)(to_end - sizeof(pad)),
        .type = FRAME_PAD};
    ring_write(ring, pad, to_end);
}

void ring_message(struct ring *ring, uint16_t tags_len, uint32_t data_len, uint64_t time_step)
{
    const uint64_t length = frame_round(sizeof(struct frame_header) + tags_len + data_len);

    if (length > ring->pool.ring_size || ring->n_frames + 2 > RING_FRAMES_MAX)
        return;
    ring_make_room(ring, length);
    ring->time_ns += time_step;
    const struct frame_header header = {.seq = ring->next_seq,
        .time_ns = ring->time_ns,
        .data_len = data_len,
        .tags_len = tags_len,
        .type = FRAME_MESSAGE};
    ring_write(ring, header, length);
    ring->next_seq++;
}

void ring_hole(struct ring *ring, uint64_t seq_step)
{
    if (ring->n_frames + 2 > RING_FRAMES_MAX)
        return;
    ring->next_seq += seq_step;
    const struct frame_header hole = {
        .seq = ring->next_seq, .time_ns = ring->time_ns, .type = FRAME_PAD, .encoding = PAD_HOLE};
    ring_write(ring, hole, sizeof(hole));
}

void ring_publish(struct ring *ring)
{
    struct control *control = ring->pool.control;

    control->head = ring_head(ring);
    control->tail = ring->tail;
    control->commits[0].end_pos = ring->tail;
    control->commits[0].next_seq = ring->next_seq;
    control->commits[0].time_ns = ring->time_ns;
    control->commit_checks[0] = commit_check(ring->tail, ring->next_seq, ring->time_ns);
    control->commits[1].end_pos = UINT64_MAX;
    memcpy(ring->published, ring->pool.ring, ring->pool.ring_size);
}

/* What counts of a frame: a pad's body, and what rounds a message up, do not. */
static uint64_t written_counts(const struct written *frame)
{
    const struct frame_header *header = &frame->header;
    return sizeof(*header) +
           (header->type == FRAME_PAD ? 0 : (uint64_t)header->tags_len + header->data_len);
}

void ring_patch(struct ring *ring, uint64_t offset, struct view bytes)
{
    const struct pool *pool = &ring->pool;

    offset %= pool->ring_size;
    if (bytes.len > pool->ring_size - offset)
        bytes.len = pool->ring_size - offset;
    if (bytes.len > 0)
        memcpy(pool->ring + offset, bytes.data, bytes.len);
    for (size_t i = ring->n_evicted; i < ring->n_frames; i++) {
        struct written *frame = &ring->frames[i];
        const uint64_t start = frame->pos % pool->ring_size;
        frame->touched =
            memcmp(pool->ring + start, ring->published + start, written_counts(frame)) != 0;
    }
}
