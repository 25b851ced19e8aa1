"""A line is a loop or a straight belt, its reader where site.toml says; one that cannot be is refused."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plc_adapter.emulator import site as sites
from plc_adapter.emulator.plant import NS_PER_S, Belt, Chute, Entered, Load, Plant
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.settings import SettingsRefused

STRAIGHT = '[line.L2]\nkind = "wheel-diverter"\nmax_laps = 0\n'


@pytest.fixture
def folder(county_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(county_folder, tmp_path / "site"))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8-sig")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8-sig" if path.suffix == ".csv" else "utf-8")


def refusal(folder: Path) -> str:
    with pytest.raises(SettingsRefused) as refused:
        sites.load(folder)
    return str(refused.value)


def test_a_line_is_a_loop_where_nothing_is_said(folder: Path) -> None:
    site = sites.load(folder)
    assert {belt.kind for belt in site.belts.values()} == {"cross-belt"}
    assert site.max_laps == {"L1": 3, "L2": 3}


def test_a_straight_belt_ends_in_its_chute_for_max_laps(folder: Path) -> None:
    edit(folder / "site.toml", "[line.L2]\n", STRAIGHT)
    site = sites.load(folder)
    assert (site.belts["L1"].kind, site.belts["L1"].end_chute) == ("cross-belt", 0)
    assert (site.belts["L2"].kind, site.belts["L2"].end_chute) == ("wheel-diverter", 218)
    assert site.max_laps["L2"] == 0


@pytest.mark.parametrize("row", ["", "max_laps,L1,218\n", "max_laps,L2,119\n", "!max_laps,L2,218\n"])
def test_a_straight_belt_without_an_end_is_refused(folder: Path, row: str) -> None:
    edit(folder / "site.toml", "[line.L2]\n", STRAIGHT)
    edit(folder / "rules" / "exceptions.csv", "max_laps,L2,218\n", row)
    words = refusal(folder)
    assert "site.toml: [line.L2] kind: a wheel-diverter line's belt ends in its chute for max_laps" in words
    assert words.endswith("add the row max_laps,L2,CHUTE")


def test_the_last_row_says_where_it_ends(folder: Path) -> None:
    edit(folder / "site.toml", "[line.L2]\n", STRAIGHT)
    edit(folder / "rules" / "exceptions.csv", "max_laps,L2,218\n", "max_laps,L2,218\nmax_laps|no_rule,,217\n")
    assert sites.load(folder).belts["L2"].end_chute == 217


def test_everything_wrong_with_the_lines_is_told_at_once(folder: Path) -> None:
    edit(folder / "site.toml", "[line.L1]\n", '[line.L1]\nkind = "carousel"\n')
    edit(folder / "site.toml", "[line.L2]\n", '[line.L2]\nkind = "wheel-diverter"\n')
    first, second = refusal(folder).splitlines()
    assert first.endswith('[line.L1] kind: "carousel" is no kind of line; write "cross-belt" or "wheel-diverter"')
    assert second.endswith("max_laps: nothing goes round on a wheel-diverter line; write 0 instead of 3")


READER = """
[scanner.top]
line = "L2"
host = "127.0.0.1"
port = 15022

[tracking.L2]
travel_ms = 900
"""


def read_by(folder: Path, tracking: str = "", kind: str = "") -> sites.Site:
    """The site where L2 has a reader, which its L1 has not."""
    with (folder / "site.toml").open("a", encoding="utf-8") as file:
        file.write(READER + tracking)
    edit(folder / "site.toml", "[line.L2]\n", kind or "[line.L2]\n")
    return sites.load(folder)


def leads_ns(belt: Belt, chutes: list[Chute]) -> Iterator[int]:
    """How long after the PLC counted each of some parcels it is read."""
    plant = Plant(belt, chutes, Load([at * 3 * NS_PER_S // 2 for at in range(20)], [1] * 20), seed=1)
    plant.advance(100 * NS_PER_S)
    entered_ns = {told.item: told.t_ns for told in plant.plc if isinstance(told, Entered)}
    yield from (scan.t_ns - entered_ns[scan.item] for scan in plant.scans if not scan.lap)


@pytest.mark.parametrize("kind", ["", STRAIGHT], ids=["loop", "straight"])
def test_an_item_is_read_travel_ms_after_the_plc_counted_it(folder: Path, kind: str) -> None:
    site = read_by(folder, kind=kind)
    assert set(leads_ns(site.belts["L2"], site.chutes_of("L2"))) == {900_000_000}
    assert set(leads_ns(site.belts["L1"], site.chutes_of("L1"))) == {10 * NS_PER_S}  # nobody said where it is


@given(travel_ms=st.floats(0, 119_000), delay_ms=st.floats(0, 900), speed_m_s=st.floats(0.1, 4))
def test_the_way_to_the_reader_takes_travel_ms_and_delay_ms(
    travel_ms: float, delay_ms: float, speed_m_s: float
) -> None:
    tracking = Tracking(travel_ms=travel_ms, delay_ms=delay_ms)
    shape = sites._Belt(speed_m_s=speed_m_s, lap_m=120 * speed_m_s, scanner_to_divert_m=1)
    belt = sites._belt("L2", shape, 0, tracking)
    assert not list(sites._reading_faults(shape, tracking))
    for lead_ns in leads_ns(belt, []):
        assert abs(lead_ns - tracking.travel_ns - tracking.delay_ns) <= 1


def test_a_reader_more_than_a_lap_away_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsRefused) as refused:
        read_by(folder, "delay_ms = 119100\n")
    words = (
        "[tracking.L2] travel_ms: with delay_ms it puts the reader 240 m behind the PLC's sensor, and a lap is 240 m;"
    )
    assert words in str(refused.value)


def test_a_straight_belt_has_no_lap_to_be_within(folder: Path) -> None:
    assert read_by(folder, "delay_ms = 119100\n", STRAIGHT).belts["L2"].induct_to_scanner_m == pytest.approx(240)
