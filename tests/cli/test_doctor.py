"""doctor: contract section 16. Damage of all kinds is in test_hostile."""


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
