"""The emulator's commands: make a day's traffic, run the floor, judge the day.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the site or a file was refused.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

import click

from plc_adapter.emulator import site as sites
from plc_adapter.emulator import traffic as days
from plc_adapter.emulator.audit import audit as judge
from plc_adapter.settings import SettingsRefused
from sorter.clock import Clock

REFUSED: Final = 3
FAILED: Final = 1

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
@click.option("--clock", default="", help="start,rate,anchor of a scaled clock; empty: real time.")
def emulate(*, site: Path, items: int, seed: int, out: Path, clock: str, as_json: bool) -> None:
    """Run the floor: belts, PLCs in the dialect of site.toml, and scanners, until the day is over.

    Writes progress.json while it runs, truth.ndjson and emulator.json at the end. Ctrl-C ends the day early.

    \b
    Examples:
      plc-adapter emulate --site wushan --items 2000 --seed 1 --out wushan/day
      plc-adapter emulate --site wushan --out day --clock 2026-11-11T05:00:00+08:00,640,$(date +%s%N)
    """
    from plc_adapter.emulator import emulate as floors  # noqa: PLC0415 # `traffic` and `audit` need no server

    try:
        floor = floors.build(sites.load(site), items, seed, Clock.from_text(clock), out)
    except (SettingsRefused, FileNotFoundError, ValueError) as error:
        _stop(error, REFUSED)
    out.mkdir(parents=True, exist_ok=True)
    try:
        _print(asyncio.run(_run(floors.run, floor)), as_json)
    except OSError as error:
        _stop(error, FAILED)


async def _run(run: Callable[..., Any], floor: Any) -> Any:
    ended = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, ended.set)
    return await run(floor, ended.is_set)


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
