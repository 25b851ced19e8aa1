"""Sheets of text become checked rows, or every error at once with its table, row and column."""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from sorter import limits
from sorter.records import Line, Target
from sorter.rulebook import cells, rows, waybill
from sorter.rulebook.cells import NO_WORD, CellError, Spans, Vocabulary, Words
from sorter.rulebook.crosscheck import CROSSCHECKS
from sorter.rulebook.findings import Finding, Rejected
from sorter.rulebook.tables import NOTE, Cells, Sheet

T = TypeVar("T")
PATTERN_TEXT_MAX: Final = 200


def check_sheets(
    sheets: Mapping[str, Sheet], lines: Mapping[str, Line], utc_offset_ns: int, errors: list[Finding]
) -> rows.Checked:
    """The checked rows of all tables. `errors` are those already found while reading.

    Raises Rejected with these and all that is found here.
    """
    found = list(errors)
    names = _Names(sheets, lines)
    tables = {
        table: tuple(read(_Row(table, row, found), names) for row in sheets[table].rows) if table in sheets else ()
        for table, read in _READERS.items()
    }
    checked = rows.Checked(**tables, lines=lines, utc_offset_ns=utc_offset_ns)  # type: ignore[arg-type] # each reader makes its table's rows
    for look, needed in CROSSCHECKS.items():
        if needed <= sheets.keys():
            found += [finding for finding in look(checked) if finding.table in sheets]
    if found:
        order = list(_READERS)
        found.sort(key=lambda each: (order.index(each.table) if each.table in order else -1, each.row))
        raise Rejected(found)
    return checked


class _Names:
    """The names that cells may refer to, gathered from key columns alone, so that one error makes no other."""

    def __init__(self, sheets: Mapping[str, Sheet], lines: Mapping[str, Line]) -> None:
        self.carrier = _vocabulary(sheets, "carriers", "carrier")
        self.station = _vocabulary(sheets, "stations", "station")
        self.township = _vocabulary(sheets, "stations", "township")
        self.lane = _vocabulary(sheets, "lanes", "lane")
        self.chute = _vocabulary(
            sheets, "chutes", "chute", lambda text: text.lstrip("0") if text.isascii() and text.isdecimal() else ""
        )
        self.line = Vocabulary("line", "of site.toml", lines)
        self.station_kind = _fixed("kind of station", rows.STATION_KINDS)
        self.lane_kind = _fixed("kind of lane", rows.LANE_KINDS)
        self.flow = _fixed("flow", rows.FLOWS)
        self.reason = _fixed("reason for an exception chute", rows.REASON_WORDS)


class _Unread(Vocabulary):
    """Of a table that cannot be read every name may be right: its own error is enough."""

    def find(self, word: str) -> str:
        return word

    def find_prefix(self, prefix: str) -> str:
        return f"{prefix}*"


def _vocabulary(
    sheets: Mapping[str, Sheet], table: str, column: str, spelling: Callable[[str], str] = str
) -> Vocabulary:
    where = f"in {table}.csv"
    if table not in sheets:
        return _Unread(column, where, ())
    texts = (spelling(row.texts[column]) for row in sheets[table].rows)
    return Vocabulary(column, where, (text for text in texts if text not in cells.ANY))


def _fixed(what: str, spellings: Mapping[str, tuple[str, ...]]) -> Vocabulary:
    aliases = {alias: word for word, others in spellings.items() for alias in others}
    return Vocabulary(what, "that is known", spellings, aliases)


class _Row:
    """Takes a row's cells one by one; a wrong one is noted and a stand-in goes on."""

    def __init__(self, table: str, row: Cells, found: list[Finding]) -> None:
        self.table = table
        self.at = row.at
        self.texts = row.texts
        self.found = found

    def take(self, column: str, read: Callable[[str], T], stand_in: T, *, date: bool = False) -> T:
        try:
            return read(cells.undamaged(self.texts[column], date=date))
        except CellError as error:
            self.found.append(Finding(self.table, self.at, column, str(error)))
            return stand_in

    def name(self, column: str) -> str:
        return self.take(column, cells.name, "")

    def title(self) -> str:
        return self.take("name", cells.title, "", date=True)

    def word(self, column: str, vocabulary: Vocabulary) -> str:
        return self.take(column, lambda text: cells.word(text, vocabulary), "")

    def maybe(self, column: str, vocabulary: Vocabulary) -> str:
        return self.take(column, lambda text: "" if text in cells.ANY else cells.word(text, vocabulary), "")

    def words(self, column: str, vocabulary: Vocabulary) -> Words:
        return self.take(column, lambda text: cells.words(text, vocabulary), NO_WORD)

    def number(self, column: str, least: int, most: int, unit: str) -> int:
        return self.take(column, lambda text: cells.number(text, least, most, unit), 0)

    def spans(self, column: str, most: int, unit: str) -> Spans:
        return self.take(column, lambda text: cells.spans(text, most, unit), ())

    def capacity(self) -> int:
        return self.take("capacity", cells.capacity, 0)

    def days(self) -> tuple[int, ...]:
        return self.take("days", cells.days, cells.ALL_DAYS)

    @property
    def note(self) -> str:
        return self.texts[NOTE]


def _carrier(row: _Row, _: _Names) -> rows.Carrier:
    return rows.Carrier(
        row.at,
        row.name("carrier"),
        row.title(),
        row.take("waybill", _pattern, ""),
        row.take("valid_from", cells.date, "", date=True),
        row.note,
    )


def _pattern(text: str) -> str:
    if text in cells.ANY:
        raise CellError("the cell is empty; write the waybill format, such as SF\\d{12}")
    if len(text) > PATTERN_TEXT_MAX:
        raise CellError(f"the format has {len(text)} characters; write at most {PATTERN_TEXT_MAX}, or several rows")
    try:
        waybill.compile_patterns([waybill.parse(text)])
    except (waybill.PatternError, waybill.TooManyStates) as error:
        raise CellError(str(error)) from error
    return text


def _station(row: _Row, names: _Names) -> rows.Station:
    return rows.Station(
        row.at,
        row.name("station"),
        row.title(),
        row.word("kind", names.station_kind),
        row.take("township", lambda text: "" if text in cells.ANY else cells.name(text), ""),
        row.maybe("lane", names.lane),
        row.note,
    )


SEGMENTS: Final = ("一段码", "二段码", "三段码")


def _sort_code(row: _Row, names: _Names) -> rows.SortCode:
    segments = [row.take(column, _segment, "") for column in SEGMENTS]
    blank = [row.texts[column] in cells.ANY for column in SEGMENTS]
    for column, is_blank, next_blank in zip(SEGMENTS, blank, blank[1:], strict=False):
        if is_blank and not next_blank:
            row.found.append(
                Finding("sort_codes", row.at, column, "the cell is empty although the next segment is not; fill it")
            )
    if all(blank):
        row.found.append(Finding("sort_codes", row.at, SEGMENTS[0], "the cell is empty; write the first segment"))
    key = "-".join(segment for segment in segments if segment)
    if len(key) > limits.WAYBILL_TEXT_MAX:
        message = f'"{key}" has {len(key)} characters with its dashes; the most is {limits.WAYBILL_TEXT_MAX}'
        row.found.append(Finding("sort_codes", row.at, SEGMENTS[0], message))
    return rows.SortCode(row.at, row.words("carrier", names.carrier), key, row.word("station", names.station), row.note)


_NO_SEGMENT: Final = re.compile(r"[^0-9A-Za-z./]")


def _segment(text: str) -> str:
    if text in cells.ANY:
        return ""
    if "-" in text:
        raise CellError(f'"{text}" holds a dash; write each segment in a column of its own')
    wrong = _NO_SEGMENT.search(text)
    if wrong:
        raise CellError(f'"{text}" holds "{wrong[0]}"; a segment is of digits, A-Z, . and /')
    return text.upper()


def _lane(row: _Row, names: _Names) -> rows.Lane:
    return rows.Lane(
        row.at,
        row.take("lane", _lane_name, ""),
        row.title(),
        row.word("kind", names.lane_kind),
        row.maybe("spill_to", names.lane),
        row.note,
    )


def _lane_name(text: str) -> str:
    if text.isascii() and text.isdecimal():
        raise CellError(f'"{text}" could be a chute in send_to; a lane\'s name has at least one letter')
    if text.lower().startswith(rows.REJECT):
        raise CellError(f'"{text}" could be a rejection in send_to; name the lane otherwise')
    return cells.name(text)


def _trip(row: _Row, names: _Names) -> rows.Trip:
    return rows.Trip(
        row.at,
        row.word("lane", names.lane),
        row.days(),
        row.take("departs", cells.departures, ()),
        row.number("cutoff_min", 0, 7 * cells.DAY_MIN - 1, "minutes before departure"),
        row.capacity(),
        row.note,
    )


def _chute(row: _Row, names: _Names) -> rows.Chute:
    return rows.Chute(
        row.at,
        row.take("chute", _chute_number, 0),
        row.word("line", names.line),
        row.take("position", cells.metres, 0),
        row.take("lane", lambda text: cells.listed(text, names.lane), _known(row.texts["lane"], names.lane)),
        row.capacity(),
        row.note,
    )


def _chute_number(text: str) -> int:
    return cells.number(text, 1, limits.CHUTE_NUMBER_MAX, "the chute's number")


def _known(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """What is right in a list that may be partly wrong, so that one error makes no others."""
    return tuple(part for part in map(str.strip, text.split("|")) if part in vocabulary.names)


def _rule(row: _Row, names: _Names) -> rows.Rule:
    return rows.Rule(
        row.at,
        row.number("row", 1, limits.ROW_NUMBER_MAX, "the row's number"),
        row.words("carrier", names.carrier),
        row.words("station", names.station),
        row.words("township", names.township),
        row.take("service", cells.free_words, NO_WORD),
        row.words("flow", names.flow),
        row.spans("weight_g", limits.WEIGHT_MAX_G, "grams"),
        row.spans("length_mm", limits.SIZE_MAX_MM, "millimetres"),
        row.take("time", cells.times, ()),
        row.days(),
        row.take("send_to", lambda text: _send_to(text, names), rows.SendTo(Target.REJECT, "")),
        row.note,
    )


def _send_to(text: str, names: _Names) -> rows.SendTo:
    if text in cells.ANY:
        raise CellError("the cell is empty; write a lane, a chute, or reject: and a reason, such as reject:overweight")
    if text.lower().startswith(rows.REJECT):
        return rows.SendTo(Target.REJECT, cells.word(text[len(rows.REJECT) :].strip(), names.reason))
    if text.isascii() and text.isdecimal():
        return rows.SendTo(Target.CHUTE, str(_known_chute(text, names)))
    return rows.SendTo(Target.LANE, cells.word(text, names.lane))


def _known_chute(text: str, names: _Names) -> int:
    number = _chute_number(text)
    cells.word(str(number), names.chute)
    return number


def _exception(row: _Row, names: _Names) -> rows.ExceptionChute:
    return rows.ExceptionChute(
        row.at,
        row.words("reason", names.reason),
        row.words("line", names.line),
        row.take("chute", lambda text: _known_chute(text, names), 0),
        row.note,
    )


_READERS: Final[Mapping[str, Callable[[_Row, _Names], NamedTuple]]] = {
    "carriers": _carrier,
    "stations": _station,
    "sort_codes": _sort_code,
    "lanes": _lane,
    "trips": _trip,
    "chutes": _chute,
    "rules": _rule,
    "exceptions": _exception,
}
