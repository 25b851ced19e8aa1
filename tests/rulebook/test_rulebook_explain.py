"""What is explained is what is decided: winner, lane and chutes are those of the compiled plan."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import rulebook
from sorter.reasons import Language, Reason, Sentence
from sorter.records import NONE_16, RecordedAdvice, RecordedParcel, Target
from sorter.rulebook import Checked, rows
from sorter.rulebook.cells import ALL_DAYS, ANY_WORD, Words
from sorter.rulebook.trial import explain, recorded, routing
from sorter.rulebook.trial.explain import Explanation, Missed, Question, UnknownName, question_of
from tests.rulebook.small_site import LINES, OFFSET_NS, Table, copy_of_small, write

MONDAY = 1_767_571_200 * 10**9 - OFFSET_NS  # 2026-01-05 00:00 at the site
CODES = (
    "SF000000000001",
    "sf000000000002",
    "123456789012",
    "YT0000000000001",
    "HELLO",
    "531-A03-12",
    "531-A03",
    "900-1",
)
LANGUAGES: tuple[Language, ...] = ("zh", "en")
STATIONS = ("V001", "V002", "C01", "O01")


def random_rules(dice: random.Random, count: int) -> Table:
    def some(*choices: str) -> str:
        return dice.choice(("", "", *choices))

    places = (("", ""), ("", "双龙镇"), ("", "!双龙镇"), ("V0*", "!双龙镇"), ("V002|C01", ""), ("!C01|O01", ""))
    rows = [
        [
            str(number * 3),
            some("SF", "!SF", "SF|YTO"),
            *dice.choice(places),
            some("express", "!express", "cold|fresh"),
            some("inbound", "outbound"),
            some("0..500", ">500", "500|900..1000"),
            some("<=300", ">300"),
            some("08:00..12:30", "22:00..02:00", "00:00..08:00"),
            some("1..5", "sat|sun", "3"),
            dice.choice(("BUS", "TRUCK", "PLANE", "101", "202", "104", "reject:overweight", "reject:no_rule")),
            "",
        ]
        for number in range(1, count + 1)
    ]
    return [[*copy_of_small()["rules"][0]], *rows]


def random_site(folder: Path, seed: int) -> Checked:
    dice, tables = random.Random(seed), copy_of_small()
    tables["rules"] = random_rules(dice, dice.choice([0, 3, 12, 70]))
    for row in tables["stations"][1:]:
        row[4] = dice.choice(["BUS", "TRUCK", "PLANE", ""])
    return rulebook.check_folder(write(folder, tables), LINES, OFFSET_NS)


def random_parcel(dice: random.Random) -> RecordedParcel:
    advice = None
    if dice.random() < 0.75:
        who = (dice.choice(["SF", "YTO"]), dice.choice(STATIONS), dice.choice(["standard", "express", "fresh"]))
        advice = RecordedAdvice(*who, flow=dice.choice(["inbound", "outbound"]), cancelled=dice.random() < 0.05)
    codes = dice.sample(CODES, dice.choice([0, 1, 2, 3])) if dice.random() < 0.4 else [dice.choice(CODES[:4])]
    minute = dice.choice([0, 119, 120, 479, 480, 750, 1319, 1320, 1439])
    t_ns = MONDAY + (dice.randrange(7) * 1440 + minute) * 60 * 10**9 - dice.choice([0, 0, 7 * 86_400 * 10**9])
    size = (dice.choice([0, 1, 500, 501, 900, 300_000]), dice.choice([0, 300, 301]))
    return RecordedParcel(t_ns, dice.choice(list(LINES)), tuple(codes), *size, advice, dice.random() < 0.05)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_winner_is_the_one_of_the_compiled_plan(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    checked, dice = random_site(tmp_path_factory.mktemp("site"), seed), random.Random(seed)
    plan = rulebook.compile_plan(checked, None)
    parcels = [random_parcel(dice) for _ in range(20)]
    routes = routing.route(plan, recorded.of_parcels(parcels))
    for at, parcel in enumerate(parcels):
        found = explain.explain(checked, question_of(parcel, checked))
        assert found.reason == routes.reason[at]
        assert found.row == routes.row[at]
        assert found.chutes == routes.sets[routes.chutes[at]]
        assert found.lane == ("" if routes.lane[at] == NONE_16 else plan.names.lanes[routes.lane[at]])
        check_rows(checked, parcel, found)
        for language in LANGUAGES:
            assert len(found.told(language).splitlines()) >= len(found.steps) >= 1
            assert json.dumps(found.as_json(language))


ANY_CELL: dict[str, Any] = {"weight_g": (), "length_mm": (), "time": (), "days": ALL_DAYS}


def check_rows(checked: Checked, parcel: RecordedParcel, found: Explanation) -> None:
    """Near rows stand above the winner and fit once their failed cells are blank; later ones are below and fit."""
    numbers = [rule.row for rule in checked.rules]
    if parcel.advice is None:
        return
    place = numbers.index(found.row) if found.row else len(numbers)
    assert all(numbers.index(each.row) < place for each in found.near)
    assert all(numbers.index(row) > place for row in found.also)
    assert [len(each.failed) for each in found.near] == sorted(len(each.failed) for each in found.near)
    for each in found.near:
        rule = checked.rules[numbers.index(each.row)]
        rule = rule._replace(**{failed.column: ANY_CELL.get(failed.column, ANY_WORD) for failed in each.failed})
        only = checked._replace(rules=(rule, *checked.rules))
        assert explain.explain(only, question_of(parcel, checked)).row == each.row
    for row in found.also:
        only = checked._replace(rules=(checked.rules[numbers.index(row)], *checked.rules))
        assert explain.explain(only, question_of(parcel, checked)).row == row


@pytest.fixture(name="small")
def small_rows(tmp_path: Path) -> Checked:
    return rulebook.check_folder(write(tmp_path), LINES, OFFSET_NS)


EXPRESS = Question(
    line="L1", carrier="SF", station="V001", service="express", flow="inbound", weight_g=500, weekday=0, minute=600
)


def expected_of(checked: Checked, question: Question, row: int) -> str:
    found = explain.explain(checked, question, row).expected
    assert found is not None
    return (found.said if isinstance(found, Missed) else found).told("en")


def test_the_row_asked_for_and_why_it_did_not_win(small: Checked) -> None:
    assert explain.explain(small, EXPRESS).row == 20
    assert expected_of(small, EXPRESS, 20) == "rule 20 is the one that decided"
    assert expected_of(small, EXPRESS._replace(weight_g=3001), 20) == (
        'rule 20 (row 3) does not fit: weight_g says "0..3000", the parcel has 3001'
    )
    assert expected_of(small, EXPRESS._replace(weight_g=None, weekday=5), 20) == (
        'rule 20 (row 3) does not fit: weight_g says "0..3000", the parcel has no measure; '
        'days says "1..5", the parcel has 6'
    )
    assert (
        expected_of(small, EXPRESS._replace(length_mm=1300), 40) == "rule 40 fits too, but rule 20 above decided first"
    )
    assert expected_of(small, EXPRESS._replace(cancelled=True), 20) == (
        'the rules were not asked: "cancelled by the carrier" was decided before'
    )
    assert expected_of(small, EXPRESS, 27) == "there is no rule 27; the nearest number is 30"
    assert (
        expected_of(small._replace(rules=()), EXPRESS._replace(service=""), 27)
        == "there is no rule 27; the table has no rules"
    )
    assert explain.explain(small, EXPRESS).expected is None


def test_a_span_past_midnight_belongs_to_the_day_on_which_it_begins(small: Checked) -> None:
    night = small.rules[2]._replace(days=(2,))
    late = Question(carrier="YTO", station="V002", service="fresh", flow="outbound", length_mm=1)
    for weekday, minute, told in (
        (2, 1320, None),
        (3, 119, None),
        (3, 120, 'time says "22:00..02:00", the parcel has 02:00; days says "3", the parcel has 4'),
        (2, 119, 'days says "3", the parcel has 2'),
        (1, 1320, 'days says "3", the parcel has 2'),
        (2, 600, 'time says "22:00..02:00", the parcel has 10:00'),
    ):
        found = explain.explain(small._replace(rules=(night,)), late._replace(weekday=weekday, minute=minute), 30)
        if told is None:
            assert found.row == 30
        else:
            assert isinstance(found.expected, Missed)
            assert found.expected.said.told("en").endswith(f"fit: {told}")


def test_the_text_goes_step_by_step(small: Checked) -> None:
    question = EXPRESS._replace(codes=("SF123456789012",), length_mm=1300)
    cells = "carrier SF|YTO; station V0*; service express; flow inbound; weight_g 0..3000; "
    cells += "time 08:00..12:30; days 1..5; send_to BUS"
    trips = "Mon 14:30 (cut-off 14:15, 100 items); Tue 08:00 (cut-off 07:45, 100 items); "
    trips += "Tue 14:30 (cut-off 14:15, 100 items)"
    assert explain.explain(small, question, 40).told("en").splitlines() == [
        "1. SF123456789012 is a waybill; it fits SF",
        "2. it is neither intercepted nor cancelled",
        "3. advice: station V001 (双龙镇), carrier SF, service express, inbound",
        f"4. rule 20 (rules row 3) is the first that fits: {cells}",
        f"5. next trips of lane BUS: {trips}; when that trip is full it goes by lane TRUCK",
        "6. chutes on line L1: 101 (100 items)",
        "→ rule 40 fits too, but rule 20 above decided first",
        "rules above that nearly fit:",
        '   rule 10 (row 2) does not fit: weight_g says ">30000", the parcel has 500',
        "later rules that fit too and were not asked: 40",
    ]
    told = explain.explain(small, question, 40).told("zh")
    assert "3. 预报：站点 V001（双龙镇），承运商 SF，服务 express，进港" in told
    assert "周一 14:30 发车（14:15 截止，100 件）；" in told
    assert "规则 10（第 2 行）不符合：重量(克) 写的是“>30000”，包裹为：500" in told


@pytest.mark.parametrize(
    ("question", "reason", "step"),
    [
        (Question(codes=("",)), Reason.NO_READ, "no code was read"),
        (Question(codes=("HELLO", "531")), Reason.UNKNOWN_CODE, "HELLO, 531: no carrier's waybill format fits"),
        (Question(codes=CODES[:2]), Reason.MULTI_CODE, "SF000000000001, SF000000000002 are two different waybills"),
        (Question(intercepted=True, cancelled=True), Reason.INTERCEPT, "it is on the intercept list"),
        (Question(cancelled=True), Reason.CANCELLED, "the carrier has cancelled it"),
        (Question(), Reason.NO_ADVICE, "no advice, and no sort code among the codes names one station"),
        (EXPRESS._replace(weight_g=30_001), Reason.OVERWEIGHT, "too heavy for the line: exception chute 104"),
        (
            Question(codes=("YT0000000000001", "531-A03-12-7")),
            Reason.PLANNED,
            "no advice; the sort code on the label names station V001 (双龙镇), carrier YTO",
        ),
        (Question(station="C01"), Reason.PLANNED, "none of 4 rules fits"),
        (Question(station="C01"), Reason.PLANNED, "it goes by lane TRUCK of station C01"),
        (Question(station="O01"), Reason.PLANNED, "lane PLANE has no timetable: it always departs"),
        (Question(station="C01", length_mm=2000, line="L2"), Reason.MAX_LAPS, "chute 102 is not on line L2"),
    ],
)
def test_each_step_is_told(small: Checked, question: Question, reason: Reason, step: str) -> None:
    if reason == Reason.MAX_LAPS:  # no chute of TRUCK on L2
        small = small._replace(
            chutes=tuple(row._replace(lanes=("PLANE",)) if row.line == "L2" else row for row in small.chutes)
        )
    found = explain.explain(small, question)
    assert found.reason == reason
    assert any(step in each.said.told("en") for each in found.steps)


def test_what_is_left_out_is_as_the_defaults_say(small: Checked) -> None:
    bare, full = (
        Question(station="C01"),
        Question(station="C01", line="L1", carrier="SF", service="Standard", weight_g=0),
    )
    told, told_in_full = explain.explain(small, bare, now_min=4 * 1440 + 75), explain.explain(small, full)
    assert told.steps[0].said.told("en") == (
        "what was not told is taken as: line L1; carrier SF; service standard; flow inbound; "
        "weight no measure; length no measure; day Fri; time 01:15"
    )
    assert "流向 进港；重量 未测量" in told.steps[0].said.told("zh")
    assert told_in_full.steps[0].said.told("en") == (
        "what was not told is taken as: flow inbound; weight no measure; length no measure; day Mon; time 08:00"
    )
    whole = full._replace(flow="inbound", weight_g=5, length_mm=5, weekday=0, minute=480)
    assert explain.explain(small, whole).steps[0].name == "codes"
    by_code = explain.explain(small, Question(codes=("YT0000000000001",), station="C01"))
    assert "carrier YTO" in by_code.steps[3].said.told("en")


def test_a_trip_whose_cut_off_is_now_has_gone(small: Checked) -> None:
    trips = next(each for each in explain.explain(small, EXPRESS._replace(minute=465)).steps if each.name == "trips")
    assert "lane BUS: Mon 14:30 (" in trips.said.told("en")
    trips = next(each for each in explain.explain(small, EXPRESS._replace(minute=464)).steps if each.name == "trips")
    assert "lane BUS: Mon 08:00 (" in trips.said.told("en")


@pytest.mark.parametrize(("label", "named"), [("123456789012", False), ("800", False), ("531", True)])
def test_a_sort_code_counts_for_one_carrier_and_is_no_waybill(small: Checked, label: str, named: bool) -> None:
    both = tuple(row._replace(waybill=r"\d{12}", valid_from="") for row in small.carriers[1:])
    code = small.sort_codes[0]
    keys = (("123456789012", ("YTO",)), ("800", ("SF", "YTO")), ("531", ("YTO",)))
    codes = tuple(code._replace(carrier=Words(negated=False, items=names), key=key) for key, names in keys)
    site = small._replace(carriers=both, sort_codes=codes)
    found = explain.explain(site, Question(codes=("123456789012", label)))
    assert (found.reason != Reason.NO_ADVICE) == named


def test_a_rule_that_names_a_chute_does_not_spill(small: Checked) -> None:
    site = small._replace(rules=(small.rules[3]._replace(send_to=rows.SendTo(Target.CHUTE, "101")),))
    steps = explain.explain(site, EXPRESS._replace(service="", length_mm=1300)).steps
    trips = next(each for each in steps if each.name == "trips")
    assert trips.said.told("en").endswith("when that trip is full it waits for the next")


@pytest.mark.parametrize(
    ("carrier", "station", "service"),
    [("SF", "V298", "standard"), ("QQQ", "V001", "standard"), ("SF", "V001", "overnight")],
)
def test_a_recorded_advice_that_names_what_is_not_known_says_nothing(
    small: Checked, carrier: str, station: str, service: str
) -> None:
    known = RecordedAdvice(carrier, station, service, flow="inbound", cancelled=True)
    parcel = RecordedParcel(MONDAY, "L1", ("YT0000000000001", "531-A03-12"), 1, 1, known, intercepted=False)
    question = question_of(parcel, small)
    found = explain.explain(small, question)
    assert found.reason == Reason.PLANNED
    told = found.told("en")
    assert f'the tables do not know "{question.unknown}" of its advice' in told
    assert "no advice; the sort code on the label names station V001" in told
    assert explain.explain(small, question._replace(station="C01")).told("en").count("do not know") == 0


def test_a_format_not_yet_in_use_fits_nothing(small: Checked) -> None:
    early, late = (Question(codes=("123456789012",), station="C01", date=date) for date in ("2025-12-31", "2026-01-01"))
    assert explain.explain(small, early).reason == Reason.UNKNOWN_CODE
    assert explain.explain(small, late).reason == Reason.PLANNED


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(station="V003"), 'station "V003" is not in the tables; did you mean "V002"?'),
        (Question(line="X"), 'line "X" is not in the tables'),
        (Question(carrier="QQQ"), 'carrier "QQQ" is not in the tables'),
        (Question(service="expres"), 'service "expres" is not in the tables; did you mean "express"?'),
        (Question(flow="inbond"), 'flow "inbond" is not in the tables; did you mean "inbound"?'),
    ],
)
def test_a_name_that_is_not_there_is_refused(small: Checked, question: Question, told: str) -> None:
    with pytest.raises(UnknownName) as caught:
        explain.explain(small, question)
    assert str(caught.value) == told
    assert "不在规则表中" in caught.value.said.told("zh")


def test_only_the_nearest_rows_are_shown(tmp_path: Path) -> None:
    tables = copy_of_small()
    row = ["", "", "", "", "", "", "", "", "", "", "BUS", ""]
    tables["rules"] = [tables["rules"][0], *([str(at), "YTO", "V001", *row[3:]] for at in range(1, 8))]
    tables["rules"] += [[str(at), "YTO", *row[2:]] for at in range(8, 15)]
    tables["rules"] += [["15", "YTO", "V001", "", "express", *row[5:]]]
    checked = rulebook.check_folder(write(tmp_path, tables), LINES, OFFSET_NS)
    near = explain.explain(checked, Question(station="C01", carrier="SF")).near
    assert [each.row for each in near] == [*range(8, 15), 1, 2, 3]


def test_sentences_have_the_same_facts_in_both_languages() -> None:
    sentences = [each for each in vars(explain).values() if isinstance(each, Sentence)]
    assert len(sentences) > 30
    for each in sentences:
        assert set(re.findall(r"{(\w+)}", each.zh)) == set(re.findall(r"{(\w+)}", each.en)), each
