/* Following: how an append wakes the followers that sleep (src/engine/follow.c).
 *
 * Checked: nobody sleeps for ever while a message waits for him. Here futexes have no timeouts,
 * so a lost wake-up is a state in which the model cannot end.
 *
 * Each BROKEN_* takes one precaution away; spin must then find the lost wake-up. A missing fence
 * shows as the order in which the other side may see two accesses. */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef READERS
#define READERS 2
#endif
#ifndef APPENDS
#define APPENDS 2 /* of each writer */
#endif

byte tail = 0;
bit sleepers = 0;
byte wake = 0;
bit asleep[READERS]; /* in the kernel, on the wake word */

/* append_publish(), lock_release(), follow_wake(). The lock keeps writers apart until the tail is
 * published; waking is outside of it. */
inline publish_and_look(seen)
{
#ifdef BROKEN_WRITER_FENCE
    /* the look at sleepers may come before others see the tail */
    if
    :: tail = tail + 1; seen = sleepers
    :: seen = sleepers; tail = tail + 1
    fi
#else
    tail = tail + 1;
    seen = sleepers
#endif
}

proctype writer()
{
    byte i, r;
    bit seen;

    for (i : 1 .. APPENDS) {
        publish_and_look(seen);
        if
        :: seen ->
#ifndef BROKEN_CLEAR_AFTER
            sleepers = 0;
#endif
#ifndef BROKEN_NO_WAKE_COUNT
            wake = wake + 1;
#endif
            atomic { /* FUTEX_WAKE */
                for (r : 0 .. READERS - 1) {
                    asleep[r] = 0
                }
            }
#ifdef BROKEN_CLEAR_AFTER
            sleepers = 0;
#endif
        :: else
        fi
    }
}

/* follow_wait(), follow_sleep() */
proctype reader(byte me)
{
    byte pos = 0, word;
    bit news;

    do
    :: pos == WRITERS * APPENDS -> break
    :: tail != pos -> pos = tail
    :: else ->
        word = wake;
#ifdef BROKEN_READER_FENCE
        /* the second look at the tail may come before others see that we sleep */
        if
        :: sleepers = 1; news = (tail != pos)
        :: news = (tail != pos); sleepers = 1
        fi;
#else
        sleepers = 1;
#ifdef BROKEN_NO_SECOND_LOOK
        news = 0;
#else
        news = (tail != pos);
#endif
#endif
#ifdef BROKEN_LATE_WORD
        word = wake;
#endif
        if
        :: news
        :: else ->
            atomic { /* FUTEX_WAIT: compares and sleeps at once */
                if
                :: wake == word -> asleep[me] = 1
                :: else
                fi
            };
            asleep[me] == 0
        fi
    od
}

init
{
    byte i;
    atomic {
        for (i : 0 .. READERS - 1) {
            run reader(i)
        }
        for (i : 1 .. WRITERS) {
            run writer()
        }
    }
}
