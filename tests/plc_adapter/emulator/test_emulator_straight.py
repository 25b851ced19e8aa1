"""On a straight belt everything is scanned once, in order, and drops once: where it is told, or at the end."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.emulator.plant import BLOCKED, DROPPED, NS_PER_S, PASSED, Belt, Bin, Chances, Chute, Left, Plant, Rider
from tests.plc_adapter.emulator import plants
from tests.plc_adapter.emulator.hosts import Order, drive
from tests.plc_adapter.emulator.plants import CALM, left

END = 109
LEAD_NS = 10 * NS_PER_S
BELT = Belt("L2", 2.0, 100.0, end_chute=END)
LOOP = BELT._replace(end_chute=0)
CHUTES = [*plants.CHUTES, Chute(END, 7.0, 0)]
POSITION_M = {chute.number: chute.position_m for chute in CHUTES} | {END: BELT.lap_m}

TIMES = st.lists(st.floats(0, 300), max_size=25).map(sorted)
ORDERS = st.lists(
    st.builds(
        Order, st.floats(0, 60), st.sampled_from([0, 101, 102, 103, 106, END]), st.sampled_from([0, 101, 104, 106])
    ),
    min_size=25,
    max_size=25,
)
TOLD = st.lists(st.builds(Order, st.floats(0, 14), st.integers(101, 106)), min_size=25, max_size=25)


def plant_of(
    times_s: list[float], *, belt: Belt = BELT, chutes: list[Chute] = CHUTES, chances: Chances = CALM, start_ns: int = 0
) -> Plant:
    return plants.plant_of(times_s, chutes, chances, belt, start_ns)


def test_a_kind_follows_from_where_the_belt_ends() -> None:
    assert (BELT.kind, LOOP.kind) == ("wheel-diverter", "cross-belt")


def test_what_is_told_in_time_is_diverted() -> None:
    plant = plant_of([0.0])
    drive(plant, [Order(1.0, 103)])
    assert left(plant) == [(103, DROPPED)]
    assert (plant.drop_chute, plant.ran_out, plant.drop_ns) == ([103], [""], [(10 + 25) * NS_PER_S])


def test_what_is_not_told_runs_off_the_end() -> None:
    plant = plant_of([0.0])
    drive(plant, [Order(0.0, 0)])
    assert left(plant) == [(END, DROPPED)]
    assert (plant.ran_out, plant.drop_ns, plant.laps) == (["untold"], [(10 + 50) * NS_PER_S], [0])
    assert plant.scan_ns == [[10 * NS_PER_S]]


@pytest.mark.parametrize(
    ("order", "chances", "reports", "why"),
    [
        (Order(16.0, 101), CALM, [(101, PASSED), (END, DROPPED)], "untold"),
        (Order(0.0, 103), Chances(missed_share=1, jam_share=0), [(103, PASSED), (END, DROPPED)], "missed"),
        (Order(0.0, 102), CALM, [(102, PASSED), (END, DROPPED)], "closed"),
        (Order(0.0, 102, 101), CALM, [(102, PASSED), (END, DROPPED)], "closed"),
        (Order(0.0, 102, 104), CALM, [(104, DROPPED)], ""),
        (Order(0.0, 102, END), CALM, [(END, DROPPED)], ""),
        (Order(0.0, END), Chances(missed_share=1, jam_share=0), [(END, DROPPED)], ""),
    ],
)
def test_it_says_why_a_parcel_ran_out(order: Order, chances: Chances, reports: list[Any], why: str) -> None:
    """Chute 102 is blocked, and so is the end, where nothing can be shut."""
    plant = plant_of([0.0], chances=chances)
    plant.block(102, 600)
    plant.block(END, 600)
    drive(plant, [order])
    assert left(plant) == reports
    assert plant.ran_out == [why]


def test_without_its_host_everything_runs_out() -> None:
    plant = plant_of([0.0])
    plant.host_alive = False
    drive(plant, [Order(0.0, 103)])
    assert (left(plant), plant.ran_out) == ([(103, PASSED), (END, DROPPED)], ["untold"])


def test_what_a_restarted_plc_has_forgotten_gets_a_number_at_the_end() -> None:
    plant = plant_of([0.0])
    drive(plant, [Order(0.0, 103)], [(20.0, Plant.restart)])
    assert plant.numbers == [[(1, 1), (2, 1)]]
    assert plant.first_scans == [[0, 1]]
    assert plant.plc[-1] == Left(60 * NS_PER_S, 1, END, DROPPED)
    assert plant.ran_out == ["untold"]


def test_it_notes_what_was_shut_when_a_parcel_is_told_to_run_out() -> None:
    """Blocked now; open again since the scan; full with what rides there; and none of these."""
    chutes = [chute._replace(capacity=2) if chute.number == 103 else chute for chute in CHUTES]
    plant = plant_of([0.0, 1.0, 2.0], chutes=chutes)
    told = [Order(0.0, 103), Order(0.0, 103), Order(5.0, END)]
    verbs = [(0.0, lambda plant: plant.block(101, 600)), (2.0, lambda plant: plant.block(102, 8))]
    drive(plant, told, verbs)
    assert plant.shut == [[], [], [101, 102, 103]]
    assert (plant.drop_chute, plant.ran_out) == ([103, 103, END], ["", "", ""])


@pytest.mark.parametrize(("belt", "chutes"), [(BELT, CHUTES[:-1]), (BELT._replace(end_chute=555), CHUTES)])
def test_an_end_that_is_no_chute_is_refused(belt: Belt, chutes: list[Chute]) -> None:
    with pytest.raises(ValueError, match="which is none of its chutes"):
        plant_of([0.0], belt=belt, chutes=chutes)


def test_a_chute_beyond_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match=r"its belt is 100\.0 m; correct its position"):
        plant_of([0.0], chutes=[Chute(101, 100.0, 0), CHUTES[-1]])


def test_a_cell_is_free_when_what_lay_on_it_drops_at_the_end() -> None:
    plant = plant_of([0.0, 60.0])
    drive(plant, [Order(0.0, 0)] * 2)
    assert plant.drop_ns == [60 * NS_PER_S, 120 * NS_PER_S]


def test_bins_tell_what_stands_where() -> None:
    plant = plant_of([0.0], chutes=[Chute(101, 30.0, 100), Chute(END, 7.0, 0)])
    plant.block(101, 600)
    drive(plant, [Order(0.0, 0)])
    assert plant.bins() == [Bin(101, 30.0, BLOCKED, 0, 95), Bin(END, 100.0, 0, 1, 0)]


def test_riders_tell_who_rides_where() -> None:
    plant = plant_of([0.0, 4.0])
    plant.advance(5 * NS_PER_S)
    assert plant.riders() == [Rider(-10.0, 1, 0, 0), Rider(-18.0, 2, 0, 0)]
    plant.advance(12 * NS_PER_S)
    plant.divert(1, 103, 0, 1 << 62)
    assert plant.riders() == [Rider(4.0, 1, 103, 0), Rider(-4.0, 2, 0, 0)]


def test_on_a_loop_riders_come_round() -> None:
    plant = plant_of([0.0], belt=LOOP)
    plant.advance(5 * NS_PER_S)
    assert plant.riders() == [Rider(90.0, 1, 0, 0)]
    plant.advance((10 + 50 + 12) * NS_PER_S)
    assert plant.riders() == [Rider(24.0, 1, 0, 1)]


# ---- laws -------------------------------------------------------------------


def rides_well(plant: Plant) -> None:
    """Whoever rides is counted, known by its place, and a pitch from its neighbour."""
    riders = plant.riders()
    assert len(riders) == plant.on_belt <= plant.cells
    places = sorted(rider.position_m for rider in riders)
    assert all(-BELT.induct_to_scanner_m <= place < BELT.lap_m for place in places)
    assert all(ahead - behind > BELT.pitch_m - 1e-6 for behind, ahead in pairwise(places))


@settings(max_examples=80, deadline=None)
@given(
    TIMES,
    ORDERS,
    st.lists(st.tuples(st.floats(0, 400), st.integers(101, 106), st.floats(1, 200)), max_size=5),
    st.lists(st.tuples(st.floats(0, 400), st.floats(0.1, 100)), max_size=3),
    st.lists(st.floats(0, 400), max_size=2),
)
def test_every_parcel_is_scanned_once_and_drops_once_in_order(
    times_s: list[float],
    orders: list[Order],
    jams: list[tuple[float, int, float]],
    stops: list[tuple[float, float]],
    restarts: list[float],
) -> None:
    plant = plant_of(times_s, chances=Chances(missed_share=0.2, jam_share=0.1))
    verbs: list[Any] = [
        (at_s, lambda plant, chute=chute, for_s=for_s: plant.block(chute, for_s)) for at_s, chute, for_s in jams
    ]
    verbs += [(at_s, lambda plant, for_s=for_s: plant.stop(for_s)) for at_s, for_s in stops]
    verbs += [(at_s, Plant.restart) for at_s in restarts]
    drive(plant, orders, verbs, rides_well)
    assert plant.done
    assert [len(scans) for scans in plant.scan_ns] == [1] * len(times_s)
    scans_ns = [scans[0] for scans in plant.scan_ns]
    assert scans_ns == sorted(scans_ns)
    for number in POSITION_M:
        drops_ns = [drop_ns for drop_ns, chute in zip(plant.drop_ns, plant.drop_chute, strict=True) if chute == number]
        assert drops_ns == sorted(drops_ns)
    for order, chute, why in zip(orders, plant.drop_chute, plant.ran_out, strict=False):
        assert chute in {order.chute, order.alternate, END}
        assert bool(why) <= (chute == END)
        if chute == END and END not in order[1:]:
            assert why in {"missed", "closed", "untold"}


@settings(max_examples=60, deadline=None)
@given(TIMES, ORDERS, st.floats(0, 400), st.sampled_from([BELT, LOOP]))
def test_a_failed_divert_moves_no_other_parcel(
    times_s: list[float], orders: list[Order], at_s: float, belt: Belt
) -> None:
    one, other = (plant_of(times_s, belt=belt) for _ in range(2))
    drive(one, orders)
    drive(other, orders, [(at_s, lambda plant: plant.miss(1))])
    wheres = zip(one.drop_chute, other.drop_chute, strict=True)
    moved = [at for at, (chute, instead) in enumerate(wheres) if chute != instead]
    assert len(moved) <= other.missed <= 1
    if belt.end_chute:
        assert [other.ran_out[at] for at in moved] == ["missed"] * other.missed
        changed = [
            at for at, (sooner, later) in enumerate(zip(one.drop_ns, other.drop_ns, strict=True)) if sooner != later
        ]
        assert changed == moved
        assert one.scan_ns == other.scan_ns


@settings(max_examples=60, deadline=None)
@given(TIMES, TOLD, st.floats(0, 400), st.floats(0.1, 100), st.sampled_from([BELT, LOOP]))
def test_a_belt_that_stood_still_does_the_same_later(
    times_s: list[float], orders: list[Order], at_s: float, for_s: float, belt: Belt
) -> None:
    one, other = (plant_of(times_s, belt=belt) for _ in range(2))
    drive(one, orders)
    drive(other, orders, [(at_s, lambda plant: plant.stop(for_s))], until_s=36_000)
    assert other.drop_chute == one.drop_chute
    at_ns, for_ns = round(at_s * NS_PER_S), round(for_s * NS_PER_S)
    scans_ns = [[scans[0] for scans in plant.scan_ns] for plant in (one, other)]
    aboard = sum(scan_ns - LEAD_NS <= at_ns for scan_ns in scans_ns[0])
    for ran, stood in (scans_ns, (one.drop_ns, other.drop_ns)):
        assert stood[:aboard] == [t_ns + for_ns * (t_ns > at_ns) for t_ns in ran[:aboard]]
    for time_s, scan_ns in zip(times_s, scans_ns[1], strict=True):
        assert scan_ns >= round(time_s * NS_PER_S) + LEAD_NS
