"""Files that a real spreadsheet saved are read as a person reads them; what we write goes through one unharmed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sorter.rulebook import check_folder, load
from sorter.rulebook.books.carrier_sheet import CarrierRow, read_carrier_sheet
from sorter.rulebook.books.workbook import read_workbook
from sorter.rulebook.books.writing import template, write_folder, write_workbook
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet, plain, read_folder
from tests.rulebook.small_site import LINES, OFFSET_NS, SMALL
from tests.rulebook.test_rulebook_writing import NASTY, Texts, sheets_of, texts_of

FILES = Path(__file__).parent / "files"
EVERY_SHEET_AS_CSV = "csv:Text - txt - csv (StarCalc):44,34,{charset},1,,0,false,true,false,false,false,-1"
UTF_8, GBK = 76, 61


def small() -> Texts:
    """What a reader makes of the small site."""
    return {
        table: [{NOTE: "", **dict(zip(rows[0], map(plain, row), strict=True))} for row in rows[1:]]
        for table, rows in SMALL.items()
    }


def test_gbk_saved_by_libreoffice() -> None:
    sheets, faults = read_folder(FILES / "gbk")
    assert faults == []
    assert texts_of(sheets) == small()
    load(FILES / "gbk", LINES, OFFSET_NS)


def test_an_untidy_workbook_holds_what_the_person_sees(tmp_path: Path) -> None:
    book = read_workbook(FILES / "kept.xlsx")
    assert book.faults == []
    assert texts_of(book.sheets) == small()
    assert [(finding.table, finding.rows, finding.witness) for finding in book.findings] == [
        ("stations", (3,), None),
        ("sort_codes", (), "三段码"),
        ("trips", (), "capacity"),
        ("chutes", (5,), None),
    ]
    assert [row.at for row in book.sheets["exceptions"].rows] == [4, 5]
    write_folder(book.sheets, tmp_path)
    check_folder(tmp_path, LINES, OFFSET_NS)


def test_what_the_spreadsheet_spoilt_is_told() -> None:
    book = read_workbook(FILES / "spoilt.xlsx")
    assert [(fault.sheet, fault.cell or fault.row, fault.kind) for fault in book.faults] == [
        ("站点", "E3", "error_cell"),
        ("站点", "A4", "number_for_code"),
        ("三段码", "B2", "number_for_code"),
        ("三段码", "D3", "date_cell"),
        ("三段码", "B4", "long_number"),
        ("规则", "J2", "date_cell"),
        ("规则", "B3", "error_cell"),
        ("规则", "B5", "time_cell"),
        ("规则", "D5", "truth_cell"),
        ("规则", 3, "merged"),
    ]
    assert book.sheets["trips"].rows[0].texts["departs"] == "07:20"


@pytest.mark.parametrize("name", ["carrier.xlsx", "carrier.csv"])
def test_a_carriers_sheet(name: str) -> None:
    taken, faults = read_carrier_sheet(FILES / name)
    assert faults == []
    assert taken is not None
    assert taken.rows == [
        CarrierRow(3, "", 101, "023-A01-07"),
        CarrierRow(4, "", 101, "023-A01-08"),
        CarrierRow(5, "", 102, "023-A02"),
        CarrierRow(6, "", 202, "531-B07-00"),
    ]


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [("password.xlsx", "password", "密码"), ("old.xls", "no_workbook", "旧格式"), ("open.ods", "no_workbook", ".ods")],
)
def test_other_kinds_of_workbooks(name: str, kind: str, word: str) -> None:
    book = read_workbook(FILES / name)
    assert [(fault.kind, fault.file) for fault in book.faults] == [(kind, name)]
    assert word in book.faults[0].message("zh")


def convert(source: Path, form: str, folder: Path, *opened_as: str) -> None:
    """Open a file in LibreOffice and save it. Each folder has a profile of its own."""
    office = shutil.which("soffice")
    assert office is not None
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = [office, "--headless", profile, *opened_as, "--convert-to", form, "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=240)


real_spreadsheet = pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice (soffice) is not installed")


def nasty_tables() -> Texts:
    """Every nasty text in every column of every table.

    But no control characters, of which LibreOffice keeps none, and no two escapes in a row, of which it escapes one.
    """
    texts = [text for text in map(plain, NASTY) if text.replace("\n", "").isprintable() and text.count("_x") < 2]
    rows = {table: [dict.fromkeys((*columns, NOTE), text) for text in texts] for table, columns in TABLES.items()}
    return {table: [row | {NOTE: "x"} for row in found] for table, found in rows.items()}


@real_spreadsheet
def test_what_we_write_goes_through_libreoffice(tmp_path: Path) -> None:
    """As xlsx, and every sheet as CSV."""
    tables = nasty_tables()
    source = tmp_path / "book.xlsx"
    out = tmp_path / "out"
    out.mkdir()
    write_workbook(sheets_of(tables), source, version="v1", language="zh")
    convert(source, "xlsx", out)
    book = read_workbook(out / "book.xlsx")
    assert book.faults == []
    assert texts_of(book.sheets) == tables
    convert(source, EVERY_SHEET_AS_CSV.format(charset=UTF_8), out)
    for path in out.glob("book-*.csv"):
        path.rename(path.with_name(path.name.removeprefix("book-")))
    sheets, faults = read_folder(out)
    assert faults == []
    assert texts_of(sheets) == tables


@real_spreadsheet
def test_a_template_goes_through_libreoffice(tmp_path: Path) -> None:
    template(tmp_path / "book.xlsx", "zh")
    out = tmp_path / "out"
    out.mkdir()
    convert(tmp_path / "book.xlsx", "xlsx", out)
    book = read_workbook(out / "book.xlsx")
    assert (book.faults, book.findings) == ([], [])
    assert {table: len(sheet.rows) for table, sheet in book.sheets.items()} == dict.fromkeys(TABLES, 0)


@real_spreadsheet
def test_csv_of_ours_becomes_gbk_and_comes_back(tmp_path: Path) -> None:
    sheet = Sheet(
        "lanes",
        [Cells(at, dict.fromkeys((*TABLES["lanes"], NOTE), "") | row) for at, row in enumerate(small()["lanes"])],
    )
    write_folder({"lanes": sheet}, tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    convert(tmp_path / "lanes.csv", f"csv:Text - txt - csv (StarCalc):44,34,{GBK}", out, "--infilter=CSV:44,34,76")
    assert (out / "lanes.csv").read_bytes().decode("gbk").startswith("lane,name")
    assert texts_of(read_folder(out)[0]) == {"lanes": small()["lanes"]}
