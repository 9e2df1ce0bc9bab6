/* A pool: one file that is a bounded ring of messages, mapped by every process that uses it.
 *
 * Many writers, many readers, nothing running in between; any process may die at any
 * instruction. docs/format.md describes the file and the algorithms; docs/map.md says in which
 * order to read this folder.
 *
 * The engine stores bytes and never parses them: data is taken as compact JSON text, tags as a
 * compact JSON array of strings or nothing. Whoever calls it has validated both.
 *
 * A handle may be used by any number of threads at once. After fork() the child's copy reopens
 * itself on first use. */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include "base/error.h"
#include "base/scoped.h"
#include "base/view.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pool;

/* Outcomes beside 0 and -1. */
enum {
    POOL_OK = 0,
    POOL_BUSY = 1, /* a live writer, or a foreign flock, held the pool for the whole busy timeout */
    POOL_MISSING = 2, /* no such message: evicted, or not yet written */
};

enum pool_mode {
    POOL_READ,  /* needs only read permission */
    POOL_WRITE, /* may append, flush and repair */
};

/* What a message's data bytes are. */
enum encoding {
    ENCODING_JSON = 0,
    ENCODING_LITE3 = 1,
};

#define POOL_SIZE_DEFAULT            (UINT64_C(1) << 20)
#define POOL_INDEX_DEFAULT           UINT64_MAX
#define POOL_BUSY_TIMEOUT_DEFAULT_MS 5000

struct pool_create_options {
    uint64_t size_bytes;     /* of the file, exactly; 0: POOL_SIZE_DEFAULT */
    uint64_t index_capacity; /* slots; POOL_INDEX_DEFAULT: one for each 256 bytes of file */
    mode_t mode;             /* permission bits; 0: 0600 */
    uint64_t first_seq;      /* 0: 1. Others are for tests of large numbers and for imports */
    uint64_t first_pos;      /* 0. Others are for tests; rounded up to a whole number of laps */
};

/* Creates the pool file at path, fully allocated, under a temporary name, and links it into
 * place. options may be NULL. The folder must exist.
 * Errors: AlreadyExists, Usage (sizes), Io (disk full: no file is left), Permission, NotFound
 * (the folder); all with path. */
int pool_create(const char *path, const struct pool_create_options *options, plsm_error_t **err);

/* The same for a pool that is to appear under its path only when it is filled: *out_pool is open
 * for writing, nobody else can find it, and with the handle it is gone. pool_publish() brings what
 * was appended to the disk and gives the file its name: AlreadyExists, Io; with path. */
int pool_create_unnamed(const char *path, const struct pool_create_options *options,
    struct pool **out_pool, plsm_error_t **err);
int pool_publish(struct pool *pool, plsm_error_t **err);

struct pool_open_options {
    uint32_t busy_timeout_ms; /* how long a writer waits for the lock; 0: tries once */
    uint32_t spin_turns;      /* a follower looks so many times before it sleeps */
};

#define POOL_OPEN_DEFAULTS                                                                         \
    {                                                                                              \
        .busy_timeout_ms = POOL_BUSY_TIMEOUT_DEFAULT_MS, .spin_turns = 100                         \
    }

/* Opens a pool. options may be NULL. With POOL_WRITE: takes a lease, waits for a foreign
 * exclusive flock to end (POOL_BUSY when it does not in time), and repairs what a dead machine
 * left behind. With POOL_READ: repairs too where it is needed and permitted.
 * Errors: NotFound, Corrupt, Usage (a pool of another format), Permission, Io; all with path. */
int pool_open(const char *path, enum pool_mode mode, const struct pool_open_options *options,
    struct pool **out_pool, plsm_error_t **err);

/* Accepts NULL. No other thread may be using the handle. */
void pool_close(struct pool *pool);
SCOPED_DEFINE(struct pool *, pool_close)

const char *pool_path(const struct pool *pool);

/* Whether the file lies on a network file system, where other machines would not see what this
 * one appends: a program warns of it. One system call. */
bool pool_is_remote(const struct pool *pool);

enum {
    POOL_DELETED = 3, /* the file has no name any more: what is appended, nobody will find */
};

/* Looks at the file behind the handle: POOL_OK, POOL_DELETED, or -1 (Corrupt: it was truncated).
 * One system call; for programs that hold a pool open for long. */
int pool_check_file(struct pool *pool, plsm_error_t **err);

/* One message to append. Views are borrowed for the call. */
struct message {
    struct view tags; /* compact JSON array of strings; empty: no tags */
    struct view data;
    enum encoding encoding;
    uint64_t time_ns; /* 0: now. Never goes below the time of the message before it */
};

/* What an append made: n messages with seqs first_seq .. first_seq + n - 1. */
struct appended {
    uint64_t first_seq;
    uint64_t n_messages;
    uint64_t time_ns; /* of the last */
    uint64_t end_pos; /* for pool_flush_to */
};

/* Appends 1 .. LIMIT_BATCH_MESSAGES messages: all become visible at once, or none.
 *
 * Returns POOL_OK, POOL_BUSY, or -1: Usage (a message, or the whole batch, is larger than the
 * ring: see below), Corrupt, Io. No system call unless somebody waits. */
int pool_append(struct pool *pool, const struct message *messages, size_t n_messages,
    struct appended *out_appended, plsm_error_t **err);

/* Bytes of ring that a message takes, and how many the ring has. A batch is accepted if the sum
 * over its messages plus the largest one is at most pool_ring_size (a single message: if it
 * alone is). */
uint64_t message_footprint(const struct message *message);
uint64_t pool_ring_size(const struct pool *pool);

/* Returns when everything before end_pos (or all that is appended) survives a power loss.
 * Concurrent callers share one fdatasync. POOL_OK or -1 (Io: the disk failed; it will not be
 * tried again before every handle was closed and the pool reopened). */
int pool_flush_to(struct pool *pool, uint64_t end_pos, plsm_error_t **err);
int pool_flush(struct pool *pool, plsm_error_t **err);

/* A message in place: its views point into the mapping, where a writer may overwrite them at
 * any time: copy, then ask frame_still_valid(). */
struct frame {
    uint64_t seq;
    uint64_t pos;
    uint64_t time_ns;
    struct view tags;
    struct view data;
    enum encoding encoding;
};

/* Whether the frame was not yet overwritten when this was called, nor its file cut off under a
 * guard (os/guard.h), hence everything read from it before is sound. */
bool frame_still_valid(const struct pool *pool, const struct frame *frame);

/* Messages that a reader lost to the writers: seqs first_seq .. next_seq - 1. */
struct gap {
    uint64_t first_seq;
    uint64_t next_seq;
};

/* A reader's place in a pool. For one thread at a time; needs no release. */
struct cursor {
    struct pool *pool;
    uint64_t pos;
    uint64_t tail;         /* as last seen */
    uint64_t expected_seq; /* of the next message; 0: whatever comes */
    uint64_t lap_start;    /* position of ring offset 0 in the lap last used; a hint */
};

enum {
    CURSOR_FRAME = 0,
    CURSOR_EMPTY = 1,
    CURSOR_GAP = 2,
};

/* Places a cursor: before the oldest message; behind the newest; before the first message with
 * this seq or a later one; before the first message with this time or a later one. Seeking a
 * seq that is already overwritten lands on the oldest and the first cursor_next reports the
 * gap; seeking a future seq waits behind the newest and skips what comes before it. */
void cursor_oldest(struct cursor *cursor, struct pool *pool);
void cursor_newest(struct cursor *cursor, struct pool *pool);
int cursor_seek_seq(struct cursor *cursor, struct pool *pool, uint64_t seq, plsm_error_t **err);
int cursor_seek_time(
    struct cursor *cursor, struct pool *pool, uint64_t time_ns, plsm_error_t **err);

/* Moves to the next message and shows it in place.
 *
 * Returns CURSOR_FRAME: *out_frame is filled; its checksum was right.
 *         CURSOR_EMPTY: nothing newer than the last message; *out_frame untouched.
 *         CURSOR_GAP:   writers overtook the cursor; *out_gap has the lost seqs; the next call
 *                       goes on at the oldest message.
 *         -1:           *err is set: Corrupt (path, seq, offset). The next call tries again.
 * No system call, no lock, no allocation. */
int cursor_next(
    struct cursor *cursor, struct frame *out_frame, struct gap *out_gap, plsm_error_t **err);

/* Steps over damage that cursor_next reported, to the next intact message the pool still has
 * (or behind the newest). *out_gap has the lost seqs. Stays where it is if the control words are
 * damaged: then nobody knows where the messages are. */
void cursor_skip_damage(struct cursor *cursor, struct gap *out_gap);

/* Finds one message. POOL_OK, POOL_MISSING or -1 (Corrupt). */
int pool_get(struct pool *pool, uint64_t seq, struct frame *out_frame, plsm_error_t **err);

enum {
    FOLLOW_READY = 0,   /* there is a message (or a gap): call cursor_next */
    FOLLOW_TIMEOUT = 1, /* the deadline passed */
    FOLLOW_SIGNAL = 2,  /* a signal handler ran */
    FOLLOW_DELETED = 3, /* the pool's file was deleted; what was appended has been read */
    FOLLOW_STOPPED = 4, /* another thread said so; there may be something to read nevertheless */
};

/* Sleeps until the cursor has something to read. Woken at once by an append; deadline_ns is
 * monotonic (clock_deadline_ns), DEADLINE_NEVER waits for ever. Spins for a few microseconds
 * first where cores are free. -1: Corrupt (the file was truncated), Io. */
int follow_wait(struct cursor *cursor, uint64_t deadline_ns, plsm_error_t **err);

/* The same, but it also ends, or does not begin, once *stop is true: FOLLOW_STOPPED. Whoever sets
 * *stop calls follow_interrupt() afterwards. Of a pool that may not be written, the wait notices
 * within milliseconds instead of at once. */
int follow_wait_unless(
    struct cursor *cursor, const atomic_bool *stop, uint64_t deadline_ns, plsm_error_t **err);

/* Wakes the threads that wait on the pool, in all processes: those without news sleep on. */
void follow_interrupt(struct pool *pool);

struct pool_info {
    uint64_t file_size;
    uint64_t index_offset;
    uint64_t index_capacity; /* slots of 16 bytes */
    uint64_t ring_offset;
    uint64_t ring_size;
    uint64_t used_bytes; /* of the ring, by retained messages */
    uint64_t n_messages;
    uint64_t oldest_seq; /* these four are 0 if n_messages is 0 */
    uint64_t newest_seq;
    uint64_t oldest_time_ns;
    uint64_t newest_time_ns;
    uint64_t next_seq;
    uint64_t created_ns;
    uint32_t version;
    uint8_t uuid[16];
};

/* POOL_OK, or -1: Corrupt (a damaged oldest or newest message, or control words). */
int pool_info(struct pool *pool, struct pool_info *out_info, plsm_error_t **err);

/* What pool_verify finds. */
struct pool_issue {
    const char *code; /* "control", "frame", "index": static */
    char message[160];
    uint64_t offset; /* in the file */
    uint64_t seq;    /* 0: unknown */
};

#define POOL_ISSUES_MAX 16

struct pool_report {
    size_t n_issues; /* all of them; the first POOL_ISSUES_MAX are described */
    struct pool_issue issues[POOL_ISSUES_MAX];
    uint64_t n_messages; /* intact ones */
    uint64_t oldest_seq; /* of the intact ones; 0 if none */
    uint64_t newest_seq;
    uint64_t last_good_seq; /* the last one before the first issue; 0 if none */
};

/* Checks everything and changes nothing: control words, every frame, every index slot.
 * A pool that is in use stays usable meanwhile. Cost: reads the whole file once.
 * -1 only for what keeps it from looking. */
int pool_verify(struct pool *pool, struct pool_report *out_report, plsm_error_t **err);

/* Who wants to know how far a long operation is. tell is called in the thread that runs it, with
 * growing done_bytes, about once for each MiB and once at the end; total_bytes stays the same. */
struct pool_progress {
    void (*tell)(void *context, uint64_t done_bytes, uint64_t total_bytes);
    void *context;
};

/* pool_verify() with reports on the way. progress may be NULL. */
int pool_verify_telling(struct pool *pool, const struct pool_progress *progress,
    struct pool_report *out_report, plsm_error_t **err);

/* What a repair did. */
struct pool_repaired {
    char *copy_path;     /* the damaged file, as it was; allocated */
    uint64_t n_kept;     /* messages */
    uint64_t n_lost;     /* at least so many, older than what is kept not counted where unknown */
    uint64_t oldest_seq; /* of the kept ones; 0 if none */
    uint64_t newest_seq;
};

void pool_repaired_fini(struct pool_repaired *repaired);

static inline void pool_repaired_fini_scoped(struct pool_repaired *repaired)
{
    pool_repaired_fini(repaired);
}

enum {
    POOL_HEALTHY = 4, /* there was nothing to repair */
};

/* Puts in the place of a damaged pool one with all messages that are intact, their seqs, times,
 * tags and positions unchanged; what was damaged is a gap. The damaged file is copied aside first,
 * as PATH.before-repair-TIME with mode 0600. docs/design/0006-repair.md says how.
 *
 * Ends with the old file or with the new one, whole, wherever it is interrupted. Needs room for
 * two more files of the pool's size, in its folder. progress may be NULL.
 *
 * Returns POOL_OK: *out_repaired is filled, to be released by pool_repaired_fini().
 *         POOL_HEALTHY, POOL_BUSY (somebody has the pool open for writing): nothing was done.
 *         -1: Corrupt (it cannot be repaired), Usage (a pool of another format), Io (disk full),
 *             NotFound, Permission; all with path. The file is as it was, and nothing else left. */
int pool_repair(const char *path, const struct pool_progress *progress,
    struct pool_repaired *out_repaired, plsm_error_t **err);

#endif
