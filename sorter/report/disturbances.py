"""What disturbed the lines, and how much time decisions had left: the same cells in text and page."""

from sorter.ledger.reader import DisturbanceFigures, SlackFigures
from sorter.report.figures import MINUTE_NS, Row, number
from sorter.report.words import Speech


def disturbance_heads(say: Speech) -> Row:
    return say("line"), say("what"), say("times"), say("lasted"), say("longest_one"), say("of_items")


def disturbance_row(one: DisturbanceFigures, say: Speech) -> Row:
    what = say.disturbance(one.what)
    if one.lasting:
        what += f" ({say('lasting', count=str(one.lasting))})"
    lasted = (_duration(one.lasted_ns), _duration(one.longest_ns)) if one.longest_ns or one.lasting else ("", "")
    return one.line or say("hub"), what, number(one.times), *lasted, number(one.items) if one.items else ""


def slack_heads(say: Speech) -> Row:
    return say("line"), say("decided"), say("late"), say("least"), "p1", "p50"


def slack_row(one: SlackFigures) -> Row:
    left = (_seconds(ns) for ns in (one.least_ns, one.p01_ns, one.p50_ns))
    return one.line, number(one.decisions), number(one.late), *left


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:,.2f} s"


def _duration(ns: int) -> str:
    """1:02:03, or 4.5 s below a minute."""
    if ns < MINUTE_NS:
        return f"{ns / 1e9:.1f} s"
    minutes, seconds = divmod(round(ns / 1e9), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
