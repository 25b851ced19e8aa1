"""What the rule tables demand for one parcel, found by plain loops over plain rows.

It shares no code with the sorter: own reader, Python's `re`, first row that fits. Slow and
obvious on purpose; what does not change between parcels is remembered, nothing is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from plc_adapter.emulator.tables import SEGMENTS, Row, Tables, chutes_of, fits

NS_PER_S: Final = 1_000_000_000
DAY_MIN: Final = 1440
SPILL_HOPS_MAX: Final = 4
STANDARD: Final = "standard"
FLOW_UNKNOWN: Final = "inbound"  # what an item counts as whose advice is missing
REJECT: Final = "reject:"
DAY_WORDS: Final = (
    ("1", "mon", "monday", "一", "周一", "星期一"),
    ("2", "tue", "tuesday", "二", "周二", "星期二"),
    ("3", "wed", "wednesday", "三", "周三", "星期三"),
    ("4", "thu", "thursday", "四", "周四", "星期四"),
    ("5", "fri", "friday", "五", "周五", "星期五"),
    ("6", "sat", "saturday", "六", "周六", "星期六"),
    ("7", "sun", "sunday", "日", "周日", "星期日", "天", "周天", "星期天"),
)


class Known(NamedTuple):
    """What an advice says of a waybill."""

    carrier: str
    station: str
    service: str
    flow: str
    weight_g: int  # 0: not declared
    cancelled: bool


class Seen(NamedTuple):
    """What the scanner and the DWS told of a parcel as it passed."""

    codes: tuple[str, ...]  # an empty one was not read
    weight_g: int  # 0: not weighed
    length_mm: int  # the longest side; 0: not measured
    before: tuple[tuple[str, ...], ...] = ()  # the codes of each earlier scan of the item, oldest first


class Demand(NamedTuple):
    """Where a parcel has to go: a lane, a chute of its own, or a reason to reject it."""

    kind: str  # "lane", "chute" or "reject"
    name: str
    row: int  # the rule's number; 0: no rule


class _Rule(NamedTuple):
    row: int
    weight_g: tuple[tuple[int, int], ...]
    length_mm: tuple[tuple[int, int], ...]
    minutes: tuple[tuple[int, int], ...]
    days: frozenset[int]
    demand: Demand


class Oracle:
    """The tables of a site, ready to be asked."""

    def __init__(
        self, tables: Tables, advices: dict[str, Known], intercepts: Iterable[str], utc_offset_h: float = 8.0
    ) -> None:
        self.tables = tables
        self.lane_chutes = chutes_of(tables)
        self.chute_lanes = {
            int(row["chute"]): tuple(lane.strip() for lane in row["lane"].split("|") if lane) for row in tables.chutes
        }
        self.chute_line = {int(row["chute"]): row["line"] for row in tables.chutes}
        self.spill = {row["lane"]: row["spill_to"] for row in tables.lanes}
        self._advices = advices
        self._intercepts = frozenset(intercepts)
        self._zone_ns = round(utc_offset_h * 3600) * NS_PER_S
        self._patterns = [
            (row["carrier"], re.compile(row["waybill"], re.IGNORECASE), _date(row["valid_from"]))
            for row in tables.carriers
        ]
        self._carriers_of = lru_cache(4096)(self._match)  # a parcel is asked about for several moments
        self._stations = {row["station"]: row for row in tables.stations}
        self._first: dict[tuple[str, str, str, str], list[_Rule]] = {}
        self._sort_codes = _sort_codes(tables, [carrier for carrier, _, _ in self._patterns])

    def demand(self, seen: Seen, t_ns: int) -> Demand:
        """What the tables demand of a parcel that is decided at site time `t_ns`.

        An item that ever showed two waybills is `multi_code` from then on; one that showed a single
        waybill, and then none, still has it.
        """
        local = datetime.fromtimestamp((t_ns + self._zone_ns) // NS_PER_S, UTC)
        readings = (*seen.before, seen.codes)
        waybills = {code.upper() for codes in readings for code in codes if self._carriers_of(code, local.date())}
        if len(waybills) != 1:
            return _reject("multi_code" if waybills else "unknown_code" if any(seen.codes) else "no_read")
        (waybill,) = waybills
        if waybill in self._intercepts:
            return _reject("intercept")
        known = self._advices.get(waybill) or self._by_labels(readings, waybill, local.date())
        if known is None:
            return _reject("no_advice")
        if known.cancelled:
            return _reject("cancelled")
        return self._by_rules(known, seen, local)

    def exception_chutes(self, line: str, reason: str) -> set[int]:
        """The chutes of a line that take a reason."""
        return {
            int(row["chute"])
            for row in self.tables.exceptions
            if fits(row["reason"], reason) and fits(row["line"], line)
        }

    def lanes_after(self, lane: str) -> list[str]:
        """The lanes that a full lane may spill to, nearest first."""
        found: list[str] = []
        while (lane := self.spill.get(lane, "")) and len(found) < SPILL_HOPS_MAX and lane not in found:
            found.append(lane)
        return found

    def _match(self, code: str, on: date) -> list[str]:
        return [carrier for carrier, pattern, since in self._patterns if since <= on and pattern.fullmatch(code)]

    def _by_labels(self, readings: tuple[tuple[str, ...], ...], waybill: str, on: date) -> Known | None:
        """What the last reading tells that shows the waybill and sort codes that name a station beside it."""
        for codes in reversed(readings):
            known = self._by_sort_code(codes, waybill, on) if waybill in map(str.upper, codes) else None
            if known:
                return known
        return None

    def _by_sort_code(self, codes: tuple[str, ...], waybill: str, on: date) -> Known | None:
        """What a label alone tells: nothing, when its sort codes name no station or do not agree."""
        carriers = self._carriers_of(waybill, on)
        named = [self._of_sort_code(code.upper(), carriers) for code in codes if not self._carriers_of(code, on)]
        found = [each for each in named if each is not None]
        if len({station for _, station in found}) != 1:
            return None
        carrier, station = found[-1]
        return Known(carrier, station, STANDARD, FLOW_UNKNOWN, 0, cancelled=False)

    def _of_sort_code(self, code: str, carriers: list[str]) -> tuple[str, str] | None:
        """The longest part of the code, cut at dashes, that one of the carriers and no second one uses."""
        parts = code.split("-")
        for length in range(len(parts), 0, -1):
            text = "-".join(parts[:length])
            users = [carrier for carrier in dict.fromkeys(carriers) if (carrier, text) in self._sort_codes]
            if users:
                return (users[0], self._sort_codes[users[0], text]) if len(users) == 1 else None
        return None

    def _by_rules(self, known: Known, seen: Seen, local: datetime) -> Demand:
        key = (known.carrier, known.station, known.service, known.flow)
        rules = self._first.get(key)
        if rules is None:
            rules = self._first[key] = self._candidates(*key)
        weight_g = seen.weight_g or known.weight_g
        for rule in rules:
            if (
                _within(rule.weight_g, weight_g)
                and _within(rule.length_mm, seen.length_mm)
                and _is_time(rule, local.weekday(), local.hour * 60 + local.minute)
            ):
                return rule.demand
        lane = self._stations[known.station]["lane"]
        return Demand("lane", lane, 0) if lane else _reject("no_rule")

    def _candidates(self, carrier: str, station: str, service: str, flow: str) -> list[_Rule]:
        words = {
            "carrier": carrier,
            "station": station,
            "township": self._stations[station]["township"],
            "service": service,
            "flow": flow,
        }
        rows = [row for row in self.tables.rules if all(fits(row[column], word) for column, word in words.items())]
        return sorted(map(_rule, rows), key=lambda rule: rule.row)


def _reject(reason: str) -> Demand:
    return Demand("reject", reason, 0)


def _rule(row: Row) -> _Rule:
    number, target = int(row["row"]), row["send_to"]
    if target.lower().startswith(REJECT):
        demand = Demand("reject", target[len(REJECT) :].strip().lower(), number)
    else:
        demand = Demand("chute" if target.isdigit() else "lane", target, number)
    return _Rule(
        number,
        _spans(row["weight_g"], _numbers),
        _spans(row["length_mm"], _numbers),
        _spans(row["time"], _minutes),
        _days(row["days"]),
        demand,
    )


def _spans(cell: str, read: Callable[[str], tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    return tuple(read(part.strip()) for part in cell.split("|")) if cell else ()


def _numbers(text: str) -> tuple[int, int]:
    """`0..3000`, `>3000`, `<=5` or `7`, both ends included."""
    if ".." in text:
        low, high = text.split("..")
        return int(low), int(high)
    for sign, low_step, high_step in ((">=", 0, None), ("<=", None, 0), (">", 1, None), ("<", None, -1)):
        if text.startswith(sign):
            bound = int(text[len(sign) :])
            return (bound + low_step, 1 << 40) if low_step is not None else (0, bound + (high_step or 0))
    return int(text), int(text)


def _minutes(text: str) -> tuple[int, int]:
    """`22:00..02:00` as minutes of the day it begins on, the last one included."""
    start, end = (int(hour) * 60 + int(minute[:2]) for hour, minute in (part.split(":") for part in text.split("..")))
    return start, (end if end > start else end + DAY_MIN) - 1


def _days(cell: str) -> frozenset[int]:
    if not cell:
        return frozenset(range(7))
    chosen: set[int] = set()
    for part in cell.removeprefix("!").split("|"):
        ends = [_day(word.strip()) for word in re.split(r"\.\.|[-~至到]", part)]
        day = ends[0]
        chosen.add(day)
        while day != ends[-1]:
            day = (day + 1) % 7
            chosen.add(day)
    return frozenset(range(7)) - chosen if cell.startswith("!") else frozenset(chosen)


def _day(word: str) -> int:
    return next(day for day, words in enumerate(DAY_WORDS) if word.lower() in words)


def _within(spans: tuple[tuple[int, int], ...], value: int) -> bool:
    """A value of 0 was not measured: it fits only where anything does."""
    return not spans or (value > 0 and any(low <= value <= high for low, high in spans))


def _is_time(rule: _Rule, weekday: int, minute: int) -> bool:
    if not rule.minutes:
        return weekday in rule.days
    return any(
        (low <= minute <= high and weekday in rule.days)
        or (low <= minute + DAY_MIN <= high and (weekday - 1) % 7 in rule.days)
        for low, high in rule.minutes
    )


def _date(text: str) -> date:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return date(*numbers) if numbers else date.min


def _sort_codes(tables: Tables, carriers: list[str]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for row in tables.sort_codes:
        text = "-".join(row[name].upper() for name in SEGMENTS if row[name])
        for carrier in carriers:
            if fits(row["carrier"], carrier):
                found.setdefault((carrier, text), row["station"])
    return found


def departures(tables: Tables, lane: str, around_ns: int, utc_offset_h: float) -> list[tuple[int, int]]:
    """(cut-off in site ns, capacity) of a lane's departures within a week before and after a moment."""
    zone = timedelta(hours=utc_offset_h)
    today = (datetime.fromtimestamp(around_ns / NS_PER_S, UTC) + zone).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    found = []
    for row in (row for row in tables.trips if row["lane"] == lane):
        for offset in range(-7, 8):
            midnight = today + timedelta(days=offset)
            if midnight.weekday() not in _days(row["days"]):
                continue
            for text in row["departs"].split("|"):
                hour, minute = (int(part) for part in text.strip().split(":")[:2])
                cutoff = midnight + timedelta(minutes=hour * 60 + minute - int(row["cutoff_min"] or 0)) - zone
                found.append((round(cutoff.timestamp()) * NS_PER_S, int(row["capacity"] or 0)))
    return sorted(found)
