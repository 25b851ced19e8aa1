"""One small case for every Reason and every Refusal: what brings it about, told as a story of one item.

REASONS and REFUSALS map each code to its case; the tests run over the whole enums, so a code
without a case fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sorter.core import manifest
from sorter.core import state as core
from sorter.core.step import step
from sorter.reasons import REJECTIONS, Reason, Refusal
from sorter.records import NONE_16, AdviceFlag, ChuteState, Discharge, Kind, Role, Target, Verb, Verdict
from tests.core.naive import Event
from tests.core.plans import PATTERNS, SECOND_NS, Chute, Line, Rows, Rule, compiled
from tests.core.stories import START_NS, batch_of, decisions_for, plan_event, run_core

BUS, PLANE, FREIGHT, EXCEPTION = range(4)
VILLAGE, AIRPORT, TOWN, NOWHERE = range(4)
EXCEPTION_CHUTE = 4

ROWS = Rows(
    patterns=PATTERNS,
    carriers=4,
    services=2,
    station_lane=[BUS, PLANE, FREIGHT, None],
    spill=[None, FREIGHT, None, None],
    trips=[[], [(600, 1), (7000, 1)], [], []],
    chutes=[
        Chute(0, [BUS], 0),
        Chute(0, [BUS], 0),
        Chute(0, [PLANE], 0),
        Chute(0, [FREIGHT], 0),
        Chute(0, [EXCEPTION], 0),
        Chute(1, [BUS], 0),
    ],
    lines=[Line(max_laps=1), Line()],
    rules=[
        Rule(10, Target.REJECT, Reason.OVERWEIGHT, weight_g=(30_001, 262_143)),
        Rule(20, Target.REJECT, Reason.OVERSIZE, length_mm=(1001, 65_535)),
    ],
    exceptions={(0, reason): EXCEPTION_CHUTE for reason in REJECTIONS},
    sort_codes=[("531", 1, TOWN), ("531-A03", 1, VILLAGE), ("531-A03", 0, AIRPORT), ("532", 1, TOWN), ("532", 2, TOWN)],
)


class Hub:
    """A core with one plan, spoken to in words."""

    def __init__(self, rows: Rows = ROWS) -> None:
        self.state = core.new_state()
        self.plan = compiled(rows)
        self.t_ns = START_NS
        self.send(plan_event(1, self.t_ns))

    def send(self, *events: Event) -> list[dict[str, int]]:
        told: list[dict[str, int]]
        self.state, told = run_core(self.state, self.plan, list(events))
        return told

    def one(self, kind: Kind, **fields: Any) -> dict[str, int]:
        """What the last decision says; {} when nothing follows."""
        self.t_ns += fields.pop("after_s", 0) * SECOND_NS
        told = self.send(Event(kind, self.t_ns, **fields))
        return told[-1] if told else {}

    def advise(self, waybill: bytes = b"AB123CN", station: int = VILLAGE, **fields: Any) -> dict[str, int]:
        return self.one(Kind.ADVICE, codes=[waybill], station=station, **fields)

    def scan(self, *codes: bytes, item: int = 1, **fields: Any) -> dict[str, int]:
        return self.one(Kind.SCAN, codes=list(codes), item=item, **fields)

    def drop(self, chute: int, item: int = 1) -> dict[str, int]:
        return self.one(Kind.DISCHARGE, item=item, chute=chute, value=Discharge.DROPPED)

    def command(self, verb: Verb, **fields: Any) -> dict[str, int]:
        return self.one(Kind.COMMAND, value=verb, **fields)


def planned(hub: Hub) -> dict[str, int]:
    hub.advise()
    told = hub.scan(b"ab123cn")
    assert (told["chute"], told["alternate"], told["lane"], told["row"]) == (0, 1, BUS, 0)
    assert hub.drop(0)["reason"] == Reason.PLANNED
    return told


def spilled(hub: Hub) -> dict[str, int]:
    for item, waybill in ((1, b"AB123CN"), (2, b"AB124CN")):
        hub.advise(waybill, AIRPORT)
        told = hub.scan(waybill, item=item)
    assert (told["lane"], told["chute"]) == (FREIGHT, 3)
    return told


def alternate(hub: Hub) -> dict[str, int]:
    hub.advise()
    hub.command(Verb.LOCK, chute=0)
    told = hub.scan(b"AB123CN")
    assert told["chute"] == 1
    return told


def multi_code(hub: Hub) -> dict[str, int]:
    assert hub.scan(b"AB123CN", b"ab123cn", item=2)["reason"] == Reason.NO_ADVICE
    return hub.scan(b"AB123CN", b"AB124CN")


def no_rule(hub: Hub) -> dict[str, int]:
    hub.advise(station=NOWHERE)
    return hub.scan(b"AB123CN")


def overweight(hub: Hub) -> dict[str, int]:
    hub.advise(weight_g=31_000)
    assert hub.scan(b"AB123CN", item=2, weight_g=30_000)["reason"] == Reason.PLANNED
    told = hub.scan(b"AB123CN")
    assert told["row"] == 10
    return told


def oversize(hub: Hub) -> dict[str, int]:
    hub.advise()
    return hub.scan(b"AB123CN", length_mm=1001)


def intercept(hub: Hub) -> dict[str, int]:
    hub.command(Verb.INTERCEPT_ADD, codes=[b"AB123CN"])
    hub.advise(value=AdviceFlag.CANCELLED)
    told = hub.scan(b"AB123CN")
    hub.command(Verb.INTERCEPT_REMOVE, codes=[b"AB123CN"])
    assert hub.scan(b"AB123CN")["reason"] == Reason.CANCELLED
    return told


def cancelled(hub: Hub) -> dict[str, int]:
    hub.advise(value=AdviceFlag.CANCELLED)
    return hub.scan(b"AB123CN")


def max_laps(hub: Hub) -> dict[str, int]:
    assert recirculate(hub)["chute"] == NONE_16
    told = hub.scan(b"AB123CN", after_s=100)
    assert told["chute"] == EXCEPTION_CHUTE
    return told


def late(hub: Hub) -> dict[str, int]:
    hub.advise()
    assert hub.scan(b"AB123CN", age_us=15_000_000)["reason"] == Reason.PLANNED
    told = hub.scan(b"AB123CN", item=2, age_us=15_000_001)
    assert told["chute"] == NONE_16
    assert hub.drop(3, item=2)["reason"] == Reason.LATE
    return told


def lost(hub: Hub) -> dict[str, int]:
    hub.one(Kind.ITEM, item=1)
    assert hub.one(Kind.TICK, after_s=899) == {}
    return hub.one(Kind.TICK, after_s=1)


def missort(hub: Hub) -> dict[str, int]:
    hub.advise()
    hub.scan(b"AB123CN")
    told = hub.drop(3)
    assert (told["verdict"], told["chute"]) == (Verdict.END, 3)
    return told


def recirculate(hub: Hub) -> dict[str, int]:
    hub.advise()
    hub.command(Verb.LOCK, chute=0)
    hub.one(Kind.CHUTE, chute=1, value=ChuteState.FULL)
    return hub.scan(b"AB123CN")


REASONS: dict[Reason, Callable[[Hub], dict[str, int]]] = {
    Reason.PLANNED: planned,
    Reason.SPILLED: spilled,
    Reason.ALTERNATE: alternate,
    Reason.NO_READ: lambda hub: hub.scan(b""),
    Reason.UNKNOWN_CODE: lambda hub: hub.scan(b"531-A03", b"x" * 300),
    Reason.MULTI_CODE: multi_code,
    Reason.NO_ADVICE: lambda hub: hub.scan(b"AB123CN"),
    Reason.NO_RULE: no_rule,
    Reason.OVERWEIGHT: overweight,
    Reason.OVERSIZE: oversize,
    Reason.INTERCEPT: intercept,
    Reason.CANCELLED: cancelled,
    Reason.MAX_LAPS: max_laps,
    Reason.LATE: late,
    Reason.LOST: lost,
    Reason.MISSORT: missort,
    Reason.RECIRCULATE: recirculate,
}


def hello(hub: Hub, **fields: Any) -> dict[str, int]:
    return hub.one(Kind.HELLO, **{"client": 1, "boot": 7, "seq": 1, "value": Role.PLC, **fields})


def repeat(hub: Hub) -> dict[str, int]:
    hello(hub)
    assert hub.one(Kind.ITEM, client=1, seq=1, item=1)["verdict"] == Verdict.ENTER
    return hub.one(Kind.ITEM, client=1, seq=1, item=1)


def gap(hub: Hub) -> dict[str, int]:
    hello(hub, seq=5)
    assert hub.one(Kind.ITEM, client=1, seq=5, item=1)["verdict"] == Verdict.ENTER
    return hub.one(Kind.ITEM, client=1, seq=7, item=2)


def manifest_full(hub: Hub) -> dict[str, int]:
    """One cache line holds three; the daemon's room_for is what keeps this from happening."""
    hub.state = hub.state._replace(manifest=manifest.new_manifest(1))
    events = [Event(Kind.ADVICE, START_NS, [waybill], station=0) for waybill in (b"7501", b"7502", b"7503", b"7504")]
    out = decisions_for(events)
    assert step(hub.state, hub.plan, batch_of(events), out) == 1
    return {name: int(out[0][name]) for name in ("verdict", "reason", "event")}


REFUSALS: dict[Refusal, Callable[[Hub], dict[str, int]]] = {
    Refusal.REPEAT: repeat,
    Refusal.GAP: gap,
    Refusal.UNKNOWN_CLIENT: lambda hub: hub.one(Kind.ITEM, client=9, seq=1, item=1),
    Refusal.UNKNOWN_ITEM: lambda hub: hub.drop(0),
    Refusal.UNKNOWN_CHUTE: lambda hub: hub.command(Verb.LOCK, chute=6),
    Refusal.NOT_A_WAYBILL: lambda hub: hub.advise(b"HELLO"),
    Refusal.MANIFEST_FULL: manifest_full,
    Refusal.CLIENTS_FULL: lambda hub: hello(hub, client=1024),
    Refusal.NO_TRIP: lambda hub: hub.command(Verb.TRIP_SEND, station=BUS),
    Refusal.UNKNOWN_LINE: lambda hub: hub.scan(b"AB123CN", line=2),
}


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.word)
def test_every_reason_is_reached(reason: Reason) -> None:
    told = REASONS[reason](Hub())
    assert told["verdict"] in {Verdict.DIVERT, Verdict.END}
    assert told["reason"] == reason


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.word)
def test_every_refusal_is_reached_and_changes_nothing(refusal: Refusal) -> None:
    hub = Hub()
    told = REFUSALS[refusal](hub)
    assert told["verdict"] == Verdict.REFUSE
    assert told["reason"] == refusal
    assert core.counts(hub.state).on_belt == (1 if refusal in {Refusal.REPEAT, Refusal.GAP} else 0)


def test_a_discharge_at_another_lines_chute_is_refused_and_the_item_stays() -> None:
    hub = Hub()
    hub.advise()
    hub.scan(b"AB123CN")
    assert hub.drop(5)["reason"] == Refusal.UNKNOWN_CHUTE
    assert hub.drop(0)["reason"] == Reason.PLANNED


def test_sort_codes_name_the_station_of_a_waybill_without_advice() -> None:
    hub = Hub()
    assert hub.scan(b"AB123CN", b"531-a03-07", item=1)["station"] == AIRPORT
    assert hub.scan(b"7501", b"531-A04", item=2)["station"] == TOWN
    assert hub.scan(b"7501", b"532", item=3)["reason"] == Reason.NO_ADVICE, "two carriers that it fits have 532"
    assert hub.scan(b"AB124CN", b"532", item=4)["reason"] == Reason.NO_ADVICE, "its carrier has no 532"


@pytest.mark.parametrize(("state", "left"), [(ChuteState.FULL, 0), (ChuteState.CHANGING, 0), (ChuteState.BLOCKED, 1)])
def test_a_chute_that_was_full_or_changing_opens_empty(state: ChuteState, left: int) -> None:
    hub = Hub()
    hub.advise()
    hub.scan(b"AB123CN")
    hub.drop(0)
    hub.one(Kind.CHUTE, chute=0, value=state)
    hub.one(Kind.CHUTE, chute=0, value=ChuteState.OPEN)
    assert core.chutes(hub.state, 1)[0]["dropped"] == left


def test_an_item_read_before_it_was_announced_is_one_item() -> None:
    """PLC and scanner have no common order; a number announced twice is two items."""
    hub = Hub()
    serial = hub.scan(b"AB123CN")["serial"]
    assert hub.one(Kind.ITEM, item=1) == {}
    assert hub.scan(b"AB123CN")["serial"] == serial
    told = hub.send(Event(Kind.ITEM, hub.t_ns, item=1))
    assert [row["verdict"] for row in told] == [Verdict.END, Verdict.ENTER]
    assert told[0]["reason"] == Reason.LOST
    assert [row["serial"] for row in told] == [serial, serial + 1]


@pytest.mark.parametrize("verb", [Verb.INTERCEPT_ADD, None])
def test_what_is_intercepted_or_cancelled_on_its_way_is_caught_on_the_next_lap(verb: Verb | None) -> None:
    hub = Hub()
    hub.advise()
    assert hub.scan(b"AB123CN")["reason"] == Reason.PLANNED
    if verb is None:
        hub.advise(value=AdviceFlag.CANCELLED)
    else:
        hub.command(verb, codes=[b"AB123CN"])
    assert hub.scan(b"AB123CN", after_s=100)["chute"] == EXCEPTION_CHUTE


WHEEL_LINE = replace(ROWS, lines=[Line(max_laps=0), Line()], trips=[[(600, 1)], [], [], []])


def told_chute(hub: Hub) -> None:
    hub.advise()
    assert hub.scan(b"AB123CN")["chute"] == 0


def told_nothing(hub: Hub) -> None:
    hub.advise()
    for chute in (0, 1, EXCEPTION_CHUTE):
        hub.command(Verb.LOCK, chute=chute)
    assert hub.scan(b"AB123CN")["reason"] == Reason.RECIRCULATE


def told_too_late(hub: Hub) -> None:
    hub.advise()
    assert hub.scan(b"AB123CN", age_us=16_000_000)["reason"] == Reason.LATE


@pytest.mark.parametrize(
    ("told", "reason"),
    [(told_chute, Reason.MAX_LAPS), (told_nothing, Reason.MAX_LAPS), (told_too_late, Reason.LATE)],
)
def test_what_a_wheel_line_does_not_divert_runs_off_its_end_and_is_no_missort(
    told: Callable[[Hub], None], reason: Reason
) -> None:
    hub = Hub(WHEEL_LINE)
    told(hub)
    assert hub.drop(EXCEPTION_CHUTE)["reason"] == reason


def test_a_wheel_lines_end_is_one_chute_and_any_other_is_a_missort() -> None:
    hub = Hub(WHEEL_LINE)
    told_chute(hub)
    assert hub.drop(3)["reason"] == Reason.MISSORT
    loop = Hub()
    told_chute(loop)
    assert loop.drop(EXCEPTION_CHUTE)["reason"] == Reason.MISSORT, "on a loop it would have gone round"


def test_what_ran_off_the_end_leaves_its_place_in_the_trip_to_the_next() -> None:
    hub = Hub(WHEEL_LINE)
    told_chute(hub)
    hub.drop(EXCEPTION_CHUTE)
    hub.advise(b"AB124CN")
    assert hub.scan(b"AB124CN", item=2)["chute"] == 0, "the trip takes one"


def test_a_wheel_line_sends_what_has_no_open_chute_to_its_end_at_once() -> None:
    hub = Hub(WHEEL_LINE)
    hub.advise()
    for chute in (0, 1):
        hub.command(Verb.LOCK, chute=chute)
    told = hub.scan(b"AB123CN")
    assert (told["reason"], told["chute"]) == (Reason.MAX_LAPS, EXCEPTION_CHUTE)


@pytest.mark.parametrize("first", [[b"AB123CN", b"AB124CN"], [b"AB123CN"]])
def test_what_ever_showed_two_waybills_is_never_sorted_by_one_of_them(first: list[bytes]) -> None:
    hub = Hub()
    for waybill in (b"AB123CN", b"AB124CN"):
        hub.advise(waybill)
    hub.scan(*first)
    if len(first) == 1:
        assert hub.scan(b"AB124CN", after_s=100)["reason"] == Reason.MULTI_CODE
    for later in ([b"AB123CN"], [b"AB124CN"], []):
        assert hub.scan(*later, after_s=100)["reason"] == Reason.MULTI_CODE
    assert hub.scan(b"AB123CN", item=2)["reason"] == Reason.PLANNED


def test_what_was_read_before_a_plc_began_anew_is_not_taken_for_its_new_item() -> None:
    """A scanner that could not reach us for a while says what it read under numbers that mean others now."""
    hub = Hub()
    hub.advise()
    hub.advise(b"AB124CN", AIRPORT)
    hello(hub)
    hello(hub, boot=8, after_s=100)
    assert hub.scan(b"AB123CN", after_s=5, age_us=5_000_001)["reason"] == Refusal.UNKNOWN_ITEM
    assert core.counts(hub.state).on_belt == 0
    assert hub.scan(b"AB123CN", age_us=5_000_000)["reason"] == Reason.PLANNED
    assert hub.scan(b"AB124CN", item=2, age_us=4_000_000)["station"] == AIRPORT
    hello(hub, boot=8, after_s=100)
    assert hub.scan(b"AB123CN", after_s=1, age_us=2_000_000)["verdict"] == Verdict.DIVERT, "the same boot came back"
