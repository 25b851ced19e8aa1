"""What is different between two versions of the rule tables: row by row in words, and parcel by parcel on traffic.

A parcel moves when the chutes it may drop into, or the reason why, are others than before; nothing else is a move.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np

from sorter import limits
from sorter.reasons import SENTENCES, Language, Reason, Said, Sentence
from sorter.records import NONE_16, Ints64, SortPlan, Target, Words16
from sorter.rulebook import rows, tables
from sorter.rulebook.cells import ALL_DAYS, DAY_MIN, Spans, Words, metres_text
from sorter.rulebook.trial import routing
from sorter.rulebook.trial.recorded import Recorded
from sorter.rulebook.trial.routing import Routes

CHANGES_PER_HOUR_MAX: Final = 4  # load units that a chute's staff can change in an hour
EXAMPLES_MAX: Final = 10
TOLD_MAX: Final = 12  # chutes, lanes and reasons in the text, of each
NONE: Final = "-"
"""Stands for no chute and for no lane, so that all counts add up to the items."""

ADDED: Final = Sentence("{table}：新增 {key}：{cells}", "{table}: {key} is new: {cells}")
REMOVED: Final = Sentence("{table}：删除 {key}（原为 {cells}）", "{table}: {key} is gone; it was {cells}")
CHANGED: Final = Sentence("{table}：{key}：{cells}", "{table}: {key}: {cells}")
CELL: Final = Sentence("{column}“{text}”", '{column} "{text}"')
CELL_CHANGED: Final = Sentence("{column} 由“{before}”改为“{after}”", '{column} from "{before}" to "{after}"')
NO_ROW_CHANGED: Final = Sentence("规则表没有变化。", "The tables say the same.")

SUMMARY: Final = Sentence("{items} 件中有 {moved} 件改变去向。", "{moved} of {items} parcels move.")
CHUTE: Final = Sentence(
    "格口 {name}：{before} → {after} 件（{share}）", "chute {name}: {before} to {after} items ({share})"
)
LANE: Final = Sentence(
    "路向 {name}：{before} → {after} 件（{share}）", "lane {name}: {before} to {after} items ({share})"
)
REASON: Final = Sentence("{name}：{before} → {after} 件（{share}）", "{name}: {before} to {after} items ({share})")
MORE: Final = Sentence("……另有 {count} 个变化较小的未列出", "… and {count} more that change less")
NEW: Final = Sentence("新增", "new")
OVERFLOW: Final = Sentence(
    "注意：格口 {chute} 从 {hour} 起的一小时内有 {after} 件（原 {before} 件），每袋 {capacity} 件，"
    "要用 {units} 个袋；一小时最多换 {most} 个",
    "look out: chute {chute} gets {after} items in the hour from {hour}, {before} before; that is {units} load units "
    "of {capacity}, and {most} an hour are the most that can be changed",
)
NOT_WEIGHED: Final = Sentence(
    "其中 {count} 件没有重量，按重量分的规则对它们算作未称重；账本不存预报的重量，当时可能用过",
    "{count} of them have no weight here, so to rules by weight they are not weighed; a ledger does not keep declared "
    "weights, which may have counted then",
)
STRANGE_LINE: Final = Sentence(
    "其中 {count} 件的分拣线两份规则表都没有，不会改变去向",
    "{count} of them are of lines that neither plan knows, and cannot move",
)
STRANGE_STATION: Final = Sentence(
    "其中 {count} 件的站点两份规则表都没有，按没有预报处理",
    "{count} of them are for stations that neither plan knows, and are as if not advised",
)
EXAMPLE: Final = Sentence(
    "例：{waybill}，{line}，{time}：{before} → {after}", "example: {waybill} on {line} at {time}: {before} to {after}"
)
PLACE: Final = Sentence("格口 {chutes}（{why}）", "chute {chutes} ({why})")
BY_ROW: Final = Sentence("规则 {row}，{why}", "rule {row}, {why}")
BY_LANE: Final = Sentence("路向 {lane}", "lane {lane}")
NO_CHUTE: Final = Sentence("无", "none")
NO_WAYBILL: Final = Sentence("未读到运单号", "no waybill")

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "carriers": ("carrier", "waybill"),
    "stations": ("station",),
    "sort_codes": ("carrier", "一段码", "二段码", "三段码"),
    "lanes": ("lane",),
    "trips": ("lane", "days", "departs"),
    "chutes": ("chute",),
    "rules": ("row",),
    "exceptions": ("reason", "line"),
}
"""The columns by which a table's row is the same row in both versions."""


# ---- cells as staff write them ------------------------------------------------


def written(row: NamedTuple) -> dict[str, str]:
    """The cells of a checked row, column by column, as the template would have them; reading them gives the row."""
    cells: dict[str, str] = {}
    for field, value in row._asdict().items():
        if field == "key":
            parts = [*value.split("-"), "", ""]
            cells |= dict(zip(("一段码", "二段码", "三段码"), parts, strict=False))
        elif field != "at":
            cells[_COLUMNS.get(field, field)] = _cell(field, value)
    return cells


_COLUMNS: Final = {"position_mm": "position", "lanes": "lane"}


def _cell(field: str, value: Any) -> str:
    write = _WRITERS.get(field)
    if write is not None:
        return write(value)
    return words_text(value) if isinstance(value, Words) else str(value)


def words_text(words: Words) -> str:
    """`A|B`, `!A`, or nothing for any."""
    return "!" * (words.negated and bool(words.items)) + "|".join(words.items)


def spans_text(spans: Spans, most: int) -> str:
    """`0..3000`, `>3000`, `500`, several by `|`, or nothing for any."""

    def one(low: int, high: int) -> str:
        if low == high:
            return str(low)
        return f">{low - 1}" if high == most and low > 0 else f"{low}..{high}"

    return "|".join(one(low, high) for low, high in spans)


def times_text(spans: Spans) -> str:
    """`08:00..12:30`, several by `|`, or nothing for any; a span of more than a day in two parts."""
    parts = []
    for start, end in spans:
        if end - start > DAY_MIN or (end - start == DAY_MIN and start > 0):
            parts += [(start, start + DAY_MIN - 1), (end - DAY_MIN + 1, end)]
        else:
            parts.append((start, end))
    return "|".join(f"{clock(start)}..{clock(end if end <= DAY_MIN else end - DAY_MIN)}" for start, end in parts)


def clock(minute: int) -> str:
    """`08:00` of a minute of the day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def days_text(days: tuple[int, ...]) -> str:
    """`1..5`, `1|3`, or nothing for every day; Monday is 1."""
    if days == ALL_DAYS:
        return ""
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{days[0] + 1}..{days[-1] + 1}"
    return "|".join(str(day + 1) for day in days)


def _send_to_text(send_to: rows.SendTo) -> str:
    return rows.REJECT * (send_to.kind == Target.REJECT) + send_to.name


_WRITERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "weight_g": lambda spans: spans_text(spans, limits.WEIGHT_MAX_G),
    "length_mm": lambda spans: spans_text(spans, limits.SIZE_MAX_MM),
    "time": times_text,
    "days": days_text,
    "departs": lambda minutes: "|".join(map(clock, minutes)),
    "lanes": "|".join,
    "position_mm": metres_text,
    "send_to": _send_to_text,
    "capacity": lambda items: str(items) if items else "",
}


# ---- row by row -----------------------------------------------------------------


class Cell(NamedTuple):
    """One cell, before and after; of a row that is new or gone one of the two is blank."""

    column: str
    before: str
    after: str


class Change(NamedTuple):
    """A row that was added, removed or changed.

    `cells` are those that differ; of a row that is new or gone all that are filled and not of its key.
    """

    kind: str  # added, removed, changed
    table: str
    key: tuple[str, ...]  # the texts of KEYS[table]
    cells: tuple[Cell, ...]

    def told(self, language: Language) -> str:
        """In words, with the columns as a sheet in that language heads them."""
        sentence = {"added": ADDED, "removed": REMOVED, "changed": CHANGED}[self.kind]
        columns = zip(KEYS[self.table], self.key, strict=True)
        key = _listed((CELL.about(column=self._header(name, language), text=text) for name, text in columns), language)
        cells = _listed((self._cell(cell, language) for cell in self.cells), language)
        return sentence.about(table=self.table, key=key, cells=cells or NONE).told(language)

    def _cell(self, cell: Cell, language: Language) -> Said:
        column = self._header(cell.column, language)
        if self.kind == "changed":
            return CELL_CHANGED.about(column=column, before=cell.before, after=cell.after)
        return CELL.about(column=column, text=cell.before or cell.after)

    def _header(self, column: str, language: Language) -> str:
        if language == "en":
            return column
        titles = (column, *tables.TABLES[self.table].get(column, ("备注",)))
        return next((title for title in titles if not title.isascii()), column)

    def as_json(self) -> dict[str, Any]:
        """{"kind", "table", "key": {column: text}, "cells": {column: [before, after]}}."""
        return {
            "kind": self.kind,
            "table": self.table,
            "key": dict(zip(KEYS[self.table], self.key, strict=True)),
            "cells": {cell.column: [cell.before, cell.after] for cell in self.cells},
        }


def _listed(texts: Iterable[Said], language: Language) -> str:
    return ("，" if language == "zh" else ", ").join(text.told(language) for text in texts)


def row_changes(old: rows.Checked, new: rows.Checked) -> list[Change]:
    """Every row that says something else, in table order; where rows stand says nothing.

    An exception row is taken apart into one for each reason and line. A rule that only got another number is a
    change of its `row`.
    """
    changes: list[Change] = []
    for table, columns in KEYS.items():
        before, after = (_by_key(table, columns, checked) for checked in (old, new))
        both = [key for key in before if key in after]
        gone = {key: cells for key, cells in before.items() if key not in after}
        fresh = {key: cells for key, cells in after.items() if key not in before}
        found = [_changed(table, key[:-1], before[key], after[key]) for key in both]
        if table == "rules":
            found += _renumbered(gone, fresh)
        found += [_whole("removed", table, key[:-1], cells) for key, cells in gone.items()]
        found += [_whole("added", table, key[:-1], cells) for key, cells in fresh.items()]
        order = {key[:-1]: at for at, key in enumerate((*before, *fresh))}
        changes += sorted((each for each in found if each.cells), key=lambda each: order[each.key])
    return changes


_Key = tuple[str, ...]


def _by_key(table: str, columns: tuple[str, ...], checked: rows.Checked) -> dict[_Key, dict[str, str]]:
    """Cells by key; the key's last part tells rows of one key apart."""
    found: dict[_Key, dict[str, str]] = {}
    seen: Counter[_Key] = Counter()
    each_row = _exceptions(checked) if table == "exceptions" else map(written, getattr(checked, table))
    for cells in each_row:
        key = tuple(cells[column] for column in columns)
        found[*key, str(seen[key])] = cells
        seen[key] += 1
    return found


def _exceptions(checked: rows.Checked) -> Iterable[dict[str, str]]:
    for row in checked.exceptions:
        for reason in filter(row.reason.has, rows.REASON_WORDS):
            for line in filter(row.line.has, checked.lines):
                yield {"reason": reason, "line": line, "chute": str(row.chute), tables.NOTE: row.note}


def _changed(table: str, key: _Key, before: dict[str, str], after: dict[str, str]) -> Change:
    cells = [Cell(column, before[column], after[column]) for column in before if before[column] != after[column]]
    return Change("changed", table, key, tuple(cells))


def _whole(kind: str, table: str, key: _Key, cells: dict[str, str]) -> Change:
    rest = [(column, text) for column, text in cells.items() if text and column not in KEYS[table]]
    if kind == "added":
        return Change(kind, table, key, tuple(Cell(column, "", text) for column, text in rest))
    return Change(kind, table, key, tuple(Cell(column, text, "") for column, text in rest))


def _renumbered(gone: dict[_Key, dict[str, str]], fresh: dict[_Key, dict[str, str]]) -> list[Change]:
    """Rules that say the same under another number; they leave `gone` and `fresh`."""

    def content(cells: dict[str, str]) -> tuple[str, ...]:
        return tuple(text for column, text in cells.items() if column != "row")

    places: dict[tuple[str, ...], list[_Key]] = {}
    for key, cells in fresh.items():
        places.setdefault(content(cells), []).append(key)
    found = []
    for key in list(gone):
        same = places.get(content(gone[key]))
        if same:
            number = same.pop(0)
            found.append(Change("changed", "rules", key[:-1], (Cell("row", key[0], number[0]),)))
            del gone[key], fresh[number]
    return found


# ---- on recorded traffic -----------------------------------------------------------


class Place(NamedTuple):
    """Where a parcel goes, in names."""

    chutes: tuple[int, ...]
    lane: str  # "": none
    reason: str
    row: int  # 0: no rule decided

    def told(self, language: Language) -> str:
        """Chutes, and by which rule and for which lane or reason."""
        own = self.reason == Reason.PLANNED.word and self.lane
        why: Said | Sentence = BY_LANE.about(lane=self.lane) if own else SENTENCES[Reason[self.reason.upper()]]
        if self.row:
            why = BY_ROW.about(row=self.row, why=why)
        chutes = "/".join(map(str, self.chutes)) or NO_CHUTE
        return PLACE.about(chutes=chutes, why=why).told(language)


class Example(NamedTuple):
    """A parcel that moves."""

    waybill: str  # "": none was read
    line: str
    time: str  # local, 2026-11-11 08:03:12
    before: Place
    after: Place


class Overflow(NamedTuple):
    """An hour in which a chute would get more items than its load units can be changed for."""

    chute: int
    hour: str  # local, when it begins: 2026-11-11 08:00
    before: int
    after: int
    capacity: int


Pairs = dict[str, tuple[int, int]]
"""Items before and after, by name; names of which there are none at all are left out."""


class Moves(NamedTuple):
    """What a new plan does to recorded traffic."""

    items: int
    moved: int
    by_chute: Pairs
    by_lane: Pairs
    by_reason: Pairs
    overflow: tuple[Overflow, ...]
    examples: tuple[Example, ...]
    not_weighed: int  # items without a weight
    strange_lines: int  # items of lines that no plan knows
    strange_stations: int  # items advised for stations that no plan knows
    parcels: Ints64  # [moved] which they are, counted from 0 in the order of the traffic

    def as_json(self) -> dict[str, Any]:
        """The shape of `rules diff --json`."""
        found = self._asdict()
        del found["parcels"]
        found["overflow"] = [
            {"chute": each.chute, "hour": each.hour, "items": [each.before, each.after], "capacity": each.capacity}
            for each in self.overflow
        ]
        found["examples"] = [
            {
                "waybill": each.waybill or None,
                "line": each.line,
                "time": each.time,
                "from": each.before._asdict(),
                "to": each.after._asdict(),
            }
            for each in self.examples
        ]
        return found

    def told(self, language: Language) -> str:
        """Lines for people: the sum, what changes most, what would overflow, examples."""
        told = [SUMMARY.about(items=f"{self.items:,}", moved=f"{self.moved:,}")]
        cautions = (
            (NOT_WEIGHED, self.not_weighed),
            (STRANGE_LINE, self.strange_lines),
            (STRANGE_STATION, self.strange_stations),
        )
        told += [sentence.about(count=f"{count:,}") for sentence, count in cautions if count]
        reasons = {SENTENCES[Reason[word.upper()]].told(language): pair for word, pair in self.by_reason.items()}
        for sentence, pairs in ((CHUTE, self.by_chute), (LANE, self.by_lane), (REASON, reasons)):
            told += _told_pairs(sentence, pairs)
        for spill in self.overflow:
            units = -(-spill.after // spill.capacity)
            told.append(OVERFLOW.about(**spill._asdict(), units=units, most=CHANGES_PER_HOUR_MAX))
        for each in self.examples:
            places = {"before": each.before.told(language), "after": each.after.told(language)}
            waybill = each.waybill or NO_WAYBILL
            told.append(EXAMPLE.about(waybill=waybill, line=each.line, time=each.time, **places))
        return "\n".join(said.told(language) for said in told)


def _told_pairs(sentence: Sentence, pairs: Pairs) -> list[Said]:
    """What changes most, first."""
    changed = [(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]
    changed.sort(key=lambda each: -abs(each[2] - each[1]))
    told = [
        sentence.about(
            name=NO_CHUTE if name == NONE else name,
            before=f"{before:,}",
            after=f"{after:,}",
            share=_share(before, after),
        )
        for name, before, after in changed[:TOLD_MAX]
    ]
    return told + [MORE.about(count=len(changed) - TOLD_MAX)] * (len(changed) > TOLD_MAX)


def _share(before: int, after: int) -> str | Sentence:
    """How much more, in percent."""
    if before == 0:
        return NEW
    percent = 100 * (after - before) / before
    return f"{percent:+.0f} %" if abs(percent) >= 10 else f"{percent:+.1f} %"


def traffic_diff(old: SortPlan, new: SortPlan, recorded: Recorded) -> Moves:
    """Try both plans on the same parcels. Hours and times are those of the new plan's clock.

    A parcel that may drop into several chutes is counted at the one that the core would choose, were full
    chutes emptied when no other is left; it moves only when the choice itself is another.
    """
    before, after = routing.route(old, recorded), routing.route(new, recorded)
    places = _numbered(before, after)
    moved = np.flatnonzero((places[0] != places[1]) | (before.reason != after.reason))
    hour = routing.local_minutes(recorded, new.plan.utc_offset_ns) // 60
    dealt = [_dealt(plan, routes, recorded.t_ns) for plan, routes in ((old, before), (new, after))]
    by_chute = [Counter(chutes) for chutes in dealt]
    by_hour = (Counter(zip(dealt[0], hour.tolist(), strict=True)), Counter(zip(dealt[1], hour.tolist(), strict=True)))
    return Moves(
        items=recorded.items,
        moved=len(moved),
        by_chute=_pairs(*({str(chute or NONE): each[chute] for chute in sorted(each)} for each in by_chute)),
        by_lane=_pairs(_by_lane(old, before), _by_lane(new, after)),
        by_reason=_pairs(_by_reason(before), _by_reason(after)),
        overflow=_overflow((old, new), by_hour),
        not_weighed=int(np.count_nonzero(recorded.weight_g == 0)),
        strange_lines=_strange(recorded.lines, recorded.line, (*old.names.lines, *new.names.lines)),
        strange_stations=_strange(recorded.stations, recorded.station, (*old.names.stations, *new.names.stations)),
        examples=_examples((old, new), (before, after), recorded, _spread(moved, before, after, places)),
        parcels=moved,
    )


_NO_CHUTE_NUMBER: Final = 0
_ByHour = Mapping[tuple[int, int], int]
"""Items by chute number and hour since 1970; _NO_CHUTE_NUMBER for those that no chute takes."""


def _numbered(before: Routes, after: Routes) -> tuple[Ints64, Ints64]:
    """The sets of chutes of two routings by one numbering; the order within a set says nothing."""
    number: dict[frozenset[int], int] = {}
    for chutes in (*before.sets, *after.sets):
        number.setdefault(frozenset(chutes), len(number))
    one, two = (
        np.array([number[frozenset(chutes)] for chutes in routes.sets], np.int64)[routes.chutes]
        for routes in (before, after)
    )
    return one, two


def _dealt(sort_plan: SortPlan, routes: Routes, t_ns: Ints64) -> list[int]:
    """The chute of each parcel: of those it may drop into the least full for its capacity, as the core chooses.

    Of equally full ones it is the first by position. Full chutes are emptied when a parcel finds no other. So chutes
    share by capacity, and as one without capacity is never the fuller one, the first such takes all but an item.
    """
    capacity = dict(zip(sort_plan.names.chutes, sort_plan.plan.chute_capacity.tolist(), strict=True))
    items = dict.fromkeys(capacity, 0)
    fullness = dict.fromkeys(capacity, 0.0)
    dealt = [_NO_CHUTE_NUMBER] * len(t_ns)
    order = np.argsort(t_ns, kind="stable")
    for parcel, at in zip(order.tolist(), routes.chutes[order].tolist(), strict=True):
        chutes = routes.sets[at]
        if not chutes:
            continue
        chute = min(chutes, key=fullness.__getitem__)
        if fullness[chute] == 1:
            chute = chutes[0]
            for full in chutes:
                items[full], fullness[full] = 0, 0.0
        dealt[parcel] = chute
        if capacity[chute]:
            items[chute] += 1
            fullness[chute] = items[chute] / capacity[chute]
    return dealt


def _by_lane(sort_plan: SortPlan, routes: Routes) -> dict[str, int]:
    lanes = (*sort_plan.names.lanes, NONE)
    counts = np.bincount(np.where(routes.lane == NONE_16, len(lanes) - 1, routes.lane), minlength=len(lanes))
    return dict(zip(lanes, counts.tolist(), strict=True))


def _by_reason(routes: Routes) -> dict[str, int]:
    counts = np.bincount(routes.reason, minlength=len(Reason)).tolist()
    return {reason.word: counts[reason] for reason in Reason}


def _pairs(before: Mapping[str, int], after: Mapping[str, int]) -> Pairs:
    names = dict.fromkeys((*before, *after))
    pairs = {name: (before.get(name, 0), after.get(name, 0)) for name in names}
    return {name: pair for name, pair in pairs.items() if any(pair)}


def _strange(names: Sequence[str], index: Words16, known: Sequence[str]) -> int:
    """How many have a name that is not known."""
    strange = [at for at, name in enumerate(names) if name not in known]
    return int(np.count_nonzero(np.isin(index, strange)))


def _overflow(plans: tuple[SortPlan, SortPlan], by_hour: tuple[_ByHour, _ByHour]) -> tuple[Overflow, ...]:
    """Hours of more items than can be taken, unless there were as many before and no more could be taken then."""
    old_capacity, capacity = (
        dict(zip(each.names.chutes, each.plan.chute_capacity.tolist(), strict=True)) for each in plans
    )
    before, after = by_hour
    found = []
    for (chute, hour), items in sorted(after.items(), key=lambda each: (each[0][1], each[0][0])):
        holds = capacity.get(chute, 0)
        was = before.get((chute, hour), 0)
        is_less = holds < (old_capacity.get(chute, 0) or items)  # 0 is no limit
        if 0 < holds * CHANGES_PER_HOUR_MAX < items and (items > was or is_less):
            found.append(Overflow(chute, _local(hour * 3600, "%Y-%m-%d %H:%M"), was, items, holds))
    return tuple(found)


def _local(local_s: int, form: str) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=local_s)).strftime(form)


def _spread(parcels: Ints64, before: Routes, after: Routes, places: tuple[Ints64, Ints64]) -> list[int]:
    """Parcels to show: the first of each kind of move, the commonest kind first, then the second of each, and so on."""
    kinds = int(max(each.max(initial=0) for each in places)) + 1
    move = np.zeros(len(parcels), np.int64)
    for routes, place in zip((before, after), places, strict=True):
        move = (move * kinds + place[parcels]) * len(Reason) + routes.reason[parcels]
    _, which, counts = np.unique(move, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:EXAMPLES_MAX]
    members = [parcels[which == group][:EXAMPLES_MAX].tolist() for group in order.tolist()]
    shown = [own[turn] for turn in range(EXAMPLES_MAX) for own in members if turn < len(own)]
    return shown[:EXAMPLES_MAX]


def _examples(
    plans: Sequence[SortPlan], routes: Sequence[Routes], recorded: Recorded, parcels: Sequence[int]
) -> tuple[Example, ...]:
    offset_ns = plans[-1].plan.utc_offset_ns
    found = []
    for parcel in parcels:
        waybill = next(filter(None, (routing.waybill_of(plan, recorded, parcel) for plan in plans)), "")
        time = _local((int(recorded.t_ns[parcel]) + offset_ns) // 10**9, "%Y-%m-%d %H:%M:%S")
        before, after = (_place(plan, each, parcel) for plan, each in zip(plans, routes, strict=True))
        found.append(Example(waybill, recorded.lines[recorded.line[parcel]], time, before, after))
    return tuple(found)


def _place(sort_plan: SortPlan, routes: Routes, parcel: int) -> Place:
    lane = int(routes.lane[parcel])
    return Place(
        routes.sets[routes.chutes[parcel]],
        "" if lane == NONE_16 else sort_plan.names.lanes[lane],
        Reason(int(routes.reason[parcel])).word,
        int(routes.row[parcel]),
    )
