"""What operators and programs may order of a running daemon, and what they get back.

An order that changes something becomes events like a scan does, and is answered when they are
on disk. A question is answered from the state as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from sorter import limits
from sorter.core import state as core
from sorter.ledger.journal import DiskFull
from sorter.offers import Offered, Offers
from sorter.reasons import REFUSALS, Refusal
from sorter.records import NONE_8, ChuteState, Role, Rows, SortPlan, Verb, Verdict
from sorter.replay import Standing
from sorter.traffic import Traffic, Waiting
from sorter.wire.endpoints import Frame
from sorter.wire.frames import AnyMessage, Command, Refuse, Reply
from sorter.wire.intake import Intake
from sorter.wire.keys import allows

CHUTE_VERBS: Final = {"chute.lock": Verb.LOCK, "chute.unlock": Verb.UNLOCK, "chute.change": Verb.CHANGE}
INTERCEPT_VERBS: Final = {"intercept.add": Verb.INTERCEPT_ADD, "intercept.remove": Verb.INTERCEPT_REMOVE}
ROWS_MAX: Final = 4096
TOO_MANY: Final = Refuse(error="too_many", detail=f"one frame may hold {ROWS_MAX} values; send the others in another")

assert ROWS_MAX <= limits.BATCH_CODES_MAX // limits.CODES_PER_SCAN_MAX  # else a frame may wait for room for ever


class Fault(NamedTuple):
    """Why one value of an order was refused."""

    place: int  # in the order's own list
    error: str
    detail: str


class Done(NamedTuple):
    """What became of an order's values."""

    places: list[int]  # for each event put into the batch, its value's place in the order's own list
    refused: list[Fault]


Act = Done | Refuse


class Pending(NamedTuple):
    """An order whose events are in the batch, to be answered when they are on disk."""

    peer: bytes
    id: int
    first: int  # index of its first event in the batch
    places: list[int]
    refused: list[Fault]


class Orders:
    """The control socket's side of the daemon."""

    def __init__(self, intake: Intake, standing: Standing, traffic: Traffic, turn: tuple[int, int]) -> None:
        """`turn` is that of the plan in force: when the history's last act was noted, and from when the plan holds."""
        self._intake, self._standing, self._traffic = intake, standing, traffic
        self._pending: list[Pending] = []
        self._replies: list[tuple[bytes, Reply]] = []
        self._t_ns = 0  # of the last frame
        self._told: dict[str, dict[str, Any]] = {}  # answers of this turn
        self._offers = Offers()
        self._turn = turn
        self._published: tuple[bytes, int, Offered] | None = None  # who ordered it, and the plan that is to take force
        self._accepted: SortPlan | None = None  # the last of these; in force when its batch is stepped
        self._answers: dict[str, Callable[[], dict[str, Any]]] = {
            "status": self._status,
            "plan": self._plan,
            "plan.version": self._version,
        }
        self._plans = {"plan.offer": self._offer, "plan.publish": self._publish}
        self._acts: dict[str, Callable[[dict[str, Any], int], Act]] = {
            "advice.load": self._advice,
            "trip.send": self._trip,
            **{word: partial(self._chute, verb) for word, verb in CHUTE_VERBS.items()},
            **{word: partial(self._intercept, verb) for word, verb in INTERCEPT_VERBS.items()},
        }

    def take(self, waiting: Waiting, t_ns: int) -> bool:
        """Answer a frame of the control socket or put its orders into the batch; False: there is no room."""
        self._t_ns = t_ns
        events = sum(map(_events_in, waiting.messages))
        if events > ROWS_MAX:
            for message in waiting.messages:
                self._refuse(waiting.frame.peer, getattr(message, "id", 0), TOO_MANY)
            return True
        if self._intake.room() < events:
            return False
        if waiting.fault:
            self._refuse(waiting.frame.peer, 0, waiting.fault)
        for message in waiting.messages:
            fault = self._obey(waiting.frame, message, t_ns)
            if fault:
                self._refuse(waiting.frame.peer, getattr(message, "id", 0), fault)
        return True

    def put_in_force(self, force: Callable[[Offered], None]) -> None:
        """Let the plan that waits open the next batch; its order is answered when that is on disk."""
        if self._published is None:
            return
        peer, number, offered = self._published
        self._published = None
        try:
            force(offered)
        except DiskFull as error:
            self._accepted = None
            self._refuse(peer, number, Refuse(error="disk_full", detail=str(error)))
        else:
            self._pending.append(Pending(peer, number, 0, [0], []))

    def settle(self, decisions: Rows) -> None:
        """The batch is on disk: answer every order in it, with what the core refused of it."""
        refused = decisions[decisions["verdict"] == Verdict.REFUSE]
        reasons = dict(zip(refused["event"].tolist(), refused["reason"].tolist(), strict=True))
        for peer, number, first, places, wrong in self._pending:
            missed = [(place, Refusal(reasons[event])) for event, place in enumerate(places, first) if event in reasons]
            wrong += [Fault(place, refusal.word, REFUSALS[refusal].en) for place, refusal in missed]
            result = {"accepted": len(places) - len(missed), "refused": [fault._asdict() for fault in sorted(wrong)]}
            self._replies.append((peer, Reply(id=number, ok=True, result=result)))
        self._pending.clear()

    def replies(self) -> list[tuple[bytes, Reply]]:
        """The answers that may go out now, each once."""
        ready, self._replies = self._replies, []
        self._told.clear()
        return ready

    def _obey(self, frame: Frame, message: AnyMessage, t_ns: int) -> Refuse | None:
        if not isinstance(message, Command):
            word = type(message).__name__.lower()
            return Refuse(error="wrong_role", detail=f"commands are taken here; {word} belongs to the devices address")
        return allows(frame.key, Role.CONTROL) or self._carry_out(frame.peer, message, t_ns)

    def _carry_out(self, peer: bytes, message: Command, t_ns: int) -> Refuse | None:
        verb = message.verb
        if verb in self._answers:
            self._replies.append((peer, Reply(id=message.id, ok=True, result=self._answer(verb))))
            return None
        if verb in self._plans:
            return self._plans[verb](peer, message)
        if verb not in self._acts:
            known = ", ".join([*self._answers, *self._plans, *self._acts])
            return Refuse(error="unknown_verb", detail=f'there is no verb "{verb}"; there are {known}')
        first = len(self._intake.batch().events)
        done = self._acts[verb](message.args, t_ns)
        if isinstance(done, Refuse):
            return done
        self._pending.append(Pending(peer, message.id, first, *done))
        return None

    def _answer(self, verb: str) -> dict[str, Any]:
        """Worked out once a turn, however many ask: until the batch is stepped the state stands still."""
        if verb not in self._told:
            self._told[verb] = self._answers[verb]()
        return self._told[verb]

    def _refuse(self, peer: bytes, number: int, fault: Refuse) -> None:
        self._traffic.refused += 1
        self._replies.append((peer, Reply(id=number, ok=False, error=fault.error, detail=fault.detail)))

    # a new plan

    def _offer(self, peer: bytes, message: Command) -> Refuse | None:
        kept = self._offers.part(message.args)
        if isinstance(kept, Refuse):
            return kept
        self._replies.append((peer, Reply(id=message.id, ok=True, result=kept)))
        return None

    def _publish(self, peer: bytes, message: Command) -> Refuse | None:
        """It opens the next batch: this one was begun under the plan in force."""
        version, turn = message.args.get("version"), message.args.get("turn")
        if not isinstance(turn, list) or [type(part) for part in turn] != [int, int]:
            return Refuse(error="bad_command", detail="turn: give [when the last act was noted, from when it holds]")
        if (turn[0], turn[1]) < self._turn:
            return Refuse(error="overtaken", detail="a plan that was published later sorts already")
        if self._published is not None:
            return Refuse(error="busy", detail="another plan is just taking force; publish again")
        latest = self._accepted or self._sort_plan
        if version == latest.version:
            self._replies.append((peer, Reply(id=message.id, ok=True, result={"accepted": 0, "refused": []})))
        else:
            offered = self._offers.whole(version, latest.names)
            if isinstance(offered, Refuse):
                return offered
            self._published, self._accepted = (peer, message.id, offered), offered.sort_plan
        self._turn = turn[0], turn[1]
        return None

    # acts: each puts events into the batch

    def _chute(self, verb: Verb, args: dict[str, Any], t_ns: int) -> Act:
        chute = args.get("chute")
        if type(chute) is not int:
            return Refuse(error="bad_command", detail="chute: give the number of a chute, such as 112")
        return self._intake.command(verb, t_ns, chute=chute, who=_who(args)) or Done([0], [])

    def _trip(self, args: dict[str, Any], t_ns: int) -> Act:
        lane = args.get("lane")
        if not isinstance(lane, str):
            return Refuse(error="bad_command", detail="lane: give the name of a lane as the table lanes has it")
        return self._intake.command(Verb.TRIP_SEND, t_ns, lane=lane, who=_who(args)) or Done([0], [])

    def _intercept(self, verb: Verb, args: dict[str, Any], t_ns: int) -> Act:
        waybills = args.get("waybills")
        if not isinstance(waybills, list) or not 0 < len(waybills) <= ROWS_MAX:
            return Refuse(error="bad_command", detail=f"waybills: give a list of 1 to {ROWS_MAX} waybills")

        def put(waybill: object) -> Refuse | None:
            text = waybill if isinstance(waybill, str) else ""
            return self._intake.command(verb, t_ns, waybill=text, who=_who(args))

        return _each(waybills, put)

    def _advice(self, args: dict[str, Any], t_ns: int) -> Act:
        rows = args.get("rows")
        if not isinstance(rows, list) or not 0 < len(rows) <= ROWS_MAX:
            return Refuse(error="bad_command", detail=f"rows: give a list of 1 to {ROWS_MAX} advices")

        def put(row: object) -> Refuse | None:
            return self._intake.advice(row if isinstance(row, list) else [], t_ns)

        return _each(rows, put)

    # answers: from the state as it is

    def _status(self) -> dict[str, Any]:
        standing, traffic = self._standing, self._traffic
        counts = core.counts(standing.state)
        return {
            "plan": self._sort_plan.version,
            "plan_number": standing.plan_number,
            "t_ns": standing.last_t_ns,
            "events": standing.next_seq,
            **counts._asdict(),
            "chutes": self._chutes(),
            "trips": self._trips(),
            "clients": [client._asdict() for client in core.clients(standing.state)],
            "frames": traffic.frames,
            "malformed": traffic.malformed,
            "refused_frames": traffic.refused,
            "diverts": traffic.diverts,
            "unsent": traffic.unsent,
            "decision_ms": traffic.latency.summary(),
            "decision_ms_buckets": traffic.latency.buckets(),
        }

    def _chutes(self) -> list[dict[str, Any]]:
        names, plan = self._sort_plan.names, self._sort_plan.plan
        rows = core.chutes(self._standing.state, len(names.chutes))
        return [
            {
                "chute": number,
                "line": names.lines[plan.chute_line[index]],
                "state": "locked" if row["locked"] else ChuteState(int(row["plc_state"])).name.lower(),
                "in_flight": int(row["in_flight"]),
                "dropped": int(row["dropped"]),
                "capacity": int(plan.chute_capacity[index]),
            }
            for index, (number, row) in enumerate(zip(names.chutes, rows, strict=True))
            if plan.chute_line[index] != NONE_8  # a chute that a later plan took away keeps its index
        ]

    def _trips(self) -> list[dict[str, Any]]:
        names, plan = self._sort_plan.names, self._sort_plan.plan
        return [
            {
                "lane": names.lanes[held.lane],
                "cutoff_ns": held.cutoff_ns,
                "load": held.load,
                "capacity": int(plan.trips[held.trip]["capacity"]),
            }
            for held in core.trip_loads(self._standing.state)
        ]

    def _version(self) -> dict[str, Any]:
        return {"version": self._sort_plan.version, "number": self._standing.plan_number, "t_ns": self._t_ns}

    def _plan(self) -> dict[str, Any]:
        return self._version() | {"names": self._names()}

    def _names(self) -> dict[str, Any]:
        return {key: list(values) for key, values in self._sort_plan.names._asdict().items()}

    @property
    def _sort_plan(self) -> SortPlan:
        assert self._standing.sort_plan is not None
        return self._standing.sort_plan


def _events_in(message: AnyMessage) -> int:
    """How many events a control message may become."""
    if not isinstance(message, Command):
        return 1
    lists = [value for value in message.args.values() if isinstance(value, list)]
    return max(1, *map(len, lists)) if lists else 1


def _each(values: list[Any], put: Callable[[object], Refuse | None]) -> Done:
    """Put every value into the batch, and remember which became an event and which did not."""
    done = Done([], [])
    for place, value in enumerate(values):
        fault = put(value)
        if fault:
            done.refused.append(Fault(place, fault.error, fault.detail))
        else:
            done.places.append(place)
    return done


def _who(args: dict[str, Any]) -> str:
    """The operator's name, cut to what one code row keeps."""
    name = str(args.get("by", "")).encode()[: limits.NAME_TEXT_MAX]
    return name.decode(errors="ignore")
