"""The journal once more through the core: to stand where the daemon stood, and to prove its decisions.

Equal journals give equal decisions, byte for byte, and an equal digest of the state.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sorter import limits
from sorter.core.state import State, digest, new_state, room_for
from sorter.core.step import step
from sorter.ledger.journal import BatchRecord, PlanRecord, Record
from sorter.records import DECISION, Batch, Kind, Rows, SortPlan, plan_from_bytes


@dataclass(slots=True)
class Standing:
    """What a journal amounts to after some of its records."""

    state: State = field(default_factory=new_state)
    sort_plan: SortPlan | None = None  # in force
    plan_number: int = 0
    plans_written: int = 0  # number of the last plan in the journal; a crash may have come before its PLAN event
    next_seq: int = 0  # events in the journal so far
    last_t_ns: int = 0
    room: Rows = field(default_factory=lambda: np.zeros(limits.BATCH_DECISIONS_MAX, DECISION))
    _coming: SortPlan | None = None

    def take_plan(self, number: int, sort_plan: SortPlan) -> None:
        """A plan that a coming batch, opened by its PLAN event, puts in force."""
        self._coming, self.plans_written = sort_plan, number

    def take(self, batch: Batch) -> Rows:
        """Step one batch and return its decisions, valid until the next call."""
        if batch.events[0]["kind"] == Kind.PLAN:
            self.sort_plan, self.plan_number = self._coming, int(batch.events[0]["chute"])
        if self.sort_plan is None:
            raise ValueError("a batch was taken before any plan; the journal must begin with one")
        self.state = room_for(self.state, batch.events)
        count = step(self.state, self.sort_plan.plan, batch, self.room)
        self.next_seq += len(batch.events)
        self.last_t_ns = int(batch.events["t_ns"][-1])
        return self.room[:count]


def walk(records: Iterable[Record], standing: Standing) -> Iterator[tuple[BatchRecord, Rows]]:
    """Step every batch of a journal on `standing`; yields each with the decisions it gave now."""
    for record in records:
        if isinstance(record, PlanRecord):
            standing.take_plan(record.number, plan_from_bytes(record.data))
        else:
            yield record, standing.take(record.batch)


def restore(records: Iterable[Record]) -> Standing:
    """The standing at a journal's end."""
    standing = Standing()
    for _ in walk(records, standing):
        pass
    return standing


class Difference(NamedTuple):
    """A batch whose decisions are not those of the journal."""

    first_seq: int
    journalled: int
    replayed: int
    first_row: int  # the first decision that differs


class Proof(NamedTuple):
    """What a replay found."""

    batches: int
    events: int
    decisions: int
    differences: list[Difference]
    digest: str


def prove(records: Iterable[Record]) -> Proof:
    """Replay a whole journal and compare every decision byte for byte."""
    standing, batches, decided = Standing(), 0, 0
    differences: list[Difference] = []
    for record, now in walk(records, standing):
        batches += 1
        decided += len(now)
        if now.tobytes() != record.decisions.tobytes():
            differences.append(_difference(record, now))
    return Proof(batches, standing.next_seq, decided, differences, digest(standing.state))


def _difference(record: BatchRecord, now: Rows) -> Difference:
    shared = min(len(now), len(record.decisions))
    unequal = np.flatnonzero(now[:shared] != record.decisions[:shared])
    first = int(unequal[0]) if unequal.size else shared
    return Difference(record.seq, len(record.decisions), len(now), first)
