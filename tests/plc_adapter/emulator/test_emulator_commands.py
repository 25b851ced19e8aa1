"""What the emulator's commands say and write; whatever they cannot do they refuse before they start."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from plc_adapter.emulator import cli, emulate, readers, traffic
from plc_adapter.emulator.plant import NS_PER_S
from plc_adapter.emulator.site import Site
from plc_adapter.scanner.pairing import Tracking
from sorter.clock import Clock
from tests.system.hubs import free_port


def emulated(county_folder: Path, out: Path, *more: str) -> Any:
    return CliRunner().invoke(cli.emulate, ["--site", str(county_folder), "--out", str(out), *more])


def test_there_is_one_clock(county_folder: Path, tmp_path: Path) -> None:
    clock = "2026-11-11T05:00:00+08:00,640,1794344400000000000"
    result = emulated(county_folder, tmp_path / "out", "--speed", "20", "--clock", clock)
    assert (result.exit_code, "either --speed or --clock" in result.output) == (2, True)


READERS = """
[scanner.top]
line = "L1"
host = "127.0.0.1"
port = 15022

[scanner.side]
line = "L2"
host = "127.0.0.1"
port = 15023

[tracking.L1]
travel_ms = 900
window_ms = 50

[tracking.L2]
travel_ms = 900
window_ms = 500
"""


@pytest.mark.parametrize("how", [("--speed", "60"), ("--clock", "2026-11-11T05:00:00+08:00,60,1794344400000000000")])
def test_a_speed_that_leaves_readers_no_time_is_refused_with_one_that_does(
    how: tuple[str, str], county_folder: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(county_folder, site)
    text = (site / "site.toml").read_text(encoding="utf-8")
    nowhere = text.replace("127.0.0.1", "192.0.2.7")  # where no day would begin
    (site / "site.toml").write_text(nowhere + READERS, encoding="utf-8")
    result = emulated(site, tmp_path / "out", *how)
    assert result.exit_code == 2
    words = " ".join(result.output.split())
    assert "[tracking.L1] window_ms = 50 at speed 60 is 0.83 ms of real time, and readings need 12.5 ms" in words
    assert "[tracking.L2] window_ms = 500 at speed 60 is 8.3 ms of real time" in words
    assert "the greatest speed with these readers is 4." in words
    assert not (tmp_path / "out").exists()


@given(window_ms=st.floats(1, 10_000), other_ms=st.floats(1, 10_000), rate=st.floats(1, cli.SPEED_MAX))
def test_the_speed_that_is_named_works_and_no_greater_one(window_ms: float, other_ms: float, rate: float) -> None:
    tracking = {"L1": Tracking(travel_ms=1, window_ms=window_ms), "L2": Tracking(travel_ms=1, window_ms=other_ms)}
    told = readers.haste(tracking, rate)
    named = {float(match[1]) for words in told if (match := re.search(r"greatest speed .* is ([\d.e+]+)\. ", words))}
    assert bool(told) == (rate > max(1, min(window_ms, other_ms) / readers.WINDOW_REAL_MS))
    if told:
        (most,) = named
        assert most <= rate * 1.001
        assert not readers.haste(tracking, most * 0.999)


@pytest.mark.parametrize("speed", [1, 20, 240, 1400])
def test_a_clock_of_its_own_begins_before_the_day_and_on_it(speed: float, county: Site) -> None:
    clock = Clock.from_text(cli._clock_of(8, speed))
    opens_ns = traffic.day(county.tables, 1, 1).opens_ns
    ahead_ns = opens_ns - clock.now_ns()
    assert 0 < ahead_ns <= 4 * 3600 * NS_PER_S
    assert clock.rate == speed


def test_speed_says_how_to_start_the_others_and_stdout_stays_clean(county_folder: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(county_folder, site)
    text = (site / "site.toml").read_text(encoding="utf-8")
    text = re.sub("port = [0-9]+", lambda _: f"port = {free_port()}", text)
    (site / "site.toml").write_text(text, encoding="utf-8")
    program = "from plc_adapter.cli import main; main()"
    words = ["emulate", "--site", str(site), "--items", "20", "--out", str(tmp_path / "day"), "--json"]
    command = [sys.executable, "-c", program, *words, "--speed", "50", "--scenario", os.devnull]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = json.loads(process.stderr.readline())
        clock = Clock.from_text(told["clock"])
        assert clock.rate == 50
        assert told["daemon"].endswith(f"--clock {told['clock']}")
        assert told["adapter"].startswith(f"plc-adapter run --site {site} ")
        progress = tmp_path / "day" / emulate.PROGRESS
        while not progress.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate()
    assert process.returncode == 0
    assert re.match(r"the day begins in \d+ s, by a clock of its own; start daemon and adapter", told["what"])
    assert json.loads(out)["faults"] == []


def test_traffic_writes_the_files_that_the_day_begins_with(county_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "day"
    result = CliRunner().invoke(
        cli.traffic, ["--site", str(county_folder), "--items", "500", "--seed", "3", "--out", str(out), "--json"]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) | {"out": ""} == {
        "items": 500,
        "peak_hour_items": 75,
        "advices": 490,
        "intercepts": 0,
        "out": "",
    }
    lines = (out / "advices.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "waybill,carrier,station,service,flow,weight_g,cancelled"
    assert len(lines) == 491
    assert (out / "intercepts.csv").read_text(encoding="utf-8-sig").splitlines() == ["waybill"]


@pytest.mark.parametrize("command", [cli.traffic, cli.emulate])
def test_a_folder_that_is_no_site_is_refused(command: Any, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["--site", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == cli.REFUSED
    assert "site.toml does not exist" in result.output


def test_a_clock_that_is_none_is_refused(county_folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cli.emulate, ["--site", str(county_folder), "--out", str(tmp_path), "--clock", "tomorrow"]
    )
    assert result.exit_code == cli.REFUSED
    assert "is not a clock" in result.output


def test_a_day_that_cannot_be_judged_says_which_file_lacks(county_folder: Path, tmp_path: Path) -> None:
    paths = ["--truth", str(tmp_path / "truth.ndjson"), "--ledger", str(tmp_path / "ledger.db")]
    result = CliRunner().invoke(cli.audit, ["--site", str(county_folder), *paths])
    assert result.exit_code == cli.REFUSED
    assert "emulate writes it" in result.output


@pytest.mark.parametrize("command", [cli.traffic, cli.emulate, cli.audit])
def test_help_shows_an_example(command: Any) -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert "  plc-adapter " in result.output
