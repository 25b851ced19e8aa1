"""A site's plans from draft to force: checked, kept by their hash, noted in the history, handed to the daemon.

The folder of rule tables is a draft. Only what was published sorts, and what sorts follows from
the history alone; the daemon is told, and a daemon that is down reads the same at its start.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sorter.clock import local
from sorter.reasons import Declined, Said, Sentence
from sorter.records import Names, plan_to_bytes
from sorter.rulebook import Checked, Rejected, compile_plan
from sorter.rulebook.books import zeros
from sorter.rulebook.books.reading import read_tables
from sorter.rulebook.books.workbook import Book
from sorter.rulebook.check import check_sheets
from sorter.rulebook.compile import version
from sorter.rulebook.crosscheck import misplaced
from sorter.rulebook.findings import Finding
from sorter.rulebook.published import history, versions
from sorter.rulebook.published.history import ONCE, Act, Deed, Force, NotAllowed
from sorter.rulebook.tables import Sheet
from sorter.rulebook.trial.diff import Change, row_changes
from sorter.site import Site
from sorter.wire.control import CommandRefused, Control

log = logging.getLogger("sorter.publishing")

PART_BYTES: Final = 16 << 10  # unpacked in a fifth of a millisecond
TRIES: Final = 5  # another may publish in between
DRAFT: Final = "draft"
CURRENT: Final = "current"
DAEMON: Final = "sorter run"
_FIRST: Final = "首次启动 first start"
_AGAIN: Final = {"stale_plan", "busy", "no_plan", "hash_mismatch"}  # somebody else handed one over at the same time

_NOTHING_NEW: Final = Sentence(
    "规则表与正在使用的方案 {version} 完全相同，没有可发布的内容",
    "the rule tables say what the plan in force, {version}, says; there is nothing to publish",
)
_NOTHING: Final = Sentence(
    "还没有发布过方案；先运行 sorter rules publish", "nothing was published yet; run sorter rules publish first"
)
_NOT_YET: Final = Sentence(
    "第一个方案 {at} 才启用，而这里的时钟是 {now}；试别的日子请另建一个站点（sorter init 文件夹）",
    "the first plan takes force {at}, and this clock says {now}; "
    "for a trial on another day make a site of its own: sorter init FOLDER",
)
_WAITS: Final = Sentence(
    "第{number}号方案还在等待另一个人批准；先运行 sorter rules approve {number}",
    "plan number {number} still waits for another person; run sorter rules approve {number} first",
)
_OVERTAKEN: Final = Sentence(
    "方案 {version} 没有启用：另一个后发布的方案已在使用；用 sorter rules history 查看",
    "plan {version} did not take force: one that was published later sorts; look at sorter rules history",
)
_BUSY: Final = Sentence(
    "方案 {version} 已记录但还没有启用：正有别的方案在启用；稍后会自动启用",
    "plan {version} is noted but not in force yet: others are just taking force; it follows by itself",
)
_NOT_TAKEN: Final = Sentence(
    "方案 {version} 已记录，但分拣程序没有启用它：{why}",
    "plan {version} is noted, but the daemon did not put it in force: {why}",
)
_UNFIT: Final = Sentence(
    "已记入历史；但方案 {version} 不符合现在的 site.toml，没有交给分拣程序：{fault}",
    "noted in the history; but plan {version} does not fit site.toml and was not handed to the daemon: {fault}",
)
_NO_ACT: Final = Sentence("历史里没有第{number}号", "the history has no number {number}")
_NO_EARLIER: Final = Sentence("没有更早的方案可以恢复", "there is no earlier plan to go back to")


class Order(NamedTuple):
    """Who asks for a plan to take force, why, and when."""

    by: str
    why: str
    clock: Callable[[], int]  # site time in nanoseconds
    at_ns: int = 0  # 0: now
    daily_min: int = ONCE


class Turn(NamedTuple):
    """Where a plan stands in the history: of two that are handed over, the later counts, whichever comes first."""

    noted_ns: int  # time of the last act that its reader had seen
    from_ns: int  # since when it is in force


class Wanted(NamedTuple):
    """A rule set as the present site reads it."""

    sheets: Mapping[str, Sheet]
    checked: Checked


class Due(NamedTuple):
    """What sorts by the history at a moment."""

    wanted: Wanted
    turn: Turn


class NotTaken(Declined):
    """The daemon did not take a plan; what was noted in the history stays noted."""


def give_way() -> None:
    """Compile beside a belt that runs: this process has the processor only while nobody else wants it.

    Being merely nice is not enough: the kernel lets a nice process finish its slice of some
    milliseconds before the daemon that has just been woken by a scan.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def source(site: Site, name: str, clock: Callable[[], int]) -> Book:
    """The tables that `name` means: draft, current, the beginning of a version, or a folder or .xlsx file.

    Raises NotAllowed, NoVersion, HistoryDamaged, Rejected.
    """
    if name == DRAFT:
        return read_tables(site.rules)
    if name == CURRENT:
        _, force = _acts_and_force(site, clock())
        return Book(dict(stored(site, force.version).sheets), [], [])
    if Path(name).exists() or set(name) & {"/", "."}:
        return read_tables(Path(name))
    return Book(dict(stored(site, versions.find(versions.kept(site.plans), name)).sheets), [], [])


def zeros_lost(site: Site, clock: Callable[[], int]) -> list[Finding]:
    """Codes of the draft that lost zeros beside what is in force, if anything is. Raises NoVersion, HistoryDamaged."""
    acts = history.read(site.plans)
    force = history.in_force(acts, clock(), site.utc_offset_ns) if acts else None
    return zeros.lost_since(read_tables(site.rules).sheets, stored(site, force.version).sheets) if force else []


def draft(site: Site) -> Wanted:
    """The rule tables as they stand. Raises Rejected."""
    book = read_tables(site.rules)
    checked = check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults, site.places_mm)
    return Wanted(book.sheets, checked)


def publish(site: Site, order: Order, names: Names | None = None) -> Act:
    """Keep the draft and note it: in force from `order.at_ns` on, or proposed where the site wants four eyes.

    `names`: those in use, beside which it must fit. Raises Rejected, NotAllowed when it is in force
    already, HistoryDamaged; then nothing is noted.
    """
    wanted = draft(site)
    compile_plan(wanted.checked, names)
    name = versions.save(site.plans, wanted.sheets, wanted.checked)
    deed = Deed.PROPOSE if site.four_eyes else Deed.PUBLISH

    def act(acts: list[Act], now_ns: int) -> Act:
        force = history.in_force(acts, now_ns, site.utc_offset_ns)
        is_now = order.at_ns <= now_ns and order.daily_min == ONCE
        if is_now and force and force.version == name:
            raise NotAllowed(_NOTHING_NEW.about(version=name[:12]))
        return _act(deed, name, order)

    return history.append(site.plans, order.clock, act)


def approve(site: Site, number: int, order: Order, names: Names | None = None) -> Act:
    """The second person's yes. Raises NotAllowed, NoVersion, Rejected, HistoryDamaged; then nothing is noted."""

    def act(acts: list[Act], _now_ns: int) -> Act:
        approval = history.approval(acts, number, order.by, order.why)
        compile_plan(fitting(site, approval.version).checked, names)
        return approval

    return history.append(site.plans, order.clock, act)


def cancel(site: Site, number: int, order: Order) -> Act:
    """Take back what waits or is to come. Raises NotAllowed, HistoryDamaged."""

    def act(acts: list[Act], now_ns: int) -> Act:
        offset_ns = site.utc_offset_ns
        return history.cancellation(acts, number, order.by, order.why, now_ns=now_ns, offset_ns=offset_ns)

    return history.append(site.plans, order.clock, act)


def rollback(site: Site, order: Order, beginning: str = "", names: Names | None = None) -> Act:
    """Put a plan in force again that has been so before, by default the last other one. Needs no second person.

    It sorted before: chutes that are not where site.toml has them are told in the log, and hold nothing up.
    Raises NotAllowed, NoVersion, Rejected, HistoryDamaged; then nothing is noted.
    """

    def act(acts: list[Act], now_ns: int) -> Act:
        known = history.sorted_by(acts, now_ns, site.utc_offset_ns)
        name = versions.find(known, beginning) if beginning else _before(site, acts, now_ns)
        compile_plan(tolerated(site, name).checked, names)
        return _act(Deed.ROLLBACK, name, order)

    return history.append(site.plans, order.clock, act)


def _before(site: Site, acts: list[Act], now_ns: int) -> str:
    """The last version in force that says something else than the one in force now."""

    def says(force: Force) -> str:
        return version(stored(site, force.version).checked)

    now = force = history.in_force(acts, now_ns, site.utc_offset_ns)
    while now and force and (force.version == now.version or says(force) == says(now)):
        force = history.in_force(acts, force.from_ns - 1, site.utc_offset_ns)
    if force is None:
        raise NotAllowed(_NO_EARLIER.about())
    return force.version


def opening(site: Site, now_ns: int, *, is_new: bool) -> Due:
    """What sorts from a start on. A new site, where nothing was ever noted or sorted, publishes its draft.

    Raises NotAllowed when nothing is in force, NoVersion, HistoryDamaged, Rejected.
    """
    if is_new and not history.read(site.plans):
        wanted = draft(site)
        name = versions.save(site.plans, wanted.sheets, wanted.checked)
        order = Order(DAEMON, _FIRST, lambda: now_ns)
        act = history.append(site.plans, order.clock, lambda _acts, _now_ns: _act(Deed.PUBLISH, name, order))
        return Due(wanted, Turn(act.t_ns, act.at_ns))
    return in_force(site, now_ns)


def in_force(site: Site, now_ns: int) -> Due:
    """What sorts at a moment. Raises NotAllowed when nothing is in force, NoVersion, HistoryDamaged, Rejected."""
    acts, force = _acts_and_force(site, now_ns)
    return Due(tolerated(site, force.version), Turn(acts[-1].t_ns, force.from_ns))


def _acts_and_force(site: Site, now_ns: int) -> tuple[list[Act], Force]:
    acts = history.read(site.plans)
    force = history.in_force(acts, now_ns, site.utc_offset_ns)
    if force is None:
        raise NotAllowed(_why_nothing(site, acts, now_ns))
    return acts, force


def _why_nothing(site: Site, acts: list[Act], now_ns: int) -> Said:
    """Why no plan is in force, and what to do about it."""
    first = history.next_change(acts, now_ns, site.utc_offset_ns)
    if first:
        at, now = (local(t_ns, site.utc_offset_ns) for t_ns in (first.from_ns, now_ns))
        return _NOT_YET.about(at=at, now=now)
    waiting = history.waiting(acts)
    return _WAITS.about(number=waiting[-1].number) if waiting else _NOTHING.about()


def stored(site: Site, name: str) -> Wanted:
    """A published rule set, read for the lines of site.toml as it is now.

    Where these have changed since, it is a version of its own, and kept too. Raises NoVersion, Rejected.
    """
    sheets, checked = versions.load(site.plans, name)
    if (checked.lines, checked.utc_offset_ns) != (site.lines, site.utc_offset_ns):
        checked = check_sheets(sheets, site.lines, site.utc_offset_ns, [])
        versions.save(site.plans, sheets, checked)
    return Wanted(sheets, checked)


def fitting(site: Site, name: str) -> Wanted:
    """As `stored`, of what is to sort for the first time: its chutes are where the lines of site.toml have theirs."""
    wanted = stored(site, name)
    if faults := misplaced(wanted.checked.chutes, site.places_mm):
        raise Rejected(faults)
    return wanted


def tolerated(site: Site, name: str) -> Wanted:
    """As `stored`, of what was published: a belt does not stop because its chutes were measured otherwise since."""
    wanted = stored(site, name)
    if faults := misplaced(wanted.checked.chutes, site.places_mm):
        log.error(
            "plan %s is used, but these chutes are not where site.toml has them; "
            "correct site.toml, or the tables and publish them:\n%s",
            name[:12],
            Rejected(faults),
        )
    return wanted


def _act(deed: Deed, name: str, order: Order) -> Act:
    return Act(0, 0, deed, name, order.by, order.why, order.at_ns, order.daily_min)


def names_in_use(control: Control) -> Names:
    """The names beside which a new plan must fit. Raises as Control.call."""
    return Names(**{key: tuple(values) for key, values in control.call("plan")["names"].items()})


def hand_over(control: Control, due: Due) -> int:
    """Bring a rule set to the running daemon; returns the plan's number once it is in force and on disk.

    Raises NotTaken when a later one sorts, or others keep coming in between; Rejected when it does
    not fit beside the names in use; and as Control.call.
    """
    name = version(due.wanted.checked)
    for _ in range(TRIES):
        try:
            if control.call("plan.version")["version"] != name:
                _offer(control, due.wanted.checked)
            control.call("plan.publish", version=name, turn=list(due.turn))
        except CommandRefused as refusal:
            if refusal.error == "overtaken":
                raise NotTaken(_OVERTAKEN.about(version=name[:12])) from refusal
            if refusal.error not in _AGAIN:
                raise NotTaken(_NOT_TAKEN.about(version=name[:12], why=refusal.detail)) from refusal
        else:
            return int(control.call("plan.version")["number"])
    raise NotTaken(_BUSY.about(version=name[:12]))


def _offer(control: Control, checked: Checked) -> None:
    data = plan_to_bytes(compile_plan(checked, names_in_use(control)))
    digest = hashlib.sha256(data).hexdigest()
    for at in range(0, len(data), PART_BYTES):
        control.call("plan.offer", digest=digest, at=at, part=data[at : at + PART_BYTES])


class Settled(NamedTuple):
    """How things stand after an act."""

    sorts: Force | None  # what the history calls for; None: nothing yet
    plan: int | None  # the daemon's number for it; None: no daemon answered
    then: Force | None  # what takes force next


def settle(site: Site, now_ns: int, daemon: Control | None) -> Settled:
    """Bring what the history calls for to the daemon, if there is one. Raises NoVersion, and as hand_over.

    What was done is in the history already: of a plan that cannot be handed over NotTaken says so.
    """
    acts = history.read(site.plans)
    sorts = history.in_force(acts, now_ns, site.utc_offset_ns)
    plan = None
    if daemon and sorts:
        read = stored if sorts.number == acts[-1].number else tolerated  # the act itself has told of its plan
        try:
            plan = hand_over(daemon, Due(read(site, sorts.version), Turn(acts[-1].t_ns, sorts.from_ns)))
        except Rejected as error:
            raise NotTaken(_UNFIT.about(version=sorts.version[:12], fault=error.errors[0].said)) from error
    return Settled(sorts, plan, history.next_change(acts, now_ns, site.utc_offset_ns))


def changes_of(site: Site, acts: Sequence[Act], number: int) -> list[Change]:
    """The rows that an act's version has otherwise than the one in force before it. Raises NotAllowed, NoVersion."""
    act = next((act for act in acts if act.number == number), None)
    if act is None:
        raise NotAllowed(_NO_ACT.about(number=number))
    before = history.in_force(acts[: number - 1], act.t_ns, site.utc_offset_ns)
    if before is None:
        return []
    return row_changes(stored(site, before.version).checked, stored(site, act.version).checked)
