"""duplex: contract section 14."""

import json
import os
import pty
import signal
import subprocess
import time

import pytest

from conftest import BIN, DEADLINE_S, Cli, Result


def start(cli, pool, *args):
    """A duplex with a pipe to type into, whose follower is known to be in place: the pool's
    newest message was printed."""
    cli.feed(pool, {"probe": True})
    running = cli.start("duplex", pool, "--jsonl", "--tail", "1", *args, stdin=subprocess.PIPE)
    assert running.json()["data"] == {"probe": True}
    return running


class Terminal:
    """A duplex whose input is a terminal, or more of its streams."""

    def __init__(self, cli, *args, streams=("stdin",)):
        self.master, slave = pty.openpty()
        of = lambda name: slave if name in streams else subprocess.PIPE
        self.process = subprocess.Popen(
            [BIN, "--dir", str(cli.pools), "duplex", *args], env=cli.env, cwd=cli.root,
            stdin=slave, stdout=of("stdout"), stderr=of("stderr"), start_new_session=True)
        os.close(slave)

    def type(self, data):
        os.write(self.master, data)

    def json(self):
        return json.loads(self.process.stdout.readline())

    def end(self):
        out, err = self.process.communicate(timeout=DEADLINE_S)
        self.screen = Cli.drain(self.master)
        os.close(self.master)
        return self.process.returncode, out, err


# --- piped input

def test_piped_input_is_stored_and_not_echoed(cli):
    cli.create("chat")
    done = cli.run("duplex", "chat", "--me", "bob", "--jsonl", stdin=b'{"from":"bob","n":1}\n{"from":"bob","n":2}')
    assert done.ok().out == b""
    assert [data["n"] for data in cli.data("chat")] == [1, 2]
    assert all(message["meta"] == {"tags": []} for message in cli.backlog("chat"))


def test_without_me_everything_is_printed(cli):
    cli.create("chat")
    done = cli.run("duplex", "chat", "--jsonl", stdin=b'{"from":"bob","n":1}{"n":2}\n\n{"n":3}').ok()
    assert [line["data"]["n"] for line in done.lines] == [1, 2, 3]


@pytest.mark.parametrize("count", [1, 5000])
def test_all_that_was_committed_is_printed_at_the_end(cli, count):
    """The last pass, whose subject is the end of the input following the records at once."""
    cli.create("chat", "--size", "8M")
    text = b"".join(b'{"from":"me","n":%d}\n' % n for n in range(count))
    for _ in range(5):
        done = cli.run("duplex", "chat", "--me", "me", "--echo-self", "--jsonl", stdin=text).ok()
        assert [line["data"]["n"] for line in done.lines] == list(range(count))


def test_the_last_pass_ends_although_others_go_on(cli):
    """Each time something is read of its output, more is appended than was read."""
    cli.create("chat", "--size", "16M")
    cli.feed("chat", *({"p": "x" * 1000} for _ in range(3000)))
    running = cli.start("duplex", "chat", "--jsonl", "--tail", "3000", stdin=subprocess.PIPE)
    running.feed(b'{"n":1}\n')
    running.process.stdin.close()
    for _ in range(300):
        if os.read(running.process.stdout.fileno(), 65536) == b"":
            break
        cli.feed("chat", *({"p": "x" * 1000} for _ in range(80)))
    else:
        raise AssertionError("it does not end")
    assert running.process.wait(timeout=DEADLINE_S) == 0


def test_the_end_of_input_ends_it_at_once(cli):
    """Not when the follower looks up by itself, 125 ms later: half of the runs may."""
    cli.create("chat")

    def duration():
        running = start(cli, "chat", "--me", "me")
        cli.feed("chat", {"n": 1})
        running.feed(b'{"from":"me"}\n')
        assert running.json()["data"] == {"n": 1}  # it sleeps behind this, or will at once
        begin = time.monotonic()
        running.finish().ok()
        return time.monotonic() - begin

    assert sorted(duration() for _ in range(11))[5] < 0.06


@pytest.mark.parametrize("stdin", [b"", b" \n\n", None])
def test_no_input(cli, stdin):
    cli.create("chat")
    error = cli.run("duplex", "chat", "--me", "x", stdin=stdin).usage()
    assert error["message"] == "missing data input" and "duplex" in error["hint"]


def test_history_is_printed_even_without_input(demo):
    done = demo.run("duplex", "demo", "--tail", "2", "--jsonl")
    assert [line["seq"] for line in done.lines] == [2, 3]
    done.usage("missing data input")


@pytest.mark.parametrize("bad,message", [
    (b'{"n":', "invalid json input"), (b"x\n", "invalid json input"), (b"[1]\n", "data must be object"),
    (b'{"p":"' + b"x" * 1100000 + b'"}\n', "record exceeds size limit"),
    (b'{"p":"' + b"x" * 1000000 + b'"}\n', "payload exceeds ring capacity"),
    (b'{"p":"\xff"}\n', "invalid json input"),
])
def test_a_bad_record_ends_it(cli, bad, message):
    cli.create("chat")
    done = cli.run("duplex", "chat", "--jsonl", stdin=b'{"n":1}\n{"n":2}\n' + bad + b'{"n":3}\n')
    error = done.usage(message)
    assert [line["data"]["n"] for line in done.lines] == [1, 2]  # what came before is stored, and printed
    assert [data["n"] for data in cli.data("chat")] == [1, 2]
    assert "-e skip" not in error["hint"] or "plasmite feed -e skip" in error["hint"]


@pytest.mark.parametrize("text,expected", [
    (b'\x1e{"n":1}\n\x1e{"n":2}\n', [1, 2]),
    (b'data: {"n":1}\n\ndata: {"n":2}\n\n', [1, 2]),
    (b'{\n  "n": 1\n}\n{"n":2}\n', [1, 2]),
])
def test_input_is_detected(cli, text, expected):
    cli.create("chat")
    cli.run("duplex", "chat", "--me", "me", stdin=text, stdout=subprocess.DEVNULL)
    assert [data["n"] for data in cli.data("chat")] == expected


def test_records_are_stored_as_they_come(cli):
    cli.create("chat")
    running = start(cli, "chat", "--me", "me")
    running.feed(b'{"from":"me","n":1}\n')
    follower = cli.start("follow", "chat", "--jsonl", "--tail", "2", "--one")
    assert follower.json()["data"] == {"from": "me", "n": 1}
    assert running.process.poll() is None
    running.finish().ok()


def test_both_directions_at_once(cli):
    """Two of them talk to each other."""
    cli.create("chat")
    cli.feed("chat", {"probe": True})
    alice, bob = (cli.start("duplex", "chat", "--jsonl", "--tail", "1", "--me", name, stdin=subprocess.PIPE)
                  for name in ("alice", "bob"))
    for side in (alice, bob):
        assert side.json()["data"] == {"probe": True}
    for n in range(20):
        alice.feed(b'{"from":"alice","n":%d}\n' % n)
        assert bob.json()["data"] == {"from": "alice", "n": n}
        bob.feed(b'{"from":"bob","n":%d}\n' % n)
        assert alice.json()["data"] == {"from": "bob", "n": n}
    for side in (alice, bob):
        side.finish().ok()


def test_a_program_that_reads_nothing_until_it_wrote_everything(cli):
    """More goes out than a pipe holds before anything of it is read."""
    cli.create("chat", "--size", "16M")
    running = start(cli, "chat")
    lines = [b'{"n":%d,"p":"%s"}\n' % (n, b"x" * 1000) for n in range(1000)]
    for line in lines:
        running.feed(line)
    running.process.stdin.close()
    running.process.stdin = None
    assert [running.json()["data"]["n"] for _ in lines] == list(range(1000))
    running.finish().ok()


# --- who I am

def test_messages_of_mine_are_not_printed(cli):
    cli.create("chat")
    running = start(cli, "chat", "--me", "b\u00f6b")
    cli.feed("chat", {"from": "b\u00f6b"}, {"from": "alice"}, {"from": ["b\u00f6b"]}, {"meta": {"from": "b\u00f6b"}})
    assert [running.json()["seq"] for _ in range(3)] == [3, 4, 5]
    running.finish().usage("missing data input")


def test_messages_of_mine_do_not_count_for_tail(cli):
    cli.create("chat")
    cli.feed("chat", *({"from": "bob" if n % 2 else "alice", "n": n} for n in range(20)))
    done = cli.run("duplex", "chat", "--me", "bob", "--tail", "3", "--jsonl", stdin=b'{"from":"bob"}')
    assert [line["data"]["n"] for line in done.ok().lines] == [14, 16, 18]
    done = cli.run("duplex", "chat", "--me", "bob", "--tail", "3", "--jsonl", "--echo-self", stdin=b'{"n":20}')
    assert [line["data"].get("n") for line in done.ok().lines] == [18, 19, None, 20]


def test_echo_self(cli):
    cli.create("chat")
    running = start(cli, "chat", "--me", "bob", "--echo-self")
    running.feed(b'{"from":"bob","n":1}\n')
    assert running.json()["data"] == {"from": "bob", "n": 1}
    running.finish().ok()


# --- what follow does, too

def test_layouts(demo):
    text = lambda *args: demo.run("duplex", "demo", "--tail", "1", *args, stdin=b"").text
    assert text() == text("--format", "pretty") == demo.run("follow", "demo", "--tail", "1", "--replay", "0").text
    assert text("--jsonl") == text("--format", "jsonl")
    assert text("--jsonl").count("\n") == 1


def test_since(demo):
    done = demo.run("duplex", "demo", "--since", "1h", "--jsonl", "--me", "me", stdin=b'{"from":"me"}').ok()
    assert [line["seq"] for line in done.lines] == [1, 2, 3]


def test_future_since(demo):
    done = demo.run("duplex", "demo", "--since", "2100-01-01T00:00:00Z", stdin=b'{"n":4}').ok()
    assert done.out == b"" and len(demo.data("demo")) == 3
    demo.run("duplex", "missing", "--since", "2100-01-01T00:00:00Z").fails("NotFound", 3)


def test_create(cli):
    for expected in (1, 2):
        cli.run("duplex", "chat", "--create", "--me", "me", stdin=b'{"from":"me"}').ok()
        assert len(cli.data("chat")) == expected
    assert cli.path("chat").stat().st_size == 1 << 20


def test_missing_pool(cli):
    error = cli.run("duplex", "nope", "--me", "a b", "--tail", "3", "--jsonl", "--timeout", "1s", "--echo-self",
                    stdin=b"{}").fails("NotFound", 3)
    assert error["message"] == "not found" and error["path"].endswith("nope.plasmite")
    assert "exact command" in error["hint"]
    assert 'plasmite duplex nope --create --me "a b" --tail 3 --jsonl --timeout 1s --echo-self' in error["hint"]
    assert not cli.pools.exists()
    error = cli.run("duplex", "./nope", stdin=b"{}").fails("NotFound", 3)
    assert "--dir" in error["hint"]


def test_timeout(demo):
    """The timeout applies while input is open; nothing is said of it."""
    running = demo.start("duplex", "demo", "--timeout", "50ms", stdin=subprocess.PIPE)
    process = running.process
    assert process.wait(timeout=DEADLINE_S) == 124
    assert process.stdout.read() == b"" and process.stderr.read() == b""
    terminal = Terminal(demo, "demo", "--timeout", "50ms", "--me", "me", streams=("stdin", "stdout", "stderr"))
    assert terminal.end()[0] == 124 and terminal.screen == b""


def test_timeout_is_bounded_by_the_end_of_input(cli):
    cli.create("chat")
    begin = time.monotonic()
    cli.run("duplex", "chat", "--me", "me", "--timeout", "30s", stdin=b'{"from":"me"}').ok()
    assert time.monotonic() - begin < 30  # that it does not wait is the subject


def test_timeout_is_rearmed_by_what_is_printed(cli):
    cli.create("chat")
    running = start(cli, "chat", "--timeout", "500ms")
    begin = time.monotonic()
    while time.monotonic() - begin < 1 and running.process.poll() is None:
        cli.feed("chat", {"n": 0})
        assert running.json()["data"] == {"n": 0}
    assert running.process.wait(timeout=DEADLINE_S) == 124
    assert time.monotonic() - begin > 1


def test_deleted_while_followed(cli):
    cli.create("chat")
    running = start(cli, "chat")
    cli.run("pool", "delete", "chat").ok()
    assert running.process.wait(timeout=DEADLINE_S) == 3
    error = json.loads(running.process.stderr.read())["error"]
    assert error["kind"] == "NotFound" and "deleted" in error["message"]


def test_losses_are_told(cli):
    cli.create("chat", "--size", "64K")
    running = start(cli, "chat")
    for _ in range(20):
        cli.feed("chat", *({"p": "x" * 4000} for _ in range(100)))
    notice = None
    newest = cli.run("pool", "info", "chat", "--json").json["bounds"]["newest"]
    while running.json()["seq"] != newest:
        pass
    notice = json.loads(running.err_line())["notice"]
    assert notice["kind"] == "drop" and notice["cmd"] == "follow" and notice["details"]["dropped_count"] > 0


# --- ends

def test_closed_output_does_not_matter_while_nothing_is_printed(cli):
    cli.create("chat")
    running = cli.start("duplex", "chat", "--me", "me", stdin=subprocess.PIPE)
    running.process.stdout.close()
    running.feed(b'{"from":"me","n":1}\n{"from":"me","n":2}\n')
    running.process.stdin.close()
    assert running.process.wait(timeout=DEADLINE_S) == 0
    assert len(cli.data("chat")) == 2
    script = '"$0" --dir "$1" duplex chat --me me >&-'
    done = subprocess.run(["sh", "-c", script, BIN, str(cli.pools)], env=cli.env, input=b'{"from":"me"}', check=True,
                          capture_output=True, timeout=DEADLINE_S)
    assert done.stderr == b"" and len(cli.data("chat")) == 3


def test_reader_closes_the_pipe(cli):
    cli.create("chat")
    running = start(cli, "chat")
    running.process.stdout.close()
    running.feed(b'{"n":1}\n')
    assert running.process.wait(timeout=DEADLINE_S) == -signal.SIGPIPE
    assert running.process.stderr.read() == b"" and len(cli.data("chat")) == 2


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it(cli, sig):
    cli.create("chat")
    running = start(cli, "chat")
    running.process.send_signal(sig)
    assert running.process.wait(timeout=DEADLINE_S) == -sig
    assert running.process.stderr.read() == b""


def test_unreadable_input(cli):
    cli.create("chat")
    with open(cli.root / "only-written", "wb") as file:
        cli.run("duplex", "chat", stdin=file).fails("Io", 8, "failed to read stdin")
    cli.run("duplex", "chat", stdin=os.open(cli.root, os.O_RDONLY)).fails("Io", 8, "failed to read stdin")


# --- a terminal

def typed(cli, data, *args):
    terminal = Terminal(cli, "chat", "--jsonl", *args)
    terminal.type(data)
    code, out, err = terminal.end()
    return Result(code, out, err)


def test_typed_lines(cli):
    cli.create("chat")
    done = typed(cli, b'hello\n  two  words \n\n \t\n{"not":"json"}\nlast\x04\x04', "--me", "alice")
    assert done.ok().out == b""
    assert cli.data("chat") == [{"from": "alice", "msg": message} for message in
                                ("hello", "  two  words ", '{"not":"json"}', "last")]
    assert cli.backlog("chat")[0]["meta"] == {"tags": []}


@pytest.mark.parametrize("data", [b"\x04", b"\n\n\x04"])
def test_nothing_typed(cli, data):
    cli.create("chat")
    assert typed(cli, data, "--me", "a").ok().out == b""
    assert cli.data("chat") == []


def test_what_is_no_utf8_is_replaced(cli):
    cli.create("chat")
    typed(cli, b"caf\xe9 \"q\" \xc3\xbc\n\x04", "--me", "a").ok()
    assert cli.data("chat") == [{"from": "a", "msg": "caf\ufffd \"q\" \u00fc"}]


def test_a_name_that_is_no_utf8_is_still_mine(cli):
    cli.create("chat")
    assert typed(cli, b"hello\n\x04", "--me", os.fsdecode(b"b\xf6b")).ok().out == b""
    assert cli.data("chat") == [{"from": "b\ufffdb", "msg": "hello"}]


def test_own_lines_are_printed_before_the_end(cli):
    cli.create("chat")
    done = typed(cli, b"hi\n\x04", "--me", "alice", "--echo-self").ok()
    assert [line["data"]["msg"] for line in done.lines] == ["hi"]


def test_a_typed_line_that_the_pool_cannot_take(cli):
    cli.create("chat", "--size", "8K")
    done = typed(cli, b"x\n\x04", "--me", "m" * 9000)
    done.usage("payload exceeds ring capacity")


def test_typing_and_following_at_once(cli):
    cli.create("chat")
    cli.feed("chat", {"from": "bob", "n": 1})
    terminal = Terminal(cli, "chat", "--me", "alice", "--jsonl", "--tail", "1")
    assert terminal.json()["data"] == {"from": "bob", "n": 1}
    terminal.type(b"hi\n")
    follower = cli.start("follow", "chat", "--jsonl", "--tail", "2", "--one")
    assert follower.json()["data"] == {"from": "alice", "msg": "hi"}
    cli.feed("chat", {"from": "bob", "n": 2})
    assert terminal.json()["data"] == {"from": "bob", "n": 2}
    terminal.type(b"\x04")
    assert terminal.end() == (0, b"", b"")


def test_terminal_input_needs_a_name(cli):
    terminal = Terminal(cli, "chat")
    code, out, err = terminal.end()
    error = json.loads(err)["error"]
    assert code == 2 and out == b"" and error["message"] == "TTY input requires --me for duplex"
    assert "--me" in error["hint"]


def test_ctrl_c(cli):
    cli.create("chat")
    cli.feed("chat", {"n": 1})
    terminal = Terminal(cli, "chat", "--me", "alice", "--jsonl", "--tail", "1")
    terminal.json()
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end()[0] == -signal.SIGINT


# --- remote references

@pytest.mark.parametrize("flags,word", [
    (["--create"], "--create"), (["--since", "1h"], "--since"), (["--since", "2100-01-01T00:00:00Z"], "--since")])
def test_remote_refuses(cli, flags, word):
    error = cli.run("duplex", "http://127.0.0.1:1/x", *flags).usage(f"does not support {word}")
    assert word != "--create" or "server-side" in error["hint"]


@pytest.mark.parametrize("flags", [["--token", "x"], ["--token-file", "x"], ["--tls-ca", "x"], ["--tls-skip-verify"]])
def test_remote_flags_need_a_remote_pool(cli, flags):
    error = cli.run("duplex", "missing", *flags).usage()
    assert error["message"] == "duplex remote auth/TLS flags require a remote http(s) pool ref"


# --- order of checks

@pytest.mark.parametrize("args,message", [
    (["ftp://x", "--jsonl", "--format", "jsonl", "--since", "x"], "conflicting output options"),
    (["ftp://x", "--since", "x", "--timeout", "x"], "invalid --since value"),
    (["ftp://x", "--timeout", "x"], "invalid duration"),
    (["ftp://x", "--token", "x"], "remote pool ref must use http or https scheme"),
    (["http://127.0.0.1:1/x", "--token", "x", "--token-file", "x", "--create"],
     "--token cannot be combined with --token-file"),
    (["x", "--since", "1h", "--tail", "1"], "the argument '--since <SINCE>' cannot be used with '--tail <TAIL>'"),
    (["x", "--one"], "unexpected argument '--one' found"),
])
def test_order_of_checks(cli, args, message):
    assert cli.run("duplex", *args).usage()["message"] == message


def test_order_of_checks_on_a_terminal(cli):
    for args, message in ((["x", "--jsonl", "--format", "jsonl"], "conflicting output options"),
                          (["x", "--since", "x"], "TTY input requires --me for duplex")):
        assert json.loads(Terminal(cli, *args).end()[2])["error"]["message"] == message
