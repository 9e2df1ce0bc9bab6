"""pool import: pools of format version 3, which Plasmite 0.8 made, read into new ones (docs/format-3.md)."""

import fcntl
import functools
import json
import os
import random
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import lite3  # noqa: E402  (found by the line above)
import pool3  # noqa: E402

TIME_NS = 1_700_000_000_000_000_000


@functools.cache
def wrapped_pool():
    pool = pool3.Pool3(65536)
    said = {}
    for i in range(1, 701):
        data, tags = {"n": i, "text": "é\n" * (i % 50), "list": [i, None, 1.5]}, ["a", f"t{i}"][:i % 3]
        seq = pool.append(data, tags, TIME_NS + i * 1_000_000)
        said[seq] = (data, tags, TIME_NS + i * 1_000_000)
    pool.said = {seq: said[seq] for seq, _, _ in pool.frames}
    return pool


@pytest.fixture
def old(cli):
    """A pool that has gone round its ring, and the messages that are left in it."""
    cli.pools.mkdir()
    cli.path("old").write_bytes(bytes(wrapped_pool()))
    return wrapped_pool()


def write(cli, pool, name="old"):
    cli.pools.mkdir(exist_ok=True)
    cli.path(name).write_bytes(bytes(pool))


def messages(cli, name):
    return cli.run("follow", name, "--since", "1970-01-01T00:00:00Z", "--replay", "0", "--jsonl").ok().lines


def left_over(cli):
    """What lies beside the old pool."""
    return sorted(path.name for path in cli.pools.iterdir() if path.name != "old.plasmite")


def test_everything_is_kept(cli, old):
    before = cli.path("old").read_bytes()
    done = cli.run("pool", "import", "old", "new", "--json").ok().json
    assert done["imported"] == {"path": str(cli.path("old")), "messages": len(old.said)}
    (created,) = done["created"]
    assert created == cli.run("pool", "info", "new", "--json").ok().json | {"metrics": created["metrics"]}
    assert created["file_size"] == 65536
    assert created["bounds"] == {"oldest": min(old.said), "newest": 700}
    assert old.head < old.tail  # it has wrapped
    got = messages(cli, "new")
    assert [message["seq"] for message in got] == list(old.said)
    for message in got:
        data, tags, time_ns = old.said[message["seq"]]
        assert (message["data"], message["meta"]["tags"]) == (data, tags)
        fraction = message["time"].rstrip("Z").partition(".")[2]
        assert int(fraction.ljust(9, "0") or 0) == time_ns % 1_000_000_000
    assert cli.path("old").read_bytes() == before
    assert cli.path("new").stat().st_mode & 0o777 == 0o600
    assert cli.run("feed", "new", "{}").ok().json["seq"] == 701
    assert cli.run("doctor", "new").ok().text == "OK: new\n"
    assert left_over(cli) == ["new.plasmite"]


def test_tags_and_data_are_found_by_filters(cli, old):
    cli.run("pool", "import", "old", "new").ok()
    arguments = ("follow", "new", "--tail", "1", "--replay", "0", "--jsonl")
    assert cli.run(*arguments, "--tag", "t698").ok().lines[0]["seq"] == 698
    assert cli.run(*arguments, "--where", ".data.n == 650").ok().lines[0]["seq"] == 650


@pytest.mark.parametrize("last", [0, 1, 41])
def test_an_empty_pool_goes_on_where_it_was(cli, last):
    pool = pool3.Pool3(8192)
    for i in range(last):
        pool.append({"n": i})
    pool.clear()
    write(cli, pool)
    done = cli.run("pool", "import", "old", "new", "--json").ok().json
    assert done["imported"]["messages"] == 0 and done["created"][0]["bounds"] == {}
    assert cli.run("feed", "new", "{}").ok().json["seq"] == last + 1


@pytest.mark.parametrize("size, capacity", [(8192, None), (8193, 0), (12287, 3), (65536, None), (300_001, 7)])
def test_every_state_of_a_ring(cli, size, capacity):
    """Wrapped at all kinds of places, full to the last byte, sizes that are no multiple of eight."""
    draw = random.Random(size)
    pool = pool3.Pool3(size, capacity, first_seq=draw.choice([1, 1000, 2**40]))
    room = len(pool.ring)
    for lap in range(12):
        for _ in range(draw.randrange(1, 12)):
            # 572 bytes are all but the string
            pool.append({"s": "x" * draw.randrange(0, room - 572 if draw.random() < 0.2 else 90)})
        write(cli, pool, f"old{lap}")
        cli.run("pool", "import", f"old{lap}", f"new{lap}", "--size", "4M").ok()
        assert [message["seq"] for message in messages(cli, f"new{lap}")] == [seq for seq, _, _ in pool.frames]


def test_data_is_what_the_payload_says(cli):
    """All kinds of values, in the order of the tree."""
    documents = [{"b": b"\x00\xffbytes", "big": 2**63 - 1, "small": -2**63, "f": 0.1, "exp": 1e300, "zero": -0.0},
                 {f"key{i}": [i, {"deep": [None, True, "ü\u2028\"\\\x1f"]}] for i in range(60)}, {}]
    pool = pool3.Pool3(1 << 20)
    for document in documents:
        pool.append(document)
    write(cli, pool)
    cli.run("pool", "import", "old", "new").ok()
    for document, message in zip(documents, messages(cli, "new"), strict=True):
        expected = lite3.decode(lite3.encode(document))
        assert message["data"] == expected and list(message["data"]) == list(expected)
    assert b'"exp":1e+300' in cli.run("fetch", "new", "1").out and b'"zero":-0.0' in cli.run("fetch", "new", "1").out


def test_times_never_run_backwards(cli):
    pool = pool3.Pool3(8192)
    for time_ns in (TIME_NS, TIME_NS - 5, 0, TIME_NS + 5):
        pool.append({}, (), time_ns)
    write(cli, pool)
    cli.run("pool", "import", "old", "new").ok()
    times = [message["time"] for message in messages(cli, "new")]
    assert times[0] == times[1] == times[2] == "2023-11-14T22:13:20Z"
    assert times[3] == "2023-11-14T22:13:20.000000005Z"


def test_a_smaller_pool_keeps_the_last_messages(cli, old):
    done = cli.run("pool", "import", "old", "new", "--size", "16K", "--index-capacity", "8", "--json").ok().json
    assert done["imported"]["messages"] == len(old.said)
    (created,) = done["created"]
    assert created["file_size"] == 16384 and created["index_capacity"] == 8
    assert created["bounds"]["newest"] == 700 and created["bounds"]["oldest"] > min(old.said)
    on_terminal = cli.tty("pool", "import", "old", "again", "--size", "16K").text
    assert "a larger --size keeps more" in on_terminal


def test_output_of_import(cli, old):
    lines = cli.run("pool", "import", "old", "new").ok().text.splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "MESSAGES", "SIZE", "PATH"], ["new", str(len(old.said)), "65536", "new.plasmite"]]
    text = cli.tty("pool", "import", "old", "third").text.replace("\r", "")
    assert text == (f"Imported {len(old.said)} messages (seq {min(old.said)} to 700) into third\n"
                    f"  path: {cli.path('third')}\n")


def test_paths_and_folders_that_are_made(cli, old):
    target = cli.root / "deep/er/new.pool"
    cli.bare("pool", "import", cli.path("old"), target).ok()
    assert target.stat().st_size == 65536 and target.parent.stat().st_mode & 0o777 == 0o700


def test_a_pool_that_exists_stays(cli, old):
    cli.run("feed", "new", "--create", '{"mine":1}').ok()
    before = cli.path("new").read_bytes()
    error = cli.run("pool", "import", "old", "new").fails("AlreadyExists", 4, "pool already exists")
    assert error["path"] == str(cli.path("new")) and error["hint"]
    assert cli.path("new").read_bytes() == before
    cli.run("pool", "import", "old", "old").fails("AlreadyExists", 4)
    assert left_over(cli) == ["new.plasmite"]


def test_what_is_no_such_pool(cli):
    cli.run("feed", "ours", "--create", "{}").ok()
    error = cli.run("pool", "import", "nope", "new").fails("NotFound", 3, "not found")
    assert error["path"] == str(cli.path("nope")) and error["hint"]
    cli.run("pool", "import", "ours", "new").usage("this version's format already")
    for version in (1, 2, 4):
        pool = pool3.Pool3(8192)
        pool.version = version
        write(cli, pool)
        cli.run("pool", "import", "old", "new").usage(f"unsupported pool format version {version} (supported: 3)")
    cli.run("pool", "import", "http://host:1/x", "new").usage("local pool refs only")
    cli.run("pool", "import", "ours", "new", "--size", "0").usage("file_size must exceed")
    cli.path("folder").mkdir()
    cli.run("pool", "import", "folder", "new").fails("Io", 8, "not a regular file")
    os.mkfifo(cli.path("fifo"))
    assert cli.run("pool", "import", "fifo", "new", timeout=20).code == 8
    cli.path("text").write_bytes(b"hello\n" * 2000)
    cli.run("pool", "import", "text", "new").fails("Corrupt", 7, "not a pool file")
    cli.path("short").write_bytes(b"PLSM\3\0\0\0")
    cli.run("pool", "import", "short", "new").fails("Corrupt", 7, "too short")
    assert not cli.path("new").exists()


HEADER = {  # offset: (format, value), at which the header contradicts itself
    "endian": (8, "<B", 2), "file_size": (16, "<Q", 65544), "index_offset": (24, "<Q", 8192),
    "index_capacity": (32, "<I", 257), "ring_offset": (40, "<Q", 8200), "ring_size": (48, "<Q", 57336),
    "head": (64, "<Q", 57344), "tail": (72, "<Q", 1 << 60), "unaligned": (72, "<Q", 4), "tail_next": (80, "<Q", 3),
    "oldest": (88, "<Q", 9999), "newest": (96, "<Q", 1 << 63), "no messages": (88, "<Q", 0),
}


@pytest.mark.parametrize("what", HEADER)
def test_headers_that_contradict_themselves(cli, old, what):
    offset, form, value = HEADER[what]
    damaged = bytearray(bytes(old))
    struct.pack_into(form, damaged, offset, value)
    cli.path("old").write_bytes(damaged)
    error = cli.run("pool", "import", "old", "new").fails("Corrupt", 7)
    assert error["path"] == str(cli.path("old"))
    assert left_over(cli) == []


FRAME = {  # offset in a message: bytes
    "magic": (0, b"FRM2"), "being written": (4, b"\1"), "wrap mark": (4, b"\3"), "header length": (12, b"\x41"),
    "seq": (16, b"\xff"), "length": (32, b"\xff"), "end mark": (-8, b"XXXXXXXX"), "root": (64, b"\5"),
    "key": (64 + 0x63, b"\xff"),
}


@pytest.mark.parametrize("what", FRAME)
def test_damaged_messages(cli, old, what):
    seq = 650
    start = old.offset_of(seq)
    offset, changed = FRAME[what]
    damaged = bytearray(bytes(old))
    if offset < 0:
        offset += 64 + struct.unpack_from("<I", damaged, start + 32)[0] + 8
    damaged[start + offset:start + offset + len(changed)] = changed
    cli.path("old").write_bytes(damaged)
    error = cli.run("pool", "import", "old", "new").fails("Corrupt", 7)
    assert error["path"] == str(cli.path("old"))
    if what == "wrap mark":  # it leads to the ring's start, where another message lies
        assert error["offset"] == old.ring_offset
    else:
        assert start <= error["offset"] < start + 64 + 500
    assert left_over(cli) == []


def test_a_ring_of_wrap_marks_ends(cli, old):
    """The mark at the start of the ring leads to itself."""
    damaged = bytearray(bytes(old))
    for at in (old.ring_offset, old.ring_offset + old.tail):
        struct.pack_into("<4sIIIQQII", damaged, at, b"FRM1", 3, 0, 64, 0, 0, 0, 0xFFFFFFFF)
    cli.path("old").write_bytes(damaged)
    cli.run("pool", "import", "old", "new", timeout=20).fails("Corrupt", 7, "no end")
    assert left_over(cli) == []


def test_the_newest_message_is_where_the_pool_ends(cli, old):
    damaged = bytearray(bytes(old))
    struct.pack_into("<Q", damaged, 96, 690)
    cli.path("old").write_bytes(damaged)
    cli.run("pool", "import", "old", "new").fails("Corrupt", 7, "newest message")
    assert left_over(cli) == []


def test_a_message_that_does_not_fit(cli):
    pool = pool3.Pool3(8192)
    pool.append({})
    pool.append({"s": "x" * 2000})
    write(cli, pool)
    error = cli.run("pool", "import", "old", "new", "--size", "5120", "--index-capacity", "0").usage("does not fit")
    assert "--size" in error["hint"] and error["seq"] == 2 and error["path"] == str(cli.path("new"))
    cli.run("pool", "import", "old", "new", "--size", "4000").usage("file_size must exceed")
    assert left_over(cli) == []


def test_a_writers_lock_is_waited_for(cli, old):
    with open(cli.path("old"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        running = cli.start("pool", "import", "old", "new", "--json")
        # it waits while the lock is held: that it has the file open is seen from outside
        while not any(os.path.realpath(f"/proc/{running.process.pid}/fd/{fd}") == str(cli.path("old").resolve())
                      for fd in os.listdir(f"/proc/{running.process.pid}/fd")):
            assert running.process.poll() is None
        assert not cli.path("new").exists()
        fcntl.flock(file, fcntl.LOCK_UN)
    assert running.finish().ok().json["imported"]["messages"] == len(old.said)


def test_a_lock_that_is_never_given_up(cli, old):
    with open(cli.path("old"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        error = cli.run("pool", "import", "old", "new").fails("Busy", 5, "pool is busy")
    assert error["path"] == str(cli.path("old")) and "old pool" in error["hint"]
    assert left_over(cli) == []


OTHERS = [["pool", "info", "old"], ["feed", "old", "{}"], ["feed", "old", "--create", "{}"], ["follow", "old"],
          ["follow", "old", "--create", "--tail", "1"], ["fetch", "old", "1"], ["duplex", "old", "--me", "x"],
          ["tap", "old", "--", "true"], ["poke", "old", "{}"], ["peek", "old", "--one"], ["get", "old", "1"]]


@pytest.mark.parametrize("command", OTHERS, ids=" ".join)
def test_every_other_command_names_the_import(cli, old, command):
    error = cli.run(*command, timeout=20).usage("unsupported pool format version 3")
    assert "plasmite pool import OLD NEW" in error["hint"] and error["path"] == str(cli.path("old"))


def test_listing_and_doctor_name_the_version(cli, old):
    (listed,) = cli.run("pool", "list", "--json").ok().json["pools"]
    assert "version 3" in json.dumps(listed["error"]) and "pool import" in json.dumps(listed["error"])
    report = cli.run("doctor", "old", "--json")
    assert report.code == 7 and "pool import" in report.json["reports"][0]["remediation_hints"][0]
    assert "pool import OLD NEW" in cli.run("doctor", "old").text
    cli.run("doctor", "old", "--repair")
    assert cli.path("old").read_bytes() == bytes(old)
