#include "engine/frame.h"
#include "engine/repair.h"

uint32_t repair_fold(uint64_t pos)
{
    const uint64_t step = pos / FORMAT_FRAME_ALIGN;
    return (uint32_t)step ^ (uint32_t)(step >> 32);
}

/* A header that is no message's has any length: *budget bounds the bytes that are checked. */
static bool sample_at(const uint8_t *ring, uint64_t offset, uint64_t room, uint64_t *budget,
    struct sample *out_sample)
{
    struct frame_header header;

    memcpy(&header, ring + offset, sizeof(header));
    const uint64_t body_len = (uint64_t)header.data_len + header.tags_len;
    if (header.type != FRAME_MESSAGE || header.encoding > ENCODING_LITE3 || header.seq == 0 ||
        body_len == 0 || frame_length(&header) > room || body_len > *budget)
        return false;
    *budget -= body_len;
    if (!frame_body_valid(ring + offset, &header))
        return false;
    out_sample->offset = offset;
    out_sample->seq = header.seq;
    out_sample->key =
        crc32c_undo(header.crc, &header.seq, sizeof(header) - offsetof(struct frame_header, seq)) ^
        header.body_crc;
    return true;
}

size_t repair_sample(const uint8_t *ring, uint64_t ring_size, uint64_t present,
    struct sample samples[static REPAIR_SAMPLES])
{
    const uint64_t limit = present < ring_size ? present : ring_size;
    const uint64_t part = frame_round(limit / REPAIR_SAMPLES + 1);
    uint64_t budget = 4 * ring_size;
    size_t n = 0;

    for (uint64_t start = 0; start < limit && n < REPAIR_SAMPLES; start += part) {
        const uint64_t end = start + part < limit ? start + part : limit;
        for (uint64_t offset = start; offset < end && limit - offset > sizeof(struct frame_header);
             offset += FORMAT_FRAME_ALIGN) {
            if (sample_at(ring, offset, limit - offset, &budget, &samples[n])) {
                n++;
                break;
            }
        }
    }
    return n;
}

bool repair_indexed(const struct index_slot *index, const struct superblock *superblock,
    const struct sample *sample, uint64_t *out_pos)
{
    if (superblock->index_capacity == 0)
        return false;
    const struct index_slot *slot = &index[sample->offset >> superblock->block_shift];
    *out_pos = atomic_load_explicit(&slot->pos, memory_order_relaxed);
    return atomic_load_explicit(&slot->seq, memory_order_relaxed) == sample->seq &&
           *out_pos % superblock->ring_size == sample->offset;
}

bool repair_record(const struct control *control, struct ring_state *out_state)
{
    bool found = false;

    for (unsigned i = 0; i < 2; i++) {
        const struct commit_record *commit = &control->commits[i];
        const uint64_t end_pos = atomic_load_explicit(&commit->end_pos, memory_order_relaxed);
        const uint64_t next_seq = atomic_load_explicit(&commit->next_seq, memory_order_relaxed);
        const uint64_t time_ns = atomic_load_explicit(&commit->time_ns, memory_order_relaxed);
        if (end_pos % FORMAT_FRAME_ALIGN != 0 || next_seq == 0 || end_pos > FORMAT_NUMBER_MAX ||
            next_seq > FORMAT_NUMBER_MAX ||
            commit_check(end_pos, next_seq, time_ns) !=
                atomic_load_explicit(&control->commit_checks[i], memory_order_relaxed) ||
            (found && end_pos < out_state->tail))
            continue;
        *out_state = (struct ring_state){
            .tail = end_pos, .next_seq = next_seq, .time_ns = time_ns, .commit = i};
        found = true;
    }
    return found;
}

uint64_t repair_pos_max(const struct superblock *superblock, uint64_t seq)
{
    const uint64_t n = seq > superblock->first_seq ? seq - superblock->first_seq + 1 : 1;

    if (superblock->first_pos > FORMAT_NUMBER_MAX ||
        n > (FORMAT_NUMBER_MAX - superblock->first_pos) / 2 / superblock->ring_size)
        return FORMAT_NUMBER_MAX;
    return superblock->first_pos + n * 2 * superblock->ring_size;
}
