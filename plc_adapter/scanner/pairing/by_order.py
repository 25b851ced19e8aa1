"""By order, a reading finds its item by time alone; where more than one could be meant, none gets it.

An item that entered at t is expected at the reader at t + travel, give or take a window. Its readings are
looked at when its window has passed and all telegrams of it must have come, so an answer comes at most
two windows and the merging time after the telegram.

The law, without any assumption: a reading goes to a wrong item only where two things went
wrong in one place: the item's own parcel gave no reading in its window (or no code but what the
other gave too), and another parcel was read there that the PLC did not tell of in time or that was
outside its own window. Whatever else is wrong (two readings, two items, windows that overlap) leaves
all concerned without codes. What is paired is in the order of the belt, for a reading that
overtook another would lie in both windows.

After anything that did not fit, the order is in doubt, and nothing is paired until neither an item
is expected nor a reading comes for two whole windows (4 * window_ms). So a shift of the belt by less
than 3 * window_ms makes no wrong pair by itself, and no jump of the clock does, for time is watched.
Where parcels follow each other more than 4 * window_ms apart a lost reading costs no other parcel its
codes; on a denser belt all behind it go without until the next gap. Choose window_ms by that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

from plc_adapter.scanner.pairing.either_way import HOLE_WINDOWS, READINGS_MAX, Pairing
from plc_adapter.scanner.pairing.fate import Fate, Paired
from plc_adapter.scanner.pairing.passes import Pass
from plc_adapter.scanner.pairing.tracking import QUIET_WINDOWS, Tracking
from plc_adapter.scanner.tunnel import Merged


@dataclass(slots=True, eq=False)
class _Reading:
    merged: Merged
    t_ns: int
    repeats: bool  # a reading close by has all its codes
    meant: bool = False  # an item's window held it
    judged: bool = False


def _when(one: _Reading) -> int:
    return one.t_ns


class ByOrder(Pairing):
    """Readings find their items by time alone."""

    def __init__(self, tracking: Tracking, merge_ns: int) -> None:
        super().__init__(tracking, merge_ns)
        self._quiet_ns = QUIET_WINDOWS * tracking.window_ns
        self._old_ns = merge_ns + HOLE_WINDOWS * tracking.window_ns
        self._readings: list[_Reading] = []
        self._doubt_ns = -1  # items expected no later get no codes

    def read(self, merged: Merged, now_ns: int) -> list[Paired]:
        """A parcel was read; the items that are decided by now."""
        self._pass_time(now_ns)
        t_ns = merged.t_ns - self._delay_ns
        if not 0 <= now_ns - merged.t_ns <= self._old_ns:
            self._note(Fate.MISDATED, now_ns)
            return self._decide(now_ns)
        if len(self._readings) >= READINGS_MAX:
            self._note(Fate.OVERFLOW, t_ns)
            self._distrust(Fate.OVERFLOW, now_ns)
            return self._decide(now_ns)
        reading = _Reading(merged, t_ns, self._repeats(merged, t_ns))
        if reading.repeats:
            self._note(Fate.REPEATED, t_ns)
        insort(self._readings, reading, key=_when)
        return self._decide(now_ns)

    def due(self, now_ns: int) -> list[Paired]:
        """The items that are decided by now."""
        self._pass_time(now_ns)
        return self._decide(now_ns)

    def _turn_back(self) -> None:
        self._late_ns = self._doubt_ns = -1
        self._readings.clear()

    def _distrust(self, why: Fate, now_ns: int) -> None:
        self._passes.doubt(why)
        self._doubt(now_ns + self._travel_ns + self._quiet_ns)

    def _doubt(self, until_ns: int) -> None:
        self._doubt_ns = max(self._doubt_ns, until_ns)

    def _repeats(self, merged: Merged, t_ns: int) -> bool:
        codes = set(merged.codes)
        near = self._readings_near(t_ns, self._quiet_ns)
        return bool(codes) and any(codes <= set(one.merged.codes) for one in near)

    def _readings_near(self, t_ns: int, by_ns: int) -> list[_Reading]:
        first = bisect_left(self._readings, t_ns - by_ns, key=_when)
        last = bisect_right(self._readings, t_ns + by_ns, key=_when)
        return self._readings[first:last]

    def _decide(self, now_ns: int) -> list[Paired]:
        """Decide up to where all telegrams have come, in the order of the belt."""
        limit_ns = now_ns - self._wait_ns
        over = bisect_right(self._readings, limit_ns - self._window_ns, key=_when)
        # A reading's turn comes when all items that may claim it are decided.
        turns: list[tuple[int, Pass | _Reading]] = [(one.expected_ns, one) for one in self._passes.until(limit_ns)]
        turns += [(one.t_ns + self._window_ns, one) for one in self._readings[:over] if not one.judged]
        turns.sort(key=lambda turn: turn[0])
        out = []
        for _, one in turns:
            if isinstance(one, _Reading):
                self._judge(one)
            else:
                out += self._decide_pass(one)
        self._late_ns = max(self._late_ns, limit_ns)
        self._passes.forget(limit_ns - 2 * self._window_ns)
        del self._readings[: bisect_left(self._readings, limit_ns - self._quiet_ns, key=_when)]
        return out

    def _judge(self, reading: _Reading) -> None:
        reading.judged = True
        if not reading.meant and not reading.repeats:
            self._note(Fate.STRAY, reading.t_ns)
            self._doubt(reading.t_ns + self._quiet_ns)

    def _decide_pass(self, one: Pass) -> list[Paired]:
        readings = self._readings_near(one.expected_ns, self._window_ns)
        for reading in readings:
            reading.meant = True
        if one.gone:
            self._passes.finish(one, Fate.SILENT, one.expected_ns)
            return []
        fate = self._fate(one, readings)
        if fate is not Fate.PAIRED:
            self._doubt(one.expected_ns + self._quiet_ns)
            return [self._refuse(one, fate)]
        t_ns = readings[0].t_ns
        self._late_ns = max(self._late_ns, t_ns + self._window_ns)
        return [self._pair(one, readings[0].merged, t_ns)]

    def _fate(self, one: Pass, readings: list[_Reading]) -> Fate:
        if one.doubt is not None:
            return one.doubt
        if not readings:
            return Fate.SILENT
        first, *others = readings
        codes = first.merged.codes
        alone = all(other.repeats and set(other.merged.codes) <= set(codes) for other in others)
        if first.repeats or not alone or len(self._passes.near(first.t_ns)) > 1:
            return Fate.AMBIGUOUS
        if one.expected_ns <= self._doubt_ns:
            return Fate.SLIPPED
        return Fate.CONTRADICTED if one.contradicts(codes) else Fate.PAIRED
