"""The guard against files that are cut off, in a program that unloads the library."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("PLSM_BUILD", ROOT / "build"))

PROGRAM = """
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static sigjmp_buf after_fault;

static void handle(int signo)
{
    (void)signo;
    siglongjmp(after_fault, 1);
}

int main(int argc, char **argv)
{
    int (*install)(void *) = NULL;
    void *library = dlopen(argv[1], RTLD_NOW);
    FILE *file = tmpfile();

    if (argc > 2)
        signal(SIGBUS, handle);
    if (library == NULL || file == NULL || ftruncate(fileno(file), 4096) != 0)
        return 1;
    void *symbol = dlsym(library, "plsm_guard_install");
    memcpy(&install, &symbol, sizeof(install));
    char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    if (install(NULL) != 0 || dlclose(library) != 0 || ftruncate(fileno(file), 0) != 0)
        return 2;
    if (sigsetjmp(after_fault, 1) == 0) {
        (void)*(volatile char *)page;
        return 3;
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no cc")
    folder = tmp_path_factory.mktemp("guard")
    (folder / "main.c").write_text(PROGRAM)
    command = ["cc", "-D_GNU_SOURCE", "-Wall", "-Werror", "-o", "main", "main.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "main"


def run(program, *arguments):
    return subprocess.run([program, BUILD / "libplasmite.so", *arguments], timeout=60).returncode


def test_faults_after_unloading_end_the_program_as_ever(program):
    assert run(program) == -signal.SIGBUS


def test_faults_after_unloading_go_to_the_handler_before(program):
    assert run(program, "own") == 0
