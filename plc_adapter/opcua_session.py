"""One OPC UA session with a PLC, by asyncua: opened once, used until it fails, never mended.

What was found out about asyncua 2.1 and decides how it is used here:
- `Client.connect` starts three tasks that poll, renew and log on their own, and one of them ends
  with an error nobody takes. The steps it goes through are public and start none.
- Without those tasks the secure channel runs out; it is renewed before a request, when due. A
  renewal that failed cannot be tried again.
- It asks for sessions of an hour. A PLC grants a handful, and an adapter that died would hold
  one for so long.
- It logs what it also raises, one of them above CRITICAL's neighbours: nothing but off is silent.
- A value is written with a status unless told otherwise, and many PLCs refuse that.
- An answer that comes too late is known by its request's number and dropped. One that comes in the
  very moment is raised with the cancellation, as a kind of CancelledError of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from struct import error as StructError  # noqa: N812 # as exceptions are named
from typing import Final, Self

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes as Codes
from asyncua.ua.status_codes import get_name_and_doc
from asyncua.ua.ua_binary import nodeid_to_binary
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from plc_adapter.mailbox import BLOCK_WORDS, from_words
from plc_adapter.port import Cause, Garbled, Late, PortError, Refused, Unreachable

TIMEOUT_S: Final = 0.2  # for an exchange
OPEN_S: Final = 2.0  # for a connection, and for the session on it: a small PLC takes its time
SESSION_MS: Final = 10_000.0  # how long a PLC keeps a session that nobody uses
RENEWED_AT: Final = 0.75  # of the channel's lifetime

logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)  # what it logs is raised here as PortError

_NO_NODE: Final = {Codes.BadNodeIdUnknown, Codes.BadNodeIdInvalid}
_NO_RIGHT: Final = {
    Codes.BadUserAccessDenied,
    Codes.BadNotReadable,
    Codes.BadNotWritable,
}
_WRONG_SHAPE: Final = {
    Codes.BadTypeMismatch,
    Codes.BadOutOfRange,
    Codes.BadIndexRangeInvalid,
    Codes.BadIndexRangeNoData,
    Codes.BadAttributeIdInvalid,
}
_NO_ROOM: Final = {
    Codes.BadTooManySessions,
    Codes.BadMaxConnectionsReached,
    Codes.BadTcpServerTooBusy,
    Codes.BadTcpNotEnoughResources,
    Codes.BadResourceUnavailable,
    Codes.BadOutOfMemory,
}
_NO_GUESTS: Final = {
    Codes.BadIdentityTokenInvalid,
    Codes.BadIdentityTokenRejected,
    Codes.BadUserAccessDenied,
    Codes.BadSecurityPolicyRejected,
    Codes.BadSecurityChecksFailed,
    Codes.BadSecurityModeRejected,
    Codes.BadSecurityModeInsufficient,
    Codes.BadCertificateInvalid,
    Codes.BadCertificateUntrusted,
}
_TOO_SLOW: Final = {Codes.BadTimeout, Codes.BadRequestTimeout}
_COMPARE: Final = "compare the key with what an OPC UA browser shows, the number after ns= too"
_LET_GUESTS_IN: Final = (
    'on the PLC\'s OPC UA server allow the endpoint "no security" (None) and guest (anonymous) authentication'
)


class Session:
    """Opened by `open`. Every method raises PortError and nothing else; one task at a time."""

    def __init__(self, name: str, client: Client, reports: ua.NodeId, orders: ua.NodeId) -> None:
        self._name = name
        self._client = client
        self._read = ua.ReadParameters(
            TimestampsToReturn=ua.TimestampsToReturn.Neither,
            NodesToRead=[ua.ReadValueId(NodeId=reports, AttributeId=AttributeIds.Value)],
        )
        self._reports = reports
        self._orders = orders
        self._renew_at_s = 0.0
        self._note_lifetime()

    @classmethod
    async def open(cls, name: str, host: str, port: int, nodes: tuple[str, str]) -> Self:
        """Connect, open a channel without encryption and a session on it; `nodes` are (reports, orders)."""
        reports, orders = (
            _node(name, key, text) for key, text in zip(("reports_node", "orders_node"), nodes, strict=True)
        )
        address = f"[{host}]" if ":" in host else host
        client = Client(f"opc.tcp://{address}:{port}", timeout=OPEN_S)
        client.session_timeout = SESSION_MS  # type: ignore[assignment] # a Duration, which is a float
        client.name = client.description = "plc-adapter"
        client.application_uri = "urn:hub-sorter:plc-adapter"
        try:
            await _connect(name, client)
            async with _within(OPEN_S):
                await _introduce(client)
        except asyncio.CancelledError:
            client.disconnect_socket()
            raise
        except Exception as error:  # asyncua lets through whatever its parsing stumbles over
            await _let_go(client, TIMEOUT_S)
            raise _opening_failed(name, error) from error
        return cls(name, client, reports, orders)

    @property
    def alive(self) -> bool:
        """Whether it can be used again; False once the PLC has closed it, or an answer was beyond understanding."""
        return self._client.state is UaClientState.CONNECTED

    async def exchange(self, words: list[int]) -> bytes:
        """Write the host's block of BLOCK_WORDS words, then read the PLC's."""
        return await self._in_time(lambda: self._write_and_read(words))

    async def read(self) -> bytes:
        """The PLC's block."""
        return await self._in_time(self._read_block)

    async def close(self) -> None:
        """Close it, for as long as an exchange may take."""
        await _let_go(self._client, TIMEOUT_S)

    async def give_up(self) -> None:
        """Ask the PLC to close it, and wait for no answer."""
        await _let_go(self._client, 0)

    async def _write_and_read(self, words: list[int]) -> bytes:
        value = ua.DataValue(ua.Variant(words, ua.VariantType.UInt16, is_array=True), StatusCode=None)
        write = ua.WriteValue(NodeId=self._orders, AttributeId=AttributeIds.Value, Value=value)
        (status,) = await self._client.uaclient.session.write(ua.WriteParameters(NodesToWrite=[write]))
        if not status.is_good():
            raise self._refusal("write", "orders_node", self._orders, status.value)
        return await self._read_block()

    async def _read_block(self) -> bytes:
        (answer,) = await self._client.uaclient.session.read(self._read)
        if answer.StatusCode is not None and answer.StatusCode.is_bad():
            raise self._refusal("read", "reports_node", self._reports, answer.StatusCode.value)
        value = answer.Value or ua.Variant()
        words = value.Value if value.is_array and value.VariantType is ua.VariantType.UInt16 else None
        if words is None or len(words) != BLOCK_WORDS:
            raise Garbled(
                f"{self._name}: reports_node {self._reports.to_string()} holds {_shape(value)}; "
                f"a mailbox is an array of {BLOCK_WORDS} UInt16",
                Cause.SHAPE,
            )
        return from_words(words)

    async def _in_time(self, request: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            async with _within(TIMEOUT_S):
                await self._renew()
                return await request()
        except PortError:
            raise
        except TimeoutError as error:
            raise Late(
                f"{self._name} did not answer within {TIMEOUT_S * 1000:.0f} ms; does its program run, "
                "and has its OPC UA server time enough?"
            ) from error
        except OSError as error:
            raise Unreachable(f"{self._name} closed the connection", Cause.DROPPED) from error
        except UaStatusCodeError as error:
            raise self._fault(error) from error
        except Exception as error:  # asyncua lets through whatever its parsing stumbles over
            self._client.disconnect_socket()
            raise Garbled(f"{self._name} gave an answer that is no OPC UA: {error}") from error

    async def _renew(self) -> None:
        if asyncio.get_running_loop().time() < self._renew_at_s:
            return
        try:
            await self._client.open_secure_channel(renew=True)
        except BaseException:
            self._client.disconnect_socket()
            raise
        self._note_lifetime()

    def _note_lifetime(self) -> None:
        lifetime_s = self._client.secure_channel_timeout / 1000
        self._renew_at_s = asyncio.get_running_loop().time() + RENEWED_AT * lifetime_s

    def _fault(self, error: UaStatusCodeError) -> PortError:
        """The whole request was refused, which no use of this session will cure."""
        if error.code in _TOO_SLOW:
            return Late(f"{self._name} took too long by its own account ({_word(error.code)})")
        self._client.disconnect_socket()
        return Unreachable(f"{self._name} ended the session ({_word(error.code)})", Cause.DROPPED)

    def _refusal(self, what: str, key: str, node: ua.NodeId, code: int) -> Refused:
        cause, cure = _known(what, code)
        return Refused(f"{self._name} refused to {what} {key} {node.to_string()} ({_word(code)}); {cure}", cause)


def _known(what: str, code: int) -> tuple[Cause | None, str]:
    """Why a variable cannot be read or written, and what to do."""
    right = "writable" if what == "write" else "accessible"
    if code in _NO_NODE:
        return Cause.NO_BLOCK, f"there is no such variable: {_COMPARE}, and make the variable {right} from OPC UA"
    if code in _NO_RIGHT:  # which is also what some say of a variable that is not there
        return Cause.PROTECTED, f"make the variable {right} from OPC UA, for guests (anonymous) too; else {_COMPARE}"
    if code in _WRONG_SHAPE:
        return Cause.SHAPE, f"make the variable an array of {BLOCK_WORDS} UInt16 (UINT or WORD in the PLC's program)"
    return None, "look the code up in the manual of the PLC's OPC UA server"


async def _connect(name: str, client: Client) -> None:
    try:
        await client.connect_socket()
    except OSError as error:  # which a timeout is
        raise Unreachable(
            f"{name} accepts no connection; check its power, its address and port, and that its OPC UA server is on"
        ) from error


async def _introduce(client: Client) -> None:
    await client.send_hello()
    await client.open_secure_channel()
    await client.create_session()
    await client.activate_session()


def _opening_failed(name: str, error: Exception) -> PortError:
    if isinstance(error, PortError):
        return error
    if isinstance(error, TimeoutError):
        return Late(
            f"{name} accepts a connection, but opened no session within {OPEN_S:.0f} s; is this port its OPC UA server?"
        )
    if isinstance(error, OSError):
        return Unreachable(
            f"{name} closed the connection before there was a session; is this port its OPC UA server?", Cause.DROPPED
        )
    if isinstance(error, UaStatusCodeError):
        return _not_let_in(name, error.code)
    if type(error) is UaError:  # so asyncua says that none of the endpoints shown is without encryption
        return Refused(f"{name} lets nobody in without encryption ({error}); {_LET_GUESTS_IN}", Cause.SECURITY)
    return Garbled(f"{name} gave an answer that is no OPC UA: {error}")


def _not_let_in(name: str, code: int) -> PortError:
    if code in _NO_GUESTS:
        return Refused(f"{name} lets no guest in ({_word(code)}); {_LET_GUESTS_IN}", Cause.SECURITY)
    if code in _NO_ROOM:
        return Refused(
            f"{name} has no session free ({_word(code)}); close other OPC UA clients, "
            "or allow more sessions on the PLC",
            Cause.BUSY,
        )
    return Refused(f"{name} opened no session ({_word(code)}); look the code up in the manual of its OPC UA server")


@contextlib.asynccontextmanager
async def _within(wait_s: float) -> AsyncIterator[None]:
    """Raises TimeoutError when it takes longer."""
    async with asyncio.timeout(wait_s):
        try:
            yield
        except asyncio.CancelledError as error:
            raise asyncio.CancelledError from error  # itself: asyncio.timeout does not know a kind of it for its own


async def _let_go(client: Client, wait_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with _within(wait_s):
            await client.disconnect()
    client.disconnect_socket()


def _node(name: str, key: str, text: str) -> ua.NodeId:
    try:
        node = ua.NodeId.from_string(text)
        nodeid_to_binary(node)
    except (UaError, StructError, ValueError) as error:
        raise Refused(
            f'{name}: {key} "{text}" is not a node; write one such as ns=4;s=HubSorter.reports', Cause.NO_BLOCK
        ) from error
    return node


def _shape(value: ua.Variant) -> str:
    kind = value.VariantType.name
    return f"an array of {len(value.Value or ())} {kind}" if value.is_array else f"one {kind}"


def _word(code: int) -> str:
    return str(get_name_and_doc(code)[0])
