"""A device's side of the wire, without sockets or clocks: it numbers, sends again, and knows what is on disk.

A message stays in the outbox until an `ack` covers its number. After a new connection, a gap or
a silence, everything that is not acknowledged goes out again from the oldest on; the daemon
counts each number once.
"""

from collections import deque
from typing import Final

from sorter import limits
from sorter.wire import frames
from sorter.wire.frames import Ack, Alarm, Divert, Hello, Numbered, Ping, Pong, Refuse, RoleWord, Welcome

NS_PER_S: Final = 1_000_000_000
HELLO_NS: Final = 1 * NS_PER_S  # between hellos that were not answered
PING_NS: Final = 1 * NS_PER_S
SILENT_NS: Final = 3 * NS_PER_S  # a ping so long unanswered: the daemon does not know us any more
ACK_NS: Final = 2 * NS_PER_S  # without progress: send again; doubles each time
ACK_MAX_NS: Final = 16 * NS_PER_S
TOGETHER_MAX: Final = 512  # messages in one frame
TOGETHER_BYTES: Final = limits.FRAME_BYTES_MAX // 4
ALARMS_MAX: Final = 64  # kept until there is a daemon to tell; the oldest are forgotten first
_TOLD_MAX: Final = 1024
_NEVER_NS: Final = 1 << 62

assert TOGETHER_MAX <= limits.MESSAGES_PER_FRAME_MAX


class OutboxFull(RuntimeError):
    """Too many messages wait to be acknowledged; nothing was taken."""


class Session:
    """One boot of one client. `now_ns` is any steady time, `t_ns` is site time; it never waits."""

    def __init__(self, *, role: RoleWord, client: str, boot: int, line: str = "", first: int | None = None) -> None:
        """`first`: the number of the next message, for a boot that an earlier process began.

        Raises Malformed when the daemon could not take such a hello.
        """
        self._role, self._client, self._line, self.boot = role, client, line, boot
        self._first = first or 1  # number of the oldest message in the outbox
        self._next = self._first
        self._continues = first is not None
        self._sent = self._first - 1  # the highest number that ever went out
        self._flight: deque[bytes] = deque()
        self._unsent: deque[bytes] = deque()
        self._up = False
        self._last: int | None = None
        self._pongs: list[Pong] = []
        self._alarms: deque[Alarm] = deque(maxlen=ALARMS_MAX)
        self._told: set[int] = set()
        self._went_back = False
        self._hello_ns = self._ping_ns = self._asked_ns = self._ack_ns = _NEVER_NS
        self._patience_ns = ACK_NS
        frames.decode(self._hello(0))

    @property
    def welcomed(self) -> bool:
        """Whether the daemon knows this connection: only then do messages go out."""
        return self._up and self._hello_ns == _NEVER_NS

    @property
    def last(self) -> int | None:
        """The last number of this boot that is known to be on the daemon's disk; None: never welcomed."""
        return self._last

    @property
    def unacknowledged(self) -> int:
        """How many messages are not known to be on the daemon's disk."""
        return len(self._flight) + len(self._unsent)

    def post(self, message: Numbered | Ping) -> int:
        """Number a message (its `seq` is set here) and queue it; returns the number.

        Raises Malformed for what the daemon would not take, OutboxFull.
        """
        if self.unacknowledged >= limits.RESEND_MAX:
            raise OutboxFull(
                f"{limits.RESEND_MAX} messages wait for the daemon's acknowledgement, the oldest is number "
                f"{self._first}; is the daemon running? nothing more is taken until it answers"
            )
        message.seq = self._next
        data = frames.encode(message)
        frames.decode(data)
        self._unsent.append(data)
        self._next += 1
        return message.seq

    def tell(self, alarm: Alarm) -> None:
        """Queue an alarm; it goes out once, when there is a daemon."""
        self._alarms.append(alarm)

    def connected(self) -> None:
        """The transport is up, perhaps anew: say hello."""
        self.disconnected()
        self._up = True
        self._hello_ns = -_NEVER_NS

    def disconnected(self) -> None:
        """The transport is gone, and what it carried perhaps with it."""
        self._up = False
        self._pongs.clear()
        self._hello_ns = self._ping_ns = self._asked_ns = _NEVER_NS
        self._go_back()

    def receive(self, data: bytes, now_ns: int) -> list[Divert | Refuse]:
        """What a frame from the daemon means to the device: orders and refusals. Raises Malformed."""
        news: list[Divert | Refuse] = []
        for message in frames.decode(data):
            if isinstance(message, Ack):
                self._acknowledge(message.seq, now_ns)
            elif isinstance(message, Divert):
                news.append(message)
            elif isinstance(message, Welcome):
                news += self._welcome(message, now_ns)
            elif isinstance(message, Refuse):
                news += self._refused(message)
            elif isinstance(message, Ping):
                self._pongs.append(Pong(t_ns=message.t_ns))
        self._asked_ns = _NEVER_NS
        return news

    def send(self, now_ns: int, t_ns: int) -> list[bytes]:
        """The frames that are due now. Receive what has come before you ask."""
        if not self._up:
            return []
        if now_ns - self._asked_ns >= SILENT_NS:
            self._greet()
        if self._hello_ns != _NEVER_NS:
            if now_ns < self._hello_ns:
                return []
            self._hello_ns = now_ns + HELLO_NS
            return [self._hello(t_ns)]
        if self._flight and now_ns >= self._ack_ns:
            self._patience_ns = min(2 * self._patience_ns, ACK_MAX_NS)
            self._go_back()
        if self._unsent and not self._flight:
            self._ack_ns = now_ns + self._patience_ns
        due: list[bytes] = []
        while self._unsent:
            due.append(self._together())
        if now_ns >= self._ping_ns:
            due.append(frames.encode(Ping(t_ns=t_ns)))
            self._ping_ns = now_ns + PING_NS
            self._asked_ns = min(self._asked_ns, now_ns)
        return due + self._asides()

    def _asides(self) -> list[bytes]:
        """What has no number and waits for no acknowledgement."""
        said = [frames.encode(*aside) for aside in (self._pongs, self._alarms) if aside]
        self._pongs.clear()
        self._alarms.clear()
        return said

    def due_ns(self) -> int:
        """When `send` has something to do at the latest, if nothing is posted or received."""
        if not self._up:
            return _NEVER_NS
        if self._hello_ns != _NEVER_NS:
            return self._hello_ns
        if self._unsent or self._pongs or self._alarms:
            return -_NEVER_NS
        return min(self._ping_ns, self._ack_ns if self._flight else _NEVER_NS)

    def _hello(self, t_ns: int) -> bytes:
        hello = Hello(role=self._role, client=self._client, line=self._line, boot=self.boot, seq=self._first, t_ns=t_ns)
        return frames.encode(hello)

    def _greet(self) -> None:
        self._hello_ns = -_NEVER_NS
        self._ping_ns = self._asked_ns = _NEVER_NS
        self._go_back()

    def _welcome(self, message: Welcome, now_ns: int) -> list[Refuse]:
        if not self._up or self._hello_ns == _NEVER_NS:
            return []
        if message.seq is not None:
            if message.seq > self._sent and not self._continues:
                return [
                    Refuse(
                        error="boot_reused",
                        detail=f"boot {self.boot} has been used up to number {message.seq}; give each start its own",
                    )
                ]
            if message.seq < self._first - 1:
                return [
                    Refuse(
                        error="forgotten",
                        detail=f"the daemon has this boot up to number {message.seq} alone, though it acknowledged "
                        f"{self._first - 1}: its ledger is an older one; start this client anew",
                    )
                ]
            self._next = max(self._next, message.seq + 1)
            self._drop(message.seq)
        self._last = self._first - 1
        self._hello_ns = _NEVER_NS
        self._ping_ns = now_ns + PING_NS
        self._patience_ns = ACK_NS
        self._went_back = False
        return []

    def _acknowledge(self, seq: int, now_ns: int) -> None:
        if self._first <= seq < self._next:
            self._drop(seq)
            self._last = seq
            self._went_back = False
            self._patience_ns = ACK_NS
            self._ack_ns = now_ns + ACK_NS

    def _drop(self, seq: int) -> None:
        """Forget the messages up to `seq`: they are on disk."""
        while self._first <= seq:
            if self._flight:
                self._flight.popleft()
            elif self._unsent:
                self._unsent.popleft()
            else:
                self._first = seq + 1
                return
            self._first += 1

    def _go_back(self) -> None:
        self._flight.extend(self._unsent)
        self._flight, self._unsent = deque(), self._flight

    def _together(self) -> bytes:
        """The next messages as one frame."""
        parts: list[bytes] = []
        size = 0
        while self._unsent and len(parts) < TOGETHER_MAX and size < TOGETHER_BYTES:
            part = self._unsent.popleft()
            size += len(part)
            parts.append(part)
        self._flight.extend(parts)
        self._sent = max(self._sent, self._first + len(self._flight) - 1)
        return parts[0] if len(parts) == 1 else frames.join(parts)

    def _refused(self, refuse: Refuse) -> list[Refuse]:
        if refuse.error in ("unknown_client", "dropped"):
            if self.welcomed:
                self._greet()
            return [refuse] if refuse.error == "dropped" else []
        if refuse.error == "repeat":
            return []
        if refuse.error == "gap":
            if not self._went_back:
                self._went_back = True
                self._go_back()
            return [refuse] if refuse.seq == self._first else []
        if refuse.seq is None:
            return [refuse]
        return self._refused_for_good(refuse, refuse.seq)

    def _refused_for_good(self, refuse: Refuse, seq: int) -> list[Refuse]:
        """A refusal that comes again, because its message went out again, is told once."""
        if seq in self._told:
            return []
        if len(self._told) >= _TOLD_MAX:
            self._told = {told for told in self._told if told >= self._first}
        self._told.add(seq)
        if refuse.error in ("malformed", "unknown_type") and self._first <= seq < self._next:
            # The daemon cannot read it: its number goes out again without it, for those behind it.
            self._go_back()
            self._unsent[seq - self._first] = frames.encode(Ping(seq=seq))
        return [refuse]
