"""A scenario is checked whole before anything starts, and each of its faults is what an adapter then meets."""

import asyncio
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from plc_adapter import s7, service
from plc_adapter.emulator import cli, emulate, faults, scenario, traffic
from plc_adapter.emulator import site as sites
from plc_adapter.emulator.course import Course
from plc_adapter.emulator.emulate import Floor
from plc_adapter.emulator.faults import KINDS, Fault
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.network import Network
from plc_adapter.emulator.plant import BLOCKED, CHANGING, FULL, NS_PER_S, OPEN
from plc_adapter.emulator.reading import Passage
from plc_adapter.emulator.scenario import Event, Scenario, ScenarioRefused, Shares
from plc_adapter.emulator.site import Site
from plc_adapter.mailbox import RING
from plc_adapter.runner import Runner
from plc_adapter.settings import S7, Modbus, OpcUa, Plc, Wire
from plc_adapter.settings import Site as AdapterSite
from plc_adapter.standing import Link
from sorter.clock import Clock
from sorter.init import make_site
from sorter.wire.frames import Item
from tests.plc_adapter.router_daemon import RouterDaemon
from tests.system.hubs import free_port

WUSHAN = Path(__file__).parents[3] / "rules" / "faults.toml"
ITEMS = 60
SETTLE_S = 60.0


class SteppedClock:
    """Site time that moves when it is told to."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        return self.ns


def written(folder: Path, text: str) -> Path:
    path = folder / "faults.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, site: Site) -> list[str]:
    with pytest.raises(ScenarioRefused) as refused:
        scenario.load(written(folder, text), site)
    first, *found, last = str(refused.value).splitlines()
    assert (first, last) == (f"{folder / 'faults.toml'} cannot be played:", scenario.SEE)
    return found


def test_everything_wrong_is_told_at_once_with_its_place(county: Site, tmp_path: Path) -> None:
    text = """other = 1
[[event]]
at = "04:59"
line = "L1"
what = "jam"
chute = 217
[[event]]
at = "6"
line = "L9"
what = "explode"
[[event]]
at = "21:00"
line = "L1"
what = "slow"
ms = "late"
real_s = nan
foo = 1
[[event]]
[line.L7]
[line.L2]
double_share = 1.5
missed = 0
"""
    assert refusal(tmp_path, text, county) == [
        "other: there is no such section; write [[event]] and [line.L1]",
        "line 2, event 1, at: 04:59 is not in the day, which is 05:00 to before 21:00",
        "line 2, event 1 (jam), for_s: it is missing; write site seconds above 0, at most 57600",
        "line 2, event 1, chute: line L1 has no chute 217; write one of chutes.csv",
        'line 7, event 2, at: "6" is none; write the site\'s time of day, such as "06:10"',
        'line 7, event 2, line: "L9" is none; write one of L1, L2',
        f'line 7, event 2, what: "explode" is none; write one of {", ".join(KINDS)}',
        "line 11, event 3, at: 21:00 is not in the day, which is 05:00 to before 21:00",
        "line 11, event 3 (slow), foo: there is no such key; it has ms, real_s",
        'line 11, event 3 (slow), ms: "late" is none; write milliseconds above 0, at most 10000',
        "line 11, event 3 (slow), real_s: nan is none; write real seconds above 0, at most 600",
        'line 18, event 4, at: it is missing; write the site\'s time of day, such as "06:10"',
        "line 18, event 4, line: it is missing; write one of L1, L2",
        f"line 18, event 4, what: it is missing; write one of {', '.join(KINDS)}",
        '[line.L7]: "L7" is none; write one of L1, L2',
        "[line.L2], missed: there is no such key; it has double_share, mirrored_share, unread_share",
        "[line.L2], double_share: 1.5 is none; write a share of parcels from 0 to 1",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('event = 1\nline = "L1"', "event and line: write [[event]] above each event"),
        ("event = [1]", "event 1: this is no table"),
        (
            'event = [{at = "06:00", line = ["L1"], what = "jam", chute = 105, for_s = 5}]',
            "event 1, line: ['L1'] is none; write one of L1, L2",
        ),
        ("[line]\nL1 = 2", "[line.L1]: this is no table"),
        ('event = [{at = "06:00", line = "L1", what = "restart", chute = 101}]', "chute: there is no such key; it has"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_words(text: str, told: str, county: Site, tmp_path: Path) -> None:
    (found,) = refusal(tmp_path, text, county)
    assert told in found


def test_what_is_no_toml_says_where(county: Site, tmp_path: Path) -> None:
    with pytest.raises(ScenarioRefused, match=r"is no TOML file: .* line 2"):
        scenario.load(written(tmp_path, "[[event]]\nat = 06:\n"), county)


VALUES = st.recursive(
    st.sampled_from(["06:00", "L1", "jam", "cut"]) | st.integers(-1, 400) | st.floats(width=16) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["at", "line", "what"]), inner),
)
KEYS = st.sampled_from(["at", "line", "what", "chute", "for_s", "real_s", "count", "share", "ms"])
JAM = {"at": "06:00", "line": "L1", "what": "jam", "chute": 105, "for_s": 5}


@given(good=st.sampled_from([{}, JAM]), event=st.dictionaries(KEYS, VALUES), section=VALUES)
def test_whatever_is_written_is_played_or_refused_in_words(
    good: dict[str, Any], event: dict[str, Any], section: Any
) -> None:
    file = {"event": [good | event], "line": {"L1": section}}
    reading = scenario._Reading(COUNTY)
    reading.scenario(file, ["event 1"])
    assert all(isinstance(words, str) for words in reading.refusals)


COUNTY = sites.load(Path(__file__).parent / "county")


def test_events_come_in_the_order_of_the_day(county: Site, tmp_path: Path) -> None:
    text = """
[[event]]
at = 07:00:30       # as TOML writes times
line = "L2"
what = "restart"
[[event]]
at = "06:10"
line = "L1"
what = "jam"
chute = 105
for_s = 300
[[event]]
at = "07:00:30"
line = "L1"
what = "cut"
real_s = 2.5
[line.L2]
unread_share = 0.25
"""
    assert scenario.load(written(tmp_path, text), county) == Scenario(
        (
            Event(22_200, "L1", "jam", faults.Jam(chute=105, for_s=300)),
            Event(25_230, "L2", "restart", faults.Restart()),
            Event(25_230, "L1", "cut", faults.Cut(real_s=2.5)),
        ),
        {"L2": Shares(unread_share=0.25)},
    )


def test_the_format_is_told_where_it_is_read() -> None:
    assert scenario.__doc__ is not None
    keys = r"(?:(?:chute|count|for_s|ms|real_s|share)\b ?)*"
    rows = re.findall(rf"^([a-z_]+) +({keys}) {{2,}}\S", scenario.__doc__, re.MULTILINE)
    assert {what: keys.split() for what, keys in rows if what != "what"} == {
        what: [field.name for field in fields(kind)] for what, kind in KINDS.items()
    }
    assert all(f"{field.name}" in scenario.__doc__ for field in fields(Shares))


def test_the_day_of_faults_that_is_shipped_has_every_kind_and_can_be_played(tmp_path: Path) -> None:
    make_site(tmp_path / "wushan", "sorter")
    played = scenario.load(WUSHAN, sites.load(tmp_path / "wushan"))
    assert {event.what for event in played.events} == KINDS.keys()
    assert {event.line for event in played.events} == {"L1", "L2"}
    assert len(played.events) >= 30


class Stage:
    """The county's lines without servers, and a scenario that is played on them."""

    def __init__(self, site: Site, *events: Event, shares: dict[str, Shares] | None = None) -> None:
        day = traffic.day(site.tables, 400, 1)
        self.opens_ns = day.opens_ns
        clock = SteppedClock()
        self.lines = {name: Line(site, name, day, 1, cast(Clock, clock)) for name in site.belts}
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
    clock = SteppedClock()
    clock.ns = traffic.day(county.tables, 1, 1).opens_ns + 2 * 3600 * NS_PER_S
    events = [Event(at_s, "L1", "restart", faults.Restart()) for at_s in (6 * 3600, 7 * 3600, 8 * 3600)]
    floor = emulate.build(county, ITEMS, 1, cast(Clock, clock), tmp_path, scenario=Scenario(tuple(events), {}))
    floor.course.due(clock.ns + 3600 * NS_PER_S)
    assert [struck.site_time for struck in floor.course.struck] == ["07:00:00", "08:00:00"]
    for line in floor.lines:
        line.close()


# What an adapter meets: a real floor of one line, the adapter's own service, and a daemon's socket.


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no mute PLC."""
    monkeypatch.setattr(s7, "TIMEOUT_S", 1.0)


@pytest.fixture
def daemon() -> Iterator[RouterDaemon]:
    daemon = RouterDaemon(f"tcp://127.0.0.1:{free_port()}")
    daemon.start()
    yield daemon
    daemon.stop()


async def until(what: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < SETTLE_S
        await asyncio.sleep(0.002)


class Hall:
    """A floor of line L1 that runs, at a moment of its day, and the adapter's runner for it."""

    def __init__(self, floor: Floor, clock: SteppedClock, runner: Runner, running: asyncio.Task[Any]) -> None:
        self.floor = floor
        self.running = running
        self.line = floor.lines[0]
        self.runner = runner
        self._clock = clock

    def strike(self) -> None:
        """Let the scenario's only event strike."""
        self._clock.ns = self.floor.day.opens_ns + 2 * 3600 * NS_PER_S

    async def talking(self) -> None:
        """Wait until the adapter and the PLC exchange again."""
        exchanges = self.runner.counts.exchanges
        await until(lambda: self.runner.link == Link.TALKING and self.runner.counts.exchanges > exchanges + 3)


@asynccontextmanager
async def hall(site: Site, plc: Plc, fault: Fault, daemon: RouterDaemon, out: Path) -> AsyncIterator[Hall]:
    site = site._replace(belts={"L1": site.belts["L1"]}, plcs={"L1": plc}, devices=daemon.address)
    clock = SteppedClock()
    clock.ns = traffic.day(site.tables, 1, 1).opens_ns + 3600 * NS_PER_S
    event = Event(7 * 3600, "L1", type(fault).__name__.lower(), fault)
    floor = emulate.build(site, ITEMS, 1, cast(Clock, clock), out, scenario=Scenario((event,), {}))
    adapter = AdapterSite(Wire(daemon.address), None, {"L1": plc}, scanners={}, tracking={})
    lines = service.lines_of(adapter, ["L1"], Clock())
    ended, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(emulate.run(floor, ended.is_set))
    serving = asyncio.create_task(service.run(lines, Clock(), stop, lambda *_, **__: None))
    try:
        async with asyncio.timeout(SETTLE_S):
            here = Hall(floor, clock, lines[0].runner, running)
            await here.talking()
            yield here
    finally:
        stop.set()
        ended.set()
        await asyncio.gather(running, serving)


def modbus() -> Plc:
    return Modbus(host="127.0.0.1", port=free_port())


def siemens() -> Plc:
    return S7(host="127.0.0.1", port=free_port())


def opcua() -> Plc:
    return OpcUa(host="127.0.0.1", port=free_port())


DIALECTS = pytest.mark.parametrize("dialect", [modbus, siemens, opcua])


@DIALECTS
def test_a_cut_plc_is_away_and_returns(
    dialect: Callable[[], Plc], county: Site, daemon: RouterDaemon, tmp_path: Path
) -> None:
    async def check() -> None:
        async with hall(county, dialect(), faults.Cut(real_s=500), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: "accepts no connection" in here.runner.error)
            here.line.program.mend()
            await here.talking()
            assert here.runner.counts.epochs == 1

    asyncio.run(check())


@DIALECTS
def test_a_mute_plc_is_late_and_its_belt_runs_on(
    dialect: Callable[[], Plc], county: Site, daemon: RouterDaemon, tmp_path: Path
) -> None:
    async def check() -> None:
        async with hall(county, dialect(), faults.Mute(real_s=500), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: here.line.program.network.is_mute)
            requests, scans = here.line.face.requests, here.line.scans
            await until(lambda: "did not answer" in here.runner.error or "not within" in here.runner.error)
            here._clock.ns += 3600 * NS_PER_S
            await until(lambda: here.line.scans > scans)
            assert here.line.face.requests == requests
            here.line.program.mend()
            await here.talking()

    asyncio.run(check())


@DIALECTS
def test_a_slow_plc_answers_later(
    dialect: Callable[[], Plc], county: Site, daemon: RouterDaemon, tmp_path: Path
) -> None:
    async def check() -> None:
        async with hall(county, dialect(), faults.Slow(ms=60, real_s=500), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: bool(here.floor.course.struck))
            await here.talking()  # what was on its way is there
            exchanges, began = here.runner.counts.exchanges, time.monotonic()
            await until(lambda: here.runner.counts.exchanges >= exchanges + 5)
            assert time.monotonic() - began > 4 * 0.06
            here.line.program.mend()

    asyncio.run(check())


def test_a_frozen_plc_is_silent_and_its_items_pass(county: Site, daemon: RouterDaemon, tmp_path: Path) -> None:
    async def check() -> None:
        async with hall(county, modbus(), faults.Freeze(real_s=500), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: here.runner.link == Link.SILENT)
            requests, reports, scans = here.line.face.requests, here.runner.counts.reports, here.line.scans
            assert not here.line.plant.host_alive
            here._clock.ns += 600 * NS_PER_S
            await until(lambda: here.line.scans > scans and here.line.face.requests > requests + 3)
            assert (here.runner.link, here.runner.counts.reports) == (Link.SILENT, reports)
            here.line.program.mend()
            await here.talking()
            await until(lambda: here.runner.counts.reports > reports)
            await until(lambda: here.line.plant.host_alive)

    asyncio.run(check())


def test_a_plc_that_starts_again_has_a_new_epoch_and_forgets(
    county: Site, daemon: RouterDaemon, tmp_path: Path
) -> None:
    async def check() -> None:
        async with hall(county, modbus(), faults.Restart(), daemon, tmp_path) as here:
            epoch = here.runner.host.epoch
            here.strike()
            await until(lambda: here.runner.host.epoch == epoch + 1)
            await here.talking()
            assert here.runner.counts.epochs == 2

    asyncio.run(check())


def test_an_overrun_loses_as_many_reports_as_it_shall(county: Site, daemon: RouterDaemon, tmp_path: Path) -> None:
    async def check() -> None:
        async with hall(county, modbus(), faults.Overrun(count=6), daemon, tmp_path) as here:
            program = here.line.program
            await until(lambda: program.unread == 0)
            here.strike()
            await until(lambda: bool(here.floor.course.struck))
            while not program.overwritten:
                here._clock.ns += 60 * NS_PER_S
                await asyncio.sleep(0.01)
            await until(lambda: here.runner.counts.lost == 6)
            assert here.runner.host.lost == 6
            epoch, first = program.overwritten[0][:2]
            assert [lost[:2] for lost in program.overwritten] == [(epoch, first + at) for at in range(6)]
            here._clock.ns += 3600 * NS_PER_S
            await until(lambda: program.unread == 0)
            assert here.runner.counts.lost == 6

            def journal() -> list[Any]:
                return [message for boot, message in daemon.disk.journal if boot == epoch]

            await until(lambda: len(journal()) == program._side.head)
            assert [message.seq for message in journal()] == list(range(1, program._side.head + 1))
            items = [lost.item for lost in program.overwritten if lost.report == "item"]
            assert items
            assert not {message.item for message in journal() if isinstance(message, Item)}.intersection(items)
            figures = emulate._figures(here.floor, emulate._Timing())
            assert [(lost["line"], lost["number"]) for lost in figures["overwritten"]] == [
                ("L1", first + at) for at in range(6)
            ]

    asyncio.run(check())


def test_cut_readers_lose_what_they_read(county: Site, daemon: RouterDaemon, tmp_path: Path) -> None:
    async def check() -> None:
        async with hall(county, modbus(), faults.ReaderCut(real_s=500), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: bool(here.floor.course.struck))
            here._clock.ns += 600 * NS_PER_S
            scans = here.line.scans
            here._clock.ns += 1200 * NS_PER_S
            await until(lambda: here.line.scans > scans)
            last_ns = here.floor.day.opens_ns + 2 * 3600 * NS_PER_S
            truths = here.line.truths()
            unheard = [
                codes
                for truth in truths
                for t_ns, codes in zip(truth["scans"], truth["readings"], strict=True)
                if t_ns > last_ns
            ]
            assert unheard
            assert not any(unheard)

    asyncio.run(check())


def test_a_day_records_what_struck(county: Site, daemon: RouterDaemon, tmp_path: Path) -> None:
    async def check() -> None:
        async with hall(county, modbus(), faults.Jam(chute=105, for_s=60), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: bool(here.floor.course.struck))

    asyncio.run(check())
    assert json.loads((tmp_path / emulate.PROGRESS).read_text())["faults"] == 1
    (struck,) = json.loads((tmp_path / emulate.FIGURES).read_text())["faults"]
    assert (struck["site_time"], struck["line"], struck["what"]) == ("07:00:00", "L1", "jam")
    assert struck["words"] == "chute 105 is jammed for 60 s of site time"


def test_an_address_that_is_taken_meanwhile_ends_the_day(county: Site, daemon: RouterDaemon, tmp_path: Path) -> None:
    async def check() -> None:
        plc = modbus()
        async with hall(county, plc, faults.Cut(real_s=500), daemon, tmp_path) as here:
            here.strike()
            await until(lambda: "accepts no connection" in here.runner.error)
            with socket.create_server((plc.host, plc.port)):
                here.line.program.mend()
                await asyncio.wait({here.running})

    with pytest.raises(OSError, match="another emulator"):
        asyncio.run(check())


# The command.


def emulated(county_folder: Path, out: Path, *more: str) -> Any:
    return CliRunner().invoke(cli.emulate, ["--site", str(county_folder), "--out", str(out), *more])


def test_a_scenario_that_cannot_be_played_starts_nothing(county_folder: Path, tmp_path: Path) -> None:
    path = written(tmp_path, '[[event]]\nat = "06:00"\nline = "L1"\nwhat = "jam"\nchute = 1\nfor_s = 5\n')
    result = emulated(county_folder, tmp_path / "out", "--scenario", str(path))
    assert result.exit_code == cli.REFUSED
    assert "line 1, event 1, chute: line L1 has no chute 1" in result.output
    assert not (tmp_path / "out").exists()


def test_there_is_one_clock(county_folder: Path, tmp_path: Path) -> None:
    clock = "2026-11-11T05:00:00+08:00,640,1794344400000000000"
    result = emulated(county_folder, tmp_path / "out", "--speed", "20", "--clock", clock)
    assert (result.exit_code, "either --speed or --clock" in result.output) == (2, True)


@pytest.mark.parametrize("speed", [1, 20, 240, 1400])
def test_a_clock_of_its_own_begins_before_the_day_and_on_it(speed: float) -> None:
    clock = Clock.from_text(cli._clock_of(8, speed))
    opens_ns = traffic.day(COUNTY.tables, 1, 1).opens_ns
    ahead_ns = opens_ns - clock.now_ns()
    assert 0 < ahead_ns <= 4 * 3600 * NS_PER_S
    assert clock.rate == speed


def test_speed_says_how_to_start_the_others_and_stdout_stays_clean(county_folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(county_folder, site)
    text = (site / "site.toml").read_text(encoding="utf-8")
    text = re.sub("port = [0-9]+", lambda _: f"port = {free_port()}", text)
    (site / "site.toml").write_text(text, encoding="utf-8")
    program = "from plc_adapter.cli import main; main()"
    words = ["emulate", "--site", str(site), "--items", "20", "--out", str(tmp_path / "day"), "--json"]
    command = [sys.executable, "-c", program, *words, "--speed", "50", "--scenario", str(written(tmp_path, ""))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = json.loads(process.stderr.readline())
        clock = Clock.from_text(told["clock"])
        assert clock.rate == 50
        assert told["daemon"].endswith(f"--clock {told['clock']}")
        assert told["adapter"].startswith(f"plc-adapter run --site {site} ")
        progress = tmp_path / "day" / emulate.PROGRESS
        while not progress.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["faults"] == []
