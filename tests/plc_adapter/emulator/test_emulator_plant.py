"""The belt keeps every parcel, obeys its host and no one else, and is the same for the same orders."""

from collections import Counter
from typing import Any

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
    Belt,
    Chances,
    Chute,
    Entered,
    Left,
    Load,
    Plant,
    Sensed,
)
from tests.plc_adapter.emulator.plants import CALM, CHUTES, LOOP, chutes_of, left, plant_of

LAP_NS = 120 * NS_PER_S
NEVER = NEVER_NS


def until_scanned(plant: Plant) -> int:
    """Step to the next scan; the item's number."""
    while not plant.scans:
        assert plant.next_ns() < NEVER_NS, "nothing will be scanned any more"
        plant.advance(plant.next_ns())
    return plant.scans.pop().item


def states(plant: Plant) -> list[int]:
    return [record.state for record in plant.plc if isinstance(record, Sensed)]


def test_a_parcel_enters_is_scanned_and_drops_where_it_is_told() -> None:
    plant = plant_of([100.0])
    item = until_scanned(plant)
    scanned_ns = plant.scan_ns[0][0]
    assert plant.plc[0] == Entered(100 * NS_PER_S, item, 1)
    assert scanned_ns == 110 * NS_PER_S
    plant.divert(item, 103, 0, NEVER)
    plant.advance(scanned_ns + 25 * NS_PER_S - 1)
    assert plant.on_belt == 1
    plant.advance(scanned_ns + 25 * NS_PER_S)
    assert plant.plc[-1] == Left(scanned_ns + 25 * NS_PER_S, item, 103, DROPPED)
    assert plant.done
    assert (plant.drop_chute, plant.laps, plant.on_belt) == ([103], [0], 0)


def test_without_a_decision_it_goes_round_and_is_scanned_again() -> None:
    plant = plant_of([0.0])
    plant.advance(20 * LAP_NS)
    assert not plant.done
    assert [scan.lap for scan in plant.scans] == list(range(20))
    assert {later - sooner for sooner, later in zip(plant.scan_ns[0], plant.scan_ns[0][1:], strict=False)} == {LAP_NS}
    assert left(plant) == []


def test_a_decision_counts_for_its_lap_alone() -> None:
    plant = plant_of([0.0])
    item = until_scanned(plant)
    first_ns = plant.now_ns
    until_scanned(plant)
    plant.divert(item, 103, 0, first_ns + 15 * NS_PER_S)  # answers the first lap
    plant.advance(first_ns + 2 * LAP_NS)
    assert not plant.done


def test_the_last_of_two_decisions_holds() -> None:
    plant = plant_of([0.0])
    item = until_scanned(plant)
    plant.divert(item, 102, 0, NEVER)
    plant.divert(item, 105, 102, NEVER)
    plant.advance(plant.now_ns + LAP_NS)
    assert plant.drop_chute == [105]


def test_a_decision_that_comes_behind_its_chute_leads_to_the_alternate() -> None:
    plant = plant_of([0.0])
    item = until_scanned(plant)
    plant.advance(plant.now_ns + 27 * NS_PER_S)  # 54 m behind the scanner
    plant.divert(item, 102, 106, NEVER)
    plant.advance(plant.now_ns + 20 * NS_PER_S)
    assert plant.drop_chute == [106]


def test_a_decision_that_comes_behind_both_chutes_is_passed() -> None:
    plant = plant_of([0.0])
    item = until_scanned(plant)
    plant.advance(plant.now_ns + 60 * NS_PER_S)
    plant.divert(item, 102, 101, NEVER)
    assert left(plant) == [(102, PASSED)]
    assert not plant.done


def test_an_order_for_nobody_changes_nothing() -> None:
    plant = plant_of([0.0])
    plant.advance(NS_PER_S)
    plant.divert(99, 102, 0, NEVER)
    plant.divert(1, 102, 0, NEVER)  # on the belt, but not scanned yet
    assert plant.strays == 2
    item = until_scanned(plant)
    plant.divert(item, 555, 0, NEVER)  # no such chute
    assert left(plant) == [(555, PASSED)]


def test_without_its_host_the_plc_recirculates() -> None:
    plant = plant_of([0.0])
    item = until_scanned(plant)
    plant.divert(item, 103, 104, NEVER)
    plant.host_alive = False
    plant.advance(plant.now_ns + 60 * NS_PER_S)
    assert left(plant) == [(103, PASSED)]
    plant.host_alive = True
    item = until_scanned(plant)
    plant.divert(item, 103, 104, NEVER)
    plant.advance(plant.now_ns + 60 * NS_PER_S)
    assert plant.drop_chute == [103]
    assert plant.laps == [1]


def test_a_missed_divert_goes_round_once() -> None:
    plant = plant_of([0.0, 1.0], chances=Chances(missed_share=1, jam_share=0))
    for _ in range(4):
        plant.divert(until_scanned(plant), 103, 104, NEVER)
        plant.advance(plant.now_ns + 1)
    plant.advance(plant.now_ns + LAP_NS)
    assert left(plant) == [(103, PASSED)] * 2 + [(103, DROPPED)] * 2
    assert plant.missed == 2


def test_an_order_given_twice_is_one_order() -> None:
    plant = plant_of([0.0], chances=Chances(missed_share=1, jam_share=0))
    item = until_scanned(plant)
    plant.divert(item, 103, 0, NEVER)
    plant.divert(item, 103, 0, NEVER)
    plant.advance(plant.now_ns + LAP_NS // 2)
    assert left(plant) == [(103, PASSED)]


def test_a_chute_fills_is_changed_and_opens_again() -> None:
    times = [float(at) for at in range(0, 400, 10)]
    plant = plant_of(times, [Chute(101, 30.0, 10), Chute(102, 60.0, 0)])
    for _ in range(400):
        plant.advance(plant.now_ns + 2 * NS_PER_S)
        for scan in plant.scans:
            plant.divert(scan.item, 101, 102, NEVER)
        plant.scans.clear()
    assert plant.done
    assert states(plant)[:6] == [FULL, CHANGING, OPEN] * 2
    assert plant.bags >= 2
    drops = [record for record in plant.plc if isinstance(record, Sensed) or record == Left(*record[:2], 101, DROPPED)]
    full = [at for at, record in enumerate(drops) if isinstance(record, Sensed) and record.state == FULL]
    opened = [at for at, record in enumerate(drops) if isinstance(record, Sensed) and record.state == OPEN]
    assert full[0] == full[1] - opened[0] - 1 == 9  # the sensor sees 95 % of 10, and the new bag is empty
    assert plant.drop_chute.count(102) > 0  # while the bag was changed


def test_a_jam_blocks_a_chute_and_is_cleared() -> None:
    plant = plant_of([0.0, 30.0], chances=Chances(missed_share=0, jam_share=1))
    plant.divert(until_scanned(plant), 101, 0, NEVER)
    plant.divert(until_scanned(plant), 101, 104, NEVER)
    plant.advance(plant.now_ns + LAP_NS // 2)
    assert plant.drop_chute == [101, 104]
    plant.advance(plant.now_ns + 600 * NS_PER_S)
    assert Counter(states(plant)) == {BLOCKED: 2, OPEN: 2}


def test_induction_waits_for_a_free_cell() -> None:
    belt = Belt("L1", 2.0, 10.0, pitch_m=0.5)
    plant = plant_of([0.0] * 30, [Chute(101, 5.0, 0)], belt=belt)
    assert plant.cells == 20
    plant.advance(100 * NS_PER_S)
    assert plant.on_belt == plant.inducted == 20
    plant.divert(plant.scans[-1].item, 101, 0, NEVER)
    plant.advance(plant.now_ns + 10 * NS_PER_S)
    assert (plant.dropped, plant.inducted, plant.on_belt) == (1, 21, 20)


def test_cells_pass_at_the_speed_of_the_belt() -> None:
    plant = plant_of([0.0] * 8)
    plant.advance(NS_PER_S)
    times = [record.t_ns for record in plant.plc if isinstance(record, Entered)]
    assert times == [at * NS_PER_S // 4 for at in range(5)]  # 0.5 m at 2 m/s


def test_a_plc_that_cannot_tell_what_enters_still_numbers_it() -> None:
    load = Load([0, NS_PER_S], [1, 1])
    plant = Plant(LOOP, CHUTES, load, 1, chances=CALM, tells_items=False)
    assert [until_scanned(plant) for _ in range(2)] == [1, 2]
    assert not plant.plc


def test_what_came_before_the_start_waits_for_it() -> None:
    plant = plant_of([0.0, 1.0], start_ns=50 * NS_PER_S)
    plant.advance(60 * NS_PER_S)
    assert [record.t_ns for record in plant.plc if isinstance(record, Entered)] == [50 * NS_PER_S, 50_250_000_000]


def test_a_plc_that_restarts_numbers_its_items_anew() -> None:
    plant = plant_of([0.0, 1.0, 200.0])
    plant.advance(100 * NS_PER_S)
    plant.restart()
    assert states(plant) == [OPEN] * len(CHUTES)
    plant.scans.clear()
    for _ in range(3):
        plant.divert(until_scanned(plant), 106, 0, NEVER)
    plant.advance(300 * NS_PER_S)
    assert plant.numbers == [[(1, 1), (2, 1)], [(1, 2), (2, 2)], [(2, 3)]]
    assert plant.done


@pytest.mark.parametrize("position_m", [0.0, 240.0, 1000.0])
def test_a_chute_beyond_the_lap_is_refused(position_m: float) -> None:
    with pytest.raises(ValueError, match="correct its position"):
        plant_of([0.0], [Chute(101, position_m, 0)])


def test_parcels_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="in the order"):
        plant_of([1.0, 0.0])


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.01, 300)),
        st.tuples(
            st.just("divert"), st.integers(1, 40), st.sampled_from([0, 101, 102, 103, 106, 999]), st.integers(0, 107)
        ),
        st.tuples(st.just("host"), st.booleans()),
        st.tuples(st.just("restart")),
    ),
    max_size=60,
)


def play(times_s: list[float], actions: list[Any], capacity: int) -> Plant:
    plant = plant_of(
        times_s, chutes_of(capacity), Chances(missed_share=0.3, jam_share=0.3), Belt("L1", 2.0, 100.0, pitch_m=2.0)
    )
    for action in actions:
        if action[0] == "wait":
            plant.advance(plant.now_ns + round(action[1] * NS_PER_S))
        elif action[0] == "divert":
            plant.divert(action[1], action[2], action[3], plant.now_ns + NS_PER_S)
        elif action[0] == "host":
            plant.host_alive = action[1]
        else:
            plant.restart()
        check(plant)
    return plant


def check(plant: Plant) -> None:
    """Every parcel waits, rides one cell of its own, or lies in one chute."""
    riding = {item.cell for item in plant._items.values() if item.cell >= 0}
    assert len(plant._items) == len(riding) <= plant.on_belt
    assert sum(map(bool, plant._riding)) == plant.on_belt == plant.inducted - plant.dropped
    assert plant.on_belt <= plant.cells
    assert sum(chute > 0 for chute in plant.drop_chute) == plant.dropped
    assert all(not chute for chute in plant.drop_chute[plant.inducted :])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 500), max_size=30).map(sorted), ACTIONS, st.sampled_from([0, 1, 4]))
def test_no_parcel_ever_vanishes(times_s: list[float], actions: list[Any], capacity: int) -> None:
    plant = play(times_s, actions, capacity)
    plant.host_alive = True
    for _ in range(2000):
        if plant.done:
            break
        plant.advance(plant.now_ns + 2 * NS_PER_S)
        for scan in plant.scans:
            plant.divert(scan.item, 101 + scan.item % 6, 101 + (scan.item + 1) % 6, NEVER)
        plant.scans.clear()
        check(plant)
    assert plant.done
    drops = Counter(record.chute for record in plant.plc if isinstance(record, Left) and record.outcome == DROPPED)
    assert sum(drops.values()) <= plant.dropped  # a restart forgets what was not read


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 500), max_size=30).map(sorted), ACTIONS)
def test_the_same_orders_give_the_same_belt(times_s: list[float], actions: list[Any]) -> None:
    one, other = (play(times_s, actions, 4) for _ in range(2))
    assert one.plc == other.plc
    assert one.scans == other.scans
    assert (one.drop_chute, one.drop_ns, one.numbers) == (other.drop_chute, other.drop_ns, other.numbers)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 500), min_size=1, max_size=30).map(sorted), st.integers(1, 50))
def test_the_size_of_the_steps_does_not_matter(times_s: list[float], steps: int) -> None:
    one, other = plant_of(times_s), plant_of(times_s)
    one.advance(600 * NS_PER_S)
    for step in range(1, steps + 1):
        other.advance(600 * NS_PER_S * step // steps)
    assert one.plc == other.plc
    assert one.scans == other.scans
