"""tap: contract section 15."""

import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import BIN, DEADLINE_S

LIFECYCLE = {"tags": ["lifecycle"]}


def shell(script):
    return ["sh", "-c", script]


def python(script):
    return [sys.executable, "-c", script]


def tap(cli, *args, pool="demo", options=("--create",), **kwargs):
    return cli.run("tap", pool, *options, "--", *args, **kwargs)


def start_tap(cli, *args, pool="demo", options=("--create",), stdin=subprocess.PIPE):
    return cli.start("tap", pool, *options, "--", *args, stdin=stdin)


def lines(cli, stream=None, pool="demo"):
    return [data["line"] for data in cli.data(pool)
            if data.get("kind") == "line" and stream in (None, data["stream"])]


def ending(cli, pool="demo"):
    """The last message, which must be the exit message."""
    last = cli.backlog(pool)[-1]
    assert last["data"]["kind"] == "exit" and last["meta"] == LIFECYCLE
    assert last["data"].pop("elapsed_ms") >= 0
    return last["data"]


def until(fact):
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.005)


def is_gone(pid):
    """Whether no such process runs; one that was not reaped yet has ended, too."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# Messages ---------------------------------------------------------------------------------------


def test_stores_start_lines_and_exit(cli):
    done = tap(cli, *shell("echo one; echo two; echo three >&2"), options=("--create", "--tag", "a", "--tag", "b"))
    assert (done.code, done.out, done.err) == (0, b"one\ntwo\n", b"three\n")
    messages = cli.backlog("demo")
    assert [message["seq"] for message in messages] == [1, 2, 3, 4, 5]
    assert messages[0]["data"] == {"cmd": shell("echo one; echo two; echo three >&2"), "kind": "start"}
    assert messages[0]["meta"] == messages[-1]["meta"] == LIFECYCLE
    assert all(message["meta"] == {"tags": ["a", "b"]} for message in messages[1:-1])
    assert {"kind": "line", "line": "one", "stream": "stdout"} in cli.data("demo")
    assert lines(cli, "stdout") == ["one", "two"]
    assert lines(cli, "stderr") == ["three"]
    assert ending(cli) == {"code": 0, "kind": "exit"}


def test_without_tags_lines_have_none(cli):
    tap(cli, "echo", "x").ok()
    assert cli.backlog("demo")[1]["meta"] == {"tags": []}


@pytest.mark.parametrize("code", [0, 1, 7, 124, 255])
def test_exit_status_is_passed_on(cli, code):
    done = tap(cli, *shell(f"exit {code}"))
    assert (done.code, done.out, done.err) == (code, b"", b"")
    assert ending(cli) == {"code": code, "kind": "exit"}


@pytest.mark.parametrize(
    "signo, name",
    [(2, "SIGINT"), (9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (1, "SIG1"), (10, "SIG10")],
)
def test_death_by_a_signal(cli, signo, name):
    done = tap(cli, *shell(f"echo x; kill -{signo} $$"))
    assert (done.code, done.out) == (128 + signo, b"x\n")
    assert ending(cli) == {"kind": "exit", "signal": name}


def test_line_ends_are_stripped_and_empty_lines_kept(cli):
    output = b"a\r\n\n\r\r\nb\rc\n\nlast"
    done = tap(cli, "printf", "%b", output.decode().replace("\r", "\\r").replace("\n", "\\n"))
    assert done.ok().out == output
    assert lines(cli) == ["a", "", "", "b\rc", "", "last"]


@pytest.mark.parametrize("size", [65535, 65536, 70000, 300000, 900000])
def test_long_lines_are_whole(cli, size):
    done = tap(cli, *python(f"print('x' * {size}); print('after', end='')"))
    assert done.ok().out == b"x" * size + b"\nafter"
    # the ring may have no room for the messages before such a line
    assert [len(line) for line in lines(cli)] == [size, 5]
    assert not any("part" in data for data in cli.data("demo"))


def test_lines_larger_than_the_ring_are_stored_in_parts(cli):
    script = "import sys\nfor i in range(20000): sys.stdout.write('%07d ' % i)\nprint(); print('after')"
    done = tap(cli, *python(script), options=("--create", "--create-size", "64K"))
    expected = "".join(f"{i:07d} " for i in range(20000))
    assert done.ok().text == expected + "\nafter\n"
    *parts, after, _ = cli.data("demo")
    assert after == {"kind": "line", "line": "after", "stream": "stdout"}
    parts = [part for part in parts if part["kind"] == "line"]
    numbers = [part["part"] for part in parts]
    assert len(parts) > 4 and numbers == list(range(numbers[0], numbers[0] + len(parts)))
    assert [part.get("more") for part in parts] == [True] * (len(parts) - 1) + [None]
    assert expected.endswith("".join(part["line"] for part in parts))


def test_output_that_is_not_text(cli):
    output = bytes(range(256)) + b"\n\xff\xfe\n\xe2\x82\xac\xe2\x82\n\0\0"
    script = f"import os; os.write(1, {output!r}); os.write(2, b'\\xf0\\x9f\\x98'); os.write(2, b'\\x80\\n')"
    done = tap(cli, *python(script))
    assert (done.code, done.out, done.err) == (0, output, "😀\n".encode())
    first, rest = bytes(range(10)), bytes(range(11, 128)).decode() + "\ufffd" * 128
    assert lines(cli, "stdout") == [first.decode(), rest, "\ufffd\ufffd", "€\ufffd\ufffd", "\0\0"]
    assert lines(cli, "stderr") == ["😀"]


def test_arguments_that_are_not_text(cli):
    tap(cli, *shell("true"), b"a\xff".decode(errors="surrogateescape"), "").ok()
    assert cli.data("demo")[0]["cmd"] == [*shell("true"), "a\ufffd", ""]


def test_many_lines_keep_their_order(cli):
    done = tap(cli, "seq", "20000", options=("--create", "--create-size", "16M"))
    assert done.ok().out == b"".join(b"%d\n" % i for i in range(1, 20001))
    assert lines(cli) == [str(i) for i in range(1, 20001)]


def test_without_line_ends_memory_is_bounded(cli):
    script = "import os\nblock = b'x' * 65536\nfor i in range(4000): os.write(1, block)\nos.write(2, b'done\\n'); input()"
    cli.create("demo")
    running = start_tap(cli, *python(script), options=("-q",))
    proc = f"/proc/{running.process.pid}"
    until(lambda: "done" in lines(cli, "stderr"))
    with open(f"{proc}/maps", encoding="utf-8") as maps, open(f"{proc}/status", encoding="utf-8") as status:
        if "libasan" in maps.read():
            pytest.skip("the sanitizer keeps what was freed")
        peak_kib = int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])
    assert peak_kib < 20000  # of 262 MB that were written
    running.feed(b"\n")
    running.finish().ok()
    assert all(part["line"].strip("x") == "" for part in cli.data("demo") if part.get("part"))


# Passing on -------------------------------------------------------------------------------------


def test_quiet_passes_nothing_on(cli):
    done = tap(cli, *shell("echo x; echo y >&2; exit 4"), options=("--create", "-q"))
    assert (done.code, done.out, done.err) == (4, b"", b"")
    assert sorted(lines(cli)) == ["x", "y"]


def test_a_prompt_is_passed_on_before_its_line_ends(cli):
    running = start_tap(cli, *shell("printf 'name? '; read x; echo hi $x"))
    assert os.read(running.process.stdout.fileno(), 100) == b"name? "
    assert lines(cli) == []
    running.feed(b"bob\n")
    assert running.finish().ok().out == b"hi bob\n"
    assert lines(cli) == ["name? hi bob"]


def test_what_was_seen_is_in_the_pool(cli):
    running = start_tap(cli, *shell("for i in 1 2 3; do echo $i; read x; done"))
    for i in range(1, 4):
        assert running.line() == b"%d" % i
        assert lines(cli)[-1] == str(i)
        running.feed(b"\n")
    running.finish().ok()


def test_a_reader_that_leaves_does_not_end_the_capture(cli):
    running = start_tap(cli, *shell("echo first; read x; seq 30000; echo done >&2; exit 3"),
                        options=("--create", "--create-size", "16M"))
    assert running.line() == b"first"
    running.process.stdout.close()
    del running.buffers[running.process.stdout]
    running.feed(b"\n")
    assert running.err_line() == b"done"
    assert running.process.wait(DEADLINE_S) == 3
    assert lines(cli, "stdout") == ["first"] + [str(i) for i in range(1, 30001)]


def test_a_full_disk_is_told_and_does_not_end_the_capture(cli):
    with open("/dev/full", "wb") as full:
        done = tap(cli, *shell("echo a; exit 5"), stdout=full)
    assert done.code == 5 and lines(cli) == ["a"]
    (notice,) = done.notices
    assert notice["kind"] == "passthrough" and notice["cmd"] == "tap" and notice["pool"] == "demo"
    assert "No space left" in notice["message"]


def test_a_slow_reader_loses_nothing(cli):
    cli.create("demo", "--size", "64M")
    running = start_tap(cli, "seq", "100000", options=())
    until(lambda: cli.run("pool", "info", "demo", "--json").json["bounds"].get("newest", 0) > 1)  # nobody reads
    done = running.finish().ok()
    assert done.out == b"".join(b"%d\n" % i for i in range(1, 100001))
    assert len(lines(cli)) == 100000


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_is_slow_on_stdout_gets_stderr(cli, kind):
    script = """
import os, select, sys, threading
threading.Thread(target=lambda: os.write(1, b'x\\n' * 1000000)).start()
while select.select([], [1], [], 0.05)[1]: pass
os.write(2, b'stdout is full\\n')
"""
    ours, theirs = socket.socketpair() if kind == "socket" else map(open, os.pipe(), "rw")
    with ours, theirs:
        process = subprocess.Popen(
            [BIN, "--dir", cli.pools, "tap", "demo", "--create", "--", *python(script)],
            env=cli.env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
        )
        theirs.close()
        assert select.select([process.stderr], [], [], DEADLINE_S)[0], "stderr was held up"
        assert process.stderr.readline() == b"stdout is full\n"
        received = b"".join(iter(lambda: os.read(ours.fileno(), 65536), b""))
        assert received == b"x\n" * 1000000
        assert process.communicate(timeout=DEADLINE_S) == (None, b"") and process.returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_were_closed_before(cli, closed):
    script = f'"$@" {closed}; echo $?'
    command = [BIN, "--dir", cli.pools, "tap", "demo", "--create", "--", *shell("echo a; echo b >&2; exit 6")]
    done = subprocess.run(["sh", "-c", script, "sh", *command], env=cli.env, capture_output=True, check=False)
    assert done.stdout.endswith(b"6\n")
    assert sorted(lines(cli)) == ["a", "b"]
    assert b"\"kind\"" not in done.stdout + done.stderr


# Signals ----------------------------------------------------------------------------------------

TRAPS = """
for s in INT TERM HUP QUIT; do trap "echo $s; exit 9" $s; done
echo ready; while :; do read x || sleep 1; done
"""


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT"])
def test_signals_are_handed_on(cli, name):
    running = start_tap(cli, *shell(TRAPS))
    assert running.line() == b"ready"
    running.process.send_signal(getattr(signal, f"SIG{name}"))
    assert running.line() == name.encode()
    assert running.finish().code == 9
    assert lines(cli) == ["ready", name]
    assert ending(cli) == {"code": 9, "kind": "exit"}


def test_a_terminated_child_is_recorded_and_reaped(cli):
    running = start_tap(cli, *shell("echo $$; exec sleep 1000"))
    pid = int(running.line())
    running.process.terminate()
    assert running.finish().code == 143
    assert is_gone(pid)
    assert ending(cli) == {"kind": "exit", "signal": "SIGTERM"}


def test_a_child_that_closed_its_output_is_waited_for(cli):
    running = start_tap(cli, *shell("echo $$; exec >&- 2>&-; read x; exit 7"))
    pid = int(running.line())
    until(lambda: os.readlink(f"/proc/{pid}/fd/0") and not os.path.exists(f"/proc/{pid}/fd/1"))
    running.feed(b"\n")
    assert running.finish().code == 7

    running = start_tap(cli, *shell("echo $$; exec >&- 2>&-; read x"), pool="other")
    pid = int(running.line())
    until(lambda: not os.path.exists(f"/proc/{pid}/fd/1"))
    running.process.terminate()
    assert running.process.wait(DEADLINE_S) == 143
    assert ending(cli, "other") == {"kind": "exit", "signal": "SIGTERM"}


def test_a_grandchild_that_holds_the_pipes_is_captured(cli):
    os.mkfifo(cli.root / "gate")
    running = start_tap(cli, *shell(f"(read x < {cli.root}/gate; echo late) & echo $$; exit 5"))
    pid = int(running.line())
    until(lambda: is_gone(pid))
    (cli.root / "gate").write_text("\n")
    done = running.finish()
    assert (done.code, done.out) == (5, b"late\n")
    assert [data.get("line") for data in cli.data("demo")][1:] == [str(pid), "late", None]


def test_a_signal_ends_the_wait_for_a_grandchild(cli):
    running = start_tap(cli, *shell("sleep 1000 & echo $$ $!; exit 5"))
    pid, grandchild = map(int, running.line().split())
    until(lambda: is_gone(pid))

    def ended():
        running.process.terminate()  # the first one may come before the end was noticed
        return running.process.poll() is not None

    try:
        until(ended)
        assert running.process.returncode == 5
        assert not is_gone(grandchild)
    finally:
        os.kill(grandchild, signal.SIGKILL)
    assert ending(cli) == {"code": 5, "kind": "exit"}


def test_ignored_signals_stay_ignored(cli):
    process = subprocess.Popen(
        [BIN, "--dir", cli.pools, "tap", "demo", "--create", "--", *shell("echo ready; read x; echo still here")],
        env=cli.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b"\n", DEADLINE_S)
    assert process.returncode == 0 and out == b"still here\n"


def test_the_child_begins_with_default_signals(cli):
    status = tap(cli, "grep", "^Sig", "/proc/self/status").ok().text
    masks = {name: int(value, 16) for name, value in re.findall(r"(\w+):\s+(\w+)", status)}
    assert masks["SigBlk"] == 0
    for signo in (signal.SIGPIPE, signal.SIGXFSZ):  # which tap itself ignores
        assert masks["SigIgn"] & (1 << (signo - 1)) == 0
    # as programs in a pipeline rely on
    assert tap(cli, *shell("yes | head -n 1"), pool="yes").ok().out == b"y\n"


class Terminal:
    """tap in the foreground of a terminal of its own."""

    def __init__(self, cli, *args):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(cli.root)
            os.execve(BIN, [BIN, "--dir", str(cli.pools), "tap", "demo", "--create", "--", *args], cli.env)
        self.screen = b""

    def type(self, text):
        os.write(self.master, text)

    def wait(self, text):
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.screen:
            ready, _, _ = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))
            assert ready, self.screen
            self.screen += os.read(self.master, 4096)

    def has_handled(self, signo):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as file:
            return not int(re.search(r"ShdPnd:\s+(\w+)", file.read())[1], 16) & 1 << (signo - 1)

    def finish(self):
        self.wait(b"tapped ")
        # not before it has ended: a hangup as it ends may stop the search for leaks for ever
        until(lambda: os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        os.close(self.master)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


COUNTING = """
import os, signal
n = 0
def count(*_):
    global n
    n += 1
    os.write(1, b'int %d\\n' % n)
signal.signal(signal.SIGINT, count)
"""


def test_ctrl_c_reaches_the_child(cli):
    script = COUNTING + "os.write(1, b'ready\\n'); os.read(0, 100); os.write(1, b'count %d\\n' % n)"
    terminal = Terminal(cli, *python(script))
    terminal.wait(b"\nready")
    terminal.type(b"\x03")
    terminal.wait(b"int 1")
    terminal.type(b"\n")
    terminal.wait(b"count 1")
    assert terminal.finish() == 0


def test_ctrl_c_is_not_sent_twice(cli):
    """The child is in no foreground group: what tap got from the key is not meant for it."""
    os.mkfifo(cli.root / "gate")
    script = COUNTING + """
os.setpgid(0, 0)
os.write(1, b'ready\\n')
open('gate').read()
os.write(1, b'count %d\\n' % n)
"""
    terminal = Terminal(cli, *python(script))
    terminal.wait(b"\nready")
    terminal.type(b"\x03")
    terminal.wait(b"^C")
    until(lambda: terminal.has_handled(signal.SIGINT))
    os.kill(terminal.pid, signal.SIGINT)  # this one is
    terminal.wait(b"int 1")
    (cli.root / "gate").write_text("")
    terminal.wait(b"count 1")
    assert terminal.finish() == 0


# Terminals --------------------------------------------------------------------------------------


def test_a_terminal_is_told_beginning_and_end(cli):
    command = shell("echo a; echo b; exit 3")
    done = cli.tty("tap", "demo", "--create", "--", *command, streams=("stderr",))
    assert (done.code, done.out) == (3, b"a\nb\n")
    first, last = done.err.decode().splitlines()
    assert first == 'tapping demo <- sh -c "echo a; echo b; exit 3"'
    assert re.fullmatch(r"tapped 2 lines \(\d+\.\ds\) -> demo exit 3", last)


def test_a_terminal_is_told_the_signal(cli):
    done = cli.tty("tap", "demo", "--create", "-q", "--", *shell("kill -TERM $$"), streams=("stderr",))
    assert done.code == 143
    assert re.search(r"tapped 0 lines \(\d+\.\ds\) -> demo signal SIGTERM\n", done.err.decode())


def test_the_last_line_stands_by_itself(cli):
    done = cli.tty("tap", "demo", "--create", "--", "printf", "no end")
    assert re.search(r"\nno end\ntapped 1 lines ", done.text)


def test_without_a_terminal_nothing_is_said(cli):
    assert tap(cli, "true").ok().out == b""


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["x"], ["x", "--create"], ["x", "--create", "--"], ["x", "--tag", "a", "-q", "--"]])
def test_no_command(cli, args):
    error = cli.run("tap", *args).usage("tap requires a wrapped command after `--`")
    assert "plasmite tap <pool> -- <command...>" in error["hint"]
    assert not cli.pools.exists()


@pytest.mark.parametrize("ref", ["http://127.0.0.1:9/demo", "https://h/x", "ftp://h/x"])
def test_remote_pools_are_refused(cli, ref):
    error = cli.run("tap", ref, "--", "echo", "hi").usage("tap accepts local pool refs only")
    assert "Use a local pool name/path" in error["hint"]
    cli.run("tap", ref).usage("tap accepts local pool refs only")


def test_a_missing_pool(cli):
    touched = cli.root / "touched"
    error = tap(cli, "touch", touched, options=("--tag", "prod")).fails("NotFound", 3)
    assert error["path"].endswith("demo.plasmite")
    assert "--create" in error["hint"] and "plasmite tap <pool> --create" in error["hint"]
    assert not touched.exists()


def test_usage_errors(cli):
    tap(cli, "true", options=("--create-size", "1M")).usage("--create-size requires --create")
    cli.run("tap", "http://h/x", "--create-size", "1M").usage("--create-size requires --create")
    tap(cli, "true", options=("--create", "--create-size", "x")).usage("invalid size")
    tap(cli, "true", options=("--create", "--durability", "slow")).usage("invalid durability")
    cli.run("tap", "x", "echo", "hi").usage("unexpected argument 'echo' found")
    cli.run("tap", "--", "echo").usage("the following required arguments were not provided: <POOL>")
    assert not cli.pools.exists()


@pytest.mark.parametrize("name", ["missing-program", "./missing/program", ""])
def test_a_command_that_is_not_there(cli, name):
    error = tap(cli, name).usage(f"wrapped command not found: {name}")
    assert "Check PATH or use an absolute executable path" in error["hint"]
    assert cli.data("demo") == []  # the pool stays, empty


def test_a_command_that_cannot_be_run(cli):
    (cli.root / "data").write_text("not a program")
    for name in ("./data", "/"):
        error = tap(cli, name).fails("Io", 8, "failed to spawn wrapped command")
        assert error["causes"] == ["Permission denied (os error 13)"]
    assert cli.data("demo") == []


def test_a_missing_interpreter_is_named_as_the_cause(cli):
    script = cli.root / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    error = tap(cli, "./script").usage("wrapped command not found: ./script")
    assert "interpreter" in error["causes"][0]


def test_a_script_without_interpreter_is_the_shells(cli):
    script = cli.root / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)
    assert tap(cli, "./script", "a b").ok().out == b"./script a b\n"


def test_a_command_line_larger_than_the_ring(cli):
    touched = cli.root / "touched"
    done = tap(cli, "touch", touched, "x" * 100000, options=("--create", "--create-size", "64K"))
    done.usage("payload exceeds ring capacity")
    done = tap(cli, "touch", touched, options=("--tag", "x" * 60000))
    done.usage("payload exceeds ring capacity")
    assert not touched.exists() and cli.data("demo") == []


WAITING = "echo $$; read x; echo more; read x; echo never"


def spoiled(cli, script, spoil):
    """A pool that is spoiled while the command waits; then the command goes on."""
    running = start_tap(cli, *shell(script), options=("--create", "--create-size", "1M"))
    pid = int(running.line())
    spoil(cli.path("demo"))
    running.feed(b"\n")
    code = running.process.wait(DEADLINE_S)
    assert is_gone(pid)
    return running, code


def test_a_deleted_pool_ends_the_command(cli):
    running, code = spoiled(cli, WAITING, os.unlink)
    done = running.finish()
    assert code == 3 and done.out == b"more\n"
    error = done.fails("NotFound", 3, "the pool was deleted while it was tapped")
    assert error["path"].endswith("demo.plasmite") and "--create" in error["hint"]


def test_a_truncated_pool_ends_the_command(cli):
    running, code = spoiled(cli, WAITING, lambda path: os.truncate(path, 4096))
    assert code == 7
    assert "Recreate" in running.finish().fails("Corrupt", 7)["hint"]


def test_a_command_that_does_not_want_to_end_is_killed(cli):
    script = "trap '' TERM; echo $$; read x; echo more; exec sleep 1000 >&- 2>&-"
    running, code = spoiled(cli, script, os.unlink)
    assert code == 3 and running.finish().out == b"more\n"


def test_when_nothing_can_be_waited_for_tap_ends(cli):
    """poll() fails for good where fewer descriptors are allowed than it is given."""
    script = """
import os, resource
print(os.getpid(), flush=True)
resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (2, 2))
print("more", flush=True)
input()
"""
    if b"libasan" in Path(BIN).read_bytes():
        pytest.skip("the search for leaks at the end needs descriptors, too")
    running = start_tap(cli, *python(script))
    pid = int(running.line())
    running.process.wait(DEADLINE_S)
    running.finish().fails("Io", 8, "failed to wait for the output of the wrapped command")
    assert is_gone(pid)


# Takes the last lease and the writer's lock (docs/format.md), stops itself, and lets go when continued.
OWNER = """
import fcntl, mmap, os, signal, struct, sys
with open(sys.argv[1], "r+b") as file:
    lease = 32767
    fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, (1 << 62) + lease, 1, 0))  # F_OFD_SETLK
    words = mmap.mmap(file.fileno(), 4096)
    words[768:772] = struct.pack("=I", lease)
    os.kill(os.getpid(), signal.SIGSTOP)
    words[768:772] = bytes(4)
"""


def test_a_pool_that_is_busy_for_long_loses_nothing(cli):
    """The pool's patience is 5 seconds; tap waits on, and the command with it."""
    running = start_tap(cli, *shell("echo $$; read x; seq 1 1000; read x; exit 3"))
    pid = int(running.line())
    with subprocess.Popen([sys.executable, "-c", OWNER, cli.path("demo")]) as owner:
        try:
            assert os.WIFSTOPPED(os.waitpid(owner.pid, os.WUNTRACED)[1])
            running.feed(b"\n")
            until(lambda: struct.unpack_from("=I", cli.path("demo").read_bytes(), 768)[0] == 32767 | 1 << 31)
            since = time.monotonic()  # it waits from here on, or from a moment ago
            until(lambda: time.monotonic() > since + 5.5)
            assert running.process.poll() is None and not is_gone(pid)
            assert running.quiet()  # what is not stored is not shown either
        finally:
            owner.send_signal(signal.SIGCONT)
    assert owner.returncode == 0
    running.feed(b"\n")
    assert running.finish().code == 3
    assert lines(cli) == [str(pid), *map(str, range(1, 1001))]
    assert ending(cli) == {"code": 3, "kind": "exit"}


# Options ----------------------------------------------------------------------------------------


def test_an_existing_pool_is_continued(cli):
    cli.create("demo")
    cli.feed("demo", {"n": 1})
    tap(cli, "echo", "x", options=()).ok()
    tap(cli, "echo", "y").ok()
    assert lines(cli) == ["x", "y"]
    assert [message["seq"] for message in cli.backlog("demo")] == list(range(1, 8))


def test_create_size(cli):
    tap(cli, "true", options=("--create", "--create-size", "64M")).ok()
    assert cli.path("demo").stat().st_size == 64 << 20


def test_durability_flush(cli):
    assert tap(cli, "seq", "10", options=("--create", "--durability", "flush")).ok().out.count(b"\n") == 10
    assert len(lines(cli)) == 10


def test_stdin_is_the_commands(cli):
    assert tap(cli, "cat", stdin=b"from above\n").ok().out == b"from above\n"
    assert lines(cli) == ["from above"]


def test_options_of_the_command_are_its_own(cli):
    assert tap(cli, "echo", "--create", "--help", "--", "-q").ok().out == b"--create --help -- -q\n"


def test_paths_and_pls(cli):
    pls = os.path.join(os.path.dirname(BIN), "pls")
    command = [pls, "tap", f"{cli.root}/sub/own.plasmite", "--create", "--descrip", "t", "--", "echo", "x"]
    done = subprocess.run(command, env=cli.env, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n", b"")
    assert cli.backlog(f"{cli.root}/sub/own.plasmite")[1]["meta"]["tags"] == ["t"]


def test_several_taps_share_a_pool(cli):
    cli.create("demo", "--size", "16M")
    started = [start_tap(cli, "seq", "-f", f"{i}-%g", "2000", options=(), stdin=subprocess.DEVNULL) for i in range(4)]
    for running in started:
        running.finish().ok()
    stored = lines(cli)
    for i in range(4):
        assert [line for line in stored if line.startswith(f"{i}-")] == [f"{i}-{n}" for n in range(1, 2001)]


# Help -------------------------------------------------------------------------------------------


def test_help(cli):
    full = cli.bare("tap", "--help").ok().text
    for fragment in (
        "Usage: plasmite tap [OPTIONS] <POOL> -- <COMMAND>...",
        "plasmite tap build --create -- cargo build",
        "plasmite tap api --create --create-size 64M -- ./server",
        "`--` is required before wrapped command args",
    ):
        assert fragment in full
    short = cli.bare("tap", "-h").ok().text
    for fragment in ("<POOL> -- <COMMAND>...", "requires --create", "wrapped command's exit status"):
        assert fragment in short
    missing = cli.run("tap")
    assert missing.code == 2 and missing.out == b""
    assert b"Usage: plasmite tap" in missing.err
    assert b"Capture command output into a local pool" in missing.err


def test_the_messages_in_the_help_are_true(cli):
    tap(cli, *shell("echo text; exit 0")).ok()
    start, line, ended = (set(data) for data in cli.data("demo"))
    full = cli.bare("tap", "--help").ok().text
    for keys, kind in ((start, "start"), (line, "line"), (ended, "exit")):
        shown = re.search(rf'\{{[^}}]*"kind":"{kind}"[^}}]*\}}', full)[0]
        assert set(re.findall(r'"(\w+)":', shown)) == keys
