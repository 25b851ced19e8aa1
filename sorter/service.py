"""The daemon as a process: open everything, be ready, turn until told to stop, drain, close.

Ready means: kernels compiled, journal replayed, plan in force, sockets bound. From then on
the garbage collector is off, because one of its pauses outlasts a parcel's window.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from types import FrameType
from typing import Any, Final

import msgspec
import zmq

from sorter.clock import Clock
from sorter.core.state import counts, digest
from sorter.daemon import Clocks, Daemon, Sockets
from sorter.ledger.journal import DiskFull, Journal, JournalError, read
from sorter.publishing import Turn, opening
from sorter.reasons import Declined
from sorter.records import SortPlan
from sorter.replay import Standing, restore
from sorter.rulebook import Rejected, compile_plan
from sorter.rulebook import load as load_rules
from sorter.site import Site
from sorter.wire.endpoints import Publisher, Router, wait
from sorter.wire.intake import Intake
from sorter.wire.keys import Keys, check_address

log = logging.getLogger("sorter")

CLOCK_BEHIND_S: Final = 60.0  # more than a clock is corrected by between two starts
IDLE_MS: Final = 20
BEAT_S: Final = 0.2
DRAIN_S: Final = 3.0
FULL_DISK_PAUSE_S: Final = 1.0
COMPANION_PAUSE_S: Final = 1.0
COMPANION_END_S: Final = 60.0


class ClockBehind(JournalError):
    """The journal holds events that are still to come."""


def serve(site: Site, clock_text: str) -> None:
    """Run the daemon of a site until SIGTERM or SIGINT, on the clock that `clock_text` names.

    Raises Rejected or Declined when there is no plan to sort by, BadClock, NoKeys, JournalError and zmq.ZMQError.
    """
    clock = Clock.from_text(clock_text)
    stop = _Stop()
    with ExitStack() as stack:
        journal = stack.enter_context(Journal.open(site.ledger, owner="sorter run"))
        if journal.cut:
            log.warning("a torn record was cut: %s at byte %d", journal.cut.path, journal.cut.offset)
        standing = restore(read(site.ledger))
        _check_time(standing, clock)
        sort_plan, turn = _plan_for(site, standing, clock.now_ns())
        for name in ("devices", "control", "live"):
            check_address(name, getattr(site.wire, name), site.keys)
        context = stack.enter_context(zmq.Context())
        keys = stack.enter_context(closing(Keys(site.keys, context))) if site.keys else None
        devices = stack.enter_context(closing(Router(site.wire.devices, name="devices", context=context, keys=keys)))
        control = stack.enter_context(closing(Router(site.wire.control, name="control", context=context, keys=keys)))
        live = stack.enter_context(closing(Publisher(site.wire.live, name="live", context=context, keys=keys)))
        sockets = Sockets(devices, control, lambda idle_ms: wait((devices, control), idle_ms))
        daemon = Daemon(standing, sort_plan, journal, sockets, Clocks(clock.now_ns, time.monotonic_ns), turn=turn)
        companions = (
            stack.enter_context(closing(_Projection(site))),
            stack.enter_context(closing(_Timetable(site))),
        )
        _be_steady()
        log.info("ready: plan %s, %d events so far", sort_plan.version[:12], standing.next_seq)
        notify("READY=1")
        _turn_until(stop, daemon, standing, live, companions)
        notify("STOPPING=1")
        _drain(daemon)
        log.info("stopped after event %d; state %s", standing.next_seq, digest(standing.state))


def warm(site: Site) -> None:
    """Compile the kernels for this machine, so that the next start does not wait for that. Raises Rejected."""
    sort_plan = load_rules(site.rules, site.lines, site.utc_offset_ns)
    standing = Standing()
    standing.take_plan(1, sort_plan)
    intake = Intake(sort_plan.names)
    intake.plan(1, 0)
    intake.start(0)
    standing.take(intake.batch())


def _check_time(standing: Standing, clock: Clock) -> None:
    """A journal of the future would make the daemon's time stand still. Raises ClockBehind."""
    ahead_s = (standing.last_t_ns - clock.now_ns()) / 1e9
    if ahead_s > CLOCK_BEHIND_S:
        raise ClockBehind(
            f"the journal's last event is {ahead_s:.0f} s later than this machine's clock; "
            "set the clock, or for a trial on another day make a site of its own: sorter init FOLDER"
        )


def _plan_for(site: Site, standing: Standing, now_ns: int) -> tuple[SortPlan, Turn]:
    """The plan in force by the history; the journal's last one when that cannot be had, so that the belt goes on."""
    last = standing.sort_plan
    try:
        due = opening(site, now_ns, is_new=last is None)
        return compile_plan(due.wanted.checked, last.names if last else None), due.turn
    except (Rejected, Declined, OSError) as error:
        if last is None:
            raise
        log.error(
            "sorting goes on by plan %s and with the lines' figures that it was made for, not those of site.toml, "
            "because the one in force is refused:\n%s",
            last.version[:12],
            error,
        )
        return last, Turn(0, 0)


def _be_steady() -> None:
    """No collections from here on: what is alive stays, and the loop makes no cycles."""
    gc.collect()
    gc.freeze()
    gc.disable()


def _turn_until(
    stop: _Stop, daemon: Daemon, standing: Standing, live: Publisher, companions: Sequence[_Companion]
) -> None:
    beat_s = 0.0
    while not stop.asked:
        try:
            daemon.turn(IDLE_MS)
        except DiskFull as error:
            # Nothing was taken: devices keep their messages, the PLC recirculates.
            log.error("%s", error)
            time.sleep(FULL_DISK_PAUSE_S)
        now_s = time.monotonic()
        if now_s >= beat_s:
            beat_s = now_s + BEAT_S
            notify("WATCHDOG=1")
            for companion in companions:
                companion.keep()
            live.send(b"counts", msgspec.msgpack.encode(_figures(daemon, standing)))


def _figures(daemon: Daemon, standing: Standing) -> dict[str, Any]:
    """What screens and metrics are told, a few times a second."""
    assert standing.sort_plan is not None
    latency = daemon.traffic.latency
    return counts(standing.state)._asdict() | {
        "t_ns": standing.last_t_ns,
        "plan": standing.sort_plan.version,
        "decision_ms_buckets": latency.buckets(),
        "decision_ms_sum": latency.sum_ns / 1e6,
    }


def _drain(daemon: Daemon) -> None:
    """Take what has arrived already; what comes later its sender keeps for the next start."""
    end_s = time.monotonic() + DRAIN_S
    while daemon.turn() and time.monotonic() < end_s:
        pass


class _Stop:
    """Set by SIGTERM and SIGINT. SIGHUP changes nothing, and says so."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        signal.signal(signal.SIGINT, self._ask)
        signal.signal(signal.SIGHUP, self._decline)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        log.info("%s: draining", signal.Signals(number).name)
        self.asked = True

    def _decline(self, _number: int, _frame: FrameType | None) -> None:
        log.warning("SIGHUP: nothing was reloaded; rule tables take force with sorter rules publish")


class _Companion:
    """A process beside the daemon, started again when it dies. Sorting never waits for it."""

    def __init__(self, name: str, module: str, *arguments: str) -> None:
        self._name = name
        self._command = [sys.executable, "-m", module, *arguments]
        self._start()

    def keep(self) -> None:
        """Start it again if it has died."""
        code = self._process.poll()
        if code is not None and time.monotonic() - self._started_s > COMPANION_PAUSE_S:
            log.error("the %s ended with exit code %d and is started again", self._name, code)
            self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command)
        self._started_s = time.monotonic()

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(COMPANION_END_S)
        except subprocess.TimeoutExpired:
            log.error("the %s did not end in %.0f s and is killed", self._name, COMPANION_END_S)
            self._process.kill()
            self._process.wait()


class _Timetable(_Companion):
    """What hands over a plan when its time has come."""

    def __init__(self, site: Site) -> None:
        super().__init__("timetable", "sorter.timetable", str(site.folder), str(os.getpid()))


class _Projection(_Companion):
    """What writes ledger.db from the journal."""

    def __init__(self, site: Site) -> None:
        super().__init__("projection", "sorter.ledger.projection", str(site.ledger))

    def close(self) -> None:
        """End it, and let what it had not reached yet be caught up with."""
        super().close()
        try:
            subprocess.run([*self._command, "--once"], check=False, timeout=COMPANION_END_S)
        except subprocess.TimeoutExpired:
            log.error("the projection did not catch up in %.0f s; it will at the next start", COMPANION_END_S)


def notify(state: str) -> None:
    """Tell systemd, when it started us, how we are; see sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messenger:
        messenger.connect("\0" + address[1:] if address.startswith("@") else address)
        messenger.sendall(state.encode())
