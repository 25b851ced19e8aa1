"""Bugs planted on purpose: the simulation is worth what it finds of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final
from unittest.mock import patch

from plc_adapter.mailbox import RING, PlcSide
from sorter.core.state import acknowledged
from sorter.daemon import Daemon
from sorter.records import Batch, Kind, Role, Rows
from sorter.replay import Standing
from sorter.wire.intake import Intake
from sorter.wire.session import Session

_take = Standing.take


def _commit_early(daemon: Daemon, *, append_first: bool) -> int:
    """Daemon._commit in the wrong order."""
    batch = daemon._intake.batch()
    decisions = daemon._standing.room[:0]
    if len(batch.events):
        first_seq = daemon._standing.next_seq
        decisions = daemon._standing.take(batch)
        if append_first:
            daemon._journal.append_batch(first_seq, batch, decisions)
        daemon._send(batch, decisions)
        if not append_first:
            daemon._journal.append_batch(first_seq, batch, decisions)
        daemon._journal.sync()
    daemon._orders.settle(decisions)
    daemon._answer()
    daemon._intake.clear()
    return len(batch.events)


def _take_repeats(standing: Standing, batch: Batch) -> Rows:
    """A number that was taken before loses it, and so the message counts again."""
    for event in batch.events:
        numbered = event["client"] and event["kind"] != Kind.HELLO
        if numbered and 0 < event["seq"] <= acknowledged(standing.state, int(event["client"])):
            event["seq"] = 0
    return _take(standing, batch)


def _take_one_boot(standing: Standing, batch: Batch) -> Rows:
    """A PLC that starts again is taken for the one that was there before."""
    for event in batch.events:
        if event["kind"] == Kind.HELLO and event["value"] == Role.PLC:
            belt = standing.state.belts[int(event["line"])]
            if belt["greeted"]:
                event["boot"] = belt["boot"]
    return _take(standing, batch)


def _sent_before_sync(daemon: Daemon) -> int:
    return _commit_early(daemon, append_first=True)


def _sent_before_journal(daemon: Daemon) -> int:
    return _commit_early(daemon, append_first=False)


BUGS: Final[dict[str, Callable[[], AbstractContextManager[Any]]]] = {
    "sent-before-sync": lambda: patch.object(Daemon, "_commit", _sent_before_sync),
    "sent-before-journal": lambda: patch.object(Daemon, "_commit", _sent_before_journal),
    "repeats-count": lambda: patch.object(Standing, "take", _take_repeats),
    "epoch-ignored": lambda: patch.object(Standing, "take", _take_one_boot),
    "ring-reused": lambda: patch.object(PlcSide, "room", property(lambda side: 2 * RING - (side.head - side.tail))),
    "start-forgotten": lambda: patch.object(Intake, "start", lambda _intake, _t_ns: None),
    "never-resent": lambda: patch.object(Session, "_go_back", lambda _session: None),
}
"""Name -> a context in which the bug is there."""
