"""python -m tests.simulation --seeds A-B: run the seeds, say what they broke, and how to see it again."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import nullcontext

from tests.simulation import bugs, seeds


def main() -> int:
    """Exit 1 on any violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-19", help="first-last, such as 0-199")
    parser.add_argument("--bug", choices=sorted(bugs.BUGS), help="plant this bug; the seeds should find it")
    parser.add_argument("--verbose", action="store_true", help="tell what happened in each seed")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    events = violations = 0
    figures: Counter[str] = Counter()
    began_s = time.monotonic()
    wanted = range(int(first), int(last or first) + 1)
    with bugs.BUGS[asked.bug]() if asked.bug else nullcontext():
        for seed in wanted:
            outcome = seeds.run(seed)
            events += outcome.events
            violations += len(outcome.violations)
            figures.update(outcome.figures)
            if asked.verbose:
                print(f"seed {seed}: {outcome.events} events, {outcome.figures}")
            for violation in outcome.violations[: seeds.VIOLATIONS_SHOWN]:
                print(f"seed {seed}: {violation}")
            if outcome.violations:
                bug = f" --bug {asked.bug}" if asked.bug else ""
                print(f"again: python -m tests.simulation --seeds {seed}-{seed}{bug}")
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in figures.items())
    print(f"{told}; {time.monotonic() - began_s:.1f} s", file=sys.stderr)
    print(f"{len(wanted)} seeds, {events} events, {violations} violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
