"""Files become sheets of text: the encoding is decided by the known headers, and a cell is never made a number.

Row numbers are those the spreadsheet shows. The first row is the header, in Chinese or English.
"""

import csv
import difflib
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from sorter.rulebook.findings import Finding

FILE_BYTES_MAX: Final = 64 << 20
NOTE: Final = "note"

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


class Cells(NamedTuple):
    """One row: its number in the spreadsheet and its text by column, every column there."""

    at: int
    texts: dict[str, str]


class Sheet(NamedTuple):
    """One table as text."""

    table: str
    rows: list[Cells]


class Unreadable(Exception):
    """A file that is no table at all. `row` and `column` as in Finding."""

    def __init__(self, message: str, row: int = 0, column: str = "") -> None:
        super().__init__(message)
        self.row = row
        self.column = column


def read_folder(folder: Path) -> tuple[dict[str, Sheet], list[Finding]]:
    """The tables of a folder that can be read, and a finding for each that cannot."""
    if not folder.is_dir():
        return {}, [Finding("", 0, "", f"{folder} is not a folder; name the folder that holds carriers.csv and so on")]
    sheets, errors = {}, []
    for table, columns in TABLES.items():
        try:
            text = decode(_bytes_of(folder, table), columns)
            sheet, found = parse(table, text, columns)
        except Unreadable as error:
            errors.append(Finding(table, error.row, error.column, str(error)))
        else:
            sheets[table] = sheet
            errors += found
    return sheets, errors


def _bytes_of(folder: Path, table: str) -> bytes:
    files = sorted(path for path in folder.iterdir() if path.suffix.casefold() == ".csv")
    mine = [path for path in files if path.stem.casefold() == table]
    if len(mine) > 1:
        raise Unreadable(f"{' and '.join(path.name for path in mine)} are two files for one table; keep one")
    if not mine:
        near = difflib.get_close_matches(table, [path.stem for path in files if path.stem not in TABLES], n=1)
        hint = f'; is "{near[0]}.csv" meant for it?' if near else ""
        raise Unreadable(f"the file is missing from {folder}{hint}")
    return read_bytes(mine[0])


def read_bytes(path: Path, most: int = FILE_BYTES_MAX) -> bytes:
    """The bytes of a file of at most `most` bytes. Raises Unreadable."""
    if path.is_dir():
        raise Unreadable("this is a folder, not a file; put the table's file in its place")
    try:
        size = path.stat().st_size
        if size > most:
            raise Unreadable(f"the file has {size >> 20} MB; the most is {most >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"the file cannot be read: {error.strerror}") from error


def decode(data: bytes, columns: Columns) -> str:
    """The text of a table's file. Raises Unreadable.

    A mark at the front decides. Without one it is UTF-8 if the known headers can be read so, else
    GB18030 if they can be read so: GBK text is now and then valid UTF-8, so validity proves nothing.
    """
    marked = _marked(data)
    if marked is None and b"\0" in data:
        raise Unreadable(_NUL, data.count(b"\n", 0, data.index(b"\0")) + 1)
    text = _unmarked(data, columns) if marked is None else marked
    if not text.strip():
        raise Unreadable("the file is empty; its first row names the columns: " + ", ".join(columns))
    if "\0" in text:
        raise Unreadable(_NUL, text.count("\n", 0, text.index("\0")) + 1)
    return text


_NUL: Final = 'the file holds a NUL byte, so it is no text; save it again as "CSV UTF-8"'


def _marked(data: bytes) -> str | None:
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError as error:
                row = data.count(b"\n", 0, error.start) + 1
                raise Unreadable(
                    f'the file says it is {encoding[:6]}, but byte {error.start} is not; save it again as "CSV UTF-8"',
                    row,
                ) from error
    return None


def _unmarked(data: bytes, columns: Columns) -> str:
    texts = [text for encoding in ("utf-8", "gb18030") if (text := _try(data, encoding)) is not None]
    if not texts:
        raise Unreadable('the file is neither UTF-8 nor GB18030 text; save it again as "CSV UTF-8"')
    known = [_known_headers(text, columns) for text in texts]
    if len(texts) == 2 and (known[1] > known[0] or (known[1] == known[0] and _is_gbk_in_disguise(texts[0]))):
        return texts[1]
    return texts[0]


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_gbk_in_disguise(text: str) -> bool:
    """Chinese in GBK that happens to be valid UTF-8 reads as letters below U+0800, never as Chinese."""
    beyond = {char for char in text if char > "\x7f"}
    return bool(beyond) and max(beyond) < "\u0800"


def _known_headers(text: str, columns: Columns) -> int:
    first = text.lstrip("\r\n").split("\n", 1)[0]
    return max(len(by_header(columns).keys() & set(_keys(first.split(mark)))) for mark in ",;\t")


def header_key(header: str) -> str:
    """A header without what people vary: width, case, blanks, underscores, brackets."""
    return re.sub(r"[\s_\-()\[\]\"]", "", unicodedata.normalize("NFKC", header)).casefold()


def _keys(headers: list[str]) -> list[str]:
    return [header_key(header) for header in headers]


def by_header(columns: Columns) -> dict[str, str]:
    """header_key of every known header -> its column."""
    names = {**columns, NOTE: _NOTES}
    return {header_key(header): column for column, others in names.items() for header in (column, *others)}


def parse(table: str, text: str, columns: Columns) -> tuple[Sheet, list[Finding]]:
    """The sheet of a table's text, and what is wrong with its headers and the number of its cells.

    Raises Unreadable when the quotes do not close or a column is missing.
    """
    records = _records(text)
    at, headers = next(((at, cells) for at, cells in records if any(cells)), (1, []))
    places, found = _places(table, at, headers, columns)
    rows = []
    for row, cells in records:
        if not any(cells):
            continue
        beyond = [cell for cell in cells[len(headers) :] if cell]
        if beyond:
            message = f'"{beyond[0]}" stands beyond the last column; put a cell that holds a comma in quotes'
            found.append(Finding(table, row, "", message))
        texts = dict.fromkeys((*columns, NOTE), "")
        for place, column in places.items():
            texts[column] = cells[place] if place < len(cells) else ""
        rows.append(Cells(row, texts))
    return Sheet(table, rows), found


def delimiter(text: str) -> str:
    """What separates the cells of a text's first row: a comma, a semicolon or a tab."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=first.count)


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter(text), strict=True)
    at = 0
    while True:
        at += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            message = f'a quotation mark (") in this row or its cells is not closed or stands alone ({error})'
            raise Unreadable(message, at) from error
        yield at, [plain(cell) for cell in cells]


def plain(cell: str) -> str:
    """A cell's text without what cannot be seen: NFKC, no marks of zero width, no blanks around it."""
    if cell.isascii():
        return cell.strip()
    text = unicodedata.normalize("NFKC", cell)
    return "".join(char for char in text if unicodedata.category(char) != "Cf").strip()


def _places(table: str, at: int, headers: list[str], columns: Columns) -> tuple[dict[int, str], list[Finding]]:
    """Place -> column. Raises Unreadable when columns are missing."""
    headers_known = by_header(columns)
    places: dict[int, str] = {}
    found = []
    for place, header in enumerate(headers):
        column = headers_known.get(header_key(header))
        if column is None:
            if header:
                found.append(Finding(table, at, header, _unknown_header(header, headers_known)))
        elif column in places.values():
            found.append(Finding(table, at, header, f'"{header}" is a second column {column}; keep one'))
        else:
            places[place] = column
    missing = [column for column in columns if column not in places.values()]
    if missing:
        strange = [finding.message for finding in found]
        message = f"the header has no column {', '.join(missing)}; the columns are {', '.join(columns)}"
        raise Unreadable("; ".join([message, *strange]), at, missing[0])
    return places, found


def _unknown_header(header: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(header_key(header), list(known), n=1)
    hint = f'; write "{known[near[0]]}"' if near else '; delete it, or name it "note"'
    return f'"{header}" is no column of this table{hint}'
