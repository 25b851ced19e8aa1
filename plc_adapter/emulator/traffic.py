"""A hub's day from a seed: what is brought to which line when, what its label says, who advised it.

The same tables, count and seed give the same day, byte for byte, on every machine. Shares are
exact counts, not chances, so that a small day has its share of everything too.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import compress
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plc_adapter.emulator import waybills
from plc_adapter.emulator.plant import Load
from plc_adapter.emulator.tables import SEGMENTS, Row, Tables, chutes_of, fits

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

NS_PER_S: Final = 1_000_000_000
HOUR_S: Final = 3600
DAY: Final = date(2026, 11, 11)
OPENS_H: Final = 5
PEAK_SHARE: Final = 0.15
# Percent of the day by hour from 05:00: a morning wave for the villages, an afternoon wave for the line-haul.
HOURS: Final = (4.0, 10.0, 100 * PEAK_SHARE, 11.0, 7.0, 4.0, 3.0, 2.5, 3.0, 4.5, 7.0, 9.5, 9.0, 6.0, 3.0, 1.5)
# Share of 出港 by hour.
OUTBOUND: Final = (0.02, 0.02, 0.03, 0.05, 0.1, 0.2, 0.25, 0.3, 0.35, 0.45, 0.5, 0.55, 0.6, 0.6, 0.5, 0.4)
PEAK_HOUR: Final = HOURS.index(100 * PEAK_SHARE)

NO_READ: Final = 0.02
TWO_WAYBILLS: Final = 0.003
NOT_A_WAYBILL: Final = 0.001
READ_TWICE: Final = 0.05
OTHER_CODE: Final = 0.03  # a code of the goods inside is read beside the waybill
NO_ADVICE: Final = 0.02
SORT_CODE_READ: Final = 0.5  # of those without advice
CANCELLED: Final = 0.002
INTERCEPTED: Final = 0.001
NOT_WEIGHED: Final = 0.02
NOT_MEASURED: Final = 0.03
NOT_DECLARED: Final = 0.1

# Made up, after the national mix of 2024; a carrier that is not here counts 3.
CARRIER_MIX: Final = {
    "POST": 13,
    "EMS": 3,
    "SF": 6,
    "YTO": 14,
    "ZTO": 19,
    "STO": 12,
    "YUNDA": 13,
    "JT": 12,
    "JD": 6,
    "DEPPON": 2,
}
# Made up: items of one station, by its lane's kind.
STATION_MIX: Final = {"local": 40.0, "linehaul": 20.0, "freight": 4.0, "bus": 1.5, "air": 2.0, "cold": 2.0}
OUTBOUND_KINDS: Final = {"linehaul", "air", "cold"}
STANDARD: Final = "standard"
STANDARD_SHARE: Final = 0.85
INDUCTS: Final = 4
ADVICE_COLUMNS: Final = ("waybill", "carrier", "station", "service", "flow", "weight_g", "cancelled")
FLOWS: Final = ("inbound", "outbound")


class Parcel(NamedTuple):
    """One parcel as it really is, and what its label and the DWS tell."""

    arrive_ns: int
    line: str
    induct: int
    waybill: str
    codes: tuple[str, ...]  # as the scanner reads them, every time it passes
    carrier: str
    station: str
    service: str
    flow: str
    weight_g: int  # 0: the DWS did not weigh it
    size_mm: tuple[int, int, int]  # zeros: not measured
    advised: bool
    intercepted: bool


class Advice(NamedTuple):
    """A row of advices.csv."""

    waybill: str
    carrier: str
    station: str
    service: str
    flow: str
    weight_g: int  # 0: not declared
    cancelled: int


class Day(NamedTuple):
    """Parcels in the order of their arrival, and what is known of them beforehand."""

    parcels: list[Parcel]
    advices: list[Advice]
    intercepts: list[str]
    opens_ns: int
    peak_hour_items: int

    def of_line(self, line: str) -> list[Parcel]:
        """The parcels brought to one line, in order."""
        return [parcel for parcel in self.parcels if parcel.line == line]


def load_of(parcels: list[Parcel]) -> Load:
    """What a line's plant needs to know of its parcels."""
    return Load([parcel.arrive_ns for parcel in parcels], [parcel.induct for parcel in parcels])


def day(tables: Tables, items: int, seed: int, on: date = DAY, utc_offset_h: float = 8.0) -> Day:
    """A day of `items` parcels, 05:00 to 21:00. Raises ValueError when the tables are not enough for one."""
    rng = np.random.default_rng([seed, items])
    site = _Site(tables, datetime(on.year, on.month, on.day, tzinfo=UTC))
    hour_items = _hour_items(items)
    hour = np.repeat(np.arange(len(HOURS)), hour_items)
    opens_ns = round((site.midnight.timestamp() + (OPENS_H - utc_offset_h) * HOUR_S) * NS_PER_S)
    arrive_ns = opens_ns + np.sort(hour * HOUR_S * NS_PER_S + rng.integers(HOUR_S * NS_PER_S, size=items))
    outbound = rng.random(items) < np.asarray(OUTBOUND)[hour]
    station = site.draw_stations(outbound, rng)
    carrier = rng.choice(len(site.carriers), size=items, p=site.carrier_mix)
    traits = _Traits(items, rng)
    sort_code = site.draw_sort_codes(carrier, station, outbound, traits.sort_code_read, rng)
    forms = waybills.draw(site.forms, np.concatenate([carrier, carrier[traits.two]]), rng).astype(str).tolist()
    texts, seconds = forms[:items], dict(zip(np.flatnonzero(traits.two).tolist(), forms[items:], strict=True))
    codes = _codes(texts, seconds, sort_code, traits, rng)
    weight_g = np.clip(rng.lognormal(np.log(800), 1.1, items), 20, 60_000).astype(np.int64)
    columns = _Columns(arrive_ns, site, carrier, station, outbound, texts, codes, weight_g)
    return _assemble(columns, traits, opens_ns, int(hour_items[PEAK_HOUR]), rng)


def _hour_items(items: int) -> Ints:
    """Whole items an hour; the peak hour has exactly its share, rounded."""
    wanted = np.asarray(HOURS) / 100 * items
    whole = np.floor(wanted).astype(np.int64)
    whole[PEAK_HOUR] = round(wanted[PEAK_HOUR])
    fraction = wanted - whole
    fraction[PEAK_HOUR] = -1
    whole[np.argsort(-fraction, kind="stable")[: items - int(whole.sum())]] += 1
    return whole


class _Site:
    """The tables as numbers to draw from."""

    def __init__(self, tables: Tables, midnight: datetime) -> None:
        self.midnight = midnight
        self.carriers, self.forms = _carriers(tables.carriers, midnight.date())
        mix = np.array([CARRIER_MIX.get(name.upper(), 3) for name in self.carriers], float)
        self.carrier_mix = mix / mix.sum()
        kinds = {row["lane"]: row["kind"] for row in tables.lanes}
        lanes = chutes_of(tables)
        rows = [row for row in tables.stations if row["lane"] in kinds]
        self.stations = [row["station"] for row in rows]
        station_kinds = [kinds[row["lane"]] for row in rows]
        self.weights = np.array([STATION_MIX.get(kind, 1.0) for kind in station_kinds])
        self.outbound = np.array([kind in OUTBOUND_KINDS for kind in station_kinds], bool)
        self.lines = sorted({row["line"] for row in tables.chutes})
        self.station_lines = [
            [at for at, line in enumerate(self.lines) if (line, row["lane"]) in lanes] or list(range(len(self.lines)))
            for row in rows
        ]
        self.services = _services(tables)
        self.sort_codes = _sort_codes(tables, self.carriers, self.stations)
        if not (self.carriers and self.lines and self.outbound.any() and not self.outbound.all()):
            raise ValueError(
                "a day needs a carrier with waybills, a line with chutes, and stations of lanes of both flows "
                f"(outbound are {', '.join(sorted(OUTBOUND_KINDS))}); fill carriers, chutes, stations and lanes"
            )

    def draw_stations(self, outbound: Flags, rng: np.random.Generator) -> Ints:
        station = np.zeros(len(outbound), np.int64)
        for flow in (False, True):
            mine = np.flatnonzero(outbound == flow)
            weights = np.where(self.outbound == flow, self.weights, 0.0)
            station[mine] = rng.choice(len(weights), size=len(mine), p=weights / weights.sum())
        return station

    def draw_lines(self, station: Ints, rng: np.random.Generator) -> Ints:
        """A line that has chutes for the station's lane, whichever where several have."""
        width = max(map(len, self.station_lines))
        padded = np.array([(lines * width)[:width] for lines in self.station_lines])
        counts = np.array([len(lines) for lines in self.station_lines])
        return np.asarray(padded[station, rng.integers(counts[station])], np.int64)

    def draw_sort_codes(
        self, carrier: Ints, station: Ints, outbound: Flags, wanted: Flags, rng: np.random.Generator
    ) -> dict[int, str]:
        """A sort code of the table for each wanted parcel; its station becomes the one it names."""
        found = {}
        for at in np.flatnonzero(wanted).tolist():
            choices = [
                choice
                for choice in self.sort_codes.get(self.carriers[carrier[at]], [])
                if self.outbound[choice[1]] == outbound[at]
            ]
            if choices:
                found[at], station[at] = choices[rng.integers(len(choices))]
        return found


def _carriers(rows: list[Row], on: date) -> tuple[list[str], list[list[waybills.Shape]]]:
    """Carriers and their shapes; only a carrier's first row that is valid is used for new parcels."""
    forms: dict[str, list[waybills.Shape]] = {}
    for row in rows:
        if row["valid_from"] <= on.isoformat():
            forms.setdefault(row["carrier"], waybills.shapes(row["waybill"]))
    return list(forms), list(forms.values())


def _services(tables: Tables) -> list[str]:
    words = [word.strip() for row in tables.rules for word in row["service"].removeprefix("!").split("|")]
    return list(dict.fromkeys([STANDARD, *(word for word in words if word and "*" not in word)]))


def _sort_codes(tables: Tables, carriers: list[str], stations: list[str]) -> dict[str, list[tuple[str, int]]]:
    at = {station: index for index, station in enumerate(stations)}
    found: dict[str, list[tuple[str, int]]] = {}
    for row in tables.sort_codes:
        text = "-".join(filter(None, (row[name] for name in SEGMENTS)))
        for carrier in carriers:
            if row["station"] in at and text and fits(row["carrier"], carrier):
                found.setdefault(carrier, []).append((text, at[row["station"]]))
    return found


class _Traits:
    """What is the matter with which parcel: exact counts, spread at random."""

    def __init__(self, items: int, rng: np.random.Generator) -> None:
        self.no_read, self.two, self.other_only, self.twice, self.other = _split(
            items, (NO_READ, TWO_WAYBILLS, NOT_A_WAYBILL, READ_TWICE, OTHER_CODE), rng
        )
        self.sort_code_read, unlabelled, self.cancelled = _split(
            items, (NO_ADVICE * SORT_CODE_READ, NO_ADVICE * (1 - SORT_CODE_READ), CANCELLED), rng
        )
        self.advised = ~(self.sort_code_read | unlabelled)
        (self.intercepted,) = _split(items, (INTERCEPTED,), rng)
        (self.not_weighed,) = _split(items, (NOT_WEIGHED,), rng)
        (self.not_measured,) = _split(items, (NOT_MEASURED,), rng)


def _split(items: int, shares: tuple[float, ...], rng: np.random.Generator) -> list[Flags]:
    """Disjoint sets of round(share * items) parcels each."""
    order = rng.permutation(items)
    flags = []
    at = 0
    for share in shares:
        flag = np.zeros(items, bool)
        flag[order[at : at + round(share * items)]] = True
        at += round(share * items)
        flags.append(flag)
    return flags


def _codes(
    texts: list[str], seconds: dict[int, str], sort_code: dict[int, str], traits: _Traits, rng: np.random.Generator
) -> list[tuple[str, ...]]:
    goods = rng.integers(10**6, size=len(texts)).tolist()
    codes: list[tuple[str, ...]] = [(text,) for text in texts]
    for at in np.flatnonzero(traits.twice).tolist():
        codes[at] = (texts[at], texts[at])
    for at in np.flatnonzero(traits.other).tolist():
        codes[at] = (_goods_code(goods[at]), texts[at])
    for at, second in seconds.items():
        codes[at] = (texts[at], second)
    for at, text in sort_code.items():
        codes[at] = (*codes[at], text)
    for at in np.flatnonzero(traits.other_only).tolist():
        codes[at] = (_goods_code(goods[at]),)
    for at in np.flatnonzero(traits.no_read).tolist():
        codes[at] = ()
    return codes


def _goods_code(number: int) -> str:
    """An EAN-8 as on the goods themselves: too short for any carrier's waybill."""
    digits = f"6{number:06d}"
    check = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(digits))
    return f"{digits}{-check % 10}"


class _Columns(NamedTuple):
    arrive_ns: Ints
    site: _Site
    carrier: Ints
    station: Ints
    outbound: Flags
    texts: list[str]
    codes: list[tuple[str, ...]]
    weight_g: Ints


def _assemble(columns: _Columns, traits: _Traits, opens_ns: int, peak_items: int, rng: np.random.Generator) -> Day:
    site, items = columns.site, len(columns.texts)
    line = _named(site.lines, site.draw_lines(columns.station, rng))
    service = _named(site.services, _draw_services(len(site.services), items, rng))
    carrier = _named(site.carriers, columns.carrier)
    station = _named(site.stations, columns.station)
    flow = _named(list(FLOWS), columns.outbound.astype(np.int64))
    size_mm = np.where(traits.not_measured[:, None], 0, _sizes(items, rng))
    declared_g = np.where(rng.random(items) < NOT_DECLARED, 0, columns.weight_g // 10 * 10 + 10)
    parcels = map(
        Parcel._make,
        zip(
            columns.arrive_ns.tolist(),
            line,
            (1 + rng.integers(INDUCTS, size=items)).tolist(),
            columns.texts,
            columns.codes,
            carrier,
            station,
            service,
            flow,
            np.where(traits.not_weighed, 0, columns.weight_g).tolist(),
            map(tuple, size_mm.tolist()),
            traits.advised.tolist(),
            traits.intercepted.tolist(),
            strict=True,
        ),
    )
    cancelled = traits.cancelled.astype(np.int64).tolist()
    known = zip(columns.texts, carrier, station, service, flow, declared_g.tolist(), cancelled, strict=True)
    advices = list(map(Advice._make, compress(known, traits.advised.tolist())))
    intercepts = [columns.texts[at] for at in np.flatnonzero(traits.intercepted).tolist()]
    return Day(list(parcels), advices, intercepts, opens_ns, peak_items)


def _named(names: list[str], index: Ints) -> list[str]:
    return [names[at] for at in index.tolist()]


def _draw_services(count: int, items: int, rng: np.random.Generator) -> Ints:
    share = np.full(count, (1 - STANDARD_SHARE) / max(count - 1, 1))
    share[0] = STANDARD_SHARE
    return rng.choice(count, size=items, p=share / share.sum())


def _sizes(items: int, rng: np.random.Generator) -> Ints:
    """Length, width and height in millimetres, longest first."""
    length = np.clip(rng.lognormal(np.log(280), 0.45, items), 80, 2000)
    width = length * rng.uniform(0.4, 1.0, items)
    height = width * rng.uniform(0.1, 1.0, items)
    return np.stack([length, width, np.maximum(height, 2)], axis=1).astype(np.int64)


def write_advices(day_: Day, path: Path) -> None:
    """advices.csv as `sorter advice load` reads it."""
    _write(path, ADVICE_COLUMNS, iter(day_.advices))


def write_intercepts(day_: Day, path: Path) -> None:
    """intercepts.csv as `sorter intercept add --file` reads it."""
    _write(path, ("waybill",), ((text,) for text in day_.intercepts))


def write_parcels(day_: Day, path: Path) -> None:
    """parcels.ndjson as `sorter rules diff --traffic` reads it: a parcel as it is read, and what is known of it."""
    advices = iter(day_.advices)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for parcel in day_.parcels:
            advice = next(advices) if parcel.advised else None
            json.dump(_recorded(parcel, advice), file, ensure_ascii=False)
            file.write("\n")


def _recorded(parcel: Parcel, advice: Advice | None) -> dict[str, Any]:
    return {
        "t_ns": parcel.arrive_ns,
        "line": parcel.line,
        "codes": parcel.codes,
        "weight_g": parcel.weight_g or (advice.weight_g if advice else 0),  # as measured, else as declared
        "size_mm": parcel.size_mm,
        "advice": advice
        and {
            "carrier": advice.carrier,
            "station": advice.station,
            "service": advice.service,
            "flow": advice.flow,
            "cancelled": bool(advice.cancelled),
        },
        "intercepted": parcel.intercepted,
    }


def _write(path: Path, header: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
