"""Made-up time: whatever happens is a call at a moment, and equal seeds make the same calls in the same order."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Final

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
NEVER_NS: Final = 1 << 62
OPENS_NS: Final = 1_794_344_400 * SECOND  # 2026-11-11 05:00 in China


class World:
    """The one clock, the one source of chance, and what is to come."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_ns = OPENS_NS
        self.chance = Random(seed)
        self.violations: list[str] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._pushed = 0

    def at(self, t_ns: int, call: Callable[[], None]) -> None:
        """Call it at a moment, at the earliest now."""
        self._pushed += 1
        heappush(self._heap, (max(t_ns, self.now_ns), self._pushed, call))

    def after(self, delay_ns: int, call: Callable[[], None]) -> None:
        """Call it so much later."""
        self.at(self.now_ns + delay_ns, call)

    def run(self, until_ns: int, ended: Callable[[], bool]) -> bool:
        """Let everything happen up to `until_ns`, or until it has `ended`; whether it has."""
        while self._heap and self._heap[0][0] <= until_ns:
            self.now_ns, _, call = heappop(self._heap)
            call()
            if ended():
                return True
        self.now_ns = until_ns
        return ended()

    def between(self, least_ns: int, most_ns: int) -> int:
        """Some span of that length."""
        return self.chance.randint(least_ns, most_ns)

    def happens(self, share: float) -> bool:
        """True in that share of cases."""
        return self.chance.random() < share

    def violated(self, what: str) -> None:
        """A guarantee was broken."""
        self.violations.append(what)


class Alarm:
    """One call that is due at some moment; setting it earlier replaces it, ringing clears it."""

    def __init__(self, world: World, ring: Callable[[], None]) -> None:
        self._world = world
        self._ring = ring
        self._due_ns = NEVER_NS

    def set(self, t_ns: int) -> None:
        """Ring at `t_ns` unless it rings before."""
        t_ns = max(t_ns, self._world.now_ns)
        if t_ns < self._due_ns:
            self._due_ns = t_ns
            self._world.at(t_ns, self._check)

    def clear(self) -> None:
        """Do not ring."""
        self._due_ns = NEVER_NS

    def _check(self) -> None:
        if self._world.now_ns >= self._due_ns:
            self._due_ns = NEVER_NS
            self._ring()
