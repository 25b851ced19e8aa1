"""An emulated PLC without a network is a PLC like the others: it answers, and a scenario can trouble it."""

import asyncio
import time

import pytest

from plc_adapter import modbus, opcua_session, s7
from plc_adapter.emulator import direct
from plc_adapter.emulator.direct import DirectPort
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute, Load, Plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import HostSide, HostState, Order
from plc_adapter.port import Late, Unreachable
from sorter.records import NONE_16, Discharge, Kind
from tests.patience import until


def lone() -> Plant:
    """One parcel on a short loop."""
    return Plant(Belt("L1", 2.0, 40.0), [Chute(101, 20.0, 0)], Load([NS_PER_S], [1]), 1)


def test_what_happens_on_the_belt_is_read_and_orders_are_taken() -> None:
    async def check() -> None:
        now_ns, host, dropped = 0, HostSide(), []
        port = DirectPort(PlcProgram(lone()), lambda: now_ns)
        await port.connect()
        for _ in range(600):
            now_ns += NS_PER_S // 10
            reports = host.receive(await port.exchange(host.block(now_ns, HostState.DECIDING)), now_ns)
            host.acknowledge(host.read)
            if now_ns == 13 * NS_PER_S:  # it enters at 1 s and is scanned 10 s later
                host.give(Order(1, 101, NONE_16, now_ns + 5 * NS_PER_S, 0))
            dropped += [one.point for one in reports if (one.kind, one.value) == (Kind.DISCHARGE, Discharge.DROPPED)]
        assert dropped == [101]
        assert port.requests == 600

    asyncio.run(check())


def test_it_can_be_cut_and_kept_from_answering() -> None:
    async def check() -> None:
        program = PlcProgram(lone())
        port = DirectPort(program, lambda: NS_PER_S)
        program.network.cut(3600)
        with pytest.raises(Unreachable, match="scenario"):
            await port.connect()
        with pytest.raises(Unreachable):
            await port.read()
        program.network.mend()
        program.network.mute(3600)
        with pytest.raises(Late, match="scenario"):
            await port.exchange(HostSide().block(0, HostState.AWAY))
        program.network.mend()
        assert await port.read()

    asyncio.run(check())


def test_it_waits_as_long_as_the_other_ports() -> None:
    assert direct.TIMEOUT_S == modbus.TIMEOUT_S == s7.TIMEOUT_S == opcua_session.TIMEOUT_S


def test_a_mute_plc_is_waited_for_and_does_nothing() -> None:
    async def check() -> None:
        program = PlcProgram(lone())
        port = DirectPort(program, lambda: NS_PER_S)
        program.network.mute(3600)
        begun = time.monotonic()
        with pytest.raises(Late):
            await port.exchange(met(program))
        assert time.monotonic() - begun >= direct.TIMEOUT_S
        assert (program._side.host_epoch, port.requests) == (0, 0)

    asyncio.run(check())


def met(program: PlcProgram) -> bytes:
    """The block of a host that has met the PLC, which does not know of it yet."""
    host = HostSide()
    host.receive(program.read(NS_PER_S, 0), NS_PER_S)
    return host.block(NS_PER_S, HostState.DECIDING)


def test_a_plc_slower_than_the_port_waits_is_late_and_does_it_all_the_same() -> None:
    async def check() -> None:
        program = PlcProgram(lone())
        port = DirectPort(program, lambda: NS_PER_S)
        program.network.slow(2 * direct.TIMEOUT_S, 3600)
        with pytest.raises(Late):
            await port.exchange(met(program))
        assert program._side.host_epoch == 0
        await until(lambda: program._side.host_epoch == 1)
        assert port.requests == 1

    asyncio.run(check())


def test_a_plc_that_is_slow_in_time_answers() -> None:
    async def check() -> None:
        program = PlcProgram(lone())
        port = DirectPort(program, lambda: NS_PER_S)
        program.network.slow(0.02, 3600)
        begun = time.monotonic()
        assert await port.read()
        assert time.monotonic() - begun >= 0.02

    asyncio.run(check())


def test_a_cut_while_it_is_waited_for_is_a_cut() -> None:
    async def check() -> None:
        program = PlcProgram(lone())
        port = DirectPort(program, lambda: NS_PER_S)
        program.network.slow(0.05, 3600)
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0)
        program.network.cut(3600)
        with pytest.raises(Unreachable):
            await reading

    asyncio.run(check())
