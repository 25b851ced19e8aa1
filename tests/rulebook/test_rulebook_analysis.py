"""The analysis against a twin that tries every parcel there can be, table after table."""

import random
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import sorter
from sorter.records import Line, Target
from sorter.rulebook import check_folder, mistakes
from sorter.rulebook.cells import ALL_DAYS, ANY_WORD, DAY_MIN, Spans, Words, days, free_words, spans, times
from sorter.rulebook.review import analysis, classes, worth_a_look
from sorter.rulebook.review.analysis import LATER_MAX, Analysis, analyse
from sorter.rulebook.review.classes import Parcel
from sorter.rulebook.rows import Carrier, Checked, Chute, Lane, Rule, SendTo, Station
from tests.rulebook.small_site import OFFSET_NS

RULES = Path(sorter.__file__).parent.parent / "rules"
LINE = Line(15 * 10**9, 120 * 10**9, 900 * 10**9, 3)
Mask = NDArray[np.bool_]
LANES = ("BUS", "TRUCK")
STATIONS = (("V1", "north", "BUS"), ("V2", "north", "TRUCK"), ("V3", "south", ""), ("O1", "", ""))
TARGETS = ("BUS", "BUS", "TRUCK", "7", "reject:overweight")
CHOICES: dict[str, tuple[str, ...]] = {
    "carrier": ("", "", "SF", "!SF"),
    "station": ("", "", "V1", "V2", "V3", "O1", "V*", "!V1", "V2|O1"),
    "township": ("", "", "", "north", "!north", "south"),
    "service": ("", "", "fresh", "!fresh", "standard"),
    "flow": ("", "", "", "inbound", "outbound"),
    "weight_g": ("", "", "0", ">0", "0..500", ">500", "300..800", "<300|>800", "100|300"),
    "length_mm": ("", "", "", "0..600", ">600", ">=1"),
    "time": ("", "", "", "08:00..12:00", "12:00..08:00", "10:00..20:00", "22:00..02:00", "06:00..07:00|09:00..23:00"),
    "days": ("", "", "", "1-5", "sat|sun", "sun", "!3"),
}


def rule(at: int, send_to: str, **cells: str) -> Rule:
    """One row as a table would give it; a cell that is not named is blank."""
    text = dict.fromkeys(CHOICES, "") | cells
    kind = Target.REJECT if send_to.startswith("reject:") else Target.CHUTE if send_to.isdecimal() else Target.LANE
    return Rule(
        at + 2,
        10 * (at + 1),
        _words(text["carrier"]),
        _words(text["station"]),
        _words(text["township"]),
        free_words(text["service"]),
        _words(text["flow"]),
        spans(text["weight_g"], 262_143, mistakes.GRAMS),
        spans(text["length_mm"], 65_535, mistakes.MILLIMETRES),
        times(text["time"]),
        days(text["days"]),
        SendTo(kind, send_to.removeprefix("reject:")),
        "",
    )


def _words(text: str) -> Words:
    return Words(text.startswith("!"), tuple(text.removeprefix("!").split("|"))) if text else ANY_WORD


def site(rules: Iterable[Rule], stations: Iterable[tuple[str, str, str]] = STATIONS) -> Checked:
    return Checked(
        carriers=tuple(Carrier(at + 2, name, name, "", "", "") for at, name in enumerate(("SF", "YTO"))),
        stations=tuple(
            Station(at + 2, name, name, "village", township, lane, "")
            for at, (name, township, lane) in enumerate(stations)
        ),
        sort_codes=(),
        lanes=tuple(Lane(at + 2, name, name, "bus", "", "") for at, name in enumerate(LANES)),
        trips=(),
        chutes=(Chute(2, 7, "L1", 1, (), 0, ""),),
        rules=tuple(rules),
        exceptions=(),
        lines={"L1": Line(1, 1, 1, 1)},
        utc_offset_ns=0,
    )


def fits(checked: Checked, row: Rule, parcel: Parcel) -> bool:
    town = next(each.township for each in checked.stations if each.station == parcel.station)
    assert parcel.township == town
    return (
        row.carrier.has(parcel.carrier)
        and row.station.has(parcel.station)
        and row.township.has(town)
        and row.service.has(parcel.service)
        and row.flow.has(parcel.flow)
        and within(row.weight_g, parcel.weight_g)
        and within(row.length_mm, parcel.length_mm)
        and is_time(row, parcel.weekday, parcel.minute)
    )


def within(allowed: Spans, value: int | None) -> bool:
    return not allowed or (value is not None and any(low <= value <= high for low, high in allowed))


def is_time(row: Rule, weekday: int, minute: int) -> bool:
    allowed = row.time or ((0, DAY_MIN),)
    today = weekday in row.days and any(start <= minute < end for start, end in allowed)
    late = (weekday - 1) % 7 in row.days and any(start <= minute + DAY_MIN < end for start, end in allowed)
    return today or late


def first_hit(checked: Checked, parcel: Parcel, without: int = -1) -> int | None:
    hits = (at for at, row in enumerate(checked.rules) if at != without and fits(checked, row, parcel))
    return next(hits, None)


def own_lane(checked: Checked, station: str) -> str:
    return next(each.lane for each in checked.stations if each.station == station)


class Twin(NamedTuple):
    """Every parcel, and who fits it."""

    checked: Checked
    hits: Mask  # [rules, parcels]
    station: NDArray[np.intp]  # [parcels] index of the station


def twin_of(checked: Checked) -> Twin:
    """One parcel for every side of every cut of every column: no rule tells more of them apart."""
    rules = checked.rules
    weights = _sides(row.weight_g for row in rules)
    lengths = _sides(row.length_mm for row in rules)
    minutes = sorted({0} | {end % DAY_MIN for row in rules for span in row.time for end in span})
    week = list(product(ALL_DAYS, minutes))
    station = np.arange(len(checked.stations))
    columns = [
        [
            [row.station.has(each.station) and row.township.has(each.township) for each in checked.stations]
            for row in rules
        ],
        [[row.carrier.has(name) for name in checked.carrier_names()] for row in rules],
        [[row.service.has(name) for name in checked.service_names()] for row in rules],
        [[row.flow.has(name) for name in ("inbound", "outbound")] for row in rules],
        [[within(row.weight_g, value) for value in weights] for row in rules],
        [[within(row.length_mm, value) for value in lengths] for row in rules],
        [[is_time(row, *value) for value in week] for row in rules],
    ]
    hits = np.ones((len(rules), 1), bool)
    for column in columns:
        hits = (hits[:, :, None] & np.array(column, bool).reshape(len(rules), 1, -1)).reshape(len(rules), -1)
    return Twin(checked, hits, np.repeat(station, hits.shape[1] // len(station)))


def _sides(measured: Iterable[Spans]) -> list[int | None]:
    ends = {end for allowed in measured for low, high in allowed for end in (low, high + 1)}
    return [None, *sorted({1} | {end for end in ends if 0 < end <= 65_535})]


def outcomes(twin: Twin, without: int = -1) -> NDArray[np.intp]:
    """A number for where each parcel goes by the rows or its station's own lane; -1: nowhere."""
    hits = np.delete(twin.hits, without, 0) if without >= 0 else twin.hits
    rows = [row.send_to for at, row in enumerate(twin.checked.rules) if at != without]
    places = {SendTo(Target.LANE, lane): at for at, lane in enumerate(LANES)}
    own = np.array([LANES.index(each.lane) if each.lane else -1 for each in twin.checked.stations])[twin.station]
    if not rows:
        return own
    places |= {row.send_to: len(LANES) + at for at, row in enumerate(twin.checked.rules) if row.send_to not in places}
    return np.where(hits.any(0), np.array([places[send_to] for send_to in rows])[hits.argmax(0)], own)


def overlapping(twin: Twin, first: NDArray[np.intp]) -> dict[int, tuple[int, ...]]:
    rules, hits = twin.checked.rules, twin.hits
    found = {}
    for upper, row in enumerate(rules):
        later = tuple(
            lower
            for lower in range(upper + 1, len(rules))
            if row.send_to != rules[lower].send_to
            and row.send_to.kind != Target.REJECT
            and (hits[upper] & ~hits[lower]).any()
            and (hits[lower] & ~hits[upper]).any()
            and (hits[lower] & (first == upper)).any()
        )
        if later:
            found[upper] = later[:LATER_MAX]
    return found


def unneeded(twin: Twin, first: NDArray[np.intp]) -> dict[int, tuple[int, ...]]:
    before = outcomes(twin)
    found = {}
    for row in sorted(set(first.tolist()) - {-1}):
        if (before == outcomes(twin, row)).all():
            rest = twin.hits[row + 1 :, first == row]
            found[row] = (
                tuple(sorted({int(at) + row + 1 for at in rest[:, rest.any(0)].argmax(0)})) if len(rest) else ()
            )
    return found


def assert_right(checked: Checked) -> Analysis:
    """What the analysis finds is what trying every parcel finds, and each witness shows it."""
    found = analyse(checked)
    twin = twin_of(checked)
    hits = twin.hits
    first = np.where(hits.any(0), hits.argmax(0), -1) if len(hits) else np.full(len(twin.station), -1)
    masked = [row for row in range(len(hits)) if hits[row].any() and not (first == row).any()]
    assert [each.rule for each in found.masked] == masked
    assert list(found.idle) == [row for row in range(len(hits)) if not hits[row].any()]
    assert {each.rule: each.later for each in found.overlaps} == overlapping(twin, first)
    assert {each.rule: each.by for each in found.subsumed} == unneeded(twin, first)
    gaps = [
        each.station
        for at, each in enumerate(checked.stations)
        if not each.lane and (first[twin.station == at] == -1).any()
    ]
    assert [each.station for each in found.gaps] == gaps
    for each in found.masked:
        assert_taken(hits, first, each.rule, each.by)
    assert_witnesses(checked, found)
    return found


def assert_taken(hits: Mask, first: NDArray[np.intp], row: int, by: tuple[int, ...]) -> None:
    assert all((hits[row] & (first == other)).any() for other in by), "each takes something of it"
    assert not (hits[row] & ~hits[list(by)].any(0)).any(), "together they take it all"
    for other in by:
        rest = [each for each in by if each != other]
        assert (hits[row] & ~hits[rest].any(0)).any(), "none could be left out"


def assert_witnesses(checked: Checked, found: Analysis) -> None:
    rules = checked.rules
    for masked in found.masked:
        assert fits(checked, rules[masked.rule], masked.witness)
        assert first_hit(checked, masked.witness) == masked.by[0]
    for overlap in found.overlaps:
        assert first_hit(checked, overlap.witness) == overlap.rule
        assert fits(checked, rules[overlap.later[0]], overlap.witness)
    for subsumed in found.subsumed:
        assert first_hit(checked, subsumed.witness) == subsumed.rule
        after = first_hit(checked, subsumed.witness, without=subsumed.rule)
        assert after == (subsumed.by[0] if subsumed.by else None)
    for gap in found.gaps:
        assert gap.witness.station == gap.station
        assert own_lane(checked, gap.station) == ""
        assert first_hit(checked, gap.witness) is None


@st.composite
def tables(draw: st.DrawFn) -> Checked:
    filled = st.fixed_dictionaries({}, optional={name: st.sampled_from(cells) for name, cells in CHOICES.items()})
    rows = draw(st.lists(st.tuples(st.sampled_from(TARGETS), filled), min_size=1, max_size=7))
    return site(rule(at, target, **cells) for at, (target, cells) in enumerate(rows))


@settings(max_examples=500, deadline=None)
@given(tables())
def test_it_finds_what_trying_every_parcel_finds(checked: Checked) -> None:
    assert_right(checked)


COLUMNS = [(), ("weight_g", "length_mm"), ("station", "weight_g"), ("carrier", "time", "days")]


def random_rules(rng: random.Random, count: int, columns: tuple[str, ...]) -> list[Rule]:
    targets = TARGETS[: rng.randrange(2, len(TARGETS) + 1)]
    rows = [{name: rng.choice(CHOICES[name]) for name in columns or rng.sample(list(CHOICES), 3)} for _ in range(count)]
    return [rule(at, rng.choice(targets), **cells) for at, cells in enumerate(rows)]


@pytest.mark.parametrize("columns", COLUMNS)
def test_thousands_of_tables(columns: tuple[str, ...]) -> None:
    """With few columns in use, rows cover and cut each other far more often."""
    rng = random.Random(f"{columns}")
    seen = [0, 0, 0, 0]
    for _ in range(700):
        found = assert_right(site(random_rules(rng, rng.randrange(1, 11), columns)))
        seen = [count + len(each) for count, each in zip(seen, found[:4], strict=True)]
    assert min(seen) > 50, "every kind of finding was met often"


@pytest.mark.parametrize("columns", COLUMNS)
def test_what_spares_time_in_large_tables_changes_nothing(
    columns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds below which rows are gone through one by one are lowered, so that small tables count as large."""
    rng = random.Random(f"large {columns}")
    for few, points, singly in ((0, 1, 4), (1, 3, 0), (0, 2, 1)):
        monkeypatch.setattr(analysis, "FEW", few)
        monkeypatch.setattr(classes, "FEW", few)
        monkeypatch.setattr(analysis, "_POINTS", points)
        monkeypatch.setattr(analysis, "_SINGLY", singly)
        for _ in range(50):
            assert_right(site(random_rules(rng, rng.randrange(5, 16), columns)))


WIDER = tuple((f"V{at:02d}", f"T{at % 5}", LANES[at % 2] if at % 7 else "") for at in range(24))


@pytest.mark.parametrize("seed", range(3))
def test_larger_tables(seed: int) -> None:
    """Rows of one or two stations among rows of all, in numbers that no bound passes over."""
    rng = random.Random(seed)

    def cells() -> dict[str, str]:
        low, long = rng.randrange(0, 1000, 100), rng.randrange(100, 800, 200)
        here = "|".join(rng.sample([name for name, _, _ in WIDER], rng.randint(1, 2)))
        return {
            "station": here if rng.random() < 0.8 else "",
            "township": rng.choice(("", "", "", "T1", "!T2")),
            "weight_g": rng.choice((f"{low}..{low + rng.randrange(100, 600, 100)}", f">{low}")),
            "length_mm": rng.choice(("", "", f"<={long}")),
            "carrier": rng.choice(("", "SF", "YTO")),
        }

    found = assert_right(site((rule(at, rng.choice(TARGETS), **cells()) for at in range(120)), WIDER))
    assert found.masked
    assert found.overlaps
    assert found.gaps


def found_in(*rows: tuple[str, dict[str, str]]) -> Analysis:
    return assert_right(site(rule(at, send_to, **cells) for at, (send_to, cells) in enumerate(rows)))


def test_two_rows_mask_a_third_between_them() -> None:
    light, heavy = {"weight_g": "0..500"}, {"weight_g": ">500"}
    found = found_in(("BUS", light), ("TRUCK", heavy), ("7", {"weight_g": "300..800"}), ("7", {}))
    assert [(each.rule, each.by) for each in found.masked] == [(2, (0, 1))]
    assert found.masked[0].witness.weight_g == 300


def test_a_row_that_fits_all_is_told_alone() -> None:
    here = {"station": "V1"}
    found = found_in(("BUS", here | {"weight_g": "0..500"}), ("TRUCK", here), ("7", here))
    assert [(each.rule, each.by) for each in found.masked] == [(2, (1,))]


def test_a_row_that_takes_nothing_of_it_masks_no_row() -> None:
    """The third fits all of the last, but is left nothing of it."""
    here = {"station": "V1|V2"}
    above = ("BUS", here | {"weight_g": "0..500"}), ("TRUCK", here | {"weight_g": ">500"})
    found = found_in(*above, ("7", {"weight_g": ">0"}), ("7", {"station": "V1", "weight_g": "300..800"}))
    assert [(each.rule, each.by) for each in found.masked] == [(3, (0, 1))]


def test_what_was_not_measured_fits_a_blank_cell_alone() -> None:
    assert found_in(("BUS", {"weight_g": ">0"}), ("TRUCK", {})).masked == ()
    gaps = found_in(("BUS", {"station": "V3", "weight_g": ">0"}), ("BUS", {"station": "O1"})).gaps
    assert [(each.station, each.witness.weight_g) for each in gaps] == [("V3", None)]


def test_an_exception_above_its_general_case_is_no_overlap() -> None:
    light, inbound = {"weight_g": "<300"}, {"flow": "inbound"}
    assert found_in(("BUS", light), ("TRUCK", {})).overlaps == ()
    assert found_in(("reject:overweight", light), ("TRUCK", inbound)).overlaps == ()
    assert found_in(("BUS", light), ("BUS", inbound)).overlaps == ()
    found = found_in(("BUS", light), ("TRUCK", inbound))
    assert [(each.rule, each.later) for each in found.overlaps] == [(0, (1,))]


def test_what_rows_above_take_away_is_no_overlap() -> None:
    light, short = {"weight_g": "0..500"}, {"length_mm": "0..600"}
    found = found_in(("reject:oversize", light | short), ("BUS", light), ("TRUCK", short))
    assert found.overlaps == ()


def test_a_row_is_subsumed_by_a_later_row_or_by_own_lanes() -> None:
    found = found_in(("BUS", {"station": "V1"}))
    assert [(each.rule, each.by) for each in found.subsumed] == [(0, ())]
    found = found_in(("TRUCK", {"station": "V1", "flow": "inbound"}), ("TRUCK", {"flow": "inbound"}))
    assert [(each.rule, each.by) for each in found.subsumed] == [(0, (1,))]
    found = found_in(("7", {"station": "V1"}), ("BUS", {"station": "V1", "flow": "inbound"}), ("7", {}))
    assert found.subsumed == (), "a row between them would decide otherwise"


def test_night_hours_run_into_the_next_day() -> None:
    night, small_hours = {"time": "22:00..02:00", "days": "sun"}, {"time": "00:00..02:00"}
    found = found_in(("BUS", night), ("TRUCK", small_hours | {"days": "mon"}), ("7", small_hours | {"days": "sun"}))
    assert [(each.rule, each.by) for each in found.masked] == [(1, (0,))]
    assert found.masked[0].witness[-2:] == (0, 0)


def test_a_row_that_fits_nothing_is_left_out() -> None:
    found = found_in(("BUS", {}), ("TRUCK", {"weight_g": "0"}), ("TRUCK", {"station": "V1", "township": "south"}))
    assert found.masked == ()


def test_a_table_without_rows_leaves_gaps_alone() -> None:
    found = analyse(site(()))
    assert found[:3] == ((), (), ())
    assert [each.station for each in found.gaps] == ["V3", "O1"]


def test_of_a_thousand_equal_rows_the_first_masks_all() -> None:
    found = analyse(site(rule(at, LANES[at % 2], weight_g="0..500") for at in range(1000)))
    assert [each.rule for each in found.masked] == list(range(1, 1000))
    assert {each.by for each in found.masked} == {(0,)}


def test_the_shipped_site() -> None:
    """No row is in vain and no station falls through; a lane's rows repeat what a lower row or the station says."""
    checked = check_folder(RULES, {"L1": LINE, "L2": LINE}, OFFSET_NS)
    found = analyse(checked)
    assert_witnesses(checked, found)
    assert not found.masked
    assert not found.gaps
    numbers = [row.row for row in checked.rules]
    overlaps = {numbers[each.rule]: [numbers[other] for other in each.later] for each in found.overlaps}
    assert overlaps[110] == [120, 130, 1040]
    assert overlaps[500] == [600, 610, 620, 630, 800, 900]
    assert {10, 20, 30}.isdisjoint(overlaps), "what is rejected stands above on purpose"
    subsumed = {numbers[each.rule]: [numbers[other] for other in each.by] for each in found.subsumed}
    assert subsumed == {row: [row + 100] for row in range(800, 870, 10)} | {row: [] for row in range(1050, 1090, 10)}


def told_of(*rows: tuple[str, dict[str, str]]) -> dict[tuple[str, int], tuple[str, str]]:
    """What a clerk reads of each rule, by kind and row of the sheet, in both languages."""
    checked = site(rule(at, send_to, **cells) for at, (send_to, cells) in enumerate(rows))
    findings = worth_a_look._of_rules(checked, analyse(checked))
    return {(each.kind, each.rows[0]): (each.said.told("en"), each.said.told("zh")) for each in findings}


LIGHT, INBOUND = {"weight_g": "0..500"}, {"flow": "inbound"}
A_PARCEL = "SF standard inbound to V1 (north), 1 g, 1 mm long, Mon 00:00"


def test_an_overlap_is_told_with_both_targets_and_a_parcel() -> None:
    english, chinese = told_of(("BUS", LIGHT), ("TRUCK", INBOUND))["overlap", 2]
    assert english == (
        "some items fit this row (to BUS) and also row 3 below (to TRUCK); this row decides, as it stands above. "
        f"Such as {A_PARCEL}. If that is not meant, change the order or write one of them narrower"
    )
    assert chinese == (
        "有的件既符合这一行（去 BUS），也符合下面的第3行（去 TRUCK）；上面的这一行先生效。"
        "例如 SF standard inbound 到 V1（north），1 克，长 1 毫米，周一 00:00。如果不是这个意思，调整顺序或写窄一些"
    )


def test_an_overlap_with_several_rows_tells_where_the_first_sends_and_that_others_differ() -> None:
    rows = [("BUS", LIGHT), ("TRUCK", INBOUND), ("7", {"carrier": "SF"}), ("reject:overweight", {"station": "V2"})]
    english, chinese = told_of(*rows)["overlap", 2]
    assert "fit this row (to BUS) and also row 3, 4, 5 below (to TRUCK among others); this row" in english
    assert "也符合下面的第3, 4, 5行（去 TRUCK 等处）；" in chinese
    same = [("BUS", LIGHT), *(("TRUCK", {"length_mm": f"{at}0..600"}) for at in range(1, 4))]
    assert "and also row 3, 4, 5 below (to TRUCK); this row" in told_of(*same)["overlap", 2][0]


def test_what_masks_or_repeats_a_row_is_told() -> None:
    told = told_of(("BUS", LIGHT), ("TRUCK", {"weight_g": ">500"}), ("7", {"weight_g": "300..800"}))
    assert told["masked", 4][0].startswith("this row is never reached: whatever fits it fits row 2, 3 first. Such as ")
    assert told["masked", 4][1].startswith("这一行从不生效：符合它的件都先符合了第2, 3行。例如 ")
    many = [("BUS", {"weight_g": f"{at}01..{at + 1}00"}) for at in range(1, 11)]
    told = told_of(*many, ("TRUCK", {"weight_g": "101..1100"}))
    assert "fits row 2, 3, 4, 5, 6, 7, 8, 9 and others first" in told["masked", 12][0]
    assert "第2, 3, 4, 5, 6, 7, 8, 9等行" in told["masked", 12][1]
    (english, chinese) = told_of(("BUS", {"station": "V1"}))["subsumed", 2]
    assert english.startswith("without this row nothing would change: the stations' own lanes would send the same")
    assert chinese.startswith("删掉这一行也没有区别：站点自己的路向会把同样的件分到同样的去向 BUS。")
    (english, _) = told_of(("reject:overweight", LIGHT), ("reject:overweight", {}))["subsumed", 2]
    assert "row 3 would send the same items to the same reject:overweight." in english


@pytest.mark.parametrize("columns", COLUMNS)
def test_what_takes_too_many_steps_is_named_and_all_else_is_right(
    columns: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the bound is: a row is told exactly as without it, or named as not examined."""
    rng = random.Random(f"bounds {columns}")
    monkeypatch.setattr(analysis, "_FREE_STEPS", 1)
    named = told = 0
    for each in (0, 3, 10, 30, 100):
        for _ in range(30):
            checked = site(random_rules(rng, rng.randrange(5, 16), columns))
            with monkeypatch.context() as bounds:
                bounds.setattr(analysis, "_STEPS_EACH", each)
                bounds.setattr(analysis, "_STEPS_FREE", each)
                found = analyse(checked)
            assert_witnesses(checked, found)
            exact = analyse(checked)
            left = set(found.unexamined)
            assert found.idle == exact.idle
            assert [one.rule for one in found.masked] == [one.rule for one in exact.masked if one.rule not in left]
            assert [one[:2] for one in found.overlaps] == [one[:2] for one in exact.overlaps if one.rule not in left]
            assert [one[:2] for one in found.subsumed] == [one[:2] for one in exact.subsumed if one.rule not in left]
            stations = [one.station for one in exact.gaps if one.station not in found.unexamined_stations]
            assert [one.station for one in found.gaps] == stations
            assert (exact.unexamined, exact.unexamined_stations) == ((), ())
            named += len(left)
            told += len(checked.rules) - len(left)
    assert min(named, told) > 100


def test_a_row_that_crosses_too_much_leaves_steps_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    thin = [("BUS", {"weight_g": f"{at}01..{at + 1}00"}) for at in range(40)]
    rows = [*thin, ("TRUCK", {"weight_g": "101..3000"}), ("7", {"station": "V1", "weight_g": "101..150"})]
    checked = site(rule(at, send_to, **cells) for at, (send_to, cells) in enumerate(rows))
    assert [each.rule for each in analyse(checked).masked] == [40, 41]
    monkeypatch.setattr(analysis, "STEPS_MAX", 0)
    monkeypatch.setattr(analysis, "_STEPS_FREE", 450)
    found = analyse(checked)
    assert 40 in found.unexamined
    assert [each.rule for each in found.masked] == []
    monkeypatch.setattr(analysis, "_STEPS_FREE", 3_000)
    found = analyse(checked)
    assert 40 in found.unexamined
    assert [each.rule for each in found.masked] == [41]


def test_of_very_many_rows_that_mask_one_the_first_are_named() -> None:
    count = analysis.BY_MAX + 20
    rows = [("BUS", {"weight_g": f"{at}01..{at + 1}00"}) for at in range(1, count + 1)]
    checked = site(
        rule(at, target, **cells) for at, (target, cells) in enumerate([*rows, ("7", {"weight_g": "101..3000"})])
    )
    assert [each.by for each in analyse(checked).masked] == [tuple(range(29))]
    checked = site(
        rule(at, target, **cells) for at, (target, cells) in enumerate([*rows, ("7", {"weight_g": f"151..{count}50"})])
    )
    assert [each.by for each in analyse(checked).masked] == [tuple(range(analysis.BY_MAX))]


def test_what_was_not_examined_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis, "_STEPS_EACH", 0)
    monkeypatch.setattr(analysis, "_STEPS_FREE", 0)
    checked = site(rule(at, "BUS", weight_g=f">{at}") for at in range(3))
    found = analyse(checked)
    (of_rules,) = worth_a_look._of_rules(checked, found)
    assert (of_rules.kind, of_rules.rows, of_rules.witness) == ("unexamined", (2, 3, 4), None)
    assert of_rules.said.told("en").startswith("row 2, 3, 4 could not be examined within bounds: ")
    assert of_rules.said.told("zh").startswith("第2, 3, 4行没有检查完：")
    of_stations = list(worth_a_look._of_stations(checked, found))
    assert [(each.kind, each.rows) for each in of_stations] == [("unexamined", (4,)), ("unexamined", (5,))]
    assert of_stations[0].said.told("en").startswith("station V3 has no lane, and whether every item of it has a rule")
    assert of_stations[0].said.told("zh").startswith("站点 V3 没有自己的路向；")
