"""Routed in bulk, a parcel goes where the core's slow twin sends it as long as nothing is full, late or gone round."""

import random
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import records
from sorter.reasons import REJECTIONS, Reason
from sorter.records import (
    NONE_16,
    Discharge,
    Flow,
    Kind,
    Names,
    RecordedAdvice,
    RecordedParcel,
    SortPlan,
    Table,
    Target,
    Verb,
)
from sorter.rulebook.trial import diff, planned, recorded, routing
from tests.core.naive import Event, Twin
from tests.core.plans import JUNK, LABELS, SECOND_NS, WAYBILLS, Pattern, Rows, Rule, compiled, small_rows
from tests.core.stories import START_NS

CODES = [*WAYBILLS, *LABELS, *JUNK, b"531-" + b"9" * 40]
LINES = ("L0", "L1", "L2")  # the plans have the first two
STATIONS = ("S0", "S1", "S2", "S3", "elsewhere")
CARRIERS = ("C0", "C1", "C2", "C3", "nobody")
SERVICES = ("standard", "express", "unheard")
FLOWS = tuple(flow.name.lower() for flow in Flow)


def unhurried(seed: int) -> Rows:
    """A small plan in which nothing is ever full or gone."""
    rows = small_rows(seed)
    return replace(rows, chutes=[replace(row, capacity=0) for row in rows.chutes], trips=[[] for _ in rows.spill])


def sort_plan_of(rows: Rows) -> SortPlan:
    lanes = tuple(f"lane{at}" for at in range(len(rows.spill)))
    names = Names(
        carriers=CARRIERS[: rows.carriers],
        stations=STATIONS[: len(rows.station_lane)],
        townships=("-",),
        services=SERVICES[: rows.services],
        lanes=lanes,
        lines=LINES[: len(rows.lines)],
        chutes=tuple(100 + at for at in range(len(rows.chutes))),
        carrier_titles=CARRIERS[: rows.carriers],
        station_titles=STATIONS[: len(rows.station_lane)],
        station_townships=(0,) * len(rows.station_lane),
        lane_titles=lanes,
        lane_kinds=("bus",) * len(lanes),
    )
    return SortPlan("0" * 64, compiled(rows), names)


def draw(dice: random.Random, odd: int) -> tuple[str, str, str]:
    """A carrier, a station and a service, of which `odd` of many are of no plan."""

    def one(names: tuple[str, ...]) -> str:
        return dice.choice([*names[:-1] * 2, *names[-1:] * odd])

    return one(CARRIERS), one(STATIONS), one(SERVICES)


def random_parcel(dice: random.Random, t_ns: int) -> RecordedParcel:
    """Mostly one waybill and its advice; at times anything."""
    codes = [dice.choice(WAYBILLS)] if dice.random() < 0.8 else []
    codes += dice.choices(CODES, k=dice.choice([0, 0, 0, 1, 2, 9]))
    if dice.random() < 0.4:
        codes.append(dice.choice(LABELS))
    dice.shuffle(codes)
    advice = None
    if dice.random() < 0.6:
        names = draw(dice, odd=1)
        advice = RecordedAdvice(*names, flow=dice.choice(FLOWS), cancelled=dice.random() < 0.1)
    return RecordedParcel(
        t_ns,
        dice.choice(LINES[:2]) if dice.random() < 0.95 else "L2",
        tuple(code.decode("latin-1") for code in codes),
        dice.choice([0, 1, 700, 2500, 4999, 70_000]),
        dice.choice([0, 1, 300, 640, 65_535]),
        advice,
        dice.random() < 0.05,
    )


def as_read(parcel: RecordedParcel) -> list[bytes]:
    """The codes as they are in the arrays: text as UTF-8."""
    return [code.encode() for code in parcel.codes]


def told_by_twin(rows: Rows, parcel: RecordedParcel) -> dict[str, int] | None:
    """The decision of a first scan on an empty belt, as one that has no lap left; None: there is no such line."""
    twin, now = Twin(), parcel.t_ns
    codes = as_read(parcel)
    events = [Event(Kind.PLAN, now, chute=1)]
    advice = parcel.advice
    if advice and not {"elsewhere", "nobody", "unheard"} & set(advice[:3]):
        kind = {"carrier": CARRIERS.index(advice.carrier), "service": SERVICES.index(advice.service)}
        kind |= {"flow": FLOWS.index(advice.flow), "station": STATIONS.index(advice.station)}
        events += [Event(Kind.ADVICE, now, [code], value=int(advice.cancelled), **kind) for code in codes]
    if parcel.intercepted:
        events += [Event(Kind.COMMAND, now, [code], value=Verb.INTERCEPT_ADD) for code in codes]
    size = {"weight_g": parcel.weight_g, "length_mm": parcel.length_mm}
    line = LINES.index(parcel.line)
    events.append(Event(Kind.SCAN, now, codes, line=line, item=1, lap=250, **size))
    told = [row for row in twin.step(rows, events) if row["verdict"] == records.Verdict.DIVERT]
    return told[0] if told else None


def serving(rows: Rows, told: dict[str, int]) -> set[int]:
    """Every chute that could have been told as well."""
    if told["chute"] == NONE_16:
        return set()
    rule = next((rule for rule in rows.rules if rule.row == told["row"]), None)
    fixed = rule is not None and rule.kind == records.Target.CHUTE and told["reason"] == Reason.PLANNED
    if fixed or told["reason"] in REJECTIONS:
        return {100 + told["chute"]}
    line = told["line"]
    return {100 + at for at, row in enumerate(rows.chutes) if row.line == line and told["lane"] in row.lanes}


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 25))
def test_it_is_what_the_twin_decides(seed: int, count: int) -> None:
    rows, dice = unhurried(seed), random.Random(seed)
    times = sorted(START_NS + dice.randrange(8 * 86_400) * SECOND_NS for _ in range(count - 1))
    parcels = [random_parcel(dice, t_ns) for t_ns in (START_NS, *times)]
    routes = routing.route(sort_plan_of(rows), recorded.of_parcels(parcels))
    for at, parcel in enumerate(parcels):
        told = told_by_twin(rows, parcel)
        chutes = set(routes.sets[routes.chutes[at]])
        if told is None:
            assert (routes.reason[at], chutes) == (Reason.RECIRCULATE, set())
            continue
        assert Reason(int(routes.reason[at])) == Reason(told["reason"])
        assert routes.row[at] == told["row"]
        assert chutes == serving(rows, told)
        if told["chute"] != NONE_16:
            assert routes.lane[at] == told["lane"]
        assert routes.station[at] == told["station"]


WAYBILL_OF = {"S0": b"AB123CN", "S1": b"7501", "S2": b"7802", "S3": b"SF00000000000001-X"}


def dropped_by_twin(rows: Rows, parcels: list[RecordedParcel]) -> list[int]:
    """The chute of each parcel by the core's twin, which is told of each drop; full chutes are changed when all are."""
    roomy = replace(rows, chutes=[replace(row, capacity=0) for row in rows.chutes])
    twin, lies, chutes = Twin(), [0] * len(rows.chutes), []
    twin.step(rows, [Event(Kind.PLAN, START_NS, chute=1), *advices_of_waybills()])
    for number, parcel in enumerate(parcels, start=1):
        now, line = parcel.t_ns, LINES.index(parcel.line)
        told = told_by_twin(roomy, parcel)
        mine = [chute - 100 for chute in serving(roomy, told)] if told else []
        if all(lies[chute] == rows.chutes[chute].capacity > 0 for chute in mine):
            twin.step(rows, [Event(Kind.COMMAND, now, value=Verb.CHANGE, chute=chute) for chute in mine])
            lies = [0 if chute in mine else count for chute, count in enumerate(lies)]
        answers = twin.step(rows, [Event(Kind.SCAN, now, as_read(parcel), lap=250, line=line, item=number)])
        chute = next(row["chute"] for row in answers if row["verdict"] == records.Verdict.DIVERT)
        chutes.append(0 if chute == NONE_16 else 100 + chute)
        if chute != NONE_16:
            lies[chute] += 1
            twin.step(rows, [Event(Kind.DISCHARGE, now, line=line, item=number, value=Discharge.DROPPED, chute=chute)])
    return chutes


def advices_of_waybills() -> list[Event]:
    return [
        Event(Kind.ADVICE, START_NS, [waybill], station=at, carrier=0, service=0, flow=0)
        for at, waybill in enumerate(WAYBILL_OF.values())
    ]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 60))
def test_of_several_chutes_it_is_the_one_the_twin_fills(seed: int, count: int) -> None:
    """Chutes of any capacity, some of several lanes, on a day on which they are changed when all of a lane are full."""
    rows, dice = replace(small_rows(seed), trips=[[] for _ in range(5)]), random.Random(seed)
    own = {key: chute for key, chute in rows.exceptions.items() if rows.chutes[chute].line == key[0]}
    rows = replace(rows, exceptions=own)
    parcels = []
    for at in range(count):
        station = dice.choice([*WAYBILL_OF])
        advice = RecordedAdvice("C0", station, "standard", "inbound", cancelled=False)
        codes = (WAYBILL_OF[station].decode(),)
        t_ns = START_NS + at * dice.choice([1, 60]) * SECOND_NS
        parcels.append(RecordedParcel(t_ns, dice.choice(LINES[:2]), codes, 0, 0, advice, intercepted=False))
    parcels.sort(key=lambda parcel: parcel.t_ns)
    sort_plan, day = sort_plan_of(rows), recorded.of_parcels(parcels)
    assert diff._dealt(sort_plan, routing.route(sort_plan, day), day.t_ns) == dropped_by_twin(rows, parcels)


def parcel_of(code: str, *more: str, advice: RecordedAdvice | None = None, **other: Any) -> RecordedParcel:
    return RecordedParcel(START_NS, "L0", (code, *more), 500, 300, advice, intercepted=False)._replace(**other)


def plain_rows() -> Rows:
    """Every station has a lane of one chute; the sort code 532 of carrier 1 is station 2."""
    rows = unhurried(0)
    chutes = [replace(row, line=0, lanes=[at % 5]) for at, row in enumerate(rows.chutes)]
    exceptions = {(line, reason): 8 for line in range(2) for reason in REJECTIONS}
    return replace(
        rows, rules=[], station_lane=[0, 1, 2, 3], chutes=chutes, exceptions=exceptions, sort_codes=[("532", 1, 2)]
    )


def test_an_advice_that_a_sort_code_explains_wholly_is_taken_away() -> None:
    sort_plan = sort_plan_of(plain_rows())
    same = RecordedAdvice("C1", "S2", "standard", "inbound", cancelled=False)
    parcels = [
        parcel_of("7501", "532", advice=same),
        parcel_of("7501", "532-9", advice=same),
        parcel_of("7501", advice=same),
        parcel_of("7501", "532", advice=same._replace(station="S1")),
        parcel_of("7501", "532", advice=same._replace(carrier="C2")),
        parcel_of("7501", "532", advice=same._replace(service="express")),
        parcel_of("7501", "532", advice=same._replace(flow="outbound")),
        parcel_of("7501", "532", advice=same._replace(cancelled=True)),
        parcel_of("7501", "7502", "532", advice=same),
    ]
    kept = routing.without_labelled(sort_plan, recorded.of_parcels(parcels)).station != NONE_16
    assert kept.tolist() == [False, False, True, True, True, True, True, True, True]


def test_what_is_taken_away_changes_no_route() -> None:
    sort_plan = sort_plan_of(plain_rows())
    same = RecordedAdvice("C1", "S2", "standard", "inbound", cancelled=False)
    traffic = recorded.of_parcels([parcel_of("7501", "532", advice=same), parcel_of("7501", advice=same)])
    before, after = (routing.route(sort_plan, each) for each in (traffic, routing.without_labelled(sort_plan, traffic)))
    assert before.chutes.tolist() == after.chutes.tolist()
    assert before.station.tolist() == after.station.tolist() == [2, 2]


def test_what_is_meant_for_a_place_is_told_by_station_and_local_hour() -> None:
    """Station 3 has no lane, lane 2 no chute; what was not read, was held, or a rule rejects is meant for none."""
    rules = [
        Rule(7, Target.REJECT, int(Reason.NO_RULE), carriers={3}),
        Rule(8, Target.REJECT, int(Reason.OVERWEIGHT), carriers={2}),
    ]
    plain = plain_rows()
    chutes = [replace(row, lanes=[] if row.lanes == [2] else row.lanes) for row in plain.chutes]
    rows = replace(plain, rules=rules, station_lane=[0, 1, 2, None], chutes=chutes, utc_offset_ns=8 * 3600 * SECOND_NS)
    advice = RecordedAdvice("C1", "S0", "standard", "inbound", cancelled=False)
    hour_ns = 3600 * SECOND_NS
    parcels = [
        parcel_of("7501", advice=advice),
        parcel_of("7501", advice=advice._replace(station="S1"), t_ns=START_NS + 3 * hour_ns),
        parcel_of("7501", advice=advice._replace(station="S2")),
        parcel_of("7501", advice=advice._replace(station="S3")),
        parcel_of("7501", "532"),
        parcel_of("7501", advice=advice, line="L1"),
        parcel_of("7501", advice=advice, line="L2"),
        parcel_of("7501", advice=advice._replace(carrier="C3")),
        parcel_of("7501", advice=advice._replace(carrier="C2")),
        parcel_of("7501", advice=advice._replace(cancelled=True)),
        parcel_of("7501", advice=advice, intercepted=True),
        parcel_of("7501"),
        parcel_of("HELLO", advice=advice),
        parcel_of("7501", "7502", advice=advice),
    ]
    sort_plan, day = sort_plan_of(rows), recorded.of_parcels(parcels)
    hour = (START_NS // hour_ns + 8) % 24
    meant = [("S0", hour), ("S1", (hour + 3) % 24), ("S2", hour), ("S3", hour), ("S2", hour)]
    assert list(planned.places_of(sort_plan, day, "L0")) == meant
    assert list(planned.places_of(sort_plan, day, "L1")) == [("S0", hour)]
    assert list(planned.places_of(sort_plan, day, "L9")) == []


def test_the_waybill_is_the_code_that_is_one() -> None:
    sort_plan = sort_plan_of(plain_rows())
    traffic = recorded.of_parcels([parcel_of("HELLO", "ab123cn"), parcel_of("HELLO"), parcel_of("YT11")])
    assert [routing.waybill_of(sort_plan, traffic, at) for at in range(3)] == ["AB123CN", "", ""]


def test_of_two_labels_that_name_one_station_the_last_names_the_carrier() -> None:
    rows = replace(
        plain_rows(),
        sort_codes=[("531", 1, 2), ("532", 2, 2)],
        rules=[Rule(7, Target.LANE, 4, carriers={2})],
    )
    parcels = [parcel_of("7501", "531", "532"), parcel_of("7501", "532", "531")]
    routes = routing.route(sort_plan_of(rows), recorded.of_parcels(parcels))
    told = [told_by_twin(rows, parcel) for parcel in parcels]
    assert routes.row.tolist() == [row and row["row"] for row in told] == [7, 0]


def test_a_waybill_is_no_sort_code() -> None:
    rows = replace(plain_rows(), sort_codes=[("7501", 1, 2)])
    routes = routing.route(sort_plan_of(rows), recorded.of_parcels([parcel_of("7501")]))
    assert routes.reason.tolist() == [Reason.NO_ADVICE]


def test_a_code_longer_than_a_waybill_is_none() -> None:
    rows = replace(plain_rows(), patterns=[Pattern(0, ["9"] * 24)])
    traffic = recorded.of_parcels([parcel_of("9" * length) for length in (23, 24, 25)])
    routes = routing.route(sort_plan_of(rows), traffic)
    assert routes.reason.tolist() == [Reason.UNKNOWN_CODE, Reason.NO_ADVICE, Reason.UNKNOWN_CODE]


def test_no_parcel_at_all() -> None:
    routes = routing.route(sort_plan_of(plain_rows()), recorded.of_parcels([]))
    assert [len(column) for column in routes[:5]] == [0] * 5


def many_rules(rng: np.random.Generator, rows: int) -> SortPlan:
    """Rows that hold for one parcel in many thousands, so that a first hit lies anywhere or nowhere."""
    sort_plan = sort_plan_of(plain_rows())
    words = -(-rows // 64)

    def bits(size: int, halvings: int = 2) -> records.Bits:
        out = np.full((size, words), (1 << 64) - 1, np.uint64)
        for _ in range(halvings):
            out &= rng.integers(1 << 64, size=(size, words), dtype=np.uint64)
        return out

    edges = np.array([100, 2000], np.int32)
    table = Table(
        station=bits(4, 4),
        kind=bits(16),
        weight_edges=edges,
        weight=bits(4),
        length_edges=edges,
        length=bits(4),
        minute_edges=edges[:1],
        minute=bits(14, 3),
        target_kind=np.zeros(rows, np.uint8),
        target=rng.integers(4, size=rows).astype(np.uint16),
        row=np.arange(1, rows + 1).astype(np.uint16),
    )
    return sort_plan._replace(plan=sort_plan.plan._replace(table=table))


def first_hit(table: Table, vectors: tuple[int, ...]) -> int:
    """The row number of the first rule, by Python's long integers; 0: none."""
    common = -1
    for rows, at in zip((table.station, table.kind, table.weight, table.length, table.minute), vectors, strict=True):
        common &= int.from_bytes(rows[at].astype("<u8").tobytes(), "little")
    return (common & -common).bit_length()


def test_many_rules_take_little_memory_and_miss_no_hit() -> None:
    rng, dice = np.random.default_rng(5), random.Random(5)
    sort_plan = many_rules(rng, 156 * 64)
    parcels = []
    for _ in range(20_000):
        advice = RecordedAdvice(*draw(dice, odd=0), flow=dice.choice(FLOWS), cancelled=False)
        t_ns = START_NS + dice.randrange(7 * 86_400) * SECOND_NS
        size = {"weight_g": dice.choice([0, 99, 100, 2000]), "length_mm": dice.choice([0, 99, 100, 2000])}
        parcels.append(parcel_of("7501", advice=advice, t_ns=t_ns, **size))
    traffic = recorded.of_parcels(parcels)
    tracemalloc.start()
    routes = routing.route(sort_plan, traffic)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 << 20
    table, plan = sort_plan.plan.table, sort_plan.plan
    for at in range(0, len(parcels), 37):
        known = parcels[at].advice
        assert known is not None
        minute = (parcels[at].t_ns + plan.utc_offset_ns) // (60 * SECOND_NS)
        kind = (CARRIERS.index(known.carrier) * 2 + SERVICES.index(known.service)) * 2 + FLOWS.index(known.flow)
        weight, length = ({0: 3, 99: 0, 100: 1, 2000: 2}[side] for side in parcels[at][3:5])
        weekday = (minute // 1440 + 3) % 7
        vectors = (STATIONS.index(known.station), kind, weight, length, weekday * 2 + (minute % 1440 >= 100))
        assert routes.row[at] == first_hit(table, vectors)
    assert 0 < np.count_nonzero(routes.row == 0) < len(parcels)
    assert routes.row.max() > 2000
