"""The manual pages, as the build makes them from the command tables."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import BIN
from help_text import all_commands, help_commands, help_options

MAN = os.path.join(os.path.dirname(BIN), "docs", "man")
COMMANDS = ["pool", "feed", "fetch", "follow", "tap", "duplex", "doctor", "version", "completion"]


def page(name):
    with open(os.path.join(MAN, f"{name}.1"), encoding="ascii") as file:
        return file.read()


def test_each_manual_page_names_every_option_and_argument(cli):
    for words, help_text in all_commands(cli):
        text = page(f"plasmite-{words[0]}").replace("\\-", "-")
        assert f"plasmite {' '.join(words)}" in text
        for option in help_options(help_text):
            assert re.search(rf"^(\\fB-\w\\fR, )?\\fB--{option}\\fR", text, re.MULTILINE), (words, option)
        for value in re.findall(r"^  ([<\[][A-Z]+[>\]].*)", help_text, re.MULTILINE):
            assert f"\\fI{value.split()[0]}\\fR" in text, (words, value)


def test_the_program_has_a_manual_page(cli):
    text = page("plasmite").replace("\\-", "-")
    help_text = cli.bare("--help").text
    for option in help_options(help_text):
        assert f"--{option}\\fR" in text
    assert set(help_commands(help_text)) == set(COMMANDS)
    for command in COMMANDS:
        assert f"plasmite-{command}" in text


@pytest.mark.parametrize("name", ["plasmite"] + [f"plasmite-{name}" for name in COMMANDS])
def test_manual_pages_are_well_formed(name):
    text = page(name)
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT",
                    "FILES", "EXAMPLES", "SEE ALSO"):
        assert f"\n.SH {section}\n" in text
    assert not re.search(r"\b(poke|peek|descrip)\b", text)
    path = os.path.join(MAN, f"{name}.1")
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-Wall", path], stdout=subprocess.PIPE, text=True)
        assert done.stdout == ""
    if shutil.which("groff"):
        command = ["groff", "-man", "-ww", "-Tutf8", "-z", path]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        assert done.stderr == ""
