"""Every face shows the one PLC program over real sockets: parcels go through it, and a port in use is told."""

import asyncio
import errno
import socket
import threading
import time

import pytest
from msgspec.structs import replace

from plc_adapter.emulator import address
from plc_adapter.emulator.line import face_of
from plc_adapter.emulator.plant import NS_PER_S
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import BLOCK_BYTES, HostSide, Order, Report, WordOrder
from plc_adapter.service import port_of
from plc_adapter.settings import Plc
from sorter.records import NONE_16, Kind
from tests.plc_adapter.emulator.faces import (
    EPOCH,
    MODBUS,
    OPCUA,
    SIEMENS,
    START_NS,
    Recorder,
    exchange,
    plant_of,
    served,
)
from tests.plc_adapter.stepped_clock import SteppedClock

pytestmark = pytest.mark.usefixtures("unhurried")

PARCELS = 30
EXCHANGES = 400
PLCS = {
    "modbus": replace(MODBUS, reports_at=400, orders_at=10),
    "s7": SIEMENS,
    "s7-elsewhere": replace(SIEMENS, reports_db=12, reports_at=400, orders_db=9, orders_at=10),
    "s7-in-one-block": replace(SIEMENS, reports_db=5, reports_at=BLOCK_BYTES, orders_db=5, orders_at=0),
    "opcua": replace(OPCUA, reports_node="ns=3;i=17", orders_node="ns=1;s=Of;the=host"),
}


@pytest.mark.parametrize("word_order", ["big", "little"])
@pytest.mark.parametrize("plc", PLCS.values(), ids=PLCS)
def test_parcels_are_reported_diverted_and_reported_again(plc: Plc, word_order: WordOrder) -> None:
    asyncio.run(_divert_all(plc, word_order))


async def _divert_all(plc: Plc, word_order: WordOrder) -> None:
    clock, plant = SteppedClock(START_NS), plant_of(PARCELS)
    program, host = Recorder(plant, word_order), HostSide(word_order)
    reports: list[Report] = []
    async with served(program, clock, plc) as (face, section):
        port = port_of(section)
        await port.connect()
        for _ in range(EXCHANGES):
            clock.at_ns += NS_PER_S // 2
            program.cycle(clock.at_ns, time.monotonic_ns())
            for scan in plant.scans:
                assert host.give(Order(scan.item, 102, NONE_16, scan.t_ns + 15 * NS_PER_S, 0))
            plant.scans.clear()
            reports += await exchange(port, host, clock)
        await port.close()
        assert face.requests == 2 * EXCHANGES  # one write, one read
    assert plant.done
    assert set(plant.drop_chute) == {102}
    assert host.epoch == EPOCH
    everything = list(range(1, PARCELS + 1))
    assert [report.item for report in reports if report.kind == Kind.ITEM] == everything
    assert [report.item for report in reports if report.kind == Kind.DISCHARGE] == everything
    assert {report.point for report in reports if report.kind == Kind.ITEM} == {3}
    assert program.unread == 0
    assert program.threads == {threading.get_ident()}  # the plant's loop, never a thread of a library's


@pytest.mark.parametrize("plc", [MODBUS, SIEMENS, OPCUA], ids=["modbus", "s7", "opcua"])
def test_a_port_in_use_is_told(plc: Plc) -> None:
    """Also where the dialect's library alone would not notice."""

    async def start_twice() -> None:
        clock = SteppedClock(START_NS)
        async with served(PlcProgram(plant_of(1)), clock, plc) as (_, section):
            with pytest.raises(OSError, match=r"^\[plc.L1\] [0-9.:]+ is in use, perhaps by another emulator"):
                await face_of(PlcProgram(plant_of(1)), section, clock).start()

    asyncio.run(start_twice())


@pytest.mark.parametrize("plc", [MODBUS, SIEMENS, OPCUA], ids=["modbus", "s7", "opcua"])
def test_a_plant_s_own_address_is_told_with_the_one_to_write(plc: Plc) -> None:
    """192.0.2.0/24 is kept for documentation (RFC 5737): no machine has it."""
    elsewhere = replace(plc, host="192.0.2.7")
    words = r'^\[plc.L1\] 192.0.2.7 is no address of this machine; for emulate write host = "127.0.0.1"$'
    with pytest.raises(OSError, match=words):
        asyncio.run(face_of(PlcProgram(plant_of(1)), elsewhere, SteppedClock(START_NS)).start())


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "root only; for emulate write port = 10102"),
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "plc-7 is no address that this machine knows",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "cannot be listened at (Too many open files)"),
    ],
)
def test_each_reason_has_its_words(why: OSError, words: str) -> None:
    assert words in str(address.refused("plc.L2", "plc-7", 102, why))
