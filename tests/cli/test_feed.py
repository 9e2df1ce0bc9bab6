"""feed and its ingestion: contract sections 9 and 10."""

import fcntl
import json
import os
import re
import signal
import threading

import pytest


def jsonl(*objects):
    return "".join(json.dumps(item) + "\n" for item in objects).encode()


# --- receipts

def test_receipt_in_a_pipe(cli):
    done = cli.run("feed", "a", "--create", "--tag", "x", "--tag", "y", "--tag", "x", '{"n":1}').ok()
    receipt = done.json
    assert set(receipt) == {"meta", "seq", "time"}
    assert receipt["seq"] == 1 and receipt["meta"] == {"tags": ["x", "y", "x"]}
    message = cli.run("fetch", "a", "1").ok().json
    assert message["time"] == receipt["time"] and message["meta"] == receipt["meta"]
    assert cli.run("feed", "a", '{"n":2}').ok().json["meta"] == {"tags": []}


def test_receipts_of_a_stream(cli):
    receipts = cli.run("feed", "a", "--create", "--tag", "t", stdin=jsonl(*({"n": i} for i in range(5000)))).ok().lines
    assert [receipt["seq"] for receipt in receipts] == list(range(1, 5001))
    messages = cli.backlog("a")
    assert [message["data"]["n"] for message in messages] == list(range(5000))[-len(messages):]
    times = {receipt["seq"]: receipt["time"] for receipt in receipts}
    assert all(times[message["seq"]] == message["time"] for message in messages)


def test_receipt_on_a_terminal(cli):
    text = cli.tty("feed", "a", "--create", '{"n":1}').ok().text
    assert re.fullmatch(r"fed seq=1 at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", text)
    text = cli.tty("feed", "a", "--tag", "x", "--tag", "y z", '{"n":1}').ok().text
    assert re.fullmatch(r"fed seq=2 at [^ ]+Z  tags: x,y z\n", text)


def test_receipt_in_colour(cli):
    text = cli.bare("--color", "always", "--dir", cli.pools, "feed", "a", "--create", "{}").ok().text
    assert '\x1b[36m"seq"\x1b[0m' in text and text.count("\n") > 3


def test_odd_tags(cli):
    tags = ["", 'quo"te', "back\\slash", "tab\t", "é", "[]"]
    flags = [word for tag in tags for word in ("--tag", tag)]
    receipt = cli.run("feed", "a", "--create", *flags, "{}").ok().json
    assert receipt["meta"]["tags"] == tags
    assert cli.run("fetch", "a", "1").ok().json["meta"]["tags"] == tags
    for tag in tags:
        assert len(cli.backlog("a", "--tag", tag)) == 1
    assert cli.backlog("a", "--tag", "quo") == []


def test_too_many_tags(cli):
    flags = [word for _ in range(100) for word in ("--tag", "x" * 1000)]
    cli.run("feed", "a", "--create", *flags, "{}").usage("too many tags")


# --- where the data comes from

def test_data_argument_leaves_stdin_alone(cli):
    reader, writer = os.pipe()  # nothing is ever written: reading it would wait for ever
    with os.fdopen(reader) as stdin:
        cli.run("feed", "a", "--create", '{"n":1}', stdin=stdin).ok()
    os.close(writer)


def test_file(cli, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_bytes(jsonl({"n": 1}, {"n": 2}))
    cli.run("feed", "a", "--create", "--file", file).ok()
    cli.run("feed", "a", "-f", "-", stdin=jsonl({"n": 3})).ok()
    assert [item["n"] for item in cli.data("a")] == [1, 2, 3]


def test_file_unreadable(cli, tmp_path):
    cli.create("a")
    error = cli.run("feed", "a", "--file", "nope").fails("Io", 8)
    assert error["message"] == "failed to read data file" and error["path"] == "nope"
    assert error["causes"] == ["No such file or directory (os error 2)"]
    error = cli.run("feed", "a", "--file", tmp_path).fails("Io", 8, "failed to read data file")
    assert error["path"] == str(tmp_path)


@pytest.mark.parametrize("stdin", [b"", b"\n", b"  \n\t\n", b"\xef\xbb\xbf", None])
@pytest.mark.parametrize("mode", [[], ["--in", "jsonl"], ["--in", "json"], ["--in", "seq"], ["--in", "jq"]])
def test_no_input(cli, stdin, mode):
    cli.create("a")
    error = cli.run("feed", "a", *mode, stdin=stdin).usage()
    assert error["message"] == "missing data input"
    assert "--file" in error["hint"] and "pipe" in error["hint"]


def test_no_input_on_a_terminal(cli):
    cli.create("a")
    done = cli.tty("feed", "a", env={"NO_COLOR": "1"})
    assert done.code == 2 and done.text.startswith("error: missing data input\nhint: ")


@pytest.mark.parametrize("data", ["", "{", "x", "{}{}", "...", "{'a':1}", '{"a":1,}', "-"])
def test_data_that_is_no_json(cli, data):
    cli.create("a")
    error = cli.run("feed", "a", data).usage()
    assert error["message"] == "invalid json" and len(error["causes"]) == 1


def test_invalid_json_says_where(cli):
    cli.create("a")
    cause = cli.run("feed", "a", '{"a": nope}').usage("invalid json")["causes"][0]
    assert "column 7" in cause or "offset 6" in cause


@pytest.mark.parametrize("data", ["1", "[]", "null", "true", '"x"', "[{}]"])
def test_data_must_be_an_object(cli, data):
    cli.create("a")
    assert cli.run("feed", "a", data).usage()["message"] == "data must be object"
    assert cli.run("feed", "a", stdin=data.encode()).usage()["message"] == "data must be object"


# --- options

def test_create(cli):
    cli.run("feed", "a", "--create", "{}").ok()
    cli.run("feed", "a", "--create", "{}").ok()
    assert cli.path("a").stat().st_size == 1 << 20
    cli.run("feed", "b", "--create", "--create-size", "64K", "{}").ok()
    assert cli.path("b").stat().st_size == 65536
    cli.run("feed", "b", "--create", "--create-size", "1M", "{}").ok()
    assert cli.path("b").stat().st_size == 65536
    cli.run("feed", "./deep/er/c", "--create", "{}").ok()
    assert (cli.root / "deep/er/c").is_file()


def test_create_leaves_the_pool_when_the_data_is_bad(cli):
    cli.run("feed", "a", "--create", "x").usage("invalid json")
    assert cli.path("a").exists()


# arguments, message, hint
REFUSED = [
    (["--create-size", "1M"], "--create-size requires --create", "Add --create"),
    (["--retry-delay", "1s"], "--retry-delay requires --retry", "Add --retry"),
    (["--retry", "0", "--retry-delay", "1s"], "--retry-delay requires --retry", "Add --retry"),
    (["--durability", "slow"], "invalid durability", "flush"),
    (["--retry", "1", "--retry-delay", "1"], "invalid duration", "500ms"),
    (["--create", "--create-size", "1KiB"], "invalid size suffix", "64K"),
    (["--in", "jq", "--errors", "skip"], "--in jq does not support --errors skip", "jsonl"),
]


@pytest.mark.parametrize("flags,message,hint", REFUSED)
def test_options_that_are_refused(cli, flags, message, hint):
    """Usage errors win over a missing pool, and over bad data."""
    error = cli.run("feed", "missing", "x", *flags).usage()
    assert error["message"] == message and hint in error["hint"]
    assert not cli.pools.exists()


@pytest.mark.parametrize("durability", ["fast", "flush"])
def test_durability(cli, durability):
    cli.run("feed", "a", "--create", "--durability", durability, "{}").ok()
    cli.run("feed", "a", "--durability", durability, stdin=jsonl(*({"n": i} for i in range(1000)))).ok()
    assert len(cli.data("a")) == 1001


# --- a missing pool

def test_missing_pool(cli):
    error = cli.run("feed", "missing", "bad json").fails("NotFound", 3)
    assert error["message"] == "not found" and error["path"].endswith("missing.plasmite")
    assert error["causes"] == ["No such file or directory (os error 2)"]
    assert not cli.pools.exists()


@pytest.mark.parametrize("args,exact", [
    (["missing", '{"n":1}'], 'plasmite feed missing --create "{\\"n\\":1}"'),
    (["missing", "--tag", "a", "--tag", "b c", "{}"],
     'plasmite feed missing --create --tag a --tag "b c" "{}"'),
    (["my pool", "--retry", "3", "--retry-delay", "100ms", "--durability", "flush", "x"],
     'plasmite feed "my pool" --create x --durability flush --retry 3 --retry-delay 100ms'),
    (["missing", "-f", "in.json", "-i", "json", "-e", "skip", "--durability", "fast"],
     "plasmite feed missing --create --file in.json --in json --errors skip"),
])
def test_missing_pool_names_the_exact_command(cli, args, exact):
    hint = cli.bare("feed", *args).fails("NotFound", 3)["hint"]
    assert "--create" in hint and "exact command" in hint
    assert hint.endswith(exact)


def test_missing_pool_with_piped_data_gives_general_advice(cli):
    hint = cli.run("feed", "missing", stdin=b"{}").fails("NotFound", 3)["hint"]
    assert "plasmite feed <pool> --create" in hint and "exact command" not in hint


# --- ways to cut a stream

# name, flags, input, the data that is stored
STREAMS = [
    ("lines", [], b'{"n":1}\n{"n":2}\n', [{"n": 1}, {"n": 2}]),
    ("no newline at the end", [], b'{"n":1}\n{"n":2}', [{"n": 1}, {"n": 2}]),
    ("carriage returns", [], b'{"n":1}\r\n{"n":2}\r\n', [{"n": 1}, {"n": 2}]),
    ("blank lines", [], b'\n  \n{"n":1}\n\n\t\n{"n":2}\n\n', [{"n": 1}, {"n": 2}]),
    ("byte order mark", [], b'\xef\xbb\xbf{"n":1}\n', [{"n": 1}]),
    ("strict lines", ["--in", "jsonl"], b'{"n":1}\n\n{"n":2}', [{"n": 1}, {"n": 2}]),
    ("pretty json", [], b'{\n  "n": 1,\n  "m": [\n    1,\n    {\n    }\n  ]\n}\n{"n":2}\n',
     [{"n": 1, "m": [1, {}]}, {"n": 2}]),
    ("pretty json one behind the other", [], b'{\n"n":1\n}\n{\n"n":2\n}', [{"n": 1}, {"n": 2}]),
    ("pretty json with strings", [], b'{\n"}": "{",\n"\\"": "]"\n}\n', [{"}": "{", '"': "]"}]),
    ("several on a line", [], b'{"n":1}{"n":2} {"n":3}\n{"n":4}\n', [{"n": i} for i in (1, 2, 3, 4)]),
    ("one document", ["--in", "json"], b'\n{\n"n":\n1}\n', [{"n": 1}]),
    ("sequence", ["--in", "seq"], b'\x1e{"n":1}\n\x1e{"n":2}\n', [{"n": 1}, {"n": 2}]),
    ("sequence, found", [], b'\x1e{"n":1}\n\x1e{\n"n":2\n}', [{"n": 1}, {"n": 2}]),
    ("sequence, blank records", [], b'\x1e\x1e \n\x1e{"n":1}\n', [{"n": 1}]),
    ("text before the first separator", [], b'{"n":1}\n\x1e{"n":2}\n', [{"n": 1}, {"n": 2}]),
    ("sequence, broken utf-8", [], b'\x1e{"s":"a\xff\xc3b"}\n', [{"s": "a\ufffd\ufffdb"}]),
    ("events", [], b'data: {"n":1}\n\ndata:{"n":2}\n\n', [{"n": 1}, {"n": 2}]),
    ("events of several lines", [], b'data: {\ndata: "n":1\ndata: }\n\n', [{"n": 1}]),
    ("events with other fields", [],
     b': hello\n\nevent: x\nid: 7\ndata: {"n":1}\nretry: 10\n\n:\n\nid: 8\n\ndata: {"n":2}',
     [{"n": 1}, {"n": 2}]),
    ("events with carriage returns", [], b'data: {"n":1}\r\n\r\ndata: {"n":2}\r\n\r\n', [{"n": 1}, {"n": 2}]),
    ("events beginning with retry", [], b'retry: 100\ndata: {"n":1}\n\n', [{"n": 1}]),
    ("events after blank lines", [], b'\n\n  data: {"n":0}\ndata: {"n":1}\n\n', [{"n": 1}]),
    ("values", ["--in", "jq"], b'{"n":1}{"n":2}\n\n {\n"n":3\n}', [{"n": 1}, {"n": 2}, {"n": 3}]),
]


@pytest.mark.parametrize("name,flags,stdin,expected", STREAMS, ids=[case[0] for case in STREAMS])
def test_streams(cli, tmp_path, name, flags, stdin, expected):
    cli.run("feed", "a", "--create", *flags, stdin=stdin).ok()
    assert cli.data("a") == expected
    file = tmp_path / "input"
    file.write_bytes(stdin)
    cli.run("feed", "b", "--create", *flags, "--file", file).ok()
    assert cli.data("b") == expected


@pytest.mark.parametrize("name,flags,stdin,expected", STREAMS, ids=[case[0] for case in STREAMS])
def test_streams_byte_by_byte(cli, name, flags, stdin, expected):
    """However a stream is cut into reads, its records are the same."""
    running = cli.start("feed", "a", "--create", *flags, stdin=-1)
    for i in range(len(stdin)):
        os.write(running.process.stdin.fileno(), stdin[i:i + 1])
    done = running.finish().ok()
    assert len(done.lines) == len(expected)
    assert cli.data("a") == expected


# first piece; what follows; the records that must be stored before it follows
LIVE = [
    ("a line", b'{"n":1}\n', b'{"n":2}\n', 1),
    ("the end of pretty json", b'{\n"n":1\n}\n', b'{"n":2}\n', 1),
    ("an event", b'data: {"n":1}\n\n', b'data: {"n":2}\n\n', 1),
    ("a record of a sequence", b'\x1e{"n":1}\n', b'\x1e{"n":2}\n', 1),
    ("two lines and a half", b'{"n":0}\n{"n":1}\n{"n"', b':2}\n', 2),
]


@pytest.mark.parametrize("name,first,second,count", LIVE, ids=[case[0] for case in LIVE])
def test_records_are_stored_as_they_arrive(cli, name, first, second, count):
    running = cli.start("feed", "a", "--create", stdin=-1)
    running.feed(first)
    for i in range(count):
        assert running.json()["seq"] == i + 1
    assert [item["n"] for item in cli.data("a")][-1] == 1
    running.feed(second)
    assert running.json()["seq"] == count + 1
    running.finish().ok()


# --- bad records

def test_stop_keeps_what_came_before(cli):
    cli.create("a")
    done = cli.run("feed", "a", stdin=b'{"n":1}\n{"n":2}\n{nope}\n{"n":3}\n')
    error = done.usage("invalid json input")
    assert "-e skip" in error["hint"] and error["causes"]
    assert [line["seq"] for line in done.lines] == [1, 2]
    assert [item["n"] for item in cli.data("a")] == [1, 2]


@pytest.mark.parametrize("mode", ["auto", "jsonl", "json", "seq", "jq"])
def test_stop_names_what_skips(cli, mode):
    """In a way that is accepted: jq's values cannot be skipped."""
    cli.create("a")
    for stdin, message in ((b"{nope}\n", "invalid json input"),
                           (b'{"p":"' + b"x" * LIMIT + b'"}', "record exceeds size limit")):
        error = cli.run("feed", "a", "--in", mode, stdin=stdin).usage()
        assert error["message"] == message and error["causes"]
        assert ("--in jsonl -e skip" if mode == "jq" else "Use -e skip") in error["hint"]


def test_stop_ends_at_once(cli):
    """A broken record is told before the stream ends."""
    running = cli.start("feed", "a", "--create", stdin=-1)
    running.feed(b'{"n":1}\n{nope}\n')
    assert running.json()["seq"] == 1
    assert json.loads(running.err_line())["error"]["message"] == "invalid json input"
    assert running.process.wait(timeout=20) == 2


@pytest.mark.parametrize("stdin", [
    b'nope\n', b'{"n":1}x\n', b'{"n":1\n', b'{"n":"\n"}\n', b'{"a":"\xff"}\n', b'{\n"n":1]\n',
    b'\x1e{"n":\x1e{}\n', b'data: nope\n\n',
])
def test_stop_on_one_bad_record(cli, stdin):
    cli.create("a")
    assert cli.run("feed", "a", stdin=stdin).usage()["message"] == "invalid json input"


# flags, input, what is stored, (error_kind, index, line, snippet) of each notice
SKIPPED = [
    ("lines", [], b'{"n":1}\nnope\n{"n":2}\n', [1, 2], [("Parse", 2, 2, "nope")]),
    ("strict lines", ["--in", "jsonl"], b'{nope}\n{"n":1}\n\n[\n{"n":2}', [1, 2],
     [("Parse", 1, 1, "{nope}"), ("Parse", 3, 4, "[")]),
    ("a broken record ends where the next begins", [],
     b'{"n":1}\n{"a":\n{"n":2}\n{"n":3}\n', [1, 2, 3], [("Parse", 2, 2, '{"a":')]),
    ("a broken record takes the lines behind it", [],
     b'{"n":1}\n{bad\nmore\n}\n{"n":2}\n', [1, 2], [("Parse", 2, 2, "{bad")]),
    ("nested pretty json stays whole", [],
     b'{\n "n": 1,\n "l": [\n  {\n  },\n  [\n  ]\n ]\n}\n{"n":2}\n', [1, 2], []),
    ("no objects", [], b'1\n{"n":1}\n[]\n{"n":2}\nnull\n', [1, 2],
     [("Usage", 1, 1, "1"), ("Usage", 3, 3, "[]"), ("Usage", 5, 5, "null")]),
    ("broken utf-8", [], b'{"s":"\xff"}\n{"n":1}\n', [1], [("Parse", 1, 1, '{"s":"\ufffd"}')]),
    ("cut off at the end", [], b'{"n":1}\n{"n":', [1], [("Parse", 2, 2, '{"n":')]),
    ("a banner before a sequence", [], b'-- begins --\n\x1e{"n":1}\n\x1e{"n":2}\n', [1, 2],
     [("Parse", 1, 1, "-- begins --")]),
    ("sequence", [], b'\x1e{nope}\n\x1e{"n":1}\n\x1e', [1], [("Parse", 1, None, "{nope}")]),
    ("events", [], b'data: nope\n\ndata: {"n":1}\n\n', [1], [("Parse", 1, None, "nope")]),
    ("one document", ["--in", "json"], b'{"n":1}{', [], [("Parse", 1, None, '{"n":1}{')]),
    ("a banner", [], b'Filtering the log data using ...\n{"n":1}\n', [1],
     [("Parse", 1, 1, "Filtering the log data using ...")]),
]


@pytest.mark.parametrize("name,flags,stdin,stored,bad", SKIPPED, ids=[case[0] for case in SKIPPED])
def test_skip(cli, name, flags, stdin, stored, bad):
    cli.create("a")
    done = cli.run("feed", "a", *flags, "-e", "skip", stdin=stdin)
    assert [item["n"] for item in cli.data("a")] == stored
    assert len(done.lines) == len(stored)
    assert done.code == (1 if bad else 0)
    notices = done.notices
    skips = [notice for notice in notices if notice["kind"] == "ingest_skip"]
    assert [(notice["details"]["error_kind"], notice["details"]["index"],
             notice["details"].get("line"), notice["details"]["snippet"]) for notice in skips] == bad
    for notice in skips:
        assert notice["cmd"] == "feed" and notice["pool"] == "a" and notice["time"].endswith("Z")
        assert notice["details"]["pool_path"].endswith("a.plasmite")
        assert notice["details"]["mode"] in ("jsonl", "json", "seq", "event")
        if notice["details"]["error_kind"] == "Parse":
            assert notice["message"] == "Skipped invalid JSON."
    if not bad:
        return
    summary = notices[-1]
    assert summary["kind"] == "ingest_summary" and summary["cmd"] == "feed"
    plural = "" if len(bad) == 1 else "s"
    assert summary["message"] == f"Finished with {len(bad)} skipped record{plural}."
    assert summary["details"]["ok"] == len(stored) and summary["details"]["failed"] == len(bad)
    assert summary["details"]["total"] == len(stored) + len(bad)
    assert summary["details"]["pool_path"].endswith("a.plasmite")


def test_skip_notices_on_a_terminal(cli):
    cli.create("a")
    done = cli.tty("feed", "a", "-e", "skip", streams=("stderr",), stdin=b'nope\n{"n":1}\n',
                   env={"NO_COLOR": "1"})
    assert done.code == 1
    assert done.err.decode() == ("notice: Skipped invalid JSON.\n"
                                 "notice: Finished with 1 skipped record.\n")


def test_snippets_are_short_and_whole(cli):
    cli.create("a")
    bad = "x" * 196 + "é" * 100 + "\n"
    done = cli.run("feed", "a", "-e", "skip", stdin=bad.encode())
    snippet = done.notices[0]["details"]["snippet"]
    assert snippet.endswith("...") and len(snippet.encode()) <= 200
    assert bad.startswith(snippet[:-3])


LIMIT = 1048576


def big(size):
    """An object whose text has this many bytes."""
    return b'{"n":7,"p":"' + b"x" * (size - 14) + b'"}'


@pytest.mark.parametrize("flags,before,behind", [
    ([], b"", b"\n"), (["--in", "jsonl"], b"", b"\n"), (["--in", "seq"], b"\x1e", b"\n"),
    ([], b"data: ", b"\n\n"), (["--in", "jq"], b"", b""), (["--in", "json"], b"", b""),
])
def test_record_limit(cli, flags, before, behind):
    cli.create("a", "--size", "8M")
    room = LIMIT - len(behind if "seq" in flags else b"")
    cli.run("feed", "a", *flags, stdin=before + big(room) + behind).ok()
    done = cli.run("feed", "a", *flags, stdin=before + big(LIMIT + 1) + behind)
    assert done.usage()["message"] == "record exceeds size limit"


OVERSIZE = {
    "a line": ([], b'{"n":1}\n', big(3 * LIMIT) + b"\n", b'{"n":2}\n'),
    "a strict line": (["--in", "jsonl"], b'{"n":1}\n', b"x" * 3 * LIMIT + b"\n", b'{"n":2}\n'),
    "a record of a sequence": ([], b'\x1e{"n":1}\n', b"\x1e" + big(3 * LIMIT) + b"\n", b'\x1e{"n":2}\n'),
    "a line of an event": ([], b'data: {"n":1}\n\n', b"data: " + big(3 * LIMIT) + b"\n\n", b'data: {"n":2}\n\n'),
    "an event": ([], b'data: {"n":1}\n\n', b"data: x" + b"\ndata: y" * LIMIT + b"\n\n", b'data: {"n":2}\n\n'),
    "pretty json": ([], b'{"n":1}\n', b"{\n" + b'"p":1,\n' * 300000 + b'"q":2}\n', b'{"n":2}\n'),
}


@pytest.mark.parametrize("name", OVERSIZE)
def test_oversize_records_are_skipped(cli, name):
    mode, first, second, third = OVERSIZE[name]
    cli.create("a")
    done = cli.run("feed", "a", *mode, "-e", "skip", stdin=first + second + third)
    assert done.code == 1
    assert [item["n"] for item in cli.data("a")] == [1, 2]
    skip, summary = done.notices
    assert skip["details"]["error_kind"] == "Oversize" and skip["details"]["index"] == 2
    assert skip["message"] == "Skipped oversized record."
    assert len(skip["details"]["snippet"].encode()) <= 200
    assert summary["details"] == {**summary["details"], "ok": 2, "failed": 1, "total": 3}


def test_larger_than_the_ring(cli):
    cli.create("a", "--size", "64K")
    data = json.dumps({"n": 1, "p": "x" * 70000}).encode()
    error = cli.run("feed", "a", stdin=data).usage("payload exceeds ring capacity")
    assert "57344" in error["message"]
    done = cli.run("feed", "a", "-e", "skip", stdin=data + b'\n{"n":2}\n')
    assert done.code == 1 and done.notices[0]["details"]["error_kind"] == "Usage"
    assert [item["n"] for item in cli.data("a")] == [2]


def test_nearly_the_whole_ring(cli):
    cli.create("a", "--size", "64K")
    cli.run("feed", "a", stdin=json.dumps({"p": "x" * 57000}).encode()).ok()
    assert len(cli.data("a")[0]["p"]) == 57000


def test_a_stream_through_a_small_ring(cli):
    """Batches never push themselves out: a follower that keeps up would see every message."""
    cli.create("a", "--size", "64K")
    receipts = cli.run("feed", "a", stdin=jsonl(*({"n": i, "p": "x" * (i % 3000)} for i in range(2000)))).ok().lines
    assert [receipt["seq"] for receipt in receipts] == list(range(1, 2001))
    assert cli.data("a")[-1]["n"] == 1999


def test_long_multi_line_records_take_linear_time(cli):
    """Pretty JSON of a megabyte, twenty thousand lines: re-reading it at each line would take
    minutes."""
    cli.create("a", "--size", "8M")
    value = {"list": [{"n": i, "s": "x" * 10} for i in range(12000)]}
    text = json.dumps(value, indent=1).encode()
    assert len(text) < LIMIT
    cli.run("feed", "a", stdin=text + b"\n", timeout=20).ok()
    assert cli.data("a") == [value]


def test_many_values_on_one_line_take_linear_time(cli):
    cli.create("a")
    done = cli.run("feed", "a", stdin=b"{}" * 200000 + b"\n", timeout=20).ok()
    assert done.out.count(b"\n") == 200000


# --- retry

def test_a_foreign_lock_is_waited_for(cli):
    cli.create("a")
    with open(cli.path("a"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        running = cli.start("feed", "a", "--retry", "5", "--retry-delay", "50ms", '{"n":1}')
        timer = threading.Timer(0.15, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        timer.start()
        assert running.finish().ok().json["seq"] == 1
        timer.join()


def test_busy_after_all_attempts(cli):
    cli.create("a")
    with open(cli.path("a"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        error = cli.run("feed", "a", "--retry", "2", "--retry-delay", "10ms", '{"n":1}').fails("Busy", 5)
        assert "Retry attempts: 3 (waited 20ms)." in error["hint"]
        assert error["path"].endswith("a.plasmite")
    assert cli.data("a") == []


def test_reading_works_under_a_foreign_lock(demo):
    with open(demo.path("demo"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert demo.run("fetch", "demo", "1").ok().json["seq"] == 1
        assert len(demo.data("demo")) == 3


def test_eight_feeds_at_once(cli):
    cli.create("a")
    running = [cli.start("feed", "a", json.dumps({"n": i})) for i in range(8)]
    seqs = sorted(feed.finish().ok().json["seq"] for feed in running)
    assert seqs == list(range(1, 9))
    assert sorted(item["n"] for item in cli.data("a")) == list(range(8))


def test_eight_first_feeds_with_create(cli):
    running = [cli.start("feed", "a", "--create", json.dumps({"n": i})) for i in range(8)]
    assert sorted(feed.finish().ok().json["seq"] for feed in running) == list(range(1, 9))


# --- order of checks

LADDER = [
    # each step: what is wrong with it, and the message; the steps before win over those behind
    (["--create-size", "1M"], "--create-size requires --create"),
    (["--retry-delay", "1s"], "--retry-delay requires --retry"),
    (["--durability", "slow"], "invalid durability"),
    (["--retry", "1", "--retry-delay", "x"], "invalid duration"),
    (["--token", "x"], "feed remote auth/TLS flags require a remote http(s) pool ref"),
]


@pytest.mark.parametrize("first,second", [
    (i, j) for i in range(len(LADDER)) for j in range(i + 1, len(LADDER))
    if not set(LADDER[i][0][::2]) & set(LADDER[j][0][::2]) and (i, j) != (1, 3)
])
def test_order_of_checks(cli, first, second):
    flags, message = LADDER[first]
    assert cli.run("feed", "missing", "bad", *LADDER[second][0], *flags).usage()["message"] == message
    assert "scheme" in cli.run("feed", "ftp://x", "bad", *flags).usage()["message"]


@pytest.mark.parametrize("flags", [step[0] for step in LADDER])
def test_usage_errors_win_over_the_pool_and_its_creation(cli, flags):
    cli.run("feed", "missing", "bad", *flags).usage()
    if "--create-size" not in flags:
        cli.run("feed", "missing", "bad", "--create", *flags).usage()
    assert not cli.pools.exists()


def test_a_missing_pool_wins_over_bad_data(cli):
    for args, stdin in ((["bad"], b""), (["1"], b""), (["--file", "none"], b""), ([], b"bad"), ([], b"")):
        cli.run("feed", "missing", *args, stdin=stdin).fails("NotFound", 3)
    for args, stdin in ((["bad"], b""), (["1"], b""), (["--file", "none"], b""), ([], b"bad"), ([], b"")):
        assert cli.run("feed", "missing", "--create", *args, stdin=stdin).code in (2, 8)
        assert cli.path("missing").exists()
        cli.path("missing").unlink()


def test_create_size_is_of_no_effect_on_a_pool_that_exists(cli):
    cli.create("a", "--size", "64K")
    cli.run("feed", "a", "--create", "--create-size", "8M", "{}").ok()
    assert cli.path("a").stat().st_size == 65536


@pytest.mark.parametrize("flags", [[], ["--in", "seq"], ["--in", "jq"], ["-e", "skip"]])
def test_data_is_one_value_whatever_the_mode(cli, flags):
    """The mode is that of files and stdin."""
    cli.create("a")
    cli.run("feed", "a", '{"n":1}', *flags).ok()
    cli.run("feed", "a", '{"n":1}\n{"n":2}', *flags).usage("invalid json")
    cli.run("feed", "a", '\x1e{"n":1}', *flags).usage("invalid json")
    cli.run("feed", "a", "5", *flags).usage("data must be object")
    assert len(cli.data("a")) == 1


def test_causes_say_where(cli):
    cli.create("a")
    for data, place in (('{"a":01}', "line 1 column 7 (offset 6)"), ('{"a":\n\n x}', "line 3 column 2 (offset 8)"),
                        ("", "offset 0"), ('{"é":x}', "(offset 6)")):
        assert place in cli.run("feed", "a", data).usage("invalid json")["causes"][0]
    error = cli.run("feed", "a", stdin=b'{"n":1}\n{"n":\n x}\n').usage("invalid json input")
    assert "line 2 column 2" in error["causes"][0] and "Record 2" in error["hint"]


# --- how a stream is recognised

LONG = '{"p":"' + "x" * 9000 + '","n":1}'


@pytest.mark.parametrize("text,expected", [
    ('{"n":1}\n\x1e{"n":2}\n', [1, 2]),  # a separator anywhere in what lies there makes a sequence
    (LONG + "\n" + '{"n":2}\n', [1, 2]),  # a line longer than what is looked at
    ("data: " + LONG + "\n\n" + 'data: {"n":2}\n\n', [1, 2]),
    ("\x1e" + LONG + "\n" + '\x1e{"n":2}\n', [1, 2]),
    ("\n" * 9000 + '{"n":1}\n', [1]), ("\n \n\t\n" + 'data: {"n":1}\n\n', [1]),
    ("id: 1\ndata: {\"n\":1}\n\n", [1]), ("event: x\ndata: {\"n\":1}\n\n", [1]), (":\ndata: {\"n\":1}\n\n", [1]),
    ("retry: 5\ndata: {\"n\":1}\n\n", [1]), ('data:{"n":1}\n\n', [1]), ('data: {"n":1}', [1]),
    ('data: {"n":1}\ndata\n\n', [1]), ('{"n":1}\ndata: x\n', None), ('database: {"n":1}\n\n', None),
    ('\ufeffdata: {"n":1}\n\n', [1]), ('\ufeff\x1e{"n":1}\n', [1]), ('\ufeff{"n":1}\n', [1]), ('\ufeff{\n"n":1\n}\n', [1]),
])
def test_detection(cli, text, expected):
    cli.create("a")
    done = cli.run("feed", "a", stdin=text.encode())
    if expected is None:
        done.usage("invalid json input")
    else:
        done.ok()
        assert [item["n"] for item in cli.data("a")] == expected


@pytest.mark.parametrize("mode", ["jsonl", "json", "seq", "jq"])
@pytest.mark.parametrize("text", ['{"n":1}', '{"n":1}\n', '\ufeff{"n":1}\r\n', ' {"n":1} '])
def test_one_value_in_every_mode(cli, mode, text):
    cli.run("feed", "a", "--create", "--in", mode, stdin=text.encode()).ok()
    assert cli.data("a") == [{"n": 1}]


@pytest.mark.parametrize("mode,text", [
    ("jsonl", '{\n"n":1\n}\n'), ("jsonl", '{"n":1}{"n":2}\n'), ("jsonl", 'data: {"n":1}\n\n'), ("jsonl", '\x1e{"n":1}\n'),
    ("json", '{"n":1}\n{"n":2}\n'), ("json", '\x1e{"n":1}'), ("json", 'data: {"n":1}\n\n'),
    ("seq", '\x1e{"n":1}{"n":2}\n'), ("seq", 'data: {"n":1}\n\n'), ("jq", 'data: {"n":1}\n\n'), ("jq", '\x1e{"n":1}'),
])
def test_modes_take_only_their_own(cli, mode, text):
    """A line end, too, ends a record of a sequence: it is stored without waiting for the next separator."""
    cli.create("a")
    cli.run("feed", "a", "--in", mode, stdin=text.encode()).usage("invalid json input")


@pytest.mark.parametrize("text", ["1\n", "[1]\n", '"x"', "null", '[{"n":1},{"n":2}]', "data: 5\n\n", "\x1e5\n"])
def test_stop_at_what_is_no_object(cli, text):
    cli.create("a")
    error = cli.run("feed", "a", stdin=text.encode()).usage()
    assert error["message"] == "data must be object" and "object" in error["hint"]
    done = cli.run("feed", "a", "-e", "skip", stdin=text.encode())
    assert done.code == 1 and done.notices[0]["details"]["error_kind"] == "Usage" and cli.data("a") == []


@pytest.mark.parametrize("character", ["x", "é", "€", "😀"])
@pytest.mark.parametrize("before", range(4))
def test_snippets_end_between_characters(cli, character, before):
    cli.create("a")
    bad = "y" * before + character * 300
    snippet = cli.run("feed", "a", "-e", "skip", stdin=bad.encode()).notices[0]["details"]["snippet"]
    assert snippet.endswith("...") and 197 - 4 <= len(snippet.encode()) - 3 <= 197
    assert bad.startswith(snippet[:-3])


@pytest.mark.parametrize("size", [1, 199, 200])
def test_snippets_that_fit_are_whole(cli, size):
    cli.create("a")
    done = cli.run("feed", "a", "-e", "skip", stdin=b"y" * size + b"\r\n")
    assert done.notices[0]["details"]["snippet"] == "y" * size


def test_keys_of_notices(cli):
    cli.create("a")
    done = cli.run("feed", "a", "-e", "skip", stdin=b'{"n":1}\n\nbad\n' + b"x" * (LIMIT + 1) + b'\n\n{"n":2}\nbad')
    first, large, last, summary = done.notices
    assert done.code == 1 and [line["seq"] for line in done.lines] == [1, 2]
    for notice in (first, large, last, summary):
        assert set(notice) == {"cmd", "details", "kind", "message", "pool", "time"}
        assert notice["cmd"] == "feed" and notice["pool"] == "a"
    keys = {"error_kind", "index", "mode", "pool_path", "line", "snippet"}
    assert [set(notice["details"]) for notice in (first, large, last)] == [keys] * 3
    places = [(notice["details"]["index"], notice["details"]["line"]) for notice in (first, large, last)]
    assert places == [(2, 3), (3, 4), (5, 7)]
    assert summary["details"] == {"failed": 3, "ok": 2, "total": 5, "pool_path": str(cli.path("a"))}
    assert summary["message"] == "Finished with 3 skipped records."


@pytest.mark.parametrize("flags,text,mode", [
    (["--in", "json"], b"bad", "json"), (["--in", "seq"], b"\x1ebad", "seq"), ([], b"\x1ebad", "seq"), ([], b"data: bad\n\n", "event"),
    ([], b"bad", "jsonl"), (["--in", "jsonl"], b"bad", "jsonl"),
])
def test_modes_in_notices(cli, flags, text, mode):
    """Lines are numbered only where records are lines; the pool is named as it was typed."""
    cli.create("a")
    done = cli.run("feed", "./pools/a.plasmite", "-e", "skip", *flags, stdin=text)
    skip = done.notices[0]
    assert skip["details"]["mode"] == mode and ("line" in skip["details"]) == (mode == "jsonl")
    assert skip["pool"] == "./pools/a.plasmite" == skip["details"]["pool_path"]
    assert skip["details"]["snippet"] == "bad" and skip["details"]["index"] == 1


def test_nothing_skipped_is_no_summary(cli):
    done = cli.run("feed", "a", "--create", "-e", "skip", stdin=b'{"n":1}\n').ok()
    assert len(done.lines) == 1


def test_damage_ends_a_stream_in_skip_mode(cli):
    """Errors of the pool are no bad records: they have their own kind in both policies."""
    for policy in ("stop", "skip"):
        cli.create("a")
        running = cli.start("feed", "a", "-e", policy, stdin=-1)
        running.feed(b'{"n":1}\n')
        assert running.json()["seq"] == 1
        os.truncate(cli.path("a"), 4096)
        running.feed(b'{"n":2}\n')
        done = running.finish()
        assert done.code in (7, 8) and done.error["kind"] in ("Corrupt", "Io")
        cli.path("a").unlink()


def test_retry_counts_its_attempts(cli):
    cli.create("a")
    with open(cli.path("a"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for retries in (1, 3):
            error = cli.run("feed", "a", "--retry", retries, "--retry-delay", "1ms", stdin=b'{"n":1}').fails("Busy", 5)
            assert f"Retry attempts: {retries + 1} (waited {retries}ms)." in error["hint"]
        error = cli.run("feed", "missing", "--retry", "3", "{}").fails("NotFound", 3)
        assert "Retry attempts" not in error["hint"]  # nothing to wait for


def test_a_signal_keeps_what_was_receipted(cli):
    cli.create("a")
    for count, sig in enumerate((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), 1):
        running = cli.start("feed", "a", stdin=-1)
        running.feed(b'{"n":1}\n')
        assert running.json()["seq"] == count
        running.process.send_signal(sig)
        running.process.wait(timeout=20)
        assert running.process.returncode == -sig and running.process.stderr.read() == b""
        assert len(cli.data("a")) == count


def test_a_signal_ends_the_wait_for_a_lock(cli):
    cli.create("a")
    with open(cli.path("a"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        running = cli.start("feed", "a", "--retry", "1000000", '{"n":1}')
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(timeout=20) == -signal.SIGINT
    assert cli.data("a") == []
