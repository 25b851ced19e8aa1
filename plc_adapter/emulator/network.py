"""The network between an emulated PLC and whoever calls it: as it should be, slow, mute or cut.

Every trouble has its end in real time from the start, for timeouts and heartbeats are real time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

NS_PER_S: Final = 1_000_000_000


class Network:
    """One PLC's network. Its face asks `answers` before it does what a request says."""

    def __init__(self) -> None:
        self._slow_s = 0.0
        self._slow_until_ns = self._mute_until_ns = self._cut_until_ns = 0

    @property
    def is_mute(self) -> bool:
        """Connections and requests are accepted, and nothing is done or answered."""
        return time.monotonic_ns() < self._mute_until_ns

    @property
    def is_cut(self) -> bool:
        """Connections are closed and refused."""
        return time.monotonic_ns() < self._cut_until_ns

    @property
    def slow_s(self) -> float:
        """How many real seconds later than usual a request is done and answered."""
        return self._slow_s if time.monotonic_ns() < self._slow_until_ns else 0.0

    def slow(self, delay_s: float, for_s: float) -> None:
        """Answer later from now on; another call replaces this one."""
        self._slow_s, self._slow_until_ns = delay_s, real_ns_after(for_s)

    def mute(self, for_s: float) -> None:
        """Answer nothing from now on."""
        self._mute_until_ns = max(self._mute_until_ns, real_ns_after(for_s))

    def cut(self, for_s: float) -> None:
        """Be gone from now on."""
        self._cut_until_ns = max(self._cut_until_ns, real_ns_after(for_s))

    def mend(self) -> None:
        """End every trouble now."""
        self._slow_until_ns = self._mute_until_ns = self._cut_until_ns = 0

    async def answers(self) -> bool:
        """Wait as long as a request has to; False: it came to nothing, do and answer nothing."""
        if delay_s := self.slow_s:
            await asyncio.sleep(delay_s)
        return not self.is_mute


class Server(Protocol):
    """What listens for a PLC."""

    async def start(self) -> None:
        """Listen. Raises OSError with the address when it is taken."""

    async def stop(self) -> None:
        """Close the socket and its connections."""


class Plug:
    """Takes a PLC's server off its network while that is cut, and puts it back: `look` as often as you like."""

    def __init__(self, network: Network, server: Server) -> None:
        self._network = network
        self._server = server
        self._is_in = False
        self._move: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Plug it in or out, without waiting for it. Raises OSError when its address was taken meanwhile."""
        if self._move is not None:
            if not self._move.done():
                return
            self._move.result()
        self._move = None
        if self._network.is_cut == self._is_in:
            self._is_in = not self._is_in
            self._move = asyncio.create_task(self._server.start() if self._is_in else self._server.stop())

    async def start(self) -> None:
        """Plug it in. Raises OSError with the address when it is taken."""
        await self._server.start()
        self._is_in = True

    async def stop(self) -> None:
        """Unplug it for good."""
        if self._move is not None:
            await asyncio.wait({self._move})
        await self._server.stop()
        self._is_in = False


def real_ns_after(for_s: float) -> int:
    """The moment of the monotonic clock `for_s` real seconds from now."""
    return time.monotonic_ns() + round(for_s * NS_PER_S)
