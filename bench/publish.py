"""Plans change while scans are decided: what it costs the scans, and that each has exactly one version.

The open loop of `latency`, first without and then with a publisher in a process of its own.
Afterwards the journal is read: every scan has one decision, by the plan then in force.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import zmq

from bench import latency
from bench.measure import Result, hash_of, note, three_digits
from bench.publisher import SHIFT
from bench.site import echoing, make_site, running
from sorter.ledger.journal import PlanRecord, read
from sorter.records import Kind, Verdict, plan_from_bytes
from sorter.site import Site

PERIOD_S: Final = latency.PERIOD_NS / 1e9


class Size(NamedTuple):
    """How much is measured."""

    rules: int = 1_000
    advices: int = 1_000_000
    scans: int = 6_250
    publishes: int = 100


class WrongVersion(RuntimeError):
    """A scan was lost, decided twice, or by a plan that was not in force."""


def run(size: Size) -> Result:
    """The points of `latency` while plans change, and how often they did. `vs_quiet` is the ratio at p99.9.

    Raises WrongVersion.
    """
    with tempfile.TemporaryDirectory(prefix="hub-sorter-bench-") as folder:
        site = make_site(Path(folder), size.rules, size.advices)
        quiet = _drive(site, size)
        before = sum(1 for _ in read(site.ledger))
        with _publishing(site, size) as published:
            busy = _drive(site, size)
        switches = _judge(site, size, before)
        versions = published.read_text(encoding="ascii").split()
    ours, theirs = latency.points(busy.ours_ns), latency.points(quiet.ours_ns)
    note(f"publish: {len(versions)} publishes, {switches} changes of plan; without them {theirs}")
    return Result(
        "publish",
        hash_of(np.array(sorted(busy.line.answers), np.int64).tobytes()),
        {**ours, "changes": switches},
        {"vs_quiet": three_digits(ours["p999_ms"] / theirs["p999_ms"])},
    )


def _drive(site: Site, size: Size) -> latency.Drive:
    """Every scan decided by a daemon of its own start."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, running(site) as daemon, echoing(site.folder / "echo") as echo:
        daemon.settle()
        drive = latency.Drive(context, site.wire.devices, echo)
        with closing(drive):
            drive.run(latency.Size(scans=size.scans, advices=size.advices))
    return drive


@contextmanager
def _publishing(site: Site, size: Size) -> Iterator[Path]:
    """A publisher that waits for the daemon, and publishes as often as it shall while the scans last."""
    told = site.folder / "published"
    period_s = size.scans * PERIOD_S / size.publishes
    with told.open("wb") as out:
        publisher = subprocess.Popen([sys.executable, "-m", "bench.publisher", site.folder, str(period_s)], stdout=out)
        try:
            yield told
            if publisher.poll() is not None:
                raise WrongVersion(f"the publisher ended with exit code {publisher.returncode}")
        finally:
            publisher.kill()
            publisher.wait()


def _judge(site: Site, size: Size, before: int) -> int:
    """How often the plan changed. Raises WrongVersion."""
    decided: Counter[int] = Counter()
    shifted: dict[int, bool] = {}
    number = switches = 0
    for at, record in enumerate(read(site.ledger)):
        if isinstance(record, PlanRecord):
            shifted[record.number] = bool(plan_from_bytes(record.data).plan.table.row.min() > SHIFT)
            continue
        for event in record.batch.events[record.batch.events["kind"] == Kind.PLAN]:
            number, switches = int(event["chute"]), switches + (at >= before)
        diverts = record.decisions[record.decisions["verdict"] == Verdict.DIVERT]
        by_rule = diverts[diverts["row"] > 0]
        if (diverts["plan"] != number).any() or ((by_rule["row"] > SHIFT) != shifted[number]).any():
            raise WrongVersion(f"record {at} holds a decision that is not by plan {number}, which was in force")
        if at >= before:
            decided.update(diverts["item"].tolist())
    wrong = [item for item in range(1, size.scans + 1) if decided[item] != 1]
    if wrong:
        raise WrongVersion(f"{len(wrong)} scans have no decision or several, item {wrong[0]} among them")
    if not switches:
        raise WrongVersion("no plan took force")
    return switches
