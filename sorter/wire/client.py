"""The client that other programs import: a session on a real socket."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sorter.wire.frames import Divert, Numbered, Refuse


class Client:
    """A scanner's or a PLC adapter's connection to the daemon. One thread."""

    def __init__(
        self,
        address: str,
        *,
        role: str,
        client: str,
        line: str = "",
        boot: int | None = None,
        key: Path | None = None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        raise NotImplementedError

    def scan(
        self,
        *,
        item: int,
        codes: Sequence[str] = (),
        weight_g: float | None = None,
        size_mm: tuple[float, float, float] | None = None,
        induct: int = 0,
        lap: int | None = None,
        line: str = "",
    ) -> int:
        """An item was read. Sent at once if the connection is up; returns its number."""
        raise NotImplementedError

    def item(self, *, item: int, induct: int = 0, line: str = "") -> int:
        """An item entered the belt."""
        raise NotImplementedError

    def discharge(self, *, item: int, outcome: str, chute: int | None = None, line: str = "") -> int:
        """An item dropped, passed or was lost."""
        raise NotImplementedError

    def chute(self, *, chute: int, state: str, line: str = "") -> int:
        """A chute is open, full, blocked or changing."""
        raise NotImplementedError

    def post(self, message: Numbered) -> int:
        """Queue a message without sending: the next `poll` sends all that is queued, many to a frame."""
        raise NotImplementedError

    def poll(self, timeout_s: float = 0.0) -> list[Divert]:
        """Send what is due, receive what has come; waits up to `timeout_s` for a divert."""
        raise NotImplementedError

    def flush(self, timeout_s: float) -> None:
        """Wait until all is on the daemon's disk. Raises TimeoutError."""
        raise NotImplementedError

    def refusals(self) -> list[Refuse]:
        """What the daemon refused since the last call."""
        raise NotImplementedError

    @property
    def unacknowledged(self) -> int:
        """How many messages are not known to be on the daemon's disk."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket; what is not acknowledged is dropped."""
        raise NotImplementedError
