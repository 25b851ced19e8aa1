"""What staff want fixed of a two-pass plan: a small table of its own, one station a row."""

from pathlib import Path
from typing import Final

from sorter import limits
from sorter.rulebook import cells, mistakes, tables
from sorter.rulebook.cells import CellError, Vocabulary
from sorter.rulebook.findings import Fault, Rejected
from sorter.rulebook.mistakes import Catalogue
from sorter.rulebook.rows import Checked
from sorter.rulebook.tables import TABLES, Cells, Columns, Unreadable
from sorter.rulebook.two_pass.request import Pin

COLUMNS: Final[Columns] = {
    "station": TABLES["stations"]["station"],
    "direct": ("单独", "单独格口", "直达"),
    "first": ("第一遍格口", "一次格口"),
    "second": ("第二遍格口", "二次格口"),
}


class PinMistake(Catalogue):
    """What can be wrong with a pin alone."""

    NOT_DIRECT = (
        "“{text}”既不是“是”也不是“否”；单独占一个格口写 1，否则写 0",
        '"{text}" is neither yes nor no; write 1 when the station has a chute of its own, else 0',
    )


_YES: Final = frozenset(("1", "yes", "true", "y", "是", "单独", "直达"))
_NO: Final = frozenset(("", "-", "0", "no", "false", "n", "否"))


def read_pins(path: Path, checked: Checked) -> list[Pin]:
    """The pins of a CSV file: station, whether it has a chute of its own, and its chutes in both passes.

    Raises Rejected with every wrong cell.
    """
    try:
        text = tables.decode(tables.read_bytes(path), COLUMNS)
        sheet, faults = tables.parse(path.name, text, COLUMNS, source=path.name)
    except Unreadable as error:
        raise Rejected([error.fault("", path.name)]) from error
    stations = Vocabulary(mistakes.STATION, mistakes.IN_PLAN, (row.station for row in checked.stations))
    pins = [_pin(row, stations, faults, path.name) for row in sheet.rows]
    if faults:
        raise Rejected([sheet.placed(fault) for fault in faults])
    return pins


def _pin(row: Cells, stations: Vocabulary, faults: list[Fault], file: str) -> Pin:
    taken: dict[str, str] = dict.fromkeys(COLUMNS, "")
    for column in COLUMNS:
        try:
            taken[column] = _read(column, row.texts[column], stations)
        except CellError as error:
            faults.append(Fault(file, row.at, column, error.said))
    return Pin(taken["station"], bool(taken["direct"]), int(taken["first"] or 0), int(taken["second"] or 0))


def _read(column: str, text: str, stations: Vocabulary) -> str:
    if column == "station":
        return cells.word(cells.undamaged(text), stations)
    if column == "direct":
        if text.casefold() not in _YES | _NO:
            raise CellError(PinMistake.NOT_DIRECT.about(text=text))
        return "1" if text.casefold() in _YES else ""
    return "" if text in cells.ANY else str(cells.number(text, 1, limits.CHUTE_NUMBER_MAX, mistakes.CHUTE_NUMBER))
