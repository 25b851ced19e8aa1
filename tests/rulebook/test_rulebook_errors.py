"""Every kind of error is told at its own row and column, in words that say what to write; none hides another."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from sorter import limits
from sorter.reasons import REJECTIONS
from sorter.rulebook.tables import TABLES, address
from tests.rulebook.small_site import Table, changed, copy_of_small, errors_of, write


class Case(NamedTuple):
    """A cell, what is written into it, what the message says, and the column told where it is another."""

    table: str
    row: int
    column: str
    text: str
    words: str
    told: str = ""


CELLS = [
    Case("carriers", 2, "carrier", "", "write a name"),
    Case("carriers", 2, "carrier", "S|F", "holds |"),
    Case("carriers", 2, "carrier", "顺" * 32, "32 characters"),
    Case("carriers", 2, "carrier", "1.2E+11", "spreadsheet"),
    Case("carriers", 4, "name", "", "what staff call it"),
    Case("carriers", 3, "name", "丰", '"顺丰" in row 2'),
    Case("carriers", 2, "waybill", "", "write the waybill format"),
    Case("carriers", 2, "waybill", r"SF\w+", r"write \d for a digit"),
    Case("carriers", 2, "waybill", r"SF(\d{12}", "never closed"),
    Case("carriers", 2, "waybill", r"SF\d{30}", "longest waybill"),
    Case("carriers", 2, "waybill", r"[A-Z]*A[A-Z]{17}", "states"),
    Case("carriers", 2, "waybill", r"SF\d{12}" + "?" * 300, "at most 200"),
    Case("carriers", 3, "waybill", r"SF\d{12}", "row 2 already"),
    Case("carriers", 3, "valid_from", "2026-02-30", "write 2026-11-01"),
    Case("carriers", 3, "valid_from", "46023", "not a date"),
    Case("carriers", 3, "valid_from", "1.1.2026", "not a date"),
    Case("stations", 2, "station", "", "write a name"),
    Case("stations", 2, "station", "V*", "holds *"),
    Case("stations", 3, "station", "V001", "row 2 already"),
    Case("stations", 2, "station", "1月2日", "is a date"),
    Case("stations", 2, "name", "-", "what staff call it"),
    Case("stations", 2, "name", "村" * 61, "61 characters"),
    Case("stations", 2, "kind", "hamlet", "write one of village, township, counter, city"),
    Case("stations", 2, "kind", "", "write a kind of station"),
    Case("stations", 2, "township", "双龙镇|大昌镇", "holds |"),
    Case("stations", 2, "lane", "BUSS", 'did you mean "BUS"'),
    Case("stations", 2, "lane", "BUS|TRUCK", "one lane alone"),
    Case("sort_codes", 2, "carrier", "YTOO", 'did you mean "YTO"'),
    Case("sort_codes", 2, "一段码", "", "next segment is not"),
    Case("sort_codes", 2, "一段码", "531-A03", "column of its own"),
    Case("sort_codes", 2, "一段码", "5.31E+02", "spreadsheet"),
    Case("sort_codes", 2, "一段码", "沪A", "a segment is of digits"),
    Case("sort_codes", 2, "二段码", "1月3日", "is a date"),
    Case("sort_codes", 2, "三段码", "A" * 20, "28 characters", "一段码"),
    Case("sort_codes", 3, "三段码", "12", "row 2 already", "一段码"),
    Case("sort_codes", 2, "station", "V003", "is no station in stations.csv"),
    Case("sort_codes", 2, "station", "", "write a station"),
    Case("lanes", 3, "lane", "BUS", "row 2 already"),
    Case("lanes", 5, "lane", "17", "could be a chute"),
    Case("lanes", 5, "lane", "reject:x", "could be a rejection"),
    Case("lanes", 5, "lane", "SPARE", "no chute of any line serves lane SPARE"),
    Case("lanes", 2, "name", "", "what staff call it"),
    Case("lanes", 2, "kind", "公交", "is no kind of lane"),
    Case("lanes", 2, "spill_to", "TRUK", 'did you mean "TRUCK"'),
    Case("lanes", 2, "spill_to", "BUS", "BUS → BUS is a circle"),
    Case("trips", 2, "lane", "TRAIN", "is no lane in lanes.csv"),
    Case("trips", 2, "days", "8", "write 1 (Monday) to 7"),
    Case("trips", 2, "days", "1月5日", "is a date"),
    Case("trips", 2, "days", "1,3,5", "1|3|5"),
    Case("trips", 2, "days", "!1..7", "leaves no day"),
    Case("trips", 2, "departs", "", "write when the trip departs"),
    Case("trips", 2, "departs", "25:00", "24 hours"),
    Case("trips", 2, "departs", "8:00 AM", "24 hours"),
    Case("trips", 2, "departs", "0.333333", "not a time"),
    Case("trips", 2, "departs", "24:00", "00:00 of the next day"),
    Case("trips", 3, "departs", "00:00|23:45|09:00|09", "not a time"),
    Case("trips", 2, "cutoff_min", "", "write minutes before departure"),
    Case(
        "trips",
        2,
        "cutoff_min",
        "-15",
        "the cut-off would be after departure; write how many minutes before it, 15 or 0",
    ),
    Case("trips", 2, "cutoff_min", "10080", "out of range"),
    Case("trips", 2, "cutoff_min", "0:15", "not a whole number"),
    Case("trips", 2, "capacity", "0", "take nothing"),
    Case("trips", 2, "capacity", "1,000", "write 1000, without separators"),
    Case("trips", 2, "capacity", "100.0", "digits alone"),
    Case("chutes", 2, "chute", "", "write the chute's number"),
    Case("chutes", 2, "chute", "0", "out of range"),
    Case("chutes", 2, "chute", "A1", "not a whole number"),
    Case("chutes", 2, "chute", "65535", "out of range"),
    Case("chutes", 2, "chute", "9" * 5000, "out of range"),
    Case("chutes", 3, "chute", "0101", "row 2 already"),
    Case("chutes", 2, "line", "L3", "is no line of site.toml"),
    Case("chutes", 2, "line", "", "write a line"),
    Case("chutes", 2, "position", "", "metres behind the scanner"),
    Case("chutes", 2, "position", "34m", "write 34, without unit"),
    Case("chutes", 2, "position", "29.999", "29.999 m is before the first divert of line L1"),
    Case("chutes", 2, "position", "0", "write 30 to 240, or correct site.toml"),
    Case("chutes", 6, "position", "180.001", "180.001 m is beyond the end of line L2 (lap_m); write 20 to 180"),
    Case("chutes", 2, "lane", "BUS,TRUCK", 'separate values by |: "BUS|TRUCK"'),
    Case("chutes", 2, "lane", "!BUS", "without |, ! and *"),
    Case("chutes", 2, "lane", "BUS||TRUCK", "value is missing"),
    Case("chutes", 2, "capacity", "many", "digits alone"),
    Case("rules", 2, "row", "", "write the row's number"),
    Case("rules", 2, "row", "1.5", "not a whole number"),
    Case("rules", 2, "row", "65535", "out of range"),
    Case("rules", 3, "row", "10", "row 2 already"),
    Case("rules", 3, "row", "9", "sort the rows"),
    Case("rules", 3, "carrier", "sf", 'did you mean "SF"'),
    Case("rules", 3, "carrier", "SF、YTO", 'separate values by |: "SF|YTO"'),
    Case("rules", 3, "carrier", "SF|!YTO", "once, at the front"),
    Case("rules", 3, "carrier", "SF|", "value is missing"),
    Case("rules", 3, "carrier", "*", "leave the cell blank"),
    Case("rules", 3, "station", "X*", 'begins with "X"'),
    Case("rules", 3, "station", "V00l", "did you mean"),
    Case("rules", 3, "township", "双龙", 'did you mean "双龙镇"'),
    Case("rules", 4, "station", "V001", "no station fits both", "township"),
    Case("rules", 3, "service", "a|b>c", "leave it out of names"),
    Case("rules", 3, "flow", "in", "write one of inbound, outbound"),
    Case("rules", 3, "weight_g", "3kg", "without unit"),
    Case("rules", 3, "weight_g", "0-3000", "write 0..3000"),
    Case("rules", 3, "weight_g", "0~3000", "write 0..3000"),
    Case("rules", 3, "weight_g", "3000..0", "smaller one first"),
    Case("rules", 3, "weight_g", ">300000", "out of range"),
    Case("rules", 3, "weight_g", ">262143", "holds no number"),
    Case("rules", 3, "weight_g", "<0", "holds no number"),
    Case("rules", 3, "weight_g", "!5", "write 0..3000"),
    Case("rules", 3, "weight_g", "1E+05", "spreadsheet"),
    Case("rules", 3, "length_mm", "1.2m", "without unit"),
    Case("rules", 3, "length_mm", "70000", "out of range"),
    Case("rules", 3, "time", "08:00-12:30", "write 08:00..12:30"),
    Case("rules", 3, "time", "08:00", "write 08:00..12:30"),
    Case("rules", 3, "time", "08:00..08:00", "leave the cell blank"),
    Case("rules", 3, "time", "08:00..25:00", "not a time"),
    Case("rules", 3, "time", "24:00..02:00", "write 00:00"),
    Case("rules", 3, "days", "workdays", "not a day"),
    Case("rules", 3, "days", "1..3..5", "not a day"),
    Case("rules", 3, "send_to", "", "write a lane, a chute, or reject:"),
    Case("rules", 3, "send_to", "TRUKC", 'did you mean "TRUCK"'),
    Case("rules", 3, "send_to", "109", "is no chute in chutes.csv"),
    Case("rules", 3, "send_to", "BUS|TRUCK", "one lane alone"),
    Case("rules", 3, "send_to", "reject:overwieght", 'did you mean "overweight"'),
    Case("rules", 3, "send_to", "reject:lost", "is no reason for an exception chute"),
    Case("rules", 3, "send_to", "reject:", "write a reason"),
    Case("exceptions", 2, "reason", "noread", 'did you mean "no_read"'),
    Case("exceptions", 2, "line", "L9", "is no line of site.toml"),
    Case("exceptions", 2, "chute", "203", "is on line L2, not on L1"),
    Case("exceptions", 2, "chute", "999", "is no chute in chutes.csv"),
    Case("exceptions", 2, "chute", "", "write the chute's number"),
    Case("exceptions", 3, "line", "-", "stands in row 2 already", "reason"),
    Case("rules", 3, "send_to", "B\nUS", "line break"),
    Case("rules", 3, "service", "#NAME?", "error mark"),
    Case("rules", 3, "service", "=B2", "formula"),
    Case("carriers", 2, "carrier", "S\tF", "a tab or another control character"),
    Case("stations", 2, "township", "无", '"无" would be none; leave the cell blank'),
    Case("stations", 2, "lane", "n/a", "would be none; leave the cell blank"),
    Case("stations", 2, "lane", "BUS,TRUCK", "one lane alone"),
    Case("stations", 2, "lane", "客运", 'the name of one; write its code "BUS"'),
    Case("lanes", 2, "spill_to", "没有", "would be none; leave the cell blank"),
    Case("trips", 2, "days", "周一、周三", 'separate values by |: "周一|周三"'),
    Case("trips", 2, "days", "每天", "would be any; leave the cell blank"),
    Case("trips", 2, "departs", "8.30", "write 08:30"),
    Case("trips", 2, "departs", "0830", "write 08:30"),
    Case("trips", 2, "departs", "下午2点半", "write 14:30"),
    Case("trips", 2, "departs", "8:00、14：30", 'separate values by |: "08:00|14:30"'),
    Case("trips", 2, "departs", "08:00,14:30", 'separate values by |: "08:00|14:30"'),
    Case("trips", 2, "cutoff_min", "15分钟", "write 15, without unit"),
    Case("trips", 2, "capacity", "100件", "write 100, without unit"),
    Case("trips", 2, "capacity", "不限", "would be no limit; leave the cell blank"),
    Case("trips", 2, "capacity", "80%", "is a percentage, not a whole number"),
    Case("chutes", 2, "position", "34.5 米", "write 34.5, without unit"),
    Case("chutes", 2, "position", "rear", "write metres behind the scanner"),
    Case("rules", 3, "carrier", "顺丰", 'is no carrier in carriers.csv but the name of one; write its code "SF"'),
    Case("rules", 3, "station", "全部", "would be any; leave the cell blank"),
    Case("rules", 3, "service", "任意", "would be any; leave the cell blank"),
    Case("rules", 3, "service", "express|ALL", "would be any; leave the cell blank"),
    Case("rules", 3, "flow", "不限", "would be any; leave the cell blank"),
    Case("rules", 3, "weight_g", "all", "would be any; leave the cell blank"),
    Case("rules", 3, "weight_g", "30公斤", "write 30000, without unit"),
    Case("rules", 3, "weight_g", "500克", "write 500, without unit"),
    Case("rules", 3, "weight_g", "3kg..5kg", "write 3000..5000, without unit"),
    Case("rules", 3, "weight_g", "0-3kg", "write 0..3000"),
    Case("rules", 3, "weight_g", "0—3,000", "write 0..3000"),
    Case("rules", 3, "weight_g", "0到3000", "write 0..3000"),
    Case("rules", 3, "weight_g", "0..3,000", "write 0..3000, without separators"),
    Case("rules", 3, "weight_g", "大于3000", "write >3000"),
    Case("rules", 3, "weight_g", "≥3000", "write >=3000"),
    Case("rules", 3, "weight_g", "3公斤以上", "write >=3000"),
    Case("rules", 3, "weight_g", ">3kg", "write >3000, without unit"),
    Case("rules", 3, "weight_g", "50%", "is a percentage, not a range of grams"),
    Case("rules", 3, "weight_g", "1.5g", "write 0..3000, >3000 or one whole number"),
    Case("rules", 3, "time", "8:00~12:30", "write 08:00..12:30"),
    Case("rules", 3, "time", "8点到12点半", "write 08:00..12:30"),
    Case("rules", 3, "time", "08:00-12:00、14:00-18:00", 'separate values by |: "08:00..12:00|14:00..18:00"'),
    Case("rules", 3, "time", "全天", "would be any; leave the cell blank"),
]


@pytest.mark.parametrize("case", CELLS, ids=[f"{case.table}.{case.column}={case.text[:20]!r}" for case in CELLS])
def test_a_wrong_cell_is_told_where_it_stands(tmp_path: Path, case: Case) -> None:
    errors = errors_of(write(tmp_path, changed(case.table, case.row, case.column, case.text)))
    here = [error for error in errors if error[:3] == (case.table, case.row, case.told or case.column)]
    assert here, [str(error) for error in errors]
    assert case.words in here[0].message("en")
    cell = address(list(TABLES[case.table]).index(here[0].column), case.row)
    assert str(here[0]).startswith(f"{case.table}.csv row {case.row}, column {here[0].column} ({cell}): ")
    assert is_readable(here[0].message("en"))
    assert here[0].message("zh").isprintable()


def is_readable(message: str) -> bool:
    """A sentence for staff on one line, without Python in it."""
    return (
        len(message) >= 15
        and message.isprintable()
        and not re.search(r"Traceback|Error|None|Words\(|\bdict\b", message)
    )


KEYS = {"carrier", "station", "lane", "chute", "line", "reason", "township", "spill_to"}
NO_KEYS = [case for case in CELLS if case.column not in KEYS]


@pytest.mark.parametrize("case", NO_KEYS, ids=[f"{case.table}.{case.column}={case.text[:20]!r}" for case in NO_KEYS])
def test_a_wrong_cell_that_is_no_key_makes_no_other_error(tmp_path: Path, case: Case) -> None:
    assert len(errors_of(write(tmp_path, changed(case.table, case.row, case.column, case.text)))) == 1


def test_the_small_site_is_right(tmp_path: Path) -> None:
    assert errors_of(write(tmp_path)) == []


def test_all_errors_of_all_tables_at_once(tmp_path: Path) -> None:
    tables = copy_of_small()
    planted = set()
    for table, row, column, text in (
        ("carriers", 4, "waybill", "YT."),
        ("stations", 2, "kind", "x"),
        ("stations", 2, "name", ""),
        ("stations", 5, "lane", "x"),
        ("sort_codes", 4, "station", "x"),
        ("lanes", 3, "kind", "x"),
        ("trips", 3, "departs", "x"),
        ("trips", 4, "capacity", "x"),
        ("chutes", 4, "position", "x"),
        ("rules", 2, "weight_g", "x"),
        ("rules", 3, "time", "x"),
        ("rules", 3, "days", "x"),
        ("rules", 5, "send_to", "x"),
        ("exceptions", 2, "reason", "x"),
    ):
        tables[table][row - 1][tables[table][0].index(column)] = text
        planted.add((table, row, column))
    errors = errors_of(write(tmp_path, tables))
    assert planted <= {(error.table, error.row, error.column) for error in errors}
    rest = [error for error in errors if error[:3] not in planted]
    assert {(error.table, error.row) for error in rest} == {("exceptions", 0)}, "its row names no reason any more"
    order = [error.table for error in errors]
    assert order == sorted(order, key=list(tables).index)
    rows = [error.row for error in errors if error.table == "rules"]
    assert rows == sorted(rows)


def test_each_missing_exception_chute_is_named(tmp_path: Path) -> None:
    tables = copy_of_small()
    tables["exceptions"] = [["reason", "line", "chute"], ["!max_laps", "L1", "104"], ["no_read|no_rule", "L2", "203"]]
    errors = errors_of(write(tmp_path, tables))
    want = {("max_laps", "L1")} | {(r.word, "L2") for r in REJECTIONS if r.word not in ("no_read", "no_rule")}
    assert len(errors) == len(want)
    for reason, line in want:
        assert any(
            error.message("en").startswith(f"{reason} has no chute on line {line}; add a row") for error in errors
        )


def test_a_long_spill_chain_is_refused(tmp_path: Path) -> None:
    tables = copy_of_small()
    extra = [f"S{number}" for number in range(limits.SPILL_HOPS_MAX + 1)]
    for lane, following in zip(extra, [*extra[1:], ""], strict=True):
        tables["lanes"].append([lane, lane, "local", following])
    tables["chutes"][1][3] += "|" + "|".join(extra)
    assert errors_of(write(tmp_path, tables)) == []
    tables["lanes"].append(["S9", "S9", "local", "S0"])
    tables["chutes"][1][3] += "|S9"
    (error,) = errors_of(write(tmp_path, tables))
    assert (error.table, error.column) == ("lanes", "spill_to")
    assert "the most that are tried is 4" in error.message("en")


def test_a_circle_is_told_once(tmp_path: Path) -> None:
    tables = copy_of_small()
    tables["lanes"][2][3], tables["lanes"][3][3] = "PLANE", "BUS"
    (error,) = errors_of(write(tmp_path, tables))
    assert error[:3] == ("lanes", 2, "spill_to")
    assert error.message("en") == "BUS → TRUCK → PLANE → BUS is a circle; let one of these lanes spill nowhere"


def grown(table: str, rows: Table) -> dict[str, Table]:
    tables = copy_of_small()
    tables[table] += rows
    return tables


@pytest.mark.parametrize(
    ("table", "rows", "words"),
    [
        ("carriers", [["SF", "顺丰", f"S{n:02d}", "", ""] for n in range(62)], "65 waybill formats"),
        ("carriers", [[f"C{n}", f"C{n}", f"S{n:02d}", "", ""] for n in range(31)], "33 carriers"),
        ("stations", [[f"S{n}", "x", "city", "", "BUS"] for n in range(4092)], "4096 stations"),
        ("stations", [[f"S{n}", "x", "city", f"T{n}", "BUS"] for n in range(252)], "255 townships"),
        ("rules", [[str(n), "", "", "", f"s{n}", *[""] * 5, "BUS", ""] for n in range(50, 64)], "17 services"),
    ],
)
def test_more_than_fits_is_refused_with_the_limit(tmp_path: Path, table: str, rows: Table, words: str) -> None:
    errors = errors_of(write(tmp_path, grown(table, rows)))
    assert any(words in error.message("en") for error in errors)


def test_two_trips_of_a_lane_never_close_at_once(tmp_path: Path) -> None:
    rows = [["BUS", "周三", "14:50", "35", "10"], ["BUS", "", "08:30", "100", ""]]
    errors = errors_of(write(tmp_path, grown("trips", rows)))
    assert [(error.row, error.column) for error in errors] == [(5, "departs")]
    assert errors[0].message("en") == "a trip of BUS with the same cut-off stands in row 2 already; keep one of the two"


def test_more_departures_than_fit_are_refused(tmp_path: Path) -> None:
    lanes = [f"X{number}" for number in range(7)]
    tables = grown("lanes", [[lane, lane, "local", ""] for lane in lanes])
    tables["chutes"][1][3] += "|" + "|".join(lanes)
    every_minute = "|".join(f"{hour:02d}:{minute:02d}" for hour in range(24) for minute in range(60))
    tables["trips"] += [[lane, "", every_minute, "0", ""] for lane in lanes]
    (error,) = errors_of(write(tmp_path, tables))
    assert (error.table, error.row) == ("trips", 0)
    assert "70579 departures a week" in error.message("en")


def test_an_empty_table_is_told_where_one_is_needed(tmp_path: Path) -> None:
    tables = {name: rows[:1] for name, rows in copy_of_small().items()}
    errors = errors_of(write(tmp_path, tables))
    empty = [error.table for error in errors if "there is no row below the header" in error.message("en")]
    assert empty == ["carriers", "stations", "lanes", "chutes", "exceptions"]


def test_thousands_of_wrong_rows_are_all_told(tmp_path: Path) -> None:
    rows = [[str(n), "SFF", f"W{n}", "", "", "", "1kg", "", "", "", "BUZ", ""] for n in range(100, 5000)]
    errors = errors_of(write(tmp_path, grown("rules", rows)))
    assert len(errors) == 4 * len(rows)
