"""The sockets, each with the options that were measured to lose nothing unseen and to wait for nobody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import zmq

from sorter.wire.keys import Key, Keys


class Frame(NamedTuple):
    """One frame as it came."""

    peer: bytes  # opaque: give it back to `send`
    user: str  # the key's name; empty when no keys are in use
    data: bytes
    key: Key | None = None  # the key as its file is now; None when no keys are in use


@dataclass(slots=True)
class Counts:
    """What a router did since it was bound."""

    received: int = 0
    sent: int = 0
    multipart: int = 0  # refused: more parts than the envelope
    revoked: int = 0  # refused: its key is gone
    named: int = 0  # refused: chose its own routing id although keys are in use
    dropped: int = 0  # peers whose queue was full
    gone: int = 0  # sends to peers that are not connected any more


class Router:
    """A bound ROUTER: many devices, none of which can make another wait."""

    def __init__(
        self, address: str, *, name: str, context: zmq.Context[zmq.Socket[bytes]], keys: Keys | None = None
    ) -> None:
        raise NotImplementedError

    def poll(self, timeout_ms: int) -> bool:
        """Whether something has arrived, after at most `timeout_ms`."""
        raise NotImplementedError

    def receive(self, limit: int) -> list[Frame]:
        """Up to `limit` frames that have arrived; never waits."""
        raise NotImplementedError

    def send(self, peer: bytes, data: bytes) -> bool:
        """Queue a frame for a peer; False: it is gone or was dropped, and must say hello again. Never waits."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket; what is queued is dropped."""
        raise NotImplementedError


class Publisher:
    """A bound PUB: lossy by contract, waits for nobody."""

    def __init__(
        self, address: str, *, name: str, context: zmq.Context[zmq.Socket[bytes]], keys: Keys | None = None
    ) -> None:
        raise NotImplementedError

    def send(self, topic: bytes, data: bytes) -> None:
        """Publish under a topic; never waits."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket."""
        raise NotImplementedError


def wait(routers: Sequence[Router], timeout_ms: int) -> bool:
    """Whether something has arrived at one of them, after at most `timeout_ms`."""
    raise NotImplementedError
