"""Every port keeps one contract: the same blocks, the same errors, fit to be called again after each."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from plc_adapter.mailbox import BLOCK_BYTES, RING, HostSide, HostState, Order, PlcSide, Told, WordOrder
from plc_adapter.modbus import ModbusPort
from plc_adapter.port import Cause, Garbled, Late, PortError, Refused, Unreachable
from sorter.records import NONE_16, Discharge, Kind
from tests.patience import until
from tests.plc_adapter.benches import EVERYONE, NETWORKS, Bench, Maker, NetworkMaker, modbus, trip, trips

every_port = pytest.mark.parametrize("make", EVERYONE)
every_network = pytest.mark.parametrize("make", NETWORKS)


async def write_unanswered(bench: Bench, host: HostSide) -> None:
    """The adapter dies between its write and what it would have read."""
    await bench.port.connect()
    await bench.port.exchange(host.block(0, HostState.DECIDING))


def report(plc: PlcSide, item: int) -> bool:
    return plc.report(Kind.DISCHARGE, item, 101, Discharge.DROPPED, 0)


def order(item: int) -> Order:
    return Order(item, 101, NONE_16, 10**9, 0)


def items(told: list[Told]) -> list[int]:
    return [each.item for each in told]


@every_port
@pytest.mark.parametrize("word_order", ["big", "little"])
def test_all_arrives_in_order_both_ways(make: Maker, word_order: WordOrder) -> None:
    async def check() -> None:
        async with make(word_order) as bench:
            host = HostSide(word_order)
            reported = given = 0
            seen: list[int] = []
            while len(seen) < 100:
                while reported < 100 and report(bench.plc, 0xABCD_0000 + reported):
                    reported += 1
                while given < 100 and host.give(Order(0xABCD_0000 + given, 101, NONE_16, 10**9, 0)):
                    given += 1
                seen += await trip(bench, host)
            assert seen == list(range(0xABCD_0000, 0xABCD_0000 + 100))
            assert [told.item for told in bench.told] == list(range(0xABCD_0000, 0xABCD_0000 + given))

    asyncio.run(check())


@every_port
def test_a_cut_loses_and_doubles_nothing(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            reported, given = 0, 0
            seen: list[int] = []
            for round_ in range(12):
                for _ in range(3):
                    reported += report(bench.plc, reported + 1)
                    given += host.give(Order(given + 1, 101, NONE_16, 10**9, 0))
                if round_ % 3 == 1:
                    await bench.cut()
                    with pytest.raises(PortError):
                        await bench.port.exchange(host.block(0, HostState.DECIDING))
                    await bench.mend()
                seen += await trip(bench, host)
            seen += await trips(bench, host)
            assert seen == list(range(1, reported + 1))
            assert [told.item for told in bench.told] == list(range(1, given + 1))

    asyncio.run(check())


@every_port
def test_an_adapter_that_starts_again_goes_on(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            first = HostSide()
            for item in range(1, 6):
                report(bench.plc, item)
            seen = await trips(bench, first)
            report(bench.plc, 6)
            second = HostSide()
            again = await trips(bench, second)
            assert (seen, again) == ([1, 2, 3, 4, 5], [6])

    asyncio.run(check())


@every_port
def test_a_plc_that_starts_again_is_met_anew(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            host.give(Order(1, 101, NONE_16, 10**9, 0))
            bench.plc.restart(8)
            report(bench.plc, 9)
            seen = await trips(bench, host)
            assert (seen, host.epoch, host.void) == ([9], 8, 1)
            assert bench.told == []

    asyncio.run(check())


@every_port
def test_what_a_killed_adapter_read_and_did_not_acknowledge_comes_again(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            first = HostSide()
            await trips(bench, first)
            for item in range(1, 6):
                report(bench.plc, item)
            read = first.receive(await bench.port.exchange(first.block(0, HostState.DECIDING)), 0)
            first.acknowledge(2)
            await write_unanswered(bench, first)
            again = await trips(bench, HostSide())
            assert ([each.item for each in read], again) == ([1, 2, 3, 4, 5], [3, 4, 5])

    asyncio.run(check())


@every_port
def test_orders_of_a_killed_adapter_are_taken_once_or_void(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            first = HostSide()
            await trips(bench, first)
            for item in (1, 2):
                first.give(order(item))
            await write_unanswered(bench, first)
            first.give(order(3))  # never written
            second = HostSide()
            await trips(bench, second)
            assert items(bench.told) == [1, 2]
            assert second.host_epoch == first.host_epoch + 1
            for item in (4, 5, 6):
                second.give(order(item))
            await trips(bench, second)
            assert items(bench.told) == [1, 2, 4, 5, 6]

    asyncio.run(check())


@every_port
def test_an_order_to_another_epoch_is_ignored(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            host.give(order(1))
            host.epoch = 6
            ignored = bench.plc.ignored
            await bench.port.exchange(host.block(0, HostState.DECIDING))
            assert (bench.told, bench.plc.taken, bench.plc.ignored) == ([], 0, ignored + 1)
            host.epoch = 7
            await trip(bench, host)
            assert items(bench.told) == [1]

    asyncio.run(check())


@every_port
def test_an_overrun_is_counted_and_goes_on(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            for item in range(1, 21):
                bench.plc.tail = bench.plc.head
                report(bench.plc, item)
            seen = await trips(bench, host, 2)
            assert (seen, host.overruns, host.lost) == (list(range(13, 21)), 1, 12)
            report(bench.plc, 21)
            assert await trips(bench, host, 2) == [21]
            assert host.overruns == 1

    asyncio.run(check())


@every_port
def test_a_report_without_its_closing_word_is_waited_for(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            for item in (1, 2, 3):
                report(bench.plc, item)
            whole = bench.plc.block
            torn = 32 + 2 * 16 + 14  # the last word of report 2

            def block(clock_ms: int) -> bytes:
                data = whole(clock_ms)
                return data[:torn] + b"\xff\xff" + data[torn + 2 :]

            monkeypatch.setattr(bench.plc, "block", block)
            assert await trips(bench, host) == [1]
            assert host.torn_reads == 3
            monkeypatch.undo()
            assert await trips(bench, host) == [2, 3]

    asyncio.run(check())


@every_port
def test_an_order_without_its_closing_word_is_waited_for(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            for item in (1, 2, 3):
                host.give(order(item))
            out = host.block(0, HostState.DECIDING)
            torn = 32 + 2 * 16 + 14
            await bench.port.exchange(out[:torn] + b"\xff\xff" + out[torn + 2 :])
            assert (items(bench.told), bench.plc.taken) == ([1], 1)
            await trips(bench, host)
            assert items(bench.told) == [1, 2, 3]

    asyncio.run(check())


@every_port
def test_a_block_goes_both_ways_in_one_piece(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The PLC changes every word with every scan: no exchange mixes two scans."""

    async def check() -> None:
        async with make() as bench:
            await bench.port.connect()
            scans = count(1)
            written: list[bytes] = []

            def receive(block: bytes, _now_ns: int) -> list[Told]:
                written.append(block)
                return []

            monkeypatch.setattr(bench.plc, "block", lambda _clock_ms: next(scans).to_bytes(2, "big") * 80)
            monkeypatch.setattr(bench.plc, "receive", receive)
            read = [await bench.port.exchange(number.to_bytes(2, "big") * 80) for number in range(100, 120)]
            assert written == [number.to_bytes(2, "big") * 80 for number in range(100, 120)]
            assert [block[:2] * 80 for block in read] == read
            assert read == sorted(set(read))

    asyncio.run(check())


@every_port
@pytest.mark.parametrize("word_order", ["big", "little"])
def test_the_wrong_word_order_is_named(make: Maker, word_order: WordOrder) -> None:
    async def check() -> None:
        async with make(word_order) as bench:
            await bench.port.connect()
            host = HostSide("little" if word_order == "big" else "big")
            with pytest.raises(Garbled, match=f'set word_order = "{word_order}"'):
                host.receive(await bench.port.exchange(host.block(0, HostState.AWAY)), 0)
            assert bench.plc.host_epoch == 0
            assert await trips(bench, HostSide(word_order)) == []

    asyncio.run(check())


@every_port
def test_sixteen_bits_run_over_both_ways(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            bench.plc.head = bench.plc.tail = host.read = host.acknowledged = 65_530
            bench.plc.taken = host.given = host.taken = 65_530
            seen: list[int] = []
            numbers = list(range(65_531, 65_551))
            for batch in (numbers[:RING], numbers[RING : 2 * RING], numbers[2 * RING :]):
                for item in batch:
                    assert report(bench.plc, item)
                    assert host.give(order(item))
                seen += await trips(bench, host, 2)
            assert (seen, items(bench.told)) == (numbers, numbers)
            assert (host.read, host.taken, bench.plc.tail, bench.plc.taken) == (65_550,) * 4

    asyncio.run(check())


@every_port
def test_reading_changes_nothing(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            before = (bench.plc.host_epoch, bench.plc.tail, bench.plc.taken, bench.plc.ignored)
            assert len(await bench.port.read()) == BLOCK_BYTES
            assert (bench.plc.host_epoch, bench.plc.tail, bench.plc.taken, bench.plc.ignored) == before

    asyncio.run(check())


@every_port
def test_calls_without_a_plc_raise_and_never_hang(make: Maker) -> None:
    async def check() -> None:
        async with make() as bench:
            await bench.cut()
            calls: list[Callable[[], Awaitable[object]]] = [
                bench.port.connect,
                bench.port.read,
                lambda: bench.port.exchange(bytes(BLOCK_BYTES)),
            ]
            for call in calls * 2:
                with pytest.raises(Unreachable):
                    await asyncio.wait_for(call(), 1.0)
            await bench.port.close()
            await bench.mend()
            assert await trip(bench, HostSide()) == []

    asyncio.run(check())


@every_network
def test_a_connection_that_the_plc_closes_is_told_as_dropped(make: NetworkMaker) -> None:
    async def check() -> None:
        async with make() as bench:
            await trip(bench, HostSide())
            await bench.cut()
            with pytest.raises(Unreachable) as told:
                await bench.port.exchange(bytes(BLOCK_BYTES))
            assert told.value.cause is Cause.DROPPED
            await bench.mend()

    asyncio.run(check())


def test_a_connection_that_is_known_to_be_closed_is_told_as_dropped() -> None:
    async def check() -> None:
        async with modbus() as bench:
            await trip(bench, HostSide())
            assert isinstance(bench.port, ModbusPort)
            client = bench.port._client
            assert client is not None
            await bench.cut()
            await until(lambda: not client.connected)
            with pytest.raises(Unreachable) as told:
                await bench.port.read()
            assert told.value.cause is Cause.DROPPED
            await bench.mend()

    asyncio.run(check())


def test_one_request_is_used_where_the_plc_can() -> None:
    async def requests(*, one_request: bool) -> tuple[int, int]:
        async with modbus(one_request=one_request) as bench:
            host = HostSide()
            await trip(bench, host)
            before = bench.server.requests
            await trip(bench, host)
            return bench.server.requests - before, bench.server.writes

    assert asyncio.run(requests(one_request=True)) == (2, 2)  # the simulator asks once to write, once to read
    assert asyncio.run(requests(one_request=False)) == (2, 2)


@every_network
def test_a_frozen_plc_is_noticed_in_half_a_second_and_comes_back_by_itself(make: NetworkMaker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            bench.freeze()
            began = time.monotonic()
            with pytest.raises(Late, match="did not answer within 200 ms"):
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            assert time.monotonic() - began >= 0.15
            with pytest.raises((Late, Unreachable)):
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            with pytest.raises(Unreachable):  # so it is not half open for long
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            report(bench.plc, 1)
            bench.thaw()
            seen = await trips(bench, host)
            assert seen == [1]

    asyncio.run(check())


@every_network
def test_a_late_answer_is_not_taken_for_the_next_one(make: NetworkMaker) -> None:
    async def check() -> None:
        async with make() as bench:
            host = HostSide()
            await trips(bench, host)
            bench.freeze()
            with pytest.raises(Late):
                await bench.port.exchange(host.block(0, HostState.DECIDING))
            report(bench.plc, 1)
            bench.thaw()
            await asyncio.sleep(0.05)  # the first answer arrives now
            report(bench.plc, 2)
            seen = await trips(bench, host)
            assert seen == [1, 2]

    asyncio.run(check())


def test_a_half_open_connection_is_noticed() -> None:
    async def check() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel connects; nobody ever answers
            port = ModbusPort("127.0.0.1", listener.getsockname()[1])
            await port.connect()
            for _ in range(2):
                with pytest.raises(Late):
                    await port.exchange(bytes(BLOCK_BYTES))
            with pytest.raises(Unreachable):
                await port.exchange(bytes(BLOCK_BYTES))
            await port.close()

    asyncio.run(check())


def test_registers_that_are_not_there_are_refused_with_their_address() -> None:
    async def check() -> None:
        async with modbus() as bench:
            port = ModbusPort("127.0.0.1", bench.server.port, reports_at=150, orders_at=100)
            await port.connect()
            with pytest.raises(Refused, match="holding registers to write and read at 150") as told:
                await port.exchange(bytes(BLOCK_BYTES))
            assert told.value.cause is Cause.NO_BLOCK
            with pytest.raises(Refused, match="reports_at"):
                await port.read()
            await port.close()

    asyncio.run(check())


def test_what_is_no_modbus_does_not_hang() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def check() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = ModbusPort("127.0.0.1", server.sockets[0].getsockname()[1])
        await port.connect()
        with pytest.raises((Late, Garbled, Unreachable)):
            await asyncio.wait_for(port.exchange(bytes(BLOCK_BYTES)), 2.0)
        await port.close()
        server.close()
        await server.wait_closed()

    asyncio.run(check())
