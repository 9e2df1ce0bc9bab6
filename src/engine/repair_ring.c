/* Finding the messages of a damaged pool, and making everything round them anew.
 *
 * Every intact frame stays where it is. What lies between two of them becomes a hole. */
#include "engine/cursor.h"
#include "engine/frame.h"
#include "engine/index.h"
#include "engine/recover.h"
#include "engine/repair.h"
#include "os/process.h"

#include <assert.h>
#include <errno.h>

/* Values that the upper half of a position's count of steps may have: half an exabyte appended. */
#define FOLDS (UINT64_C(1) << 22)

/* Samples that are tried so when the ones before lead nowhere. */
#define FOLDED_SAMPLES 3

/* A pad's length must fit its header. */
#define HOLE_MAX (UINT64_C(1) << 31)

struct mend {
    struct pool *pool;
    struct progress *progress;
    uint64_t progress_base;
    struct ring_state record; /* an intact commit record; next_seq 0: none */
    uint64_t tail;            /* where the walk ends */
    bool trusted;             /* the tail is what the control words say */
    /* of the walk */
    uint64_t hole_start;   /* where the last frame that was kept ends */
    uint64_t head;         /* where the first one begins */
    uint64_t expected_seq; /* 0: nothing was kept yet */
    uint64_t time_ns;
    uint64_t n_holed; /* messages that holes of earlier repairs stand for */
    struct pool_repaired *repaired;
};

static const uint8_t *mend_at(const struct pool *pool, uint64_t pos)
{
    return pool->ring + pos % pool->ring_size;
}

/* Whether a whole frame of this position stands there, wherever the tail may be. */
static bool mend_intact(const struct pool *pool, uint64_t pos, struct frame_header *out_header)
{
    return index_read_header(pool, pos, pos + pool->ring_size, out_header) &&
           (out_header->type == FRAME_PAD || out_header->encoding <= ENCODING_LITE3) &&
           frame_body_valid(mend_at(pool, pos), out_header);
}

/* The lap in which more samples lie, or in the one before, than for any other. False: none. */
struct lap_votes {
    const struct pool *pool;
    struct sample samples[REPAIR_SAMPLES];
    size_t n_samples;
    uint64_t lap;
    size_t n_best;
};

static bool lap_has(const struct lap_votes *votes, const struct sample *sample, uint64_t lap)
{
    const uint64_t pos = lap * votes->pool->ring_size + sample->offset;
    return repair_fold(pos) == (sample->key ^ votes->pool->seed);
}

static void lap_consider(struct lap_votes *votes, uint64_t lap)
{
    size_t n = 0;
    if (votes->n_best > 0 && lap == votes->lap)
        return;
    for (size_t i = 0; i < votes->n_samples; i++)
        n += lap_has(votes, &votes->samples[i], lap) ||
             (lap > 0 && lap_has(votes, &votes->samples[i], lap - 1));
    if (n <= votes->n_best) /* among equals the first: the index speaks before the checksums */
        return;
    votes->n_best = n;
    votes->lap = lap;
}

/* A wrong lap may have the right checksums in a part of the ring, hardly in all of it. */
static bool lap_is_certain(const struct lap_votes *votes)
{
    return votes->n_best == votes->n_samples;
}

/* Tries all positions that one sample may have. Several laps may have the same checksums; then
 * any of them will do, and the earliest is taken. */
static void lap_unfold(struct lap_votes *votes, const struct sample *sample)
{
    const uint64_t ring_size = votes->pool->ring_size;
    const uint64_t pos_max = repair_pos_max(&votes->pool->superblock, sample->seq);
    const uint64_t unit_max = pos_max / FORMAT_FRAME_ALIGN;

    for (uint64_t high = 0; high < FOLDS && high <= unit_max >> 32; high++) {
        if (lap_is_certain(votes))
            return;
        const uint32_t low = sample->key ^ votes->pool->seed ^ (uint32_t)high;
        const uint64_t pos = (high << 32 | low) * FORMAT_FRAME_ALIGN;
        if (pos <= pos_max && pos % ring_size == sample->offset)
            lap_consider(votes, pos / ring_size);
    }
}

/* Finds the newest lap from the messages, and what the index says about them; where that says
 * nothing, and deep, from all laps there can be. */
static bool lap_find(const struct pool *pool, bool deep, uint64_t *out_lap)
{
    struct lap_votes votes = {.pool = pool};
    size_t n_foreign = 0;
    uint64_t pos = 0;

    votes.n_samples = repair_sample(pool->ring, pool->ring_size, pool->ring_size, votes.samples);
    for (size_t i = 0; i < votes.n_samples; i++) {
        if (!repair_indexed(pool->index, &pool->superblock, &votes.samples[i], &pos))
            continue;
        if (lap_has(&votes, &votes.samples[i], pos / pool->ring_size))
            lap_consider(&votes, pos / pool->ring_size);
        else
            n_foreign++; /* its position is known, and not with this pool's identity */
    }
    if (n_foreign > votes.n_best)
        return false;
    for (size_t i = 0; deep && i < votes.n_samples && i < FOLDED_SAMPLES; i++)
        lap_unfold(&votes, &votes.samples[i * votes.n_samples / FOLDED_SAMPLES % votes.n_samples]);
    *out_lap = votes.lap;
    return votes.n_best > 0;
}

/* Where the newest intact frame ends, of this lap, the one before and the one after. 0: none. */
static uint64_t mend_newest_end(const struct mend *mend, uint64_t lap)
{
    const struct pool *pool = mend->pool;
    struct frame_header header = {0};
    uint64_t newest_end = 0;
    uint64_t length = FORMAT_FRAME_ALIGN;

    for (uint64_t offset = 0; offset < pool->ring_size; offset += length) {
        length = FORMAT_FRAME_ALIGN;
        progress_reach(mend->progress, mend->progress_base + offset / 2);
        const uint8_t type = pool->ring[offset + offsetof(struct frame_header, type)];
        if (type != FRAME_MESSAGE && type != FRAME_PAD)
            continue;
        for (uint64_t back = 0; back < 3 && back <= lap + 1; back++) {
            const uint64_t pos = (lap + 1 - back) * pool->ring_size + offset;
            if (!mend_intact(pool, pos, &header))
                continue;
            length = frame_length(&header);
            newest_end = pos + length > newest_end ? pos + length : newest_end;
            break;
        }
    }
    return newest_end;
}

/* Decides where the messages end: as the control words say, unless frames stand in the ring that
 * can only have been written later; else at the newest frame. False: there is nothing at all. */
static bool mend_find_tail(struct mend *mend)
{
    struct pool *pool = mend->pool;
    const struct control *control = pool->control;
    const uint64_t tail = atomic_load_explicit(&control->tail, memory_order_relaxed);
    const uint64_t head = atomic_load_explicit(&control->head, memory_order_relaxed);
    struct ring_state state;
    uint64_t lap = 0;

    if (!repair_record(control, &mend->record))
        mend->record = (struct ring_state){0};
    mend->trusted = tail % FORMAT_FRAME_ALIGN == 0 && ring_commit_load(pool, tail, &state) &&
                    state.next_seq != 0 && state.next_seq <= FORMAT_NUMBER_MAX &&
                    tail <= FORMAT_NUMBER_MAX;
    if (mend->trusted)
        mend->record = state;
    uint64_t newest_end = 0;
    if (mend->record.next_seq != 0)
        newest_end = mend_newest_end(mend, mend->record.tail / pool->ring_size);
    /* the control words may be of long ago, and what a pad covers may still be of that time */
    if (lap_find(pool, newest_end == 0, &lap)) {
        const uint64_t end = mend_newest_end(mend, lap);
        newest_end = end > newest_end ? end : newest_end;
    }
    if (newest_end == 0 && mend->record.next_seq == 0)
        return false;
    /* nobody writes beyond what head has given free */
    if (mend->trusted && ring_words_valid(pool, head, tail) && newest_end > head &&
        newest_end - head > pool->ring_size)
        mend->trusted = false;
    mend->tail = mend->record.tail;
    /* nor is a record true whose ring holds none of its messages, but those of another time */
    if (newest_end > 0 && mend->tail > newest_end && mend->tail - newest_end > pool->ring_size)
        mend->trusted = false;
    if (!mend->trusted && newest_end > 0 &&
        (newest_end > mend->tail || mend->tail - newest_end > pool->ring_size))
        mend->tail = newest_end;
    return true;
}

/* Where to begin: at head, if a frame begins there; else at everything within a ring. */
static uint64_t mend_find_start(const struct mend *mend)
{
    const struct pool *pool = mend->pool;
    const uint64_t head = atomic_load_explicit(&pool->control->head, memory_order_relaxed);
    struct frame_header header;

    if (ring_words_valid(pool, head, mend->tail) &&
        (head == mend->tail ? mend->trusted : mend_intact(pool, head, &header)))
        return head;
    return mend->tail > pool->ring_size ? mend->tail - pool->ring_size : 0;
}

/* Fills [start, end) with pads that say that the messages before seq are lost. */
static void mend_fill(struct mend *mend, uint64_t start, uint64_t end, uint64_t seq)
{
    struct pool *pool = mend->pool;

    while (start < end) {
        const uint64_t offset = start % pool->ring_size;
        uint64_t length = end - start;
        if (length > pool->ring_size - offset)
            length = pool->ring_size - offset;
        if (length > HOLE_MAX)
            length = HOLE_MAX;
        struct frame_header header = {
            .seq = seq,
            .time_ns = mend->time_ns,
            .data_len = (uint32_t)(length - sizeof(header)),
            .type = FRAME_PAD,
            .encoding = PAD_HOLE,
        };
        frame_write(
            pool->ring + offset, start, pool->seed, &header, view_of("", 0), view_of("", 0));
        start += length;
    }
}

/* Whether an intact frame fits behind what was kept. */
static bool mend_fits(const struct mend *mend, uint64_t pos, const struct frame_header *header)
{
    if (header->seq == 0 || header->seq > FORMAT_NUMBER_MAX ||
        pos + frame_length(header) > mend->tail)
        return false;
    if (mend->expected_seq == 0)
        return true;
    if (header->time_ns < mend->time_ns)
        return false; /* a dead writer's, who never published it */
    return pos == mend->hole_start ? frame_follows(header, mend->expected_seq)
                                   : header->seq >= mend->expected_seq;
}

static void mend_keep(struct mend *mend, uint64_t pos, const struct frame_header *header)
{
    struct pool_repaired *repaired = mend->repaired;

    if (mend->expected_seq == 0)
        mend->head = pos;
    else if (pos != mend->hole_start)
        mend_fill(mend, mend->hole_start, pos, header->seq);
    else
        mend->n_holed += header->seq - mend->expected_seq;
    mend->hole_start = pos + frame_length(header);
    mend->time_ns = header->time_ns;
    mend->expected_seq = header->seq + (header->type == FRAME_MESSAGE);
    if (header->type != FRAME_MESSAGE)
        return;
    if (repaired->n_kept++ == 0)
        repaired->oldest_seq = header->seq;
    repaired->newest_seq = header->seq;
}

static void mend_walk(struct mend *mend, uint64_t start)
{
    struct frame_header header;

    for (uint64_t pos = start; pos < mend->tail;) {
        progress_reach(
            mend->progress, mend->progress_base + mend->pool->ring_size / 2 + (pos - start) / 2);
        if (!mend_intact(mend->pool, pos, &header) || !mend_fits(mend, pos, &header)) {
            pos += FORMAT_FRAME_ALIGN;
            continue;
        }
        mend_keep(mend, pos, &header);
        pos += frame_length(&header);
    }
}

/* The next seq, as slots of the index know it that name frames behind the last one kept. For
 * pools without any intact record. */
static uint64_t mend_indexed_seq(const struct mend *mend, uint64_t next_seq)
{
    const struct pool *pool = mend->pool;
    const uint64_t end = mend->hole_start;
    uint64_t best = next_seq;

    for (uint64_t block = 0; block < pool->n_blocks; block++) {
        const struct index_slot *slot = &pool->index[block];
        const uint64_t pos = atomic_load_explicit(&slot->pos, memory_order_relaxed);
        const uint64_t seq = atomic_load_explicit(&slot->seq, memory_order_relaxed);
        const bool possible = pos % FORMAT_FRAME_ALIGN == 0 && pos >= end &&
                              pos - end < pool->ring_size && seq >= next_seq &&
                              seq - next_seq <= (pos - end) / FORMAT_FRAME_ALIGN &&
                              pos % pool->ring_size >> pool->block_shift <= block;
        if (possible && seq >= best)
            best = seq + 1;
    }
    return best;
}

/* The seq of the damaged message at head, if its header or the index still has it; else 0. */
static uint64_t mend_head_seq(const struct pool *pool, uint64_t head)
{
    struct frame_header header;

    if (index_read_header(pool, head, head + pool->ring_size, &header))
        return header.seq;
    if (pool->n_blocks == 0)
        return 0;
    const struct index_slot *slot = &pool->index[head % pool->ring_size >> pool->block_shift];
    if (atomic_load_explicit(&slot->pos, memory_order_relaxed) != head)
        return 0;
    return atomic_load_explicit(&slot->seq, memory_order_relaxed);
}

/* How many messages stood before the first one that is kept, at least. */
static uint64_t mend_lost_before(const struct mend *mend, uint64_t next_seq)
{
    const struct pool *pool = mend->pool;
    const uint64_t head = atomic_load_explicit(&pool->control->head, memory_order_relaxed);
    const uint64_t first_seq = mend->repaired->n_kept > 0 ? mend->repaired->oldest_seq : next_seq;
    const uint64_t first_pos = mend->repaired->n_kept > 0 ? mend->head : mend->tail;

    if (!ring_words_valid(pool, head, mend->tail) || head >= first_pos)
        return 0;
    const uint64_t seq = mend_head_seq(pool, head);
    const bool possible =
        seq != 0 && seq < first_seq && first_seq - seq <= (first_pos - head) / FORMAT_FRAME_ALIGN;
    return possible ? first_seq - seq : 1;
}

/* Makes room for one more pad at the end, by giving up the oldest frames. */
static void mend_make_room(struct mend *mend)
{
    struct pool_repaired *repaired = mend->repaired;
    struct frame_header header;

    while (mend->head < mend->tail &&
           mend->tail + FORMAT_FRAME_ALIGN - mend->head > mend->pool->ring_size) {
        if (!mend_intact(mend->pool, mend->head, &header))
            return; /* it was a moment ago */
        if (header.type == FRAME_MESSAGE) {
            repaired->n_kept--;
            repaired->n_lost++;
            repaired->oldest_seq = repaired->n_kept > 0 ? header.seq + 1 : 0;
        }
        mend->head += frame_length(&header);
    }
}

/* Ends the walk: what comes after the last frame, and what the next seq is. */
static void mend_finish(struct mend *mend)
{
    struct pool_repaired *repaired = mend->repaired;
    uint64_t next_seq = mend->expected_seq > 0 ? mend->expected_seq : 1;

    if (mend->record.next_seq > next_seq)
        next_seq = mend->record.next_seq;
    if (mend->record.next_seq == 0)
        next_seq = mend_indexed_seq(mend, next_seq);
    repaired->n_lost += mend_lost_before(mend, next_seq);
    if (repaired->n_kept > 0)
        repaired->n_lost += next_seq - repaired->oldest_seq - repaired->n_kept - mend->n_holed;
    if (mend->time_ns < mend->record.time_ns && mend->record.next_seq >= mend->expected_seq)
        mend->time_ns = mend->record.time_ns;
    if (mend->expected_seq == 0) {
        mend->head = mend->tail; /* nothing is left; the seqs go on */
    } else if (mend->hole_start == mend->tail && next_seq > mend->expected_seq) {
        mend_make_room(mend);
        mend->tail += FORMAT_FRAME_ALIGN;
    }
    if (mend->expected_seq != 0)
        mend_fill(mend, mend->hole_start, mend->tail, next_seq);
    mend->expected_seq = next_seq;
}

static int mend_control(struct mend *mend, plsm_error_t **err)
{
    struct pool *pool = mend->pool;
    struct control *control = pool->control;
    const struct run run = {mend->head, mend->tail, mend->expected_seq, mend->time_ns};

    memset(control, 0, sizeof(*control));
    recover_set(pool, &run);
    recover_rebuild_index(pool, &run);
    atomic_store_explicit(&control->durable, run.end, memory_order_relaxed);
    atomic_store_explicit(&control->durable_known, run.end, memory_order_relaxed);
    atomic_store_explicit(&control->flush_target, run.end, memory_order_relaxed);
    if (process_boot_id(control->boot_id) < 0)
        return error_io(err, errno, "failed to read the machine's boot id");
    return 0;
}

int repair_ring(struct pool *pool, struct progress *progress, uint64_t progress_base,
    struct pool_repaired *out_repaired, plsm_error_t **err)
{
    struct mend mend = {.pool = pool,
        .progress = progress,
        .progress_base = progress_base,
        .repaired = out_repaired};

    if (!mend_find_tail(&mend))
        return error_set(err, PLSM_ERROR_CORRUPT, "nothing in the pool is intact");
    const uint64_t start = mend_find_start(&mend);
    mend.head = mend.hole_start = start;
    mend_walk(&mend, start);
    mend_finish(&mend);
    if (mend_control(&mend, err) < 0)
        return -1;
    memcpy(pool->map, &pool->superblock, sizeof(pool->superblock));
    return 0;
}
