"""Small sort plans, made twice from one seed: as plain rows for the slow twin, as arrays for the core."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sorter import records
from sorter.reasons import REJECTIONS, Reason

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DIGIT = "0123456789"
LETTER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass
class Pattern:
    """A waybill pattern of fixed length: one string of allowed characters for each place."""

    carrier: int
    places: list[str]
    valid_from_ns: int = 0

    @property
    def text(self) -> str:
        return "".join(_class(chars) for chars in self.places)


def _class(chars: str) -> str:
    return "[" + "".join("\\" + char if char in "-./" else char for char in chars) + "]"


@dataclass
class Rule:
    """One row; None means any."""

    row: int
    kind: records.Target
    target: int
    stations: set[int] | None = None
    carriers: set[int] | None = None
    services: set[int] | None = None
    flow: int | None = None
    weight_g: tuple[int, int] | None = None  # both ends included
    length_mm: tuple[int, int] | None = None
    minutes: tuple[int, int] | None = None  # [start, end) of the day
    days: set[int] | None = None


@dataclass
class Chute:
    line: int
    lanes: list[int]
    capacity: int


@dataclass
class Line:
    window_ns: int = 15 * SECOND_NS
    lap_ns: int = 120 * SECOND_NS
    timeout_ns: int = 900 * SECOND_NS
    max_laps: int = 2


@dataclass
class Rows:
    """A plan as staff would write it."""

    patterns: list[Pattern]
    carriers: int
    services: int
    station_lane: list[int | None]
    spill: list[int | None]
    trips: list[list[tuple[int, int]]]  # per lane: (cut-off minute of the week, capacity)
    chutes: list[Chute]
    lines: list[Line]
    rules: list[Rule] = field(default_factory=list)
    exceptions: dict[tuple[int, Reason], int] = field(default_factory=dict)
    sort_codes: list[tuple[str, int, int]] = field(default_factory=list)  # text, carrier, station
    utc_offset_ns: int = 8 * 3600 * SECOND_NS


PATTERNS = [
    Pattern(0, [LETTER, LETTER, DIGIT, DIGIT, DIGIT, "C", "N"]),
    Pattern(1, ["7", "58", DIGIT, DIGIT]),
    Pattern(2, ["7", DIGIT, DIGIT, DIGIT]),  # digits that fit two carriers
    Pattern(3, ["S", "F", *[DIGIT] * 14, *["-./X"] * 2]),  # longer than one half of the key
    Pattern(2, ["Y", "T", DIGIT, DIGIT], valid_from_ns=1_700_000_100 * SECOND_NS),
]
WAYBILLS = [
    b"AB123CN",
    b"ab124cn",
    b"7501",
    b"7502",
    b"7802",
    b"7999",
    b"SF00000000000001-X",
    b"SF00000000000001-.",
    b"YT11",
    b"YT12",
]
LABELS = [b"531-A03-01", b"531-A03-02", b"531-A04", b"532", b"531", b"-", b"531-A03-01-9-9-9-9-9-9-9-9"]
JUNK = [b"", b"HELLO", b"AB123CNX", b"AB12", b"\x00\x01", b"x" * 40, b"7" * 300, "运单".encode(), b"7501\x00"]


def small_rows(seed: int) -> Rows:
    """Random rules over 4 stations, 5 lanes and 2 lines: small, so that everything collides."""
    dice = random.Random(seed)
    lanes, stations, carriers, services = 5, 4, 4, 2
    lines = [
        Line(max_laps=dice.choice([0, 0, 1, 3]), lap_ns=dice.choice([0, 60, 120]) * SECOND_NS),
        Line(max_laps=2, timeout_ns=dice.choice([30, 300]) * SECOND_NS),
    ]
    chutes = [
        Chute(dice.randrange(2), dice.sample(range(lanes), dice.choice([0, 2, 3, 4])), dice.choice([0, 1, 3, 5, 9]))
        for _ in range(9)
    ]
    return Rows(
        patterns=PATTERNS,
        carriers=carriers,
        services=services,
        station_lane=[dice.choice([None, *range(lanes), *range(lanes)]) for _ in range(stations)],
        spill=[dice.choice([None, *range(lanes)]) for _ in range(lanes)],
        trips=[_small_trips(dice) for _ in range(lanes)],
        chutes=chutes,
        lines=lines,
        rules=[_small_rule(dice, at, stations, lanes) for at in range(dice.choice([0, 3, 12, 70]))],
        exceptions={
            (line, reason): dice.choice([at for at, chute in enumerate(chutes) if chute.line == line] or [0])
            for line in range(2)
            for reason in REJECTIONS
            if dice.random() < 0.8
        },
        sort_codes=[
            (text, carrier, dice.randrange(stations))
            for text in ("531", "531-A03", "531-A03-01", "532")
            for carrier in range(carriers)
            if dice.random() < 0.5
        ],
        utc_offset_ns=dice.choice([-5, 0, 8]) * 3600 * SECOND_NS,
    )


def _small_trips(dice: random.Random) -> list[tuple[int, int]]:
    """Few trips; most cut-offs lie around where the tests' clock starts, Tuesday 22:13:20 UTC."""
    local = [22 * 60 + 13 + 1440 + hours * 60 for hours in (-5, 0, 8)]
    minutes = {(dice.choice(local) + dice.randrange(-2, 8)) % 10_080 for _ in range(dice.choice([0, 1, 3]))}
    minutes |= {dice.randrange(10_080) for _ in range(dice.choice([0, 1]))}
    return [(minute, dice.choice([0, 1, 1, 2, 3])) for minute in sorted(minutes)]


def _small_rule(dice: random.Random, at: int, stations: int, lanes: int) -> Rule:
    def some(count: int) -> set[int] | None:
        return None if dice.random() < 0.5 else set(dice.sample(range(count), dice.randrange(1, count)))

    def span(top: int) -> tuple[int, int] | None:
        low, high = sorted((dice.randrange(top), dice.randrange(top)))
        return None if dice.random() < 0.6 else (low, high)

    kind = dice.choice([records.Target.LANE, records.Target.LANE, records.Target.CHUTE, records.Target.REJECT])
    target = {
        records.Target.LANE: dice.randrange(lanes),
        records.Target.CHUTE: dice.randrange(9),
        records.Target.REJECT: int(dice.choice(sorted(REJECTIONS))),
    }[kind]
    return Rule(
        row=10 * at + 1,
        kind=kind,
        target=target,
        stations=some(stations),
        carriers=some(4),
        services=some(2),
        flow=dice.choice([None, None, 0, 1]),
        weight_g=span(6000),
        length_mm=span(900),
        minutes=dice.choice([None, None, (0, 720), (720, 1440), (1333, 1336), (360, 400)]),
        days=dice.choice([None, None, {0, 1}, {2, 3, 4, 5, 6}]),
    )


# ---- the same rows as arrays -------------------------------------------------


def compiled(rows: Rows) -> records.Plan:
    """The rows as the core reads them."""
    lanes, lines = len(rows.spill), len(rows.lines)
    serving = [
        [chute for chute, row in enumerate(rows.chutes) if row.line == line and lane in row.lanes]
        for line in range(lines)
        for lane in range(lanes)
    ]
    exception_chute = np.full((lines, len(Reason)), records.NONE_16, np.uint16)
    for (line, reason), chute in rows.exceptions.items():
        exception_chute[line, reason] = chute
    trips = [(minute, 0, capacity) for lane in rows.trips for minute, capacity in lane]
    return records.Plan(
        waybills=_waybills(rows.patterns),
        table=_table(rows),
        sort_codes=_sort_codes(rows.sort_codes),
        station_lane=_indices(rows.station_lane),
        lane_spill=_indices(rows.spill),
        trip_at=_starts(rows.trips),
        trips=np.array(trips, records.TRIP),
        chute_at=_starts(serving),
        lane_chutes=np.array([chute for group in serving for chute in group], np.uint16),
        chute_line=np.array([row.line for row in rows.chutes], np.uint8),
        chute_lane=_indices([row.lanes[0] if row.lanes else None for row in rows.chutes]),
        chute_capacity=np.array([row.capacity for row in rows.chutes], np.uint32),
        exception_chute=exception_chute,
        lines=np.array([(r.window_ns, r.lap_ns, r.timeout_ns, r.max_laps) for r in rows.lines], records.LINE),
        services=rows.services,
        utc_offset_ns=rows.utc_offset_ns,
    )


def _indices(values: list[int | None]) -> Any:
    return np.array([records.NONE_16 if value is None else value for value in values], np.uint16)


def _starts(groups: list[Any]) -> Any:
    return np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.uint32)


def _waybills(patterns: list[Pattern]) -> records.Waybills:
    """Subset construction over (pattern, place) pairs, one symbol class for each byte that any place names."""
    symbols = sorted({char for pattern in patterns for chars in pattern.places for char in chars})
    classes = np.zeros(256, np.uint8)
    for number, char in enumerate(symbols, start=1):
        classes[ord(char)] = classes[ord(char.lower())] = number
    start = frozenset((number, 0) for number in range(len(patterns)))
    states: dict[frozenset[tuple[int, int]], int] = {frozenset(): 0, start: 1}
    moves: list[list[int]] = []
    queue = list(states)
    for state in queue:
        row = [0] * (len(symbols) + 1)
        for number, char in enumerate(symbols, start=1):
            after = frozenset(
                (p, at + 1) for p, at in state if at < len(patterns[p].places) and char in patterns[p].places[at]
            )
            if after not in states:
                states[after] = len(states)
                queue.append(after)
            row[number] = states[after]
        moves.append(row)
    accepts = [sum(1 << p for p, at in state if at == len(patterns[p].places)) for state in queue]
    rows = np.array([(pattern.valid_from_ns, pattern.carrier) for pattern in patterns], records.PATTERN)
    return records.Waybills(classes, np.array(moves, np.uint16), np.array(accepts, np.uint64), rows)


def _vectors(rules: list[Rule], conditions: list[Any]) -> Any:
    """One bit vector a condition (a function of a rule): which rules hold there."""
    words = max(1, -(-len(rules) // 64))
    bits = np.zeros((len(conditions), words), np.uint64)
    for at, holds in enumerate(conditions):
        for number, rule in enumerate(rules):
            if holds(rule):
                bits[at, number // 64] |= np.uint64(1 << (number % 64))
    return bits


def _edges(spans: list[tuple[int, int] | None]) -> Any:
    return np.array(sorted({edge for span in spans if span for edge in span}), np.int32)


def _inside(span: tuple[int, int] | None, value: int | None) -> bool:
    return span is None or (value is not None and span[0] <= value < span[1])


def _open_end(span: tuple[int, int] | None) -> tuple[int, int] | None:
    return span and (span[0], span[1] + 1)


def _intervals(edges: Any) -> list[int]:
    """One value out of each interval between edges."""
    return [int(edges[0]) - 1 if len(edges) else 0, *(int(edge) for edge in edges)]


def _table(rows: Rows) -> records.Table:
    rules = rows.rules
    weight = _edges([_open_end(rule.weight_g) for rule in rules])
    length = _edges([_open_end(rule.length_mm) for rule in rules])
    minute = _edges([rule.minutes for rule in rules])
    weights: list[int | None] = [*_intervals(weight), None]
    lengths: list[int | None] = [*_intervals(length), None]
    kinds = [(c, s, f) for c in range(rows.carriers) for s in range(rows.services) for f in range(2)]
    moments = [(day, value) for day in range(7) for value in _intervals(minute)]
    return records.Table(
        station=_vectors(
            rules, [lambda r, s=s: r.stations is None or s in r.stations for s in range(len(rows.station_lane))]
        ),
        kind=_vectors(
            rules,
            [
                lambda r, k=k: (
                    (r.carriers is None or k[0] in r.carriers)
                    and (r.services is None or k[1] in r.services)
                    and (r.flow in {None, k[2]})
                )
                for k in kinds
            ],
        ),
        weight_edges=weight,
        weight=_vectors(rules, [lambda r, v=v: _inside(_open_end(r.weight_g), v) for v in weights]),
        length_edges=length,
        length=_vectors(rules, [lambda r, v=v: _inside(_open_end(r.length_mm), v) for v in lengths]),
        minute_edges=minute,
        minute=_vectors(
            rules, [lambda r, m=m: (r.days is None or m[0] in r.days) and _inside(r.minutes, m[1]) for m in moments]
        ),
        target_kind=np.array([rule.kind for rule in rules], np.uint8),
        target=np.array([rule.target for rule in rules], np.uint16),
        row=np.array([rule.row for rule in rules], np.uint16),
    )


def _sort_codes(entries: list[tuple[str, int, int]]) -> records.SortCodes:
    keyed = sorted((*records.waybill_key(text), carrier, station) for text, carrier, station in entries)
    columns = list(zip(*keyed, strict=True)) or [(), (), (), ()]
    types = (np.uint64, np.uint64, np.uint8, np.uint16)
    return records.SortCodes(*(np.array(column, kind) for column, kind in zip(columns, types, strict=True)))
