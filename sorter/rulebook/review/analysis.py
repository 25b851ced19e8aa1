"""What rows do to each other, exactly: every statement holds for all parcels of the domain, and names one of them.

Rows are boxes. A region is a box without the rows above it; it is cut into free boxes, and what
is asked of a region is asked of each of them at once, until there is nothing left to learn.
Rows can be written so that this never ends: what takes more steps than a check may take is named, not answered.
"""

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from sorter.records import Target
from sorter.rulebook.review.classes import FEW, STATION, Box, Domain, Parcel, Point, members
from sorter.rulebook.rows import Checked, SendTo


class Masked(NamedTuple):
    """A row that fits some parcel and is the first hit of none.

    Each of `by` is the first hit of some parcel of the row; together they fit all its parcels,
    and none of them could be left out. Where more than BY_MAX are needed, `by` holds the first
    BY_MAX that take a parcel of it. The witness fits the row, and by[0] takes it.
    """

    rule: int
    by: tuple[int, ...]
    witness: Parcel


class Overlap(NamedTuple):
    """A row that takes parcels from rows below that would send them elsewhere.

    Told of rows that do not reject, and where neither fits all that the other fits: an exception
    above its general case is how tables are written. `later` holds the first LATER_MAX of them; the
    witness is taken from later[0].
    """

    rule: int
    later: tuple[int, ...]
    witness: Parcel


class Subsumed(NamedTuple):
    """A row that decides parcels, yet without it every parcel would have the same outcome.

    `by`: all later rows that would decide one of them; empty when stations' own lanes would.
    The witness is taken by the row, and would be by by[0].
    """

    rule: int
    by: tuple[int, ...]
    witness: Parcel


class Gap(NamedTuple):
    """A station without a lane of its own, and a parcel of it that no row fits."""

    station: str
    witness: Parcel


class Analysis(NamedTuple):
    """All findings; rows are indices into `Checked.rules`, ascending."""

    masked: tuple[Masked, ...]
    overlaps: tuple[Overlap, ...]
    subsumed: tuple[Subsumed, ...]
    gaps: tuple[Gap, ...]
    idle: tuple[int, ...]  # rows that fit no parcel at all
    unexamined: tuple[int, ...]  # rows of which nothing is told: it would take too many steps
    unexamined_stations: tuple[str, ...]  # as much of a gap


def analyse(checked: Checked) -> Analysis:
    """Every finding about the decision table of checked rows."""
    return _Analyst(checked).analysis()


LATER_MAX: Final = 8
"""Nobody reads of more rows below one row; all of them are millions in a table of 10,000."""
BY_MAX: Final = 64
"""Nor of more rows above one row."""
STEPS_MAX: Final = 200_000_000  # of a table, so that a check ends
_STEPS_EACH: Final = 10_000_000  # of a row, so that one alone does not take all
_STEPS_FREE: Final = 2_000  # of a row when the table's are gone
_FREE_STEPS: Final = 400  # to look at a region at all
_TRIM_STEPS: Final = 8  # to bound a region by a row
_POINTS: Final = 12  # tried in a region before it is cut: most questions end at one of them
_AT_ONCE: Final = LATER_MAX
_SINGLY: Final = 4  # rows wanted for each row that may hide them
_STRIDE: Final = 0x9E3779B1

_Entry = tuple[int, int, int, int, int, int]
"""A row's box and its index."""


class _TooMany(Exception):
    """A row takes more steps than it may."""


class _Steps:
    """How many steps may still be taken: a row compared with a region is one. The same table takes the same."""

    def __init__(self) -> None:
        self.of_table = STEPS_MAX
        self.of_row = 0

    def begin(self) -> None:
        """Begin another row."""
        self.of_row = max(min(self.of_table, _STEPS_EACH), _STEPS_FREE)

    def take(self, steps: int) -> None:
        """Raises _TooMany."""
        self.of_table -= steps
        self.of_row -= steps
        if self.of_row < 0:
            raise _TooMany


def _cut(box: Box, other: Box) -> Box:
    """What the two have in common."""
    return box[0] & other[0], box[1] & other[1], box[2] & other[2], box[3] & other[3], box[4] & other[4]


def _share(box: Box, entry: Box | _Entry) -> int:
    """How many points of the box the entry takes."""
    return (
        (box[0] & entry[0]).bit_count()
        * (box[1] & entry[1]).bit_count()
        * (box[2] & entry[2]).bit_count()
        * (box[3] & entry[3]).bit_count()
        * (box[4] & entry[4]).bit_count()
    )


def _there(entries: list[_Entry], box: Box) -> list[_Entry]:
    """The entries that meet the box."""
    station, kind, weight, length, minute = box
    return [
        each
        for each in entries
        if each[0] & station and each[1] & kind and each[2] & weight and each[3] & length and each[4] & minute
    ]


def _holds(box: Box | _Entry, other: Box) -> bool:
    """Whether every parcel of the other is in the box."""
    return not (
        other[0] & ~box[0] or other[1] & ~box[1] or other[2] & ~box[2] or other[3] & ~box[3] or other[4] & ~box[4]
    )


def _widest(box: Box, entries: list[_Entry]) -> _Entry:
    """An entry that holds the box, else of the first ones that which takes most of it."""
    for each in entries:
        if _holds(each, box):
            return each
    return max(entries[:_POINTS], key=lambda each: _share(box, each))


def _rests(box: Box, entry: _Entry) -> Iterator[Box]:
    """The box without the entry, in disjoint boxes."""
    sides = list(box)
    for at in range(5):
        rest = sides[at] & ~entry[at]
        if rest:
            taken, sides[at] = sides[at] & entry[at], rest
            yield sides[0], sides[1], sides[2], sides[3], sides[4]
            sides[at] = taken


def _trimmed(box: Box, entries: list[_Entry], used: set[int]) -> Box:
    """The box without all entries that bound it in one dimension alone, at once; `used` gets those that do so.

    One side is empty when they cover it.
    """
    sides = list(box)
    station, kind, weight, length, minute = box
    for each in entries:
        rests = station & ~each[0], kind & ~each[1], weight & ~each[2], length & ~each[3], minute & ~each[4]
        if rests.count(0) >= 4:
            at = next((at for at in range(5) if rests[at]), 0)
            if sides[at] & each[at]:
                sides[at] &= rests[at]
                used.add(each[5])
                if not sides[at]:
                    break
    return sides[0], sides[1], sides[2], sides[3], sides[4]


def _free_parts(box: Box, entries: list[_Entry], used: set[int], steps: _Steps) -> Iterator[Box]:
    """Disjoint parts of the box, in all what none of the entries meets; `used` gets the rows that cover the rest.

    Raises _TooMany.
    """
    if len(entries) > _POINTS:
        steps.take(_TRIM_STEPS * len(entries))
        holder = next((each for each in entries if _holds(each, box)), None)
        if holder:
            used.add(holder[5])
            return
        box = _trimmed(box, entries, used)
        if not all(box):
            return
        entries = sorted(_there(entries, box), key=lambda each: -_share(box, each))
    stack = [(box, entries)]
    while stack:
        part, entries = stack.pop()
        steps.take(1 + len(entries))
        entries = _there(entries, part)
        if len(entries) > _POINTS:
            steps.take(_TRIM_STEPS * len(entries))
            part = _trimmed(part, entries, used)
            if not all(part):
                continue
            entries = _there(entries, part)
        if entries:
            widest = _widest(part, entries)
            used.add(widest[5])
            stack += [(rest, entries) for rest in _rests(part, widest)]
        else:
            yield part


def _free_at_some_station(box: Box, entries: list[_Entry], used: set[int], steps: _Steps) -> Box | None:
    """As the first of the free parts, where most entries are of few stations: those with the fewest come first."""
    at: dict[int, list[_Entry]] = {place: [] for place in members(box[STATION])}
    for each in entries:
        for place in members(box[STATION] & each[STATION]):
            at[place].append(each)
    empty = sum(1 << place for place, there in at.items() if not there)
    if empty:
        return (empty, *box[1:])
    parts = (
        _free_parts((1 << place, *box[1:]), at[place], used, steps)
        for place in sorted(at, key=lambda place: len(at[place]))
    )
    return next(chain.from_iterable(parts), None)


def _place(classes: int, turn: int) -> int:
    """One of the classes; turn 0 is the last, and each further turn one somewhere."""
    width = classes.bit_length()
    shift = turn * _STRIDE % width
    rest = classes >> shift
    return (rest & -rest).bit_length() - 1 + shift if turn and rest else width - 1


def _points(box: Box) -> Iterator[Point]:
    """Some points of the box, as the place of one class in each dimension."""
    for turn in range(_POINTS):
        yield (
            _place(box[0], turn),
            _place(box[1], turn * 3),
            _place(box[2], turn * 5),
            _place(box[3], turn * 7),
            _place(box[4], turn * 11),
        )


class _Analyst:
    """Asks every row in its order; `live` are the rows so far that take some parcel."""

    def __init__(self, checked: Checked) -> None:
        self.rules = checked.rules
        self.domain = Domain(checked)
        self.entries: list[_Entry] = [(*box, row) for row, box in enumerate(self.domain.boxes)]
        self.sizes = [_share(box, box) for box in self.domain.boxes]
        self.live = 0
        self.steps = _Steps()
        self.same: dict[SendTo, int] = {}  # outcome -> rows
        for row, rule in enumerate(self.rules):
            self.same[rule.send_to] = self.same.get(rule.send_to, 0) | 1 << row
        every = self.domain.every[STATION]
        self.everywhere = sum(1 << row for row, box in enumerate(self.domain.boxes) if box[STATION] == every)
        self.homes = self.domain.homes()

    def analysis(self) -> Analysis:
        found: list[Masked | Overlap | Subsumed] = []
        idle, unexamined = [], []
        for row, box in enumerate(self.domain.boxes):
            if not all(box):
                idle.append(row)
                continue
            self.steps.begin()
            try:
                found += self._of_row(row, box)
            except _TooMany:
                unexamined.append(row)
                self.live |= 1 << row  # if it takes no parcel, those above take all of them
        gaps, unexamined_stations = self._gaps()
        return Analysis(
            tuple(each for each in found if isinstance(each, Masked)),
            tuple(each for each in found if isinstance(each, Overlap)),
            tuple(each for each in found if isinstance(each, Subsumed)),
            gaps,
            tuple(idle),
            tuple(unexamined),
            unexamined_stations,
        )

    def _of_row(self, row: int, box: Box) -> list[Masked | Overlap | Subsumed]:
        """What there is to tell of a row that fits some parcel. Raises _TooMany."""
        near = self.domain.meeting(box)
        above = near & self.live & ((1 << row) - 1)
        if self.free(box, above) is None:
            return [self._masked(row, above)]
        self.live |= 1 << row
        below = near >> (row + 1) << (row + 1)
        found: list[Masked | Overlap | Subsumed] = []
        later = self._overlapped(row, above, below)
        if later:
            first = self.free(_cut(box, self.domain.boxes[later[0]]), above)
            assert first is not None
            found.append(Overlap(row, later, self.domain.parcel(first)))
        subsumed = self._subsumed(row, above, below)
        return [*found, subsumed] if subsumed else found

    def free(self, box: Box, rows: int) -> Box | None:
        """A part of the box, which is not empty, that none of the rows meets; None when they cover it.

        Raises _TooMany, and so does all that asks it.
        """
        self.steps.take(_FREE_STEPS)
        rows &= self.domain.meeting(box)
        if not rows:
            return box
        if rows.bit_count() > _POINTS:
            for point in _points(box):
                stations = self.stations_without(rows & self.domain.fitting(point), box[STATION])
                if stations:
                    return stations, 1 << point[1], 1 << point[2], 1 << point[3], 1 << point[4]
        return self.cover(box, rows)[0]

    def stations_without(self, rows: int, stations: int) -> int:
        """Those of the stations that none of the rows names."""
        if rows & self.everywhere:
            return 0
        for row in members(rows):
            stations &= ~self.domain.boxes[row][STATION]
            if not stations:
                break
        return stations

    def cover(self, box: Box, rows: int) -> tuple[Box | None, set[int]]:
        """A part of the box that none of the rows meets; or None, and those of the rows that cover it."""
        used: set[int] = set()
        entries = [self.entries[row] for row in members(rows)]
        wide = [each for each in entries if not box[STATION] & ~each[STATION]]
        if len(entries) - len(wide) <= FEW:
            return next(_free_parts(box, entries, used, self.steps), None), used
        for part in _free_parts(box, wide, used, self.steps):
            narrow = _there([each for each in entries if box[STATION] & ~each[STATION]], part)
            self.steps.take(len(entries))
            found = _free_at_some_station(part, narrow, used, self.steps)
            if found is not None:
                return found, used
        return None, used

    def _masked(self, row: int, above: int) -> Masked:
        box = self.domain.boxes[row]
        by = self._takers(box, above)
        first = self.free(_cut(box, self.domain.boxes[by[0]]), above & ((1 << by[0]) - 1))
        assert first is not None
        return Masked(row, by, self.domain.parcel(first))

    def _takers(self, box: Box, above: int) -> tuple[int, ...]:
        """Of the rows that cover the box some that do so and of which each is a first hit in it, or the first such."""
        while True:
            holder = self._holder(box, above)
            used = self.cover(box, above)[1] if holder is None else {holder}
            if len(used) > BY_MAX:
                takers = (row for row in members(above) if self._takes(row, box, above))
                return tuple(islice(takers, BY_MAX))
            idle = [row for row in used if not self._takes(row, box, above)]
            if not idle:
                break
            above &= ~sum(1 << row for row in idle)
        for row in sorted(used, reverse=True):
            rest = sum(1 << other for other in used if other != row)
            if rest and self.free(_cut(box, self.domain.boxes[row]), rest) is None:
                used.remove(row)
        return tuple(sorted(used))

    def _holder(self, box: Box, rows: int) -> int | None:
        """The first of the rows that fits every parcel of the box."""
        return next((row for row in members(rows) if _holds(self.domain.boxes[row], box)), None)

    def _takes(self, row: int, box: Box, above: int) -> bool:
        return self.free(_cut(box, self.domain.boxes[row]), above & ((1 << row) - 1)) is not None

    def _overlapped(self, row: int, above: int, below: int) -> tuple[int, ...]:
        send_to = self.rules[row].send_to
        wanted = [] if send_to.kind == Target.REJECT else members(below & ~self.same[send_to])
        later: list[int] = []
        for at in range(0, len(wanted), _AT_ONCE):
            if len(later) >= LATER_MAX:
                break
            some = sum(1 << other for other in wanted[at : at + _AT_ONCE])
            some &= ~self._nested(row, some)
            later += members(self._seen(self.domain.boxes[row], above, some))
        return tuple(later[:LATER_MAX])

    def _nested(self, row: int, others: int) -> int:
        """Those of the others that hold the row's box or are held by it."""
        boxes, sizes = self.domain.boxes, self.sizes
        box, size = boxes[row], sizes[row]
        nested = (
            other
            for other in members(others)
            if (_holds(box, boxes[other]) if sizes[other] <= size else _holds(boxes[other], box))
        )
        return sum(1 << other for other in nested)

    def _seen(self, box: Box, above: int, wanted: int) -> int:
        """Those of the wanted rows, all meeting the box, that meet a part of it which none of the rows above meets.

        The box is cut until few rows are wanted in a part beside those above; those are looked for singly.
        """
        if not above:
            return wanted
        asked = wanted
        for point in _points(box) if wanted.bit_count() > FEW else ():
            wanted &= ~self._seen_from(point, box[STATION], above)
        stack = [box]
        while stack and wanted:
            part = stack.pop()
            here = self.domain.meeting(part)
            there, hiding = wanted & here, above & here
            self.steps.take(_FREE_STEPS + hiding.bit_count())
            if not hiding:
                wanted &= ~there
            elif there.bit_count() <= _SINGLY * hiding.bit_count():
                wanted &= ~self._seen_singly(part, hiding, there)
            else:
                widest = _widest(part, [self.entries[row] for row in members(hiding)])
                stack += _rests(part, widest)
        return asked & ~wanted

    def _seen_singly(self, box: Box, above: int, wanted: int) -> int:
        """The wanted rows that meet a free part of the box, and others that meet it too."""
        seen = 0
        for row in members(wanted):
            if not seen >> row & 1:
                part = self.free(_cut(box, self.domain.boxes[row]), above)
                seen |= 0 if part is None else self.domain.meeting(part)
        return seen

    def _seen_from(self, point: Point, stations: int, above: int) -> int:
        """The rows that fit the point at one of the stations where none of the rows above does."""
        fitting = self.domain.fitting(point)
        stations = self.stations_without(fitting & above, stations)
        return fitting & self.domain.dimensions[STATION].meeting(stations) if stations else 0

    def _subsumed(self, row: int, above: int, below: int) -> Subsumed | None:
        """The finding, unless without the row some parcel would go elsewhere by a lower row or its own lane."""
        box = self.domain.boxes[row]
        send_to = self.rules[row].send_to
        same = below & self.same[send_to]
        away = box[0] & ~(self.homes.get(send_to.name, 0) if send_to.kind == Target.LANE else 0)
        if away and self.free((away, *box[1:]), above | same) is not None:
            return None
        holder = self._holder(box, same)
        if holder is not None:
            below &= (2 << holder) - 1  # what stands lower would decide nothing of it
            same &= below
        for other in members(below & ~same):
            cut = _cut(box, self.domain.boxes[other])
            if self.free(cut, above | same & ((1 << other) - 1)) is not None:
                return None
        by = []
        for other in members(same):
            part = self.free(_cut(box, self.domain.boxes[other]), above | same & ((1 << other) - 1))
            by += [other] if part is not None else []
        first = self.free(_cut(box, self.domain.boxes[by[0]]) if by else box, above)
        assert first is not None
        return Subsumed(row, tuple(by), self.domain.parcel(first))

    def _gaps(self) -> tuple[tuple[Gap, ...], tuple[str, ...]]:
        """All gaps, and the stations of which none is told: it would take too many steps."""
        place_of = self.domain.dimensions[STATION].place_of
        parts: dict[int, Box | None] = {}
        unexamined = set()
        for place in members(self.homes.get("", 0)):
            self.steps.begin()
            try:
                parts[place] = self.free((1 << place, *self.domain.every[1:]), self.live)
            except _TooMany:
                unexamined.add(place)
        gaps = []
        for at, (station, township) in enumerate((row.station, row.township) for row in self.domain.stations):
            part = parts.get(place_of[at])
            if part is not None:
                gaps.append(Gap(station, self.domain.parcel(part)._replace(station=station, township=township)))
        left = (row.station for at, row in enumerate(self.domain.stations) if place_of[at] in unexamined)
        return tuple(gaps), tuple(left)
