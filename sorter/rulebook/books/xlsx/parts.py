"""An XML part of a workbook is read element by element, in one pass, and never a tag longer than a bound."""

from collections.abc import Mapping
from typing import IO, Final
from xml.parsers import expat

from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx.bounds import MARKS, PARTS_MAX, TOKEN_BYTES_MAX, Budget
from sorter.rulebook.books.xlsx.refusals import damaged, refusal

_CHUNK_BYTES: Final = 1 << 18

Attributes = Mapping[str, str]
TRUE: Final = {"1", "true"}


class Part:
    """One XML part of the package, read element by element. Names come without their prefix."""

    def __init__(self, budget: Budget) -> None:
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
                raise damaged("XML <…")
        parser.Parse(b"", True)

    def _start(self, name: str, attributes: Attributes) -> None:
        self.budget.take_element()
        self.begin(_local(name), attributes)

    def _end(self, name: str) -> None:
        self.finish(_local(name))

    def _text(self, text: str) -> None:
        if self.keep is not None:
            self.keep.append(text)


def _local(name: str) -> str:
    return name.rpartition(":")[2] if ":" in name else name


def _no_doctype(*_: object) -> None:
    raise damaged("XML DOCTYPE")


class Elements(Part):
    """Gathers the attributes of some elements."""

    def __init__(self, budget: Budget, *names: str) -> None:
        super().__init__(budget)
        self.names = names
        self.found: list[tuple[str, dict[str, str]]] = []

    def begin(self, name: str, attributes: Attributes) -> None:
        if name in self.names:
            if len(self.found) == PARTS_MAX:
                raise refusal(WorkbookMistake.TOO_LARGE, what=MARKS, most=PARTS_MAX)
            self.found.append((name, {key.rpartition(":")[2]: value for key, value in attributes.items()}))
