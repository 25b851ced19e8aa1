"""What `sorter rules import` takes for the draft, and what it refuses; then the draft is as it was."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from click.testing import CliRunner

from sorter.init import make_site
from sorter.rulebook.books.writing import template
from sorter.rulebook.tables import by_title
from sorter.rules_cli import rules
from tests.rulebook.small_site import Table, copy_of_small, csv_text, write


class Desk:
    """The small site as a hub's draft, and the commands of whoever keeps it."""

    def __init__(self, folder: Path) -> None:
        self.work = folder
        self.hub = folder / "hub"
        make_site(self.hub, "sorter")
        self.rules = self.hub / "rules"
        settings = self.hub / "site.toml"
        text = settings.read_text(encoding="utf-8")
        settings.write_text(text.replace("divert_m = 120.0", "divert_m = 30.0"), encoding="utf-8")
        write(self.rules)

    def sorter(self, *arguments: str | Path, code: int = 0, language: str = "en") -> str:
        """What the command says, on either side."""
        given = [*map(str, arguments), "--site", str(self.hub), "--language", language]
        done = CliRunner().invoke(rules, given)
        assert done.exit_code == code, done.output
        return done.output

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.sorter(*arguments, "--json"))

    def refused(self, *arguments: str | Path) -> str:
        """What an import says that changes nothing."""
        before = self.tables()
        said = self.sorter("import", *arguments, code=3)
        assert self.tables() == before
        return said

    def tables(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.rules.iterdir()}

    def folder(self, **tables: Table) -> Path:
        """A folder of CSV: the small site with these tables."""
        folder = self.work / "csv"
        folder.mkdir(exist_ok=True)
        return write(folder, {**copy_of_small(), **tables})

    def carrier_sheet(self, *rows: str) -> Path:
        path = self.work / "圆通格口.csv"
        path.write_text("\n".join(["格口号,一段码,二段码,三段码", *rows]), encoding="gb18030")
        return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def with_rows(table: str, *rows: list[str]) -> Table:
    return [*copy_of_small()[table], *rows]


# Zeros at the front of codes that Excel dropped as it saved a CSV.


def test_codes_that_lost_their_zeros_are_refused_and_named(desk: Desk) -> None:
    draft = with_rows("sort_codes", ["YTO", "531", "A03", "01", "V001"], ["YTO", "0571", "A03", "002", "V001"])
    desk.sorter("import", desk.folder(sort_codes=draft))
    saved = with_rows("sort_codes", ["YTO", "531", "A03", "1", "V001"], ["YTO", "571", "A03", "2", "V001"])
    folder = desk.folder(sort_codes=saved)
    said = desk.refused(folder)
    assert 'sort_codes.csv row 5, column 三段码 (D5): "1" is "01" in the draft' in said
    assert 'sort_codes.csv row 6, column 一段码 (B6): "571" is "0571" in the draft' in said
    assert said.count("in the draft") == 2
    assert "format the column as text" in said
    assert "--replace" in said
    told = desk.sorter("import", folder, code=3, language="zh")
    assert "sort_codes.csv 第5行 “三段码”列（D5）：“1”在草稿里是“01”，开头的 0 丢了" in told
    assert "设成文本" in told
    desk.sorter("import", folder, "--replace")
    assert ",A03,1,V001" in (desk.rules / "sort_codes.csv").read_text(encoding="utf-8-sig")


def test_a_station_that_lost_its_zeros_is_told_before_what_follows_from_it(desk: Desk) -> None:
    codes = with_rows("sort_codes", ["YTO", "532", "", "", "007"])
    stations = with_rows("stations", ["007", "新村", "village", "", "BUS"])
    desk.sorter("import", desk.folder(stations=stations, sort_codes=codes))
    saved = with_rows("stations", ["7", "新村", "village", "", "BUS"])
    said = desk.refused(desk.folder(stations=saved, sort_codes=codes))
    assert 'stations.csv row 6, column station (A6): "7" is "007" in the draft' in said.splitlines()[0]


def test_a_carrier_that_lost_its_zeros_is_told(desk: Desk) -> None:
    carriers = with_rows("carriers", ["05", "五号", r"ZZ\d{9}", "", ""])
    desk.sorter("import", desk.folder(carriers=carriers))
    carriers[-1][0] = "5"
    assert '"5" is "05" in the draft' in desk.refused(desk.folder(carriers=carriers))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("01", "01"),
        ("01", "2"),  # another code
        ("1", "01"),  # zeros put back
        ("A01", "A1"),  # no digits alone
        ("10", "1"),  # a zero at the end
        ("001", "01"),  # no spreadsheet leaves one of two zeros
        ("00", "000"),
    ],
)
def test_other_changes_of_codes_are_taken(desk: Desk, before: str, after: str) -> None:
    for code in (before, after):
        rows = with_rows("sort_codes", ["YTO", "531", "A03", code, "V001"])
        desk.sorter("import", desk.folder(sort_codes=rows))


def test_a_code_beside_its_longer_one_is_taken(desk: Desk) -> None:
    both = [["YTO", "531", "A03", code, "V001"] for code in ("01", "1")]
    for rows in (both[:1], both, both[:1], both):
        desk.sorter("import", desk.folder(sort_codes=with_rows("sort_codes", *rows)))


def test_the_zero_itself_is_what_is_left_of_zeros(desk: Desk) -> None:
    desk.sorter("import", desk.folder(sort_codes=with_rows("sort_codes", ["YTO", "531", "A03", "00", "V001"])))
    folder = desk.folder(sort_codes=with_rows("sort_codes", ["YTO", "531", "A03", "0", "V001"]))
    assert '"0" is "00" in the draft' in desk.refused(folder)


def test_a_carriers_sheet_that_lost_zeros_is_refused_by_its_own_rows(desk: Desk) -> None:
    desk.sorter("import", desk.carrier_sheet("101,023,A01,07", "102,023,A02,"), "--carrier", "YTO")
    sheet = desk.carrier_sheet("101,23,A01,7", "102,23,A02,", "103,24,,")
    said = desk.refused(sheet, "--carrier", "YTO")
    assert '圆通格口.csv row 2, column 一段码 (B2): "23" is "023" in the draft' in said
    assert '圆通格口.csv row 3, column 一段码 (B3): "23" is "023" in the draft' in said
    assert said.count("in the draft") == 2
    desk.sorter("import", sheet, "--carrier", "YTO", "--replace")
    codes = (desk.rules / "sort_codes.csv").read_text(encoding="utf-8-sig")
    assert "YTO,23,A01,7,YTO-101" in codes
    assert "023" not in codes


# A template's example rows.


def template_as_csv(desk: Desk, encoding: str, language: str) -> Path:
    """The template, each of its sheets saved as CSV."""
    book = desk.work / f"{language}.xlsx"
    template(book, "zh" if language == "zh" else "en")
    folder = desk.work / f"{language}-{encoding}"
    folder.mkdir()
    for page in openpyxl.load_workbook(book):
        rows = [["" if cell is None else str(cell) for cell in row] for row in page.iter_rows(values_only=True)]
        if page.title != "_hub":
            (folder / f"{page.title}.csv").write_bytes(csv_text(rows).encode(encoding))
    return folder


def as_a_spreadsheet_saves(text: str) -> str:
    """A cell of a CSV that a spreadsheet opened and saved."""
    if text.isdecimal():
        return str(int(text))
    parts = text.split("-")
    return "/".join(str(int(part)) for part in parts) if len(parts) == 3 and "".join(parts).isdecimal() else text


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8-sig"])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_examples_of_a_template_saved_as_csv_are_passed_over(desk: Desk, encoding: str, language: str) -> None:
    folder = template_as_csv(desk, encoding, language)
    said = desk.refused(folder)
    empty = [line for line in said.splitlines() if "there is no row below the header" in line]
    assert len(empty) == 5  # the tables that need a row
    assert len(said.splitlines()) == len(empty)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_stands_below_the_examples_is_imported(desk: Desk, language: str) -> None:
    """Also when a spreadsheet opened the CSV and saved it once more."""
    plan = desk.json("check")["plan"]
    folder = template_as_csv(desk, "utf-8-sig", language)
    for path in folder.iterdir():
        header, example, *_ = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        rows = copy_of_small()[by_title(path.stem)][1:]
        filled = [[*row, *[""] * (len(header) - len(row))] for row in rows]
        saved = [as_a_spreadsheet_saves(text) for text in example]
        path.write_bytes(csv_text([header, saved, *filled]).encode("utf-8-sig"))
    assert desk.json("import", folder)["plan"] == plan


def test_an_example_that_was_changed_is_imported(desk: Desk) -> None:
    plan = desk.json("check")["plan"]
    example = ["BUS-1", "客运一线", "客运", "", "示例，不导入；改过就算数"]
    header = [*copy_of_small()["lanes"][0], "note"]
    rest = [[*row, ""] for row in copy_of_small()["lanes"][1:]]
    assert desk.json("import", desk.folder(lanes=[header, example, *rest]))["plan"] == plan
    for changed in ([*example[:4], ""], [*example[:4], "示例"], [*example[:3], "BUS", example[4]]):
        assert "no chute of any line serves lane BUS-1" in desk.refused(desk.folder(lanes=[header, changed, *rest]))


# What else an import refuses.


def test_a_carriers_sheet_that_is_not_there(desk: Desk) -> None:
    said = desk.refused(desk.work / "nothere.csv", "--carrier", "YTO")
    assert said == "nothere.csv: the file cannot be read: No such file or directory\n"


@pytest.mark.parametrize("name", ["csv", "csv.xlsx"])
def test_a_folder_is_no_carriers_sheet(desk: Desk, name: str) -> None:
    folder = desk.folder().rename(desk.work / name)
    said = desk.refused(folder, "--carrier", "YTO")
    assert said == f"{name}: this is a folder, not a file; put the table's file in its place\n"


def test_a_carriers_sheet_with_its_header_alone(desk: Desk) -> None:
    said = desk.refused(desk.carrier_sheet(), "--carrier", "YTO")
    assert said == "圆通格口.csv: there is no row below the header; write at least one\n"


def test_a_row_that_an_import_made_and_staff_edited_is_not_overwritten_unknowingly(desk: Desk) -> None:
    first = desk.carrier_sheet("101,023,A01,07", "102,023,A02,")
    desk.sorter("import", first, "--carrier", "YTO")
    made = "YTO,YTO-101,,,,,,,,101,承运商格口表导入"
    path = desk.rules / "rules.csv"
    text = path.read_text(encoding="utf-8-sig")
    assert made in text
    path.write_text(text.replace(made, made.replace(",101,", ",103,")), encoding="utf-8-sig")
    said = desk.refused(first, "--carrier", "YTO")
    assert said.startswith("rules.csv row 6, column send_to (K6): the row was made by an import and edited since")
    desk.sorter("import", first, "--carrier", "YTO", "--replace")
    assert path.read_text(encoding="utf-8-sig") == text


def test_a_made_row_whose_note_staff_changed_is_theirs(desk: Desk) -> None:
    desk.sorter("import", desk.carrier_sheet("101,023,A01,07", "102,023,A02,"), "--carrier", "YTO")
    path = desk.rules / "rules.csv"
    text = path.read_text(encoding="utf-8-sig")
    edited = text.replace("YTO,YTO-101,,,,,,,,101,承运商格口表导入", "YTO,YTO-101,,,,,,,,103,我的")
    path.write_text(edited, encoding="utf-8-sig")
    desk.sorter("import", desk.carrier_sheet("101,023,A01,07", "104,023,A03,"), "--carrier", "YTO")
    made = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if "YTO-" in line]
    assert made == ["41,YTO,YTO-101,,,,,,,,103,我的", "42,YTO,YTO-104,,,,,,,,104,承运商格口表导入"]
    told = desk.json("explain", "--plan", "draft", "--code", "YT1234567890123", "--code", "023-A01-07")
    assert told["chutes"] == [103]


def test_no_number_is_free_above_the_row_that_takes_all(desk: Desk) -> None:
    rows = with_rows("rules", ["41", *[""] * 9, "TRUCK", "其余"])
    desk.sorter("import", desk.folder(rules=rows))
    said = desk.refused(desk.carrier_sheet("101,023,A01,07"), "--carrier", "YTO")
    assert said.startswith("圆通格口.csv: rule 41 takes all items of these stations, and too few numbers are free")
    rows[-1][0] = "43"
    desk.sorter("import", desk.folder(rules=rows))
    desk.sorter("import", desk.carrier_sheet("101,023,A01,07", "102,023,A02,"), "--carrier", "YTO")
    numbers = [line.split(",")[0] for line in (desk.rules / "rules.csv").read_text(encoding="utf-8-sig").splitlines()]
    assert numbers[-3:] == ["41", "42", "43"]


@pytest.mark.parametrize("name", ["rules (1).csv", "规则 副本.csv", "lanes-old.xlsx"])
def test_a_stray_file_beside_the_tables(desk: Desk, name: str) -> None:
    folder = desk.folder()
    (folder / name).write_bytes(b"")
    said = desk.refused(folder)
    assert said.startswith(f"{name}: ")
    assert len(said.splitlines()) == 1
    (folder / name).unlink()
    desk.sorter("import", folder)


def edit_workbook(path: Path, sheet: str, cell: str, text: str) -> None:
    book = openpyxl.load_workbook(path)
    book[sheet][cell].value = text
    book.save(path)


def test_what_was_exported_of_the_plan_in_force_stands_on_the_draft_of_that_time(desk: Desk) -> None:
    """Its import replaces the draft; so it is the draft, not the plan, that must not have changed since."""
    in_force = desk.json("publish")["version"]
    edit = desk.folder(lanes=[*with_rows("lanes")[:1], ["BUS", "客运二", "bus", "TRUCK"], *with_rows("lanes")[2:]])
    desk.sorter("import", edit)
    path = desk.work / "now.xlsx"
    desk.sorter("export", path, "--plan", "current")
    taken = desk.json("import", path)
    assert taken["plan"] == in_force
    desk.sorter("import", path)  # the draft holds it already
    desk.sorter("import", edit)
    desk.sorter("import", path)  # and again the draft of that time
    (desk.rules / "lanes.csv").write_bytes(
        (edit / "lanes.csv").read_bytes().replace("客运二".encode(), "客运三".encode())
    )
    assert "the draft was changed after" in desk.refused(path)
    assert desk.json("import", path, "--replace")["plan"] == in_force


def test_an_import_tells_what_is_hidden(desk: Desk) -> None:
    path = desk.work / "table.xlsx"
    desk.sorter("export", path)
    book = openpyxl.load_workbook(path)
    book["lanes"].row_dimensions[3].hidden = True
    book["trips"].sheet_state = "hidden"
    book.save(path)
    found = desk.json("import", path)["findings"]
    assert [(each["kind"], each["table"], each["rows"]) for each in found] == [
        ("hidden", "lanes", [3]),
        ("hidden", "trips", []),
    ]
    assert "here 1" in found[0]["message"]
    said = desk.sorter("import", path, language="zh").splitlines()
    assert said[0].startswith("lanes 第3行：")
    assert said[1].startswith("trips：")
    assert said[2].startswith("已导入为草稿")


def test_check_tells_which_codes_of_the_draft_lost_zeros_since_they_were_published(desk: Desk) -> None:
    """A spreadsheet that saves a CSV in place takes them all, so that only what was published still has them."""
    write(desk.rules, {**copy_of_small(), "sort_codes": with_rows("sort_codes", ["YTO", "07", "01", "002", "V001"])})

    def zeros() -> list[Any]:
        return [found for found in desk.json("check")["findings"] if "in the plan in force" in found["message"]]

    assert zeros() == []
    assert desk.json("publish")["plan"] is None
    assert zeros() == []
    write(desk.rules, {**copy_of_small(), "sort_codes": with_rows("sort_codes", ["YTO", "7", "1", "2", "V001"])})
    rows = len(copy_of_small()["sort_codes"])
    [told] = zeros()
    assert (told["kind"], told["table"]) == ("zeros_lost", "sort_codes")
    assert (told["rows"], told["witness"]) == ([rows + 1], {"text": "7", "full": "07"})
    assert told["message"].startswith("7 is 07 in the plan in force, so zeros at its front may be lost")
    assert "“7”在正在使用的方案里是“07”" in desk.sorter("check", language="zh")
    desk.sorter("publish")
    assert zeros() == []
