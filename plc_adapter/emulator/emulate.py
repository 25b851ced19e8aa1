"""A whole floor in one asyncio loop: every line of a site through one day.

Belts move on the site's clock, latencies are measured in real time; a scenario's faults strike at
their moment of the site's day. At the end the truth of every parcel is written down, for an oracle
to compare with the ledger.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from plc_adapter import service, settings
from plc_adapter.emulator import traffic
from plc_adapter.emulator.course import Course, Struck
from plc_adapter.emulator.direct import DirectPort
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.network import Plug
from plc_adapter.emulator.scenario import QUIET, Scenario
from plc_adapter.emulator.screen import FloorView, view_of
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import Day
from sorter.clock import Clock

Tell = Callable[[Struck], None]
"""Called with each fault as it strikes."""

Look = Callable[[], None]
"""Called in each turn, to raise what has gone wrong beside the belts."""

Show = Callable[[Callable[[], FloorView]], None]
"""Called in each turn with a way to look at the floor."""

NS_PER_S: Final = 1_000_000_000
TICK_S: Final = 0.001
PROGRESS_S: Final = 0.5
FAULTS_SHOWN: Final = 50
OPEN_H: Final = len(traffic.HOURS)
RUN_OUT_NS: Final = 2 * 3600 * NS_PER_S  # of site time after the last hour, and
RUN_OUT_REAL_S: Final = 20.0  # of real time, until what is still on the belt is left there
TRUTH: Final = "truth.ndjson"
FIGURES: Final = "emulator.json"
PROGRESS: Final = "progress.json"


class Floor(NamedTuple):
    """All that runs."""

    day: Day
    lines: list[Line]
    clock: Clock
    out: Path
    utc_offset_h: float
    course: Course
    adapter: list[service.Line]  # what runs in this process, without a network between it and the PLCs


def build(
    site: Site,
    items: int,
    seed: int,
    clock: Clock,
    out: Path,
    *,
    scenario: Scenario = QUIET,
    adapter: settings.Site | None = None,
) -> Floor:
    """The floor of a site for the day that its clock shows; with `adapter` its lines are driven in this process.

    Raises ValueError when the tables are too few, or a key is missing.
    """
    local = datetime.fromtimestamp(clock.now_ns() / NS_PER_S, UTC) + timedelta(hours=site.utc_offset_h)
    day = traffic.day(site.tables, items, seed, local.date(), site.utc_offset_h)
    lines = [Line(site, name, day, seed, clock) for name in site.belts]
    course = Course(scenario, lines, day, clock.now_ns())
    driven = _drive(lines, adapter, clock) if adapter else []
    return Floor(day, lines, clock, out, site.utc_offset_h, course, driven)


def _drive(lines: list[Line], adapter: settings.Site, clock: Clock) -> list[service.Line]:
    driven = []
    for line, plain in zip(lines, service.lines_of(adapter, [line.name for line in lines], clock), strict=True):
        port = DirectPort(line.program, clock.now_ns)
        line.face = port
        driven.append(plain._replace(port=port))
    return driven


async def run(
    floor: Floor, stopped: Callable[[], bool], tell: Tell = lambda _struck: None, show: Show = lambda _look: None
) -> dict[str, Any]:
    """Run until every line is settled, the run-out is over or `stopped()`; write truth and figures, return these.

    Raises OSError when an address of the site is taken, and whatever ends the adapter in this process, at once:
    of such a day nothing is written.
    """
    plugs = [Plug(line.program.network, line.face) for line in floor.lines]
    gc.collect()
    gc.freeze()
    gc.disable()  # a full collection over a day of parcels would stop the belts for minutes of site time
    try:
        for plug in plugs:
            await plug.start()
        async with _adapting(floor) as adapting:
            looks: list[Look] = [*(plug.look for plug in plugs), partial(_look, adapting)]
            timing = await _loop(floor, looks, stopped, tell, show)
    finally:
        gc.enable()
        for plug, line in zip(plugs, floor.lines, strict=True):
            await plug.stop()
            line.close()
    figures = _figures(floor, timing)
    _write_truth(floor)
    _write_json(floor.out / FIGURES, figures)
    return figures


@asynccontextmanager
async def _adapting(floor: Floor) -> AsyncIterator[asyncio.Task[Any]]:
    """What the adapter has to tell goes into its figures alone; with none in this process, nothing happens."""
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(floor.adapter, floor.clock, stop, lambda *_told, **_fields: None))
    try:
        yield running
    finally:
        stop.set()
        await running


def _look(running: asyncio.Task[Any]) -> None:
    """Raises the error that ended it."""
    if running.done():
        running.result()


class _Timing:
    """How the day went in real time."""

    def __init__(self) -> None:
        self.opened_s = self.closed_s = self.told_s = self.ended_s = 0.0
        self.stepped_s = time.monotonic()
        self.longest_step_s = 0.0

    @property
    def wall_s(self) -> float:
        """From the first hour's begin to the end."""
        return self.ended_s - self.opened_s if self.opened_s else 0.0

    def step(self, real_s: float) -> None:
        """The belts are moved."""
        self.longest_step_s = max(self.longest_step_s, real_s - self.stepped_s)
        self.stepped_s = real_s


async def _loop(floor: Floor, looks: list[Look], stopped: Callable[[], bool], tell: Tell, show: Show) -> _Timing:
    closes_ns = floor.day.opens_ns + OPEN_H * 3600 * NS_PER_S
    timing = _Timing()
    while not stopped() and not all(line.settled for line in floor.lines):
        now_ns, real_s = floor.clock.now_ns(), time.monotonic()
        timing.step(real_s)
        for struck in floor.course.due(now_ns):
            tell(struck)
        for look in looks:
            look()
        for line in floor.lines:
            line.step(now_ns)
        show(partial(_view, floor, now_ns))
        if real_s - timing.told_s >= PROGRESS_S:
            timing.told_s = real_s
            _write_json(floor.out / PROGRESS, _progress(floor, now_ns))
        if now_ns >= floor.day.opens_ns:
            timing.opened_s = timing.opened_s or real_s
        if now_ns > closes_ns:
            if not timing.closed_s:
                timing.closed_s = real_s
                floor.course.mend()
            if now_ns > closes_ns + RUN_OUT_NS and real_s > timing.closed_s + RUN_OUT_REAL_S:
                break
        await asyncio.sleep(TICK_S)
    timing.ended_s = time.monotonic()
    _write_json(floor.out / PROGRESS, _progress(floor, floor.clock.now_ns()))
    return timing


def _view(floor: Floor, now_ns: int) -> FloorView:
    struck = [f"{one.site_time}  {one.line} {one.what}: {one.words}" for one in floor.course.struck[-FAULTS_SHOWN:]]
    lines = [view_of(line) for line in floor.lines]
    return FloorView(f"{_local(floor, now_ns):%F %T}", floor.clock.rate, len(floor.day.parcels), lines, struck)


def _local(floor: Floor, now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // NS_PER_S, UTC) + timedelta(hours=floor.utc_offset_h)


def _progress(floor: Floor, now_ns: int) -> dict[str, Any]:
    plants = [line.plant for line in floor.lines]
    return {
        "site_time": f"{_local(floor, now_ns):%FT%T}",
        "items": len(floor.day.parcels),
        "inducted": sum(plant.inducted for plant in plants),
        "dropped": sum(plant.dropped for plant in plants),
        "on_belt": sum(plant.on_belt for plant in plants),
        "unacknowledged": sum(line.unacknowledged for line in floor.lines),
        "unread_reports": sum(line.program.unread for line in floor.lines),
        "faults": len(floor.course.struck),
    }


def _figures(floor: Floor, timing: _Timing) -> dict[str, Any]:
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
        "overwritten": [
            {"line": line.name, **one._asdict()} for line in floor.lines for one in line.program.overwritten
        ],
        "faults": [struck._asdict() for struck in floor.course.struck],
        "adapter": {line.runner.line: service.figures_of(line) for line in floor.adapter},
        "longest_step_ms": timing.longest_step_s * 1000,
        "wall_s": timing.wall_s,
        "cpu_s": time.process_time(),
    }


def _write_truth(floor: Floor) -> None:
    encode = msgspec.json.Encoder().encode
    _write(floor.out / TRUTH, (encode(truth) + b"\n" for line in floor.lines for truth in line.truths()))


def _write_json(path: Path, figures: dict[str, Any]) -> None:
    _write(path, [msgspec.json.encode(figures), b"\n"])


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """Whole or not at all: somebody may be reading it."""
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        file.writelines(pieces)
    beside.replace(path)
