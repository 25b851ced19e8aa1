"""The guide for staff is true: each mistake it lists is made here and told in its very words, each command exists."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import sorter
from sorter.reasons import Language
from sorter.rulebook import Fault, Rejected, check_folder
from sorter.rulebook.books import zeros
from sorter.rulebook.books.carrier_sheet import join, read_carrier_sheet
from sorter.rulebook.books.workbook import read_grid, read_workbook
from sorter.rulebook.books.workbook_mistakes import WorkbookMistake
from sorter.rulebook.books.writing import write_workbook
from sorter.rulebook.books.xlsx.grid import Grid
from sorter.rulebook.books.xlsx.package import read_grids
from sorter.rulebook.check import check_sheets
from sorter.rulebook.mistakes import Mistake
from sorter.rulebook.review import analysis
from sorter.rulebook.review.worth_a_look import review
from sorter.rulebook.rows import FLOWS, LANE_KINDS, REASON_WORDS, STATION_KINDS
from sorter.rulebook.tables import (
    TABLES,
    TITLES,
    Sheet,
    address,
    by_header,
    by_title,
    header_key,
    read_folder,
    settled,
)
from sorter.rulebook.two_pass.pins import PinMistake, read_pins
from sorter.rules_cli import rules
from tests.rulebook.small_site import (
    LINES,
    OFFSET_NS,
    PLACES_MM,
    SMALL,
    changed,
    copy_of_small,
    csv_text,
    errors_of,
    write,
)
from tests.rulebook.test_rulebook_workbook import (
    DATE,
    SCIENTIFIC,
    TIME,
    number_cell,
    package,
    rows_xml,
    sheet_xml,
    table_xml,
    text_cell,
)

HOUSE = Path(sorter.__file__).parent.parent
GUIDE = (HOUSE / "rules" / "README.md").read_text(encoding="utf-8")
FILES = Path(__file__).parent / "files"
BOOK = "规则表.xlsx"
CELL_HEADERS = {"zh": ["哪一格", "写成了", "系统的话"], "en": ["cell", "written", "message"]}
FILE_HEADERS = {"zh": ["哪个文件", "怎么了", "系统的话"], "en": ["file", "what is wrong", "message"]}
FINDING_HEADERS = [["种类", "意思", "怎么办"], ["kind", "meaning", "what to do"]]
LANGUAGES: list[Language] = ["zh", "en"]


def cells_of(line: str) -> list[str]:
    """The cells of a row of a Markdown table, without the marks of code."""
    parts = [part.strip().replace("\\|", "|") for part in re.split(r"(?<!\\)\|", line)[1:-1]]
    return [part[1:-1] if re.fullmatch("`[^`]+`", part) else part for part in parts]


def tables_of(text: str) -> list[list[list[str]]]:
    """Each Markdown table as its rows, the header first."""
    found = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[cells_of(line) for line in table.splitlines()] for table in found]


def rows_below(header: list[str]) -> list[list[str]]:
    """The rows of all tables of the guide that have this header."""
    return [row for table in tables_of(GUIDE) if table[0] == header for row in table[2:]]


def test_tables_are_whole() -> None:
    for first, line, *rows in tables_of(GUIDE):
        assert set("".join(line)) == {"-"}, first
        assert {len(row) for row in (line, *rows)} == {len(first)}, first


class Slip(NamedTuple):
    """A cell with something wrong in it, and what the guide says is told."""

    table: str
    row: int
    column: str
    text: str
    message: str


def slip(cells: list[str]) -> Slip:
    """`rules G3 weight_g`, what is written there, and the message."""
    where, written, message = cells
    title, at, header = where.split(" ", 2)
    table = by_title(title)
    column = by_header(TABLES[table])[header_key(header)]
    row = int(re.sub("[A-Z]", "", at))
    place = (*TABLES[table], "note").index(column) if table != "carriers" else SMALL[table][0].index(column)
    assert at == address(place, row), where
    text = "" if written in {"空白", "blank"} else written.replace("⏎", "\n")
    return Slip(table, row, column, text, message)


SLIPS = {language: [slip(cells) for cells in rows_below(CELL_HEADERS[language])] for language in LANGUAGES}


def ids(slips: list[Slip]) -> list[str]:
    return [f"{each.table}.{each.column}={each.text!r}" for each in slips]


def is_told(faults: list[Fault], wrong: Slip, language: Language) -> bool:
    """Whether the message is told of this cell; one told of another place is written with that place."""
    here = [fault.message(language) for fault in faults if fault[:3] == wrong[:3]]
    elsewhere = [fault.told(language) for fault in faults if fault[:3] != wrong[:3]]
    return wrong.message in here + elsewhere


@pytest.fixture(name="grids", scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grid]:
    """The small site as `export` gives it to a clerk."""
    folder = tmp_path_factory.mktemp("export")
    sheets, _ = read_folder(write(folder))
    write_workbook(sheets, folder / BOOK, version="draft", language="zh")
    return {by_title(grid.title): grid for grid in read_grids(folder / BOOK) if by_title(grid.title)}


@pytest.mark.parametrize("wrong", SLIPS["zh"], ids=ids(SLIPS["zh"]))
def test_a_wrong_cell_of_a_workbook_is_told_as_the_guide_says(grids: dict[str, Grid], wrong: Slip) -> None:
    records = [(at, list(texts)) for at, texts in grids[wrong.table].records]
    texts = dict(records)[wrong.row]
    place = list(TABLES[wrong.table]).index(wrong.column)
    texts += [""] * (place + 1 - len(texts))
    texts[place] = settled(wrong.text)
    sheets: dict[str, Sheet] = {}
    faults: list[Fault] = []
    for table, grid in (grids | {wrong.table: grids[wrong.table]._replace(records=records)}).items():
        sheets[table], found = read_grid(table, grid, TABLES[table], BOOK)
        faults += found
    with pytest.raises(Rejected) as caught:
        check_sheets(sheets, LINES, OFFSET_NS, faults, PLACES_MM)
    assert is_told(caught.value.errors, wrong, "zh"), caught.value.told("zh")


@pytest.mark.parametrize("wrong", SLIPS["en"], ids=ids(SLIPS["en"]))
def test_a_wrong_cell_of_a_folder_is_told_as_the_guide_says(tmp_path: Path, wrong: Slip) -> None:
    faults = errors_of(write(tmp_path, changed(wrong.table, wrong.row, wrong.column, wrong.text)))
    assert is_told(faults, wrong, "en"), [fault.told("en") for fault in faults]


def test_both_halves_list_the_same() -> None:
    assert len(SLIPS["zh"]) >= 45
    assert [wrong[:4] for wrong in SLIPS["zh"]] == [wrong[:4] for wrong in SLIPS["en"]]
    assert len(set(SLIPS["zh"])) == len(SLIPS["zh"])


# Whole files. Each is made in an empty folder.

Make = Callable[[], list[Fault]]
LANES = csv_text(SMALL["lanes"])
ALL_TITLES = [titles[0] for titles in TITLES.values()]


def folder_with(table: str, data: str | bytes) -> Make:
    """The small site, one file of which holds this."""

    def made() -> list[Fault]:
        (write(Path("rules")) / f"{table}.csv").write_bytes(data.encode() if isinstance(data, str) else data)
        return errors_of(Path("rules"))

    return made


def lanes_named(*names: str) -> Make:
    """The small site, where the table of lanes has these files."""

    def made() -> list[Fault]:
        path = write(Path("rules")) / "lanes.csv"
        path.unlink()
        for name in names:
            path.with_name(name).write_text(LANES, encoding="utf-8")
        return errors_of(Path("rules"))

    return made


def book_with(table: str, at: str, cell: str, after: str = "") -> Make:
    """The small site as a workbook, a cell of which is no text; `after`: what its sheet's XML says besides."""
    sheets = [(titles[0], sheet_xml(table_xml(name))) for name, titles in TITLES.items() if name != table]
    sheets.append((TITLES[table][0], sheet_xml(table_xml(table, {at: cell} if at else None), after)))
    return lambda: read_workbook(package(Path(BOOK), sheets)).faults


def book_like(name: str) -> Make:
    """A file that is called as a workbook is."""
    return lambda: read_workbook(Path(shutil.copy(FILES / name, BOOK))).faults


def book_titled(*titles: str) -> Make:
    """A workbook whose sheets are called so; those that are no table hold one cell."""
    full = sheet_xml(rows_xml({1: text_cell("A1", "x")}))
    sheets = [(title, sheet_xml(table_xml(by_title(title))) if by_title(title) else full) for title in titles]
    return lambda: read_workbook(package(Path(BOOK), sheets)).faults


def book_cut() -> list[Fault]:
    """A workbook of which the end is missing."""
    path = package(Path(BOOK), [(title, "") for title in ALL_TITLES])
    path.write_bytes(path.read_bytes()[:-100])
    return read_workbook(path).faults


def carrier_with(*rows: str, carrier: str = "YTO") -> Make:
    """A carrier's sheet with these rows, and what is wrong with it beside the small site."""

    def made() -> list[Fault]:
        path = Path("圆通格口.csv")
        path.write_text("\n".join(rows), encoding="gbk")
        draft, _ = read_folder(write(Path("rules")))
        taken, faults = read_carrier_sheet(path)
        return faults if taken is None or faults else join(carrier, taken, draft)[1]

    return made


def saved_again() -> list[Fault]:
    """The small site as a spreadsheet saved it, where the draft has a code with a zero at its front."""
    draft, _ = read_folder(write(Path("rules"), changed("sort_codes", 4, "一段码", "0900")))
    return zeros.lost(read_folder(write(Path("rules")))[0], draft)


def pins_with(row: str) -> Make:
    """What is fixed of a two-pass plan, with this row."""

    def made() -> list[Fault]:
        path = Path("固定.csv")
        path.write_text(f"站点,单独,第一遍格口,第二遍格口\n{row}\n", encoding="utf-8")
        with pytest.raises(Rejected) as caught:
            read_pins(path, check_folder(write(Path("rules")), LINES, OFFSET_NS))
        return caught.value.errors

    return made


CODES = "格口号,一段码,二段码,三段码"
MADE: dict[tuple[str, str], Make] = {
    ("不在文件夹里", "it is not in the folder"): lanes_named(),
    ("文件名写成了 lane.csv", "it is called lane.csv"): lanes_named("lane.csv"),
    ("还有一个 路向.csv", "路向.csv is there too"): lanes_named("lanes.csv", "路向.csv"),
    ("是空的", "it is empty"): folder_with("lanes", ""),
    ("只有表头", "it has a header alone"): folder_with("exceptions", "reason,line,chute\n"),
    ("表头少了 spill_to", "the header has no spill_to"): folder_with("lanes", LANES.replace(",spill_to", ",")),
    ("多了一列 颜色", "there is a column 颜色"): folder_with("lanes", LANES.replace("spill_to", "spill_to,颜色")),
    ("多了一列 nam", "there is a column nam"): folder_with("lanes", LANES.replace("spill_to", "spill_to,nam")),
    ("又有一列 路向", "there is another column 路向"): folder_with("lanes", LANES.replace("spill_to", "spill_to,路向")),
    ("客运,一线 没加引号", "客运,一线 without quotes"): folder_with("lanes", LANES.replace("客运", "客运,一线")),
    ('一个引号没有成对："客运', 'a quotation mark is not closed: "客运'): folder_with(
        "lanes", LANES.replace("客运", '"客运')
    ),
    ("是工作簿改名来的", "it is a workbook by another name"): folder_with("lanes", b"PK\x03\x04" + bytes(200)),
    ("既不是 UTF-8 也不是 GBK", "it is neither UTF-8 nor GBK"): folder_with(
        "lanes", LANES.encode() + b"\xff\xff\xff\n"
    ),
    ("设了打开密码", "it opens with a password"): book_like("password.xlsx"),
    ("是旧的 .xls", "it is an old .xls"): book_like("old.xls"),
    ("没有拷贝完", "it was not copied whole"): book_cut,
    ("没有工作表 班次", "it has no sheet 班次"): book_titled(*(title for title in ALL_TITLES if title != "班次")),
    ("工作表 规则 改名成了 规则1", "the sheet 规则 was named 规则1"): book_titled(*ALL_TITLES[:6], "规则1", "异常口"),
    ("多了工作表 旧数据", "there is a sheet 旧数据"): book_titled(*ALL_TITLES, "旧数据"),
    ("既有 规则 又有 rules", "it has both 规则 and rules"): book_titled(*ALL_TITLES, "rules"),
    ("工作表 规则 里 A3:A4 合并了", "A3:A4 of the sheet 规则 are merged"): book_with(
        "rules", "", "", '<mergeCells><mergeCell ref="A3:A4"/></mergeCells>'
    ),
    ("三段码 B2 是数字 531", "三段码 B2 is the number 531"): book_with("sort_codes", "B2", number_cell("B2", 531)),
    ("三段码 B2 成了 1.23E+17", "三段码 B2 became 1.23E+17"): book_with(
        "sort_codes", "B2", number_cell("B2", "1.23E+17", SCIENTIFIC)
    ),
    ("三段码 C2 成了日期（原来是 1-2）", "三段码 C2 became a date (it was 1-2)"): book_with(
        "sort_codes", "C2", number_cell("C2", 46024, DATE)
    ),
    ("站点 A2 是时间 12:00", "站点 A2 is the time 12:00"): book_with("stations", "A2", number_cell("A2", "0.5", TIME)),
    ("规则 E2 是 TRUE", "规则 E2 is TRUE"): book_with("rules", "E2", '<c r="E2" t="b"><v>1</v></c>'),
    ("规则 B2 是 #N/A", "规则 B2 is #N/A"): book_with("rules", "B2", '<c r="B2" t="e"><v>#N/A</v></c>'),
    ("规则 B2 的公式没有算过", "the formula in 规则 B2 was never calculated"): book_with(
        "rules", "B2", '<c r="B2"><f>B3</f></c>'
    ),
    ("表头不是格口表的", "its header is another"): carrier_with("站点,名称", "V001,x"),
    ("--carrier 写成 ZTO", "--carrier ZTO"): carrier_with(CODES, "101,023,A01,07", carrier="ZTO"),
    ("格口写成 999", "it names chute 999"): carrier_with(CODES, "999,023,A01,07"),
    ("同一个三段码写了两行", "it has a sort code twice"): carrier_with(CODES, "101,023,A01,07", "102,023,A01,07"),
    ("三段码表里已经手工写了这个码", "staff wrote that sort code already"): carrier_with(CODES, "101,531,A03,12"),
    ("草稿里是 0900，另存后成了 900", "saved again, it has 900 where the draft has 0900"): saved_again,
    ("单独 写成了 也许", "单独 is 也许"): pins_with("V001,也许,112,"),
}


def test_the_guide_lists_these_files() -> None:
    told = {language: [what for _, what, _ in rows_below(FILE_HEADERS[language])] for language in LANGUAGES}
    assert told["zh"] == [zh for zh, _ in MADE]
    assert told["en"] == [en for _, en in MADE]


@pytest.mark.parametrize("made", MADE, ids=[en for _, en in MADE])
def test_a_wrong_file_is_told_as_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules").mkdir()
    faults = MADE[made]()
    for language, what in zip(LANGUAGES, made, strict=True):
        ((file, _, message),) = [row for row in rows_below(FILE_HEADERS[language]) if row[1] == what]
        assert (file, message) in [(fault.file or fault.table, fault.message(language)) for fault in faults]


# Nothing is left out without a reason.

UNLISTED = {
    "as unknown_of_few, where the names are too many to list": "unknown",
    "one more slip in a waybill format, told like those that are listed": (
        "format_too_long fits_too_long never_opened part_missing second_count not_a_count counts_down "
        "nothing_to_count special_group empty_class not_a_class_span repeats_too_much too_many_states "
        "formats_together"
    ),
    "nobody can type it into a spreadsheet": "control_character looks_blank",
    "needs more rows than the small site has": "spill_too_long",
    "of a line in site.toml, whatever its cells say": "no_places",
    "a size that no hub reaches": (
        "too_many too_many_rows too_many_columns line_too_long folder_too_large too_many_with_earlier plan_too_large "
        "file_too_large too_large more_cells "
        "beyond_right no_row_number_left no_number_above"
    ),
    "a file beside the tables, or a time that Excel made a number": "stray_file number_for_time",
    "a path that is no file, or no spreadsheet's": "no_table not_a_folder folder_for_file file_unreadable wrong_mark",
    "sheets in another disorder, told like those that are listed": (
        "missing_sheet_near empty_sheet two_carrier_sheets carrier_not_given station_by_hand made_row_edited"
    ),
    "of an advice file, which carriers' systems write": (
        "personal_data column_twice too_many_cells not_json not_an_object empty_waybill not_a_waybill "
        "not_a_flow not_yes_or_no"
    ),
}


def test_every_mistake_is_listed_or_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = set()
    for wrong in SLIPS["en"]:
        faults = errors_of(write(tmp_path, changed(wrong.table, wrong.row, wrong.column, wrong.text)))
        listed |= {fault.kind for fault in faults if wrong.message.endswith(fault.message("en"))}
    messages = [message for _, _, message in rows_below(FILE_HEADERS["en"])]
    for number, make in enumerate(MADE.values()):
        (tmp_path / str(number) / "rules").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / str(number))
        listed |= {fault.kind for fault in make() if fault.message("en") in messages}
    excused = {kind for kinds in UNLISTED.values() for kind in kinds.split()}
    assert {mistake.kind for mistake in (*Mistake, *WorkbookMistake, *PinMistake)} - listed == excused


# What is worth a look, and the commands.


def test_the_guide_explains_every_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = copy_of_small()
    tables["carriers"].append(["ZTO", "中通", r"\d{12}", "", ""])
    tables["stations"][4][4] = ""  # O01 has no lane
    tables["chutes"][6][3] = ""  # PLANE has no chute on L2
    tables["rules"].append(["50", *[""] * 6, ">1300", "", "", "102", ""])  # row 40 takes all of it
    tables["rules"].append(["60", "", "V001", *[""] * 7, "BUS", ""])  # as its own lane
    tables["rules"].append(["70", *[""] * 5, "0", "", "", "", "BUS", ""])
    tables["sort_codes"] += [["YTO", "531", "A03", "05", "V001"], ["YTO", "531", "A03", "7", "V002"]]
    write(tmp_path, tables)
    rows = sheet_xml(table_xml("lanes").replace('<row r="3"', '<row hidden="1" r="3"'))
    checked = check_folder(tmp_path, LINES, OFFSET_NS)
    findings = review(checked)
    findings += read_workbook(package(tmp_path / BOOK, [("lanes", rows)])).findings
    monkeypatch.setattr(analysis, "_STEPS_EACH", 0)
    monkeypatch.setattr(analysis, "_STEPS_FREE", 0)
    findings += review(checked)
    for header in FINDING_HEADERS:
        kinds = [kind for kind, *_ in rows_below(header)]
        assert sorted(kinds) == sorted({finding.kind for finding in findings})


@pytest.mark.parametrize("name", ["rules/README.md", "README.md", "README.zh-CN.md"])
def test_every_command_that_is_named_exists(name: str) -> None:
    text = (HOUSE / name).read_text(encoding="utf-8")
    named = set(re.findall(r"sorter rules ([a-z][a-z-]*)", text))
    assert named <= rules.commands.keys()
    if name == "rules/README.md":
        assert named == rules.commands.keys()
    for line in re.findall(r"(?:^|^\$ |`)sorter rules ([^`\n]+)", text, re.MULTILINE):
        command, _, arguments = line.partition(" ")
        options = {option for parameter in rules.commands[command].params for option in parameter.opts}
        given = {word for word in shlex.split(arguments, comments=True) if word.startswith("--")}
        assert given <= options, line


def test_the_guide_names_every_table_column_and_word() -> None:
    for table, columns in TABLES.items():
        assert f"| {table} " in GUIDE
        assert all(f"`{column}`" in GUIDE for column in columns)
    for words in (STATION_KINDS, LANE_KINDS, FLOWS, REASON_WORDS):
        assert all(re.search(rf"\b{word}\b", GUIDE) for word in words)
