"""Which departure an item goes with. A trip returns every week; its load counts one departure.

The current trip of a lane is the one with the first cut-off after now, and after any cut-off
that was sent off early.
"""

from typing import Final

from sorter import limits
from sorter.core.chutes import has_open_chute
from sorter.core.jit import i64, inlined, kernel
from sorter.core.prepared import Prepared
from sorter.core.state import UNLIMITED, State
from sorter.records import NONE_16

MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = 24 * 60 * MINUTE_NS
WEEK_NS: Final = 7 * DAY_NS
MONDAY_NS: Final = 3 * DAY_NS  # 1970 began on a Thursday


@kernel
def week_ns(plan: Prepared, at_ns: int) -> int:
    """Local time since Monday 00:00."""
    return (at_ns + plan.utc_offset_ns + MONDAY_NS) % WEEK_NS


@kernel
def departure_ns(plan: Prepared, trip: int, after_ns: int) -> int:
    """The first cut-off of a trip after a time."""
    ahead_ns = i64(plan.trips[trip]["cutoff_min"]) * MINUTE_NS - week_ns(plan, after_ns)
    return after_ns + (ahead_ns if ahead_ns > 0 else ahead_ns + WEEK_NS)


@inlined
def open_from_ns(state: State, lane: int) -> int:
    """A cut-off later than this can still be reached."""
    return max(i64(state.totals[0]["now_ns"]), i64(state.lanes[lane]["sent_ns"]))


@inlined
def current_trip(state: State, plan: Prepared, lane: int) -> int:
    """The index of a lane's current trip; the lane must have one. Leaves its cut-off in state.lanes."""
    row = state.lanes[lane]
    after_ns = open_from_ns(state, lane)
    if row["trip_ns"] > after_ns:
        return i64(row["trip"])
    row["trip_ns"] = after_ns + WEEK_NS + 1
    for trip in range(i64(plan.trip_at[lane]), i64(plan.trip_at[lane + 1])):
        cutoff_ns = departure_ns(plan, trip, after_ns)
        if cutoff_ns < row["trip_ns"]:
            row["trip_ns"] = cutoff_ns
            row["trip"] = trip
    return i64(row["trip"])


@inlined
def trip_count(plan: Prepared, lane: int) -> int:
    return i64(plan.trip_at[lane + 1]) - i64(plan.trip_at[lane])


@inlined
def has_room(state: State, trip: int, cutoff_ns: int) -> bool:
    row = state.trips[trip]
    return i64(row["cutoff_ns"]) != cutoff_ns or i64(row["load"]) < i64(row["capacity"])


@inlined
def change_load(state: State, trip: int, cutoff_ns: int, change: int) -> None:
    """Take (+1) or give back (-1) a place in a departure; nothing when it counts another one by now."""
    row = state.trips[trip]
    if row["cutoff_ns"] == cutoff_ns:
        row["load"] += change


@inlined
def take_place(state: State, trip: int, cutoff_ns: int) -> None:
    """Count one more item for a departure that is still to come, or for none (NONE_16, 0)."""
    row = state.trips[trip]
    if row["cutoff_ns"] != cutoff_ns:
        row["cutoff_ns"] = cutoff_ns
        row["load"] = 0
    row["load"] += 1


@kernel
def find_place(state: State, plan: Prepared, line: int, lane: int, may_spill: bool) -> tuple[int, int, int]:
    """The lane, trip and cut-off for an item of `lane`. Trip NONE_16: no place is needed; lane NONE_16: none is left.

    A full current trip spills to the next lane of the chain that has room and an open chute on
    this line; where none has, the item waits for the lane's next trip with room.
    """
    if trip_count(plan, lane) == 0:
        return lane, NONE_16, 0
    current = current_trip(state, plan, lane)
    cutoff_ns = i64(state.lanes[lane]["trip_ns"])
    if has_room(state, current, cutoff_ns):
        return lane, current, cutoff_ns
    if may_spill:
        spilled = _spill(state, plan, line, lane)
        if spilled[0] != NONE_16:
            return spilled
    return _next_with_room(state, plan, lane, current)


@kernel
def _spill(state: State, plan: Prepared, line: int, lane: int) -> tuple[int, int, int]:
    hop = lane
    for _ in range(limits.SPILL_HOPS_MAX):
        hop = i64(plan.lane_spill[hop])
        if hop == NONE_16:
            break
        if not has_open_chute(state, plan, line, hop):
            continue
        if trip_count(plan, hop) == 0:
            return hop, NONE_16, 0
        trip = current_trip(state, plan, hop)
        cutoff_ns = i64(state.lanes[hop]["trip_ns"])
        if has_room(state, trip, cutoff_ns):
            return hop, trip, cutoff_ns
    return NONE_16, NONE_16, 0


@kernel
def _next_with_room(state: State, plan: Prepared, lane: int, current: int) -> tuple[int, int, int]:
    first, count = i64(plan.trip_at[lane]), trip_count(plan, lane)
    after_ns = open_from_ns(state, lane)
    for later in range(1, count):
        trip = first + (current - first + later) % count
        cutoff_ns = departure_ns(plan, trip, after_ns)
        if has_room(state, trip, cutoff_ns):
            return lane, trip, cutoff_ns
    return NONE_16, NONE_16, 0


@kernel
def send_off(state: State, plan: Prepared, lane: int) -> bool:
    """Close a lane's current trip as if its cut-off had passed. False: the lane has no trip."""
    if lane >= len(plan.lane_spill) or trip_count(plan, lane) == 0:
        return False
    current_trip(state, plan, lane)
    state.lanes[lane]["sent_ns"] = state.lanes[lane]["trip_ns"]
    return True


@kernel
def carry_over(state: State, plan: Prepared) -> None:
    """Bring the loads under the trip indices of a new plan: a trip is the same by lane and cut-off minute."""
    old, trip_now = state.work.old_trips, state.work.trip_now
    for trip in range(len(old)):
        old[trip]["cutoff_ns"] = state.trips[trip]["cutoff_ns"]
        old[trip]["load"] = state.trips[trip]["load"]
        old[trip]["cutoff_min"] = state.trips[trip]["cutoff_min"]
        trip_now[trip] = -1
    for lane in range(len(plan.lane_spill)):
        row = state.lanes[lane]
        _carry_lane(state, plan, lane)
        row["first"] = plan.trip_at[lane]
        row["end"] = plan.trip_at[lane + 1]
        row["trip_ns"] = 0
    for line in range(limits.LINES_MAX):
        at = i64(state.belts[line]["oldest"])
        while at >= 0:
            item = state.items[at]
            if item["trip"] != NONE_16:
                trip = trip_now[item["trip"]]
                item["trip"] = trip if trip >= 0 else NONE_16
                item["trip_ns"] = item["trip_ns"] if trip >= 0 else 0
            at = i64(item["newer"])


@kernel
def _carry_lane(state: State, plan: Prepared, lane: int) -> None:
    """Both plans' trips of the lane ascend by cut-off: walk them side by side."""
    old, trip_now = state.work.old_trips, state.work.trip_now
    was = i64(state.lanes[lane]["first"])
    for trip in range(i64(plan.trip_at[lane]), i64(plan.trip_at[lane + 1])):
        cutoff_min = i64(plan.trips[trip]["cutoff_min"])
        while was < state.lanes[lane]["end"] and old[was]["cutoff_min"] < cutoff_min:
            was += 1
        row = state.trips[trip]
        row["cutoff_min"] = cutoff_min
        row["capacity"] = i64(plan.trips[trip]["capacity"]) or UNLIMITED
        row["cutoff_ns"] = 0
        row["load"] = 0
        if was < state.lanes[lane]["end"] and old[was]["cutoff_min"] == cutoff_min:
            row["cutoff_ns"] = old[was]["cutoff_ns"]
            row["load"] = old[was]["load"]
            trip_now[was] = trip
            was += 1
