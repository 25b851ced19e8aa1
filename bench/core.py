"""Whole decisions a second on one core, beside the least that a look-up in the same table costs.

Timed is `step` on batches of scans. What the PLC answers is stepped between the timed calls,
so that belt, chutes and trips stay as busy as on a real day.
"""

import hashlib
import statistics
import time
from collections import deque
from typing import Final, NamedTuple

import numpy as np

from bench import floor, workload
from bench.measure import NS_PER_S, Result, median_ratio, note, one_core, three_digits
from bench.tables import LANES, SPARE_CHUTE
from sorter import limits
from sorter.core.manifest import USED
from sorter.core.state import State, counts, new_state, room_for
from sorter.core.step import step
from sorter.reasons import Reason
from sorter.records import DECISION, Batch, Rows, Verdict

GROUP: Final = 256  # scans between two answers of the PLC
GROUPS_ON_BELT: Final = 4


class Size(NamedTuple):
    """How much is measured."""

    rules: int = 1_000
    advices: int = 1_000_000
    advices_more: int = 10_000_000
    groups: int = 256  # in each round
    rounds: int = 9


class Hub:
    """A core in the middle of a day: full manifest, busy belt, one scanner, one PLC."""

    def __init__(self, rules: int, advices: int) -> None:
        _, sort_plan = workload.hub(rules)
        self.plan = sort_plan.plan
        self.state: State = new_state()
        self.answers = hashlib.sha256()
        self.discharge_ns: list[float] = []  # for each item, by group
        self._advices = advices
        self._scans = 0
        self._plc = workload.Plc(2 * LANES, sort_plan.names.chutes.index(SPARE_CHUTE))
        self._belt: deque[Rows] = deque()
        self._room = np.zeros(limits.BATCH_DECISIONS_MAX, DECISION)
        for batch in [*workload.opening(), *workload.advices(advices)]:
            refused = self.take(batch)
            assert not len(refused), f"the core refused {Reason(refused['reason'][0]).word}"

    def take(self, batch: Batch) -> Rows:
        """Step a batch as the daemon does; its decisions are valid until the next call."""
        self.state = room_for(self.state, batch.events)
        return self._room[: step(self.state, self.plan, batch, self._room)]

    def ended(self) -> dict[str, int]:
        """Items by how they ended, as reason words."""
        return {reason: count for reason, count in counts(self.state).ended.items() if count}

    def decide(self, groups: int, batch: int) -> float:
        """One round of scans in batches of so many; returns decisions a second."""
        scans = workload.scans(self._scans, groups * GROUP, self._advices, batch)
        self._scans += groups * GROUP
        batches = workload.cut(scans, batch)
        each = GROUP // batch
        spent_ns = sum(self._decide_group(batches[at : at + each]) for at in range(0, len(batches), each))
        return groups * GROUP * NS_PER_S / spent_ns

    def _decide_group(self, batches: list[Batch]) -> int:
        """Step 256 scans; returns how many nanoseconds that took."""
        state, plan = self.state, self.plan
        pairs = [(batch, self._room[2 * at :]) for at, batch in enumerate(batches)]
        begin_ns = time.process_time_ns()
        written = [step(state, plan, batch, room) for batch, room in pairs]
        spent_ns = time.process_time_ns() - begin_ns
        decisions = np.concatenate([room[:count] for (_, room), count in zip(pairs, written, strict=True)])
        assert len(decisions) == GROUP
        assert np.all(decisions["verdict"] == Verdict.DIVERT)
        self.answers.update(decisions.tobytes())
        self._belt.append(decisions)
        if len(self._belt) > GROUPS_ON_BELT:
            self._answer(int(batches[-1].events["t_ns"][-1]))
        return spent_ns

    def _answer(self, t_ns: int) -> None:
        batch = self._plc.drop(self._belt.popleft(), t_ns)
        begin_ns = time.process_time_ns()
        ended = self.take(batch)
        self.discharge_ns.append((time.process_time_ns() - begin_ns) / GROUP)
        assert len(ended) == GROUP
        assert np.all(ended["verdict"] == Verdict.END)


def run(size: Size) -> Result:
    """Figures and ratios of DESIGN §11; each round measures all sides one after the other."""
    with one_core():
        hub, larger = Hub(size.rules, size.advices), Hub(size.rules, size.advices_more)
        rounds = [_round(hub, larger, size, at) for at in range(size.rounds + 1)]
    whole, least, single, more = zip(*rounds[1:], strict=True)  # the first round warms up
    manifest = hub.state.manifest
    _tell(hub, least)
    return Result(
        "core",
        hashlib.sha256(hub.answers.digest() + larger.answers.digest()).hexdigest(),
        {
            "decisions_per_s": round(statistics.median(whole)),
            "decisions_per_s_10m": round(statistics.median(more)),
            "decisions_per_s_batch1": round(statistics.median(single)),
            "bytes_per_advice": round((manifest.lines.nbytes + manifest.old.nbytes) / int(manifest.counts[USED]), 1),
        },
        {"vs_floor": three_digits(median_ratio(whole, least))},
    )


def _round(hub: Hub, larger: Hub, size: Size, at: int) -> tuple[float, float, float, float]:
    whole = hub.decide(size.groups, GROUP)
    least = floor_rate(hub.state, workload.scans(at << 32, size.groups * GROUP, size.advices, GROUP))
    return whole, least, hub.decide(size.groups, 1), larger.decide(size.groups, GROUP)


def floor_rate(state: State, scans: Batch) -> float:
    """Lines of the manifest touched a second, for the codes of so many scans."""
    words, homes = floor.as_words(scans.codes), np.zeros(floor.AHEAD, np.int64)
    begin_ns = time.process_time_ns()
    floor.touch(words, state.manifest.lines, homes)
    return len(words) * NS_PER_S / (time.process_time_ns() - begin_ns)


def _tell(hub: Hub, least: tuple[float, ...]) -> None:
    discharge_ns = statistics.median(hub.discharge_ns)
    note(f"core: floor {statistics.median(least) / 1e6:.1f} M/s; a discharge costs {discharge_ns:.0f} ns more")
    note(f"core: items ended as {hub.ended()}")
