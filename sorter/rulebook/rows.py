"""The checked rows of every table: names exist, numbers are in range, tables agree.

Whoever holds a Checked may trust it; check.py alone makes one.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from sorter.reasons import REJECTIONS, SENTENCES
from sorter.records import Line, Target
from sorter.rulebook.cells import Spans, Words

STATION_KINDS: Final = {"village": ("村",), "township": ("乡镇",), "counter": ("网点",), "city": ("外地",)}
LANE_KINDS: Final = {
    "bus": ("客运",),
    "freight": ("货运",),
    "village": ("村线",),
    "air": ("航空",),
    "cold": ("冷链",),
    "linehaul": ("干线",),
    "local": ("本地",),
    "exception": ("异常",),
}
FLOWS: Final = {"inbound": ("进港",), "outbound": ("出港",)}
REASON_WORDS: Final = {reason.word: (SENTENCES[reason].zh,) for reason in sorted(REJECTIONS)}
STANDARD: Final = "standard"
"""The service of an item of which no other is known."""
REJECT: Final = "reject:"
NO_PLACE: Final = -1
"""Of a chute whose position is no place, which is told of its cell; nobody holds a Checked with one."""


class Carrier(NamedTuple):
    """One waybill format of a carrier; a carrier may have several rows."""

    at: int
    carrier: str
    name: str
    waybill: str
    valid_from: str  # 2026-11-01, site time; "": always
    note: str


class Station(NamedTuple):
    """Where items are delivered or handed on."""

    at: int
    station: str
    name: str
    kind: str
    township: str  # "": none
    lane: str  # "": none
    note: str


class SortCode(NamedTuple):
    """What a carrier's 三段码 means here. `key` joins the segments by `-`."""

    at: int
    carrier: Words
    key: str
    station: str
    note: str


class Lane(NamedTuple):
    """An outgoing stream."""

    at: int
    lane: str
    name: str
    kind: str
    spill_to: str  # "": none
    note: str


class Trip(NamedTuple):
    """Departures of a lane, on days and at minutes of the day."""

    at: int
    lane: str
    days: tuple[int, ...]
    departs: tuple[int, ...]
    cutoff_min: int  # before departure
    capacity: int  # items; 0: unlimited
    note: str


class Chute(NamedTuple):
    """A chute and the lanes it serves, the first one first."""

    at: int
    chute: int
    line: str
    position_mm: int  # behind the scanner, along the loop
    lanes: tuple[str, ...]
    capacity: int  # items; 0: unlimited
    note: str


class SendTo(NamedTuple):
    """A rule's target: a lane's name, a chute's number or a reason's word."""

    kind: Target
    name: str


class Rule(NamedTuple):
    """One row of the decision table."""

    at: int
    row: int
    carrier: Words
    station: Words
    township: Words
    service: Words
    flow: Words
    weight_g: Spans
    length_mm: Spans
    time: Spans
    days: tuple[int, ...]
    send_to: SendTo
    note: str


class ExceptionChute(NamedTuple):
    """Where items of some reasons go on some lines."""

    at: int
    reason: Words
    line: Words
    chute: int
    note: str


class Checked(NamedTuple):
    """A rule set without an error, and the site it was checked for."""

    carriers: tuple[Carrier, ...]
    stations: tuple[Station, ...]
    sort_codes: tuple[SortCode, ...]
    lanes: tuple[Lane, ...]
    trips: tuple[Trip, ...]
    chutes: tuple[Chute, ...]
    rules: tuple[Rule, ...]
    exceptions: tuple[ExceptionChute, ...]
    lines: Mapping[str, Line]
    utc_offset_ns: int

    def carrier_names(self) -> tuple[str, ...]:
        """Every carrier once, in table order."""
        return tuple(dict.fromkeys(row.carrier for row in self.carriers))

    def service_names(self) -> tuple[str, ...]:
        """STANDARD, then every service that a rule names."""
        named = (item for rule in self.rules for item in rule.service.items if not item.endswith("*"))
        return tuple(dict.fromkeys((STANDARD, *named)))

    def township_names(self) -> tuple[str, ...]:
        """Every township once, in table order; "" where a station has none."""
        return tuple(dict.fromkeys(row.township for row in self.stations))
