"""doctor: contract section 16. Damage of all kinds is in test_hostile, repair of it in the engine's tests."""
import fcntl
import os
import subprocess

import pytest


def damage(cli, needle=b'{"n":2}', name="demo"):
    """Overwrites a message's data; returns the damaged file's bytes."""
    path = cli.path(name)
    data = path.read_bytes()
    assert data.count(needle) == 1
    data = data.replace(needle, b"#" * len(needle))
    path.write_bytes(data)
    return data


def test_healthy(demo):
    assert demo.run("doctor", "demo").ok().text == "OK: demo\n"
    report = demo.run("doctor", "demo", "--json").ok().json["reports"]
    assert len(report) == 1
    report = report[0]
    assert report["status"] == "ok" and report["pool_ref"] == "demo" and report["last_good_seq"] == 3
    assert report["path"].endswith("demo.plasmite")
    assert report["issue_count"] == 0 and report["issues"] == [] and report["remediation_hints"] == []
    assert report["snapshot_path"] is None


def test_empty_pool(cli):
    cli.create("a")
    assert cli.run("doctor", "a", "--json").ok().json["reports"][0]["last_good_seq"] is None
    assert "  messages:  empty\n" in cli.tty("doctor", "a").ok().text


def test_on_a_terminal(demo):
    assert demo.tty("doctor", "demo").ok().text == (
        "demo: healthy\n"
        "  messages:  3 (seq 1..3)\n"
        "  checked:   header, index, ring — 0 issues\n")
    demo.path("demo").write_bytes(b"no pool")
    done = demo.tty("doctor", "demo")
    assert done.code == 7
    assert done.text.startswith("demo: corrupt\n  messages:  empty\n")
    assert "— 1 issue\n  detail:    " in done.text


def test_all(demo):
    demo.create("another")
    done = demo.run("doctor", "--all").ok()
    assert done.text == f"OK: {demo.path('another')}\nOK: {demo.path('demo')}\n"
    reports = demo.run("doctor", "--all", "--json").ok().json["reports"]
    assert [report["pool_ref"] for report in reports] == [str(demo.path("another")), str(demo.path("demo"))]
    text = demo.tty("doctor", "--all").ok().text
    rows = [row.split() for row in text.splitlines()]
    assert text.startswith("All 2 pools healthy.\n") and ".plasmite" not in text
    assert rows[1] == ["another", "0", "messages", "0", "issues"]
    assert rows[2] == ["demo", "3", "messages", "0", "issues"]
    demo.path("demo").write_bytes(b"")
    done = demo.tty("doctor", "--all")
    assert done.code == 7 and done.text.startswith("1 of 2 pools unhealthy.\n")
    assert "✓ another" in done.text and "✗ demo" in done.text and "pls doctor demo" in done.text
    assert demo.run("doctor", "--all").code == 7


def test_nothing_to_check(cli):
    cli.run("doctor", "--all").fails("NotFound", 3)
    cli.pools.mkdir()
    assert cli.run("doctor", "--all").ok().text == "No pools found.\n"
    assert cli.run("doctor", "--all", "--json").ok().json == {"reports": []}


def test_usage(demo):
    error = demo.run("doctor", "demo", "--all").usage("--all cannot be combined")
    assert "Use --all by itself" in error["hint"]
    assert demo.run("doctor", "--json").usage()["message"] == "doctor requires a pool name or --all"
    error = demo.run("doctor", "missing").fails("NotFound", 3)
    assert error["path"].endswith("missing.plasmite") and "plasmite pool create missing" in error["hint"]


REPORT = {"issue_count", "issues", "last_good_seq", "path", "pool_ref", "remediation_hints", "snapshot_path", "status"}


def test_keys_of_reports(demo):
    demo.path("bad").write_bytes(b"damaged")
    done = demo.run("doctor", "--all", "--json")
    assert done.code == 7 and done.err == b"" and set(done.json) == {"reports"}
    for report in done.json["reports"]:
        assert REPORT <= set(report)
        assert report["issue_count"] == len(report["issues"]) == (report["status"] == "corrupt")
        for issue in report["issues"]:
            assert set(issue) == {"code", "message", "offset", "seq"} and issue["message"]
    assert [report["status"] for report in done.json["reports"]] == ["corrupt", "ok"]


def test_references(demo):
    """A pool is named as it was typed; with --all, by its path."""
    for ref in ("demo", "demo.plasmite", "./pools/demo.plasmite"):
        assert demo.run("doctor", ref).ok().text == f"OK: {ref}\n"
        assert demo.run("doctor", ref, "--json").ok().json["reports"][0]["pool_ref"] == ref


def test_all_goes_on_behind_a_corrupt_pool(cli):
    for name in ("c", "a", "b"):
        cli.create(name)
    cli.path("b").write_bytes(b"damaged")
    done = cli.run("doctor", "--all")
    assert done.code == 7 and done.err == b""
    assert [line.split(":")[0] for line in done.text.splitlines()] == ["OK", "CORRUPT", "OK"]
    assert "issue=" in done.text


def test_missing(cli):
    cli.create("a")
    error = cli.run("doctor", "./nope").fails("NotFound", 3)
    assert error["path"] == "./nope" and "path was not found" in error["hint"]
    for args in (["a", "--all"], ["--all", "a", "--json"], ["nope", "--all"]):
        error = cli.run("doctor", *args).usage("--all cannot be combined")
        assert "Use --all by itself" in error["hint"]


def test_what_a_repair_would_do(demo):
    damage(demo)
    hints = demo.run("doctor", "demo", "--json").json["reports"][0]["remediation_hints"]
    assert len(hints) == 1 and "`plasmite doctor demo --repair`" in hints[0]
    error = demo.run("fetch", "demo", "2").fails("Corrupt", 7)
    assert "--repair" in error["hint"] and "Recreate" in error["hint"]
    assert "hint: `plasmite doctor demo --repair`" in demo.tty(
        "doctor", "demo", env={"NO_COLOR": "1"}).text


def test_repair(demo):
    before = damage(demo)
    done = demo.run("doctor", "demo", "--repair", "--json").ok()
    assert done.err == b""
    report = done.json["reports"][0]
    assert report["status"] == "ok" and report["repaired"] is True
    assert report["messages_kept"] == 2 and report["messages_lost"] == 1
    assert report["last_good_seq"] == 3 and report["remediation_hints"] == []
    assert [issue["seq"] for issue in report["issues"]] == [2]
    snapshot = report["snapshot_path"]
    assert snapshot.startswith(f"{demo.path('demo')}.before-repair-20") and snapshot.endswith("Z")
    assert os.stat(snapshot).st_mode & 0o777 == 0o600
    with open(snapshot, "rb") as file:
        assert file.read() == before

    assert demo.run("doctor", "demo").ok().text == "OK: demo\n"
    assert demo.data("demo") == [{"n": 1}, {"n": 3}]
    assert demo.backlog("demo")[1]["meta"]["tags"] == ["a", "b"]
    demo.run("fetch", "demo", "2").fails("NotFound", 3)
    assert demo.feed("demo", {"n": 4})[0]["seq"] == 4
    assert demo.run("pool", "list", "--json").json["pools"][0]["name"] == "demo"
    assert len(demo.run("pool", "list", "--json").json["pools"]) == 1


def test_repair_told_in_lines_and_on_a_terminal(demo):
    damage(demo)
    done = demo.run("doctor", "--repair", "demo").ok()
    snapshot = done.text.split("snapshot=")[1].rstrip("\n")
    assert done.text == f"REPAIRED: demo kept=2 lost=1 snapshot={snapshot}\n"
    damage(demo, b'{"n":3}')
    text = demo.tty("doctor", "demo", "--repair").ok().text
    assert text.startswith("demo: repaired\n  messages:  1 (seq 1..1) kept, 1 lost\n"
                           "  checked:   header, index, ring — 1 issue\n  detail:    damaged message\n"
                           f"  snapshot:  {demo.path('demo')}.before-repair-")
    assert demo.run("doctor", "demo").ok().text == "OK: demo\n"
    assert demo.feed("demo", {"n": 4})[0]["seq"] == 4


def test_repair_leaves_the_healthy_alone(demo):
    before = demo.path("demo").read_bytes()
    inode = demo.path("demo").stat().st_ino
    assert demo.run("doctor", "demo", "--repair").ok().text == "OK: demo\n"
    report = demo.run("doctor", "demo", "--repair", "--json").ok().json["reports"][0]
    assert report["repaired"] is False and report["snapshot_path"] is None
    assert report["messages_kept"] == 3 and report["messages_lost"] == 0
    assert demo.path("demo").read_bytes() == before and demo.path("demo").stat().st_ino == inode
    assert os.listdir(demo.pools) == ["demo.plasmite"]


def test_repair_all(demo):
    demo.create("another")
    demo.create("zero")
    damage(demo)
    foreign = os.urandom(50000)
    demo.path("zero").write_bytes(foreign)
    done = demo.run("doctor", "--all", "--repair", "--json")
    assert done.code == 7 and done.err == b""
    reports = done.json["reports"]
    assert [report["status"] for report in reports] == ["ok", "ok", "corrupt"]
    assert [report["repaired"] for report in reports] == [False, True, False]
    assert reports[2]["repair_error"] and "ecreate" in reports[2]["remediation_hints"][0]
    assert demo.path("zero").read_bytes() == foreign
    done = demo.tty("doctor", "--all", "--repair")
    assert done.code == 7 and "✗ zero" in done.text and "not repaired: " in done.text
    demo.path("zero").unlink()
    damage(demo, b'{"n":1}')
    done = demo.tty("doctor", "--all", "--repair").ok()
    assert done.text.startswith("All 2 pools healthy, 1 repaired.\n")
    assert demo.run("doctor", "--all").ok().text.count("OK: ") == 2


@pytest.mark.parametrize("length", [0, 1, 4096, 50000])
def test_repair_of_too_little(demo, length):
    """Nothing is left to repair from: the file stays as it is."""
    path = demo.path("demo")
    path.write_bytes(path.read_bytes()[:length])
    done = demo.run("doctor", "demo", "--repair")
    assert done.code == 7 and done.text.startswith("CORRUPT: demo issue=") and "not repaired" in done.text
    assert path.stat().st_size == length and os.listdir(demo.pools) == ["demo.plasmite"]


@pytest.mark.parametrize("start, end", [(0, 128), (0, 4096), (512, 4096), (4096, 69632), (500000, None)])
def test_repair_of_what_is_not_a_message(demo, start, end):
    """Header, control words, index, or the file's end: the messages are all there."""
    demo.feed("demo", *({"n": n} for n in range(4, 24)))
    path = demo.path("demo")
    data = path.read_bytes()
    path.write_bytes(data[:start] + bytes(end - start) + data[end:] if end else data[:start])
    assert demo.run("doctor", "demo").code == 7
    assert demo.run("doctor", "demo", "--repair").ok().text.startswith("REPAIRED: demo kept=23 lost=0 ")
    assert demo.data("demo") == [{"n": n} for n in range(1, 24)]
    assert demo.feed("demo", {"n": 24})[0]["seq"] == 24
    assert path.stat().st_size == len(data)


def test_repair_of_an_older_format_is_refused(cli):
    cli.pools.mkdir()
    data = b"PLSM\3\0\0\0" + bytes(100000)
    cli.path("old").write_bytes(data)
    done = cli.run("doctor", "old", "--repair", "--json")
    assert done.code == 7 and "pool import" in done.json["reports"][0]["remediation_hints"][0]
    assert cli.path("old").read_bytes() == data and os.listdir(cli.pools) == ["old.plasmite"]


def test_repair_of_a_pool_in_use(demo):
    before = damage(demo)
    feeder = demo.start("feed", "demo", stdin=subprocess.PIPE)
    feeder.feed(b'{"n":4}\n')
    assert feeder.json()["seq"] == 4
    error = demo.run("doctor", "demo", "--repair").fails("Busy", 5)
    assert error["path"].endswith("demo.plasmite") and "repair" in error["hint"]
    done = demo.run("doctor", "--all", "--repair")
    assert done.code == 7 and "busy" in done.text
    feeder.feed(b'{"n":5}\n')
    assert feeder.json()["seq"] == 5
    assert feeder.finish().code == 0
    assert os.listdir(demo.pools) == ["demo.plasmite"] and before != demo.path("demo").read_bytes()
    with open(demo.path("demo"), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        demo.run("doctor", "demo", "--repair").fails("Busy", 5)
    assert demo.run("doctor", "demo", "--repair").ok().text.startswith("REPAIRED: demo kept=4 lost=1 ")
    assert demo.data("demo") == [{"n": 1}, {"n": 3}, {"n": 4}, {"n": 5}]


def test_repair_through_a_symbolic_link(demo):
    damage(demo)
    (demo.root / "elsewhere").mkdir()
    target = demo.root / "elsewhere" / "real.plasmite"
    demo.path("demo").rename(target)
    demo.path("demo").symlink_to(target)
    assert demo.run("doctor", "demo", "--repair").ok().text.startswith("REPAIRED: demo kept=2 ")
    assert demo.path("demo").is_symlink() and demo.data("demo") == [{"n": 1}, {"n": 3}]
    assert len(os.listdir(demo.root / "elsewhere")) == 2


def test_repair_names_never_clash(demo):
    for needle in (b'{"n":1}', b'{"n":2}', b'{"n":3}'):
        damage(demo, needle)
        demo.run("doctor", "demo", "--repair").ok()
    assert len(os.listdir(demo.pools)) == 4
    assert demo.data("demo") == []
    assert demo.feed("demo", {"n": 4})[0]["seq"] == 4
