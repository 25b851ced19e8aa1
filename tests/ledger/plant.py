"""A hub in miniature, by hand: what happens at random and what a core would say to it, as rows, with the plain
truth of every item beside them. Nothing here comes from the core.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sorter.ledger.journal import Journal
from sorter.reasons import REASON_COUNT, Alarm, Reason, Refusal
from sorter.records import (
    DECISION,
    EVENT,
    LINE,
    NONE_8,
    NONE_16,
    PATTERN,
    TRIP,
    Batch,
    ChuteState,
    Discharge,
    Flow,
    Kind,
    Names,
    Plan,
    Role,
    SortCodes,
    SortPlan,
    Table,
    Verb,
    Verdict,
    Waybills,
    code_row,
    plan_to_bytes,
    waybill_key,
)

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
OFFSET_NS = 8 * HOUR_NS
MONDAY = 1_762_704_000_000_000_000  # Monday 2025-11-10 00:00 at the site
SORTED = {Reason.PLANNED, Reason.SPILLED, Reason.ALTERNATE}
LANES = ("曲尺线", "大昌线", "双龙线", "异常")
CHUTES = (101, 102, 103, 104, 201, 202, 203)
CHUTE_LANE = (0, 1, 2, 3, 0, 1, 3)
CHUTE_LINE = (0, 0, 0, 0, 1, 1, 1)


def sort_plan(version: str = "a" * 64, minutes: tuple[int, int] = (480, 840)) -> SortPlan:
    """Three lanes and one for exceptions; the first leaves every day at 08:00 and 14:00."""
    no_bits, no_numbers, no_bytes = np.zeros((1, 1), np.uint64), np.zeros(0, np.uint16), np.zeros(0, np.uint8)
    no_edges = np.zeros(0, np.int32)
    plan = Plan(
        waybills=Waybills(no_bytes, np.zeros((2, 1), np.uint16), no_bits[0], np.zeros(1, PATTERN)),
        table=Table(
            *(no_bits, no_bits, no_edges, no_bits, no_edges, no_bits, no_edges, no_bits),
            target_kind=no_bytes,
            target=no_numbers,
            row=no_numbers,
        ),
        sort_codes=SortCodes(no_bits[0], no_bits[0], no_bytes, no_numbers),
        station_lane=np.array([0, 1, 2], np.uint16),
        lane_spill=np.full(len(LANES), NONE_16, np.uint16),
        trip_at=np.array([0, 14, 14, 14, 14], np.uint32),
        trips=np.array([(day * 1440 + minute, 10, 20) for day in range(7) for minute in minutes], TRIP),
        chute_at=np.zeros(2 * len(LANES) + 1, np.uint32),
        lane_chutes=np.zeros(0, np.uint16),
        chute_line=np.array(CHUTE_LINE, np.uint8),
        chute_lane=np.array(CHUTE_LANE, np.uint16),
        chute_capacity=np.full(len(CHUTES), 40, np.uint32),
        exception_chute=np.zeros((2, REASON_COUNT), np.uint16),
        lines=np.zeros(2, LINE),
        services=1,
        utc_offset_ns=OFFSET_NS,
    )
    names = Names(
        carriers=("YTO", "SF"),
        stations=("QC-01", "DC-槐花村", "SL-龙雾村"),
        townships=("曲尺乡", "大昌镇", "双龙镇"),
        services=("standard",),
        lanes=LANES,
        lines=("L1", "L2"),
        chutes=CHUTES,
        carrier_titles=("圆通", "顺丰"),
        station_titles=("曲尺站", "槐花村", "龙雾村"),
        station_townships=(0, 1, 2),
        lane_titles=("曲尺客车", "大昌货运", "双龙便民", "异常口"),
        lane_kinds=("bus", "freight", "village", "exception"),
    )
    return SortPlan(version, plan, names)


@dataclass
class Truth:
    """One item as it was."""

    serial: int
    line: int
    number: int
    entered_ns: int
    waybill: str = ""
    station: int = NONE_16
    carrier: int = NONE_8
    flow: int = NONE_8
    scans: int = 0
    told: dict[str, Any] | None = None
    outcome: Reason | None = None
    dropped: int | None = None
    passes: int = 0


@dataclass
class Plant:
    """Makes batches; `truth` holds every item ever inducted."""

    seed: int
    start_ns: int = MONDAY + 5 * HOUR_NS
    step_ns: int = 20_000_000_000
    truth: list[Truth] = field(default_factory=list)
    refused: int = 0
    told: list[tuple[int, str, str, int]] = field(default_factory=list)  # when, whose, alarm or state, how many
    slack: list[tuple[int, int, bool]] = field(default_factory=list)  # serial, left_ns, late

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now_ns = self.start_ns
        self.open: list[Truth] = []
        self.number = 0
        self.plan = 1
        self.events: list[dict[str, Any]] = []
        self.codes: list[bytes] = []
        self.decisions: list[dict[str, Any]] = []

    def begin(self, journal: Journal, plan: SortPlan | None = None) -> None:
        """Put a plan in force and greet."""
        journal.append_plan(self.plan, plan_to_bytes(plan or sort_plan()))
        self._event(Kind.PLAN, chute=self.plan)
        self._event(Kind.START)
        self.told.append((self.now_ns, "", "started", 0))
        self._codes(b"scanner-1")
        self._event(Kind.HELLO, client=1, value=Role.SCANNER, line=0, boot=7, code_at=0, code_count=1)
        self.flush(journal)

    def flush(self, journal: Journal) -> None:
        """Append what happened as one batch."""
        events, decisions = np.zeros(len(self.events), EVENT), np.zeros(len(self.decisions), DECISION)
        fill(events, self.events)
        fill(decisions, self.decisions)
        codes = np.frombuffer(b"".join(self.codes), np.uint8).reshape(-1, 32)
        if len(events):
            journal.append_batch(journal.next_seq, Batch(events, codes), decisions)
        self.events, self.codes, self.decisions = [], [], []

    def run(self, journal: Journal, batches: int, most: int = 12) -> None:
        """Random batches, synced."""
        for _ in range(batches):
            for _ in range(self.chance.randint(1, most)):
                self.happen()
            self.flush(journal)
        journal.sync()

    def happen(self) -> None:
        """One thing happens."""
        self.now_ns += self.chance.randint(0, self.step_ns)
        acts = [self._enter] * 6 + [self._scan] * 7 + [self._discharge] * 7
        acts += [self._refuse, self._chute, self._alarm, self._command, self._time_out, self._advise, self._tick]
        self.chance.choice(acts)()

    def _event(self, kind: Kind, **values: Any) -> None:
        self.events.append({"t_ns": self.now_ns, "kind": kind, "lap": NONE_8, **values})

    def _codes(self, *texts: bytes) -> dict[str, int]:
        at = len(self.codes)
        self.codes += [code_row(text) for text in texts]
        return {"code_at": at, "code_count": len(texts)}

    def _decide(self, verdict: Verdict, **values: Any) -> None:
        none = dict.fromkeys(("chute", "alternate", "lane", "trip", "station"), NONE_16)
        none |= dict.fromkeys(("carrier", "service", "flow"), NONE_8)
        row = {"t_ns": self.now_ns, "event": len(self.events) - 1, "verdict": verdict, "plan": self.plan}
        self.decisions.append({**none, **row, **values})

    def _enter(self) -> None:
        line = self.chance.randint(0, 1)
        again = [one for one in self.open if one.line == line]
        number = self.chance.choice(again).number if again and self.chance.random() < 0.05 else self._new_number()
        self._event(Kind.ITEM, line=line, item=number, induct=2)
        for former in [one for one in again if one.number == number]:
            self._end(former, Reason.LOST)
        self._announce(line, number)

    def _announce(self, line: int, number: int) -> Truth:
        item = self._open_item(line, number)
        self._decide(Verdict.ENTER, serial=item.serial, item=number, line=line)
        return item

    def _new_number(self) -> int:
        self.number += 1
        return self.number

    def drop(self, lane: int = 0, trip: int = NONE_16) -> Truth:
        """One item from induction to chute 101."""
        item = self._open_item(0, self._new_number())
        self._event(Kind.SCAN, line=0, item=item.number, **self._read())
        item.waybill = f"YT{item.serial:013d}"
        hi, lo = waybill_key(item.waybill)
        told = {"lane": lane, "trip": trip, "waybill_hi": hi, "waybill_lo": lo}
        self._tell(item, Reason.PLANNED, 0, NONE_16, told)
        self._event(Kind.DISCHARGE, line=0, item=item.number, chute=0)
        self._end(item, Reason.PLANNED, 0)
        return item

    def _open_item(self, line: int, number: int) -> Truth:
        item = Truth(len(self.truth) + 1, line, number, self.now_ns)
        self.truth.append(item)
        self.open.append(item)
        return item

    def _scan(self) -> None:
        codes = self._read()
        if self.open and self.chance.random() < 0.9:
            item = self.chance.choice(self.open)
            self._event(Kind.SCAN, line=item.line, item=item.number, weight_g=500, length_mm=300, **codes)
        else:
            line, number = self.chance.randint(0, 1), self._new_number()
            self._event(Kind.SCAN, line=line, item=number, weight_g=0, **codes)
            item = self._open_item(line, number)
        item.scans += 1
        self._divert(item)

    def _read(self) -> dict[str, int]:
        return self._codes(f"YT{self.chance.randrange(10**13):013d}".encode(), b"\xe5\xbc\xa0 138")

    def _divert(self, item: Truth) -> None:
        """A waybill is read at the first good scan and stays."""
        if self.chance.random() < 0.2:
            reason = self.chance.choice([Reason.NO_READ, Reason.LATE, Reason.RECIRCULATE])
            chute = (3 if item.line == 0 else 6) if reason == Reason.NO_READ else NONE_16
            self._tell(item, reason, chute, NONE_16, {})
            return
        if not item.waybill:
            item.waybill = self.codes[self.events[-1]["code_at"]][1:16].decode()
            item.station, item.carrier, item.flow = self.chance.randint(0, 2), self.chance.randint(0, 1), 0
        hi, lo = waybill_key(item.waybill)
        trip = self._next_trip() if item.station == 0 else NONE_16
        chute = item.station if item.line == 0 else 4 + min(item.station, 1)
        self._tell(
            item,
            self.chance.choice([Reason.PLANNED, Reason.PLANNED, Reason.SPILLED, Reason.ALTERNATE]),
            chute,
            (chute + 1) % 7,
            {"waybill_hi": hi, "waybill_lo": lo, "station": item.station, "trip": trip, "lane": item.station, "row": 14}
            | {"carrier": item.carrier, "service": 0, "flow": Flow.INBOUND},
        )

    def _tell(self, item: Truth, reason: Reason, chute: int, alternate: int, known: dict[str, int]) -> None:
        left_ns = self.chance.randint(-2, 60) * 1_000_000_000
        told = {"reason": reason, "chute": chute, "alternate": alternate, "deadline_ns": self.now_ns + left_ns, **known}
        self.slack.append((item.serial, left_ns, reason == Reason.LATE))
        self._decide(Verdict.DIVERT, serial=item.serial, item=item.number, line=item.line, **told)
        if chute != NONE_16 or item.told is None or item.told["chute"] == NONE_16:
            item.told = {**told, "t_ns": self.now_ns}

    def _next_trip(self) -> int:
        """Of lane 0, 08:00 and 14:00 every day: the first cut-off after now."""
        minute = ((self.now_ns + OFFSET_NS) // MINUTE_NS) % 1440
        day = (self.now_ns - MONDAY) // (24 * HOUR_NS) % 7
        return (day * 2 + (0 if minute < 480 else 1 if minute < 840 else 2)) % 14

    def _discharge(self) -> None:
        if not self.open:
            return
        item = self.chance.choice(self.open)
        where = {"line": item.line, "item": item.number}
        if self.chance.random() < 0.1:
            item.passes += 1
            self._event(Kind.DISCHARGE, value=Discharge.PASSED, chute=NONE_16, **where)
            return
        told = item.told["chute"] if item.told else NONE_16
        chute = told if told != NONE_16 and self.chance.random() < 0.9 else 3 if item.line == 0 else 6
        self._event(Kind.DISCHARGE, value=Discharge.DROPPED, chute=chute, **where)
        if item.told is None or told == NONE_16:
            reason = Reason.LATE
        else:
            reason = item.told["reason"] if chute == told else Reason.MISSORT
        self._end(item, reason, chute)

    def _end(self, item: Truth, reason: Reason, chute: int = NONE_16) -> None:
        told = item.told or {}
        known: dict[str, int] = {key: told[key] for key in ("lane", "trip") if key in told}
        known |= {"station": item.station, "carrier": item.carrier, "flow": item.flow}
        if item.waybill:
            known["waybill_hi"], known["waybill_lo"] = waybill_key(item.waybill)
        self._decide(
            Verdict.END, serial=item.serial, item=item.number, line=item.line, reason=reason, chute=chute, **known
        )
        item.outcome, item.dropped = reason, None if chute == NONE_16 else CHUTES[chute]
        self.open.remove(item)

    def _refuse(self) -> None:
        self.refused += 1
        refusal, kind = self.chance.choice(
            [(Refusal.UNKNOWN_ITEM, Kind.DISCHARGE), (Refusal.REPEAT, Kind.SCAN), (Refusal.REPEAT, Kind.ITEM)]
        )
        number = self.chance.choice(self.open).number if self.open and refusal == Refusal.REPEAT else 4_000_000_000
        codes = self._read() if kind == Kind.SCAN else {}
        self._event(kind, line=0, item=number, chute=0, **codes)
        self._decide(Verdict.REFUSE, item=number, line=0, reason=refusal)

    def _chute(self) -> None:
        chute, state = self.chance.randint(0, 3), self.chance.choice([*ChuteState][:4])
        self._event(Kind.CHUTE, line=0, chute=chute, value=state)
        self.told.append((self.now_ns, f"L1 {CHUTES[chute]}", state.name.lower(), 0))

    def _alarm(self) -> None:
        alarm, line, count = self.chance.choice([*Alarm]), self.chance.randint(0, 1), self.chance.randint(1, 9)
        self._event(Kind.ALARM, line=line, value=alarm, item=count)
        self.told.append((self.now_ns, f"L{line + 1}", alarm.word, count))

    def _command(self) -> None:
        verb = self.chance.choice([Verb.LOCK, Verb.UNLOCK, Verb.CHANGE, Verb.INTERCEPT_ADD])
        codes = self._codes(b"YT1234567890123" if verb == Verb.INTERCEPT_ADD else b"", "王站长".encode())
        self._event(Kind.COMMAND, value=verb, chute=self.chance.randint(0, 6), **codes)

    def _time_out(self) -> None:
        self._event(Kind.TICK)
        for item in self.open[: self.chance.randint(0, 2)]:
            self._end(item, Reason.LOST)

    def _advise(self) -> None:
        self._event(Kind.ADVICE, station=1, **self._codes(b"YT9999999999999"))

    def _tick(self) -> None:
        self._event(Kind.TICK)


def fill(rows: Any, values: list[dict[str, Any]]) -> None:
    """Set the named fields of every row."""
    for row, named in zip(rows, values, strict=True):
        for name, value in named.items():
            row[name] = value
