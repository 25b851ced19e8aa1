"""site.toml becomes a checked Site: where things are, and the geometry of each line.

Whoever reads a Site may trust it. Everything wrong with the file is told with its key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from sorter import limits
from sorter.records import Line

NS_PER_S: Final = 1_000_000_000
NS_PER_MS: Final = 1_000_000
MM_PER_M: Final = 1000
LOOP: Final = "cross-belt"
WHEELS: Final = "wheel-diverter"
KINDS: Final = (LOOP, WHEELS)
FILE_NAME: Final = "site.toml"


class SiteRefused(Exception):
    """site.toml cannot be used; the text says which key and what to write."""


class Wire(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Addresses of the three sockets, and the folder of CURVE keys ("" = none)."""

    devices: str = "tcp://127.0.0.1:5570"
    control: str = "tcp://127.0.0.1:5571"
    live: str = "tcp://127.0.0.1:5572"
    keys: str = ""


class Belt(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One line's geometry, as measured on the floor.

    A cross-belt is a loop; on a line of wheel diverters, which has no laps, `lap_m` is how far its
    end is from the scanner, and what was not diverted runs into the chute for `max_laps` there.
    """

    speed_m_s: float
    lap_m: float
    scanner_to_divert_m: float
    kind: str = LOOP
    max_laps: int = 3
    reaction_ms: float = 0.0  # from a decision to a diverter that moves: adapter, PLC and mechanics
    timeout_s: float = 900.0


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"belts": "line"}):
    """A whole site.toml as written. `plc`, `scanner` and `tracking` belong to the adapter, which checks them."""

    name: str
    belts: dict[str, Belt]
    utc_offset_h: float = 8.0
    rules: str = "rules"
    plans: str = "plans"
    four_eyes: bool = False
    ledger: str = "ledger"
    wire: Wire = Wire()
    plc: dict[str, Any] = {}
    scanner: dict[str, Any] = {}
    tracking: dict[str, Any] = {}


class Site(NamedTuple):
    """A site's folder and its checked settings."""

    folder: Path
    name: str
    rules: Path  # the draft that staff edit
    plans: Path  # what was published
    four_eyes: bool  # a second person approves what is published
    ledger: Path
    wire: Wire
    keys: Path | None
    lines: dict[str, Line]  # in the order of site.toml
    places_mm: dict[str, range]  # line name -> where its chutes may be, behind the scanner
    utc_offset_ns: int


def load(folder: Path) -> Site:
    """The checked site of a folder. Raises SiteRefused."""
    path = folder / FILE_NAME
    try:
        settings = msgspec.toml.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError as error:
        raise SiteRefused(f"{path} does not exist; make a site with: sorter init {folder}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SiteRefused(f"{path}: {error}") from error
    wrong = _faults(settings)
    if wrong:
        raise SiteRefused("\n".join(f"{path}: {fault}" for fault in wrong))
    return Site(
        folder=folder,
        name=settings.name,
        rules=folder / settings.rules,
        plans=folder / settings.plans,
        four_eyes=settings.four_eyes,
        ledger=folder / settings.ledger,
        wire=settings.wire,
        keys=folder / settings.wire.keys if settings.wire.keys else None,
        lines={name: _line(belt) for name, belt in settings.belts.items()},
        places_mm={name: _places_mm(belt) for name, belt in settings.belts.items()},
        utc_offset_ns=round(settings.utc_offset_h * 3600) * NS_PER_S,
    )


def _line(belt: Belt) -> Line:
    return Line(
        window_ns=_window_ns(belt),
        lap_ns=round(belt.lap_m / belt.speed_m_s * NS_PER_S),
        timeout_ns=round(belt.timeout_s * NS_PER_S),
        max_laps=belt.max_laps,
    )


def _places_mm(belt: Belt) -> range:
    """From the first divert, before which a decision need not be made, to the belt's end, or before a loop comes round.

    Empty where `lap_m` leaves none: that is told of the chutes there.
    """
    last_mm = round(belt.lap_m * MM_PER_M) - (belt.kind == LOOP)
    return range(round(belt.scanner_to_divert_m * MM_PER_M), last_mm + 1)


def _window_ns(belt: Belt) -> int:
    """How long after its scan an item may be decided."""
    return round(belt.scanner_to_divert_m / belt.speed_m_s * NS_PER_S - belt.reaction_ms * NS_PER_MS)


def _faults(site: Settings) -> list[str]:
    faults = []
    if not site.belts:
        faults.append("there is no line; add a section such as [line.L1] with speed_m_s, lap_m and scanner_to_divert_m")
    if len(site.belts) > limits.LINES_MAX:
        faults.append(f"{len(site.belts)} lines are too many; the most is {limits.LINES_MAX}")
    if not -14 <= site.utc_offset_h <= 14:
        faults.append(f"utc_offset_h: {site.utc_offset_h} is not an offset from UTC; China is 8.0")
    for name, belt in site.belts.items():
        faults += [f"[line.{name}] {fault}" for fault in _belt_faults(name, belt)]
    for key in ("devices", "control", "live"):
        address = getattr(site.wire, key)
        if not address.startswith(("tcp://", "ipc://")):
            faults.append(f'[wire] {key}: "{address}" is not an address; write tcp://127.0.0.1:5570 or ipc:///run/x')
    return faults


def _belt_faults(name: str, belt: Belt) -> list[str]:
    faults = [
        f"{key}: {getattr(belt, key)} must be above 0 and below 100000"
        for key in ("speed_m_s", "lap_m", "scanner_to_divert_m", "timeout_s")
        if not 0 < getattr(belt, key) < 100_000
    ]
    if not 0 < len(name.encode()) <= limits.NAME_TEXT_MAX:
        faults.append(f"the name is longer than {limits.NAME_TEXT_MAX} bytes; shorten it")
    if not 0 <= belt.max_laps <= limits.LAPS_MAX:
        faults.append(f"max_laps: {belt.max_laps} must be 0 (no recirculation) to {limits.LAPS_MAX}")
    if belt.kind not in KINDS:
        faults.append(f'kind: "{belt.kind}" is none of {", ".join(KINDS)}')
    elif belt.kind == WHEELS and belt.max_laps:
        faults.append(f"max_laps: {belt.max_laps} laps are not to be had on a {WHEELS} line; write max_laps = 0")
    if not 0 <= belt.reaction_ms < 60_000:
        faults.append(f"reaction_ms: {belt.reaction_ms} must be 0 to 60000; most lines need 20 to 200")
    elif not faults and _window_ns(belt) <= 0:
        reached_ms = belt.scanner_to_divert_m / belt.speed_m_s * 1000
        faults.append(
            f"reaction_ms: {belt.reaction_ms} leaves no time to decide: the first divert is reached {reached_ms:.0f} "
            "ms after the scanner; move the scanner back, or measure both again"
        )
    return faults
