"""A workbook becomes the sheets of a rule set; what its cells no longer show is told, and never guessed.

A cell's text is what the person sees. A number where a code belongs, a value that was never calculated or
a merged cell may have lost something unseen: each is an error.
"""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from sorter.reasons import Language, Said, Sentence
from sorter.rulebook.books.template import without_examples
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx.grid import Grid, Kind, Odd
from sorter.rulebook.books.xlsx.package import read_grids
from sorter.rulebook.findings import Fault, Finding
from sorter.rulebook.tables import (
    FREE,
    TABLES,
    TITLES,
    Columns,
    Sheet,
    Unreadable,
    by_title,
    header_key,
    headers_of,
    parse_records,
)

HUB_SHEET: Final = "_hub"
"""The hidden sheet that says what a workbook was exported from."""
FAULTS_MAX: Final = 1000
"""Cells of one sheet told one by one; whoever forgot to format a column has seen enough by then."""
LONG_NUMBER: Final = 10**11
"""From here on a spreadsheet shows 1.23E+11; past 15 digits it puts zeros."""

NUMBERS: Final[Mapping[str, frozenset[str]]] = {
    "trips": frozenset({"days", "cutoff_min", "capacity"}),
    "chutes": frozenset({"chute", "position", "capacity"}),
    "rules": frozenset({"row", "weight_g", "length_mm", "days", "send_to"}),
    "exceptions": frozenset({"chute"}),
}
"""Columns in which a zero at the front means nothing, so that their cells may be numbers."""
DATES: Final = frozenset({"valid_from"})
TIMES: Final = frozenset({"departs", "time"})


class Book(NamedTuple):
    """The tables of a workbook, what is wrong with them, and what is worth a look."""

    sheets: dict[str, Sheet]
    faults: list[Fault]
    findings: list[Finding]


def title_of(table: str, language: Language) -> str:
    """What the sheet of a table is called."""
    return TITLES[table][0] if language == "zh" else table


_ALL_TITLES: Final = Sentence("、".join(titles[0] for titles in TITLES.values()), ", ".join(TABLES))
_FOR_PEOPLE: Final = {header_key(title) for title in (HUB_SHEET, "说明", "使用说明", "填写说明", "readme", "notes")}

_HIDDEN_SHEET: Final = Sentence("工作表是隐藏的，内容照样算数", "the sheet is hidden, and counts all the same")
_HIDDEN_COLUMNS: Final = Sentence(
    "{columns} 列是隐藏的，内容照样算数", "column {columns} is hidden, and its cells count all the same"
)
_HIDDEN_ROWS: Final = Sentence(
    "隐藏的或被筛选掉的行照样算数，共 {count} 行",
    "rows that are hidden or filtered out count all the same; here {count}",
)


def read_workbook(path: Path) -> Book:
    """The tables of an .xlsx; its sheets are known by their titles, in English or Chinese.

    A file that is no workbook gives one fault and no tables.
    """
    try:
        grids = read_grids(path)
    except Unreadable as error:
        return Book({}, [error.fault("", path.name)], [])
    reader = _Reader(path.name)
    for grid in grids:
        reader.take(grid)
    reader.tell_missing()
    return Book(reader.sheets, reader.faults, reader.findings)


class _Reader:
    """Takes the sheets of one workbook one by one."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.titles: dict[str, str] = {}  # by table
        self.strange: list[str] = []
        self.sheets: dict[str, Sheet] = {}
        self.faults: list[Fault] = []
        self.findings: list[Finding] = []

    def take(self, grid: Grid) -> None:
        table = by_title(grid.title)
        if not table:
            if grid.records and header_key(grid.title) not in _FOR_PEOPLE:
                self._tell_strange(grid.title)
        elif table in self.titles:
            said = WorkbookMistake.TWO_SHEETS.about(one=self.titles[table], other=grid.title)
            self.faults.append(Fault(table, 0, "", said, self.file, grid.title))
        else:
            self.titles[table] = grid.title
            self._read(table, grid)

    def tell_missing(self) -> None:
        """Every table that has no sheet, with the sheet that may be meant for it."""
        for table in TABLES:
            if table not in self.titles:
                names = (table, *TITLES[table])
                near = [title for name in names for title in difflib.get_close_matches(name, self.strange, n=1)]
                facts = {"title": Sentence(TITLES[table][0], table), "near": near[0] if near else ""}
                mistake = WorkbookMistake.MISSING_SHEET_NEAR if near else WorkbookMistake.MISSING_SHEET
                self.faults.append(Fault(table, 0, "", mistake.about(**facts), self.file))

    def _tell_strange(self, title: str) -> None:
        self.strange.append(title)
        names = [name for table in TABLES for name in (table, *TITLES[table])]
        near = difflib.get_close_matches(header_key(title), names, n=1)
        if near:
            said = WorkbookMistake.STRANGE_SHEET_NEAR.about(name=title, near=near[0])
        else:
            said = WorkbookMistake.STRANGE_SHEET.about(name=title, titles=_ALL_TITLES)
        self.faults.append(Fault(self.file, 0, "", said, self.file, title))

    def _read(self, table: str, grid: Grid) -> None:
        try:
            sheet, faults = read_grid(table, grid, TABLES[table], self.file)
        except Unreadable as error:
            self.faults.append(error.fault(table, self.file, grid.title))
            return
        self.sheets[table] = without_examples(sheet)
        self.faults += faults
        self.findings += _hidden(grid, self.sheets[table])


def read_grid(
    table: str, grid: Grid, columns: Columns, file: str, numbers: frozenset[str] | None = None
) -> tuple[Sheet, list[Fault]]:
    """One sheet as a table, and what is wrong with its headers and its cells. Raises Unreadable.

    `numbers`: the columns whose cells may be numbers, where they are not those of NUMBERS.
    """
    if not grid.records:
        raise Unreadable(WorkbookMistake.EMPTY_SHEET.about(columns=headers_of(columns, columns)))
    sheet, faults = parse_records(table, iter(grid.records), columns, source=file, title=grid.title)
    allowed = NUMBERS.get(table, frozenset()) if numbers is None else numbers
    faults += [
        sheet.placed(fault)
        for fault in (*_wrong_cells(sheet, grid, allowed), *told_in_full(table, list(_wrong_layout(table, grid))))
    ]
    return sheet, faults


def _wrong_cells(sheet: Sheet, grid: Grid, numbers: frozenset[str]) -> list[Fault]:
    column_at = {place: column for column, place in sheet.places.items()}
    found = [
        Fault(sheet.table, odd.row, column_at[odd.place], said)
        for odd in grid.odd
        if odd.place in column_at and (said := _wrong(odd, column_at[odd.place], numbers))
    ]
    return told_in_full(sheet.table, found)


def told_in_full(table: str, found: list[Fault]) -> list[Fault]:
    """The first FAULTS_MAX, and how many more there are."""
    if len(found) <= FAULTS_MAX:
        return found
    more = WorkbookMistake.MORE_CELLS.about(count=len(found) - FAULTS_MAX)
    return [*found[:FAULTS_MAX], Fault(table, 0, "", more)]


def _wrong_layout(table: str, grid: Grid) -> Iterator[Fault]:
    first, last = grid.records[0][0], grid.records[-1][0]
    for merged in grid.merged:
        is_one = merged.first_row == merged.last_row and merged.first_place == merged.last_place
        if not is_one and merged.first_row <= last and merged.last_row >= first:
            said = WorkbookMistake.MERGED.about(cells=merged.name)
            yield Fault(table, max(merged.first_row, first), "", said)
    if grid.beyond:
        yield Fault(table, 0, "", WorkbookMistake.BEYOND_RIGHT.about(cell=grid.beyond))


def _wrong(odd: Odd, column: str, numbers: frozenset[str]) -> Said | None:
    """What is wrong with a cell that is not text; None: nothing."""
    facts = {"text": odd.text}
    if odd.kind is Kind.UNCALCULATED:
        return WorkbookMistake.NO_VALUE.about()
    if column in FREE:
        return None
    if odd.kind is Kind.NUMBER:
        return _wrong_number(odd.text, column, numbers)
    if odd.kind is Kind.DATE and column not in DATES:
        return WorkbookMistake.DATE_CELL.about(**facts, written=_typed(odd.text))
    if odd.kind is Kind.TIME and column not in TIMES:
        return WorkbookMistake.TIME_CELL.about(**facts)
    marks = {Kind.TRUTH: WorkbookMistake.TRUTH_CELL, Kind.MARK: WorkbookMistake.ERROR_CELL}
    return marks[odd.kind].about(**facts) if odd.kind in marks else None


def _wrong_number(text: str, column: str, numbers: frozenset[str]) -> Said | None:
    if column in TIMES:
        return WorkbookMistake.NUMBER_FOR_TIME.about(text=text)
    is_code = column not in numbers
    if abs(float(text)) >= (LONG_NUMBER if is_code else 10**15):
        return WorkbookMistake.LONG_NUMBER.about(text=text)
    return WorkbookMistake.NUMBER_FOR_CODE.about(text=text) if is_code else None


def _typed(date: str) -> str:
    """What became a date: 2026-01-02 was 1-2."""
    _, month, day = date[:10].split("-")
    return f"{int(month)}-{int(day)}"


def _hidden(grid: Grid, sheet: Sheet) -> Iterator[Finding]:
    """Rows, columns and sheets that count although nobody sees them."""
    if grid.is_hidden:
        yield Finding("hidden", sheet.table, (), grid.title, _HIDDEN_SHEET.about())
    columns = ", ".join(column for column, place in sheet.places.items() if place in grid.hidden_places)
    if columns:
        yield Finding("hidden", sheet.table, (), columns, _HIDDEN_COLUMNS.about(columns=columns))
    counted = {row.at for row in sheet.rows}
    rows = tuple(row for row in grid.hidden_rows if row in counted)
    if rows:
        yield Finding("hidden", sheet.table, rows, None, _HIDDEN_ROWS.about(count=len(rows)))
