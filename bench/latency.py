"""From the moment a scan is due to its divert at the PLC, at ten times the peak of a 150,000-item day; and the start.

Open loop: scans are sent when they are due, whatever has been answered. Between them the same
scans go to a bare echo that syncs a file before it answers, so both meet the same disk and the
same neighbours.
"""

import gc
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import zmq

from bench import load, workload
from bench.measure import NS_PER_S, Result, hash_of, note, three_digits
from bench.site import echoing, make_site, running
from sorter.records import Ints64
from sorter.wire.endpoints import Context, Socket, dealer
from sorter.wire.frames import Divert

PEAK_PER_S: Final = 6.25  # a day of 150,000 items, 15 % of them in its busiest hour
TIMES_THE_PEAK: Final = 10
PERIOD_NS: Final = round(NS_PER_S / (PEAK_PER_S * TIMES_THE_PEAK))
DROP_AFTER: Final = 16  # scans later, an item drops
SPIN_NS: Final = 1_500_000  # so long before a moment the load generator stops sleeping
POINTS: Final = {"p50_ms": 50.0, "p99_ms": 99.0, "p999_ms": 99.9, "p9999_ms": 99.99}
COMPARED: Final = ("p50_ms", "p99_ms", "p999_ms")


class Size(NamedTuple):
    """How much is measured."""

    rules: int = 1_000
    advices: int = 1_000_000
    scans: int = 10_000
    starts: int = 3


def run(size: Size) -> Result:
    """Figures and ratios of DESIGN §11. `vs_echo_fsync` is the worst of the ratios at p50, p99 and p99.9."""
    with tempfile.TemporaryDirectory(prefix="hub-sorter-bench-") as folder:
        site = make_site(Path(folder), size.rules, size.advices)
        starts_s = []
        for _ in range(size.starts - 1):
            with running(site) as daemon:
                daemon.settle()
                starts_s.append(daemon.start_s)
        context: Context = zmq.Context()
        with context, running(site) as daemon, echoing(Path(folder) / "echo") as echo:
            starts_s.append(daemon.start_s)
            daemon.settle()
            drive = Drive(context, site.wire.devices, echo)
            with closing(drive):
                drive.run(size)
    ours, theirs = points(drive.ours_ns), points(drive.theirs_ns)
    ratios = {name: ours[name] / theirs[name] for name in COMPARED}
    note(f"latency: {TIMES_THE_PEAK * PEAK_PER_S:g} scans a second, {size.scans} of them; starts {starts_s} s")
    note(f"latency: echo with fdatasync {theirs}; ours to that {ratios}")
    return Result(
        "latency",
        hash_of(np.array(sorted(drive.line.answers), np.int64).tobytes()),
        {**ours, "start_s": round(statistics.median(starts_s), 2)},
        {"vs_echo_fsync": three_digits(max(ratios.values()))},
    )


def points(durations_ns: Ints64) -> dict[str, float]:
    """The percentiles of POINTS, in milliseconds."""
    return {
        name: round(float(np.percentile(durations_ns, at, method="higher")) / 1e6, 3) for name, at in POINTS.items()
    }


class Drive:
    """One thread that sends what is due and notes when answers come."""

    def __init__(self, context: Context, devices: str, echo: str) -> None:
        """`devices` and `echo` are the addresses of both sides."""
        self.line = load.Line(context, devices)
        self._mirror = dealer(context, None)
        self._mirror.connect(echo)
        self._mirror.poll(load.PATIENCE_MS, zmq.POLLOUT)
        self.ours_ns: Ints64 = np.zeros(0, np.int64)
        self.theirs_ns: Ints64 = np.zeros(0, np.int64)
        self._begin_ns = 0
        self._answered = self._back = 0
        self._told: deque[Divert] = deque()

    def run(self, size: Size) -> None:
        """Send every scan to both sides, half a period apart, and wait for the last answers. Raises Stalled."""
        sent = load.scan_frames(workload.scans(0, size.scans, size.advices, 256), 1)
        self.ours_ns, self.theirs_ns = np.zeros(size.scans, np.int64), np.zeros(size.scans, np.int64)
        gc.disable()
        try:
            self._begin_ns = time.perf_counter_ns() + PERIOD_NS
            for at, frame in enumerate(sent):
                due_ns = self._begin_ns + at * PERIOD_NS
                self._at(due_ns, self.line.scanner, frame)
                self._at(due_ns + PERIOD_NS // 2, self._mirror, frame)
                self._drop()
            self._until(time.perf_counter_ns() + 10 * NS_PER_S, lambda: min(self._answered, self._back) == size.scans)
        finally:
            gc.enable()
        if min(self._answered, self._back) < size.scans:
            raise load.Stalled(f"{self._answered} diverts and {self._back} echoes came for {size.scans} scans")

    def _at(self, due_ns: int, socket: Socket, frame: bytes) -> None:
        self._until(due_ns, lambda: False)
        socket.send(frame, zmq.DONTWAIT)

    def _until(self, end_ns: int, is_done: Callable[[], bool]) -> None:
        """Take answers until a moment, asleep as long as that cannot make it late."""
        sockets = [(socket, zmq.POLLIN) for socket in (self.line.plc, self.line.scanner, self._mirror)]
        while (left_ns := end_ns - time.perf_counter_ns()) > 0 and not is_done():
            zmq.zmq_poll(sockets, max(left_ns - SPIN_NS, 0) // 1_000_000)
            now_ns = time.perf_counter_ns()
            for data in load.arrived(self.line.plc):
                self._take(data, now_ns)
            for _ in load.arrived(self._mirror):
                self.theirs_ns[self._back] = now_ns - self._begin_ns - self._back * PERIOD_NS - PERIOD_NS // 2
                self._back += 1
            for _ in load.arrived(self.line.scanner):
                pass

    def _take(self, data: bytes, now_ns: int) -> None:
        if load.is_ack(data):
            return
        for divert in self.line.take(data):
            at = divert.item - 1
            self.ours_ns[at] = now_ns - self._begin_ns - at * PERIOD_NS
            self._answered += 1
            self._told.append(divert)

    def _drop(self) -> None:
        while len(self._told) > DROP_AFTER:
            self.line.discharge([self._told.popleft()])

    def close(self) -> None:
        """Close every socket."""
        self.line.close()
        self._mirror.close()
