"""What people meet at a terminal: suggestions, colours, pictures, progress, and that nothing which came from outside
can drive the terminal. Contract sections 5 to 8 and 16."""

import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import time

import pytest

from conftest import BIN, DEADLINE_S, Cli

PLAIN = {"NO_COLOR": "1"}


# --- "did you mean"

@pytest.mark.parametrize("words,meant,also", [
    (["folow", "chat"], "follow", "plasmite --help"),
    (["pool", "crate", "x"], "create", "plasmite pool --help"),
    (["hlep"], "help", "plasmite --help"),
    (["follow", "demo", "--tial", "3"], "--tail", "plasmite follow --help"),
    (["follow", "demo", "--sinse=3h"], "--since", "plasmite follow --help"),
    (["--verison"], "--version", "plasmite --help"),
    (["pool", "list", "--jsno"], "--json", "plasmite pool list --help"),
    (["follow", "demo", "--format", "jsnol"], "jsonl", "plasmite --help"),
    (["completion", "bahs"], "bash", "plasmite --help"),
    (["--color", "nevr", "version"], "never", "plasmite --help"),
])
def test_suggestions(cli, words, meant, also):
    hint = cli.bare(*words).usage()["hint"]
    assert f"Did you mean '{meant}'?" in hint and also in hint


@pytest.mark.parametrize("words", [
    ["poek"], ["peak", "x"], ["gte", "x", "1"],  # old spellings are not for new users
    ["follow", "demo", "--descirp", "x"], ["xyz"], ["follow", "demo", "--format", "xml"], ["feed", "demo", "{}", "{}"],
])
def test_no_suggestion(cli, words):
    error = cli.bare(*words).usage()
    assert "Did you mean" not in error["hint"] and "plasmite" in error["hint"]


def test_suggestions_of_pools(demo):
    demo.create("other")
    for command in (["pool", "info", "dmeo"], ["fetch", "demoo", "1"], ["doctor", "demo1"], ["follow", "deo"],
                    ["feed", "Demo", "{}"], ["feed", "dem.plasmite", "-f", "x"], ["feed", "ddemo"]):
        error = demo.run(*command, stdin=b"{}").fails("NotFound", 3)
        assert error["hint"].startswith("Did you mean 'demo'? "), command
        assert "--create" in error["hint"] or "plasmite pool create" in error["hint"]
    assert "Did you mean" not in demo.run("fetch", "unlike", "1").fails("NotFound", 3)["hint"]
    assert "Did you mean" not in demo.run("fetch", "./demo", "1").fails("NotFound", 3)["hint"]
    assert "exact command: plasmite feed dmeo --create" in demo.run("feed", "dmeo", "{}").error["hint"]


def test_suggestions_of_pools_to_delete(demo):
    done = demo.run("pool", "delete", "dmeo", "--json")
    assert done.json["failed"][0]["error"]["hint"].startswith("Did you mean 'demo'? ")
    assert "Did you mean 'demo'? List pools with" in demo.tty("pool", "delete", "dmeo").text


# --- bytes from outside

# Escape sequences, a bell, DEL, C1 controls and overrides of the writing direction: as they are, and as they are shown.
HOSTILE = [
    ("\x1b[31m", "\\u001b[31m"), ("\x07", "\\u0007"), ("\x7f", "\\u007f"), ("\x80", "\\u0080"), ("\x9b2J", "\\u009b2J"),
    ("\u202e", "\\u202e"), ("\u202a", "\\u202a"), ("\u2066", "\\u2066"), ("\u2069", "\\u2069"),
]
HARMLESS = "é\xa0\u2029\u202f\u2065\u206a€😀"
RAW = "".join(raw for raw, _ in HOSTILE) + HARMLESS
SHOWN = "".join(shown for _, shown in HOSTILE) + HARMLESS
IN_JSON = "".join(shown for _, shown in HOSTILE[2:]) + HARMLESS


def is_safe(screen):
    return not any(raw.encode() in screen for raw, _ in HOSTILE)


def test_messages_on_a_terminal(cli):
    """Shown as escapes, which are the same JSON; a pipe gets what was stored."""
    cli.create("a")
    raw = RAW[len("\x1b[31m\x07"):]
    text = '{"k' + raw + '":"' + raw + '"}'
    cli.run("feed", "a", text).ok()
    assert text.encode() in cli.run("fetch", "a", "1").ok().out
    assert text.encode() in cli.run("follow", "a", "-n", "1", "--replay", "0", "--jsonl").ok().out
    for command in (["fetch", "a", "1"], ["follow", "a", "-n", "1", "--replay", "0"],
                    ["follow", "a", "-n", "1", "--replay", "0", "--jsonl"], ["poke", "a", text]):
        screen = cli.tty(*command, env=PLAIN).ok()
        assert is_safe(screen.out), command
        assert f'"k{IN_JSON}"' in screen.text and f'"{IN_JSON}"' in screen.text, command
        assert screen.json["data"] == {"k" + raw: raw}


def test_names_on_a_terminal(cli):
    created = cli.tty("pool", "create", RAW).ok()
    assert is_safe(created.out) and f"Created {SHOWN} (" in created.text
    assert cli.path(RAW).exists()
    for command, shown in (
            (["pool", "list"], f"\n{SHOWN} "), (["pool", "info", RAW], f"{SHOWN}\n  path:      "),
            (["doctor", RAW], f"{SHOWN}: healthy"), (["doctor", "--all"], f"  {SHOWN}  "),
            (["feed", RAW, "{}", "--tag", RAW], f"  tags: {SHOWN}\n")):
        screen = cli.tty(*command, env=PLAIN).ok()
        assert is_safe(screen.out) and shown in screen.text, command
    cli.path(RAW).write_bytes(b"")
    screen = cli.tty("doctor", "--all")
    assert is_safe(screen.out) and f"pls doctor {SHOWN}\n" in screen.text
    screen = cli.tty("pool", "delete", RAW, RAW + "x")
    assert is_safe(screen.out) and f"✓ {SHOWN}\n" in screen.text and f"✗ {SHOWN}x — " in screen.text


def test_errors_and_notices_on_a_terminal(cli):
    for command in (["fetch", RAW, "1"], ["feed", RAW, "{}"], ["nope" + RAW], ["version", "--" + RAW],
                    ["follow", "x", "--format", RAW], ["follow", "x", "--where", RAW]):
        screen = cli.tty(*command, env=PLAIN)
        assert screen.code != 0 and is_safe(screen.out) and SHOWN in screen.text, command
    screen = cli.tty("follow", RAW, "--one", "--timeout", "1ms", env=PLAIN)
    assert screen.code == 124 and is_safe(screen.out) and f"(pool: {SHOWN})" in screen.text


def test_tap_and_duplex_on_a_terminal(cli):
    """What tap says of itself; what the command prints is passed on byte by byte."""
    screen = cli.tty("tap", RAW, "--create", "--", "sh", "-c", "exit 0", RAW, env=PLAIN).ok()
    assert is_safe(screen.out) and f"tapping {SHOWN} <- sh" in screen.text and f"-> {SHOWN} exit 0" in screen.text
    screen = cli.tty("tap", RAW, "--", "nope" + RAW, env=PLAIN)
    assert screen.code == 2 and is_safe(screen.out) and f"not found: nope{SHOWN}" in screen.text
    raw = RAW[len("\x1b[31m\x07"):]
    cli.run("feed", "a", "--create", '{"k":"' + raw + '"}').ok()
    screen = cli.tty("duplex", "a", "--me", "x", "-n", "1", "--timeout", "100ms", streams=("stdin", "stdout"), env=PLAIN)
    assert screen.code == 124 and is_safe(screen.out) and f'"k": "{IN_JSON}"' in screen.text


def test_file_names_that_are_not_text_on_a_terminal(cli):
    """0x9b alone starts a control sequence on a terminal of eight bits."""
    cli.create("a")
    os.rename(cli.path("a"), bytes(cli.pools) + b"/b\x9b31m\xff.plasmite")
    screen = cli.tty("pool", "list", env=PLAIN).ok()
    assert b"\x9b" not in screen.out and "b\\x9b31m\\xff " in screen.text


# --- progress

class Fed:
    """A feed from a pipe, with stderr (and stdout, if told so) on a terminal."""

    def __init__(self, cli, *args, shared=False):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        self.process = subprocess.Popen(
            [BIN, "--dir", str(cli.pools), "feed", "a", "--errors", "skip", *args], env={**cli.env, **PLAIN},
            stdin=subprocess.PIPE, stdout=slave if shared else subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        self.screen = b""

    def feed(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def look(self, seconds):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.screen += os.read(self.master, 65536)

    def finish(self):
        self.process.stdin.close()
        self.screen += Cli.drain(self.master)
        os.close(self.master)
        return self.process.wait(timeout=DEADLINE_S), self.screen.replace(b"\r\n", b"\n").decode()


def test_progress(cli):
    """A line after two seconds, erased for what is said meanwhile, and one at the end."""
    cli.create("a")
    fed, never, shared = Fed(cli), Fed(cli, "--progress", "never"), Fed(cli, shared=True)
    deadline = time.monotonic() + DEADLINE_S
    n = 0
    while b"feeding: " not in fed.screen and time.monotonic() < deadline:
        n += 1
        for one in (fed, never, shared):
            one.feed(b'{"n":1}\n')
        fed.look(0.05)
        shared.look(0)
    for one in (fed, never, shared):
        one.feed(b"bad\n")
    while b"Skipped" not in fed.screen and time.monotonic() < deadline:
        fed.look(0.05)
    for one in (fed, never, shared):
        one.feed(b'{"n":2}\n')

    code, screen = fed.finish()
    assert code == 1
    line = r"feeding: \d+ messages, \S+ k?B, \S+/s"
    notice = r"notice: Skipped invalid JSON\.\n"
    ends = (r"notice: Finished with 1 skipped record\.\n"
            rf"fed {n + 1} messages, \d+ B, \d\.\d s, \S+/s\n")
    shown = re.fullmatch(rf"\r{line} *(\r{line} *)*\r *\r{notice}(\r{line} *\r *\r)*{ends}", screen)
    assert shown, repr(screen)
    assert all(len(part) < 60 for part in re.split("[\r\n]", screen))

    code, screen = never.finish()
    assert code == 1 and re.fullmatch(r"notice: Skipped .*\nnotice: Finished .*\n", screen), repr(screen)
    code, screen = shared.finish()
    assert code == 1 and "feeding" not in screen and "messages" not in screen
    assert screen.count("fed seq=") == n + 1


def test_no_progress_of_short_work(cli):
    cli.create("a")
    done = cli.tty("feed", "a", streams=("stderr",), stdin=b'{"n":1}\n' * 100).ok()
    assert len(done.lines) == 100
    error = cli.run("feed", "a", "--progress", "always", "{}").usage("invalid value 'always' for '--progress <PROGRESS>'")
    assert "auto, never" in error["hint"]


# A clock on which every look takes a second.
SLOW_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    static int looks;
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const int r = real(clock, out);
    if (clock == CLOCK_MONOTONIC)
        out->tv_sec += looks++;
    return r;
}
"""


@pytest.fixture
def slow_clock(cli):
    """The environment of a program to which everything seems to take long."""
    if "ASAN_OPTIONS" in os.environ or not shutil.which("cc"):
        pytest.skip("needs a C compiler, and to be loaded before anything else")
    (cli.root / "clock.c").write_text(SLOW_CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"], cwd=cli.root, check=True)
    return {**PLAIN, "LD_PRELOAD": str(cli.root / "clock.so")}


def test_progress_of_doctor(cli, slow_clock):
    """On the very terminal that gets the report, which comes at the end."""
    for name in ("a", "b"):
        cli.create(name, "--size", "8M")
        cli.run("feed", name, stdin=b'{"pad":"%s"}\n' % (b"x" * 1000) * 5000).ok()
    report = "  messages:  5000 (seq 1..5000)\n  checked:   header, index, ring — 0 issues\n"
    line = r"checking: %s[\d.]+ MB of %s MB, \d+ [kM]B/s(, \S+ s left)?"
    one = line % ("", r"5\.\d")
    text = cli.tty("doctor", "a", env=slow_clock).ok().text
    end = r"\r *\rchecked 5\.\d MB, [\d.]+ s, \d+ kB/s\na: healthy\n" + re.escape(report)
    assert re.fullmatch(rf"(\r{one} *)+" + end, text), repr(text)
    several = line % (r"[012] pools?, ", r"(5\.\d|1\d)")
    text = cli.tty("doctor", "--all", env=slow_clock).ok().text
    end = r"\r *\rchecked 2 pools, 1\d MB, [\d.]+ s, \d+ kB/s\nAll 2 pools healthy\.\n"
    assert re.match(rf"(\r{several} *)+" + end, text), repr(text)
    assert re.search(r"checking: 0 pools, .*checking: 1 pool, ", text)
    assert cli.tty("doctor", "a", "--progress", "never", env=slow_clock).ok().text == "a: healthy\n" + report
    # a report in a file, progress on the terminal; errors erase the line too
    done = cli.tty("doctor", "a", "--json", streams=("stderr",), env=slow_clock)
    assert done.json["reports"][0]["status"] == "ok" and b"checked 5" in done.err
    assert cli.run("doctor", "a", env=slow_clock).ok().text == "OK: a\n"


def test_progress_of_a_file(cli, slow_clock):
    """Where the size is known, the time that is left is, too; an error erases the line."""
    cli.create("a", "--size", "8M")
    path = cli.root / "in.jsonl"
    path.write_bytes(b'{"n":1}\n' * 200_000)
    with open(path, "rb") as file:
        for args, stdin in ((["-f", str(path)], subprocess.DEVNULL), ([], file)):
            screen = feed_on_terminal(cli, slow_clock, args, stdin, code=0)
            assert re.search(r"\rfeeding: [\d ]+ messages, \S+ [kM]B of 1\.6 MB, \S+ k?/s, \S+ s left *\r", screen), screen
            assert re.search(r"\r *\rfed 200 000 messages, 1\.6 MB, [\d.]+ s, \S+ k/s\n$", screen), repr(screen)
    path.write_bytes(b'{"n":1}\n' * 200_000 + b"bad\n")
    screen = feed_on_terminal(cli, slow_clock, ["-f", str(path)], subprocess.DEVNULL, code=2)
    assert re.search(r" \rfed 200 000 messages, 1\.6 MB, .*\nerror: invalid json input\n", screen), repr(screen)


def feed_on_terminal(cli, env, args, stdin, code):
    """What a terminal on stderr alone shows of a feed."""
    master, slave = pty.openpty()
    process = subprocess.Popen([BIN, "--dir", str(cli.pools), "feed", "a", *args], env={**cli.env, **env}, stdin=stdin,
                               stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    screen = cli.drain(master).replace(b"\r\n", b"\n").decode()
    os.close(master)
    assert process.wait(timeout=DEADLINE_S) == code, screen
    return screen


# --- pool info

def screen_of(cli, columns, *args, env):
    """What a terminal of so many columns shows."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([BIN, "--dir", str(cli.pools), *args], env={**cli.env, **env}, cwd=cli.root,
                               stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    screen = cli.drain(master).replace(b"\r\n", b"\n").decode()
    os.close(master)
    assert process.wait(timeout=DEADLINE_S) == 0, screen
    return screen


def bar_of(screen):
    return re.search(r"^  fill:      (.*) (\d+)%$", screen, re.M).groups()


def test_info_picture(cli):
    cli.create("a", "--size", "64K")
    utf8 = {"LC_ALL": "en_US.UTF-8"}
    assert bar_of(screen_of(cli, 80, "pool", "info", "a", env=utf8)) == ("░" * 40, "0")
    assert bar_of(screen_of(cli, 80, "pool", "info", "a", env={"LC_ALL": "C"})) == ("[" + "." * 40 + "]", "0")
    cli.feed("a", *({"pad": "x" * 990} for _ in range(28)))  # half the ring of 56 KiB
    bar, percent = bar_of(screen_of(cli, 80, "pool", "info", "a", env=utf8))
    assert len(bar) == 40 and 18 <= bar.count("█") <= 21 and 48 <= int(percent) <= 52
    bar, _ = bar_of(screen_of(cli, 80, "pool", "info", "a", env={"LANG": "C"}))
    assert len(bar) == 42 and 18 <= bar.count("#") <= 21
    for columns, width in ((40, 19), (32, 11), (31, 10), (5, 10), (1, 10), (200, 40), (0, 40)):
        bar, _ = bar_of(screen_of(cli, columns, "pool", "info", "a", env=utf8))
        assert len(bar) == width, columns
    cli.feed("a", *({"pad": "x" * 990} for _ in range(80)))
    screen = screen_of(cli, 40, "pool", "info", "a", env=utf8)
    assert all(len(line) < 40 for line in screen.splitlines() if line.startswith("  fill:"))
    assert int(bar_of(screen)[1]) >= 95


def test_info_rate(demo):
    demo.create("empty")
    text = demo.tty("pool", "info", "empty").ok().text
    assert text.splitlines()[-1] == "  rate:      —"
    text = demo.tty("pool", "info", "demo").ok().text
    assert re.search(r"^  rate:      0\.05/s, 3/s over the last minute$", text, re.M)
    assert "offset" not in text
    rest = demo.run("pool", "info", "demo").ok().text
    assert "rate:" not in rest and "fill:" not in rest


def test_info_of_a_damaged_pool_on_a_terminal(cli):
    """What lies between the oldest message and the newest is not read; damage there is no reason to hang."""
    cli.create("a")
    cli.feed("a", *({"pad": "x" * 200} for _ in range(1000)))
    with open(cli.path("a"), "r+b") as file:
        file.seek(100_000)
        file.write(os.urandom(100_000))
    assert cli.run("doctor", "a").code == 7
    text = cli.tty("pool", "info", "a", env=PLAIN).ok().text
    assert "  messages:  1000 (seq 1..1000)\n" in text and "\n  rate:      " in text
    with open(cli.path("a"), "r+b") as file:
        file.seek(69632)
        file.write(os.urandom(64))
    screen = cli.tty("pool", "info", "a", env=PLAIN)
    assert screen.code == 7 and screen.text.startswith("error: ") and "Recreate" in screen.text


# --- pool list

@pytest.mark.parametrize("age_s,shown", [
    (0, "1s"), (-500, "1s"), (45, "4.s"), (90, "1m"), (3540, "59m"), (7300, "2h"), (86300, "23h"), (3 * 86400 + 9, "3d"),
    (6.9 * 86400, "6d"), (7.1 * 86400, "1w"), (400 * 86400, "57w"),
])
def test_list_ages(cli, age_s, shown):
    cli.create("a")
    os.utime(cli.path("a"), (time.time() - age_s,) * 2)
    row = cli.tty("pool", "list").ok().text.splitlines()[1]
    assert re.fullmatch(rf"a     1M    0     {shown} ago +a\.plasmite", row), row


def test_list_counts_characters(cli):
    for name in ("é€😀", "abc", "a\x1bb"):
        cli.create(name)
    rows = cli.tty("pool", "list").ok().text.splitlines()
    assert len(rows) == 4 and len({len(row) for row in rows}) == 1
    assert rows[1].startswith("a\\u001bb  1M ") and rows[3].startswith("é€😀       1M ")


# --- colour

ESCAPE = re.compile(r"\x1b\[(\d+)m")


def test_colours_are_sixteen_and_change_nothing_else(demo):
    """Of the colours only those every terminal has; without them the bytes are those of NO_COLOR."""
    for command in (["fetch", "demo", "3"], ["follow", "demo", "-n", "3", "--replay", "0"], ["version"], ["doctor", "demo"],
                    ["doctor", "--all", "--json"], ["pool", "list"], ["pool", "list", "--json"], ["pool", "info", "demo"],
                    ["fetch", "demo", "9"], ["nope"], ["follow", "demo", "-n", "3", "--replay", "0", "--jsonl"]):
        plain, coloured = demo.tty(*command, env=PLAIN).text, demo.tty(*command).text
        assert "\x1b" not in plain
        assert re.sub(r"\d+s ago", "", ESCAPE.sub("", coloured)) == re.sub(r"\d+s ago", "", plain)
        assert set(ESCAPE.findall(coloured)) <= {"0", "31", "32", "33", "35", "36", "39"}
        assert "\x1b" not in ESCAPE.sub("", coloured)


def test_json_on_stderr_is_never_coloured(demo):
    for env in ({"CLICOLOR_FORCE": "1"}, {}):
        done = demo.bare("--color", "always", "--dir", demo.pools, "fetch", "demo", "9", env=env)
        assert done.code == 3 and b"\x1b" not in done.err and done.error["seq"] == 9


def test_no_colour_on_a_dumb_terminal(demo):
    for command in (["fetch", "demo", "1"], ["fetch", "demo", "9"]):
        assert "\x1b" not in demo.tty(*command, env={"TERM": "dumb"}).text
        assert "\x1b" in demo.tty(*command, env={"TERM": "dumb", "CLICOLOR_FORCE": "1"}).text
        assert "\x1b" not in demo.tty(*command, env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}).text
