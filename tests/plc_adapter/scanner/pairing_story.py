"""What happens at a reader, in milliseconds: told once, and run call by call in the order of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from plc_adapter.scanner.pairing import Paired, Pairing, Tracking, pairing
from plc_adapter.scanner.tunnel import Merged

MS: Final = 1_000_000
START: Final = 10_000_000 * MS
TRAVEL: Final = 1000
WINDOW: Final = 50
ORDER: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW)
TUNNEL: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, merge_ms=30)  # of two heads
BY_ID: Final = Tracking(travel_ms=TRAVEL, window_ms=WINDOW, by="id")


def said(t_ms: float, *codes: str, number: int | None = None, weight_g: int = 0) -> Merged:
    """A reading that comes at `t_ms`."""
    return Merged(codes, not codes, weight_g, None, number, START + round(t_ms * MS))


@dataclass
class Story:
    """Calls in milliseconds, run in the order of their times with `due` between them."""

    tracking: Tracking = ORDER
    heads: int = 1
    calls: list[tuple[float, str, tuple[object, ...]]] = field(default_factory=list)

    def enter(self, item: int, t_ms: float, told_ms: float | None = None) -> Story:
        self.calls.append((t_ms if told_ms is None else told_ms, "entered", (item, START + round(t_ms * MS))))
        return self

    def read(self, t_ms: float, *codes: str, number: int | None = None, at_ms: float | None = None) -> Story:
        merged = said(t_ms, *codes, number=number, weight_g=7)
        self.calls.append((t_ms if at_ms is None else at_ms, "read", (merged,)))
        return self

    def leave(self, item: int, t_ms: float) -> Story:
        self.calls.append((t_ms, "left", (item, START + round(t_ms * MS))))
        return self

    def run(self, until_ms: float = 0, hole_ms: tuple[float, float] = (-1, -1)) -> tuple[Pairing, list[Paired]]:
        """`hole_ms`: between these times nothing is called."""
        pair = pairing(self.tracking, self.heads)
        calls = sorted(self.calls, key=lambda call: call[0])
        end_ms = max(until_ms, calls[-1][0] + TRAVEL + 2 * self.tracking.window_ms + 200)
        ticks = [(float(at), "due", ()) for at in range(0, int(end_ms) + 1, 20)]
        out: list[Paired] = []
        for at_ms, name, arguments in sorted([*calls, *ticks], key=lambda call: call[0]):
            now_ns = START + round(at_ms * MS)
            if name == "left":
                pair.left(*arguments)  # type: ignore[arg-type] # the story's arguments are those of the call
            elif not hole_ms[0] < at_ms < hole_ms[1]:
                out += getattr(pair, name)(*arguments, now_ns) or []
        return pair, out


def fates(out: list[Paired]) -> list[tuple[int, tuple[str, ...], str]]:
    """What became of each item: its number, its codes and why."""
    return [(one.item, one.codes, str(one.fate)) for one in out]
