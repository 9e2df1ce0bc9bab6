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
