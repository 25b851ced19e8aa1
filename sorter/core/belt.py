"""The items on the belt: found by line and number, listed by their last word, ended exactly once."""

from typing import Any, Final

import numpy as np

from sorter import limits
from sorter.core.chutes import count_dropped, count_in_flight
from sorter.core.jit import i64, inlined, kernel, multiply, prefetch, u64
from sorter.core.prepared import Prepared
from sorter.core.state import BUCKETS, State
from sorter.core.trips import change_load
from sorter.reasons import Reason
from sorter.records import NONE_8, NONE_16, Rows, Verdict

LATE: Final = int(Reason.LATE)
ALTERNATE: Final = int(Reason.ALTERNATE)
LOST: Final = int(Reason.LOST)
END: Final = int(Verdict.END)
ENTER: Final = int(Verdict.ENTER)
REFUSE: Final = int(Verdict.REFUSE)

# Eight neighbouring numbers share a cache line of buckets; which line is a matter of hashing.
_BLOCKS_SHIFT: Final = np.uint64(64 - (BUCKETS // 8).bit_length() + 1)
_HASH: Final = np.uint64(0x9E3779B97F4A7C15)

assert BUCKETS & (BUCKETS - 1) == 0


@inlined
def bucket_of(line: int, epoch: int, item: int) -> int:
    block = u64((epoch << 34) ^ (line << 29) ^ (item >> 3))
    return (i64(multiply(block, _HASH) >> _BLOCKS_SHIFT) << 3) | (item & 7)


@inlined
def send_for_item(state: State, line: int, number: int) -> None:
    """Ask memory for the bucket that `find_item` will look into."""
    prefetch(state.buckets, bucket_of(line, i64(state.belts[line]["epoch"]), number))


@inlined
def find_item(state: State, line: int, number: int) -> int:
    """Where the item of this number is; -1: it is not on the line."""
    epoch = i64(state.belts[line]["epoch"])
    at = i64(state.buckets[bucket_of(line, epoch, number)])
    while at >= 0:
        item = state.items[at]
        if item["item"] == number and item["epoch"] == epoch and item["line"] == line:
            return at
        at = i64(item["chain"])
    return -1


@inlined
def open_item(state: State, decisions: Rows, line: int, number: int, event_at: int) -> int:
    """Put a new item on the belt, if need be in place of the one heard of longest ago."""
    totals = state.totals[0]
    if totals["free_item"] < 0:
        end_item(state, decisions, _oldest(state), LOST, NONE_16, event_at)
    at = i64(totals["free_item"])
    item = state.items[at]
    totals["free_item"] = item["chain"]
    totals["serial"] += 1
    totals["inducted"] += 1
    totals["on_belt"] += 1
    epoch = i64(state.belts[line]["epoch"])
    item["line"], item["epoch"], item["item"], item["serial"] = line, epoch, number, totals["serial"]
    item["waybill_hi"] = item["waybill_lo"] = u64(0)
    item["scanned_ns"] = -1
    item["trip_ns"] = 0
    item["asked_lane"] = item["lane"] = item["trip"] = item["chute"] = item["alternate"] = NONE_16
    item["station"] = NONE_16
    item["row"] = 0
    item["plan"] = totals["plan"]
    item["reason"] = LATE
    item["carrier"] = item["service"] = item["flow"] = NONE_8
    item["laps"] = item["passed"] = item["announced"] = item["doubtful"] = 0
    bucket = bucket_of(line, epoch, number)
    item["chain"] = state.buckets[bucket]
    state.buckets[bucket] = at
    _append(state, at)
    return at


@kernel
def _oldest(state: State) -> int:
    found = -1
    for line in range(limits.LINES_MAX):
        at = i64(state.belts[line]["oldest"])
        if at >= 0 and (found < 0 or state.items[at]["heard_ns"] < state.items[found]["heard_ns"]):
            found = at
    return found


@inlined
def _append(state: State, at: int) -> None:
    """Make an item the newest of its line, heard of now."""
    item = state.items[at]
    belt = state.belts[item["line"]]
    newest = i64(belt["newest"])
    item["heard_ns"] = state.totals[0]["now_ns"]
    item["older"] = newest
    item["newer"] = -1
    belt["newest"] = at
    if newest >= 0:
        state.items[newest]["newer"] = at
    else:
        belt["oldest"] = at


@kernel
def _unlink(state: State, at: int) -> None:
    item = state.items[at]
    belt = state.belts[item["line"]]
    older, newer = i64(item["older"]), i64(item["newer"])
    if older >= 0:
        state.items[older]["newer"] = newer
    else:
        belt["oldest"] = newer
    if newer >= 0:
        state.items[newer]["older"] = older
    else:
        belt["newest"] = older


@inlined
def hear(state: State, at: int) -> None:
    """Note a word of an item: its time-out counts anew."""
    if state.items[at]["newer"] >= 0:
        _unlink(state, at)
        _append(state, at)
    else:
        state.items[at]["heard_ns"] = state.totals[0]["now_ns"]


@kernel
def end_item(state: State, decisions: Rows, at: int, reason: int, chute: int, event_at: int) -> None:
    """Take an item off the belt, count its end, and write it down. `chute` is where it really is."""
    item = state.items[at]
    told = i64(item["chute"])
    if told != NONE_16:
        count_in_flight(state, told, -1)
    if chute != NONE_16:
        count_dropped(state, chute)
    if reason > ALTERNATE:  # it takes no place in the trip it was told
        change_load(state, i64(item["trip"]), i64(item["trip_ns"]), -1)
    state.ended[reason] += 1
    state.totals[0]["on_belt"] -= 1
    _write_end(state, decisions, item, reason, chute, event_at)
    _unlink(state, at)
    _forget(state, at)


@kernel
def _forget(state: State, at: int) -> None:
    """Give an item's place back to the free ones."""
    item = state.items[at]
    bucket = bucket_of(i64(item["line"]), i64(item["epoch"]), i64(item["item"]))
    before = i64(state.buckets[bucket])
    if before == at:
        state.buckets[bucket] = item["chain"]
    else:
        while state.items[before]["chain"] != at:
            before = i64(state.items[before]["chain"])
        state.items[before]["chain"] = item["chain"]
    item["chain"] = state.totals[0]["free_item"]
    state.totals[0]["free_item"] = at


@inlined
def next_decision(state: State, decisions: Rows) -> Any:
    """The next row to write; every field of it must be set, for rows are used again."""
    totals = state.totals[0]
    row = decisions[totals["written"]]
    totals["written"] += 1
    row["t_ns"] = totals["now_ns"]
    return row


@kernel
def _write_end(state: State, decisions: Rows, item: Any, reason: int, chute: int, event_at: int) -> None:
    row = next_decision(state, decisions)
    row["deadline_ns"] = 0
    row["waybill_hi"], row["waybill_lo"] = item["waybill_hi"], item["waybill_lo"]
    row["serial"], row["item"], row["event"] = item["serial"], item["item"], event_at
    row["chute"], row["alternate"] = chute, NONE_16
    row["lane"], row["trip"], row["station"] = item["lane"], item["trip"], item["station"]
    row["row"], row["plan"] = item["row"], item["plan"]
    row["verdict"], row["reason"], row["line"] = END, reason, item["line"]
    row["carrier"], row["service"], row["flow"] = item["carrier"], item["service"], item["flow"]


@kernel
def write_enter(state: State, decisions: Rows, at: int, event_at: int) -> None:
    """Write down which serial an item got that the PLC announced."""
    item = state.items[at]
    row = next_decision(state, decisions)
    row["deadline_ns"] = 0
    row["waybill_hi"] = row["waybill_lo"] = u64(0)
    row["serial"], row["item"], row["event"] = item["serial"], item["item"], event_at
    row["chute"] = row["alternate"] = row["lane"] = row["trip"] = row["station"] = NONE_16
    row["row"], row["plan"] = 0, state.totals[0]["plan"]
    row["verdict"], row["reason"], row["line"] = ENTER, 0, item["line"]
    row["carrier"] = row["service"] = row["flow"] = NONE_8


@kernel
def refuse(state: State, decisions: Rows, event: Any, event_at: int, refusal: int) -> None:
    """Write down that an event changed nothing, and why."""
    state.refused[refusal] += 1
    row = next_decision(state, decisions)
    row["deadline_ns"] = 0
    row["waybill_hi"] = row["waybill_lo"] = u64(0)
    row["serial"], row["item"], row["event"] = 0, event["item"], event_at
    row["chute"] = row["alternate"] = row["lane"] = row["trip"] = row["station"] = NONE_16
    row["row"], row["plan"] = 0, state.totals[0]["plan"]
    row["verdict"], row["reason"], row["line"] = REFUSE, refusal, event["line"]
    row["carrier"] = row["service"] = row["flow"] = NONE_8


@kernel
def end_overdue(state: State, plan: Prepared, decisions: Rows, event_at: int) -> None:
    """End what nothing was heard of for too long, and what a PLC's restart left behind, as lost.

    At most TIMEOUTS_PER_STEP_MAX in a step: the others follow in the next ones.
    """
    totals = state.totals[0]
    now_ns = i64(totals["now_ns"])
    left = limits.TIMEOUTS_PER_STEP_MAX
    next_due_ns = -1
    for line in range(limits.LINES_MAX):
        due_ns = _due_ns(state, plan, line)
        while 0 <= due_ns <= now_ns and left > 0:
            end_item(state, decisions, i64(state.belts[line]["oldest"]), LOST, NONE_16, event_at)
            left -= 1
            due_ns = _due_ns(state, plan, line)
        if due_ns >= 0 and (next_due_ns < 0 or due_ns < next_due_ns):
            next_due_ns = due_ns
    totals["next_due_ns"] = next_due_ns


@kernel
def _due_ns(state: State, plan: Prepared, line: int) -> int:
    """When the oldest item of a line is lost; -1: the line is empty."""
    belt = state.belts[line]
    if belt["oldest"] < 0:
        return -1
    item = state.items[belt["oldest"]]
    if line >= len(plan.lines) or item["epoch"] != belt["epoch"]:
        return i64(state.totals[0]["now_ns"])
    return max(i64(item["heard_ns"]), i64(belt["armed_ns"])) + i64(plan.lines[line]["timeout_ns"])
