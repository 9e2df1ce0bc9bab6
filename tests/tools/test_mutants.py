"""tools/mutants: the lists that go with it fit the code, and its sample stays the same."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def mutants(*arguments):
    return subprocess.run(
        [ROOT / "tools/mutants", *arguments], capture_output=True, text=True, timeout=120
    )


def test_each_fence_has_a_model_or_a_reason():
    done = mutants("--check-lists")
    assert done.returncode == 0, done.stdout
    assert "0 mistakes" in done.stdout


def test_the_sample_depends_on_the_seed_alone():
    one, same, other = (mutants("--list", "--seed", seed).stdout for seed in "112")
    assert one == same != other
    kinds = {line.split()[0] for line in one.splitlines()}
    assert kinds == {"constant", "negate", "one", "remove", "result", "swap", "turn"}


def test_nothing_is_changed_that_is_no_code():
    for line in mutants("--list").stdout.splitlines():
        assert "assert(" not in line.split(" => ")[0] or "static_assert" in line, line
