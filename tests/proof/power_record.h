/* Everything that is stored into one mapped file, store by store, and when it was synced.
 *
 * Mappings of the recorded file are write-protected: each store faults, is let through alone, and
 * what it changed is noted. So the log holds every state that the file was in, also those inside
 * an append, a flush or a recovery. One thread; x86-64, where a process can step itself. */
#ifndef PROOF_POWER_RECORD_H
#define PROOF_POWER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_BYTES_MAX 65536u
#define RECORD_PAGE      4096u
#define RECORD_WORDS     (RECORD_BYTES_MAX / 8)
#define RECORD_PAGES     (RECORD_BYTES_MAX / RECORD_PAGE)
#define RECORD_LOG_MAX   (1u << 20)

enum record_kind {
    RECORD_STORE,       /* at: a word of the file; value: what it became */
    RECORD_TOUCH,       /* at: a page; a store changed nothing, but the page is dirty again */
    RECORD_SYNC,        /* at: number of the sync that began */
    RECORD_SYNC_DONE,   /* at: number of the sync that ended well */
    RECORD_SYNC_FAILED, /* the same for one that failed */
    RECORD_OPENED,      /* pool_open() returned */
    RECORD_FLUSHED,     /* value: a flush of all messages before this seq returned */
};

struct record_entry {
    uint32_t kind;
    uint32_t at;
    uint64_t value;
};

struct record {
    uint64_t words[RECORD_WORDS]; /* the file as it is */
    size_t n_bytes;
    struct record_entry *log;
    size_t n_log;
    uint32_t n_syncs;
    int depth;                  /* syncs that are running */
    bool (*in_sync)(int depth); /* called while one runs; false: it fails. NULL: nothing happens */
};

extern struct record record;

/* Records the file from now on, which nobody has mapped yet. */
void record_start(const char *path, const uint8_t *bytes, size_t n_bytes);
void record_stop(void);

void record_note(enum record_kind kind, uint32_t at, uint64_t value);

/* Stores that did not go through a mapping: what creating the file wrote. */
void record_bytes(const uint8_t *bytes);

/* The wall clock is the program's own: it begins at a time of its choice and advances by so much
 * each time it is read. */
void record_clock(uint64_t now_ns, uint64_t step_ns);
uint64_t record_clock_now(void);

#endif
