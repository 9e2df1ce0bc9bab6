"""Messages as Lite3: one by one, in streams, in an event loop."""

import asyncio
import gc
import os
import threading

import pytest

import plasmite
from conftest import needs_lite3
from plasmite import (
    Durability,
    Follow,
    Lite3Frame,
    NotFoundError,
    PlasmiteError,
    RetentionGapError,
    UsageError,
)

pytestmark = needs_lite3


def test_lite3_round_trip(pool):
    message = pool.append({"n": 1, "text": "é"}, ["t"])
    frame = pool.get_lite3(1)
    assert isinstance(frame, Lite3Frame)
    assert (frame.seq, frame.flags, type(frame.payload)) == (1, 0, bytes)
    assert frame.time == message.time
    for payload in (frame.payload, bytearray(frame.payload), memoryview(frame.payload)):
        seq = pool.append_lite3(payload, Durability.FAST)
        assert pool.get_lite3(seq).payload == frame.payload
        assert pool.get(seq).data == {"n": 1, "text": "é"}
        assert pool.get(seq).tags == ["t"]


def test_lite3_refuses(pool):
    with pytest.raises(PlasmiteError):
        pool.append_lite3(b"\x01", Durability.FAST)
    with pytest.raises(UsageError):
        pool.append_lite3(b"\x01", 99)
    with pytest.raises(TypeError, match="^payload must be bytes-like$"):
        pool.append_lite3("x", Durability.FAST)
    with pytest.raises(ValueError, match="^payload is required$"):
        pool.append_lite3(b"", Durability.FAST)
    with pytest.raises(NotFoundError) as missing:
        pool.get_lite3(9)
    assert missing.value.seq == 9
    with pytest.raises(TypeError):
        pool.get_lite3("1")
    with pytest.raises(ValueError):
        pool.get_lite3(-1)


def test_lite3_streams(pool):
    for n in range(5):
        pool.append({"n": n})
    with pool.open_lite3_stream(2, 3, 5000, True) as stream:
        assert stream.next().seq == 2
        assert [frame.seq for frame in stream] == [3, 4]
        assert stream.next() is None
    with pytest.raises(PlasmiteError, match="^plasmite: stream is closed$"):
        stream.next()
    assert pool.open_lite3_stream(9999, 1, 10).next() is None


def test_lite3_streams_pass_over_what_lite3_cannot_hold(pool):
    """Once, also after the stream was opened anew behind the scenes while it waited."""
    deep = {}
    for _ in range(40):
        deep = {"a": deep}
    assert pool.append(deep).seq == 1
    with pool.open_lite3_stream(since_seq=1) as stream:
        with pytest.raises(UsageError) as error:
            stream.next()
        assert error.value.seq == 1
        later = threading.Timer(0.3, pool.append, [{"n": 2}])
        later.start()
        assert stream.next().seq == 2
        later.join()


# Waiting, as other streams do it ------------------------------------------------------------------


def seqs(frames):
    return [frame.seq for frame in frames]


async def collect(follow):
    return [item async for item in follow]


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_a_wait_has_no_windows(pool):
    """One native stream, from the first to the last message: its descriptor stays the same."""
    with pool.open_lite3_stream() as stream:
        assert stream.try_next() is False
        descriptor = stream.fileno()
        before = os.fstat(descriptor).st_ino
        later = threading.Timer(0.3, pool.append, [{"n": 1}])  # three windows
        later.start()
        assert stream.next().seq == 1
        later.join()
        assert stream.fileno() == descriptor
        assert os.fstat(descriptor).st_ino == before
        assert (stream.position, stream.dropped) == (2, 0)


def test_taking_what_is_there(pool):
    with pool.open_lite3_stream(max_messages=1) as stream:
        assert stream.try_next() is False
        pool.append({"n": 1})
        frame = stream.try_next()
        assert isinstance(frame, Lite3Frame)
        assert frame.payload == pool.get_lite3(1).payload
        assert stream.try_next() is None
    for call in (stream.next, stream.try_next, stream.fileno, lambda: stream.position):
        with pytest.raises(PlasmiteError, match="^plasmite: stream is closed$"):
            call()


def test_follow_lite3(pool):
    for n in range(6):
        pool.append({"n": n}, ["even"] if n % 2 == 0 else ["odd"])
    follow = pool.follow_lite3(last=2, max_messages=2)
    assert isinstance(follow, Follow)
    first = next(follow)
    assert isinstance(first, Lite3Frame)
    assert (first.seq, follow.position, first.payload) == (5, 6, pool.get_lite3(5).payload)
    assert seqs(follow) == [6]
    assert follow.closed
    assert seqs(pool.follow_lite3(last=6, tags=["even"], max_messages=3)) == [1, 3, 5]
    assert seqs(pool.follow_lite3(last=6, where=".data.n > 3", max_messages=2)) == [5, 6]
    assert seqs(pool.follow_lite3(since_time=pool.get(3).time, idle_timeout_ms=20))[0] <= 3
    assert seqs(pool.follow_lite3(idle_timeout_ms=20)) == []
    for wrong in ({"last": 1, "since_seq": 1}, {"last": -1}):
        with pytest.raises(ValueError):
            pool.follow_lite3(**wrong)
    with pytest.raises(TypeError):
        pool.follow_lite3(raw=True)


def test_follow_lite3_in_an_event_loop(pool):
    async def main():
        threads = threading.active_count()
        follows = [pool.follow_lite3(max_messages=2) for _ in range(10)]
        tasks = [asyncio.create_task(collect(follow)) for follow in follows]
        for n in range(2):
            await asyncio.sleep(0)
            assert threading.active_count() == threads
            pool.append({"n": n})
        return await asyncio.gather(*tasks)

    assert [seqs(frames) for frames in run(main())] == [[1, 2]] * 10


def test_closing_a_lite3_follower_that_waits(pool):
    async def main():
        async with pool.follow_lite3() as follow:
            task = asyncio.create_task(collect(follow))
            await asyncio.sleep(0)
        return await task

    assert run(main()) == []


def test_a_lite3_follower_reports_a_gap(client):
    with client.create_pool("small", 65536) as pool:
        follow = pool.follow_lite3(since_seq=1, error_on_gap=True)
        for n in range(100):
            pool.append({"n": n, "padding": "x" * 2048})
        with pytest.raises(RetentionGapError) as gap:
            next(follow)
        assert gap.value.seq == 1
        follow.close()


def test_a_lite3_follower_goes_on_behind_what_lite3_cannot_hold(pool):
    deep = {}
    for _ in range(40):
        deep = {"a": deep}

    async def main():
        follow = pool.follow_lite3()
        pool.append(deep)
        pool.append({"n": 2})
        with pytest.raises(UsageError) as error:
            await follow.__anext__()
        return error.value.seq, (await follow.__anext__()).seq, follow.close()

    assert run(main())[:2] == (1, 2)


def test_payloads_outlive_everything(client):
    pool = client.pool("a")
    message = pool.append({"text": "x" * 1000})
    memories = [memoryview(pool.get_lite3(1).payload), memoryview(message.raw)]
    with pool.open_lite3_stream() as stream:
        memories.append(memoryview(stream.next().payload))
    pool.close()
    client.close()
    del pool, stream, message
    gc.collect()
    assert all(b"x" * 1000 in bytes(memory) for memory in memories)
    assert memories[0] == memories[2]


def test_lite3_streams_that_were_never_opened():
    stream = plasmite.Lite3Stream()
    for call in (stream.next, stream.try_next, stream.fileno, stream.skip_damage):
        with pytest.raises(PlasmiteError, match="^plasmite: stream is closed$"):
            call()
