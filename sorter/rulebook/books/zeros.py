"""Zeros at the front of a code that a spreadsheet took away are seen by the draft, which still has them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sorter.rulebook import cells
from sorter.rulebook.books.workbook import told_in_full
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.check import SEGMENTS
from sorter.rulebook.findings import Fault
from sorter.rulebook.tables import Cells, Sheet

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "carriers": ("carrier",),
    "stations": ("station",),
    "sort_codes": ("carrier", *SEGMENTS),
}
"""Columns that name a row and may be digits alone. A lane may not; in a chute's number zeros mean nothing."""

Key = tuple[str, ...]


def lost(sheets: Mapping[str, Sheet], draft: Mapping[str, Sheet]) -> list[Fault]:
    """Each row of `sheets` whose key is new, while the draft's, alike but for zeros at the front, is gone."""
    found = []
    for table in KEYS:
        if table not in sheets or table not in draft:
            continue
        after = {row.at: _key(table, row) for row in sheets[table].rows}
        faults = faults_of(table, after, (_key(table, row) for row in draft[table].rows), KEYS[table])
        found += [sheets[table].placed(fault) for fault in faults]
    return found


def faults_of(table: str, after: Mapping[int, Key], before: Iterable[Key], columns: Sequence[str]) -> list[Fault]:
    """As `lost`, of keys by their rows, the parts of a key standing in `columns`."""
    known = set(before)
    gone: dict[Key, list[Key]] = {}
    for key in sorted(known - set(after.values())):
        gone.setdefault(_bare(key), []).append(key)
    found = []
    for at, key in after.items():
        for was in gone.get(_bare(key), ()) if key not in known else ():
            parts = list(zip(columns, key, was, strict=False))
            if all(now in {then, *_bare((then,))} for _, now, then in parts):
                column, text, full = next(part for part in parts if part[1] != part[2])
                found.append(Fault(table, at, column, WorkbookMistake.ZEROS_LOST.about(text=text, was=full)))
                break
    return told_in_full(table, found)


def _key(table: str, row: Cells) -> Key:
    return tuple("" if row.texts[column] in cells.ANY else row.texts[column] for column in KEYS[table])


def _bare(key: Key) -> Key:
    """The key as a spreadsheet leaves it."""
    return tuple((text.lstrip("0") or "0") if text.isascii() and text.isdecimal() else text for text in key)
