"""First-hit decisions a second of the decision table alone, at 10 to 10,000 rules, beside two peers at 1,000.

Every query brings its own station, carrier, service, flow, weight, length and time of week;
finding their intervals is part of a decision.
"""

import statistics
import time
from typing import Final, NamedTuple

import numpy as np

from bench import peers, queries, workload
from bench.measure import NS_PER_S, Result, hash_of, median_ratio, note, one_core, three_digits
from bench.queries import Queries
from sorter.core.jit import kernel
from sorter.core.route import first_row, interval
from sorter.records import Ints32, Table

COMPARED: Final = 1_000  # rules at which peers are asked


class Size(NamedTuple):
    """How much is measured."""

    rules: tuple[int, ...] = (10, 100, 1_000, 10_000)
    queries: int = 1 << 16
    rounds: int = 9


@kernel
def decide(table: Table, asked: Queries, services: int, rows: Ints32) -> None:
    """The number of the first row that applies to each query, into `rows`; 0: none."""
    strides = len(table.minute_edges) + 1
    for at in range(len(rows)):
        kind = (asked.carrier[at] * services + asked.service[at]) * 2 + asked.flow[at]
        weight = interval(table.weight_edges, asked.weight_g[at])
        length = interval(table.length_edges, asked.length_mm[at])
        minute = asked.weekday[at] * strides + interval(table.minute_edges, asked.minute[at])
        hit = first_row(table, asked.station[at], kind, weight, length, minute)
        rows[at] = table.row[hit] if hit >= 0 else 0


class Ours:
    """The decision table of a hub with so many rules."""

    def __init__(self, rules: int, asked: Queries) -> None:
        self._plan = workload.hub(rules)[1].plan
        self._asked = asked
        self.rows = np.zeros(len(asked.station), np.int32)

    def rate(self) -> float:
        """Answer every query; returns decisions a second."""
        begin_ns = time.perf_counter_ns()
        decide(self._plan.table, self._asked, self._plan.services, self.rows)
        return len(self.rows) * NS_PER_S / (time.perf_counter_ns() - begin_ns)


def run(size: Size) -> Result:
    """Figures and ratios of DESIGN §11; a peer that is not installed leaves its ratio None."""
    asked = queries.draw(size.queries)
    with one_core():
        ours = {rules: Ours(rules, asked) for rules in size.rules}
        others = peers.installed(workload.hub(COMPARED)[0], asked)
        sides = {**ours, **{name: peer for name, peer in others.items() if peer}}
        rounds = [{name: side.rate() for name, side in sides.items()} for _ in range(size.rounds + 1)]
    rates = {name: [each[name] for each in rounds[1:]] for name in sides}  # the first round warms up
    for name, peer in others.items():
        if peer:
            _compare(name, ours[COMPARED].rows, peer.rows)
    for rules, side in ours.items():
        note(f"table: {rules} rules: mean first hit {_depth(side.rows):.0f}, no hit {np.mean(side.rows == 0):.0%}")
    ratios = {f"vs_{name}": three_digits(median_ratio(rates[COMPARED], rates[name])) if peer else None for name, peer in others.items()}
    flatness = three_digits(median_ratio(rates[size.rules[0]], rates[size.rules[-1]]))
    return Result(
        "table",
        hash_of(*(side.rows.tobytes() for side in ours.values())),
        {f"rows_{rules}": round(statistics.median(rates[rules])) for rules in size.rules},
        {**ratios, "flatness": flatness},
    )


def _depth(rows: Ints32) -> float:
    return float(np.mean(rows[rows > 0]))


def _compare(name: str, ours: Ints32, theirs: Ints32) -> None:
    """Raises ValueError when a peer gave another row: then it was given other rules, and its rate means nothing."""
    unequal = np.flatnonzero(ours[: len(theirs)] != theirs)
    if len(unequal):
        at = int(unequal[0])
        raise ValueError(f"query {at}: the table says row {ours[at]}, {name} says row {theirs[at]}")
