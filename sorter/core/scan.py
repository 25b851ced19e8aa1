"""A scan becomes a decision: a run of scans is matched and looked up together, then decided one by one.

What was told to the PLC last stands until another chute is told: a decision that sends
nothing (late, or one more lap) changes neither the item's chute nor its place in a trip.
"""

from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.core import manifest as advices
from sorter.core.barcode import match_codes
from sorter.core.belt import find_item, hear, next_decision, open_item, refuse, send_for_item
from sorter.core.chutes import count_in_flight, is_open, pick_chute
from sorter.core.jit import i64, inlined, kernel, prefetch, u64
from sorter.core.prepared import Prepared
from sorter.core.route import (
    Parcel,
    find_row,
    first_row,
    look_at_clock,
    send_for_vectors,
    station_of_labels,
    vectors_of,
)
from sorter.core.state import CODES_STAGED_MAX, SCANS_STAGED_MAX, State
from sorter.core.trips import change_load, find_place, open_from_ns, take_place
from sorter.reasons import Reason, Refusal
from sorter.records import NONE_8, NONE_16, Batch, Kind, Rows, Target, Verdict

SCAN: Final = int(Kind.SCAN)
DIVERT: Final = int(Verdict.DIVERT)
TO_LANE: Final = int(Target.LANE)
TO_CHUTE: Final = int(Target.CHUTE)
TO_REJECT: Final = int(Target.REJECT)

PLANNED: Final = int(Reason.PLANNED)
SPILLED: Final = int(Reason.SPILLED)
ALTERNATE: Final = int(Reason.ALTERNATE)
NO_READ: Final = int(Reason.NO_READ)
UNKNOWN_CODE: Final = int(Reason.UNKNOWN_CODE)
MULTI_CODE: Final = int(Reason.MULTI_CODE)
NO_ADVICE: Final = int(Reason.NO_ADVICE)
NO_RULE: Final = int(Reason.NO_RULE)
INTERCEPT: Final = int(Reason.INTERCEPT)
CANCELLED: Final = int(Reason.CANCELLED)
MAX_LAPS: Final = int(Reason.MAX_LAPS)
LATE: Final = int(Reason.LATE)
RECIRCULATE: Final = int(Reason.RECIRCULATE)
UNKNOWN_ITEM: Final = int(Refusal.UNKNOWN_ITEM)

EVENTS_AHEAD: Final = 12  # cache lines asked for before they are read
MATCHED_TOGETHER: Final = 32  # scans; memory brings the advices of some while others are matched
ROUTED_TOGETHER: Final = 32  # scans; their vectors of the decision table fit into the nearest cache
STANDARD: Final = 0  # service and flow of an item known by its sort code alone


class Choice(NamedTuple):
    """What is to be done with an item. `chute` NONE_16: nothing is sent."""

    reason: int
    row: int
    asked_lane: int
    lane: int
    trip: int
    trip_ns: int
    chute: int
    alternate: int


# ---- a run of scans, staged ------------------------------------------------


@kernel
def stage_run(state: State, plan: Prepared, batch: Batch, begin: int) -> int:
    """Match and look up the scans from event `begin` on, into state.work.scans; returns where the run ends."""
    work = state.work
    now_ns = max(i64(state.totals[0]["now_ns"]), i64(batch.events[begin]["t_ns"]))
    look_at_clock(state, plan, now_ns)
    end = _gather(state, plan, batch, begin)
    for first in range(0, end - begin, MATCHED_TOGETHER):
        last = min(first + MATCHED_TOGETHER, end - begin)
        first_code, end_code = i64(work.scans[first]["first_code"]), i64(work.scans[last - 1]["end_code"])
        match_codes(plan.automaton, work.moment[0]["patterns"], batch.codes, work, first_code, end_code)
        for at in range(first, last):
            _fold_codes(state, batch, at)
        _send_for_advices(state, first, last)
    for first in range(0, end - begin, ROUTED_TOGETHER):
        last = min(first + ROUTED_TOGETHER, end - begin)
        for at in range(first, last):
            _look_up(state, work.scans[at])
        for at in range(first, last):
            _measure(state, plan, batch.events[begin + at], work.scans[at])
        for at in range(first, last):
            _find_target(state, plan, work.scans[at])
    return end


@inlined
def _send_for_advices(state: State, first: int, end: int) -> None:
    """Ask memory for the lines of the manifest where staged scans' waybills must be.

    Nothing else is done here: so many are asked for at once that none waits for another's address.
    """
    scans, lines, old = state.work.scans, state.manifest.lines, state.manifest.old
    for at in range(first, end):
        prefetch(lines, i64(scans[at]["home"]))
    if len(old):
        for at in range(first, end):
            prefetch(old, advices.home_line(scans[at]["waybill_hi"], scans[at]["waybill_lo"], len(old)))


@inlined
def _send_for_belt(state: State, plan: Prepared, event: Any) -> None:
    """Ask memory for where the belt would know a scan's item."""
    if event["line"] < len(plan.lines):
        send_for_item(state, i64(event["line"]), i64(event["item"]))


@inlined
def _look_up(state: State, staged: Any) -> None:
    """The payload of a staged scan's waybill; -1 when a line further on must be read, which memory is asked for."""
    payload = advices.NOTHING
    if staged["outcome"] == PLANNED:
        home, lines = i64(staged["home"]), state.manifest.lines
        payload = advices.lookup_at_home(state.manifest, home, staged["waybill_hi"], staged["waybill_lo"])
        if payload < 0:
            prefetch(lines, home + 1 if home + 1 < len(lines) else 0)
    staged["payload"] = payload


@inlined
def _measure(state: State, plan: Prepared, event: Any, staged: Any) -> None:
    """Which vectors of the decision table decide a staged scan; memory is asked for them."""
    payload = i64(staged["payload"])
    if payload < 0:
        hi, lo = staged["waybill_hi"], staged["waybill_lo"]
        payload = advices.lookup_further(state.manifest, i64(staged["home"]), hi, lo)
        staged["payload"] = payload
    station = payload & advices.NO_STATION
    staged["station"] = NONE_16
    if station < len(plan.station_lane):
        carrier, service, flow = advices.kind_of(payload)
        who = Parcel(station, carrier, service, flow, _weight_g(event, payload), i64(event["length_mm"]))
        staged["station"] = station
        staged["kind"], staged["weight"], staged["length"] = vectors_of(plan, who)
        send_for_vectors(plan, station, i64(staged["kind"]), i64(staged["weight"]), i64(staged["length"]))


@inlined
def _find_target(state: State, plan: Prepared, staged: Any) -> None:
    """Where a staged scan's item shall go, as far as its payload tells."""
    station, hit = i64(staged["station"]), -1
    if station != NONE_16:
        kind, weight, length = i64(staged["kind"]), i64(staged["weight"]), i64(staged["length"])
        hit = first_row(plan, station, kind, weight, length, i64(state.work.moment[0]["minute"]))
    _aim(plan, staged, station, hit)


@inlined
def _aim(plan: Prepared, staged: Any, station: int, hit: int) -> None:
    """Steps 1 to 4 of DESIGN §4: the target for an item to `station`, for which row `hit` of the table holds."""
    payload = i64(staged["payload"])
    to, target, row = TO_REJECT, i64(staged["outcome"]), 0
    if target == PLANNED:
        if (payload >> advices.INTERCEPT_AT) & 1:
            target = INTERCEPT
        elif (payload >> advices.CANCELLED_AT) & 1:
            target = CANCELLED
        elif hit >= 0:
            to, target, row = i64(plan.rules.target_kind[hit]), i64(plan.rules.target[hit]), i64(plan.rules.row[hit])
        elif station == NONE_16:
            target = NO_ADVICE
        elif plan.station_lane[station] == NONE_16:
            target = NO_RULE
        else:
            to, target = TO_LANE, i64(plan.station_lane[station])
    staged["to"], staged["target"], staged["row"] = to, target, row


@kernel
def _gather(state: State, plan: Prepared, batch: Batch, begin: int) -> int:
    """Note the code rows of the scans from `begin` on, while they are scans, fit, and the clock changes nothing."""
    work = state.work
    moment = work.moment[0]
    until_ns = min(i64(moment["patterns_until_ns"]), i64(moment["minute_until_ns"]))
    code_count = 0
    end = begin
    while end < len(batch.events) and end - begin < SCANS_STAGED_MAX:
        event = batch.events[end]
        prefetch(batch.events, min(end + EVENTS_AHEAD, len(batch.events) - 1))
        first = i64(event["code_at"])
        count = max(0, min(i64(event["code_count"]), limits.CODES_PER_SCAN_MAX, len(batch.codes) - first))
        ready = event["kind"] == SCAN and code_count + count <= CODES_STAGED_MAX
        if not ready or (end > begin and event["t_ns"] >= until_ns):
            break
        _send_for_belt(state, plan, event)
        staged = work.scans[end - begin]
        staged["first_code"], staged["end_code"] = code_count, code_count + count
        for row in range(first, first + count):
            work.rows[code_count] = row
            code_count += 1
        end += 1
    return end


@inlined
def _fold_codes(state: State, batch: Batch, at: int) -> None:
    """Make one waybill of a scan's codes, or say why there is none. An empty code was not read."""
    work = state.work
    staged = work.scans[at]
    outcome = NO_READ
    hi, lo, accepted = u64(0), u64(0), u64(0)
    for code in range(i64(staged["first_code"]), i64(staged["end_code"])):
        if work.accepted[code] != u64(0):
            if outcome == PLANNED and (work.code_hi[code] != hi or work.code_lo[code] != lo):
                outcome = MULTI_CODE
            elif outcome != MULTI_CODE:
                outcome = PLANNED
                hi, lo, accepted = work.code_hi[code], work.code_lo[code], work.accepted[code]
        elif outcome == NO_READ and batch.codes[work.rows[code], 0] != 0:
            outcome = UNKNOWN_CODE
    staged["outcome"] = outcome
    staged["waybill_hi"], staged["waybill_lo"], staged["accepted"] = hi, lo, accepted
    staged["home"] = advices.home_line(hi, lo, len(state.manifest.lines))


# ---- one scan, decided ------------------------------------------------------


@inlined
def decide_scan(state: State, plan: Prepared, batch: Batch, decisions: Rows, event_at: int, staged_at: int) -> None:
    """Decide a staged scan and write its DIVERT; the item is opened when the belt does not know it.

    What was read before the PLC began its item numbers anew is of an item that has another number now.
    """
    event = batch.events[event_at]
    staged = state.work.scans[staged_at]
    line = i64(event["line"])
    now_ns = i64(state.totals[0]["now_ns"])
    happened_ns = now_ns - i64(event["age_us"]) * 1000
    if happened_ns < state.belts[line]["began_ns"]:
        refuse(state, decisions, event, event_at, UNKNOWN_ITEM)
        return
    at = find_item(state, line, i64(event["item"]))
    if at < 0:
        at = open_item(state, decisions, line, i64(event["item"]), event_at)
    else:
        hear(state, at)
    item = state.items[at]
    state.totals[0]["scans"] += 1
    deadline_ns = happened_ns + i64(plan.lines[line]["window_ns"])
    _count_lap(plan, item, event, happened_ns)
    _identify(state, plan, batch, event, item, staged)
    if now_ns > deadline_ns:
        choice = _nothing(LATE, 0, NONE_16)
        _tell_nothing(item, LATE)
    else:
        choice = _choose(state, plan, item, staged)
    _write_divert(state, decisions, item, choice, deadline_ns, event_at, staged["outcome"] == PLANNED)


@inlined
def _count_lap(plan: Prepared, item: Any, event: Any, happened_ns: int) -> None:
    """Take the scanner's count of laps, or infer one more from the time since the last scan."""
    if event["lap"] != NONE_8:
        item["laps"] = min(i64(event["lap"]), limits.LAPS_MAX)
    elif item["scanned_ns"] >= 0 and happened_ns - item["scanned_ns"] > plan.lines[item["line"]]["lap_ns"] // 2:
        item["laps"] = min(i64(item["laps"]) + 1, limits.LAPS_MAX)
    item["scanned_ns"] = happened_ns


@inlined
def _identify(state: State, plan: Prepared, batch: Batch, event: Any, item: Any, staged: Any) -> None:
    """Join what this scan tells with what earlier ones told of the item.

    An earlier waybill still counts when this scan reads none, and makes two when it reads another.
    What ever showed two is held for two: nobody can say which of them was its own.
    """
    hi, lo = item["waybill_hi"], item["waybill_lo"]
    known = hi != u64(0)
    other = known and (staged["waybill_hi"] != hi or staged["waybill_lo"] != lo)
    if staged["outcome"] == MULTI_CODE or (staged["outcome"] == PLANNED and other):
        item["doubtful"] = 1
    if item["doubtful"]:
        staged["outcome"] = MULTI_CODE
        _aim(plan, staged, NONE_16, -1)
        return
    if staged["outcome"] == PLANNED:
        item["waybill_hi"], item["waybill_lo"] = staged["waybill_hi"], staged["waybill_lo"]
    elif known:
        staged["outcome"] = PLANNED
        staged["waybill_hi"], staged["waybill_lo"] = hi, lo
        staged["home"] = advices.home_line(hi, lo, len(state.manifest.lines))
        _look_up(state, staged)
        _measure(state, plan, event, staged)
        _find_target(state, plan, staged)
    else:
        return
    station = i64(staged["payload"]) & advices.NO_STATION
    if station < len(plan.station_lane):
        item["station"] = station
        item["carrier"], item["service"], item["flow"] = advices.kind_of(i64(staged["payload"]))
    else:
        _read_labels(state, plan, batch, event, item, staged)


@kernel
def _read_labels(state: State, plan: Prepared, batch: Batch, event: Any, item: Any, staged: Any) -> None:
    """No advice: the station a sort code names, else what was known before."""
    work = state.work
    first, end = i64(staged["first_code"]), i64(staged["end_code"])
    if staged["accepted"] != u64(0):
        label = station_of_labels(plan, batch.codes, work.rows, work.accepted, first, end, staged["accepted"])
        if label[0] != NONE_16:
            item["station"], item["carrier"] = label
            item["service"] = item["flow"] = STANDARD
    if item["station"] != NONE_16:
        station, carrier = i64(item["station"]), i64(item["carrier"])
        weight_g, length_mm = _weight_g(event, i64(staged["payload"])), i64(event["length_mm"])
        who = Parcel(station, carrier, i64(item["service"]), i64(item["flow"]), weight_g, length_mm)
        _aim(plan, staged, station, find_row(plan, who, i64(work.moment[0]["minute"])))


@inlined
def _choose(state: State, plan: Prepared, item: Any, staged: Any) -> Choice:
    """The same answer while it is good; else choose as if the item had been told nothing, and tell it."""
    _count_told(state, item, -1)
    spent = i64(item["laps"]) >= i64(plan.lines[item["line"]]["max_laps"])
    if item["passed"] and spent:
        choice = _reject(state, plan, item, MAX_LAPS, 0)
    elif _unobjected(staged) and _still_good(state, item):
        _count_told(state, item, 1)
        return _as_told(item)
    else:
        choice = _choose_anew(state, plan, item, staged)
    if choice.chute == NONE_16:
        _count_told(state, item, 1)
        _tell_nothing(item, RECIRCULATE)
    else:
        _tell(state, item, choice)
    return choice


@inlined
def _count_told(state: State, item: Any, change: int) -> None:
    """Count an item in (+1) or out (-1) of the chute and the trip it was told."""
    if item["chute"] != NONE_16:
        count_in_flight(state, i64(item["chute"]), change)
        change_load(state, i64(item["trip"]), i64(item["trip_ns"]), change)


@inlined
def _unobjected(staged: Any) -> bool:
    """Whether nothing forbids the answer given before: a second waybill, an intercept, a cancellation."""
    payload = i64(staged["payload"])
    held = ((payload >> advices.INTERCEPT_AT) | (payload >> advices.CANCELLED_AT)) & 1
    return staged["outcome"] != MULTI_CODE and not (staged["outcome"] == PLANNED and held)


@inlined
def _still_good(state: State, item: Any) -> bool:
    """Whether the item was told a chute of its own stream that is still open."""
    sorted_out = item["reason"] <= ALTERNATE
    return item["chute"] != NONE_16 and sorted_out and is_open(state, i64(item["chute"]))


@kernel
def _as_told(item: Any) -> Choice:
    return Choice(
        i64(item["reason"]),
        i64(item["row"]),
        i64(item["asked_lane"]),
        i64(item["lane"]),
        i64(item["trip"]),
        i64(item["trip_ns"]),
        i64(item["chute"]),
        i64(item["alternate"]),
    )


@kernel
def _nothing(reason: int, row: int, lane: int) -> Choice:
    return Choice(reason, row, lane, lane, NONE_16, 0, NONE_16, NONE_16)


@inlined
def _choose_anew(state: State, plan: Prepared, item: Any, staged: Any) -> Choice:
    """Steps 5 and 6 of DESIGN §4."""
    to, target, row = i64(staged["to"]), i64(staged["target"]), i64(staged["row"])
    if to == TO_LANE:
        return _by_lane(state, plan, item, target, row)
    if to == TO_CHUTE:
        return _by_chute(state, plan, item, target, row)
    return _reject(state, plan, item, target, row)


@inlined
def _weight_g(event: Any, payload: int) -> int:
    """As measured, else as declared."""
    measured_g = i64(event["weight_g"])
    return measured_g if measured_g > 0 else payload >> advices.WEIGHT_AT


@inlined
def _by_lane(state: State, plan: Prepared, item: Any, lane: int, row: int) -> Choice:
    """A place in a trip of the lane, or where it spills to, and the least loaded chute there."""
    line = i64(item["line"])
    going, trip, trip_ns = _place(state, plan, item, lane, True)
    if going == NONE_16:
        return _no_chute(state, plan, item, lane, row)
    chute, alternate, is_least = pick_chute(state, plan, line, going)
    if chute == NONE_16:
        return _no_chute(state, plan, item, lane, row)
    reason = SPILLED if going != lane else PLANNED if is_least else ALTERNATE
    return Choice(reason, row, lane, going, trip, trip_ns, chute, alternate)


@kernel
def _by_chute(state: State, plan: Prepared, item: Any, wanted: int, row: int) -> Choice:
    """The chute a rule names, or another one of its lane. It never spills: the rule named the place."""
    line = i64(item["line"])
    lane = i64(plan.chute_lane[wanted])
    chute, alternate, reason = wanted, NONE_16, PLANNED
    if plan.chute_line[wanted] != line or not is_open(state, wanted):
        reason = ALTERNATE
        chute = NONE_16
        if lane != NONE_16:
            chute, alternate, _ = pick_chute(state, plan, line, lane)
    if chute == NONE_16:
        return _no_chute(state, plan, item, lane, row)
    if lane == NONE_16:
        return Choice(reason, row, lane, lane, NONE_16, 0, chute, alternate)
    going, trip, trip_ns = _place(state, plan, item, lane, False)
    if going == NONE_16:
        return _no_chute(state, plan, item, lane, row)
    return Choice(reason, row, lane, lane, trip, trip_ns, chute, alternate)


@inlined
def _place(state: State, plan: Prepared, item: Any, lane: int, may_spill: bool) -> tuple[int, int, int]:
    """The place an item already holds for this lane while its trip has not left, else a new one."""
    held_ns = i64(item["trip_ns"])
    if held_ns and item["asked_lane"] == lane and held_ns > open_from_ns(state, i64(item["lane"])):
        return i64(item["lane"]), i64(item["trip"]), held_ns
    return find_place(state, plan, i64(item["line"]), lane, may_spill)


@kernel
def _reject(state: State, plan: Prepared, item: Any, reason: int, row: int) -> Choice:
    """To the line's exception chute for this reason, if it is open."""
    chute = i64(plan.exception_chute[item["line"], reason])
    if chute == NONE_16 or not is_open(state, chute):
        return _no_chute(state, plan, item, NONE_16, row)
    lane = i64(plan.chute_lane[chute])
    return Choice(reason, row, lane, lane, NONE_16, 0, chute, NONE_16)


@kernel
def _no_chute(state: State, plan: Prepared, item: Any, lane: int, row: int) -> Choice:
    """One more lap while there are laps left; then the chute for too many laps, while that is open."""
    if i64(item["laps"]) >= i64(plan.lines[item["line"]]["max_laps"]):
        chute = i64(plan.exception_chute[item["line"], MAX_LAPS])
        if chute != NONE_16 and is_open(state, chute):
            lane = i64(plan.chute_lane[chute])
            return Choice(MAX_LAPS, row, lane, lane, NONE_16, 0, chute, NONE_16)
    return _nothing(RECIRCULATE, row, lane)


@inlined
def _tell(state: State, item: Any, choice: Choice) -> None:
    """Note what goes to the PLC now, and count the item in."""
    item["reason"], item["row"], item["plan"] = choice.reason, choice.row, state.totals[0]["plan"]
    item["asked_lane"], item["lane"] = choice.asked_lane, choice.lane
    item["trip"], item["trip_ns"] = choice.trip, choice.trip_ns
    item["chute"], item["alternate"] = choice.chute, choice.alternate
    count_in_flight(state, choice.chute, 1)
    take_place(state, choice.trip, choice.trip_ns)


@inlined
def _tell_nothing(item: Any, reason: int) -> None:
    """Note why an item that was never told a chute has none."""
    if item["chute"] == NONE_16:
        item["reason"] = reason


@inlined
def _write_divert(
    state: State, decisions: Rows, item: Any, choice: Choice, deadline_ns: int, event_at: int, known: bool
) -> None:
    row = next_decision(state, decisions)
    row["deadline_ns"] = deadline_ns
    hi, lo, station = item["waybill_hi"], item["waybill_lo"], i64(item["station"])
    carrier, service, flow = i64(item["carrier"]), i64(item["service"]), i64(item["flow"])
    row["waybill_hi"] = hi if known else u64(0)
    row["waybill_lo"] = lo if known else u64(0)
    row["serial"], row["item"], row["event"] = item["serial"], item["item"], event_at
    row["chute"], row["alternate"] = choice.chute, choice.alternate
    row["lane"], row["trip"], row["station"] = choice.lane, choice.trip, station if known else NONE_16
    row["row"] = choice.row
    row["plan"] = state.totals[0]["plan"] if choice.chute == NONE_16 else item["plan"]
    row["verdict"], row["reason"], row["line"] = DIVERT, choice.reason, item["line"]
    row["carrier"] = carrier if known else NONE_8
    row["service"] = service if known else NONE_8
    row["flow"] = flow if known else NONE_8
