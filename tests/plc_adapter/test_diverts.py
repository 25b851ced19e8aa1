"""A divert never shifts onto the next parcel: whatever fails, an order that a PLC takes is one divert, whole, once."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.mailbox import BLOCK_BYTES, RING, PlcSide, Told
from plc_adapter.port import Late, Unreachable
from plc_adapter.runner import Runner
from sorter.records import NONE_16
from sorter.wire.frames import Divert
from tests.plc_adapter.one_line_daemon import DirectWire, OneLineDaemon

MS = 1_000_000
NUMBERS = 5  # item numbers that come again and again, so that a shift would find a parcel to hit


class Deciding(OneLineDaemon):
    """A daemon whose diverts go to the connection for which it decided, and die with it."""

    def open(self, boot: int, first: int) -> DirectWire:
        self.orders.clear()
        return super().open(boot, first)


class Decided(NamedTuple):
    """A divert as the daemon decided it."""

    boot: int
    item: int
    chute: int
    alternate: int


class Taken(NamedTuple):
    """An order as the PLC took it, and which of its lives it was in."""

    epoch: int
    told: Told


class Floor:
    """One line whose cable may lose, tear and delay, and whose ends may die. Each divert has chutes of its own."""

    def __init__(self) -> None:
        self.now_ns = 10**12
        self.plc = PlcSide(7)
        self.daemon = Deciding(lambda: self.now_ns)
        self.runner = Runner("L1", self.daemon.open)
        self.decided: list[Decided] = []
        self.taken: list[Taken] = []
        self._memory = bytes(BLOCK_BYTES)  # where the PLC keeps the host's block
        self._before = self.plc.block(0)

    # ---- what may happen

    def decide(self) -> None:
        serial, wire = len(self.decided), self.daemon.wire
        if wire is None or self.daemon.away:
            return
        divert = Decided(wire.boot, serial % NUMBERS, 2 * serial + 1, 2 * serial + 2 if serial % 3 else NONE_16)
        self.decided.append(divert)
        self.daemon.orders.append(
            Divert(
                line="L1",
                item=divert.item,
                chute=divert.chute,
                alternate=None if divert.alternate == NONE_16 else divert.alternate,
                reason="planned",
                deadline_ns=self.now_ns + 10**6 * MS,
            )
        )

    def decide_a_crowd(self) -> None:
        for _ in range(RING + 3):
            self.decide()

    def trip(self) -> None:
        self._step(cut=BLOCK_BYTES, forward=True)

    def torn(self, cut: int, *, forward: bool) -> None:
        self._step(cut, forward=forward)

    def write_is_lost(self) -> None:
        def exchange(_out: bytes) -> bytes:
            raise Unreachable("the cable is cut")

        self.runner.step(self._later(), exchange)

    def answer_is_lost(self) -> None:
        def exchange(out: bytes) -> bytes:
            self._write(out)
            raise Late("no answer")

        self.runner.step(self._later(), exchange)

    def old_answer(self) -> None:
        """The PLC takes what is written, and its block is the one of before."""

        def exchange(out: bytes) -> bytes:
            self._write(out)
            return self._before

        self.runner.step(self._later(), exchange)

    def sync(self) -> None:
        self.daemon.sync()

    def daemon_goes_or_comes(self) -> None:
        self.daemon.away = not self.daemon.away
        self.daemon.orders.clear()

    def adapter_dies(self) -> None:
        self.runner = Runner("L1", self.daemon.open)

    def plc_restarts(self) -> None:
        self.plc.restart(self.plc.epoch + 1)

    def plc_restarts_and_forgets_its_block(self) -> None:
        self.plc = PlcSide(self.plc.epoch + 1)

    def plc_restarts_in_its_epoch(self) -> None:
        self.plc = PlcSide(self.plc.epoch)

    # ---- how

    def _later(self) -> int:
        self.now_ns += 10 * MS
        return self.now_ns

    def _write(self, out: bytes, cut: int = BLOCK_BYTES, *, forward: bool = True) -> None:
        """The PLC's program runs once while the block is half there, from either end, and once when it is whole."""
        half = out[:cut] + self._memory[cut:] if forward else self._memory[:cut] + out[cut:]
        self._memory = out
        for block in (half, out):
            self.taken += [Taken(self.plc.epoch, told) for told in self.plc.receive(block, self.now_ns)]

    def _step(self, cut: int, *, forward: bool) -> None:
        def exchange(out: bytes) -> bytes:
            self._write(out, cut, forward=forward)
            self._before = self.plc.block(self.now_ns // MS)
            return self._before

        self.runner.step(self._later(), exchange)

    def settle(self) -> None:
        self.daemon.away = False
        for _ in range(6):
            self.trip()
            self.daemon.sync()


HONEST = [
    *["decide"] * 3,
    "decide_a_crowd",
    *["trip"] * 4,
    "write_is_lost",
    "answer_is_lost",
    "old_answer",
    "sync",
    "daemon_goes_or_comes",
    "adapter_dies",
    "plc_restarts",
    "plc_restarts_and_forgets_its_block",
]
TEARS = st.tuples(st.integers(0, BLOCK_BYTES // 2).map(lambda words: 2 * words), st.booleans())


def happens(floor: Floor, steps: list[str | tuple[int, bool]]) -> None:
    floor.settle()
    for step in steps:
        if isinstance(step, str):
            getattr(floor, step)()
        else:
            floor.torn(step[0], forward=step[1])
    floor.settle()


def serials(floor: Floor) -> list[int]:
    """Which diverts the PLC took, in order; each must be one of the daemon, whole, and of the same life of the PLC."""
    found = []
    for epoch, told in floor.taken:
        serial = (told.chute - 1) // 2
        decided = floor.decided[serial]
        assert (told.item, told.chute, told.alternate) == decided[1:]
        assert decided.boot & 0xFFFF_FFFF == epoch
        found.append(serial)
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(HONEST), TEARS), min_size=20, max_size=80))
def test_whatever_fails_the_plc_takes_whole_diverts_in_order_and_once(steps: list[str | tuple[int, bool]]) -> None:
    floor = Floor()
    happens(floor, steps)
    took = serials(floor)
    assert took == sorted(set(took))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*HONEST[:11]]), min_size=20, max_size=80))
def test_while_both_ends_live_no_divert_is_lost_however_many_exchanges_are(steps: list[str | tuple[int, bool]]) -> None:
    floor = Floor()
    happens(floor, steps)
    floor.settle()
    assert serials(floor) == list(range(len(floor.decided)))


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(st.sampled_from([*HONEST, "plc_restarts_in_its_epoch"]), TEARS), min_size=20, max_size=80))
def test_a_plc_that_keeps_no_epoch_takes_whole_diverts_all_the_same(steps: list[str | tuple[int, bool]]) -> None:
    floor = Floor()
    happens(floor, steps)
    serials(floor)


def test_a_shift_would_be_seen() -> None:
    floor = Floor()
    happens(floor, ["decide", "decide", "trip"])
    assert serials(floor) == [0, 1]
    epoch, told = floor.taken[1]
    floor.taken[1] = Taken(epoch, told._replace(item=floor.decided[0].item))
    try:
        serials(floor)
    except AssertionError:
        return
    raise AssertionError("item 0 with the chute of item 1 was not seen")
