"""Two-pass plans against every plan there is, on instances small enough to try them all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, Literal, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import rulebook
from sorter.reasons import Sentence
from sorter.records import NONE_16, RecordedAdvice, RecordedParcel, SortPlan
from sorter.rulebook.cells import ANY_WORD, Words
from sorter.rulebook.tables import NOTE, TABLES, Sheet, read_folder
from sorter.rulebook.trial.planned import local_days, places_of
from sorter.rulebook.trial.recorded import of_parcels
from sorter.rulebook.two_pass.balance import Groups, in_order, seat
from sorter.rulebook.two_pass.bounds import lower_bounds
from sorter.rulebook.two_pass.figures import figures, first_loads
from sorter.rulebook.two_pass.free_chutes import (
    EXCEPTION_CHUTE,
    NO_CHUTES,
    NO_SUCH_LINE,
    NOT_ON_LINE,
    free_chutes,
    own_chutes,
)
from sorter.rulebook.two_pass.kept_rules import rejecting
from sorter.rulebook.two_pass.pass_tables import MADE_ALREADY, tables
from sorter.rulebook.two_pass.planned_stations import NO_STATION, stations_of
from sorter.rulebook.two_pass.planning import TwoPass, baseline, plan_two_pass
from sorter.rulebook.two_pass.request import NoTwoPass, Pin, Volumes, count_volumes
from sorter.rulebook.two_pass.request_faults import (
    CHUTE_TWICE,
    DIRECT_AGAIN,
    GROUP_TOO_LARGE,
    NO_SUCH_CHUTE,
    NO_SUCH_STATION,
    NOT_ITS_OWN,
    PINNED_TWICE,
    SAME_SECOND,
    TOO_MANY,
)
from sorter.rulebook.two_pass.summary import summary
from sorter.rulebook.two_pass.task import PINS_TOO_TIGHT
from tests.rulebook.small_site import LINES, OFFSET_NS, SMALL, Table, changed, copy_of_small, load, write

CHUTES = (11, 12, 13)
HOUR_NS = 3600 * 10**9
MIDNIGHT_NS = 1_762_704_000 * 10**9  # Monday 2025-11-10 at the site


def volumes(*totals: int, hour: int = 7) -> Volumes:
    items = np.zeros((len(totals), 24), np.int64)
    items[:, hour] = totals
    return Volumes(tuple(f"V{at}" for at in range(len(totals))), items)


# ---- the slow, obvious twin: every way to give stations a chute -------------


class Way(NamedTuple):
    """One first pass: a chute for each station, and which chutes are for groups."""

    chute_of: tuple[int, ...]
    group_chutes: frozenset[int]


def every_way(count: int, chutes: Sequence[int]) -> Iterator[Way]:
    for chute_of in itertools.product(chutes, repeat=count):
        shared = {chute for chute in chutes if chute_of.count(chute) > 1}
        single = sorted({*chute_of} - shared)
        if all(chute_of.count(chute) <= len(chutes) for chute in shared):
            for more in itertools.product((False, True), repeat=len(single)):
                yield Way(chute_of, frozenset(shared | set(itertools.compress(single, more))))


def holds(way: Way, pins: Sequence[Pin], stations: Sequence[str]) -> bool:
    seconds = []
    for pin in pins:
        chute = way.chute_of[stations.index(pin.station)]
        if pin.direct != (chute not in way.group_chutes) or pin.first not in {0, chute}:
            return False
        seconds += [(chute, pin.second)] if pin.second else []
    return len(set(seconds)) == len(seconds)


def figures_of(way: Way, asked: Volumes) -> tuple[int, int, int]:
    """Handled twice, busiest chute-hour, largest group."""
    loads = {chute: np.zeros(24, np.int64) for chute in way.chute_of}
    for chute, items in zip(way.chute_of, asked.items, strict=True):
        loads[chute] = loads[chute] + items
    groups = [int(loads[chute].sum()) for chute in way.group_chutes]
    return sum(groups), max(int(load.max()) for load in loads.values()), max(groups, default=0)


def best_of_all(asked: Volumes, chutes: Sequence[int], pins: Sequence[Pin]) -> tuple[int, int, int] | None:
    """Fewest handled twice; of those ways the lowest busiest hour, and the lowest largest group."""
    found = [
        figures_of(way, asked) for way in every_way(len(asked.stations), chutes) if holds(way, pins, asked.stations)
    ]
    if not found:
        return None
    least = min(found)[0]
    equal = [each for each in found if each[0] == least]
    return least, min(each[1] for each in equal), min(each[2] for each in equal)


def is_right(plan: TwoPass, asked: Volumes, chutes: Sequence[int], pins: Sequence[Pin]) -> None:
    """Every station has one place in the first pass and, if grouped, one in the second; all pins hold."""
    group_of = {station: chute for chute, stations in plan.groups.items() for station in stations}
    assert len(plan.direct) + sum(map(len, plan.groups.values())) == len(asked.stations)
    assert {*plan.direct, *group_of} == set(asked.stations)
    first = [*plan.direct.values(), *plan.groups]
    assert len(set(first)) == len(first)
    assert {*first, *plan.second.values()} <= set(chutes)
    assert set(plan.second) == set(group_of)
    places = [(group_of[station], chute) for station, chute in plan.second.items()]
    assert len(set(places)) == len(places)
    for pin in pins:
        assert pin.direct == (pin.station in plan.direct)
        assert pin.first in {0, {**plan.direct, **group_of}[pin.station]}
        assert pin.second in {0, plan.second.get(pin.station)}


def instance(seed: int) -> tuple[Volumes, tuple[int, ...], list[Pin]]:
    """Up to six stations on up to three chutes, three busy hours, some pins of all kinds."""
    chance = Random(seed)
    chutes = CHUTES[: chance.choice((1, 2, 3, 3, 3, 3))]
    count = max(chance.randint(1, min(6, len(chutes) ** 2)) for _ in range(2))
    most = chance.choice((1, 3, 20))
    items = np.zeros((count, 24), np.int64)
    items[:, 6:9] = [[max(0, chance.randint(-1, most)) for _ in range(3)] for _ in range(count)]
    names = tuple(f"V{at}" for at in range(count))
    pins = []
    for name in chance.sample(names, chance.choice((0, 0, min(1, count), min(2, count), min(4, count)))):
        direct = chance.random() < 0.25
        first, second = (chance.choice((0, 0, *chutes)) for _ in range(2))
        pins.append(Pin(name, direct, first, 0 if direct else second))
    return Volumes(names, items), chutes, pins


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 1 << 30).map(instance))
def test_it_is_the_best_of_all_plans_and_the_bounds_hold(asked_of: tuple[Volumes, tuple[int, ...], list[Pin]]) -> None:
    asked, chutes, pins = asked_of
    best = best_of_all(asked, chutes, pins)
    if best is None:
        with pytest.raises(NoTwoPass):
            plan_two_pass(asked, chutes, pins)
        return
    plan, simple = plan_two_pass(asked, chutes, pins), baseline(asked, chutes, pins)
    bounds = lower_bounds(asked, chutes, pins)
    is_right(plan, asked, chutes, pins)
    is_right(simple, asked, chutes, pins)
    ours = figures(plan, asked)
    assert ours.handled_twice == bounds.handled_twice == best[0]
    assert bounds.busiest_hour <= best[1] <= ours.busiest_hour
    assert bounds.largest_group <= best[2] <= ours.largest_group
    assert bounds.busiest_second <= ours.busiest_second
    assert figures(simple, asked).handled_twice >= best[0]


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 12), st.data())
def test_as_many_are_direct_as_the_arithmetic_allows(chutes: int, data: st.DataObject) -> None:
    """With d direct, K - d groups of K remain: n - d <= (K - d) * K, so d <= (K * K - n) / (K - 1)."""
    stations = data.draw(st.integers(chutes + 1, chutes * chutes))
    asked = volumes(*data.draw(st.lists(st.integers(1, 9), min_size=stations, max_size=stations)))
    plan = plan_two_pass(asked, range(1, chutes + 1))
    assert len(plan.direct) == (chutes * chutes - stations) // (chutes - 1)
    least = min((asked.items[asked.stations.index(station)].sum() for station in plan.direct), default=10)
    assert all(asked.items[asked.stations.index(station)].sum() <= least for station in plan.second)


def test_equal_stations_are_direct_in_table_order_and_stand_so() -> None:
    plan = plan_two_pass(volumes(5, 5, 5, 5, 5, 5), CHUTES)
    assert plan == TwoPass(
        CHUTES,
        {"V0": 11},
        {12: ("V1", "V3", "V5"), 13: ("V2", "V4")},
        {"V1": 11, "V2": 11, "V3": 12, "V4": 12, "V5": 13},
    )


def test_with_chutes_for_all_nothing_is_handled_twice() -> None:
    plan = plan_two_pass(volumes(5, 0, 2), CHUTES)
    assert plan == TwoPass(CHUTES, {"V0": 11, "V1": 12, "V2": 13}, {}, {})
    assert figures(plan, volumes(5, 0, 2)) == (0, 5, 0, 0)


def grouped(station: str, first: int = 0, second: int = 0) -> Pin:
    return Pin(station, direct=False, first=first, second=second)


def test_a_station_goes_where_other_groups_leave_the_chute_of_pass_two_free() -> None:
    """Group 12 has room: once beside what group 13 is pinned to drop in 11, once before."""
    later = [grouped("V1", 13), grouped("V2", 13), *(grouped(f"V{at}", 12) for at in (3, 4, 5))]
    plan = plan_two_pass(volumes(9, 1, 1, 3, 1, 2), CHUTES, later)
    assert plan.second == {"V1": 12, "V2": 13, "V3": 11, "V4": 12, "V5": 13}
    ahead = [grouped("V1", 12), grouped("V2", 12), grouped("V3", 13, 11), grouped("V4", 13), grouped("V5", 13)]
    plan = plan_two_pass(volumes(9, 1, 1, 8, 1, 1), CHUTES, ahead)
    assert plan.second == {"V1": 12, "V2": 13, "V3": 11, "V4": 12, "V5": 13}


def test_what_pins_put_together_is_in_the_bounds() -> None:
    asked = volumes(50, 9, 8, 7, 1, 1)
    together = lower_bounds(asked, CHUTES, [grouped(f"V{at}", 12) for at in (1, 2, 3)])
    assert (together.busiest_hour, together.largest_group) == (50, 24)
    asked = volumes(20, 9, 8, 7, 1, 1)
    assert lower_bounds(asked, CHUTES, [grouped(f"V{at}", 12) for at in (1, 2, 3)]).busiest_hour == 24
    assert lower_bounds(asked, CHUTES, [grouped(f"V{at}", second=12) for at in (1, 2)]).busiest_second == 17


def test_a_direct_station_without_parcels_might_leave_its_chute_to_a_group() -> None:
    asked, pins = volumes(6, 6, 0, 0, 0), [grouped("V0"), grouped("V1")]
    assert best_of_all(asked, CHUTES, pins) == (12, 6, 6)
    assert lower_bounds(asked, CHUTES, pins)[:3] == (12, 6, 6)


# ---- the search -------------------------------------------------------------


def groups_of(
    items: Sequence[Sequence[int]],
    groups: int,
    room: int,
    *,
    group: Sequence[int] = (),
    fixed: Sequence[bool] = (),
    column: Sequence[int] = (),
) -> Groups:
    count = len(items)
    return Groups(
        np.array(items, np.int64),
        group=np.array(group or [-1] * count, np.int64),
        fixed=np.array(fixed or [False] * count, np.bool_),
        column=np.array(column or [0] * count, np.int64),
        groups=groups,
        room=room,
    )


def test_the_longest_are_placed_first() -> None:
    groups = groups_of([[1], [1], [2]], groups=2, room=3)
    groups.fill_longest_first()
    assert groups.group.tolist() == [1, 1, 0]


def test_exchanges_find_what_longest_first_misses() -> None:
    groups = groups_of([[3], [3], [2], [2], [2]], groups=2, room=3)
    groups.fill_longest_first()
    assert sorted(groups.load[:, 0]) == [5, 7]
    groups.balance()
    assert groups.load[:, 0].tolist() == [6, 6]


def test_the_busiest_hour_is_lowered_though_the_groups_are_equally_large() -> None:
    groups = groups_of([[9, 0], [9, 0], [0, 9], [0, 9]], groups=2, room=2, group=[0, 0, 1, 1])
    groups.balance()
    assert groups.load.tolist() == [[9, 9], [9, 9]]


def test_the_largest_group_gets_smaller_without_a_busier_hour() -> None:
    groups = groups_of([[8, 0, 0], [0, 5, 0], [0, 0, 5], [0, 1, 0]], groups=2, room=4, group=[0, 0, 0, 1])
    groups.balance()
    assert sorted(groups.load.sum(axis=1)) == [9, 10]
    groups = groups_of([[8, 0], [8, 0], [0, 1]], groups=2, room=3, group=[0, 1, 1])
    groups.balance()
    assert groups.load.max() == 8


def test_stations_of_one_column_may_change_places() -> None:
    fixed = [False, False, True, False]
    groups = groups_of([[5], [1], [4], [0]], 2, 2, group=[0, 1, 0, 1], fixed=fixed, column=[1, 1, 0, 0])
    groups.balance()
    assert groups.group.tolist() == [1, 0, 0, 1]


@settings(deadline=None)
@given(st.data())
def test_exchanges_hold_what_is_fixed_and_never_make_it_worse(data: st.DataObject) -> None:
    """A column of two stations has them in different groups, as the start has them."""
    count, rooms, hours = data.draw(st.integers(1, 9)), 3, 2
    items = data.draw(
        st.lists(st.lists(st.integers(0, 9), min_size=hours, max_size=hours), min_size=count, max_size=count)
    )
    start = [at % rooms for at in range(count)]
    fixed = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    column = [at // rooms % 2 * (1 + at // rooms) for at in range(count)]
    groups = groups_of(items, rooms, 4, group=start, fixed=fixed, column=column)
    before = int(groups.load.max())
    groups.balance()
    after = groups.group.tolist()
    assert groups.load.tolist() == [
        np.array([items[at] for at in range(count) if after[at] == group] or [[0] * hours]).sum(axis=0).tolist()
        for group in range(rooms)
    ]
    assert int(groups.load.max()) <= before
    assert max(after.count(group) for group in range(rooms)) <= 4
    assert [at for at in range(count) if fixed[at] and after[at] != start[at]] == []
    taken = [(after[at], column[at]) for at in range(count) if column[at]]
    assert len(set(taken)) == len(taken)


def test_a_group_with_room_takes_a_station_without_giving_one() -> None:
    groups = groups_of([[4], [1], [1], [1], [1]], groups=2, room=4)
    groups.fill_in_turn()
    assert groups.load[:, 0].tolist() == [6, 2]
    groups.balance()
    assert groups.load[:, 0].tolist() == [4, 4]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), unique=True, max_size=5), max_size=5))
def test_seats_are_found_whenever_there_are_any(wishes: list[list[int]]) -> None:
    seats = seat(wishes)
    ways = [way for way in itertools.product(*wishes) if len(set(way)) == len(way)]
    assert (tuple(seats) in ways) if seats is not None else not ways


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.data())
def test_the_most_even_places_in_order(load_: list[int], data: st.DataObject) -> None:
    items = data.draw(st.lists(st.integers(0, 9), max_size=len(load_)))

    def unevenness(places: Sequence[int]) -> int:
        after = np.array(load_)
        after[list(places)] += np.array(items, np.int64)
        return int((after**2).sum())

    places = in_order(items, np.array(load_, np.int64))
    ways = list(itertools.combinations(range(len(load_)), len(items)))
    assert tuple(places) in ways
    assert unevenness(places) == min(map(unevenness, ways))


# ---- what staff ask wrongly -------------------------------------------------


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ([Pin("V9", direct=True)], [NO_SUCH_STATION]),
        ([Pin("V1", direct=True, first=99)], [NO_SUCH_CHUTE]),
        ([Pin("V1", direct=False, second=99)], [NO_SUCH_CHUTE]),
        ([Pin("V1", direct=True), Pin("V1", direct=True)], [PINNED_TWICE]),
        ([Pin("V1", direct=True, second=11)], [DIRECT_AGAIN]),
        ([Pin("V1", direct=True, first=11), Pin("V2", direct=True, first=11)], [NOT_ITS_OWN]),
        ([Pin("V1", direct=False, first=11), Pin("V2", direct=True, first=11)], [NOT_ITS_OWN]),
        ([Pin("V1", direct=False, first=11, second=12), Pin("V2", False, 11, 12)], [SAME_SECOND]),
        ([Pin(f"V{at}", direct=False, first=11) for at in range(4)], [GROUP_TOO_LARGE]),
        ([Pin("V1", direct=True), Pin("V2", direct=True)], [PINS_TOO_TIGHT]),
        ([Pin(f"V{at}", direct=False, second=11) for at in range(4)], [PINS_TOO_TIGHT]),
        (
            [Pin("V9", direct=True, first=99), Pin("V1", True, 0, 11)],
            [
                NO_SUCH_STATION,
                NO_SUCH_CHUTE,
                DIRECT_AGAIN,
            ],
        ),
    ],
)
def test_pins_that_cannot_hold_are_told_all_at_once(pins: list[Pin], expected: list[Sentence]) -> None:
    assert faults_of(volumes(6, 5, 4, 3, 2, 1), CHUTES, pins) == expected


@pytest.mark.parametrize(
    ("chutes", "expected"),
    [((), [NO_CHUTES]), ((11, 12), [TOO_MANY]), ((11, 12, 13, 11), [CHUTE_TWICE])],
)
def test_chutes_that_cannot_do_are_told(chutes: tuple[int, ...], expected: list[Sentence]) -> None:
    assert faults_of(volumes(6, 5, 4, 3, 2, 1), chutes, []) == expected


def faults_of(asked: Volumes, chutes: Sequence[int], pins: list[Pin]) -> list[Sentence]:
    """The sentences; each is whole in both languages, and each way to ask says the same."""
    told = []
    for ask in (plan_two_pass, baseline, lower_bounds):
        with pytest.raises(NoTwoPass) as caught:
            ask(asked, chutes, pins)
        assert caught.value.said.told("zh").count("\n") == len(caught.value.faults) - 1
        assert str(caught.value) == "\n".join(fault.told("en") for fault in caught.value.faults)
        told.append([fault.sentence for fault in caught.value.faults])
    assert told[0] == told[1] == told[2]
    return told[0]


# ---- from and to the tables -------------------------------------------------


def test_free_chutes_are_no_exceptions_and_those_asked_for(tmp_path: Path) -> None:
    checked = rulebook.check_folder(write(tmp_path), LINES, OFFSET_NS)
    assert free_chutes(checked, "L1") == (101, 102, 103)
    assert free_chutes(checked, "L1", [103, 101]) == (101, 103)
    bare = checked._replace(chutes=tuple(row for row in checked.chutes if row.chute == 104))
    for site, line, only, expected in (
        (checked, "L3", [], [NO_SUCH_LINE]),
        (checked, "L1", [101, 201], [NOT_ON_LINE]),
        (checked, "L1", [104], [EXCEPTION_CHUTE]),
        (bare, "L1", [], [NO_CHUTES]),
    ):
        with pytest.raises(NoTwoPass) as caught:
            free_chutes(site, line, only)
        assert [fault.sentence for fault in caught.value.faults] == expected


def test_own_chutes_serve_no_lane_of_others(tmp_path: Path) -> None:
    """Of the villages' lanes BUS and TRUCK, and of PLANE where a rule names one of them."""
    checked = rulebook.check_folder(write(tmp_path), LINES, OFFSET_NS)
    villages = stations_of(checked, "village")
    assert villages == ["V001", "V002"]
    assert own_chutes(checked, "L1", villages) == (101, 102, 103), "rule 30 sends what is for 大昌镇 to PLANE"
    rules = {rule.row: rule for rule in checked.rules}
    for unnamed in (rules[30]._replace(township=ANY_WORD), rules[30]._replace(township=Words(True, ("双龙镇",)))):
        site = checked._replace(rules=(rules[10], unnamed))
        assert own_chutes(site, "L1", villages) == (101, 102)
    assert own_chutes(checked._replace(rules=()), "L2", ["O01"]) == (202,)
    idle = checked._replace(chutes=(*checked.chutes, checked.chutes[0]._replace(chute=105, lanes=())))
    assert own_chutes(idle._replace(rules=()), "L1", ["O01"]) == (105, 103)
    with pytest.raises(NoTwoPass) as caught:
        own_chutes(checked._replace(rules=()), "L1", [])
    assert [fault.sentence for fault in caught.value.faults] == [NO_CHUTES]


def test_a_kind_without_station_is_told(tmp_path: Path) -> None:
    checked = rulebook.check_folder(write(tmp_path), LINES, OFFSET_NS)
    with pytest.raises(NoTwoPass) as caught:
        stations_of(checked, "township")
    assert [fault.sentence for fault in caught.value.faults] == [NO_STATION]


def test_rules_that_reject_stay_above_the_first_that_sorts_one_of_the_stations(tmp_path: Path) -> None:
    tables_ = copy_of_small()
    any_row = tables_["rules"][1][1:10]
    tables_["rules"] += [["50", *any_row[:5], ">9000", *any_row[6:], "reject:overweight", ""]]
    tables_["rules"] += [["60", *[""] * 9, "reject:no_rule", ""]]
    checked = rulebook.check_folder(write(tmp_path, tables_), LINES, OFFSET_NS)
    assert rejecting(checked, ["V001", "V002"]) == ([10], [50, 60])
    only_others = checked._replace(rules=tuple(rule for rule in checked.rules if rule.row != 40))
    assert rejecting(only_others, ["O01"]) == ([10, 50, 60], [])


def test_the_tables_of_a_pass_are_no_source(tmp_path: Path) -> None:
    sheets = sheets_of(tmp_path)
    first = tables(sheets, SMALL_PLAN, 1, [10])
    for number in PASSES:
        with pytest.raises(NoTwoPass) as caught:
            tables(first, SMALL_PLAN, number, [10])
        assert [fault.sentence for fault in caught.value.faults] == [MADE_ALREADY]


def test_volumes_count_what_was_recorded_for_these_stations() -> None:
    counted = count_volumes(["V1", "V0"], [("V0", 7), ("V1", 23), ("V0", 7), ("X", 7)])
    assert counted.stations == ("V1", "V0")
    assert {(at, hour): n for (at, hour), n in np.ndenumerate(counted.items) if n} == {(0, 23): 1, (1, 7): 2}


def read_parcel(station: str = "V001", line: str = "L1", *, cancelled: bool = False) -> RecordedParcel:
    """A parcel of 800 g, read at local midnight."""
    advice = RecordedAdvice("YTO", station, "standard", "inbound", cancelled=cancelled)
    return RecordedParcel(MIDNIGHT_NS, line, ("YT0000000000001",), 800, 300, advice, intercepted=False)


def places_counted(folder: Path, tables_: Mapping[str, Table], *parcels: RecordedParcel) -> list[tuple[str, int]]:
    return list(places_of(load(write(folder, tables_)), of_parcels(parcels), "L1"))


def test_a_parcel_counts_for_its_station_and_hour_wherever_the_tables_send_it(tmp_path: Path) -> None:
    late = read_parcel()._replace(t_ns=MIDNIGHT_NS + 24 * HOUR_NS - 1)
    flow_out = RecordedAdvice("YTO", "V002", "fresh", "outbound", cancelled=False)
    by_rule = read_parcel()._replace(advice=flow_out, t_ns=MIDNIGHT_NS + 22 * HOUR_NS)
    found = places_counted(tmp_path, SMALL, read_parcel(), late, by_rule)
    assert found == [("V001", 0), ("V001", 23), ("V002", 22)]


def test_a_parcel_counts_though_there_may_be_no_chute_for_it(tmp_path: Path) -> None:
    """Without a lane, with a lane that has no chute on the line, and by a rule whose chute is on another line."""
    no_lane = places_counted(tmp_path, changed("stations", 2, "lane", ""), read_parcel())
    no_chute = places_counted(tmp_path, changed("chutes", 4, "lane", "TRUCK"), read_parcel("O01"))
    elsewhere = places_counted(tmp_path, changed("rules", 5, "send_to", "201"), read_parcel()._replace(length_mm=1300))
    assert [no_lane, no_chute, elsewhere] == [[("V001", 0)], [("O01", 0)], [("V001", 0)]]


@pytest.mark.parametrize(
    "parcel",
    [
        read_parcel(line="L2"),
        read_parcel("V999"),
        read_parcel(cancelled=True),
        read_parcel()._replace(intercepted=True),
        read_parcel()._replace(codes=()),
        read_parcel()._replace(codes=("4006381333931",)),
        read_parcel()._replace(weight_g=30_001),
        read_parcel()._replace(advice=None),
    ],
)
def test_a_parcel_that_is_meant_for_no_place_on_the_line_does_not_count(parcel: RecordedParcel, tmp_path: Path) -> None:
    assert places_counted(tmp_path, SMALL, parcel) == []


def test_a_parcel_that_a_rule_rejects_for_want_of_a_rule_does_not_count(tmp_path: Path) -> None:
    rejects = copy_of_small()
    rejects["rules"] += [["50", *[""] * 9, "reject:no_rule", ""]]
    assert places_counted(tmp_path, rejects, read_parcel()) == []


def test_days_are_the_sites_own() -> None:
    def days(*t_ns: int) -> int:
        return local_days(of_parcels([read_parcel()._replace(t_ns=at) for at in t_ns]), OFFSET_NS)

    assert days(MIDNIGHT_NS, MIDNIGHT_NS + 24 * HOUR_NS - 1) == 1
    assert days(MIDNIGHT_NS - 1, MIDNIGHT_NS) == 2
    assert days(MIDNIGHT_NS, MIDNIGHT_NS + 48 * HOUR_NS, MIDNIGHT_NS) == 2


PASSES: Final[tuple[Literal[1], Literal[2]]] = (1, 2)
SMALL_PLAN = plan_two_pass(Volumes(("V001", "V002", "C01"), volumes(9, 3, 2).items), (101, 102))


def without_buses() -> dict[str, Table]:
    """The small site, line L2 without a chute for BUS and TRUCK: those of L1 are all they have."""
    return changed("chutes", 6, "lane", "PLANE")


def sheets_of(folder: Path, site: Mapping[str, Table] = SMALL) -> dict[str, Sheet]:
    sheets, errors = read_folder(write(folder, site))
    assert not errors
    return sheets


def as_saved(sheets: Mapping[str, Sheet]) -> dict[str, Table]:
    """Sheets as rows of cells, the header first."""
    return {
        table: [
            [*TABLES[table], NOTE],
            *([row.texts[column] for column in (*TABLES[table], NOTE)] for row in sheet.rows),
        ]
        for table, sheet in sheets.items()
    }


def places(plan: SortPlan, station: str) -> set[int]:
    """The chutes of a station's lane, on all lines."""
    names = plan.names
    lane = int(plan.plan.station_lane[names.stations.index(station)])
    if lane == NONE_16:
        return set()
    ranges = [slice(*plan.plan.chute_at[line * len(names.lanes) + lane :][:2]) for line in range(len(names.lines))]
    return {names.chutes[chute] for each in ranges for chute in plan.plan.lane_chutes[each]}


def test_the_tables_of_both_passes_load_and_send_each_station_to_its_place(tmp_path: Path) -> None:
    assert (SMALL_PLAN.direct, SMALL_PLAN.groups) == ({"V001": 101}, {102: ("V002", "C01")})
    sheets = sheets_of(tmp_path)
    plans = []
    for number in PASSES:
        write(tmp_path, as_saved(tables(sheets, SMALL_PLAN, number, [10])))
        plans.append(load(tmp_path))
    first, second = plans
    assert [places(first, name) for name in ("V001", "V002", "C01", "O01")] == [{101}, {102}, {102}, {103, 202}]
    assert [places(second, name) for name in ("V001", "V002", "C01", "O01")] == [set(), {101}, {102}, {103, 202}]
    assert first.names.lane_titles[first.names.lanes.index("P1-101")] == "一次分拣 龙雾村"
    assert [plan.plan.table.row.tolist() for plan in plans] == [[10], [10]]
    assert {"BUS", "TRUCK"} < set(first.names.lanes), "their chute 201 still serves them"


def test_a_lane_without_chute_goes_with_its_trips(tmp_path: Path) -> None:
    made = tables(sheets_of(tmp_path, without_buses()), SMALL_PLAN, 1, [10], language="en")
    write(tmp_path, as_saved(made))
    plan = load(tmp_path)
    assert places(plan, "V001") == {101}
    assert plan.names.lanes == ("PLANE", "OUT", "P1-101", "P1-G102")
    assert plan.names.lane_titles[2:] == ("pass 1 龙雾村", "pass 1 group 102 (2 stations)")
    assert made["trips"].rows == []
    assert [row.at for row in made["lanes"].rows] == [2, 3, 4, 5]


def test_what_hung_on_a_lane_that_is_gone_is_blank(tmp_path: Path) -> None:
    tables_ = without_buses()
    tables_["lanes"][3][3] = "TRUCK"
    sheets = sheets_of(tmp_path, tables_)
    plan = plan_two_pass(Volumes(("V001", "V002"), volumes(9, 3).items), (101, 102))
    made = load(write(tmp_path, as_saved(tables(sheets, plan, 1, [10]))))
    assert made.plan.lane_spill.tolist() == [NONE_16] * 4
    assert [places(made, name) for name in ("V001", "V002", "C01", "O01")] == [{101}, {102}, set(), {103, 201, 202}]


def test_an_exception_chute_takes_no_station(tmp_path: Path) -> None:
    sheets = sheets_of(tmp_path)
    with pytest.raises(NoTwoPass) as caught:
        tables(sheets, plan_two_pass(volumes(1, 2), (103, 104, 203)), 1, [10])
    assert [fault.facts["chute"] for fault in caught.value.faults] == [104, 203]


def test_the_summary_says_each_figure_beside_its_bound_and_the_simple_way() -> None:
    asked, pins = volumes(1, 9, 2, 3, 4, 8), [Pin("V5", direct=False, second=13)]
    plan = plan_two_pass(asked, CHUTES, pins)
    told = summary(asked, CHUTES, pins, plan)
    assert told.ours == told.bounds._replace(busiest_second=told.ours.busiest_second) == figures(plan, asked)
    assert told.baseline == figures(baseline(asked, CHUTES, pins), asked)
    english, chinese = ([line.told(language) for line in told.lines] for language in ("en", "zh"))
    assert english[1] == "handled twice: 18 of 27 parcels, 66.7% (no two-pass plan is below 18; by table order 26)"
    assert chinese[1] == "分两次的包裹：18 件，占 27 件的 66.7%（任何两次分拣方案不少于 18；按表顺序排 26）"
    assert english[2] == (
        "busiest in pass one: chute 11 from 7:00, 9 parcels "
        "(no plan with as few handled twice is below 9; by table order 20)"
    )
    loads = first_loads(plan, asked)
    assert [f"{loads[chute].sum()} parcels" in line for chute, line in zip(CHUTES, english[5:], strict=True)] == [
        True
    ] * 3
