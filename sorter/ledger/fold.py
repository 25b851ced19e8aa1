"""From events and decisions to rows, in the order of the journal: the rows depend on nothing else, so that
what was folded record by record equals what is folded anew from the beginning.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from sorter import limits
from sorter.ledger.departures import DAY_NS, MINUTE_NS, Departure, Departures
from sorter.ledger.disturbances import Disturbances
from sorter.ledger.segments import BatchRecord, PlanRecord, Record
from sorter.reasons import EXCEPTIONS, Alarm, Reason, Refusal
from sorter.records import (
    CODE,
    DECISION,
    EVENT,
    NONE_8,
    ChuteState,
    Discharge,
    Flow,
    Kind,
    Role,
    SortPlan,
    Verb,
    Verdict,
    plan_from_bytes,
    waybill_text,
)

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_PAST_NS: Final = 2 * DAY_NS  # a departure so long ago is not told or sent off any more

_UNHEARD: Final = frozenset(map(int, (Kind.TICK, Kind.ADVICE)))
_CODE: Final = re.compile(rb"[0-9A-Za-z./-]+")
_REASONS: Final = {int(reason): reason.word for reason in Reason}
_SORTED: Final = frozenset(int(reason) for reason in Reason if reason not in EXCEPTIONS)
_EMPTIED: Final = (ChuteState.CHANGING, ChuteState.FULL)  # a chute that opens after these has a new load unit


class FoldError(Exception):
    """The journal tells what cannot be: records in their place that contradict each other."""


class Event(NamedTuple):
    """A row of records.EVENT."""

    t_ns: int
    seq: int
    boot: int
    age_us: int
    item: int
    code_at: int
    weight_g: int
    client: int
    chute: int
    induct: int
    length_mm: int
    width_mm: int
    height_mm: int
    station: int
    kind: int
    line: int
    value: int
    lap: int
    code_count: int
    carrier: int
    service: int
    flow: int
    pad: int


class Decision(NamedTuple):
    """A row of records.DECISION."""

    t_ns: int
    deadline_ns: int
    waybill_hi: int
    waybill_lo: int
    serial: int
    item: int
    event: int
    chute: int
    alternate: int
    lane: int
    trip: int
    station: int
    row: int
    plan: int
    verdict: int
    reason: int
    line: int
    carrier: int
    service: int
    flow: int


assert EVENT.names is not None
assert tuple(name.lstrip("_") for name in EVENT.names) == Event._fields
assert DECISION.names == Decision._fields
_KIND: Final = Event._fields.index("kind")
_EVENT: Final = Decision._fields.index("event")

_waybill: Final = lru_cache(limits.ITEMS_ON_BELT_MAX)(waybill_text)  # asked for at every scan of an item and at its end


@dataclass(slots=True)
class Item:
    """A row of `item`, in the order of its columns."""

    serial: int
    line: str
    item: int
    induct: int | None
    entered_ns: int
    day: str
    minute: int
    waybill: str | None = None
    carrier: str | None = None
    service: str | None = None
    flow: str | None = None
    station: str | None = None
    township: str | None = None
    weight_g: int | None = None
    chute: int | None = None
    alternate: int | None = None
    reason: str | None = None
    row: int | None = None
    plan: int | None = None
    decided_ns: int | None = None
    lane: str | None = None
    trip: int | None = None
    ended_ns: int | None = None
    outcome: str | None = None
    dropped: int | None = None
    load_unit: int | None = None


@dataclass(slots=True)
class LoadUnit:
    """A row of `load_unit`."""

    load_unit: int
    chute: int
    number: int
    opened_ns: int
    closed_ns: int | None = None
    items: int = 0


@dataclass(slots=True)
class Trip:
    """A row of `trip`, but for its load, which is counted apart."""

    trip: int
    lane: str
    cutoff_ns: int
    departs_ns: int
    day: str
    capacity: int
    sent_ns: int | None = None


@dataclass(slots=True)
class Chute:
    """A row of `chute`."""

    chute: int
    line: str
    lane: str | None
    capacity: int
    state: str = "open"
    locked: int = 0


@dataclass
class Rows:
    """What one transaction writes."""

    items: dict[int, Item] = field(default_factory=dict)  # new or changed, by serial
    days: list[tuple[str, int]] = field(default_factory=list)
    scans: list[tuple[int | str | None, ...]] = field(default_factory=list)
    decisions: list[tuple[int | str | None, ...]] = field(default_factory=list)
    discharges: list[tuple[int | str | None, ...]] = field(default_factory=list)
    commands: list[tuple[int | str | None, ...]] = field(default_factory=list)
    clients: list[tuple[int | str | None, ...]] = field(default_factory=list)
    plans: list[tuple[int, str, int | None, int, bytes]] = field(default_factory=list)
    names: list[SortPlan] = field(default_factory=list)
    load_units: dict[int, LoadUnit] = field(default_factory=dict)
    chutes: dict[int, Chute] = field(default_factory=dict)
    trips: dict[int, Trip] = field(default_factory=dict)
    loads: Counter[int] = field(default_factory=Counter)  # trip -> items more
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)  # day, word -> events more

    def __len__(self) -> int:
        return len(self.items) + len(self.scans) + len(self.decisions) + len(self.discharges) + len(self.commands)


@dataclass
class Fold:
    """What must be remembered from record to record; `rows` gathers what is to be written."""

    rows: Rows = field(default_factory=Rows)
    serial: int = 0
    items: dict[int, Item] = field(default_factory=dict)  # on the belt, by serial
    belt: dict[tuple[int, int], int] = field(default_factory=dict)  # line, item number -> serial
    day: str = ""
    load_unit: int = 0
    numbers: Counter[int] = field(default_factory=Counter)  # chute -> load units so far
    standing: dict[int, LoadUnit] = field(default_factory=dict)  # by chute
    chutes: dict[int, Chute] = field(default_factory=dict)
    trip: int = 0
    trips: dict[int, Trip] = field(default_factory=dict)
    trip_of: dict[tuple[str, int], int] = field(default_factory=dict)  # lane, cut-off -> trip
    sent_ns: dict[str, int] = field(default_factory=dict)  # lane -> cut-off of the departure sent off last
    plans: dict[int, SortPlan] = field(default_factory=dict)  # not in force yet
    sort_plan: SortPlan | None = None
    departures: Departures | None = None
    disturbances: Disturbances = field(default_factory=Disturbances)

    def take(self, record: Record) -> None:
        """Fold one record. Raises FoldError when it contradicts those before it."""
        if isinstance(record, PlanRecord):
            sort_plan = plan_from_bytes(record.data)
            self.plans[record.number] = sort_plan
            self.rows.plans.append((record.number, sort_plan.version, None, sort_plan.plan.utc_offset_ns, record.data))
        else:
            self._batch(record)

    def _batch(self, record: BatchRecord) -> None:
        follows: dict[int, list[Decision]] = defaultdict(list)
        for row in record.decisions.tolist():
            follows[row[_EVENT]].append(Decision._make(row))
        codes = record.batch.codes.tobytes()
        for at, row in enumerate(record.batch.events.tolist()):
            if row[_KIND] not in _UNHEARD or at in follows:
                self._event(record.seq + at, Event._make(row), codes, follows.get(at, ()))

    def _event(self, seq: int, event: Event, codes: bytes, follows: Iterable[Decision]) -> None:
        if event.kind == Kind.PLAN:
            self._plan(event)
        serial = self.belt.get((event.line, event.item), 0)
        refusal = None
        for decision in follows:
            if decision.verdict == Verdict.DIVERT:
                self._divert(seq, event, decision, codes)
            elif decision.verdict == Verdict.END:
                self._end(decision)
            elif decision.verdict == Verdict.ENTER:
                self._open(decision.serial, event)
            else:
                refusal = Refusal(decision.reason).word
                self.rows.refusals[self.local(event.t_ns)[0], refusal] += 1
        if event.kind == Kind.COMMAND:
            self._command(seq, event, codes, refusal)
        elif refusal is None:
            self._accepted(seq, event, codes, serial)

    def _accepted(self, seq: int, event: Event, codes: bytes, serial: int) -> None:
        if event.kind == Kind.ITEM:
            self._announce(event)
        elif event.kind == Kind.DISCHARGE:
            chute = self._chute_number(event.chute) if event.value == Discharge.DROPPED else None
            self.rows.discharges.append((serial, seq, event.t_ns, chute, Discharge(event.value).name.lower()))
        elif event.kind == Kind.CHUTE:
            self._chute(event)
        elif event.kind == Kind.ALARM:
            self._alarm(event)
        elif event.kind == Kind.START:
            self.disturbances.started(event.t_ns)
        elif event.kind == Kind.HELLO:
            name = name_text(codes, event.code_at) if event.code_count else ""
            role = Role(event.value).name.lower()
            line = self.names("lines", event.line)
            self.rows.clients.append((event.client, name, role, line, event.t_ns))

    def names(self, column: str, index: int) -> str | None:
        """The word of an index in the plan in force; None when it has none."""
        words: Sequence[str] = getattr(self._plan_in_force().names, column)
        return words[index] if index < len(words) else None

    def local(self, t_ns: int) -> tuple[str, int]:
        """The local day and the minute of it."""
        days, rest_ns = divmod(t_ns + self._plan_in_force().plan.utc_offset_ns, DAY_NS)
        return date.fromordinal(_EPOCH_DAY + days).isoformat(), rest_ns // MINUTE_NS

    def _plan_in_force(self) -> SortPlan:
        if self.sort_plan is None:
            raise FoldError("the journal has events before its first plan; restore it from a backup")
        return self.sort_plan

    def _chute_number(self, index: int) -> int | None:
        chutes = self._plan_in_force().names.chutes
        return chutes[index] if index < len(chutes) else None

    def _open(self, serial: int, event: Event) -> Item:
        day, minute = self.local(event.t_ns)
        if day > self.day:
            self.day = day
            self.rows.days.append((day, serial))
            self.forget_trips(event.t_ns)
        self.serial = serial
        line = self.names("lines", event.line) or str(event.line)
        item = Item(serial, line, event.item, event.induct or None, event.t_ns, self.day, minute)
        self.belt[event.line, event.item] = serial
        self.items[serial] = self.rows.items[serial] = item
        return item

    def _announce(self, event: Event) -> None:
        """Where an item was put onto the belt; it may have been read before it was announced."""
        item = self.items[self.belt[event.line, event.item]]
        item.induct = event.induct or item.induct
        self.rows.items[item.serial] = item

    def _divert(self, seq: int, event: Event, decision: Decision, codes: bytes) -> None:
        if decision.serial > self.serial:
            self._open(decision.serial, event)
        item = self._on_belt(decision)
        self._learn(item, decision)
        chute = self._chute_number(decision.chute)
        alternate = self._chute_number(decision.alternate)
        lane = self.names("lanes", decision.lane)
        trip = self._trip(item, decision)
        reason, row = _REASONS[decision.reason], decision.row or None
        if chute is not None or item.chute is None:  # what the PLC was told counts, until it is told anew
            item.chute, item.alternate, item.reason, item.row = chute, alternate, reason, row
            item.plan, item.decided_ns, item.lane, item.trip = decision.plan, decision.t_ns, lane, trip
        item.weight_g = event.weight_g or item.weight_g
        told = (chute, alternate, reason, row, decision.plan, lane, trip, self.names("stations", decision.station))
        self.rows.decisions.append((item.serial, seq, decision.t_ns, decision.deadline_ns, *told))
        texts = json.dumps(code_texts(codes, event.code_at, event.code_count))
        lap = None if event.lap == NONE_8 else event.lap
        size = (event.weight_g or None, event.length_mm or None, event.width_mm or None, event.height_mm or None)
        read = (event.t_ns, event.age_us, event.client, event.induct or None, lap, *size, texts)
        self.rows.scans.append((item.serial, seq, *read))

    def _on_belt(self, decision: Decision) -> Item:
        item = self.items.get(decision.serial)
        if item is None:
            raise FoldError(
                f"a decision at {decision.t_ns} ns names item {decision.serial}, which is not on the belt; the journal "
                f"was written by a faulty program: keep it and run `sorter replay`"
            )
        self.rows.items[item.serial] = item
        return item

    def _learn(self, item: Item, decision: Decision) -> None:
        """What a decision knows of the parcel; what it does not know stays as it was."""
        if decision.waybill_hi:
            item.waybill = _waybill(decision.waybill_hi, decision.waybill_lo)
        item.carrier = self.names("carriers", decision.carrier) or item.carrier
        item.service = self.names("services", decision.service) or item.service
        if decision.flow != NONE_8:
            item.flow = Flow(decision.flow).name.lower()
        station = self.names("stations", decision.station)
        if station is not None and station != item.station:
            item.station = station
            item.township = self.names("townships", self._plan_in_force().names.station_townships[decision.station])

    def _end(self, decision: Decision) -> None:
        item = self._on_belt(decision)
        self._learn(item, decision)
        item.ended_ns, item.outcome = decision.t_ns, _REASONS[decision.reason]
        item.dropped = self._chute_number(decision.chute)
        item.lane = self.names("lanes", decision.lane)
        if item.dropped is not None:
            unit = self._load_unit(item.dropped, decision.t_ns)
            unit.items += 1
            item.load_unit = unit.load_unit
        if item.trip is not None and decision.reason in _SORTED:
            self.rows.loads[item.trip] += 1
        del self.items[item.serial]
        if self.belt.get((decision.line, decision.item)) == item.serial:
            del self.belt[decision.line, decision.item]

    def _load_unit(self, chute: int, t_ns: int) -> LoadUnit:
        unit = self.standing.get(chute)
        if unit is None:
            self.load_unit += 1
            self.numbers[chute] += 1
            unit = self.standing[chute] = LoadUnit(self.load_unit, chute, self.numbers[chute], t_ns)
        self.rows.load_units[unit.load_unit] = unit
        return unit

    def _change(self, chute: int, t_ns: int) -> None:
        unit = self.standing.pop(chute, None)
        if unit is not None:
            unit.closed_ns = t_ns
            self.rows.load_units[unit.load_unit] = unit

    def _chute(self, event: Event) -> None:
        number = self._chute_number(event.chute)
        if number is None:
            return
        chute, state = self.chutes[number], ChuteState(event.value)
        if state == ChuteState.OPEN and ChuteState[chute.state.upper()] in _EMPTIED:
            self._change(number, event.t_ns)
        chute.state = state.name.lower()
        self.rows.chutes[number] = chute
        self.disturbances.chute(number, chute.line, chute.state, _happened_ns(event))

    def _alarm(self, event: Event) -> None:
        line = self.names("lines", event.line) or str(event.line)
        self.disturbances.alarm(Alarm(event.value), line, event.item, _happened_ns(event))

    def _command(self, seq: int, event: Event, codes: bytes, refusal: str | None) -> None:
        verb = Verb(event.value)
        waybill = "".join(code_texts(codes, event.code_at, min(event.code_count, 1)))
        who = name_text(codes, event.code_at + 1) if event.code_count > 1 else ""
        lane = self.names("lanes", event.station) if verb == Verb.TRIP_SEND else None
        chute = self._chute_number(event.chute) if verb in {Verb.LOCK, Verb.UNLOCK, Verb.CHANGE} else None
        row = (seq, event.t_ns, verb.name.lower(), chute, waybill or None, lane, who or None, refusal)
        self.rows.commands.append(row)
        if refusal is not None:
            return
        if verb == Verb.TRIP_SEND:
            self._send_off(event.station, event.t_ns)
        elif verb in {Verb.INTERCEPT_ADD, Verb.INTERCEPT_REMOVE} or chute is None:
            return
        elif verb == Verb.CHANGE:
            self._change(chute, event.t_ns)
        else:
            self.chutes[chute].locked = int(verb == Verb.LOCK)
            self.rows.chutes[chute] = self.chutes[chute]

    def _plan(self, event: Event) -> None:
        """Put a plan in force: its words, its chutes and what departs from now on."""
        sort_plan = self.plans.pop(event.chute, None)
        if sort_plan is None:
            raise FoldError(f"plan {event.chute} comes into force at {event.t_ns} ns and is not in the journal")
        self.put_in_force(sort_plan)
        self.rows.plans.append((event.chute, sort_plan.version, event.t_ns, sort_plan.plan.utc_offset_ns, b""))
        self.rows.names.append(sort_plan)
        names, plan = sort_plan.names, sort_plan.plan
        for index, number in enumerate(names.chutes[: len(plan.chute_line)]):
            if plan.chute_line[index] == NONE_8:
                self._take_away(number, event.t_ns)
                continue
            was = self.chutes.get(number)
            lane = self.names("lanes", int(plan.chute_lane[index]))
            line = names.lines[plan.chute_line[index]]
            if was and was.line != line:
                self._take_away(number, event.t_ns)
            state = ("open", 0) if was is None else (was.state, was.locked)
            chute = Chute(number, line, lane, int(plan.chute_capacity[index]), *state)
            self.chutes[number] = self.rows.chutes[number] = chute

    def _take_away(self, number: int, t_ns: int) -> None:
        chute = self.chutes.pop(number, None)
        if chute:
            self.disturbances.chute(number, chute.line, "open", t_ns)

    def _trip(self, item: Item, decision: Decision) -> int | None:
        """The departure a decision counts on: the one the item has, or the trip's next."""
        departures = self._departures_in_force()
        had = self.trips.get(item.trip or 0)
        if had and departures.is_of_trip(decision.trip, had.lane, had.cutoff_ns):
            return had.trip
        coming = departures.next_of_trip(decision.trip, decision.t_ns)
        if coming is None:
            return None
        if coming.cutoff_ns <= self.sent_ns.get(coming.lane, 0):
            coming = departures.next_of_trip(decision.trip, self.sent_ns[coming.lane]) or coming
        return self._departure(coming).trip

    def _departures_in_force(self) -> Departures:
        self._plan_in_force()
        assert self.departures is not None
        return self.departures

    def _departure(self, coming: Departure) -> Trip:
        key = (coming.lane, coming.cutoff_ns)
        if key not in self.trip_of:
            self.trip += 1
            day, _ = self.local(coming.cutoff_ns)
            trip = Trip(self.trip, coming.lane, coming.cutoff_ns, coming.departs_ns, day, coming.capacity)
            self.remember(trip)
            self.rows.trips[trip.trip] = trip
        return self.trips[self.trip_of[key]]

    def remember(self, trip: Trip) -> None:
        """Know a departure when it is named again."""
        self.trips[trip.trip] = trip
        self.trip_of[trip.lane, trip.cutoff_ns] = trip.trip

    def forget_trips(self, now_ns: int) -> None:
        """Forget what departed long ago."""
        for trip in [trip for trip in self.trips.values() if trip.cutoff_ns < now_ns - _PAST_NS]:
            del self.trips[trip.trip], self.trip_of[trip.lane, trip.cutoff_ns]

    def _send_off(self, lane: int, t_ns: int) -> None:
        word = self.names("lanes", lane) or ""
        coming = self._departures_in_force().next_of_lane(word, max(t_ns, self.sent_ns.get(word, 0)))
        if coming is None:
            return
        trip = self._departure(coming)
        trip.sent_ns = t_ns
        self.sent_ns[word] = trip.cutoff_ns
        self.rows.trips[trip.trip] = trip

    def put_in_force(self, sort_plan: SortPlan) -> None:
        """Let indices mean what this plan says."""
        self.sort_plan, self.departures = sort_plan, Departures(sort_plan)


def _happened_ns(event: Event) -> int:
    return event.t_ns - event.age_us * 1000


def code_texts(codes: bytes, first: int, count: int) -> list[str]:
    """Codes as read. One that cannot be a waybill is told by its length alone: it may hold a name or an address."""
    texts = []
    for at in range(first * CODE.itemsize, (first + count) * CODE.itemsize, CODE.itemsize):
        text = codes[at + 1 : at + 1 + min(codes[at], limits.CODE_TEXT_MAX)]
        whole = codes[at] <= limits.CODE_TEXT_MAX and _CODE.fullmatch(text)
        texts.append(text.decode() if whole else f"({codes[at]} bytes)" if codes[at] else "")
    return texts


def name_text(codes: bytes, at: int) -> str:
    """The name of a client or operator."""
    row = codes[at * CODE.itemsize : (at + 1) * CODE.itemsize]
    return row[1 : 1 + row[0]].decode(errors="replace") if row else ""
