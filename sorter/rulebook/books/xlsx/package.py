"""An .xlsx is a zip of XML parts that name each other: its sheets are found, and read in their order."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Final
from xml.parsers import expat

from sorter.reasons import Sentence
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx.bounds import PARTS_MAX, SHEETS_MAX, Budget
from sorter.rulebook.books.xlsx.grid import Grid
from sorter.rulebook.books.xlsx.parts import TRUE, Elements, Part
from sorter.rulebook.books.xlsx.refusals import archive_kind, damaged, no_workbook, refusal
from sorter.rulebook.books.xlsx.sheet import EPOCH, EPOCH_1904, SheetCells
from sorter.rulebook.books.xlsx.strings import SharedStrings
from sorter.rulebook.books.xlsx.styles import Styles
from sorter.rulebook.tables import FILE_BYTES_MAX, Unreadable, plain, read_bytes

_SHEETS: Final = Sentence("有 {count} 张工作表", "it has {count} sheets")
_PACKED: Final = Sentence("压缩数据", "packed data")
_PARTS: Final = Sentence("有 {count} 个部件", "it has {count} parts")


def read_grids(path: Path, only: Callable[[str], bool] = lambda _: True) -> list[Grid]:
    """The sheets of a workbook whose titles are wanted by `only`, in its order.

    Raises Unreadable when it is no .xlsx, is protected, damaged or too large.
    """
    data = read_bytes(path, FILE_BYTES_MAX)
    if not data.startswith(b"PK"):
        raise no_workbook(data)
    parts = data.count(b"PK\x01\x02")
    if parts > PARTS_MAX:
        raise refusal(WorkbookMistake.TOO_LARGE, what=_PARTS.about(count=parts), most=PARTS_MAX)
    try:
        with zipfile.ZipFile(BytesIO(data)) as package:
            return list(_Workbook(package).grids(only))
    except Unreadable:
        raise
    except expat.ExpatError as error:
        raise damaged(f"XML {error.lineno}:{error.offset}") from error
    except _ARCHIVE_ERRORS as error:
        raise damaged(_PACKED) from error


_ARCHIVE_ERRORS: Final = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
"""What zipfile raises when an archive is not what it says; a negative offset makes it a ValueError."""


class _Workbook:
    """The package: which part holds which sheet."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self.package = package
        self.budget = Budget()
        self.names = {name.casefold().lstrip("/"): name for name in package.namelist()}

    def grids(self, only: Callable[[str], bool]) -> Iterator[Grid]:
        main = self._main()
        listed = self._elements(main, "sheet", "workbookPr")
        found = [attributes for name, attributes in listed if name == "sheet"]
        if len(found) > SHEETS_MAX:
            raise refusal(WorkbookMistake.TOO_LARGE, what=_SHEETS.about(count=len(found)), most=SHEETS_MAX)
        is_1904 = any(attributes.get("date1904") in TRUE for _, attributes in listed)
        targets = self._targets(main)
        strings, styles = SharedStrings(self.budget), Styles(self.budget)
        self._read(strings, _target(targets, "sharedStrings"))
        self._read(styles, _target(targets, "styles"))
        for attributes in found:
            title = plain(attributes.get("name", ""))
            if not only(title):
                continue
            sheet = SheetCells(self.budget, strings.texts, styles.kinds, EPOCH_1904 if is_1904 else EPOCH)
            self._read(sheet, targets.get(attributes.get("id", ""), ("", ""))[1])
            is_hidden = attributes.get("state", "visible") != "visible"
            yield sheet.grid._replace(title=title, is_hidden=is_hidden, beyond=sheet.beyond)

    def _main(self) -> str:
        if "_rels/.rels" in self.names:
            targets = self._targets("")
            main = _target(targets, "officeDocument")
            if main.casefold().endswith(".xml") and main.casefold().startswith("xl/"):
                return main
        raise refusal(WorkbookMistake.NO_WORKBOOK, what=archive_kind(self.names))

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
        elements = Elements(self.budget, *names)
        self._read(elements, part)
        return elements.found

    def _read(self, reader: Part, part: str) -> None:
        if not part:
            return
        name = self.names.get(part.casefold())
        if name is None:
            raise damaged(part)
        self.budget.take_bytes(self.package.getinfo(name).file_size)  # zipfile hands out no more than that
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
