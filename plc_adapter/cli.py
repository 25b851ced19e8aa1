"""The `plc-adapter` command. Answers go to stdout, one line of JSON for every event to stderr.

Exit codes: 0 ok, 1 failure, 2 usage, 3 the site was refused.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from plc_adapter import probe as probing
from plc_adapter import service, settings
from sorter.clock import Clock

FAILURE: Final = 1
REFUSED: Final = 3
EMULATOR: Final = "plc_adapter.emulator.cli"  # looked up by name when asked for: nothing that runs a plant imports it
EMULATED: Final = ("audit", "emulate", "traffic")


class Commands(click.Group):
    """The adapter's own commands, and the emulator's, which are loaded only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in order."""
        return sorted({*super().list_commands(ctx), *EMULATED})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name."""
        if cmd_name not in EMULATED:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(EMULATOR), cmd_name)
        assert isinstance(command, click.Command)
        return command


site_option = click.option(
    "--site",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="this folder",
    help="The folder that holds site.toml.",
)
line_option = click.option("--line", "names", multiple=True, metavar="LINE", help="Only this line; may be repeated.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Stand between PLCs and the hub sorter.

    \b
    plc-adapter probe --site my-hub    look at the PLCs, and say what is wrong
    plc-adapter run --site my-hub      carry reports and orders, until stopped
    """


@main.command()
@site_option
@line_option
@click.option(
    "--clock", default="", metavar="TEXT", help="START,RATE,ANCHOR_NS: a scaled clock shared by all processes."
)
@json_option
def run(*, folder: Path, names: tuple[str, ...], clock: str, as_json: bool) -> None:
    """Carry the PLCs' reports to the daemon and its diverts to the PLCs, until SIGTERM or Ctrl-C.

    PLCs and daemon may come and go in any order; nothing they acknowledged is lost. With keys,
    line L1 uses keys/plc-L1.secret.

    \b
    Examples:
      plc-adapter run --site my-hub
      plc-adapter run --site my-hub --line L1 --line L2
    """
    try:
        ticking = Clock.from_text(clock)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--clock") from error
    site, chosen = _site(folder, names)
    try:
        lines = service.lines_of(site, chosen, ticking)
    except ValueError as error:
        _refuse(str(error))
    done = asyncio.run(_run(lines, ticking, site.wire.devices))
    if as_json:
        click.echo(json.dumps({"lines": done}))


@main.command()
@site_option
@line_option
@json_option
def probe(*, folder: Path, names: tuple[str, ...], as_json: bool) -> None:
    """Look at the PLCs and say in words what is wrong; writes nothing to them, also while a plant runs.

    \b
    Examples:
      plc-adapter probe --site my-hub
      plc-adapter probe --site my-hub --line L1 --json
    """
    site, chosen = _site(folder, names)
    found = asyncio.run(_probe(site, chosen))
    if as_json:
        lines = [{"ok": not findings.problems, **asdict(findings)} for findings in found]
        click.echo(json.dumps({"lines": lines}, ensure_ascii=False))
    else:
        for findings in found:
            _print(findings)
    if any(findings.problems for findings in found):
        sys.exit(FAILURE)


def _site(folder: Path, names: Sequence[str]) -> tuple[settings.Site, list[str]]:
    try:
        site = settings.load(folder)
    except settings.SettingsRefused as error:
        _refuse(str(error))
    unknown = [name for name in names if name not in site.plcs]
    if unknown:
        raise click.BadParameter(f"{unknown[0]} has no [plc.{unknown[0]}]; there are: {', '.join(site.plcs)}")
    return site, [name for name in site.plcs if not names or name in names]


async def _run(lines: list[service.Line], clock: Clock, daemon: str) -> dict[str, dict[str, Any]]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gc.freeze()
    _tell("info", "started", lines=[line.runner.line for line in lines], daemon=daemon)
    done = await service.run(lines, clock, stop, _tell)
    _tell("info", "stopped", counts=done)
    return done


async def _probe(site: settings.Site, names: list[str]) -> list[probing.Findings]:
    plcs = [(name, site.plcs[name]) for name in names]
    return await asyncio.gather(*(probing.probe(name, service.port_of(plc), plc.word_order) for name, plc in plcs))


def _print(findings: probing.Findings) -> None:
    click.echo(f"{findings.line}  {findings.plc}")
    if findings.epoch:
        heart = "beats" if findings.heartbeat else "stands still"
        click.echo(f"    epoch {findings.epoch}, heartbeat {heart}, line {findings.line_state}")
        click.echo(f"    {findings.reports} reports, {findings.unacknowledged} not acknowledged")
        click.echo(f"    a read takes {findings.read_ms} ms, at most {findings.read_ms_max} ms")
    for problem in findings.problems or ["all is well"]:
        click.echo(f"    {problem}")


def _tell(level: str, what: str, **fields: object) -> None:
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    shown = {name: value for name, value in fields.items() if value != ""}
    click.echo(json.dumps({"t": now, "level": level, "what": what, **shown}, ensure_ascii=False), err=True)


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main()
