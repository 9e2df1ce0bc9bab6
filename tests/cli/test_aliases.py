"""The older spellings: contract section 20."""

import json
import re

import pytest


def test_poke_prints_the_message(cli):
    done = cli.run("poke", "a", "--create", "--descrip", "x", "--tag", "y", '{"b": 1, "a": 2}').ok()
    assert re.fullmatch(rb'\{"seq":1,"time":"[^"]*Z","meta":\{"descrips":\["x","y"\]\},"data":\{"b":1,"a":2\}\}\n',
                        done.out)
    assert cli.run("fetch", "a", "1").ok().json["meta"] == {"tags": ["x", "y"]}
    text = cli.tty("poke", "a", "{}", env={"NO_COLOR": "1"}).ok().text
    assert text.startswith('{\n  "seq": 2,\n') and '"descrips": []' in text


def test_poke_of_a_stream(cli):
    done = cli.run("poke", "a", "--create", stdin=b'{"n":1}\n{"n":2}\n').ok()
    assert [line["data"]["n"] for line in done.lines] == [1, 2]
    assert list(done.lines[0]) == ["seq", "time", "meta", "data"]


def test_descrip_is_tag_everywhere(cli):
    receipt = cli.run("feed", "a", "--create", "--descrip", "x", "--tag", "y", "--descrip", "z", "{}").ok().json
    assert receipt["meta"] == {"tags": ["x", "y", "z"]}
    assert len(cli.backlog("a", "--descrip", "z", "--tag", "x")) == 1
    assert cli.backlog("a", "--descrip", "z", "--descrip", "nope") == []


def test_get(demo):
    done = demo.run("get", "demo", "3").ok()
    assert re.fullmatch(rb'\{"seq":3,"time":"[^"]*Z","meta":\{"descrips":\["a","b"\]\},"data":\{"n":3\}\}\n', done.out)
    demo.run("get", "demo", "9").fails("NotFound", 3, "message not found")


def test_peek_prints_lines(demo):
    done = demo.run("peek", "demo", "--tail", "2", "--timeout", "0ms")
    assert done.code == 124 and done.out.count(b"\n") == 2
    assert done.lines[1]["meta"] == {"descrips": ["a", "b"]}
    done = demo.tty("peek", "demo", "--tail", "1", "--timeout", "0ms", streams=("stdout",))
    assert done.text.count("\n") == 1 and "\x1b" not in done.text
    text = demo.run("peek", "demo", "--tail", "1", "--timeout", "0ms", "--format", "pretty").text
    assert text.startswith("{\n  \"seq\": 3,\n")


@pytest.mark.parametrize("flags", [[], ["--tail", "1"]])
def test_peek_one_waits_for_the_pool(cli, flags):
    waiter = cli.start("peek", "signals", "--where", ".data.go == true", *flags, "--one")
    assert json.loads(waiter.err_line())["notice"]["kind"] == "waiting"
    cli.run("poke", "signals", "--create", '{"go": true}').ok()
    done = waiter.finish()
    assert done.code == 0 and len(done.lines) == 1 and done.lines[0]["data"] == {"go": True}


def test_peek_without_one_does_not_wait(cli):
    hint = cli.run("peek", "missing").fails("NotFound", 3)["hint"]
    assert "plasmite follow missing --create" in hint


@pytest.mark.parametrize("command", ["follow", "peek"])
@pytest.mark.parametrize("expression,expected", [
    ('.meta.descrips[]? == "a"', [3]), ('.meta.tags[]? == "a"', [3]),
    (".meta.descrips == .meta.tags", [1, 2, 3]), (".meta.descrips == []", [1, 2]),
])
def test_descrips_in_filters(demo, command, expression, expected):
    done = demo.run(command, "demo", "--tail", "9", "--replay", "0", "--format", "jsonl", "--where", expression).ok()
    assert [line["seq"] for line in done.lines] == expected


def test_errors_use_the_new_names(cli):
    error = cli.bare("poke", "missing", "{}").fails("NotFound", 3)
    assert "plasmite feed missing --create" in error["hint"]
    assert "plasmite feed --help" in cli.bare("poke", "a", "{}", "x").usage()["hint"]
    assert "Usage: plasmite feed" in cli.bare("poke", "--help").ok().text
    assert "Usage: plasmite fetch" in cli.bare("help", "get").ok().text


@pytest.mark.parametrize("word", ["produce", "consume"])
def test_reserved_words_are_no_commands(cli, word):
    cli.bare(word).usage(f"unrecognized subcommand '{word}'")


MESSAGE = rb'\{"seq":%d,"time":"[^"]*Z","meta":\{"descrips":%s\},"data":%s\}\n'


@pytest.mark.parametrize("flags", [["--tag", "t"], ["--descrip", "t"], ["--descrip=t"], ["--tag=t", "--durability", "flush"],
                                   ["--descrip", "t", "--retry", "1", "--retry-delay", "1ms", "-e", "stop", "-i", "json"]])
def test_poke_takes_the_options_of_feed(cli, flags):
    done = cli.run("poke", "a", "--create", "--create-size", "64K", *flags, '{"n": 1E2, "a": []}').ok()
    assert re.fullmatch(MESSAGE % (1, rb'\["t"\]', rb'\{"n":1E2,"a":\[\]\}'), done.out)
    assert cli.path("a").stat().st_size == 65536


@pytest.mark.parametrize("flags", [["--tag", "a"], ["--descrip", "a"], ["--tag", "a", "--descrip", "b"],
                                   ["--where", '.meta.descrips[0] == "a"'], ["--where", '.meta.tags[1] == "b"', "--descrip", "a"]])
def test_peek_takes_the_options_of_follow(demo, flags):
    for form in ([], ["--jsonl"], ["--format", "jsonl"]):
        done = demo.run("peek", "demo", "-n", "9", "--replay", "0", *flags, *form).ok()
        assert re.fullmatch(MESSAGE % (3, rb'\["a","b"\]', rb'\{"n":3\}'), done.out)
    assert demo.run("peek", "demo", "--since", "1h", "--one", "--data-only", *flags).ok().out == b'{"n":3}\n'
    assert demo.run("peek", "demo", "--tail", "1", "--timeout", "0ms", *flags).code == 124
    demo.run("peek", "demo", "--jsonl", "--format", "jsonl").usage("conflicting output options")


def test_old_and_new_words_read_the_same_messages(cli):
    cli.run("poke", "a", "--create", "--descrip", "x", '{"n":1}').ok()
    cli.run("feed", "a", "--tag", "x", '{"n":2}').ok()
    for command, key in (("follow", "tags"), ("peek", "descrips")):
        lines = cli.run(command, "a", "--tail", "9", "--replay", "0", "--format", "jsonl").ok().lines
        assert [line["meta"] for line in lines] == [{key: ["x"]}] * 2
    assert cli.run("fetch", "a", "1").ok().json["meta"] == {"tags": ["x"]}
    assert cli.run("get", "a", "2").ok().json["meta"] == {"descrips": ["x"]}
    keys = cli.run("follow", "a", "--tail", "1", "--replay", "0", "--where", '.meta | keys == ["tags"]', "--jsonl").ok()
    assert len(keys.lines) == 1  # descrips is there only where the expression speaks of it


def test_skipping_with_poke(cli):
    done = cli.run("poke", "a", "--create", "--errors", "skip", stdin=b'{"n":1}\nbad\n{"n":2}\n')
    assert done.code == 1 and [line["data"]["n"] for line in done.lines] == [1, 2]
    assert [(notice["cmd"], notice["kind"]) for notice in done.notices] == [("feed", "ingest_skip"), ("feed", "ingest_summary")]


def test_losses_of_peek(cli):
    """Notices have the new names."""
    cli.create("a", "--size", "64K")
    cli.feed("a", {"n": 0})
    follower = cli.start("peek", "a", "--tail", "1")
    follower.line()
    for _ in range(20):
        cli.feed("a", *({"p": "x" * 4000} for _ in range(100)))
    while follower.json()["seq"] != 2001:
        pass
    notice = json.loads(follower.err_line())["notice"]
    assert notice["kind"] == "drop" and notice["cmd"] == "follow"


@pytest.mark.parametrize("args,fragments", [
    (["poke", "x", "{}"], ["plasmite feed x --create"]), (["poke", "x", "--descrip", "t", "{}"], ["plasmite feed x --create --tag t"]),
    (["peek", "x", "--descrip", "t"], ["plasmite follow x --create --tag t"]), (["get", "x", "1"], ["plasmite pool create x"]),
])
def test_hints_of_old_names(cli, args, fragments):
    hint = cli.bare(*args).fails("NotFound", 3)["hint"]
    for fragment in fragments:
        assert fragment in hint
    for old in ("poke", "peek", "get ", "descrip"):
        assert old not in hint


@pytest.mark.parametrize("name,new", [("poke", "feed"), ("peek", "follow"), ("get", "fetch")])
def test_help_of_old_names(cli, name, new):
    assert cli.bare(name, "--help").ok().out == cli.bare("help", name).ok().out == cli.bare(new, "--help").ok().out
    assert cli.bare(name, "-h").ok().out == cli.bare(new, "-h").ok().out
    done = cli.bare(name)
    assert done.code == 2 and done.out == b"" and f"Usage: plasmite {new}" in done.err.decode()
    assert f"plasmite {new} --help" in cli.bare(name, "--nope").usage()["hint"]
