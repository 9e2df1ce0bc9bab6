/* Frames: one message, or a pad, at a position of the ring.
 *
 * A frame begins at a multiple of 32, never wraps, and is as long as its header, tags and data,
 * rounded up to 32. Its header's checksum is seeded with the pool's identity and the frame's
 * position, so that a frame of an earlier lap or of another pool is never taken for this one.
 *
 * Bytes in the mapping may change while they are read: headers are copied first and judged as
 * copies; what they say about the body counts only until the writers' head has passed them. */
#ifndef ENGINE_FRAME_H
#define ENGINE_FRAME_H

#include "base/crc32c.h"
#include "engine/format.h"
#include "engine/pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t frame_round(uint64_t len)
{
    return (len + FORMAT_FRAME_ALIGN - 1) & ~(uint64_t)(FORMAT_FRAME_ALIGN - 1);
}

static inline uint64_t frame_length(const struct frame_header *header)
{
    return frame_round(sizeof(*header) + header->tags_len + header->data_len);
}

/* Whether a frame with this header may follow where expected is the next seq: by the rule, or as
 * a hole, which says that seqs are missing. */
static inline bool frame_follows(const struct frame_header *header, uint64_t expected_seq)
{
    return header->seq == expected_seq ||
           (header->type == FRAME_PAD && header->encoding == PAD_HOLE &&
               header->seq > expected_seq);
}

/* The checksum of a header. Position and body checksum enter through the start value: 8 ns
 * less a frame than as two words more. */
static inline uint32_t frame_header_crc(
    uint32_t seed, uint64_t pos, const struct frame_header *header)
{
    const uint64_t step = pos / FORMAT_FRAME_ALIGN;
    const uint32_t start = seed ^ header->body_crc ^ (uint32_t)step ^ (uint32_t)(step >> 32);
    return crc32c(start, &header->seq, sizeof(*header) - offsetof(struct frame_header, seq));
}

static inline uint32_t frame_body_crc(struct view tags, struct view data)
{
    uint32_t crc = tags.len > 0 ? crc32c(0, tags.data, tags.len) : 0;
    return crc32c(crc, data.data, data.len);
}

/* Copies bytes that another thread may be writing. The copy may be torn; the caller finds out
 * by checksum or by head. The thread sanitizer must not judge it. */
void frame_copy(void *to, const void *from, size_t len);

/* Checks a copied header against its place: room_len is how many bytes may belong to the frame
 * (up to tail, or to the ring's end). A seq that no pool reaches is damage even where the checksum is
 * right: the seq behind it would be 0, which is no seq, and a reader would go back. */
static inline bool frame_header_valid(
    uint32_t seed, uint64_t pos, uint64_t room_len, const struct frame_header *header)
{
    return (header->type == FRAME_MESSAGE || header->type == FRAME_PAD) &&
           frame_length(header) <= room_len && header->seq <= FORMAT_NUMBER_MAX &&
           frame_header_crc(seed, pos, header) == header->crc;
}

/* Writes a frame to start, in the ring. Plain stores: publishing is the caller's. */
void frame_write(uint8_t *start, uint64_t pos, uint32_t seed, struct frame_header *header,
    struct view tags, struct view data);

/* Whether the body in place has the checksum its header promises. */
bool frame_body_valid(const uint8_t *start, const struct frame_header *header);

#endif
