"""One line: the PLC's reports become numbered messages on the wire, the daemon's diverts become orders.

`Runner` does it without sockets, clocks or waiting, so that a simulation can step it; `drive`
puts it between a real port and a real wire.

A report keeps its number from the PLC to the daemon's disk, and the PLC's epoch is the boot of
the wire. Its place in the PLC's ring is given back when it is on disk; only when more than half
of the ring waits for that does the wire's outbox answer for the reports, so that a slow or dead
daemon never stops a PLC.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple, Protocol

from plc_adapter.mailbox import RING, SILENT_NS, HostSide, HostState, Order, Report, WordOrder
from plc_adapter.port import Cause, Port, PortError, Refused
from plc_adapter.standing import Alarms, Counts, Link
from sorter.clock import Clock
from sorter.reasons import Reason
from sorter.records import NONE_16, ChuteState, Kind
from sorter.records import Discharge as Discharged
from sorter.wire.frames import Alarm, Chute, Discharge, Divert, Item, Ping, Refuse
from sorter.wire.session import OutboxFull

DIVERTS_MAX: Final = 1024  # more wait only when the PLC takes none; the oldest is given up
HOLD: Final = RING // 2
READS_MAX: Final = 4096  # reports that wait for the wire; an honest PLC waits long before
FILL_MAX: Final = 1 << 16  # numbers that nobody will send; beyond that a new boot is shorter
FILL_AT_ONCE: Final = 256  # of them at a time: other lines wait for it
NS_PER_MS: Final = 1_000_000
RETRY_S: Final = 0.1  # between attempts to reach a PLC
RIVAL_SILENT_S: Final = 1.0  # an adapter writes far more often: after that nobody drives the PLC
STAND_BY_S: Final = 30.0  # the same, where nobody can see whether another adapter writes
PAUSE_S: Final = 0.0015  # between looks for diverts
PAUSES_MIN: Final = 2  # between exchanges that had little to carry
FLUSH_S: Final = 2.0  # how long a stopping adapter waits for the daemon's disk

_REASONS: Final = {reason.word: int(reason) for reason in Reason}
_OUTCOMES: Final[tuple[Literal["dropped", "passed", "lost"], ...]] = ("dropped", "passed", "lost")
_STATES: Final[tuple[Literal["open", "full", "blocked", "changing"], ...]] = ("open", "full", "blocked", "changing")

assert tuple(outcome.name.lower() for outcome in Discharged) == _OUTCOMES
assert tuple(state.name.lower() for state in ChuteState if state != ChuteState.LOCKED) == _STATES

_ANOTHER: Final = (
    "another adapter speaks to the daemon for this line's PLC: it has reports on disk that were not read here; "
    "let only one plc-adapter run for a line"
)

Message = Item | Discharge | Chute | Ping


class Wire(Protocol):
    """What a runner needs of a client of the daemon: one boot of it. Nothing here waits.

    Once the daemon has welcomed it, `post` numbers from `last` + 1. When the daemon knows the boot,
    but not all numbers before `first`, there is no welcome but the refusal `forgotten`.
    """

    @property
    def welcomed(self) -> bool:
        """Whether the daemon knows this connection, as of the last call."""

    @property
    def unacknowledged(self) -> int:
        """How many messages are not known to be on the daemon's disk."""

    @property
    def last(self) -> int | None:
        """The last number of this boot that is known to be on the daemon's disk; None: not welcomed yet."""

    def post(self, message: Message) -> int:
        """Number a message and queue it. Raises OutboxFull."""

    def poll(self) -> list[Divert]:
        """Send what is due, receive what has come."""

    def tell(self, alarm: Alarm) -> None:
        """Queue an alarm for the next `poll`."""

    def refusals(self) -> Sequence[Refuse]:
        """What the daemon refused since the last call."""

    def close(self) -> None:
        """Close it; what is not acknowledged is dropped."""


class Tracker(Protocol):
    """Who follows the items of a line."""

    def entered(self, item: int, t_ns: int, now_ns: int) -> None:
        """The PLC counted an item at `t_ns`."""

    def left(self, item: int, t_ns: int) -> None:
        """The item dropped or got lost."""

    def distrust(self, now_ns: int) -> None:
        """The PLC was away: what comes may be old."""

    def missed(self, now_ns: int) -> None:
        """Reports are missing: what is on the belt is not all known."""

    def began(self, now_ns: int) -> None:
        """The PLC is met for the first time, or has started again and forgotten its items."""


OpenWire = Callable[[int, int], Wire]
"""(boot, first number that follows) -> a wire."""


class Start(NamedTuple):
    """One start of the PLC. Its reports, and the diverts they bring, mean nothing in another."""

    epoch: int
    reused: int  # how often it had begun again in an epoch that it had used


class Read(NamedTuple):
    """A report, ready for the wire."""

    start: Start
    number: int
    message: Message


class Runner:
    """Between one PLC's mailbox and one wire: `out`, exchange, `take` or `failed`, `talk`, again.

    `silent_ns` is how much site time may pass without a new heartbeat of the PLC.
    """

    def __init__(
        self,
        line: str,
        open_wire: OpenWire,
        *,
        word_order: WordOrder = "big",
        silent_ns: int = SILENT_NS,
        tracker: Tracker | None = None,
    ) -> None:
        self.line = line
        self.host = HostSide(word_order)
        self.counts = Counts()
        self.error = ""  # why the PLC is away; empty when it is not
        self.ousted = False  # another adapter drives the line: no exchange until `come_back`
        self.refusals: deque[Refuse] = deque(maxlen=16)
        self._open_wire = open_wire
        self._tracker = tracker
        self._silent_ns = silent_ns
        self._wire: Wire | None = None
        self._plc_start = Start(0, 0)  # the PLC's last, also while it is met anew
        self._start = Start(0, 0)  # the one that `_wire` speaks for
        self._generation = 0  # how often numbers began anew in its epoch
        self._posted = 0  # number of the last report that the wire has
        self._settled = False  # `_posted` agrees with what the daemon has on disk
        self._reads: deque[Read] = deque()  # not handed to the wire yet
        self._diverts: deque[Divert] = deque()
        self._silent = False
        self._returns = False  # what came while another adapter drove the PLC is not known here
        self._carried = 0
        self._alarms = Alarms()
        self._now_ns = 0

    @property
    def link(self) -> Link:
        """How it stands with its PLC."""
        if self.error:
            return Link.AWAY
        if not self.host.ready:
            return Link.MEETING
        return Link.SILENT if self._silent else Link.TALKING

    @property
    def deciding(self) -> bool:
        """Whether there is a daemon that knows the PLC's epoch."""
        return self._current and self._wire is not None and self._wire.welcomed

    @property
    def _current(self) -> bool:
        return self._settled and self._start == self._plc_start

    @property
    def unacknowledged(self) -> int:
        """Messages that are not known to be on the daemon's disk."""
        return len(self._reads) + (0 if self._wire is None else self._wire.unacknowledged)

    @property
    def busy(self) -> bool:
        """Whether more is likely to wait: the last exchange carried much, or orders have room."""
        return self._carried >= HOLD or (bool(self._diverts) and self.host.room > 0 and not self._silent)

    def step(self, now_ns: int, exchange: Callable[[bytes], bytes]) -> bool:
        """One whole round without an event loop, and without standing by; whether the PLC was reached."""
        if self.ousted:
            self.come_back()
        try:
            self.take(exchange(self.out(now_ns)), now_ns)
        except PortError as error:
            self.failed(error, now_ns)
            return False
        finally:
            self.talk()
        return True

    def out(self, now_ns: int) -> bytes:
        """The block to write to the PLC now, with what the last `talk` brought."""
        self._now_ns = now_ns
        self._acknowledge()
        self._carried = self._give(now_ns)
        return self.host.block(now_ns, HostState.DECIDING if self.deciding else HostState.AWAY)

    def take(self, block: bytes, now_ns: int) -> None:
        """The PLC's block as read. Raises Garbled and Refused."""
        host = self.host
        void, lost = host.void, host.lost
        reports = host.receive(block, now_ns)
        was_away, self.error = bool(self.error), ""
        self.counts.exchanges += 1
        self.counts.void += host.void - void
        self._silent = host.silent_ns(now_ns) > self._silent_ns
        if Start(host.epoch, host.reused) != self._plc_start:
            self._begin(now_ns)
        elif self._tracker and (host.lost != lost or self._returns):
            self._tracker.missed(now_ns)
        elif self._tracker and was_away:
            self._tracker.distrust(now_ns)
        self._returns = False
        for report in reports:
            message = self._message(report, now_ns)
            self._keep(Read(self._plc_start, report.number, message))
            self._track(message, now_ns)
        self.counts.reports += len(reports)
        self._carried += len(reports)
        self.counts.laden += self._carried > 0
        self._follow_start()
        self._post()

    def _begin(self, now_ns: int) -> None:
        """The PLC has started: what was decided for its items before is for nobody now."""
        before, self._plc_start = self._plc_start, Start(self.host.epoch, self.host.reused)
        self.counts.epochs += 1
        self.counts.reused += self._plc_start.reused - before.reused
        self.counts.void += len(self._diverts)
        self._diverts.clear()
        if self._tracker:
            self._tracker.began(now_ns)

    def _keep(self, read: Read) -> None:
        self._reads.append(read)
        if len(self._reads) > READS_MAX:
            given_up = self._reads.popleft()
            self.counts.lost += given_up.start != self._start  # of this one, its number is made up for and counted

    def _track(self, message: Message, now_ns: int) -> None:
        if self._tracker is None:
            return
        if isinstance(message, Item):
            self._tracker.entered(message.item, message.t_ns, now_ns)
        elif isinstance(message, Discharge) and message.outcome != "passed":
            self._tracker.left(message.item, message.t_ns)

    def failed(self, error: PortError, now_ns: int) -> None:
        """An exchange failed."""
        self._now_ns = now_ns
        self.error = str(error)
        self.counts.errors += 1
        self._carried = 0
        if error.cause is Cause.OUSTED:
            self._give_way()

    def _give_way(self) -> None:
        """Let go of the line as an adapter that ended would: what is not on disk is the other's to tell."""
        self.ousted = True
        self._reads.clear()
        self._diverts.clear()
        self._start = Start(0, 0)
        self._settled = False
        self.close()

    def come_back(self) -> None:
        """Meet the PLC anew: nobody else drives it now. What came meanwhile is not known here."""
        self.ousted = False
        self._returns = True
        self.host.forget()

    def talk(self) -> None:
        """Bring the wire up to date: what was read goes out, diverts come in. Nothing while another drives."""
        if self.ousted:
            return
        self._alarms.look(self.link, self.host.line_state, self.counts, self._now_ns)
        self._follow_start()
        self._post()
        wire = self._wire
        if wire is None:
            return
        for alarm in self._alarms.due(self._now_ns, welcomed=wire.welcomed):
            wire.tell(alarm)
        self._queue(wire.poll())
        if self._settled and wire.last is not None and wire.last > self._posted:
            self.failed(Refused(_ANOTHER, Cause.OUSTED), self._now_ns)
            return
        self._settle(wire.last)
        self._post()
        for refusal in wire.refusals():
            self.counts.refused += 1
            self.refusals.append(refusal)
            if refusal.error == "forgotten":
                self._open(1)  # the first number that an adapter ever gave in this epoch

    def close(self) -> None:
        """Let go of the wire."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _follow_start(self) -> None:
        """Speak for the start that is read, once all of the one before is on disk."""
        start = self._reads[0].start if self._reads else self._plc_start
        if not self.host.ready or start == self._start or (self._wire is not None and self._wire.unacknowledged):
            return
        self._generation = self._generation + 1 if start.epoch == self._start.epoch else 0
        self._start = start
        self._open(self._reads[0].number if self._reads else self.host.acknowledged + 1)

    def _open(self, first: int) -> None:
        self.close()
        self._settled = False
        self._wire = self._open_wire(self._generation << 32 | self._start.epoch, first)

    def _settle(self, last: int | None) -> None:
        """Go on where the daemon's disk ends, which the PLC may not have heard of."""
        if self._settled or last is None:
            return
        start = self._reads[0].number - 1 if self._reads else self.host.acknowledged
        if self._start == self._plc_start and self.host.ready and last > self.host.read:
            # The daemon knows numbers that this PLC never gave: it forgot its epoch. To take its
            # reports for repeats would swallow them all.
            self.counts.reused += 1
        elif start - last <= FILL_MAX:
            self._posted = last
            self._settled = True
            return
        self._generation += 1
        self._open(start + 1)

    def _post(self) -> None:
        wire = self._wire
        if wire is None or not self._settled:
            return
        with contextlib.suppress(OutboxFull):  # the PLC keeps what there is no room for
            while self._reads and self._reads[0].start == self._start and self._fill(wire, self._reads[0].number - 1):
                read = self._reads[0]
                if read.number > self._posted:
                    self._posted = wire.post(read.message)
                    assert self._posted == read.number
                else:
                    self.counts.repeats += 1
                self._reads.popleft()

    def _fill(self, wire: Wire, until: int) -> bool:
        """Make up for numbers that nobody will ever send, which would hold back all behind them; False: not all yet."""
        if until - self._posted > FILL_MAX:
            if not wire.unacknowledged:
                self.counts.lost += until - self._posted
                self._generation += 1
                self._open(until + 1)
            return False
        for _ in range(min(until - self._posted, FILL_AT_ONCE)):
            self._posted = wire.post(Ping(seq=self._posted + 1))
            self.counts.lost += 1
        return self._posted >= until

    def _queue(self, diverts: list[Divert]) -> None:
        if self._start != self._plc_start:
            self.counts.void += len(diverts)
            return
        self._diverts.extend(diverts)
        while len(self._diverts) > DIVERTS_MAX:
            self._diverts.popleft()
            self.counts.overflow += 1

    def _give(self, now_ns: int) -> int:
        """Fill the ring with orders that are still in time; how many."""
        if self._silent:
            return 0
        given = 0
        while self._diverts and self.host.room:
            divert = self._diverts.popleft()
            if divert.deadline_ns - now_ns < NS_PER_MS:
                self.counts.stale += 1
                continue
            alternate = NONE_16 if divert.alternate is None else divert.alternate
            reason = _REASONS.get(divert.reason, NONE_16)
            self.host.give(Order(divert.item, divert.chute, alternate, divert.deadline_ns, reason))
            given += 1
        self.counts.orders += given
        return given

    def _acknowledge(self) -> None:
        wire, host = self._wire, self.host
        if wire is None or not self._current or not host.ready:
            return
        on_disk = self._posted - wire.unacknowledged
        enough = host.read - on_disk <= HOLD
        host.acknowledge(min(on_disk if enough else self._posted, host.read))

    def _message(self, report: Report, now_ns: int) -> Message:
        number, kind, item, point, value, age_ms = report
        t_ns = max(now_ns - age_ms * NS_PER_MS, 0)
        if kind == Kind.ITEM:
            return Item(seq=number, item=item, induct=point, t_ns=t_ns)
        if kind == Kind.DISCHARGE and value < len(_OUTCOMES):
            chute = None if point == NONE_16 else point
            return Discharge(seq=number, item=item, chute=chute, outcome=_OUTCOMES[value], t_ns=t_ns)
        if kind == Kind.CHUTE and value < len(_STATES) and point != NONE_16:
            return Chute(seq=number, chute=point, state=_STATES[value], t_ns=t_ns)
        self.counts.unknown += 1
        return Ping(seq=number)


async def drive(runner: Runner, port: Port, orders: Port, clock: Clock, *, poll_ns: int, stop: asyncio.Event) -> None:
    """Exchange with the PLC until `stop` is set, then wait for the daemon's disk.

    `orders` reads the block that adapters write, to see whether one does. What to do is decided above; this
    waits: `poll_ns` of site time when there is nothing to do, PAUSE_S when a divert has come, and not at all
    while there is traffic.
    """
    task = asyncio.current_task()
    pauses = max(round(clock.real_s(poll_ns) / PAUSE_S), PAUSES_MIN)
    while not stop.is_set():
        if runner.ousted:
            await port.close()
            await _stand_by(orders, stop)
            if stop.is_set():
                break
            runner.come_back()
        reached = await _round(runner, port, clock)
        if task is not None and task.cancelling():
            raise asyncio.CancelledError  # which asyncio.wait_for of 3.11 loses when the answer comes with it
        if not reached:
            await asyncio.sleep(RETRY_S)
        for _ in range(pauses):
            if runner.busy:
                break
            runner.talk()
            await asyncio.sleep(PAUSE_S)
    await _flush(runner)
    await port.close()
    runner.close()


async def _stand_by(orders: Port, stop: asyncio.Event) -> None:
    """Until no adapter writes to the PLC any more."""
    written, since_s = b"", time.monotonic()
    while not stop.is_set():
        await asyncio.sleep(RETRY_S)
        patience_s = RIVAL_SILENT_S
        try:
            await orders.connect()
            block = await orders.read()
        except PortError:
            block, patience_s = written, STAND_BY_S
        if block != written:  # each write is a heartbeat
            written, since_s = block, time.monotonic()
        elif time.monotonic() - since_s >= patience_s:
            break
    await orders.close()


async def _round(runner: Runner, port: Port, clock: Clock) -> bool:
    try:
        await port.connect()
        exchange = asyncio.create_task(port.exchange(runner.out(clock.now_ns())))
        await asyncio.sleep(0)  # the request is on its way: talk while the PLC answers
        runner.talk()
        answer = await exchange
        if runner.ousted:
            return False
        runner.take(answer, clock.now_ns())
    except PortError as error:
        runner.failed(error, clock.now_ns())
        runner.talk()
        return False
    return True


async def _flush(runner: Runner) -> None:
    for _ in range(round(FLUSH_S / PAUSE_S)):
        if not runner.unacknowledged:
            return
        runner.talk()
        await asyncio.sleep(PAUSE_S)
