/* What a budgeted filter and its process say to each other, over one stream between two programs
 * of the same build: numbers as they lie in memory.
 *
 *     wire_start, expression      -> wire_answer, text
 *     wire_message, tags, data    -> wire_answer, text     any number of times
 *
 * The process ends when the stream does. */
#ifndef JSON_FILTER_WIRE_H
#define JSON_FILTER_WIRE_H

#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_PROGRAM "plasmite-filter"

/* How the process ends by itself. */
enum {
    WIRE_EXIT_DONE = 2, /* shown as 0: the stream has ended */
    WIRE_EXIT_MEMORY = 3,
    WIRE_EXIT_PROTOCOL = 4,
};

struct wire_start {
    uint32_t version;
    uint32_t time_ms;
    uint64_t memory_bytes;
    uint32_t expression_len;
    uint32_t reserved;
};

struct wire_message {
    uint64_t seq;
    uint64_t time_ns;
    uint64_t tags_len;
    uint64_t data_len;
};

/* result: of filter_new or filter_match. If it is -1, texts follow, each with its NUL: the
 * error's message, its cause and its hint (empty: none). */
struct wire_answer {
    int32_t result;
    int32_t kind;
    uint32_t text_len;
};

#define WIRE_TEXT_MAX 65536

#endif
