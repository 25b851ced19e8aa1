"""A line is a loop or a straight belt; one that cannot be is refused with what to write."""

import shutil
from pathlib import Path

import pytest

from plc_adapter.emulator import site as sites
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
