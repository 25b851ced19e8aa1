"""What rows must say about each other: keys that stand once, targets that exist, circles, exception chutes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Final

import numpy as np

from sorter import limits
from sorter.rulebook import waybill
from sorter.rulebook.cells import ANY_WORD, DAY_MIN, NO_WORD, Roster, Words
from sorter.rulebook.findings import Finding
from sorter.rulebook.rows import REASON_WORDS, Checked, Lane, Rule, Trip

WEEK_MIN: Final = 7 * DAY_MIN


def cutoffs(trip: Trip) -> Iterator[int]:
    """The minutes of the week, Monday 00:00 = 0, at which a trip's departures close."""
    for day in trip.days:
        for minute in trip.departs:
            yield (day * DAY_MIN + minute - trip.cutoff_min) % WEEK_MIN


def _sizes(checked: Checked) -> list[Finding]:
    @cache
    def carriers(words: Words) -> int:
        return sum(map(words.has, checked.carrier_names()))

    sort_codes = sum(carriers(row.carrier) for row in checked.sort_codes)
    departures = sum(len(trip.days) * len(trip.departs) for trip in checked.trips)
    sizes = (
        ("carriers", len(checked.carriers), limits.PATTERNS_MAX, "waybill formats"),
        ("carriers", len(checked.carrier_names()), limits.CARRIERS_MAX, "carriers"),
        ("stations", len(checked.stations), limits.STATIONS_MAX, "stations"),
        ("stations", len(checked.township_names()), limits.TOWNSHIPS_MAX - 1, "townships"),
        ("sort_codes", sort_codes, limits.SORT_CODES_MAX, "sort codes, counted once for each carrier,"),
        ("lanes", len(checked.lanes), limits.LANES_MAX, "lanes"),
        ("trips", departures, limits.TRIPS_MAX, "departures a week"),
        ("chutes", len(checked.chutes), limits.CHUTES_MAX, "chutes"),
        ("rules", len(checked.rules), limits.RULES_MAX, "rules"),
        ("rules", len(checked.service_names()), limits.SERVICES_MAX, "services, standard among them,"),
    )
    found = [
        Finding(table, 0, "", f"{count} {what} are too many; the most is {most}")
        for table, count, most, what in sizes
        if count > most
    ]
    empty = "there is no row below the header; write at least one"
    needed = ("carriers", "stations", "lanes", "chutes", "exceptions")
    return found + [Finding(table, 0, "", empty) for table in needed if not getattr(checked, table)]


def _twice(table: str, column: str, keys: Iterable[tuple[int, tuple[object, ...], str]]) -> list[Finding]:
    """A finding for each (row, key, key in words) whose key stands further up; a key with a gap is no key."""
    first: dict[tuple[object, ...], int] = {}
    found = {}
    for at, key, text in keys:
        if "" in key or 0 in key:
            continue
        if key in first:
            found[at] = Finding(table, at, column, f"{text} stands in row {first[key]} already; keep one of the two")
        first.setdefault(key, at)
    return list(found.values())


def _duplicates(checked: Checked) -> list[Finding]:
    carriers = checked.carrier_names()
    return [
        *_twice(
            "carriers",
            "waybill",
            ((r.at, (r.carrier, r.waybill), f"{r.carrier} {r.waybill}") for r in checked.carriers),
        ),
        *_twice("stations", "station", ((r.at, (r.station,), f"station {r.station}") for r in checked.stations)),
        *_twice("lanes", "lane", ((r.at, (r.lane,), f"lane {r.lane}") for r in checked.lanes)),
        *_twice("chutes", "chute", ((r.at, (r.chute,), f"chute {r.chute}") for r in checked.chutes)),
        *_twice("rules", "row", ((r.at, (r.row,), f"number {r.row}") for r in checked.rules)),
        *_twice(
            "sort_codes",
            "一段码",
            (
                (r.at, (name, r.key), f"{r.key} of {name}")
                for r in checked.sort_codes
                for name in carriers
                if r.carrier.has(name)
            ),
        ),
        *_twice(
            "trips",
            "departs",
            (
                (r.at, (r.lane, str(minute)), f"a trip of {r.lane} with the same cut-off")
                for r in checked.trips
                for minute in cutoffs(r)
            ),
        ),
        *_twice(
            "exceptions",
            "reason",
            (
                (r.at, (reason, line), f"{reason} on line {line}")
                for r in checked.exceptions
                for reason in REASON_WORDS
                for line in checked.lines
                if r.reason.has(reason) and r.line.has(line)
            ),
        ),
    ]


def _carrier_titles(checked: Checked) -> list[Finding]:
    first: dict[str, tuple[int, str]] = {}
    found = []
    for row in checked.carriers:
        at, title = first.setdefault(row.carrier, (row.at, row.name))
        if row.carrier and row.name and title != row.name:
            message = f'{row.carrier} is "{title}" in row {at}; write the same name in all its rows'
            found.append(Finding("carriers", row.at, "name", message))
    return found


def _automaton(checked: Checked) -> list[Finding]:
    rows = [row for row in checked.carriers if row.waybill][: limits.PATTERNS_MAX]
    patterns = [waybill.parse(row.waybill) for row in rows]
    if not patterns:
        return []
    try:
        waybill.compile_patterns(patterns)
    except waybill.TooManyStates as error:
        alone = [len(waybill.compile_patterns([pattern]).accepts) for pattern in patterns]
        widest = rows[alone.index(max(alone))]
        message = f"together with the others this format is too much: {error}; write it narrower"
        return [Finding("carriers", widest.at, "waybill", message)]
    return []


def _spills(checked: Checked) -> list[Finding]:
    by_name = {row.lane: row for row in checked.lanes}
    found = []
    told: set[str] = set()
    for row in checked.lanes:
        way = _spill_way(row, by_name)
        if way[-1] == row.lane and len(way) > 1 and row.lane not in told:
            told |= set(way)
            message = f"{' → '.join(way)} is a circle; let one of these lanes spill nowhere"
            found.append(Finding("lanes", row.at, "spill_to", message))
        elif len(way) == len(set(way)) > limits.SPILL_HOPS_MAX + 1:
            message = f"{' → '.join(way)} has {len(way) - 1} steps; the most that are tried is {limits.SPILL_HOPS_MAX}"
            found.append(Finding("lanes", row.at, "spill_to", message))
    return found


def _spill_way(row: Lane, by_name: dict[str, Lane]) -> list[str]:
    """The lanes an item is passed along from `row` on, up to and with the first that comes twice."""
    way = [row.lane]
    lane: Lane | None = row
    while lane is not None and lane.spill_to and way.count(way[-1]) == 1:
        way.append(lane.spill_to)
        lane = by_name.get(lane.spill_to)
    return way


def _lanes_without_chute(checked: Checked) -> list[Finding]:
    served = {lane for row in checked.chutes for lane in row.lanes}
    return [
        Finding("lanes", row.at, "lane", f"no chute of any line serves lane {row.lane}; name it in chutes.csv")
        for row in checked.lanes
        if row.lane and row.lane not in served
    ]


def _rule_order(checked: Checked) -> list[Finding]:
    found = []
    highest = 0
    for rule in checked.rules:
        if 0 < rule.row < highest:
            message = f"{rule.row} stands below {highest}; sort the rows by this column, the first that fits decides"
            found.append(Finding("rules", rule.at, "row", message))
        highest = max(highest, rule.row)
    return found


def _rules_for_nothing(checked: Checked) -> list[Finding]:
    stations = Roster(row.station for row in checked.stations)
    townships = Roster(checked.township_names())
    place = {name: at for at, name in enumerate(checked.township_names())}
    home = np.array([place[town] for town in {row.station: row.township for row in checked.stations}.values()], np.intp)

    def fits_nothing(rule: Rule) -> bool:
        return not (stations.mask(rule.station) & townships.mask(rule.township)[home]).any()

    return [
        Finding("rules", rule.at, "township", "no station fits both this cell and the cell station; correct one")
        for rule in checked.rules
        if NO_WORD not in (rule.station, rule.township)
        and ANY_WORD not in (rule.station, rule.township)
        and fits_nothing(rule)
    ]


def _exception_lines(checked: Checked) -> list[Finding]:
    line_of = {row.chute: row.line for row in checked.chutes}
    return [
        Finding(
            "exceptions",
            row.at,
            "chute",
            f"chute {row.chute} is on line {line_of[row.chute]}, not on {line}; name a chute of {line}",
        )
        for row in checked.exceptions
        for line in checked.lines
        if row.line.has(line) and line_of.get(row.chute, "") not in ("", line)
    ]


def _exceptions_missing(checked: Checked) -> list[Finding]:
    there = {
        (reason, line)
        for row in checked.exceptions
        for reason in REASON_WORDS
        for line in checked.lines
        if row.reason.has(reason) and row.line.has(line)
    }
    return [
        Finding(
            "exceptions", 0, "reason", f"{reason} has no chute on line {line}; add a row {reason}, {line} and a chute"
        )
        for line in checked.lines
        for reason in REASON_WORDS
        if (reason, line) not in there
    ]


CROSSCHECKS: Final[Mapping[Callable[[Checked], list[Finding]], frozenset[str]]] = {
    _sizes: frozenset(),
    _duplicates: frozenset(),
    _carrier_titles: frozenset(),
    _automaton: frozenset(),
    _spills: frozenset(),
    _lanes_without_chute: frozenset({"chutes"}),
    _rule_order: frozenset(),
    _rules_for_nothing: frozenset({"stations"}),
    _exception_lines: frozenset({"chutes"}),
    _exceptions_missing: frozenset(),
}
"""Each look, and the tables without which it would see errors that are not there."""
