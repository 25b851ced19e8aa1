"""The cell language means what rules/README says, and a slow reading of it agrees."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorter import limits
from sorter.rulebook import cells, mistakes
from sorter.rulebook.cells import ALL_DAYS, ANY_WORD, CellError, Vocabulary

CARRIERS_CSV = mistakes.IN_FILE.about(file="carriers.csv")
NAMES = ("780", "781", "79", "SF", "大昌镇")
KNOWN = Vocabulary(mistakes.CARRIER, CARRIERS_CSV, NAMES, {"顺丰": "SF"})


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", set(NAMES)),
        ("-", set(NAMES)),
        ("SF", {"SF"}),
        ("顺丰", {"SF"}),
        ("SF|79", {"SF", "79"}),
        ("SF | 79", {"SF", "79"}),
        ("!SF", {"780", "781", "79", "大昌镇"}),
        ("!SF|79", {"780", "781", "大昌镇"}),
        ("78*", {"780", "781"}),
        ("!7*|SF", {"大昌镇"}),
    ],
)
def test_words(text: str, meant: set[str]) -> None:
    words = cells.words(text, KNOWN)
    assert {name for name in NAMES if words.has(name)} == meant


@given(st.lists(st.sampled_from([*NAMES, "7*", "78*", "大*"]), min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_words_against_a_plain_reading(parts: list[str], negated: bool) -> None:
    words = cells.words("!" * negated + "|".join(parts), KNOWN)
    for name in NAMES:
        fits = any(name.startswith(part[:-1]) if part[-1] == "*" else name == part for part in parts)
        assert words.has(name) == (fits != negated)


def test_the_order_in_a_cell_is_no_part_of_its_meaning() -> None:
    assert cells.words("SF|79|SF", KNOWN) == cells.words("79|SF", KNOWN)
    assert cells.spans("0..5|3..9", 100, mistakes.GRAMS) == cells.spans("0..9", 100, mistakes.GRAMS)
    assert cells.days("2|1|1") == cells.days("1-2")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", ()),
        ("500", ((500, 500),)),
        ("0..3000", ((0, 3000),)),
        ("0 .. 3000", ((0, 3000),)),
        (">3000", ((3001, 9999),)),
        (">=3000", ((3000, 9999),)),
        ("<600", ((0, 599),)),
        ("<=600", ((0, 600),)),
        ("5|1..2", ((1, 2), (5, 5))),
        ("1..2|3..4", ((1, 4),)),
    ],
)
def test_spans(text: str, meant: cells.Spans) -> None:
    assert cells.spans(text, 9999, mistakes.GRAMS) == meant


_SPAN = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted)


@given(st.lists(_SPAN, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_spans_against_a_plain_reading(parts: list[list[int]]) -> None:
    spans = cells.spans("|".join(f"{low}..{high}" for low, high in parts), 60, mistakes.GRAMS)
    for value in range(61):
        assert any(low <= value <= high for low, high in spans) == any(low <= value <= high for low, high in parts)
    assert all(after[0] > before[1] + 1 for before, after in pairwise(spans))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("08:00..12:30", ((480, 750),)),
        ("8:00..12:30", ((480, 750),)),
        ("08:00:00..12:30:00", ((480, 750),)),
        ("22:00..02:00", ((1320, 1560),)),
        ("18:00..24:00", ((1080, 1440),)),
        ("18:00..00:00", ((1080, 1440),)),
        ("00:00..24:00", ((0, 1440),)),
        ("06:00..07:00|09:00..10:00", ((360, 420), (540, 600))),
        ("06:00..08:00|07:00..10:00", ((360, 600),)),
    ],
)
def test_times(text: str, meant: cells.Spans) -> None:
    assert cells.times(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", ALL_DAYS),
        ("1", (0,)),
        ("1-5", (0, 1, 2, 3, 4)),
        ("1..5", (0, 1, 2, 3, 4)),
        ("周一..周五", (0, 1, 2, 3, 4)),
        ("周一至周五", (0, 1, 2, 3, 4)),
        ("星期六~星期日", (5, 6)),
        ("sat|Sun", (5, 6)),
        ("sat..mon", (0, 5, 6)),
        ("Friday", (4,)),
        ("日", (6,)),
        ("!7", (0, 1, 2, 3, 4, 5)),
        ("!sat|sun", (0, 1, 2, 3, 4)),
    ],
)
def test_days(text: str, meant: tuple[int, ...]) -> None:
    assert cells.days(text) == meant


def test_single_values() -> None:
    assert cells.departures("14:30|8:00") == (480, 870)
    assert cells.capacity("") == cells.capacity("-") == 0
    assert cells.capacity("120") == 120
    assert cells.capacity(str(limits.CAPACITY_MAX)) == limits.CAPACITY_MAX
    with pytest.raises(CellError, match="from 1 to 1000000"):
        cells.capacity(str(limits.CAPACITY_MAX + 1))
    assert (cells.metres("36"), cells.metres("36.5")) == (36_000, 36_500)
    assert cells.date("2026-11-01") == cells.date("2026/11/1") == cells.date("2026年11月1日") == "2026-11-01"
    assert cells.date("") == ""
    assert cells.free_words("Express|COLD") == cells.Words(negated=False, items=("cold", "express"))
    assert cells.free_words("-") == ANY_WORD
    assert cells.listed("SF|780|SF", KNOWN) == ("SF", "780")


NUMBERS = ["5.7E+02", "1.23E+12", "3.4012345E+17", "1e+5", "1.5E5", "SF|1.23E+12", "0..1E+5"]
DATES = [
    "1月2日",
    "2026/1/2",
    "2026-01-02",
    "2-Jan",
    "Jan-02",
    "1/2/2026",
    "2026年1月2日",
    "A|1月2日",
    "2026-01-02 00:00:00",
]
FAULTS = ["#NAME?", "#REF!", "#N/A", "#DIV/0!", "#VALUE!", "########", "=A1+1"]


@pytest.mark.parametrize("text", [*NUMBERS, *DATES, *FAULTS])
def test_what_a_spreadsheet_has_spoilt_is_refused(text: str) -> None:
    with pytest.raises(CellError, match=r"text|value"):
        cells.undamaged(text)


@pytest.mark.parametrize(
    "text", ["57E1", "E05", "1E05", "531-A03", "1-2", "05:00", "0571", "GZ/A1", "1..5", "8:00..9:00"]
)
def test_what_only_looks_like_it_is_kept(text: str) -> None:
    assert cells.undamaged(text) == text


def test_a_date_is_no_damage_where_dates_stand() -> None:
    assert cells.undamaged("2026/1/2", date=True) == "2026/1/2"


def test_suggestions_stop_when_a_whole_column_is_wrong() -> None:
    many = Vocabulary(mistakes.STATION, mistakes.IN_PLAN, [f"V{number:04d}" for number in range(4000)])
    hints = 0
    for number in range(300):
        with pytest.raises(CellError) as caught:
            many.find(f"W{number:04d}")
        hints += "did you mean" in str(caught.value)
    assert hints == 64
