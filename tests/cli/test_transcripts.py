"""Transcripts of sessions (tests/cli/golden): what was said then is said today.

A transcript is a text file. `# ...` is a remark; `$ COMMAND` is run by sh, with the program first in
PATH and the pools of the transcript in $HOME; `< TEXT` lines below it are its input. Then comes what it
must print: `| TEXT` a line of stdout, `! TEXT` a line of stderr, and `= N` its exit code where that is not 0.

Outputs are pipes. What differs from run to run is written as <TIME> (RFC 3339), <AGE> ("3s ago"),
<MS> (milliseconds), <HOME>. Lines that are JSON objects are compared by their values, for their
order of keys is free except in messages; `...` at the end of a line stands for anything more.

PLSM_RECORD=1 writes what is printed now into the files: read the difference before it is committed.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import BIN

FOLDER = Path(__file__).parent / "golden"
TRANSCRIPTS = sorted(FOLDER.glob("*.txt"))
RECORD = os.environ.get("PLSM_RECORD") == "1"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
AGE = re.compile(r"\b\d+[smhdw] ago\b")
MS = re.compile(r'("(?:\w+_age_ms|elapsed_ms)":)\d+')


class Step:
    def __init__(self, command, remarks):
        self.command = command
        self.remarks = remarks
        self.input, self.out, self.err, self.code = [], [], [], 0

    def text(self):
        lines = [*self.remarks, f"$ {self.command}"]
        lines += [f"< {line}".rstrip() for line in self.input]
        lines += [f"| {line}".rstrip() for line in self.out]
        lines += [f"! {line}".rstrip() for line in self.err]
        return lines + ([f"= {self.code}"] if self.code else [])


def parse(path):
    steps, remarks = [], []
    for line in path.read_text().splitlines():
        kind, rest = line[:1], line[2:]
        if kind in ("", "#"):
            remarks.append(line)
        elif kind == "$":
            steps.append(Step(rest, remarks))
            remarks = []
        elif kind == "=":
            steps[-1].code = int(rest)
        else:
            {"<": steps[-1].input, "|": steps[-1].out, "!": steps[-1].err}[kind].append(rest)
    return steps


def normal(text, home):
    text = text.replace(str(home), "<HOME>")
    text = AGE.sub("<AGE>", TIME.sub("<TIME>", text))
    return [line.rstrip() for line in MS.sub(r"\1<MS>", text).splitlines()]


def comparable(line):
    """What a line says, without what it may say otherwise."""
    try:
        value = json.loads(line.replace("<MS>", "0"))
    except ValueError:
        return re.sub(r" {2,}", "  ", line)
    if isinstance(value, dict) and "data" in value:
        return line
    return value


def is_same(wanted, found):
    if len(wanted) != len(found):
        return False
    return all(
        there.startswith(want[:-3]) if want.endswith("...") else comparable(want) == comparable(there)
        for want, there in zip(wanted, found)
    )


def run(step, home):
    done = subprocess.run(
        ["sh", "-c", step.command],
        input="".join(line + "\n" for line in step.input).encode(),
        capture_output=True,
        cwd=home,
        env={"HOME": str(home), "PATH": f"{Path(BIN).parent}:/usr/bin:/bin", "TERM": "dumb",
             **{name: os.environ[name] for name in ("ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS") if name in os.environ}},
        timeout=60,
    )
    return normal(done.stdout.decode(), home), normal(done.stderr.decode(), home), done.returncode


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_transcript(path, tmp_path):
    steps = parse(path)
    for step in steps:
        out, err, code = run(step, tmp_path)
        if RECORD:
            step.out, step.err, step.code = out, err, code
            continue
        said = f"$ {step.command}\nstdout {out}\nstderr {err}\ncode {code}"
        assert code == step.code, said
        assert is_same(step.out, out), said
        assert is_same(step.err, err), said
    if RECORD:
        path.write_text("\n".join(line for step in steps for line in step.text()) + "\n")


def test_there_are_transcripts():
    assert len(TRANSCRIPTS) >= 12
    assert sum(len(parse(path)) for path in TRANSCRIPTS) >= 80
