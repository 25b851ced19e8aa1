"""What looks at a PLC mean, in made-up time: a right program is never blamed, and no block of bytes is too odd."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plc_adapter.diagnosis import Look, find_mark, judge, orders_ignored, slow
from plc_adapter.mailbox import BLOCK_BYTES, RING, HostSide, HostState, PlcSide, WordOrder
from sorter.records import Kind
from tests.plc_adapter.faulty_plc import MISTAKES

MS = 1_000_000
ORDERS = st.sampled_from(["big", "little"])


def name_of(word: int) -> str:
    return f"word {word}"


@dataclass(frozen=True)
class Step:
    """What goes on between two looks."""

    gap_ms: int
    answer_ms: int
    reports: int
    acknowledged: int
    taken: int


STEPS = st.builds(
    Step,
    gap_ms=st.integers(1, 90),
    answer_ms=st.integers(0, 90),
    reports=st.integers(0, RING),
    acknowledged=st.integers(0, RING),
    taken=st.integers(0, RING),
)


def story(plc: PlcSide, steps: list[Step], restart_at: int | None, start_ms: int) -> list[Look]:
    """Looks at a PLC that does as mailbox.py asks."""
    now_ms = start_ms
    looks = []
    for number, step in enumerate(steps):
        if number == restart_at:
            plc.restart(plc.epoch + 1)
        plc.tail += min(step.acknowledged, plc.head - plc.tail)
        plc.taken += step.taken
        for item in range(step.reports):
            plc.report(Kind.ITEM, item, 1, 0, now_ms)
        asked_ms, now_ms = now_ms, now_ms + step.answer_ms
        looks.append(Look(asked_ms * MS, now_ms * MS, plc.block(now_ms - step.answer_ms // 2)))
        now_ms += step.gap_ms
    return looks


@given(
    order=ORDERS,
    steps=st.lists(STEPS, min_size=1, max_size=40),
    restart_at=st.none() | st.integers(0, 40),
    start=st.sampled_from([0, 3, 65_520, 65_529, 2**32 - 400]),
    start_ms=st.integers(0, 100_000),
)
def test_a_right_program_is_never_blamed(
    order: WordOrder, steps: list[Step], restart_at: int | None, start: int, start_ms: int
) -> None:
    plc = PlcSide(7, order)
    plc.head = plc.tail = start
    judgement = judge(story(plc, steps, restart_at, start_ms), order, name_of)
    assert judgement.faults == []
    assert len(judgement.heads) == len(steps)


@given(blocks=st.lists(st.binary(min_size=BLOCK_BYTES, max_size=BLOCK_BYTES), min_size=1, max_size=5), order=ORDERS)
def test_bytes_of_chance_are_no_mailbox(blocks: list[bytes], order: WordOrder) -> None:
    looks = [Look(number * 10 * MS, number * 10 * MS + MS, block) for number, block in enumerate(blocks)]
    assert judge(looks, order, name_of).faults != []


@given(
    spoilt=st.dictionaries(st.integers(4, BLOCK_BYTES - 1), st.integers(0, 255), max_size=12),
    order=ORDERS,
    steps=st.lists(STEPS, min_size=1, max_size=5),
)
def test_whatever_stands_behind_the_mark_is_judged(spoilt: dict[int, int], order: WordOrder, steps: list[Step]) -> None:
    looks = []
    for seen in story(PlcSide(7, order), steps, None, 0):
        block = bytearray(seen.block)
        for at, value in spoilt.items():
            block[at] = value
        looks.append(seen._replace(block=bytes(block)))
    for fault in judge(looks, order, name_of).faults:
        assert fault.fault
        assert fault.message
        assert fault.do


@given(by=st.integers(1, BLOCK_BYTES - 4))
def test_a_mark_anywhere_in_the_block_is_found(by: int) -> None:
    block = (bytes(by) + PlcSide(7).block(5))[:BLOCK_BYTES]
    marked = find_mark(block)
    assert marked is not None
    assert (marked.at_byte, marked.word_order) == (by, "big")
    (fault,) = judge([Look(0, MS, block)], "big", name_of).faults
    assert fault.fault == "address"
    assert f"{by // 2} words later" in fault.message or f"{by} bytes later" in fault.message


@pytest.mark.parametrize("name", [name for name in MISTAKES if name not in {"clock in 10 ms", "clock in 100 us"}])
def test_every_mistake_is_named_within_a_third_of_a_second(name: str) -> None:
    plc = MISTAKES[name].program()
    looks = [Look(at_ms * MS, (at_ms + 1) * MS, plc.block(at_ms)) for at_ms in range(0, 340, 10)]
    (fault,) = judge(looks, "big", name_of).faults
    assert fault.fault == MISTAKES[name].fault


@pytest.mark.parametrize(("rate", "unit"), [(0.001, "seconds"), (0.1, "10 ms"), (10, "100 us"), (60, "60 times")])
def test_a_clock_of_another_unit_is_told_by_its_rate(rate: float, unit: str) -> None:
    plc = PlcSide(7)
    looks = [Look(at_ms * MS, (at_ms + 1) * MS, plc.block(int(at_ms * rate))) for at_ms in range(0, 2001, 10)]
    (fault,) = judge(looks, "big", name_of).faults
    assert (fault.fault, unit in fault.message) == ("clock", True), fault


def test_a_heart_that_pauses_longer_than_a_host_waits_is_told() -> None:
    plc = PlcSide(7)
    looks = []
    for at_ms in range(0, 1500, 10):
        if at_ms % 700 == 0:
            block = plc.block(at_ms)
        looks.append(Look(at_ms * MS, (at_ms + 1) * MS, block))
    faults = judge(looks, "big", name_of).faults
    assert [fault.fault for fault in faults] == ["heartbeat"]
    assert "stood still for 690 ms" in faults[0].message


@pytest.mark.parametrize("rate", [0.5, 20.0, 640.0])
def test_a_scaled_clock_is_right_by_that_clock_and_wrong_by_another(rate: float) -> None:
    plc = PlcSide(7)
    looks = []
    for at_ms in range(0, 2001, 10):
        if at_ms % 300 == 0:
            plc.report(Kind.ITEM, 1, 1, 0, int((at_ms - 20) * rate))
        looks.append(Look(at_ms * MS, (at_ms + 1) * MS, plc.block(int(at_ms * rate))))
    judgement = judge(looks, "big", name_of, rate)
    assert judgement.faults == []
    assert judgement.clock_rate == pytest.approx(1, abs=0.01)
    (fault,) = judge(looks, "big", name_of).faults
    assert (fault.fault, "--clock" in fault.do) == ("clock", True)
    (fault,) = judge(looks, "big", name_of, rate * 1.5).faults
    assert (fault.fault, "as fast as the clock given" in fault.message) == ("clock", True)


def test_a_clock_that_comes_round_between_two_looks_is_not_judged() -> None:
    plc = PlcSide(7)
    looks = [Look(at_ms * MS, (at_ms + 1) * MS, plc.block(at_ms * 640)) for at_ms in range(0, 2001, 200)]
    judgement = judge(looks, "big", name_of, 640.0)
    assert (judgement.faults, judgement.clock_rate) == ([], 0)


@pytest.mark.parametrize(("epoch", "host_epoch"), [(8, 1), (7, 2)])
def test_a_tail_may_go_back_with_another_epoch_of_either_side(epoch: int, host_epoch: int) -> None:
    plc = PlcSide(7)
    plc.host_epoch, plc.head, plc.tail = 1, 3, 3
    looks = [Look(0, MS, plc.block(0))]
    plc.epoch, plc.host_epoch, plc.tail = epoch, host_epoch, 0
    looks.append(Look(10 * MS, 11 * MS, plc.block(10)))
    assert judge(looks, "big", name_of).faults == []


def orders(order: WordOrder, epoch: int, host_epoch: int) -> bytes:
    """A host's block that speaks to a PLC's epoch."""
    host = HostSide(order)
    host.epoch, host.host_epoch = epoch, host_epoch
    return host.block(0, HostState.DECIDING)


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize(
    ("spoken", "taken", "ignored"),
    [
        ([(7, 3), (7, 3)], [(7, 2), (7, 2)], "the PLC does not read the host's block"),
        ([(7, 3), (7, 3)], [(7, 2), (7, 3)], ""),  # it came while the PLC was looked at
        ([(7, 3), (7, 4)], [(7, 3), (7, 3)], ""),  # another adapter comes
        ([(7, 3), (8, 1)], [(7, 3), (8, 0)], ""),  # the PLC starts again
        ([(6, 3), (6, 3)], [(7, 3), (7, 3)], "the host's block speaks to epoch 6, and the PLC is in epoch 7"),
        ([(0, 0), (0, 0)], [(7, 0), (7, 0)], "the host's block speaks to epoch 0, and the PLC is in epoch 7"),
    ],
)
def test_orders_are_ignored_when_no_look_shows_the_hosts_epoch_taken_over(
    spoken: list[tuple[int, int]], taken: list[tuple[int, int]], ignored: str, order: WordOrder
) -> None:
    looks = []
    for epoch, host_epoch in taken:
        plc = PlcSide(epoch, order)
        plc.host_epoch = host_epoch
        looks.append(Look(0, MS, plc.block(0)))
    blocks = [orders(order, epoch, host_epoch) for epoch, host_epoch in spoken]
    fault = orders_ignored(blocks, looks, "there")
    assert (fault.message if fault else "").startswith(ignored)
    assert bool(fault) == bool(ignored)


def test_slowness_is_a_note_above_the_poll_time_and_a_fault_near_the_patience() -> None:
    assert slow([3.0] * 9, 0, 10.0, 2) == ([], [])
    faults, (note,) = slow([15.0] * 9, 0, 10.0, 2)
    assert (faults, "a round trip takes 15 ms" in note.message, "set poll_ms = 30" in note.do) == ([], True, True)
    (fault,), notes = slow([150.0] * 9, 0, 10.0, 1)
    assert (notes, "150 ms, so at most 7 exchanges" in fault.message) == ([], True)
    (fault,), _ = slow([30.0] * 9, 3, 10.0, 1)
    assert "3 of 12 reads were not answered within 200 ms" in fault.message
    assert slow([3.0] * 9, 1, 10.0, 1)[0] == []
