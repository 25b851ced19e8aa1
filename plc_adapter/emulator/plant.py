"""One cross-belt loop as discrete events: parcels wait, ride a cell, are scanned, drop or go round.

Nothing here knows a clock, a socket or a thread: whoever steps it says how late it is. The same
parcels, diverts and times give the same belt, and a parcel is always waiting, riding or dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from sorter.records import ChuteState, Discharge

NS_PER_S: Final = 1_000_000_000
LAP_SHOWN_MAX: Final = 250
NEVER_NS: Final = 1 << 62

_INDUCT: Final = 0
_SCAN: Final = 1
_ARRIVE: Final = 2
_CHUTE: Final = 3

OPEN: Final = int(ChuteState.OPEN)
FULL: Final = int(ChuteState.FULL)
BLOCKED: Final = int(ChuteState.BLOCKED)
CHANGING: Final = int(ChuteState.CHANGING)
DROPPED: Final = int(Discharge.DROPPED)
PASSED: Final = int(Discharge.PASSED)


class Belt(NamedTuple):
    """A loop's geometry. Its cells are as near to `pitch_m` as go into the lap without rest.

    0.5 m is the pitch of a small-parcel cross-belt; at 2 m/s it passes four cells a second.
    """

    name: str
    speed_m_s: float
    lap_m: float
    induct_to_scanner_m: float = 20.0
    pitch_m: float = 0.5


class Chute(NamedTuple):
    """`position_m` behind the scanner along the loop; `capacity` in items, 0: never full."""

    number: int
    position_m: float
    capacity: int


class Faults(NamedTuple):
    """How often the plant misbehaves, as shares of parcels, and how long staff need."""

    missed_share: float = 0.002
    jam_share: float = 0.0002
    jam_s: tuple[float, float] = (60.0, 600.0)
    full_share: float = 0.95  # the sensor sees a chute full at this share of its capacity
    wait_s: tuple[float, float] = (30.0, 120.0)  # a full chute waits for somebody
    change_s: tuple[float, float] = (15.0, 45.0)


class Entered(NamedTuple):
    """The PLC saw a parcel enter and gave it a number."""

    t_ns: int
    item: int
    induct: int


class Left(NamedTuple):
    """The PLC reports a discharge; `outcome` is a Discharge."""

    t_ns: int
    item: int
    chute: int
    outcome: int


class Sensed(NamedTuple):
    """The PLC reports a chute's state; `state` is a ChuteState."""

    t_ns: int
    chute: int
    state: int


class Scan(NamedTuple):
    """A parcel passed the scanner; `parcel` is its index in the line's load."""

    t_ns: int
    item: int
    parcel: int
    lap: int


class Load(NamedTuple):
    """What is brought to a line: site nanoseconds, ascending, and the induction of each parcel."""

    arrive_ns: Sequence[int]
    induct: Sequence[int]


class _Item:
    __slots__ = ("aim", "alternate", "cell", "chute", "lap", "number", "parcel", "scan_ns")

    def __init__(self, parcel: int, number: int, cell: int) -> None:
        self.parcel = parcel
        self.number = number  # 0: the PLC has forgotten it
        self.cell = cell  # -1: dropped
        self.lap = -1
        self.scan_ns = -1
        self.chute = 0  # the chute it is told, 0: none
        self.alternate = 0
        self.aim = 0  # which of the two it is carried to


class _Bin:
    """A chute and what stands under it."""

    __slots__ = ("count", "full_at", "number", "reach_ns", "state")

    def __init__(self, chute: Chute, reach_ns: int, full_share: float) -> None:
        self.number = chute.number
        self.reach_ns = reach_ns
        self.full_at = max(1, int(chute.capacity * full_share)) if chute.capacity else 0
        self.count = 0
        self.state = OPEN


class Plant:
    """A line that runs. `advance` it, tell it diverts, and take `plc` records and `scans` from it.

    Truth, by parcel: `numbers` the (epoch, item) it was given, `drop_chute` (0: not dropped),
    `drop_ns`, `laps` begun before it dropped, `scan_ns` of every scan.
    """

    def __init__(
        self,
        belt: Belt,
        chutes: Sequence[Chute],
        load: Load,
        seed: int,
        *,
        faults: Faults | None = None,
        start_ns: int = 0,
        epoch: int = 1,
        tells_items: bool = True,
    ) -> None:
        """A belt that runs from `start_ns` on, in the PLC's `epoch`; `tells_items`: it reports what enters.

        Raises ValueError for a chute beyond the lap, or arrivals out of order.
        """
        self.belt = belt
        self.epoch = epoch
        self.host_alive = True
        self.plc: deque[Entered | Left | Sensed] = deque()
        self.scans: list[Scan] = []
        self.now_ns = start_ns
        self.missed = self.jams = self.bags = self.strays = 0
        self.dropped = self.inducted = 0
        count = len(load.arrive_ns)
        self.numbers: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        self.scan_ns: list[list[int]] = [[] for _ in range(count)]
        self.drop_chute = [0] * count
        self.drop_ns = [0] * count
        self.laps = [0] * count
        self._load = load
        self._tells_items = tells_items
        self._faults = faults or Faults()
        self._rng = np.random.default_rng([seed, *belt.name.encode()])
        self._missing = set(np.flatnonzero(self._rng.random(count) < self._faults.missed_share).tolist())
        self._jamming = set(np.flatnonzero(self._rng.random(count) < self._faults.jam_share).tolist())
        self._cells = max(1, round(belt.lap_m / belt.pitch_m))
        self._cell_ns = round(belt.lap_m / self._cells / belt.speed_m_s * NS_PER_S)
        self._lap_ns = self._cells * self._cell_ns
        self._lead_ns = round(belt.induct_to_scanner_m / belt.speed_m_s * NS_PER_S)
        self._taken = bytearray(self._cells)
        self._bins = {chute.number: self._bin(chute) for chute in chutes}
        self._items: dict[int, _Item] = {}
        self._next_number = 1
        self._heap: list[tuple[int, int, int, object, int]] = []
        self._pushed = 0
        if any(later < sooner for sooner, later in zip(load.arrive_ns, load.arrive_ns[1:], strict=False)):
            raise ValueError(f"line {belt.name}: parcels must be brought in the order of their times")
        self._queue_next(0, -(-start_ns // self._cell_ns))

    def _bin(self, chute: Chute) -> _Bin:
        if not 0 < chute.position_m < self.belt.lap_m:
            raise ValueError(
                f"chute {chute.number} stands {chute.position_m} m behind the scanner of line {self.belt.name}, "
                f"but a lap is {self.belt.lap_m} m; correct its position"
            )
        return _Bin(chute, round(chute.position_m / self.belt.speed_m_s * NS_PER_S), self._faults.full_share)

    @property
    def on_belt(self) -> int:
        """Parcels that ride a cell now."""
        return self.inducted - self.dropped

    @property
    def cells(self) -> int:
        """How many parcels the loop can carry."""
        return self._cells

    @property
    def done(self) -> bool:
        """Every parcel has dropped somewhere."""
        return self.dropped == len(self._load.arrive_ns)

    def next_ns(self) -> int:
        """When something happens next; NEVER_NS when nothing is to come."""
        return self._heap[0][0] if self._heap else NEVER_NS

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due up to `now_ns`, in its order."""
        heap = self._heap
        while heap and heap[0][0] <= now_ns:
            t_ns, _, kind, what, value = heappop(heap)
            if kind == _ARRIVE:
                self._arrive(t_ns, what, value)  # type: ignore[arg-type] # an _ARRIVE entry holds an item
            elif kind == _SCAN:
                self._scan(t_ns, what)  # type: ignore[arg-type] # a _SCAN entry holds an item
            elif kind == _INDUCT:
                self._induct(t_ns, value)
            else:
                self._serve(t_ns, what)  # type: ignore[arg-type] # a _CHUTE entry holds a bin
        self.now_ns = max(self.now_ns, now_ns)

    def divert(self, item: int, chute: int, alternate: int, deadline_ns: int) -> None:
        """The host tells the PLC where an item is to drop; `chute` and `alternate` 0: none.

        A divert whose deadline lies before the item's last scan answers an older lap and is
        ignored; one that comes when its chute has gone by leads to the alternate or to `passed`.
        """
        found = self._items.get(item)
        if found is None or found.scan_ns < 0:
            self.strays += 1
            return
        if deadline_ns < found.scan_ns or chute == 0:
            return
        found.chute, found.alternate = chute, alternate
        self._aim(self.now_ns, found, chute)

    def restart(self) -> None:
        """The PLC starts again: it forgets its items, which keep their cells and get new numbers."""
        self.epoch += 1
        self._next_number = 1
        for item in self._items.values():
            item.number = item.chute = item.alternate = item.aim = 0
        self._items.clear()
        self.plc.clear()
        self.sense_all()

    def sense_all(self) -> None:
        """Report the state of every chute: a host that is new here may not have heard of the last change."""
        self.plc.extend(Sensed(self.now_ns, bin_.number, bin_.state) for bin_ in self._bins.values())

    def _push(self, t_ns: int, kind: int, what: object, value: int = 0) -> None:
        self._pushed += 1
        heappush(self._heap, (t_ns, self._pushed, kind, what, value))

    def _queue_next(self, parcel: int, cell_passed: int) -> None:
        if parcel < len(self._load.arrive_ns):
            passage = max(cell_passed, -(-self._load.arrive_ns[parcel] // self._cell_ns))
            self._push(passage * self._cell_ns, _INDUCT, None, passage)

    def _induct(self, t_ns: int, passage: int) -> None:
        parcel = self.inducted
        cell = passage % self._cells
        if self._taken[cell]:
            self._push(t_ns + self._cell_ns, _INDUCT, None, passage + 1)
            return
        self._taken[cell] = 1
        item = _Item(parcel, 0, cell)
        self._number(t_ns, item)
        self.inducted += 1
        self._push(t_ns + self._lead_ns, _SCAN, item)
        self._queue_next(parcel + 1, passage + 1)

    def _number(self, t_ns: int, item: _Item) -> None:
        item.number = self._next_number
        self._next_number += 1
        self._items[item.number] = item
        self.numbers[item.parcel].append((self.epoch, item.number))
        if self._tells_items:
            self.plc.append(Entered(t_ns, item.number, self._load.induct[item.parcel]))

    def _scan(self, t_ns: int, item: _Item) -> None:
        if item.cell < 0:
            return
        if not item.number:
            self._number(t_ns, item)
        item.scan_ns = t_ns
        item.lap += 1
        self.scan_ns[item.parcel].append(t_ns)
        self.scans.append(Scan(t_ns, item.number, item.parcel, min(item.lap, LAP_SHOWN_MAX)))
        self._push(t_ns + self._lap_ns, _SCAN, item)

    def _aim(self, now_ns: int, item: _Item, chute: int) -> None:
        """Wait for the chute to come by, or give up this lap."""
        target = self._bins.get(chute)
        reach_ns = item.scan_ns + target.reach_ns if target else -1
        if reach_ns > now_ns:
            item.aim = chute
            self._push(reach_ns, _ARRIVE, item, chute)
        elif chute != item.alternate and item.alternate:
            self._aim(now_ns, item, item.alternate)
        else:
            self._pass(now_ns, item)

    def _pass(self, t_ns: int, item: _Item) -> None:
        self.plc.append(Left(t_ns, item.number, item.chute, PASSED))
        item.chute = item.alternate = item.aim = 0

    def _arrive(self, t_ns: int, item: _Item, chute: int) -> None:
        target = self._bins[chute]
        if item.cell < 0 or chute != item.aim:
            return  # told otherwise since
        if not self.host_alive:
            self._pass(t_ns, item)
        elif item.parcel in self._missing:
            self._missing.discard(item.parcel)
            self.missed += 1
            self._pass(t_ns, item)
        elif target.state in (OPEN, FULL):
            self._drop(t_ns, item, target)
        elif chute == item.chute and item.alternate not in (0, chute):
            self._aim(t_ns, item, item.alternate)
        else:
            self._pass(t_ns, item)

    def _drop(self, t_ns: int, item: _Item, target: _Bin) -> None:
        parcel = item.parcel
        self._taken[item.cell] = 0
        item.cell = -1
        del self._items[item.number]
        self.dropped += 1
        self.drop_chute[parcel] = target.number
        self.drop_ns[parcel] = t_ns
        self.laps[parcel] = item.lap
        self.plc.append(Left(t_ns, item.number, target.number, DROPPED))
        target.count += 1
        if target.state == OPEN and target.full_at and target.count >= target.full_at:
            self._sense(t_ns, target, FULL, self._faults.wait_s)
        elif target.state == OPEN and parcel in self._jamming:
            self.jams += 1
            self._sense(t_ns, target, BLOCKED, self._faults.jam_s)

    def _sense(self, t_ns: int, target: _Bin, state: int, stays_s: tuple[float, float] | None) -> None:
        target.state = state
        self.plc.append(Sensed(t_ns, target.number, state))
        if stays_s:
            self._push(t_ns + round(self._rng.uniform(*stays_s) * NS_PER_S), _CHUTE, target)

    def _serve(self, t_ns: int, target: _Bin) -> None:
        """Staff come to a chute: a full one gets a new bag, a blocked one is freed."""
        if target.state == FULL:
            self.bags += 1
            self._sense(t_ns, target, CHANGING, self._faults.change_s)
            return
        if target.state == CHANGING:
            target.count = 0
        self._sense(t_ns, target, OPEN, None)
