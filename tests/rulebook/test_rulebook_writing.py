"""What is written is read back, cell for cell; a file is old or new, never half; a template explains itself."""

import os
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from sorter.reasons import Declined, Language
from sorter.rulebook import check_folder
from sorter.rulebook.books import writing
from sorter.rulebook.books.template import CHOICES, COLUMNS_TOLD, example
from sorter.rulebook.books.workbook import read_workbook, title_of
from sorter.rulebook.books.writing import (
    CELL_TEXT_MAX,
    EMPTY_ROWS,
    Base,
    base_version,
    digest,
    header,
    template,
    write_folder,
    write_workbook,
)
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet, Unreadable, folded, read_folder
from tests.rulebook import small_site
from tests.rulebook.small_site import LINES, OFFSET_NS, SMALL

Texts = dict[str, list[dict[str, str]]]


def sheets_of(tables: Mapping[str, list[dict[str, str]]]) -> dict[str, Sheet]:
    return {
        table: Sheet(
            table, [Cells(at, dict.fromkeys((*TABLES[table], NOTE), "") | row) for at, row in enumerate(rows, 2)]
        )
        for table, rows in tables.items()
    }


def texts_of(sheets: Mapping[str, Sheet]) -> Texts:
    return {table: [row.texts for row in sheet.rows] for table, sheet in sheets.items()}


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Sheet]:
    folder = tmp_path / "small"
    folder.mkdir()
    sheets, faults = read_folder(small_site.write(folder))
    assert faults == []
    return sheets


NASTY = [
    *("0571", "=1+1", "+1", "-1", "@x", "1-2", "1/2", "123456789012345678", "1E5", "57E1", "TRUE", "#N/A", "#REF!"),
    *("'x", '"', '""', 'a"b', "a,b", "a;b", "a\tb", "a\nb", "a\r\nb", "a\rb", "a  b", "<&>", "]]>", "NULL", "-"),
    *(
        "_x000D_",
        "_x005F_",
        "_x0041",
        "_x0041_x0042_",
        "\x01",
        "\x7f",
        "\ufffe",
        "中文",
        "龙雾村",
        "（虚构）；到，",
        "Ａ０１",
        "🚌",
        "e\u0301",
    ),
    *("2026-01-02", "07:20", "0..3000", "SF\\d{12}", "Բͨ"),
]


# NUL is refused in every file, and a surrogate is no text.
some_text = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)


def row_of(columns: Iterable[str]) -> st.SearchStrategy[dict[str, str]]:
    """A row of any texts as its columns take them, never all blank: a blank row is no row."""
    cells = {column: some_text.map(partial(folded, column)) for column in (*columns, NOTE)}
    return st.fixed_dictionaries(cells).filter(lambda row: any(row.values()))


@st.composite
def any_tables(draw: st.DrawFn) -> Texts:
    """Every table with some rows."""
    return {table: draw(st.lists(row_of(columns), max_size=3)) for table, columns in TABLES.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_tables())
def test_any_texts_come_back_from_csv(tmp_path_factory: pytest.TempPathFactory, tables: Texts) -> None:
    folder = tmp_path_factory.mktemp("csv")
    sheets = sheets_of(tables)
    write_folder(sheets, folder)
    back, faults = read_folder(folder)
    assert faults == []
    assert texts_of(back) == tables
    assert digest(back) == digest(sheets)


@pytest.fixture(autouse=True)
def _few_empty_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may write dozens of workbooks; only the one that counts the rows writes them all."""
    monkeypatch.setattr(writing, "EMPTY_ROWS", 3)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_tables(), st.sampled_from(["zh", "en"]))
def test_any_texts_come_back_from_a_workbook(
    tmp_path_factory: pytest.TempPathFactory, tables: Texts, language: Language
) -> None:
    path = tmp_path_factory.mktemp("xlsx") / "book.xlsx"
    sheets = sheets_of(tables)
    write_workbook(sheets, path, version="v1", language=language)
    book = read_workbook(path)
    assert book.faults == []
    assert book.findings == []
    assert texts_of(book.sheets) == tables
    assert base_version(path) == Base("v1", digest(sheets))


def test_every_nasty_text_comes_back(tmp_path: Path) -> None:
    tables: Texts = {table: [] for table in TABLES}
    columns = (*TABLES["rules"], NOTE)
    tables["rules"] = [{**{column: folded(column, text) for column in columns}, "row": "1"} for text in NASTY]
    write_folder(sheets_of(tables), tmp_path)
    assert texts_of(read_folder(tmp_path)[0]) == tables
    write_workbook(sheets_of(tables), tmp_path / "a.xlsx", version="v", language="zh")
    assert texts_of(read_workbook(tmp_path / "a.xlsx").sheets) == tables


def test_the_wushan_set_comes_back(tmp_path: Path) -> None:
    sheets, _ = read_folder(Path("rules"))
    write_workbook(sheets, tmp_path / "a.xlsx", version="v", language="zh")
    book = read_workbook(tmp_path / "a.xlsx")
    write_folder(book.sheets, tmp_path)
    back, faults = read_folder(tmp_path)
    assert (book.faults, faults) == ([], [])
    assert texts_of(back) == texts_of(book.sheets) == texts_of(sheets)


def test_csv_is_what_a_spreadsheet_opens(tmp_path: Path, small: dict[str, Sheet]) -> None:
    write_folder(small, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == sorted(f"{table}.csv" for table in TABLES)
    data = (tmp_path / "lanes.csv").read_bytes()
    assert data.startswith("\ufefflane,name,kind,spill_to,note\r\nBUS,客运,bus,TRUCK,\r\n".encode())
    assert data.count(b"\n") == data.count(b"\r\n") == len(SMALL["lanes"])


def test_a_missing_table_becomes_its_header(tmp_path: Path) -> None:
    write_folder({}, tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "exceptions.csv").read_bytes() == "\ufeffreason,line,chute,note\r\n".encode()


def test_a_file_keeps_the_name_it_has(tmp_path: Path, small: dict[str, Sheet]) -> None:
    (tmp_path / "规则.CSV").write_bytes(b"old")
    write_folder(small, tmp_path)
    names = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert names == {f"{table}.csv" for table in TABLES if table != "rules"} | {"规则.CSV"}
    assert texts_of(read_folder(tmp_path)[0]) == texts_of(small)


def test_digest_is_of_texts_alone(small: dict[str, Sheet]) -> None:
    renumbered = {
        t: s._replace(source="x", rows=[Cells(row.at + 7, row.texts) for row in s.rows]) for t, s in small.items()
    }
    assert digest(renumbered) == digest(small)
    for table, sheet in small.items():
        changed = sheet._replace(rows=[*sheet.rows[:-1], Cells(9, sheet.rows[-1].texts | {NOTE: "x"})])
        assert digest({**small, table: changed}) != digest(small)


class _Died(BaseException):
    """As if the process had been killed."""


@pytest.mark.parametrize("step", range(30))
def test_whenever_it_dies_each_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: dict[str, Sheet], step: int
) -> None:
    folder = tmp_path / "rules"
    write_folder(small, folder)
    old = {path.name: path.read_bytes() for path in folder.iterdir()}
    changed = {
        t: s._replace(rows=[Cells(row.at, row.texts | {NOTE: "new"}) for row in s.rows]) for t, s in small.items()
    }
    new = {f"{table}.csv": writing.csv_text(table, changed[table]).encode("utf-8-sig") for table in TABLES}
    left = step

    def dies(real: object, *args: object, **kwargs: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Died
        return real(*args, **kwargs)  # type: ignore[operator] # one of the two below

    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda *args: dies(fsync, *args))
    monkeypatch.setattr(Path, "replace", lambda *args: dies(replace, *args))
    died = False
    try:
        write_folder(changed, folder)
    except _Died:
        died = True
    assert died == (step < 2 * len(TABLES) + 1)
    found = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert found.keys() == old.keys()
    assert all(data in {old[name], new[name]} for name, data in found.items())
    if step <= len(TABLES):
        assert found == old  # no file changes place before all are on disk
    if not died:
        assert found == new
    monkeypatch.undo()
    write_folder(changed, folder)
    assert texts_of(read_folder(folder)[0]) == texts_of(changed)


def test_what_cannot_be_written_is_told(tmp_path: Path, small: dict[str, Sheet]) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "lanes.csv").mkdir()
    for folder in (tmp_path / "file", tmp_path):
        with pytest.raises(Declined) as declined:
            write_folder(small, folder)
        assert "写不进去" in declined.value.said.told("zh")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_text_too_long_for_a_cell_is_told(tmp_path: Path) -> None:
    for text, fits in (("x" * CELL_TEXT_MAX, True), ("x" * (CELL_TEXT_MAX + 1), False), ("\x01" * 5000, False)):
        sheets = sheets_of({"lanes": [{"lane": "A", "note": text}]})
        path = tmp_path / "a.xlsx"
        if fits:
            write_workbook(sheets, path, version="v", language="en")
            assert read_workbook(path).sheets["lanes"].rows[0].texts["note"] == text
        else:
            with pytest.raises(Declined, match="lanes row 2, column note"):
                write_workbook(sheets, path, version="v", language="en")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_template_explains_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: Language) -> None:
    monkeypatch.setattr(writing, "EMPTY_ROWS", EMPTY_ROWS)
    path = tmp_path / "模板.xlsx"
    template(path, language)
    book = load_workbook(path)
    for table, columns in TABLES.items():
        sheet = book[title_of(table, language)]
        assert sheet.freeze_panes == "A2"
        for place, column in enumerate((*columns, NOTE), 1):
            assert sheet.cell(1, place).value == header(table, column, language)
            said = COLUMNS_TOLD.get((table, column))
            assert said is None or sheet.cell(1, place).comment.text == said.told(language)
            assert sheet.cell(1, place).comment is not None
            assert folded(column, sheet.cell(2, place).value or "") == example(table, language)[column]
            for row in (1, 2, 3, EMPTY_ROWS + 2):
                assert sheet.cell(row, place).number_format == "@"
        assert sheet.column_dimensions["A"].number_format == "@"


def test_an_untouched_template_holds_nothing(tmp_path: Path) -> None:
    for language in ("zh", "en"):
        template(tmp_path / "a.xlsx", language)
        book = read_workbook(tmp_path / "a.xlsx")
        assert book.faults == []
        assert {table: len(sheet.rows) for table, sheet in book.sheets.items()} == dict.fromkeys(TABLES, 0)
        assert base_version(tmp_path / "a.xlsx") is None


def test_an_example_that_was_changed_counts(tmp_path: Path) -> None:
    template(tmp_path / "a.xlsx", "zh")
    book = load_workbook(tmp_path / "a.xlsx")
    book["路向"]["A2"] = "BUS-2"
    book.save(tmp_path / "a.xlsx")
    sheets = read_workbook(tmp_path / "a.xlsx").sheets
    assert [row.texts["lane"] for row in sheets["lanes"].rows] == ["BUS-2"]
    assert sheets["trips"].rows == []


def test_the_examples_are_a_rule_set_that_is_right(tmp_path: Path) -> None:
    """Whoever follows them makes no mistake. Only not every reason has its chute."""
    for language in ("zh", "en"):
        tables = {table: [example(table, language)] for table in TABLES}
        tables["exceptions"] = [{"reason": "", "line": "L1", "chute": "101"}]
        write_folder(sheets_of(tables), tmp_path)
        check_folder(tmp_path, {"L1": LINES["L1"]}, OFFSET_NS)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_dropdowns_offer_what_the_tables_hold(tmp_path: Path, small: dict[str, Sheet], language: Language) -> None:
    path = tmp_path / "a.xlsx"
    write_workbook(small, path, version="v", language=language)
    book = load_workbook(path)
    for table, columns in TABLES.items():
        sheet = book[title_of(table, language)]
        offered = {str(each.sqref): each for each in sheet.data_validations.dataValidation}
        last = len(small[table].rows) + 1 + writing.EMPTY_ROWS
        wanted = {
            f"{chr(ord('A') + place)}2:{chr(ord('A') + place)}{last}": CHOICES[table, column]
            for place, column in enumerate(columns)
            if (table, column) in CHOICES
        }
        assert offered.keys() == wanted.keys()
        for cells, choice in wanted.items():
            formula = offered[cells].formula1
            assert offered[cells].showErrorMessage is choice.is_one
            if choice.words:
                assert formula.strip('"').split(",") == [word.told(language) for word in choice.words]
                assert len(formula) <= 255
            else:
                title, cell_range = formula.split("!")
                found = [cell.value for (cell,) in book[title.strip("'")][cell_range.replace("$", "")]]
                texts = [row.texts[choice.column] or None for row in small[choice.table].rows]
                assert found == [*texts, *[None] * writing.EMPTY_ROWS]


def test_words_in_dropdowns_are_words_the_check_knows(tmp_path: Path, small: dict[str, Sheet]) -> None:
    for (table, column), choice in CHOICES.items():
        for word in choice.words:
            for language in ("zh", "en"):
                rows = [Cells(row.at, row.texts | {column: word.told(language)}) for row in small[table].rows]
                if (table, column) != ("exceptions", "reason"):
                    write_folder({**small, table: small[table]._replace(rows=rows)}, tmp_path)
                    check_folder(tmp_path, LINES, OFFSET_NS)


def test_the_base_is_hidden_and_may_be_missing(tmp_path: Path, small: dict[str, Sheet]) -> None:
    path = tmp_path / "a.xlsx"
    write_workbook(small, path, version="2026-11-01 第3版", language="zh")
    assert base_version(path) == Base("2026-11-01 第3版", digest(small))
    book = load_workbook(path)
    assert book["_hub"].sheet_state == "hidden"
    book["路向"]["B2"] = "改过"
    book.save(path)
    assert base_version(path) == Base("2026-11-01 第3版", digest(small))
    assert digest(read_workbook(path).sheets) != digest(small)
    del book["_hub"]
    book.save(path)
    assert base_version(path) is None
    path.write_bytes(b"no workbook")
    with pytest.raises(Unreadable):
        base_version(path)
