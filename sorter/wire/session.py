"""A device's side of the wire, without sockets or clocks: numbers, sends again, and knows what is on disk."""

from collections.abc import Sequence

from sorter.wire.frames import Divert, Numbered, Refuse


class OutboxFull(RuntimeError):
    """Too many messages wait to be acknowledged; nothing was taken."""


class Session:
    """One boot of one client. `now_ns` is any steady time; `t_ns` is site time."""

    def __init__(self, *, role: str, client: str, line: str = "", boot: int) -> None:
        raise NotImplementedError

    @property
    def unacknowledged(self) -> int:
        """How many messages are not known to be on the daemon's disk."""
        raise NotImplementedError

    def post(self, message: Numbered) -> int:
        """Number a message and queue it; its `seq` is set here. Raises OutboxFull."""
        raise NotImplementedError

    def connected(self) -> None:
        """The transport is up, perhaps anew: say hello."""
        raise NotImplementedError

    def disconnected(self) -> None:
        """The transport is gone, and what it carried perhaps with it."""
        raise NotImplementedError

    def receive(self, data: bytes, now_ns: int) -> Sequence[Divert | Refuse]:
        """What a frame from the daemon means to the device: orders and refusals."""
        raise NotImplementedError

    def send(self, now_ns: int, t_ns: int) -> list[bytes]:
        """The frames that are due now."""
        raise NotImplementedError

    def due_ns(self) -> int:
        """When `send` has something to do at the latest, if nothing is posted or received."""
        raise NotImplementedError
