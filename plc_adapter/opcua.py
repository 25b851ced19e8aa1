"""The OPC UA port: each block is one variable, an array of 80 UInt16; an exchange is one Write, then one Read.

It polls: a subscription brings a value only when its publishing period is over. It makes a new
session when one has failed, and mends none: the library's own reconnect would hold a call for a
minute. asyncua is an extra, and is imported when the first port of this kind is made.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from plc_adapter.mailbox import to_words
from plc_adapter.port import Cause, Late, Refused, Unreachable

if TYPE_CHECKING:
    from plc_adapter.opcua_session import Session

LATES_MAX: Final = 2  # so many in a row, and the session is made anew: its connection may be half open


class OpcUaPort:
    """A PLC that serves OPC UA without encryption, to anonymous clients.

    `reports_node` is the variable with the PLC's block, `orders_node` the one with the host's.
    """

    def __init__(self, host: str, port: int, *, reports_node: str, orders_node: str) -> None:
        self.name = f"opcua {host}:{port}"
        self._host = host
        self._port = port
        self._nodes = (reports_node, orders_node)
        self._session: Session | None = None
        self._lates = 0
        try:
            from plc_adapter import opcua_session  # noqa: PLC0415 # an extra, and its import takes a second
        except ModuleNotFoundError:
            self._open: Callable[[str, str, int, tuple[str, str]], Awaitable[Session]] = _nothing_installed
        else:
            self._open = opcua_session.Session.open

    async def connect(self) -> None:
        """Reach the PLC; nothing happens when it is connected already."""
        if self._session is not None and self._session.alive:
            return
        await self.close()
        self._session = await self._open(self.name, self._host, self._port, self._nodes)
        self._lates = 0

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's."""
        words = to_words(out)
        return await self._ask(lambda session: session.exchange(words))

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing."""
        return await self._ask(lambda session: session.read())

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _ask(self, request: Callable[["Session"], Awaitable[bytes]]) -> bytes:
        session = self._session
        if session is None:
            raise Unreachable(f"{self.name} is not connected")
        try:
            block = await request(session)
        except Late:
            self._lates += 1
            if self._lates >= LATES_MAX:
                self._session = None
                await session.give_up()
            raise
        self._lates = 0
        return block


async def _nothing_installed(name: str, _host: str, _port: int, _nodes: tuple[str, str]) -> "Session":
    raise Refused(
        f"{name}: OPC UA needs a package that is not installed; run: pip install 'hub-sorter[opcua]'",
        Cause.NOT_INSTALLED,
    )
