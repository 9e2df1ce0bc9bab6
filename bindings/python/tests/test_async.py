"""AsyncClient and AsyncPool: what waits, waits in no event loop."""

import asyncio
import fcntl
import gc
import os
import threading
from contextlib import contextmanager

import pytest

import plasmite
from conftest import needs_lite3
from plasmite import (
    AlreadyExistsError,
    AsyncClient,
    AsyncPool,
    BusyError,
    Client,
    Durability,
    ErrorKind,
    IoError,
    NotFoundError,
    PlasmiteError,
    RetentionGapError,
    UsageError,
    parse_message,
)

FLUSH = Durability.FLUSH


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def with_pool(folder, use, **options):
    """Runs use(pool) in a new event loop."""

    async def main():
        async with AsyncClient(folder) as client, client.pool("work", **options) as pool:
            return await use(pool)

    return run(main())


async def collect(messages):
    return [message async for message in messages]


def numbers(messages):
    return [message.data["n"] for message in messages]


@contextmanager
def locked(path):
    """Somebody else has the file for itself: appends are Busy. Nobody has it open yet."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


# Opening ----------------------------------------------------------------------------------------


def test_opening(tmp_path):
    async def main():
        async with AsyncClient(tmp_path) as client:
            assert client.pool_dir == str(tmp_path)
            async with client.create_pool("a", 1 << 16, index_capacity=64) as pool:
                assert isinstance(pool, AsyncPool)
                assert pool.path == str(tmp_path / "a.plasmite")
                info = await pool.info()
                assert (info.file_size, info.index_capacity) == (1 << 16, 64)
            assert pool.closed
            pool = await client.open_pool("a")
            assert not pool.closed
            pool.close()
            pool.close()
            async with client.pool("b", 1 << 17), client.pool("b") as pool:
                assert (await pool.info()).file_size == 1 << 17
            assert await client.list_pools() == ["a", "b"]
            await client.delete_pool("a")
            for opening, error in (
                (client.open_pool("a"), NotFoundError),
                (client.create_pool("b"), AlreadyExistsError),
                (client.pool(""), ValueError),
                (client.pool("c", -1), ValueError),
                (client.open_pool("b", read_only=1), TypeError),
            ):
                with pytest.raises(error):
                    await opening
                with pytest.raises(error):
                    async with opening:
                        raise AssertionError("it is open")
        assert client.closed
        with pytest.raises(PlasmiteError, match="^plasmite: client is closed$"):
            await client.list_pools()

    run(main())


def test_the_default_folder(home):
    assert AsyncClient().pool_dir == str(home / ".plasmite" / "pools")


def test_reading_only(tmp_path):
    with Client(tmp_path) as client, client.pool("work") as pool:
        pool.append({"n": 1})
    os.chmod(tmp_path / "work.plasmite", 0o400)

    async def main():
        async with AsyncClient(tmp_path) as client:
            async with client.open_pool("work", read_only=True) as pool:
                assert (await pool.get(1)).data == {"n": 1}
                assert numbers(await collect(pool.tail(max_messages=1))) == [1]
                with pytest.raises(UsageError):
                    await pool.append({"n": 2})

    run(main())


# Appending --------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", Durability)
def test_appending(tmp_path, durability):
    async def use(pool):
        message = await pool.append({"n": 1}, ["a"], durability)
        assert (message.seq, message.data, message.tags) == (1, {"n": 1}, ["a"])
        raw = await pool.append_json(b'{"n":2}', iter(["a"]), durability)
        assert parse_message(raw).tags == ["a"]
        assert await pool.append_bytes(b'{"n":3}', None, durability) == 3
        many = await pool.append_many(({"n": n} for n in range(4, 5004)), ["b"], durability)
        assert many == list(range(4, 5004))
        assert await pool.append_many([], None, durability) == []
        assert (await pool.get(5003)).tags == ["b"]
        assert await pool.get_json(2) == raw
        await pool.flush()
        report = await pool.verify()
        assert report.healthy and report.messages == 5003

    with_pool(tmp_path, use, size_bytes=4 << 20)


@needs_lite3
def test_appending_lite3(tmp_path):
    async def use(pool):
        await pool.append({"n": 1})
        frame = await pool.get_lite3(1)
        for seq, durability in enumerate(Durability, 2):
            assert await pool.append_lite3(frame.payload, durability) == seq
        frames = await collect(pool.follow_lite3(since_seq=1, max_messages=3))
        assert [one.payload for one in frames] == [frame.payload] * 3

    with_pool(tmp_path, use)


def test_what_is_refused(tmp_path):
    async def use(pool):
        for call, error in (
            (pool.append(object()), TypeError),
            (pool.append({}, "tags"), TypeError),
            (pool.append({}, [1]), TypeError),
            (pool.append({}, None, 7), UsageError),
            (pool.append({}, None, "flush"), TypeError),
            (pool.append_bytes("x"), TypeError),
            (pool.append_json(b"[", None, FLUSH), UsageError),
            (pool.append_many([1], None, FLUSH), UsageError),
            (pool.append_lite3(b"", 0), ValueError),
            (pool.get(-1), ValueError),
            (pool.get(1), NotFoundError),
        ):
            with pytest.raises(error):
                await call
        pool.close()
        for call in (pool.append({}), pool.flush(), pool.get(1), pool.info(), pool.verify()):
            with pytest.raises(PlasmiteError, match="^plasmite: pool is closed$"):
                await call

    with_pool(tmp_path, use)


def test_appending_in_many_tasks(tmp_path):
    async def use(pool):
        async def write(n):
            return (await pool.append({"n": n}, None, FLUSH if n % 2 else 0)).seq

        seqs = await asyncio.gather(*(write(n) for n in range(500)))
        assert sorted(seqs) == list(range(1, 501))

    with_pool(tmp_path, use)


def test_appending_fast_takes_no_thread(tmp_path):
    async def use(pool):
        threads = threading.active_count()
        for n in range(100):
            await pool.append({"n": n})
            await pool.get(n + 1)
        assert threading.active_count() == threads

    with_pool(tmp_path, use)


def test_tasks_share_a_flush(tmp_path, monkeypatch):
    """Those who come while one is under way share the next one."""
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    flushes = []

    def flush(pool):
        begun.release()
        go_on.acquire()
        flushes.append(pool.info().newest_seq)

    monkeypatch.setattr(plasmite.Pool, "flush", flush)

    async def use(pool):
        first = asyncio.create_task(pool.append({"n": 1}, None, FLUSH))
        await asyncio.to_thread(begun.acquire)
        others = [asyncio.create_task(pool.append({"n": n}, None, FLUSH)) for n in range(2, 52)]
        while (await pool.info()).n_messages < 51:
            await asyncio.sleep(0)
        assert not first.done()
        go_on.release()
        assert (await first).seq == 1
        await asyncio.to_thread(begun.acquire)
        assert not any(task.done() for task in others)
        go_on.release()
        assert len({message.seq for message in await asyncio.gather(*others)}) == 50
        go_on.release()
        await pool.flush()

    with_pool(tmp_path, use)
    assert len(flushes) == 3
    assert flushes[1:] == [51, 51]


def test_a_flush_that_fails_says_what_is_stored(tmp_path, monkeypatch):
    def flush(pool):
        raise IoError(ErrorKind.IO, "no disk", pool.path, None, None, "Buy one.")

    monkeypatch.setattr(plasmite.Pool, "flush", flush)

    async def use(pool):
        calls = [pool.append({"n": n}, None, FLUSH) for n in range(3)]
        calls += [pool.append_many([{}, {}], None, FLUSH)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in errors] == [IoError] * 4
        assert sorted(error.seq for error in errors) == [1, 2, 3, 4]
        assert {(error.path, error.hint) for error in errors} == {(pool.path, "Buy one.")}
        assert (await pool.info()).n_messages == 5
        with pytest.raises(IoError) as alone:
            await pool.flush()
        assert alone.value.seq is None

    with_pool(tmp_path, use)


async def turn(times):
    """Others run so often."""
    for _ in range(times):
        await asyncio.sleep(0.001)


def test_opening_a_busy_pool_keeps_no_loop_waiting(tmp_path):
    with Client(tmp_path) as client:
        path = client.create_pool("work").path

    async def main():
        async with AsyncClient(tmp_path) as client:
            with locked(path):
                for patience_ms in (0, 30):
                    with pytest.raises(BusyError):
                        await client.open_pool("work", busy_timeout_ms=patience_ms)
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.open_pool("work"), 0.01)
                task = asyncio.create_task(collect_one(client))
                await turn(50)
                assert not task.done()
            return (await task).seq

    async def collect_one(client):
        async with client.open_pool("work") as pool:
            return await pool.append({"n": 1})

    assert run(main()) == 1


class Busy:
    """Stands for a pool that others hold: the methods of Pool raise BusyError for so long."""

    def __init__(self, monkeypatch):
        self.held = True
        self.calls = 0
        for name in ("append", "append_bytes", "append_many", "flush"):
            monkeypatch.setattr(plasmite.Pool, name, self.refusing(getattr(plasmite.Pool, name)))

    def refusing(self, method):
        def call(pool, *arguments, **options):
            self.calls += 1
            if self.held:
                raise BusyError(ErrorKind.BUSY, "pool is busy", pool.path)
            return method(pool, *arguments, **options)

        return call


def test_a_busy_pool_keeps_no_loop_waiting(tmp_path, monkeypatch):
    async def use(pool):
        busy = Busy(monkeypatch)
        appends = [
            pool.append({"n": 1}),
            pool.append_bytes(b"{}", ["a"], FLUSH),
            pool.append_many([{}, {}]),
            pool.flush(),
        ]
        tasks = [asyncio.ensure_future(append) for append in appends]
        await turn(50)
        assert not any(task.done() for task in tasks)
        assert 4 < busy.calls < 400  # it asks less and less often
        busy.held = False
        await asyncio.gather(*tasks)
        return (await pool.info()).n_messages

    assert with_pool(tmp_path, use) == 4


def test_patience_has_an_end(tmp_path, monkeypatch):
    async def use(pool):
        for call in (pool.append({}), pool.append_many([{}], None, FLUSH), pool.flush()):
            with pytest.raises(BusyError) as error:
                await call
            assert error.value.path == pool.path
            assert error.value.seq is None

    Busy(monkeypatch)
    for busy_timeout_ms in (0, 30):
        with_pool(tmp_path, use, busy_timeout_ms=busy_timeout_ms)
    for wrong, error in ((-1, ValueError), ("1", TypeError)):
        with pytest.raises(error):
            with_pool(tmp_path, use, busy_timeout_ms=wrong)


def test_cancelling(tmp_path, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(plasmite.Pool, "flush", lambda pool: go_on.wait(20))

    async def use(pool):
        with monkeypatch.context() as patch:
            Busy(patch)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(pool.append({"n": 1}), 0.01)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(pool.append({"n": 2}, None, FLUSH), 0.01)
        go_on.set()
        await pool.append({"n": 3}, None, FLUSH)
        return numbers(await collect(pool.tail(max_messages=2)))

    assert with_pool(tmp_path, use) == [2, 3]  # stored, though nobody waited for the disk


def test_one_pool_in_one_loop_after_the_other(tmp_path):
    async def open_pool():
        return await AsyncClient(tmp_path).pool("work")

    pool = run(open_pool())
    for n in range(3):
        assert run(pool.append({"n": n}, None, FLUSH)).seq == n + 1
    pool.close()


# Reading ----------------------------------------------------------------------------------------


def test_tail(tmp_path):
    async def use(pool):
        for n in range(5):
            await pool.append({"n": n}, ["even"] if n % 2 == 0 else ["odd"])
        assert numbers(await collect(pool.tail(max_messages=5))) == [0, 1, 2, 3, 4]
        assert numbers(await collect(pool.tail(4, 2))) == [3, 4]
        assert numbers(await collect(pool.tail(tags=["odd"], max_messages=2))) == [1, 3]
        assert numbers(await collect(pool.tail(timeout_ms=20))) == [0, 1, 2, 3, 4]
        assert numbers(await collect(pool.follow(last=1, max_messages=1))) == [4]
        raws = await collect(pool.follow(last=1, max_messages=1, raw=True))
        assert raws == [await pool.get_json(5)]
        for wrong in ({"since_seq": -1}, {"max_messages": -1}, {"timeout_ms": -1}):
            with pytest.raises(ValueError):
                pool.tail(**wrong)
        for wrong in ({"since_seq": "1"}, {"tags": "even"}, {"error_on_gap": 1}):
            with pytest.raises(TypeError):
                pool.tail(**wrong)

    with_pool(tmp_path, use)


def test_tail_waits_and_sees_gaps(tmp_path):
    async def use(pool):
        waiting = asyncio.create_task(collect(pool.tail(max_messages=1)))
        await asyncio.sleep(0)
        gap = pool.tail(since_seq=1, error_on_gap=True)
        for n in range(100):
            await pool.append({"n": n, "padding": "x" * 2048})
        assert len(await waiting) == 1
        with pytest.raises(RetentionGapError):
            await collect(gap)
        oldest = (await pool.info()).oldest_seq
        assert (await collect(pool.tail(max_messages=1, error_on_gap=True)))[0].seq == oldest

    with_pool(tmp_path, use, size_bytes=65536)


def test_replay(tmp_path, monkeypatch):
    with Client(tmp_path) as client, client.pool("work") as pool:
        for n in range(3):
            pool.append({"n": n})
        times = [message.time for message in pool.tail(max_messages=3)]

    async def use(pool):
        pauses = []
        real = asyncio.sleep

        async def sleep(seconds):
            pauses.append(seconds)
            await real(0)

        monkeypatch.setattr(asyncio, "sleep", sleep)
        assert numbers(await collect(pool.replay(0.5, max_messages=3))) == [0, 1, 2]
        wanted = [(times[i + 1] - times[i]).total_seconds() / 0.5 for i in range(2)]
        assert pauses == pytest.approx(wanted)
        monkeypatch.undo()
        assert numbers(await collect(pool.replay(1e9, 2, tags=["none"], timeout_ms=20))) == []
        for wrong, error in (((0,), ValueError), ((1, -1), ValueError), ((1, None, "1"), TypeError)):
            with pytest.raises(error):
                await collect(pool.replay(*wrong))
        with pytest.raises(ValueError):
            await collect(pool.replay(timeout_ms=-1))
        replay = pool.replay()
        assert (await replay.__anext__()).data == {"n": 0}
        await replay.aclose()

    with_pool(tmp_path, use)


def test_followers_outlive_their_pool(tmp_path):
    async def use(pool):
        follow = pool.follow(max_messages=1)
        await pool.append({"n": 1})
        pool.close()
        return numbers(await collect(follow))

    assert with_pool(tmp_path, use) == [1]


def test_closing_a_follower_from_another_thread(tmp_path):
    async def use(pool):
        ends = []
        for _ in range(20):
            follow = pool.follow()
            task = asyncio.create_task(collect(follow))
            await asyncio.sleep(0)
            closer = threading.Thread(target=follow.close)
            closer.start()
            ends.append(await task)
            closer.join()
            assert follow.closed
        waiting = asyncio.create_task(collect(pool.follow(max_messages=1)))
        await asyncio.sleep(0)
        await pool.append({"n": 1})
        return ends, numbers(await waiting)

    assert with_pool(tmp_path, use) == ([[]] * 20, [1])


def test_nothing_is_left_open(tmp_path):
    async def use(pool):
        async def read():
            async for _ in pool.tail(max_messages=3):
                raise ZeroDivisionError

        await pool.append({"n": 1}, None, FLUSH)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            with pytest.raises(ZeroDivisionError):
                await read()
            task = asyncio.create_task(collect(pool.follow()))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        gc.collect()
        return len(os.listdir("/proc/self/fd")) - before

    # the loop's own descriptors and the library's bell come with the first follower
    assert with_pool(tmp_path, use) <= 3
