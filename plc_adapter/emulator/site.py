"""What the emulator needs of a site's folder: the belts, their PLCs, the wire and the rule tables."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from plc_adapter import settings
from plc_adapter.emulator import tables
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute


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
    return Site(
        {name: Belt(name, belt.speed_m_s, belt.lap_m) for name, belt in file.line.items()},
        adapter.plcs,
        adapter.wire.devices,
        adapter.keys,
        tables.read(folder / file.rules),
        file.utc_offset_h,
        round(max(belt.scanner_to_divert_m / belt.speed_m_s for belt in file.line.values()) * NS_PER_S),
        {name: belt.max_laps for name, belt in file.line.items()},
    )
