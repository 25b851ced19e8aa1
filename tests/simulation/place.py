"""A small made-up hub: two short loops, a handful of chutes, sort plans and parcels from the seed."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Final, NamedTuple

from plc_adapter.emulator import plant
from sorter.reasons import REJECTIONS, Reason
from sorter.records import Names, SortPlan, Target, plan_to_bytes
from tests.core import plans
from tests.simulation.world import OPENS_NS, SECOND

LINES: Final = ("L1", "L2")
LANES: Final = ("bus", "freight", "village", "air", "exceptions")
EXCEPTIONS: Final = LANES.index("exceptions")
STATIONS: Final = 8
CHUTES_A_LINE: Final = 7
SPEED_M_S: Final = 2.0
LAP_M: Final = 24.0
FIRST_M: Final = 6.0
PITCH_M: Final = 2.0
TIMEOUT_NS: Final = 60 * SECOND
UTC_OFFSET_NS: Final = 8 * 3600 * SECOND
PATTERNS: Final = (("S", "F", *[plans.DIGIT] * 8), ("7", *[plans.DIGIT] * 9))


class Parcel(NamedTuple):
    """One parcel as its label has it, and what its carrier said of it."""

    arrive_ns: int
    waybill: str
    codes: tuple[str, ...]
    weight_g: int
    advice: list[object] | None


class Place(NamedTuple):
    """Everything that a seed's day begins with."""

    sort_plans: list[SortPlan]  # the versions published one after the other
    belts: dict[str, plant.Belt]
    chutes: dict[str, list[plant.Chute]]
    parcels: dict[str, list[Parcel]]


def make(chance: Random) -> Place:
    """The hub of a seed."""
    rows = _rows(chance)
    sort_plans = []
    for number in range(3):
        sort_plans.append(_sort_plan(rows, f"{number}"))
        _edit(rows, chance)
    belts = {name: plant.Belt(name, SPEED_M_S, LAP_M, induct_to_scanner_m=4.0) for name in LINES}
    chutes = {
        name: [
            plant.Chute(_number(line, at), FIRST_M + at * PITCH_M, rows.chutes[line * CHUTES_A_LINE + at].capacity)
            for at in range(CHUTES_A_LINE)
        ]
        for line, name in enumerate(LINES)
    }
    parcels = {name: _parcels(line, chance) for line, name in enumerate(LINES)}
    return Place(sort_plans, belts, chutes, parcels)


def _number(line: int, at: int) -> int:
    return 100 * (line + 1) + at + 1


def _rows(chance: Random) -> plans.Rows:
    chutes = []
    for line in range(len(LINES)):
        for at in range(CHUTES_A_LINE - 1):
            lanes = {at % EXCEPTIONS, *chance.sample(range(EXCEPTIONS), chance.choice([0, 0, 1]))}
            chutes.append(plans.Chute(line, sorted(lanes), chance.choice([0, 4, 6, 8])))
        chutes.append(plans.Chute(line, [EXCEPTIONS], 0))
    window_ns = round(FIRST_M / SPEED_M_S * SECOND)
    lap_ns = round(LAP_M / SPEED_M_S * SECOND)
    return plans.Rows(
        patterns=[plans.Pattern(carrier, list(places)) for carrier, places in enumerate(PATTERNS)],
        carriers=len(PATTERNS),
        services=2,
        station_lane=[chance.randrange(EXCEPTIONS) for _ in range(STATIONS)],
        spill=[chance.choice([None, *range(EXCEPTIONS)]) for _ in range(EXCEPTIONS)] + [None],
        trips=[_trips(chance) for _ in range(EXCEPTIONS)] + [[]],
        chutes=chutes,
        lines=[plans.Line(window_ns, lap_ns, TIMEOUT_NS, chance.choice([0, 2, 2, 4])) for _ in LINES],
        rules=[_rule(chance, 10 * at + 10, len(chutes)) for at in range(chance.randrange(5))],
        exceptions={
            (line, reason): (line + 1) * CHUTES_A_LINE - 1 for line in range(len(LINES)) for reason in REJECTIONS
        },
        utc_offset_ns=UTC_OFFSET_NS,
    )


def _trips(chance: Random) -> list[tuple[int, int]]:
    """Departures within the simulated minutes, and one on another day."""
    opens_min = (OPENS_NS + UTC_OFFSET_NS) // (60 * SECOND) % 1440 + 2 * 1440  # a Wednesday
    minutes = {opens_min + chance.randrange(1, 5) for _ in range(chance.choice([0, 1, 2]))} | {100}
    return [(minute, chance.choice([0, 5, 20])) for minute in sorted(minutes)] if chance.random() < 0.7 else []


def _rule(chance: Random, row: int, chutes: int) -> plans.Rule:
    kind, target = chance.choice(
        [
            (Target.LANE, chance.randrange(EXCEPTIONS)),
            (Target.CHUTE, chance.randrange(chutes)),
            (Target.REJECT, int(Reason.OVERWEIGHT)),
        ]
    )
    return plans.Rule(
        row,
        kind,
        target,
        stations=set(chance.sample(range(STATIONS), 2)),
        weight_g=(2000, 50_000) if kind == Target.REJECT else None,
    )


def _edit(rows: plans.Rows, chance: Random) -> None:
    """Staff change the tables: a station's lane, a rule, a spill, a trip."""
    rows.station_lane[chance.randrange(STATIONS)] = chance.randrange(EXCEPTIONS)
    rows.spill[chance.randrange(EXCEPTIONS)] = chance.choice([None, *range(EXCEPTIONS)])
    rows.trips[chance.randrange(EXCEPTIONS)] = _trips(chance)
    rows.rules.append(_rule(chance, 10 * len(rows.rules) + 10, len(rows.chutes)))


def _sort_plan(rows: plans.Rows, version: str) -> SortPlan:
    plan = plans.compiled(rows)
    stations = tuple(f"station {at}" for at in range(STATIONS))
    names = Names(
        carriers=("SF", "YTO"),
        stations=stations,
        townships=("town",),
        services=("standard", "fresh"),
        lanes=LANES,
        lines=LINES,
        chutes=tuple(_number(line, at) for line in range(len(LINES)) for at in range(CHUTES_A_LINE)),
        carrier_titles=("SF", "YTO"),
        station_titles=stations,
        station_townships=(0,) * STATIONS,
        lane_titles=LANES,
        lane_kinds=("bus", "freight", "village", "air", "exception"),
    )
    hashed = hashlib.sha256(version.encode() + plan_to_bytes(SortPlan("", plan, names)))
    return SortPlan(hashed.hexdigest(), plan, names)


def _parcels(line: int, chance: Random) -> list[Parcel]:
    count, spread_s = chance.randint(15, 60), chance.choice([20, 50])
    arrive_ns = sorted(OPENS_NS + chance.randrange(spread_s * SECOND) for _ in range(count))
    return [_parcel(chance, t_ns, 1000 * line + at) for at, t_ns in enumerate(arrive_ns)]


def _parcel(chance: Random, arrive_ns: int, number: int) -> Parcel:
    carrier = chance.randrange(2)
    waybill, other = (_waybill(carrier, digits) for digits in (number, number + 500))
    codes = chance.choices(
        [(waybill,), (waybill, waybill), ("690123", waybill), (waybill, other), ("690123",), ()],
        [80, 6, 6, 3, 2, 3],
    )[0]
    weight_g = chance.choice([0, 300, 1500, 4000])
    advice: list[object] = [waybill, carrier, chance.randrange(STATIONS), chance.randrange(2), chance.randrange(2)]
    advice += [chance.choice([0, 300, 4000]), int(chance.random() < 0.03)]
    return Parcel(arrive_ns, waybill, codes, weight_g, advice if chance.random() < 0.93 else None)


def _waybill(carrier: int, number: int) -> str:
    return f"SF{number:08d}" if carrier == 0 else f"7{number:09d}"
