"""The PLC program as a real OPC UA server: asked anew for each read, reached by each write, and what it refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from asyncua import ua
from asyncua.client.client import Client
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import BadOutOfRange, BadTypeMismatch, BadUserAccessDenied

from plc_adapter.emulator.line import face_of
from plc_adapter.emulator.opcua_face import OpcUaFace
from plc_adapter.emulator.plc import PlcProgram
from plc_adapter.mailbox import BLOCK_WORDS
from plc_adapter.opcua import OpcUaPort
from plc_adapter.service import port_of
from plc_adapter.settings import OpcUa
from sorter.clock import Clock
from tests.patience import PATIENCE_S, run
from tests.plc_adapter.emulator.faces import OPCUA, START_NS, plant_of, served
from tests.plc_adapter.stepped_clock import SteppedClock

WORDS = [0] * BLOCK_WORDS


@asynccontextmanager
async def master(settings: OpcUa) -> AsyncIterator[Client]:
    """A client that is not ours."""
    async with Client(f"opc.tcp://{settings.host}:{settings.port}", timeout=30) as client:
        yield client


def array(words: list[int], kind: ua.VariantType = ua.VariantType.UInt16) -> ua.DataValue:
    return ua.DataValue(ua.Variant(words, kind, is_array=True))


def test_each_read_asks_the_program_anew() -> None:
    async def check() -> None:
        clock = SteppedClock(START_NS)
        async with served(PlcProgram(plant_of(1)), clock, OPCUA) as (face, settings), master(settings) as client:
            before = face.requests
            reports = client.get_node(settings.reports_node)
            first, second = await reports.read_value(), await reports.read_value()
            assert first[:4] == [0x4853, 0x0001, 0, 77]
            assert first[5] != second[5]  # its heart beats with each scan, and a read is one
            assert face.requests - before == 2

    asyncio.run(check())


def test_the_two_variables_are_found_by_who_looks_for_them() -> None:
    async def check() -> None:
        async with (
            served(PlcProgram(plant_of(1)), SteppedClock(START_NS), OPCUA) as (_, settings),
            master(settings) as client,
        ):
            assert len(await client.get_namespace_array()) == 5
            children = {node.nodeid.to_string(): node for node in await client.get_objects_node().get_children()}
            reports, orders = children[settings.reports_node], children[settings.orders_node]
            assert await reports.read_data_type_as_variant_type() == ua.VariantType.UInt16
            assert ua.AccessLevel.CurrentWrite not in await reports.get_access_level()
            assert ua.AccessLevel.CurrentWrite in await orders.get_access_level()

    asyncio.run(check())


def test_a_write_reaches_the_program_when_it_is_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        program = PlcProgram(plant_of(1))
        async with served(program, SteppedClock(START_NS), OPCUA) as (face, settings), master(settings) as client:
            heard: list[bytes] = []
            monkeypatch.setattr(program, "write", lambda block, *_: heard.append(block))
            orders = client.get_node(settings.orders_node)
            wrong = [
                (settings.orders_node, array(WORDS[1:]), BadOutOfRange),
                (settings.orders_node, array(WORDS, ua.VariantType.Int16), BadTypeMismatch),
                (settings.orders_node, ua.DataValue(ua.Variant(7, ua.VariantType.UInt16)), BadOutOfRange),
                (settings.reports_node, array(WORDS), BadUserAccessDenied),
            ]
            for _ in range(2):
                for node, value, error in wrong:
                    with pytest.raises(error):
                        await client.get_node(node).write_attribute(AttributeIds.Value, value)
            assert heard == []
            words = list(range(BLOCK_WORDS))
            await orders.write_attribute(AttributeIds.Value, array(words))
            assert heard == [b"".join(word.to_bytes(2, "big") for word in words)]
            assert await orders.read_value() == words
            assert face.requests > 0

    asyncio.run(check())


def test_a_plc_that_comes_back_on_the_network_is_the_one_that_left() -> None:
    async def check() -> None:
        async with served(PlcProgram(plant_of(1)), SteppedClock(START_NS), OPCUA) as (face, settings):
            for _ in range(3):
                async with master(settings) as client:
                    assert len(await client.get_endpoints()) == 1
                    assert (await client.get_node(settings.reports_node).read_value())[3] == 77
                await face.stop()
                await face.start()

    asyncio.run(check())


def test_a_section_of_the_site_names_port_and_face() -> None:
    settings = OpcUa(host="10.0.0.7")
    assert isinstance(face_of(PlcProgram(plant_of(1)), settings, Clock()), OpcUaFace)
    port = port_of(settings)
    assert isinstance(port, OpcUaPort)
    assert port.name == "opcua 10.0.0.7:4840"


def test_it_stops_though_a_task_of_the_server_takes_its_cancellation_for_anothers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def clean_for_ever(server: BinaryServer) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    monkeypatch.setattr(BinaryServer, "_close_task_loop", clean_for_ever)

    async def check() -> None:
        async with served(PlcProgram(plant_of(1)), SteppedClock(START_NS), OPCUA) as (_, settings):
            pass
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(settings.host, settings.port)

    asyncio.run(asyncio.wait_for(check(), PATIENCE_S))


def test_it_stops_though_a_client_connects_again_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    close = BinaryServer._close_tasks
    came: list[Client] = []

    async def come_back_and_close(server: BinaryServer) -> None:
        """The connections are closed, and the socket is not yet."""
        came.append(Client(f"opc.tcp://{server.hostname}:{server.port}", timeout=1))
        await came[0].connect()
        await close(server)

    async def check() -> None:
        async with served(PlcProgram(plant_of(1)), SteppedClock(START_NS), OPCUA):
            monkeypatch.setattr(BinaryServer, "_close_tasks", come_back_and_close)
        with suppress(ConnectionError, TimeoutError):
            await came[0].disconnect()

    run(check())
    assert came
