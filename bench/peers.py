"""The same rules in other people's engines, each used the fastest way it has. Both are optional to install.

A peer answers the same queries with the same row numbers, or the benchmark fails.
"""

import importlib
import os
import time
from collections.abc import Sequence
from itertools import product
from typing import Any, Final, Protocol

import numpy as np

from bench.measure import NS_PER_S, note
from bench.queries import Queries
from bench.tables import CARRIERS, SERVICES, STATIONS, TOWNSHIPS
from sorter.records import Flow, Ints32
from sorter.rulebook import Checked
from sorter.rulebook.cells import Spans, Words
from sorter.rulebook.rows import Rule

ENGINES: Final = {"zen": "zen", "polars": "polars"}  # name in the ratios -> module
ZEN_QUERIES: Final = 500
NEVER: Final = 1 << 30
FLOWS: Final = tuple(flow.name.lower() for flow in Flow)


class Peer(Protocol):
    """An engine that holds the rules and the queries."""

    rows: Ints32  # the answers to the first queries, as many as it was asked; 0: no row applies

    def rate(self) -> float:
        """Answer the queries; returns decisions a second."""


def installed(checked: Checked, queries: Queries) -> dict[str, Peer | None]:
    """Every peer by its name; None, and a word on stderr, for one that is not installed."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # one core for everybody
    peers: dict[str, Peer | None] = {}
    for name, module in ENGINES.items():
        try:
            engine = importlib.import_module(module)
        except ModuleNotFoundError:
            note(f"table: {module} is not installed, so vs_{name} is null; pip install 'hub-sorter[bench]'")
            peers[name] = None
        else:
            peers[name] = Zen(engine, checked, queries) if name == "zen" else Polars(engine, checked, queries)
    return peers


class Zen:
    """zen-engine: one compiled decision table, first hit, asked one dict at a time."""

    def __init__(self, zen: Any, checked: Checked, queries: Queries) -> None:
        self._engine = zen.ZenEngine({"loader": {"type": "static", "content": {"rules": _decision(checked.rules)}}})
        self._asked = [_context(*(int(column[at]) for column in queries)) for at in range(ZEN_QUERIES)]
        self.rows = np.zeros(ZEN_QUERIES, np.int32)

    def rate(self) -> float:
        """Answer the first queries; returns decisions a second."""
        evaluate = self._engine.evaluate
        begin_ns = time.process_time_ns()
        answers = [evaluate("rules", context)["result"] for context in self._asked]
        spent_ns = time.process_time_ns() - begin_ns
        self.rows[:] = [(answer or {}).get("row", 0) for answer in answers]
        return len(answers) * NS_PER_S / spent_ns


_FIELDS: Final = ("station", "township", "carrier", "service", "flow", "weight_g", "length_mm", "minute", "weekday")


def _context(  # noqa: PLR0917 # the columns of Queries in their order
    station: int, carrier: int, service: int, flow: int, weight_g: int, length_mm: int, minute: int, weekday: int
) -> dict[str, Any]:
    texts = (f"S{station:03d}", f"T{station % TOWNSHIPS:02d}", CARRIERS[carrier], SERVICES[service], FLOWS[flow])
    return dict(zip(_FIELDS, (*texts, weight_g, length_mm, minute, weekday), strict=True))


def _decision(rules: Sequence[Rule]) -> dict[str, Any]:
    """The rules as a decision model: request -> table -> response."""
    rows = [{"_id": str(rule.row), "row": str(rule.row)} | _cells(rule) for rule in rules]
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": name, "name": name, "field": name} for name in _FIELDS],
        "outputs": [{"id": "row", "name": "row", "field": "row"}],
        "rules": rows,
    }
    kinds: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("in", "inputNode", {}),
        ("table", "decisionTableNode", table),
        ("out", "outputNode", {}),
    )
    return {
        "nodes": [{"id": at, "name": at, "type": kind, "content": content} for at, kind, content in kinds],
        "edges": [
            {"id": f"{source} {target}", "sourceId": source, "targetId": target, "type": "edge"}
            for source, target in (("in", "table"), ("table", "out"))
        ],
    }


def _cells(rule: Rule) -> dict[str, str]:
    words = (rule.station, rule.township, rule.carrier, rule.service, rule.flow)
    spans = [
        ", ".join(f"[{low}..{high}{end}" for low, high in given)
        for given, end in ((rule.weight_g, "]"), (rule.length_mm, "]"), (rule.time, ")"))
    ]
    days = "" if len(rule.days) == 7 else ", ".join(map(str, rule.days))
    texts = [", ".join(f'"{item}"' for item in word.items) for word in words]
    return dict(zip(_FIELDS, (*texts, *spans, days), strict=True))


class Polars:
    """polars: queries joined with the rows of their station and carrier, filtered, the least row of each."""

    def __init__(self, polars: Any, checked: Checked, queries: Queries) -> None:
        self._polars = polars
        asked = {name: np.asarray(column) for name, column in queries._asdict().items()}
        self._queries = self._polars.DataFrame({"query": np.arange(len(queries.station), dtype=np.int32), **asked})
        columns = ("row", "station", "carrier", *_BOUNDS)
        wide = [row for rule in checked.rules for row in _wide(checked, rule)]
        self._rules = self._polars.DataFrame(dict(zip(columns, np.array(wide, np.int32).T, strict=True)))
        self.rows = np.zeros(len(queries.station), np.int32)

    def rate(self) -> float:
        """Answer every query; returns decisions a second."""
        column, least = self._polars.col, self._polars.min
        held = self._polars.all_horizontal(
            *(column(name).is_between(f"{name}_from", f"{name}_to") for name in _RANGES),
            *((column(f"{name}_is") == -1) | (column(f"{name}_is") == column(name)) for name in _WORDS),
            (column("days") // 2 ** column("weekday")) % 2 == 1,
        )
        begin_ns = time.process_time_ns()
        joined = self._queries.lazy().join(self._rules.lazy(), on=["station", "carrier"]).filter(held)
        found = joined.group_by("query").agg(least("row")).collect()
        spent_ns = time.process_time_ns() - begin_ns
        self.rows[:] = 0
        self.rows[found["query"].to_numpy()] = found["row"].to_numpy()
        return len(self.rows) * NS_PER_S / spent_ns


_RANGES: Final = ("weight_g", "length_mm", "minute")
_WORDS: Final = ("service", "flow")
_BOUNDS: Final = (
    *(f"{name}_{end}" for name in _RANGES for end in ("from", "to")),
    *(f"{name}_is" for name in _WORDS),
    "days",
)


def _wide(checked: Checked, rule: Rule) -> list[tuple[int, ...]]:
    """A rule as one row for each of its stations and carriers; other word columns name one word or, as -1, any."""
    spans = (_ends(rule.weight_g, 1), _ends(rule.length_mm, 1), _ends(rule.time, 0))
    bounds = [end for span in spans for end in span]
    words = [_word(rule.service, SERVICES), _word(rule.flow, FLOWS)]
    days = sum(1 << day for day in rule.days)
    fits = [rule.station.has(row.station) and rule.township.has(row.township) for row in checked.stations]
    stations = [station for station in range(STATIONS) if fits[station]]
    carriers = [at for at, carrier in enumerate(CARRIERS) if rule.carrier.has(carrier)]
    return [(rule.row, *where, *bounds, *words, days) for where in product(stations, carriers)]


def _ends(spans: Spans, beyond: int) -> tuple[int, int]:
    """The first and last value of the one span a cell of this workload has."""
    if not spans:
        return 0, NEVER
    ((low, high),) = spans
    return low, high - 1 + beyond


def _word(word: Words, names: Sequence[str]) -> int:
    return names.index(word.items[0]) if word.items else -1
