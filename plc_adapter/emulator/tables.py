"""A site's rule tables as plain rows of text. Reads and believes: checking is the rulebook's work.

The emulator and its oracle read the tables with this alone, so that a mistake of the sorter's
own reader shows.
"""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import Final, NamedTuple

Row = dict[str, str]

HEADERS: Final = {
    "名称": "name",
    "承运商": "carrier",
    "承运商代码": "carrier",
    "站点": "station",
    "站点代码": "station",
    "路向": "lane",
    "路向代码": "lane",
    "格口": "chute",
    "格口号": "chute",
    "分拣线": "line",
    "线": "line",
    "星期": "days",
    "日": "days",
    "容量": "capacity",
    "容量(件)": "capacity",
    "运单格式": "waybill",
    "运单号格式": "waybill",
    "运单": "waybill",
    "生效日期": "valid_from",
    "启用日期": "valid_from",
    "类型": "kind",
    "乡镇": "township",
    "备用路向": "spill_to",
    "溢出路向": "spill_to",
    "发车时间": "departs",
    "发车": "departs",
    "截止提前(分)": "cutoff_min",
    "截止提前分钟": "cutoff_min",
    "提前截止分钟": "cutoff_min",
    "位置": "position",
    "位置(米)": "position",
    "序号": "row",
    "优先级": "row",
    "行号": "row",
    "服务": "service",
    "产品": "service",
    "进出港": "flow",
    "流向": "flow",
    "重量(克)": "weight_g",
    "重量克": "weight_g",
    "长度(毫米)": "length_mm",
    "长度毫米": "length_mm",
    "时间": "time",
    "时段": "time",
    "去向": "send_to",
    "分到": "send_to",
    "原因": "reason",
    "原因码": "reason",
}
WORDS: Final = {
    "进港": "inbound",
    "出港": "outbound",
    "村": "village",
    "网点": "counter",
    "外地": "city",
    "客运": "bus",
    "货运": "freight",
    "村线": "village",
    "航空": "air",
    "冷链": "cold",
    "干线": "linehaul",
    "本地": "local",
    "异常": "exception",
}
"""Chinese words of the columns kind and flow."""

SEGMENTS: Final = ("一段码", "二段码", "三段码")
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
    header = [HEADERS.get(cell, cell) for cell in map(_plain, next(lines, []))]
    return [dict(zip(header, map(_plain, line), strict=False)) for line in lines if any(map(str.strip, line))]


def _plain(cell: str) -> str:
    """A blank and a `-` both mean any, and full-width letters are meant as plain ones."""
    text = unicodedata.normalize("NFKC", cell).strip()
    return "" if text == "-" else WORDS.get(text, text)


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode(ENCODINGS[0])
    except UnicodeDecodeError:
        return data.decode(ENCODINGS[1])


def fits(cell: str, word: str) -> bool:
    """Whether a cell of the tables means `word`: blank, a value, `A|B`, `78*`, and `!` before any of these."""
    if not cell:
        return True
    wanted = [part.strip() for part in cell.removeprefix("!").split("|")]
    found = any(word.startswith(part[:-1]) if part.endswith("*") else word == part for part in wanted)
    return found != cell.startswith("!")


def chutes_of(tables: Tables) -> dict[tuple[str, str], list[int]]:
    """(line, lane) -> its chutes' numbers, in file order. A chute may name several lanes: `A|B`."""
    found: dict[tuple[str, str], list[int]] = {}
    for row in tables.chutes:
        for lane in filter(None, row["lane"].split("|")):
            found.setdefault((row["line"], lane.strip()), []).append(int(row["chute"]))
    return found
