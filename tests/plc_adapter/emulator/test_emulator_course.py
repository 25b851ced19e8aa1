"""Each fault of a scenario strikes at its moment, lasts as long as it shall, and is mended when the day is over."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from plc_adapter.emulator import emulate, faults, traffic
from plc_adapter.emulator.course import Course
from plc_adapter.emulator.faults import Fault
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.network import Network
from plc_adapter.emulator.plant import BLOCKED, CHANGING, FULL, NS_PER_S, OPEN
from plc_adapter.emulator.reading import Passage
from plc_adapter.emulator.scenario import Event, Scenario, Shares
from plc_adapter.emulator.site import Site
from plc_adapter.mailbox import RING
from tests.plc_adapter.stepped_clock import SteppedClock

ITEMS = 60


class Stage:
    """The county's lines without servers, and a scenario that is played on them."""

    def __init__(self, site: Site, *events: Event, shares: dict[str, Shares] | None = None) -> None:
        day = traffic.day(site.tables, 400, 1)
        self.opens_ns = day.opens_ns
        clock = SteppedClock(0)
        self.lines = {name: Line(site, name, day, 1, clock) for name in site.belts}
        self.course = Course(Scenario(events, shares or {}), list(self.lines.values()), day, day.opens_ns)

    def until(self, at_s: float) -> None:
        """Play up to a second of the local day."""
        now_ns = self.opens_ns + round((at_s - 5 * 3600) * NS_PER_S)
        self.course.due(now_ns)
        for line in self.lines.values():
            line.step(now_ns)

    def state(self, chute: int) -> int:
        return self.lines["L1"].plant._bins[chute].state

    def close(self) -> None:
        for line in self.lines.values():
            line.close()


@pytest.fixture
def stage(county: Site) -> Iterator[Callable[..., Stage]]:
    stages: list[Stage] = []

    def build(*events: tuple[int, Fault], shares: dict[str, Shares] | None = None) -> Stage:
        played = [Event(at_s, "L1", type(fault).__name__.lower(), fault) for at_s, fault in events]
        stages.append(Stage(county, *played, shares=shares))
        return stages[-1]

    yield build
    for each in stages:
        each.close()


SIX = 6 * 3600


def test_a_fault_strikes_at_its_moment_however_coarsely_time_goes(stage: Callable[..., Stage]) -> None:
    coarse = stage((SIX, faults.Jam(chute=105, for_s=600)), (SIX + 1200, faults.Restart()))
    coarse.until(SIX - 1)
    assert (coarse.state(105), coarse.course.struck) == (OPEN, [])
    coarse.until(SIX + 599)
    assert coarse.state(105) == BLOCKED
    coarse.until(SIX + 3000)
    assert coarse.state(105) == OPEN
    assert coarse.lines["L1"].plant.epoch == coarse.lines["L2"].plant.epoch + 1
    told = [(each.site_time, each.line, each.what, each.words) for each in coarse.course.struck]
    assert told == [
        ("06:00:00", "L1", "jam", "chute 105 is jammed for 600 s of site time"),
        ("06:20:00", "L1", "restart", "the PLC starts again and forgets its items"),
    ]


def test_a_full_chute_gets_a_new_bag(stage: Callable[..., Stage]) -> None:
    played = stage((SIX, faults.Full(chute=106)))
    played.until(SIX)
    assert played.state(106) == FULL
    states = set()
    for second in range(SIX, SIX + 600):
        played.until(second)
        states.add(played.state(106))
    assert (states, played.state(106)) == ({FULL, CHANGING, OPEN}, OPEN)


def test_a_stopped_belt_scans_nothing(stage: Callable[..., Stage]) -> None:
    played = stage((SIX, faults.Stop(for_s=1800)))
    line = played.lines["L1"]
    played.until(SIX)
    before = line.scans
    played.until(SIX + 1799)
    assert line.scans == before
    played.until(SIX + 2400)
    assert line.scans > before


def test_diverts_fail_as_often_as_they_shall(stage: Callable[..., Stage]) -> None:
    played = stage((SIX, faults.Miss(count=2)))
    played.until(SIX)
    plant = played.lines["L1"].plant
    plant.host_alive = True
    before = plant.missed
    for second in range(SIX, SIX + 3600, 20):
        now_ns = played.opens_ns + (second - 5 * 3600) * NS_PER_S
        plant.host_alive = True
        plant.advance(now_ns)
        for item in list(plant._items):
            plant.divert(item, 102, 0, now_ns + 3600 * NS_PER_S)
    assert plant.dropped > 5
    assert plant.missed >= before + 2


def test_readings_go_wrong_for_as_long_as_they_shall_and_then_as_the_line_does(stage: Callable[..., Stage]) -> None:
    misreading = [
        (SIX, faults.Double(share=0.5, for_s=600)),
        (SIX, faults.Mirrored(share=0.25, for_s=1200)),
        (SIX + 300, faults.Unread(share=1, for_s=600)),
        (SIX + 500, faults.Double(share=0.75, for_s=600)),
    ]
    played = stage(*misreading, shares={"L1": Shares(double_share=0.125)})
    reading = played.lines["L1"].reading

    def shares_at(at_s: int) -> tuple[float, float, float]:
        played.until(at_s)
        return reading.double_share, reading.mirrored_share, reading.unread_share

    assert shares_at(SIX - 1) == (0.125, 0, 0)
    assert shares_at(SIX) == (0.5, 0.25, 0)
    assert shares_at(SIX + 300) == (0.5, 0.25, 1)
    assert shares_at(SIX + 1099) == (0.75, 0.25, 0)
    assert shares_at(SIX + 1100) == (0.125, 0.25, 0)
    assert shares_at(SIX + 1200) == (0.125, 0, 0)


def test_parcels_are_misread_while_it_lasts_however_coarsely_time_goes(stage: Callable[..., Stage]) -> None:
    """One step over two misreadings: no label is read in the first and the third hour, and most in the second."""
    hour = 3600
    played = stage(*((at_s, faults.Unread(share=1, for_s=hour)) for at_s in (SIX, SIX + 2 * hour)))
    played.until(SIX + 3 * hour)
    hours: dict[int, list[bool]] = {0: [], 1: [], 2: []}
    for truth in played.lines["L1"].truths():
        for t_ns, codes in zip(truth["scans"], truth["readings"], strict=True):
            hours.get((t_ns - played.opens_ns) // NS_PER_S // hour - 1, []).append(bool(codes))
    assert all(len(read) > 20 for read in hours.values())
    assert (any(hours[0]), any(hours[2])) == (False, False)
    assert sum(hours[1]) > len(hours[1]) // 2


def test_what_lasts_is_mended_when_the_day_is_over(stage: Callable[..., Stage]) -> None:
    lasting = [
        faults.Unread(share=1, for_s=50_000),
        faults.Freeze(real_s=500),
        faults.Mute(real_s=500),
        faults.Slow(ms=50, real_s=500),
        faults.Cut(real_s=500),
        faults.Overrun(count=1000),
        faults.Jam(chute=105, for_s=50_000),
        faults.Miss(count=1000),
        faults.ReaderCut(real_s=500),
    ]
    stop = faults.Stop(for_s=50_000)
    opens = 5 * 3600
    played = stage(*((opens, fault) for fault in lasting), (SIX, stop), (SIX + 1, faults.Restart()))
    played.until(SIX)
    line = played.lines["L1"]
    network = line.program.network
    assert (played.state(105), line.plant.stands, line.plant._to_miss) == (BLOCKED, True, 1000)
    assert (line.readers.send(UNSEEN), line.reading.unread_share) == (None, 1)
    assert (network.is_mute, network.is_cut, network.slow_s, line.reading.unread_share) == (True, True, 0.05, 1)
    assert (line.scans > 0, line.program._side.head) == (True, 0)
    played.course.mend()
    played.until(SIX + 1)
    assert (network.is_mute, network.is_cut, network.slow_s, line.reading.unread_share) == (False, False, 0, 0)
    assert line.program._side.head == RING
    assert (played.state(105), line.plant.stands, line.plant._to_miss) == (OPEN, False, 0)
    assert line.readers.send(UNSEEN) is not None
    assert [struck.what for struck in played.course.struck] == [
        type(fault).__name__.lower() for fault in [*lasting, stop]
    ]


UNSEEN = Passage(0, 1, 0, 0, 0, (), 0, (0, 0, 0), is_double=False)


def test_trouble_on_a_network_ends_by_itself_and_the_longer_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 1_000 * NS_PER_S
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    network = Network()
    for trouble in (network.mute, network.cut):
        trouble(2)
        trouble(1)
    network.slow(0.5, 500)
    network.slow(0.25, 2)
    assert (network.is_mute, network.is_cut, network.slow_s) == (True, True, 0.25)
    now_ns += 2 * NS_PER_S - 1
    assert (network.is_mute, network.is_cut, network.slow_s) == (True, True, 0.25)
    now_ns += 1
    assert (network.is_mute, network.is_cut, network.slow_s) == (False, False, 0)


def test_an_emulator_started_late_leaves_out_what_has_passed(county: Site, tmp_path: Path) -> None:
    clock = SteppedClock(traffic.day(county.tables, 1, 1).opens_ns + 2 * 3600 * NS_PER_S)
    events = [Event(at_s, "L1", "restart", faults.Restart()) for at_s in (6 * 3600, 7 * 3600, 8 * 3600)]
    floor = emulate.build(county, ITEMS, 1, clock, tmp_path, scenario=Scenario(tuple(events), {}))
    floor.course.due(clock.at_ns + 3600 * NS_PER_S)
    assert [struck.site_time for struck in floor.course.struck] == ["07:00:00", "08:00:00"]
    for line in floor.lines:
        line.close()
