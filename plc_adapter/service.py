"""Every line of a site in one loop, and what is told of it: a line of JSON when something changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from plc_adapter.addresses import exchanged
from plc_adapter.mailbox import SILENT_NS
from plc_adapter.modbus import ModbusPort
from plc_adapter.opcua import OpcUaPort
from plc_adapter.port import Port
from plc_adapter.runner import FLUSH_S, Runner, Wire, drive
from plc_adapter.s7 import S7Port
from plc_adapter.scanner.framing import Kind
from plc_adapter.scanner.gateway import Gateway
from plc_adapter.scanner.link import Link, Turnstile
from plc_adapter.scanner.settings import Scanner
from plc_adapter.scanner.unended import Unended
from plc_adapter.settings import S7, Modbus, OpcUa, Plc, Site
from plc_adapter.standing import COUNTED, ReaderAlarms
from plc_adapter.standing import Link as PlcLink
from sorter.clock import Clock
from sorter.reasons import ALARMS
from sorter.wire.client import Client
from sorter.wire.frames import ALARM_CODES, AlarmWord
from sorter.wire.keys import load_secret

NS_PER_S: Final = 1_000_000_000
WATCH_S: Final = 1.0
ALONE_S: Final = 3.0  # a PLC that talks may be without a daemon so long: both have just started, or one has again
READ_S: Final = 0.002  # between looks for what is decided of the readings
UNENDED_S: Final = 3.0  # bytes of a reader without an end of telegram, and its framing is wrong

Tell = Callable[..., None]
"""Called as tell("warning", what, line=…, …)."""

CURES: Final[dict[AlarmWord, str]] = {
    "orders_late": "give the line more time to its first chute, or see what holds up the daemon",
    "orders_overflow": "see whether the PLC takes its orders: plc-adapter probe",
    "reports_unknown": "check the kinds, outcomes and states that the PLC's program writes: plc-adapter layout",
    "reports_lost": "see what keeps the adapter from the PLC, or whether it was killed",
    "epoch_reused": "let the PLC keep its epoch over a power cut and count it up at each start",
}
"""What to do about an alarm of the PLC's; a restart needs nothing done."""


class Readers(NamedTuple):
    """The readers of a line: their connections by name, what makes scans of them, and its wire."""

    gateway: Gateway
    links: dict[str, Link]
    wire: Client


class Line(NamedTuple):
    """One line, ready to be driven."""

    runner: Runner
    port: Port
    orders: Port  # reads the block that adapters write
    poll_ns: int
    daemon: str  # its address
    readers: Readers | None  # None: its scanners speak to the daemon themselves


def port_of(plc: Plc) -> Port:
    """The port that a section of site.toml names."""
    if isinstance(plc, Modbus):
        return ModbusPort(plc.host, plc.port, unit=plc.unit, reports_at=plc.reports_at, orders_at=plc.orders_at)
    if isinstance(plc, S7):
        return S7Port(
            plc.host,
            plc.port,
            rack=plc.rack,
            slot=plc.slot,
            reports_db=plc.reports_db,
            reports_at=plc.reports_at,
            orders_db=plc.orders_db,
            orders_at=plc.orders_at,
        )
    assert isinstance(plc, OpcUa)
    return OpcUaPort(plc.host, plc.port, reports_node=plc.reports_node, orders_node=plc.orders_node)


def lines_of(site: Site, names: Iterable[str], clock: Clock) -> list[Line]:
    """The lines `names` of a site. Raises ValueError when a line's key is missing or is none."""
    turnstile = Turnstile()
    return [_line(site, name, site.plcs[name], clock, turnstile) for name in names]


def _line(site: Site, name: str, plc: Plc, clock: Clock, turnstile: Turnstile) -> Line:
    key = _key(site.keys, f"plc-{name}.secret", "plc")

    def open_wire(boot: int, first: int) -> Wire:
        return Client(
            site.wire.devices,
            role="plc",
            client=f"plc-{name}",
            line=name,
            boot=boot,
            first=first,
            key=key,
            now_ns=clock.now_ns,
        )

    # A heart is watched in real time, also when the day goes faster.
    silent_ns = round(SILENT_NS / NS_PER_S / clock.real_s(1))
    readers = _readers(site, name, clock, turnstile) if name in site.scanners else None
    tracker = readers.gateway if readers else None
    runner = Runner(name, open_wire, word_order=plc.word_order, silent_ns=silent_ns, tracker=tracker)
    return Line(runner, port_of(plc), port_of(exchanged(plc)), plc.poll_ns, site.wire.devices, readers)


def _readers(site: Site, name: str, clock: Clock, turnstile: Turnstile) -> Readers:
    client = f"scanner-{name}"
    key = _key(site.keys, f"{client}.secret", "scanner")
    wire = Client(site.wire.devices, role="scanner", client=client, line=name, key=key, now_ns=clock.now_ns)
    heads = site.scanners[name]
    gateway = Gateway(name, heads, site.tracking[name], wire.post)

    def link(head: str, scanner: Scanner) -> Link:
        return Link(
            scanner,
            lambda telegram: gateway.telegram(head, telegram, clock.now_ns()),
            lambda _came: gateway.distrust(clock.now_ns()),
            turnstile,
            held=lambda seconds: gateway.held(round(seconds / clock.real_s(1)), clock.now_ns()),
        )

    return Readers(gateway, {head: link(head, scanner) for head, scanner in heads.items()}, wire)


def _key(folder: Path | None, name: str, role: str) -> Path | None:
    if folder is None:
        return None
    path = folder / name
    try:
        load_secret(path)
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}); have the hub's keeper make it, role {role}"
        ) from error
    return path


async def run(lines: list[Line], clock: Clock, stop: asyncio.Event, tell: Tell) -> dict[str, dict[str, Any]]:
    """Drive all lines until `stop` is set; what each of them did, by name.

    Raises OSError when a reader cannot be listened for.
    """
    watch = asyncio.create_task(_watch(lines, tell))
    try:
        async with asyncio.TaskGroup() as group:
            for line in lines:
                group.create_task(drive(line.runner, line.port, line.orders, clock, poll_ns=line.poll_ns, stop=stop))
                if line.readers:
                    group.create_task(_read(line.readers, clock, stop))
                    for name, link in line.readers.links.items():
                        group.create_task(_hear(name, link, stop))
    except BaseExceptionGroup as group:
        unheard, others = group.split(OSError)
        if unheard is None or others is not None:
            raise
        raise OSError("\n".join(str(error) for error in unheard.exceptions)) from group
    finally:
        watch.cancel()
    return {line.runner.line: figures_of(line) for line in lines}


def figures_of(line: Line) -> dict[str, Any]:
    """What a line's PLC and readers did, by name."""
    readers = {"readers": line.readers.gateway.figures} if line.readers else {}
    return {**asdict(line.runner.counts), **readers}


async def _hear(name: str, link: Link, stop: asyncio.Event) -> None:
    """Hear one reader. Raises OSError with its section when it cannot be listened for."""
    try:
        await link.run(stop)
    except OSError as error:
        raise OSError(f"[scanner.{name}] {error.strerror or error}") from error


async def _read(readers: Readers, clock: Clock, stop: asyncio.Event) -> None:
    """Post what the readers' telegrams come to, until `stop` is set and the daemon's disk has it."""
    alarms = ReaderAlarms()
    while not stop.is_set():
        readers.gateway.due(clock.now_ns())
        now_ns = clock.now_ns()
        alarms.look((link.error for link in readers.links.values()), readers.gateway.unpaired, now_ns)
        for alarm in alarms.due(now_ns, welcomed=readers.wire.welcomed):
            readers.wire.tell(alarm)
        readers.wire.poll()
        await asyncio.sleep(READ_S)
    for _ in range(round(FLUSH_S / READ_S)):
        readers.wire.poll()
        if not readers.wire.unacknowledged:
            break
        await asyncio.sleep(READ_S)
    readers.wire.close()


async def _watch(lines: list[Line], tell: Tell) -> None:
    seen: list[Seen | SeenReader] = [Seen(line, tell) for line in lines]
    seen += [SeenReader(line.readers, tell) for line in lines if line.readers]
    while True:
        for one in seen:
            one.look()
        await asyncio.sleep(WATCH_S)


class Seen:
    """What was told of a line; `look` tells what is new."""

    def __init__(self, line: Line, tell: Tell) -> None:
        self._runner = line.runner
        self._tell = partial(tell, line=line.runner.line, plc=line.port.name)
        self._daemon = line.daemon
        self._link: tuple[PlcLink, str] | None = None
        self._epoch = 0
        self._deciding: bool | None = None  # None: neither was told yet
        self._well_s = time.monotonic()  # when no PLC was without a daemon last
        self._told = dict.fromkeys(COUNTED, 0)

    def look(self) -> None:
        """Compare with the last time."""
        runner = self._runner
        link = (runner.link, runner.error)
        if link != self._link:
            self._link = link
            calm = runner.link in (PlcLink.TALKING, PlcLink.MEETING)
            self._tell("info" if calm else "warning", f"the PLC is {runner.link}", error=runner.error)
        if runner.host.epoch not in (0, self._epoch):
            self._epoch = runner.host.epoch
            self._tell("info", "the PLC has a new epoch", epoch=self._epoch)
        self._look_at_daemon(time.monotonic())
        while runner.refusals:
            refusal = runner.refusals.popleft()
            self._tell("warning", "the daemon refused a message", error=refusal.error, detail=refusal.detail)
        for name, word in COUNTED.items():
            count = getattr(runner.counts, name)
            if count > self._told[name]:
                sentence = ALARMS[ALARM_CODES[word]].en
                self._tell(
                    "warning", sentence, alarm=word, do=CURES.get(word, ""), new=count - self._told[name], total=count
                )
                self._told[name] = count

    def _look_at_daemon(self, now_s: float) -> None:
        """A line greets the daemon with its PLC's epoch: until the PLC talks, nobody knows whether there is one."""
        deciding = self._runner.deciding
        if deciding or self._runner.link != PlcLink.TALKING:
            self._well_s = now_s
        if deciding == self._deciding or not (deciding or now_s - self._well_s >= ALONE_S):
            return
        self._deciding = deciding
        if deciding:
            self._tell("info", "the daemon decides", daemon=self._daemon)
        else:
            self._tell(
                "warning",
                "no daemon decides: items run past their chutes",
                daemon=self._daemon,
                do="see that sorter run is up, and that [wire] devices in site.toml is its address",
            )


class SeenReader:
    """What was told of a line's readers; `look` tells what is new."""

    def __init__(self, readers: Readers, tell: Tell) -> None:
        self._readers = readers
        self._tell = partial(tell, line=readers.gateway.line)
        self._errors = {name: link.error for name, link in readers.links.items()}
        self._framings: dict[str, Kind | None] = {}  # reader -> what bytes that wait looked like when told

    def look(self) -> None:
        """Compare with the last time."""
        for name, link in self._readers.links.items():
            if link.error != self._errors[name]:
                self._errors[name] = link.error
                level, what = ("warning", "the reader is away") if link.error else ("info", "the reader is connected")
                self._tell(level, what, reader=name, error=link.error)
            self._look_at_bytes(name, link.unended)
        for sentence in self._readers.gateway.news():
            self._tell("warning", "a reading is missing or does not fit", detail=sentence)
        for refusal in self._readers.wire.refusals():
            self._tell("warning", "the daemon refused a scan", error=refusal.error, detail=refusal.detail)

    def _look_at_bytes(self, name: str, came: Unended) -> None:
        """Tell of bytes that end no telegram, again when they look like another framing or after a telegram."""
        waited_s = came.waited_s(asyncio.get_running_loop().time())
        if not waited_s:
            if came.last:  # else its connection is gone, and nothing has changed
                self._framings.pop(name, None)
        elif waited_s >= UNENDED_S and (name not in self._framings or self._framings[name] != came.looks_like):
            self._framings[name] = came.looks_like
            do = f"stop this and look: plc-adapter scanner --listen --name {name}"
            self._tell(
                "warning", "bytes come from the reader and end no telegram", reader=name, error=came.words, do=do
            )
