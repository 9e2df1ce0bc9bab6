"""What help texts list, for the tests of everything that comes from the same tables."""

import re


def help_options(text):
    """The long options that a help text lists."""
    return re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.MULTILINE)


def help_commands(text):
    """The commands that a help text lists."""
    part = re.search(r"(?:COMMANDS|Commands:)\n(.*?)(?:\n\n|\Z)", text, re.DOTALL)
    words = re.findall(r"^  (\w+)", part[1], re.MULTILINE) if part else []
    return [word for word in words if word != "help"]


def all_commands(cli):
    """The words of each command, with the text of its help."""
    for name in help_commands(cli.bare("--help").text):
        text = cli.bare(name, "--help").text
        yield [name], text
        for child in help_commands(text):
            yield [name, child], cli.bare(name, child, "--help").text
