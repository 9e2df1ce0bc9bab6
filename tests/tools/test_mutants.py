"""tools/mutants: the lists that go with it fit the code, and its sample stays the same."""

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
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


class Hunter:
    """In the place of tools/mutants' Killer: kills those that turn something."""

    def __init__(self, folders):
        self.folders = folders

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def kill(self, mutant):
        return "killed by a test failed" if mutant.kind == "turn" else "survived"

    def kill_sanitized(self, mutant):
        return "survived both"


def test_survivors_run_again_and_complete_the_sample(tmp_path, monkeypatch, capsys):
    loader = SourceFileLoader("mutants_tool", str(ROOT / "tools/mutants"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    tool = module_from_spec(spec_from_loader("mutants_tool", loader))
    loader.exec_module(tool)
    mutants = [*tool.find_mutants("engine"), *tool.find_mutants("json")]
    turned, swapped, listed = (
        next(mutant.name for mutant in mutants if mutant.kind == kind)
        for kind in ("turn", "swap", "one")
    )
    results, equivalent = tmp_path / "results.txt", tmp_path / "equivalent.txt"
    equivalent.write_text(f"{listed} -- it is only slower\n")
    rows = [f"a/file.c:killed: {n} -- killed by a test failed" for n in range(8)]
    rows += ["a/file.c:does: not build -- no C", "a/file.c:is: no more -- survived"]
    rows += [f"{listed} -- survived both", f"{turned} -- survived"]
    rows += [f"{swapped} -- survived", f"{swapped} -- survived both"] # told twice, counted once
    results.write_text("\n".join(rows) + "\n")
    monkeypatch.setattr(tool, "Killer", Hunter)
    monkeypatch.setattr(tool, "EQUIVALENT", equivalent)
    monkeypatch.setattr(tool, "AGAIN", tmp_path / "again.txt")
    assert tool.judge_again(results) == 0
    told = capsys.readouterr().out
    assert f"killed by a test failed: {turned}\n" in told
    assert f"survived both: {swapped}\n" in told
    assert f"equivalent: {listed}\n" in told
    assert "gone: a/file.c:is: no more\n" in told
    assert "of 4 survivors 1 killed, 1 survived, 1 equivalent, 1 gone, 0 no C\n" in told
    assert "# proof: mutants: 9 of 10 killed, 90.0 %" in told
    assert len(tool.listed(tmp_path / "again.txt")) == 4

    results.write_text("\n".join(rows[1:]) + "\n") # one killed less: 8 of 9
    assert tool.judge_again(results) == 1
