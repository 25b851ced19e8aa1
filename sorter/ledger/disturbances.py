"""What disturbed a line: things that last, such as a blocked chute, and things that happen so many times.

A disturbance that lasts is one row from its begin to its end; what only happens is one row each time.
"""

from dataclasses import dataclass, field
from typing import Final

from sorter.reasons import Alarm

LASTING: Final = {
    Alarm.PLC_AWAY: "plc",
    Alarm.PLC_SILENT: "plc",
    Alarm.READER_AWAY: "reader",
    Alarm.LINE_STOPPED: "line",
    Alarm.LINE_FAULT: "line",
}
"""Alarm -> whose: one of a kind lasts until the next of the same device, or until that is back."""

OVER: Final = {Alarm.PLC_BACK: "plc", Alarm.READER_BACK: "reader", Alarm.LINE_RUNNING: "line"}
STARTED: Final = "started"
CHUTE_WORDS: Final = ("blocked", "full")
"""States of a chute that take it out of use."""


@dataclass(slots=True)
class Disturbance:
    """A row of `disturbance`."""

    disturbance: int
    line: str  # "": the whole hub
    what: str
    chute: int | None
    items: int  # how many orders, reports or readings; 0: it is not about such
    began_ns: int
    ended_ns: int | None = None  # None: it lasts


@dataclass
class Disturbances:
    """Those that last, and the rows that are to be written."""

    last: int = 0
    rows: dict[int, Disturbance] = field(default_factory=dict)
    lasting: dict[tuple[str, str], Disturbance] = field(default_factory=dict)  # line, device or chute

    def remember(self, row: Disturbance) -> None:
        """Know one that lasted when the last transaction was written."""
        self.lasting[row.line, _whose(row)] = row

    def take_rows(self) -> list[Disturbance]:
        """What is new or has ended since the last call."""
        rows = list(self.rows.values())
        self.rows.clear()
        return rows

    def alarm(self, alarm: Alarm, line: str, items: int, t_ns: int) -> None:
        """An adapter tells of a line's devices."""
        whose = LASTING.get(alarm)
        if whose:
            if alarm.word != self._what(line, whose):
                self._end(line, whose, t_ns)
                self._begin(line, whose, Disturbance(0, line, alarm.word, None, 0, t_ns))
        elif alarm in OVER:
            self._end(line, OVER[alarm], t_ns)
        else:
            counted = 0 if alarm is Alarm.PLC_RESTARTED else items
            self._add(Disturbance(0, line, alarm.word, None, counted, t_ns, t_ns))

    def started(self, t_ns: int) -> None:
        """The daemon started."""
        self._add(Disturbance(0, "", STARTED, None, 0, t_ns, t_ns))

    def chute(self, chute: int, line: str, state: str, t_ns: int) -> None:
        """A chute's state, as the PLC reports it."""
        whose = str(chute)
        if state != self._what(line, whose):
            self._end(line, whose, t_ns)
            if state in CHUTE_WORDS:
                self._begin(line, whose, Disturbance(0, line, state, chute, 0, t_ns))

    def _what(self, line: str, whose: str) -> str:
        row = self.lasting.get((line, whose))
        return row.what if row else ""

    def _begin(self, line: str, whose: str, row: Disturbance) -> None:
        self._add(row)
        self.lasting[line, whose] = row

    def _end(self, line: str, whose: str, t_ns: int) -> None:
        row = self.lasting.pop((line, whose), None)
        if row:
            row.ended_ns = max(t_ns, row.began_ns)
            self.rows[row.disturbance] = row

    def _add(self, row: Disturbance) -> None:
        self.last += 1
        row.disturbance = self.last
        self.rows[row.disturbance] = row


def _whose(row: Disturbance) -> str:
    return str(row.chute) if row.chute is not None else LASTING[Alarm[row.what.upper()]]
