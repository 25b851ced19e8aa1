"""A PLC program as a real S7 server: its mailbox is bytes of data blocks, read and written by anybody.

snap7 serves every connection in a thread of its own. Whatever touches the mailbox is handed over
to the loop that drives the plant, and the thread waits for it.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from snap7 import Server, SrvArea
from snap7.error import S7Error

from plc_adapter.emulator.face import NetworkFace
from plc_adapter.emulator.network import Network
from plc_adapter.mailbox import BLOCK_BYTES
from plc_adapter.settings import S7

Handover = Callable[[Callable[[], Any]], Any]
"""Runs what it is given in the loop of the plant, and returns what that returned."""


class MailboxServer(Server):
    """snap7's server around one mailbox: `read` gives the PLC's block, `write` takes the host's, both in this loop."""

    def __init__(self, settings: S7, read: Callable[[], bytes], write: Callable[[bytes], None]) -> None:
        super().__init__(log=False)
        self._loop = asyncio.get_running_loop()
        self._sockets: set[socket.socket] = set()
        for db in {settings.reports_db, settings.orders_db}:
            reports = _block(settings.reports_at if db == settings.reports_db else None)
            orders = _block(settings.orders_at if db == settings.orders_db else None)
            self.register_area(SrvArea.DB, db, _DataBlock(reports, orders, read, write, self._hand_over))

    async def listen(self, host: str, port: int) -> int:
        """Listen, on a free port when it is 0; returns the port. Raises OSError when it is taken."""
        with socket.socket() as tried:  # snap7's would share the port with another snap7 and say nothing
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
            address: tuple[str, int] = tried.getsockname()
        try:
            self.start_to(*address)
        except S7Error as error:
            raise OSError(str(error)) from error
        return address[1]

    async def hang_up(self) -> None:
        """Close the listener and every connection; snap7's `stop` alone leaves connections open."""
        stopping = asyncio.create_task(asyncio.to_thread(self.stop))
        while not stopping.done():  # threads may still hand over, so this loop has to go on
            for connection in list(self._sockets):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            await asyncio.wait({stopping}, timeout=0.01)
        await stopping

    def _handle_client(self, client_socket: socket.socket, address: tuple[str, int]) -> None:
        self._sockets.add(client_socket)
        try:
            super()._handle_client(client_socket, address)
        finally:
            self._sockets.discard(client_socket)

    def _hand_over(self, work: Callable[[], Any]) -> Any:
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(work())
            except Exception as error:
                answer.set_exception(error)
                raise  # snap7 hides it from whoever looks at the emulator; the loop does not

        self._loop.call_soon_threadsafe(run)
        return answer.result()


class _DataBlock(bytearray):
    """One data block. snap7 slices it to read and to write, and holds its lock meanwhile."""

    def __init__(
        self, reports: range, orders: range, read: Callable[[], bytes], write: Callable[[bytes], None], hand: Handover
    ) -> None:
        super().__init__(max(reports.stop, orders.stop))
        self._reports = reports
        self._orders = orders
        self._read = read
        self._write = write
        self._hand = hand

    def __getitem__(self, part: Any) -> Any:
        """Asks the program afresh when the part has bytes of the PLC's block."""
        if _meet(self._reports, part):
            super().__setitem__(slice(self._reports.start, self._reports.stop), self._hand(self._read))
        return super().__getitem__(part)

    def __setitem__(self, part: Any, value: Any) -> None:
        """Tells the program when the part has bytes of the host's block. Raises ValueError for the PLC's."""
        if _meet(self._reports, part):
            raise ValueError("the PLC's own block is not for the host to write")
        super().__setitem__(part, value)
        if _meet(self._orders, part):
            block = bytes(super().__getitem__(slice(self._orders.start, self._orders.stop)))
            self._hand(lambda: self._write(block))


def _block(at: int | None) -> range:
    return range(0) if at is None else range(at, at + BLOCK_BYTES)


def _meet(block: range, part: slice) -> bool:
    return bool(part.start < block.stop and block.start < part.stop)


class _Server(MailboxServer):
    """Answers as its network lets it. A request waits in the thread of its connection."""

    def __init__(
        self, settings: S7, read: Callable[[], bytes], write: Callable[[bytes], None], network: Network
    ) -> None:
        super().__init__(settings, read, write)
        self._network = network
        self._closing = threading.Event()

    async def hang_up(self) -> None:
        self._closing.set()
        await super().hang_up()

    def _process_request(self, request_data: bytes, client_address: tuple[str, int]) -> bytes | None:
        network = self._network
        if self._closing.wait(network.slow_s) or network.is_mute:
            return None
        return super()._process_request(request_data, client_address)


class S7Face(NetworkFace[S7]):
    """Serves one line's PLC at the address that site.toml gives for it."""

    _server: MailboxServer | None = None

    async def start(self) -> None:
        """Listen. Raises OSError, with what to write, where it cannot be."""
        settings = self._settings
        server = _Server(settings, self._read, self._write, self._program.network)
        try:
            await server.listen(settings.host, settings.port)
        except OSError as error:
            raise self._refused() from error
        self._server = server

    async def stop(self) -> None:
        """Close the socket and its connections."""
        if self._server is not None:
            await self._server.hang_up()
            self._server = None
