"""Whatever is delayed, halved, restarted and numbered anew: no reading is posted for a later start's item."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from plc_adapter.mailbox import SILENT_NS
from plc_adapter.scanner.gateway import Gateway
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import resolve
from sorter.wire.frames import Scan

MS: Final = 1_000_000
START: Final = 10_000_000 * MS
END_MS: Final = 8000
TICK_MS: Final = 20
SILENT_MS: Final = SILENT_NS // MS
HEAD: Final = resolve({"line": "L1", "host": "10.0.0.9", "port": 2112, "template": "{id}|{code}"})


@dataclass(frozen=True)
class Parcel:
    enters_ms: int
    unread: bool
    late_ms: int  # its telegrams, beyond what the settings say
    apart_ms: int  # its heads


@dataclass(frozen=True)
class Restart:
    at_ms: int
    noticed_ms: int  # later: the PLC may have been away
    adapter: bool  # the adapter has started as well


@dataclass
class Hall:
    """A belt, a PLC that numbers from 1 with every start, heads and a gateway. A code says who gave its number when.

    On each start the PLC forgets its items; it counts again at the reader whom it meets there.
    """

    tracking: Tracking
    heads: int
    parcels: list[Parcel]
    restarts: list[Restart]
    posted: list[tuple[int, Scan]] = field(default_factory=list)  # (epoch that the adapter knows, scan)
    calls: list[tuple[int, int, str, tuple[int, ...]]] = field(default_factory=list)
    known: int = 0

    def epoch(self, at_ms: float) -> int:
        return sum(restart.at_ms <= at_ms for restart in self.restarts)

    def noticed(self, epoch: int, at_ms: int) -> int:
        """When the adapter has the PLC's report of `at_ms`."""
        if not epoch:
            return at_ms
        restart = self.restarts[epoch - 1]
        return max(at_ms, restart.at_ms + restart.noticed_ms)

    def plan(self) -> None:
        """All calls of the day, in the order of their times; of those at one time a start comes first."""
        for number, restart in enumerate(self.restarts, 1):
            at_ms = restart.at_ms + restart.noticed_ms
            self.calls.append((at_ms, 0, "began", (number, restart.adapter)))
        counted: dict[int, int] = {}
        passings = [(parcel.enters_ms, 0, parcel) for parcel in self.parcels]
        passings += [(parcel.enters_ms + int(self.tracking.travel_ms), 1, parcel) for parcel in self.parcels]
        numbers: dict[Parcel, tuple[int, int]] = {}
        for at_ms, place, parcel in sorted(passings, key=lambda passing: passing[:2]):
            epoch = self.epoch(at_ms)
            if numbers.get(parcel, (-1, 0))[0] != epoch:
                counted[epoch] = counted.get(epoch, 0) + 1
                numbers[parcel] = epoch, counted[epoch]
                self.calls.append((self.noticed(epoch, at_ms), 1, "entered", (counted[epoch], at_ms, epoch)))
            if place and not parcel.unread:
                for head in range(self.heads):
                    late_ms = int(self.tracking.delay_ms) + parcel.late_ms + head * parcel.apart_ms
                    self.calls.append((at_ms + late_ms, 2, "telegram", (head, *numbers[parcel])))
        self.calls += [(at_ms, 3, "due", ()) for at_ms in range(0, END_MS, TICK_MS)]
        self.calls.sort(key=lambda call: call[:2])

    def run(self) -> None:
        self.plan()
        gateway = self.gateway()
        gateway.began(START)
        for at_ms, _, name, told in self.calls:
            now_ns = START + at_ms * MS
            if name == "began":
                self.known = told[0]
                gateway = self.gateway() if told[1] else gateway
                gateway.began(now_ns)
            elif name == "entered" and told[2] == self.known:
                gateway.entered(told[0], START + told[1] * MS, now_ns)
            elif name == "telegram":
                head, epoch, number = told
                gateway.telegram(str(head), f"{number}|E{epoch}N{number}".encode(), now_ns)
            elif name == "due":
                gateway.due(now_ns)

    def gateway(self) -> Gateway:
        heads = {str(head): HEAD for head in range(self.heads)}
        return Gateway("L1", heads, self.tracking, lambda scan: self.posted.append((self.known, scan)))


def check(hall: Hall) -> None:
    hall.run()
    for known, scan in hall.posted:
        for code in scan.codes:
            epoch, number = map(int, code[1:].split("N"))
            assert epoch >= known, f"item {scan.item} of start {known} got {code}"
            assert epoch > known or number == scan.item, f"item {scan.item} of start {known} got {code}"


@st.composite
def halls(draw: st.DrawFn, by: Literal["id", "order"]) -> Hall:
    window_ms = draw(st.sampled_from([20, 50, 100]))
    merge_ms = draw(st.sampled_from([1, 30, 200]))
    tracking = Tracking(
        by=by,
        travel_ms=draw(st.sampled_from([0, 30, 400, 1000])),
        window_ms=window_ms,
        delay_ms=draw(st.sampled_from([0, 50, 800])),
        lap_ms=draw(st.sampled_from([0, 2000])),
        merge_ms=merge_ms,
    )
    late_ms = window_ms + SILENT_MS - 1 if by == "id" else window_ms
    parcel = st.builds(
        Parcel,
        enters_ms=st.integers(0, 5000),
        unread=st.booleans(),
        late_ms=st.integers(0, late_ms),
        apart_ms=st.integers(0, 2 * merge_ms - 1),
    )
    restart = st.builds(Restart, at_ms=st.integers(0, 5000), noticed_ms=st.integers(0, 1500), adapter=st.booleans())
    restarts = sorted(draw(st.lists(restart, max_size=3)), key=lambda one: one.at_ms)
    apart = [one for at, one in enumerate(restarts) if not at or one.at_ms > restarts[at - 1].at_ms + 1500]
    return Hall(tracking, draw(st.integers(1, 2)), draw(st.lists(parcel, max_size=12, unique=True)), apart)


def delayed(travel_ms: int, delay_ms: int, *, adapter: bool, heads: int = 1) -> Hall:
    """A parcel is read, the PLC starts, and then its telegrams come; the new PLC's item of its number is not read."""
    tracking = Tracking(by="id", travel_ms=travel_ms, window_ms=50, delay_ms=delay_ms, merge_ms=30)
    parcels = [Parcel(100, unread=False, late_ms=0, apart_ms=20), Parcel(1160, unread=True, late_ms=0, apart_ms=0)]
    return Hall(tracking, heads, parcels, [Restart(110 + travel_ms, 5, adapter)])


@example(delayed(1000, 800, adapter=False))
@example(delayed(1000, 800, adapter=True))
@example(delayed(1000, 0, adapter=False, heads=2))
@example(delayed(1000, 0, adapter=True, heads=2))
@given(halls("id"))
@settings(max_examples=300, deadline=None)
def test_by_id_no_number_outlives_a_start(hall: Hall) -> None:
    check(hall)


@given(halls("order"))
@settings(max_examples=100, deadline=None)
def test_by_order_nothing_read_before_a_start_is_a_later_items(hall: Hall) -> None:
    hall.run()
    for known, scan in hall.posted:
        assert all(int(code[1:].split("N")[0]) >= known for code in scan.codes)


def test_what_is_read_when_a_start_is_past_is_found_again() -> None:
    """The law is not kept by pairing nothing: who is counted at the reader, and who enters later, has codes."""
    tracking = Tracking(by="id", travel_ms=1000, window_ms=50)
    entering = [0, 400, 800, 1200, 3000, 3400]
    hall = Hall(tracking, 1, [Parcel(at_ms, False, 0, 0) for at_ms in entering], [Restart(1100, 5, adapter=False)])
    hall.run()
    assert [(known, scan.item, scan.codes) for known, scan in hall.posted] == [
        (0, 1, ["E0N1"]),
        (1, 3, ["E1N3"]),
        (1, 1, ["E1N1"]),
        (1, 2, []),  # read so soon after the start that its number might have been an old one
        (1, 4, ["E1N4"]),
        (1, 5, ["E1N5"]),
    ]
