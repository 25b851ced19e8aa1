"""What holds by id and by order: a pass is answered at most once, what fails is counted and told, time is watched.

A late call, a clock that was set and a side that was away are reasons for distrust; each way says who pays for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from typing import Final

from plc_adapter.scanner.pairing.absence import Absence
from plc_adapter.scanner.pairing.drift import Drift
from plc_adapter.scanner.pairing.fate import ADVICE, Event, Fate, Paired
from plc_adapter.scanner.pairing.passes import Pass, Passes
from plc_adapter.scanner.pairing.tracking import Tracking
from plc_adapter.scanner.tunnel import Merged
from sorter import limits

READINGS_MAX: Final = 256  # readings that wait for their items; more is a flood
EVENTS_MAX: Final = 256  # events kept until somebody looks
HOLE_WINDOWS: Final = 2  # times window_ms: so long without a call is a hole in time


class Pairing(ABC):
    """Items and readings in, paired items out. Times are site time; `now_ns` is that of the call."""

    def __init__(self, tracking: Tracking, merge_ns: int) -> None:
        self.counts: Counter[Fate] = Counter()
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)  # whoever tells one takes it away
        self._window_ns = tracking.window_ns
        self._travel_ns = tracking.travel_ns
        self._delay_ns = tracking.delay_ns
        self._wait_ns = tracking.window_ns + tracking.delay_ns + merge_ns  # then all telegrams of an item have come
        self._drift = Drift(tracking.window_ns // 2)
        self._absence = Absence(tracking)
        self._passes = Passes(tracking)
        self._now_ns: int | None = None
        self._late_ns = -1  # an item expected no later would have changed what is decided already

    @property
    def drift_ns(self) -> float:
        """Median offset of the last pairs from where they were expected; 0 when there are few."""
        return self._drift.median_ns

    def entered(self, item: int, t_ns: int, now_ns: int) -> list[Paired]:
        """The PLC counted an item at `t_ns`; what is decided by that. The same report twice is one."""
        self._pass_time(now_ns)
        one = Pass(item, t_ns + self._travel_ns)
        before = self._passes.of_item.get(item)
        if before is not None and before.untold_ns is not None:
            if min(abs(before.untold_ns - t_ns), abs(before.untold_ns - one.expected_ns)) <= self._window_ns:
                return []  # it is what was read
            self._passes.left(item, now_ns)  # the number means another parcel now
        elif before is not None:
            if before.lap == 0 and before.expected_ns == one.expected_ns:
                return []
            before.doubt = one.doubt = Fate.REUSED
        elif one.expected_ns <= self._late_ns:
            one.doubt = Fate.TOLD_LATE
        if len(self._passes.order) >= limits.ITEMS_ON_BELT_MAX:
            self._note(Fate.OVERFLOW, now_ns, item)
            self._distrust(Fate.OVERFLOW, now_ns)
            return []
        self._passes.add(one)
        return []

    @abstractmethod
    def read(self, merged: Merged, now_ns: int) -> list[Paired]:
        """A parcel was read; the items that are decided by now."""

    @abstractmethod
    def due(self, now_ns: int) -> list[Paired]:
        """The items that are decided by now."""

    def left(self, item: int, t_ns: int) -> None:
        """The item dropped at `t_ns`: it comes by no more."""
        self._passes.left(item, t_ns)

    def distrust(self, now_ns: int) -> None:
        """What is under way gets no codes: the reader or the PLC was away, and what comes may be old."""
        self._pass_time(now_ns)
        self._distrust(Fate.STALLED, now_ns)

    def began(self, now_ns: int, *, again: bool) -> None:
        """The PLC was met at its start, or at the adapter's; `again`: it has started since the adapter has."""
        if not again:
            self._absence.ended(now_ns)
        self.distrust(now_ns)

    def follow(self, before: Pairing) -> None:
        """Go on counting and telling where the pairing of the PLC's start before ended."""
        self.counts.update(before.counts)
        self.events.extend(before.events)
        self._absence = before._absence

    def missed(self, now_ns: int) -> None:
        """Reports of the PLC are missing: what is on the belt is not all known."""
        self.distrust(now_ns)

    def next_ns(self) -> int:
        """When `due` must be called next: half a window after the last call, or sooner; 0: now."""
        if self._now_ns is None:
            return 0
        watch_ns = self._now_ns + self._window_ns // 2
        waiting = next((one for one in self._passes.order if one.fate is None), None)
        return watch_ns if waiting is None else min(watch_ns, waiting.expected_ns + self._wait_ns)

    def _pass_time(self, now_ns: int) -> None:
        was_ns, self._now_ns = self._now_ns, now_ns
        for sentence in self._absence.due(now_ns):
            self._note(Fate.AWAY, now_ns, text=sentence)
        if was_ns is None or was_ns <= now_ns <= was_ns + HOLE_WINDOWS * self._window_ns:
            return
        if now_ns < was_ns:
            self._passes.shift(now_ns - was_ns)
            self._absence.forget()
            self._turn_back()
        self._distrust(Fate.STALLED, now_ns)

    @abstractmethod
    def _turn_back(self) -> None:
        """The clock went back: times that were noted mean nothing any more."""

    @abstractmethod
    def _distrust(self, why: Fate, now_ns: int) -> None:
        """What is under way gets no codes."""

    def _note(self, fate: Fate, t_ns: int, item: int | None = None, text: str = "") -> None:
        self.counts[fate] += 1
        explained = not text and self._now_ns is not None and self._absence.explains(fate, t_ns, self._now_ns)
        if fate is not Fate.PAIRED and not explained:
            who = "" if item is None else f"item {item}: "
            self.events.append(Event(t_ns, fate, item, f"{who}{text or ADVICE[fate]}"))

    def _refuse(self, one: Pass, fate: Fate) -> Paired:
        self._note(fate, one.expected_ns, one.item)
        self._passes.finish(one, fate, one.expected_ns)
        return Paired(one.item, None if one.untold else one.lap, (), 0, None, one.expected_ns, fate)

    def _pair(self, one: Pass, merged: Merged, t_ns: int) -> Paired:
        self._note(Fate.PAIRED, t_ns, one.item)
        self._passes.finish(one, Fate.PAIRED, t_ns, merged.codes)
        if one.lap == 0 and not one.untold and (told := self._drift.pair(t_ns - one.expected_ns)):
            self._note(Fate.DRIFT, t_ns, text=told)
        lap = None if one.untold else one.lap
        return Paired(one.item, lap, merged.codes, merged.weight_g, merged.size_mm, t_ns, Fate.PAIRED)
