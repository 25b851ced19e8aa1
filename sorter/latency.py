"""How long decisions took: counts in buckets of constant relative width, cheap enough to keep always.

Eight buckets to each doubling, so a percentile read from them is at most 9 % too high.
"""

import numpy as np
from numpy.typing import NDArray

_PER_DOUBLING = 8
_BUCKETS = 40 * _PER_DOUBLING  # up to 2**40 ns, eighteen minutes


class Latency:
    """A histogram of durations in nanoseconds."""

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(_BUCKETS, np.int64)
        self.max_ns = 0
        self.sum_ns = 0

    def add(self, durations_ns: NDArray[np.int64]) -> None:
        """Count durations; one below 1 ns counts as 1 ns."""
        if durations_ns.size == 0:
            return
        buckets = np.log2(np.maximum(durations_ns, 1)) * _PER_DOUBLING
        self.counts += np.bincount(np.minimum(buckets.astype(np.int64), _BUCKETS - 1), minlength=_BUCKETS)
        self.max_ns = max(self.max_ns, int(durations_ns.max()))
        self.sum_ns += int(durations_ns.sum())

    def percentile_ms(self, share: float) -> float:
        """The upper edge of the bucket below which `share` (0..1) of the durations lie, in ms."""
        total = int(self.counts.sum())
        if total == 0:
            return 0.0
        bucket = int(np.searchsorted(np.cumsum(self.counts), share * total))
        edge_ns = 2.0 ** ((bucket + 1) / _PER_DOUBLING)
        return float(min(edge_ns, self.max_ns)) / 1e6

    def summary(self) -> dict[str, float]:
        """p50, p99, p999 and max in milliseconds."""
        points = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
        figures = {name: round(self.percentile_ms(share), 3) for name, share in points.items()}
        return figures | {"max": round(self.max_ns / 1e6, 3)}

    def buckets(self) -> list[tuple[float, int]]:
        """(upper edge in ms, count) of every bucket from the first to the last that holds something."""
        held = np.flatnonzero(self.counts)
        span = range(int(held[0]), int(held[-1]) + 1) if held.size else range(0)
        return [(float(2.0 ** ((at + 1) / _PER_DOUBLING) / 1e6), int(self.counts[at])) for at in span]
