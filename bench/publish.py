"""Plans change while scans are decided: what it costs the scans, and that each has exactly one version.

The open loop of `latency`, in its first half without and in its second with a publisher in a process
of its own. Afterwards the journal is read: every scan has one decision, by the plan then in force.
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
        drive, versions = _drive(site, size)
        switches = _judge(site, size)
    ours, theirs = latency.points(drive.ours_ns[size.scans :]), latency.points(drive.ours_ns[: size.scans])
    note(f"publish: {versions} publishes, {switches} changes of plan; without them {theirs}")
    return Result(
        "publish",
        hash_of(np.array(sorted((item, row % SHIFT) for item, row in drive.line.answers), np.int64).tobytes()),
        {**ours, "changes": switches},
        {"vs_quiet": three_digits(ours["p999_ms"] / theirs["p999_ms"])},
    )


def _drive(site: Site, size: Size) -> tuple[latency.Drive, int]:
    """Every scan sent and answered, and how many publishes took force meanwhile. Raises WrongVersion."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context, running(site) as daemon, echoing(site.folder / "echo") as echo:
        daemon.settle()
        drive = latency.Drive(context, site.wire.devices, echo)
        with closing(drive), _publishing(site, size) as told:
            drive.run(latency.Size(scans=2 * size.scans, advices=size.advices))
        return drive, len(told.read_text(encoding="ascii").split())


@contextmanager
def _publishing(site: Site, size: Size) -> Iterator[Path]:
    """A publisher that begins when half of the scans are sent, and publishes as often as it shall with the others."""
    told = site.folder / "published"
    half_s = size.scans * PERIOD_S
    command = [sys.executable, "-m", "bench.publisher", str(site.folder), str(half_s), str(half_s / size.publishes)]
    with told.open("wb") as out:
        publisher = subprocess.Popen(command, stdout=out)
        try:
            yield told
            if publisher.poll() is not None:
                raise WrongVersion(f"the publisher ended with exit code {publisher.returncode}")
        finally:
            publisher.kill()
            publisher.wait()


def _judge(site: Site, size: Size) -> int:
    """How often the plan changed. Raises WrongVersion."""
    decided: Counter[int] = Counter()
    shifted: dict[int, bool] = {}
    number = switches = 0
    for record in read(site.ledger):
        if isinstance(record, PlanRecord):
            shifted[record.number] = bool(plan_from_bytes(record.data).plan.table.row.min() > SHIFT)
            continue
        for event in record.batch.events[record.batch.events["kind"] == Kind.PLAN]:
            number, switches = int(event["chute"]), switches + 1
        diverts = record.decisions[record.decisions["verdict"] == Verdict.DIVERT]
        by_rule = diverts[diverts["row"] > 0]
        if (diverts["plan"] != number).any() or ((by_rule["row"] > SHIFT) != shifted[number]).any():
            raise WrongVersion(f"a decision is not by plan {number}, which was in force")
        decided.update(diverts["item"].tolist())
    wrong = [item for item in range(1, 2 * size.scans + 1) if decided[item] != 1]
    if wrong:
        raise WrongVersion(f"{len(wrong)} scans have no decision or several, item {wrong[0]} among them")
    if switches < 2:
        raise WrongVersion("no plan was changed")
    return switches - 1
