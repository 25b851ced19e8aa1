"""One emulated reader on the network: what it reads is gone unless somebody is connected at that moment.

Like a real reader it keeps nothing for later, never waits for whoever does not take its telegrams, and
comes back by itself after any break.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from plc_adapter.emulator import address, telegrams
from plc_adapter.scanner.settings import Scanner

RETRY_S: Final = 0.2  # between attempts to reach the adapter
HEARTBEAT_S: Final = 5.0  # where the settings do not say how often; Hikrobot's code platform's
UNSENT_BYTES_MAX: Final = 1 << 16  # more than that waits only for an end that does not listen
PIECE_BYTES: Final = 1 << 12


class ReaderFace:
    """A reader with the settings of one `[scanner.NAME]`, at the other end of its connection.

    Where the adapter connects to the reader (role "client") it listens, else it connects.
    """

    def __init__(self, name: str, scanner: Scanner) -> None:
        self.name = name
        self.scanner = scanner
        self.said = 0  # telegrams that left
        self._peers: set[asyncio.StreamWriter] = set()
        self._talks: set[asyncio.Task[None]] = set()
        self._cut = asyncio.Event()
        self._mended = asyncio.Event()
        self._mended_s = 0.0  # real time when the connection may come back

    @property
    def connected(self) -> bool:
        """Whether what is said now goes to somebody."""
        return bool(self._peers)

    @property
    def is_cut(self) -> bool:
        """Whether a cut is going on."""
        return time.monotonic() < self._mended_s

    def say(self, telegram: bytes) -> bool:
        """Send a telegram to whoever is connected; whether somebody is and takes it."""
        taking = [peer for peer in self._peers if peer.transport.get_write_buffer_size() < UNSENT_BYTES_MAX]
        for peer in taking:
            peer.write(telegram)
        self.said += bool(taking)
        return bool(taking)

    def cut(self, real_s: float) -> None:
        """Close all connections, after what was said, and have none for so long."""
        self._mended_s = max(self._mended_s, time.monotonic() + real_s)
        self._mended.clear()
        self._cut.set()
        while self._peers:
            self._peers.pop().write_eof()

    def mend(self) -> None:
        """End a cut now."""
        self._mended_s = 0.0
        self._mended.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises OSError, with what to write, where it cannot listen."""
        try:
            while True:
                while (real_s := self._mended_s - time.monotonic()) > 0:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._mended.wait(), real_s)
                if self.scanner.role == "client":
                    await self._listen()
                else:
                    await self._connect()
        finally:
            for talk in self._talks:
                talk.cancel()

    async def _listen(self) -> None:
        """Take connections until the next cut."""
        scanner = self.scanner
        self._cut.clear()
        try:
            server = await asyncio.start_server(self._admit, scanner.host, scanner.port)
        except OSError as error:
            raise address.refused(f"scanner.{self.name}", scanner.host, scanner.port, error) from error
        try:
            await self._cut.wait()
            for listener in server.sockets:
                asyncio.get_running_loop().remove_reader(listener.fileno())
            await asyncio.sleep(0)  # what was accepted just now gets to `_admit`; `close` would leave it open, unowned
        finally:
            server.close()

    async def _connect(self) -> None:
        """Connect to the adapter and stay until the connection ends."""
        self._cut.clear()
        try:
            reader, writer = await asyncio.open_connection(self.scanner.host, self.scanner.port)
        except OSError:  # the adapter is not there yet, or no more
            await asyncio.sleep(RETRY_S)
        else:
            await self._talk(reader, writer)

    def _admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its begin to its end."""
        if self._cut.is_set():  # it was made in the moment of the cut, which did not know of it
            writer.transport.abort()
            return
        self._peers.add(writer)
        beat = asyncio.create_task(self._beat(writer))
        try:
            with contextlib.suppress(OSError):  # the other end is gone: that is all that this says
                await self._obey(reader, writer)
        finally:
            beat.cancel()
            self._peers.discard(writer)
            writer.transport.abort()

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer commands, each ended by CR; nothing else that the other end says is of interest."""
        begun = b""
        while data := await reader.read(PIECE_BYTES):
            *commands, begun = (begun + data).split(b"\r")
            begun = begun[:PIECE_BYTES]
            for command in commands:
                if writer in self._peers:
                    writer.write(telegrams.answer(command, self.scanner))

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        words = telegrams.heartbeat(self.scanner)
        while words and writer in self._peers:
            writer.write(words)
            await asyncio.sleep(self.scanner.heartbeat_every_s or HEARTBEAT_S)
