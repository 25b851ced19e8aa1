"""The adapter's part of site.toml: where the daemon is, and one PLC a line. Every fault is told by its key."""

from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from plc_adapter.mailbox import BLOCK_WORDS, WordOrder
from sorter import limits

FILE_NAME: Final = "site.toml"
NS_PER_MS: Final = 1_000_000


class SettingsRefused(Exception):
    """site.toml cannot be used; the text names each key and what to write."""


class Wire(msgspec.Struct, frozen=True):
    """Where devices meet the daemon, and the folder of CURVE keys ("" = none)."""

    devices: str = "tcp://127.0.0.1:5570"
    keys: str = ""


class Plc(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One line's PLC: `[plc.L1]`."""

    host: str
    dialect: Literal["modbus"] = "modbus"
    port: int = 502
    unit: int = 1
    reports_at: int = 0  # first holding register of the PLC's block, counted from 0
    orders_at: int = 100  # first holding register of the host's block
    word_order: WordOrder = "big"
    poll_ms: float = 10.0  # site time between exchanges when nothing is to do

    @property
    def poll_ns(self) -> int:
        """Site time between exchanges when nothing is to do."""
        return round(self.poll_ms * NS_PER_MS)


class Site(NamedTuple):
    """What the adapter needs to know of a site."""

    wire: Wire
    keys: Path | None
    plcs: dict[str, Plc]  # line name -> its PLC, in the order of site.toml


class _File(msgspec.Struct):
    wire: Wire = Wire()
    line: dict[str, Any] = {}
    plc: dict[str, Any] = {}


def load(folder: Path) -> Site:
    """The adapter's settings of a site's folder. Raises SettingsRefused with every fault."""
    path = folder / FILE_NAME
    try:
        file = msgspec.toml.decode(path.read_bytes(), type=_File)
    except FileNotFoundError as error:
        raise SettingsRefused(f"{path} does not exist; make a site with: sorter init {folder}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"{path}: {_with_key(error)}") from error
    plcs: dict[str, Plc] = {}
    faults: list[str] = []
    for line, section in file.plc.items():
        try:
            plcs[line] = msgspec.convert(section, Plc)
        except msgspec.ValidationError as error:
            faults.append(f"[plc.{line}] {_with_key(error)}")
        else:
            faults += [f"[plc.{line}] {fault}" for fault in _faults(line, plcs[line], file)]
    if not file.wire.devices.startswith(("tcp://", "ipc://")):
        faults.append(f'[wire] devices: "{file.wire.devices}" is not an address; write tcp://127.0.0.1:5570')
    if not file.plc:
        faults.append('there is no PLC; add a section such as [plc.L1] with host = "127.0.0.1"')
    if faults:
        raise SettingsRefused("\n".join(f"{path}: {fault}" for fault in faults))
    return Site(file.wire, folder / file.wire.keys if file.wire.keys else None, plcs)


def _with_key(error: Exception) -> str:
    """The sentence with its key in front: `port: Expected `int`, got `str``."""
    sentence, _, place = str(error).partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    return f"{key}: {sentence}" if key else sentence


def _faults(line: str, plc: Plc, file: _File) -> list[str]:
    faults = []
    if line not in file.line:
        faults.append(f"there is no [line.{line}]; name the section after a line of this file")
    if not 0 < len(line.encode()) <= limits.NAME_TEXT_MAX:
        faults.append(f"the name is longer than {limits.NAME_TEXT_MAX} bytes; shorten it")
    if not 0 < plc.port < 65_536:
        faults.append(f"port: {plc.port} is not a TCP port; Modbus uses 502")
    if not 0 <= plc.unit <= 255:
        faults.append(f"unit: {plc.unit} is not a unit of Modbus; write 0 to 255")
    if not 0.1 <= plc.poll_ms <= 1000:
        faults.append(f"poll_ms: {plc.poll_ms} must be 0.1 to 1000; a PLC's scan takes about 10")
    last = 65_536 - BLOCK_WORDS
    faults += [
        f"{key}: {at} is not a register where {BLOCK_WORDS} follow; write 0 to {last}"
        for key, at in (("reports_at", plc.reports_at), ("orders_at", plc.orders_at))
        if not 0 <= at <= last
    ]
    if abs(plc.reports_at - plc.orders_at) < BLOCK_WORDS:
        faults.append(f"orders_at: the two blocks overlap; keep {BLOCK_WORDS} registers between them and reports_at")
    return faults
