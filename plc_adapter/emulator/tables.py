"""A site's rule tables as plain rows of text. Reads and believes: checking is the rulebook's work.

The emulator and its oracle read the tables with this alone, so that a mistake of the sorter's
own reader shows.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final, NamedTuple

Row = dict[str, str]

HEADERS: Final = {
    "承运商": "carrier",
    "名称": "name",
    "运单号规则": "waybill",
    "生效日期": "valid_from",
    "站点": "station",
    "类型": "kind",
    "乡镇": "township",
    "路向": "lane",
    "满载改走": "spill_to",
    "星期": "days",
    "发车": "departs",
    "截止分钟": "cutoff_min",
    "容量": "capacity",
    "格口": "chute",
    "分拣线": "line",
    "位置": "position",
    "行号": "row",
    "产品": "service",
    "进出港": "flow",
    "重量": "weight_g",
    "长度": "length_mm",
    "时间": "time",
    "送往": "send_to",
    "备注": "note",
    "原因": "reason",
}
ENCODINGS: Final = ("utf-8-sig", "gb18030")


class Tables(NamedTuple):
    """Every table of a rule set, in file order, headers in English."""

    carriers: list[Row]
    stations: list[Row]
    sort_codes: list[Row]
    lanes: list[Row]
    trips: list[Row]
    chutes: list[Row]
    rules: list[Row]
    exceptions: list[Row]


def read(folder: Path) -> Tables:
    """The tables of a folder of CSV files; a file that is not there is an empty table.

    Raises FileNotFoundError when the folder holds none at all.
    """
    paths = [folder / f"{name}.csv" for name in Tables._fields]
    if not any(path.is_file() for path in paths):
        raise FileNotFoundError(f"{folder} holds no rule table such as chutes.csv; name the folder of the rule tables")
    return Tables(*(_rows(path) if path.is_file() else [] for path in paths))


def _rows(path: Path) -> list[Row]:
    lines = csv.reader(_text(path).splitlines())
    header = [HEADERS.get(cell.strip(), cell.strip()) for cell in next(lines, [])]
    return [
        dict(zip(header, (cell.strip() for cell in line), strict=False)) for line in lines if any(map(str.strip, line))
    ]


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode(ENCODINGS[0])
    except UnicodeDecodeError:
        return data.decode(ENCODINGS[1])


def chutes_of(tables: Tables) -> dict[tuple[str, str], list[int]]:
    """(line, lane) -> its chutes' numbers, in file order. A chute may name several lanes: `A|B`."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in tables.chutes:
        for lane in filter(None, row.get("lane", "").split("|")):
            found.setdefault((row["line"], lane.strip()), []).append(int(row["chute"]))
    return found
