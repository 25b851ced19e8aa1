"""The loop: receive what has gathered, step, append, send. The only file that knows the order.

Nothing is sent to a PLC, acknowledged or answered before it is on disk. Sockets, journal and
time come in as arguments, so that the same loop runs a hub and a simulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np

from sorter.clients import Client, Clients
from sorter.core.state import acknowledged, clients, next_due_ns, plc_boot
from sorter.ledger.journal import Broken, DiskFull, Journal
from sorter.offers import Offered
from sorter.orders import Orders
from sorter.reasons import REFUSALS, Reason, Refusal
from sorter.records import DECISION, NONE_8, NONE_16, Batch, Role, Rows, SortPlan, Verdict, plan_to_bytes
from sorter.replay import Standing
from sorter.traffic import Traffic, Waiting
from sorter.wire import frames
from sorter.wire.endpoints import Frame
from sorter.wire.frames import AnyMessage, Malformed, Refuse
from sorter.wire.intake import Intake
from sorter.wire.keys import allows

FRAMES_AT_ONCE: Final = 64  # so many whole frames may have to wait in memory for the next batch
FRAMES_PER_TURN_MAX: Final = 32 * FRAMES_AT_ONCE
ANSWERS_PER_TURN: Final = 8192  # pongs and refusals; who asks for more waits
DIVERTS_TOGETHER: Final = 1024  # in one frame; what receives it takes no more than MESSAGES_PER_FRAME_MAX
NOTHING: Final[Rows] = np.zeros(0, DECISION)
_WORDS: Final = tuple(reason.word for reason in Reason)


class Socket(Protocol):
    """A ROUTER, or a simulation's stand-in for one."""

    def receive(self, limit: int) -> list[Frame]:
        """Up to `limit` frames that have arrived; never waits."""

    def send(self, peer: bytes, data: bytes) -> bool:
        """Queue a frame for a peer; False when it is gone. Never waits."""


class Sockets(NamedTuple):
    """Where devices speak and where operators do, and how to wait for either."""

    devices: Socket
    control: Socket
    wait: Callable[[int], bool]  # at most so many milliseconds; True: something arrived


class Clocks(NamedTuple):
    """Site time, which decides, and steady real time, which only measures."""

    now_ns: Callable[[], int]
    real_ns: Callable[[], int]


class Daemon:
    """One hub's decisions. One thread; call `turn` for ever."""

    def __init__(
        self,
        standing: Standing,
        sort_plan: SortPlan,
        journal: Journal,
        sockets: Sockets,
        clocks: Clocks,
        *,
        turn: tuple[int, int] = (0, 0),
    ) -> None:
        """Go on from where a journal left off, with `sort_plan` in force from now; `turn` as in Orders.

        Whatever is on the belt gets its time-out anew: the daemon was away.
        """
        self.traffic = Traffic()
        self._standing = standing
        self._journal = journal
        self._sockets = sockets
        self._clocks = clocks
        self._clients = Clients.known(clients(standing.state), sort_plan.names)
        self._names = sort_plan.names
        self._intake = Intake(sort_plan.names)
        self._orders = Orders(self._intake, standing, self.traffic, turn)
        self._waiting: deque[Waiting] = deque()
        self._heard: dict[int, Client] = {}  # clients with a message in this batch
        self._greeted: list[Client] = []  # clients with a hello in this batch
        self._plc_began: dict[int, int] = {}  # line -> the event of this batch with which its PLC's boot begins
        self._answers: list[tuple[bytes, AnyMessage]] = []  # to devices, once the batch is on disk
        self._arrived_ns = self._looked_ns = clocks.real_ns()
        if standing.sort_plan is None or standing.sort_plan.version != sort_plan.version:
            self._put_in_force(Offered(sort_plan, plan_to_bytes(sort_plan)))
        self._intake.start(self._time_ns())
        self._commit()

    def turn(self, idle_ms: int = 0) -> int:
        """Receive, step, append, send. Returns how many events there were.

        With nothing to receive it waits, at most `idle_ms`. Raises DiskFull, before anything is
        taken, when the journal has no room, and Broken when the disk failed.
        """
        self._orders.put_in_force(self._put_in_force)
        self._journal.reserve()
        self._receive(0 if len(self._intake.batch().events) else idle_ms)
        return self._commit()

    def _commit(self) -> int:
        batch, decisions = self._intake.batch(), NOTHING
        if len(batch.events):
            first_seq = self._standing.next_seq
            decisions = self._standing.take(batch)
            self._append(first_seq, batch, decisions)
            self._send(batch, decisions)
        self._orders.settle(decisions)
        self._answer()
        self._intake.clear()
        return len(batch.events)

    def _append(self, first_seq: int, batch: Batch, decisions: Rows) -> None:
        """On disk when this returns. The core has stepped already, so a full disk here ends the daemon, too."""
        try:
            self._journal.append_batch(first_seq, batch, decisions)
        except DiskFull as error:
            raise Broken(f"{error} What was decided last is not kept: free the disk and start again") from error
        self._journal.sync()

    def _put_in_force(self, offered: Offered) -> None:
        """The plan is journalled and numbered; its event opens the batch, which is empty. Raises DiskFull."""
        number = self._standing.plans_written + 1
        self._journal.append_plan(number, offered.data)
        self._standing.take_plan(number, offered.sort_plan)
        self._names = offered.sort_plan.names
        self._intake.rename(self._names)
        self._intake.plan(number, self._time_ns())

    def _time_ns(self) -> int:
        return max(self._clocks.now_ns(), self._standing.last_t_ns)

    # receive

    def _receive(self, idle_ms: int) -> None:
        self._arrived_ns = self._looked_ns  # what is found now may have come right after the last look
        found = self._gather()
        if not found and idle_ms and self._sockets.wait(idle_ms):
            self._arrived_ns = self._clocks.real_ns()
            self._gather()
        self._looked_ns = self._clocks.real_ns()
        t_ns = self._time_ns()
        if 0 <= next_due_ns(self._standing.state) <= t_ns and not self._waiting and self._intake.room():
            self._intake.tick(t_ns)

    def _gather(self) -> int:
        """Take what has arrived into the batch, as far as there is room; returns how many frames."""
        t_ns = self._time_ns()
        found = 0
        while self._waiting and self._waiting[0].take(self._waiting[0], t_ns):
            self._waiting.popleft()
            found += 1
        for source, take in ((self._sockets.control, self._orders.take), (self._sockets.devices, self._take)):
            while found < FRAMES_PER_TURN_MAX and not self._waiting and len(self._answers) < ANSWERS_PER_TURN:
                arrived = source.receive(FRAMES_AT_ONCE)
                if not arrived:
                    break
                found += len(arrived)
                for frame in arrived:
                    self._hear(frame, take, t_ns)
        return found

    def _hear(self, frame: Frame, take: Callable[[Waiting, int], bool], t_ns: int) -> None:
        self.traffic.frames += 1
        try:
            waiting = Waiting(frame, frames.decode(frame.data), None, take)
        except Malformed as error:
            self.traffic.malformed += 1
            waiting = Waiting(frame, [], error.refuse(), take)
        if self._waiting or not take(waiting, t_ns):
            self._waiting.append(waiting)

    def _take(self, waiting: Waiting, t_ns: int) -> bool:
        """Put a device's frame into the batch; False: there is no room for it."""
        frame = waiting.frame
        if self._intake.room() < max(len(waiting.messages), 1):
            return False
        if waiting.fault:
            self._answers.append((frame.peer, waiting.fault))
            self._use_up(frame, waiting.fault.seq, t_ns)
        for message in waiting.messages:
            refusal = self._take_message(frame, message, t_ns)
            if refusal:
                self.traffic.refused += 1
                self._answers.append((frame.peer, refusal))
        return True

    def _use_up(self, frame: Frame, seq: int | None, t_ns: int) -> None:
        """The number of a message that cannot be read is spent, or all behind it would have to wait for it."""
        client = self._clients.by_peer.get(frame.peer)
        if client and seq:
            self._say(frame, client, frames.Ping(seq=seq), t_ns)

    def _take_message(self, frame: Frame, message: AnyMessage, t_ns: int) -> Refuse | None:
        if isinstance(message, frames.Hello):
            return self._greet(frame, message, t_ns)
        client = self._clients.by_peer.get(frame.peer)
        if isinstance(message, frames.Ping) and not message.seq:
            self._answers.append((frame.peer, frames.Pong(t_ns=message.t_ns)))
            if client:
                client.measure(t_ns, message.t_ns)
            return None
        if client is None:
            return Refuse(error="unknown_client", detail=REFUSALS[Refusal.UNKNOWN_CLIENT].en)
        return self._say(frame, client, message, t_ns)

    def _say(self, frame: Frame, client: Client, message: AnyMessage, t_ns: int) -> Refuse | None:
        denied = allows(frame.key, client.role, client.line_name)
        if denied:
            return denied
        self._heard[client.index] = client
        age_us = client.age_us(t_ns, getattr(message, "t_ns", 0))
        return self._intake.take(message, client.index, client.role, client.line, t_ns, age_us)

    def _greet(self, frame: Frame, hello: frames.Hello, t_ns: int) -> Refuse | None:
        role = frames.ROLES[hello.role]
        index = self._clients.index_for(hello.client)
        if index is None:
            return Refuse(error="clients_full", detail=REFUSALS[Refusal.CLIENTS_FULL].en)
        refusal = allows(frame.key, role, hello.line) or self._intake.hello(hello, index, t_ns)
        if refusal:
            return refusal
        line = self._intake.lines.get(hello.line, NONE_8)
        client = Client(index, hello.client, role, line, hello.line, frame.peer)
        client.measure(t_ns, hello.t_ns)
        self._clients.arrive(client)
        self._greeted.append(client)
        if role == Role.PLC and (line in self._plc_began or plc_boot(self._standing.state, line) != hello.boot):
            self._plc_began[line] = len(self._intake.batch().events) - 1
        return None

    # send

    def _send(self, batch: Batch, decisions: Rows) -> None:
        self._divert(decisions)
        for client in self._greeted:
            seq = acknowledged(self._standing.state, client.index)
            welcome = frames.Welcome(plan=self._standing.plan_number, t_ns=self._standing.last_t_ns, seq=seq)
            self._sockets.devices.send(client.peer, frames.encode(welcome))
        for index, client in self._heard.items():
            ack = frames.Ack(seq=acknowledged(self._standing.state, index))
            self._sockets.devices.send(client.peer, frames.encode(ack))
        self._greeted.clear()
        self._heard.clear()
        self._plc_began.clear()
        self._tell_refusals(batch, decisions)

    def _divert(self, decisions: Rows) -> None:
        """Every chute that was decided goes to its line's PLC, in as few frames as may be.

        What was decided before the PLC's boot began is for nobody: another item has that number now.
        """
        decided = decisions[decisions["verdict"] == Verdict.DIVERT]
        told = decided[decided["chute"] != NONE_16]
        for line in np.unique(told["line"]).tolist():
            of_line = told[told["line"] == line]
            valid = of_line[of_line["event"] > self._plc_began.get(line, -1)]
            self.traffic.unsent += len(of_line) - len(valid)
            diverts = self._diverts(valid)
            plc = self._clients.plc_of.get(line)
            for first in range(0, len(diverts), DIVERTS_TOGETHER):
                together = diverts[first : first + DIVERTS_TOGETHER]
                if plc and self._sockets.devices.send(plc.peer, frames.encode(*together)):
                    self.traffic.diverts += len(together)
                else:
                    self.traffic.unsent += len(together)
        self.traffic.latency.add(np.full(len(decided), self._clocks.real_ns() - self._arrived_ns, np.int64))

    def _diverts(self, rows: Rows) -> list[frames.Divert]:
        names = self._names
        columns = [
            rows[name].tolist()
            for name in ("line", "item", "chute", "alternate", "reason", "row", "plan", "deadline_ns")
        ]
        return [
            frames.Divert(
                line=names.lines[line],
                item=item,
                chute=names.chutes[chute],
                alternate=None if alternate == NONE_16 else names.chutes[alternate],
                reason=_WORDS[reason],
                row=row,
                plan=plan,
                deadline_ns=deadline_ns,
            )
            for line, item, chute, alternate, reason, row, plan, deadline_ns in zip(*columns, strict=True)
        ]

    def _tell_refusals(self, batch: Batch, decisions: Rows) -> None:
        """What the core refused is told to whoever said it.

        A repeat is answered by the acknowledgement alone, and the first gap stands for those behind it.
        """
        refused = decisions[decisions["verdict"] == Verdict.REFUSE]
        told: set[int] = set()
        for event, reason in zip(refused["event"].tolist(), refused["reason"].tolist(), strict=True):
            said, refusal = batch.events[event], Refusal(reason)
            client = self._clients.by_index.get(int(said["client"]))
            if refusal == Refusal.REPEAT or client is None or (refusal == Refusal.GAP and client.index in told):
                continue
            if refusal == Refusal.GAP:
                told.add(client.index)
            refuse = Refuse(error=refusal.word, detail=REFUSALS[refusal].en, seq=int(said["seq"]))
            self._sockets.devices.send(client.peer, frames.encode(refuse))

    def _answer(self) -> None:
        for peer, message in self._answers:
            self._sockets.devices.send(peer, frames.encode(message))
        self._answers.clear()
        for peer, reply in self._orders.replies():
            self._sockets.control.send(peer, frames.encode(reply))
