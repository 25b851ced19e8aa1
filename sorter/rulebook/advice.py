"""Carriers' advice files become rows to send; a file that holds personal data is refused whole."""

from pathlib import Path
from typing import NamedTuple

from sorter.records import Names
from sorter.rulebook.findings import Finding

Row = tuple[str, int, int, int, int, int, int]
"""waybill, carrier, station, service, flow, weight_g (0: unknown), AdviceFlag bits; indices of Names."""


class Advices(NamedTuple):
    """The rows that are right, and one finding for each that is not."""

    rows: list[Row]
    errors: list[Finding]


def read(path: Path, names: Names) -> Advices:
    """The advices of a .csv, .tsv or .ndjson file.

    Raises Rejected when the file cannot be read at all or has a column of personal data.
    """
    raise NotImplementedError
