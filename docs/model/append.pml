/* Appending and reading: evict, write, publish; readers that take no lock; writers that die
 * (src/engine/append.c, ring.c, cursor.c).
 *
 * Checked: a message that a reader hands out is whole and the one that its seq says; what is lost
 * is reported; seqs have no holes and are never given out twice; what an append returned for is
 * there.
 *
 * The ring has SLOTS frames of one size; a frame is two halves, so that a torn one shows. The lock
 * is one step here (lock.pml has its own model); a writer may die at any step of an append, and
 * then another takes the lock over.
 * Each BROKEN_* takes one precaution away; spin must then find the harm. A missing fence shows as
 * the order in which others may see two accesses. */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef APPENDS
#define APPENDS 2 /* of each writer */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#define SLOTS 2

typedef frame_t {
    byte left;
    byte right
};
frame_t ring[SLOTS]; /* what a frame holds is its seq */
byte head = 0;
byte tail = 0;

/* Two commit records; the one whose end is tail is in force. */
typedef commit_t {
    byte end;
    byte next_seq
};
commit_t commits[2];

byte lock = 0; /* 0: free, else a writer's number */
bit died[WRITERS + 1];
byte n_deaths = 0;

byte newest_acked = 0; /* the highest seq for which an append returned */
byte n_acked = 0;      /* how many did */
bit acked[WRITERS * APPENDS + 2];

inline may_die()
{
    if
    :: n_deaths < DEATHS -> atomic { n_deaths = n_deaths + 1; died[me] = 1 }; goto dead
    :: true
    fi
}

inline write_frame()
{
    ring[pos % SLOTS].left = seq;
    may_die();
    ring[pos % SLOTS].right = seq
}

proctype writer(byte me)
{
    byte i, pos, seq, record;

    for (i : 1 .. APPENDS) {
        atomic {
            lock == 0 || died[lock] -> lock = me
        };
        /* ring_state_load() */
        if
        :: commits[0].end == tail -> record = 0
        :: else -> record = 1; assert(commits[1].end == tail)
        fi;
        pos = tail;
        seq = commits[record].next_seq;

        /* append_evict(), frame_write(): head is published before a byte is overwritten */
        if
        :: pos + 1 - head > SLOTS ->
#ifdef BROKEN_EVICT_FENCE
            if
            :: head = pos + 1 - SLOTS; may_die(); write_frame()
            :: write_frame(); may_die(); head = pos + 1 - SLOTS
            fi
#else
            head = pos + 1 - SLOTS;
            may_die();
            write_frame()
#endif
#ifdef BROKEN_PUBLISH_FENCE
        :: else -> skip /* the tail, below, may be seen first */
#else
        :: else -> write_frame()
#endif
        fi;
        may_die();

        /* append_publish() */
#ifdef BROKEN_ONE_RECORD
        /* a next seq that is moved beside the tail, instead of a record of its own */
        atomic { commits[0].end = pos + 1; commits[1].end = pos + 1; tail = pos + 1 };
        may_die();
        commits[0].next_seq = seq + 1;
        commits[1].next_seq = seq + 1;
#else
#ifdef BROKEN_RECORD_IN_FORCE
        /* fills the record that counts */
        commits[record].next_seq = seq + 1;
        may_die();
        commits[record].end = pos + 1;
        may_die();
        tail = pos + 1;
#else
#ifdef BROKEN_RECORD_FENCE
        /* a record that names its end before its next seq is there */
        commits[1 - record].end = pos + 1;
        may_die();
        tail = pos + 1;
        may_die();
        commits[1 - record].next_seq = seq + 1;
#else
        commits[1 - record].next_seq = seq + 1;
        may_die();
        commits[1 - record].end = pos + 1;
        may_die();
        tail = pos + 1;
#endif
#endif
#endif
#ifdef BROKEN_PUBLISH_FENCE
        if
        :: ring[pos % SLOTS].right != seq -> write_frame()
        :: else
        fi;
#endif
        may_die();
        atomic { lock = 0 };
        may_die();
        atomic { /* the append returns */
            assert(!acked[seq]); /* no seq for two appends */
            acked[seq] = 1;
            n_acked = n_acked + 1;
            newest_acked = (seq > newest_acked -> seq : newest_acked)
        }
    };
dead:
    skip
}

/* cursor_next(), then a copy, then frame_still_valid() */
proctype reader()
{
    byte pos = 0, expected = 1, seen_tail, left, right, seen_head;

    do
    :: seen_tail = tail;
        if
        :: pos < seen_tail ->
#ifdef BROKEN_READER_FENCE
            seen_head = head; /* looked at before the bytes were read */
            left = ring[pos % SLOTS].left;
            right = ring[pos % SLOTS].right;
#else
            left = ring[pos % SLOTS].left;
            right = ring[pos % SLOTS].right;
#ifdef BROKEN_NO_HEAD
            seen_head = 0;
#else
            seen_head = head;
#endif
#endif
            if
            :: seen_head > pos -> /* overtaken: goes on at head, and says what was lost */
                expected = expected + seen_head - pos;
                pos = seen_head
            :: else ->
                assert(left == right);
                assert(left == expected);
                pos = pos + 1;
                expected = expected + 1
            fi
        :: else ->
            /* nobody who returned is unseen; a pool at rest has no holes */
            if
            :: atomic { pos == tail -> assert(expected > newest_acked) }; break
            :: pos != tail
            fi
        fi;
        atomic { left = 0; right = 0; seen_head = 0; seen_tail = 0 }
    od
}

init
{
    byte i;
    atomic {
        commits[0].next_seq = 1;
        commits[1].end = 255;
        for (i : 1 .. READERS) {
            run reader()
        }
        for (i : 1 .. WRITERS) {
            run writer(i)
        }
    };
    _nr_pr == 1; /* all have ended */
    assert(tail >= n_acked && tail <= WRITERS * APPENDS)
}
