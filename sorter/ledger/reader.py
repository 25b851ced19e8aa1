"""Questions to ledger.db: where is this parcel, what happened on this day. Reads only, and never for long."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import apsw

from sorter.ledger.departures import DAY_NS, Departures
from sorter.ledger.schema import DATABASE_NAME, SCHEMA_VERSION
from sorter.reasons import EXCEPTIONS, Reason
from sorter.records import RecordedAdvice, RecordedParcel, SortPlan, plan_from_bytes

SORTED: Final = frozenset(reason.word for reason in Reason if reason not in EXCEPTIONS)
SLOT_MINUTES: Final = 15
_CANCELLED: Final = Reason.CANCELLED.word
_INTERCEPT: Final = Reason.INTERCEPT.word
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_SERIAL: Final = 1 << 62


class NotReady(Exception):
    """There is no projection yet."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Items that came in during a quarter of an hour, by what became of them."""

    minute: int  # local, of the day
    inducted: int
    sorted: int
    exceptions: int
    on_belt: int


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """Items sorted into a lane; an empty word: into a chute without lane."""

    lane: str
    title: str
    kind: str
    items: int


@dataclass(frozen=True, slots=True)
class FlowFigures:
    """Items of a carrier for a township in one direction; an empty word is unknown."""

    carrier: str
    title: str
    township: str
    flow: str
    inducted: int
    sorted: int


@dataclass(frozen=True, slots=True)
class TripFigures:
    """One departure whose cut-off is on the day, empty ones included."""

    lane: str
    title: str
    cutoff_ns: int
    departs_ns: int
    capacity: int  # items; 0: unlimited
    load: int
    sent_ns: int | None  # when an operator sent it off


@dataclass(frozen=True, slots=True)
class DisturbanceFigures:
    """One kind of disturbance of a line on a day."""

    line: str
    what: str  # an alarm's word, `blocked`, `full`, or `missed`: diverts that the PLC reports as failed
    times: int
    items: int  # orders, reports or readings it was about; 0: it is not about such
    lasted_ns: int  # together; 0: it does not last
    longest_ns: int
    lasting: int  # how many of them have not ended


@dataclass(frozen=True, slots=True)
class SlackFigures:
    """How long before their deadlines a line's items were decided; negative: too late."""

    line: str
    decisions: int
    late: int
    least_ns: int
    p01_ns: int  # one in a hundred had less
    p50_ns: int


@dataclass(frozen=True, slots=True)
class Day:
    """The figures of the items inducted on a day.

    inducted == sum(ended.values()) + on_belt, and slots and flows add up to the same.
    """

    day: str  # local, 2026-11-11
    utc_offset_ns: int
    plans: tuple[str, ...]  # versions that decided
    inducted: int
    ended: dict[str, int]  # reason word -> items
    on_belt: int
    slots: tuple[Slot, ...]  # the whole day
    lanes: tuple[LaneFigures, ...]  # most items first
    flows: tuple[FlowFigures, ...]  # most items first
    trips: tuple[TripFigures, ...]  # by cut-off
    refusals: dict[str, int]  # refusal word -> events that changed nothing
    disturbances: tuple[DisturbanceFigures, ...]  # by line, most times first
    slack: tuple[SlackFigures, ...]  # by line

    @property
    def sorted(self) -> int:
        """Items that went into a stream of their own."""
        return sum(items for word, items in self.ended.items() if word in SORTED)

    @property
    def exceptions(self) -> dict[str, int]:
        """Items that did not, by reason, most first."""
        rest = [(word, items) for word, items in self.ended.items() if word not in SORTED]
        return dict(sorted(rest, key=lambda one: (-one[1], one[0])))

    @property
    def hours(self) -> tuple[Slot, ...]:
        """`slots` by the hour."""
        per_hour = 60 // SLOT_MINUTES
        groups = [self.slots[at : at + per_hour] for at in range(0, len(self.slots), per_hour)]
        return tuple(
            Slot(
                group[0].minute,
                sum(slot.inducted for slot in group),
                sum(slot.sorted for slot in group),
                sum(slot.exceptions for slot in group),
                sum(slot.on_belt for slot in group),
            )
            for group in groups
        )


_ITEMS: Final = """
    SELECT serial, line, item, item.chute, alternate, reason, row, version, decided_ns,
        (SELECT deadline_ns FROM decision WHERE decision.serial = item.serial AND t_ns = decided_ns),
        ended_ns, outcome, dropped,
        load_unit.chute || '-' || load_unit.number, trip.lane, cutoff_ns, departs_ns
    FROM item LEFT JOIN plan ON plan.number = item.plan
        LEFT JOIN load_unit USING (load_unit) LEFT JOIN trip USING (trip)
    WHERE waybill = ? ORDER BY serial
"""
_SCANS: Final = """
    SELECT scan.t_ns, codes, weight_g, length_mm, width_mm, height_mm, induct, lap,
        chute, alternate, reason, row, version, decision.t_ns, deadline_ns
    FROM scan JOIN decision USING (serial, seq) LEFT JOIN plan ON plan.number = decision.plan
    WHERE serial = ? ORDER BY seq
"""
_LAST_DISCHARGE: Final = "SELECT t_ns, chute, outcome FROM discharge WHERE serial = ? ORDER BY seq DESC LIMIT 1"

_PARCELS: Final = """
    SELECT scan.t_ns, line, codes, coalesce(scan.weight_g, 0), coalesce(length_mm, 0),
        coalesce(carrier, ''), coalesce(station, ''), coalesce(service, ''), coalesce(flow, ''),
        iif(row IS NULL, reason, '')
    FROM item CROSS JOIN scan ON scan.serial = item.serial
        AND scan.seq = (
            SELECT seq FROM scan AS any_scan WHERE any_scan.serial = item.serial
            ORDER BY item.waybill IS NOT NULL AND instr(upper(any_scan.codes), '"' || item.waybill || '"') = 0, seq
            LIMIT 1
        )
"""
_PARCELS_OF_DAY: Final = _PARCELS + "WHERE item.serial BETWEEN ? AND ? ORDER BY item.serial"
_LAST_PARCEL: Final = _PARCELS + "WHERE waybill = ? ORDER BY item.serial DESC LIMIT 1"

# ? AND ?: the day's serials.
_BY_OUTCOME: Final = """
    SELECT outcome, count(*) FROM counted WHERE serial BETWEEN ? AND ? GROUP BY outcome ORDER BY count(*) DESC, outcome
"""
_BY_SLOT: Final = """
    SELECT minute / 15, count(*), sum(sorted), sum(outcome IS NOT NULL AND NOT sorted), sum(outcome IS NULL)
    FROM counted WHERE serial BETWEEN ? AND ? GROUP BY minute / 15
"""
_BY_LANE: Final = """
    SELECT coalesce(lane, ''), coalesce(title, lane, ''), coalesce(kind, ''), count(*)
    FROM counted LEFT JOIN lane USING (lane)
    WHERE serial BETWEEN ? AND ? AND sorted GROUP BY lane ORDER BY count(*) DESC, lane
"""
_BY_FLOW: Final = """
    SELECT coalesce(carrier, ''), coalesce(title, carrier, ''), coalesce(township, ''), coalesce(flow, ''),
        count(*), sum(sorted)
    FROM counted LEFT JOIN carrier USING (carrier)
    WHERE serial BETWEEN ? AND ? GROUP BY carrier, township, flow ORDER BY count(*) DESC, carrier, township, flow
"""
_DISTURBANCES: Final = """
    SELECT line, what, count(*) AS times, sum(items), sum(until_ns - since_ns), max(until_ns - since_ns), sum(lasts)
    FROM (
        SELECT line, what, items, ended_ns IS NULL AS lasts,
            max(began_ns, :from_ns) AS since_ns, min(coalesce(ended_ns, max(began_ns, :now_ns)), :to_ns) AS until_ns
        FROM disturbance WHERE began_ns < :to_ns AND coalesce(ended_ns, max(began_ns, :now_ns)) >= :from_ns
    ) GROUP BY line, what
    UNION ALL SELECT line, 'missed', count(*) AS times, 0, 0, 0, 0
    FROM discharge CROSS JOIN item USING (serial)
    WHERE discharge.serial BETWEEN :first AND :last AND discharge.outcome = 'passed' GROUP BY line
    ORDER BY line, times DESC
"""
_SLACK: Final = """
    SELECT line, count(*), sum(decision.reason = 'late'), min(deadline_ns - t_ns)
    FROM decision CROSS JOIN item USING (serial)
    WHERE decision.serial BETWEEN ? AND ?
    GROUP BY line, (deadline_ns - t_ns - ((deadline_ns - t_ns) % 100000000 + 100000000) % 100000000) ORDER BY line, 4
"""
_PLANS: Final = """
    SELECT version FROM plan
    WHERE number IN (SELECT plan FROM item WHERE serial BETWEEN ? AND ?) ORDER BY number
"""

assert {"planned", "spilled", "alternate"} == SORTED
assert SLOT_MINUTES == 15


class Reader:
    """A view of the projection. Every answer is from one transaction."""

    def __init__(self, folder: Path) -> None:
        """Open FOLDER/ledger.db. Raises NotReady when there is none yet."""
        path = folder / DATABASE_NAME
        try:
            self._database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._database.set_busy_timeout(10_000)
            ready = self._database.execute("PRAGMA user_version").get == SCHEMA_VERSION
        except apsw.CantOpenError:
            ready = False
        if not ready:
            raise NotReady(
                f"{path} is not there, or of another version of the program. Start `sorter run`: it makes the file "
                f"from the journal"
            )

    def close(self) -> None:
        """Give up the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _one_view(self) -> Iterator[None]:
        """One transaction: every query sees the same rows."""
        with self._database:
            yield

    def seq(self) -> int:
        """Events of the journal that the answers include."""
        return int(self._database.execute("SELECT seq FROM progress").get)

    def days(self) -> list[str]:
        """Days with items, ascending."""
        return [day for (day,) in self._database.execute("SELECT day FROM day ORDER BY day")]

    def trace(self, waybill: str) -> dict[str, Any] | None:
        """All that is known of a waybill, in the shape of `sorter trace --json`; None when unknown.

        A scan has the keys t_ns, codes, weight_g, size_mm, induct, lap and its own decision; a discharge has t_ns,
        chute, outcome and the reason the item ended with (None: it is still on the belt).
        """
        wanted = waybill.strip().upper()
        with self._one_view():
            items = [self._item(*row) for row in self._database.execute(_ITEMS, (wanted,)).fetchall()]
        return {"waybill": wanted, "items": items} if items else None

    def _item(self, serial: Any, line: Any, number: Any, *rest: Any) -> dict[str, Any]:
        decided, (ended_ns, outcome, dropped, load_unit, lane, cutoff_ns, departs_ns) = rest[:7], rest[7:]
        passed = self._database.execute(_LAST_DISCHARGE, (serial,)).fetchone()
        discharge = None
        if outcome is not None:
            told = "lost" if dropped is None else "dropped"
            discharge = {"t_ns": ended_ns, "chute": dropped, "outcome": told, "reason": outcome}
        elif passed is not None:
            discharge = {"t_ns": passed[0], "chute": passed[1], "outcome": passed[2], "reason": None}
        return {
            "line": line,
            "item": number,
            "scans": [_scan(*row) for row in self._database.execute(_SCANS, (serial,))],
            "decision": _decision(*decided),
            "discharge": discharge,
            "load_unit": load_unit,
            "trip": lane and {"lane": lane, "cutoff_ns": cutoff_ns, "departs_ns": departs_ns},
        }

    def parcels(self, day: str) -> list[RecordedParcel]:
        """The items inducted on a local day, as they were first scanned, by serial; an item never scanned is left out.

        Of an item with a waybill it is the first scan that read it.
        The ledger does not tell: whether the station came from an advice or from a sort code on the label (here it is
        an advice either way); a weight that was declared and never measured (0); what a carrier advised of an item
        whose waybill was never read alone, or a station that no plan knew (no advice); a cancellation or an intercept
        that decided nothing, because the item was late or intercepted too (not set).
        Raises ValueError when `day` is no date.
        """
        day = date.fromisoformat(day).isoformat()
        with self._one_view():
            return [_parcel(*row) for row in self._database.execute(_PARCELS_OF_DAY, self._serials(day))]

    def parcel(self, waybill: str) -> RecordedParcel | None:
        """The last item of a waybill, as it was first scanned; as far as `parcels` can tell."""
        row = self._database.execute(_LAST_PARCEL, (waybill,)).fetchone()
        return _parcel(*row) if row else None

    def report(self, day: str) -> Day:
        """The figures of a local day such as 2026-11-11; all zero for a day without items.

        Raises ValueError when `day` is no date.
        """
        day = date.fromisoformat(day).isoformat()
        with self._one_view():
            span = self._serials(day)
            plan = self._plan_of(day)
            ended = dict(self._database.execute(_BY_OUTCOME, span))
            on_belt = ended.pop(None, 0)
            return Day(
                day=day,
                utc_offset_ns=plan.plan.utc_offset_ns if plan else 0,
                plans=tuple(version for (version,) in self._database.execute(_PLANS, span)),
                inducted=sum(ended.values()) + on_belt,
                ended=ended,
                on_belt=on_belt,
                slots=self._slots(span),
                lanes=tuple(LaneFigures(*row) for row in self._database.execute(_BY_LANE, span)),
                flows=tuple(FlowFigures(*row) for row in self._database.execute(_BY_FLOW, span)),
                trips=self._trips(day, plan),
                refusals=dict(self._database.execute("SELECT refusal, events FROM refusal WHERE day = ?", (day,))),
                disturbances=self._disturbances(day, plan, span),
                slack=self._slack(span),
            )

    def _serials(self, day: str) -> tuple[int, int]:
        first = self._database.execute("SELECT first_serial FROM day WHERE day = ?", (day,)).get
        if first is None:
            return 0, -1
        following = self._database.execute("SELECT min(first_serial) FROM day WHERE day > ?", (day,)).get
        return first, (following or _LAST_SERIAL) - 1

    def _plan_of(self, day: str) -> SortPlan | None:
        """The plan in force when the day ended."""
        ends_ns = _utc_ns(day) + DAY_NS
        query = "SELECT data FROM plan WHERE t_ns + utc_offset_ns < ? ORDER BY t_ns DESC LIMIT 1"
        data = self._database.execute(query, (ends_ns,)).get
        return plan_from_bytes(data) if data is not None else None

    def _slots(self, span: tuple[int, int]) -> tuple[Slot, ...]:
        counts = {slot: rest for slot, *rest in self._database.execute(_BY_SLOT, span)}
        every = range(24 * 60 // SLOT_MINUTES)
        return tuple(Slot(slot * SLOT_MINUTES, *counts.get(slot, (0, 0, 0, 0))) for slot in every)

    def _disturbances(self, day: str, plan: SortPlan | None, span: tuple[int, int]) -> tuple[DisturbanceFigures, ...]:
        """As far as they fall on the day; what lasts counts until the last item came in."""
        from_ns = _utc_ns(day) - (plan.plan.utc_offset_ns if plan else 0)
        now_ns = self._database.execute("SELECT entered_ns FROM item WHERE serial = (SELECT max(serial) FROM item)")
        bounds = {"from_ns": from_ns, "to_ns": from_ns + DAY_NS, "now_ns": now_ns.get or from_ns}
        rows = self._database.execute(_DISTURBANCES, bounds | {"first": span[0], "last": span[1]})
        return tuple(DisturbanceFigures(*row) for row in rows)

    def _slack(self, span: tuple[int, int]) -> tuple[SlackFigures, ...]:
        """From counts per tenth of a second, so the shares are exact to that."""
        tenths: dict[str, list[tuple[int, int, int]]] = {}
        for line, *counts in self._database.execute(_SLACK, span):
            tenths.setdefault(line, []).append(tuple(counts))
        return tuple(_slack_of(line, counts) for line, counts in tenths.items())

    def _trips(self, day: str, plan: SortPlan | None) -> tuple[TripFigures, ...]:
        query = "SELECT lane, cutoff_ns, departs_ns, capacity, load, sent_ns FROM trip WHERE day = ?"
        rows = {(row[0], row[1]): TripFigures(row[0], "", *row[1:]) for row in self._database.execute(query, (day,))}
        titles = dict(self._database.execute("SELECT lane, title FROM lane"))
        starts_ns = _utc_ns(day) - plan.plan.utc_offset_ns if plan else 0
        listed = Departures(plan).within(starts_ns - 1, starts_ns + DAY_NS - 1) if plan else []
        for lane, cutoff_ns, departs_ns, capacity in listed:
            rows.setdefault((lane, cutoff_ns), TripFigures(lane, "", cutoff_ns, departs_ns, capacity, 0, None))
        named = (replace(row, title=titles.get(row.lane, row.lane)) for row in rows.values())
        return tuple(sorted(named, key=lambda row: (row.cutoff_ns, row.lane)))

    def on_belt(self) -> list[dict[str, Any]]:
        """Items on the belt, oldest first."""
        query = "SELECT line, item, waybill, entered_ns, chute, reason FROM item WHERE outcome IS NULL ORDER BY serial"
        return self._dicts(query)

    def chutes(self) -> list[dict[str, Any]]:
        """Every chute of the plan, its state and what stands under it."""
        return self._dicts(
            "SELECT chute.chute, line, lane, capacity, state, locked, coalesce(items, 0) AS items FROM chute "
            "LEFT JOIN load_unit ON load_unit.chute = chute.chute AND closed_ns IS NULL ORDER BY chute.chute"
        )

    def commands(self, limit: int = 100) -> list[dict[str, Any]]:
        """What operators ordered last, newest first; `refusal` None: it was done."""
        query = "SELECT t_ns, verb, chute, waybill, lane, who, refusal FROM command ORDER BY seq DESC LIMIT ?"
        return self._dicts(query, limit)

    def _dicts(self, query: str, *values: int) -> list[dict[str, Any]]:
        cursor = self._database.execute(query, values)
        return [dict(zip([name for name, *_ in cursor.get_description()], row, strict=True)) for row in cursor]


def _utc_ns(day: str) -> int:
    """Midnight of a date in UTC."""
    return (date.fromisoformat(day).toordinal() - _EPOCH_DAY) * DAY_NS


def _slack_of(line: str, tenths: list[tuple[int, int, int]]) -> SlackFigures:
    """`tenths`: (decisions, late ones, least left) of each tenth of a second, least first."""
    total = sum(count for count, _, _ in tenths)
    seen = 0
    reached: dict[float, int] = {}
    for count, _, least_ns in tenths:
        seen += count
        for share in (0.01, 0.5):
            if seen >= share * total:
                reached.setdefault(share, least_ns)
    return SlackFigures(line, total, sum(late for _, late, _ in tenths), tenths[0][2], reached[0.01], reached[0.5])


def _decision(*values: Any) -> dict[str, Any] | None:
    *told, t_ns, deadline_ns = values
    if t_ns is None:
        return None
    keys = ("chute", "alternate", "reason", "row", "plan")
    slack_ms = round((deadline_ns - t_ns) / 1e6, 1)
    return dict(zip(keys, told, strict=True)) | {"t_ns": t_ns, "slack_ms": slack_ms}


def _parcel(t_ns: Any, line: Any, codes: Any, *rest: Any) -> RecordedParcel:
    weight_g, length_mm, carrier, station, service, flow, reason = rest
    cancelled = reason == _CANCELLED
    advice = RecordedAdvice(carrier, station, service, flow, cancelled) if cancelled or station else None
    return RecordedParcel(t_ns, line, tuple(json.loads(codes)), weight_g, length_mm, advice, reason == _INTERCEPT)


def _scan(t_ns: Any, codes: Any, weight_g: Any, *rest: Any) -> dict[str, Any]:
    (*size_mm, induct, lap), decided = rest[:5], rest[5:]
    return {
        "t_ns": t_ns,
        "codes": json.loads(codes),
        "weight_g": weight_g,
        "size_mm": size_mm if any(size_mm) else None,
        "induct": induct,
        "lap": lap,
        "decision": _decision(*decided),
    }
