"""site.toml: what is right becomes a Site, what is wrong is told by its key."""

from pathlib import Path

import pytest

from sorter.init import FolderInUse, make_site
from sorter.records import Line
from sorter.site import SiteRefused, load

MINIMUM = """
name = "hub"
[line.L1]
speed_m_s = 2.0
lap_m = 240.0
scanner_to_divert_m = 30.0
"""


def site_of(folder: Path, text: str) -> Path:
    (folder / "site.toml").write_text(text, encoding="utf-8")
    return folder


def test_geometry_becomes_time(tmp_path: Path) -> None:
    site = load(site_of(tmp_path, MINIMUM))
    second = 1_000_000_000
    assert site.lines == {"L1": Line(15 * second, 120 * second, 900 * second, 3)}
    assert site.places_mm == {"L1": range(30_000, 240_000)}, "a loop's end is its beginning"
    assert site.utc_offset_ns == 8 * 3600 * second
    assert site.rules == tmp_path / "rules"


def test_what_the_diverter_needs_is_taken_from_the_time_to_decide(tmp_path: Path) -> None:
    site = load(site_of(tmp_path, MINIMUM + 'kind = "wheel-diverter"\nmax_laps = 0\nreaction_ms = 80.5'))
    assert site.lines["L1"] == Line(14_919_500_000, 120_000_000_000, 900_000_000_000, 0)
    assert site.places_mm == {"L1": range(30_000, 240_001)}, "a straight belt has its last chute at its end"


def test_a_lap_that_leaves_no_place_for_a_chute_is_still_a_site(tmp_path: Path) -> None:
    """Times do not depend on it: a hub that sorts by such a file goes on, and its chutes are told."""
    site = load(site_of(tmp_path, MINIMUM.replace("240.0", "1.0")))
    assert site.lines["L1"].window_ns == 15 * 10**9
    assert not site.places_mm["L1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "hub"', "line"),
        ('name = "hub"\n[line]', "add a section such as [line.L1]"),
        (MINIMUM.replace("lap_m", "lap_metres"), "lap_metres"),
        (MINIMUM.replace("240.0", "0.0"), "[line.L1] lap_m: 0.0 must be above 0"),
        (MINIMUM.replace("240.0", '"240"'), "lap_m"),
        (MINIMUM + "max_laps = 251", "max_laps: 251"),
        (MINIMUM + 'kind = "tilt-tray"', 'kind: "tilt-tray" is none of cross-belt, wheel-diverter'),
        (MINIMUM + 'kind = "wheel-diverter"', "write max_laps = 0"),
        (MINIMUM + "reaction_ms = -1", "reaction_ms: -1.0 must be 0 to 60000"),
        (MINIMUM + "reaction_ms = 15000", "the first divert is reached 15000 ms after the scanner"),
        (MINIMUM + '[wire]\ndevices = "5570"', '[wire] devices: "5570" is not an address'),
        ("utc_offset_h = 30\n" + MINIMUM, "utc_offset_h: 30"),
        (MINIMUM.replace("[line.L1]", f"[line.{'L' * 32}]"), "longer than 31 bytes"),
        ("name = ", "site.toml"),
    ],
)
def test_a_fault_is_told_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SiteRefused) as refused:
        load(site_of(tmp_path, text))
    assert said in str(refused.value)
    assert str(tmp_path / "site.toml") in str(refused.value)


def test_a_missing_site_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SiteRefused, match="sorter init"):
        load(tmp_path)


def test_a_new_site_can_be_loaded(tmp_path: Path) -> None:
    written = make_site(tmp_path / "hub", "/opt/sorter")
    site = load(tmp_path / "hub")
    assert list(site.lines) == ["L1", "L2"]
    unit = (tmp_path / "hub" / "hub-sorter.service").read_text(encoding="utf-8")
    assert "\nExecStart=/opt/sorter run --site /" in unit
    adapter = (tmp_path / "hub" / "plc-adapter.service").read_text(encoding="utf-8")
    assert "\nExecStart=/opt/plc-adapter run --site /" in adapter
    wanted = {"rules.csv", "chutes.csv", "site.toml", "faults.toml", "hub-sorter.service", "plc-adapter.service"}
    assert wanted <= {path.name for path in written}


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(FolderInUse):
        make_site(tmp_path, "sorter")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
