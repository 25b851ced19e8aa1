"""An emulated PLC without a network is a PLC like the others: it answers, and a scenario can trouble it."""

import asyncio

import pytest

from plc_adapter.emulator.direct import DirectPort
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute, Load, Plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import HostSide, HostState, Order
from plc_adapter.port import Late, Unreachable
from sorter.records import NONE_16, Discharge, Kind


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
