"""What an adapter meets when a fault strikes: a real floor of one line, the adapter's service and a daemon's socket."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plc_adapter import s7, service
from plc_adapter.emulator import emulate, faults, traffic
from plc_adapter.emulator.emulate import Floor
from plc_adapter.emulator.faults import Fault
from plc_adapter.emulator.plant import NS_PER_S
from plc_adapter.emulator.scenario import Event, Scenario
from plc_adapter.emulator.site import Site
from plc_adapter.runner import Runner
from plc_adapter.settings import S7, Modbus, OpcUa, Plc, Wire
from plc_adapter.settings import Site as AdapterSite
from plc_adapter.standing import Link
from sorter.clock import Clock
from sorter.wire.frames import Item
from tests.patience import PATIENCE_S, until
from tests.plc_adapter.router_daemon import RouterDaemon
from tests.plc_adapter.stepped_clock import SteppedClock
from tests.system.hubs import free_port

ITEMS = 60


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no mute PLC."""
    monkeypatch.setattr(s7, "TIMEOUT_S", 1.0)


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
        self._clock.at_ns = self.floor.day.opens_ns + 2 * 3600 * NS_PER_S

    async def talking(self) -> None:
        """Wait until the adapter and the PLC exchange again."""
        exchanges = self.runner.counts.exchanges
        await until(lambda: self.runner.link == Link.TALKING and self.runner.counts.exchanges > exchanges + 3)


@asynccontextmanager
async def hall(site: Site, plc: Plc, fault: Fault, daemon: RouterDaemon, out: Path) -> AsyncIterator[Hall]:
    site = site._replace(belts={"L1": site.belts["L1"]}, plcs={"L1": plc}, devices=daemon.address)
    clock = SteppedClock(traffic.day(site.tables, 1, 1).opens_ns + 3600 * NS_PER_S)
    event = Event(7 * 3600, "L1", type(fault).__name__.lower(), fault)
    floor = emulate.build(site, ITEMS, 1, clock, out, scenario=Scenario((event,), {}))
    adapter = AdapterSite(Wire(daemon.address), None, {"L1": plc}, scanners={}, tracking={})
    lines = service.lines_of(adapter, ["L1"], Clock())
    ended, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(emulate.run(floor, ended.is_set))
    serving = asyncio.create_task(service.run(lines, Clock(), stop, lambda *_, **__: None))
    try:
        async with asyncio.timeout(PATIENCE_S):
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
            here._clock.at_ns += 3600 * NS_PER_S
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
            here._clock.at_ns += 600 * NS_PER_S
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
                here._clock.at_ns += 60 * NS_PER_S
                await asyncio.sleep(0.01)
            await until(lambda: here.runner.counts.lost == 6)
            assert here.runner.host.lost == 6
            epoch, first = program.overwritten[0][:2]
            assert [lost[:2] for lost in program.overwritten] == [(epoch, first + at) for at in range(6)]
            here._clock.at_ns += 3600 * NS_PER_S
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
            here._clock.at_ns += 600 * NS_PER_S
            scans = here.line.scans
            here._clock.at_ns += 1200 * NS_PER_S
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
