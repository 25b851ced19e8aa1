"""Files become sheets of text: the encoding is decided by the known headers, and a cell is never made a number.

Row numbers are those the spreadsheet shows. The first row is the header, in Chinese or English.
"""

import csv
import difflib
import errno
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from sorter.reasons import Said, Sentence
from sorter.rulebook import mistakes
from sorter.rulebook.findings import Fault
from sorter.rulebook.mistakes import Mistake, Wrong

FILE_BYTES_MAX: Final = 32 << 20
FOLDER_BYTES_MAX: Final = 48 << 20
ROWS_MAX: Final = 300_000
COLUMNS_MAX: Final = 256
LINE_TEXT_MAX: Final = 1 << 20
STRANGE_TOLD_MAX: Final = 8  # headers
NOTE: Final = "note"
FREE: Final = frozenset({"name", NOTE})
"""Columns that only people read."""
UNSEEN: Final = "\u200b"
"""In a record, a cell that holds something and shows nothing."""

Columns = Mapping[str, tuple[str, ...]]
"""Column -> the other headers it may have."""

_NAME: Final = ("名称", "title")
_CARRIER: Final = ("承运商", "承运商代码")
_STATION: Final = ("站点", "站点代码")
_LANE: Final = ("路向", "路向代码")
_CHUTE: Final = ("格口", "格口号")
_LINE: Final = ("分拣线", "线")
_DAYS: Final = ("星期", "日")
_CAPACITY: Final = ("容量", "容量(件)")

TABLES: Final[Mapping[str, Columns]] = {
    "carriers": {
        "carrier": _CARRIER,
        "name": _NAME,
        "waybill": ("运单格式", "运单号格式", "运单"),
        "valid_from": ("生效日期", "启用日期"),
    },
    "stations": {
        "station": _STATION,
        "name": _NAME,
        "kind": ("类型",),
        "township": ("乡镇",),
        "lane": _LANE,
    },
    "sort_codes": {
        "carrier": _CARRIER,
        "一段码": ("segment 1", "first"),
        "二段码": ("segment 2", "second"),
        "三段码": ("segment 3", "third"),
        "station": _STATION,
    },
    "lanes": {"lane": _LANE, "name": _NAME, "kind": ("类型",), "spill_to": ("备用路向", "溢出路向")},
    "trips": {
        "lane": _LANE,
        "days": _DAYS,
        "departs": ("发车时间", "发车"),
        "cutoff_min": ("截止提前(分)", "截止提前分钟", "提前截止分钟"),
        "capacity": _CAPACITY,
    },
    "chutes": {
        "chute": _CHUTE,
        "line": _LINE,
        "position": ("位置", "位置(米)"),
        "lane": _LANE,
        "capacity": _CAPACITY,
    },
    "rules": {
        "row": ("序号", "优先级", "行号"),
        "carrier": _CARRIER,
        "station": _STATION,
        "township": ("乡镇",),
        "service": ("服务", "产品"),
        "flow": ("进出港", "流向"),
        "weight_g": ("重量(克)", "重量克", "重量g"),
        "length_mm": ("长度(毫米)", "长度毫米", "长度mm"),
        "time": ("时间", "时段"),
        "days": _DAYS,
        "send_to": ("去向", "分到"),
    },
    "exceptions": {"reason": ("原因", "原因码"), "line": _LINE, "chute": _CHUTE},
}
"""Every table and its columns, in the order a template shows them. Each may also have a `note` (备注)."""

_NOTES: Final = ("备注", "说明")

TITLES: Final[Mapping[str, tuple[str, ...]]] = {
    "carriers": ("承运商",),
    "stations": ("站点",),
    "sort_codes": ("三段码",),
    "lanes": ("路向",),
    "trips": ("班次",),
    "chutes": ("格口",),
    "rules": ("规则",),
    "exceptions": ("异常口", "异常"),
}
"""Table -> what its file or sheet may be called beside its own name, the first one best."""


class Cells(NamedTuple):
    """One row: its number in the spreadsheet and its text by column, every column there."""

    at: int
    texts: dict[str, str]


class Sheet(NamedTuple):
    """One table as text, and where the spreadsheet shows it."""

    table: str
    rows: list[Cells]
    source: str = ""  # the file's name as it is on disk
    title: str = ""  # of the sheet in a workbook; "": the file has no sheets
    places: Mapping[str, int] = MappingProxyType({})  # column -> where it stands, from 0
    headers: tuple[str, ...] = ()  # the header row, by place

    def placed(self, fault: Fault) -> Fault:
        """The fault with file, sheet, cell and header, if it does not have them."""
        if fault.file:
            return fault
        place = self.places.get(fault.column)
        return fault._replace(
            file=self.source,
            sheet=self.title,
            cell=address(place, fault.row) if place is not None and fault.row else "",
            header=self.headers[place] if place is not None else "",
        )


class Unreadable(Wrong):
    """A file that is no table at all. `row` and `column` as in Fault."""

    def __init__(self, said: Said, row: int = 0, column: str = "") -> None:
        super().__init__(said)
        self.row = row
        self.column = column

    def fault(self, table: str, file: str, sheet: str = "") -> Fault:
        """What it says of a table's file."""
        return Fault(table, self.row, self.column, self.said, file, sheet)


def address(place: int, row: int) -> str:
    """The name of a cell such as AB14; `place` counts columns from 0."""
    letters = ""
    left = place + 1
    while left:
        left, letter = divmod(left - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row}"


def by_title(title: str) -> str:
    """The table that a file or sheet of this title holds, or "". Width, case and blanks make no difference."""
    return _BY_TITLE.get(header_key(title).removesuffix("表"), "")


def read_folder(folder: Path) -> tuple[dict[str, Sheet], list[Fault]]:
    """The tables of a folder that can be read, and a fault for each that cannot."""
    if not folder.is_dir():
        return {}, [Fault("", 0, "", Mistake.NOT_A_FOLDER.about(folder=folder))]
    files = sorted(path for path in folder.iterdir() if path.suffix.casefold() == ".csv")
    size = sum(path.stat().st_size for path in files if by_title(path.stem))
    if size > FOLDER_BYTES_MAX:
        said = Mistake.FOLDER_TOO_LARGE.about(size=size >> 20, most=FOLDER_BYTES_MAX >> 20)
        return {}, [Fault("", 0, "", said)]
    sheets, errors = {}, _stray_files(folder)
    for table, columns in TABLES.items():
        name = f"{table}.csv"
        try:
            path = _file_of(files, table, folder)
            name = path.name
            text = decode(read_bytes(path), columns)
            sheet, found = parse(table, text, columns, source=name)
        except Unreadable as error:
            errors.append(error.fault(table, name))
        else:
            sheets[table] = sheet
            errors += found
    return sheets, errors


def _stray_files(folder: Path) -> list[Fault]:
    """Each file that is called like a table, such as `rules (1).csv`, and is not read beside the table's own."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix.casefold() in {".csv", ".xlsx"}]
    own = {table for path in files if path.suffix.casefold() == ".csv" and (table := by_title(path.stem))}
    found = []
    for path in files:
        tables = {table for title, table in _BY_TITLE.items() if header_key(path.stem).startswith(title)}
        is_own = path.suffix.casefold() == ".csv" and by_title(path.stem)
        for table in sorted(tables & own if not is_own else ()):
            said = Mistake.STRAY_FILE.about(table=Sentence(TITLES[table][0], table))
            found.append(Fault(path.name, 0, "", said, path.name))
    return found


def _file_of(files: list[Path], table: str, folder: Path) -> Path:
    """The table's file. Raises Unreadable."""
    mine = [path for path in files if by_title(path.stem) == table]
    if len(mine) > 1:
        raise Unreadable(Mistake.TWO_FILES.about(files=", ".join(path.name for path in mine)))
    if mine:
        return mine[0]
    strange = [path.stem for path in files if not by_title(path.stem)]
    near = [found for name in (table, *TITLES[table]) for found in difflib.get_close_matches(name, strange, n=1)]
    if near:
        raise Unreadable(Mistake.MISSING_FILE_NEAR.about(folder=folder, meant=f"{near[0]}.csv"))
    raise Unreadable(Mistake.MISSING_FILE.about(folder=folder))


def read_bytes(path: Path, most: int = FILE_BYTES_MAX) -> bytes:
    """The bytes of a file of at most `most` bytes. Raises Unreadable."""
    if path.is_dir():
        raise Unreadable(Mistake.FOLDER_FOR_FILE.about())
    try:
        size = path.stat().st_size
        if size > most:
            raise Unreadable(Mistake.FILE_TOO_LARGE.about(size=size >> 20, most=most >> 20))
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(Mistake.FILE_UNREADABLE.about(why=_why(error.errno or 0))) from error


def _why(number: int) -> Sentence | Said:
    known = {errno.ENOENT: mistakes.NO_SUCH_FILE, errno.EACCES: mistakes.NO_PERMISSION}
    return known.get(number, mistakes.SYSTEM_ERROR.about(number=number))


def decode(data: bytes, columns: Columns) -> str:
    """The text of a table's file. Raises Unreadable.

    A mark at the front decides. Without one it is UTF-8 if the known headers can be read so, else
    GB18030 if they can be read so: GBK text is now and then valid UTF-8, so validity proves nothing.
    """
    marked = _marked(data)
    if marked is None and b"\0" in data:
        raise Unreadable(Mistake.NUL_BYTE.about(), data.count(b"\n", 0, data.index(b"\0")) + 1)
    text = _unmarked(data, columns) if marked is None else marked
    if not text.strip():
        raise Unreadable(Mistake.EMPTY_FILE.about(columns=headers_of(columns, columns)))
    if "\0" in text:
        raise Unreadable(Mistake.NUL_BYTE.about(), text.count("\n", 0, text.index("\0")) + 1)
    return text


def _marked(data: bytes) -> str | None:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                row = data.count(b"\n", 0, error.start) + 1
                raise Unreadable(Mistake.WRONG_MARK.about(encoding=encoding[:6], at=error.start), row) from error
    return None


def _unmarked(data: bytes, columns: Columns) -> str:
    texts = [text for encoding in ("utf-8", "gb18030") if (text := _try(data, encoding)) is not None]
    if not texts:
        raise Unreadable(Mistake.NO_ENCODING.about())
    known = [_known_headers(text, columns) for text in texts]
    if len(texts) == 2 and (known[1] > known[0] or (known[1] == known[0] and _is_gbk_in_disguise(texts[0]))):
        return texts[1]
    return texts[0]


_LONE_SIGNS: Final = frozenset("·×÷°±²³é")
"""What may be all that is beyond ASCII in a table in English."""


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_gbk_in_disguise(text: str) -> bool:
    """Chinese in GBK that happens to be valid UTF-8 reads as letters below U+0800, never as Chinese.

    Signs that stand alone are what they read as: Chinese words have two characters and more.
    """
    beyond = re.findall(r"[^\x00-\x7f]+", text)
    return bool(beyond) and max(map(max, beyond)) < "\u0800" and not _LONE_SIGNS.issuperset(beyond)


def _known_headers(text: str, columns: Columns) -> int:
    first = _first_line(text)
    return max(len(by_header(columns).keys() & set(_keys(first.split(mark)))) for mark in ",;\t")


def _first_line(text: str) -> str:
    start = len(text) - len(text.lstrip("\r\n"))
    return text[start : start + LINE_TEXT_MAX].split("\n", 1)[0]


def header_key(header: str) -> str:
    """A header without what people vary: width, case, blanks, underscores, brackets."""
    return re.sub(r"[\s_\-()\[\]\"]", "", unicodedata.normalize("NFKC", header)).casefold()


def headers_of(wanted: Iterable[str], columns: Columns) -> Sentence:
    """Some of the columns, by the headers that staff of each language read."""
    names = {**columns, NOTE: _NOTES}
    listed = list(wanted)
    return Sentence(
        "、".join(column if not column.isascii() else names[column][0] for column in listed), ", ".join(listed)
    )


def _keys(headers: list[str]) -> list[str]:
    return [header_key(header) for header in headers]


def by_header(columns: Columns) -> dict[str, str]:
    """header_key of every known header -> its column."""
    names = {**columns, NOTE: _NOTES}
    return {header_key(header): column for column, others in names.items() for header in (column, *others)}


def parse(table: str, text: str, columns: Columns, *, source: str = "") -> tuple[Sheet, list[Fault]]:
    """As parse_records, of the text of a CSV file. Raises Unreadable also when the quotes do not close."""
    return parse_records(table, records_of(text), columns, source=source)


def parse_records(
    table: str, records: Iterator[tuple[int, list[str]]], columns: Columns, *, source: str, title: str = ""
) -> tuple[Sheet, list[Fault]]:
    """The sheet of (row number, settled cells), and what is wrong with its headers and the number of its cells.

    `source` and `title` as in Sheet. Raises Unreadable when a column is missing.
    """
    at, headers = next(((at, cells) for at, cells in records if any(map(settled, cells))), (1, []))
    headers = [settled(header) for header in headers]
    if len(headers) > COLUMNS_MAX:
        raise Unreadable(Mistake.TOO_MANY_COLUMNS.about(most=COLUMNS_MAX), at)
    places, strange = _places(headers, columns)
    by_column = {column: place for place, column in places.items()}
    missing = [column for column in columns if column not in by_column]
    if missing:
        raise Unreadable(_missing(missing, columns, list(strange.values())), at, missing[0])
    found = [
        Fault(table, at, headers[place], said, source, title, address(place, at), headers[place])
        for place, said in strange.items()
    ]
    rows = []
    for row, shown in records:
        cells = [cell if cell != UNSEEN else "" for cell in shown]
        if not any(cells):
            continue
        for place, column in places.items():
            if column not in FREE and shown[place : place + 1] == [UNSEEN]:
                said = Mistake.LOOKS_BLANK.about()
                found.append(Fault(table, row, column, said, source, title, address(place, row), headers[place]))
        beyond = next(
            (place for place, cell in enumerate(cells) if cell and not "".join(headers[place : place + 1])), None
        )
        if beyond is not None:
            said = Mistake.BEYOND_LAST_COLUMN.about(text=cells[beyond])
            found.append(Fault(table, row, "", said, source, title, address(beyond, row)))
        texts = dict.fromkeys((*columns, NOTE), "")
        for place, column in places.items():
            texts[column] = folded(column, cells[place]) if place < len(cells) else ""
        rows.append(Cells(row, texts))
    return Sheet(table, rows, source, title, by_column, tuple(headers)), found


def delimiter(text: str) -> str:
    """What separates the cells of a text's first row: a comma, a semicolon or a tab."""
    return max(",;\t", key=_first_line(text).count)


def records_of(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV text: number, settled cells. Raises Unreadable."""
    mark = delimiter(text)
    reader = csv.reader(_lines(text), delimiter=mark, strict=True)
    at = width = 0
    while True:
        at += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Unreadable(Mistake.QUOTE_LEFT_OPEN.about(), at) from error
        if at > ROWS_MAX:
            raise Unreadable(Mistake.TOO_MANY_ROWS.about(most=ROWS_MAX), at)
        width = width or (len(cells) if any(cells) else 0)
        if any("\n" in cell and _holds_a_row(cell, mark, width) for cell in cells):
            raise Unreadable(Mistake.QUOTE_LEFT_OPEN.about(), at)
        yield at, [shown(cell) for cell in cells]


def _holds_a_row(cell: str, mark: str, width: int) -> bool:
    """Whether a cell of several lines has swallowed a row: a quotation mark opened, and another closed far below."""
    return any(line.count(mark) >= max(width - 1, 2) for line in cell.splitlines()[1:])


def _lines(text: str) -> Iterator[str]:
    for at, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > LINE_TEXT_MAX:
            raise Unreadable(Mistake.LINE_TOO_LONG.about(most=LINE_TEXT_MAX), at)
        yield line


def settled(cell: str) -> str:
    """A cell's text without what cannot be seen: no marks of zero width, no blanks around it."""
    if cell.isascii():
        return cell.strip()
    return "".join(char for char in cell if unicodedata.category(char) != "Cf").strip()


def shown(cell: str) -> str:
    """A cell's text as settled, or UNSEEN when it is blank for the eye alone."""
    return settled(cell) or (UNSEEN if cell.strip() else "")


def plain(cell: str) -> str:
    """A settled text in its plain form (NFKC), so that full-width letters and signs are the common ones."""
    text = settled(cell)
    return text if text.isascii() else settled(unicodedata.normalize("NFKC", text))


def folded(column: str, cell: str) -> str:
    """A cell as its column takes it: plain, but for what people read."""
    return settled(cell) if column in FREE else plain(cell)


def _places(headers: list[str], columns: Columns) -> tuple[dict[int, str], dict[int, Said]]:
    """Place -> column, and place -> what is wrong with the header there."""
    known = by_header(columns)
    places: dict[int, str] = {}
    strange = {}
    for place, header in enumerate(headers):
        column = known.get(header_key(header))
        if column is None:
            if header:
                strange[place] = _unknown_header(header, known, columns)
        elif column in places.values():
            strange[place] = Mistake.SECOND_COLUMN.about(text=header, column=headers_of([column], columns))
        else:
            places[place] = column
    return places, strange


def _missing(missing: list[str], columns: Columns, strange: list[Said]) -> Said:
    rest: Said | str = ""
    for said in reversed(strange[:STRANGE_TOLD_MAX]):
        rest = mistakes.ALSO.about(said=said, rest=rest)
    return Mistake.MISSING_COLUMNS.about(
        missing=headers_of(missing, columns), columns=headers_of(columns, columns), strange=rest
    )


def _unknown_header(header: str, known: Mapping[str, str], columns: Columns) -> Said:
    near = difflib.get_close_matches(header_key(header), list(known), n=1)
    if near:
        return Mistake.UNKNOWN_COLUMN_NEAR.about(text=header, meant=headers_of([known[near[0]]], columns))
    return Mistake.UNKNOWN_COLUMN.about(text=header)


_BY_TITLE: Final = {header_key(title): table for table, titles in TITLES.items() for title in (table, *titles)}
