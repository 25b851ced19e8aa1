"""Scans a second through a real daemon, from the scanner's socket to the PLC's, each on disk before it is answered.

Beside it, in turn, the same frames go through a bare ROUTER that sends them back.
"""

import gc
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import zmq

from bench import load, workload
from bench.measure import Result, hash_of, median_ratio, note, three_digits
from bench.site import Daemon, echoing, make_site, running
from sorter.ledger.journal import read
from sorter.replay import prove
from sorter.site import Site
from sorter.wire.endpoints import Context, Socket, dealer

TOGETHER: Final = 64  # scans in a frame of the second figure


class Size(NamedTuple):
    """How much is measured."""

    rules: int = 1_000
    advices: int = 1_000_000
    scans: int = 32_768  # in each round; all of them are on the belt at its end
    window: int = 4_096  # scans that may wait for their answer
    rounds: int = 7


class Rates(NamedTuple):
    """Scans a second in one round."""

    single: float
    single_echo: float
    batched: float
    batched_echo: float


def run(size: Size) -> Result:
    """Figures and ratios of DESIGN §11."""
    with tempfile.TemporaryDirectory(prefix="hub-sorter-bench-") as folder:
        site = make_site(Path(folder), size.rules, size.advices)
        rounds, answers = _measure(site, size)
        _prove(site)
    single, single_echo, batched, batched_echo = zip(*rounds[1:], strict=True)  # the first round warms up
    note(f"daemon: single frames echoed {statistics.median(single_echo):,.0f}/s")
    note(f"daemon: scans in frames of {TOGETHER} echoed {statistics.median(batched_echo):,.0f}/s")
    note(f"daemon: frames of {TOGETHER} reach {median_ratio(batched, batched_echo):.3f} of their echo")
    return Result(
        "daemon",
        hash_of(np.array(sorted(answers), np.int64).tobytes()),
        {"scans_per_s": round(statistics.median(single)), "batched_scans_per_s": round(statistics.median(batched))},
        {"vs_echo": three_digits(median_ratio(single, single_echo))},
    )


def _measure(site: Site, size: Size) -> tuple[list[Rates], list[load.Answer]]:
    context: Context = zmq.Context()
    with context, running(site) as daemon, echoing() as echo:
        daemon.settle()
        line = load.Line(context, site.wire.devices)
        mirror = dealer(context, None)
        mirror.connect(echo)
        gc.disable()
        try:
            with closing(line), closing(mirror):
                rounds = [_round(daemon, line, mirror, size, at) for at in range(size.rounds + 1)]
        finally:
            gc.enable()
    return rounds, line.answers


def _round(daemon: Daemon, line: load.Line, mirror: Socket, size: Size, at: int) -> Rates:
    rates: list[float] = []
    for turn, each in enumerate((1, TOGETHER)):
        first = (2 * at + turn) * size.scans
        sent = load.scan_frames(workload.scans(first, size.scans, size.advices, 256), each)
        rates.append(line.exchange(sent, each, first + 1, size.window))
        daemon.settle()
        rates.append(_mirrored(mirror, sent, each, size.window))
    return Rates(*rates)


def _mirrored(mirror: Socket, sent: Sequence[bytes], each: int, window: int) -> float:
    back = 0

    def look() -> int:
        nonlocal back
        back += sum(1 for _ in load.arrived(mirror))
        return back * each

    return load.pump((mirror,), sent, each, window, look)


def _prove(site: Site) -> None:
    """Every decision is in the journal, and follows from it. Raises ValueError."""
    proof = prove(read(site.ledger))
    if proof.differences:
        raise ValueError(f"the journal does not repeat itself: {proof.differences[0]}")
    note(f"daemon: {proof.events} events replayed from the journal, no decision differs")
