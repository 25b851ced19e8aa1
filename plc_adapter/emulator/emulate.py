"""A whole floor in one asyncio loop: a plant, a PLC with its face to the network and a scanner for every line.

Belts move on the site's clock, latencies are measured in real time. At the end the truth of
every parcel is written down, for an oracle to compare with the ledger.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import numpy as np

from plc_adapter.emulator import traffic
from plc_adapter.emulator.modbus_face import ModbusFace
from plc_adapter.emulator.plant import Plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.emulator.s7_face import S7Face
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import Day, Parcel
from plc_adapter.settings import S7, Modbus, OpcUa, Plc
from sorter.clock import Clock
from sorter.limits import RESEND_MAX
from sorter.wire.client import Client
from sorter.wire.frames import Scan

NS_PER_S: Final = 1_000_000_000
TICK_S: Final = 0.001
PROGRESS_S: Final = 0.5
OPEN_H: Final = len(traffic.HOURS)
RUN_OUT_NS: Final = 2 * 3600 * NS_PER_S  # of site time after the last hour, and
RUN_OUT_REAL_S: Final = 20.0  # of real time, until what is still on the belt is left there
TRUTH: Final = "truth.ndjson"
FIGURES: Final = "emulator.json"
PROGRESS: Final = "progress.json"


class Face(Protocol):
    """An emulated PLC's server."""

    requests: int  # answered so far

    async def start(self) -> None:
        """Listen. Raises OSError with the address when it is taken."""

    async def stop(self) -> None:
        """Close the socket and its connections."""


def face_of(program: PlcProgram, plc: Plc, clock: Clock) -> Face:
    """The face that a section of site.toml names. Raises ValueError when its package is not installed."""
    if isinstance(plc, Modbus):
        return ModbusFace(program, plc, clock.now_ns)
    if isinstance(plc, S7):
        return S7Face(program, plc, clock.now_ns)
    assert isinstance(plc, OpcUa)
    try:
        from plc_adapter.emulator.opcua_face import OpcUaFace  # noqa: PLC0415 # an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ValueError(
            "OPC UA needs a package that is not installed; run: pip install 'hub-sorter[opcua]'"
        ) from error
    return OpcUaFace(program, plc, clock.now_ns)


class Line:
    """One line: its parcels, its plant, its PLC and its scanner."""

    def __init__(self, site: Site, name: str, day: Day, seed: int, clock: Clock) -> None:
        self.name = name
        self.parcels = day.of_line(name)
        start_ns = max(day.opens_ns, clock.now_ns())
        load = traffic.load_of(self.parcels)
        self.plant = Plant(
            site.belts[name],
            site.chutes_of(name),
            load,
            seed,
            start_ns=start_ns,
            epoch=int(time.time()),  # one used before would make the daemon take new reports for repeats
        )
        self.program = PlcProgram(self.plant, site.plcs[name].word_order, self._told)
        self.face = face_of(self.program, site.plcs[name], clock)
        self.latency_ns: list[int] = []
        self.scans = 0
        key = site.keys / f"scanner-{name}.secret" if site.keys else None
        self._client = Client(
            site.devices, role="scanner", line=name, client=f"scanner-{name}", key=key, now_ns=clock.now_ns
        )
        self._sent_ns: dict[int, int] = {}
        self._waiting: deque[Scan] = deque()

    @property
    def settled(self) -> bool:
        """Every parcel dropped, every scan on the daemon's disk, every report taken by the host."""
        return self.plant.done and not self.unacknowledged and not self.program.unread

    @property
    def unacknowledged(self) -> int:
        """Scans that are not known to be on the daemon's disk."""
        return len(self._waiting) + int(self._client.unacknowledged)

    def step(self, now_ns: int) -> None:
        """Move the belt and send what the scanner read: all of it in one frame."""
        self.program.cycle(now_ns, time.monotonic_ns())
        scans = self.plant.scans
        if scans:
            self._waiting.extend(self._message(scan.t_ns, scan.item, scan.parcel, scan.lap) for scan in scans)
            self.scans += len(scans)
            scans.clear()
        while self._waiting and self._client.unacknowledged < RESEND_MAX:
            message = self._waiting.popleft()
            self._sent_ns[message.item] = time.monotonic_ns()
            self._client.post(message)
        self._client.poll()

    def close(self) -> None:
        """Let go of the daemon."""
        self._client.close()

    def truths(self) -> list[dict[str, Any]]:
        """What really happened to each parcel, in the order they were brought."""
        return [self._truth(at, parcel) for at, parcel in enumerate(self.parcels)]

    def _message(self, t_ns: int, item: int, parcel: int, lap: int) -> Scan:
        seen = self.parcels[parcel]
        return Scan(
            seq=0,
            item=item,
            line=self.name,
            codes=list(seen.codes),
            weight_g=seen.weight_g,
            size_mm=seen.size_mm,
            induct=seen.induct,
            lap=lap,
            t_ns=t_ns,
        )

    def _told(self, item: int) -> None:
        sent_ns = self._sent_ns.pop(item, 0)
        if sent_ns:
            self.latency_ns.append(time.monotonic_ns() - sent_ns)

    def _truth(self, at: int, parcel: Parcel) -> dict[str, Any]:
        plant = self.plant
        return {
            "line": self.name,
            "items": plant.numbers[at],
            "waybill": parcel.waybill,
            "codes": parcel.codes,
            "weight_g": parcel.weight_g,
            "size_mm": parcel.size_mm,
            "station": parcel.station,
            "scans": plant.scan_ns[at],
            "chute": plant.drop_chute[at],
            "dropped_ns": plant.drop_ns[at],
            "laps": plant.laps[at],
        }


class Floor(NamedTuple):
    """All that runs."""

    day: Day
    lines: list[Line]
    clock: Clock
    out: Path
    utc_offset_h: float


def build(site: Site, items: int, seed: int, clock: Clock, out: Path) -> Floor:
    """The floor of a site for the day that its clock shows. Raises ValueError when the tables are too few."""
    local = datetime.fromtimestamp(clock.now_ns() / NS_PER_S, UTC) + timedelta(hours=site.utc_offset_h)
    day = traffic.day(site.tables, items, seed, local.date(), site.utc_offset_h)
    lines = [Line(site, name, day, seed, clock) for name in site.belts]
    return Floor(day, lines, clock, out, site.utc_offset_h)


async def run(floor: Floor, stopped: Callable[[], bool]) -> dict[str, Any]:
    """Run until every line is settled, the run-out is over or `stopped()`; write truth and figures, return these."""
    gc.collect()
    gc.freeze()
    gc.disable()  # a full collection over a day of parcels would stop the belts for minutes of site time
    try:
        for line in floor.lines:
            await line.face.start()
        wall_s = await _loop(floor, stopped)
    finally:
        gc.enable()
        for line in floor.lines:
            await line.face.stop()
            line.close()
    figures = _figures(floor, wall_s)
    _write_truth(floor)
    _write_json(floor.out / FIGURES, figures)
    return figures


async def _loop(floor: Floor, stopped: Callable[[], bool]) -> float:
    """Real seconds from the first hour's begin to the end."""
    closes_ns = floor.day.opens_ns + OPEN_H * 3600 * NS_PER_S
    opened_s = closed_s = told_s = 0.0
    while not stopped() and not all(line.settled for line in floor.lines):
        now_ns, real_s = floor.clock.now_ns(), time.monotonic()
        for line in floor.lines:
            line.step(now_ns)
        if real_s - told_s >= PROGRESS_S:
            told_s = real_s
            _write_json(floor.out / PROGRESS, _progress(floor, now_ns))
        if now_ns >= floor.day.opens_ns:
            opened_s = opened_s or real_s
        if now_ns > closes_ns:
            closed_s = closed_s or real_s
            if now_ns > closes_ns + RUN_OUT_NS and real_s > closed_s + RUN_OUT_REAL_S:
                break
        await asyncio.sleep(TICK_S)
    _write_json(floor.out / PROGRESS, _progress(floor, floor.clock.now_ns()))
    return time.monotonic() - opened_s if opened_s else 0.0


def _progress(floor: Floor, now_ns: int) -> dict[str, Any]:
    local = datetime.fromtimestamp(now_ns // NS_PER_S, UTC) + timedelta(hours=floor.utc_offset_h)
    plants = [line.plant for line in floor.lines]
    return {
        "site_time": local.strftime("%Y-%m-%dT%H:%M:%S"),
        "items": len(floor.day.parcels),
        "inducted": sum(plant.inducted for plant in plants),
        "dropped": sum(plant.dropped for plant in plants),
        "on_belt": sum(plant.on_belt for plant in plants),
        "unacknowledged": sum(line.unacknowledged for line in floor.lines),
        "unread_reports": sum(line.program.unread for line in floor.lines),
    }


def _figures(floor: Floor, wall_s: float) -> dict[str, Any]:
    plants = [line.plant for line in floor.lines]
    latency_ms = np.array([ns for line in floor.lines for ns in line.latency_ns] or [0]) / 1e6
    p50, p99, p999, longest = np.percentile(latency_ms, [50, 99, 99.9, 100]).tolist()
    return {
        "items": len(floor.day.parcels),
        "peak_hour_items": floor.day.peak_hour_items,
        "peak_items_per_s": floor.day.peak_hour_items / 3600,
        "inducted": sum(plant.inducted for plant in plants),
        "dropped": sum(plant.dropped for plant in plants),
        "left_on_belt": sum(plant.on_belt for plant in plants),
        "scans": sum(line.scans for line in floor.lines),
        "unacknowledged": sum(line.unacknowledged for line in floor.lines),
        "missed_diverts": sum(plant.missed for plant in plants),
        "late_orders": sum(line.program.late for line in floor.lines),
        "stray_orders": sum(plant.strays for plant in plants),
        "jams": sum(plant.jams for plant in plants),
        "bags_changed": sum(plant.bags for plant in plants),
        "plc_requests": sum(line.face.requests for line in floor.lines),
        "latency_ms": {"p50": p50, "p99": p99, "p999": p999, "max": longest, "count": len(latency_ms)},
        "wall_s": wall_s,
        "cpu_s": time.process_time(),
    }


def _write_truth(floor: Floor) -> None:
    encode = msgspec.json.Encoder().encode
    with (floor.out / TRUTH).open("wb") as file:
        for line in floor.lines:
            file.writelines(encode(truth) + b"\n" for truth in line.truths())


def _write_json(path: Path, figures: dict[str, Any]) -> None:
    """Whole or not at all: somebody may be reading it."""
    beside = path.with_suffix(".part")
    beside.write_bytes(msgspec.json.encode(figures) + b"\n")
    beside.replace(path)
