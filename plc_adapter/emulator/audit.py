"""The day judged: what really happened to every parcel, against the rule tables and against the ledger.

Nothing of the sorter is used, only its files: the tables by our own reader, ledger.db by SQL.
"""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from plc_adapter.emulator.accounting import Booked, Key, compare, first_epochs
from plc_adapter.emulator.oracle import NS_PER_S, Demand, Known, Oracle, Seen, departures
from plc_adapter.emulator.site import Site

EXAMPLES_MAX: Final = 20
MINUTE_NS: Final = 60 * NS_PER_S
HOUR_NS: Final = 60 * MINUTE_NS
CLOCKS_APART_NS: Final = 5_000_000_000  # site time: 7 ms between two processes of a day 720 times as fast
OBJECTIONS: Final = {"multi_code", "intercept", "cancelled"}  # reasons that undo what an item was told before


class Truth(msgspec.Struct):
    """A line of truth.ndjson: one parcel as it really went.

    Raises ValueError when it has readings without a scan, or not one first scan for each number.
    """

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
    readings: list[tuple[str, ...]] | None = None  # the codes that each scan told; left out: `codes`, every time
    first_scans: list[int] = []  # of `items`: the place in `scans` where each number begins; left out: 0
    ran_out: str = ""  # why it ran off the end of a straight belt: "missed", "closed", "untold"; "": it was told to
    shut: list[int] = []  # chutes that were not open when it was told to run off the end
    unreported: bool = False  # the PLC may have lost its report of the drop

    def __post_init__(self) -> None:
        """Check what belongs together."""
        if self.readings is not None and len(self.readings) > len(self.scans):
            raise ValueError(f"{len(self.readings)} readings are too many for {len(self.scans)} scans")
        if self.first_scans and len(self.first_scans) != len(self.items):
            raise ValueError(f"{len(self.first_scans)} first scans do not belong to {len(self.items)} items")

    def scans_under(self, at: int) -> list[int]:
        """When it was scanned under its number `items[at]`; without first scans the last number had them all."""
        if not self.first_scans:
            return self.scans if at == len(self.items) - 1 else []
        return self.scans[self.first_scans[at] : (*self.first_scans, len(self.scans))[at + 1]]

    def seen(self, came: Callable[[int], bool] = lambda _scan_ns: True) -> list[tuple[int, Seen]]:
        """When each scan under the last number was that `came`, and what is known by it.

        The last ones may have told nothing.
        """
        readings = [self.codes] * len(self.scans)
        if self.readings is not None:
            readings = [*self.readings, *[()] * (len(self.scans) - len(self.readings))]
        first = self.first_scans[-1] if self.first_scans else 0
        weight_g, length_mm = self.weight_g, max(self.size_mm)
        found: list[tuple[int, Seen]] = []
        before: list[tuple[str, ...]] = []
        for scan_ns, codes in zip(self.scans[first:], readings[first:], strict=True):
            if came(scan_ns):
                found.append((scan_ns, Seen(codes, weight_g, length_mm, tuple(before))))
                before.append(codes)
        return found


class Ledger(NamedTuple):
    """What the ledger holds of the day."""

    books: dict[Key, list[Booked]]  # by number, in the order they came: it comes again when a PLC restarts
    scans: dict[Key, list[int]]  # by number, when its items were scanned that did not get lost
    loads: dict[tuple[str, int], int]  # (lane, cut-off) -> items that were ever told to go with that trip
    sent_ns: dict[tuple[str, int], int]  # (lane, cut-off) -> when an operator sent it off early


class Violation(NamedTuple):
    """One thing that is wrong."""

    kind: str  # "missort" or "unaccounted"
    line: str
    item: int
    waybill: str
    chute: int
    why: str


class _Judge:
    """Says for one parcel whether it lies where the tables allow."""

    def __init__(self, site: Site, oracle: Oracle, ledger: Ledger, first_epoch: Mapping[str, int]) -> None:
        """`first_epoch`: line -> the start of its PLC with which the day began."""
        self._site = site
        self._oracle = oracle
        self._ledger = ledger
        self._first_epoch = first_epoch
        self._departures: dict[str, list[tuple[int, int]]] = {}

    def word(self, truth: Truth) -> str:
        """The reason for which its chute is right; "" when it is wrong."""
        for demand in self.demands(truth):
            word = self._fits(truth, demand)
            if word:
                return word
        return self._without_lap(truth)

    def _without_lap(self, truth: Truth) -> str:
        """Why it lies in the chute for parcels without a lap left; "" when it should not, or lies elsewhere."""
        end_chute = self._site.belts[truth.line].end_chute
        if not end_chute:
            spent = truth.laps >= self._site.max_laps[truth.line]
            in_place = truth.chute in self._oracle.exception_chutes(truth.line, "max_laps")
            return "max_laps" if spent and in_place else ""
        if truth.chute != end_chute:
            return ""
        nowhere = any(self._serving(truth.line, demand).issubset(truth.shut) for demand in self.demands(truth))
        return truth.ran_out or ("max_laps" if nowhere else "")

    def demands(self, truth: Truth) -> list[Demand]:
        """What was demanded at any moment between a scan and its deadline; the last scan first.

        What an earlier scan of the same number demanded stands, unless it was to reject the parcel,
        or the last scan shows that it must be. Where the PLC had started again, an earlier scan may have
        come before that could be known: then it counted for another item, which is lost in the ledger.
        """
        found = self._demanded(truth.seen())
        if truth.items and truth.items[-1][0] > self._first_epoch[truth.line]:
            found += self._demanded(truth.seen(lambda scan_ns: self._came(truth, scan_ns)))
        return list(dict.fromkeys(found))

    def _came(self, truth: Truth, scan_ns: int) -> bool:
        """Whether the ledger has a scan for the number under which the parcel ended; the last one always came."""
        known = self._ledger.scans.get((truth.line, truth.items[-1][1]), ())
        return scan_ns == truth.scans[-1] or any(abs(one_ns - scan_ns) <= CLOCKS_APART_NS for one_ns in known)

    def _demanded(self, scans: list[tuple[int, Seen]]) -> list[Demand]:
        """What these scans demand together; the last one first."""
        asked = [self._asked(seen, t_ns) for t_ns, seen in scans]
        if not asked:
            return []
        *earlier, last = asked
        if any(demand.kind == "reject" and demand.name in OBJECTIONS for demand in last):
            return last
        kept = [demand for demands in reversed(earlier) for demand in demands if demand.kind != "reject"]
        return list(dict.fromkeys([*last, *kept]))

    def _asked(self, seen: Seen, t_ns: int) -> list[Demand]:
        minutes = dict.fromkeys(moment_ns // MINUTE_NS for moment_ns in (t_ns, t_ns + self._site.window_ns))
        return list(dict.fromkeys(self._oracle.demand(seen, minute * MINUTE_NS) for minute in minutes))

    def _serving(self, line: str, demand: Demand) -> set[int]:
        """The chutes of a line in which a demand may be met without spilling."""
        if demand.kind == "reject":
            return self._oracle.exception_chutes(line, demand.name)
        if demand.kind == "lane":
            return set(self._chutes(line, demand.name))
        chute = int(demand.name)
        same_lane = {each for lane in self._oracle.chute_lanes[chute][:1] for each in self._chutes(line, lane)}
        return same_lane | ({chute} if self._oracle.chute_line[chute] == line else set())

    def _fits(self, truth: Truth, demand: Demand) -> str:
        if truth.chute in self._serving(truth.line, demand):
            return demand.name if demand.kind == "reject" else "planned"
        if demand.kind != "lane":
            return ""
        spills = self._oracle.lanes_after(demand.name)
        if any(truth.chute in self._chutes(truth.line, lane) for lane in spills):
            moments = [t_ns - early_ns for t_ns in truth.scans for early_ns in (0, CLOCKS_APART_NS)]
            return "spilled" if any(self._is_full(demand.name, t_ns) for t_ns in moments) else ""
        return ""

    def _chutes(self, line: str, lane: str) -> list[int]:
        return self._oracle.lane_chutes.get((line, lane), [])

    def _is_full(self, lane: str, t_ns: int) -> bool:
        """Whether the departure current at `t_ns` was sent off early, or was ever held by as many as it takes."""
        if lane not in self._departures:
            self._departures[lane] = departures(self._oracle.tables, lane, t_ns, self._site.utc_offset_h)
        for cutoff_ns, capacity in self._departures[lane]:
            if cutoff_ns > t_ns:
                is_sent = self._ledger.sent_ns.get((lane, cutoff_ns), cutoff_ns) <= t_ns + self._site.window_ns
                return is_sent or 0 < capacity <= self._ledger.loads.get((lane, cutoff_ns), 0)
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
    truths = list(_truths(truth))
    since_ns = min((entry.scans[0] for entry in truths if entry.scans), default=0) - HOUR_NS
    oracle = Oracle(site.tables, advices, intercepts, site.utc_offset_h)
    return judge(site, oracle, read_ledger(ledger, since_ns), truths)


def judge(site: Site, oracle: Oracle, ledger: Ledger, truths: Sequence[Truth]) -> dict[str, Any]:
    """The figures of `plc-adapter audit --json`."""
    judge_ = _Judge(site, oracle, ledger, first_epochs(truths))
    by_reason: Counter[str] = Counter()
    violations: list[Violation] = []
    for truth in truths:
        word = judge_.word(truth) if truth.chute else "on_belt"
        by_reason[word or "missort"] += 1
        if not word:
            violations.append(_missort(truth, f"the tables demand {_words(judge_.demands(truth))}"))
    counts: Counter[str] = Counter()
    for key, parcel, chute, why in compare(ledger.books, truths, CLOCKS_APART_NS, counts):
        waybill = parcel.waybill if isinstance(parcel, Truth) else ""
        violations.append(Violation("unaccounted", *key, waybill, chute, why))
    return _report(by_reason, violations, counts)


def _report(by_reason: Counter[str], violations: list[Violation], counts: Counter[str]) -> dict[str, Any]:
    kinds = Counter(one.kind for one in violations)
    examples = [one._asdict() for kind in kinds for one in violations if one.kind == kind][:EXAMPLES_MAX]
    return {
        "items": by_reason.total(),
        "missorted": kinds["missort"],
        "unaccounted": kinds["unaccounted"],
        "on_belt": by_reason["on_belt"],
        "untold": by_reason["untold"],
        "unreported": counts["unreported"],
        "unseen": counts["unseen"],
        "twice": counts["twice"],
        "by_reason": dict(by_reason.most_common()),
        "examples": examples,
    }


def _missort(truth: Truth, why: str) -> Violation:
    return Violation("missort", truth.line, truth.items[-1][1] if truth.items else 0, truth.waybill, truth.chute, why)


def _words(demands: list[Demand]) -> str:
    return " or ".join(
        f"{demand.kind} {demand.name}" + (f" (row {demand.row})" * (demand.row > 0)) for demand in demands
    )


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


def read_ledger(path: Path, since_ns: int) -> Ledger:
    """Items inducted since a site time, trip loads and early departures of a ledger.db."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as book:
        books: dict[Key, list[Booked]] = {}
        for line, item, outcome, dropped, entered_ns in book.execute(
            "SELECT line, item, outcome, dropped, entered_ns FROM item WHERE entered_ns >= ? ORDER BY serial",
            [since_ns],
        ):
            books.setdefault((line, item), []).append(Booked(None if outcome is None else dropped or 0, entered_ns))
        scans: dict[Key, list[int]] = {}
        for line, item, scan_ns in book.execute(
            "SELECT line, item, t_ns - 1000 * age_us FROM scan JOIN item USING (serial)"
            " WHERE entered_ns >= ? AND outcome IS NOT 'lost'",
            [since_ns],
        ):
            scans.setdefault((line, item), []).append(scan_ns)
        loads = book.execute(
            "SELECT trip.lane, cutoff_ns, count(DISTINCT serial) FROM decision JOIN trip USING (trip)"
            " WHERE chute IS NOT NULL GROUP BY trip.trip"
        )
        sent = book.execute("SELECT lane, cutoff_ns, sent_ns FROM trip WHERE sent_ns IS NOT NULL")
        return Ledger(
            books,
            scans,
            {(lane, cutoff_ns): items for lane, cutoff_ns, items in loads},
            {(lane, cutoff_ns): sent_ns for lane, cutoff_ns, sent_ns in sent},
        )
