"""The client that other programs import: a `Session` on a real socket, and nothing else.

    with Client("tcp://127.0.0.1:5570", role="scanner", line="L1", client="scanner-1") as hub:
        while True:
            for item, code, weight_g in my_scanner.reads():
                hub.scan(item=item, codes=[code], weight_g=weight_g)
            hub.poll(0.01)  # sends, resends, says hello: also when nothing was read

Leaving the `with` waits until everything is on the daemon's disk.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from sorter.wire.endpoints import Context, dealer
from sorter.wire.frames import (
    Alarm,
    Chute,
    Discharge,
    Divert,
    Item,
    Malformed,
    Numbered,
    Outcome,
    Ping,
    Refuse,
    RoleWord,
    Scan,
    StateWord,
)
from sorter.wire.session import OutboxFull, Session

__all__ = ["Client", "Divert", "Malformed", "OutboxFull", "Refuse"]

CLOSE_S: Final = 5.0  # how long leaving a `with` waits for the daemon's disk
_REFUSALS_KEPT: Final = 1024
_FAILURES: Final = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the daemon does not admit this key here",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "the two sides do not agree on keys, or it is no hub sorter",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "it hung up while connecting; is it a hub sorter, does it want a key?",
}
_EVENTS: Final = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | sum(_FAILURES)


class Client:
    """A scanner's or a PLC adapter's connection to the daemon. One thread.

    Sending is not arriving: what is not acknowledged is kept, and sent again after any break,
    for as long as this object lives. `refusals` tells what the daemon did not take.
    """

    def __init__(
        self,
        address: str,
        *,
        role: RoleWord,
        client: str,
        line: str = "",
        boot: int | None = None,
        first: int | None = None,
        key: Path | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        context: Context | None = None,
    ) -> None:
        """Connects in the background; no daemon needs to run yet.

        `client` is this device's name, its own in the hub. `boot` tells this start from earlier
        ones; without it a new one is drawn. A device that remembers its numbers gives its boot
        and the `first` number that follows. `key` is its .secret file where the hub uses keys.
        Raises ValueError for a name or key that cannot be, zmq.ZMQError for an address that is none.
        """
        drawn = int.from_bytes(os.urandom(8), "big") if boot is None else boot
        self._session = Session(role=role, client=client, line=line, boot=drawn, first=first)
        self._address = address
        self._now_ns = now_ns
        self._unqueued: deque[bytes] = deque()
        self._diverts: list[Divert] = []
        self._refusals: deque[Refuse] = deque(maxlen=_REFUSALS_KEPT)
        self._last_refusal = ""
        self._socket = dealer(context or zmq.Context.instance(), key)
        self._monitor = self._socket.get_monitor_socket(_EVENTS)
        self._sockets = [(self._socket, zmq.POLLIN), (self._monitor, zmq.POLLIN)]
        self._socket.connect(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush(CLOSE_S)
        finally:
            self.close()

    @property
    def welcomed(self) -> bool:
        """Whether the daemon knows this connection, as of the last call."""
        return self._session.welcomed

    @property
    def last(self) -> int | None:
        """The last number of this boot that is known to be on the daemon's disk; None: never welcomed."""
        return self._session.last

    @property
    def unacknowledged(self) -> int:
        """How many messages are not known to be on the daemon's disk."""
        return self._session.unacknowledged

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
        t_ns: int = 0,
    ) -> int:
        """An item was read, now or at `t_ns`; sent at once when connected. Returns its number.

        No codes: nothing was read. Raises Malformed for values that cannot be, OutboxFull.
        """
        return self._say(
            Scan(
                seq=0,
                line=line,
                item=item,
                codes=list(codes),
                weight_g=weight_g,
                size_mm=size_mm,
                induct=induct,
                lap=lap,
                t_ns=t_ns or self._now_ns(),
            )
        )

    def item(self, *, item: int, induct: int = 0, line: str = "", t_ns: int = 0) -> int:
        """An item entered the belt. Raises as `scan`."""
        return self._say(Item(seq=0, line=line, item=item, induct=induct, t_ns=t_ns or self._now_ns()))

    def discharge(self, *, item: int, outcome: Outcome, chute: int | None = None, line: str = "", t_ns: int = 0) -> int:
        """An item dropped into a chute, passed it, or was lost. Raises as `scan`."""
        t_ns = t_ns or self._now_ns()
        return self._say(Discharge(seq=0, line=line, item=item, chute=chute, outcome=outcome, t_ns=t_ns))

    def chute(self, *, chute: int, state: StateWord, line: str = "", t_ns: int = 0) -> int:
        """A chute is open, full, blocked or changing. Raises as `scan`."""
        return self._say(Chute(seq=0, line=line, chute=chute, state=state, t_ns=t_ns or self._now_ns()))

    def post(self, message: Numbered | Ping) -> int:
        """Queue a message as it is, for the next `poll` to send many in one frame. Raises as `scan`."""
        return self._session.post(message)

    def tell(self, alarm: Alarm) -> None:
        """Queue an alarm for the next `poll`. It has no number and no acknowledgement: it is told at most once."""
        self._session.tell(alarm)

    def poll(self, timeout_s: float = 0.0) -> list[Divert]:
        """Send what is due, receive what has come; waits up to `timeout_s` for the first divert.

        Call it now and then also when there is nothing to send: it answers and resends.
        """
        until_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        self._step()
        while not self._diverts and self._wait(until_ns):
            self._step()
        diverts, self._diverts = self._diverts, []
        return diverts

    def flush(self, timeout_s: float) -> None:
        """Wait until everything is on the daemon's disk. Raises TimeoutError, and keeps what is not."""
        until_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        self._step()
        while self.unacknowledged:
            if not self._wait(until_ns):
                raise TimeoutError(
                    f"{self.unacknowledged} messages are not on the daemon's disk after {timeout_s:g} s "
                    f"({self._standing()}); they are kept and sent again"
                )
            self._step()

    def refusals(self) -> list[Refuse]:
        """What the daemon refused since the last call; at most the last 1,024."""
        refusals = list(self._refusals)
        self._refusals.clear()
        return refusals

    def close(self) -> None:
        """Close the socket; what is not acknowledged is dropped."""
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()

    def _say(self, message: Numbered) -> int:
        number = self._session.post(message)
        self._step()
        return number

    def _standing(self) -> str:
        words = "the daemon answers" if self.welcomed else f"there is no daemon at {self._address}"
        return f"{words}; it last said: {self._last_refusal}" if self._last_refusal else words

    def _step(self) -> None:
        """Hear what the transport and the daemon have to say, then send what is due."""
        ready = dict(zmq.zmq_poll(self._sockets, 0))
        while self._monitor in ready and self._monitor.poll(0):
            self._hear_transport()
        if self._socket in ready:
            self._receive()
        if not self._unqueued:
            self._unqueued.extend(self._session.send(time.monotonic_ns(), self._now_ns()))
        try:
            while self._unqueued:
                self._socket.send(self._unqueued[0], zmq.DONTWAIT)
                self._unqueued.popleft()
        except zmq.Again:
            return  # the queue is full or the connection is going; the rest waits

    def _receive(self) -> None:
        while True:
            try:
                data = self._socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            for news in self._session.receive(data, time.monotonic_ns()):
                if isinstance(news, Divert):
                    self._diverts.append(news)
                else:
                    self._note(news)

    def _hear_transport(self) -> None:
        event = recv_monitor_message(self._monitor)["event"]
        self._unqueued.clear()
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._session.connected()
        elif event == zmq.EVENT_DISCONNECTED:
            self._session.disconnected()
        else:
            self._note(Refuse(error="not_admitted", detail=f"{self._address}: {_FAILURES[zmq.Event(event)]}"))

    def _note(self, refuse: Refuse) -> None:
        self._last_refusal = refuse.detail or refuse.error
        self._refusals.append(refuse)

    def _wait(self, until_ns: int) -> bool:
        """Wait for something to do; False when it is `until_ns` on the steady clock."""
        now_ns = time.monotonic_ns()
        if now_ns >= until_ns:
            return False
        wake_ns = min(until_ns, max(self._session.due_ns(), now_ns))
        sockets = self._sockets
        if self._unqueued:
            sockets = [(self._socket, zmq.POLLIN | zmq.POLLOUT), (self._monitor, zmq.POLLIN)]
        zmq.zmq_poll(sockets, -(-(wake_ns - now_ns) // 1_000_000))
        return True
