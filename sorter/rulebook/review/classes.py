"""The domain of the decision table, cut into the classes of values that no row tells apart.

A set of rows is a number whose bit r stands for the r-th row, a set of classes one whose bit c
stands for class c: a row is a product of one set of classes in each of five dimensions.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import or_
from typing import Final, NamedTuple

import numpy as np

from sorter.records import Bits, Flow, Ints32
from sorter.rulebook.compile import Index, names_of, table_of
from sorter.rulebook.rows import Checked

Box = tuple[int, int, int, int, int]
"""A set of classes in each dimension: station, kind, weight, length, minute of the week."""

Point = tuple[int, int, int, int, int]
"""The place of one class in each dimension."""

FEW: Final = 48
"""So many are gone through one by one; more are looked up at once."""
STATION: Final = 0
_KEPT: Final = 4096  # answers for sets of classes, each as long as the table has rows


class Parcel(NamedTuple):
    """What the decision table asks about one parcel."""

    carrier: str
    station: str
    township: str  # "": none
    service: str
    flow: str
    weight_g: int | None  # None: not measured
    length_mm: int | None  # None: not measured
    weekday: int  # Monday 0
    minute: int  # of the day


def members(bits: int) -> list[int]:
    """The places of the bits that are set, ascending."""
    if bits.bit_count() > FEW:
        octets = np.frombuffer(bits.to_bytes(bits.bit_length() // 8 + 1, "little"), np.uint8)
        return np.flatnonzero(np.unpackbits(octets, bitorder="little")).tolist()
    out = []
    while bits:
        low = bits & -bits
        out.append(low.bit_length() - 1)
        bits ^= low
    return out


def _runs(bits: int) -> Iterator[tuple[int, int]]:
    """First and last place of every unbroken run of set bits."""
    while bits:
        first = (bits & -bits).bit_length() - 1
        rest = bits >> first
        length = (~rest & (rest + 1)).bit_length() - 1
        yield first, first + length - 1
        bits = rest >> length << first + length


class Dimension:
    """One dimension's classes, and which rows meet or hold a set of them."""

    def __init__(self, vectors: Bits, rows: int, values: Iterable[int], apart: Sequence[str] | None = None) -> None:
        """`vectors`: those of the compiled table. `values`: which of them a parcel can have.

        `apart`: for each vector a word; values of different words are never one class.
        """
        firsts: dict[tuple[bytes, str], int] = {}
        keys = {value: (vectors[value].tobytes(), apart[value] if apart else "") for value in values}
        for value, key in keys.items():
            firsts.setdefault(key, value)
        places = {key: place for place, key in enumerate(firsts)}
        self.values = list(firsts.values())  # class -> its first value in the compiled table
        self.place_of = {value: places[key] for value, key in keys.items()}
        self.vectors = [int.from_bytes(vector, "little") for vector, _ in firsts]  # class -> rows
        self.every = (1 << len(self.vectors)) - 1
        self.sets = _transposed([vector for vector, _ in firsts], rows)  # row -> classes
        self._meeting: dict[int, int] = {}
        self._sort_rows()

    def _sort_rows(self) -> None:
        """Rows of one unbroken run are found by its ends, the others by their set."""
        by_set: dict[int, list[int]] = {}
        for row, classes in enumerate(self.sets):
            by_set.setdefault(classes, []).append(row)
        starts, ends = [0] * len(self.vectors), [0] * len(self.vectors)
        self._broken: list[tuple[int, int]] = []
        for classes, rows in by_set.items():
            mask = sum(1 << row for row in rows)
            runs = list(_runs(classes))
            if len(runs) > 1:
                self._broken.append((classes, mask))
            for first, last in runs if len(runs) == 1 else ():
                starts[first] |= mask
                ends[last] |= mask
        self._started = list(accumulate(starts, or_))  # class -> rows that begin there or before
        self._unended = list(accumulate(reversed(ends), or_))[::-1]  # class -> rows that end there or behind

    def meeting(self, classes: int) -> int:
        """The rows that have one of the classes."""
        found = self._meeting.get(classes)
        if found is None:
            if len(self._meeting) == _KEPT:
                self._meeting.clear()
            self._meeting[classes] = found = self._meet(classes)
        return found

    def _meet(self, classes: int) -> int:
        found = 0
        if classes.bit_count() <= max(1, len(self._broken) // 4):
            for place in members(classes):
                found |= self.vectors[place]
            return found
        for first, last in _runs(classes):
            found |= self._started[last] & self._unended[first]
        for others, rows in self._broken:
            if others & classes:
                found |= rows
        return found


def _transposed(vectors: list[bytes], rows: int) -> list[int]:
    """Class -> rows turned into row -> classes, 64 rows at a time."""
    words = np.frombuffer(b"".join(vectors), np.uint64).reshape(len(vectors), -1)
    out: list[int] = []
    for word in range(words.shape[1]):
        octets = np.ascontiguousarray(words[:, word]).view(np.uint8).reshape(-1, 8)
        bits = np.unpackbits(octets, axis=1, bitorder="little")
        packed = np.packbits(bits, axis=0, bitorder="little")
        out += [int.from_bytes(column.tobytes(), "little") for column in packed.T]
    return out[:rows]


class Domain:
    """Every parcel the table can be asked about, and every row as a box of them."""

    def __init__(self, checked: Checked) -> None:
        names = names_of(checked, None)
        table = table_of(checked, Index(names))
        rows = len(checked.rules)
        self._names, self._table = names, table
        self.stations = checked.stations  # in the order of their vectors
        lanes = [station.lane for station in self.stations]
        self.dimensions = (
            Dimension(table.station, rows, range(len(lanes)), lanes),
            Dimension(table.kind, rows, range(len(table.kind))),
            Dimension(table.weight, rows, _measures(table.weight_edges)),
            Dimension(table.length, rows, _measures(table.length_edges)),
            Dimension(table.minute, rows, range(len(table.minute))),
        )
        self.boxes: list[Box] = list(zip(*(each.sets for each in self.dimensions), strict=True))
        station, kind, weight, length, minute = (each.every for each in self.dimensions)
        self.every: Box = (station, kind, weight, length, minute)

    def homes(self) -> dict[str, int]:
        """Lane -> the classes of the stations whose own lane it is; "" -> those that have none."""
        found: dict[str, int] = {}
        for place, value in enumerate(self.dimensions[STATION].values):
            lane = self.stations[value].lane
            found[lane] = found.get(lane, 0) | 1 << place
        return found

    def meeting(self, box: Box) -> int:
        """The rows that some parcel of the box fits."""
        station, kind, weight, length, minute = self.dimensions
        return (
            station.meeting(box[0])
            & kind.meeting(box[1])
            & weight.meeting(box[2])
            & length.meeting(box[3])
            & minute.meeting(box[4])
        )

    def fitting(self, point: Point) -> int:
        """The rows that a parcel fits at some station or other."""
        _, kind, weight, length, minute = self.dimensions
        return kind.vectors[point[1]] & weight.vectors[point[2]] & length.vectors[point[3]] & minute.vectors[point[4]]

    def parcel(self, box: Box) -> Parcel:
        """A parcel of a box that is not empty."""
        station, kind, weight, length, week = (
            dimension.values[(classes & -classes).bit_length() - 1]
            for dimension, classes in zip(self.dimensions, box, strict=True)
        )
        names, table = self._names, self._table
        kind, flow = divmod(kind, len(Flow))
        carrier, service = divmod(kind, len(names.services))
        weekday, span = divmod(week, len(table.minute_edges) + 1)
        return Parcel(
            names.carriers[carrier],
            self.stations[station].station,
            self.stations[station].township,
            names.services[service],
            Flow(flow).name.lower(),
            _measured(table.weight_edges, weight),
            _measured(table.length_edges, length),
            weekday,
            int(table.minute_edges[span - 1]) if span else 0,
        )


def _measures(edges: Ints32) -> range:
    """The vectors of a measure: nothing measures 0, which alone would be below an edge at 1."""
    return range(int(len(edges) > 0 and edges[0] == 1), len(edges) + 2)


def _measured(edges: Ints32, value: int) -> int | None:
    """The smallest number of an interval; None for the vector of what was not measured."""
    if value > len(edges):
        return None
    return max(1, int(edges[value - 1])) if value else 1
