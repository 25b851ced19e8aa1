"""The latency histogram against plain sorting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sorter.latency import Latency


@given(st.lists(st.integers(1, 10**11), min_size=1, max_size=300), st.floats(0.01, 1.0))
def test_a_percentile_is_at_most_a_bucket_too_high(durations_ns: list[int], share: float) -> None:
    latency = Latency()
    for part in np.array_split(np.array(durations_ns, np.int64), 3):
        latency.add(part)
    rank = int(np.ceil(share * len(durations_ns))) - 1
    exact_ms = sorted(durations_ns)[rank] / 1e6
    assert exact_ms * (1 - 1e-9) <= latency.percentile_ms(share) <= exact_ms * 2 ** (1 / 8) * (1 + 1e-9)


def test_nothing_counted_is_zero() -> None:
    assert Latency().summary() == {"p50": 0.0, "p99": 0.0, "p999": 0.0, "max": 0.0}


@given(st.lists(st.integers(1, 10**12), max_size=100))
def test_buckets_hold_every_duration(durations_ns: list[int]) -> None:
    latency = Latency()
    latency.add(np.array(durations_ns, np.int64))
    assert sum(count for _, count in latency.buckets()) == len(durations_ns)
