"""Emulated readers and the adapter's links on real sockets: what leaves arrives, and what does not is told."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import pytest

from plc_adapter.emulator import reader_face
from plc_adapter.emulator.reader_face import ReaderFace
from plc_adapter.emulator.readers import Heads
from plc_adapter.emulator.reading import Passage
from plc_adapter.scanner import link as linking
from plc_adapter.scanner.link import Link, Turnstile
from plc_adapter.scanner.pairing import Tracking
from plc_adapter.scanner.settings import Scanner, resolve
from plc_adapter.scanner.telegram import Reading, read
from tests.patience import PATIENCE_S, run, until
from tests.system.hubs import free_port

LONG_S: Final = 3600.0  # a cut that ends when it is mended
HOST: Final = "127.0.0.1"
ROLES: Final = ("client", "server")
PARCEL: Final = Passage(10**18, 70_001, 3, 1, 0, ("731001", "731002"), 1250, (300, 200, 100), is_double=False)


def scanner(role: str = "client", **keys: Any) -> Scanner:
    return resolve({"line": "L1", "host": HOST, "port": free_port(), "role": role, **keys})


@pytest.fixture(autouse=True)
def _come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "RETRY_S", 0.01)
    monkeypatch.setattr(reader_face, "RETRY_S", 0.01)


class Adapter:
    """The adapter's side of one reader: its link, and the telegrams that it heard."""

    def __init__(self, settings: Scanner) -> None:
        self.heard: list[bytes] = []
        self.settings = settings
        self.link = Link(settings, self._hear, lambda _came: None, Turnstile())
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.link.run(self.stop))

    def _hear(self, telegram: bytes) -> bytes:
        self.heard.append(telegram)
        return b""

    @property
    def readings(self) -> list[Reading]:
        said = [read(telegram, self.settings) for telegram in self.heard]
        return [each for each in said if isinstance(each, Reading)]


@asynccontextmanager
async def adapters(*settings: Scanner) -> AsyncIterator[list[Adapter]]:
    ends = [Adapter(each) for each in settings]
    try:
        yield ends
    finally:
        for end in ends:
            end.stop.set()
            await end.task


@asynccontextmanager
async def running(face: ReaderFace) -> AsyncIterator[None]:
    task = asyncio.create_task(face.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("role", ROLES)
def test_what_is_said_arrives_and_what_nobody_hears_is_gone(role: str) -> None:
    async def check() -> None:
        settings = scanner(role)
        face = ReaderFace("top", settings)
        async with running(face):
            assert not face.say(b"A\r")
            async with adapters(settings) as (adapter,):
                await until(lambda: face.connected)
                assert face.say(b"B\r")
                await until(lambda: adapter.heard == [b"B"])
            await until(lambda: not face.connected)
            assert not face.say(b"C\r")
            async with adapters(settings) as (adapter,):
                await until(lambda: face.connected)
                assert face.say(b"D\r")
                await until(lambda: adapter.heard == [b"D"])

    run(check())


@pytest.mark.parametrize("role", ROLES)
def test_a_cut_lets_through_what_was_said_before_and_nothing_until_it_is_mended(
    role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "TURN_S", 0.0)

    async def check() -> None:
        settings = scanner(role, maker="keyence", hello="LON\r")
        face = ReaderFace("top", settings)
        async with running(face), adapters(settings) as (adapter,):
            await until(lambda: face.connected)
            said: list[bytes] = []
            while face.say(b"%04000d\r" % len(said)):  # more than the network holds
                said.append(b"%04000d" % len(said))
            face.cut(LONG_S)
            assert not face.say(b"A\r")
            await until(lambda: adapter.link.peers == 0)
            assert [telegram for telegram in adapter.heard if telegram != b"OK,LON"] == said
            if role == "client":
                await until(lambda: "accepts no connection" in adapter.link.error)
            assert not face.connected
            face.mend()
            await until(lambda: face.connected)
            assert face.say(b"B\r")
            await until(lambda: b"B" in adapter.heard)

    run(check())


@pytest.mark.parametrize("role", ROLES)
def test_a_cut_ends_by_itself(role: str) -> None:
    async def check() -> None:
        settings = scanner(role)
        face = ReaderFace("top", settings)
        async with running(face), adapters(settings):
            await until(lambda: face.connected)
            face.cut(0.05)
            assert not face.connected
            await until(lambda: face.connected)

    run(check())


STEPS: Final = range(12)  # of the loop, from one that has begun nothing to one that talks


async def ends(connection: socket.socket) -> None:
    """Wait until the other end has closed it."""
    loop = asyncio.get_running_loop()
    with suppress(ConnectionError):
        while await asyncio.wait_for(loop.sock_recv(connection, 4096), PATIENCE_S):
            pass


@pytest.mark.parametrize("steps", STEPS)
def test_a_reader_that_is_reached_in_the_moment_of_a_cut_lets_nobody_hang(steps: int) -> None:
    async def check() -> None:
        settings = scanner("client")
        face = ReaderFace("top", settings)
        async with running(face), adapters(settings):
            await until(lambda: face.connected)
            with _unblocking(socket.create_connection((HOST, settings.port))) as late:
                for _ in range(steps):
                    await asyncio.sleep(0)
                face.cut(LONG_S)
                await ends(late)
            face.mend()
            await until(lambda: face.connected)

    run(check())


@pytest.mark.parametrize("steps", STEPS)
def test_a_reader_that_reaches_the_adapter_in_the_moment_of_a_cut_comes_back(steps: int) -> None:
    async def check() -> None:
        settings = scanner("server")
        face = ReaderFace("top", settings)
        with _unblocking(socket.create_server((HOST, settings.port))) as listener:
            async with running(face):
                for _ in range(steps):
                    await asyncio.sleep(0)
                face.cut(LONG_S)
                late: list[socket.socket] = []
                with suppress(BlockingIOError):
                    late.append(listener.accept()[0])
                for connection in late:
                    with _unblocking(connection):
                        await ends(connection)
                assert not face.connected
                face.mend()
                await until(lambda: face.connected)
                listener.accept()[0].close()

    run(check())


@pytest.mark.parametrize("role", ROLES)
def test_a_reader_that_is_cut_before_it_begins_begins_when_it_is_mended(role: str) -> None:
    async def check() -> None:
        settings = scanner(role)
        face = ReaderFace("top", settings)
        face.cut(LONG_S)
        async with running(face), adapters(settings) as (adapter,):
            await until(lambda: role == "server" or "accepts no connection" in adapter.link.error)
            for _ in range(50):
                assert not face.connected
                await asyncio.sleep(0.001)
            face.mend()
            await until(lambda: face.connected)

    run(check())


def test_a_command_is_answered_and_hearts_beat_while_somebody_is_connected() -> None:
    async def check() -> None:
        keyence = scanner(maker="keyence", hello="LON\r")
        hikrobot = scanner("server", maker="hikrobot", heartbeat_every_s=0.01)
        faces = [ReaderFace("left", keyence), ReaderFace("right", hikrobot)]
        async with running(faces[0]), running(faces[1]), adapters(keyence, hikrobot) as (left, right):
            await until(lambda: left.heard == [b"OK,LON"])
            await until(lambda: len(right.heard) >= 3)
            assert set(right.heard) == {b'{"type":9000}'}

    run(check())


def test_an_end_that_takes_nothing_costs_no_memory() -> None:
    async def check() -> None:
        settings = scanner("server")
        face = ReaderFace("top", settings)
        with socket.create_server((HOST, settings.port)) as deaf:
            async with running(face):
                peer, _ = await asyncio.get_running_loop().sock_accept(_unblocking(deaf))
                with peer:
                    await until(lambda: face.connected)
                    telegram = b"x" * 4000 + b"\r"
                    said = 0
                    while face.say(telegram):
                        said += 1
                        assert said < 100_000
                        await asyncio.sleep(0)
                    (writer,) = face._peers
                    waiting = writer.transport.get_write_buffer_size()
                    assert waiting < reader_face.UNSENT_BYTES_MAX + len(telegram)

    run(check())


def _unblocking(listener: socket.socket) -> socket.socket:
    listener.setblocking(False)
    return listener


def test_an_address_that_is_not_ours_is_told_with_its_section() -> None:
    async def check() -> None:
        with socket.create_server((HOST, 0)) as taken:
            face = ReaderFace("top", scanner(port=taken.getsockname()[1]))
            with pytest.raises(OSError, match=r"\[scanner.top\] [0-9.:]+ is in use"):
                await face.run()

    run(check())


# ---- several heads -----------------------------------------------------------

ID: Final = {"template": "{id}|{code}"}
DWS: Final = {"maker": "dws", "template": "{id},{code},{weight},{length},{width},{height},{volume},{time}"}


def heads_of(*scanners: Scanner, **keys: Any) -> Heads:
    return Heads({f"head{at}": each for at, each in enumerate(scanners)}, Tracking(travel_ms=1, by="id", **keys))


async def connected(heads: Heads) -> None:
    heads.poll()
    await until(lambda: all(face.connected for face in heads.faces))


def test_each_code_is_seen_by_a_head_and_every_head_speaks_of_every_parcel() -> None:
    async def check() -> None:
        settings = [scanner("client", maker="sick", **ID), scanner("server", **DWS), scanner("client", **ID)]
        heads = heads_of(*settings, id_bits=16)
        async with adapters(*settings) as ends:
            await connected(heads)
            for parcel in range(12):
                codes = PARCEL.codes[: parcel % 3]
                passage = PARCEL._replace(parcel=parcel, item=PARCEL.item + parcel, codes=codes)
                assert sorted(heads.send(passage) or ()) == sorted(codes)
                await until(lambda parcel=parcel: all(len(end.heard) > parcel for end in ends))  # type: ignore[misc] # a default is bound now
                said = [end.readings[parcel] for end in ends]
                assert {code for each in said for code in each.codes} == set(codes)
                assert {each.id for each in said} == {(PARCEL.item + parcel) & 0xFFFF}
                assert [each.weight_g for each in said] == [0, 1250, 0]
                assert [each.size_mm for each in said] == [None, (300, 200, 100), None]
            seen_twice = [len(each.codes) for end in ends for each in end.readings]
            assert 12 < sum(seen_twice) < 24
            assert (heads.weighs, heads.sizes, heads.unacknowledged) == (True, True, 0)
        heads.close()

    run(check())


def test_a_double_reading_is_said_twice_and_one_in_a_cut_never() -> None:
    async def check() -> None:
        settings = [scanner("client", **ID), scanner("server", **ID)]
        heads = heads_of(*settings)
        async with adapters(*settings) as ends:
            await connected(heads)
            assert set(heads.send(PARCEL._replace(is_double=True)) or ()) == set(PARCEL.codes)
            await until(lambda: all(len(end.heard) == 2 for end in ends))
            assert all(end.heard[0] == end.heard[1] for end in ends)
            heads.cut(LONG_S)
            assert heads.send(PARCEL) is None
            heads.mend()
            await connected(heads)
            heads.send(PARCEL)
            await until(lambda: all(len(end.heard) == 3 for end in ends))
        heads.close()
        assert (heads.weighs, heads.sizes) == (False, False)

    run(check())


def test_only_what_heads_say_that_are_heard_has_left() -> None:
    async def check() -> None:
        settings = [scanner("client", **ID), scanner("server", **ID, no_read=[])]
        heads = heads_of(*settings)
        async with adapters(settings[0]) as (end,):
            heads.poll()
            await until(lambda: heads.faces[0].connected)
            left = [heads.send(PARCEL._replace(parcel=parcel, codes=("731001",))) for parcel in range(8)]
            await until(lambda: len(end.heard) == 8)
            assert [reading.codes for reading in end.readings] == left
            assert {len(codes or ()) for codes in left} == {0, 1}
        heads.close()

    run(check())


def test_a_reader_that_cannot_listen_is_told_by_the_line() -> None:
    async def check() -> None:
        with socket.create_server((HOST, 0)) as taken:
            heads = heads_of(scanner(port=taken.getsockname()[1]))
            heads.poll()
            await asyncio.wait(heads._tasks)
            with pytest.raises(OSError, match=r"\[scanner.head0\] [0-9.:]+ is in use"):
                heads.poll()
            heads.close()

    run(check())
