"""Pools that earlier programs have written (tests/golden) are read as they were, for ever; those of
later ones are refused and left alone."""

import json
import platform
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT

GOLDEN = sorted((ROOT / "tests/golden").glob("*.plasmite"))
BOOT_ID_OFFSET = 1152
BEGINNING = "1970-01-01T00:00:00Z"

# Whose control words: of a machine that was started anew since, or of this very start of it.
BOOTS = ["another boot", "this boot"]


def boot_id():
    return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", ""))


def messages_of(golden):
    return golden.with_suffix(".jsonl").read_bytes().splitlines()


@pytest.fixture(params=BOOTS)
def boot(request):
    return request.param


@pytest.fixture
def copy(cli, boot):
    """Copies a golden pool to where the program finds it, as `p`."""

    def make(golden):
        cli.pools.mkdir(exist_ok=True)
        shutil.copy(golden, cli.path("p"))
        if boot == "this boot":
            with open(cli.path("p"), "r+b") as file:
                file.seek(BOOT_ID_OFFSET)
                file.write(boot_id())
        return cli.path("p")

    return make


def read_all(cli):
    done = cli.run("follow", "p", "--since", BEGINNING, "--replay", "0", "--jsonl").ok()
    return done.out.splitlines()


def test_there_are_golden_pools():
    assert len(GOLDEN) >= 10


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_every_message_is_read(cli, copy, golden):
    copy(golden)
    wanted = messages_of(golden)
    assert read_all(cli) == wanted
    for line in wanted[:: max(1, len(wanted) // 5)]:
        assert cli.run("fetch", "p", json.loads(line)["seq"]).ok().out.splitlines() == [line]
    report = cli.run("doctor", "p", "--json").ok().json["reports"][0]
    assert report["status"] == "ok"
    bounds = cli.run("pool", "info", "p", "--json").ok().json["bounds"]
    seqs = [json.loads(line)["seq"] for line in wanted]
    assert bounds == ({"oldest": seqs[0], "newest": seqs[-1]} if seqs else {})


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_a_pool_is_written_further(cli, copy, golden):
    copy(golden)
    before = messages_of(golden)
    fed = cli.run("feed", "p", '{"new":true}', "--tag", "new", "--durability", "flush").ok().json
    after = read_all(cli)
    newest = json.loads(after[-1])
    assert newest["data"] == {"new": True} and newest["seq"] == fed["seq"]
    # A dead writer's message was never there: the seq goes on behind the last that was.
    assert not before or fed["seq"] == json.loads(before[-1])["seq"] + 1
    # What had to go is the oldest; the rest is as it was.
    assert after[:-1] == before[len(before) - len(after) + 1 :]


def test_the_dead_writer_left_its_lock_behind():
    """Or the pool named for it would show nothing."""
    crashed = ROOT / "tests/golden/v1-crashed.plasmite"
    assert struct.unpack_from("<I", crashed.read_bytes(), 768)[0] != 0


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def make_version(path, version):
    data = bytearray(path.read_bytes())
    assert struct.unpack_from("<I", data, 124)[0] == crc32c(data[:124])
    struct.pack_into("<I", data, 8, version)
    struct.pack_into("<I", data, 124, crc32c(data[:124]))
    path.write_bytes(data)


@pytest.mark.parametrize("version", [0, 2, 3, 2**31, 2**32 - 1])
@pytest.mark.parametrize("command", [
    ["pool", "info", "p"], ["fetch", "p", "1"], ["follow", "p", "--tail", "1"], ["feed", "p", "{}"],
    ["feed", "p", "--create", "{}"], ["feed", "p", "--durability", "flush", "{}"], ["tap", "p", "--", "true"],
], ids=lambda command: " ".join(command))
def test_a_version_from_the_future_is_refused_and_left_alone(cli, version, command):
    cli.pools.mkdir()
    path = cli.path("p")
    shutil.copy(ROOT / "tests/golden/v1-plain.plasmite", path)
    make_version(path, version)
    before, status = path.read_bytes(), path.stat()
    error = cli.run(*command, timeout=20).fails("Usage", 2, "version")
    assert str(version) in error["message"] + error.get("hint", "") and "1" in error["message"]
    assert error["path"].endswith("p.plasmite")
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == status.st_mtime_ns and path.stat().st_ino == status.st_ino


@pytest.mark.parametrize("options", [[], ["--json"], ["--repair"]], ids=["text", "json", "repair"])
def test_doctor_leaves_a_version_from_the_future_alone(cli, options):
    cli.pools.mkdir()
    path = cli.path("p")
    shutil.copy(ROOT / "tests/golden/v1-plain.plasmite", path)
    make_version(path, 2)
    before = path.read_bytes()
    assert cli.run("doctor", "p", *options).code != 0
    assert path.read_bytes() == before
    assert [entry.name for entry in cli.pools.iterdir()] == ["p.plasmite"]


@pytest.fixture(scope="module")
def reader_32_bits(tmp_path_factory):
    """The engine as a program of 32 bits."""
    if platform.machine() != "x86_64":
        pytest.skip("only on x86-64 is the 32-bit machine at hand")
    program = tmp_path_factory.mktemp("m32") / "read"
    sources = [*(ROOT / "src/engine").glob("*.c"), *(ROOT / "src/base").glob("*.c"),
               *(ROOT / "src/os/linux").glob("*.c"), ROOT / "tests/golden/read.c"]
    other = ("_test.c", "crc32c_x86.c", "crc32c_arm64.c")
    sources = [str(source) for source in sources if not source.name.endswith(other)]
    try:
        probe = subprocess.run(["gcc", "-m32", "-x", "c", "-", "-o", str(program)], input=b"#include <stdio.h>\nint main(void) { return 0; }\n",
                               capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no gcc")
    if probe.returncode != 0:
        pytest.skip("gcc has no 32-bit libraries here (gcc-multilib)")
    subprocess.run(["gcc", "-m32", "-std=c17", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64", "-O1",
                    f"-I{ROOT}/src", f"-I{ROOT}/include", *sources, "-o", str(program), "-pthread", "-ldl", "-lm"],
                   check=True, timeout=300)
    return program


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_32_bits_read_the_same(reader_32_bits, cli, copy, golden):
    done = subprocess.run([reader_32_bits, copy(golden)], stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0
    assert done.stdout.splitlines() == messages_of(golden)
