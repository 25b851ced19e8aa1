"""What the emulator needs of a site's folder: the belts, their PLCs, the wire and the rule tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from plc_adapter import settings
from plc_adapter.emulator import tables
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import Scanner

LOOP: Final = "cross-belt"
STRAIGHT: Final = "wheel-diverter"


class Site(NamedTuple):
    """One site, read from site.toml and its tables."""

    belts: dict[str, Belt]
    plcs: dict[str, settings.Plc]
    devices: str
    keys: Path | None
    tables: tables.Tables
    utc_offset_h: float
    window_ns: int  # the longest time from a scanner to its first divert
    max_laps: dict[str, int]
    scanners: dict[str, dict[str, Scanner]]  # line name -> its readers by name; none: its scans go by the wire
    tracking: dict[str, Tracking]

    def chutes_of(self, line: str) -> list[Chute]:
        """The chutes that stand along a line."""
        return [
            Chute(int(row["chute"]), float(row["position"]), int(row["capacity"] or 0))
            for row in self.tables.chutes
            if row["line"] == line
        ]


class _Belt(msgspec.Struct):
    speed_m_s: float
    lap_m: float
    scanner_to_divert_m: float
    kind: str = LOOP
    max_laps: int = 3


class _File(msgspec.Struct):
    line: dict[str, _Belt]
    utc_offset_h: float = 8.0
    rules: str = "rules"


def load(folder: Path) -> Site:
    """The site of a folder. Raises SettingsRefused or FileNotFoundError, saying what to write."""
    adapter = settings.load(folder)
    path = folder / settings.FILE_NAME
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
    except msgspec.DecodeError as error:
        raise settings.SettingsRefused(f"{path}: {error}") from error
    without = [line for line in file.line if line not in adapter.plcs]
    if without:
        raise settings.SettingsRefused(
            f"{path}: line {', '.join(without)} has no PLC to emulate; add a section such as [plc.{without[0]}]"
        )
    rules = tables.read(folder / file.rules)
    ends = {name: _end_chute(rules, name) for name, belt in file.line.items() if belt.kind == STRAIGHT}
    wrong = [
        f"{path}: [line.{name}] {fault}"
        for name, belt in file.line.items()
        for fault in _faults(name, belt, ends.get(name, 0))
    ]
    wrong += [
        f"{path}: [tracking.{name}] {fault}"
        for name, tracking in adapter.tracking.items()
        for fault in _reading_faults(file.line[name], tracking)
    ]
    if wrong:
        raise settings.SettingsRefused("\n".join(wrong))
    return Site(
        {name: _belt(name, belt, ends.get(name, 0), adapter.tracking.get(name)) for name, belt in file.line.items()},
        adapter.plcs,
        adapter.wire.devices,
        adapter.keys,
        rules,
        file.utc_offset_h,
        round(max(belt.scanner_to_divert_m / belt.speed_m_s for belt in file.line.values()) * NS_PER_S),
        {name: belt.max_laps for name, belt in file.line.items()},
        adapter.scanners,
        adapter.tracking,
    )


def _belt(name: str, belt: _Belt, end_chute: int, tracking: Tracking | None) -> Belt:
    """A line's belt, with its reader where `tracking` says that it is; without one the way to it is a usual one."""
    plain = Belt(name, belt.speed_m_s, belt.lap_m, end_chute=end_chute)
    return plain if tracking is None else plain._replace(induct_to_scanner_m=_lead_m(belt, tracking))


def _lead_m(belt: _Belt, tracking: Tracking) -> float:
    """From where the PLC counts an item to where its telegram leaves: an emulated reader speaks without delay."""
    return (tracking.travel_ns + tracking.delay_ns) / NS_PER_S * belt.speed_m_s


def _end_chute(rules: tables.Tables, line: str) -> int:
    """Which chute takes a line's parcels without a lap left, by the last row that says so; 0: none of the line's."""
    named = [
        int(row["chute"])
        for row in rules.exceptions
        if tables.fits(row["reason"], "max_laps") and tables.fits(row["line"], line)
    ]
    there = [int(row["chute"]) for row in rules.chutes if row["line"] == line]
    return named[-1] if named and named[-1] in there else 0


def _faults(line: str, belt: _Belt, end_chute: int) -> Iterator[str]:
    if belt.kind not in (LOOP, STRAIGHT):
        yield f'kind: "{belt.kind}" is no kind of line; write "{LOOP}" or "{STRAIGHT}"'
    if belt.kind == STRAIGHT and belt.max_laps:
        yield f"max_laps: nothing goes round on a {STRAIGHT} line; write 0 instead of {belt.max_laps}"
    if belt.kind == STRAIGHT and not end_chute:
        yield (
            f"kind: a {STRAIGHT} line's belt ends in its chute for max_laps, and exceptions.csv names none "
            f"of its chutes; add the row max_laps,{line},CHUTE"
        )


def _reading_faults(belt: _Belt, tracking: Tracking) -> Iterator[str]:
    lead_m = _lead_m(belt, tracking)
    if belt.kind == LOOP and lead_m >= belt.lap_m:
        yield (
            f"travel_ms: with delay_ms it puts the reader {lead_m:g} m behind the PLC's sensor, and a lap is "
            f"{belt.lap_m:g} m; write the time from the sensor to the reader"
        )
