"""A daemon for tests, without sockets: numbers count once, boots begin anew, acknowledgements wait for `sync`."""

from collections.abc import Sequence

from sorter import limits
from sorter.wire.frames import Chute, Discharge, Divert, Item, Ping, Refuse
from sorter.wire.session import OutboxFull

Message = Item | Discharge | Chute | Ping


class OneLineDaemon:
    """Journals (boot, message) in order. While `away` nothing reaches it; `open` is a runner's OpenWire."""

    def __init__(self) -> None:
        self.journal: list[tuple[int, Message]] = []
        self.away = False
        self.last: dict[int, int] = {}
        self.boots: list[int] = []
        self.orders: list[Divert] = []
        self.wire: DirectWire | None = None
        self.outbox_max = limits.RESEND_MAX

    def open(self, boot: int, first: int) -> "DirectWire":
        self.wire = DirectWire(self, boot, first)
        return self.wire

    def hello(self, boot: int, first: int) -> int:
        if boot not in self.last:
            self.last[boot] = first - 1
            self.boots.append(boot)
        return self.last[boot]

    def take(self, boot: int, message: Message) -> None:
        assert message.seq is not None
        assert message.seq <= self.last[boot] + 1, "a gap would hold back the line for ever"
        if message.seq == self.last[boot] + 1:
            self.last[boot] = message.seq
            self.journal.append((boot, message))

    def items(self, boot: int) -> list[int]:
        """The items discharged in one boot, as journalled."""
        return [m.item for at, m in self.journal if at == boot and isinstance(m, Discharge)]

    def sync(self) -> None:
        """The disk has all that was taken."""
        if self.wire is not None and not self.away:
            self.wire.acknowledge(self.last.get(self.wire.boot, 0))


class DirectWire:
    """A wire in the same process; what it could not hand over it keeps."""

    def __init__(self, daemon: OneLineDaemon, boot: int, first: int) -> None:
        self.boot = boot
        self.last: int | None = None
        self._daemon = daemon
        self._first = first
        self._next = first
        self._acknowledged = first - 1
        self._outbox: list[Message] = []

    @property
    def unacknowledged(self) -> int:
        return max(self._next - 1 - self._acknowledged, 0)

    def post(self, message: Message) -> int:
        if self.unacknowledged >= self._daemon.outbox_max:
            raise OutboxFull
        message.seq = self._next
        self._next += 1
        self._outbox.append(message)
        return message.seq

    def poll(self) -> list[Divert]:
        daemon = self._daemon
        if daemon.away or daemon.wire is not self:
            return []
        if self.last is None:
            self.last = daemon.hello(self.boot, self._first)
        for message in self._outbox:
            daemon.take(self.boot, message)
        self._outbox.clear()
        orders, daemon.orders = daemon.orders, []
        return orders

    def acknowledge(self, number: int) -> None:
        self._acknowledged = max(self._acknowledged, number)

    def refusals(self) -> Sequence[Refuse]:
        return ()

    def close(self) -> None:
        self._outbox.clear()
