"""Invocation, help and parser errors: contract sections 1 and cli-help."""

import os
import re
import subprocess

import pytest

from conftest import BIN
from help_text import all_commands, help_commands

VERSION = "0.8.0"
COMMANDS = ["pool", "feed", "fetch", "follow", "tap", "duplex", "doctor", "version", "completion"]
PATHS = COMMANDS + ["pool create", "pool info", "pool delete", "pool list", "pool import"]


@pytest.mark.parametrize("args", [["--help"], ["help"], ["-h"]])
def test_root_help(cli, args):
    text = cli.bare(*args).ok().text
    for fragment in (
        "persistent, bounded stream",
        "feed` appends",
        "FIRST LOCAL WORKFLOW",
        "plasmite pool create chat",
        "Use --json or --format jsonl",
        "Top-level options precede the command",
        "plasmite <command> --help",
        "/blob/main/docs/cli.md",
        "/blob/main/docs/cookbook.md",
        "plasmite [OPTIONS] <COMMAND>",
        "USAGE",
        "COMMANDS",
        "OPTIONS",
    ):
        assert fragment in text
    assert "Usage:" not in text
    assert text.endswith("\n") and "\x1b" not in text
    lines = [line.strip() for line in text.splitlines()]
    for command in COMMANDS:
        assert any(line.split(" ")[0] == command for line in lines), command
    assert any(line.startswith("pool") and line.endswith("Manage pool files") for line in lines)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("form", ["--help", "-h", "help"])
def test_help_of_every_command(cli, path, form):
    words = path.split()
    args = ["help", *words] if form == "help" else [*words, form]
    text = cli.bare(*args).ok().text
    assert f"Usage: plasmite {path}" in text
    assert text.endswith("\n") and "\x1b" not in text
    for old in ("poke", "peek", "descrip"):
        assert old not in text


def test_help_under_pool(cli):
    text = cli.bare("help", "pool").ok().text
    assert "Usage: plasmite pool <COMMAND>" in text
    assert "list    List pools in the pool directory" in text
    assert cli.bare("pool", "help", "create").ok().text == cli.bare("help", "pool", "create").ok().text
    assert cli.bare("---help").ok().text == cli.bare("--help").ok().text


SHORT_FRAGMENTS = {
    "pool create": ["index slots", "at most half the pool"],
    "feed": [
        "requires --create", "requires --retry > 0", "Choose one input source", "exits 1",
        "remote refs only", "[default: fast]", "[possible values: stop, skip]",
    ],
    "follow": [
        "finite SPEED >= 0", "requires --tail or --since", "They reject --create", "Exit 124",
    ],
    "duplex": ["Terminal input requires --me", "remote refs expose no auth/TLS", "Exits 124"],
    "tap": ["<POOL> -- <COMMAND>...", "requires --create", "wrapped command's exit status"],
    "doctor": ["<POOL|--all>", "Exits nonzero when corruption"],
}


@pytest.mark.parametrize("path", SHORT_FRAGMENTS)
def test_short_help_shows_constraints(cli, path):
    text = cli.bare(*path.split(), "-h").ok().text
    for fragment in SHORT_FRAGMENTS[path]:
        assert fragment in text, fragment


def test_long_help_of_version(cli):
    text = cli.bare("version", "--help").ok().text
    for fragment in (
        "human-readable version information on a terminal",
        "stdout is redirected or piped",
        "machine-readable JSON",
    ):
        assert fragment in text


@pytest.mark.parametrize("path", PATHS)
def test_long_help_indents_by_ten(cli, path):
    text = cli.bare(*path.split(), "--help").ok().text
    assert "\n          Print help" in text


@pytest.mark.parametrize(
    "path", ["feed", "fetch", "follow", "duplex", "doctor", "pool", "pool create", "pool info", "pool delete",
             "pool import"]
)
def test_nothing_given_prints_short_help_on_stderr(cli, path):
    for with_dir in (True, False):  # global options before the command do not count
        done = cli.run(*path.split(), with_dir=with_dir)
        assert done.code == 2 and done.out == b""
        assert f"Usage: plasmite {path}" in done.err.decode()
        assert '"error"' not in done.err.decode()


def test_help_lists_only_what_there_is(cli):
    names = help_commands(cli.bare("--help").text)
    assert len(names) == len(set(names)) and set(COMMANDS) <= set(names)
    for words, text in all_commands(cli):
        assert f"plasmite {' '.join(words)}" in text
        assert cli.bare(*words, "--definitely-not-a-flag").usage("unexpected argument")


def without_extras(line):
    """A line of short help without the default and the choices, which may make it longer."""
    return line.split(" [default: ")[0].split(" [possible values: ")[0]


def test_help_fits_a_screen(cli):
    for words, text in [([], cli.bare("--help").text), *all_commands(cli)]:
        short = cli.bare(*words, "-h").ok().text
        assert short.count("\n") <= (36 if words else 45) and text.count("\n") <= 60, words
        for line in short.splitlines() + (text.splitlines() if words else []):
            assert len(without_extras(line)) <= 80, (words, line)


def test_long_help_shows_examples(cli):
    for words, text in all_commands(cli):
        examples = text.partition("\nExamples:\n")[2]
        assert f"plasmite {words[0]}" in examples or f"pool {words[-1]}" in examples, words
        assert "Examples:" not in cli.bare(*words, "-h").ok().text


def test_help_shows_defaults_and_choices(cli):
    """On the line of the option, in short help."""
    for words, option, extras in (
        (["feed"], "--create-size", "[default: 1M]"), (["feed"], "--retry", "[default: 0]"),
        (["feed"], "--retry-delay", "[default: 50ms]"),
        (["feed"], "--in", "[default: auto] [possible values: auto, jsonl, json, seq, jq]"),
        (["feed"], "--errors", "[default: stop] [possible values: stop, skip]"),
        (["feed"], "--durability", "[default: fast] [possible values: fast, flush]"),
        (["follow"], "--format", "[default: pretty] [possible values: pretty, jsonl]"),
        (["pool", "create"], "--size", "[default: 1M]"),
        ([], "--color", "[default: auto] [possible values: auto, always, never]"),
        (["completion"], "<SHELL>", "[possible values: bash, elvish, fish, powershell, zsh]"),
    ):
        lines = cli.bare(*words, "-h").ok().text.splitlines()
        assert [line for line in lines if f"{option} " in line and line.endswith(extras)], (words, option)


VALUES = {
    "feed": "<TAG> <FILE> <DURABILITY> <CREATE_SIZE> <RETRY> <RETRY_DELAY> <INPUT> <ERRORS> <TOKEN> <PATH> "
            "<POOL> [DATA]",
    "follow": "<TAIL> <TIMEOUT> <FORMAT> <SINCE> <EXPR> <TAG> <SPEED> <TOKEN> <PATH> <POOL>",
    "duplex": "<ME> <TAIL> <TIMEOUT> <FORMAT> <SINCE> <TOKEN> <PATH> <POOL>",
    "fetch": "<POOL> <SEQ>", "completion": "<SHELL>", "pool info": "<NAME>",
    "pool create": "<SIZE> <INDEX_CAPACITY> <NAMES>...", "pool delete": "<NAMES>...",
    "pool import": "<SIZE> <INDEX_CAPACITY> <PROGRESS> <OLD> <NEW>",
}


@pytest.mark.parametrize("path", VALUES)
def test_value_names(cli, path):
    for form in ("-h", "--help"):
        text = cli.bare(*path.split(), form).ok().text
        for value in VALUES[path].split():
            assert value in text, value


def test_help_says_what_commands_do(cli):
    assert b"Diagnose pool health" in cli.run("doctor").err
    assert b"Send and follow from one command" in cli.run("duplex").err


def test_nothing_at_all(cli):
    done = cli.bare()
    assert done.code == 2 and done.out == b"" and b"COMMANDS" in done.err


def test_pls_is_the_same_program(cli):
    pls = os.path.join(os.path.dirname(BIN), "pls")
    if not os.path.exists(pls):
        pytest.skip("pls is not beside the program")
    run = lambda *args: subprocess.run([pls, *args], env=cli.env, capture_output=True, check=False)
    done = run()
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout == cli.bare("--help").out
    assert b"Usage: plasmite feed" in run("feed", "-h").stdout


@pytest.mark.parametrize("flag", ["-V", "--version", "---version"])
def test_version_option(cli, flag):
    assert cli.bare(flag).ok().text == f"plasmite {VERSION}\n"


def test_version_command(cli):
    version = cli.bare("version").ok().json
    assert version["name"] == "plasmite" and version["version"] == VERSION
    assert cli.tty("version").ok().text == f"plasmite {VERSION}\n"


# command line, message (exact), what the hint contains
PARSER_ERRORS = [
    (["nope"], "unrecognized subcommand 'nope'", "plasmite --help"),
    (["pool", "nope"], "unrecognized subcommand 'nope'", "plasmite pool --help"),
    (["help", "nope"], "unrecognized subcommand 'nope'", "plasmite --help"),
    (["--nope"], "unexpected argument '--nope' found", "plasmite --help"),
    (["--help=yes"], "unexpected argument '--help' found", "plasmite --help"),
    (["help", "--nope"], "unexpected argument '--nope' found", "plasmite --help"),
    (["help", "pool", "-x"], "unexpected argument '-x' found", "plasmite pool --help"),
    (["help", "feed", "x"], "unexpected argument 'x' found", "plasmite feed --help"),
    (["pool", "help", "nope"], "unrecognized subcommand 'nope'", "plasmite pool --help"),
    (["pool", "-V"], "unexpected argument '-V' found", "plasmite pool --help"),
    (["pool", "create", "--version"], "unexpected argument '--version' found", "plasmite pool create --help"),
    ([""], "unrecognized subcommand ''", "plasmite --help"),
    (["version", ""], "unexpected argument '' found", "plasmite version --help"),
    (["-n5"], "unexpected argument '-n' found", "plasmite --help"),
    (["--nope=3"], "unexpected argument '--nope' found", "plasmite --help"),
    (["-x"], "unexpected argument '-x' found", "plasmite --help"),
    (["--color", "never"], "'plasmite' requires a subcommand but one was not provided",
     "plasmite --help"),
    (["--color", "red", "version"], "invalid value 'red' for '--color <COLOR>'", "plasmite --help"),
    (["--dir"], "a value is required for '--dir <DIR>' but none was supplied", "plasmite --help"),
    (["--dir", "", "version"], "a value is required for '--dir <DIR>' but none was supplied",
     "plasmite --help"),
    (["version", "extra"], "unexpected argument 'extra' found", "plasmite version --help"),
    (["version", "--version"], "unexpected argument '--version' found", "plasmite version --help"),
    (["pool", "list", "x"], "unexpected argument 'x' found", "plasmite pool list --help"),
    (["pool", "info", "a", "b"], "unexpected argument 'b' found", "plasmite pool info --help"),
    (["feed", "a", "{}", "b"], "unexpected argument 'b' found", "plasmite feed --help"),
    (["feed", "a", "--tag"], "a value is required for '--tag <TAG>' but none was supplied",
     "plasmite --help"),
    (["feed", "a", "--tag", "-x"], "a value is required for '--tag <TAG>' but none was supplied",
     "plasmite --help"),
    (["feed", "a", "{}", "--in", "xml"], "invalid value 'xml' for '--in <INPUT>'", "plasmite --help"),
    (["feed", "a", "{}", "-e", "STOP"], "invalid value 'STOP' for '--errors <ERRORS>'",
     "plasmite --help"),
    (["feed", "a", "{}", "--file", "f"], "the argument '[DATA]' cannot be used with '--file <FILE>'",
     "plasmite feed --help"),
    (["feed", "a", "{}", "--create", "--create"],
     "the argument '--create' cannot be used multiple times", "plasmite feed --help"),
    (["feed", "--create"], "the following required arguments were not provided: <POOL>",
     "plasmite feed --help"),
    (["fetch", "a"], "the following required arguments were not provided: <SEQ>",
     "plasmite fetch --help"),
    (["fetch", "a", "x"], "invalid value 'x' for '<SEQ>': invalid digit found in string",
     "plasmite --help"),
    (["fetch", "a", "18446744073709551616"],
     "invalid value '18446744073709551616' for '<SEQ>': number too large to fit in target type",
     "plasmite --help"),
    (["follow", "a", "--format", "xml"], "invalid value 'xml' for '--format <FORMAT>'",
     "plasmite --help"),
    (["follow", "a", "--tail", "x"],
     "invalid value 'x' for '--tail <TAIL>': invalid digit found in string", "plasmite --help"),
    (["follow", "a", "--tail="],
     "invalid value '' for '--tail <TAIL>': cannot parse integer from empty string",
     "plasmite --help"),
    (["follow", "a", "--tail=-1"],
     "invalid value '-1' for '--tail <TAIL>': invalid digit found in string", "plasmite --help"),
    (["follow", "a", "--replay", "fast", "--tail", "1"],
     "invalid value 'fast' for '--replay <SPEED>': invalid float literal", "plasmite --help"),
    (["follow", "a", "--replay", "0x1", "--tail", "1"],
     "invalid value '0x1' for '--replay <SPEED>': invalid float literal", "plasmite --help"),
    (["follow", "a", "--tail", "1", "-n", "2"],
     "the argument '--tail <TAIL>' cannot be used multiple times", "plasmite follow --help"),
    (["follow", "a", "--tail", "1", "--since", "5m"],
     "the argument '--since <SINCE>' cannot be used with '--tail <TAIL>'", "plasmite follow --help"),
    (["follow", "a", "--jsonl=yes"], "unexpected value 'yes' for '--jsonl' found",
     "plasmite follow --help"),
    (["follow", "demo", "--definitely-not-a-flag"],
     "unexpected argument '--definitely-not-a-flag' found", "--help"),
    (["pool", "create", "a", "--index-capacity", "4294967296"],
     "invalid value '4294967296' for '--index-capacity <INDEX_CAPACITY>': "
     "number too large to fit in target type", "plasmite --help"),
    (["follow", "--", "a", "-x"], "unexpected argument '-x' found", "plasmite follow --help"),
]


@pytest.mark.parametrize("args,message,hint", PARSER_ERRORS)
def test_parser_errors(cli, args, message, hint):
    done = cli.bare(*args)
    assert done.out == b""
    error = done.usage()
    assert error["message"] == message
    assert "Usage:" not in error["message"]
    assert hint in error["hint"]


@pytest.mark.parametrize("args", [
    ["follow", "a", "--tail", "-1"],
    ["follow", "a", "--timeout", "-5s"],
    ["follow", "a", "--tail", "1", "--replay", "-1"],
    ["feed", "a", "-5"],
])
def test_values_do_not_begin_with_a_dash(cli, args):
    cli.bare(*args).usage()


OPTION = re.compile(r"^ +(?:-(\w), )?--([a-z-]+)(?: <([A-Z_]+)>)?  .*?(?:\[possible values: (\w+).*)?$", re.MULTILINE)
REPEATABLE = ["tag", "where", "cors-origin"]


def every_option(cli):
    """(words of the command, letter, name, placeholder, a value), from short help."""
    for words, _ in [([], ""), *all_commands(cli)]:
        for letter, name, value, choice in OPTION.findall(cli.bare(*words, "-h").text):
            if name not in ("help", "version"):
                yield words, letter, name, value, choice or "1"


def test_every_option_is_parsed_alike(cli):
    """Told before anything is done: what a command needs besides is not given."""
    count = 0
    for words, letter, name, value, sample in every_option(cli):
        path = " ".join(["plasmite", *words])
        shown = f"--{name} <{value}>" if value else f"--{name}"
        spellings = [f"--{name}"] + ([f"-{letter}"] if letter else [])
        for spelling in spellings:
            given = [spelling, sample] if value else [spelling]
            count += 1
            if name not in REPEATABLE:
                error = cli.bare(*words, *given, *given).usage()
                assert error["message"] == f"the argument '{shown}' cannot be used multiple times", (words, name)
                assert f"{path} --help" in error["hint"]
            if value:
                for rest in ([], ["-x"], ["--", "x"]):
                    error = cli.bare(*words, spelling, *rest).usage()
                    assert error["message"] == f"a value is required for '{shown}' but none was supplied"
                    assert "plasmite --help" in error["hint"]
            else:
                cli.bare(*words, f"--{name}=x").usage(f"unexpected value 'x' for '--{name}' found")
        error = cli.bare(*words, f"--{name}x").usage()
        assert error["message"] == f"unexpected argument '--{name}x' found"
        assert f"--{name}" in error["hint"] and f"{path} --help" in error["hint"]
        cli.bare(*words, f"--{name.upper()}").usage(f"unexpected argument '--{name.upper()}' found")
    assert count >= 40


@pytest.mark.parametrize("args,value", [
    (["--tag=-x", "{}"], "-x"), (["--tag", "-", "{}"], "-"), (["--tag=", "{}"], ""), (["--tag", "", "{}"], ""),
    (["--tag=a=b", "{}"], "a=b"), (["--tag= x ", "{}"], " x "), (["--", "{}"], None),
])
def test_values_as_given(cli, args, value):
    tags = cli.run("feed", "a", "--create", *args).ok().json["meta"]["tags"]
    assert tags == ([] if value is None else [value])


@pytest.mark.parametrize("flags", [["-f", "-"], ["-f-"], ["-f=-"], ["--file", "-"], ["--file=-"], []])
def test_a_lone_dash_is_a_value(cli, flags):
    cli.run("feed", "a", "--create", *flags, stdin=b'{"n":1}').ok()
    assert cli.data("a") == [{"n": 1}]


def test_behind_a_double_dash_all_are_positionals(demo):
    error = demo.run("feed", "--", "demo", "{}", "--tag").usage()
    assert error["message"] == "unexpected argument '--tag' found"
    assert demo.run("feed", "demo", "--", "--", "x").usage("unexpected argument 'x' found")
    demo.run("fetch", "--", "demo", "3").ok()


def test_letters_together(cli):
    """Flags may share a dash with one option behind them that takes a value."""
    cli.bare("-h", "nope").ok()
    cli.bare("-Vh").ok()
    assert cli.run("follow", "a", "-nx").usage()["message"].startswith("invalid value 'x' for '--tail <TAIL>'")
    cli.run("feed", "a", "-ijsonl", "-estop", "--create", stdin=b"{}").ok()


def test_first_error_wins(cli):
    """The parser reads from left to right; what is missing or in conflict is told last."""
    cli.bare("follow", "--nope", "--tail", "x").usage("unexpected argument '--nope' found")
    cli.bare("follow", "--tail", "x", "--nope").usage("invalid value 'x'")
    cli.bare("follow", "--tail", "1", "--since", "5m").usage("cannot be used with")
    cli.bare("follow", "--nope", "--help").usage("unexpected argument '--nope' found")
    cli.bare("follow", "--help", "--nope").ok()
    cli.bare("feed", "a", "{}", "--file", "f", "--in", "x").usage("invalid value 'x'")


@pytest.mark.parametrize("args,message", [
    (["follow", "a", "--no\npe"], "unexpected argument '--no' found"),
    (["bad\ncommand"], "unrecognized subcommand 'bad'"),
    (["follow", "a", "b\nc"], "unexpected argument 'b' found"),
    (["follow", "a", "--format", "x\ny"], "invalid value 'x' for '--format <FORMAT>'"),
    (["follow", "a", "--jsonl=x\ny"], "unexpected value 'x' for '--jsonl' found"),
    (["follow", "a", "--tail", "1\n2"], "invalid value '1' for '--tail <TAIL>': invalid digit found in string"),
])
def test_messages_are_one_line(cli, args, message):
    assert cli.bare(*args).usage()["message"] == message


@pytest.mark.parametrize("args", [
    ["feed", "--"], ["fetch", "--"], ["follow", "--"], ["completion", "--"], ["doctor", "--"], ["pool", "--dir", "x"],
    ["pool", "create", "--json"], ["pool", "info", "--json"], ["pool", "delete", "--json"], ["doctor", "--json"],
    ["follow", "--jsonl"], ["feed", "--color", "never"],
])
def test_something_given_is_an_error_not_help(cli, args):
    error = cli.bare(*args).usage()
    assert error["hint"]


def test_missing_pool_ref_of_follow(cli):
    error = cli.bare("follow", "-n", "1").usage("required arguments")
    assert "pool ref" in error["hint"] and "plasmite follow chat -n 1" in error["hint"]


@pytest.mark.parametrize("spelling", [["-n", "2"], ["-n2"], ["-n=2"], ["--tail", "2"], ["--tail=2"]])
def test_option_spellings(demo, spelling):
    lines = demo.run("follow", *spelling, "demo", "--replay", "0", "--jsonl").ok().lines
    assert [line["seq"] for line in lines] == [2, 3]


def test_options_and_positionals_mix(demo):
    demo.run("feed", "--tag", "x", "demo", "--tag=y", '{"n":4}', "--durability", "fast").ok()
    assert demo.backlog("demo")[-1]["meta"] == {"tags": ["x", "y"]}


def test_double_dash_ends_options(cli):
    cli.run("feed", "--create", "--", "--odd", '{"n":1}').ok()
    assert cli.path("--odd").exists()


def test_global_options_after_the_command(demo):
    done = demo.bare("fetch", "demo", "1", "--dir", demo.pools).ok()
    assert done.json["seq"] == 1


def test_no_abbreviations(cli):
    cli.bare("follow", "a", "--tai", "1").usage("unexpected argument '--tai' found")


def test_parser_errors_ignore_color(cli):
    done = cli.bare("--color", "always", "nope")
    assert b"\x1b" not in done.err
    done.usage()


def test_parser_error_on_a_terminal(cli):
    text = cli.tty("nope", with_dir=False, env={"NO_COLOR": "1"}).text
    assert text.splitlines()[0] == "error: unrecognized subcommand 'nope'"
    assert text.splitlines()[1].startswith("hint: ")


@pytest.mark.parametrize("env,flags,coloured", [
    ({}, [], True),
    ({"NO_COLOR": "1"}, [], False),
    ({"NO_COLOR": ""}, [], True),
    ({"TERM": "dumb"}, [], False),
    ({"NO_COLOR": "1"}, ["--color", "always"], True),
    ({"CLICOLOR_FORCE": "1"}, ["--color", "never"], False),
    ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, [], True),
    ({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, [], False),
])
def test_colour_on_a_terminal(demo, env, flags, coloured):
    done = demo.tty(*flags, "--dir", demo.pools, "fetch", "demo", "1", with_dir=False, env=env).ok()
    assert ("\x1b" in done.text) == coloured
    error = demo.tty(*flags, "--dir", demo.pools, "fetch", "demo", "9", with_dir=False, env=env)
    assert error.text.startswith("\x1b[31merror:\x1b[0m message not found\n\x1b[33mhint:\x1b[0m " if coloured
                                 else "error: message not found\nhint: ")


@pytest.mark.parametrize("value,coloured", [("1", True), ("0", False), ("", False)])
def test_forced_colour_in_a_pipe(demo, value, coloured):
    """Where people read; what programs read stays as it is, lest a variable set once breaks every script."""
    shown = demo.run("follow", "demo", "--tail", "1", "--replay", "0", env={"CLICOLOR_FORCE": value}).ok()
    assert ("\x1b" in shown.text) == coloured
    assert demo.run("fetch", "demo", "1", env={"CLICOLOR_FORCE": value}).ok().json["seq"] == 1
    assert "\x1b" in demo.bare("--color", "always", "--dir", demo.pools, "fetch", "demo", "1").ok().text


def test_errors_on_a_terminal(demo):
    text = demo.tty("fetch", "demo", "9", env={"NO_COLOR": "1"}).text
    assert [line.split(":")[0] for line in text.splitlines()] == ["error", "hint", "seq"]
    text = demo.tty("fetch", "missing", "1", env={"NO_COLOR": "1"}).text
    lines = text.splitlines()
    assert lines[0] == "error: not found" and lines[2] == "path: ./pools/missing.plasmite"
    assert lines[3] == "caused by: No such file or directory (os error 2)"
