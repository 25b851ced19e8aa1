"""An emulated PLC without a network: the adapter's port calls its program in the same process."""

from __future__ import annotations

import time
from collections.abc import Callable

from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.port import Late, Unreachable


class DirectPort:
    """A port, and a face with nothing to listen at. A scenario can cut it, and make it slow or mute, like any other."""

    name = "loopback"

    def __init__(self, program: PlcProgram, now_ns: Callable[[], int]) -> None:
        self.requests = 0
        self._program = program
        self._now_ns = now_ns

    async def start(self) -> None:
        """It is always there."""

    async def stop(self) -> None:
        """There is nothing to close."""

    async def connect(self) -> None:
        """Raises Unreachable while the network is cut."""
        if self._program.network.is_cut:
            raise Unreachable(f"{self.name}: a scenario has cut the network")

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's."""
        await self._answers()
        self._program.write(out, self._now_ns(), time.monotonic_ns())
        return self._program.read(self._now_ns(), time.monotonic_ns())

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing."""
        await self._answers()
        return self._program.read(self._now_ns(), time.monotonic_ns())

    async def close(self) -> None:
        """There is nothing to let go of."""

    async def _answers(self) -> None:
        self.requests += 1
        await self.connect()
        if not await self._program.network.answers():
            raise Late(f"{self.name}: a scenario keeps the PLC from answering")
