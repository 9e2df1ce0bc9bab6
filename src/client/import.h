/* Pools that older versions of the program made, read into new ones.
 *
 * Their file, format version 3: a header of a page, an index that is not needed here, and a ring
 * of frames whose messages are Lite3. docs/format-3.md describes it. Their writers hold an
 * exclusive flock while they append, so that whoever shares the lock sees a file at rest. */
#ifndef CLIENT_IMPORT_H
#define CLIENT_IMPORT_H

#include "engine/pool.h"

#include <stdint.h>

struct import_options {
    uint64_t size_bytes;     /* of the new file; 0: that of the old one */
    uint64_t index_capacity; /* slots; POOL_INDEX_DEFAULT */
};

/* What an import did. */
struct imported {
    uint64_t n_messages; /* all that the old pool had */
    uint64_t oldest_seq; /* 0 if it had none */
    uint64_t newest_seq;
};

enum { IMPORT_BUSY = 1 }; /* a writer held the old file for the whole time */

/* Makes the pool new_path of the messages of old_path: seqs, times and tags stay as they are, data
 * becomes JSON text, and the next message gets the seq that it would have had in the old pool. A
 * time that is before that of the message before it becomes that one. The new file appears when
 * it is complete, and never otherwise; the old one is only read. progress may be NULL.
 *
 * 0; IMPORT_BUSY; -1: NotFound, Usage (not such a pool, sizes, a message larger than the new ring),
 * Corrupt (with offset), AlreadyExists (new_path), Permission, Io; all with path. */
int import_pool(const char *old_path, const char *new_path, const struct import_options *options,
    const struct pool_progress *progress, struct imported *out_imported, plsm_error_t **err);

#endif
