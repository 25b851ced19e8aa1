"""How a line stands with its PLC and its readers, what was counted, and what of it the ledger has to hear.

Each change is told once.
"""

import enum
from collections import deque
from dataclasses import dataclass
from typing import Final

from plc_adapter.mailbox import LineState
from sorter.wire.frames import Alarm, AlarmWord

ALARMS_MAX: Final = 64  # kept until there is a daemon to tell


class Link(enum.StrEnum):
    """How a runner stands with its PLC."""

    AWAY = "away"  # no exchange works
    MEETING = "meeting"  # blocks come, but the two sides do not know each other yet
    SILENT = "silent"  # blocks come, but the PLC's heartbeat stands still
    TALKING = "talking"


@dataclass(slots=True)
class Counts:
    """What a runner did since it started."""

    exchanges: int = 0
    reports: int = 0  # read from the PLC
    orders: int = 0  # given to the PLC
    stale: int = 0  # diverts not given: their deadline had passed
    overflow: int = 0  # diverts not given: too many waited
    void: int = 0  # diverts not given: the PLC had restarted
    unknown: int = 0  # reports of a kind, outcome or state that is none
    lost: int = 0  # reports that never reach the daemon: overruns, or an adapter that died with them
    repeats: int = 0  # reports that were on the daemon's disk already
    reused: int = 0  # times a PLC began again in an epoch that it had used
    refused: int = 0  # messages the daemon refused
    errors: int = 0  # exchanges that failed
    epochs: int = 0  # PLC starts seen


LINKS: Final[dict[Link, AlarmWord]] = {
    Link.AWAY: "plc_away",
    Link.SILENT: "plc_silent",
    Link.TALKING: "plc_back",
}
LINE_STATES: Final[dict[int, AlarmWord]] = {
    LineState.STOPPED: "line_stopped",
    LineState.RUNNING: "line_running",
    LineState.FAULT: "line_fault",
}
COUNTED: Final[tuple[AlarmWord, ...]] = (
    "orders_late",
    "orders_overflow",
    "orders_void",
    "reports_unknown",
    "reports_lost",
    "epoch_reused",
)


class Alarms:
    """What is new of a line since the last look, until it is taken."""

    def __init__(self) -> None:
        self._link = Link.MEETING
        self._line_state: int = LineState.RUNNING
        self._counted = self._of(Counts())
        self._epochs = 0
        self._waiting: deque[Alarm] = deque(maxlen=ALARMS_MAX)

    def look(self, link: Link, line_state: int, counts: Counts, now_ns: int) -> None:
        """Compare with the last time. What the line does is known only while its PLC talks."""
        if link != self._link and link in LINKS:
            self._link = link
            self._waiting.append(Alarm(alarm=LINKS[link], t_ns=now_ns))
        if link == Link.TALKING and line_state != self._line_state and line_state in LINE_STATES:
            self._line_state = line_state
            self._waiting.append(Alarm(alarm=LINE_STATES[line_state], t_ns=now_ns))
        counted = self._of(counts)
        if counted != self._counted:
            for word, before, now in zip(COUNTED, self._counted, counted, strict=True):
                if now > before:
                    self._waiting.append(Alarm(alarm=word, count=now - before, t_ns=now_ns))
            self._counted = counted
        if counts.epochs != self._epochs:
            if self._epochs:  # the first is only how it was found
                self._waiting.append(Alarm(alarm="plc_restarted", t_ns=now_ns))
            self._epochs = counts.epochs

    def take(self) -> list[Alarm]:
        """What waits, oldest first."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    @staticmethod
    def _of(counts: Counts) -> tuple[int, ...]:
        """In the order of COUNTED."""
        return counts.stale, counts.overflow, counts.void, counts.unknown, counts.lost, counts.reused


class ReaderAlarms:
    """What is new of a line's readers since the last look."""

    def __init__(self) -> None:
        self._away = False
        self._unpaired = 0

    def news(self, *, away: bool, unpaired: int, now_ns: int) -> list[Alarm]:
        """`away`: one of them is not connected; `unpaired`: how many readings were used for no item so far."""
        found: list[Alarm] = []
        if away != self._away:
            self._away = away
            found.append(Alarm(alarm="reader_away" if away else "reader_back", t_ns=now_ns))
        if unpaired > self._unpaired:
            found.append(Alarm(alarm="unpaired", count=unpaired - self._unpaired, t_ns=now_ns))
            self._unpaired = unpaired
        return found
