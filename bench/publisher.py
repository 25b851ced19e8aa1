"""Publishes the rules of a site again and again, as `sorter rules publish` does, until it is told to end.

`python -m bench.publisher SITE DELAY_S PERIOD_S`: one line on stdout for each publish that is in force.
"""

import csv
import sys
import time
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

from sorter import publishing
from sorter.publishing import Order
from sorter.site import load
from sorter.wire.control import Control

READY_S: Final = 60.0
SHIFT: Final = 30_000


def now_ns(daemon: Control) -> int:
    """The daemon's time."""
    return int(daemon.call("plan.version")["t_ns"])


def main() -> None:
    """Each publish is a version of its own by a note, and every other one numbers its rows from SHIFT on.

    So the row of a decision tells whose rows decided it.
    """
    site, delay_s, period_s = load(Path(sys.argv[1])), *map(float, sys.argv[2:])
    publishing.give_way()
    time.sleep(delay_s)
    table = site.rules / "rules.csv"
    header, *rows = csv.reader(table.read_text(encoding="utf-8-sig").splitlines())
    due_s = time.monotonic()
    for number in count(1):
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*header, "note"])
            writer.writerows([int(row) + number % 2 * SHIFT, *rest, number] for row, *rest in rows)
        with closing(Control(site.wire.control, timeout_s=READY_S)) as control:
            order = Order("bench", str(number), partial(now_ns, control))
            act = publishing.publish(site, order, publishing.names_in_use(control))
            publishing.settle(site, order.clock(), control)
        print(act.version, flush=True)
        due_s += period_s
        time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    main()
