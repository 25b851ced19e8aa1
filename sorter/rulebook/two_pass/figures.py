"""What a plan makes of the volumes, in parcels: a chute and hour, a chute, and in four figures."""

from typing import NamedTuple

import numpy as np

from sorter.records import Ints64
from sorter.rulebook.two_pass.planning import TwoPass
from sorter.rulebook.two_pass.request import HOURS, Volumes


class Figures(NamedTuple):
    """What a plan makes of the volumes, in parcels; or what no plan can go below."""

    handled_twice: int
    busiest_hour: int  # at one chute of pass one in one hour
    largest_group: int
    busiest_second: int  # at one chute of pass two, all groups together


def first_loads(two_pass: TwoPass, volumes: Volumes) -> dict[int, Ints64]:
    """Chute -> parcels it takes in pass one, int64[24] by hour; those of a group chute are handled twice."""
    items = dict(zip(volumes.stations, volumes.items, strict=True))
    loads = {chute: np.zeros(HOURS, np.int64) for chute in two_pass.chutes}
    for station, chute in two_pass.direct.items():
        loads[chute] += items[station]
    for chute, stations in two_pass.groups.items():
        for station in stations:
            loads[chute] += items[station]
    return loads


def second_loads(two_pass: TwoPass, volumes: Volumes) -> dict[int, int]:
    """Chute -> parcels it takes in pass two, all groups together."""
    total = dict(zip(volumes.stations, volumes.items.sum(axis=1).tolist(), strict=True))
    loads = dict.fromkeys(two_pass.chutes, 0)
    for station, chute in two_pass.second.items():
        loads[chute] += total[station]
    return loads


def figures(two_pass: TwoPass, volumes: Volumes) -> Figures:
    """What a plan makes of the volumes."""
    first = first_loads(two_pass, volumes)
    sizes = [int(first[chute].sum()) for chute in two_pass.groups]
    return Figures(
        handled_twice=sum(sizes),
        busiest_hour=int(max(load.max() for load in first.values())),
        largest_group=max(sizes, default=0),
        busiest_second=max(second_loads(two_pass, volumes).values()),
    )
