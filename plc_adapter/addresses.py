"""Where a mailbox stands, and where else it may stand, in the words of a PLC's section of site.toml.

Every place is a section with one setting changed, so that trying it needs no code of a dialect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from plc_adapter.mailbox import BLOCK_BYTES, BLOCK_WORDS
from plc_adapter.settings import S7, Modbus, OpcUa, Plc

PORTS: Final = {"modbus": 502, "s7": 102, "opcua": 4840}  # as IANA has them
# Of an exchange, at least: a Modbus PLC that does not know function 23 needs 2, and only a write would tell.
ROUND_TRIPS: Final = {"modbus": 1, "s7": 2, "opcua": 2}
UNITS: Final = (1, 255, 0, 2, 3)  # 255 and 0 are what the Modbus TCP guide has for a server that is no gateway
SLOTS: Final = ((0, 1), (0, 2), (0, 0), (0, 3))  # S7-1200 and 1500, S7-300, some soft PLCs, S7-400 with a wide supply
# "4x" numbers of registers count from 1, and Modicon writes the kind in front, with five or six digits.
NOTATIONS: Final = (40_001, 400_001, 40_000, 400_000)
NAMESPACES: Final = range(1, 11)

P = TypeVar("P", bound=Plc)


def dialect_of(plc: Plc) -> str:
    """The name that site.toml gives it."""
    assert isinstance(plc, Modbus | S7 | OpcUa)
    return plc.dialect


def usual_port(plc: Plc) -> int:
    """Where PLCs of this dialect listen."""
    return PORTS[dialect_of(plc)]


def round_trips(plc: Plc) -> int:
    """How many requests an exchange takes at least."""
    return ROUND_TRIPS[dialect_of(plc)]


def word_of(plc: Plc, word: int) -> str:
    """What a PLC programmer calls a word of the PLC's block: `register 5`, `DB100.DBW10`, `[5]`."""
    if isinstance(plc, Modbus):
        return f"register {plc.reports_at + word}"
    if isinstance(plc, S7):
        return f"DB{plc.reports_db}.DBW{plc.reports_at + 2 * word}"
    return f"[{word}]"


def place_of(plc: Plc) -> str:
    """Where the PLC's block is to be."""
    if isinstance(plc, Modbus):
        return f"from register {plc.reports_at} of unit {plc.unit}"
    if isinstance(plc, S7):
        return f"in DB{plc.reports_db} from byte {plc.reports_at}"
    assert isinstance(plc, OpcUa)
    return f"in {plc.reports_node}"


def exchanged(plc: Plc) -> Plc:
    """The section that takes the host's block for the PLC's."""
    if isinstance(plc, Modbus):
        return _with(plc, reports_at=plc.orders_at, orders_at=plc.reports_at)
    if isinstance(plc, S7):
        there = {"reports_db": plc.orders_db, "reports_at": plc.orders_at}
        return _with(plc, **there, orders_db=plc.reports_db, orders_at=plc.reports_at)
    assert isinstance(plc, OpcUa)
    return _with(plc, reports_node=plc.orders_node, orders_node=plc.reports_node)


def moved(plc: Plc, by_bytes: int) -> Plc | None:
    """The section whose block begins so many bytes later; None where no setting can say that."""
    if isinstance(plc, Modbus) and by_bytes % 2 == 0:
        return _at(plc, plc.reports_at + by_bytes // 2)
    if isinstance(plc, S7):
        return _at(plc, plc.reports_at + by_bytes)
    return None


def routes(plc: Plc) -> Iterator[Plc]:
    """Other ways to the same PLC: the usual port, other units, other slots."""
    if plc.port != usual_port(plc):
        yield _with(plc, port=usual_port(plc))
    if isinstance(plc, Modbus):
        for unit in UNITS:
            if unit != plc.unit:
                yield _with(plc, unit=unit)
    if isinstance(plc, S7):
        for rack, slot in SLOTS:
            if (rack, slot) != (plc.rack, plc.slot):
                yield _with(plc, rack=rack, slot=slot)


def places(plc: Plc) -> Iterator[Plc]:
    """Other places in the same PLC, the likeliest first."""
    yield exchanged(plc)
    if isinstance(plc, Modbus):
        ats = [plc.reports_at + by for by in (-1, 1, -2, 2)]
        ats += [plc.reports_at - notation for notation in NOTATIONS]
        ats += [plc.reports_at - BLOCK_WORDS + 1, plc.reports_at + BLOCK_WORDS - 1, 0, 100, 1000]
        yield from _placed(plc, ats)
    elif isinstance(plc, S7):
        last = BLOCK_BYTES - 2
        yield from _placed(plc, [0, plc.reports_at - 2, plc.reports_at + 2, plc.reports_at - last])
        for db in (plc.reports_db + by for by in (-1, 1, -2, 2)):
            if 1 <= db <= 65_535:  # the numbers a data block can have
                yield _with(plc, reports_db=db)
    elif isinstance(plc, OpcUa):
        yield from _nodes(plc)


def change(plc: Plc, other: Plc) -> dict[str, Any]:
    """The settings of `other` that `plc` has otherwise."""
    before, after = msgspec.to_builtins(plc), msgspec.to_builtins(other)
    return {key: value for key, value in after.items() if value != before[key]}


def _with(plc: P, **settings: Any) -> P:
    return msgspec.structs.replace(plc, **settings)


def _at(plc: Modbus | S7, at: int) -> Plc | None:
    last = 65_536 - (BLOCK_WORDS if isinstance(plc, Modbus) else BLOCK_BYTES)
    return _with(plc, reports_at=at) if 0 <= at <= last else None


def _placed(plc: Modbus | S7, ats: list[int]) -> Iterator[Plc]:
    for at in dict.fromkeys(ats):
        other = _at(plc, at)
        if other is not None and at != plc.reports_at:
            yield other


def _nodes(plc: OpcUa) -> Iterator[Plc]:
    """The variable in other namespaces, also as Siemens writes names: each part in quotes."""
    _, _, key = plc.reports_node.rpartition("ns=")
    key = key.partition(";")[2] or plc.reports_node
    quoted = "s=" + ".".join(f'"{part}"' for part in key.removeprefix("s=").split("."))
    keys = [key, quoted] if re.fullmatch(r"s=[^\"|]+", key) else [key]
    for key in keys:
        for namespace in NAMESPACES:
            node = f"ns={namespace};{key}"
            if node != plc.reports_node:
                yield _with(plc, reports_node=node)
