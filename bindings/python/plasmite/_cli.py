"""The console script `plasmite`: the program in the wheel, else the one of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def _program() -> str | None:
    name = "plasmite.exe" if os.name == "nt" else "plasmite"
    bundled = Path(__file__).resolve().parent / "_native" / name
    if bundled.is_file():
        return str(bundled)
    own = Path(sys.argv[0]).resolve()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(name, path=folder)
        if found is not None and Path(found).resolve() != own:  # this script is called so, too
            return found
    return None


def main() -> int:
    program = _program()
    if program is None:
        print("plasmite: no program in this package, and none on PATH", file=sys.stderr)
        return 1
    child = subprocess.Popen([program, *sys.argv[1:]])
    while True:
        try:
            code = child.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            pass  # the program got it as well, and decides what it means
