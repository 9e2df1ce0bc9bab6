"""Streams, tail() and replay()."""

import threading
import time
from datetime import timedelta

import pytest

import plasmite
from plasmite import ErrorKind, PlasmiteError, RetentionGapError, UsageError, parse_message

LONG_MS = 60_000


def fill(pool, n=5, **more):
    return [pool.append({"n": n, **more}).seq for n in range(n)]


def fill_past(pool, seq):
    for n in range(10_000):
        pool.append({"n": n, "padding": "x" * 4096})
        try:
            pool.get(seq)
        except plasmite.NotFoundError:
            return
    raise AssertionError("nothing is overwritten")


@pytest.fixture
def small(client):
    with client.create_pool("small", 65536) as pool:
        yield pool


# Streams ----------------------------------------------------------------------------------------


def test_stream_gives_json_from_the_oldest_message(pool):
    fill(pool, 3)
    with pool.open_stream(timeout_ms=LONG_MS, max_messages=3) as stream:
        raws = [stream.next_json() for _ in range(3)]
        assert raws == [pool.get_json(seq) for seq in (1, 2, 3)]
        assert stream.next_json() is None
        assert stream.next_json() is None


def test_stream_iterates_up_to_its_maximum(pool):
    fill(pool)
    stream = pool.open_stream(2, 3)
    assert iter(stream) is stream
    assert [parse_message(raw).seq for raw in stream] == [2, 3, 4]
    assert list(stream) == []
    stream.close()


def test_stream_ends_at_its_time(pool):
    with pool.open_stream(9999, 1, 10) as stream:
        assert stream.next_json() is None
    fill(pool, 1)
    with pool.open_stream(timeout_ms=0) as stream:
        assert stream.next_json() is None
    with pool.open_stream(max_messages=0) as stream:
        assert stream.next_json() is None


def test_the_time_of_a_stream_is_a_total(pool):
    fill(pool, 3)
    begin = time.monotonic()
    assert len(list(pool.open_stream(timeout_ms=300))) == 3
    assert time.monotonic() - begin >= 0.3


def test_stream_arguments(pool):
    for arguments in (
        {"since_seq": "1"},
        {"max_messages": 1.0},
        {"timeout_ms": "x"},
        {"error_on_gap": "yes"},
        {"error_on_gap": None},
    ):
        for method in (pool.open_stream, pool.open_lite3_stream):
            with pytest.raises(TypeError):
                method(**arguments)
    for name in ("since_seq", "max_messages", "timeout_ms"):
        for method in (pool.open_stream, pool.open_lite3_stream):
            with pytest.raises(ValueError):
                method(**{name: -1})
        with pytest.raises(ValueError):
            next(pool.tail(**{name: -1}))
        with pytest.raises(ValueError):
            next(pool.tail(tags=["a"], **{name: -1}))
    with pytest.raises(TypeError):
        next(pool.tail(tags=["a"], max_messages="1"))


def test_a_closed_stream(pool):
    fill(pool, 1)
    with pool.open_stream() as stream:
        pass
    stream.close()
    assert stream.closed
    for call in (stream.next_json, lambda: next(stream), lambda: list(stream)):
        with pytest.raises(PlasmiteError, match="^plasmite: stream is closed$") as closed:
            call()
        assert type(closed.value) is PlasmiteError
        assert closed.value.kind == ErrorKind.USAGE


def test_streams_outlive_their_pool(client):
    pool = client.pool("a")
    fill(pool, 2)
    stream = pool.open_stream(max_messages=2)
    pool.close()
    assert len(list(stream)) == 2


def test_a_waiting_stream_is_woken(pool):
    with pool.open_stream(timeout_ms=LONG_MS) as stream:
        late = threading.Timer(0.05, pool.append, [{"n": 1}])
        late.start()
        assert parse_message(stream.next_json()).data == {"n": 1}
        late.join()


def test_a_stream_of_a_deleted_pool(client, pool):
    import os

    os.unlink(os.path.join(client.pool_dir, "work.plasmite"))
    with pytest.raises(plasmite.NotFoundError):
        pool.open_stream()


# Gaps -------------------------------------------------------------------------------------------


def test_gaps_are_passed_over_by_default(small):
    small.append({"kind": "first"})
    fill_past(small, 1)
    message = next(small.tail(1, 1, LONG_MS))
    assert message.seq > 1


def test_a_gap_is_an_error_where_asked_for(small):
    small.append({"kind": "first"})
    fill_past(small, 1)
    with small.open_stream(1, error_on_gap=True) as stream:
        with pytest.raises(RetentionGapError, match="the next available message is") as gap:
            stream.next_json()
        assert (gap.value.kind, gap.value.seq, gap.value.path) == (ErrorKind.RETENTION_GAP, 1, None)
        assert stream.next_json() is None
        assert list(stream) == []


def test_a_filter_hides_no_gap(small):
    small.append({"kind": "first"})
    fill_past(small, 1)
    tail = small.tail(1, timeout_ms=LONG_MS, tags=["never"], error_on_gap=True)
    with pytest.raises(RetentionGapError) as gap:
        next(tail)
    assert gap.value.seq == 1
    with pytest.raises(StopIteration):
        next(tail)


def test_a_stream_that_writers_overtake(small):
    seed, second = small.append({"n": 0}).seq, small.append({"n": 1}).seq
    with small.open_stream(seed, None, LONG_MS, True) as stream:
        assert parse_message(stream.next_json()).seq == seed
        assert parse_message(stream.next_json()).seq == second
        missed = small.append({"n": 2}).seq
        fill_past(small, missed)
        with pytest.raises(RetentionGapError) as gap:
            stream.next_json()
        assert gap.value.seq == missed


# tail() -----------------------------------------------------------------------------------------


def test_tail(pool):
    fill(pool)
    assert [message.seq for message in pool.tail(timeout_ms=50)] == [1, 2, 3, 4, 5]
    assert [message.seq for message in pool.tail(3, 2)] == [3, 4]
    assert list(pool.tail(max_messages=0)) == []


def test_tail_opens_late_and_its_time_begins_then(pool, monkeypatch):
    opened = []
    real = type(pool).open_stream
    monkeypatch.setattr(
        type(pool), "open_stream", lambda *a, **k: opened.append(1) or real(*a, **k)
    )
    tail = pool.tail(max_messages=1)
    assert opened == []
    fill(pool, 1)
    assert next(tail).seq == 1
    assert opened == [1]


def test_tail_closes_its_stream(pool, monkeypatch):
    streams = []
    real = type(pool).open_stream
    monkeypatch.setattr(
        type(pool), "open_stream", lambda *a, **k: streams.append(real(*a, **k)) or streams[-1]
    )
    fill(pool, 2)
    list(pool.tail(max_messages=2))
    tail = pool.tail()
    next(tail)
    tail.close()
    for _ in pool.tail():
        break
    with pytest.raises(ZeroDivisionError):
        for _ in pool.tail():
            raise ZeroDivisionError
    assert [stream.closed for stream in streams] == [True] * 4


def test_tail_with_tags(pool):
    for n in range(6):
        pool.append({"n": n}, ["even" if n % 2 == 0 else "odd", "all"])
    assert [m.data["n"] for m in pool.tail(timeout_ms=50, tags=["even"])] == [0, 2, 4]
    assert [m.data["n"] for m in pool.tail(tags=("odd", "all"), max_messages=2)] == [1, 3]
    assert list(pool.tail(timeout_ms=20, tags=["odd", "even"])) == []
    assert list(pool.tail(timeout_ms=20, tags=["eve"])) == []
    assert len(list(pool.tail(timeout_ms=50, tags=[]))) == 6
    assert list(pool.tail(tags=["even"], max_messages=0)) == []


def test_tags_are_looked_at_only_where_asked_for(pool, monkeypatch):
    pool.append({"n": 1}, ["a"])

    def refuse(message, required):
        raise ZeroDivisionError

    monkeypatch.setattr(plasmite, "_message_has_tags", refuse)
    assert len(list(pool.tail(max_messages=1))) == 1
    assert len(list(pool.tail(max_messages=1, tags=[]))) == 1
    assert len(list(pool.replay(max_messages=1))) == 1
    with pytest.raises(ZeroDivisionError):
        next(pool.tail(tags=["a"]))
    with pytest.raises(ZeroDivisionError):
        next(pool.replay(tags=["a"]))


# replay() ---------------------------------------------------------------------------------------


def test_replay_keeps_the_pauses(pool, monkeypatch):
    for n in range(3):
        pool.append({"n": n})
    times = [message.time for message in pool.tail(max_messages=3)]
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    assert [m.data["n"] for m in pool.replay(0.5, max_messages=3)] == [0, 1, 2]
    wanted = [(times[i + 1] - times[i]) / timedelta(seconds=0.5) for i in range(2)]
    assert pauses == pytest.approx(wanted)


def test_replay_arguments(pool):
    fill(pool)
    for speed in (0, -1, float("nan")):
        replay = pool.replay(speed)
        with pytest.raises(ValueError, match="^speed must be positive$"):
            next(replay)
    assert [m.seq for m in pool.replay(1e9, 2, 3)] == [2, 3, 4]
    assert [m.seq for m in pool.replay(speed=1e9, timeout_ms=50)] == [1, 2, 3, 4, 5]


def test_pauses_spend_the_time_of_a_replay(pool, monkeypatch):
    pool.append({"n": 0})
    time.sleep(0.02)
    pool.append({"n": 1})
    begin = time.monotonic()
    assert [m.data["n"] for m in pool.replay(1e-6, timeout_ms=100)] == [0]
    assert time.monotonic() - begin >= 0.1


def test_two_threads_cannot_take_from_one_stream(pool):
    with pool.open_stream() as stream:
        results = []

        def take():
            try:
                results.append(stream.next_json())
            except UsageError as error:
                results.append(str(error))

        threads = [threading.Thread(target=take) for _ in range(2)]
        for thread in threads:
            thread.start()
        while not results:
            time.sleep(0.001)
        assert "another thread" in results[0]
        pool.append({"n": 1})
        for thread in threads:
            thread.join()
        assert parse_message(results[1]).seq == 1
