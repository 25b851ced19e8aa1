"""What rows must say about each other: keys that stand once, targets that exist, circles, exception chutes.

What contradicts itself is a Fault; what may be meant, and is worth a look, is a Finding.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np

from sorter import limits
from sorter.reasons import Said, Sentence
from sorter.rulebook import mistakes, waybill
from sorter.rulebook.cells import ANY_WORD, DAY_MIN, NO_WORD, Roster, Words, metres_text
from sorter.rulebook.findings import Fault, Finding
from sorter.rulebook.mistakes import Mistake
from sorter.rulebook.rows import NO_PLACE, REASON_WORDS, Checked, Chute, Lane, Rule, Trip
from sorter.rulebook.tables import TABLES

WEEK_MIN: Final = 7 * DAY_MIN


def cutoffs(trip: Trip) -> Iterator[int]:
    """The minutes of the week, Monday 00:00 = 0, at which a trip's departures close."""
    for day in trip.days:
        for minute in trip.departs:
            yield (day * DAY_MIN + minute - trip.cutoff_min) % WEEK_MIN


def _sizes(checked: Checked) -> list[Fault]:
    @cache
    def carriers(words: Words) -> int:
        return sum(map(words.has, checked.carrier_names()))

    sort_codes = sum(carriers(row.carrier) for row in checked.sort_codes)
    departures = sum(len(trip.days) * len(trip.departs) for trip in checked.trips)
    sizes = (
        ("carriers", len(checked.carriers), limits.PATTERNS_MAX, mistakes.FORMATS),
        ("carriers", len(checked.carrier_names()), limits.CARRIERS_MAX, mistakes.CARRIERS),
        ("stations", len(checked.stations), limits.STATIONS_MAX, mistakes.STATIONS),
        ("stations", len(checked.township_names()), limits.TOWNSHIPS_MAX - 1, mistakes.TOWNSHIPS),
        ("sort_codes", sort_codes, limits.SORT_CODES_MAX, mistakes.SORT_CODES),
        ("lanes", len(checked.lanes), limits.LANES_MAX, mistakes.LANES),
        ("trips", departures, limits.TRIPS_MAX, mistakes.DEPARTURES),
        ("chutes", len(checked.chutes), limits.CHUTES_MAX, mistakes.CHUTES),
        ("rules", len(checked.rules), limits.RULES_MAX, mistakes.RULES),
        ("rules", len(checked.service_names()), limits.SERVICES_MAX, mistakes.SERVICES_AND_STANDARD),
    )
    found = [
        Fault(table, 0, "", Mistake.TOO_MANY.about(count=count, what=what, most=most))
        for table, count, most, what in sizes
        if count > most
    ]
    needed = ("carriers", "stations", "lanes", "chutes", "exceptions")
    return found + [Fault(table, 0, "", Mistake.NO_ROWS.about()) for table in needed if not getattr(checked, table)]


def _twice(table: str, column: str, keys: Iterable[tuple[int, tuple[object, ...], Said]]) -> list[Fault]:
    """A fault for each (row, key, what to call it) whose key stands further up; a key with a gap is no key."""
    first: dict[tuple[object, ...], int] = {}
    found = {}
    for at, key, said in keys:
        if "" in key or 0 in key:
            continue
        if key in first:
            found[at] = Fault(table, at, column, Mistake.DUPLICATE.about(key=said, first=first[key]))
        first.setdefault(key, at)
    return list(found.values())


def _named_twice(table: str, column: str, key: Sentence, rows: Iterable[tuple[int, str | int]]) -> list[Fault]:
    return _twice(table, column, ((at, (name,), key.about(name=name)) for at, name in rows))


def _duplicates(checked: Checked) -> list[Fault]:
    carriers = checked.carrier_names()
    return [
        *_twice(
            "carriers",
            "waybill",
            (
                (r.at, (r.carrier, r.waybill), mistakes.FORMAT_KEY.about(carrier=r.carrier, name=r.waybill))
                for r in checked.carriers
            ),
        ),
        *_named_twice("stations", "station", mistakes.STATION_KEY, ((r.at, r.station) for r in checked.stations)),
        *_named_twice("lanes", "lane", mistakes.LANE_KEY, ((r.at, r.lane) for r in checked.lanes)),
        *_named_twice("chutes", "chute", mistakes.CHUTE_KEY, ((r.at, r.chute) for r in checked.chutes)),
        *_named_twice("rules", "row", mistakes.NUMBER_KEY, ((r.at, r.row) for r in checked.rules)),
        *_twice(
            "sort_codes",
            "一段码",
            (
                (r.at, (name, r.key), mistakes.SORT_CODE_KEY.about(carrier=name, name=r.key))
                for r in checked.sort_codes
                for name in carriers
                if r.carrier.has(name)
            ),
        ),
        *_twice(
            "trips",
            "departs",
            (
                (r.at, (r.lane, str(minute)), mistakes.TRIP_KEY.about(name=r.lane))
                for r in checked.trips
                for minute in cutoffs(r)
            ),
        ),
        *_twice(
            "exceptions",
            "reason",
            (
                (r.at, (reason, line), mistakes.EXCEPTION_KEY.about(name=reason, line=line))
                for r in checked.exceptions
                for reason in REASON_WORDS
                for line in checked.lines
                if r.reason.has(reason) and r.line.has(line)
            ),
        ),
    ]


def _carrier_titles(checked: Checked) -> list[Fault]:
    first: dict[str, tuple[int, str]] = {}
    found = []
    for row in checked.carriers:
        at, title = first.setdefault(row.carrier, (row.at, row.name))
        if row.carrier and row.name and title != row.name:
            said = Mistake.TWO_TITLES.about(name=row.carrier, title=title, first=at)
            found.append(Fault("carriers", row.at, "name", said))
    return found


def _automaton(checked: Checked) -> list[Fault]:
    rows = [row for row in checked.carriers if row.waybill][: limits.PATTERNS_MAX]
    patterns = [waybill.parse(row.waybill) for row in rows]
    if not patterns:
        return []
    try:
        waybill.compile_patterns(patterns)
    except waybill.TooManyStates as error:
        alone = [len(waybill.compile_patterns([pattern]).accepts) for pattern in patterns]
        widest = rows[alone.index(max(alone))]
        return [Fault("carriers", widest.at, "waybill", Mistake.FORMATS_TOGETHER.about(why=error.said))]
    return []


def _spills(checked: Checked) -> list[Fault]:
    by_name = {row.lane: row for row in checked.lanes}
    found = []
    told: set[str] = set()
    for row in checked.lanes:
        way = _spill_way(row, by_name)
        if way[-1] == row.lane and len(way) > 1 and row.lane not in told:
            told |= set(way)
            found.append(Fault("lanes", row.at, "spill_to", Mistake.SPILL_CIRCLE.about(way=" → ".join(way))))
        elif len(way) == len(set(way)) > limits.SPILL_HOPS_MAX + 1:
            said = Mistake.SPILL_TOO_LONG.about(way=" → ".join(way), steps=len(way) - 1, most=limits.SPILL_HOPS_MAX)
            found.append(Fault("lanes", row.at, "spill_to", said))
    return found


def _spill_way(row: Lane, by_name: dict[str, Lane]) -> list[str]:
    """The lanes an item is passed along from `row` on, up to and with the first that comes twice."""
    way = [row.lane]
    lane: Lane | None = row
    while lane is not None and lane.spill_to and way.count(way[-1]) == 1:
        way.append(lane.spill_to)
        lane = by_name.get(lane.spill_to)
    return way


def _lanes_without_chute(checked: Checked) -> list[Fault]:
    served = {lane for row in checked.chutes for lane in row.lanes}
    return [
        Fault("lanes", row.at, "lane", Mistake.LANE_WITHOUT_CHUTE.about(lane=row.lane))
        for row in checked.lanes
        if row.lane and row.lane not in served
    ]


def _rule_order(checked: Checked) -> list[Fault]:
    found = []
    highest = 0
    for rule in checked.rules:
        if 0 < rule.row < highest:
            found.append(Fault("rules", rule.at, "row", Mistake.RULE_ORDER.about(row=rule.row, highest=highest)))
        highest = max(highest, rule.row)
    return found


def _rules_for_nothing(checked: Checked) -> list[Fault]:
    stations = Roster(row.station for row in checked.stations)
    townships = Roster(checked.township_names())
    place = {name: at for at, name in enumerate(checked.township_names())}
    home = np.array([place[town] for town in {row.station: row.township for row in checked.stations}.values()], np.intp)

    def fits_nothing(rule: Rule) -> bool:
        return not (stations.mask(rule.station) & townships.mask(rule.township)[home]).any()

    return [
        Fault("rules", rule.at, "township", Mistake.RULE_FOR_NO_STATION.about())
        for rule in checked.rules
        if NO_WORD not in (rule.station, rule.township)
        and ANY_WORD not in (rule.station, rule.township)
        and fits_nothing(rule)
    ]


def _exception_lines(checked: Checked) -> list[Fault]:
    line_of = {row.chute: row.line for row in checked.chutes}
    return [
        Fault(
            "exceptions",
            row.at,
            "chute",
            Mistake.CHUTE_OF_OTHER_LINE.about(chute=row.chute, its_line=line_of[row.chute], line=line),
        )
        for row in checked.exceptions
        for line in checked.lines
        if row.line.has(line) and line_of.get(row.chute, "") not in ("", line)
    ]


def _exceptions_missing(checked: Checked) -> list[Fault]:
    if not checked.exceptions:
        return []  # one error tells that the table is empty
    there = {
        (reason, line)
        for row in checked.exceptions
        for reason in REASON_WORDS
        for line in checked.lines
        if row.reason.has(reason) and row.line.has(line)
    }
    return [
        Fault("exceptions", 0, "reason", Mistake.NO_EXCEPTION_CHUTE.about(reason=reason, line=line))
        for line in checked.lines
        for reason in REASON_WORDS
        if (reason, line) not in there
    ]


def misplaced(chutes: Iterable[Chute], places_mm: Mapping[str, range]) -> list[Fault]:
    """The chutes that are not where their line's may be. `places_mm` as in check_sheets."""
    found = []
    for row in chutes:
        places = places_mm.get(row.line)
        if places is None or row.position_mm == NO_PLACE or row.position_mm in places:
            continue
        found.append(Fault("chutes", row.at, "position", _why_misplaced(row, places)))
    return found


def _why_misplaced(row: Chute, places: range) -> Said:
    least = metres_text(places.start)
    if not places:
        return Mistake.NO_PLACES.about(line=row.line, least=least)
    is_before = row.position_mm < places.start
    return (Mistake.PLACE_BEFORE_DIVERT if is_before else Mistake.PLACE_BEYOND_LAP).about(
        place=metres_text(row.position_mm), line=row.line, least=least, most=metres_text(places[-1])
    )


CROSSCHECKS: Final[Mapping[Callable[[Checked], list[Fault]], frozenset[str]]] = {
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


_PATTERNS_OVERLAP: Final = Sentence(
    "条码 {code} 同时符合 {a}（第{row_a}行）和 {b}（第{row_b}行）的运单格式；"
    "有预报时以预报为准，没有预报就分不清，能写窄就写窄",
    "the code {code} fits formats of both {a} (row {row_a}) and {b} (row {row_b}); the advice tells them apart, "
    "without one nobody can; write them narrower if you can",
)
_NO_CHUTE_ON_LINE: Final = Sentence(
    "路向 {lane} 在分拣线 {line} 没有格口；那条线上去 {lane} 的件没有圈数可转后进 max_laps 格口",
    "lane {lane} has no chute on line {line}; its items there go to the chute for max_laps when they have no lap left",
)
_CROWDED_LINE: Final = Sentence(
    "分拣线 {line} 的 {chutes} 个格口要分 {lanes} 个路向；有的格口会混装几个路向",
    "the {chutes} chutes of line {line} serve {lanes} lanes; some chutes mix several",
)
_ZEROS_LOST: Final = Sentence(
    "{carrier} 的{column}“{text}”可能丢了开头的 0：这一列别的都是 {width} 位，如“{full}”。请把这一列设成文本，"
    "再重新填写",
    "{column} {text} of {carrier} may have lost zeros at its front: all others there have {width} digits, such as "
    "{full}. Format the column as text and write it again",
)


def findings(checked: Checked) -> list[Finding]:
    """What is worth a look between the rows of all tables but the decision table."""
    carrier_at = {row.at: row.carrier for row in checked.carriers}
    found = [
        Finding(
            "waybill_overlap",
            "carriers",
            (a, b),
            code,
            _PATTERNS_OVERLAP.about(code=code, a=carrier_at[a], b=carrier_at[b], row_a=a, row_b=b),
        )
        for a, b, code in pattern_overlaps(checked)
    ]
    lane_at = {row.at: row.lane for row in checked.lanes}
    for at, line in lanes_without_chute_on(checked):
        facts = {"lane": lane_at[at], "line": line}
        found.append(Finding("lane_without_chute", "lanes", (at,), facts, _NO_CHUTE_ON_LINE.about(**facts)))
    for line, lanes, chutes in crowded_lines(checked):
        crowd = {"line": line, "lanes": lanes, "chutes": chutes}
        found.append(Finding("crowded_line", "chutes", (), crowd, _CROWDED_LINE.about(**crowd)))
    for carrier, column, rows, text, full in zeros_lost(checked):
        lost = {"carrier": carrier, "column": column, "text": text, "full": full}
        found.append(Finding("zeros_lost", "sort_codes", rows, lost, _ZEROS_LOST.about(**lost, width=len(full))))
    return found


def pattern_overlaps(checked: Checked) -> list[tuple[int, int, str]]:
    """For each two carriers with a code that fits formats of both: a row of each and the shortest such code.

    Rows are those of the spreadsheet, the upper one first; `valid_from` makes no difference.
    """
    carriers = [row.carrier for row in checked.carriers]
    found: dict[frozenset[str], tuple[int, int, str]] = {}
    for code, mask in _shortest_codes(
        waybill.compile_patterns([waybill.parse(row.waybill) for row in checked.carriers])
    ):
        fitting = [bit for bit in range(len(carriers)) if mask >> bit & 1]
        for a, b in combinations(fitting, 2):
            if carriers[a] != carriers[b]:
                pair = frozenset((carriers[a], carriers[b]))
                found.setdefault(pair, (checked.carriers[a].at, checked.carriers[b].at, code))
    return sorted(found.values())


def _shortest_codes(automaton: waybill.Automaton) -> Iterator[tuple[str, int]]:
    """For each state that a waybill can reach, in order of length: the first code that leads there, and its mask."""
    steps = {int(automaton.classes[ord(char)]): char for char in reversed(waybill.ALPHABET)}
    order = sorted((char, step) for step, char in steps.items() if step)
    seen = {0, 1}
    reached = [("", 1)]
    for _ in range(limits.WAYBILL_TEXT_MAX):
        following = []
        for code, state in reached:
            for char, step in order:
                after = int(automaton.next_state[state, step])
                if after not in seen:
                    seen.add(after)
                    following.append((code + char, after))
                    yield code + char, int(automaton.accepts[after])
        reached = following


def lanes_without_chute_on(checked: Checked) -> list[tuple[int, str]]:
    """The row of each lane that has a chute on some line, and a line on which it has none."""
    served = {(lane, row.line) for row in checked.chutes for lane in row.lanes}
    somewhere = {lane for lane, _ in served}
    return [
        (row.at, line)
        for row in checked.lanes
        for line in checked.lines
        if row.lane in somewhere and (row.lane, line) not in served
    ]


def crowded_lines(checked: Checked) -> list[tuple[str, int, int]]:
    """Each line with fewer chutes than lanes, those of exceptions not counted: (line, lanes, chutes)."""
    kept = {row.lane for row in checked.lanes if row.kind != "exception"}
    found = []
    for line in checked.lines:
        chutes = [kept.intersection(row.lanes) for row in checked.chutes if row.line == line]
        lanes = len(frozenset[str]().union(*chutes))
        used = sum(map(bool, chutes))
        if lanes > used:
            found.append((line, lanes, used))
    return found


def zeros_lost(checked: Checked) -> list[tuple[str, str, tuple[int, ...], str, str]]:
    """Segments that may have lost zeros: (carrier, column, rows, the first of them, one that has its zeros).

    What rows of several carriers tell alike is told of the first carrier.
    """
    found: dict[tuple[str, tuple[int, ...]], tuple[str, str, str]] = {}
    for carrier in checked.carrier_names():
        keys = [(row.at, row.key.split("-")) for row in checked.sort_codes if row.carrier.has(carrier)]
        for place, column in enumerate(_SEGMENTS):
            texts = {at: key[place] for at, key in keys if len(key) > place}
            full, rows = _short_of_zeros(texts)
            if rows:
                found.setdefault((column, rows), (carrier, texts[rows[0]], full))
    return [(carrier, column, rows, text, full) for (column, rows), (carrier, text, full) in found.items()]


_SEGMENTS: Final = tuple(TABLES["sort_codes"])[1:4]


def _short_of_zeros(texts: Mapping[int, str]) -> tuple[str, tuple[int, ...]]:
    """A code with zeros at its front, and the rows of shorter codes; no rows, unless all others are as long as it.

    Codes of several lengths are no loss, nor are 1, 2, 10, where nothing begins with a zero; nor codes with letters.
    """
    zeros = [text for text in texts.values() if text.startswith("0") and text != "0"]
    full = zeros[0] if zeros else ""
    rows = tuple(at for at, text in texts.items() if len(text) < len(full))
    lengths = {len(text) for text in texts.values() if len(text) >= len(full)} | set(map(len, zeros))
    is_of_digits = all(text.isascii() and text.isdecimal() for text in texts.values())
    return full, rows if is_of_digits and len(lengths) == 1 else ()
