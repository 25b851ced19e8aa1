"""The hub's staff at the control address: advices, locks, intercepts, departures, questions and nonsense."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from sorter.records import SortPlan, plan_to_bytes
from sorter.wire import frames
from sorter.wire.frames import Command, Reply
from tests.simulation.network import Connection, Faults, Router
from tests.simulation.place import EXCEPTIONS, LANES, Place
from tests.simulation.world import MS, SECOND, World

PATIENCE_NS: Final = 3 * SECOND
ROWS_AT_ONCE: Final = 30
NONSENSE: Final = (
    Command(id=0, verb="chute.lock", args={"chute": 9999}),
    Command(id=0, verb="chute.lock", args={"chute": "eleven"}),
    Command(id=0, verb="trip.send", args={}),
    Command(id=0, verb="intercept.add", args={"waybills": []}),
    Command(id=0, verb="advice.load", args={"rows": [["SF00000000"], 7, None]}),
    Command(id=0, verb="plan.offer", args={"digest": "00", "at": 0, "part": b"no plan"}),
    Command(id=0, verb="plan.publish", args={"version": "", "turn": [99, 0]}),
    Command(id=0, verb="fly"),
)


class Operator:
    """One person who asks one thing at a time, and again when nothing is answered."""

    def __init__(self, world: World, router: Router, faults: Faults, place: Place) -> None:
        self.world = world
        self.loaded: list[str] = []  # waybills whose advice was answered with ok
        self.answered = 0
        self._place = place
        self._queue: deque[tuple[Command, Callable[[Reply], None]]] = deque()
        self._asked_id = 0
        self._asked_ns = 0
        self.connection = Connection(router, faults, self)
        rows = [parcel.advice for parcels in place.parcels.values() for parcel in parcels if parcel.advice]
        for first in range(0, len(rows), ROWS_AT_ONCE):
            self._load(rows[first : first + ROWS_AT_ONCE])

    # orders

    def act(self) -> None:
        """Order something at random."""
        chance, names = self.world.chance, self._place.sort_plans[0].names
        chute = chance.choice(names.chutes)
        parcel = chance.choice(self._place.parcels[chance.choice(names.lines)])
        orders: list[tuple[str, dict[str, Any]]] = [
            ("chute.lock", {"chute": chute}),
            ("chute.unlock", {"chute": chute}),
            ("chute.change", {"chute": chute}),
            ("intercept.add", {"waybills": [parcel.waybill]}),
            ("intercept.remove", {"waybills": [parcel.waybill, "junk"]}),
            ("trip.send", {"lane": chance.choice(LANES[:EXCEPTIONS])}),
        ]
        self.ask(*chance.choice(orders))

    def publish(self, sort_plan: SortPlan, turn: int) -> None:
        """Hand a plan over; what a kill loses of it the next start reads for itself."""
        data = plan_to_bytes(sort_plan)
        digest = hashlib.sha256(data).hexdigest()
        self.ask("plan.offer", {"digest": digest, "at": 0, "part": data})
        self.ask("plan.publish", {"version": sort_plan.version, "turn": [turn, 0]})

    def talk_nonsense(self) -> None:
        """Order what cannot be."""
        chosen = self.world.chance.choice(NONSENSE)
        self.ask(chosen.verb, chosen.args)

    def look(self) -> None:
        """Ask for the status and add it up."""
        self.ask("status", {}, self._add_up)

    def tidy(self) -> None:
        """At the end of the day every chute is unlocked and gets a new bag."""
        for chute in self._place.sort_plans[0].names.chutes:
            self.ask("chute.unlock", {"chute": chute})
            self.ask("chute.change", {"chute": chute})

    @property
    def is_quiet(self) -> bool:
        """Everything was answered."""
        return not self._queue

    def ask(self, verb: str, args: dict[str, Any], then: Callable[[Reply], None] = lambda _reply: None) -> None:
        """Put a command behind those that wait for an answer."""
        self._queue.append((Command(id=0, verb=verb, args=args), then))
        if len(self._queue) == 1:
            self._send()

    def _load(self, rows: list[list[object]]) -> None:
        def note(reply: Reply) -> None:
            if not reply.ok or reply.result["accepted"] != len(rows):
                self.world.violated(f"{len(rows)} good advices were answered with {reply}")
            self.loaded.extend(str(row[0]) for row in rows)

        self.ask("advice.load", {"rows": rows, "by": "Li"}, note)

    def _add_up(self, reply: Reply) -> None:
        told = reply.result
        if told["inducted"] != sum(told["ended"].values()) + told["on_belt"]:
            self.world.violated(f"the status does not add up: {told}")

    # transport

    def up(self) -> None:
        self._send()

    def down(self) -> None:
        """The answer may be lost: it is asked for again."""

    def heard(self, data: bytes) -> None:
        for message in frames.decode(data):
            if isinstance(message, Reply) and message.id == self._asked_id and self._queue:
                _, then = self._queue.popleft()
                self.answered += 1
                then(message)
                self._asked_id += 1
                self.world.after(self.world.between(MS, 20 * MS), self._send)

    def _send(self) -> None:
        if self._queue and self.connection.is_up:
            command, _ = self._queue[0]
            if self._asked_id == 0:
                self._asked_id = 1
            command.id = self._asked_id
            self.connection.send(frames.encode(command))
            self._asked_ns = self.world.now_ns
            self.world.after(PATIENCE_NS, self._send_again)

    def _send_again(self) -> None:
        if self.world.now_ns - self._asked_ns >= PATIENCE_NS:
            self._send()
