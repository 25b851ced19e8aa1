"""One line with all its parts in memory, stepped by hand: the PLC, its port, the runner and the daemon."""

from plc_adapter.loopback import LoopbackPort
from plc_adapter.mailbox import HostState, PlcSide, Told
from plc_adapter.runner import Runner
from plc_adapter.standing import Link
from sorter.records import Kind
from sorter.wire.frames import Divert
from tests.plc_adapter.one_line_daemon import OneLineDaemon

MS = 1_000_000
S = 1000 * MS


class Noted:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def entered(self, item: int, t_ns: int, now_ns: int) -> None:
        self.told.append(("entered", item, t_ns, now_ns))

    def left(self, item: int, t_ns: int) -> None:
        self.told.append(("left", item, t_ns))

    def distrust(self, now_ns: int) -> None:
        self.told.append(("distrust", now_ns))

    def missed(self, now_ns: int) -> None:
        self.told.append(("missed", now_ns))

    def began(self, now_ns: int) -> None:
        self.told.append(("began", now_ns))


class Floor:
    """One line with all its parts, stepped by hand. The PLC keeps what its ring has no room for."""

    def __init__(self, epoch: int = 7) -> None:
        self.now_ns = 1_000 * S
        self.plc = PlcSide(epoch)
        self.pending: list[tuple[int, int, int, int]] = []
        self.told: list[Told] = []
        self.daemon = OneLineDaemon(lambda: self.now_ns)
        self.port = LoopbackPort(self.plc, self.told.extend, lambda: self.now_ns)
        self.runner = self.new_runner()
        self.items = 0

    def new_runner(self) -> Runner:
        self.tracker = Noted()
        return Runner("L1", self.daemon.open, tracker=self.tracker)

    def report(self, kind: Kind, item: int, point: int = 101, value: int = 0) -> None:
        self.pending.append((kind, item, point, value))

    def drop(self) -> None:
        self.items += 1
        self.report(Kind.DISCHARGE, self.items)

    def order(self, item: int, in_ms: int = 1000) -> None:
        deadline_ns = self.now_ns + in_ms * MS
        self.daemon.orders.append(Divert(line="L1", item=item, chute=101, reason="no_read", deadline_ns=deadline_ns))

    def trip(self) -> None:
        self.now_ns += 10 * MS
        while self.pending and self.plc.report(*self.pending[0], self.now_ns // MS):
            self.pending.pop(0)
        self.runner.step(self.now_ns, self.port.exchange_now)

    def trips(self, count: int) -> None:
        for _ in range(count):
            self.trip()

    def settle(self) -> None:
        self.daemon.away = False
        self.port.broken = False
        for _ in range(60):
            self.trip()
            self.daemon.sync()


def link_of(floor: Floor) -> Link:
    return floor.runner.link


def host_state_of(floor: Floor) -> HostState:
    return floor.plc.host_state


def met() -> Floor:
    floor = Floor()
    floor.trips(4)
    assert floor.runner.deciding
    assert link_of(floor) is Link.TALKING
    return floor
