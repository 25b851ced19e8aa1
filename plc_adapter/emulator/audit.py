"""The day judged: what really happened to every parcel, against the rule tables and against the ledger.

Nothing of the sorter is used, only its files: the tables by our own reader, ledger.db by SQL.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from plc_adapter.emulator.oracle import NS_PER_S, Demand, Known, Oracle, Seen, departures
from plc_adapter.emulator.site import Site

EXAMPLES_MAX: Final = 20
MINUTE_NS: Final = 60 * NS_PER_S


class Truth(msgspec.Struct):
    """A line of truth.ndjson: one parcel as it really went."""

    line: str
    items: list[tuple[int, int]]  # (epoch, number) of the PLC, the last one is valid
    waybill: str
    codes: tuple[str, ...]
    weight_g: int
    size_mm: tuple[int, int, int]
    station: str
    scans: list[int]
    chute: int  # 0: still on the belt
    dropped_ns: int
    laps: int


class End(NamedTuple):
    """How the ledger says an item ended."""

    chute: int  # 0: none
    reason: str
    lane: str
    cutoff_ns: int  # of its trip; 0: none


class Ledger(NamedTuple):
    """What the ledger holds of the day."""

    ends: dict[tuple[str, int, int], list[End]]  # (line, epoch, item) -> its ends
    loads: Counter[tuple[str, int]]  # (lane, cut-off) -> items sorted into that trip
    sent_ns: dict[tuple[str, int], int]  # (lane, cut-off) -> when an operator sent it off early


class Fault(NamedTuple):
    """One thing that is wrong."""

    kind: str  # "missort" or "unaccounted"
    line: str
    item: int
    waybill: str
    chute: int
    why: str


class _Judge:
    """Says for one parcel whether it lies where the tables allow."""

    def __init__(self, site: Site, oracle: Oracle, ledger: Ledger) -> None:
        self._site = site
        self._oracle = oracle
        self._ledger = ledger
        self._departures: dict[str, list[tuple[int, int]]] = {}
        self._around_ns = 0

    def word(self, truth: Truth) -> str:
        """The reason for which its chute is right; "" when it is wrong."""
        for demand in self.demands(truth):
            word = self._fits(truth, demand)
            if word:
                return word
        if truth.laps >= self._site.max_laps[truth.line] and truth.chute in self._oracle.exception_chutes(
            truth.line, "max_laps"
        ):
            return "max_laps"
        return ""

    def demands(self, truth: Truth) -> list[Demand]:
        """What was demanded at any moment between a scan and its deadline; the last scan first."""
        seen = Seen(truth.codes, truth.weight_g, max(truth.size_mm))
        ends_ns = [(t_ns, t_ns + self._site.window_ns) for t_ns in reversed(truth.scans)]
        minutes = dict.fromkeys(t_ns // MINUTE_NS for pair in ends_ns for t_ns in pair)
        return list(dict.fromkeys(self._oracle.demand(seen, minute * MINUTE_NS) for minute in minutes))

    def _fits(self, truth: Truth, demand: Demand) -> str:
        if demand.kind == "reject":
            return demand.name if truth.chute in self._oracle.exception_chutes(truth.line, demand.name) else ""
        if demand.kind == "chute":
            chute = int(demand.name)
            lanes = self._oracle.chute_lanes[chute][:1]
            same_lane = [each for lane in lanes for each in self._chutes(truth.line, lane)]
            return "planned" if truth.chute in (chute, *same_lane) else ""
        if truth.chute in self._chutes(truth.line, demand.name):
            return "planned"
        lane = demand.name
        for spill in self._oracle.lanes_after(demand.name):
            if not any(self._is_full(lane, t_ns) for t_ns in truth.scans):
                return ""
            if truth.chute in self._chutes(truth.line, spill):
                return "spilled"
            lane = spill
        return ""

    def _chutes(self, line: str, lane: str) -> list[int]:
        return self._oracle.lane_chutes.get((line, lane), [])

    def _is_full(self, lane: str, t_ns: int) -> bool:
        """Whether the lane's departure that is current at `t_ns` was full in the end, or sent off by then."""
        if lane not in self._departures:
            self._departures[lane] = departures(self._oracle.tables, lane, t_ns, self._site.utc_offset_h)
        for cutoff_ns, capacity in self._departures[lane]:
            if cutoff_ns > t_ns:
                is_sent = self._ledger.sent_ns.get((lane, cutoff_ns), cutoff_ns) <= t_ns + self._site.window_ns
                return is_sent or 0 < capacity <= self._ledger.loads[lane, cutoff_ns]
        return False


def audit(site: Site, day: Path, truth: Path, ledger: Path) -> dict[str, Any]:
    """Judge a day. `day` is the folder of advices.csv and intercepts.csv, `ledger` is ledger.db.

    Raises FileNotFoundError, saying which file and what makes it.
    """
    for path, maker in ((truth, "emulate"), (ledger, "sorter run"), (day / "advices.csv", "traffic")):
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; {maker} writes it")
    advices = dict(_advices(day / "advices.csv"))
    intercepts = [row["waybill"] for row in _rows(day / "intercepts.csv")]
    book = read_ledger(ledger)
    oracle = Oracle(site.tables, advices, intercepts, site.utc_offset_h)
    return judge(site, oracle, book, _truths(truth))


def judge(site: Site, oracle: Oracle, ledger: Ledger, truths: Iterator[Truth]) -> dict[str, Any]:
    """The figures of `plc-adapter audit --json`."""
    judge_ = _Judge(site, oracle, ledger)
    by_reason: Counter[str] = Counter()
    faults: list[Fault] = []
    unseen = set(ledger.ends)
    for truth in truths:
        word = judge_.word(truth) if truth.chute else "on_belt"
        by_reason[word or "missort"] += 1
        if not word:
            faults.append(_fault("missort", truth, f"the tables demand {_words(judge_.demands(truth))}"))
        why = _unaccounted(truth, ledger, unseen)
        if why:
            faults.append(_fault("unaccounted", truth, why))
    faults += [
        Fault("unaccounted", line, item, "", 0, "the ledger has an item that never was on the belt")
        for line, _, item in sorted(unseen)
    ]
    return _report(by_reason, faults)


def _report(by_reason: Counter[str], faults: list[Fault]) -> dict[str, Any]:
    kinds = Counter(fault.kind for fault in faults)
    examples = [fault._asdict() for kind in kinds for fault in faults if fault.kind == kind][:EXAMPLES_MAX]
    return {
        "items": by_reason.total(),
        "missorted": kinds["missort"],
        "unaccounted": kinds["unaccounted"],
        "on_belt": by_reason["on_belt"],
        "by_reason": dict(by_reason.most_common()),
        "examples": examples,
    }


def _fault(kind: str, truth: Truth, why: str) -> Fault:
    return Fault(kind, truth.line, truth.items[-1][1] if truth.items else 0, truth.waybill, truth.chute, why)


def _words(demands: list[Demand]) -> str:
    return " or ".join(
        f"{demand.kind} {demand.name}" + (f" (row {demand.row})" * (demand.row > 0)) for demand in demands
    )


def _unaccounted(truth: Truth, ledger: Ledger, unseen: set[tuple[str, int, int]]) -> str:
    """Why the ledger does not tell the truth of a parcel; "" when it does."""
    keys = [(truth.line, epoch, item) for epoch, item in truth.items]
    unseen.difference_update(keys)
    told = [[end.chute for end in ledger.ends.get(key, [])] for key in keys]
    for key, chutes in zip(keys[:-1], told, strict=False):
        if chutes not in ([], [0]):
            return f"item {key[2]}, a number the PLC forgot, ended in chute {chutes[-1]} in the ledger"
    chutes = told[-1] if told else []
    if chutes == ([truth.chute] if truth.chute else []):
        return ""
    return f"the ledger has it in chute {', '.join(map(str, chutes))}" if chutes else "the ledger has no end of it"


def _truths(path: Path) -> Iterator[Truth]:
    decode = msgspec.json.Decoder(Truth).decode
    with path.open("rb") as file:
        yield from map(decode, file)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _advices(path: Path) -> Iterator[tuple[str, Known]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        at = {name: place for place, name in enumerate(next(rows))}
        columns = [at[name] for name in ("waybill", "carrier", "station", "service", "flow", "weight_g", "cancelled")]
        for row in rows:
            waybill, carrier, station, service, flow, weight_g, cancelled = (row[place] for place in columns)
            yield waybill, Known(carrier, station, service, flow, int(weight_g or 0), cancelled == "1")


def read_ledger(path: Path) -> Ledger:
    """The ends, trip loads and early departures of a ledger.db."""
    raise NotImplementedError
