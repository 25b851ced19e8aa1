"""Looks at a PLC without touching it, and says in words what is wrong.

`probe` looks at one port for a while; `examine` knows the settings too: where there is no mailbox
it tries the places and ways that engineers mix up, and it looks at the host's block beside.
Nothing here ever writes, so all of it is safe beside a running adapter.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from plc_adapter import addresses, diagnosis
from plc_adapter.diagnosis import DRIVEN, FULL, PATIENCE_MS, STUCK, Finding, Look, find_mark, is_hosts
from plc_adapter.mailbox import LineState, WordOrder
from plc_adapter.port import Cause, Garbled, Late, Port, PortError, Refused, Unreachable
from plc_adapter.service import port_of
from plc_adapter.settings import Plc

LOOK_S: Final = 1.5  # three times as long as a heart may stand still
EVERY_S: Final = 0.01
READS_MIN: Final = 10  # also of a PLC so slow that they take longer
SEARCH_S: Final = 8.0  # for all other places together
REACH_S: Final = 2.0  # for a connection, where a port has said that there is none
LATES_MAX: Final = 3  # so many before the first answer, and there will be none
HOST_BEAT_S: Final = 0.3  # an adapter writes more often, unless its poll_ms is longer
TAKEN_S: Final = 1.0  # twice as long as a heart may stand still: by then a PLC has taken over what it reads

_KINDS: Final = ((Unreachable, "unreachable"), (Late, "silent"), (Refused, "refused"), (Garbled, "dialect"))
_CURES: Final = {
    Cause.UNIT: "check the unit (slave) number in the PLC's Modbus server and in site.toml, and that the server is on",
    Cause.DROPPED: "see whether the PLC's server allows one more connection, and what closes it: a firewall, a gateway",
}
# What another setting may cure; the rest is for the PLC to change.
_ELSEWHERE: Final = frozenset(
    {"address", "dialect", "empty", "refused", "silent", "unreachable", Cause.NO_BLOCK, Cause.RACK_SLOT, Cause.UNIT}
)
# With these a PLC cannot take over what an adapter writes: they are told alone.
_HINDRANCES: Final = frozenset({"byte_order", "epoch", "heartbeat", "word_order"})
_CHANGED: Final = {"port": "unreachable", "unit": Cause.UNIT, "rack": Cause.RACK_SLOT, "slot": Cause.RACK_SLOT}


@dataclass(slots=True)
class Findings:
    """What a probe saw of one line's PLC."""

    line: str
    plc: str
    word_order: WordOrder
    place: str = ""  # where in the PLC its block is to be
    faults: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)  # worth knowing, and nothing is wrong
    epoch: int = 0
    host_epoch: int = 0
    heartbeat: bool = False  # it changed, and never stood still for half a second
    line_state: str = ""
    reports: int = 0  # since the epoch began
    unacknowledged: int = 0
    orders_taken: int = 0  # low word
    beat_ms: float = 0.0  # between two heartbeats, as far as the reads can tell
    clock_rate: float = 0.0  # of the PLC's clock to the one it is to have; 0 also where nobody can tell
    reads: int = 0
    unanswered: int = 0
    read_ms: float = 0.0  # the middle one
    read_ms_p99: float = 0.0
    read_ms_max: float = 0.0
    polls_per_s_max: float = 0.0  # exchanges that could follow one another; fewer where one takes more requests

    @property
    def problems(self) -> list[str]:
        """The faults in sentences."""
        return [str(fault) for fault in self.faults]


@dataclass(slots=True)
class _Watched:
    looks: list[Look] = field(default_factory=list)
    lates: int = 0
    error: PortError | None = None  # what ended it early


async def examine(line: str, plc: Plc, *, for_s: float = LOOK_S, rate: float = 1.0) -> Findings:
    """Look at the PLC of a line, and where it is not as site.toml says, look for it.

    `rate` is how many times as fast as real time its clock is to run.
    """
    watched = await _watch(port := port_of(plc), for_s)
    findings = Findings(line, port.name, plc.word_order, addresses.place_of(plc))
    word = partial(addresses.word_of, plc)
    _judge(watched, findings, poll_ms=plc.poll_ms, round_trips=addresses.round_trips(plc), word=word, rate=rate)
    if _at_its_place(watched):
        await _look_at_orders(plc, watched, findings)
    elif findings.faults[0].fault in _ELSEWHERE:
        findings.faults[0] = await _found(plc, watched) or await _reached(plc, watched) or findings.faults[0]
    return findings


async def probe(line: str, port: Port, word_order: WordOrder, *, for_s: float = LOOK_S) -> Findings:
    """Read the PLC's block for a while. Raises nothing that a PLC can cause."""
    findings = Findings(line, port.name, word_order)
    _judge(await _watch(port, for_s), findings, poll_ms=PATIENCE_MS, round_trips=1, word="word {}".format)
    return findings


def _at_its_place(watched: _Watched) -> bool:
    """Whether the block that was read last begins as a mailbox does."""
    return bool(watched.looks) and _begins(watched.looks[-1].block)


def _begins(block: bytes) -> bool:
    marked = find_mark(block)
    return marked is not None and marked.at_byte == 0


async def _watch(port: Port, for_s: float) -> _Watched:
    watched = _Watched()
    until_s = time.monotonic() + for_s
    try:
        while time.monotonic() < until_s or len(watched.looks) + watched.lates < READS_MIN:
            try:
                await port.connect()
                asked_ns = time.monotonic_ns()
                block = await port.read()
            except Late as error:
                watched.lates += 1
                if watched.lates >= LATES_MAX and not watched.looks:
                    watched.error = error
                    break
            else:
                watched.looks.append(Look(asked_ns, time.monotonic_ns(), block))
            await asyncio.sleep(EVERY_S)
    except PortError as error:
        watched.error = error
    finally:
        await port.close()
    return watched


def _judge(
    watched: _Watched,
    findings: Findings,
    *,
    poll_ms: float,
    round_trips: int,
    word: diagnosis.WordName,
    rate: float = 1.0,
) -> None:
    if watched.error:
        findings.faults.append(_finding_of(watched.error))
    if not watched.looks:
        return
    judgement = diagnosis.judge(watched.looks, findings.word_order, word, rate)
    findings.faults += judgement.faults
    findings.notes += judgement.notes
    findings.beat_ms, findings.clock_rate = judgement.beat_ms, judgement.clock_rate
    times_ms = sorted((look.came_ns - look.asked_ns) / 1e6 for look in watched.looks)
    faults, notes = diagnosis.slow(times_ms, watched.lates, poll_ms, round_trips)
    findings.faults += faults
    findings.notes += notes
    findings.reads, findings.unanswered = len(times_ms), watched.lates
    findings.read_ms = round(times_ms[len(times_ms) // 2], 3)
    findings.read_ms_p99 = round(times_ms[len(times_ms) * 99 // 100], 3)
    findings.read_ms_max = round(times_ms[-1], 3)
    findings.polls_per_s_max = round(1000 / (max(findings.read_ms, 0.001) * round_trips), 1)
    if not judgement.heads:
        return
    head = judgement.heads[-1]
    findings.epoch, findings.host_epoch = head.epoch, head.host_epoch
    findings.heartbeat = len(judgement.heads) > 1 and not any(one.fault == "heartbeat" for one in judgement.faults)
    known = head.line_state in set(LineState)
    findings.line_state = LineState(head.line_state).name.lower() if known else str(head.line_state)
    findings.reports = head.head
    findings.unacknowledged = head.head - head.tail & 0xFFFF
    findings.orders_taken = head.taken


def _finding_of(error: PortError) -> Finding:
    """A port's sentence: what and where, then what to do."""
    message, _, do = str(error).partition("; ")
    if error.cause:
        return Finding(error.cause, message, do or _CURES.get(error.cause, ""))
    return Finding(next(name for kind, name in _KINDS if isinstance(error, kind)), message, do)


async def _found(plc: Plc, watched: _Watched) -> Finding | None:
    """The mailbox with other settings, when there is one; None: there is none where it was sought."""
    if watched.looks and (marked := find_mark(watched.looks[-1].block)):
        other = addresses.moved(plc, marked.at_byte)
        return _elsewhere(plc, other) if other else None
    try:
        async with asyncio.timeout(SEARCH_S):
            for other in _candidates(plc, watched):
                if found := await _mailbox_at(plc, other):
                    return _elsewhere(plc, found)
    except TimeoutError:
        return None  # the fault as it was first seen stands
    return None


def _candidates(plc: Plc, watched: _Watched) -> Iterator[Plc]:
    """What to try: ways while nothing answers, places too once something does."""
    error = watched.error
    if isinstance(error, Late) or (isinstance(error, Garbled) and not watched.looks):
        yield from addresses.routes(plc)
    elif isinstance(error, Unreachable):
        yield from (other for other in addresses.routes(plc) if other.port != plc.port)
    else:
        yield from addresses.places(plc)
        yield from addresses.routes(plc)


async def _mailbox_at(plc: Plc, other: Plc) -> Plc | None:
    """Where exactly a PLC's mailbox is that a look at another place shows."""
    port = port_of(other)
    try:
        await port.connect()
        block = await port.read()
    except PortError:
        return None  # not there, which is all that was asked
    finally:
        await port.close()
    marked = find_mark(block)
    if marked is None:
        return None
    if other == addresses.exchanged(plc):
        return None if marked.at_byte or is_hosts(block) else other
    return addresses.moved(other, marked.at_byte) if marked.at_byte else other


def _elsewhere(plc: Plc, other: Plc) -> Finding:
    changed = addresses.change(plc, other)
    settings = " and ".join(f"{key} = {_toml(value)}" for key, value in changed.items())
    if other == addresses.exchanged(plc):
        return Finding(
            "exchanged",
            f"the PLC's block is {addresses.place_of(other)}, where site.toml has the host's",
            f"exchange the two: {settings}",
        )
    name = next((name for key, name in _CHANGED.items() if key in changed), "address")
    if name == "address":
        message = f"there is no mailbox {addresses.place_of(plc)}, but there is one {addresses.place_of(other)}"
    else:
        message = f"no mailbox answers at {_ways(plc, changed)}, but one does with {settings}"
    return Finding(name, message, f"set {settings} in site.toml, or move it in the PLC")


def _ways(plc: Plc, changed: dict[str, object]) -> str:
    return ", ".join(f"{key} {getattr(plc, key)}" for key in changed)


def _toml(value: object) -> str:
    quote = "'" if isinstance(value, str) and '"' in value else '"'
    return f"{quote}{value}{quote}" if isinstance(value, str) else str(value)


async def _reached(plc: Plc, watched: _Watched) -> Finding | None:
    """Why there is no connection, as the network says it; None: that is not what is wrong."""
    if not isinstance(watched.error, Unreachable):
        return None
    there = f"{plc.host} port {plc.port}"
    try:
        async with asyncio.timeout(REACH_S):
            _, writer = await asyncio.open_connection(plc.host, plc.port)
    except ConnectionRefusedError:
        return Finding(
            "unreachable",
            f"{plc.host} is on, but nothing listens at its port {plc.port}: it accepts no connection",
            f"switch the PLC's {addresses.dialect_of(plc)} server on, and compare its port with site.toml "
            f"({addresses.usual_port(plc)} is usual)",
        )
    except socket.gaierror:
        return Finding(
            "unreachable", f"nobody knows the name {plc.host}", "write the PLC's IP address as host in site.toml"
        )
    except (OSError, TimeoutError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no answer"
        return Finding(
            "unreachable",
            f"{plc.host} accepts no connection and gives no sign of life at port {plc.port} ({why})",
            "check its power, its cable, its IP address and mask, and that no firewall stands between",
        )
    writer.close()
    name = addresses.dialect_of(plc)
    return Finding(
        "silent",
        f"{there} answers TCP but not {name}: is it the port of another service?",
        f"compare the port with that of the PLC's {name} server ({addresses.usual_port(plc)} is usual); "
        "if it is that, start the PLC's network anew",
    )


async def _look_at_orders(plc: Plc, watched: _Watched, findings: Findings) -> None:
    """Whether the host's block is where site.toml has it, and when a host writes it now, what comes of that."""
    other = addresses.exchanged(plc)
    try:
        first, last = await _two_of(other)
        if is_hosts(watched.looks[-1].block) and find_mark(last) and not is_hosts(last):
            findings.faults[:] = [_elsewhere(plc, other)]
        elif first != last and _begins(last):
            await _look_at_writer(plc, watched.looks, [first, last], findings)
    except (Refused, Garbled) as error:
        why = _finding_of(error)
        findings.faults.append(
            Finding(
                "orders",
                f"there is no block for orders {addresses.place_of(other)} ({why.fault})",
                "let the PLC's program have one there that the host may read and write, or correct it in site.toml",
            )
        )
    except PortError as error:
        findings.notes.append(Finding("orders", f"the host's block could not be looked at: {error}", ""))


async def _two_of(other: Plc) -> tuple[bytes, bytes]:
    """A block as it is, and after at least one write of whoever writes it. Raises PortError."""
    port = port_of(other)
    try:
        await port.connect()
        first = await port.read()
        await asyncio.sleep(max(HOST_BEAT_S, 2 * other.poll_ms / 1000))
        return first, await port.read()
    finally:
        await port.close()


async def _look_at_writer(plc: Plc, looks: list[Look], blocks: list[bytes], findings: Findings) -> None:
    """Whether the PLC reads what an adapter writes. Raises PortError."""
    hindered = _HINDRANCES.intersection(one.fault for one in findings.faults)
    ignored = None if hindered else await _ignored(plc, looks, blocks)
    full = FULL in findings.notes
    findings.notes[:] = [note for note in findings.notes if note not in {FULL, DRIVEN}]
    if ignored:
        findings.faults.append(ignored)
    else:
        findings.notes += [STUCK, DRIVEN] if full else [DRIVEN]


async def _ignored(plc: Plc, looks: list[Look], blocks: list[bytes]) -> Finding | None:
    """What the PLC does not take over; an adapter that came just now is given time. Raises PortError."""
    other = addresses.exchanged(plc)
    place = addresses.place_of(other)
    if diagnosis.orders_ignored(blocks, looks, place) is None:
        return None
    later = await _watch(port_of(plc), TAKEN_S)
    blocks = [*blocks, *await _two_of(other)]
    return diagnosis.orders_ignored(blocks, [*looks, *later.looks], place) if later.looks else None
