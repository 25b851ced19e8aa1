"""Over every port, from a PLC to a daemon on real sockets: each end may die at any moment, each item counts once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from plc_adapter import modbus, opcua_session, s7
from plc_adapter.mailbox import SILENT_NS
from plc_adapter.port import Port
from plc_adapter.runner import HOLD, RETRY_S, Runner, drive
from plc_adapter.standing import Link
from sorter.clock import Clock
from sorter.wire.client import Client
from sorter.wire.frames import Item
from tests.patience import run, until
from tests.plc_adapter.benches import EVERYONE, NETWORKS, Bench, Maker, NetworkMaker, loopback
from tests.plc_adapter.one_line_adapter import Items
from tests.plc_adapter.router_daemon import RouterDaemon

POLL_NS = 5_000_000
BATCH = 30

every_port = pytest.mark.parametrize("make", EVERYONE)
every_network = pytest.mark.parametrize("make", NETWORKS)


class Hall(Items):
    """One line. Its PLC counts items 1, 2, 3 … and its adapter may be started and killed."""

    def __init__(self, bench: Bench, daemon: RouterDaemon) -> None:
        super().__init__(bench.plc)
        self.bench = bench
        self.runner = Runner("L1", self._open_wire)
        self._daemon = daemon
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def _open_wire(self, boot: int, first: int) -> Client:
        return Client(self._daemon.address, role="plc", client="plc-L1", line="L1", boot=boot, first=first)

    def start(self) -> None:
        self.runner = Runner("L1", self._open_wire)
        port = self.bench.port  # as both: nobody else drives this PLC
        driving = drive(self.runner, port, port, Clock(), poll_ns=POLL_NS, stop=self._stop)
        self._task = asyncio.create_task(driving)

    async def kill(self) -> None:
        """In the midst of whatever it does; what it holds is gone."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})
        assert self._task.cancelled()
        self.runner.close()
        await self.bench.port.close()

    async def stop(self) -> None:
        self._stop.set()
        assert self._task is not None
        await self._task

    @property
    def on_disk(self) -> list[int]:
        return [message.item for _, message in list(self._daemon.disk.journal) if isinstance(message, Item)]

    async def all_on_disk(self) -> None:
        everything = list(range(1, self.reported + 1))
        await until(lambda: len(self.on_disk) >= len(everything))
        assert self.on_disk == everything

    async def told_all(self) -> None:
        """Every item was diverted, once and in order."""
        everything = list(range(1, self.reported + 1))
        await until(lambda: len(self.bench.told) >= len(everything))
        assert self.told == everything

    @property
    def told(self) -> list[int]:
        return [told.item for told in self.bench.told]


class Deaf:
    """A port that answers instead of being called off, as asyncio.wait_for may in Python 3.11."""

    def __init__(self, port: Port) -> None:
        self.name = port.name
        self.connect, self.read, self.close = port.connect, port.read, port.close
        self.asked = False
        self._exchange = port.exchange

    async def exchange(self, out: bytes) -> bytes:
        self.asked = True
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return await self._exchange(out)


@asynccontextmanager
async def hall(make: Maker, daemon: RouterDaemon) -> AsyncIterator[Hall]:
    async with make() as bench:
        one = Hall(bench, daemon)
        one.start()
        yield one
        await one.stop()


@every_port
def test_every_item_counts_once_and_is_diverted_once(make: Maker, daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with hall(make, daemon) as one:
            await one.bring(5 * BATCH)
            await one.all_on_disk()
            await one.told_all()
            assert one.runner.counts.lost == one.runner.counts.void == one.runner.counts.stale == 0

    run(check())


@every_port
def test_a_daemon_that_restarts_costs_no_item(make: Maker, daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with hall(make, daemon) as one:
            await one.bring(BATCH)
            await until(lambda: bool(one.on_disk))
            await asyncio.to_thread(daemon.stop)
            await one.bring(BATCH)  # the adapter holds them, and the PLC goes on
            daemon.start()
            await one.bring(BATCH)
            await one.all_on_disk()
            assert one.told == sorted(set(one.told))
            assert one.runner.counts.lost == 0

    run(check())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what it holds is gone, sockets too
@every_port
def test_an_adapter_that_is_killed_costs_no_item_that_the_plc_has_room_for(make: Maker, daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with hall(make, daemon) as one:
            for turns in range(0, 40, 4):  # it dies at another moment each time
                await one.bring(BATCH)
                await one.all_on_disk()
                await until(lambda: not one.runner.unacknowledged)
                for _ in range(HOLD):  # so many it never answers for before they are on disk
                    await until(one.report)
                for _ in range(turns):
                    await asyncio.sleep(0)
                await one.kill()
                while one.report():  # as many as the ring holds, while there is no adapter
                    pass
                one.start()
            await one.bring(BATCH)
            await one.all_on_disk()
            assert one.told == sorted(set(one.told))
            assert daemon.disk.boots == [7]

    run(check())


def test_who_calls_it_off_is_heard_although_the_port_hears_nothing(daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with loopback() as bench:
            one = Hall(bench, daemon)
            deaf = one.bench.port = Deaf(bench.port)
            one.start()
            await until(lambda: deaf.asked)
            await one.kill()

    run(check())


@every_port
def test_a_plc_that_restarts_begins_a_boot_and_nothing_of_before_is_diverted(make: Maker, daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with hall(make, daemon) as one:
            await one.bring(BATCH)
            await one.all_on_disk()
            told_before = len(one.told)
            one.bench.plc.restart(8)
            one.reported = 1000
            await one.bring(BATCH)
            await until(lambda: one.told[-1:] == [1000 + BATCH])
            assert all(item > 1000 for item in one.told[told_before + 1 :] if item > BATCH)
            assert [item for item in one.told if item > 1000] == list(range(1001, 1001 + BATCH))
            assert [item for item in one.on_disk if item > 1000] == list(range(1001, 1001 + BATCH))
            assert daemon.disk.boots == [7, 8]

    run(check())


@every_port
def test_a_cable_that_is_cut_again_and_again_costs_nothing(make: Maker, daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with hall(make, daemon) as one:
            for _ in range(3):
                await one.bring(BATCH)
                await one.bench.cut()
                await until(lambda: one.runner.link is Link.AWAY)
                await one.bench.mend()
            await one.bring(BATCH)
            await one.all_on_disk()
            await one.told_all()

    run(check())


@every_network
def test_a_plc_that_freezes_is_away_and_comes_back_by_itself(make: NetworkMaker, daemon: RouterDaemon) -> None:
    async def check() -> None:
        async with make() as bench:
            one = Hall(bench, daemon)
            one.start()
            await one.bring(BATCH)
            bench.freeze()
            await until(lambda: one.runner.link is Link.AWAY)
            while one.report():
                pass
            bench.thaw()
            await one.bring(BATCH)
            await one.all_on_disk()
            await one.told_all()
            await one.stop()

    run(check())


@every_port
def test_a_plc_whose_program_stands_still_is_silent_and_comes_back_by_itself(
    make: Maker, daemon: RouterDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with hall(make, daemon) as one:
            await one.bring(BATCH)
            await one.told_all()
            frozen = one.bench.plc.block(0)
            monkeypatch.setattr(one.bench.plc, "block", lambda _clock_ms: frozen)
            began = time.monotonic_ns()
            await until(lambda: one.runner.link is Link.SILENT)
            assert time.monotonic_ns() - began > SILENT_NS * 0.9
            monkeypatch.undo()
            await one.bring(BATCH)
            await one.told_all()

    run(check())


def test_a_frozen_plc_is_noticed_in_half_a_second_by_what_is_set() -> None:
    """An exchange is two requests at most, and begins a poll after the PLC froze or a pause after it was away."""
    assert 2 * max(modbus.TIMEOUT_S, s7.TIMEOUT_S) + RETRY_S <= 0.5
    assert opcua_session.TIMEOUT_S + RETRY_S <= 0.5  # for the whole exchange
