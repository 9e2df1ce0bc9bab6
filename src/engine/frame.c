#include "engine/frame.h"

#include <assert.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FRAME_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define FRAME_TSAN 1
#endif

#ifdef FRAME_TSAN
/* Readers and writers of the ring race by design. Under the thread sanitizer their accesses are
 * made out of its sight, byte by byte; everything around them stays in sight. */
__attribute__((no_sanitize("thread"))) static void frame_bytes(
    volatile uint8_t *to, const volatile uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = from[i];
}

__attribute__((no_sanitize("thread"))) static uint32_t frame_crc(
    uint32_t crc, const volatile uint8_t *at, size_t len)
{
    uint8_t chunk[256];
    while (len > 0) {
        const size_t n = len < sizeof(chunk) ? len : sizeof(chunk);
        frame_bytes(chunk, at, n);
        crc = crc32c(crc, chunk, n);
        at += n;
        len -= n;
    }
    return crc;
}
#else
static inline void frame_bytes(uint8_t *to, const uint8_t *from, size_t len)
{
    memcpy(to, from, len);
}

static inline uint32_t frame_crc(uint32_t crc, const uint8_t *at, size_t len)
{
    return crc32c(crc, at, len);
}
#endif

void frame_copy(void *to, const void *from, size_t len)
{
    frame_bytes(to, from, len);
}

void frame_write(uint8_t *start, uint64_t pos, uint32_t seed, struct frame_header *header,
    struct view tags, struct view data)
{
    assert(pos % FORMAT_FRAME_ALIGN == 0);
    assert(header->type == FRAME_PAD || header->data_len == data.len);

    if (tags.len > 0)
        frame_bytes(start + sizeof(*header), tags.data, tags.len);
    if (data.len > 0)
        frame_bytes(start + sizeof(*header) + tags.len, data.data, data.len);
    header->crc = frame_header_crc(seed, pos, header);
    frame_bytes(start, (const uint8_t *)header, sizeof(*header));
}

bool frame_body_valid(const uint8_t *start, const struct frame_header *header)
{
    if (header->type == FRAME_PAD)
        return true;
    return frame_crc(0, start + sizeof(*header), (size_t)header->tags_len + header->data_len) ==
           header->body_crc;
}
