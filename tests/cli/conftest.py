"""What the black-box tests of the command line share.

The program under test lies in the build folder $PLSM_BUILD. Every test has a directory of its own for pools and a
home of its own; nothing waits for time to pass, only for facts, with a deadline.
"""

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

DEADLINE_S = 20.0
ROOT = Path(__file__).resolve().parents[2]
BIN = str(Path(os.environ.get("PLSM_BUILD", ROOT / "build")).resolve() / "plasmite")


class Result:
    """A finished run: exit code (negative: the signal), stdout, stderr."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self):
        return f"code {self.code}\nstdout {self.out[-2000:]!r}\nstderr {self.err[-2000:]!r}"

    @property
    def text(self):
        return self.out.decode()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        """stdout as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self):
        """stderr as the one JSON error that it must be."""
        assert self.err.endswith(b"\n") and self.err.count(b"\n") == 1, self
        return json.loads(self.err)["error"]

    @property
    def notices(self):
        return [json.loads(line)["notice"] for line in self.err.splitlines()]

    def ok(self):
        assert self.code == 0 and self.err == b"", self
        return self

    def fails(self, kind, code, *fragments):
        """An error of this kind on stderr, with these fragments in its message; nothing else."""
        assert self.code == code, self
        error = self.error
        assert error["kind"] == kind, self
        assert "\n" not in error["message"], self
        for fragment in fragments:
            assert fragment in error["message"], self
        return error

    def usage(self, *fragments):
        return self.fails("Usage", 2, *fragments)


class Running:
    """A process whose output is read line by line while it runs."""

    def __init__(self, args, env, stdin, cwd):
        self.process = subprocess.Popen(
            args, env=env, cwd=cwd, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.buffers = {self.process.stdout: b"", self.process.stderr: b""}

    def _fill(self, stream, deadline):
        left = deadline - time.monotonic()
        ready, _, _ = select.select([stream], [], [], max(left, 0))
        if not ready:
            raise AssertionError(f"nothing came in time; so far {self.buffers}")
        data = os.read(stream.fileno(), 65536)
        self.buffers[stream] += data
        return data != b""

    def line(self, stream=None, deadline_s=DEADLINE_S):
        """The next line, without its end; None at the end of the stream."""
        stream = stream or self.process.stdout
        deadline = time.monotonic() + deadline_s
        while b"\n" not in self.buffers[stream]:
            if not self._fill(stream, deadline):
                return None
        line, _, self.buffers[stream] = self.buffers[stream].partition(b"\n")
        return line

    def json(self):
        return json.loads(self.line())

    def err_line(self):
        return self.line(self.process.stderr)

    def feed(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def quiet(self):
        """Whether nothing is waiting to be read right now."""
        ready, _, _ = select.select([self.process.stdout], [], [], 0)
        return not ready and self.buffers[self.process.stdout] == b""

    def finish(self):
        """Closes its input and waits for its end."""
        if self.process.stdin:
            self.process.stdin.close()
        deadline = time.monotonic() + DEADLINE_S
        for stream in self.buffers:
            while self._fill(stream, deadline):
                pass
        code = self.process.wait(timeout=max(deadline - time.monotonic(), 0.1))
        return Result(code, self.buffers[self.process.stdout], self.buffers[self.process.stderr])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                stream.close()


class Cli:
    """Runs the program in a directory of its own."""

    def __init__(self, root):
        self.root = root
        self.pools = root / "pools"
        self.home = root / "home"
        self.home.mkdir()
        self.running = []
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "TERM": "xterm-256color",
        }
        for name in ("LD_LIBRARY_PATH", "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "PLASMITE_MODULES"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def path(self, name):
        return self.pools / f"{name}.plasmite"

    def _args(self, args, with_dir):
        start = [BIN, "--dir", str(self.pools)] if with_dir else [BIN]
        return start + [str(arg) for arg in args]

    def run(self, *args, stdin=b"", with_dir=True, env=None, cwd=None, **popen):
        """Runs to the end. stdin: bytes, a file, or None for /dev/null."""
        given = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
        done = subprocess.run(
            self._args(args, with_dir),
            env={**self.env, **(env or {})},
            cwd=cwd or self.root,
            stdout=popen.pop("stdout", subprocess.PIPE),
            stderr=popen.pop("stderr", subprocess.PIPE),
            timeout=popen.pop("timeout", 60),
            **given,
            **popen,
        )
        return Result(done.returncode, done.stdout or b"", done.stderr or b"")

    def bare(self, *args, **kwargs):
        """Without --dir."""
        return self.run(*args, with_dir=False, **kwargs)

    def start(self, *args, stdin=subprocess.DEVNULL, with_dir=True, env=None):
        running = Running(
            self._args(args, with_dir), {**self.env, **(env or {})}, stdin, self.root
        )
        self.running.append(running)
        return running

    def follow_live(self, pool, *args):
        """A follower of new messages that is known to be in place: it has printed the message
        that was fed to find out."""
        follower = self.start("follow", pool, "--jsonl", *args)
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            self.run("feed", pool, '{"probe":true}').ok()
            ready, _, _ = select.select([follower.process.stdout], [], [], 0.05)
            if ready:
                while True:
                    follower.line()
                    if follower.quiet():
                        return follower
        raise AssertionError("the follower does not follow")

    def tty(self, *args, streams=("stdin", "stdout", "stderr"), stdin=b"", typed=None,
            with_dir=True, env=None):
        """Runs with the named streams on a terminal; the others are pipes. The terminal's output
        is the result's stdout if that is one of them, else its stderr."""
        master, slave = pty.openpty()
        streams_of = {
            "stdin": slave if "stdin" in streams else subprocess.PIPE,
            "stdout": slave if "stdout" in streams else subprocess.PIPE,
            "stderr": slave if "stderr" in streams else subprocess.PIPE,
        }
        process = subprocess.Popen(
            self._args(args, with_dir), env={**self.env, **(env or {})}, cwd=self.root, **streams_of
        )
        os.close(slave)
        if typed is not None:
            os.write(master, typed)
        if process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
        screen = self.drain(master)
        rest = {name: stream.read() if stream else b"" for name, stream in
                (("out", process.stdout), ("err", process.stderr))}
        code = process.wait(timeout=DEADLINE_S)
        os.close(master)
        screen = screen.replace(b"\r\n", b"\n")
        if "stdout" in streams:
            return Result(code, screen, rest["err"])
        return Result(code, rest["out"], screen)

    @staticmethod
    def drain(master):
        """What is written to a terminal until its last writer is gone."""
        screen = b""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select([master], [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                break
            try:
                data = os.read(master, 65536)
            except OSError:  # the other end is closed
                return screen
            if data == b"":
                return screen
            screen += data
        raise AssertionError(f"the terminal stayed open: {screen!r}")

    def create(self, name="demo", *args):
        self.run("pool", "create", name, *args).ok()
        return name

    def feed(self, name, *objects, tags=()):
        """Feeds objects as JSON Lines; returns the receipts."""
        text = "".join(json.dumps(item) + "\n" for item in objects).encode()
        flags = [word for tag in tags for word in ("--tag", tag)]
        return self.run("feed", name, *flags, stdin=text).ok().lines

    def backlog(self, name, *args, tail=1000000):
        """What the pool has, as JSON objects."""
        done = self.run("follow", name, "--tail", tail, "--replay", "0", "--jsonl", *args).ok()
        return done.lines

    def data(self, name, *args):
        return [message["data"] for message in self.backlog(name, *args)]


@pytest.fixture
def cli(tmp_path):
    made = Cli(tmp_path)
    yield made
    for running in made.running:
        running.kill()


@pytest.fixture
def demo(cli):
    """A pool "demo" with three messages."""
    cli.create("demo")
    cli.feed("demo", {"n": 1}, {"n": 2})
    cli.feed("demo", {"n": 3}, tags=["a", "b"])
    return cli
