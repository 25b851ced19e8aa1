"""The day of whoever keeps the rules: take the tables out, edit, bring them back, check, try, publish, go back."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from sorter import publishing
from sorter.publishing import Order
from sorter.rulebook.published.history import Deed, NotAllowed
from sorter.site import load
from tests.system.hubs import BIN, Hub

RULES = "规则"


class Desk:
    """A site without a daemon, and the commands of whoever sits at it."""

    def __init__(self, folder: Path) -> None:
        self.hub = Hub(folder)
        self.work = folder
        self.rules = self.hub.folder / "rules"

    def sorter(self, *arguments: str | Path, code: int = 0, language: str = "en") -> str:
        """What the command says, on either side."""
        done = subprocess.run(
            [BIN / "sorter", "rules", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.hub.folder,
            env=os.environ | {"LANG": {"en": "C.UTF-8", "zh": "zh_CN.UTF-8"}[language], "LC_ALL": ""},
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        return json.loads(self.sorter(*arguments, "--json", code=code))

    def tables(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.rules.iterdir()}

    def traffic(self, items: int) -> Path:
        out = self.work / "day"
        subprocess.run(
            [BIN / "plc-adapter", "traffic", "--site", self.hub.folder, "--items", str(items), "--out", out],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return out / "parcels.ndjson"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def edit(path: Path, row: int, column: int, text: str) -> None:
    """What Excel does to one cell of the rules."""
    book = openpyxl.load_workbook(path)
    book[RULES].cell(row, column).value = text
    book.save(path)


def edit_english(path: Path, sheet: str, cell: str, text: str) -> None:
    book = openpyxl.load_workbook(path)
    book[sheet][cell].value = text
    book.save(path)


def test_export_edit_check_diff_publish_rollback(desk: Desk) -> None:
    first = desk.json("publish", "--why", "开业")
    assert first["state"] == "at_start"
    before = desk.tables()
    table = desk.work / "规则表.xlsx"
    desk.sorter("export", table, language="zh")
    desk.sorter("import", table)
    assert desk.json("check")["plan"] == first["version"]
    assert "nothing to publish" in desk.sorter("publish", code=3)
    assert "没有可发布的内容" in desk.sorter("publish", code=3, language="zh")

    edit(table, 36, 7, "5kg..20kg")
    refused = desk.json("check", table, code=3)
    (error,) = refused["errors"]
    assert (error["table"], error["row"], error["column"], error["cell"]) == ("rules", 36, "weight_g", "G36")
    assert error["sheet"] == RULES
    assert refused["plan"] is None
    assert "规则表.xlsx 工作表“规则” 第36行" in desk.sorter("check", table, code=3, language="zh")
    unchanged = desk.tables()
    desk.sorter("import", table, code=3)
    assert desk.tables() == unchanged

    edit(table, 36, 7, "5001..20000")
    desk.sorter("import", table)
    parcels = desk.traffic(3_000)
    moves = desk.json("diff", "--traffic", parcels)
    assert [change["table"] for change in moves["rows"]] == ["rules"]
    assert moves["items"] == 3_000
    assert 0 < moves["moved"] < 100
    assert len(moves["examples"]) == min(moves["moved"], 10)
    assert sum(pair[0] for pair in moves["by_chute"].values()) == 3_000 == sum(p[1] for p in moves["by_chute"].values())
    lanes = {lane for lane, pair in moves["by_lane"].items() if pair[0] != pair[1]}
    assert lanes == {"FRT-DACHANG", "TRK-DACHANG"}
    assert f"{moves['moved']} of 3,000 parcels move" in desk.sorter("diff", "--traffic", parcels)

    second = desk.json("publish", "--why", "五公斤以上走货运")
    assert second["version"] != first["version"]
    back = desk.json("rollback", "--why", "货车坏了")
    assert back["version"] == first["version"]
    assert desk.json("rollback")["version"] == second["version"]
    acts = desk.json("history")["acts"]
    assert [act["deed"] for act in acts] == ["publish", "publish", "rollback", "rollback"]
    assert [act["state"] for act in acts] == ["", "", "", "in_force"]
    assert acts[1]["why"] == "五公斤以上走货运"
    assert "货车坏了" in desk.sorter("history", language="zh")
    (change,) = desk.json("history", "2")["changes"]
    assert change["cells"] == {"weight_g": ["3001..20000", "5001..20000"]}
    assert "5001..20000" in desk.sorter("history", "2")
    assert before["rules.csv"] != desk.tables()["rules.csv"]


def test_the_template_is_filled_in_and_not_imported_empty(desk: Desk) -> None:
    path = desk.work / "template.xlsx"
    desk.sorter("template", path)
    assert "is there already" in desk.sorter("template", path, code=3)
    before = desk.tables()
    assert "there is no row below the header" in desk.sorter("import", path, code=3)
    assert desk.tables() == before


def test_a_draft_that_changed_is_not_overwritten(desk: Desk) -> None:
    path = desk.work / "table.xlsx"
    desk.sorter("export", path)
    edit_english(path, "lanes", "B2", "客运 巫山—笃坪")
    desk.sorter("import", path)
    desk.sorter("import", path)  # the draft is what it holds already
    edit_english(path, "lanes", "B2", "客运 笃坪线")
    assert "the draft was changed" in desk.sorter("import", path, code=3)  # nobody can tell whose change that was
    path = desk.work / "again.xlsx"
    desk.sorter("export", path, "--plan", "draft")
    lanes = desk.rules / "lanes.csv"
    lanes.write_text(lanes.read_text(encoding="utf-8-sig").replace("示范城区片1", "城区一"), encoding="utf-8")
    changed = desk.tables()
    assert "the draft was changed" in desk.sorter("import", path, code=3)
    assert desk.tables() == changed
    desk.sorter("import", path, "--replace")
    assert "示范城区片1" in lanes.read_text(encoding="utf-8-sig")


def test_a_carriers_own_sheet_becomes_sort_codes(desk: Desk) -> None:
    sheet = desk.work / "圆通格口.csv"
    sheet.write_bytes("格口号,一段码,二段码,三段码\r\n110,912,B07,01\r\n136,912,B07,02\r\n".encode("gb18030"))
    assert "carrier" in desk.sorter("import", sheet, "--carrier", "NOBODY", code=3)
    assert "承运商" in desk.sorter("import", sheet, code=3, language="zh")
    desk.sorter("import", sheet, "--carrier", "YTO")
    told = desk.json("explain", "--plan", "draft", "--code", "YT1234567890123", "--code", "912-B07-02")
    assert told["chutes"] == [136]
    desk.sorter("import", sheet, "--carrier", "YTO")
    assert desk.json("check")["errors"] == []


def test_explain_tells_why_the_expected_row_did_not_win(desk: Desk) -> None:
    typed: tuple[str, ...] = (
        "--plan",
        "draft",
        "--carrier",
        "YTO",
        "--station",
        "V002",
        "--weight-g",
        "4000",
        "--time",
        "08:30",
    )
    typed += ("--weekday", "1")
    told = desk.json("explain", *typed, "--expected", "510")
    assert (told["row"], told["lane"], told["chutes"]) == (500, "FRT-DACHANG", [120])
    assert [failed["column"] for failed in told["expected"]["failed"]] == ["township"]
    assert "乡镇 写的是“官渡”" in desk.sorter("explain", *typed, "--expected", "510", language="zh")
    assert "is not in the tables" in desk.sorter("explain", *typed, "--station", "V2", code=3)
    assert desk.sorter("explain", *typed, "--weight-g", "-1", code=2)


def test_two_passes_are_rule_sets_to_import(desk: Desk) -> None:
    out = desk.work / "waves"
    pins = desk.work / "pins.csv"
    pins.write_text("站点,单独,第一遍格口,第二遍格口\nV001,是,112,\n", encoding="utf-8")
    options = ("two-pass", out, "--line", "L1", "--traffic", desk.traffic(2_000), "--pins", pins)
    told = desk.json(*options)
    assert told["direct"]["V001"] == 112
    own = {*range(110, 133)}  # the chutes of the villages' lanes: none of LOC, LH, AIR or COLD
    assert set(told["chutes"]) == own
    twice = sum(sum(told["first_items"][chute]) for chute in told["groups"])
    assert twice == told["ours"]["handled_twice"] == sum(told["second_items"].values())
    assert told["lost"]["items"] == sum(told["lost"]["by_line"].values()) > told["lost"]["by_line"]["L2"] > 0
    more = desk.json(*options, "--chutes", "102..144")
    assert set(more["chutes"]) == {*range(102, 145)}
    assert more["lost"]["items"] > told["lost"]["items"]
    assert f"look out: {more['lost']['items']} parcels" in desk.sorter(*options, "--chutes", "102..144")
    assert "takes exceptions" in desk.sorter(*options, "--chutes", "101,102", code=3)
    assert "is not one of" in desk.sorter(*options, "--kind", "vilage", code=2)
    assert "was made by a two-pass plan" in desk.sorter(*options, "--plan", out / "pass1", code=3)
    assert told["bounds"]["handled_twice"] <= told["ours"]["handled_twice"] <= told["baseline"]["handled_twice"]
    for number in ("pass1", "pass2"):
        desk.sorter("import", out / number)
        assert desk.json("check")["errors"] == []
    pins.write_text("站点,单独,第一遍格口,第二遍格口\nV999,也许,112,\n", encoding="utf-8")
    refused = desk.sorter(*options, code=3)
    assert "pins.csv row 2, column station (A2)" in refused
    assert "pins.csv row 2, column direct (B2)" in refused


def test_four_eyes(desk: Desk) -> None:
    settings = desk.hub.folder / "site.toml"
    desk.json("publish")
    settings.write_text(settings.read_text(encoding="utf-8").replace("four_eyes = false", "four_eyes = true"))
    lanes = desk.rules / "lanes.csv"
    lanes.write_text(lanes.read_text(encoding="utf-8-sig").replace("示范城区片1", "城区一"), encoding="utf-8")
    proposed = desk.json("publish", "--why", "改名")
    assert (proposed["deed"], proposed["state"]) == ("propose", "proposed")
    assert "另一个人批准" in desk.sorter("approve", str(proposed["number"]), code=3, language="zh")
    assert "there is no version" in desk.sorter("rollback", proposed["version"], code=3)
    site = load(desk.hub.folder)
    with pytest.raises(NotAllowed):
        publishing.approve(site, proposed["number"], Order(proposed["by"], "", lambda: 0))
    act = publishing.approve(site, proposed["number"], Order("second", "看过", lambda: 0))
    assert act.deed == Deed.APPROVE
    assert desk.json("history")["acts"][-1]["state"] == "in_force"
    assert publishing.in_force(site, act.t_ns).wanted.checked.lanes[-9].name == "城区一"


def test_what_is_timed_can_be_cancelled(desk: Desk) -> None:
    desk.json("publish")
    timed = desk.json("publish", "--at", "2099-01-01 06:00")
    assert timed["state"] == "timed"
    daily = desk.json("publish", "--at", "14:00", "--daily", "--why", "下午波次")
    assert daily["daily_min"] == 14 * 60
    assert [act["state"] for act in desk.json("history")["acts"]][1:] == ["to_come", "daily"]
    for number in (timed["number"], daily["number"]):
        assert desk.json("cancel", str(number))["state"] == "cancelled"
    assert {act["state"] for act in desk.json("history")["acts"]} == {"in_force", ""}
    assert "neither waiting" in desk.sorter("cancel", "1", code=3)
    assert desk.sorter("publish", "--daily", code=2)
    assert "has passed" in desk.sorter("publish", "--at", "2020-01-01 06:00", code=2)
    assert "is not a time" in desk.sorter("publish", "--at", "2026-02-30 06:00", code=2)
    assert "is not a time" in desk.sorter("publish", "--at", "25:00", code=2)
