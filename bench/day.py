"""A whole day of the model hub through real processes: what `sorter demo` reports."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.measure import Result, hash_of
from bench.site import program

COUNTED: Final = ("items", "sorted", "exceptions", "missorted", "unaccounted")


class Size(NamedTuple):
    """How much is measured."""

    items: int = 150_000


def run(size: Size) -> Result:
    """The demo's object as figures. The hash covers what became of the items; what was late depends on the machine.

    Raises CalledProcessError when the day did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="hub-sorter-bench-") as folder:
        arguments = ["demo", "--items", str(size.items), "--folder", str(Path(folder) / "day"), "--json"]
        done = subprocess.run([program("sorter"), *arguments], check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    counted = json.dumps([figures[name] for name in COUNTED], sort_keys=True)
    return Result("day", hash_of(counted.encode()), figures, {})
