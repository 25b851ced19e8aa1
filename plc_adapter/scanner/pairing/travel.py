"""How long parcels take to the reader, measured: told only where one time alone brings readings to the items.

Nothing is paired by it. Of ITEMS items in a row (twice as many where that leaves a doubt) each votes for
every time after which a reading came, give or take a window. One time is told when it has most of the votes,
and no other has nearly as many; on a belt of equal distances each further distance has as many, and that is
told instead. So a wrong time is never told of parcels that take up to RANGE_NS, with READINGS_MAX at most
read in it, and that are nearly all counted and read: the right time has its votes too.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from plc_adapter.scanner.pairing.tracking import NS_PER_MS, Tracking

ITEMS: Final = 32
ENOUGH: Final = 0.75  # of the items' votes for a time to be told: the rest may be unread or miscounted
NEARLY: Final = 0.85  # of the best's votes: a time with so many may be the right one as well
RANGE_NS: Final = 60_000_000_000  # a reader stands no further behind where items count
READINGS_MAX: Final = 1024
CANDIDATES: Final = 3  # apart from laps: so many leave a doubt, and two of them are told

_Times = npt.NDArray[np.int64]


class Travel:
    """Items and readings in; what to tell of `travel_ms` out. Times are site time, a reading's that of its telegram."""

    def __init__(self, line: str, tracking: Tracking) -> None:
        self._line = line
        self._tracking = tracking
        # A time is no more exact than a quarter of the window, and than 10 ms.
        self._decimals = max(-1, math.ceil(-math.log10(tracking.window_ms / 4)))  # of a ms
        self._items: dict[int, int] = {}  # the first of a round: number as the reader is given it -> when it counted
        self._readings: deque[tuple[int, int | None]] = deque(maxlen=READINGS_MAX)  # (when at the reader, number)
        self._wanted = ITEMS
        self._now_ns = -1
        self._told_ns: int | None = None  # the time that was told last
        self._doubted = False  # that it cannot be measured was told
        self._news = ""

    def entered(self, item: int, t_ns: int) -> None:
        """The PLC counted an item at `t_ns`."""
        in_range = self._tracking.travel_ns + self._tracking.window_ns <= RANGE_NS
        if in_range and len(self._items) < self._wanted:
            self._items[item & self._tracking.id_mask] = t_ns

    def read(self, t_ns: int, number: int | None) -> None:
        """A reading came at `t_ns`, perhaps with the number that the PLC gave the reader."""
        self._readings.append((t_ns - self._tracking.delay_ns, number))

    def due(self, now_ns: int) -> None:
        """Look whether a round is over: no reading of its items is to come, or no more can be kept."""
        if now_ns < self._now_ns:  # the clock went back: times of before mean nothing
            self._items.clear()
            self._readings.clear()
        self._now_ns = now_ns
        if len(self._items) < self._wanted:
            return
        full = len(self._readings) == READINGS_MAX and self._readings[0][0] > min(self._items.values())
        if full or now_ns > max(self._items.values()) + RANGE_NS:
            self._review()
            self._items.clear()

    def news(self) -> list[str]:
        """What the log should carry, each once until it changes."""
        told, self._news = self._news, ""
        return [told] if told else []

    def _review(self) -> None:
        first, last = self._spans()
        if not len(first):
            return
        travel_ns, window_ns = self._tracking.travel_ns, self._tracking.window_ns
        votes = np.arange(1, len(first) + 1) - np.searchsorted(last, first)
        most = int(votes.max())
        fits = np.searchsorted(first, travel_ns, side="right") - np.searchsorted(last, travel_ns)
        if most < ENOUGH * len(self._items):
            return
        if fits >= NEARLY * most:
            self._told_ns, self._doubted = None, False
            return
        nearly = np.flatnonzero(votes >= NEARLY * most)
        found = self._found(first, last, votes, nearly)
        sure, self._wanted = self._wanted > ITEMS, ITEMS if len(found) == 1 else 2 * ITEMS
        if len(found) > 1 and sure and self._told_ns is None and not self._doubted:
            self._doubted = True
            after = self._found(first, last, votes, nearly[first[nearly] > -window_ns])
            self._news = self._ambiguous(after if len(after) > 1 else found)
        if len(found) == 1 and (self._told_ns is None or abs(found[0] - self._told_ns) > window_ns):
            self._told_ns = found[0]
            self._news = self._sentence(found[0])

    def _spans(self) -> tuple[_Times, _Times]:
        """Where each item's vote for a time begins and where it ends, both sorted; no item votes twice for one."""
        window_ns = self._tracking.window_ns
        since_ns = min(self._items.values()) - RANGE_NS
        kept = sorted((t_ns, -1 if number is None else number) for t_ns, number in self._readings if t_ns >= since_ns)
        t_ns, numbers = np.array(kept, np.int64).reshape(-1, 2).T
        first, last = [], []
        for number, entered_ns in self._items.items():
            own = t_ns[numbers == number] if self._tracking.by == "id" else t_ns
            apart = np.diff(own) > 2 * window_ns
            first.append(own[np.append(len(own) > 0, apart).nonzero()] - entered_ns - window_ns)
            last.append(own[np.append(apart, len(own) > 0).nonzero()] - entered_ns + window_ns)
        return np.sort(np.concatenate(first)), np.sort(np.concatenate(last))

    def _found(self, first: _Times, last: _Times, votes: npt.NDArray[Any], left: npt.NDArray[np.intp]) -> list[int]:
        """The times that may be the right one, of those that begin at `left`: CANDIDATES at most apart from laps.

        None where readings follow too closely to tell.
        """
        window_ns = self._tracking.window_ns
        found: list[int] = []
        while len(left) and (len(found) < CANDIDATES or self._are_laps(found)):
            best = left[votes[left].argmax()]
            begins_ns, ends_ns = int(first[best]), int(last[np.searchsorted(last, first[best])])
            if ends_ns - begins_ns > 2 * window_ns:
                return []
            found.append((begins_ns + ends_ns) // 2)
            left = left[abs(first[left] - found[-1]) > 2 * window_ns]
        return [min(found)] if found and self._are_laps(found) else found

    def _are_laps(self, found: list[int]) -> bool:
        """Whether all are laps after the least. Each lap adds a window to where a parcel may be."""
        window_ns, lap_ns = self._tracking.window_ns, self._tracking.lap_ns
        after = [one - min(found) for one in found]
        laps = [round(one / lap_ns) if lap_ns else 0 for one in after]
        return all(abs(one - lap * lap_ns) <= lap * 2 * window_ns for one, lap in zip(after, laps, strict=True))

    def _ms(self, t_ns: int) -> float:
        return round(t_ns / NS_PER_MS, self._decimals)

    def _sentence(self, found_ns: int) -> str:
        where = f"[tracking.{self._line}]"
        travel_ms = self._ms(found_ns)
        found_s = f"{abs(travel_ms) / 1000:.{3 + self._decimals}f} s"
        if travel_ms <= 0:
            return (
                f"readings come {f'{found_s} before' if travel_ms else 'as'} their items count; "
                f"let the PLC count an item before it is at the reader, or lower delay_ms in {where}"
            )
        return (
            f"readings come {found_s} after an item counts; travel_ms is {self._tracking.travel_ms:.10g}: "
            f"write travel_ms = {travel_ms:.{max(self._decimals, 0)}f} in {where}"
        )

    def _ambiguous(self, found: list[int]) -> str:
        one, other = map(self._after, sorted(found, key=lambda found_ns: (self._ms(found_ns) <= 0, abs(found_ns)))[:2])
        return (
            f"travel_ms = {self._tracking.travel_ms:.10g} in [tracking.{self._line}] brings no readings to the items; "
            f"{one} and {other} do alike: "
            "let parcels come at uneven distances, then it is measured"
        )

    def _after(self, found_ns: int) -> str:
        travel_ms = self._ms(found_ns)
        return f"{abs(travel_ms):.{max(self._decimals, 0)}f} ms{'' if travel_ms > 0 else ' before an item counts'}"
