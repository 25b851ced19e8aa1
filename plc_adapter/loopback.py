"""A port without a cable: a PlcSide in the same process."""

from collections.abc import Callable

from plc_adapter.mailbox import PlcSide, Told
from plc_adapter.port import Unreachable


class LoopbackPort:
    """Each exchange is one scan cycle of `plc`; `act` gets the orders it was told.

    `now_ns` is any clock. `broken` stands for a pulled cable: every call fails while it is set.
    """

    name = "loopback"

    def __init__(self, plc: PlcSide, act: Callable[[list[Told]], None], now_ns: Callable[[], int]) -> None:
        self._plc = plc
        self._act = act
        self._now_ns = now_ns
        self.broken = False

    async def connect(self) -> None:
        """Reach the PLC."""
        self._check()

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's."""
        return self.exchange_now(out)

    def exchange_now(self, out: bytes) -> bytes:
        """The same without an event loop, for a simulation that steps."""
        self._check()
        now_ns = self._now_ns()
        self._act(self._plc.receive(out, now_ns))
        return self._plc.block(now_ns // 1_000_000)

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing."""
        self._check()
        return self._plc.block(self._now_ns() // 1_000_000)

    async def close(self) -> None:
        """Nothing is held."""

    def _check(self) -> None:
        if self.broken:
            raise Unreachable("the loopback port is broken")
