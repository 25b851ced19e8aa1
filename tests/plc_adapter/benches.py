"""For every dialect a port, a real PLC behind it, and the cable between: what the contract suite runs over."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

from plc_adapter.loopback import LoopbackPort
from plc_adapter.mailbox import HostSide, HostState, PlcSide, Told, WordOrder
from plc_adapter.port import Port, PortError
from plc_adapter.service import port_of
from plc_adapter.settings import Plc
from tests.plc_adapter.modbus_plc import ModbusPlc
from tests.plc_adapter.opcua_plc import OpcUaPlc
from tests.plc_adapter.s7_plc import S7Plc


class Bench(Protocol):
    """A port, the PLC behind it, and the cable between."""

    port: Port
    plc: PlcSide
    told: list[Told]

    async def cut(self) -> None:
        """Pull the cable, or switch the PLC's network off."""

    async def mend(self) -> None:
        """Put it back."""


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


class Running(Protocol):
    """An event, of this loop or of threads."""

    def set(self) -> None: ...
    def clear(self) -> None: ...


class ServedPlc(Protocol):
    """A PlcSide behind a real server of its dialect; not `running`, it takes what is sent and answers nothing."""

    plc: PlcSide
    told: list[Told]

    @property
    def running(self) -> Running: ...

    @property
    def settings(self) -> Plc:
        """Its section of site.toml."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Close everything."""

    async def cut(self) -> None:
        """Close the listener and every connection."""

    async def mend(self) -> None:
        """Listen again on the same port."""


Server = TypeVar("Server", bound=ServedPlc)


class NetworkBench(Generic[Server]):
    """One whose cable is a network."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.plc = server.plc
        self.told = server.told
        self.port: Port = port_of(server.settings)

    async def cut(self) -> None:
        await self.server.cut()

    async def mend(self) -> None:
        await self.server.mend()

    def freeze(self) -> None:
        """From now on the PLC takes what is sent and answers nothing."""
        self.server.running.clear()

    def thaw(self) -> None:
        """It answers again, first what it was asked."""
        self.server.running.set()


class Maker(Protocol):
    """Makes a bench."""

    def __call__(self, word_order: WordOrder = "big") -> AbstractAsyncContextManager[Bench]: ...


class NetworkMaker(Protocol):
    """Makes a bench over a network."""

    def __call__(self, word_order: WordOrder = "big") -> AbstractAsyncContextManager[NetworkBench[Any]]: ...


@asynccontextmanager
async def loopback(word_order: WordOrder = "big") -> AsyncIterator[LoopbackBench]:
    yield LoopbackBench(word_order)


@asynccontextmanager
async def over_a_network(server: Server) -> AsyncIterator[NetworkBench[Server]]:
    await server.start()
    bench = NetworkBench(server)
    try:
        yield bench
    finally:
        bench.thaw()
        await bench.port.close()
        await server.stop()


def modbus(
    word_order: WordOrder = "big", *, one_request: bool = True
) -> AbstractAsyncContextManager[NetworkBench[ModbusPlc]]:
    return over_a_network(ModbusPlc(PlcSide(7, word_order), time.monotonic_ns, one_request=one_request))


def modbus_in_two(word_order: WordOrder = "big") -> AbstractAsyncContextManager[NetworkBench[ModbusPlc]]:
    return modbus(word_order, one_request=False)


def s7(word_order: WordOrder = "big") -> AbstractAsyncContextManager[NetworkBench[S7Plc]]:
    return over_a_network(S7Plc(PlcSide(7, word_order), time.monotonic_ns))


def opcua(word_order: WordOrder = "big") -> AbstractAsyncContextManager[NetworkBench[OpcUaPlc]]:
    return over_a_network(OpcUaPlc(PlcSide(7, word_order), time.monotonic_ns))


async def trip(bench: Bench, host: HostSide) -> list[int]:
    """Exchange until it works; the items reported."""
    for _ in range(50):
        try:
            await bench.port.connect()
            reports = host.receive(await bench.port.exchange(host.block(0, HostState.DECIDING)), 0)
        except PortError:
            await asyncio.sleep(0.01)
        else:
            host.acknowledge(host.read)
            return [report.item for report in reports]
    raise AssertionError("the port did not come back")


async def trips(bench: Bench, host: HostSide, count: int = 3) -> list[int]:
    """So many that work; the items reported."""
    return [item for _ in range(count) for item in await trip(bench, host)]


NETWORKS: list[NetworkMaker] = [modbus, modbus_in_two, s7, opcua]
EVERYONE: list[Maker] = [loopback, *NETWORKS]
