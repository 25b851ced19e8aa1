"""The page's tables: no row is left out, what is long is folded away, and words from outside are escaped here."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from sorter.ledger.reader import Day, TripFigures
from sorter.report.disturbances import disturbance_heads, disturbance_row, slack_heads, slack_row
from sorter.report.figures import (
    LANES_SHOWN,
    TRIPS_SHOWN,
    Row,
    by_carrier,
    fill_of,
    flow_words,
    fullest_trips,
    lane_title,
    load_of,
    local_time,
    number,
    percent,
)
from sorter.report.words import Speech


def lane_bars(day: Day, say: Speech) -> str:
    rows = [(escape(lane_title(lane, say)), lane.items, percent(lane.items, day.sorted)) for lane in day.lanes]
    most = max(lane.items for lane in day.lanes) if day.lanes else 1
    content, rest = _bars(rows[:LANES_SHOWN], most, "data"), rows[LANES_SHOWN:]
    if not rest:
        return content
    items = sum(lane[1] for lane in rest)
    title = f"{say('others', count=str(len(rest)))} · {number(items)} · {percent(items, day.sorted)}"
    return f"{content}<details><summary>{title}</summary>{_bars(rest, most, 'data')}</details>"


def reason_bars(day: Day, say: Speech) -> str:
    if not day.exceptions:
        return f"<p>{say('nothing')}</p>"
    rows = [(say.reason(word), items, percent(items, day.inducted)) for word, items in day.exceptions.items()]
    return _bars(rows, max(day.exceptions.values()), "accent")


def carrier_table(day: Day, say: Speech) -> str:
    flows = flow_words(day)
    every: Counter[str] = Counter()
    rows = []
    for title, by_flow in by_carrier(day):
        every += by_flow
        items = by_flow.total()
        cells = (number(by_flow[flow]) for flow in flows)
        rows.append([escape(title) or say(""), *cells, number(items), percent(items, day.inducted)])
    heads = [say("carrier"), *(say(flow) for flow in flows), say("total"), say("share")]
    total = [say("total"), *(number(every[flow]) for flow in flows), number(every.total()), ""]
    return _table(heads, rows, 1, total)


def trip_table(day: Day, say: Speech) -> str:
    trips = fullest_trips(day)
    content = f'<div class="trips">{"".join(_trip_card(trip, day, say) for trip in trips[:TRIPS_SHOWN])}</div>'
    rows = [
        (escape(trip.title), local_time(trip.cutoff_ns, day), local_time(trip.departs_ns, day), load_of(trip))
        for trip in day.trips
    ]
    heads = (say("lane"), say("cutoff"), say("departs"), say("load"))
    return f"{content}<details><summary>{say('trips')} · {len(rows)}</summary>{_table(heads, rows, 1)}</details>"


def _trip_card(trip: TripFigures, day: Day, say: Speech) -> str:
    sent = f" · {say('sent')}" if trip.sent_ns is not None else ""
    return (
        f"<div><h3>{escape(trip.title)}<span>{local_time(trip.departs_ns, day)}{sent}</span></h3>"
        f'<p class="bar"><i class="data" style="width:{min(100.0, 100 * fill_of(trip)):.1f}%"></i></p>'
        f"<em>{load_of(trip)}</em></div>"
    )


def flow_table(day: Day, say: Speech) -> str:
    rows = [
        (
            *(escape(flow.title) or say(""), escape(flow.township) or say(""), say(flow.flow)),
            *(number(flow.inducted), number(flow.sorted)),
        )
        for flow in sorted(day.flows, key=lambda one: (not one.carrier, one.carrier, one.township, one.flow))
    ]
    heads = (say("carrier"), say("township"), say("flow"), say("inducted"), say("sorted"))
    total = (say("total"), "", "", number(day.inducted), number(day.sorted))
    return _table(heads, rows, 3, total)


def refusal_table(day: Day, say: Speech) -> str:
    rows = [(say.refusal(word), number(events)) for word, events in Counter(day.refusals).most_common()]
    return _table(("", ""), rows, 1)


def disturbance_table(day: Day, say: Speech) -> str:
    if not day.disturbances:
        return f"<p>{say('nothing')}</p>"
    rows = [tuple(map(escape, disturbance_row(one, say))) for one in day.disturbances]
    return _table(disturbance_heads(say), rows, 2)


def slack_table(day: Day, say: Speech) -> str:
    return _table(slack_heads(say), [tuple(map(escape, slack_row(one))) for one in day.slack], 1)


def _bars(rows: Sequence[tuple[str, int, str]], most: int, kind: str) -> str:
    """Rows of a name, a bar that is full at `most`, a count and a share."""
    whole = max(most, 1)
    lines = (
        f'<tr><th>{name}</th><td class="bar"><i class="{kind}" style="width:{100 * items / whole:.2f}%"></i></td>'
        f'<td class="num">{number(items)}</td><td class="num light">{share}</td></tr>'
        for name, items, share in rows
    )
    return f'<table class="bars">{"".join(lines)}</table>'


def _table(heads: Row, rows: Iterable[Row], text_columns: int, total: Row | None = None) -> str:
    """The first columns hold words, the others figures."""

    def line(cells: Row, cell: str) -> str:
        kinds = ["" if at < text_columns else ' class="num"' for at in range(len(cells))]
        return "".join(f"<{cell}{kind}>{words}</{cell}>" for kind, words in zip(kinds, cells, strict=True))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    foot = f"<tfoot><tr>{line(total, 'td')}</tr></tfoot>" if total else ""
    return f"<table><thead><tr>{line(heads, 'th')}</tr></thead><tbody>{body}</tbody>{foot}</table>"
