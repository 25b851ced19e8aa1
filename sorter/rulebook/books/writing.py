"""Sheets of text become files that lose nothing: a folder of CSV, or a workbook whose cells are all text.

A file appears whole or not at all: it is written beside, brought to disk, and takes the old one's place.
"""

import csv
import hashlib
import io
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet
from openpyxl.worksheet.datavalidation import DataValidation

from sorter.reasons import Declined, Language, Sentence
from sorter.rulebook.books.template import CHOICES, COLUMNS_TOLD, NOTE_TOLD, Choice, example
from sorter.rulebook.books.workbook import HUB_SHEET, title_of
from sorter.rulebook.books.xlsx.package import read_grids
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet, by_title

CELL_TEXT_MAX: Final = 32_767
"""Characters in a cell of a workbook; a spreadsheet cuts off the rest without a word."""
EMPTY_ROWS: Final = 1000
"""Rows below the data that are text already and have their dropdowns."""

CANNOT_WRITE: Final = Sentence(
    "{file} 写不进去：{why}；请检查文件夹权限和磁盘空间，并关闭正打开它的程序",
    "{file} cannot be written: {why}; see that the folder may be written, the disk has room and no program has it open",
)
CELL_TOO_LONG: Final = Sentence(
    "{table} 第{row}行 {column} 有 {count} 个字符；工作簿的一格最多 {most} 个，请改短",
    "{table} row {row}, column {column} has {count} characters; a workbook's cell holds {most}, make it shorter",
)


class Base(NamedTuple):
    """What a workbook was exported from: the version's name, and the digest of the draft of that time."""

    version: str
    digest: str


def csv_text(table: str, sheet: Sheet | None) -> str:
    """A table as CSV with CRLF, its columns in the order of TABLES; None: the header alone."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    columns = (*TABLES[table], NOTE)
    writer.writerow(columns)
    writer.writerows([row.texts[column] for column in columns] for row in (sheet.rows if sheet else ()))
    return out.getvalue()


def digest(sheets: Mapping[str, Sheet]) -> str:
    """The SHA-256 of all tables' texts, in hex. Blank rows and the order of columns make no difference."""
    whole = hashlib.sha256()
    for table in TABLES:
        whole.update(csv_text(table, sheets.get(table)).encode("utf-8"))
        whole.update(b"\0")
    return whole.hexdigest()


def write_folder(sheets: Mapping[str, Sheet], folder: Path) -> None:
    """All tables as CSV (UTF-8 with BOM, CRLF); a file that is there keeps its name. Raises Declined."""
    _replace(
        {_file_of(folder, table): csv_text(table, sheets.get(table)).encode("utf-8-sig") for table in TABLES},
        folder,
    )


def _file_of(folder: Path, table: str) -> Path:
    """The table's file as it is named already: a second one would make the folder unreadable."""
    files = sorted(folder.glob("*.[cC][sS][vV]")) if folder.is_dir() else []
    return next((file for file in files if by_title(file.stem) == table), folder / f"{table}.csv")


def _replace(contents: Mapping[Path, bytes], folder: Path) -> None:
    """Each file whole, old or new, whatever happens in between. Raises Declined."""
    beside: dict[Path, Path] = {}
    path = folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in contents.items():
            beside[path] = path.with_name(f".{path.name}.new")
            with beside[path].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, new in beside.items():
            new.replace(path)
        _sync_folder(folder)
    except OSError as error:
        for new in beside.values():
            new.unlink(missing_ok=True)
        raise Declined(CANNOT_WRITE.about(file=path, why=error.strerror or error)) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_workbook(
    sheets: Mapping[str, Sheet],
    path: Path,
    *,
    version: str,
    language: Language,
    draft: Mapping[str, Sheet] | None = None,
) -> None:
    """One sheet per table, every cell text, to be read back by workbook.read_workbook. Raises Declined.

    `version` names what the sheets were taken from, and `draft` is what an import will replace, None being
    the sheets themselves; base_version tells both again.
    """
    stored = {table: _storable(sheets[table]) for table in TABLES if table in sheets}
    _save(_workbook(stored, Base(version, digest(sheets if draft is None else draft)), language), path)


def template(path: Path, language: Language) -> None:
    """An empty workbook with one example row a table; as long as it is unchanged it is not imported."""
    rows = {table: Sheet(table, [Cells(2, example(table, language))]) for table in TABLES}
    _save(_workbook(rows, None, language), path)


def base_version(path: Path) -> Base | None:
    """What a workbook was exported from; None: from nothing. Raises Unreadable."""
    for grid in read_grids(path, lambda title: title == HUB_SHEET):
        told = {cells[0]: cells[1] for _, cells in grid.records if len(cells) > 1}
        if told.get("version") and told.get("digest"):
            return Base(told["version"], told["digest"])
    return None


def _save(book: Workbook, path: Path) -> None:
    out = io.BytesIO()
    book.save(out)
    _replace({path: out.getvalue()}, path.parent)


def _workbook(sheets: Mapping[str, Sheet], base: Base | None, language: Language) -> Workbook:
    book = Workbook(write_only=True)
    for table in TABLES:
        _write_table(book.create_sheet(title_of(table, language)), table, sheets, language)
    hub = book.create_sheet(HUB_SHEET)
    hub.sheet_state = "hidden"
    for row in base._asdict().items() if base else ():
        hub.append([_text_cell(hub, _stored(text)) for text in row])
    return book


_WIDTHS: Final = {"name": 24, "waybill": 32, "note": 32, "departs": 24, "lane": 18, "station": 14, "send_to": 20}
_HEADER_FILL: Final = PatternFill("solid", start_color="DDEBF7")


def _write_table(page: WriteOnlyWorksheet, table: str, sheets: Mapping[str, Sheet], language: Language) -> None:
    columns = (*TABLES[table], NOTE)
    rows = sheets[table].rows if table in sheets else []
    page.freeze_panes = "A2"
    for place, column in enumerate(columns, 1):
        dimension = page.column_dimensions[get_column_letter(place)]
        dimension.width = _WIDTHS.get(column, 12)
        dimension.number_format = "@"
        if (table, column) in CHOICES:
            last = len(rows) + 1 + EMPTY_ROWS
            letter = get_column_letter(place)
            page.data_validations.append(
                _dropdown(CHOICES[table, column], f"{letter}2:{letter}{last}", sheets, language)
            )
    page.append([_header_cell(page, table, column, language) for column in columns])
    for row in rows:
        page.append([_text_cell(page, row.texts[column]) for column in columns])
    empty = [_text_cell(page, "") for _ in columns]
    for _ in range(EMPTY_ROWS):
        page.append(empty)


def _storable(sheet: Sheet) -> Sheet:
    """The sheet with its texts as a workbook keeps them. Raises Declined."""
    rows = [Cells(row.at, {column: _stored(text) for column, text in row.texts.items()}) for row in sheet.rows]
    for row in rows:
        for column, text in row.texts.items():
            if len(text) > CELL_TEXT_MAX:
                facts = {"table": sheet.table, "row": row.at, "column": column, "count": len(text)}
                raise Declined(CELL_TOO_LONG.about(**facts, most=CELL_TEXT_MAX))
    return sheet._replace(rows=rows)


_NEEDS_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")


def _stored(text: str) -> str:
    """A text as a workbook keeps it: what XML cannot hold, and what looks like its escape, is escaped."""
    return _NEEDS_ESCAPE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def _text_cell(page: WriteOnlyWorksheet, text: str) -> WriteOnlyCell:
    cell = WriteOnlyCell(page, text or None)
    if text:
        cell.data_type = "s"  # =1+1 and #N/A are texts too
    cell.number_format = "@"
    return cell


def _header_cell(page: WriteOnlyWorksheet, table: str, column: str, language: Language) -> WriteOnlyCell:
    cell = _text_cell(page, header(table, column, language))
    cell.font = Font(bold=True)
    cell.fill = _HEADER_FILL
    told = COLUMNS_TOLD[table, column] if column != NOTE else NOTE_TOLD
    cell.comment = Comment(told.told(language), "Hub Sorter", height=120, width=320)
    return cell


def header(table: str, column: str, language: Language) -> str:
    """The header of a column as staff of that language read it."""
    if language == "en":
        return column
    if column == NOTE:
        return "备注"
    return column if not column.isascii() else TABLES[table][column][0]


def _dropdown(choice: Choice, cells: str, sheets: Mapping[str, Sheet], language: Language) -> DataValidation:
    if choice.words:
        offered = '"' + ",".join(word.told(language) for word in choice.words) + '"'
    else:
        letter = get_column_letter(list(TABLES[choice.table]).index(choice.column) + 1)
        rows = len(sheets[choice.table].rows) if choice.table in sheets else 0
        offered = f"'{title_of(choice.table, language)}'!${letter}$2:${letter}${rows + 1 + EMPTY_ROWS}"
    return DataValidation(
        type="list",
        formula1=offered,
        allow_blank=True,
        errorStyle="warning",
        showErrorMessage=choice.is_one,
        sqref=cells,
    )
