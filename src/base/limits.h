/* Every maximum, with its reason. A loop or a queue that can grow names the one that ends it. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Nesting of a JSON document. Deep enough for anything people write, shallow enough that no
 * recursive reader of the output runs out of stack. */
#define LIMIT_JSON_DEPTH 1024

/* Messages in one append. Bounds the time the pool is locked and the stack an append uses. */
#define LIMIT_BATCH_MESSAGES 4096

/* Bytes of one message's data: what one frame's 32-bit length can say, less room for its header
 * and rounding. A pool's ring is nearly always the smaller limit. */
#define LIMIT_MESSAGE_BYTES 0xfffe0000u

/* Bytes of one message's tags as a JSON array: a 16-bit length in the frame. */
#define LIMIT_TAGS_BYTES 0xffffu

/* One record read from a stream or a file; a longer one is refused, not buffered without end. */
#define LIMIT_RECORD_BYTES 1048576u

/* One line of a captured program, as JSON text; a longer one, or one that the ring does not take,
 * is stored in parts. What is not ended is kept in memory, for each stream. */
#define LIMIT_LINE_BYTES 16777216u

/* Pool files: smallest ring that is worth having, and the largest file we test. */
#define LIMIT_POOL_BYTES_MAX (1ull << 46)

#endif
