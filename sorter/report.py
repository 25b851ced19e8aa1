"""A day in words and pictures, from plain figures: nothing here reads a file or counts an item.

Grey is what went as it should; the one colour is what did not.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from sorter.ledger.reader import SLOT_MINUTES, Day, DisturbanceFigures, LaneFigures, SlackFigures, Slot, TripFigures
from sorter.reasons import ALARMS, REFUSALS, SENTENCES, Alarm, Language, Reason, Refusal, Sentence

Row = Sequence[str]

LANES_SHOWN: Final = 16
TRIPS_SHOWN: Final = 16
_MINUTE_NS: Final = 60_000_000_000


@dataclass(frozen=True, slots=True)
class Latency:
    """How long decisions took, scan to divert, in real milliseconds."""

    edges_ms: Sequence[float]  # ascending; bin i is edges_ms[i] <= ms < edges_ms[i + 1]
    counts: Sequence[int]  # len(edges_ms) - 1
    p50: float
    p99: float
    p999: float
    max: float


_WORDS: Final[dict[str, Sentence]] = {
    "title": Sentence("分拣日报", "Sorting report"),
    "plan": Sentence("分拣方案", "Sort plan"),
    "inducted": Sentence("上线", "Inducted"),
    "sorted": Sentence("已分拣", "Sorted"),
    "exceptions": Sentence("异常", "Exceptions"),
    "on_belt": Sentence("在线上", "On the belt"),
    "peak": Sentence("高峰小时", "Peak hour"),
    "latency": Sentence("决定用时", "Time to decide"),
    "longest": Sentence("最长", "longest"),
    "day": Sentence("全天件量", "Items through the day"),
    "day_note": Sentence("按上线时间，每 15 分钟的件数", "by time of induction, items per 15 minutes"),
    "lanes": Sentence("按路向", "By lane"),
    "lanes_note": Sentence("已分拣的件", "sorted items"),
    "carriers": Sentence("按承运商与流向", "By carrier and flow"),
    "carriers_note": Sentence("上线的件", "inducted items"),
    "reasons": Sentence("异常原因", "Exceptions by reason"),
    "reasons_note": Sentence("占上线件的比例", "share of the items inducted"),
    "trips": Sentence("班次装载", "Trips"),
    "trips_note": Sentence("装载最满的在前", "fullest first"),
    "latency_note": Sentence("从扫描到下发，真实毫秒", "scan to divert, real milliseconds"),
    "flows": Sentence("承运商 × 乡镇 × 流向（补贴统计）", "Carrier × township × flow (for subsidies)"),
    "refusals": Sentence("未采纳的消息", "Messages that changed nothing"),
    "disturbances": Sentence("设备故障与停顿", "Disturbances"),
    "disturbances_note": Sentence("按分拣线，当天开始的", "by line, those that began on the day"),
    "line": Sentence("分拣线", "Line"),
    "what": Sentence("情况", "What"),
    "times": Sentence("次数", "Times"),
    "lasted": Sentence("合计", "Together"),
    "longest_one": Sentence("最长一次", "Longest"),
    "of_items": Sentence("涉及件数", "Items"),
    "lasting": Sentence("{count} 个还没结束", "{count} not over"),
    "hub": Sentence("全场", "hub"),
    "started": Sentence("守护进程启动", "the daemon started"),
    "blocked": Sentence("格口堵塞", "a chute was blocked"),
    "full": Sentence("格口满格，等人换袋", "a chute was full and waited for a new bag"),
    "missed": Sentence("指令已下，落格失败", "a divert failed, as the PLC reports"),
    "slack": Sentence("决定余量", "Time left to the deadline"),
    "slack_note": Sentence("决定做出时离时限还有多久", "when an item was decided"),
    "decided": Sentence("决定次数", "Decisions"),
    "late": Sentence("来不及", "Late"),
    "least": Sentence("最少", "Least"),
    "carrier": Sentence("承运商", "Carrier"),
    "township": Sentence("乡镇", "Township"),
    "flow": Sentence("流向", "Flow"),
    "inbound": Sentence("进港", "Inbound"),
    "outbound": Sentence("出港", "Outbound"),
    "": Sentence("未知", "Unknown"),
    "lane": Sentence("路向", "Lane"),
    "no_lane": Sentence("无路向的格口", "Chutes without lane"),
    "cutoff": Sentence("截止", "Cut-off"),
    "departs": Sentence("发车", "Departs"),
    "load": Sentence("装载", "Load"),
    "sent": Sentence("提前发车", "sent early"),
    "items": Sentence("件", "items"),
    "share": Sentence("占比", "Share"),
    "total": Sentence("合计", "Total"),
    "others": Sentence("其余 {count} 个", "{count} others"),
    "nothing": Sentence("没有", "none"),
    "decisions": Sentence("次决定", "decisions"),
    "adds_up": Sentence(
        "账目相符：上线 {inducted} = 已分拣 {sorted} + 异常 {exceptions} + 在线上 {on_belt}",
        "The counts add up: {inducted} inducted = {sorted} sorted + {exceptions} exceptions + {on_belt} on the belt",
    ),
    "empty": Sentence("这一天没有件上线。", "No item was inducted on this day."),
}


class _Speech:
    """Words in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, word: str, **values: str) -> str:
        return self._say(_WORDS[word]).format(**values)

    def reason(self, word: str) -> str:
        return self._say(SENTENCES[Reason[word.upper()]])

    def disturbance(self, word: str) -> str:
        """An alarm's sentence, or that of a chute's state."""
        return self(word) if word in _WORDS else self._say(ALARMS[Alarm[word.upper()]])

    def refusal(self, word: str) -> str:
        return self._say(REFUSALS[Refusal[word.upper()]])

    def _say(self, sentence: Sentence) -> str:
        return sentence.zh if self.language == "zh" else sentence.en


def text(day: Day, *, site: str, language: Language = "zh", latency: Latency | None = None) -> str:
    """The report for a terminal."""
    say = _Speech(language)
    head = [f"{site}  {say('title')}  {day.day}", *(f"{say('plan')} {version[:12]}" for version in day.plans)]
    if not day.inducted:
        return "\n".join([*head, "", say("empty"), ""])
    parts = [
        "\n".join([*head, "", _adds_up(day, say)]),
        _listed(say("day"), [(_clock(hour.minute), *_hour_cells(hour, day)) for hour in day.hours if hour.inducted]),
        _listed(say("lanes"), _lane_rows(day, say)),
        _listed(say("carriers"), _carrier_rows(day, say)),
        _listed(say("reasons"), [(number(n), word, say.reason(word)) for word, n in day.exceptions.items()]),
        _listed(say("trips"), [_trip_row(trip, day, say) for trip in _fullest(day)[:TRIPS_SHOWN]]),
        _listed(say("disturbances"), [_disturbance_row(one, say) for one in day.disturbances]),
        _listed(say("slack"), [_slack_heads(say), *map(_slack_row, day.slack)] if day.slack else []),
    ]
    if latency is not None:
        parts.append(_listed(say("latency"), [_latency_cells(latency)]))
    if day.refusals:
        parts.append(_listed(say("refusals"), [(number(n), say.refusal(word)) for word, n in day.refusals.items()]))
    return "\n\n".join(part for part in parts if part) + "\n"


def number(count: int) -> str:
    """12,345."""
    return f"{count:,}"


def _percent(part: int, whole: int) -> str:
    """Never 0.0 % of something, never 100.0 % of not all."""
    share = 100 * part / whole if whole else 0.0
    if part and share < 0.1:
        return "<0.1 %"
    return f"{min(share, 99.9) if part < whole else share:.1f} %"


def _adds_up(day: Day, say: _Speech) -> str:
    counts = {
        "inducted": number(day.inducted),
        "sorted": number(day.sorted),
        "exceptions": number(sum(day.exceptions.values())),
        "on_belt": number(day.on_belt),
    }
    return say("adds_up", **counts)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _local_clock(t_ns: int, day: Day) -> str:
    return _clock((t_ns + day.utc_offset_ns) // _MINUTE_NS % 1440)


def _peak(day: Day) -> Slot:
    return max(day.hours, key=lambda hour: hour.inducted)


def _hour_cells(hour: Slot, day: Day) -> Row:
    return number(hour.inducted), "▇" * -(-36 * hour.inducted // _peak(day).inducted)


def _lane_title(lane: LaneFigures, say: _Speech) -> str:
    return lane.title if lane.lane else say("no_lane")


def _lane_rows(day: Day, say: _Speech) -> list[Row]:
    shown, rest = day.lanes[:LANES_SHOWN], day.lanes[LANES_SHOWN:]
    rows: list[Row] = [(number(lane.items), _percent(lane.items, day.sorted), _lane_title(lane, say)) for lane in shown]
    if rest:
        items = sum(lane.items for lane in rest)
        rows.append((number(items), _percent(items, day.sorted), say("others", count=str(len(rest)))))
    return rows


def _carriers(day: Day) -> list[tuple[str, Counter[str]]]:
    """Each carrier's title and items by flow, most items first."""
    found: dict[str, Counter[str]] = {}
    for flow in day.flows:
        found.setdefault(flow.title, Counter())[flow.flow] += flow.inducted
    return sorted(found.items(), key=lambda one: (not one[0], -one[1].total(), one[0]))


def _flows(day: Day) -> list[str]:
    present = {flow.flow for flow in day.flows}
    return [word for word in ("inbound", "outbound", "") if word in present]


def _carrier_rows(day: Day, say: _Speech) -> list[Row]:
    return [
        (number(by_flow.total()), *(f"{say(flow)} {number(by_flow[flow])}" for flow in _flows(day)), title or say(""))
        for title, by_flow in _carriers(day)
    ]


def _fullest(day: Day) -> list[TripFigures]:
    used = [trip for trip in day.trips if trip.load]
    return sorted(used, key=lambda trip: (-_fill(trip), trip.cutoff_ns, trip.lane))


def _fill(trip: TripFigures) -> float:
    return trip.load / trip.capacity if trip.capacity else 0.0


def _load(trip: TripFigures) -> str:
    return f"{number(trip.load)} / {number(trip.capacity)}" if trip.capacity else number(trip.load)


def _trip_row(trip: TripFigures, day: Day, say: _Speech) -> Row:
    times = f"{_local_clock(trip.cutoff_ns, day)} → {_local_clock(trip.departs_ns, day)}"
    return _load(trip), times, trip.title, say("sent") if trip.sent_ns is not None else ""


def _disturbance_heads(say: _Speech) -> Row:
    return say("line"), say("what"), say("times"), say("lasted"), say("longest_one"), say("of_items")


def _disturbance_row(one: DisturbanceFigures, say: _Speech) -> Row:
    what = say.disturbance(one.what)
    if one.lasting:
        what += f" ({say('lasting', count=str(one.lasting))})"
    lasted = (_duration(one.lasted_ns), _duration(one.longest_ns)) if one.longest_ns or one.lasting else ("", "")
    return one.line or say("hub"), what, number(one.times), *lasted, number(one.items) if one.items else ""


def _slack_heads(say: _Speech) -> Row:
    return say("line"), say("decided"), say("late"), say("least"), "p1", "p50"


def _slack_row(one: SlackFigures) -> Row:
    left = (_seconds(ns) for ns in (one.least_ns, one.p01_ns, one.p50_ns))
    return one.line, number(one.decisions), number(one.late), *left


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:,.2f} s"


def _duration(ns: int) -> str:
    """1:02:03, or 4.5 s below a minute."""
    if ns < _MINUTE_NS:
        return f"{ns / 1e9:.1f} s"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _latency_cells(latency: Latency) -> Row:
    named = (("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999), ("max", latency.max))
    return [f"{name} {_milliseconds(value)}" for name, value in named]


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _listed(title: str, rows: Sequence[Row]) -> str:
    """A heading and aligned columns; numbers to the right. A Chinese character is two columns wide."""
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


def page(day: Day, *, site: str, language: Language = "zh", latency: Latency | None = None) -> str:
    """The report as one HTML page that needs no other file and no script."""
    say = _Speech(language)
    plans = " · ".join(f"{say('plan')} {escape(version[:12])}" for version in day.plans)
    sections = _sections(day, say, latency) if day.inducted else f"<p>{say('empty')}</p>"
    return f"""<!DOCTYPE html>
<html lang="{"zh-CN" if language == "zh" else "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(site)} {say("title")} {day.day}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><h1>{escape(site)}<span>{say("title")}</span></h1><p>{day.day}<span>{plans}</span></p></header>
{sections}
</body>
</html>
"""


def _sections(day: Day, say: _Speech, latency: Latency | None) -> str:
    return "\n".join(
        [
            _headline(day, say, latency),
            _panel(say("day"), say("day_note"), _day_chart(day, say), wide=True),
            '<div class="pair">',
            _panel(say("lanes"), say("lanes_note"), _lane_bars(day, say)),
            "<div>",
            _panel(say("reasons"), say("reasons_note"), _reason_bars(day, say)),
            _panel(say("carriers"), say("carriers_note"), _carrier_table(day, say)),
            "</div></div>",
            _panel(say("trips"), say("trips_note"), _trip_table(day, say), wide=True) if _fullest(day) else "",
            _panel(say("latency"), say("latency_note"), _latency_chart(latency, say), wide=True) if latency else "",
            _disturbance_panel(day, say),
            _flow_table(day, say),
            _refusal_table(day, say),
            f"<footer>{_adds_up(day, say)}</footer>",
        ]
    )


def _disturbance_panel(day: Day, say: _Speech) -> str:
    rows = [tuple(map(escape, _disturbance_row(one, say))) for one in day.disturbances]
    slack = [tuple(map(escape, _slack_row(one))) for one in day.slack]
    disturbed = _table(_disturbance_heads(say), rows, 2) if rows else f"<p>{say('nothing')}</p>"
    return _panel(say("disturbances"), say("disturbances_note"), disturbed, wide=True) + _panel(
        say("slack"), say("slack_note"), _table(_slack_heads(say), slack, 1), wide=True
    )


def _panel(title: str, note: str, content: str, *, wide: bool = False) -> str:
    kind = "panel wide" if wide else "panel"
    return f'<section class="{kind}"><h2>{title}<small>{note}</small></h2>{content}</section>'


def _headline(day: Day, say: _Speech, latency: Latency | None) -> str:
    peak = _peak(day)
    wrong = sum(day.exceptions.values())
    figures = [
        ("", say("inducted"), number(day.inducted), say("items")),
        ("", say("sorted"), number(day.sorted), _percent(day.sorted, day.inducted)),
        ("accent" if wrong else "", say("exceptions"), number(wrong), _percent(wrong, day.inducted)),
        ("", say("on_belt"), number(day.on_belt), say("items")),
        ("", say("peak"), number(peak.inducted), f"{_clock(peak.minute)}–{_clock(peak.minute + 60)}"),
    ]
    if latency is not None:
        figures.append(
            ("", f"{say('latency')} p99", _milliseconds(latency.p99), f"{say('longest')} {_milliseconds(latency.max)}")
        )
    tiles = (
        f'<div class="{kind}"><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>'
        for kind, name, value, note in figures
    )
    return f'<dl class="figures">{"".join(tiles)}</dl>'


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


def _steps(most: float) -> tuple[int, int]:
    """A round axis for values up to `most`: its end and its step, in four steps or so."""
    step = 1
    for step in (base * 10**power for power in range(12) for base in (1, 2, 5)):
        if step * 4 >= most:
            break
    return step * max(1, -(-int(most) // step)), step


def _day_chart(day: Day, say: _Speech) -> str:
    busy = [slot for slot in day.slots if slot.inducted]
    first, last = busy[0].minute // 60 * 60, (busy[-1].minute // 60 + 1) * 60
    slots = [slot for slot in day.slots if first <= slot.minute < last]
    plot = _Plot()
    most, step = _steps(max(slot.inducted for slot in slots))
    each = (plot.right - plot.left) / len(slots)
    parts = [plot.grid(most, step)]
    for at, slot in enumerate(slots):
        place, good = (plot.left + at * each + 1, each - 2), slot.sorted + slot.exceptions
        span = f"{_clock(slot.minute)}–{_clock(slot.minute + SLOT_MINUTES)}"
        counts = f"{say('inducted')} {number(slot.inducted)}, {say('exceptions')} {number(slot.exceptions)}"
        parts += [
            f"<g><title>{span}  {counts}</title>",
            plot.bar(place, (0, slot.sorted), most, "data"),
            plot.bar(place, (slot.sorted, good), most, "accent"),
            plot.bar(place, (good, slot.inducted), most, "open"),
            "</g>",
        ]
    hours = range(first, last + 1, 60 if last - first <= 1080 else 120)
    parts += [plot.label(plot.left + (minute - first) / SLOT_MINUTES * each, _clock(minute)) for minute in hours]
    kinds = [("data", "sorted"), ("accent", "exceptions"), *([("open", "on_belt")] if day.on_belt else [])]
    legend = "".join(f'<span><i class="{kind}"></i>{say(word)}</span>' for kind, word in kinds)
    return plot.drawing(parts, say("day")) + f'<p class="legend">{legend}</p>'


def _bars(rows: Sequence[tuple[str, int, str]], most: int, kind: str) -> str:
    """Rows of a name, a bar that is full at `most`, a count and a share."""
    whole = max(most, 1)
    lines = (
        f'<tr><th>{name}</th><td class="bar"><i class="{kind}" style="width:{100 * items / whole:.2f}%"></i></td>'
        f'<td class="num">{number(items)}</td><td class="num light">{share}</td></tr>'
        for name, items, share in rows
    )
    return f'<table class="bars">{"".join(lines)}</table>'


def _lane_bars(day: Day, say: _Speech) -> str:
    rows = [(escape(_lane_title(lane, say)), lane.items, _percent(lane.items, day.sorted)) for lane in day.lanes]
    most = max(lane.items for lane in day.lanes) if day.lanes else 1
    content, rest = _bars(rows[:LANES_SHOWN], most, "data"), rows[LANES_SHOWN:]
    if not rest:
        return content
    items = sum(lane[1] for lane in rest)
    title = f"{say('others', count=str(len(rest)))} · {number(items)} · {_percent(items, day.sorted)}"
    return f"{content}<details><summary>{title}</summary>{_bars(rest, most, 'data')}</details>"


def _reason_bars(day: Day, say: _Speech) -> str:
    if not day.exceptions:
        return f"<p>{say('nothing')}</p>"
    rows = [(say.reason(word), items, _percent(items, day.inducted)) for word, items in day.exceptions.items()]
    return _bars(rows, max(day.exceptions.values()), "accent")


def _table(heads: Row, rows: Iterable[Row], text_columns: int, total: Row | None = None) -> str:
    """The first columns hold words, the others figures."""

    def line(cells: Row, cell: str) -> str:
        kinds = ["" if at < text_columns else ' class="num"' for at in range(len(cells))]
        return "".join(f"<{cell}{kind}>{words}</{cell}>" for kind, words in zip(kinds, cells, strict=True))

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    foot = f"<tfoot><tr>{line(total, 'td')}</tr></tfoot>" if total else ""
    return f"<table><thead><tr>{line(heads, 'th')}</tr></thead><tbody>{body}</tbody>{foot}</table>"


def _carrier_table(day: Day, say: _Speech) -> str:
    flows = _flows(day)
    every: Counter[str] = Counter()
    rows = []
    for title, by_flow in _carriers(day):
        every += by_flow
        items = by_flow.total()
        cells = (number(by_flow[flow]) for flow in flows)
        rows.append([escape(title) or say(""), *cells, number(items), _percent(items, day.inducted)])
    heads = [say("carrier"), *(say(flow) for flow in flows), say("total"), say("share")]
    total = [say("total"), *(number(every[flow]) for flow in flows), number(every.total()), ""]
    return _table(heads, rows, 1, total)


def _trip_table(day: Day, say: _Speech) -> str:
    trips = _fullest(day)
    content = f'<div class="trips">{"".join(_trip_card(trip, day, say) for trip in trips[:TRIPS_SHOWN])}</div>'
    rows = [
        (escape(trip.title), _local_clock(trip.cutoff_ns, day), _local_clock(trip.departs_ns, day), _load(trip))
        for trip in day.trips
    ]
    heads = (say("lane"), say("cutoff"), say("departs"), say("load"))
    return f"{content}<details><summary>{say('trips')} · {len(rows)}</summary>{_table(heads, rows, 1)}</details>"


def _trip_card(trip: TripFigures, day: Day, say: _Speech) -> str:
    sent = f" · {say('sent')}" if trip.sent_ns is not None else ""
    return (
        f"<div><h3>{escape(trip.title)}<span>{_local_clock(trip.departs_ns, day)}{sent}</span></h3>"
        f'<p class="bar"><i class="data" style="width:{min(100.0, 100 * _fill(trip)):.1f}%"></i></p>'
        f"<em>{_load(trip)}</em></div>"
    )


def _latency_chart(latency: Latency, say: _Speech) -> str:
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
            f'<text {words} y="{plot.top + 10 + 16 * line}">{name} {_milliseconds(value)}</text>'
        )
    return parts


def _flow_table(day: Day, say: _Speech) -> str:
    rows = [
        (
            *(escape(flow.title) or say(""), escape(flow.township) or say(""), say(flow.flow)),
            *(number(flow.inducted), number(flow.sorted)),
        )
        for flow in sorted(day.flows, key=lambda one: (not one.carrier, one.carrier, one.township, one.flow))
    ]
    heads = (say("carrier"), say("township"), say("flow"), say("inducted"), say("sorted"))
    total = (say("total"), "", "", number(day.inducted), number(day.sorted))
    return _folded(f"{say('flows')} · {len(rows)}", _table(heads, rows, 3, total))


def _refusal_table(day: Day, say: _Speech) -> str:
    if not day.refusals:
        return ""
    rows = [(say.refusal(word), number(events)) for word, events in Counter(day.refusals).most_common()]
    return _folded(f"{say('refusals')} · {number(sum(day.refusals.values()))}", _table(("", ""), rows, 1))


def _folded(title: str, content: str) -> str:
    return f'<section class="panel wide"><details><summary>{title}</summary>{content}</details></section>'


_STYLE: Final = """
:root { --ground: #e9e9e8; --panel: #f6f6f5; --line: #d9d9d7; --ink: #24272a; --light: #73787d;
        --data: #7f8a94; --accent: #c2500f; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 32px 40px; max-width: 1240px; background: var(--ground); color: var(--ink);
       font: 14px/1.5 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; font-variant-numeric: tabular-nums; }
header { display: flex; justify-content: space-between; align-items: baseline; margin-bottom: 18px; }
h1 { font-size: 22px; font-weight: 600; margin: 0; }
h1 span { font-weight: 400; color: var(--light); margin-left: 12px; }
header p { margin: 0; font-size: 18px; }
header p span { color: var(--light); font-size: 13px; margin-left: 14px; }
.figures { display: flex; gap: 1px; margin: 0 0 16px; background: var(--line); border: 1px solid var(--line); }
.figures div { flex: 1; background: var(--panel); padding: 12px 18px 10px; }
.figures dt { color: var(--light); font-size: 13px; }
.figures dd { margin: 0; font-size: 27px; line-height: 1.3; white-space: nowrap; }
.figures small { font-size: 13px; color: var(--light); margin-left: 8px; }
.figures .accent dd { color: var(--accent); }
.panel { background: var(--panel); border: 1px solid var(--line); padding: 14px 20px 16px; margin-bottom: 16px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 16px; align-items: start; }
h2 { font-size: 15px; font-weight: 600; margin: 0 0 10px; }
h2 small { font-weight: 400; font-size: 13px; color: var(--light); margin-left: 10px; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 12px; fill: var(--light); }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; }
svg .grid { stroke: var(--line); } svg .mark { stroke: var(--ink); stroke-dasharray: 2 3; }
rect.data { fill: var(--data); } rect.accent { fill: var(--accent); } rect.open { fill: #c9ced3; }
i.data { background: var(--data); } i.accent { background: var(--accent); } i.open { background: #c9ced3; }
.legend { margin: 6px 0 0; color: var(--light); font-size: 13px; }
.legend span { margin-right: 20px; }
.legend i { display: inline-block; width: 10px; height: 10px; margin-right: 6px; }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; font-weight: 400; padding: 4px 0 4px 14px; }
th:first-child, td:first-child { padding-left: 0; }
thead th { color: var(--light); border-bottom: 1px solid var(--line); }
tbody tr + tr td { border-top: 1px solid #ececea; }
tfoot td { border-top: 1px solid #b9bcbf; font-weight: 600; }
.num { text-align: right; white-space: nowrap; } .light { color: var(--light); }
.bars th { width: 38%; } .bars td, .bars th { padding-top: 3px; padding-bottom: 3px; border: 0 !important; }
.bar i { display: block; height: 12px; min-width: 1px; }
.bars .num { width: 1%; }
.trips { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px 24px; }
.trips div { display: grid; grid-template-columns: 1fr 76px; font-size: 13px; }
.trips h3 { grid-column: 1 / 3; display: flex; justify-content: space-between; margin: 0; font: inherit; }
.trips span, .trips em { color: var(--light); font-style: normal; text-align: right; }
.trips .bar { margin: 5px 0; background: #e2e3e3; align-self: center; }
details summary { cursor: pointer; color: var(--light); font-size: 13px; }
.panel > details > summary { color: var(--ink); font-size: 15px; }
details[open] summary { margin-bottom: 8px; } * + details { margin-top: 10px; }
footer { color: var(--light); font-size: 13px; }
@media (max-width: 900px) { .pair, .trips { grid-template-columns: 1fr; } .figures { flex-wrap: wrap; } }
@media print { body { background: none; padding: 0; } .panel { break-inside: avoid; } }
"""
