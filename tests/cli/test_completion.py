"""Completion scripts, as the shells run them."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from conftest import DEADLINE_S
from help_text import all_commands, help_options

SHELLS = ["bash", "elvish", "fish", "powershell", "zsh"]
COMMANDS = ["pool", "feed", "fetch", "follow", "tap", "duplex", "doctor", "version", "completion", "help"]
SUBCOMMANDS = ["create", "info", "delete", "list", "import", "help"]


def script(cli, shell):
    return cli.bare("completion", shell).ok().text


# The command ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shell, fragments",
    [
        ("bash", ["_plasmite", "pool", "feed", "follow", "complete -F _plasmite plasmite pls"]),
        ("zsh", ["#compdef plasmite pls", "_plasmite", "pool"]),
        ("fish", ["complete -c plasmite", "complete -c pls"]),
        ("elvish", ["arg-completer[plasmite]", "arg-completer[pls]"]),
        ("powershell", ["Register-ArgumentCompleter", "'plasmite', 'pls'"]),
    ],
)
def test_prints_a_script_that_registers_both_names(cli, shell, fragments):
    text = script(cli, shell)
    for fragment in fragments:
        assert fragment in text
    assert text.endswith("\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_name_every_command_and_option(cli, shell):
    text = script(cli, shell)
    for words, help_text in all_commands(cli):
        assert words[-1] in text
        for option in help_options(help_text):
            assert re.search(rf"(--|-l ){option}\b", text), (words, option)


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_never_name_older_spellings(cli, shell):
    assert not re.search(r"\b(poke|peek|get|descrip)\b", script(cli, shell))


def test_unknown_shell_is_a_usage_error(cli):
    error = cli.bare("completion", "nope").usage("invalid value 'nope' for '<SHELL>'")
    assert "plasmite --help" in error["hint"]
    assert "elvish" in error["hint"]


def test_surplus_word_is_a_usage_error(cli):
    error = cli.bare("completion", "bash", "extra").usage("unexpected argument 'extra' found")
    assert "completion --help" in error["hint"]


def test_without_a_shell_prints_help(cli):
    done = cli.bare("completion")
    assert done.code == 2 and done.out == b""
    assert b"Usage: plasmite completion" in done.err


def test_root_help_lists_it(cli):
    assert re.search(r"^ +completion  ", cli.bare("--help").ok().text, re.MULTILINE)


def test_a_closed_stdout_is_an_error(cli):
    with open("/dev/full", "wb") as full:
        done = cli.bare("completion", "zsh", stdout=full)
    assert done.fails("Io", 8)


# bash -------------------------------------------------------------------------------------------

BASH = """
source "$1"; shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_plasmite "$1" "${COMP_WORDS[COMP_CWORD]}" "" 2>/dev/null
((${#COMPREPLY[@]} == 0)) || printf '%s\\n' "${COMPREPLY[@]}"
"""


class Bash:
    """Completes lines, given as their words, by the function of the script."""

    def __init__(self, cli):
        self.cli = cli
        self.path = cli.root / "plasmite.bash"
        self.path.write_text(script(cli, "bash"))

    def complete(self, *words, options=()):
        done = subprocess.run(
            ["bash", "--norc", *options, "-c", BASH, "bash", self.path, "plasmite", *words],
            env=self.cli.env,
            cwd=self.cli.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=DEADLINE_S,
        )
        assert done.returncode in (0, 1) and done.stderr == "", done
        return done.stdout.splitlines()


@pytest.fixture
def bash(cli):
    return Bash(cli)


@pytest.fixture
def homes(cli):
    """Pools in the home directory and in another one."""
    for name in ("chat", "ci", "my pool"):
        cli.bare("pool", "create", name).ok()
    cli.create("elsewhere")
    return cli


@pytest.mark.parametrize(
    "words, expected",
    [
        ([""], COMMANDS),
        (["fo"], ["follow"]),
        (["pool", ""], SUBCOMMANDS),
        (["help", ""], COMMANDS),
        (["help", "pool", "d"], ["delete"]),
        (["pool", "help", "c"], ["create"]),
        (["pool", "import", "--p"], ["--progress"]),
        (["help", "follow", ""], []),
        (["--c"], ["--color"]),
        (["--color", ""], ["auto", "always", "never"]),
        (["--color", "never", "ver"], ["version"]),
        (["--dir", "pool", "pool", "l"], ["list"]),
        (["follow", "chat", "--format", ""], ["pretty", "jsonl"]),
        (["follow", "chat", "--format", "=", "j"], ["jsonl"]),
        (["follow", "chat", "--format", "="], ["pretty", "jsonl"]),
        (["follow", "--one", "--re"], ["--replay"]),
        (["follow", "-n", "--re"], []),
        (["follow", "-n", "=", "5", "--re"], ["--replay"]),
        (["follow", "-n5", "--re"], ["--replay"]),
        (["feed", "x", "-i", "j"], ["jsonl", "json", "jq"]),
        (["feed", "x", "--durability", ""], ["fast", "flush"]),
        (["feed", "x", "--tag", ""], []),
        (["feed", "--", "--t"], []),
        (["completion", ""], SHELLS),
        (["completion", "bash", ""], []),
        (["pool", "create", ""], []),
        (["pool", "create", "--s"], ["--size"]),
        (["doctor", "--a"], ["--all"]),
        (["tap", "chat", ""], []),
        (["tap", "chat", "--", "plasmite-no-such-com"], []),
        (["tap", "chat", "--q"], ["--quiet"]),
        (["tap", "chat", "--", "--q"], []),
        (["follow", "--", "chat", "compge"], []),
    ],
)
def test_bash_completes(bash, words, expected):
    assert bash.complete(*words) == expected


@pytest.mark.parametrize("command", [["follow"], ["feed"], ["fetch"], ["doctor"], ["pool", "info"], ["pool", "import"]])
def test_bash_completes_pools(homes, command):
    bash = Bash(homes)
    assert bash.complete(*command, "") == ["chat", "ci", "my\\ pool"]
    assert bash.complete(*command, "c") == ["chat", "ci"]
    assert bash.complete(*command, "chat", "") == []
    assert bash.complete("--dir", str(homes.pools), *command, "") == ["elsewhere"]
    assert bash.complete("--dir", "=", str(homes.pools), *command, "") == ["elsewhere"]


def test_bash_completes_several_pools(homes):
    assert Bash(homes).complete("pool", "delete", "chat", "--json", "c") == ["chat", "ci"]


def test_bash_reads_a_quoted_directory(homes):
    bash = Bash(homes)
    assert bash.complete("--dir", "~/.plasmite/pools", "follow", "ch") == ["chat"]
    assert bash.complete("--dir", f"'{homes.pools}'", "follow", "") == ["elsewhere"]
    assert bash.complete("follow", "my\\ ") == ["my\\ pool"]


def test_bash_finds_no_pools_where_there_is_no_directory(bash):
    for options in ([], ["-O", "nullglob"], ["-u"]):
        assert bash.complete("follow", "", options=options) == []


def test_bash_offers_every_option_of_each_command(cli, bash):
    for words, help_text in all_commands(cli):
        offered = bash.complete(*words, "--")
        assert sorted(offered) == sorted(f"--{name}" for name in help_options(help_text))


def test_bash_completes_the_wrapped_command(bash):
    assert "compgen" in bash.complete("tap", "chat", "--create", "--", "compge")


# Terminals --------------------------------------------------------------------------------------


class Shell:
    """An interactive shell on a terminal."""

    def __init__(self, cli, words, prepare):
        self.screen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cli.root)
            os.execvpe(words[0], words, {**cli.env, "TERM": "dumb", "PS1": "$ "})
        self.type("plasmite() { printf '<%s>' \"$@\"; echo; }; pls() { plasmite \"$@\"; }\r")
        for line in prepare:
            self.type(line + "\r")
        self.type("echo read''y\r")
        self.wait("ready")

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait(self, expected):
        """Reads until this was shown; what stood before it is forgotten."""
        deadline = time.monotonic() + DEADLINE_S
        while expected not in self.screen:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.fd], [], [], max(left, 0))
            assert ready, f"{expected!r} did not come: {self.screen!r}"
            self.screen += os.read(self.fd, 65536).decode(errors="replace")
        self.screen = self.screen.partition(expected)[2]

    def expect(self, typed, *words):
        """Types a line, TAB and return: these are the words that the program is given."""
        self.type(f"{typed}\t\r")
        self.wait("\n" + "".join(f"<{word}>" for word in words) + "\r\n")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(homes):
    opened = []

    def start(words, prepare):
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        opened.append(Shell(homes, words, prepare))
        return opened[-1]

    yield start
    for shell in opened:
        shell.close()


def test_bash_in_a_terminal(homes, terminal):
    path = Bash(homes).path
    (homes.root / "data.json").write_text("{}")
    shell = terminal(["bash", "--norc", "--noprofile", "-i"], [f"source {path}"])
    shell.expect("plasmite fol", "follow")
    shell.expect("pls follow my", "follow", "my pool")
    shell.expect("pls follow chat --format=j", "follow", "chat", "--format=jsonl")
    shell.expect("pls feed chat --file da", "feed", "chat", "--file", "data.json")
    shell.expect("pls --dir po", "--dir", "pools/")
    shell.expect("pls tap chat -- compge", "tap", "chat", "--", "compgen")
    shell.expect("pls tap chat -- cat da", "tap", "chat", "--", "cat", "data.json")


def test_zsh_in_a_terminal(homes, terminal):
    path = homes.root / "_plasmite"
    path.write_text(script(homes, "zsh"))
    (homes.root / "data.json").write_text("{}")
    shell = terminal(
        ["zsh", "-f", "-i"],
        ["autoload -Uz compinit", "compinit -D -u", f"source {path}"],
    )
    shell.expect("plasmite fol", "follow")
    shell.expect("pls follow my", "follow", "my pool")
    shell.expect("pls follow chat --format=j", "follow", "chat", "--format=jsonl")
    shell.expect("pls --dir pools follow el", "--dir", "pools", "follow", "elsewhere")
    shell.expect("pls tap ch", "tap", "chat")
    shell.expect("pls tap chat --q", "tap", "chat", "--quiet")
    shell.expect("pls tap chat -- dirna", "tap", "chat", "--", "dirname")
    shell.expect("pls tap chat -q -- basename da", "tap", "chat", "-q", "--", "basename", "data.json")


@pytest.mark.parametrize(
    "line, expected",
    [
        ("plasmite fol", ["follow"]),
        ("pls pool ", sorted(SUBCOMMANDS)),
        ("plasmite follow c", ["chat", "ci"]),
        ("plasmite pool import c", ["chat", "ci"]),
        ("plasmite --dir pools follow ", ["elsewhere"]),
        ("plasmite follow chat --format ", ["jsonl", "pretty"]),
        ("plasmite feed -i j", ["jq", "json", "jsonl"]),
        ("plasmite help pool d", ["delete"]),
        ("plasmite doctor --a", ["--all"]),
        ("plasmite fetch chat ", []),
        ("plasmite tap c", ["chat", "ci"]),
        ("plasmite tap chat ", []),
        ("plasmite --dir pools tap chat -q -- dirnam", ["dirname"]),
        ("plasmite tap chat -- cat pool", ["pools/"]),
    ],
)
def test_fish_completes(homes, line, expected):
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    path = homes.root / "plasmite.fish"
    path.write_text(script(homes, "fish"))
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"],
        env=homes.env,
        cwd=homes.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.stderr == ""
    assert [item.partition("\t")[0] for item in done.stdout.splitlines()] == expected
