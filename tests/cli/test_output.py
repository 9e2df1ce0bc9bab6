"""What every command prints alike: JSON in its two layouts, colour, errors and their hints, exit codes."""

import json
import re
import shutil
import subprocess

import pytest

from conftest import BIN

KINDS = {"Internal": 1, "Usage": 2, "NotFound": 3, "AlreadyExists": 4, "Busy": 5, "Permission": 6, "Corrupt": 7,
         "Io": 8, "RetentionGap": 9}
COLOUR = re.compile(r"\x1b\[(\d+)m(.*?)\x1b\[0m")

DOCUMENTS = {
    "pool create": ["pool", "create", "new", "--json"], "pool info": ["pool", "info", "demo", "--json"],
    "pool list": ["pool", "list", "--json"], "pool delete": ["pool", "delete", "demo", "nope", "--json"],
    "doctor": ["doctor", "demo", "--json"], "fetch": ["fetch", "demo", "3"], "version": ["version"],
    "feed": ["feed", "demo", "--tag", "x", '{"n":4}'],
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_in_a_pipe_are_one_line(demo, name):
    for colour in ([], ["--color", "never"], ["--color", "auto"]):
        done = demo.bare(*colour, "--dir", demo.pools, *DOCUMENTS[name])
        if name == "pool create":
            demo.path("new").unlink()
        if name == "pool delete":
            demo.create("demo")
        assert done.err == b"" and b"\x1b" not in done.out and done.json
        assert done.out.endswith(b"\n") and done.out.count(b"\n") == 1
        assert not re.search(rb'[,:{\[] ', re.sub(rb'"(\\.|[^"\\])*"', b'""', done.out))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_pretty_where_colour_is_wanted(demo, name):
    done = demo.bare("--color", "always", "--dir", demo.pools, *DOCUMENTS[name])
    text = done.text
    assert done.err == b"" and text.endswith("\n")
    plain = COLOUR.sub(lambda match: match[2], text)
    assert "\x1b" not in plain
    assert plain == json.dumps(json.loads(plain), indent=2, ensure_ascii=False) + "\n"
    for line in text.splitlines():
        assert re.fullmatch(r" *(\x1b\[\d+m[^\x1b]*\x1b\[0m ?)+", line), line


def test_colours_of_tokens(cli):
    cli.run("feed", "a", "--create", '{"s":"x","n":-1.5e3,"t":true,"f":false,"z":null,"a":[],"o":{}}').ok()
    text = cli.bare("--color", "always", "--dir", cli.pools, "fetch", "a", "1").ok().text
    for key, token, number in (("s", '"x"', 32), ("n", "-1.5e3", 33), ("t", "true", 35), ("f", "false", 35),
                               ("z", "null", 39)):
        assert f'    \x1b[36m"{key}"\x1b[0m\x1b[39m:\x1b[0m \x1b[{number}m{token}\x1b[0m\x1b[39m,\x1b[0m\n' in text
    assert '\x1b[36m"a"\x1b[0m\x1b[39m:\x1b[0m \x1b[39m[\x1b[0m\x1b[39m]\x1b[0m\x1b[39m,\x1b[0m\n' in text
    assert '\x1b[36m"o"\x1b[0m\x1b[39m:\x1b[0m \x1b[39m{\x1b[0m\x1b[39m}\x1b[0m\n' in text


def test_pretty_data_keeps_its_text(cli):
    cli.run("feed", "a", "--create", '{"b":1E5,"a":-0,"a":1.0,"s":"\\u0041\\/","e":{"l":[1,[ ]]}}').ok()
    text = cli.run("follow", "a", "--tail", "1", "--replay", "0", "--data-only").ok().text
    assert text == ('{\n  "b": 1E5,\n  "a": -0,\n  "a": 1.0,\n  "s": "\\u0041\\/",\n'
                    '  "e": {\n    "l": [\n      1,\n      []\n    ]\n  }\n}\n')


@pytest.mark.parametrize("flags", [[], ["--jsonl"], ["--format", "pretty"], ["--format", "jsonl"]])
def test_colour_of_messages(demo, flags):
    """Lines are never coloured; pretty messages are, where it is wanted."""
    run = lambda colour: demo.bare("--color", colour, "--dir", demo.pools, "follow", "demo", "--tail", "2",
                                   "--replay", "0", *flags).ok().text
    lines = "--jsonl" in flags or "jsonl" in flags
    assert run("never") == run("auto") == COLOUR.sub(lambda match: match[2], run("always"))
    assert ("\x1b" in run("always")) == (not lines)


def test_errors_and_notices_in_a_pipe_are_never_coloured(demo):
    for args in (["fetch", "demo", "99"], ["feed", "demo", "x"], ["follow", "nope"], ["nope"]):
        done = demo.bare("--color", "always", "--dir", demo.pools, *args)
        assert done.error and b"\x1b" not in done.err
    done = demo.bare("--color", "always", "--dir", demo.pools, "feed", "demo", "-e", "skip", stdin=b"x\n")
    assert len(done.notices) == 2 and b"\x1b" not in done.err


# --- errors

FAILURES = [
    (["fetch", "demo", "99"], "NotFound"), (["fetch", "nope", "1"], "NotFound"), (["pool", "info", "nope"], "NotFound"),
    (["feed", "nope", "{}"], "NotFound"), (["feed", "./nope", "{}"], "NotFound"), (["follow", "nope"], "NotFound"),
    (["doctor", "nope"], "NotFound"), (["pool", "create", "demo"], "AlreadyExists"),
    (["pool", "create", "a", "--size", "x"], "Usage"), (["feed", "demo", "x"], "Usage"), (["feed", "demo", "1"], "Usage"),
    (["feed", "demo", "--file", "nope"], "Io"), (["pool", "info", "bad"], "Corrupt"), (["fetch", "bad", "1"], "Corrupt"),
    (["feed", "bad", "{}"], "Corrupt"), (["feed", "bad", "--create", "{}"], "Corrupt"), (["follow", "bad"], "Corrupt"),
    (["follow", "demo", "--where", "("], "Usage"), (["follow", "demo", "--tail", "1", "--where", "1"], "Usage"),
    (["follow", "http://h/x", "--create"], "Usage"), (["doctor", "demo", "--all"], "Usage"), (["nope"], "Usage"),
    (["feed", "dir", "{}"], "Io"), (["--dir", "missing", "doctor", "--all"], "NotFound"),
]


@pytest.mark.parametrize("args,kind", FAILURES, ids=[" ".join(args) for args, _ in FAILURES])
def test_errors_are_one_json_line(demo, args, kind):
    demo.path("bad").write_bytes(b"damaged")
    demo.path("dir").mkdir()
    done = demo.run(*args, with_dir=args[0] != "--dir")
    error = done.fails(kind, KINDS[kind])
    assert done.out == b"" and list(json.loads(done.err)) == ["error"]
    assert set(error) <= {"kind", "message", "hint", "path", "seq", "offset", "causes"}
    for key in ("kind", "message", "hint", "path"):
        assert isinstance(error.get(key, "x"), str) and error.get(key, "x") != ""
    for key in ("seq", "offset"):
        assert isinstance(error.get(key, 1), int)
    assert error.get("causes", ["x"]) and all(isinstance(cause, str) and cause for cause in error.get("causes", []))


MISSING = ["No such file or directory (os error 2)"]


@pytest.mark.parametrize("args,path,fragments", [
    (["feed", "x", "{}"], "x.plasmite", ["--create", "exact command", 'plasmite feed x --create "{}"']),
    (["feed", "x", "-f", "f"], "x.plasmite", ["exact command", "plasmite feed x --create --file f"]),
    (["follow", "x"], "x.plasmite", ["--create", "exact command", "plasmite follow x --create"]),
    (["feed", "x"], "x.plasmite", ["plasmite feed <pool> --create"]),
    (["fetch", "x", "1"], "x.plasmite", ["plasmite pool create x"]),
    (["feed", "./x", "{}"], "./x", ["path was not found", "--dir", "--create"]),
    (["feed", "d/x"], "d/x", ["path was not found", "--dir"]),
    (["follow", "./x"], "./x", ["path was not found", "--dir"]), (["fetch", "d/x", "1"], "d/x", ["path was not found", "--dir"]),
    (["follow", "x", "--create", "--jsonl", "--format", "jsonl"], None, ["--format jsonl", "--jsonl"]),
])
def test_hints_of_missing_pools(cli, args, path, fragments):
    for with_dir in (True, False):
        done = cli.run(*args, with_dir=with_dir, stdin=b"{}")
        error = done.usage() if path is None else done.fails("NotFound", 3)
        for fragment in fragments:
            assert fragment in error["hint"]
        if path is not None:
            assert error["message"] == "not found" and error["path"].endswith(path) and error["causes"] == MISSING
        assert ("exact command" in error["hint"]) == ("exact command" in fragments)


@pytest.mark.parametrize("args,exact", [
    (["--tail", "3", "--jsonl"], "--tail 3 --jsonl"), (["-n3", "--one"], "--tail 3 --one"),
    (["--replay", "0", "--since", "1h"], "--since 1h --replay 0"),
    (["--quiet-drops", "--no-notify", "--data-only"], "--data-only --quiet-drops --no-notify"),
    (["--timeout", "5s", "--format", "jsonl", "--tag", "a b", "--tag", "", "--where", ".data.a > 1", "--where", "true"],
     '--timeout 5s --format jsonl --where ".data.a > 1" --where true --tag "a b" --tag ""'),
    (["--tag", "a/b:c=d_e-f.g", "--tag", 'q"\\', "--tag", "é", "--tag", "a,b"],
     '--tag a/b:c=d_e-f.g --tag "q\\"\\\\" --tag "é" --tag "a,b"'),
])
def test_exact_commands_of_follow(cli, args, exact):
    """In one order, whatever that of the arguments was, and quoted like JSON where that is needed."""
    hint = cli.bare("follow", "x", *args).fails("NotFound", 3)["hint"]
    assert hint.endswith(f"plasmite follow x --create {exact}")
    hint = cli.bare("follow", "my pool", *args).fails("NotFound", 3)["hint"]
    assert hint.endswith(f'plasmite follow "my pool" --create {exact}')


def test_internal_errors(cli):
    """A filter for jq, and no module with jq beside the program."""
    binary = shutil.copy(BIN, cli.root / "plasmite")
    cli.run("feed", "a", "--create", '{"s":"x"}').ok()
    done = subprocess.run([binary, "--dir", cli.pools, "follow", "a", "--tail", "1", "--replay", "0",
                           "--where", '.data.s | test("^x")'],
                          env={**cli.env, "LD_LIBRARY_PATH": ""}, capture_output=True, timeout=20, check=False)
    if done.returncode == 0:
        pytest.skip("jq's module is installed on this machine")
    error = json.loads(done.stderr)["error"]
    assert done.returncode == 1 and error["kind"] == "Internal" and error["hint"]


@pytest.mark.parametrize("args", [
    ["fetch", "x", "1"], ["feed", "x", "{}"], ["follow", "x"], ["pool", "info", "x"], ["pool", "list"],
    ["pool", "delete", "x"], ["doctor", "x"], ["doctor", "--all"], ["version"], ["follow", "x", "--one", "--timeout", "1ms"],
])
def test_only_creation_makes_the_directory(cli, args):
    cli.run(*args)
    cli.bare(*args)
    assert not cli.pools.exists() and not (cli.home / ".plasmite").exists()


@pytest.mark.parametrize("args", [
    ["pool", "create", "x"], ["feed", "x", "--create", "{}"], ["follow", "x", "--create", "--timeout", "0ms"],
])
def test_creation_makes_private_directories(cli, args):
    code = cli.bare("--dir", "a/b/c", *args).code
    assert code in (0, 124)
    assert (cli.root / "a/b/c/x.plasmite").stat().st_mode & 0o777 == 0o600
    for path in ("a", "a/b", "a/b/c"):
        assert (cli.root / path).stat().st_mode & 0o777 == 0o700
