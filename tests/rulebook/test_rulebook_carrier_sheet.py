"""A carrier's own sheet becomes stations, rules and sort codes that do what it says, once or again and again."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from sorter.rulebook import check_folder
from sorter.rulebook.books.carrier_sheet import (
    NOTE_OF_IMPORT,
    CarrierRow,
    CarrierSheet,
    is_carrier_sheet,
    join,
    read_carrier_sheet,
)
from sorter.rulebook.books.writing import write_folder
from sorter.rulebook.tables import NOTE, Cells, Sheet, read_folder
from tests.rulebook import small_site
from tests.rulebook.small_site import LINES, OFFSET_NS

HEADER = ["格口号", "一段码", "二段码", "三段码"]
Rows = list[list[str]]


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sheet]:
    sheets, faults = read_folder(small_site.write(tmp_path_factory.mktemp("draft")))
    assert faults == []
    return sheets


def as_csv(path: Path, rows: Rows, encoding: str = "gbk") -> Path:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return path


def taken_of(*rows: tuple[int, str], carrier: str = "") -> CarrierSheet:
    """A sheet of chutes and keys, as if read."""
    return CarrierSheet(
        [CarrierRow(at, carrier, chute, key) for at, (chute, key) in enumerate(rows, 2)], Sheet("yto.xlsx", [])
    )


def added(old: Mapping[str, Sheet], new: Mapping[str, Sheet], table: str) -> list[dict[str, str]]:
    before = [row.texts for row in old[table].rows]
    return [{k: v for k, v in row.texts.items() if v} for row in new[table].rows if row.texts not in before]


@pytest.mark.parametrize(
    ("headers", "is_one"),
    [
        (HEADER, True),
        (["三段码", "二段码", "一段码", "格口号"], True),
        (["序号", "格口", "一段码", "网点"], True),
        (["承运商", *HEADER], True),
        (["chute", "segment 1", "segment 2", "segment 3"], True),
        (["承运商", "一段码", "二段码", "三段码", "站点"], False),
        (["carrier", "一段码", "二段码", "三段码", "station", "chute"], False),
        (["格口号", "分拣线", "位置", "路向"], False),
        (["一段码", "二段码", "三段码"], False),
        ([], False),
    ],
)
def test_a_carriers_sheet_is_known_by_its_header(headers: list[str], is_one: bool) -> None:
    assert is_carrier_sheet(headers) is is_one


def test_csv_in_gbk_and_xlsx_are_read_alike(tmp_path: Path) -> None:
    rows = [["圆通 格口表", "", "", "", "", ""], [], ["序号", *HEADER, "承运商"]]
    rows += [
        ["1", "101", "023", "A01", "07", "YTO"],
        ["2", "102", "023", "a02", "", ""],
        [],
        ["3", "0102", "031", "", "", "顺丰"],
    ]
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    for path in (as_csv(tmp_path / "a.csv", rows), tmp_path / "a.xlsx", as_csv(tmp_path / "b.CSV", rows, "utf-8-sig")):
        taken, faults = read_carrier_sheet(path)
        assert faults == []
        assert taken is not None
        assert taken.rows == [
            CarrierRow(4, "YTO", 101, "023-A01-07"),
            CarrierRow(5, "", 102, "023-A02"),
            CarrierRow(7, "顺丰", 102, "031"),
        ]


# A row, its wrong column, where that is, and the kind of mistake.
WRONG = [
    (["", "023", "A01", "07"], "chute", "A2", "empty_number"),
    (["A12", "023", "A01", "07"], "chute", "A2", "not_a_number"),
    (["70000", "023", "A01", "07"], "chute", "A2", "out_of_range"),
    (["101", "", "", ""], "一段码", "B2", "no_segment"),
    (["101", "023", "", "07"], "二段码", "C2", "segment_gap"),
    (["101", "023-A01", "", ""], "一段码", "B2", "segment_with_dash"),
    (["101", "023", "A_1", ""], "二段码", "C2", "segment_sign"),
    (["101", "023", "1月2日", ""], "二段码", "C2", "made_a_date"),
    (["101", "1.23E+12", "", ""], "一段码", "B2", "digits_lost"),
]


@pytest.mark.parametrize(("cells", "column", "cell", "kind"), WRONG, ids=[kind + cell for _, _, cell, kind in WRONG])
def test_a_wrong_cell_is_told_where_it_stands(
    tmp_path: Path, cells: list[str], column: str, cell: str, kind: str
) -> None:
    taken, faults = read_carrier_sheet(as_csv(tmp_path / "圆通.csv", [HEADER, cells, ["102", "999", "", ""]]))
    assert [(fault.kind, fault.row, fault.column, fault.cell, fault.file) for fault in faults] == [
        (kind, 2, column, cell, "圆通.csv")
    ]
    assert taken is not None
    assert [row.key for row in taken.rows] == ["999"]


def test_a_workbooks_numbers_are_chutes_but_no_segments(tmp_path: Path) -> None:
    book = Workbook()
    for row in (HEADER, [101, 23, "A01", "07"], [102, "024", True, None]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    _, faults = read_carrier_sheet(tmp_path / "a.xlsx")
    assert [(fault.kind, fault.cell) for fault in faults] == [("number_for_code", "B2"), ("truth_cell", "C3")]


def test_files_that_are_no_carriers_sheet(tmp_path: Path) -> None:
    cases: list[tuple[Path, str]] = [
        (as_csv(tmp_path / "a.csv", [["站点", "名称"], ["V001", "x"]]), "no_carrier_sheet"),
        (as_csv(tmp_path / "c.csv", [["x"]] * 10 + [HEADER]), "no_carrier_sheet"),
        (tmp_path / "none.csv", "file_unreadable"),
        (tmp_path, "folder_for_file"),
    ]
    (tmp_path / "e.csv").write_bytes(b"")
    (tmp_path / "e.xlsx").write_bytes(b"%PDF")
    cases += [(tmp_path / "e.csv", "empty_file"), (tmp_path / "e.xlsx", "no_workbook")]
    book = Workbook()
    book.active.append(HEADER)
    book.create_sheet("二").append(HEADER)
    book.save(tmp_path / "two.xlsx")
    for path, kind in [*cases, (tmp_path / "two.xlsx", "two_carrier_sheets")]:
        taken, faults = read_carrier_sheet(path)
        assert taken is None
        assert [fault.kind for fault in faults] == [kind]


def test_chutes_become_stations_rules_and_sort_codes(draft: dict[str, Sheet], tmp_path: Path) -> None:
    new, faults = join("圆通", taken_of((101, "023-A01-07"), (101, "023-A02"), (203, "531-B07-00")), draft)
    assert faults == []
    made = {"note": NOTE_OF_IMPORT}
    assert added(draft, new, "stations") == [
        {"station": "YTO-101", "name": "圆通 格口101", "kind": "counter", "lane": "BUS"} | made,
        {"station": "YTO-203", "name": "圆通 格口203", "kind": "counter", "lane": "OUT"} | made,
    ]
    assert added(draft, new, "rules") == [
        {"row": "41", "carrier": "YTO", "station": "YTO-101", "send_to": "101"} | made,
        {"row": "42", "carrier": "YTO", "station": "YTO-203", "send_to": "203"} | made,
    ]
    assert added(draft, new, "sort_codes") == [
        {"carrier": "YTO", "一段码": "023", "二段码": "A01", "三段码": "07", "station": "YTO-101"} | made,
        {"carrier": "YTO", "一段码": "023", "二段码": "A02", "station": "YTO-101"} | made,
        {"carrier": "YTO", "一段码": "531", "二段码": "B07", "三段码": "00", "station": "YTO-203"} | made,
    ]
    write_folder(new, tmp_path)
    checked = check_folder(tmp_path, LINES, OFFSET_NS)
    assert checked.rules[-1].send_to.name == "203"


def test_each_row_may_name_its_carrier(draft: dict[str, Sheet]) -> None:
    taken = taken_of((101, "023"), (101, "024"))
    taken = taken._replace(rows=[taken.rows[0]._replace(carrier="顺丰"), taken.rows[1]])
    new, faults = join("YTO", taken, draft)
    assert faults == []
    assert [row["station"] for row in added(draft, new, "stations")] == ["SF-101", "YTO-101"]


# What a sheet says, and what is wrong with it against the small site.
AGAINST = [
    ("YTO", [(999, "023")], "no_such_chute", "999"),
    ("YTO", [(101, "531-A03-12")], "sort_code_by_hand", "V001"),
    ("YTO", [(101, "900")], "sort_code_by_hand", "C01"),
    ("SF", [(101, "900")], "sort_code_by_hand", "4"),
    ("YTO", [(101, "023"), (101, "023")], "sort_code_twice", "2"),
    ("YTO", [(101, "023"), (102, "023")], "sort_code_twice", "2"),
    ("ZTO", [(101, "023")], "no_such_carrier", "ZTO"),
    ("", [(101, "023")], "carrier_not_given", ""),
]


@pytest.mark.parametrize(("carrier", "rows", "kind", "word"), AGAINST)
def test_what_the_draft_contradicts_is_told_and_changes_nothing(
    draft: dict[str, Sheet], carrier: str, rows: list[tuple[int, str]], kind: str, word: str
) -> None:
    new, faults = join(carrier, taken_of(*rows), draft)
    assert [(fault.kind, fault.row) for fault in faults] == [(kind, len(rows) + 1)]
    assert word in faults[0].message("zh")
    assert word in faults[0].message("en")
    assert new == draft


def test_a_sort_code_of_another_carrier_or_length_is_no_contradiction(draft: dict[str, Sheet]) -> None:
    for carrier, key in (("SF", "531-A03-12"), ("YTO", "531"), ("YTO", "531-A03-12.5"), ("YTO", "900-1")):
        assert join(carrier, taken_of((101, key)), draft)[1] == []


def test_a_station_of_that_name_made_by_hand_is_told(draft: dict[str, Sheet]) -> None:
    rows = draft["stations"].rows
    renamed = Cells(rows[0].at, rows[0].texts | {"station": "YTO-101"})
    stations = draft["stations"]._replace(rows=[renamed, *rows[1:]])
    _, faults = join("YTO", taken_of((101, "023")), {**draft, "stations": stations})
    assert [fault.kind for fault in faults] == ["station_by_hand"]


def test_numbers_of_rules_may_run_out(draft: dict[str, Sheet]) -> None:
    last = draft["rules"].rows[-1]
    rows = [*draft["rules"].rows[:-1], Cells(last.at, last.texts | {"row": "65534"})]
    _, faults = join("YTO", taken_of((101, "023")), {**draft, "rules": draft["rules"]._replace(rows=rows)})
    assert [fault.kind for fault in faults] == ["no_row_number_left"]


def test_the_next_import_replaces_the_last_one(draft: dict[str, Sheet]) -> None:
    first, _ = join("YTO", taken_of((101, "023"), (102, "024"), (103, "025")), draft)
    own = Cells(99, dict(first["rules"].rows[0].texts) | {"row": "100", NOTE: "手写"})
    first["rules"] = first["rules"]._replace(rows=[*first["rules"].rows, own])
    second, faults = join("YTO", taken_of((103, "023"), (104, "026"), (101, "027")), first)
    assert faults == []
    assert [row.texts["station"] for row in second["stations"].rows[4:]] == ["YTO-101", "YTO-103", "YTO-104"]
    assert [(row.texts["row"], row.texts["station"]) for row in second["rules"].rows[4:]] == [
        ("41", "YTO-101"),
        ("43", "YTO-103"),
        ("100", ""),
        ("101", "YTO-104"),
    ]
    assert [(row.texts["一段码"], row.texts["station"]) for row in second["sort_codes"].rows[3:]] == [
        ("023", "YTO-103"),
        ("026", "YTO-104"),
        ("027", "YTO-101"),
    ]
    for table in ("stations", "rules", "sort_codes"):
        assert [row.at for row in second[table].rows] == list(range(2, len(second[table].rows) + 2))


def test_an_import_leaves_other_carriers_and_changed_notes_alone(draft: dict[str, Sheet]) -> None:
    first, _ = join("SF", taken_of((101, "023")), draft)
    kept = [Cells(row.at, row.texts | {NOTE: "已核对"}) for row in first["sort_codes"].rows]
    first["sort_codes"] = first["sort_codes"]._replace(rows=kept)
    second, faults = join("YTO", taken_of((101, "023")), first)
    assert faults == []
    assert [row.texts["station"] for row in second["stations"].rows[4:]] == ["SF-101", "YTO-101"]
    _, faults = join("SF", taken_of((101, "023")), second)
    assert [fault.kind for fault in faults] == ["sort_code_by_hand"]


keys = st.lists(st.sampled_from(["023", "A1", "B/2", "7", "00"]), min_size=1, max_size=3).map("-".join)
sheets = st.dictionaries(keys, st.sampled_from([101, 102, 103, 201]), max_size=8).map(
    lambda codes: taken_of(*((chute, key) for key, chute in codes.items()))
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(sheets, sheets)
def test_what_is_imported_last_is_what_stands(
    draft: dict[str, Sheet], first: CarrierSheet, second: CarrierSheet
) -> None:
    """Whatever was imported before: the codes go where the last sheet says, and nothing of an earlier one is left."""
    before, faults = join("YTO", first, draft)
    assert faults == []
    new, faults = join("YTO", second, before)
    assert faults == []
    assert join("YTO", second, new)[0] == new
    chute_of = {row.texts["station"]: row.texts["send_to"] for row in new["rules"].rows if row.texts["station"]}
    made = [row.texts for row in new["sort_codes"].rows if row.texts[NOTE] == NOTE_OF_IMPORT]
    segments = HEADER[1:]
    goes = {"-".join(filter(None, map(texts.get, segments))): chute_of[texts["station"]] for texts in made}
    assert goes == {row.key: str(row.chute) for row in second.rows}
    wanted = {f"YTO-{row.chute}" for row in second.rows}
    for table in ("stations", "rules"):
        assert {row.texts["station"] for row in new[table].rows if row.texts[NOTE] == NOTE_OF_IMPORT} == wanted
        rest = [row.texts for row in new[table].rows if row.texts[NOTE] != NOTE_OF_IMPORT]
        assert rest == [row.texts for row in draft[table].rows]
    numbers = [row.texts["row"] for row in new["rules"].rows]
    assert len(set(numbers)) == len(numbers)
