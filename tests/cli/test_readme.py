"""The table of what is covered names tests that there are."""

import re
from pathlib import Path

HERE = Path(__file__).parent
FILES = {path.stem.removeprefix("test_"): path.read_text() for path in HERE.glob("test_*.py")}
GROUP = re.compile(r"(?:^|[·|;] )(\w+): ((?:[a-z0-9_]+(?:, )?)+)")


def named():
    for line in (HERE / "README.md").read_text().splitlines():
        cells = line.split(" | ")
        if line.startswith("| ") and len(cells) == 2:
            yield cells[0], [(file, name) for file, names in GROUP.findall(cells[1]) if file in FILES
                             for name in names.split(", ")]


def test_every_test_of_the_table_exists():
    count = 0
    for _, tests in named():
        for file, name in tests:
            assert f"def test_{name}(" in FILES[file], (file, name)
            count += 1
    assert count > 250


def test_every_row_has_a_test_or_a_reason():
    text = (HERE / "README.md").read_text()
    for what, tests in named():
        line = next(line for line in text.splitlines() if line.startswith(what + " | "))
        assert tests or re.search(r"\| (none|in files)\b.*", line) or what in ("| What", "|---"), what
