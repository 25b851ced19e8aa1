"""Orders to the daemon from the command line, the console and upstream programs."""

from pathlib import Path
from typing import Any


class CommandRefused(RuntimeError):
    """The daemon did not carry the command out; `error` is a word, `detail` a sentence."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail or error)
        self.error = error
        self.detail = detail


class Unreachable(ConnectionError):
    """Nobody listens there: the command was not sent."""


class NoAnswer(TimeoutError):
    """The command was sent and not answered in time: it may have been carried out."""


class Control:
    """A connection to the daemon's control address. One thread."""

    def __init__(self, address: str, *, key: Path | None = None, timeout_s: float = 5.0) -> None:
        raise NotImplementedError

    def call(self, verb: str, /, **args: Any) -> Any:
        """The command's result. Raises CommandRefused, Unreachable or NoAnswer."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the socket."""
        raise NotImplementedError
