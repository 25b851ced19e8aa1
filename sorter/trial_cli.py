"""`sorter rules check`, `explain`, `diff`, `two-pass`: what tables say, and what they would do, before they sort."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

from sorter import publishing
from sorter.ledger.reader import Reader
from sorter.publish_cli import Minute, clock_of
from sorter.publishing import CURRENT, DRAFT
from sorter.reasons import SENTENCES, Declined, Language, Reason, Said, Sentence
from sorter.records import SortPlan
from sorter.rulebook import Checked, Finding, Rejected, compile_plan
from sorter.rulebook.books.writing import write_folder
from sorter.rulebook.check import check_sheets
from sorter.rulebook.compile import names_of
from sorter.rulebook.review.worth_a_look import review
from sorter.rulebook.rows import STATION_KINDS
from sorter.rulebook.trial import planned, recorded, routing
from sorter.rulebook.trial.diff import row_changes, traffic_diff
from sorter.rulebook.trial.explain import MONDAY_MORNING_MIN, NOW, WEEK_MIN, Explanation, Question, question_of
from sorter.rulebook.trial.explain import explain as explain_parcel
from sorter.rulebook.trial.recorded import Recorded
from sorter.rulebook.two_pass.figures import first_loads, second_loads
from sorter.rulebook.two_pass.free_chutes import free_chutes, own_chutes
from sorter.rulebook.two_pass.kept_rules import rejecting
from sorter.rulebook.two_pass.pass_tables import tables as tables_of
from sorter.rulebook.two_pass.pins import read_pins
from sorter.rulebook.two_pass.planned_stations import stations_of
from sorter.rulebook.two_pass.planning import TwoPass, plan_two_pass
from sorter.rulebook.two_pass.request import Volumes, count_volumes
from sorter.rulebook.two_pass.summary import Summary
from sorter.rulebook.two_pass.summary import summary as summary_of
from sorter.site import Site
from sorter.site import load as load_site
from sorter.terminal import REFUSED, json_option, language_option, refusals, site_option, tell

KIND_TOLD_MAX: Final = 4
LOST_TOLD_MAX: Final = 5
DAYS_TOLD_MAX: Final = 7
PASSES: Final[tuple[Literal[1, 2], ...]] = (1, 2)

Command = TypeVar("Command", bound=Callable[..., Any])

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
_EMPTY_DAY: Final = Sentence(
    "账本里 {day} 没有包裹；有包裹的日子：{days}", "the ledger holds no parcel of {day}; the days it has: {days}"
)
_STRANGE: Final = Sentence(
    "这些包裹的分拣线（{lines}）规则表里都没有：这是别的场地的记录，请换 --traffic",
    "the tables know none of the lines of these parcels ({lines}): it is traffic of another site; give another "
    "--traffic",
)
_SEVERAL_DAYS: Final = Sentence(
    "这些包裹是 {days} 天的，各天的钟点会混在一起；请用一天的记录",
    "these parcels are of {days} days, whose hours would be mixed; give those of one day",
)
_NO_VOLUMES: Final = Sentence(
    "记录里没有分拣线 {line} 上发往这些站点的包裹，没有件量可依；请换一天，或换 --line、--kind",
    "none of the parcels on line {line} is for one of these stations, so there are no volumes to plan by; "
    "give another day, --line or --kind",
)
_LOST: Final = Sentence(
    "注意：第一遍里有 {items} 件现在有格口、那时没有，会转到最大圈数或去异常口。"
    "按分拣线：{by_line}；按站点：{by_station}；按现在的路向：{by_lane}",
    "look out: {items} parcels that have a chute now have none in pass one and go round or to an exception chute; "
    "by line: {by_line}; by station: {by_station}; by the lane they have now: {by_lane}",
)
_LEFT_OUT: Final = Sentence(
    "注意：规则 {rows} 拒收，但上面有分拣这些站点的规则，没有带入两遍的规则表；要保留就移到它们上面",
    "look out: rules {rows} reject, but stand below rules that sort these stations, and are left out of both passes; "
    "to keep one, move it above those",
)
_SAME: Final = Sentence("规则表没有变化", "the tables say the same")
_NOT_READ: Final = Sentence("账本里没有运单 {waybill}", "waybill {waybill} is not in the ledger")
_HAPPENED: Final = Sentence(
    "账本里当时的决定：{reason}，规则 {row}，格口 {chute}（方案 {plan}）",
    "the ledger says what was decided: {reason}, rule {row}, chute {chute} (plan {plan})",
)
_DIFFERS: Final = Sentence(
    "与上面的解释不同。可能因为：承运商预报了重量而没有称重（账本不留预报的重量，可用 --weight-g 补上）；"
    "当时是另一个方案；班次已满或已过，格口满了或锁着；包裹绕圈后再读；或您改写了它的内容",
    "that differs from the explanation above. Likely: the carrier declared a weight and none was measured (the ledger "
    "does not keep it; give --weight-g); another plan sorted; a trip was full or gone, a chute full or locked; it was "
    "read again after a lap; or you replaced some of what it had",
)
_WRITTEN: Final = Sentence(
    "两遍的规则表已写到 {first} 和 {second}；用 sorter rules import 逐一导入、检查、发布",
    "the rule sets of both passes are in {first} and {second}; import, check and publish them one after the other",
)


class Chutes(click.ParamType[tuple[int, ...]]):
    """Chutes by number, single and in spans."""

    name = "101,103..116"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """`101,103..105` is 101, 103, 104, 105; what is twice is taken once."""
        if not isinstance(value, str):
            return tuple(value)
        found: dict[int, None] = {}
        for part in filter(None, (part.strip() for part in value.replace("，", ",").split(","))):
            span = re.fullmatch(r"(\d{1,5})(?:(?:\.\.|-)(\d{1,5}))?", part)
            if not span:
                self.fail(f'"{part}" is no chute; write 101,103..116', param, ctx)
            found |= dict.fromkeys(range(int(span[1]), int(span[2] or span[1]) + 1))
        if not found:
            self.fail(f'"{value}" names no chute; write 101,103..116', param, ctx)
        return tuple(found)


def plan_option(default: str) -> Callable[[Command], Command]:
    """Which plan is meant."""
    return click.option(
        "--plan",
        default=default,
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


def checked_of(site: Site, name: str, places_mm: Mapping[str, range] = {}) -> tuple[Checked, list[Finding]]:
    """The checked rows of a plan's name, and what reading them found worth a look. Raises as publishing.source.

    `places_mm` as in check_sheets: what is only looked at may be of another geometry.
    """
    book = publishing.source(site, name, clock_of(site))
    return check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults, places_mm), book.findings


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
            checked, findings = checked_of(site, plan, site.places_mm)
            version = compile_plan(checked, None).version
            findings += publishing.zeros_lost(site, clock_of(site)) if plan == DRAFT else ()
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
@click.option("--weight-g", type=click.IntRange(0))
@click.option("--length-mm", type=click.IntRange(0))
@click.option("--weekday", type=click.IntRange(1, 7), help="1 is Monday.  [default: today]")
@click.option("--time", "minute", type=Minute(), help="Local time.  [default: now]")
@click.option("--cancelled", is_flag=True, default=None)
@click.option("--intercepted", is_flag=True, default=None)
@click.option("--expected", type=int, metavar="ROW", help="The rule that should have won: why did it not?")
@plan_option(CURRENT)
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
        question, happened = asked_of_ledger(site, waybill, checked) if waybill else (Question(), {})
        typed = {name: value for name, value in given.items() if value not in (None, ())}
        if "weekday" in typed:
            typed["weekday"] -= 1
        question = question._replace(**typed)
        now_min = MONDAY_MORNING_MIN
        if NOW in {question.weekday, question.minute}:
            now_min = week_min(clock_of(site)() + site.utc_offset_ns)
        explanation = explain_parcel(checked, question, expected, now_min)
    answer = explanation.as_json(language)
    lines = [explanation.told(language)]
    if happened:
        answer["happened"] = happened
        lines += [said.told(language) for said in what_happened(explanation, happened)]
    tell(answer, "\n".join(lines), as_json=as_json)


def week_min(local_ns: int) -> int:
    """The minute of the week, which begins on Monday."""
    return (local_ns // routing.MINUTE_NS + routing.EPOCH_WEEKDAY * routing.DAY_MIN) % WEEK_MIN


def asked_of_ledger(site: Site, waybill: str, checked: Checked) -> tuple[Question, dict[str, Any]]:
    """The last parcel of a waybill as it was read, and what was decided of it; {}: nothing was.

    A station that its label names is not taken for an advice. Raises Declined when there is none, NotReady.
    """
    with Reader(site.ledger) as reader:
        parcel = reader.parcel(waybill.strip().upper())
        trace = reader.trace(waybill)
    if parcel is None or trace is None:
        raise Declined(_NOT_READ.about(waybill=waybill))
    found = recorded.of_parcels([parcel])
    bare = routing.without_labelled(compile_plan(checked, None), found)
    if bare.station[0] != found.station[0]:
        parcel = parcel._replace(advice=None)
    decision = trace["items"][-1]["decision"] or {}
    return question_of(parcel, checked), decision


def what_happened(explanation: Explanation, happened: Mapping[str, Any]) -> Iterator[Said]:
    """What the ledger says was decided, and why that may differ from the explanation."""
    reason = Reason[happened["reason"].upper()]
    row, chute = happened["row"] or 0, happened["chute"]
    yield _HAPPENED.about(
        reason=SENTENCES[reason], row=row or "-", chute="-" if chute is None else chute, plan=happened["plan"][:12]
    )
    if (reason, row) != (explanation.reason, explanation.row) or chute not in explanation.chutes:
        yield _DIFFERS.about()


def traffic_of(site: Site, name: str, plans: Sequence[SortPlan]) -> Recorded:
    """Recorded parcels: of a file, or of a local day of the ledger, by default its last.

    A station that a label names by the sort codes of one of `plans` is taken as named by the label.
    Raises Declined, NotParcels, NotReady.
    """
    if Path(name).is_file():
        found = recorded.read(Path(name))
    else:
        found = day_of(site, name)
        for sort_plan in plans:
            found = routing.without_labelled(sort_plan, found)
    if not {line for sort_plan in plans for line in sort_plan.names.lines} & set(found.lines):
        raise Declined(_STRANGE.about(lines=", ".join(found.lines)))
    return found


def day_of(site: Site, name: str) -> Recorded:
    """The parcels of a local day of the ledger, "": its last. Raises Declined, NotReady."""
    with Reader(site.ledger) as reader:
        days = reader.days()
        day = name or max(days, default="")
        if not day:
            raise Declined(_NO_DAY.about())
        try:
            found = recorded.of_parcels(reader.parcels(day))
        except ValueError as error:
            raise Declined(_NO_TRAFFIC.about(text=name)) from error
    if not found.items:
        raise Declined(_EMPTY_DAY.about(day=day, days=", ".join(days[-DAYS_TOLD_MAX:]) or "-"))
    return found


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
        names = names_of(after, names_of(before, None))  # what only one of them knows moves nothing by being unknown
        old_plan, new_plan = compile_plan(before, names), compile_plan(after, names)
        moves = traffic_diff(old_plan, new_plan, traffic_of(site, traffic, [old_plan, new_plan]))
    rows = [change.told(language) for change in changes] or [_SAME.told(language)]
    answer = moves.as_json() | {"rows": [change.as_json() for change in changes]}
    tell(answer, "\n".join([*rows, "", moves.told(language)]), as_json=as_json)


@click.command(name="two-pass")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--line", required=True, help="The line whose chutes are used, and whose parcels count.")
@click.option(
    "--kind",
    default="village",
    show_default=True,
    type=click.Choice([*STATION_KINDS]),
    help="The stations of this kind are planned.",
)
@click.option("--chutes", type=Chutes(), default=(), help="Only these.  [default: those of the stations' own lanes]")
@click.option("--pins", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A CSV of what is fixed.")
@plan_option(DRAFT)
@traffic_option
@site_option
@language_option
@json_option
def two_pass(*, out: Path, folder: Path, language: Language, as_json: bool, **asked: Any) -> None:
    """Plan more stations than chutes: the rule sets of a first and a second pass go to OUT.

    Example: sorter rules two-pass waves --line L1 --traffic 2026-11-11
    """
    with refusals(language):
        site = load_site(folder)
        book = publishing.source(site, asked["plan"], clock_of(site))
        checked = check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults)
        stations = stations_of(checked, asked["kind"])
        line, only = asked["line"], asked["chutes"]
        chutes = free_chutes(checked, line, only) if only else own_chutes(checked, line, stations)
        fixed = read_pins(asked["pins"], checked) if asked["pins"] else []
        draft = compile_plan(checked, None)
        found = one_day(traffic_of(site, asked["traffic"], [draft]), site.utc_offset_ns)
        volumes = count_volumes(stations, planned.places_of(draft, found, line))
        if not volumes.items.any():
            raise Declined(_NO_VOLUMES.about(line=line))
        plan = plan_two_pass(volumes, chutes, fixed)
        summary = summary_of(volumes, chutes, fixed, plan)
        stay, left_out = rejecting(checked, stations)
        folders = [out / "pass1", out / "pass2"]
        sheets = [tables_of(book.sheets, plan, number, stay, language=language) for number in PASSES]
        first_plan = compile_plan(check_sheets(sheets[0], site.lines, site.utc_offset_ns, []), draft.names)
        lost = planned.lost(draft, first_plan, found)
        for tables, to in zip(sheets, folders, strict=True):
            write_folder(tables, to)
    answer = two_pass_json(volumes, plan, summary) | {"lost": lost._asdict(), "rules_left_out": left_out}
    lines = [said.told(language) for said in (*summary.lines, *warnings_of(lost, left_out))]
    lines.append(_WRITTEN.about(first=folders[0], second=folders[1]).told(language))
    tell(answer, "\n".join(lines), as_json=as_json)


def one_day(found: Recorded, utc_offset_ns: int) -> Recorded:
    """The parcels, of one local day. Raises Declined when they are of several, whose hours would be mixed."""
    days = planned.local_days(found, utc_offset_ns)
    if days > 1:
        raise Declined(_SEVERAL_DAYS.about(days=days))
    return found


def two_pass_json(volumes: Volumes, plan: TwoPass, summary: Summary) -> dict[str, Any]:
    """A two-pass plan as scripts read it; `first_items` are parcels a chute and hour, `second_items` a chute."""
    return {
        "ours": summary.ours._asdict(),
        "bounds": summary.bounds._asdict(),
        "baseline": summary.baseline._asdict(),
        "chutes": list(plan.chutes),
        "direct": dict(plan.direct),
        "groups": {str(chute): list(stations) for chute, stations in plan.groups.items()},
        "second": dict(plan.second),
        "first_items": {str(chute): load.tolist() for chute, load in first_loads(plan, volumes).items()},
        "second_items": {str(chute): items for chute, items in second_loads(plan, volumes).items()},
    }


def warnings_of(lost: planned.Lost, left_out: Sequence[int]) -> Iterator[Said]:
    """What the first pass does to others than the planned parcels of its line."""
    if lost.items:
        by = {name: named_counts(counts) for name, counts in lost._asdict().items() if name != "items"}
        yield _LOST.about(items=lost.items, **by)
    if left_out:
        yield _LEFT_OUT.about(rows=", ".join(map(str, left_out)))


def named_counts(counts: Mapping[str, int]) -> str:
    """`LH-06 30, LOC-1 7`, and how many names more."""
    told = ", ".join(f"{name} {items}" for name, items in list(counts.items())[:LOST_TOLD_MAX])
    return f"{told} (+{len(counts) - LOST_TOLD_MAX})" if len(counts) > LOST_TOLD_MAX else told
