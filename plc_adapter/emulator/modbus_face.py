"""A PLC program as a real Modbus TCP server: its mailbox is holding registers, read and written by anybody.

Functions 3, 6, 16 and 23 reach the two blocks; every other register is an illegal address.
"""

from __future__ import annotations

from typing import Any, Final

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from plc_adapter.emulator.face import NetworkFace
from plc_adapter.emulator.network import Network
from plc_adapter.mailbox import BLOCK_WORDS, from_words, to_words
from plc_adapter.settings import Modbus

_FUNCTIONS: Final = (3, 6, 16, 23)


class _Connection(ServerRequestHandler):
    def __init__(self, server: _Server, network: Network) -> None:
        traces = (server.trace_packet, server.trace_pdu, server.trace_connect)
        super().__init__(server, *traces)  # type: ignore[no-untyped-call] # pymodbus leaves it untyped
        self._network = network

    def handle_later(self) -> None:
        """Answer in this loop; pymodbus wakes the loop by a socket first, which costs 50 us a request."""
        self._answer = self.loop.create_task(self._answer_request(self.last_pdu, self.last_addr))

    async def _answer_request(self, request: Any, address: Any) -> None:
        if await self._network.answers():
            self.last_pdu, self.last_addr = request, address  # others may have come since
            await self.handle_request()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


class _Server(ModbusTcpServer):
    def __init__(self, device: SimDevice, address: tuple[str, int], network: Network) -> None:
        super().__init__(device, address=address)
        self._network = network

    def callback_new_connection(self) -> _Connection:
        return _Connection(self, self._network)


class ModbusFace(NetworkFace[Modbus]):
    """Serves one line's PLC at the address that site.toml gives for it."""

    _server: _Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError, with what to write, where it cannot be."""
        settings = self._settings
        blocks = [
            SimData(settings.reports_at, count=BLOCK_WORDS, datatype=DataType.REGISTERS, readonly=True),
            SimData(settings.orders_at, count=BLOCK_WORDS, datatype=DataType.REGISTERS),
        ]
        device = SimDevice(settings.unit, simdata=blocks, action=self._touch)
        self._server = _Server(device, (settings.host, settings.port), self._program.network)
        try:
            await self._server.serve_forever(background=True)
        except RuntimeError as error:
            raise self._refused() from error

    async def stop(self) -> None:
        """Close the socket and its connections."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped
            self._server = None

    async def _touch(  # noqa: PLR0917 # pymodbus calls it with these, in this order
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called by pymodbus before it reads or changes registers[address - start] and the `count` that follow."""
        if function not in _FUNCTIONS:
            return ExcCodes.ILLEGAL_FUNCTION
        reports_at, orders_at = (at - start for at in (self._settings.reports_at, self._settings.orders_at))
        if written is not None:
            block = registers[orders_at : orders_at + BLOCK_WORDS]
            block[address - start - orders_at : address - start - orders_at + count] = map(int, written)
            self._write(from_words(block))
        elif address - start < reports_at + BLOCK_WORDS and reports_at < address - start + count:
            registers[reports_at : reports_at + BLOCK_WORDS] = to_words(self._read())
        return None
