"""site.toml becomes a checked Site: where things are, and the geometry of each line.

Whoever reads a Site may trust it. Everything wrong with the file is told with its key.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from sorter import limits

NS_PER_S: Final = 1_000_000_000
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
    """One line's geometry, as measured on the floor."""

    speed_m_s: float
    lap_m: float
    scanner_to_divert_m: float
    kind: str = "cross-belt"
    max_laps: int = 3
    timeout_s: float = 900.0


class Site(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"belts": "line"}):
    """A whole site.toml. `plc` belongs to the adapter, which checks it itself."""

    name: str
    belts: dict[str, Belt]
    utc_offset_h: float = 8.0
    rules: str = "rules"
    ledger: str = "ledger"
    wire: Wire = Wire()
    plc: dict[str, Any] = {}
    folder: str = "."

    @property
    def rules_folder(self) -> Path:
        return Path(self.folder, self.rules)

    @property
    def ledger_folder(self) -> Path:
        return Path(self.folder, self.ledger)

    @property
    def keys_folder(self) -> Path | None:
        return Path(self.folder, self.wire.keys) if self.wire.keys else None

    @property
    def utc_offset_ns(self) -> int:
        return round(self.utc_offset_h * 3600) * NS_PER_S


def load(folder: Path) -> Site:
    """The checked site of a folder. Raises SiteRefused."""
    path = folder / FILE_NAME
    try:
        site = msgspec.toml.decode(path.read_bytes(), type=Site)
    except FileNotFoundError as error:
        raise SiteRefused(f"{path} does not exist; make a site with: sorter init {folder}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SiteRefused(f"{path}: {error}") from error
    wrong = _faults(site)
    if wrong:
        raise SiteRefused("\n".join(f"{path}: {fault}" for fault in wrong))
    return msgspec.structs.replace(site, folder=str(folder))


def line_rows(site: Site) -> np.ndarray[Any, np.dtype[np.void]]:
    raise NotImplementedError
