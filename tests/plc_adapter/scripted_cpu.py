"""An S7 CPU that answers what a test tells it to, packet by packet: for what no good server does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from plc_adapter.mailbox import BLOCK_BYTES

NOTHING = bytes(BLOCK_BYTES)
SETUP, READ, WRITE = b"\xf0", b"\x04", b"\x05"
TAKEN = b"\xff"

Answers = Callable[[bytes], bytes]
"""An S7 request to what a CPU sends back, in packets."""


def packet(payload: bytes) -> bytes:
    return b"\x03\x00" + (len(payload) + 4).to_bytes(2, "big") + payload


CONFIRM = packet(b"\x06\xd0\x00\x01\x00\x01\x00")
DISCONNECT = packet(b"\x06\x80\x00\x01\x00\x01\x00")


def acknowledge(request: bytes, parameters: bytes = b"", data: bytes = b"", error: int = 0) -> bytes:
    lengths = len(parameters).to_bytes(2, "big") + len(data).to_bytes(2, "big")
    head = b"\x32\x03\x00\x00" + request[4:6] + lengths + error.to_bytes(2, "big")
    return packet(b"\x02\xf0\x80" + head + parameters + data)


def block_of(data: bytes, code: bytes = TAKEN) -> bytes:
    return code + b"\x04" + (8 * len(data)).to_bytes(2, "big") + data


def good(request: bytes) -> bytes:
    """What a CPU answers when all is well; its block is of zeros."""
    function = request[10:11]
    if function == SETUP:
        return acknowledge(request, b"\xf0\x00\x00\x01\x00\x01\x00\xf0")
    if function == WRITE:
        return acknowledge(request, WRITE + b"\x01", TAKEN)
    return acknowledge(request, READ + b"\x01", block_of(NOTHING))


def all_but(function: bytes, answers: Answers) -> Answers:
    return lambda request: answers(request) if request[10:11] == function else good(request)


class Cpu:
    """A CPU that answers as it is told to; `requests` are what it was asked, over all its connections."""

    def __init__(self, answers: Answers = good, confirm: bytes = CONFIRM) -> None:
        self.answers = answers
        self.confirm = confirm
        self.connections: list[bytes] = []  # the request that opened each
        self.requests: list[bytes] = []
        self.hangs_up = False  # after each answer, so that nobody waits for the rest of one
        self.tcp_port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.connections.append(await self.packet(reader))
            writer.write(self.confirm)
            while self.confirm:
                request = await self.packet(reader)
                if request[1:2] == b"\x80":
                    break
                self.requests.append(request[3:])
                writer.write(self.answers(request[3:]))
                if self.hangs_up:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def packet(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[2:], "big") - 4)


@asynccontextmanager
async def serving(cpu: Cpu) -> AsyncIterator[Cpu]:
    server = await asyncio.start_server(cpu.serve, "127.0.0.1", 0)
    cpu.tcp_port = server.sockets[0].getsockname()[1]
    try:
        yield cpu
    finally:
        server.close()
        await server.wait_closed()
