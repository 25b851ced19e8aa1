"""The page's drawings: SVG in units of its own, bars on a round axis; what they look like stands in the style sheet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sorter.ledger.reader import SLOT_MINUTES, Day
from sorter.report.figures import Latency, clock_time, milliseconds, number
from sorter.report.words import Speech


@dataclass(frozen=True, slots=True)
class _Plot:
    """A drawing area of an SVG in its own units: x to the right, y upwards from the base line."""

    width: float = 1100
    height: float = 240
    left: float = 48
    right: float = 1078
    base: float = 212
    top: float = 14

    def y(self, value: float, most: float) -> float:
        return self.base - (self.base - self.top) * value / most

    def grid(self, most: int, step: int) -> str:
        lines = (
            f'<path class="grid" d="M{self.left} {self.y(at, most):.1f}H{self.right}"/>'
            f'<text x="{self.left - 8}" y="{self.y(at, most) + 4:.1f}" class="end">{number(at)}</text>'
            for at in range(0, most + 1, step)
        )
        return "".join(lines)

    def bar(self, at: tuple[float, float], values: tuple[float, float], most: float, kind: str) -> str:
        """A bar at (x, width) over the values (low, high)."""
        (x, width), (low, high) = at, values
        top = self.y(high, most)
        tall = self.y(low, most) - top
        return f'<rect class="{kind}" x="{x:.1f}" y="{top:.2f}" width="{width:.1f}" height="{tall:.2f}"/>'

    def label(self, x: float, words: str, kind: str = "middle") -> str:
        return f'<text x="{x:.1f}" y="{self.base + 18}" class="{kind}">{words}</text>'

    def drawing(self, content: Iterable[str], title: str) -> str:
        box = f"0 0 {self.width:.0f} {self.height:.0f}"
        return f'<svg viewBox="{box}" role="img" aria-label="{title}">{"".join(content)}</svg>'


def day_chart(day: Day, say: Speech) -> str:
    busy = [slot for slot in day.slots if slot.inducted]
    first, last = busy[0].minute // 60 * 60, (busy[-1].minute // 60 + 1) * 60
    slots = [slot for slot in day.slots if first <= slot.minute < last]
    plot = _Plot()
    most, step = _steps(max(slot.inducted for slot in slots))
    each = (plot.right - plot.left) / len(slots)
    parts = [plot.grid(most, step)]
    for at, slot in enumerate(slots):
        place, good = (plot.left + at * each + 1, each - 2), slot.sorted + slot.exceptions
        span = f"{clock_time(slot.minute)}–{clock_time(slot.minute + SLOT_MINUTES)}"
        counts = f"{say('inducted')} {number(slot.inducted)}, {say('exceptions')} {number(slot.exceptions)}"
        parts += [
            f"<g><title>{span}  {counts}</title>",
            plot.bar(place, (0, slot.sorted), most, "data"),
            plot.bar(place, (slot.sorted, good), most, "accent"),
            plot.bar(place, (good, slot.inducted), most, "open"),
            "</g>",
        ]
    hours = range(first, last + 1, 60 if last - first <= 1080 else 120)
    parts += [plot.label(plot.left + (minute - first) / SLOT_MINUTES * each, clock_time(minute)) for minute in hours]
    kinds = [("data", "sorted"), ("accent", "exceptions"), *([("open", "on_belt")] if day.on_belt else [])]
    legend = "".join(f'<span><i class="{kind}"></i>{say(word)}</span>' for kind, word in kinds)
    return plot.drawing(parts, say("day")) + f'<p class="legend">{legend}</p>'


def latency_chart(latency: Latency, say: Speech) -> str:
    plot = _Plot(height=200, base=172)
    used = [at for at, count in enumerate(latency.counts) if count]
    if not used:
        return f"<p>{say('nothing')}</p>"
    first, last = max(0, used[0] - 1), min(len(latency.counts), used[-1] + 2)
    counts, edges = latency.counts[first:last], latency.edges_ms[first : last + 1]
    most, step = _steps(max(counts))
    each = (plot.right - plot.left) / len(counts)
    parts = [plot.grid(most, step)]
    for at, count in enumerate(counts):
        span = f"{edges[at]:.3g}–{edges[at + 1]:.3g} ms: {number(count)}"
        bar = plot.bar((plot.left + at * each + 0.5, each - 1), (0, count), most, "data")
        parts.append(f"<g><title>{span}</title>{bar}</g>")
    every = -(-len(counts) // 14)
    parts += [plot.label(plot.left + at * each, _tick(edges[at])) for at in range(0, len(counts), every)]
    parts += _marks(plot, latency, edges, each)
    return plot.drawing(parts, say("latency"))


def _tick(edge_ms: float) -> str:
    return f"{edge_ms:.0f}" if edge_ms >= 10 else f"{edge_ms:.2g}"


def _marks(plot: _Plot, latency: Latency, edges: Sequence[float], each: float) -> list[str]:
    """Where the percentiles stand among the bins, each a line lower than the one before."""
    parts = []
    for line, (name, value) in enumerate((("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999))):
        at = sum(edge <= value for edge in edges) - 1
        inside = min(max(at, 0), len(edges) - 2)
        low, high = edges[inside], edges[inside + 1]
        x = plot.left + (inside + min(1.0, max(0.0, (value - low) / (high - low)))) * each
        before = x > plot.right - 90  # no room for the words behind the line
        words = f'x="{x - 5:.1f}" class="end"' if before else f'x="{x + 5:.1f}"'
        parts.append(
            f'<path class="mark" d="M{x:.1f} {plot.base}V{plot.top}"/>'
            f'<text {words} y="{plot.top + 10 + 16 * line}">{name} {milliseconds(value)}</text>'
        )
    return parts


def _steps(most: float) -> tuple[int, int]:
    """A round axis for values up to `most`: its end and its step, in four steps or so."""
    step = 1
    for step in (base * 10**power for power in range(12) for base in (1, 2, 5)):
        if step * 4 >= most:
            break
    return step * max(1, -(-int(most) // step)), step
