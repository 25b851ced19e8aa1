"""A change of the tables is told row by row, and moves exactly the parcels that a plain reading of the tables moves."""

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sorter
from plc_adapter.emulator import tables as emulator_tables
from plc_adapter.emulator import traffic
from sorter import rulebook
from sorter.reasons import Reason, Sentence
from sorter.records import Line, RecordedAdvice, RecordedParcel, Target
from sorter.rulebook import Checked, cells, mistakes, tables
from sorter.rulebook.rows import Rule, SendTo
from sorter.rulebook.trial import diff, recorded
from sorter.rulebook.trial.diff import Change, Moves, row_changes, traffic_diff, written
from tests.rulebook import small_site
from tests.rulebook.small_site import LINES, OFFSET_NS, Table, changed, copy_of_small, write

RULES = Path(sorter.__file__).parent.parent / "rules"
LOOP = Line(15 * 10**9, 120 * 10**9, 900 * 10**9, 3)
WUSHAN_LINES = {"L1": LOOP, "L2": LOOP}


def small(folder: Path, table: dict[str, Table] = dict(small_site.SMALL)) -> Checked:  # noqa: B006 # it is only read
    folder.mkdir(exist_ok=True)
    return rulebook.check_folder(write(folder, table), LINES, OFFSET_NS)


def without_places(checked: Checked) -> list[object]:
    return [[row[1:] for row in getattr(checked, table)] for table in diff.KEYS]


# ---- cells ----------------------------------------------------------------------


@pytest.mark.parametrize("site", ["small", "wushan"])
def test_what_is_written_reads_as_it_was(tmp_path: Path, site: str) -> None:
    lines = LINES if site == "small" else WUSHAN_LINES
    folder = write(tmp_path) if site == "small" else RULES
    checked = rulebook.check_folder(folder, lines, OFFSET_NS)
    again = tmp_path / "again"
    again.mkdir()
    header = {table: [*columns, "note"] for table, columns in tables.TABLES.items()}
    texts = {
        table: [header[table], *([written(row)[column] for column in header[table]] for row in getattr(checked, table))]
        for table in diff.KEYS
    }
    assert without_places(rulebook.check_folder(write(again, texts), lines, OFFSET_NS)) == without_places(checked)


numbers = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted), min_size=1, max_size=4)


@given(numbers, st.sampled_from([300, 200]))
def test_spans_are_written_as_they_are_read(pairs: list[list[int]], most: int) -> None:
    spans = cells.spans("|".join(f"{min(low, most)}..{min(high, most)}" for low, high in pairs), most, mistakes.GRAMS)
    assert cells.spans(diff.spans_text(spans, most), most, mistakes.GRAMS) == spans


clocks = st.one_of(st.sampled_from([0, 1, 719, 720, 721, 1438, 1439]), st.integers(0, 1439))


@given(st.lists(st.tuples(clocks, clocks | st.just(1440)), min_size=1, max_size=3))
def test_times_are_written_as_they_are_read(pairs: list[tuple[int, int]]) -> None:
    text = "|".join(f"{diff.clock(start)}..{diff.clock(end)}" for start, end in pairs)
    try:
        spans = cells.times(text)
    except cells.CellError:
        return
    assert cells.times(diff.times_text(spans)) == spans


@given(st.sets(st.integers(0, 6), min_size=1))
def test_days_are_written_as_they_are_read(days: set[int]) -> None:
    assert cells.days(diff.days_text(tuple(sorted(days)))) == tuple(sorted(days))


# ---- row by row --------------------------------------------------------------------


def changes_to(tmp_path: Path, table: dict[str, Table]) -> list[Change]:
    return row_changes(small(tmp_path / "old"), small(tmp_path / "new", table))


@pytest.mark.parametrize(
    ("place", "text", "told"),
    [
        (("rules", 3, "weight_g"), ">500", 'rules: row "20": weight_g from "0..3000" to ">500"'),
        (("rules", 3, "weight_g"), "", 'rules: row "20": weight_g from "0..3000" to ""'),
        (("rules", 5, "send_to"), "reject:oversize", 'rules: row "40": send_to from "102" to "reject:oversize"'),
        (("rules", 4, "time"), "22:00..03:30", 'rules: row "30": time from "22:00..02:00" to "22:00..03:30"'),
        (("rules", 3, "days"), "sat|sun", 'rules: row "20": days from "1..5" to "6|7"'),
        (("rules", 3, "row"), "25", 'rules: row "20": row from "20" to "25"'),
        (("stations", 2, "lane"), "TRUCK", 'stations: station "V001": lane from "BUS" to "TRUCK"'),
        (("chutes", 3, "position"), "37", 'chutes: chute "102": position from "36.5" to "37"'),
        (("chutes", 3, "capacity"), "80", 'chutes: chute "102": capacity from "" to "80"'),
        (("lanes", 2, "spill_to"), "", 'lanes: lane "BUS": spill_to from "TRUCK" to ""'),
        (
            ("carriers", 3, "valid_from"),
            "2026-02-01",
            'carriers: carrier "SF", waybill "\\d{12}": valid_from from "2026-01-01" to "2026-02-01"',
        ),
        (
            ("sort_codes", 2, "station"),
            "V002",
            'sort_codes: carrier "YTO", 一段码 "531", 二段码 "A03", 三段码 "12": station from "V001" to "V002"',
        ),
        (
            ("trips", 2, "cutoff_min"),
            "20",
            'trips: lane "BUS", days "1..5", departs "08:00|14:30": cutoff_min from "15" to "20"',
        ),
    ],
)
def test_one_cell_is_told(tmp_path: Path, place: tuple[str, int, str], text: str, told: str) -> None:
    (change,) = changes_to(tmp_path, changed(*place, text))
    assert change.told("en") == told
    assert change.kind == "changed"
    (cell,) = change.as_json()["cells"].values()
    assert all(f'"{part}"' in told for part in cell)
    assert re.search("由“.*”改为“.*”", change.told("zh"))


def test_a_table_in_another_order_says_nothing(tmp_path: Path) -> None:
    other = copy_of_small()
    for name in set(other) - {"rules"}:
        other[name][1:] = reversed(other[name][1:])
    other["chutes"] = [row[::-1] for row in other["chutes"]]
    assert changes_to(tmp_path, other) == []


def test_rows_that_are_new_or_gone(tmp_path: Path) -> None:
    other = copy_of_small()
    other["rules"][2:3] = [["15", "", "", "", "", "", ">20000", "", "", "", "101", "重"]]
    gone, fresh = changes_to(tmp_path, other)
    assert gone.told("en") == (
        'rules: row "20" is gone; it was carrier "SF|YTO", station "V0*", service "express", flow "inbound", '
        'weight_g "0..3000", time "08:00..12:30", days "1..5", send_to "BUS", note "时效"'
    )
    assert fresh.told("zh") == "rules：新增 序号“15”：重量(克)“>20000”，去向“101”，备注“重”"
    assert fresh.as_json()["key"] == {"row": "15"}
    assert fresh.as_json()["cells"]["send_to"] == ["", "101"]


def test_rules_with_new_numbers_are_the_same_rules(tmp_path: Path) -> None:
    other = copy_of_small()
    for row in other["rules"][1:]:
        row[0] = str(int(row[0]) + 1)
    found = changes_to(tmp_path, other)
    assert [change.cells for change in found] == [(("row", f"{at}0", f"{at}1"),) for at in range(1, 5)]


def test_rules_that_say_the_same_keep_their_order_when_numbered_anew(tmp_path: Path) -> None:
    old, new = copy_of_small(), copy_of_small()
    old["rules"] += [[number, *old["rules"][4][1:]] for number in ("50", "60")]
    new["rules"] += [[number, *old["rules"][4][1:]] for number in ("51", "61")]
    changes = row_changes(small(tmp_path / "a", old), small(tmp_path / "b", new))
    assert [change.cells for change in changes] == [(("row", "50", "51"),), (("row", "60", "61"),)]


def test_an_exception_row_is_taken_apart(tmp_path: Path) -> None:
    other = copy_of_small()
    other["exceptions"] = [
        other["exceptions"][0],
        ["no_read|overweight", "L1", "103"],
        ["!no_read|overweight", "L1", "104"],
        other["exceptions"][2],
    ]
    told = [change.told("en") for change in changes_to(tmp_path, other)]
    assert told == [
        f'exceptions: reason "{reason}", line "L1": chute from "104" to "103"' for reason in ("no_read", "overweight")
    ]


def test_two_trips_of_one_key_are_told_apart(tmp_path: Path) -> None:
    twice, later = copy_of_small(), copy_of_small()
    twice["trips"].append(["TRUCK", "", "00:10", "50", "7"])
    later["trips"].append(["TRUCK", "", "00:10", "50", "9"])
    later["trips"][3][3] = "31"
    changes = row_changes(small(tmp_path / "a", twice), small(tmp_path / "b", later))
    assert [change.cells for change in changes] == [(("cutoff_min", "30", "31"),), (("capacity", "7", "9"),)]


# ---- the twin: where the tables send one parcel -------------------------------------


def station_of_label(checked: Checked, codes: list[str], carriers: list[str]) -> tuple[str, str] | None:
    found = []
    for code in codes:
        rest = code
        while rest:
            hits = [
                (row.station, c)
                for row in checked.sort_codes
                for c in carriers
                if row.key == rest and row.carrier.has(c)
            ]
            if hits:
                found += hits if len(hits) == 1 else []
                break
            rest = rest.rpartition("-")[0]
    return found[-1] if len({station for station, _ in found}) == 1 else None


def fits(rule: Rule, who: dict[str, str], weight_g: int, length_mm: int, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    moments = ((local.weekday(), minute), ((local.weekday() - 1) % 7, minute + 1440))
    return (
        all(getattr(rule, column).has(who[column]) for column in ("carrier", "station", "township", "service", "flow"))
        and (not rule.weight_g or (weight_g > 0 and any(low <= weight_g <= high for low, high in rule.weight_g)))
        and (not rule.length_mm or (length_mm > 0 and any(low <= length_mm <= high for low, high in rule.length_mm)))
        and any(
            day in rule.days and any(start <= at < end for start, end in rule.time or ((0, 1440),))
            for day, at in moments
        )
    )


def aim(checked: Checked, parcel: RecordedParcel) -> SendTo:
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(parcel.t_ns + checked.utc_offset_ns) // 1000)
    read = [code.upper() for code in parcel.codes if code]

    def carriers_of(code: str) -> list[str]:
        valid = [row for row in checked.carriers if row.valid_from <= local.date().isoformat()]
        return [row.carrier for row in valid if re.fullmatch(row.waybill, code)]

    waybills = {code for code in read if carriers_of(code)}
    if len(waybills) != 1:
        return SendTo(Target.REJECT, "multi_code" if waybills else "unknown_code" if read else "no_read")
    if parcel.intercepted or (parcel.advice and parcel.advice.cancelled):
        return SendTo(Target.REJECT, "intercept" if parcel.intercepted else "cancelled")
    advice = parcel.advice
    if advice is None:
        labels = [code for code in read if code not in waybills]
        found = station_of_label(checked, labels, list(dict.fromkeys(carriers_of(*waybills))))
        if found is None:
            return SendTo(Target.REJECT, "no_advice")
        advice = RecordedAdvice(found[1], found[0], "standard", "inbound", cancelled=False)
    station = next(row for row in checked.stations if row.station == advice.station)
    who = {**advice._asdict(), "township": station.township}
    for rule in checked.rules:
        if fits(rule, who, parcel.weight_g, parcel.length_mm, local):
            return rule.send_to
    return SendTo(Target.LANE, station.lane) if station.lane else SendTo(Target.REJECT, "no_rule")


def where(checked: Checked, parcel: RecordedParcel) -> tuple[frozenset[int], str]:
    kind, name = aim(checked, parcel)
    mine = [row for row in checked.chutes if row.line == parcel.line]
    if kind == Target.CHUTE and int(name) in [row.chute for row in mine]:
        return frozenset([int(name)]), "planned"
    if kind == Target.CHUTE:
        lanes = next(row.lanes for row in checked.chutes if row.chute == int(name))
        serving, reason = [row.chute for row in mine if lanes[:1] and lanes[0] in row.lanes], "alternate"
    elif kind == Target.LANE:
        serving, reason = [row.chute for row in mine if name in row.lanes], "planned"
    else:
        serving, reason = [], name
    if not serving and kind != Target.REJECT:
        reason = "max_laps"
    exceptions = [row.chute for row in checked.exceptions if row.reason.has(reason) and row.line.has(parcel.line)]
    return frozenset(serving or exceptions), reason


# ---- parcel by parcel -----------------------------------------------------------------


@pytest.fixture(name="wushan", scope="module")
def shipped_tables() -> dict[str, Table]:
    checked = rulebook.check_folder(RULES, WUSHAN_LINES, OFFSET_NS)
    header = {table: [*columns, "note"] for table, columns in tables.TABLES.items()}
    return {
        table: [header[table], *([written(row)[column] for column in header[table]] for row in getattr(checked, table))]
        for table in diff.KEYS
    }


@pytest.fixture(name="day", scope="module")
def parcels_of_a_day() -> list[RecordedParcel]:
    day = traffic.day(emulator_tables.read(RULES), 1500, 5)
    advices = {advice.waybill: advice for advice in day.advices}
    found = []
    for parcel in day.parcels:
        advice = advices[parcel.waybill] if parcel.advised else None
        known = advice and RecordedAdvice(*advice[1:5], cancelled=bool(advice.cancelled))
        size = (parcel.weight_g, parcel.size_mm[0])
        found.append(RecordedParcel(parcel.arrive_ns, parcel.line, parcel.codes, *size, known, parcel.intercepted))
    return found


def cell(table: str, key: str, column: str, text: str) -> Callable[[dict[str, Table]], None]:
    """An edit of one cell, of the first row whose cells begin with those of `key`."""

    def edit(site: dict[str, Table]) -> None:
        row = next(row for row in site[table] if row[: len(key.split())] == key.split())
        row[site[table][0].index(column)] = text

    return edit


def new_rule(*texts: str) -> Callable[[dict[str, Table]], None]:
    return lambda site: site["rules"].insert(1, [*texts, ""])


def no_rule(number: str) -> Callable[[dict[str, Table]], None]:
    return lambda site: site["rules"].remove(next(row for row in site["rules"] if row[0] == number))


EDITS = {
    "weight": cell("rules", "10", "weight_g", ">5000"),
    "rejected": cell("rules", "330", "send_to", "reject:intercept"),
    "chute of the other line": cell("rules", "330", "send_to", "103"),
    "exact chute": new_rule("1", "YTO", "V0*", "", "", "inbound", "", "", "", "", "105"),
    "late": new_rule("2", "", "", "", "", "", "", "", "18:00..05:30", "3", "LOC-1"),
    "long": cell("rules", "20", "length_mm", ">600"),
    "gone": no_rule("330"),
    "nothing": cell("rules", "330", "note", "只改备注"),
    "station": cell("stations", "O02", "lane", "LOC-2"),
    "no lane": cell("stations", "C06", "lane", ""),
    "exception": cell("exceptions", "cancelled|intercept", "chute", "146"),
    "waybill": cell("carriers", "SF", "valid_from", "2026-11-12"),
    "sort code": cell("sort_codes", "ZTO 921 C14 07", "station", "V001"),
    "chute": cell("chutes", "110", "lane", "LOC-1"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_exactly_the_parcels_move_that_the_twin_moves(
    tmp_path: Path, wushan: dict[str, Table], day: list[RecordedParcel], edit: str
) -> None:
    site = {table: [list(row) for row in each] for table, each in wushan.items()}
    old = rulebook.check_folder(RULES, WUSHAN_LINES, OFFSET_NS)
    EDITS[edit](site)
    new = rulebook.check_folder(write(tmp_path, site), WUSHAN_LINES, OFFSET_NS)
    before, after = ([where(checked, parcel) for parcel in day] for checked in (old, new))
    plans = [rulebook.compile_plan(old, None)]
    plans.append(rulebook.compile_plan(new, plans[0].names))
    moves = traffic_diff(plans[0], plans[1], recorded.of_parcels(day))
    wanted = [at for at in range(len(day)) if before[at] != after[at]]
    assert moves.parcels.tolist() == wanted
    assert (moves.items, moves.moved) == (len(day), len(wanted))
    assert bool(wanted) == (edit != "nothing")
    assert len(moves.examples) == min(10, len(wanted))
    for side, places in enumerate((before, after)):
        assert dealt((old, new)[side], day, places) == {
            int(n): pair[side] for n, pair in moves.by_chute.items() if pair[side]
        }
        reasons = Counter(reason for _, reason in places)
        assert reasons == {name: pair[side] for name, pair in moves.by_reason.items() if pair[side]}
        assert sum(pair[side] for pair in moves.by_lane.values()) == len(day)


def dealt(checked: Checked, day: list[RecordedParcel], places: list[tuple[frozenset[int], str]]) -> dict[int, int]:
    """Items by chute: each parcel drops into the least full of its chutes, and all are emptied when all are full."""
    rows = {row.chute: row for row in checked.chutes}
    lies: Counter[int] = Counter()
    items: Counter[int] = Counter()
    for at in sorted(range(len(day)), key=lambda at: day[at].t_ns):
        chutes, _ = places[at]
        if all(lies[chute] == rows[chute].capacity > 0 for chute in chutes):
            lies.subtract({chute: lies[chute] for chute in chutes})
        full = {chute: Fraction(lies[chute], rows[chute].capacity or 1 << 60) for chute in chutes}
        chute = min(chutes, key=lambda chute: (full[chute], rows[chute].position_mm, chute))
        items[chute] += 1
        lies[chute] += 1
    return items


def small_moves(tmp_path: Path, table: dict[str, Table], parcels: list[RecordedParcel]) -> Moves:
    old = small_site.load(write(tmp_path))
    new_folder = tmp_path / "new"
    new_folder.mkdir()
    return traffic_diff(old, small_site.load(write(new_folder, table), old.names), recorded.of_parcels(parcels))


MONDAY_0700 = 1_762_729_200 * 10**9  # 2025-11-10 at the site


def parcels_to(station: str, count: int, line: str = "L1", minutes: int = 0) -> list[RecordedParcel]:
    advice = RecordedAdvice("SF", station, "standard", "inbound", cancelled=False)
    t_ns = MONDAY_0700 + minutes * 60 * 10**9
    return [RecordedParcel(t_ns, line, (f"SF{at:012d}",), 0, 0, advice, intercepted=False) for at in range(count)]


def test_a_chute_overflows_in_the_hour_in_which_its_load_units_are_not_enough(tmp_path: Path) -> None:
    table = changed("stations", 5, "lane", "OUT")
    parcels = [*parcels_to("O01", 240), *parcels_to("O01", 241, minutes=60), *parcels_to("O01", 500, "L2", 119)]
    moves = small_moves(tmp_path, table, parcels)
    assert [tuple(each) for each in moves.overflow] == [
        (104, "2025-11-10 08:00", 0, 241, 60),
        (203, "2025-11-10 08:00", 0, 500, 60),
    ]
    assert moves.by_chute == {"103": (481, 0), "202": (500, 0), "104": (0, 481), "203": (0, 500)}
    assert moves.by_lane == {"PLANE": (981, 0), "OUT": (0, 981)}
    assert "gets 241 items in the hour from 2025-11-10 08:00, 0 before; that is 5 load units of 60" in moves.told("en")
    assert "要用 5 个袋" in moves.told("zh")


def test_what_overflowed_as_much_before_is_not_told(tmp_path: Path) -> None:
    moves = small_moves(
        tmp_path, changed("stations", 2, "lane", "TRUCK"), [*parcels_to("O01", 900), *parcels_to("V001", 9)]
    )
    assert moves.moved == 9
    assert moves.overflow == ()


@pytest.mark.parametrize(
    ("before", "after", "told"), [("", "60", 1), ("100", "60", 1), ("60", "60", 0), ("50", "60", 0)]
)
def test_a_smaller_load_unit_overflows_though_no_parcel_moves(
    tmp_path: Path, before: str, after: str, told: int
) -> None:
    old = small_site.load(write(tmp_path, changed("chutes", 4, "capacity", before)))
    new = small_site.load(write(tmp_path, changed("chutes", 4, "capacity", after)), old.names)
    moves = traffic_diff(old, new, recorded.of_parcels(parcels_to("O01", 300)))
    assert moves.moved == 0
    assert [tuple(each) for each in moves.overflow] == [(103, "2025-11-10 07:00", 300, 300, 60)] * told


def test_what_no_plan_knows_and_what_has_no_weight_is_counted(tmp_path: Path) -> None:
    weighed = [each._replace(weight_g=900) for each in parcels_to("V298", 5)]
    moves = small_moves(tmp_path, copy_of_small(), [*weighed, *parcels_to("O01", 3, "L9"), *parcels_to("O01", 2)])
    assert (moves.not_weighed, moves.strange_lines, moves.strange_stations) == (5, 3, 5)
    told = moves.told("en").splitlines()
    assert [line.split(" of them ")[0] for line in told[1:4]] == ["5", "3", "5"]
    assert "3 件的分拣线两份规则表都没有" in moves.told("zh")


def test_a_set_of_chutes_in_another_order_is_the_same_place(tmp_path: Path) -> None:
    moves = small_moves(tmp_path, changed("chutes", 2, "position", "39.5"), parcels_to("V002", 7))
    assert moves.moved == 0
    assert moves.by_chute == {"101": (1, 0), "102": (6, 7)}


def test_chutes_share_by_capacity_and_one_without_any_takes_all(tmp_path: Path) -> None:
    table = changed("chutes", 3, "capacity", "50")
    moves = small_moves(tmp_path, table, parcels_to("V002", 300))
    assert moves.by_chute == {"101": (1, 200), "102": (299, 100)}
    table["chutes"][1][4] = ""
    (tmp_path / "two").mkdir()
    old, new = small_site.load(write(tmp_path / "two", table)), small_site.load(write(tmp_path))
    moves = traffic_diff(old, new, recorded.of_parcels(parcels_to("V002", 300)))
    assert moves.by_chute == {"101": (300, 1), "102": (0, 299)}


def test_a_chute_of_two_lanes_gets_less_of_each(tmp_path: Path) -> None:
    table = changed("chutes", 3, "capacity", "100")
    parcels = [*parcels_to("V001", 60), *parcels_to("V002", 90)]
    assert small_moves(tmp_path, table, parcels).by_chute == {"101": (60, 75), "102": (90, 75)}


def test_only_a_chute_that_gets_too_many_for_its_own_capacity_overflows(tmp_path: Path) -> None:
    table = changed("chutes", 2, "capacity", "200")
    table["chutes"][2][4] = "50"
    moves = small_moves(tmp_path, table, parcels_to("V002", 1_000))
    assert moves.by_chute == {"101": (1, 800), "102": (999, 200)}
    assert moves.overflow == ()
    (tmp_path / "more").mkdir()
    moves = small_moves(tmp_path / "more", table, parcels_to("V002", 1_010))
    assert [(each.chute, each.after) for each in moves.overflow] == [(101, 808), (102, 202)]


def test_examples_begin_with_the_commonest_move_and_show_every_kind(tmp_path: Path) -> None:
    table = changed("stations", 5, "lane", "OUT")
    table["stations"][2][4] = "OUT"
    parcels = [*parcels_to("O01", 20), *parcels_to("V002", 30), *parcels_to("O01", 1, "L2")]
    moves = small_moves(tmp_path, table, parcels)
    first = [(each.line, each.before.chutes, each.after.chutes) for each in moves.examples[:3]]
    assert first == [("L1", (101, 102), (104,)), ("L1", (103,), (104,)), ("L2", (202,), (203,))]
    assert len(moves.examples) == 10
    assert moves.examples[0].time == "2025-11-10 07:00:00"
    assert moves.examples[0].waybill == "SF000000000000"
    assert moves.examples[0].before == ((101, 102), "TRUCK", "planned", 0)
    assert (
        "SF000000000000 on L1 at 2025-11-10 07:00:00: chute 101/102 (lane TRUCK) to chute 104 (lane OUT)"
        in moves.told("en")
    )


def test_the_text_says_how_much_more(tmp_path: Path) -> None:
    parcels = [*parcels_to("O01", 20), *parcels_to("V001", 5), *parcels_to("C01", 1)]
    told = small_moves(tmp_path, changed("stations", 2, "lane", "PLANE"), parcels).told("en").splitlines()
    assert told[0] == "5 of 26 parcels move."
    assert told[2:5] == [
        "chute 103: 20 to 25 items (+25 %)",
        "chute 101: 5 to 1 items (-80 %)",
        "chute 102: 1 to 0 items (-100 %)",
    ]
    assert "lane BUS: 5 to 0 items (-100 %)" in told


def test_parcels_of_a_line_that_is_gone_are_counted_as_nowhere(tmp_path: Path) -> None:
    moves = small_moves(tmp_path, copy_of_small(), parcels_to("O01", 3, "L9"))
    assert (moves.by_chute, moves.by_lane, moves.moved) == ({"-": (3, 3)}, {"-": (3, 3)}, 0)
    assert moves.by_reason == {Reason.RECIRCULATE.word: (3, 3)}


def test_no_parcels_at_all(tmp_path: Path) -> None:
    moves = small_moves(tmp_path, changed("stations", 5, "lane", "OUT"), [])
    assert moves.as_json() == {
        "items": 0, "moved": 0, "by_chute": {}, "by_lane": {}, "by_reason": {}, "overflow": [], "examples": [],
        "not_weighed": 0, "strange_lines": 0, "strange_stations": 0,
    }  # fmt: skip


def test_the_json_has_the_shape_scripts_read(tmp_path: Path) -> None:
    moves = small_moves(tmp_path, changed("stations", 5, "lane", "OUT"), parcels_to("O01", 300))
    found = json.loads(json.dumps(moves.as_json()))
    assert list(found) == [
        "items", "moved", "by_chute", "by_lane", "by_reason", "overflow", "examples",
        "not_weighed", "strange_lines", "strange_stations",
    ]  # fmt: skip
    assert found["by_chute"] == {"103": [300, 0], "104": [0, 300]}
    assert found["overflow"] == [{"chute": 104, "hour": "2025-11-10 07:00", "items": [0, 300], "capacity": 60}]
    assert found["examples"][0] == {
        "waybill": "SF000000000000",
        "line": "L1",
        "time": "2025-11-10 07:00:00",
        "from": {"chutes": [103], "lane": "PLANE", "reason": "planned", "row": 0},
        "to": {"chutes": [104], "lane": "OUT", "reason": "planned", "row": 0},
    }


def test_sentences_have_the_same_facts_in_both_languages() -> None:
    sentences = [each for each in vars(diff).values() if isinstance(each, Sentence)]
    assert len(sentences) > 10
    for each in sentences:
        assert set(re.findall(r"{(\w+)}", each.zh)) == set(re.findall(r"{(\w+)}", each.en)), each


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["V001", "V002", "C01", "O01"]), st.integers(0, 400)), min_size=1, max_size=40)
)
def test_counts_add_up(tmp_path_factory: pytest.TempPathFactory, draws: list[tuple[str, int]]) -> None:
    parcels = [parcel for station, minutes in draws for parcel in parcels_to(station, 1, minutes=minutes)]
    moves = small_moves(tmp_path_factory.mktemp("site"), changed("chutes", 2, "lane", "BUS|PLANE"), parcels)
    for pairs in (moves.by_chute, moves.by_lane, moves.by_reason):
        assert sum(before for before, _ in pairs.values()) == sum(after for _, after in pairs.values()) == len(parcels)
