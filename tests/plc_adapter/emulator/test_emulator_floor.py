"""The whole floor on real sockets: its scanners speak the wire, its PLCs Modbus, and the day is judged from files."""

import asyncio
import json
import shutil
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any, cast

import pytest
import zmq
from click.testing import CliRunner
from msgspec.structs import replace

from plc_adapter import settings
from plc_adapter.emulator import cli, emulate, faults, traffic
from plc_adapter.emulator import site as sites
from plc_adapter.emulator.emulate import Floor
from plc_adapter.emulator.oracle import Known, Oracle, Seen
from plc_adapter.emulator.scenario import QUIET, Event, Scenario
from plc_adapter.emulator.site import Site
from plc_adapter.mailbox import HostSide, HostState, Order
from plc_adapter.modbus import ModbusPort
from plc_adapter.port import Unreachable
from sorter.clock import Clock
from sorter.ledger.schema import SCHEMA
from sorter.records import NONE_16, Discharge, Kind
from sorter.wire import frames
from sorter.wire.frames import Ack, AnyMessage, Hello, Ping, Pong, Scan, Welcome
from tests.plc_adapter.stepped_clock import SteppedClock
from tests.system.hubs import free_port

NS = 1_000_000_000
ITEMS = 60


class Daemon:
    """Takes scans from a ROUTER, acknowledges them, and keeps what they said."""

    def __init__(self) -> None:
        self.socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self.address = f"tcp://127.0.0.1:{self.socket.bind_to_random_port('tcp://127.0.0.1')}"
        self.scans: list[Scan] = []
        self.frames = 0

    def turn(self) -> list[Scan]:
        new: list[Scan] = []
        while self.socket.poll(0):
            peer, data = self.socket.recv_multipart()
            self.frames += 1
            for message in frames.decode(data):
                answer = self._answer(message, new)
                if answer:
                    self.socket.send_multipart([peer, frames.encode(answer)])
        self.scans += new
        return new

    def _answer(self, message: AnyMessage, new: list[Scan]) -> AnyMessage | None:
        if isinstance(message, Hello):
            return Welcome(plan=1, t_ns=1, seq=message.seq - 1)
        if isinstance(message, Ping):
            return Pong(t_ns=message.t_ns)
        assert isinstance(message, Scan)
        new.append(message)
        return Ack(seq=message.seq)

    def close(self) -> None:
        self.socket.close(linger=0)


class Host:
    """Decides by the oracle and drives both PLCs; its discharges are the ledger."""

    def __init__(self, site: Site, floor: Floor, clock: SteppedClock, daemon: Daemon, oracle: Oracle) -> None:
        self.is_over = False
        self.site, self.floor, self.daemon, self.oracle = site, floor, daemon, oracle
        self.clock = clock
        self.orders: dict[str, list[Order]] = {line: [] for line in site.belts}
        self.dropped: list[tuple[str, int, int, int]] = []
        self.reports = 0

    async def run(self) -> None:
        sides = {line: (ModbusPort(plc.host, plc.port), HostSide()) for line, plc in self.site.plcs.items()}
        for port, _ in sides.values():
            await connected(port)
        while not self.is_over:  # asyncio.wait_for of 3.11 may lose a cancellation
            busy = self._decide()
            for line, (port, side) in sides.items():
                busy |= await self._exchange(line, port, side)
            await asyncio.sleep(2 * emulate.TICK_S)
            if not busy and not any(line.unacknowledged or line.plant.scans for line in self.floor.lines):
                self.clock.at_ns = max(self.clock.at_ns, min(line.plant.next_ns() for line in self.floor.lines))

    def _decide(self) -> bool:
        scans = self.daemon.turn()
        for scan in scans:
            length_mm = max(int(side) for side in scan.size_mm or (0,))
            demand = self.oracle.demand(Seen(tuple(scan.codes), int(scan.weight_g or 0), length_mm), scan.t_ns)
            chutes = self.oracle.lane_chutes.get((scan.line, demand.name), [])
            if demand.kind == "chute":
                chutes = [int(demand.name)]
            if demand.kind == "reject":
                chutes = sorted(self.oracle.exception_chutes(scan.line, demand.name))
            if not chutes and scan.lap == 3:
                chutes = sorted(self.oracle.exception_chutes(scan.line, "max_laps"))
            if not chutes:
                continue
            deadline_ns = scan.t_ns + self.site.window_ns
            self.orders[scan.line].append(Order(scan.item, chutes[0], (*chutes, NONE_16)[1], deadline_ns, 0))
        return bool(scans)

    async def _exchange(self, line: str, port: ModbusPort, side: HostSide) -> bool:
        orders = self.orders[line]
        while orders and side.room:
            side.give(orders.pop(0))
        reports = side.receive(await port.exchange(side.block(self.clock.at_ns, HostState.DECIDING)), self.clock.at_ns)
        side.acknowledge(side.read)
        for report in reports:
            if report.kind == Kind.DISCHARGE and report.value == Discharge.DROPPED:
                self.dropped.append((line, report.item, report.point, self.clock.at_ns))
        self.reports += len(reports)
        return bool(reports) or side.taken < side.given or side.acknowledged < side.read or not side.ready


async def connected(port: ModbusPort) -> None:
    while True:
        try:
            await port.connect()
        except Unreachable:
            await asyncio.sleep(0.01)  # the emulator does not listen yet
        else:
            return


def write_ledger(path: Path, dropped: list[tuple[str, int, int, int]]) -> None:
    with sqlite3.connect(path) as book:
        book.executescript(SCHEMA)
        book.executemany(
            "INSERT INTO item (line, item, dropped, entered_ns, outcome) VALUES (?, ?, ?, ?, 'planned')", dropped
        )
    book.close()


@pytest.fixture
def day_folder(county: Site, tmp_path: Path) -> Path:
    """A small day run on the floor: truth and figures by the emulator, the ledger by the host."""
    run_day(county, tmp_path, QUIET)
    return tmp_path


def run_day(county: Site, folder: Path, scenario: Scenario) -> None:
    daemon = Daemon()
    try:
        plcs = {line: replace(plc, port=free_port()) for line, plc in county.plcs.items()}
        site = county._replace(devices=daemon.address, plcs=plcs)
        clock = SteppedClock(traffic.day(county.tables, 1, 1).opens_ns)
        floor = emulate.build(site, ITEMS, 9, clock, folder, scenario=scenario)
        traffic.write_advices(floor.day, folder / "advices.csv")
        traffic.write_intercepts(floor.day, folder / "intercepts.csv")
        advices = {
            advice.waybill: Known(*advice[1:6], cancelled=bool(advice.cancelled)) for advice in floor.day.advices
        }
        host = Host(site, floor, clock, daemon, Oracle(site.tables, advices, floor.day.intercepts))
        asyncio.run(_run(floor, host))
    finally:
        daemon.close()
    check_scans(floor, daemon)
    write_ledger(folder / "ledger.db", host.dropped)


async def _run(floor: Floor, host: Host) -> None:
    async with asyncio.timeout(60):
        floor_task = asyncio.create_task(emulate.run(floor, lambda: False))
        host_task = asyncio.create_task(host.run())
        done, _ = await asyncio.wait([floor_task, host_task], return_when=asyncio.FIRST_COMPLETED)
        host.is_over = True
        await host_task
        assert floor_task in done
        floor_task.result()


def check_scans(floor: Floor, daemon: Daemon) -> None:
    """Every scan came once, with what the parcel's label and the DWS told."""
    parcels = {line.name: line.parcels for line in floor.lines}
    assert len(daemon.scans) == sum(line.scans for line in floor.lines) >= ITEMS
    for scan in daemon.scans:
        parcel = parcels[scan.line][scan.item - 1]
        assert tuple(scan.codes) == parcel.codes
        assert (scan.weight_g, tuple(scan.size_mm or ())) == (parcel.weight_g, parcel.size_mm)
    assert [scan.seq for scan in daemon.scans if scan.line == "L1"] == list(range(1, floor.lines[0].scans + 1))


def audited(folder: Path, county_folder: Path) -> dict[str, Any]:
    paths = ["--truth", str(folder / "truth.ndjson"), "--ledger", str(folder / "ledger.db")]
    result = CliRunner().invoke(cli.audit, ["--site", str(county_folder), *paths, "--json"])
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.output)
    return figures


def test_a_day_on_the_floor_is_right_and_accounted_for(day_folder: Path, county_folder: Path) -> None:
    figures = json.loads((day_folder / "emulator.json").read_text())
    assert (figures["items"], figures["inducted"], figures["dropped"], figures["left_on_belt"]) == (ITEMS,) * 3 + (0,)
    assert figures["peak_hour_items"] == 9
    assert figures["latency_ms"]["count"] >= ITEMS
    progress = json.loads((day_folder / "progress.json").read_text())
    assert (progress["dropped"], progress["on_belt"]) == (ITEMS, 0)
    assert (progress["unacknowledged"], progress["unread_reports"]) == (0, 0)
    truths = [json.loads(line) for line in (day_folder / "truth.ndjson").read_text().splitlines()]
    assert len(truths) == ITEMS
    assert all(truth["chute"] and len(truth["items"]) == 1 for truth in truths)
    report = audited(day_folder, county_folder)
    assert (report["items"], report["missorted"], report["unaccounted"]) == (ITEMS, 0, 0)
    with sqlite3.connect(day_folder / "ledger.db") as book:
        book.execute("UPDATE item SET dropped = 555 WHERE rowid = 7")
        book.execute("DELETE FROM item WHERE rowid = 8")
    book.close()
    assert audited(day_folder, county_folder)["unaccounted"] == 2


def test_what_still_goes_on_when_the_day_is_over_is_mended(county: Site, tmp_path: Path) -> None:
    """A PLC that waits for more reports than there are, to overwrite some, gives those it has."""
    overrun = Event(12 * 3600, "L1", "overrun", faults.Overrun(count=1000))
    run_day(county, tmp_path, Scenario((overrun,), {}))
    figures = json.loads((tmp_path / "emulator.json").read_text())
    assert (figures["dropped"], len(figures["faults"]), figures["overwritten"]) == (ITEMS, 1, [])
    assert json.loads((tmp_path / "progress.json").read_text())["unread_reports"] == 0


def test_an_adapter_in_this_process_that_fails_ends_the_day_at_once(county_folder: Path, tmp_path: Path) -> None:
    """It cannot listen for a reader: of such a day nothing is written, and what was there is left."""
    site, out = tmp_path / "site", tmp_path / "day"
    shutil.copytree(county_folder, site)
    out.mkdir()
    (out / "truth.ndjson").write_text("another day")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        section = (
            f'\n[scanner.top]\nline = "L1"\nrole = "server"\nhost = "127.0.0.1"\nport = {taken.getsockname()[1]}\n'
        )
        with (site / "site.toml").open("a") as file:
            file.write(section + "\n[tracking.L1]\ntravel_ms = 10000\nlap_ms = 120000\n")
        place, adapter = sites.load(site), settings.load(site)
        clock = Clock(traffic.day(place.tables, 1, 1).opens_ns, 1.0, time.time_ns())
        floor = emulate.build(place, ITEMS, 9, clock, out, adapter=adapter)
        patience = Patience()
        with pytest.raises(OSError, match="cannot be listened at"):
            asyncio.run(emulate.run(floor, patience.is_over))
        assert not patience.was_over
    assert (out / "truth.ndjson").read_text() == "another day"
    assert not list(out.glob("emulator.*"))


class Patience:
    """Ends a day that nothing else ends."""

    def __init__(self) -> None:
        self.was_over = False
        self._begun_s = time.monotonic()

    def is_over(self) -> bool:
        self.was_over = time.monotonic() > self._begun_s + 20
        return self.was_over


def test_a_day_that_cannot_be_told_to_its_end_is_not_told_in_part(county: Site, tmp_path: Path) -> None:
    floor = emulate.build(county, ITEMS, 9, Clock(), tmp_path)
    (tmp_path / emulate.TRUTH).write_text("another day")
    floor.lines[1].plant.shut[-1] = [cast(int, object())]
    with pytest.raises(TypeError):
        emulate._write_truth(floor)
    assert (tmp_path / emulate.TRUTH).read_text() == "another day"
    for line in floor.lines:
        line.close()
