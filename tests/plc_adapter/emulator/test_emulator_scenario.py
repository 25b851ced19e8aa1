"""A scenario is checked whole before anything starts: what is wrong is told at once, with its place."""

import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from plc_adapter.emulator import cli, faults, scenario
from plc_adapter.emulator import site as sites
from plc_adapter.emulator.faults import KINDS
from plc_adapter.emulator.scenario import Event, Scenario, ScenarioRefused, Shares
from plc_adapter.emulator.site import Site
from sorter.init import make_site

WUSHAN = Path(__file__).parents[3] / "rules" / "faults.toml"


def written(folder: Path, text: str) -> Path:
    path = folder / "faults.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, site: Site) -> list[str]:
    with pytest.raises(ScenarioRefused) as refused:
        scenario.load(written(folder, text), site)
    first, *found, last = str(refused.value).splitlines()
    assert (first, last) == (f"{folder / 'faults.toml'} cannot be played:", scenario.SEE)
    return found


def test_everything_wrong_is_told_at_once_with_its_place(county: Site, tmp_path: Path) -> None:
    text = """other = 1
[[event]]
at = "04:59"
line = "L1"
what = "jam"
chute = 217
[[event]]
at = "6"
line = "L9"
what = "explode"
[[event]]
at = "21:00"
line = "L1"
what = "slow"
ms = "late"
real_s = nan
foo = 1
[[event]]
[line.L7]
[line.L2]
double_share = 1.5
missed = 0
"""
    assert refusal(tmp_path, text, county) == [
        "other: there is no such section; write [[event]] and [line.L1]",
        "line 2, event 1, at: 04:59 is not in the day, which is 05:00 to before 21:00",
        "line 2, event 1 (jam), for_s: it is missing; write site seconds above 0, at most 57600",
        "line 2, event 1, chute: line L1 has no chute 217; write one of chutes.csv",
        'line 7, event 2, at: "6" is none; write the site\'s time of day, such as "06:10"',
        'line 7, event 2, line: "L9" is none; write one of L1, L2',
        f'line 7, event 2, what: "explode" is none; write one of {", ".join(KINDS)}',
        "line 11, event 3, at: 21:00 is not in the day, which is 05:00 to before 21:00",
        "line 11, event 3 (slow), foo: there is no such key; it has ms, real_s",
        'line 11, event 3 (slow), ms: "late" is none; write milliseconds above 0, at most 10000',
        "line 11, event 3 (slow), real_s: nan is none; write real seconds above 0, at most 600",
        'line 18, event 4, at: it is missing; write the site\'s time of day, such as "06:10"',
        "line 18, event 4, line: it is missing; write one of L1, L2",
        f"line 18, event 4, what: it is missing; write one of {', '.join(KINDS)}",
        '[line.L7]: "L7" is none; write one of L1, L2',
        "[line.L2], missed: there is no such key; it has double_share, mirrored_share, unread_share",
        "[line.L2], double_share: 1.5 is none; write a share of parcels from 0 to 1",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('event = 1\nline = "L1"', "event and line: write [[event]] above each event"),
        ("event = [1]", "event 1: this is no table"),
        (
            'event = [{at = "06:00", line = ["L1"], what = "jam", chute = 105, for_s = 5}]',
            "event 1, line: ['L1'] is none; write one of L1, L2",
        ),
        ("[line]\nL1 = 2", "[line.L1]: this is no table"),
        ('event = [{at = "06:00", line = "L1", what = "restart", chute = 101}]', "chute: there is no such key; it has"),
    ],
)
def test_a_file_of_another_shape_is_refused_in_words(text: str, told: str, county: Site, tmp_path: Path) -> None:
    (found,) = refusal(tmp_path, text, county)
    assert told in found


def test_what_is_no_toml_says_where(county: Site, tmp_path: Path) -> None:
    with pytest.raises(ScenarioRefused, match=r"is no TOML file: .* line 2"):
        scenario.load(written(tmp_path, "[[event]]\nat = 06:\n"), county)


VALUES = st.recursive(
    st.sampled_from(["06:00", "L1", "jam", "cut"]) | st.integers(-1, 400) | st.floats(width=16) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["at", "line", "what"]), inner),
)
KEYS = st.sampled_from(["at", "line", "what", "chute", "for_s", "real_s", "count", "share", "ms"])
JAM = {"at": "06:00", "line": "L1", "what": "jam", "chute": 105, "for_s": 5}


@given(good=st.sampled_from([{}, JAM]), event=st.dictionaries(KEYS, VALUES), section=VALUES)
def test_whatever_is_written_is_played_or_refused_in_words(
    good: dict[str, Any], event: dict[str, Any], section: Any
) -> None:
    file = {"event": [good | event], "line": {"L1": section}}
    reading = scenario._Reading(COUNTY)
    reading.scenario(file, ["event 1"])
    assert all(isinstance(words, str) for words in reading.refusals)


COUNTY = sites.load(Path(__file__).parent / "county")


def test_events_come_in_the_order_of_the_day(county: Site, tmp_path: Path) -> None:
    text = """
[[event]]
at = 07:00:30       # as TOML writes times
line = "L2"
what = "restart"
[[event]]
at = "06:10"
line = "L1"
what = "jam"
chute = 105
for_s = 300
[[event]]
at = "07:00:30"
line = "L1"
what = "cut"
real_s = 2.5
[line.L2]
unread_share = 0.25
"""
    assert scenario.load(written(tmp_path, text), county) == Scenario(
        (
            Event(22_200, "L1", "jam", faults.Jam(chute=105, for_s=300)),
            Event(25_230, "L2", "restart", faults.Restart()),
            Event(25_230, "L1", "cut", faults.Cut(real_s=2.5)),
        ),
        {"L2": Shares(unread_share=0.25)},
    )


def test_the_format_is_told_where_it_is_read() -> None:
    assert scenario.__doc__ is not None
    keys = r"(?:(?:chute|count|for_s|ms|real_s|share)\b ?)*"
    rows = re.findall(rf"^([a-z_]+) +({keys}) {{2,}}\S", scenario.__doc__, re.MULTILINE)
    assert {what: keys.split() for what, keys in rows if what != "what"} == {
        what: [field.name for field in fields(kind)] for what, kind in KINDS.items()
    }
    assert all(f"{field.name}" in scenario.__doc__ for field in fields(Shares))


def test_the_day_of_faults_that_is_shipped_has_every_kind_and_can_be_played(tmp_path: Path) -> None:
    make_site(tmp_path / "wushan", "sorter")
    played = scenario.load(WUSHAN, sites.load(tmp_path / "wushan"))
    assert {event.what for event in played.events} == KINDS.keys()
    assert all(str(event.fault) != repr(event.fault) for event in played.events)  # each says what happens in words
    assert {event.line for event in played.events} == {"L1", "L2"}
    assert len(played.events) >= 30


def test_a_scenario_that_cannot_be_played_starts_nothing(county_folder: Path, tmp_path: Path) -> None:
    path = written(tmp_path, '[[event]]\nat = "06:00"\nline = "L1"\nwhat = "jam"\nchute = 1\nfor_s = 5\n')
    result = CliRunner().invoke(
        cli.emulate, ["--site", str(county_folder), "--out", str(tmp_path / "out"), "--scenario", str(path)]
    )
    assert result.exit_code == cli.REFUSED
    assert "line 1, event 1, chute: line L1 has no chute 1" in result.output
    assert not (tmp_path / "out").exists()
