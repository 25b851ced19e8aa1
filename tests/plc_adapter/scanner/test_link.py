"""Connections on real sockets, in both roles: readers come and go, strangers send anything, and telegrams arrive."""

import asyncio
import contextlib
import errno
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from plc_adapter.scanner import link as linking
from plc_adapter.scanner.framing import TELEGRAM_BYTES_MAX, Framer
from plc_adapter.scanner.link import PIECE_BYTES, SERVED_MAX, STRANGE, Link, Turnstile
from plc_adapter.scanner.makers import PRESETS
from plc_adapter.scanner.settings import Scanner, resolve
from tests.patience import PATIENCE_S, run, until
from tests.system.hubs import free_port

HOST: Final = "127.0.0.1"
LONG_BYTES: Final = 1 << 20

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def scanner(port: int, role: str = "server", **site: Any) -> Scanner:
    return resolve({"line": "L1", "host": HOST, "port": port, "role": role, **site})


class Heard:
    """A link that runs, and what it heard."""

    def __init__(self, settings: Scanner, turnstile: Turnstile | None = None) -> None:
        self.telegrams: list[bytes] = []
        self.changes: list[bool] = []
        self.raw = bytearray()
        self.held: list[float] = []
        self.link = Link(
            settings,
            self._hear,
            self.changes.append,
            turnstile or Turnstile(),
            held=self.held.append,
            raw=self.raw.extend,
        )
        self.stop = asyncio.Event()
        self.port = settings.port
        self.task = asyncio.create_task(self.link.run(self.stop))

    def _hear(self, telegram: bytes) -> bytes | None:
        self.telegrams.append(telegram)
        if telegram.startswith(b"?"):
            return None
        return {b"HB": b"ACK\r", b"LONG": b"x" * LONG_BYTES}.get(telegram, b"")

    async def has(self, *telegrams: bytes) -> None:
        await until(lambda: len(self.telegrams) >= len(telegrams))
        assert self.telegrams == list(telegrams)

    async def listening(self) -> None:
        await until(lambda: "nobody has connected" in self.link.error)

    async def connected(self) -> Ends:
        """A connection that the link has taken on."""
        before = self.link.peers + self.link.turned_away
        ends = await asyncio.open_connection(HOST, self.port)
        await until(lambda: self.link.peers + self.link.turned_away > before)
        return ends


@asynccontextmanager
async def heard(settings: Scanner, turnstile: Turnstile | None = None) -> AsyncIterator[Heard]:
    one = Heard(settings, turnstile)
    try:
        if settings.role == "server":
            await one.listening()
        yield one
    finally:
        one.stop.set()
        await one.task


class Reader:
    """A reader that waits to be connected to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.ends: list[Ends] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(lambda *ends: self.ends.append(ends), HOST, self.port)

    async def met(self) -> Ends:
        await until(lambda: bool(self.ends))
        return self.ends[-1]

    def hang_up(self) -> None:
        while self.ends:
            self.ends.pop()[1].transport.abort()

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()


async def closed(ends: Ends) -> bytes:
    """What still comes to this end until the other closes it; closes this one."""
    rest = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := await asyncio.wait_for(ends[0].read(1 << 16), PATIENCE_S):
            rest += data
    ends[1].transport.abort()
    return bytes(rest)


# ---- both roles --------------------------------------------------------------


def test_a_reader_that_we_connect_to_goes_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "RETRY_S", 0.01)

    async def check() -> None:
        reader = Reader()
        async with heard(scanner(reader.port, "client")) as one:
            await until(lambda: "accepts no connection" in one.link.error)
            assert f"{HOST}:{reader.port} accepts" in one.link.error
            await reader.start()
            (await reader.met())[1].write(b"A\r")
            await one.has(b"A")
            assert (one.link.error, one.link.peers, one.changes) == ("", 1, [True])
            reader.stop()
            await until(lambda: one.changes == [True, False])
            assert one.link.error
            await reader.start()
            (await reader.met())[1].write(b"B\r")
            await one.has(b"A", b"B")
            assert one.changes == [True, False, True]
            assert bytes(one.raw) == b"A\rB\r"
        reader.stop()

    run(check())


def test_a_reader_that_connects_to_us_goes_and_comes_again() -> None:
    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            for times, telegram in enumerate((b"A", b"B", b"C"), start=1):
                _, writer = await one.connected()
                assert (one.link.error, one.link.peers) == ("", 1)
                writer.write(telegram + b"\r")
                await until(lambda goal=times: len(one.telegrams) == goal)  # type: ignore[misc] # a default is bound now
                writer.close()
                await until(lambda: not one.link.peers)
                assert one.link.error == "the reader closed the connection"
            assert one.telegrams == [b"A", b"B", b"C"]
            assert one.changes == [True, False] * 3

    run(check())


def test_half_a_telegram_is_dropped_with_its_connection() -> None:
    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            _, writer = await one.connected()
            writer.write(b"7310")
            await until(lambda: bytes(one.raw) == b"7310")
            writer.close()
            await until(lambda: not one.link.peers)
            assert (one.link.dropped_bytes, one.link.resyncs) == (4, 1)
            _, writer = await one.connected()
            writer.write(b"5678\r")
            await one.has(b"5678")
            writer.close()

    run(check())


def test_a_telegram_in_single_bytes_is_whole() -> None:
    async def check() -> None:
        async with heard(scanner(free_port(), framing="stx_etx", idle_ms=1)) as one:
            _, writer = await one.connected()
            sent = b"\x02731001\x03"
            for at in range(len(sent)):
                writer.write(sent[at : at + 1])
                await until(lambda goal=at + 1: len(one.raw) == goal)  # type: ignore[misc] # a default is bound now
            await one.has(b"731001")
            writer.close()

    run(check())


def test_a_silence_ends_a_telegram_where_the_site_says_so() -> None:
    async def check() -> None:
        async with heard(scanner(free_port(), framing="idle", idle_ms=20)) as one:
            _, writer = await one.connected()
            for times, telegram in enumerate((b"A", b"B"), start=1):
                writer.write(telegram)
                await until(lambda goal=times: len(one.telegrams) == goal)  # type: ignore[misc] # a default is bound now
            assert one.telegrams == [b"A", b"B"]
            writer.close()

    run(check())


def test_a_telegram_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "STALE_S", 0.05)
    given_up: list[bytes] = []
    give_up = Framer.give_up

    def note(framer: Framer) -> None:
        given_up.append(framer.standing)
        give_up(framer)

    monkeypatch.setattr(Framer, "give_up", note)

    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            _, writer = await one.connected()
            writer.write(b"half")
            await until(lambda: given_up == [b"half"])
            writer.write(b"A\r")
            await one.has(b"A")
            writer.close()

    run(check())


# ---- what we say -------------------------------------------------------------


def test_we_say_hello_answer_and_say_goodbye() -> None:
    async def check() -> None:
        async with heard(scanner(free_port(), hello="LON\r", goodbye="LOFF\r")) as one:
            reader, writer = await one.connected()
            assert await reader.readexactly(4) == b"LON\r"
            writer.write(b"HB\rA\r")
            assert await reader.readexactly(4) == b"ACK\r"
            one.stop.set()
            assert await closed((reader, writer)) == b"LOFF\r"
            await one.task

    run(check())


def test_we_send_heartbeats_by_ourselves() -> None:
    async def check() -> None:
        settings = scanner(free_port(), heartbeat_send="HB\r", heartbeat_every_s=0.01)
        async with heard(settings) as one:
            reader, writer = await one.connected()
            assert await asyncio.wait_for(reader.readexactly(9), PATIENCE_S) == b"HB\rHB\rHB\r"
            writer.close()
            await until(lambda: not one.link.peers)

    run(check())


def test_a_reader_that_takes_nothing_is_heard_all_the_same() -> None:
    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            raw.setblocking(False)
            await asyncio.get_running_loop().sock_connect(raw, (HOST, one.port))
            await asyncio.get_running_loop().sock_sendall(raw, b"LONG\r" * 100)  # answers beyond what any system queues
            await asyncio.get_running_loop().sock_sendall(raw, b"A\r")
            await until(lambda: one.telegrams[-1:] == [b"A"])
            assert len(one.telegrams) == 101
            (writer,) = one.link._peers
            assert 0 < writer.transport.get_write_buffer_size() <= 2 * LONG_BYTES
            raw.close()

    run(check())


# ---- bad input ---------------------------------------------------------------


@pytest.mark.parametrize("maker", ["generic", "sick", "cognex", "dws", "honeywell"])
def test_after_a_megabyte_the_same_connection_is_heard_again(maker: str) -> None:
    async def check() -> None:
        async with heard(scanner(free_port(), maker=maker, idle_ms=300)) as one:
            _, writer = await one.connected()
            writer.write(b"\x02" + b"7" * (1 << 20))
            await until(lambda: len(one.raw) > 1 << 20)
            assert one.telegrams == []
            deadline = time.monotonic() + PATIENCE_S
            while not one.telegrams:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.7 if maker == "honeywell" else 0.05)
                writer.write(b"\x02A\x03" if maker == "sick" else b"A\r\n")
            assert len(one.telegrams[0]) < TELEGRAM_BYTES_MAX
            writer.close()
            await until(lambda: not one.link.peers)
            assert one.link.resyncs >= 1
            assert one.link.dropped_bytes >= 1 << 20

    run(check())


def test_after_a_megabyte_of_braces_and_a_silence_json_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linking, "STALE_S", 0.2)

    async def check() -> None:
        async with heard(scanner(free_port(), maker="hikrobot")) as one:
            _, writer = await one.connected()
            writer.write(b"{" * (1 << 20))
            await until(lambda: len(one.raw) == 1 << 20)
            deadline = time.monotonic() + PATIENCE_S
            while not one.telegrams:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
                writer.write(b'{"type":1}')
            writer.close()

    run(check())


@pytest.mark.parametrize("maker", PRESETS)
def test_after_random_bytes_a_new_connection_is_understood(maker: str) -> None:
    good = {"sick": b"\x02731001\x03", "hikrobot": b'{"code":["A"]}', "dws_json": b'{"barcode":"A"}'}

    async def check() -> None:
        chance = random.Random(maker)
        async with heard(scanner(free_port(), maker=maker, idle_ms=5)) as one:
            for _ in range(20):
                _, writer = await one.connected()
                for _ in range(chance.randrange(1, 20)):
                    writer.write(chance.randbytes(chance.randrange(1, 5000)))
                    await asyncio.sleep(0)
                if chance.random() < 0.5:
                    writer.transport.abort()
                else:
                    writer.close()
                await until(lambda: not one.link.peers)
            one.telegrams.clear()
            _, writer = await one.connected()
            sent = good.get(maker, b"731001\r\n")
            writer.write(sent)
            await until(lambda: bool(one.telegrams))
            assert one.telegrams[0].strip(b"\r\n") == sent.strip(b"\r\n\x02\x03")
            writer.close()

    run(check())


def test_of_hundreds_of_connections_the_newest_are_served_and_a_reader_that_spoke_stays() -> None:
    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            reader = await one.connected()
            reader[1].write(b"A\r")
            await one.has(b"A")
            strangers: list[Ends] = []
            for total in range(50, 301, 50):  # the system's own queue holds a hundred
                strangers += await asyncio.gather(*(asyncio.open_connection(HOST, one.port) for _ in range(50)))
                await until(lambda goal=1 + total: one.link.peers + one.link.turned_away == goal)  # type: ignore[misc] # a default is bound now
                assert one.link.peers == SERVED_MAX
            reader[1].write(b"B\r")
            await one.has(b"A", b"B")
            open_ = [ends for ends in strangers if not await at_end(ends)]
            assert len(open_) == SERVED_MAX - 1
            for ends in strangers:
                ends[1].transport.abort()
            await until(lambda: one.link.peers == 1)
            assert one.changes == [True]
            reader[1].close()
            await until(lambda: one.changes == [True, False])

    run(check())


async def at_end(ends: Ends) -> bool:
    """Whether the other end has closed it; those that are closed by the link are so at once."""
    try:
        return not await asyncio.wait_for(ends[0].read(1), 0.2)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_reader_gets_in_where_dead_connections_hold_every_place() -> None:
    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            dead = []
            for number in range(SERVED_MAX):  # the first was heard last, so the second has been silent longest
                dead.append(await one.connected())
                dead[-1][1].write(b"%d\r" % number)
                await until(lambda goal=number + 1: len(one.telegrams) == goal)  # type: ignore[misc] # a default is bound now
            dead[0][1].write(b"again\r")
            await until(lambda: one.telegrams[-1] == b"again")
            _, writer = await one.connected()
            assert await closed(dead.pop(1)) == b""
            assert (one.link.peers, one.link.turned_away) == (SERVED_MAX, 1)
            writer.write(b"A\r")
            await until(lambda: one.telegrams[-1] == b"A")
            for ends in dead:
                assert not await at_end(ends)
                ends[1].transport.abort()
            writer.close()

    run(check())


def test_a_flood_on_one_link_does_not_stop_anothers_telegram() -> None:
    """Both links share one loop, and the flood does not end before the other's telegram is heard."""

    async def pour(flood: asyncio.StreamWriter) -> None:
        while True:
            flood.write(b"X\r" * 50_000)
            await flood.drain()

    async def check() -> None:
        async with heard(scanner(free_port())) as flooded, heard(scanner(free_port())) as calm:
            _, flood = await flooded.connected()
            _, writer = await calm.connected()
            pouring = asyncio.create_task(pour(flood))
            await until(lambda: len(flooded.telegrams) > 1000)
            writer.write(b"A\r")
            await calm.has(b"A")
            assert not pouring.done()
            pouring.cancel()
            flood.transport.abort()
            writer.close()

    run(check())


def test_a_piece_of_a_flood_gives_way_after_each_telegram() -> None:
    async def check() -> None:
        async with heard(scanner(free_port())) as one:
            _, writer = await one.connected()
            writer.write(b"X\r" * 1000)
            seen = set()
            while len(one.telegrams) < 1000:
                seen.add(len(one.telegrams))
                await asyncio.sleep(0)
            assert len(seen) > 500
            writer.close()

    run(check())


# ---- turns ---------------------------------------------------------------------------------


class Gate(Turnstile):
    """Lets through one wait after another as it is told to, and knows how many want to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0
        self._open = asyncio.Semaphore(0)

    async def wait(self) -> float:
        self.waits += 1
        await self._open.acquire()
        return 0.25

    def let(self, waits: int = 1) -> None:
        for _ in range(waits):
            self._open.release()


def test_who_is_new_waits_for_a_turn_and_who_is_understood_waits_no_more() -> None:
    async def check() -> None:
        gate = Gate()
        async with heard(scanner(free_port()), gate) as one:
            _, writer = await one.connected()
            writer.write(b"A\r")
            await until(lambda: gate.waits == 1)
            assert not one.telegrams
            gate.let()
            await one.has(b"A")
            for number in range(20):
                writer.write(b"%d\r" % number)
                await until(lambda goal=number + 2: len(one.telegrams) == goal)  # type: ignore[misc] # a default is bound now
            assert gate.waits == 1
            writer.close()

    run(check())


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({}, b"?\r" * STRANGE),
        ({}, b"X" * PIECE_BYTES),
        ({"maker": "sick"}, b"\x02cut" * STRANGE + b"\x02731001\x03"),
    ],
    ids=["not-understood", "too-much", "broken"],
)
def test_who_sends_what_no_reader_sends_waits_for_a_turn_again(settings: dict[str, Any], sent: bytes) -> None:
    async def check() -> None:
        gate = Gate()
        async with heard(scanner(free_port(), **settings), gate) as one:
            _, writer = await one.connected()
            gate.let()
            writer.write(sent)
            await until(lambda: gate.waits == 2)
            before, held = len(one.telegrams), len(one.held)
            writer.write(b"\r\x02731002\x03\r")
            await asyncio.sleep(0.05)
            assert len(one.telegrams) == before
            gate.let()
            await until(lambda: len(one.telegrams) > before)
            assert one.held[held:] == [0.25]  # as old as that
            writer.close()

    run(check())


def test_a_reader_that_says_something_of_its_own_before_each_code_is_trusted() -> None:
    async def check() -> None:
        gate = Gate()
        async with heard(scanner(free_port()), gate) as one:
            _, writer = await one.connected()
            gate.let(3)
            for number in range(20):
                for telegram in (b"?TRIGGER ON\r", b"%d\r" % number):
                    goal = len(one.telegrams) + 1
                    writer.write(telegram)
                    await until(lambda goal=goal: len(one.telegrams) == goal)  # type: ignore[misc] # a default is bound now
            assert (gate.waits, len(one.held)) == (3, 3)
            writer.close()

    run(check())


def test_a_silence_that_ends_telegrams_is_never_waited_through() -> None:
    async def check() -> None:
        gate = Gate()
        async with heard(scanner(free_port(), framing="idle", idle_ms=20), gate) as one:
            _, writer = await one.connected()
            for code in (b"A", b"B"):
                writer.write(code)
                await until(lambda code=code: one.telegrams[-1:] == [code])  # type: ignore[misc] # a default is bound now
            assert gate.waits == 0
            writer.close()

    run(check())


def test_nobody_waits_where_nobody_else_has_just_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        monkeypatch.setattr(linking, "TURN_S", 1e6)
        turnstile = Turnstile()
        await turnstile.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(turnstile.wait(), 0.05)
        monkeypatch.setattr(linking, "TURN_S", 0.02)
        turnstile = Turnstile()
        waits_s = await asyncio.gather(*(turnstile.wait() for _ in range(4)))
        assert waits_s == sorted(waits_s)
        assert waits_s[-1] > 0.05

    run(check())


def test_strangers_take_turns_one_by_one_and_a_reader_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The turns last for ever here: a reader that is understood is heard all the same, on the same port too."""

    async def check() -> None:
        turnstile = Turnstile()
        async with heard(scanner(free_port()), turnstile) as busy, heard(scanner(free_port()), turnstile) as calm:
            readers = [await one.connected() for one in (busy, calm)]
            for _, writer in readers:
                writer.write(b"A\r")
            await until(lambda: bool(busy.telegrams and calm.telegrams))
            monkeypatch.setattr(linking, "TURN_S", 1e6)
            strangers = [await busy.connected() for _ in range(SERVED_MAX - 1)]
            for _, writer in strangers:
                writer.write(b"?\r" * 100)
            for _, writer in readers:
                writer.write(b"B\r")
            await busy.has(b"A", b"B")
            await calm.has(b"A", b"B")
            for _, writer in (*readers, *strangers):
                writer.transport.abort()

    run(check())


def test_who_is_turned_away_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        monkeypatch.setattr(linking, "TURN_S", 1e6)
        async with heard(scanner(free_port())) as one:
            tasks = len(asyncio.all_tasks())
            ends = [await one.connected() for _ in range(5 * SERVED_MAX)]
            await until(lambda: len(asyncio.all_tasks()) <= tasks + SERVED_MAX)
            assert one.link.peers == SERVED_MAX
            for _, writer in ends:
                writer.transport.abort()

    run(check())


# ---- half open, stop, and a port that is taken ---------------------------------------------


@pytest.mark.parametrize("role", ["server", "client"])
def test_a_half_open_connection_is_noticed_by_the_system(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        reader = Reader()
        await reader.start()
        port = reader.port if role == "client" else free_port()
        async with heard(scanner(port, role)) as one:
            ends = await (one.connected() if role == "server" else reader.met())
            await until(lambda: one.link.peers == 1)
            (writer,) = one.link._peers
            connection = writer.get_extra_info("socket")
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle_s, every_s, times, unheard_ms = (
                connection.getsockopt(socket.IPPROTO_TCP, option)
                for option in (
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                )
            )
            assert idle_s + every_s * times <= 5
            assert 0 < unheard_ms <= 5000
            ends[1].close()
        reader.stop()

    run(check())


@pytest.mark.parametrize("role", ["server", "client"])
def test_stop_ends_it_and_closes_everything(role: str) -> None:
    async def check() -> None:
        reader = Reader()
        await reader.start()
        port = reader.port if role == "client" else free_port()
        one = Heard(scanner(port, role, heartbeat_send="HB\r", heartbeat_every_s=3600))
        if role == "server":
            await one.listening()
            ends = [await one.connected() for _ in range(3)]
        else:
            ends = [await reader.met()]
        await until(lambda: one.link.peers == len(ends))
        one.stop.set()
        await asyncio.wait_for(one.task, PATIENCE_S)
        for end in ends:
            assert await closed(end) == b""
        assert (one.link.peers, one.changes) == (0, [True, False])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        if role == "server":
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(HOST, one.port)
        reader.stop()

    asyncio.run(check())


def test_cancelling_ends_it_as_well() -> None:
    async def check() -> None:
        one = Heard(scanner(free_port()))
        await one.listening()
        ends = await one.connected()
        one.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await one.task
        assert await closed(ends) == b""
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(check())


def test_a_port_that_is_taken_is_told_by_its_address() -> None:
    async def check() -> None:
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
            one = Heard(scanner(port))
            with pytest.raises(OSError, match=f"{HOST}:{port} cannot be listened at") as refused:
                await one.task
            assert refused.value.errno == errno.EADDRINUSE

    run(check())


def test_an_address_of_another_machine_is_told() -> None:
    """192.0.2.1 is nobody's (RFC 5737)."""

    async def check() -> None:
        one = Heard(scanner(free_port(), host="192.0.2.1"))
        with pytest.raises(OSError, match=r'it is no address of this machine; write host = "0\.0\.0\.0", or role'):
            await one.task

    run(check())


def test_bytes_wait_for_their_end_and_a_telegram_is_kept_as_it_came() -> None:
    async def check() -> None:
        async with heard(scanner(free_port(), framing="stx_etx")) as one:
            _, writer = await one.connected()
            writer.write(b"x\r\n")
            await until(lambda: one.link.unended.count == 3)
            assert one.link.unended.words == '3 bytes and no end of framing "stx_etx"; they look like framing = "crlf"'
            writer.write(b"\x02A\x03\r\n\x02B\x03")
            await one.has(b"A", b"B")
            assert (one.link.unended.last, one.link.unended.count) == (b"\x02B\x03", 0)
            writer.close()

    run(check())


def test_each_connection_waits_for_an_end_of_its_own() -> None:
    async def check() -> None:
        async with heard(scanner(free_port(), framing="stx_etx")) as one:
            shown: list[bytes] = []
            one.link._hear = lambda _telegram: shown.append(one.link.unended.last)
            (_, first), (_, second) = await one.connected(), await one.connected()
            first.write(b"\x02half")
            await until(lambda: one.link.unended.begins == b"\x02half")
            second.write(b"\x02B\x03\x02other")
            await until(lambda: shown == [b"\x02B\x03"])
            assert one.link.unended.begins == b"\x02half"
            first.close()
            await until(lambda: one.link.peers == 1)
            assert one.link.unended.begins == b"\x02other"
            second.close()
            await until(lambda: not one.link.peers)
            assert one.link.unended.count == 0

    run(check())


def test_a_fault_of_ours_is_not_swallowed() -> None:
    async def check() -> None:
        def fail(_telegram: bytes) -> bytes:
            raise ZeroDivisionError

        stop, port = asyncio.Event(), free_port()
        link = Link(scanner(port), fail, lambda _came: None, Turnstile())
        task = asyncio.create_task(link.run(stop))
        await until(lambda: "nobody" in link.error)
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"A\r")
        with pytest.raises(ExceptionGroup) as group:
            await asyncio.wait_for(task, PATIENCE_S)
        assert group.group_contains(ZeroDivisionError)
        writer.close()

    run(check())
