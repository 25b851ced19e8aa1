"""Connections that keep the order of their frames and nothing else: they delay, lose, double and break.

As with ZeroMQ a send proves nothing, a break is noticed late and on each side by itself, and
frames of a connection that broke may still arrive after those of the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from sorter.wire.endpoints import Frame
from tests.simulation.world import MS, SECOND, World


class End(Protocol):
    """A device's side of a connection."""

    def up(self) -> None:
        """The transport is there, perhaps anew."""

    def down(self) -> None:
        """The transport is gone."""

    def heard(self, data: bytes) -> None:
        """A frame has come."""


class Faults:
    """How badly the network behaves now."""

    def __init__(self) -> None:
        self.lost_share = 0.0
        self.doubled_share = 0.0
        self.slow_share = 0.0
        self.slow_ns = 400 * MS

    def end(self) -> None:
        """Behave."""
        self.lost_share = self.doubled_share = self.slow_share = 0.0


class Stream:
    """One direction of one connection."""

    def __init__(self, world: World, faults: Faults, arrive: Callable[[bytes], None]) -> None:
        self._world, self._faults, self._arrive = world, faults, arrive
        self._last_ns = 0
        self._flying: deque[int] = deque()
        self._sent = 0
        self._cut_at: int | None = None  # frames from this number on never arrive

    def send(self, data: bytes) -> None:
        """Send a frame; it arrives behind those before it, perhaps twice, perhaps never."""
        world, faults = self._world, self._faults
        for _ in range(2 if world.happens(faults.doubled_share) else 1):
            number = self._sent
            self._sent += 1
            delay_ns = world.between(MS // 5, 2 * MS)
            if world.happens(faults.slow_share):
                delay_ns += world.between(0, faults.slow_ns)
            self._last_ns = max(self._last_ns + 1, world.now_ns + delay_ns)
            self._flying.append(number)
            world.at(self._last_ns, partial(self._land, number, data, world.happens(faults.lost_share)))

    def cut(self) -> None:
        """Of what is under way, only a front part of any length still arrives."""
        self._cut_at = self._sent - self._world.between(0, len(self._flying))

    def _land(self, number: int, data: bytes, is_lost: bool) -> None:
        self._flying.popleft()
        if not is_lost and (self._cut_at is None or number < self._cut_at):
            self._arrive(data)


class Router:
    """Stands in for sorter.wire.endpoints.Router; `spend` is called before each thing the daemon does with it."""

    def __init__(self, world: World, spend: Callable[[], None], arrived: Callable[[], None]) -> None:
        self.world = world
        self.listening = False
        self.arrived = arrived
        self.inbox: deque[Frame] = deque()
        self.lines: dict[bytes, Connection] = {}
        self._spend = spend
        self._peers = 0

    def new_peer(self) -> bytes:
        """A routing id that was never used before."""
        self._peers += 1
        return b"d%d" % self._peers

    def receive(self, limit: int) -> list[Frame]:
        """See sorter.daemon.Socket."""
        self._spend()
        return [self.inbox.popleft() for _ in range(min(limit, len(self.inbox)))]

    def send(self, peer: bytes, data: bytes) -> bool:
        """See sorter.daemon.Socket."""
        self._spend()
        connection = self.lines.get(peer)
        if connection is None:
            return False
        connection.to_device.send(data)
        return True

    def take(self, peer: bytes, data: bytes) -> None:
        """A frame has come in."""
        if self.listening:
            self.inbox.append(Frame(peer, "", data))
            self.arrived()

    def forget(self, peer: bytes) -> None:
        """It is noticed that a connection is gone."""
        self.lines.pop(peer, None)

    def stop(self) -> None:
        """The process is gone and with it all that it had not read."""
        self.listening = False
        self.inbox.clear()
        for connection in list(self.lines.values()):
            connection.cut()
        self.lines.clear()


class Connection:
    """A device's DEALER: it connects, and connects again, until it is closed."""

    def __init__(self, router: Router, faults: Faults, end: End) -> None:
        self.world = router.world
        self.is_up = False
        self.to_device: Stream
        self._router, self._faults, self._end = router, faults, end
        self._to_daemon: Stream
        self._peer = b""
        self._closed = False
        self._shut_until_ns = 0
        self._retry()

    def send(self, data: bytes) -> None:
        """Queue a frame for the daemon."""
        if self.is_up:
            self._to_daemon.send(data)

    def cut(self, for_ns: int = 0) -> None:
        """The connection breaks, and none is made for a while. Both sides notice when they do."""
        self._shut_until_ns = max(self._shut_until_ns, self.world.now_ns + for_ns)
        if not self.is_up or not self._peer:
            return
        self._to_daemon.cut()
        self.to_device.cut()
        peer, self._peer = self._peer, b""
        self.world.after(self.world.between(0, 800 * MS), partial(self._router.forget, peer))
        self.world.after(self.world.between(0, 800 * MS), self._notice)

    def close(self) -> None:
        """The device lets go of it: what it sent may still arrive, nothing more comes."""
        self.cut()
        self._closed = True
        self.is_up = False

    def _notice(self) -> None:
        if not self._closed:
            self.is_up = False
            self._end.down()
            self._retry()

    def _retry(self) -> None:
        self.world.after(self.world.between(MS, 60 * MS), self._connect)

    def _connect(self) -> None:
        world = self.world
        if self._closed:
            return
        if not self._router.listening or world.now_ns < self._shut_until_ns:
            world.after(world.between(50 * MS, SECOND // 2), self._connect)
            return
        peer = self._peer = self._router.new_peer()
        self.is_up = True
        self._to_daemon = Stream(world, self._faults, lambda data: self._router.take(peer, data))
        self.to_device = Stream(world, self._faults, lambda data: self._hear(peer, data))
        self._router.lines[peer] = self
        self._end.up()

    def _hear(self, peer: bytes, data: bytes) -> None:
        # A frame may come after the break but not after the device has noticed it.
        if self.is_up and not self._closed and self._peer in (peer, b""):
            self._end.heard(data)
