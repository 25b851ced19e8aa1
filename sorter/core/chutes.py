"""Which chute of a lane an item drops into: open, and the least loaded for its capacity.

A chute's row says at once how full it is and whether it is open; whatever changes a chute
changes it through here.
"""

from typing import Any, Final

from sorter import limits
from sorter.core.jit import i64, inlined, kernel
from sorter.core.prepared import Prepared
from sorter.core.state import CLOSED, FULL, SHARE_BITS, UNLIMITED, State
from sorter.records import NONE_16, ChuteState

OPEN: Final = int(ChuteState.OPEN)
REPORTED_FULL: Final = int(ChuteState.FULL)
CHANGING: Final = int(ChuteState.CHANGING)

_PLACE_BITS: Final = 12  # chutes of one lane on one line
_PLACE_MASK: Final = (1 << _PLACE_BITS) - 1
_NO_PLACE: Final = CLOSED << _PLACE_BITS

assert limits.CHUTES_MAX <= 1 << _PLACE_BITS


@inlined
def _weigh(row: Any) -> None:
    """Say anew how full a chute is and whether it is open."""
    items = min(i64(row["in_flight"]) + i64(row["dropped"]), i64(row["capacity"]), limits.CAPACITY_MAX)
    fullness = (items << SHARE_BITS) // i64(row["capacity"])
    is_shut = (row["plc_state"] != OPEN) | (row["locked"] != 0) | (fullness == FULL)
    row["fullness"] = fullness
    row["open_fullness"] = CLOSED if is_shut else fullness


@inlined
def count_in_flight(state: State, chute: int, change: int) -> None:
    """One more (+1) or one less (-1) is told to drop here."""
    row = state.chutes[chute]
    row["in_flight"] += change
    _weigh(row)


@kernel
def count_dropped(state: State, chute: int) -> None:
    """One more lies here."""
    row = state.chutes[chute]
    row["dropped"] += 1
    _weigh(row)


@kernel
def empty(state: State, chute: int) -> None:
    """Its load unit was changed."""
    row = state.chutes[chute]
    row["dropped"] = 0
    _weigh(row)


@kernel
def lock(state: State, chute: int, locked: bool) -> None:
    """The operator shuts it, or opens it again."""
    row = state.chutes[chute]
    row["locked"] = 1 if locked else 0
    _weigh(row)


@kernel
def report(state: State, chute: int, told: int) -> None:
    """What the PLC says of a chute. A full or changing one that opens again is empty."""
    row = state.chutes[chute]
    was = row["plc_state"]
    if told == OPEN and (was in (CHANGING, REPORTED_FULL)):
        row["dropped"] = 0
    row["plc_state"] = told
    _weigh(row)


@kernel
def take_capacities(state: State, plan: Prepared) -> None:
    """Those of a plan that takes force."""
    for chute in range(len(plan.chute_capacity)):
        row = state.chutes[chute]
        row["capacity"] = i64(plan.chute_capacity[chute]) or UNLIMITED
        _weigh(row)


@inlined
def is_open(state: State, chute: int) -> bool:
    """The PLC and the operator let items in, and the load unit is not full by count."""
    return i64(state.chutes[chute]["open_fullness"]) != CLOSED


@kernel
def has_open_chute(state: State, plan: Prepared, line: int, lane: int) -> bool:
    at = line * len(plan.lane_spill) + lane
    for place in range(i64(plan.chute_at[at]), i64(plan.chute_at[at + 1])):
        if is_open(state, i64(plan.lane_chutes[place])):
            return True
    return False


@inlined
def pick_chute(state: State, plan: Prepared, line: int, lane: int) -> tuple[int, int, bool]:
    """The least loaded open chute, the second best, and whether the first is the least loaded of all.

    Equal loads go by position: a chute competes as its fullness with its place below. NONE_16: there is none.
    """
    at = line * len(plan.lane_spill) + lane
    first = i64(plan.chute_at[at])
    best = second = least = _NO_PLACE
    for place in range(i64(plan.chute_at[at + 1]) - first):
        row = state.chutes[plan.lane_chutes[first + place]]
        least = min(least, (i64(row["fullness"]) << _PLACE_BITS) | place)
        entry = (i64(row["open_fullness"]) << _PLACE_BITS) | place
        second = min(second, max(best, entry))
        best = min(best, entry)
    return _chute_of(plan, first, best), _chute_of(plan, first, second), best == least


@inlined
def _chute_of(plan: Prepared, first: int, entry: int) -> int:
    chute = i64(plan.lane_chutes[first + (entry & _PLACE_MASK)])
    return chute if entry < _NO_PLACE else NONE_16
