"""The command lines of the documents the product was first described in, run as written, for the
commands that are local: contract section 22."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN, DEADLINE_S


@pytest.fixture
def sh(cli):
    """Runs a script in which `plasmite` and `pls` are commands."""
    folder = cli.root / "bin"
    folder.mkdir()
    for name in ("plasmite", "pls"):
        (folder / name).symlink_to(Path(BIN).resolve())
    cli.env["PATH"] = f"{folder}:{cli.env['PATH']}"

    def run(script, **kwargs):
        return subprocess.run(["bash", "-ec", script], env=cli.env, cwd=cli.root, capture_output=True, timeout=60,
                              check=True, text=True, **kwargs).stdout
    run.cli = cli
    return run


class Background:
    """A script that runs on; all of its processes end with the test."""

    def __init__(self, cli, script):
        self.process = subprocess.Popen(["bash", "-ec", script], env=cli.env, cwd=cli.root, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def line(self):
        return self.process.stdout.readline()

    def err_line(self):
        return self.process.stderr.readline()

    def wait(self):
        return self.process.wait(timeout=20)

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(sh):
    scripts = []

    def run(script):
        scripts.append(Background(sh.cli, script))
        return scripts[-1]
    yield run
    for script in scripts:
        script.end()


def test_chat_with_the_first_spellings(sh, start):
    sh("plasmite pool create chat")
    bob = start("exec plasmite peek chat --tail 2")
    sh("""plasmite poke chat '{"from": "alice", "msg": "hello bob"}'""")
    assert json.loads(bob.line())["data"] == {"from": "alice", "msg": "hello bob"}
    sh("""plasmite poke chat '{"from": "alice", "msg": "you there?"}'""")
    line = bob.line()
    message = json.loads(line)
    assert line.startswith('{"seq":2,"time":"') and list(message) == ["seq", "time", "meta", "data"]
    assert line.endswith('","meta":{"descrips":[]},"data":{"from":"alice","msg":"you there?"}}\n')


def test_chat_with_the_present_spellings(sh, start):
    sh("plasmite pool create chat")
    bob = start("exec plasmite follow chat --jsonl --tail 2")
    sh("""plasmite feed chat '{"from": "alice", "msg": "hello bob"}'
          plasmite feed chat '{"from": "alice", "msg": "you there?"}'""")
    messages = [json.loads(bob.line()) for _ in range(2)]
    assert [message["data"]["msg"] for message in messages] == ["hello bob", "you there?"]
    assert json.loads(sh("plasmite fetch chat 1"))["data"]["from"] == "alice"


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
def test_coordinate_two_scripts(sh, start, peek, poke, before):
    sh(before)
    script_a = start(SCRIPT_A.format(peek=peek))
    assert script_a.line() == "Waiting for go signal...\n"
    sh(SCRIPT_B.format(poke=poke))
    assert script_a.line() == "Got it! Proceeding...\n"
    assert script_a.wait() == 0


def test_the_signal_may_come_first(sh):
    sh(SCRIPT_B.format(poke="poke"))
    assert sh(SCRIPT_A.format(peek="peek")).endswith("Got it! Proceeding...\n")


def test_watch_a_build(sh):
    sh("""plasmite poke build --create '{"step": "compile", "status": "running"}'
          plasmite poke build '{"step": "compile", "status": "done"}'
          plasmite poke build '{"step": "test", "status": "running"}'""")
    assert sh("plasmite peek build --tail 3 --timeout 0ms || test $? = 124").count("\n") == 3


def test_ingest(sh):
    (sh.cli.root / "data.json").write_text('{"items": [{"n": 1}, {"n": 2}]}')
    sh("jq -c '.items[]' data.json | plasmite poke foo --create")
    sh("printf 'data: {\"n\":3}\\n\\n' | plasmite poke foo --create")
    sh("printf '\\036{\"n\":4}\\n' | plasmite poke foo --create")
    sh("printf '{\"n\":5}\\n' | plasmite poke foo --in jsonl")
    sh("printf '{\\n\"n\":6}\\n' | plasmite poke foo --in json")
    out = sh("plasmite peek foo --format jsonl --tail 10 --replay 0 | jq -r '.data.n'")
    assert out.split() == ["1", "2", "3", "4", "5", "6"]
    assert len(sh("plasmite peek foo --tail 4 --replay 0").splitlines()) == 4
    assert len(sh("plasmite peek foo --since 5m --replay 0").splitlines()) == 6


def test_filter_and_tags(sh):
    sh("""plasmite poke foo --create --descrip error --descrip db '{"level": "error", "msg": "connection lost"}'
          plasmite poke foo --descrip important '{"level": "info"}'
          plasmite poke foo '{"x": 1}'""")
    out = lambda where: [json.loads(line)["seq"] for line in
                         sh(f"plasmite peek foo --tail 9 --replay 0 --where '{where}'").splitlines()]
    assert out('.data.level == "error"') == [1]
    assert out('.meta.descrips[]? == "important"') == [2]
    assert out('.meta.descrips[]? == "error"') == [1]


def test_options_of_poke(sh):
    sh("""plasmite pool create bigpool --size 64M
          plasmite poke signals --create --create-size 64K '{"n": 1}'
          plasmite poke signals --durability flush '{"important": true}'
          plasmite poke signals --retry 3 --retry-delay 100ms '{"data": 1}'
          pls poke signals '{"x":1}'""")
    assert sh("plasmite pool info bigpool --json | jq .file_size").strip() == "67108864"
    assert sh("plasmite pool info signals --json | jq .file_size").strip() == "65536"
    assert json.loads(sh("plasmite get signals 4"))["data"] == {"x": 1}
    assert "signals" in sh("plasmite pool list")
    sh("plasmite pool delete signals")
    for command in ("plasmite --help", "plasmite poke --help", "plasmite peek --help", "plasmite get --help"):
        assert "plasmite" in sh(command)


def test_a_placeholder_taken_literally(sh):
    done = sh.cli.run("poke", "signals", "--create", "--create-size", "64K", "...")
    done.usage("invalid json")


def test_ci_gate(sh, start):
    gate = start("""pls follow ci --where '.data.status == "green"' --one > /dev/null
                        echo "Tests passed — deploying..." """)
    assert '"waiting"' in gate.err_line()
    sh("""pls feed ci --create '{"status": "green", "commit": "a1b2c3d", "suite": "unit"}'""")
    assert gate.line().startswith("Tests passed") and gate.wait() == 0


def test_telemetry(sh):
    sh("""for i in 1 2 3; do
            pls feed telemetry --create \
              --tag sensor \
              "{\\"sensor\\": \\"temp\\", \\"value\\": $((i * 40000)), \\"ts\\": \\"$(date -Iseconds)\\"}"
          done
          pls feed telemetry --tag deploy '{"service": "api", "sha": "f4e5d6c"}'
          pls feed telemetry --tag alert  '{"service": "api", "msg": "latency spike"}'
          pls feed telemetry --tag metric '{"service": "web", "rps": 1420}'""")
    assert len(sh("pls follow telemetry --tag sensor --since 1h --replay 0 | jq -c '.data | [.ts, .value]'")
               .splitlines()) == 3
    sh("mkdir tmp; pls follow telemetry --since 10m --replay 0 --jsonl > tmp/timeline.jsonl")
    assert len((sh.cli.root / "tmp/timeline.jsonl").read_text().splitlines()) == 6
    assert sh("pls follow telemetry --since 1h --replay 0 --jsonl --tag sensor --where '.data.value > 80000'"
              ).count("\n") == 1
    assert sh("pls follow telemetry --since 1h --replay 0 --jsonl --tag alert --where '.data.service == \"api\"'"
              ).count("\n") == 1


def test_syslog(sh):
    sh("pls pool create syslog --size 8M")
    sh(r"""printf '\036{"MESSAGE":"kernel panic","SYSLOG_IDENTIFIER":"k"}\n\036{"MESSAGE":"ok"}\n' | pls feed syslog""")
    assert sh("""pls follow syslog --since 1h --replay 0 --jsonl --where '.data.MESSAGE | test("panic")'""").count("\n") == 1
    out = sh("pls follow syslog --since 10m --replay 0 | jq -c '.data | {SYSLOG_IDENTIFIER, MESSAGE}'")
    assert out.splitlines()[0] == '{"SYSLOG_IDENTIFIER":"k","MESSAGE":"kernel panic"}'


def test_dump_that_keeps_following(sh, start):
    """`--tail N --jsonl > file` goes on; the file is complete at any kill."""
    sh("for i in 1 2 3; do pls feed incidents --create --tag error \"{\\\"n\\\":$i}\"; done")
    dump = start("pls follow incidents --tag error --tail 100 --jsonl > errors.jsonl")
    file = sh.cli.root / "errors.jsonl"
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and not (file.exists() and file.read_text().count("\n") == 3):
        pass
    assert dump.process.poll() is None
    dump.end()
    assert [json.loads(line)["seq"] for line in file.read_text().splitlines()] == [1, 2, 3]


def test_from_another_language(sh):
    code = ('import subprocess, json; subprocess.run(["plasmite", "poke", "foo", "--create", '
            'json.dumps({"from": "python"})], check=True)')
    message = json.loads(sh(f"/usr/bin/python3 -c '{code}'"))
    assert message["data"] == {"from": "python"}
