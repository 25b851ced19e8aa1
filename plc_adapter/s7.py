"""The S7 port: one exchange is one write and one read, for S7 has no request that does both.

Each block goes in one PDU (every CPU grants 240 bytes), so none is torn on its way. Figures behind
the settings: snap7's own client waits 5 s for a frozen PLC and is dead for good afterwards. Here
every request has 0.2 s, and a connection that failed is thrown away with whatever may yet arrive
on it; only one whose PLC has plainly said no is kept.
"""

import asyncio
import logging
from typing import Any, Final, NamedTuple, NoReturn

from snap7.async_client import AsyncISOTCPConnection
from snap7.datatypes import S7Area, S7WordLen
from snap7.error import S7ConnectionError, S7Error, S7ProtocolError, S7TimeoutError, get_protocol_error_message
from snap7.s7protocol import S7Protocol, get_return_code_description

from plc_adapter.mailbox import BLOCK_BYTES
from plc_adapter.port import Cause, Garbled, Late, PortError, Refused, Unreachable

TIMEOUT_S: Final = 0.2
PG: Final = 0x0100  # the kind of connection that a programming device has: every CPU keeps one free

_TAKEN: Final = 0xFF
_FORBIDDEN: Final = frozenset({0x03, 0x8104, 0x8703, 0xD0A1, 0xD241})  # 1200 and 1500 without PUT/GET say 0x8104
_NOT_THERE: Final = frozenset({0x05, 0x0A, 0x8404, 0x8701, 0xD209})
_HUNG_UP: Final = (EOFError, BrokenPipeError, ConnectionAbortedError, ConnectionResetError)

logging.getLogger("snap7").setLevel(logging.CRITICAL)  # what it logs as errors is raised here as PortError


class Block(NamedTuple):
    """Where one side's block is, and the settings that say so."""

    side: str
    db: int
    at: int

    def __str__(self) -> str:
        return f"DB{self.db} from byte {self.at}"


class _SaidNo(S7ConnectionError):
    """The PLC answered a request for a connection with a disconnection."""


class _Connection(AsyncISOTCPConnection):
    is_taken = False  # TCP connects: whatever fails from then on is no cable

    async def _iso_connect(self) -> None:
        self.is_taken = True
        await super()._iso_connect()

    def _parse_cotp_cc(self, data: bytes) -> None:
        if data[1:2] == bytes([self.COTP_DR]):
            raise _SaidNo("it disconnects")
        super()._parse_cotp_cc(data)


class S7Port:
    """A Siemens CPU; its blocks are bytes of data blocks that are not optimised.

    `reports_db` and `reports_at` are the number and first byte of the PLC's block, `orders_…` of the host's.
    """

    def __init__(
        self,
        host: str,
        port: int = 102,
        *,
        rack: int = 0,
        slot: int = 1,
        reports_db: int = 100,
        reports_at: int = 0,
        orders_db: int = 101,
        orders_at: int = 0,
    ) -> None:
        self.name = f"s7 {host}:{port}"
        self._host = host
        self._port = port
        self._rack = rack
        self._slot = slot
        self._reports = Block("reports", reports_db, reports_at)
        self._orders = Block("orders", orders_db, orders_at)
        self._protocol = S7Protocol()
        self._connection: _Connection | None = None

    async def connect(self) -> None:
        """Reach the PLC; nothing happens when it is connected already."""
        if self._connection is not None and self._connection.connected:
            return
        await self.close()
        connection = _Connection(self._host, self._port, remote_tsap=PG | self._rack << 5 | self._slot)
        self._connection = connection
        try:
            await connection.connect(TIMEOUT_S)
        except S7Error as error:
            raise self._no_connection(error, is_taken=connection.is_taken) from error
        answer = await self._ask(self._protocol.build_setup_communication_request())
        await self._parse(answer)

    async def exchange(self, out: bytes) -> bytes:
        """Write the host's block, then read the PLC's."""
        block = self._orders
        request = self._protocol.build_write_request(S7Area.DB, block.db, block.at, S7WordLen.BYTE, out)
        response = await self._parse(await self._ask(request), "write", block)
        try:
            self._protocol.check_write_response(response)
        except S7ProtocolError as error:
            await self._garbled(error)
        return await self.read()

    async def read(self) -> bytes:
        """Read the PLC's block and change nothing."""
        block = self._reports
        request = self._protocol.build_read_request(S7Area.DB, block.db, block.at, S7WordLen.BYTE, BLOCK_BYTES)
        response = await self._parse(await self._ask(request), "read", block)
        try:
            return bytes(self._protocol.extract_read_data(response, S7WordLen.BYTE, BLOCK_BYTES))
        except S7ProtocolError as error:
            await self._garbled(error)

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect()

    async def _ask(self, request: bytes) -> bytes:
        """The answer to one request, or nothing of this connection any more."""
        connection = self._connection
        if connection is None or not connection.connected:
            raise Unreachable(f"{self.name} is not connected")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await connection.send_data(request)
                answer = await connection.receive_data()
        except (TimeoutError, S7TimeoutError) as error:
            await self.close()
            raise Late(
                f"{self.name} did not answer within {TIMEOUT_S * 1000:.0f} ms; if it happens again, check the cable, "
                'and raise "Cycle load due to communication" in the CPU\'s properties'
            ) from error
        except S7ConnectionError as error:
            if not isinstance(error.__context__, OSError | EOFError):
                await self._garbled(error)
            await self.close()
            raise Unreachable(f"{self.name} closed the connection", Cause.DROPPED) from error
        if answer[4:6] != request[4:6]:  # both carry the number of the request there
            await self._garbled("the answer belongs to another request")
        return answer

    async def _parse(self, answer: bytes, verb: str = "be set up", block: Block | None = None) -> dict[str, Any]:
        """What an answer says. Raises Refused with the CPU's code when it says no."""
        try:
            response = self._protocol.parse_response(answer)
        except S7ProtocolError as error:
            if error.error_code:
                raise self._refusal(error.error_code, verb, block) from error
            await self._garbled(error)
        code = (response["data"] or {}).get("return_code", _TAKEN)
        if code != _TAKEN:
            raise self._refusal(code, verb, block)
        return response

    async def _garbled(self, what: object) -> NoReturn:
        await self.close()
        raise Garbled(
            f"{self.name} answers, but not as S7 does ({what}); check that host and port are those of the PLC"
        )

    def _no_connection(self, error: S7Error, *, is_taken: bool) -> PortError:
        self._connection = None
        cause = error.__context__
        if isinstance(error, S7TimeoutError) and is_taken:
            return Unreachable(
                f"{self.name} answers TCP but not S7; see whether the port is another service's (S7 has 102), "
                "and start the PLC's network anew if it is the PLC's"
            )
        if isinstance(error, S7TimeoutError):
            return Unreachable(
                f"{self.name} takes no S7 connection within {TIMEOUT_S * 1000:.0f} ms; check its power, its cable, "
                "its address, and that no firewall stands between"
            )
        if isinstance(error, _SaidNo) or isinstance(cause, _HUNG_UP):
            return Refused(
                f"{self.name} hangs up on rack {self._rack}, slot {self._slot}; check both against the hardware "
                "configuration (1200 and 1500: 0 and 1; 300: 0 and 2), and that the CPU has a free connection",
                Cause.RACK_SLOT,
            )
        if isinstance(cause, OSError):
            return Unreachable(
                f"{self.name} accepts no connection ({cause}); check its power, its address and its port"
            )
        return Garbled(
            f"{self.name} answers, but not as S7 does ({error}); check that host and port are those of the PLC"
        )

    def _refusal(self, code: int, verb: str, block: Block | None) -> Refused:
        if block is None:
            return Refused(f"{self.name} refused to {verb}: {_words(code)}; check that it is a CPU and has memory left")
        if code in _FORBIDDEN:
            return Refused(
                f"{self.name} does not permit to {verb} {block} ({_words(code)}); in TIA Portal, CPU properties, "
                '"Protection & Security", tick "Permit access with PUT/GET communication" and give full access; '
                f'take "Optimized block access" off DB{block.db}; then download hardware and program',
                Cause.PROTECTED,
            )
        if code in _NOT_THERE:
            return Refused(
                f"{self.name} has no {BLOCK_BYTES} bytes to {verb} in {block} ({_words(code)}); in TIA Portal "
                f'give DB{block.db} at least {block.at + BLOCK_BYTES} bytes and take "Optimized block access" off it, '
                f"or change {block.side}_db, {block.side}_at or slot ({self._slot}) in site.toml",
                Cause.NO_BLOCK,
            )
        return Refused(f"{self.name} refused to {verb} {block}: {_words(code)}")


def _words(code: int) -> str:
    """Codes of one byte are of an item, those of two of the whole request."""
    if code <= _TAKEN:
        return f"code 0x{code:02X}: {get_return_code_description(code)}"
    return f"code 0x{code:04X}: {get_protocol_error_message(code)}"
