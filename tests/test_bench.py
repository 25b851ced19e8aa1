"""Every benchmark at a small size runs, repeats its answers and has the shape scripts read. No speed is asserted."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import adapter, core, daemon, floor, latency, measure, peers, publish, queries, table, workload
from bench.__main__ import BENCHMARKS, text
from bench.tables import FORMATS
from plc_adapter.settings import DIALECTS
from sorter import limits
from sorter.core.jit import entry
from sorter.core.manifest import home_line
from sorter.records import waybill_key

CORE = core.Size(rules=40, advices=3_000, advices_more=6_000, groups=6, rounds=1)
TABLE = table.Size(rules=(10, 1_000), queries=600, rounds=1)
DAEMON = daemon.Size(rules=40, advices=3_000, scans=512, window=256, rounds=1)
PUBLISH = publish.Size(rules=40, advices=3_000, scans=120, publishes=4)
ADAPTER = adapter.Size(seconds=1.0, rounds=1)
LATENCY = latency.Size(rules=40, advices=3_000, scans=30, starts=1)


def told(result: measure.Result, figures: set[str], ratios: set[str]) -> None:
    """The shape of DESIGN §11, as one JSON object and as a table."""
    told = json.loads(json.dumps(result.json()))
    assert set(told) == {"name", "commit", "machine", "hash", "figures", "ratios"}
    assert set(told["figures"]) == figures
    assert all(value > 0 for value in told["figures"].values())
    assert set(told["ratios"]) == ratios
    assert all(value is None or value > 0 for value in told["ratios"].values())
    assert len(told["hash"]) == 64
    assert all(name in text(result) for name in figures | ratios)


def test_core_repeats_its_decisions() -> None:
    first, second = core.run(CORE), core.run(CORE)
    assert first.hash == second.hash
    assert first.hash != core.run(CORE._replace(rules=41)).hash
    figures = {"decisions_per_s", "decisions_per_s_10m", "decisions_per_s_batch1", "bytes_per_advice"}
    told(first, figures, {"vs_floor"})


def test_table_repeats_its_decisions_and_peers_agree() -> None:
    first, second = table.run(TABLE), table.run(TABLE)
    assert first.hash == second.hash
    told(first, {"rows_10", "rows_1000"}, {"vs_zen", "vs_polars", "flatness"})


def test_daemon_answers_every_scan_and_its_journal_repeats() -> None:
    told(daemon.run(DAEMON), {"scans_per_s", "batched_scans_per_s"}, {"vs_echo"})


def test_plans_change_and_no_scan_minds() -> None:
    told(publish.run(PUBLISH), {"p50_ms", "p99_ms", "p999_ms", "p9999_ms", "changes"}, {"vs_quiet"})


def test_an_adapter_carries_the_same_items_over_every_dialect() -> None:
    result = adapter.run(ADAPTER)
    figures = {f"{one}_{kind}_per_s" for one in DIALECTS for kind in ("items", "exchanges", "bare")}
    told(result, figures, {f"{one}_{kind}" for one in DIALECTS for kind in ("laden", "vs_bare")})
    assert result.hash == adapter.run(ADAPTER).hash


def test_latency_is_told_in_order() -> None:
    result = latency.run(LATENCY)
    told(result, {"p50_ms", "p99_ms", "p999_ms", "p9999_ms", "start_s"}, {"vs_echo_fsync"})
    points = [result.figures[name] for name in latency.POINTS]
    assert points == sorted(points)


def test_scans_are_what_the_workload_says() -> None:
    hub = core.Hub(40, 3_000)
    hub.decide(40, 256)
    ended = hub.ended()
    scans = 40 * core.GROUP
    assert ended["unknown_code"] == pytest.approx(0.05 * scans, rel=0.3)
    assert ended["no_advice"] == pytest.approx(0.05 * scans, rel=0.3)
    assert ended["planned"] > 0.5 * scans
    assert ended["alternate"] > 0, "chutes must be in play"


def test_waybills_are_all_different_and_of_every_format() -> None:
    numbers = np.arange(5_000)
    rows = workload.waybill_codes(numbers)
    texts = [bytes(row[1 : 1 + row[0]]).decode() for row in rows]
    assert len(set(texts)) == len(texts)
    for number, code in enumerate(texts[:100]):
        form = FORMATS[number % len(FORMATS)]
        assert code.startswith(form.prefix)
        assert code.endswith(form.suffix)
        assert len(code) == len(form.prefix) + form.digits + len(form.suffix)


@entry
def packed(words: Any, at: int) -> tuple[Any, Any]:
    return floor.pack(words, at)


@entry
def home(hi: Any, lo: Any, line_count: int) -> int:
    return home_line(hi, lo, line_count)


def test_the_floor_makes_the_keys_of_the_core() -> None:
    codes = workload.waybill_codes(np.arange(200))
    codes[0] = np.frombuffer(bytes([24]) + b"ABCDEFGHIJKL0123456789YZ" + bytes(7), np.uint8)
    codes[1] = np.frombuffer(b"\x01" + b"7" + bytes(30), np.uint8)
    words = floor.as_words(codes)
    lines = np.zeros((977, 8), np.uint64)
    lines[:, 0] = np.arange(977)
    homes = []
    for at, row in enumerate(codes):
        hi, lo = waybill_key(bytes(row[1 : 1 + row[0]]).decode())
        assert [int(half) for half in packed(words, at)] == [hi, lo]
        homes.append(home(np.uint64(hi), np.uint64(lo), 977))
    assert floor.touch(words, lines, np.zeros(floor.AHEAD, np.int64)) == sum(homes)


def test_a_peer_that_is_not_installed_leaves_its_ratio_empty(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "ENGINES", {"zen": "no_such_engine", "polars": "nor_this_one"})
    result = table.run(TABLE)
    assert result.ratios["vs_zen"] is None
    assert result.ratios["vs_polars"] is None
    assert "no_such_engine is not installed" in capsys.readouterr().err


def test_a_peer_with_other_answers_fails_the_run() -> None:
    with pytest.raises(ValueError, match="query 1: the table says row 5, zen says row 6"):
        table.compare("zen", np.array([3, 5, 7], np.int32), np.array([3, 6], np.int32))


def test_an_unknown_name_is_a_usage_error() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "nonsense"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert all(name in done.stderr for name in BENCHMARKS)


@pytest.mark.benchmark(group="kernels", max_time=0.2, min_rounds=3)
def test_kernel_table(benchmark: BenchmarkFixture) -> None:
    ours = table.Ours(100, queries.draw(1_000))
    benchmark(ours.rate)
    assert np.count_nonzero(ours.rows)


@pytest.mark.benchmark(group="kernels", max_time=0.2, min_rounds=3)
def test_kernel_floor(benchmark: BenchmarkFixture) -> None:
    hub = core.Hub(40, 3_000)
    scans = workload.scans(0, 4_096, 3_000, core.GROUP)
    benchmark(core.floor_rate, hub.state, scans)
    assert len(scans.codes[0]) == limits.CODE_BYTES
