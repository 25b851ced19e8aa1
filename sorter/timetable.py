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

from sorter.publishing import Due, Turn, Wanted, give_way, hand_over, tolerated
from sorter.reasons import Declined
from sorter.rulebook import Rejected
from sorter.rulebook.compile import version
from sorter.rulebook.published import history
from sorter.rulebook.published.history import Act, Force
from sorter.site import Site, load
from sorter.wire.control import CommandRefused, Control

log = logging.getLogger("sorter.timetable")

LOOK_S: Final = 0.25
AGAIN_S: Final = 2.0
ANSWER_S: Final = 10.0
AHEAD_NS: Final = 60 * 10**9
READ_MAX: Final = 4  # rule sets kept in memory


class Timetable:
    """Holds what the daemon sorts by against what the history calls for."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: tuple[int, int] | None = None  # the history's size and time of change
        self._acts: list[Act] = []
        self._read: dict[str, Wanted] = {}  # by version
        self._told = ""
        self._unread = 0  # number of the coming act whose rule set could not be read ahead
        self._called_for: Force | None = None  # at the last look: whoever publishes hands over himself, and sooner

    def look(self) -> float:
        """Hand over what is due and does not sort yet; returns how many seconds to wait before the next look."""
        try:
            with closing(self._control()) as daemon:
                running = daemon.call("plan.version")
                force = self._force(int(running["t_ns"]))
                is_new, self._called_for = force != self._called_for, force
                if force and not is_new and force.version != running["version"]:
                    self._hand_over(daemon, force, running["version"])
        except (Declined, Rejected, CommandRefused, OSError) as error:
            self._tell(str(error))
            return AGAIN_S
        self._told = ""
        return LOOK_S

    def _control(self) -> Control:
        key = self._site.keys / "control.secret" if self._site.keys else None
        return Control(self._site.wire.control, key=key, timeout_s=ANSWER_S)

    def _force(self, now_ns: int) -> Force | None:
        acts, offset_ns = self._history(), self._site.utc_offset_ns
        coming = history.next_change(acts, now_ns, offset_ns)
        if coming and coming.from_ns - now_ns < AHEAD_NS:
            self._read_ahead(coming)
        return history.in_force(acts, now_ns, offset_ns)

    def _read_ahead(self, coming: Force) -> None:
        """So that it need not be read when its time has come; what sorts until then is not held up by it."""
        if coming.number == self._unread:
            return
        try:
            self._wanted(coming.version)
        except (Declined, Rejected, OSError) as error:
            self._unread = coming.number
            log.error("plan %s, which is the next to take force, cannot be used: %s", coming.version[:12], error)

    def _hand_over(self, daemon: Control, force: Force, running: str) -> None:
        wanted = self._wanted(force.version)
        if version(wanted.checked) != running:  # it is another where site.toml has changed since
            hand_over(daemon, Due(wanted, Turn(self._acts[-1].t_ns, force.from_ns)))

    def _history(self) -> list[Act]:
        path = self._site.plans / history.FILE_NAME
        seen = (found.st_size, found.st_mtime_ns) if path.exists() and (found := path.stat()) else None
        if seen != self._seen:
            self._acts, self._seen = history.read(self._site.plans), seen
        return self._acts

    def _wanted(self, name: str) -> Wanted:
        if name not in self._read:
            while len(self._read) >= READ_MAX:
                del self._read[next(iter(self._read))]
            self._read[name] = tolerated(self._site, name)
        return self._read[name]

    def _tell(self, message: str) -> None:
        """Once, however often it is tried again."""
        if message != self._told:
            log.error("the plan in force was not handed over; it is tried every %.0f s: %s", AGAIN_S, message)
        self._told = message


def main() -> None:
    """End with SIGTERM, or when whoever started it is gone."""
    parser = argparse.ArgumentParser(prog="python -m sorter.timetable", description=__doc__)
    parser.add_argument("site", type=Path, help="the folder that holds site.toml")
    parser.add_argument("parent", type=int, help="the process that it ends with")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    asked: list[signal.Signals] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: asked.append(signal.Signals(got)))
    give_way()
    timetable = Timetable(load(arguments.site))
    while not asked and os.getppid() == arguments.parent:
        time.sleep(timetable.look())


if __name__ == "__main__":
    main()
