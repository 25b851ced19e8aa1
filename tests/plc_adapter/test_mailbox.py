"""The mailbox's laws, on bytes alone: numbered, complete, in order, across restarts of either side."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.mailbox import (
    BLOCK_BYTES,
    BLOCK_WORDS,
    MARK,
    RING,
    HostSide,
    HostState,
    Order,
    PlcSide,
    WordOrder,
    follows,
    from_words,
    look,
    no_mark,
    to_words,
)
from plc_adapter.port import Cause, Garbled, Refused
from sorter.records import NONE_16, Discharge, Kind

MS = 1_000_000


def exchange(host: HostSide, plc: PlcSide, now_ns: int = 0) -> tuple[list[int], list[int]]:
    """One round trip: items reported to the host, items told to the PLC."""
    told = plc.receive(host.block(now_ns, HostState.DECIDING), now_ns)
    reports = host.receive(plc.block(now_ns // MS), now_ns)
    return [report.item for report in reports], [order.item for order in told]


def met(word_order: WordOrder = "big", epoch: int = 7) -> tuple[HostSide, PlcSide]:
    host, plc = HostSide(word_order), PlcSide(epoch, word_order)
    for _ in range(3):
        exchange(host, plc)
    assert host.ready
    return host, plc


def drop(plc: PlcSide, item: int) -> bool:
    return plc.report(Kind.DISCHARGE, item, 101, Discharge.DROPPED, at_ms=0)


def order(item: int, deadline_ns: int = 1000 * MS) -> Order:
    return Order(item, 101, NONE_16, deadline_ns, 0)


def words_of(block: bytes) -> list[int]:
    return list(struct.unpack(f">{BLOCK_WORDS}H", block))


def pair(word_order: WordOrder, high: int, low: int) -> list[int]:
    return [high, low] if word_order == "big" else [low, high]


@pytest.mark.parametrize("word_order", ["big", "little"])
def test_a_report_stands_where_the_table_says(word_order: WordOrder) -> None:
    host, plc = met(word_order, epoch=0x0001_0002)
    plc.report(Kind.DISCHARGE, 0xAAAA_BBBB, 101, Discharge.PASSED, at_ms=70_000)
    words = words_of(plc.block(70_005))
    assert words[0:2] == pair(word_order, 0x4853, 1)
    assert words[2:4] == pair(word_order, 1, 2)
    assert words[4] == host.host_epoch
    assert words[6:8] == pair(word_order, 0, 1)
    assert words[10] == 1
    assert words[11] == 70_005 & 0xFFFF
    assert words[24:32] == [1, 7, *pair(word_order, 0xAAAA, 0xBBBB), 101, 1, 70_000 & 0xFFFF, 1]
    (report,) = host.receive(from_words(words), 0)
    assert report == (1, Kind.DISCHARGE, 0xAAAA_BBBB, 101, Discharge.PASSED, 5)


@pytest.mark.parametrize("word_order", ["big", "little"])
def test_an_order_stands_where_the_table_says(word_order: WordOrder) -> None:
    host, plc = met(word_order, epoch=0x0001_0002)
    assert host.give(Order(0xAAAA_BBBB, 101, 102, 250 * MS, 3))
    words = words_of(host.block(100 * MS, HostState.DECIDING))
    assert words[0:4] == [*pair(word_order, 0x4853, 1), *pair(word_order, 1, 2)]
    assert words[4] == host.host_epoch
    assert words[6:9] == [1, 0, 1]
    assert words[24:32] == [1, *pair(word_order, 0xAAAA, 0xBBBB), 101, 102, 150, 3, 1]
    assert plc.receive(from_words(words), 0) == [(0xAAAA_BBBB, 101, 102, 150, 3)]


def test_words_and_bytes_are_the_same_block() -> None:
    block = bytes(range(BLOCK_BYTES))
    assert from_words(to_words(block)) == block
    with pytest.raises(Garbled, match="79 registers") as told:
        from_words([0] * 79)
    assert told.value.cause is Cause.SHAPE
    with pytest.raises(Garbled, match="158 bytes") as told:
        look(block[2:], "big")
    assert told.value.cause is Cause.SHAPE


def test_nothing_is_read_before_both_know_each_other() -> None:
    host, plc = HostSide(), PlcSide(7)
    drop(plc, 1)
    assert exchange(host, plc) == ([], [])
    assert not host.ready
    assert not host.give(order(1))
    assert exchange(host, plc) == ([1], [])
    assert host.ready


def test_a_report_is_read_once_however_often_the_block_is() -> None:
    host, plc = met()
    drop(plc, 1)
    assert exchange(host, plc)[0] == [1]
    assert exchange(host, plc)[0] == []


def test_a_place_is_used_again_only_after_its_acknowledgement() -> None:
    host, plc = met()
    assert [drop(plc, item) for item in range(10)] == [True] * RING + [False] * 2
    exchange(host, plc)
    exchange(host, plc)
    assert not drop(plc, 8)
    host.acknowledge(3)
    exchange(host, plc)
    assert [drop(plc, item) for item in range(8, 13)] == [True] * 3 + [False] * 2
    assert exchange(host, plc)[0] == [8, 9, 10]
    assert host.overruns == 0
    with pytest.raises(ValueError, match="not read yet"):
        host.acknowledge(12)


def test_an_acknowledgement_that_is_overtaken_changes_nothing() -> None:
    host, plc = met()
    for item in range(1, 6):
        drop(plc, item)
    exchange(host, plc)
    overtaken = host.block(0, HostState.DECIDING)
    host.acknowledge(3)
    exchange(host, plc)
    plc.receive(overtaken, 0)
    assert (plc.tail, plc.room) == (3, RING - 2)


def test_an_age_is_told_across_the_clocks_low_word() -> None:
    host, plc = met()
    plc.report(Kind.ITEM, 1, 1, 0, at_ms=0xFFFE)
    (report,) = host.receive(plc.block(0x1_0003), 0)
    assert report.age_ms == 5


def test_orders_wait_for_places() -> None:
    host, plc = met()
    assert [host.give(order(item)) for item in range(10)] == [True] * RING + [False] * 2
    assert exchange(host, plc)[1] == list(range(8))
    assert host.room == RING


def test_a_torn_report_is_not_there_yet() -> None:
    host, plc = met()
    drop(plc, 1)
    drop(plc, 2)
    whole = plc.block(0)
    place = 32 + 2 * 16
    for torn_at in (place, place + 14):  # its seq, its seq copy
        torn = bytearray(whole)
        torn[torn_at : torn_at + 2] = b"\0\0"
        assert [report.item for report in host.receive(bytes(torn), 0)] in ([1], [])
        assert host.torn_reads == (1 if torn_at == place else 2)
    assert [report.item for report in host.receive(whole, 0)] == [2]
    assert host.torn_reads == 0


def test_a_torn_order_is_not_there_yet() -> None:
    host, plc = met()
    host.give(order(1))
    whole = host.block(0, HostState.DECIDING)
    torn = bytearray(whole)
    torn[32 + 16 + 14 : 32 + 16 + 16] = b"\0\0"
    assert plc.receive(bytes(torn), 0) == []
    assert [told.item for told in plc.receive(whole, 0)] == [1]
    assert plc.receive(whole, 0) == []


def test_an_overrun_is_counted_and_what_is_left_is_read() -> None:
    host, plc = met()
    for item in range(1, 12):
        plc.tail = plc.head  # a program that does not wait for the acknowledgement
        drop(plc, item)
    assert exchange(host, plc)[0] == list(range(4, 12))
    assert (host.overruns, host.lost, host.read) == (1, 3, 11)


def test_numbers_go_through_sixteen_bits_both_ways() -> None:
    host, plc = met()
    reported, told = [], []
    for item in range(66_000):
        assert drop(plc, item)
        assert host.give(order(item))
        if item % 4 == 3:
            got = exchange(host, plc)
            reported += got[0]
            told += got[1]
            host.acknowledge(host.read)
    assert reported == told == list(range(66_000))
    assert host.read == 66_000


def test_a_head_read_in_two_halves_is_not_believed() -> None:
    host, plc = met()
    host.read = host.acknowledged = plc.head = plc.tail = 0xFFFF
    drop(plc, 1)
    block = bytearray(plc.block(0))
    assert block[12:16] == b"\0\1\0\0"
    for halves in (b"\0\0\0\0", b"\0\1\xff\xff"):  # one word old, one new
        block[12:16] = halves
        assert host.receive(bytes(block), 0) == []
    assert host.ready
    assert [report.number for report in host.receive(plc.block(0), 0)] == [0x1_0000]


def test_the_first_reads_must_agree_on_heads_high_word() -> None:
    host, plc = HostSide(), PlcSide(7)
    plc.head = plc.tail = 0xFFFF
    exchange(host, plc)
    block = bytearray(plc.block(0))
    block[12:16] = b"\0\1\xff\xff"
    plc.receive(host.block(0, HostState.AWAY), 0)
    block[8:10] = plc.block(0)[8:10]
    assert host.receive(bytes(block), 0) == []
    assert not host.ready
    exchange(host, plc)
    exchange(host, plc)
    assert (host.ready, host.read) == (True, 0xFFFF)


def test_a_new_epoch_ends_the_old_ones_orders() -> None:
    host, plc = met()
    host.give(order(1))
    drop(plc, 1)
    plc.restart(8)
    assert exchange(host, plc) == ([], [])
    assert (host.epoch, host.ready, host.void) == (8, False, 1)
    drop(plc, 2)
    assert exchange(host, plc) == ([2], [])
    assert host.read == 1
    host.give(order(3))
    assert exchange(host, plc)[1] == [3]


def test_the_plc_ignores_who_speaks_to_another_epoch() -> None:
    host, plc = met()
    host.give(order(1))
    late = host.block(0, HostState.DECIDING)
    plc.restart(8)
    assert plc.receive(late, 0) == []
    assert plc.receive(b"short", 0) == []
    assert plc.receive(bytes(BLOCK_BYTES), 0) == []
    assert plc.ignored >= 3


def test_old_orders_beside_a_new_host_epoch_are_not_taken() -> None:
    host, plc = met()
    host.give(order(1))
    before = host.block(0, HostState.DECIDING)
    assert exchange(host, plc) == ([], [1])
    again = HostSide()
    again.receive(plc.block(0), 0)
    after = again.block(0, HostState.DECIDING)
    assert plc.receive(after[:10] + before[10:], 0) == []  # the rest of it is on its way
    assert (plc.host_epoch, plc.taken) == (again.host_epoch, 0)
    exchange(again, plc)
    assert exchange(again, plc) == ([], [])
    again.give(order(2))
    assert exchange(again, plc) == ([], [2])


def test_an_adapter_that_starts_again_goes_on_at_the_acknowledgement() -> None:
    host, plc = met()
    for item in range(1, 6):
        drop(plc, item)
    host.give(order(1))
    exchange(host, plc)
    host.acknowledge(3)
    exchange(host, plc)
    host.give(order(2))
    plc.receive(host.block(0, HostState.DECIDING), 0)  # written, and the adapter dies before it reads
    again = HostSide()
    assert exchange(again, plc)[0] == []
    assert exchange(again, plc)[0] == [4, 5]
    assert again.read == 5
    assert again.host_epoch == host.host_epoch + 1
    again.give(order(3))
    assert exchange(again, plc)[1] == [3]


def exchange_in_turn(newer: HostSide, older: HostSide, plc: PlcSide) -> None:
    for _ in range(4):
        exchange(newer, plc)
        exchange(older, plc)


def test_of_two_adapters_the_one_that_came_first_gives_way() -> None:
    host, plc = met()
    drop(plc, 1)
    other = HostSide()
    exchange(other, plc)
    exchange(host, plc)  # it had the PLC last, until the other's first whole block
    with pytest.raises(Refused, match="another adapter has taken this PLC over") as told:
        exchange_in_turn(other, host, plc)
    assert told.value.cause is Cause.OUSTED
    assert plc.host_epoch == other.host_epoch
    other.give(order(1))
    assert exchange(other, plc) == ([], [1])


def test_an_adapter_that_was_replaced_gives_the_plc_nothing() -> None:
    host, plc = met()
    drop(plc, 1)
    exchange(host, plc)
    host.acknowledge(1)
    host.give(order(1))
    exchange(HostSide(), plc)
    other = HostSide()
    exchange(other, plc)
    exchange(other, plc)
    before = plc.ignored
    assert plc.receive(host.block(0, HostState.DECIDING), 0) == []
    assert (plc.ignored, plc.tail, plc.taken, plc.host_epoch) == (before + 1, 0, 0, other.host_epoch)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_of_two_host_epochs_one_follows_the_other(one: int, other: int) -> None:
    apart = (one - other) % 0x1_0000
    assert follows(one, other) == (0 < apart < 0x8000)
    assert not (follows(one, other) and follows(other, one))


def test_a_plc_that_goes_back_to_an_older_host_epoch_is_told() -> None:
    host, plc = met()
    plc.host_epoch = (host.host_epoch - 2) % 0x1_0000
    with pytest.raises(Garbled, match="went back from host epoch"):
        host.receive(plc.block(0), 0)


def test_the_host_epoch_is_never_nought() -> None:
    host, plc = HostSide(), PlcSide(7)
    plc.host_epoch = 0xFFFF
    exchange(host, plc)
    assert host.host_epoch == 1


def test_a_head_that_goes_back_is_told() -> None:
    host, plc = met()
    drop(plc, 1)
    exchange(host, plc)
    plc.restart(7)
    with pytest.raises(Garbled, match="head went back from 1 to 0 within epoch 7"):
        exchange(host, plc)


def test_an_acknowledgement_of_what_was_never_given_is_told() -> None:
    host, plc = met()
    plc.taken = 3
    with pytest.raises(Garbled, match="says it took order 3"):
        exchange(host, plc)


def test_heartbeats_age_on_both_sides() -> None:
    host, plc = met()
    exchange(host, plc, now_ns=10)
    frozen = plc.block(0)
    host.receive(frozen, 20)
    host.receive(frozen, 520)
    assert host.silent_ns(520) == 500
    assert plc.host_silent_ns(520) == 510
    exchange(host, plc, now_ns=600)
    assert host.silent_ns(600) == plc.host_silent_ns(600) == 0


def test_left_counts_down_and_ends_at_nought() -> None:
    host, plc = met()
    host.give(order(1, deadline_ns=100_000 * MS))
    host.give(order(2, deadline_ns=40 * MS))
    host.give(order(3, deadline_ns=20 * MS))
    told = plc.receive(host.block(30 * MS, HostState.DECIDING), 0)
    assert [order.left_ms for order in told] == [0xFFFF, 10, 0]


@pytest.mark.parametrize(
    ("mark", "word_order", "sentence"),
    [
        (0, "big", "does not run, or the address is wrong"),
        (0x0001_4853, "big", 'set word_order = "little"'),
        (0x0001_4853, "little", "no word order"),
        (0x5348_0100, "big", "swaps the bytes"),
        (0x0100_5348, "big", "swaps the bytes"),
        (0x4853_0002, "big", "another layout"),
        (0x1234_5678, "big", "the address is wrong"),
    ],
)
def test_what_is_no_mailbox_is_told_why(mark: int, word_order: WordOrder, sentence: str) -> None:
    host = HostSide(word_order)
    block = mark.to_bytes(4, "big") + PlcSide(7).block(0)[4:]
    if sentence == "no word order":
        host.receive(PlcSide(7, "little").block(0), 0)
        return
    with pytest.raises(Garbled, match=sentence):
        host.receive(block, 0)


def test_the_other_word_order_is_named_from_either_side() -> None:
    assert 'word_order = "big"' in no_mark(MARK, "little")
    assert 'word_order = "little"' in no_mark(0x0001_4853, "big")


def test_an_epoch_of_nought_is_no_epoch() -> None:
    host, plc = met()
    plc.epoch = 0
    with pytest.raises(Garbled, match="epoch is 0"):
        host.receive(plc.block(0), 0)
    with pytest.raises(ValueError, match="epoch 0"):
        plc.restart(0)


class Floor:
    """A PLC that numbers its items, an adapter that may die, and a daemon that counts by number."""

    def __init__(self, start: int, hold: int) -> None:
        self.host, self.plc = HostSide(), PlcSide(7)
        self.plc.head = self.plc.tail = self.reported = self.last = start
        self.hold = hold
        self.seen: list[int] = []
        self.given = 0
        self.told: list[int] = []

    def report(self) -> None:
        if drop(self.plc, self.reported + 1):
            self.reported += 1

    def give(self) -> None:
        if self.host.give(order(self.given)):
            self.given += 1

    def write(self) -> None:
        self.told += [told.item for told in self.plc.receive(self.host.block(0, HostState.DECIDING), 0)]

    def read(self) -> None:
        for report in self.host.receive(self.plc.block(0), 0):
            assert report.item == report.number
            if report.number > self.last:  # a repeat is dropped, as the daemon does
                assert report.number == self.last + 1
                self.last = report.number
                self.seen.append(report.number)
        self.host.acknowledge(max(self.host.acknowledged, self.host.read - self.hold))

    def trip(self) -> None:
        self.write()
        self.read()

    def adapter(self) -> None:
        self.host = HostSide()


STEPS = st.lists(st.sampled_from(["report", "give", "trip", "trip", "write", "read", "adapter"]), max_size=120)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(0, 3), st.sampled_from([0, 65_530, 2**20 - 3]))
def test_whatever_happens_each_report_arrives_once_and_in_order(steps: list[str], hold: int, start: int) -> None:
    floor = Floor(start, hold)
    for step in [*steps, *["trip"] * 4]:
        getattr(floor, step)()
    assert floor.seen == list(range(start + 1, floor.reported + 1))
    assert floor.told == sorted(set(floor.told))
    if "adapter" not in steps:
        assert floor.told == list(range(floor.given))
