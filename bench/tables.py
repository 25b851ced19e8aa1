"""A hub of any number of rules as CSV tables, so that a benchmark's plan passes every check a real one passes.

Everything is drawn from one seed. Specific rules stand first and broad ones last, so that a
scan's first hit lies deep: an order that spares no engine.
"""

import csv
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from sorter.records import Line, SortPlan
from sorter.rulebook import Checked, check_folder, compile_plan

SEED: Final = 20261111
HOUR_NS: Final = 3600 * 10**9
UTC_OFFSET_NS: Final = 8 * HOUR_NS
LINE_NAME: Final = "L1"
LINE: Final = Line(window_ns=15 * 10**9, lap_ns=240 * 10**9, timeout_ns=900 * 10**9, max_laps=3)
STATIONS: Final = 400
TOWNSHIPS: Final = 40
LANES: Final = 100
SERVICES: Final = ("standard", "express", "cold", "cod")
BROAD_SHARE: Final = 0.1  # of the rules, at the end of the table
STATION_SHARE: Final = 0.6  # of the specific rules name stations
ANYWHERE_SHARE: Final = 0.15  # name neither a station nor a township


class Format(NamedTuple):
    """Waybills of one format: a prefix, digits, a suffix."""

    carrier: str
    prefix: str
    digits: int
    suffix: str = ""


FORMATS: Final = (
    Format("C01", "SF", 13),
    Format("C01", "SF", 12),
    Format("C02", "YT", 13),
    Format("C03", "78", 12),
    Format("C03", "75", 12),
    Format("C04", "77", 13),
    Format("C05", "43", 13),
    Format("C05", "46", 13),
    Format("C06", "JT", 13),
    Format("C06", "JT", 12),
    Format("C07", "JDX", 12),
    Format("C07", "JDVA", 11),
    Format("C08", "DPK", 12),
    Format("C09", "99", 11),
    Format("C09", "RR", 9, "CN"),
    Format("C10", "EA", 9, "CN"),
    Format("C11", "BT", 13),
    Format("C12", "UC", 12),
)
"""18 formats of 12 carriers, made after real ones; no code fits two."""
CARRIERS: Final = tuple(dict.fromkeys(each.carrier for each in FORMATS))

Row = tuple[object, ...]


def make_hub(folder: Path, rules: int, *, roomy: bool = False) -> tuple[Checked, SortPlan]:
    """Write the tables of a hub with so many rules into `folder`, check and compile them as the daemon would.

    `roomy`: no chute ever fills, for runs in which nobody empties one.
    """
    write_tables(folder, rules, roomy=roomy)
    checked = check_folder(folder, {LINE_NAME: LINE}, UTC_OFFSET_NS)
    return checked, compile_plan(checked, None)


def write_tables(folder: Path, rules: int, *, roomy: bool) -> None:
    """All eight tables. `rules` is how many rows the table rules has."""
    dice = random.Random(SEED)  # noqa: S311 # a made-up hub, no secret
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, tuple[Row, Iterable[Row]]] = {
        "carriers": (
            ("carrier", "name", "waybill", "valid_from"),
            [(f.carrier, f"carrier {f.carrier}", rf"{f.prefix}\d{{{f.digits}}}{f.suffix}", "") for f in FORMATS],
        ),
        "stations": (("station", "name", "kind", "township", "lane"), [_station(at) for at in range(STATIONS)]),
        "sort_codes": (("carrier", "一段码", "二段码", "三段码", "station"), []),
        "lanes": (("lane", "name", "kind", "spill_to"), [*_lanes()]),
        "trips": (("lane", "days", "departs", "cutoff_min", "capacity"), [*_trips(dice)]),
        "chutes": (("chute", "line", "position", "lane", "capacity"), [*_chutes(roomy)]),
        "rules": (_RULE_COLUMNS, [*_rules(dice, rules)]),
        "exceptions": (("reason", "line", "chute"), _EXCEPTIONS),
    }
    for name, (header, rows) in tables.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([header, *rows])


_RULE_COLUMNS: Final = (
    "row",
    "carrier",
    "station",
    "township",
    "service",
    "flow",
    "weight_g",
    "length_mm",
    "time",
    "days",
    "send_to",
)
SPARE_CHUTE: Final = 1005  # for what was told no chute
_EXCEPTIONS: Final[list[Row]] = [
    ("no_read|unknown_code|multi_code", LINE_NAME, 1001),
    ("no_advice|no_rule", LINE_NAME, 1002),
    ("overweight|oversize", LINE_NAME, 1003),
    ("intercept|cancelled", LINE_NAME, 1004),
    ("max_laps", LINE_NAME, SPARE_CHUTE),
]
_CHUTE_ITEMS: Final = 120


def _station(at: int) -> Row:
    lane = "" if at % 20 == 19 else f"L{at % LANES:03d}"
    return f"S{at:03d}", f"station {at}", "village", f"T{at % TOWNSHIPS:02d}", lane


def _lanes() -> Iterable[Row]:
    for at in range(LANES):
        yield f"L{at:03d}", f"lane {at}", "bus", f"L{(at + 1) % LANES:03d}" if at % 3 == 0 else ""
    yield "EXC", "exceptions", "exception", ""


def _trips(dice: random.Random) -> Iterable[Row]:
    """Six departures a day on four lanes of five: room for a day's items, but not for a busy lane's night."""
    for at in range(LANES):
        if at % 5 != 4:
            hours = sorted(dice.sample(range(6, 22), 6))
            departs = "|".join(f"{hour:02d}:{dice.choice((0, 15, 30, 45)):02d}" for hour in hours)
            yield f"L{at:03d}", "", departs, 15, dice.choice((700, 900, ""))


def _chutes(roomy: bool) -> Iterable[Row]:
    """Two of its own for each lane; every fourth serves a second lane too."""
    for at in range(2 * LANES):
        lanes = f"L{at % LANES:03d}" + (f"|L{(at + 1) % LANES:03d}" if at % 4 == 0 else "")
        yield 1 + at, LINE_NAME, 35 + 2 * at, lanes, 1_000_000 if roomy else _CHUTE_ITEMS
    for exception in _EXCEPTIONS:
        yield exception[2], LINE_NAME, 440, "EXC", ""


def _rules(dice: random.Random, count: int) -> Iterable[Row]:
    """A service exists by the rules that name it, so the first four rows name each of them."""
    broad_from = count - max(1, round(BROAD_SHARE * count))
    lanes = dice.sample(range(LANES), LANES)  # broad rules share the lanes out: none has more than it can carry
    for at in range(count):
        service = SERVICES[at] if at < len(SERVICES) else _maybe(dice, 0.5, SERVICES)
        condition = _broad(dice) if at >= broad_from else _specific(dice, service)
        yield (at + 1, *condition, _send_to(dice, lanes[at % LANES]))


def _maybe(dice: random.Random, chance: float, words: tuple[str, ...]) -> str:
    return dice.choice(words) if dice.random() < chance else ""


def _specific(dice: random.Random, service: str) -> Row:
    """Most name a station or two; those for a township or for anywhere say all the more about the item."""
    where = dice.random()
    wide = where >= STATION_SHARE
    stations = "" if wide else "|".join(sorted({f"S{dice.randrange(STATIONS):03d}" for _ in range(dice.randint(1, 2))}))
    township = f"T{dice.randrange(TOWNSHIPS):02d}" if STATION_SHARE <= where < 1 - ANYWHERE_SHARE else ""
    carrier = _maybe(dice, 1.0 if wide else 0.9, CARRIERS)
    service = service or (dice.choice(SERVICES) if wide else "")
    flow = _maybe(dice, 1.0 if wide else 0.5, ("inbound", "outbound"))
    spans = _span(dice, 1.0 if wide else 0.7, 50, 600), _span(dice, 1.0 if wide else 0.4, 10, 150)
    hour = dice.randrange(20)
    time = f"{hour:02d}:00..{hour + dice.randint(1, 4):02d}:30" if dice.random() < 0.15 else ""
    days = "1-5" if dice.random() < 0.1 else ""
    return carrier, stations, township, service, flow, *spans, time, days


def _broad(dice: random.Random) -> Row:
    """One township, whoever carries it."""
    township = f"T{dice.randrange(TOWNSHIPS):02d}"
    return "", "", township, "", _maybe(dice, 0.5, ("inbound", "outbound")), _span(dice, 0.3, 50, 600), "", "", ""


def _span(dice: random.Random, chance: float, grid: int, steps: int) -> str:
    if dice.random() >= chance:
        return ""
    low = dice.randrange(steps)
    high = low + dice.randint(1, steps * 2 // 5)
    return f"{low * grid}..{high * grid}"


def _send_to(dice: random.Random, lane: int) -> str:
    kind = dice.random()
    if kind < 0.85:
        return f"L{lane:03d}"
    return str(1 + dice.randrange(2 * LANES)) if kind < 0.95 else f"reject:{dice.choice(('overweight', 'oversize'))}"
