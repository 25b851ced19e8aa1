"""The cells of one sheet: where each stands, what it shows, and what it is when it is no text."""

import datetime as dt
import re
from typing import Final

from sorter.reasons import Sentence
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx.bounds import COLUMNS_MAX, MERGED_MAX, ROWS_MAX, Budget
from sorter.rulebook.books.xlsx.grid import Grid, Kind, Merged, Odd
from sorter.rulebook.books.xlsx.parts import TRUE, Attributes, Part
from sorter.rulebook.books.xlsx.refusals import damaged, refusal
from sorter.rulebook.books.xlsx.strings import seen
from sorter.rulebook.tables import UNSEEN, address, plain

_MERGED: Final = Sentence("合并单元格过多", "it has too many merged cells")

_REFERENCE: Final = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")


def _reference(text: str) -> tuple[int, int]:
    """Row from 1 and place from 0 of `G14`. Raises Unreadable."""
    match = _REFERENCE.fullmatch(text.replace("$", ""))
    if not match or not 1 <= int(match[2]) <= ROWS_MAX:
        raise damaged(f'XML "{text[:40]}"')
    place = 0
    for letter in match[1].upper():
        place = place * 26 + ord(letter) - ord("A") + 1
    return int(match[2]), place - 1


class SheetCells(Part):
    """The cells of one sheet."""

    def __init__(self, budget: Budget, strings: list[str], styles: list[Kind], epoch: dt.datetime) -> None:
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
        elif name == "col" and attributes.get("hidden") in TRUE:
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
            raise damaged(f'XML row="{number[:40]}"')
        self.row = int(number)
        self.is_row_hidden = attributes.get("hidden") in TRUE
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
            raise damaged(f'XML "{self.reference}"')
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
            return None, seen(value)
        if kind == "s":
            return None, self._shared(value)
        return self._number(value) if kind == "n" else _marked(kind, value)

    def _shared(self, value: str) -> str:
        index = int(value[:8]) if value.isdecimal() else -1
        if not 0 <= index < len(self.strings):
            raise damaged(f'XML "{value[:40]}"')
        return self.strings[index]

    def _number(self, value: str) -> tuple[Kind, str]:
        try:
            number = float(value)
            whole = int(number)
        except (ValueError, OverflowError) as error:
            raise damaged(f'XML "{value[:40]}"') from error
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
            raise refusal(WorkbookMistake.TOO_LARGE, what=_MERGED, most=MERGED_MAX)
        self.grid.merged.append(Merged(name, first_row, last_row, first_place, last_place))


def _marked(kind: str, value: str) -> tuple[Kind, str]:
    """A cell that says itself what it is: truth, an error's mark or a date."""
    if kind == "b":
        return Kind.TRUTH, "TRUE" if value.strip() in TRUE else "FALSE"
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


EPOCH: Final = dt.datetime(1899, 12, 30)  # noqa: DTZ001 # a spreadsheet's day has no zone
EPOCH_1904: Final = dt.datetime(1904, 1, 1)  # noqa: DTZ001 # as above
