"""For every dialect a port, a real PLC behind it, and the cable between: what the contract suite runs over."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from plc_adapter.loopback import LoopbackPort
from plc_adapter.mailbox import PlcSide, Told, WordOrder
from plc_adapter.modbus import ModbusPort
from plc_adapter.port import Port
from tests.plc_adapter.modbus_plc import ORDERS_AT, REPORTS_AT, ModbusPlc
from tests.plc_adapter.opcua_bench import opcua
from tests.plc_adapter.s7_bench import s7


class Bench(Protocol):
    """A port, the PLC behind it, and the cable between."""

    port: Port
    plc: PlcSide
    told: list[Told]

    async def cut(self) -> None:
        """Pull the cable, or switch the PLC's network off."""

    async def mend(self) -> None:
        """Put it back."""


class NetworkBench(Bench, Protocol):
    """One whose cable is a network."""

    def freeze(self) -> None:
        """From now on the PLC takes what is sent and answers nothing."""

    def thaw(self) -> None:
        """It answers again, first what it was asked."""


class Maker(Protocol):
    """Makes a bench."""

    def __call__(self, word_order: WordOrder = "big") -> AbstractAsyncContextManager[Bench]: ...


class NetworkMaker(Protocol):
    """Makes a bench over a network."""

    def __call__(self, word_order: WordOrder = "big") -> AbstractAsyncContextManager[NetworkBench]: ...


class LoopbackBench:
    """A PlcSide in this process."""

    def __init__(self, word_order: WordOrder = "big") -> None:
        self.plc = PlcSide(7, word_order)
        self.told: list[Told] = []
        self.loopback = LoopbackPort(self.plc, self.told.extend, time.monotonic_ns)
        self.port: Port = self.loopback

    async def cut(self) -> None:
        self.loopback.broken = True

    async def mend(self) -> None:
        self.loopback.broken = False


class ModbusBench:
    """A PlcSide behind a real Modbus server."""

    def __init__(self, server: ModbusPlc) -> None:
        self.server = server
        self.plc = server.plc
        self.told = server.told
        self.port: Port = ModbusPort("127.0.0.1", server.port, reports_at=REPORTS_AT, orders_at=ORDERS_AT)

    async def cut(self) -> None:
        await self.server.stop()

    async def mend(self) -> None:
        await self.server.start()

    def freeze(self) -> None:
        self.server.running.clear()

    def thaw(self) -> None:
        self.server.running.set()


@asynccontextmanager
async def loopback(word_order: WordOrder = "big") -> AsyncIterator[Bench]:
    yield LoopbackBench(word_order)


@asynccontextmanager
async def modbus(word_order: WordOrder = "big", *, one_request: bool = True) -> AsyncIterator[ModbusBench]:
    server = ModbusPlc(PlcSide(7, word_order), time.monotonic_ns, one_request=one_request)
    await server.start()
    bench = ModbusBench(server)
    try:
        yield bench
    finally:
        server.running.set()
        await bench.port.close()
        await server.stop()


def modbus_in_two(word_order: WordOrder = "big") -> AbstractAsyncContextManager[ModbusBench]:
    return modbus(word_order, one_request=False)


NETWORKS: list[NetworkMaker] = [modbus, modbus_in_two, s7, opcua]
EVERYONE: list[Maker] = [loopback, *NETWORKS]
