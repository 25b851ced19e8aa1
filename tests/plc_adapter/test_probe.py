"""A probe names what is wrong with a PLC, says what to change, and writes nothing: over real servers."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plc_adapter import diagnosis, opcua_session
from plc_adapter import modbus as modbus_dialect
from plc_adapter import probe as probing
from plc_adapter import s7 as s7_dialect
from plc_adapter.diagnosis import Finding
from plc_adapter.mailbox import HostSide, HostState, PlcSide
from plc_adapter.probe import examine
from plc_adapter.service import port_of
from plc_adapter.settings import S7, Modbus, OpcUa, Plc
from sorter.records import Kind
from tests.plc_adapter.faulty_plc import (
    MISTAKES,
    DeafProgram,
    DrivenProgram,
    FaultyProgram,
    Misconfigured,
    Mistake,
    clock_times,
)
from tests.plc_adapter.opcua_plc import OpcUaPlc, add_array
from tests.plc_adapter.s7_plc import S7Plc
from tests.plc_adapter.scripted_cpu import (
    CONFIRM,
    DISCONNECT,
    READ,
    Answers,
    Cpu,
    acknowledge,
    all_but,
    block_of,
    serving,
)
from tests.system.hubs import free_port

SHORT_S = 0.5


@asynccontextmanager
async def modbus(program: PlcSide) -> AsyncIterator[Plc]:
    async with Misconfigured(program) as plc:
        yield configured(plc)
        assert plc.writes == 0


@asynccontextmanager
async def s7(program: PlcSide) -> AsyncIterator[Plc]:
    plc = S7Plc(program, time.monotonic_ns)
    await plc.start()
    yield plc.settings
    await plc.stop()


@asynccontextmanager
async def opcua(program: PlcSide) -> AsyncIterator[Plc]:
    plc = OpcUaPlc(program, time.monotonic_ns)
    await plc.start()
    yield plc.settings
    assert "write" not in plc.requests
    await plc.stop()


@pytest.fixture(autouse=True)
def examined_at_leisure(monkeypatch: pytest.MonkeyPatch, unhurried: None) -> None:
    """A busy machine is no slow PLC."""
    monkeypatch.setattr(diagnosis, "SLOW_MS", 20_000.0)
    monkeypatch.setattr(probing, "HOST_BEAT_S", 0.05)
    monkeypatch.setattr(probing, "TAKEN_S", 0.05)


Serve = Callable[[PlcSide], AbstractAsyncContextManager[Plc]]


AT_ONCE = 6  # a machine of two cores has no more to give


@pytest.mark.parametrize("serve", [modbus, s7, opcua])
def test_a_good_plc_has_no_fault(serve: Serve) -> None:
    async def check() -> None:
        async with serve(FaultyProgram()) as plc:
            findings = await examine("L1", plc, for_s=SHORT_S)
        assert findings.faults == []
        assert (findings.epoch, findings.reports, findings.unacknowledged) == (7, 3, 3)
        assert (findings.heartbeat, findings.line_state) == (True, "running")

    asyncio.run(check())


@pytest.mark.parametrize("serve", [modbus, s7, opcua])
def test_each_mistake_of_a_program_is_named(serve: Serve) -> None:
    """All of them beside each other; what is not named right is shown by the mistake."""
    turns = asyncio.Semaphore(AT_ONCE)
    wrong: dict[str, list[Finding]] = {}

    async def check(name: str, mistake: Mistake) -> None:
        async with turns, serve(mistake.program()) as plc:
            faults = (await examine("L1", plc, for_s=SHORT_S)).faults
        names = [fault.fault for fault in faults]
        if names != [mistake.fault] or mistake.message not in faults[0].message or mistake.do not in faults[0].do:
            wrong[name] = faults

    async def check_all() -> None:
        await asyncio.gather(*(check(name, mistake) for name, mistake in MISTAKES.items()))

    asyncio.run(check_all())
    assert wrong == {}


def configured(plc: Misconfigured, **settings: object) -> Modbus:
    return msgspec.convert({"host": "127.0.0.1", "port": plc.port, **settings}, Modbus)


async def only_fault(plc: Plc, *, for_s: float = SHORT_S) -> Finding:
    findings = await examine("L1", plc, for_s=for_s)
    assert len(findings.faults) == 1, findings.faults
    return findings.faults[0]


@pytest.mark.parametrize(
    ("at", "first", "settings", "do"),
    [
        (102, 0, {"reports_at": 100, "orders_at": 0}, "reports_at = 102"),
        (99, 99, {"reports_at": 100, "orders_at": 0}, "reports_at = 99"),
        (85, 0, {"reports_at": 120, "orders_at": 0}, "reports_at = 85"),
        (85, 0, {"reports_at": 40_086, "orders_at": 0}, "reports_at = 85"),
        (100, 0, {"reports_at": 0, "orders_at": 100}, "reports_at = 100 and orders_at = 0"),
    ],
)
def test_a_block_elsewhere_is_found(at: int, first: int, settings: dict[str, int], do: str) -> None:
    async def check() -> None:
        async with Misconfigured(FaultyProgram(), at=at, first=first) as plc:
            fault = await only_fault(configured(plc, **settings))
            assert fault.fault == ("exchanged" if "orders_at" in do else "address")
            assert do in fault.do

    asyncio.run(check())


def test_the_wrong_unit_is_named_with_the_right_one() -> None:
    async def check() -> None:
        async with Misconfigured(FaultyProgram(), unit=255) as plc:
            fault = await only_fault(configured(plc))
            assert (fault.fault, "unit = 255" in fault.do) == ("unit", True)
        async with Misconfigured(FaultyProgram(), unit=17) as plc:
            fault = await only_fault(configured(plc))
            assert (fault.fault, "check the unit" in fault.do) == ("unit", True)

    asyncio.run(check())


def test_a_plc_that_nobody_can_reach_is_told_from_one_that_does_not_listen() -> None:
    async def check() -> None:
        fault = await only_fault(Modbus(host="127.0.0.1", port=free_port()))
        assert fault.fault == "unreachable"
        assert "127.0.0.1 is on, but nothing listens at its port" in fault.message
        assert "compare its port" in fault.do
        fault = await only_fault(S7(host="plc.invalid"))
        assert (fault.fault, "plc.invalid" in fault.message) == ("unreachable", True)

    asyncio.run(check())


@pytest.mark.parametrize("dialect", [Modbus, S7, OpcUa])
def test_a_server_that_takes_connections_and_answers_nothing_is_told(
    dialect: type[Plc], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modbus_dialect, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(s7_dialect, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(opcua_session, "OPEN_S", 0.05)

    async def check() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel connects; nobody ever answers
            plc = dialect(host="127.0.0.1", port=listener.getsockname()[1])
            fault = await only_fault(plc)
        assert fault.fault == "silent"
        assert dialect is not S7 or "answers TCP but not s7: is it the port of another service?" in fault.message

    asyncio.run(check())


def test_a_server_that_hangs_up_is_told_with_what_may_cause_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modbus_dialect, "TIMEOUT_S", 0.2)

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def check() -> None:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            fault = await only_fault(Modbus(host="127.0.0.1", port=server.sockets[0].getsockname()[1]))
        assert (fault.fault, "allows one more connection" in fault.do) == ("dropped", True)

    asyncio.run(check())


def test_a_slow_plc_is_told_with_its_figure_and_what_polling_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "SLOW_MS", 100.0)

    async def check() -> None:
        async with Misconfigured(FaultyProgram(), delay_s=0.15) as plc:
            fault = await only_fault(configured(plc), for_s=1.0)
            assert fault.fault == "slow"
            told = re.match(r"a round trip takes (\d+) ms, so at most \d exchanges a second follow", fault.message)
            assert told is not None
            assert int(told[1]) >= 150
            assert "polling every 10 ms needs answers within 10 ms" in fault.do
            plc.delay_s = 5.0
            monkeypatch.setattr(modbus_dialect, "TIMEOUT_S", 0.05)
            assert (await only_fault(configured(plc))).fault == "silent"

    asyncio.run(check())


def test_who_drives_a_plc_is_seen_by_what_it_writes() -> None:
    async def check() -> None:
        async with Misconfigured(DrivenProgram()) as plc:
            findings = await examine("L1", configured(plc), for_s=SHORT_S)
        assert findings.faults == []
        assert [note.fault for note in findings.notes] == ["driven"]

    asyncio.run(check())


class Slotted(Cpu):
    """A CPU that is in one slot, and whose data block is as `read` answers."""

    def __init__(self, slot: int, read: Answers) -> None:
        self._slot = slot
        super().__init__(all_but(READ, read))

    @property
    def confirm(self) -> bytes:
        return CONFIRM if b"\xc2\x02\x01" + bytes([self._slot]) in self.connections[-1] else DISCONNECT

    @confirm.setter
    def confirm(self, _always: bytes) -> None: ...


def mailbox_of(program: PlcSide) -> Answers:
    return lambda request: acknowledge(
        request, READ + b"\x01", block_of(program.block(time.monotonic_ns() // 1_000_000))
    )


def refusing(code: bytes) -> Answers:
    return lambda request: acknowledge(request, READ + b"\x01", code + bytes(3))


@pytest.mark.parametrize(
    ("slot", "code", "fault", "do"),
    [
        (2, b"", "rack_slot", "set slot = 2"),
        (9, b"", "rack_slot", "check both against the hardware configuration"),
        (1, b"\x03", "protected", "Permit access with PUT/GET"),
        (1, b"\x0a", "no_block", "Optimized block access"),
    ],
)
def test_an_s7_cpu_that_refuses_is_told(slot: int, code: bytes, fault: str, do: str) -> None:
    async def check() -> None:
        async with serving(Slotted(slot, refusing(code) if code else mailbox_of(FaultyProgram()))) as cpu:
            told = await only_fault(S7(host="127.0.0.1", port=cpu.tcp_port))
        assert (told.fault, do in told.do) == (fault, True), told

    asyncio.run(check())


@pytest.mark.parametrize(
    ("settings", "fault", "do"),
    [
        ({"reports_db": 99}, "address", "set reports_db = 100"),
        ({"reports_at": 0}, "address", "set reports_at = 4"),
        ({"reports_db": 101, "reports_at": 0, "orders_db": 100, "orders_at": 4}, "exchanged", "reports_db = 100"),
        ({"orders_db": 150}, "orders", "in site.toml"),
    ],
)
def test_an_s7_block_elsewhere_is_found(settings: dict[str, int], fault: str, do: str) -> None:
    async def check() -> None:
        async with s7(FaultyProgram()) as plc:
            told = await only_fault(msgspec.structs.replace(plc, **settings))
        assert (told.fault, do in told.do) == (fault, True), told

    asyncio.run(check())


@pytest.mark.parametrize(
    ("settings", "fault", "do"),
    [
        ({"reports_node": "ns=4;s=HubSorter.reports"}, "address", 'reports_node = "ns=2;s=HubSorter.reports"'),
        ({"reports_node": "ns=4;s=Nothing"}, "no_block", "compare the key"),
        ({"reports_node": "ns=99999;s=Nothing"}, "no_block", "write one such as"),
        ({"reports_node": "ns=2;s=short"}, "shape", "a mailbox is an array of 80 UInt16"),
        ({"orders_node": "ns=2;s=short"}, "orders", "in site.toml"),
        (
            {"reports_node": "ns=2;s=HubSorter.orders", "orders_node": "ns=2;s=HubSorter.reports"},
            "exchanged",
            'reports_node = "ns=2;s=HubSorter.reports"',
        ),
    ],
)
def test_an_opcua_variable_that_is_not_the_block_is_told(settings: dict[str, str], fault: str, do: str) -> None:
    async def check() -> None:
        plc = OpcUaPlc(FaultyProgram(), time.monotonic_ns)
        await plc.start()
        await add_array(plc.server, "ns=2;s=short", count=40)
        told = await only_fault(msgspec.structs.replace(plc.settings, **settings))
        await plc.stop()
        assert (told.fault, do in told.do) == (fault, True), told

    asyncio.run(check())


async def examine_driven(plc: Plc, known: Callable[[HostSide], bool]) -> probing.Findings:
    """Examine a PLC beside an adapter that gives and acknowledges nothing, from when the adapter knows so much."""
    adapter, host, met, done = port_of(plc), HostSide(), asyncio.Event(), asyncio.Event()
    await adapter.connect()

    async def drive() -> None:
        while not done.is_set():  # asyncio.wait_for of 3.11 may lose a cancellation
            now_ns = time.monotonic_ns()
            host.receive(await adapter.exchange(host.block(now_ns, HostState.DECIDING)), now_ns)
            if known(host):
                met.set()
            await asyncio.sleep(0.005)

    driving = asyncio.create_task(drive())
    await met.wait()
    findings = await examine("L1", plc, for_s=SHORT_S)
    done.set()
    await driving
    await adapter.close()
    return findings


def filled(program: PlcSide) -> PlcSide:
    """A program whose ring has no room."""
    while program.report(Kind.ITEM, program.head + 1, 1, 0, 0):
        pass
    return program


def test_an_adapter_at_work_is_seen_by_its_heartbeat_alone() -> None:
    async def check() -> None:
        async with s7(PlcSide(7)) as plc:
            findings = await examine_driven(plc, lambda host: host.ready)
        assert findings.faults == []
        assert [note.fault for note in findings.notes] == ["driven"]

    asyncio.run(check())


def test_a_full_ring_beside_an_adapter_is_no_reason_to_start_one() -> None:
    async def check() -> None:
        async with s7(filled(PlcSide(7))) as plc:
            alone = await examine("L1", plc, for_s=SHORT_S)
            driven = await examine_driven(plc, lambda host: host.ready)
        assert alone.faults == driven.faults == []
        assert [(note.fault, note.do) for note in alone.notes] == [("full", "start plc-adapter run")]
        assert {note.fault for note in driven.notes} == {"full", "driven"}
        assert not [note for note in driven.notes if "start plc-adapter run" in note.do]

    asyncio.run(check())


@pytest.mark.parametrize("full", [False, True])
def test_a_plc_that_does_not_read_the_hosts_block_is_told(*, full: bool) -> None:
    async def check() -> None:
        program = DeafProgram()
        async with s7(filled(program) if full else program) as plc:
            findings = await examine_driven(plc, lambda host: host.host_epoch == 1)
        (fault,) = findings.faults
        assert (fault.fault, findings.notes) == ("orders_ignored", [])
        assert "does not read the host's block" in fault.message
        assert "the address that the PLC's program reads from" in fault.do

    asyncio.run(check())


def test_a_registers_place_is_named_where_the_hosts_block_is_not_read() -> None:
    async def check() -> None:
        async with Misconfigured(DeafProgram()) as plc:
            findings = await examine_driven(configured(plc), lambda host: host.host_epoch == 1)
        (fault,) = findings.faults
        assert (fault.fault, "from register 100 of unit 1" in fault.message) == ("orders_ignored", True)

    asyncio.run(check())


def test_what_keeps_a_plc_from_reading_is_told_alone() -> None:
    async def check() -> None:
        async with Misconfigured(MISTAKES["stopped"].program()) as plc:
            findings = await examine_driven(configured(plc), lambda host: host.host_epoch == 1)
        assert [fault.fault for fault in findings.faults] == ["heartbeat"]

    asyncio.run(check())


def call(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from plc_adapter.cli import main; main()", "probe", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_tells_people_and_scripts(tmp_path: Path) -> None:
    async def both(plc: Misconfigured, *words: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
        section = f'[line.L1]\n[plc.L1]\nhost = "127.0.0.1"\nport = {plc.port}\n'
        (tmp_path / "site.toml").write_text(section, encoding="utf-8")
        site = ("--site", str(tmp_path), *words)
        shown, told = await asyncio.gather(asyncio.to_thread(call, *site), asyncio.to_thread(call, *site, "--json"))
        assert told.returncode == shown.returncode
        (line,) = json.loads(told.stdout)["lines"] if told.stdout else ({},)
        return shown, line

    async def check() -> None:
        async with Misconfigured(FaultyProgram()) as plc:
            shown, line = await both(plc)
            assert (shown.returncode, "all is well" in shown.stdout) == (0, True)
            assert (line["ok"], line["problems"], line["faults"], line["epoch"]) == (True, [], [], 7)
            assert (line["heartbeat"], line["line_state"]) == (True, "running")
            assert 0 < line["read_ms"] <= line["read_ms_p99"] <= line["read_ms_max"]
        async with Misconfigured(filled(FaultyProgram())) as plc:
            shown, line = await both(plc)
            assert ("all is well" in shown.stdout, "the PLC is well; see the notes" in shown.stdout) == (False, True)
            assert (shown.returncode, line["ok"], [note["fault"] for note in line["notes"]]) == (0, True, ["full"])
        async with Misconfigured(MISTAKES["never closed"].program()) as plc:
            shown, line = await both(plc)
            assert (shown.returncode, "register 47 is 0, not 3 [torn]" in " ".join(shown.stdout.split())) == (1, True)
            (fault,) = line["faults"]
            assert (line["ok"], fault["fault"]) == (False, "torn")
            assert line["problems"] == [f"{fault['message']}; {fault['do']}"]
        async with Misconfigured(FaultyProgram(clock_times(20))) as plc:
            shown, line = await both(plc, "--clock", f"2026-11-11T05:00:00+08:00,20,{time.time_ns()}")
            assert (line["ok"], "at most" in shown.stdout.partition("polling")[2]) == (True, True)
            shown, line = await both(plc, "--clock", "20")
            assert (shown.returncode, "write" in shown.stderr) == (2, True)

    asyncio.run(check())
