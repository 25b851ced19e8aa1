"""Rule tables become checked rows, checked rows become a compiled plan. Nothing half right passes."""

from collections.abc import Mapping
from pathlib import Path

from sorter.records import Line, Names, SortPlan
from sorter.rulebook.findings import Finding, Rejected

__all__ = ["Finding", "Rejected", "load"]


def load(folder: Path, lines: Mapping[str, Line], utc_offset_ns: int, previous: Names | None = None) -> SortPlan:
    """The compiled plan of a folder of CSV tables, for the lines of one site.

    With `previous`, every name keeps its index and new names are appended.
    Raises Rejected with every error at once.
    """
    raise NotImplementedError
