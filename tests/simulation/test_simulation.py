"""The simulation finds nothing in the plant as it is, finds what is planted, and repeats itself to the byte."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import bugs, seeds

SEEDS = range(10)
SEEDS_TO_FIND = range(40)
ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("seed", SEEDS)
def test_the_guarantees_hold(seed: int) -> None:
    outcome = seeds.run(seed)
    assert outcome.violations == []
    assert outcome.events > 0


@pytest.mark.parametrize("name", sorted(bugs.BUGS))
def test_a_planted_bug_is_found(name: str) -> None:
    with bugs.BUGS[name]():
        assert any(seeds.run(seed).violations for seed in SEEDS_TO_FIND)


def test_a_seed_repeats_itself() -> None:
    first, second = seeds.run(7), seeds.run(7)
    assert first == second
    assert first.journal != seeds.run(8).journal


def test_the_command_tells_how_to_see_a_violation_again() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "1-1", "--bug", "never-resent"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "python -m tests.simulation --seeds 1-1 --bug never-resent" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 seeds, ")
    assert done.stdout.splitlines()[-1].endswith(" violations")
