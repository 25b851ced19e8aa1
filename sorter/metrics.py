"""Prometheus figures from the daemon's live socket, in a process of its own: no scrape delays a parcel.

Names follow Prometheus's practice: base units, `_total` for counters. Never a waybill or item in a label.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import zmq
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

TOPIC: Final = b"counts"
SILENT_S: Final = 5.0
EDGES_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25)


class Figures(Collector):
    """The last figures that were heard, as Prometheus wants them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[str, Any] = {}
        self._heard_s = float("-inf")

    def hear(self, figures: dict[str, Any]) -> None:
        """Take the daemon's newest figures."""
        with self._lock:
            self._heard, self._heard_s = figures, time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """The metrics of a scrape; only `sorter_up` 0 when the daemon has been silent."""
        with self._lock:
            heard, silent_s = self._heard, time.monotonic() - self._heard_s
        yield GaugeMetricFamily("sorter_up", "1 while the daemon is heard", value=float(silent_s < SILENT_S))
        if silent_s >= SILENT_S:
            return
        yield _counter("sorter_inducted", "Items that entered a belt", heard["inducted"])
        yield _counter("sorter_scans", "Scans decided", heard["scans"])
        yield _by("sorter_items", "Items that left the belt", "reason", heard["ended"])
        yield _by("sorter_refused_events", "Events that changed nothing", "refusal", heard["refused"])
        yield GaugeMetricFamily("sorter_items_on_belt", "Items on all belts", value=heard["on_belt"])
        yield GaugeMetricFamily("sorter_advices", "Waybills in the manifest", value=heard["advices"])
        yield GaugeMetricFamily("sorter_state_bytes", "Memory of the core's state", value=heard["bytes"])
        plan = GaugeMetricFamily("sorter_rules_info", "The sort plan in force", labels=["version"])
        plan.add_metric([heard["plan"]], 1)
        yield plan
        yield _histogram(heard["decision_ms_buckets"], heard["decision_ms_sum"])


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _histogram(buckets: list[tuple[float, int]], sum_ms: float) -> Metric:
    edges_ms = np.array([edge_ms for edge_ms, _ in buckets])
    counts = np.array([count for _, count in buckets])
    rows = [(f"{edge_s:g}", float(counts[edges_ms <= edge_s * 1000].sum())) for edge_s in EDGES_S]
    total = counts.sum()
    family = HistogramMetricFamily("sorter_decision_seconds", "From a scan's arrival to its divert on the socket")
    family.add_metric([], [*rows, ("+Inf", float(total))], sum_value=sum_ms / 1000)
    return family


def serve(live: str, host: str, port: int) -> None:
    """Answer scrapes at http://HOST:PORT/metrics from what the live socket tells, for ever."""
    figures = Figures()
    registry = CollectorRegistry()
    registry.register(figures)
    start_http_server(port, host, registry)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.setsockopt(zmq.SUBSCRIBE, TOPIC)
        socket.linger = 0
        socket.connect(live)
        while True:
            _, data = socket.recv_multipart()
            figures.hear(msgspec.msgpack.decode(data))
