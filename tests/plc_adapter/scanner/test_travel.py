"""The travel to the reader is measured where one time alone fits, whatever travel_ms says, and is never a wrong one."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plc_adapter.scanner.gateway import Gateway
from plc_adapter.scanner.pairing import Tracking, Travel
from plc_adapter.scanner.pairing.travel import CANDIDATES, ITEMS, RANGE_NS, READINGS_MAX
from plc_adapter.scanner.settings import resolve
from sorter import limits

MS: Final = 1_000_000
START: Final = 10_000_000 * MS
WINDOW: Final = 50
RANGE: Final = RANGE_NS // MS
LINE: Final = "L2"
WRONG: Final = Tracking(travel_ms=900, window_ms=WINDOW)
BY_ID: Final = Tracking(travel_ms=900, window_ms=WINDOW, by="id")

Readings = list[tuple[float, int]]
"""(when it came, ms; the item that the reader was told of)"""


def told(tracking: Tracking, items: Sequence[float | None], readings: Readings) -> list[str]:
    """What is told of items 1, 2, … that counted at these ms (None: the PLC did not tell), and of readings."""
    travel = Travel(LINE, tracking)
    calls = [(at, 0, number) for number, at in enumerate(items, 1) if at is not None]
    calls += [(at, 1, number) for at, number in readings]
    news = []
    for at, kind, number in sorted(calls):
        t_ns = START + round(at * MS)
        if kind:
            travel.read(t_ns, number)
        else:
            travel.entered(number, t_ns)
        travel.due(t_ns)
        news += travel.news()
    travel.due(START + round(max(call[0] for call in calls) * MS) + RANGE_NS + 1)
    return news + travel.news()


def measured(news: list[str]) -> list[float]:
    """Each travel that it says to write, in ms."""
    return [float(found) for words in news for found in re.findall(r"write travel_ms = ([\d.]+) ", words)]


def belt(gaps: list[int], travel: float, jitter: list[int] | None = None) -> tuple[list[float], Readings]:
    items = [float(at) for at in accumulate(gaps)]
    late = jitter or [0] * len(items)
    return items, [(at + travel + by, number) for number, (at, by) in enumerate(zip(items, late, strict=True), 1)]


def test_a_wrong_travel_is_measured_and_told_once() -> None:
    chance = random.Random(1)
    items, readings = belt([chance.randint(200, 2000) for _ in range(300)], 13_333)
    assert told(WRONG, items, readings) == [
        "readings come 13.33 s after an item counts; travel_ms is 900: write travel_ms = 13330 in [tracking.L2]"
    ]


def test_it_is_told_again_when_it_changes() -> None:
    chance = random.Random(2)
    items, readings = belt([chance.randint(500, 2000) for _ in range(400)], 13_333)
    moved = [(at + (2000 if number > 200 else 0), number) for at, number in readings]
    assert measured(told(WRONG, items, moved)) == [13_330, 15_330]


def test_a_right_travel_is_not_told() -> None:
    chance = random.Random(3)
    gaps = [chance.randint(200, 2000) for _ in range(300)]
    jitter = [chance.randint(-WINDOW, WINDOW) for _ in gaps]
    assert told(WRONG, *belt(gaps, 900, jitter)) == []
    assert told(WRONG, *belt([1000] * 300, 900)) == []  # nor that another distance would fit as well


def test_a_line_whose_reader_says_nothing_tells_nothing() -> None:
    assert told(WRONG, [float(1000 * number) for number in range(100)], []) == []


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    travel=st.integers(WINDOW, 40_000),
    least=st.integers(60, 600),
    by=st.sampled_from([WRONG, BY_ID]),
    lost=st.sampled_from([0.0, 0.1]),
)
def test_of_random_gaps_the_travel_is_measured_within_a_window(
    seed: int, travel: int, least: int, by: Tracking, lost: float
) -> None:
    """Parcels jitter by half a window; some are not read, and some read of which the PLC does not tell."""
    assume(abs(travel - by.travel_ms) > 3 * WINDOW)
    chance = random.Random(seed)
    count = 6 * ITEMS
    gaps = [least + round(chance.expovariate(1 / (6 * WINDOW))) for _ in range(count)]
    items, readings = belt(gaps, travel, [chance.randint(-WINDOW // 2, WINDOW // 2) for _ in range(count)])
    seen = [reading for reading in readings if chance.random() >= lost]
    known = [at if chance.random() >= lost else None for at in items]
    found = measured(told(by, known, seen))
    assert all(abs(one - travel) <= WINDOW for one in found)
    assert found or lost or by.by == "order"


@pytest.mark.parametrize("travel", [WINDOW, 400, 2500, 13_333, 40_000])
def test_ordinary_belts_are_measured_by_order(travel: int) -> None:
    """Parcels as far apart as four windows at least: nearly every belt tells after few rounds, and none wrongly."""
    count = 0
    for seed in range(40):
        chance = random.Random(seed)
        gaps = [4 * WINDOW + round(chance.expovariate(1 / (4 * WINDOW))) for _ in range(400)]
        found = measured(told(WRONG, *belt(gaps, travel, [chance.randint(-25, 25) for _ in gaps])))
        assert all(abs(one - travel) <= WINDOW for one in found), seed
        count += bool(found)
    assert count >= 38


@settings(max_examples=200, deadline=None)
@given(
    gap=st.integers(101, 3000),
    travel=st.integers(0, 40_000),
    count=st.integers(1, 4 * ITEMS),
    shake=st.integers(0, 20),
    unread=st.sampled_from([0.0, 0.05]),
)
def test_of_equal_gaps_no_travel_is_claimed(gap: int, travel: int, count: int, shake: int, unread: float) -> None:
    chance = random.Random(gap)
    items, readings = belt([gap] * count, travel, [chance.randint(-shake, shake) for _ in range(count)])
    seen = [reading for reading in readings if chance.random() >= unread]
    news = told(WRONG, items, seen)
    assert all(abs(one - travel) <= WINDOW for one in measured(news))
    if count >= 2 * ITEMS and not unread and travel > 2 * gap:
        assert measured(news) == []


@settings(max_examples=300, deadline=None)
@given(
    gaps=st.lists(st.integers(101, 2000), min_size=1, max_size=12),
    travel=st.integers(0, 55_000),
    times=st.integers(8, 40),
    adapter=st.integers(0, 100),
)
def test_no_pattern_of_gaps_makes_it_claim_a_wrong_travel(
    gaps: list[int], travel: int, times: int, adapter: int
) -> None:
    """Also where the adapter starts in the middle, and knows none of the items that are read first."""
    items, readings = belt(gaps * times, travel)
    since = items[min(adapter, len(items) - 1)]
    news = told(WRONG, [at for at in items if at >= since], [one for one in readings if one[0] >= since])
    assert all(abs(one - travel) <= WINDOW for one in measured(news))


def test_equal_distances_are_told_for_what_they_are() -> None:
    news = told(WRONG, *belt([700] * 200, 2200))
    assert len(news) == 1
    assert news[0].startswith("travel_ms = 900 in [tracking.L2] brings no readings to the items; ")
    assert news[0].endswith("let parcels come at uneven distances, then it is measured")


def test_a_belt_of_cells_is_measured_where_a_third_of_them_is_empty() -> None:
    """Of 32 items another distance may have nearly as many votes; of 64 none has."""
    for seed in range(20):
        chance = random.Random(seed)
        occupied = [333 * next(cells for cells in range(1, 99) if chance.random() < 0.65) for _ in range(600)]
        news = told(WRONG, *belt(occupied, 13_333))
        assert (len(news), measured(news)) == (1, [13_330]), seed  # and no doubt was told before


@pytest.mark.parametrize("by", [WRONG, BY_ID])
def test_the_laps_of_a_loop_are_no_further_travels(by: Tracking) -> None:
    chance = random.Random(4)
    items, readings = belt([chance.randint(400, 4000) for _ in range(150)], 7000)
    laps = [(at + lap * 24_010, number) for at, number in readings for lap in range(4)]
    loop = Tracking(travel_ms=900, window_ms=WINDOW, lap_ms=24_000, by=by.by)
    assert measured(told(loop, items, laps)) == [7000]


def test_by_id_the_number_tells_on_a_belt_of_equal_distances() -> None:
    items, readings = belt([700] * 100, 2310)
    assert measured(told(BY_ID, items, readings)) == [2310]
    low = Tracking(travel_ms=900, window_ms=WINDOW, by="id", id_bits=16)
    travel = Travel(LINE, low)
    for number in range(ITEMS):
        t_ns = START + 700 * number * MS
        travel.entered(limits.ITEM_NUMBER_MAX - number, t_ns)
        travel.read(t_ns + 310 * MS, (limits.ITEM_NUMBER_MAX - number) & 0xFFFF)
    travel.due(START + 700 * ITEMS * MS + RANGE_NS)
    assert measured(travel.news()) == [310]


def test_a_reader_before_the_items_sensor_is_told_as_that() -> None:
    chance = random.Random(5)
    (news,) = told(WRONG, *belt([chance.randint(400, 4000) for _ in range(100)], -1500))
    assert news.startswith("readings come 1.50 s before their items count; let the PLC count an item before")


@pytest.mark.parametrize("travel", [-30, -4, 0, 4])
def test_a_reader_at_the_items_sensor_is_told_no_travel_that_would_be_refused(travel: int) -> None:
    chance = random.Random(5)
    (news,) = told(WRONG, *belt([chance.randint(400, 4000) for _ in range(100)], travel))
    begins = "readings come 0.03 s before" if travel == -30 else "readings come as"
    assert news.startswith(f"{begins} their items count; let the PLC count an item before it is at the reader")


@settings(max_examples=200, deadline=None)
@given(window=st.integers(10, 800).map(lambda tenths: tenths / 10), travel=st.integers(100_000, 500_000))
def test_a_travel_that_is_told_is_exact_to_a_quarter_of_the_window(window: float, travel: int) -> None:
    """So what is written by it is never what stands there, and brings the readings to the items."""
    chance = random.Random(10)
    narrow = Tracking(travel_ms=travel / 100 + 1.3 * window, window_ms=window)
    items, readings = belt([chance.randint(900, 5000) for _ in range(2 * ITEMS)], travel / 100)
    (news,) = told(narrow, items, readings)
    (found,) = measured([news])
    assert abs(found - travel / 100) <= min(10, window / 4) / 2 + 1e-6
    assert found != narrow.travel_ms
    assert f"come {found / 1000:.10g}" in re.sub(r"0+ s after", "", news)


def test_a_travel_beyond_its_range_is_not_measured() -> None:
    """What is nearer is another parcel's reading, and would be told in its place."""
    chance = random.Random(11)
    far = Tracking(travel_ms=RANGE - WINDOW + 1, window_ms=WINDOW)
    items, readings = belt([chance.randint(400, 4000) for _ in range(100)], 2300)
    assert told(far, items, readings) == []
    assert measured(told(Tracking(travel_ms=RANGE - WINDOW, window_ms=WINDOW), items, readings)) == [2300]


def test_a_doubt_names_two_travels_that_can_be_written() -> None:
    for gap, travel in [(700, 2200), (1000, 2000), (333, 13_333), (1800, 4)]:
        (news,) = told(WRONG, *belt([gap] * (5 * RANGE // gap), travel))
        one, other = (int(ms) for ms in re.findall(r"(\S+) ms(?= and| do)", news))
        assert 0 < one < other <= one + gap + 10, news
        assert "before" not in news
        assert abs((travel - one + gap / 2) % gap - gap / 2) <= 10


def test_a_doubt_stops_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an even and dense belt a hundred distances do alike, and each that is looked for costs the loop time."""
    picked: list[int] = []
    found = Travel._found

    def count(*of: Any) -> list[int]:
        candidates = found(*of)
        picked.append(len(candidates))
        return candidates

    monkeypatch.setattr(Travel, "_found", count)
    (news,) = told(WRONG, *belt([120] * 2000, 960))
    assert "do alike" in news
    assert max(picked) == CANDIDATES


def test_the_delay_of_telegrams_is_no_travel() -> None:
    chance = random.Random(6)
    slow = Tracking(travel_ms=900, window_ms=WINDOW, delay_ms=300)
    assert measured(told(slow, *belt([chance.randint(400, 4000) for _ in range(100)], 2300))) == [2000]


def test_a_clock_that_goes_back_begins_anew() -> None:
    chance = random.Random(7)
    travel = Travel(LINE, WRONG)
    items, readings = belt([chance.randint(400, 4000) for _ in range(100)], 2300)
    for number in range(ITEMS):
        travel.entered(number, START + 10**9 * MS)
    travel.due(START + 10**9 * MS)
    for at, kind, number in sorted([(at, 0, 1) for at in items] + [(at, 1, 1) for at, _ in readings]):
        t_ns = START + round(at * MS)
        travel.due(t_ns)
        if kind:
            travel.read(t_ns, None)
        else:
            travel.entered(round(at), t_ns)
        assert number
    travel.due(START + round(items[-1] * MS) + 2 * RANGE_NS)
    assert measured(travel.news()) == [2300]


def test_a_flood_of_readings_is_bounded_and_claims_nothing() -> None:
    items, _ = belt([700] * ITEMS, 0)
    flood = [(items[0] + 7.0 * number, number) for number in range(3 * READINGS_MAX)]
    assert told(WRONG, items, flood) == []
    travel = Travel(LINE, WRONG)
    for number in range(2 * READINGS_MAX):
        travel.entered(number, START)
        travel.read(START, number)
    assert (len(travel._items), len(travel._readings)) == (ITEMS, READINGS_MAX)


def test_a_steady_chatter_has_no_one_time() -> None:
    items = [110.0 * number for number in range(ITEMS)]
    chatter = [(20_000 + 60.0 * number, number) for number in range(170)]
    assert measured(told(WRONG, items, chatter)) == []


def test_few_readings_prove_nothing() -> None:
    items = [1000.0 * number for number in range(ITEMS)]
    assert told(BY_ID, items, [(items[number - 1] + 2300, number) for number in (3, 4, 5)]) == []


def test_more_readings_than_are_kept_end_a_round() -> None:
    chance = random.Random(9)
    narrow = Tracking(travel_ms=900, window_ms=2)
    assert measured(told(narrow, *belt([chance.randint(20, 60) for _ in range(3000)], 3000))) == [3000]


def test_the_gateway_tells_it_and_pairs_as_before() -> None:
    """Through telegrams, with the clock in steps; what is posted has no codes, for nothing is guessed."""
    chance = random.Random(8)
    head = resolve({"line": LINE, "host": "10.0.0.9", "port": 2112})
    scans: list[tuple[str, ...]] = []
    gateway = Gateway(LINE, {"top": head}, WRONG, lambda scan: scans.append(tuple(scan.codes)))
    items, readings = belt([chance.randint(1500, 9000) for _ in range(40)], 13_330)
    calls = [(at, 0, number) for number, at in enumerate(items, 1)] + [(at, 1, number) for at, number in readings]
    calls += [(float(at), 2, 0) for at in range(0, round(items[-1]) + 2 * RANGE, 40)]
    news: list[str] = []
    for at, kind, number in sorted(calls):
        now_ns = START + round(at * MS)
        if kind == 0:
            gateway.entered(number, now_ns, now_ns)
        elif kind == 1:
            gateway.telegram("top", f"JT{number}".encode(), now_ns)
        gateway.due(now_ns)
        news += gateway.news()
    assert measured(news) == [13_330]
    assert [codes for codes in scans if codes] == []
    assert min(second - first for first, second in pairwise(items)) > 2 * WINDOW
