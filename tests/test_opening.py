"""What a hub opens with: a plan whose chutes stand where its lines have them, or a sentence that says what to do."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sorter import publishing, service
from sorter.init import make_site
from sorter.publishing import Order
from sorter.replay import Standing
from sorter.rulebook import Rejected, compile_plan
from sorter.rulebook.cells import metres, metres_text
from sorter.rulebook.crosscheck import misplaced
from sorter.rulebook.published.history import Deed, NotAllowed
from sorter.rulebook.rows import Chute
from sorter.rules_cli import rules
from sorter.site import Site, load
from sorter.timetable import Timetable

NS: Final = 10**9
HOUR_NS: Final = 3600 * NS
NOON_NS: Final = int(datetime(2026, 11, 26, 4, tzinfo=UTC).timestamp()) * NS  # of the model site
CHUTES: Final = 48  # of each of its two lines
MOVED: Final = 8  # of its chutes stand before 130 m
MILLIMETRES: Final = st.integers(0, 99_999_999)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_site(tmp_path / "hub", "sorter")
    return tmp_path / "hub"


def edit(folder: Path, old: str, new: str, name: str = "site.toml", times: int = -1) -> Site:
    """The site with a text changed in one of its files."""
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, times), encoding="utf-8")
    return load(folder)


def at(now_ns: int, why: str = "try") -> Order:
    return Order("tester", why, lambda: now_ns)


def told(rejected: Rejected) -> list[str]:
    return rejected.told("en").splitlines()


@given(MILLIMETRES)
def test_a_place_is_written_as_it_is_read(position_mm: int) -> None:
    assert metres(metres_text(position_mm)) == position_mm


@given(st.lists(st.tuples(st.sampled_from(["L1", "L2", ""]), MILLIMETRES)), MILLIMETRES, MILLIMETRES)
def test_a_chute_is_told_exactly_when_it_stands_elsewhere(places: list[tuple[str, int]], a: int, b: int) -> None:
    first_mm, last_mm = min(a, b), max(a, b)
    chutes = [Chute(row, row, line, at_mm, (), 0, "") for row, (line, at_mm) in enumerate(places, 2)]
    faults = misplaced(chutes, {"L1": range(first_mm, last_mm + 1)})
    wanted = [row.at for row in chutes if row.line == "L1" and not first_mm <= row.position_mm <= last_mm]
    assert [fault.row for fault in faults] == wanted
    assert {fault[0:3:2] for fault in faults} <= {("chutes", "position")}


def test_the_model_site_opens(folder: Path) -> None:
    site = load(folder)
    due = publishing.opening(site, NOON_NS, is_new=True)
    again = publishing.in_force(site, NOON_NS)
    assert (again.wanted.checked, again.turn) == (due.wanted.checked, due.turn)


@pytest.mark.parametrize(
    ("old", "new", "wrong", "first"),
    [
        (
            "lap_m = 240.0",
            "lap_m = 122.5",
            CHUTES,
            "124 m is beyond the end of line L1 (lap_m); write 120 to 122.499, or correct site.toml",
        ),
        (
            "divert_m = 120.0",
            "divert_m = 126",
            2,
            "124 m is before the first divert of line L1 (scanner_to_divert_m = 126)",
        ),
        ("lap_m = 240.0", "lap_m = 119", CHUTES, "line L1 has no place for a chute: scanner_to_divert_m = 120 is not"),
        ("divert_m = 120.0", "divert_m = 124", 0, ""),
    ],
)
def test_a_line_that_is_measured_otherwise_than_its_chutes_does_not_open(
    folder: Path, old: str, new: str, wrong: int, first: str
) -> None:
    site = edit(folder, old, new, times=1)
    if not wrong:
        assert publishing.opening(site, NOON_NS, is_new=True)
        return
    with pytest.raises(Rejected) as refused:
        publishing.opening(site, NOON_NS, is_new=True)
    assert len(told(refused.value)) == wrong
    assert told(refused.value)[0].startswith(f"chutes.csv row 2, column position (C2): {first}")
    assert not site.plans.exists()


def test_the_command_tells_the_row(folder: Path) -> None:
    edit(folder, "110,L1,140", "110,L1,1400", "rules/chutes.csv")
    result = CliRunner().invoke(rules, ["check", "--site", str(folder), "--language", "en"])
    place, message = result.stdout.splitlines()[0].split(": ", 1)
    assert (result.exit_code, place) == (3, "chutes.csv row 11, column position (C11)")
    imported = CliRunner().invoke(rules, ["import", str(folder / "rules"), "--site", str(folder), "--language", "en"])
    assert (imported.exit_code, place in imported.output) == (3, True)
    assert message == "1400 m is beyond the end of line L1 (lap_m); write 120 to 239.999, or correct site.toml"


def rows_told(log: pytest.LogCaptureFixture) -> list[int]:
    """The rows of chutes.csv that the log has named since the last look."""
    rows = [int(row) for row in re.findall(r"^chutes(?:\.csv)? row (\d+), ", log.text, re.MULTILINE)]
    log.clear()
    return rows


def test_a_published_plan_goes_on_and_its_misplaced_chutes_are_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A hub sorted by it until today: what is refused is only what is to sort for the first time."""
    site = load(folder)
    name = publishing.publish(site, at(NOON_NS)).version
    moved = edit(folder, "divert_m = 120.0", "divert_m = 130.0")
    for is_new in (True, False):  # a new ledger folder, and the old one
        due = publishing.opening(moved, NOON_NS, is_new=is_new)
        assert due.wanted.checked.lines == moved.lines
        assert "correct site.toml" in caplog.text
        assert len(rows_told(caplog)) == MOVED
    with pytest.raises(Rejected, match="124 m is before"):
        publishing.publish(moved, at(NOON_NS + NS))
    assert caplog.text == ""
    assert publishing.source(moved, publishing.CURRENT, lambda: NOON_NS).sheets == publishing.stored(site, name).sheets
    assert publishing.zeros_lost(moved, lambda: NOON_NS) == []
    edit(folder, ",L1,124,", ",L1,130,", "rules/chutes.csv")
    for before in (124, 128):
        edit(folder, f",L2,{before},", ",L2,130,", "rules/chutes.csv")
    edit(folder, ",L1,128,", ",L1,130,", "rules/chutes.csv")
    publishing.publish(moved, at(NOON_NS + NS))
    assert compile_plan(publishing.in_force(moved, NOON_NS + NS).wanted.checked, None)
    assert rows_told(caplog) == []
    assert publishing.rollback(moved, at(NOON_NS + 2 * NS), name[:12]).version == name
    assert len(rows_told(caplog)) == MOVED


def test_a_restart_sorts_by_the_figures_of_today_though_a_chute_is_misplaced(folder: Path) -> None:
    site = load(folder)
    before, _ = service._plan_for(site, Standing(), NOON_NS)
    standing = Standing()
    standing.take_plan(1, before)
    edit(folder, "speed_m_s = 2.0", "speed_m_s = 2.5")
    faster = edit(folder, "divert_m = 120.0", "divert_m = 130.0")
    for known in (standing, Standing()):
        plan, turn = service._plan_for(faster, known, NOON_NS + NS)
        assert plan.plan.lines["window_ns"].tolist()[:2] == [line.window_ns for line in faster.lines.values()]
        assert turn.from_ns == NOON_NS
    assert plan.plan.lines["window_ns"].tolist() != before.plan.lines["window_ns"].tolist()


def test_a_plan_to_come_that_cannot_be_read_holds_nothing_up(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = publishing.publish(load(folder), at(NOON_NS)).version
    edit(folder, ",240,", ",230,", "rules/chutes.csv")
    coming = publishing.publish(load(folder), at(NOON_NS)._replace(at_ns=NOON_NS + 30 * NS))
    settings = folder / "site.toml"
    one_line = re.sub(r"(?ms)^\[line\.L2\].*?(?=^\[)", "", settings.read_text(encoding="utf-8"))
    settings.write_text(one_line, encoding="utf-8")
    timetable = Timetable(load(folder))
    for _ in range(3):
        force = timetable._force(NOON_NS + NS)
        assert force
        assert force.version == name
    assert caplog.text.count(f"plan {coming.version[:12]}, which is the next to take force, cannot be used") == 1


def test_a_line_as_fast_and_long_by_time_is_held_against_its_metres(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Twice the speed and twice the way are the same times, and other places."""
    before = load(folder)
    publishing.publish(before, at(NOON_NS))
    edit(folder, "speed_m_s = 2.0", "speed_m_s = 4.0")
    edit(folder, "lap_m = 240.0", "lap_m = 480.0")
    twice = edit(folder, "divert_m = 120.0", "divert_m = 240.0")
    assert twice.lines == before.lines
    publishing.in_force(twice, NOON_NS)
    assert "124 m is before the first divert" in caplog.text


def test_a_clock_before_the_first_plan_is_told_both_times(folder: Path) -> None:
    site = load(folder)
    publishing.opening(site, NOON_NS, is_new=True)
    with pytest.raises(NotAllowed) as refused:
        publishing.opening(site, NOON_NS - 24 * HOUR_NS, is_new=True)
    assert refused.value.said.told("en") == (
        "the first plan takes force 2026-11-26 12:00:00, and this clock says 2026-11-25 12:00:00; "
        "for a trial on another day make a site of its own: sorter init FOLDER"
    )
    assert "第一个方案 2026-11-26 12:00:00 才启用" in refused.value.said.told("zh")


def test_without_a_plan_the_next_step_is_told(folder: Path) -> None:
    site = edit(folder, "four_eyes = false", "four_eyes = true")
    with pytest.raises(NotAllowed, match="run sorter rules publish first"):
        publishing.in_force(site, NOON_NS)
    act = publishing.publish(site, at(NOON_NS))
    moved = edit(folder, "divert_m = 120.0", "divert_m = 130.0")
    with pytest.raises(Rejected, match="124 m is before"):
        publishing.approve(moved, act.number, at(NOON_NS)._replace(by="another"))
    assert act.deed == Deed.PROPOSE
    with pytest.raises(NotAllowed, match="run sorter rules approve 1 first"):
        publishing.in_force(site, NOON_NS)
