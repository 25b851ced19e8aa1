"""python -m tests.hostile --seconds N: strangers throw damaged telegrams at every reader's port of a real adapter.

Its neighbour, a line with an honest reader in the same process, must lose nothing. Exit 1 when the adapter
ends, grows, or a scan of the neighbour is missing or out of order.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import click

from plc_adapter.mailbox import PlcSide
from plc_adapter.scanner.makers import PRESETS
from sorter.records import Kind
from sorter.wire.frames import Scan
from tests.plc_adapter.modbus_plc import ModbusPlc
from tests.plc_adapter.router_daemon import RouterDaemon
from tests.plc_adapter.scanner.test_makers import LINES
from tests.system.hubs import BIN, free_port

HOST: Final = "127.0.0.1"
STRANGERS: Final = 8  # at each port: twice as many as are served at once
MET_S: Final = 3.0  # after that the adapter knows the PLC, and nothing on its belt is in doubt
CALM_S: Final = 5.0  # before strangers come: how fast the neighbour is then
WARM_SHARE: Final = 0.3  # of the time, until memory is measured for the first time
GROWTH_MAX_MB: Final = 16.0
GAP_S: Final = 0.02  # between the neighbour's parcels
PATIENCE_S: Final = 60.0
MB: Final = 1 << 20

STREAMS: Final = [line.stream for line in LINES]
SPICES: Final = (
    *(b"", b"\0", b"\r", b"\n", b"\r\n", b"\x02", b"\x03", b"\x1d", b'"', b"\\", b"{", b"}", b"[" * 70, b"null"),
    *(b"1e999", b"-", b"9" * 40, b'\\ud800"', b"\xef\xbb\xbf", b"\xff\xfe", "单号".encode(), "单号".encode("gb18030")),
)


def mutated(stream: bytes, chance: random.Random) -> bytes:
    """A good stream with some bytes changed, cut out, doubled, swapped or put in."""
    data = bytearray(stream)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randrange(8))
        match chance.randrange(5):
            case 0:
                data[at:to] = chance.randbytes(to - at)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to] * chance.randrange(1, 40)
            case 3:
                data[at:to] = chance.choice(SPICES)
            case 4 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
    return bytes(data)


def noise(chance: random.Random) -> bytes:
    """What a stranger sends at once: damaged telegrams, good ones, nonsense, now and then a megabyte."""
    match chance.randrange(40):
        case 0:
            return chance.choice([b"7", b"{", b"\x02", b'"', b"\xff"]) * MB
        case 1:
            return chance.randbytes(chance.randrange(100_000))
        case 2 | 3 | 4:
            return chance.choice(STREAMS)
    return b"".join(mutated(chance.choice(STREAMS), chance) for _ in range(chance.randrange(1, 20)))


async def until(what: Callable[[], bool]) -> None:
    """Wait for it, or for as long as a slow machine may need."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not what():
        if time.monotonic() > deadline_s:
            return
        await asyncio.sleep(0.002)


class Strangers:
    """What was thrown, and who throws it."""

    def __init__(self, chance: random.Random, seconds: float) -> None:
        self.bytes = 0
        self.connections = 0
        self._chance = chance
        self._until_s = time.monotonic() + seconds

    @property
    def going(self) -> bool:
        return time.monotonic() < self._until_s

    async def throw_at_all(self, ports: list[int], place: int) -> None:
        """At every port, from many connections; and in a reader's place at `place`, where the adapter connects."""
        server = await asyncio.start_server(self.meet, HOST, place)
        async with asyncio.TaskGroup() as group:
            for port in ports:
                for _ in range(STRANGERS):
                    group.create_task(self.throw_at(port))
        server.close()

    async def throw_at(self, port: int) -> None:
        """Connect, throw, and go, again and again."""
        while self.going:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(5):  # whoever is not listened to goes away
                    reader, writer = await asyncio.open_connection(HOST, port)
                    await self.meet(reader, writer)
            await asyncio.sleep(0.01)

    async def meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, whoever made it."""
        self.connections += 1
        chance = self._chance
        slow = chance.randrange(10) == 0
        try:
            for _ in range(chance.randrange(1, 60)):
                data = noise(chance)
                for piece in (data[at : at + 1] for at in range(min(len(data), 40))) if slow else [data]:
                    writer.write(piece)
                    self.bytes += len(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
                if not self.going:
                    break
        finally:
            if chance.randrange(2):
                writer.transport.abort()
            else:
                writer.close()


def throw(ports: list[int], place: int, seconds: float, seed: int) -> tuple[int, int]:
    """A process of strangers; how many bytes it threw over how many connections."""
    strangers = Strangers(random.Random(seed), seconds)
    asyncio.run(strangers.throw_at_all(ports, place))
    return strangers.bytes, strangers.connections


class Neighbour:
    """A line with an honest reader, which names the item with its code."""

    def __init__(self, plc: ModbusPlc, port: int) -> None:
        self.sent: list[tuple[int, list[str]]] = []
        self.waits_s: list[float] = []  # from each parcel's report until it is on the daemon's disk
        self._plc = plc
        self._port = port

    async def run(self, seconds: float) -> None:
        """Parcel after parcel: the PLC counts it, and when that is on disk the reader has read it."""
        until_s = time.monotonic() + seconds
        _, writer = await asyncio.open_connection(HOST, self._port)
        side = self._plc.plc
        while time.monotonic() < until_s:
            item = len(self.sent) + 1
            side.report(Kind.ITEM, item, 1, 0, time.monotonic_ns() // 1_000_000)
            reported_s = time.monotonic()
            await until(lambda: side.tail == side.head)
            self.waits_s.append(time.monotonic() - reported_s)
            self.sent.append((item, [f"NB{item}"]))
            writer.write(f"{item},NB{item}\r".encode())
            await asyncio.sleep(GAP_S)
        writer.close()


SITE: Final = """
[wire]
devices = "{devices}"
[line.L1]
[line.L2]
[plc.L1]
host = "{host}"
port = {plc_1}
[plc.L2]
host = "{host}"
port = {plc_2}
[tracking.L1]
travel_ms = 100
[tracking.L2]
by = "id"
travel_ms = 0
window_ms = 1000
[scanner.neighbour]
line = "L2"
role = "server"
host = "{host}"
port = {neighbour}
template = "{{id}},{{code}}"
"""
READER: Final = """
[scanner.{name}]
line = "L1"
maker = "{maker}"
role = "{role}"
host = "{host}"
port = {port}
"""


class Hall:
    """A site of two lines, its PLCs and its daemon; and the adapter as a process."""

    def __init__(self, folder: Path) -> None:
        self.plcs = [ModbusPlc(PlcSide(epoch), time.monotonic_ns) for epoch in (7, 8)]
        self.daemon = RouterDaemon(f"tcp://{HOST}:{free_port()}")
        self.ports = {maker: free_port() for maker in PRESETS}
        self.place = free_port()
        self.neighbour = Neighbour(self.plcs[1], free_port())
        self.log = folder / "adapter.log"
        self._folder = folder
        self._process: Process | None = None

    async def start(self) -> None:
        """Everything runs. Raises RuntimeError when the adapter does not."""
        for plc in self.plcs:
            await plc.start()
        self.daemon.start()
        (self._folder / "site.toml").write_text(self._site(), encoding="utf-8")
        with self.log.open("wb") as log:
            command = (BIN / "plc-adapter", "run", "--site", self._folder, "--json")
            self._process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=log)
        await self._listening()

    def _site(self) -> str:
        plc_1, plc_2 = (plc.port for plc in self.plcs)
        text = SITE.format(
            devices=self.daemon.address, host=HOST, plc_1=plc_1, plc_2=plc_2, neighbour=self.neighbour._port
        )
        readers = [(maker, maker, "server", port) for maker, port in self.ports.items()]
        readers.append(("stranger", "hikrobot", "client", self.place))
        return text + "".join(
            READER.format(name=name, maker=maker, role=role, host=HOST, port=port)
            for name, maker, role, port in readers
        )

    async def _listening(self) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(HOST, self.neighbour._port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(self.log.read_text(encoding="utf-8"))

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def memory_mb(self) -> float:
        """What the adapter's process holds; 0 when it has ended."""
        assert self._process is not None
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
        except FileNotFoundError:
            return 0.0
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / MB

    async def stop(self) -> dict[str, Any]:
        """What the adapter says that it did; {} when it had ended before, or ended badly."""
        assert self._process is not None
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(self._process.communicate(), PATIENCE_S)
        for plc in self.plcs:
            await plc.stop()
        self.daemon.stop()
        lines: dict[str, Any] = json.loads(out)["lines"] if self._process.returncode == 0 else {}
        return lines

    def scans(self) -> list[tuple[int, list[str]]]:
        """The neighbour's scans, as the daemon has them."""
        scans = [message for _, message in self.daemon.disk.journal if isinstance(message, Scan)]
        return [(scan.item, scan.codes) for scan in scans if any(code.startswith("NB") for code in scan.codes)]


def milliseconds(waits_s: list[float]) -> str:
    """The median and the longest of some waits."""
    return f"{statistics.median(waits_s) * 1000:.1f} ms (at most {max(waits_s) * 1000:.0f})"


async def soak(seconds: float, seed: int, folder: Path) -> tuple[str, list[str]]:
    """What happened in a sentence, and what went wrong."""
    hall = Hall(folder)
    await hall.start()
    await asyncio.sleep(MET_S)
    began_s = time.monotonic()
    throwing = functools.partial(throw, list(hall.ports.values()), hall.place, seconds, seed)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        neighbour = asyncio.create_task(hall.neighbour.run(CALM_S + seconds))
        await asyncio.sleep(CALM_S)
        calm = len(hall.neighbour.waits_s)
        thrown = asyncio.get_running_loop().run_in_executor(pool, throwing)
        await asyncio.sleep(WARM_SHARE * seconds)
        before_mb = hall.memory_mb()
        bytes_, connections = await thrown
        await neighbour
    after_mb, alive = hall.memory_mb(), hall.alive
    await until(lambda: not hall.alive or len(hall.scans()) >= len(hall.neighbour.sent))
    lines = await hall.stop()
    readers = lines.get("L1", {}).get("readers", {})
    understood = readers.get("telegrams", 0) - readers.get("nonsense", 0)
    sent, seen, waits_s = hall.neighbour.sent, hall.scans(), hall.neighbour.waits_s
    right = sum(one == other for one, other in zip(sent, seen, strict=False))
    faults = {
        f"the adapter ended:\n{hall.log.read_text(encoding='utf-8')[-2000:]}": not alive or not lines,
        "the adapter grew": after_mb - before_mb > GROWTH_MAX_MB,
        "a scan of the neighbour is missing or out of order": sent != seen or not sent,
        "no telegram was understood": understood == 0,
    }
    told = (
        f"{time.monotonic() - began_s:.0f} seconds, {bytes_} bytes, {connections} connections, "
        f"{understood} telegrams understood, memory {before_mb:.1f} -> {after_mb:.1f} MB, "
        f"neighbour's scans {right} of {len(sent)} in order; its parcels were on disk after "
        f"{milliseconds(waits_s[:calm])} before the flood, {milliseconds(waits_s[calm:])} in it"
    )
    return told, [words for words, wrong in faults.items() if wrong]


def main() -> int:
    """Exit 1 when anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=1, help="the same seed throws nearly the same")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told, faults = asyncio.run(soak(asked.seconds, asked.seed, Path(folder)))
    click.echo(told)
    for words in faults:
        click.echo(words, err=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
