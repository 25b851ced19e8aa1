"""Cells read as the person sees them; what may have lost something is told; nothing hostile fills memory."""

import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from python_calamine import CalamineWorkbook

from sorter.rulebook.books.workbook import FAULTS_MAX, Book, read_grid, read_workbook
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.xlsx import bounds
from sorter.rulebook.books.xlsx.grid import Kind
from sorter.rulebook.books.xlsx.package import read_grids
from sorter.rulebook.mistakes import Mistake
from sorter.rulebook.tables import TABLES, TITLES, Unreadable, address
from tests.rulebook.small_site import SMALL

NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
FORMATS = (
    "General",
    "yyyy/m/d",
    "h:mm",
    "[h]:mm",
    "0.00E+00",
    'm"月"d"日"',
    '[$-804]yyyy"年"',
    "0000",
    "#,##0_);[Red]",
)
DATE, TIME, HOURS, SCIENTIFIC, MONTH_DAY, YEAR, ZEROS, COUNT = range(1, 9)


def sheet_xml(rows: str, after: str = "", before: str = "") -> str:
    return f"<worksheet {NAMESPACE}>{before}<sheetData>{rows}</sheetData>{after}</worksheet>"


def text_cell(at: str, text: str) -> str:
    return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is></c>'


def number_cell(at: str, number: object, style: int = 0) -> str:
    return f'<c r="{at}" s="{style}"><v>{number}</v></c>'


def rows_xml(rows: Mapping[int, str]) -> str:
    return "".join(f'<row r="{at}">{cells}</row>' for at, cells in rows.items())


def table_xml(table: str, change: Mapping[str, str] | None = None) -> str:
    """A table of the small site; `change`: cell -> the XML that takes its place."""
    left = dict(change or {})
    rows = {}
    for at, texts in enumerate(SMALL[table], 1):
        names = [address(place, at) for place in range(len(texts))]
        cells = [left.pop(name, text_cell(name, text)) for name, text in zip(names, texts, strict=True)]
        rows[at] = "".join(cells)
    assert not left
    return rows_xml(rows)


def package(path: Path, sheets: list[tuple[str, str]], parts: Mapping[str, str] | None = None, state: str = "") -> Path:
    """A workbook made by hand: title and XML of each sheet; `parts` replaces or adds others."""
    relation = f'<Relationship Id="r%d" Type="{RELATIONS}/%s" Target="%s"/>'
    numbers = range(1, len(sheets) + 1)
    related = [relation % (at, "worksheet", f"worksheets/s{at}.xml") for at in numbers]
    related.append(relation % (len(sheets) + 1, "styles", "styles.xml"))
    names = [f'<sheet name="{escape(title)}" sheetId="{at}" r:id="r{at}"/>' for at, (title, _) in enumerate(sheets, 1)]
    formats = "".join(
        f'<numFmt numFmtId="{200 + at}" formatCode={quoteattr(code)}/>' for at, code in enumerate(FORMATS)
    )
    styles = "".join(f'<xf numFmtId="{200 + at}"/>' for at in range(len(FORMATS)))
    head = f'<workbook {NAMESPACE} xmlns:r="{RELATIONS}">{state}'
    content = {
        "_rels/.rels": f"<Relationships>{relation % (1, 'officeDocument', 'xl/workbook.xml')}</Relationships>",
        "xl/workbook.xml": f"{head}<sheets>{''.join(names)}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f"<Relationships>{''.join(related)}</Relationships>",
        "xl/styles.xml": f"<style {NAMESPACE}><numFmts>{formats}</numFmts><cellXfs>{styles}</cellXfs></style>",
        **{f"xl/worksheets/s{at}.xml": xml for at, (_, xml) in enumerate(sheets, 1)},
        **(parts or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, xml in content.items():
            archive.writestr(name, xml)
    return path


def site(
    path: Path, change: Mapping[str, Mapping[str, str]] | None = None, after: Mapping[str, str] | None = None
) -> Book:
    """The small site as a workbook, some cells of some tables changed, read."""
    sheets = [
        (TITLES[table][0], sheet_xml(table_xml(table, (change or {}).get(table)), (after or {}).get(table, "")))
        for table in TABLES
    ]
    return read_workbook(package(path / "book.xlsx", sheets))


def texts_of(book: Book, table: str) -> list[list[str]]:
    header = SMALL[table][0]
    return [[row.texts[column] for column in header] for row in book.sheets[table].rows]


def told(book: Book) -> list[tuple[str, str, str]]:
    return [(fault.sheet, fault.cell or str(fault.row or ""), fault.kind) for fault in book.faults]


def test_the_small_site_comes_through(tmp_path: Path) -> None:
    book = site(tmp_path)
    assert book.faults == []
    assert book.findings == []
    for table, rows in SMALL.items():
        assert texts_of(book, table) == rows[1:]
        assert [row.at for row in book.sheets[table].rows] == list(range(2, len(rows) + 1))


# What stands in a cell, and what is read, or the kind of mistake it is.
CELLS = [
    ("rules", "A2", number_cell("A2", 10), "10"),
    ("rules", "G5", number_cell("G5", "3000.0"), "3000"),
    ("rules", "G5", number_cell("G5", "3e3"), "3000"),
    ("rules", "K2", number_cell("K2", 102), "102"),
    ("rules", "J2", number_cell("J2", 5), "5"),
    ("rules", "G5", number_cell("G5", 1234567890123456), "long_number"),
    ("trips", "D2", number_cell("D2", 15, COUNT), "15"),
    ("chutes", "A2", number_cell("A2", 101, ZEROS), "101"),
    ("chutes", "C2", number_cell("C2", 36.5), "36.5"),
    ("chutes", "C2", number_cell("C2", "36.300000000000004"), "36.3"),
    ("sort_codes", "B2", number_cell("B2", 531), "number_for_code"),
    ("sort_codes", "B2", number_cell("B2", 531, ZEROS), "number_for_code"),
    ("sort_codes", "B2", number_cell("B2", 99999999999), "number_for_code"),
    ("sort_codes", "B2", number_cell("B2", 100000000000), "long_number"),
    ("sort_codes", "B2", number_cell("B2", "1.23E+17", SCIENTIFIC), "long_number"),
    ("stations", "A2", number_cell("A2", 7), "number_for_code"),
    ("carriers", "C2", number_cell("C2", "1.23E+12"), "long_number"),
    ("stations", "B2", number_cell("B2", 571), "571"),
    ("carriers", "D2", number_cell("D2", 46327, DATE), "2026-11-01"),
    ("carriers", "D2", number_cell("D2", 46327, MONTH_DAY), "2026-11-01"),
    ("carriers", "D2", number_cell("D2", 46327, YEAR), "2026-11-01"),
    ("carriers", "D2", number_cell("D2", "46327.5", DATE), "2026-11-01 12:00"),
    ("carriers", "D2", '<c r="D2" t="d"><v>2026-11-01T00:00:00</v></c>', "2026-11-01"),
    ("carriers", "D2", number_cell("D2", 46327), "number_for_code"),
    ("rules", "J2", number_cell("J2", 46024, MONTH_DAY), "date_cell"),
    ("sort_codes", "C2", number_cell("C2", 46024, DATE), "date_cell"),
    ("stations", "B2", number_cell("B2", 46024, DATE), "2026-01-02"),
    ("trips", "C2", number_cell("C2", "0.305555555555556", TIME), "07:20"),
    ("trips", "C2", number_cell("C2", "0.30556712962963", TIME), "07:20:01"),
    ("trips", "C2", number_cell("C2", 1, HOURS), "24:00"),
    ("rules", "I2", number_cell("I2", "0.5", TIME), "12:00"),
    ("rules", "G2", number_cell("G2", "0.5", TIME), "time_cell"),
    ("stations", "A2", number_cell("A2", "0.5", TIME), "time_cell"),
    ("carriers", "D2", number_cell("D2", -5, DATE), "error_cell"),
    ("carriers", "D2", number_cell("D2", "1e12", DATE), "error_cell"),
    ("rules", "E2", '<c r="E2" t="b"><v>1</v></c>', "truth_cell"),
    ("stations", "B2", '<c r="B2" t="b"><v>0</v></c>', "FALSE"),
    ("rules", "B2", '<c r="B2" t="e"><v>#N/A</v></c>', "error_cell"),
    ("rules", "B2", '<c r="B2" t="e"><f>NA()</f><v>#N/A</v></c>', "error_cell"),
    ("rules", "B2", '<c r="B2"><f>B3</f></c>', "no_value"),
    ("rules", "B2", '<c r="B2"><f>B3</f><v></v></c>', "no_value"),
    ("rules", "B2", '<c r="B2" t="str"><f>B3</f></c>', "no_value"),
    ("rules", "L2", '<c r="L2"><f>B3</f></c>', "no_value"),
    ("rules", "B2", '<c r="B2" t="str"><f>""</f><v></v></c>', "looks_blank"),
    ("rules", "L2", '<c r="L2" t="str"><f>""</f><v></v></c>', ""),
    ("rules", "B2", '<c r="B2" t="e"/>', "looks_blank"),
    ("rules", "B2", text_cell("B2", "\u200b"), "looks_blank"),
    ("rules", "L2", text_cell("L2", "x_x0000_y"), "x\ufffdy"),
    ("rules", "L2", text_cell("L2", "x_xD83D_y"), "x\ufffdy"),
    ("rules", "L2", text_cell("L2", "_xD83D__xDE8C_"), "🚌"),
    ("carriers", "D2", '<c r="D2" t="d"><v>2026-11-01T00:00:00.000Z</v></c>', "2026-11-01"),
    ("trips", "C2", '<c r="C2" t="d"><v>08:00:00</v></c>', "08:00"),
    ("trips", "C2", number_cell("C2", "8.3"), "number_for_time"),
    ("rules", "B2", '<c r="B2" t="str"><f>B3</f><v>SF</v></c>', "SF"),
    ("trips", "D2", '<c r="D2"><f>10+5</f><v>15</v></c>', "15"),
    ("rules", "B2", '<c r="B2" s="1"/>', ""),
    ("rules", "B2", text_cell("B2", "  SF \u200b"), "SF"),
    ("rules", "B2", text_cell("B2", "ＳＦ｜ＹＴＯ"), "SF|YTO"),
    ("rules", "B2", text_cell("B2", "0571"), "0571"),
    ("rules", "B2", text_cell("B2", "=1+1"), "=1+1"),
    ("rules", "B2", text_cell("B2", "_x0041_"), "A"),
    ("rules", "B2", text_cell("B2", "_x005F_x0041_"), "_x0041_"),
    ("rules", "B2", '<c r="B2" t="inlineStr"><is><r><t>S</t></r><r><t>F</t></r><rPh><t>x</t></rPh></is></c>', "SF"),
]


@pytest.mark.parametrize(("table", "cell", "xml", "read"), CELLS, ids=[f"{t}-{x}" for t, _, x, _ in CELLS])
def test_a_cell_is_what_the_person_sees(tmp_path: Path, table: str, cell: str, xml: str, read: str) -> None:
    book = site(tmp_path, {table: {cell: xml}})
    kinds = {mistake.kind for mistake in (*WorkbookMistake, Mistake.LOOKS_BLANK)}
    if read in kinds:
        assert told(book) == [(TITLES[table][0], cell, read)]
        assert book.faults[0].file == "book.xlsx"
    else:
        assert told(book) == []
        column = SMALL[table][0][ord(cell[0]) - ord("A")]
        assert book.sheets[table].rows[int(cell[1:]) - 2].texts[column] == read


def test_the_day_a_date_was_typed_as_is_told(tmp_path: Path) -> None:
    book = site(tmp_path, {"rules": {"J2": number_cell("J2", 46024, DATE)}})
    assert "1-2" in book.faults[0].message("en")
    assert "1-2" in book.faults[0].message("zh")


def test_years_may_begin_in_1904(tmp_path: Path) -> None:
    change = {"D2": number_cell("D2", 46327 - 1462, DATE)}
    sheets = [("carriers", sheet_xml(table_xml("carriers", change)))]
    path = package(tmp_path / "mac.xlsx", sheets, state='<workbookPr date1904="1"/>')
    assert read_workbook(path).sheets["carriers"].rows[0].texts["valid_from"] == "2026-11-01"


def test_cells_need_not_say_where_they_are(tmp_path: Path) -> None:
    rows = (
        "<row><c/><c t='str'><v>a</v></c></row><row r='5'><c r='C5' t='str'><v>b</v></c><c t='str'><v>c</v></c></row>"
    )
    (grid,) = read_grids(package(tmp_path / "a.xlsx", [("x", sheet_xml(rows))]))
    assert grid.records == [(1, ["", "a"]), (5, ["", "", "b", "c"])]


def test_elements_may_have_a_prefix(tmp_path: Path) -> None:
    xml = sheet_xml(table_xml("lanes"))
    prefixed = re.sub(r"<(/?)(\w+)", r"<\1x:\2", xml).replace("xmlns=", "xmlns:x=")
    book = read_workbook(package(tmp_path / "a.xlsx", [("路向", prefixed)]))
    assert texts_of(book, "lanes") == SMALL["lanes"][1:]


def test_rows_are_counted_as_the_spreadsheet_does(tmp_path: Path) -> None:
    rows = {4: text_cell("B4", "原因") + text_cell("C4", "分拣线") + text_cell("D4", "格口")}
    rows |= {9: text_cell("C9", "L1") + number_cell("D9", 104), 1_048_576: text_cell("C1048576", "L2")}
    book = read_workbook(package(tmp_path / "a.xlsx", [("exceptions", sheet_xml(rows_xml(rows)))]))
    assert [row.at for row in book.sheets["exceptions"].rows] == [9, 1_048_576]
    assert book.sheets["exceptions"].places == {"reason": 1, "line": 2, "chute": 3}


@pytest.mark.parametrize("title", ["规则", "rules", " RULES ", "Rules", "规则表", "ｒｕｌｅｓ", "规 则"])
def test_a_sheet_is_known_by_its_title(tmp_path: Path, title: str) -> None:
    book = read_workbook(package(tmp_path / "a.xlsx", [(title, sheet_xml(table_xml("rules")))]))
    assert list(book.sheets) == ["rules"]
    assert {fault.kind for fault in book.faults} == {"missing_sheet"}
    assert {fault.table for fault in book.faults} == set(TABLES) - {"rules"}


def test_strange_sheets_are_told_and_empty_ones_passed_over(tmp_path: Path) -> None:
    sheets = [(TITLES[table][0], sheet_xml(table_xml(table))) for table in TABLES if table != "rules"]
    full = sheet_xml(rows_xml({1: text_cell("A1", "x")}))
    sheets += [("规则1", full), ("Sheet1", sheet_xml("")), ("说明", full), ("README", full), ("旧数据", full)]
    book = read_workbook(package(tmp_path / "a.xlsx", sheets))
    assert told(book) == [
        ("规则1", "", "strange_sheet_near"),
        ("旧数据", "", "strange_sheet"),
        ("", "", "missing_sheet_near"),
    ]
    assert "规则1" in book.faults[-1].message("zh")


def test_two_sheets_for_one_table(tmp_path: Path) -> None:
    rules = sheet_xml(table_xml("rules"))
    for titles in (("规则", "rules"), ("规则", "规则")):
        book = read_workbook(package(tmp_path / "a.xlsx", [(title, rules) for title in titles]))
        assert [fault.kind for fault in book.faults if fault.table == "rules"] == ["two_sheets"]


def test_an_empty_sheet_says_what_its_header_is(tmp_path: Path) -> None:
    book = read_workbook(package(tmp_path / "a.xlsx", [("规则", sheet_xml(""))]))
    fault = next(fault for fault in book.faults if fault.table == "rules")
    assert (fault.kind, fault.sheet) == ("empty_sheet", "规则")


@pytest.mark.parametrize(
    ("cells", "rows"),
    [("G3:G5", [3]), ("A1:B1", [1]), ("L2:M2", [2]), ("A5:A900", [5]), ("A6:B6", []), ("C3", []), ("C3:C3", [])],
)
def test_merged_cells_among_the_rows_are_told(tmp_path: Path, cells: str, rows: list[int]) -> None:
    merged = f'<mergeCells count="1"><mergeCell ref="{cells}"/></mergeCells>'
    book = site(tmp_path, after={"rules": merged})
    assert [(fault.kind, fault.row) for fault in book.faults] == [("merged", row) for row in rows]
    assert all(cells in fault.message("zh") for fault in book.faults)


def test_cells_merged_above_the_header_are_nothing(tmp_path: Path) -> None:
    header = {4: text_cell("A4", "原因") + text_cell("B4", "分拣线") + text_cell("C4", "格口")}
    for cells, kinds in (("A1:C3", []), ("A1:C4", ["merged"])):
        xml = sheet_xml(rows_xml(header), f'<mergeCells><mergeCell ref="{cells}"/></mergeCells>')
        book = read_workbook(package(tmp_path / "a.xlsx", [("异常口", xml)]))
        assert [fault.kind for fault in book.faults if fault.table == "exceptions"] == kinds


def test_what_is_hidden_counts_and_is_told(tmp_path: Path) -> None:
    rows = (
        table_xml("lanes").replace('<row r="3"', '<row hidden="1" r="3"').replace('<row r="5"', '<row hidden="1" r="5"')
    )
    xml = sheet_xml(rows + '<row r="9" hidden="1"/>', before='<cols><col min="4" max="16384" hidden="1"/></cols>')
    path = package(tmp_path / "a.xlsx", [("lanes", xml)])
    with zipfile.ZipFile(path) as archive:
        workbook = archive.read("xl/workbook.xml").decode().replace("<sheet ", '<sheet state="veryHidden" ')
    book = read_workbook(package(path, [("lanes", xml)], {"xl/workbook.xml": workbook}))
    assert texts_of(book, "lanes") == SMALL["lanes"][1:]
    assert [(finding.kind, finding.rows, finding.witness) for finding in book.findings] == [
        ("hidden", (), "lanes"),
        ("hidden", (), "spill_to"),
        ("hidden", (3, 5), None),
    ]


def test_blank_rows_and_columns_around_are_nothing(tmp_path: Path) -> None:
    blank = rows_xml({at: text_cell(f"A{at}", "   ") + text_cell(f"ZZ{at}", " ") for at in range(900, 1200)})
    book = read_workbook(package(tmp_path / "a.xlsx", [("lanes", sheet_xml(table_xml("lanes") + blank))]))
    assert texts_of(book, "lanes") == SMALL["lanes"][1:]
    assert {fault.kind for fault in book.faults} == {"missing_sheet"}


def test_a_column_of_wrong_cells_is_told_up_to_a_number(tmp_path: Path) -> None:
    header = "".join(text_cell(address(place, 1), column) for place, column in enumerate(TABLES["sort_codes"]))
    count = FAULTS_MAX + 50
    rows = {1: header} | {at: number_cell(f"B{at}", at) for at in range(2, count + 2)}
    book = read_workbook(package(tmp_path / "a.xlsx", [("三段码", sheet_xml(rows_xml(rows)))]))
    faults = [fault for fault in book.faults if fault.table == "sort_codes"]
    assert [fault.row for fault in faults] == [*range(2, FAULTS_MAX + 2), 0]
    assert "50" in faults[-1].message("zh")


def test_text_far_right_is_told_once_and_not_kept(tmp_path: Path) -> None:
    rows = table_xml("lanes") + rows_xml({at: text_cell(f"XFD{at}", "x") for at in range(10, 2000)})
    book = read_workbook(package(tmp_path / "a.xlsx", [("lanes", sheet_xml(rows))]))
    assert next(fault.message("en") for fault in book.faults if fault.table == "lanes").startswith("XFD10 ")
    assert texts_of(book, "lanes") == SMALL["lanes"][1:]


# Files that are no workbook, and what is said.
def _ole(name: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + name.encode("utf-16-le") + bytes(600)


def _zip(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "<x/>")
    return out.getvalue()


STRANGERS = {
    "password": (_ole("EncryptedPackage"), "password", "密码"),
    "xls": (_ole("Workbook"), "no_workbook", "旧格式"),
    "et": (_ole("ETWorkbook"), "no_workbook", "旧格式"),
    "doc": (_ole("WordDocument"), "no_workbook", "文字文档"),
    "pdf": (b"%PDF-1.7\n", "no_workbook", "PDF"),
    "jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "no_workbook", "图片"),
    "png": (b"\x89PNG\r\n\x1a\n", "no_workbook", "图片"),
    "html": (b"\xef\xbb\xbf <html><table>", "no_workbook", "网页"),
    "csv": ("承运商,名称\r\n".encode("gb18030"), "no_workbook", "CSV"),
    "noise": (bytes(range(256)), "no_workbook", "别的文件"),
    "empty": (b"", "no_workbook", "空文件"),
    "blank": (b"\r\n  ", "no_workbook", "空文件"),
    "zip": (_zip("a.txt"), "no_workbook", "压缩包"),
    "empty zip": (_zip(), "no_workbook", "压缩包"),
    "nested": (_zip("book.xlsx", "_rels/.rels"), "no_workbook", "压缩包"),
    "rar": (b"Rar!\x1a\x07", "no_workbook", "压缩包"),
    "docx": (_zip("word/document.xml"), "no_workbook", "文字文档"),
    "pptx": (_zip("ppt/presentation.xml"), "no_workbook", "演示文稿"),
    "xlsb": (_zip("xl/workbook.bin"), "no_workbook", "xlsb"),
    "ods": (_zip("mimetype", "content.xml"), "no_workbook", "OpenDocument"),
    "cut zip": (_zip("xl/workbook.xml")[:-30], "cut_off", "不完整"),
    "zip head": (b"PK\x03\x04", "cut_off", "不完整"),
}


@pytest.mark.parametrize(("data", "kind", "word"), STRANGERS.values(), ids=STRANGERS.keys())
def test_what_is_no_workbook_is_named(tmp_path: Path, data: bytes, kind: str, word: str) -> None:
    path = tmp_path / "规则.xlsx"
    path.write_bytes(data)
    book = read_workbook(path)
    assert book.sheets == {}
    assert [(fault.kind, fault.file, fault.row) for fault in book.faults] == [(kind, "规则.xlsx", 0)]
    assert word in book.faults[0].told("zh")


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert [fault.kind for fault in read_workbook(tmp_path).faults] == ["folder_for_file"]
    assert [fault.kind for fault in read_workbook(tmp_path / "none.xlsx").faults] == ["file_unreadable"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = package(tmp_path / "a.xlsx", [])
    path.chmod(0)
    assert [fault.kind for fault in read_workbook(path).faults] == ["file_unreadable"]


def _refusal(path: Path) -> str:
    with pytest.raises(Unreadable) as refused:
        read_grids(path)
    assert isinstance(refused.value.said.sentence, WorkbookMistake)
    return refused.value.said.sentence.kind


BROKEN: Mapping[str, Mapping[str, str]] = {
    "no sheet part": {
        "xl/_rels/workbook.xml.rels": f'<R><Relationship Id="r1" Type="{RELATIONS}/worksheet" Target="gone.xml"/></R>'
    },
    "not XML": {"xl/worksheets/s1.xml": "<worksheet>"},
    "no XML": {"xl/worksheets/s1.xml": "hello"},
    "a row twice": {"xl/worksheets/s1.xml": sheet_xml('<row r="2"/><row r="2"/>')},
    "row zero": {"xl/worksheets/s1.xml": sheet_xml('<row r="0"/>')},
    "a row too far": {"xl/worksheets/s1.xml": sheet_xml('<row r="1048577"/>')},
    "a cell twice": {"xl/worksheets/s1.xml": sheet_xml(rows_xml({1: text_cell("A1", "a") + text_cell("A1", "b")}))},
    "a cell of another row": {"xl/worksheets/s1.xml": sheet_xml(rows_xml({1: text_cell("A2", "a")}))},
    "no such cell": {"xl/worksheets/s1.xml": sheet_xml(rows_xml({1: text_cell("?", "a")}))},
    "no such text": {"xl/worksheets/s1.xml": sheet_xml('<row r="1"><c r="A1" t="s"><v>7</v></c></row>')},
    "no number": {"xl/worksheets/s1.xml": sheet_xml('<row r="1"><c r="A1"><v>7..</v></c></row>')},
    "infinity": {"xl/worksheets/s1.xml": sheet_xml('<row r="1"><c r="A1"><v>1e999</v></c></row>')},
    "entities": {
        "xl/worksheets/s1.xml": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        + sheet_xml("<row>&b;</row>")
    },
    "a tag without end": {"xl/worksheets/s1.xml": sheet_xml('<row x="' + "1" * (3 << 20) + '"/>')},
}


@pytest.mark.parametrize("parts", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_workbook_is_refused(tmp_path: Path, parts: Mapping[str, str]) -> None:
    assert _refusal(package(tmp_path / "a.xlsx", [("规则", sheet_xml(""))], parts)) == "cut_off"


def test_a_workbook_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = package(tmp_path / "a.xlsx", [("规则", sheet_xml(table_xml("rules")))]).read_bytes()
    for length in range(4, len(data), 97):
        (tmp_path / "cut.xlsx").write_bytes(data[:length])
        assert _refusal(tmp_path / "cut.xlsx") == "cut_off"


@given(st.integers(0, 2**32), st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, at: int, byte: int) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    data = bytearray(package(folder / "a.xlsx", [("规则", sheet_xml(table_xml("rules")))]).read_bytes())
    data[at % len(data)] = byte
    (folder / "a.xlsx").write_bytes(data)
    book = read_workbook(folder / "a.xlsx")
    assert book.faults


LIMITS: Mapping[str, tuple[str, int, Callable[[], str]]] = {
    "bytes": ("INFLATED_BYTES_MAX", 100_000, lambda: rows_xml(dict.fromkeys(range(1, 20_000), ""))),
    "elements": ("ELEMENTS_MAX", 1000, lambda: "<row>" + "<c/>" * 1000 + "</row>"),
    "rows": ("RECORDS_MAX", 100, lambda: rows_xml({at: text_cell(f"A{at}", "x") for at in range(1, 102)})),
    "cells": ("CELLS_MAX", 100, lambda: rows_xml({at: text_cell(f"A{at}", "x") for at in range(1, 102)})),
    "characters": ("TEXT_MAX", 1000, lambda: rows_xml({at: text_cell(f"A{at}", "x" * 100) for at in range(1, 12)})),
}


@pytest.mark.parametrize(("limit", "most", "rows"), LIMITS.values(), ids=LIMITS.keys())
def test_limits_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, rows: Callable[[], str]
) -> None:
    path = package(tmp_path / "a.xlsx", [("规则", sheet_xml(rows()))])
    read_grids(path)
    monkeypatch.setattr(bounds, limit, most)
    assert _refusal(path) == "too_large"


def test_too_many_sheets_and_parts(tmp_path: Path) -> None:
    sheets = [(f"s{at}", sheet_xml("")) for at in range(bounds.SHEETS_MAX + 1)]
    read_grids(package(tmp_path / "a.xlsx", sheets[1:]))
    assert _refusal(package(tmp_path / "a.xlsx", sheets)) == "too_large"
    parts = {f"p{at}": "" for at in range(bounds.PARTS_MAX)}
    assert _refusal(package(tmp_path / "a.xlsx", [], parts)) == "too_large"


def _bomb(path: Path, inner: bytes, times: int, size_told: int | None = None) -> Path:
    """A workbook whose sheet repeats `inner`; with `size_told` its directory lies about the size."""
    package(path, [("规则", "SHEET")])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    head, tail = sheet_xml("|").encode().split(b"|")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in parts.items():
            with archive.open(name, "w", force_zip64=True) as part:
                if data != b"SHEET":
                    part.write(data)
                    continue
                part.write(head)
                block = inner * 1000
                for _ in range(times // 1000):
                    part.write(block)
                part.write(tail)
    if size_told is not None:
        lying = bytearray(path.read_bytes())
        at = lying.rindex(b"xl/worksheets/s1.xml") - 46
        lying[at + 24 : at + 28] = size_told.to_bytes(4, "little")
        path.write_bytes(lying)
    return path


MEASURE = """
import resource, sys, time
from pathlib import Path
from sorter.rulebook.books.workbook import read_workbook
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
book = read_workbook(Path(sys.argv[1]))
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # ru_maxrss would count whoever forked us
print(book.faults[0].kind, int(peak) >> 10)
"""


@pytest.mark.parametrize(
    ("inner", "times", "size_told", "kind"),
    [
        (b"<a/>", 60_000_000, None, "too_large"),  # 240 MB, and it says so
        (b" " * 1000, 2_000_000, 4000, "cut_off"),  # 2 GB that says it were 4 kB
        (b"<a/>", 8_000_000, None, "too_large"),
        (b'<a b="' + b"x" * 60_000 + b'"/>', 1000, None, "missing_sheet"),
    ],
    ids=["200 MB sheet", "a lie", "elements", "long tags"],
)
def test_a_bomb_is_refused_in_little_memory(
    tmp_path: Path, inner: bytes, times: int, size_told: int | None, kind: str
) -> None:
    path = _bomb(tmp_path / "bomb.xlsx", inner, times, size_told)
    command = [sys.executable, "-c", MEASURE, str(path)]
    found, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert found in {kind, "empty_sheet"}
    assert int(megabytes) < 500


def test_a_million_formatted_rows_are_nothing(tmp_path: Path) -> None:
    """As when staff give a whole sheet borders."""
    count = 1 << 20
    rows = table_xml("lanes") + "".join(f'<row r="{at}" s="1" customFormat="1"/>' for at in range(6, count + 1))
    book = read_workbook(package(tmp_path / "a.xlsx", [("lanes", sheet_xml(rows))]))
    assert texts_of(book, "lanes") == SMALL["lanes"][1:]


def test_a_header_of_all_columns(tmp_path: Path) -> None:
    cells = "".join(text_cell(address(place, 1), f"c{place}") for place in range(16_384))
    book = read_workbook(package(tmp_path / "a.xlsx", [("lanes", sheet_xml(rows_xml({1: cells})))]))
    assert next(fault for fault in book.faults if fault.table == "lanes").kind == "missing_columns"


def test_two_other_readers_see_the_same(tmp_path: Path) -> None:
    """Texts and numbers that openpyxl wrote, read by it and by python-calamine."""
    path = tmp_path / "a.xlsx"
    book = Workbook()
    sheet = book.active
    for cell, value in {"A1": "a", "C1": 36.5, "D1": 571, "B3": "0571", "C3": "中文 <&>", "D3": "x"}.items():
        sheet[cell] = value
    book.save(path)
    (grid,) = read_grids(path)
    ours = [dict(grid.records).get(at, []) for at in (1, 2, 3)]
    ours = [[*texts, *[""] * (4 - len(texts))] for texts in ours]
    theirs = CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert ours == [[f"{cell:g}" if isinstance(cell, float) else cell for cell in row] for row in theirs]
    rows = load_workbook(path, data_only=True).active.iter_rows(values_only=True)
    assert ours == [["" if cell is None else str(cell) for cell in row] for row in rows]


SHOWN = {
    Kind.NUMBER: (
        "General",
        "@",
        "0000",
        "#,##0.00",
        "0%",
        "0.00E+00",
        '0"天"',
        '0"day"',
        r"0\d",
        "[Red]0",
        "[$-804]General",
    ),
    Kind.DATE: ("yyyy-mm-dd", 'm"月"d"日"', "mmm-yy", "[$-F800]dddd", "yyyy/m/d h:mm"),
    Kind.TIME: ("h:mm", "[h]:mm:ss", "mm:ss.0", "[mm]:ss", '[$-804]上午/下午h"时"mm"分"', "h:mm;@"),
}


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in SHOWN.items() for code in codes])
def test_a_format_shows_a_number_a_date_or_a_time(tmp_path: Path, code: str, kind: Kind) -> None:
    styles = (
        f"<styleSheet {NAMESPACE}><numFmts><numFmt numFmtId='200' formatCode={quoteattr(code)}/></numFmts>"
        "<cellStyleXfs><xf numFmtId='14'/></cellStyleXfs><cellXfs><xf numFmtId='200'/></cellXfs></styleSheet>"
    )
    path = package(
        tmp_path / "a.xlsx", [("s", sheet_xml(rows_xml({1: number_cell("A1", "1.5")})))], {"xl/styles.xml": styles}
    )
    assert read_grids(path)[0].odd[0].kind is kind


@pytest.mark.parametrize("mistake", WorkbookMistake)
def test_a_mistake_names_the_same_facts_in_both_languages(mistake: WorkbookMistake) -> None:
    zh, en = (set(re.findall(r"{(\w+)}", text)) for text in (mistake.zh, mistake.en))
    assert zh == en
    assert re.search(r"[\u4e00-\u9fff]", mistake.zh)


def test_a_sheet_of_its_own_columns(tmp_path: Path) -> None:
    """read_grid serves other tables too; what may be a number is the caller's to say."""
    rows = {1: text_cell("A1", "格口号"), 2: number_cell("A2", 7)}
    (grid,) = read_grids(package(tmp_path / "a.xlsx", [("s", sheet_xml(rows_xml(rows)))]))
    for numbers, kinds in ((frozenset({"chute"}), []), (frozenset[str](), ["number_for_code"])):
        sheet, faults = read_grid("own.xlsx", grid, {"chute": ("格口号",)}, "own.xlsx", numbers)
        assert [row.texts["chute"] for row in sheet.rows] == ["7"]
        assert [fault.kind for fault in faults] == kinds
