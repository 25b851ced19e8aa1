"""The report for a terminal: headings and aligned columns, where a Chinese character is two columns wide."""

import unicodedata
from collections.abc import Sequence

from sorter.ledger.reader import Day, Slot, TripFigures
from sorter.reasons import Language
from sorter.report.disturbances import disturbance_row, slack_heads, slack_row
from sorter.report.figures import (
    LANES_SHOWN,
    TRIPS_SHOWN,
    Latency,
    Row,
    adds_up,
    by_carrier,
    clock_time,
    flow_words,
    fullest_trips,
    lane_title,
    load_of,
    local_time,
    milliseconds,
    number,
    peak_hour,
    percent,
)
from sorter.report.words import Speech


def text(day: Day, *, site: str, language: Language = "zh", latency: Latency | None = None) -> str:
    """A day in lines; the times of decisions are left out where nobody measured them."""
    say = Speech(language)
    head = [f"{site}  {say('title')}  {day.day}", *(f"{say('plan')} {version[:12]}" for version in day.plans)]
    if not day.inducted:
        return "\n".join([*head, "", say("empty"), ""])
    parts = [
        "\n".join([*head, "", adds_up(day, say)]),
        _listed(
            say("day"), [(clock_time(hour.minute), *_hour_cells(hour, day)) for hour in day.hours if hour.inducted]
        ),
        _listed(say("lanes"), _lane_rows(day, say)),
        _listed(say("carriers"), _carrier_rows(day, say)),
        _listed(say("reasons"), [(number(n), word, say.reason(word)) for word, n in day.exceptions.items()]),
        _listed(say("trips"), [_trip_row(trip, day, say) for trip in fullest_trips(day)[:TRIPS_SHOWN]]),
        _listed(say("disturbances"), [disturbance_row(one, say) for one in day.disturbances]),
        _listed(say("slack"), [slack_heads(say), *map(slack_row, day.slack)] if day.slack else []),
    ]
    if latency is not None:
        parts.append(_listed(say("latency"), [_latency_cells(latency)]))
    if day.refusals:
        parts.append(_listed(say("refusals"), [(number(n), say.refusal(word)) for word, n in day.refusals.items()]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _hour_cells(hour: Slot, day: Day) -> Row:
    return number(hour.inducted), "▇" * -(-36 * hour.inducted // peak_hour(day).inducted)


def _lane_rows(day: Day, say: Speech) -> list[Row]:
    shown, rest = day.lanes[:LANES_SHOWN], day.lanes[LANES_SHOWN:]
    rows: list[Row] = [(number(lane.items), percent(lane.items, day.sorted), lane_title(lane, say)) for lane in shown]
    if rest:
        items = sum(lane.items for lane in rest)
        rows.append((number(items), percent(items, day.sorted), say("others", count=str(len(rest)))))
    return rows


def _carrier_rows(day: Day, say: Speech) -> list[Row]:
    return [
        (
            number(by_flow.total()),
            *(f"{say(flow)} {number(by_flow[flow])}" for flow in flow_words(day)),
            title or say(""),
        )
        for title, by_flow in by_carrier(day)
    ]


def _trip_row(trip: TripFigures, day: Day, say: Speech) -> Row:
    times = f"{local_time(trip.cutoff_ns, day)} → {local_time(trip.departs_ns, day)}"
    return load_of(trip), times, trip.title, say("sent") if trip.sent_ns is not None else ""


def _latency_cells(latency: Latency) -> Row:
    named = (("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999), ("max", latency.max))
    return [f"{name} {milliseconds(value)}" for name, value in named]


def _listed(title: str, rows: Sequence[Row]) -> str:
    """A heading and aligned columns, numbers to the right."""
    if not rows:
        return ""
    widths = [max(_width(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [title]
    for row in rows:
        cells = (
            " " * (width - _width(cell)) + cell if cell[:1].isdigit() else cell + " " * (width - _width(cell))
            for cell, width in zip(row, widths, strict=True)
        )
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _width(cell: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in cell)
