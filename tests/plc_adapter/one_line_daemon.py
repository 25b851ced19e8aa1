"""A daemon for tests, without sockets: numbers count once, boots begin anew, acknowledgements wait for `sync`."""

from collections.abc import Callable, Sequence

from sorter.wire import frames
from sorter.wire.frames import (
    Ack,
    Alarm,
    AnyMessage,
    Chute,
    Discharge,
    Divert,
    Hello,
    Item,
    Ping,
    Pong,
    Refuse,
    Scan,
    Welcome,
)
from sorter.wire.session import OutboxFull, Session

Message = Item | Discharge | Chute | Scan | Ping


class OneLineDaemon:
    """Journals (boot, message) in order. While `away` nothing reaches it; `open` is a runner's OpenWire."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.journal: list[tuple[int, Message]] = []
        self.away = False
        self.alarms: list[Alarm] = []
        self.last: dict[int, int] = {}
        self.boots: list[int] = []
        self.orders: list[Divert] = []
        self.wire: DirectWire | None = None
        self.outbox_max = 10**6

    def open(self, boot: int, first: int) -> "DirectWire":
        self.wire = DirectWire(self, boot, first)
        return self.wire

    def receive(self, boot: int, message: AnyMessage) -> list[AnyMessage]:
        """What the daemon answers at once."""
        if isinstance(message, Hello):
            if boot not in self.last:
                self.last[boot] = message.seq - 1
                self.boots.append(boot)
            return [Welcome(plan=1, t_ns=self.now_ns(), seq=self.last[boot])]
        if isinstance(message, Ping) and message.seq is None:
            return [Pong(t_ns=message.t_ns)]
        if isinstance(message, Alarm):
            self.alarms.append(message)
            return []
        assert isinstance(message, Message)
        assert message.seq is not None
        assert message.seq <= self.last[boot] + 1, "a gap would hold back the line for ever"
        if message.seq == self.last[boot] + 1:
            self.last[boot] = message.seq
            self.journal.append((boot, message))
        return []

    def items(self, boot: int) -> list[int]:
        """The items discharged in one boot, as journalled."""
        return [message.item for at, message in self.journal if at == boot and isinstance(message, Discharge)]

    def sync(self) -> None:
        """The disk has all that was taken."""
        if self.wire is not None and not self.away and self.wire.boot in self.last:
            self.wire.answers.append(Ack(seq=self.last[self.wire.boot]))


class DirectWire:
    """A real session in the daemon's process."""

    def __init__(self, daemon: OneLineDaemon, boot: int, first: int) -> None:
        self.boot = boot
        self.answers: list[AnyMessage] = []
        self._daemon = daemon
        self._session = Session(role="plc", client="plc-L1", line="L1", boot=boot, first=first)
        self._up = False
        self._refusals: list[Refuse] = []

    @property
    def welcomed(self) -> bool:
        return self._session.welcomed

    @property
    def last(self) -> int | None:
        return self._session.last

    @property
    def unacknowledged(self) -> int:
        return self._session.unacknowledged

    def post(self, message: Message) -> int:
        if self.unacknowledged >= self._daemon.outbox_max:
            raise OutboxFull
        return self._session.post(message)

    def poll(self) -> list[Divert]:
        daemon = self._daemon
        up = not daemon.away and daemon.wire is self
        if up and not self._up:
            self._session.connected()
        elif self._up and not up:
            self._session.disconnected()
            self.answers.clear()
        self._up = up
        if not up:
            return []
        for frame in self._session.send(daemon.now_ns(), daemon.now_ns()):
            for message in frames.decode(frame):
                self.answers += daemon.receive(self.boot, message)
        orders, daemon.orders = daemon.orders, []
        answers, self.answers = self.answers, []
        for answer in answers:
            news = self._session.receive(frames.encode(answer), daemon.now_ns())
            self._refusals += [refusal for refusal in news if isinstance(refusal, Refuse)]
        return orders

    def tell(self, alarm: Alarm) -> None:
        self._session.tell(alarm)

    def refusals(self) -> Sequence[Refuse]:
        refusals, self._refusals = self._refusals, []
        return refusals

    def close(self) -> None:
        self._session.disconnected()
