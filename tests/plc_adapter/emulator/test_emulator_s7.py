"""The PLC program over real sockets as S7: what a client may do to the data blocks, and in whose thread it happens."""

import asyncio
import threading
from typing import Any

import pytest
from msgspec.structs import replace
from snap7 import AsyncClient
from snap7.error import S7Error

from plc_adapter.emulator.line import face_of
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.emulator.s7_face import S7Face
from plc_adapter.mailbox import BLOCK_BYTES
from plc_adapter.port import Port, Refused, Unreachable
from plc_adapter.s7 import S7Port
from plc_adapter.service import port_of
from plc_adapter.settings import S7
from sorter.clock import Clock
from tests.plc_adapter.emulator.faces import SIEMENS, START_NS, Recorder, plant_of, served
from tests.plc_adapter.stepped_clock import SteppedClock

MARK = bytes.fromhex("48530001")

pytestmark = pytest.mark.usefixtures("unhurried")


def test_every_read_asks_the_program_afresh() -> None:
    async def check() -> None:
        clock = SteppedClock(START_NS)
        async with served(PlcProgram(plant_of(1)), clock, SIEMENS) as (face, settings):
            port = port_of(settings)
            await port.connect()
            blocks = {await port.read() for _ in range(5)}
            assert len(blocks) == 5  # its heart beats
            assert face.requests == 5
            await port.close()

    asyncio.run(check())


def test_a_client_may_read_and_write_parts_and_nothing_else() -> None:
    async def check() -> None:
        clock, program = SteppedClock(START_NS), Recorder(plant_of(1))
        async with served(program, clock, replace(SIEMENS, orders_at=2)) as (_, settings):
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
        clock, program = SteppedClock(START_NS), Recorder(plant_of(3))
        async with served(program, clock, SIEMENS) as (face, settings):
            ports = [port_of(settings) for _ in range(6)]

            async def read(port: Port) -> None:
                await port.connect()
                for _ in range(20):
                    assert (await port.read())[:8] == MARK + (77).to_bytes(4, "big")
                await port.close()

            await asyncio.gather(*(read(port) for port in ports))
            assert face.requests == 120
        assert program.threads == {threading.get_ident()}

    asyncio.run(check())


def test_a_stop_hangs_up_and_the_same_port_can_be_had_again() -> None:
    async def check() -> None:
        clock, program = SteppedClock(START_NS), PlcProgram(plant_of(1))
        async with served(program, clock, SIEMENS) as (face, settings):
            port = port_of(settings)
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
        async with served(program, SteppedClock(START_NS), SIEMENS) as (face, settings):
            port = port_of(settings)
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
        async with served(program, SteppedClock(START_NS), SIEMENS) as (_, settings):
            port = port_of(settings)
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
