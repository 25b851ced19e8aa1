"""How many items a second one adapter carries over each dialect, beside the bare library's round trips.

An item is carried when it was reported, told a chute, and its drop reported: two reports and an
order. Behind the adapter stands a wire that answers at once, so that it is the adapter, its port
and the PLC's server that are measured; the server is a process of its own. The library alone does
what one exchange costs at least, a block written and a block read, against the same server, in
turns with the adapter.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Final, NamedTuple

from asyncua import ua
from asyncua.client.client import Client as OpcUaClient
from pymodbus.client import AsyncModbusTcpClient
from snap7.async_client import AsyncClient

from bench.measure import Result, hash_of, median_ratio, three_digits
from bench.plc import settings
from bench.site import NotReady, free_ports
from plc_adapter.addresses import exchanged
from plc_adapter.mailbox import BLOCK_BYTES, BLOCK_WORDS
from plc_adapter.runner import Message, Runner, drive
from plc_adapter.service import port_of
from plc_adapter.settings import DIALECTS, S7, Modbus, OpcUa, Plc
from sorter.clock import Clock
from sorter.wire.frames import Alarm, Discharge, Divert, Item, Refuse

CHUTES: Final = 40
DEADLINE_NS: Final = 60_000_000_000
HASHED: Final = 100  # drops, which every run reaches
RoundTrip = Callable[[], Awaitable[object]]


class Size(NamedTuple):
    """How much is measured: seconds of each side in a round."""

    seconds: float = 1.0
    rounds: int = 7


class Immediate:
    """A daemon that has all up to `last` and keeps the rest at once; it sends item n to chute 1 + n mod CHUTES."""

    welcomed = True
    unacknowledged = 0

    def __init__(self, clock: Clock, last: int, drops: list[tuple[int, int | None]]) -> None:
        self.last: int | None = last
        self.drops = drops
        self._clock = clock
        self._diverts: list[Divert] = []

    def post(self, message: Message) -> int:
        """Take the next number."""
        assert message.seq is not None
        if isinstance(message, Item):
            chute = 1 + message.item % CHUTES
            deadline_ns = self._clock.now_ns() + DEADLINE_NS
            order = Divert(line="bench", item=message.item, chute=chute, reason="planned", deadline_ns=deadline_ns)
            self._diverts.append(order)
        elif isinstance(message, Discharge):
            self.drops.append((message.item, message.chute))
        return message.seq

    def poll(self) -> list[Divert]:
        """What was decided since the last call."""
        diverts, self._diverts = self._diverts, []
        return diverts

    def tell(self, alarm: Alarm) -> None:
        """Nobody writes it down."""

    def refusals(self) -> Sequence[Refuse]:
        """None."""
        return ()

    def close(self) -> None:
        """Nothing is open."""


class Carried(NamedTuple):
    """What one dialect came to, by round."""

    items_per_s: list[float]
    exchanges_per_s: list[float]
    laden: list[float]  # share of the exchanges that carried a report or an order
    bare_per_s: list[float]
    drops: list[tuple[int, int | None]]


def run(size: Size) -> Result:
    """Figures by dialect: items, exchanges and bare round trips a second. The hash covers the first drops of each."""
    figures: dict[str, float] = {}
    ratios: dict[str, float | None] = {}
    hashed = []
    for dialect in DIALECTS:
        (port,) = free_ports(1)
        with serving(dialect, port):
            carried = asyncio.run(measure(settings(dialect, port), size))
        figures[f"{dialect}_items_per_s"] = three_digits(statistics.median(carried.items_per_s))
        figures[f"{dialect}_exchanges_per_s"] = three_digits(statistics.median(carried.exchanges_per_s))
        figures[f"{dialect}_bare_per_s"] = three_digits(statistics.median(carried.bare_per_s))
        ratios[f"{dialect}_laden"] = three_digits(statistics.median(carried.laden))
        ratios[f"{dialect}_vs_bare"] = three_digits(median_ratio(carried.exchanges_per_s, carried.bare_per_s))
        hashed.append(repr((dialect, carried.drops[:HASHED])).encode())
    return Result("adapter", hash_of(*hashed), figures, ratios)


@contextmanager
def serving(dialect: str, port: int) -> Iterator[None]:
    """A PLC of the dialect in a process of its own. Raises NotReady when it does not start."""
    command = [sys.executable, "-m", "bench.plc", dialect, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise NotReady(f"{' '.join(command)} ended with exit code {process.wait()}")
            yield
        finally:
            process.kill()


async def measure(plc: Plc, size: Size) -> Carried:
    """The adapter and the library alone against one PLC, in turns; every exchange of the adapter carries something."""
    carried = Carried([], [], [], [], [])
    async with BARE[type(plc)](plc) as bare:
        for _ in range(size.rounds):
            carried.bare_per_s.append(await _bare_per_s(bare, size.seconds))
            await _carry(plc, size.seconds, carried)
    return carried


async def _carry(plc: Plc, seconds: float, carried: Carried) -> None:
    """A new adapter for so long; what it carried goes into `carried`."""
    clock, stop, drops = Clock(), asyncio.Event(), len(carried.drops)
    runner = Runner("bench", lambda _boot, first: Immediate(clock, first - 1, carried.drops), word_order=plc.word_order)
    began_s = time.perf_counter()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await drive(runner, port_of(plc), port_of(exchanged(plc)), clock, poll_ns=plc.poll_ns, stop=stop)
    took_s = time.perf_counter() - began_s
    carried.exchanges_per_s.append(runner.counts.exchanges / took_s)
    carried.laden.append(runner.counts.laden / runner.counts.exchanges)
    carried.items_per_s.append((len(carried.drops) - drops) / took_s)


async def _bare_per_s(round_trip: RoundTrip, seconds: float) -> float:
    count, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < seconds:
        await round_trip()
        count += 1
    return count / (time.perf_counter() - began_s)


@asynccontextmanager
async def _modbus(plc: Modbus) -> AsyncIterator[RoundTrip]:
    client = AsyncModbusTcpClient(plc.host, port=plc.port)
    await client.connect()
    words = [0] * BLOCK_WORDS
    yield lambda: client.readwrite_registers(
        read_address=plc.reports_at, read_count=BLOCK_WORDS, write_address=plc.orders_at, values=words
    )
    client.close()


@asynccontextmanager
async def _s7(plc: S7) -> AsyncIterator[RoundTrip]:
    client = AsyncClient()
    await client.connect(plc.host, plc.rack, plc.slot, plc.port)

    async def round_trip() -> None:
        await client.db_write(plc.orders_db, plc.orders_at, bytearray(BLOCK_BYTES))
        await client.db_read(plc.reports_db, plc.reports_at, BLOCK_BYTES)

    yield round_trip
    await client.disconnect()


@asynccontextmanager
async def _opcua(plc: OpcUa) -> AsyncIterator[RoundTrip]:
    block = ua.DataValue(ua.Variant([0] * BLOCK_WORDS, ua.VariantType.UInt16, is_array=True))
    async with OpcUaClient(f"opc.tcp://{plc.host}:{plc.port}") as client:
        orders, reports = client.get_node(plc.orders_node), client.get_node(plc.reports_node)

        async def round_trip() -> None:
            await orders.write_value(block)
            await reports.read_value()

        yield round_trip


BARE: Final[dict[type[Plc], Callable[..., AbstractAsyncContextManager[RoundTrip]]]] = {
    Modbus: _modbus,
    S7: _s7,
    OpcUa: _opcua,
}
