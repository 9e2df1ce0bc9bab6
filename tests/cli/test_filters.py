"""--tag and --where: contract section 13. That the native matcher and jq agree is tested where they
are; here, that the commands use them rightly."""

import pytest


def matching(cli, *where, tags=()):
    flags = [word for expression in where for word in ("--where", expression)]
    flags += [word for tag in tags for word in ("--tag", tag)]
    return [message["seq"] for message in cli.backlog("a", *flags)]


@pytest.fixture
def logs(cli):
    cli.create("a")
    cli.feed("a", {"level": "info", "n": 1})
    cli.feed("a", {"level": "error", "n": 2, "user": {"id": 7}}, tags=["sensor"])
    cli.feed("a", {"n": None, "list": [1, 2, 3], "ok": True}, tags=["sensor", "alert"])
    cli.feed("a", {"level": "error", "n": 12345678901234567890, "MESSAGE": "kernel panic: x"})
    return cli


@pytest.mark.parametrize("expression,expected", [
    ('.data.level == "error"', [2, 4]),
    ('.data.level != "error"', [1, 3]),  # a missing key is null, as in jq
    (".data.n == null", [3]),
    (".data.missing == null", [1, 2, 3, 4]),
    (".data.n > 1", [2, 4]),
    (".data.n == 0", []),
    (".data.user.id == 7", [2]),
    (".data.user.id.x == 7", []),  # an error is no match
    (".seq >= 3", [3, 4]),
    (".data.ok", []),  # jq's null of the others is no boolean: see below
    ('.data.MESSAGE? // "" | test("panic")', [4]),
    ('.data.MESSAGE | test("panic")', [4]),
    ('.meta.tags[]? == "sensor"', [2, 3]),
    ('any(.meta.tags[]; . == "alert")', [3]),
    ('.meta.tags | contains(["sensor"])', [2, 3]),
    ('.data | has("list")', [3]),
    (".data.list | length == 3", [3]),
    ("true", [1, 2, 3, 4]),
    ("false", []),
    ("empty", []),
    ("false, true", [1, 2, 3, 4]),
    ("true, error(\"x\")", []),
    ("(.data.list | add) == 6", [3]),
    ("[.data.list[]?] | length > 0", [3]),
    ('.data.level == "error" and .data.n < 10', [2]),
    ('(.data.level == "error" or .data.ok == true) and (.data.n == 2 | not)', [3, 4]),
    ("try error(\"x\") catch true", [1, 2, 3, 4]),
    ("reduce .data.list[]? as $x (0; . + $x) | . == 6", [3]),
])
def test_where(logs, expression, expected):
    if expression == ".data.ok":
        error = logs.run("follow", "a", "--tail", "9", "--replay", "0", "--where", expression).usage()
        assert error["message"] == "filter expression must yield booleans"
        return
    assert matching(logs, expression) == expected


@pytest.mark.parametrize("expression", ["(", ".data.x ==", "nosuchfunction(1)", "", "input", "env", "$ENV.HOME", 'import "x" as y; true'])
def test_bad_expressions(cli, expression):
    """Told before the pool is opened."""
    error = cli.run("follow", "missing", "--where", expression).usage()
    assert error["message"] == "invalid filter expression"
    assert expression in error["hint"]


@pytest.mark.parametrize("expression", [".data", ".data.n", '"x"', "null", "1, true", "true, null"])
def test_outputs_must_be_booleans(logs, expression):
    done = logs.run("follow", "a", "--tail", "1", "--where", expression)
    assert done.usage()["message"] == "filter expression must yield booleans"


def test_all_filters_must_match(logs):
    assert matching(logs, '.data.level == "error"', ".data.n > 2") == [4]
    assert matching(logs, '.data.level == "error"', tags=["sensor"]) == [2]
    assert matching(logs, tags=["sensor"]) == [2, 3]
    assert matching(logs, tags=["sensor", "alert"]) == [3]
    assert matching(logs, tags=["alert", "nope"]) == []
    assert matching(logs, tags=["sens"]) == []


def test_tags_come_first(logs):
    """An expression that is no predicate is not noticed where the tags exclude everything."""
    assert matching(logs, ".data", tags=["nope"]) == []
    assert matching(logs, "false", ".data") == []


def test_live_filters(logs):
    follower = logs.start("follow", "a", "--jsonl", "--tail", "1", "--where", '.data.level == "error"')
    assert follower.json()["seq"] == 4
    logs.feed("a", {"level": "info"}, {"level": "error", "n": 6}, {"level": "info"})
    assert follower.json()["seq"] == 6


def test_filters_see_the_envelope_with_data_only(logs):
    done = logs.run("follow", "a", "--tail", "9", "--replay", "0", "--jsonl", "--data-only",
                    "--where", '.meta.tags[]? == "alert"').ok()
    assert done.lines == [{"n": None, "list": [1, 2, 3], "ok": True}]
