"""Real processes over every dialect: adapter, PLCs and daemon die in the middle, and the day adds up by the oracle."""

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import pytest

from plc_adapter.emulator import emulate
from plc_adapter.emulator import site as sites
from plc_adapter.emulator.emulate import Floor
from sorter.clock import Clock
from tests.patience import until
from tests.system.hubs import BIN, Hub, free_port

ITEMS: Final = 300
RATE: Final = 60
START: Final = datetime(2026, 11, 11, 20, 50, tzinfo=timezone(timedelta(hours=8)))  # nearly all parcels wait already
PATIENCE_S: Final = 240.0


class Day(Hub):
    """A hub whose daemon and adapter are processes; the floor is in this one. All run on one fast clock."""

    def __init__(self, folder: Path, dialect: str) -> None:
        super().__init__(folder)
        settings = self.folder / "site.toml"
        text = settings.read_text(encoding="utf-8").replace('dialect = "modbus"', f'dialect = "{dialect}"')
        text = re.sub("502[01]", lambda _found: str(free_port()), text)
        settings.write_text(text, encoding="utf-8")
        self.work = folder / "day"
        self.clock = ""
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        traffic = ("traffic", "--site", self.folder, "--items", str(ITEMS), "--out", self.work)
        subprocess.run([BIN / "plc-adapter", *traffic], check=True, capture_output=True)
        subprocess.run([BIN / "sorter", "warm", "--site", self.folder], check=True, capture_output=True)

    def begin(self) -> Floor:
        """The daemon knows what is announced, the adapter runs, and the floor may."""
        self.clock = f"{START.isoformat()},{RATE},{time.time_ns()}"
        self.start()
        self.command("advice", "load", self.work / "advices.csv")
        assert len((self.work / "intercepts.csv").read_text().splitlines()) == 1  # of so few parcels none
        self.start_adapter()
        return emulate.build(sites.load(self.folder), ITEMS, 1, Clock.from_text(self.clock), self.work)

    def _run(self, name: str, *command: str | Path) -> None:
        with (self.work / f"{name}.log").open("ab") as log:
            options = ("run", "--site", self.folder, "--clock", self.clock)
            self.running[name] = subprocess.Popen([*command, *options], stdout=log, stderr=log)

    def start(self) -> None:
        self._run("daemon", BIN / "sorter")
        self.until_ready(self.running["daemon"])

    def log(self) -> str:
        return self.said("daemon")

    def start_adapter(self) -> None:
        self._run("adapter", BIN / "plc-adapter")

    def kill_process(self, name: str) -> None:
        assert self.running[name].poll() is None, self.said(name)
        self.running[name].send_signal(signal.SIGKILL)
        self.running[name].wait()

    def said(self, name: str) -> str:
        return (self.work / f"{name}.log").read_text(encoding="utf-8")

    def counted_lost(self) -> int:
        """Reports that a killed adapter had answered for before they were on disk, as the next one counts them."""
        *_, stopped = (line for line in map(json.loads, self.said("adapter").splitlines()) if line["what"] == "stopped")
        return sum(counts["lost"] for counts in stopped["counts"].values())

    def judged(self) -> dict[str, Any]:
        """The oracle's figures, when all is on disk."""
        for name in ("adapter", "daemon"):
            self.running[name].terminate()
            assert self.running[name].wait(PATIENCE_S) == 0, self.said(name)
        files = ("--truth", self.work / "truth.ndjson", "--ledger", self.folder / "ledger" / "ledger.db")
        command: list[str | Path] = [BIN / "plc-adapter", "audit", "--site", self.folder, *files, "--json"]
        figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        return figures


@pytest.fixture
def day(tmp_path: Path, dialect: str) -> Iterator[Day]:
    day = Day(tmp_path, dialect)
    yield day
    for process in day.running.values():
        if process.poll() is None:
            process.kill()
            process.wait()


def dropped(floor: Floor) -> int:
    return sum(line.plant.dropped for line in floor.lines)


async def restart_plcs(floor: Floor) -> None:
    """Each when its belt is full and all that it reported is read: it takes with it what is not."""
    for line in floor.lines:

        def fit(line: Any = line) -> bool:
            plant = line.plant
            return bool(plant.host_alive and plant.on_belt and not plant.plc and not line.program.unread)

        await until(fit, PATIENCE_S)
        line.plant.restart()
    for line in floor.lines:  # until the daemon knows of its new life
        side = line.program._side
        await until(lambda: side.epoch == line.plant.epoch and side.tail > 0, PATIENCE_S)  # noqa: B023 # awaited here


async def misfortunes(day: Day, floor: Floor) -> None:
    """One after another: what two deaths at once take with them is counted, but is nobody's to bring back."""
    await until(lambda: dropped(floor) >= 0.1 * ITEMS, PATIENCE_S)
    await asyncio.to_thread(day.kill_process, "adapter")
    await until(lambda: not any(line.plant.host_alive for line in floor.lines), PATIENCE_S)
    await asyncio.to_thread(day.start_adapter)
    await restart_plcs(floor)
    await until(lambda: dropped(floor) >= 0.4 * ITEMS, PATIENCE_S)
    await asyncio.to_thread(day.kill_process, "daemon")
    assert dropped(floor) < ITEMS
    await asyncio.to_thread(day.start)


def lives_again(day: Day) -> int:
    """Parcels that were on a belt when its PLC restarted: they have a number of each of its lives."""
    truths = (day.work / "truth.ndjson").read_text(encoding="utf-8").splitlines()
    return sum(len({epoch for epoch, _ in json.loads(truth)["items"]}) > 1 for truth in truths)


@pytest.mark.parametrize("dialect", ["modbus", "s7", "opcua"])
def test_a_day_adds_up_though_everything_dies_in_the_middle_of_it(day: Day) -> None:
    floor = day.begin()

    async def live() -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(emulate.run(floor, lambda: False))
            group.create_task(misfortunes(day, floor))
        assert running.result()["dropped"] == ITEMS

    asyncio.run(live())
    figures = day.judged()
    assert (figures["items"], figures["missorted"], figures["on_belt"]) == (ITEMS, 0, 0), figures["examples"]
    assert figures["unaccounted"] <= day.counted_lost(), figures["examples"]
    assert lives_again(day) > 0
