"""The report as one HTML page that needs no other file and no script: the panels and what stands in each.

Grey is what went as it should; the one colour is what did not.
"""

from html import escape
from pathlib import Path
from typing import Final

from sorter.ledger.reader import Day
from sorter.reasons import Language
from sorter.report.charts import day_chart, latency_chart
from sorter.report.figures import Latency, adds_up, clock_time, fullest_trips, milliseconds, number, peak_hour, percent
from sorter.report.tables import (
    carrier_table,
    disturbance_table,
    flow_table,
    lane_bars,
    reason_bars,
    refusal_table,
    slack_table,
    trip_table,
)
from sorter.report.words import Speech

_STYLE: Final = Path(__file__).with_name("web_page.css").read_text("utf-8")


def page(day: Day, *, site: str, language: Language = "zh", latency: Latency | None = None) -> str:
    """A day as HTML; the times of decisions are left out where nobody measured them."""
    say = Speech(language)
    plans = " · ".join(f"{say('plan')} {escape(version[:12])}" for version in day.plans)
    sections = _sections(day, say, latency) if day.inducted else f"<p>{say('empty')}</p>"
    return f"""<!DOCTYPE html>
<html lang="{"zh-CN" if language == "zh" else "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(site)} {say("title")} {day.day}</title>
<style>
{_STYLE}</style>
</head>
<body>
<header><h1>{escape(site)}<span>{say("title")}</span></h1><p>{day.day}<span>{plans}</span></p></header>
{sections}
</body>
</html>
"""


def _sections(day: Day, say: Speech, latency: Latency | None) -> str:
    refused = sum(day.refusals.values())
    return "\n".join(
        [
            _headline(day, say, latency),
            _panel(say("day"), say("day_note"), day_chart(day, say), wide=True),
            '<div class="pair">',
            _panel(say("lanes"), say("lanes_note"), lane_bars(day, say)),
            "<div>",
            _panel(say("reasons"), say("reasons_note"), reason_bars(day, say)),
            _panel(say("carriers"), say("carriers_note"), carrier_table(day, say)),
            "</div></div>",
            _panel(say("trips"), say("trips_note"), trip_table(day, say), wide=True) if fullest_trips(day) else "",
            _panel(say("latency"), say("latency_note"), latency_chart(latency, say), wide=True) if latency else "",
            _panel(say("disturbances"), say("disturbances_note"), disturbance_table(day, say), wide=True)
            + _panel(say("slack"), say("slack_note"), slack_table(day, say), wide=True),
            _folded(f"{say('flows')} · {len(day.flows)}", flow_table(day, say)),
            _folded(f"{say('refusals')} · {number(refused)}", refusal_table(day, say)) if refused else "",
            f"<footer>{adds_up(day, say)}</footer>",
        ]
    )


def _headline(day: Day, say: Speech, latency: Latency | None) -> str:
    peak = peak_hour(day)
    wrong = sum(day.exceptions.values())
    figures = [
        ("", say("inducted"), number(day.inducted), say("items")),
        ("", say("sorted"), number(day.sorted), percent(day.sorted, day.inducted)),
        ("accent" if wrong else "", say("exceptions"), number(wrong), percent(wrong, day.inducted)),
        ("", say("on_belt"), number(day.on_belt), say("items")),
        ("", say("peak"), number(peak.inducted), f"{clock_time(peak.minute)}–{clock_time(peak.minute + 60)}"),
    ]
    if latency is not None:
        figures.append(
            ("", f"{say('latency')} p99", milliseconds(latency.p99), f"{say('longest')} {milliseconds(latency.max)}")
        )
    tiles = (
        f'<div class="{kind}"><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>'
        for kind, name, value, note in figures
    )
    return f'<dl class="figures">{"".join(tiles)}</dl>'


def _panel(title: str, note: str, content: str, *, wide: bool = False) -> str:
    kind = "panel wide" if wide else "panel"
    return f'<section class="{kind}"><h2>{title}<small>{note}</small></h2>{content}</section>'


def _folded(title: str, content: str) -> str:
    return f'<section class="panel wide"><details><summary>{title}</summary>{content}</details></section>'
