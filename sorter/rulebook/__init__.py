"""Rule tables become checked rows, checked rows become a compiled plan. Nothing half right passes."""

from collections.abc import Mapping
from pathlib import Path

from sorter.records import Line, Names, SortPlan
from sorter.rulebook.check import check_sheets
from sorter.rulebook.compile import compile_plan
from sorter.rulebook.findings import Fault, Finding, Rejected
from sorter.rulebook.rows import Checked
from sorter.rulebook.tables import read_folder

__all__ = ["Checked", "Fault", "Finding", "Rejected", "check_folder", "compile_plan", "load"]


def check_folder(
    folder: Path, lines: Mapping[str, Line], utc_offset_ns: int, places_mm: Mapping[str, range] = {}
) -> Checked:
    """The checked rows of a folder of CSV tables, for the lines of one site; `places_mm` as in check_sheets.

    Raises Rejected with every error at once.
    """
    sheets, errors = read_folder(folder)
    return check_sheets(sheets, lines, utc_offset_ns, errors, places_mm)


def load(folder: Path, lines: Mapping[str, Line], utc_offset_ns: int, previous: Names | None = None) -> SortPlan:
    """The compiled plan of a folder of CSV tables, for the lines of one site.

    With `previous`, every name keeps its index and new names are appended; a name that is gone
    stays without lane. Raises Rejected with every error at once.
    """
    return compile_plan(check_folder(folder, lines, utc_offset_ns), previous)
