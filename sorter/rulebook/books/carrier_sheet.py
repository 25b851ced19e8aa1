"""A carrier's own sheet, 格口号|一段码|二段码|三段码, joins the rule set: its sort codes drop where it says.

For each chute it names there is a station of the carrier's, and a rule that sends that station to the chute.
Importing the sheet again replaces what its last import made, which a note on the rows tells.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.reasons import Said
from sorter.rulebook import cells, mistakes, tables
from sorter.rulebook.books import zeros
from sorter.rulebook.books.workbook import read_grid
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx.grid import Grid
from sorter.rulebook.books.xlsx.package import read_grids
from sorter.rulebook.cells import CellError, Vocabulary, Words
from sorter.rulebook.check import SEGMENTS, segment_text
from sorter.rulebook.findings import Fault
from sorter.rulebook.mistakes import Mistake, Wrong
from sorter.rulebook.tables import NOTE, TABLES, Cells, Columns, Sheet, Unreadable, header_key

NOTE_OF_IMPORT: Final = "承运商格口表导入"
"""Marks the rows that an import made. A row whose note is changed is staff's own from then on."""
STATION_KIND: Final = "counter"
HEADER_WITHIN: Final = 10
"""The header is looked for in so many rows that hold anything; a title may stand above it."""

_COLUMNS: Final[Columns] = {
    "chute": (*TABLES["chutes"]["chute"], "格口编号"),
    **{segment: TABLES["sort_codes"][segment] for segment in SEGMENTS},
    "carrier": (*TABLES["carriers"]["carrier"], "快递公司"),
}
_CONDITIONS: Final = ("township", "service", "flow", "weight_g", "length_mm", "time", "days")
"""What a rule may ask beside carrier and station."""
_NEEDED: Final = {"chute", SEGMENTS[0]}
_NUMBERS: Final = frozenset({"chute"})
_HEADERS: Final = tables.by_header(_COLUMNS)
_STATION_HEADERS: Final = {header_key(header) for header in ("station", *TABLES["sort_codes"]["station"])}

Records = list[tuple[int, list[str]]]


class CarrierRow(NamedTuple):
    """A sort code and the chute it drops into."""

    at: int
    carrier: str  # code or name; "": whoever the sheet is from
    chute: int
    key: str  # the segments joined by -


class CarrierSheet(NamedTuple):
    """The rows of a carrier's sheet, and where they stand."""

    rows: list[CarrierRow]
    sheet: Sheet


def is_carrier_sheet(headers: Sequence[str]) -> bool:
    """Whether a header row names a chute and sort codes, and no station as the table sort_codes does."""
    keys = {header_key(header) for header in headers}
    return {_HEADERS.get(key, "") for key in keys} >= _NEEDED and not keys & _STATION_HEADERS


def read_carrier_sheet(path: Path) -> tuple[CarrierSheet | None, list[Fault]]:
    """The rows of a carrier's .xlsx or CSV that are right, and what is wrong. None: no such sheet at all.

    Columns that are not needed are passed over, and so are rows above the header.
    """
    try:
        grid = _grid(path)
        columns = {column: others for column, others in _COLUMNS.items() if column in _named(grid.records[0][1])}
        sheet, faults = read_grid(path.name, grid, columns, path.name, _NUMBERS)
    except Unreadable as error:
        return None, [error.fault("", path.name)]
    told = {(fault.row, fault.column) for fault in faults}
    rows = []
    for row in sheet.rows:
        parsed, wrong = _row(row)
        faults += [
            sheet.placed(Fault(path.name, row.at, column, said))
            for column, said in wrong
            if (row.at, column) not in told
        ]
        if not wrong:
            rows.append(parsed)
    if not sheet.rows and not faults:
        faults = [sheet.placed(Fault(path.name, 0, "", Mistake.NO_ROWS.about()))]
    return CarrierSheet(rows, sheet), faults


def _grid(path: Path) -> Grid:
    """The one sheet of a file that is a carrier's. Raises Unreadable."""
    data = tables.read_bytes(path)
    if path.suffix.casefold() in {".csv", ".txt", ".tsv"}:
        text = tables.decode(data, _COLUMNS)
        grids = [Grid("", False, list(tables.records_of(text)), [], [], [], set(), "")]
    else:
        grids = read_grids(path)
    found = [grid._replace(records=records) for grid in grids if (records := _from_header(grid.records))]
    if not found:
        raise Unreadable(WorkbookMistake.NO_CARRIER_SHEET.about())
    if len(found) > 1:
        raise Unreadable(WorkbookMistake.TWO_CARRIER_SHEETS.about(one=found[0].title, other=found[1].title))
    return found[0]


def _from_header(records: Records) -> Records:
    """The records from the header on, with the columns that count alone; [] where there is no header."""
    filled = [(at, texts) for at, texts in records if any(texts)]
    start = next((at for at, (_, texts) in enumerate(filled[:HEADER_WITHIN]) if is_carrier_sheet(texts)), None)
    if start is None:
        return []
    wanted = [header_key(header) in _HEADERS for header in filled[start][1]]
    return [
        (at, [text if is_wanted else "" for text, is_wanted in zip(texts, wanted, strict=False)])
        for at, texts in filled[start:]
    ]


def _named(headers: Iterable[str]) -> set[str]:
    return {_HEADERS[key] for header in headers if (key := header_key(header)) in _HEADERS}


def _row(row: Cells) -> tuple[CarrierRow, list[tuple[str, Said]]]:
    """A row, and what is wrong with its cells, by column."""
    wrong: list[tuple[str, Said]] = []

    def take(column: str, read: Callable[[str], str]) -> str:
        try:
            return read(cells.undamaged(row.texts.get(column, "")))
        except Wrong as error:
            wrong.append((column, error.said))
            return ""

    chute = take("chute", _chute)
    segments = [take(segment, segment_text) for segment in SEGMENTS]
    is_blank = [row.texts.get(segment, "") in cells.ANY for segment in SEGMENTS]
    if is_blank[0]:
        wrong.append((SEGMENTS[0], Mistake.NO_SEGMENT.about()))
    elif is_blank[1] and not is_blank[2]:
        wrong.append((SEGMENTS[1], Mistake.SEGMENT_GAP.about()))
    key = "-".join(filter(None, segments))
    return CarrierRow(row.at, row.texts.get("carrier", ""), int(chute or 0), key), wrong


def _chute(text: str) -> str:
    return str(cells.number(text, 1, limits.CHUTE_NUMBER_MAX, mistakes.CHUTE_NUMBER))


def join(
    carrier: str, taken: CarrierSheet, draft: Mapping[str, Sheet], *, replace: bool = False
) -> tuple[dict[str, Sheet], list[Fault]]:
    """The draft with what the carrier's sheet says; the draft as it was when anything is wrong.

    `carrier`: the code or name of whoever the rows without a carrier are from; "": nobody.
    `replace`: also rows that an import made and staff has edited since, and codes that lost their zeros.
    Needs the draft's tables carriers, stations, sort_codes, chutes and rules.
    """
    joiner = _Joiner(carrier, taken, draft)
    faults = [taken.sheet.placed(fault) for fault in joiner.faults()]
    if not replace:
        faults += [*joiner.edited(), *map(taken.sheet.placed, joiner.zeros_lost())]
    if faults:
        return dict(draft), faults
    changed, unplaced = joiner.changed()
    faults = [taken.sheet.placed(fault) for fault in unplaced]
    return (dict(draft) if faults else {**draft, **changed}), faults


class _Joiner:
    """One carrier's sheet and the draft it joins."""

    def __init__(self, carrier: str, taken: CarrierSheet, draft: Mapping[str, Sheet]) -> None:
        self.table = taken.sheet.table
        self.draft = draft
        self.given = carrier
        self.titles = {row.texts["carrier"]: row.texts["name"] for row in draft["carriers"].rows}
        codes = {title: code for code, title in self.titles.items()} | {code: code for code in self.titles}
        self.rows = [(codes.get(row.carrier or carrier, ""), row) for row in taken.rows]
        self.carriers = {codes.get(carrier, ""), *(code for code, _ in self.rows)} - {""}
        self.lanes = {row.texts["chute"].lstrip("0"): row.texts["lane"] for row in draft["chutes"].rows}

    def faults(self) -> Iterator[Fault]:
        """What the draft does not have, and what it has already."""
        first: dict[tuple[str, str], int] = {}
        by_hand = self._sort_codes_by_hand()
        stations = {row.texts["station"]: row.at for row in self.draft["stations"].rows if not self._is_made(row)}
        for carrier, row in self.rows:
            if not carrier:
                yield Fault(self.table, row.at, "carrier", self._no_carrier(row))
                continue
            if str(row.chute) not in self.lanes:
                yield Fault(self.table, row.at, "chute", WorkbookMistake.NO_SUCH_CHUTE.about(chute=row.chute))
            station = _station(carrier, row)
            if station in stations:
                said = WorkbookMistake.STATION_BY_HAND.about(station=station, row=stations[station])
                yield Fault(self.table, row.at, "chute", said)
            if first.setdefault((carrier, row.key), row.at) != row.at:
                said = WorkbookMistake.SORT_CODE_TWICE.about(key=row.key, row=first[carrier, row.key])
                yield Fault(self.table, row.at, SEGMENTS[0], said)
            for words, other in by_hand.get(row.key, ()):
                if words.has(carrier):
                    facts = {"key": row.key, "row": other.at, "station": other.texts["station"]}
                    yield Fault(self.table, row.at, SEGMENTS[0], WorkbookMistake.SORT_CODE_BY_HAND.about(**facts))

    def edited(self) -> Iterator[Fault]:
        """The rows that an import made and that say by now what no import would."""
        for table in ("stations", "rules", "sort_codes"):
            for row in self.draft[table].rows:
                column = self._edited_column(table, row.texts) if self._is_made(row) else ""
                if column:
                    said = WorkbookMistake.MADE_ROW_EDITED.about(note=NOTE_OF_IMPORT)
                    yield self.draft[table].placed(Fault(table, row.at, column, said))

    def zeros_lost(self) -> list[Fault]:
        """The sort codes that are as the last import's but for zeros at the front."""
        made = [row.texts for row in self.draft["sort_codes"].rows if self._is_made(row)]
        before = [(texts["carrier"], *_key(texts).split("-")) for texts in made]
        after = {row.at: (carrier, *row.key.split("-")) for carrier, row in self.rows}
        return zeros.faults_of(self.table, after, before, ("carrier", *SEGMENTS))

    def _edited_column(self, table: str, texts: Mapping[str, str]) -> str:
        """The first column that is not as made; "": none. A chute's lane may have changed since the import."""
        carrier, _, chute = texts["station"].rpartition("-")
        made = {
            "stations": {"kind": STATION_KIND, "township": ""},
            "rules": {"carrier": carrier, "send_to": chute, **dict.fromkeys(_CONDITIONS, "")},
            "sort_codes": {"carrier": carrier},
        }[table]
        return next((column for column, text in made.items() if texts[column] not in {text, text or "-"}), "")

    def changed(self) -> tuple[dict[str, Sheet], list[Fault]]:
        """The tables with the rows of this sheet in place of those its last import made, and where that fails."""
        stations, rules, codes = {}, {}, {}
        decided = self._decided()
        for carrier, row in self.rows:
            station = _station(carrier, row)
            chute = str(row.chute)
            lane = self.lanes[chute].split("|")[0].strip()
            name = f"{self.titles[carrier]} 格口{chute}"
            stations[station] = {"station": station, "name": name, "kind": STATION_KIND, "lane": lane}
            if station not in decided:
                rules[station] = {"carrier": carrier, "station": station, "send_to": chute}
            segments = dict(zip(SEGMENTS, row.key.split("-"), strict=False))
            codes[carrier, row.key] = {"carrier": carrier, **segments, "station": station}
        joined = {
            "stations": self._replaced("stations", stations, lambda texts: texts["station"]),
            "rules": self._replaced("rules", rules, lambda texts: texts["station"]),
            "sort_codes": self._replaced("sort_codes", codes, lambda texts: (texts["carrier"], _key(texts))),
        }
        texts, faults = self._numbered(joined["rules"], list(stations))
        joined["rules"] = joined["rules"]._replace(rows=[Cells(at, each) for at, each in enumerate(texts, 2)])
        return joined, faults

    def _replaced(self, table: str, wanted: dict[Any, dict[str, str]], key: Callable[[dict[str, str]], Any]) -> Sheet:
        """A row made before keeps its place when it is wanted again; new ones come last."""
        left = dict(wanted)
        texts = []
        for row in self.draft[table].rows:
            if not self._is_made(row):
                texts.append(row.texts)
            elif key(row.texts) in left:
                texts.append(_made(table, left.pop(key(row.texts)), row.texts.get("row", "")))
        texts += [_made(table, new, "") for new in left.values()]
        return self.draft[table]._replace(rows=[Cells(at, each) for at, each in enumerate(texts, 2)])

    def _numbered(self, rules: Sheet, stations: Sequence[str]) -> tuple[list[dict[str, str]], list[Fault]]:
        """The rules in order, those of this sheet above the first one that would take all of their items."""
        takers = self._takers(rules, stations)
        above: dict[int, list[dict[str, str]]] = {}  # by the row they stand above; 0: no row takes their items
        staying = []
        for row in rules.rows:
            taker = self._taker(row, takers) if self._is_made(row) else 0
            if row.texts["row"] and not 0 < taker < row.at:
                staying.append(row)
            else:
                above.setdefault(taker, []).append(row.texts)
        texts: list[dict[str, str]] = []
        faults: list[Fault] = []
        last = 0
        for below in [*staying, None]:
            new = above.get(below.at if below else 0, [])
            number = _number(below.texts["row"]) if below else limits.ROW_NUMBER_MAX + 1
            if new and last + len(new) >= number:
                faults.append(self._no_number(below))
            texts += [each | {"row": str(last + step)} for step, each in enumerate(new, 1)]
            if below:
                texts.append(below.texts)
                last = max(last, number)
        return texts, faults

    def _takers(self, rules: Sheet, stations: Sequence[str]) -> list[tuple[int, Words, Words]]:
        """The rules without any condition but of carrier and station: (row, carriers, stations)."""
        names = [row.texts["station"] for row in self.draft["stations"].rows]
        carriers = Vocabulary(mistakes.CARRIER, mistakes.KNOWN, self.titles)
        known = Vocabulary(mistakes.STATION, mistakes.KNOWN, [*names, *stations])
        found = []
        for row in rules.rows:
            if self._is_made(row) or _has_conditions(row):
                continue
            try:
                words = cells.words(row.texts["carrier"], carriers), cells.words(row.texts["station"], known)
            except CellError:
                continue  # the check tells it, at its own row
            found.append((row.at, *words))
        return found

    def _decided(self) -> set[str]:
        """The stations of which a row of staff's own says where all of the carrier's items go."""
        return {
            station
            for row in self.draft["rules"].rows
            if not self._is_made(row) and not _has_conditions(row)
            for station in [row.texts["station"]]
            if row.texts["carrier"] in {station.rpartition("-")[0], *cells.ANY}
        }

    def _taker(self, made: Cells, takers: Sequence[tuple[int, Words, Words]]) -> int:
        """The first row that takes all of a made rule's items; 0: none."""
        carrier, station = made.texts["carrier"], made.texts["station"]
        return next((at for at, carriers, stations in takers if carriers.has(carrier) and stations.has(station)), 0)

    def _no_number(self, row: Cells | None) -> Fault:
        if row is None:
            return Fault(self.table, 0, "", WorkbookMistake.NO_ROW_NUMBER_LEFT.about(most=limits.ROW_NUMBER_MAX))
        said = WorkbookMistake.NO_NUMBER_ABOVE.about(number=row.texts["row"])
        return Fault(self.table, 0, "", said)

    def _is_made(self, row: Cells) -> bool:
        """Whether an import of one of these carriers made the row."""
        carrier, _, chute = row.texts["station"].rpartition("-")
        return row.texts[NOTE] == NOTE_OF_IMPORT and carrier in self.carriers and chute.isdecimal()

    def _no_carrier(self, row: CarrierRow) -> Said:
        name = row.carrier or self.given
        return WorkbookMistake.NO_SUCH_CARRIER.about(text=name) if name else WorkbookMistake.CARRIER_NOT_GIVEN.about()

    def _sort_codes_by_hand(self) -> dict[str, list[tuple[Words, Cells]]]:
        """The rows that no import of these carriers made, by their segments."""
        carriers = Vocabulary(mistakes.CARRIER, mistakes.KNOWN, self.titles)
        found: dict[str, list[tuple[Words, Cells]]] = {}
        for row in self.draft["sort_codes"].rows:
            if self._is_made(row):
                continue
            try:
                words = cells.words(row.texts["carrier"], carriers)
            except CellError:
                continue  # the check tells it, at its own row
            found.setdefault(_key(row.texts), []).append((words, row))
        return found


def _has_conditions(rule: Cells) -> bool:
    return any(rule.texts[column] not in cells.ANY for column in _CONDITIONS)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() else 0


def _station(carrier: str, row: CarrierRow) -> str:
    return f"{carrier}-{row.chute}"


def _key(texts: Mapping[str, str]) -> str:
    return "-".join(texts[segment].upper() for segment in SEGMENTS if texts[segment] not in cells.ANY)


def _made(table: str, texts: Mapping[str, str], number: str) -> dict[str, str]:
    """A row of a table as an import makes it. `number`: of a rule that keeps its own."""
    row = dict.fromkeys((*TABLES[table], NOTE), "") | dict(texts) | {NOTE: NOTE_OF_IMPORT}
    return row | {"row": number} if "row" in row else row
