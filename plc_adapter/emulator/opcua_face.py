"""A PLC program as a real OPC UA server: its mailbox is two variables, read and written by anybody.

The program is asked anew for each read and hears of each write; nothing is kept in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from asyncua import ua
from asyncua.common.callback import Callback, CallbackService, CallbackType, ServerItemCallback
from asyncua.server.address_space import NodeData
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import BadOutOfRange

from plc_adapter.emulator.face import NetworkFace
from plc_adapter.mailbox import BLOCK_WORDS, from_words, to_words
from plc_adapter.settings import OpcUa

MUTE_LOOK_S: Final = 0.01  # between looks whether a PLC that is mute answers again
STOP_LOOK_S: Final = 0.1  # between looks whether a server has stopped

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # a client's mistakes are the client's to tell


async def ended(server: Server, stop: Coroutine[Any, Any, None]) -> None:
    """Carry out `stop`, which stops the server or its socket.

    It would wait without end in two ways (asyncua 2.1.0), so both are looked for until it has ended: for a task
    of the server that takes the one cancellation it gets for that of a connection which is just being closed,
    and for a client that has connected again after the connections were closed, but before the socket was.
    """
    stopping = asyncio.create_task(stop)
    while not stopping.done():
        await asyncio.wait({stopping}, timeout=STOP_LOOK_S)
        if server.bserver is not None and server.bserver.cleanup_task is not None:
            server.bserver.cleanup_task.cancel()
        for transport in server.iserver.asyncio_transports:
            transport.close()
    stopping.result()


class OpcUaFace(NetworkFace[OpcUa]):
    """Serves one line's PLC at the address that site.toml gives for it, to anybody and without encryption."""

    _server: Server | None = None

    async def start(self) -> None:
        """Listen. Raises OSError, with what to write, where it cannot be."""
        server = self._server or await self._new_server()
        try:
            # Its thousands of standard nodes take a second of the belts' loop, so they are made once.
            await (server.start() if server.bserver is None else server.bserver.start())
        except OSError as error:
            raise self._refused() from error
        self._server = server

    async def stop(self) -> None:
        """Close the socket and its connections."""
        if self._server is not None:
            await ended(self._server, self._server.stop())

    async def _new_server(self) -> Server:
        server = Server()
        await server.init()
        server.disable_clock()  # a task of its own for the time of day, which stopping would wait for
        server.set_endpoint(f"opc.tcp://{self._settings.host}:{self._settings.port}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        await self._add_blocks(server)
        for moment in (CallbackType.PreRead, CallbackType.PreWrite):
            server.subscribe_server_callback(moment, self._wait)
        return server

    async def _add_blocks(self, server: Server) -> None:
        reports, orders = (
            ua.NodeId.from_string(text) for text in (self._settings.reports_node, self._settings.orders_node)
        )
        for index in range(2, max(reports.NamespaceIndex, orders.NamespaceIndex) + 1):
            await server.register_namespace(f"urn:hub-sorter:emulator:{index}")
        for node, name in ((reports, "reports"), (orders, "orders")):
            browse_name = ua.QualifiedName(name, node.NamespaceIndex)
            variable = await server.get_objects_node().add_variable(
                node, browse_name, [0] * BLOCK_WORDS, ua.VariantType.UInt16
            )
            if node is orders:
                await variable.set_writable()
        server.set_attribute_value_callback(reports, self._answer)
        server.set_attribute_value_setter(orders, self._take)

    async def _wait(self, event: Callback, _service: CallbackService) -> None:
        """Called by asyncua before each read and write; it cannot be told to answer nothing."""
        assert isinstance(event, ServerItemCallback)
        while event.is_external and not await self._program.network.answers():  # noqa: ASYNC110 # a moment, no event
            await asyncio.sleep(MUTE_LOOK_S)

    def _answer(self, _node: ua.NodeId, _attribute: AttributeIds) -> ua.DataValue:
        """Called by asyncua for each value of `reports` it answers."""
        return ua.DataValue(ua.Variant(to_words(self._read()), ua.VariantType.UInt16, is_array=True))

    def _take(self, data: NodeData, attribute: AttributeIds, value: ua.DataValue) -> None:
        """Called by asyncua for each value of `orders`, when it is of the right type."""
        written = None if value.Value is None else value.Value.Value
        if not isinstance(written, list) or len(written) != BLOCK_WORDS:
            raise BadOutOfRange
        self._write(from_words(written))
        data.attributes[attribute].value = value
