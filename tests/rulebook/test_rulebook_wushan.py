"""The shipped site: it loads, it is what the county's plan says, and what is made up says so."""

import csv
import re
from pathlib import Path

import pytest

import sorter
from sorter import rulebook
from sorter.reasons import REJECTIONS
from sorter.records import NONE_16, Line, SortPlan
from sorter.rulebook import tables, waybill
from tests.rulebook.small_site import OFFSET_NS

RULES = Path(sorter.__file__).parent.parent / "rules"
LOOP = Line(15 * 10**9, 120 * 10**9, 900 * 10**9, 3)
LINES = {"L1": LOOP, "L2": LOOP}
VILLAGES = {"龙雾村", "槐花村"}
TOWNSHIPS = {"大昌镇", "曲尺", "福田", "官渡", "骡坪", "庙宇", "抱龙", "双龙镇", "笃坪乡", "官阳镇", "红椿乡"}
FACTS = VILLAGES | TOWNSHIPS | {"巫山"}


@pytest.fixture(name="wushan", scope="module")
def shipped_plan() -> SortPlan:
    return rulebook.load(RULES, LINES, OFFSET_NS)


def rows_of(table: str) -> list[dict[str, str]]:
    with (RULES / f"{table}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_it_has_what_the_plan_says(wushan: SortPlan) -> None:
    stations, lanes = rows_of("stations"), rows_of("lanes")
    kinds = [row["kind"] for row in stations]
    assert (kinds.count("village"), kinds.count("township")) == (301, 7)
    lane_names = [row["lane"] for row in lanes]
    assert sum(name.startswith("BUS-") for name in lane_names) == 9
    assert sum(name.startswith("FRT-") for name in lane_names) == 9
    assert wushan.names.lines == ("L1", "L2")
    assert len(wushan.names.carriers) == 10
    assert 60 <= len(wushan.plan.table.row) <= 150


def test_every_station_has_a_lane_and_every_lane_chutes_on_both_lines(wushan: SortPlan) -> None:
    plan, names = wushan.plan, wushan.names
    assert (plan.station_lane != NONE_16).all()
    counts = plan.chute_at[1:].astype(int) - plan.chute_at[:-1].astype(int)
    assert counts.reshape(2, len(names.lanes)).min() >= 1
    per_lane = {lane for row in rows_of("chutes") if "|" in row["lane"] for lane in row["lane"].split("|")}
    assert per_lane, "some chutes serve several lanes"
    assert counts.max() >= 2, "some lanes have several chutes"
    assert (plan.exception_chute[:, sorted(REJECTIONS)] != NONE_16).all()


def test_chutes_stand_on_the_loop() -> None:
    for row in rows_of("chutes"):
        assert 30 <= int(row["position"]) < 240
        assert int(row["chute"]) // 100 == int(row["line"][1])


@pytest.mark.parametrize("table", ["stations", "lanes", "sort_codes", "trips"])
def test_what_is_not_in_the_plan_is_marked_as_made_up(table: str) -> None:
    for row in rows_of(table):
        marked = "虚构" in row["note"] or "示范" in row.get("name", "") or row.get("kind") == "exception"
        assert marked or row["note"].startswith("依据县方案"), row
        if row["note"] == "依据县方案":
            assert any(fact in row["name"] for fact in FACTS), row


def test_no_place_is_named_that_the_plan_does_not_name() -> None:
    towns = {row["township"] for row in rows_of("stations")} - {"", "县城"}
    assert all(town in FACTS or re.fullmatch(r"示范乡镇\d\d", town) for town in towns)
    villages = [row["name"] for row in rows_of("stations") if row["kind"] == "village"]
    assert all(name in FACTS or re.fullmatch(r"示范村\d{3}", name) for name in villages)
    assert len(set(villages)) == 301


@pytest.mark.parametrize(
    ("code", "carriers"),
    [
        ("SF1234567890123", {"SF"}),
        ("YT1234567890123", {"YTO"}),
        ("JDVA12345678901-1-1-", {"JD"}),
        ("DPK12345678901-1", {"DEPPON"}),
        ("JT1234567890123", {"JT"}),
        ("EE123456789CN", {"POST", "EMS"}),
        ("123456789012", {"SF", "ZTO"}),
        ("773123456789012", {"STO"}),
        ("6901234567892", set()),  # an EAN-13 of Chinese goods is no waybill
        ("69012345", set()),
        ("531-A03-12", set()),
    ],
)
def test_waybills(wushan: SortPlan, code: str, carriers: set[str]) -> None:
    mask = waybill.fits(waybill.Automaton(*wushan.plan.waybills[:3]), code)
    owners = wushan.plan.waybills.patterns["carrier"].tolist()
    assert {wushan.names.carriers[owner] for bit, owner in enumerate(owners) if mask >> bit & 1} == carriers


def test_no_sort_code_reads_like_a_waybill(wushan: SortPlan) -> None:
    automaton = waybill.Automaton(*wushan.plan.waybills[:3])
    for row in rulebook.check_folder(RULES, LINES, OFFSET_NS).sort_codes:
        assert not waybill.fits(automaton, row.key)


@pytest.mark.parametrize("table", list(tables.TABLES))
def test_files_open_in_excel(table: str) -> None:
    data = (RULES / f"{table}.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.endswith(b"\r\n")
    assert data.count(b"\n") == data.count(b"\r\n")


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_saved_again_by_a_spreadsheet_it_is_the_same_plan(tmp_path: Path, wushan: SortPlan, encoding: str) -> None:
    for table in tables.TABLES:
        text = (RULES / f"{table}.csv").read_text(encoding="utf-8-sig")
        (tmp_path / f"{table}.csv").write_bytes(text.encode(encoding))
    assert rulebook.load(tmp_path, LINES, OFFSET_NS).version == wushan.version
