/* The older pool file, message by message: private to the import. */
#ifndef CLIENT_IMPORT_FILE_H
#define CLIENT_IMPORT_FILE_H

#include "base/buf.h"
#include "engine/pool.h"

#include <assert.h>

/* The head of the file; the rest of its first 4096 bytes is zero. */
struct import_header {
    uint8_t magic[4]; /* "PLSM" */
    uint32_t version;
    uint8_t little_endian; /* 1 */
    uint8_t zeros[7];
    uint64_t file_size;
    uint64_t index_offset;
    uint32_t index_capacity; /* slots of 16 bytes */
    uint32_t zero;
    uint64_t ring_offset;
    uint64_t ring_size;
    uint64_t flags;
    uint64_t head;       /* offset in the ring of the next frame */
    uint64_t tail;       /* of the oldest one */
    uint64_t tail_next;  /* of the one behind it */
    uint64_t oldest_seq; /* 0: the pool is empty */
    uint64_t newest_seq;
};

static_assert(sizeof(struct import_header) == 104, "the header has no padding");

struct import_file {
    const char *path;
    int fd;
    struct import_header header;
    uint64_t offset;   /* in the ring, of the next frame */
    uint64_t next_seq; /* of the next message; 0: there is none */
    bool wrapped;      /* since the last message */
    struct buf window; /* a part of the file */
    uint64_t window_offset;
};

/* One message as it lies there; borrowed until the next one is read. */
struct import_message {
    uint64_t seq;
    uint64_t time_ns;
    uint64_t file_offset; /* of the payload */
    struct view payload;
};

/* Opens, locks and checks the file. 0, POOL_BUSY, or -1; fini in any case. */
int import_file_open(struct import_file *file, const char *path, plsm_error_t **err);
void import_file_fini(struct import_file *file);

static inline void import_file_fini_scoped(struct import_file *file)
{
    import_file_fini(file);
}

/* 1: a message; 0: that was all; -1: Corrupt, Io. */
int import_file_next(
    struct import_file *file, struct import_message *out_message, plsm_error_t **err);

/* Corrupt, with path and offset. */
int import_corrupt(
    const struct import_file *file, uint64_t file_offset, plsm_error_t **err, const char *what);

#endif
