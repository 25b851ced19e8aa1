"""The Modbus TCP port: one exchange is one request where the PLC knows function 23, else a write and a read.

Figures behind the settings: with pymodbus's defaults a frozen PLC blocks the caller for 12 s;
with a timeout of 0.2 s and no retries it is noticed at once. A client is thrown away with its
connection: pymodbus's own reconnect waits up to 300 s, and a second `connect` beside it would
hold two of the few connections a PLC grants.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu import ModbusPDU

from plc_adapter.mailbox import BLOCK_WORDS, from_words, to_words
from plc_adapter.port import Cause, Late, PortError, Refused, Unreachable

TIMEOUT_S: Final = 0.2
LATES_MAX: Final = 2  # so many in a row, and the connection is made anew: it may be half open

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # what it logs as errors is raised here as PortError


class ModbusPort:
    """A PLC that answers Modbus TCP; its blocks are holding registers, addressed from 0.

    `reports_at` is the first register of the PLC's block, `orders_at` of the host's.
    """

    def __init__(self, host: str, port: int, *, unit: int = 1, reports_at: int = 0, orders_at: int = 100) -> None:
        self.name = f"modbus {host}:{port}"
        self._host = host
        self._port = port
        self._unit = unit
        self._reports_at = reports_at
        self._orders_at = orders_at
        self._client: AsyncModbusTcpClient | None = None
        self._one_request = True
        self._lates = 0

    async def connect(self) -> None:
        """Reach the PLC; nothing happens when it is connected already."""
        if self._client is not None and self._client.connected:
            return
        await self.close()
        client = AsyncModbusTcpClient(self._host, port=self._port, timeout=TIMEOUT_S, retries=0, reconnect_delay=0)
        if not await client.connect():
            client.close()
            raise Unreachable(
                f"{self.name} accepts no connection; check its power, its address, and that it has a free connection"
            )
        self._client = client
        self._one_request = True
        self._lates = 0

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's, in one request where the PLC can."""
        words = to_words(out)
        if self._one_request:
            answer = await self._ask(lambda client: self._write_and_read(client, words))
            if not _unknown_function(answer):
                return self._block(answer, "write and read")
            self._one_request = False
        answer = await self._ask(lambda client: client.write_registers(self._orders_at, words, device_id=self._unit))
        if answer.isError():
            raise self._refusal(answer, "write", self._orders_at)
        return await self.read()

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing."""
        answer = await self._ask(
            lambda client: client.read_holding_registers(self._reports_at, count=BLOCK_WORDS, device_id=self._unit)
        )
        return self._block(answer, "read")

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _write_and_read(self, client: AsyncModbusTcpClient, words: list[int]) -> Awaitable[ModbusPDU]:
        return client.readwrite_registers(
            read_address=self._reports_at,
            read_count=BLOCK_WORDS,
            write_address=self._orders_at,
            values=words,
            device_id=self._unit,
        )

    async def _ask(self, request: Callable[[AsyncModbusTcpClient], Awaitable[ModbusPDU]]) -> ModbusPDU:
        client = self._client
        if client is None:
            raise Unreachable(f"{self.name} is not connected")
        try:
            answer = await request(client)  # raises before it can be awaited when the connection is gone
        except ConnectionException as error:
            await self.close()
            raise Unreachable(f"{self.name} closed the connection", Cause.DROPPED) from error
        except ModbusIOException as error:
            raise await self._silence(client) from error
        except ModbusException as error:
            raise Refused(f"{self.name}: {error}") from error
        self._lates = 0
        return answer

    async def _silence(self, client: AsyncModbusTcpClient) -> PortError:
        self._lates += 1
        connected = client.connected
        if not connected or self._lates >= LATES_MAX:
            await self.close()
        if not connected:
            return Unreachable(f"{self.name} closed the connection", Cause.DROPPED)
        return Late(f"{self.name} did not answer within {TIMEOUT_S * 1000:.0f} ms; is its program running?")

    def _block(self, answer: ModbusPDU, what: str) -> bytes:
        if answer.isError():
            raise self._refusal(answer, what, self._reports_at)
        return from_words(answer.registers)

    def _refusal(self, answer: ModbusPDU, what: str, address: int) -> Refused:
        code = getattr(answer, "exception_code", 0)
        if code in (ExcCodes.ILLEGAL_ADDRESS, ExcCodes.ILLEGAL_VALUE):
            return Refused(
                f"{self.name} has no {BLOCK_WORDS} holding registers to {what} at {address} (exception {code}); "
                "check reports_at and orders_at against the PLC's program, which may count from 1",
                Cause.NO_BLOCK,
            )
        return Refused(
            f"{self.name} refused to {what} at register {address} of unit {self._unit}: exception {code}", Cause.UNIT
        )


def _unknown_function(answer: ModbusPDU) -> bool:
    return answer.isError() and getattr(answer, "exception_code", 0) == ExcCodes.ILLEGAL_FUNCTION
