"""Real sockets and processes: nobody waits for anybody, nothing acknowledged is lost, nothing counts twice."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from sorter import limits
from sorter.records import Kind
from sorter.wire import endpoints, frames
from sorter.wire.client import Client
from sorter.wire.control import CommandRefused, Control, NoAnswer, Unreachable
from sorter.wire.endpoints import CannotBind, Publisher, Router, dealer, wait
from sorter.wire.frames import Command, Malformed, Ping, Pong, Refuse, Reply, Scan
from tests.wire.hub import Hub

PATIENCE_S = 20.0
LOCAL = "tcp://127.0.0.1:*"
OPEN: list[Any] = []  # sockets that live as long as the test's context


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    made: zmq.Context[Any] = zmq.Context()
    yield made
    for left in OPEN:
        left.close()
    OPEN.clear()
    made.destroy(linger=0)


@pytest.fixture
def router(context: zmq.Context[Any]) -> Router:
    return Router(LOCAL, name="devices", context=context)


@pytest.fixture
def patient(context: zmq.Context[Any], monkeypatch: pytest.MonkeyPatch) -> Router:
    """A router of short queues that leaves a peer that does not read connected, however slow this machine is."""
    monkeypatch.setattr(endpoints, "HEARTBEAT_MS", 0)
    monkeypatch.setattr(endpoints, "SEND_FRAMES_MAX", 50)
    return Router(LOCAL, name="devices", context=context)


def plain(context: zmq.Context[Any], router: Router, kind: int = zmq.DEALER, **options: Any) -> zmq.Socket[bytes]:
    """A socket that knows nothing of our client."""
    made: zmq.Socket[bytes] = context.socket(kind)
    made.linger = 0
    for name, value in options.items():
        setattr(made, name, value)
    made.connect(router.address)
    OPEN.append(made)
    return made


def nowhere() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def until(true: Callable[[], object], *turns: Callable[[], object]) -> None:
    """Let things take their turns until something is true."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came true"
        for turn in turns:
            turn()
        time.sleep(0.001)


def one(router: Router) -> bytes:
    """The peer of the next frame."""
    assert router.poll(5000)
    [frame] = router.receive(1)
    return frame.peer


def answer(device: zmq.Socket[bytes]) -> frames.AnyMessage:
    assert device.poll(5000)
    [message] = frames.decode(device.recv_multipart()[-1])
    return message


def test_a_scanner_in_ten_lines(context: zmq.Context[Any], router: Router) -> None:
    hub = Hub(router)
    running = threading.Event()

    def serve() -> None:
        while not running.is_set():
            hub.turn(20)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with Client(router.address, role="scanner", line="L1", client="scanner-1", context=context) as scanner:
            for item in range(1, 201):
                scanner.scan(item=item, codes=["YT1234567890123"], weight_g=1200)
        assert scanner.unacknowledged == 0
    finally:
        running.set()
        thread.join()
    assert [item for _, kind, _, item in hub.accepted if kind == Kind.SCAN] == list(range(1, 201))


def test_a_plc_gets_its_diverts_and_says_what_became_of_them(context: zmq.Context[Any], router: Router) -> None:
    hub = Hub(router)
    plc = Client(router.address, role="plc", line="L1", client="plc-L1", boot=3, context=context)
    other = Client(router.address, role="plc", line="L2", client="plc-L2", boot=3, context=context)
    until(lambda: plc.welcomed and other.welcomed, hub.turn, plc.poll, other.poll)
    plc.item(item=9, induct=2)
    assert hub.divert("L1", 9)
    [divert] = plc.poll(PATIENCE_S)
    assert (divert.item, divert.chute) == (9, 101)
    assert other.poll() == []
    plc.discharge(item=9, outcome="dropped", chute=101)
    plc.chute(chute=101, state="full")
    until(lambda: not plc.unacknowledged, hub.turn, plc.poll)
    assert [kind for _, kind, _, _ in hub.accepted] == [Kind.ITEM, Kind.DISCHARGE, Kind.CHUTE]
    assert plc.last == 3
    plc.close()
    other.close()


def test_refusals_reach_the_device_and_hold_nothing_back(context: zmq.Context[Any], router: Router) -> None:
    hub = Hub(router)
    scanner = Client(router.address, role="scanner", line="L1", client="s", context=context)
    scanner.scan(item=1, line="L9")
    scanner.post(frames.Item(seq=0, item=2))
    scanner.scan(item=3)
    until(lambda: not scanner.unacknowledged, hub.turn, scanner.poll)
    assert [(refuse.error, refuse.seq) for refuse in scanner.refusals()] == [("unknown_line", 1), ("wrong_role", 2)]
    assert scanner.refusals() == []
    assert [(kind, item) for _, kind, _, item in hub.accepted] == [(Kind.TICK, 0), (Kind.TICK, 0), (Kind.SCAN, 3)]
    with pytest.raises(Malformed, match="negative"):
        scanner.scan(item=4, weight_g=-1)
    scanner.close()


def test_flush_says_what_is_missing_and_keeps_it(context: zmq.Context[Any]) -> None:
    address = nowhere()
    scanner = Client(address, role="scanner", line="L9", client="s", context=context)
    scanner.scan(item=1)
    with pytest.raises(TimeoutError, match=r"1 messages are not on the daemon's disk .*no daemon at tcp"):
        scanner.flush(0.05)
    again = Router(address, name="devices", context=context)
    hub = Hub(again)
    until(scanner.refusals, hub.turn, scanner.poll)
    with pytest.raises(TimeoutError, match=r"it last said: the site has no line"):
        scanner.flush(0.05)
    assert scanner.unacknowledged == 1
    scanner.close()
    again.close()


def test_a_killed_daemon_loses_and_doubles_nothing(tmp_path: Path, context: zmq.Context[Any]) -> None:
    file = tmp_path / "accepted"
    address = f"ipc://{tmp_path}/hub"
    folders = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, str(Path(__file__).with_name("hub.py")), address, str(file)]
        return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": folders})

    scanner = Client(address, role="scanner", line="L1", client="s", context=context)
    plc = Client(address, role="plc", line="L1", client="p", context=context)
    hub = start()
    posted = 0
    for _ in range(4):
        goal = posted + 600
        while posted < goal:
            posted += 1
            scanner.scan(item=posted)
            plc.item(item=posted)
            if posted == goal - 300:
                until(lambda: scanner.unacknowledged < 300, scanner.poll, plc.poll)
                hub.send_signal(signal.SIGKILL)
                hub.wait()
                hub = start()
    scanner.flush(PATIENCE_S)
    plc.flush(PATIENCE_S)
    hub.kill()
    hub.wait()
    rows = [line.split() for line in file.read_text().splitlines()]
    for name, kind in (("s", Kind.SCAN), ("p", Kind.ITEM)):
        items = [int(row[5]) for row in rows if row[0] == name and int(row[2]) == kind]
        assert items == list(range(1, posted + 1))
    scanner.close()
    plc.close()


def test_a_device_that_dies_and_returns_with_its_routing_id_is_heard(router: Router) -> None:
    for turn in range(1, 6):
        before = plain(zmq.Context(), router, routing_id=b"plc-L1")
        before.send(frames.encode(Ping(t_ns=turn)))
        assert router.poll(5000)
        before.context.destroy(linger=0)  # its frame is not read yet
        after = plain(zmq.Context(), router, routing_id=b"plc-L1")
        after.send(frames.encode(Ping(t_ns=100 + turn)))
        time.sleep(0.1)  # nor what comes meanwhile: the daemon is busy
        heard: dict[bytes, bytes] = {}
        late = frames.encode(Ping(t_ns=100 + turn))
        until(lambda: late in heard, lambda: heard.update((frame.data, frame.peer) for frame in router.receive(9)))  # noqa: B023 # it runs within this turn
        assert router.send(heard[late], frames.encode(Pong(t_ns=turn)))
        assert answer(after) == Pong(t_ns=turn)
        after.context.destroy(linger=0)


def test_more_parts_than_one_are_refused(context: zmq.Context[Any], router: Router) -> None:
    device = plain(context, router)
    ping = frames.encode(Ping())
    for parts in ([ping, ping], [b"", ping, ping], [b"x"] * 1000):
        device.send_multipart(parts)
        assert router.poll(5000)
        assert router.receive(10) == []
        refuse = answer(device)
        assert isinstance(refuse, Refuse)
        assert (refuse.error, refuse.detail[:22]) == ("multipart", "a message has one part")
    assert router.counts.multipart == 3
    device.send(ping)
    assert one(router)


def test_an_empty_frame_is_a_frame(context: zmq.Context[Any], router: Router) -> None:
    plain(context, router).send(b"")
    assert router.poll(5000)
    assert [frame.data for frame in router.receive(5)] == [b""]


def test_a_req_gets_its_envelope_back(context: zmq.Context[Any], router: Router) -> None:
    asker = plain(context, router, zmq.REQ)
    asker.send(frames.encode(Ping(t_ns=5)))
    peer = one(router)
    assert router.send(peer, frames.encode(Pong(t_ns=5)))
    assert answer(asker) == Pong(t_ns=5)


def test_a_frame_that_is_too_large_ends_its_connection_alone(context: zmq.Context[Any], router: Router) -> None:
    good, bad = plain(context, router), plain(context, router)
    bad.send(b"\x80" * (limits.FRAME_BYTES_MAX + 1))
    assert router.poll(5000)
    [frame] = router.receive(5)
    with pytest.raises(Malformed):
        frames.decode(frame.data)
    bad.send(b"\x80" * (limits.FRAME_BYTES_MAX + 4096))
    good.send(frames.encode(Ping()))
    assert router.poll(5000)
    assert [frame.data for frame in router.receive(5)] == [frames.encode(Ping())]


def test_receive_takes_no_more_than_it_was_asked_for(context: zmq.Context[Any], router: Router) -> None:
    device = plain(context, router)
    for n in range(10):
        device.send(frames.encode(Ping(t_ns=n)))
    found: list[bytes] = []

    def take() -> None:
        some = router.receive(3)
        assert len(some) <= 3
        found.extend(frame.data for frame in some)

    until(lambda: len(found) == 10, take)
    assert found == [frames.encode(Ping(t_ns=n)) for n in range(10)]
    assert router.receive(3) == []
    assert router.counts.received == 10


def test_who_does_not_read_is_dropped_and_told_and_nobody_waits(context: zmq.Context[Any], patient: Router) -> None:
    deaf, good = plain(context, patient, rcvhwm=1), plain(context, patient)
    deaf.send(frames.encode(Ping()))
    deaf_peer = one(patient)
    good.send(frames.encode(Ping()))
    good_peer = one(patient)
    block = b"\x80" * 10_000
    sent = 0
    while patient.send(deaf_peer, block):
        sent += 1
        assert sent < 100_000
    assert patient.counts.dropped == 1
    assert not patient.send(deaf_peer, b"\x80")
    assert patient.send(good_peer, frames.encode(Pong()))
    assert answer(good) == Pong()
    # It reads again and speaks: that frame is not taken, and it learns why.
    for _ in range(sent):
        assert deaf.poll(5000)
        assert deaf.recv() == block
    deaf.send(frames.encode(Ping()))
    assert patient.poll(5000)
    assert patient.receive(1) == []
    refuse = answer(deaf)
    assert isinstance(refuse, Refuse)
    assert refuse.error == "dropped"
    deaf.send(frames.encode(Ping()))
    assert patient.send(one(patient), frames.encode(Pong()))
    assert answer(deaf) == Pong()


def test_a_client_that_was_dropped_says_hello_again(context: zmq.Context[Any], patient: Router) -> None:
    hub = Hub(patient)
    plc = Client(patient.address, role="plc", line="L1", client="p", context=context)
    plc.item(item=1)
    until(lambda: not plc.unacknowledged, hub.turn, plc.poll)
    [peer] = hub.speakers
    while patient.send(peer, frames.encode(Refuse(error="noise", detail="x" * 10_000))):
        pass
    for _ in range(10):
        assert not patient.send(peer, frames.encode(Pong()))
    assert patient.counts.dropped == 1
    until(lambda: len(plc.refusals()), plc.poll)
    plc.item(item=2)
    until(lambda: not plc.unacknowledged, hub.turn, plc.poll)
    assert [refuse.error for refuse in plc.refusals() if refuse.error != "noise"] == ["dropped"]
    assert [item for _, kind, _, item in hub.accepted if kind == Kind.ITEM] == [1, 2]
    plc.close()


def test_who_is_gone_is_reported(context: zmq.Context[Any], router: Router) -> None:
    device = plain(context, router)
    device.send(frames.encode(Ping()))
    peer = one(router)
    device.close()
    until(lambda: not router.send(peer, b"\x80"))
    assert router.counts.gone == 1
    assert not router.send(b"dnobody", b"\x80")


def test_a_taken_address_is_told(context: zmq.Context[Any], router: Router) -> None:
    with pytest.raises(CannotBind, match=r"the control address tcp://127.0.0.1:\d+ cannot be bound .*sorter run"):
        Router(router.address, name="control", context=context)


def test_waiting_for_several_routers(context: zmq.Context[Any], router: Router) -> None:
    control = Router(LOCAL, name="control", context=context)
    assert not wait([router, control], 0)
    plain(context, control).send(b"\x80")
    assert wait([router, control], 5000)
    assert not router.poll(0)
    assert control.poll(5000)
    control.close()


def test_live_goes_to_who_listens_and_waits_for_nobody(context: zmq.Context[Any]) -> None:
    live = Publisher(LOCAL, context=context)
    screen = context.socket(zmq.SUB)
    screen.linger = 0
    screen.subscribe(b"belt")
    screen.connect(live.address)
    OPEN.append(screen)
    until(lambda: screen.poll(1), lambda: live.send(b"belt", b"1"), lambda: live.send(b"other", b"2"))
    assert screen.recv_multipart() == [b"belt", b"1"]
    for _ in range(20_000):
        live.send(b"belt", b"x" * 1000)
    live.close()


class Answerer(threading.Thread):
    """Answers each command as told; None keeps silent."""

    def __init__(self, router: Router, reply: Callable[[Command], list[frames.AnyMessage]]) -> None:
        super().__init__(daemon=True)
        self.router, self.reply, self.ending = router, reply, threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.join()

    def run(self) -> None:
        while not self.ending.is_set():
            self.router.poll(20)
            for frame in self.router.receive(10):
                for message in frames.decode(frame.data):
                    assert isinstance(message, Command)
                    for reply in self.reply(message):
                        self.router.send(frame.peer, frames.encode(reply))


def echo(command: Command) -> list[frames.AnyMessage]:
    if command.verb == "no":
        return [Reply(id=command.id, ok=False, error="unknown_chute", detail="chute 999 is not in the sort plan")]
    if command.verb == "odd":
        return [Refuse(error="wrong_role", detail="not you")]
    if command.verb == "silence":
        return []
    return [Reply(id=command.id - 1, ok=True, result="late"), Reply(id=command.id, ok=True, result=command.args)]


def test_control_gets_results_and_clear_errors(context: zmq.Context[Any], router: Router) -> None:
    with Answerer(router, echo), Control(router.address, timeout_s=PATIENCE_S, context=context) as control:
        assert control.call("status") == {}
        assert control.call("chute.lock", chute=101, who="王") == {"chute": 101, "who": "王"}
        with pytest.raises(CommandRefused, match="chute 999 is not in the sort plan") as caught:
            control.call("no")
        assert caught.value.error == "unknown_chute"
        with pytest.raises(CommandRefused, match="not you"):
            control.call("odd")
        with pytest.raises(Malformed, match="verb"):
            control.call("v" * 40)
        assert control.call("status", again=True) == {"again": True}
    with Answerer(router, echo), Control(router.address, timeout_s=0.3, context=context) as control:
        control.call("status")
        with pytest.raises(NoAnswer, match=r"did not answer within 0.3 s; it may have been carried out"):
            control.call("silence")


def test_control_says_when_nobody_is_there(context: zmq.Context[Any]) -> None:
    with (
        Control(nowhere(), timeout_s=0.05, context=context) as control,
        pytest.raises(Unreachable, match=r"no daemon answers at tcp.*is `sorter run` up"),
    ):
        control.call("status")


def test_a_client_queues_nothing_without_a_connection(context: zmq.Context[Any]) -> None:
    device = dealer(context, None)
    device.connect(nowhere())
    with pytest.raises(zmq.Again):
        device.send(b"\x80", zmq.DONTWAIT)
    device.close()


def test_batches_are_few_frames(context: zmq.Context[Any], router: Router) -> None:
    hub = Hub(router)
    scanner = Client(router.address, role="scanner", line="L1", client="s", context=context)
    until(lambda: scanner.welcomed, hub.turn, scanner.poll)
    before = router.counts.received
    for item in range(1000):
        scanner.post(Scan(seq=0, item=item))
    until(lambda: not scanner.unacknowledged, scanner.poll, hub.turn)
    assert router.counts.received - before <= 4
    scanner.close()
