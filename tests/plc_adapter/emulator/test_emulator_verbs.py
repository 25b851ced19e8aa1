"""What a scenario does to a plant happens when it is said, ends by itself, and leaves all else as it was."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.emulator.plant import (
    BLOCKED,
    CHANGING,
    DROPPED,
    FULL,
    NEVER_NS,
    NS_PER_S,
    OPEN,
    PASSED,
    Entered,
    Left,
    Plant,
    Sensed,
)
from tests.plc_adapter.emulator.hosts import Order, drive
from tests.plc_adapter.emulator.plants import chutes_of, left, plant_of


def sensed(plant: Plant) -> list[tuple[float, int, int]]:
    return [(each.t_ns / NS_PER_S, each.chute, each.state) for each in plant.plc if isinstance(each, Sensed)]


def test_a_jam_keeps_parcels_out_and_goes_by_itself() -> None:
    plant = plant_of([0.0, 30.0])
    drive(plant, [Order(0.0, 103, 104), Order(0.0, 103, 104)], [(5.0, lambda plant: plant.block(103, 40))])
    assert plant.drop_chute == [104, 103]
    assert sensed(plant) == [(5.0, 103, BLOCKED), (45.0, 103, OPEN)]


def test_a_jam_that_ends_sooner_changes_nothing() -> None:
    plant = plant_of([])
    plant.block(103, 600)
    plant.advance(60 * NS_PER_S)
    plant.block(103, 10)
    plant.advance(1000 * NS_PER_S)
    assert sensed(plant) == [(0.0, 103, BLOCKED), (600.0, 103, OPEN)]


def test_a_jam_that_ends_later_counts() -> None:
    plant = plant_of([])
    plant.block(103, 40)
    plant.advance(10 * NS_PER_S)
    plant.block(103, 100)
    plant.advance(300 * NS_PER_S)
    assert sensed(plant) == [(0.0, 103, BLOCKED), (10.0, 103, BLOCKED), (110.0, 103, OPEN)]


def test_a_full_chute_waits_for_staff_as_ever() -> None:
    plant = plant_of([0.0], chutes_of(100))
    drive(plant, [Order(0.0, 103)])
    plant.fill(103)
    filled_s = plant.now_ns / NS_PER_S
    plant.advance(plant.now_ns + 300 * NS_PER_S)
    (full_s, *_), (changing_s, *_), (open_s, *_) = sensed(plant)
    assert [state for _, _, state in sensed(plant)] == [FULL, CHANGING, OPEN]
    assert full_s == filled_s
    assert 30 <= changing_s - full_s <= 120
    assert 15 <= open_s - changing_s <= 45
    assert (plant.bags, plant.bins()[2].count) == (1, 0)


def test_a_chute_that_is_told_full_twice_keeps_its_staff_waiting_for_the_longer_time() -> None:
    plant = plant_of([])
    plant.fill(103)
    plant.advance(10 * NS_PER_S)
    served_ns = plant._bins[103].served_ns
    for _ in range(20):
        plant.fill(103)
        assert plant._bins[103].served_ns >= served_ns
        served_ns = plant._bins[103].served_ns


def test_a_jammed_chute_stays_jammed_whatever_its_sensor_says_and_is_full_thereafter() -> None:
    plant = plant_of([])
    plant.block(103, 600)
    plant.advance(60 * NS_PER_S)
    plant.fill(103)
    plant.advance(1000 * NS_PER_S)
    assert [state for _, _, state in sensed(plant)] == [BLOCKED, FULL, CHANGING, OPEN]
    assert sensed(plant)[1] == (600.0, 103, FULL)
    plant.block(103, 10)
    plant.advance(2000 * NS_PER_S)
    assert [state for _, _, state in sensed(plant)[4:]] == [BLOCKED, OPEN]  # it has a new bag


def test_what_is_mended_goes_on_at_once() -> None:
    plant = plant_of([0.0, 1.0])
    plant.block(103, 10_000)
    plant.block(104, 10_000)
    plant.fill(104)
    plant.miss(1000)
    plant.advance(5 * NS_PER_S)
    plant.stop(10_000)
    plant.advance(65 * NS_PER_S)
    plant.mend()
    assert not plant.stands
    assert sensed(plant)[-2:] == [(65.0, 103, OPEN), (65.0, 104, FULL)]
    drive(plant, [Order(0.0, 103), Order(0.0, 103)])
    assert (plant.drop_chute, plant.drop_ns) == ([103, 103], [(10 + 60 + 25) * NS_PER_S, (11 + 60 + 25) * NS_PER_S])
    assert plant.missed == 0
    before = list(plant.plc)
    plant.mend()
    assert list(plant.plc) == before


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2400).map(lambda eighth: eighth / 8), max_size=20).map(sorted),
    st.integers(0, 300),
    st.integers(1, 100),
    st.integers(1, 1000),
)
def test_a_stop_that_is_mended_is_one_that_ended_then(
    times_s: list[float], at_s: int, stood_s: int, more_s: int
) -> None:
    one, other = plant_of(times_s), plant_of(times_s)
    mended_s = at_s + stood_s
    orders = [Order(0.0, 101 + at % 6, 106) for at in range(len(times_s))]
    drive(one, orders, [(at_s, lambda plant: plant.stop(stood_s))])
    drive(other, orders, [(at_s, lambda plant: plant.stop(stood_s + more_s)), (mended_s, lambda plant: plant.mend())])
    assert (one.plc, one.scan_ns) == (other.plc, other.scan_ns)
    assert (one.drop_chute, one.drop_ns) == (other.drop_chute, other.drop_ns)


def test_a_report_is_missing_only_of_what_dropped() -> None:
    """The first parcel's chute is blocked: it goes round, and the restart takes its report with the second's."""
    plant = plant_of([0.0, 1.0])
    plant.block(103, 10_000)
    drive(plant, [Order(0.0, 103), Order(0.0, 104)], until_s=100)
    assert left(plant) == [(103, PASSED), (104, DROPPED)]
    plant.restart()
    assert plant.unreported == {(1, 2)}


def test_a_chute_that_was_full_when_it_got_blocked_is_full_thereafter() -> None:
    plant = plant_of([0.0, 1.0], chutes_of(2))
    drive(plant, [Order(0.0, 103)] * 2)
    plant.block(103, 10)
    plant.advance(plant.now_ns + 300 * NS_PER_S)
    assert [state for _, _, state in sensed(plant)] == [FULL, BLOCKED, FULL, CHANGING, OPEN]
    assert plant.bags == 1


def test_as_many_diverts_fail_as_are_said_and_only_such_as_would_drop() -> None:
    plant = plant_of([0.0, 5.0, 10.0])
    plant.block(102, 60)
    plant.miss(1)
    plant.miss(1)
    drive(plant, [Order(0.0, 102), Order(0.0, 103), Order(0.0, 103)])
    assert left(plant)[:3] == [(102, PASSED), (103, PASSED), (103, PASSED)]
    assert (plant.missed, plant.laps) == (2, [1, 1, 1])
    assert plant.drop_chute == [102, 103, 103]


def test_a_belt_that_stands_keeps_its_parcels_and_takes_orders() -> None:
    """The first parcel has passed chute 101 when the belt stops, and 102 not yet."""
    plant = plant_of([0.0])
    plant.advance(10 * NS_PER_S)
    item = plant.scans[0].item
    plant.advance(26 * NS_PER_S)
    plant.stop(100)
    plant.advance(50 * NS_PER_S)
    assert plant.riders()[0].position_m == 32.0
    plant.divert(item, 101, 102, NEVER_NS)
    plant.advance(129 * NS_PER_S)
    assert not plant.done
    plant.advance(130 * NS_PER_S)
    assert plant.plc[-1] == Left(130 * NS_PER_S, item, 102, DROPPED)


def test_an_order_given_before_the_belt_stood_still_holds() -> None:
    plant = plant_of([0.0])
    drive(plant, [Order(0.0, 104)], [(12.0, lambda plant: plant.stop(60))])
    assert (plant.drop_chute, plant.drop_ns) == ([104], [(10 + 30 + 60) * NS_PER_S])


def test_staff_do_not_stop_with_the_belt() -> None:
    plant = plant_of([])
    plant.block(103, 40)
    plant.stop(600)
    plant.advance(60 * NS_PER_S)
    assert sensed(plant) == [(0.0, 103, BLOCKED), (40.0, 103, OPEN)]


def test_what_is_brought_after_a_stop_does_not_wait_for_it() -> None:
    plant = plant_of([0.0, 5.0, 100.0])
    plant.advance(1 * NS_PER_S)
    plant.stop(30)
    plant.advance(200 * NS_PER_S)
    entered = [record.t_ns / NS_PER_S for record in plant.plc if isinstance(record, Entered)]
    assert entered == [0.0, 31.25, 100.0]  # at 1.0 s, where it stopped, a cell stood at the induction


def test_the_longest_of_two_stops_counts() -> None:
    one, other = plant_of([0.0]), plant_of([0.0])
    drive(one, [Order(0.0, 104)], [(12.0, lambda plant: plant.stop(60)), (20.0, lambda plant: plant.stop(10))])
    drive(other, [Order(0.0, 104)], [(12.0, lambda plant: plant.stop(60)), (62.0, lambda plant: plant.stop(30))])
    assert (one.drop_ns, other.drop_ns) == ([100 * NS_PER_S], [120 * NS_PER_S])


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (lambda plant: plant.block(999, 10), "line L1 has no chute 999; its chutes are 101, 102"),
        (lambda plant: plant.fill(999), "line L1 has no chute 999"),
        (lambda plant: plant.block(101, 0), "say how long, above 0"),
        (lambda plant: plant.stop(-1), "say how long, above 0"),
        (lambda plant: plant.stop(float("nan")), "say how long, above 0"),
        (lambda plant: plant.stop(float("inf")), "say how long, above 0"),
        (lambda plant: plant.miss(0), "say how many, from 1 on"),
    ],
)
def test_what_cannot_be_is_refused(verb: Callable[[Plant], None], words: str) -> None:
    plant = plant_of([0.0])
    with pytest.raises(ValueError, match=words):
        verb(plant)
    assert not plant.plc
