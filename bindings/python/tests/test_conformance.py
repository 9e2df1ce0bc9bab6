"""The conformance runner: what it accepts, what it says, and where it stays."""

import json
import os
import shutil
import stat
import subprocess
import sys

import pytest

from conftest import PACKAGE_ROOT, REPOSITORY

RUNNER = PACKAGE_ROOT / "cmd" / "plasmite_conformance.py"
MANIFESTS = sorted((REPOSITORY / "conformance").glob("*.json"))


def run(file, cwd=None):
    """Programs that it runs write to its standard output."""
    done = subprocess.run([sys.executable, RUNNER, file], capture_output=True, text=True, cwd=cwd)
    return done.returncode, done.stderr


@pytest.fixture
def run_steps(tmp_path):
    """Runs steps in a folder of their own, from the folder above; gives what was said."""

    def run_steps(*steps, **fields):
        file = tmp_path / "m" / "manifest.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"conformance_version": 0, "steps": steps, **fields}))
        code, said = run(file, tmp_path)
        assert (code, said.count("\n")) in ((0, 0), (1, 1))
        return said.rstrip("\n")

    return run_steps


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_conformance(manifest, tmp_path):
    copy = tmp_path / "conformance" / manifest.name
    copy.parent.mkdir()
    shutil.copy(manifest, copy)
    for _ in range(2):
        assert run(copy) == (0, "")


def make(pool, **fields):
    return {"op": "create_pool", "pool": pool, **fields}


def step(op, pool, expect=None, **given):
    return {"op": op, "pool": pool, "input": given, "expect": expect or {}}


def failing(kind, **facts):
    return {"error": {"kind": kind, **facts}}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([{"op": "fly"}], "step 0: unknown op: fly"),
        ([{"id": "x"}], "step 0 (x): a step is an object with an op"),
        (["append"], "step 0: a step is an object with an op"),
        ([{"op": "append"}], "step 0: pool is required"),
        (
            [make("a"), {"id": "x", **step("append", "a", {"seq": 2}, data={})}],
            "step 1 (x): seq 1, not 2",
        ),
        (
            [step("get", "a", failing("Corrupt"), seq=1)],
            "step 0: NotFound (not found), not Corrupt",
        ),
        ([step("get", "a", failing("Odd"), seq=1)], "step 0: no kind of error: Odd"),
        (
            [step("get", "a", failing("NotFound", has_path=False), seq=1)],
            "step 0: has_path is True (not found)",
        ),
        ([make("a", expect=failing("Io"))], "step 0: expected {'kind': 'Io'}, but it succeeded"),
        ([make("a"), step("tail", "a")], "step 1: exactly one of messages and messages_unordered"),
    ],
)
def test_it_says_what_is_wrong(run_steps, steps, said):
    assert run_steps(*steps).startswith(said)


def test_manifests_that_are_none(tmp_path, run_steps):
    file = tmp_path / "manifest.json"
    for text, said in (
        ("[]", "the manifest is not an object"),
        ("{}", "unsupported conformance_version: None"),
        ('{"conformance_version": 1, "steps": []}', "unsupported conformance_version: 1"),
        ('{"conformance_version": 0}', "steps is not an array"),
    ):
        file.write_text(text)
        assert run(file) == (1, said + "\n")
    assert run(tmp_path / "none.json")[0] == 1
    usage = subprocess.run([sys.executable, RUNNER], capture_output=True, text=True)
    assert (usage.returncode, usage.stderr[:7]) == (1, "usage: ")
    assert run_steps() == ""


def test_arguments_that_the_package_refuses_are_usage_errors(run_steps):
    assert run_steps(
        make("", expect=failing("Usage")),
        make("http://x/y", expect=failing("Usage", has_seq=False)),
        make("a"),
        step("get", "a", failing("Usage"), seq=-1),
        step("append", "a", failing("Usage"), data="text"),
        step("get", "http://x/y", failing("Usage"), seq=1),
    ) == ""


# It destroys nothing that is not its own -----------------------------------------------------------


@pytest.mark.parametrize("workdir", ["..", "../x", "a/../..", "", ".", "/tmp/x", "a//b", "link", "link/x"])
def test_a_work_directory_lies_below_the_manifest(tmp_path, run_steps, workdir):
    kept = tmp_path / "elsewhere" / "x" / "kept"
    kept.parent.mkdir(parents=True)
    kept.touch()
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "link").symlink_to(tmp_path / "elsewhere")
    said = run_steps(workdir=workdir)
    assert said == f"workdir has to lie below the manifest's folder: {workdir}".rstrip()
    assert kept.exists()


def test_a_work_directory_is_made_anew(tmp_path, run_steps):
    old = tmp_path / "m" / "deep" / "er" / "old"
    old.parent.mkdir(parents=True)
    old.touch()
    assert run_steps(make("a"), workdir="deep/er") == ""
    assert os.listdir(old.parent) == ["a.plasmite"]


def test_paths_that_stay(tmp_path, run_steps):
    inside = tmp_path / "m" / "work" / "deep" / "a.plasmite"
    relative = "m/work/deep/../deep/a.plasmite"
    assert run_steps(
        make(str(inside)),
        step("append", relative, {"seq": 1}, data={"n": 1}),
        step("get", str(inside), {"data": {"n": 1}}, seq=1),
        step("spawn_poke", relative, messages=[{"data": {"n": 2}}]),
        step("tail", relative, {"messages": [{"data": {"n": 1}}, {"data": {"n": 2}}]}, max=2),
        step("pool_info", relative, {"bounds": {"oldest": 1, "newest": 2}}),
        {"op": "chmod_path", "input": {"path": relative, "mode": "0640"}},
    ) == ""
    assert stat.S_IMODE(inside.stat().st_mode) == 0o640
    assert run_steps(make(str(inside)), step("delete_pool", relative)) == ""
    assert not inside.exists()


def test_pools_may_be_anywhere(tmp_path, run_steps):
    elsewhere = tmp_path / "elsewhere" / "a.pool"
    relative = "m/work/../../elsewhere/a.pool"
    assert run_steps(
        make(str(elsewhere)),
        step("append", relative, {"seq": 1}, data={"n": 1}),
        step("spawn_poke", str(elsewhere), messages=[{"data": {"n": 2}}]),
        step("tail", relative, {"messages": [{"data": {"n": 1}}, {"data": {"n": 2}}]}, max=2),
        step("pool_info", str(elsewhere), {"bounds": {"oldest": 1, "newest": 2}}),
        {"op": "chmod_path", "input": {"path": relative, "mode": "0640"}},
        step("corrupt_pool_header", relative),
        step("get", str(elsewhere), failing("Corrupt", has_path=True), seq=1),
        step("delete_pool", str(elsewhere)),
        step("retention_gap", f"{tmp_path}/elsewhere/gap"),
    ) == ""
    assert sorted(os.listdir(elsewhere.parent)) == ["gap-established", "gap-stale"]


@pytest.mark.parametrize("op", ["delete_pool", "corrupt_pool_header"])
def test_pools_of_others_are_not_destroyed(tmp_path, run_steps, op):
    from plasmite import Client

    with Client(tmp_path) as client, client.create_pool("a") as pool:
        pool.append({"n": 1})
    before = (tmp_path / "a.plasmite").read_bytes()
    (tmp_path / "m" / "work").mkdir(parents=True)
    for path in (str(tmp_path / "a.plasmite"), "./a.plasmite", "m/work/../../a.plasmite"):
        said = run_steps(step(op, path))
        assert said.startswith("step 0: ") and said.endswith(f" is not in {tmp_path / 'm' / 'work'}")
    assert (tmp_path / "a.plasmite").read_bytes() == before


def test_no_mode_is_changed_outside(tmp_path, run_steps):
    file = tmp_path / "file"
    file.touch(0o644)
    for path in (str(file), "file", "m/work/../../file"):
        said = run_steps({"op": "chmod_path", "input": {"path": path, "mode": "0777"}})
        assert said == f"step 0: {path} is not in {tmp_path / 'm'}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_what_is_nowhere_is_missed(run_steps, tmp_path):
    missing = failing("NotFound", has_path=True, has_seq=False)
    for path in (str(tmp_path / "none" / "a.plasmite"), "../none.plasmite"):
        assert run_steps(
            step("get", path, missing, seq=1),
            step("append", path, missing, data={}),
            step("delete_pool", path, missing),
            step("pool_info", path, missing),
        ) == ""


@pytest.mark.parametrize("pool", ["--dir=elsewhere", "-h", "http://localhost:1/a"])
def test_the_program_gets_pools_alone(run_steps, pool):
    for op, given in (("pool_info", {}), ("spawn_poke", {"messages": [{"data": {}}]})):
        said = run_steps(step(op, pool, **given))
        assert said == f"step 0: neither a name nor a path of a pool: {pool}"
