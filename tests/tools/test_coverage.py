"""tools/coverage, on a small tree of its own: it sees what did not run, and checks its list."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Two functions that run, but for one line and one branch; and many lines, so that one is few.
SOURCE = """
int big(int n);
int big(int n)
{
    if (n > 1000)
        return -1;
    if (n > 2000)
        n++;
%s
    return n;
}
""" % "\n".join(["    n++;"] * 200)
MAIN = "int big(int); int small(int); int main(void) { return big(1) == small(1) ? 0 : 1; }\n"

REASONS = """
= never: nobody gives such numbers
line engine/big.c big: if (n > 1000) / return -1;
line engine/big.c big: n++;
branch engine/big.c big: if (n > 1000)
branch engine/big.c big: if (n > 2000)
line json/small.c small: if (n > 1000) / return -1;
line json/small.c small: n++;
"""


@pytest.fixture
def tree(tmp_path):
    """A project with its tests run: engine/big.c and json/small.c, which is the same."""
    if shutil.which("gcc") is None or shutil.which("gcov") is None:
        pytest.skip("no gcc with gcov")
    for folder in ("tools", "tests", "src/engine", "src/json", "build-coverage"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools/coverage", tmp_path / "tools")
    (tmp_path / "src/engine/big.c").write_text(SOURCE)
    (tmp_path / "src/json/small.c").write_text(SOURCE.replace("big(", "small("))
    (tmp_path / "src/engine/big_test.c").write_text(MAIN)
    (tmp_path / "tests/coverage-reasons.txt").write_text(REASONS)
    sources = ["engine/big.c", "json/small.c", "engine/big_test.c"]
    command = ["gcc", "--coverage", "-O0", *(f"../src/{name}" for name in sources), "-o", "program"]
    subprocess.run(command, cwd=tmp_path / "build-coverage", check=True)
    subprocess.run([tmp_path / "build-coverage/program"], check=True)
    return tmp_path


def report(tree, reasons=None):
    if reasons is not None:
        (tree / "tests/coverage-reasons.txt").write_text(reasons)
    done = subprocess.run(
        [tree / "tools/coverage", "--report"], capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("# proof: coverage: engine "), done.stdout + done.stderr
    assert lines[-1].endswith("NOT PASSED") == (done.returncode != 0)
    return done.returncode, done.stdout


def test_lines_that_did_not_run_are_counted(tree):
    code, text = report(tree)
    # 206 lines: the head, two conditions and what they guard, 200, the return
    assert "engine 99.0 % of 206 lines and 50.0 % of 4 branches" in text
    assert "4 lines that nothing ran" in text
    # one branch of two is taken in each condition: less than is wanted
    assert code == 1
    assert "src/engine: less than 94 % of its branches" in text
    assert "less than 99 % of its lines" not in text
    assert "has no reason" not in text and "coverage-reasons.txt:" not in text


def lenient(tree):
    """The tool with no wish for branches."""
    tool = tree / "tools/coverage"
    text = tool.read_text()
    changed = text.replace('"engine": (99, 94), "json": (98, 94)', '"engine": (99, 0), "json": (98, 0)')
    assert changed != text
    tool.write_text(changed)
    return tree


def test_a_list_that_is_right_passes(tree):
    code, text = report(lenient(tree))
    assert code == 0, text


@pytest.mark.parametrize("line", [row for row in REASONS.splitlines() if row.startswith("line")])
def test_a_line_without_reason_is_an_error(tree, line):
    code, text = report(lenient(tree), REASONS.replace(line + "\n", ""))
    assert code == 1
    file = line.split()[1]
    assert f"src/{file}:" in text and "did not run, and has no reason" in text


def test_a_reason_for_one_line_does_not_do_for_two(tree):
    """`n++;` stands in the function 201 times: the entry is for one of them."""
    code, text = report(lenient(tree), REASONS + "line engine/big.c big: n++;\n")
    assert code == 1
    assert "runs by now: engine/big.c big: n++;" in text


def test_a_reason_for_a_line_that_runs_is_an_error(tree):
    code, text = report(lenient(tree), REASONS + "line engine/big.c big: n++; / return n;\n")
    assert code == 1
    assert "runs by now: engine/big.c big: n++; / return n;" in text
    # unless chance decides
    code, text = report(tree, REASONS + "chance engine/big.c big: n++; / return n;\n")
    assert code == 0, text


def test_a_reason_for_no_line_at_all_is_an_error(tree):
    for kind in ("chance", "branch"):
        code, text = report(lenient(tree) if kind == "chance" else tree,
                            REASONS + f"{kind} engine/big.c big: n += 5;\n")
        assert code == 1
        assert "no such line: engine/big.c big: n += 5;" in text


def test_what_the_list_does_not_know_is_an_error(tree):
    code, text = report(lenient(tree), REASONS + "perhaps engine/big.c big: n++;\n")
    assert code == 1
    assert "what does it say? perhaps" in text


def test_a_source_that_was_not_measured_is_an_error(tree):
    (tree / "src/json/lost.c").write_text("int lost;\n")
    code, text = report(lenient(tree))
    assert code == 1
    assert "src/json/lost.c: was not measured" in text
    code, text = report(tree, REASONS + "file json/lost.c\n")
    assert code == 0, text


def test_nothing_measured_is_an_error(tree):
    shutil.rmtree(tree / "build-coverage")
    (tree / "build-coverage").mkdir()
    code, text = report(lenient(tree))
    assert code == 1
    assert "src/engine/big.c: was not measured" in text
