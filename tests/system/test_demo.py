"""A whole modelled day through real processes, with the daemon killed in the middle of it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.system.hubs import BIN

ITEMS = 4000
PATIENCE_S = 240.0


def start(folder: Path) -> subprocess.Popen[str]:
    command: list[str | Path] = [
        BIN / "sorter",
        "demo",
        "--items",
        str(ITEMS),
        "--rate",
        "1400",
        "--folder",
        folder,
        "--json",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def inducted(folder: Path) -> int:
    try:
        return int(json.loads((folder / "day" / "progress.json").read_bytes())["inducted"])
    except FileNotFoundError:
        return 0


def kill_in_the_middle(demo: subprocess.Popen[str], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while inducted(folder) < ITEMS // 2:
        assert demo.poll() is None, demo.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.kill(int((folder / "day" / "daemon.pid").read_text()), signal.SIGKILL)


def sorter(folder: Path, *arguments: str) -> Any:
    command: list[str | Path] = [BIN / "sorter", *arguments, "--site", folder / "site", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.timeout(600)
def test_a_day_adds_up_though_the_daemon_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = start(folder)
    kill_in_the_middle(demo, folder)
    output, errors = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, errors
    day = json.loads(output)
    assert (day["items"], day["missorted"], day["unaccounted"], day["restarts"]) == (ITEMS, 0, 0, 1)
    assert day["sorted"] + sum(day["exceptions"].values()) == ITEMS

    report = sorter(folder, "report")
    assert sum(report["ended"].values()) + report["on_belt"] == report["inducted"] == ITEMS
    first, second = sorter(folder, "replay"), sorter(folder, "replay")
    assert first["differences"] == []
    assert first["digest"] == second["digest"]
    truths = [json.loads(line) for line in (folder / "day" / "truth.ndjson").read_text(encoding="utf-8").splitlines()]
    read = next(truth for truth in truths if truth["waybill"] and truth["waybill"] in truth["codes"])
    traced = sorter(folder, "trace", read["waybill"])
    assert any(item["discharge"]["chute"] == read["chute"] for item in traced["items"])
    for page in ("report.html", "report.zh.html"):
        assert "<svg" in (folder / page).read_text(encoding="utf-8")
