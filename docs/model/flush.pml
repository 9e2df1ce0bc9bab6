/* Group commit: many callers of flush, one fdatasync (src/engine/flush.c).
 *
 * Checked: durable never names what is not on the disk; a flush that returned says the truth, also
 * when the disk failed once and then says yes again; every flush returns, although leaders die or
 * are thought dead while they live.
 *
 * A sync carries to the disk what was appended before it began. When it fails, the kernel drops
 * what it held back: later syncs succeed and the disk lacks it. Every open file is told of the
 * failure once.
 * Each BROKEN_* takes one precaution away; spin must then find the harm. */

#ifndef FLUSHERS
#define FLUSHERS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1 /* appends and flushes of each, one after the other */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef FAILURES
#define FAILURES 1
#endif

byte tail = 0;
byte durable = 0;
byte target_max = 0; /* flush_target */
bit flush_failed = 0;

byte on_disk = 0; /* everything before this survives a power loss */
bit dropped = 0;  /* the kernel gave up pages: on_disk cannot grow any more */
bit untold[FLUSHERS + 1]; /* a failure that this process' file has not been told of */

byte flush_lock = 0;
bit gone[FLUSHERS + 1]; /* dead, or taken for dead */
byte n_deaths = 0, n_failures = 0;
byte promised = 0; /* the highest end for which a flush returned */

/* One fdatasync, which takes a while: what it covers is what was there when it began. */
inline sync()
{
    begun = tail;
    if
    :: atomic {
        n_failures < FAILURES -> n_failures = n_failures + 1; dropped = 1;
        for (i : 1 .. FLUSHERS) {
            untold[i] = 1
        };
        untold[me] = 0;
        failed = 1
       }
    :: atomic { /* the next success, after others' failure, is told of that failure once */
        failed = untold[me];
        untold[me] = 0;
        on_disk = (!dropped && begun > on_disk -> begun : on_disk)
       }
    fi
}

proctype flusher(byte me)
{
    byte end, target, begun, i, round;
    bit failed;

next:
    round = round + 1;
    failed = 0;
    atomic { tail = tail + 1; end = tail }; /* an append */
    do
    :: atomic { durable >= end -> goto done }
    :: atomic { flush_failed -> goto refused }
    :: atomic { flush_lock == 0 || gone[flush_lock] -> flush_lock = me };
        /* flush_begin(): under the writer's lock */
#ifdef BROKEN_LATE_TARGET
        sync();
        target = tail;
#else
        atomic {
            target = tail;
            target_max = (target > target_max -> target : target_max)
        };
        sync();
#endif
        if /* stopped for long: others go on without waiting for it, and it wakes up later */
        :: atomic { n_deaths < DEATHS -> n_deaths = n_deaths + 1; gone[me] = 1 }
        :: true
        fi;
#ifndef BROKEN_NO_POISON
        if
        :: failed -> flush_failed = 1
        :: else
        fi;
#endif
#ifdef BROKEN_FAILURE_FORGOTTEN
        if
        :: failed -> goto refused
        :: else
        fi;
#else
        if
        :: failed || flush_failed -> goto release
        :: else
        fi;
#endif
        /* flush_raise() */
#ifdef BROKEN_RAISE
        durable = target;
#else
        atomic { durable = (target > durable -> target : durable) };
#endif
release:
        if
        :: atomic { flush_lock == me -> flush_lock = 0 }
        :: atomic { flush_lock != me }
        fi;
        if
        :: failed -> goto refused
        :: else
        fi
    od;
done:
    atomic {
        assert(on_disk >= end); /* what flush returned for is on the disk */
        promised = (end > promised -> end : promised)
    };
refused:
    if
    :: atomic { flush_lock == me -> flush_lock = 0 }
    :: atomic { flush_lock != me }
    fi;
    if
    :: round < ROUNDS -> goto next
    :: else
    fi
}

init
{
    byte i;
    atomic {
        for (i : 1 .. FLUSHERS) {
            run flusher(i)
        }
    };
    _nr_pr == 1;
    assert(durable <= on_disk);
    assert(durable >= promised) /* recovery relies on it */
}
