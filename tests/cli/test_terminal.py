"""What people meet at a terminal: suggestions, colours, pictures, progress, and that nothing which came from outside
can drive the terminal. Contract sections 5 to 8 and 16."""

import pytest

PLAIN = {"NO_COLOR": "1"}


# --- "did you mean"

@pytest.mark.parametrize("words,meant,also", [
    (["folow", "chat"], "follow", "plasmite --help"),
    (["pool", "crate", "x"], "create", "plasmite pool --help"),
    (["hlep"], "help", "plasmite --help"),
    (["follow", "demo", "--tial", "3"], "--tail", "plasmite follow --help"),
    (["follow", "demo", "--sinse=3h"], "--since", "plasmite follow --help"),
    (["--verison"], "--version", "plasmite --help"),
    (["pool", "list", "--jsno"], "--json", "plasmite pool list --help"),
    (["follow", "demo", "--format", "jsnol"], "jsonl", "plasmite --help"),
    (["completion", "bahs"], "bash", "plasmite --help"),
    (["--color", "nevr", "version"], "never", "plasmite --help"),
])
def test_suggestions(cli, words, meant, also):
    hint = cli.bare(*words).usage()["hint"]
    assert f"Did you mean '{meant}'?" in hint and also in hint


@pytest.mark.parametrize("words", [
    ["poek"], ["peak", "x"], ["gte", "x", "1"],  # old spellings are not for new users
    ["follow", "demo", "--descirp", "x"], ["xyz"], ["follow", "demo", "--format", "xml"], ["feed", "demo", "{}", "{}"],
])
def test_no_suggestion(cli, words):
    error = cli.bare(*words).usage()
    assert "Did you mean" not in error["hint"] and "plasmite" in error["hint"]


def test_suggestions_of_pools(demo):
    demo.create("other")
    for command in (["pool", "info", "dmeo"], ["fetch", "demoo", "1"], ["doctor", "demo1"], ["follow", "deo"],
                    ["feed", "Demo", "{}"], ["feed", "dem.plasmite", "-f", "x"], ["feed", "ddemo"]):
        error = demo.run(*command, stdin=b"{}").fails("NotFound", 3)
        assert error["hint"].startswith("Did you mean 'demo'? "), command
        assert "--create" in error["hint"] or "plasmite pool create" in error["hint"]
    assert "Did you mean" not in demo.run("fetch", "unlike", "1").fails("NotFound", 3)["hint"]
    assert "Did you mean" not in demo.run("fetch", "./demo", "1").fails("NotFound", 3)["hint"]
    assert "exact command: plasmite feed dmeo --create" in demo.run("feed", "dmeo", "{}").error["hint"]


def test_suggestions_of_pools_to_delete(demo):
    done = demo.run("pool", "delete", "dmeo", "--json")
    assert done.json["failed"][0]["error"]["hint"].startswith("Did you mean 'demo'? ")
    assert "Did you mean 'demo'? List pools with" in demo.tty("pool", "delete", "dmeo").text
