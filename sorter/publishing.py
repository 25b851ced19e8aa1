"""A site's plans from draft to force: checked, kept by their hash, noted in the history, handed to the daemon.

The folder of rule tables is a draft. Only what was published sorts, and what sorts follows from
the history alone; the daemon is told, and a daemon that is down reads the same at its start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from sorter.reasons import Sentence
from sorter.records import Names, plan_to_bytes
from sorter.rulebook import Checked, compile_plan, history, versions
from sorter.rulebook.check import check_sheets
from sorter.rulebook.compile import version
from sorter.rulebook.history import ONCE, Act, Deed, NotAllowed
from sorter.rulebook.reading import read_tables
from sorter.rulebook.tables import Sheet
from sorter.rulebook.workbook import Book
from sorter.site import Site
from sorter.wire.control import CommandRefused, Control

PART_BYTES: Final = 256 << 10
TRIES: Final = 5  # another may publish in between
DRAFT: Final = "draft"
CURRENT: Final = "current"
DAEMON: Final = "sorter run"
_FIRST: Final = "first start"
_NEW_LINES: Final = "site.toml has changed"
_AGAIN: Final = {"stale_plan", "busy", "hash_mismatch"}  # somebody else handed a plan over at the same time

_NOTHING_NEW: Final = Sentence(
    "规则表与正在使用的方案 {version} 完全相同，没有可发布的内容",
    "the rule tables say what the plan in force, {version}, says; there is nothing to publish",
)
_NOTHING: Final = Sentence(
    "还没有发布过方案；先运行 sorter rules publish", "nothing was published yet; run sorter rules publish first"
)
_NO_EARLIER: Final = Sentence("没有更早的方案可以恢复", "there is no earlier plan to go back to")


class Order(NamedTuple):
    """Who asks for a plan to take force, why, and when."""

    by: str
    why: str
    now_ns: int
    at_ns: int = 0  # 0: now
    daily_min: int = ONCE


class Turn(NamedTuple):
    """Where a plan stands in the history: of two that are handed over, the later counts, whichever comes first."""

    acts: int  # that its reader had seen
    from_ns: int


class Wanted(NamedTuple):
    """A rule set as the present site reads it."""

    sheets: Mapping[str, Sheet]
    checked: Checked


def source(site: Site, name: str, now_ns: int) -> Book:
    """The tables that `name` means: draft, current, the beginning of a version, or a folder or .xlsx file.

    Raises NotAllowed, NoVersion, HistoryDamaged, Rejected.
    """
    if name == DRAFT:
        return read_tables(site.rules)
    if name == CURRENT:
        return Book(dict(in_force(site, now_ns)[0].sheets), [], [])
    if Path(name).exists():
        return read_tables(Path(name))
    return Book(dict(stored(site, name).sheets), [], [])


def draft(site: Site) -> Wanted:
    """The rule tables as they stand. Raises Rejected."""
    book = read_tables(site.rules)
    return Wanted(book.sheets, check_sheets(book.sheets, site.lines, site.utc_offset_ns, book.faults))


def publish(site: Site, order: Order) -> Act:
    """Keep the draft and note it: in force from `order.at_ns` on, or proposed where the site wants four eyes.

    Raises Rejected, NotAllowed when it is in force already, HistoryDamaged.
    """
    wanted = draft(site)
    name = versions.save(site.plans, wanted.sheets, wanted.checked)
    deed = Deed.PROPOSE if site.four_eyes else Deed.PUBLISH

    def act(acts: list[Act]) -> Act:
        force = history.in_force(acts, order.now_ns, site.utc_offset_ns)
        is_now = order.at_ns <= order.now_ns and order.daily_min == ONCE
        if is_now and force and force.version == name:
            raise NotAllowed(_NOTHING_NEW.about(version=name[:12]))
        return _act(deed, name, order)

    return history.append(site.plans, act)


def approve(site: Site, number: int, order: Order) -> Act:
    """The second person's yes. Raises NotAllowed, HistoryDamaged."""
    return history.append(site.plans, lambda acts: history.approval(acts, number, order.by, order.why, order.now_ns))


def cancel(site: Site, number: int, order: Order) -> Act:
    """Take back what waits or is to come. Raises NotAllowed, HistoryDamaged."""

    def act(acts: list[Act]) -> Act:
        return history.cancellation(
            acts, number, order.by, order.why, now_ns=order.now_ns, offset_ns=site.utc_offset_ns
        )

    return history.append(site.plans, act)


def rollback(site: Site, order: Order, beginning: str = "") -> Act:
    """Put an earlier version in force again, by default the one before that in force. Needs no second person.

    Raises NotAllowed, NoVersion, HistoryDamaged.
    """

    def act(acts: list[Act]) -> Act:
        name = versions.find(site.plans, beginning or _before(site, acts, order.now_ns))
        versions.load(site.plans, name)
        return _act(Deed.ROLLBACK, name, order)

    return history.append(site.plans, act)


def _before(site: Site, acts: list[Act], now_ns: int) -> str:
    """The last version in force that is not the one in force now."""
    now = force = history.in_force(acts, now_ns, site.utc_offset_ns)
    while now and force and force.version == now.version:
        force = history.in_force(acts, force.from_ns - 1, site.utc_offset_ns)
    if force is None:
        raise NotAllowed(_NO_EARLIER.about())
    return force.version


def opening(site: Site, now_ns: int) -> Checked:
    """What sorts from a start on: what is in force, or the draft where nothing was ever published.

    Where site.toml has changed since, the same tables with the new lines become a version of their own.
    Raises Rejected, NoVersion, HistoryDamaged.
    """
    force = history.in_force(history.read(site.plans), now_ns, site.utc_offset_ns)
    if force is None:
        wanted = draft(site)
        return _note(site, wanted, Order(DAEMON, _FIRST, now_ns))
    wanted = stored(site, force.version)
    if version(wanted.checked) != force.version:
        return _note(site, wanted, Order(DAEMON, _NEW_LINES, now_ns))
    return wanted.checked


def in_force(site: Site, now_ns: int) -> tuple[Wanted, Turn]:
    """What sorts at a moment. Raises NotAllowed when nothing was published, NoVersion, HistoryDamaged, Rejected."""
    acts = history.read(site.plans)
    force = history.in_force(acts, now_ns, site.utc_offset_ns)
    if force is None:
        raise NotAllowed(_NOTHING.about())
    return stored(site, force.version), Turn(len(acts), force.from_ns)


def stored(site: Site, beginning: str) -> Wanted:
    """A published rule set, read for the lines of site.toml as it is now. Raises NoVersion, Rejected."""
    sheets, checked = versions.load(site.plans, versions.find(site.plans, beginning))
    if (checked.lines, checked.utc_offset_ns) != (site.lines, site.utc_offset_ns):
        checked = check_sheets(sheets, site.lines, site.utc_offset_ns, [])
    return Wanted(sheets, checked)


def _note(site: Site, wanted: Wanted, order: Order) -> Checked:
    name = versions.save(site.plans, wanted.sheets, wanted.checked)
    history.append(site.plans, lambda _: _act(Deed.PUBLISH, name, order))
    return wanted.checked


def _act(deed: Deed, name: str, order: Order) -> Act:
    at_ns = max(order.at_ns, order.now_ns)
    return Act(0, order.now_ns, deed, name, order.by, order.why[: history.WHY_TEXT_MAX], at_ns, order.daily_min)


def hand_over(control: Control, checked: Checked, turn: Turn) -> int:
    """Bring a rule set to the running daemon; returns the plan's number once it is in force and on disk.

    One that a later turn has overtaken changes nothing. Raises Rejected when it does not fit beside the names in use,
    and as Control.call.
    """
    name = version(checked)
    for _ in range(TRIES):
        plan = control.call("plan")
        if plan["version"] == name:
            break
        names = Names(**{key: tuple(values) for key, values in plan["names"].items()})
        sort_plan = compile_plan(checked, names)
        data = plan_to_bytes(sort_plan)
        digest = hashlib.sha256(data).hexdigest()
        for at in range(0, len(data), PART_BYTES):
            control.call("plan.offer", digest=digest, at=at, part=data[at : at + PART_BYTES])
        try:
            control.call("plan.publish", digest=digest, version=name, turn=list(turn))
        except CommandRefused as refusal:
            if refusal.error == "overtaken":
                break
            if refusal.error not in _AGAIN:
                raise
    return int(control.call("plan")["number"])
