"""`python -m bench [NAME] [--json]`: one benchmark, or all of them in turn."""

import argparse
import json
from collections.abc import Callable
from typing import Final

from bench import adapter, core, daemon, day, latency, publish, table
from bench.measure import Result, commit, machine

BENCHMARKS: Final[dict[str, Callable[[], Result]]] = {
    "core": lambda: core.run(core.Size()),
    "table": lambda: table.run(table.Size()),
    "daemon": lambda: daemon.run(daemon.Size()),
    "latency": lambda: latency.run(latency.Size()),
    "publish": lambda: publish.run(publish.Size()),
    "adapter": lambda: adapter.run(adapter.Size()),
    "day": lambda: day.run(day.Size()),
}


def main() -> None:
    """Run and print; what is beside the figures goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=BENCHMARKS, help="which one; without it all of them")
    parser.add_argument("--json", action="store_true", help="print one JSON object: by NAME, or all by their names")
    asked = parser.parse_args()
    names = [asked.name] if asked.name else list(BENCHMARKS)
    results = {}
    for name in names:
        result = BENCHMARKS[name]()
        results[name] = result.json()
        if not asked.json:
            print(text(result), flush=True)
    if asked.json:
        print(json.dumps(results[asked.name] if asked.name else results, ensure_ascii=False))
    else:
        print(f"commit {commit()} on {machine()}")


def text(result: Result) -> str:
    """A result as lines of a table for people."""
    rows = [(name, _shown(value), "") for name, value in result.figures.items()]
    rows += [(name, "-" if value is None else f"{value:g}", "×") for name, value in result.ratios.items()]
    lines = [f"  {name:<24}{value:>16} {unit}".rstrip() for name, value, unit in rows]
    return "\n".join([f"{result.name}  (answers {result.hash[:12]})", *lines])


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    main()
