"""Finds the two native parts: the extension module and the library it opens."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ._errors import make_error

_PACKAGE_NAME = __name__.rpartition(".")[0]
_PACKAGE = Path(__file__).resolve().parent
_LIBRARY_NAMES = ("plasmite.dll", "libplasmite.dylib", "libplasmite.so")


def _lib_dir() -> Path | None:
    folder = os.environ.get("PLASMITE_LIB_DIR")
    return Path(folder) if folder else None


def _module_folders() -> Iterator[Path]:
    """Where the module is in a source tree, in the order of preference."""
    lib_dir = _lib_dir()
    if lib_dir is not None:
        yield lib_dir
        yield lib_dir / "python"
    yield _PACKAGE.parents[2] / "build"


def _module_file() -> Path | None:
    for folder in _module_folders():
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            file = folder / f"_core{suffix}"
            if file.is_file():
                return file
    return None


def _load_module() -> ModuleType:
    """plasmite._core: beside this file where it was installed, else from a build folder."""
    name = f"{_PACKAGE_NAME}._core"
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return importlib.import_module(name)
    file = _module_file()
    if file is None:
        raise OSError(
            "plasmite._core is not built: `make` builds it into build/ where Python's headers are"
            " installed, or use `pip install ./bindings/python`; set PLASMITE_LIB_DIR to the folder"
            " that has _core.abi3.so and libplasmite"
        )
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded", name=name, path=str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    setattr(sys.modules[_PACKAGE_NAME], "_core", module)
    return module


def _library_files() -> Iterator[str]:
    for folder in (_lib_dir(), _PACKAGE / "_native"):
        found = [folder / name for name in _LIBRARY_NAMES if folder and (folder / name).is_file()]
        if found:
            yield str(found[0].resolve())
    yield from _LIBRARY_NAMES[1:]  # the system knows where


def _open_library(core: ModuleType) -> str:
    """Returns what was opened."""
    problems = []
    for file in _library_files():
        try:
            core.load(file)
            return file
        except OSError as error:
            problems.append(f"{file}: {error}")
    raise OSError(
        "libplasmite was not found: set PLASMITE_LIB_DIR to the folder that has it ("
        + "; ".join(problems)
        + ")"
    )


def load() -> None:
    """Makes plasmite._core ready for use."""
    core = _load_module()
    _open_library(core)
    core.set_error_factory(make_error)
