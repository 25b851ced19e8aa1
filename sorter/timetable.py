"""The plan that the history calls for is handed to the daemon when its time has come.

A process beside the daemon: compiling a plan takes longer than a parcel's window, so it is done here.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from sorter.clock import Clock
from sorter.publishing import hand_over, in_force
from sorter.reasons import Declined
from sorter.rulebook import Rejected, history
from sorter.rulebook.history import Act, Force
from sorter.site import Site, load
from sorter.wire.control import CommandRefused, Control

log = logging.getLogger("sorter.timetable")

LOOK_S: Final = 0.25
AGAIN_S: Final = 2.0
ANSWER_S: Final = 10.0
NICENESS: Final = 10


class Timetable:
    """What the history calls for, and what was handed over of it."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self._site, self._clock = site, clock
        self._seen: tuple[int, int] | None = None  # the history's size and time of change
        self._acts: list[Act] = []
        self._done: Force | None = None

    def look(self) -> float:
        """Hand over what has become due; returns how many seconds to wait before the next look."""
        try:
            force = history.in_force(self._read(), self._clock.now_ns(), self._site.utc_offset_ns)
            if force is not None and force != self._done:
                self._hand_over(force)
                self._done = force
        except (Declined, Rejected, CommandRefused, OSError) as error:
            log.error("the plan in force was not handed over; next try in %.0f s: %s", AGAIN_S, error)
            return AGAIN_S
        return LOOK_S

    def _read(self) -> list[Act]:
        path = self._site.plans / history.FILE_NAME
        seen = (found.st_size, found.st_mtime_ns) if path.exists() and (found := path.stat()) else None
        if seen != self._seen:
            self._acts, self._seen = history.read(self._site.plans), seen
        return self._acts

    def _hand_over(self, force: Force) -> None:
        key = self._site.keys / "control.secret" if self._site.keys else None
        with closing(Control(self._site.wire.control, key=key, timeout_s=ANSWER_S)) as control:
            if control.call("plan")["version"] != force.version:  # else whoever published did it himself
                wanted, turn = in_force(self._site, self._clock.now_ns())
                hand_over(control, wanted.checked, turn)


def main() -> None:
    """End with SIGTERM, or when whoever started it is gone."""
    parser = argparse.ArgumentParser(prog="python -m sorter.timetable", description=__doc__)
    parser.add_argument("site", type=Path, help="the folder that holds site.toml")
    parser.add_argument("--clock", default="", help="as that of the daemon")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asked: list[signal.Signals] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: asked.append(signal.Signals(got)))
    os.nice(NICENESS)
    parent = os.getppid()
    timetable = Timetable(load(arguments.site), Clock.from_text(arguments.clock))
    while not asked and os.getppid() == parent:
        time.sleep(timetable.look())


if __name__ == "__main__":
    main()
