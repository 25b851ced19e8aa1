"""Files as people have them: encodings, separators, quotes, headers, and what is no table at all."""

import os
from pathlib import Path

import pytest

from sorter import rulebook
from sorter.rulebook import Rejected, tables
from tests.rulebook import small_site
from tests.rulebook.small_site import LINES, OFFSET_NS, SMALL, copy_of_small, csv_text, errors_of, write

CHINESE = {
    "stations": ["站点", "名称", "类型", "乡镇", "路向"],
    "carriers": ["承运商", "名称", "运单格式", "生效日期", "备注"],
    "sort_codes": ["承运商", "一段码", "二段码", "三段码", "站点"],
    "lanes": ["路向", "名称", "类型", "备用路向"],
    "trips": ["路向", "星期", "发车时间", "截止提前（分）", "容量"],
    "chutes": ["格口号", "分拣线", "位置", "路向", "容量"],
    "rules": [
        "序号",
        "承运商",
        "站点",
        "乡镇",
        "服务",
        "进出港",
        "重量（克）",
        "长度 mm",
        "时间",
        "星期",
        "去向",
        "备注",
    ],
    "exceptions": ["原因", "分拣线", "格口"],
}


def in_chinese() -> dict[str, small_site.Table]:
    return {name: [CHINESE[name], *rows[1:]] for name, rows in copy_of_small().items()}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
@pytest.mark.parametrize("chinese", [False, True])
def test_every_encoding_gives_the_same_plan(tmp_path: Path, encoding: str, chinese: bool) -> None:
    plain = small_site.load(write(tmp_path))
    again = small_site.load(write(tmp_path, in_chinese() if chinese else SMALL, encoding))
    assert again.version == plain.version
    assert again.names == plain.names


def test_gbk_that_is_valid_utf_8_is_read_as_gbk(tmp_path: Path) -> None:
    """圆通 in GBK is valid UTF-8 for "Բͨ"."""
    assert "圆通".encode("gbk").decode("utf-8") == "Բͨ"
    for chosen in (in_chinese(), copy_of_small()):
        chosen["carriers"] = [
            chosen["carriers"][0],
            ["YTO", "圆通", r"YT\d{13}", "", ""],
            ["SF", "圆通", r"SF\d{12}", "", ""],
        ]
        assert small_site.load(write(tmp_path, chosen, "gbk")).names.carrier_titles[0] == "圆通"
    data = write(tmp_path, chosen, "gbk").joinpath("carriers.csv").read_bytes()
    assert data.decode("utf-8"), "the last file was valid UTF-8 as a whole, and yet was read right"


@pytest.mark.parametrize("delimiter", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_other_separators(tmp_path: Path, delimiter: str, encoding: str) -> None:
    plain = small_site.load(write(tmp_path)).version
    for name, table in SMALL.items():
        (tmp_path / f"{name}.csv").write_bytes(csv_text(table, delimiter).encode(encoding))
    assert small_site.load(tmp_path).version == plain


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends(tmp_path: Path, ending: str) -> None:
    plain = small_site.load(write(tmp_path)).version
    for name, table in SMALL.items():
        (tmp_path / f"{name}.csv").write_bytes(csv_text(table).replace("\r\n", ending).encode())
    assert small_site.load(tmp_path).version == plain


def test_cells_stay_text() -> None:
    text = "carrier,一段码,二段码,三段码,station\r\nYTO,0571,001,12345678901234567890,V001\r\n"
    sheet, found = tables.parse("sort_codes", text, tables.TABLES["sort_codes"])
    assert found == []
    assert sheet.rows[0].texts["一段码"] == "0571"
    assert sheet.rows[0].texts["三段码"] == "12345678901234567890"


INVISIBLE = [("Ａ０１", "A01"), ("　A01\u200b ", "A01"), ("\ufeffA01", "A01"), ("A｜B", "A|B"), ("！A", "!A")]


@pytest.mark.parametrize(("cell", "meant"), [*INVISIBLE, ("０８：００．．１２：３０", "08:00..12:30")])
def test_what_cannot_be_seen_makes_no_difference(cell: str, meant: str) -> None:
    assert tables.plain(cell) == meant


def test_rows_are_numbered_as_the_spreadsheet_shows(tmp_path: Path) -> None:
    chosen = copy_of_small()
    chosen["rules"].insert(1, [""] * 12)
    chosen["rules"][2][11] = "first line\nsecond line"  # a note may hold a line break
    chosen["rules"][4][5] = "sideways"
    (error,) = errors_of(write(tmp_path, chosen))
    assert (error.row, error.column) == (5, "flow")


def test_headers_may_stand_in_any_order_and_below_blank_rows(tmp_path: Path) -> None:
    plain = small_site.load(write(tmp_path)).version
    chosen = copy_of_small()
    chosen["lanes"] = [[""] * 4, *([row[3], row[2], row[0], row[1]] for row in chosen["lanes"])]
    assert small_site.load(write(tmp_path, chosen)).version == plain


def broken(folder: Path, table: str, data: bytes) -> list[rulebook.Fault]:
    write(folder)
    (folder / f"{table}.csv").write_bytes(data)
    return errors_of(folder)


RULES = csv_text(SMALL["rules"])
LANES = csv_text(SMALL["lanes"])


BROKEN = [
    ("rules", b"", 0, "the file is empty"),
    ("rules", b"\r\n\r\n", 0, "the file is empty"),
    ("rules", b"\xef\xbb\xbf", 0, "the file is empty"),
    ("rules", RULES.replace("时效", "时\0效").encode(), 3, "NUL byte"),
    ("rules", RULES.encode("utf-16-le"), 1, "NUL byte"),
    ("rules", RULES.replace("BUS,时效", '"BUS,时效').encode(), 3, "quotation mark"),
    ("rules", RULES.replace("BUS,", 'B"US,"x"y,').encode(), 3, "quotation mark"),
    ("lanes", LANES.replace("客运", '"客运" x').encode(), 2, "quotation mark"),
    ("lanes", LANES.replace("客运", "客运,").encode(), 2, "stands beyond the last column"),
    ("lanes", LANES.replace("spill_to", "spil_to").encode(), 1, 'write "spill_to"'),
    ("lanes", LANES.replace("spill_to", "").encode(), 1, "no column spill_to"),
    ("lanes", LANES.replace("name", "lane").encode(), 1, "second column lane"),
    ("lanes", LANES.replace("spill_to", "spill_to,colour").encode(), 1, '"colour" is no column'),
    ("lanes", b"\xef\xbb\xbf" + LANES.encode("gbk"), 2, "save it again"),
    ("lanes", b"\xff\xfe" + LANES.encode("utf-16-le") + b"\x00", 6, "save it again"),
    ("lanes", LANES.encode() + b"\xff\xff\xff\n", 0, "neither UTF-8 nor GB18030"),
    ("lanes", b"PK\x03\x04\x14\x00\x06\x00" + bytes(200), 1, "NUL byte"),
    ("lanes", b"hello", 1, "no column lane, name, kind, spill_to"),
    ("lanes", ("x" * 200_000).encode(), 1, "quotation mark"),
]


@pytest.mark.parametrize(("table", "data", "row", "words"), BROKEN)
def test_what_is_no_table_is_told_in_words(tmp_path: Path, table: str, data: bytes, row: int, words: str) -> None:
    errors = broken(tmp_path, table, data)
    assert {error.table for error in errors} == {table}, [str(error) for error in errors]
    assert any(words in error.message("en") for error in errors), [str(error) for error in errors]
    assert any(error.row == row for error in errors), [str(error) for error in errors]


def test_an_unclosed_quote_that_ends_in_a_later_quote_is_seen(tmp_path: Path) -> None:
    text = LANES.replace("客运", '"客运').replace("异常", '异常"')
    assert any("quotation mark" in error.message("en") for error in broken(tmp_path, "lanes", text.encode()))


@pytest.mark.parametrize("table", list(SMALL))
def test_a_missing_table_is_one_error(tmp_path: Path, table: str) -> None:
    write(tmp_path)
    (tmp_path / f"{table}.csv").unlink()
    (error,) = errors_of(tmp_path)
    assert (error.table, error.row) == (table, 0)
    assert "the file is missing" in error.message("en")


def test_a_misspelt_file_is_suggested(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "exceptions.csv").rename(tmp_path / "exeptions.csv")
    (error,) = errors_of(tmp_path)
    assert 'is "exeptions.csv" meant for it?' in error.message("en")


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "lanes.csv").unlink()
    (tmp_path / "lanes.csv").mkdir()
    (error,) = errors_of(tmp_path)
    assert str(error) == "lanes.csv: this is a folder, not a file; put the table's file in its place"


def test_no_folder_at_all(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path / "a-file"):
        (tmp_path / "a-file").write_text("x")
        (error,) = errors_of(path)
        assert str(error).endswith("is not a folder; name the folder that holds carriers.csv and so on")


def test_capital_letters_in_a_file_name(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "lanes.csv").rename(tmp_path / "Lanes.CSV")
    assert errors_of(tmp_path) == []
    (tmp_path / "lanes.csv").write_bytes(LANES.encode())
    (error,) = errors_of(tmp_path)
    assert "Lanes.CSV, lanes.csv are several files for one table" in error.message("en")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    os.truncate(tmp_path / "rules.csv", tables.FILE_BYTES_MAX + (1 << 20))
    (error,) = errors_of(tmp_path)
    assert error.message("en") == "the file has 33 MB; the most is 32 MB"


def test_an_empty_folder_tells_of_every_table(tmp_path: Path) -> None:
    with pytest.raises(Rejected) as caught:
        rulebook.load(tmp_path, LINES, OFFSET_NS)
    assert [error.table for error in caught.value.errors] == list(tables.TABLES)
    assert str(caught.value).count("\n") == len(tables.TABLES) - 1
