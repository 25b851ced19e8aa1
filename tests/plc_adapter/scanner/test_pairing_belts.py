"""Over thousands of belts with faults, no reading goes to a wrong item unless two things went wrong in one place."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import pytest

from plc_adapter.scanner.pairing import Paired, Pairing, pairing
from plc_adapter.scanner.pairing.tracking import QUIET_WINDOWS
from plc_adapter.scanner.tunnel import Merged
from tests.plc_adapter.scanner.pairing_story import MS, START, TRAVEL, TUNNEL, WINDOW

SLIP_MS: Final = 3 * WINDOW - 1
FAULTS: Final = ["lost", "doubled", "ghost item", "ghost reading", "swap", "step", "slip"]
TOGETHER: Final = {fault: 0.05 for fault in FAULTS if fault not in ("ghost reading", "slip")}


@dataclass
class Belt:
    """A belt of parcels 1, 2, …; parcel n carries code Pn and, where the PLC knows it, item n.

    Every fault befalls a parcel, or the place of one, with its share; slips together move a parcel by
    less than SLIP_MS. Real time is in ms; `jumps` are what the adapter's clock does.
    """

    seed: int
    shares: dict[str, float]
    gap_ms: tuple[float, float] = (110, 600)
    jitter_ms: float = 45
    parcels: int = 60
    entered: dict[int, float] = field(default_factory=dict)  # item -> where it is expected, ms
    readings: list[tuple[float, int]] = field(default_factory=list)  # time, parcel
    calls: list[tuple[float, int, str, tuple[float, ...]]] = field(default_factory=list)
    jumps: list[tuple[float, float]] = field(default_factory=list)
    hit: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.slip_ms: list[tuple[float, float]] = []
        at_ms = 0.0
        for parcel in range(1, self.parcels + 1):
            at_ms += self.chance.uniform(*self.gap_ms)
            self.lay(parcel, at_ms)
        last_ms = at_ms + TRAVEL + 1500
        self.calls += [(at, 1, "due", ()) for at in range(0, int(last_ms), 20)]
        self.calls.sort()

    def befalls(self, fault: str) -> bool:
        hit = self.chance.random() < self.shares.get(fault, 0.0)
        self.hit[fault] += hit
        return hit

    def lay(self, parcel: int, at_ms: float) -> None:
        chance = self.chance
        passes_ms = at_ms + TRAVEL + chance.uniform(-self.jitter_ms, self.jitter_ms)
        if self.befalls("step"):
            self.jumps.append((at_ms, chance.choice([-1, 1]) * 10 ** chance.uniform(1, 4)))
        if self.befalls("slip"):  # the belt stops or slides: all that is on it comes later, or sooner
            self.slip_ms.append((at_ms, chance.uniform(-SLIP_MS, SLIP_MS)))
        slipped_ms = sum(by for at, by in self.slip_ms if at <= at_ms < at + TRAVEL)
        passes_ms += min(max(slipped_ms, self.jitter_ms - SLIP_MS), SLIP_MS - self.jitter_ms)
        told_ms = at_ms + chance.uniform(0, 15)
        if self.befalls("swap"):  # the PLC tells of it after the next
            told_ms += 700
        if not self.befalls("ghost reading"):
            self.calls.append((told_ms, 0, "entered", (parcel, at_ms)))
            self.entered[parcel] = at_ms + TRAVEL
        if self.befalls("ghost item"):
            return
        if not self.befalls("lost"):
            self.read(passes_ms, parcel)
            if self.befalls("doubled"):
                self.read(passes_ms + chance.uniform(1, 199), parcel)

    def read(self, t_ms: float, parcel: int) -> None:
        self.readings.append((t_ms, parcel))
        self.calls.append((t_ms + self.chance.uniform(0, 29), 0, "read", (parcel, t_ms)))  # as the tunnel merges

    def clock_ns(self, real_ms: float) -> int:
        return START + round((real_ms + sum(by for at, by in self.jumps if at <= real_ms)) * MS)

    def run(self) -> tuple[Pairing, list[Paired]]:
        pair = pairing(TUNNEL, heads=2)
        out: list[Paired] = []
        for real_ms, _, name, arguments in self.calls:
            now_ns = self.clock_ns(real_ms)
            if name == "entered":
                age_ns = round((real_ms - arguments[1]) * MS)
                pair.entered(int(arguments[0]), now_ns - age_ns, now_ns)
            elif name == "read":
                merged = Merged((f"P{arguments[0]:.0f}",), False, 0, None, None, self.clock_ns(arguments[1]))
                out += pair.read(merged, now_ns)
            else:
                out += pair.due(now_ns)
        for _ in range(200):
            now_ns += 20 * MS
            out += pair.due(now_ns)
        return pair, out


def wrong(out: list[Paired]) -> list[Paired]:
    return [one for one in out if one.codes not in ((), (f"P{one.item}",))]


@pytest.mark.parametrize("seed", range(40))
def test_without_faults_every_parcel_is_paired(seed: int) -> None:
    pair, out = Belt(seed, {}).run()
    assert [(one.item, one.codes) for one in out] == [(n, (f"P{n}",)) for n in range(1, 61)]
    assert not pair.events


@pytest.mark.parametrize("gap_ms", [(110, 600), (210, 400), (30, 300), (150, 150)])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_gives_a_parcels_codes_to_another(fault: str, gap_ms: tuple[float, float]) -> None:
    hits = 0
    for seed in range(60):
        belt = Belt(seed, {fault: 0.1 if fault not in ("step", "slip") else 0.02}, gap_ms)
        _, out = belt.run()
        assert wrong(out) == [], f"seed {seed}"
        assert Counter(one.item for one in out) == Counter(list(belt.entered))  # each item is answered once
        hits += belt.hit[fault]
    assert hits > 30


@pytest.mark.parametrize("fault", ["lost", "ghost item", "doubled"])
def test_wide_gaps_confine_a_fault_to_its_parcel(fault: str) -> None:
    """Parcels more than two whole windows apart: a parcel without reading costs no other its codes."""
    for seed in range(30):
        belt = Belt(seed, {fault: 0.2}, (QUIET_WINDOWS * WINDOW + 1, 500))
        given_up = [one.item for one in belt.run()[1] if not one.codes]
        read = {parcel for _, parcel in belt.readings}
        if fault == "doubled":
            assert len(given_up) <= belt.hit[fault]  # a repeat may fall into the next one's window
        else:
            assert given_up == [item for item in belt.entered if item not in read]


@pytest.mark.parametrize("gap_ms", [(110, 600), (210, 400), (30, 300), (150, 150)])
def test_nor_do_faults_together(gap_ms: tuple[float, float]) -> None:
    for seed in range(150):
        belt = Belt(seed, TOGETHER, gap_ms)
        assert wrong(belt.run()[1]) == [], f"seed {seed}"


@pytest.mark.parametrize("gap_ms", [(110, 600), (30, 300)])
def test_only_two_faults_in_one_place_can_deceive(gap_ms: tuple[float, float]) -> None:
    """Parcels unknown to the PLC or out of place, among items that are not read: the law of by_order."""
    deceived = 0
    for seed in range(300):
        belt = Belt(seed, dict.fromkeys(set(FAULTS) - {"step"}, 0.1), gap_ms)
        for one in wrong(belt.run()[1]):
            parcel = int(one.codes[0][1:])
            t_ms = (one.t_ns - START) / MS
            own = [t for t, read in belt.readings if read == one.item and abs(t - belt.entered[one.item]) <= WINDOW]
            assert own == []
            assert parcel not in belt.entered or abs(t_ms - belt.entered[parcel]) > WINDOW
            deceived += 1
    assert deceived > 0  # or this test would prove nothing
