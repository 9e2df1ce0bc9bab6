"""fetch, and the message envelope: contract sections 5 and 11."""

import re

import pytest


def test_fetch_in_a_pipe(demo):
    done = demo.run("fetch", "demo", "3").ok()
    assert re.fullmatch(
        rb'\{"seq":3,"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z",'
        rb'"meta":\{"tags":\["a","b"\]\},"data":\{"n":3\}\}\n', done.out)


def test_fetch_on_a_terminal(demo):
    text = demo.tty("fetch", "demo", "1", env={"NO_COLOR": "1"}).ok().text
    assert text.startswith('{\n  "seq": 1,\n  "time": "')
    assert '  "meta": {\n    "tags": []\n  },\n  "data": {\n    "n": 1\n  }\n}\n' in text
    assert "\x1b[36m" in demo.tty("fetch", "demo", "1").ok().text


def test_fetch_colour_in_a_pipe_is_pretty(demo):
    text = demo.bare("--color", "always", "--dir", demo.pools, "fetch", "demo", "1").ok().text
    assert '\x1b[33m1\x1b[0m' in text and text.count("\n") > 5


@pytest.mark.parametrize("term", ["dumb"])
def test_dumb_terminals_get_no_colour(demo, term):
    assert "\x1b" not in demo.tty("fetch", "demo", "1", env={"TERM": term}).ok().text


@pytest.mark.parametrize("seq", ["0", "4", "18446744073709551615"])
def test_fetch_unknown(demo, seq):
    error = demo.run("fetch", "demo", seq).fails("NotFound", 3)
    assert error["message"] == "message not found" and error["seq"] == int(seq)
    assert "pool info" in error["hint"] and "follow" in error["hint"]


def test_fetch_overwritten(cli):
    cli.create("small", "--size", "64K")
    cli.feed("small", *({"pad": "x" * 4000} for _ in range(40)))
    cli.run("fetch", "small", "1").fails("NotFound", 3, "message not found")
    assert cli.run("fetch", "small", "40").ok().json["seq"] == 40


@pytest.mark.parametrize("seq", ["-1", "x", "1.5", ""])
def test_fetch_bad_seq(demo, seq):
    assert demo.run("fetch", "demo", seq).code == 2


def test_fetch_missing_pool(cli):
    error = cli.run("fetch", "nope", "1").fails("NotFound", 3)
    assert error["message"] == "not found"
    assert error["path"].endswith("nope.plasmite") and error["causes"]
    assert "plasmite pool create nope" in error["hint"]
    assert not cli.pools.exists()


def test_missing_path(cli):
    error = cli.run("fetch", "./nope", "1").fails("NotFound", 3)
    assert "path was not found" in error["hint"] and "--dir" in error["hint"]


# what is given back is what was written, without blanks
AS_WRITTEN = [
    '{"big":123456789012345678901234567890,"e":1E5,"z":-0,"f":1.0}',
    '{"b":1,"a":2,"a":3}',
    '{"s":"\\u00e9\\ud83d\\ude00 é 😀 \\/ \\n","empty":"","":0}',
    '{"nested":[[],{},[{}]],"t":true,"f":false,"n":null}',
]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_data_is_given_back_as_written(cli, text):
    cli.run("feed", "a", "--create", text).ok()
    assert cli.run("fetch", "a", "1").ok().text.endswith(f'"data":{text}}}\n')


def test_blanks_go(cli):
    cli.run("feed", "a", "--create", ' {\t"a" : [ 1 , 2 ]\n, "b":" x " }\r\n').ok()
    assert cli.run("fetch", "a", "1").ok().text.endswith('"data":{"a":[1,2],"b":" x "}}\n')


def test_nesting(cli):
    deep = '{"a":' * 1024 + "1" + "}" * 1024
    cli.run("feed", "a", "--create", deep).ok()
    assert deep in cli.run("fetch", "a", "1").ok().text
    error = cli.run("feed", "a", '{"a":' + deep + "}").usage()
    assert "1024" in str(error)
