"""`sorter rules check`, `explain`, `diff`, `two-pass`: what tables say, and what they would do, before they sort."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from sorter import publishing
from sorter.ledger.reader import Reader
from sorter.publish_cli import Minute, clock_of
from sorter.publishing import CURRENT, DRAFT
from sorter.reasons import Declined, Language, Sentence
from sorter.records import NONE_16, SortPlan
from sorter.rulebook import Checked, Finding, Rejected, compile_plan
from sorter.rulebook.books.writing import write_folder
from sorter.rulebook.check import check_sheets
from sorter.rulebook.review.worth_a_look import review
from sorter.rulebook.trial import recorded, routing
from sorter.rulebook.trial.diff import row_changes, traffic_diff
from sorter.rulebook.trial.explain import Question, question_of
from sorter.rulebook.trial.explain import explain as explain_parcel
from sorter.rulebook.trial.recorded import Recorded
from sorter.rulebook.two_pass import planning as passes
from sorter.rulebook.two_pass.pins import read_pins
from sorter.site import Site
from sorter.site import load as load_site
from sorter.terminal import REFUSED, json_option, language_option, refusals, site_option, tell

KIND_TOLD_MAX: Final = 4

_RIGHT: Final = Sentence("规则表没有错误；方案 {version}", "the tables have no error; plan {version}")
_ERRORS: Final = Sentence("{count} 处错误，改正后才能发布", "errors: {count}; correct them before publishing")
_LOOK: Final = Sentence("另有 {count} 处值得看一看：", "worth a look: {count}")
_MORE: Final = Sentence("……同类还有 {count} 处，--json 列出全部", "… and {count} more of this kind; --json lists all")
_NO_DAY: Final = Sentence(
    "账本里还没有包裹；用 --traffic 指定 parcels.ndjson",
    "the ledger holds no parcel yet; name a parcels.ndjson by --traffic",
)
_NO_TRAFFIC: Final = Sentence(
    "{text} 既不是日期也不是文件；写 2026-11-11 或 parcels.ndjson 的路径",
    "{text} is neither a day nor a file; write 2026-11-11 or the path of a parcels.ndjson",
)
_SAME: Final = Sentence("规则表没有变化", "the tables say the same")
_NOT_READ: Final = Sentence("账本里没有运单 {waybill}", "waybill {waybill} is not in the ledger")
_WRITTEN: Final = Sentence(
    "两遍的规则表已写到 {first} 和 {second}；用 sorter rules import 逐一导入、检查、发布",
    "the rule sets of both passes are in {first} and {second}; import, check and publish them one after the other",
)

plan_option = click.option(
    "--plan",
    default=CURRENT,
    show_default=True,
    metavar="PLAN",
    help="draft, current, a version, a folder, an .xlsx.",
)
traffic_option = click.option(
    "--traffic",
    default="",
    metavar="DAY|FILE",
    help="A day of the ledger, or a parcels.ndjson.  [default: last]",
)


def checked_of(site: Site, name: str) -> tuple[Checked, list[Finding]]:
    """The checked rows of a plan's name, and what reading them found worth a look. Raises as publishing.source."""
    book = publishing.source(site, name, clock_of(site))
    return check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults), book.findings


@click.command()
@click.argument("plan", default=DRAFT)
@site_option
@language_option
@json_option
def check(plan: str, folder: Path, language: Language, as_json: bool) -> None:
    """Check PLAN, by default the draft: every error at once, and what is worth a look.

    Example: sorter rules check table.xlsx --language zh
    """
    with refusals(language):
        site = load_site(folder)
        try:
            checked, findings = checked_of(site, plan)
            version = compile_plan(checked, None).version
        except Rejected as rejected:
            faults = [fault.as_json(language) for fault in rejected.errors]
            text = [rejected.told(language), _ERRORS.about(count=len(faults)).told(language)]
            tell({"errors": faults, "findings": [], "plan": None}, "\n".join(text), as_json=as_json)
            sys.exit(REFUSED)
    findings += review(checked)
    answer = {"errors": [], "findings": [finding.as_json(language) for finding in findings], "plan": version}
    lines = [_RIGHT.about(version=version[:12]).told(language), *told_findings(findings, language)]
    tell(answer, "\n".join(lines), as_json=as_json)


def told_findings(findings: Sequence[Finding], language: Language) -> list[str]:
    """The first few of each kind, and how many more there are."""
    lines = [_LOOK.about(count=len(findings)).told(language)] if findings else []
    of_kind = Counter(finding.kind for finding in findings)
    told: Counter[str] = Counter()
    for finding in findings:
        told[finding.kind] += 1
        if told[finding.kind] <= KIND_TOLD_MAX:
            lines.append(finding.told(language))
        elif told[finding.kind] == of_kind[finding.kind]:
            lines.append(_MORE.about(count=of_kind[finding.kind] - KIND_TOLD_MAX).told(language))
    return lines


@click.command()
@click.option("--waybill", default="", help="A parcel of the ledger; what else is given replaces what it had.")
@click.option("--code", "codes", multiple=True, help="A code on the label; several times for several codes.")
@click.option("--line")
@click.option("--carrier")
@click.option("--station")
@click.option("--service")
@click.option("--flow", type=click.Choice(["inbound", "outbound"]))
@click.option("--weight-g", type=int)
@click.option("--length-mm", type=int)
@click.option("--weekday", type=click.IntRange(1, 7), help="1 is Monday.")
@click.option("--time", "minute", type=Minute(), help="Local time.")
@click.option("--cancelled", is_flag=True, default=None)
@click.option("--intercepted", is_flag=True, default=None)
@click.option("--expected", type=int, metavar="ROW", help="The rule that should have won: why did it not?")
@plan_option
@site_option
@language_option
@json_option
def explain(
    *, waybill: str, expected: int | None, plan: str, folder: Path, language: Language, as_json: bool, **given: Any
) -> None:
    """Tell step by step where a parcel goes and why: a waybill of the ledger, or what is typed.

    \b
    Example: sorter rules explain --waybill YT1234567890123
             sorter rules explain --carrier YTO --station V001 --weight-g 800 --time 08:30 --expected 120
    """
    with refusals(language):
        site = load_site(folder)
        checked, _ = checked_of(site, plan)
        question = asked_of_ledger(site, waybill) if waybill else Question()
        typed = {name: value for name, value in given.items() if value not in (None, ())}
        if "weekday" in typed:
            typed["weekday"] -= 1
        explanation = explain_parcel(checked, question._replace(**typed), expected)
    tell(explanation.as_json(language), explanation.told(language), as_json=as_json)


def asked_of_ledger(site: Site, waybill: str) -> Question:
    """The last parcel of a waybill as it was read. Raises Declined when there is none, NotReady."""
    with Reader(site.ledger) as reader:
        parcel = reader.parcel(waybill.strip().upper())
    if parcel is None:
        raise Declined(_NOT_READ.about(waybill=waybill))
    return question_of(parcel, site.utc_offset_ns)


def traffic_of(site: Site, name: str, sort_plan: SortPlan) -> Recorded:
    """Recorded parcels: of a file, or of a local day of the ledger, by default its last.

    `sort_plan`: what decided then. Raises Declined, NotParcels, NotReady.
    """
    if Path(name).is_file():
        return recorded.read(Path(name))
    with Reader(site.ledger) as reader:
        day = name or max(reader.days(), default="")
        if not day:
            raise Declined(_NO_DAY.about())
        try:
            found = recorded.of_parcels(reader.parcels(day))
        except ValueError as error:
            raise Declined(_NO_TRAFFIC.about(text=name)) from error
    return routing.without_labelled(sort_plan, found)


@click.command()
@click.argument("old", default=CURRENT)
@click.argument("new", default=DRAFT)
@traffic_option
@site_option
@language_option
@json_option
def diff(*, old: str, new: str, traffic: str, folder: Path, language: Language, as_json: bool) -> None:
    """Compare two plans: row by row, and on a day's parcels; by default the draft with what sorts now.

    \b
    Example: sorter rules diff
             sorter rules diff current draft --traffic 2026-11-11
    """
    with refusals(language):
        site = load_site(folder)
        before, after = (checked_of(site, name)[0] for name in (old, new))
        changes = row_changes(before, after)
        old_plan = compile_plan(before, None)
        moves = traffic_diff(old_plan, compile_plan(after, old_plan.names), traffic_of(site, traffic, old_plan))
    rows = [change.told(language) for change in changes] or [_SAME.told(language)]
    answer = moves.as_json() | {"rows": [change.as_json() for change in changes]}
    tell(answer, "\n".join([*rows, "", moves.told(language)]), as_json=as_json)


@click.command(name="two-pass")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--line", required=True, help="The line whose chutes are used.")
@click.option("--kind", default="village", show_default=True, help="The stations of this kind are planned.")
@click.option("--without", default="", metavar="101,102", help="Chutes to leave out, beside those of exceptions.")
@click.option("--pins", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A CSV of what is fixed.")
@traffic_option
@site_option
@language_option
@json_option
def two_pass(
    *,
    out: Path,
    line: str,
    kind: str,
    without: str,
    pins: Path | None,
    traffic: str,
    folder: Path,
    language: Language,
    as_json: bool,
) -> None:
    """Plan more stations than chutes: the rule sets of a first and a second pass go to OUT.

    Example: sorter rules two-pass waves --line L1 --traffic 2026-11-11
    """
    with refusals(language):
        site = load_site(folder)
        book = publishing.source(site, DRAFT, clock_of(site))
        checked = check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults)
        chutes = passes.free_chutes(checked, line, numbers(without))
        fixed = read_pins(pins, checked) if pins else []
        volumes = volumes_of(site, checked, kind, traffic)
        planned = passes.plan_two_pass(volumes, chutes, fixed)
        summary = passes.summary(volumes, chutes, fixed, planned)
        folders = [out / "pass1", out / "pass2"]
        write_folder(passes.tables(book.sheets, planned, 1, language=language), folders[0])
        write_folder(passes.tables(book.sheets, planned, 2, language=language), folders[1])
    answer = {
        "ours": summary.ours._asdict(),
        "bounds": summary.bounds._asdict(),
        "baseline": summary.baseline._asdict(),
        "direct": dict(planned.direct),
        "groups": {str(chute): list(stations) for chute, stations in planned.groups.items()},
        "second": dict(planned.second),
    }
    lines = [said.told(language) for said in summary.lines]
    lines.append(_WRITTEN.about(first=folders[0], second=folders[1]).told(language))
    tell(answer, "\n".join(lines), as_json=as_json)


def numbers(text: str) -> list[int]:
    """The chutes of `101,102`."""
    try:
        return [int(part) for part in text.replace("，", ",").split(",") if part.strip()]
    except ValueError as error:
        raise click.BadParameter(f'"{text}" is not a list of chutes; write 101,102', param_hint="--without") from error


def volumes_of(site: Site, checked: Checked, kind: str, traffic: str) -> passes.Volumes:
    """Parcels a station and local hour, of the stations of a kind."""
    sort_plan = compile_plan(checked, None)
    found = traffic_of(site, traffic, sort_plan)
    hours = routing.local_minutes(found, site.utc_offset_ns) // 60 % 24
    known = found.station != NONE_16
    parcels = zip((found.stations[at] for at in found.station[known]), hours[known].tolist(), strict=True)
    stations = [row.station for row in checked.stations if row.kind == kind]
    return passes.count_volumes(stations, parcels)
