/* The orders of memory that the other models take for granted: what a lock keeps inside, and what
 * readers without a lock may conclude from one word about others (src/engine/lease.h, ring.c,
 * flush.c, verify.c).
 *
 * Checked: two owners of the lock build on each other's work; a tail comes with its frames and its
 * record; durable is never beyond the tail; who is named by a lock word has left its witness.
 *
 * Each BROKEN_* drops one order; spin must then find the harm. It is written as the order in which
 * others may then see the two accesses. */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef APPENDS
#define APPENDS 2 /* of each writer */
#endif
#ifndef LOOKS
#define LOOKS 1 /* of each reader */
#endif
#define END (WRITERS * APPENDS)

bit lock = 0;
byte tail = 0;
byte frames[END];
byte record_end[2];
byte record_next[2];
byte durable = 0;

/* A writer that takes its lease: its witness is one word here, then the lock names it. */
bit witness = 0;
bit word = 0;

inline publish()
{
    record_next[1 - i] = seen + 2;
    record_end[1 - i] = seen + 1;
#ifdef BROKEN_DURABLE_RELEASE
    durable = seen + 1; /* raised by this very writer; seen before its append is */
#endif
    tail = seen + 1
}

proctype writer()
{
    byte n, seen, i, target;

    for (n : 1 .. APPENDS) {
#ifdef BROKEN_LOCK_ACQUIRE
        seen = tail;
#endif
        atomic { lock == 0 -> lock = 1 };
#ifndef BROKEN_LOCK_ACQUIRE
        seen = tail;
#endif
        i = (record_end[0] == seen -> 0 : 1);
        assert(frames[seen] == 0); /* nobody has written there */
        frames[seen] = seen + 1;
#ifdef BROKEN_LOCK_RELEASE
        lock = 0;
        publish();
#else
        publish();
        lock = 0;
#endif
        target = tail;
        atomic { durable = (target > durable -> target : durable) }
    }
}

proctype owner()
{
#ifdef BROKEN_WITNESS_RELEASE
    word = 1;
    witness = 1
#else
    witness = 1;
    word = 1
#endif
}

/* cursor_next(): the frame before the tail */
inline look_at_frame()
{
#ifdef BROKEN_TAIL_ACQUIRE
    a = frames[0];
    t = tail;
#else
    t = tail;
    a = frames[0];
#endif
    assert(t == 0 || a == 1)
}

/* ring_state_peek() */
inline look_at_record()
{
#ifdef BROKEN_PEEK_ACQUIRE
    a = record_end[0];
    b = record_next[0];
    c = record_end[1];
    d = record_next[1];
    t = tail;
    again = tail;
#else
    t = tail;
#ifdef BROKEN_PEEK_FENCE
    again = tail;
#endif
    a = record_end[0];
    b = record_next[0];
    c = record_end[1];
    d = record_next[1];
#ifndef BROKEN_PEEK_FENCE
    again = tail;
#endif
#endif
    assert(t != again || (a == t && b == t + 1) || (c == t && d == t + 1))
}

/* pool_flush_to(), pool_verify() */
inline look_at_durable()
{
#ifdef BROKEN_DURABLE_ACQUIRE
    t = tail;
    a = durable;
#else
    a = durable;
    t = tail;
#endif
    assert(a <= t)
}

/* lease_is_dead() */
inline look_at_witness()
{
#ifdef BROKEN_WITNESS_ACQUIRE
    a = witness;
    t = word;
#else
    t = word;
    a = witness;
#endif
    assert(t == 0 || a == 1)
}

proctype reader()
{
    byte n, t, again, a, b, c, d;

    for (n : 1 .. LOOKS) {
        if
        :: look_at_frame()
        :: look_at_record()
        :: look_at_durable()
        :: look_at_witness()
        fi;
        d_step { t = 0; again = 0; a = 0; b = 0; c = 0; d = 0 }
    }
}

init
{
    byte i;
    atomic {
        record_next[0] = 1;
        record_end[1] = 255;
        run owner();
        run reader();
        for (i : 1 .. WRITERS) {
            run writer()
        }
    };
    _nr_pr == 1; /* all have ended */
    assert(tail == END)
}
