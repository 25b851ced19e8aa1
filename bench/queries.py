"""What the decision table and its peers are asked: uniform, always the same."""

from typing import NamedTuple

import numpy as np

from bench.tables import CARRIERS, SEED, SERVICES, STATIONS
from sorter.records import Ints32


class Queries(NamedTuple):
    """Encoded columns, int32[n] each."""

    station: Ints32
    carrier: Ints32
    service: Ints32
    flow: Ints32
    weight_g: Ints32
    length_mm: Ints32
    minute: Ints32  # of the day
    weekday: Ints32  # Monday 0


def draw(count: int) -> Queries:
    """So many queries."""
    dice = np.random.default_rng([SEED, 3])
    most = (STATIONS, len(CARRIERS), len(SERVICES), 2, 30_000, 1_500, 1_440, 7)
    return Queries(*(dice.integers(1 if end > 1_440 else 0, end, count, np.int32) for end in most))
