#!/usr/bin/env python3
"""Runs a conformance manifest through the Python package.

usage: plasmite-conformance <path/to/manifest.json>

PLASMITE_BIN names the program that `spawn_poke` and `pool_info` run.

A manifest may name any file as a pool, but is not to destroy what it found: pools that neither
lie in its work directory nor were made by it are not deleted or overwritten, and files outside of
its folder get no other mode.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import plasmite  # noqa: E402
from plasmite import Client, ErrorKind, Pool, PlasmiteError  # noqa: E402

TAIL_MS = 500
APPENDS_MAX = 10_000

KIND_NAMES = {
    kind: "".join(word.capitalize() for word in kind.name.split("_")) for kind in ErrorKind
}
KINDS = {name: kind for kind, name in KIND_NAMES.items()}


class Unmet(Exception):
    """An expectation was not met."""


def require(sound: bool, what: str) -> None:
    if not sound:
        raise Unmet(what)


class Runner:
    def __init__(self, manifest: Path) -> None:
        document = json.loads(manifest.read_text(encoding="utf-8"))
        require(isinstance(document, dict), "the manifest is not an object")
        version = document.get("conformance_version")
        require(version == 0, f"unsupported conformance_version: {version}")
        steps = document.get("steps")
        require(isinstance(steps, list), "steps is not an array")
        self.steps: list[Any] = steps
        self.folder = manifest.resolve().parent
        self.root = self.folder.parent
        self.created: set[Path] = set()  # pools, without links
        self.workdir = make_workdir(self.folder, document.get("workdir", "work"))
        self.client = Client(self.workdir)

    def run(self) -> None:
        for index, step in enumerate(self.steps):
            name = f" ({step['id']})" if isinstance(step, dict) and step.get("id") else ""
            try:
                self.run_step(step)
            except Exception as problem:
                raise Unmet(f"step {index}{name}: {problem}") from problem

    def run_step(self, step: dict[str, Any]) -> None:
        require(isinstance(step, dict) and "op" in step, "a step is an object with an op")
        operation = OPERATIONS.get(step["op"])
        require(operation is not None, f"unknown op: {step['op']}")
        assert operation is not None
        if operation is not Runner.chmod_path and operation is not Runner.list_pools:
            require(isinstance(step.get("pool"), str), "pool is required")
        expect = step.get("expect") or {}
        wanted = expect.get("error")
        try:
            operation(self, step, step.get("input") or {}, expect)
        except (PlasmiteError, TypeError, ValueError) as error:
            if wanted is None:
                raise
            check_error(error, wanted)
        else:
            require(wanted is None, f"expected {wanted}, but it succeeded")

    # What steps have in common

    def open(self, step: dict[str, Any]) -> Pool:
        return self.client.open_pool(step["pool"])

    def create(self, reference: str, size_bytes: int) -> Pool:
        pool = self.client.create_pool(reference, size_bytes)
        self.created.add(self.path(reference).resolve())
        return pool

    def path(self, reference: str) -> Path:
        """The file of a pool."""
        if "/" in reference:
            return Path(reference)
        return self.workdir / f"{reference.removesuffix('.plasmite')}.plasmite"

    def may_harm(self, path: Path, folder: Path) -> Path:
        real = path.resolve()
        ours = folder == real or folder in real.parents or real in self.created
        require(ours, f"{path} is not in {folder}")
        return path

    def command(self, *words: str, pool: dict[str, Any]) -> list[str]:
        """Runs the program on the step's pool."""
        reference: str = pool["pool"]
        plain = "://" not in reference and not reference.startswith("-")
        require(plain, f"neither a name nor a path of a pool: {reference}")
        return [self.program(), "--dir", str(self.workdir), *words, reference]

    def program(self) -> str:
        named = os.environ.get("PLASMITE_BIN")
        program = Path(named) if named else self.root / "target/debug/plasmite"
        require(program.exists(), "set PLASMITE_BIN to the plasmite program")
        return str(program)

    # Operations

    def create_pool(self, step: Any, given: Any, expect: Any) -> None:
        self.create(step["pool"], given.get("size_bytes", 1048576)).close()

    def append(self, step: Any, given: Any, expect: Any) -> None:
        with self.open(step) as pool:
            message = pool.append(given["data"], given.get("tags") or [])
        if "seq" in expect:
            require(message.seq == expect["seq"], f"seq {message.seq}, not {expect['seq']}")

    def get(self, step: Any, given: Any, expect: Any) -> None:
        with self.open(step) as pool:
            message = pool.get(given["seq"])
        check_message(message, expect)

    def tail(self, step: Any, given: Any, expect: Any) -> None:
        ordered, unordered = expect.get("messages"), expect.get("messages_unordered")
        failure = "error" in expect
        require(
            failure or (ordered is None) != (unordered is None),
            "exactly one of messages and messages_unordered is needed",
        )
        with self.open(step) as pool:
            found = list(pool.tail(given.get("since_seq"), given.get("max"), TAIL_MS))
        seqs = [message.seq for message in found]
        require(seqs == sorted(set(seqs)), f"seqs do not rise: {seqs}")
        check_messages(found, ordered if unordered is None else unordered, unordered is None)

    def list_pools(self, step: Any, given: Any, expect: Any) -> None:
        names = sorted(file.stem for file in self.workdir.glob("*.plasmite"))
        wanted = sorted(expect.get("names", names))
        require(names == wanted, f"pools {names}, not {wanted}")

    def pool_info(self, step: Any, given: Any, expect: Any) -> None:
        command = self.command("pool", "info", pool=step)
        done = subprocess.run([*command, "--json"], capture_output=True, text=True)
        if done.returncode != 0:
            raise self.program_error(json.loads(done.stderr)["error"], step)
        info = json.loads(done.stdout)
        for field in ("file_size", "ring_size"):
            if field in expect:
                require(info[field] == expect[field], f"{field} {info[field]}")
        bounds = info.get("bounds") or {}
        for end, wanted in (expect.get("bounds") or {}).items():
            require(bounds.get(end) == wanted, f"bounds {bounds}, not {expect['bounds']}")

    def program_error(self, error: dict[str, Any], step: Any) -> PlasmiteError:
        kind = KINDS.get(error["kind"], ErrorKind.INTERNAL)
        path = error.get("path")
        if path is None and kind == ErrorKind.NOT_FOUND:
            path = str(self.path(step["pool"]))
        facts = (error["message"], path, error.get("seq"), error.get("offset"))
        return plasmite._ERROR_KIND_TO_CLASS[kind](kind, *facts)

    def delete_pool(self, step: Any, given: Any, expect: Any) -> None:
        path = self.path(step["pool"])
        if os.path.lexists(path):
            self.may_harm(path, self.workdir)
        try:
            path.unlink()
        except FileNotFoundError:
            raise plasmite.NotFoundError(ErrorKind.NOT_FOUND, "not found", str(path)) from None

    def spawn_poke(self, step: Any, given: Any, expect: Any) -> None:
        command = self.command("feed", pool=step)
        running = []
        for message in given["messages"]:
            tags = [word for tag in message.get("tags") or [] for word in ("--tag", tag)]
            running.append(subprocess.Popen([*command, json.dumps(message["data"]), *tags]))
        codes = [process.wait() for process in running]
        require(not any(codes), f"feed ended with {codes}")

    def corrupt_pool_header(self, step: Any, given: Any, expect: Any) -> None:
        self.may_harm(self.path(step["pool"]), self.workdir).write_bytes(b"NOPE")

    def chmod_path(self, step: Any, given: Any, expect: Any) -> None:
        require(os.name == "posix", "chmod_path needs a POSIX system")
        os.chmod(self.may_harm(Path(given["path"]), self.folder), int(given["mode"], 8))

    def retention_gap(self, step: Any, given: Any, expect: Any) -> None:
        size = given.get("size_bytes", 65536)
        with self.create(f"{step['pool']}-stale", size) as pool:
            gap_before_start(pool)
        with self.create(f"{step['pool']}-established", size) as pool:
            gap_under_way(pool)


def make_workdir(folder: Path, name: str) -> Path:
    """An empty folder below this one: whatever is in it is deleted."""
    parts = name.split("/")
    require(
        not any(part in ("", ".", "..") for part in parts)
        and folder in (folder / name).resolve().parents,
        f"workdir has to lie below the manifest's folder: {name}",
    )
    workdir = folder / name
    shutil.rmtree(workdir, ignore_errors=True)
    workdir.mkdir(parents=True)
    return workdir


def fill_past(pool: Pool, seq: int) -> None:
    """Appends until the message is overwritten."""
    for i in range(APPENDS_MAX):
        pool.append({"i": i, "padding": "x" * 4096})
        try:
            pool.get(seq)
        except plasmite.NotFoundError:
            return
    raise Unmet(f"message {seq} is still there")


def expect_gap(take: Callable[[], object], seq: int) -> None:
    try:
        taken = take()
    except plasmite.RetentionGapError as gap:
        require(gap.seq == seq, f"the gap begins with {gap.seq}, not {seq}")
    else:
        raise Unmet(f"no gap, but {taken!r}")


def gap_before_start(pool: Pool) -> None:
    first = pool.append({"kind": "first"}).seq
    fill_past(pool, first)
    later = next(pool.tail(first, 1, TAIL_MS), None)
    require(later is not None and later.seq > first, "nothing behind the gap")
    tail = pool.tail(first, timeout_ms=TAIL_MS, tags=["never"], error_on_gap=True)
    expect_gap(lambda: next(tail), first)
    require(next(tail, None) is None, "the tail goes on behind the gap")


def gap_under_way(pool: Pool) -> None:
    wanted = [pool.append({"kind": kind}).seq for kind in ("seed", "second")]
    with pool.open_stream(wanted[0], None, 10 * TAIL_MS, True) as stream:
        taken = [plasmite.parse_message(stream.next_json() or b"").seq for _ in wanted]
        require(taken == wanted, f"seqs {taken}, not {wanted}")
        missed = pool.append({"kind": "first-missing"}).seq
        fill_past(pool, missed)
        expect_gap(stream.next_json, missed)


def check_message(message: plasmite.Message, wanted: dict[str, Any]) -> None:
    if "data" in wanted:
        require(message.data == wanted["data"], f"data {message.data}, not {wanted['data']}")
    if "tags" in wanted:
        require(message.tags == wanted["tags"], f"tags {message.tags}, not {wanted['tags']}")


def check_messages(found: list[plasmite.Message], wanted: Any, ordered: bool) -> None:
    require(len(found) == len(wanted), f"{len(found)} messages, not {len(wanted)}")
    if ordered:
        for message, one in zip(found, wanted):
            check_message(message, one)
        return
    rest = list(wanted)
    for message in found:
        fitting = [one for one in rest if fits(message, one)]
        require(fitting != [], f"unexpected message: {message.data}")
        rest.remove(fitting[0])


def fits(message: plasmite.Message, wanted: dict[str, Any]) -> bool:
    try:
        check_message(message, wanted)
    except Unmet:
        return False
    return True


def check_error(error: Exception, wanted: dict[str, Any]) -> None:
    """TypeError and ValueError are what the package makes of wrong arguments."""
    kind = KIND_NAMES[error.kind] if isinstance(error, PlasmiteError) else "Usage"
    require(wanted.get("kind") in KINDS, f"no kind of error: {wanted.get('kind')}")
    require(kind == wanted["kind"], f"{kind} ({error}), not {wanted['kind']}")
    part = wanted.get("message_contains", "")
    require(part in str(error), f"message {str(error)!r} without {part!r}")
    for fact in ("path", "seq", "offset"):
        has = getattr(error, fact, None) is not None
        require(has == wanted.get(f"has_{fact}", has), f"has_{fact} is {has} ({error})")


OPERATIONS: dict[str, Callable[[Runner, Any, Any, Any], None]] = {
    "create_pool": Runner.create_pool,
    "append": Runner.append,
    "get": Runner.get,
    "fetch": Runner.get,
    "tail": Runner.tail,
    "list_pools": Runner.list_pools,
    "pool_info": Runner.pool_info,
    "delete_pool": Runner.delete_pool,
    "spawn_poke": Runner.spawn_poke,
    "corrupt_pool_header": Runner.corrupt_pool_header,
    "chmod_path": Runner.chmod_path,
    "retention_gap": Runner.retention_gap,
}


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: plasmite-conformance <path/to/manifest.json>", file=sys.stderr)
        return 1
    try:
        Runner(Path(sys.argv[1])).run()
    except Exception as problem:
        print(" ".join(str(problem).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
