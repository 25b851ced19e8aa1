"""A day over reader sockets: the real daemon, adapter and emulator on one clock, judged from their files.

The clock goes on from one event of the belts to the next when nothing is under way any more, so that a
slow machine takes longer and changes nothing.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import zmq

from plc_adapter import service, settings
from plc_adapter.emulator import emulate, traffic
from plc_adapter.emulator import site as sites
from plc_adapter.emulator.audit import audit
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.readers import Heads
from plc_adapter.mailbox import RING
from sorter.daemon import Clocks, Daemon, Sockets
from sorter.init import make_site
from sorter.ledger.journal import Journal, read
from sorter.ledger.projection import Projection
from sorter.replay import restore
from sorter.rulebook import load as load_rules
from sorter.site import load as load_site
from sorter.wire import frames
from sorter.wire.endpoints import Router, wait
from sorter.wire.frames import Divert
from tests.plc_adapter.stepped_clock import SteppedClock
from tests.system.hubs import BIN, free_ports

NS: Final = 1_000_000_000
PATIENCE_S: Final = 60.0  # of a slow machine, for one step of the day
ITEMS: Final = 200
SEED: Final = 5
HEADS: Final = """
[scanner.top]
line = "L1"
maker = "sick"
host = "127.0.0.1"
port = {}
template = "{{id}}|{{code}}"

[scanner.scale]
line = "L1"
maker = "dws"
role = "server"
host = "127.0.0.1"
port = {}
template = "{{id}},{{code}},{{weight}},{{length}},{{width}},{{height}},{{volume}},{{time}}"
weight_unit = "kg"
length_unit = "cm"

[scanner.left]
line = "L2"
maker = "keyence"
host = "127.0.0.1"
port = {}
template = "{{id}}:{{code}}"
hello = "LON\\r"

[scanner.right]
line = "L2"
maker = "hikrobot"
role = "server"
host = "127.0.0.1"
port = {}
fields.id = "trigger"

[tracking.L1]
by = "id"
travel_ms = 10000
lap_ms = 120000

[tracking.L2]
by = "id"
travel_ms = 900
lap_ms = 120000
"""


class Devices:
    """The daemon's socket for devices; it counts the diverts that leave."""

    def __init__(self, router: Router) -> None:
        self.diverts = 0
        self.receive = router.receive
        self._router = router

    def send(self, peer: bytes, data: bytes) -> bool:
        self.diverts += sum(isinstance(message, Divert) for message in frames.decode(data))
        return self._router.send(peer, data)


class Hall:
    """A hub and its floor in one event loop."""

    def __init__(self, folder: Path, heads: str = HEADS) -> None:
        self.folder, self.out = folder / "hub", folder / "day"
        self.out.mkdir()
        make_site(self.folder, str(BIN / "sorter"))
        path = self.folder / "site.toml"
        ports = free_ports(9)
        text = re.sub("557[012]|502[01]", lambda _: str(ports.pop()), path.read_text(encoding="utf-8"))
        text = text.replace("poll_ms = 10.0", "poll_ms = 1.0") + heads.format(*ports)
        path.write_text(text, encoding="utf-8")
        self.site = sites.load(self.folder)
        self.clock = SteppedClock(traffic.day(self.site.tables, 1, SEED).opens_ns - 60 * NS)
        self.floor = emulate.build(self.site, ITEMS, SEED, self.clock, self.out)
        traffic.write_advices(self.floor.day, self.out / "advices.csv")
        traffic.write_intercepts(self.floor.day, self.out / "intercepts.csv")
        adapter = settings.load(self.folder)
        self.adapted = service.lines_of(adapter, list(adapter.plcs), self.clock)
        self.told: list[str] = []
        self._stop = asyncio.Event()

    async def run(self, meddle: Callable[[Line], None] = lambda _line: None) -> dict[str, Any]:
        """The whole day; `meddle` is called for each line between steps. The figures of the audit."""
        with self._daemon() as self.devices:
            deciding = asyncio.create_task(self._decide())
            await self._load()
            adapting = asyncio.create_task(service.run(self.adapted, self.clock, self._stop, self._tell))
            floor = asyncio.create_task(emulate.run(self.floor, lambda: False))
            while not floor.done():
                await self._settle(floor)
                for line in self.floor.lines:
                    meddle(line)
                await self._settle(floor)
                self.clock.at_ns = max(self.clock.at_ns, self._next_ns())
            floor.result()
            self._stop.set()
            self.figures = await adapting
            deciding.cancel()
        with Projection(load_site(self.folder).ledger) as projection:
            projection.catch_up()
        return audit(self.site, self.out, self.out / "truth.ndjson", self.folder / "ledger" / "ledger.db")

    @contextmanager
    def _daemon(self) -> Iterator[Devices]:
        site = load_site(self.folder)
        plan = load_rules(site.rules, site.lines, site.utc_offset_ns)
        context: zmq.Context[Any] = zmq.Context()
        with (
            Journal.open(site.ledger, owner="test") as journal,
            context,
            closing(Router(site.wire.devices, name="devices", context=context)) as router,
            closing(Router(site.wire.control, name="control", context=context)) as control,
        ):
            devices = Devices(router)
            sockets = Sockets(devices, control, lambda idle_ms: wait((router, control), idle_ms))
            clocks = Clocks(self.clock.now_ns, time.monotonic_ns)
            self.daemon = Daemon(restore(read(site.ledger)), plan, journal, sockets, clocks)
            yield devices

    async def _decide(self) -> None:
        while True:
            self.daemon.turn()
            await asyncio.sleep(0.0005)

    async def _load(self) -> None:
        program = await asyncio.create_subprocess_exec(
            *(BIN / "sorter", "advice", "load", self.out / "advices.csv", "--site", self.folder),
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await program.wait() == 0
        assert not self.floor.day.intercepts

    def _tell(self, _level: str, what: str, **fields: object) -> None:
        self.told.append(f"{what} {fields}")

    async def _settle(self, floor: asyncio.Task[Any]) -> None:
        """Until nothing is under way between belts, readers, adapter and daemon."""
        began = time.monotonic()
        while not floor.done() and not self._quiet():
            assert time.monotonic() - began < PATIENCE_S, self.told
            await asyncio.sleep(0.001)

    def _quiet(self) -> bool:
        carried = sum(
            counts.orders + counts.stale + counts.void + counts.overflow
            for counts in (line.runner.counts for line in self.adapted)
        )
        return carried == self.devices.diverts and all(map(self._line_quiet, self.floor.lines, self.adapted))

    def _line_quiet(self, line: Line, adapted: service.Line) -> bool:
        runner, readers = adapted.runner, adapted.readers
        assert isinstance(line.readers, Heads)
        assert readers is not None
        said = sum(face.said for face in line.readers.faces)
        return (
            line.plant.now_ns >= self.clock.at_ns == readers.gateway._pairing._now_ns
            and all(face.connected or face.is_cut for face in line.readers.faces)
            and not line.plant.scans
            and readers.gateway.counts["telegrams"] - readers.gateway.counts["heartbeats"] == said
            and not readers.wire.unacknowledged
            and runner.deciding
            and not line.program.unread
            and not runner.unacknowledged
            and runner.host.room == RING
        )

    def _next_ns(self) -> int:
        """When a belt moves something next, or the adapter gives a reading up."""
        moments = [line.plant.next_ns() for line in self.floor.lines]
        for line in self.adapted:
            assert line.readers is not None
            pairing = line.readers.gateway._pairing
            waiting = (one.expected_ns + pairing._wait_ns for one in pairing._passes.order if one.fate is None)
            moments += [moment for moment in waiting if moment > self.clock.at_ns][:1]
            merged_ns = line.readers.gateway._tunnel.next_ns()
            moments += [] if merged_ns is None else [merged_ns]
        return min(moments)


class Once:
    """Does something on one line when so many parcels have entered it."""

    def __init__(self, **deeds: Callable[[Line], None]) -> None:
        """`deeds` by name, such as at_30."""
        self._deeds = {int(name.removeprefix("at_")): deed for name, deed in deeds.items()}

    def __call__(self, line: Line) -> None:
        if line.name == "L1" and line.plant.inducted in self._deeds:
            self._deeds.pop(line.plant.inducted)(line)


def run(hall: Hall, meddle: Callable[[Line], None] = lambda _line: None) -> dict[str, Any]:
    """A day after which every parcel lies right and is accounted for; what its readers did, by line."""
    report = asyncio.run(hall.run(meddle))
    assert (report["items"], report["missorted"], report["unaccounted"]) == (ITEMS, 0, 0), str(report)
    assert report["on_belt"] == 0
    return {name: figures["readers"] for name, figures in hall.figures.items()}


def scans_of(hall: Hall) -> dict[str, int]:
    return {line.name: line.scans for line in hall.floor.lines}


def test_a_day_over_the_telegrams_of_four_makers_is_right_and_accounted_for(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    readers = run(hall)
    assert {name: each["paired"] for name, each in readers.items()} == scans_of(hall)
    assert {name: each["scans"] for name, each in readers.items()} == scans_of(hall)
    assert not any("missing" in words for words in hall.told)


def test_a_day_of_bad_readings_is_right_by_what_was_read(tmp_path: Path) -> None:
    """A parcel that shows its neighbour's label as well, or none, is an exception; one read twice is not."""

    def misread(line: Line) -> None:
        line.reading.double_share, line.reading.mirrored_share, line.reading.unread_share = 0.3, 0.1, 0.1

    hall = Hall(tmp_path)
    readers = run(hall, misread)
    assert {name: each["paired"] for name, each in readers.items()} == scans_of(hall)
    assert all(each["late"] > 0.05 * ITEMS for each in readers.values())  # said when the other head had spoken, too


def test_parcels_that_go_round_are_read_as_themselves_on_every_lap(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    readers = run(hall, Once(at_20=lambda line: line.plant.miss(20)))
    laps = [lap for line in hall.floor.lines for lap in line.plant.laps]
    assert max(laps) >= 2
    assert {name: each["paired"] for name, each in readers.items()} == scans_of(hall)
    assert sum(scans_of(hall).values()) >= ITEMS + 20


def test_what_is_read_while_nobody_listens_is_no_read_and_costs_no_other_parcel(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    deeds = Once(at_30=lambda line: line.readers.cut(3600.0), at_40=lambda line: line.readers.mend())
    readers = run(hall, deeds)
    assert 5 <= readers["L1"]["silent"] <= 15
    assert readers["L1"]["paired"] + readers["L1"]["silent"] == scans_of(hall)["L1"]
    assert readers["L2"]["paired"] == scans_of(hall)["L2"]


def test_a_plc_that_restarts_costs_no_parcel_its_codes(tmp_path: Path) -> None:
    """What is on the belt then gets its new numbers at the reader, and the reader knows them."""
    hall = Hall(tmp_path)
    readers = run(hall, Once(at_30=lambda line: line.plant.restart(), at_60=lambda line: line.plant.restart()))
    assert {name: each["paired"] for name, each in readers.items()} == scans_of(hall)
    assert readers["L1"]["untold"] >= 1
