"""Pool: appending and getting; Message."""

import copy
import dataclasses
import enum
import json
import math
import pickle
from datetime import datetime, timezone

import pytest

from plasmite import (
    Durability,
    ErrorKind,
    Message,
    MessageMeta,
    NotFoundError,
    PlasmiteError,
    UsageError,
    parse_message,
)

# Messages ---------------------------------------------------------------------------------------


def envelope(**changes):
    fields = {"seq": 1, "time": "2026-01-02T03:04:05.6Z", "meta": {"tags": ["a"]}, "data": {"k": 1}}
    return json.dumps({**fields, **changes}).encode()


def test_parse_message():
    raw = envelope()
    message = parse_message(raw)
    assert dataclasses.astuple(message) == (
        1,
        datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=timezone.utc),
        "2026-01-02T03:04:05.6Z",
        {"k": 1},
        (["a"],),
        raw,
    )
    assert message.tags == ["a"]
    for other in (bytearray(raw), memoryview(raw)):
        assert parse_message(other) == message
        assert type(parse_message(other).raw) is bytes


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-01-02T03:04:05Z", 0),
        ("2026-01-02T03:04:05.1Z", 100000),
        ("2026-01-02T03:04:05.123456789Z", 123456),
        ("2026-01-02T03:04:05.1234567891234Z", 123456),
        ("2026-01-02T05:04:05.5+02:00", 500000),
    ],
)
def test_times_with_any_fraction(text, micros):
    message = parse_message(envelope(time=text))
    assert message.time == datetime(2026, 1, 2, 3, 4, 5, micros, tzinfo=timezone.utc)
    assert message.time.utcoffset().total_seconds() == 0
    assert message.time_rfc3339 == text


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        b"7",
        b"{",
        b"\xff",
        envelope(time=5),
        envelope(time="2026-01-02T03:04:05"),
        envelope(time="yesterday"),
        envelope(time="2026-13-02T03:04:05Z"),
        envelope(seq="1"),
        envelope(seq=None),
        envelope(seq=True),
    ],
)
def test_what_is_no_message(raw):
    with pytest.raises(ValueError):
        parse_message(raw)


def test_parse_message_takes_bytes_alone():
    for value in ("{}", None, 5, [1]):
        with pytest.raises(TypeError):
            parse_message(value)


@pytest.mark.parametrize("meta", [None, {}, [], {"tags": "a"}, {"tags": [1]}, {"tags": None}])
def test_missing_or_odd_tags_are_none(meta):
    assert parse_message(envelope(meta=meta)).tags == []


def test_messages_are_frozen_dataclasses(pool):
    assert [field.name for field in dataclasses.fields(Message)] == [
        "seq",
        "time",
        "time_rfc3339",
        "data",
        "meta",
        "raw",
    ]
    assert [field.name for field in dataclasses.fields(MessageMeta)] == ["tags"]
    message = pool.append({"n": 1}, ["a"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.seq = 2
    with pytest.raises(AttributeError):
        message.missing
    assert message == parse_message(message.raw)


def test_messages_of_a_pool_can_be_copied_and_pickled(pool):
    for touched in (False, True):
        message = pool.append({"n": 1}, ["a"])
        if touched:
            assert message.data == {"n": 1}
        for again in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
            assert again == message
            assert dataclasses.replace(again, seq=9).seq == 9
    assert "seq=" in repr(pool.append({"n": 2}))


# Appending --------------------------------------------------------------------------------------


def test_append_and_get(pool):
    message = pool.append({"task": "resize", "id": 1}, ["a", "b", "a"], Durability.FLUSH)
    assert (message.seq, message.data) == (1, {"task": "resize", "id": 1})
    assert message.tags == ["a", "b", "a"]
    assert pool.get(1) == message
    assert pool.get_json(1) == message.raw
    assert pool.append({"n": 2}, tags=iter("xy")).tags == ["x", "y"]
    assert pool.append(value={"n": 3}, durability=0).tags == []


def test_a_large_message_survives_a_reopening(client):
    blob = "x" * 65536
    with client.create_pool("a") as pool:
        pool.append({"blob": blob}, ["one", "two", "three"])
    with client.pool("a") as pool:
        assert pool.get(1).data == {"blob": blob}
        assert pool.get(1).tags == ["one", "two", "three"]


def test_append_json(pool):
    raw = pool.append_json(b' {"k" : [1, 2]} ', ["t"], Durability.FAST)
    assert type(raw) is bytes
    assert raw.endswith(b'"meta":{"tags":["t"]},"data":{"k":[1,2]}}')
    assert pool.append_json(bytearray(b'{"k":1}'), [], 0).endswith(b'"data":{"k":1}}')
    assert pool.append_json(memoryview(b'{"k":1}'), (), 1).endswith(b'"data":{"k":1}}')
    assert pool.append_json(memoryview(b'}1:"k"{')[::-1], None, 0).endswith(b'"data":{"k":1}}')
    assert pool.append_json(payload=b"{}", tags=[], durability=0).endswith(b'"data":{}}')


def test_append_json_refuses(pool):
    for payload in ("{}", None, 5, {}, [1]):
        with pytest.raises(TypeError, match="^payload must be bytes-like$"):
            pool.append_json(payload, [], Durability.FAST)
    for payload in (b"", bytearray(), memoryview(b"")):
        with pytest.raises(ValueError, match="^payload is required$"):
            pool.append_json(payload, [], Durability.FAST)
    with pytest.raises(UsageError, match="invalid json"):
        pool.append_json(b"{", [], Durability.FAST)
    with pytest.raises(UsageError, match="data must be object"):
        pool.append_json(b"[]", [], Durability.FAST)
    with pytest.raises(UsageError, match="invalid durability"):
        pool.append_json(b"{}", [], 2)
    with pytest.raises(TypeError):
        pool.append_json(b"{}", [], "fast")
    with pytest.raises(TypeError):
        pool.append_json(b"{}")
    with pytest.raises(TypeError):
        pool.append_json(b"{}", [], 0, 0)
    with pytest.raises(TypeError):
        pool.append_json(b"{}", [], 0, tags=[])
    with pytest.raises(TypeError):
        pool.append_json(b"{}", [], 0, other=1)


def test_tags(pool):
    many = [f"tag-{i}" for i in range(40)]
    assert pool.append({}, many).tags == many
    assert pool.append({}, {"ü": 1}).tags == ["ü"]
    for tags, error in ((["a", 5], TypeError), ("abc", TypeError), (5, TypeError)):
        with pytest.raises(error):
            pool.append({}, tags)
    with pytest.raises(ValueError):
        pool.append({}, ["a\0b"])
    with pytest.raises(ValueError):
        pool.append({}, ["\ud800"])

    def failing():
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.append({}, failing())
    assert pool.append({}).seq == 3


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    pass


VALUES = [
    {},
    {"a": [], "b": (), "c": {}},
    {"n": [0, -1, 2**63 - 1, -(2**63), 2**64, 10**40, -(10**40)]},
    {"x": [0.0, -0.0, 1.5, 1e300, 5e-324, 0.1, 1e16]},
    {"t": True, "f": False, "n": None},
    {"s": ["", "é", "日本", "\x00\x01\x1f\x7f", '"\\/\b\f\n\r\t', "\u2028", "😀"]},
    {"é\n": 1},
    {1: 2, None: 3, True: 4, 1.5: 5},
    {"a": Colour.RED, "b": Text("x"), "c": Text},
    {"deep": json.loads("[" * 400 + "]" * 400)},
    {"deep": json.loads("[" * 700 + "]" * 700)},
    {"long": ["x" * 5000, "\n" * 5000, list(range(3000))]},
]


@pytest.mark.parametrize("value", [one for one in VALUES if "c" not in one or one["c"] is not Text])
def test_values_come_back_as_json_would_give_them(pool, value):
    assert pool.append(value).data == json.loads(json.dumps(value))
    assert pool.get(1).data == json.loads(json.dumps(value))


def test_strings_are_stored_as_utf8(pool):
    raw = pool.append({"é": "日"}).raw
    assert '"data":{"é":"日"}'.encode() in raw


def test_values_that_are_no_json(pool):
    class Unknown:
        pass

    circle = []
    circle.append(circle)
    for value, error in (
        ({"a": Unknown()}, TypeError),
        ({"a": {1, 2}}, TypeError),
        ({(1, 2): 3}, TypeError),
        ({"a": circle}, (ValueError, RecursionError)),
        ({"a": math.nan}, UsageError),
        ({"a": math.inf}, UsageError),
        ({"a": "\ud800"}, UsageError),
    ):
        with pytest.raises(error):
            pool.append(value)
    for value in ([], "text", 5, None, b"{}"):
        with pytest.raises((UsageError, TypeError)):
            pool.append(value)
    assert pool.append({}).seq == 1


def test_append_bytes_gives_the_seq(pool):
    assert pool.append_bytes(b'{"a":1}') == 1
    assert pool.append_bytes(b'{"a":2}', ["t"], Durability.FLUSH) == 2
    assert (pool.get(2).data, pool.get(2).tags) == ({"a": 2}, ["t"])
    with pytest.raises(TypeError, match="payload must be bytes-like"):
        pool.append_bytes("{}")
    with pytest.raises(UsageError):
        pool.append_bytes(b"[")


def test_append_many(client):
    with client.create_pool("a", 16 << 20) as pool:
        assert pool.append_many([]) == []
        assert pool.append_many([{"n": 1}, b'{"n":2}', {"n": 3}], ["t"]) == [1, 2, 3]
        assert [pool.get(seq).data["n"] for seq in (1, 2, 3)] == [1, 2, 3]
        assert pool.get(3).tags == ["t"]
        assert pool.append_many({"n": n} for n in range(10000)) == list(range(4, 10004))
        assert pool.get(10003).data == {"n": 9999}
        with pytest.raises(UsageError, match="1"):
            pool.append_many([{"n": 1}, b"[]", {"n": 3}])
        with pytest.raises(TypeError):
            pool.append_many([{"n": 1}, object()])
        with pytest.raises(TypeError):
            pool.append_many([{"n": 1}], "tag")
        assert pool.append({}).seq == 10004


def test_get_refuses(pool):
    for method in (pool.get_json, pool.get):
        for seq in (0, 1, 42, 2**64 - 1):
            with pytest.raises(NotFoundError, match="message not found") as missing:
                method(seq)
            assert (missing.value.seq, missing.value.path) == (seq, None)
        for seq in ("1", None, 1.0):
            with pytest.raises(TypeError):
                method(seq)
        with pytest.raises(ValueError):
            method(-1)
        with pytest.raises(ValueError):
            method(2**64)


def test_a_closed_pool_refuses_before_it_looks_at_arguments(pool):
    pool.close()
    pool.close()
    for call in (
        lambda: pool.append_json("", 5, None),
        lambda: pool.append(object()),
        lambda: pool.append_bytes(5),
        lambda: pool.append_many([1]),
        lambda: pool.append_lite3("", 0),
        lambda: pool.get_json(-1),
        lambda: pool.get("x"),
        lambda: pool.get_lite3(-1),
        lambda: pool.open_stream(-1),
        lambda: pool.open_lite3_stream(-1),
        lambda: next(pool.tail(max_messages=-1)),
        lambda: next(pool.replay()),
        lambda: pool.follow(),
        lambda: pool.info(),
        lambda: pool.flush(),
        lambda: pool.verify(),
        lambda: pool.path,
    ):
        with pytest.raises(PlasmiteError, match="^plasmite: pool is closed$") as closed:
            call()
        assert type(closed.value) is PlasmiteError
        assert closed.value.kind == ErrorKind.USAGE


def test_with_closes(client):
    with client.pool("a") as pool:
        assert not pool.closed
    assert pool.closed
    with pytest.raises(ZeroDivisionError), client.pool("a") as pool:
        raise ZeroDivisionError
    assert pool.closed


def test_info_flush_verify_path(pool, tmp_path):
    empty = pool.info()
    assert (empty.n_messages, empty.next_seq, empty.file_size) == (0, 1, 1048576)
    assert (empty.oldest_seq, empty.newest_seq, empty.oldest_time) == (None, None, None)
    messages = [pool.append({"n": n}) for n in range(3)]
    pool.flush()
    info = pool.info()
    assert (info.n_messages, info.oldest_seq, info.newest_seq) == (3, 1, 3)
    assert (info.oldest_time, info.newest_time) == (messages[0].time, messages[2].time)
    assert 0 < info.used_bytes < info.ring_size < info.file_size
    report = pool.verify()
    assert (report.healthy, report.messages, report.issues) == (True, 3, [])
    assert pool.path == str(tmp_path / "pools" / "work.plasmite")


def test_verify_finds_damage(pool):
    pool.append({"text": "x" * 300})
    pool.append({"text": "y" * 300})
    data = bytearray(open(pool.path, "rb").read())
    at = data.index(b"x" * 300) + 100
    with open(pool.path, "r+b") as file:
        file.seek(at)
        file.write(b"z")
    report = pool.verify()
    assert not report.healthy
    assert report.issues[0]["offset"] > 0
