"""A day's figures as text and page both tell them: what comes first, shares, loads and times."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sorter.ledger.reader import Day, LaneFigures, Slot, TripFigures
from sorter.report.words import Speech

Row = Sequence[str]

LANES_SHOWN: Final = 16
TRIPS_SHOWN: Final = 16
MINUTE_NS: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Latency:
    """How long decisions took, scan to divert, in real milliseconds."""

    edges_ms: Sequence[float]  # ascending; bin i is edges_ms[i] <= ms < edges_ms[i + 1]
    counts: Sequence[int]  # len(edges_ms) - 1
    p50: float
    p99: float
    p999: float
    max: float


def adds_up(day: Day, say: Speech) -> str:
    counts = {
        "inducted": number(day.inducted),
        "sorted": number(day.sorted),
        "exceptions": number(sum(day.exceptions.values())),
        "on_belt": number(day.on_belt),
    }
    return say("adds_up", **counts)


def peak_hour(day: Day) -> Slot:
    return max(day.hours, key=lambda hour: hour.inducted)


def lane_title(lane: LaneFigures, say: Speech) -> str:
    return lane.title if lane.lane else say("no_lane")


def by_carrier(day: Day) -> list[tuple[str, Counter[str]]]:
    """Each carrier's title and items by flow, most items first."""
    found: dict[str, Counter[str]] = {}
    for flow in day.flows:
        found.setdefault(flow.title, Counter())[flow.flow] += flow.inducted
    return sorted(found.items(), key=lambda one: (not one[0], -one[1].total(), one[0]))


def flow_words(day: Day) -> list[str]:
    present = {flow.flow for flow in day.flows}
    return [word for word in ("inbound", "outbound", "") if word in present]


def fullest_trips(day: Day) -> list[TripFigures]:
    used = [trip for trip in day.trips if trip.load]
    return sorted(used, key=lambda trip: (-fill_of(trip), trip.cutoff_ns, trip.lane))


def fill_of(trip: TripFigures) -> float:
    return trip.load / trip.capacity if trip.capacity else 0.0


def load_of(trip: TripFigures) -> str:
    return f"{number(trip.load)} / {number(trip.capacity)}" if trip.capacity else number(trip.load)


def number(count: int) -> str:
    """12,345."""
    return f"{count:,}"


def percent(part: int, whole: int) -> str:
    """Never 0.0 % of something, never 100.0 % of not all."""
    share = 100 * part / whole if whole else 0.0
    if part and share < 0.1:
        return "<0.1 %"
    return f"{min(share, 99.9) if part < whole else share:.1f} %"


def clock_time(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def local_time(t_ns: int, day: Day) -> str:
    return clock_time((t_ns + day.utc_offset_ns) // MINUTE_NS % 1440)


def milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"
