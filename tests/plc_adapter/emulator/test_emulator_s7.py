"""The PLC program over real sockets as S7: what a client may do to the data blocks, and in whose thread it happens."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from snap7 import AsyncClient
from snap7.error import S7Error

from plc_adapter import s7 as dialect
from plc_adapter.emulator.line import face_of
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute, Faults, Load, Plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.emulator.s7_face import S7Face
from plc_adapter.mailbox import BLOCK_BYTES, HostSide, HostState, Order, Report, WordOrder
from plc_adapter.port import Refused, Unreachable
from plc_adapter.s7 import S7Port
from plc_adapter.service import port_of
from plc_adapter.settings import S7
from sorter.clock import Clock
from sorter.records import NONE_16, Kind
from tests.system.hubs import free_port

START_NS = 1_794_344_400 * NS_PER_S
MARK = bytes.fromhex("48530001")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no frozen PLC."""
    monkeypatch.setattr(dialect, "TIMEOUT_S", 20.0)


class Where(NamedTuple):
    """Where the blocks are."""

    reports_db: int
    reports_at: int
    orders_db: int
    orders_at: int


USUAL = Where(100, 0, 101, 0)


class SteppedClock:
    """Site time that moves when it is told to."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        return self.ns


class Recorder(PlcProgram):
    """A program that knows which threads called it, and what was written."""

    def __init__(self, plant: Plant, word_order: WordOrder = "big") -> None:
        super().__init__(plant, word_order)
        self.threads: set[int] = set()
        self.written: list[bytes] = []

    def cycle(self, now_ns: int, real_ns: int) -> None:
        self.threads.add(threading.get_ident())
        super().cycle(now_ns, real_ns)

    def write(self, block: bytes, now_ns: int, real_ns: int) -> None:
        self.threads.add(threading.get_ident())
        self.written.append(block)
        super().write(block, now_ns, real_ns)


def plant_of(parcels: int) -> Plant:
    times = [START_NS + at * NS_PER_S for at in range(parcels)]
    chutes = [Chute(101, 34.0, 0), Chute(102, 42.0, 0)]
    calm = Faults(missed_share=0, jam_share=0)
    return Plant(Belt("L1", 2.0, 240.0), chutes, Load(times, [3] * parcels), 1, faults=calm, epoch=77)


@asynccontextmanager
async def served(program: PlcProgram, clock: SteppedClock, where: Where = USUAL) -> AsyncIterator[tuple[S7Face, S7]]:
    settings = S7(
        host="127.0.0.1",
        port=free_port(),
        reports_db=where.reports_db,
        reports_at=where.reports_at,
        orders_db=where.orders_db,
        orders_at=where.orders_at,
    )
    face = S7Face(program, settings, clock.now_ns)
    await face.start()
    try:
        yield face, settings
    finally:
        await face.stop()


def port_to(plc: S7) -> S7Port:
    return S7Port(
        plc.host,
        plc.port,
        reports_db=plc.reports_db,
        reports_at=plc.reports_at,
        orders_db=plc.orders_db,
        orders_at=plc.orders_at,
    )


async def exchange(port: S7Port, host: HostSide, clock: SteppedClock) -> list[Report]:
    reports = host.receive(await port.exchange(host.block(clock.ns, HostState.DECIDING)), clock.ns)
    host.acknowledge(host.read)
    return reports


@pytest.mark.parametrize("word_order", ["big", "little"])
@pytest.mark.parametrize(
    "where",
    [USUAL, Where(12, 400, 9, 10), Where(5, BLOCK_BYTES, 5, 0)],
)
def test_parcels_are_reported_diverted_and_reported_again(word_order: WordOrder, where: Where) -> None:
    asyncio.run(_divert_all(word_order, where))


async def _divert_all(word_order: WordOrder, where: Where) -> None:
    clock, plant = SteppedClock(), plant_of(10)
    program = Recorder(plant, word_order)
    reports: list[Report] = []
    async with served(program, clock, where) as (_, settings):
        port = port_to(settings)
        await port.connect()
        host = HostSide(word_order)
        for _ in range(200):
            clock.ns += NS_PER_S // 2
            program.cycle(clock.ns, time.monotonic_ns())
            for scan in plant.scans:
                assert host.give(Order(scan.item, 102, NONE_16, scan.t_ns + 15 * NS_PER_S, 0))
            plant.scans.clear()
            reports += await exchange(port, host, clock)
        await port.close()
    assert plant.done
    assert set(plant.drop_chute) == {102}
    assert host.epoch == 77
    assert [report.item for report in reports if report.kind == Kind.ITEM] == list(range(1, 11))
    assert [report.item for report in reports if report.kind == Kind.DISCHARGE] == list(range(1, 11))
    assert program.unread == 0
    assert program.threads == {threading.get_ident()}  # the plant's loop, never a thread of snap7's


def test_every_read_asks_the_program_afresh() -> None:
    async def check() -> None:
        clock = SteppedClock()
        async with served(PlcProgram(plant_of(1)), clock) as (face, settings):
            port = port_to(settings)
            await port.connect()
            blocks = {await port.read() for _ in range(5)}
            assert len(blocks) == 5  # its heart beats
            assert face.requests == 5
            await port.close()

    asyncio.run(check())


def test_a_client_may_read_and_write_parts_and_nothing_else() -> None:
    async def check() -> None:
        clock, program = SteppedClock(), Recorder(plant_of(1))
        async with served(program, clock, Where(100, 0, 101, 2)) as (_, settings):
            client = AsyncClient()
            await client.connect(settings.host, 0, 1, settings.port)
            assert await client.db_read(100, 0, 8) == MARK + (77).to_bytes(4, "big")
            assert await client.db_read(100, 4, 4) == (77).to_bytes(4, "big")
            await client.db_write(101, 2 + 6, bytearray(b"\x01\x02"))
            assert program.written == [bytes(6) + b"\x01\x02" + bytes(BLOCK_BYTES - 8)]
            await client.db_write(101, 0, bytearray(2))  # before the block
            assert len(program.written) == 1
            assert await client.db_read(101, 8, 2) == b"\x01\x02"
            for call in (
                lambda: client.db_write(100, 0, bytearray(4)),  # the PLC's own block
                lambda: client.db_read(100, 1, BLOCK_BYTES),
                lambda: client.db_read(1, 0, 1),
            ):
                with pytest.raises(S7Error):
                    await call()
            await client.disconnect()

    asyncio.run(check())


def test_many_clients_at_once_each_get_whole_blocks() -> None:
    async def check() -> None:
        clock, program = SteppedClock(), Recorder(plant_of(3))
        async with served(program, clock) as (face, settings):
            ports = [port_to(settings) for _ in range(6)]

            async def read(port: S7Port) -> None:
                await port.connect()
                for _ in range(20):
                    assert (await port.read())[:8] == MARK + (77).to_bytes(4, "big")
                await port.close()

            await asyncio.gather(*(read(port) for port in ports))
            assert face.requests == 120
        assert program.threads == {threading.get_ident()}

    asyncio.run(check())


def test_a_port_in_use_is_told() -> None:
    async def start_twice() -> None:
        clock = SteppedClock()
        async with served(PlcProgram(plant_of(1)), clock) as (_, settings):
            with pytest.raises(OSError, match="another emulator"):  # which snap7 alone would not notice
                await S7Face(PlcProgram(plant_of(1)), settings, clock.now_ns).start()

    asyncio.run(start_twice())


def test_a_stop_hangs_up_and_the_same_port_can_be_had_again() -> None:
    async def check() -> None:
        clock, program = SteppedClock(), PlcProgram(plant_of(1))
        async with served(program, clock) as (face, settings):
            port = port_to(settings)
            for _ in range(3):
                await port.connect()
                await port.read()
                await face.stop()
                with pytest.raises(Unreachable):
                    await port.read()
                with pytest.raises(Unreachable):
                    await port.connect()
                await face.start()
            await port.connect()
            assert (await port.read())[:4] == MARK
            await port.close()

    asyncio.run(check())


def test_a_stop_leaves_no_request_behind_that_a_slow_plc_has_not_answered() -> None:
    async def check() -> None:
        program = PlcProgram(plant_of(1))
        async with served(program, SteppedClock()) as (face, settings):
            port = port_to(settings)
            await port.connect()
            program.network.slow(10, 500)
            asked = asyncio.create_task(port.read())
            await asyncio.sleep(0.1)
            await face.stop()
            with pytest.raises(Unreachable):
                await asked
            left = [thread for thread in threading.enumerate() if "_handle_client" in thread.name]
            assert left == []
            await port.close()

    asyncio.run(check())


def test_a_fault_of_the_program_is_not_hidden() -> None:
    told: list[dict[str, Any]] = []

    async def check() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
        program = PlcProgram(plant_of(1))
        program.read = broken  # type: ignore[method-assign] # a planted fault
        async with served(program, SteppedClock()) as (_, settings):
            port = port_to(settings)
            await port.connect()
            with pytest.raises(Refused):
                await port.read()
            await port.close()

    asyncio.run(check())
    assert [str(context["exception"]) for context in told] == ["planted"]


def broken(now_ns: int, real_ns: int) -> bytes:
    raise ZeroDivisionError("planted")


def test_the_emulator_serves_the_dialect_that_site_toml_names() -> None:
    plc = S7(host="10.0.0.7", port=1102, rack=1, slot=2, reports_db=3, reports_at=4, orders_db=5, orders_at=6)
    assert isinstance(face_of(PlcProgram(plant_of(1)), plc, Clock()), S7Face)
    port = port_of(plc)
    assert isinstance(port, S7Port)
    assert port.name == "s7 10.0.0.7:1102"
    assert (port._rack, port._slot) == (1, 2)
    assert (port._reports[1:], port._orders[1:]) == ((3, 4), (5, 6))
