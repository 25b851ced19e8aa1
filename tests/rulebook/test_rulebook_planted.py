"""The Wushan tables with a mistake of every kind planted in them, saved as GBK by LibreOffice: each is found where it
stands, and nothing else; the tables as they are shipped have none.
"""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import openpyxl
import pytest

import sorter
from sorter.rulebook.tables import TABLES
from tests.rulebook.small_site import Table
from tests.rulebook.test_rulebook_libreoffice import EVERY_SHEET_AS_CSV, GBK, convert, real_spreadsheet

RULES: Final = Path(sorter.__file__).parent.parent / "rules"
SAVED: Final = Path(__file__).parent / "files" / "planted_gbk"
BIN: Final = Path(sys.executable).parent
SORT_CODES_KEPT: Final = 60
REFUSED: Final = 3


class Planted(NamedTuple):
    """A mistake: the cell, what is written into it, its kind, and the column or row told where it is another."""

    table: str
    row: int
    column: str
    text: str
    kind: str
    told_column: str | None = None
    told_row: int | None = None

    def told(self) -> tuple[str, int, str, str]:
        """As `rules check --json` is to tell it."""
        column = self.column if self.told_column is None else self.told_column
        return self.table, self.row if self.told_row is None else self.told_row, column, self.kind


CELLS: Final = [
    Planted("carriers", 2, "waybill", "", "empty_format"),
    Planted("carriers", 3, "waybill", "[A-Z]{2}" + "|X1" * 70, "format_too_long"),
    Planted("carriers", 4, "waybill", r"(?:E[A-Z]\d{9}[A-Z]{2})?", "fits_nothing_read"),
    Planted("carriers", 5, "name", "EMS 快递", "two_titles"),
    Planted("carriers", 6, "waybill", r"SF\d{12,30}", "count_too_high"),
    Planted("carriers", 7, "waybill", r"\d{12}\d{13}", "fits_too_long"),
    Planted("carriers", 8, "waybill", r"YT\d{13})", "never_opened"),
    Planted("carriers", 9, "valid_from", "下个月", "not_a_date"),
    Planted("carriers", 9, "waybill", r"[A-Z]||\d{9}", "part_missing"),
    Planted("carriers", 10, "waybill", r"7[3568]\d{12}{2}", "second_count"),
    Planted("carriers", 11, "waybill", r"\d{十二}", "not_a_count"),
    Planted("carriers", 12, "waybill", r"77\d{13,9}", "counts_down"),
    Planted("carriers", 13, "waybill", r"773_\d{9}", "never_in_a_waybill"),
    Planted("carriers", 14, "waybill", r"[34].{14}", "any_character"),
    Planted("carriers", 15, "waybill", r"^[34]\d{12}", "needless_anchor"),
    Planted("carriers", 16, "waybill", r"+JT\d{12}", "nothing_to_count"),
    Planted("carriers", 17, "waybill", r"JD\w{13}", "unknown_escape"),
    Planted("carriers", 18, "waybill", r"DP(?=K)\d{11}", "special_group"),
    Planted("carriers", 19, "waybill", r"DP(K\d{11}", "group_left_open"),
    Planted("carriers", 20, "waybill", r"[34\d{12}", "class_left_open"),
    Planted("carriers", 21, "waybill", r"DP[]\d{12}", "empty_class"),
    Planted("carriers", 22, "waybill", r"[9-0]\d{12}", "not_a_class_span"),
    Planted("carriers", 23, "waybill", r"[A-Z]*A[A-Z]{17}", "too_many_states"),
    Planted("stations", 10, "name", "示范\n村", "line_break"),
    Planted("stations", 20, "township", "#N/A", "error_mark"),
    Planted("stations", 21, "township", "曲尺|福田", "reserved_sign"),
    Planted("stations", 22, "township", "曲尺" * 16, "name_too_long"),
    Planted("stations", 23, "township", "曲\t尺", "control_character"),
    Planted("stations", 24, "kind", "", "empty_word"),
    Planted("stations", 25, "kind", "hamlet", "unknown_of_few"),
    Planted("stations", 26, "lane", "火车", "unknown"),
    Planted("stations", 27, "lane", "TRK-QUCH1", "unknown_near"),
    Planted("stations", 28, "lane", "TRK-QUCHI|LH-01", "not_alone"),
    Planted("stations", 302, "station", "", "empty_name"),
    Planted("sort_codes", 4, "一段码", "9.11E+02", "digits_lost"),
    Planted("sort_codes", 5, "二段码", "1月3日", "made_a_date"),
    Planted("sort_codes", 6, "二段码", "", "segment_gap"),
    Planted("sort_codes", 8, "三段码", "A" * 20, "sort_code_too_long", told_column="一段码"),
    Planted("sort_codes", 9, "一段码", "911-A01", "segment_with_dash"),
    Planted("sort_codes", 10, "一段码", "沪A", "segment_sign"),
    Planted("lanes", 2, "name", "", "empty_title"),
    Planted("lanes", 3, "name", "=B2", "formula"),
    Planted("lanes", 4, "spill_to", "无", "none_meant"),
    Planted("lanes", 45, "spill_to", "LH-06", "spill_circle"),
    Planted("trips", 17, "cutoff_min", "", "empty_number"),
    Planted("trips", 18, "cutoff_min", "十五", "not_a_number"),
    Planted("trips", 19, "cutoff_min", "10080", "out_of_range"),
    Planted("trips", 20, "cutoff_min", "20分钟", "has_unit"),
    Planted("trips", 21, "cutoff_min", "-20", "cutoff_after_departure"),
    Planted("trips", 22, "capacity", "1,200", "thousands"),
    Planted("trips", 23, "capacity", "80%", "percent"),
    Planted("trips", 24, "departs", "25:00", "not_a_time"),
    Planted("trips", 25, "departs", "7.20", "miswritten_time"),
    Planted("trips", 26, "departs", "", "empty_departs"),
    Planted("trips", 27, "departs", "24:00", "departs_at_24"),
    Planted("chutes", 10, "capacity", "0", "no_capacity"),
    Planted("chutes", 11, "capacity", "不限", "no_limit_meant"),
    Planted("chutes", 12, "position", "", "empty_place"),
    Planted("chutes", 13, "position", "左边", "not_a_place"),
    Planted("rules", 3, "row", "10", "duplicate"),
    Planted("rules", 5, "row", "25", "rule_order"),
    Planted("rules", 6, "station", "X9*", "unknown_prefix"),
    Planted("rules", 12, "carrier", "EMS、POST", "separator"),
    Planted("rules", 13, "carrier", "顺丰速运", "title_for_code"),
    Planted("rules", 14, "carrier", "EMS|!POST", "misplaced_not"),
    Planted("rules", 15, "carrier", "EMS|", "value_missing"),
    Planted("rules", 16, "flow", "不限", "blank_meant"),
    Planted("rules", 17, "service", "|".join(f"s{at}" for at in range(12)), "too_many", told_column="", told_row=0),
    Planted("rules", 21, "weight_g", "约500", "not_a_range"),
    Planted("rules", 22, "weight_g", "0-500", "range_sign"),
    Planted("rules", 23, "weight_g", "500克以下", "bound_in_words"),
    Planted("rules", 24, "weight_g", "500..0", "empty_range"),
    Planted("rules", 25, "time", "上班时间", "not_a_time_span"),
    Planted("rules", 26, "time", "05:00-11:30", "time_span_sign"),
    Planted("rules", 27, "time", "08:00..08:00", "empty_time_span"),
    Planted("rules", 28, "time", "24:00..02:00", "begins_at_24"),
    Planted("rules", 36, "days", "工作日", "not_a_day"),
    Planted("rules", 37, "days", "!1..7", "no_day_left"),
    Planted("rules", 38, "send_to", "", "empty_send_to"),
    Planted("rules", 45, "township", "县城", "rule_for_no_station"),
    Planted("exceptions", 3, "chute", "245", "chute_of_other_line"),
]
"""One cell each. No two are in one cell, and none has to do with another."""

GROWN: Final[dict[str, list[list[str]]]] = {
    "carriers": [["DEPPON", "德邦快递", "", "", ""]] * 4,  # for cells above
    "lanes": [
        ["17", "示范路向17", "local", "", ""],
        ["reject:x", "示范路向x", "local", "", ""],
        ["SPARE", "示范备用", "local", "", ""],
        *([f"S{at}", f"示范环节{at}", "local", f"S{at + 1}", ""] for at in range(1, 6)),
        ["S6", "示范环节6", "local", "", ""],
    ],
    "chutes": [["149", "L1", "220", "S1|S2|S3|S4|S5|S6", "", ""]],
}
"""Rows below the last."""
WIDER: Final = {"trips": ["发车", "颜色"], "lanes": ["备用路线"], "chutes": [""]}
"""Headers beside the last."""
OTHERS: Final = [
    Planted("lanes", 55, "lane", "17", "lane_is_a_number"),
    Planted("lanes", 56, "lane", "reject:x", "lane_is_a_rejection"),
    Planted("lanes", 57, "lane", "SPARE", "lane_without_chute"),
    Planted("lanes", 58, "spill_to", "S2", "spill_too_long"),
    Planted("trips", 1, "发车", "发车", "second_column"),
    Planted("trips", 1, "颜色", "颜色", "unknown_column"),
    Planted("lanes", 1, "备用路线", "备用路线", "unknown_column_near"),
    Planted("sort_codes", 7, "一段码", "", "no_segment"),
    Planted("chutes", 20, "", "左，靠窗", "beyond_last_column"),
    Planted("exceptions", 0, "reason", "", "no_exception_chute"),
]
"""What is more, or less, than one cell."""
PLANTED: Final = [*CELLS, *OTHERS]


def wushan() -> dict[str, Table]:
    """The shipped tables as text."""
    return {table: read_csv((RULES / f"{table}.csv").read_text("utf-8-sig")) for table in TABLES}


def read_csv(text: str) -> Table:
    return list(csv.reader(io.StringIO(text, newline="")))


def planted() -> dict[str, Table]:
    """The tables with every mistake in them, and headers in Chinese."""
    tables = wushan()
    places = {table: {column: place for place, column in enumerate(rows[0])} for table, rows in tables.items()}
    for table, rows in tables.items():
        rows[0] = [*(others[0] if column.isascii() else column for column, others in TABLES[table].items()), "备注"]
        rows += [list(row) for row in GROWN.get(table, ())]
    del tables["sort_codes"][SORT_CODES_KEPT:], tables["exceptions"][-1:]
    for cell in CELLS:
        tables[cell.table][cell.row - 1][places[cell.table][cell.column]] = cell.text
    tables["sort_codes"][6][1:4] = ["", "", ""]
    for table, headers in WIDER.items():
        for row in tables[table]:
            row.extend([""] * len(headers))
        tables[table][0][-len(headers) :] = headers
    tables["chutes"][19][-1] = "左，靠窗"
    return tables


def save_as_gbk(tables: dict[str, Table], folder: Path) -> Path:
    """A workbook of text cells, opened in LibreOffice and saved as one GBK file for each sheet."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for table, rows in tables.items():
        sheet = book.create_sheet(table)
        for at, row in enumerate(rows, 1):
            for place, text in enumerate(row, 1):
                if text:
                    cell = sheet.cell(at, place)
                    cell.number_format, cell.value, cell.data_type = "@", text, "s"
    book.save(folder / "book.xlsx")
    out = folder / "out"
    out.mkdir()
    convert(folder / "book.xlsx", EVERY_SHEET_AS_CSV.format(charset=GBK), out)
    for path in out.glob("book-*.csv"):
        path.rename(path.with_name(path.name.removeprefix("book-")))
    return out


@pytest.fixture(name="site", scope="module")
def new_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("hub") / "site"
    subprocess.run([BIN / "sorter", "init", site], check=True, capture_output=True)
    return site


def check(site: Path, plan: Path | str, language: str) -> tuple[int, dict[str, Any]]:
    """The exit code of `sorter rules check`, and what it prints."""
    command: list[Path | str] = [
        BIN / "sorter",
        "rules",
        "check",
        plan,
        "--site",
        site,
        "--json",
        "--language",
        language,
    ]
    done = subprocess.run(command, check=False, capture_output=True)
    assert not done.stderr, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


def expect_all(site: Path, folder: Path) -> None:
    messages = []
    for language in ("zh", "en"):
        code, answer = check(site, folder, language)
        assert (code, answer["plan"]) == (REFUSED, None)
        told = [(each["table"], each["row"], each["column"], each["kind"]) for each in answer["errors"]]
        wanted = [each.told() for each in PLANTED]
        assert sorted(set(wanted) - set(told)) == [], "missed"
        assert sorted(set(told) - set(wanted)) == [], "told and not planted"
        assert len(told) == len(wanted)
        messages.append([each["message"] for each in answer["errors"]])
    for chinese, english in zip(*messages, strict=True):
        assert any("\u4e00" <= char <= "\u9fff" for char in chinese)
        assert chinese != english


def test_every_mistake_is_of_another_kind() -> None:
    kinds = [each.kind for each in PLANTED]
    assert len(set(kinds)) == len(kinds) >= 45


def test_the_saved_folder_holds_what_is_planted() -> None:
    """Cell for cell, so that what LibreOffice saved is neither out of date nor what a spreadsheet made of it."""
    for table, rows in planted().items():
        assert read_csv((SAVED / f"{table}.csv").read_bytes().decode("gbk")) == rows


def test_each_mistake_is_found_where_it_stands(site: Path) -> None:
    expect_all(site, SAVED)


@real_spreadsheet
def test_each_is_found_in_what_libreoffice_saves_now(site: Path, tmp_path: Path) -> None:
    expect_all(site, save_as_gbk(planted(), tmp_path))


def test_the_shipped_tables_have_no_mistake(site: Path) -> None:
    code, answer = check(site, "draft", "zh")
    assert (code, answer["errors"], len(answer["plan"])) == (0, [], 64)


@real_spreadsheet
def test_the_shipped_tables_saved_as_gbk_have_none(site: Path, tmp_path: Path) -> None:
    code, answer = check(site, save_as_gbk(wushan(), tmp_path), "zh")
    assert (code, answer["errors"]) == (0, [])
    assert answer["plan"] == check(site, "draft", "zh")[1]["plan"], "not a cell was changed"
