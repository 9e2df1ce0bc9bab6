"""follow: contract sections 5.2, 7 and 12."""

import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

from conftest import DEADLINE_S


def seqs(messages):
    return [message["seq"] for message in messages]


# --- layout

PRETTY = """{
  "seq": 3,
  "time": "TIME",
  "meta": {
    "tags": [
      "a",
      "b"
    ]
  },
  "data": {
    "n": 3
  }
}
"""


def test_pretty_is_the_default_also_in_pipes(demo):
    text = demo.run("follow", "demo", "--tail", "1", "--replay", "0").ok().text
    assert re.sub(r'"\d{4}-[^"]*Z"', '"TIME"', text) == PRETTY
    assert demo.run("follow", "demo", "--tail", "1", "--replay", "0", "--format", "pretty").ok().text == text


@pytest.mark.parametrize("flags", [["--jsonl"], ["--format", "jsonl"]])
def test_jsonl(demo, flags):
    done = demo.run("follow", "demo", "--tail", "3", "--replay", "0", *flags).ok()
    assert done.out.count(b"\n") == 3 and seqs(done.lines) == [1, 2, 3]
    assert done.lines[2]["meta"] == {"tags": ["a", "b"]}
    fetched = b"".join(demo.run("fetch", "demo", seq).ok().out for seq in (1, 2, 3))
    assert fetched == done.out


def test_data_only(demo):
    assert demo.run("follow", "demo", "--tail", "2", "--replay", "0", "--jsonl", "--data-only").ok().text == (
        '{"n":2}\n{"n":3}\n')
    assert demo.run("follow", "demo", "--tail", "1", "--replay", "0", "--data-only").ok().text == (
        '{\n  "n": 3\n}\n')


def test_colour_of_layouts(demo):
    pretty = demo.tty("follow", "demo", "--tail", "1", "--replay", "0").ok().text
    assert "\x1b[36m" in pretty
    assert re.sub(r"\x1b\[\d+m", "", pretty) == demo.run("follow", "demo", "--tail", "1", "--replay", "0").text
    jsonl = demo.bare("--color", "always", "--dir", demo.pools, "follow", "demo", "--tail", "1",
                      "--replay", "0", "--jsonl").ok()
    assert "\x1b" not in jsonl.text


def test_conflicting_layouts(cli):
    error = cli.run("follow", "missing", "--jsonl", "--format", "jsonl").usage()
    assert error["message"] == "conflicting output options"
    assert "--format jsonl" in error["hint"] and "--jsonl" in error["hint"]


# --- where it begins

def test_live_only(demo):
    follower = demo.follow_live("demo")
    demo.feed("demo", {"n": 10}, {"n": 11})
    assert [follower.json()["data"]["n"] for _ in range(2)] == [10, 11]


def test_tail_then_live(demo):
    follower = demo.start("follow", "demo", "--jsonl", "--tail", "2")
    assert [follower.json()["seq"] for _ in range(2)] == [2, 3]
    demo.feed("demo", {"n": 4})
    assert follower.json()["seq"] == 4


@pytest.mark.parametrize("tail,expected", [(0, []), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (99, [1, 2, 3]),
                                           (2**64 - 1, [1, 2, 3])])
def test_tail(demo, tail, expected):
    done = demo.run("follow", "demo", "--jsonl", "--tail", tail, "--timeout", "0ms")
    assert done.code == 124 and seqs(done.lines) == expected and done.err == b""


def test_tail_counts_matching_messages(cli):
    cli.create("a")
    for i in range(10):
        cli.feed("a", *({"n": n} for n in range(100 * i, 100 * i + 99)))
        cli.feed("a", {"n": 100 * i + 99}, tags=["hundred"])
    lines = cli.run("follow", "a", "--jsonl", "--tail", "3", "--tag", "hundred", "--timeout", "0ms").lines
    assert [line["data"]["n"] for line in lines] == [799, 899, 999]
    lines = cli.run("follow", "a", "--jsonl", "--tail", "300", "--tag", "hundred", "--timeout", "0ms").lines
    assert seqs(lines) == list(range(100, 1001, 100))


def test_tail_with_a_filter_then_live(cli):
    cli.create("a")
    cli.feed("a", *({"n": n} for n in range(5)))
    cli.feed("a", {"n": 5}, tags=["t"])
    follower = cli.start("follow", "a", "--jsonl", "--tail", "5", "--tag", "t")
    assert follower.json()["data"]["n"] == 5
    cli.feed("a", {"n": 6})
    cli.feed("a", {"n": 7}, tags=["u", "t"])
    assert follower.json()["data"]["n"] == 7


def test_tail_of_a_pool_that_has_wrapped(cli):
    cli.create("a", "--size", "64K")
    cli.feed("a", *({"n": n, "p": "x" * 500} for n in range(1000)))
    done = cli.run("follow", "a", "--jsonl", "--tail", "1000", "--timeout", "0ms")
    assert done.err == b""  # what was overwritten long ago is no loss of this follower
    got = seqs(done.lines)
    assert got == list(range(got[0], 1001)) and 50 < len(got) < 200


def test_tail_ends_with_the_newest(cli):
    cli.create("a")
    cli.feed("a", *({"n": n} for n in range(3000)))
    assert seqs(cli.run("follow", "a", "--jsonl", "--tail", "2000", "--timeout", "0ms").lines) == list(range(1001, 3001))


def test_since(demo):
    times = [message["time"] for message in demo.backlog("demo")]
    for since, expected in ((times[2], [3]), (times[0], [1, 2, 3]), ("1h", [1, 2, 3]), (" 7D ", [1, 2, 3]),
                            ("1969-01-01T00:00:00Z", [1, 2, 3]), ("99999999d", [1, 2, 3])):
        done = demo.run("follow", "demo", "--jsonl", "--since", since, "--timeout", "0ms")
        assert seqs(done.lines) == expected, since


def test_since_then_live(demo):
    follower = demo.start("follow", "demo", "--jsonl", "--since", "1h")
    assert [follower.json()["seq"] for _ in range(3)] == [1, 2, 3]
    demo.feed("demo", {"n": 4})
    assert follower.json()["seq"] == 4


@pytest.mark.parametrize("since", ["2100-01-01T00:00:00+01:00", "2999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_since_in_the_future(demo, since):
    for flags in ([], ["--one"], ["--replay", "0"], ["--timeout", "5s"], ["--create"]):
        assert demo.run("follow", "demo", "--since", since, *flags).ok().out == b""
    demo.run("follow", "missing", "--since", since).fails("NotFound", 3)



# --- --one

def test_one_takes_the_next_message(demo):
    follower = demo.start("follow", "demo", "--jsonl", "--one", "--tag", "go")
    probe = demo.follow_live("demo")  # both started: what comes now is new to both
    while follower.quiet():
        demo.feed("demo", {"n": 9})
        demo.feed("demo", {"n": 10}, tags=["go"])
    done = follower.finish().ok()
    assert len(done.lines) == 1 and done.lines[0]["data"] == {"n": 10}
    assert probe.process.poll() is None


def test_since_one(demo):
    done = demo.run("follow", "demo", "--jsonl", "--since", "1h", "--one").ok()
    assert seqs(done.lines) == [1]
    done = demo.run("follow", "demo", "--jsonl", "--since", "1h", "--one", "--tag", "a").ok()
    assert seqs(done.lines) == [3]


@pytest.mark.parametrize("flags,expected", [(["--tail", "1"], 3), (["--tail", "3"], 3), (["--tail", "1", "--tag", "a"], 3)])
def test_tail_one_prints_the_newest(demo, flags, expected):
    done = demo.run("follow", "demo", "--jsonl", "--one", *flags).ok()
    assert seqs(done.lines) == [expected]


def test_tail_one_waits_for_enough(demo):
    follower = demo.start("follow", "demo", "--jsonl", "--tail", "5", "--one")
    demo.feed("demo", {"n": 4})
    assert follower.quiet()
    demo.feed("demo", {"n": 5})
    assert seqs(follower.finish().ok().lines) == [5]


def test_tail_one_with_a_filter_waits_for_enough(demo):
    follower = demo.start("follow", "demo", "--jsonl", "--tail", "2", "--one", "--tag", "a")
    demo.feed("demo", {"n": 4})
    demo.feed("demo", {"n": 5}, tags=["a"])
    assert seqs(follower.finish().ok().lines) == [5]


# --- --timeout

def test_timeout(demo):
    done = demo.run("follow", "demo", "--timeout", "50ms")
    assert done.code == 124 and done.out == b"" and done.err == b""


def test_timeout_on_a_terminal(demo):
    done = demo.tty("follow", "demo", "--timeout", "50ms", streams=("stderr",))
    assert done.code == 124 and done.out == b""
    assert done.err.decode() == "No messages received (timed out after 50ms).\n"


def test_timeout_is_not_rearmed_by_unwanted_messages(demo):
    follower = demo.start("follow", "demo", "--timeout", "300ms", "--tag", "never")
    while follower.process.poll() is None:
        demo.feed("demo", {"n": 0})
    assert follower.finish().code == 124



# --- --replay

@pytest.mark.parametrize("args,message", [
    (["--replay", "1"], "--replay requires --tail or --since"),
    (["--replay", "1", "--tail", "0"], "--replay requires --tail or --since"),
    (["--replay=-1", "--tail", "1"], "--replay must be a finite number that is not negative"),
    (["--replay", "nan", "--tail", "1"], "--replay must be a finite number that is not negative"),
    (["--replay", "inf", "--tail", "1"], "--replay must be a finite number that is not negative"),
])
def test_bad_replay(cli, args, message):
    assert cli.run("follow", "missing", *args).usage()["message"] == message


def test_replay_ends(demo):
    assert seqs(demo.run("follow", "demo", "--jsonl", "--tail", "2", "--replay", "0").ok().lines) == [2, 3]
    assert seqs(demo.run("follow", "demo", "--jsonl", "--since", "1h", "--replay", "0").ok().lines) == [1, 2, 3]
    assert seqs(demo.run("follow", "demo", "--jsonl", "--since", "1h", "--replay", "0", "--one").ok().lines) == [1]
    assert seqs(demo.run("follow", "demo", "--jsonl", "--tail", "2", "--replay", "0", "--one").ok().lines) == [2]
    assert seqs(demo.run("follow", "demo", "--jsonl", "--tail", "9", "--replay", "0", "--tag", "b").ok().lines) == [3]
    assert demo.run("follow", "demo", "--since", "2100-01-01T00:00:00Z", "--replay", "0").ok().out == b""


def test_replay_of_nothing(cli):
    cli.create("a")
    assert cli.run("follow", "a", "--tail", "5", "--replay", "0").ok().out == b""
    assert cli.run("follow", "a", "--since", "5m", "--replay", "1").ok().out == b""


def test_replay_keeps_the_pauses(cli):
    """The pauses are those between the messages' times: what they are says the pool itself."""
    cli.create("a")
    running = cli.start("feed", "a", stdin=-1)
    for n in range(2):
        running.feed(b'{"n":%d}\n' % n)
        running.line()
        time.sleep(0.2)  # the length of the pause is the subject, not a way to wait
    running.finish().ok()

    def duration(speed):
        start = time.monotonic()
        assert len(cli.run("follow", "a", "--jsonl", "--tail", "2", "--replay", speed).ok().lines) == 2
        return time.monotonic() - start

    assert duration("1") >= 0.2
    assert duration("2") >= 0.1
    assert min(duration("0") for _ in range(3)) < 0.2


# --- pools that do not exist

def test_missing_pool(cli):
    error = cli.run("follow", "nope", "--tail", "1", "--one", "--jsonl", "--where", ".data.a == 1",
                    "--tag", "x y").fails("NotFound", 3)
    assert error["message"] == "not found" and error["path"].endswith("nope.plasmite")
    assert "exact command" in error["hint"]
    assert ('plasmite follow nope --create --tail 1 --one --jsonl --where ".data.a == 1" --tag "x y"'
            in error["hint"])
    assert not cli.pools.exists()


def test_create(cli):
    done = cli.run("follow", "a", "--create", "--timeout", "0ms")
    assert done.code == 124 and cli.path("a").stat().st_size == 1 << 20


def test_one_waits_for_the_pool(cli):
    """Decision D5: what the creator appends at once is delivered."""
    follower = cli.start("follow", "late", "--one", "--jsonl", "--tag", "go")
    notice = json.loads(follower.err_line())["notice"]
    assert notice["kind"] == "waiting" and notice["pool"] == "late"
    assert notice["details"]["pool_path"].endswith("late.plasmite")
    cli.run("feed", "late", "--create", "--tag", "no", '{"n":1}').ok()
    cli.run("feed", "late", "--tag", "go", '{"n":2}').ok()
    done = follower.finish()
    assert done.code == 0 and [line["data"]["n"] for line in done.lines] == [2]


@pytest.mark.parametrize("pool", ["./deep/er/late.plasmite", "late.plasmite"])
def test_one_waits_for_folders_too(cli, pool):
    follower = cli.start("follow", pool, "--one", "--jsonl")
    follower.err_line()
    cli.run("feed", pool, "--create", '{"n":1}').ok()
    assert [line["data"]["n"] for line in follower.finish().lines] == [1]


def test_waiting_is_not_polling(cli):
    """Whoever waits is told: it does not look at the clock, or for the file, all the time."""
    follower = cli.start("follow", "late", "--one")
    follower.err_line()
    deadline = time.monotonic() + DEADLINE_S
    while True:
        before = switches(follower.process.pid)
        time.sleep(0.6)  # the length of the time is the subject
        if switches(follower.process.pid) - before <= 10:
            break
        assert time.monotonic() < deadline


def switches(pid):
    """How often the process went to sleep by itself."""
    status = open(f"/proc/{pid}/status").read()
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.MULTILINE)[1])


@pytest.mark.parametrize("flags", [["--tail", "1"], ["--since", "1h"], ["--tail", "1", "--replay", "0"]])
def test_one_with_history_does_not_wait(cli, flags):
    cli.run("follow", "late", "--one", *flags).fails("NotFound", 3)


def test_waiting_for_the_pool_can_time_out(cli):
    done = cli.run("follow", "late", "--one", "--timeout", "50ms")
    assert done.code == 124 and done.out == b"" and not cli.pools.exists()
    assert [notice["kind"] for notice in done.notices] == ["waiting"]


def test_deleted_while_followed(demo):
    follower = demo.follow_live("demo")
    demo.run("pool", "delete", "demo").ok()
    follower.finish().fails("NotFound", 3, "deleted")


# --- losses

def test_drop_notice(cli):
    """A follower whose reader does not read is overtaken, and says so once it is read again."""
    cli.create("a", "--size", "64K")
    cli.feed("a", {"n": 0})
    follower = cli.start("follow", "a", "--jsonl", "--tail", "1")
    first = follower.json()
    assert first["seq"] == 1
    for _ in range(20):
        cli.feed("a", *({"p": "x" * 4000} for _ in range(100)))
    newest = cli.run("pool", "info", "a", "--json").json["bounds"]["newest"]
    seen = [1]
    while seen[-1] != newest:
        seen.append(follower.json()["seq"])
    assert seen == sorted(set(seen)) and len(seen) < newest
    gaps = [(a, b) for a, b in zip(seen, seen[1:]) if b != a + 1]
    notices = []
    while sum(notice["details"]["dropped_count"] for notice in notices) < sum(b - a - 1 for a, b in gaps):
        notices.append(json.loads(follower.err_line())["notice"])
    for notice in notices:
        assert notice["kind"] == "drop" and notice["cmd"] == "follow" and notice["pool"] == "a"
        details = notice["details"]
        assert details["dropped_count"] > 0 and details["pool_path"].endswith("a.plasmite")
        assert details["last_seen_seq"] < details["next_seen_seq"]
        assert notice["message"] == f"dropped {details['dropped_count']} messages"
    assert notices[0]["details"]["last_seen_seq"] == gaps[0][0]
    assert notices[-1]["details"]["next_seen_seq"] == gaps[-1][1]


def test_quiet_drops(cli):
    cli.create("a", "--size", "64K")
    cli.feed("a", {"n": 0})
    follower = cli.start("follow", "a", "--jsonl", "--tail", "1", "--quiet-drops", "--timeout", "500ms")
    follower.line()
    for _ in range(20):
        cli.feed("a", *({"p": "x" * 4000} for _ in range(100)))
    done = follower.finish()
    assert done.code == 124 and done.err == b"" and len(done.lines) < 1999


def test_no_unbounded_read_ahead(cli):
    """200 messages of 8 KiB at once through a 1 MiB pool: a reader that takes nothing meanwhile
    holds the follower back, which then has lost some."""
    cli.create("a")
    cli.feed("a", {"n": 0})
    follower = cli.start("follow", "a", "--jsonl", "--tail", "1")
    follower.line()
    cli.feed("a", *({"n": n, "p": "x" * 8000} for n in range(1, 201)))
    cli.feed("a", *({"n": n, "p": "x" * 8000} for n in range(201, 401)))
    got = 0
    while got != 400:
        got = follower.json()["data"]["n"]
    assert json.loads(follower.err_line())["notice"]["details"]["dropped_count"] > 0


# --- ends

def test_reader_closes_the_pipe(demo):
    follower = demo.follow_live("demo")
    follower.process.stdout.close()
    demo.feed("demo", {"n": 1})
    code = follower.process.wait(timeout=20)
    assert code == -signal.SIGPIPE and follower.process.stderr.read() == b""
    follower.buffers.pop(follower.process.stdout)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(demo, sig):
    follower = demo.follow_live("demo")
    follower.process.send_signal(sig)
    done = follower.finish()
    assert done.code == -sig and done.err == b""


def test_head(demo):
    demo.feed("demo", *({"n": n} for n in range(5000)))
    script = '"$0" --dir "$1" follow demo --tail 5000 --jsonl | head -n 3 | wc -l'
    from conftest import BIN
    done = subprocess.run(["sh", "-c", script, BIN, demo.pools], env=demo.env, capture_output=True,
                          timeout=20, check=True)
    assert done.stdout.strip() == b"3" and done.stderr == b""


def test_many_messages_through_a_file(cli, tmp_path):
    """Each line is whole and in order, at any buffer boundary."""
    cli.create("a", "--size", "8M")
    cli.feed("a", *({"n": n, "p": "x" * (n % 400)} for n in range(20000)))
    with open(tmp_path / "out", "wb") as out:
        cli.run("follow", "a", "--jsonl", "--tail", "20000", "--timeout", "0ms", stdout=out)
    lines = [json.loads(line) for line in open(tmp_path / "out", "rb")]
    assert [line["data"]["n"] for line in lines] == list(range(20000 - len(lines), 20000))
    assert len(lines) > 10000


def test_large_messages(cli):
    cli.create("a", "--size", "8M")
    sizes = [1, 65000, 70000, 1000000, 10]
    cli.feed("a", *({"p": "x" * size} for size in sizes))
    assert [len(item["p"]) for item in cli.data("a")] == sizes


# --- order of checks

@pytest.mark.parametrize("args,message", [
    (["ftp://x", "--jsonl", "--format", "jsonl", "--since", "x"], "conflicting output options"),
    (["ftp://x", "--since", "x", "--timeout", "x"], "invalid --since value"),
    (["ftp://x", "--timeout", "x", "--where", "("], "invalid duration"),
    (["ftp://x", "--where", "("], "invalid filter expression"),
    (["ftp://x", "--token", "x", "--replay", "1"], "remote pool ref must use http or https scheme"),
    (["x", "--token", "x", "--replay", "1"], "follow remote auth/TLS flags require a remote http(s) pool ref"),
    (["x", "--replay", "1"], "--replay requires --tail or --since"),
])
def test_order_of_checks(cli, args, message):
    assert cli.run("follow", *args).usage()["message"] == message


# --- each step of the order, where only two are wrong

ORDER = [
    (["--jsonl", "--format", "jsonl"], "conflicting output options"),
    (["--since", "x"], "invalid --since value"),
    (["--timeout", "x"], "invalid duration"),
    (["--where", "("], "invalid filter expression"),
    (["--token", "x"], "follow remote auth/TLS flags require a remote http(s) pool ref"),
    (["--replay", "1"], "--replay requires --tail or --since"),
]


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_every_check_wins_over_the_later_ones(cli, first):
    flags, message = ORDER[first]
    for later, _ in ORDER[first + 1:]:
        if "--since" in flags and "--replay" in later:
            continue
        assert cli.run("follow", "missing", *later, *flags).usage()["message"] == message
    for ref in ("ftp://x", "http://h/a/b"):
        wins = cli.run("follow", ref, *flags).usage()["message"]
        assert (wins == message) == (first < 4), "references come behind the filters"
    assert cli.run("follow", "missing", "--create", *flags).usage()["message"] == message
    assert not cli.pools.exists()


def test_checks_of_remote_references(cli):
    for flags, message in ORDER[:4]:
        assert cli.run("follow", "http://h/x", "--create", *flags).usage()["message"] == message
    cli.run("follow", "http://h/x", "--create", "--replay", "1").usage("does not support")


# --- more of the start

@pytest.mark.parametrize("flags,expected,code", [
    (["--tail", "2"], [2, 3], 124), (["--tail", "2", "--tag", "a"], [3], 124), (["--since", "1h"], [1, 2, 3], 124),
    (["--since", "1h", "--where", ".data.n > 1"], [2, 3], 124), (["--since", "0s"], [], 124), (["--tail", "0"], [], 124), ([], [], 124),
    (["--tail", "2", "--one"], [3], 0), (["--tail", "4", "--one"], [], 124), (["--since", "1h", "--one"], [1], 0),
    (["--since", "1h", "--one", "--tag", "a"], [3], 0), (["--one"], [], 124), (["--tail", "0", "--one"], [], 124),
    (["--tail", "2", "--one", "--where", ".data.n < 3"], [2], 0), (["--tail", "3", "--one", "--where", ".data.n < 3"], [], 124),
    (["--tail", "1", "--one", "--tag", "nope"], [], 124), (["--tail", "9", "--no-notify"], [1, 2, 3], 124),
    (["--tail", "9", "--quiet-drops", "--create"], [1, 2, 3], 124),
])
def test_one_pass_over_the_backlog(demo, flags, expected, code):
    done = demo.run("follow", "demo", "--jsonl", *flags, "--timeout", "0ms")
    assert done.code == code and seqs(done.lines) == expected and done.err == b""


@pytest.mark.parametrize("flags", [["--tag", "go"], ["--where", '.meta.tags == ["go"]'], ["--tag", "go", "--where", ".data.n > 4"]])
@pytest.mark.parametrize("tail", [1, 2, 3])
def test_tail_one_counts_what_comes(cli, flags, tail):
    """The N-th match ends it, whether it was there before or comes; only that one is printed."""
    cli.create("a")
    cli.feed("a", {"n": 5}, tags=["go"])
    follower = cli.start("follow", "a", "--jsonl", "--tail", tail, "--one", *flags)
    for n in range(6, 5 + tail):
        assert follower.process.poll() is None
        cli.feed("a", {"n": 0})
        cli.feed("a", {"n": n}, tags=["go"])
    done = follower.finish().ok()
    assert [line["data"]["n"] for line in done.lines] == [4 + tail]


def test_one_ignores_what_was_there(demo):
    follower = demo.start("follow", "demo", "--one", "--jsonl", "--timeout", "100ms")
    assert follower.finish().code == 124


def test_timeout_is_rearmed_by_what_is_printed(demo):
    """It ends a whole timeout after the last message, not after its start."""
    for timeout_s in (0.4, 2, 10):  # the longer ones for machines so busy that the message comes too late
        follower = demo.start("follow", "demo", "--tail", "1", "--jsonl", "--timeout", f"{int(timeout_s * 1000)}ms")
        follower.line()
        time.sleep(timeout_s / 2)  # the length of the pause is the subject, not a way to wait
        start = time.monotonic()
        demo.feed("demo", {"n": 4})
        if follower.line() is not None:
            break
    done = follower.finish()
    assert time.monotonic() - start >= timeout_s
    assert done.code == 124 and done.err == b""


def test_timeout_with_one_message(demo):
    done = demo.run("follow", "demo", "--tail", "1", "--one", "--timeout", "1ms", "--jsonl").ok()
    assert seqs(done.lines) == [3]


@pytest.mark.parametrize("flags,expected", [
    (["--tail", "2"], [2, 3]), (["--tail", "99"], [1, 2, 3]), (["--since", "1h"], [1, 2, 3]), (["--tail", "2", "--one"], [2]),
    (["--since", "1h", "--one"], [1]), (["--tail", "1", "--tag", "b"], [3]), (["--tail", "2", "--where", ".data.n < 3"], [1, 2]),
    (["--since", "1h", "--tag", "b", "--one"], [3]), (["--since", "0s"], []), (["--tail", "9", "--tag", "nope"], []),
    (["--tail", "2", "--timeout", "0ms"], [2, 3]), (["--tail", "2", "--create"], [2, 3]), (["--tail", "2", "--no-notify"], [2, 3]),
    (["--since", "2100-01-01T00:00:00Z"], []),
])
def test_replay_selects(demo, flags, expected):
    for speed in ("0", "1000"):
        done = demo.run("follow", "demo", "--jsonl", "--replay", speed, *flags).ok()
        assert seqs(done.lines) == expected
        done = demo.run("follow", "demo", "--jsonl", "--data-only", "--replay", speed, *flags).ok()
        assert [line["n"] for line in done.lines] == expected


def test_replay_of_a_pool_that_is_created(cli):
    assert cli.run("follow", "a", "--create", "--tail", "5", "--replay", "0").ok().out == b""
    assert cli.path("a").exists()


def test_replay_is_of_what_was_there(cli):
    """It ends although messages keep coming."""
    cli.create("a")
    cli.feed("a", {"n": 1})
    feeder = cli.start("feed", "a", stdin=-1)
    for _ in range(5):
        feeder.feed(b'{"n":2}\n')
        feeder.line()
        assert cli.run("follow", "a", "--since", "1h", "--replay", "0", "--jsonl").ok().lines[0]["data"] == {"n": 1}
    feeder.finish().ok()


def test_messages_come_in_order_and_whole_under_load(cli):
    """Four writers, one reader from the start: every seq once, in order."""
    cli.create("a", "--size", "8M")
    follower = cli.start("follow", "a", "--jsonl", "--since", "1h")
    text = "".join(json.dumps({"w": "%d", "n": n, "p": "x" * (n * 7 % 900)}) + "\n" for n in range(500))
    feeders = [cli.start("feed", "a", stdin=-1) for _ in range(4)]
    for writer, feeder in enumerate(feeders):
        feeder.feed((text % ((writer,) * 500)).encode())
    messages = [follower.json() for _ in range(2000)]
    assert seqs(messages) == list(range(1, 2001))
    for writer in range(4):
        assert [item["data"]["n"] for item in messages if item["data"]["w"] == str(writer)] == list(range(500))
    for feeder in feeders:
        feeder.finish().ok()


def test_a_slow_reader_is_told_of_its_losses(cli):
    """A pool of 1 MiB, 200 messages of 8 KiB at once, a reader that takes line after line: at two lines a
    second the notice must come within 15 seconds, that is before the thirtieth line."""
    cli.create("a", "--size", "1M")
    follower = cli.follow_live("a")
    cli.feed("a", *({"n": n, "p": "x" * 8192} for n in range(200)))
    lines = 0
    while lines < 30 and not select_stderr(follower):
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(follower.process.stdout.fileno(), 1)
        lines += 1
    notice = json.loads(follower.err_line())["notice"]
    assert notice["kind"] == "drop" and notice["cmd"] == "follow" and notice["details"]["dropped_count"] > 0


def select_stderr(follower):
    """Whether something was said within the time that the reader leaves between two lines."""
    return select.select([follower.process.stderr], [], [], 0.1)[0]
