"""`make demo` ends well and leaves nothing behind."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_demo_moves_what_it_says_and_cleans_up(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        ["tools/demo", "5000"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert " steps matched)" in done.stdout
    assert "5000 messages of" in done.stdout and "none lost" in done.stdout
    assert done.stdout.count("  build/plasmite ") == 3
    assert list(tmp_path.iterdir()) == []
