/* The locks: taken, waited for, and taken over from the dead (src/engine/lease.c).
 *
 * A lock word holds the lease number of its owner, a generation, and a mark that says somebody
 * sleeps on it. Checked: two living processes never hold the lock at once; nobody sleeps for ever
 * while it is free, or its owner dead.
 *
 * With DEATHS 0 a sleep on the lock never times out: a wake-up that is lost stops the model. With
 * deaths it may time out at any moment, as after 10 ms.
 * Each BROKEN_* takes one precaution away; spin must then find what it was for. */

#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef DEATHS
#define DEATHS 0
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* how often each takes the lock */
#endif
#define LEASES PROCESSES

#ifdef BROKEN_NO_MARK
#define SLEEPS_UNMARKED 1
#else
#define SLEEPS_UNMARKED 0
#endif

/* the lock word in the file */
typedef word_t {
    byte lease; /* 0: free */
    byte generation;
    bit waiters
};
word_t word;

byte holder[LEASES + 1]; /* in the kernel: who holds the byte of this lease; 0: nobody */
byte generations = 0;    /* drawn at random in truth: never the same twice here */
bit asleep[PROCESSES + 1];
byte n_inside = 0;
byte n_deaths = 0;

inline wake_one()
{
    atomic {
        if
        :: asleep[1] -> asleep[1] = 0
        :: asleep[2] -> asleep[2] = 0
#if PROCESSES > 2
        :: asleep[3] -> asleep[3] = 0
#endif
        :: else
        fi
    }
}

inline wake_all()
{
    atomic {
        for (i : 1 .. PROCESSES) {
            asleep[i] = 0
        }
    }
}

/* Locals that are not used any more are cleared, lest they multiply the states. */
inline forget()
{
    seen_lease = 0;
    seen_generation = 0;
    seen_waiters = 0;
    ask = 0;
    slept = 0;
    dead = 0;
    mark = 0;
    i = 0
}

/* The kernel lets go of what the dead one held; another process begins. */
inline may_die(restart)
{
    if
    :: n_deaths < DEATHS ->
        atomic {
            n_deaths = n_deaths + 1;
            holder[lease] = 0;
            n_inside = n_inside - inside; /* the dead use nothing */
            inside = 0;
            asleep[me] = 0;
            forget()
        };
        goto restart
    :: true
    fi
}

/* lease_take_locked() */
inline take_lease()
{
    atomic {
        if
        :: holder[1] == 0 -> lease = 1
        :: holder[2] == 0 -> lease = 2
#if PROCESSES > 2
        :: holder[3] == 0 -> lease = 3
#endif
        fi;
        holder[lease] = me
    };
#ifndef BROKEN_NO_INHERITANCE
    if
    :: atomic { /* its owner died inside; a load and a compare-and-swap */
        word.lease == lease -> word.lease = 0; word.generation = 0; word.waiters = 0
       };
       wake_all()
    :: else
    fi;
#endif
#ifdef BROKEN_NO_GENERATION
    generation = 0
#else
    atomic { generations = generations + 1; generation = generations }
#endif
}

proctype process(byte me)
{
    byte lease, generation, round, i;
    byte seen_lease, seen_generation;
    bit seen_waiters, ask, slept, mark, dead, inside;

begin:
    lease = 0;
    generation = 0;
    take_lease();
    if
    :: n_deaths > 0 -> goto idle /* holds a lease, perhaps a dead one's, and never locks */
    :: true
    fi;
    do
    :: round == ROUNDS -> break
    :: else ->
progress:
        round = round + 1; /* counted before: who dies inside does not begin again */
        ask = 0;
        slept = 0;
again:
        atomic {
            seen_lease = word.lease;
            seen_generation = word.generation;
            seen_waiters = word.waiters
        };
        dead = 0;
        if
        :: seen_lease != 0 && ask ->
            /* lease_is_dead(): our own number in another's life, or a byte that nobody holds */
            if
            :: seen_lease == lease -> dead = (seen_generation != generation)
            :: seen_lease != lease -> dead = (holder[seen_lease] == 0)
            fi
        :: else
        fi;
        if
        :: seen_lease == 0 || dead ->
#ifdef BROKEN_MARK_FORGOTTEN
            mark = 0;
#else
            mark = (seen_lease != 0 || seen_waiters || slept);
#endif
            if
            :: atomic {
                word.lease == seen_lease && word.generation == seen_generation &&
                    word.waiters == seen_waiters ->
                word.lease = lease;
                word.generation = generation;
                word.waiters = mark;
                n_inside = n_inside + 1;
                inside = 1;
                forget()
               }
            :: atomic {
                !(word.lease == seen_lease && word.generation == seen_generation &&
                    word.waiters == seen_waiters) -> goto again
               }
            fi
        :: else ->
            if
            :: !seen_waiters ->
#ifndef BROKEN_NO_MARK
                if
                :: atomic {
                    word.lease == seen_lease && word.generation == seen_generation &&
                        !word.waiters -> word.waiters = 1
                   }
                :: atomic {
                    !(word.lease == seen_lease && word.generation == seen_generation &&
                        !word.waiters) -> goto again
                   }
                fi
#else
                seen_waiters = 0
#endif
            :: else
            fi;
            slept = 1;
            atomic { /* FUTEX_WAIT */
                if
                :: word.lease == seen_lease && word.generation == seen_generation &&
                    (word.waiters || SLEEPS_UNMARKED) -> asleep[me] = 1
                :: else
                fi
            };
            ask = 0;
            if
            :: asleep[me] == 0
            :: atomic { DEATHS > 0 && asleep[me] -> asleep[me] = 0; ask = 1 }
            fi;
            may_die(begin);
            goto again
        fi;

        assert(n_inside <= 1);
        may_die(begin); /* inside the lock */
        assert(n_inside <= 1);

        atomic { /* lock_release(): an exchange */
            n_inside = n_inside - 1;
            inside = 0;
            mark = word.waiters;
            word.lease = 0;
            word.generation = 0;
            word.waiters = 0
        };
        may_die(begin); /* between the exchange and the waking */
        if
        :: mark -> wake_one()
        :: else
        fi;
        mark = 0
    od;
    atomic { holder[lease] = 0 }; /* closes the pool */
    goto done;
idle:
    skip;
done:
    skip
}

init
{
    byte i;
    atomic {
        for (i : 1 .. PROCESSES) {
            run process(i)
        }
    }
}
