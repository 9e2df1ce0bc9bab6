"""Hostile use: threads, signals, forks, garbage collection, exceptions, the end of the process."""

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


@pytest.mark.parametrize("method", ["next_json", "next_view"])
def test_close_ends_a_wait_in_another_thread(pool, method):
    stream = pool.open_stream()
    results = []
    waiter = threading.Thread(target=lambda: results.append(getattr(stream, method)()))
    waiter.start()
    wait_asleep(waiter.native_id)
    stream.close()
    waiter.join(20)
    assert results == [None]


@needs_lite3
def test_close_ends_a_wait_for_lite3(pool):
    stream = pool.open_lite3_stream()
    results = []
    waiter = threading.Thread(target=lambda: results.append(stream.next()))
    waiter.start()
    wait_asleep(waiter.native_id)
    stream.close()
    waiter.join(20)
    assert results == [None]


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


def test_collection_while_a_thread_waits(pool):
    """The only reference to the stream is the one of the call under way."""
    ends = []

    def wait():
        ends.append(pool.open_stream(timeout_ms=200).next_json())

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        gc.collect()
    assert ends == [None] * 4


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
    "lite3": "pool.open_lite3_stream().next()",
    "view": "pool.open_stream().next_view()",
    "thread": "elsewhere(pool)",
}

INTERRUPTED = """
import sys, threading
from plasmite import Client

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
        print("interrupted", pool.append({"n": 1}).seq)
"""


@pytest.mark.parametrize(
    "wait", [pytest.param(w, marks=needs_lite3 if w == "lite3" else ()) for w in WAITS]
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
        assert child.communicate(timeout=30)[0] == "interrupted 1\n"
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


# The end of the interpreter ---------------------------------------------------------------------

ENDS = {
    "open": "keep = (client, pool, pool.open_stream(), pool.follow(), pool.open_stream().next_view)",
    "view": "keep = pool.open_stream().next_view(); memory = keep.data",
    "generator": "keep = pool.tail(); next(keep)",
    "waiting": """
import pathlib, threading, time
thread = threading.Thread(target=lambda: list(pool.follow()), daemon=True)
thread.start()
state = pathlib.Path(f"/proc/self/task/{thread.native_id}/stat")
while state.read_text().rpartition(")")[2].split()[0] != "S":
    time.sleep(0.001)
""",
    "waiting for lite3": """
import threading
threading.Thread(target=lambda: list(pool.open_lite3_stream()), daemon=True).start()
""",
    "at exit": "import atexit; atexit.register(lambda: pool.append({}))",
    "in a finalizer": """
class Late:
    def __del__(self, pool=pool):
        pool.append({})
keep = Late()
keep.cycle = keep
""",
    "async": """
import asyncio
async def main():
    follow = pool.follow()
    task = asyncio.create_task(follow.__anext__())
    await asyncio.sleep(0.01)
asyncio.run(main())
""",
}


@pytest.mark.parametrize(
    "end", [pytest.param(e, marks=needs_lite3 if "lite3" in e else ()) for e in ENDS]
)
def test_the_interpreter_ends_quietly(tmp_path, run_python, end):
    begin = """
import sys
from plasmite import Client
client = Client(sys.argv[1])
pool = client.pool("a")
pool.append({"n": 1})
"""
    done = run_python(begin + ENDS[end], tmp_path / "pools")
    assert (done.stdout, done.stderr) == ("", "")


# Leaks ------------------------------------------------------------------------------------------


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def use_everything(client):
    with client.pool("leaks", 65536) as pool:
        message = pool.append({"text": "x" * 200, "n": [1, 2.5, None]}, ["a", "b"])
        pool.append_bytes(b'{"n":1}', ["t"])
        pool.append_many([{"n": 1}, b"{}"], ["t"])
        assert message.seq and pool.get(message.seq).data and pool.info() and pool.path
        for bad in (
            lambda: pool.append_json(b"[", [], 0),
            lambda: pool.append({"a": object()}),
            lambda: pool.get(0),
            lambda: client.open_pool("none"),
            lambda: pool.append_many([{}, b"["]),
            lambda: pool.append({}, [1]),
            lambda: pool.open_stream(-1),
            lambda: pool.follow(where=".("),
        ):
            try:
                bad()
            except (PlasmiteError, TypeError, ValueError):
                continue
            raise AssertionError("nothing was refused")
        with pool.open_stream(message.seq, 2) as stream:
            assert stream.next_json() and bytes(stream.next_view().data)
        for _ in pool.follow(last=2, tags=["t"], where=".data.n == 1", max_messages=1):
            pass
        for one in pool.tail(message.seq, tags=["a"]):
            assert one.data
            break
    assert client.list_pools() == ["leaks"]


def test_nothing_leaks(client):
    """Caches of the interpreter fill up at first; a leak grows by the same in each stretch."""
    rounds, blocks, memory = 100, [], []
    for _ in range(10):
        for _ in range(rounds):
            use_everything(client)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        memory.append(resident())
    assert min(after - before for before, after in zip(blocks, blocks[1:])) < rounds // 4
    assert min(after - before for before, after in zip(memory, memory[1:])) < rounds * 16


def test_usage_errors_are_usage_errors(pool):
    with pytest.raises(UsageError):
        pool.append_json(b"{}", [], 7)
