"""Remote pools, as far as no server is needed: what is told before anything is sent."""

import pytest

COMMANDS = {"feed": ["feed", "http://127.0.0.1:1/x", "{}"], "follow": ["follow", "http://127.0.0.1:1/x"],
            "duplex": ["duplex", "http://127.0.0.1:1/x"]}
HEAD = "-----BEGIN CERTIFICATE-----\n"


@pytest.fixture(params=COMMANDS)
def refused(request, cli):
    """Runs feed, follow or duplex of a remote pool with more options: a Usage error."""
    return lambda *flags: cli.run(*COMMANDS[request.param], *flags).usage()


def test_token_and_token_file(refused):
    error = refused("--token", "a", "--token-file", "missing")
    assert error["message"] == "--token cannot be combined with --token-file" and error["hint"]


def test_token_file_that_cannot_be_read(refused, cli):
    error = refused("--token-file", "missing")
    assert error["message"] == "failed to read token file" and error["path"] == "missing"
    assert error["causes"] == ["No such file or directory (os error 2)"]
    assert refused("--token-file", ".")["causes"] == ["Is a directory (os error 21)"]


@pytest.mark.parametrize("content", ["", "\n", " \t\r\n \n"])
def test_empty_token_file(refused, cli, content):
    (cli.root / "token").write_text(content)
    error = refused("--token-file", "token")
    assert error["message"] == "token file is empty" and error["path"] == "token"


def test_tls_ca_file(refused, cli):
    error = refused("--tls-ca", "missing")
    assert error["path"] == "missing" and error["causes"]
    (cli.root / "ca.pem").write_text("no certificate\n")
    error = refused("--tls-ca", "ca.pem")
    assert error["path"] == "ca.pem" and "certificate" in error["message"]


def test_files_that_are_right(refused, cli):
    """Whatever is wrong then, they are not."""
    (cli.root / "token").write_text(" secret \n")
    (cli.root / "ca.pem").write_text(HEAD)
    error = refused("--token-file", "token", "--tls-ca", "ca.pem", "--tls-skip-verify")
    assert "path" not in error and "token" not in error["message"]


@pytest.mark.parametrize("command", COMMANDS)
def test_create_is_refused(cli, command):
    error = cli.run(*COMMANDS[command], "--create").usage("does not support --create")
    assert "server-side" in error["hint"]


@pytest.mark.parametrize("flags,word", [
    (["--create"], "--create"), (["--since", "1h"], "--since"), (["--since", "2100-01-01T00:00:00Z"], "--since"),
    (["--replay", "1"], "--replay"), (["--tail", "1", "--replay", "0"], "--replay"), (["--no-notify"], "--no-notify"),
    (["--quiet-drops"], "--quiet-drops"),
])
def test_local_options_of_follow_are_refused(cli, flags, word):
    cli.run("follow", "http://127.0.0.1:1/x", *flags).usage(f"does not support {word}")
    cli.run("peek", "https://127.0.0.1:1/x", "--one", *flags).usage(f"does not support {word}")


@pytest.mark.parametrize("flags", [
    ["--token", "x"], ["--token-file", "x"], ["--tls-ca", "x"], ["--tls-skip-verify"],
    ["--token", "x", "--token-file", "y"],
])
@pytest.mark.parametrize("pool", ["demo", "missing", "./missing"])
def test_remote_options_need_a_remote_pool(demo, flags, pool):
    """Told before the pool is looked for."""
    for command in (["feed", pool, "{}"], ["follow", pool, "--tail", "1"],
                    ["duplex", pool]):
        error = demo.run(*command, *flags).usage()
        assert error["message"] == f"{command[0]} remote auth/TLS flags require a remote http(s) pool ref"
        assert "--token" in error["hint"]
    assert len(demo.data("demo")) == 3


@pytest.mark.parametrize("args,message", [
    (["feed", "--create-size", "1M"], "--create-size requires --create"),
    (["feed", "--retry-delay", "1s"], "--retry-delay requires --retry"),
    (["feed", "--durability", "slow"], "invalid durability"),
    (["feed", "--in", "jq", "--errors", "skip"], "--in jq does not support --errors skip"),
    (["follow", "--jsonl", "--format", "pretty"], "conflicting output options"),
    (["follow", "--since", "x"], "invalid --since value"),
    (["follow", "--timeout", "x"], "invalid duration"),
    (["follow", "--where", "("], "invalid filter expression"),
])
def test_other_options_come_first(cli, args, message):
    command, *flags = args
    assert cli.run(*COMMANDS[command], *flags, "--token", "a", "--token-file", "b").usage()["message"] == message
