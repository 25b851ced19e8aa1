"""An emulated PLC without a network: the adapter's port calls its program in the same process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.port import Late, Unreachable

TIMEOUT_S: Final = 0.2  # as every dialect's port waits for an answer


class DirectPort:
    """A port, and a face with nothing to listen at. A scenario can cut it, and make it slow or mute, like any other."""

    name = "loopback"

    def __init__(self, program: PlcProgram, now_ns: Callable[[], int]) -> None:
        self.requests = 0
        self._program = program
        self._now_ns = now_ns
        self._under_way: set[asyncio.Task[bytes | None]] = set()

    async def start(self) -> None:
        """It is always there."""

    async def stop(self) -> None:
        """There is nothing to close."""

    async def connect(self) -> None:
        """Raises Unreachable while the network is cut."""
        if self._program.network.is_cut:
            raise Unreachable(f"{self.name}: a scenario has cut the network")

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's. Raises Late and Unreachable."""

        def write_and_read() -> bytes:
            self._program.write(out, self._now_ns(), time.monotonic_ns())
            return self._block()

        return await self._ask(write_and_read)

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing. Raises Late and Unreachable."""
        return await self._ask(self._block)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _block(self) -> bytes:
        return self._program.read(self._now_ns(), time.monotonic_ns())

    async def _ask(self, request: Callable[[], bytes]) -> bytes:
        """What the PLC answers. After TIMEOUT_S nobody waits for it any more, and a slow one does it all the same."""
        await self.connect()
        asked = asyncio.create_task(self._do(request))
        self._under_way.add(asked)
        asked.add_done_callback(self._under_way.discard)
        await asyncio.wait({asked}, timeout=TIMEOUT_S)
        await self.connect()
        answer = asked.result() if asked.done() else None
        if answer is None:
            raise Late(f"{self.name}: a scenario keeps the PLC from answering within {TIMEOUT_S * 1000:.0f} ms")
        return answer

    async def _do(self, request: Callable[[], bytes]) -> bytes | None:
        """Do it when the PLC gets to it; None, and not before anybody would wait for it: it does not."""
        if not await self._program.network.answers():
            await asyncio.sleep(TIMEOUT_S)
            return None
        self.requests += 1
        return request()
