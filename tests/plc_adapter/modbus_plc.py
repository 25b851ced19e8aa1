"""A PLC for tests: a PlcSide behind a real pymodbus server, with the faults a floor knows."""

import asyncio
from collections.abc import Callable
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from plc_adapter.mailbox import BLOCK_WORDS, PlcSide, Told, from_words, to_words
from plc_adapter.settings import Modbus

REPORTS_AT = 0
ORDERS_AT = 100


class ModbusPlc:
    """Serves one PlcSide on a loopback port; not `running` it answers nothing, `stopped` it answers without a scan."""

    def __init__(self, plc: PlcSide, now_ns: Callable[[], int], *, one_request: bool = True) -> None:
        self.plc = plc
        self.told: list[Told] = []
        self.running = asyncio.Event()
        self.running.set()
        self.stopped = False
        self.requests = 0
        self.writes = 0
        self.port = 0
        self._now_ns = now_ns
        self._one_request = one_request
        self._server: ModbusTcpServer | None = None

    @property
    def settings(self) -> Modbus:
        """Its section of site.toml, once it has been started."""
        return Modbus(host="127.0.0.1", port=self.port, reports_at=REPORTS_AT, orders_at=ORDERS_AT)

    async def start(self) -> None:
        """Listen; on the same port as before after a stop."""
        data = [
            SimData(REPORTS_AT, values=[0] * BLOCK_WORDS, datatype=DataType.REGISTERS),
            SimData(ORDERS_AT, values=[0] * BLOCK_WORDS, datatype=DataType.REGISTERS),
        ]
        device = SimDevice(1, simdata=data, action=self._action)
        self._server = ModbusTcpServer(device, address=("127.0.0.1", self.port))
        await self._server.serve_forever(background=True)
        self.port = cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the listener and every connection."""
        assert self._server is not None
        await self._server.shutdown()  # type: ignore[no-untyped-call] # pymodbus gives no type
        self._server = None

    cut, mend = stop, start  # a network that comes back finds the program as it left it

    async def _action(  # noqa: PLR0917 # pymodbus calls it so
        self, function: int, start: int, address: int, count: int, registers: list[int], values: object
    ) -> ExcCodes | None:
        self.requests += 1
        await self.running.wait()
        if function == 23 and not self._one_request:
            return ExcCodes.ILLEGAL_FUNCTION
        if isinstance(values, list):
            self.writes += 1
            if not self.stopped:
                self.told += self.plc.receive(from_words(values), self._now_ns())
        elif not self.stopped and address == REPORTS_AT:
            registers[address - start : address - start + count] = to_words(self.plc.block(self._now_ns() // 1_000_000))
        return None
