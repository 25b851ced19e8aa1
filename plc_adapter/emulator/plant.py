"""One line's belt as discrete events: parcels wait, ride a cell, are scanned, drop, go round or run out.

Nothing here knows a clock, a socket or a thread: whoever steps it says how late it is. The same
parcels, diverts and times give the same belt, and a parcel is always waiting, riding or dropped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from sorter.records import ChuteState, Discharge

NS_PER_S: Final = 1_000_000_000
LAP_SHOWN_MAX: Final = 250
NEVER_NS: Final = 1 << 62
LATELY_NS: Final = 30 * NS_PER_S  # a host may not know yet of a chute that opened: 40 ms of a day 720 times as fast

_INDUCT: Final = 0
_SCAN: Final = 1
_ARRIVE: Final = 2
_CHUTE: Final = 3
_END: Final = 4

MISSED: Final = "missed"  # its divert failed
CLOSED: Final = "closed"  # its chute, and its alternate, were not open when it came by
UNTOLD: Final = "untold"  # no order for it came in time, or from a host that lives

OPEN: Final = int(ChuteState.OPEN)
FULL: Final = int(ChuteState.FULL)
BLOCKED: Final = int(ChuteState.BLOCKED)
CHANGING: Final = int(ChuteState.CHANGING)
DROPPED: Final = int(Discharge.DROPPED)
PASSED: Final = int(Discharge.PASSED)


class Belt(NamedTuple):
    """A line's geometry: a loop, or with an `end_chute` a straight belt that ends there, `lap_m` behind its scanner.

    A loop's cells are as near to `pitch_m` as go into the lap without rest. 0.5 m is the pitch of
    a small-parcel cross-belt; at 2 m/s it passes four cells a second.
    """

    name: str
    speed_m_s: float
    lap_m: float
    induct_to_scanner_m: float = 20.0
    pitch_m: float = 0.5
    end_chute: int = 0

    @property
    def kind(self) -> str:
        """What site.toml calls it."""
        return "wheel-diverter" if self.end_chute else "cross-belt"


class Chute(NamedTuple):
    """`position_m` behind the scanner along the belt; `capacity` in items, 0: never full."""

    number: int
    position_m: float
    capacity: int


class Chances(NamedTuple):
    """What is left to chance: how often the plant misbehaves, as shares of parcels, and how long staff need."""

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


class Rider(NamedTuple):
    """A parcel on the belt: `position_m` behind the scanner, in [0, lap_m).

    Before the scanner it is negative on a straight belt; on a loop it is what is left of the lap.
    """

    position_m: float
    item: int  # 0: the PLC has forgotten it
    chute: int  # where it is carried to; 0: nowhere yet
    lap: int


class Bin(NamedTuple):
    """A chute as it stands now; `state` is a ChuteState."""

    chute: int
    position_m: float
    state: int
    count: int  # type: ignore[assignment] # items in its load unit; nobody asks for tuple.count
    full_at: int  # items at which its sensor sees it full; 0: never


class Load(NamedTuple):
    """What is brought to a line: site nanoseconds, ascending, and the induction of each parcel."""

    arrive_ns: Sequence[int]
    induct: Sequence[int]


class _Item:
    __slots__ = ("aim", "alternate", "cell", "chute", "failure", "lap", "number", "origin_ns", "parcel", "scan_ns")

    def __init__(self, parcel: int, cell: int, origin_ns: int) -> None:
        self.parcel = parcel
        self.number = 0  # 0: the PLC has forgotten it
        self.cell = cell  # -1: dropped
        self.origin_ns = origin_ns  # when it is at the scanner, in time that stands still with the belt
        self.lap = -1
        self.scan_ns = -1
        self.chute = 0  # the chute it was told last, 0: none
        self.alternate = 0
        self.aim = 0  # which of the two it is carried to, 0: none any more
        self.failure = ""  # why it did not drop where it was told


class _Bin:
    """A chute and what stands under it."""

    __slots__ = (
        "capacity",
        "count",
        "full_at",
        "is_filled",
        "number",
        "opened_ns",
        "position_m",
        "reach_ns",
        "served_ns",
        "state",
        "turn",
    )

    def __init__(self, chute: Chute, reach_ns: int, full_share: float) -> None:
        self.number, self.position_m, self.capacity = chute
        self.reach_ns = reach_ns  # after the scanner
        self.full_at = max(1, int(chute.capacity * full_share)) if chute.capacity else 0
        self.count = 0
        self.is_filled = False  # its sensor was made to see it full, whatever is in it
        self.state = OPEN
        self.opened_ns = -NEVER_NS
        self.served_ns = -NEVER_NS  # when staff come for what it is now
        self.turn = 0  # counts its states: whoever comes for an older one comes for nothing


class Plant:
    """A line that runs. `advance` it, tell it diverts, and take `plc` records and `scans` from it.

    Truth, by parcel: `numbers` the (epoch, item) it was given, `first_scans` how many scans it had
    by each of them, `drop_chute` (0: not dropped), `drop_ns`, `laps` begun before it dropped,
    `scan_ns` of every scan. Of a straight belt also `ran_out`: why it ran off the end without being
    told to (MISSED, CLOSED, UNTOLD, else ""); and `shut`: where it was told to run off the end, the
    chutes that the host may have taken for shut. `unreported` are the numbers of whose drop the
    report may be lost.
    """

    def __init__(
        self,
        belt: Belt,
        chutes: Sequence[Chute],
        load: Load,
        seed: int,
        *,
        chances: Chances | None = None,
        start_ns: int = 0,
        epoch: int = 1,
        tells_items: bool = True,
    ) -> None:
        """A belt that runs from `start_ns` on, in the PLC's `epoch`; `tells_items`: it reports what enters.

        Raises ValueError for a chute beyond the belt, an end chute that is none, or arrivals out of order.
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
        self.first_scans: list[list[int]] = [[] for _ in range(count)]
        self.scan_ns: list[list[int]] = [[] for _ in range(count)]
        self.drop_chute = [0] * count
        self.drop_ns = [0] * count
        self.laps = [0] * count
        self.ran_out = [""] * count
        self.shut: list[list[int]] = [[] for _ in range(count)]
        self.unreported: set[tuple[int, int]] = set()
        self._load = load
        self._tells_items = tells_items
        self._chances = chances or Chances()
        self._rng = np.random.default_rng([seed, *belt.name.encode()])
        self._missing = set(np.flatnonzero(self._rng.random(count) < self._chances.missed_share).tolist())
        self._jamming = set(np.flatnonzero(self._rng.random(count) < self._chances.jam_share).tolist())
        self._to_miss = 0
        self._lead_ns = round(belt.induct_to_scanner_m / belt.speed_m_s * NS_PER_S)
        self._cells, self._cell_ns, self._lap_ns = self._measure()
        self._riding: list[_Item | None] = [None] * self._cells
        self._stopped_ns = 0  # how long the belt has stood still by now, or will have when it moves again
        self._stands_until_ns = start_ns
        self._bins = {chute.number: self._bin(chute) for chute in chutes}
        self._items: dict[int, _Item] = {}
        self._next_number = 1
        self._heap: list[tuple[int, int, int, object, int]] = []
        self._pushed = 0
        if any(later < sooner for sooner, later in zip(load.arrive_ns, load.arrive_ns[1:], strict=False)):
            raise ValueError(f"line {belt.name}: parcels must be brought in the order of their times")
        if belt.end_chute and belt.end_chute not in self._bins:
            raise ValueError(f"line {belt.name} ends in chute {belt.end_chute}, which is none of its chutes; add it")
        self._queue_next(0, -(-start_ns // self._cell_ns))

    def _measure(self) -> tuple[int, int, int]:
        """How many cells there are, how long each takes to pass, and how long a lap or the way to the end takes."""
        belt = self.belt
        if belt.end_chute:
            cell_ns = round(belt.pitch_m / belt.speed_m_s * NS_PER_S)
            lap_ns = round(belt.lap_m / belt.speed_m_s * NS_PER_S)
            return (self._lead_ns + lap_ns) // cell_ns + 1, cell_ns, lap_ns
        cells = max(1, round(belt.lap_m / belt.pitch_m))
        cell_ns = round(belt.lap_m / cells / belt.speed_m_s * NS_PER_S)
        return cells, cell_ns, cells * cell_ns

    def _bin(self, chute: Chute) -> _Bin:
        belt = self.belt
        if chute.number == belt.end_chute:
            return _Bin(chute._replace(position_m=belt.lap_m), self._lap_ns, self._chances.full_share)
        if not 0 < chute.position_m < belt.lap_m:
            raise ValueError(
                f"chute {chute.number} stands {chute.position_m} m behind the scanner of line {belt.name}, "
                f"but {'its belt' if belt.end_chute else 'a lap'} is {belt.lap_m} m; correct its position"
            )
        return _Bin(chute, round(chute.position_m / belt.speed_m_s * NS_PER_S), self._chances.full_share)

    @property
    def on_belt(self) -> int:
        """Parcels that ride a cell now."""
        return self.inducted - self.dropped

    @property
    def cells(self) -> int:
        """How many parcels the belt can carry."""
        return self._cells

    @property
    def stands(self) -> bool:
        """Whether the belt stands still now."""
        return self.now_ns < self._stands_until_ns

    @property
    def done(self) -> bool:
        """Every parcel has dropped somewhere."""
        return self.dropped == len(self._load.arrive_ns)

    def riders(self) -> list[Rider]:
        """Every parcel on the belt, by its cell."""
        belt_ns = self._belt_ns
        return [self._rider(item, belt_ns - item.origin_ns) for item in self._riding if item]

    def _rider(self, item: _Item, since_ns: int) -> Rider:
        if not self.belt.end_chute:
            since_ns %= self._lap_ns
        return Rider(since_ns / self._lap_ns * self.belt.lap_m, item.number, item.aim, max(item.lap, 0))

    def bins(self) -> list[Bin]:
        """Every chute, in the order they were given."""
        return [Bin(each.number, each.position_m, each.state, each.count, each.full_at) for each in self._bins.values()]

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
            elif kind == _END:
                self._run_out(t_ns, what)  # type: ignore[arg-type] # an _END entry holds an item
            else:
                self._serve(t_ns, what, value)  # type: ignore[arg-type] # a _CHUTE entry holds a bin
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
        if chute == self.belt.end_chute:
            self.shut[found.parcel] = self._shut(found.scan_ns - LATELY_NS)
        self._aim(self.now_ns, found, chute, UNTOLD)

    def restart(self) -> None:
        """The PLC starts again: it forgets its items, which keep their cells and get new numbers."""
        self.epoch += 1
        self._next_number = 1
        for item in self._items.values():
            item.number = item.chute = item.alternate = item.aim = 0
        self._items.clear()
        self.lose(self.epoch - 1, self.plc)
        self.plc.clear()
        self.sense_all()

    def lose(self, epoch: int, reports: Iterable[Entered | Left | Sensed]) -> None:
        """Nobody may have read these reports of an epoch, and they come no more."""
        lost = (report for report in reports if isinstance(report, Left) and report.outcome == DROPPED)
        self.unreported.update((epoch, report.item) for report in lost)

    def sense_all(self) -> None:
        """Report the state of every chute: a host that is new here may not have heard of the last change."""
        self.plc.extend(Sensed(self.now_ns, bin_.number, bin_.state) for bin_ in self._bins.values())

    def block(self, chute: int, for_s: float) -> None:
        """A jam: the chute is blocked for so long from now, or longer if it is already.

        Raises ValueError for a chute that is none, and a time that is not above 0.
        """
        self._prolong(self._found(chute), BLOCKED, _span_ns(for_s))

    def fill(self, chute: int) -> None:
        """The chute's sensor sees it full now, a blocked one's when it is free; staff come as ever.

        Raises ValueError for a chute that is none.
        """
        target = self._found(chute)
        target.is_filled = True
        if target.state != BLOCKED:
            self._prolong(target, FULL, self._drawn_ns(self._chances.wait_s))

    def miss(self, count: int) -> None:
        """The next `count` diverts that would drop a parcel fail. Raises ValueError for less than one."""
        if count < 1:
            raise ValueError(f"{count} diverts cannot fail; say how many, from 1 on")
        self._to_miss += count

    def stop(self, for_s: float) -> None:
        """The belt stands still for so long from now; chutes, staff and the PLC go on.

        Raises ValueError for a time that is not above 0.
        """
        until_ns = self.now_ns + _span_ns(for_s)
        if until_ns > max(self.now_ns, self._stands_until_ns):
            self._stand(until_ns)

    def mend(self) -> None:
        """End now what was made to go wrong: the belt moves, blocked chutes are freed, diverts fail no more."""
        self._to_miss = 0
        if self.stands:
            self._stand(self.now_ns)
        for each in self._bins.values():
            if each.state == BLOCKED:
                self._serve(self.now_ns, each, each.turn)

    def _stand(self, until_ns: int) -> None:
        """The belt, which may stand already, moves again at a moment that is now or to come."""
        longer_ns = until_ns - max(self.now_ns, self._stands_until_ns)
        passage = self._belt_ns // self._cell_ns + 1
        self._stopped_ns += longer_ns
        self._stands_until_ns = until_ns
        self._heap = [
            (t_ns if kind == _CHUTE else t_ns + longer_ns, order, kind, what, value)
            for t_ns, order, kind, what, value in self._heap
            if kind != _INDUCT  # what is brought meanwhile, or later, does not wait longer than it must
        ]
        heapify(self._heap)
        self._queue_next(self.inducted, passage)

    @property
    def _belt_ns(self) -> int:
        """The time that stands still with the belt."""
        return max(self.now_ns, self._stands_until_ns) - self._stopped_ns

    def _found(self, chute: int) -> _Bin:
        found = self._bins.get(chute)
        if found is None:
            raise ValueError(
                f"line {self.belt.name} has no chute {chute}; its chutes are {', '.join(map(str, self._bins))}"
            )
        return found

    def _shut(self, since_ns: int) -> list[int]:
        """Chutes that were not open at some moment since, or are full with what rides to them."""
        told = Counter(item.chute for item in self._items.values())
        return [
            each.number
            for each in self._bins.values()
            if each.state != OPEN or each.opened_ns > since_ns or 0 < each.capacity <= each.count + told[each.number]
        ]

    def _push(self, t_ns: int, kind: int, what: object, value: int = 0) -> None:
        self._pushed += 1
        heappush(self._heap, (t_ns, self._pushed, kind, what, value))

    def _queue_next(self, parcel: int, cell_passed: int) -> None:
        if parcel < len(self._load.arrive_ns):
            brought_ns = self._load.arrive_ns[parcel] - self._stopped_ns
            passage = max(cell_passed, -(-brought_ns // self._cell_ns))
            self._push(passage * self._cell_ns + self._stopped_ns, _INDUCT, None, passage)

    def _induct(self, t_ns: int, passage: int) -> None:
        parcel = self.inducted
        cell = passage % self._cells
        if self._riding[cell]:
            self._push(t_ns + self._cell_ns, _INDUCT, None, passage + 1)
            return
        item = self._riding[cell] = _Item(parcel, cell, t_ns + self._lead_ns - self._stopped_ns)
        self._number(t_ns, item)
        self.inducted += 1
        self._push(t_ns + self._lead_ns, _SCAN, item)
        self._queue_next(parcel + 1, passage + 1)

    def _number(self, t_ns: int, item: _Item) -> None:
        item.number = self._next_number
        self._next_number += 1
        self._items[item.number] = item
        self.numbers[item.parcel].append((self.epoch, item.number))
        self.first_scans[item.parcel].append(len(self.scan_ns[item.parcel]))
        if self._tells_items:
            self.plc.append(Entered(t_ns, item.number, self._load.induct[item.parcel]))

    def _scan(self, t_ns: int, item: _Item) -> None:
        if item.cell < 0:
            return
        if not item.number:
            self._number(t_ns, item)
        item.scan_ns = t_ns
        item.origin_ns = t_ns - self._stopped_ns
        item.lap += 1
        self.scan_ns[item.parcel].append(t_ns)
        self.scans.append(Scan(t_ns, item.number, item.parcel, min(item.lap, LAP_SHOWN_MAX)))
        self._push(t_ns + self._lap_ns, _END if self.belt.end_chute else _SCAN, item)

    def _aim(self, now_ns: int, item: _Item, chute: int, failure: str) -> None:
        """Wait for the chute to come by, or give up this lap for the `failure`."""
        target = self._bins.get(chute)
        reach_ns = item.origin_ns + target.reach_ns + self._stopped_ns if target else -1
        if reach_ns > max(now_ns, self._stands_until_ns):
            item.aim = chute
            self._push(reach_ns, _ARRIVE, item, chute)
        elif chute != item.alternate and item.alternate:
            self._aim(now_ns, item, item.alternate, failure)
        else:
            self._pass(now_ns, item, failure)

    def _pass(self, t_ns: int, item: _Item, failure: str) -> None:
        self.plc.append(Left(t_ns, item.number, item.chute, PASSED))
        item.aim = 0
        item.failure = failure

    def _arrive(self, t_ns: int, item: _Item, chute: int) -> None:
        target = self._bins[chute]
        if item.cell < 0 or chute != item.aim:
            return  # told otherwise since
        if not self.host_alive:
            self._pass(t_ns, item, UNTOLD)
        elif self._misses(item, target):
            self.missed += 1
            self._pass(t_ns, item, MISSED)
        elif target.state in (OPEN, FULL):
            self._drop(t_ns, item, target)
        elif chute == item.chute and item.alternate not in (0, chute):
            self._aim(t_ns, item, item.alternate, CLOSED)
        else:
            self._pass(t_ns, item, CLOSED)

    def _misses(self, item: _Item, target: _Bin) -> bool:
        if item.parcel in self._missing:
            self._missing.discard(item.parcel)
            return True
        if self._to_miss and target.state in (OPEN, FULL):
            self._to_miss -= 1
            return True
        return False

    def _run_out(self, t_ns: int, item: _Item) -> None:
        """At the end of a straight belt what still rides falls into the chute there, whatever its state."""
        if item.cell < 0:
            return
        if not item.number:
            self._number(t_ns, item)
        if item.failure or item.aim != self.belt.end_chute:
            self.ran_out[item.parcel] = item.failure or UNTOLD
        self._drop(t_ns, item, self._bins[self.belt.end_chute])

    def _drop(self, t_ns: int, item: _Item, target: _Bin) -> None:
        parcel = item.parcel
        self._riding[item.cell] = None
        item.cell = -1
        del self._items[item.number]
        self.dropped += 1
        self.drop_chute[parcel] = target.number
        self.drop_ns[parcel] = t_ns
        self.laps[parcel] = item.lap
        self.plc.append(Left(t_ns, item.number, target.number, DROPPED))
        target.count += 1
        if target.state == OPEN and target.full_at and target.count >= target.full_at:
            self._sense(t_ns, target, FULL, self._drawn_ns(self._chances.wait_s))
        elif target.state == OPEN and parcel in self._jamming:
            self.jams += 1
            self._sense(t_ns, target, BLOCKED, self._drawn_ns(self._chances.jam_s))

    def _drawn_ns(self, span_s: tuple[float, float]) -> int:
        return round(self._rng.uniform(*span_s) * NS_PER_S)

    def _sense(self, t_ns: int, target: _Bin, state: int, stays_ns: int) -> None:
        """A chute's state changes; staff come after `stays_ns`."""
        target.state = state
        target.served_ns = t_ns + stays_ns
        target.turn += 1
        self.plc.append(Sensed(t_ns, target.number, state))
        self._push(target.served_ns, _CHUTE, target, target.turn)

    def _prolong(self, target: _Bin, state: int, stays_ns: int) -> None:
        """A chute comes to a state now; in it already, it stays there for the longer of the two times."""
        if target.state != state or target.served_ns < self.now_ns + stays_ns:
            self._sense(self.now_ns, target, state, stays_ns)

    def _serve(self, t_ns: int, target: _Bin, turn: int) -> None:
        """Staff come to a chute: a full one gets a new bag, a blocked one is freed."""
        if turn != target.turn:
            return  # it came to be otherwise since
        if target.state == FULL:
            self.bags += 1
            self._sense(t_ns, target, CHANGING, self._drawn_ns(self._chances.change_s))
            return
        if target.state == CHANGING:
            target.count = 0
            target.is_filled = False
        elif target.is_filled or 0 < target.full_at <= target.count:
            self._sense(t_ns, target, FULL, self._drawn_ns(self._chances.wait_s))  # as it was when, or while, blocked
            return
        target.state, target.opened_ns = OPEN, t_ns
        self.plc.append(Sensed(t_ns, target.number, OPEN))


def _span_ns(for_s: float) -> int:
    if not 0 < for_s < NEVER_NS / NS_PER_S:
        raise ValueError(f"{for_s} s cannot be waited for; say how long, above 0")
    return round(for_s * NS_PER_S)
