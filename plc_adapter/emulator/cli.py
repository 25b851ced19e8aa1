"""The emulator's commands: make a day's traffic, run the floor, judge the day.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the site or a file was refused.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock_time
from pathlib import Path
from typing import Any, Final

import click

from plc_adapter import settings
from plc_adapter.emulator import site as sites
from plc_adapter.emulator import traffic as days
from plc_adapter.emulator.audit import audit as judge
from plc_adapter.settings import SettingsRefused
from sorter.clock import Clock

REFUSED: Final = 3
FAILED: Final = 1
SPEED_MAX: Final = 1400.0  # beyond, there is no time to start daemon and adapter before 05:00
LEAD_S: Final = 60.0  # real seconds for it,
LEAD_SITE_S: Final = 14_400.0  # as far as they pass between 01:00 and 05:00

Command = Callable[..., Any]


def _site_option(command: Command) -> Command:
    return click.option(
        "--site",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        show_default=True,
        help="Folder of site.toml.",
    )(command)


def _day_options(command: Command) -> Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option(
            "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the day's files."
        ),
        click.option(
            "--seed", type=click.IntRange(0), default=1, show_default=True, help="The same seed, the same day."
        ),
        click.option("--items", type=click.IntRange(1), default=150_000, show_default=True, help="Parcels of the day."),
    ):
        command = option(command)
    return _site_option(command)


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    for name, value in figures.items():
        click.echo(f"{name:18} {value}")


def _stop(error: Exception, code: int) -> None:
    click.echo(f"error: {error}", err=True)
    sys.exit(code)


@click.command()
@_day_options
@click.option("--day", default=days.DAY.isoformat(), show_default=True, help="Local date, 05:00 to 21:00.")
def traffic(*, site: Path, items: int, seed: int, out: Path, day: str, as_json: bool) -> None:
    """Make what is known of a day before it begins: advices.csv and intercepts.csv.

    Beside them parcels.ndjson, the whole day, on which rule tables can be tried.

    \b
    Example:
      plc-adapter traffic --site wushan --items 150000 --seed 1 --out wushan/day
    """
    try:
        place = sites.load(site)
        made = days.day(place.tables, items, seed, date.fromisoformat(day), place.utc_offset_h)
    except (SettingsRefused, FileNotFoundError, ValueError) as error:
        _stop(error, REFUSED)
    out.mkdir(parents=True, exist_ok=True)
    days.write_advices(made, out / "advices.csv")
    days.write_intercepts(made, out / "intercepts.csv")
    days.write_parcels(made, out / "parcels.ndjson")
    figures = {
        "items": items,
        "peak_hour_items": made.peak_hour_items,
        "advices": len(made.advices),
        "intercepts": len(made.intercepts),
        "out": str(out),
    }
    _print(figures, as_json)


@click.command()
@_day_options
@click.option("--clock", default="", help="start,rate,anchor of the daemon's and adapter's clock; empty: real time.")
@click.option(
    "--speed",
    type=click.FloatRange(1, SPEED_MAX),
    help="Begin a day of your own at 05:00, so many times as fast as real time; prints its --clock.",
)
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What goes wrong on which line and when, such as the site's faults.toml.",
)
@click.option("--loopback", is_flag=True, help="Run the adapter in this process, with no network to the PLCs.")
@click.option("--watch", is_flag=True, help="Draw the lines in the terminal.")
def emulate(
    *,
    site: Path,
    items: int,
    seed: int,
    out: Path,
    clock: str,
    speed: float | None,
    scenario: Path | None,
    loopback: bool,
    watch: bool,
    as_json: bool,
) -> None:
    """Run the floor: belts, PLCs in the dialect of site.toml, and scanners, until the day is over.

    Writes progress.json while it runs, truth.ndjson and emulator.json at the end. Each fault of a scenario is
    a line of JSON on stderr as it strikes. Ctrl-C ends the day early.

    The daemon and the adapter must run by the same clock. With --speed the emulator prints, on stderr, how to
    start them, and leaves a moment for it. How fast a machine can go is found by trying: late_orders and
    longest_step_ms in emulator.json show when it was too fast. With [scanner] sections window_ms sets a limit:
    12.5 ms of real time have to be left of it.

    \b
    Examples:
      plc-adapter emulate --site wushan --items 2000 --seed 1 --out wushan/day
      plc-adapter emulate --site wushan --out day --speed 20 --scenario faults.toml --watch
      plc-adapter emulate --site wushan --out day --clock 2026-11-11T05:00:00+08:00,640,$(date +%s%N)
    """
    from plc_adapter.emulator import emulate as floors  # noqa: PLC0415 # `traffic` and `audit` need no server
    from plc_adapter.emulator import readers  # noqa: PLC0415 # as above
    from plc_adapter.emulator import scenario as scenarios  # noqa: PLC0415 # as above
    from plc_adapter.emulator import screen as screens  # noqa: PLC0415 # as above

    if speed and clock:
        raise click.UsageError("--speed makes a clock of its own; give either --speed or --clock")
    try:
        place = sites.load(site)
        clock = _clock_of(place.utc_offset_h, speed) if speed else clock
        ticking = Clock.from_text(clock)
        too_fast = readers.haste(place.tracking, ticking.rate)
        if too_fast:
            raise click.UsageError("\n".join(too_fast))
        played = scenarios.load(scenario, place) if scenario else scenarios.QUIET
        adapter = settings.load(site) if loopback else None
        floor = floors.build(place, items, seed, ticking, out, scenario=played, adapter=adapter)
    except (SettingsRefused, FileNotFoundError, ValueError) as error:
        _stop(error, REFUSED)
    begins = _begins(floor)
    if speed:
        _tell(
            "info",
            f"{begins}, by a clock of its own; start daemon and adapter with it now, then load the advices",
            clock=clock,
            daemon=f"sorter run --site {site} --clock {clock}",
            adapter=f"plc-adapter run --site {site} --clock {clock}",
        )
    elif begins:
        _tell("info", begins)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with screens.watch() if watch else nullcontext(screens.Screen(None)) as screen:
            figures = asyncio.run(_run(floors.run, floor, screen.show))
        _print(figures, as_json)
    except OSError as error:
        _stop(error, FAILED)


def _clock_of(utc_offset_h: float, speed: float) -> str:
    """The text of a clock that reaches 05:00 when daemon and adapter may be up, on the day that it is then."""
    lead_s = min(LEAD_S, LEAD_SITE_S / speed)
    opens = datetime.combine(days.DAY, clock_time(days.OPENS_H), timezone(timedelta(hours=utc_offset_h)))
    return f"{opens.isoformat()},{speed:g},{time.time_ns() + round(lead_s * 1e9)}"


def _begins(floor: Any) -> str:
    """In how many real seconds the first parcel may come; "" when it may have come already."""
    ahead_s = (floor.day.opens_ns - floor.clock.now_ns()) / 1e9 / floor.clock.rate
    return f"the day begins in {ahead_s:.0f} s" if ahead_s > 0 else ""


async def _run(run: Callable[..., Any], floor: Any, show: Callable[..., None]) -> Any:
    ended = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, ended.set)
    return await run(floor, ended.is_set, lambda struck: _tell("warning", "a fault strikes", **_fault(struck)), show)


def _fault(struck: Any) -> dict[str, str]:
    return {"site_time": struck.site_time, "line": struck.line, "fault": struck.what, "detail": struck.words}


def _tell(level: str, what: str, **fields: str) -> None:
    """One line of JSON on stderr, as `plc-adapter run` writes them."""
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    click.echo(json.dumps({"t": now, "level": level, "what": what, **fields}, ensure_ascii=False), err=True)


@click.command()
@_site_option
@click.option("--truth", type=click.Path(path_type=Path), required=True, help="truth.ndjson of `emulate`.")
@click.option("--ledger", type=click.Path(path_type=Path), required=True, help="ledger.db of the site.")
@click.option(
    "--day",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of `traffic`; that of the truth if left out.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit(*, site: Path, truth: Path, ledger: Path, day: Path | None, as_json: bool) -> None:
    """Judge a day: does every parcel lie where the rule tables allow, and does the ledger say so?

    An oracle of its own reads the tables, the advices and ledger.db; it shares no code with the sorter.
    The figures are the answer: the exit code is 0 whenever the day could be judged.

    \b
    Example:
      plc-adapter audit --site wushan --truth wushan/day/truth.ndjson --ledger wushan/ledger/ledger.db
    """
    try:
        figures = judge(sites.load(site), day or truth.parent, truth, ledger)
    except (SettingsRefused, FileNotFoundError, ValueError) as error:
        _stop(error, REFUSED)
    _print(figures, as_json)
