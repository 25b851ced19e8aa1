"""A rule set small enough to read, right as it stands; tests write it with one cell changed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from sorter import rulebook
from sorter.records import Line, Names, SortPlan
from sorter.rulebook import Fault, Rejected

S_NS = 10**9
LINES = {"L1": Line(15 * S_NS, 120 * S_NS, 900 * S_NS, 3), "L2": Line(10 * S_NS, 90 * S_NS, 900 * S_NS, 0)}
PLACES_MM = {"L1": range(30_000, 240_001), "L2": range(20_000, 180_001)}
OFFSET_NS = 8 * 3600 * S_NS

Table = list[list[str]]


def _table(text: str) -> Table:
    return [[cell.strip() for cell in line.split(",")] for line in text.strip().splitlines()]


SMALL: Mapping[str, Table] = {
    "carriers": _table(
        r"""
        carrier, name, waybill, valid_from, note
        SF, 顺丰, SF\d{12}, ,
        SF, 顺丰, \d{12}, 2026-01-01, old
        YTO, 圆通, YT\d{13}, ,
        """
    ),
    "stations": _table(
        """
        station, name, kind, township, lane
        V001, 龙雾村, village, 双龙镇, BUS
        V002, 槐花村, 村, 大昌镇, TRUCK
        C01, 网点一, counter, , TRUCK
        O01, 外地一, city, -, PLANE
        """
    ),
    "sort_codes": _table(
        """
        carrier, 一段码, 二段码, 三段码, station
        YTO, 531, A03, 12, V001
        YTO, 531, A03, , V002
        -, 900, , , C01
        """
    ),
    "lanes": _table(
        """
        lane, name, kind, spill_to
        BUS, 客运, bus, TRUCK
        TRUCK, 货运, freight, -
        PLANE, 航空, air,
        OUT, 异常, exception,
        """
    ),
    "trips": _table(
        """
        lane, days, departs, cutoff_min, capacity
        BUS, 1-5, 08:00|14:30, 15, 100
        BUS, sat|sun, 09:00, 15, 50
        TRUCK, , 00:10, 30,
        """
    ),
    "chutes": _table(
        """
        chute, line, position, lane, capacity
        101, L1, 34, BUS|TRUCK, 100
        102, L1, 36.5, TRUCK,
        103, L1, 40, PLANE, 60
        104, L1, 44, OUT, 60
        201, L2, 34, TRUCK|BUS, 100
        202, L2, 40, PLANE, 60
        203, L2, 44, OUT, 60
        """
    ),
    "rules": _table(
        """
        row, carrier, station, township, service, flow, weight_g, length_mm, time, days, send_to, note
        10, , , , , , >30000, , , , reject:overweight,
        20, SF|YTO, V0*, , express, inbound, 0..3000, , 08:00..12:30, 周一..周五, BUS, 时效
        30, !SF, , 大昌镇, fresh, outbound, , <=600, 22:00..02:00, , PLANE,
        40, , , , , , , >1200, , , 102,
        """
    ),
    "exceptions": _table(
        """
        reason, line, chute
        -, L1, 104
        -, L2, 203
        """
    ),
}


def csv_text(table: Table, delimiter: str = ",") -> str:
    """A table as a spreadsheet saves it."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerows(table)
    return out.getvalue()


def copy_of_small() -> dict[str, Table]:
    return {name: [list(row) for row in table] for name, table in SMALL.items()}


def write(folder: Path, tables: Mapping[str, Table] = SMALL, encoding: str = "utf-8-sig") -> Path:
    for name, table in tables.items():
        (folder / f"{name}.csv").write_bytes(csv_text(table).encode(encoding))
    return folder


def changed(table: str, row: int, column: str, text: str) -> dict[str, Table]:
    """The small site with one cell changed; `row` as the spreadsheet counts."""
    tables = copy_of_small()
    header = tables[table][0]
    tables[table][row - 1][header.index(column)] = text
    return tables


def load(folder: Path, previous: Names | None = None) -> SortPlan:
    return rulebook.load(folder, LINES, OFFSET_NS, previous)


def errors_of(folder: Path) -> list[Fault]:
    """What is wrong with a folder, on lines of 2 m/s; nothing when it makes a plan."""
    try:
        rulebook.compile_plan(rulebook.check_folder(folder, LINES, OFFSET_NS, PLACES_MM), None)
    except Rejected as rejected:
        return rejected.errors
    return []
