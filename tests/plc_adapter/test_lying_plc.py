"""A PLC that lies costs itself: only PortError is raised, memory is bounded, all is counted, neighbours go on."""

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter import runner as running
from plc_adapter import service
from plc_adapter.loopback import LoopbackPort
from plc_adapter.mailbox import BLOCK_BYTES, NUMBER_MAX, RING, LineState, PlcSide
from plc_adapter.runner import DIVERTS_MAX, READS_MAX
from plc_adapter.settings import Plc, Site, Wire
from plc_adapter.standing import Link
from sorter.clock import Clock
from sorter.limits import RESEND_MAX
from sorter.records import NONE_16, ChuteState, Discharge, Kind
from sorter.site import load
from sorter.wire.client import Client
from sorter.wire.frames import Item, Ping
from tests.patience import until
from tests.plc_adapter.modbus_plc import ModbusPlc
from tests.plc_adapter.one_line_adapter import Items, Told
from tests.plc_adapter.router_daemon import RouterDaemon
from tests.plc_adapter.stepped_line import Floor, met
from tests.system.hubs import Hub

WORD = st.integers(0, 0xFFFF)
NUMBER = st.one_of(st.integers(0, 40), st.integers(0, NUMBER_MAX), st.sampled_from([0x7FFF, 0x8001, 0x1_0000]))
LIES = st.one_of(
    st.tuples(st.sampled_from(["head", "tail", "taken"]), NUMBER),
    st.tuples(st.just("epoch"), st.integers(1, NUMBER_MAX)),
    st.tuples(st.just("host_epoch"), WORD),
)
REPORTS = st.tuples(st.sampled_from([4, 5, 6, 7, 8, 99]), st.integers(0, NUMBER_MAX), WORD, WORD)


def bounded(floor: Floor) -> None:
    runner = floor.runner
    assert len(runner._reads) <= READS_MAX
    assert len(runner._diverts) <= DIVERTS_MAX
    assert runner.unacknowledged <= READS_MAX + RESEND_MAX


def goes_on(floor: Floor) -> None:
    """An honest PLC in the liar's place is understood, whatever was before."""
    floor.plc = PlcSide(4_000_000_000)
    floor.port = type(floor.port)(floor.plc, floor.told.extend, lambda: floor.now_ns)
    floor.pending.clear()
    floor.items = 1_000
    for _ in range(20):
        floor.drop()
    floor.settle()
    for _ in range(5000):  # an epoch's last numbers may have to be made up for first
        if not (floor.pending or floor.runner.unacknowledged):
            break
        floor.trip()
        floor.daemon.sync()
    assert floor.daemon.items(4_000_000_000) == list(range(1_001, 1_021))
    assert link_of(floor) is Link.TALKING
    floor.daemon.orders.clear()
    floor.told.clear()
    floor.order(1_020, in_ms=10**6)
    floor.trips(3)
    assert [told.item for told in floor.told] == [1_020]


def link_of(floor: Floor) -> Link:
    return floor.runner.link


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.binary(min_size=BLOCK_BYTES, max_size=BLOCK_BYTES), st.binary(max_size=200)), max_size=30))
def test_no_bytes_of_a_plc_raise_anything_but_port_errors(blocks: list[bytes]) -> None:
    floor = met()
    for at, block in enumerate(blocks):
        head = floor.plc.block(0)[:32] if at % 2 else b""
        lie = head + block[len(head) :]
        floor.runner.step(floor.now_ns, lambda _, lie=lie: lie)  # type: ignore[misc] # a default is bound now
        bounded(floor)
    goes_on(floor)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(LIES, REPORTS, st.sampled_from(["trip", "trip", "order", "sync", "ring"])), max_size=60))
def test_no_lie_raises_anything_but_port_errors(steps: list[object]) -> None:
    floor = met()
    chance = random.Random(len(steps))
    for step in steps:
        match step:
            case str(name), int(value):
                setattr(floor.plc, name, value)
            case int(kind), int(item), int(point), int(value):
                floor.plc.tail = floor.plc.head  # it has room whatever the host says
                floor.plc.head %= NUMBER_MAX
                floor.plc.report(kind, item, point, value, 0)
            case "order":
                floor.order(chance.randrange(10), in_ms=10**6)
            case "ring":
                floor.plc._block[32:] = chance.randbytes(BLOCK_BYTES - 32)
            case "sync":
                floor.daemon.sync()
        floor.trip()
        bounded(floor)
    goes_on(floor)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ({"head": 4}, "head went back from 8 to 4 within epoch 7"),
        ({"taken": 900}, "it took order 900, but orders 4 to 3 are open"),
        ({"taken": 1}, "it took order 1, but"),
        ({"epoch": 0}, "epoch is 0"),
        ({"host_epoch": 0}, "began again in epoch 7"),
        ({"host_epoch": 5}, "another adapter has taken this PLC over"),
    ],
)
def test_a_lie_is_told_once_and_then_the_plc_is_met_anew(lie: dict[str, int], told: str) -> None:
    floor = met()
    for item in range(8):
        floor.drop()
        if item < 3:
            floor.order(item)
    floor.trips(3)
    assert len(floor.told) == 3
    for name, value in lie.items():
        setattr(floor.plc, name, value)
    block = floor.plc.block(0)
    assert not floor.runner.step(floor.now_ns, lambda _: block)
    assert told in floor.runner.error
    assert floor.runner.counts.errors == 1
    goes_on(floor)


def test_a_plc_that_heeds_no_acknowledgement_fills_no_memory_and_what_it_overran_is_counted() -> None:
    floor = met()
    floor.daemon.away = True
    floor.daemon.outbox_max = 100
    total = READS_MAX + 2_000
    for item in range(1, total + 1):
        floor.plc.tail = floor.plc.head
        floor.plc.report(Kind.DISCHARGE, item, 101, 0, 0)
        if item % RING == 0:
            floor.trip()
            bounded(floor)
    assert len(floor.runner._reads) == READS_MAX
    floor.daemon.outbox_max = 10**6
    floor.settle()
    items = floor.daemon.items(7)
    assert items == sorted(set(items))
    assert items[-READS_MAX:] == list(range(total - READS_MAX + 1, total + 1))
    pings = sum(isinstance(message, Ping) for _, message in floor.daemon.journal)
    assert floor.runner.counts.lost == pings == total - len(items)


def test_reports_given_up_of_a_start_that_never_had_a_wire_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "READS_MAX", 20)
    floor = met()
    floor.drop()
    floor.trip()
    floor.daemon.away = True
    for epoch in range(8, 14):
        floor.plc.restart(epoch)
        for _ in range(RING - 1):
            floor.drop()
        floor.trips(4)
    assert len(floor.runner._reads) == 20
    assert floor.runner.counts.lost == 6 * (RING - 1) - 20
    floor.settle()
    assert len([0 for boot, _ in floor.daemon.journal if boot > 7]) == 20


@pytest.mark.parametrize("by", [1_000, 0x7000, 0x9000, 1 << 20, 1 << 31])
def test_a_head_that_jumps_is_an_overrun_and_what_follows_counts(by: int) -> None:
    floor = met()
    for _ in range(3):
        floor.drop()
    floor.settle()
    floor.plc.head += by
    floor.plc.tail = floor.plc.head
    took: list[int] = []
    for _ in range(400):
        floor.drop()
        before = len(floor.daemon.journal)
        floor.trip()
        floor.daemon.sync()
        took.append(len(floor.daemon.journal) - before)
    floor.settle()
    seen = [item for boot in floor.daemon.boots for item in floor.daemon.items(boot)]
    assert seen[:3] == [1, 2, 3]
    assert seen[3:] == list(range(seen[3], floor.items + 1))
    assert floor.items - len(seen) <= 3 * RING
    assert floor.runner.counts.lost >= by - RING
    assert max(took) <= 4 * running.FILL_AT_ONCE
    assert link_of(floor) is Link.TALKING


def test_an_epoch_that_changes_with_every_read_is_never_met_and_opens_no_wire() -> None:
    floor = met()
    wire = floor.daemon.wire
    for epoch in range(100, 200):
        floor.plc.epoch = epoch
        floor.drop()
        floor.order(epoch)
        floor.trip()
    assert link_of(floor) is Link.MEETING
    assert (floor.runner.counts.epochs, floor.runner.counts.void) == (101, 100)
    assert (floor.daemon.wire, floor.runner.unacknowledged) == (wire, 0)
    goes_on(floor)


def test_impossible_reports_are_counted_and_the_daemon_hears_no_nonsense() -> None:
    floor = met()
    lies = [
        (Kind.DISCHARGE, 1, 101, 3),
        (Kind.DISCHARGE, 1, 101, 0xFFFF),
        (Kind.CHUTE, 0, NONE_16, 0),
        (Kind.CHUTE, 0, 101, ChuteState.LOCKED),
        (0, 1, 101, 0),
        (0xFFFF, NUMBER_MAX, 0xFFFF, 0xFFFF),
    ]
    for lie in lies:
        floor.pending.append(lie)
    for item in (1, 1, NUMBER_MAX):  # a number given twice, and one that never was
        floor.report(Kind.ITEM, item, 0xFFFF)
    floor.report(Kind.DISCHARGE, 77, 65_534, Discharge.LOST)
    floor.settle()
    assert floor.runner.counts.unknown == len(lies)
    assert [message.item for _, message in floor.daemon.journal if isinstance(message, Item)] == [1, 1, NUMBER_MAX]
    assert floor.daemon.items(7) == [77]


# ---- a PLC that starts again in the same epoch ----------------------------------


@pytest.mark.parametrize("read", [1, 3, 20, 40_000])
@pytest.mark.parametrize("first", [0, 1, RING])
@pytest.mark.parametrize("keeps_echo", [True, False])
def test_a_plc_that_begins_again_in_its_epoch_is_another_start(read: int, first: int, *, keeps_echo: bool) -> None:
    """`read`: reports of its first life; `first`: those that it has made before the adapter sees it again."""
    floor = met()
    floor.plc.head = floor.plc.tail = floor.runner.host.read = floor.runner.host.acknowledged = read - 1
    floor.runner._posted = floor.daemon.last[7] = read - 1
    floor.runner._wire._session._next = floor.runner._wire._session._first = read  # type: ignore[union-attr] # as if so many had gone through
    floor.drop()
    floor.order(1)
    floor.settle()
    floor.tracker.told.clear()
    floor.told.clear()
    floor.port.broken = True
    floor.order(2)
    floor.runner.talk()
    floor.plc.restart(7)
    floor.plc.host_epoch *= keeps_echo
    floor.items = 100
    for _ in range(first):
        floor.drop()
        floor.plc.report(*floor.pending.pop(0), 0)
    floor.port.broken = False
    floor.settle()
    floor.drop()
    floor.order(101)
    floor.settle()
    assert floor.daemon.items(7) == [1]
    taken_for_its_own = read if read <= first else 0  # the acknowledgements of its first life; so an epoch must be new
    assert floor.daemon.items(1 << 32 | 7) == list(range(101 + taken_for_its_own, 102 + first))
    assert [told.item for told in floor.told] == [101]
    assert (floor.runner.counts.reused, floor.runner.counts.epochs, floor.runner.counts.void) == (1, 2, 1)
    assert [told[0] for told in floor.tracker.told][:1] == ["began"]


# ---- its neighbours ---------------------------------------------------------------


class Liar(PlcSide):
    """Each block that is read of it is another lie, sometimes a plausible one."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance.randrange(1 << 20, 1 << 31))
        self._chance = chance

    def block(self, clock_ms: int, line_state: LineState = LineState.RUNNING) -> bytes:
        chance = self._chance
        match chance.randrange(8):
            case 0:
                return chance.randbytes(BLOCK_BYTES)
            case 1:
                self.restart(self.epoch)
            case 2:
                self.epoch += 1
            case 3:
                self.head = min(self.head + chance.randrange(1 << chance.randrange(1, 31)), NUMBER_MAX - 100)
            case 4:
                self.taken = chance.randrange(1 << 32)
        for _ in range(RING):
            self.tail = self.head
            self.report(chance.choice([Kind.ITEM, Kind.DISCHARGE, Kind.CHUTE]), 1, chance.randrange(1 << 16), 0, 0)
        return super().block(clock_ms, line_state)


def test_a_neighbour_in_the_same_adapter_is_undisturbed(daemon: RouterDaemon) -> None:
    async def check() -> None:
        honest, liar = (
            ModbusPlc(plc, time.monotonic_ns) for plc in (PlcSide(7), Liar(random.Random("a PLC that lies")))
        )
        await honest.start()
        await liar.start()
        plcs: dict[str, Plc] = {
            "L1": honest.settings,
            "L2": liar.settings,
        }
        lines = service.lines_of(Site(Wire(daemon.address), None, plcs, scanners={}, tracking={}), plcs, Clock())
        told, stop = Told(), asyncio.Event()
        running_ = asyncio.create_task(service.run(lines, Clock(), stop, told))
        items = Items(honest.plc)
        lied = lines[1].runner.counts
        for _ in range(5):
            await items.bring(50)
            goal = lied.exchanges + lied.errors + 10
            await until(lambda goal=goal: lied.exchanges + lied.errors > goal)  # type: ignore[misc] # a default is bound now
        everything = list(range(1, items.reported + 1))
        await until(lambda: [told.item for told in honest.told] == everything)
        mine = [message for boot, message in list(daemon.disk.journal) if boot == 7 and isinstance(message, Item)]
        assert [message.item for message in mine] == everything
        well = lines[0].runner
        assert (well.counts.lost, well.counts.void, well.counts.reused, well.counts.epochs) == (0, 0, 0, 1)
        await until(lambda: any("L2" in words and "alarm" in words for words in told.words))
        assert lied.errors + lied.epochs > 10
        assert not any("L1" in words and "alarm" in words for words in told.words)
        stop.set()
        await running_
        for plc in (honest, liar):
            await plc.stop()

    asyncio.run(check())


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(tmp_path)
    hub.start()
    yield hub
    hub.stop()


def test_a_real_daemon_refuses_what_cannot_be_and_counts_the_rest(hub: Hub) -> None:
    async def check() -> None:
        plc = PlcSide(7)
        port = LoopbackPort(plc, lambda _told: None, time.monotonic_ns)
        runner = running.Runner(
            "L1",
            lambda boot, first: Client(
                load(hub.folder).wire.devices, role="plc", client="plc-L1", line="L1", boot=boot, first=first
            ),
        )
        stop = asyncio.Event()
        driving = asyncio.create_task(running.drive(runner, port, port, Clock(), poll_ns=5_000_000, stop=stop))
        never, nowhere = 77, 9_999
        for kind, item, point, value in [
            (Kind.DISCHARGE, never, 101, Discharge.DROPPED),
            (Kind.CHUTE, 0, nowhere, ChuteState.FULL),
            (Kind.ITEM, 1, 1, 0),
            (Kind.DISCHARGE, 1, nowhere, Discharge.DROPPED),
            (Kind.ITEM, 1, 1, 0),  # its number at once again
            (Kind.DISCHARGE, 1, 101, Discharge.DROPPED),
            (Kind.DISCHARGE, 1, 101, Discharge.DROPPED),
            (Kind.ITEM, 2, 1, 0),
        ]:
            assert plc.report(kind, item, point, value, 0)
        await until(lambda: runner.counts.reports == 8 and not runner.unacknowledged)
        await until(lambda: runner.counts.refused == 4)
        refused = sorted((refusal.error, refusal.seq) for refusal in runner.refusals)
        assert refused == [("unknown_chute", 2), ("unknown_chute", 4), ("unknown_item", 1), ("unknown_item", 7)]
        status = await asyncio.to_thread(hub.order, "status")
        assert status["refused"]["unknown_item"] == status["refused_frames"] == 2
        assert (status["inducted"], status["on_belt"], sum(status["ended"].values())) == (3, 1, 2)
        stop.set()
        await driving

    asyncio.run(check())
