/* A ring in memory of exactly its size, with frames that a script writes, and what it should hold. */
#ifndef FUZZ_FRAME_RING_H
#define FUZZ_FRAME_RING_H

#include "engine/frame.h"
#include "engine/handle.h"

enum {
    RING_FRAMES_MAX = 512,
    RING_SIZE_MAX = 4096,
};

/* A frame as it was written. */
struct written {
    uint64_t pos;
    uint64_t length;
    struct frame_header header;
    bool touched; /* some of its bytes that count are not what they were when it was published */
};

struct ring {
    struct pool pool;
    struct written
        frames[RING_FRAMES_MAX]; /* the last ones; those from n_evicted on are retained */
    size_t n_frames;
    size_t n_evicted;
    uint64_t tail;
    uint64_t next_seq;
    uint64_t time_ns;
    uint8_t published[RING_SIZE_MAX]; /* the ring as it was then */
    bool index_changed;               /* hints are wrong: no answer may be */
    bool forged; /* headers or control words are wrong with their checksums right */
};

/* first_pos must be a multiple of 32. */
void ring_init(
    struct ring *ring, uint64_t ring_size, bool has_index, uint64_t first_pos, uint64_t first_seq);
void ring_fini(struct ring *ring);

/* Appends as a writer does: evicts, fills the end of a lap with a pad. Bytes follow from the seq. */
void ring_message(struct ring *ring, uint16_t tags_len, uint32_t data_len, uint64_t time_step);
void ring_hole(struct ring *ring, uint64_t seq_step);

/* Makes the control words say what was written. */
void ring_publish(struct ring *ring);

/* Changes bytes of the ring, and notes which frames no longer are what was written. */
void ring_patch(struct ring *ring, uint64_t offset, struct view bytes);

/* Whether these are the bytes of the message with this seq. */
bool ring_content_is(uint64_t seq, struct view tags, struct view data);

uint8_t *ring_at(struct ring *ring, uint64_t pos);

#endif
