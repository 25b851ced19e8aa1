"""What is wrong with a table or worth a look, and where, in the words of whoever filled it in."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sorter.reasons import Language, Said, Sentence
from sorter.rulebook.mistakes import Catalogue

_SHEET: Final = Sentence(" 工作表“{name}”", " sheet {name}")
_ROW: Final = Sentence(" 第{at}行", " row {at}")
_COLUMN: Final = Sentence(" “{name}”列", ", column {name}")
_CELL: Final = Sentence("（{name}）", " ({name})")
_AT: Final = Sentence("{place}：{what}", "{place}: {what}")


class Fault(NamedTuple):
    """One error: the set cannot become a plan. `row` is the row that the spreadsheet shows; 0: the whole table."""

    table: str  # or, of any other file, its name with suffix
    row: int
    column: str  # its name in tables.TABLES, or a strange header; "": the whole row
    said: Said  # by a sentence of a Catalogue
    file: str = ""  # as it is on disk; "": not known
    sheet: str = ""  # "": the file has none
    cell: str = ""  # "G14"; "": no single one
    header: str = ""  # of the column, as the file writes it; "": it has none

    @property
    def kind(self) -> str:
        """The name of the mistake, such as `not_a_number`."""
        assert isinstance(self.said.sentence, Catalogue)
        return self.said.sentence.kind

    def message(self, language: Language) -> str:
        """What is wrong, and what to write instead."""
        return self.said.told(language)

    def place(self, language: Language) -> str:
        """Where it stands, such as `rules.csv row 14, column weight_g (G14)`."""
        column = self.header or self.column if language == "zh" else self.column
        parts = (
            self.file or (self.table if "." in self.table or not self.table else f"{self.table}.csv"),
            _SHEET.about(name=self.sheet).told(language) if self.sheet else "",
            _ROW.about(at=self.row).told(language) if self.row else "",
            _COLUMN.about(name=column).told(language) if column else "",
            _CELL.about(name=self.cell).told(language) if self.cell else "",
        )
        return "".join(parts).lstrip(" ,")

    def told(self, language: Language) -> str:
        """Place and message on one line."""
        place = self.place(language)
        return _AT.about(place=place, what=self.said).told(language) if place else self.message(language)

    def as_json(self, language: Language) -> dict[str, Any]:
        """For programs; `table`, `row`, `column`, `cell`, `file` and `sheet` are the same in either language."""
        return {
            "table": self.table,
            "row": self.row,
            "column": self.column,
            "kind": self.kind,
            "message": self.message(language),
            "cell": self.cell,
            "file": self.file,
            "sheet": self.sheet,
        }

    def __str__(self) -> str:
        return self.told("en")


class Finding(NamedTuple):
    """Something that may be meant, and is worth a look; the set becomes a plan all the same."""

    kind: str  # masked, overlap, gap, …
    table: str
    rows: tuple[int, ...]  # as the spreadsheet shows them; (): the whole table
    witness: str | Mapping[str, Any] | None  # what shows it: a parcel, a code, a line
    said: Said

    def told(self, language: Language) -> str:
        """The first of its rows, and the message, which speaks of the others."""
        row = _ROW.about(at=self.rows[0]).told(language) if self.rows else ""
        return _AT.about(place=self.table + row, what=self.said).told(language)

    def as_json(self, language: Language) -> dict[str, Any]:
        """For programs."""
        return {
            "kind": self.kind,
            "table": self.table,
            "rows": list(self.rows),
            "witness": self.witness,
            "message": self.said.told(language),
        }


class Rejected(Exception):
    """The rule tables cannot become a plan. `errors` holds every fault found, in table and row order."""

    def __init__(self, errors: list[Fault]) -> None:
        super().__init__(errors)
        self.errors = errors

    def told(self, language: Language) -> str:
        """One line for each error."""
        return "\n".join(error.told(language) for error in self.errors)

    def __str__(self) -> str:
        return self.told("en")
