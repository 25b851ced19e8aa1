"""Sheets of text become checked rows, or every error at once with its table, row and column."""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from sorter import limits
from sorter.reasons import Said, Sentence
from sorter.records import Line, Target
from sorter.rulebook import cells, mistakes, rows, waybill
from sorter.rulebook.cells import NO_WORD, CellError, Spans, Vocabulary, Words
from sorter.rulebook.crosscheck import CROSSCHECKS, misplaced
from sorter.rulebook.findings import Fault, Rejected
from sorter.rulebook.mistakes import Mistake
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet, plain

T = TypeVar("T")
PATTERN_TEXT_MAX: Final = 200


def check_sheets(
    sheets: Mapping[str, Sheet],
    lines: Mapping[str, Line],
    utc_offset_ns: int,
    errors: list[Fault],
    places_mm: Mapping[str, range] = {},
) -> rows.Checked:
    """The checked rows of all tables. `errors` are those already found while reading.

    `places_mm`: where each line's chutes may be, in millimetres behind its scanner; a line that it does
    not name may have them anywhere, so that a rule set can be read that was made for another geometry.
    Raises Rejected with these and all that is found here.
    """
    found = list(errors)
    if not errors:
        found += [Fault(table, 0, "", Mistake.NO_TABLE.about()) for table in TABLES if table not in sheets]
    told = {(fault.table, fault.row, fault.column) for fault in errors if fault.row and fault.column}
    names = _Names(sheets, lines)
    tables = {
        table: tuple(read(_Row(table, row, found), names) for row in sheets[table].rows) if table in sheets else ()
        for table, read in _READERS.items()
    }
    checked = rows.Checked(**tables, lines=lines, utc_offset_ns=utc_offset_ns)  # type: ignore[arg-type] # each reader makes its table's rows
    for look, needed in CROSSCHECKS.items():
        if needed <= sheets.keys():
            found += [fault for fault in look(checked) if fault.table in sheets]
    found += misplaced(checked.chutes, places_mm)
    found = [*errors, *(one for one in found[len(errors) :] if (one.table, one.row, one.column) not in told)]
    if found:
        order = list(_READERS)
        found.sort(key=lambda each: (order.index(each.table) if each.table in order else -1, each.row))
        raise Rejected([sheets[fault.table].placed(fault) if fault.table in sheets else fault for fault in found])
    return checked


class _Names:
    """The names that cells may refer to, gathered from key columns alone, so that one error makes no other."""

    def __init__(self, sheets: Mapping[str, Sheet], lines: Mapping[str, Line]) -> None:
        self.carrier = _vocabulary(mistakes.CARRIER, sheets, "carriers", "carrier")
        self.station = _vocabulary(mistakes.STATION, sheets, "stations", "station")
        self.township = _vocabulary(mistakes.TOWNSHIP, sheets, "stations", "township")
        self.lane = _vocabulary(mistakes.LANE, sheets, "lanes", "lane")
        self.chute = _vocabulary(
            mistakes.CHUTE,
            sheets,
            "chutes",
            "chute",
            lambda text: text.lstrip("0") if text.isascii() and text.isdecimal() else "",
        )
        self.line = Vocabulary(mistakes.LINE, mistakes.IN_SITE, lines)
        self.station_kind = _fixed(mistakes.STATION_KIND, rows.STATION_KINDS)
        self.lane_kind = _fixed(mistakes.LANE_KIND, rows.LANE_KINDS)
        self.flow = _fixed(mistakes.FLOW, rows.FLOWS)
        self.reason = _fixed(mistakes.REASON, rows.REASON_WORDS)


class _Unread(Vocabulary):
    """Of a table that cannot be read every name may be right: its own error is enough."""

    def find(self, word: str) -> str:
        return word

    def find_prefix(self, prefix: str) -> str:
        return f"{prefix}*"


def _vocabulary(
    what: Sentence, sheets: Mapping[str, Sheet], table: str, column: str, spelling: Callable[[str], str] = str
) -> Vocabulary:
    if table not in sheets or not sheets[table].rows:
        return _Unread(what, mistakes.KNOWN, ())
    sheet = sheets[table]
    texts = (spelling(row.texts[column]) for row in sheet.rows)
    names = [text for text in texts if text not in cells.ANY]
    return Vocabulary(what, _where(sheet), names, titles=_titles(sheet, column))


def _where(sheet: Sheet) -> Said:
    if sheet.title:
        return mistakes.ON_SHEET.about(sheet=sheet.title)
    return mistakes.IN_FILE.about(file=sheet.source or f"{sheet.table}.csv")


def _titles(sheet: Sheet, column: str) -> dict[str, str]:
    """Name -> code, of the names that one code alone has."""
    codes: dict[str, set[str]] = {}
    if column == next(iter(TABLES[sheet.table])):
        for row in sheet.rows:
            codes.setdefault(plain(row.texts.get("name", "")), set()).add(row.texts[column])
    return {title: code for title, (code, *others) in codes.items() if title not in cells.ANY and not others}


def _fixed(what: Sentence, spellings: Mapping[str, tuple[str, ...]]) -> Vocabulary:
    aliases = {alias: word for word, others in spellings.items() for alias in others}
    return Vocabulary(what, mistakes.KNOWN, spellings, aliases)


class _Row:
    """Takes a row's cells one by one; a wrong one is noted and a stand-in goes on."""

    def __init__(self, table: str, row: Cells, found: list[Fault]) -> None:
        self.table = table
        self.at = row.at
        self.texts = row.texts
        self.found = found

    def take(self, column: str, read: Callable[[str], T], stand_in: T, *, date: bool = False) -> T:
        try:
            return read(cells.undamaged(self.texts[column], date=date))
        except CellError as error:
            self.found.append(Fault(self.table, self.at, column, error.said))
            return stand_in

    def name(self, column: str) -> str:
        return self.take(column, cells.name, "")

    def title(self) -> str:
        return self.take("name", cells.title, "", date=True)

    def word(self, column: str, vocabulary: Vocabulary) -> str:
        return self.take(column, lambda text: cells.word(text, vocabulary), "")

    def maybe(self, column: str, vocabulary: Vocabulary) -> str:
        return self.take(column, lambda text: cells.maybe(text, lambda word: cells.word(word, vocabulary)), "")

    def words(self, column: str, vocabulary: Vocabulary) -> Words:
        return self.take(column, lambda text: cells.words(text, vocabulary), NO_WORD)

    def number(self, column: str, least: int, most: int, unit: Sentence) -> int:
        return self.take(column, lambda text: cells.number(text, least, most, unit), 0)

    def spans(self, column: str, most: int, unit: Sentence) -> Spans:
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
        raise CellError(Mistake.EMPTY_FORMAT.about())
    if len(text) > PATTERN_TEXT_MAX:
        raise CellError(Mistake.FORMAT_TOO_LONG.about(length=len(text), most=PATTERN_TEXT_MAX))
    try:
        waybill.compile_patterns([waybill.parse(text)])
    except (waybill.PatternError, waybill.TooManyStates) as error:
        raise CellError(error.said) from error
    return text


def _station(row: _Row, names: _Names) -> rows.Station:
    return rows.Station(
        row.at,
        row.name("station"),
        row.title(),
        row.word("kind", names.station_kind),
        row.take("township", lambda text: cells.maybe(text, cells.name), ""),
        row.maybe("lane", names.lane),
        row.note,
    )


SEGMENTS: Final = ("一段码", "二段码", "三段码")


def _sort_code(row: _Row, names: _Names) -> rows.SortCode:
    segments = [row.take(column, segment_text, "") for column in SEGMENTS]
    blank = [row.texts[column] in cells.ANY for column in SEGMENTS]
    for column, is_blank, next_blank in zip(SEGMENTS, blank, blank[1:], strict=False):
        if is_blank and not next_blank:
            row.found.append(Fault("sort_codes", row.at, column, Mistake.SEGMENT_GAP.about()))
    if all(blank):
        row.found.append(Fault("sort_codes", row.at, SEGMENTS[0], Mistake.NO_SEGMENT.about()))
    key = "-".join(segment for segment in segments if segment)
    if len(key) > limits.WAYBILL_TEXT_MAX:
        said = Mistake.SORT_CODE_TOO_LONG.about(text=key, length=len(key), most=limits.WAYBILL_TEXT_MAX)
        row.found.append(Fault("sort_codes", row.at, SEGMENTS[0], said))
    return rows.SortCode(row.at, row.words("carrier", names.carrier), key, row.word("station", names.station), row.note)


_NO_SEGMENT: Final = re.compile(r"[^0-9A-Za-z./]")


def segment_text(text: str) -> str:
    if text in cells.ANY:
        return ""
    if "-" in text:
        raise CellError(Mistake.SEGMENT_WITH_DASH.about(text=text))
    wrong = _NO_SEGMENT.search(text)
    if wrong:
        raise CellError(Mistake.SEGMENT_SIGN.about(text=text, sign=wrong[0]))
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
        raise CellError(Mistake.LANE_IS_A_NUMBER.about(text=text))
    if text.lower().startswith(rows.REJECT):
        raise CellError(Mistake.LANE_IS_A_REJECTION.about(text=text))
    return cells.name(text)


def _trip(row: _Row, names: _Names) -> rows.Trip:
    return rows.Trip(
        row.at,
        row.word("lane", names.lane),
        row.days(),
        row.take("departs", cells.departures, ()),
        row.take("cutoff_min", lambda text: cells.minutes_before(text, 7 * cells.DAY_MIN - 1), 0),
        row.capacity(),
        row.note,
    )


def _chute(row: _Row, names: _Names) -> rows.Chute:
    return rows.Chute(
        row.at,
        row.take("chute", _chute_number, 0),
        row.word("line", names.line),
        row.take("position", cells.metres, rows.NO_PLACE),
        row.take("lane", lambda text: cells.listed(text, names.lane), _known(row.texts["lane"], names.lane)),
        row.capacity(),
        row.note,
    )


def _chute_number(text: str) -> int:
    return cells.number(text, 1, limits.CHUTE_NUMBER_MAX, mistakes.CHUTE_NUMBER)


def _known(text: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """What is right in a list that may be partly wrong, so that one error makes no others."""
    return tuple(part for part in map(str.strip, text.split("|")) if part in vocabulary.names)


def _rule(row: _Row, names: _Names) -> rows.Rule:
    return rows.Rule(
        row.at,
        row.number("row", 1, limits.ROW_NUMBER_MAX, mistakes.ROW_NUMBER),
        row.words("carrier", names.carrier),
        row.words("station", names.station),
        row.words("township", names.township),
        row.take("service", cells.free_words, NO_WORD),
        row.words("flow", names.flow),
        row.spans("weight_g", limits.WEIGHT_MAX_G, mistakes.GRAMS),
        row.spans("length_mm", limits.SIZE_MAX_MM, mistakes.MILLIMETRES),
        row.take("time", cells.times, ()),
        row.days(),
        row.take("send_to", lambda text: _send_to(text, names), rows.SendTo(Target.REJECT, "")),
        row.note,
    )


def _send_to(text: str, names: _Names) -> rows.SendTo:
    if text in cells.ANY:
        raise CellError(Mistake.EMPTY_SEND_TO.about())
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
