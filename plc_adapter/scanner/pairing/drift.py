"""How far items come from where they are expected: told once when it leaves its bounds, and once when it is back."""

from collections import deque
from statistics import median
from typing import Final

from plc_adapter.scanner.pairing.tracking import NS_PER_MS

DRIFT_PAIRS: Final = 64  # the last pairs whose offset is known; fewer tell nothing


class Drift:
    """The median offset of the last pairs from where they were expected."""

    def __init__(self, allowed_ns: int) -> None:
        self.median_ns = 0.0
        self._allowed_ns = allowed_ns
        self._offsets: deque[int] = deque(maxlen=DRIFT_PAIRS)
        self._off = False

    def pair(self, offset_ns: int) -> str:
        """One more pair; what is to be told when the median left its bounds or came back, else nothing."""
        self._offsets.append(offset_ns)
        if len(self._offsets) < DRIFT_PAIRS:
            return ""
        self.median_ns = median(self._offsets)
        allowed_ns = self._allowed_ns // 2 if self._off else self._allowed_ns  # or the edge would be told for ever
        if (abs(self.median_ns) > allowed_ns) == self._off:
            return ""
        self._off = not self._off
        told = f"items come {self.median_ns / NS_PER_MS:+.1f} ms from where they are expected"
        if self._off:
            return f"{told}; add that to travel_ms, or look at the belt's speed"
        return f"{told}, which is within bounds again"
