"""Damaged telegrams of every maker, in memory and over sockets: no crash, bounded memory, and then heard again."""

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plc_adapter.scanner.framing import TELEGRAM_BYTES_MAX
from plc_adapter.scanner.gateway import COMPLAINTS_MAX, Gateway
from plc_adapter.scanner.makers import PRESETS
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.pairing.either_way import EVENTS_MAX, READINGS_MAX
from plc_adapter.scanner.settings import Scanner
from sorter.wire import frames
from sorter.wire.frames import Scan
from tests.hostile import STREAMS, mutated
from tests.patience import run, until
from tests.plc_adapter.scanner.test_link import heard, scanner
from tests.plc_adapter.scanner.test_makers import LINES
from tests.plc_adapter.scanner.test_makers import scanner as reader_of
from tests.system.hubs import free_port

MS = 1_000_000
GOOD = {line.maker: line.stream for line in reversed(LINES) if not line.site and len(line.said) == 1}

seeds = st.integers(0, 2**32 - 1)


def damaged(seed: int, count: int) -> list[bytes]:
    chance = random.Random(seed)
    return [mutated(chance.choice(STREAMS), chance) for _ in range(count)]


class Line:
    """One reader's stream to the scans of its line. An item passes it every 200 ms."""

    def __init__(self, maker: str) -> None:
        self.scans: list[Scan] = []
        self.reader: Scanner = reader_of(maker)
        self.gateway = Gateway("L1", {"top": self.reader}, Tracking(travel_ms=100), self.scans.append)
        self.framer = self.reader.framer()
        self.items = 0
        self.now_ns = 10**18

    def hear(self, data: bytes) -> None:
        self.items += 1
        self.gateway.entered(self.items, self.now_ns, self.now_ns)
        for _ in range(10):
            self.now_ns += 10 * MS
            self.gateway.due(self.now_ns)
        for telegram in [*self.framer.feed(data), *self.framer.idle()]:
            answer = self.gateway.telegram("top", telegram, self.now_ns)
            assert answer is None or len(answer) <= 64
        for _ in range(10):
            self.now_ns += 10 * MS
            self.gateway.due(self.now_ns)

    def silence(self) -> None:
        """A second without anything."""
        self.framer.give_up()
        for _ in range(100):
            self.now_ns += 10 * MS
            self.gateway.due(self.now_ns)


@pytest.mark.parametrize("maker", PRESETS)
@settings(max_examples=40, deadline=None)
@given(seeds)
def test_damaged_streams_give_scans_fit_for_the_wire_in_bounded_memory(maker: str, seed: int) -> None:
    line = Line(maker)
    for data in damaged(seed, 30):
        line.hear(data)
        assert len(line.framer.standing) <= TELEGRAM_BYTES_MAX + 8
        assert len(line.gateway._complaints) <= COMPLAINTS_MAX
        assert len(line.gateway._pairing.events) <= EVENTS_MAX
        assert len(line.gateway._pairing._readings) <= READINGS_MAX  # type: ignore[attr-defined] # of ByOrder
    line.silence()
    items = [scan.item for scan in line.scans]
    assert items == list(range(1, line.items + 1))  # each once, in the order of the belt, read or not
    for scan in line.scans:
        scan.seq = 1
        assert frames.decode(frames.encode(scan)) == [scan]
    assert all(len(news) < 1000 for news in line.gateway.news())


@pytest.mark.parametrize("maker", PRESETS)
@settings(max_examples=20, deadline=None)
@given(seeds)
def test_after_damage_and_a_silence_the_next_parcel_has_its_codes(maker: str, seed: int) -> None:
    line = Line(maker)
    for data in damaged(seed, 10):
        line.hear(data)
    line.silence()
    line.scans.clear()
    line.hear(GOOD[maker])
    line.silence()
    (scan,) = line.scans
    (said,) = next(each.said for each in LINES if each.maker == maker and each.stream == GOOD[maker])
    assert not isinstance(said, str)
    assert scan.codes == list(said.codes)


@pytest.mark.parametrize("maker", PRESETS)
def test_damaged_streams_over_a_socket_and_then_a_good_one(maker: str) -> None:
    async def check() -> None:
        chance = random.Random(maker)
        site: dict[str, Any] = {"maker": maker, "idle_ms": 5}
        async with heard(scanner(free_port(), **site)) as one:
            for _ in range(10):
                _, writer = await one.connected()
                for data in damaged(chance.randrange(1 << 32), 40):
                    writer.write(data)
                    if chance.random() < 0.2:
                        await asyncio.sleep(0)
                writer.transport.abort()
                await until(lambda: not one.link.peers)
            one.telegrams.clear()
            _, writer = await one.connected()
            writer.write(GOOD[maker])
            await until(lambda: bool(one.telegrams))
            assert one.telegrams[0].strip(b"\r\n\x02\x03") == GOOD[maker].strip(b"\r\n\x02\x03")
            writer.transport.abort()
            await until(lambda: not one.link.peers)

    run(check())
