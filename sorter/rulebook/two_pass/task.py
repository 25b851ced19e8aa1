"""What is asked, in numbers: how many stations can be direct, and a seat for every pin."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sorter.reasons import Sentence
from sorter.rulebook.two_pass.balance import seat
from sorter.rulebook.two_pass.request import NoTwoPass, Pin, Volumes
from sorter.rulebook.two_pass.request_faults import faults_of

PINS_TOO_TIGHT: Final = Sentence(
    "{chutes} 个格口按这些固定项分不下 {stations} 个站点；请去掉一些固定项",
    "with these fixed places {chutes} chutes cannot take {stations} stations; fix fewer of them",
)


class Task(NamedTuple):
    """What is asked, in numbers: stations by their place in the table, chutes by their place in `chutes`."""

    volumes: Volumes
    chutes: tuple[int, ...]
    direct: Mapping[int, int]  # station -> chute it must have alone, -1: whichever
    grouped: Mapping[int, tuple[int, int]]  # station -> group chute and second chute, -1: whichever
    direct_count: int

    def unpinned(self) -> list[int]:
        """The stations that staff left free, in table order."""
        count = len(self.volumes.stations)
        return [station for station in range(count) if station not in self.direct and station not in self.grouped]

    def group_chutes(self) -> list[int]:
        """The group chutes that staff fixed."""
        return sorted({first for first, _ in self.grouped.values() if first >= 0})

    def group_count(self) -> int:
        """How many groups there are beside the direct stations; no more than the stations left."""
        return min(len(self.chutes) - self.direct_count, len(self.volumes.stations) - self.direct_count)


def task_of(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin]) -> Task:
    """What is asked, in numbers. Raises NoTwoPass with everything that is wrong."""
    if faults := faults_of(volumes, chutes, pins):
        raise NoTwoPass(faults)
    station = {name: at for at, name in enumerate(volumes.stations)}
    chute = {0: -1} | {number: at for at, number in enumerate(chutes)}
    direct = {station[pin.station]: chute[pin.first] for pin in pins if pin.direct}
    grouped = {station[pin.station]: (chute[pin.first], chute[pin.second]) for pin in pins if not pin.direct}
    task = Task(volumes, tuple(chutes), direct, grouped, 0)
    most = _most_direct(task)
    if most is None:
        raise NoTwoPass([PINS_TOO_TIGHT.about(stations=len(volumes.stations), chutes=len(chutes))])
    return task._replace(direct_count=most)


def _most_direct(task: Task) -> int | None:
    """How many stations can be direct at most; None: the pins leave no plan.

    Fewer groups leave more chutes to direct stations, so the fewest groups that can hold the others win.
    """
    stations, chutes = len(task.volumes.stations), len(task.chutes)
    for groups in range(len(task.group_chutes()), chutes + 1):
        direct = min(chutes - groups, stations - len(task.grouped))
        holds = stations - direct <= groups * chutes
        if len(task.direct) <= direct and holds and pinned_groups(task, groups) is not None:
            return direct
    return None


def pinned_groups(task: Task, groups: int) -> dict[int, int] | None:
    """A group for every station pinned to one or to a chute of pass two, so that all pins hold; None: there is none.

    A seat is a group and a chute of pass two; the groups of pinned chutes come first.
    """
    chutes, pinned = len(task.chutes), task.group_chutes()
    wishes = []
    for turn, (first, second) in enumerate(task.grouped.values()):
        rows = [pinned.index(first)] if first >= 0 else [(turn + step) % groups for step in range(groups)]
        columns = [second] if second >= 0 else range(chutes)
        wishes.append([row * chutes + column for row in rows for column in columns])
    seats = seat(wishes)
    if seats is None:
        return None
    return {station: place // chutes for station, place in zip(task.grouped, seats, strict=True)}


def by_volume(task: Task) -> list[int]:
    """Stations without a pin, the largest first, equal ones in table order."""
    total = task.volumes.items.sum(axis=1).tolist()
    return sorted(task.unpinned(), key=lambda station: (-total[station], station))
