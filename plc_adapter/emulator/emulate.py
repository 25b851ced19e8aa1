"""A whole floor in one asyncio loop: every line of a site through one day.

Belts move on the site's clock, latencies are measured in real time. At the end the truth of
every parcel is written down, for an oracle to compare with the ledger.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from plc_adapter.emulator import traffic
from plc_adapter.emulator.line import Line
from plc_adapter.emulator.site import Site
from plc_adapter.emulator.traffic import Day
from sorter.clock import Clock

NS_PER_S: Final = 1_000_000_000
TICK_S: Final = 0.001
PROGRESS_S: Final = 0.5
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
