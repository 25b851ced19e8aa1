"""What is wrong with a table, and where, in the words of whoever filled it in."""

from typing import NamedTuple


class Finding(NamedTuple):
    """One fault. `row` is the row number the spreadsheet shows, the header being 1; 0: the whole table."""

    table: str  # or, of any other file, its name with suffix
    row: int
    column: str  # "": the whole row
    message: str

    def __str__(self) -> str:
        file = self.table if "." in self.table or not self.table else f"{self.table}.csv"
        parts = (file + f" row {self.row}" * bool(self.row), f"column {self.column}" * bool(self.column))
        place = ", ".join(filter(None, parts))
        return f"{place}: {self.message}" if place else self.message


class Rejected(Exception):
    """The rule tables cannot become a plan. `errors` holds every fault found, in table and row order."""

    def __init__(self, errors: list[Finding]) -> None:
        super().__init__(errors)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))
