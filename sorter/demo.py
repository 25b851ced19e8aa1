"""A whole day through real processes: daemon, PLC adapter and emulator, all on one scaled clock.

The demo starts what a hub would run, restarts the daemon if it dies as systemd would, and
hands the day's ledger to an oracle that shares no code with the core.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, NamedTuple

from sorter import report
from sorter.init import make_site
from sorter.ledger.reader import Reader
from sorter.reasons import EXCEPTIONS, Language, Reason
from sorter.site import load
from sorter.wire.control import Control, NoAnswer, Unreachable

RATE: Final = 720.0  # 05:00 to 21:00 in 80 s
RATE_MAX: Final = 1400.0  # beyond, LEAD_S would begin on the day before
DAY_START: Final = datetime(2026, 11, 11, 5, 0, tzinfo=timezone(timedelta(hours=8)))
LOOPBACK: Final = "loopback"  # no network between the emulated PLCs and the adapter, which is one process with them
DIALECTS: Final = ("modbus", "s7", "opcua", LOOPBACK)
LEAD_S: Final = 12.0  # real seconds from the start of the daemon to 05:00
PROGRESS_S: Final = 0.5
END_S: Final = 150.0  # the daemon ends when its projection has caught up
_MARK: Final = ".hub-sorter-demo"


class DemoFailed(Exception):
    """A process of the demo failed; the text says which, and where its log is."""


class Day(NamedTuple):
    """What a demo is asked for."""

    folder: Path
    items: int
    seed: int
    rate: float  # how many times as fast as a real day
    dialect: str  # which the emulated PLCs speak
    scenario: Path | None  # of faults, see `plc-adapter emulate --help`

    @property
    def work(self) -> Path:
        return self.folder / "day"

    @property
    def site(self) -> Path:
        return self.folder / "site"


def run(day: Day, tell: Callable[[dict[str, Any], int], None]) -> tuple[dict[str, Any], str]:
    """Run the day, write its report pages, and return its figures and the report in words. Raises DemoFailed."""
    begun_s = time.monotonic()
    _prepare(day)
    site = ("--site", str(day.site))
    _program(day, "warm", "sorter", "warm", *site)
    _program(day, "traffic", "plc-adapter", "traffic", *_traffic(day))
    clock = _clock(day)
    with ExitStack() as stack:
        daemon = stack.enter_context(_daemon(day, clock))
        _program(day, "advices", "sorter", "advice", "load", *site, str(day.work / "advices.csv"))
        _program(day, "advices", "sorter", "intercept", "add", *site, "--file", str(day.work / "intercepts.csv"))
        adapter = None
        if day.dialect != LOOPBACK:
            adapter = stack.enter_context(_process(day, "adapter", "plc-adapter", "run", *site, "--clock", clock))
        emulator = stack.enter_context(
            _process(day, "emulator", "plc-adapter", "emulate", *_traffic(day), *_floor(day), "--clock", clock)
        )
        _watch(day, daemon, adapter, emulator, tell)
        status = _status(day)
    if status is None:
        raise DemoFailed(f"the daemon did not answer at the end of the day; see {day.work / 'daemon.log'}")
    audit = json.loads(_program(day, "audit", "plc-adapter", "audit", *_audit(day)))
    figures = _figures(day, status, audit, daemon.restarts) | {"total_s": round(time.monotonic() - begun_s, 1)}
    return figures, _report(day, status, figures)


def _prepare(day: Day) -> None:
    """An empty folder with a new site on free ports. Only a folder that a demo made is made anew."""
    folder = day.folder
    if folder.exists():
        if any(folder.iterdir()) and not (folder / _MARK).exists():
            raise DemoFailed(f"{folder} holds something else; name a new folder with --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    make_site(day.site, _program_path("sorter"))
    day.work.mkdir()
    settings = day.site / "site.toml"
    text = settings.read_text(encoding="utf-8")
    standard = [port for port in ("5570", "5571", "5572", "5020", "5021") if port in text]
    free = dict(zip(standard, _free_ports(len(standard)), strict=True))
    text = re.sub("|".join(standard), lambda found: str(free[found[0]]), text)
    if day.dialect != LOOPBACK:
        text = text.replace('dialect = "modbus"', f'dialect = "{day.dialect}"')
    settings.write_text(text, encoding="utf-8")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in sockets]


def _program_path(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def _traffic(day: Day) -> list[str]:
    return ["--site", str(day.site), "--items", str(day.items), "--seed", str(day.seed), "--out", str(day.work)]


def _floor(day: Day) -> list[str]:
    scenario = ["--scenario", str(day.scenario)] if day.scenario else []
    return [*scenario, "--loopback"] if day.dialect == LOOPBACK else scenario


def _clock(day: Day) -> str:
    anchor_ns = time.time_ns() + round(LEAD_S * 1e9)
    return f"{DAY_START.isoformat()},{day.rate},{anchor_ns}"


def _program(day: Day, log: str, name: str, *arguments: str) -> str:
    """Run one program to its end and return what it printed."""
    path = day.work / f"{log}.log"
    with path.open("a", encoding="utf-8") as errors:
        done = subprocess.run(
            [_program_path(name), *arguments], check=False, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    if done.returncode != 0:
        raise DemoFailed(f"{name} {arguments[0]} ended with exit code {done.returncode}; see {path}")
    return done.stdout


def _start(day: Day, log: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (day.work / f"{log}.log").open("ab") as errors:
        return subprocess.Popen([_program_path(name), *arguments], stdout=errors, stderr=errors)


@contextmanager
def _process(day: Day, log: str, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs beside, ended with SIGTERM."""
    process = _start(day, log, name, *arguments)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Daemon:
    """The daemon, started again whenever it dies."""

    def __init__(self, day: Day, clock: str) -> None:
        self.restarts = 0
        self._day = day
        self._arguments = ("run", "--site", str(day.site), "--clock", clock)
        self.process = self._start()

    def keep(self) -> None:
        """Start it again if it has died. Raises DemoFailed when it refuses to run."""
        code = self.process.poll()
        if code is None:
            return
        if code > 0:
            raise DemoFailed(f"the daemon ended with exit code {code}; see {self._day.work / 'daemon.log'}")
        self.restarts += 1
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = _start(self._day, "daemon", "sorter", *self._arguments)
        (self._day.work / "daemon.pid").write_text(f"{process.pid}\n", encoding="utf-8")
        return process


@contextmanager
def _daemon(day: Day, clock: str) -> Iterator[_Daemon]:
    daemon = _Daemon(day, clock)
    try:
        _wait_until_ready(day, daemon)
        yield daemon
    finally:
        _end(daemon.process)


def _wait_until_ready(day: Day, daemon: _Daemon) -> None:
    for _ in range(600):
        daemon.keep()
        if _status(day) is not None:
            return
        time.sleep(0.1)
    raise DemoFailed(f"the daemon was not ready after 600 tries; see {day.work / 'daemon.log'}")


def _watch(
    day: Day,
    daemon: _Daemon,
    adapter: subprocess.Popen[bytes] | None,
    emulator: subprocess.Popen[bytes],
    tell: Callable[[dict[str, Any], int], None],
) -> None:
    """Show how the day goes until the emulator says that it is over."""
    while emulator.poll() is None:
        daemon.keep()
        if adapter and adapter.poll() is not None:
            raise DemoFailed(f"the adapter ended with exit code {adapter.returncode}; see {day.work / 'adapter.log'}")
        status = _status(day)
        if status:
            tell(status, day.items)
        time.sleep(PROGRESS_S)
    if emulator.returncode != 0:
        raise DemoFailed(f"the emulator ended with exit code {emulator.returncode}; see {day.work / 'emulator.log'}")


def _status(day: Day) -> dict[str, Any] | None:
    """The daemon's figures; None while it does not answer."""
    with closing(Control(load(day.site).wire.control, timeout_s=1.0)) as control:
        try:
            answer: dict[str, Any] = control.call("status")
        except (Unreachable, NoAnswer):
            return None
    return answer


def _audit(day: Day) -> list[str]:
    truth, ledger = str(day.work / "truth.ndjson"), str(day.site / "ledger" / "ledger.db")
    return ["--site", str(day.site), "--truth", truth, "--ledger", ledger, "--json"]


def _figures(day: Day, status: dict[str, Any], audit: dict[str, Any], restarts: int) -> dict[str, Any]:
    emulator = json.loads((day.work / "emulator.json").read_text(encoding="utf-8"))
    ended = {reason: count for reason, count in status["ended"].items() if count}
    items_per_s = audit["items"] / emulator["wall_s"]
    return {
        "items": audit["items"],
        "sorted": sum(count for reason, count in ended.items() if Reason[reason.upper()] not in EXCEPTIONS),
        "exceptions": {reason: count for reason, count in ended.items() if Reason[reason.upper()] in EXCEPTIONS},
        "missorted": audit["missorted"],
        "unaccounted": audit["unaccounted"] + abs(audit["items"] - day.items) + status["on_belt"],
        "wall_s": round(emulator["wall_s"], 1),
        "items_per_s": round(items_per_s, 1),
        "peak_items_per_s": round(emulator["peak_items_per_s"], 3),
        "headroom": round(items_per_s / emulator["peak_items_per_s"], 1),
        "decision_ms": status["decision_ms"],
        "plan": status["plan"],
        "ledger": str(day.site / "ledger"),
        "restarts": restarts,
    }


def _report(day: Day, status: dict[str, Any], figures: dict[str, Any]) -> str:
    """Write the day's pages; returns the day in words, what the oracle says, and where the pages are."""
    latency = _latency(status)
    site = load(day.site)
    with Reader(site.ledger) as reader:
        told = reader.report(f"{DAY_START:%Y-%m-%d}")
    pages: dict[str, Language] = {"report.html": "en", "report.zh.html": "zh"}
    for name, language in pages.items():
        page = report.page(told, site=site.name, language=language, latency=latency)
        (day.folder / name).write_text(page, encoding="utf-8")
    return "\n".join(
        [
            report.text(told, site=site.name, language="en", latency=latency),
            f"{figures['items']} items in {figures['wall_s']} s: {figures['items_per_s']} a second",
            f"that is {figures['headroom']} times the busiest hour of the day",
            f"the oracle finds {figures['missorted']} missorted and {figures['unaccounted']} unaccounted",
            f"pictures: {day.folder / 'report.html'} and {day.folder / 'report.zh.html'}",
        ]
    )


def _latency(status: dict[str, Any]) -> report.Latency | None:
    """None: a daemon that was started again late has decided nothing since."""
    buckets = status["decision_ms_buckets"]
    if not buckets:
        return None
    edges_ms = [edge_ms for edge_ms, _ in buckets]
    counts = [count for _, count in buckets]
    return report.Latency([edges_ms[0] / 2 ** (1 / 8), *edges_ms], counts, **status["decision_ms"])
