"""What the commands that try tables make of a ledger: its parcels, what is refused, what was decided then."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from sorter import rulebook, trial_cli
from sorter.init import make_site
from sorter.ledger.journal import Journal
from sorter.ledger.projection import Projection
from sorter.reasons import Declined, Reason
from sorter.records import NONE_16, Kind, RecordedAdvice, RecordedParcel, SortPlan, waybill_key
from sorter.rulebook import Checked
from sorter.rulebook.trial import recorded
from sorter.rulebook.trial.diff import traffic_diff
from sorter.rulebook.trial.explain import explain
from sorter.site import Site
from tests.ledger.plant import Plant
from tests.rulebook.small_site import LINES, OFFSET_NS, Table, changed, copy_of_small, write

WAYBILL = "YT0000000000001"
LABEL = "531-A03-12"
DAY = "2025-11-10"  # on which a plant begins
ADVICE = RecordedAdvice("YTO", "V001", "standard", "inbound", cancelled=False)
PARCEL = RecordedParcel(1_762_729_200 * 10**9, "L1", (WAYBILL,), 0, 0, ADVICE, intercepted=False)


def checked_of(folder: Path, tables: dict[str, Table]) -> Checked:
    folder.mkdir()
    return rulebook.check_folder(write(folder, tables), LINES, OFFSET_NS)


@pytest.fixture(name="small")
def small_tables(tmp_path: Path) -> Checked:
    return checked_of(tmp_path / "small", copy_of_small())


def site_of(folder: Path) -> Site:
    return cast("Site", SimpleNamespace(ledger=folder))


def ledger(folder: Path, sort_plan: SortPlan, *scans: tuple[str, ...], weight_g: int = 0) -> Site:
    """A ledger of items for V001, each read once with these codes, the first of which is a waybill."""
    plant = Plant(1)
    names = sort_plan.names
    with Journal.open(folder) as journal:
        plant.begin(journal, sort_plan)
        for number, codes in enumerate(scans, start=1):
            item = plant._open_item(0, number)
            read = plant._codes(*(code.encode() for code in codes))
            plant._event(Kind.SCAN, line=0, item=number, weight_g=weight_g, **read)
            hi, lo = waybill_key(codes[0])
            known = {"waybill_hi": hi, "waybill_lo": lo, "station": names.stations.index("V001")}
            known |= {"carrier": names.carriers.index("YTO"), "service": 0, "flow": 0, "row": 20}
            plant._tell(item, Reason.PLANNED, names.chutes.index(101), NONE_16, known)
        plant.flush(journal)
        journal.sync()
    with Projection(folder) as projection:
        projection.catch_up()
    return site_of(folder)


# ---- which parcels ------------------------------------------------------------------


def told(caught: pytest.ExceptionInfo[Declined]) -> tuple[str, str]:
    return caught.value.said.told("en"), caught.value.said.told("zh")


def test_a_ledger_without_parcels_is_refused(tmp_path: Path, small: Checked) -> None:
    site = ledger(tmp_path, rulebook.compile_plan(small, None))
    with pytest.raises(Declined) as caught:
        trial_cli.day_of(site, "")
    assert told(caught)[0] == "the ledger holds no parcel yet; name a parcels.ndjson by --traffic"


def test_a_day_without_parcels_names_the_days_there_are(tmp_path: Path, small: Checked) -> None:
    site = ledger(tmp_path, rulebook.compile_plan(small, None), (WAYBILL,))
    assert trial_cli.day_of(site, "").items == trial_cli.day_of(site, DAY).items == 1
    with pytest.raises(Declined) as caught:
        trial_cli.day_of(site, "2025-11-11")
    assert told(caught) == (
        f"the ledger holds no parcel of 2025-11-11; the days it has: {DAY}",
        f"账本里 2025-11-11 没有包裹；有包裹的日子：{DAY}",
    )
    with pytest.raises(Declined, match="is neither a day nor a file"):
        trial_cli.day_of(site, "yesterday.ndjson")


def test_a_file_of_another_site_is_refused(tmp_path: Path, small: Checked) -> None:
    sort_plan, path = rulebook.compile_plan(small, None), tmp_path / "parcels.ndjson"
    recorded.write(path, [PARCEL._replace(line="L8"), PARCEL._replace(line="L9")])
    with pytest.raises(Declined) as caught:
        trial_cli.traffic_of(site_of(tmp_path), str(path), [sort_plan, sort_plan])
    assert "the tables know none of the lines of these parcels (L8, L9)" in told(caught)[0]
    assert "这些包裹的分拣线（L8, L9）规则表里都没有" in told(caught)[1]
    recorded.write(path, [PARCEL._replace(line="L8"), PARCEL])
    assert trial_cli.traffic_of(site_of(tmp_path), str(path), [sort_plan, sort_plan]).items == 2


@pytest.mark.parametrize(
    ("named", "bare", "moved"),
    [
        (("V001", "V001"), True, 0),
        (("V001", "V002"), True, 1),
        (("V002", "V001"), True, 1),
        (("V002", "V002"), False, 0),
    ],
)
def test_a_station_that_the_label_names_by_either_plan_is_no_advice(
    tmp_path: Path, small: Checked, named: tuple[str, str], bare: bool, moved: int
) -> None:
    """It was decided by one of the two: what that one read off the label, the other is to read anew."""
    plans: list[SortPlan] = []
    for name, station in zip(("old", "new"), named, strict=True):
        checked = checked_of(tmp_path / name, changed("sort_codes", 2, "station", station))
        plans.append(rulebook.compile_plan(checked, plans[0].names if plans else None))
    site = ledger(tmp_path / "ledger", rulebook.compile_plan(small, None), (WAYBILL, LABEL))
    found = trial_cli.traffic_of(site, "", plans)
    assert (found.station[0] == NONE_16) == bare
    assert traffic_diff(plans[0], plans[1], found).moved == moved


# ---- two plans of different names ------------------------------------------------------


def with_more() -> dict[str, Table]:
    """The small site with a lane, its chute, a station and a service that it does not have."""
    tables = copy_of_small()
    tables["lanes"].insert(1, ["BOAT", "船", "bus", ""])
    tables["chutes"].insert(1, ["90", "L1", "30", "BOAT", ""])
    tables["stations"].insert(1, ["B001", "码头", "village", "", "BOAT"])
    tables["rules"].insert(1, ["5", "", "V002", "", "overnight", "", "", "", "", "", "BOAT", ""])
    return tables


@pytest.mark.parametrize("is_new", [True, False])
def test_what_one_plan_alone_knows_is_known_in_both(tmp_path: Path, is_new: bool) -> None:
    """Parcels for a station, a service, a lane that one of the plans lacks, compared there and back."""
    hub = tmp_path / "hub"
    make_site(hub, "sorter")
    for name, tables in (("less", copy_of_small()), ("more", with_more())):
        (tmp_path / name).mkdir()
        write(tmp_path / name, tables)
    path = tmp_path / "parcels.ndjson"
    stations = ("B001", "B001", "V001", "V002")
    parcels = [PARCEL._replace(advice=ADVICE._replace(station=station)) for station in stations]
    overnight = ADVICE._replace(station="V002", service="overnight")
    recorded.write(path, [*parcels, PARCEL._replace(advice=overnight)])
    order = ("less", "more") if is_new else ("more", "less")
    asked = [*(str(tmp_path / name) for name in order), "--traffic", str(path), "--site", str(hub), "--json"]
    done = CliRunner().invoke(trial_cli.diff, asked, catch_exceptions=False)
    moves = json.loads(done.stdout)

    def pair(less: int, more: int) -> list[int]:
        return [less, more] if is_new else [more, less]

    assert (moves["items"], moves["moved"]) == (5, 3)
    assert (moves["strange_stations"], moves["strange_lines"]) == (0, 0)
    assert moves["by_lane"] == {"BUS": [1, 1], "TRUCK": pair(2, 1), "BOAT": pair(0, 3), "OUT": pair(2, 0)}
    assert moves["by_reason"] == {"planned": pair(3, 5), "no_rule": pair(2, 0)}
    assert moves["by_chute"]["90"] == pair(0, 3)
    assert {row["table"]: row["kind"] for row in moves["rows"]} == dict.fromkeys(
        ("lanes", "chutes", "stations", "rules"), "added" if is_new else "removed"
    )


# ---- what was decided then --------------------------------------------------------------


def happened_of(site: Site, checked: Checked, **changes: Any) -> list[tuple[str, str]]:
    """What explain adds of a parcel of the ledger, in both languages; `changes` are to what was decided."""
    question, happened = trial_cli.asked_of_ledger(site, WAYBILL.lower(), checked)
    said = list(trial_cli.what_happened(explain(checked, question), happened | changes))
    return [(each.told("en"), each.told("zh")) for each in said]


def test_explain_says_what_was_decided_and_when_that_differs(tmp_path: Path, small: Checked) -> None:
    sort_plan = rulebook.compile_plan(small, None)
    site = ledger(tmp_path / "ledger", sort_plan, (WAYBILL, LABEL))
    same = {"row": None}  # V001 goes by its own lane, to 101
    version = sort_plan.version[:12]
    ((english, chinese),) = happened_of(site, small, **same)
    assert english == f"the ledger says what was decided: sorted as planned, rule -, chute 101 (plan {version})"
    assert chinese == f"账本里当时的决定：按分拣方案落格，规则 -，格口 101（方案 {version}）"
    for other in ({"row": 20}, {"chute": 102}, {"chute": None}, {"reason": "spilled"}):
        (first, _), (second, zh) = happened_of(site, small, **{**same, **other})
        assert first.startswith("the ledger says what was decided: ")
        assert second.startswith("that differs from the explanation above.")
        assert zh.startswith("与上面的解释不同。")
    assert "chute - (plan" in happened_of(site, small, chute=None)[0][0]


def test_a_parcel_of_the_ledger_is_asked_as_it_was(tmp_path: Path, small: Checked) -> None:
    other = "YT0000000000002"
    site = ledger(tmp_path / "ledger", rulebook.compile_plan(small, None), (WAYBILL, LABEL), (other,), weight_g=31_000)
    named, advised = (trial_cli.asked_of_ledger(site, waybill, small)[0] for waybill in (WAYBILL, other))
    assert (named.station, named.codes) == ("", (WAYBILL, LABEL))
    assert (advised.station, advised.carrier) == ("V001", "YTO")
    assert named.weight_g == advised.weight_g == 31_000
    assert explain(small, advised).reason == Reason.OVERWEIGHT
    with pytest.raises(Declined) as caught:
        trial_cli.asked_of_ledger(site, "YT9", small)
    assert told(caught)[0] == "waybill YT9 is not in the ledger"
