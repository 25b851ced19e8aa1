"""What a line's reader makes of a passage: one seed gives each parcel on each lap the same reading.

Three things go wrong with a real reader, each for a share of the passages that may be changed
while the line runs: a reading is sent twice, a shiny side shows the label of the parcel before, and a
label is not read at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from plc_adapter.emulator.plant import Scan
from plc_adapter.emulator.traffic import Parcel

_STREAM: Final = 1  # the plant draws from the same seed and line
_GOLDEN: Final = 0.618_033_988_749_895  # steps by it spread evenly over 0..1: each lap has luck of its own


class Passage(NamedTuple):
    """A parcel that passed the scanner, as it was read there."""

    t_ns: int
    item: int
    parcel: int  # its index in the line's load
    induct: int
    lap: int
    codes: tuple[str, ...]  # (): none was read
    weight_g: int  # 0: not weighed
    size_mm: tuple[int, int, int]  # zeros: not measured
    is_double: bool  # the reader says it twice


class Reading:
    """One line's reader as it reads. Shares are of passages, 0 to 1."""

    def __init__(self, line: str, parcels: Sequence[Parcel], seed: int) -> None:
        self.double_share = 0.0
        self.mirrored_share = 0.0
        self.unread_share = 0.0
        self._parcels = parcels
        self._luck = np.random.default_rng([seed, _STREAM, *line.encode()]).random((len(parcels), 3))
        self._before: tuple[str, ...] = ()  # what the label of the last parcel says

    def read(self, scan: Scan) -> Passage:
        """What is read of the next parcel at the scanner."""
        parcel = self._parcels[scan.parcel]
        double, mirrored, unread = ((self._luck[scan.parcel] + scan.lap * _GOLDEN) % 1).tolist()
        codes = parcel.codes
        if unread < self.unread_share:
            codes = ()
        elif codes and mirrored < self.mirrored_share:
            codes += self._before
        self._before = parcel.codes
        return Passage(
            scan.t_ns,
            scan.item,
            scan.parcel,
            parcel.induct,
            scan.lap,
            codes,
            parcel.weight_g,
            parcel.size_mm,
            is_double=double < self.double_share,
        )
