"""Builds the extension module, and puts the library and the program into the wheel.

These come from PLASMITE_SDK_DIR, an installed tree with lib/ and bin/, or from the build folder
of the repository.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py
from setuptools.errors import SetupError

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent

# 3.10 has no buffers in its limited API; a build made with it serves 3.10 alone.
LIMITED = sys.version_info >= (3, 11)

LIBRARIES = ("plasmite.dll", "libplasmite.dylib", "libplasmite.so")
PROGRAMS = ("plasmite", "plasmite.exe")
MODULES = ("jq.so", "plasmite-filter")  # what library and program look for beside themselves


def sdk_folders():
    """Where library, program and modules are looked for."""
    sdk = os.environ.get("PLASMITE_SDK_DIR")
    if sdk:
        root = Path(sdk)
        return [root / "lib", root / "bin", root / "lib/plasmite", root]
    return [REPOSITORY / "build"]


def find(names):
    for folder in sdk_folders():
        for name in names:
            if (folder / name).is_file():
                return folder / name
    return None


def find_needed(what, names):
    found = find(names)
    if found is None:
        looked = ", ".join(str(folder) for folder in sdk_folders())
        raise SetupError(
            f"{what} is not in {looked}: run `make` first, or set PLASMITE_SDK_DIR to an installed"
            " tree with lib/ and bin/"
        )
    return found


def headers():
    """Ours before those of an SDK, which may be older than this package."""
    folders = [REPOSITORY / "include", HERE / "include"]
    if os.environ.get("PLASMITE_SDK_DIR"):
        folders.append(Path(os.environ["PLASMITE_SDK_DIR"]) / "include")
    return [str(folder) for folder in folders if (folder / "plasmite.h").is_file()]


class BuildWithNative(build_py):
    def run(self):
        super().run()
        native = Path(self.build_lib) / "plasmite" / "_native"
        if self.editable_mode:
            native = HERE / "plasmite" / "_native"
        shutil.rmtree(native, ignore_errors=True)
        native.mkdir(parents=True)
        files = [find_needed("the library", LIBRARIES), find_needed("the program", PROGRAMS)]
        files += [file for file in (find([name]) for name in MODULES) if file is not None]
        for file in files:
            target = native / file.name
            shutil.copyfile(file, target)
            target.chmod(0o644 if ".so" in file.suffixes or file.name in LIBRARIES else 0o755)


setup(
    ext_modules=[
        Extension(
            "plasmite._core",
            sources=sorted(str(file.relative_to(HERE)) for file in HERE.glob("src/*.c")),
            depends=["src/core.h", "src/stream.h"],
            include_dirs=headers(),
            define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
            py_limited_api=LIMITED,
            extra_compile_args=["-std=gnu17", "-fvisibility=hidden"],
            libraries=["dl"] if sys.platform == "linux" else [],
        )
    ],
    cmdclass={"build_py": BuildWithNative},
    # its layout and functions are the same in 3.10, and there the tests run it, too
    options={"bdist_wheel": {"py_limited_api": "cp310"}} if LIMITED else {},
)
