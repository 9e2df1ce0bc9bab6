"""Every check of tools/tidy finds what it is for, and accepts what is right."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIDY = ROOT / "tools/tidy"

GOOD = {
    "include/plasmite.h": "/* Public. */\n#ifndef PLASMITE_H\n#define PLASMITE_H\n#endif\n",
    "src/base/view.h": """\
/* printf(1), strcpy(2) and __linux__ in a comment are no calls and no conditions. */
#ifndef BASE_VIEW_H
#define BASE_VIEW_H

#include <stddef.h>

static inline size_t view_zero(void)
{
    return 0;
}

#endif
""",
    "src/engine/pool.c": """\
#include "base/view.h"
#include "plasmite.h"

#include <stdio.h>

int pool_open(char *text, size_t len);
int pool_open(char *text, size_t len)
{
    return snprintf(text, len, "printf(%d) \\" exit(1)", (int)view_zero());
}
""",
    "src/engine/pool_test.c": """\
#include <stdio.h>

int main(void)
{
    return printf("tests may print\\n") > 0 ? 0 : 1;
}
""",
    "src/cli/main.c": """\
#include "base/view.h"

#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    printf("programs may print\\n");
    exit((int)view_zero());
}
""",
    "src/os/linux/map.c": "#if defined(__linux__)\nint map_pages;\n#endif\n",
}

LONG_BODY = "".join(f"    n += {i};\n" for i in range(70))


def function(name, body):
    return f"int {name}(int n);\nint {name}(int n)\n{{\n{body}    return n;\n}}\n"


def program(body):
    return f"#include <stdlib.h>\n#include <string.h>\n\nint main(void)\n{{\n{body}}}\n"


# check, file, its text, and what must be said about it
BAD = [
    ("layers", "src/base/up.c", '#include "engine/pool.h"\n', "src/base/up.c:1: base includes engine"),
    ("layers", "src/json/side.c", '\n#include "engine/pool.h"\n', "src/json/side.c:2: json includes engine"),
    ("layers", "src/os/linux/up.c", '#include "json/json.h"\n', "os includes json"),
    ("layers", "src/mcp/side.c", '#include "serve/routes.h"\n', "mcp includes serve"),
    ("layers", "src/new/a.c", '#include "base/view.h"\n', "src/new is no layer"),
    ("include-names", "src/base/a.c", '#include "view.h"\n', '"view.h" is not written'),
    ("include-names", "src/base/a.c", "#include <base/view.h>\n", "stands in quotes"),
    ("guards", "src/base/a.h", "#ifndef A_H\n#define A_H\n#endif\n", "the guard is not BASE_A_H"),
    ("guards", "src/base/a.h", "#pragma once\n", "the guard is not BASE_A_H"),
    ("platforms", "src/engine/a.c", "#ifdef __linux__\n#endif\n", "a.c:1: __linux__ outside"),
    ("platforms", "src/cli/a.c", "#if 1 && \\\n    defined(__APPLE__)\n#endif\n", "__APPLE__ outside"),
    ("platforms", "include/a.h", "#if defined(_WIN32)\n#endif\n", "_WIN32 outside"),
    ("platforms", "src/json/a.c", "#if defined(__x86_64__)\n#endif\n", "__x86_64__ outside"),
    ("printing", "src/engine/a.c", 'void f(void)\n{\n    printf("x");\n}\n', "a.c:3: printf outside"),
    ("printing", "src/abi/a.c", "void f(void)\n{\n    fputs(0, 0);\n}\n", "fputs outside"),
    ("printing", "src/client/a.c", "void f(void)\n{\n    exit(1);\n}\n", "exit outside"),
    ("banned", "src/base/a.c", "void f(char *a)\n{\n    strcpy(a, a);\n}\n", "a.c:3: strcpy is banned"),
    ("banned", "tests/a.c", "void f(char *a)\n{\n    system(a);\n}\n", "system is banned"),
    ("banned", "src/cli/a.c", "int f(char *a)\n{\n    return atoi (a);\n}\n", "atoi is banned"),
    ("unfinished", "src/base/a.c", "/* FIX" "ME: later */\n", "a.c:1: FIX" "ME"),
    ("unfinished", "docs/a.md", "\nTO" "DO\n", "docs/a.md:2: TO" "DO"),
    ("machine-paths", "docs/a.md", "see /wo" "rk/shared/x\n", "docs/a.md:1: /wo" "rk/s"),
    ("machine-paths", "src/base/a.c", 'const char *p = "/ro' 'ot/x";\n', "a.c:1: /ro" "ot/x"),
    ("function-lengths", "src/base/a.c", function("f", LONG_BODY), "f has 74 lines (at most 70)"),
    ("format", "src/base/a.c", "int   x;\n", "src/base/a.c: not formatted"),
    ("headers", "src/base/a.h", "size_t a_len(void);\n", "src/base/a.h: does not compile alone"),
    ("cppcheck", "src/base/a.c", program("    char *a = malloc(1);\n    a[3] = 0;\n    free(a);\n    return 0;\n"), "arrayIndexOutOfBounds"),
]

# Checks that build: what must be said about a source that is otherwise accepted.
BAD_BUILDS = [
    ("gcc", "int main(void)\n{\n    int unused = 1;\n    return 0;\n}\n", "unused"),
    ("clang", "int main(void)\n{\n    int unused = 1;\n    return 0;\n}\n", "unused"),
    ("clang-tidy", program("    char *a = malloc(strlen(\"x\" + 1));\n    free(a);\n    return 0;\n"), "bugprone"),
]

MESON = """\
project('bad', 'c', default_options: ['c_std=c17', 'werror=true'])
add_project_arguments('-Wall', language: 'c')
alias_target('products', executable('main', 'main.c'))
test('other', executable('other', 'main.c'))
"""


def tidy(folder, *checks):
    done = subprocess.run(
        [TIDY, "--root", folder, *checks], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.returncode, done.stdout


def make_tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copy(ROOT / ".clang-format", folder)
    return folder


def skip_without_tool(output):
    if "skipped  " in output:
        pytest.skip(output.splitlines()[0])


@pytest.mark.parametrize(
    "check", sorted({row[0] for row in BAD}) + ["banned", "unfinished"], ids=lambda check: check
)
def test_good_tree_is_accepted(tmp_path, check):
    code, output = tidy(make_tree(tmp_path, GOOD), check)
    skip_without_tool(output)
    assert (code, output.splitlines()[-1]) == (0, "1 passed, 0 failed"), output


@pytest.mark.parametrize("check, name, text, said", BAD, ids=[f"{row[0]}-{i}" for i, row in enumerate(BAD)])
def test_bad_tree_is_refused(tmp_path, check, name, text, said):
    code, output = tidy(make_tree(tmp_path, {**GOOD, name: text}), check)
    skip_without_tool(output)
    assert code == 1 and said in output, output
    assert output.splitlines()[-1] == "0 passed, 1 failed"


@pytest.mark.parametrize("check, text, said", BAD_BUILDS, ids=[row[0] for row in BAD_BUILDS])
def test_bad_build_is_refused(tmp_path, check, text, said):
    tree = {"main.c": text, "meson.build": MESON}
    make_tree(tmp_path, tree)
    shutil.copy(ROOT / ".clang-tidy", tmp_path)
    code, output = tidy(tmp_path, check)
    skip_without_tool(output)
    assert code == 1 and said in output, output


def test_all_checks_are_tested():
    listed = re.search(r"there are: (.*)\)", tidy(ROOT, "none-such")[1])[1].split()
    assert set(listed) == {row[0] for row in BAD} | {row[0] for row in BAD_BUILDS}


def long_tree(folder, listed):
    files = {"src/base/a.c": function("f", LONG_BODY), "tools/long-functions": listed}
    return make_tree(folder, files)


def test_listed_function_may_stay_as_long_as_it_is(tmp_path):
    assert tidy(long_tree(tmp_path, "src/base/a.c f 74\n"), "function-lengths")[0] == 0


def test_listed_function_may_not_grow(tmp_path):
    code, output = tidy(long_tree(tmp_path, "src/base/a.c f 73\n"), "function-lengths")
    assert code == 1 and "f has 74 lines (at most 73)" in output


def test_list_follows_a_function_that_shrank(tmp_path):
    code, output = tidy(long_tree(tmp_path, "src/base/a.c f 90\n"), "function-lengths")
    assert code == 1 and "must say 74" in output


def test_list_forgets_a_function_that_went(tmp_path):
    code, output = tidy(long_tree(tmp_path, "src/base/a.c f 74\nsrc/base/b.c g 80\n"), "function-lengths")
    assert code == 1 and "src/base/b.c g does not exist" in output


def test_list_of_long_functions_takes_no_new_ones(tmp_path):
    def git(*words):
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *words]
        subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)

    long_tree(tmp_path, "# none\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    (tmp_path / "tools/long-functions").write_text("src/base/a.c f 74\n")
    git("commit", "-qam", "two")
    code, output = tidy(tmp_path, "function-lengths")
    assert code == 1 and "f is new: the list only shrinks" in output
