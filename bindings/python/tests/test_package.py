"""The package as a whole: where it finds its parts, its programs, its examples, its types."""

import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import BUILD, PACKAGE_ROOT, REPOSITORY

LIB_DIR = Path(os.environ["PLASMITE_LIB_DIR"])


# Finding the library ----------------------------------------------------------------------------


def copy_of_package(tmp_path, with_native=False):
    """The package alone, as it would be installed."""
    root = tmp_path / "site"
    shutil.copytree(PACKAGE_ROOT / "plasmite", root / "plasmite", ignore=shutil.ignore_patterns("_native"))
    for file in LIB_DIR.glob("_core*.so"):
        shutil.copy(file, root / "plasmite")
    if with_native:
        native = root / "plasmite" / "_native"
        native.mkdir()
        shutil.copy(LIB_DIR / "libplasmite.so", native)
    return root


def python(script, root, **environment):
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), **environment}
    command = [sys.executable, "-c", script]
    # the working directory comes first on the path: the sources may not lie there
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=60)


LOADED = """
import plasmite
maps = open("/proc/self/maps").read().split()
print([word for word in maps if word.endswith("libplasmite.so")][0])
"""


def test_the_library_of_the_package_is_loaded(tmp_path):
    root = copy_of_package(tmp_path, with_native=True)
    done = python(LOADED, root)
    assert done.stdout.strip() == str(root / "plasmite" / "_native" / "libplasmite.so"), done.stderr


def test_the_environment_comes_first(tmp_path):
    root = copy_of_package(tmp_path, with_native=True)
    done = python(LOADED, root, PLASMITE_LIB_DIR=str(LIB_DIR))
    assert done.stdout.strip() == str((LIB_DIR / "libplasmite.so").resolve()), done.stderr


def test_the_system_comes_last(tmp_path):
    root = copy_of_package(tmp_path)
    done = python(LOADED, root, LD_LIBRARY_PATH=str(LIB_DIR))
    assert done.stdout.strip().endswith("libplasmite.so"), done.stderr


def test_no_library(tmp_path):
    root = copy_of_package(tmp_path)
    done = python("import plasmite", root, PLASMITE_LIB_DIR=str(tmp_path))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("OSError: ") and "PLASMITE_LIB_DIR" in last


def test_a_library_that_is_none(tmp_path):
    root = copy_of_package(tmp_path)
    (tmp_path / "libplasmite.so").write_text("no library")
    done = python("import plasmite", root, PLASMITE_LIB_DIR=str(tmp_path))
    assert done.stderr.splitlines()[-1].startswith("OSError: ")


def test_no_module(tmp_path):
    root = tmp_path / "site"
    shutil.copytree(PACKAGE_ROOT / "plasmite", root / "plasmite")
    for file in (root / "plasmite").glob("_core*.so"):
        file.unlink()
    done = python("import plasmite", root)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("OSError: plasmite._core is not built") and "PLASMITE_LIB_DIR" in last


def runs(file):
    return subprocess.run([file, "-c", ""], capture_output=True).returncode == 0


def test_other_versions_of_python(tmp_path):
    """The module was built with one of them, and serves them all."""
    pythons = [shutil.which(f"python3.{minor}") for minor in range(10, 15)]
    versions = Path.home() / ".pyenv" / "versions"
    pythons += [str(file) for file in versions.glob("3.1[0-9].*/bin/python3")]
    pythons = [file for file in pythons if file is not None and runs(file)]
    if not pythons or not list(LIB_DIR.glob("_core.abi3.so")):
        pytest.skip("there is no other Python here")
    script = (
        "import sys, tempfile, plasmite\n"
        "with plasmite.Client(tempfile.mkdtemp(dir=sys.argv[1])) as c, c.pool('a') as pool:\n"
        "    pool.append({'n': 1})\n"
        "    stream = pool.open_stream()\n"
        "    print(next(pool.tail()).data, bytes(stream.next_view().data))\n"
    )
    for file in pythons:
        done = subprocess.run(
            [file, "-c", script, tmp_path],
            env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.stdout == "{'n': 1} b'{\"n\":1}'\n", f"{file}: {done.stderr}"


# The program ------------------------------------------------------------------------------------


def test_python_m_plasmite_runs_the_program(tmp_path):
    program = tmp_path / "bin" / "plasmite"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "plasmite", "a b", "--c"]
    done = subprocess.run(
        command,
        env={**environment, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
    )
    if (PACKAGE_ROOT / "plasmite" / "_native").exists():
        pytest.skip("the package has a program of its own")
    assert (done.stdout, done.returncode) == ("a b --c\n", 7)


def test_no_program(monkeypatch, capsys, tmp_path):
    from plasmite import _cli

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_cli, "__file__", str(tmp_path / "_cli.py"))
    assert _cli.main() == 1
    assert capsys.readouterr().err != ""


# What is run with it ----------------------------------------------------------------------------


def test_the_cookbook_fixture(tmp_path, home):
    fixture = PACKAGE_ROOT / "cmd" / "cookbook_smoke_fixture.py"
    line = '{"seq": 1, "tags": ["cookbook"], "data": {"task": "resize", "id": 1}}\n'
    for arguments in ([tmp_path / "cookbook"], [tmp_path / "cookbook"], []):
        done = subprocess.run([sys.executable, fixture, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, line), done.stderr
    assert (home / ".plasmite" / "pools" / "cookbook-home.plasmite").exists()


# Documents --------------------------------------------------------------------------------------


def blocks(file):
    """The examples of a document; those marked `not run` are left out."""
    text = (REPOSITORY / file).read_text()
    pattern = r"(<!-- python: not run -->\n)?```python\n(.*?)```"
    return [found[2] for found in re.finditer(pattern, text, re.DOTALL) if not found[1]]


def test_the_first_example_is_short():
    for file in ("bindings/python/README.md", "docs/python.md"):
        assert len(blocks(file)[0].splitlines()) < 10


def test_the_examples_of_the_readme(home, run_python):
    first, follow = blocks("bindings/python/README.md")
    said = run_python(first).stdout.splitlines()
    assert said[0] == "1 ['img'] {'task': 'resize', 'id': 1}"
    assert said[1].endswith(" resize")
    said = run_python("from plasmite import Client\n" + follow).stdout
    assert said == "{'task': 'resize', 'id': 1}\n"


def test_the_examples_of_the_page(home, run_python):
    said = [run_python(block).stdout for block in blocks("docs/python.md")]
    assert said == [
        "1 ['img'] {'task': 'resize', 'id': 1}\n",
        "",
        "1 24\n",
        "{'task': 'crop', 'id': 2}\n",
    ]


# What Plasmite was first described with, in the order in which it is run: script, output.
SEEDS = [
    (
        """from plasmite import Client, NotFoundError

with Client() as c:
    try:
        with c.open_pool("work") as pool:
            for msg in pool.tail(timeout_ms=5000):
                print(msg.seq, msg.tags, msg.data)
    except NotFoundError:
        print("create or feed the pool first")
""",
        "create or feed the pool first\n",
    ),
    (
        """from plasmite import Client

with Client() as c, c.pool("work") as pool:
    msg = pool.append({"task": "resize", "id": 1})
    print(msg.seq, msg.tags, msg.data)
""",
        "1 [] {'task': 'resize', 'id': 1}\n",
    ),
    (
        """from plasmite import Client

with Client() as c, c.pool("ci") as pool:
    pool.append({"status": "green", "commit": "a1b2c3d", "suite": "unit"})
""",
        "",
    ),
    (
        """from plasmite import Client

with Client() as c, c.open_pool("ci") as pool:
    for msg in pool.tail(timeout_ms=30000):
        if msg.data.get("status") == "green":
            print(f"commit {msg.data['commit']} passed — deploying")
            break
""",
        "commit a1b2c3d passed — deploying\n",
    ),
    (
        """from plasmite import Client, Durability

with Client() as c, c.pool("build") as pool:
    for step, pct in [("compile", 0), ("compile", 100), ("test", 0), ("test", 100)]:
        pool.append({"step": step, "pct": pct})
    pool.append({"step": "finished", "ok": True}, ["done"], Durability.FAST)
""",
        "",
    ),
    (
        """from plasmite import Client

with Client() as c, c.open_pool("build") as pool:
    for msg in pool.tail(timeout_ms=5000, tags=["done"]):
        print(msg.seq, msg.tags, msg.data)
        break  # --one equivalent
""",
        "5 ['done'] {'step': 'finished', 'ok': True}\n",
    ),
    (
        """from plasmite import Client

with Client() as client, client.pool("jobs") as pool:
    for i in range(5):
        msg = pool.append({"task": "resize-image", "id": i}, ["img"])
        print(msg.seq, msg.data)
""",
        "".join(f"{i + 1} {{'task': 'resize-image', 'id': {i}}}\n" for i in range(5)),
    ),
    (
        """from plasmite import Client, Durability

with Client() as c, c.pool("telemetry") as pool:
    pool.append({"sensor": "temp", "value": 42100}, ["sensor"], Durability.FAST)
    pool.append({"service": "api", "sha": "f4e5d6c"}, ["deploy"], Durability.FAST)
    pool.append({"service": "api", "msg": "latency spike"}, ["alert"], Durability.FAST)
""",
        "",
    ),
    (
        """from plasmite import Client, Durability

with Client() as c, c.pool("events") as pool:
    pool.append({"service": "api", "sha": "f4e5d6c"}, ["deploy"], Durability.FAST)
    pool.append({"service": "api", "msg": "latency spike"}, ["alert"], Durability.FAST)
""",
        "",
    ),
]

# These end by their timeout of five seconds: they run side by side, after the others.
SEEDS_THAT_WAIT = [
    (SEEDS[0][0], "1 [] {'task': 'resize', 'id': 1}\n"),
    (
        """from plasmite import Client

with Client() as c, c.open_pool("telemetry") as pool:
    for msg in pool.tail(timeout_ms=5000, tags=["alert"]):
        print(msg.seq, msg.tags, msg.data)
""",
        "3 ['alert'] {'service': 'api', 'msg': 'latency spike'}\n",
    ),
    (
        """from plasmite import Client

with Client() as c, c.open_pool("events") as pool:
    for msg in pool.tail(timeout_ms=5000, tags=["alert"]):
        print(msg.seq, msg.tags, msg.data)
""",
        "2 ['alert'] {'service': 'api', 'msg': 'latency spike'}\n",
    ),
]


def test_the_snippets_plasmite_was_described_with(home, run_python):
    for script, said in SEEDS:
        assert run_python(script).stdout == said
    with ThreadPoolExecutor() as executor:
        runs = [(executor.submit(run_python, script), said) for script, said in SEEDS_THAT_WAIT]
    for run, said in runs:
        assert run.result().stdout == said


def test_the_oldest_snippet(home, run_python, tmp_path):
    """It uses the program alone."""
    (tmp_path / "plasmite").symlink_to(os.environ["PLASMITE_BIN"])
    script = """# Python
import subprocess, json
subprocess.run(["plasmite", "poke", "foo", "--create", json.dumps({"from": "python"})])
"""
    done = run_python(script, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert '"seq":1' in done.stdout


# The wheel and the types ------------------------------------------------------------------------


def has_module(name):
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True).returncode == 0


needs_setuptools = pytest.mark.skipif(
    not (has_module("pip") and has_module("setuptools") and has_module("wheel")),
    reason="pip, setuptools or wheel is not installed",
)


def build_wheel(tmp_path, **environment):
    source = tmp_path / "source" / "bindings" / "python"
    shutil.copytree(
        PACKAGE_ROOT, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "_native")
    )
    shutil.copytree(REPOSITORY / "include", tmp_path / "source" / "include")
    stale = source / "build" / "lib" / "plasmite" / "_native"
    stale.mkdir(parents=True)
    (stale / "stale.so").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
        + ["-w", tmp_path / "wheels", source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return done, list((tmp_path / "wheels").glob("*.whl"))


@needs_setuptools
def test_the_wheel(tmp_path):
    sdk = tmp_path / "sdk"
    for folder, names in (("lib", ["libplasmite.so"]), ("bin", ["plasmite"])):
        (sdk / folder).mkdir(parents=True)
        for name in names:
            shutil.copyfile(BUILD / name, sdk / folder / name)  # without its mode
    done, wheels = build_wheel(tmp_path, PLASMITE_SDK_DIR=str(sdk))
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels
    assert wheel.name.startswith("plasmite-0.8.0-cp3") and "linux" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        mode = archive.getinfo("plasmite/_native/plasmite").external_attr >> 16
    assert {"plasmite/_native/libplasmite.so", "plasmite/py.typed"} <= set(names)
    assert not any("stale" in name for name in names)
    assert stat.S_IMODE(mode) == 0o755

    root = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-t", root, wheel]
    subprocess.run(command, check=True, capture_output=True)
    done = python(LOADED, root)
    assert done.stdout.strip() == str(root / "plasmite" / "_native" / "libplasmite.so"), done.stderr
    script = "import sys; from plasmite._cli import main; sys.argv[1:] = ['--version']; sys.exit(main())"
    done = python(script, root)
    assert (done.returncode, done.stdout) == (0, "plasmite 0.8.0\n"), done.stderr


@needs_setuptools
def test_a_wheel_without_a_library(tmp_path):
    done, wheels = build_wheel(tmp_path, PLASMITE_SDK_DIR=str(tmp_path / "none"))
    assert done.returncode != 0
    assert "PLASMITE_SDK_DIR" in done.stderr + done.stdout
    assert wheels == []


@pytest.mark.skipif(not has_module("mypy"), reason="mypy is not installed")
def test_mypy():
    command = [sys.executable, "-m", "mypy", "--strict", "plasmite", "cmd", "tests/typed_use.py"]
    environment = {**os.environ, "MYPYPATH": str(PACKAGE_ROOT)}
    done = subprocess.run(
        command, cwd=PACKAGE_ROOT, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("pyright") is None, reason="pyright is not installed")
def test_pyright():
    command = ["pyright", "plasmite", "tests/typed_use.py"]
    done = subprocess.run(command, cwd=PACKAGE_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# A library with the functions of 0.8 alone --------------------------------------------------------

CONTRACT = """client_new client_free pool_create pool_open pool_free pool_append_json
pool_append_lite3 pool_get_json pool_get_lite3 stream_open stream_open_ex stream_next stream_free
lite3_stream_open lite3_stream_open_ex lite3_stream_next lite3_stream_free buf_free error_free
lite3_frame_free""".split()


@pytest.fixture(scope="module")
def old_library(tmp_path_factory):
    """A folder with the module and a libplasmite.so that has these twenty functions."""
    compiler = shutil.which("cc")
    if compiler is None or not (BUILD / "libplasmite.a").exists():
        pytest.skip("no compiler, or no archive to make the library of")
    folder = tmp_path_factory.mktemp("old")
    names = " ".join(f"plsm_{name};" for name in CONTRACT)
    (folder / "map").write_text(f"{{ global: {names} local: *; }};\n")
    archive = ["-Wl,--whole-archive", BUILD / "libplasmite.a", "-Wl,--no-whole-archive"]
    subprocess.run(
        [compiler, "-shared", "-o", folder / "libplasmite.so", *archive]
        + [f"-Wl,--version-script={folder / 'map'}", "-lpthread", "-ldl", "-lm"],
        check=True,
        capture_output=True,
    )
    for file in LIB_DIR.glob("_core*.so"):
        (folder / file.name).symlink_to(file.resolve())
    return folder


OLD_TESTS = ["test_client.py", "test_lite3.py", "test_pool.py", "test_tail.py"]


@pytest.mark.parametrize("file", OLD_TESTS)
def test_an_old_library(old_library, file):
    """What is not new works with it as well."""
    new = "list_and_delete or touches_no_file or sizes or append_bytes or append_many or info_flush"
    new += " or verify or opens_or_creates or before_it_looks or follow or windows"
    new += " or what_is_there or never_opened or reading_only or patience"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        + [PACKAGE_ROOT / "tests" / file, "-k", f"not ({new})"],
        env={**os.environ, "PLASMITE_LIB_DIR": str(old_library)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:]


OLD = """
import asyncio, plasmite, sys, threading, time
from plasmite import AsyncClient, Client, PlasmiteError, UsageError

async def in_an_event_loop(folder):
    async with AsyncClient(folder) as client, client.pool("a"):
        pass

with Client(sys.argv[1]) as client, client.pool("a") as pool:
    for call in (lambda: pool.append_bytes(b"{}"), lambda: pool.append_many([{}]), pool.info,
                 pool.flush, pool.verify, lambda: pool.path, client.list_pools,
                 plasmite.install_guard, lambda: client.delete_pool("a"), pool.follow,
                 pool.open_stream().next_view, pool.open_stream().try_next,
                 pool.open_stream().fileno, lambda: pool.open_stream().position,
                 pool.open_stream().skip_damage, pool.open_lite3_stream().try_next,
                 pool.open_lite3_stream().fileno, lambda: pool.open_lite3_stream().dropped,
                 pool.follow_lite3, lambda: client.open_pool("a", read_only=True),
                 lambda: asyncio.run(in_an_event_loop(sys.argv[1]))):
        try:
            call()
            raise SystemExit(f"{call} works")
        except UsageError as error:
            assert "a newer one is needed" in str(error), error
    results = []
    def take(stream):
        try:
            results.append(stream.next_json())
        except PlasmiteError as error:
            results.append(str(error))
    stream = pool.open_stream()
    waiter = threading.Thread(target=take, args=[stream])
    waiter.start()
    time.sleep(0.3)  # several windows
    pool.append({"n": 1})
    waiter.join()
    waiter = threading.Thread(target=take, args=[stream])
    waiter.start()
    stream.close()
    waiter.join()
    assert results[0].startswith(b'{"seq":1,'), results
    assert results[1] in (None, "plasmite: stream is closed"), results
"""


def test_what_an_old_library_lacks(old_library, run_python, tmp_path):
    run_python(OLD, tmp_path / "pools", PLASMITE_LIB_DIR=str(old_library))
