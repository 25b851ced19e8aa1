"""The program of an emulated PLC: its line's reports go into the mailbox, the host's orders come out of it.

It does what mailbox.py asks of a PLC and no more, until a scenario freezes it or makes it overrun
its ring. Site time moves the belt; the host's heartbeat is watched in real time, as a PLC on the
floor does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

from plc_adapter.emulator.network import Network
from plc_adapter.emulator.plant import Entered, Left, Plant, Sensed
from plc_adapter.mailbox import RING, SILENT_NS, LineState, PlcSide, WordOrder
from sorter.records import NONE_16, Kind

NS_PER_MS: Final = 1_000_000

_WORDS: Final[dict[type, str]] = {Entered: "item", Left: "discharge", Sensed: "chute"}


class Overwritten(NamedTuple):
    """A report that was gone before a host could read it."""

    epoch: int
    number: int  # in the epoch
    report: str  # item, discharge or chute
    item: int  # 0: it told of a chute


class _Side(PlcSide):
    """The PLC's end of the mailbox, which can be told not to heed what the host acknowledges."""

    heeds_tail = True

    @property
    def room(self) -> int:
        return super().room if self.heeds_tail else RING


class PlcProgram:
    """One line's PLC between a plant and a mailbox.

    `told` is called with the item of each order as it is taken.
    """

    def __init__(
        self, plant: Plant, word_order: WordOrder = "big", told: Callable[[int], None] = lambda _item: None
    ) -> None:
        self.plant = plant
        self.network = Network()
        self.late = 0  # orders that came when their first divert had gone by
        self.overwritten: list[Overwritten] = []
        self._side = _Side(plant.epoch, word_order)
        self._ring: deque[Entered | Left | Sensed] = deque(maxlen=RING)
        self._told = told
        self._shown = b""  # the block as last read,
        self._shown_head = 0  # and the number of its last report
        self._frozen_until_ns = 0  # of real time
        self._to_overwrite = 0

    @property
    def unread(self) -> int:
        """Reports that the host has not acknowledged."""
        return len(self.plant.plc) + self._side.head - self._side.tail

    def freeze(self, until_ns: int) -> None:
        """Stand still until a moment of the monotonic clock: no heartbeat, no divert, no report; the belt runs on."""
        self._frozen_until_ns = max(self._frozen_until_ns, until_ns)

    def overrun(self, count: int) -> None:
        """Do not look at the host's acknowledgement once: `count` reports are overwritten before it can read them.

        It holds its reports back until there are enough of them, and then writes them all at once.
        """
        self._to_overwrite += count

    def mend(self) -> None:
        """Go on as a PLC should, at once."""
        self._frozen_until_ns = self._to_overwrite = 0
        self.network.mend()

    def read(self, now_ns: int, real_ns: int) -> bytes:
        """The PLC's block at this moment."""
        self.cycle(now_ns, real_ns)
        if not self._shown or real_ns >= self._frozen_until_ns:
            line_state = LineState.STOPPED if self.plant.stands else LineState.RUNNING
            self._shown = self._side.block(now_ns // NS_PER_MS, line_state)
            self._shown_head = self._side.head
        return self._shown

    def write(self, block: bytes, now_ns: int, real_ns: int) -> None:
        """The host has written its block."""
        plant = self.plant
        plant.advance(now_ns)
        if real_ns < self._frozen_until_ns:
            return
        met = self._side.host_epoch
        orders = self._side.receive(block, real_ns)
        if self._side.host_epoch != met:
            plant.sense_all()
        for told in orders:
            self._told(told.item)
            if told.left_ms == 0:
                self.late += 1
                continue
            alternate = 0 if told.alternate == NONE_16 else told.alternate
            plant.divert(told.item, told.chute, alternate, now_ns + told.left_ms * NS_PER_MS)

    def cycle(self, now_ns: int, real_ns: int) -> None:
        """Move the belt up to now and put what happened into the mailbox, as far as there is room."""
        plant = self.plant
        frozen = real_ns < self._frozen_until_ns
        plant.host_alive = not frozen and self._side.host_silent_ns(real_ns) <= SILENT_NS
        plant.advance(now_ns)
        if frozen:
            return
        if plant.epoch != self._side.epoch:
            self._forget_ring()
            self._side.restart(plant.epoch)
            self._shown_head = 0
        if self._to_overwrite:
            self._overwrite()
            return
        records = plant.plc
        for _ in range(min(self._side.room, len(records))):
            self._report(records.popleft())

    def _overwrite(self) -> None:
        """Once the host has read all there is, write more than the ring holds, whatever is acknowledged."""
        side, records = self._side, self.plant.plc
        count = self._to_overwrite
        if self._shown_head < side.head or len(records) < count + RING:
            return
        self._to_overwrite = 0
        side.heeds_tail = False
        for at in range(count + RING):
            record = records.popleft()
            self._report(record)
            if at < count:
                self.plant.lose(side.epoch, [record])
                item = 0 if isinstance(record, Sensed) else record.item
                self.overwritten.append(Overwritten(side.epoch, side.head, _WORDS[type(record)], item))
        side.heeds_tail = True

    def _forget_ring(self) -> None:
        """A restart takes what the host has not acknowledged, though it may have been read."""
        acknowledged = max(len(self._ring) - (self._side.head - self._side.tail), 0)
        self.plant.lose(self._side.epoch, islice(self._ring, acknowledged, None))
        self._ring.clear()

    def _report(self, record: Entered | Left | Sensed) -> None:
        self._ring.append(record)
        at_ms = record.t_ns // NS_PER_MS
        if isinstance(record, Left):
            self._side.report(Kind.DISCHARGE, record.item, record.chute, record.outcome, at_ms)
        elif isinstance(record, Entered):
            self._side.report(Kind.ITEM, record.item, record.induct, 0, at_ms)
        else:
            self._side.report(Kind.CHUTE, 0, record.chute, record.state, at_ms)
