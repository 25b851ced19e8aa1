"""What the command prints for people: each answer as a few lines, in the words of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from sorter.clock import local
from sorter.reasons import EXCEPTIONS, SENTENCES, Reason

_ORDERED: Final = {
    "chute.lock": "locked",
    "chute.unlock": "open again",
    "chute.change": "empty again",
    "trip.send": "its current trip has left",
}
_MANY: Final = 20


def sentence(reason: str) -> str:
    """A reason's sentence in English and Chinese."""
    zh, en = SENTENCES[Reason[reason.upper()]]
    return f"{en} ({zh})"


def ordered(what: str, verb: str) -> str:
    """An order that was carried out."""
    return f"{what}: {_ORDERED[verb]}"


def loaded(what: str, answer: dict[str, Any]) -> str:
    """How many were taken, and each that was not."""
    wrong = answer["refused"]
    lines = [f"{answer['accepted']} {what} taken, {len(wrong)} refused", *wrong[:_MANY]]
    if len(wrong) > _MANY:
        lines.append(f"and {len(wrong) - _MANY} more; --json lists all")
    return "\n".join(lines)


def proof(answer: dict[str, Any]) -> str:
    """What a replay found."""
    lines = [
        f"{answer['events']} events in {answer['batches']} batches decided again",
        f"{answer['decisions']} decisions, {len(answer['differences'])} differences",
        f"state {answer['digest']}",
    ]
    lines += [
        f"batch of event {wrong['first_seq']}: decision {wrong['first_row']} differs "
        f"({wrong['journalled']} journalled, {wrong['replayed']} now)"
        for wrong in answer["differences"][:_MANY]
    ]
    return "\n".join(lines)


def status(answer: dict[str, Any]) -> str:
    """The running daemon in a screenful."""
    ended = {reason: count for reason, count in answer["ended"].items() if count}
    took = answer["decision_ms"]
    shut = [chute for chute in answer["chutes"] if chute["state"] != "open"]
    lines = [
        f"plan      {answer['plan'][:12]} (number {answer['plan_number']})",
        f"items     {answer['inducted']} inducted, {answer['on_belt']} on the belt, {answer['scans']} scans",
        f"advices   {answer['advices']}",
        f"decisions p50 {took['p50']} ms, p99 {took['p99']} ms, p99.9 {took['p999']} ms, longest {took['max']} ms",
        f"frames    {answer['frames']}, {answer['malformed']} malformed, {answer['unsent']} diverts without a PLC",
        *[f"  {count:>9}  {reason}: {sentence(reason)}" for reason, count in ended.items()],
        *[f"  chute {chute['chute']} ({chute['line']}) is {chute['state']}" for chute in shut],
    ]
    return "\n".join(lines)


def trace(found: dict[str, Any], offset_ns: int) -> str:
    """Everything that happened to a waybill, item by item, in local time."""
    lines = [f"waybill {found['waybill']}"]
    for item in found["items"]:
        lines.append(f"item {item['item']} on line {item['line']}")
        lines += [f"  {local(scan['t_ns'], offset_ns)}  read {_read(scan)}" for scan in item["scans"]]
        if item["decision"]:
            lines += _decided(item["decision"], offset_ns)
        if item["discharge"]:
            end = item["discharge"]
            where = f" into chute {end['chute']}" if end["chute"] is not None else ""
            lines.append(f"  {local(end['t_ns'], offset_ns)}  {end['outcome']}{where}")
        if item["load_unit"]:
            lines.append(f"  {'':19}  in load unit {item['load_unit']}")
        if item["trip"]:
            trip = item["trip"]
            lines.append(f"  {local(trip['departs_ns'], offset_ns)}  leaves by {trip['lane']}")
    return "\n".join(lines)


def _read(scan: dict[str, Any]) -> str:
    parts = [", ".join(scan["codes"]) or "no code"]
    if scan["weight_g"]:
        parts.append(f"{scan['weight_g']} g")
    if scan["lap"]:
        parts.append(f"lap {scan['lap']}")
    return ", ".join(parts)


def _decided(decision: dict[str, Any], offset_ns: int) -> list[str]:
    chute = "no chute" if decision["chute"] is None else f"chute {decision['chute']}"
    other = "" if decision["alternate"] is None else f", or {decision['alternate']}"
    own = Reason[decision["reason"].upper()] not in EXCEPTIONS
    by = f"rule row {decision['row']}" if decision["row"] else "the station's own lane" if own else "no rule row"
    return [
        f"  {local(decision['t_ns'], offset_ns)}  {chute}{other}: {sentence(decision['reason'])}",
        f"  {'':19}  by {by}, plan {decision['plan'][:12]}",
    ]


@contextmanager
def progress() -> Iterator[Callable[[dict[str, Any], int], None]]:
    """A live view on stderr of a day that is running: call it with the daemon's status and the day's items."""
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn())
    task = bar.add_task("starting", total=1)
    with Live(bar, console=Console(stderr=True), refresh_per_second=4) as live:

        def show(answer: dict[str, Any], items: int) -> None:
            bar.update(task, description=local(answer["t_ns"], 8 * 3600 * 10**9), total=items)
            bar.update(task, completed=sum(answer["ended"].values()))
            live.update(Group(bar, _day_so_far(answer)))

        yield show


def _day_so_far(answer: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2))
    took = answer["decision_ms"]
    shut = [str(chute["chute"]) for chute in answer["chutes"] if chute["state"] != "open"]
    table.add_row("on the belt", str(answer["on_belt"]), "p50 / p99 / p99.9", _slashes(took))
    table.add_row("chutes shut", " ".join(shut[:_MANY]) or "none", "scans", str(answer["scans"]))
    ended = sorted(((count, reason) for reason, count in answer["ended"].items() if count), reverse=True)
    for first in range(0, len(ended), 2):
        pair = [cell for count, reason in ended[first : first + 2] for cell in (reason, str(count))]
        table.add_row(*pair)
    return table


def _slashes(took: dict[str, float]) -> str:
    return f"{took['p50']} / {took['p99']} / {took['p999']} ms"
