"""What is OPC UA's own: sessions and channels that end, variables that are not what they should be, other servers."""

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.crypto.permission_rules import User
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.uaprocessor import UaProcessor
from asyncua.server.user_managers import UserManager
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import BadTimeout, BadTooManySessions

from plc_adapter import opcua_session
from plc_adapter.mailbox import BLOCK_BYTES, HostSide, HostState
from plc_adapter.opcua import OpcUaPort
from plc_adapter.port import Cause, Garbled, Late, PortError, Refused, Unreachable
from tests.patience import run
from tests.plc_adapter.benches import opcua, trip
from tests.plc_adapter.opcua_plc import ORDERS_NODE, REPORTS_NODE, add_array, new_server

BLOCK = bytes(BLOCK_BYTES)
CLOSE_SESSION = b"\x01\x00" + (473).to_bytes(2, "little")  # how its request begins


def port_to(port: int, reports: str = REPORTS_NODE, orders: str = ORDERS_NODE) -> OpcUaPort:
    return OpcUaPort("127.0.0.1", port, reports_node=reports, orders_node=orders)


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server that is no asyncua; it hangs up when the other side does."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with contextlib.suppress(OSError):
            await serve(reader, writer)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*talks), 10)


@asynccontextmanager
async def started(server: Server) -> AsyncIterator[int]:
    await server.start()
    assert server.bserver is not None
    try:
        yield server.bserver.port
    finally:
        await server.stop()


class Cable:
    """A cable to a PLC that changes what the PLC says while it is `noisy`."""

    def __init__(self, port: int, seed: int = 0) -> None:
        self.noisy = False
        self.sent = bytearray()  # to the PLC
        self._port = port
        self._random = Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_plc, to_plc = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._carry(reader, to_plc, self._kept), self._carry(from_plc, writer, self._spoilt))

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, change: Callable[[bytes], bytes]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(4096):
                sink.write(change(data))
                await sink.drain()
        sink.close()

    def _kept(self, data: bytes) -> bytes:
        self.sent += data
        return data

    def _spoilt(self, data: bytes) -> bytes:
        if not self.noisy:
            return data
        spoilt = bytearray(data)
        for _ in range(self._random.randint(1, 4)):
            spoilt[self._random.randrange(len(spoilt))] = self._random.randrange(256)
        cut = self._random.choice((0, 0, 0, self._random.randrange(len(spoilt))))
        return bytes(spoilt[cut:])


def client_tasks() -> list[str]:
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if "Client" in name or "UaSession" in name]


def test_an_exchange_writes_then_reads_and_nothing_runs_beside_it() -> None:
    async def check() -> None:
        async with opcua() as bench:
            host = HostSide()
            await trip(bench, host)
            bench.server.requests.clear()
            await trip(bench, host)
            assert bench.server.requests == ["write", "read"]
            assert client_tasks() == []
            assert bench.server.sessions == 1
            await bench.port.close()
            assert bench.server.sessions == 0

    run(check())


def test_a_value_is_written_without_status_and_time_which_many_plcs_refuse() -> None:
    async def check() -> None:
        async with opcua() as bench:
            cable = Cable(bench.server.port)
            async with listening(cable.serve) as at:
                bench.port = port_to(at)
                await trip(bench, HostSide())
                await bench.port.close()
            array_of_80 = b"\x85" + (80).to_bytes(4, "little")
            before = cable.sent.index(array_of_80) - 1
            assert cable.sent[before] == 1  # what follows is a value and nothing else

    run(check())


def test_one_late_answer_keeps_the_session_and_a_second_ends_it() -> None:
    async def check() -> None:
        async with opcua() as bench:
            host = HostSide()
            await trip(bench, host)
            (first,) = bench.server.server.iserver._external_sessions
            for lates in (1, 2):
                bench.freeze()
                for _ in range(lates):
                    with pytest.raises(Late):
                        await bench.port.exchange(host.block(0, HostState.DECIDING))
                bench.thaw()
                await trip(bench, host)
                (session,) = bench.server.server.iserver._external_sessions
                assert (session == first) is (lates == 1)

    run(check())


def test_a_session_that_is_given_up_is_closed_when_the_plc_thaws() -> None:
    async def check() -> None:
        async with opcua() as bench:
            cable = Cable(bench.server.port)
            async with listening(cable.serve) as at:
                bench.port = port_to(at)
                host = HostSide()
                await trip(bench, host)
                bench.freeze()
                for _ in range(2):
                    assert CLOSE_SESSION not in cable.sent
                    with pytest.raises(Late):
                        await bench.port.exchange(host.block(0, HostState.DECIDING))
                bench.thaw()
                await trip(bench, host)
                assert CLOSE_SESSION in cable.sent
                assert bench.server.sessions == 1
                await bench.port.close()

    run(check())


def test_a_frozen_plc_is_waited_for_no_longer_than_an_exchange_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "OPEN_S", 30.0)

    async def check() -> None:
        async with opcua() as bench:
            await trip(bench, HostSide())
            bench.freeze()
            with pytest.raises(Late):
                await asyncio.wait_for(bench.port.exchange(BLOCK), 20 * opcua_session.TIMEOUT_S)
            bench.thaw()

    run(check())


def test_a_frozen_plc_is_let_go_of_without_its_consent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "OPEN_S", 30.0)

    async def check() -> None:
        async with opcua() as bench:
            await trip(bench, HostSide())
            bench.freeze()
            with pytest.raises(Late):
                await bench.port.exchange(BLOCK)
            await asyncio.wait_for(bench.port.close(), 20 * opcua_session.TIMEOUT_S)

    run(check())


def test_an_answer_in_the_moment_it_is_given_up_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library raises it with the cancellation then, as a kind of CancelledError."""

    class CancelledWithAnswer(asyncio.CancelledError):
        pass

    async def answer_as_it_is_cancelled(_session: UaSession, _write: ua.WriteParameters) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            raise CancelledWithAnswer from error

    async def check() -> None:
        async with opcua() as bench:
            await trip(bench, HostSide())
            with monkeypatch.context() as patched:
                patched.setattr(UaSession, "write", answer_as_it_is_cancelled)
                with pytest.raises(Late):
                    await bench.port.exchange(BLOCK)
            await trip(bench, HostSide())

    run(check())


def test_a_cut_in_the_midst_of_an_exchange_is_no_connection() -> None:
    async def check() -> None:
        async with opcua() as bench:
            await trip(bench, HostSide())
            bench.freeze()
            exchange = asyncio.create_task(bench.port.exchange(BLOCK))
            await asyncio.sleep(0)
            await bench.cut()
            with pytest.raises(Unreachable, match="closed the connection"):
                await exchange
            bench.thaw()
            await bench.mend()
            await trip(bench, HostSide())

    run(check())


def test_a_plc_that_gives_up_a_request_by_itself_is_late() -> None:
    def busy(*_: object) -> None:
        raise BadTimeout

    async def check() -> None:
        async with opcua() as bench:
            await trip(bench, HostSide())
            reports = ua.NodeId.from_string(REPORTS_NODE)
            bench.server.server.set_attribute_value_callback(reports, busy)  # type: ignore[arg-type] # it returns nothing
            with pytest.raises(Late, match="BadTimeout"):
                await bench.port.read()

    run(check())


def test_a_plc_is_asked_for_short_sessions() -> None:
    async def check() -> None:
        async with opcua() as bench:
            await trip(bench, HostSide())
            (session,) = bench.server.server.iserver._external_sessions.values()
            assert session.session_timeout == opcua_session.SESSION_MS / 1000

    run(check())


def test_the_channel_is_renewed_before_it_runs_out() -> None:
    async def check() -> None:
        async with opcua() as bench:
            host = HostSide()
            await trip(bench, host)
            session = bench.port._session  # type: ignore[attr-defined] # the bench knows it as a Port
            in_s = session._renew_at_s - asyncio.get_running_loop().time()
            assert 1800 < in_s < 3600  # the library asks for an hour
            assert bench.server.server.bserver is not None
            (processor,) = (each.processor for each in bench.server.server.bserver.clients)
            assert processor is not None
            tokens = []
            for _ in range(3):
                session._renew_at_s = 0.0
                await trip(bench, host)
                await trip(bench, host)
                tokens.append(processor._connection.security_token.TokenId)
            assert tokens == [tokens[0], tokens[0] + 1, tokens[0] + 2]
            assert bench.port._session is session  # type: ignore[attr-defined] # the bench knows it as a Port

    run(check())


def test_a_renewal_that_is_not_answered_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with opcua() as bench:
            host = HostSide()
            await trip(bench, host)
            bench.port._session._renew_at_s = 0.0  # type: ignore[attr-defined] # the bench knows it as a Port
            with monkeypatch.context() as patch:
                patch.setattr(UaProcessor, "open_secure_channel", lambda *_: None)
                with pytest.raises(Late):
                    await bench.port.exchange(host.block(0, HostState.DECIDING))
            with pytest.raises(Unreachable):
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            await trip(bench, host)

    run(check())


def test_a_session_that_the_plc_forgot_is_made_anew() -> None:
    async def check() -> None:
        async with opcua() as bench:
            host = HostSide()
            await trip(bench, host)
            assert bench.server.server.bserver is not None
            for client in bench.server.server.bserver.clients:
                assert client.processor is not None
                client.processor.session = None
            with pytest.raises(Unreachable, match="ended the session") as told:
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            assert told.value.cause is Cause.DROPPED
            await trip(bench, host)

    run(check())


def test_a_variable_that_is_not_there_is_named() -> None:
    async def check() -> None:
        async with opcua() as bench:
            port = port_to(bench.server.port, reports="ns=2;s=Nothing")
            await port.connect()
            nothing = r"read reports_node ns=2;s=Nothing .BadNodeIdUnknown.*number after ns="
            with pytest.raises(Refused, match=nothing) as told:
                await port.read()
            assert told.value.cause is Cause.NO_BLOCK
            await port.close()
            port = port_to(bench.server.port, orders="ns=9;i=4")
            await port.connect()
            for _ in range(2):
                with pytest.raises(Refused, match=r"write orders_node ns=9;i=4 .*compare the key"):
                    await port.exchange(BLOCK)
            assert await port.read()  # the session has not suffered
            await port.close()

    run(check())


@pytest.mark.parametrize(
    ("reports", "orders", "error", "cause", "words"),
    [
        ("ns=2;s=good", "ns=2;s=locked", Refused, Cause.PROTECTED, "make the variable writable from OPC UA"),
        ("ns=2;s=good", "ns=2;s=signed", Refused, Cause.SHAPE, "make the variable an array of 80 UInt16"),
        ("ns=2;s=short", "ns=2;s=good", Garbled, Cause.SHAPE, "reports_node ns=2;s=short holds an array of 40 UInt16"),
        ("ns=2;s=signed", "ns=2;s=good", Garbled, Cause.SHAPE, "holds an array of 80 Int16"),
        ("ns=2;s=single", "ns=2;s=good", Garbled, Cause.SHAPE, "holds one UInt16"),
        ("ns=2;s=empty", "ns=2;s=good", Garbled, Cause.SHAPE, "holds one Null"),
        ("ns=2;s=bad", "ns=2;s=good", Refused, None, "read reports_node ns=2;s=bad .BadWaitingForInitialData"),
        ("i=85", "ns=2;s=good", Refused, Cause.SHAPE, "make the variable an array of 80 UInt16"),
    ],
)
def test_a_variable_that_is_not_the_block_is_told(
    reports: str, orders: str, error: type[PortError], cause: Cause | None, words: str
) -> None:
    async def check() -> None:
        server = await new_server()
        good, _, signed = [
            await add_array(server, "ns=2;s=good"),
            await add_array(server, "ns=2;s=locked"),
            await add_array(server, "ns=2;s=signed", kind="Int16"),
        ]
        short, single = await add_array(server, "ns=2;s=short", count=40), await add_array(server, "ns=2;s=single")
        empty, bad = await add_array(server, "ns=2;s=empty"), await add_array(server, "ns=2;s=bad")
        for node in (good, signed, short):
            await node.set_writable()
        await single.write_value(ua.Variant(7, ua.VariantType.UInt16))
        server.set_attribute_value_callback(empty.nodeid, lambda *_: ua.DataValue())
        waiting = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData)))
        server.set_attribute_value_callback(bad.nodeid, lambda *_: waiting)
        async with started(server) as at:
            port = port_to(at, reports, orders)
            await port.connect()
            for _ in range(2):
                with pytest.raises(error, match=words) as told:
                    await port.exchange(BLOCK)
                assert told.value.cause is cause
            await port.close()

    run(check())


@pytest.mark.parametrize("text", ["ns=99999;i=1", "i=9999999999", "HubSorter"])
def test_a_key_that_is_no_node_is_refused(text: str) -> None:
    async def check() -> None:
        async with opcua() as bench:
            with pytest.raises(Refused, match=f'orders_node "{text}" is not a node') as told:
                await port_to(bench.server.port, orders=text).connect()
            assert told.value.cause is Cause.NO_BLOCK

    run(check())


class Nobody(UserManager):
    """Lets nobody in."""

    def get_user(self, *_: object, **__: object) -> User | None:
        return None


def test_a_plc_that_lets_no_guest_in_says_so_and_keeps_no_session() -> None:
    async def check() -> None:
        server = await new_server(users=Nobody())
        async with started(server) as at:
            port = port_to(at)
            for _ in range(3):
                with pytest.raises(Refused, match=r"lets no guest in .*guest \(anonymous\) authentication") as told:
                    await port.connect()
                assert told.value.cause is Cause.SECURITY
            assert server.iserver._external_sessions == {}

    run(check())


def test_a_plc_without_a_free_session_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise BadTooManySessions

    async def check() -> None:
        async with opcua() as bench:
            with monkeypatch.context() as patch:
                patch.setattr(InternalServer, "create_session", full)
                with pytest.raises(Refused, match=r"no session free .BadTooManySessions"):
                    await bench.port.connect()
            await trip(bench, HostSide())

    run(check())


def answering(code: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answers the first message with an error message."""
    body = code.to_bytes(4, "little") + (2).to_bytes(4, "little") + b"no"
    message = b"ERRF" + (8 + len(body)).to_bytes(4, "little") + body

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(message)
        await writer.drain()

    return answer


@pytest.mark.parametrize(
    ("code", "cause", "words"),
    [
        (
            StatusCodes.BadSecurityPolicyRejected,
            Cause.SECURITY,
            r'BadSecurityPolicyRejected.*allow the endpoint "no security"',
        ),
        (StatusCodes.BadTcpServerTooBusy, Cause.BUSY, r"has no session free \(BadTcpServerTooBusy"),
        (StatusCodes.BadTcpEndpointUrlInvalid, None, r"opened no session \(BadTcpEndpointUrlInvalid"),
    ],
)
def test_a_plc_that_hangs_up_with_a_reason_is_quoted(code: int, cause: Cause | None, words: str) -> None:
    async def check() -> None:
        async with listening(answering(code)) as at:
            with pytest.raises(Refused, match=words) as told:
                await port_to(at).connect()
            assert told.value.cause is cause

    run(check())


def test_a_plc_that_hangs_up_before_there_is_a_session_has_dropped_the_connection() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def check() -> None:
        async with listening(hang_up) as at:
            with pytest.raises(Unreachable, match="before there was a session") as told:
                await port_to(at).connect()
            assert told.value.cause is Cause.DROPPED

    run(check())


def test_a_plc_that_shows_only_encrypted_endpoints_says_what_to_allow() -> None:
    async def check() -> None:
        async with opcua() as bench:
            for endpoint in bench.server.server.iserver.endpoints:
                endpoint.SecurityMode = ua.MessageSecurityMode.Sign
            for _ in range(2):
                with pytest.raises(Refused, match=r'without encryption.*allow the endpoint "no security"') as told:
                    await bench.port.connect()
                assert told.value.cause is Cause.SECURITY
            assert bench.server.sessions == 0

    run(check())


def test_a_plc_that_takes_its_time_for_each_step_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "OPEN_S", 0.3)
    process = UaProcessor.process

    async def slowly(self: UaProcessor, header: object, body: object) -> bool:
        await asyncio.sleep(0.2)
        return bool(await process(self, header, body))  # type: ignore[no-untyped-call] # asyncua leaves it untyped

    async def check() -> None:
        async with opcua() as bench:
            with monkeypatch.context() as patch:
                patch.setattr(UaProcessor, "process", slowly)
                with pytest.raises(Late, match="opened no session"):
                    await bench.port.connect()

    run(check())


def test_who_stops_waiting_for_a_plc_leaves_no_connection() -> None:
    hung_up = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        hung_up.set()

    async def check() -> None:
        async with listening(silent) as at:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(port_to(at).connect(), 0.1)
            await asyncio.wait_for(hung_up.wait(), 10)

    run(check())


def test_a_plc_that_takes_connections_and_says_nothing_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "OPEN_S", 0.3)

    async def check() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel connects; nobody ever answers
            port = port_to(listener.getsockname()[1])
            for _ in range(2):
                with pytest.raises(Late, match="opened no session"):
                    await port.connect()
                with pytest.raises(Unreachable):
                    await port.exchange(BLOCK)
            await port.close()

    run(check())


@pytest.mark.parametrize("closes", [True, False])
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"ACKF\x08\0\0\0", bytes(64), b"\xff" * 64]
)
def test_what_is_no_opc_ua_does_not_hang(answer: bytes, closes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "OPEN_S", 0.3)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()
        if closes:
            writer.close()

    async def check() -> None:
        async with listening(serve) as at:
            port = port_to(at)
            with pytest.raises((Late, Garbled, Unreachable), match=r"OPC UA"):
                await port.connect()
            with pytest.raises(Unreachable):
                await port.read()

    run(check())


def test_an_address_of_ipv6_is_one() -> None:
    async def check() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            port = OpcUaPort("::1", taken.getsockname()[1], reports_node=REPORTS_NODE, orders_node=ORDERS_NODE)
            with pytest.raises(Unreachable, match="accepts no connection"):
                await port.connect()

    run(check())


@pytest.mark.parametrize("seed", range(4))
def test_noise_on_the_cable_raises_port_errors_and_nothing_else(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "TIMEOUT_S", 0.05)  # noise in a length is silence
    monkeypatch.setattr(opcua_session, "OPEN_S", 0.5)
    told: list[str] = []

    async def check() -> None:
        async with opcua() as bench:
            cable = Cable(bench.server.port, seed)
            async with listening(cable.serve) as at:
                bench.port = port_to(at)
                for _ in range(40):
                    cable.noisy = False
                    await trip(bench, HostSide())
                    cable.noisy = True
                    try:
                        assert len(await bench.port.exchange(BLOCK)) == BLOCK_BYTES
                    except PortError as error:
                        told.append(type(error).__name__)
                cable.noisy = False
                await trip(bench, HostSide())
                await bench.port.close()

    run(check())
    assert len(told) > 5


def test_nothing_is_logged_that_was_raised(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def check() -> None:
        async with opcua() as bench:
            host = HostSide()
            await trip(bench, host)
            bench.freeze()
            with pytest.raises(Late):
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            bench.thaw()
            await trip(bench, host)
            await bench.cut()
            with pytest.raises(Unreachable):
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            await bench.mend()
            async with listening(answering(StatusCodes.BadTcpServerTooBusy)) as at:
                with pytest.raises(Refused):
                    await port_to(at).connect()

    run(check())
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


SCRIPT = """
import asyncio, sys
import plc_adapter.service as service
from plc_adapter.probe import probe
from plc_adapter.settings import OpcUa
assert "asyncua" not in sys.modules
if sys.argv[1] == "missing":
    sys.modules["asyncua"] = None
port = service.port_of(OpcUa(host="127.0.0.1", port=9))
assert (sys.modules.get("asyncua") is None) is (sys.argv[1] == "missing")
for fault in asyncio.run(probe("L1", port, "big")).faults:
    print(fault.fault, fault)
"""


@pytest.mark.parametrize(
    ("asyncua", "name", "words"),
    [
        ("missing", "not_installed", "pip install 'hub-sorter[opcua]'"),
        ("there", "unreachable", "accepts no connection"),
    ],
)
def test_the_library_is_an_extra_and_is_asked_for_only_when_needed(asyncua: str, name: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, asyncua], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith(f"{name} ")
    assert words in done.stdout
