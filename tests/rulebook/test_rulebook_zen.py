"""The decision table's first hit is that of zen-engine, which is given the cells as staff wrote them.

What staff wrote goes two ways: through check and compile into the arrays, and, by the few lines here, to the peer.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pytest
import zen

from sorter.records import Flow, Names, RecordedAdvice, RecordedParcel, Role, SortPlan, Verdict
from sorter.replay import Standing
from sorter.rulebook import compile_plan
from sorter.rulebook.check import check_sheets
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet
from sorter.rulebook.trial import recorded, routing
from sorter.wire.frames import Scan
from sorter.wire.intake import Intake
from tests.rulebook.small_site import LINES, OFFSET_NS, SMALL, Table

S_NS: Final = 10**9
WEEK_S: Final = 7 * 86_400
MONDAY_S: Final = 1_762_704_000  # Monday, 2025-11-10 00:00 at the site, as UTC
DAY_MIN: Final = 24 * 60
TABLES_PER_SEED: Final = 50
PARCELS: Final = 50
HOMES: Final = {"V001": "双龙镇", "V002": "大昌镇", "C01": "", "O01": "", "V010": "双龙镇", "V0100": "平河乡"}
CARRIERS: Final = ("SF", "YTO")
SERVICES: Final = ("standard", "express", "fresh", "freezing")
FLOWS: Final = tuple(flow.name.lower() for flow in Flow)
SEND_TO: Final = ("BUS", "TRUCK", "PLANE", "101", "202", "reject:overweight")

CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "carrier": ("", "-", "SF", "YTO", "!SF", "SF|YTO", "S*"),
    "station": ("", "-", "V001", "V002", "V*", "V01*", "!V0*", "!V001|C01", "C01|O01", "V0100|V002", "!V010|V002|O*"),
    "township": ("", "", "", "双龙镇", "!双龙镇", "大昌镇|平河乡", "双*"),
    "service": ("", "", "express", "!express", "fr*", "express|standard", "!fr*|express", "freezing|fresh"),
    "flow": ("", "", "inbound", "outbound", "!inbound", "进港", "inbound|outbound"),
    "weight_g": ("", "", "500", "0..3000", "501..2999", ">3000", ">=3000", "<500", "<=500", "0|>3000", "1..9|500..600"),
    "length_mm": ("", "", "", "0..600", "601..1200", ">1200", ">=600", "<600", "<=0|>65534", "1|600"),
    "time": (
        "",
        "",
        "08:00..12:30",
        "22:00..02:00",
        "12:30..08:00",
        "00:00..24:00",
        "18:00..24:00",
        "23:59..00:01|06:00..07:00",
    ),
    "days": ("", "", "1-5", "sat|sun", "!3", "周日", "周六..周一", "1|3|5", "!周六..周日"),
}
NUMBERS: Final = {
    "weight_g": (None, 1, 9, 10, 499, 500, 501, 600, 601, 2999, 3000, 3001, 200_000),
    "length_mm": (None, 1, 2, 599, 600, 601, 1200, 1201, 65_535),
}
MINUTES: Final = (0, 1, 119, 120, 359, 360, 419, 420, 479, 480, 749, 750, 1079, 1080, 1319, 1320, 1438, 1439)

Row = Mapping[str, str]


class Parcel(NamedTuple):
    """What a rule may ask of a parcel; None: not measured."""

    carrier: str
    station: str
    service: str
    flow: str
    weight_g: int | None
    length_mm: int | None
    weekday: int  # Monday 0
    minute: int

    def asked(self) -> dict[str, Any]:
        """As the peer is asked."""
        week_minute = self.weekday * DAY_MIN + self.minute
        return self._asdict() | {"township": HOMES[self.station], "week_minute": week_minute}


def random_rows(dice: random.Random) -> list[Row]:
    """Rules of which many say little, so that a first hit lies anywhere or nowhere."""
    said = dice.choice((0.15, 0.3, 0.6, 0.9))
    rows: list[Row] = []
    for at in range(dice.choice((1, 3, 8, 20, 70))):
        cells = {column: dice.choice(texts) if dice.random() < said else "" for column, texts in CHOICES.items()}
        if not (is_any(cells["station"]) or is_any(cells["township"])):
            cells["township"] = ""  # some of the pairs fit no station, which check refuses
        rows.append({"row": str(3 * at + 1), "send_to": dice.choice(SEND_TO)} | cells)
    return rows


def random_parcel(dice: random.Random) -> Parcel:
    return Parcel(
        dice.choice(CARRIERS),
        dice.choice(list(HOMES)),
        dice.choice(SERVICES),
        dice.choice(FLOWS),
        dice.choice(NUMBERS["weight_g"]),
        dice.choice(NUMBERS["length_mm"]),
        dice.randrange(7),
        dice.choice(MINUTES),
    )


# What the peer is told


def is_any(text: str) -> bool:
    return text in {"", "-"}


def word_cell(text: str) -> str:
    if is_any(text):
        return ""
    words = text.strip("!").replace("进港", "inbound").split("|")
    tests = [f'startsWith($, "{word[:-1]}")' if word[-1] == "*" else f'$ == "{word}"' for word in words]
    return " and ".join(f"not ({test})" for test in tests) if text[0] == "!" else " or ".join(tests)


def number_cell(text: str) -> str:
    return ", ".join(f"[{part}]" if ".." in part else part for part in text.split("|"))


def time_cell(time: str, days: str) -> str:
    """Minutes of the week. What runs past midnight belongs to the day it began on."""
    if not time and not days:
        return ""
    spans = []
    for day in days_of(days):
        for span in (time or "00:00..24:00").split("|"):
            begin, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in span.split(".."))
            begin, end = day * DAY_MIN + begin, day * DAY_MIN + end + DAY_MIN * (end <= begin)
            spans += [(begin, end), (begin - 7 * DAY_MIN, end - 7 * DAY_MIN)]
    return ", ".join(f"[{max(begin, 0)}..{end})" for begin, end in spans if end > 0)


def days_of(text: str) -> list[int]:
    names = {"sat": 5, "sun": 6, "周一": 0, "周六": 5, "周日": 6} | {str(day + 1): day for day in range(7)}
    chosen: list[int] = []
    for part in text.strip("!").split("|") if text else ():
        first, last = (names[end] for end in (re.split(r"\.\.|-", part) * 2)[:2])
        chosen += [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    return [day for day in range(7) if (day in chosen) != (text[:1] in {"", "!"})]


WORDS: Final = ("carrier", "station", "township", "service", "flow")
FIELDS: Final = (*WORDS, *NUMBERS, "week_minute")


class Peer:
    """zen-engine's decision table, first hit."""

    def __init__(self, rows: Sequence[Row]) -> None:
        table = {
            "hitPolicy": "first",
            "inputs": [{"id": name, "name": name, "field": name} for name in FIELDS],
            "outputs": [{"id": "row", "name": "row", "field": "row"}],
            "rules": [{"_id": row["row"], "row": row["row"]} | cells_of(row) for row in rows],
        }
        kinds: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("in", "inputNode", {}),
            ("table", "decisionTableNode", table),
            ("out", "outputNode", {}),
        )
        nodes = [{"id": at, "name": at, "type": kind, "content": content} for at, kind, content in kinds]
        ways = [("in", "table"), ("table", "out")]
        edges = [{"id": at + to, "sourceId": at, "targetId": to, "type": "edge"} for at, to in ways]
        self._decision = zen.ZenEngine().create_decision(json.dumps({"nodes": nodes, "edges": edges}))

    def first_hit(self, parcel: Parcel) -> int:
        """The number of the row; 0: none."""
        answer: dict[str, int] = self._decision.evaluate(parcel.asked())["result"]
        return answer.get("row", 0)


def cells_of(row: Row) -> dict[str, str]:
    words = {column: word_cell(row[column]) for column in WORDS}
    numbers = {column: number_cell(row[column]) for column in NUMBERS}
    return words | numbers | {"week_minute": time_cell(row["time"], row["days"])}


# What the sorter is told


STATIONS: Final[Table] = [
    ["station", "name", "kind", "township", "lane"],
    *([station, station, "village", town, "BUS"] for station, town in HOMES.items()),
]


def sheet_of(table: str, rows: Sequence[Row]) -> Sheet:
    blank = dict.fromkeys((*TABLES[table], NOTE), "")
    return Sheet(table, [Cells(at, {**blank, **row}) for at, row in enumerate(rows, 2)])


def compiled(rows: Sequence[Row], previous: Names | None) -> SortPlan:
    """The small site with these stations and rules, and one rule below all that names every service."""
    last = {"row": "60000", "service": "|".join(SERVICES), "carrier": "!SF|YTO", "send_to": "BUS"}
    tables = {**SMALL, "stations": STATIONS}
    sheets = {
        table: sheet_of(table, [dict(zip(cells[0], row, strict=True)) for row in cells[1:]])
        for table, cells in tables.items()
    }
    sheets["rules"] = sheet_of("rules", [*rows, last])
    return compile_plan(check_sheets(sheets, LINES, OFFSET_NS, []), previous)


def as_recorded(parcels: Sequence[Parcel], waybills: Sequence[str], times_ns: Sequence[int]) -> list[RecordedParcel]:
    return [
        RecordedParcel(
            t_ns,
            "L1",
            (waybill,),
            parcel.weight_g or 0,
            parcel.length_mm or 0,
            RecordedAdvice(*parcel[:4], cancelled=False),
            intercepted=False,
        )
        for parcel, waybill, t_ns in zip(parcels, waybills, times_ns, strict=True)
    ]


class Hub:
    """The core behind the intake; its plan changes from table to table."""

    def __init__(self) -> None:
        self.standing = Standing()
        self.intake: Intake | None = None

    def rows_told(self, plan: SortPlan, parcels: Sequence[RecordedParcel]) -> list[int]:
        """The row that decided each parcel; 0: none."""
        self.intake = intake = self.intake or Intake(plan.names)
        self.standing.take_plan(self.standing.plans_written + 1, plan)
        intake.rename(plan.names)
        now_ns = parcels[0].t_ns
        intake.plan(self.standing.plans_written, now_ns)
        for parcel in parcels:
            advice = parcel.advice
            assert advice is not None
            told = [parcel.codes[0], advice.carrier, advice.station, advice.service, Flow[advice.flow.upper()], 0, 0]
            assert intake.advice(told, now_ns) is None
        for item, parcel in enumerate(parcels, self.standing.next_seq + 1):
            size = (parcel.length_mm, 0, 0)
            scan = Scan(
                seq=item, line="L1", item=item, codes=list(parcel.codes), weight_g=parcel.weight_g, size_mm=size
            )
            assert intake.take(scan, 0, Role.SCANNER, None, parcel.t_ns, 0) is None
        decisions = self.standing.take(intake.batch())
        intake.clear()
        return [int(row["row"]) for row in decisions[decisions["verdict"] == Verdict.DIVERT]]


@pytest.mark.parametrize("column", CHOICES)
def test_the_peer_understands_every_cell(column: str) -> None:
    """Each that is not blank fits some parcels and others not, so that none is passed over as unreadable."""
    dice = random.Random(column)
    parcels = [random_parcel(dice) for _ in range(300)]
    every = {"township": "", "time": "00:00..24:00", "station": "-", "carrier": "SF|YTO", "flow": "inbound|outbound"}
    for text in CHOICES[column]:
        peer = Peer([dict.fromkeys(CHOICES, "") | {"row": "1", column: text}])
        hits = sum(peer.first_hit(parcel) for parcel in parcels)
        assert hits == len(parcels) if is_any(text) or text == every.get(column) else 0 < hits < len(parcels), text


@pytest.mark.parametrize("seed", range(5))
def test_the_first_hit_is_the_peers(seed: int) -> None:
    """In the arrays that routing asks, and in the core itself."""
    dice, hub, names = random.Random(seed), Hub(), None
    found: set[bool] = set()
    for number in range(TABLES_PER_SEED):
        rows = random_rows(dice)
        plan = compiled(rows, names)
        names = plan.names
        parcels = sorted((random_parcel(dice) for _ in range(PARCELS)), key=lambda parcel: parcel[-2:])
        peer = Peer(rows)
        wanted = [peer.first_hit(parcel) for parcel in parcels]
        begin_s = MONDAY_S + number * WEEK_S
        times_ns = [(begin_s + each.weekday * 86_400 + each.minute * 60) * S_NS for each in parcels]
        waybills = [f"YT{number * PARCELS + at:013d}" for at in range(PARCELS)]
        traffic = as_recorded(parcels, waybills, times_ns)
        routed = routing.route(plan, recorded.of_parcels(traffic)).row.tolist()
        decided = hub.rows_told(plan, traffic)
        for parcel, want, by_routing, by_core in zip(parcels, wanted, routed, decided, strict=True):
            assert (by_routing, by_core) == (want, want), f"{parcel} in\n" + "\n".join(map(str, rows))
        found |= {want > 0 for want in wanted}
    assert found == {True, False}
