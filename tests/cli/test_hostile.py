"""What goes wrong outside: damaged and foreign files, full disks, closed streams, hostile input.
Contract sections 6 and 23."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from conftest import BIN

IS_ROOT = os.geteuid() == 0


def damage_empty(path):
    path.write_bytes(b"")


def damage_one_byte(path):
    path.write_bytes(b"P")


def damage_half(path):
    os.truncate(path, path.stat().st_size // 2)


def damage_tail(path):
    os.truncate(path, path.stat().st_size - 128)


def damage_zero_header(path):
    with open(path, "r+b") as file:
        file.write(bytes(4096))


def damage_magic(path):
    with open(path, "r+b") as file:
        file.write(b"NOTAPOOL")


def damage_foreign(path):
    path.write_bytes(os.urandom(200000))


DAMAGE = [damage_empty, damage_one_byte, damage_half, damage_tail, damage_zero_header, damage_magic, damage_foreign]
COMMANDS = [
    ["pool", "info", "demo"], ["fetch", "demo", "1"], ["follow", "demo", "--tail", "1"],
    ["feed", "demo", "{}"], ["feed", "demo", "--create", "{}"],
]


@pytest.mark.parametrize("damage", DAMAGE, ids=[damage.__name__ for damage in DAMAGE])
@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(command) for command in COMMANDS])
def test_damaged_files(demo, damage, command):
    damage(demo.path("demo"))
    error = demo.run(*command, timeout=20).fails("Corrupt", 7)
    assert error["path"].endswith("demo.plasmite") and "Recreate" in error["hint"]


@pytest.mark.parametrize("damage", DAMAGE, ids=[damage.__name__ for damage in DAMAGE])
def test_doctor_on_damaged_files(demo, damage):
    damage(demo.path("demo"))
    done = demo.run("doctor", "demo", "--json")
    assert done.code == 7 and done.err == b""
    report = done.json["reports"][0]
    assert report["status"] == "corrupt" and report["issue_count"] >= 1
    assert report["issues"][0]["code"] == "corrupt" and report["remediation_hints"]


def frame_offset(pool, needle):
    data = pool.read_bytes()
    assert data.count(needle) == 1
    return data.index(needle)


FLUSH_FAILED = 1052  # docs/format.md: a sync has failed


def fail_later_syncs(path):
    with open(path, "r+b") as file:
        file.seek(FLUSH_FAILED)
        file.write(b"\1\0\0\0")


def test_what_is_not_flushed_is_said_to_be_stored(cli):
    """No receipt, but nobody should feed it again."""
    feeder = cli.start("feed", "demo", "--create", "--durability", "flush", stdin=subprocess.PIPE)
    feeder.feed(b'{"n":1}\n')
    assert feeder.json()["seq"] == 1
    fail_later_syncs(cli.path("demo"))
    feeder.feed(b'{"n":2}\n')
    done = feeder.finish()
    error = done.fails("Io", 8)
    assert error["seq"] == 2 and "is stored" in error["hint"] and done.out == b""
    assert cli.run("fetch", "demo", "2").ok().json["data"] == {"n": 2}


def test_what_tap_could_not_flush_is_said_to_be_stored(cli):
    os.mkfifo(cli.root / "gate")
    script = "echo a; read _ < gate; echo b"
    tap = cli.start("tap", "demo", "--create", "--durability", "flush", "--", "sh", "-c", script)
    assert tap.line() == b"a"
    follower = cli.start("follow", "demo", "--tail", "9", "--jsonl")
    while follower.json()["data"].get("line") != "a":
        pass
    fail_later_syncs(cli.path("demo"))
    (cli.root / "gate").write_text("\n")
    done = tap.finish()
    assert b"is stored" in done.err, done


def test_damaged_message(demo):
    """Nothing spins, nothing wrong is printed, what is intact stays readable."""
    path = demo.path("demo")
    at = frame_offset(path, b'{"n":2}')
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b'{"n":9}')
    demo.run("fetch", "demo", "2", timeout=20).fails("Corrupt", 7)
    assert demo.run("fetch", "demo", "1").ok().json["data"] == {"n": 1}
    assert demo.run("fetch", "demo", "3").ok().json["data"] == {"n": 3}
    done = demo.run("follow", "demo", "--tail", "3", "--jsonl", timeout=20)
    assert done.code == 7 and [line["seq"] for line in done.lines] == [1]
    error = done.error
    assert error["kind"] == "Corrupt" and error["offset"] > 4096 and error["seq"] == 2
    assert demo.run("pool", "info", "demo", timeout=20).code == 0
    demo.run("pool", "list", timeout=20).ok()
    done = demo.run("doctor", "demo")
    assert done.code == 7 and done.err == b""
    assert re.match(r"^CORRUPT: demo last_good_seq=1 issue=.+\n$", done.text)


def test_upstream_pool_names_the_import(cli):
    """A file of the older format, version 3: its header as docs have it."""
    header = bytearray(4096)
    header[0:4] = b"PLSM"
    header[4:8] = (3).to_bytes(4, "little")
    header[8] = 1
    header[16:24] = (65536).to_bytes(8, "little")
    cli.pools.mkdir()
    cli.path("old").write_bytes(bytes(header) + bytes(65536 - 4096))
    for command in (["pool", "info", "old"], ["feed", "old", "{}"], ["follow", "old"]):
        error = cli.run(*command).usage("version")
        assert "pool import" in error["hint"]
    report = cli.run("doctor", "old", "--json")
    assert report.code == 7 and report.json["reports"][0]["issues"][0]["code"] == "format"


def test_a_directory_instead_of_a_pool(cli):
    cli.path("demo").mkdir(parents=True)
    for command in COMMANDS:
        error = cli.run(*command).fails("Io", 8)
        assert error["path"].endswith("demo.plasmite") and error["hint"]


def test_a_fifo_instead_of_a_pool(cli):
    cli.pools.mkdir()
    os.mkfifo(cli.path("demo"))
    for command in COMMANDS:
        assert cli.run(*command, timeout=20).code != 0


def test_a_directory_as_parent_is_a_file(cli):
    (cli.root / "file").write_text("x")
    cli.run("fetch", "file/pool", "1").fails("NotFound", 3)
    cli.run("feed", "file/pool", "--create", "{}").code != 0


def as_nobody(args, **kwargs):
    return subprocess.run(args, user=65534, group=65534, extra_groups=[], capture_output=True, timeout=20,
                          check=False, **kwargs)


@pytest.fixture
def open_home(cli):
    """Everything down to the test's directory may be entered by others."""
    path = cli.root
    changed = []
    while path != path.parent:
        mode = path.stat().st_mode
        if not mode & 0o001:
            changed.append((path, mode))
            path.chmod(mode | 0o005)
        path = path.parent
    yield cli
    for path, mode in changed:
        path.chmod(mode)


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_permissions(open_home):
    cli = open_home
    cli.create("a")
    cli.feed("a", {"n": 1})
    cli.pools.chmod(0o755)
    binary = shutil.copy(BIN, cli.root / "plasmite")
    run = lambda *args: as_nobody([binary, "--dir", cli.pools, *args], env=cli.env)

    for command in (["feed", "a", "{}"], ["fetch", "a", "1"], ["pool", "info", "a"], ["pool", "create", "b"]):
        done = run(*command)
        error = json.loads(done.stderr)["error"]
        assert done.returncode == 6 and error["kind"] == "Permission", command
        assert error["hint"] and error["path"] and error["causes"]
    done = run("pool", "delete", "a", "--json")
    assert done.returncode == 8 and done.stderr == b""
    error = json.loads(done.stdout)["failed"][0]["error"]
    assert error["kind"] == "Io" and error["message"] == "failed to delete pool"

    cli.path("a").chmod(0o444)  # readable: reading works, waiting too; appending does not
    assert json.loads(run("fetch", "a", "1").stdout)["data"] == {"n": 1}
    assert run("follow", "a", "--tail", "1", "--jsonl", "--timeout", "0ms").returncode == 124
    assert run("feed", "a", "{}").returncode == 6


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_following_a_read_only_file_sees_new_messages(open_home):
    cli = open_home
    cli.create("a")
    cli.feed("a", {"n": 1})
    cli.pools.chmod(0o755)
    cli.path("a").chmod(0o444)
    binary = shutil.copy(BIN, cli.root / "plasmite")
    follower = subprocess.Popen([binary, "--dir", cli.pools, "follow", "a", "--tail", "1", "--jsonl"],
                                user=65534, group=65534, extra_groups=[], env=cli.env, stdout=subprocess.PIPE)
    try:
        assert json.loads(follower.stdout.readline())["seq"] == 1
        cli.feed("a", {"n": 2})
        assert json.loads(follower.stdout.readline())["seq"] == 2
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


@pytest.fixture
def small_disk(cli):
    """A file system of 1 MiB at cli.pools."""
    cli.pools.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", cli.pools],
                          capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("cannot mount a small disk here")
    yield cli
    subprocess.run(["umount", "-l", cli.pools], check=True)


def test_full_disk(small_disk):
    """Creation fails and leaves nothing; a pool that was created can always be filled."""
    cli = small_disk
    cli.create("a", "--size", "512K")
    error = cli.run("pool", "create", "b", "--size", "1M").fails("Io", 8)
    assert error["path"].endswith("b.plasmite") and error["hint"]
    assert "No space left on device" in error["causes"][0]
    assert not cli.path("b").exists()
    (cli.pools / "filler").write_bytes(bytes(os.statvfs(cli.pools).f_bavail * os.statvfs(cli.pools).f_bsize))
    for _ in range(3):
        cli.feed("a", *({"p": "x" * 1000} for _ in range(600)))
    assert cli.run("follow", "a", "--tail", "1", "--jsonl", "--timeout", "0ms").lines[0]["seq"] == 1800
    cli.run("feed", "c", "--create", "{}").fails("Io", 8)


# --- input

def test_a_line_of_100_megabytes(cli, tmp_path):
    file = tmp_path / "line"
    with open(file, "wb") as out:
        out.write(b'{"n":1}\n{"p":"')
        for _ in range(100):
            out.write(b"x" * 1000000)
        out.write(b'"}\n{"n":2}\n')
    cli.create("a")
    with open(file, "rb") as stdin:
        done = cli.run("feed", "a", stdin=stdin)
        assert done.usage("record exceeds size limit") and len(done.lines) == 1
    done = cli.run("feed", "a", "-e", "skip", "--file", file)
    assert done.code == 1 and len(done.lines) == 2
    assert [item.get("n") for item in cli.data("a")] == [1, 1, 2]


@pytest.mark.parametrize("bad", [
    b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf5\x80\x80\x80"}', b'{"a":"\xc0\x80"}', b'{"\xff":1}',
    b'{"a":"\\ud800"}', b'{"a":"\x00"}', b'{"a":"\\x"}', b'{"a":01}', b'{"a":1e}', b'{"a":.5}', b'{"a":+1}',
    b'{"a":NaN}', b"{'a':1}", b'{"a":1,}', b'{a:1}', b'\x00', b'{"a":\x0c1}',
])
def test_input_that_is_not_json(cli, bad):
    cli.create("a")
    cli.run("feed", "a", stdin=bad).usage("invalid json input")
    done = cli.run("feed", "a", "-e", "skip", stdin=bad + b'\n{"n":1}\n')
    assert done.code == 1 and cli.data("a") == [{"n": 1}]
    for notice in done.notices:
        assert len(notice["details"].get("snippet", "").encode()) <= 200


def test_arguments_that_are_not_utf8(cli):
    done = subprocess.run([BIN, "--dir", cli.pools, "feed", b"x\xff", b"{}"], env=cli.env, capture_output=True,
                          check=False)
    error = json.loads(done.stderr)["error"]
    assert done.returncode == 3 and "x\ufffd" in error["path"]
    done = subprocess.run([BIN, "--dir", cli.pools, "feed", "a", "--create", "--tag", b"\xff", b"{}"], env=cli.env,
                          capture_output=True, check=True)
    assert json.loads(done.stdout)["meta"]["tags"] == ["\ufffd"]


# --- streams

@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_never_touch_the_pool(demo, closed):
    """A descriptor that is closed at the start must not become the pool's."""
    before = demo.data("demo")
    for command in ("feed demo '{\"n\":4}'", "fetch demo 1", "fetch demo 99", "pool info demo"):
        subprocess.run(["sh", "-c", f'"$0" --dir "$1" {command} {closed}', BIN, demo.pools], env=demo.env,
                       capture_output=True, timeout=20, check=False)
    assert demo.data("demo") == before + [{"n": 4}]
    assert demo.run("doctor", "demo").ok().text == "OK: demo\n"


def test_feed_into_a_closed_pipe(cli):
    """What was fed stays, whoever reads the receipts."""
    cli.create("a")
    for handler, code in ((signal.SIG_DFL, -signal.SIGPIPE), (signal.SIG_IGN, 141)):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([BIN, "--dir", cli.pools, "feed", "a", '{"n":1}'], env=cli.env, stdout=writer,
                              stderr=subprocess.PIPE, timeout=20, check=False, restore_signals=False,
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, handler))
        os.close(writer)
        assert done.returncode == code and done.stderr == b""
    assert cli.data("a") == [{"n": 1}] * 2


def test_output_that_cannot_be_written(demo):
    with open("/dev/full", "wb") as full:
        for command in (["fetch", "demo", "1"], ["pool", "info", "demo"], ["--help"], ["version"],
                        ["follow", "demo", "--tail", "3", "--jsonl"], ["feed", "demo", '{"n":4}']):
            error = demo.run(*command, stdout=full).fails("Io", 8, "failed to write output")
            assert error["causes"] == ["No space left on device (os error 28)"]
    assert len(demo.data("demo")) == 4


def test_a_limit_of_file_sizes_is_an_error(demo, tmp_path):
    """Its signal would end the program."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))

    with open(tmp_path / "out", "wb") as out:
        error = demo.run("follow", "demo", "--tail", "3", "--jsonl", "--timeout", "0ms", stdout=out,
                         preexec_fn=limit).fails("Io", 8, "failed to write output")
    assert error["causes"] == ["File too large (os error 27)"]
    demo.run("feed", "new", "--create", "{}", preexec_fn=limit).fails("Io", 8)
    assert not demo.path("new").exists()
    demo.run("feed", "demo", '{"n":4}', preexec_fn=limit, stdout=subprocess.DEVNULL).ok()


def test_truncated_while_followed(demo):
    """Reading a mapped page that the file no longer has is an error, not a SIGBUS."""
    follower = demo.follow_live("demo")
    os.truncate(demo.path("demo"), 4096)
    done = follower.finish()
    assert done.code == 7 and done.error["kind"] == "Corrupt"


def test_killed_feeds_lose_nothing_that_was_receipted(cli):
    cli.create("a", "--size", "8M")
    receipted = set()
    for round_ in range(5):
        running = cli.start("feed", "a", stdin=-1)
        for n in range(50):
            running.feed(json.dumps({"r": round_, "n": n}).encode() + b"\n")
        for n in range(10 * (round_ + 1)):
            receipted.add(running.json()["seq"])
        running.process.kill()
        running.process.wait()
    stored = [message["seq"] for message in cli.backlog("a")]
    assert stored == list(range(1, len(stored) + 1))
    assert receipted <= set(stored)


def test_deleted_while_fed(cli):
    cli.create("a")
    running = cli.start("feed", "a", stdin=-1)
    running.feed(b'{"n":1}\n')
    assert running.json()["seq"] == 1
    cli.run("pool", "delete", "a").ok()
    running.feed(b'{"n":2}\n')
    done = running.finish()
    assert done.out == b""  # no receipt for what nobody can find
    done.fails("NotFound", 3, "deleted")


PRINTING = [
    ["--help"], ["feed", "--help"], ["version"], ["completion", "bash"], ["fetch", "demo", "1"], ["pool", "list"],
    ["pool", "info", "demo", "--json"], ["pool", "create", "new"], ["pool", "delete", "demo"], ["doctor", "demo"],
    ["follow", "demo", "--tail", "9", "--replay", "0"], ["follow", "demo", "--tail", "9", "--jsonl"],
    ["feed", "demo", '{"n":4}'], ["poke", "demo", '{"n":4}'],
]


@pytest.mark.parametrize("args", PRINTING, ids=[" ".join(args) for args in PRINTING])
def test_closed_pipes_are_no_error(demo, args):
    """Nobody reads: it ends quietly, by the signal or, where that is ignored, with its shell's code."""
    for handler, code in ((signal.SIG_DFL, -signal.SIGPIPE), (signal.SIG_IGN, 141)):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([BIN, "--dir", demo.pools, *args], env=demo.env, stdout=writer, stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=20, check=False, restore_signals=False,
                              preexec_fn=lambda: signal.signal(signal.SIGPIPE, handler))
        os.close(writer)
        assert done.returncode == code and done.stderr == b""
        if args[:2] in (["pool", "create"], ["pool", "delete"]):  # done once, whether it could be told or not
            assert demo.path("new").exists() or not demo.path("demo").exists()
            return


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_a_directory_that_may_not_be_read(open_home):
    cli = open_home
    cli.create("a")
    cli.pools.chmod(0o700)
    binary = shutil.copy(BIN, cli.root / "plasmite")
    done = as_nobody([binary, "--dir", cli.pools, "pool", "list", "--json"], env=cli.env)
    pools = json.loads(done.stdout)["pools"]
    assert done.returncode == 0 and done.stderr == b""
    assert [pool["name"] for pool in pools] == ["pools"] and pools[0]["error"]["error"]["kind"] == "Io"
    assert as_nobody([binary, "--dir", cli.pools, "pool", "list"], env=cli.env).stdout.split()[8:10] == [b"pools", b"ERR"]
    for args in (["pool", "info", "a"], ["fetch", "a", "1"], ["pool", "create", "b"], ["feed", "b", "--create", "{}"]):
        done = as_nobody([binary, "--dir", cli.pools, *args], env=cli.env)
        error = json.loads(done.stderr)["error"]
        assert done.returncode == 6 and error["kind"] == "Permission" and error["hint"] and done.stdout == b""


@pytest.mark.parametrize("once", [True, False])
def test_no_allocation_that_fails_crashes_a_listing(demo, tmp_path, once):
    """The n-th fails, or all from there on, by the library that stands before libc in tests/proof."""
    inject = Path(BIN).parent / "tests/proof/libinject.so"
    if not inject.exists() or b"__asan_" in Path(BIN).read_bytes():
        pytest.skip("needs tests/proof/libinject.so, without sanitizers")
    steering = tmp_path / "steering"
    env = {"LD_PRELOAD": str(inject), "PLSM_INJECT": str(steering)}
    n_failed, n = 1, 0
    while n_failed > 0:
        n += 1
        # struct inject: memory, ENOMEM, not once alone, the n-th
        steering.write_bytes(struct.pack("=iii4xqqqq", 1, errno.ENOMEM, not once, n, 0, 0, 0))
        done = demo.run("pool", "list", env=env)
        n_failed = struct.unpack_from("=q", steering.read_bytes(), 32)[0]
        assert done.code >= 0, (n, done)  # no signal
    assert done.code == 0 and n > 10


def test_feeder_and_follower_that_are_stopped_and_continued_lose_nothing(demo):
    """Each SIGCONT interrupts the wait that the SIGSTOP fell into."""
    follower = demo.follow_live("demo")
    feeder = demo.start("feed", "demo", "--durability", "flush", stdin=subprocess.PIPE)
    for n in range(300):
        for process in (feeder.process, follower.process):
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
        feeder.feed(b'{"n":%d}\n' % n)
        assert follower.json()["data"] == {"n": n}
    assert len(feeder.finish().ok().lines) == 300
