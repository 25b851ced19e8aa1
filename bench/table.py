"""First-hit decisions a second of the decision table alone, at 10 to 10,000 rules, beside two peers at 1,000.

Every query brings its own station, carrier, service, flow, weight, length and time of week;
finding their intervals is part of a decision. What `prepare` makes of a plan once is not.
"""

import statistics
import time
from typing import Final, NamedTuple

import numpy as np

from bench import peers, queries, workload
from bench.measure import NS_PER_S, Result, hash_of, median_ratio, note, one_core, three_digits
from bench.queries import Queries
from sorter.core.jit import entry
from sorter.core.prepared import Prepared, prepare
from sorter.core.route import Parcel, find_row, interval
from sorter.records import Ints32

COMPARED: Final = 1_000  # rules at which peers are asked


class Size(NamedTuple):
    """How much is measured."""

    rules: tuple[int, ...] = (10, 100, 1_000, 10_000)
    queries: int = 1 << 16
    rounds: int = 9


@entry
def decide(plan: Prepared, asked: Queries, rows: Ints32) -> None:
    """The number of the first row that applies to each query, into `rows`; 0: none."""
    edges = plan.rules.minute_edges
    for at in range(len(rows)):
        who = Parcel(
            asked.station[at],
            asked.carrier[at],
            asked.service[at],
            asked.flow[at],
            asked.weight_g[at],
            asked.length_mm[at],
        )
        minute = asked.weekday[at] * (len(edges) + 1) + interval(edges, asked.minute[at])
        hit = find_row(plan, who, minute)
        rows[at] = plan.rules.row[hit] if hit >= 0 else 0


class Ours:
    """The decision table of a hub with so many rules."""

    def __init__(self, rules: int, asked: Queries) -> None:
        self._plan = prepare(workload.hub(rules)[1].plan)
        self._asked = asked
        self.rows = np.zeros(len(asked.station), np.int32)

    def rate(self) -> float:
        """Answer every query; returns decisions a second."""
        begin_ns = time.process_time_ns()
        decide(self._plan, self._asked, self.rows)
        return len(self.rows) * NS_PER_S / (time.process_time_ns() - begin_ns)


def run(size: Size) -> Result:
    """Figures and ratios of DESIGN §11; a peer that is not installed leaves its ratio None."""
    asked = queries.draw(size.queries)
    with one_core():
        ours = {f"rows_{rules}": Ours(rules, asked) for rules in size.rules}
        compared = ours[f"rows_{COMPARED}"]
        others = peers.installed(workload.hub(COMPARED)[0], asked)
        present = {name: peer for name, peer in others.items() if peer}
        rounds = [
            {name: side.rate() for name, side in (*ours.items(), *present.items())} for _ in range(size.rounds + 1)
        ]
    rates = {name: [each[name] for each in rounds[1:]] for name in rounds[0]}  # the first round warms up
    for name, peer in present.items():
        compare(name, compared.rows, peer.rows)
    for name, side in ours.items():
        note(f"table: {name}: mean first hit {_depth(side.rows):.0f}, no hit {np.mean(side.rows == 0):.0%}")

    def times(name: str, other: str) -> float:
        return three_digits(median_ratio(rates[name], rates[other]))

    versus = {f"vs_{name}": times(f"rows_{COMPARED}", name) if peer else None for name, peer in others.items()}
    return Result(
        "table",
        hash_of(*(side.rows.tobytes() for side in ours.values())),
        {name: round(statistics.median(rates[name])) for name in ours},
        {**versus, "flatness": times(f"rows_{size.rules[0]}", f"rows_{size.rules[-1]}")},
    )


def _depth(rows: Ints32) -> float:
    return float(np.mean(rows[rows > 0]))


def compare(name: str, ours: Ints32, theirs: Ints32) -> None:
    """Raises ValueError when a peer gave another row: then it was given other rules, and its rate means nothing."""
    unequal = np.flatnonzero(ours[: len(theirs)] != theirs)
    if len(unequal):
        at = int(unequal[0])
        raise ValueError(f"query {at}: the table says row {ours[at]}, {name} says row {theirs[at]}")
