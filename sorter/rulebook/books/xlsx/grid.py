"""What a sheet of a workbook is once it is read: rows of text, and which of their cells are something else."""

from enum import Enum
from typing import NamedTuple


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
