"""Every change of the core's state is one event in `step`, in the order the events were taken.

Equal states, plans and batches give equal decisions and equal states, on every machine.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from sorter import limits
from sorter.core import manifest as advices
from sorter.core import prepared as plans
from sorter.core import state as states
from sorter.core.barcode import match_codes
from sorter.core.belt import end_item, end_overdue, find_item, hear, open_item, refuse, write_enter
from sorter.core.bundle import Bound, bind, reader
from sorter.core.chutes import empty, lock, report, take_capacities
from sorter.core.jit import UNCOMPILED, entry, i64, inlined, kernel, u64
from sorter.core.prepared import Prepared, prepare
from sorter.core.route import look_at_clock
from sorter.core.scan import decide_scan, stage_run
from sorter.core.state import State
from sorter.core.trips import carry_over, send_off
from sorter.reasons import Reason, Refusal
from sorter.records import NONE_16, AdviceFlag, Batch, Bytes, Discharge, Kind, Plan, Role, Rows, Verb

START: Final = int(Kind.START)
PLAN: Final = int(Kind.PLAN)
HELLO: Final = int(Kind.HELLO)
ADVICE: Final = int(Kind.ADVICE)
ITEM: Final = int(Kind.ITEM)
SCAN: Final = int(Kind.SCAN)
DISCHARGE: Final = int(Kind.DISCHARGE)
CHUTE: Final = int(Kind.CHUTE)
COMMAND: Final = int(Kind.COMMAND)

DROPPED: Final = int(Discharge.DROPPED)
PASSED: Final = int(Discharge.PASSED)

LOCK: Final = int(Verb.LOCK)
UNLOCK: Final = int(Verb.UNLOCK)
CHANGE: Final = int(Verb.CHANGE)
INTERCEPT_ADD: Final = int(Verb.INTERCEPT_ADD)
INTERCEPT_REMOVE: Final = int(Verb.INTERCEPT_REMOVE)
TRIP_SEND: Final = int(Verb.TRIP_SEND)

PLC: Final = int(Role.PLC)
CANCELLED_FLAG: Final = int(AdviceFlag.CANCELLED)

ALTERNATE: Final = int(Reason.ALTERNATE)
LATE: Final = int(Reason.LATE)
LOST: Final = int(Reason.LOST)
MAX_LAPS: Final = int(Reason.MAX_LAPS)
MISSORT: Final = int(Reason.MISSORT)

REPEAT: Final = int(Refusal.REPEAT)
GAP: Final = int(Refusal.GAP)
UNKNOWN_CLIENT: Final = int(Refusal.UNKNOWN_CLIENT)
UNKNOWN_ITEM: Final = int(Refusal.UNKNOWN_ITEM)
UNKNOWN_CHUTE: Final = int(Refusal.UNKNOWN_CHUTE)
UNKNOWN_LINE: Final = int(Refusal.UNKNOWN_LINE)
NOT_A_WAYBILL: Final = int(Refusal.NOT_A_WAYBILL)
MANIFEST_FULL: Final = int(Refusal.MANIFEST_FULL)
CLIENTS_FULL: Final = int(Refusal.CLIENTS_FULL)
NO_TRIP: Final = int(Refusal.NO_TRIP)

DONE: Final = -1
"""What a handler returns when it refused nothing."""


def step(state: State, plan: Plan, batch: Batch, decisions: Rows) -> int:
    """Apply a batch; write what follows into `decisions`, DECISION[2 * events + TIMEOUTS_PER_STEP_MAX].

    Returns how many decisions were written. A PLAN event is the first of its batch, and `plan`
    is the one it names. Call `state.room_for` first.
    Raises TypeError when an array of `state` or `plan` has the wrong dtype or layout.
    """
    ready = _ready
    if ready.state is not state or ready.plan is not plan:
        ready.take(state, plan)
    if UNCOMPILED:
        return _step(state, ready.prepared, batch, decisions)
    return _step_at(ready.state_at, ready.plan_at, _plain(batch.events), _plain(batch.codes), decisions)


def ready(plan: Plan) -> None:
    """Make a plan ready that a coming step may be called with, so that this step takes no longer than others.

    Raises ValueError and TypeError as that step would.
    """
    _ready.look_ahead(plan)


def _plain(rows: Any) -> Any:
    """The array itself, or a copy of a read-only or strided one, for which Numba would compile everything anew."""
    return rows if rows.flags.carray else np.array(rows)


class _ReadyPlan(NamedTuple):
    """A plan as the kernels take it."""

    plan: Plan
    prepared: Prepared
    bound: Bound


def _made_ready(plan: Plan) -> _ReadyPlan:
    prepared = prepare(plan)
    return _ReadyPlan(plan, prepared, bind(plans.EXAMPLE, prepared))


class _Ready:
    """The state and plan of the last step, made ready for the kernels: nearly always those of the next one."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.plan: Plan | None = None
        self.prepared = plans.EXAMPLE
        self._coming: _ReadyPlan | None = None

    def look_ahead(self, plan: Plan) -> None:
        self._coming = _made_ready(plan)

    def take(self, state: State, plan: Plan) -> None:
        if self.plan is not plan:
            coming, self._coming = self._coming, None
            if coming is None or coming.plan is not plan:
                coming = _made_ready(plan)
            self.plan, self.prepared, self.plan_bound = coming
            self.plan_at = self.plan_bound.address
        self.state_bound = bind(states.EXAMPLE, state)
        self.state, self.state_at = state, self.state_bound.address


_ready: Final = _Ready()
_state_reader: Final = reader(states.EXAMPLE)
_plan_reader: Final = reader(plans.EXAMPLE)


@entry
def _step_at(state_at: int, plan_at: int, events: Rows, codes: Bytes, decisions: Rows) -> int:
    return _step(_state_reader(state_at), _plan_reader(plan_at), Batch(events, codes), decisions)


@kernel
def _step(state: State, plan: Prepared, batch: Batch, decisions: Rows) -> int:
    totals = state.totals[0]
    totals["written"] = 0
    state.work.moment[0]["patterns_until_ns"] = state.work.moment[0]["minute_until_ns"] = 0
    events = batch.events
    at = 0
    while at < len(events):
        if events[at]["kind"] == SCAN:
            at = _apply_scans(state, plan, batch, decisions, at)
        else:
            refusal = _admit(state, plan, events[at])
            if refusal == DONE:
                refusal = _apply(state, plan, batch, decisions, at)
            if refusal != DONE:
                refuse(state, decisions, events[at], at, refusal)
            at += 1
    if len(events):
        end_overdue(state, plan, decisions, len(events) - 1)
    return i64(totals["written"])


@kernel
def _apply_scans(state: State, plan: Prepared, batch: Batch, decisions: Rows, begin: int) -> int:
    end = stage_run(state, plan, batch, begin)
    for at in range(begin, end):
        refusal = _admit(state, plan, batch.events[at])
        if refusal == DONE:
            decide_scan(state, plan, batch, decisions, at, at - begin)
        else:
            refuse(state, decisions, batch.events[at], at, refusal)
    return end


@inlined
def _admit(state: State, plan: Prepared, event: Any) -> int:
    """Advance the time; take each numbered event once and in order; refuse a line that is not there."""
    totals = state.totals[0]
    totals["now_ns"] = max(i64(totals["now_ns"]), i64(event["t_ns"]))
    kind, client, seq = i64(event["kind"]), i64(event["client"]), event["seq"]
    if kind != HELLO and client != 0 and seq != u64(0):
        if client >= limits.CLIENTS_MAX or not state.clients[client]["seen"]:
            return UNKNOWN_CLIENT
        last = state.clients[client]["last_seq"]
        if seq <= last:
            return REPEAT
        if seq != last + u64(1):
            return GAP
        state.clients[client]["last_seq"] = seq
    needs_line = kind in (ITEM, SCAN, DISCHARGE, CHUTE) or (kind == HELLO and event["value"] == PLC)
    return UNKNOWN_LINE if needs_line and i64(event["line"]) >= len(plan.lines) else DONE


@kernel
def _apply(state: State, plan: Prepared, batch: Batch, decisions: Rows, at: int) -> int:
    """Do what an event other than a scan says; returns a Refusal or DONE."""
    event = batch.events[at]
    kind = i64(event["kind"])
    if kind == ITEM:
        return _enter(state, decisions, event, at)
    if kind == DISCHARGE:
        return _discharge(state, plan, decisions, event, at)
    if kind == CHUTE:
        return _report_chute(state, plan, event)
    if kind == ADVICE:
        return _advise(state, plan, batch, event)
    if kind == COMMAND:
        return _command(state, plan, batch, event)
    if kind == HELLO:
        return _greet(state, batch, event)
    if kind == START:
        for line in range(limits.LINES_MAX):
            state.belts[line]["armed_ns"] = state.totals[0]["now_ns"]
    elif kind == PLAN:
        state.totals[0]["plan"] = event["chute"]
        take_capacities(state, plan)
        carry_over(state, plan)
    return DONE


@kernel
def _greet(state: State, batch: Batch, event: Any) -> int:
    """Register a client or know it again; a PLC that booted anew has forgotten the items of its line."""
    number = i64(event["client"])
    if number >= limits.CLIENTS_MAX:
        return CLIENTS_FULL
    client = state.clients[number]
    if not client["seen"] or client["boot"] != event["boot"]:
        client["seen"] = 1
        client["boot"] = event["boot"]
        client["last_seq"] = event["seq"] - u64(1) if event["seq"] else u64(0)
    client["role"], client["line"] = event["value"], event["line"]
    if event["code_count"] and i64(event["code_at"]) < len(batch.codes):
        for place in range(limits.CODE_BYTES):
            client["name"][place] = batch.codes[event["code_at"], place]
    if event["value"] == PLC:
        belt = state.belts[event["line"]]
        if belt["greeted"] and belt["boot"] != event["boot"]:
            belt["epoch"] += 1
            belt["began_ns"] = state.totals[0]["now_ns"]
        belt["greeted"] = 1
        belt["boot"] = event["boot"]
        belt["armed_ns"] = state.totals[0]["now_ns"]
    return DONE


@kernel
def _enter(state: State, decisions: Rows, event: Any, event_at: int) -> int:
    """An item came onto the belt. A number still in use: its former item was lost.

    PLC and scanner have no common order: an item that was read before it was announced is the same.
    """
    line, number = i64(event["line"]), i64(event["item"])
    at = find_item(state, line, number)
    if at >= 0 and not state.items[at]["announced"]:
        hear(state, at)
    else:
        if at >= 0:
            end_item(state, decisions, at, LOST, NONE_16, event_at)
        at = open_item(state, decisions, line, number, event_at)
        write_enter(state, decisions, at, event_at)
    state.items[at]["announced"] = 1
    return DONE


@kernel
def _discharge(state: State, plan: Prepared, decisions: Rows, event: Any, event_at: int) -> int:
    """An item dropped, passed its chute or got lost."""
    line, outcome, chute = i64(event["line"]), i64(event["value"]), i64(event["chute"])
    at = find_item(state, line, i64(event["item"]))
    if at < 0:
        return UNKNOWN_ITEM
    if outcome == DROPPED:
        if not _is_chute(plan, chute) or plan.chute_line[chute] != line:
            return UNKNOWN_CHUTE
        end_item(state, decisions, at, _end_reason(plan, state.items[at], chute), chute, event_at)
    elif outcome == PASSED:
        state.items[at]["passed"] = 1
        hear(state, at)
    else:
        end_item(state, decisions, at, LOST, NONE_16, event_at)
    return DONE


@kernel
def _end_reason(plan: Prepared, item: Any, chute: int) -> int:
    """Why an item ended where it dropped. What a line without laps did not divert runs off its end."""
    told = item["chute"] != NONE_16
    if told and item["chute"] == chute:
        return i64(item["reason"])
    if told and item["alternate"] == chute:
        return ALTERNATE
    if not told and item["reason"] == LATE:
        return LATE
    ran_off = plan.lines[item["line"]]["max_laps"] == 0 and plan.exception_chute[item["line"], MAX_LAPS] == chute
    return MAX_LAPS if ran_off else MISSORT


@kernel
def _is_chute(plan: Prepared, chute: int) -> bool:
    return chute < len(plan.chute_line)


@kernel
def _report_chute(state: State, plan: Prepared, event: Any) -> int:
    chute = i64(event["chute"])
    if not _is_chute(plan, chute) or plan.chute_line[chute] != event["line"]:
        return UNKNOWN_CHUTE
    report(state, chute, i64(event["value"]))
    return DONE


@kernel
def _match_one(state: State, plan: Prepared, batch: Batch, event: Any) -> bool:
    """Match the event's code 0 into row 0 of the work arrays; whether it is a waybill."""
    if event["code_count"] == 0 or i64(event["code_at"]) >= len(batch.codes):
        return False
    work = state.work
    look_at_clock(state, plan, i64(state.totals[0]["now_ns"]))
    work.rows[0] = event["code_at"]
    match_codes(plan.automaton, work.moment[0]["patterns"], batch.codes, work, 0, 1)
    return bool(work.accepted[0] != u64(0))


@kernel
def _advise(state: State, plan: Prepared, batch: Batch, event: Any) -> int:
    """Put an advice into the manifest or renew it; an intercept stays."""
    if not _match_one(state, plan, batch, event):
        return NOT_A_WAYBILL
    hi, lo = state.work.code_hi[0], state.work.code_lo[0]
    payload = min(i64(event["station"]), advices.NO_STATION)
    payload |= (i64(event["carrier"]) & 31) << advices.CARRIER_AT
    payload |= (i64(event["service"]) & 15) << advices.SERVICE_AT
    payload |= (i64(event["flow"]) & 1) << advices.FLOW_AT
    payload |= (i64(event["value"]) & CANCELLED_FLAG) << advices.CANCELLED_AT
    payload |= min(i64(event["weight_g"]), limits.WEIGHT_MAX_G) << advices.WEIGHT_AT
    payload |= advices.lookup(state.manifest, hi, lo) & (1 << advices.INTERCEPT_AT)
    return DONE if advices.store(state.manifest, hi, lo, payload) else MANIFEST_FULL


@kernel
def _command(state: State, plan: Prepared, batch: Batch, event: Any) -> int:
    """Do what an operator ordered."""
    verb, chute = i64(event["value"]), i64(event["chute"])
    if verb == TRIP_SEND:
        return DONE if send_off(state, plan, i64(event["station"])) else NO_TRIP
    if verb in (INTERCEPT_ADD, INTERCEPT_REMOVE):
        return _intercept(state, plan, batch, event)
    if not _is_chute(plan, chute):
        return UNKNOWN_CHUTE
    if verb == CHANGE:
        empty(state, chute)
    elif verb in (LOCK, UNLOCK):
        lock(state, chute, verb == LOCK)
    return DONE


@kernel
def _intercept(state: State, plan: Prepared, batch: Batch, event: Any) -> int:
    """Set or clear the flag at a waybill; to clear what was never set changes nothing."""
    if not _match_one(state, plan, batch, event):
        return NOT_A_WAYBILL
    hi, lo = state.work.code_hi[0], state.work.code_lo[0]
    payload = advices.lookup(state.manifest, hi, lo)
    flag = 1 << advices.INTERCEPT_AT
    wanted = payload | flag if event["value"] == INTERCEPT_ADD else payload & ~flag
    if wanted == payload:
        return DONE
    return DONE if advices.store(state.manifest, hi, lo, wanted) else MANIFEST_FULL
