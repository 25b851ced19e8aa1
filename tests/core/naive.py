"""The slow twin: what the core must decide, in dictionaries and lists, sharing no code with it.

Every rule is told the way a person would: in-flight counts are found by looking at all items,
trips by listing departures, rows by reading them from the top.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sorter.reasons import Reason, Refusal
from sorter.records import ChuteState, Discharge, Kind, Role, Target, Verb, Verdict
from tests.core.plans import Chute, Line, Rows, Rule

NONE_8, NONE_16 = 0xFF, 0xFFFF
TIMEOUTS_A_STEP = 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OWN_STREAM = (Reason.PLANNED, Reason.SPILLED, Reason.ALTERNATE)


@dataclass
class Event:
    """An EVENT row with its codes in it."""

    kind: Kind
    t_ns: int
    codes: list[bytes] = field(default_factory=list)
    seq: int = 0
    boot: int = 0
    age_us: int = 0
    item: int = 0
    weight_g: int = 0
    client: int = 0
    chute: int = NONE_16
    length_mm: int = 0
    station: int = NONE_16
    line: int = 0
    value: int = 0
    lap: int = NONE_8
    carrier: int = 0
    service: int = 0
    flow: int = 0


@dataclass(frozen=True)
class Departure:
    lane: int
    minute: int
    cutoff_ns: int


@dataclass
class Told:
    """An answer; `chute` None: nothing was sent."""

    reason: Reason
    chute: int | None = None
    alternate: int | None = None
    asked: int | None = None
    lane: int | None = None
    departure: Departure | None = None
    row: int = 0
    plan: int = 0


@dataclass(eq=False)
class Item:
    line: int
    epoch: int
    number: int
    serial: int
    heard_ns: int
    plan: int
    scanned_ns: int | None = None
    waybill: str = ""
    station: int | None = None
    kind: tuple[int, int, int] = (NONE_8, NONE_8, NONE_8)  # carrier, service, flow
    laps: int = 0
    passed: bool = False
    shown: set[str] = field(default_factory=set)  # every waybill that was ever read on it
    told: Told | None = None
    silent: Reason = Reason.LATE  # why it was never told
    announced: bool = False


@dataclass
class Advice:
    station: int | None = None
    kind: tuple[int, int, int] = (0, 0, 0)
    cancelled: bool = False
    weight_g: int = 0
    known: bool = False
    intercept: bool = False


@dataclass
class Session:
    boot: int
    last: int


Decision = dict[str, int]


class Twin:
    """The whole core for a small plan."""

    def __init__(self) -> None:
        self.rows: Rows
        self.plan = 0
        self.now = 0
        self.serial = 0
        self.items: list[Item] = []  # by last word
        self.manifest: dict[str, Advice] = {}
        self.sessions: dict[int, Session] = {}
        self.boots: dict[int, int] = {}  # line -> boot of its PLC
        self.epochs: Counter[int] = Counter()
        self.armed: Counter[int] = Counter()
        self.began: Counter[int] = Counter()  # line -> since when its PLC has another boot
        self.states: dict[int, ChuteState] = {}
        self.locked: set[int] = set()
        self.dropped: Counter[int] = Counter()
        self.departed: Counter[Departure] = Counter()  # places of items that have ended
        self.sent: Counter[int] = Counter()  # lane -> cut-off of the trip sent off last
        self.ended: Counter[Reason] = Counter()
        self.refused: Counter[Refusal] = Counter()
        self.out: list[Decision] = []
        self.at = 0

    # -- the loop

    def step(self, rows: Rows, events: list[Event]) -> list[Decision]:
        self.rows, self.out = rows, []
        for self.at, event in enumerate(events):
            self.now = max(self.now, event.t_ns)
            refusal = self.admit(event)
            if refusal is None:
                refusal = self.apply(event)
            if refusal is not None:
                self.refused[refusal] += 1
                self.write(Verdict.REFUSE, refusal, event.line, item=event.item, plan=self.plan)
        if events:
            self.end_overdue()
        return self.out

    def admit(self, event: Event) -> Refusal | None:
        if event.kind != Kind.HELLO and event.client and event.seq:
            session = self.sessions.get(event.client)
            if session is None:
                return Refusal.UNKNOWN_CLIENT
            if event.seq <= session.last:
                return Refusal.REPEAT
            if event.seq > session.last + 1:
                return Refusal.GAP
            session.last = event.seq
        on_line = {Kind.ITEM, Kind.SCAN, Kind.DISCHARGE, Kind.CHUTE}
        speaks_for_line = event.kind in on_line or (event.kind == Kind.HELLO and event.value == Role.PLC)
        return Refusal.UNKNOWN_LINE if speaks_for_line and event.line >= len(self.rows.lines) else None

    def apply(self, event: Event) -> Refusal | None:
        act = {
            Kind.PLAN: self.swap_plan,
            Kind.START: self.start,
            Kind.HELLO: self.hello,
            Kind.ADVICE: self.advice,
            Kind.ITEM: self.enter,
            Kind.SCAN: self.scan,
            Kind.DISCHARGE: self.discharge,
            Kind.CHUTE: self.chute,
            Kind.COMMAND: self.command,
        }.get(event.kind)
        return act(event) if act else None

    # -- events

    def swap_plan(self, event: Event) -> None:
        self.plan = event.chute
        kept = {(lane, minute) for lane, trips in enumerate(self.rows.trips) for minute, _ in trips}
        self.departed = Counter({d: n for d, n in self.departed.items() if (d.lane, d.minute) in kept})
        for item in self.items:
            departure = item.told.departure if item.told else None
            if departure and (departure.lane, departure.minute) not in kept:
                assert item.told
                item.told.departure = None

    def start(self, _event: Event) -> None:
        for line in range(32):
            self.armed[line] = self.now

    def hello(self, event: Event) -> Refusal | None:
        if event.client >= 1024:
            return Refusal.CLIENTS_FULL
        session = self.sessions.get(event.client)
        if session is None or session.boot != event.boot:
            self.sessions[event.client] = Session(event.boot, max(event.seq - 1, 0))
        if event.value == Role.PLC:
            if self.boots.get(event.line, event.boot) != event.boot:
                self.epochs[event.line] += 1
                self.began[event.line] = self.now
            self.boots[event.line] = event.boot
            self.armed[event.line] = self.now
        return None

    def advice(self, event: Event) -> Refusal | None:
        waybill = self.waybill_of(event.codes[:1])
        if waybill is None:
            return Refusal.NOT_A_WAYBILL
        entry = self.manifest.setdefault(waybill, Advice())
        entry.station = event.station if event.station < 4095 else None
        entry.kind = (event.carrier, event.service, event.flow)
        entry.cancelled = bool(event.value & 1)
        entry.weight_g = min(event.weight_g, 262_143)
        entry.known = True
        return None

    def enter(self, event: Event) -> None:
        former = self.find(event)
        if former and not former.announced:
            former.announced = True
            self.hear(former)
            return
        if former:
            self.end(former, Reason.LOST, None)
        item = self.open(event)
        item.announced = True
        self.write(Verdict.ENTER, 0, item.line, serial=item.serial, item=item.number, plan=self.plan)

    def discharge(self, event: Event) -> Refusal | None:
        item = self.find(event)
        if item is None:
            return Refusal.UNKNOWN_ITEM
        if event.value == Discharge.PASSED:
            item.passed = True
            self.hear(item)
        elif event.value == Discharge.LOST:
            self.end(item, Reason.LOST, None)
        elif not self.is_chute(event.chute) or self.rows.chutes[event.chute].line != event.line:
            return Refusal.UNKNOWN_CHUTE
        else:
            self.end(item, self.end_reason(item, event.chute), event.chute)
        return None

    def end_reason(self, item: Item, chute: int) -> Reason:
        if item.told and chute == item.told.chute:
            return item.told.reason
        if item.told and chute == item.told.alternate:
            return Reason.ALTERNATE
        if item.told is None and item.silent == Reason.LATE:
            return Reason.LATE
        end_of_line = self.rows.exceptions.get((item.line, Reason.MAX_LAPS))
        goes_round = self.rows.lines[item.line].max_laps > 0
        return Reason.MISSORT if goes_round or chute != end_of_line else Reason.MAX_LAPS

    def chute(self, event: Event) -> Refusal | None:
        if not self.is_chute(event.chute) or self.rows.chutes[event.chute].line != event.line:
            return Refusal.UNKNOWN_CHUTE
        was = self.states.get(event.chute, ChuteState.OPEN)
        if event.value == ChuteState.OPEN and was in {ChuteState.FULL, ChuteState.CHANGING}:
            self.dropped[event.chute] = 0
        self.states[event.chute] = ChuteState(event.value)
        return None

    def command(self, event: Event) -> Refusal | None:
        if event.value == Verb.TRIP_SEND:
            if event.station >= len(self.rows.trips) or not self.rows.trips[event.station]:
                return Refusal.NO_TRIP
            self.sent[event.station] = self.departures(event.station)[0][0].cutoff_ns
            return None
        if event.value in {Verb.INTERCEPT_ADD, Verb.INTERCEPT_REMOVE}:
            waybill = self.waybill_of(event.codes[:1])
            if waybill is None:
                return Refusal.NOT_A_WAYBILL
            self.manifest.setdefault(waybill, Advice()).intercept = event.value == Verb.INTERCEPT_ADD
            return None
        if not self.is_chute(event.chute):
            return Refusal.UNKNOWN_CHUTE
        if event.value == Verb.LOCK:
            self.locked.add(event.chute)
        elif event.value == Verb.UNLOCK:
            self.locked.discard(event.chute)
        else:
            self.dropped[event.chute] = 0
        return None

    # -- the belt

    def find(self, event: Event) -> Item | None:
        key = (event.line, self.epochs[event.line], event.item)
        return next((i for i in self.items if (i.line, i.epoch, i.number) == key), None)

    def open(self, event: Event) -> Item:
        self.serial += 1
        item = Item(event.line, self.epochs[event.line], event.item, self.serial, self.now, self.plan)
        self.items.append(item)
        return item

    def hear(self, item: Item) -> None:
        self.items.remove(item)
        self.items.append(item)
        item.heard_ns = self.now

    def end(self, item: Item, reason: Reason, chute: int | None) -> None:
        self.items.remove(item)
        self.ended[reason] += 1
        told = item.told or Told(item.silent, plan=item.plan)
        if chute is not None:
            self.dropped[chute] += 1
        if told.departure and reason in {Reason.PLANNED, Reason.SPILLED, Reason.ALTERNATE}:
            self.departed[told.departure] += 1
        self.write(Verdict.END, reason, item.line, item, told, chute=chute, station=item.station, plan=told.plan)

    def end_overdue(self) -> None:
        left = TIMEOUTS_A_STEP
        for line in range(32):
            for item in [i for i in self.items if i.line == line]:
                if left and self.due_ns(item) <= self.now:
                    self.end(item, Reason.LOST, None)
                    left -= 1

    def due_ns(self, item: Item) -> int:
        if item.epoch != self.epochs[item.line]:
            return self.now
        return max(item.heard_ns, self.armed[item.line]) + self.rows.lines[item.line].timeout_ns

    def next_due_ns(self) -> int:
        return min((self.due_ns(item) for item in self.items), default=-1)

    # -- codes

    def patterns_of(self, code: bytes) -> list[int]:
        """The carriers whose waybill pattern a code fits."""
        if len(code) > 24:
            return []
        text = code.upper().decode("latin-1")
        valid = [p for p in self.rows.patterns if p.valid_from_ns <= self.now]
        return [p.carrier for p in valid if re.fullmatch(p.text, text)]

    def waybill_of(self, codes: Iterable[bytes]) -> str | None:
        found = [code.upper().decode("latin-1") for code in codes if self.patterns_of(code)]
        return found[0] if found else None

    def station_of_labels(self, codes: list[bytes], carriers: list[int]) -> tuple[int, int] | None:
        known = {(text, carrier): station for text, carrier, station in self.rows.sort_codes}
        named = []
        for code in codes:
            text = code.upper().decode("latin-1") if len(code) <= 31 and not self.patterns_of(code) else ""
            while text:
                hits = [(known[text, c], c) for c in sorted(set(carriers)) if (text, c) in known]
                if hits:
                    named += hits if len(hits) == 1 else []
                    break
                text = text.rpartition("-")[0]
        return named[-1] if len({station for station, _ in named}) == 1 else None

    # -- a scan

    def scan(self, event: Event) -> Refusal | None:
        happened = self.now - event.age_us * 1000
        if happened < self.began[event.line]:
            return Refusal.UNKNOWN_ITEM
        item = self.find(event)
        if item is None:
            item = self.open(event)
        else:
            self.hear(item)
        line = self.rows.lines[event.line]
        self.count_lap(item, event, line, happened)
        outcome = self.identify(item, event)
        late = self.now > happened + line.window_ns
        told = Told(Reason.LATE) if late else self.answer(item, event, outcome)
        if told.chute is None:
            item.silent = told.reason
            told.plan = self.plan
        else:
            item.told = told
        known = outcome is None
        self.write(
            Verdict.DIVERT,
            told.reason,
            item.line,
            item if known else None,
            told,
            serial=item.serial,
            item=item.number,
            chute=told.chute,
            alternate=told.alternate,
            station=item.station if known else None,
            deadline_ns=happened + line.window_ns,
            plan=told.plan,
        )
        return None

    def count_lap(self, item: Item, event: Event, line: Line, happened: int) -> None:
        if event.lap != NONE_8:
            item.laps = min(event.lap, 250)
        elif item.scanned_ns is not None and happened - item.scanned_ns > line.lap_ns // 2:
            item.laps = min(item.laps + 1, 250)
        item.scanned_ns = happened

    def identify(self, item: Item, event: Event) -> Reason | None:
        """None: one waybill is known."""
        read = [code for code in event.codes[:8] if code]
        waybills = {code.upper().decode("latin-1") for code in read if self.patterns_of(code)}
        item.shown |= waybills
        if len(item.shown) > 1:
            return Reason.MULTI_CODE
        if not waybills and not item.waybill:
            return Reason.UNKNOWN_CODE if read else Reason.NO_READ
        carriers = []
        if waybills:
            (item.waybill,) = waybills
            carriers = self.patterns_of(item.waybill.encode("latin-1"))
        self.learn(item, event.codes[:8], carriers)
        return None

    def learn(self, item: Item, codes: list[bytes], carriers: list[int]) -> None:
        advice = self.manifest.get(item.waybill, Advice())
        if advice.station is not None and advice.station < len(self.rows.station_lane):
            item.station, item.kind = advice.station, advice.kind
            return
        label = self.station_of_labels(codes, carriers)
        if label:
            item.station, item.kind = label[0], (label[1], 0, 0)

    def answer(self, item: Item, event: Event, outcome: Reason | None) -> Told:
        spent = item.laps >= self.rows.lines[item.line].max_laps
        told = item.told
        if item.passed and spent:
            return self.reject(item, Reason.MAX_LAPS)
        advice = self.manifest.get(item.waybill, Advice())
        held = outcome is None and (advice.intercept or advice.cancelled)
        if told and told.reason in OWN_STREAM and outcome != Reason.MULTI_CODE and not held:
            assert told.chute is not None
            if self.is_open(told.chute, item):
                return told
        return self.decide(item, event, outcome)

    def decide(self, item: Item, event: Event, outcome: Reason | None) -> Told:
        advice = self.manifest.get(item.waybill, Advice())
        objections = [
            (outcome is not None, outcome),
            (advice.intercept, Reason.INTERCEPT),
            (advice.cancelled, Reason.CANCELLED),
            (item.station is None, Reason.NO_ADVICE),
        ]
        for applies, reason in objections:
            if applies:
                assert reason is not None
                return self.reject(item, reason)
        rule = next((rule for rule in self.rows.rules if self.applies(rule, item, event, advice)), None)
        if rule is None:
            assert item.station is not None
            lane = self.rows.station_lane[item.station]
            return self.reject(item, Reason.NO_RULE) if lane is None else self.by_lane(item, lane, 0)
        if rule.kind == Target.LANE:
            return self.by_lane(item, rule.target, rule.row)
        if rule.kind == Target.CHUTE:
            return self.by_chute(item, rule.target, rule.row)
        return self.reject(item, Reason(rule.target), rule.row)

    def applies(self, rule: Rule, item: Item, event: Event, advice: Advice) -> bool:
        carrier, service, flow = item.kind
        local = self.local(self.now)
        minute = local.hour * 60 + local.minute
        weight = event.weight_g or advice.weight_g
        return (
            carrier < self.rows.carriers
            and service < self.rows.services
            and (rule.stations is None or item.station in rule.stations)
            and (rule.carriers is None or carrier in rule.carriers)
            and (rule.services is None or service in rule.services)
            and (rule.flow is None or flow == rule.flow)
            and (rule.weight_g is None or (weight != 0 and rule.weight_g[0] <= weight <= rule.weight_g[1]))
            and (
                rule.length_mm is None
                or (event.length_mm != 0 and rule.length_mm[0] <= event.length_mm <= rule.length_mm[1])
            )
            and (rule.minutes is None or rule.minutes[0] <= minute < rule.minutes[1])
            and (rule.days is None or local.weekday() in rule.days)
        )

    # -- lanes, trips, chutes

    def by_lane(self, item: Item, lane: int, row: int) -> Told:
        place = self.place(item, lane, may_spill=True)
        if place is None:
            return self.no_chute(item, lane, row)
        going, departure = place
        chute, alternate, usual = self.pick(item, going)
        if chute is None:
            return self.no_chute(item, lane, row)
        reason = Reason.SPILLED if going != lane else Reason.PLANNED if usual else Reason.ALTERNATE
        return Told(reason, chute, alternate, lane, going, departure, row, self.plan)

    def by_chute(self, item: Item, wanted: int, row: int) -> Told:
        served = self.rows.chutes[wanted].lanes
        lane = served[0] if served else None
        chute: int | None = wanted
        alternate, reason = None, Reason.PLANNED
        if self.rows.chutes[wanted].line != item.line or not self.is_open(wanted, item):
            reason = Reason.ALTERNATE
            chute, alternate, _ = self.pick(item, lane) if lane is not None else (None, None, False)
        if chute is None:
            return self.no_chute(item, lane, row)
        if lane is None:
            return Told(reason, chute, alternate, None, None, None, row, self.plan)
        place = self.place(item, lane, may_spill=False)
        if place is None:
            return self.no_chute(item, lane, row)
        return Told(reason, chute, alternate, lane, lane, place[1], row, self.plan)

    def reject(self, item: Item, reason: Reason, row: int = 0) -> Told:
        chute = self.rows.exceptions.get((item.line, reason))
        if chute is None or not self.is_open(chute, item):
            return self.no_chute(item, None, row)
        lane = next(iter(self.rows.chutes[chute].lanes), None)
        return Told(reason, chute, None, lane, lane, None, row, self.plan)

    def no_chute(self, item: Item, lane: int | None, row: int) -> Told:
        chute = self.rows.exceptions.get((item.line, Reason.MAX_LAPS))
        spent = item.laps >= self.rows.lines[item.line].max_laps
        if spent and chute is not None and self.is_open(chute, item):
            lane = next(iter(self.rows.chutes[chute].lanes), None)
            return Told(Reason.MAX_LAPS, chute, None, lane, lane, None, row, self.plan)
        return Told(Reason.RECIRCULATE, None, None, lane, lane, None, row)

    def place(self, item: Item, lane: int, *, may_spill: bool) -> tuple[int, Departure | None] | None:
        held = item.told.departure if item.told and item.told.asked == lane else None
        if held and held.cutoff_ns > max(self.now, self.sent[held.lane]):
            return held.lane, held
        own = self.departures(lane)
        if not own:
            return lane, None
        if self.has_room(*own[0], item):
            return lane, own[0][0]
        hop: int | None = lane
        for _ in range(4 if may_spill else 0):
            hop = self.rows.spill[hop] if hop is not None else None
            if hop is None or hop == lane:
                break
            if self.pick(item, hop)[0] is None:
                continue
            departures = self.departures(hop)
            if not departures:
                return hop, None
            if self.has_room(*departures[0], item):
                return hop, departures[0][0]
        return next(((lane, trip) for trip, capacity in own if self.has_room(trip, capacity, item)), None)

    def departures(self, lane: int) -> list[tuple[Departure, int]]:
        """Each trip's next departure with its capacity, in the order they leave."""
        after = max(self.now, self.sent[lane])
        local = self.local(after)
        monday = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=local.weekday())
        found = []
        for minute, capacity in self.rows.trips[lane]:
            cutoff = (monday + timedelta(minutes=minute) - EPOCH) // timedelta(seconds=1) * 10**9
            cutoff -= self.rows.utc_offset_ns
            if cutoff <= after:
                cutoff += 7 * 86_400 * 10**9
            found.append((Departure(lane, minute, cutoff), capacity))
        return sorted(found, key=lambda pair: pair[0].cutoff_ns)

    def local(self, at_ns: int) -> datetime:
        return EPOCH + timedelta(seconds=(at_ns + self.rows.utc_offset_ns) // 10**9)

    def load(self, departure: Departure, apart_from: Item | None = None) -> int:
        holding = sum(1 for i in self.items if i is not apart_from and i.told and i.told.departure == departure)
        return self.departed[departure] + holding

    def has_room(self, departure: Departure, capacity: int, item: Item) -> bool:
        return capacity == 0 or self.load(departure, item) < capacity

    def is_chute(self, chute: int) -> bool:
        return chute < len(self.rows.chutes)

    def filled(self, chute: int, apart_from: Item | None = None) -> int:
        flying = sum(1 for i in self.items if i is not apart_from and i.told and i.told.chute == chute)
        return flying + self.dropped[chute]

    def is_open(self, chute: int, item: Item) -> bool:
        capacity = self.rows.chutes[chute].capacity
        shut = chute in self.locked or self.states.get(chute, ChuteState.OPEN) != ChuteState.OPEN
        return not shut and (capacity == 0 or self.filled(chute, item) < capacity)

    def pick(self, item: Item, lane: int) -> tuple[int | None, int | None, bool]:
        def load(pair: tuple[int, Chute]) -> float:
            number, chute = pair
            return self.filled(number, item) / chute.capacity if chute.capacity else 0.0

        serving = [(n, c) for n, c in enumerate(self.rows.chutes) if c.line == item.line and lane in c.lanes]
        ranked = [number for number, _ in sorted(serving, key=load)]
        usable = [number for number in ranked if self.is_open(number, item)]
        best = usable[0] if usable else None
        return best, usable[1] if len(usable) > 1 else None, bool(usable) and best == ranked[0]

    # -- what is written

    def write(
        self,
        verdict: Verdict,
        reason: int,
        line: int,
        about: Item | None = None,
        told: Told | None = None,
        **fields: int | None,
    ) -> None:
        hi, lo = key_of(about.waybill if about else "")
        carrier, service, flow = about.kind if about else (NONE_8, NONE_8, NONE_8)
        row: dict[str, int | None] = {
            "t_ns": self.now,
            "deadline_ns": 0,
            "waybill_hi": hi,
            "waybill_lo": lo,
            "serial": about.serial if about else 0,
            "item": about.number if about else 0,
            "event": self.at,
            "chute": None,
            "alternate": None,
            "lane": told.lane if told else None,
            "trip": self.trip_index(told.departure) if told else None,
            "station": None,
            "row": told.row if told else 0,
            "verdict": verdict,
            "reason": reason,
            "line": line,
            "carrier": carrier,
            "service": service,
            "flow": flow,
            **fields,
        }
        self.out.append({name: NONE_16 if value is None else int(value) for name, value in row.items()})

    def trip_index(self, departure: Departure | None) -> int | None:
        if departure is None:
            return None
        before = sum(len(trips) for trips in self.rows.trips[: departure.lane])
        minutes = [minute for minute, _ in self.rows.trips[departure.lane]]
        return before + minutes.index(departure.minute)


def key_of(waybill: str) -> tuple[int, int]:
    """One number of 24 base-40 digits, cut in the middle."""
    digits = "\0" + "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-./"
    number = 0
    for char in waybill.ljust(24, "\0"):
        number = number * 40 + digits.index(char)
    return divmod(number, 40**12)
