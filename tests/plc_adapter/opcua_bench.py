"""OPC UA for the contract suite: an OpcUaPort and a real server behind it."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plc_adapter.mailbox import PlcSide, WordOrder
from plc_adapter.opcua import OpcUaPort
from plc_adapter.port import Port
from tests.plc_adapter.opcua_plc import ORDERS_NODE, REPORTS_NODE, OpcUaPlc


class OpcUaBench:
    """A PlcSide behind a real OPC UA server."""

    def __init__(self, server: OpcUaPlc) -> None:
        self.server = server
        self.plc = server.plc
        self.told = server.told
        self.port: Port = OpcUaPort("127.0.0.1", server.port, reports_node=REPORTS_NODE, orders_node=ORDERS_NODE)

    async def cut(self) -> None:
        await self.server.cut()

    async def mend(self) -> None:
        await self.server.mend()

    def freeze(self) -> None:
        self.server.running.clear()

    def thaw(self) -> None:
        self.server.running.set()


@asynccontextmanager
async def opcua(word_order: WordOrder = "big") -> AsyncIterator[OpcUaBench]:
    server = OpcUaPlc(PlcSide(7, word_order), time.monotonic_ns)
    await server.start()
    bench = OpcUaBench(server)
    try:
        yield bench
    finally:
        server.running.set()
        await bench.port.close()
        await server.stop()
