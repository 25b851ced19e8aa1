"""The course of a scenario through a day: each fault strikes once, at its very moment of site time, in order."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from plc_adapter.emulator import traffic
from plc_adapter.emulator.faults import Misreading
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.plant import NS_PER_S
from plc_adapter.emulator.scenario import Event, Scenario, Shares
from plc_adapter.emulator.traffic import Day


class Struck(NamedTuple):
    """A fault that happened."""

    t_ns: int
    site_time: str
    line: str
    what: str
    words: str


class Course:
    """Plays a scenario on the lines of one day; `struck` is what happened so far."""

    def __init__(self, scenario: Scenario, lines: list[Line], day: Day, now_ns: int) -> None:
        self.struck: list[Struck] = []
        self._lines = {line.name: line for line in lines}
        self._shares = scenario.shares
        self._opens_ns = day.opens_ns
        self._ahead = deque((t_ns, event) for event in scenario.events if (t_ns := self._ns_of(event)) >= now_ns)
        self._misreading: dict[tuple[str, str], int] = {}  # line, setting: until when
        for name, shares in scenario.shares.items():
            for setting in shares.__struct_fields__:
                self._calm(name, setting)

    def due(self, now_ns: int) -> list[Struck]:
        """Let everything strike whose moment has come by `now_ns`; returns what that was."""
        before = len(self.struck)
        while self._ahead and self._ahead[0][0] <= now_ns:
            t_ns, event = self._ahead.popleft()
            self._end_misreadings(t_ns)
            self._strike(t_ns, event)
        self._end_misreadings(now_ns)
        return self.struck[before:]

    def mend(self) -> None:
        """The day is over: end all that goes on, so that the belts run empty."""
        self._ahead.clear()
        for name, setting in list(self._misreading):
            self._calm(name, setting)
        self._misreading.clear()
        for line in self._lines.values():
            line.program.mend()
            line.plant.mend()
            line.readers.mend()

    def _strike(self, t_ns: int, event: Event) -> None:
        line = self._lines[event.line]
        line.step(t_ns)
        event.fault.strike(line)
        if isinstance(event.fault, Misreading):
            self._misreading[event.line, event.fault.setting] = t_ns + round(event.fault.for_s * NS_PER_S)
        self.struck.append(Struck(t_ns, self._site_time(t_ns), event.line, event.what, str(event.fault)))

    def _end_misreadings(self, now_ns: int) -> None:
        for (name, setting), until_ns in list(self._misreading.items()):
            if until_ns <= now_ns:
                self._lines[name].step(until_ns)
                self._calm(name, setting)
                del self._misreading[name, setting]

    def _calm(self, name: str, setting: str) -> None:
        share = getattr(self._shares.get(name, Shares()), setting)
        setattr(self._lines[name].reading, setting, share)

    def _ns_of(self, event: Event) -> int:
        return self._opens_ns + (event.at_s - traffic.OPENS_H * 3600) * NS_PER_S

    def _site_time(self, t_ns: int) -> str:
        second = (t_ns - self._opens_ns) // NS_PER_S + traffic.OPENS_H * 3600
        return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
