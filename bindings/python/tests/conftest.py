"""Where the package, the library and the program are, unless the environment says so already."""

import os
import sys
from pathlib import Path

import pytest

PACKAGE_ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = PACKAGE_ROOT.parent.parent
BUILD = Path(os.environ.get("PLSM_BUILD", REPOSITORY / "build"))

sys.path.insert(0, str(PACKAGE_ROOT))
os.environ.setdefault("PLASMITE_LIB_DIR", str(BUILD))
os.environ.setdefault("PLASMITE_BIN", str(BUILD / "plasmite"))


LIBRARY = Path(os.environ["PLASMITE_LIB_DIR"]) / "libplasmite.so"
needs_lite3 = pytest.mark.skipif(
    LIBRARY.exists() and b"plsm_pool_append_lite3" not in LIBRARY.read_bytes(),
    reason="this libplasmite has no functions for Lite3",
)


@pytest.fixture
def client(tmp_path):
    from plasmite import Client

    with Client(tmp_path / "pools") as client:
        yield client


@pytest.fixture
def pool(client):
    with client.pool("work") as pool:
        yield pool


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def run_python(tmp_path):
    """Runs a script in a Python of its own; gives what it printed."""
    import subprocess

    def run(script, *arguments, code=0, timeout=60, **environment):
        paths = os.pathsep.join([str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": paths, **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
