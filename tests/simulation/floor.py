"""What stands on the floor: a line's plant and PLC, its scanner and its adapter, each of which may crash alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from plc_adapter.emulator import plant
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.port import Garbled, Late, Unreachable
from plc_adapter.runner import Message, Runner
from sorter.wire import frames
from sorter.wire.frames import Discharge, Divert, Item, Numbered, Ping, Refuse, Scan
from sorter.wire.session import Session
from tests.simulation.network import Connection, Faults, Router
from tests.simulation.place import Place
from tests.simulation.world import MS, NEVER_NS, Alarm, World

POLL_NS: Final = 200 * MS
BUSY_NS: Final = 20 * MS
EPOCH_MASK: Final = (1 << 32) - 1

Record = plant.Entered | plant.Left | plant.Sensed
Key = tuple[str, int, int]
"""Line, epoch of the PLC, number of the item."""


class Said(NamedTuple):
    """A message as a device posted it, and whom it really was about."""

    message: Numbered | Ping
    item: Key | None


class Log:
    """What devices know of their own messages: the measure of what the daemon promised them."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, int, int], Said] = {}  # (client, boot, seq)
        self.acknowledged: dict[tuple[str, int], int] = {}  # (client, boot) -> last seq acknowledged
        self.diverts: list[tuple[int, Divert]] = []  # as they reached an adapter, with the boot it spoke for
        self.refused: list[Refuse] = []
        self.reports: dict[Key, Record] = {}  # line, epoch, number of the report -> what the PLC put into its ring
        self.excused: set[Key] = set()  # reports that died with a PLC or an adapter
        self.untold: set[Key] = set()  # items whose discharge died with a PLC


class Clock:
    """A device's own clock, which may be wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.off_ns = 0

    def now_ns(self) -> int:
        return self._world.now_ns + self.off_ns


class Wire:
    """One boot of a client: a real session on a made-up connection. Also what a Runner needs."""

    def __init__(
        self,
        world: World,
        router: Router,
        faults: Faults,
        clock: Clock,
        log: Log,
        *,
        role: Literal["scanner", "plc"],
        line: str,
        boot: int,
        first: int | None = None,
    ) -> None:
        self.world, self.clock, self.log = world, clock, log
        self.client, self.boot, self.line = f"{role}-{line}", boot, line
        self.session = Session(role=role, client=self.client, line=line, boot=boot, first=first)
        self.alarm = Alarm(world, self.pump)
        self.orders: deque[Divert] = deque()
        self.woken: Alarm | None = None  # whoever takes the orders
        self.is_closed = False
        self._refusals: list[Refuse] = []
        self.connection = Connection(router, faults, self)

    # transport

    def up(self) -> None:
        self.session.connected()
        self.pump()

    def down(self) -> None:
        self.session.disconnected()

    def heard(self, data: bytes) -> None:
        for news in self.session.receive(data, self.world.now_ns):
            if isinstance(news, Divert):
                self.orders.append(news)
                self.log.diverts.append((self.boot, news))
            else:
                self._refusals.append(news)
                self.log.refused.append(news)
        self._note()
        (self.woken or self.alarm).set(self.world.now_ns + MS // 2)

    def pump(self) -> None:
        if self.is_closed or not self.connection.is_up:
            return
        for data in self.session.send(self.world.now_ns, self.clock.now_ns()):
            self.connection.send(data)
        due_ns = self.session.due_ns()
        if due_ns < NEVER_NS:
            self.alarm.set(max(due_ns, self.world.now_ns + MS))

    def _note(self) -> None:
        last = self.session.last
        if last is not None:
            key = (self.client, self.boot)
            self.log.acknowledged[key] = max(self.log.acknowledged.get(key, 0), last)

    # what a runner asks of it

    @property
    def welcomed(self) -> bool:
        return self.session.welcomed

    @property
    def last(self) -> int | None:
        return self.session.last

    @property
    def unacknowledged(self) -> int:
        return self.session.unacknowledged

    def post(self, message: Message | Scan, item: Key | None = None) -> int:
        number = self.session.post(message)
        if isinstance(message, Item | Discharge):
            item = (self.line, self.boot & EPOCH_MASK, message.item)
        self.log.said[self.client, self.boot, number] = Said(message, item)
        self.alarm.set(self.world.now_ns)
        return number

    def poll(self) -> list[Divert]:
        self.pump()
        orders = list(self.orders)
        self.orders.clear()
        return orders

    def tell(self, alarm: frames.Alarm) -> None:
        self.session.tell(alarm)
        self.alarm.set(self.world.now_ns)

    def refusals(self) -> Sequence[Refuse]:
        refusals, self._refusals = self._refusals, []
        return refusals

    def close(self) -> None:
        self.is_closed = True
        self.session.disconnected()
        self.connection.close()


class Program(PlcProgram):
    """The PLC's program; what it reports is also written down for the judge."""

    def __init__(self, belt: plant.Plant, log: Log) -> None:
        super().__init__(belt)
        self._log, self._line = log, belt.belt.name

    def _report(self, record: Record) -> None:
        super()._report(record)
        self._log.reports[self._line, self._side.epoch, self._side.head] = record

    def restart(self) -> None:
        """Lose power for a moment: what the host did not acknowledge is forgotten, and so are the items."""
        epoch, side = self.plant.epoch, self._side
        self._log.excused |= {(self._line, epoch, number) for number in range(side.tail + 1, side.head + 1)}
        waiting = [record.item for record in self.plant.plc if isinstance(record, plant.Left)]
        self._log.untold |= {(self._line, epoch, item) for item in waiting}
        self.plant.restart()


class Line:
    """One line with everything on it."""

    def __init__(
        self,
        world: World,
        router: Router,
        faults: Faults,
        log: Log,
        *,
        here: Place,
        name: str,
    ) -> None:
        parcels = here.parcels[name]
        self.world, self.log, self.name, self.parcels = world, log, name, parcels
        self.plant = plant.Plant(
            here.belts[name],
            here.chutes[name],
            plant.Load([parcel.arrive_ns for parcel in parcels], [1] * len(parcels)),
            world.seed,
            chances=plant.Chances(
                missed_share=0.04, jam_share=0.02, jam_s=(3.0, 10.0), wait_s=(2.0, 6.0), change_s=(2.0, 5.0)
            ),
            start_ns=world.now_ns,
            epoch=world.chance.randint(1, 1 << 20),
        )
        self.program = Program(self.plant, log)
        self.no_read_share = 0.05
        self.restarts = self.crashes = 0
        self.port_fails_share = 0.0
        self.cable_out_until_ns = 0
        self.scanner_clock, self.adapter_clock = Clock(world), Clock(world)
        self._router, self._faults = router, faults
        self._belt = Alarm(world, self.move)
        self._polling = Alarm(world, self._exchange)
        self.scanner: Wire | None = None
        self.runner: Runner | None = None
        self.wire: Wire | None = None
        self._start_scanner()
        self._start_adapter()
        self._belt.set(self.plant.next_ns())

    # the belt

    def move(self) -> None:
        """Let the belt come up to now; what the scanner read goes on its way."""
        self.program.cycle(self.world.now_ns, self.world.now_ns)
        self._scan()
        self._belt.set(self.plant.next_ns())

    def _scan(self) -> None:
        for scan in self.plant.scans:
            parcel = self.parcels[scan.parcel]
            if self.scanner:
                codes = [] if self.world.happens(self.no_read_share) else list(parcel.codes)
                message = Scan(seq=0, item=scan.item, codes=codes, weight_g=parcel.weight_g, lap=scan.lap)
                message.t_ns = scan.t_ns + self.scanner_clock.off_ns
                self.scanner.post(message, (self.name, self.plant.epoch, scan.item))
        self.plant.scans.clear()

    def restart_plc(self) -> None:
        """The PLC loses power for a moment: its items and what it had not told are forgotten."""
        self.move()
        self.restarts += 1
        self.program.restart()
        self.move()

    # the scanner

    def _start_scanner(self) -> None:
        boot = self.world.chance.getrandbits(60)
        self.scanner = Wire(
            self.world,
            self._router,
            self._faults,
            self.scanner_clock,
            self.log,
            role="scanner",
            line=self.name,
            boot=boot,
        )

    def crash_scanner(self, for_ns: int) -> None:
        """The scanner loses power: what is not acknowledged is gone."""
        if self.scanner:
            self.crashes += 1
            self.scanner.close()
            self.scanner = None
            self.world.after(for_ns, self._start_scanner)

    # the adapter

    def _start_adapter(self) -> None:
        self.runner = Runner(self.name, self._open_wire)
        self._polling.set(self.world.now_ns)

    def _open_wire(self, boot: int, first: int) -> Wire:
        self.wire = Wire(
            self.world,
            self._router,
            self._faults,
            self.adapter_clock,
            self.log,
            role="plc",
            line=self.name,
            boot=boot,
            first=first,
        )
        self.wire.woken = self._polling
        return self.wire

    def crash_adapter(self, for_ns: int) -> None:
        """The adapter is killed: what only it knew is gone."""
        if self.runner:
            self.crashes += 1
            self.log.excused |= set(self._only_here(self.runner))
            self.runner.close()
            self.runner = self.wire = None
            self._polling.clear()
            self.world.after(for_ns, self._start_adapter)

    def _only_here(self, runner: Runner) -> list[Key]:
        """Reports that the PLC has forgotten already and the daemon may not have."""
        host = runner.host
        held = [(read.start.epoch, read.number) for read in runner._reads]
        if self.wire:
            boot, last = self.wire.boot, self.wire.last or 0
            held += [
                (boot & EPOCH_MASK, seq)
                for client, at, seq in self.log.said
                if client == self.wire.client and at == boot and seq > last
            ]
        return [
            (self.name, epoch, number) for epoch, number in held if epoch != host.epoch or number <= host.acknowledged
        ]

    def _exchange(self) -> None:
        if self.runner is None:
            return
        self.runner.step(self.adapter_clock.now_ns(), self._carry)
        self.move()
        waits = self.runner.busy or (self.wire and self.wire.orders)
        self._polling.set(self.world.now_ns + (BUSY_NS if waits else POLL_NS))

    def _carry(self, out: bytes) -> bytes:
        """One exchange over a cable that may fail before, after or within it."""
        now_ns = self.world.now_ns
        if now_ns < self.cable_out_until_ns:
            raise Unreachable("the cable is out")
        failing = self.world.chance.choice([1, 2, 3]) if self.world.happens(self.port_fails_share) else 0
        if failing == 1:
            raise Late("the request got lost")
        self.program.write(out, now_ns, now_ns)
        block = self.program.read(now_ns, now_ns)
        if failing == 2:
            raise Late("the answer got lost")
        if failing == 3:
            raise Garbled("the answer was cut short")
        return block

    # the end of the day

    @property
    def is_quiet(self) -> bool:
        """All dropped, and all told to the daemon's disk."""
        quiet = self.scanner and self.runner and self.plant.done and not self.program.unread
        return bool(quiet) and not self.scanner.unacknowledged and not self.runner.unacknowledged  # type: ignore[union-attr] # `quiet` has looked
