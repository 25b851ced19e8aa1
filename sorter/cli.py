"""The `sorter` command: every answer in words, or with --json as one object on stdout; logs go to stderr.

Exit codes: 0 ok, 1 failure, 2 usage, 3 the input was refused.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from sorter import __version__, demo, words
from sorter import report as render
from sorter.init import make_site
from sorter.ledger.journal import read
from sorter.ledger.reader import Reader
from sorter.reasons import Language
from sorter.records import Names
from sorter.rulebook import advice
from sorter.rules_cli import rules
from sorter.site import Site
from sorter.site import load as load_site
from sorter.terminal import (
    FAILURE,
    REFUSED,
    carry_out,
    clock_option,
    fail,
    json_option,
    order,
    refusals,
    site_option,
    tell,
)

VALUES_PER_ORDER: Final = 2000


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sorter")
def main() -> None:
    """Hub Sorter decides each parcel's chute, in time, and proves it afterwards.

    \b
    sorter demo                        watch a whole day go through
    sorter init my-hub                 make a site to edit
    sorter run --site my-hub           sort
    sorter trace --site my-hub YT1…    what happened to a parcel

    \b
    Shell completion: eval "$(_SORTER_COMPLETE=bash_source sorter)"
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)


main.add_command(rules)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def init(folder: Path, as_json: bool) -> None:
    """Make a new site in FOLDER: site.toml, the rule tables of the model site, a systemd unit.

    Example: sorter init my-hub
    """
    with refusals():
        written = make_site(folder, str(Path(sys.argv[0]).absolute()))
    text = f"{folder} is a new site. Edit its site.toml and rules/, then: sorter run --site {folder}"
    tell({"folder": str(folder), "files": [str(path) for path in written]}, text, as_json=as_json)


@main.command()
@site_option
@clock_option
def run(folder: Path, clock: str) -> None:
    """Run the daemon until SIGTERM; it drains what has arrived, then ends.

    Example: sorter run --site my-hub
    """
    from sorter.service import serve  # noqa: PLC0415 # imports the compiler; no other command waits for that

    with refusals():
        serve(load_site(folder), clock)


@main.command()
@site_option
def warm(folder: Path) -> None:
    """Compile the kernels for this machine now, so that no start waits for it. Once after each installation.

    Example: sorter warm --site my-hub
    """
    from sorter import service  # noqa: PLC0415 # imports the compiler; no other command waits for that

    with refusals():
        service.warm(load_site(folder))


@main.command(name="demo")
@click.option("--items", default=150_000, show_default=True, type=click.IntRange(100, 2_000_000))
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same day.")
@click.option("--folder", default=Path("demo-day"), show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--rate",
    default=demo.RATE,
    show_default=True,
    type=click.FloatRange(1, demo.RATE_MAX),
    help="How many times as fast as a real day.",
)
@click.option(
    "--dialect",
    default=demo.DIALECTS[0],
    show_default=True,
    type=click.Choice(demo.DIALECTS),
    help="What the emulated PLCs speak; loopback: no network between them and the adapter.",
)
@click.option(
    "--scenario",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    help="Faults of the day, such as rules/faults.toml.",
)
@json_option
def demo_command(
    *, items: int, seed: int, folder: Path, rate: float, dialect: str, scenario: Path | None, as_json: bool
) -> None:
    """Watch a day at the model hub: daemon, PLC adapter and emulated lines as real processes.

    \b
    Example: sorter demo
             sorter demo --items 5000 --json
             sorter demo --dialect s7 --scenario rules/faults.toml
    """
    day = demo.Day(folder.resolve(), items, seed, rate, dialect, scenario)
    with refusals(), words.progress() as show:
        figures, text = demo.run(day, show)
    tell(figures, text, as_json=as_json)
    if figures["missorted"] or figures["unaccounted"]:
        sys.exit(FAILURE)


@main.command()
@site_option
@json_option
def status(folder: Path, as_json: bool) -> None:
    """Show what the running daemon does: plan, items, chutes, trips, latency."""
    with refusals():
        answer = order(load_site(folder), "status")
    tell(answer, words.status(answer), as_json=as_json)


@main.command()
@click.argument("waybill")
@site_option
@json_option
def trace(waybill: str, folder: Path, as_json: bool) -> None:
    """Tell everything that happened to WAYBILL: scans, decision with its rule row, discharge."""
    with refusals():
        site = load_site(folder)
    with refusals(), Reader(site.ledger) as reader:
        found = reader.trace(waybill.strip().upper())
    if found is None:
        fail(FAILURE, f"{waybill} is not in the ledger: it was never read, advised or inducted here")
    tell(found, words.trace(found, site.utc_offset_ns), as_json=as_json)


@main.command()
@click.option("--day", default="", metavar="YYYY-MM-DD", help="The local day.  [default: the last day with items]")
@click.option("--html", type=click.Path(path_type=Path), help="Also write the report as a page with pictures.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@site_option
@json_option
def report(day: str, html: Path | None, language: Language, folder: Path, as_json: bool) -> None:
    """Add up a day: items by outcome, hour, lane, carrier and flow.

    Example: sorter report --day 2026-11-11 --html report.html
    """
    with refusals():
        site = load_site(folder)
    with refusals(), Reader(site.ledger) as reader:
        day = day or max(reader.days(), default="")
        if not day:
            fail(FAILURE, "no item was inducted yet, so there is no day to report")
        figures = reader.report(day)
    with refusals():
        if html:
            html.write_text(render.page(figures, site=site.name, language=language), encoding="utf-8")
    tell(asdict(figures), render.text(figures, site=site.name, language=language), as_json=as_json)


@main.command()
@site_option
@json_option
def replay(folder: Path, as_json: bool) -> None:
    """Decide the whole journal again and compare every decision byte for byte."""
    from sorter.replay import prove  # noqa: PLC0415 # imports the compiler; no other command waits for that

    with refusals():
        proof = prove(read(load_site(folder).ledger))
    answer = proof._asdict() | {"differences": [difference._asdict() for difference in proof.differences]}
    tell(answer, words.proof(answer), as_json=as_json)
    if proof.differences:
        sys.exit(FAILURE)


@main.command()
@click.option("--listen", default="127.0.0.1:9570", show_default=True, metavar="HOST:PORT")
@site_option
def metrics(listen: str, folder: Path) -> None:
    """Answer Prometheus's scrapes at http://HOST:PORT/metrics, beside the daemon.

    Example: sorter metrics --site my-hub --listen 127.0.0.1:9570
    """
    from sorter import metrics as exporter  # noqa: PLC0415 # starts a web server; no other command needs it

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise click.BadParameter(f'"{listen}" is not HOST:PORT', param_hint="--listen")
    with refusals():
        exporter.serve(load_site(folder).wire.live, host, int(port))


@main.group(name="advice")
def advice_group() -> None:
    """Carriers' advices."""


@advice_group.command(name="load")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--strict", is_flag=True, help="Load nothing when the file has a wrong row.")
@site_option
@json_option
def advice_load(file: Path, strict: bool, folder: Path, as_json: bool) -> None:
    """Load the advices of FILE (.csv, .tsv or .ndjson); wrong rows are listed and the rest is loaded.

    Example: sorter advice load --site my-hub advices.csv
    """
    with refusals():
        site = load_site(folder)
        plan = order(site, "plan")
        advices = advice.read(file, Names(**{key: tuple(values) for key, values in plan["names"].items()}))
        errors = [str(error) for error in advices.errors]
        if errors and strict:
            fail(REFUSED, "\n".join([*errors, f"{len(errors)} rows are wrong, so nothing was loaded (--strict)"]))
        answer = in_parts(site, "advice.load", "rows", advices.rows)
    answer["refused"] = [*errors, *(f"{advices.rows[at][0]}: {detail}" for at, detail in answer["refused"])]
    tell(answer, words.loaded("advices", answer), as_json=as_json)
    if answer["refused"]:
        sys.exit(REFUSED)


def in_parts(site: Site, verb: str, key: str, values: Sequence[Any]) -> dict[str, Any]:
    """Order a long list part by part; what was accepted, and each refused place with its sentence."""
    accepted, refused = 0, []
    for first in range(0, len(values), VALUES_PER_ORDER):
        part = order(site, verb, **{key: list(values[first : first + VALUES_PER_ORDER])})
        accepted += part["accepted"]
        refused += [(first + fault["place"], fault["detail"]) for fault in part["refused"]]
    return {"accepted": accepted, "refused": refused}


@main.group()
def intercept() -> None:
    """Waybills to hold back, wherever they are read."""


def intercept_options(command: Any) -> Any:
    """Waybills as arguments or one to a line of a file."""
    file = click.option("--file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="One to a line.")
    return click.argument("waybills", nargs=-1)(file(site_option(json_option(command))))


@intercept.command(name="add")
@intercept_options
def intercept_add(waybills: tuple[str, ...], file: Path | None, folder: Path, as_json: bool) -> None:
    """Send WAYBILLS to the intercept chute from now on."""
    change_intercepts("intercept.add", waybills, file, folder, as_json=as_json)


@intercept.command(name="remove")
@intercept_options
def intercept_remove(waybills: tuple[str, ...], file: Path | None, folder: Path, as_json: bool) -> None:
    """Let WAYBILLS pass again."""
    change_intercepts("intercept.remove", waybills, file, folder, as_json=as_json)


def change_intercepts(verb: str, named: Sequence[str], file: Path | None, folder: Path, *, as_json: bool) -> None:
    """Order the waybills named and those of a file."""
    with refusals():
        lines = file.read_text(encoding="utf-8-sig").splitlines() if file else []
        waybills = [waybill for text in (*named, *lines) if (waybill := text.strip()) and waybill != "waybill"]
        if not waybills:
            raise click.UsageError("name a waybill, or a file of them with --file")
        answer = in_parts(load_site(folder), verb, "waybills", waybills)
    answer["refused"] = [f"{waybills[at]}: {detail}" for at, detail in answer["refused"]]
    tell(answer, words.loaded("waybills", answer), as_json=as_json)
    if answer["refused"]:
        sys.exit(REFUSED)


@main.group()
def chute() -> None:
    """Lock, unlock and empty chutes."""


def chute_command(name: str, verb: str, help_text: str) -> None:
    """Add `sorter chute NAME NUMBER`."""

    @chute.command(name=name, help=help_text)
    @click.argument("number", type=int)
    @site_option
    @json_option
    def command(number: int, folder: Path, as_json: bool) -> None:
        with refusals():
            answer = carry_out(load_site(folder), verb, chute=number)
        tell(answer, words.ordered(f"chute {number}", verb), as_json=as_json)


chute_command("lock", "chute.lock", "Shut chute NUMBER; parcels go to the lane's other chutes.")
chute_command("unlock", "chute.unlock", "Open chute NUMBER again.")
chute_command("close", "chute.change", "The load unit of chute NUMBER was changed; the chute is empty again.")


@main.group()
def trip() -> None:
    """Departures."""


@trip.command(name="send")
@click.argument("lane")
@site_option
@json_option
def trip_send(lane: str, folder: Path, as_json: bool) -> None:
    """The current trip of LANE has left; parcels go to its next one."""
    with refusals():
        answer = carry_out(load_site(folder), "trip.send", lane=lane)
    tell(answer, words.ordered(f"lane {lane}", "trip.send"), as_json=as_json)


if __name__ == "__main__":
    main()
