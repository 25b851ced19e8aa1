"""A PLC, a reader and a daemon on real sockets around one adapter: each item gets its own codes or none.

The site's time stands still between steps, so that no slow machine makes a hole in it.
"""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from plc_adapter import service
from plc_adapter.mailbox import PlcSide
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import resolve
from plc_adapter.settings import Site, Wire
from sorter.records import Discharge, Kind
from sorter.wire.frames import Scan
from tests.patience import run, until
from tests.plc_adapter.modbus_plc import ModbusPlc
from tests.plc_adapter.router_daemon import RouterDaemon
from tests.plc_adapter.stepped_clock import SteppedClock
from tests.system.hubs import free_port

MS: Final = 1_000_000
STEP_MS: Final = 20
TRAVEL_MS: Final = 200
WINDOW_MS: Final = 50
GAP_MS: Final = 5 * WINDOW_MS  # between parcels: longer than a doubt lasts
HOST: Final = "127.0.0.1"


class Hall:
    """One line. What a parcel's label says is what its reader says: item 7 carries JT7 of its epoch."""

    def __init__(self, daemon: RouterDaemon) -> None:
        self.clock = SteppedClock(1_765_365_164 * 10**9)
        self.plc = ModbusPlc(PlcSide(7), self.clock.now_ns)
        self.told: list[tuple[str, dict[str, object]]] = []
        self.labels: dict[tuple[int, int], list[str]] = {}  # (epoch, item) -> what the daemon may hear of it
        self.writer: asyncio.StreamWriter | None = None
        self._daemon = daemon
        self._epoch = 7
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.plc.start()
        self.port = free_port()
        reader = resolve({"line": "L1", "role": "server", "host": HOST, "port": self.port})
        tracking = Tracking(travel_ms=TRAVEL_MS, window_ms=WINDOW_MS)
        site = Site(
            Wire(self._daemon.address), None, {"L1": self.plc.settings}, {"L1": {"top": reader}}, {"L1": tracking}
        )
        (self.line,) = service.lines_of(site, ["L1"], self.clock)
        assert self.line.readers is not None
        self.readers = self.line.readers
        self._task = asyncio.create_task(service.run([self.line], self.clock, self._stop, self._tell))
        await until(lambda: self.line.runner.deciding)
        await self.connect()
        await self.wait(2 * TRAVEL_MS)
        return self

    async def __aexit__(self, *_raised: object) -> None:
        self._stop.set()
        self.figures = (await self._task)["L1"]
        if self.writer is not None:
            self.writer.close()
        await self.plc.stop()

    def _tell(self, _level: str, what: str, **fields: object) -> None:
        self.told.append((what, fields))

    def heard(self, what: str) -> bool:
        return any(what in words for words, _ in self.told)

    async def connect(self) -> None:
        link = self.readers.links["top"]
        _, self.writer = await asyncio.open_connection(HOST, self.port)
        await until(lambda: link.peers == 1)

    async def hang_up(self) -> None:
        link = self.readers.links["top"]
        assert self.writer is not None
        self.writer.close()
        await until(lambda: link.peers == 0)

    async def wait(self, ms: int) -> None:
        """Let site time pass; every step is seen."""
        for _ in range(ms // STEP_MS):
            self.clock.at_ns += STEP_MS * MS
            at_ns = self.clock.at_ns
            await until(lambda at_ns=at_ns: self.readers.gateway._pairing._now_ns == at_ns)  # type: ignore[misc] # a default is bound now

    async def report(self, kind: Kind, item: int, point: int, value: int = 0) -> None:
        """The PLC reports, and the adapter has taken it."""
        goal = self.line.runner.counts.reports + 1
        assert self.plc.plc.report(kind, item, point, value, self.clock.at_ns // MS)
        await until(lambda: self.line.runner.counts.reports == goal)

    async def enter(self, item: int, *, codes: bool = True) -> None:
        """The PLC counts an item; `codes`: the daemon must hear its own, else none."""
        self.labels[self._epoch, item] = [f"JT{self._epoch}{item}"] if codes else []
        await self.report(Kind.ITEM, item, 1)

    async def read(self, item: int, epoch: int | None = None) -> None:
        """The item is at the reader, and its telegram is here."""
        goal = self.readers.gateway.counts["telegrams"] + 1
        assert self.writer is not None
        self.writer.write(f"JT{epoch or self._epoch}{item}\r".encode())
        await until(lambda: self.readers.gateway.counts["telegrams"] == goal)

    async def carry(self, item: int, *, codes: bool = True) -> None:
        """An item alone on the belt, from the PLC's sensor past the reader."""
        await self.enter(item, codes=codes)
        await self.wait(TRAVEL_MS)
        await self.read(item)
        await self.wait(GAP_MS)

    async def restart_plc(self) -> None:
        self._epoch += 1
        self.plc.plc = PlcSide(self._epoch)
        await until(lambda: self.line.runner.host.epoch == self._epoch and self.line.runner.deciding)

    @property
    def scans(self) -> list[Scan]:
        return [message for _, message in list(self._daemon.disk.journal) if isinstance(message, Scan)]

    async def check(self) -> None:
        """The daemon heard of every item once: its own codes, or none where there was a doubt."""
        expected = [(item, codes) for (_, item), codes in self.labels.items()]
        await until(lambda: len(self.scans) >= len(expected))
        assert [(scan.item, scan.codes) for scan in self.scans] == expected


def test_each_item_gets_its_own_codes(daemon: RouterDaemon) -> None:
    """Parcels follow each other so closely that the next one is counted before this one is read."""

    async def check() -> None:
        async with Hall(daemon) as hall:
            entering = {140 * number: number + 1 for number in range(12)}
            reading = {at_ms + TRAVEL_MS: item for at_ms, item in entering.items()}
            for at_ms in range(0, max(reading) + GAP_MS, STEP_MS):
                if at_ms in entering:
                    await hall.enter(entering[at_ms])
                if at_ms in reading:
                    await hall.read(reading[at_ms])
                await hall.wait(STEP_MS)
            await hall.check()
            await until(lambda: hall.heard("the reader is connected"))
            assert not any("not been tried" in str(fields) for _, fields in hall.told)
        assert hall.figures["readers"] == {"telegrams": 12, "scans": 12, "merged": 12, "cut": 0, "paired": 12}

    run(check())


def test_a_lost_reading_gives_an_empty_scan_and_costs_no_other_parcel(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with Hall(daemon) as hall:
            await hall.carry(1)
            await hall.enter(2, codes=False)
            await hall.wait(TRAVEL_MS + GAP_MS)
            await hall.carry(3)
            await hall.check()
            await until(lambda: hall.heard("a reading is missing"))

    run(check())


def test_an_item_that_drops_before_the_reader_is_not_scanned(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with Hall(daemon) as hall:
            await hall.report(Kind.ITEM, 1, 1)
            await hall.wait(60)
            await hall.report(Kind.DISCHARGE, 1, 101, Discharge.LOST)
            await hall.wait(TRAVEL_MS + GAP_MS)
            await hall.enter(2)
            await hall.wait(60)
            await hall.report(Kind.DISCHARGE, 2, 101, Discharge.PASSED)
            await hall.wait(TRAVEL_MS - 60)
            await hall.read(2)
            await hall.wait(GAP_MS)
            await hall.check()

    run(check())


def test_a_plc_that_restarts_gives_doubt_and_then_right_pairs(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with Hall(daemon) as hall:
            await hall.carry(1)
            await hall.report(Kind.ITEM, 2, 1)  # the PLC will forget it, and the daemon hears no more of it
            await hall.wait(100)
            await hall.restart_plc()
            await hall.enter(1, codes=False)
            await hall.wait(100)
            await hall.read(2, epoch=7)  # a parcel of before the restart: it is nobody's
            await hall.wait(100)
            await hall.read(1)
            await hall.wait(2 * TRAVEL_MS)
            await hall.carry(2)
            await hall.carry(3)
            await hall.check()
        assert hall.figures["epochs"] == 2

    run(check())


def test_a_plc_whose_network_was_away_gives_doubt_and_then_right_pairs(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with Hall(daemon) as hall:
            await hall.carry(1)
            await hall.enter(2, codes=False)
            await hall.plc.stop()
            await until(lambda: bool(hall.line.runner.error))
            await hall.plc.start()
            await until(lambda: not hall.line.runner.error)
            await hall.wait(TRAVEL_MS)
            await hall.read(2)
            await hall.wait(2 * TRAVEL_MS)
            await hall.carry(3)
            await hall.check()

    run(check())


def test_a_reader_that_restarts_gives_doubt_and_then_right_pairs(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with Hall(daemon) as hall:
            await hall.carry(1)
            await hall.enter(2, codes=False)
            await hall.wait(100)
            await hall.hang_up()
            await until(lambda: hall.heard("the reader is away"))
            await hall.connect()
            await hall.wait(100)
            await hall.read(2)  # in time, but what the reader was asked meanwhile nobody knows
            await hall.wait(3 * TRAVEL_MS)
            await hall.carry(3)
            await hall.check()

    run(check())


def test_a_reader_that_goes_and_readings_of_nothing_are_told_to_the_daemon(daemon: RouterDaemon) -> None:
    def alarms() -> list[str]:
        return [
            alarm.alarm for alarm in daemon.disk.alarms if alarm.alarm in {"reader_away", "reader_back", "unpaired"}
        ]

    async def check() -> None:
        async with Hall(daemon) as hall:
            await until(lambda: alarms()[-1:] == ["reader_back"])
            before = len(alarms())
            await hall.read(99)
            await hall.wait(GAP_MS)
            await hall.hang_up()
            await until(lambda: len(alarms()) == before + 2)
            await hall.connect()
            await until(lambda: len(alarms()) == before + 3)
            assert alarms()[before:] == ["unpaired", "reader_away", "reader_back"]

    run(check())


def test_strangers_at_the_readers_port_cost_no_codes(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with Hall(daemon) as hall:
            await hall.carry(1)
            await hall.enter(2)
            await hall.wait(100)
            for _ in range(20):
                _, stranger = await asyncio.open_connection(HOST, hall.port)
                stranger.write(b"GET / HTTP/1.1")
                stranger.close()
            await hall.wait(100)
            await hall.read(2)
            await hall.wait(GAP_MS)
            await hall.check()

    run(check())


SITE: Final = """
[wire]
devices = "tcp://127.0.0.1:1"
[line.L1]
[plc.L1]
host = "127.0.0.1"
port = 1
[scanner.top]
line = "L1"
role = "server"
host = "127.0.0.1"
port = {port}
[tracking.L1]
travel_ms = 800
"""


def test_a_readers_port_that_is_taken_is_told_and_ends_the_adapter(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "site.toml").write_text(SITE.format(port=port), encoding="utf-8")
        command = [sys.executable, "-c", "from plc_adapter.cli import main; main()", "run", "--site", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (3, False)
    assert f"[scanner.top] {HOST}:{port} cannot be listened at" in ended.stderr
