"""What a day's parcels ask of a plan for stations, and what such a plan would do to them."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from sorter.reasons import Reason
from sorter.records import NONE_16, Ints64, SortPlan
from sorter.rulebook.trial import routing
from sorter.rulebook.trial.recorded import Recorded

_TO_A_PLACE: Final = (Reason.PLANNED, Reason.ALTERNATE)


def places_of(sort_plan: SortPlan, recorded: Recorded, line: str) -> Iterator[tuple[str, int]]:
    """Station and local hour of each parcel of a line that is meant for a place, though there may be no chute for it.

    What was not read, was held or is rejected by a rule is meant for none.
    """
    routes = routing.route(sort_plan, recorded)
    hours = routing.local_minutes(recorded, sort_plan.plan.utc_offset_ns) // 60 % 24
    no_place = (routes.reason == Reason.MAX_LAPS) | ((routes.reason == Reason.NO_RULE) & (routes.row == 0))
    meant = np.isin(routes.reason, _TO_A_PLACE) | no_place
    here = np.array([name == line for name in recorded.lines], np.bool_)[recorded.line]
    for parcel in np.flatnonzero(meant & here & (routes.station != NONE_16)).tolist():
        yield sort_plan.names.stations[routes.station[parcel]], int(hours[parcel])


def local_days(recorded: Recorded, utc_offset_ns: int) -> int:
    """How many local days the parcels are of."""
    return len(np.unique(routing.local_minutes(recorded, utc_offset_ns) // routing.DAY_MIN))


class Lost(NamedTuple):
    """Parcels that have a chute by one plan and none by another."""

    items: int
    by_line: dict[str, int]
    by_station: dict[str, int]  # most first
    by_lane: dict[str, int]  # the lane they have; most first


def lost(before: SortPlan, after: SortPlan, recorded: Recorded) -> Lost:
    """The parcels that go to a place by the first plan and find none by the second, which knows the first's names."""
    routes = routing.route(before, recorded)
    gone = np.isin(routes.reason, _TO_A_PLACE) & ~np.isin(routing.route(after, recorded).reason, _TO_A_PLACE)
    names = before.names
    return Lost(
        int(np.count_nonzero(gone)),
        _counted(recorded.lines, recorded.line[gone].astype(np.int64)),
        _counted(names.stations, routes.station[gone].astype(np.int64)),
        _counted(names.lanes, routes.lane[gone].astype(np.int64)),
    )


def _counted(names: tuple[str, ...], index: Ints64) -> dict[str, int]:
    return dict(Counter(names[at] if at < len(names) else "-" for at in index.tolist()).most_common())
