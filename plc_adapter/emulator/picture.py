"""A window's cells: what is drawn never exceeds its width and height, whatever is put where."""

from __future__ import annotations

from enum import IntEnum
from itertools import groupby
from typing import Final

from rich.cells import get_character_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style

Cell = tuple[int, int]  # row and column


class Ink(IntEnum):
    """How a cell is drawn; an index of _STYLES."""

    PLAIN = 0
    GREY = 1
    STRONG = 2
    WRONG = 3


_STYLES: Final = (Style(), Style(dim=True), Style(bold=True), Style(color="red", bold=True))


def columns_of(text: str) -> int:
    """How many columns a text takes; a Chinese character takes two."""
    return sum(map(get_character_cell_size, text))


class Picture:
    """The cells of a window, for rich to print. What is put beyond its edges is cut off."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._glyphs = [[" "] * width for _ in range(height)]
        self._inks = [bytearray(width) for _ in range(height)]

    def put(self, cell: Cell, text: str, ink: Ink = Ink.PLAIN, end: int | None = None) -> int:
        """Write from a cell on, up to the column `end`; the column behind it. Drops what has no width."""
        row, column = cell
        end = self.width if end is None else min(end, self.width)
        for glyph in text:
            width = get_character_cell_size(glyph)
            if width and 0 <= row < self.height and column >= 0 and column + width <= end:
                self._set(row, column, glyph, width, ink)
            column += width
        return column

    def rows(self) -> list[str]:
        """The text alone, each row as wide as the window."""
        return ["".join(glyphs) for glyphs in self._glyphs]

    def _set(self, row: int, column: int, glyph: str, width: int, ink: Ink) -> None:
        glyphs, inks = self._glyphs[row], self._inks[row]
        last = column + width - 1
        if not glyphs[column]:
            glyphs[column - 1] = " "  # the left half of a wide one, now cut
        if last + 1 < self.width and not glyphs[last + 1]:
            glyphs[last + 1] = " "
        glyphs[column] = glyph
        inks[column] = ink
        if width == 2:
            glyphs[last] = ""
            inks[last] = ink

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        for glyphs, inks in zip(self._glyphs, self._inks, strict=True):
            column = 0
            for ink, run in groupby(inks):
                begin, column = column, column + len(list(run))
                yield Segment("".join(glyphs[begin:column]), _STYLES[ink])
            yield Segment.line()
