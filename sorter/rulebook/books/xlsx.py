"""An .xlsx file becomes cells as the person sees them, in one pass over its XML, never beyond fixed bounds.

Bytes are counted before they are unpacked, elements, cells and characters as they come, so that a hostile
or broken file ends in a sentence and not in a full memory.
"""

import datetime as dt
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator, Mapping
from enum import Enum
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final, NamedTuple
from xml.parsers import expat

from sorter.reasons import Sentence
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.tables import FILE_BYTES_MAX, UNSEEN, Unreadable, address, plain, read_bytes, shown

INFLATED_BYTES_MAX: Final = 128 << 20
"""Bytes of XML read of one workbook, all sheets together."""
TOKEN_BYTES_MAX: Final = 1 << 20
ELEMENTS_MAX: Final = 6_000_000
RECORDS_MAX: Final = 300_000
"""Rows that hold something, all sheets together: as many sort codes as a plan may have, and half as much again."""
CELLS_MAX: Final = 2_000_000
"""Cells that hold something, all sheets together: ten for each sort code a plan may have."""
TEXT_MAX: Final = 64 << 20
"""Characters in these cells."""
SHEETS_MAX: Final = 64
MERGED_MAX: Final = 10_000
PARTS_MAX: Final = 10_000
ROWS_MAX: Final = 1 << 20
COLUMNS_MAX: Final = 256
"""Further right nothing is kept; the first cell found there is told."""

_CHUNK_BYTES: Final = 1 << 18

_BYTES: Final = Sentence("展开后超过上限", "unpacked it goes beyond the limit")
_MEGABYTES: Final = Sentence("{count} MB", "{count} MB")
_ELEMENTS: Final = Sentence("行和格子的标记过多", "it has too many marks of rows and cells")
_ROWS: Final = Sentence("有内容的行过多", "it has too many rows with content")
_CELLS: Final = Sentence("有内容的格子过多", "it has too many cells with content")
_MERGED: Final = Sentence("合并单元格过多", "it has too many merged cells")
_CHARACTERS: Final = Sentence("文字过多", "it has too much text")
_SHEETS: Final = Sentence("有 {count} 张工作表", "it has {count} sheets")
_PACKED: Final = Sentence("压缩数据", "packed data")
_PARTS: Final = Sentence("有 {count} 个部件", "it has {count} parts")

_OLD_WORKBOOK: Final = Sentence("旧格式的工作簿（.xls 或 .et）", "a workbook of the old kind (.xls or .et)")
_WORD: Final = Sentence("文字文档（Word 或 WPS 文字）", "a text document (Word or WPS Writer)")
_SLIDES: Final = Sentence("演示文稿", "a presentation")
_BINARY_WORKBOOK: Final = Sentence("二进制工作簿（.xlsb）", "a binary workbook (.xlsb)")
_OPEN_DOCUMENT: Final = Sentence("OpenDocument 文件（如 .ods）", "an OpenDocument file (such as .ods)")
_ARCHIVE: Final = Sentence("压缩包", "an archive")
_PDF: Final = Sentence("PDF 文件", "a PDF file")
_PICTURE: Final = Sentence("图片", "a picture")
_PAGE: Final = Sentence("网页或 XML 文件", "a web page or an XML file")
_TEXT: Final = Sentence("文本文件（如 CSV）", "a text file (such as CSV)")
_STRANGE: Final = Sentence("别的文件", "some other kind of file")
_EMPTY: Final = Sentence("空文件", "an empty file")


class Kind(Enum):
    """What a cell is that is not text."""

    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    TRUTH = "truth"  # TRUE or FALSE
    MARK = "mark"  # an error such as #N/A
    UNCALCULATED = "uncalculated"  # a formula whose value was never saved


class Odd(NamedTuple):
    """A cell that is not text. `place`: its column, from 0; `text`: as its record has it."""

    row: int
    place: int
    kind: Kind
    text: str


class Merged(NamedTuple):
    """Merged cells, as the spreadsheet names them, such as A5:C6. Rows count from 1, places from 0."""

    name: str
    first_row: int
    last_row: int
    first_place: int
    last_place: int


class Grid(NamedTuple):
    """One sheet of a workbook. `records`: the rows that hold any text, with their spreadsheet numbers."""

    title: str
    is_hidden: bool
    records: list[tuple[int, list[str]]]
    odd: list[Odd]
    merged: list[Merged]
    hidden_rows: list[int]  # those that hold text
    hidden_places: set[int]
    beyond: str  # the first cell with text right of COLUMNS_MAX, such as XFD1; "": none


def read_grids(path: Path, only: Callable[[str], bool] = lambda _: True) -> list[Grid]:
    """The sheets of a workbook whose titles are wanted by `only`, in its order.

    Raises Unreadable when it is no .xlsx, is protected, damaged or too large.
    """
    data = read_bytes(path, FILE_BYTES_MAX)
    if not data.startswith(b"PK"):
        raise _no_workbook(data)
    parts = data.count(b"PK\x01\x02")
    if parts > PARTS_MAX:
        raise _refusal(WorkbookMistake.TOO_LARGE, what=_PARTS.about(count=parts), most=PARTS_MAX)
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            return list(_Workbook(package).grids(only))
    except Unreadable:
        raise
    except expat.ExpatError as error:
        raise _damaged(f"XML {error.lineno}:{error.offset}") from error
    except _ARCHIVE_ERRORS as error:
        raise _damaged(_PACKED) from error


_ARCHIVE_ERRORS: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises when an archive is not what it says; a negative offset makes it a ValueError."""


def _damaged(where: str | Sentence) -> Unreadable:
    return _refusal(WorkbookMistake.CUT_OFF, where=where)


def _refusal(mistake: WorkbookMistake, **facts: object) -> Unreadable:
    return Unreadable(mistake.about(**facts))


_MAGIC: Final = (
    (b"%PDF", _PDF),
    (b"\xff\xd8\xff", _PICTURE),
    (b"\x89PNG", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"BM", _PICTURE),
    (b"Rar!", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"<", _PAGE),
    (b"{\\rtf", _WORD),
)
_OLE: Final = b"\xd0\xcf\x11\xe0"


def _no_workbook(data: bytes) -> Unreadable:
    """Why bytes that do not begin as an .xlsx are none."""
    if data.startswith(_OLE):
        if _ole_name("EncryptedPackage") in data:
            return _refusal(WorkbookMistake.PASSWORD)
        return _refusal(WorkbookMistake.NO_WORKBOOK, what=_WORD if _ole_name("WordDocument") in data else _OLD_WORKBOOK)
    head = data.lstrip(b"\xef\xbb\xbf \r\n\t")
    if not head:
        return _refusal(WorkbookMistake.NO_WORKBOOK, what=_EMPTY)
    known = next((what for magic, what in _MAGIC if head.startswith(magic)), None)
    return _refusal(WorkbookMistake.NO_WORKBOOK, what=known or (_STRANGE if b"\0" in data[:4096] else _TEXT))


def _ole_name(name: str) -> bytes:
    return name.encode("utf-16-le")


class _Budget:
    """What may still be read of one workbook."""

    def __init__(self) -> None:
        self.bytes = INFLATED_BYTES_MAX
        self.elements = ELEMENTS_MAX
        self.records = RECORDS_MAX
        self.cells = CELLS_MAX
        self.characters = TEXT_MAX

    def take_record(self) -> None:
        self.records -= 1
        if self.records < 0:
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_ROWS, most=RECORDS_MAX)

    def take_cell(self, text: str) -> None:
        self.cells -= 1
        self.characters -= len(text)
        if self.cells < 0:
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_CELLS, most=CELLS_MAX)
        if self.characters < 0:
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_CHARACTERS, most=TEXT_MAX)


Attributes = Mapping[str, str]
_TRUE: Final = {"1", "true"}


class _Part:
    """One XML part of the package, read element by element. Names come without their prefix."""

    def __init__(self, budget: _Budget) -> None:
        self.budget = budget
        self.keep: list[str] | None = None  # texts are kept while this is a list

    def begin(self, name: str, attributes: Attributes) -> None:
        """An element opens."""

    def finish(self, name: str) -> None:
        """An element closes."""

    def read(self, stream: IO[bytes]) -> None:
        """Read to the end. Raises Unreadable, ExpatError, BadZipFile."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _no_doctype
        fed = 0
        while chunk := stream.read(_CHUNK_BYTES):
            parser.Parse(chunk, False)
            fed += len(chunk)
            if fed - parser.CurrentByteIndex > TOKEN_BYTES_MAX:
                raise _damaged("XML <…")
        parser.Parse(b"", True)

    def _start(self, name: str, attributes: Attributes) -> None:
        self.budget.elements -= 1
        if self.budget.elements < 0:
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_ELEMENTS, most=ELEMENTS_MAX)
        self.begin(_local(name), attributes)

    def _end(self, name: str) -> None:
        self.finish(_local(name))

    def _text(self, text: str) -> None:
        if self.keep is not None:
            self.keep.append(text)


def _local(name: str) -> str:
    return name.rpartition(":")[2] if ":" in name else name


def _no_doctype(*_: object) -> None:
    raise _damaged("XML DOCTYPE")


class _Elements(_Part):
    """Gathers the attributes of some elements."""

    def __init__(self, budget: _Budget, *names: str) -> None:
        super().__init__(budget)
        self.names = names
        self.found: list[tuple[str, dict[str, str]]] = []

    def begin(self, name: str, attributes: Attributes) -> None:
        if name in self.names:
            if len(self.found) == PARTS_MAX:
                raise _refusal(WorkbookMistake.TOO_LARGE, what=_ELEMENTS, most=PARTS_MAX)
            self.found.append((name, {key.rpartition(":")[2]: value for key, value in attributes.items()}))


class _Styles(_Part):
    """For each style of a cell the kind of its number format: Kind.NUMBER, DATE or TIME."""

    def __init__(self, budget: _Budget) -> None:
        super().__init__(budget)
        self.custom: dict[str, str] = {}
        self.kinds: list[Kind] = []
        self.in_cells = False

    def begin(self, name: str, attributes: Attributes) -> None:
        if name == "numFmt":
            self.custom[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            self.in_cells = True
        elif name == "xf" and self.in_cells:
            number = attributes.get("numFmtId", "0")
            self.kinds.append(_format_kind(self.custom[number]) if number in self.custom else _built_in_kind(number))

    def finish(self, name: str) -> None:
        if name == "cellXfs":
            self.in_cells = False


_BUILT_IN_DATES: Final = {*range(14, 18), 22, *range(27, 32), 36, *range(50, 55), 57, 58}
_BUILT_IN_TIMES: Final = {*range(18, 22), *range(32, 36), *range(45, 48), 55, 56}


def _built_in_kind(number: str) -> Kind:
    index = int(number) if number.isdecimal() else 0
    return Kind.DATE if index in _BUILT_IN_DATES else Kind.TIME if index in _BUILT_IN_TIMES else Kind.NUMBER


_NO_PLACEHOLDER: Final = re.compile(r'"[^"]*"|\\.|[_*].|\[(?![hms]+\])[^\]]*\]|general|e[+-]', re.IGNORECASE)


def _format_kind(code: str) -> Kind:
    """What a format such as `yyyy"年"m"月"` or `[h]:mm` shows."""
    letters = set(_NO_PLACEHOLDER.sub("", code.split(";", maxsplit=1)[0]).casefold())
    if letters & set("yd") or ("m" in letters and not letters & set("hs")):
        return Kind.DATE
    return Kind.TIME if letters & set("hs") else Kind.NUMBER


class _Strings(_Part):
    """The shared texts, each made plain once: a file may point a million cells at one long text."""

    def __init__(self, budget: _Budget) -> None:
        super().__init__(budget)
        self.texts: list[str] = []
        self.parts: list[str] = []
        self.is_phonetic = False

    def begin(self, name: str, attributes: Attributes) -> None:  # noqa: ARG002 # the attributes of a text are layout
        if name == "si":
            self.parts = []
        elif name == "rPh":
            self.is_phonetic = True
        elif name == "t" and not self.is_phonetic:
            self.keep = self.parts

    def finish(self, name: str) -> None:
        if name == "t":
            self.keep = None
        elif name == "rPh":
            self.is_phonetic = False
        elif name == "si":
            self.texts.append(_seen("".join(self.parts)))


_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _seen(text: str) -> str:
    """A stored text as the person sees it: `_x000D_` is a carriage return, `_x005F_` an underscore.

    What is no character, NUL or half a pair, becomes U+FFFD. UNSEEN: something, and nothing to see.
    """
    if "_x" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).replace("\0", "\ufffd")
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return shown(text)


_REFERENCE: Final = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")


def _reference(text: str) -> tuple[int, int]:
    """Row from 1 and place from 0 of `G14`. Raises Unreadable."""
    match = _REFERENCE.fullmatch(text.replace("$", ""))
    if not match or not 1 <= int(match[2]) <= ROWS_MAX:
        raise _damaged(f'XML "{text[:40]}"')
    place = 0
    for letter in match[1].upper():
        place = place * 26 + ord(letter) - ord("A") + 1
    return int(match[2]), place - 1


class _Sheet(_Part):
    """The cells of one sheet."""

    def __init__(self, budget: _Budget, strings: list[str], styles: list[Kind], epoch: dt.datetime) -> None:
        super().__init__(budget)
        self.strings = strings
        self.styles = styles
        self.epoch = epoch
        self.grid = Grid("", False, [], [], [], [], set(), "")
        self.beyond = ""
        self.row = 0
        self.is_row_hidden = False
        self.cells: list[str] = []
        self.reference, self.steps = "A1", -1  # a cell stands so many steps right of the last that says where it is
        self.attributes: Attributes = {}
        self.value: list[str] = []
        self.has_formula = self.has_value = self.is_phonetic = False

    def begin(self, name: str, attributes: Attributes) -> None:
        if name == "c":
            self._begin_cell(attributes)
        elif name == "v" or (name == "t" and not self.is_phonetic):
            self.has_value = True
            self.keep = self.value
        elif name == "f":
            self.has_formula = True
        elif name == "row":
            self._begin_row(attributes)
        elif name == "rPh":
            self.is_phonetic = True
        elif name == "mergeCell":
            self._merge(attributes.get("ref", ""))
        elif name == "col" and attributes.get("hidden") in _TRUE:
            first, last = (int(attributes.get(end, "0")) for end in ("min", "max"))
            self.grid.hidden_places.update(range(max(first, 1) - 1, min(last, COLUMNS_MAX)))

    def finish(self, name: str) -> None:
        if name == "c":
            self._finish_cell()
        elif name in {"v", "t"}:
            self.keep = None
        elif name == "rPh":
            self.is_phonetic = False
        elif name == "row" and any(self.cells):
            self.budget.take_record()
            self.grid.records.append((self.row, self.cells))
            if self.is_row_hidden:
                self.grid.hidden_rows.append(self.row)

    def _begin_row(self, attributes: Attributes) -> None:
        number = attributes.get("r", str(self.row + 1))
        if not number.isdecimal() or not self.row < int(number[:8]) <= ROWS_MAX:
            raise _damaged(f'XML row="{number[:40]}"')
        self.row = int(number)
        self.is_row_hidden = attributes.get("hidden") in _TRUE
        self.cells = []
        self.reference, self.steps = f"A{number}", -1

    def _begin_cell(self, attributes: Attributes) -> None:
        """Only note what the cell is: most cells of a large sheet are empty, and cost nothing more."""
        reference = attributes.get("r")
        self.steps = 0 if reference else self.steps + 1
        self.reference = reference or self.reference
        self.attributes = attributes
        self.has_formula = self.has_value = False

    def _finish_cell(self) -> None:
        if not self.has_formula and not self.value and self.attributes.get("t") != "e":
            return
        kind, text = self._seen_cell("".join(self.value))
        self.value.clear()
        if not text and kind is None:
            return
        row, place = _reference(self.reference)
        place += self.steps
        if place >= COLUMNS_MAX:
            self.beyond = self.beyond or address(place, row)
            return
        if row != self.row or place < len(self.cells):
            raise _damaged(f'XML "{self.reference}"')
        self.budget.take_cell(text)
        self.cells.extend("" for _ in range(place - len(self.cells)))
        self.cells.append(text)
        if kind is not None:
            self.grid.odd.append(Odd(row, place, kind, text))

    def _seen_cell(self, value: str) -> tuple[Kind | None, str]:
        """What a cell is, None being text, and what it shows."""
        kind = self.attributes.get("t", "n")
        if self.has_formula and not value and (kind == "n" or not self.has_value):
            return Kind.UNCALCULATED, ""
        if not value and (self.has_formula or kind == "e"):
            return None, UNSEEN
        if not value or kind in {"str", "inlineStr"}:
            return None, _seen(value)
        if kind == "s":
            return None, self._shared(value)
        return self._number(value) if kind == "n" else _marked(kind, value)

    def _shared(self, value: str) -> str:
        index = int(value[:8]) if value.isdecimal() else -1
        if not 0 <= index < len(self.strings):
            raise _damaged(f'XML "{value[:40]}"')
        return self.strings[index]

    def _number(self, value: str) -> tuple[Kind, str]:
        try:
            number = float(value)
            whole = int(number)
        except (ValueError, OverflowError) as error:
            raise _damaged(f'XML "{value[:40]}"') from error
        kind = self._style()
        if kind is Kind.DATE:
            return self._date(number)
        if kind is Kind.TIME and number >= 0:
            return kind, _clock(round(number * 86_400))
        return Kind.NUMBER, str(whole) if whole == number and abs(whole) < 10**15 else f"{number:.15g}"

    def _date(self, number: float) -> tuple[Kind, str]:
        try:
            shown = self.epoch + dt.timedelta(seconds=round(number * 86_400))
        except OverflowError:
            return Kind.MARK, "#####"
        if number < 0:
            return Kind.MARK, "#####"
        seconds = shown.hour * 3600 + shown.minute * 60 + shown.second
        return Kind.DATE, f"{shown:%Y-%m-%d}" + (f" {_clock(seconds)}" if seconds else "")

    def _style(self) -> Kind:
        style = self.attributes.get("s", "0")
        index = int(style[:8]) if style.isdecimal() else 0
        return self.styles[index] if index < len(self.styles) else Kind.NUMBER

    def _merge(self, name: str) -> None:
        first, _, last = name.partition(":")
        (first_row, first_place), (last_row, last_place) = _reference(first), _reference(last or first)
        if len(self.grid.merged) == MERGED_MAX:
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_MERGED, most=MERGED_MAX)
        self.grid.merged.append(Merged(name, first_row, last_row, first_place, last_place))


def _marked(kind: str, value: str) -> tuple[Kind, str]:
    """A cell that says itself what it is: truth, an error's mark or a date."""
    if kind == "b":
        return Kind.TRUTH, "TRUE" if value.strip() in _TRUE else "FALSE"
    if kind == "d" and (match := _ISO.fullmatch(value.strip())):
        date, clock = match["date"] or "", (match["clock"] or "").removesuffix(":00" if match["second"] else "")
        if not date:
            return Kind.TIME, clock
        return Kind.DATE, f"{date} {clock}" if clock not in {"", "00:00"} else date
    return Kind.MARK, plain(value)


_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)?(?:T|^|$)(?P<clock>\d\d:\d\d(?P<second>:\d\d)?)?(?:\.\d+)?Z?", re.ASCII
)


def _clock(seconds: int) -> str:
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}" + (f":{second:02d}" if second else "")


_EPOCH: Final = dt.datetime(1899, 12, 30)  # noqa: DTZ001 # a spreadsheet's day has no zone
_EPOCH_1904: Final = dt.datetime(1904, 1, 1)  # noqa: DTZ001 # as above


class _Workbook:
    """The package: which part holds which sheet."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self.package = package
        self.budget = _Budget()
        self.names = {name.casefold().lstrip("/"): name for name in package.namelist()}

    def grids(self, only: Callable[[str], bool]) -> Iterator[Grid]:
        main = self._main()
        listed = self._elements(main, "sheet", "workbookPr")
        found = [attributes for name, attributes in listed if name == "sheet"]
        if len(found) > SHEETS_MAX:
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_SHEETS.about(count=len(found)), most=SHEETS_MAX)
        is_1904 = any(attributes.get("date1904") in _TRUE for _, attributes in listed)
        targets = self._targets(main)
        strings, styles = _Strings(self.budget), _Styles(self.budget)
        self._read(strings, _target(targets, "sharedStrings"))
        self._read(styles, _target(targets, "styles"))
        for attributes in found:
            title = plain(attributes.get("name", ""))
            if not only(title):
                continue
            sheet = _Sheet(self.budget, strings.texts, styles.kinds, _EPOCH_1904 if is_1904 else _EPOCH)
            self._read(sheet, targets.get(attributes.get("id", ""), ("", ""))[1])
            is_hidden = attributes.get("state", "visible") != "visible"
            yield sheet.grid._replace(title=title, is_hidden=is_hidden, beyond=sheet.beyond)

    def _main(self) -> str:
        if "_rels/.rels" in self.names:
            targets = self._targets("")
            main = _target(targets, "officeDocument")
            if main.casefold().endswith(".xml") and main.casefold().startswith("xl/"):
                return main
        raise _refusal(WorkbookMistake.NO_WORKBOOK, what=_archive_kind(self.names))

    def _targets(self, part: str) -> dict[str, tuple[str, str]]:
        """Relation -> its kind and the part it names."""
        folder, _, file = part.rpartition("/")
        relations = self._elements(f"{folder}/_rels/{file}.rels".lstrip("/"), "Relationship")
        return {
            attributes.get("Id", ""): (
                attributes.get("Type", "").rpartition("/")[2],
                _resolved(folder, attributes.get("Target", "")),
            )
            for _, attributes in relations
        }

    def _elements(self, part: str, *names: str) -> list[tuple[str, dict[str, str]]]:
        elements = _Elements(self.budget, *names)
        self._read(elements, part)
        return elements.found

    def _read(self, reader: _Part, part: str) -> None:
        if not part:
            return
        name = self.names.get(part.casefold())
        if name is None:
            raise _damaged(part)
        self.budget.bytes -= self.package.getinfo(name).file_size  # zipfile hands out no more than that
        if self.budget.bytes < 0:
            most = _MEGABYTES.about(count=INFLATED_BYTES_MAX >> 20)
            raise _refusal(WorkbookMistake.TOO_LARGE, what=_BYTES, most=most)
        with self.package.open(name) as stream:
            reader.read(stream)


def _target(targets: Mapping[str, tuple[str, str]], kind: str) -> str:
    return next((part for its_kind, part in targets.values() if its_kind == kind), "")


def _resolved(folder: str, target: str) -> str:
    """The part that a relation in `folder` names; a leading / is the top of the package."""
    parts: list[str] = []
    path = PurePosixPath("/", folder, target) if not target.startswith("/") else PurePosixPath(target)
    for part in path.parts[1:]:
        if part == ".." and parts:
            parts.pop()
        elif part != "..":
            parts.append(part)
    return "/".join(parts)


def _archive_kind(names: Container[str]) -> Sentence:
    kinds = {
        "xl/workbook.bin": _BINARY_WORKBOOK,
        "word/document.xml": _WORD,
        "ppt/presentation.xml": _SLIDES,
        "mimetype": _OPEN_DOCUMENT,
    }
    return next((kind for name, kind in kinds.items() if name in names), _ARCHIVE)
