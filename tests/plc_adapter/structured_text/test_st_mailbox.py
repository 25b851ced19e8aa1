"""The Structured Text mailbox keeps PlcSide's contract, and its block is PlcSide's byte for byte."""

import random
from collections import deque
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.mailbox import (
    MARK,
    NUMBER_MAX,
    RING,
    SILENT_NS,
    HostSide,
    HostState,
    LineState,
    Order,
    PlcSide,
    Told,
    from_words,
    to_words,
)
from plc_adapter.port import Garbled
from sorter.records import NONE_16, ChuteState, Discharge, Kind
from tests.plc_adapter.structured_text.programs import Maker, Program, Translated, both, library
from tests.plc_adapter.structured_text.translate import Reference

MS = 1_000_000
START_MS = 1000
QUEUE = 64


class Plc:
    """A PLC with the bench program: the clock, the host's block and the reports are the test's."""

    def __init__(self, make: Maker) -> None:
        self.program: Program = make("MailboxBench")
        self.clock_ms = START_MS

    def write(self, block: bytes) -> None:
        self.program["HostBlock"][:] = to_words(block)

    def read(self) -> bytes:
        return from_words(list(self.program["PlcBlock"]))

    def tell(self, item: int, value: int = Discharge.DROPPED) -> bool:
        tell = self.program["Tell"]
        tell.Kind, tell.Item, tell.Point, tell.Value = Kind.DISCHARGE, item, 101, value
        self.program["ClockMs"] = self.clock_ms & 0xFFFF_FFFF
        self.program["Telling"] = True
        self.program.scan()
        self.program["Telling"] = False
        return bool(self.program["Kept"])

    def scan(self, after_ms: int = 0) -> list[Told]:
        self.clock_ms += after_ms
        self.program["ClockMs"] = self.clock_ms & 0xFFFF_FFFF
        self.program.scan()
        orders = self.program["Orders"][: self.program["OrderCount"]]
        return [Told(each.Item, each.Chute, each.Alternate, each.LeftMs, each.Reason) for each in orders]

    def chute(self, place: int, number: int, state: ChuteState) -> None:
        self.program["Chutes"][place].Number = number
        self.program["Chutes"][place].State = state


def exchange(host: HostSide, plc: Plc) -> tuple[list[tuple[int, int, int]], list[int]]:
    """One round trip: (kind, item or chute, value) of what is reported, items told to the PLC."""
    plc.write(host.block(0, HostState.DECIDING))
    told = plc.scan(10)
    reports = host.receive(plc.read(), 0)
    host.acknowledge(host.read)
    shown = [(each.kind, each.point if each.kind == Kind.CHUTE else each.item, each.value) for each in reports]
    return shown, [order.item for order in told]


def met(make: Maker) -> tuple[HostSide, Plc]:
    host, plc = HostSide(), Plc(make)
    plc.scan()
    for _ in range(3):
        exchange(host, plc)
    assert host.ready
    return host, plc


def dropped(*items: int) -> list[tuple[int, int, int]]:
    return [(Kind.DISCHARGE, item, Discharge.DROPPED) for item in items]


def order(item: int) -> Order:
    return Order(item, 101, NONE_16, 10**12, 0)


@both
def test_all_arrives_in_order_both_ways_over_every_wrap(make: Maker) -> None:
    host, plc = met(make)
    plc.clock_ms = 2**32 - 1000
    seen: list[int] = []
    told: list[int] = []
    reported = given_ = 0
    while len(seen) < 66_000:
        while reported - len(seen) < 2 * RING and plc.tell(0xFFFF_0000 ^ reported):
            reported += 1
        while host.give(order(0xFFFF_0000 ^ given_)):
            given_ += 1
        reports, items = exchange(host, plc)
        seen += [item for _, item, _ in reports]
        told += items
    assert seen == [0xFFFF_0000 ^ number for number in range(len(seen))]
    assert told == [0xFFFF_0000 ^ number for number in range(len(told))]
    assert len(told) >= 65_536
    assert host.overruns == host.torn_reads == 0


@both
def test_a_host_that_does_not_acknowledge_loses_nothing_but_what_the_queue_refuses(make: Maker) -> None:
    host, plc = met(make)
    kept = [plc.tell(item) for item in range(QUEUE + 3)]
    assert kept == [True] * QUEUE + [False] * 3
    assert plc.program["Queue"].Refused == 3
    for _ in range(5):
        plc.scan(10)
        assert plc.program["Room"] == 0
        assert plc.program["Queue"].Count == QUEUE - RING
    seen = [item for _ in range(10) for _, item, _ in exchange(host, plc)[0]]
    assert seen == list(range(QUEUE))
    assert host.overruns == 0


@both
def test_a_restart_is_a_new_epoch_and_what_was_told_is_void(make: Maker) -> None:
    host, plc = met(make)
    before = host.epoch
    plc.tell(1)
    host.give(order(1))
    late = host.block(0, HostState.DECIDING)
    plc.program.start()
    plc.write(late)
    assert plc.scan() == []
    assert plc.program["Epoch"] == before + 1
    for _ in range(3):
        assert exchange(host, plc) == ([], [])
    assert (host.ready, host.epoch) == (True, before + 1)
    plc.tell(2)
    host.give(order(2))
    assert exchange(host, plc) == (dropped(2), [2])


@both
@pytest.mark.parametrize(
    ("kept", "seconds", "epoch"),
    [(0, 0, 1), (NUMBER_MAX, 0, 1), (7, 0, 8), (0, 1_800_000_000, 1_800_000_000), (9, 5, 10)],
)
def test_an_epoch_is_never_nought_and_never_an_old_one(make: Maker, kept: int, seconds: int, epoch: int) -> None:
    plc = Plc(make)
    plc.program["Epoch"], plc.program["Seconds"] = kept, seconds
    plc.scan()
    plc.scan(10)
    assert plc.program["Epoch"] == epoch


@both
def test_a_block_that_is_none_or_speaks_to_another_epoch_is_ignored(make: Maker) -> None:
    host, plc = met(make)
    host.give(order(1))
    good = to_words(host.block(0, HostState.DECIDING))
    for place, value in [(0, 0), (1, 2), (2, 9), (3, good[3] + 1), (4, 0)]:
        plc.write(from_words([value if at == place else word for at, word in enumerate(good)]))
        assert plc.scan(10) == []
    plc.write(from_words(good))
    assert [told.item for told in plc.scan(10)] == [1]


@both
def test_an_order_that_is_not_there_yet_is_taken_when_it_is(make: Maker) -> None:
    host, plc = met(make)
    host.give(order(1))
    host.give(order(2))
    good = to_words(host.block(0, HostState.DECIDING))
    for place in (32, 39):  # either seq of the second order
        torn = [NONE_16 if at == place else word for at, word in enumerate(good)]
        plc.write(from_words(torn))
        assert [told.item for told in plc.scan(10)] == [1] * (place == 32)
    plc.write(from_words(good))
    assert [told.item for told in plc.scan(10)] == [2]


@both
def test_an_acknowledgement_that_is_overtaken_changes_nothing(make: Maker) -> None:
    host, plc = met(make)
    for item in range(3):
        plc.tell(item)
    plc.scan()
    overtaken = host.block(0, HostState.DECIDING)
    for _ in range(2):
        exchange(host, plc)
    assert plc.program["Room"] == RING
    plc.write(overtaken)
    plc.scan(10)
    assert plc.program["Room"] == RING


@both
def test_old_orders_beside_a_new_host_epoch_are_not_taken(make: Maker) -> None:
    host, plc = met(make)
    for item in range(3):
        host.give(order(item))
    before = host.block(0, HostState.DECIDING)
    assert exchange(host, plc)[1] == [0, 1, 2]
    host.forget()
    host.receive(plc.read(), 0)
    after = host.block(0, HostState.DECIDING)
    plc.write(after[:10] + before[10:])  # the rest of it is on its way
    assert plc.scan(10) == []
    plc.write(after)
    assert plc.scan(10) == []
    assert plc.program["PlcBlock"][9] == 0


@both
def test_a_host_is_alive_while_its_heart_beats(make: Maker) -> None:
    host, plc = HostSide(), Plc(make)
    plc.scan()
    assert not plc.program["HostAlive"]
    for _ in range(3):
        exchange(host, plc)
    assert plc.program["HostAlive"]
    assert plc.program["HostDeciding"]
    plc.scan(SILENT_NS // MS)
    assert plc.program["HostAlive"]
    plc.scan(1)
    assert not plc.program["HostAlive"]
    assert not plc.program["HostDeciding"]
    plc.scan(65_000)  # its clock's low word comes round
    plc.scan(100)
    assert not plc.program["HostAlive"]
    plc.write(host.block(0, HostState.AWAY))
    plc.scan(10)
    assert plc.program["HostAlive"]
    assert not plc.program["HostDeciding"]


@both
def test_every_chutes_state_is_told_when_it_changes_and_after_a_new_epoch_of_either_side(make: Maker) -> None:
    host, plc = met(make)
    for place in range(3):
        plc.chute(place * 2, 101 + place, ChuteState.OPEN)
    every = [(Kind.CHUTE, 101 + place, ChuteState.OPEN) for place in range(3)]
    assert exchange(host, plc)[0] == every
    plc.chute(2, 102, ChuteState.FULL)
    every[1] = (Kind.CHUTE, 102, ChuteState.FULL)
    assert [exchange(host, plc)[0] for _ in range(2)] == [every[1:2], []]
    again = HostSide()
    assert [each for _ in range(3) for each in exchange(again, plc)[0]] == every
    plc.program.start()
    for place, (_, number, state) in enumerate(every):
        plc.chute(place, number, ChuteState(state))
    assert [each for _ in range(4) for each in exchange(again, plc)[0]] == every * 2  # for its epoch, then the host's


@both
def test_the_words_are_in_the_order_that_is_the_default(make: Maker) -> None:
    plc = Plc(make)
    plc.scan()
    assert list(plc.program["PlcBlock"])[:4] == [MARK >> 16, MARK & 0xFFFF, 0, 1]
    with pytest.raises(Garbled, match='set word_order = "big"'):
        HostSide("little").receive(plc.read(), 0)


def test_numbers_that_are_used_up_begin_a_new_epoch_when_all_are_acknowledged() -> None:
    program = Translated("MailboxBench")
    host, plc = met(lambda _: program)
    mailbox = program.memory.Mailbox
    mailbox.Head = mailbox.Tail = NUMBER_MAX - 2
    host.read = host.acknowledged = NUMBER_MAX - 2
    host.forget()
    seen = []
    for item in range(5):
        plc.tell(item)
    for _ in range(10):
        seen += exchange(host, plc)[0]
    assert seen == dropped(*range(5))
    assert host.epoch == program["Epoch"] == 2
    assert host.read == 3


class Story:
    """The bench program and PlcSide in the same plant, with one host that hears the program."""

    def __init__(self, make: Maker, hold: int) -> None:
        self.plc, self.twin, self.host = Plc(make), PlcSide(1), HostSide()
        self.hold = hold
        self.pending: deque[tuple[int, int]] = deque()  # item, stamp
        self.states: dict[int, ChuteState] = {}
        self.told: dict[int, ChuteState] = {}
        self.in_memory = self.old = bytes(160)
        self.items = self.given = 0
        self.reported: list[int] = []
        self.seen: list[int] = []

    def report(self) -> None:
        self.items += 1
        kept = self.plc.tell(self.items)
        assert kept == (len(self.pending) < QUEUE)
        if kept:
            self.pending.append((self.items, self.plc.clock_ms))

    def give(self) -> None:
        self.given += self.host.give(Order(self.given, 101, 102, 10**9 * (self.given % 100), self.given % 7))

    def write(self) -> None:
        self.old = self.in_memory
        self.in_memory = self.host.block(self.plc.clock_ms * MS, HostState(self.items % 2))
        self.plc.write(self.in_memory)

    def overtake(self) -> None:
        self.in_memory, self.old = self.old, self.in_memory
        self.plc.write(self.in_memory)

    def adapter(self) -> None:
        self.host = HostSide()

    def chute(self) -> None:
        number = 101 + self.items % 3
        state = ChuteState((self.states.get(number, 0) + self.items) % 4)
        self.states[number] = state
        self.plc.chute(number - 101, number, state)

    def restart(self) -> None:
        self.plc.program.start()
        self.twin = PlcSide(self.twin.epoch + 1)
        self.pending.clear()
        self.told.clear()
        for number, state in self.states.items():
            self.plc.chute(number - 101, number, state)
        self.plc.write(self.in_memory)
        self.scan()

    def scan(self, after_ms: int = 10) -> None:
        told = self.plc.scan(after_ms)
        now_ns = self.plc.clock_ms * MS
        epoch = self.twin.host_epoch
        assert told == self.twin.receive(self.in_memory, now_ns)
        if self.twin.host_epoch != epoch:
            self.told.clear()
        for number, state in sorted(self.states.items()):
            if self.told.get(number) != state and self._twin(Kind.CHUTE, 0, number, state, self.plc.clock_ms):
                self.told[number] = state
        while self.pending and self._twin(Kind.DISCHARGE, self.pending[0][0], 101, 0, self.pending[0][1]):
            self.pending.popleft()
        assert to_words(self.plc.read()) == to_words(self.twin.block(self.plc.clock_ms, LineState.RUNNING))
        assert self.plc.program["HostAlive"] == (self.twin.host_silent_ns(now_ns) <= SILENT_NS)

    def _twin(self, kind: Kind, item: int, point: int, value: int, at_ms: int) -> bool:
        return self.twin.report(kind, item, point, value, at_ms)

    def wait(self) -> None:
        self.scan(250)

    def read(self) -> None:
        self.host.receive(self.plc.read(), 0)
        self.host.acknowledge(max(self.host.acknowledged, self.host.read - self.hold))

    def trip(self) -> None:
        self.write()
        self.scan()
        self.read()


STEPS = ["report", "report", "give", "write", "scan", "read", "trip", "trip", "wait", "chute", "overtake"]
RARE = ["adapter", "restart"]


@both
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from(STEPS * 3 + RARE), max_size=80),
    hold=st.integers(0, 3),
    start_ms=st.sampled_from([START_MS, 65_000, 2**32 - 300]),
)
def test_whatever_happens_its_block_is_plc_sides_block(make: Maker, steps: list[str], hold: int, start_ms: int) -> None:
    story = Story(make, hold)
    story.plc.clock_ms = start_ms
    story.scan()
    story.trip()
    story.trip()
    for step in steps:
        getattr(story, step)()


@both
def test_an_overtaken_block_of_another_adapter_is_taken_by_neither_at_once(make: Maker) -> None:
    story = Story(make, hold=0)
    for step in ["scan", "trip", "trip", "give", "trip", "adapter", "read", "write", "overtake"]:
        getattr(story, step)()
    host_epoch = story.twin.host_epoch
    story.write()  # the new adapter's, and then the old one's once more
    story.scan()
    assert story.twin.host_epoch == host_epoch + 1
    story.in_memory = story.old
    story.plc.write(story.old)
    story.scan()
    assert (story.twin.host_epoch, story.twin.taken) == (host_epoch + 1, 0)


class Watched:
    """A block that shows itself after every single word that is written."""

    def __init__(self, words: list[int]) -> None:
        self.shown = [words]
        self.places: list[int] = []  # written, in their order

    def __getitem__(self, place: int) -> int:
        return self.shown[-1][place]

    def __setitem__(self, place: int, value: int) -> None:
        words = list(self.shown[-1])
        words[place] = value
        self.shown.append(words)
        self.places.append(place)


PAUSES = [0] * 8 + [1, 5, 200]  # words written on the other side between two that are read


def swept(shown: list[list[int]], random_: random.Random, upwards: int) -> bytes:
    """What a reader gets that goes over the block word by word while it is being written."""
    at = random_.randrange(len(shown))
    words = [0] * 80
    for place in list(range(80))[::upwards]:
        words[place] = shown[at][place]
        at = min(at + random_.choice(PAUSES), len(shown) - 1)
    return from_words(words)


def watched_scans(scans: int, random_: random.Random) -> Iterator[tuple[Watched, Callable[[bytes], None]]]:
    """Scans of the mailbox with discharges numbered from 1: how its block was written, and how to answer."""
    units = library()
    memory = units.memory["HubSorterMailbox"]()
    units.start(memory, "HubSorterMailbox")
    host_block, queue, chutes = (units.memory[f"HubSorter{each}"]() for each in ("Block", "Queue", "Chutes"))
    epoch = Reference(0)
    words = [0] * 80
    item = 0

    def answer(block: bytes) -> None:
        host_block[:] = to_words(block)

    for scan in range(scans):
        for _ in range(random_.randrange(4)):
            item += units.bodies["HubSorterTell"](
                ClockMs=scan, Kind=int(Kind.DISCHARGE), Item=item + 1, Point=101 + item, Value=item % 3, Queue=queue
            )
        memory.ClockMs, memory.LineState = scan * 10, 1
        block = Watched(words)
        units.bodies["HubSorterMailbox"](
            memory, PlcBlock=block, HostBlock=host_block, Epoch=epoch, Queue=queue, Chutes=chutes
        )
        words = block.shown[-1]
        yield block, answer


@pytest.mark.parametrize("upwards", [1, -1])
def test_a_host_that_reads_in_the_midst_of_a_scan_reads_only_what_is_whole(upwards: int) -> None:
    random_ = random.Random(upwards)  # a test's chance
    host = HostSide()
    seen: list[int] = []
    for watched, answer in watched_scans(3000, random_):
        block = swept(watched.shown, random_, upwards)
        try:
            reports = host.receive(block, 0)
        except Garbled:
            assert not seen  # before the first scan has ended there is no mailbox
            continue
        seen += [report.item for report in reports]
        for report in reports:
            assert (report.kind, report.item) == (Kind.DISCHARGE, report.number)
            assert (report.point, report.value) == (100 + report.number, (report.number - 1) % 3)
        host.acknowledge(host.read)
        answer(host.block(0, HostState.DECIDING))
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) > 2000


def test_a_reports_words_are_written_in_their_order_then_the_head_and_the_mark_last() -> None:
    reports = 0
    for watched, _ in watched_scans(5, random.Random(1)):
        ring = [place for place in watched.places if place >= 16]
        assert all(place % 8 == at % 8 for at, place in enumerate(ring))
        assert watched.places == [*ring, *range(2, 16), 0, 1]
        reports += len(ring) // 8
    assert reports > 3


class Arriving:
    """A host's block that is written word by word while the PLC reads it."""

    def __init__(self, before: list[int], after: list[int], random_: random.Random, upwards: int) -> None:
        self._words = list(before)
        self._coming = list(enumerate(after))[::upwards]
        self._random = random_

    def __getitem__(self, place: int) -> int:
        for _ in range(self._random.choice(PAUSES)):
            if self._coming:
                at, word = self._coming.pop(0)
                self._words[at] = word
        return self._words[place]


@pytest.mark.parametrize("upwards", [1, -1])
def test_a_plc_that_is_written_in_the_midst_of_a_scan_takes_only_what_is_whole(upwards: int) -> None:
    random_ = random.Random(upwards)  # a test's chance
    units = library()
    memory = units.memory["HubSorterMailbox"]()
    units.start(memory, "HubSorterMailbox")
    plc_block, queue, chutes = (units.memory[f"HubSorter{each}"]() for each in ("Block", "Queue", "Chutes"))
    epoch = Reference(0)
    host, words, given_, told = HostSide(), [0] * 80, 0, []
    for scan in range(4000):
        if scan % 5 == 3:
            host.forget()
        if scan % 100 == 99:
            host = HostSide()
        while host.ready and random_.random() < 0.6 and host.give(order(given_)):
            given_ += 1
        after = to_words(host.block(0, HostState.DECIDING))
        block = Arriving(words, after, random_, upwards)
        memory.ClockMs, memory.LineState = scan * 10, 1
        units.bodies["HubSorterMailbox"](
            memory, PlcBlock=plc_block, HostBlock=block, Epoch=epoch, Queue=queue, Chutes=chutes
        )
        words = after
        told += [each.Item for each in memory.Orders[: memory.OrderCount]]
        host.receive(from_words(list(plc_block)), 0)
        host.acknowledge(host.read)
    assert told == sorted({*told})
    assert len(told) > 500
