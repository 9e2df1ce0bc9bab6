"""Hostile use: threads, signals, forks, garbage collection, exceptions."""

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import plasmite
from conftest import needs_lite3
from plasmite import Client, PlasmiteError, UsageError

LONG_MS = 60_000


def until(fact, seconds=20):
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.002)


def wait_asleep(thread_id):
    """Until the kernel says that the thread of this process sleeps."""

    def sleeps():
        with open(f"/proc/self/task/{thread_id}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "S"

    until(sleeps)


# Threads ----------------------------------------------------------------------------------------


def test_many_threads_on_one_pool(client):
    with client.create_pool("a", 8 << 20) as pool:
        seqs = []

        def write(writer):
            mine = []
            for n in range(500):
                mine.append(pool.append({"writer": writer, "n": n}).seq)
                if n % 50 == 0:
                    assert pool.get(mine[-1]).data == {"writer": writer, "n": n}
            seqs.extend(mine)

        threads = [threading.Thread(target=write, args=[writer]) for writer in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(seqs) == list(range(1, 4001))


def test_threads_run_while_one_waits(pool):
    """The GIL is free during a wait."""
    stream = pool.open_stream()
    waiter = threading.Thread(target=stream.next_json)
    waiter.start()
    wait_asleep(waiter.native_id)
    count = sum(1 for _ in range(100_000))
    assert count == 100_000 and waiter.is_alive()
    pool.append({"n": 1})
    waiter.join()
    stream.close()


WAITING = {
    "stream": lambda pool: (stream := pool.open_stream(), stream.next_json),
    "view": lambda pool: (stream := pool.open_stream(), stream.next_view),
    "follow": lambda pool: (follow := pool.follow(), lambda: next(follow, None)),
    "lite3": lambda pool: (stream := pool.open_lite3_stream(), stream.next),
    "follow lite3": lambda pool: (follow := pool.follow_lite3(), lambda: next(follow, None)),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=needs_lite3 if "lite3" in k else ()) for k in WAITING]
)
def test_close_ends_a_wait_in_another_thread(pool, kind):
    stream, take = WAITING[kind](pool)
    results = []
    waiter = threading.Thread(target=lambda: results.append(take()))
    waiter.start()
    wait_asleep(waiter.native_id)
    stream.close()
    waiter.join(20)
    assert results == [None]


def test_many_threads_on_one_stream(client):
    """One at a time gets a message, the others are told so; no message comes twice."""
    with client.create_pool("a", 8 << 20) as pool:
        pool.append_many([{"n": n} for n in range(5000)])
        stream = pool.open_stream(max_messages=5000)
        taken, refused = [], []

        def take(thread):
            done = False
            while not done:
                try:
                    raw = stream.try_next() if thread % 2 else stream.next_json()
                    done = raw is None
                    if raw:
                        taken.append(plasmite.parse_message(raw).seq)
                    assert stream.position > 0 and stream.dropped == 0
                    os.fstat(stream.fileno())
                except UsageError as error:
                    refused.append(str(error))

        threads = [threading.Thread(target=take, args=[thread]) for thread in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == list(range(1, 5001))
        assert set(refused) <= {"another thread is taking from this stream"}
        stream.close()


def test_what_changes_a_stream_waits_for_its_turn(pool):
    stream = pool.open_stream()
    waiter = threading.Thread(target=stream.next_json)
    waiter.start()
    wait_asleep(waiter.native_id)
    for call in (stream.fileno, stream.skip_damage, lambda: stream._filter("true")):
        with pytest.raises(UsageError, match="another thread"):
            call()
    assert (stream.position, stream.dropped) == (0, 0)
    pool.append({"n": 1})
    waiter.join()
    assert stream.fileno() > 0
    stream.close()


def test_close_while_others_append(tmp_path):
    with Client(tmp_path) as client:
        for _ in range(20):
            pool = client.pool("a")
            ends = []

            def write():
                try:
                    while True:
                        pool.append({"n": 1})
                except PlasmiteError as error:
                    ends.append(str(error))

            threads = [threading.Thread(target=write) for _ in range(3)]
            for thread in threads:
                thread.start()
            pool.close()
            for thread in threads:
                thread.join()
            assert ends == ["plasmite: pool is closed"] * 3


@needs_lite3
def test_collection_while_a_thread_waits(pool):
    """The only reference to the stream is the one of the call under way."""
    ends = []

    def wait(open_stream):
        ends.append(open_stream(timeout_ms=200)._next())

    opens = [pool.open_stream, pool.open_stream, pool.open_lite3_stream]
    threads = [threading.Thread(target=wait, args=[one]) for one in opens]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        gc.collect()
    assert ends == [None] * 3


@needs_lite3
def test_collection_while_tasks_wait(pool):
    """The tasks alone hold the followers."""

    async def take(follow):
        return [item.seq async for item in follow]

    async def main():
        tasks = [asyncio.create_task(take(pool.follow(max_messages=1))) for _ in range(5)]
        tasks += [asyncio.create_task(take(pool.follow_lite3(max_messages=1))) for _ in range(5)]
        await asyncio.sleep(0)
        gc.collect()
        pool.append({"n": 1})
        gc.collect()
        return await asyncio.gather(*tasks)

    assert asyncio.run(asyncio.wait_for(main(), 30)) == [[1]] * 10


def test_streams_in_cycles_are_collected(pool):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        follow = pool.follow()
        follow.self = follow
        tail = pool.tail(timeout_ms=0)
        holder = [tail]
        holder.append(holder)
        list(tail)
    del follow, tail, holder
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


# Signals ----------------------------------------------------------------------------------------

WAITS = {
    "stream": "pool.open_stream().next_json()",
    "tail": "next(pool.tail())",
    "follow": "next(pool.follow())",
    "replay": "pool.append({}); time.sleep(0.001); pool.append({}); list(pool.replay(1e-9))",
    "lite3": "pool.open_lite3_stream().next()",
    "follow lite3": "next(pool.follow_lite3())",
    "task": "asyncio.run(first(pool.follow()))",
    "task lite3": "asyncio.run(first(pool.follow_lite3()))",
    "view": "pool.open_stream().next_view()",
    "thread": "elsewhere(pool)",
}

INTERRUPTED = """
import asyncio, sys, threading, time
from plasmite import Client

async def first(follow):
    async for item in follow:
        return item

def elsewhere(pool):
    # the main thread waits for a message, and another one gets the signal
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    helper = threading.Thread(
        target=lambda: (signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT]),
                        threading.Event().wait()), daemon=True)
    helper.start()
    pool.open_stream().next_json()

with Client(sys.argv[1]) as client, client.pool("a") as pool:
    print("ready", flush=True)
    try:
        WAIT
    except KeyboardInterrupt:
        print("interrupted", pool.append({"n": 1}).data)
"""


@pytest.mark.parametrize(
    "wait", [pytest.param(w, marks=needs_lite3 if "lite3" in w else ()) for w in WAITS]
)
def test_ctrl_c_ends_a_wait(tmp_path, wait):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.replace("WAIT", WAITS[wait]), tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "ready\n"

        def sleeps():
            with open(f"/proc/{child.pid}/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0] == "S"

        until(sleeps)
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=30)[0] == "interrupted {'n': 1}\n"
        assert child.returncode == 0
    finally:
        child.kill()
        child.wait()


def test_an_exception_of_a_signal_handler_ends_a_wait(pool):
    def handler(number, frame):
        raise ZeroDivisionError

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pool.open_stream() as stream:
            with pytest.raises(ZeroDivisionError):
                stream.next_json()
            pool.append({"n": 1})
            assert stream.next_json() is not None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_handler_that_returns_does_not_end_a_wait(pool):
    calls = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1) or pool.append({"n": 1}))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        assert next(pool.tail()).data == {"n": 1}
        assert calls == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_closing_in_a_signal_handler(pool):
    stream = pool.open_stream()
    before = signal.signal(signal.SIGALRM, lambda *_: stream.close())
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        assert stream.next_json() is None
    finally:
        signal.signal(signal.SIGALRM, before)


# Forks ------------------------------------------------------------------------------------------


def child_uses(pool, stream, n):
    """In a child of fork: what was inherited works, and belongs to the child."""
    pool.append({"child": n})
    if stream is not None:
        assert stream.next_json() is not None
        stream.close()
    pool.close()


def child_follows(pool, lite3_stream, n):
    """The same with Lite3, and in an event loop of the child."""
    assert lite3_stream.next().seq == 1
    lite3_stream.close()

    async def main():
        async with plasmite.AsyncClient(os.path.dirname(pool.path)) as client:
            async with client.pool("work") as again, again.follow(max_messages=1) as follow:
                seq = (await again.append({"child": n}, ["async"], plasmite.Durability.FLUSH)).seq
                assert [message.seq <= seq async for message in follow] == [True]

    asyncio.run(asyncio.wait_for(main(), 30))


def child_opens(folder, n):
    with Client(folder) as client, client.pool("work") as pool:
        pool.append({"child": n})


def all_well(processes):
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork(pool):
    context = multiprocessing.get_context("fork")
    pool.append({"child": -1})
    stream = pool.open_stream()
    all_well([context.Process(target=child_uses, args=(pool, stream, n)) for n in range(4)])
    assert plasmite.parse_message(stream.next_json()).data == {"child": -1}
    stream.close()
    children = [message.data["child"] for message in pool.tail(since_seq=2, max_messages=4)]
    assert sorted(children) == [0, 1, 2, 3]
    pool.append({"child": 9})


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_while_another_thread_waits(pool):
    stream = pool.open_stream()
    waiter = threading.Thread(target=stream.next_json)
    waiter.start()
    wait_asleep(waiter.native_id)
    context = multiprocessing.get_context("fork")
    all_well([context.Process(target=child_uses, args=(pool, stream, n)) for n in range(2)])
    waiter.join(20)
    stream.close()
    assert not waiter.is_alive()


@needs_lite3
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_of_what_an_event_loop_uses(pool):
    context = multiprocessing.get_context("fork")
    pool.append({"child": -1})
    stream = pool.open_lite3_stream()
    follow = pool.follow()

    async def main():
        waiting = asyncio.create_task(follow.__anext__())
        await asyncio.sleep(0)  # the library's own thread runs now, and is not in the children
        children = [context.Process(target=child_follows, args=(pool, stream, n)) for n in range(2)]
        for child in children:
            child.start()
        message = await waiting
        for child in children:
            await asyncio.to_thread(child.join, 60)
        return message, [child.exitcode for child in children]

    message, codes = asyncio.run(asyncio.wait_for(main(), 90))
    assert message.tags == ["async"]
    assert codes == [0, 0]
    assert stream.next().seq == 1
    stream.close()
    follow.close()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_other_ways_to_start_processes(client, pool, method):
    context = multiprocessing.get_context(method)
    all_well([context.Process(target=child_opens, args=(client.pool_dir, n)) for n in range(2)])
    assert len(list(pool.tail(max_messages=2))) == 2


def test_handles_are_not_pickled(client, pool):
    import pickle

    for one in (client, pool, pool.open_stream()):
        with pytest.raises(TypeError):
            pickle.dumps(one)


# Objects of the wrong kind and in the wrong state -------------------------------------------------


def test_objects_that_were_never_opened():
    assert plasmite.Pool().closed
    assert plasmite.Stream().closed
    for call in (plasmite.Pool().flush, plasmite.Stream().next_json, plasmite.Lite3Stream().next):
        with pytest.raises(PlasmiteError, match="is closed$"):
            call()
    for one in (plasmite.Pool(), plasmite.Stream(), plasmite.Lite3Stream()):
        one.close()
        one.close()


def test_the_methods_below_refuse_foreign_objects(client, pool):
    for call in (
        lambda: client._open_pool(object(), "x", False, 1, None, None, False),
        lambda: client._open_pool(client, "x", False, 1, None, None, False),
        lambda: client._open_pool(plasmite.Pool(), "x", 0, 1, None, None, False),
        lambda: client._open_pool(),
        lambda: plasmite.Stream()._open(client, None, None, None, False),
        lambda: plasmite.Stream()._open(pool),
        lambda: pool.open_stream()._open(pool, None, None, None, False),
        lambda: pool._append_list((1,), None, 0),
        lambda: pool._append(),
        lambda: plasmite.Stream.next_json(pool),
        lambda: plasmite.Pool.flush(client),
    ):
        with pytest.raises(TypeError):
            call()


def test_closing_while_tags_are_read(pool):
    def tags():
        pool.close()
        yield "a"

    assert pool.append({"n": 1}, tags()).seq == 1
    assert pool.closed


def test_a_value_that_changes_while_it_is_written(pool):
    class Key(str):
        def __str__(self):
            value.clear()
            return "k"

    value = {"a": 1, "b": [1, 2]}
    value[Key("k")] = 1
    assert pool.append(value).seq == 1


def test_subclasses(pool):
    class Mine(plasmite.Pool):
        def __init__(self, *arguments):
            self.extra = arguments

    mine = Mine(1, 2)
    assert (mine.extra, mine.closed) == ((1, 2), True)


def test_exceptions_in_the_middle_of_iteration(pool):
    pool.append_many([{"n": n} for n in range(10)])
    stream = pool.open_stream(max_messages=10)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            for _ in stream:
                raise ZeroDivisionError
    assert plasmite.parse_message(stream.next_json()).seq == 6
    follow = pool.follow(last=10)
    with pytest.raises(ZeroDivisionError), follow:
        for _ in follow:
            raise ZeroDivisionError
    assert follow.closed


def test_usage_errors_are_usage_errors(pool):
    with pytest.raises(UsageError):
        pool.append_json(b"{}", [], 7)


# Files that somebody cuts off ---------------------------------------------------------------------

CUT = """
import faulthandler, os, sys
import plasmite
from plasmite import Client, PlasmiteError

faulthandler.enable()
for _ in range(2):
    plasmite.install_guard()
with Client(sys.argv[1]) as client, client.pool("a") as pool:
    pool.append_many([{"text": "x" * 1000}] * 200)
    stream = pool.open_stream()
    view = stream.next_view()
    os.truncate(pool.path, 8192)
    assert len(bytes(view.data)) > 1000
    assert not view.valid()
    for call in (lambda: pool.get(200), lambda: pool.append({}), lambda: list(stream),
                 lambda: list(pool.tail()), lambda: next(pool.follow(last=9))):
        try:
            call()
            raise SystemExit("a file that is cut off was read")
        except PlasmiteError as error:
            assert error.kind.name in ("CORRUPT", "IO"), error.kind
print("alive")
"""


def test_files_that_are_cut_off(tmp_path, run_python):
    assert run_python(CUT, tmp_path / "pools").stdout == "alive\n"
