"""A day in words and pictures, from plain figures: nothing here reads a file or counts an item."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sorter.ledger.reader import Day

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Latency:
    """How long decisions took, scan to divert, in real milliseconds."""

    edges_ms: Sequence[float]  # ascending; bin i is edges_ms[i] <= ms < edges_ms[i + 1]
    counts: Sequence[int]  # len(edges_ms) - 1
    p50: float
    p99: float
    p999: float
    max: float


def text(day: Day, *, site: str, language: Language = "zh", latency: Latency | None = None) -> str:
    """The report for a terminal."""
    raise NotImplementedError


def page(day: Day, *, site: str, language: Language = "zh", latency: Latency | None = None) -> str:
    """The report as one HTML page that needs no other file and no script."""
    raise NotImplementedError
