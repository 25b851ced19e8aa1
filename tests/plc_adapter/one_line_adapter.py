"""An adapter's service for one line between a Modbus PLC and a daemon's socket, and the items that enter."""

import asyncio
import time

from plc_adapter import service
from plc_adapter.mailbox import PlcSide
from plc_adapter.settings import Site, Wire
from sorter.clock import Clock
from sorter.records import Kind
from tests.patience import until
from tests.plc_adapter.modbus_plc import ModbusPlc
from tests.plc_adapter.router_daemon import RouterDaemon


class Items:
    """Feeds a PLC with items 1, 2, 3 … as its ring has room."""

    def __init__(self, plc: PlcSide) -> None:
        self._plc = plc
        self.reported = 0

    def report(self) -> bool:
        """One more enters, if the ring has room."""
        done = self._plc.report(Kind.ITEM, self.reported + 1, 1, 0, 0)
        self.reported += done
        return done

    async def bring(self, count: int) -> None:
        """Put in `count` more."""
        goal = self.reported + count
        while self.reported < goal:
            if not self.report():
                await asyncio.sleep(0.001)


class Told:
    """Keeps what the service told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, level: str, what: str, **fields: object) -> None:
        self.words.append(f"{level} {what} {fields}")


class Hall:
    """A site of one line, with its PLC, and an adapter that may be started and stopped."""

    def __init__(self, daemon: RouterDaemon) -> None:
        self.plc = ModbusPlc(PlcSide(7), time.monotonic_ns)
        self.items = Items(self.plc.plc)
        self.told = Told()
        self._daemon = daemon
        self._stop = asyncio.Event()
        self._task: asyncio.Task[object] | None = None

    async def start(self) -> None:
        """Start the adapter, and the PLC before the first time."""
        if not self.plc.port:
            await self.plc.start()
        site = Site(Wire(self._daemon.address), None, {"L1": self.plc.settings}, scanners={}, tracking={})
        self._stop = asyncio.Event()
        lines = service.lines_of(site, ["L1"], Clock())
        self._task = asyncio.create_task(service.run(lines, Clock(), self._stop, self.told))

    async def stop(self) -> None:
        """Stop the adapter cleanly."""
        self._stop.set()
        assert self._task is not None
        await self._task

    @property
    def on_disk(self) -> list[int]:
        """The items that the daemon counted."""
        return [message.item for _, message in self._daemon.disk.journal if hasattr(message, "item")]

    async def check(self) -> None:
        """Every item counted once, and told once."""
        everything = list(range(1, self.items.reported + 1))
        await until(lambda: self.on_disk == everything)
        await until(lambda: [told.item for told in self.plc.told] == everything)
