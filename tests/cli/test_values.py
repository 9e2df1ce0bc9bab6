"""What values look like: sizes, durations, times, speeds, numbers. Each text, and what comes of it."""

import json

import pytest

MIB = 1 << 20
SUFFIX, SIZE, OVERFLOW = "invalid size suffix", "invalid size", "size overflow"
TOO_SMALL = "file_size must exceed header and index size"


@pytest.mark.parametrize("text,expected", [
    ("65536", 65536), ("64K", 65536), ("64k", 65536), ("1M", MIB), ("1m", MIB), (" 1M", MIB), ("1M ", MIB),
    ("\t64K\n", 65536), ("0064K", 65536), ("5120", 5120),
    ("", SIZE), (" ", SIZE), ("K", SIZE), ("M1", SIZE), ("-1", SIZE), ("+1", SIZE), ("x", SIZE),
    ("1KiB", SUFFIX), ("1MB", SUFFIX), ("1T", SUFFIX), ("1b", SUFFIX), ("1 M", SUFFIX), ("1.5M", SUFFIX),
    ("0x10", SUFFIX), ("1e6", SUFFIX), ("1MM", SUFFIX),
    ("18446744073709551616", OVERFLOW), ("17179869184G", OVERFLOW), ("18014398509481984K", OVERFLOW),
    ("99999999999999999999999999", OVERFLOW),
    ("0", TOO_SMALL), ("1", TOO_SMALL), ("4096", TOO_SMALL), ("1K", TOO_SMALL), ("5119", TOO_SMALL),
])
def test_sizes(cli, text, expected):
    created = cli.run("pool", "create", "a", f"--size={text}")
    fed = cli.run("feed", "b", "--create", f"--create-size={text}", '{"n":1}')
    if isinstance(expected, int):
        assert cli.path("a").stat().st_size == expected and created.ok()
        assert cli.path("b").stat().st_size == expected and fed.ok()
        return
    assert created.usage()["message"] == expected and created.error["hint"]
    assert fed.usage()["message"] == expected
    assert not cli.path("a").exists() and not cli.path("b").exists()


@pytest.mark.parametrize("text", ["0ms", "0s", "0m", "0h", "00000ms", "000s"])
def test_durations_of_nothing(demo, text):
    done = demo.run("follow", "demo", "--tail", "1", "--jsonl", "--timeout", text)
    assert done.code == 124 and len(done.lines) == 1 and done.err == b""


@pytest.mark.parametrize("text", ["1ms", "30s", "10m", "24h", "18446744073709551615ms", "5124095576030h"])
def test_durations(demo, text):
    demo.run("feed", "demo", "--retry", "1", "--retry-delay", text, "{}").ok()
    demo.run("follow", "demo", "--tail", "1", "--one", "--timeout", text).ok()


@pytest.mark.parametrize("text", [
    "", "5", "ms", "s", "5S", "5MS", "5Ms", "5d", "5us", "5sec", "5 s", " 5s", "5s ", "1.5s", "-5s", "+5s", "5sm",
    "18446744073709551616ms", "18446744073709551615s", "5124095576031h", "99999999999999999999999999h",
])
def test_bad_durations(cli, text):
    for args in (["follow", "missing", f"--timeout={text}"],
                 ["feed", "missing", "{}", "--retry=1", f"--retry-delay={text}"]):
        error = cli.run(*args).usage()
        assert error["message"] == "invalid duration" and "500ms" in error["hint"]


@pytest.mark.parametrize("text", [
    "5s", "5S", "5m", "5M", "5h", "5H", "5d", "5D", " 5m", "5m ", "\t5m\n", "00005m", "18446744073709551615d",
    "18446744073709551615s", "106751991167301d",
    "2024-02-29T00:00:00Z", "2024-02-29t00:00:00z", "2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00-23:59",
    "2024-01-01T00:00:00.1Z", "2024-01-01T00:00:00.123456789Z", "2024-01-01T00:00:00.1234567891234Z",
    " 2024-01-01T00:00:00Z ", "1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-01T00:00:00Z",
])
def test_since_times_in_the_past(demo, text):
    """Also those before 1970, and ages that reach back behind it."""
    done = demo.run("follow", "demo", "--jsonl", f"--since={text}", "--replay", "0").ok()
    assert [line["seq"] for line in done.lines] == [1, 2, 3]


@pytest.mark.parametrize("text", [
    "", " ", "5", "s", "5x", "5ms", "5w", "5 m", "5mm", "1.5h", "-5m", "+5m", "18446744073709551616s", "now", "today",
    "2024-01-01", "2024-01-01T00:00", "2024-01-01T00:00:00", "2024-01-01T00:00Z", "2024-13-01T00:00:00Z",
    "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:00+0100",
    "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00Zx", "24-01-01T00:00:00Z",
])
def test_bad_since_times(cli, text):
    error = cli.run("follow", "missing", f"--since={text}").usage()
    assert error["message"] == "invalid --since value" and "RFC 3339" in error["hint"]


def test_since_is_exact_to_the_nanosecond(cli):
    """A message is shown from its own time on, and not from one nanosecond later."""
    receipt = cli.run("feed", "a", "--create", '{"n":1}').ok().json
    whole, _, fraction = receipt["time"].rstrip("Z").partition(".")
    ns = int(fraction.ljust(9, "0"))
    for offset, expected in ((-1, 1), (0, 1), (1, 0)):
        if not 0 <= ns + offset < 10**9:
            continue
        time = f"{whole}.{ns + offset:09d}Z"
        assert len(cli.run("follow", "a", "--since", time, "--replay", "0", "--jsonl").ok().lines) == expected


@pytest.mark.parametrize("text", ["0", "1000000", "1e9", "1E9", ".5e9", "5.e9", "+1e9", "-0", "-0.0", "1e-400", "0.0"])
def test_speeds(cli, text):
    """All but 0 fast enough not to be noticed, or with nothing to wait for."""
    cli.run("feed", "a", "--create", '{"n":1}').ok()
    assert cli.run("follow", "a", "--tail", "9", f"--replay={text}", "--data-only", "--jsonl").ok().out == b'{"n":1}\n'


NOT_FINITE = "--replay must be a finite number that is not negative"


@pytest.mark.parametrize("text,message", [
    *[(text, NOT_FINITE) for text in ("-1", "-1e-3", "nan", "NaN", "-nan", "inf", "Infinity", "-inf", "1e400")],
    *[(text, f"invalid value '{text}' for '--replay <SPEED>': invalid float literal")
      for text in ("", " 1", "1 ", "x", "1x", "0x1", "1_0", "1,5", "nan(1)", "--1")],
])
def test_bad_speeds(cli, text, message):
    assert cli.run("follow", "missing", "--tail", "1", f"--replay={text}").usage()["message"] == message


EMPTY, DIGIT, LARGE = ("cannot parse integer from empty string", "invalid digit found in string",
                       "number too large to fit in target type")


@pytest.mark.parametrize("args,what,limit", [
    (["fetch", "missing", "{}"], "<SEQ>", 2**64), (["follow", "missing", "--tail={}"], "--tail <TAIL>", 2**64),
    (["feed", "missing", "x", "--retry={}"], "--retry <RETRY>", 2**32),
    (["pool", "create", "a", "--size", "1K", "--index-capacity={}"], "--index-capacity <INDEX_CAPACITY>", 2**32),
])
def test_whole_numbers(cli, args, what, limit):
    run = lambda text: cli.run(*(arg.replace("{}", text) if "=" in arg or arg == "{}" else arg for arg in args))
    for text, reason in (("", EMPTY), ("x", DIGIT), ("1.5", DIGIT), ("1e3", DIGIT), (" 1", DIGIT), ("1 ", DIGIT),
                         ("0x1", DIGIT), ("+", DIGIT), (str(limit), LARGE), ("9" * 40, LARGE)):
        assert run(text).usage()["message"] == f"invalid value '{text}' for '{what}': {reason}"
    for text in ("0", "007", "+1", str(limit - 1)):
        assert "invalid value" not in run(text).error["message"]


@pytest.mark.parametrize("text", ["", "Fast", "FLUSH", "sync", "fast ", "1"])
def test_bad_durability(cli, text):
    error = cli.run("feed", "missing", "{}", f"--durability={text}").usage()
    assert error["message"] == "invalid durability" and "flush" in error["hint"]


@pytest.mark.parametrize("args,what,choices", [
    (["--color={}", "version"], "--color <COLOR>", "auto always never"),
    (["feed", "a", "{}", "--in={}"], "--in <INPUT>", "auto jsonl json seq jq"),
    (["feed", "a", "--errors={}"], "--errors <ERRORS>", "stop skip"),
    (["follow", "a", "--format={}"], "--format <FORMAT>", "pretty jsonl"),
    (["completion", "{}"], "<SHELL>", "bash elvish fish powershell zsh"),
])
def test_choices_are_lower_case(cli, args, what, choices):
    for choice in choices.split():
        for text in {choice.upper(), choice.capitalize(), choice + " ", choice[:-1], ""} - set(choices.split()):
            error = cli.bare(*(arg.replace("{}", text) if "=" in arg or args[0] == "completion" else arg
                               for arg in args)).usage()
            assert error["message"] == f"invalid value '{text}' for '{what}'"
            assert "plasmite --help" in error["hint"] and choices.replace(" ", ", ") in error["hint"]


# --- how values of ours are written

def test_strings_of_ours(cli):
    """Escapes where JSON needs them, everything else as it is."""
    receipt = cli.run("feed", "a", "--create", "--tag", '"\\\b\f\n\r\t\x01\x1f\x7f/é😀', "{}").ok()
    assert rb'["\"\\\b\f\n\r\t\u0001\u001f' + b"\x7f/" + "é😀".encode() + b'"]' in receipt.out


def test_times_have_no_trailing_zeros(cli):
    cli.create("a")
    times = [receipt["time"] for _ in range(20) for receipt in cli.feed("a", {"n": 1})]
    times.append(json.loads(cli.run("pool", "list", "--json").ok().out)["pools"][0]["mtime"])
    for time in times:
        whole, _, fraction = time.rstrip("Z").partition(".")
        assert time.endswith("Z") and len(whole) == 19 and len(fraction) <= 9
        assert not fraction.endswith("0") and not time.endswith(".Z")


def test_used_percent_is_a_number_cut_to_two_digits(cli):
    cli.create("a", "--size", "64K")
    seen = set()
    for _ in range(30):
        out = cli.run("pool", "info", "a", "--json").ok()
        use = out.json["metrics"]["utilization"]
        exact = 100 * use["used_bytes"] / out.json["ring_size"]
        assert exact - 0.01 < use["used_percent"] <= exact + 1e-9
        assert isinstance(use["used_percent"], float) and round(use["used_percent"], 2) == use["used_percent"]
        seen.add(use["used_percent"])
        cli.feed("a", {"p": "x" * 1500})
    assert len(seen) > 10 and 0.0 in seen
