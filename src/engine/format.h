/* The pool file, byte by byte. docs/format.md says the same in prose, with the algorithms.
 *
 *      0    superblock: identity and geometry, written once
 *    512    control: the few words that change, each group on its own pair of cache lines
 *   1536    lease witnesses
 *   4096    index: slots
 *    ...    ring: frames
 *
 * Little-endian. Positions count bytes since the pool's first lap and only grow; the offset in
 * the ring is position modulo ring size. */
#ifndef ENGINE_FORMAT_H
#define ENGINE_FORMAT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAGIC "PLASMITE"
#define FORMAT_MAGIC_BYTES                                                                         \
    {                                                                                              \
        0x50, 0x4c, 0x41, 0x53, 0x4d, 0x49, 0x54, 0x45                                             \
    }
#define FORMAT_VERSION      1u
#define FORMAT_HEADER_SIZE  4096u
#define FORMAT_FRAME_ALIGN  32u
#define FORMAT_RING_MIN     1024u
#define FORMAT_SLOT_SIZE    16u
#define FORMAT_WITNESSES    160u
#define FORMAT_LEASE_BITS   15
#define FORMAT_LEASE_MAX    32767u
#define FORMAT_LOCK_WAITERS 0x80000000u /* set in a lock word while somebody sleeps on it */

/* No pool ever gets so far: larger seqs and positions are damage, and sums with them would wrap. */
#define FORMAT_NUMBER_MAX (UINT64_MAX - (UINT64_C(1) << 48))

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

struct superblock {
    uint8_t magic[8];
    uint32_t version;
    uint32_t header_size;
    uint64_t file_size;
    uint64_t index_offset;
    uint64_t index_capacity; /* slots */
    uint64_t ring_offset;
    uint64_t ring_size;
    uint32_t block_shift; /* a slot stands for 1 << block_shift bytes of ring */
    uint32_t reserved0;
    uint8_t uuid[16];
    uint64_t created_ns;
    uint64_t first_pos;
    uint64_t first_seq;
    uint8_t reserved1[20];
    uint32_t crc; /* of the bytes before it */
};
static_assert(sizeof(struct superblock) == 128, "superblock layout");

/* What the tail it ends at means for the next message. Of the two records the one whose end_pos
 * equals tail is in force; a writer fills the other one before it moves tail to it. So the state
 * is whole at every instruction, and a dead writer leaves nothing to repair. */
struct commit_record {
    _Atomic(uint64_t) end_pos;
    _Atomic(uint64_t) next_seq;
    _Atomic(uint64_t) time_ns; /* of the last message */
};

/* A word that a flipped bit in any of the three changes: sums of odd multiples, folded. Zeros are
 * not right by themselves. */
static inline uint32_t commit_check(uint64_t end_pos, uint64_t next_seq, uint64_t time_ns)
{
    const uint64_t sum = end_pos * UINT64_C(0x9e3779b97f4a7c15) +
                         next_seq * UINT64_C(0xbf58476d1ce4e5b9) +
                         time_ns * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(sum >> 32) ^ (uint32_t)sum ^ 0x6b8d3c15u;
}

struct witness_slot {
    _Atomic(uint32_t) pid;
    _Atomic(uint32_t) namespace;
    _Atomic(uint64_t) since_ns;
};

#define FORMAT_LINE _Alignas(128)

struct control {
    FORMAT_LINE _Atomic(uint64_t) tail; /* the commit point: everything before it is visible */
    struct commit_record commits[2];
    _Atomic(uint32_t) commit_checks[2]; /* commit_check() of each: its words fit each other */

    FORMAT_LINE _Atomic(uint64_t) head; /* everything before it may be overwritten */
    _Atomic(uint64_t) n_damaged;        /* times a writer had to step over damage */

    FORMAT_LINE _Atomic(uint32_t) lock; /* lease word of the writer inside, 0: free */

    FORMAT_LINE _Atomic(uint32_t) wake; /* counts wake-ups; followers sleep on it */
    _Atomic(uint32_t) sleepers;         /* not 0: somebody may sleep */

    FORMAT_LINE _Atomic(uint64_t) durable; /* everything before it survives a power loss */
    _Atomic(uint64_t) durable_known;       /* a value of durable that is itself on the disk */
    _Atomic(uint64_t) flush_target;        /* what the last flush began to make durable */
    _Atomic(uint32_t) flush_lock;          /* lease word of the flush leader, 0: none */
    _Atomic(uint32_t) flush_failed;        /* not 0: a sync failed; nothing is durable any more */
    _Atomic(uint32_t) name_durable;        /* not 0: the file's name is on the disk, too */

    FORMAT_LINE uint8_t boot_id[16]; /* of the machine's start that vouches for all of this */

    FORMAT_LINE uint8_t reserved[256];

    FORMAT_LINE struct witness_slot witnesses[FORMAT_WITNESSES]; /* of leases 1.. */
};
#define FORMAT_CONTROL_OFFSET 512u
static_assert(offsetof(struct control, witnesses) == 1024, "control layout");
static_assert(FORMAT_CONTROL_OFFSET + sizeof(struct control) == FORMAT_HEADER_SIZE, "header size");

enum frame_type {
    FRAME_MESSAGE = 1,
    FRAME_PAD = 2, /* fills what is left at the ring's end; seq is that of the next message */
};

struct frame_header {
    uint32_t crc; /* of the rest of the header, the position, and the pool's identity */
    uint32_t body_crc;
    uint64_t seq;
    uint64_t time_ns;
    uint32_t data_len;
    uint16_t tags_len;
    uint8_t type;
    uint8_t encoding;
};
/* What a pad has as its encoding. */
enum pad_kind {
    PAD_FILL = 0,
    PAD_HOLE = 1, /* stands where a repair found damage: the messages before seq are lost */
};

static_assert(sizeof(struct frame_header) == 32, "frame header layout");
static_assert(sizeof(struct frame_header) == FORMAT_FRAME_ALIGN, "a pad always fits");

/* The first frame that starts in a block of the ring or, where none does, the frame that covers
 * it. A hint: a reader believes it only when the frame agrees. */
struct index_slot {
    _Atomic(uint64_t) seq;
    _Atomic(uint64_t) pos;
};
static_assert(sizeof(struct index_slot) == FORMAT_SLOT_SIZE, "slot layout");

#endif
