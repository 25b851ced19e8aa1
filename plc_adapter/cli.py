"""The `plc-adapter` command. Answers go to stdout, one line of JSON for every event to stderr.

Exit codes: 0 ok, 1 failure, 2 usage, 3 the site was refused.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import click
import msgspec

from plc_adapter import layout as laying_out
from plc_adapter import probe as probing
from plc_adapter import service, settings
from plc_adapter.mailbox import RING
from plc_adapter.scanner.link import UNTRIED, Link, Turnstile
from plc_adapter.scanner.listening import Heard, heard, unended
from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.telegram import Units
from sorter.clock import Clock

FAILURE: Final = 1
REFUSED: Final = 3
EMULATOR: Final = "plc_adapter.emulator.cli"  # looked up by name when asked for: nothing that runs a plant imports it
LOOK_S: Final = 0.5  # between looks at why a reader is away, and at bytes that end no telegram
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


def _ticking(_context: click.Context, _option: click.Parameter, text: str) -> Clock:
    try:
        return Clock.from_text(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


site_option = click.option(
    "--site",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="this folder",
    help="The folder that holds site.toml.",
)
line_option = click.option("--line", "names", multiple=True, metavar="LINE", help="Only this line; may be repeated.")
clock_option = click.option(
    "--clock",
    "ticking",
    default="",
    metavar="TEXT",
    callback=_ticking,
    help="START,RATE,ANCHOR_NS: a scaled clock shared by all processes, for trials; a real plant leaves it out.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Stand between PLCs and the hub sorter.

    \b
    plc-adapter probe --site my-hub    look at the PLCs, and say what is wrong
    plc-adapter run --site my-hub      carry reports and orders, until stopped
    plc-adapter scanner --site my-hub  look at the readers, and at what they send
    plc-adapter layout --site my-hub   the mailbox word by word, for the PLC's programmer
    """


@main.command()
@site_option
@line_option
@clock_option
@json_option
def run(*, folder: Path, names: tuple[str, ...], ticking: Clock, as_json: bool) -> None:
    """Carry the PLCs' reports to the daemon and its diverts to the PLCs, until SIGTERM or Ctrl-C.

    PLCs and daemon may come and go in any order; nothing they acknowledged is lost. With keys,
    line L1 uses keys/plc-L1.secret.

    \b
    Examples:
      plc-adapter run --site my-hub
      plc-adapter run --site my-hub --line L1 --line L2
    """
    site, chosen = _site(folder, names)
    try:
        lines = service.lines_of(site, chosen, ticking)
    except ValueError as error:
        _refuse(str(error))
    try:
        done = asyncio.run(_run(lines, ticking, site.wire.devices))
    except OSError as error:
        _refuse(str(error))
    if as_json:
        click.echo(json.dumps({"lines": done}))


@main.command()
@site_option
@line_option
@clock_option
@json_option
def probe(*, folder: Path, names: tuple[str, ...], ticking: Clock, as_json: bool) -> None:
    """Look at the PLCs and say in words what is wrong; writes nothing to them, also while a plant runs.

    An emulator's PLCs keep the day's time: give the --clock that it printed.

    \b
    Examples:
      plc-adapter probe --site my-hub
      plc-adapter probe --site my-hub --line L1 --json
    """
    site, chosen = _site(folder, names)
    found = asyncio.run(_probe(site, chosen, ticking.rate))
    if as_json:
        lines = [{"ok": not one.faults, "problems": one.problems, **asdict(one)} for one in found]
        click.echo(json.dumps({"lines": lines}, ensure_ascii=False))
    else:
        for findings in found:
            _print(findings)
    if any(findings.problems for findings in found):
        sys.exit(FAILURE)


@main.command()
@site_option
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this reader; may be repeated.")
@click.option("--listen", is_flag=True, help="Connect, and show each telegram beside what is understood of it.")
@json_option
def scanner(*, folder: Path, names: tuple[str, ...], listen: bool, as_json: bool) -> None:
    """Show the readers of a site and their lines' tracking with all settings, or listen to them until Ctrl-C.

    `plc-adapter run` must not run meanwhile where a reader takes one connection only.

    \b
    Examples:
      plc-adapter scanner --site my-hub
      plc-adapter scanner --site my-hub --name top --listen
    """
    site = _load(folder)
    readers = {name: reader for line in site.scanners.values() for name, reader in line.items()}
    unknown = [name for name in names if name not in readers]
    if unknown:
        there = ", ".join(readers) or "none"
        raise click.BadParameter(f"{unknown[0]} has no [scanner.{unknown[0]}]; there are: {there}")
    if not readers and (listen or not as_json):
        click.echo('there is no [scanner.NAME] section; add one such as [scanner.top] with line = "L1"', err=True)
        sys.exit(FAILURE if listen else 0)
    chosen = {name: reader for name, reader in readers.items() if not names or name in names}
    if listen:
        asyncio.run(_listen(chosen, as_json=as_json))
    elif as_json:
        click.echo(json.dumps({name: msgspec.to_builtins(reader) for name, reader in chosen.items()}))
    else:
        sections: dict[str, msgspec.Struct] = {f"scanner.{name}": reader for name, reader in chosen.items()}
        sections |= {f"tracking.{reader.line}": site.tracking[reader.line] for reader in chosen.values()}
        for section, struct in sections.items():
            click.echo(f"[{section}]")
            for key, value in msgspec.to_builtins(struct).items():
                click.echo(f"{key} = {_toml(value)}")


@main.command()
@click.option(
    "--site",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that holds site.toml, with --line by default this one; "
    "without both, words counted from the block's beginning.",
)
@line_option
@json_option
def layout(*, folder: Path | None, names: tuple[str, ...], as_json: bool) -> None:
    """Show the mailbox field by field, for the PLC's program: type, address in the line's dialect, meaning.

    \b
    Examples:
      plc-adapter layout
      plc-adapter layout --site my-hub --line L1
    """
    plcs: dict[str, settings.Plc | None] = {"": None}
    if folder is not None or names:
        site, chosen = _site(folder or Path(), names)
        plcs = {name: site.plcs[name] for name in chosen}
    if as_json:
        lines = [
            {"line": name, "note": laying_out.note(plc), "fields": [row._asdict() for row in laying_out.rows(plc)]}
            for name, plc in plcs.items()
        ]
        click.echo(json.dumps({"lines": lines}, ensure_ascii=False))
        return
    for name, plc in plcs.items():
        if plc is not None:
            click.echo(f"{name}  {plc.host}:{plc.port}")
        click.echo(laying_out.note(plc))
        click.echo(laying_out.table(plc))


def _toml(value: Any) -> str:
    """A setting as site.toml writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


async def _listen(readers: dict[str, Scanner], *, as_json: bool) -> None:
    """Show what readers send until a signal; one that cannot be listened for is told, and the others are heard."""
    stop = _stopped_by_signal()
    unheard: list[str] = []
    units = {name: Units() for name in readers}

    def show(name: str, told: Heard) -> None:
        shown = {"reader": name, "raw": told.raw, "meaning": told.meaning}
        click.echo(json.dumps(shown, ensure_ascii=False) if as_json else "  ".join(shown.values()))

    def hear(name: str, reader: Scanner, telegram: bytes) -> bytes | None:
        told = heard(telegram, reader, links[name].unended.last, units[name])
        show(name, told)
        return told.answer

    def tell(name: str, came: bool) -> None:
        click.echo(f"{name} {'is connected' if came else 'has gone'}", err=True)

    turnstile = Turnstile()
    links = {
        name: Link(reader, partial(hear, name, reader), partial(tell, name), turnstile)
        for name, reader in readers.items()
    }

    async def attend(name: str, link: Link) -> None:
        try:
            await link.run(stop)
        except OSError as error:
            click.echo(f"error: [scanner.{name}] {error.strerror}", err=True)
            unheard.append(name)
            if len(unheard) == len(links):
                stop.set()

    async with asyncio.TaskGroup() as group:
        for name, link in links.items():
            group.create_task(attend(name, link))
        group.create_task(_look(links, show, stop))
    if unheard:
        sys.exit(FAILURE)


async def _look(links: dict[str, Link], show: Callable[[str, Heard], None], stop: asyncio.Event) -> None:
    """Tell why a reader is not connected, whenever that changes, and show what ends no telegram."""
    told = dict.fromkeys(links, UNTRIED)
    while not stop.is_set():
        await asyncio.sleep(LOOK_S)
        for name, link in links.items():
            if link.error not in {"", UNTRIED, told[name]}:
                told[name] = link.error
                click.echo(f"{name}: {link.error}", err=True)
            if unended_yet := unended(link.unended, asyncio.get_running_loop().time()):
                show(name, unended_yet)


def _stopped_by_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _load(folder: Path) -> settings.Site:
    try:
        return settings.load(folder)
    except settings.SettingsRefused as error:
        _refuse(str(error))


def _site(folder: Path, names: Sequence[str]) -> tuple[settings.Site, list[str]]:
    site = _load(folder)
    unknown = [name for name in names if name not in site.plcs]
    if unknown:
        raise click.BadParameter(f"{unknown[0]} has no [plc.{unknown[0]}]; there are: {', '.join(site.plcs)}")
    return site, [name for name in site.plcs if not names or name in names]


async def _run(lines: list[service.Line], clock: Clock, daemon: str) -> dict[str, dict[str, Any]]:
    stop = _stopped_by_signal()
    gc.freeze()
    _tell("info", "started", lines=[line.runner.line for line in lines], daemon=daemon)
    done = await service.run(lines, clock, stop, _tell)
    _tell("info", "stopped", counts=done)
    return done


async def _probe(site: settings.Site, names: list[str], rate: float) -> list[probing.Findings]:
    return await asyncio.gather(*(probing.examine(name, site.plcs[name], rate=rate) for name in names))


def _print(findings: probing.Findings) -> None:
    click.echo(click.style(findings.line, bold=True) + f"  {findings.plc}, {findings.place}")
    if findings.reads:
        for name, value in _figures(findings):
            click.echo(f"  {name:<12}{value}")
    for word, colour, told in (("FAULT", "red", findings.faults), ("note", "yellow", findings.notes)):
        for one in told:
            click.echo(f"  {click.style(f'{word:<12}', fg=colour, bold=True)}{_wrapped(one.message)} [{one.fault}]")
            if one.do:
                click.echo(f"  {'  to do':<12}{_wrapped(one.do)}")
    if not findings.faults:
        well = "the PLC is well; see the notes" if findings.notes else "all is well"
        click.echo(f"  {click.style(well, fg='green', bold=True)}")


def _figures(findings: probing.Findings) -> Iterator[tuple[str, str]]:
    """What was seen of a PLC that answers, line by line."""
    if findings.epoch:
        beats = f"a new one every {findings.beat_ms:g} ms" if findings.beat_ms else "stands still"
        yield "program", f"epoch {findings.epoch}, line {findings.line_state}"
        yield "heartbeat", beats
        yield "clock", f"runs {findings.clock_rate:.2f} ms in a ms"
        yield "reports", f"{findings.reports}, of which {findings.unacknowledged} wait in the ring of {RING}"
        yield "orders", f"{findings.orders_taken} taken of host epoch {findings.host_epoch}"
    yield (
        "round trip",
        (
            f"{findings.read_ms:.1f} ms, p99 {findings.read_ms_p99:.1f}, at most {findings.read_ms_max:.1f} "
            f"({findings.reads} reads, {findings.unanswered} unanswered)"
        ),
    )
    yield "polling", f"at most {findings.polls_per_s_max:.0f} exchanges/s"


def _wrapped(text: str) -> str:
    """A sentence in the second column of a terminal."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    return textwrap.fill(text, width - 14, break_on_hyphens=False).replace("\n", "\n" + " " * 14)


def _tell(level: str, what: str, **fields: object) -> None:
    now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    shown = {name: value for name, value in fields.items() if value != ""}
    click.echo(json.dumps({"t": now, "level": level, "what": what, **shown}, ensure_ascii=False), err=True)


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(REFUSED)


if __name__ == "__main__":
    main()
