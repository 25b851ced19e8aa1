"""The compiled arrays against plain loops over the checked rows; indices and versions across plans."""

import hashlib
import random
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sorter import limits, records, rulebook
from sorter.reasons import REJECTIONS, Reason
from sorter.records import NONE_8, NONE_16, Flow, Plan, SortPlan, Table, Target
from sorter.rulebook import Checked, Rejected, compile_plan, waybill
from sorter.rulebook.cells import ALL_DAYS, Spans
from sorter.rulebook.rows import Rule
from tests.rulebook import small_site
from tests.rulebook.small_site import LINES, OFFSET_NS, changed, copy_of_small, write


@pytest.fixture(name="folder")
def small_folder(tmp_path: Path) -> Path:
    return write(tmp_path)


@pytest.fixture(name="sort_plan")
def small_plan(folder: Path) -> SortPlan:
    return small_site.load(folder)


def first_hit(plan: Plan, item: tuple[int, int, int, int, int, int, int, int]) -> int:
    """The first row whose bit is set in one vector of every dimension; -1: none. Indices in, index out."""
    station, carrier, service, flow, weight_g, length_mm, weekday, minute = item
    table = plan.table
    vector = table.station[station] & table.kind[(carrier * plan.services + service) * 2 + flow]
    vector = vector & table.weight[interval(table.weight_edges, weight_g)]
    vector = vector & table.length[interval(table.length_edges, length_mm)]
    stride = len(table.minute_edges) + 1
    vector = vector & table.minute[weekday * stride + int(np.searchsorted(table.minute_edges, minute, "right"))]
    for word, bits in enumerate(vector.tolist()):
        if bits:
            return 64 * word + int(bits & -bits).bit_length() - 1
    return -1


def interval(edges: records.Ints32, value: int) -> int:
    return int(np.searchsorted(edges, value, "right")) if value else len(edges) + 1


def plain_hit(checked: Checked, names: records.Names, item: tuple[int, int, int, int, int, int, int, int]) -> int:
    station, carrier, service, flow, weight_g, length_mm, weekday, minute = item
    towns = {row.station: row.township for row in checked.stations}
    for at, rule in enumerate(checked.rules):
        if (
            rule.carrier.has(names.carriers[carrier])
            and rule.station.has(names.stations[station])
            and rule.township.has(towns[names.stations[station]])
            and rule.service.has(names.services[service])
            and rule.flow.has(Flow(flow).name.lower())
            and within(rule.weight_g, weight_g)
            and within(rule.length_mm, length_mm)
            and is_time(rule, weekday, minute)
        ):
            return at
    return -1


def within(spans: Spans, value: int) -> bool:
    return not spans or (value > 0 and any(low <= value <= high for low, high in spans))


def is_time(rule: Rule, weekday: int, minute: int) -> bool:
    spans = rule.time or ((0, 1440),)
    today = weekday in rule.days and any(start <= minute < end for start, end in spans)
    late = (weekday - 1) % 7 in rule.days and any(start <= minute + 1440 < end for start, end in spans)
    return today or late


PLACES = (
    ("", ""),
    ("", "双龙镇"),
    ("", "!双龙镇"),
    ("V001", ""),
    ("V0*", "!双龙镇"),
    ("!C01|O01", "双龙镇"),
    ("V002|C01", ""),
)
TARGETS = ("BUS", "TRUCK", "PLANE", "101", "202", "reject:overweight", "reject:no_rule")


def random_rules(rng: random.Random, count: int) -> list[list[str]]:
    def some(*choices: str) -> str:
        return rng.choice(("", *choices))

    spans = [f"{low}..{low + rng.randrange(2000)}" for low in (rng.randrange(3000) for _ in range(6))]
    clock = [f"{rng.randrange(24):02d}:{rng.randrange(30):02d}..{rng.randrange(24):02d}:30" for _ in range(6)]
    return [
        [
            str(number * 3),
            some("SF", "!SF", "YTO", "SF|YTO"),
            *rng.choice(PLACES),
            some("express", "!express", "cold|fresh", "c*"),
            some("inbound", "出港"),
            some(*spans, ">2500", "<=800", "500|900..1000"),
            some(*spans, ">=1200"),
            some(*clock, "22:00..02:00", "06:00..07:00|12:00..13:00"),
            some("1-5", "sat|sun", "!3", "sun"),
            rng.choice(TARGETS),
            "",
        ]
        for number in range(1, count + 1)
    ]


def some_items(
    sort_plan: SortPlan, rng: random.Random, count: int
) -> Iterator[tuple[int, int, int, int, int, int, int, int]]:
    names, table = sort_plan.names, sort_plan.plan.table

    def near(edges: records.Ints32, most: int) -> int:
        return rng.choice([0, 1, most, *(int(edge) + step for edge in edges for step in (-1, 0))]) % (most + 1)

    for _ in range(count):
        yield (
            rng.randrange(len(names.stations)),
            rng.randrange(len(names.carriers)),
            rng.randrange(len(names.services)),
            rng.randrange(2),
            near(table.weight_edges, limits.WEIGHT_MAX_G),
            near(table.length_edges, limits.SIZE_MAX_MM),
            rng.randrange(7),
            near(table.minute_edges, 1439),
        )


@given(st.integers(0, 10**6), st.sampled_from([1, 5, 63, 64, 65, 130]))
@settings(max_examples=25, deadline=None)
def test_first_hit_against_a_plain_loop(tmp_path_factory: pytest.TempPathFactory, seed: int, count: int) -> None:
    rng = random.Random(seed)
    tables = copy_of_small()
    tables["rules"][1:] = random_rules(rng, count)
    folder = write(tmp_path_factory.mktemp("site"), tables)
    checked = rulebook.check_folder(folder, LINES, OFFSET_NS)
    sort_plan = compile_plan(checked, None)
    hits = set()
    for item in some_items(sort_plan, rng, 150):
        hit = first_hit(sort_plan.plan, item)
        assert hit == plain_hit(checked, sort_plan.names, item), item
        hits.add(hit)
    assert hits


def test_the_small_table(sort_plan: SortPlan) -> None:
    table, names = sort_plan.plan.table, sort_plan.names
    assert table.row.tolist() == [10, 20, 30, 40]
    assert table.target_kind.tolist() == [Target.REJECT, Target.LANE, Target.LANE, Target.CHUTE]
    assert table.target.tolist() == [
        Reason.OVERWEIGHT,
        names.lanes.index("BUS"),
        names.lanes.index("PLANE"),
        names.chutes.index(102),
    ]
    v001, sf, express = names.stations.index("V001"), names.carriers.index("SF"), names.services.index("express")
    monday_0800 = (v001, sf, express, Flow.INBOUND, 3000, 0, 0, 480)
    assert first_hit(sort_plan.plan, monday_0800) == 1
    assert first_hit(sort_plan.plan, (*monday_0800[:7], 479)) == -1, "not yet 08:00"
    assert first_hit(sort_plan.plan, (*monday_0800[:7], 750)) == -1, "12:30 itself is out"
    assert first_hit(sort_plan.plan, (*monday_0800[:6], 5, 480)) == -1, "Saturday"
    assert first_hit(sort_plan.plan, (*monday_0800[:4], 0, 0, 0, 480)) == -1, "not weighed fits no range"
    assert first_hit(sort_plan.plan, (*monday_0800[:4], 30_001, 0, 0, 480)) == 0
    assert first_hit(sort_plan.plan, (*monday_0800[:4], 3001, 1201, 6, 0)) == 3


def test_no_rule_at_all_is_a_table_that_never_hits(tmp_path: Path) -> None:
    tables = copy_of_small()
    del tables["rules"][1:]
    sort_plan = small_site.load(write(tmp_path, tables))
    assert first_hit(sort_plan.plan, (0, 0, 0, 0, 1, 1, 0, 0)) == -1
    assert sort_plan.plan.table.station.shape == (4, 1)


def test_names(sort_plan: SortPlan) -> None:
    names = sort_plan.names
    assert names.carriers == ("SF", "YTO")
    assert names.carrier_titles == ("顺丰", "圆通")
    assert names.stations == ("V001", "V002", "C01", "O01")
    assert names.townships == ("-", "双龙镇", "大昌镇")
    assert names.station_townships == (1, 2, 0, 0)
    assert names.services == ("standard", "express", "fresh")
    assert names.lines == ("L1", "L2")
    assert names.chutes == (101, 102, 103, 104, 201, 202, 203)
    assert names.lane_kinds == ("bus", "freight", "air", "exception")


def test_lanes_chutes_and_exceptions(sort_plan: SortPlan) -> None:
    plan, names = sort_plan.plan, sort_plan.names
    bus, truck, plane, out = range(4)

    def chutes_of(line: int, lane: int) -> list[int]:
        at = line * len(names.lanes) + lane
        return [names.chutes[chute] for chute in plan.lane_chutes[plan.chute_at[at] : plan.chute_at[at + 1]]]

    assert (chutes_of(0, bus), chutes_of(0, truck), chutes_of(1, truck)) == ([101], [101, 102], [201])
    assert (chutes_of(0, out), chutes_of(1, plane)) == ([104], [202])
    assert plan.chute_at[-1] == len(plan.lane_chutes)
    assert plan.station_lane.tolist() == [bus, truck, truck, plane]
    assert plan.lane_spill.tolist() == [truck, NONE_16, NONE_16, NONE_16]
    assert plan.chute_line.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert plan.chute_lane.tolist() == [bus, truck, plane, out, truck, plane, out], "the first lane of the cell"
    assert plan.chute_capacity.tolist() == [100, 0, 60, 60, 100, 60, 60]
    for reason in Reason:
        want = [3, 6] if reason in REJECTIONS else [NONE_16, NONE_16]
        assert plan.exception_chute[:, reason].tolist() == want
    assert [tuple(line) for line in plan.lines.tolist()] == [tuple(line) for line in LINES.values()]


def test_chutes_of_a_lane_stand_by_position_not_by_number(tmp_path: Path) -> None:
    sort_plan = small_site.load(write(tmp_path, changed("chutes", 2, "position", "39.5")))
    plan, truck = sort_plan.plan, sort_plan.names.lanes.index("TRUCK")
    chutes = plan.lane_chutes[plan.chute_at[truck] : plan.chute_at[truck + 1]]
    assert [sort_plan.names.chutes[chute] for chute in chutes] == [102, 101]


def test_trips_wrap_the_week(sort_plan: SortPlan) -> None:
    plan = sort_plan.plan
    bus = plan.trips[plan.trip_at[0] : plan.trip_at[1]]
    truck = plan.trips[plan.trip_at[1] : plan.trip_at[2]]
    days = [day * 1440 for day in range(7)]
    weekday = [day + minute for day in days[:5] for minute in (465, 855)]
    assert bus["cutoff_min"].tolist() == sorted([*weekday, days[5] + 525, days[6] + 525])
    assert truck["cutoff_min"].tolist() == [(day + 1440 - 20) % 10_080 for day in days[:6]] + [10_080 - 20]
    assert set(truck["lead_min"].tolist()) == {30}
    assert set(truck["capacity"].tolist()) == {0}
    assert plan.trip_at.tolist() == [0, 12, 19, 19, 19]


def test_sort_codes_are_sorted_and_hold_for_every_carrier_of_the_cell(sort_plan: SortPlan) -> None:
    codes, names = sort_plan.plan.sort_codes, sort_plan.names
    keys = list(zip(codes.key_hi.tolist(), codes.key_lo.tolist(), codes.carrier.tolist(), strict=True))
    assert keys == sorted(keys)
    found = {(records.waybill_text(hi, lo), names.carriers[carrier]) for hi, lo, carrier in keys}
    assert found == {("531-A03-12", "YTO"), ("531-A03", "YTO"), ("900", "SF"), ("900", "YTO")}


def test_waybills(sort_plan: SortPlan) -> None:
    waybills = sort_plan.plan.waybills
    automaton = waybill.Automaton(*waybills[:3])
    assert waybill.fits(automaton, "SF123456789012") == 0b001
    assert waybill.fits(automaton, "123456789012") == 0b010
    assert waybill.fits(automaton, "yt1234567890123") == 0b100
    assert waybills.patterns["carrier"].tolist() == [0, 0, 1]
    new_year = 1_767_225_600 * 10**9 - OFFSET_NS
    assert waybills.patterns["valid_from_ns"].tolist() == [0, new_year, 0]


def test_a_plan_survives_its_bytes(sort_plan: SortPlan) -> None:
    again = records.plan_from_bytes(records.plan_to_bytes(sort_plan))
    assert again.version == sort_plan.version
    assert again.names == sort_plan.names
    assert_equal(again.plan, sort_plan.plan)


def test_a_plan_without_rows_survives_its_bytes(sort_plan: SortPlan) -> None:
    """Arrays of no entries, of several dimensions, of records."""
    table, codes = sort_plan.plan.table, sort_plan.plan.sort_codes
    bare = table._replace(**{name: array[..., :0] for name, array in table._asdict().items()})
    plan = sort_plan.plan._replace(
        table=bare, sort_codes=codes._replace(key_hi=codes.key_hi[:0]), trips=sort_plan.plan.trips[:0]
    )
    assert_equal(records.plan_from_bytes(records.plan_to_bytes(sort_plan._replace(plan=plan))).plan, plan)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_plan_is_unpacked_as_its_bytes_come(sort_plan: SortPlan, size: int) -> None:
    data = records.plan_to_bytes(sort_plan)
    unpacking = records.Unpacking()
    for at in range(0, len(data), size):
        with pytest.raises(ValueError, match="cut short"):
            unpacking.plan()
        unpacking.add(data[at : at + size])
    assert_equal(unpacking.plan().plan, sort_plan.plan)


def test_bytes_that_are_no_plan_are_refused_in_words(sort_plan: SortPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    data = records.plan_to_bytes(sort_plan)
    plain = zlib.decompress(data)
    for broken in (
        b"",
        b"PK\x03\x04",
        data[:-1],
        zlib.compress(b""),
        zlib.compress(plain[:-9]),
        zlib.compress(b"\xff\xff\xff\xff" + plain[4:]),
        zlib.compress(plain.replace(b'"<u8"', b'"|O8"', 1)),
        zlib.compress(plain.replace(b'"<u2"', b'"<u9"', 1)),
        zlib.compress(plain.replace(b'"plan.services"', b'"plan.serviceX"', 1)),
    ):
        with pytest.raises(ValueError, match="not a compiled sort plan"):
            records.plan_from_bytes(broken)
    monkeypatch.setattr(limits, "PLAN_UNPACKED_MAX", len(plain) - 1)
    with pytest.raises(ValueError, match="over 0 MB"):
        records.plan_from_bytes(data)


def assert_equal(left: object, right: object) -> None:
    if isinstance(left, tuple):
        assert isinstance(right, tuple)
        for one, other in zip(left, right, strict=True):
            assert_equal(one, other)
    else:
        assert np.array_equal(np.asarray(left), np.asarray(right))
        assert np.asarray(left).dtype == np.asarray(right).dtype


def test_arrays_have_the_types_the_core_is_compiled_for(sort_plan: SortPlan) -> None:
    plan = sort_plan.plan
    table, codes = plan.table, plan.sort_codes
    columns: list[tuple[str, NDArray[Any]]] = [
        *(("|u1", each) for each in (plan.waybills.classes, codes.carrier, plan.chute_line, table.target_kind)),
        *(("<u2", each) for each in (plan.waybills.next_state, plan.station_lane, plan.lane_spill, codes.station)),
        *(("<u2", each) for each in (table.target, table.row, plan.lane_chutes, plan.chute_lane, plan.exception_chute)),
        *(("<u4", each) for each in (plan.trip_at, plan.chute_at, plan.chute_capacity)),
        *(("<u8", each) for each in (plan.waybills.accepts, table.station, table.kind, table.weight, table.length)),
        *(("<u8", each) for each in (table.minute, codes.key_hi, codes.key_lo)),
        *(("<i4", each) for each in (table.weight_edges, table.length_edges, table.minute_edges)),
    ]
    assert [each.dtype.str for _, each in columns] == [kind for kind, _ in columns]
    assert all(each.flags.c_contiguous for _, each in columns)
    assert (plan.trips.dtype, plan.lines.dtype, plan.waybills.patterns.dtype) == (
        records.TRIP,
        records.LINE,
        records.PATTERN,
    )
    assert len(plan.table.weight) == len(plan.table.weight_edges) + 2
    assert len(plan.table.minute) == 7 * (len(plan.table.minute_edges) + 1)


def test_an_index_keeps_its_meaning(tmp_path: Path, sort_plan: SortPlan) -> None:
    tables = copy_of_small()
    tables["stations"] = [tables["stations"][0], *tables["stations"][:1:-1]]  # V001 gone, the others turned round
    tables["stations"].append(["N01", "新村", "village", "新乡", "TRUCK"])
    del tables["sort_codes"][1]
    tables["chutes"].insert(1, ["99", "L2", "30", "PLANE", ""])
    tables["chutes"] = [row for row in tables["chutes"] if row[0] != "103"]
    tables["lanes"].insert(1, ["VAN", "新线", "local", ""])
    tables["chutes"][2][3] = "TRUCK|VAN"
    tables["rules"][2][2] = ""
    tables["rules"].insert(1, ["5", "", "", "", "cold", "", "", "", "", "", "VAN", ""])
    later = small_site.load(write(tmp_path, tables), sort_plan.names)
    for field in ("carriers", "stations", "townships", "services", "lanes", "lines", "chutes"):
        old, new = getattr(sort_plan.names, field), getattr(later.names, field)
        assert new[: len(old)] == old, field
    names, plan = later.names, later.plan
    assert (names.stations[-1], names.lanes[-1], names.chutes[-1], names.services[-1]) == ("N01", "VAN", 99, "cold")
    gone, gone_chute = names.stations.index("V001"), names.chutes.index(103)
    assert plan.station_lane[gone] == NONE_16
    assert names.station_titles[gone] == "龙雾村"
    assert (plan.chute_line[gone_chute], plan.chute_lane[gone_chute]) == (NONE_8, NONE_16)
    assert gone_chute not in plan.lane_chutes
    assert first_hit(plan, (gone, 0, names.services.index("cold"), 0, 1, 1, 0, 0)) == 0, "a rule for any station holds"


def test_a_line_that_is_gone_keeps_its_index(folder: Path, sort_plan: SortPlan) -> None:
    tables = copy_of_small()
    tables["chutes"] = [row for row in tables["chutes"] if row[1] != "L2"]
    tables["exceptions"] = [row for row in tables["exceptions"] if row[1] != "L2"]
    later = rulebook.load(write(folder, tables), {"L1": LINES["L1"]}, OFFSET_NS, sort_plan.names)
    assert later.names.lines == ("L1", "L2")
    assert later.plan.lines["lap_ns"].tolist() == [LINES["L1"].lap_ns, 0]
    assert (later.plan.exception_chute[1] == NONE_16).all()


def test_names_of_all_plans_together_hold_the_limits(folder: Path, sort_plan: SortPlan) -> None:
    full = sort_plan.names._replace(services=(*sort_plan.names.services, *(f"s{n}" for n in range(13))))
    small_site.load(folder, full)
    tables = changed("rules", 3, "service", "one more")
    with pytest.raises(Rejected, match="17 services, with those of earlier plans"):
        small_site.load(write(folder, tables), full)


def test_the_version_is_of_what_is_said_not_of_how(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = small_site.load(folder)
    assert len(first.version) == hashlib.sha256().digest_size * 2
    tables = copy_of_small()
    for name in set(tables) - {"rules"}:
        tables[name][1:] = reversed(tables[name][1:])  # the order of rows says nothing but among rules
        tables[name].insert(2, ["" for _ in tables[name][0]])
    for table in tables.values():
        for row in table:
            row[0] = f"{row[0]}　 "
    tables["rules"][2][1] = "YTO ｜ SF"  # full width
    tables["rules"][2][6] = "1500..3000|0..1499"
    tables["rules"][2][9] = "mon|tue|wed..fri"
    tables["stations"][0][1:5] = ["名称", "类型", "乡镇", "路向"]
    again = small_site.load(write(tmp_path_factory.mktemp("other"), tables, "utf-16"))
    assert again.version == first.version
    assert again.names.stations != first.names.stations


@pytest.mark.parametrize(
    ("table", "row", "column", "text"),
    [
        ("rules", 3, "weight_g", "0..3001"),
        ("rules", 3, "row", "21"),
        ("rules", 3, "note", "other"),
        ("chutes", 2, "lane", "TRUCK|BUS"),
        ("chutes", 2, "position", "34.1"),
        ("stations", 2, "name", "龙雾"),
        ("trips", 2, "cutoff_min", "16"),
        ("carriers", 2, "valid_from", "2026-01-01"),
    ],
)
def test_the_version_changes_with_what_is_said(folder: Path, table: str, row: int, column: str, text: str) -> None:
    first = small_site.load(folder).version
    assert small_site.load(write(folder, changed(table, row, column, text))).version != first


def test_the_version_is_of_the_lines_too(folder: Path) -> None:
    slower = {**LINES, "L2": LINES["L2"]._replace(lap_ns=1)}
    versions = {rulebook.load(folder, lines, offset).version for lines in (LINES, slower) for offset in (0, OFFSET_NS)}
    assert len(versions) == 4


def test_every_day_is_in_the_minute_vectors(folder: Path) -> None:
    plan = small_site.load(folder).plan
    table: Table = plan.table
    any_time = [
        at
        for at, rule in enumerate(rulebook.check_folder(folder, LINES, OFFSET_NS).rules)
        if rule.days == ALL_DAYS and not rule.time
    ]
    for at in any_time:
        assert (table.minute[:, at // 64] >> np.uint64(at % 64) & np.uint64(1)).all()


def test_the_folder_is_only_read(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    small_site.load(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    shutil.rmtree(folder)
