"""Which item was read: a reading gets an item only when no other item and no other reading could be meant.

Pairing by id trusts the number that the PLC gave the reader, and still wants it at the right time.
For one lap after it came into doubt what is on the belt, a whole number is expected elsewhere as well: after
a restart of the PLC at the reader, where it meets and counts what it has forgotten; after a start of the
adapter, or when reports are missing, wherever it is read, though the PLC did not tell of it.
A restart makes every number another parcel's: what was at the reader before it was noticed, and a little
later, is nobody's, whatever number it carries.
Pairing by order knows times only: an item that entered at t is expected at the reader at t + travel,
give or take a window. Its readings are looked at when its window has passed and all telegrams of it
must have come, so an answer comes at most two windows and the merging time after the telegram.

The law, without any assumption: by order, a reading goes to a wrong item only where two things went
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

Not detectable here, and so excluded: parcels that are exchanged by hand, and travel_ms or lap_ms
that are wrong by just the distance of two parcels on a belt where all are equally far apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final, Literal, NamedTuple

import msgspec

from plc_adapter.mailbox import SILENT_NS
from plc_adapter.scanner.tunnel import Merged
from sorter import limits

NS_PER_MS: Final = 1_000_000
READINGS_MAX: Final = 256  # readings that wait for their items; more is a flood
EVENTS_MAX: Final = 256  # events kept until somebody looks
DRIFT_PAIRS: Final = 64  # the last pairs whose offset is known; fewer tell nothing
QUIET_WINDOWS: Final = 4  # times window_ms: so long without traffic proves the order again
HEAD_WINDOWS: Final = 2  # times merge_ms: so long a tunnel knows a parcel that a slow head may speak of
HOLE_WINDOWS: Final = 2  # times window_ms: so long without a call is a hole in time
_LOW: Final = 0xFFFF


class Tracking(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How readings find their items: `[tracking.L1]`. `faults` tells what is wrong with it."""

    travel_ms: float  # from where the PLC counts an item to the reader
    by: Literal["id", "order"] = "order"
    id_bits: Literal[16, 32] = 32  # by id: how much of the item number the reader is given
    window_ms: float = 50.0  # how far an item may be from where it is expected, either way
    delay_ms: float = 0.0  # from the parcel at the reader to its telegram here
    lap_ms: float = 0.0  # time of one lap; 0: items pass the reader once
    merge_ms: float = 30.0  # how far the telegrams of several heads are apart

    @property
    def travel_ns(self) -> int:
        """Time from where the PLC counts an item to the reader."""
        return round(self.travel_ms * NS_PER_MS)

    @property
    def window_ns(self) -> int:
        """Half of the whole window."""
        return round(self.window_ms * NS_PER_MS)

    @property
    def delay_ns(self) -> int:
        """Time from the parcel at the reader to its telegram."""
        return round(self.delay_ms * NS_PER_MS)

    @property
    def lap_ns(self) -> int:
        """Time of one lap, 0: none."""
        return round(self.lap_ms * NS_PER_MS)

    @property
    def merge_ns(self) -> int:
        """How long after the first head's telegram the others' are waited for."""
        return round(self.merge_ms * NS_PER_MS)

    def faults(self) -> list[str]:
        """What cannot be, each with what to write."""
        faults = []
        if not 1 <= self.window_ms <= 10_000:
            faults.append(f"window_ms: {self.window_ms} must be 1 to 10000; take a quarter of the time between parcels")
        for key, value in (("travel_ms", self.travel_ms), ("delay_ms", self.delay_ms), ("lap_ms", self.lap_ms)):
            if not 0 <= value <= 3_600_000:
                faults.append(f"{key}: {value} must be 0 to 3600000")
        if 0 < self.lap_ms <= (2 * QUIET_WINDOWS) * self.window_ms:
            faults.append(f"lap_ms: {self.lap_ms} is not longer than {2 * QUIET_WINDOWS} windows; write 0 for no loop")
        if not 1 <= self.merge_ms <= 10_000:
            faults.append(f"merge_ms: {self.merge_ms} must be 1 to 10000; heads are some ten milliseconds apart")
        return faults


class Fate(StrEnum):
    """What became of an item at the reader, or of a reading without item."""

    PAIRED = "paired"
    SILENT = "silent"  # an item: no reading
    AMBIGUOUS = "ambiguous"  # an item: several readings, or its reading fits another item too
    SLIPPED = "slipped"  # an item: the order was in doubt
    STALLED = "stalled"  # an item: time had a hole while it was under way
    TOLD_LATE = "told_late"  # an item: the PLC told of it when its neighbours were decided
    REUSED = "reused"  # an item: the PLC gave its number twice
    CONTRADICTED = "contradicted"  # an item: it had other codes a lap before
    STRAY = "stray"  # a reading: no item was expected
    REPEATED = "repeated"  # a reading: it says again what was just said
    MISDATED = "misdated"  # a reading: its time is to come, or longer gone than its telegrams take
    OUTSIDE = "outside"  # a reading: its item is known by id, but not expected now
    OVERFLOW = "overflow"  # an item or reading for which there was no room
    BEFORE_START = "before_start"  # a reading: its number may be one of before the PLC's start
    UNTOLD = "untold"  # no fate: an item was paired where the PLC did not tell of it, by its number
    DRIFT = "drift"  # no fate: the offset of pairs left half the window, or came back


UNUSED: Final = (
    Fate.AMBIGUOUS,
    Fate.SLIPPED,
    Fate.STALLED,
    Fate.TOLD_LATE,
    Fate.REUSED,
    Fate.CONTRADICTED,
    Fate.STRAY,
    Fate.MISDATED,
    Fate.OUTSIDE,
    Fate.OVERFLOW,
    Fate.BEFORE_START,
)
"""Fates of codes that were read, or may have been, and were given to no item."""

ADVICE: Final = {
    Fate.SILENT: "no reading came for it; look at the reader's trigger, its link and travel_ms",
    Fate.AMBIGUOUS: "two readings or two items fit; keep parcels apart, or shorten window_ms",
    Fate.SLIPPED: "the order of the belt is in doubt until a gap in traffic; see what came before",
    Fate.STALLED: "the adapter or its clock stood still or jumped; look at the machine's load",
    Fate.TOLD_LATE: "the PLC reported it when its window had begun; look at the PLC link, or raise travel_ms",
    Fate.REUSED: "the PLC gave its number again while it was on the belt; let the PLC count items up",
    Fate.CONTRADICTED: "other codes than a lap before; look at lap_ms and the belt",
    Fate.STRAY: "a reading without item; does the PLC report every item, and does travel_ms fit?",
    Fate.REPEATED: "the same reading twice; look at the reader's trigger",
    Fate.MISDATED: "a reading from another time; the clock was set, or the adapter stood still",
    Fate.OUTSIDE: "a reading for an item that is not at the reader; does the PLC give the reader the right number?",
    Fate.UNTOLD: "the PLC did not tell of it, but gave the reader its number: it was on the belt before the restart",
    Fate.BEFORE_START: "a reading of about when the PLC started: its number may have meant another parcel then",
    Fate.OVERFLOW: "too many items or readings; look for an item that is never reported as dropped",
}


class Paired(NamedTuple):
    """An item has passed the reader."""

    item: int
    lap: int | None  # 0: the first time; None: it was on the belt before we knew of it
    codes: tuple[str, ...]  # (): not read, or not surely its own
    weight_g: int  # 0: not measured
    size_mm: tuple[int, int, int] | None
    t_ns: int  # when it was at the reader; without a reading, when it was expected there
    fate: Fate


class Event(NamedTuple):
    """Something for the log. It never carries a code."""

    t_ns: int
    fate: Fate
    item: int | None
    text: str


@dataclass(slots=True, eq=False)
class _Pass:
    """An item that comes by the reader once."""

    item: int
    expected_ns: int
    lap: int = 0
    known: tuple[str, ...] = ()  # its codes a lap before
    doubt: Fate | None = None  # why it gets no codes, whatever is read
    fate: Fate | None = None  # what became of it; None: not decided
    untold_ns: int | None = None  # when it was first read unexpectedly: how often it had passed is not known
    gone: bool = False  # it dropped while its window was open: nothing is to be told of it

    @property
    def untold(self) -> bool:
        return self.untold_ns is not None


@dataclass(slots=True, eq=False)
class _Reading:
    merged: Merged
    t_ns: int
    repeats: bool  # a reading close by has all its codes
    meant: bool = False  # an item's window held it
    judged: bool = False


def _expected(one: _Pass) -> int:
    return one.expected_ns


def _when(one: _Reading) -> int:
    return one.t_ns


class _Passes:
    """The passes to come and those just gone, in the order of the belt."""

    def __init__(self, tracking: Tracking) -> None:
        self.order: list[_Pass] = []
        self.of_item: dict[int, _Pass] = {}
        self._window_ns = tracking.window_ns
        self._lap_ns = tracking.lap_ns

    def add(self, one: _Pass) -> None:
        insort(self.order, one, key=_expected)
        self.of_item[one.item] = one

    def near(self, t_ns: int) -> list[_Pass]:
        """Those whose window holds `t_ns`."""
        first = bisect_left(self.order, t_ns - self._window_ns, key=_expected)
        last = bisect_right(self.order, t_ns + self._window_ns, key=_expected)
        return self.order[first:last]

    def until(self, limit_ns: int) -> list[_Pass]:
        """Those not decided that are expected no later."""
        last = bisect_right(self.order, limit_ns, key=_expected)
        return [one for one in self.order[:last] if one.fate is None]

    def forget(self, before_ns: int) -> None:
        """Let go of those expected before; all of them are decided."""
        last = bisect_left(self.order, before_ns, key=_expected)
        for one in self.order[:last]:
            self._unname(one)
        del self.order[:last]

    def left(self, item: int, t_ns: int) -> None:
        """The item dropped at `t_ns`: it comes by no more."""
        one = self.of_item.get(item)
        if one is None or one.fate is not None:
            return
        if one.expected_ns - self._window_ns <= t_ns:
            one.gone = True  # it may have been read before it dropped: nobody else shall have that reading
            return
        del self.order[self.order.index(one, bisect_left(self.order, one.expected_ns, key=_expected))]
        self._unname(one)

    def finish(self, one: _Pass, fate: Fate, read_ns: int, codes: tuple[str, ...] = ()) -> None:
        """It has come by. On a loop it comes again, a lap after it was read or expected."""
        one.fate = fate
        lost = one.untold and fate is not Fate.PAIRED  # a number that nobody told of may be none
        if self._lap_ns and not one.gone and not lost and one.lap < limits.LAPS_MAX and fate is not Fate.REUSED:
            again_ns = read_ns + self._lap_ns
            self.add(_Pass(one.item, again_ns, one.lap + 1, codes or one.known, untold_ns=one.untold_ns))

    def doubt(self, why: Fate) -> None:
        """None of those under way gets codes."""
        for one in self.order:
            if one.fate is None and one.doubt is None:
                one.doubt = why

    def shift(self, by_ns: int) -> None:
        """The clock was set by so much."""
        for one in self.order:
            one.expected_ns += by_ns

    def _unname(self, one: _Pass) -> None:
        if self.of_item.get(one.item) is one:
            del self.of_item[one.item]


class _Drift:
    """The median offset of the last pairs from where they were expected."""

    def __init__(self, allowed_ns: int) -> None:
        self.median_ns = 0.0
        self._allowed_ns = allowed_ns
        self._offsets: deque[int] = deque(maxlen=DRIFT_PAIRS)
        self._off = False

    def pair(self, offset_ns: int) -> str:
        """One more pair; what is to be told when the median left its bounds or came back, else nothing."""
        self._offsets.append(offset_ns)
        if len(self._offsets) < DRIFT_PAIRS:
            return ""
        self.median_ns = median(self._offsets)
        allowed_ns = self._allowed_ns // 2 if self._off else self._allowed_ns  # or the edge would be told for ever
        if (abs(self.median_ns) > allowed_ns) == self._off:
            return ""
        self._off = not self._off
        told = f"items come {self.median_ns / NS_PER_MS:+.1f} ms from where they are expected"
        if self._off:
            return f"{told}; add that to travel_ms, or look at the belt's speed"
        return f"{told}, which is within bounds again"


class Pairing(ABC):
    """Items and readings in, paired items out. Times are site time; `now_ns` is that of the call."""

    def __init__(self, tracking: Tracking, merge_ns: int) -> None:
        self.counts: Counter[Fate] = Counter()
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)  # whoever tells one takes it away
        self._window_ns = tracking.window_ns
        self._travel_ns = tracking.travel_ns
        self._delay_ns = tracking.delay_ns
        self._wait_ns = tracking.window_ns + tracking.delay_ns + merge_ns  # then all telegrams of an item have come
        self._drift = _Drift(tracking.window_ns // 2)
        self._passes = _Passes(tracking)
        self._now_ns: int | None = None
        self._late_ns = -1  # an item expected no later would have changed what is decided already

    @property
    def drift_ns(self) -> float:
        """Median offset of the last pairs from where they were expected; 0 when there are few."""
        return self._drift.median_ns

    def entered(self, item: int, t_ns: int, now_ns: int) -> list[Paired]:
        """The PLC counted an item at `t_ns`; what is decided by that. The same report twice is one."""
        self._pass_time(now_ns)
        one = _Pass(item, t_ns + self._travel_ns)
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
        del again  # times do not tell numbers apart
        self.distrust(now_ns)

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
        if was_ns is None or was_ns <= now_ns <= was_ns + HOLE_WINDOWS * self._window_ns:
            return
        if now_ns < was_ns:
            self._passes.shift(now_ns - was_ns)
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
        if fate is not Fate.PAIRED:
            who = "" if item is None else f"item {item}: "
            self.events.append(Event(t_ns, fate, item, f"{who}{text or ADVICE[fate]}"))

    def _refuse(self, one: _Pass, fate: Fate) -> Paired:
        self._note(fate, one.expected_ns, one.item)
        self._passes.finish(one, fate, one.expected_ns)
        return Paired(one.item, None if one.untold else one.lap, (), 0, None, one.expected_ns, fate)

    def _pair(self, one: _Pass, merged: Merged, t_ns: int) -> Paired:
        self._note(Fate.PAIRED, t_ns, one.item)
        self._passes.finish(one, Fate.PAIRED, t_ns, merged.codes)
        if one.lap == 0 and not one.untold and (told := self._drift.pair(t_ns - one.expected_ns)):
            self._note(Fate.DRIFT, t_ns, text=told)
        lap = None if one.untold else one.lap
        return Paired(one.item, lap, merged.codes, merged.weight_g, merged.size_mm, t_ns, Fate.PAIRED)


def _contradict(one: _Pass, codes: tuple[str, ...]) -> bool:
    return bool(one.known and codes) and not set(one.known) & set(codes)


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
        turns: list[tuple[int, _Pass | _Reading]] = [(one.expected_ns, one) for one in self._passes.until(limit_ns)]
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

    def _decide_pass(self, one: _Pass) -> list[Paired]:
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

    def _fate(self, one: _Pass, readings: list[_Reading]) -> Fate:
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
        return Fate.CONTRADICTED if _contradict(one, codes) else Fate.PAIRED


class ById(Pairing):
    """Readings carry the number that the PLC gave the reader; time has to agree. Decided at once.

    No number outlives a start of the PLC. `_slack_ns` is how far behind a moment a reading may seem that was
    before it: a window, what the slowest head may add, and as long as a side may be silent and not be dead.
    """

    def __init__(self, tracking: Tracking, merge_ns: int) -> None:
        super().__init__(tracking, merge_ns)
        self._mask = _LOW if tracking.id_bits == 16 else limits.ITEM_NUMBER_MAX
        self._doubt_ns = max(tracking.travel_ns, tracking.lap_ns) + self._wait_ns  # then all on the belt have come by
        self._slack_ns = SILENT_NS + tracking.window_ns + HEAD_WINDOWS * merge_ns
        self._start_ns = -1  # readings of parcels that were at the reader until then are nobody's
        self._doubted_ns = -1  # until then the PLC may count items at the reader
        self._believed_ns = -1  # until then a number that it did not tell of is taken at its word,
        self._unbelieved_ns = -1  # but not of a parcel that was at the reader before this
        self._held: deque[tuple[int, Merged]] = deque()  # (when at the reader, what), until the PLC has counted it

    def read(self, merged: Merged, now_ns: int) -> list[Paired]:
        """A parcel was read; the items that are decided by now."""
        out = self.due(now_ns)
        t_ns = merged.t_ns - self._delay_ns
        if merged.id is None:
            self._note(Fate.STRAY, t_ns, text='a reading without id; let the reader send it, or write by = "order"')
            return out
        if t_ns <= self._start_ns:
            self._note(Fate.BEFORE_START, t_ns)
            return out
        return out + self._find(merged, t_ns, now_ns)

    def _find(self, merged: Merged, t_ns: int, now_ns: int) -> list[Paired]:
        assert merged.id is not None
        named = [one for one in self._passes.near(t_ns) if one.item & self._mask == merged.id and not one.gone]
        if not named and self._mask != _LOW and now_ns <= self._doubted_ns:
            named = self._untold(merged.id, t_ns, now_ns)
            if not named and merged.id not in self._passes.of_item and len(self._held) < READINGS_MAX:
                self._held.append((t_ns, merged))
                return []
        fate = self._fate(named, merged)
        if fate is Fate.PAIRED:
            return [self._pair(named[0], merged, t_ns)]
        if fate not in (Fate.AMBIGUOUS, Fate.CONTRADICTED):
            self._note(fate, t_ns, named[0].item if named else None)
            return []
        return [self._refuse(one, fate) for one in named if one.fate is None]

    def entered(self, item: int, t_ns: int, now_ns: int) -> list[Paired]:
        """The PLC counted an item at `t_ns`, perhaps at the reader, which was faster to tell of it."""
        out = super().entered(item, t_ns, now_ns)
        held = [one for one in self._held if one[1].id == item]
        for one in held:
            self._held.remove(one)
            out += self._find(one[1], one[0], now_ns)
        return out

    def began(self, now_ns: int, *, again: bool) -> None:
        """Numbers of before mean nothing. What an adapter finds at its own start the PLC will not tell of again."""
        self._start_ns = now_ns + self._slack_ns
        self._doubt(now_ns, believe=not again)

    def missed(self, now_ns: int) -> None:
        """The PLC's word of an item may have been lost."""
        self._doubt(now_ns, believe=True)

    def _doubt(self, now_ns: int, *, believe: bool) -> None:
        self.distrust(now_ns)
        self._doubted_ns = now_ns + self._doubt_ns
        if believe:
            self._believed_ns = self._doubted_ns

    def due(self, now_ns: int) -> list[Paired]:
        """The items that are decided by now."""
        self._pass_time(now_ns)
        limit_ns = now_ns - self._wait_ns
        out = []
        for one in self._passes.until(limit_ns):
            if one.gone:
                self._passes.finish(one, Fate.SILENT, one.expected_ns)
            else:
                out.append(self._refuse(one, one.doubt or Fate.SILENT))
        self._passes.forget(limit_ns - 2 * self._window_ns)
        while self._held and self._held[0][0] < limit_ns - self._slack_ns:
            self._note(Fate.STRAY, self._held.popleft()[0])
        return out

    def _fate(self, named: list[_Pass], merged: Merged) -> Fate:
        if not named:
            known = any(one.item & self._mask == merged.id for one in self._passes.order)
            return Fate.OUTSIDE if known else Fate.STRAY
        if len(named) > 1:
            return Fate.AMBIGUOUS
        if named[0].fate is not None:
            return Fate.REPEATED if named[0].fate is Fate.PAIRED else Fate.OUTSIDE
        if named[0].doubt is not None:
            return Fate.AMBIGUOUS
        return Fate.CONTRADICTED if _contradict(named[0], merged.codes) else Fate.PAIRED

    def _untold(self, number: int, t_ns: int, now_ns: int) -> list[_Pass]:
        """The item of a number that is not expected now, in a time of doubt; none when it is elsewhere.

        A PLC that has started again meets the items on the belt at the reader, and counts them there.
        """
        one = self._passes.of_item.get(number)
        if one is None:
            believed = now_ns <= self._believed_ns and t_ns > self._unbelieved_ns
            if not believed or len(self._passes.order) >= limits.ITEMS_ON_BELT_MAX:
                return []
            one = _Pass(number, t_ns, untold_ns=t_ns)
            self._passes.add(one)
        elif one.lap == 0 and one.fate is None and abs(one.expected_ns - self._travel_ns - t_ns) <= self._window_ns:
            one.untold_ns = t_ns
        else:
            return []
        self._note(Fate.UNTOLD, t_ns, number)
        return [one]

    def _turn_back(self) -> None:
        assert self._now_ns is not None
        self._start_ns = min(self._start_ns, self._now_ns + self._slack_ns)
        self._doubted_ns = self._believed_ns = -1
        while self._held:
            self._note(Fate.STRAY, self._held.popleft()[0])

    def _distrust(self, why: Fate, now_ns: int) -> None:
        """What comes now may have waited: it is not taken at its word. Nobody loses codes that agree by number."""
        del why
        self._unbelieved_ns = now_ns + self._slack_ns


def pairing(tracking: Tracking, heads: int = 1) -> Pairing:
    """What pairs as the settings say, where so many heads are merged into one reading."""
    merge_ns = tracking.merge_ns if heads > 1 else 0  # a single head's telegram is merged as it comes
    return ById(tracking, merge_ns) if tracking.by == "id" else ByOrder(tracking, merge_ns)
