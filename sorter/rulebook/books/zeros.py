"""Zeros at the front of a code that a spreadsheet took away are seen beside a rule set that still has them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from sorter.reasons import Sentence
from sorter.rulebook import cells
from sorter.rulebook.books.workbook import told_in_full
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.check import SEGMENTS
from sorter.rulebook.findings import Fault, Finding
from sorter.rulebook.tables import Cells, Sheet

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "carriers": ("carrier",),
    "stations": ("station",),
    "sort_codes": ("carrier", *SEGMENTS),
}
"""Columns that name a row and may be digits alone. A lane may not; in a chute's number zeros mean nothing."""

_SINCE: Final = Sentence(
    "“{text}”在正在使用的方案里是“{was}”，开头的 0 可能丢了；请在 Excel 里把 {column} 一列设成文本，再重新填写",
    "{text} is {was} in the plan in force, so zeros at its front may be lost; "
    "in Excel format the column {column} as text and write it again",
)

Key = tuple[str, ...]


class Lost(NamedTuple):
    """A row whose key is new, while one alike but for zeros at the front is gone."""

    at: int
    column: str
    text: str
    was: str


def lost(sheets: Mapping[str, Sheet], draft: Mapping[str, Sheet]) -> list[Fault]:
    """The rows of `sheets` that lost zeros the draft has, as faults of an import."""
    found = []
    for table, sheet in _compared(sheets, draft):
        faults = faults_of(table, _by_row(table, sheet), _by_row(table, draft[table]).values(), KEYS[table])
        found += [sheet.placed(fault) for fault in faults]
    return found


def lost_since(sheets: Mapping[str, Sheet], published: Mapping[str, Sheet]) -> list[Finding]:
    """The rows of a draft that lost zeros the rule set in force has: what a spreadsheet does to a table in place."""
    return [
        Finding("zeros_lost", table, (row.at,), {"text": row.text, "full": row.was}, _SINCE.about(**row._asdict()))
        for table, sheet in _compared(sheets, published)
        for row in _lost(_by_row(table, sheet), _by_row(table, published[table]).values(), KEYS[table])
    ]


def faults_of(table: str, after: Mapping[int, Key], before: Iterable[Key], columns: Sequence[str]) -> list[Fault]:
    """As `lost`, of keys by their rows, the parts of a key standing in `columns`."""
    found = [
        Fault(table, row.at, row.column, WorkbookMistake.ZEROS_LOST.about(text=row.text, was=row.was))
        for row in _lost(after, before, columns)
    ]
    return told_in_full(table, found)


def _compared(sheets: Mapping[str, Sheet], others: Mapping[str, Sheet]) -> list[tuple[str, Sheet]]:
    return [(table, sheets[table]) for table in KEYS if table in sheets and table in others]


def _lost(after: Mapping[int, Key], before: Iterable[Key], columns: Sequence[str]) -> Iterator[Lost]:
    known = set(before)
    gone: dict[Key, list[Key]] = {}
    for key in sorted(known - set(after.values())):
        gone.setdefault(_bare(key), []).append(key)
    for at, key in after.items():
        for was in gone.get(_bare(key), ()) if key not in known else ():
            parts = list(zip(columns, key, was, strict=False))
            if all(now in {then, *_bare((then,))} for _, now, then in parts):
                yield Lost(at, *next(part for part in parts if part[1] != part[2]))
                break


def _by_row(table: str, sheet: Sheet) -> dict[int, Key]:
    return {row.at: _key(table, row) for row in sheet.rows}


def _key(table: str, row: Cells) -> Key:
    return tuple("" if row.texts[column] in cells.ANY else row.texts[column] for column in KEYS[table])


def _bare(key: Key) -> Key:
    """The key as a spreadsheet leaves it."""
    return tuple((text.lstrip("0") or "0") if text.isascii() and text.isdecimal() else text for text in key)
