"""Orders to the daemon from the command line, the console and upstream programs.

A command is never sent twice: what came of one that got no answer, the daemon's status tells.
"""

import itertools
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import zmq

from sorter.wire import frames
from sorter.wire.endpoints import Context, dealer
from sorter.wire.frames import Command, Refuse, Reply

KNOCK_S: Final = 2.0


class CommandRefused(RuntimeError):
    """The daemon did not carry the command out; `error` is a word, `detail` a sentence."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail or error)
        self.error = error
        self.detail = detail


class Unreachable(ConnectionError):
    """Nobody listens there, or not to this key: the command was not sent."""


class NoAnswer(TimeoutError):
    """The command was sent and not answered in time: it may have been carried out."""


def is_listened_at(address: str) -> bool:
    """Whether anybody listens at a tcp or ipc address now; who, and to whom, only a command tells."""
    kind, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    family, target = (socket.AF_INET, (host, int(port))) if kind == "tcp" else (socket.AF_UNIX, place)
    with socket.socket(family) as knock:
        knock.settimeout(KNOCK_S)
        return knock.connect_ex(target) == 0


class Control:
    """A connection to the daemon's control address. One thread."""

    def __init__(
        self, address: str, *, key: Path | None = None, timeout_s: float = 5.0, context: Context | None = None
    ) -> None:
        """`key` is the .secret file where the hub uses keys; `timeout_s` counts for connecting and for the answer.

        Raises ValueError or OSError when `key` is no key file.
        """
        self._address = address
        self._timeout_s = timeout_s
        self._ids = itertools.count(1)
        self._socket = dealer(context or zmq.Context.instance(), key)
        self._socket.connect(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, verb: str, /, **args: Any) -> Any:
        """The command's result. Raises CommandRefused, Unreachable, NoAnswer, or Malformed for what cannot be sent."""
        number = next(self._ids)
        data = frames.encode(Command(id=number, verb=verb, args=args))
        frames.decode(data)
        if not self._socket.poll(round(self._timeout_s * 1000), zmq.POLLOUT):
            raise Unreachable(
                f"no daemon answers at {self._address} within {self._timeout_s:g} s; is `sorter run` up? "
                "where the hub uses keys, is this one known and for control?"
            )
        self._socket.send(data, zmq.DONTWAIT)
        reply = self._reply(number, time.monotonic() + self._timeout_s)
        if not reply.ok:
            raise CommandRefused(reply.error, reply.detail)
        return reply.result

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _reply(self, number: int, until_s: float) -> Reply:
        while self._socket.poll(max(0, round((until_s - time.monotonic()) * 1000))):
            for message in frames.decode(self._socket.recv(zmq.DONTWAIT)):
                if isinstance(message, Refuse):
                    raise CommandRefused(message.error, message.detail)
                if isinstance(message, Reply) and message.id == number:
                    return message
        raise NoAnswer(
            f"the daemon at {self._address} took the command and did not answer within {self._timeout_s:g} s; "
            "it may have been carried out: look at `sorter status` before giving it again"
        )
