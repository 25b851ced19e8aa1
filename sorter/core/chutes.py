"""Which chute of a lane an item drops into: open, and the least loaded for its capacity."""

from sorter.core.jit import i64, inlined, kernel
from sorter.core.prepared import Prepared
from sorter.core.state import State
from sorter.records import NONE_16, ChuteState

OPEN = int(ChuteState.OPEN)
FULL = int(ChuteState.FULL)
CHANGING = int(ChuteState.CHANGING)


@inlined
def is_open(state: State, plan: Prepared, chute: int) -> bool:
    """The PLC and the operator let items in, and the load unit is not full by count."""
    row = state.chutes[chute]
    if row["plc_state"] != OPEN or row["locked"]:
        return False
    capacity = i64(plan.chute_capacity[chute])
    return capacity == 0 or i64(row["in_flight"]) + i64(row["dropped"]) < capacity


@kernel
def has_open_chute(state: State, plan: Prepared, line: int, lane: int) -> bool:
    at = line * len(plan.lane_spill) + lane
    for place in range(i64(plan.chute_at[at]), i64(plan.chute_at[at + 1])):
        if is_open(state, plan, i64(plan.lane_chutes[place])):
            return True
    return False


@inlined
def pick_chute(state: State, plan: Prepared, line: int, lane: int) -> tuple[int, int, bool]:
    """The least loaded open chute, the second best, and whether the first is the least loaded of all.

    Load is (in flight + dropped) / capacity, compared as products so that it is exact; without
    a capacity it is 0. Equal loads go by position. NONE_16: there is none.
    """
    best, second, least = NONE_16, NONE_16, NONE_16
    best_load, best_room, second_load, second_room, least_load, least_room = 0, 1, 0, 1, 0, 1
    at = line * len(plan.lane_spill) + lane
    for place in range(i64(plan.chute_at[at]), i64(plan.chute_at[at + 1])):
        chute = i64(plan.lane_chutes[place])
        row = state.chutes[chute]
        room = i64(plan.chute_capacity[chute])
        load = i64(row["in_flight"]) + i64(row["dropped"])
        if room == 0:
            load, room = 0, 1
        if least == NONE_16 or load * least_room < least_load * room:
            least, least_load, least_room = chute, load, room
        if not is_open(state, plan, chute):
            continue
        if best == NONE_16 or load * best_room < best_load * room:
            second, second_load, second_room = best, best_load, best_room
            best, best_load, best_room = chute, load, room
        elif second == NONE_16 or load * second_room < second_load * room:
            second, second_load, second_room = chute, load, room
    return best, second, best == least


@kernel
def report(state: State, chute: int, told: int) -> None:
    """What the PLC says of a chute. A full or changing one that opens again is empty."""
    row = state.chutes[chute]
    was = row["plc_state"]
    if told == OPEN and (was in (CHANGING, FULL)):
        row["dropped"] = 0
    row["plc_state"] = told
