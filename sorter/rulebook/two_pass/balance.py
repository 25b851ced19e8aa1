"""Stations are shared out among groups: pins first, the longest next, then whatever exchange helps most.

Equal input gives an equal outcome on every machine, and the effort is bounded by counts, never by time.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sorter.records import Ints64

EFFORT: Final = 200_000_000
"""Numbers that the search for better exchanges may look at, all together."""
_NEVER: Final = 1 << 60

Flags = NDArray[np.bool_]
Cost = Callable[[Ints64], Ints64]
"""Hourly loads [..., hours] -> what each set of them costs."""


def seat(wishes: Sequence[Sequence[int]]) -> list[int] | None:
    """A seat of its own for each, out of those it wishes for, the first ones rather; None when there is no way.

    Augmenting paths: who sits in a wished seat is asked to move before anybody is refused.
    """
    seats: dict[int, int] = {}
    holder: dict[int, int] = {}
    for guest in range(len(wishes)):
        wanted_by: dict[int, int] = {}
        asked = deque([guest])
        free = None
        while asked and free is None:
            who = asked.popleft()
            for place in wishes[who]:
                if place not in wanted_by:
                    wanted_by[place] = who
                    if place not in holder:
                        free = place
                        break
                    asked.append(holder[place])
        if free is None:
            return None
        _move_up(free, guest, wanted_by, seats, holder)
    return [seats[guest] for guest in range(len(wishes))]


def _move_up(free: int, guest: int, wanted_by: dict[int, int], seats: dict[int, int], holder: dict[int, int]) -> None:
    """Everybody on the way from the free seat back to the guest takes the seat ahead."""
    place = free
    while True:
        who = wanted_by[place]
        left = seats.get(who, place)
        seats[who], holder[place] = place, who
        if who == guest:
            return
        place = left


def in_order(items: Sequence[int], load: Ints64) -> list[int]:
    """A place for each item, ascending, beside what the places bear already: int64[places], at least as many.

    Of all ways that keep the order it is the most even one, by the sum of squares, which is least where the sum
    of item times load is; equal ones begin at the front.
    """
    least = np.zeros(len(load) + 1, np.int64)  # [p]: of the items so far, in the first p places
    steps = []
    for amount in items:
        taken = least[:-1] + amount * load
        steps.append(taken)
        least = np.concatenate([[_NEVER], np.minimum.accumulate(taken)])
        least = np.minimum(least, _NEVER)
    places: list[int] = []
    for taken in reversed(steps):
        places.append(int(np.argmin(taken[: places[-1] if places else len(load)])))
    return places[::-1]


class Groups:
    """Stations in groups of at most `room`; two stations of one column never share a group.

    `items` is int64[stations, hours], `group` int64[stations] with -1 for whoever has none yet,
    `fixed` bool[stations] for whoever must stay, `column` int64[stations] with 0 for none.
    """

    def __init__(self, items: Ints64, *, group: Ints64, fixed: Flags, column: Ints64, groups: int, room: int) -> None:
        self.items = items
        self.group = group.copy()
        self.fixed = fixed
        self.column = column
        self.room = room
        self.load = np.zeros((groups, items.shape[1]), np.int64)
        self.size = np.zeros(groups, np.int64)
        self.taken = np.zeros((groups, int(column.max(initial=0)) + 1), np.int64)
        self._effort = EFFORT
        for station in np.flatnonzero(group >= 0).tolist():
            self._put(station, int(group[station]), 1)

    def _put(self, station: int, group: int, change: int) -> None:
        """Count a station in (+1) or out (-1) of a group."""
        self.load[group] += change * self.items[station]
        self.size[group] += change
        if self.column[station]:
            self.taken[group, self.column[station]] += change
        self.group[station] = group

    def fill_longest_first(self) -> None:
        """Whoever has no group yet, the largest first, goes where the busiest hour then is lowest."""
        total = self.items.sum(axis=1)
        for station in np.lexsort((np.arange(len(total)), -total)).tolist():
            if self.group[station] < 0:
                after = self.load + self.items[station]
                order = np.lexsort((after.sum(axis=1), after.max(axis=1), self.size >= self.room))
                self._put(station, int(order[0]), 1)

    def fill_in_turn(self) -> None:
        """Whoever has no group yet, as they stand in the table, goes to one group after the other."""
        turn = 0
        for station in np.flatnonzero(self.group < 0).tolist():
            while self.size[turn % len(self.size)] >= self.room:
                turn += 1
            self._put(station, turn % len(self.size), 1)
            turn += 1

    def balance(self) -> None:
        """Lower the busiest hour of any group, then the largest group without a busier hour."""
        self._improve(_busiest_hour)
        limit = int(self.load.max(initial=0))

        def total(load: Ints64) -> Ints64:
            return np.where(load.max(axis=-1) <= limit, load.sum(axis=-1), _NEVER)

        self._improve(total)

    def _improve(self, cost: Cost) -> None:
        """Exchange while it makes the costliest group, and its partner, cheaper than that group was."""
        while len(self.size) > 1 and self._effort > 0 and self._exchange(int(np.argmax(cost(self.load))), cost):
            pass

    def _exchange(self, group: int, cost: Cost) -> bool:
        """The best swap of one of the group's stations with another group's, or with an empty place there."""
        free = np.flatnonzero(~self.fixed)
        mine = free[self.group[free] == group]
        theirs = free[self.group[free] != group]
        open_to = np.flatnonzero(self.size < self.room)
        open_to = open_to[open_to != group]
        at = np.concatenate([self.group[theirs], open_to])
        items = np.concatenate([self.items[theirs], np.zeros((len(open_to), self.items.shape[1]), np.int64)])
        column = np.concatenate([self.column[theirs], np.zeros(len(open_to), np.int64)])
        given = self.items[mine][:, None] - items[None]
        self._effort -= max(given.size, 1)
        if not given.size:
            return False
        worth = np.maximum(cost(self.load[group] - given), cost(self.load[at] + given))
        worth[~self._may_swap(group, self.column[mine], at, column)] = _NEVER
        one, other = divmod(int(np.argmin(worth)), len(at))
        if worth[one, other] >= cost(self.load[group]):
            return False
        self._swap(group, int(mine[one]), int(at[other]), int(theirs[other]) if other < len(theirs) else None)
        return True

    def _may_swap(self, group: int, mine: Ints64, at: Ints64, theirs: Ints64) -> Flags:
        """Whether columns stay apart, for each of mine and each of theirs."""
        same = mine[:, None] == theirs[None]
        goes = self.taken[at][:, mine].T == 0
        comes = self.taken[group][theirs] == 0
        return np.asarray(same | (goes & comes[None]))

    def _swap(self, group: int, station: int, to: int, back: int | None) -> None:
        self._put(station, group, -1)
        if back is not None:
            self._put(back, to, -1)
            self._put(back, group, 1)
        self._put(station, to, 1)


def _busiest_hour(load: Ints64) -> Ints64:
    return np.asarray(load.max(axis=-1), np.int64)
