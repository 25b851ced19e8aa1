"""The weekly trips of a plan as departures in time."""

import itertools
from typing import Final, NamedTuple

from sorter.records import SortPlan

MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = 1440 * MINUTE_NS
WEEK_NS: Final = 7 * DAY_NS
_MONDAY_NS: Final = 3 * DAY_NS  # 1970 began on a Thursday


class Departure(NamedTuple):
    """One departure of a lane."""

    lane: str
    cutoff_ns: int
    departs_ns: int
    capacity: int  # items; 0: unlimited


class Departures:
    """What a plan lets depart, and when."""

    def __init__(self, sort_plan: SortPlan) -> None:
        plan = sort_plan.plan
        self._offset_ns = plan.utc_offset_ns
        self._trips: list[tuple[int, int, int]] = plan.trips.tolist()  # cutoff_min, lead_min, capacity
        lanes = enumerate(itertools.pairwise(plan.trip_at.tolist()))
        self._lanes = [sort_plan.names.lanes[lane] for lane, (first, end) in lanes for _ in range(first, end)]

    def next_of_trip(self, trip: int, after_ns: int) -> Departure | None:
        """The first departure of a trip with a cut-off later than `after_ns`; None when the plan has no such trip."""
        if trip >= len(self._trips):
            return None
        cutoff_min, lead_min, capacity = self._trips[trip]
        ahead_ns = cutoff_min * MINUTE_NS - self._week_ns(after_ns)
        cutoff_ns = after_ns + (ahead_ns if ahead_ns > 0 else ahead_ns + WEEK_NS)
        return Departure(self._lanes[trip], cutoff_ns, cutoff_ns + lead_min * MINUTE_NS, capacity)

    def next_of_lane(self, lane: str, after_ns: int) -> Departure | None:
        """The first departure of a lane with a cut-off later than `after_ns`."""
        return min((one for one in self.within(after_ns, after_ns + WEEK_NS) if one.lane == lane), default=None)

    def within(self, after_ns: int, until_ns: int) -> list[Departure]:
        """Departures with after_ns < cut-off <= until_ns, of a week at most, by lane and time."""
        every = (self.next_of_trip(trip, after_ns) for trip in range(len(self._trips)))
        return sorted(one for one in every if one is not None and one.cutoff_ns <= until_ns)

    def is_of_trip(self, trip: int, lane: str, cutoff_ns: int) -> bool:
        """Whether a departure is one of this trip."""
        minute = self._week_ns(cutoff_ns) // MINUTE_NS
        return trip < len(self._trips) and (self._lanes[trip], self._trips[trip][0]) == (lane, minute)

    def _week_ns(self, at_ns: int) -> int:
        """Local time since Monday 00:00."""
        return (at_ns + self._offset_ns + _MONDAY_NS) % WEEK_NS
