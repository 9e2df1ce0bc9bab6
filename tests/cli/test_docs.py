"""The examples of the documents, run as written.

A block of shell that has the comment `<!-- run -->` right before it is run by `sh -e`, in a home and a
folder of its own. `<!-- run: continues -->`: in those of the block before. `<!-- run: exit N -->`: it
exits N. `<!-- prints -->` before a later block: that is what it prints, where `...` stands for anything.

A comment `# Terminal N` in a block begins what is typed in another terminal: all but the last of them
run in the background, each from when the one before waits for messages; what such a block prints is what
these print. The programs around it are small ones of ours.
"""

import os
import re
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BIN, DEADLINE_S, ROOT

DOCUMENTS = ["README.md", "docs/cli.md", "docs/cookbook.md"]
MARK = re.compile(r"<!-- (run|prints)(?:: (.*))? -->")
TERMINAL = re.compile(r"^# Terminal \d", re.MULTILINE)

PROGRAMS = {
    "journalctl": r"""printf '\036{"SYSLOG_IDENTIFIER":"cron","MESSAGE":"ok"}\n'
printf '\036{"SYSLOG_IDENTIFIER":"kernel","MESSAGE":"panic: out of cheese"}\n'""",
    "curl": r"""printf ': hello\n\ndata: {"type":"payment.completed","amount":1200}\n\n'
printf 'event: other\ndata: {"type":"refund"}\n\n'""",
    "make": "echo cc main.c; echo 'main.c:3: warning: unused variable' >&2; echo done",
}


class Example:
    """A block that is run, and what it must print."""

    def __init__(self, document, line, section, options):
        self.name = f"{document}:{line} {section}"
        self.continues = "continues" in options
        self.code = next((int(word[5:]) for word in options if word.startswith("exit ")), 0)
        assert all(word == "continues" or re.fullmatch(r"exit \d+", word) for word in options), (self.name, options)
        self.script = None
        self.prints = None


def examples(document):
    """The marked blocks of a document: chains of examples that share a home."""
    chains = []
    section = mark = fence = None
    body = []
    for number, line in enumerate((ROOT / document).read_text().splitlines(), 1):
        if fence is None and line.startswith("#"):
            section = line.lstrip("# ")
        found = MARK.fullmatch(line)
        if fence is None and line.startswith("```"):
            fence, body = line, []
        elif fence is not None and line == "```":
            if mark == "run":
                assert fence in ("```sh", "```bash"), (document, number)
                chains[-1][-1].script = "\n".join(body) + "\n"
            elif mark == "prints":
                assert chains[-1][-1].prints is None, (document, number)
                chains[-1][-1].prints = "\n".join(body) + "\n"
            fence = mark = None
        elif fence is not None:
            body.append(line)
        elif found:
            mark = found[1]
            options = [word.strip() for word in (found[2] or "").split(",") if word.strip()]
            if mark == "run":
                example = Example(document, number, section, options)
                if not example.continues:
                    chains.append([])
                chains[-1].append(example)
        else:
            assert mark is None, (document, number, "a mark without a block")
            assert "<!-- run" not in line and "<!-- prints" not in line, (document, number)
    return chains


CHAINS = [chain for document in DOCUMENTS for chain in examples(document)]


class Background:
    """A terminal whose program runs on."""

    def __init__(self, script, env, cwd, name):
        self.out = cwd / f"{name}.stdout"
        self.err = cwd / f"{name}.stderr"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(["sh", "-ec", script], env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, start_new_session=True)

    def waits(self):
        """Whether one of its processes has a pool open and sleeps, waits for a pool to come, or all
        is over."""
        if self.process.poll() is not None or b'"waiting"' in self.err.read_bytes():
            return True
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == self.process.pid and state == "S" and ".plasmite" in (entry / "maps").read_text():
                    return True
            except (OSError, ValueError):
                pass  # it is gone
        return False

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def until(fact, explain):
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.005)  # lets others work; what is waited for is the fact


def matches(expected, text):
    """The same, where `...` stands for anything."""
    return re.fullmatch(re.escape(expected).replace(r"\.\.\.", ".*"), text) is not None


def terminals(script):
    """What comes before the first terminal, and what is typed in each."""
    starts = [found.start() for found in TERMINAL.finditer(script)]
    ends = [*starts[1:], len(script)]
    return script[: starts[0]] if starts else script, [script[a:b] for a, b in zip(starts, ends)]


class Desk:
    """Where a chain of examples is run."""

    def __init__(self, cli):
        self.env = cli.env
        self.cwd = cli.root / "work"
        self.background = []
        bin_folder = cli.root / "bin"
        bin_folder.mkdir()
        self.cwd.mkdir()
        for name in ("plasmite", "pls"):
            (bin_folder / name).symlink_to(Path(BIN).resolve())
        for name, text in PROGRAMS.items():
            file = bin_folder / name
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(file.stat().st_mode | stat.S_IXUSR)
        self.env["PATH"] = f"{bin_folder}:{self.env['PATH']}"

    def foreground(self, script, code):
        done = subprocess.run(["sh", "-ec", script], env=self.env, cwd=self.cwd, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, text=True)
        assert done.returncode == code, (script, done)
        return done.stdout

    def run(self, example):
        first, others = terminals(example.script)
        out = self.foreground(first, 0 if others else example.code)
        started = []
        for script in others[:-1]:
            started.append(Background(script, self.env, self.cwd, f"terminal{len(self.background)}"))
            self.background.append(started[-1])
            until(started[-1].waits, lambda: f"{script} does not wait: {started[-1].err.read_text()}")
        if others:
            self.foreground(others[-1], example.code)
        if example.prints is None:
            return
        if not started:
            assert matches(example.prints, out), (example.script, out)
            return
        shown = lambda: "".join(each.out.read_text() for each in started)
        until(lambda: matches(example.prints, shown()), lambda: (example.script, shown()))

    def end(self):
        for each in self.background:
            each.end()


@pytest.mark.parametrize("chain", CHAINS, ids=[chain[0].name for chain in CHAINS])
def test_example(cli, chain):
    desk = Desk(cli)
    try:
        for example in chain:
            desk.run(example)
    finally:
        desk.end()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_has_examples_that_are_run(document):
    assert any(example.prints for chain in examples(document) for example in chain)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    """Links between the documents, and to their headings."""
    def anchors(path):
        return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
                for title in re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)}

    path = ROOT / document
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def options_in_help(command):
    text = subprocess.run([BIN, "help", *command.split()], capture_output=True, text=True, check=True).stdout
    local = text.split("Remote options")[0]
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", local, re.MULTILINE)) - {"--help"}


@pytest.mark.parametrize("command", ["feed", "follow", "tap", "duplex", "pool create", "pool list", "pool info", "pool delete", "pool import", "doctor"])
def test_the_reference_names_every_option(command):
    text = (ROOT / "docs/cli.md").read_text()
    section = re.split(rf"^##+ {command}$", text, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ (?!Filters)", section, maxsplit=1, flags=re.MULTILINE)[0]
    missing = [option for option in options_in_help(command) if option not in section]
    assert missing == []


def test_the_reference_names_every_command():
    text = subprocess.run([BIN, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\w+) ", text.split("COMMANDS\n")[1].split("\nOPTIONS")[0], re.MULTILINE)
    reference = (ROOT / "docs/cli.md").read_text()
    table = reference.split("\n## ", maxsplit=1)[0].split("Not there yet")[0]
    assert [command for command in commands if f"`{command}`" not in table] == []
