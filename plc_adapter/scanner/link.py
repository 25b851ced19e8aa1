"""The TCP side of a reader: we connect to it, or it connects to us, again and again for as long as we run.

Whoever is at the other end may send anything at any speed and read nothing: a connection costs some
hundred KiB, a flood gives way to its neighbours after each telegram, nothing waits for an end that does
not listen, and where there are too many connections the one that has been silent longest is closed.
Who is new, sends more than a reader does, or more that nobody understands than not, is heard by turns:
strangers at every port together take a small part of an adapter's time. A reader that is understood
does not wait; what had to wait is told to be older than it looks, for its time is not known any more.
"""

import asyncio
import errno
import socket
import time
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
STRANGE: Final = 4  # of STRANGE_MAX: so strange is who is new, and from here on it takes turns
STRANGE_MAX: Final = 8
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
        self._opens_s = 0.0

    async def wait(self) -> float:
        """Until it is the caller's turn, first come, first served; returns how long that was, in seconds."""
        came_s = time.monotonic()
        async with self._passage:
            if (closed_s := self._opens_s - time.monotonic()) > 0:
                await asyncio.sleep(closed_s)
            self._opens_s = time.monotonic() + TURN_S
        return time.monotonic() - came_s


@dataclass(slots=True)
class _Peer:
    """Who is at the other end: the task that hears it, what waits, and the turn of its last telegram, 0: none yet."""

    talk: asyncio.Task[None]
    unended: Unended
    turn: int = 0


class Link:
    """One reader's connection.

    `hear` gets each whole telegram and returns what to answer, None when it was not understood; `changed`
    is told when there is a connection at last (True) and when there is none any more. `held` is told before
    telegrams that may have come up to so many seconds ago. `raw`, where given, gets the bytes as they come.
    """

    def __init__(
        self,
        scanner: Scanner,
        hear: Callable[[bytes], bytes | None],
        changed: Callable[[bool], None],
        turnstile: Turnstile,
        *,
        held: Callable[[float], None] = lambda _seconds: None,
        raw: Callable[[bytes], None] = lambda _data: None,
    ) -> None:
        self.error = UNTRIED  # why there is no connection; empty when there is one
        self.turned_away = 0  # connections closed for a newer one
        self.dropped_bytes = 0
        self.resyncs = 0
        self._scanner = scanner
        self._hear = hear
        self._changed = changed
        self._turnstile = turnstile
        self._held = held
        self._raw = raw
        self._turns = count(1)
        self._peers: dict[asyncio.StreamWriter, _Peer] = {}
        self._heard: _Peer | None = None  # whose telegram `hear` is told

    @property
    def unended(self) -> Unended:
        """What ends no telegram at the connection that `hear` is told of, else at the one where it waits longest."""
        if self._heard:
            return self._heard.unended
        peers = self._peers.values()
        longest = max(peers, key=lambda peer: (peer.unended.waited_s(_now_s()), peer.turn), default=None)
        return longest.unended if longest else self._nothing_unended()

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
        self._peers[writer] = _Peer(talk, self._nothing_unended())
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
            _notice_half_open(writer)
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
        peer = self._peers[writer]
        idle_s = self._scanner.idle_ms / 1000
        silent_s = STALE_S
        by_turns = self._scanner.framing != "idle"  # there the silence between two telegrams is all that parts them
        strange = STRANGE
        while True:
            waited_s = await self._turnstile.wait() if by_turns and strange >= STRANGE else 0.0
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
                peer.unended.came(data, _now_s())
                resyncs = framer.resyncs
                telegrams = framer.feed(data)
                strange += framer.resyncs - resyncs
                if waited_s and telegrams:
                    self._held(waited_s)
            for telegram in telegrams:
                answer = self._tell(peer, telegram)
                strange = min(max(strange + (1 if answer is None else -2), 0), STRANGE_MAX)
                _say(writer, answer or b"")
                await asyncio.sleep(0)
            if len(data) >= PIECE_BYTES:
                strange = STRANGE_MAX
            await asyncio.sleep(0)

    def _tell(self, peer: _Peer, telegram: bytes) -> bytes | None:
        peer.turn = next(self._turns)
        peer.unended.ended(telegram)
        self._heard = peer
        try:
            return self._hear(telegram)
        finally:
            self._heard = None

    def _nothing_unended(self) -> Unended:
        scanner = self._scanner
        return Unended(scanner.framing, end_of(scanner.framing, scanner.end.encode()), scanner.start.encode())

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(self._scanner.heartbeat_every_s)
            _say(writer, self._scanner.heartbeat_send.encode())


def _now_s() -> float:
    return asyncio.get_running_loop().time()


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
