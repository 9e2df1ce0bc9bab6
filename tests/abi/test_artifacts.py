"""What the built files show to the outside: names, needs, and the tree that is installed."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLSM_BUILD", ROOT / "build"))
HEADER = ROOT / "include/plasmite.h"

PROGRAM = """
#include <plasmite.h>
#include <stdio.h>

int main(void)
{
    plsm_buf_t empty = {0};
    plsm_buf_free(&empty);
    puts(plsm_version());
    return 0;
}
"""


def output(*command, **keywords):
    return subprocess.run(
        [str(word) for word in command], check=True, text=True, stdout=subprocess.PIPE, **keywords
    ).stdout


def declared():
    """Functions that the header declares."""
    return set(re.findall(r"^PLSM_API [^;(]*?\b(plsm_\w+)\(", HEADER.read_text(), re.MULTILINE))


def defined(file, *flags):
    """Names that a file defines for others, with their type letter."""
    lines = output("nm", "--defined-only", *flags, file).splitlines()
    return {line.split()[2]: line.split()[1] for line in lines if len(line.split()) == 3}


def dynamic(file, tag):
    """Values of one tag of the dynamic section."""
    lines = output("readelf", "--dynamic", "--wide", file).splitlines()
    return [re.search(r"\[(.*)\]", line)[1] for line in lines if f"({tag})" in line]


def needed(file):
    """Libraries it is linked with; the dynamic linker is a part of libc."""
    return [name for name in dynamic(file, "NEEDED") if not name.startswith("ld-linux")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A tree made by `make install`, then moved elsewhere."""
    stage = tmp_path_factory.mktemp("stage")
    command = ["make", "-s", "install", "PREFIX=/opt/plasmite", f"DESTDIR={stage}"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    tree = tmp_path_factory.mktemp("moved") / "sdk"
    shutil.move(stage / "opt/plasmite", tree)
    return tree


def test_header_declares_functions():
    assert {"plsm_version", "plsm_error_free", "plsm_buf_free"} <= declared()


def test_shared_library_exports_what_the_header_declares():
    assert set(defined(BUILD / "libplasmite.so", "-D")) == declared()


def test_shared_library_exports_functions_without_versions():
    symbols = output("readelf", "--dyn-syms", "--wide", BUILD / "libplasmite.so")
    ours = [line for line in symbols.splitlines() if "plsm_" in line]
    assert ours
    assert not [line for line in ours if "@" in line]
    assert set(defined(BUILD / "libplasmite.so", "-D").values()) == {"T"}


def test_static_library_shows_what_the_header_declares():
    assert set(defined(BUILD / "libplasmite.a", "-g")) == declared()


def test_static_library_is_one_object():
    assert len(output("ar", "t", BUILD / "libplasmite.a").splitlines()) == 1


def test_soname_has_no_version():
    assert dynamic(BUILD / "libplasmite.so", "SONAME") == ["libplasmite.so"]


def test_shared_library_needs_libc_alone():
    assert needed(BUILD / "libplasmite.so") == ["libc.so.6"]


def test_shared_library_has_no_text_relocations():
    assert "TEXTREL" not in output("readelf", "--dynamic", BUILD / "libplasmite.so")


def test_programs_need_libc_alone():
    assert needed(BUILD / "plasmite") == ["libc.so.6"]


def test_pls_is_the_same_program():
    assert (BUILD / "pls").resolve() == (BUILD / "plasmite").resolve()


def test_modules_are_linked_against_their_libraries():
    if not (BUILD / "jq.so").exists():
        pytest.skip("built without libjq")
    assert [name for name in needed(BUILD / "jq.so") if name.startswith("libjq.so")]


@pytest.mark.parametrize("language", ["c", "c++"])
def test_header_stands_alone_and_without_warnings(language):
    compiler = {"c": "cc", "c++": "c++"}[language]
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    flags = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-x", language]
    subprocess.run([compiler, *flags, HEADER], check=True)


def test_installed_tree_has_all_parts(installed):
    for part in (
        "bin/plasmite",
        "bin/pls",
        "include/plasmite.h",
        "lib/libplasmite.so",
        "lib/libplasmite.a",
        "lib/pkgconfig/plasmite.pc",
    ):
        assert (installed / part).exists(), part


def test_pkg_config_file_keeps_its_promised_lines(installed):
    lines = (installed / "lib/pkgconfig/plasmite.pc").read_text().splitlines()
    assert "Name: plasmite" in lines
    assert "Libs: -L${libdir} -lplasmite" in lines
    assert "Libs.private: -lpthread -ldl -lm" in lines
    assert [line for line in lines if line.startswith("Cflags: -I")]
    environment = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    version = output("pkg-config", "--modversion", "plasmite", env=environment).strip()
    assert version == "0.8.0"


@pytest.mark.parametrize("library", ["shared", "static"])
def test_program_links_with_an_installed_and_moved_tree(installed, tmp_path, library):
    source = tmp_path / "main.c"
    source.write_text(PROGRAM)
    environment = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    static = ["--static"] if library == "static" else []
    flags = output("pkg-config", *static, "--cflags", "--libs", "plasmite", env=environment).split()
    if library == "static":
        flags = [f"-l:libplasmite.a" if flag == "-lplasmite" else flag for flag in flags]
    subprocess.run(["cc", source, "-o", tmp_path / "main", *flags], check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(installed / "lib")}
    assert output(tmp_path / "main", env=environment) == "0.8.0\n"


CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(demo C)
find_package(Plasmite {version} REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared Plasmite::plasmite)
add_executable(static main.c)
target_link_libraries(static Plasmite::plasmite_static)
"""


def test_cmake_finds_an_installed_and_moved_tree(installed, tmp_path):
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE.format(version="0.8"))
    output("cmake", f"-DPlasmite_DIR={installed}/lib/cmake/Plasmite", "-S", tmp_path, "-B", tmp_path / "build")
    output("cmake", "--build", tmp_path / "build")
    assert output(tmp_path / "build/shared") == "0.8.0\n"
    assert output(tmp_path / "build/static") == "0.8.0\n"
    assert dynamic(tmp_path / "build/shared", "NEEDED")[0] == "libplasmite.so"


@pytest.mark.parametrize("version", ["0.9", "0.7", "1.0", "0.8.1"])
def test_cmake_refuses_versions_that_do_not_fit(installed, tmp_path, version):
    if shutil.which("cmake") is None:
        pytest.skip("no cmake")
    (tmp_path / "main.c").write_text(PROGRAM)
    (tmp_path / "CMakeLists.txt").write_text(CMAKE.format(version=version))
    command = ["cmake", f"-DPlasmite_DIR={installed}/lib/cmake/Plasmite", "-S", tmp_path, "-B", tmp_path / "build"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "version" in done.stderr


def test_every_function_has_an_installed_manual_page(installed):
    for function in sorted(declared()):
        page = installed / "share/man/man3" / f"{function}.3"
        text = page.read_text()
        name = text[text.index(".Sh NAME") : text.index(".Nd ")]
        assert re.search(rf"^\.Nm {function}\b", name, re.MULTILINE), page
        assert f".Fn {function} " in text, page


def test_example_of_the_manual_works(installed, tmp_path):
    text = (ROOT / "docs/man/libplasmite.3").read_text()
    example = re.search(r"\.Bd -literal.*?\n(.*?)\.Ed", text, re.DOTALL)[1]
    (tmp_path / "main.c").write_text(example.replace("\\e", "\\"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    build = "cc -Wall -Wextra -Werror main.c $(pkg-config --cflags --libs plasmite)"
    subprocess.run(build, shell=True, cwd=tmp_path, env=environment, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(installed / "lib")}
    printed = output(tmp_path / "a.out", cwd=tmp_path, env=environment)
    assert re.fullmatch(
        r'{"seq":1,"time":"[^"]*Z","meta":{"tags":\[\]},"data":{"msg":"hello"}}\n', printed
    )


def test_example_of_the_c_page_works(installed, tmp_path):
    example = re.search(r"```c\n(.*?)```", (ROOT / "docs/c.md").read_text(), re.DOTALL)[1]
    (tmp_path / "main.c").write_text(example)
    environment = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib/pkgconfig")}
    build = "cc -Wall -Wextra -Werror main.c $(pkg-config --cflags --libs plasmite)"
    subprocess.run(build, shell=True, cwd=tmp_path, env=environment, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(installed / "lib"), "HOME": str(tmp_path)}
    printed = output(tmp_path / "a.out", cwd=tmp_path, env=environment)
    assert re.fullmatch(
        r'{"seq":1,"time":"[^"]*Z","meta":{"tags":\["work"\]},"data":{"task":"resize"}}\n', printed
    )
