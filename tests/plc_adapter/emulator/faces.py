"""An emulated PLC behind the face of any dialect, at a free port, on a clock that a test steps."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from msgspec.structs import replace

from plc_adapter.emulator.line import Face, face_of
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute, Load, Plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import HostSide, HostState, Report, WordOrder
from plc_adapter.port import Port
from plc_adapter.settings import S7, Modbus, OpcUa, Plc
from tests.plc_adapter.emulator.plants import CALM
from tests.plc_adapter.stepped_clock import SteppedClock
from tests.system.hubs import free_port

START_NS = 1_794_344_400 * NS_PER_S
EPOCH = 77
MODBUS, SIEMENS, OPCUA = Modbus(host="127.0.0.1"), S7(host="127.0.0.1"), OpcUa(host="127.0.0.1")

Section = TypeVar("Section", bound=Plc)


def plant_of(parcels: int) -> Plant:
    """A parcel a second from induct 3, past two chutes."""
    times_ns = [START_NS + at * NS_PER_S for at in range(parcels)]
    chutes = [Chute(101, 34.0, 0), Chute(102, 42.0, 0)]
    return Plant(Belt("L1", 2.0, 240.0), chutes, Load(times_ns, [3] * parcels), 1, chances=CALM, epoch=EPOCH)


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


@asynccontextmanager
async def served(program: PlcProgram, clock: SteppedClock, section: Section) -> AsyncIterator[tuple[Face, Section]]:
    """The face that a section of site.toml names, and the section with the port where it listens."""
    plc = replace(section, port=free_port())
    face = face_of(program, plc, clock)
    await face.start()
    try:
        yield face, plc
    finally:
        await face.stop()


async def exchange(port: Port, host: HostSide, clock: SteppedClock) -> list[Report]:
    """One exchange, and what was new to the host."""
    reports = host.receive(await port.exchange(host.block(clock.at_ns, HostState.DECIDING)), clock.at_ns)
    host.acknowledge(host.read)
    return reports
