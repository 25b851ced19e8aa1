"""How a line stands with its PLC and its readers, what was counted, and what of it the ledger has to hear.

Each change is told once.
"""

import enum
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from plc_adapter.mailbox import LineState
from plc_adapter.scanner.link import UNTRIED
from sorter.wire.frames import Alarm, AlarmWord

CHANGES_MAX: Final = 32  # kept until there is a daemon; the oldest are forgotten. A session takes twice as many
COUNT_NS: Final = 1_000_000_000  # of site time between two alarms that count


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
    laden: int = 0  # exchanges that carried a report or an order
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
COUNTED: Final[dict[str, AlarmWord]] = {
    "stale": "orders_late",
    "overflow": "orders_overflow",
    "void": "orders_void",
    "unknown": "reports_unknown",
    "lost": "reports_lost",
    "reused": "epoch_reused",
}
"""Field of Counts -> its alarm."""


class News:
    """What waits to be told: how things stand, with the time of each change, and counts added up.

    An alarm may get lost on its way, so a daemon that is met anew hears again how things stand.
    """

    def __init__(self) -> None:
        self._standing: dict[str, AlarmWord] = {}  # whose -> how it stands
        self._changes: deque[Alarm] = deque(maxlen=CHANGES_MAX)
        self._counted: dict[AlarmWord, int] = {}
        self._told: dict[AlarmWord, int] = {}
        self._count_ns = 0  # when counts are told again
        self._is_met = False

    def state(self, whose: str, word: AlarmWord, now_ns: int) -> None:
        """How something stands now."""
        if self._standing.get(whose) != word:
            self._standing[whose] = word
            self._changes.append(Alarm(alarm=word, t_ns=now_ns))

    def count(self, word: AlarmWord, total: int) -> None:
        """How often something happened so far."""
        self._counted[word] = total

    def due(self, now_ns: int, *, welcomed: bool) -> list[Alarm]:
        """What is to be told now; nothing without a daemon that knows us."""
        was_met, self._is_met = self._is_met, welcomed
        if not welcomed:
            return []
        found = list(self._changes)
        self._changes.clear()
        if not was_met:
            said = {alarm.alarm for alarm in found}
            found += [Alarm(alarm=word, t_ns=now_ns) for word in self._standing.values() if word not in said]
        return found + self._new_counts(now_ns)

    def _new_counts(self, now_ns: int) -> list[Alarm]:
        if self._counted == self._told or now_ns < self._count_ns:
            return []
        before, self._told = self._told, dict(self._counted)
        news = {word: total - before.get(word, 0) for word, total in self._told.items()}
        found = [Alarm(alarm=word, count=more, t_ns=now_ns) for word, more in news.items() if more]
        if found:
            self._count_ns = now_ns + COUNT_NS
        return found


class Alarms(News):
    """What is new of a line's PLC."""

    def look(self, link: Link, line_state: int, counts: Counts, now_ns: int) -> None:
        """Compare with the last time. What the line does is known only while its PLC talks."""
        if link in LINKS:
            self.state("plc", LINKS[link], now_ns)
        if link == Link.TALKING and line_state in LINE_STATES:
            self.state("line", LINE_STATES[line_state], now_ns)
        for field, word in COUNTED.items():
            self.count(word, getattr(counts, field))
        self.count("plc_restarted", max(counts.epochs - 1, 0))  # the first is only how it was found


class ReaderAlarms(News):
    """What is new of a line's readers."""

    def look(self, errors: Iterable[str], unpaired: int, now_ns: int) -> None:
        """`errors`: why each is not connected, "" when it is; `unpaired`: readings so far that no item got."""
        known = [error for error in errors if error != UNTRIED]
        if known:
            self.state("reader", "reader_away" if any(known) else "reader_back", now_ns)
        self.count("unpaired", unpaired)
