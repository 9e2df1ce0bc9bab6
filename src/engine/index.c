#include "engine/index.h"

#include "engine/cursor.h"

bool index_read_header(
    const struct pool *pool, uint64_t pos, uint64_t limit, struct frame_header *out_header)
{
    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, pos);
    const uint64_t to_end = pool->ring_size - offset;
    const uint64_t to_limit = limit - pos;

    if (limit <= pos || pos % FORMAT_FRAME_ALIGN != 0)
        return false;
    frame_copy(out_header, pool->ring + offset, sizeof(*out_header));
    return frame_header_valid(pool->seed, pos, to_end < to_limit ? to_end : to_limit, out_header);
}

/* What is sought: the first frame whose key reaches target. The key is seq or time. */
struct find {
    struct pool *pool;
    bool by_time;
    uint64_t target;
    uint64_t tail;
    struct place low;  /* key at or below target: the walk begins here */
    struct place high; /* key at or above target; may be the tail */
};

#define FIND_AGAIN 5 /* writers overtook the search */
#define FIND_TRIES 1000

static uint64_t find_key(const struct find *find, const struct place *place)
{
    return find->by_time ? place->time_ns : place->seq;
}

/* Takes the frame at pos as the new bound on its side. False: no frame there. */
static bool find_narrow(struct find *find, uint64_t pos, uint64_t seq)
{
    struct frame_header header;
    if (pos <= find->low.pos || pos >= find->high.pos ||
        !index_read_header(find->pool, pos, find->high.pos, &header) || header.seq != seq)
        return false;
    const struct place place = {pos, header.seq, header.time_ns, header};
    /* seqs are unique, so the very frame may be where the walk begins; times are not */
    if (find_key(find, &place) < find->target || (!find->by_time && place.seq == find->target))
        find->low = place;
    else
        find->high = place;
    return true;
}

/* Where the frame probably lies: positions grow nearly evenly with seqs. */
static uint64_t find_guess(const struct find *find, unsigned round)
{
    const uint64_t span = find->high.pos - find->low.pos;
    const uint64_t low_key = find_key(find, &find->low);
    const uint64_t keys = find_key(find, &find->high) - low_key;
    if (round % 3 == 2 || keys == 0 || find->target <= low_key || find->target - low_key > keys)
        return find->low.pos + span / 2;
    return find->low.pos +
           (uint64_t)((double)span * ((double)(find->target - low_key) / (double)keys));
}

/* Narrows the bounds by the index to about a block. */
static void find_by_index(struct find *find)
{
    const struct pool *pool = find->pool;
    const uint64_t block_size = UINT64_C(1) << pool->block_shift;
    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    unsigned misses = 0;

    /* 64 rounds halve any range away; each miss may be a damaged slot */
    for (unsigned round = 0; round < 192 && misses < 8; round++) {
        if (find->high.pos - find->low.pos <= block_size)
            return;
        if (!find->by_time && find->target - find->low.seq <= 2)
            return;
        uint64_t guess = find_guess(find, round);
        if (guess <= find->low.pos)
            guess = find->low.pos + FORMAT_FRAME_ALIGN;
        if (guess >= find->high.pos)
            guess = find->high.pos - FORMAT_FRAME_ALIGN;
        const uint64_t offset = ring_offset_of(pool->ring_size, &lap_start, guess);
        for (unsigned ahead = 0; ahead < 384; ahead += 64) /* the slot's miss hides the frame's */
            __builtin_prefetch(pool->ring + offset + ahead);
        const struct index_slot *slot = &pool->index[offset >> pool->block_shift];
        const uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        const uint64_t pos = atomic_load_explicit(&slot->pos, memory_order_relaxed);
        if (pos == find->low.pos && round % 3 != 2)
            return; /* the guess lies in the very frame or block we stand in */
        if (!find_narrow(find, pos, seq))
            misses++;
    }
}

/* Goes on behind the damaged frame at a place, at the next intact one, if what is sought cannot lie
 * between them: FIND_FOUND, and the place is that one. */
__attribute__((cold)) static int find_past_damage(const struct find *find, struct place *at)
{
    struct pool *pool = find->pool;
    struct place next = {0};

    if (cursor_head_passed(pool, at->pos))
        return FIND_AGAIN;
    next.pos = index_next_intact(pool, at->pos, find->tail, &next.header);
    if (cursor_head_passed(pool, at->pos))
        return FIND_AGAIN; /* it was overwritten, not damaged */
    next.seq = next.header.seq;
    next.time_ns = next.header.time_ns;
    /* seqs are unique, so the next one may be what is sought; of equal times it may be the second */
    if (next.pos >= find->tail || find_key(find, &next) > find->target ||
        (find->by_time && next.time_ns == find->target))
        return FIND_DAMAGED;
    *at = next;
    return FIND_FOUND;
}

/* Walks frame by frame from low to the first message at or above the target. */
static int find_by_walk(struct find *find, struct place *out_place)
{
    struct pool *pool = find->pool;
    struct place at = find->low;

    for (;;) {
        /* a pad carries the seq of the message behind it, but that message is what is sought */
        if (at.header.type == FRAME_MESSAGE && find_key(find, &at) >= find->target) {
            *out_place = at;
            return FIND_FOUND;
        }
        at.pos += frame_length(&at.header);
        if (at.pos >= find->tail) {
            *out_place = find->high;
            return FIND_AFTER;
        }
        if (!index_read_header(pool, at.pos, find->tail, &at.header)) {
            const int r = find_past_damage(find, &at);
            if (r != FIND_FOUND) {
                *out_place = at;
                return r;
            }
        }
        at.seq = at.header.seq;
        at.time_ns = at.header.time_ns;
    }
}

static int find_once(struct find *find, struct place *out_place)
{
    struct pool *pool = find->pool;
    struct ring_state state;
    struct frame_header header;

    if (!ring_state_peek(pool, &state))
        return FIND_NOWHERE;
    find->tail = state.tail;
    find->high = (struct place){state.tail, state.next_seq, state.time_ns, {0}};
    *out_place = find->high;
    if (state.head == state.tail ||
        (find->by_time ? find->target > state.time_ns : find->target >= state.next_seq))
        return FIND_AFTER;
    find->low = (struct place){.pos = state.head};
    if (!index_read_header(pool, state.head, state.tail, &header)) {
        const int r = find_past_damage(find, &find->low);
        if (r != FIND_FOUND) {
            *out_place = find->low;
            return r;
        }
    } else {
        find->low = (struct place){state.head, header.seq, header.time_ns, header};
    }
    if (find_key(find, &find->low) > find->target) {
        *out_place = find->low;
        return FIND_BEFORE;
    }
    if (pool->n_blocks > 0 && find_key(find, &find->low) < find->target)
        find_by_index(find);
    return find_by_walk(find, out_place);
}

static int find_run(struct find *find, struct place *out_place)
{
    int r = FIND_AGAIN;
    for (int i = 0; i < FIND_TRIES && r == FIND_AGAIN; i++)
        r = find_once(find, out_place);
    return r == FIND_AGAIN ? FIND_BEFORE : r;
}

int index_find_seq(struct pool *pool, uint64_t seq, struct place *out_place)
{
    struct find find = {.pool = pool, .target = seq};
    return find_run(&find, out_place);
}

int index_find_time(struct pool *pool, uint64_t time_ns, struct place *out_place)
{
    struct find find = {.pool = pool, .by_time = true, .target = time_ns};
    return find_run(&find, out_place);
}

static bool index_intact(
    const struct pool *pool, uint64_t pos, uint64_t limit, struct frame_header *out_header)
{
    if (!index_read_header(pool, pos, limit, out_header))
        return false;
    uint64_t lap_start = atomic_load_explicit(&pool->lap_start, memory_order_relaxed);
    const uint8_t *start = pool->ring + ring_offset_of(pool->ring_size, &lap_start, pos);
    return frame_body_valid(start, out_header);
}

uint64_t index_next_intact(
    const struct pool *pool, uint64_t pos, uint64_t limit, struct frame_header *out_header)
{
    for (pos += FORMAT_FRAME_ALIGN; pos < limit; pos += FORMAT_FRAME_ALIGN) {
        if (index_intact(pool, pos, limit, out_header))
            return pos;
    }
    return limit;
}
