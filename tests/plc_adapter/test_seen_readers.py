"""What the log tells of a reader whose framing is wrong: once, with the framing its bytes are of, and no code."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plc_adapter import service
from plc_adapter.scanner.gateway import Gateway
from plc_adapter.scanner.link import Link, Turnstile
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import resolve
from plc_adapter.service import Readers, SeenReader
from sorter.wire.client import Client
from tests.patience import run, until
from tests.system.hubs import free_port

HOST = "127.0.0.1"


class Watched:
    """A reader that sends, its link, and what is told of it."""

    def __init__(self, wire: Client) -> None:
        self.told: list[dict[str, Any]] = []
        self.port = free_port()
        scanner = resolve({"line": "L1", "role": "server", "host": HOST, "port": self.port, "maker": "cognex"})
        self.gateway = Gateway("L1", {"top": scanner}, Tracking(travel_ms=900), wire.post)
        self.link = Link(scanner, self._hear, lambda _came: None, Turnstile())
        self.seen = SeenReader(Readers(self.gateway, {"top": self.link}, wire), self._tell)
        self.writer: asyncio.StreamWriter | None = None

    def _hear(self, telegram: bytes) -> bytes | None:
        return self.gateway.telegram("top", telegram, 0)

    def _tell(self, _level: str, what: str, **more: object) -> None:
        self.told.append({"what": what, **more})

    async def connect(self) -> None:
        await until(lambda: not self.link.peers)
        self.seen.look()
        self.writer = (await asyncio.open_connection(HOST, self.port))[1]
        await until(lambda: self.link.peers == 1)

    async def send(self, data: bytes) -> list[str]:
        """What has been told of bytes once these came, and there were chances enough to tell of them."""
        assert self.writer is not None
        count, telegrams = self.link.unended.count, self.gateway.counts["telegrams"]
        self.writer.write(data)
        await until(lambda: self.link.unended.count != count or self.gateway.counts["telegrams"] != telegrams)
        for _ in range(10):
            await asyncio.sleep(0.02)
            self.seen.look()
        return [one["error"] for one in self.told if "end no telegram" in one["what"]]


@pytest.fixture(name="wire")
def wire_to_nobody(tmp_path: Path) -> Iterator[Client]:
    wire = Client(f"ipc://{tmp_path}/none", role="scanner", client="scanner-L1", line="L1")
    yield wire
    wire.close()


def test_bytes_without_an_end_are_told_once_and_again_when_they_look_different(
    wire: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "UNENDED_S", 0.05)

    async def check() -> None:
        reader = Watched(wire)
        stop = asyncio.Event()
        task = asyncio.create_task(reader.link.run(stop))
        await until(lambda: "nobody has connected" in reader.link.error)
        await reader.connect()
        (first,) = await reader.send(b"\x02JT7310012345678\x03")
        assert first == '17 bytes and no end of framing "crlf"; they look like framing = "stx_etx"'
        assert await reader.send(b"\x02JT7310012345679\x03") == [first]
        assert await reader.send(b"JT7310012345670\r\n") == [first]
        _, cut_off = await reader.send(b"JT73100")
        assert "a telegram broke off" in cut_off
        *before, second = await reader.send(b"12345671\r")
        assert second.endswith('they look like framing = "cr"')
        told = [*before, second]
        assert told == [first, cut_off, second]
        assert reader.writer is not None
        reader.writer.close()
        await reader.connect()
        assert await reader.send(b"JT7310012345672\r") == told
        assert await reader.send(b"JT7310012345673\r\n") == told
        assert await reader.send(b"JT7310012345674\r") == [*told, second]
        reader.writer.close()
        stop.set()
        await task
        assert "7310" not in str(reader.told)

    run(check())
