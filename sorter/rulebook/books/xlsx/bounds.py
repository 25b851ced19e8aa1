"""What may be read of one workbook, counted as it comes, so that no file fills the memory, hostile or broken."""

from typing import Final

from sorter.reasons import Sentence
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx.refusals import refusal

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

_BYTES: Final = Sentence("展开后超过上限", "unpacked it goes beyond the limit")
_MEGABYTES: Final = Sentence("{count} MB", "{count} MB")
MARKS: Final = Sentence("行和格子的标记过多", "it has too many marks of rows and cells")
_ROWS: Final = Sentence("有内容的行过多", "it has too many rows with content")
_CELLS: Final = Sentence("有内容的格子过多", "it has too many cells with content")
_CHARACTERS: Final = Sentence("文字过多", "it has too much text")


class Budget:
    """What may still be read of one workbook."""

    def __init__(self) -> None:
        self.bytes = INFLATED_BYTES_MAX
        self.elements = ELEMENTS_MAX
        self.records = RECORDS_MAX
        self.cells = CELLS_MAX
        self.characters = TEXT_MAX

    def take_record(self) -> None:
        """A row that holds something. Raises Unreadable."""
        self.records -= 1
        if self.records < 0:
            raise refusal(WorkbookMistake.TOO_LARGE, what=_ROWS, most=RECORDS_MAX)

    def take_cell(self, text: str) -> None:
        """A cell that holds something. Raises Unreadable."""
        self.cells -= 1
        self.characters -= len(text)
        if self.cells < 0:
            raise refusal(WorkbookMistake.TOO_LARGE, what=_CELLS, most=CELLS_MAX)
        if self.characters < 0:
            raise refusal(WorkbookMistake.TOO_LARGE, what=_CHARACTERS, most=TEXT_MAX)

    def take_bytes(self, count: int) -> None:
        """A part of so many bytes. Raises Unreadable."""
        self.bytes -= count
        if self.bytes < 0:
            most = _MEGABYTES.about(count=INFLATED_BYTES_MAX >> 20)
            raise refusal(WorkbookMistake.TOO_LARGE, what=_BYTES, most=most)

    def take_element(self) -> None:
        """An element of XML. Raises Unreadable."""
        self.elements -= 1
        if self.elements < 0:
            raise refusal(WorkbookMistake.TOO_LARGE, what=MARKS, most=ELEMENTS_MAX)
