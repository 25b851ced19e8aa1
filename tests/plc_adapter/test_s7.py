"""What is S7's own: who answers at all, what a CPU refuses and what to change in it, and whose answer it is."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plc_adapter import s7 as dialect
from plc_adapter.mailbox import BLOCK_BYTES, HostSide, HostState, PlcSide
from plc_adapter.port import Garbled, Late, PortError, Refused, Unreachable
from plc_adapter.s7 import S7Port
from tests.plc_adapter.benches import s7
from tests.plc_adapter.s7_plc import ORDERS_AT, ORDERS_DB, REPORTS_AT, REPORTS_DB
from tests.plc_adapter.scripted_cpu import (
    CONFIRM,
    DISCONNECT,
    NOTHING,
    READ,
    SETUP,
    TAKEN,
    WRITE,
    Answers,
    Cpu,
    acknowledge,
    all_but,
    block_of,
    good,
    packet,
    serving,
)

HURRY_S = dialect.TIMEOUT_S

pytestmark = pytest.mark.usefixtures("unhurried")  # only what is about time has the port's real patience


@contextmanager
def hurry() -> Iterator[None]:
    """The port's real patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialect, "TIMEOUT_S", HURRY_S)
        yield


@asynccontextmanager
async def connected(cpu: Cpu, reports_at: int = 0) -> AsyncIterator[S7Port]:
    async with serving(cpu):
        port = S7Port("127.0.0.1", cpu.tcp_port, reports_at=reports_at)
        await port.connect()
        try:
            yield port
        finally:
            await port.close()


def test_an_exchange_is_one_write_and_one_read_of_whole_blocks() -> None:
    async def check() -> list[bytes]:
        cpu = Cpu()
        out = bytes(range(BLOCK_BYTES))
        async with connected(cpu, reports_at=6) as port:
            assert await port.exchange(out) == NOTHING
            assert cpu.requests[1].endswith(out)
        return [request[10:24] for request in cpu.requests]

    area, size = b"\x84", BLOCK_BYTES.to_bytes(2, "big")
    item = b"\x01\x12\x0a\x10\x02" + size
    assert asyncio.run(check())[1:] == [
        WRITE + item + (101).to_bytes(2, "big") + area + (0).to_bytes(3, "big"),
        READ + item + (100).to_bytes(2, "big") + area + (6 * 8).to_bytes(3, "big"),
    ]


def test_rack_and_slot_are_asked_for() -> None:
    async def check() -> bytes:
        async with serving(Cpu()) as cpu:
            port = S7Port("127.0.0.1", cpu.tcp_port, rack=1, slot=3)
            await port.connect()
            await port.close()
            return cpu.connections[0]

    assert b"\xc2\x02\x01\x23" in asyncio.run(check())  # a PG's connection to rack 1, slot 3


@pytest.mark.parametrize("confirm", [DISCONNECT, b""])
def test_a_wrong_slot_is_refused_with_rack_and_slot(confirm: bytes) -> None:
    async def check() -> None:
        async with serving(Cpu(confirm=confirm)) as cpu:
            port = S7Port("127.0.0.1", cpu.tcp_port, slot=5)
            for _ in range(2):
                with pytest.raises(Refused, match="hangs up on rack 0, slot 5; check both"):
                    await port.connect()
            with pytest.raises(Unreachable):
                await port.read()

    asyncio.run(check())


def test_a_half_open_connection_is_given_up() -> None:
    async def check() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel connects; nobody ever answers
            port = S7Port("127.0.0.1", listener.getsockname()[1])
            for _ in range(2):
                with hurry(), pytest.raises(Unreachable, match="answers TCP but not S7; see whether the port"):
                    await asyncio.wait_for(port.connect(), 4.0)

    asyncio.run(check())


def test_a_cpu_that_freezes_while_it_is_met_is_late() -> None:
    async def check() -> None:
        async with serving(Cpu(lambda _request: b"")) as cpu:
            port = S7Port("127.0.0.1", cpu.tcp_port)
            with hurry(), pytest.raises((Late, Unreachable)):
                await asyncio.wait_for(port.connect(), 10.0)
            cpu.answers = good
            await port.connect()
            assert await port.read() == NOTHING
            await port.close()

    asyncio.run(check())


def test_a_frozen_plc_is_told_within_half_a_second_also_when_only_the_read_hangs() -> None:
    async def check() -> None:
        async with connected(Cpu(all_but(READ, lambda _request: b""))) as port:
            began = time.monotonic()
            with hurry(), pytest.raises(Late, match="did not answer within 200 ms"):
                await port.exchange(NOTHING)
            assert time.monotonic() - began >= 0.15
            with pytest.raises(Unreachable):
                await port.exchange(NOTHING)

    asyncio.run(check())


def test_an_answer_that_trickles_in_has_no_longer_than_one_that_does_not() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cpu = Cpu()
        await cpu.packet(reader)
        writer.write(CONFIRM)
        writer.write(good((await cpu.packet(reader))[3:]))
        answer = good((await cpu.packet(reader))[3:])
        for part in (answer[:4], answer[4:]):
            await asyncio.sleep(0.15)
            writer.write(part)
        writer.close()

    async def check() -> None:
        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        port = S7Port("127.0.0.1", server.sockets[0].getsockname()[1])
        await port.connect()
        with hurry(), pytest.raises(Late):
            await port.read()
        await asyncio.sleep(0.2)
        server.close()
        await server.wait_closed()

    asyncio.run(check())


def test_half_an_answer_is_none() -> None:
    async def check() -> None:
        async with connected(Cpu(all_but(READ, lambda request: good(request)[:50]))) as port:
            with hurry(), pytest.raises(Late):
                await port.read()

    asyncio.run(check())


@pytest.mark.parametrize("text", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x03\x00\x00\x01", packet(b"\x00\x00")])
def test_what_is_no_s7_is_garbled(text: bytes) -> None:
    async def check() -> None:
        async with serving(Cpu(confirm=text)) as cpu:
            port = S7Port("127.0.0.1", cpu.tcp_port)
            with pytest.raises(Garbled, match=r"not as S7 does .* check that host and port"):
                await port.connect()

    asyncio.run(check())


FORBIDDEN = r'does not permit to {} DB{} from byte 0 .*0x{}.*"Permit access with PUT/GET.*block access" off DB\d+;'
NOT_THERE = 'has no 160 bytes to {} in DB{} from byte 0 .*0x{}.*take "Optimized block access" off it, .* or slot .1. in'
OTHER = "refused to {} DB{} from byte 0: code 0x{}"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0x8104, FORBIDDEN),
        (0x03, FORBIDDEN),
        (0x8703, FORBIDDEN),
        (0xD241, FORBIDDEN),
        (0x0A, NOT_THERE),
        (0x05, NOT_THERE),
        (0x8404, NOT_THERE),
        (0x8701, NOT_THERE),
        (0x07, OTHER),
        (0x8302, OTHER),
    ],
)
@pytest.mark.parametrize(("function", "verb", "db"), [(READ, "read", 100), (WRITE, "write", 101)])
def test_a_refusal_says_what_to_change_in_the_cpu(function: bytes, verb: str, db: int, code: int, told: str) -> None:
    def no(request: bytes) -> bytes:
        if code > 0xFF:
            return acknowledge(request, error=code)
        item = bytes([code]) if function == WRITE else bytes([code, 0, 0, 0])
        return acknowledge(request, function + b"\x01", item)

    async def check() -> None:
        cpu = Cpu(all_but(function, no))
        async with connected(cpu) as port:
            for _ in range(2):
                with pytest.raises(Refused, match=told.format(verb, db, f"{code:02X}")):
                    await port.exchange(NOTHING)
            cpu.answers = good
            assert await port.exchange(NOTHING) == NOTHING
        assert len(cpu.connections) == 1  # a CPU has few; one that said no is no broken one

    asyncio.run(check())


def test_a_cpu_that_will_not_be_set_up_is_refused() -> None:
    async def check() -> None:
        async with serving(Cpu(lambda request: acknowledge(request, error=0x8301))) as cpu:
            port = S7Port("127.0.0.1", cpu.tcp_port)
            with pytest.raises(Refused, match="refused to be set up: code 0x8301"):
                await port.connect()
            await port.close()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("reports_db", "orders_db", "told"),
    [
        (7, ORDERS_DB, r"has no 160 bytes to read in DB7 .*or change reports_db, reports_at or slot"),
        (REPORTS_DB, 7, r"has no 160 bytes to write in DB7 .*or change orders_db, orders_at or slot"),
        (ORDERS_DB, REPORTS_DB, r"to write in DB100"),  # taken for one another
    ],
)
def test_data_blocks_that_are_not_there_are_named(reports_db: int, orders_db: int, told: str) -> None:
    async def check() -> None:
        async with s7() as bench:
            port = S7Port("127.0.0.1", bench.server.port, reports_db=reports_db, orders_db=orders_db)
            await port.connect()
            with pytest.raises(Refused, match=told):
                await port.exchange(NOTHING)
            await port.close()

    asyncio.run(check())


def test_a_data_block_that_is_too_short_is_refused() -> None:
    async def check() -> None:
        async with s7() as bench:
            at = REPORTS_AT + 2
            port = S7Port("127.0.0.1", bench.server.port, reports_db=REPORTS_DB, reports_at=at, orders_db=ORDERS_DB)
            await port.connect()
            with pytest.raises(Refused, match=f"at least {at + BLOCK_BYTES} bytes"):
                await port.read()
            await port.close()

    asyncio.run(check())


def test_an_answer_to_another_request_is_not_taken() -> None:
    def of_before(request: bytes) -> bytes:
        number = int.from_bytes(request[4:6], "big") - 1
        return good(request[:4] + number.to_bytes(2, "big") + request[6:])

    async def check() -> None:
        cpu = Cpu(all_but(READ, of_before))
        async with connected(cpu) as port:
            with pytest.raises(Garbled, match="belongs to another request"):
                await port.read()
            with pytest.raises(Unreachable):
                await port.read()
            cpu.answers = good
            await port.connect()
            assert await port.read() == NOTHING
        assert len(cpu.connections) == 2

    asyncio.run(check())


@pytest.mark.parametrize(
    "answers",
    [
        all_but(READ, lambda request: acknowledge(request, READ + b"\x01", block_of(bytes(BLOCK_BYTES - 2)))),
        all_but(READ, lambda request: acknowledge(request, READ + b"\x01")),
        all_but(READ, lambda request: acknowledge(request, WRITE + b"\x01", TAKEN)),
        all_but(WRITE, lambda request: acknowledge(request, WRITE + b"\x01")),
        all_but(WRITE, lambda request: acknowledge(request, READ + b"\x01", block_of(NOTHING))),
    ],
)
def test_an_answer_that_does_not_fit_is_garbled(answers: Answers) -> None:
    async def check() -> None:
        async with connected(Cpu(answers)) as port:
            with pytest.raises(Garbled):
                await port.exchange(NOTHING)
            with pytest.raises(Unreachable):
                await port.exchange(NOTHING)

    asyncio.run(check())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_is_answered_the_port_raises_only_its_own_errors(data: st.DataObject) -> None:
    """A good answer with bytes changed or added."""
    function = data.draw(st.sampled_from([SETUP, READ, WRITE]))
    changes = data.draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 255)), max_size=4))
    tail = data.draw(st.binary(max_size=8))

    def bad(request: bytes) -> bytes:
        answer = bytearray(good(request))
        for at, value in changes:
            answer[at % len(answer)] = value
        cpu.hangs_up = True
        return bytes(answer) + tail

    cpu = Cpu(all_but(function, bad))

    async def check() -> None:
        async with serving(cpu):
            port = S7Port("127.0.0.1", cpu.tcp_port)
            for call in (port.connect, lambda: port.exchange(NOTHING), port.read):
                with suppress(PortError):
                    await call()
            await port.close()
            cpu.answers, cpu.hangs_up = good, False
            await port.connect()
            assert await port.exchange(NOTHING) == NOTHING
            await port.close()

    asyncio.run(check())


def test_a_connect_that_is_called_off_leaves_nothing_open() -> None:
    async def check() -> None:
        closed = asyncio.Event()

        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            assert await reader.read(100) == b""
            writer.close()
            closed.set()

        server = await asyncio.start_server(never, "127.0.0.1", 0)
        port = S7Port("127.0.0.1", server.sockets[0].getsockname()[1])
        connecting = asyncio.create_task(port.connect())
        await asyncio.sleep(0.05)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        with pytest.raises(Unreachable, match="is not connected"):
            await port.read()
        await port.close()
        await asyncio.wait_for(closed.wait(), 5.0)
        server.close()
        await server.wait_closed()

    asyncio.run(check())


def test_the_library_logs_nothing_that_is_raised() -> None:
    assert not logging.getLogger("snap7.async_client").isEnabledFor(logging.ERROR)


def test_a_cpu_that_stops_scanning_still_answers_and_its_heart_stands_still() -> None:
    async def check() -> None:
        async with s7() as bench:
            host = HostSide()
            await bench.port.connect()
            await bench.port.exchange(host.block(0, HostState.DECIDING))
            bench.server.stopped = True
            blocks = {await bench.port.exchange(host.block(0, HostState.DECIDING)) for _ in range(3)}
            assert len(blocks) == 1

    asyncio.run(check())


def test_the_bench_puts_each_block_where_the_port_looks() -> None:
    async def check() -> None:
        async with s7() as bench:
            await bench.port.connect()
            assert (await bench.port.read())[:8] == PlcSide(7).block(0)[:8]
        assert (REPORTS_AT, ORDERS_AT) == (4, 0)

    asyncio.run(check())
