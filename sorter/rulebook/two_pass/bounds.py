"""What no plan can go below, whoever makes it."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from sorter.records import Ints64
from sorter.rulebook.two_pass.figures import Figures
from sorter.rulebook.two_pass.request import Pin, Volumes
from sorter.rulebook.two_pass.task import Task, by_volume, task_of


def lower_bounds(volumes: Volumes, chutes: Sequence[int], pins: Sequence[Pin] = ()) -> Figures:
    """What no plan that holds the pins goes below: parcels handled twice; and of the plans that do
    not handle more twice than that, each other figure.

    Raises NoTwoPass as plan_two_pass does.
    """
    task = task_of(volumes, chutes, pins)
    items, total = volumes.items, volumes.items.sum(axis=1)
    fate = _fate(task, total)
    twice = int(total.sum() - total[fate.direct].sum() - fate.open_places * total[fate.either].max(initial=0))
    left = items.sum(axis=0) - items[fate.direct].sum(axis=0)
    left -= np.sort(items[fate.either], axis=0)[len(fate.either) - fate.open_places :].sum(axis=0)
    together = [items[0] * 0, *(items[_pinned_at(task, chute, 0)].sum(axis=0) for chute in task.group_chutes())]
    seconds = [int(total[_pinned_at(task, chute, 1)].sum()) for chute in range(len(chutes))]
    largest = int(total[fate.grouped].max(initial=0))
    return Figures(
        handled_twice=twice,
        busiest_hour=int(max(items.max(), -(-left.max() // fate.groups_most), np.max(together))),
        largest_group=int(max(-(-twice // fate.groups_most), largest, np.sum(together, axis=1).max())),
        busiest_second=max(-(-twice // len(chutes)), largest, *seconds),
    )


class _Fate(NamedTuple):
    """What all plans with fewest parcels handled twice have in common."""

    direct: list[int]  # stations that are direct in each of them
    either: list[int]  # stations as large as the smallest direct one: some of them are
    open_places: int  # how many of these at most
    grouped: list[int]  # stations that are direct in none
    groups_most: int  # a direct station without parcels could as well leave its chute to one more group


def _fate(task: Task, total: Ints64) -> _Fate:
    order = by_volume(task)
    spared = order[: task.direct_count - len(task.direct)]
    least = int(total[spared[-1]]) if spared else -1
    either = [station for station in order if total[station] == least]
    sure = [station for station in spared if total[station] > least]
    direct = [*task.direct, *sure]
    busy = len(task.direct) + int(np.count_nonzero(total[spared]))
    grouped = sorted(set(range(len(total))) - {*direct, *either})
    return _Fate(direct, either, len(spared) - len(sure), grouped, max(1, len(task.chutes) - busy))


def _pinned_at(task: Task, chute: int, when: Literal[0, 1]) -> list[int]:
    """The grouped stations fixed at a chute of the first (0) or second (1) pass."""
    return [station for station, chutes in task.grouped.items() if chutes[when] == chute]
