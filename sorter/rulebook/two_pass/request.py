"""What is asked of a plan: recorded volumes, and what staff want fixed; or why there is none."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from sorter.reasons import Declined, Said, Sentence
from sorter.records import Ints64

HOURS: Final = 24


class NoTwoPass(Declined):
    """There is no two-pass plan as asked. `faults` holds every reason found."""

    def __init__(self, faults: list[Said]) -> None:
        names = [f"fault_{at}" for at in range(len(faults))]
        listed = "\n".join(f"{{{name}}}" for name in names)
        super().__init__(Sentence(listed, listed).about(**dict(zip(names, faults, strict=True))))
        self.faults = faults


class Pin(NamedTuple):
    """What staff want fixed of one station: a chute of its own, or a group and a second pass.

    `Pin("V001", direct=True, first=112)`: V001 alone has chute 112 in pass one.
    `Pin("V050", direct=False, first=140)`: V050 is gathered in chute 140.
    `Pin("V050", direct=False, second=203)`: V050 is gathered anywhere and drops in 203 in pass two.
    """

    station: str
    direct: bool
    first: int = 0  # chute in pass one; 0: whichever
    second: int = 0  # chute in pass two; 0: whichever


class Volumes(NamedTuple):
    """Recorded parcels by station and local hour, the stations in table order."""

    stations: tuple[str, ...]
    items: Ints64  # [stations, 24]


def count_volumes(stations: Sequence[str], parcels: Iterable[tuple[str, int]]) -> Volumes:
    """Volumes of recorded parcels, each a station and a local hour; those for other stations do not count."""
    place = {station: at for at, station in enumerate(stations)}
    items = np.zeros((len(place), HOURS), np.int64)
    for station, hour in parcels:
        if station in place:
            items[place[station], hour] += 1
    return Volumes(tuple(place), items)
