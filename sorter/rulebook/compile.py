"""Checked rows become the arrays the core reads. An index once given keeps its meaning in every later plan."""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from sorter import limits, records
from sorter.reasons import REASON_COUNT, REJECTIONS, Reason
from sorter.records import NONE_8, NONE_16, Bits, Flow, Ints32, Names, Target
from sorter.rulebook import mistakes, waybill
from sorter.rulebook.cells import ALL_DAYS, ANY_WORD, DAY_MIN, Roster, Spans, Words
from sorter.rulebook.crosscheck import cutoffs
from sorter.rulebook.findings import Fault, Rejected
from sorter.rulebook.mistakes import Mistake
from sorter.rulebook.rows import Checked, Rule

T = TypeVar("T")
Part = slice | NDArray[np.intp]
NO_TOWNSHIP: Final = "-"
_NS_PER_DAY: Final = 86_400 * 10**9


def compile_plan(checked: Checked, previous: Names | None) -> records.SortPlan:
    """The plan of checked rows. Raises Rejected when it does not fit beside the names of `previous`."""
    names = names_of(checked, previous)
    _hold_limits(names)
    index = Index(names)
    trip_at, trips = _trips(checked, index)
    chute_at, lane_chutes = _lane_chutes(checked, index)
    lines = [checked.lines.get(line, records.Line(0, 0, 0, 0)) for line in names.lines]
    plan = records.Plan(
        waybills=_waybills(checked, index),
        table=table_of(checked, index),
        sort_codes=_sort_codes(checked, index),
        station_lane=_fill(
            len(names.stations), ((r.station, r.lane) for r in checked.stations), index.station, index.lane
        ),
        lane_spill=_fill(len(names.lanes), ((r.lane, r.spill_to) for r in checked.lanes), index.lane, index.lane),
        trip_at=trip_at,
        trips=trips,
        chute_at=chute_at,
        lane_chutes=lane_chutes,
        **_chutes(checked, index),
        exception_chute=_exceptions(checked, index),
        lines=np.array([tuple(line) for line in lines], records.LINE),
        services=len(names.services),
        utc_offset_ns=checked.utc_offset_ns,
    )
    sort_plan = records.SortPlan(version(checked), plan, names)
    size = len(records.plan_to_bytes(sort_plan))
    if size > limits.PLAN_BYTES_MAX:
        said = Mistake.PLAN_TOO_LARGE.about(size=size >> 20, most=limits.PLAN_BYTES_MAX >> 20)
        raise Rejected([Fault("rules", 0, "", said)])
    return sort_plan


def version(checked: Checked) -> str:
    """sha256 over what the rows say, in an order of their own: no file format and no index goes in."""
    tables = {
        table: sorted(json.dumps(row[1:], ensure_ascii=False) for row in rows)
        for table, rows in checked._asdict().items()
        if table not in ("lines", "utc_offset_ns")
    }
    text = json.dumps([tables, dict(checked.lines), checked.utc_offset_ns], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _grown(old: Iterable[T], new: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def _titles(order: Sequence[str], old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    titles = {**dict(old), **dict(new)}
    return tuple(titles[name] for name in order)


_NO_NAMES: Final = Names((), (), (NO_TOWNSHIP,), (), (), (), (), (), (), (), (), ())


def names_of(checked: Checked, previous: Names | None) -> Names:
    """Every name of the rows, behind those of `previous` in their order."""
    old = previous or _NO_NAMES
    carriers = _grown(old.carriers, (row.carrier for row in checked.carriers))
    stations = _grown(old.stations, (row.station for row in checked.stations))
    townships = _grown(old.townships, (row.township or NO_TOWNSHIP for row in checked.stations))
    lanes = _grown(old.lanes, (row.lane for row in checked.lanes))
    home = dict(zip(old.stations, old.station_townships, strict=True))
    home |= {row.station: townships.index(row.township or NO_TOWNSHIP) for row in checked.stations}
    return Names(
        carriers=carriers,
        stations=stations,
        townships=townships,
        services=_grown(old.services, checked.service_names()),
        lanes=lanes,
        lines=_grown(old.lines, checked.lines),
        chutes=_grown(old.chutes, (row.chute for row in checked.chutes)),
        carrier_titles=_titles(
            carriers,
            zip(old.carriers, old.carrier_titles, strict=True),
            ((row.carrier, row.name) for row in checked.carriers),
        ),
        station_titles=_titles(
            stations,
            zip(old.stations, old.station_titles, strict=True),
            ((row.station, row.name) for row in checked.stations),
        ),
        station_townships=tuple(home[station] for station in stations),
        lane_titles=_titles(
            lanes, zip(old.lanes, old.lane_titles, strict=True), ((row.lane, row.name) for row in checked.lanes)
        ),
        lane_kinds=_titles(
            lanes, zip(old.lanes, old.lane_kinds, strict=True), ((row.lane, row.kind) for row in checked.lanes)
        ),
    )


def _hold_limits(names: Names) -> None:
    sizes = (
        ("carriers", names.carriers, limits.CARRIERS_MAX, mistakes.CARRIERS),
        ("stations", names.stations, limits.STATIONS_MAX, mistakes.STATIONS),
        ("stations", names.townships, limits.TOWNSHIPS_MAX, mistakes.TOWNSHIPS),
        ("rules", names.services, limits.SERVICES_MAX, mistakes.SERVICES),
        ("lanes", names.lanes, limits.LANES_MAX, mistakes.LANES),
        ("chutes", names.lines, limits.LINES_MAX, mistakes.LINES),
        ("chutes", names.chutes, limits.CHUTES_MAX, mistakes.CHUTES),
    )
    errors = [
        Fault(table, 0, "", Mistake.TOO_MANY_WITH_EARLIER.about(count=len(each), what=what, most=most))
        for table, each, most, what in sizes
        if len(each) > most
    ]
    if errors:
        raise Rejected(errors)


class Index:
    """Name -> index, for the names of one plan."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.carrier = _numbers(names.carriers)
        self.station = _numbers(names.stations)
        self.lane = _numbers(names.lanes)
        self.line = _numbers(names.lines)
        self.chute = _numbers(names.chutes)


def _numbers(names: Iterable[T]) -> dict[T, int]:
    return {name: number for number, name in enumerate(names)}


def _fill(
    size: int, pairs: Iterable[tuple[str, str]], row_of: dict[str, int], value_of: dict[str, int]
) -> records.Words16:
    out = np.full(size, NONE_16, np.uint16)
    for row, value in pairs:
        if value:
            out[row_of[row]] = value_of[value]
    return out


def _waybills(checked: Checked, index: Index) -> records.Waybills:
    automaton = waybill.compile_patterns([waybill.parse(row.waybill) for row in checked.carriers])
    patterns = [(_valid_from_ns(row.valid_from, checked), index.carrier[row.carrier]) for row in checked.carriers]
    return records.Waybills(*automaton, patterns=np.array(patterns, records.PATTERN))


def _valid_from_ns(date: str, checked: Checked) -> int:
    if not date:
        return 0
    days = dt.date.fromisoformat(date).toordinal() - dt.date(1970, 1, 1).toordinal()
    return days * _NS_PER_DAY - checked.utc_offset_ns


def _sort_codes(checked: Checked, index: Index) -> records.SortCodes:
    carriers = Roster(index.names.carriers)
    present = carriers.mask(Words(negated=False, items=checked.carrier_names()))
    rows = sorted(
        (*records.waybill_key(row.key), int(carrier), index.station[row.station])
        for row in checked.sort_codes
        for carrier in np.flatnonzero(carriers.mask(row.carrier) & present)
    )
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    return records.SortCodes(
        np.array(columns[0], np.uint64),
        np.array(columns[1], np.uint64),
        np.array(columns[2], np.uint8),
        np.array(columns[3], np.uint16),
    )


def _trips(checked: Checked, index: Index) -> tuple[records.Words32, records.Rows]:
    rows = sorted(
        (index.lane[trip.lane], minute, trip.cutoff_min, trip.capacity)
        for trip in checked.trips
        for minute in cutoffs(trip)
    )
    trips = np.array([row[1:] for row in rows], records.TRIP)
    starts = np.searchsorted([row[0] for row in rows], np.arange(len(index.lane) + 1))
    return starts.astype(np.uint32), trips


def _lane_chutes(checked: Checked, index: Index) -> tuple[records.Words32, records.Words16]:
    lanes = len(index.lane)
    rows = sorted(
        (index.line[row.line] * lanes + index.lane[lane], row.position_mm, row.chute)
        for row in checked.chutes
        for lane in row.lanes
    )
    starts = np.searchsorted([row[0] for row in rows], np.arange(len(index.line) * lanes + 1))
    return starts.astype(np.uint32), np.array([index.chute[row[2]] for row in rows], np.uint16)


def _chutes(checked: Checked, index: Index) -> dict[str, Any]:
    count = len(index.chute)
    line = np.full(count, NONE_8, np.uint8)
    lane = np.full(count, NONE_16, np.uint16)
    capacity = np.zeros(count, np.uint32)
    for row in checked.chutes:
        at = index.chute[row.chute]
        line[at], capacity[at] = index.line[row.line], row.capacity
        if row.lanes:
            lane[at] = index.lane[row.lanes[0]]
    return {"chute_line": line, "chute_lane": lane, "chute_capacity": capacity}


def _exceptions(checked: Checked, index: Index) -> records.Words16:
    out = np.full((len(index.line), REASON_COUNT), NONE_16, np.uint16)
    for row in checked.exceptions:
        reasons = [reason for reason in REJECTIONS if row.reason.has(reason.word)]
        for line in filter(row.line.has, checked.lines):
            out[index.line[line], reasons] = index.chute[row.chute]
    return out


class _Scale(NamedTuple):
    """Numbers cut into intervals; interval i covers edges[i - 1] <= value < edges[i]."""

    edges: Ints32

    @classmethod
    def of(cls, cuts: Iterable[int], most: int) -> "_Scale":
        return cls(np.array(sorted({cut for cut in cuts if 0 < cut <= most}), np.int32))

    def part(self, start: int, end: int, offset: int = 0) -> slice:
        """The intervals of start <= value < end, both being edges."""
        first, beyond = np.searchsorted(self.edges, [start, end - 1], side="right")
        return slice(offset + int(first), offset + int(beyond) + 1)


def table_of(checked: Checked, index: Index) -> records.Table:
    """The decision table as bit vectors over the names of `index`."""
    rules = checked.rules
    weight = _Scale.of((cut for r in rules for low, high in r.weight_g for cut in (low, high + 1)), limits.WEIGHT_MAX_G)
    length = _Scale.of((cut for r in rules for low, high in r.length_mm for cut in (low, high + 1)), limits.SIZE_MAX_MM)
    minute = _Scale.of((cut % DAY_MIN for r in rules for span in r.time for cut in span), DAY_MIN - 1)
    return records.Table(
        station=_vectors(len(index.station), map(_stations_of(index.names), rules)),
        kind=_vectors(2 * len(index.names.services) * len(index.carrier), map(_kinds_of(index.names), rules)),
        weight_edges=weight.edges,
        weight=_vectors(len(weight.edges) + 2, (_spans_of(weight, rule.weight_g) for rule in rules)),
        length_edges=length.edges,
        length=_vectors(len(length.edges) + 2, (_spans_of(length, rule.length_mm) for rule in rules)),
        minute_edges=minute.edges,
        minute=_vectors(7 * (len(minute.edges) + 1), (_minutes_of(minute, rule) for rule in rules)),
        target_kind=np.array([rule.send_to.kind for rule in rules], np.uint8),
        target=np.array([_target(rule, index) for rule in rules], np.uint16),
        row=np.array([rule.row for rule in rules], np.uint16),
    )


def _target(rule: Rule, index: Index) -> int:
    kind, name = rule.send_to
    if kind == Target.LANE:
        return index.lane[name]
    return index.chute[int(name)] if kind == Target.CHUTE else Reason[name.upper()]


def _vectors(size: int, applies: Iterable[list[Part] | None]) -> Bits:
    """Bit r of every vector in the r-th list of parts; None: of every vector."""
    parts_of = list(applies)
    words = max(1, -(-len(parts_of) // 64))
    every = np.zeros(words, np.uint64)
    for rule, parts in enumerate(parts_of):
        if parts is None:
            every[rule // 64] |= np.uint64(1 << rule % 64)
    vectors = np.tile(every, (size, 1))
    for rule, parts in enumerate(parts_of):
        for part in parts or ():
            vectors[part, rule // 64] |= np.uint64(1 << rule % 64)
    return vectors


def _stations_of(names: Names) -> Callable[[Rule], list[Part] | None]:
    stations, townships = Roster(names.stations), Roster(names.townships)
    home = np.array(names.station_townships, np.intp)

    def parts(rule: Rule) -> list[Part] | None:
        if rule.station == rule.township == ANY_WORD:
            return None
        return [np.flatnonzero(stations.mask(rule.station) & townships.mask(rule.township)[home])]

    return parts


def _kinds_of(names: Names) -> Callable[[Rule], list[Part] | None]:
    carriers, services = Roster(names.carriers), Roster(names.services)
    flows = Roster(flow.name.lower() for flow in Flow)

    def parts(rule: Rule) -> list[Part] | None:
        if rule.carrier == rule.service == rule.flow == ANY_WORD:
            return None
        by_service = np.logical_and.outer(services.mask(rule.service), flows.mask(rule.flow))
        return [np.flatnonzero(np.logical_and.outer(carriers.mask(rule.carrier), by_service))]

    return parts


def _spans_of(scale: _Scale, spans: Spans) -> list[Part] | None:
    """A number that was not measured, the last vector, fits "any" alone."""
    return [scale.part(low, high + 1) for low, high in spans] or None


def _minutes_of(scale: _Scale, rule: Rule) -> list[Part] | None:
    if not rule.time and rule.days == ALL_DAYS:
        return None
    stride = len(scale.edges) + 1
    parts: list[Part] = []
    for day in rule.days:
        for start, end in rule.time or ((0, DAY_MIN),):
            parts.append(scale.part(start, min(end, DAY_MIN), day * stride))
            if end > DAY_MIN:
                parts.append(scale.part(0, end - DAY_MIN, (day + 1) % 7 * stride))
    return parts
