"""What is wrong with a table, and where, in the words of whoever filled it in."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One fault. `row` is the row number the spreadsheet shows, the header being 1; 0: the whole table."""

    table: str
    row: int
    column: str  # "": the whole row
    message: str

    def __str__(self) -> str:
        place = f"{self.table}.csv"
        if self.row:
            place += f" row {self.row}"
        if self.column:
            place += f", column {self.column}"
        return f"{place}: {self.message}"


class Rejected(Exception):
    """The rule tables cannot become a plan. `errors` holds every fault found, in table and row order."""

    def __init__(self, errors: list[Finding]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors
