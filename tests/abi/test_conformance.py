"""The runner of manifests over the C interface: what it accepts, and what it says otherwise."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLSM_BUILD", ROOT / "build")).resolve()
RUNNER = BUILD / "plasmite-conformance"
PROGRAM = BUILD / "plasmite"
MANIFESTS = sorted((ROOT / "conformance").glob("*.json"))

CREATE = {"op": "create_pool", "pool": "a"}
MISSING = {"op": "get", "pool": "none", "input": {"seq": 1}}
TAIL = {"op": "tail", "pool": "a", "input": {"since_seq": 1, "max": 2}}


def append(data, *tags, **expect):
    return {"op": "append", "pool": "a", "input": {"data": data, "tags": [*tags]}, "expect": expect}


def get(seq, **expect):
    return {"op": "get", "pool": "a", "input": {"seq": seq}, "expect": expect}


def run(*arguments, program=PROGRAM):
    environment = {**os.environ, "PLASMITE_BIN": str(program)}
    if program is None:
        del environment["PLASMITE_BIN"]
    return subprocess.run(
        [RUNNER, *arguments], capture_output=True, text=True, env=environment, timeout=120
    )


@pytest.fixture
def manifest(tmp_path):
    """Writes a manifest, or a text that is none, and returns its path."""

    def write(steps=(), **fields):
        path = tmp_path / "conformance" / "test.json"
        path.parent.mkdir(exist_ok=True)
        whole = {"conformance_version": 0, "steps": steps, **fields}
        path.write_text(json.dumps(whole))
        return path

    return write


def assert_silent(done):
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def assert_fails(done, reason):
    """One line, which begins with the step and has the reason."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    step, _, words = reason.rpartition(" ... ")
    assert done.stderr.startswith(step or words), done.stderr
    assert words in done.stderr


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_manifest(tmp_path, path):
    copy = shutil.copy(path, tmp_path)
    assert_silent(run(copy))
    assert_silent(run(copy))  # begins with an empty directory again


def test_the_five_manifests_are_there():
    names = {path.name.removesuffix("-v0.json") for path in MANIFESTS}
    assert names >= {"sample", "negative", "multiprocess", "pool-admin", "retention-gap"}


# What is the same -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, wanted",
    [
        ('{"a":1,"b":{"c":[],"d":null}}', '{"b":{"d":null,"c":[]},"a":1}'),
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":1e2}', '{"a":100}'),
        ('{"a":-0}', '{"a":0}'),
        ('{"a":9007199254740993}', '{"a":9007199254740993}'),
        ('{"a":"\\u00e9"}', '{"\\u0061":"é"}'),
        ('{"a":1,"a":2}', '{"a":2}'),
    ],
)
def test_same_json(manifest, data, wanted):
    path = manifest([CREATE, append("DATA"), get(1, data="WANTED", tags=[])])
    text = path.read_text().replace('"DATA"', data).replace('"WANTED"', wanted)
    path.write_text(text)
    assert_silent(run(path))


@pytest.mark.parametrize(
    "data, wanted",
    [
        ('{"a":1}', '{"a":2}'),
        ('{"a":9007199254740993}', '{"a":9007199254740992}'),
        ('{"a":1}', '{"a":"1"}'),
        ('{"a":1}', '{"a":true}'),
        ('{"a":null}', "{}"),
        ("{}", '{"a":null}'),
        ('{"a":[1,2]}', '{"a":[2,1]}'),
        ('{"a":[1,2]}', '{"a":[1]}'),
        ('{"a":[1]}', '{"a":[1,2]}'),
        ('{"a":1,"a":2}', '{"a":1}'),
    ],
)
def test_other_json(manifest, data, wanted):
    path = manifest([CREATE, append("DATA"), get(1, data="WANTED")])
    text = path.read_text().replace('"DATA"', data).replace('"WANTED"', wanted)
    path.write_text(text)
    assert_fails(run(path), "step 2: message is not as expected: ")


def test_unordered_messages_with_and_without_tags(manifest):
    items = [{"data": {}}, {"data": {}, "tags": ["t"]}]
    tail = {**TAIL, "expect": {"messages_unordered": items}}
    assert_silent(run(manifest([CREATE, append({}, "t"), append({}), tail])))


# What fails -------------------------------------------------------------------------------------

WRONG_STEPS = {
    "unknown op": ([{"id": "x", "op": "fly"}], "step 0 (x): unknown op: fly"),
    "no op": ([CREATE, {}], "step 1: op is required"),
    "no pool": ([{"op": "get", "input": {"seq": 1}}], "step 0: get needs a pool"),
    "pool of another kind": ([{"op": "get", "pool": 1}], "step 0: pool is not a string"),
    "pool with a NUL": ([{**CREATE, "pool": "a\0b"}], "step 0: pool has a NUL in it"),
    "a name of two lines": ([{"op": "a\nb"}], "step 0: unknown op: a b"),
    "size": ([{**CREATE, "input": {"size_bytes": "1M"}}], "step 0: size_bytes is not a whole number"),
    "input": ([{**CREATE, "input": []}], "step 0: input is not an object"),
    "failure": ([{**MISSING, "id": "get"}], "step 0 (get): NotFound: ... not found"),
    "no data": ([CREATE, {"op": "append", "pool": "a"}], "step 1: input.data is required"),
    "no seq": ([CREATE, {"op": "get", "pool": "a"}], "step 1: input.seq is required"),
    "tags": ([CREATE, append({}, 1)], "step 1: a tag is not a string"),
    "seq": ([CREATE, append({}, seq=2)], "step 1: seq is 1, not 2"),
    "stored tags": ([CREATE, append({}, "a"), get(1, tags=[])], "step 2: message is not as expected"),
    "list": (
        [CREATE, {"op": "list_pools", "expect": {"names": ["a", "b"]}}],
        "step 1: expected 2 pools, got 1",
    ),
    "listed": (
        [CREATE, {"op": "list_pools", "expect": {"names": ["b"]}}],
        "step 1: pool a is not expected",
    ),
    "file_size": (
        [CREATE, {"op": "pool_info", "pool": "a", "expect": {"file_size": 1}}],
        "step 1: file_size is 1048576, not 1",
    ),
    "bounds": (
        [CREATE, {"op": "pool_info", "pool": "a", "expect": {"bounds": {"oldest": 1}}}],
        "step 1: oldest is null, not 1",
    ),
    "bounds that are not null": (
        [CREATE, append({}), {"op": "pool_info", "pool": "a", "expect": {"bounds": {"newest": None}}}],
        "step 2: newest is 1, not null",
    ),
    "delete": ([{"op": "delete_pool", "pool": "none"}], "step 0: NotFound: "),
    "damage": ([{"op": "corrupt_pool_header", "pool": "none"}], "step 0: cannot open "),
    "chmod": (
        [{"op": "chmod_path", "input": {"path": "/no/such", "mode": "600"}}],
        "step 0: chmod /no/such: ",
    ),
    "mode": (
        [{"op": "chmod_path", "input": {"path": "/no/such", "mode": "rwx"}}],
        "step 0: mode is not octal: rwx",
    ),
    "a writer that fails": (
        [{"op": "spawn_poke", "pool": "none", "input": {"messages": [{"data": {}}]}}],
        "",
    ),
    "a pool too large to be overwritten": (
        [{"op": "retention_gap", "pool": "g", "input": {"size_bytes": 1 << 27}}],
        "step 0: message 1 is never overwritten",
    ),
}


@pytest.mark.parametrize("steps, reason", WRONG_STEPS.values(), ids=WRONG_STEPS.keys())
def test_wrong_step(manifest, steps, reason):
    if reason:
        assert_fails(run(manifest(steps)), reason)
        return
    done = run(manifest(steps))  # the writer has words of its own, before the runner's
    assert done.returncode == 1
    assert done.stderr.endswith("step 0: a writer ended with 3\n")


WRONG_ERRORS = {
    "it succeeded": (CREATE, {"kind": "Busy"}, "expected Busy, but it succeeded"),
    "kind": (MISSING, {"kind": "Corrupt"}, "expected Corrupt, got NotFound: "),
    "no kind": (MISSING, {}, "expect.error.kind is required"),
    "message": (
        MISSING,
        {"kind": "NotFound", "message_contains": "gone"},
        'expected a message with "gone", got "',
    ),
    "path": (MISSING, {"kind": "NotFound", "has_path": False}, "expected has_path to be false"),
    "seq": (MISSING, {"kind": "NotFound", "has_seq": True}, "expected has_seq to be true"),
    "offset": (MISSING, {"kind": "NotFound", "has_offset": True}, "expected has_offset to be true"),
    "number": (MISSING, {"kind": "NotFound", "has_seq": 0}, "has_seq is not a boolean"),
    "text": (MISSING, "NotFound", "error is not an object"),
    "what the step lacks": ({"op": "get", "pool": "a"}, {"kind": "Usage"}, "input.seq is required"),
}


@pytest.mark.parametrize("step, error, reason", WRONG_ERRORS.values(), ids=WRONG_ERRORS.keys())
def test_wrong_error(manifest, step, error, reason):
    assert_fails(run(manifest([{**step, "expect": {"error": error}}])), f"step 0: {reason}")


ONE, TWO = {"data": {"n": 1}}, {"data": {"n": 2}}
EITHER = "expect needs either messages or messages_unordered"
WRONG_TAILS = {
    "no list": ({}, EITHER),
    "two lists": ({"messages": [ONE, TWO], "messages_unordered": [ONE, TWO]}, EITHER),
    "no array": ({"messages": {}}, "the messages to expect are not an array"),
    "no data": ({"messages": [ONE, {"tags": []}]}, "a message to expect has no data"),
    "order": ({"messages": [TWO, ONE]}, 'message is not as expected: {"seq":1,'),
    "too few": ({"messages": [ONE]}, "more than 1 messages"),
    "too many": ({"messages": [ONE, TWO, TWO]}, "expected 3 messages, got 2"),
    "twice": ({"messages_unordered": [TWO, TWO]}, 'message is not expected: {"seq":1,'),
    "tags": ({"messages": [ONE, {**TWO, "tags": ["t"]}]}, 'message is not as expected: {"seq":2,'),
}


@pytest.mark.parametrize("expect, reason", WRONG_TAILS.values(), ids=WRONG_TAILS.keys())
def test_wrong_tail(manifest, expect, reason):
    steps = [CREATE, append({"n": 1}), append({"n": 2}), {**TAIL, "expect": expect}]
    assert_fails(run(manifest(steps)), f"step 3: {reason}")


def test_tail_that_fails(manifest):
    damage = {"op": "corrupt_pool_header", "pool": "a"}
    error = {"kind": "Corrupt", "has_path": True}
    assert_silent(run(manifest([CREATE, damage, {**TAIL, "expect": {"error": error}}])))


def test_tail_ends_when_nothing_comes(manifest):
    path = manifest([CREATE, append({}), {**TAIL, "expect": {"messages": [{"data": {}}]}}])
    assert_silent(run(path))


# The manifest and its surroundings ----------------------------------------------------------------


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"conformance_version": 1}, "unsupported conformance_version: 1\n"),
        ({"conformance_version": None}, "unsupported conformance_version: null\n"),
        ({"steps": {}}, "steps is not an array\n"),
        ({"workdir": 1}, "workdir is not a string\n"),
        ({"workdir": "."}, "workdir has to lie below the manifest's folder: .\n"),
        ({"workdir": "a/../.."}, "workdir has to lie below the manifest's folder: a/../..\n"),
        ({"workdir": "/tmp"}, "workdir has to lie below the manifest's folder: /tmp\n"),
        ({"workdir": ""}, "workdir has to lie below the manifest's folder: \n"),
    ],
)
def test_wrong_manifest(manifest, fields, reason):
    path = manifest(**fields)
    assert_fails(run(path), reason)
    assert path.exists()


def test_no_version(manifest):
    path = manifest()
    path.write_text("{}")
    assert_fails(run(path), "conformance_version is required\n")


def test_no_json(manifest):
    path = manifest()
    path.write_text('{"conformance_version": 0,\n}')
    assert_fails(run(path), f"{path} is not JSON: line 2, column 1: ")


def test_no_file(tmp_path):
    missing = tmp_path / "none.json"
    assert_fails(run(missing), f"cannot open {missing}: No such file or directory\n")
    assert_fails(run(tmp_path), f"cannot read {tmp_path}\n")


@pytest.mark.parametrize("count", [0, 2])
def test_usage(manifest, count):
    reason = "usage: plasmite-conformance <path/to/manifest.json>\n"
    assert_fails(run(*[manifest()] * count), reason)


def test_workdir_is_made_anew(manifest):
    path = manifest([CREATE], workdir="deep/work")
    old = path.parent / "deep/work/old/file"
    old.parent.mkdir(parents=True)
    old.touch()
    assert_silent(run(path))
    assert [file.name for file in (path.parent / "deep/work").iterdir()] == ["a.plasmite"]


def test_manifest_beside_the_working_directory(manifest, monkeypatch):
    path = manifest([CREATE])
    monkeypatch.chdir(path.parent)
    assert_silent(run(path.name))
    assert (path.parent / "work/a.plasmite").exists()


def test_chmod(manifest, tmp_path):
    file = tmp_path / "file"
    file.touch()
    step = {"op": "chmod_path", "input": {"path": str(file), "mode": "0640"}}
    assert_silent(run(manifest([step])))
    assert file.stat().st_mode & 0o7777 == 0o640


POKE = {"op": "spawn_poke", "pool": "a", "input": {"messages": [{"data": {"k": 1}, "tags": ["t"]}]}}


@pytest.mark.parametrize("built", ["target/debug/plasmite", "build/plasmite"])
def test_program_of_the_tree(manifest, tmp_path, built):
    path = manifest([CREATE, POKE, get(1, data={"k": 1}, tags=["t"])])
    program = tmp_path / built
    program.parent.mkdir(parents=True)
    program.symlink_to(PROGRAM)
    assert_silent(run(path, program=None))


def test_no_program(manifest):
    path = manifest([CREATE, POKE])
    reason = "step 1: PLASMITE_BIN is not set, and no built plasmite was found\n"
    assert_fails(run(path, program=None), reason)
    assert_fails(run(path, program="/no/such"), "step 1: cannot start /no/such: ")
