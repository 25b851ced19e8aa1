"""The daemon's process on a disk that forgets: started, turned, killed at any step, started again."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sorter.core.state import next_due_ns
from sorter.daemon import Clocks, Daemon, Sockets
from sorter.ledger.journal import Broken, DiskFull, Journal, read
from sorter.records import SortPlan
from sorter.replay import Standing, restore
from tests.ledger.faulty_disk import FaultyDisk, PowerCut
from tests.simulation.network import Router
from tests.simulation.world import MS, SECOND, Alarm, World

FOLDER: Final = Path("/ledger")
SEGMENT_BYTES: Final = 256 << 10
RESERVE_BYTES: Final = 192 << 10  # beyond any batch that gathers here
FULL_DISK_PAUSE_NS: Final = 1 * SECOND
IDLE_NS: Final = 20 * MS  # between turns when nothing arrives
CLOCK_OFF_NS: Final = 500 * MS  # a site's clocks are set by NTP: the daemon's is no better than that


class Killed(BaseException):
    """kill -9: nothing in the process hears of it."""


class SmallJournal(Journal):
    """A journal of small segments, so that a short day has several."""

    def reserve(self, record_bytes: int = RESERVE_BYTES) -> None:
        """See Journal."""
        super().reserve(record_bytes)


class Hub:
    """One daemon at a time, and the disk that outlives it."""

    def __init__(self, world: World, sort_plans: list[SortPlan]) -> None:
        self.world = world
        self.disk = FaultyDisk(world.seed)
        self.devices = Router(world, self._spend, self._arrived)
        self.control = Router(world, self._spend, self._arrived)
        self.standing = Standing()
        self.daemon: Daemon | None = None
        self.starts = self.kills = self.power_cuts = self.full_disks = 0
        self.slow_share = 0.0
        self._sort_plans = sort_plans
        self._plan_at = 0
        self._steps_left = -1
        self._turning = Alarm(world, self._turn)
        self._starting = Alarm(world, self._start)

    def start(self) -> None:
        """The first start."""
        self._starting.set(self.world.now_ns)

    # faults

    def kill_in(self, steps: int, restart_ns: int) -> None:
        """The process is killed before it has done so many more things with socket, disk or network."""
        self._steps_left, self._restart_ns = steps, restart_ns

    def cut_power_in(self, steps: int, restart_ns: int) -> None:
        """The power goes in the disk's so many-th step from now."""
        self.disk.cut_at, self._restart_ns = self.disk.step + steps, restart_ns

    def fail_disk_in(self, steps: int, restart_ns: int) -> None:
        """The disk reports an error in its so many-th step from now."""
        self.disk.fail_at[self.disk.step + steps], self._restart_ns = errno.EIO, restart_ns

    def fill_disk(self, for_ns: int) -> None:
        """There is no room for another segment for a while."""
        self.disk.capacity = 0
        self.world.after(for_ns, self._free_disk)

    def stall(self, for_ns: int) -> None:
        """The machine gives the process no time for a while."""
        self._turning.clear()
        self._stalled_until_ns = self.world.now_ns + for_ns
        self._turning.set(self._stalled_until_ns)

    def mend(self) -> None:
        """No more faults; a daemon that is away comes back soon."""
        self._steps_left = -1
        self.disk.cut_at = -1
        self.disk.fail_at.clear()
        self.slow_share = 0.0
        self._free_disk()

    def publish(self) -> tuple[SortPlan, int]:
        """Staff publish the next version of the rules, and its turn: from now on a start takes this one."""
        self._plan_at = min(self._plan_at + 1, len(self._sort_plans) - 1)
        return self._sort_plans[self._plan_at], self._plan_at

    @property
    def newest(self) -> SortPlan:
        """What was published last."""
        return self._sort_plans[self._plan_at]

    _restart_ns = SECOND
    _stalled_until_ns = 0

    def _free_disk(self) -> None:
        self.disk.capacity = 1 << 40

    # the process

    def _spend(self) -> None:
        if self._steps_left >= 0:
            self._steps_left -= 1
            if self._steps_left < 0:
                raise Killed

    def _arrived(self) -> None:
        if self.daemon:
            delay_ns = self.world.between(MS // 10, 2 * MS)
            if self.world.happens(self.slow_share):
                delay_ns += self.world.between(0, 300 * MS)
            self._turning.set(max(self.world.now_ns + delay_ns, self._stalled_until_ns))

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do it until the process dies of it."""
        try:
            act()
        except Killed:
            self.kills += 1
            self._die()
        except PowerCut:
            self.power_cuts += 1
            self.disk.power_on()
            self._die()
        except Broken:
            self._die()
        except DiskFull:
            self.full_disks += 1
            if self.daemon:
                self._turning.set(self.world.now_ns + FULL_DISK_PAUSE_NS)
            else:
                self._restart_ns = FULL_DISK_PAUSE_NS
                self._die()

    def _die(self) -> None:
        self._steps_left = -1
        self.daemon = None
        self._turning.clear()
        self.devices.stop()
        self.control.stop()
        self.disk.kill()
        self.disk.fail_at.clear()
        self._starting.set(self.world.now_ns + self._restart_ns)

    def _start(self) -> None:
        self.starts += 1
        self._guarded(self._open)

    def _open(self) -> None:
        world = self.world
        journal = SmallJournal.open(FOLDER, self.disk, segment_bytes=SEGMENT_BYTES)
        self._spend()
        self.standing = restore(read(FOLDER, disk=self.disk))
        self.devices.listening = self.control.listening = True
        off_ns = world.between(-CLOCK_OFF_NS, CLOCK_OFF_NS)
        clocks = Clocks(lambda: world.now_ns + off_ns, lambda: world.now_ns)
        sockets = Sockets(self.devices, self.control, lambda _idle_ms: False)
        self.daemon = Daemon(self.standing, self._sort_plans[self._plan_at], journal, sockets, clocks)
        self._turning.set(world.now_ns)

    def _turn(self) -> None:
        if self.daemon:
            self._guarded(self._take_turn)

    def _take_turn(self) -> None:
        assert self.daemon is not None
        self.daemon.turn()
        due_ns = next_due_ns(self.standing.state)
        if self.devices.inbox or self.control.inbox:
            self._arrived()
        elif due_ns >= 0:
            self._turning.set(max(due_ns, self.world.now_ns + IDLE_NS))
