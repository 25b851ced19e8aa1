"""The TCP side of a reader: we connect to it, or it connects to us, again and again for as long as we run.

Whoever is at the other end may send anything at any speed and read nothing: a connection costs some
hundred KiB, a flood gives way to its neighbours after each telegram, nothing waits for an end that does
not listen, and where there are too many connections the one that has been silent longest is closed.
Who sends more than a reader does, or what nobody understands, or is new, is heard by turns: strangers
at every port together take a small part of an adapter's time, and no reader that is understood waits.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final

from plc_adapter.scanner.framing import Framer, end_of
from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.unended import Unended

UNTRIED: Final = "it has not been tried yet"
PIECE_BYTES: Final = 1 << 12
CONNECT_S: Final = 2.0
RETRY_S: Final = 0.5  # between attempts to reach a reader
STALE_S: Final = 1.0  # a telegram that has not ended by then never will
SERVED_MAX: Final = 4  # connections at once: a reader that comes back may find its old one still open
TURN_S: Final = 0.005  # between two turns; what is heard in one costs about 1.5 ms
HALF_OPEN: Final = {  # such a connection is noticed in 5 s
    "TCP_KEEPIDLE": 2,  # s
    "TCP_KEEPINTVL": 1,  # s
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 5000,  # ms; while something of ours is on its way nothing is kept alive
}


class Turnstile:
    """Connections that nobody has reason to trust pass one by one. All links of an adapter share one."""

    def __init__(self) -> None:
        self._passage = asyncio.Lock()

    async def wait(self) -> None:
        """Until it is the caller's turn; first come, first served."""
        async with self._passage:
            await asyncio.sleep(TURN_S)


@dataclass(slots=True)
class _Peer:
    """Who is at the other end: the task that hears it, and the turn of its last telegram, 0: none yet."""

    talk: asyncio.Task[None]
    turn: int = 0


class Link:
    """One reader's connection.

    `hear` gets each whole telegram and returns what to answer, None when it was not understood; `changed`
    is told when there is a connection at last (True) and when there is none any more. `raw`, where given,
    gets the bytes as they come.
    """

    def __init__(
        self,
        scanner: Scanner,
        hear: Callable[[bytes], bytes | None],
        changed: Callable[[bool], None],
        turnstile: Turnstile,
        raw: Callable[[bytes], None] = lambda _data: None,
    ) -> None:
        self.error = UNTRIED  # why there is no connection; empty when there is one
        self.turned_away = 0  # connections closed for a newer one
        self.dropped_bytes = 0
        self.resyncs = 0
        self.unended = Unended(scanner.framing, end_of(scanner.framing, scanner.end.encode()))
        self._scanner = scanner
        self._hear = hear
        self._changed = changed
        self._turnstile = turnstile
        self._raw = raw
        self._turns = count(1)
        self._peers: dict[asyncio.StreamWriter, _Peer] = {}

    @property
    def peers(self) -> int:
        """How many connections there are."""
        return len(self._peers)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises OSError when we are to be reached and cannot listen."""
        serving = asyncio.create_task(self._connect() if self._scanner.role == "client" else self._listen())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            serving.cancel()
            await asyncio.wait((serving,))
        if not serving.cancelled():
            serving.result()

    async def _connect(self) -> None:
        scanner = self._scanner
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(scanner.host, scanner.port, limit=PIECE_BYTES)
            except (OSError, TimeoutError) as error:
                why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
                self.error = f"{scanner.host}:{scanner.port} accepts no connection ({why}); check power and address"
            else:
                talk = asyncio.create_task(self._talk(reader, writer))
                self._admit(writer, talk)
                await talk
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        scanner = self._scanner
        talks = asyncio.TaskGroup()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if server.is_serving():
                self._admit(writer, talks.create_task(self._talk(reader, writer)))
            else:
                writer.transport.abort()

        try:
            server = await asyncio.start_server(accept, scanner.host, scanner.port, limit=PIECE_BYTES)
        except OSError as error:
            raise OSError(error.errno, _unheard(scanner, error)) from error
        self.error = f"nobody has connected to {scanner.host}:{scanner.port} yet; set the reader to send there"
        async with talks:
            try:
                await asyncio.Event().wait()
            finally:
                server.close()

    def _admit(self, writer: asyncio.StreamWriter, talk: asyncio.Task[None]) -> None:
        """Take a connection on, in place of the one that has been silent longest when there are too many.

        Whoever never sent a telegram goes before a reader that did: strangers push out each other.
        """
        if len(self._peers) >= SERVED_MAX:
            silent = min(self._peers, key=lambda peer: self._peers[peer].turn)
            self._peers.pop(silent).talk.cancel()
            silent.transport.abort()
            self.turned_away += 1
        _notice_half_open(writer)
        self._peers[writer] = _Peer(talk)
        self.error = ""
        if len(self._peers) == 1:
            self._changed(True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hear one connection to its end."""
        scanner = self._scanner
        framer = scanner.framer()
        beat = asyncio.create_task(self._beat(writer)) if scanner.heartbeat_every_s else None
        why = "we have closed the connection"
        try:
            _say(writer, scanner.hello.encode())
            await self._hear_all(reader, writer, framer)
            why = "the reader closed the connection"
        except OSError as error:
            why = f"the connection broke: {error.strerror or error}"
        finally:
            if beat:
                beat.cancel()
            framer.give_up()
            self.dropped_bytes += framer.dropped_bytes
            self.resyncs += framer.resyncs
            _say(writer, scanner.goodbye.encode())
            writer.transport.abort()  # as close, but without waiting for an end that takes nothing
            self._dismiss(writer, why)

    def _dismiss(self, writer: asyncio.StreamWriter, why: str) -> None:
        if self._peers.pop(writer, None) is not None and not self._peers:
            self.error = why
            self._changed(False)

    async def _hear_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, framer: Framer) -> None:
        idle_s = self._scanner.idle_ms / 1000
        silent_s = STALE_S
        trusted = False
        while True:
            if not trusted:
                await self._turnstile.wait()
            try:
                async with asyncio.timeout(idle_s if silent_s < STALE_S else None):
                    data = await reader.read(PIECE_BYTES)
            except TimeoutError:
                silent_s += idle_s
                telegrams = framer.idle()
                if silent_s >= STALE_S:
                    framer.give_up()
            else:
                if not data:
                    return
                silent_s = 0.0
                self._raw(data)
                self.unended.came(data, asyncio.get_running_loop().time())
                resyncs = framer.resyncs
                telegrams = framer.feed(data)
                trusted = len(data) < PIECE_BYTES and framer.resyncs == resyncs
            for telegram in telegrams:
                self._peers[writer].turn = next(self._turns)
                self.unended.ended(telegram)
                answer = self._hear(telegram)
                trusted = trusted and answer is not None
                _say(writer, answer or b"")
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(self._scanner.heartbeat_every_s)
            _say(writer, self._scanner.heartbeat_send.encode())


def _unheard(scanner: Scanner, error: OSError) -> str:
    """Why nobody can be listened for, and what to do."""
    where, called = (
        f"{scanner.host}:{scanner.port} cannot be listened at",
        'role = "client" if we are to call the reader',
    )
    if error.errno == errno.EADDRINUSE:
        return f"{where}: another program does, such as plc-adapter run; stop it, or write {called}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f'{where}: it is no address of this machine; write host = "0.0.0.0", or {called}'
    if error.errno == errno.EACCES:
        return f"{where}: this user may not take a port below 1024; set the reader to another, and port as well"
    return f"{where} ({error.strerror or error}); write the address of this machine as host"


def _say(writer: asyncio.StreamWriter, words: bytes) -> None:
    """Send them, unless much of what was sent before still waits: then the other end does not listen."""
    if words and writer.transport.get_write_buffer_size() < PIECE_BYTES:
        writer.write(words)


def _notice_half_open(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in HALF_OPEN.items():
        connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
