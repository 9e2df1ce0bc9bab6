"""follow(), in a loop of its own and in an event loop; views of messages in place."""

import asyncio
import gc
import os
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

import plasmite
from conftest import needs_lite3
from plasmite import CorruptError, Follow, Message, RetentionGapError, UsageError

LONG_MS = 60_000


def numbers(messages):
    return [message.data["n"] for message in messages]


def test_follow_begins_now(pool):
    pool.append({"n": 0})
    follow = pool.follow(max_messages=2)
    assert isinstance(follow, Follow)
    for n in (1, 2):
        pool.append({"n": n})
    assert numbers(follow) == [1, 2]
    assert follow.closed
    assert list(follow) == []


def test_follow_begins_earlier(pool):
    for n in range(5):
        pool.append({"n": n})
        time.sleep(0.002)
    assert numbers(pool.follow(last=2, max_messages=2)) == [3, 4]
    assert numbers(pool.follow(last=99, max_messages=5)) == [0, 1, 2, 3, 4]
    assert numbers(pool.follow(since_seq=4, max_messages=2)) == [3, 4]
    third = pool.get(3).time
    assert numbers(pool.follow(since_time=third, max_messages=3)) == [2, 3, 4]
    naive = third.astimezone().replace(tzinfo=None)
    assert numbers(pool.follow(since_time=naive, max_messages=3)) == [2, 3, 4]
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    assert list(pool.follow(since_time=later, timeout_ms=20)) == []


def test_follow_chooses(pool):
    for n in range(6):
        pool.append({"n": n, "s": {"deep": n % 3}}, ["even"] if n % 2 == 0 else ["odd"])
    assert numbers(pool.follow(last=99, tags=["even"], max_messages=3)) == [0, 2, 4]
    assert numbers(pool.follow(last=99, where=".data.n > 3", max_messages=2)) == [4, 5]
    both = [".data.n > 1", ".data.s.deep == 0"]
    assert numbers(pool.follow(last=99, where=both, max_messages=1)) == [3]
    follow = pool.follow(last=99, tags=["odd"], where=".data.n > 1", max_messages=2)
    assert numbers(follow) == [3, 5]


def test_follow_arguments(pool):
    for arguments, error in (
        ({"last": 1, "since_seq": 1}, ValueError),
        ({"since_time": datetime.now(), "since_seq": 1}, ValueError),
        ({"last": -1}, ValueError),
        ({"last": "1"}, TypeError),
        ({"tags": "abc"}, TypeError),
        ({"tags": [1]}, TypeError),
        ({"where": [1]}, TypeError),
        ({"where": ".data.("}, UsageError),
        ({"where": "true\0"}, ValueError),
        ({"idle_timeout_ms": -1}, ValueError),
        ({"timeout_ms": -1}, ValueError),
    ):
        with pytest.raises(error):
            pool.follow(**arguments)
    with pytest.raises(TypeError):
        pool.follow(1)


def test_follow_raw(pool):
    pool.append({"n": 1})
    assert list(pool.follow(last=1, max_messages=1, raw=True)) == [pool.get_json(1)]


def test_follow_ends_when_nothing_comes(pool):
    pool.append({"n": 1})
    begin = time.monotonic()
    assert numbers(pool.follow(last=1, idle_timeout_ms=100)) == [1]
    assert time.monotonic() - begin >= 0.1


def test_follow_knows_where_it_is(client):
    with client.create_pool("small", 65536) as pool:
        first = pool.follow(since_seq=1)
        for n in range(100):
            pool.append({"n": n, "padding": "x" * 2048})
        message = next(first)
        assert message.seq > 1
        assert first.position == message.seq + 1
        assert first.dropped == message.seq - 1
        first.close()
        again = pool.follow(since_seq=message.seq + 1, max_messages=1)
        assert next(again).seq == message.seq + 1


def test_follow_is_a_context_manager(pool):
    with pool.follow() as follow:
        pass
    assert follow.closed
    follow.close()
    assert list(follow) == []


def test_follow_reports_a_gap(client):
    with client.create_pool("small", 65536) as pool:
        follow = pool.follow(since_seq=1, error_on_gap=True, tags=["never"])
        for n in range(100):
            pool.append({"n": n, "padding": "x" * 2048})
        with pytest.raises(RetentionGapError) as gap:
            next(follow)
        assert gap.value.seq == 1


def damage(pool, text):
    """Changes a byte in the middle of a text that one message has."""
    data = open(pool.path, "rb").read()
    with open(pool.path, "r+b") as file:
        file.seek(data.index(text) + len(text) // 2)
        file.write(b"!")


@pytest.mark.parametrize("lite3", [False, pytest.param(True, marks=needs_lite3)])
def test_going_on_behind_damage(pool, lite3):
    for n, letter in enumerate("abc"):
        pool.append({"n": n, "text": letter * 300})
    damage(pool, b"b" * 300)
    follow = (pool.follow_lite3 if lite3 else pool.follow)(last=3, max_messages=3)
    assert next(follow).seq == 1
    for _ in range(2):
        with pytest.raises(CorruptError):
            next(follow)
    follow.skip_damage()
    assert next(follow).seq == 3
    follow.close()
    with pool.open_stream(2) as stream:
        with pytest.raises(CorruptError):
            stream.next_json()
        stream.skip_damage()
        assert plasmite.parse_message(stream.next_json()).seq == 3


# In an event loop -------------------------------------------------------------------------------


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


async def collect(follow):
    return [message async for message in follow]


def test_async_follow(pool):
    async def main():
        follow = pool.follow(max_messages=3)
        task = asyncio.create_task(collect(follow))
        for n in range(3):
            await asyncio.sleep(0.01)
            pool.append({"n": n})
        return await task

    messages = run(main())
    assert numbers(messages) == [0, 1, 2]
    assert all(type(message) is Message for message in messages)


def test_async_follow_has_no_thread_in_python(pool):
    async def main():
        before = threading.active_count()
        follows = [pool.follow(max_messages=1) for _ in range(20)]
        tasks = [asyncio.create_task(collect(follow)) for follow in follows]
        await asyncio.sleep(0)
        assert threading.active_count() == before
        pool.append({"n": 7})
        return await asyncio.gather(*tasks)

    assert [numbers(messages) for messages in run(main())] == [[7]] * 20


def test_async_follow_wakes_for_another_process(pool, run_python, client):
    import subprocess
    import sys

    program = os.environ["PLASMITE_BIN"]

    async def main():
        follow = pool.follow(max_messages=1)
        command = [program, "--dir", client.pool_dir, "feed", "work", '{"n":5}']
        task = asyncio.create_task(collect(follow))
        await asyncio.sleep(0)
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
        messages = await task
        assert await child.wait() == 0
        return messages

    assert sys.platform != "linux" or numbers(run(main())) == [5]


def test_async_follow_ends_by_its_times(pool):
    pool.append({"n": 1})
    begin = time.monotonic()
    assert numbers(run(collect(pool.follow(last=1, timeout_ms=100)))) == [1]
    assert time.monotonic() - begin >= 0.1
    assert numbers(run(collect(pool.follow(last=1, idle_timeout_ms=50)))) == [1]
    assert numbers(run(collect(pool.follow(last=1, timeout_ms=0)))) == []


def test_async_follow_can_be_cancelled_and_goes_on(pool):
    async def main():
        follow = pool.follow()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(follow.__anext__(), 0.02)
        pool.append({"n": 1})
        return (await follow.__anext__()).data, follow.close()

    assert run(main())[0] == {"n": 1}


def test_async_close_ends_a_wait(pool):
    async def main():
        async with pool.follow() as follow:
            task = asyncio.create_task(collect(follow))
            await asyncio.sleep(0.01)
            with pytest.raises(RuntimeError):
                await follow.__anext__()
        return await task

    assert run(main()) == []


def test_async_follow_lets_others_run(pool):
    pool.append_many([{"n": n} for n in range(3000)])
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def main():
        counter = asyncio.create_task(count())
        messages = await collect(pool.follow(last=3000, max_messages=3000))
        counter.cancel()
        return messages

    assert len(run(main())) == 3000
    assert turns > 10


def test_async_follow_in_one_loop_after_the_other(pool):
    follow = pool.follow()
    for n in range(2):
        pool.append({"n": n})

        async def one():
            return await follow.__anext__()

        assert run(one()).data == {"n": n}
    follow.close()


def test_async_errors(client):
    with client.create_pool("small", 65536) as pool:
        follow = pool.follow(since_seq=1, error_on_gap=True)
        for n in range(100):
            pool.append({"n": n, "padding": "x" * 2048})
        with pytest.raises(RetentionGapError):
            run(collect(follow))


# Views ------------------------------------------------------------------------------------------


def test_views(pool):
    message = pool.append({"text": "hello"}, ["a"])
    pool.append({"n": 2})
    with pool.open_stream(max_messages=2) as stream:
        view = stream.next_view()
        assert (view.seq, view.tags_json, view.is_lite3) == (1, b'["a"]', False)
        assert view.time_ns // 1000 == int(message.time.timestamp() * 1_000_000)
        assert isinstance(view.data, memoryview)
        assert view.data.readonly
        assert bytes(view.data) == b'{"text":"hello"}'
        assert bytes(view) == bytes(view.data)
        assert view.valid()
        assert stream.next_view().tags_json == b"[]"
        assert stream.next_view() is None
    with pytest.raises(TypeError):
        type(view)()


def test_a_view_says_when_it_was_overwritten(client):
    with client.create_pool("small", 65536) as pool, pool.open_stream() as stream:
        pool.append({"n": 0, "padding": "x" * 4096})
        view = stream.next_view()
        assert view.valid()
        for n in range(50):
            pool.append({"n": n, "padding": "x" * 4096})
        assert not view.valid()


def test_a_view_outlives_stream_and_pool(client):
    pool = client.pool("a")
    pool.append({"text": "x" * 1000})
    stream = pool.open_stream()
    data = stream.next_view().data[:8]
    stream.close()
    pool.close()
    del stream, pool
    gc.collect()
    assert bytes(data) == b'{"text":'


def test_views_wait(pool):
    with pool.open_stream(timeout_ms=LONG_MS) as stream:
        late = threading.Timer(0.05, pool.append, [{"n": 1}])
        late.start()
        assert bytes(stream.next_view().data) == b'{"n":1}'
        late.join()


def test_async_reading_by_hand(pool):
    with pool.open_stream() as stream:
        assert stream.try_next() is False
        pool.append({"n": 1})
        assert plasmite.parse_message(stream.try_next()).data == {"n": 1}
        assert stream.try_next() is False
        assert os.fstat(stream.fileno())
    with pool.open_stream(max_messages=0) as stream:
        assert stream.try_next() is None
    for call in (stream.try_next, stream.fileno, stream.next_view, lambda: stream.position):
        with pytest.raises(plasmite.PlasmiteError, match="^plasmite: stream is closed$"):
            call()
