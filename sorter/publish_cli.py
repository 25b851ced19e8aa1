"""`sorter rules publish` and what belongs to it: which plan sorts, since when, by whose word, and back again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final

import click

from sorter import publishing
from sorter.clock import Clock, local
from sorter.publishing import Order, Settled
from sorter.reasons import Language, Sentence
from sorter.records import Names
from sorter.rulebook.published import history
from sorter.rulebook.published.history import DAY_NS, MINUTE_NS, ONCE, Act, Deed
from sorter.site import Site
from sorter.site import load as load_site
from sorter.terminal import account, control, json_option, language_option, refusals, site_option, tell
from sorter.wire.control import Control, is_listened_at

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()

_IN_FORCE: Final = Sentence("方案 {version} 已启用（历史第{number}号）", "plan {version} is in force (number {number})")
_AT_START: Final = Sentence(
    "方案 {version} 已记录（历史第{number}号）；分拣程序没有应答，它一运行就启用",
    "plan {version} is noted (number {number}); the daemon does not answer and takes it as soon as it runs",
)
_AT: Final = Sentence(
    "方案 {version} 将于 {when} 启用（历史第{number}号）", "plan {version} takes force at {when} (number {number})"
)
_DAILY: Final = Sentence(
    "方案 {version} 每天 {when} 启用（历史第{number}号）",
    "plan {version} takes force every day at {when} (number {number})",
)
_PROPOSED: Final = Sentence(
    "方案 {version} 等待另一个人批准：sorter rules approve {number}",
    "plan {version} waits for another person: sorter rules approve {number}",
)
_CANCELLED: Final = Sentence("历史第{of}号已取消", "number {of} is cancelled")
_SORTS: Final = Sentence("现在使用方案 {version}", "plan {version} sorts now")
_THEN: Final = Sentence(
    "到 {when} 由历史第{number}号（{version}）接替", "at {when} number {number} ({version}) takes over"
)
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
        if not found or (found[1] and not _is_day(found[1])):
            self.fail(f'"{value}" is not a time; write 06:00 or "2026-11-12 06:00"', param, ctx)
        return found[1] or "", int(found[2]) * 60 + int(found[3])


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


class Minute(click.ParamType[int]):
    """A time of the day as its minute."""

    name = "HH:MM"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """08:30 is 510."""
        return At().convert(value, param, ctx)[1]


def next_ns(at: tuple[str, int], now_ns: int, offset_ns: int) -> int:
    """The moment of site time that is meant. Raises BadParameter when it has passed."""
    day, minute = at
    if day:
        midnight_ns = (date.fromisoformat(day).toordinal() - _EPOCH_DAY) * DAY_NS - offset_ns
    else:
        midnight_ns = (now_ns + offset_ns) // DAY_NS * DAY_NS - offset_ns
    at_ns = midnight_ns + minute * MINUTE_NS
    if at_ns < now_ns and day:
        raise click.BadParameter(f"{day} {clock_text(minute)} has passed; it is {local(now_ns, offset_ns)}")
    return at_ns if at_ns >= now_ns else at_ns + DAY_NS


def clock_text(minute: int) -> str:
    """A minute of the day as 06:00."""
    return f"{minute // 60:02}:{minute % 60:02}"


class Hub:
    """A site as whoever publishes meets it: with its daemon, or with this machine's clock where none answers."""

    def __init__(self, site: Site) -> None:
        """Whoever listens is taken for the daemon: what it does not answer raises as Control.call."""
        self.site = site
        self.daemon: Control | None = None
        if is_listened_at(site.wire.control):
            self.daemon = control(site)

    def now_ns(self) -> int:
        """Site time."""
        return int(self.daemon.call("plan.version")["t_ns"]) if self.daemon else Clock().now_ns()

    def names(self) -> Names | None:
        """Those beside which a new plan must fit; None: not known."""
        return publishing.names_in_use(self.daemon) if self.daemon else None

    def close(self) -> None:
        """Close the connection."""
        if self.daemon:
            self.daemon.close()


def clock_of(site: Site) -> Callable[[], int]:
    """Site time, asked for only when it is needed."""

    def now_ns() -> int:
        with closing(Hub(site)) as hub:
            return hub.now_ns()

    return now_ns


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

    def act(hub: Hub) -> Act:
        offset_ns = hub.site.utc_offset_ns
        at_ns = next_ns(at, hub.now_ns(), offset_ns) if at and not daily else 0
        order = Order(account(), why, hub.now_ns, at_ns, at[1] if at and daily else ONCE)
        return publishing.publish(hub.site, order, hub.names())

    carry_through(folder, language, act, as_json=as_json)


@click.command()
@click.argument("number", type=int)
@why_option
@site_option
@language_option
@json_option
def approve(number: int, why: str, folder: Path, language: Language, as_json: bool) -> None:
    """Let proposal NUMBER of another person take force."""

    def act(hub: Hub) -> Act:
        return publishing.approve(hub.site, number, Order(account(), why, hub.now_ns), hub.names())

    carry_through(folder, language, act, as_json=as_json)


@click.command()
@click.argument("number", type=int)
@why_option
@site_option
@language_option
@json_option
def cancel(number: int, why: str, folder: Path, language: Language, as_json: bool) -> None:
    """Take back NUMBER: a proposal, or a plan that is still to come or comes every day."""

    def act(hub: Hub) -> Act:
        return publishing.cancel(hub.site, number, Order(account(), why, hub.now_ns))

    carry_through(folder, language, act, as_json=as_json)


@click.command()
@click.argument("version", default="")
@why_option
@site_option
@language_option
@json_option
def rollback(version: str, why: str, folder: Path, language: Language, as_json: bool) -> None:
    """Sort by the plan before the present one again, or by an earlier VERSION."""

    def act(hub: Hub) -> Act:
        return publishing.rollback(hub.site, Order(account(), why, hub.now_ns), version, hub.names())

    carry_through(folder, language, act, as_json=as_json)


def carry_through(folder: Path, language: Language, act: Callable[[Hub], Act], *, as_json: bool) -> None:
    """Do an act, bring what is due to the daemon, and tell what sorts now and what comes next."""
    publishing.give_way()
    with refusals(language):
        site = load_site(folder)
        with closing(Hub(site)) as hub:
            done = act(hub)
            settled = publishing.settle(site, hub.now_ns(), hub.daemon)
    state = state_of(done, settled)
    lines = [_TELL[state].about(**facts_of(site, done)).told(language)]
    if state == "cancelled" and settled.sorts:
        lines.append(_SORTS.about(version=settled.sorts.version[:12]).told(language))
    if settled.then:
        when = local(settled.then.from_ns, site.utc_offset_ns)
        then = {"when": when, "number": settled.then.number, "version": settled.then.version[:12]}
        lines.append(_THEN.about(**then).told(language))
    tell(done._asdict() | {"state": state, "plan": settled.plan}, "\n".join(lines), as_json=as_json)


def state_of(act: Act, settled: Settled) -> str:
    """What became of an act."""
    if act.deed in (Deed.PROPOSE, Deed.CANCEL):
        return {Deed.PROPOSE: "proposed", Deed.CANCEL: "cancelled"}[act.deed]
    if act.daily_min != ONCE:
        return "daily"
    if settled.sorts is None or settled.sorts.number != act.number:
        return "timed"
    return "at_start" if settled.plan is None else "in_force"


def facts_of(site: Site, act: Act) -> dict[str, Any]:
    """What sentences about an act may say of it."""
    when = local(act.at_ns, site.utc_offset_ns) if act.daily_min == ONCE else clock_text(act.daily_min)
    return {"version": act.version[:12], "number": act.number, "of": act.of, "when": when}


_TELL: Final = {
    "in_force": _IN_FORCE,
    "at_start": _AT_START,
    "timed": _AT,
    "daily": _DAILY,
    "proposed": _PROPOSED,
    "cancelled": _CANCELLED,
}


@click.command(name="history")
@click.argument("number", type=int, default=0)
@site_option
@language_option
@json_option
def show_history(number: int, folder: Path, language: Language, as_json: bool) -> None:
    """Who put which plan in force, when and why, what waits and what is to come; of NUMBER alone, what it changed."""
    with refusals(language):
        site = load_site(folder)
        acts = history.read(site.plans)
        with closing(Hub(site)) as hub:
            states = states_of(acts, hub.now_ns(), site.utc_offset_ns)
        changes = publishing.changes_of(site, acts, number) if number else []
    rows = [act._asdict() | {"state": states[act.number]} for act in acts if number in (0, act.number)]
    lines = [history_line(act, states[act.number], site, language) for act in reversed(acts)]
    lines = [line for act, line in zip(reversed(acts), lines, strict=True) if number in (0, act.number)]
    lines += [change.told(language) for change in changes]
    answer: dict[str, Any] = {"acts": rows} | ({"changes": [change.as_json() for change in changes]} if number else {})
    tell(answer, "\n".join(lines), as_json=as_json)


def states_of(acts: Sequence[Act], now_ns: int, offset_ns: int) -> dict[int, str]:
    """How each act stands: in_force, waiting, daily, to_come, or "" when it is past."""
    states = dict.fromkeys((act.number for act in acts), "")
    for act in history.to_come(acts, now_ns, offset_ns):
        states[act.number] = "to_come" if act.daily_min == ONCE else "daily"
    states |= dict.fromkeys((act.number for act in history.waiting(acts)), "waiting")
    force = history.in_force(acts, now_ns, offset_ns)
    return states | ({force.number: "in_force"} if force else {})


_STATES: Final = {
    "in_force": Sentence("正在使用", "in force"),
    "waiting": Sentence("等待批准，{when} 起启用", "waits for approval, to take force from {when}"),
    "to_come": Sentence("将于 {when} 启用", "takes force at {when}"),
    "daily": Sentence("每天 {when} 启用", "takes force every day at {when}"),
    "": Sentence("", ""),
}


def history_line(act: Act, state: str, site: Site, language: Language) -> str:
    """One act: number, when, what, which version, who, why, and how it stands."""
    facts = facts_of(site, act)
    deed, stands = _DEEDS[act.deed].about(**facts).told(language), _STATES[state].about(**facts).told(language)
    parts = (local(act.t_ns, site.utc_offset_ns), deed, act.version[:12], act.by, act.why, stands)
    return "  ".join([f"{act.number:>4}", *filter(None, parts)])
