"""`[scanner.NAME]` of site.toml: how one reader is reached and what its telegrams mean."""

import re
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from plc_adapter import sections
from plc_adapter.scanner.framing import Framer, Kind, framer
from plc_adapter.scanner.makers import NO_READ, PRESETS, SEPARATORS
from sorter import limits

JSON: Final = "json"
MEASURES: Final = ("length", "width", "height")
FIELDS: Final = ("code", "weight", *MEASURES, "volume", "time", "id", "status", "kind", "skip")
"""What `fields` may name; volume and skip stand in a telegram and are not used."""
TEXT_FIELDS: Final = tuple(field for field in FIELDS if field != "kind")
"""What a template may name: in a text, heartbeats are told by the whole telegram."""


MISSING: Final = {"line": 'the name of a line, such as line = "L1"'}


class ScannerRefused(ValueError):
    """A scanner's section cannot be used; `faults` name each key and what to write."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Scanner(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One reader. What its maker's preset says stands before these defaults, the site's own keys before both."""

    line: str
    maker: str = "generic"
    role: Literal["client", "server"] = "client"  # client: we connect to the reader; server: it connects to us
    host: str = ""  # the reader's address; as a server, the address we listen at
    port: int = 0

    framing: Kind = "cr"
    start: str = ""  # of framing "custom"
    end: str = ""
    idle_ms: float = 30.0  # silence that ends a telegram of framing "idle"

    template: str = "{code}"  # a telegram's fields and what stands between them, or "json"
    fields: dict[str, str] = {}  # of template "json": field -> where it is, such as data.barcode
    separators: tuple[str, ...] = SEPARATORS  # between several codes
    prefixes: tuple[str, ...] = ()  # taken off a code; AIM identifiers such as ]C1 always are
    no_read: tuple[str, ...] = NO_READ  # what stands for a code that was not read; case is ignored
    empty_is_no_read: bool = False  # a telegram without any code is a no-read
    weight_unit: Literal["g", "kg"] = "g"
    length_unit: Literal["mm", "cm"] = "mm"

    heartbeats: tuple[str, ...] = ()  # telegrams that only say it is alive; OK* is all that begin with OK
    complaints: tuple[str, ...] = ()  # telegrams that say a command of ours was wrong; likewise
    heartbeat_reply: str = ""  # what we answer to its heartbeat
    heartbeat_send: str = ""  # what we send by ourselves
    heartbeat_every_s: float = 0.0  # how often; 0 = never
    hello: str = ""  # sent when connected, such as "LON\r"
    goodbye: str = ""  # sent before we close

    def framer(self) -> Framer:
        """A new connection's framer."""
        return framer(self.framing, self.start.encode(), self.end.encode())


class Template(msgspec.Struct, frozen=True):
    """A template taken apart: its fields in order, and what stands between them ("" for one field)."""

    fields: tuple[str, ...]
    delimiter: str


@lru_cache
def parse_template(text: str) -> Template:
    """`{code},{weight}` as its fields and their delimiter. Raises ValueError with what to write instead."""
    parts = re.split(r"\{([^{}]*)\}", text)
    names, between = parts[1::2], set(parts[2:-1:2])
    unknown = [name for name in names if name not in TEXT_FIELDS]
    if unknown:
        raise ValueError(f"there is no field {{{unknown[0]}}}; write {', '.join(TEXT_FIELDS)}")
    if "code" not in names:
        raise ValueError('there is no {code}; write one such as "{code},{weight}", or "json"')
    twice = next((name for name in names if names.count(name) > 1 and name != "skip"), None)
    if twice:
        raise ValueError(f"{{{twice}}} stands there twice; write {{skip}} for what is not used")
    if parts[0] or parts[-1]:
        raise ValueError("it begins and ends with a field; write what stands around it as start, end or prefixes")
    if len(between) > 1 or "" in between:
        raise ValueError("the same text must stand between all fields, such as a comma")
    return Template(tuple(names), between.pop() if between else "")


def resolve(section: Any) -> Scanner:
    """The settings of one scanner: the maker's preset and over it what the site wrote.

    Raises ScannerRefused with every fault of the section.
    """
    if not isinstance(section, dict):
        raise ScannerRefused(["this is no section; write [scanner.NAME] and its keys below"])
    maker = section.get("maker", "generic")
    preset = PRESETS.get(maker) if isinstance(maker, str) else None
    faults = [] if preset is not None else [f'maker: "{maker}" is none of {", ".join(PRESETS)}; "generic" fits any']
    written = {**(preset or {}), **section}
    if isinstance(section.get("fields"), dict):
        merged = {**(preset or {}).get("fields", {}), **section["fields"]}
        written["fields"] = {name: place for name, place in merged.items() if place != ""}
    values = sections.read({**written, "maker": maker if preset is not None else "generic"}, Scanner, MISSING, faults)
    scanner = Scanner(**{"line": "?", **values})
    faults += [fault for fault in _faults(scanner) if fault.partition(":")[0] not in _wrong(faults)]
    if faults:
        raise ScannerRefused(faults)
    return scanner


def _wrong(faults: list[str]) -> set[str]:
    """Keys that are told already."""
    return {fault.partition(":")[0] for fault in faults}


def _faults(scanner: Scanner) -> list[str]:
    return [*_reach_faults(scanner), *_framing_faults(scanner), *_meaning_faults(scanner), *_heartbeat_faults(scanner)]


def _reach_faults(scanner: Scanner) -> list[str]:
    faults = []
    if not 0 < len(scanner.line.encode()) <= limits.NAME_TEXT_MAX:
        faults.append(f"line: a name has 1 to {limits.NAME_TEXT_MAX} bytes; write that of a [line.NAME] of this file")
    if not scanner.host:
        whose = "the reader's address" if scanner.role == "client" else 'where we listen, such as "0.0.0.0"'
        faults.append(f"host: it is missing; write {whose}")
    if not 0 < scanner.port < 65_536:
        faults.append(f"port: {scanner.port} is not a TCP port; write the one that the reader is set to")
    return faults


def _framing_faults(scanner: Scanner) -> list[str]:
    faults = []
    if scanner.framing == "custom":
        try:
            scanner.framer()
        except ValueError as error:
            faults.append(f'end: {error}; write what the reader sends, such as start = "<" and end = ">"')
    elif scanner.start or scanner.end:
        faults.append(f'end: framing "{scanner.framing}" has its own start and end; write framing = "custom"')
    if not 1 <= scanner.idle_ms <= 1000:
        faults.append(f"idle_ms: {scanner.idle_ms} must be 1 to 1000; 30 is usual")
    return faults


def _meaning_faults(scanner: Scanner) -> list[str]:
    faults = []
    named: set[str]
    if scanner.template == JSON:
        named = set(scanner.fields)
        faults += [
            f"fields: there is no field {name}; write {', '.join(FIELDS)}"
            for name in scanner.fields
            if name not in FIELDS
        ]
        if "code" not in named:
            faults.append('fields: there is no code; write fields.code = "barcode", the name in the JSON')
    else:
        try:
            named = set(parse_template(scanner.template).fields)
        except ValueError as error:
            return [f"template: {error}"]
        if scanner.fields:
            faults.append('fields: only JSON has them; write template = "json", or leave fields out')
    missing = [name for name in MEASURES if name not in named]
    if 0 < len(missing) < len(MEASURES):
        key = "fields" if scanner.template == JSON else "template"
        faults.append(f"{key}: there is no {missing[0]}; name {', '.join(MEASURES)} or none of them")
    for key in ("separators", "prefixes", "no_read", "heartbeats", "complaints"):
        if "" in getattr(scanner, key):
            faults.append(f'{key}: "" stands for nothing; take it out')
    return faults


def _heartbeat_faults(scanner: Scanner) -> list[str]:
    if not 0 <= scanner.heartbeat_every_s <= 3600:
        return [f"heartbeat_every_s: {scanner.heartbeat_every_s} must be 0 to 3600; 0 sends none"]
    if bool(scanner.heartbeat_send) != bool(scanner.heartbeat_every_s):
        return ["heartbeat_every_s: heartbeat_send and this go together; write both or neither"]
    if scanner.template == JSON and scanner.heartbeats and "kind" not in scanner.fields:
        return ['heartbeats: in JSON they are told by a field; write fields.kind = "type", its name in the JSON']
    return []
