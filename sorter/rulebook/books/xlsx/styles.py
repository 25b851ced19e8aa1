"""A number is a date or a time by its format alone."""

import re
from typing import Final

from sorter.rulebook.books.xlsx.bounds import Budget
from sorter.rulebook.books.xlsx.grid import Kind
from sorter.rulebook.books.xlsx.parts import Attributes, Part


class Styles(Part):
    """For each style of a cell the kind of its number format: Kind.NUMBER, DATE or TIME."""

    def __init__(self, budget: Budget) -> None:
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
