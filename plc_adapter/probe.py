"""Looks at a PLC without touching it, and says in words what is wrong."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from plc_adapter.mailbox import RING, SILENT_NS, LineState, PlcHead, WordOrder, look
from plc_adapter.port import Port, PortError

READS: Final = 50
BEAT_S: Final = SILENT_NS / 1e9


@dataclass(slots=True)
class Findings:
    """What a probe saw of one line's PLC."""

    line: str
    plc: str
    word_order: WordOrder
    problems: list[str] = field(default_factory=list)
    epoch: int = 0
    host_epoch: int = 0
    heartbeat: bool = False  # it changed within half a second
    line_state: str = ""
    reports: int = 0  # since the epoch began
    unacknowledged: int = 0
    orders_taken: int = 0  # low word
    read_ms: float = 0.0  # the middle one
    read_ms_max: float = 0.0


async def probe(line: str, port: Port, word_order: WordOrder) -> Findings:
    """Read the PLC's block for a while. Never writes, and raises nothing that a PLC can cause."""
    findings = Findings(line, port.name, word_order)
    try:
        await port.connect()
        head = await _read(port, findings)
        _judge(head, findings)
        await _times(port, findings)
    except PortError as error:
        findings.problems.append(str(error))
    finally:
        await port.close()
    return findings


async def _read(port: Port, findings: Findings) -> PlcHead:
    """Read until the heart has beaten once, or half a second has gone by."""
    first = look(await port.read(), findings.word_order)
    head = first
    until_s = time.monotonic() + BEAT_S
    while head.heartbeat == first.heartbeat and time.monotonic() < until_s:
        await asyncio.sleep(0.01)
        head = look(await port.read(), findings.word_order)
    findings.heartbeat = head.heartbeat != first.heartbeat
    return head


def _judge(head: PlcHead, findings: Findings) -> None:
    findings.epoch = head.epoch
    findings.host_epoch = head.host_epoch
    findings.reports = head.head
    findings.unacknowledged = head.head - head.tail & 0xFFFF
    findings.orders_taken = head.taken
    known = head.line_state in set(LineState)
    findings.line_state = LineState(head.line_state).name.lower() if known else str(head.line_state)
    if not findings.heartbeat:
        findings.problems.append("its heartbeat stands still: the PLC answers, but its program does not run (STOP?)")
    if findings.unacknowledged > RING:
        findings.problems.append(
            f"{findings.unacknowledged} reports are not acknowledged, and its ring holds {RING}: it overwrites places "
            "before `tail` gives them back"
        )
    if not known:
        findings.problems.append(f"line state {head.line_state} is none; 0 is stopped, 1 running, 2 fault")


async def _times(port: Port, findings: Findings) -> None:
    times_ms = []
    for _ in range(READS):
        began_ns = time.perf_counter_ns()
        await port.read()
        times_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    times_ms.sort()
    findings.read_ms = round(times_ms[READS // 2], 3)
    findings.read_ms_max = round(times_ms[-1], 3)
