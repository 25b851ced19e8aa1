"""The program of an emulated PLC: its line's reports go into the mailbox, the host's orders come out of it.

It does what mailbox.py asks of a PLC and no more. Site time moves the belt; the host's
heartbeat is watched in real time, as a PLC on the floor does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from plc_adapter.emulator.plant import Entered, Left, Plant, Sensed
from plc_adapter.mailbox import SILENT_NS, PlcSide, WordOrder
from sorter.records import NONE_16, Kind

NS_PER_MS: Final = 1_000_000


class PlcProgram:
    """One line's PLC between a plant and a mailbox.

    `told` is called with the item of each order as it is taken.
    """

    def __init__(
        self, plant: Plant, word_order: WordOrder = "big", told: Callable[[int], None] = lambda _item: None
    ) -> None:
        self.plant = plant
        self.late = 0  # orders that came when their first divert had gone by
        self._side = PlcSide(plant.epoch, word_order)
        self._told = told

    @property
    def unread(self) -> int:
        """Reports that the host has not acknowledged."""
        return len(self.plant.plc) + self._side.head - self._side.tail

    def read(self, now_ns: int, real_ns: int) -> bytes:
        """The PLC's block at this moment."""
        self.cycle(now_ns, real_ns)
        return self._side.block(now_ns // NS_PER_MS)

    def write(self, block: bytes, now_ns: int, real_ns: int) -> None:
        """The host has written its block."""
        plant = self.plant
        plant.advance(now_ns)
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
        plant.host_alive = self._side.host_silent_ns(real_ns) <= SILENT_NS
        plant.advance(now_ns)
        if plant.epoch != self._side.epoch:
            self._side.restart(plant.epoch)
        records = plant.plc
        for _ in range(min(self._side.room, len(records))):
            self._report(records.popleft())

    def _report(self, record: Entered | Left | Sensed) -> None:
        at_ms = record.t_ns // NS_PER_MS
        if isinstance(record, Left):
            self._side.report(Kind.DISCHARGE, record.item, record.chute, record.outcome, at_ms)
        elif isinstance(record, Entered):
            self._side.report(Kind.ITEM, record.item, record.induct, 0, at_ms)
        else:
            self._side.report(Kind.CHUTE, 0, record.chute, record.state, at_ms)
