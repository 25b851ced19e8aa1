"""Zeros that a spreadsheet took from the front of a code are told, and nothing is that is right as it stands."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorter.rulebook import check_folder, crosscheck
from sorter.rulebook.books import zeros
from sorter.rulebook.tables import NOTE, TABLES, Cells, Sheet
from sorter.site import load as load_site
from tests.rulebook.small_site import LINES, OFFSET_NS, copy_of_small, write

HOUSE = Path(__file__).parent.parent.parent

# Within one rule set: a finding.


def told(folder: Path, *codes: tuple[str, str]) -> list[tuple[str, str, tuple[int, ...], str, str]]:
    """What is found in a table of such carriers and segments; its first row is row 2."""
    tables = copy_of_small()
    rows = [[carrier, *[*key.split("-"), "", ""][:3], "V001"] for carrier, key in codes]
    tables["sort_codes"] = [tables["sort_codes"][0], *rows]
    return crosscheck.zeros_lost(check_folder(write(folder, tables), LINES, OFFSET_NS))


LOST = [
    (["01", "02", "3", "10"], (4,), "3", "01"),
    (["1", "2", "03"], (2, 3), "1", "03"),
    (["001", "002", "12"], (4,), "12", "001"),
    (["0571", "0572", "23"], (4,), "23", "0571"),
    (["00", "0"], (3,), "0", "00"),
]


@pytest.mark.parametrize(("texts", "rows", "text", "full"), LOST)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_code_shorter_than_all_others_is_told(
    tmp_path: Path, place: int, *, texts: list[str], rows: tuple[int, ...], text: str, full: str
) -> None:
    codes = [("YTO", "-".join([*["A1"] * place, code])) for code in texts]
    column = ["一段码", "二段码", "三段码"][place]
    assert told(tmp_path, *codes) == [("YTO", column, rows, text, full)]


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "2", "10"],
        ["01", "02", "10"],
        ["0", "1", "2"],
        ["0", "1", "10"],
        ["010", "021", "0571", "23"],  # codes of several lengths
        ["01", "2", "100"],
        ["01", "2", "A3"],
        ["01", "2", "3.5"],
        ["A01", "A2"],
    ],
)
def test_codes_that_may_be_so_are_not_told(tmp_path: Path, texts: list[str]) -> None:
    assert told(tmp_path, *(("YTO", code) for code in texts)) == []


def test_another_carrier_may_write_its_codes_otherwise(tmp_path: Path) -> None:
    assert told(tmp_path, ("YTO", "01"), ("YTO", "02"), ("SF", "3")) == []
    assert told(tmp_path, ("YTO", "01"), ("YTO", "3"), ("SF", "3")) == [("YTO", "一段码", (3,), "3", "01")]


def test_what_several_carriers_share_is_told_once(tmp_path: Path) -> None:
    assert told(tmp_path, ("", "01"), ("SF|YTO", "3")) == [("SF", "一段码", (3,), "3", "01")]


def test_the_model_site_has_lost_none() -> None:
    site = load_site(HOUSE / "rules")
    assert crosscheck.zeros_lost(check_folder(HOUSE / "rules", site.lines, site.utc_offset_ns)) == []


def test_the_finding_names_row_code_and_another(tmp_path: Path) -> None:
    tables = copy_of_small()
    tables["sort_codes"] += [["YTO", "531", "A03", "05", "V001"], ["YTO", "531", "A03", "7", "V002"]]
    found = crosscheck.findings(check_folder(write(tmp_path, tables), LINES, OFFSET_NS))
    (finding,) = [each for each in found if each.kind == "zeros_lost"]
    assert finding.as_json("en") == {
        "kind": "zeros_lost",
        "table": "sort_codes",
        "rows": [6],
        "witness": {"carrier": "YTO", "column": "三段码", "text": "7", "full": "05"},
        "message": "三段码 7 of YTO may have lost zeros at its front: all others there have 2 digits, such as 05. "
        "Format the column as text and write it again",
    }
    assert finding.told("zh").startswith(
        "sort_codes 第6行：YTO 的三段码“7”可能丢了开头的 0：这一列别的都是 2 位，如“05”"
    )


# Beside the draft: an import is refused.


def sheet_of(keys: list[tuple[str, str]]) -> Sheet:
    blank = dict.fromkeys((*TABLES["sort_codes"], NOTE), "")
    rows = [Cells(at, blank | {"carrier": "YTO", "一段码": a, "二段码": b}) for at, (a, b) in enumerate(keys, 2)]
    return Sheet("sort_codes", rows, "sort_codes.csv")


def saved(text: str) -> str:
    """What a spreadsheet makes of a cell."""
    return str(int(text)) if text.isdecimal() else text


segments = st.sampled_from(["0", "00", "1", "01", "001", "10", "010", "A1", "A01", ""])
some_keys = st.lists(st.tuples(segments.filter(bool), segments), max_size=6, unique=True)


@given(some_keys, some_keys)
@example([("01", "01")], [("1", "01")])
@example([("01", "01")], [("1", "001")])
@example([("01", ""), ("1", "")], [("1", "")])
def test_exactly_what_a_spreadsheet_may_have_done_is_told(
    draft: list[tuple[str, str]], new: list[tuple[str, str]]
) -> None:
    """A row is told when its key is new, and may be one that is gone, some of its cells saved by a spreadsheet."""

    def may_be(was: tuple[str, str], now: tuple[str, str]) -> bool:
        return all(text in {before, saved(before)} for before, text in zip(was, now, strict=True))

    gone = [key for key in draft if key not in new]
    rows = [at for at, key in enumerate(new, 2) if key not in draft and any(may_be(was, key) for was in gone)]
    found = zeros.lost({"sort_codes": sheet_of(new)}, {"sort_codes": sheet_of(draft)})
    assert [fault.row for fault in found] == rows
    assert {fault.kind for fault in found} <= {"zeros_lost"}
    for fault in found:
        facts = fault.said.facts
        assert saved(facts["was"]) == facts["text"] != facts["was"]
        assert sheet_of(new).rows[fault.row - 2].texts[fault.column] == facts["text"]


@given(some_keys)
def test_whatever_a_spreadsheet_shortened_is_told(draft: list[tuple[str, str]]) -> None:
    """Unless two codes became one, which the check tells."""
    new = [(saved(a), saved(b)) for a, b in draft]
    times = Counter(new)
    changed = [at for at, (was, now) in enumerate(zip(draft, new, strict=True), 2) if was != now and times[now] == 1]
    found = {fault.row for fault in zeros.lost({"sort_codes": sheet_of(new)}, {"sort_codes": sheet_of(draft)})}
    assert set(changed) <= found
    assert zeros.lost({"sort_codes": sheet_of(draft)}, {"sort_codes": sheet_of(draft)}) == []


def test_no_draft_and_a_missing_table_are_nothing() -> None:
    codes = {"sort_codes": sheet_of([("1", "")])}
    assert zeros.lost(codes, {}) == []
    assert zeros.lost({}, codes) == []
