"""The PLC program over real sockets: what a Modbus master may do, and what a silent host brings about."""

import asyncio
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ModbusIOException

from plc_adapter.emulator.plant import DROPPED, NS_PER_S, PASSED, Left
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import BLOCK_BYTES, BLOCK_WORDS, RING, SILENT_NS, HostSide, HostState, Order
from plc_adapter.modbus import ModbusPort
from sorter.records import NONE_16, Discharge, Kind
from tests.plc_adapter.emulator.faces import MODBUS, START_NS, exchange, plant_of, served
from tests.plc_adapter.stepped_clock import SteppedClock


def test_reports_wait_for_room_in_the_ring() -> None:
    asyncio.run(_fill_the_ring())


async def _fill_the_ring() -> None:
    clock, plant = SteppedClock(START_NS), plant_of(30)
    program = PlcProgram(plant)
    async with served(program, clock, MODBUS) as (_, settings):
        port = ModbusPort(settings.host, settings.port)
        await port.connect()
        host = HostSide()
        clock.at_ns += 40 * NS_PER_S
        numbers: list[int] = []
        for _ in range(6):
            reports = host.receive(await port.exchange(host.block(clock.at_ns, HostState.DECIDING)), clock.at_ns)
            numbers += [report.number for report in reports]
        assert numbers == list(range(1, RING + 1))
        assert program.unread == 32  # two chutes tell their state to the host they have just met
        host.acknowledge(RING)
        numbers = [report.number for _ in range(2) for report in await exchange(port, host, clock)]
        assert numbers == list(range(RING + 1, 3 * RING + 1))
        await port.close()


def test_functions_3_16_and_23_and_nothing_else() -> None:
    asyncio.run(_try_functions())


async def _try_functions() -> None:
    clock = SteppedClock(START_NS)
    async with served(PlcProgram(plant_of(1)), clock, MODBUS) as (face, settings):
        client = AsyncModbusTcpClient(settings.host, port=settings.port, timeout=5, retries=0)
        assert await client.connect()
        read = await client.read_holding_registers(0, count=BLOCK_WORDS)
        assert read.registers[:4] == [0x4853, 0x0001, 0, 77]
        assert not (await client.write_registers(100, [0] * BLOCK_WORDS)).isError()
        both = await client.readwrite_registers(
            read_address=0, read_count=BLOCK_WORDS, write_address=100, values=[0] * BLOCK_WORDS
        )
        assert both.registers[:4] == read.registers[:4]
        assert not (await client.write_register(104, 5)).isError()
        assert (await client.read_holding_registers(100, count=5)).registers == [0, 0, 0, 0, 5]
        refused = [
            await client.write_registers(0, [1]),  # the PLC's own block
            await client.read_holding_registers(90, count=5),
            await client.read_holding_registers(175, count=10),
            await client.read_input_registers(0, count=5),
            await client.mask_write_register(address=100),
        ]
        address, function = ExcCodes.ILLEGAL_ADDRESS, ExcCodes.ILLEGAL_FUNCTION
        assert [answer.exception_code for answer in refused] == [address, address, address, function, function]
        assert face.requests == 5  # of those that reached the mailbox; function 23 does so twice
        client.close()


def host_block(host: HostSide, plc: PlcProgram, now_ns: int, real_ns: int, orders: list[Order]) -> None:
    for order in orders:
        assert host.give(order)
    plc.write(host.block(now_ns, HostState.DECIDING), now_ns, real_ns)


def met(plc: PlcProgram) -> HostSide:
    host = HostSide()
    for _ in range(3):
        host.receive(plc.read(START_NS, 0), START_NS)
        plc.write(host.block(START_NS, HostState.DECIDING), START_NS, 0)
    assert host.ready
    return host


def test_a_host_that_falls_silent_lets_parcels_go_round() -> None:
    plant = plant_of(1)
    plc = PlcProgram(plant)
    host = met(plc)
    scanned_ns = START_NS + 10 * NS_PER_S
    plc.cycle(scanned_ns, 0)
    host_block(host, plc, scanned_ns, 1, [Order(1, 101, NONE_16, scanned_ns + 15 * NS_PER_S, 0)])
    plc.cycle(scanned_ns + 60 * NS_PER_S, SILENT_NS + 2)
    assert not plant.done
    again_ns = scanned_ns + 120 * NS_PER_S
    plc.cycle(again_ns, SILENT_NS + 3)
    host_block(host, plc, again_ns, SILENT_NS + 4, [Order(1, 101, NONE_16, again_ns + 15 * NS_PER_S, 0)])
    plc.cycle(again_ns + 60 * NS_PER_S, 2 * SILENT_NS + 4)
    assert plant.drop_chute == [101]


def test_an_order_that_comes_too_late_does_nothing() -> None:
    plant = plant_of(1)
    plc = PlcProgram(plant)
    host = met(plc)
    scanned_ns = START_NS + 10 * NS_PER_S
    plc.cycle(scanned_ns, 0)
    late_ns = scanned_ns + 16 * NS_PER_S
    host_block(host, plc, late_ns, 1, [Order(1, 102, NONE_16, scanned_ns + 15 * NS_PER_S, 0)])
    plc.cycle(scanned_ns + 60 * NS_PER_S, 2)
    assert plc.late == 1
    assert not plant.done


def test_what_is_told_is_heard_of() -> None:
    told: list[int] = []
    plant = plant_of(1)
    plc = PlcProgram(plant, told=told.append)
    host = met(plc)
    plc.cycle(START_NS + 10 * NS_PER_S, 0)
    host_block(host, plc, START_NS + 11 * NS_PER_S, 1, [Order(1, 102, 101, START_NS + 25 * NS_PER_S, 0)])
    assert told == [1]


def test_a_host_that_is_new_hears_the_state_of_every_chute() -> None:
    plant = plant_of(0)
    program = PlcProgram(plant)
    for _ in range(2):
        host = HostSide()
        points: list[int] = []
        for now_ns in range(0, 6 * NS_PER_S, NS_PER_S):
            program.write(host.block(now_ns, HostState.DECIDING), now_ns, now_ns)
            points += [report.point for report in host.receive(program.read(now_ns, now_ns), now_ns)]
            host.acknowledge(host.read)
        assert points == sorted(plant._bins)


def test_a_restart_begins_a_new_epoch_in_the_mailbox() -> None:
    plant = plant_of(3)
    plc = PlcProgram(plant)
    host = met(plc)
    plant.restart()
    assert len(plc.read(START_NS + NS_PER_S, 0)) == BLOCK_BYTES
    for _ in range(3):
        host.receive(plc.read(START_NS + NS_PER_S, 0), START_NS)
        plc.write(host.block(START_NS, HostState.DECIDING), START_NS, 0)
    assert host.epoch == 78


def test_a_frozen_program_shows_one_block_and_takes_nothing() -> None:
    plant = plant_of(2)
    plc = PlcProgram(plant)
    host = met(plc)
    scanned_ns = START_NS + 10 * NS_PER_S
    host_block(host, plc, scanned_ns, 1, [Order(1, 101, NONE_16, scanned_ns + 15 * NS_PER_S, 0)])
    plc.freeze(100)
    shown, head = plc.read(scanned_ns, 2), plc._side.head
    assert {plc.read(scanned_ns + at * NS_PER_S, 99) for at in (1, 60, 70)} == {shown}
    assert (plant.dropped, plant.inducted, plc._side.head) == (0, 2, head)
    host_block(host, plc, scanned_ns + 70 * NS_PER_S, 99, [Order(2, 101, NONE_16, scanned_ns + 90 * NS_PER_S, 0)])
    assert plc._side.taken == 1
    thawed = plc.read(scanned_ns + 70 * NS_PER_S, 100)
    assert thawed != shown
    reports = host.receive(thawed, scanned_ns + 70 * NS_PER_S)
    kinds = {(report.kind, report.item, report.value) for report in reports if report.kind == Kind.DISCHARGE}
    assert kinds == {(Kind.DISCHARGE, 1, int(Discharge.PASSED))}


def test_a_freeze_lasts_as_long_as_the_longest_and_a_mended_program_goes_on() -> None:
    plc = PlcProgram(plant_of(1))
    met(plc)
    plc.freeze(100)
    plc.freeze(50)
    assert plc.read(START_NS, 60) == plc.read(START_NS, 70)
    plc.mend()
    assert plc.read(START_NS, 80) != plc.read(START_NS, 81)


@settings(max_examples=25)
@given(count=st.integers(1, 40), later=st.integers(0, 20))
def test_an_overrun_loses_exactly_so_many_reports_and_no_more(count: int, later: int) -> None:
    plant = plant_of(count + RING + later + 20)
    plc = PlcProgram(plant)
    host = met(plc)
    read = list(range(1, host.read + 1))
    for at in range(2 * len(plant.numbers)):
        now_ns = START_NS + at * NS_PER_S
        if at == later:
            plc.overrun(count)
        plc.write(host.block(now_ns, HostState.DECIDING), now_ns, at)
        read += [report.number for report in host.receive(plc.read(now_ns, at), now_ns)]
        assert plc._side.tail <= host.acknowledged
        host.acknowledge(host.read)
    gone = [lost.number for lost in plc.overwritten]
    assert len(gone) == host.lost == count
    assert sorted(read + gone) == list(range(1, plc._side.head + 1))
    assert plc.unread == 0


def test_of_reports_that_nobody_may_have_read_those_of_drops_are_missing() -> None:
    """Four are overwritten, eight stand in the ring and three wait for room when the PLC restarts."""
    count = 4
    plant = plant_of(0)
    plc = PlcProgram(plant)
    host = met(plc)
    host_block(host, plc, START_NS, 1, [])
    reports = [Left(START_NS, item, 101, (DROPPED, PASSED)[item % 3 == 0]) for item in range(1, count + RING + 4)]
    plant.plc.extend(reports)
    plc.overrun(count)
    plc.read(START_NS, 2)
    assert len(plc.overwritten) == count
    assert plant.unreported == {(77, 1), (77, 2), (77, 4)}
    plant.restart()
    plc.read(START_NS, 3)
    assert plant.unreported == {(77, report.item) for report in reports if report.outcome == DROPPED}


def test_a_mute_plc_does_nothing_that_it_is_asked() -> None:
    async def check() -> None:
        clock, program = SteppedClock(START_NS), PlcProgram(plant_of(1))
        async with served(program, clock, MODBUS) as (face, settings):
            client = AsyncModbusTcpClient(settings.host, port=settings.port, timeout=0.3, retries=0)
            assert await client.connect()
            program.network.mute(500)
            with pytest.raises(ModbusIOException):
                await client.write_register(104, 5)
            assert face.requests == 0
            program.network.mend()
            assert (await client.read_holding_registers(104, count=1)).registers == [0]
            client.close()

    asyncio.run(check())


def test_answers_of_a_slow_plc_are_those_that_were_asked_for() -> None:
    """Also when several are on their way on one connection."""

    async def check() -> None:
        clock, program = SteppedClock(START_NS), PlcProgram(plant_of(1))
        async with served(program, clock, MODBUS) as (_, settings):
            reader, writer = await asyncio.open_connection(settings.host, settings.port)
            program.network.slow(0.1, 500)
            for number, register in ((7, 100), (8, 101), (9, 102)):
                writer.write(struct.pack(">HHHBBHH", number, 0, 6, 1, 6, register, number))
                await asyncio.sleep(0.02)
            answers = [struct.unpack(">HHHBBHH", await reader.readexactly(12)) for _ in range(3)]
            assert [(each[0], *each[5:]) for each in answers] == [(7, 100, 7), (8, 101, 8), (9, 102, 9)]
            writer.close()
            await writer.wait_closed()

    asyncio.run(check())
