"""The adapter's part of site.toml: where the daemon is, and one PLC a line. Every fault is told by its key."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from plc_adapter import sections
from plc_adapter.mailbox import BLOCK_BYTES, BLOCK_WORDS, WordOrder
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import Scanner, ScannerRefused, resolve
from sorter import limits

MISSING: Final = {
    "host": 'the PLC\'s address, such as host = "10.0.0.7"',
    "travel_ms": "the time from where the PLC counts an item to the reader, such as travel_ms = 900",
}
FILE_NAME: Final = "site.toml"
NS_PER_MS: Final = 1_000_000


class SettingsRefused(Exception):
    """site.toml cannot be used; the text names each key and what to write."""


class Wire(msgspec.Struct, frozen=True):
    """Where devices meet the daemon, and the folder of CURVE keys ("" = none)."""

    devices: str = "tcp://127.0.0.1:5570"
    keys: str = ""


class Plc(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One line's PLC, whichever dialect it speaks: `[plc.L1]`."""

    host: str
    port: int
    word_order: WordOrder = "big"
    poll_ms: float = 10.0  # site time between exchanges when nothing is to do

    @property
    def poll_ns(self) -> int:
        """Site time between exchanges when nothing is to do."""
        return round(self.poll_ms * NS_PER_MS)


class Modbus(Plc, frozen=True, kw_only=True):
    """`dialect = "modbus"`: the blocks are holding registers, counted from 0."""

    dialect: Literal["modbus"] = "modbus"
    port: int = 502
    unit: int = 1
    reports_at: int = 0  # first holding register of the PLC's block
    orders_at: int = 100  # first holding register of the host's block


class S7(Plc, frozen=True, kw_only=True):
    """`dialect = "s7"`: each block is a data block, not optimised, from a byte on."""

    dialect: Literal["s7"] = "s7"
    port: int = 102
    rack: int = 0
    slot: int = 1  # S7-1200 and 1500: 1; S7-300: 2
    reports_db: int = 100  # number of the data block with the PLC's block
    reports_at: int = 0  # and its first byte
    orders_db: int = 101
    orders_at: int = 0


class OpcUa(Plc, frozen=True, kw_only=True):
    """`dialect = "opcua"`: each block is one variable, an array of 80 UInt16."""

    dialect: Literal["opcua"] = "opcua"
    port: int = 4840
    reports_node: str = "ns=4;s=HubSorter.reports"  # the PLC's block
    orders_node: str = "ns=4;s=HubSorter.orders"  # the host's block


DIALECTS: Final[dict[str, type[Plc]]] = {"modbus": Modbus, "s7": S7, "opcua": OpcUa}


class Site(NamedTuple):
    """What the adapter needs to know of a site."""

    wire: Wire
    keys: Path | None
    plcs: dict[str, Plc]  # line name -> its PLC, in the order of site.toml
    scanners: dict[str, dict[str, Scanner]]  # line name -> its readers by name, in the order of site.toml
    tracking: dict[str, Tracking]  # line name -> how its readings find their items; each line with readers has one


class _File(msgspec.Struct):
    wire: Wire = Wire()
    line: dict[str, Any] = {}
    plc: dict[str, Any] = {}
    scanner: dict[str, Any] = {}
    tracking: dict[str, Any] = {}


def load(folder: Path) -> Site:
    """The adapter's settings of a site's folder. Raises SettingsRefused with every fault."""
    path = folder / FILE_NAME
    try:
        whole = msgspec.toml.decode(path.read_bytes())
        file = msgspec.convert(whole, _File)
    except FileNotFoundError as error:
        raise SettingsRefused(f"{path} does not exist; make a site with: sorter init {folder}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"{path}: {_with_key(error)}") from error
    faults = [f"[{name}] there is no such section; did you mean [{meant}]?" for name, meant in _misspelt(whole, _File)]
    faults += [
        f"[wire] {key}: there is no such key; did you mean {meant}?"
        for key, meant in _misspelt(whole.get("wire", {}), Wire)
    ]
    plcs = _plcs(file, faults)
    if not file.wire.devices.startswith(("tcp://", "ipc://")):
        faults.append(f'[wire] devices: "{file.wire.devices}" is not an address; write tcp://127.0.0.1:5570')
    if not file.plc:
        faults.append('there is no PLC; add a section such as [plc.L1] with host = "127.0.0.1"')
    scanners = _scanners(file, faults)
    tracking = _tracking(file, scanners, faults)
    if faults:
        raise SettingsRefused("\n".join(f"{path}: {fault}" for fault in faults))
    keys = folder / file.wire.keys if file.wire.keys else None
    return Site(file.wire, keys, plcs, scanners, tracking)


def _misspelt(written: Iterable[str], kind: type[msgspec.Struct]) -> list[tuple[str, str]]:
    """The keys that were surely meant for the adapter, each with what was meant; others are the sorter's."""
    names = kind.__struct_fields__
    return [(key, meant) for key in written if key not in names and (meant := sections.nearest(key, names))]


def _plcs(file: _File, faults: list[str]) -> dict[str, Plc]:
    """The PLC of each line; `faults` gets what is wrong."""
    found = {}
    for line, section in file.plc.items():
        wrong: list[str] = []
        plc = _plc(section, line, wrong)
        if plc is not None:
            found[line] = plc
            wrong = _faults(line, plc, file)
        faults += [f"[plc.{line}] {fault}" for fault in wrong]
    return found


def _scanners(file: _File, faults: list[str]) -> dict[str, dict[str, Scanner]]:
    """The readers of each line; `faults` gets what is wrong."""
    found: dict[str, dict[str, Scanner]] = {}
    places: dict[tuple[str, str, int], str] = {}  # role and address -> whose they are
    for name, section in file.scanner.items():
        try:
            scanner = resolve(section)
        except ScannerRefused as refused:
            faults += [f"[scanner.{name}] {fault}" for fault in refused.faults]
            continue
        if scanner.line not in file.plc:
            faults.append(f"[scanner.{name}] line: there is no [plc.{scanner.line}] whose items it could read")
        first = places.setdefault((scanner.role, scanner.host, scanner.port), name)
        if first != name:
            whose = "is listened for" if scanner.role == "server" else f"is reached, at {scanner.host}"
            faults.append(
                f"[scanner.{name}] port: {scanner.port} is where [scanner.{first}] {whose}; write this reader's own"
            )
        found.setdefault(scanner.line, {})[name] = scanner
    return found


def _tracking(file: _File, scanners: dict[str, dict[str, Scanner]], faults: list[str]) -> dict[str, Tracking]:
    """How readings find their items on each line with readers; `faults` gets what is wrong."""
    found = {}
    meant = [section.get("line") for section in file.scanner.values() if isinstance(section, dict)]
    for line in dict.fromkeys([*file.tracking, *scanners]):
        if line not in meant:
            faults.append(f"[tracking.{line}] no reader is of this line; add a [scanner.NAME] or drop the section")
            continue
        if line not in file.tracking:
            faults.append(
                f"[tracking.{line}] is missing; write travel_ms, from the PLC's sensor to the reader, "
                'and by = "id" where telegrams carry the number that the PLC gave the item'
            )
            continue
        wrong: list[str] = []
        values = _read(file.tracking[line], f"tracking.{line}", Tracking, wrong)
        if not wrong:
            found[line] = Tracking(**values)
            wrong = found[line].faults()
        faults += [f"[tracking.{line}] {fault}" for fault in wrong]
    return found


def _with_key(error: Exception) -> str:
    """The sentence with its key in front: `port: Expected `int`, got `str``."""
    sentence, _, place = str(error).partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    return f"{key}: {sentence}" if key else sentence


def _read(section: Any, name: str, kind: type[msgspec.Struct], faults: list[str]) -> dict[str, Any]:
    if not isinstance(section, dict):
        faults.append(f"this is no section; write [{name}] and its keys below")
        return {}
    return sections.read(section, kind, MISSING, faults)


def _plc(section: Any, line: str, faults: list[str]) -> Plc | None:
    """A line's PLC; None where `faults` got why there is none."""
    dialect = section.get("dialect", "modbus") if isinstance(section, dict) else "modbus"
    if not isinstance(dialect, str) or dialect not in DIALECTS:
        faults.append(f'dialect: "{dialect}" is none of {", ".join(DIALECTS)}')
        return None
    values = _read(section, f"plc.{line}", DIALECTS[dialect], faults)
    return None if faults else DIALECTS[dialect](**values)


def _faults(line: str, plc: Plc, file: _File) -> list[str]:
    faults = []
    if line not in file.line:
        faults.append(f"there is no [line.{line}]; name the section after a line of this file")
    if not 0 < len(line.encode()) <= limits.NAME_TEXT_MAX:
        faults.append(f"the name is longer than {limits.NAME_TEXT_MAX} bytes; shorten it")
    if not 0.1 <= plc.poll_ms <= 1000:
        faults.append(f"poll_ms: {plc.poll_ms} must be 0.1 to 1000; a PLC's scan takes about 10")
    if isinstance(plc, Modbus):
        return faults + _modbus_faults(plc)
    if isinstance(plc, S7):
        return faults + _s7_faults(plc)
    assert isinstance(plc, OpcUa)
    return faults + _opcua_faults(plc)


def _port_faults(port: int, usual: str) -> list[str]:
    return [] if 0 < port < 65_536 else [f"port: {port} is not a TCP port; {usual}"]


def _modbus_faults(plc: Modbus) -> list[str]:
    faults = _port_faults(plc.port, "Modbus uses 502")
    if not 0 <= plc.unit <= 255:
        faults.append(f"unit: {plc.unit} is not a unit of Modbus; write 0 to 255")
    last = 65_536 - BLOCK_WORDS
    faults += [
        f"{key}: {at} is not a register where {BLOCK_WORDS} follow; write 0 to {last}"
        for key, at in (("reports_at", plc.reports_at), ("orders_at", plc.orders_at))
        if not 0 <= at <= last
    ]
    if abs(plc.reports_at - plc.orders_at) < BLOCK_WORDS:
        faults.append(f"orders_at: the two blocks overlap; keep {BLOCK_WORDS} registers between them and reports_at")
    return faults


def _s7_faults(plc: S7) -> list[str]:
    faults = _port_faults(plc.port, "S7 uses 102")
    for key, value, most in (("rack", plc.rack, 7), ("slot", plc.slot, 31)):
        if not 0 <= value <= most:
            faults.append(f"{key}: {value} is none; write 0 to {most}, as the PLC's hardware configuration has it")
    for key, number in (("reports_db", plc.reports_db), ("orders_db", plc.orders_db)):
        if not 1 <= number <= 65_535:
            faults.append(f"{key}: {number} is not the number of a data block; write 1 to 65535")
    last = 65_536 - BLOCK_BYTES
    for key, at in (("reports_at", plc.reports_at), ("orders_at", plc.orders_at)):
        if not 0 <= at <= last or at % 2:
            faults.append(f"{key}: {at} is not a byte where a word begins and {BLOCK_BYTES} bytes follow; write 0")
    if plc.reports_db == plc.orders_db and abs(plc.reports_at - plc.orders_at) < BLOCK_BYTES:
        faults.append(f"orders_at: the two blocks overlap in DB{plc.orders_db}; give each a data block of its own")
    return faults


def _opcua_faults(plc: OpcUa) -> list[str]:
    faults = _port_faults(plc.port, "OPC UA uses 4840")
    for key, node in (("reports_node", plc.reports_node), ("orders_node", plc.orders_node)):
        if not _NODE.fullmatch(node):
            faults.append(f'{key}: "{node}" is not a node; write one such as ns=4;s=HubSorter.reports or ns=4;i=17')
    if plc.reports_node == plc.orders_node:
        faults.append("orders_node: the two blocks are the same node; each block is a variable of its own")
    return faults


_NODE: Final = re.compile(r"(ns=\d{1,5};)?(s=.+|i=\d{1,10})")
