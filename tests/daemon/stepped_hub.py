"""A daemon stepped by hand, with its sockets, its disk and its clock: what is sent is checked to be on disk."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from sorter.daemon import Clocks, Daemon, Sockets
from sorter.ledger.journal import Journal, read
from sorter.records import SortPlan
from sorter.replay import restore
from sorter.wire import frames
from sorter.wire.endpoints import Frame
from sorter.wire.frames import AnyMessage, Command, Divert, Hello, Reply, Scan
from sorter.wire.keys import Key
from tests.ledger.faulty_disk import FaultyDisk
from tests.simulation.world import OPENS_NS, SECOND

FOLDER = Path("/ledger")
SEGMENT_BYTES = 4 << 20
HOUR = 3600 * SECOND
GOOD = "SF00000007"
SCANNER, PLC, DESK = b"scanner", b"plc", b"desk"


class Post:
    """A socket of lists; what is sent is checked to be on disk."""

    def __init__(self, hub: Hub) -> None:
        self.inbox: deque[Frame] = deque()
        self.sent: list[tuple[bytes, AnyMessage]] = []
        self._hub = hub

    def receive(self, limit: int) -> list[Frame]:
        return [self.inbox.popleft() for _ in range(min(limit, len(self.inbox)))]

    def send(self, peer: bytes, data: bytes) -> bool:
        assert not any(content.pending for content in self._hub.disk.now.values()), "sent before it was on disk"
        self.sent += [(peer, message) for message in frames.decode(data)]
        return True


class Hub:
    """A daemon, its disk and its clock."""

    def __init__(self, sort_plans: list[SortPlan]) -> None:
        self.sort_plans = sort_plans
        self.now_ns = OPENS_NS
        self.disk = FaultyDisk()
        self.devices, self.control = Post(self), Post(self)
        self.ids = 0
        self.start(0)

    def start(self, plan: int, turn: tuple[int, int] = (0, 0)) -> None:
        self.journal = Journal.open(FOLDER, self.disk, segment_bytes=SEGMENT_BYTES)
        self.standing = restore(read(FOLDER, disk=self.disk))
        sockets = Sockets(self.devices, self.control, lambda _idle_ms: False)
        clocks = Clocks(lambda: self.now_ns, lambda: self.now_ns)
        self.daemon = Daemon(self.standing, self.sort_plans[plan], self.journal, sockets, clocks, turn=turn)

    def restart(self, plan: int = 0) -> None:
        self.disk.kill()
        self.start(plan)

    def bring(self, peer: bytes, data: bytes, key: Key | None = None) -> list[AnyMessage]:
        """One frame in, one turn; what the peer gets back."""
        self.devices.sent.clear()
        self.devices.inbox.append(Frame(peer, key.name if key else "", data, key))
        self.daemon.turn()
        return [message for to, message in self.devices.sent if to == peer]

    def say(self, peer: bytes, *messages: AnyMessage, key: Key | None = None) -> list[AnyMessage]:
        return self.bring(peer, frames.encode(*messages), key)

    def order(self, verb: str, **args: Any) -> Reply:
        self.ids += 1
        self.control.sent.clear()
        self.control.inbox.append(Frame(DESK, "", frames.encode(Command(id=self.ids, verb=verb, args=args))))
        self.daemon.turn()
        [(peer, reply)] = self.control.sent
        assert peer == DESK
        assert isinstance(reply, Reply)
        assert reply.id == self.ids
        return reply

    def events(self) -> list[int]:
        return [int(kind) for record in self.records() for kind in record.batch.events["kind"]]

    def records(self) -> list[Any]:
        return [record for record in read(FOLDER, disk=self.disk) if hasattr(record, "batch")]

    def sorts(self) -> bool:
        """A fresh scanner's parcel is decided and its divert reaches the PLC."""
        self.devices.sent.clear()
        messages = (
            Hello(role="scanner", client="fresh", line="L1", boot=self.now_ns),
            Scan(seq=1, item=self.ids + 4000, codes=[GOOD]),
        )
        self.devices.inbox.append(Frame(b"fresh", "", frames.encode(*messages)))
        self.ids += 1
        self.daemon.turn()
        told = [message for peer, message in self.devices.sent if peer == PLC]
        return any(isinstance(message, Divert) for message in told)


def only(messages: list[AnyMessage], kind: type[AnyMessage]) -> Any:
    [found] = [message for message in messages if isinstance(message, kind)]
    return found


def reason_of(hub: Hub, scan: Scan) -> str:
    """Why the one parcel that this scan is of goes where it is told."""
    hub.say(SCANNER, scan)
    return str(only([message for peer, message in hub.devices.sent if peer == PLC], Divert).reason)
