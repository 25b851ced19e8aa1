"""The exporter: what Prometheus reads is what the daemon said, and silence is told."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sorter.metrics import SILENT_S, Figures

HEARD: dict[str, Any] = {
    "inducted": 7,
    "on_belt": 2,
    "scans": 9,
    "ended": {"planned": 4, "no_read": 1},
    "refused": {"repeat": 3},
    "advices": 11,
    "bytes": 4096,
    "plan": "abc",
    "t_ns": 1,
    "decision_ms_buckets": [(0.5, 6), (1.0, 3)],
    "decision_ms_sum": 4.5,
}


def scrape(figures: Figures) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(figures)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, ",".join(f"{key}={value}" for key, value in sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_scrape_tells_what_was_heard() -> None:
    figures = Figures()
    figures.hear(HEARD)
    told = scrape(figures)
    assert told["sorter_up", ""] == 1
    assert told["sorter_inducted_total", ""] == 7
    assert told["sorter_items_total", "reason=planned"] == 4
    assert told["sorter_refused_events_total", "refusal=repeat"] == 3
    assert told["sorter_decision_seconds_bucket", "le=0.001"] == 9
    assert told["sorter_decision_seconds_sum", ""] == 0.0045
    assert told["sorter_rules_info", "version=abc"] == 1


def test_silence_is_told_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures()
    assert scrape(figures) == {("sorter_up", ""): 0}
    figures.hear(HEARD)
    monkeypatch.setattr("sorter.metrics.SILENT_S", -SILENT_S)
    assert scrape(figures) == {("sorter_up", ""): 0}
