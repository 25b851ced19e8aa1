"""The S7 port with a PlcSide behind a real S7 server."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plc_adapter.mailbox import PlcSide, WordOrder
from plc_adapter.port import Port
from plc_adapter.s7 import S7Port
from tests.plc_adapter.s7_plc import ORDERS_AT, ORDERS_DB, REPORTS_AT, REPORTS_DB, S7Plc


class S7Bench:
    """A PlcSide behind a real S7 server."""

    def __init__(self, server: S7Plc) -> None:
        self.server = server
        self.plc = server.plc
        self.told = server.told
        self.port: Port = s7_port(server.port)

    async def cut(self) -> None:
        await self.server.stop()

    async def mend(self) -> None:
        await self.server.start()

    def freeze(self) -> None:
        self.server.running.clear()

    def thaw(self) -> None:
        self.server.running.set()


def s7_port(tcp_port: int) -> S7Port:
    """A port to the S7Plc that listens there."""
    return S7Port(
        "127.0.0.1",
        tcp_port,
        reports_db=REPORTS_DB,
        reports_at=REPORTS_AT,
        orders_db=ORDERS_DB,
        orders_at=ORDERS_AT,
    )


@asynccontextmanager
async def s7(word_order: WordOrder = "big") -> AsyncIterator[S7Bench]:
    server = S7Plc(PlcSide(7, word_order), time.monotonic_ns)
    await server.start()
    bench = S7Bench(server)
    try:
        yield bench
    finally:
        server.running.set()
        await bench.port.close()
        await server.stop()
