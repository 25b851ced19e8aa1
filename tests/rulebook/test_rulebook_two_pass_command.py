"""`sorter rules two-pass` as staff run it: which parcels it counts, what it refuses, and what it warns of."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result

from sorter.ledger.journal import Journal
from sorter.ledger.projection import Projection
from sorter.reasons import Language
from sorter.records import RecordedAdvice, RecordedParcel
from sorter.rulebook.trial import recorded
from sorter.rules_cli import rules
from sorter.terminal import FAILURE, REFUSED
from tests.ledger.plant import HOUR_NS, MINUTE_NS, MONDAY, Plant
from tests.rulebook.small_site import Table, copy_of_small, write

DAY_NS: Final = 24 * HOUR_NS
BELT: Final = "speed_m_s = 2.0\nlap_m = 240.0\nscanner_to_divert_m = 120.0\n"
SETTINGS: Final = f'name = "small"\n[line.L1]\n{BELT}[line.L2]\n{BELT}'


def village_tables() -> dict[str, Table]:
    """The small site with four villages, so that three chutes are too few for all of them."""
    tables = copy_of_small()
    tables["stations"] += [[f"V00{at}", f"村{at}", "village", "双龙镇", "BUS"] for at in (3, 4)]
    return tables


class Desk:
    """A site, a day's parcels, and the command beside them."""

    def __init__(self, folder: Path, tables: Mapping[str, Table]) -> None:
        self.folder = folder
        self.out = folder / "waves"
        self.traffic = folder / "parcels.ndjson"
        (folder / "site.toml").write_text(SETTINGS, encoding="utf-8")
        (folder / "rules").mkdir()
        write(folder / "rules", tables)

    def two_pass(self, *more: str | Path, code: int = 0, language: Language = "en") -> Result:
        """What the command does; the traffic is the file, unless `more` says otherwise."""
        given = ["--site", self.folder, "--line", "L1", "--traffic", self.traffic, "--language", language, *more]
        result = CliRunner().invoke(rules, ["two-pass", *map(str, [self.out, *given])])
        assert result.exit_code == code, result.output
        return result

    def answer(self, *more: str | Path) -> Any:
        return json.loads(self.two_pass(*more, "--json").stdout)

    def refused(self, *more: str | Path, language: Language = "en") -> str:
        """What is told; nothing is written then."""
        result = self.two_pass(*more, code=REFUSED, language=language)
        assert not self.out.exists()
        assert not result.stdout
        return result.stderr


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, village_tables())


def parcel(
    station: str, t_ns: int, *, line: str = "L1", weight_g: int = 800, codes: Sequence[str] = ("YT0000000000001",)
) -> RecordedParcel:
    advice = RecordedAdvice("YTO", station, "standard", "inbound", cancelled=False)
    return RecordedParcel(t_ns, line, tuple(codes), weight_g, 300, advice, intercepted=False)


def test_the_parcels_of_a_day_add_up_by_local_hour(desk: Desk) -> None:
    """The local day begins in the evening of the day before by UTC; what is not meant for a village does not count."""
    times = {"V001": [0, 5], "V002": [8 * 60, 8 * 60 + 59, 9 * 60], "V003": [23 * 60 + 59], "V004": []}
    counted = [parcel(name, MONDAY + minute * MINUTE_NS) for name, found in times.items() for minute in found]
    others = [
        parcel("V001", MONDAY, line="L2"),
        parcel("V001", MONDAY, weight_g=30_001),
        parcel("V001", MONDAY, codes=[]),
        parcel("C01", MONDAY),
        parcel("V999", MONDAY),
    ]
    recorded.write(desk.traffic, [*counted, *others])
    told = desk.answer()
    assert (told["direct"], told["groups"]) == ({"V001": 101, "V002": 102}, {"103": ["V003", "V004"]})
    by_hour = {chute: {at: n for at, n in enumerate(load) if n} for chute, load in told["first_items"].items()}
    assert by_hour == {"101": {0: 2}, "102": {8: 2, 9: 1}, "103": {23: 1}}
    assert sum(told["second_items"].values()) == told["ours"]["handled_twice"] == 1
    assert "handled twice: 1 of 6 parcels" in desk.two_pass().stdout


def test_parcels_of_several_days_are_refused(desk: Desk) -> None:
    """A day is the site's own: its last minute is of it, the next is not, though by UTC both are of one day."""
    recorded.write(desk.traffic, [parcel("V001", MONDAY), parcel("V002", MONDAY + DAY_NS - 1)])
    assert desk.answer()["ours"]["handled_twice"] == 0
    desk.out.rename(desk.folder / "done")
    recorded.write(desk.traffic, [parcel("V001", MONDAY + at * DAY_NS) for at in (0, 1, 6, 1)])
    assert "these parcels are of 3 days" in desk.refused()
    assert "这些包裹是 3 天的" in desk.refused(language="zh")
    recorded.write(desk.traffic, [parcel("V001", MONDAY + DAY_NS - 1), parcel("V002", MONDAY + DAY_NS)])
    assert "these parcels are of 2 days" in desk.refused()


def test_a_file_without_parcels_is_refused(desk: Desk) -> None:
    for text in ("", "\n\n"):
        desk.traffic.write_text(text, encoding="utf-8")
        assert "parcels.ndjson: it holds no parcel; write one JSON object a line" in desk.refused()
        assert "parcels.ndjson：文件里没有包裹" in desk.refused(language="zh")


def test_parcels_of_another_site_are_refused(desk: Desk) -> None:
    recorded.write(desk.traffic, [parcel("V001", MONDAY, line="北线")])
    assert "the tables know none of the lines of these parcels (北线)" in desk.refused()


def test_without_a_parcel_for_these_stations_there_is_nothing_to_plan_by(desk: Desk) -> None:
    recorded.write(desk.traffic, [parcel("C01", MONDAY), parcel("V001", MONDAY, line="L2")])
    assert "none of the parcels on line L1 is for one of these stations" in desk.refused()
    assert "记录里没有分拣线 L1 上发往这些站点的包裹" in desk.refused(language="zh")


def test_a_ledger_without_the_day_says_which_it_has(desk: Desk) -> None:
    assert "ledger.db is not there" in desk.two_pass("--traffic", "2025-11-10", code=FAILURE).stderr
    ledger = desk.folder / "ledger"
    ledger.mkdir()
    plant = Plant(1)
    with Journal.open(ledger, segment_bytes=1 << 20) as journal:
        plant.begin(journal)
        project(ledger)
        assert "the ledger holds no parcel yet" in desk.refused("--traffic", "")
        plant.drop()
        plant.flush(journal)
    project(ledger)
    assert "the ledger holds no parcel of 2025-11-11; the days it has: 2025-11-10" in desk.refused(
        "--traffic", "2025-11-11"
    )
    assert "账本里 2025-11-11 没有包裹；有包裹的日子：2025-11-10" in desk.refused(
        "--traffic", "2025-11-11", language="zh"
    )
    assert "昨天 is neither a day nor a file" in desk.refused("--traffic", "昨天")


def project(ledger: Path) -> None:
    with Projection(ledger) as projection:
        projection.catch_up()


def test_rules_that_would_reject_more_are_left_out_and_told(tmp_path: Path) -> None:
    """Rule 20 sorts villages: what rejects above it stays in both passes, what rejects below it does not."""
    tables = village_tables()
    tables["rules"] += [["50", "", "", "", "", "", ">9000", "", "", "", "reject:overweight", ""]]
    tables["rules"] += [["60", "", "", "", "cold", *[""] * 5, "reject:no_rule", ""]]
    desk = Desk(tmp_path, tables)
    recorded.write(desk.traffic, [parcel("V001", MONDAY + at) for at in range(3)])
    assert desk.answer()["rules_left_out"] == [50, 60]
    assert "look out: rules 50, 60 reject, but stand below rules that sort these stations" in desk.two_pass().stdout
    assert "注意：规则 50, 60 拒收" in desk.two_pass(language="zh").stdout
    for number in ("pass1", "pass2"):
        with (desk.out / number / "rules.csv").open(encoding="utf-8-sig", newline="") as file:
            assert [row["row"] for row in csv.DictReader(file)] == ["10"]


def test_where_no_rule_is_left_out_nothing_is_told_of_rules(desk: Desk) -> None:
    recorded.write(desk.traffic, [parcel("V001", MONDAY)])
    assert desk.answer()["rules_left_out"] == []
    assert "look out: rules" not in desk.two_pass().stdout
