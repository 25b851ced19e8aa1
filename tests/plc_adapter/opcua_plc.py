"""A PLC for tests: a PlcSide behind a real asyncua server, with the faults a floor knows."""

import asyncio
from collections.abc import Callable

from asyncua import ua
from asyncua.common.callback import Callback, CallbackService, CallbackType
from asyncua.common.node import Node
from asyncua.server.address_space import NodeData
from asyncua.server.internal_server import InternalServer
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from asyncua.ua.attribute_ids import AttributeIds

from plc_adapter.emulator.opcua_face import ended
from plc_adapter.mailbox import BLOCK_WORDS, PlcSide, Told, from_words, to_words
from plc_adapter.settings import OpcUa

REPORTS_NODE = "ns=2;s=HubSorter.reports"
ORDERS_NODE = "ns=2;s=HubSorter.orders"

_standard: dict[ua.NodeId, NodeData] = {}


class _QuickServer(InternalServer):
    """Builds the thousands of standard nodes once a process; that takes a second, and no test changes them."""

    async def load_standard_address_space(self, _shelf_file: object = None) -> None:
        if not _standard:
            await super().load_standard_address_space()
            _standard.update(self.aspace._nodes)
        self.aspace._nodes = dict(_standard)


async def new_server(port: int = 0, *, users: UserManager | None = None) -> Server:
    """A server without encryption on a loopback port, not started."""
    server = Server(_QuickServer(users))
    await server.init()
    server.disable_clock()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace("urn:hub-sorter:tests")
    return server


async def add_array(server: Server, node: str, *, count: int = BLOCK_WORDS, kind: str = "UInt16") -> Node:
    """A variable that holds an array of zeros."""
    node_id = ua.NodeId.from_string(node)
    name = ua.QualifiedName(node, node_id.NamespaceIndex)
    return await server.get_objects_node().add_variable(node_id, name, [0] * count, ua.VariantType[kind])


class OpcUaPlc:
    """Serves one PlcSide on a loopback port; not `running` it answers no read and no write."""

    def __init__(self, plc: PlcSide, now_ns: Callable[[], int]) -> None:
        self.plc = plc
        self.told: list[Told] = []
        self.running = asyncio.Event()
        self.running.set()
        self.port = 0
        self.requests: list[str] = []
        self._now_ns = now_ns
        self._server: Server | None = None

    @property
    def server(self) -> Server:
        """The server behind it, once it has been started."""
        assert self._server is not None
        return self._server

    @property
    def settings(self) -> OpcUa:
        """Its section of site.toml, once it has been started."""
        return OpcUa(host="127.0.0.1", port=self.port, reports_node=REPORTS_NODE, orders_node=ORDERS_NODE)

    async def start(self) -> None:
        """Listen."""
        server = await new_server()
        reports, orders = await add_array(server, REPORTS_NODE), await add_array(server, ORDERS_NODE)
        await orders.set_writable()
        server.set_attribute_value_callback(reports.nodeid, self._read)
        server.set_attribute_value_setter(orders.nodeid, self._write)
        for moment in (CallbackType.PreRead, CallbackType.PreWrite):
            server.subscribe_server_callback(moment, self._wait)
        await server.start()
        self._server = server
        assert server.bserver is not None
        self.port = server.bserver.port

    async def stop(self) -> None:
        """Close everything for good."""
        await ended(self.server, self.server.stop())

    async def cut(self) -> None:
        """Close the listener and every connection."""
        assert self.server.bserver is not None
        await ended(self.server, self.server.bserver.stop())

    async def mend(self) -> None:
        """Listen again on the same port."""
        assert self.server.bserver is not None
        await self.server.bserver.start()

    @property
    def sessions(self) -> int:
        """Sessions that hold a place on it."""
        return len(self.server.iserver._external_sessions)

    async def _wait(self, _event: Callback, _service: CallbackService) -> None:
        await self.running.wait()

    def _read(self, _node: ua.NodeId, _attribute: AttributeIds) -> ua.DataValue:
        self.requests.append("read")
        words = to_words(self.plc.block(self._now_ns() // 1_000_000))
        return ua.DataValue(ua.Variant(words, ua.VariantType.UInt16))

    def _write(self, _data: NodeData, _attribute: AttributeIds, value: ua.DataValue) -> None:
        self.requests.append("write")
        assert value.Value is not None
        self.told += self.plc.receive(from_words(value.Value.Value), self._now_ns())
