"""A two-pass plan for the volumes: who is direct, who is grouped, and a chute for each in both passes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from sorter.records import Ints64
from sorter.rulebook.two_pass.balance import Groups, in_order
from sorter.rulebook.two_pass.request import Pin, Volumes
from sorter.rulebook.two_pass.task import Task, by_volume, pinned_groups, task_of


class TwoPass(NamedTuple):
    """Where every station goes in both passes."""

    chutes: tuple[int, ...]  # those the stations share, in the order they stand
    direct: Mapping[str, int]  # station -> its own chute; in table order
    groups: Mapping[int, tuple[str, ...]]  # group chute of pass one -> its stations in table order
    second: Mapping[str, int]  # station of a group -> its chute in pass two; in table order


def plan_two_pass(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin] = ()) -> TwoPass:
    """The plan that handles fewest parcels twice, its groups balanced by hour.

    Fewest: each direct station spares its own parcels and nothing else, and any stations may be
    direct that no pin forbids; so with as many direct as fit, the largest are the best. Who wants
    more and smaller groups pins a station to each chute that shall be one.
    Raises NoTwoPass with everything that is wrong.
    """
    task = task_of(volumes, chutes, pins)
    rest = _left(task, by_volume(task))
    groups = _groups(task, rest)
    groups.fill_longest_first()
    groups.balance()
    return _plan(task, rest, groups.group)


def baseline(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin] = ()) -> TwoPass:
    """The simple way: as many direct as fit as they stand in the table, the others to the groups in turn.

    Raises NoTwoPass as plan_two_pass does.
    """
    task = task_of(volumes, chutes, pins)
    rest = _left(task, task.unpinned())
    groups = _groups(task, rest)
    groups.fill_in_turn()
    return _plan(task, rest, groups.group)


def _left(task: Task, preferred: list[int]) -> list[int]:
    """The stations, in table order, that are grouped when the first of `preferred` are direct."""
    direct = {*task.direct, *preferred[: task.direct_count - len(task.direct)]}
    return [station for station in range(len(task.volumes.stations)) if station not in direct]


def _groups(task: Task, rest: list[int]) -> Groups:
    """The groups, so far with those stations alone that pins seat."""
    seats = pinned_groups(task, task.group_count()) or {}
    pins = [task.grouped.get(station, (-1, -1)) for station in rest]
    return Groups(
        task.volumes.items[rest],
        group=np.array([seats.get(station, -1) for station in rest], np.int64),
        fixed=np.array([first >= 0 for first, _ in pins], np.bool_),
        column=np.array([second + 1 for _, second in pins], np.int64),
        groups=task.group_count(),
        room=len(task.chutes),
    )


def _plan(task: Task, rest: list[int], group: Ints64) -> TwoPass:
    """Chutes for all: as pinned, else direct stations from the front in table order and groups at the end."""
    pinned = task.group_chutes()
    free = [at for at in range(len(task.chutes)) if at not in pinned and at not in task.direct.values()]
    alone = sorted(set(range(len(task.volumes.stations))) - set(rest))
    begin = len(free) - (task.group_count() - len(pinned))
    rows = [*pinned, *free[begin:]]
    unfixed = iter(free[:begin])
    own = {station: task.direct.get(station, -1) for station in alone}
    members = {
        row: [station for station, of in zip(rest, group.tolist(), strict=True) if of == at]
        for at, row in enumerate(rows)
    }
    names, chutes = task.volumes.stations, task.chutes
    second = _second(task, [members[row] for row in sorted(rows)])
    return TwoPass(
        chutes,
        {names[station]: chutes[at if at >= 0 else next(unfixed)] for station, at in own.items()},
        {chutes[row]: tuple(names[station] for station in members[row]) for row in sorted(rows)},
        {names[station]: chutes[second[station]] for station in rest},
    )


def _second(task: Task, groups: list[list[int]]) -> dict[int, int]:
    """Each grouped station's chute in pass two: as pinned, the others of a group in table order.

    Where a group leaves chutes empty, they are those that other groups load most.
    """
    total = task.volumes.items.sum(axis=1)
    load = np.zeros(len(task.chutes), np.int64)
    second = {station: at for station, (_, at) in task.grouped.items() if at >= 0}
    np.add.at(load, list(second.values()), total[list(second)])
    for members in groups:
        pinned = {second[station] for station in members if station in second}
        free = np.array([at for at in range(len(task.chutes)) if at not in pinned], np.intp)
        others = [station for station in members if station not in second]
        at = free[in_order(total[others].tolist(), load[free])]
        second |= dict(zip(others, at.tolist(), strict=True))
        load[at] += total[others]
    return second
