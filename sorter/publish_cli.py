"""`sorter rules publish` and what belongs to it: which plan sorts, since when, by whose word, and back again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from sorter import publishing
from sorter.clock import Clock
from sorter.publishing import Order
from sorter.reasons import Language, Sentence
from sorter.rulebook import history
from sorter.rulebook.history import ONCE, Act, Deed
from sorter.site import Site
from sorter.site import load as load_site
from sorter.terminal import account, control, json_option, language_option, refusals, site_option, tell
from sorter.wire.control import Unreachable
from sorter.words import local

NICENESS: Final = 10  # a plan is compiled beside a belt that runs
LOOK_S: Final = 1.0
_MINUTE_NS: Final = 60 * 10**9
_DAY_NS: Final = 24 * 60 * _MINUTE_NS

_IN_FORCE: Final = Sentence(
    "方案 {version} 已启用（第{plan}号方案）", "plan {version} is in force (plan number {plan})"
)
_AT_START: Final = Sentence(
    "分拣程序没有运行；方案 {version} 在它启动时启用",
    "the daemon is not running; plan {version} takes force when it starts",
)
_AT: Final = Sentence(
    "方案 {version} 将于 {when} 启用（第{number}号）", "plan {version} takes force at {when} (number {number})"
)
_DAILY: Final = Sentence(
    "方案 {version} 每天 {when} 启用（第{number}号）",
    "plan {version} takes force every day at {when} (number {number})",
)
_PROPOSED: Final = Sentence(
    "方案 {version} 等待另一个人批准：sorter rules approve {number}",
    "plan {version} waits for another person: sorter rules approve {number}",
)
_CANCELLED: Final = Sentence("第{number}号已取消", "number {number} is cancelled")
_DEEDS: Final = {
    Deed.PUBLISH: Sentence("发布", "published"),
    Deed.PROPOSE: Sentence("提交", "proposed"),
    Deed.APPROVE: Sentence("批准第{of}号", "approved {of}"),
    Deed.ROLLBACK: Sentence("恢复", "rolled back"),
    Deed.CANCEL: Sentence("取消第{of}号", "cancelled {of}"),
}

why_option = click.option("--why", default="", metavar="TEXT", help="The reason, for the history.")


class At(click.ParamType[tuple[str, int]]):
    """`06:00`, the next time it is that late, or `2026-11-12 06:00`; local time."""

    name = "[DATE ]HH:MM"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """The day, or "", and the minute of the day."""
        found = re.fullmatch(r"(?:(\d{4}-\d{2}-\d{2})[ T])?([01]?\d|2[0-3])[:：]([0-5]\d)", value.strip())
        if not found:
            self.fail(f'"{value}" is not a time; write 06:00 or "2026-11-12 06:00"', param, ctx)
        return found[1] or "", int(found[2]) * 60 + int(found[3])


class Minute(click.ParamType[int]):
    """A time of the day as its minute."""

    name = "HH:MM"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """08:30 is 510."""
        return At().convert(value, param, ctx)[1]


def next_ns(at: tuple[str, int], now_ns: int, offset_ns: int) -> int:
    """The moment of site time that is meant."""
    day, minute = at
    if day:
        midnight_ns = round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 10**9 - offset_ns
        return midnight_ns + minute * _MINUTE_NS
    midnight_ns = (now_ns + offset_ns) // _DAY_NS * _DAY_NS - offset_ns
    at_ns = midnight_ns + minute * _MINUTE_NS
    return at_ns if at_ns >= now_ns else at_ns + _DAY_NS


def site_now_ns(site: Site) -> int:
    """The daemon's time; that of this machine when it does not run."""
    try:
        with closing(control(site, LOOK_S)) as daemon:
            return int(daemon.call("plan")["t_ns"])
    except Unreachable:
        return Clock().now_ns()


@click.command()
@why_option
@click.option("--at", type=At(), help="When it takes force, local time.  [default: now]")
@click.option("--daily", is_flag=True, help="Every day at that time, until the next plan's: a plan for a wave.")
@site_option
@language_option
@json_option
def publish(
    *, why: str, at: tuple[str, int] | None, daily: bool, folder: Path, language: Language, as_json: bool
) -> None:
    """Check the draft and sort by it: between two parcels, now or at a time.

    \b
    Example: sorter rules publish --why "双龙镇改走大昌货车"
             sorter rules publish --at 06:00
             sorter rules publish --at 14:00 --daily --why "下午波次"
    """
    if daily and (at is None or at[0]):
        raise click.UsageError("--daily needs --at HH:MM")
    os.nice(NICENESS)
    with refusals(language):
        site = load_site(folder)
        now_ns = site_now_ns(site)
        at_ns = now_ns if daily or at is None else next_ns(at, now_ns, site.utc_offset_ns)
        order = Order(account(), why, now_ns, at_ns, at[1] if daily and at else ONCE)
        finish(site, publishing.publish(site, order), now_ns, language, as_json=as_json)


@click.command()
@click.argument("number", type=int)
@why_option
@site_option
@language_option
@json_option
def approve(number: int, why: str, folder: Path, language: Language, as_json: bool) -> None:
    """Let proposal NUMBER of another person take force."""
    act_on(folder, language, lambda site, order: publishing.approve(site, number, order), why, as_json=as_json)


@click.command()
@click.argument("number", type=int)
@why_option
@site_option
@language_option
@json_option
def cancel(number: int, why: str, folder: Path, language: Language, as_json: bool) -> None:
    """Take back NUMBER: a proposal, or a plan that is still to come or comes every day."""
    act_on(folder, language, lambda site, order: publishing.cancel(site, number, order), why, as_json=as_json)


@click.command()
@click.argument("version", default="")
@why_option
@site_option
@language_option
@json_option
def rollback(version: str, why: str, folder: Path, language: Language, as_json: bool) -> None:
    """Sort by the plan before the present one again, or by an earlier VERSION."""
    act_on(folder, language, lambda site, order: publishing.rollback(site, order, version), why, as_json=as_json)


def act_on(folder: Path, language: Language, act: Callable[[Site, Order], Act], why: str, *, as_json: bool) -> None:
    """Do an act at the present time and tell what came of it."""
    os.nice(NICENESS)
    with refusals(language):
        site = load_site(folder)
        now_ns = site_now_ns(site)
        finish(site, act(site, Order(account(), why, now_ns)), now_ns, language, as_json=as_json)


class Outcome(NamedTuple):
    """What became of an act."""

    state: str  # in_force, at_start, timed, daily, proposed, cancelled
    plan: int | None  # the plan's number in the journal


def finish(site: Site, act: Act, now_ns: int, language: Language, *, as_json: bool) -> None:
    """Bring what is due now to the daemon, and tell."""
    outcome = settle(site, act, now_ns)
    sentence = {
        "in_force": _IN_FORCE,
        "at_start": _AT_START,
        "timed": _AT,
        "daily": _DAILY,
        "proposed": _PROPOSED,
        "cancelled": _CANCELLED,
    }[outcome.state]
    text = sentence.about(
        version=act.version[:12],
        number=act.of if act.deed == Deed.CANCEL else act.number,
        plan=outcome.plan,
        when=clock_text(act.daily_min) if act.daily_min != ONCE else local(act.at_ns, site.utc_offset_ns),
    )
    tell(act._asdict() | outcome._asdict(), text.told(language), as_json=as_json)


def settle(site: Site, act: Act, now_ns: int) -> Outcome:
    """Whatever the history now calls for is handed to the daemon, if it runs."""
    if act.deed == Deed.PROPOSE:
        return Outcome("proposed", None)
    wanted, turn = publishing.in_force(site, now_ns)
    try:
        with closing(control(site, LOOK_S)) as daemon:
            number = publishing.hand_over(daemon, wanted.checked, turn)
    except Unreachable:
        number = None
    if act.deed == Deed.CANCEL:
        return Outcome("cancelled", number)
    if act.daily_min != ONCE:
        return Outcome("daily", number)
    if act.at_ns > now_ns:
        return Outcome("timed", number)
    return Outcome("at_start" if number is None else "in_force", number)


def clock_text(minute: int) -> str:
    """A minute of the day as 06:00."""
    return f"{minute // 60:02}:{minute % 60:02}"


@click.command(name="history")
@site_option
@language_option
@json_option
def show_history(folder: Path, language: Language, as_json: bool) -> None:
    """Who put which plan in force, when and why; what waits and what is to come."""
    with refusals(language):
        site = load_site(folder)
        acts = history.read(site.plans)
        now_ns = site_now_ns(site)
    force = history.in_force(acts, now_ns, site.utc_offset_ns)
    coming = {act.number for act in history.to_come(acts, now_ns, site.utc_offset_ns)}
    waiting = {act.number for act in history.waiting(acts)}
    rows: list[dict[str, Any]] = []
    for act in acts:
        state = "in_force" if force and act.number == force.number else ""
        state = state or ("waiting" if act.number in waiting else "to_come" if act.number in coming else "")
        rows.append(act._asdict() | {"state": state})
    lines = [history_line(row, site.utc_offset_ns, language) for row in reversed(rows)]
    tell(rows, "\n".join(lines), as_json=as_json)


_STATES: Final = {
    "in_force": Sentence("正在使用", "in force"),
    "waiting": Sentence("等待批准", "waits for approval"),
    "to_come": Sentence("将于 {when} 启用", "takes force at {when}"),
    "": Sentence("", ""),
}
_EVERY_DAY: Final = Sentence("每天 {when}", "{when} every day")


def history_line(row: dict[str, Any], offset_ns: int, language: Language) -> str:
    """One act: number, when, what, which version, who, why, and how it stands."""
    when: Any = local(row["at_ns"], offset_ns)
    if row["daily_min"] != ONCE:
        when = _EVERY_DAY.about(when=clock_text(row["daily_min"]))
    deed = _DEEDS[Deed(row["deed"])].about(of=row["of"]).told(language)
    state = _STATES[row["state"]].about(when=when).told(language)
    parts = (local(row["t_ns"], offset_ns), deed, row["version"][:12], row["by"], row["why"], state)
    return "  ".join([f"{row['number']:>4}", *filter(None, parts)])
