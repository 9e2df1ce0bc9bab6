"""Every command line of the documents the product was first described in (contract section 22), run
as written by `sh -c`. The programs around it (curl, journalctl, cargo, ...) are small ones of ours.

RUNS end by themselves, LIVE ones print messages as they come, STREAMS take them in as they come,
DUMPS write a file; what needs a function of its own stands behind these tables. LATER lists what
waits for commands that are still to come.
"""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN, DEADLINE_S, Running

ROOT_HELP = subprocess.run([BIN, "--help"], capture_output=True, text=True, check=True).stdout


def needs(command):
    """A test that waits for a command to be there."""
    return pytest.mark.skipif(f"\n  {command} " not in ROOT_HELP, reason=f"{command} is not there yet")


# What the programs around print. The streams print a first piece, say what they were called with,
# and go on with what the test writes into their pipe.
STREAM = """#!/bin/sh
echo "$0 $*" >> "$HOME/called"
/bin/cat "$HOME/{name}.first"
exec /bin/cat "$HOME/{name}.pipe"
"""
PROGRAMS = {
    "bin/curl": STREAM.format(name="curl"),
    "bin/journalctl": STREAM.format(name="journalctl"),
    "bin/log": STREAM.format(name="log"),
    "bin/sleep": "#!/bin/sh\n",
    "bin/cat": '#!/bin/sh\ncase $1 in /sys/*) echo 81000 ;; *) exec /bin/cat "$@" ;; esac\n',
    "bin/cargo": '#!/bin/sh\necho "building $1"\necho "warning: unused" >&2\nprintf "no newline"\nexit 3\n',
    "deploy.sh": "#!/bin/sh\necho deployed\n",
    "deploy-to-staging.sh": "#!/bin/sh\necho staged\n",
    "run-tests.sh": "#!/bin/sh\n",
    "server": "#!/bin/sh\nfor i in 1 2 3; do echo request $i; done\n",
}


class Script(Running):
    """A shell script that runs on; all of its processes end with the test."""

    def __init__(self, cli, script, stdin=subprocess.DEVNULL, tty=False):
        master, slave = pty.openpty() if tty else (None, subprocess.PIPE)
        self.process = subprocess.Popen(["sh", "-c", script], env=cli.env, cwd=cli.root, stdin=stdin, stdout=slave,
                                        stderr=subprocess.PIPE, start_new_session=True)
        if tty:
            os.close(slave)
            self.process.stdout = os.fdopen(master, "rb", 0)
        self.buffers = {self.process.stdout: b"", self.process.stderr: b""}

    def document(self):
        """The next JSON document, on one line or on several."""
        text = b""
        while True:
            line = self.line()
            assert line is not None, (text, self.buffers)
            text += line + b"\n"
            try:
                return json.loads(text)
            except ValueError:
                pass

    def has_output(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 0.05)
        return bool(ready) or self.buffers[self.process.stdout] != b""

    def ends(self):
        """Its exit code, if it ends within a moment."""
        try:
            return self.process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        super().kill()


def until(fact):
    """Waits until a fact is true, and returns what it says."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        found = fact()
        if found:
            return found
        time.sleep(0.005)  # lets others work; what is waited for is the fact
    raise AssertionError("it did not come true")


class Shell:
    """A home, a folder to work in, and the programs on PATH."""

    def __init__(self, cli):
        self.cli = cli
        self.home = cli.home
        self.scripts = []
        (cli.root / "bin").mkdir()
        for name in ("plasmite", "pls"):
            (cli.root / "bin" / name).symlink_to(Path(BIN).resolve())
        for name, text in PROGRAMS.items():
            file = cli.root / name
            file.write_text(text)
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        cli.env["PATH"] = f"{cli.root}/bin:{cli.env['PATH']}"

    def run(self, script, code=0):
        done = subprocess.run(["sh", "-c", script], env=self.cli.env, cwd=self.cli.root, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60)
        assert done.returncode == code, (script, done)
        return done.stdout.decode()

    def start(self, script, **kwargs):
        self.scripts.append(Script(self.cli, script, **kwargs))
        return self.scripts[-1]

    def stored(self, pool):
        """The messages of a pool."""
        out = self.run(f"plasmite follow {pool} --tail 99999 --replay 0 --jsonl")
        return [json.loads(line) for line in out.splitlines()]

    def data(self, pool):
        return [message["data"] for message in self.stored(pool)]

    def info(self, pool):
        return json.loads(self.run(f"plasmite pool info {pool} --json"))

    def pool_file(self, pool):
        return self.home / f".plasmite/pools/{pool}.plasmite"


@pytest.fixture
def sh(cli):
    shell = Shell(cli)
    yield shell
    for script in shell.scripts:
        script.kill()


def documents(text):
    """The JSON documents of a text, one behind the other."""
    decoder = json.JSONDecoder()
    found = []
    text = text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


# --- what ends by itself

FED = "plasmite pool create chat; for i in 1 2 3; do plasmite feed chat \"{\\\"n\\\":$i}\"; done"
INCIDENTS = """
pls feed incidents --create --tag error --tag sev1 '{"code": 503}'
pls feed incidents --tag sev1 '{"code": 500}'
pls feed incidents --tag error '{"code": 503}'"""
TELEMETRY = """
pls feed telemetry --create --tag sensor '{"ts": "t1", "value": 70000}'
pls feed telemetry --tag sensor '{"ts": "t2", "value": 81000}'
pls feed telemetry --tag alert '{"service": "api", "msg": "latency spike"}'"""
SYSLOG = r"""
printf '\036{"MESSAGE":"kernel panic","SYSLOG_IDENTIFIER":"k"}\n\036{"MESSAGE":"ok"}\n\036{"PRIORITY":3}\n' |
  pls feed syslog --create"""
BUILD = """
pls feed build --create '{"step": "compile", "pct": 0}'
pls feed build --tag done '{"step": "finished", "ok": true}'"""
STRIPE = """pls feed stripe-events --create '{"type": "charge"}'; pls feed stripe-events '{"type": "refund"}'"""


def codes(out):
    return [document["data"]["code"] for document in documents(out)]


def messages(out):
    return [document["data"] for document in documents(out)]


# what is there before; the command; what holds then, of the shell and of its output
RUNS = [
    # seed 000
    ("", "plasmite pool create chat", lambda sh, out: sh.info("chat")["file_size"] == 1 << 20),
    ("", "plasmite pool create bigpool --size 64M", lambda sh, out: sh.info("bigpool")["file_size"] == 64 << 20),
    (FED, "plasmite pool list", lambda sh, out: out.splitlines()[1].startswith("chat ")),
    (FED, "plasmite pool info chat", lambda sh, out: "Bounds: oldest=1 newest=3 count=3" in out),
    (FED, "plasmite pool delete chat", lambda sh, out: not sh.pool_file("chat").exists()),
    (FED, """plasmite poke chat '{"from": "alice", "msg": "hello bob"}'""",
     lambda sh, out: json.loads(out)["seq"] == 4 and out.endswith(
         'Z","meta":{"descrips":[]},"data":{"from":"alice","msg":"hello bob"}}\n')),
    ("", """plasmite poke build --create '{"step": "compile", "status": "running"}'
sleep 2  # ... compiling ...
plasmite poke build '{"step": "compile", "status": "done"}'
plasmite poke build '{"step": "test", "status": "running"}'""",
     lambda sh, out: [item["status"] for item in sh.data("build")] == ["running", "done", "running"]),
    ("plasmite poke signals --create '{\"go\": true}'",
     "plasmite peek signals --where '.data.go == true' --tail 1 --one > /dev/null", lambda sh, out: out == ""),
    ("""echo '{"items": [{"n": 1}, {"n": 2}]}' > data.json""",
     "jq -c '.items[]' data.json | plasmite poke foo --create",
     lambda sh, out: sh.data("foo") == [{"n": 1}, {"n": 2}]),
    ("", """plasmite poke foo --create '{"from": "bash"}'""", lambda sh, out: sh.data("foo") == [{"from": "bash"}]),
    ("", """/usr/bin/python3 -c '
import subprocess, json
subprocess.run(["plasmite", "poke", "foo", "--create", json.dumps({"from": "python"})])'""",
     lambda sh, out: sh.data("foo") == [{"from": "python"}]),
    ("plasmite pool create foo", """pls poke foo '{"x":1}'""", lambda sh, out: sh.data("foo") == [{"x": 1}]),
    ("plasmite pool create foo", """plasmite poke foo --descrip error --descrip db '{"msg": "connection lost"}'""",
     lambda sh, out: sh.stored("foo")[0]["meta"] == {"tags": ["error", "db"]}
     and json.loads(out)["meta"] == {"descrips": ["error", "db"]}),
    ("", """plasmite poke signals --create --create-size 64K '{"tiny": true}'""",
     lambda sh, out: sh.info("signals")["file_size"] == 65536),
    ("plasmite pool create foo", """plasmite poke foo --durability flush '{"important": true}'""",
     lambda sh, out: sh.data("foo") == [{"important": True}]),
    ("plasmite pool create foo", """plasmite poke foo --retry 3 --retry-delay 100ms '{"data": 1}'""",
     lambda sh, out: sh.data("foo") == [{"data": 1}]),
    ("plasmite pool create foo; printf '{\"n\":1}\\n{\"n\":2}' > records.jsonl",
     "cat records.jsonl | plasmite poke foo --in jsonl", lambda sh, out: sh.data("foo") == [{"n": 1}, {"n": 2}]),
    ("plasmite pool create foo; printf '{\\n\"n\":\\n1}' > big.json",
     "cat big.json | plasmite poke foo --in json", lambda sh, out: sh.data("foo") == [{"n": 1}]),
    (FED, "plasmite get chat 2", lambda sh, out: json.loads(out)["data"] == {"n": 2}),
    ("", "plasmite --help", lambda sh, out: "feed" in out and "follow" in out),
    ("", "plasmite poke --help", lambda sh, out: "plasmite feed" in out),
    ("", "plasmite peek --help", lambda sh, out: "plasmite follow" in out),
    ("", "plasmite get --help", lambda sh, out: "plasmite fetch" in out),
    # seeds 001 and 002
    ("", """./run-tests.sh
pls feed ci --create '{"status": "green", "commit": "a1b2c3d", "suite": "unit"}'""",
     lambda sh, out: sh.data("ci")[0]["commit"] == "a1b2c3d"),
    (TELEMETRY, """pls feed telemetry --tag deploy '{"service": "api", "sha": "f4e5d6c"}'
pls feed telemetry --tag alert  '{"service": "api", "msg": "latency spike"}'
pls feed telemetry --tag metric '{"service": "web", "rps": 1420}'""",
     lambda sh, out: [m["meta"]["tags"] for m in sh.stored("telemetry")][3:] == [["deploy"], ["alert"], ["metric"]]),
    (TELEMETRY, """pls follow telemetry --tag sensor --since 1h --replay 0 \\
  | jq '.data | [.ts, .value]'""", lambda sh, out: documents(out) == [["t1", 70000], ["t2", 81000]]),
    (TELEMETRY + "; mkdir tmp", "pls follow telemetry --since 10m --replay 0 --jsonl > tmp/timeline.jsonl",
     lambda sh, out: len((sh.cli.root / "tmp/timeline.jsonl").read_text().splitlines()) == 3),
    (STRIPE, "pls follow stripe-events --since 20m --replay 1",
     lambda sh, out: [item["type"] for item in messages(out)] == ["charge", "refund"]),
    ("", """pls feed build --create '{"step": "compile", "pct": 0}'
sleep 1
pls feed build '{"step": "compile", "pct": 100}'
pls feed build '{"step": "test", "pct": 0}'
sleep 2
pls feed build '{"step": "test", "pct": 100}'
pls feed build --tag done '{"step": "finished", "ok": true}'""",
     lambda sh, out: [m["meta"]["tags"] for m in sh.stored("build")] == [[], [], [], [], ["done"]]),
    (BUILD, "pls follow build --since 12h --replay 0", lambda sh, out: len(documents(out)) == 2),
    ("", "pls pool create syslog --size 8M", lambda sh, out: sh.info("syslog")["file_size"] == 8 << 20),
    (SYSLOG, "pls follow syslog --since 30m --replay 1", lambda sh, out: len(documents(out)) == 3),
    (SYSLOG, "pls follow syslog --since 10m --replay 0 | jq '.data | {SYSLOG_IDENTIFIER, MESSAGE}'",
     lambda sh, out: documents(out)[:2] == [{"SYSLOG_IDENTIFIER": "k", "MESSAGE": "kernel panic"},
                                            {"SYSLOG_IDENTIFIER": None, "MESSAGE": "ok"}]),
    (INCIDENTS, "pls follow incidents --since 1h --replay 10", lambda sh, out: codes(out) == [503, 500, 503]),
    (INCIDENTS, "pls follow incidents --since 1h --replay 1", lambda sh, out: codes(out) == [503, 500, 503]),
    ("", """for i in $(seq 1 5); do
  pls feed jobs --create "{\\"task\\": \\"resize-image\\", \\"id\\": $i}"
done""", lambda sh, out: [item["id"] for item in sh.data("jobs")] == [1, 2, 3, 4, 5]),
    ("", """pls feed work --create '{"task": "resize", "id": 1}'""",
     lambda sh, out: sh.data("work") == [{"task": "resize", "id": 1}]),
    ("", """pls feed events --create --tag deploy '{"service": "api", "sha": "f4e5d6c"}'
pls feed events --tag alert '{"service": "api", "msg": "latency spike"}'
pls feed events --tag metric '{"service": "web", "rps": 1420}'""", lambda sh, out: len(sh.stored("events")) == 3),
]


def first_words(command):
    return " ".join(command.split()[:9])


@pytest.mark.parametrize("before,command,holds", RUNS, ids=[first_words(row[1]) for row in RUNS])
def test_run(sh, before, command, holds):
    sh.run(before)
    out = sh.run(command)
    assert holds(sh, out), out


def test_a_placeholder_taken_literally(sh):
    sh.run("plasmite poke signals --create --create-size 64K '...'  # Tiny, ephemeral", code=2)


def test_skipped_records_exit_1(sh):
    sh.run("plasmite pool create foo; printf '{}\\nnope\\n{}\\n' > records.jsonl")
    sh.run("cat records.jsonl | plasmite poke foo --in jsonl --errors skip", code=1)
    assert len(sh.stored("foo")) == 2


# --- what prints messages as they come

ERROR = """plasmite poke foo {} '{{"level": "error", "msg": "lost"}}'"""
FOO = """plasmite poke foo --create --descrip important '{"level": "info", "msg": "m1"}'; """ + ERROR.format("--tag error")

# what is there before; the command; how many old messages it prints; what it prints then, and what it does not
LIVE = [
    ("plasmite pool create chat", "plasmite peek chat", 0,
     """plasmite poke chat '{"from": "alice", "msg": "hello bob"}'""", ""),
    ("plasmite pool create build", "plasmite peek build", 0,
     """plasmite poke build '{"step": "compile", "status": "done"}'""", ""),
    (FOO, """plasmite peek foo --where '.data.level == "error"'""", 0, ERROR.format(""),
     "plasmite poke foo '{\"no\": \"level\"}'; plasmite poke foo '{\"level\": \"info\"}'"),
    (FOO, """plasmite peek foo --where '.meta.descrips[]? == "important"'""", 0,
     "plasmite poke foo --descrip important '{}'", ERROR.format("--tag error")),
    (FOO, """plasmite peek foo --where '.meta.descrips[]? == "error"'""", 0,
     "plasmite poke foo --tag db --tag error '{}'", "plasmite poke foo --descrip important '{}'; plasmite poke foo '{}'"),
    (FOO, "plasmite peek foo --tail 10", 2, "plasmite poke foo '{}'", ""),
    (FOO, "plasmite peek foo --since 5m", 2, "plasmite poke foo '{}'", ""),
    (TELEMETRY, "pls follow telemetry --tag sensor --where '.data.value > 80000'", 0,
     "pls feed telemetry --tag sensor '{\"value\": 80001}'",
     "pls feed telemetry --tag sensor '{\"value\": 80000}'; pls feed telemetry '{\"value\": 90000}'"),
    (TELEMETRY, """pls follow telemetry --tag alert --where '.data.service == "api"'""", 0,
     """pls feed telemetry --tag alert  '{"service": "api", "msg": "latency spike"}'""",
     """pls feed telemetry --tag deploy '{"service": "api"}'; pls feed telemetry --tag alert '{"service": "web"}'"""),
    (STRIPE, """pls follow stripe-events --where '.data.type == "payment_intent.succeeded"'""", 0,
     """pls feed stripe-events '{"type": "payment_intent.succeeded"}'""", """pls feed stripe-events '{"type": "x"}'"""),
    ("pls pool create api-events", """pls follow api-events --where '.data.type == "payment.completed"'""", 0,
     """pls feed api-events '{"type": "payment.completed"}'""", "pls feed api-events '{}'"),
    ("pls pool create api-events", "pls follow api-events", 0, "pls feed api-events '{}'", ""),
    (BUILD, "pls follow build", 0, "pls feed build '{\"step\": \"test\", \"pct\": 0}'", ""),
    (BUILD, "pls follow build --since 2h", 2, "pls feed build '{\"step\": \"test\", \"pct\": 0}'", ""),
    ("pls feed build --create '{\"kind\": \"start\", \"cmd\": [\"cargo\"]}'",
     """pls follow build --where '.data.stream == "stderr"'""", 0,
     """pls feed build '{"kind": "line", "line": "warning", "stream": "stderr"}'""",
     """pls feed build '{"kind": "line", "line": "done", "stream": "stdout"}'; pls feed build '{"kind": "exit"}'"""),
    ("pls pool create work", "pls follow work", 0, "pls feed work '{\"task\": \"resize\", \"id\": 1}'", ""),
    ("pls pool create jobs", "pls follow jobs", 0, "pls feed jobs '{\"id\": 1}'", ""),
    ("pls pool create events", "pls follow events --tag alert", 0, "pls feed events --tag alert '{}'",
     "pls feed events --tag metric '{}'"),
    ("pls pool create events", """pls follow events --tag alert --where '.data.service == "api"'""", 0,
     """pls feed events --tag alert '{"service": "api"}'""", "pls feed events --tag alert '{}'"),
    (SYSLOG, """pls follow syslog --since 1h --where '.data.MESSAGE | test("panic")'""", 1,
     """pls feed syslog '{"MESSAGE": "a panic again"}'""", "pls feed syslog '{\"MESSAGE\": \"ok\"}'; pls feed syslog '{}'"),
    (INCIDENTS, "pls follow incidents --since 2h --tag sev1 --where '.data.code == 503'", 1,
     "pls feed incidents --tag sev1 '{\"code\": 503}'",
     "pls feed incidents --tag sev1 '{\"code\": 500}'; pls feed incidents '{\"code\": 503}'"),
    (INCIDENTS, "pls follow incidents --tail 20", 3, "pls feed incidents '{\"code\": 404}'", ""),
]


def newest(receipts):
    """The seq that the last line of receipts names."""
    return json.loads(receipts.splitlines()[-1])["seq"]


@pytest.mark.parametrize("before,command,n_old,printed,silent", LIVE, ids=[first_words(row[1]) for row in LIVE])
def test_live(sh, before, command, n_old, printed, silent):
    sh.run(before)
    old = sh.info(command.split()[2])["bounds"].get("newest", 0)
    script = sh.start(command)
    assert [script.document()["seq"] <= old for _ in range(n_old)] == [True] * n_old

    # It is in place when it has printed the first new message; from then on nothing is missed.
    seen = until(lambda: sh.run(printed) and script.has_output() and script.document())
    assert seen["seq"] > old
    if silent:
        sh.run(silent)
    last = newest(sh.run(printed))
    while seen["seq"] < last:
        before_it, seen = seen, script.document()
        assert seen["data"] == before_it["data"] and seen["meta"] == before_it["meta"]
    assert seen["seq"] == last


def test_peek_prints_a_line_a_message_and_follow_several(sh):
    sh.run(FED)
    assert sh.start("plasmite peek chat --tail 1").line().endswith(b'"data":{"n":3}}')
    assert sh.start("pls follow chat --tail 1").line() == b"{"


def test_jsonl_into_jq(sh):
    """jq shows each line at once only on a terminal; what it is fed must be there at once."""
    sh.run(FOO)
    script = sh.start("plasmite peek foo --format jsonl | jq -r '.data.msg'", tty=True)
    until(lambda: sh.run("plasmite poke foo '{\"msg\": \"hello\"}'") and script.has_output())
    assert script.line() == b"hello\r"


# --- waiting for one message

SCRIPT_A = """echo "Waiting for go signal..."
plasmite {peek} signals --where '.data.go == true' --tail 1 --one > /dev/null
echo "Got it! Proceeding..."
"""
SCRIPT_B = "plasmite {poke} signals --create '{{\"go\": true}}'"


@pytest.mark.parametrize("peek,poke,before", [
    ("peek", "poke", ""),  # the pool does not exist yet
    ("peek", "poke", "plasmite pool create signals"),
    ("follow", "feed", "plasmite pool create signals"),
    ("follow", "feed", "plasmite feed signals --create '{\"go\": false}'"),
])
def test_coordinate_two_scripts(sh, peek, poke, before):
    sh.run(before)
    script_a = sh.start(SCRIPT_A.format(peek=peek))
    assert script_a.line() == b"Waiting for go signal..."
    if not before:
        assert b'"waiting"' in script_a.err_line()
    sh.run(SCRIPT_B.format(poke=poke))
    assert script_a.line() == b"Got it! Proceeding..."
    assert script_a.finish().code == 0


DEPLOY = """pls follow ci --where '.data.status == "green"' --one > /dev/null
echo "Tests passed — deploying..."
./deploy-to-staging.sh
"""


@pytest.mark.parametrize("before", ["", "pls feed ci --create '{\"status\": \"red\"}'"])
def test_ci_gate(sh, before):
    sh.run(before)
    gate = sh.start(DEPLOY)
    if not before:
        assert b'"waiting"' in gate.err_line()
    sh.run("""pls feed ci --create '{"status": "yellow"}'""")
    green = """pls feed ci --create '{"status": "green", "commit": "a1b2c3d", "suite": "unit"}'"""
    until(lambda: sh.run(green) and gate.has_output())
    assert gate.line() == "Tests passed — deploying...".encode()
    assert gate.line() == b"staged"
    assert gate.finish().code == 0


def test_block_until_done_then_ship(sh):
    sh.run(BUILD)
    ship = sh.start("pls follow build --tag done --one > /dev/null && ./deploy.sh")
    until(lambda: sh.run("""pls feed build --tag done '{"step": "finished", "ok": true}'""") and ship.has_output())
    assert ship.line() == b"deployed"
    assert ship.finish().code == 0


# --- what takes in streams

def line(n):
    return f'{{"n":{n}}}\n'.encode()


def event(n):
    return f'event: message\nid: {n}\ndata: {{"n":{n}}}\n\n'.encode()


def record(n):
    return f'\x1e{{"n":{n}}}\n'.encode()


URL = "https://api.example.com/stream"
STRIPE_CURL = """curl -N https://api.stripe.com/v1/events \\
  -H "Authorization: Bearer $STRIPE_KEY" \\
  | pls feed stripe-events --create"""
STREAMS = [
    ("", f"curl -N {URL} | plasmite poke events --create", "events", event, f"curl -N {URL}"),
    ("", f"curl -N {URL} | plasmite poke events --create", "events", line, f"curl -N {URL}"),
    ("", STRIPE_CURL, "stripe-events", event,
     "curl -N https://api.stripe.com/v1/events -H Authorization: Bearer k"),
    ("", "curl -N https://api.example.com/events | pls feed api-events --create", "api-events", event, "curl -N"),
    ("", "journalctl -o json-seq -f | plasmite poke syslog --create", "syslog", record, "journalctl -o json-seq -f"),
    ("", "journalctl -o json-seq -f | pls feed syslog --create", "syslog", record, "journalctl -o json-seq -f"),
    ("pls pool create syslog --size 8M", "journalctl -o json-seq -f | pls feed syslog", "syslog", record,
     "journalctl -o json-seq -f"),
    ("", "log stream --style ndjson | plasmite poke syslog --create", "syslog", line, "log stream --style ndjson"),
    ("", "log stream --style ndjson | pls feed syslog --create", "syslog", line, "log stream --style ndjson"),
]


def source(sh, command, first):
    """Prepares what the program at the head of a pipe prints; returns the pipe for the rest."""
    sh.cli.env["STRIPE_KEY"] = "k"
    name = command.split()[0]
    (sh.home / f"{name}.first").write_bytes(first)
    pipe = sh.home / f"{name}.pipe"
    os.mkfifo(pipe)
    return pipe


@pytest.mark.parametrize("before,command,pool,form,called", STREAMS,
                         ids=[f"{first_words(row[1])} ({row[3].__name__}s)" for row in STREAMS])
def test_stream(sh, before, command, pool, form, called):
    """Each record is stored when it is there, not when the stream ends."""
    sh.run(before)
    pipe = source(sh, command, form(1))
    script = sh.start(command)
    assert script.document()["seq"] == 1
    assert sh.data(pool) == [{"n": 1}]
    with open(pipe, "wb", buffering=0) as rest:
        rest.write(form(2))
        assert script.document()["seq"] == 2
        rest.write(form(3) + form(4))
        assert [script.document()["seq"] for _ in range(2)] == [3, 4]
    assert script.finish().code == 0
    assert [item["n"] for item in sh.data(pool)] == [1, 2, 3, 4]
    assert called in (sh.home / "called").read_text()


def test_a_banner_of_the_stream_needs_skip(sh):
    command = "log stream --style ndjson | plasmite poke syslog --create"
    with_skip = "log stream --style ndjson | plasmite poke syslog --create --errors skip"
    pipe = source(sh, command, b"Filtering the log data using ...\n" + line(1))
    failing = sh.start(command)
    assert b"invalid json input" in failing.err_line()
    failing.kill()  # before what goes on printing opens the next pipe
    os.unlink(pipe)
    os.mkfifo(pipe)
    script = sh.start(with_skip)
    assert script.document()["seq"] == 1
    with open(pipe, "wb", buffering=0) as rest:
        rest.write(line(2))
        assert script.document()["seq"] == 2
    assert script.finish().code == 1


def test_sensor_loop(sh):
    script = sh.start("""while true; do
  pls feed telemetry --create \\
    --tag sensor \\
    "{\\"sensor\\": \\"temp\\", \\"value\\": $(cat /sys/class/thermal/thermal_zone0/temp), \\"ts\\": \\"$(date -Iseconds)\\"}"
  sleep 1
done""")
    assert [script.document()["seq"] for _ in range(3)] == [1, 2, 3]
    script.kill()
    message = sh.stored("telemetry")[0]
    assert message["meta"]["tags"] == ["sensor"] and message["data"]["value"] == 81000


# --- what writes a file and goes on (it is complete at any kill)

DUMPS = [
    (INCIDENTS, "mkdir -p tmp\npls follow incidents --tag error --tail 100 --jsonl > tmp/errors.jsonl",
     "tmp/errors.jsonl", [1, 3], "pls feed incidents --tag error '{}'"),
    (STRIPE + "; mkdir tmp", "pls follow stripe-events --tail 500 --jsonl > tmp/stripe-dump.jsonl",
     "tmp/stripe-dump.jsonl", [1, 2], "pls feed stripe-events '{}'"),
]


@pytest.mark.parametrize("before,command,name,old,feed", DUMPS, ids=[first_words(row[1]) for row in DUMPS])
def test_dump(sh, before, command, name, old, feed):
    sh.run(before)
    script = sh.start(command)
    file = sh.cli.root / name
    until(lambda: file.exists() and file.read_bytes().count(b"\n") == len(old))
    new = newest(sh.run(feed))
    until(lambda: file.read_bytes().count(b"\n") == len(old) + 1)
    assert script.process.poll() is None
    script.kill()
    assert [json.loads(text)["seq"] for text in file.read_text().splitlines()] == [*old, new]


# --- tap

@needs("tap")
def test_tap_captures_a_build(sh):
    out = sh.run("pls tap build --create -- cargo build", code=3)
    assert out == "building build\nno newline"
    stored = sh.data("build")
    assert stored[0] == {"cmd": ["cargo", "build"], "kind": "start"}
    assert stored[-1]["kind"] == "exit" and stored[-1]["code"] == 3
    lines = [(item["stream"], item["line"]) for item in stored[1:-1]]
    assert sorted(lines) == [("stderr", "warning: unused"), ("stdout", "building build"), ("stdout", "no newline")]
    assert len(documents(sh.run("pls follow build --since 2h --replay 0"))) == 5
    out = sh.run("""pls follow build --where '.data.stream == "stderr"' --since 2h --replay 0""")
    assert [item["line"] for item in messages(out)] == ["warning: unused"]


@needs("tap")
def test_tap_tags_lines(sh):
    done = sh.start("pls tap deploy --tag prod -- ./deploy.sh").finish()
    assert done.code == 3 and "--create" in done.error["hint"]
    sh.run("pls pool create deploy")
    assert sh.run("pls tap deploy --tag prod -- ./deploy.sh") == "deployed\n"
    assert [message["meta"]["tags"] for message in sh.stored("deploy")] == [["lifecycle"], ["prod"], ["lifecycle"]]


@needs("tap")
def test_tap_creates_a_large_pool(sh):
    assert sh.run("pls tap api --create --create-size 64M -- ./server").count("request") == 3
    assert sh.info("api")["file_size"] == 64 << 20
    assert [item["line"] for item in sh.data("api")[1:-1]] == ["request 1", "request 2", "request 3"]


# --- duplex

class Terminal:
    """Someone at a terminal, whose lines are sent; what comes in goes into a pipe."""

    def __init__(self, sh, command):
        self.master, slave = pty.openpty()
        self.script = sh.start(command, stdin=slave)
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode() + b"\n")
        return True


@pytest.fixture
def terminal(sh):
    opened = []

    def sit_down(command):
        opened.append(Terminal(sh, command))
        return opened[-1]
    yield sit_down
    for each in opened:
        os.close(each.master)


def said(sh, name):
    """What someone has said in the chat, as far as it is stored."""
    if not sh.pool_file("chat").exists():
        return []
    return [data["msg"] for data in sh.data("chat") if data.get("from") == name]


@needs("duplex")
def test_two_party_chat(sh, terminal):
    alice = terminal("pls duplex chat --create --me alice")
    alice.type("anyone there?")
    until(lambda: said(sh, "alice") == ["anyone there?"])
    bob = terminal("pls duplex chat --create --me bob")
    until(lambda: bob.type("yes") and alice.script.has_output())
    assert alice.script.document()["data"] == {"from": "bob", "msg": "yes"}
    until(lambda: alice.type("good") and bob.script.has_output())
    assert bob.script.document()["data"] == {"from": "alice", "msg": "good"}


@needs("duplex")
def test_bob_catches_up(sh, terminal):
    sh.run("""pls pool create chat
for i in $(seq 1 25); do pls feed chat "{\\"from\\": \\"alice\\", \\"msg\\": \\"$i\\"}"; done
for i in 1 2 3; do pls feed chat '{"from": "bob", "msg": "mine"}'; done""")
    bob = terminal("pls duplex chat --me bob --tail 20")
    assert [bob.script.document()["data"]["msg"] for _ in range(20)] == [str(i) for i in range(6, 26)]


@needs("duplex")
def test_echo_self(sh, terminal):
    sh.run("pls pool create chat")
    alice = terminal("pls duplex chat --me alice --echo-self")
    until(lambda: alice.type("hello") and alice.script.has_output())
    assert alice.script.document()["data"] == {"from": "alice", "msg": "hello"}


@needs("duplex")
def test_scripted_duplex(sh):
    sh.run("pls pool create chat")
    sh.run("""printf '{"from":"alice","msg":"boot complete"}\\n{"from":"alice","msg":"ready"}' \\
  | pls duplex chat --me alice""")
    assert said(sh, "alice") == ["boot complete", "ready"]
    sh.run("""printf '{"ping": true}' | pls duplex chat --me healthcheck --timeout 5s""")
    assert sh.data("chat")[2:] == [{"ping": True}]


# --- what waits for commands that are still to come

SERVE = "serve is not there yet"
REMOTE = "remote pools are not there yet"
LATER = [
    ("pls duplex http://server:9700/chat --me alice --tail 10", REMOTE),
    ("plasmite serve init --bind 0.0.0.0:9700 --output-dir ./.plasmite-serve", SERVE),
    ("plasmite serve --bind 0.0.0.0:9700 --allow-non-loopback --token-file P --tls-cert P --tls-key P", SERVE),
    ("pls serve", SERVE),
    ("pls serve init", SERVE),
    ("pls serve --bind 0.0.0.0:9700 --allow-non-loopback --access read-only --cors-origin https://demo.wratify.ai",
     SERVE),
    ("plasmite feed https://server:9700/events --token-file P --tls-ca P J", REMOTE),
    ("plasmite follow https://server:9700/events --token-file P --tls-ca P --tail 20", REMOTE),
    ("plasmite follow https://server:9700/events --tail 20 --tls-skip-verify", REMOTE),
    ("pls feed http://server:9700/events J", REMOTE),
    ("pls follow http://server:9700/events --tail 20", REMOTE),
    ("plasmite mcp --dir DIR", "mcp is not there yet"),
]


@pytest.mark.parametrize("command,reason", LATER, ids=[row[0] for row in LATER])
def test_later(command, reason):
    pytest.skip(f"{command}: {reason}")
